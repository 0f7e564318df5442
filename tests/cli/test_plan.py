"""`llmperf plan`."""

import pytest

from pytest_llmperf.cli import main


def test_a_forecast_is_printed_for_each_limit(capsys):
    """With the fewest rounds, the table of stops and the chances, and the spend where a round's cost is given."""
    assert main(["plan", "--p95-ms", "2340", "--p50-ms", "1120", "--rounds", "200", "--usd-per-round", "0.003"]) == 0
    told = capsys.readouterr().out
    assert "p95 ttft <= 2340 ms, at most 200 rounds\n  59 is the least budget that can pass" in told
    assert "p50 ttft <= 1120 ms, at most 200 rounds\n  5 is the least budget that can pass" in told
    row = next(line for line in told.splitlines() if "0.85 × the limit" in line and "59.8 %" in line)
    assert row.split() == ["0.85", "×", "the", "limit", "2.234", "%", "59.8", "%", "0", "%", "143", "$0.43", "332"]


def test_many_claims_make_a_fail_rarer(capsys):
    """Ten of them leave each a tenth of the probability."""
    fails = []
    for claims in ("1", "10"):
        assert main(["plan", "--error-rate", "0.05", "--claims", claims]) == 0
        row = next(line for line in capsys.readouterr().out.splitlines() if "3 × what is tolerated" in line)
        fails.append(float(row.split("%")[2]))
    assert fails[1] < fails[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give a limit"),
        (["--p50-ms", "3000", "--p95-ms", "2000"], "--p50-ms 3000 is not below --p95-ms 2000"),
    ],
)
def test_a_question_without_an_answer_is_an_error(capsys, arguments, told):
    """Status 2, and what to give."""
    assert main(["plan", *arguments]) == 2
    assert told in capsys.readouterr().err
