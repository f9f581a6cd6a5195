"""What a study fetches: BrainWeb's volumes and files of OpenNeuro that are not there yet."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quietpet.forecast.costs import Costs
from quietpet.forecast.jobs import StudyJob
from quietpet.invivo.openneuro import TABLE, RemoteFile, files_of, read_manifest
from quietpet.jobs.invivo import FetchInvivoJob
from quietpet.jobs.job import Job
from quietpet.jobs.phantoms import FetchJob
from quietpet.phantom.brainweb import file_name


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bytes over the network."""

    brainweb: float
    openneuro: float

    @property
    def bytes(self) -> float:
        return self.brainweb + self.openneuro


def traffic(jobs: Iterable[StudyJob], costs: Costs, *, folders: Sequence[Path]) -> Traffic:
    """What ``jobs`` fetch; what is there, as seen from one of the ``folders``, is not fetched again."""
    of_jobs = [part.job for job in jobs for part in job.parts]
    volume = costs.of("fetch")

    def absent(path: Path) -> bool:
        return not any((folder / path).exists() for folder in folders)

    heads = [path for path in _volumes(of_jobs) if absent(path)]
    files = {place: each.bytes for place, each in _files(of_jobs, folders) if absent(place)}
    return Traffic(
        brainweb=len(heads) * (volume.bytes_per_slice if volume else 0.0),
        openneuro=sum(files.values()),
    )


def _volumes(jobs: Iterable[Job]) -> Iterator[Path]:
    for job in jobs:
        if isinstance(job, FetchJob) and job.source != "template":
            yield from (Path(job.cache_dir) / file_name(subject) for subject in job.subjects)


def _files(jobs: Iterable[Job], folders: Sequence[Path]) -> Iterator[tuple[Path, RemoteFile]]:
    """Every file of OpenNeuro by its place; the small ones are needed for every participant."""
    for job in jobs:
        if isinstance(job, FetchInvivoJob) and job.source.kind == "openneuro":
            needed = files_of(
                _manifest(job.source.manifest, job.source.accession or "", tuple(folders)),
                participant=job.participant,
                entities=job.source.entities,
                runs=job.source.runs,
            )
            yield from ((Path(job.root) / file.path, file) for file in needed)


@functools.cache
def _manifest(named: str | None, accession: str, folders: tuple[Path, ...]) -> list[RemoteFile]:
    tables = [folder / named for folder in folders] if named else [TABLE]
    return read_manifest(next((each for each in tables if each.exists()), tables[0]), accession)
