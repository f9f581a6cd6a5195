"""Rigid registration of PET to T1: one signature, two engines, and what makes a result credible."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from quietpet.config.registration import EngineChoice, RegistrationSettings
from quietpet.errors import InputError
from quietpet.geometry.volume import Volume
from quietpet.registration import spm
from quietpet.registration.head import clipped, head_mask, inner_head_mm
from quietpet.registration.similarity import SEARCH, Similarity, best_rival, starting_transform
from quietpet.registration.volume import RigidTransform, require_image

logger = logging.getLogger(__name__)

_SPACING_MM, _FWHM_MM = 4.0, 5.0
"""Of the coarse copies on which results are judged, whatever the engine looked at."""

_NUDGE_MM, _NUDGE_DEG = 10.0, 10.0
_RIVAL_MM = 15.0
"""What ends further from the result than this, on average over the head, is another place."""

_EMPTY_MM = 15.0
"""Zeros as wide as this are no measurement: what a scanner did not see, or a mask took away."""

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


@dataclass(frozen=True, kw_only=True)
class PreparedPair:
    """Two images as engines and judges see them: no extremes, no bias field; and the heads in them.

    Make it by :meth:`of`, once for all engines; that took ``seconds``.
    """

    fixed: Volume
    moving: Volume
    fixed_head_mm: np.ndarray
    inner_head_mm: np.ndarray
    moving_head_mm: np.ndarray
    search: Similarity
    bias_field: float
    seconds: float

    @classmethod
    def of(
        cls,
        fixed: Volume,
        moving: Volume,
        *,
        correct_bias: bool = True,
        names: tuple[str, str] = ("fixed image", "moving image"),
    ) -> PreparedPair:
        """Of T1 and PET; ``names`` are theirs in messages.

        Raises:
            InputError: an image is empty or not finite.
        """
        began, seen, masks, bias = time.monotonic(), [], [], 1.0
        for volume, name in zip((fixed, moving), names, strict=True):
            require_image(volume, name)
            try:
                seen.append(clipped(volume))
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
            masks.append(head_mask(seen[-1]))
        inner = inner_head_mm(masks[0])
        if correct_bias:
            from quietpet.registration.bias import bias_field, without_bias  # noqa: PLC0415 (slow)

            field = bias_field(seen[0], inner)
            seen[0] = without_bias(seen[0], field)
            low, high = np.percentile(field.values, (5, 95))
            bias = float(high / low)
        fixed_head, moving_head = (mask.world_mm(np.argwhere(mask.values)) for mask in masks)
        return cls(
            fixed=seen[0],
            moving=seen[1],
            fixed_head_mm=fixed_head,
            inner_head_mm=inner,
            moving_head_mm=moving_head,
            search=Similarity.of(seen[0], seen[1], head_mm=fixed_head, **SEARCH),
            bias_field=bias,
            seconds=time.monotonic() - began,
        )

    @property
    def centres_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the fixed and of the moving head, each in its own world."""
        return self.fixed_head_mm.mean(axis=0), self.moving_head_mm.mean(axis=0)

    def field_of_view(self, found: RigidTransform) -> float:
        """Part of the fixed inner head in the moving image, and there not in a region of zeros alone."""
        there = found.apply(self.inner_head_mm)
        indices = np.rint(self.moving.indices(there)).astype(int)
        measured = ndimage.maximum_filter(
            self.moving.values != 0, np.maximum(np.rint(_EMPTY_MM / self.moving.voxel_mm).astype(int), 1)
        )
        last = np.array(measured.shape) - 1
        shown = measured[tuple(np.clip(indices, 0, last).T)] & self.moving.contains(there)
        return float(shown.mean())

    def offset_mm(self, found: RigidTransform) -> float:
        """Distance between the centres of what each image shows of the head that the other shows too."""
        there = found.apply(self.fixed_head_mm)
        back = found.inverse.apply(self.moving_head_mm)
        both = (there[self.moving.contains(there)], self.moving_head_mm[self.fixed.contains(back)])
        if not all(len(each) for each in both):
            both = (there, self.moving_head_mm)
        return float(np.linalg.norm(both[0].mean(axis=0) - both[1].mean(axis=0)))


