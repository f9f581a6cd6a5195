from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from quietpet.acquisition.psf import GaussianPSF, gaussian_kernel


def test_kernel_has_the_requested_width():
    kernel = gaussian_kernel(fwhm_mm=4.0, pixel_mm=0.05)
    position_mm = (np.arange(kernel.size) - kernel.size // 2) * 0.05
    assert position_mm[kernel >= kernel.max() / 2].max() == pytest.approx(2.0, abs=0.05)
    assert kernel.sum() == pytest.approx(1.0)


def test_blur_is_scipys_gaussian_filter():
    image = np.random.default_rng(0).random((1, 64, 64), dtype=np.float32)
    psf = GaussianPSF(fwhm_mm=5.0, pixel_mm=2.0, image_shape=(64, 64))
    expected = gaussian_filter(image[0], 5.0 / 2.0 / 2.354820, mode="constant", truncate=5.26)
    np.testing.assert_allclose(psf(torch.from_numpy(image))[0], expected, atol=2e-6)


def test_blur_is_self_adjoint():
    first, second = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    psf = GaussianPSF(fwhm_mm=6.0, pixel_mm=2.0, image_shape=(32, 32))
    assert float((psf(first) * second).sum()) == pytest.approx(
        float((first * psf(second)).sum()), rel=1e-5
    )


def test_zero_width_changes_nothing():
    image = torch.rand(2, 16, 16)
    assert torch.equal(GaussianPSF(fwhm_mm=0.0, pixel_mm=2.0, image_shape=(16, 16))(image), image)
