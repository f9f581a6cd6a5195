"""Laws that every projector has to obey: the contract of ``projection.protocol.Projector``."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from quietpet.geometry.grid import mmr_grid, scanner_grid
from quietpet.geometry.scanner import SCANNERS, siemens_mmr
from quietpet.projection.embedded import embedded_projector, forget_projector
from quietpet.projection.sirf import sirf_projector, sirf_projector_3d

SIRF = {
    "sirf": {},
    "sirf, stacks of 3": {"per_call": 3},
    "sirf, all rings": {"per_call": 64},
    "sirf, Parallelproj": {"stir_projector": "parallelproj"},
}


@pytest.fixture(
    scope="module",
    params=["embedded", *(pytest.param(name, marks=pytest.mark.sirf) for name in SIRF)],
)
def projector(request, head_projector):
    """Every projector that is here: the mMR, a head-sized disc, ten rays per bin."""
    if request.param == "embedded":
        return head_projector
    request.getfixturevalue("sirf")
    return sirf_projector(siemens_mmr(), mmr_grid(128), rays=10, **SIRF[request.param])


def _random(shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_shapes(projector):
    assert tuple(projector.image_shape) == (128, 128)
    assert tuple(projector.sinogram_shape) == siemens_mmr().sinogram_shape
    assert projector.views == range(252)
    sinogram = projector.forward(torch.zeros(2, 3, 128, 128))
    assert sinogram.shape == (2, 3, 252, 344)
    assert sinogram.dtype == torch.float32
    assert projector.adjoint(sinogram).shape == (2, 3, 128, 128)
    trimmed = projector.trimmed()
    assert trimmed.sinogram_shape == (252, len(range(344)[projector.seen_bins]))


def test_memory_is_free_as_soon_as_a_projector_is():
    """Maps of all subsets take gigabytes, of which the garbage collector knows nothing."""
    forget_projector()
    gc.disable()
    try:
        projector = embedded_projector(
            SCANNERS["small_test"](), scanner_grid(SCANNERS["small_test"](), 32), rays=1
        )
        ones = torch.ones(1, *projector.subset(0, 2).trimmed().sinogram_shape)
        projector.subset(0, 2).trimmed().adjoint(ones)
        gone = [weakref.ref(each) for each in (projector, projector.subset(0, 2))]
        forget_projector()
        del projector
        assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()


def test_linearity(projector):
    first, second = _random((2, 1, 128, 128), 7)
    combined = projector.forward(3 * first - 2 * second)
    separate = 3 * projector.forward(first) - 2 * projector.forward(second)
    torch.testing.assert_close(combined, separate, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("of", [1, 10, 14])
def test_adjointness(projector, of):
    part = projector.subset(of - 1, of)
    image, sinogram = _random((3, 128, 128), 0), _random((3, *part.sinogram_shape), 1)
    forward = torch.sum(part.forward(image).double() * sinogram)
    backward = torch.sum(image.double() * part.adjoint(sinogram))
    assert float(forward) == pytest.approx(float(backward), rel=1e-5)


def test_a_batch_is_its_slices(projector):
    images = _random((4, 128, 128), 2)
    together = projector.forward(images)
    for image, sinogram in zip(images, together, strict=True):
        torch.testing.assert_close(projector.forward(image), sinogram, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("of", [10, 14])
def test_subsets_partition_the_views(projector, of):
    parts = [projector.subset(index, of) for index in range(of)]
    assert sorted(view for part in parts for view in part.views) == list(range(252))
    assert {len(part.views) for part in parts} <= {252 // of, 252 // of + 1}
    image = _random((1, 128, 128), 3)
    whole = projector.forward(image)
    for index, part in enumerate(parts):
        torch.testing.assert_close(part.forward(image), whole[:, index::of], rtol=1e-5, atol=1e-4)


def test_trimming_drops_only_bins_that_see_nothing(head_projector):
    """The disc of 63 pixels of 2.086 mm: |s| < 131.4 mm + half a bin, 131 of the 344 bins."""
    image, bins = _random((1, 128, 128), 7), head_projector.seen_bins
    assert (bins.start, bins.stop) == (107, 238)
    whole, trimmed = head_projector.forward(image), head_projector.trimmed()
    assert trimmed.trimmed() is trimmed
    assert trimmed.sinogram_shape == (252, 131)
    torch.testing.assert_close(trimmed.forward(image), whole[..., bins])
    assert float(whole[..., : bins.start].sum() + whole[..., bins.stop :].sum()) == 0.0
    assert trimmed.subset(3, 10).views == head_projector.views[3::10]


def test_the_gradient_is_the_adjoint(projector):
    image = _random((2, 128, 128), 4).requires_grad_()
    weights = _random((2, *projector.sinogram_shape), 5)
    torch.sum(weights * projector.forward(image)).backward()
    torch.testing.assert_close(image.grad, projector.adjoint(weights))


def test_second_derivative_exists(projector):
    """d/dx of |A x|^2 / 2 is A^T A x, and differentiating that again is possible."""
    image = _random((1, 128, 128), 6).requires_grad_()
    energy = projector.forward(image).square().sum() / 2
    (gradient,) = torch.autograd.grad(energy, image, create_graph=True)
    gradient.sum().backward()
    ones = torch.ones((1, 128, 128))
    expected = projector.adjoint(projector.forward(ones))
    torch.testing.assert_close(image.grad, expected, rtol=1e-4, atol=1e-2)


def test_chords_of_a_disc(projector):
    """Line integrals of a centred disc are 2 sqrt(r^2 - s^2); every view holds its area."""
    scanner, grid = siemens_mmr(), mmr_grid(128)
    fine = 9
    position = (np.arange(128 * fine) - (fine - 1) / 2) / fine - grid.centre_index
    inside = position[:, None] ** 2 + position[None, :] ** 2 <= 40.0**2
    disc = inside.reshape(128, fine, 128, fine).mean(axis=(1, 3)).astype(np.float32)
    sinogram = projector.forward(torch.from_numpy(disc)[None])[0].numpy()
    s_pixels = scanner.bin_offsets_mm / grid.pixel_mm
    central = np.abs(s_pixels) < 30
    chord = 2 * np.sqrt(40.0**2 - s_pixels[central] ** 2)
    np.testing.assert_allclose(
        sinogram[:, central], np.broadcast_to(chord, (252, central.sum())), rtol=0.01
    )
    np.testing.assert_allclose(sinogram[:, central].mean(axis=0), chord, rtol=2e-3)
    mass = sinogram @ (scanner.bin_widths_mm / grid.pixel_mm)
    np.testing.assert_allclose(mass, np.pi * 40.0**2, rtol=2e-3)


@pytest.mark.parametrize("model", SCANNERS)
def test_a_point_lies_on_its_sinusoid(model):
    """Its projection is centred on s = x cos(phi) + y sin(phi), whatever the scanner's first angle."""
    scanner = SCANNERS[model]()
    grid = scanner_grid(scanner, 64)
    row, column = 20, 45
    image = torch.zeros(1, 64, 64)
    image[0, row, column] = 1.0
    sinogram = embedded_projector(scanner, grid, rays=20).forward(image)[0].numpy()
    mass = sinogram * scanner.bin_widths_mm
    centre_mm = (mass * scanner.bin_offsets_mm).sum(axis=1) / mass.sum(axis=1)
    x_mm, y_mm = grid.axis_mm[column], grid.axis_mm[row]
    angles = scanner.view_angles_rad
    expected_mm = x_mm * np.cos(angles) + y_mm * np.sin(angles)
    np.testing.assert_allclose(centre_mm, expected_mm, atol=0.1 * grid.pixel_mm)
    np.testing.assert_allclose(mass.sum(axis=1), grid.pixel_mm, rtol=0.05)


