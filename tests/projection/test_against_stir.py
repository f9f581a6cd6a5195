"""Every projector and its OSEM against results of STIR 6.4 (10 rays), one BrainWeb slice, 344 x 344.

A clone has some of its views and rows, and whole images; where ``../shared`` is, all is compared.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stir_reference import FOLDER, whole

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.acquisition.sensitivity import attenuation_factors
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.projection.embedded import embedded_projector
from quietpet.projection.sirf import SirfProjector, sirf_projector
from quietpet.recon.osem import osem
from quietpet.recon.sirf_osem import sirf_osem

GRID = mmr_grid(344)


@pytest.fixture(scope="module", params=["embedded", pytest.param("sirf", marks=pytest.mark.sirf)])
def make_projector(request):
    if request.param == "embedded":
        return embedded_projector
    request.getfixturevalue("sirf")
    return sirf_projector


@pytest.fixture(scope="module")
def full_projector(make_projector):
    return make_projector(siemens_mmr(), GRID, rays=10)


@pytest.fixture(scope="module")
def attenuation(full_projector, stir):
    mu_per_cm = torch.from_numpy(stir[0]["mu_per_cm"])[None]
    return attenuation_factors(mu_per_cm, full_projector, pixel_mm=GRID.pixel_mm)


@pytest.fixture(scope="module")
def activity(stir):
    return torch.from_numpy(stir[0]["activity"])[None]


def relative_l2(found, reference):
    return float(np.linalg.norm(np.asarray(found) - reference) / np.linalg.norm(reference))


def test_the_excerpt_is_a_part_of_the_reference(shared, stir):
    again = whole(shared / "reference" / "stir").excerpt()
    assert again.arrays.keys() == stir[0].arrays.keys()
    for name, array in again.arrays.items():
        np.testing.assert_array_equal(stir[0][name], array)
    for name in ("geometry.npz", "mmr1ring.hs"):
        assert (FOLDER / name).read_bytes() == (shared / "reference" / "stir" / name).read_bytes()


def test_forward_projection(full_projector, activity, stir):
    sinogram = full_projector.forward(activity)[0]
    for reference in stir:
        assert relative_l2(sinogram[:: reference.view_step], reference["fwd_rt10"]) < 5e-5


def test_single_ray_is_siddon(make_projector, activity, stir):
    one_ray = make_projector(siemens_mmr(), mmr_grid(128), rays=1)
    sinogram = one_ray.forward(activity[:, 108:236, 108:236])[0]
    for reference in stir:
        assert relative_l2(sinogram[:: reference.view_step], reference["fwd_rt1"]) < 5e-5


def test_attenuation_factors(attenuation, stir):
    for reference in stir:
        assert relative_l2(attenuation[0, :: reference.view_step], reference["af_rt10"]) < 5e-5


def test_sensitivity_within_250_mm(full_projector, stir):
    """Beyond, STIR clips rays at the rim of its field of view and so differs."""
    sensitivity = full_projector.adjoint(torch.ones(1, 252, 344))[0].numpy()
    inner = GRID.within_radius(250.0)
    for reference in stir:
        rows = slice(None, None, reference.sensitivity_row_step)
        assert relative_l2(sensitivity[rows][inner[rows]], reference["sens_rt10"][inner[rows]]) < 5e-5


def test_point_spread(activity, stir):
    psf = GaussianPSF(fwhm_mm=2.5, pixel_mm=GRID.pixel_mm, image_shape=(344, 344))
    assert relative_l2(psf(activity)[0], stir[0]["blurred_activity_psf2.5"]) < 1e-5


@pytest.mark.parametrize(
    ("fwhm_mm", "subsets", "iterations", "reference"),
    [
        (2.5, 10, 15, "nl_osem10x15_psf2.5_manual"),
        (4.0, 14, 10, "nl_osem14x10_psf4.0"),
    ],
)
def test_noiseless_osem(
    full_projector, attenuation, activity, stir, fwhm_mm, subsets, iterations, reference
):
    model = AcquisitionModel(
        projector=full_projector,
        psf=GaussianPSF(fwhm_mm=fwhm_mm, pixel_mm=GRID.pixel_mm, image_shape=(344, 344)),
        multiplicative=attenuation,
    )
    reconstruct = sirf_osem if isinstance(full_projector, SirfProjector) else osem
    image = reconstruct(model.expected(activity), model, iterations=iterations, subsets=subsets)
    assert relative_l2(image[0], stir[0][reference]) < 5e-4
