"""T1 that is not where it should be, or not whose it should be.

Pure functions of a T1 slice, and the slices of a packed data set with such a T1. What is drawn is seeded
by the name of the slice: every method, dose and training sees the same wrong T1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform

from quietpet.config.robustness import NONE, OWN, T1Condition
from quietpet.data.dataset import PairDataset
from quietpet.data.pairs import DosePair
from quietpet.data.scaling import activity_weighted_mean
from quietpet.errors import InputError
from quietpet.seeds import numpy_rng

_SHIFTS_MM: Mapping[str, float] = {"shift_2mm": 2.0, "shift_4mm": 4.0}
_ANGLES_DEG: Mapping[str, float] = {"rotate_3deg": 3.0}
_OTHER_SUBJECT = "other_subject"


def shifted(image: np.ndarray, *, shift_mm: tuple[float, float], pixel_mm: float) -> np.ndarray:
    """``image`` (y, x) moved by ``shift_mm`` (down, to the right); 0 comes in from outside.

    Interpolated linearly, which blurs as well, most where it moves by half a pixel.
    """
    return _resampled(image, np.eye(2), -np.asarray(shift_mm) / pixel_mm)


def rotated(image: np.ndarray, angle_deg: float) -> np.ndarray:
    """``image`` (y, x) turned about pixel (n // 2, n // 2), where the scanner axis is; 0 outside.

    A positive angle turns counter-clockwise as displayed with row 0 at the top, as in
    :func:`quietpet.phantom.slices.rotate`. Interpolated linearly.
    """
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    to_source = np.array([[cosine, sine], [-sine, cosine]])
    axis = np.array(image.shape) // 2
    return _resampled(image, to_source, axis - to_source @ axis)


def drawn_shift_mm(length_mm: float, *, study_seed: int, key: str) -> tuple[float, float]:
    """``length_mm`` (down, to the right) in the direction drawn for the slice ``key``, of any length."""
    direction = numpy_rng(study_seed, "wrong t1", "direction", key).uniform(0.0, 2.0 * np.pi)
    return length_mm * np.sin(direction), length_mm * np.cos(direction)


def drawn_sign(*, study_seed: int, key: str) -> int:
    """1 or -1, the way in which the slice ``key`` is turned."""
    return int(numpy_rng(study_seed, "wrong t1", "sign", key).choice([-1, 1]))


def rows_of_next_subject(subjects: Sequence[str], *, origin: Path | str) -> list[int]:
    """For each row of a data set that of the next subject, at the same place among its own.

    Packed subjects have the same slices and rotations in one order, so that it is the same slice and
    number of the rotation, whose angle is another one. Subjects follow each other as in ``subjects``
    (slice,), the first the last.

    Raises:
        InputError: there is one subject, or they have different numbers of slices; names ``origin``.
    """
    rows: dict[str, list[int]] = {}
    for row, subject in enumerate(subjects):
        rows.setdefault(subject, []).append(row)
    names = list(rows)
    if len(names) < 2:
        raise InputError(
            f"{origin}: holds one subject, {names[0]!r}, and no other whose T1 could be taken for its "
            f"own. Leave {_OTHER_SUBJECT} out of robustness.conditions, or test two subjects."
        )
    if len({len(each) for each in rows.values()}) > 1:
        raise InputError(
            f"{origin}: its subjects have different numbers of slices "
            f"({', '.join(f'{name}: {len(each)}' for name, each in rows.items())}), so that the same "
            "slice of another subject is not known. "
            f"Leave {_OTHER_SUBJECT} out of robustness.conditions."
        )
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    return [rows[following[subject]][rows[subject].index(row)] for row, subject in enumerate(subjects)]


class WrongT1Pairs(PairDataset):
    """The slices of a packed data set, each with the T1 of a ``condition``, and all else their own.

    T1 is divided by its own scale, as if the data set had been packed with it. Raises InputError as
    :class:`PairDataset` does, where a slice has no T1 that could be made wrong, and where ``condition``
    is other_subject and there is none.
    """

    def __init__(self, path: Path, *, condition: T1Condition, study_seed: int) -> None:
        super().__init__(path)
        self._condition = condition
        self._study_seed = study_seed
        self._require_t1()
        if condition == NONE:
            self.has_t1 = np.zeros_like(self.has_t1)
        self._other_rows = (
            rows_of_next_subject(self.subjects, origin=path) if condition == _OTHER_SUBJECT else []
        )

    def __getitem__(self, row: int) -> DosePair:
        pair = super().__getitem__(row)
        if pair.t1 is None or self._condition == OWN:
            return pair
        if self._condition == _OTHER_SUBJECT:
            return _with_t1_of(super().__getitem__(self._other_rows[row]), pair)
        t1 = self._moved(pair.t1, pair.key)
        return replace(pair, t1=t1, t1_scale=activity_weighted_mean(t1))

    def _moved(self, t1: np.ndarray, key: str) -> np.ndarray:
        seed, condition = self._study_seed, self._condition
        if condition in _SHIFTS_MM:
            shift_mm = drawn_shift_mm(_SHIFTS_MM[condition], study_seed=seed, key=key)
            return shifted(t1, shift_mm=shift_mm, pixel_mm=self.pixel_mm)
        return rotated(t1, drawn_sign(study_seed=seed, key=key) * _ANGLES_DEG[condition])

    def _require_t1(self) -> None:
        lacking = np.flatnonzero(~self.has_t1)
        if lacking.size:
            raise InputError(
                f"{self.path}: {lacking.size} of {len(self)} slices have no T1, the first is "
                f"{self.keys[lacking[0]]!r}, so that it cannot be made wrong. Leave "
                f"{self.dataset}/{self.setting} out of robustness.data, or those subjects out of its "
                "test."
            )


def _with_t1_of(other: DosePair, pair: DosePair) -> DosePair:
    """``pair`` with the T1 of ``other``, turned on to the angle of ``pair``.

    Angles are drawn for each subject; without that, T1 would be turned as well as another's. Where both
    are equal, as of the first rotation, nothing is interpolated.
    """
    angle_deg = pair.angle_deg - other.angle_deg
    if other.t1 is None or angle_deg == 0:
        return replace(pair, t1=other.t1, t1_scale=other.t1_scale)
    t1 = rotated(other.t1, angle_deg)
    return replace(pair, t1=t1, t1_scale=activity_weighted_mean(t1))


def _resampled(image: np.ndarray, to_source: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Pixel p takes the value at ``to_source @ p + offset``."""
    moved = affine_transform(
        image.astype(np.float64), to_source, offset, order=1, mode="grid-constant", cval=0.0
    )
    return moved.astype(image.dtype)
