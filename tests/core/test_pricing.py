"""What tokens cost: own prices, the listed ones, and models without a price."""

from datetime import UTC, datetime

import pytest

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.generation import Generation, Pass, Usage
from pytest_llmperf.core.pricing import Absent, Price, PriceBook, parse_prices

OWN = PriceBook(own={"m": Price(input=10, output=50, cache_write=12.5, cache_read=1, cache_write_1h=20)})
LISTED = PriceBook(at=datetime(2026, 1, 1, tzinfo=UTC))


def answer(model="m", usage=None, **fields):
    return Generation(
        "anthropic.messages", streamed=True, request_model=model, usage=usage or Usage(1000, 100), **fields
    )


class TestOwnPrices:
    @pytest.mark.parametrize(
        ("usage", "dollars"),
        [
            (Usage(1_000_000, 0), 10.0),
            (Usage(0, 1_000_000), 50.0),
            (Usage(0, 0, cache_creation_input_tokens=1_000_000), 12.5),
            (Usage(0, 0, cache_creation_input_tokens=1_000_000, cache_creation_1h_input_tokens=1_000_000), 20.0),
            (Usage(0, 0, cache_creation_input_tokens=1_000_000, cache_creation_1h_input_tokens=400_000), 15.5),
            (Usage(0, 0, cache_read_input_tokens=1_000_000), 1.0),
            (Usage(1000, 100), 0.015),
            (Usage(0, 0), 0.0),
        ],
    )
    def test_each_kind_of_token_has_its_price(self, usage, dollars):
        """Per million tokens; input does not hold the cached ones."""
        assert OWN.cost(answer(usage=usage)) == pytest.approx(dollars)

    def test_the_model_that_answered_is_priced_before_the_one_asked(self):
        """An alias is not what is billed."""
        book = PriceBook(own={"alias": Price(1, 1, 1, 1, 1), "m": Price(10, 50, 12.5, 1, 20)})
        assert book.cost(answer("alias", response_model="m")) == pytest.approx(0.015)
        assert book.cost(answer("alias", response_model="m-20260101")) == pytest.approx(0.0011)

    def test_passes_billed_beside_the_answer_are_added(self):
        """Each at the price of its own model, or of the answer's."""
        book = PriceBook(own={**OWN.own, "adviser": Price(100, 500, 125, 10, 200)})
        passes = (Pass("advisor_message", "adviser", Usage(1000, 100)), Pass("compaction", None, Usage(1000, 100)))
        assert book.cost(answer(passes=passes)) == pytest.approx(0.015 + 0.150 + 0.015)

    def test_a_pass_without_a_price_leaves_no_cost(self):
        """A part of a sum is not the sum."""
        beside = (Pass("advisor_message", "unheard-of", Usage(1000, 100)),)
        assert isinstance(OWN.cost(answer(passes=beside)), Absent)


class TestListedPrices:
    @pytest.mark.parametrize(
        ("usage", "dollars"),
        [
            (Usage(1000, 0), 0.003),
            (Usage(0, 1000), 0.015),
            (Usage(0, 0, cache_creation_input_tokens=1000), 0.00375),
            (Usage(0, 0, cache_creation_input_tokens=1000, cache_creation_1h_input_tokens=1000), 0.006),
            (Usage(0, 0, cache_read_input_tokens=1000), 0.0003),
            (Usage(1000, 1000, 1000, 0, 1000), 0.003 + 0.015 + 0.00375 + 0.0003),
        ],
    )
    def test_the_table_counts_cached_tokens_apart(self, usage, dollars):
        """Anthropic's input excludes what was cached, the table's includes it: no token is paid for twice."""
        assert LISTED.cost(answer("claude-sonnet-4-5", usage)) == pytest.approx(dollars)

    @pytest.mark.parametrize("model", ["claude-opus-4-20250514", "claude-opus-4"])
    def test_dated_names_and_aliases_are_known(self, model):
        """$15 and $75 a million."""
        assert LISTED.cost(answer(model)) == pytest.approx(0.0225)

    def test_an_own_price_goes_before_the_listed_one(self):
        """It is what this user pays."""
        book = PriceBook(own={"claude-opus-4": Price(1, 1, 1, 1, 1)}, at=LISTED.at)
        assert book.cost(answer("claude-opus-4")) == pytest.approx(0.0011)

    def test_the_source_is_named(self):
        """With its release, and own prices first."""
        assert LISTED.source.startswith("genai-prices ")
        assert OWN.source.startswith("own (m), genai-prices ")


class TestAbsentCosts:
    def test_an_unknown_model_says_how_to_set_its_price(self):
        """It costs something, and nobody here knows what."""
        assert LISTED.cost(answer("unheard-of", response_model="unheard-of-2")) == Absent(
            "no price is known for 'unheard-of-2' or 'unheard-of'; set one with the ini option llmperf_prices"
        )

    def test_an_unnamed_model_has_no_price(self):
        """Nor has a provider that the table does not know."""
        assert "a model that is not named" in LISTED.cost(answer(None)).reason
        unknown = Generation("unheard-of.chat", streamed=True, request_model="gpt-4o", usage=Usage(1, 1))
        assert "'gpt-4o'" in LISTED.cost(unknown).reason

    @pytest.mark.parametrize("usage", [Usage(), Usage(1000, None), Usage(None, 100)])
    def test_without_usage_there_is_no_cost(self, usage):
        """Half a count is none."""
        assert OWN.cost(answer(usage=usage)) == Absent("the answer carried no usage")


class TestParsing:
    def test_two_prices_imply_the_cache_prices(self):
        """Anthropic's multiples of the input price: 1.25 and 2 for writes, 0.1 for reads."""
        assert parse_prices(["m = 10, 50"]) == {"m": Price(10, 50, 12.5, 1, 20)}

    def test_four_prices_give_the_cache_prices_too(self):
        """Write, then read; blank lines are nothing."""
        assert parse_prices(["", " m=15,75,18.75,1.5 ", "  "]) == {"m": Price(15, 75, 18.75, 1.5, 30)}

    @pytest.mark.parametrize(
        "line", ["m", "m = 10", "m = 1, 2, 3", "m = ten, 50", "= 10, 50", "m = -1, 50", "m = inf, 50", "m = nan, 50"]
    )
    def test_a_line_that_cannot_be_read_is_refused_with_the_form(self, line):
        """What was read, and how it should be written."""
        with pytest.raises(UsageError, match=r"cannot read '.+'; write 'model = input, output'"):
            parse_prices([line])
