from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from noisy_disc import disc, measured_batch
from toy import toy_model

from quietpet.acquisition.measurement import Measurement
from quietpet.data.batches import recentred
from quietpet.data.pairs import Batch
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.methods.bowsher.model import build
from quietpet.methods.bowsher.settings import Settings
from quietpet.methods.tuning import mean_nmse
from quietpet.projection.embedded import embedded_projector

SIDE = 24
SETTINGS = Settings(neighbours=8, radius_pixels=2, iterations=6, subsets=4)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Two noisy slices of two tissues in a disc, in units of 50; T1 shows the tissues."""
    return _measured(disc(SIDE), scale=50.0)


def _measured(tissue: torch.Tensor, *, scale: float) -> Batch:
    model = toy_model(embedded_projector(siemens_mmr(), mmr_grid(SIDE), rays=1), slices=2)
    return measured_batch(tissue, model, scale=scale, pixel_mm=2.0)


@pytest.fixture(scope="module")
def tuned(batch):
    method = build(SETTINGS)
    method.tune([batch])
    return method


def error(batch, *, beta):
    method = build(SETTINGS)
    method.beta.fill_(beta)
    return mean_nmse([method.restore(batch, [])], [batch])


def test_the_tuned_weight_beats_its_neighbours_and_no_weight(tuned, batch):
    best = float(tuned.beta)
    errors = [error(batch, beta=beta) for beta in (best / 2, best, best * 2, 0.0)]
    assert SETTINGS.beta[0] < best < SETTINGS.beta[1]
    assert errors[1] == min(errors)
    assert errors[1] < 0.5 * errors[3]


def test_without_weight_it_is_the_low_dose_image(batch):
    method = build(SETTINGS)
    torch.testing.assert_close(method.restore(batch, []), batch.low)


def test_the_unit_of_activity_does_not_matter(tuned, batch):
    """The same counts, with activities ten times as large and as many times less sensitivity."""
    model = batch.measured().model
    other = replace(
        batch,
        scale=10 * batch.scale,
        measurement=Measurement(
            prompts=batch.measured().prompts,
            model=replace(model, multiplicative=model.multiplicative / 10),
        ),
    )
    torch.testing.assert_close(tuned.restore(other, []), tuned.restore(batch, []), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("pixels", [20, 32])
def test_the_square_may_be_smaller_or_larger_than_the_grid(tuned, batch, pixels):
    """Its centre is the centre of the grid; the disc lies inside both."""
    images = {name: recentred(getattr(batch, name), pixels) for name in ("low", "standard", "t1")}
    found = tuned.restore(replace(batch, **images), [])
    assert found.shape == (2, 1, pixels, pixels)
    expected = recentred(tuned.restore(batch, []), pixels)
    torch.testing.assert_close(recentred(found, 14), recentred(expected, 14), rtol=1e-2, atol=1e-2)


def test_a_batch_without_measurement_is_refused(tuned, batch):
    with pytest.raises(ValueError, match="this batch has no measurement"):
        tuned.restore(replace(batch, measurement=None), [])


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="neighbours = 9 exceeds the 8 pixels within radius_pixels = 1"):
        Settings(neighbours=9, radius_pixels=1)
    with pytest.raises(ValueError, match=r"a range of weights is \[low, high\]"):
        Settings(beta=(2.0, 1.0))
