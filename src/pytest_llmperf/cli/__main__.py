"""`python -m pytest_llmperf.cli` is `llmperf`."""

import sys

from pytest_llmperf.cli import main

if __name__ == "__main__":
    sys.exit(main())
