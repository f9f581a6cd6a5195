"""OSEM of whole volumes, from all 837 sinograms of the mMR."""

from __future__ import annotations

import pytest
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.projection.embedded import embedded_projector_3d
from quietpet.recon.osem import osem

GRID = mmr_grid(64)


@pytest.fixture(scope="module")
def model():
    projector = embedded_projector_3d(siemens_mmr(), GRID, rays=1).trimmed()
    psf = GaussianPSF(
        fwhm_mm=4.0, pixel_mm=GRID.pixel_mm, slice_mm=GRID.slice_mm, image_shape=GRID.shape
    )
    multiplicative = torch.full(projector.sinogram_shape, 0.5)
    multiplicative[:, ::9] = 0.0  # gaps
    return AcquisitionModel(projector=projector, psf=psf, multiplicative=multiplicative)


def test_noiseless_data_give_the_activity_back(model):
    """A cylinder shorter than the field of view, with a hot rod and an additive background."""
    activity = torch.zeros(GRID.shape)
    inside = torch.from_numpy(GRID.within_radius(50.0))
    activity[20:107, inside] = 10.0
    activity[50:70, 28:36, 38:46] = 30.0
    background = torch.full(model.projector.sinogram_shape, 20.0) * (model.multiplicative > 0)
    with_background = AcquisitionModel(
        projector=model.projector,
        psf=model.psf,
        multiplicative=model.multiplicative,
        background=background,
    )
    image = osem(with_background.expected(activity), with_background, iterations=4, subsets=14)
    assert image.shape == GRID.shape
    assert float(image[30:44, 24:40, 20:30].mean()) == pytest.approx(10.0, rel=0.01)
    assert float(image[55:65, 30:34, 40:44].mean()) == pytest.approx(30.0, rel=0.04)
    assert float(image[:12, inside].mean()) < 0.3


def test_blur_along_the_axis_keeps_activity_and_matches_the_transaxial_blur(model):
    point = torch.zeros(GRID.shape)
    point[63, 32, 32] = 1.0
    blurred = model.psf(point)
    assert float(blurred.sum()) == pytest.approx(1.0, rel=1e-5)
    along_z, along_x = blurred[58:69, 32, 32], blurred[63, 32, 27:38]
    # 2.03 mm against 2.09 mm steps of the same Gaussian of 4 mm.
    torch.testing.assert_close(along_z, along_x, rtol=0.2, atol=1e-3)
    steps_mm = GRID.slice_mm * (torch.arange(11) - 5)
    variance = float((along_z * steps_mm**2).sum() / along_z.sum())
    assert variance**0.5 * 2.3548 == pytest.approx(4.0, rel=0.01)
