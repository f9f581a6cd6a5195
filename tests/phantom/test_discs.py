"""Lesions of known place and size: their area, their places in white matter, what they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quietpet.config.realisations import LesionSetSettings
from quietpet.errors import InputError
from quietpet.geometry.grid import mmr_grid
from quietpet.phantom.discs import Disc, coverage, disc_numbers, paint_discs, place_discs
from quietpet.phantom.tissues import Tissue

GRID = mmr_grid(96)


def white_disc(radius_mm: float) -> np.ndarray:
    white = GRID.within_radius(radius_mm)
    return np.where(white, Tissue.WHITE_MATTER, Tissue.GREY_MATTER).astype(np.uint8)


def placed(labels, seed=0, **settings):
    return place_discs(
        labels,
        LesionSetSettings(**settings),
        grid=GRID,
        rng_of=lambda number: np.random.default_rng([seed, number]),
        where="slice 3",
    )


@pytest.mark.parametrize("radius_mm", [3.0, 5.0, 7.0, 10.0])
@pytest.mark.parametrize("refinement", [1, 2])
def test_a_disc_covers_its_area_around_its_centre(radius_mm, refinement):
    grid = GRID.refined(refinement)
    disc = Disc(number=1, radius_mm=radius_mm, contrast=1.0, centre_mm=(10.3, -21.7))
    covered = coverage(disc, grid=grid)
    assert covered.sum() * grid.pixel_mm**2 == pytest.approx(math.pi * radius_mm**2, rel=5e-3)
    assert covered.sum(1) @ grid.axis_mm / covered.sum() == pytest.approx(10.3, abs=0.05)
    assert covered.sum(0) @ grid.axis_mm / covered.sum() == pytest.approx(-21.7, abs=0.05)
    distance_mm = np.hypot(grid.axis_mm[:, None] - 10.3, grid.axis_mm + 21.7)
    assert (covered[distance_mm < radius_mm - grid.pixel_mm] == 1).all()
    assert (covered[distance_mm > radius_mm + grid.pixel_mm] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_lesions_lie_in_white_matter_and_apart(seed):
    labels = white_disc(60.0)
    discs = placed(labels, seed, radii_mm=(9.0, 6.0, 4.0), gap_mm=5.0)
    assert [(each.radius_mm, each.contrast) for each in discs] == [
        (radius, contrast) for radius in (9.0, 6.0, 4.0) for contrast in (1.0, -0.5)
    ]
    for disc in discs:
        assert (labels[coverage(disc, grid=GRID) > 0] == Tissue.WHITE_MATTER).all()
        for other in discs[: disc.number - 1]:
            apart_mm = math.dist(disc.centre_mm, other.centre_mm)
            assert apart_mm >= disc.radius_mm + other.radius_mm + 5.0


def test_a_lesion_that_is_added_moves_no_other():
    labels = white_disc(60.0)
    before = placed(labels, radii_mm=(9.0, 6.0))
    assert placed(labels, radii_mm=(9.0, 6.0, 4.0))[: len(before)] == before


def test_a_lesion_that_fits_nowhere_lies_deepest():
    (disc, *_) = placed(white_disc(8.0), radii_mm=(12.0,), contrasts=(1.0,))
    assert math.hypot(*disc.centre_mm) <= GRID.pixel_mm


def test_no_room_is_an_error_that_names_the_slice():
    with pytest.raises(InputError, match=r"slice 3: no white matter is left for lesion 2 of 2, of 5 mm"):
        placed(white_disc(8.0), radii_mm=(5.0,))
    with pytest.raises(InputError, match="no white matter is left for lesion 1"):
        placed(np.zeros((96, 96), np.uint8))


def test_paint_mixes_activities_by_area():
    disc = Disc(number=2, radius_mm=6.0, contrast=-0.5, centre_mm=(0.0, 0.0))
    activity = np.full((96, 96), 40.0, np.float32)
    painted = paint_discs(activity, [disc], white_matter=32.0, grid=GRID)
    lost = (activity - painted).sum() * GRID.pixel_mm**2
    assert lost == pytest.approx((40 - 16) * math.pi * 36, rel=5e-3)
    assert painted[48, 48] == 16
    assert activity.min() == 40  # the original stays
    assert set(np.unique(disc_numbers([disc], grid=GRID))) == {0, 2}
