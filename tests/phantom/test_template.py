from __future__ import annotations

import numpy as np
import pytest

from quietpet.config.phantoms import TemplateSettings
from quietpet.errors import InputError
from quietpet.geometry.grid import mmr_grid
from quietpet.phantom.brainweb import read_volume
from quietpet.phantom.resample import sample_nearest
from quietpet.phantom.template import (
    SHAPE,
    TemplateMaps,
    load_template,
    shells,
    template_volume,
    tissue_codes,
    warp,
)
from quietpet.phantom.tissues import LabelVolume, Tissue
from quietpet.seeds import numpy_rng

UNWARPED = TemplateSettings(warp_rms_mm=0, scale_sd=0)
BRAIN = (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)


@pytest.fixture(scope="module")
def maps() -> TemplateMaps:
    return load_template()


@pytest.fixture(scope="module")
def volume(maps: TemplateMaps) -> LabelVolume:
    return template_volume(maps, settings=TemplateSettings(), rng=numpy_rng(0, "template", "04"))


def _slices(volume: LabelVolume) -> np.ndarray:
    return sample_nearest(volume, grid=mmr_grid(128))[65:84]


def test_the_warp_is_invertible_by_finite_differences() -> None:
    positions = warp(settings=TemplateSettings(), rng=np.random.default_rng(0))
    jacobian = np.array([np.gradient(position) for position in positions])
    determinant = np.linalg.det(np.moveaxis(jacobian[:, :, ::4, ::4, ::4], (0, 1), (-2, -1)))
    assert determinant.min() > 0


def test_the_warp_has_the_displacement_it_was_asked_for() -> None:
    settings = TemplateSettings(scale_sd=0, warp_rms_mm=4)
    positions = warp(settings=settings, rng=np.random.default_rng(0))
    identity = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in SHAPE), indexing="ij", sparse=True)
    squared = sum((p - i) ** 2 for p, i in zip(positions, identity, strict=True))
    assert np.sqrt(squared.mean()) == pytest.approx(4, rel=1e-3)


def test_a_folding_warp_is_refused() -> None:
    settings = TemplateSettings(warp_fwhm_mm=10, warp_rms_mm=6)
    with pytest.raises(InputError, match=r"warp_rms_mm = 6.*warp_fwhm_mm = 10.*folds"):
        warp(settings=settings, rng=np.random.default_rng(0))


def test_a_head_beyond_the_volume_is_refused(maps: TemplateMaps) -> None:
    settings = TemplateSettings(warp_rms_mm=0, scale_sd=0, scalp_mm=40)
    with pytest.raises(InputError, match="outgrows the volume"):
        template_volume(maps, settings=settings, rng=np.random.default_rng(0))


def test_the_same_seed_gives_the_same_anatomy_and_another_subject_another(
    maps: TemplateMaps, volume: LabelVolume
) -> None:
    again = template_volume(maps, settings=TemplateSettings(), rng=numpy_rng(0, "template", "04"))
    other = template_volume(maps, settings=TemplateSettings(), rng=numpy_rng(0, "template", "05"))
    np.testing.assert_array_equal(again.codes, volume.codes)
    brain = np.isin(volume.codes, BRAIN) & np.isin(other.codes, BRAIN)
    assert np.mean(other.codes[brain] != volume.codes[brain]) > 0.1


def test_shells_lie_around_a_ball_like_an_onion() -> None:
    settings = TemplateSettings(csf_mm=2, skull_mm=6, scalp_mm=5)
    z, y, x = np.ogrid[-60:61, -60:61, -60:61]
    radius = np.sqrt(z**2 + y**2 + x**2)
    codes = shells(radius <= 30, settings=settings)
    enclosed = np.count_nonzero(radius <= 30)
    for code, inner_mm, outer_mm in (
        (Tissue.CSF, 30, 32),
        (Tissue.SKULL, 32, 38),
        (Tissue.SKIN, 38, 43),
    ):
        found_mm = radius[codes == code]
        assert inner_mm - 1 <= found_mm.min() <= found_mm.max() <= outer_mm + 1
        # The ball of equal volume ends within half a voxel of where the shell should end.
        enclosed += found_mm.size
        assert np.cbrt(3 * enclosed / (4 * np.pi)) == pytest.approx(outer_mm, abs=0.5)
    assert codes[radius <= 30].max() == Tissue.AIR
    assert codes[radius > 44].max() == Tissue.AIR


def test_the_likeliest_tissue_wins_and_dark_voxels_are_fluid() -> None:
    codes = tissue_codes(
        t1=np.array([0.9, 0.7, 0.3, 0.4]),
        grey_matter=np.array([0.1, 0.8, 0.1, 0.9]),
        white_matter=np.array([0.9, 0.1, 0.1, 0.0]),
    )
    assert codes.tolist() == [Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.CSF, Tissue.CSF]


def test_every_slice_of_the_study_is_a_brain_in_a_skull_in_a_scalp(volume: LabelVolume) -> None:
    expected = {Tissue.AIR, *BRAIN, Tissue.SKULL, Tissue.SKIN}
    for codes in _slices(volume):
        assert set(np.unique(codes)) == expected


def test_the_template_lies_where_brainweb_heads_lie(shared, maps: TemplateMaps) -> None:
    """The frame, its orientation and the slice heights: brains overlap, turned ones do not."""
    template = template_volume(maps, settings=UNWARPED, rng=np.random.default_rng(0))
    ours = np.isin(_slices(template), BRAIN[1:])
    theirs = np.isin(_slices(read_volume(shared / "brainweb" / "subject_04.bin.gz")), BRAIN[1:])

    def dice(a: np.ndarray, b: np.ndarray) -> float:
        return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))

    upright = dice(ours, theirs)
    assert upright > 0.85
    assert dice(ours[:, ::-1], theirs) < upright - 0.03
    assert dice(ours[::-1], theirs) < upright - 0.03
