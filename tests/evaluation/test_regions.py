"""Regional activity of small images whose means are known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quietpet.config.comparison import HEAD
from quietpet.errors import InputError
from quietpet.evaluation.regions import regional_activity
from quietpet.files.packed import LowSlices, ReferenceSlices

KEYS = ["04_a", "05_a", "04_b"]
NONE = np.zeros((3, 4, 4), np.uint8)


def reference(**changed) -> ReferenceSlices:
    """Three slices of two subjects; region 1 is a row, region 2 a pixel of subject 04's slices alone."""
    regions = NONE.copy()
    regions[:, 1, :] = 1
    regions[2, 3, 3] = 2
    head = NONE.copy()
    head[:, 1:, :] = 1
    made = ReferenceSlices(
        origin="test.h5", key=KEYS, subject=["04", "05", "04"], slice_mm=np.zeros(3),
        angle_deg=np.zeros(3), standard=np.full((3, 4, 4), 10.0), t1=np.ones((3, 4, 4)),
        has_t1=np.ones(3, bool), head=head,
        pet_lesions=NONE, t1_lesions=NONE, truth=np.full((3, 4, 4), 20.0), regions=regions,
        region_names=["cortex", "pons"],
    )  # fmt: skip
    return replace(made, **changed)


def low(**changed) -> LowSlices:
    return replace(LowSlices(origin="test.h5", key=KEYS, low=np.full((3, 4, 4), 5.0)), **changed)


def measured(estimates=None, **changed):
    restored = np.stack([np.full((4, 4), value) for value in (1.0, 2.0, 4.0)]).astype(np.float32)
    restored[2, 3, 3] = 7
    rows = regional_activity(estimates or {"single": restored}, reference(**changed), low())
    return {(row["estimate"], row["subject"], row["region"]): row for row in rows}


def test_means_are_over_the_pixels_of_all_slices_of_a_subject() -> None:
    found = measured()
    assert set(found) == {
        ("single", subject, region)
        for subject, region in [("04", "cortex"), ("04", "pons"), ("05", "cortex")]
        + [(subject, HEAD) for subject in ("04", "05")]
    }, "subject 05 has no pixel of the pons"
    cortex, pons = found["single", "04", "cortex"], found["single", "04", "pons"]
    assert (cortex["pixels"], cortex["restored"], cortex["label"]) == (8, (4 * 1 + 4 * 4) / 8, 1)
    assert (pons["pixels"], pons["restored"], pons["label"]) == (1, 7, 2)
    assert (cortex["low"], cortex["standard"], cortex["truth"]) == (5, 10, 20)
    assert found["single", "05", "cortex"]["restored"] == 2
    head = found["single", "04", HEAD]
    assert (head["pixels"], head["label"]) == (24, 0)
    assert head["restored"] == pytest.approx((12 * 1 + 11 * 4 + 7) / 24)


def test_each_estimate_has_rows_and_scans_no_truth() -> None:
    images = np.ones((3, 4, 4))
    found = measured({"single": images, "mean_of_2": 2 * images}, truth=None)
    assert found["mean_of_2", "05", "cortex"]["restored"] == 2
    assert {row["truth"] for row in found.values()} == {""}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"regions": None, "region_names": ()}, "test.h5: numbers no regions; leave its data set out"),
        ({"region_names": ["cortex"]}, r"go up to number 2, .* its names \['cortex'\]"),
        ({"regions": NONE[:, 1:]}, r"its regions \(3, 3, 4\) go"),
        ({"region_names": ["cortex", "cortex"]}, "must differ from each other and from 'head'"),
        ({"region_names": ["cortex", "head"]}, "must differ from each other and from 'head'"),
    ],
)
def test_regions_that_cannot_be_measured_are_refused(changed, message) -> None:
    with pytest.raises(InputError, match=message):
        measured(**changed)


def test_low_doses_that_are_not_finite_are_refused() -> None:
    broken = low()
    broken.low[1, 2, 2] = np.nan
    with pytest.raises(InputError, match=r"test\.h5:low: 1 of 3 slices .* '05_a'"):
        list(regional_activity({"single": np.ones((3, 4, 4))}, reference(), broken))
