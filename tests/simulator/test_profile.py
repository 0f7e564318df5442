import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.core.errors import ProfileError
from pytest_llmperf.simulator.profile import height, load, shipped
from pytest_llmperf.simulator.reading import Point

CURVE = (Point(1_000, 42.7), Point(10_000, 38.3), Point(50_000, 34.1), Point(150_000, 29.8))


@pytest.fixture
def written(tmp_path):
    """A function that writes a profile that extends the shipped one."""

    def write(text: str, name: str = "own.toml", base: str = "claude-opus-4") -> Path:
        path = tmp_path / name
        path.write_text(f'extends = "{base}"\n{text}', encoding="utf-8")
        return path

    return write


def test_every_shipped_profile_loads_by_its_name() -> None:
    """Whatever is shipped can be used."""
    assert "claude-opus-4" in shipped()
    assert [load(name).name for name in shipped()] == shipped()


@pytest.mark.parametrize(
    ("workload", "p50", "p95", "tokens"),
    [("code", 892, 1540, 450), ("qa", 1120, 2340, 280), ("extraction", 780, 1280, 150), ("creative", 1040, 2890, None)],
)
def test_the_shipped_workloads_hold_the_figures_of_the_study(profile, workload, p50, p95, tokens) -> None:
    """S08 and S20 are carried over unchanged."""
    figures = profile.workloads[workload]
    assert (figures.ttft_p50_ms, figures.ttft_p95_ms) == (p50, p95)
    assert tokens in (None, figures.output_tokens)


def test_the_shipped_profile_holds_the_other_figures_of_the_study(profile) -> None:
    """S05, S07, S10, S11, S12, S15, S17, S23, S28 and S29 are carried over unchanged."""
    assert profile.throughput.context_tokens_per_second == CURVE
    assert profile.sampling.temperature_rate_factor == ((0, 1.07), (0.7, 1), (1, 0.96))
    assert profile.sampling.top_p_rate_factor == ((0.9, 1), (1, 0.97))
    assert profile.regions == {"us-east": 0, "us-west": 140, "eu": 220, "asia-pacific": 380}
    assert profile.peak_p95_factor == 1.15
    assert (profile.cache.small_prefix_time_factor, profile.cache.large_prefix_time_factor) == (0.82, 0.92)
    assert (profile.cache.small_prefix_tokens, profile.cache.lifetime_minutes) == (10_000, 60)
    in_flight = [round(10.2 * value, 1) for _, value in profile.in_flight_time_factor]
    assert in_flight == [10.2, 10.8, 12.1, 15.7]
    assert profile.new_connection_ms == 85
    prompt = profile.prompt
    assert (prompt.xml_prompt_ttft_ms, prompt.xml_output_ms, prompt.json_output_ms) == (140, 220, 180)
    assert (prompt.long_system_tokens, prompt.long_system_ttft_ms) == (500, 95)
    assert 1 / prompt.verbose_time_factor == pytest.approx(0.88, abs=1e-3)
    assert (prompt.latex_time_factor, prompt.mixed_scripts_time_factor) == (2.3, 1.15)
    assert (prompt.nested_ttft_ms, prompt.adversarial_ttft_ms) == (340, 1840)
    assert profile.models["claude-opus-4*"].first_release_rate_factor == 0.92
    assert 1 / profile.models["claude-3-opus*"].time_factor == pytest.approx(0.77, abs=1e-3)
    assert 1 - sum(profile.faults.shares().values()) == 1


def test_the_file_says_which_figures_contradict_each_other(profile) -> None:
    """Every contradiction of the study is named in the profile's own text."""
    text = (Path(__file__).parents[2] / "src/pytest_llmperf/simulator/profiles/claude-opus-4.toml").read_text("utf-8")
    head = text.partition("description =")[0]
    assert all(f"# {system}" in head for system in ("S04", "S05", "S06", "S08", "S09", "S16", "S20", "S24"))


def test_a_file_changes_single_figures_of_the_profile_it_extends(profile, written) -> None:
    """Only what the file says differs from its base."""
    own = load(written("[workloads.code]\nttft_p95_ms = 2000\n"))
    assert own.name == "own"
    assert own.workloads["code"].ttft_p95_ms == 2000
    assert own.workloads["code"].ttft_p50_ms == 892
    assert own.workloads["qa"] == profile.workloads["qa"]


def test_a_file_can_extend_a_file_beside_it(written) -> None:
    """Chains of profiles end at a shipped one."""
    written("peak_p95_factor = 2.0", "base.toml")
    assert load(written("new_connection_ms = 1", "top.toml", base="base.toml")).peak_p95_factor == 2.0


def test_overrides_change_single_figures_and_leave_the_profile_alone(profile) -> None:
    """`with_overrides` takes dotted keys as TOML writes them, quoted where they must be."""
    changed = profile.with_overrides({"throughput.factor": 0.5, 'models."claude-3-opus*".time_factor': 2.0})
    assert changed.throughput.factor == 0.5
    assert changed.models["claude-3-opus*"].time_factor == 2.0
    assert changed.with_overrides({"throughput.factor": 1.0, 'models."claude-3-opus*".time_factor': 1.2987}) == profile
    assert profile.throughput.factor == 1.0


