"""Windows of whole frames, for frames of any lengths: rounding, and what one long frame would show."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quietpet.errors import InputError
from quietpet.invivo.frame_times import FrameTiming, choose_frames
from quietpet.invivo.timing import decay_factors
from quietpet.invivo.windows import weigh_frames, window_means

LENGTHS_S = st.lists(st.integers(2, 400).map(float), min_size=1, max_size=12)
HALF_LIVES_S = st.floats(60, 1e6)
CLOCK_S = 1.0
ROUNDINGS = ("down", "nearest", "up")


def in_a_row(lengths_s: list[float], first_s: float = 0.0) -> FrameTiming:
    durations = np.array(lengths_s)
    return FrameTiming(
        starts_s=first_s + np.cumsum(durations) - durations, durations_s=durations, source="test"
    )


@st.composite
def windows(draw):
    """A scan, the frame at which a window starts, and the window's seconds, within the scan."""
    timing = in_a_row(draw(LENGTHS_S))
    first = draw(st.integers(0, timing.n_frames - 1))
    most = timing.ends_s[-1] - timing.starts_s[first]
    return timing, first, draw(st.floats(0.01, float(most)))


def seconds_of(timing: FrameTiming, chosen: range) -> float:
    return float(timing.ends_s[chosen[-1]] - timing.starts_s[chosen[0]])


@given(windows())
def test_rounding_of_a_window_is_rounding_of_its_seconds(window):
    """Down is no longer than asked for (but for one frame), up no shorter, the nearest the nearer."""
    timing, first, seconds = window
    down, nearest, up = (
        choose_frames(
            timing, start_s=timing.starts_s[first], seconds=seconds, rounding=rounding, name="low"
        )
        for rounding in ROUNDINGS
    )
    assert {down.start, nearest.start, up.start} == {first}
    assert len(down) <= len(nearest) <= len(up) <= len(down) + 1
    slack = 1e-5 * seconds
    assert seconds_of(timing, down) <= seconds + slack or len(down) == 1
    assert seconds_of(timing, up) >= seconds - slack
    every = [range(first, end) for end in range(first + 1, timing.n_frames + 1)]
    least = min(abs(seconds_of(timing, each) - seconds) for each in every)
    assert abs(seconds_of(timing, nearest) - seconds) <= least + slack


@given(windows(), st.sampled_from(ROUNDINGS))
def test_a_window_of_whole_frames_is_not_rounded(window, rounding):
    timing, first, _ = window
    for end in range(first + 1, timing.n_frames + 1):
        seconds = float(timing.ends_s[end - 1] - timing.starts_s[first])
        found = choose_frames(
            timing, start_s=timing.starts_s[first], seconds=seconds, rounding=rounding, name="low"
        )
        assert found == range(first, end)


@given(LENGTHS_S, st.floats(0, 5000), st.integers(1, 5000).map(float), st.sampled_from(ROUNDINGS))
def test_a_window_is_in_the_scan_or_refused(lengths, start_s, seconds, rounding):
    """Whatever is asked for: never a frame before the start by more than a clock's second."""
    timing = in_a_row(lengths, first_s=40.0)
    choose = partial(
        choose_frames, timing, start_s=start_s, seconds=seconds, rounding=rounding, name="standard"
    )
    later = np.flatnonzero(timing.starts_s >= start_s - CLOCK_S)
    first = int(later[0]) if later.size else timing.n_frames
    starts_before_the_scan = first == 0 and 40.0 - start_s > lengths[0] + CLOCK_S
    if not later.size or starts_before_the_scan or not holds(timing, first, seconds, rounding):
        with pytest.raises(InputError, match=r"^invivo\.windows\.standard: "):
            choose()
    else:
        assert choose().start == first


def holds(timing: FrameTiming, first: int, seconds: float, rounding: str) -> bool:
    """Whether the scan goes on for as long as the window, were it to end with a frame like its last."""
    left, last = timing.ends_s[-1] - timing.starts_s[first], timing.durations_s[-1]
    beyond = {"down": last, "nearest": last / 2, "up": 0.0}[rounding]
    return bool(seconds < left + beyond if beyond else seconds <= left)


@given(LENGTHS_S, HALF_LIVES_S, st.booleans())
def test_a_constant_tracer_stays_what_it_is(lengths, half_life_s, corrected):
    """Frames of a concentration that only decays sum to that concentration, in any window."""
    timing, concentration = in_a_row(lengths, first_s=100.0), 7.0
    window = weigh_frames(
        timing, range(timing.n_frames), half_life_s=half_life_s, decay_corrected=corrected
    )
    decays = 1.0 if corrected else 1 / decay_factors(timing, half_life_s=half_life_s)
    frames = concentration * np.broadcast_to(decays, timing.n_frames)
    means = window_means(
        ((number, np.full((1, 1, 1), value)) for number, value in enumerate(frames)), {"low": window}
    )
    assert means["low"].item() == pytest.approx(concentration, rel=1e-5)


@given(st.floats(1, 500), st.integers(1, 8), HALF_LIVES_S)
def test_a_frame_cut_in_parts_is_the_frame(seconds, parts, half_life_s):
    """The decay factor of a whole is that of its parts, weighed by their decays."""
    whole, cut = in_a_row([seconds], 50.0), in_a_row([seconds / parts] * parts, 50.0)
    weights = weigh_frames(cut, range(parts), half_life_s=half_life_s, decay_corrected=True).weights
    (expected,) = decay_factors(whole, half_life_s=half_life_s)
    of_parts = decay_factors(cut, half_life_s=half_life_s)
    assert sum(weights) == pytest.approx(1)
    assert 1 / np.mean(1 / of_parts) == pytest.approx(expected)
