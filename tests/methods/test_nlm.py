from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from skimage.restoration import denoise_nl_means

from quietpet.data.pairs import Batch
from quietpet.methods.nlm.model import build, non_local_means
from quietpet.methods.nlm.settings import Settings
from quietpet.methods.tuning import least_errors, mean_nmse

SIZES = {"patch_pixels": 5, "search_pixels": 4}


def batch(low: np.ndarray, t1: np.ndarray, standard: np.ndarray | None = None) -> Batch:
    """Of single images (y, x)."""
    images = [torch.tensor(each, dtype=torch.float32)[None, None] for each in (low, t1)]
    target = images[0] if standard is None else torch.tensor(standard, dtype=torch.float32)[None, None]
    return Batch(
        low=images[0],
        standard=target,
        t1=images[1],
        has_t1=torch.ones(1, dtype=torch.bool),
        scale=torch.ones(1),
        keys=("a",),
        pixel_mm=2.0,
    )


def restored(images: Batch, *strengths: float, **changes) -> np.ndarray:
    method = build(Settings(**{**SIZES, **changes}))
    method.strengths.copy_(torch.tensor(strengths))
    return method.restore(images, [])[0, 0].numpy()


def noise(seed: int, shape: tuple[int, int] = (32, 32)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def step(shape: tuple[int, int] = (32, 32)) -> np.ndarray:
    return np.where(np.arange(shape[1]) < shape[1] // 2, 1.0, 2.0) * np.ones(shape)


def test_guided_by_itself_it_is_that_of_scikit_image():
    image, strength = step((24, 36)) + 0.2 * noise(0, (24, 36)), 0.3
    expected = denoise_nl_means(image, patch_size=5, patch_distance=4, h=strength, fast_mode=True)
    found = non_local_means(image, [image / strength], **SIZES)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_a_second_guide_narrows_the_weights_as_a_product():
    """exp(-d1**2 - d2**2) of one image in two guides is exp(-d**2) of that image, sharpened."""
    image = step() + 0.2 * noise(0)
    twice = non_local_means(image, [image / 0.5, image / 0.5], **SIZES)
    once = non_local_means(image, [image * np.sqrt(2) / 0.5], **SIZES)
    np.testing.assert_allclose(twice, once, rtol=1e-8)


@pytest.mark.parametrize("guide", ["low", "t1", "both"])
def test_it_is_the_identity_until_it_is_tuned_and_as_the_strength_falls_to_zero(guide):
    images = batch(2 + noise(0), 2 + noise(1))
    strengths = [1e-4, 1e-4] if guide == "both" else [1e-4]
    for low in ([0.0] * len(strengths), strengths):
        np.testing.assert_allclose(restored(images, *low, guide=guide), images.low[0, 0], rtol=1e-5)


def test_t1_alone_gives_weights_that_do_not_depend_on_the_low_dose_image():
    t1, first, second = step() + 0.1 * noise(2), noise(3), noise(4)
    of_first, of_second, of_sum = (
        restored(batch(low, t1), 0.2, guide="t1") for low in (first, second, 3 * first + 2 * second + 5)
    )
    np.testing.assert_allclose(of_sum, 3 * of_first + 2 * of_second + 5, atol=1e-4)


@pytest.mark.parametrize(("guide", "strengths"), [("t1", [0.2]), ("both", [10.0, 0.2])])
def test_an_edge_of_t1_is_kept_where_noise_hides_it_in_the_low_dose_image(guide, strengths):
    truth = step()
    images = batch(truth + 0.5 * noise(5), truth)
    kept = restored(images, *strengths, guide=guide)
    blurred = restored(images, 10.0, guide="low")
    beside = (slice(None), slice(14, 18))  # two pixels on either side of the edge
    assert np.abs(kept - truth)[beside].mean() < 0.15
    assert np.abs(blurred - truth)[beside].mean() > 0.3
    assert kept.std() < images.low.std()


def test_a_spot_that_t1_does_not_show_survives_only_where_the_low_dose_image_guides_too():
    low = np.ones((32, 32))
    low[15:18, 15:18] = 3.0
    images = batch(low, np.ones((32, 32)))
    assert restored(images, 0.2, guide="t1")[16, 16] < 1.5
    assert restored(images, 0.2, 0.2, guide="both")[16, 16] > 2


def test_stabilised_it_smooths_bright_and_dark_counts_alike():
    """Relative noise that is left, in regions of 25 and 400 counts, whose noise is as 1 to 4."""
    expected = np.where(np.arange(64) < 32, 25.0, 400.0) * np.ones((64, 64))
    low = np.random.default_rng(6).poisson(expected) / 100
    regions = [(slice(8, 56), slice(8, 24)), (slice(8, 56), slice(40, 56))]

    def left(stabilised: bool, strength: float) -> list[float]:
        found = restored(batch(low, low), strength, stabilised=stabilised)
        return [found[region].std() / low[region].std() for region in regions]

    dark, bright = left(stabilised=True, strength=0.07)
    assert max(dark, bright) < 0.5
    assert max(dark, bright) / min(dark, bright) < 1.3
    dark, bright = left(stabilised=False, strength=0.1)
    assert bright / dark > 2


def test_the_tuned_strength_beats_its_neighbours():
    truth = step()
    images = batch(truth + 0.2 * noise(7), truth, truth)
    method = build(Settings(**SIZES))
    method.tune([images])
    (best,) = method.strengths.tolist()
    errors = []
    for strength in (best / 1.5, best, best * 1.5):
        method.strengths.fill_(strength)
        errors.append(mean_nmse([method.restore(images, [])], [images]))
    assert min(errors) == errors[1]
    assert errors[1] < 0.3 * 0.2**2


def test_two_numbers_are_tuned_together():
    images = batch(np.ones((4, 4)), np.zeros((4, 4)))

    def restorations(numbers):
        first, second = numbers
        return [images.low + abs(first - 0.3) + abs(second + 1 - first)]

    first, second = least_errors(restorations, [images], bounds=[(-2, 1), (-2, 2)], tolerance=1e-3)
    assert (first, second) == pytest.approx((0.3, -0.7), abs=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_pixels": 4}, "patch_pixels = 4 must be odd"),
        ({"strength": (1, 0.1)}, r"got \[1.0, 0.1\]"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        Settings(**changes)
