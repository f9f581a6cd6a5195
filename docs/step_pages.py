"""The pages of steps and files, made from the table of steps and the rules of the workflow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from configuration import escaped
from workflow_rules import RuleFiles

from quietpet.steps import NamedFile, Step

STEPS_INTRODUCTION = """\
# Steps

Made from the table of steps (`src/quietpet/steps`). A step is a verb of the command line, a module of
`quietpet.stages` and one or more rules of the workflow:

    quietpet <step> --settings '<json>' --in NAME=PATH ... --out NAME=PATH ...

`--settings` is the record of one job as JSON, whose fields stand below each step; `--threads` and
`--gpus` say what the job may use. The log of each job begins with its command. Names in brackets may be
left out; those with `...` may be given several times.
"""

FILES_INTRODUCTION = """\
# Files

Made from the rules of the small study (`config.yaml`) and the table of steps. Other studies have other
names of data sets, sources, windows and settings. Paths are relative to the working directory
(`--directory`).

- Files appear whole: they are written beside their place and renamed, and HDF5 files without the
  attribute `complete` are refused.
- `results/.sha256` has a digest of each, as `sha256sum` writes it. A step refuses what is not as it was
  made, and Snakemake does so where a table was changed (docs/determinism.md).
- HDF5, NIfTI, weights and JSON carry provenance: resolved settings, digests of the inputs, code
  fingerprint, versions, engines. Scores and tables have it in the JSON beside them.
- Images are `(z, y, x)` or `(slice, y, x)`, sinograms `(plane, view, bin)`; lengths are in mm. The
  attributes of a file say its units.
- Weights are safetensors; nothing is ever unpickled.
"""


def steps_page(steps: Iterable[Step]) -> str:
    """One section for each step: what it does, reads, writes and is told."""
    return "\n\n".join([STEPS_INTRODUCTION.strip(), *map(_step, steps)]) + "\n"


def files_page(steps: Iterable[Step], rules: Sequence[RuleFiles]) -> str:
    """One table for each step: the paths of what it writes, and what is in them."""
    sections = [_files(step, [rule for rule in rules if rule.step == step.name]) for step in steps]
    return "\n\n".join([FILES_INTRODUCTION.strip(), *filter(None, sections)]) + "\n"


def _step(step: Step) -> str:
    rows = ["| | name | content |", "|---|---|---|"]
    rows += [f"| in | `{file.usage}` | {escaped(file.content)} |" for file in step.inputs]
    rows += [f"| out | `{file.usage}` | {escaped(file.content)} |" for file in step.outputs]
    fields = ", ".join(f"`{name}`" for name in step.job.model_fields)
    told = f"Settings: {fields}." if fields else "Settings: none."
    return "\n\n".join([f"## {step.name}", escaped(step.summary), "\n".join(rows), told])


def _files(step: Step, rules: Sequence[RuleFiles]) -> str:
    # Several rules may make the same, of other inputs.
    patterns = {pattern for rule in rules for several in rule.outputs.values() for pattern in several}
    rows = list(
        dict.fromkeys(
            row
            for rule in rules
            for pattern, row in _rows(rule, step.outputs)
            if not any(_covers(other, pattern) for other in patterns - {pattern})
        )
    )
    if not rows:
        return ""
    return "\n".join([f"## {step.name}", "", "| path | content |", "|---|---|", *rows])


def _covers(general: str, special: str) -> bool:
    """Whether a pattern has wildcards where another has names."""
    wildcard = re.compile(r"\\{\w+\\}")
    return re.fullmatch(wildcard.sub("[^.]+", re.escape(general)), special) is not None


def _rows(rule: RuleFiles, outputs: Sequence[NamedFile]) -> Iterator[tuple[str, str]]:
    contents: dict[str, Any] = {file.name: file.content for file in outputs}
    for name, patterns in rule.outputs.items():
        for pattern in patterns:
            yield pattern, f"| `{pattern}` | {escaped(contents[name])} |"
