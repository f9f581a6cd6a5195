"""The result of a registration, and what makes it credible."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from quietpet.config.registration import RegistrationSettings
from quietpet.errors import InputError
from quietpet.registration.volume import RigidTransform

logger = logging.getLogger(__name__)

NUDGE_MM, NUDGE_DEG = 10.0, 10.0
"""Displacements that must cost similarity if a result is one."""

_NMI_TOLERANCE, _NUDGE_TOLERANCE = 0.001, 0.05
"""Engines maximise other estimates of the mutual information. A start that was right may lose this, and
this part of what nudges lose: about that of 2 mm, for the loss grows with the square of the distance."""

_GIVEN = ("identity", "file")
"""Values of registration.engine with which nothing is estimated."""

_AXES = ("left-right", "back-front", "feet-head")


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A transform, the engine it comes from, and figures to judge it by.

    ``nmi_before`` is as the headers say; ``nmi_nudged`` is the greatest NMI 10 mm or 10 degrees from the
    result, and ``nmi_rival`` that of ``rival``, the most similar place elsewhere (1 if there is none),
    which is ``rival_mm`` away on average over the head (then 0).
    ``translation_mm`` is how far the centre of the head moved against the headers, and ``offset_mm`` how
    far apart the centres of the two heads end, each of what the other image shows too: this one does not
    depend on where the headers put the images. ``field_of_view`` is the part of T1's inner head that PET
    shows, and ``bias_field`` the 95th over the 5th percentile of T1's receive field in it, 1 if none was
    sought. ``seconds`` were spent on preparing the images, on the engine and on these figures.
    """

    transform: RigidTransform
    engine: str
    version: str
    nmi_before: float
    nmi_after: float
    nmi_nudged: float
    nmi_rival: float
    rival: RigidTransform | None
    rival_mm: float
    rotation_deg: float
    translation_mm: float
    offset_mm: float
    field_of_view: float
    bias_field: float
    seconds: float

    @property
    def margin(self) -> float:
        """Part of the similarity that 10 mm or 10 degrees destroy."""
        return (self.nmi_after - self.nmi_nudged) / max(self.nmi_after - 1, _NMI_TOLERANCE)

    @property
    def lead(self) -> float:
        """Part of the similarity that the most similar place elsewhere lacks."""
        return (self.nmi_after - self.nmi_rival) / max(self.nmi_after - 1, _NMI_TOLERANCE)

    def figures(self) -> dict[str, float]:
        """All numbers by name."""
        own = {name: value for name, value in vars(self).items() if isinstance(value, float)}
        return {**own, "margin": self.margin, "lead": self.lead}

    def record(self) -> dict[str, Any]:
        """What the file of a registration says of it."""
        return {
            "engine": self.engine,
            "version": self.version,
            **self.figures(),
            "t1_to_pet_ras_mm": self.transform.fixed_to_moving.tolist(),
        }

    def tell(self, scan: str) -> None:
        """Log the figures of the ``scan``."""
        logger.info(
            "%s: %s, %.1f degrees, %.1f mm, NMI %.4f -> %.4f, margin %.2f, lead %.2f, %.0f %% of the "
            "head in PET, %.1f s",
            scan,
            self.version,
            self.rotation_deg,
            self.translation_mm,
            self.nmi_before,
            self.nmi_after,
            self.margin,
            self.lead,
            100 * self.field_of_view,
            self.seconds,
        )


def require_credible(
    found: Registration, settings: RegistrationSettings, *, names: tuple[str, str]
) -> None:
    """Stop a scan whose registration went grossly wrong; ``names`` are those of T1 and PET.

    Raises:
        InputError: names the files, the figure that is out of range, and what to do.
    """
    t1, pet = names
    if fault := next(_faults(found, settings), None):
        raise InputError(
            f"{pet}: its registration to {t1} by {found.engine} is not credible: {fault}. "
            f"{_remedy(found, t1, pet)}"
        )


def _faults(found: Registration, settings: RegistrationSettings) -> Iterator[str]:
    """What is wrong with a result, gravest first, as the ends of sentences."""
    least = f"registration.least_margin = {settings.least_margin:g}"
    if found.rival and found.lead < settings.least_margin:
        yield (
            f"{_elsewhere(found, found.rival)} they fit "
            f"{'better' if found.lead < 0 else 'nearly as well'}, with a normalised mutual information "
            f"of {found.nmi_rival:.4f} against {found.nmi_after:.4f} ({least})"
        )
    if found.field_of_view < settings.least_field_of_view:
        yield (
            f"only {found.field_of_view:.0%} of the head in T1 (without face and neck) lies within the "
            f"PET image (registration.least_field_of_view = {settings.least_field_of_view:.0%})"
        )
    if found.rotation_deg > settings.most_rotation_deg:
        yield (
            f"it turned PET by {found.rotation_deg:.1f} degrees "
            f"(registration.most_rotation_deg = {settings.most_rotation_deg:g})"
        )
    if found.offset_mm > settings.most_offset_mm:
        yield (
            f"the centres of the two heads end {found.offset_mm:.1f} mm apart "
            f"(registration.most_offset_mm = {settings.most_offset_mm:g})"
        )
    tolerance = _NMI_TOLERANCE + _NUDGE_TOLERANCE * max(found.nmi_after - found.nmi_nudged, 0.0)
    if found.nmi_before - found.nmi_after > tolerance:
        yield (
            f"it lowered the normalised mutual information from {found.nmi_before:.4f} to "
            f"{found.nmi_after:.4f}"
        )
    if found.margin < settings.least_margin:
        yield (
            f"{NUDGE_MM:g} mm or {NUDGE_DEG:g} degrees away the normalised mutual information is "
            f"{found.nmi_nudged:.4f}, hardly less than the result's {found.nmi_after:.4f} (margin "
            f"{found.margin:.3f}; {least})"
        )


def _elsewhere(found: Registration, rival: RigidTransform) -> str:
    """Where the rival lies from the result, such as "turned by 180 degrees about the feet-head axis"."""
    between = (found.transform.inverse @ rival).fixed_to_moving
    vector = Rotation.from_matrix(between[:3, :3]).as_rotvec(degrees=True)
    degrees = float(np.linalg.norm(vector))
    if degrees < NUDGE_DEG:
        return f"{found.rival_mm:.0f} mm away"
    axis = _AXES[int(np.abs(vector).argmax())]
    return f"turned by {degrees:.0f} degrees about the {axis} axis"


def _remedy(found: Registration, t1: str, pet: str) -> str:
    if found.engine in _GIVEN:
        return (
            "Is it the transform of this scan, from T1 to PET? Correct it, or let an engine estimate "
            "one (registration.engine)."
        )
    return (
        f"See `quietpet check registration --pet {pet} --t1 {t1} --figure look.png`; correct the "
        "headers, try the other registration.engine, give a transform (registration.engine: file), or "
        "exclude this scan."
    )
