"""Laws of crops, squares and shares of a data set that hold for any sizes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from quietpet.data.batches import central_window, random_window, recentred, spread_rows
from quietpet.data.crop import central_crop
from quietpet.data.scaling import activity_weighted_mean

SIDES = st.integers(1, 24)


def image(side: int) -> np.ndarray:
    """Every pixel another value, none 0."""
    return 1.0 + np.arange(side * side, dtype=np.float32).reshape(side, side)


@given(SIDES, SIDES)
def test_the_axis_stays_in_the_centre_pixel(side, pixels):
    """The scanner's axis passes through pixel n // 2 of any image of n pixels."""
    source, cropped = image(side), central_crop(image(side), pixels)
    assert cropped.shape == (pixels, pixels)
    assert cropped[pixels // 2, pixels // 2] == source[side // 2, side // 2]
    for step in range(-min(side, pixels) // 2 + 1, (min(side, pixels) - 1) // 2 + 1):
        assert cropped[pixels // 2, pixels // 2 + step] == source[side // 2, side // 2 + step]
        assert cropped[pixels // 2 + step, pixels // 2] == source[side // 2 + step, side // 2]


@given(SIDES, SIDES)
def test_padding_is_undone_by_cropping(side, more):
    padded = central_crop(image(side), side + more)
    assert padded.sum() == image(side).sum()
    np.testing.assert_array_equal(central_crop(padded, side), image(side))


@given(SIDES, SIDES, SIDES)
def test_two_crops_are_the_smaller_one(side, first, second):
    larger, smaller = max(first, second), min(first, second)
    twice = central_crop(central_crop(image(side), larger), smaller)
    np.testing.assert_array_equal(twice, central_crop(image(side), smaller))


@given(SIDES, SIDES)
def test_three_ways_to_a_central_square_agree(side, pixels):
    expected = central_crop(image(side), pixels)
    np.testing.assert_array_equal(recentred(torch.from_numpy(image(side))[None], pixels)[0], expected)
    if pixels <= side:
        np.testing.assert_array_equal(image(side)[central_window(side, pixels)], expected)


@given(st.data(), SIDES, st.integers(0, 99))
def test_a_random_square_lies_inside_and_holds_a_pixel_of_the_head(data, side, seed):
    pixels = data.draw(st.integers(1, side), label="pixels")
    head = data.draw(npst.arrays(bool, (side, side)), label="head")
    window = random_window(head, pixels, np.random.default_rng(seed))
    assert head[window].shape == (pixels, pixels)
    assert head[window].any() == head.any()


@given(st.data(), st.integers(1, 500))
def test_spread_rows_are_the_middles_of_equal_parts(data, count):
    """In order, none twice, and the same number before the first as after the last, to one."""
    wanted = data.draw(st.integers(1, count), label="wanted")
    rows = spread_rows(count, wanted)
    assert len(rows) == wanted
    assert rows == sorted(set(rows))
    for part, row in enumerate(rows):
        assert part * count // wanted <= row < -(-(part + 1) * count // wanted)
    assert 0 <= rows[0] - (count - 1 - rows[-1]) <= 1


@given(
    npst.arrays(np.float64, (3, 4), elements=st.just(0.0) | st.floats(1e-3, 1e3)), st.floats(1e-3, 1e3)
)
def test_the_scale_has_the_unit_of_the_image(values, factor):
    """Between the mean and the largest value; whatever the background adds of nothing."""
    scale = activity_weighted_mean(values)
    if not values.any():
        assert scale == 1.0
        return
    np.testing.assert_allclose(activity_weighted_mean(factor * values), factor * scale)
    np.testing.assert_allclose(activity_weighted_mean(np.pad(values, 3)), scale)
    assert values.mean() * (1 - 1e-9) <= scale <= values.max() * (1 + 1e-9)
