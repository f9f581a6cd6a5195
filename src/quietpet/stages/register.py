"""``register``: bring the PET images of one scan onto the voxels of its T1."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import numpy as np

from quietpet.config.registration import RegistrationSettings
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.text import read_json, write_json, write_text
from quietpet.files.volumes import read_description, read_volume, write_volume
from quietpet.geometry.volume import Volume
from quietpet.jobs.invivo import RegisterJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.registration.figure import write_figure
from quietpet.registration.formats import fsl_text, itk_text, matrix_text
from quietpet.registration.given import read_transform
from quietpet.registration.register import (
    Registration,
    register_given,
    register_rigid,
    require_credible,
)
from quietpet.registration.spm import find_engine
from quietpet.registration.volume import RigidTransform, require_image, resample

logger = logging.getLogger(__name__)


def run(job: RegisterJob, inputs: Files, outputs: Files) -> None:
    """``standard``, ``t1`` and ``low`` (several, or none) -> PET under the same names, and the record.

    ``engine`` is the decision of a study whose engine is auto; without, what works here decides.
    ``transform`` is the user's, where the engine is file.
    The long ``standard`` image alone is registered; the short ``low`` frames of the same scan, too noisy
    for that, follow its transform. Each is interpolated once. The record: ``registration`` (JSON),
    ``itk`` (.tfm), ``matrix`` (RAS mm) and ``fsl`` (text), ``figure`` (PNG).
    """
    watch, settings = Stopwatch(), decided(job.registration, inputs.get("engine"))
    t1_path, standard_path = inputs.one("t1"), inputs.one("standard")
    t1, standard = read_volume(t1_path), read_volume(standard_path)
    moved = _moved(inputs, outputs)
    low = [_frame_of(standard, path, standard_path) for path in inputs.any("low")]
    names = (str(t1_path), str(standard_path))
    found = registered(t1, standard, settings, given=inputs.get("transform"), names=names)
    logger.info(
        "%s: %s, %.1f degrees, %.1f mm, NMI %.4f -> %.4f, margin %.2f, lead %.2f, %.0f %% of the head "
        "in PET, %.1f s",
        job.scan,
        found.version,
        found.rotation_deg,
        found.translation_mm,
        found.nmi_before,
        found.nmi_after,
        found.margin,
        found.lead,
        100 * found.field_of_view,
        found.seconds,
    )
    require_credible(found, settings, names=names)
    for (path, target), image in zip(moved, (standard, *low), strict=True):
        description = read_description(path)  # of the window and the unit
        write_volume(target, resample(image, found.transform, like=t1), description=description)
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


def decided(settings: RegistrationSettings, decision: Path | None) -> RegistrationSettings:
    """The settings with ``auto`` replaced by the engine in the file ``decision``, if there is one.

    Raises:
        InputError: the study was decided to use SPM12, and it does not work here, or is another SPM.
    """
    if decision is None or settings.engine != "auto":
        return settings
    chosen = read_json(decision)["engine"]
    if chosen == "embedded":
        return settings.model_copy(update={"engine": chosen})
    spm_of_study = chosen.upper()
    try:
        found = find_engine()
        if found.name != chosen:
            raise InputError(f"{found.version} is here. Name an {spm_of_study} (see envs/spm.md).")
    except InputError as error:
        raise InputError(
            f"{decision}: the scans of this study are registered by {spm_of_study}, but {error} Or "
            "delete this file: an engine that works here is chosen then, and all scans are registered "
            "by it."
        ) from None
    return settings.model_copy(update={"engine": "spm12"})


def registered(
    t1: Volume,
    pet: Volume,
    settings: RegistrationSettings,
    *,
    given: Path | None,
    names: tuple[str, str],
) -> Registration:
    """PET registered to T1 as the settings ask, by the transform in the file ``given`` if that is how.

    Raises:
        InputError: an image cannot be used, the engine failed, or the file holds no rigid transform.
    """
    given_as = partial(register_given, t1, pet, correct_bias=settings.correct_bias, names=names)
    match settings.engine:
        case "identity":
            identity = RigidTransform.identity()
            return given_as(identity, engine="identity", version="as the headers say")
        case "file":
            if given is None:
                raise InputError(
                    "registration.engine is 'file', but no file called 'transform' was given."
                )
            return given_as(read_transform(given), engine="file", version=str(given))
        case engine:
            return register_rigid(
                t1,
                pet,
                engine=engine,
                spm_minutes=settings.spm_minutes,
                correct_bias=settings.correct_bias,
                names=names,
            )


def _moved(inputs: Files, outputs: Files) -> list[tuple[Path, Path]]:
    """Every PET image, the standard one first, and where it is written.

    Raises:
        InputError: as many short frames were not given as are to be written.
    """
    low, targets = inputs.any("low"), outputs.any("low")
    if len(low) != len(targets):
        raise InputError(
            f"{len(low)} inputs are called 'low', but {len(targets)} outputs; give as many."
        )
    return [(inputs.one("standard"), outputs.one("standard")), *zip(low, targets, strict=True)]


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
