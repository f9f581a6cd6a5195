"""Compare restored test slices with the standard dose."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from quietpet.errors import InputError, replacing
from quietpet.evaluation.scoring import (
    LINEAGE,
    SCORE_COLUMNS,
    ReferenceSlices,
    require_finite_slices,
    score_slices,
)
from quietpet.evaluation.spread import spread_to_error
from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute, read_strings, read_values
from quietpet.files.lineage import Lineage, common_lineage, lineage_of
from quietpet.files.named import Files
from quietpet.files.text import csv_cell, write_csv, write_json
from quietpet.jobs.evaluation import ScoreJob
from quietpet.provenance import Stopwatch, provenance

_NAMES = ("dataset", "setting", "method", "learning", "replicate")


def run(job: ScoreJob, inputs: Files, outputs: Files) -> None:
    """Read ``restored`` and ``test``; write ``scores`` and, if asked for, ``provenance``."""
    watch = Stopwatch()
    restored, test = inputs.one("restored"), inputs.one("test")
    reference, test_lineage = _read_reference(test, job)
    estimates, lineage = _read_estimates(restored, job, reference)
    spread = _read_spread(restored, reference)
    common_lineage([(test, _reported(test_lineage)), (restored, _reported(lineage))])
    origin = {**{name: getattr(job, name) for name in _NAMES}, **_reported(lineage)}
    rows = score_slices(estimates, reference, paper_window_pixels=job.evaluation.paper_window_pixels)
    origin["spread_to_error"] = csv_cell(spread)
    write_csv(outputs.one("scores"), SCORE_COLUMNS, ({**origin, **row} for row in rows))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("score", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _read_reference(path: Path, job: ScoreJob) -> tuple[ReferenceSlices, Lineage]:
    with open_hdf5(path, kind="dataset") as file:
        _check_attributes(file, job, ("dataset", "setting"))
        keys = tuple(read_strings(file, "key"))
        reference = ReferenceSlices(
            keys=keys,
            subjects=tuple(read_strings(file, "subject")),
            standard=_read_images(file, "standard", keys),
            t1=_read_images(file, "t1", keys),
            **{
                name: read_array(file, name)
                for name in ("slice_mm", "angle_deg", "head", "pet_lesions", "t1_lesions")
            },
            truth=_read_images(file, "truth", keys) if "truth" in file else None,
            labels=read_array(file, "labels") if "labels" in file else None,
        )
        return reference, lineage_of(file)


def _read_estimates(
    path: Path, job: ScoreJob, reference: ReferenceSlices
) -> tuple[dict[str, np.ndarray], Lineage]:
    """The first sample, and the mean of all samples where the method drew several."""
    with open_hdf5(path, kind="restored") as file:
        _check_attributes(file, job, _NAMES)
        _check_keys(path, tuple(read_strings(file, "key")), reference.keys)
        estimates = {"single": _read_images(file, "single", reference.keys)}
        if "mean" in file:
            samples = read_attribute(file, "samples")
            estimates[f"mean_of_{samples}"] = _read_images(file, "mean", reference.keys)
        for name, images in estimates.items():
            if images.shape != reference.standard.shape:
                raise InputError(
                    f"{path}: {name} has the shape {images.shape}, "
                    f"the test set {reference.standard.shape}."
                )
        return estimates, lineage_of(file)


def _read_spread(path: Path, reference: ReferenceSlices) -> float | None:
    """Spread of the samples over their error, in the heads of all slices; None of a single sample."""
    with open_hdf5(path, kind="restored") as file:
        if "standard_deviation" not in file:
            return None
        mean, deviation = (
            _read_images(file, name, reference.keys) for name in ("mean", "standard_deviation")
        )
        samples = int(read_attribute(file, "samples"))
    heads = reference.head > 0
    return spread_to_error(mean[heads], deviation[heads], reference.standard[heads], samples=samples)


def _read_images(file: h5py.File, name: str, keys: tuple[str, ...]) -> np.ndarray:
    images = read_values(file, name)
    if len(images) != len(keys):
        raise InputError(f"{file.filename}: {name} holds {len(images)} slices for {len(keys)} keys.")
    require_finite_slices(images, keys, what=f"{file.filename}:{name}")
    return images


def _check_attributes(file: h5py.File, job: ScoreJob, names: tuple[str, ...]) -> None:
    for name in names:
        found, expected = read_attribute(file, name), getattr(job, name)
        if found != expected:
            raise InputError(f"{file.filename}: holds {name} {found!r}, this job scores {expected!r}.")


def _check_keys(path: Path, found: tuple[str, ...], expected: tuple[str, ...]) -> None:
    if found == expected:
        return
    differing = [
        index for index, pair in enumerate(zip(found, expected, strict=False)) if len({*pair}) > 1
    ]
    place = f"first at row {differing[0]}" if differing else f"{len(found)} rows, not {len(expected)}"
    raise InputError(
        f"{path}: its slices are not those of the test set, in its order ({place}). {replacing(path)}"
    )


def _reported(lineage: Lineage) -> Lineage:
    return {name: lineage.get(name, "-") for name in LINEAGE}
