from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toy import random_projector, toy_model

from quietpet.acquisition.measurement import Measurement
from quietpet.data.measured import MeasuredSlices
from quietpet.data.pairs import Batch


@pytest.fixture
def activity():
    return torch.rand(5, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def measurement(activity):
    model = toy_model(random_projector(views=4, bins=7, side=6, seed=0), slices=5)
    background = torch.rand(model.multiplicative.shape, generator=torch.Generator().manual_seed(1))
    model = replace(model, background=background)
    return Measurement(prompts=model.expected(activity), model=model)


@pytest.mark.parametrize("rows", [[3, 0], range(1, 4), [2]])
def test_rows_keep_prompts_and_model_together(measurement, activity, rows):
    """The model of the chosen slices expects exactly their (noiseless) prompts, background included."""
    chosen = measurement.rows(rows)
    torch.testing.assert_close(chosen.prompts, chosen.model.expected(activity[list(rows)]))
    assert len(chosen.prompts) == len(rows)


def test_a_batch_gets_the_measurement_of_its_keys(measurement, activity):
    image = torch.zeros(2, 1, 6, 6)
    batch = Batch(
        low=image,
        standard=image,
        t1=image,
        has_t1=torch.ones(2, dtype=torch.bool),
        scale=torch.ones(2),
        keys=("d", "b"),
        pixel_mm=1.0,
    )
    attached = MeasuredSlices("abcde", measurement).attach(batch).to("cpu").measured()
    torch.testing.assert_close(attached.prompts, attached.model.expected(activity[[3, 1]]))
    assert batch.measurement is None
