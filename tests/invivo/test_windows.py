"""Windows of a scan against what a scanner would have measured in them."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.invivo.frame_times import FrameTiming, choose_frames
from quietpet.invivo.timing import decay_factors
from quietpet.invivo.windows import half_life_of, weigh_frames, window_means

F18_S = 6586.2
RATE = np.log(2) / F18_S


def regular(n_frames: int = 356, seconds: float = 16.0, first: float = 0.0) -> FrameTiming:
    return FrameTiming(
        starts_s=first + seconds * np.arange(n_frames),
        durations_s=np.full(n_frames, seconds),
        source="test",
    )


def choose(timing: FrameTiming, start_s: float, seconds: float, rounding: str = "nearest") -> range:
    return choose_frames(timing, start_s=start_s, seconds=seconds, rounding=rounding, name="standard")


@pytest.mark.parametrize(
    ("seconds", "rounding", "count"),
    [
        *((1800, "nearest", 113), (1800, "up", 113), (1800, "down", 112)),
        *((120, "nearest", 8), (120, "up", 8), (120, "down", 7)),
        *((16, "nearest", 1), (16, "up", 1), (16, "down", 1)),
        *((5, "nearest", 1), (5, "down", 1), (33, "nearest", 2), (39.9, "nearest", 2)),
        (3600, "nearest", 225),
    ],
)
def test_windows_are_whole_frames(seconds: float, rounding: str, count: int) -> None:
    assert choose(regular(), 1800, seconds, rounding) == range(113, 113 + count)


def test_a_number_of_frames_is_not_rounded() -> None:
    timing = regular()
    for count in (1, 7):
        chosen = choose_frames(timing, start_s=1800, n_frames=count, name="16s")
        assert chosen == range(113, 113 + count)
    with pytest.raises(InputError, match=r"wants 5 frames from 5648 s on, but the scan ends at 5696 s"):
        choose_frames(timing, start_s=5640, n_frames=5, name="16s")


def test_a_window_starts_with_the_first_frame_after_its_start() -> None:
    assert choose(regular(), 1808, 16).start == 113
    assert choose(regular(first=-1.0), 0, 16).start == 0, "a clock a second off is no reason to skip"
    assert choose(regular(), 0.0, 16).start == 0


def test_frames_of_growing_length() -> None:
    lengths = np.array([10.0, 10, 30, 60, 120, 300])
    timing = FrameTiming(
        starts_s=np.concatenate([[0], lengths.cumsum()[:-1]]), durations_s=lengths, source=""
    )
    assert choose(timing, 0, 100) == range(4)
    assert choose(timing, 0, 60, "down") == range(3)
    assert choose(timing, 15, 90) == range(2, 4)
    assert choose(timing, 0, 290) == range(5), "230 s are nearer than 530 s"


def test_a_window_may_start_within_a_long_frame_before_a_short_one() -> None:
    timing = FrameTiming(
        starts_s=np.array([0.0, 300, 316]), durations_s=np.array([300.0, 16, 16]), source=""
    )
    assert choose(timing, 120, 32) == range(1, 3)


def test_a_window_may_not_start_in_a_long_frame_after_which_frames_are_missing() -> None:
    timing = FrameTiming(starts_s=np.array([0.0, 1000]), durations_s=np.array([300.0, 16]), source="")
    with pytest.raises(InputError, match="have no frame before 1000 s"):
        choose(timing, 120, 16)


def test_a_window_may_not_start_where_frames_are_missing() -> None:
    keep = [*range(120), *range(125, 356)]
    timing = FrameTiming(
        starts_s=regular().starts_s[keep], durations_s=regular().durations_s[keep], source=""
    )
    with pytest.raises(
        InputError, match="starts at 1940 s, but the images at hand have no frame before"
    ):
        choose(timing, 1940, 16)
    assert choose(timing, 1990, 16) == range(120, 121)


@pytest.mark.parametrize(
    ("start_s", "seconds", "words"),
    [
        (6000, 16, "starts at 6000 s, but the last frame at 5680 s"),
        (5600, 120, "scan ends at 5696 s"),
        (0, 16, "no frame before 48 s"),
    ],
)
def test_a_scan_that_is_not_there_then(start_s: float, seconds: float, words: str) -> None:
    timing = FrameTiming(
        starts_s=regular().starts_s[3:], durations_s=regular().durations_s[3:], source="test"
    )
    with pytest.raises(InputError, match=rf"^invivo\.windows\.standard: .*{words}"):
        choose(timing, start_s, seconds)


def test_a_gap_within_a_window() -> None:
    keep = [*range(120), *range(125, 356)]
    timing = FrameTiming(
        starts_s=regular().starts_s[keep], durations_s=regular().durations_s[keep], source=""
    )
    with pytest.raises(InputError, match="between frames 119 and 120 lie 80 s"):
        choose(timing, 1800, 1800)
    assert len(choose(timing, 2000, 1800)) == 113


def tracer(t_s: np.ndarray) -> np.ndarray:
    """Concentration without decay: an uptake."""
    return 2e4 * (1 - np.exp(-t_s / 1500)) + 10 * t_s


def activity_mean(start_s: float, end_s: float) -> float:
    """Mean of the decaying activity, by fine sums."""
    t_s = np.linspace(start_s, end_s, 200_001)
    values = tracer(t_s) * np.exp(-RATE * t_s)
    return float(np.trapezoid(values, t_s) / (end_s - start_s))


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("seconds", [1808.0, 128.0, 16.0])
def test_the_sum_is_what_one_long_frame_would_show(corrected: bool, seconds: float) -> None:
    timing = regular()
    window = weigh_frames(
        timing, choose(timing, 1800, seconds), half_life_s=F18_S, decay_corrected=corrected
    )
    assert window.seconds == seconds
    measured = np.array([activity_mean(timing.starts_s[n], timing.ends_s[n]) for n in window.frames])
    factors = decay_factors(timing, half_life_s=F18_S)[list(window.frames)]
    frames = measured * factors if corrected else measured
    whole = np.exp(RATE * window.start_s) * RATE * seconds / (1 - np.exp(-RATE * seconds))
    expected = activity_mean(window.start_s, window.end_s) * whole
    assert np.dot(window.weights, frames) == pytest.approx(expected, rel=1e-7)
    # And close to the tracer's own mean, in its unit: Bq/ml stay Bq/ml.
    assert expected == pytest.approx(tracer(np.linspace(window.start_s, window.end_s)).mean(), rel=0.01)


def test_weights_of_corrected_frames_are_their_durations_but_for_decay() -> None:
    timing = regular()
    window = weigh_frames(timing, choose(timing, 1800, 1800), half_life_s=F18_S, decay_corrected=True)
    assert sum(window.weights) == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(window.weights, np.exp(-RATE * timing.starts_s[:113]) / np.sum(
        np.exp(-RATE * timing.starts_s[:113])
    ))  # fmt: skip
    stable = weigh_frames(timing, choose(timing, 1800, 1800), half_life_s=1e15, decay_corrected=True)
    np.testing.assert_allclose(stable.weights, 1 / 113)


def test_window_means_take_frames_as_they_come() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((6, 3, 4, 5)).astype(np.float32)
    timing = regular(6)
    windows = {
        name: weigh_frames(timing, chosen, half_life_s=F18_S, decay_corrected=True)
        for name, chosen in {"standard": range(1, 6), "16s": range(2, 3)}.items()
    }
    means = window_means(iter(enumerate(images)), windows)
    weights = np.array(windows["standard"].weights)
    np.testing.assert_allclose(means["standard"], np.tensordot(weights, images[1:], 1), rtol=1e-6)
    np.testing.assert_array_equal(means["16s"], images[2])
    assert means["standard"].dtype == np.float32


@pytest.mark.parametrize(
    ("radionuclide", "stated", "expected"),
    [("F18", 6586.2, 6586.2), ("F18", None, 6586.2), ("[18F]", None, 6586.2), ("C-11", None, 1221.8),
     ("68Ga", None, 4062.6), ("^18^Fluorine", None, 6586.2), ("Carbon-11", None, 1221.8),
     (None, 1000.0, 1000.0)],
)  # fmt: skip
def test_half_lives(radionuclide, stated, expected) -> None:
    assert half_life_of(radionuclide, stated, file="a.json") == expected


@pytest.mark.parametrize("radionuclide", [None, "FDG", "Mn52"])
def test_an_unknown_half_life_is_asked_for(radionuclide) -> None:
    with pytest.raises(InputError, match=r"^a\.json: .*add RadionuclideHalfLife"):
        half_life_of(radionuclide, None, file="a.json")
