"""Laws that every projector has to obey."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr


def _random(shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("of", [1, 10, 14])
def test_adjointness(head_projector, of):
    part = head_projector.subset(of - 1, of)
    image, sinogram = _random((3, 128, 128), 0), _random((3, *part.sinogram_shape), 1)
    forward = torch.sum(part.forward(image).double() * sinogram)
    backward = torch.sum(image.double() * part.adjoint(sinogram))
    assert float(forward) == pytest.approx(float(backward), rel=1e-5)


def test_a_batch_is_its_slices(head_projector):
    images = _random((4, 128, 128), 2)
    together = head_projector.forward(images)
    for image, sinogram in zip(images, together, strict=True):
        torch.testing.assert_close(head_projector.forward(image), sinogram, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("of", [10, 14])
def test_subsets_partition_the_views(head_projector, of):
    parts = [head_projector.subset(index, of) for index in range(of)]
    assert sorted(view for part in parts for view in part.views) == list(range(252))
    assert {len(part.views) for part in parts} <= {252 // of, 252 // of + 1}
    image = _random((1, 128, 128), 3)
    whole = head_projector.forward(image)
    for index, part in enumerate(parts):
        torch.testing.assert_close(part.forward(image), whole[:, index::of], rtol=1e-5, atol=1e-4)


def test_trimming_drops_only_bins_that_see_nothing(head_projector):
    """The disc of 63 pixels of 2.086 mm: |s| < 131.4 mm + half a bin, 131 of the 344 bins."""
    image, bins = _random((1, 128, 128), 7), head_projector.seen_bins
    assert (bins.start, bins.stop) == (107, 238)
    whole, trimmed = head_projector.forward(image), head_projector.trimmed()
    assert trimmed.sinogram_shape == (252, 131)
    torch.testing.assert_close(trimmed.forward(image), whole[..., bins])
    assert float(whole[..., : bins.start].sum() + whole[..., bins.stop :].sum()) == 0.0
    assert trimmed.subset(3, 10).views == head_projector.views[3::10]


def test_the_gradient_is_the_adjoint(head_projector):
    image = _random((2, 128, 128), 4).requires_grad_()
    weights = _random((2, *head_projector.sinogram_shape), 5)
    torch.sum(weights * head_projector.forward(image)).backward()
    torch.testing.assert_close(image.grad, head_projector.adjoint(weights))


def test_second_derivative_exists(head_projector):
    """d/dx of |A x|^2 / 2 is A^T A x, and differentiating that again is possible."""
    image = _random((1, 128, 128), 6).requires_grad_()
    energy = head_projector.forward(image).square().sum() / 2
    (gradient,) = torch.autograd.grad(energy, image, create_graph=True)
    gradient.sum().backward()
    ones = torch.ones((1, 128, 128))
    expected = head_projector.adjoint(head_projector.forward(ones))
    torch.testing.assert_close(image.grad, expected, rtol=1e-4, atol=1e-2)


def test_chords_of_a_disc(head_projector):
    """Line integrals of a centred disc are 2 sqrt(r^2 - s^2); every view holds its area."""
    scanner, grid = siemens_mmr(), mmr_grid(128)
    fine = 9
    position = (np.arange(128 * fine) - (fine - 1) / 2) / fine - grid.centre_index
    inside = position[:, None] ** 2 + position[None, :] ** 2 <= 40.0**2
    disc = inside.reshape(128, fine, 128, fine).mean(axis=(1, 3)).astype(np.float32)
    sinogram = head_projector.forward(torch.from_numpy(disc)[None])[0].numpy()
    s_pixels = scanner.bin_offsets_mm / grid.pixel_mm
    central = np.abs(s_pixels) < 30
    chord = 2 * np.sqrt(40.0**2 - s_pixels[central] ** 2)
    np.testing.assert_allclose(
        sinogram[:, central], np.broadcast_to(chord, (252, central.sum())), rtol=0.01
    )
    np.testing.assert_allclose(sinogram[:, central].mean(axis=0), chord, rtol=2e-3)
    mass = sinogram @ (scanner.bin_widths_mm / grid.pixel_mm)
    np.testing.assert_allclose(mass, np.pi * 40.0**2, rtol=2e-3)


def test_wrong_shape_is_refused(head_projector):
    with pytest.raises(ValueError, match=r"expected \(\.\.\., \*\(128, 128\)\)"):
        head_projector.forward(torch.zeros(1, 64, 64))
    with pytest.raises(ValueError, match="subset 10 of 10"):
        head_projector.subset(10, 10)
