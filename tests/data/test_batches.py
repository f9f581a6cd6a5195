from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from packed import PIXELS, write_packed
from torch.utils.data import DataLoader

from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import (
    ResidentBatches,
    StepBatches,
    central_batches,
    central_window,
    cut,
    head_extent,
    head_square,
    random_window,
    recentred,
)
from quietpet.data.crop import central_crop
from quietpet.data.dataset import PairDataset
from quietpet.data.joint import JointPairs
from quietpet.errors import InputError


@pytest.fixture
def pairs(tmp_path):
    return PairDataset(write_packed(tmp_path / "train.h5", slices=7))


def step_batches(pairs, **changed):
    chosen = {
        "study_seed": 1, "names": ("phantom", "unet", "0"), "batch_size": 4, "patch_pixels": 32,
        "flip": True,
    }  # fmt: skip
    return StepBatches(pairs, **{**chosen, **changed})


def test_every_epoch_visits_every_slice_once(pairs):
    batches = step_batches(pairs)
    rows = [row for step in range(1, 8) for row in batches.rows(step)]
    epochs = [rows[first : first + 7] for first in range(0, 28, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_step_is_the_same_in_any_order_and_in_any_number_of_workers(pairs):
    steps = [3, 1, 2, 9]
    expected = [step_batches(pairs)[step] for step in steps]
    for workers in (0, 2):
        loader = DataLoader(step_batches(pairs), batch_size=None, sampler=steps, num_workers=workers)
        for batch, wanted in zip(loader, expected, strict=True):
            assert batch.keys == wanted.keys
            assert torch.equal(batch.low, wanted.low)
            assert torch.equal(batch.standard, wanted.standard)


@pytest.mark.parametrize("changed", [{}, {"patch_pixels": None}, {"flip": False}, {"patch_steps": 2}])
def test_batches_cut_on_the_device_are_the_same_bit_for_bit(pairs, changed):
    drawn = step_batches(pairs, **changed)
    resident = ResidentBatches(drawn, torch.device("cpu"))
    for step in (1, 2, 7, 50):
        batch, expected = resident[step], drawn[step]
        assert batch.keys == expected.keys
        assert batch.pixel_mm == expected.pixel_mm
        for name in ("low", "standard", "t1", "scale"):
            found, wanted = getattr(batch, name), getattr(expected, name)
            assert found.is_contiguous()
            assert torch.equal(found, wanted), (step, name)
    assert ResidentBatches.bytes(pairs) == 3 * 7 * PIXELS**2 * 4


def test_the_last_steps_see_whole_heads_in_batches_of_as_many_pixels(pairs):
    """Heads of this data set need squares of 64; four patches of 32 have the pixels of one of them."""
    assert head_square(pairs) == 64
    batches = step_batches(pairs, patch_steps=5, flip=False)
    assert [tuple(batches[step].low.shape) for step in (1, 5, 6, 9)] == [
        (4, 1, 32, 32), (4, 1, 32, 32), (1, 1, 64, 64), (1, 1, 64, 64),
    ]  # fmt: skip
    whole = central_batches(pairs, pixels=64, batch_size=1)
    central = {batch.keys[0]: batch.low for batch in whole}
    for step in range(6, 12):
        batch = batches[step]
        assert torch.equal(batch.low, central[batch.keys[0]])


def test_epochs_run_on_from_patches_to_whole_heads(pairs):
    batches = step_batches(pairs, patch_steps=5)
    rows = [row for step in range(1, 14) for row in batches.rows(step)]  # 5 x 4 patches, 8 heads
    epochs = [rows[first : first + 7] for first in range(0, 28, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert rows[:20] == [row for step in range(1, 6) for row in step_batches(pairs).rows(step)]


def test_a_batch_of_whole_heads_has_at_least_one(pairs):
    batches = step_batches(pairs, patch_pixels=16, batch_size=1, patch_steps=0)
    assert batches[1].low.shape == (1, 1, 64, 64)


@pytest.mark.parametrize(
    ("batch_size", "processes", "expected"),
    [(4, 1, 1), (4, 2, 2), (4, 4, 4), (12, 1, 3), (12, 2, 4), (12, 3, 3), (12, 4, 4)],
)
def test_batches_of_whole_heads_are_shared_equally(pairs, batch_size, processes, expected):
    """Four patches of 32 have the pixels of one head: as many as fit, and a multiple of processes."""
    batches = step_batches(pairs, batch_size=batch_size, patch_steps=5, processes=processes)
    assert [batches.slices(step) for step in (5, 6)] == [batch_size, expected]
    assert [len(batches[6].part(k, processes).keys) for k in range(processes)] == [
        expected // processes
    ] * processes


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"patch_pixels": 64}, None),
        ({"patch_pixels": 64, "whole_share": 0.3}, 700),
        ({"patch_pixels": 64, "whole_share": 1.0}, 0),
        ({"whole_share": 0.3}, None),
    ],
)
def test_the_share_of_whole_heads_is_of_the_iterations(settings, expected):
    assert TrainingSettings(iterations=1000, **settings).patch_steps == expected


