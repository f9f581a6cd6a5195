"""`quietpet check projector` accepts what is right, and refuses what is wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import SCANNERS, siemens_mmr, small_test
from quietpet.projection.embedded import embedded_projector
from quietpet.recon.agreement import (
    Engine,
    Finding,
    against_closed_forms,
    between_engines,
    closed_form_sensitivity,
    equal_subsets,
    head_case,
    unequal_subsets,
)
from quietpet.recon.osem import osem


def embedded(scanner, grid, *, rays=1):
    return Engine(projector=embedded_projector(scanner, grid, rays=rays), osem=osem)


def verdicts(findings):
    return {finding.quantity: finding.passed for finding in findings}


@pytest.mark.parametrize("model", SCANNERS)
def test_the_embedded_engine_agrees_with_closed_forms(model):
    """Noise outside the head, the last finding, takes long: with one real scanner and the small one."""
    case = head_case(SCANNERS[model]())
    quantities = ["forward", "attenuation", "sensitivity", "OSEM"]
    if model in ("siemens_mmr", "small_test"):
        quantities.append("noise outside")
    findings = against_closed_forms(case, embedded(case.scanner, case.grid))
    found = verdicts(itertools.islice(findings, len(quantities)))
    assert found == dict.fromkeys(quantities, True)


def test_a_shift_by_a_pixel_is_found():
    case = head_case(small_test())
    shifted = replace(case, activity=torch.roll(case.activity, 1, -1))
    found = verdicts(against_closed_forms(shifted, embedded(case.scanner, case.grid)))
    assert not found["forward"]


def test_another_pixel_size_is_found():
    case = head_case(siemens_mmr())
    grid = ImageGrid(
        n_slices=127, n_pixels=case.grid.n_pixels, slice_mm=2.03125, pixel_mm=2.08626 * 1.03
    )
    findings = against_closed_forms(case, embedded(case.scanner, grid))
    found = verdicts(itertools.islice(findings, 3))
    assert not found["forward"]
    assert not found["sensitivity"]


def test_the_same_engine_twice_agrees_and_other_rays_do_not():
    case = head_case(small_test())
    first, other = (embedded(case.scanner, case.grid, rays=rays) for rays in (1, 3))
    same = verdicts(between_engines(case, first, first))
    compared = (
        "forward", "attenuation", "sensitivity", "OSEM, 7 subsets", "OSEM, 8 subsets", "noisy OSEM"
    )  # fmt: skip
    assert same == dict.fromkeys((*compared, "noise outside"), True)
    different = verdicts(between_engines(case, first, other))
    assert different == {**dict.fromkeys(compared, False), "noise outside": True}


def test_hot_corners_are_found():
    """An OSEM that leaves its start image where no line crosses: the check is of the whole image."""
    case = head_case(small_test())
    engine = embedded(case.scanner, case.grid)

    def with_hot_corners(prompts, model, **settings):
        image = osem(prompts, model, **settings)
        return torch.where(model.projector.adjoint(model.multiplicative) > 0, image, 1e4)

    wrong = replace(engine, osem=with_hot_corners)
    assert not verdicts(against_closed_forms(case, wrong))["noise outside"]
    assert not verdicts(between_engines(case, engine, wrong))["noise outside"]


@pytest.mark.parametrize(
    ("n_views", "equal", "unequal"), [(252, 7, 8), (399, 7, 8), (224, 7, 9), (84, 7, 8)]
)
def test_both_kinds_of_subsets_are_tried(n_views, equal, unequal):
    assert (equal_subsets(n_views), unequal_subsets(n_views)) == (equal, unequal)


def test_not_a_number_fails():
    finding = Finding(quantity="OSEM", difference=float("nan"), tolerance=1.0, seconds=(0.0,))
    assert not finding.passed


def test_sensitivity_in_the_centre_is_views_per_bin():
    """On the axis every view has bins of R pi / N: 252 p N / (pi R)."""
    case = head_case(siemens_mmr())
    centre = closed_form_sensitivity(case.scanner, case.grid)[
        case.grid.centre_index, case.grid.centre_index
    ]
    assert centre == pytest.approx(252 * 2.08626 * 504 / (np.pi * 335.0))
