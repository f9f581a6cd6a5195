"""The plan of a study: what its jobs take together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from quietpet.forecast.contents import Contents
from quietpet.forecast.costs import Costs, JobCost
from quietpet.forecast.jobs import StudyJob
from quietpet.forecast.pace import Pace
from quietpet.forecast.schedule import Task, run
from quietpet.forecast.traffic import Traffic

_HOUR_S = 3600.0
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a study runs on; a GPU does so many TFLOP of a network per second, in the mean."""

    cores: int = 1
    gpus: int = 0
    gpu_tflop_per_s: float = 10.0


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """All jobs of the same steps."""

    steps: str
    jobs: int
    core_s: float
    gpu_s: float
    mib: float
    bytes: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study takes.

    ``workflow_core_s`` are those of Snakemake itself, in ``core_s`` of the whole and in no step.
    ``bytes`` is all that jobs make; ``needed_bytes`` what is left, and ``most_needed_bytes`` what lies
    there at most, with QUIETPET_KEEP=needed. ``unknown`` are steps that were never measured.
    """

    machine: Machine
    steps: tuple[StepPlan, ...]
    workflow_core_s: float
    wall_s: float
    bytes: float
    needed_bytes: float
    most_needed_bytes: float
    traffic: Traffic
    unknown: tuple[str, ...]

    @property
    def jobs(self) -> int:
        return sum(step.jobs for step in self.steps)

    @property
    def core_s(self) -> float:
        return self.workflow_core_s + sum(step.core_s for step in self.steps)

    @property
    def gpu_s(self) -> float:
        return sum(step.gpu_s for step in self.steps)

    @property
    def mib(self) -> float:
        """Of the largest job."""
        return max((step.mib for step in self.steps), default=0.0)


def plan(jobs: Sequence[StudyJob], costs: Costs, machine: Machine, traffic: Traffic) -> Plan:
    """What ``jobs``, in the order in which they would start, take on ``machine``."""
    contents = Contents(jobs)
    found = [(job, costs.job(job, contents)) for job in jobs]
    per_job_s = costs.workflow_core_s_per_job
    tasks = [_task(job, cost, machine) for job, cost in found]
    ran = run(tasks, cores=machine.cores, gpus=machine.gpus)
    kept, intermediate = (
        sum(getattr(cost, name) for _, cost in found) for name in ("kept", "intermediate")
    )
    return Plan(
        machine=machine,
        steps=tuple(_by_step(found, machine)),
        workflow_core_s=len(jobs) * per_job_s,
        # Snakemake itself runs beside its jobs, on the same cores.
        wall_s=ran.wall_s + len(jobs) * per_job_s / machine.cores,
        bytes=kept + intermediate,
        needed_bytes=kept,
        most_needed_bytes=ran.most_bytes,
        traffic=traffic,
        unknown=tuple(sorted({step for _, cost in found for step in cost.unknown})),
    )


def _task(job: StudyJob, cost: JobCost, machine: Machine) -> Task:
    return Task(
        seconds=cost.core_s + _gpu_s(cost, machine),
        threads=job.threads,
        gpus=job.gpus,
        read=job.read,
        made=job.made,
        kept=cost.kept,
        passing=cost.intermediate,
    )


def _gpu_s(cost: JobCost, machine: Machine) -> float:
    return cost.flop / (1e12 * machine.gpu_tflop_per_s)


def _by_step(found: Sequence[tuple[StudyJob, JobCost]], machine: Machine) -> Iterator[StepPlan]:
    """In the order in which the first of each would start."""
    first = {name: number for number, name in reversed([*enumerate(job.name for job, _ in found)])}
    in_order = sorted(found, key=lambda each: first[each[0].name])
    for name, members in groupby(in_order, key=lambda each: each[0].name):
        costs = [cost for _, cost in members]
        gpu_s = sum(_gpu_s(cost, machine) for cost in costs)
        yield StepPlan(
            steps=name,
            jobs=len(costs),
            core_s=sum(cost.core_s for cost in costs) + gpu_s,  # a core waits for the GPU
            gpu_s=gpu_s,
            mib=max(cost.mib for cost in costs),
            bytes=sum(cost.kept + cost.intermediate for cost in costs),
        )


def as_json(found: Plan, pace: Pace | None = None) -> dict[str, Any]:
    """All of it, for programs; ``pace`` is what costs were scaled by."""
    own = {name: getattr(found, name) for name in ("jobs", "core_s", "gpu_s", "mib")}
    scaled = {"pace": {**asdict(pace), "ratio": pace.ratio}} if pace else {}
    return {**own, **asdict(found), "network_bytes": found.traffic.bytes, **scaled}


def as_lines(found: Plan, costs: Costs, pace: Pace | None = None) -> Iterator[str]:
    """For readers: a table of steps, then the whole; ``pace`` is what ``costs`` were scaled by."""
    machine, study = found.machine, costs.study
    width = max(len(step.steps) for step in found.steps)
    columns = f"{'jobs':>7} {'core h':>9} {'GPU h':>8} {'MiB':>7} {'GiB on disk':>12}"
    yield f"{'steps of a job':<{width}}  {columns}"
    for step in found.steps:
        yield (
            f"{step.steps:<{width}}  {step.jobs:>7} {_hours(step.core_s):>9} {_hours(step.gpu_s):>8} "
            f"{step.mib:>7.0f} {step.bytes / _GIB:>12.3f}"
        )
    yield f"{'Snakemake itself':<{width}}  {'':>7} {_hours(found.workflow_core_s):>9}"
    on = [_many(machine.cores, "core")]
    if machine.gpus:
        on.append(f"{_many(machine.gpus, 'GPU')} of {machine.gpu_tflop_per_s:g} TFLOP/s")
    yield (
        f"{_many(found.jobs, 'job')}, {_hours(found.core_s)} core hours, {_hours(found.gpu_s)} GPU "
        f"hours; {_hours(found.wall_s)} hours on {' and '.join(on)}."
    )
    yield f"Memory: {found.mib:.0f} MiB of the largest job."
    yield (
        f"Disk: {found.bytes / _GIB:.2f} GiB. With QUIETPET_KEEP=needed {found.needed_bytes / _GIB:.2f} "
        f"GiB stay, and at most {found.most_needed_bytes / _GIB:.2f} GiB lie there."
    )
    yield (
        f"Network: {found.traffic.bytes / 1e9:.3f} GB ({found.traffic.brainweb / 1e9:.3f} of BrainWeb, "
        f"{found.traffic.openneuro / 1e9:.3f} of OpenNeuro)."
    )
    if found.unknown:
        yield f"Not measured, and counted as a start of Python alone: {', '.join(found.unknown)}."
    yield (
        f"Costs were measured on {study.processor}, of {study.configuration}: {study.jobs} jobs, "
        f"{study.core_s:.0f} core seconds. What a GPU does in a second was not."
    )
    if pace:
        yield (
            f"All were multiplied by {pace.ratio:.2f}: {_many(pace.jobs, 'job')} of {pace.folder} took "
            f"{pace.core_s:.0f} core seconds, where they say {pace.planned_core_s:.0f}."
        )


def _hours(seconds: float) -> str:
    """To three digits, without an exponent for what is long."""
    hours = seconds / _HOUR_S
    return f"{hours:.3g}" if hours < 999.5 else f"{hours:,.0f}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
