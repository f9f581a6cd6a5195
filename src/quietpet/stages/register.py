"""``register``: bring the PET images of one scan onto the voxels of its T1."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from quietpet.errors import InputError
from quietpet.jobs.invivo import RegisterJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.registration.figure import draw
from quietpet.registration.formats import fsl_text, itk_text, matrix_text
from quietpet.registration.register import Registration, register_rigid, require_credible
from quietpet.registration.volume import Volume, require_image, resample
from quietpet.stages.files import Files
from quietpet.stages.volumes import read_volume, write_volume
from quietpet.store import atomic_path, write_json, write_text

logger = logging.getLogger(__name__)


def run(job: RegisterJob, inputs: Files, outputs: Files) -> None:
    """``standard``, ``t1`` and ``low`` (several) -> the PET images under the same names, and the record.

    The long ``standard`` image alone is registered; the short ``low`` frames of the same scan, too noisy
    for that, follow its transform. Each is interpolated once. The record: ``registration`` (JSON),
    ``itk`` (.tfm), ``matrix`` (RAS mm) and ``fsl`` (text), ``figure`` (PNG).
    """
    watch, settings = Stopwatch(), job.registration
    t1_path, standard_path = inputs.one("t1"), inputs.one("standard")
    t1, standard = read_volume(t1_path), read_volume(standard_path)
    low = [_frame_of(standard, path, standard_path) for path in inputs.many("low")]
    names = (str(t1_path), str(standard_path))
    found = register_rigid(
        t1, standard, engine=settings.engine, spm_minutes=settings.spm_minutes, names=names
    )
    logger.info(
        "%s: %s, %.1f degrees, %.1f mm, NMI %.4f -> %.4f, %.0f %% of the head in PET, %.1f s",
        job.scan,
        found.version,
        found.rotation_deg,
        found.translation_mm,
        found.nmi_before,
        found.nmi_after,
        100 * found.field_of_view,
        found.seconds,
    )
    require_credible(found, settings, names=names)
    write_volume(outputs.one("standard"), resample(standard, found.transform, like=t1))
    for frame, target in zip(low, outputs.many("low"), strict=True):
        write_volume(target, resample(frame, found.transform, like=t1))
    write_text(outputs.one("itk"), itk_text(found.transform))
    write_text(outputs.one("matrix"), matrix_text(found.transform))
    write_text(outputs.one("fsl"), fsl_text(found.transform, fixed=t1, moving=standard))
    write_figure(outputs.one("figure"), t1, standard, found, title=job.scan)
    write_json(
        outputs.one("registration"),
        {
            "scan": job.scan,
            "engine": found.engine,
            "version": found.version,
            **found.figures(),
            "t1_to_pet_ras_mm": found.transform.fixed_to_moving.tolist(),
            "provenance": provenance(
                "register",
                settings=job.model_dump(),
                inputs=inputs.all(),
                watch=watch,
                engines={found.engine: found.version},
            ),
        },
    )


def write_figure(target: Path, t1: Volume, pet: Volume, found: Registration, *, title: str) -> None:
    """The quality-control figure as PNG."""
    with atomic_path(target) as partial:
        draw(t1, pet, found, title=title).savefig(partial, format="png", dpi=120)


def _frame_of(standard: Volume, path: Path, standard_path: Path) -> Volume:
    """A short frame, which must lie where the standard image does for its transform to hold.

    Raises:
        InputError: it lies elsewhere, is empty or not finite.
    """
    frame = read_volume(path)
    require_image(frame, str(path))
    same_grid = frame.values.shape == standard.values.shape and np.allclose(
        frame.affine_ras_mm, standard.affine_ras_mm, atol=1e-3
    )
    if not same_grid:
        raise InputError(
            f"{path}: does not lie on the voxels of {standard_path}, whose transform it is to follow; "
            "import both from the same series."
        )
    return frame
