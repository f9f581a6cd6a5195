"""Which phantoms a study uses: BrainWeb, or the offline template."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quietpet.errors import InputError
from quietpet.phantom.brainweb import DownloadError, Source, download, file_name, require_plausible
from quietpet.phantom.brainweb import subjects as all_subjects
from quietpet.progress import track

logger = logging.getLogger(__name__)

_REMEDIES = (
    "Put the files there, name their folder in the variable QUIETPET_BRAINWEB or in phantoms.cache_dir, "
    "or set phantoms.source: template."
)


class _Unavailable(Exception):
    """BrainWeb cannot serve the requested subjects."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The source used, the label volumes by subject (none for the template), and why."""

    source: Literal["brainweb", "template"]
    volumes: Mapping[str, Path]
    reason: str


def decide(
    requested: str, *, subjects: Sequence[str], folder: Path, sources: Mapping[str, Source]
) -> Decision:
    """Choose the source of all ``subjects`` together; what is missing in ``folder`` is fetched into it.

    ``requested``: "brainweb" and "template" are taken at their word; "auto" falls back to the template
    when a subject is neither in ``folder`` nor to be had, with one line in the log.

    Raises:
        InputError: a file in ``folder`` is damaged; or "brainweb" was requested and cannot be had.
    """
    if requested == "template":
        return Decision(source="template", volumes={}, reason="phantoms.source is template")
    try:
        volumes = _volumes(subjects, folder=folder, sources=sources)
    except _Unavailable as problem:
        if requested == "brainweb":
            raise InputError(f"{problem} {_REMEDIES}") from None
        logger.warning(
            "PHANTOMS ARE NOT BRAINWEB BUT WARPS OF ONE BRAIN, THE ICBM152 TEMPLATE: %s %s",
            problem,
            _REMEDIES,
        )
        return Decision(source="template", volumes={}, reason=str(problem))
    logger.info("phantoms: BrainWeb, %d subjects in %s", len(volumes), folder)
    return Decision(source="brainweb", volumes=volumes, reason=f"all subjects are in {folder}")


def _volumes(subjects: Sequence[str], *, folder: Path, sources: Mapping[str, Source]) -> dict[str, Path]:
    if unknown := [subject for subject in subjects if subject not in all_subjects()]:
        raise _Unavailable(
            f"{', '.join(unknown)}: no such BrainWeb subjects (there are {', '.join(all_subjects())})."
        )
    volumes = {subject: folder / file_name(subject) for subject in subjects}
    missing = [subject for subject, path in volumes.items() if not path.exists()]
    for subject in subjects:
        if subject not in missing:
            require_plausible(volumes[subject], sources[subject])
    try:
        for subject in track(missing, label="BrainWeb", total=len(missing), unit="volumes"):
            download(sources[subject], volumes[subject])
    except DownloadError as error:
        raise _Unavailable(
            f"BrainWeb subjects {', '.join(missing)} are not in {folder}, and {error}."
        ) from None
    return volumes