@pytest.mark.sirf
def test_fully_3d_data_have_the_clinical_shape(sirf):
    """837 sinograms of span 11; one view of them is an adjoint pair too."""
    projector = sirf_projector_3d(siemens_mmr(), mmr_grid(128), rays=1)
    assert projector.image_shape == (127, 128, 128)
    assert projector.sinogram_shape == (837, 252, 344)
    view = projector.subset(40, 252)
    assert view.sinogram_shape == (837, 1, 344)
    image, sinogram = _random((1, 127, 128, 128), 8), _random((1, 837, 1, 344), 9)
    forward = torch.sum(view.forward(image).double() * sinogram)
    backward = torch.sum(image.double() * view.adjoint(sinogram))
    assert float(forward) == pytest.approx(float(backward), rel=1e-5)


def test_an_empty_batch_is_empty(projector):
    assert projector.forward(torch.zeros(0, 128, 128)).shape == (0, 252, 344)
    assert projector.adjoint(torch.zeros(2, 0, 252, 344)).shape == (2, 0, 128, 128)


@pytest.mark.parametrize(("index", "of"), [(10, 10), (-1, 10), (0, 0), (0, -2), (0, 253)])
def test_subsets_that_do_not_exist_are_refused(projector, index, of):
    with pytest.raises(ValueError, match=f"subset {index} of {of} does not exist for 252 views"):
        projector.subset(index, of)


def test_wrong_shape_is_refused(projector):
    with pytest.raises(ValueError, match=r"expected \(\.\.\., \*\(128, 128\)\)"):
        projector.forward(torch.zeros(1, 64, 64))
