from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from quietpet.errors import InputError
from quietpet.geometry.grid import ImageGrid, mmr_grid
from quietpet.phantom.resample import (
    grid_index,
    require_inside_image,
    sample_linear,
    sample_nearest,
)
from quietpet.phantom.tissues import LabelVolume

GRID = ImageGrid(n_slices=11, n_pixels=12, slice_mm=2.03125, pixel_mm=2.08626)


def _index_of(positions_mm: np.ndarray, voxel_mm: float, size: int) -> np.ndarray:
    return positions_mm / voxel_mm + (size - 1) / 2


def _coordinates(volume: LabelVolume, grid: ImageGrid) -> np.ndarray:
    axes = (grid.slice_positions_mm, grid.axis_mm, grid.axis_mm)
    indices = [
        _index_of(axis, volume.voxel_mm, size)
        for axis, size in zip(axes, volume.codes.shape, strict=True)
    ]
    return np.stack(np.meshgrid(*indices, indexing="ij"))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_linear_ramp_is_sampled_exactly(axis: int) -> None:
    size = 60
    ramp = np.arange(size, dtype=np.uint8).reshape([size if a == axis else 1 for a in range(3)])
    volume = LabelVolume(codes=np.broadcast_to(ramp, (size, size, size)), voxel_mm=0.5)
    image = sample_linear(volume, table=np.arange(256, dtype=np.float32), grid=GRID)
    expected = _coordinates(volume, GRID)[axis]
    np.testing.assert_allclose(image, expected, rtol=1e-5)


def test_linear_and_nearest_agree_with_scipy_on_random_labels() -> None:
    rng = np.random.default_rng(1)
    volume = LabelVolume(codes=rng.integers(0, 200, (70, 80, 75), dtype=np.uint8), voxel_mm=0.5)
    table = rng.random(256, dtype=np.float32)
    where = _coordinates(volume, GRID)
    linear = ndimage.map_coordinates(table[volume.codes], where, order=1)
    nearest = ndimage.map_coordinates(volume.codes, where, order=0)
    np.testing.assert_allclose(sample_linear(volume, table=table, grid=GRID), linear, atol=1e-4)
    np.testing.assert_array_equal(sample_nearest(volume, grid=GRID), nearest)


def test_outside_the_volume_is_air() -> None:
    volume = LabelVolume(codes=np.full((4, 4, 4), 32, np.uint8), voxel_mm=1.0)
    image = sample_linear(volume, table=np.arange(256, dtype=np.float32), grid=GRID)
    assert image[0].max() == image[-1].max() == 0
    assert image[GRID.n_slices // 2, GRID.centre_index, GRID.centre_index] == 32
    assert sample_nearest(volume, grid=GRID)[0].max() == 0


def test_a_full_brainweb_box_fills_slices_19_to_107_around_the_scanner_axis() -> None:
    grid = mmr_grid(128)
    volume = LabelVolume(codes=np.full((362, 434, 362), 16, np.uint8), voxel_mm=0.5)
    z, y, x = np.nonzero(sample_nearest(volume, grid=grid))
    assert (z.min(), z.max()) == (19, 107)
    assert y.min() + y.max() == x.min() + x.max() == 2 * grid.centre_index


def test_a_voxel_is_found_where_it_was_put() -> None:
    grid = mmr_grid(128)
    codes = np.zeros((121, 131, 141), np.uint8)
    voxel = (30, 100, 90)
    codes[29:32, 99:102, 89:92] = 32
    volume = LabelVolume(codes=codes, voxel_mm=1.0)
    image = sample_linear(volume, table=np.arange(256, dtype=np.float32), grid=grid)
    np.testing.assert_allclose(
        ndimage.center_of_mass(image), grid_index(volume, voxel, grid=grid), atol=0.2
    )


def test_a_head_larger_than_the_image_is_refused() -> None:
    codes = np.zeros((3, 150, 90), np.uint8)
    codes[1, 3:147, 45] = 96
    volume = LabelVolume(codes=codes, voxel_mm=1.0)
    require_inside_image(volume, grid=mmr_grid(72))
    with pytest.raises(InputError, match=r"71\.5 mm .*anterior-posterior.*raise scanner.image_pixels"):
        require_inside_image(volume, grid=mmr_grid(64))


def test_a_volume_of_air_is_refused() -> None:
    volume = LabelVolume(codes=np.zeros((3, 4, 5), np.uint8), voxel_mm=1.0)
    with pytest.raises(InputError, match="nothing but air"):
        require_inside_image(volume, grid=mmr_grid(64))