def register_rigid(
    fixed: Volume,
    moving: Volume,
    *,
    engine: EngineChoice = "auto",
    spm_minutes: float = 30.0,
    correct_bias: bool = True,
    names: tuple[str, str] = ("fixed image", "moving image"),
) -> Registration:
    """Register ``moving`` (PET) to ``fixed`` (T1); ``names`` are theirs in messages.

    The engine sees T1 without its bias field if ``correct_bias`` is set.

    Raises:
        InputError: an image is empty or not finite, or the engine is not here or failed.
    """
    working = working_spm(engine)
    pair = PreparedPair.of(fixed, moving, correct_bias=correct_bias, names=names)
    return register_pair(pair, working, spm_minutes=spm_minutes)


def register_pair(
    pair: PreparedPair, working: spm.Engine | None, *, spm_minutes: float = 30.0
) -> Registration:
    """Register a pair by SPM12, or by the embedded engine if that is None (:func:`working_spm`).

    Every engine starts from the same transform, the most similar of those between the headers and the
    centres of the heads. The result does not depend on the number of cores.

    Raises:
        InputError: the engine failed.
    """
    began = time.monotonic()
    fixed_centre, moving_centre = pair.centres_mm
    start = starting_transform(pair.search, fixed_centre_mm=fixed_centre, moving_centre_mm=moving_centre)
    if working:
        found = working.estimate(pair.fixed, pair.moving, start=start, minutes=spm_minutes)
        name, version = working.name, working.version
    else:
        from quietpet.registration import embedded  # noqa: PLC0415 (SPM12 does without it)

        found = embedded.estimate(
            pair.fixed,
            pair.moving,
            start=start,
            fixed_head_mm=pair.fixed_head_mm,
            moving_head_mm=pair.moving_head_mm,
        )
        name, version = "embedded", embedded.version()
    return _judged(pair, found, engine=name, version=version, began=began)


def register_given(
    fixed: Volume,
    moving: Volume,
    transform: RigidTransform,
    *,
    engine: str,
    version: str,
    correct_bias: bool = True,
    names: tuple[str, str] = ("fixed image", "moving image"),
) -> Registration:
    """A transform of the user's with the same figures to judge it by; nothing is estimated.

    Raises:
        InputError: an image is empty or not finite.
    """
    pair = PreparedPair.of(fixed, moving, correct_bias=correct_bias, names=names)
    return _judged(pair, transform, engine=engine, version=version, began=time.monotonic())


def _judged(
    pair: PreparedPair, found: RigidTransform, *, engine: str, version: str, began: float
) -> Registration:
    """``found`` with the figures to judge it by; ``began`` is when its search did, monotonic [s]."""
    judge = Similarity.of(
        pair.fixed,
        pair.moving,
        head_mm=pair.fixed_head_mm,
        spacing_mm=_SPACING_MM,
        fwhm_mm=_FWHM_MM,
    )
    centre = pair.centres_mm[0]
    rival = best_rival(
        found, search=pair.search, judge=judge, centres_mm=pair.centres_mm, least_mm=_RIVAL_MM
    )
    return Registration(
        transform=found,
        engine=engine,
        version=version,
        nmi_before=judge.nmi(RigidTransform.identity()),
        nmi_after=judge.nmi(found),
        nmi_nudged=max(judge.nmi(found @ nudge) for nudge in _nudges(centre)),
        nmi_rival=judge.nmi(rival) if rival else 1.0,
        rival=rival,
        rival_mm=float(rival.distance_mm(found, pair.search.head_mm).mean()) if rival else 0.0,
        rotation_deg=found.rotation_deg,
        translation_mm=float(np.linalg.norm(found.apply(centre[None])[0] - centre)),
        offset_mm=pair.offset_mm(found),
        field_of_view=pair.field_of_view(found),
        bias_field=pair.bias_field,
        seconds=pair.seconds + time.monotonic() - began,
    )


def working_spm(engine: EngineChoice, *, trial: bool = False) -> spm.Engine | None:
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
            f"{_NUDGE_MM:g} mm or {_NUDGE_DEG:g} degrees away the normalised mutual information is "
            f"{found.nmi_nudged:.4f}, hardly less than the result's {found.nmi_after:.4f} (margin "
            f"{found.margin:.3f}; {least})"
        )


def _elsewhere(found: Registration, rival: RigidTransform) -> str:
    """Where the rival lies from the result, such as "turned by 180 degrees about the feet-head axis"."""
    between = (found.transform.inverse @ rival).fixed_to_moving
    vector = Rotation.from_matrix(between[:3, :3]).as_rotvec(degrees=True)
    degrees = float(np.linalg.norm(vector))
    if degrees < _NUDGE_DEG:
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
