import pytest
from anthropic import AsyncAnthropic


@pytest.fixture
def llm():
    """A client for all rounds of a test; with --llmperf-backend=live it takes the key from the environment."""
    return AsyncAnthropic()
