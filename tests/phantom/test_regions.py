"""Brain regions: where they lie, how much uptake they have and lose, and that nothing else changes."""

from __future__ import annotations

from dataclasses import fields
from functools import partial

import numpy as np
import pytest
from heads import cylinder

from quietpet.config.phantoms import (
    FB_SEM_ACTIVITY,
    FB_SEM_MU_PER_CM,
    FB_SEM_T1,
    LesionSettings,
    TemplateSettings,
)
from quietpet.config.regions import REGION_NAMES, DiseaseSettings, RegionalReductions, RegionSettings
from quietpet.geometry.grid import mmr_grid
from quietpet.phantom.brainweb import read_volume
from quietpet.phantom.lesions import draw_lesions
from quietpet.phantom.maps import phantom_of
from quietpet.phantom.regions import (
    EDGE_MM,
    ELLIPSOIDS,
    RegionalUptake,
    draw_uptake,
    region_numbers,
    slices_through,
)
from quietpet.phantom.resample import mni_mm, sample_nearest
from quietpet.phantom.template import load_template, template_volume
from quietpet.phantom.tissues import LabelVolume, Tissue
from quietpet.seeds import numpy_rng

GRID = mmr_grid(128)
GREY_MATTER = FB_SEM_ACTIVITY.grey_matter
HEALTHY = RegionalUptake(severity=0.0, factors=dict.fromkeys(REGION_NAMES, 1.0))
UNWARPED = TemplateSettings(warp_rms_mm=0, scale_sd=0)


def drawn(settings: RegionSettings, subject: str, *, seed: int = 0) -> RegionalUptake:
    return draw_uptake(settings, rng_of=lambda *names: numpy_rng(seed, *names, subject))


def diseased(severity: float) -> RegionalUptake:
    """The default pattern without variation."""
    disease = DiseaseSettings(severity=severity)
    return drawn(RegionSettings(variation=0, disease=disease), "04")


def phantom(volume: LabelVolume, uptake: RegionalUptake | None, *, lesions: int = 0, **options):
    settings = LesionSettings(count=lesions)
    draw = partial(draw_lesions, volume, settings=settings)
    return phantom_of(
        volume,
        {"pet": draw(rng=np.random.default_rng(0)), "t1": draw(rng=np.random.default_rng(1))},
        subject="04",
        lineage={"data_source": "made up"},
        activity=FB_SEM_ACTIVITY,
        mu_per_cm=FB_SEM_MU_PER_CM,
        t1=FB_SEM_T1,
        settings=settings,
        grid=GRID,
        uptake=uptake,
        **options,
    )


@pytest.fixture(scope="module")
def maps():
    return load_template()


