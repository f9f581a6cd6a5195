"""The frames of a simulated scan: when each begins, how long it is, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass

from quietpet.config.standin import StandinScanSettings
from quietpet.seeds import Name
from quietpet.units import SECONDS_PER_MINUTE


@dataclass(frozen=True, kw_only=True)
class ScheduledFrame:
    """One frame: start after the injection and length [s], and the ``name`` that its noise is drawn by.

    Frames are called after their start, so that other frames elsewhere do not change their noise: by how
    many of the shortest frames fit before it, from the first on. Where all are equal, that is a number.
    """

    start_s: float
    seconds: float
    name: Name

    @property
    def edges_minutes(self) -> tuple[float, float]:
        return self.start_s / SECONDS_PER_MINUTE, (self.start_s + self.seconds) / SECONDS_PER_MINUTE


def frame_schedule(scan: StandinScanSettings) -> tuple[ScheduledFrame, ...]:
    """All frames of a scan, one after the other."""
    frames, block_s = [], 0.0
    for count, seconds in scan.frames:
        for number in range(count):
            after_s = block_s + number * seconds
            frames.append(
                ScheduledFrame(
                    start_s=scan.first_frame_minutes * SECONDS_PER_MINUTE + after_s,
                    seconds=seconds,
                    name=_name(after_s / scan.shortest_frame_s),
                )
            )
        block_s += count * seconds
    return tuple(frames)


def in_words(scan: StandinScanSettings) -> str:
    """Such as "4 frames of 212 s, 8 of 16 s and 4 of 208 s"."""
    (first, _), *_ = scan.frames
    noun = "frame" if first == 1 else "frames"
    *before, last = (f"{count} of {seconds:g} s" for count, seconds in scan.frames)
    words = f"{', '.join(before)} and {last}" if before else last
    return words.replace(" of", f" {noun} of", 1)


def _name(shortest_before: float) -> Name:
    whole = round(shortest_before)
    return whole if abs(shortest_before - whole) < 1e-6 else f"{shortest_before:.6f}"
