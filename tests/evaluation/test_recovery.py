"""Contrast recovery, background variability and bias and variance: closed forms, laws, signs."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quietpet.errors import InputError
from quietpet.evaluation.recovery import (
    LESION_COLUMNS,
    NAMED,
    NOISE_COLUMNS,
    error_parts,
    lesion_rows,
    noise_maps,
    noise_rows,
    recovery,
    require_realisations,
)
from quietpet.evaluation.recovery_figure import ShownMaps, draw_maps, draw_recovery
from quietpet.evaluation.recovery_section import recovery_section
from quietpet.evaluation.recovery_table import (
    FILTERS_MM,
    LESION_TABLE,
    LOW,
    NOISE_TABLE,
    STANDARD,
    bias_rows,
    measured_doses,
    recovery_rows,
    smoothed,
    typed,
)
from quietpet.files.realisations import Realisations
from quietpet.files.sections import render_markdown
from quietpet.phantom.tissues import Tissue

SIDE, COUNT = 24, 6
WHITE, GREY = 32.0, 96.0
CONTRASTS = {1: 1.0, 2: -0.5}
PLACES = {1: (8, 8), 2: (8, 15)}
RADIUS = 2.5


def disc(y, x, radius):
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return np.hypot(rows - y, columns - x) <= radius


def made_up(subjects=("04",), *, count=COUNT, low=None, standard=None, seed=0):
    """Slices of white matter in grey, with a hot and a cold lesion and without, ``count`` times each.

    The standard dose is the truth and the low dose has noise of 8 in the head, unless they are given.
    """
    head, white = disc(11.5, 11.5, 11), disc(11.5, 11.5, 9)
    labels = np.where(white, Tissue.WHITE_MATTER, np.where(head, Tissue.GREY_MATTER, 0)).astype(np.uint8)
    absent = np.where(white, WHITE, np.where(head, GREY, 0)).astype(np.float32)
    present, numbers = absent.copy(), np.zeros((SIDE, SIDE), np.uint8)
    for number, (y, x) in PLACES.items():
        inside = disc(y, x, RADIUS)
        present[inside], numbers[inside] = WHITE * (1 + CONTRASTS[number]), number
    names = [
        (subject, lesion_set, draw)
        for subject in subjects
        for lesion_set in ("absent", "present")
        for draw in range(count)
    ]
    rows = len(names)
    truth = np.stack([present if lesion_set == "present" else absent for _, lesion_set, _ in names])
    noise = np.random.default_rng(seed).normal(0, 8, truth.shape)
    lesion = {"slice_index": 73, "lesion_set": "present", "radius_mm": 5.0}
    return Realisations(
        origin="data.h5", dataset="phantom", setting="low",
        lineage={"data_source": "template", "projector": "embedded"},
        pixel_mm=2.0, units={"truth": "relative activity"},
        key=[f"{subject}/z073/r0/{lesion_set}/n{draw:03d}" for subject, lesion_set, draw in names],
        subject=[subject for subject, _, _ in names],
        slice_mm=np.zeros(rows), angle_deg=np.zeros(rows), has_t1=np.ones(rows, bool),
        slice_index=np.full(rows, 73),
        lesion_set=[lesion_set for _, lesion_set, _ in names],
        realisation=np.array([draw for *_, draw in names]),
        lesions=[
            {**lesion, "subject": subject, "number": number, "contrast": contrast,
             "centre_yx": PLACES[number]}
            for subject in subjects
            for number, contrast in CONTRASTS.items()
        ],
        truth=truth,
        standard=truth.copy() if standard is None else standard,
        low=(truth + noise * head).astype(np.float32) if low is None else low,
        t1=truth.copy(), head=np.repeat(head[None].astype(np.uint8), rows, 0),
        labels=np.repeat(labels[None], rows, 0),
        pet_lesions=np.stack(
            [numbers if lesion_set == "present" else 0 * numbers for _, lesion_set, _ in names]
        ),
        t1_lesions=np.zeros((rows, SIDE, SIDE), np.uint8),
    )  # fmt: skip


# One lesion


@pytest.mark.parametrize("contrast", [2.0, 1.0, 0.25, -0.5, -1.0])
@pytest.mark.parametrize("kept", [1.0, 0.6, 0.0, -0.4])
def test_recovery_is_the_kept_part_of_the_contrast_of_either_sign(contrast, kept):
    """Whatever a method does to the scale: 0.7 of all activity here."""
    present = np.full(5, 0.7 * WHITE * (1 + kept * contrast))
    absent = np.full(5, 0.7 * WHITE)
    found = recovery(present, absent, true_present=WHITE * (1 + contrast), true_absent=WHITE)
    assert found.crc == pytest.approx(kept)
    assert found.true_contrast == pytest.approx(contrast)
    assert found.mean_contrast == pytest.approx(kept * contrast)
    assert found.crc_se == pytest.approx(0, abs=1e-12)
    assert found.background_variability == pytest.approx(0, abs=1e-12)
    assert found.realisations == 5


def test_recovery_of_means_and_the_spread_of_the_background():
    found = recovery(np.array([50.0, 70.0]), np.array([30.0, 34.0]), true_present=64.0, true_absent=32.0)
    assert found.crc == pytest.approx(60 / 32 - 1)
    assert found.background_variability == pytest.approx(math.sqrt(8) / 32)
    relative = math.hypot(math.sqrt(200 / 2) / 60, math.sqrt(8 / 2) / 32)
    assert found.crc_se == pytest.approx(60 / 32 * relative)


def test_the_standard_error_is_the_spread_of_repeated_studies():
    rng = np.random.default_rng(3)
    studies = [
        recovery(rng.normal(55, 6, 20), rng.normal(32, 3, 20), true_present=64.0, true_absent=32.0)
        for _ in range(2000)
    ]
    spread = np.std([each.crc for each in studies], ddof=1)
    assert np.mean([each.crc_se for each in studies]) == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize(
    ("present", "absent", "true_present", "true_absent"),
    [(10.0, 10.0, 32.0, 32.0), (10.0, 0.0, 64.0, 32.0), (10.0, 10.0, 64.0, 0.0)],
    ids=["no contrast", "no activity left", "no true activity"],
)
def test_a_recovery_that_is_not_defined_is_nan(present, absent, true_present, true_absent):
    found = recovery(
        np.full(3, present), np.full(3, absent), true_present=true_present, true_absent=true_absent
    )
    assert math.isnan(found.crc)


# Bias and variance


@pytest.fixture
def noisy():
    rng = np.random.default_rng(7)
    truth = rng.uniform(10, 50, (9, 9))
    bias = rng.normal(0, 3, (9, 9))
    return truth, bias, rng


def test_the_parts_of_the_error_add_up_and_are_those_of_each_pixel(noisy):
    truth, bias, rng = noisy
    images = truth + bias + rng.normal(0, 4, (7, 9, 9))
    region = rng.random((9, 9)) > 0.3
    found = error_parts(images, truth, region)
    assert found.mse == pytest.approx(found.bias_squared + found.variance, rel=1e-12)
    assert found.mse == pytest.approx(((images - truth) ** 2)[:, region].mean())
    variance = images.var(axis=0, ddof=1)
    squared = (images.mean(axis=0) - truth) ** 2 - variance / 7
    assert found.variance == pytest.approx(variance[region].mean())
    assert found.bias_squared == pytest.approx(squared[region].mean())
    assert found.mean_bias == pytest.approx((images.mean(axis=0) - truth)[region].mean())


def test_few_realisations_neither_inflate_the_bias_nor_shrink_the_variance(noisy):
    """Means over 3000 sets of three are those of the law; plain squared bias would be 33 % too large."""
    truth, bias, rng = noisy
    whole = np.ones(truth.shape, bool)
    found = [error_parts(truth + bias + rng.normal(0, 4, (3, 9, 9)), truth, whole) for _ in range(3000)]
    assert np.mean([each.variance for each in found]) == pytest.approx(16, rel=0.01)
    expected = np.square(bias).mean()
    assert np.mean([each.bias_squared for each in found]) == pytest.approx(expected, rel=0.02)


def test_maps_are_mean_less_truth_and_sample_deviation():
    data = made_up(("04", "05"))
    bias, deviation = noise_maps(data.low, data)
    assert bias.shape == (4, SIDE, SIDE)
    for row, rows in enumerate(data.twins.values()):
        np.testing.assert_allclose(bias[row], data.low[rows].mean(0) - data.truth[rows[0]], atol=1e-4)
        np.testing.assert_allclose(deviation[row], data.low[rows].std(0, ddof=1), atol=1e-4)


# Rows of images


def of_lesions(images, data):
    return typed(
        [{**dict.fromkeys(NAMED, "-"), **row} for row in lesion_rows(images, data)], LESION_TABLE
    )


def test_what_methods_make_of_lesions_is_told_by_sign():
    data = made_up()
    absent = data.truth[0]
    painted = data.truth - absent
    for method, kept in (
        (data.truth, (1, 1)),
        (absent + 0 * data.truth, (0, 0)),
        (absent - painted, (-1, -1)),
        (absent + np.maximum(painted, 0), (1, 0)),
        (absent + np.minimum(painted, 0), (0, 1)),
    ):
        rows = of_lesions(method, data)
        np.testing.assert_allclose(rows["crc"], kept, atol=1e-6)
        np.testing.assert_allclose(rows["background_variability"], 0, atol=1e-6)
    assert list(rows["contrast"]) == [1.0, -0.5]
    np.testing.assert_allclose(rows["true_contrast"], [1.0, -0.5])
    assert set(rows.columns) == {*NAMED, *LESION_COLUMNS}


def test_background_variability_of_white_noise_falls_with_the_root_of_the_pixels():
    data = made_up(count=400)
    rows = of_lesions(data.low, data)
    pixels = disc(*PLACES[1], RADIUS).sum()
    assert list(rows["pixels"]) == [pixels, pixels]
    expected = 8 / math.sqrt(pixels) / WHITE
    np.testing.assert_allclose(rows["background_variability"], expected, rtol=0.1)
    np.testing.assert_allclose(rows["crc"], 1, atol=0.06)


def test_noise_of_regions_is_relative_to_their_truth():
    data = made_up(count=400)
    biased = data.low + 3.2 * data.head
    rows = list(noise_rows(biased, data))
    assert set(rows[0]) == set(NOISE_COLUMNS)
    assert {row["region"] for row in rows} == {"head", "grey matter", "white matter"}
    of = {row["region"]: row for row in rows if row["lesion_set"] == "absent"}
    for region, mean in (("white matter", WHITE), ("grey matter", GREY)):
        assert float(of[region]["mean_bias"]) == pytest.approx(3.2 / mean, rel=0.05)
        assert float(of[region]["variance"]) == pytest.approx(64 / mean**2, rel=0.02)
        assert float(of[region]["bias_squared"]) == pytest.approx(3.2**2 / mean**2, rel=0.05)


def test_realisations_that_cannot_be_measured_are_refused():
    data = made_up()
    require_realisations(data)
    bad = data.low.copy()
    bad[3, 2, 2] = np.nan
    with pytest.raises(InputError, match=r"data\.h5:low: 1 of 12 slices hold values that are not"):
        require_realisations(replace(data, low=bad))
    with pytest.raises(InputError, match="has one realisation of subject 04, slice 73, lesions"):
        require_realisations(made_up(count=1))
    with pytest.raises(InputError, match="lacks the slice 73 of subject 04 without lesions"):
        require_realisations(replace(data, lesion_set=["present"] * 12))


# Tables


def measured(data, methods):
    """Rows of both tables of ``methods`` (images by name), and of the doses."""
    named = {**dict.fromkeys(NAMED, "-"), "dataset": "phantom", "setting": "low", "estimate": "single"}
    lesions, noise = measured_doses(data, also_low="lpet" not in methods)
    for name, images in methods.items():
        own = {**named, "method": name, "replicate": "r0"}
        found = typed([{**own, **row} for row in lesion_rows(images, data)], LESION_TABLE)
        lesions = pd.concat([lesions, found.assign(post_fwhm_mm=0.0)])
        found = typed([{**own, **row} for row in noise_rows(images, data)], NOISE_TABLE)
        noise = pd.concat([noise, found])
    return lesions, noise


@pytest.fixture(scope="module")
def data():
    return made_up(("04", "05", "06"))


@pytest.fixture(scope="module")
def tables(data):
    lesions, noise = measured(data, {"lpet": data.low, "half": data.truth * 0.5})
    methods = ["half", "lpet"]
    return recovery_rows(lesions, methods=methods), bias_rows(noise, methods=methods)


def test_rows_are_means_over_subjects_in_the_order_of_the_study(data, tables):
    recovery, _ = tables
    plain = [row for row in recovery if not row.post_fwhm_mm]
    assert [row.method for row in plain] == [STANDARD] * 2 + ["half"] * 2 + ["lpet"] * 2
    single = of_lesions(data.low, data)
    hot = single[single["contrast"] > 0]
    row = plain[4]
    assert (row.kind, row.radius_mm, row.n_lesions, row.n_subjects, row.realisations) == (
        "hot", 5.0, 3, 3, COUNT,
    )  # fmt: skip
    assert row.crc == pytest.approx(hot["crc"].mean(), rel=1e-5)
    assert row.crc_std == pytest.approx(hot["crc"].std(ddof=1), rel=1e-4)
    assert row.crc_se == pytest.approx(np.sqrt((hot["crc_se"] ** 2).sum()) / 3, rel=1e-5)
    background = 100 * hot["background_variability"].mean()
    assert row.background_variability_percent == pytest.approx(background, rel=1e-5)
    assert plain[0].crc == pytest.approx(1)
    assert plain[2].crc == pytest.approx(1)  # half of everything keeps its contrast
    assert {row.data_source for row in plain if row.method == STANDARD} == {"template"}


def test_filters_of_the_low_dose_are_a_curve_beside_the_methods(data, tables):
    recovery, _ = tables
    curve = [row for row in recovery if row.post_fwhm_mm and row.kind == "hot"]
    assert [row.post_fwhm_mm for row in curve] == list(FILTERS_MM)
    assert {row.method for row in curve} == {LOW}
    for less, more in itertools.pairwise(curve):
        assert more.crc < less.crc
        assert more.background_variability_percent < less.background_variability_percent
    flat = replace(data, low=np.ones_like(data.low))
    middle = smoothed(flat, 2.0)[0, SIDE // 2, SIDE // 2]
    assert middle == pytest.approx(1, abs=1e-3)


def test_errors_in_the_table_add_up_as_squares(tables):
    _, noise = tables
    for row in noise:
        assert row.rmse_percent**2 == pytest.approx(row.bias_percent**2 + row.sd_percent**2, rel=1e-3)
    halves = {row.region: row for row in noise if row.method == "half"}
    assert halves["head"].mean_bias_percent == pytest.approx(-50)
    assert halves["white matter"].bias_percent == pytest.approx(50)
    assert halves["white matter"].sd_percent == pytest.approx(0, abs=1e-2)
    assert halves["head"].n_subjects == 3


def test_the_low_dose_has_a_row_unless_it_is_a_method(data):
    lesions, noise = measured(data, {"half": data.truth * 0.5})
    rows = recovery_rows(lesions, methods=["half"])
    assert [row.method for row in rows if not row.post_fwhm_mm] == [
        STANDARD, STANDARD, LOW, LOW, "half", "half",
    ]  # fmt: skip
    assert {row.method for row in bias_rows(noise, methods=["half"])} == {STANDARD, LOW, "half"}


def test_unknown_methods_and_slices_measured_twice_are_refused(data):
    lesions, noise = measured(data, {"half": data.truth})
    for make, rows in ((recovery_rows, lesions), (bias_rows, noise)):
        with pytest.raises(InputError, match="restored by 'half', which is no method of this study"):
            make(rows, methods=["unet"])
        with pytest.raises(InputError, match="phantom/low, standard dose: subject 04, slice 73 is"):
            make(pd.concat([rows, rows]), methods=["half"])


def test_cells_are_plain_numbers(tables):
    for row in (*tables[0], *tables[1]):
        assert all(value != "nan" for value in row.cells().values())


# What is shown


def test_the_section_tells_of_doses_methods_and_few_realisations(tables):
    section = recovery_section(*tables, low_dose=["lpet"], figures=())
    assert "Only 6 realisations" in section.warnings[0]
    assert "Hot lesions of 5 mm keep 1.00 of their contrast at the standard dose, " in section.summary
    text = render_markdown(section)
    assert "| half | - | single | 1.00 ± 0.00 |" in text
    assert "Variant `white matter`" in text
    enough = [replace(row, realisations=20) for row in tables[1]]
    assert not recovery_section(tables[0], enough, low_dose=["lpet"], figures=()).warnings


def test_points_beside_the_filter_line_and_the_least_error_are_not_told_as_tests(tables):
    section = recovery_section(*tables, low_dose=["lpet"], figures=())
    assert "With the first training of each method, in these 3 slices of 3 subjects" in section.summary
    (half,) = [row for row in tables[1] if (row.method, row.region) == ("half", "head")]
    told = f"The method of least RMSE here, `half`, is {half.rmse_percent:.1f} ± 0.0 % from the truth"
    assert told in section.summary
    assert "not tested against each other" in section.summary
    notes = " ".join(section.notes)
    assert "lies beyond the filter line" in notes
    assert "uncertain by 32%" in notes  # six realisations: 1 / sqrt(10)
    assert "first training alone" in notes
    assert not re.search(r"\b(better|worse|best|nearest)\b", render_markdown(section))
    both = [replace(tables[1][0], method="half", learning=each, region="head") for each in "ab"]
    named = recovery_section(tables[0], both, low_dose=["lpet"], figures=()).summary
    assert "The method of least RMSE here, `half` (a)," in named


@pytest.mark.parametrize("slices", [(1, 1, 1), (1, 2, 3)])
def test_the_standard_error_of_the_rmse_is_over_subjects(tables, data, slices):
    """Against the jackknife over subjects, which knows no formula of the mean or its root."""
    _, noise = measured(data, {"half": data.truth * 0.5})
    plain = noise[(noise["method"] == "half") & (noise["lesion_set"] == "absent")]
    first = plain[plain["region"] == "head"].iloc[0]
    made = pd.DataFrame(
        [
            {**first, "subject": f"{subject:02}", "slice_index": index,
             "mse": 0.04 * (1 + 0.002 * subject + 0.001 * index)}
            for subject in range(30) for index in range(slices[subject % 3])
        ]
    )  # fmt: skip
    (row,) = bias_rows(made, methods=["half"])
    left = np.array(
        [np.sqrt(made[made["subject"] != each]["mse"].mean()) for each in made["subject"].unique()]
    )
    jackknife = 100 * np.sqrt(29 / 30 * ((left - left.mean()) ** 2).sum())
    assert row.rmse_se_percent == pytest.approx(jackknife, rel=0.03)
    (alone,) = bias_rows(made[made["subject"] == "02"], methods=["half"])
    assert alone.rmse_se_percent is None


def test_a_method_with_two_trainings_is_refused(tables, data):
    lesions, noise = measured(data, {"half": data.truth})
    for make, rows in ((recovery_rows, lesions), (bias_rows, noise)):
        again = rows[rows["method"] == "half"].assign(replicate="r1")
        with pytest.raises(InputError, match=r"phantom/low: half .* trainings r0 and r1"):
            make(pd.concat([rows, again]), methods=["half"])
    for place in (0, 1):
        rows = [list(each) for each in tables]
        rows[place].append(replace(rows[place][-1], replicate="r1"))
        with pytest.raises(InputError, match=r"lpet .* trainings r0 and r1"):
            recovery_section(*rows, low_dose=["lpet"], figures=())


def test_every_method_has_a_mark_of_its_own(tables):
    many = [f"m{number}" for number in range(25)]
    rows = [replace(tables[0][0], method=name) for name in many]
    figure = draw_recovery(rows, methods=many)
    marks = {
        (line.get_color(), line.get_marker())
        for axis in figure.axes
        for line in axis.get_lines()
        if str(line.get_marker()) not in ("None", "", ".")
    }
    assert len(marks) == 25


def test_maps_share_one_scale_for_bias_and_one_for_noise(data):
    bias, deviation = noise_maps(data.low, data)
    shown = ShownMaps(
        truth=data.truth[0], head=data.head[0], unit="kBq/ml",
        bias={"low dose": bias[0], "none": 0 * bias[0]},
        deviation={"low dose": deviation[0], "none": 0 * deviation[0]},
    )  # fmt: skip
    figure = draw_maps(shown)
    images = [axis.images[0].get_clim() for axis in figure.axes if axis.images][1:]
    low, high = images[0]
    assert images[:2] == [(low, high)] * 2
    assert low == -high
    assert images[2] == images[3]
    assert images[2][0] == 0
    labels = {axis.get_ylabel() for axis in figure.axes}
    assert {"bias [kBq/ml]", "standard deviation [kBq/ml]"} <= labels
