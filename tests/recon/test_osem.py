"""OSEM against properties that hold for any correct implementation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import random_projector, toy_model

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.acquisition.sensitivity import attenuation_factors, bin_efficiencies, without_gaps
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.recon.osem import osem

GRID = mmr_grid(128)


@pytest.fixture(scope="module")
def cylinder():
    """Activity and mu of a 20-cm cylinder with a hot rod, (1, y, x)."""
    activity = np.where(GRID.within_radius(100.0), 10.0, 0.0)
    activity[60:68, 80:88] = 40.0
    mu = np.where(GRID.within_radius(100.0), 0.096, 0.0)
    return tuple(torch.from_numpy(image.astype(np.float32))[None] for image in (activity, mu))


@pytest.fixture(scope="module")
def model(head_projector, cylinder):
    scanner = siemens_mmr()
    efficiencies = bin_efficiencies(scanner, spread=0.5, rng=np.random.default_rng(0))
    normalisation = without_gaps(scanner, efficiencies)
    attenuation = attenuation_factors(cylinder[1], head_projector, pixel_mm=GRID.pixel_mm)
    return AcquisitionModel(
        projector=head_projector,
        psf=GaussianPSF(fwhm_mm=4.0, pixel_mm=GRID.pixel_mm, image_shape=(128, 128)),
        multiplicative=attenuation * torch.from_numpy(normalisation),
    )


def log_likelihood(prompts, mean):
    seen = mean > 0
    return float(torch.sum(prompts[seen] * torch.log(mean[seen]) - mean[seen]))


def test_mlem_never_decreases_the_likelihood(model, cylinder):
    generator = torch.Generator().manual_seed(0)
    prompts = torch.poisson(model.expected(cylinder[0]), generator=generator)
    image, values = None, []
    for _ in range(6):
        image = osem(prompts, model, iterations=1, subsets=1, start=image)
        values.append(log_likelihood(prompts.double(), model.expected(image).double()))
    assert np.all(np.diff(values) > 0)


def test_mlem_with_background_never_decreases_the_likelihood(model, cylinder):
    scattered = replace(model, background=torch.full_like(model.multiplicative, 20.0))
    generator = torch.Generator().manual_seed(0)
    prompts = torch.poisson(scattered.expected(cylinder[0]), generator=generator)
    image, values = None, []
    for _ in range(6):
        image = osem(prompts, scattered, iterations=1, subsets=1, start=image)
        values.append(log_likelihood(prompts.double(), scattered.expected(image).double()))
    assert np.all(np.diff(values) > 0)


def test_subsets_follow_the_published_formula():
    """x <- x / (A_s^T 1) A_s^T (y / (A_s x + b)), written out with the dense matrix; 1 subset: MLEM."""
    toy = toy_model(random_projector(views=7, bins=6, side=4, seed=0), slices=1, background=3.0)
    prompts = torch.poisson(
        toy.expected(torch.full((1, 4, 4), 9.0)), generator=torch.Generator().manual_seed(0)
    )
    system = (toy.multiplicative[0, ..., None, None] * toy.projector.matrix).double().numpy()
    counts = prompts[0].double().numpy()
    for subsets in (1, 3):
        image = np.ones((4, 4))
        for _ in range(2):
            for first in range(subsets):
                rows, seen = system[first::subsets], counts[first::subsets]
                ratio = seen / (np.einsum("vbyx,yx->vb", rows, image) + 3.0)
                image *= np.einsum("vbyx,vb->yx", rows, ratio) / rows.sum(axis=(0, 1))
        found = osem(prompts, toy, iterations=2, subsets=subsets)
        np.testing.assert_allclose(found[0].numpy(), image, rtol=1e-4)


def test_mlem_preserves_the_counts(model, cylinder):
    """After an MLEM update the expected total equals the measured total (Shepp & Vardi 1982)."""
    prompts = model.expected(cylinder[0])
    image = osem(prompts, model, iterations=1, subsets=1)
    assert float(model.expected(image).sum()) == pytest.approx(float(prompts.sum()), rel=1e-4)


@pytest.mark.parametrize("subsets", [10, 14])
def test_noiseless_data_give_the_activity_back(model, cylinder, subsets):
    """With gaps, unequal efficiencies and subsets; away from edges, where the PSF model rings."""
    image = osem(model.expected(cylinder[0]), model, iterations=10, subsets=subsets)[0]
    background = image[30:50, 50:78]
    assert float(background.mean()) == pytest.approx(10.0, rel=0.01)
    assert float(image[62:66, 82:86].mean()) == pytest.approx(40.0, rel=0.03)


def test_background_is_accounted_for(model, cylinder):
    """Randoms and scatter enter the model, not the image."""
    background = torch.full_like(model.multiplicative, 50.0)
    with_background = AcquisitionModel(
        projector=model.projector,
        psf=model.psf,
        multiplicative=model.multiplicative,
        background=background,
    )
    clean = osem(model.expected(cylinder[0]), model, iterations=10, subsets=14)
    corrected = osem(with_background.expected(cylinder[0]), with_background, iterations=10, subsets=14)
    inside = torch.from_numpy(GRID.within_radius(80.0))
    difference = (corrected - clean)[:, inside].abs().mean() / clean[:, inside].mean()
    assert float(difference) < 0.02


def test_pixels_outside_the_disc_stay_zero(model, cylinder):
    image = osem(model.expected(cylinder[0]), model, iterations=2, subsets=14)
    assert float(image[0, 0, 0]) == 0.0
    assert torch.isfinite(image).all()


def test_a_pixel_outside_of_one_subset_keeps_its_value_there():
    """Noiseless data of the third subset's views alone; the others see everything but one pixel."""
    projector = random_projector(views=9, bins=8, side=4, seed=0)
    blind = torch.arange(9) % 3 != 2
    projector.matrix[blind, :, 1, 2] = 0
    projector.matrix[:, :, 0, 0] = 0
    toy = toy_model(projector, slices=1)
    activity = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.5
    image = osem(toy.expected(activity), toy, iterations=300, subsets=3)
    assert float(image[0, 0, 0]) == 0.0
    activity[0, 0, 0] = 0.0
    torch.testing.assert_close(image, activity, rtol=0.02, atol=0.01)