BAD = [
    ("[workloads.code]\nttft_p50 = 1", "workloads.code.ttft_p50", "ttft_p50_ms, ttft_p95_ms"),
    ("[workloads.code]\nttft_p50_ms = 'fast'", "workloads.code.ttft_p50_ms = 'fast'", "a number above 0"),
    ("[workloads.code]\nttft_p50_ms = 0", "workloads.code.ttft_p50_ms = 0", "a number above 0"),
    ("[workloads.code]\nttft_p50_ms = nan", "workloads.code.ttft_p50_ms = nan", "a number above 0"),
    ("[workloads.code]\nttft_p50_ms = 1e400", "workloads.code.ttft_p50_ms = inf", "a number above 0"),
    ("[workloads.code]\nttft_p50_ms = 1600", "workloads.code", "is below ttft_p50_ms"),
    ("[workloads.code]\noutput_tokens = 1.5", "workloads.code.output_tokens = 1.5", "a whole number at least 1"),
    ("[workloads.code]\noutput_tokens = true", "workloads.code.output_tokens = True", "a whole number"),
    ("[workloads.code]\noutput_cv = 2", "workloads.code.output_cv = 2", "at least 0 and at most 1"),
    ("[workloads.poetry]\nttft_p50_ms = 1", "workloads.poetry.ttft_p95_ms", "missing"),
    ("[workloads]\ncode = 3", "workloads.code = 3", "a table"),
    ("workloads = 3", "workloads = 3", "a table"),
    ("default_workload = 'poetry'", "default_workload = 'poetry'", "code, qa, extraction, creative, mixed"),
    ("[throughput]\ncontext_tokens_per_second = [[10, 1], [5, 2]]", "context_tokens_per_second", "rising"),
    ("[throughput]\ncontext_tokens_per_second = [[10, -1]]", "context_tokens_per_second", "above 0"),
    ("[throughput]\ncontext_tokens_per_second = 40", "context_tokens_per_second = 40", "a list of points"),
    ("[throughput]\ncontext_tokens_per_second = [[0, 40]]", "throughput", "below a context of 1 token"),
    ("[cache]\nenabled = 1", "cache.enabled = 1", "true or false"),
    ("description = 1", "description = 1", "a text"),
    ("[faults]\nstall = 0.6\nreset = 0.6", "faults", "add up to 1.2"),
    ("speed = 1", "'speed'", "workloads"),
]


@pytest.mark.parametrize(("text", "key", "valid"), BAD)
def test_a_bad_profile_is_refused_with_file_key_value_and_what_is_valid(written, text, key, valid) -> None:
    """Unknown keys, wrong types and impossible numbers are named, with what would be right."""
    path = written(text)
    with pytest.raises(ProfileError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert key in str(caught.value)
    assert valid in str(caught.value)


def test_bad_overrides_are_refused_in_the_same_words(profile) -> None:
    """An override is checked as a file is."""
    with pytest.raises(ProfileError, match=r"claude-opus-4 with overrides: unknown key 'throughput.speed'"):
        profile.with_overrides({"throughput.speed": 1})
    with pytest.raises(ProfileError, match="no dotted key"):
        profile.with_overrides({"not a key": 1})


def test_a_profile_that_is_not_there_is_named_with_those_that_are(tmp_path) -> None:
    """A wrong name lists the shipped ones; a wrong path is named."""
    with pytest.raises(ProfileError, match=r"no profile is called 'opus'; shipped are: .*claude-opus-4"):
        load("opus")
    with pytest.raises(ProfileError, match=r"missing.toml: cannot be read"):
        load(tmp_path / "missing.toml")


def test_a_file_that_is_no_toml_or_extends_itself_is_refused(written, tmp_path) -> None:
    """Neither a syntax error nor a circle ends in a traceback of another kind."""
    with pytest.raises(ProfileError, match="is not TOML"):
        load(written("= 3"))
    with pytest.raises(ProfileError, match="does not extend this one"):
        load(written("", "round.toml", base="round.toml"))
    with pytest.raises(ProfileError, match="no shipped profile"):
        load(written("", base="gpt-9"))


def test_a_file_of_its_own_must_say_everything_needed(tmp_path) -> None:
    """Without `extends` the first missing key is named."""
    path = tmp_path / "bare.toml"
    path.write_text("description = 'nothing else'", encoding="utf-8")
    with pytest.raises(ProfileError, match=r"the key 'models' is missing; .*`extends`"):
        load(path)


def test_the_first_fitting_pattern_rules_a_model(profile) -> None:
    """Models are known by shell pattern; others are not known."""
    assert profile.figures_of("claude-opus-4-1-20250805") is profile.models["claude-opus-4*"]
    assert profile.figures_of("gpt-4-turbo-2024-04-09") is profile.models["gpt-4-turbo*"]
    assert profile.figures_of("claude-9") is None


@pytest.mark.parametrize(
    ("at", "expected"),
    [(1, 42.7), (1_000, 42.7), (10_000, 38.3), (100_000, 31.387), (150_000, 29.8), (200_000, 29.8)],
)
def test_a_curve_passes_through_its_points_and_is_level_outside(at, expected) -> None:
    """S05's four points are met exactly; 100,000 tokens lie on the logarithmic line between neighbours."""
    assert height(CURVE, at, log=True) == pytest.approx(expected, abs=1e-3)


@given(at=st.floats(min_value=0, max_value=1e6), log=st.booleans())
def test_a_curve_never_leaves_the_span_of_its_points(at, log) -> None:
    """Interpolation invents nothing beyond what was given."""
    assert 29.8 <= height(CURVE, at, log=log) <= 42.7


def test_the_log_normal_distribution_meets_median_and_p95(profile) -> None:
    """The deviation of ln TTFT is chosen so that exp(1.645 sigma) is p95 / p50."""
    assert math.exp(1.6448536 * profile.workloads["qa"].ttft_sigma) == pytest.approx(2340 / 1120)
