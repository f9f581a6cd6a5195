"""One criterion for all that is chosen: weights, learning rates and numbers that are tuned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quietpet.data.pairs import Batch
from quietpet.evaluation.comparison import SliceImages
from quietpet.evaluation.metrics import nmse
from quietpet.methods.base import Restorer
from quietpet.methods.tuning import mean_nmse, nmse_of_slices
from quietpet.training.validation import restoration_nmse


class Doubled(Restorer):
    def groups(self):
        return {}

    def loss(self, batch, group, generator):
        raise AssertionError

    def restore(self, batch, generators):
        return 2 * batch.low - 0.5


@pytest.fixture
def batches():
    draws = torch.Generator().manual_seed(3)
    return [
        Batch(
            low=torch.rand(count, 1, 8, 8, generator=draws),
            standard=scale * torch.rand(count, 1, 8, 8, generator=draws),
            t1=torch.zeros(count, 1, 8, 8),
            has_t1=torch.ones(count, dtype=torch.bool),
            scale=torch.ones(count),
            keys=tuple(map(str, range(count))),
            pixel_mm=2.0,
        )
        for count, scale in ((3, 0.1), (1, 5.0))
    ]


def test_it_is_the_nmse_of_the_tables_for_networks_and_for_what_is_tuned(batches):
    restored = [(2 * batch.low - 0.5).clamp(min=0) for batch in batches]
    expected = np.mean(
        [
            ((x - y) ** 2).sum() / (y**2).sum()
            for images, batch in zip(restored, batches, strict=True)
            for x, y in zip(images.double().numpy(), batch.standard.double().numpy(), strict=True)
        ]
    )
    assert mean_nmse([2 * batch.low - 0.5 for batch in batches], batches) == pytest.approx(expected)
    found = restoration_nmse(Doubled(), batches, study_seed=1, names=("a",))
    assert found == pytest.approx(expected)
    first = SliceImages(
        restored=restored[0][0, 0].numpy(),
        standard=batches[0].standard[0, 0].numpy(),
        **dict.fromkeys(("t1", "head", "pet_lesions", "t1_lesions"), np.zeros((8, 8), int)),
    )
    one = nmse_of_slices(restored[0][:1], batches[0].standard[:1])
    assert float(one) == pytest.approx(nmse(first, 1.0))
