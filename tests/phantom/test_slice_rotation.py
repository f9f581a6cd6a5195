from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from quietpet.errors import InputError
from quietpet.phantom.slices import (
    cut_linear,
    cut_nearest,
    draw_angles_deg,
    require_inside_disc,
    rotate,
    slice_rows,
)

N = 128
AXIS = N // 2


def _offsets() -> tuple[np.ndarray, np.ndarray]:
    offset = np.arange(N) - AXIS
    return np.meshgrid(offset, offset, indexing="ij")


def _blob(row: float, column: float, sigma: float = 4.0) -> np.ndarray:
    y, x = _offsets()
    return np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / sigma**2)


@pytest.mark.parametrize("angle_deg", [-15.0, 7.3, 30.0, 90.0, 180.0])
def test_an_off_centre_blob_turns_counter_clockwise_about_the_axis(angle_deg: float) -> None:
    row, column = -12.0, 25.0
    angle = math.radians(angle_deg)
    # With rows pointing down, counter-clockwise as displayed takes +x towards -y.
    to_row = -column * math.sin(angle) + row * math.cos(angle)
    to_column = column * math.cos(angle) + row * math.sin(angle)
    turned = rotate(_blob(row, column), angle_deg, order=1)
    centre = np.array(ndimage.center_of_mass(turned)) - AXIS
    np.testing.assert_allclose(centre, (to_row, to_column), atol=0.01)
    # Linear interpolation widens a blob of sigma 4 by at most 1/6 pixel squared.
    np.testing.assert_allclose(turned, _blob(to_row, to_column), atol=0.02)


def test_a_disc_about_the_axis_stays_where_it_is() -> None:
    y, x = _offsets()
    disc = (np.hypot(y, x) <= 40).astype(np.float32)
    turned = rotate(disc, 11.0, order=1)
    away_from_edge = np.abs(np.hypot(y, x) - 40) > 1.5
    np.testing.assert_allclose(turned[away_from_edge], disc[away_from_edge], atol=1e-6)
    assert turned.sum() == pytest.approx(disc.sum(), rel=2e-3)


def test_a_quarter_turn_of_labels_is_exact() -> None:
    labels = np.random.default_rng(0).integers(0, 12, (N, N)).astype(np.uint8)
    turned = rotate(labels, 90.0, order=0)
    # The first row and column have no partner on the other side of pixel n // 2.
    np.testing.assert_array_equal(turned[1:, 1:], np.rot90(labels[1:, 1:]))


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("angle_deg", [-13.7, 4.2, 90.0, 131.0])
def test_rotations_equal_those_of_scipy_bit_for_bit(order: int, angle_deg: float) -> None:
    images = np.random.default_rng(4).random((2, N, N), dtype=np.float32)
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    to_source = np.array([[cosine, sine], [-sine, cosine]])
    axis = np.array([AXIS, AXIS])
    expected = [
        ndimage.affine_transform(
            image, to_source, offset=axis - to_source @ axis, order=order, mode="nearest"
        )
        for image in images
    ]
    np.testing.assert_array_equal(rotate(images, angle_deg, order=order), expected)


@pytest.mark.parametrize("cut", [cut_linear, cut_nearest])
def test_rows_are_ordered_as_their_names_and_angle_zero_changes_no_bit(cut) -> None:
    planes = np.random.default_rng(1).random((2, N, N), dtype=np.float32)
    images = cut(planes, np.array([0.0, 5.0]))
    assert images.dtype == planes.dtype
    assert images.shape == (4, N, N)
    np.testing.assert_array_equal(images[::2], planes)
    np.testing.assert_allclose(images[1::2].sum(axis=(1, 2)), planes.sum(axis=(1, 2)), rtol=0.05)


def test_nearest_never_invents_a_label() -> None:
    labels = np.zeros((1, N, N), np.uint8)
    labels[0, 30:90, 40:80] = 112
    turned = cut_nearest(labels, np.array([0.0, 13.0]))
    assert set(np.unique(turned)) == {0, 112}
    assert turned.dtype == np.uint8


def test_rows_are_ordered_by_slice_and_then_rotation() -> None:
    rows = slice_rows((65, 67), np.array([0.0, 3.0]))
    assert [row.key("04") for row in rows] == ["04/z065/r0", "04/z065/r1", "04/z067/r0", "04/z067/r1"]


def test_angles_start_at_zero_and_keep_within_their_limit() -> None:
    angles = draw_angles_deg(rotations=2000, max_angle_deg=15, rng=np.random.default_rng(2))
    assert angles[0] == 0
    assert np.abs(angles).max() <= 15
    # Uniform in +-15: standard deviation 15 / sqrt(3).
    assert angles.std() == pytest.approx(15 / math.sqrt(3), rel=0.05)


def test_more_rotations_keep_the_earlier_angles() -> None:
    few = draw_angles_deg(rotations=3, max_angle_deg=15, rng=np.random.default_rng(3))
    many = draw_angles_deg(rotations=5, max_angle_deg=15, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(few, many[:3])


def test_a_head_outside_the_disc_is_refused_only_in_the_slices_asked_for() -> None:
    head = np.zeros((3, N, N), np.uint8)
    head[:, AXIS, AXIS + 63] = 1
    head[1, AXIS + 50, AXIS + 40] = 1
    require_inside_disc(head[[0, 2]], subject="53", indices=(0, 2))
    with pytest.raises(InputError, match=r"subject 53, slice 1: .* 64\.0 pixels .*holds 63"):
        require_inside_disc(head[:2], subject="53", indices=(0, 1))