def test_gradients_reach_the_prompts(model, cylinder):
    """For networks that unroll these updates: against a central difference along a random direction."""
    scattered = replace(model, background=torch.full_like(model.multiplicative, 20.0))
    prompts = scattered.expected(cylinder[0]).requires_grad_()
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(cylinder[0].shape, generator=generator)
    direction = prompts.detach() * torch.rand(prompts.shape, generator=generator)

    def score(counts):
        return torch.sum(weights * osem(counts, scattered, iterations=2, subsets=2), dtype=torch.float64)

    (gradient,) = torch.autograd.grad(score(prompts), prompts)
    step = 0.05
    with torch.no_grad():
        difference = score(prompts + step * direction) - score(prompts - step * direction)
    expected = float(difference) / (2 * step)
    assert float(torch.sum(gradient.double() * direction)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("subsets", [0, 253])
def test_a_number_of_subsets_that_does_not_exist_is_refused(model, cylinder, subsets):
    with pytest.raises(ValueError, match=f"{subsets} subsets of 252 views"):
        osem(model.expected(cylinder[0]), model, iterations=1, subsets=subsets)


def test_prompts_of_other_slices_than_the_model_are_refused(model, cylinder):
    of_three = replace(model, multiplicative=model.multiplicative.repeat(3, 1, 1))
    for prompts in (model.expected(cylinder[0]), model.expected(cylinder[0].repeat(2, 1, 1))):
        with pytest.raises(ValueError, match=r"but a model of \(3, 252, 344\)"):
            osem(prompts, of_three, iterations=1, subsets=10)


def test_slices_may_share_one_model(model, cylinder):
    prompts = model.expected(torch.cat([cylinder[0], 2 * cylinder[0]]))
    alone = osem(prompts[1:], model, iterations=1, subsets=10)
    torch.testing.assert_close(osem(prompts, model, iterations=1, subsets=10)[1:], alone)
