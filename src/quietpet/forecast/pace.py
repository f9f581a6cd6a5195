"""How fast a machine is beside the one that costs were measured on: logs of a study tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quietpet.errors import InputError
from quietpet.forecast.contents import Contents
from quietpet.forecast.costs import Costs
from quietpet.forecast.jobs import StudyJob, commands_in
from quietpet.usage import Usage, usage_of

JobReader = Callable[[Sequence[str]], StudyJob]
"""From the arguments of a command of the workflow to its job."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What the jobs of a finished study took, beside what the table of costs says of them."""

    folder: str
    jobs: int
    core_s: float
    planned_core_s: float

    @property
    def ratio(self) -> float:
        return self.core_s / self.planned_core_s


def logged(folder: Path, job_of: JobReader) -> Iterator[tuple[StudyJob, Usage]]:
    """Every finished job that has a log below ``folder``/logs."""
    for path in sorted((folder / "logs").rglob("*.log")):
        lines = path.read_text().splitlines()
        command, used = next(commands_in(lines), None), usage_of(lines)
        if command and used:
            yield job_of(command), used


def pace_of(folder: Path, costs: Costs, job_of: JobReader) -> Pace:
    """The pace of the machine on which the study in ``folder`` ran; jobs with a GPU tell nothing of it.

    Raises:
        InputError: no job has left its log there.
    """
    found = list(logged(folder, job_of))
    contents = Contents([job for job, _ in found])
    alone = [(job, used) for job, used in found if not job.gpus]
    if not alone:
        raise InputError(
            f"{folder}: no finished job without a GPU has left its log in {folder / 'logs'}; name the "
            "working directory of a study that ran on this machine."
        )
    return Pace(
        folder=str(folder),
        jobs=len(alone),
        core_s=sum(used.core_s for _, used in alone),
        planned_core_s=sum(costs.job(job, contents).core_s for job, _ in alone),
    )
