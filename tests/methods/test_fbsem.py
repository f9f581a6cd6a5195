from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from noisy_disc import disc, measured_batch
from toy import DenseProjector, random_projector, toy_model

from quietpet.acquisition.measurement import Measurement
from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.data.batches import recentred
from quietpet.data.pairs import Batch
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.methods.fbsem.model import build
from quietpet.methods.fbsem.settings import Settings
from quietpet.projection.embedded import embedded_projector
from quietpet.recon.osem import em_updates, osem

SIDE = 24
SMALL = {"updates": 3, "subsets": 4, "layers": 3, "kernels": 4}
OFF = -math.inf
"""The logarithm of a gamma of 0: the network has no say."""


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Two noisy slices of a disc with a core, in units of 50; attenuated, blurred, with background."""
    grid = mmr_grid(SIDE)
    projector = embedded_projector(siemens_mmr(), grid, rays=1)
    psf = GaussianPSF(fwhm_mm=4.0, pixel_mm=grid.pixel_mm, image_shape=projector.image_shape)
    model = replace(toy_model(projector, slices=2, background=0.1), psf=psf)
    return measured_batch(disc(SIDE), model, scale=50.0, pixel_mm=grid.pixel_mm)


def unrolled(*, log_gamma: float | None = None, learned: bool = True, **changes):
    """The method in evaluation; ``learned``: with a network that no longer returns its image."""
    torch.manual_seed(0)
    method = build(Settings(**{**SMALL, "start": "low", **changes}))
    if learned:
        torch.nn.init.constant_(method.network.stages[-1].weight, 0.3)
    if log_gamma is not None:
        torch.nn.init.constant_(method.log_gamma, log_gamma)
    return method.eval()


def restored(method, batch):
    with torch.inference_mode():
        return method.restore(batch, [])


def test_without_the_network_it_is_osem(batch):
    """As many iterations of the same subsets, from ones."""
    found = restored(unrolled(log_gamma=OFF, start="ones", updates=12), batch)
    measured = batch.measured()
    expected = osem(measured.prompts, measured.model, iterations=3, subsets=4)
    torch.testing.assert_close(50 * found[:, 0], expected, rtol=1e-6, atol=1e-6)


def test_as_gamma_falls_it_becomes_the_em_update(batch):
    exact = restored(unrolled(log_gamma=OFF), batch)
    away = [
        float((restored(unrolled(log_gamma=math.log(gamma)), batch) - exact).abs().max())
        for gamma in (1.0, 1e-3, 1e-6)
    ]
    assert away[0] > 1e-2
    assert away[1] < away[0] / 100
    assert away[2] < 1e-5


def test_as_gamma_grows_it_becomes_the_network_alone(batch):
    method = unrolled(log_gamma=math.log(1e9), updates=2)
    with torch.inference_mode():
        image = batch.low
        for _ in range(2):
            image = method.network(image, batch.t1)
        found = method.restore(batch, [])
    seen = batch.measured().model.projector.adjoint(batch.measured().model.multiplicative) > 0
    seen &= em_updates(batch.measured().prompts, batch.measured().model, subsets=4).seen
    torch.testing.assert_close(found[:, 0][seen], image[:, 0][seen], rtol=1e-3, atol=1e-3)


def double_batch(*, side: int = 8, slices: int = 2) -> Batch:
    """A scan of a dense projector in float64."""
    torch.manual_seed(0)
    dense = random_projector(views=9, bins=10, side=side, seed=0)
    projector = DenseProjector(dense.matrix.double())
    bins = torch.rand(slices, *projector.sinogram_shape, dtype=torch.float64) + 0.5
    model = AcquisitionModel(
        projector=projector,
        psf=GaussianPSF(fwhm_mm=0.0, pixel_mm=2.0, image_shape=projector.image_shape),
        multiplicative=bins,
        background=torch.full_like(bins, 2.0),
    )
    standard = 2 * torch.rand(slices, 1, side, side, dtype=torch.float64)
    scale = torch.tensor([1.0, 3.0], dtype=torch.float64)[:slices]
    prompts = torch.poisson(model.expected(standard[:, 0] * scale[:, None, None]))
    return Batch(
        low=(standard + 0.3 * torch.randn_like(standard)).clamp(min=0.05),
        standard=standard,
        t1=torch.rand_like(standard),
        has_t1=torch.ones(slices, dtype=torch.bool),
        scale=scale,
        keys=("a", "b")[:slices],
        pixel_mm=2.0,
        measurement=Measurement(prompts=prompts, model=model),
    )


def test_each_update_is_the_published_closed_form():
    """x = 2 x_EM / (1 - g S r + sqrt((1 - g S r)^2 + 4 g S x_EM)), S = 1 / sensitivity of the subset.

    Written once more with matrices, in the units of the data; the network sees the image before the EM
    update.
    """
    batch = double_batch()
    method = unrolled(log_gamma=math.log(5.0), updates=3, subsets=2).double()
    measured = batch.measured()
    model, scale = measured.model, batch.scale.numpy()[:, None, None]
    image = batch.low.numpy()[:, 0] * scale
    for update in range(3):
        views = slice(update % 2, None, 2)
        matrix = model.projector.matrix.numpy()[views]
        factors, counts, background = (
            each.numpy()[:, views] for each in (model.multiplicative, measured.prompts, model.background)
        )
        expected = factors * np.einsum("vbyx,syx->svb", matrix, image) + background
        sensitivity = np.einsum("vbyx,svb->syx", matrix, factors)
        em = image * np.einsum("vbyx,svb->syx", matrix, factors * counts / expected) / sensitivity
        with torch.inference_mode():
            proposed = method.network(torch.from_numpy(image / scale)[:, None], batch.t1)
        proposed = proposed[:, 0].numpy() * scale
        pull = 5.0 / scale**2 / sensitivity
        linear = 1 - pull * proposed
        image = 2 * em / (linear + np.sqrt(linear**2 + 4 * pull * em))
    np.testing.assert_allclose(restored(method, batch)[:, 0].numpy() * scale, image, rtol=1e-7)


def test_gradients_agree_with_finite_differences():
    """Of the loss in training, through all EM updates, along random directions of all parameters."""
    batch = double_batch()
    method = unrolled(log_gamma=math.log(5.0)).double().train()
    parameters = method.groups()["network"]
    loss = method.loss(batch, "network", torch.Generator())
    gradients = torch.autograd.grad(loss, parameters)
    generator = torch.Generator().manual_seed(1)
    only_gamma = [torch.full_like(each, float(each is method.log_gamma)) for each in parameters]
    drawn = [
        [torch.randn(each.shape, dtype=torch.float64, generator=generator) for each in parameters]
        for _ in range(3)
    ]
    for direction in (only_gamma, *drawn):
        along = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
        losses = []
        for step in (1e-6, -1e-6):
            moved = copy.deepcopy(method)
            with torch.no_grad():
                for each, way in zip(moved.groups()["network"], direction, strict=True):
                    each.add_(way, alpha=step)
                losses.append(float(moved.loss(batch, "network", torch.Generator())))
        assert along == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5)


def test_the_gradient_goes_through_the_scanner(batch):
    """That of an EM update of the real geometry, in float32: J^T v . u = v . J u by differences."""
    step = em_updates(batch.measured().prompts, batch.measured().model, subsets=4).steps[1]
    generator = torch.Generator().manual_seed(0)
    u, v = (torch.rand(2, SIDE, SIDE, generator=generator) for _ in range(2))
    image = (50 * batch.standard[:, 0] + 5).requires_grad_()
    (backward,) = torch.autograd.grad(step.update(image), image, v)
    with torch.no_grad():
        forward = (step.update(image + u) - step.update(image - u)) / 2
    assert float((backward * u).sum()) == pytest.approx(float((forward * v).sum()), rel=1e-3)


def test_gamma_stays_positive_whatever_the_optimiser_does(batch):
    method = unrolled().train()
    optimiser = torch.optim.SGD([method.log_gamma], lr=1e3)
    for _ in range(5):
        optimiser.zero_grad()
        method.loss(batch, "network", torch.Generator()).backward()
        optimiser.step()
        assert float(method.log_gamma.detach().exp()) >= 0
        assert torch.isfinite(method.log_gamma)
    assert torch.isfinite(restored(method.eval(), batch)).all()


def test_the_untrained_network_returns_its_image(batch):
    method = unrolled(learned=False)
    with torch.inference_mode():
        assert torch.equal(method.network(batch.low, batch.t1), batch.low)


def test_the_unit_of_activity_does_not_matter(batch):
    """The same counts, with activities ten times as large and as many times less sensitivity."""
    measured = batch.measured()
    model = replace(measured.model, multiplicative=measured.model.multiplicative / 10)
    other = replace(
        batch, scale=10 * batch.scale, measurement=Measurement(prompts=measured.prompts, model=model)
    )
    method = unrolled()
    torch.testing.assert_close(restored(method, other), restored(method, batch), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("pixels", [20, 32])
def test_the_square_may_be_smaller_or_larger_than_the_grid(batch, pixels):
    """Its centre is the centre of the grid; where the network sees nothing there is EM alone."""
    images = {name: recentred(getattr(batch, name), pixels) for name in ("low", "standard", "t1")}
    method = unrolled()
    found = restored(method, replace(batch, **images))
    assert found.shape == (2, 1, pixels, pixels)
    torch.testing.assert_close(
        recentred(found, 10), recentred(restored(method, batch), 10), rtol=1e-2, atol=1e-2
    )


def test_a_batch_without_measurement_is_refused(batch):
    with pytest.raises(ValueError, match="this batch has no measurement"):
        restored(unrolled(), replace(batch, measurement=None))


@pytest.mark.parametrize(
    ("changes", "count"),
    # 2*9*32 + 32 + 64, three times 32*9*32 + 32 + 64, 32*9 + 1 + 2, and gamma
    [({}, 28_900), ({"kernels": 16}, 7_540), ({"layers": 2, "kernels": 1}, 19 + 2 + 10 + 2 + 1)],
)
def test_parameters_are_those_of_the_published_network(changes, count):
    assert build(Settings(**changes)).parameter_count == count
    assert Settings().published_parameters == {"network": 28_900}
