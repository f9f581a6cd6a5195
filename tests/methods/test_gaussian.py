from __future__ import annotations

import pytest
import torch
from scipy.ndimage import gaussian_filter

from quietpet.data.pairs import Batch
from quietpet.methods.gaussian.model import build, smooth
from quietpet.methods.gaussian.settings import Settings
from quietpet.methods.tuning import mean_nmse
from quietpet.units import sigma_from_fwhm

PIXEL_MM = 2.08626


def batch(*, low: torch.Tensor, standard: torch.Tensor) -> Batch:
    return Batch(
        low=low, standard=standard, t1=low, has_t1=torch.ones(len(low), dtype=torch.bool),
        scale=torch.ones(len(low)), keys=("a",) * len(low), pixel_mm=PIXEL_MM,
    )  # fmt: skip


@pytest.mark.parametrize("fwhm_mm", [3.0, 8.0])
def test_tuning_finds_the_width_that_made_the_standard_dose(fwhm_mm):
    low = torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    sigma = sigma_from_fwhm(fwhm_mm) / PIXEL_MM
    standard = torch.from_numpy(gaussian_filter(low.numpy(), (0, 0, sigma, sigma)))
    method = build(Settings())
    method.tune([batch(low=low, standard=standard)])
    assert float(method.fwhm_mm) == pytest.approx(fwhm_mm, abs=0.05)


def test_the_tuned_width_beats_its_neighbours():
    generator = torch.Generator().manual_seed(1)
    truth = torch.from_numpy(
        gaussian_filter(torch.rand(2, 1, 64, 64, generator=generator), (0, 0, 3, 3))
    )
    noisy = batch(low=truth + 0.1 * torch.randn(truth.shape, generator=generator), standard=truth)
    method = build(Settings())
    method.tune([noisy])
    best = float(method.fwhm_mm)
    widths = (best - 1.0, best, best + 1.0)
    errors = [mean_nmse([smooth(noisy, fwhm_mm=width)], [noisy]) for width in widths]
    assert min(errors) == errors[1]


def test_the_width_stays_below_its_limit():
    noise = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(2))
    method = build(Settings(max_fwhm_mm=4.0))
    method.tune([batch(low=noise, standard=torch.full_like(noise, 0.5))])
    assert 3.9 < float(method.fwhm_mm) <= 4.0


def test_an_image_without_noise_is_hardly_smoothed():
    sharp = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(3))
    method = build(Settings())
    method.tune([batch(low=sharp, standard=sharp)])
    restored = method.restore(batch(low=sharp, standard=sharp), [])
    torch.testing.assert_close(restored, sharp, atol=1e-4, rtol=0)