@pytest.fixture(scope="module")
def unwarped(maps) -> LabelVolume:
    return template_volume(maps, settings=UNWARPED, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def warped(maps) -> LabelVolume:
    return template_volume(maps, settings=TemplateSettings(), rng=numpy_rng(0, "template", "04"))


@pytest.fixture(scope="module")
def brainweb(shared) -> LabelVolume:
    """Subject 43, which fits the template the least of the twenty."""
    return read_volume(shared / "brainweb" / "subject_43.bin.gz")


@pytest.fixture(scope="module", params=["unwarped", "warped", "brainweb"])
def head(request) -> LabelVolume:
    return request.getfixturevalue(request.param)


def brain_of(volume: LabelVolume) -> np.ndarray:
    return np.isin(sample_nearest(volume, grid=GRID), (Tissue.GREY_MATTER, Tissue.WHITE_MATTER))


def distance_mm(name: str, volume: LabelVolume) -> np.ndarray:
    """Distance from the balls around a region's ellipsoids; negative inside."""
    x, y, z = mni_mm(volume, grid=GRID)
    return np.minimum.reduce(
        [
            np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - max(each.semi_axes_mm)
            for each in ELLIPSOIDS[name]
            for cx, cy, cz in [each.centre_mm]
        ]
    )


def test_every_region_has_a_place_and_a_reduction():
    assert tuple(ELLIPSOIDS) == REGION_NAMES == tuple(RegionalReductions.model_fields)


def test_regions_are_of_grey_matter_and_of_some_millilitres_on_either_side(head):
    numbers = region_numbers(head, grid=GRID)
    assert numbers.dtype == np.uint8
    assert set(np.unique(sample_nearest(head, grid=GRID)[numbers > 0])) == {Tissue.GREY_MATTER}
    right_mm, _, _ = np.broadcast_arrays(*mni_mm(head, grid=GRID))
    voxel_ml = GRID.pixel_mm**2 * GRID.slice_mm / 1000
    for number, name in enumerate(REGION_NAMES, start=1):
        assert (distance_mm(name, head)[numbers == number] <= 0).all()
        left, right = (
            np.count_nonzero((numbers == number) & side) * voxel_ml
            for side in (right_mm < 0, right_mm > 0)
        )
        assert min(left, right) > 3
        assert max(left, right) < 12
        assert abs(left - right) < 0.3 * (left + right)


def test_the_symmetric_template_has_the_same_region_on_either_side(unwarped):
    numbers = region_numbers(unwarped, grid=GRID)[:, :, 1:]  # of 128 pixels, 64 is in the middle
    np.testing.assert_array_equal(numbers, numbers[:, :, ::-1])


def test_slices_through_a_region_are_those_that_hold_it(unwarped):
    numbers = region_numbers(unwarped, grid=GRID)
    for number, name in enumerate(REGION_NAMES, start=1):
        holding = np.flatnonzero((numbers == number).any(axis=(1, 2)))
        through = slices_through(name, grid=GRID)
        assert set(holding) <= set(through)
        assert len(through) - len(holding) <= 2


def test_the_warp_carries_the_template_to_the_head(maps, warped):
    """The template's brain at the MNI positions of a warped head is that head's brain."""
    x, y, z = mni_mm(warped, grid=GRID)
    plane, row, column = (
        np.clip(np.rint(middle + offset).astype(int), 0, size - 1)
        for middle, offset, size in zip(
            maps.centre, (z - 18.0, -18.0 - y, x), maps.brain.shape, strict=True
        )
    )
    there = maps.brain[plane, row, column] > 0.5
    assert np.mean(there[brain_of(warped)]) > 0.99
    outside = np.isin(sample_nearest(warped, grid=GRID), (Tissue.SKIN, Tissue.AIR))
    assert np.mean(there[outside]) < 0.001


def test_brainweb_heads_lie_in_mni_space(brainweb, unwarped):
    theirs, template = brain_of(brainweb), brain_of(unwarped)
    overlap = 2 * np.count_nonzero(theirs & template) / (theirs.sum() + template.sum())
    assert overlap > 0.8
    middles = [np.argwhere(brain).mean(axis=0) * 2.05 for brain in (theirs, template)]
    assert np.linalg.norm(np.subtract(*middles)) < 4


@pytest.mark.parametrize("severity", [0.5, 1.0])
def test_pure_grey_matter_loses_exactly_reduction_times_severity(severity):
    head = cylinder()
    made, pure = phantom(head, diseased(severity)), phantom(head, None).activity == GREY_MATTER
    assert (made.severity, list(made.region_names)) == (severity, list(REGION_NAMES))
    for number, name in enumerate(REGION_NAMES, start=1):
        lost = getattr(RegionalReductions(), name) * severity
        seen = made.activity[(made.regions == number) & pure]
        assert seen.size > 1000
        np.testing.assert_allclose(seen, GREY_MATTER * (1 - lost), rtol=1e-6)
        assert made.regional_uptake[name] == pytest.approx(1 - lost)


def test_the_loss_fades_without_a_step_around_the_region():
    """Half a cosine over EDGE_MM: its steepest slope is pi / 2 of a straight line's."""
    factors = {**HEALTHY.factors, "posterior_cingulate_precuneus": 0.5}
    head = cylinder()
    made = phantom(head, RegionalUptake(severity=1.0, factors=factors))
    row = made.activity[71, :, 64]  # straight through the middle of the region, front to back
    steepest = 0.5 * GREY_MATTER * np.pi / 2 * GRID.pixel_mm / EDGE_MM
    inside = np.abs(GRID.axis_mm) < 70
    assert np.abs(np.diff(row[inside])).max() <= steepest * 1.01
    assert {row[inside].min(), row[inside].max()} == {GREY_MATTER / 2, GREY_MATTER}


def test_mixed_pixels_lose_what_their_grey_matter_loses(warped):
    """The change is linear in the severity, and no more than grey matter can lose."""
    healthy, half, whole = (
        phantom(warped, uptake, lesions=15) for uptake in (HEALTHY, diseased(0.5), diseased(1.0))
    )
    change = whole.activity - healthy.activity
    np.testing.assert_allclose(half.activity - healthy.activity, change / 2, atol=1e-5)
    assert change.max() <= 0
    assert change.min() >= -0.30 * GREY_MATTER - 1e-4
    assert (whole.activity >= 0).all()


def test_nothing_else_changes(head):
    """Bit for bit: activity away from the regions, lesions, T1, attenuation and labels."""
    without, healthy, ill = (
        phantom(head, uptake, lesions=15) for uptake in (None, HEALTHY, diseased(1.0))
    )
    for field in fields(without):
        value = getattr(without, field.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(healthy, field.name), value)
            if field.name != "activity":
                np.testing.assert_array_equal(getattr(ill, field.name), value)
    away = np.minimum.reduce([distance_mm(name, head) for name in REGION_NAMES]) > EDGE_MM
    away |= distance_mm("sensorimotor", head) <= 0  # spared
    np.testing.assert_array_equal(ill.activity[away], without.activity[away])
    hottest = without.activity == 1.5 * GREY_MATTER  # pixels of nothing but a hot lesion
    assert (ill.activity[hottest] == 1.5 * GREY_MATTER).all()
    np.testing.assert_array_equal(ill.regions, healthy.regions)
    assert not (ill.regions[ill.pet_lesions > 0]).any()
    assert without.regions is None
    assert (without.region_names, without.severity, without.regional_uptake) == ((), None, None)


def test_finer_pixels_have_the_same_uptake():
    """A fine pixel lies on the middle of every coarse one."""
    made = phantom(cylinder(), diseased(1.0), refinement=2)
    np.testing.assert_array_equal(made.fine_activity[:, ::2, ::2], made.activity)


def test_draws_have_names_and_follow_the_law_that_is_stated():
    settings = RegionSettings(variation=0.08, disease=DiseaseSettings(severity=(0.4, 0.9)))
    healthy = RegionSettings(variation=0.08)
    subjects = [f"s{number}" for number in range(2000)]
    ill = {subject: drawn(settings, subject) for subject in reversed(subjects)}
    assert ill["s7"] == drawn(settings, "s7")
    severities = np.array([each.severity for each in ill.values()])
    assert 0.4 <= severities.min() < 0.41
    assert 0.89 < severities.max() <= 0.9
    assert severities.mean() == pytest.approx(0.65, abs=0.01)
    for name in REGION_NAMES:
        well = np.array([drawn(healthy, subject).factors[name] for subject in subjects])
        assert well.mean() == pytest.approx(1, abs=0.005)
        assert well.std() == pytest.approx(0.08, rel=0.05)
        # Disease takes its part of the same normal uptake: the law is that of both cohorts.
        lost = 1 - getattr(RegionalReductions(), name) * np.array([ill[s].severity for s in subjects])
        np.testing.assert_allclose([ill[s].factors[name] for s in subjects], well * lost)


def test_regions_and_severity_are_drawn_apart():
    """Another reduction or range of severities changes no other draw; regions are independent."""
    base = drawn(RegionSettings(disease=DiseaseSettings()), "04")
    reductions = RegionalReductions(medial_temporal=0.4)
    other = drawn(RegionSettings(disease=DiseaseSettings(reductions=reductions)), "04")
    assert {name for name in REGION_NAMES if base.factors[name] != other.factors[name]} == {
        "medial_temporal"
    }
    uptakes = [drawn(RegionSettings(), f"s{n}").factors for n in range(1000)]
    correlations = np.corrcoef([[each[name] for name in REGION_NAMES] for each in uptakes], rowvar=False)
    assert np.abs(correlations - np.eye(len(REGION_NAMES))).max() < 0.12
    assert drawn(RegionSettings(), "04", seed=1).factors != base.factors
