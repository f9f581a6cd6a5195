"""When the frames of a scan were measured, and which of them a window takes.

Kept free of slow imports: a study asks it before any scan is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from quietpet.errors import InputError

Rounding = Literal["nearest", "down", "up"]

GAP_S = 1.0
"""Clocks are written to the second: less than this between two frames is no gap."""


@dataclass(frozen=True, kw_only=True)
class FrameTiming:
    """Starts and durations of all frames [s], shape (frame,); ``source`` tells where they come from."""

    starts_s: np.ndarray
    durations_s: np.ndarray
    source: str

    @property
    def n_frames(self) -> int:
        return len(self.starts_s)

    @property
    def ends_s(self) -> np.ndarray:
        return self.starts_s + self.durations_s

    def later(self, seconds: float) -> FrameTiming:
        return replace(self, starts_s=self.starts_s + seconds)

    @property
    def gaps_s(self) -> np.ndarray:
        """Time between the end of a frame and the start of the next [s], shape (frame - 1,)."""
        return self.starts_s[1:] - self.ends_s[:-1]


def choose_frames(
    timing: FrameTiming,
    *,
    start_s: float,
    seconds: float | None = None,
    n_frames: int | None = None,
    rounding: Rounding = "nearest",
    name: str,
) -> range:
    """The frames of a window: from the first that starts at or after ``start_s``, for ``seconds``.

    Frames are whole, so their number is rounded: 112.5 frames of 16 s are 113 when rounded to the
    nearest (half goes up) or up, 112 down; at least one. ``n_frames`` gives the number itself.

    Raises:
        InputError: the scan ends before, or frames are missing in between; names ``name``.
    """
    later = np.flatnonzero(timing.starts_s >= start_s - GAP_S)
    if later.size == 0:
        raise InputError(
            f"invivo.windows.{name}: starts at {start_s:g} s, but the last frame at "
            f"{timing.starts_s[-1]:g} s after the injection; choose an earlier start_minutes."
        )
    first = int(later[0])
    measured_until_s = timing.ends_s[first - 1] if first else start_s
    unmeasured_s = timing.starts_s[first] - max(start_s, measured_until_s)
    if unmeasured_s > timing.durations_s[first] + GAP_S:
        raise InputError(
            f"invivo.windows.{name}: starts at {start_s:g} s, but the images at hand have no frame "
            f"before {timing.starts_s[first]:g} s; add the run before, or choose a later start_minutes."
        )
    lengths = timing.ends_s[first:] - timing.starts_s[first]
    count = n_frames or _count(lengths, seconds or 0.0, rounding)
    if count > len(lengths):
        wanted = f"{n_frames} frames" if n_frames else f"{seconds:g} s"
        raise InputError(
            f"invivo.windows.{name}: wants {wanted} from {timing.starts_s[first]:g} s on, but the scan "
            f"ends at {timing.ends_s[-1]:g} s; choose a shorter window or an earlier start_minutes."
        )
    gaps = timing.gaps_s[first : first + count - 1]
    if gaps.size and np.abs(gaps).max() > GAP_S:
        frame = first + int(np.abs(gaps).argmax())
        raise InputError(
            f"invivo.windows.{name}: between frames {frame} and {frame + 1} lie "
            f"{timing.gaps_s[frame]:g} s; choose a window without a gap."
        )
    return range(first, first + count)


def _count(lengths: np.ndarray, seconds: float, rounding: Rounding) -> int:
    """Frames that ``seconds`` hold when rounded, at least 1; more than there are where they end before.

    ``lengths`` (frame,) are the times from the start of the first to the end of each.
    """
    one_more = lengths[-1] + (lengths[-1] - lengths[-2] if len(lengths) > 1 else lengths[-1])
    ends, tolerance = np.append(lengths, one_more), 1e-6 * seconds
    whole = int(np.count_nonzero(ends <= seconds + tolerance))
    within = ends[whole - 1] if whole else 0.0
    if whole == len(ends) or seconds - within <= tolerance:
        return whole
    nearer_above = ends[whole] - seconds <= seconds - within + tolerance
    if rounding == "up" or (rounding == "nearest" and nearer_above):
        return whole + 1
    return max(1, whole)
