from __future__ import annotations

import numpy as np
import pytest
from packed import write_packed

from quietpet.data.batches import StepBatches
from quietpet.data.dataset import PairDataset
from quietpet.data.joint import JointPairs
from quietpet.errors import InputError


def test_rows_follow_each_other_and_every_slice_is_drawn_once_per_epoch(tmp_path):
    parts = [
        PairDataset(write_packed(tmp_path / f"{seed}.h5", slices=slices, seed=seed))
        for seed, slices in ((0, 3), (1, 5))
    ]
    joint = JointPairs(parts)
    assert joint.keys == [*parts[0].keys, *parts[1].keys]
    assert [joint[row].key for row in range(len(joint))] == joint.keys
    np.testing.assert_array_equal(joint[4].low, parts[1][1].low)
    batches = StepBatches(joint, study_seed=1, names=("a",), batch_size=4, patch_pixels=None, flip=False)
    assert sorted(batches[1].keys + batches[2].keys) == sorted(joint.keys)


def test_other_grids_are_refused(tmp_path):
    small, large = (PairDataset(write_packed(tmp_path / f"{side}.h5", pixels=side)) for side in (64, 96))
    with pytest.raises(InputError, match=r"96\.h5: 96 pixels of .* need one grid; pack them alike"):
        JointPairs([small, large])
