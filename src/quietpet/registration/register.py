"""Rigid registration of PET to T1: one signature, two engines, and what makes a result credible."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np

from quietpet.config.registration import RegistrationChoice, RegistrationSettings
from quietpet.errors import InputError
from quietpet.registration import spm
from quietpet.registration.head import head_mm
from quietpet.registration.similarity import Similarity, starting_transform
from quietpet.registration.volume import RigidTransform, Volume, require_image

logger = logging.getLogger(__name__)

_SPACING_MM, _FWHM_MM = 4.0, 5.0
"""Of the coarse copies on which results are judged, whatever the engine looked at."""

_NUDGE_MM, _NUDGE_DEG = 10.0, 10.0
_NMI_TOLERANCE = 0.001
"""Engines maximise other estimates of the mutual information; a start that was right may lose this."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A transform, the engine it comes from, and figures to judge it by.

    ``nmi_before`` is as the headers say; ``nmi_nudged`` is the greatest NMI 10 mm or 10 degrees from the
    result. ``translation_mm`` is how far the centre of the head moved against the headers, and
    ``offset_mm`` how far T1's head centre ends from that of PET: this one does not depend on where the
    headers put the images. ``field_of_view`` is the part of T1's head that PET shows.
    """

    transform: RigidTransform
    engine: str
    version: str
    nmi_before: float
    nmi_after: float
    nmi_nudged: float
    rotation_deg: float
    translation_mm: float
    offset_mm: float
    field_of_view: float
    seconds: float

    def figures(self) -> dict[str, float]:
        """All numbers by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, float)}


def register_rigid(
    fixed: Volume,
    moving: Volume,
    *,
    engine: RegistrationChoice = "auto",
    spm_minutes: float = 30.0,
    names: tuple[str, str] = ("fixed image", "moving image"),
) -> Registration:
    """Register ``moving`` (PET) to ``fixed`` (T1); ``names`` are theirs in messages.

    Every engine starts from the same transform, the most similar of those between the headers and the
    centres of the heads. The result does not depend on the number of cores.

    Raises:
        InputError: an image is empty or not finite, or the engine is not here or failed.
    """
    for volume, name in zip((fixed, moving), names, strict=True):
        require_image(volume, name)
    working = working_spm(engine)
    began = time.monotonic()
    fixed_head, moving_head = head_mm(fixed), head_mm(moving)
    centre, moving_centre = fixed_head.mean(axis=0), moving_head.mean(axis=0)
    start = starting_transform(fixed, moving, fixed_centre_mm=centre, moving_centre_mm=moving_centre)
    if working:
        found = working.estimate(fixed, moving, start=start, minutes=spm_minutes)
        name, version = working.name, working.version
    else:
        from quietpet.registration import embedded  # noqa: PLC0415 (SPM12 does without SimpleITK)

        found = embedded.estimate(
            fixed, moving, start=start, fixed_head_mm=fixed_head, moving_head_mm=moving_head
        )
        name, version = "embedded", embedded.version()
    seconds = time.monotonic() - began
    similarity = Similarity.of(fixed, moving, spacing_mm=_SPACING_MM, fwhm_mm=_FWHM_MM)
    at = found.apply(centre[None])[0]
    return Registration(
        transform=found,
        engine=name,
        version=version,
        nmi_before=similarity.nmi(RigidTransform.identity()),
        nmi_after=similarity.nmi(found),
        nmi_nudged=max(similarity.nmi(found @ nudge) for nudge in _nudges(centre)),
        rotation_deg=found.rotation_deg,
        translation_mm=float(np.linalg.norm(at - centre)),
        offset_mm=float(np.linalg.norm(at - moving_centre)),
        field_of_view=float(moving.contains(found.apply(fixed_head)).mean()),
        seconds=seconds,
    )


def working_spm(engine: RegistrationChoice, *, trial: bool = False) -> spm.Engine | None:
    """SPM12 if ``engine`` means it here, None for the embedded engine; with ``trial`` it is tried out.

    Raises:
        InputError: ``spm12`` is asked for, and none works.
    """
    if engine == "embedded":
        return None
    try:
        found = spm.find_engine(trial=trial)
        logger.info("registration.engine = %s: %s", engine, found.version)
        return found
    except InputError as error:
        if engine == "spm12":
            raise
        logger.info("registration.engine = auto: the embedded engine, because %s", error)
        return None


def require_credible(
    found: Registration, settings: RegistrationSettings, *, names: tuple[str, str]
) -> None:
    """Stop a scan whose registration went grossly wrong; ``names`` are those of T1 and PET.

    Raises:
        InputError: names the files, the figure that is out of range, and what to do.
    """
    t1, pet = names
    faults = [
        (
            found.field_of_view < settings.least_field_of_view,
            f"only {found.field_of_view:.0%} of the head in T1 lies within the PET image "
            f"(registration.least_field_of_view = {settings.least_field_of_view:.0%})",
        ),
        (
            found.rotation_deg > settings.most_rotation_deg,
            f"it turned PET by {found.rotation_deg:.1f} degrees "
            f"(registration.most_rotation_deg = {settings.most_rotation_deg:g})",
        ),
        (
            found.offset_mm > settings.most_offset_mm,
            f"the centres of the two heads end {found.offset_mm:.1f} mm apart "
            f"(registration.most_offset_mm = {settings.most_offset_mm:g})",
        ),
        (
            found.nmi_after < found.nmi_before - _NMI_TOLERANCE,
            f"it lowered the normalised mutual information from {found.nmi_before:.4f} to "
            f"{found.nmi_after:.4f}",
        ),
        (
            found.nmi_after <= found.nmi_nudged,
            f"{_NUDGE_MM:g} mm or {_NUDGE_DEG:g} degrees away the normalised mutual information is "
            f"{found.nmi_nudged:.4f}, no less than the result's {found.nmi_after:.4f}",
        ),
    ]
    for is_fault, sentence in faults:
        if is_fault:
            raise InputError(
                f"{pet}: its registration to {t1} by {found.engine} is not credible: {sentence}. "
                f"See `quietpet check registration --pet {pet} --t1 {t1} --figure look.png`; correct "
                "the headers, try the other registration.engine, or exclude this scan."
            )


def _nudges(centre_mm: np.ndarray) -> list[RigidTransform]:
    """Small motions along and about each axis through ``centre_mm``, both ways."""
    axes = [sign * axis for axis in np.eye(3) for sign in (1, -1)]
    return [
        *(RigidTransform.from_rotation(translation_mm=_NUDGE_MM * axis) for axis in axes),
        *(
            RigidTransform.from_rotation(euler_deg=_NUDGE_DEG * axis, centre_mm=centre_mm)
            for axis in axes
        ),
    ]
