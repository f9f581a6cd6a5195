"""What work costs, as measured: the table ``costs.csv``, which ``benchmarks/step_costs.py`` makes."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from quietpet.errors import InputError, reading
from quietpet.forecast.contents import Contents
from quietpet.forecast.jobs import Part, StudyJob
from quietpet.forecast.work import ANY, Work, works

TABLE = Path(__file__).with_name("costs.csv")

MEASURED = "# measured: "
"""What begins the first line of the table: the study that it was made from, as JSON."""

INTERMEDIATE = ("simulate", "thin", "reconstruct")
"""Steps whose files go as soon as nothing waits for them, where QUIETPET_KEEP is needed."""


@dataclass(frozen=True)
class Cost:
    """One row: what a step costs, ``of`` a kind of method or phantom, of so many measured ``jobs``.

    A process takes ``start_core_s`` to import what the step needs, before it works. Memory and files
    grow with the slices that the step goes through.
    """

    step: str
    of: str
    unit: str
    jobs: int
    start_core_s: float
    fixed_core_s: float
    core_s_per_unit: float
    mib: float
    mib_per_slice: float
    bytes: float
    bytes_per_slice: float


COLUMNS = tuple(field.name for field in fields(Cost))


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was measured of the whole study that the table was made from.

    ``workflow_core_s`` are those of Snakemake itself, which are no job's.
    """

    configuration: str
    jobs: int
    core_s: float
    wall_s: float
    cores: int
    workflow_core_s: float
    processor: str


@dataclass(frozen=True, kw_only=True)
class JobCost:
    """What one job is expected to take.

    ``core_s`` are without the ``flop`` of networks that a GPU does. ``kept`` and ``intermediate`` are
    bytes of files. ``unknown`` are steps that were never measured: they count as nothing but their
    start.
    """

    core_s: float
    flop: float
    mib: float
    kept: float
    intermediate: float
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The table, and the study that it was made from."""

    study: Study
    rows: Mapping[tuple[str, str], Cost]

    def of(self, step: str, of: str = ANY) -> Cost | None:
        """The row of a step of this kind, or of any; None where none was measured."""
        return self.rows.get((step, of)) or self.rows.get((step, ANY))

    @property
    def start_core_s(self) -> float:
        """Of a step that was not measured: the longest start."""
        return max(cost.start_core_s for cost in self.rows.values())

    @property
    def workflow_core_s_per_job(self) -> float:
        """Of Snakemake itself."""
        return self.study.workflow_core_s / self.study.jobs

    def scaled(self, ratio: float) -> Costs:
        """Those of a machine on which all takes ``ratio`` times as many core seconds."""
        rows = {
            key: replace(
                row,
                start_core_s=ratio * row.start_core_s,
                fixed_core_s=ratio * row.fixed_core_s,
                core_s_per_unit=ratio * row.core_s_per_unit,
            )
            for key, row in self.rows.items()
        }
        study = replace(self.study, workflow_core_s=ratio * self.study.workflow_core_s)
        return Costs(study=study, rows=rows)

    def job(self, job: StudyJob, contents: Contents) -> JobCost:
        """What ``job`` takes; on a GPU networks take no core seconds."""
        parts = [(part, works(part, contents)) for part in job.parts]
        every = [(work, self.of(work.step, work.of)) for _, found in parts for work in found]
        starts = [cost.start_core_s if cost else self.start_core_s for _, cost in every]
        on_gpu = job.gpus > 0
        files = [(part.step, self._bytes(part, found, contents)) for part, found in parts]
        return JobCost(
            core_s=max(starts) + sum(_core_s(work, cost, on_gpu=on_gpu) for work, cost in every if cost),
            flop=sum(work.flop for work, _ in every) if on_gpu else 0.0,
            mib=max(self._mib(part, found, contents) for part, found in parts),
            kept=sum(size for step, size in files if step not in INTERMEDIATE),
            intermediate=sum(size for step, size in files if step in INTERMEDIATE),
            unknown=tuple(dict.fromkeys(work.step for work, cost in every if cost is None)),
        )

    def _bytes(self, part: Part, found: Sequence[Work], contents: Contents) -> float:
        cost = self._own(part, found)
        weights = max((work.bytes for work in found if work.step == part.step), default=0.0)
        if cost is None:
            return weights
        return cost.bytes + cost.bytes_per_slice * contents.of_part(part).slices + weights

    def _mib(self, part: Part, found: Sequence[Work], contents: Contents) -> float:
        cost, of_networks = self._own(part, found), max((work.mib for work in found), default=0.0)
        if cost is None:
            return of_networks
        return cost.mib + cost.mib_per_slice * contents.of_part(part).slices + of_networks

    def _own(self, part: Part, found: Sequence[Work]) -> Cost | None:
        """The row of the step itself, which may be priced as another one."""
        of = next((work.of for work in found if work.step == part.step), ANY)
        return self.of(part.step, of) or next(
            (cost for work in found if (cost := self.of(work.step, work.of))), None
        )


def _core_s(work: Work, cost: Cost, *, on_gpu: bool) -> float:
    per_unit = 0.0 if on_gpu and work.flop else cost.core_s_per_unit
    return work.size * (cost.fixed_core_s + per_unit * work.count)


def read_costs(path: Path = TABLE) -> Costs:
    """Read the table.

    Raises:
        InputError: it is missing, or not as ``benchmarks/step_costs.py`` writes it.
    """
    with reading(path, "no table of costs as benchmarks/step_costs.py writes it", KeyError, TypeError):
        first, *lines = path.read_text().splitlines()
        if not first.startswith(MEASURED):
            raise InputError(f"{path}: its first line does not begin with {MEASURED!r}; make it anew.")
        study = Study(**json.loads(first.removeprefix(MEASURED)))
        rows = [_row(row) for row in csv.DictReader(lines)]
    return Costs(study=study, rows={(row.step, row.of): row for row in rows})


def _row(row: Mapping[str, str]) -> Cost:
    step, of, unit, jobs, *numbers = (row[name] for name in COLUMNS)
    return Cost(step, of, unit, int(jobs), *map(float, numbers))
