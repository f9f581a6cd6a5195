from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from stir_reference import FOLDER

from quietpet.config.scanner import ScannerSettings
from quietpet.geometry.grid import mmr_grid, scanner_grid
from quietpet.geometry.michelogram import segments
from quietpet.geometry.scanner import SCANNERS, ge_signa_petmr, siemens_mmr


def test_geometry_is_stirs():
    reference = np.load(FOLDER / "geometry.npz")
    scanner = siemens_mmr()
    np.testing.assert_allclose(scanner.view_angles_rad, reference["phi_rad"], atol=1e-12)
    np.testing.assert_allclose(scanner.bin_offsets_mm, reference["s_mm"], atol=1e-9)
    np.testing.assert_allclose(scanner.bin_widths_mm, reference["bin_width_mm"], atol=1e-9)
    first, second = scanner.crystal_pairs
    np.testing.assert_array_equal(first, reference["det1"])
    np.testing.assert_array_equal(second, reference["det2"])


def test_one_ninth_of_the_crystals_is_virtual():
    """A bin is lost when either end is virtual: 1 - (8/9)^2 = 0.2099 of all crystal pairs."""
    assert siemens_mmr().gap_mask.mean() == pytest.approx(1 - (8 / 9) ** 2, abs=1e-3)


def test_affine_puts_the_axis_at_the_origin():
    grid = mmr_grid(128)
    centre = grid.affine_ras_mm @ [63, 64, 64, 1]
    np.testing.assert_allclose(centre, [0, 0, 0, 1], atol=1e-9)
    step_back = grid.affine_ras_mm @ [63, 65, 64, 1]
    np.testing.assert_allclose(step_back, [0, -grid.pixel_mm, 0, 1], atol=1e-9)


# STIR 6's own numbers (src/buildblock/Scanner.cxx): effective radius, axial length over all rings, bins.
PUBLISHED = {
    "siemens_mmr": (335.0, 260.0, (252, 344)),
    "siemens_vision_600": (417.0, 263.3, (399, 520)),
    "ge_signa_petmr": (320.3, 250.2, (224, 357)),
}


@pytest.mark.parametrize(("model", "published"), PUBLISHED.items())
def test_registry_has_the_published_sizes(model, published):
    """Axial fields of view of 26, 26.3 and 25 cm are those of the NEMA papers too."""
    scanner = SCANNERS[model]()
    radius_mm, axial_mm, shape = published
    assert scanner.effective_radius_mm == pytest.approx(radius_mm)
    assert scanner.n_rings * scanner.ring_spacing_mm == pytest.approx(axial_mm, abs=0.05)
    assert scanner.sinogram_shape == shape


def test_the_signas_planes_are_those_of_stirs_sample_header():
    """GE's span 2: 89 direct planes, then 85, 85, 81, 81, ... 1, 1."""
    planes = [segment.n_planes for segment in segments(ge_signa_petmr())]
    assert planes == [89, *(n for n in range(85, 0, -4) for _ in "+-")]


@pytest.mark.parametrize("model", SCANNERS)
def test_registry_is_consistent(model):
    scanner = SCANNERS[model]()
    assert scanner.name == model
    assert scanner.crystals_per_ring % 2 == 0
    assert scanner.max_ring_difference < scanner.n_rings
    per_block = scanner.crystals_per_block + scanner.virtual_crystals_per_block
    assert scanner.crystals_per_ring % per_block == 0
    real = scanner.crystals_per_block / per_block
    assert scanner.gap_mask.mean() == pytest.approx(1 - real**2, abs=2e-3)
    first, second = scanner.crystal_pairs
    pairs = np.sort(np.stack([first, second], axis=-1).reshape(-1, 2), axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    grid = scanner_grid(scanner, 64)
    assert grid.n_slices * grid.slice_mm == pytest.approx(
        (scanner.n_rings - 0.5) * scanner.ring_spacing_mm
    )


def test_the_registry_is_what_the_configuration_offers():
    offered = ScannerSettings.model_json_schema()["properties"]["model"]["enum"]
    assert offered == list(SCANNERS)
    with pytest.raises(ValidationError, match=r"'siemens_mmr'.*'small_test'"):
        ScannerSettings(model="nosuch")
