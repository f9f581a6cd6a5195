"""Detection in made-up realisations whose best rating is known, and by methods that lose lesions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from known_lesions import LESIONS, realisations
from scipy import stats

from quietpet.config.observers import ChannelSettings
from quietpet.config.realisations import ABSENT
from quietpet.errors import InputError
from quietpet.evaluation.auc import gaussian_area
from quietpet.evaluation.detection import DetectionPlan, DetectionRow, detection_rows
from quietpet.evaluation.ratings import (
    LESION,
    NOTHING,
    RATING_COLUMNS,
    Place,
    places_of,
    rating_rows,
)
from quietpet.files.realisations import Realisations

SETTINGS = ChannelSettings()
PLAN = DetectionPlan(
    methods=("lpet", "good", "blind"), compare_with="lpet", confidence=0.95, observers="o", protocol="p"
)


def ratings_of(images: Mapping[str, np.ndarray], held: Realisations) -> pd.DataFrame:
    """What the observers say of the images of several methods."""
    places = places_of(held, SETTINGS)
    rows = [
        {"dataset": "phantom", "setting": "low", "image": "restored", "method": method,
         "learning": "own", "replicate": "r0", **row}
        for method, restored in images.items()
        for row in rating_rows({"single": restored}, places)
    ]  # fmt: skip
    assert {*rows[0]} == {*RATING_COLUMNS}
    return pd.DataFrame(rows)


def found(rows: list[DetectionRow], method: str, **wanted: Any) -> DetectionRow:
    wanted = {"observer": "hotelling", "sought": LESION, "contrast": 1.0, "radius_mm": None, **wanted}
    (row,) = [
        row
        for row in rows
        if row.method == method and all(getattr(row, name) == value for name, value in wanted.items())
    ]
    return row


@pytest.fixture(scope="module")
def many() -> tuple[Realisations, list[DetectionRow]]:
    held = realisations(300, amplitude=0.5)
    return held, detection_rows(ratings_of({"lpet": held.low}, held), PLAN)


@pytest.mark.parametrize("observer", ["hotelling", "matched_filter"])
@pytest.mark.parametrize(("radius_mm", "contrast"), [(7.0, 1.0), (5.0, 1.0), (5.0, -0.5)])
def test_many_realisations_reach_what_the_channels_let_through(
    many, observer, radius_mm, contrast
) -> None:
    """White noise: d' = |U s|, U the orthonormal channels inside their mask; hot and cold alike."""
    held, rows = many
    (place,) = [
        place
        for place in places_of(held, SETTINGS)
        if (place.lesion.radius_mm, place.lesion.contrast) == (radius_mm, contrast)
    ]
    signal = held.truth[-1] - held.truth[0]
    seen = np.tensordot(signal[place.window], place.basis, axes=((0, 1), (1, 2)))
    expected = float(gaussian_area(np.linalg.norm(seen)))
    row = found(rows, "lpet", observer=observer, radius_mm=radius_mm, contrast=contrast)
    assert 0.6 < expected < 0.99
    # 150 images of each class train 4 channels: the trained template is a little worse than the best.
    assert row.auc == pytest.approx(expected, abs=0.01 + 3 * row.standard_error)
    assert row.ci_low < row.auc < row.ci_high
    assert row.n_realisations == 300


@pytest.mark.parametrize("observer", ["hotelling", "matched_filter"])
def test_without_a_lesion_the_area_is_a_half(many, observer) -> None:
    row = found(many[1], "lpet", observer=observer, sought=NOTHING, contrast=None)
    assert row.ci_low < 0.5 < row.ci_high
    assert row.standard_error < 0.05
    assert row.n_lesions == 3


