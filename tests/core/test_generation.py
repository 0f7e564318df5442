"""What an LLM said: the name it goes by."""

import pytest

from pytest_llmperf.core.generation import Generation


@pytest.mark.parametrize(
    ("asked", "answered", "model"),
    [("claude-latest", "claude-opus-4", "claude-opus-4"), ("claude-latest", None, "claude-latest"), (None, None, None)],
)
def test_the_model_is_the_one_that_answered_or_else_the_one_asked(asked, answered, model):
    """Aliases differ from what answers in half of all calls."""
    assert Generation("anthropic.messages", streamed=True, request_model=asked, response_model=answered).model == model
