"""What the rules of the workflow make, as Snakemake itself reads them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from snakemake.api import SnakemakeApi
from snakemake.io import strip_wildcard_constraints
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings, ResourceSettings

from quietpet.chain import THEN
from quietpet.steps import STEPS

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class RuleFiles:
    """One step of a rule, and the patterns of its outputs by their names."""

    rule: str
    step: str
    outputs: dict[str, tuple[str, ...]]


def rules_of_the_small_study() -> list[RuleFiles]:
    """In the order of the workflow. Other studies have other names of data sets and windows."""
    with (
        mock.patch.dict(os.environ),  # the rules set what jobs of a cluster are told
        tempfile.TemporaryDirectory() as folder,
        SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as snakemake,
    ):
        workflow = snakemake.workflow(
            resource_settings=ResourceSettings(cores=1),
            snakefile=REPOSITORY / "Snakefile",
            workdir=Path(folder),
        )
        # Snakemake has no public list of rules with their files.
        return list(_of_steps(workflow._workflow.rules))


def _of_steps(rules) -> Iterator[RuleFiles]:
    for rule in rules:
        links = re.findall(
            rf"(?:^\s*(?:\{{params\.srun\}})?quietpet| {THEN}) (\w+).*?\{{params\.\1_?(\w*)_settings",
            rule.shellcmd or "",
        )
        for step, setting in links:
            outputs = {
                file.name: _patterns(files)
                for file in STEPS[step].outputs
                if (files := _of_name(rule.output, step, setting, file.name))
            }
            yield RuleFiles(rule=rule.name, step=step, outputs=outputs)


def _of_name(files, step: str, setting: str, name: str):
    """What a rule calls ``<step>_<name>`` or ``name``; of several settings ``<setting>_<name>``."""
    given = dict(files.items())
    if setting:
        return given.get(f"{setting}_{name}")
    return given.get(f"{step}_{name}", given.get(name))


def _patterns(files) -> tuple[str, ...]:
    several = [files] if isinstance(files, str) else files
    return tuple(strip_wildcard_constraints(str(pattern)) for pattern in several)