def test_a_method_that_wipes_lesions_out_is_worse_and_one_that_takes_off_noise_is_not() -> None:
    held = realisations(20, subjects=("04", "05", "06"), amplitude=0.35)
    noise = held.low - held.truth
    images = {
        "lpet": held.low,
        "good": held.truth + 0.2 * noise,
        "blind": 100.0 + 0.2 * noise,
        "scaled": 7.0 * held.low,
    }
    rows = detection_rows(ratings_of(images, held), PLAN)
    low, good, blind = (found(rows, method) for method in ("lpet", "good", "blind"))
    assert good.auc > low.auc + 0.03
    assert good.verdict == "higher area here"
    assert blind.verdict == "lower area here"
    assert blind.ci_low < 0.5 < blind.ci_high
    assert low.verdict == low.compared_with == ""
    assert (good.compared_with, good.difference) == ("lpet", pytest.approx(good.auc - low.auc))
    same = found(rows, "scaled")
    assert (same.auc, same.difference) == (pytest.approx(low.auc), pytest.approx(0.0))
    assert (same.p, same.verdict) == (None, "no difference shown")
    assert (low.n_subjects, low.n_slices, low.n_lesions) == (3, 3, 6)
    assert 0 <= low.subject_ci_low <= low.auc <= low.subject_ci_high <= 1
    assert low.difference_subject_ci_low is None
    assert (same.difference_subject_ci_low, same.difference_subject_ci_high) == pytest.approx((0, 0))
    names = [row.method for row in rows if (row.observer, row.radius_mm) == ("hotelling", 7.0)]
    assert names == ["lpet", "good", "blind", "scaled"]


def test_the_difference_has_students_interval_over_subjects() -> None:
    """Each subject is one value, the difference of its areas; of two subjects there is none."""
    held = realisations(12, subjects=("04", "05", "06"), amplitude=0.3)
    rng = np.random.default_rng(5)
    images = {"lpet": held.low, "good": held.low + 2 * rng.standard_normal(held.low.shape)}
    ratings = ratings_of(images, held)
    row = found(detection_rows(ratings, PLAN), "good")
    each = [
        found(detection_rows(ratings[ratings.subject == subject], PLAN), "good").difference
        for subject in ("04", "05", "06")
    ]
    expected = stats.t.interval(0.95, 2, loc=np.mean(each), scale=stats.sem(each))
    ends = (row.difference_subject_ci_low, row.difference_subject_ci_high)
    assert ends == pytest.approx((max(expected[0], -1.0), min(expected[1], 1.0)))
    two = found(detection_rows(ratings[ratings.subject != "04"], PLAN), "good")
    assert two.difference_subject_ci_low is two.difference_subject_ci_high is None


def test_a_method_with_two_trainings_is_refused() -> None:
    held = realisations(8)
    ratings = ratings_of({"lpet": held.low, "good": held.low}, held)
    again = ratings[ratings.method == "good"].assign(replicate="r1")
    with pytest.raises(InputError, match=r"phantom/low: good .* trainings r0 and r1"):
        detection_rows(pd.concat([ratings, again]), PLAN)


def test_reading_the_same_images_makes_a_difference_more_certain() -> None:
    """Two methods whose noise is the same but for a little: their areas go together."""
    held = realisations(20, amplitude=0.3)
    rng = np.random.default_rng(1)
    images = {"lpet": held.low, "good": held.low + 0.1 * rng.standard_normal(held.low.shape)}
    rows = detection_rows(ratings_of(images, held), PLAN)
    low, good = found(rows, "lpet"), found(rows, "good")
    apart = np.hypot(low.standard_error, good.standard_error)
    assert good.difference_standard_error < 0.5 * apart
    assert good.difference_ci_high - good.difference_ci_low < 0.6 * 2 * 1.96 * apart


def test_a_lesion_beside_another_is_not_found_in_its_place() -> None:
    """The strong neighbour is there whenever the faint one is; its pixels are not looked at."""
    beside = ((5.0, 0.01, (32.0, 26.0)), (5.0, 20.0, (32.0, 34.0)))
    held = realisations(20, lesions=beside)
    rows = detection_rows(ratings_of({"lpet": held.low}, held), PLAN)
    faint, strong = (found(rows, "lpet", contrast=contrast) for contrast in (0.01, 20.0))
    assert faint.ci_low < 0.5 < faint.ci_high
    assert strong.auc == 1.0
    assert (faint.ci_high - faint.ci_low) > (strong.ci_high - strong.ci_low) > 0


