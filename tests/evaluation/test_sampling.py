"""Quality of samples against closed forms, and what is chosen from it."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.data.pairs import DosePair
from quietpet.evaluation.sampling import SamplingPlan, SamplingRow, plan_of, quality, sampling_section
from quietpet.files.sections import render_markdown

SIDE, PEAK = 32, 80.0


def pair(level):
    """A head of one activity in the middle of the slice, with one pixel of PEAK."""
    head = np.zeros((SIDE, SIDE), bool)
    head[8:24, 8:24] = True
    standard = np.where(head, level, 0.0).astype(np.float32)
    standard[10, 10] = PEAK
    none = np.zeros((SIDE, SIDE), np.uint8)
    return DosePair(
        key="k", subject="a", slice_mm=0.0, angle_deg=0.0, low=standard, standard=standard, t1=standard,
        head=head, pet_lesions=none, t1_lesions=none, truth=None, scale=1.0, t1_scale=1.0,
        affine_ras_mm=np.eye(4),
    )  # fmt: skip


def row(sampler, evaluations, psnr_db, **changes):
    return SamplingRow(
        **{
            "dataset": "phantom", "setting": "low", "method": "m", "sampler": sampler,
            "spacing": "uniform", "steps": evaluations, "evaluations": evaluations, "psnr_db": psnr_db,
            "nmse": 0.1, "paper_psnr_db": 20.0, "paper_nmse": 0.1, "spread_percent": 3.0,
            "spread_to_error": 0.4, "seconds_per_sample": 1.0, **changes,
        }
    )  # fmt: skip


def test_quality_of_constant_errors_is_that_of_the_closed_form():
    pairs = [pair(40.0), pair(60.0)]
    errors = (2.0, 5.0)
    samples = [
        np.stack([np.where(each.head, each.standard + error, 0) for each in pairs]) for error in errors
    ]
    found = quality(samples, pairs, paper_window_pixels=SIDE)
    # The window of the variant is the box of the head, which here is all head.
    assert found.psnr_db == pytest.approx(np.mean([20 * np.log10(PEAK / e) for e in errors]), abs=1e-5)
    energy = [255 * level**2 + PEAK**2 for level in (40.0, 60.0)]
    expected = np.mean([256 * e**2 / total for e in errors for total in energy])
    assert found.nmse == pytest.approx(expected, rel=1e-5)
    # Two samples 3 apart have the standard deviation 3 / sqrt(2) in every pixel.
    activity = (255 * (40 + 60) + 2 * PEAK) / 512
    assert found.spread_percent == pytest.approx(100 * 3 / np.sqrt(2) / activity, rel=1e-5)
    # Their mean errs by 3.5, that of endless ones by the root of 3.5^2 - 4.5 / 2.
    assert found.spread_to_error == pytest.approx((4.5 / (3.5**2 - 4.5 / 2)) ** 0.5, rel=1e-5)
    assert row("ddim", 5, 29.0, spread_to_error=None).cells()["spread_to_error"] == ""


def test_the_fewest_evaluations_that_are_no_worse():
    rows = (
        row("ddpm", 1000, 30.00),
        row("ddim", 5, 29.85),
        row("ddim", 20, 29.92),
        row("dpmpp_2m", 15, 30.09),
        row("dpmpp_2m", 10, 29.88),
    )
    assert SamplingPlan(rows=rows, tolerance_db=0.1).no_worse == rows[3]
    assert SamplingPlan(rows=rows, tolerance_db=0.13).no_worse == rows[4]
    assert SamplingPlan(rows=rows, tolerance_db=0.05).no_worse == rows[3]
    assert SamplingPlan(rows=rows, tolerance_db=0.05).alike == rows[0]


def test_better_than_the_reference_is_no_worse_but_not_alike():
    """One step returns nearly the mean of all samples."""
    rows = (row("ddpm", 1000, 30.0), row("ddim", 1, 31.0), row("ddim", 3, 32.0), row("ddim", 50, 29.95))
    plan = SamplingPlan(rows=rows, tolerance_db=0.1)
    assert plan.choices == {"no_worse": rows[1], "alike": rows[3], "best": rows[2]}


def test_of_equal_cost_the_better_and_the_nearer_are_chosen():
    rows = (row("ddpm", 1000, 30.0), row("ddim", 20, 29.98), row("dpmpp_2m", 20, 30.05))
    plan = SamplingPlan(rows=rows, tolerance_db=0.1)
    assert (plan.no_worse, plan.alike) == (rows[2], rows[1])


def test_the_page_shows_every_row_and_what_to_configure():
    rows = (row("ddpm", 1000, 30.0), row("heun", 19, 29.98, steps=10, spacing="quadratic"))
    plan = SamplingPlan(rows=rows, tolerance_db=0.1)
    page = render_markdown(sampling_section([plan]))
    assert "{sampler: heun, sampling_steps: 10, spacing: quadratic}" in page
    assert "| heun | quadratic | 10 | 19 | 29.98 | -0.02 |" in page
    record = {"rows": [vars(each) for each in rows], "tolerance_db": 0.1}
    assert plan_of(record) == plan
