"""``fetch_invivo``: have one participant's PET, T1 and side-cars on disk, and say where."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quietpet.data_source import is_standin
from quietpet.errors import InputError
from quietpet.invivo.openneuro import (
    TABLE,
    DownloadError,
    RemoteFile,
    already_there,
    download,
    files_of,
    image_wanted,
    missing,
    read_manifest,
    total_bytes,
)
from quietpet.invivo.scans import Image
from quietpet.jobs.invivo import FetchInvivoJob
from quietpet.progress import track
from quietpet.provenance import Stopwatch, provenance
from quietpet.stages.bids import read_participant
from quietpet.stages.files import Files
from quietpet.store import write_json

logger = logging.getLogger(__name__)


def run(job: FetchInvivoJob, inputs: Files, outputs: Files) -> None:
    """``description`` (of a stand-in tree) or nothing -> ``located`` (JSON: root and file names)."""
    watch = Stopwatch()
    description = inputs.get("description")
    root = description.parent if description else Path(job.root)
    version = _fetched(job, root) if job.source.kind == "openneuro" else None
    participant = read_participant(root, f"sub-{job.participant}")
    pet = [image for image in participant.pet if _wanted(image, job)]
    _require_one_series(pet, job)
    t1 = [image for image in participant.t1 if image.header or image.fault]
    pet = [image for image in pet if image.header or image.fault]
    if not pet:
        raise InputError(
            f"{root}: has no PET image of sub-{job.participant} with entities {job.source.entities} and "
            f"runs {list(job.source.runs) or 'of any number'}"
            f"{_links(participant.pet)}; {_there(participant.pet)}. Correct invivo.sources.{job.name}."
        )
    if not t1:
        raise InputError(
            f"{root}/sub-{job.participant}: has no T1-weighted image (anat/*_T1w.nii.gz), to which PET "
            f"is registered{_links(participant.t1)}. Add it, or leave the participant out of "
            "invivo.datasets."
        )
    write_json(
        outputs.one("located"),
        {
            "root": str(root),
            "runs": _names(image for image in participant.pet if _wanted(image, job, any_run=True)),
            "pet": _names(pet),
            "t1": _names(_same_session(t1, pet[0]))[0],
            "data_source": _data_source(job, pet[0]),
            "version": version,
            "provenance": provenance(
                "fetch_invivo", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )


def _fetched(job: FetchInvivoJob, root: Path) -> str:
    """Have all files of the participant below ``root``; the version they are of."""
    source = job.source
    manifest = read_manifest(Path(source.manifest) if source.manifest else TABLE, source.accession or "")
    if not any(file.path.startswith(f"sub-{job.participant}/") for file in manifest):
        raise InputError(
            f"invivo.datasets: {source.accession} has no participant {job.participant!r}; names are as "
            "in the folders, without 'sub-'."
        )
    needed = files_of(manifest, participant=job.participant, entities=source.entities, runs=source.runs)
    absent = missing(needed, root)
    if absent:
        _require_room(absent, root)
        logger.info(
            "%s of %s: %d files, %.2f GB", job.participant, source.accession, len(absent),
            total_bytes(absent) / 1e9,
        )  # fmt: skip
    try:
        for file in track(absent, label="OpenNeuro", total=len(absent), unit="files"):
            download(file, root)
    except DownloadError as error:
        raise InputError(
            f"{error}. Run the same command again to go on, or fetch {source.accession} yourself and "
            f"name its folder in invivo.sources.{job.name}.root."
        ) from None
    return manifest[0].version


def _require_room(absent: Sequence[RemoteFile], root: Path) -> None:
    folder = next(path for path in (root, *root.absolute().parents) if path.exists())
    free, needed = shutil.disk_usage(folder).free, total_bytes(absent) - already_there(absent, root)
    if free < needed:
        raise InputError(
            f"{root}: needs {needed / 1e9:.1f} GB, but its disk has {free / 1e9:.1f} GB left; make "
            "room, or set root in invivo.sources to a larger disk."
        )


def _wanted(image: Image, job: FetchInvivoJob, *, any_run: bool = False) -> bool:
    return image_wanted(image.stem, job.source.entities, () if any_run else job.source.runs)


def _require_one_series(pet: Sequence[Image], job: FetchInvivoJob) -> None:
    """Images that differ in more than their run are different reconstructions, tracers or sessions."""
    kinds = {
        tuple(sorted((name, value) for name, value in image.entities.items() if name != "run"))
        for image in pet
    }
    if len(kinds) > 1:
        names = ", ".join(image.stem.rpartition("/")[2] for image in pet)
        raise InputError(
            f"invivo.sources.{job.name}: sub-{job.participant} has several PET images, {names}; say "
            "which by entities, such as {rec: acdyn}."
        )


def _there(images: Sequence[Image]) -> str:
    names = [image.stem.rpartition("/")[2] for image in images if image.header or image.fault]
    return f"there are {', '.join(names)}" if names else "there is none"


def _links(images: Sequence[Image]) -> str:
    names = [image.stem.rpartition("/")[2] for image in images if image.not_fetched]
    return (
        f" ({', '.join(names)}: links whose content was not fetched; try `datalad get`)" if names else ""
    )


def _same_session(t1: Sequence[Image], pet: Image) -> Sequence[Image]:
    """T1 images of the session of ``pet``, where there are any."""
    own = [image for image in t1 if image.entities.get("ses") == pet.entities.get("ses")]
    return own or t1


def _names(images: Any) -> list[str]:
    """Names in the order in which the images were acquired, as far as their side-cars tell."""
    ordered = sorted(images, key=lambda image: (image.acquired_clock_s or 0.0, image.stem))
    return [image.stem.rpartition("/")[2] for image in ordered]


def _data_source(job: FetchInvivoJob, pet: Image) -> str:
    """Value of the table column of this name; simulated scans say so themselves, wherever they lie."""
    simulated = str(pet.sidecar.get("SimulatedData", ""))
    return simulated if is_standin(simulated) else job.source.accession or job.name