def test_lesion_sets_of_a_slice_share_the_images_without_lesions() -> None:
    """Two sets of a slice are no two slices: their mean is as uncertain as they are."""
    sets = {"one": LESIONS[:1], "other": [(7.0, 1.0, (44.0, 44.0))]}
    held = realisations(20, sets=sets, amplitude=0.3)
    rows = detection_rows(ratings_of({"lpet": held.low}, held), PLAN)
    both = found(rows, "lpet")
    assert (both.n_slices, both.n_lesions, both.n_realisations) == (1, 2, 20)
    alone = []
    for name, members in sets.items():
        rating = ratings_of({"lpet": held.low}, held)
        row = found(detection_rows(rating[rating.lesion_set == name], PLAN), "lpet")
        assert (row.n_slices, row.n_lesions) == (1, len(members))
        alone.append(row)
    assert both.auc == pytest.approx(np.mean([row.auc for row in alone]))
    assert both.standard_error == pytest.approx(np.mean([row.standard_error for row in alone]))
    apart = realisations(20, lesions=LESIONS[:1], slices=(50, 60), amplitude=0.3)
    twice = found(detection_rows(ratings_of({"lpet": apart.low}, apart), PLAN), "lpet")
    assert twice.n_slices == 2
    assert twice.standard_error < both.standard_error


def test_a_method_of_several_ways_to_learn_is_compared_with_the_same_way() -> None:
    held = realisations(8, amplitude=0.3)
    parts = []
    for learning in ("external", "mixed"):
        ratings = ratings_of({"lpet": held.low, "good": held.low}, held)
        parts.append(ratings.assign(learning=learning))
    worse = parts[1].copy()
    worse.loc[worse.method == "lpet", "rating"] *= -1.0
    rows = detection_rows(pd.concat([parts[0], worse]), PLAN)
    same, turned = (found(rows, "good", learning=each) for each in ("external", "mixed"))
    assert same.difference == pytest.approx(0.0)
    assert turned.difference == pytest.approx(2 * turned.auc - 1)


def test_the_mean_of_several_samples_is_a_row_of_its_own() -> None:
    held = realisations(8, amplitude=0.3)
    places = places_of(held, SETTINGS)
    images = {"single": held.low, "mean_of_4": held.truth + 0.5 * (held.low - held.truth)}
    about = {"dataset": "phantom", "setting": "low", "image": "restored", "method": "good",
             "learning": "own", "replicate": "r0"}  # fmt: skip
    sampled = pd.DataFrame([{**about, **row} for row in rating_rows(images, places)])
    rows = detection_rows(pd.concat([ratings_of({"lpet": held.low}, held), sampled]), PLAN)
    single, mean = (found(rows, "good", estimate=each) for each in images)
    assert mean.auc > single.auc
    assert [row.estimate for row in rows if row.radius_mm == 7.0][:3] == [
        "single",
        "single",
        "mean_of_4",
    ]


def test_few_realisations_are_refused_and_the_check_needs_more(monkeypatch) -> None:
    with pytest.raises(
        InputError, match=r"realisations\.h5: 3 realisations .* set realisations\.count to 8"
    ):
        places_of(realisations(3), SETTINGS)
    held = realisations(6)
    assert {row["sought"] for row in rating_rows({"single": held.low}, places_of(held, SETTINGS))} == {
        LESION
    }


def test_a_lesion_at_the_edge_of_the_image_is_looked_for_in_what_there_is() -> None:
    held = realisations(20, lesions=((5.0, 1.0, (2.0, 61.0)),))
    (place,) = places_of(held, SETTINGS)
    assert place.window == (slice(0, 11), slice(53, 64))
    row = found(detection_rows(ratings_of({"lpet": held.low}, held), PLAN), "lpet")
    assert row.auc > 0.9


def test_methods_read_in_other_realisations_are_not_compared() -> None:
    first, second = realisations(8), realisations(10)
    ratings = pd.concat(
        [ratings_of({"lpet": first.low}, first), ratings_of({"good": second.low}, second)]
    )
    with pytest.raises(
        InputError, match="slice 50 of subject '04': lpet was read in other realisations"
    ):
        detection_rows(ratings, PLAN)


def test_nothing_is_sought_in_images_without_lesions_alone() -> None:
    held = realisations(8)
    place: Place = places_of(held, SETTINGS)[0]
    shown = np.where(np.array(held.lesion_set) == ABSENT, 1.0, np.nan)[:, None, None] * np.ones(
        (1, 64, 64)
    )
    pair = place.pair(shown, NOTHING)
    assert len(pair.present) == len(pair.absent) == 4
    assert np.isfinite(pair.present).all()
    assert np.isfinite(pair.absent).all()
