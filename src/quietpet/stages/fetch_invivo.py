"""``fetch_invivo``: have one participant's PET, T1 and side-cars on disk, and say where."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from quietpet.config.invivo import scan_name
from quietpet.config.section import BRACES
from quietpet.data_source import is_standin
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.text import write_json
from quietpet.invivo.bids import files_in, files_read, named_like_t1, read_participant
from quietpet.invivo.facts import require_usable
from quietpet.invivo.names import has_entities
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
from quietpet.invivo.scans import Image, Participant, repeated_runs, t1_candidates
from quietpet.jobs.invivo import FetchInvivoJob
from quietpet.progress import track
from quietpet.provenance import Stopwatch, provenance

logger = logging.getLogger(__name__)


def run(job: FetchInvivoJob, inputs: Files, outputs: Files) -> None:
    """``description`` (of a stand-in tree) or nothing -> ``located`` (JSON: root and file names)."""
    watch = Stopwatch()
    description = inputs.get("description")
    root = description.parent if description else Path(job.root)
    version = _fetched(job, root) if job.source.kind == "openneuro" else None
    participant = read_participant(root, f"sub-{job.participant}", headers=False)
    pet = _pet_of_scan(participant, root, job)
    t1 = _t1_of_scan(participant, pet[0], root, job)
    _require_read([*pet, *([t1] if t1 else [])], job)
    runs = next(series for series in participant.series if pet[0] in series)
    write_json(
        outputs.one("located"),
        {
            "root": str(root),
            "runs": [image.stem for image in runs],
            "pet": [image.stem for image in runs if image in pet],
            "t1": t1.stem if t1 else None,
            "data_source": _data_source(job, pet[0]),
            "version": version,
            "provenance": provenance(
                "fetch_invivo",
                settings=job.model_dump(),
                inputs=[*inputs.all(), *files_read(root, [participant])],
                watch=watch,
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


def _pet_of_scan(participant: Participant, root: Path, job: FetchInvivoJob) -> list[Image]:
    """The PET images that the source asks for: runs of one scan, all of them read by the import.

    They come as their files do; their order is that of the runs of the whole scan.
    """
    wanted = [
        image
        for image in participant.pet
        if image_wanted(image.stem, job.source.entities, job.source.runs)
    ]
    _require_one_series(wanted, job)
    _require_readable(wanted)
    pet = [image for image in wanted if image.is_there]
    if not pet:
        raise InputError(
            f"{root}: has no PET image of sub-{job.participant} with entities {job.source.entities} and "
            f"runs {list(job.source.runs) or 'of any number'}"
            f"{_links(participant.pet)}; {_there(participant.pet)}{_lying(root, participant)}. Correct "
            f"invivo.sources.{job.name}."
        )
    return pet


def _t1_of_scan(participant: Participant, pet: Image, root: Path, job: FetchInvivoJob) -> Image | None:
    """The one T1 image that the source asks for, of the session of ``pet`` where that has one.

    None if the source takes scans without, and nothing in the tree speaks of one: an image of another
    name or format, a link that was not fetched or a side-car alone is a mistake to be mended.
    """
    if job.source.t1_presence == "if_there" and not participant.t1:
        _require_no_t1_by_name(root, participant, job)
        logger.warning("%s: no T1; its PET stays on its own grid", scan_name(job.name, job.participant))
        return None
    key = f"invivo.sources.{job.name}.t1"
    asked = [image for image in participant.t1 if has_entities(image.entities, job.source.t1)]
    if not any(image.is_there for image in asked):
        _require_readable(asked)
        none_such = f"{_there(participant.t1)}. Correct {key}." if job.source.t1 else ""
        raise InputError(
            f"{root}/sub-{job.participant}: has no T1-weighted image (anat/*_T1w.nii.gz), to which PET "
            f"is registered{f', with entities {job.source.t1}' if job.source.t1 else ''}"
            f"{_links(participant.t1)}"
            + (
                f"; {none_such}"
                if none_such
                else f". Add it, leave the participant out of invivo.datasets, or{_taken_without(job)}"
            )
        )
    first, *others = candidates = t1_candidates(asked, pet)
    if others:
        raise InputError(
            f"{first.image_origin.file}: sub-{job.participant} has several T1 images, "
            f"{_listed(candidates)}; say which in {key}, {_such_as(candidates)}."
        )
    return first


def _require_no_t1_by_name(root: Path, participant: Participant, job: FetchInvivoJob) -> None:
    """Refuse what may be the T1 image, under a name or in a folder by which it is not found."""
    for file in named_like_t1(root, participant.label):
        place = [part for part in Path(file).parts[:-1] if part.startswith(("sub-", "ses-"))]
        raise InputError(
            f"{root / file}: is named like a T1-weighted image, but is not found as one; rename it to "
            f"{'/'.join(place)}/anat/{'_'.join(place)}_T1w.nii.gz, or, for invivo.sources.{job.name}."
            f"t1_presence = if_there to take the scan without T1, keep it outside {participant.label}."
        )


def _taken_without(job: FetchInvivoJob) -> str:
    """What takes scans without T1, or has been asked for and does not apply."""
    key = f"invivo.sources.{job.name}.t1_presence"
    if job.source.t1_presence == "if_there":
        return f", for {key} = if_there to take it without, remove what is left of its T1."
    return f" set {key}: if_there, for methods that need no T1."


def _require_one_series(pet: Sequence[Image], job: FetchInvivoJob) -> None:
    """Images that differ in more than their run are different reconstructions, tracers or sessions."""
    if len({image.series for image in pet}) > 1:
        raise InputError(
            f"invivo.sources.{job.name}: sub-{job.participant} has several PET images, {_listed(pet)}; "
            f"say which by entities, {_such_as(pet)}."
        )
    if repeated := next(iter(repeated_runs(pet)), None):
        first, image = repeated
        raise InputError(
            f"{image.image_origin.file}: is run {image.entities['run']}, as "
            f"{first.image_origin.file} is; give each run a number of its own."
        )


def _such_as(images: Sequence[Image]) -> str:
    """Entities that one of several images has to itself, as a setting asks for them."""
    names = dict.fromkeys(name for image in images for name in image.entities)
    for chosen in images:
        others = [image for image in images if image is not chosen]
        asked = {name: chosen.entities.get(name, "") for name in names}
        differing = {
            name: value
            for name, value in asked.items()
            if not all(has_entities(other.entities, {name: value}) for other in others)
        }
        for name, value in differing.items():
            if not any(has_entities(other.entities, {name: value}) for other in others):
                return f"such as {{{name}: {value!r}}}"
        if not any(has_entities(other.entities, differing) for other in others):
            words = ", ".join(f"{name}: {value!r}" for name, value in differing.items())
            return f"such as {{{words}}}"
    return "once their names differ in an entity: rename them"


def _require_readable(images: Sequence[Image]) -> None:
    """Refuse an image that lies there in another format than NIfTI alone."""
    for image in images:
        if image.foreign and not image.is_there:
            raise InputError(f"{image.foreign[0]}.")


def _require_read(images: Sequence[Image], job: FetchInvivoJob) -> None:
    """Refuse what the audit calls unreadable before anything is made of it, and names with braces."""
    for image in images:
        if set(image.stem) & set(BRACES):
            raise InputError(
                f"{image.file}: its name has a brace, which Snakemake takes for a wildcard; rename it."
            )
    try:
        require_usable([], images)
    except InputError as error:
        raise InputError(f"{scan_name(job.name, job.participant)}: {error}") from None


def _listed(images: Sequence[Image]) -> str:
    return ", ".join(image.stem.rpartition("/")[2] for image in images)


def _there(images: Sequence[Image]) -> str:
    names = _listed([image for image in images if image.is_there])
    return f"there are {names}" if names else "there is none"


def _lying(root: Path, participant: Participant) -> str:
    """What lies in the PET folders of somebody of whom no PET image is there."""
    files = () if participant.pet else files_in(root, participant.label, "pet")
    return f" (there lie {', '.join(files[:4])})" if files else ""


def _links(images: Sequence[Image]) -> str:
    names = _listed([image for image in images if image.not_fetched])
    return f" ({names}: links whose content was not fetched; try `datalad get`)" if names else ""


def _data_source(job: FetchInvivoJob, pet: Image) -> str:
    """Value of the table column of this name; simulated scans say so themselves, wherever they lie."""
    simulated = str(pet.sidecar.get("SimulatedData", ""))
    return simulated if is_standin(simulated) else job.source.accession or job.name
