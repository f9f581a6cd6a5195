"""``gallery``: one test slice of every method beside each other, as a figure and a section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from quietpet.errors import InputError
from quietpet.evaluation.drawing import save
from quietpet.evaluation.gallery import (
    MEDIAN_ERROR,
    MOST_LESION,
    GallerySlice,
    gallery_section,
    median_error,
    most_lesion,
    nmse,
)
from quietpet.evaluation.gallery_figure import draw_gallery
from quietpet.files.named import Files
from quietpet.files.packed import LesionSlices, ShownSlices, T1Slices
from quietpet.files.records import read_record
from quietpet.files.restored import RestoredName, RestoredSingle
from quietpet.files.sections import write_section
from quietpet.files.text import write_json
from quietpet.jobs.evaluation import GalleryJob
from quietpet.provenance import Stopwatch, provenance


def run(job: GalleryJob, inputs: Files, outputs: Files) -> None:
    """Read ``restored`` of every method and ``test``; write ``png``, ``svg`` and ``section``.

    ``provenance`` is written if asked for.
    """
    watch = Stopwatch()
    restored = _named(job, inputs.many("restored"))
    shown = _slice(job, inputs.one("test"), restored)
    save(draw_gallery(shown), png=outputs.one("png"), svg=outputs.get("svg"))
    write_section(outputs.one("section"), gallery_section(shown, figure=outputs.one("png").name))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("gallery", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _named(job: GalleryJob, paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each file with its method, that of the low-dose image itself left out, in the order given.

    Raises:
        InputError: a file is of another data set or setting, or of a method that another one has.
    """
    found: dict[str, Path] = {}
    for path in paths:
        about = read_record(path, RestoredName)
        for name in ("dataset", "setting"):
            if (held := getattr(about, name)) != getattr(job, name):
                raise InputError(
                    f"{path}: holds {name} {held!r}, this job shows {getattr(job, name)!r}."
                )
        if about.method in found:
            raise InputError(
                f"{path}: is of the method {about.method!r}, as {found[about.method]} is; give one of "
                "them."
            )
        found[about.method] = path
    shown = [(path, method) for method, path in found.items() if method not in job.low_dose]
    if not shown:
        raise InputError(f"{paths[0]}: restores nothing; give a method that does, too.")
    return shown


def _chosen(slices: LesionSlices, restored: Sequence[Path]) -> tuple[int, str]:
    """Number of the slice, and by which rule."""
    for path in restored:
        if read_record(path, RestoredName).key != slices.key:
            raise InputError(
                f"{path}: its slices are not those of {slices.origin}; run the step `restore` again."
            )
    row = most_lesion(slices.pet_lesions)
    if row is not None:
        return row, MOST_LESION
    errors = {
        path.as_posix(): [
            nmse(image, standard) for image, standard in zip(_images(path), slices.standard, strict=True)
        ]
        for path in restored
    }
    return median_error(errors), MEDIAN_ERROR


def _images(path: Path) -> Iterator[np.ndarray]:
    yield from read_record(path, RestoredSingle).single


def _slice(job: GalleryJob, test: Path, restored: Sequence[tuple[Path, str]]) -> GallerySlice:
    slices = read_record(test, LesionSlices)
    row, rule = _chosen(slices, [path for path, _ in restored])
    held = read_record(test, ShownSlices, rows=[row])
    return GallerySlice(
        dataset=job.dataset,
        setting=job.setting,
        data_source=held.lineage["data_source"],
        key=slices.key[row],
        subject=slices.subject[row],
        rule=rule,
        pixel_mm=held.pixel_mm,
        unit=held.units["standard"],
        low=held.low[0],
        standard=held.standard[0],
        t1=read_record(test, T1Slices, rows=[row]).t1[0] if slices.has_t1[row] else None,
        head=held.head[0],
        pet_lesions=held.pet_lesions[0],
        t1_lesions=held.t1_lesions[0],
        restored={
            method: read_record(path, RestoredSingle, rows=[row]).single[0] for path, method in restored
        },
    )
