"""Rigid registration of PET to T1: one signature, two engines, and the figures to judge a result by."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from quietpet.config.registration import EngineChoice
from quietpet.errors import InputError
from quietpet.geometry.volume import Volume
from quietpet.registration import spm
from quietpet.registration.credible import NUDGE_DEG, NUDGE_MM, Registration
from quietpet.registration.head import clipped, head_mask, inner_head_mm
from quietpet.registration.similarity import SEARCH, Similarity, best_rival, starting_transform
from quietpet.registration.volume import RigidTransform, require_image

logger = logging.getLogger(__name__)

_SPACING_MM, _FWHM_MM = 4.0, 5.0
"""Of the coarse copies on which results are judged, whatever the engine looked at."""

_RIVAL_MM = 15.0
"""What ends further from the result than this, on average over the head, is another place."""

_EMPTY_MM = 15.0
"""Zeros as wide as this are no measurement: what a scanner did not see, or a mask took away."""


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


def _nudges(centre_mm: np.ndarray) -> list[RigidTransform]:
    """Small motions along and about each axis through ``centre_mm``, both ways."""
    axes = [sign * axis for axis in np.eye(3) for sign in (1, -1)]
    return [
        *(RigidTransform.from_rotation(translation_mm=NUDGE_MM * axis) for axis in axes),
        *(
            RigidTransform.from_rotation(euler_deg=NUDGE_DEG * axis, centre_mm=centre_mm)
            for axis in axes
        ),
    ]
