"""Reading a folder of pairs: its table, the headers of its images, and their values in Bq/mL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from quietpet.errors import InputError
from quietpet.files.presence import absence
from quietpet.files.series import frames, read_header
from quietpet.geometry.volume import Volume
from quietpet.invivo.bids import read_table
from quietpet.invivo.pair_units import half_life_s, to_bq_per_ml
from quietpet.invivo.pairs import PairImage, Pairs, pairs_of
from quietpet.invivo.pairs_table import TABLE, missing_table
from quietpet.invivo.scans import Image
from quietpet.invivo.windows import weigh_frames, window_means


def holds_pairs(root: Path) -> bool:
    """Whether a folder is one of pairs: whether it has their table."""
    return absence(root / TABLE) is None


def read_pairs(root: Path) -> Pairs:
    """The table of the folder.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    if missing := missing_table(root):
        raise InputError(missing)
    return pairs_of(read_table(root / TABLE), place=lambda path: _real(root / path))


def _real(path: Path) -> str:
    """Where a file lies, whatever links lead there."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # no name that a file can have, which opening it says
        return os.path.normpath(path)


def pairs_if_readable(root: Path) -> Pairs:
    """The table of the folder; no rows where it cannot be read, of which the import says why."""
    try:
        return read_pairs(root)
    except InputError:
        return Pairs(images=(), findings=())


def files_of_pairs(root: Path, rows: Sequence[PairImage]) -> list[Path]:
    """All images that ``rows`` name and that are there, each once."""
    named = dict.fromkeys([*(row.pet for row in rows), *(row.t1 for row in rows if row.t1)])
    return [root / path for path in named if absence(root / path) is None]


def open_images(root: Path, rows: Sequence[PairImage]) -> dict[str, Image]:
    """Headers of all images that ``rows`` name, by their paths in the table."""
    named = {path: row.participant for row in rows for path in (row.pet, row.t1) if path}
    return {path: _opened(root, path, participant) for path, participant in named.items()}


def _opened(root: Path, path: str, participant: str) -> Image:
    stem = path.removesuffix(".gz").removesuffix(".nii")
    image = Image(participant=participant, stem=stem, sidecar={}, file=path)
    place = root / path
    if reason := absence(place):
        relative = f"paths are relative to the folder of {TABLE}"
        return replace(image, fault=f"{path}: {reason}; {relative}.")
    try:
        return replace(image, header=read_header(place, file=path))
    except InputError as error:
        return replace(image, fault=str(error))


def pet_in_bq_per_ml(root: Path, row: PairImage, image: Image, *, at_s: float | None) -> Volume:
    """The image of a row, float32 [Bq/mL] at ``at_s`` after the injection [s]; the mean of its frames.

    ``at_s`` None is its own time of correction.

    Raises:
        InputError: the file is damaged, holds NaN within the field of view or infinity, or the row does
            not tell what its values mean.
    """
    header, factor = image.opened(), to_bq_per_ml(row, at_s=at_s)
    values = _mean_of_frames(row, frames(root / row.pet, header), header.n_frames)
    in_bq = values if factor == 1 else values * np.float32(factor)
    return Volume(values=in_bq, affine_ras_mm=header.affine_ras_mm)


def _mean_of_frames(row: PairImage, read: Iterator[tuple[int, np.ndarray]], n_frames: int) -> np.ndarray:
    """The image that one long frame would have given, corrected to the time to which each frame is."""
    if n_frames == 1:
        ((_, values),) = read
        return values
    half_life = half_life_s(row)
    if row.timing is None or half_life is None:
        raise InputError(
            f"{row.pet}: has {n_frames} frames, whose times or decay {TABLE} does not tell."
        )
    window = weigh_frames(
        row.timing,
        range(n_frames),
        half_life_s=half_life,
        decay_corrected=True,
        reference_s=row.reference_s or 0.0,
    )
    return window_means(read, {row.dose: window})[row.dose]