def test_other_names_see_other_patches(pairs):
    other = step_batches(pairs, names=("phantom", "unet", "1"))
    assert not torch.equal(step_batches(pairs)[1].low, other[1].low)


def test_images_are_divided_by_the_scale_of_the_low_dose(pairs):
    batch = next(central_batches(pairs, pixels=PIXELS, batch_size=3))
    for position in range(3):
        pair = pairs[position]
        restored = batch.standard[position, 0].double() * batch.scale[position]
        np.testing.assert_allclose(restored.numpy(), pair.standard, rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(batch.t1[position, 0] * pair.t1_scale, pair.t1, rtol=1e-6)
    assert batch.low.shape == (3, 1, PIXELS, PIXELS)
    assert batch.pixel_mm == pytest.approx(2.08626)


def test_central_batches_cover_all_slices_in_order(pairs):
    batches = list(central_batches(pairs, pixels=32, batch_size=3))
    assert [key for batch in batches for key in batch.keys] == pairs.keys
    assert [len(batch.keys) for batch in batches] == [3, 3, 1]


@pytest.mark.parametrize(("side", "pixels"), [(64, 32), (65, 32), (64, 33), (64, 64)])
def test_the_central_window_is_the_central_crop(side, pixels):
    image = np.arange(side * side).reshape(side, side)
    np.testing.assert_array_equal(image[central_window(side, pixels)], central_crop(image, pixels))


@pytest.mark.parametrize(("side", "pixels"), [(64, 32), (65, 32), (64, 33), (33, 64), (64, 64)])
def test_recentring_is_the_central_crop_with_a_gradient(side, pixels):
    image = torch.arange(2.0 * side * side).reshape(2, side, side).requires_grad_()
    found = recentred(image, pixels)
    np.testing.assert_array_equal(found.detach().numpy(), central_crop(image.detach().numpy(), pixels))
    found.sum().backward()
    assert float(image.grad.sum()) == 2 * min(side, pixels) ** 2


def test_random_squares_lie_inside_and_contain_head():
    head = np.zeros((48, 48), bool)
    head[0:2, 40:47] = True
    for draw in range(50):
        window = random_window(head, 16, np.random.default_rng(draw))
        assert head[window].shape == (16, 16)
        assert head[window].any()


def test_a_mirrored_square_swaps_left_and_right_of_all_images(pairs):
    pair = pairs[0]
    window = central_window(PIXELS, 32)
    plain, mirrored = cut(pair, window), cut(pair, window, mirrored=True)
    for name in ("low", "standard", "t1"):
        np.testing.assert_array_equal(getattr(mirrored, name), getattr(plain, name)[:, ::-1])


def test_about_half_of_the_slices_are_mirrored(pairs):
    plain, flipped = (step_batches(pairs, patch_pixels=None, flip=flip) for flip in (False, True))
    same = [
        torch.equal(one, other)
        for step in range(1, 26)
        for one, other in zip(plain[step].low, flipped[step].low, strict=True)
    ]
    assert 0.3 < np.mean(same) < 0.7


def test_the_head_square_holds_every_head_and_is_no_larger_than_needed(tmp_path):
    # A disc of radius 0.36 * 128 = 46.08 around pixel 64 spans pixels 18 to 110: 47 to the far side.
    large = PairDataset(write_packed(tmp_path / "large.h5", pixels=128, slices=1))
    assert (head_extent(large), head_square(large)) == (94, 96)
    small = PairDataset(write_packed(tmp_path / "small.h5", pixels=96, slices=1))
    assert (head_extent(small), head_square(small)) == (70, 96)


def test_the_head_square_suits_a_network_that_halves_it_six_times(tmp_path):
    for pixels, divisor, square in [(128, 64, 128), (128, 8, 96), (96, 64, 64), (112, 32, 96)]:
        pairs = PairDataset(write_packed(tmp_path / f"{pixels}-{divisor}.h5", pixels=pixels, slices=1))
        assert head_square(pairs, divisor=divisor) == square


def test_the_extent_is_that_of_all_heads_and_reads_no_image(tmp_path):
    """Of all slices of all files: one head reaches 20 pixels up, another 24 to the left."""
    paths = [write_packed(tmp_path / f"{seed}.h5", slices=2, seed=seed) for seed in (0, 1)]
    for path, place in zip(paths, ((1, 12, 32), (0, 32, 8)), strict=True):
        with h5py.File(path, "r+") as file:
            head = np.zeros(file["head"].shape, np.uint8)
            head[place] = 1
            file["head"][...] = head
            for name in ("low", "standard", "t1"):
                file[name][...] = np.nan  # an error once it is read
    one, other = map(PairDataset, paths)
    assert (head_extent(one), head_extent(other), head_extent(JointPairs([one, other]))) == (40, 48, 48)


def test_too_large_a_patch_is_refused(pairs):
    with pytest.raises(InputError, match=r"64 x 64 pixels, too few for squares of 96"):
        step_batches(pairs, patch_pixels=96)
