"""What the plugin costs a run without marked tests: `python benchmarks/idle.py [pairs]`.

Starts pytest on a file of three plain tests, with the plugin and without, in pairs of random order, so that whatever
else the machine does falls on both alike. Prints processor and wall time, and the median of the ratios within pairs
with its 95 % interval. Other plugins that are installed are left out of both.
"""

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = """
import pytest

def test_plain(): ...

@pytest.mark.parametrize("x", [1, 2])
def test_parameters(x): ...
"""
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": ""}
WAYS = {"with": ("-p", "pytest_llmperf.plugin"), "without": ()}


def seconds(path: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Processor and wall time of one run."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(path)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | ALONE)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test_idle.py"
        path.write_text(SOURCE)
        for arguments in WAYS.values():  # compiles what is not compiled yet
            seconds(path, arguments)
        for _ in range(pairs):
            for way in random.sample(list(WAYS), len(WAYS)):
                taken[way].append(seconds(path, WAYS[way]))

    from pytest_llmperf.statistics.quantiles import quantile_estimate

    print(f"{pairs} pairs; seconds, median")
    print(f"{'':12}{'with':>8}{'without':>10}{'ratio':>8}   95 % interval")
    for index, name in enumerate(("processor", "wall")):
        ours, bare = ([each[index] for each in taken[way]] for way in ("with", "without"))
        ratio = quantile_estimate([a / b for a, b in zip(ours, bare, strict=True)], 0.5, 0.95)
        medians = f"{statistics.median(ours):8.3f}{statistics.median(bare):10.3f}"
        print(f"{name:12}{medians}{ratio.value:8.3f}   {ratio.low:.3f} … {ratio.high:.3f}")


if __name__ == "__main__":
    main()
