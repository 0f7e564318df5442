"""What the comparisons of the example suite recover: the published figure of each claim."""

FILES = (
    "test_batching.py",
    "test_long_documents.py",
    "test_models.py",
    "test_prompt_cache.py",
    "test_prompts.py",
    "test_regions.py",
    "test_routing.py",
    "test_sampling_parameters.py",
    "test_streaming.py::test_same_work_sooner_seen",
    "test_throughput_by_context.py::test_how_far_it_falls",
)
"""Where they stand."""

COMPARED = [
    # system, test, the claim up to its limit, arm, the published figure as a ratio, in seconds, tokens/s or a share
    (
        "S04",
        "test_models.py::test_faster_than_its_predecessor",
        "p50 e2e: claude-opus-4-1 / claude-3-opus-latest",
        0.77,
    ),
    ("S04", "test_models.py::TestAgainstGpt4Turbo::test_code", "p50 e2e: gpt-4-turbo / claude-opus-4-1", 1.15),
    ("S04", "test_models.py::TestAgainstGpt4Turbo::test_long_context", "p50 e2e: gpt-4-turbo / claude-opus-4-1", 1.31),
    (
        "S05",
        "test_throughput_by_context.py::test_how_far_it_falls",
        "p50 output_tps over context_tokens falls by at most 30.2 % + 5 %",
        29.8 / 42.7,
    ),
    ("S06", "test_streaming.py::test_same_work_sooner_seen", "p50 visible: streamed=True / streamed=False", 0.083),
    ("S06", "test_streaming.py::test_same_work_sooner_seen", "p50 scenario: streamed=True / streamed=False", 1.0),
    ("S07", "test_sampling_parameters.py::test_temperature", "p50 output_tps: temperature=0.0 / temperature=0.7", 1.07),
    ("S07", "test_sampling_parameters.py::test_temperature", "p50 output_tps: temperature=1.0 / temperature=0.7", 0.96),
    ("S07", "test_sampling_parameters.py::test_top_p", "p50 output_tps: top_p=1.0 / top_p=0.9", 0.97),
    ("S07", "test_sampling_parameters.py::test_top_p", "p50 output_tps: top_p=0.5 / top_p=0.9", 1.0),
    ("S10", "test_regions.py::test_far_regions", "p50 ttft: us-west - us-east", 0.140),
    ("S10", "test_regions.py::test_far_regions", "p50 ttft: eu - us-east", 0.220),
    ("S10", "test_regions.py::test_far_regions", "p50 ttft: asia-pacific - us-east", 0.380),
    ("S12", "test_prompt_cache.py::TestSaving::test_small_prefix", "p50 e2e: warm / cold", 0.82),
    ("S12", "test_prompt_cache.py::TestSaving::test_large_prefix", "p50 e2e: warm / cold", 0.92),
    ("S12", "test_prompt_cache.py::test_time_to_live", "min hit [idle_minutes=59]", 1),
    ("S12", "test_prompt_cache.py::test_time_to_live", "max hit [idle_minutes=61]", 0),
    ("S13", "test_long_documents.py::test_summary", "p50 aggregate_tps [single pass]", 29.8),
    ("S13", "test_long_documents.py::test_summary", "p50 aggregate_tps [three chunks]", 38.1),
    ("S13", "test_long_documents.py::test_summary", "p50 aggregate_tps [map-reduce]", 42.3),
    (
        "S14",
        "test_long_documents.py::test_enough_context",
        "accuracy: context_tokens=10000 - context_tokens=3000",
        0.0,
    ),
    ("S22", "test_routing.py::test_routing", "mean cost: routed / single", 0.72),
    ("S23", "test_prompts.py::TestForms::test_concise", "p50 e2e: concise / verbose", 0.88),
    ("S23", "test_prompts.py::TestForms::test_tags_in_the_prompt", "p50 ttft: xml - plain", 0.140),
    ("S23", "test_prompts.py::TestForms::test_tags_in_the_answer", "p50 scenario: xml - text", 0.220),
    ("S23", "test_prompts.py::TestForms::test_tags_in_the_answer", "p50 scenario: json - text", 0.180),
    (
        "S23",
        "test_prompts.py::TestForms::test_long_system_message",
        "p50 ttft: system_tokens=600 - system_tokens=150",
        0.095,
    ),
    ("S23", "test_prompts.py::TestFewShotExamples::test_complete_more_often", "accuracy [shots=0]", 0.73),
    ("S23", "test_prompts.py::TestFewShotExamples::test_complete_more_often", "accuracy [shots=2]", 0.89),
    ("S23", "test_prompts.py::TestFewShotExamples::test_complete_more_often", "accuracy [shots=5]", 0.94),
    (
        "S23",
        "test_prompts.py::TestFewShotExamples::test_complete_more_often",
        "p50 output_tps: shots=5 / shots=0",
        0.92,
    ),
    ("S23", "test_prompts.py::TestFewShotExamples::test_cost_more", "mean cost: shots=5 / shots=0", 1.31),
    ("S28", "test_prompts.py::test_unusual_prompts", "p50 e2e: latex / plain", 2.3),
    ("S28", "test_prompts.py::test_unusual_prompts", "p50 e2e: mixed-scripts / plain", 1.15),
    ("S28", "test_prompts.py::test_unusual_prompts", "p50 ttft: nested - plain", 0.340),
    ("S28", "test_prompts.py::test_unusual_prompts", "p50 ttft: adversarial - plain", 1.840),
]
NO_MATTER_OF_THE_SERVICE = {
    # What fails these is another application, or another price.
    "test_batching.py::test_five_questions",
    "test_long_documents.py::test_enough_context",
    "test_prompts.py::TestFewShotExamples::test_cost_more",
    "test_routing.py::test_routing",
}
