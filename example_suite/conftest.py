import pytest
from anthropic import AsyncAnthropic


@pytest.fixture
def llm():
    """One client for all rounds of a test. With a key in the environment and --llmperf-backend=live it is a real one."""
    return AsyncAnthropic()
