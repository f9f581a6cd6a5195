"""What does each step of a study cost? Measured from the logs and records of finished studies.

    python benchmarks/step_costs.py . --configuration config.yaml --core-s 2913 --wall-s 1600 --cores 2

The first folder is that of a whole study, of which `time` told the core seconds and the wall time;
others (benchmarks/rare_steps.yaml) add steps and sizes that it lacks. Each log begins with the command
of its job and ends with what its process used. Core seconds of a process are shared among its steps by
their own times; what is left is the start of Python. Where the work of a step varies, a part that does
not grow with it is told apart. The table is what `quietpet plan-study` reads.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from quietpet.cli import job_of_command
from quietpet.files.contents import record_of
from quietpet.files.text import csv_cell, read_json
from quietpet.forecast.contents import Contents
from quietpet.forecast.costs import COLUMNS, MEASURED, TABLE, Cost, Study
from quietpet.forecast.jobs import Part, StudyJob
from quietpet.forecast.pace import logged
from quietpet.forecast.work import ANY, GFLOP, Work, works
from quietpet.provenance import processor
from quietpet.usage import Usage

BATCH = 8
"""Slices that are restored together."""

VARIED = 1.4
"""Work that differs by this factor between jobs tells what grows with it from what does not."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One step of one job: its work, its core seconds without the start, and the memory of its process.

    ``core_s`` is None of a step that keeps no record of its time. ``alone`` tells whether the process
    did the step for one method only, so that its memory is that of this one.
    """

    part: Part
    works: tuple[Work, ...]
    slices: int
    core_s: float | None
    start_core_s: float
    mib: float
    bytes: float
    alone: bool

    @property
    def key(self) -> tuple[str, str]:
        """The row of its cost."""
        return self.works[0].step, self.works[0].of

    @property
    def own(self) -> tuple[str, str]:
        """The row of its memory and files."""
        return self.part.step, self.works[0].of if self.works[0].step == self.part.step else ANY


def measured(folder: Path, found: Sequence[tuple[StudyJob, Usage]]) -> Iterator[Measured]:
    """All steps of all jobs."""
    contents = Contents([job for job, _ in found])
    for job, used in found:
        busy = min(1.0, used.core_s / used.wall_s) if used.wall_s else 1.0
        times = [recorded_s(folder, part) for part in job.parts]
        shares = [None if each is None else busy * each for each in times]
        start = max(0.0, used.core_s - sum(each or 0.0 for each in shares))
        found_works = [works(part, contents) for part in job.parts]
        kinds = {(part.step, each[0].of) for part, each in zip(job.parts, found_works, strict=True)}
        for part, work, share in zip(job.parts, found_works, shares, strict=True):
            yield Measured(
                part=part,
                works=work,
                alone=len(kinds) == len({step for step, _ in kinds}),
                slices=contents.of_part(part).slices,
                core_s=share,
                start_core_s=start,
                mib=used.mib,
                bytes=sum(size_of(folder / path) for path in part.outputs.all()),
            )


def recorded_s(folder: Path, part: Part) -> float | None:
    """Wall time that the files of a step tell; None if they do not."""
    records = [record_of(folder / path) for path in part.outputs.all()]
    times = [float(each["wall_s"]) for each in records if each and each.get("stage") == part.step]
    return max(times, default=None)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def table(steps: Sequence[Measured]) -> list[Cost]:
    """One row for each step and kind, those of networks of any kind last."""
    by_key: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for each in steps:
        by_key[each.key].append(each)
        if each.own != each.key:
            by_key[each.own].append(each)
    rows = [cost_of(key, members) for key, members in by_key.items()]
    networks = [each for each in steps if each.works[0].unit == GFLOP]
    pooled = {
        step: [each for each in networks if each.works[0].step == step] for step in ("fit", "restore")
    }
    return rows + [proportional((step, ANY), members) for step, members in pooled.items() if members]


def cost_of(key: tuple[str, str], members: Sequence[Measured]) -> Cost:
    """The row ``key`` of these steps."""
    priced = [each for each in members if each.key == key]
    fixed, per_unit = core_seconds([each for each in priced if each.core_s is not None])
    own = [each for each in members if each.own == key] or members
    among = [each for each in own if each.alone] or own
    slices = np.array([each.slices for each in among], dtype=float)
    resident = [max(0.0, each.mib - max(work.mib for work in each.works)) for each in among]
    written = [max(0.0, each.bytes - max(work.bytes for work in each.works)) for each in among]
    mib, mib_per_slice = memory(slices, np.array(resident))
    size, size_per_slice = growing(slices, np.array(written))
    return Cost(
        step=key[0],
        of=key[1],
        unit=priced[0].works[0].unit if priced else "-",
        jobs=len(own),
        start_core_s=statistics.median(each.start_core_s for each in members),
        fixed_core_s=fixed,
        core_s_per_unit=per_unit,
        mib=mib,
        mib_per_slice=mib_per_slice,
        bytes=size,
        bytes_per_slice=size_per_slice,
    )


def core_seconds(members: Sequence[Measured]) -> tuple[float, float]:
    """Core seconds that do not grow, and those of a unit, both at the reference size."""
    if not members:
        return 0.0, 0.0
    sizes = np.array([sum(work.size for work in each.works) for each in members])
    counts = np.array([sum(work.size * work.count for work in each.works) for each in members])
    seconds = np.array([each.core_s for each in members], dtype=float)
    if not counts.any():
        return float(seconds.mean() / sizes.mean()), 0.0
    varied = (counts / sizes).max() > VARIED * (counts / sizes).min()
    if not varied:
        return 0.0, float(seconds.sum() / counts.sum())
    weights = 1 / np.sqrt(np.maximum(seconds, 1e-3))  # neither the shortest nor the longest alone decide
    found, _ = nnls(np.stack([sizes, counts], axis=1) * weights[:, None], seconds * weights)
    return float(found[0]), float(found[1])


def growing(slices: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """What does not grow with the slices, and what each adds; neither is negative."""
    if slices.max() > VARIED * slices.min() > 0:
        columns = np.stack([np.ones(len(slices)), slices], axis=1)
        fixed, slope = nnls(columns, values)[0]
        return float(fixed), float(slope)
    if slices.min() > 0:
        return 0.0, float(values.sum() / slices.sum())
    return float(values.mean()), 0.0


def memory(slices: np.ndarray, mib: np.ndarray) -> tuple[float, float]:
    """The same, but no less than any value; below a batch, memory grows with the batch alone."""
    whole = slices >= BATCH
    varied = whole.any() and slices[whole].max() > VARIED * slices[whole].min()
    slope = growing(slices[whole], mib[whole])[1] if varied else 0.0
    return float((mib - slope * slices).max()), slope


def proportional(key: tuple[str, str], members: Sequence[Measured]) -> Cost:
    """Networks of a kind that was not measured: as all that were, together."""
    whole = cost_of(key, members)
    counts = sum(work.count for each in members for work in each.works)
    seconds = sum(each.core_s or 0.0 for each in members)
    return replace(whole, unit=GFLOP, fixed_core_s=0.0, core_s_per_unit=seconds / counts)


def fetched_bytes(folder: Path) -> float:
    """Mean size of the volumes of BrainWeb as they are fetched; 0 of a study of the template."""
    volumes = read_json(folder / "results/phantoms/source.json")["volumes"]
    sizes = [size_of(folder / path) for path in volumes.values()]
    return statistics.mean(sizes) if sizes else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="of finished studies, the whole one first")
    parser.add_argument(
        "--configuration", required=True, help="of the first study, as it is to be named"
    )
    parser.add_argument("--core-s", type=float, required=True, help="core seconds of the first study")
    parser.add_argument("--wall-s", type=float, required=True, help="wall time of the first study")
    parser.add_argument("--cores", type=int, required=True, help="cores of the first study")
    parser.add_argument("--output", type=Path, default=TABLE)
    options = parser.parse_args()
    logs = [list(logged(folder, job_of_command)) for folder in options.folders]
    steps = [
        each
        for folder, found in zip(options.folders, logs, strict=True)
        for each in measured(folder, found)
    ]
    jobs_core_s = sum(used.core_s for _, used in logs[0])
    study = Study(
        configuration=options.configuration,
        jobs=len(logs[0]),
        core_s=options.core_s,
        wall_s=options.wall_s,
        cores=options.cores,
        workflow_core_s=round(options.core_s - jobs_core_s, 1),
        processor=processor(),
    )
    volume = fetched_bytes(options.folders[0])
    rows = [replace(row, bytes_per_slice=volume) if row.step == "fetch" else row for row in table(steps)]
    write(options.output, study, rows)
    print(f"{options.output}: {len(rows)} rows; jobs {jobs_core_s:.0f} of {options.core_s:.0f} core s")


def write(path: Path, study: Study, rows: Sequence[Cost]) -> None:
    lines = [MEASURED + json.dumps(asdict(study)), ",".join(COLUMNS)]
    lines += [",".join(csv_cell(getattr(row, name)) for name in COLUMNS) for row in rows]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
