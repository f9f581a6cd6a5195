"""Errors against the true activity, in closed form: of the head, of tissues, of their contrast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from quietpet.evaluation.comparison import TRUTH, SliceImages
from quietpet.evaluation.metric import measured
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.phantom.tissues import Tissue

GREY, WHITE = 96.0, 32.0
OF_TRUTH = [metric.name for metric in METRICS if metric.variant is TRUTH]


def phantom() -> SliceImages:
    """White matter around grey, both within other tissue; a standard dose that is blurred."""
    y, x = np.mgrid[:64, :64] - 32.0
    radius = np.hypot(y, x)
    labels = np.zeros((64, 64), np.uint8)
    for limit, tissue in ((28, Tissue.SKIN), (22, Tissue.WHITE_MATTER), (12, Tissue.GREY_MATTER)):
        labels[radius < limit] = tissue
    activity = {Tissue.SKIN: 8.0, Tissue.WHITE_MATTER: WHITE, Tissue.GREY_MATTER: GREY}
    truth = np.vectorize(lambda code: activity.get(code, 0.0))(labels)
    none = np.zeros_like(labels)
    standard = ndimage.gaussian_filter(truth, 1.0)
    return SliceImages(
        restored=truth.copy(),
        standard=standard,
        t1=None,
        head=labels > 0,
        pet_lesions=none,
        t1_lesions=none,
        truth=truth,
        labels=labels,
    )


def values(images: SliceImages) -> dict[str, float]:
    found = measured(images, metrics=METRICS, paper_window_pixels=48)
    return {metric.name: value for metric, value in found if metric.variant is TRUTH}


def test_the_truth_itself_has_no_error_and_the_whole_contrast() -> None:
    found = values(phantom())
    assert found == {
        "psnr_db": np.inf,
        "nmse": 0.0,
        "bias_percent": 0.0,
        "grey_matter_bias_percent": 0.0,
        "white_matter_bias_percent": 0.0,
        "grey_to_white_recovery_percent": pytest.approx(100.0),
    }


@pytest.mark.parametrize(("a", "b"), [(1.0, 4.0), (0.9, 0.0), (0.7, 10.0)])
def test_a_scale_and_an_offset_have_their_closed_forms(a: float, b: float) -> None:
    images = phantom()
    found = values(replace(images, restored=a * images.truth + b))
    for name, activity in (("grey_matter", GREY), ("white_matter", WHITE)):
        assert found[f"{name}_bias_percent"] == pytest.approx(100 * (a - 1 + b / activity))
    contrast = (a * GREY + b) / (a * WHITE + b) - 1
    assert found["grey_to_white_recovery_percent"] == pytest.approx(100 * contrast / (GREY / WHITE - 1))
    mean = images.truth[images.head].mean()
    assert found["bias_percent"] == pytest.approx(100 * ((a - 1) + b / mean))


def test_the_reference_is_the_truth_and_not_the_standard_dose() -> None:
    images = phantom()
    other = replace(images, standard=3 * images.standard + 1)
    assert values(other) == values(images)
    assert metric_of("nmse", "quantitative").measure(images, paper_window_pixels=48) > 0


def test_noise_alone_has_its_variance_over_the_true_energy() -> None:
    images = phantom()
    noise = np.random.default_rng(0).normal(0, 3.0, images.truth.shape)
    rows, columns = np.flatnonzero(images.head.any(1)), np.flatnonzero(images.head.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    found = values(replace(images, restored=images.truth + noise))
    assert found["nmse"] == pytest.approx((noise[box] ** 2).sum() / (images.truth[box] ** 2).sum())
    assert found["psnr_db"] == pytest.approx(10 * np.log10(GREY**2 / (noise[box] ** 2).mean()))


def test_blur_moves_activity_from_grey_to_white_matter() -> None:
    """Partial volume: the standard dose loses in grey matter what white matter around it gains."""
    images = phantom()
    found = values(replace(images, restored=images.standard))
    assert found["grey_matter_bias_percent"] < -3
    assert found["white_matter_bias_percent"] > 1
    assert found["grey_to_white_recovery_percent"] < 95
    assert found["bias_percent"] == pytest.approx(0.0, abs=2)


def test_lesions_of_pet_are_no_tissue() -> None:
    images = phantom()
    lesion = np.zeros_like(images.labels)
    lesion[30:34, 30:34] = 1
    lesion[32:35, 48:51] = 2
    hot = np.where(lesion > 0, 500.0, images.truth)
    found = values(replace(images, restored=hot, pet_lesions=lesion))
    for name in ("grey_matter_bias_percent", "white_matter_bias_percent"):
        assert found[name] == 0.0
    assert found["grey_to_white_recovery_percent"] == pytest.approx(100.0)
    assert found["bias_percent"] > 0


def test_a_slice_without_a_tissue_has_no_value_of_it() -> None:
    images = phantom()
    no_grey = replace(images, labels=np.where(images.labels == Tissue.GREY_MATTER, 0, images.labels))
    found = values(no_grey)
    assert np.isnan(found["grey_matter_bias_percent"])
    assert np.isnan(found["grey_to_white_recovery_percent"])
    assert found["white_matter_bias_percent"] == 0.0


@pytest.mark.parametrize("white", [GREY, 0.0])
def test_tissues_of_one_activity_have_no_contrast_and_cold_ones_no_bias(white: float) -> None:
    images = phantom()
    of_white = images.labels == Tissue.WHITE_MATTER
    truth = np.where(of_white, white, images.truth)
    found = values(replace(images, truth=truth, restored=truth + 1))
    assert np.isnan(found["grey_to_white_recovery_percent"])
    assert np.isnan(found["white_matter_bias_percent"]) == (white == 0)


def test_scans_have_no_rows() -> None:
    images = replace(phantom(), truth=None, labels=None)
    assert values(images) == {}
    without_tissues = values(replace(phantom(), labels=None))
    assert list(without_tissues) == ["psnr_db", "nmse", "bias_percent"]
    for name in OF_TRUTH:
        assert np.isnan(metric_of(name, "truth").measure(images, paper_window_pixels=48))
