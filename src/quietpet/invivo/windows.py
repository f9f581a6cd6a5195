"""Standard and low dose from the frames of one scan: which frames, and with what weight each.

A short window of the same scan stands for a low dose: it has proportionally fewer counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from quietpet.errors import InputError
from quietpet.invivo.frame_times import FrameTiming
from quietpet.invivo.timing import decay_factors

_HALF_LIFE_S = {
    **{"F18": 6586.2, "C11": 1221.8, "N13": 597.9, "O15": 122.24, "Ga68": 4062.6, "Rb82": 75.45},
    **{"Cu64": 45721.0, "Zr89": 282276.0, "I124": 360806.0, "Cu62": 580.2, "Br76": 58320.0},
    **{"Y86": 53064.0},
}
"""ENSDF evaluations, as in NuDat (National Nuclear Data Center), in seconds."""

RADIONUCLIDES = tuple(_HALF_LIFE_S)
"""Those whose half-life is known here."""

_SYMBOL = {
    **{"Fluorine": "F", "Carbon": "C", "Nitrogen": "N", "Oxygen": "O", "Gallium": "Ga", "Iodine": "I"},
    **{"Rubidium": "Rb", "Copper": "Cu", "Zirconium": "Zr", "Bromine": "Br", "Yttrium": "Y"},
}
"""Of elements, as DICOM's code meanings spell them: ^18^Fluorine."""

_SAME_NUCLIDE = 0.01
_OTHER_UNITS_S = {"minutes": 60.0, "hours": 3600.0, "milliseconds": 1e-3}


@dataclass(frozen=True, kw_only=True)
class FrameWindow:
    """Consecutive frames taken for one image: numbers from 0, weights, and the real time [s].

    The image is sum(weights * frames): (frame,) weights on images of (x, y, z) in Bq/ml.
    """

    frames: tuple[int, ...]
    weights: tuple[float, ...]
    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s


def weigh_frames(
    timing: FrameTiming,
    chosen: range,
    *,
    half_life_s: float,
    decay_corrected: bool | np.ndarray,
    reference_s: float = 0.0,
    corrected_to_s: np.ndarray | None = None,
) -> FrameWindow:
    """Weights that make of ``chosen`` the image that one long frame would have given.

    A reconstruction of the whole window sees the mean of the undecayed activity,
    sum(d_i A_i) / sum(d_i) with the duration d_i and mean activity A_i of frame i, and is corrected by
    the decay factor D of the whole window. Frames corrected one by one hold I_i = D_i A_i, hence

        image = sum(w_i I_i),   w_i = D d_i / (D_i sum(d_i)),

    with D_i = 1 for frames that are not ``decay_corrected`` (for all, or (frame,) as ``timing``): the
    image then is corrected here. It is corrected to ``reference_s``, so that windows at different times
    can be compared. Corrected frames are so to ``corrected_to_s`` (frame of ``timing``,), by default to
    the same time: their weights then sum to 1, and are d_i / sum(d_i) but for decay in the window.
    """
    frames = list(chosen)
    part = FrameTiming(
        starts_s=timing.starts_s[frames], durations_s=timing.durations_s[frames], source=timing.source
    )
    whole = FrameTiming(
        starts_s=part.starts_s[:1], durations_s=part.durations_s.sum(keepdims=True), source=part.source
    )
    own_s = reference_s if corrected_to_s is None else corrected_to_s[frames]
    corrected = np.broadcast_to(decay_corrected, timing.n_frames)[frames]
    each = np.where(corrected, decay_factors(part, half_life_s=half_life_s, reference_s=own_s), 1.0)
    (of_window,) = decay_factors(whole, half_life_s=half_life_s, reference_s=reference_s)
    weights = of_window * part.durations_s / (each * whole.durations_s[0])
    return FrameWindow(
        frames=tuple(frames),
        weights=tuple(float(weight) for weight in weights),
        start_s=float(part.starts_s[0]),
        end_s=float(part.ends_s[-1]),
    )


def window_means(
    frames: Iterable[tuple[int, np.ndarray]], windows: Mapping[str, FrameWindow]
) -> dict[str, np.ndarray]:
    """Weighted sums of ``frames`` (number and image of (x, y, z), one by one), by window, float32.

    One image per window is held, and one frame.
    """
    weights = {
        name: dict(zip(window.frames, window.weights, strict=True)) for name, window in windows.items()
    }
    sums: dict[str, np.ndarray] = {}
    for number, frame in frames:
        for name, of_frame in weights.items():
            if number in of_frame:
                weighted = frame * np.float32(of_frame[number])
                if name in sums:
                    sums[name] += weighted
                else:
                    sums[name] = weighted.astype(np.float64)
    return {name: values.astype(np.float32) for name, values in sums.items()}


def half_life_of(radionuclide: str | None, half_life_s: float | None, *, file: str) -> float:
    """Half-life [s]: as the scanner states it where that can be, else that of the radionuclide.

    Raises:
        InputError: neither is known; names ``file``, the side-car.
    """
    found = credible_half_life_s(radionuclide, half_life_s)
    if found is None:
        stated = "" if half_life_s is None else f", and RadionuclideHalfLife {half_life_s:g}"
        doubt = half_life_doubt(radionuclide, half_life_s)
        raise InputError(
            f"{file}: TracerRadionuclide is {radionuclide!r}, whose half-life is unknown here "
            f"({', '.join(_HALF_LIFE_S)} are known){stated}{f' ({doubt})' if doubt else ''}; add "
            "RadionuclideHalfLife [s]."
        )
    return found


def credible_half_life_s(radionuclide: str | None, stated_s: float | None) -> float | None:
    """Half-life [s] that an import reads, or None.

    The scanner corrects with the half-life that it states, so that is read wherever it is the
    radionuclide's, or that of another one, or of one not known here. One that none has is not.
    """
    if stated_s is None or half_life_doubt(radionuclide, stated_s):
        return known_half_life_s(radionuclide)
    return stated_s


def half_life_doubt(radionuclide: str | None, stated_s: float | None) -> str | None:
    """Why a stated half-life [s] is not read; None where it is."""
    if stated_s is None or _nuclide_of(stated_s):
        return None
    if stated_s <= 0:
        return "not above 0"
    for unit, factor in _OTHER_UNITS_S.items():
        if nuclide := _nuclide_of(stated_s * factor):
            return f"that of {nuclide} in {unit}?"
    known = known_half_life_s(radionuclide)
    return None if known is None else "the half-life of no radionuclide known here"


def known_half_life_s(radionuclide: str | None) -> float | None:
    """Half-life [s] of a radionuclide, however it is spelled; None for one that is not known here."""
    mass = re.search(r"\d+", str(radionuclide))
    symbol = re.search(r"[A-Za-z]+", str(radionuclide))
    if not mass or not symbol:
        return None
    element = symbol.group().capitalize()
    return _HALF_LIFE_S.get(f"{_SYMBOL.get(element, element)}{mass.group()}")


def same_half_life(one_s: float, other_s: float) -> bool:
    """Whether two half-lives [s] are those of one radionuclide, however it was rounded."""
    return abs(one_s / other_s - 1) <= _SAME_NUCLIDE


def _nuclide_of(half_life_s: float) -> str | None:
    """The radionuclide of a half-life [s], None for one of none that is known here."""
    names = (name for name, known in _HALF_LIFE_S.items() if same_half_life(half_life_s, known))
    return next(names, None)
