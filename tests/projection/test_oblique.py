"""The 3-D span-11 operator of the mMR against closed forms and the 2-D operator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.michelogram import segments
from quietpet.geometry.scanner import siemens_mmr
from quietpet.projection.embedded import embedded_projector, embedded_projector_3d
from quietpet.projection.gather import Shear, gather_sheared, sparse_rows
from quietpet.projection.system_matrix import system_matrix
from quietpet.projection.unfolded import sum_unfolded, unfold_shears

SCANNER, GRID = siemens_mmr(), mmr_grid(96)
SEGMENTS = segments(SCANNER)


@pytest.fixture(scope="module")
def projector():
    """Seven of the 252 views, 25.7 degrees apart."""
    return embedded_projector_3d(SCANNER, GRID, rays=1).subset(5, 36)


def _random(shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_shapes(projector):
    assert projector.image_shape == (127, 96, 96)
    assert projector.sinogram_shape == (837, 7, 344)
    assert projector.views == range(252)[5::36]


def test_adjointness(projector):
    volume, sinogram = _random(projector.image_shape, 0), _random(projector.sinogram_shape, 1)
    forward = torch.sum(projector.forward(volume).double() * sinogram)
    backward = torch.sum(volume.double() * projector.adjoint(sinogram))
    assert float(forward) == pytest.approx(float(backward), rel=1e-5)


def test_adjointness_of_sharp_structures(projector):
    """Single lines and voxels, also where padding is needed: the ends of the axial field of view."""
    generator = np.random.default_rng(2)
    for plane in (0, 126, 127, 500, 836):
        sinogram = torch.zeros(projector.sinogram_shape)
        sinogram[plane, generator.integers(7), generator.integers(130, 210)] = 1.0
        ray = projector.adjoint(sinogram)
        volume = _random(projector.image_shape, plane)
        line = float(torch.sum(projector.forward(volume) * sinogram))
        assert line == pytest.approx(float(torch.sum(ray * volume)), rel=1e-5, abs=1e-5)
        assert float(ray.min()) >= 0.0


@pytest.mark.parametrize("batch", [(0,), (1,), (2, 1)])
def test_a_batch_is_its_volumes(projector, batch):
    volumes = _random((*batch, *projector.image_shape), 7)
    sinograms = projector.forward(volumes)
    assert sinograms.shape == (*batch, *projector.sinogram_shape)
    images = projector.adjoint(sinograms)
    assert images.shape == volumes.shape
    for index in np.ndindex(batch):
        assert torch.equal(sinograms[index], projector.forward(volumes[index]))
        assert torch.equal(images[index], projector.adjoint(sinograms[index]))


def test_direct_planes_equal_the_2d_operator(projector):
    volume = _random(projector.image_shape, 3)
    flat = embedded_projector(SCANNER, GRID, rays=1).subset(5, 36)
    torch.testing.assert_close(
        projector.forward(volume)[:127], flat.forward(volume), rtol=1e-5, atol=1e-4
    )


def test_the_gradient_is_the_adjoint(projector):
    volume = _random(projector.image_shape, 4).requires_grad_()
    weights = _random(projector.sinogram_shape, 5)
    torch.sum(weights * projector.forward(volume)).backward()
    torch.testing.assert_close(volume.grad, projector.adjoint(weights))


def test_the_number_of_threads_changes_nothing(projector):
    volume, before = _random(projector.image_shape, 6), torch.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(projector.forward(volume))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


def test_unfolded_products_are_the_sheared_ones():
    """What GPUs compute, here on the CPU, for shifts of both signs and blocks that overlap."""
    generator = np.random.default_rng(8)
    matrix = sparse.random_array((30, 20), density=0.2, format="csr", dtype=np.float32, rng=generator)
    drifts = generator.uniform(-0.5, 0.5, matrix.nnz).astype(np.float32)
    source = torch.from_numpy(generator.uniform(size=(20, 60)).astype(np.float32))
    shears = [
        Shear(slope=-13.0, source_lane=15, target_lane=0, n_lanes=9),
        Shear(slope=4.4, source_lane=20, target_lane=5, n_lanes=30),
        Shear(slope=0.0, source_lane=0, target_lane=0, n_lanes=35),
    ]
    expected = gather_sheared(sparse_rows(matrix), drifts, source, shears, n_target_lanes=35)
    blocks = unfold_shears(matrix, drifts, shears, torch.device("cpu"))
    torch.testing.assert_close(sum_unfolded(blocks, source, n_target_lanes=35), expected)


def test_unfolded_products_refuse_lanes_that_do_not_exist():
    matrix = sparse.csr_array(np.eye(2, dtype=np.float32))
    shears = [Shear(slope=-4.0, source_lane=1, target_lane=0, n_lanes=3)]
    blocks = unfold_shears(matrix, np.ones(2, np.float32), shears, torch.device("cpu"))
    with pytest.raises(ValueError, match="reads lanes -3 to"):
        sum_unfolded(blocks, torch.ones(2, 9), n_target_lanes=3)


LEAST_CHORD_MM = 60.0
"""Away from the rim, where voxels cannot follow the surface."""

HALF_AXES_MM = np.array([80.0, 60.0, 70.0])
CENTRE_MM = np.array([5.0, -8.0, 10.0])


def test_chords_of_an_ellipsoid(projector):
    """Chord length of p + t d in |S (x - c)| <= 1 is 2 sqrt(b^2 - a (c^2 - 1)) / a."""
    sinogram = projector.forward(torch.from_numpy(_ellipsoid())[None])[0].numpy() * GRID.pixel_mm
    expected = _ellipsoid_chords_mm(projector.views)
    inside = expected > LEAST_CHORD_MM
    for segment in SEGMENTS:
        planes = _planes(segment)
        chosen = inside[planes]
        assert chosen.sum() > 100
        measured, exact = sinogram[planes][chosen], expected[planes][chosen]
        assert float(measured.sum() / exact.sum()) == pytest.approx(1.0, abs=1e-3)
        error = np.linalg.norm(measured - exact) / np.linalg.norm(exact)
        assert error < 0.005, (segment.number, error)


def test_oblique_planes_are_nearer_to_the_chords_than_single_traced_rays(projector):
    """STIR's ray tracing differs from ours in oblique planes by 0.3 to 1 %: why, and who is right.

    A traced ray (Siddon 1985) stays in one slice and then in the next; linear interpolation is the mean
    of such rays over the thickness of the plane. Of direct planes both are one thing.
    """
    two = range(2)
    volume = _ellipsoid()
    ours = projector.forward(torch.from_numpy(volume)[None])[0, :, :2].numpy() * GRID.pixel_mm
    traced = _single_rays(volume, [projector.views[view] for view in two]) * GRID.pixel_mm
    exact = _ellipsoid_chords_mm(projector.views)[:, :2]
    inside = exact > LEAST_CHORD_MM
    errors = {}
    for segment in SEGMENTS:
        planes = _planes(segment)
        chosen = inside[planes]
        errors[segment.number] = [
            np.linalg.norm((found - exact)[planes][chosen]) / np.linalg.norm(exact[planes][chosen])
            for found in (ours, traced)
        ]
    np.testing.assert_allclose(ours[:127], traced[:127], atol=1e-3)
    direct = errors.pop(0)[0]
    for number, (own, single) in errors.items():
        assert own < 1.1 * direct, number
        assert own < 0.95 * single, number
    assert errors[1][1] > 1.4 * errors[1][0]
    difference = np.linalg.norm((ours - traced)[127:]) / np.linalg.norm(traced[127:])
    assert 0.003 < difference < 0.01


def _single_rays(volume, views) -> np.ndarray:
    """Lengths in voxels (pixel units) of one ray per bin, in three dimensions, (plane, view, bin)."""
    matrix = system_matrix(SCANNER, GRID, rays=1)
    lines = np.arange(matrix.shape[0]).reshape(SCANNER.sinogram_shape)[views].ravel()
    matrix = matrix[lines]
    entering, leaving = _passage_mm(matrix, views)
    bins = np.repeat(np.arange(len(lines)), np.diff(matrix.indptr)) % SCANNER.n_bins
    distance = 2 * np.sqrt(SCANNER.effective_radius_mm**2 - SCANNER.bin_offsets_mm[bins] ** 2)
    padding = 60
    columns = np.pad(volume.reshape(len(volume), -1).T, ((0, 0), (padding, padding)))
    sinograms = []
    for segment in SEGMENTS:
        climb = segment.mean_ring_difference * SCANNER.ring_spacing_mm / distance
        heights = np.sort([-climb * end / GRID.slice_mm for end in (entering, leaving)], axis=0)
        lower = np.floor(heights[0] + 0.5)
        # No pixel is long enough for a third slice.
        steep = np.maximum(heights[1] - heights[0], 1e-12)
        upper_share = np.clip((heights[1] - lower - 0.5) / steep, 0, 1)
        length = matrix.data * np.sqrt(1 + climb**2)
        planes = np.zeros((len(lines), segment.n_planes))
        first = padding + (len(volume) - segment.n_planes) // 2
        for shift in range(int(lower.min()), int(lower.max()) + 2):
            share = (lower == shift) * (1 - upper_share) + (lower + 1 == shift) * upper_share
            part = sparse.csr_array((length * share, matrix.indices, matrix.indptr), shape=matrix.shape)
            planes += part @ columns[:, first + shift : first + shift + segment.n_planes]
        sinograms.append(planes.T.reshape(segment.n_planes, len(views), SCANNER.n_bins))
    return np.concatenate(sinograms)


def _passage_mm(matrix, views) -> tuple[np.ndarray, np.ndarray]:
    """Where along its line each entry's pixel begins and ends, (entry,), by the method of slabs."""
    view, bins = np.divmod(np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), SCANNER.n_bins)
    row, column = np.divmod(matrix.indices, GRID.n_pixels)
    angle, s = SCANNER.view_angles_rad[views][view], SCANNER.bin_offsets_mm[bins]
    limits = []
    for foot, slope, centre in (
        (s * np.cos(angle), np.sin(angle), GRID.axis_mm[column]),
        (s * np.sin(angle), -np.cos(angle), GRID.axis_mm[row]),
    ):
        ends = [
            (centre + side * GRID.pixel_mm / 2 - foot) / np.where(slope == 0, 1e-12, slope)
            for side in (-1, 1)
        ]
        limits.append(np.sort(ends, axis=0))
    return np.maximum(limits[0][0], limits[1][0]), np.minimum(limits[0][1], limits[1][1])


