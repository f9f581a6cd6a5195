"""A T1 that nobody acquired, from the packed file to the batch."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from packed import PIXELS, write_packed
from torch.utils.data import DataLoader

from quietpet.data.batches import ResidentBatches, StepBatches, central_batches
from quietpet.data.dataset import PairDataset
from quietpet.data.joint import JointPairs
from quietpet.data.pairs import Batch
from quietpet.errors import InputError

LACKING = (1, 4)


@pytest.fixture
def pairs(tmp_path):
    return PairDataset(write_packed(tmp_path / "train.h5", without_t1=LACKING))


def require_value_of_its_own(batch: Batch, expected: list[bool]) -> None:
    assert batch.has_t1.dtype == torch.bool
    assert batch.has_t1.tolist() == expected
    for t1, has in zip(batch.t1, expected, strict=True):
        assert torch.isfinite(t1).all() if has else torch.isnan(t1).all()
    assert torch.isfinite(batch.low).all()


def test_a_missing_t1_is_none_in_a_pair_and_nan_in_a_batch(pairs):
    assert [pairs[row].t1 is None for row in range(6)] == [row in LACKING for row in range(6)]
    assert pairs.has_t1.tolist() == [row not in LACKING for row in range(6)]
    first, second = central_batches(pairs, pixels=32, batch_size=4)
    require_value_of_its_own(first, [True, False, True, True])
    require_value_of_its_own(second, [False, True])


def test_parts_and_pinned_memory_keep_it(pairs):
    (batch,) = central_batches(pairs, pixels=32, batch_size=6)
    require_value_of_its_own(batch.part(1, 2), [False, True, True])
    require_value_of_its_own(batch.part(0, 2).to("cpu"), [True, True, False])
    with pytest.raises(ValueError, match="have no T1"):
        batch.known_t1()
    assert batch.part(2, 3).known_t1().shape == (2, 1, 32, 32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_page_locked_memory_keeps_it(pairs):
    (batch,) = central_batches(pairs, pixels=32, batch_size=6)
    assert batch.pin_memory().to("cuda").has_t1.tolist() == batch.has_t1.tolist()


def drawn(pairs) -> StepBatches:
    return StepBatches(pairs, study_seed=1, names=("a",), batch_size=4, patch_pixels=32, flip=True)


def test_a_training_of_phantoms_and_scans_mixes_slices_with_and_without(pairs, tmp_path):
    whole = PairDataset(write_packed(tmp_path / "phantom.h5", seed=1, slices=3))
    batches = drawn(JointPairs([pairs, whole]))
    expected = [*pairs.has_t1, *whole.has_t1]
    for step in range(1, 10):
        require_value_of_its_own(batches[step], [bool(expected[row]) for row in batches.rows(step)])


def test_batches_that_lie_on_the_device_and_those_of_workers_are_the_same(pairs):
    batches = drawn(pairs)
    resident = ResidentBatches(batches, torch.device("cpu"))
    loaded = DataLoader(batches, batch_size=None, sampler=range(1, 5), num_workers=1)
    for step, batch in enumerate(loaded, start=1):
        for other in (batches[step], resident[step]):
            assert torch.equal(batch.has_t1, other.has_t1)
            torch.testing.assert_close(batch.t1, other.t1, rtol=0, atol=0, equal_nan=True)


def test_a_t1_that_is_there_must_be_finite(pairs):
    path = pairs.path
    with h5py.File(path, "r+") as file:
        file["t1"][2, 10, 10] = np.nan
    pairs = PairDataset(path)
    assert pairs[1].t1 is None
    with pytest.raises(InputError, match=rf"slice '00_s2_r0': 1 of {PIXELS**2} values of 't1'"):
        pairs[2]


def test_a_file_that_does_not_say_it_is_of_another_version(pairs):
    with h5py.File(pairs.path, "r+") as file:
        del file["has_t1"]
    with pytest.raises(InputError, match="lacks the array 'has_t1'; made by another version"):
        PairDataset(pairs.path)
