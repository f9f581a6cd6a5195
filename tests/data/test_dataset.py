from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
from packed import LINEAGE, PIXELS, write_packed
from torch.utils.data import DataLoader

from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError


@pytest.fixture
def packed(tmp_path):
    return write_packed(tmp_path / "train.h5")


def test_rows_are_the_files_rows(packed):
    pairs = PairDataset(packed)
    with h5py.File(packed) as file:
        for row, pair in enumerate(pairs[row] for row in range(len(pairs))):
            np.testing.assert_array_equal(pair.low, file["low"][row])
            np.testing.assert_array_equal(pair.truth, file["truth"][row])
            assert pair.key == file["key"][row].decode()
            assert pair.scale == file["scale"][row]
            assert pair.head.dtype == bool
    assert (pairs.pixels, pairs.lineage, pairs.split) == (PIXELS, LINEAGE, "train")
    assert pairs.pixel_mm == pytest.approx(2.08626)


def test_an_opened_data_set_survives_pickling_and_worker_processes(packed):
    pairs = PairDataset(packed)
    expected = [pairs[row].low for row in range(len(pairs))]
    again = pickle.loads(pickle.dumps(pairs))
    np.testing.assert_array_equal(again[3].low, expected[3])
    loader = DataLoader(pairs, batch_size=None, num_workers=2)
    for pair, low in zip(loader, expected, strict=True):
        np.testing.assert_array_equal(pair.low, low)


@pytest.mark.parametrize("name", ["low", "standard", "t1", "truth"])
def test_a_nan_names_file_slice_and_image(packed, name):
    with h5py.File(packed, "r+") as file:
        file[name][4, 10, 10] = np.nan
    pairs = PairDataset(packed)
    assert pairs[3].key == "00_s3_r0"
    with pytest.raises(InputError, match=rf"train\.h5: slice '00_s4_r0': 1 of 4096 values of '{name}'"):
        pairs[4]


def test_data_without_truth(packed):
    with h5py.File(packed, "r+") as file:
        del file["truth"]
    assert PairDataset(packed)[0].truth is None


@pytest.mark.parametrize("name", ["low", "head", "scale", "key"])
def test_a_missing_array_is_named(packed, name):
    with h5py.File(packed, "r+") as file:
        del file[name]
    with pytest.raises(InputError, match=f"lacks the array '{name}'"):
        PairDataset(packed)
