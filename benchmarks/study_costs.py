"""How do the costs of a study grow with slices, subjects and methods, Snakemake's own time included?

    python benchmarks/study_costs.py --output benchmarks/results
    python benchmarks/study_costs.py --subjects 10 100 1000 --figure docs/planning.png
    python benchmarks/study_costs.py --batches 10 --subjects 1000

Core seconds of jobs are planned (`quietpet plan-study`); nothing is simulated or trained. What Snakemake
takes to find the jobs is measured: a dry run of each study. Studies are of the template, whose subjects
never end. With `--batches N` the dry run is of the first of N parts of the data alone (`snakemake
--batch counts=1/N`).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import yaml

from quietpet.cli import job_of_command
from quietpet.commands.plan_study import dry_run, found_snakefile
from quietpet.files.text import csv_cell, markdown_row
from quietpet.forecast.costs import read_costs
from quietpet.forecast.jobs import commands_in
from quietpet.forecast.plan import Machine, Plan, plan
from quietpet.forecast.traffic import Traffic
from quietpet.provenance import processor

COUNTS = {"counts": 1e8, "psf_fwhm_mm": 4.0, "iterations": 10, "subsets": 14}
NETWORK = {"kind": "unet", "inputs": ["low", "t1"], "features": [16, 32, 64, 64, 128, 16]}
SCANNER_SLICES = 100


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a study is."""

    subjects: int = 20
    slices_per_subject: int = 50
    methods: int = 2

    @property
    def slices(self) -> int:
        return self.subjects * self.slices_per_subject

    def configuration(self) -> dict[str, Any]:
        """A study of the template: a fifth of the subjects validates and tests."""
        names = [f"s{number:05d}" for number in range(self.subjects)]
        held_out = max(1, self.subjects // 10)
        rotations = -(-self.slices_per_subject // SCANNER_SLICES)
        networks = {f"unet_{number}": dict(NETWORK) for number in range(self.methods)}
        return {
            "protocol": "growth",
            "study_seed": 1,
            "phantoms": {"source": "template"},
            "slices": {
                "indices": list(range(self.slices_per_subject // rotations)),
                "rotations": rotations,
            },
            "splits": {
                "train": names[: -2 * held_out],
                "validation": names[-2 * held_out : -held_out],
                "test": names[-held_out:],
            },
            "doses": {"standard": {**COUNTS, "counts": 1e10}, "low": {"low": COUNTS}},
            "training": {"iterations": 1000, "patch_pixels": 64},
            "inference": {"pixels": 128},
            "methods": {"lpet": {}, **networks},
        }


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one study takes: its plan, and what Snakemake's dry run and the plan took."""

    size: Size
    found: Plan
    dry_run_s: float
    dry_run_core_s: float
    plan_s: float


def planned(size: Size, *, batches: int = 0) -> Point:
    """Plan a study; with ``batches``, its first one of the data."""
    machine = Machine(cores=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(yaml.safe_dump(size.configuration()))
        targets = ["results/counts.csv", "--batch", f"counts=1/{batches}"] if batches else []
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = dry_run(path, targets, machine=machine, snakefile=found_snakefile(), folder=Path(folder))
        after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        jobs = [job_of_command(words) for words in commands_in(lines)]
        found = plan(jobs, read_costs(), machine, Traffic(brainweb=0, openneuro=0))
    return Point(
        size=size,
        found=found,
        dry_run_s=ended - began,
        dry_run_core_s=sum(
            getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime")
        ),
        plan_s=time.monotonic() - ended,
    )


def sizes(subjects: Sequence[int]) -> dict[str, list[Size]]:
    """What grows, and how."""
    return {
        "slices per subject": [Size(slices_per_subject=each) for each in (5, 50, 500, 5000)],
        "methods": [Size(methods=each) for each in (1, 4, 16)],
        "subjects": [Size(subjects=each) for each in subjects],
    }


HEADER = (
    "grows", "subjects", "slices", "methods", "jobs", "core s of jobs", "core s of Snakemake", "GiB",
    "dry run (s)", "dry run (core s)", "plan (s)",
)  # fmt: skip


def rows(points: dict[str, list[Point]]) -> Iterator[str]:
    yield markdown_row(HEADER)
    yield "|" + "---|" * len(HEADER)
    for name, found in points.items():
        for each in found:
            size, own = each.size, each.found
            values = (
                own.core_s - own.workflow_core_s, own.workflow_core_s, own.bytes / 2**30, each.dry_run_s,
                each.dry_run_core_s, each.plan_s,
            )  # fmt: skip
            numbers = [csv_cell(float(f"{value:.3g}")) for value in values]
            yield markdown_row([name, size.subjects, size.slices, size.methods, own.jobs, *numbers])


def draw(points: dict[str, list[Point]], path: Path) -> None:
    """Core seconds of jobs and of a dry run, and the number of jobs, against what grows."""
    figure, axes = plt.subplots(1, len(points), figsize=(10, 3.2), layout="constrained", sharey=True)
    against = {
        "slices per subject": lambda size: size.slices,
        "subjects": lambda size: size.slices,
        "methods": lambda size: size.methods,
    }
    labels = {"slices per subject": "slices of 20 subjects", "subjects": "slices, 50 per subject"}
    for axis, (name, found) in zip(axes, points.items(), strict=True):
        x = [against[name](each.size) for each in found]
        jobs = [each.found.core_s - each.found.workflow_core_s for each in found]
        axis.loglog(x, jobs, "o-", label="core s of jobs (planned)")
        axis.loglog(
            x, [each.dry_run_core_s for each in found], "s--", label="core s of a dry run (measured)"
        )
        axis.loglog(x, [each.found.jobs for each in found], "^:", label="jobs")
        axis.set_xlabel(labels.get(name, name))
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, nargs="+", default=[10, 30, 100, 300, 1000])
    parser.add_argument("--batches", type=int, default=0, help="plan the first of so many parts alone")
    parser.add_argument("--figure", type=Path, help="PNG")
    parser.add_argument("--output", type=Path, help="folder for study-costs.md")
    options = parser.parse_args()
    asked = sizes(options.subjects)
    if options.batches:
        asked = {"subjects": asked["subjects"]}
    points: dict[str, list[Point]] = {}
    for name, found in asked.items():
        for size in found:
            point = planned(size, batches=options.batches)
            points.setdefault(name, []).append(point)
            print(
                name,
                size,
                f"{point.found.jobs} jobs, {point.dry_run_s:.1f} s",
                file=sys.stderr,
                flush=True,
            )
    report = [f"{processor()}; snakemake {importlib.metadata.version('snakemake')}.", "", *rows(points)]
    print("\n".join(report))
    if options.figure and not options.batches:
        draw(points, options.figure)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "study-costs.md").write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
