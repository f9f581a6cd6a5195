"""MAP-EM against closed forms, a general-purpose optimiser and its own guarantees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from toy import identity_projector, random_projector, toy_model

from quietpet.recon.bowsher import bowsher_prior
from quietpet.recon.map_em import fuse, map_em
from quietpet.recon.osem import osem

SIDE = 6
STEP = torch.where(torch.arange(SIDE) < SIDE // 2, 1.0, 3.0).expand(1, SIDE, SIDE).contiguous()
"""A left and a right half."""


def prior_of(anatomy, *, neighbours=3, radius_pixels=1, symmetric=True):
    return bowsher_prior(
        anatomy,
        neighbours=neighbours,
        radius_pixels=radius_pixels,
        tolerance=0.01,
        symmetric=symmetric,
    )


def random_images(slices=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(slices, SIDE, SIDE, generator=generator) + 0.2


def noisy_prompts(model, activity, seed=1):
    return torch.poisson(model.expected(20 * activity), generator=torch.Generator().manual_seed(seed))


def objective(image, *, prompts, model, prior, beta):
    """Log-likelihood minus beta / 4 sum_jk w_jk (x_j - x_k)^2, pair by pair, in double precision."""
    mean = model.expected(image).double()
    pairs = prior.neighbour_sum.matrix.tocoo()
    pixels = image.double().flatten().numpy()
    roughness = np.sum(pairs.data * (pixels[pairs.coords[0]] - pixels[pairs.coords[1]]) ** 2) / 4
    return float(torch.sum(prompts * torch.log(mean) - mean)) - beta * roughness


@pytest.mark.parametrize("subsets", [1, 3])
@pytest.mark.parametrize("symmetric", [True, False])
def test_without_weight_it_is_osem(subsets, symmetric):
    model = toy_model(random_projector(views=9, bins=8, side=SIDE, seed=0), slices=2)
    prompts, prior = noisy_prompts(model, random_images(2)), prior_of(random_images(2, seed=5))
    settings = {"iterations": 3, "subsets": subsets}
    found = map_em(prompts, model, prior=prior, beta=0.0, **settings)
    assert torch.equal(found, osem(prompts, model, **settings))


@pytest.mark.parametrize("beta", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("background", [0.0, 5.0])
def test_one_subset_never_lowers_the_objective(beta, background):
    projector = random_projector(views=9, bins=8, side=SIDE, seed=0)
    model = toy_model(projector, slices=1, background=background)
    prompts, prior = noisy_prompts(model, random_images()), prior_of(random_images(seed=5))
    image, values = random_images(seed=7), []
    for _ in range(30):
        image = map_em(prompts, model, prior=prior, beta=beta, iterations=1, subsets=1, start=image)
        values.append(objective(image, prompts=prompts, model=model, prior=prior, beta=beta))
    # Up to the rounding of single-precision images.
    assert np.diff(values).min() > -1e-6 * abs(values[-1])
    assert values[-1] > values[0]


@pytest.mark.parametrize("beta", [0.02, 0.5])
def test_it_converges_to_the_maximum_that_another_optimiser_finds(beta):
    model = toy_model(random_projector(views=9, bins=8, side=SIDE, seed=0), slices=1, background=5.0)
    prompts, prior = noisy_prompts(model, random_images()), prior_of(random_images(seed=5))
    found = map_em(prompts, model, prior=prior, beta=beta, iterations=3000, subsets=1)

    system = (model.multiplicative[0, ..., None, None] * model.projector.matrix).reshape(-1, SIDE**2)
    system, counts = system.double().numpy(), prompts.double().flatten().numpy()
    weights = prior.neighbour_sum.matrix.toarray().astype(float)
    laplacian = np.diag(weights.sum(axis=1)) - weights

    def negative(pixels):
        mean = system @ pixels + 5.0
        value = np.sum(mean - counts * np.log(mean)) + beta / 2 * pixels @ laplacian @ pixels
        return value, system.T @ (1 - counts / mean) + beta * laplacian @ pixels

    best = minimize(
        negative, np.ones(SIDE**2), jac=True, method="L-BFGS-B", bounds=[(0, None)] * SIDE**2,
        options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    np.testing.assert_allclose(found.flatten().numpy(), best.x, rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize("em", [0.0, 1e-3, 2.0, 50.0])
@pytest.mark.parametrize("centre", [0.0, 0.3, 40.0])
@pytest.mark.parametrize("pull", [1e-6, 0.1, 1.0, 1e3])
def test_each_update_maximises_its_surrogate(em, centre, pull):
    def negative(x):
        return x - (em * np.log(x) if em else 0.0) + pull / 2 * (x - centre) ** 2

    best = minimize_scalar(negative, bounds=(0, 100), method="bounded", options={"xatol": 1e-10})
    found = fuse(*(torch.tensor([value]) for value in (em, centre, pull)))
    assert float(found) == pytest.approx(best.x, rel=1e-3, abs=1e-5)


def test_limits_of_an_update():
    em, centre = torch.tensor([0.7, 0.0, 3.0]), torch.tensor([2.0, 5.0, 0.0])
    assert torch.equal(fuse(em, centre, torch.zeros(3)), em)
    torch.testing.assert_close(fuse(em, centre, torch.full((3,), 1e8)), centre, atol=1e-3, rtol=0)


def test_gradients_reach_data_and_prior():
    """For networks that unroll these updates: against finite differences, on both sides of the root."""
    generator = torch.Generator().manual_seed(0)
    arguments = [torch.rand(8, generator=generator, dtype=torch.float64) + 0.1 for _ in range(2)]
    pull = torch.tensor([0.0, 0.1, 1.0, 3.0, 10.0, 30.0, 50.0, 100.0], dtype=torch.float64)
    arguments.append(pull + 1e-3)
    assert torch.autograd.gradcheck(fuse, [each.requires_grad_() for each in arguments])
    em = torch.zeros(1, requires_grad=True)
    fuse(em, torch.ones(1), torch.zeros(1)).sum().backward()
    assert float(em.grad) == 1.0


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_constant_image_is_a_fixed_point(symmetric):
    model = toy_model(random_projector(views=9, bins=8, side=SIDE, seed=0), slices=1)
    constant = torch.full((1, SIDE, SIDE), 4.0)
    prior = prior_of(random_images(seed=5), symmetric=symmetric)
    torch.testing.assert_close(prior.centre(constant), constant)
    found = map_em(
        model.expected(constant), model, prior=prior, beta=1e3, iterations=5, subsets=3, start=constant
    )
    torch.testing.assert_close(found, constant, rtol=1e-5, atol=0)


def test_a_large_weight_gives_the_mean_of_each_anatomical_region():
    """Of a constant c the likelihood is largest where c = sum of prompts / sum of sensitivities."""
    model = toy_model(identity_projector(SIDE), slices=1)
    prompts = noisy_prompts(model, random_images())
    found = map_em(prompts, model, prior=prior_of(STEP), beta=10.0, iterations=4000, subsets=1)
    for half in (np.s_[:, :, : SIDE // 2], np.s_[:, :, SIDE // 2 :]):
        expected = float(prompts[half].sum() / model.multiplicative[half].sum())
        np.testing.assert_allclose(found[half].numpy(), expected, rtol=0.02)


def test_an_edge_that_the_anatomy_shows_is_not_blurred():
    """Noiseless: with the edge in T1 the step is a fixed point; with a flat T1 it is smoothed."""
    model = toy_model(identity_projector(SIDE), slices=1)
    prompts = model.expected(STEP)
    shown, hidden = (
        map_em(prompts, model, prior=prior_of(anatomy), beta=1.0, iterations=200, subsets=1, start=STEP)
        for anatomy in (STEP, torch.ones_like(STEP))
    )
    torch.testing.assert_close(shown, STEP, rtol=1e-5, atol=0)
    steepest = float(hidden.diff(dim=-1).max())
    assert 0.1 < steepest < 1.5


def test_each_slice_has_its_own_weight():
    model = toy_model(random_projector(views=9, bins=8, side=SIDE, seed=0), slices=2)
    prompts, anatomy = noisy_prompts(model, random_images(2)), random_images(2, seed=5)
    betas = torch.tensor([0.1, 3.0])
    together = map_em(prompts, model, prior=prior_of(anatomy), beta=betas, iterations=4, subsets=3)
    for row in range(2):
        one = slice(row, row + 1)
        alone = map_em(
            prompts[one],
            replace(model, multiplicative=model.multiplicative[one]),
            prior=prior_of(anatomy[one]),
            beta=float(betas[row]),
            iterations=4,
            subsets=3,
        )
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-4)


def test_pixels_that_no_line_crosses_stay_zero():
    projector = random_projector(views=9, bins=8, side=SIDE, seed=0)
    projector.matrix[..., 0, 0] = 0
    model = toy_model(projector, slices=1)
    prompts, prior = noisy_prompts(model, random_images()), prior_of(random_images(seed=5))
    found = map_em(prompts, model, prior=prior, beta=1.0, iterations=3, subsets=3)
    assert float(found[0, 0, 0]) == 0.0
    assert torch.isfinite(found).all()
