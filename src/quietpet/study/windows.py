"""Windows of scans in minutes, before any scan is there."""

from __future__ import annotations

import numpy as np

from quietpet.config.invivo import STANDARD, WindowSettings
from quietpet.config.standin import StandinScanSettings
from quietpet.errors import InputError
from quietpet.invivo.frame_times import GAP_S, FrameTiming, Rounding, choose_frames
from quietpet.standin.schedule import frame_schedule
from quietpet.study.contents import StudyContents
from quietpet.units import SECONDS_PER_MINUTE


def scan_of(study: StudyContents) -> StandinScanSettings:
    """The dynamic scan of the stand-ins; without any, its defaults, which are the published ones."""
    return study.standin.scan if study.standin else StandinScanSettings()


def span_minutes(window: WindowSettings, study: StudyContents) -> tuple[float, float]:
    """Start and end of a window; one of frames has frames as long as those of the stand-in."""
    start = window.start_minutes
    return start, start + (window.minutes or _frames_s(window, scan_of(study)) / SECONDS_PER_MINUTE)


def _frames_s(window: WindowSettings, scan: StandinScanSettings) -> float:
    """Seconds of a window of frames; beyond those of ``scan`` they are taken for the shortest."""
    later = [frame.seconds for frame in frame_schedule(scan) if frame.start_s >= window.start_s - GAP_S]
    taken = later[: window.frames]
    return sum(taken) + ((window.frames or 0) - len(taken)) * scan.shortest_frame_s


def require_frames_of_windows(study: StudyContents) -> None:
    """Raise ValueError unless the stand-ins have frames for every window that is taken of them.

    Frames are whole: a window begins with the first one after its start, and its length is rounded. By
    either it may be off by one of the shortest frames and no more, or it would be another window.
    """
    if study.invivo is None or study.standin is None:
        return
    scan = study.standin.scan
    for source, settings in study.invivo.sources.items():
        for name, window in study.invivo.windows_of(source).items() if settings.cohort else ():
            place = name if name == STANDARD else f"low.{name}"
            try:
                _require_frames(place, window, scan, study.invivo.rounding)
            except InputError as error:
                raise ValueError(str(error)) from None


def _require_frames(
    place: str, window: WindowSettings, scan: StandinScanSettings, rounding: Rounding
) -> None:
    timing = _timing(scan)
    chosen = choose_frames(
        timing,
        start_s=window.start_s,
        seconds=window.seconds,
        n_frames=window.frames,
        rounding=rounding,
        name=place,
    )
    start_s, end_s = timing.starts_s[chosen[0]], timing.ends_s[chosen[-1]]
    longest_s = timing.durations_s[list(chosen)].max()
    off_s = max(start_s - window.start_s, abs(end_s - start_s - (window.seconds or end_s - start_s)))
    # A low window of so many frames is one of short frames: 16 s, and not 212.
    counts_long_ones = window.frames and place != STANDARD and longest_s > scan.shortest_frame_s
    if off_s > scan.shortest_frame_s + GAP_S or counts_long_ones:
        equal = round(timing.durations_s.sum() / scan.shortest_frame_s)
        raise InputError(
            f"invivo.windows.{place}: asks for {window.describe()}, but the frames of standin.scan give "
            f"{start_s:g} to {end_s:g} s, in {len(chosen)} of up to {longest_s:g} s; write short frames "
            f"there, or [[{equal}, {scan.shortest_frame_s:g}]], of which any window can be taken."
        )


def _timing(scan: StandinScanSettings) -> FrameTiming:
    schedule = frame_schedule(scan)
    return FrameTiming(
        starts_s=np.array([frame.start_s for frame in schedule]),
        durations_s=np.array([frame.seconds for frame in schedule]),
        source="standin.scan.frames",
    )