def _planes(segment) -> slice:
    sizes = [other.n_planes for other in SEGMENTS]
    position = SEGMENTS.index(segment)
    return slice(sum(sizes[:position]), sum(sizes[: position + 1]))


def _ellipsoid() -> np.ndarray:
    """Fraction of each voxel inside, (z, y, x), from 4 x 4 x 4 points."""
    fine = (np.arange(4) - 1.5) / 4
    x = GRID.axis_mm[:, None] + fine * GRID.pixel_mm
    z = GRID.slice_positions_mm[:, None] + fine * GRID.slice_mm
    squares = [
        (((axis - centre) / half) ** 2)
        for axis, centre, half in zip((x, x, z), CENTRE_MM, HALF_AXES_MM, strict=True)
    ]
    along_x, along_y, along_z = squares
    distance = (
        along_z[:, None, None, :, None, None]
        + along_y[None, :, None, None, :, None]
        + along_x[None, None, :, None, None, :]
    )
    return (distance <= 1).mean(axis=(3, 4, 5), dtype=np.float32)


def _ellipsoid_chords_mm(views: range) -> np.ndarray:
    """(plane, view, bin), from the positions of the two crystals of each line."""
    phi = SCANNER.view_angles_rad[list(views)][:, None]
    s = SCANNER.bin_offsets_mm[None, :]
    reach = np.sqrt(SCANNER.effective_radius_mm**2 - s**2)
    chords = []
    for segment in SEGMENTS:
        climb = segment.mean_ring_difference * SCANNER.ring_spacing_mm
        middle = (np.arange(segment.n_planes) - (segment.n_planes - 1) / 2) * SCANNER.ring_spacing_mm / 2
        first, second = (
            np.stack(
                np.broadcast_arrays(
                    s * np.cos(phi) + side * reach * np.sin(phi),
                    s * np.sin(phi) - side * reach * np.cos(phi),
                    middle[:, None, None] - side * climb / 2,
                ),
                axis=-1,
            )
            for side in (1, -1)
        )
        direction = second - first
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        point, direction = (first - CENTRE_MM) / HALF_AXES_MM, direction / HALF_AXES_MM
        a, b = (direction**2).sum(-1), (point * direction).sum(-1)
        c = (point**2).sum(-1) - 1
        chords.append(2 * np.sqrt(np.maximum(b**2 - a * c, 0)) / a)
    return np.concatenate(chords)
