"""Write the generated pages of the documentation: python docs/generate.py [--check].

A test compares the pages in the repository with what this makes.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from configuration import configuration_page
from metric_page import metrics_page
from rooms import rooms_page
from step_pages import files_page, steps_page
from workflow_rules import rules_of_the_small_study

from quietpet.config.evaluation import EvaluationSettings
from quietpet.evaluation.metrics import METRICS
from quietpet.steps import STEPS
from quietpet.study.reading import json_schema

REFERENCE = Path(__file__).with_name("reference")


def main() -> int:
    stale, texts = stale_pages(), pages()
    if "--check" in sys.argv:
        for name in stale:
            print(f"{REFERENCE / name} is stale: python docs/generate.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (REFERENCE / name).write_text(texts[name])
        print(REFERENCE / name)
    return 0


def stale_pages() -> list[str]:
    """Names of the pages that are not, or not as :func:`pages` makes them."""
    return [name for name, text in pages().items() if _written(name) != text]


@functools.cache
def pages() -> dict[str, str]:
    """Text of every generated page, by its name in ``docs/reference``."""
    steps = tuple(STEPS.values())
    return {
        "configuration.md": configuration_page(json_schema()),
        "steps.md": steps_page(steps),
        "rooms.md": rooms_page(),
        "metrics.md": metrics_page(
            METRICS, paper_window_pixels=EvaluationSettings().paper_window_pixels
        ),
        "files.md": files_page(steps, rules_of_the_small_study()),
    }


def _written(name: str) -> str | None:
    path = REFERENCE / name
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
