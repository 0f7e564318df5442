"""Marked tests that are switched off run once, plainly, and never leave a simulated API."""

SUITE = """
    import pytest
    from anthropic import Anthropic

    @pytest.mark.latency(p95_ms=1)
    def test_answer():
        answer = Anthropic(base_url="http://127.0.0.1:9").messages.create(
            model="claude-opus-4-1", max_tokens=20, messages=[{"role": "user", "content": "Hello"}]
        )
        assert answer.usage.output_tokens == 20
        print("one body")
"""


def test_a_test_that_is_off_is_answered_by_the_simulated_api(pytester, monkeypatch):
    """Nothing listens at the address: without the simulated API the call would fail. No verdict is given."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    pytester.makepyfile(SUITE)
    ran = pytester.runpytest("-s", "--llmperf-backend=simulate", "--llmperf-off")
    ran.assert_outcomes(passed=1)
    assert ran.stdout.str().count("one body") == 1
    ran.stdout.no_fnmatch_line("*llmperf: simulated*")


def test_a_doctest_under_a_modules_mark_is_left_alone(pytester):
    """A mark of the module is inherited by its doctests, which nobody can repeat."""
    pytester.makepyfile(
        '''
        import pytest

        pytestmark = pytest.mark.latency(p95_ms=1000)

        def one():
            """
            >>> one()
            1
            """
            return 1
        '''
    )
    pytester.runpytest("--doctest-modules", "--llmperf-backend=simulate").assert_outcomes(passed=1)
