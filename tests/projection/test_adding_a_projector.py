"""A projector is one file: configuration, simulation, reconstruction and fingerprints find it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from edited_package import ORIGINAL, EditedPackage, edited_package

from quietpet.fingerprint.sources import Sources
from quietpet.fingerprint.walk import fingerprint_of
from quietpet.projection.engines import code_of, osem_code_of

FILE = "projection/backends/toy_lines.py"
TEXT = '''"""Lines sampled at steps of a quarter pixel, as one sparse matrix of scipy's."""

from dataclasses import dataclass
from functools import cached_property

from quietpet.projection.backend import Backend


def projector(settings, scanner, grid, device):
    import numpy as np
    import torch
    from scipy.sparse import csr_array

    side, half = grid.n_pixels, grid.n_pixels // 2
    along = np.arange(-side, side, 0.25) + 0.125
    angles = scanner.view_angles_rad[:, None, None]
    bins = scanner.bin_offsets_mm[None, :, None] / grid.pixel_mm
    x = np.rint(bins * np.cos(angles) + along * np.sin(angles)).astype(int) + half
    y = np.rint(bins * np.sin(angles) - along * np.cos(angles)).astype(int) + half
    met = (0 <= x) & (x < side) & (0 <= y) & (y < side)
    lines = np.broadcast_to(np.arange(x[..., 0].size).reshape(*x.shape[:2], 1), x.shape)
    shape = (x[..., 0].size, side * side)
    matrix = csr_array((np.full(met.sum(), 0.25, np.float32), (lines[met], (y * side + x)[met])), shape)

    @dataclass(frozen=True, eq=False)
    class Lines:
        matrix: object
        views: range

        image_shape = (side, side)

        @property
        def sinogram_shape(self):
            return (len(self.views), scanner.n_bins)

        @property
        def seen_bins(self):
            return slice(0, scanner.n_bins)

        def trimmed(self):
            return self

        def forward(self, image):
            return _times(self.matrix, image, self.sinogram_shape)

        def adjoint(self, sinogram):
            return _times(self.matrix.T, sinogram, self.image_shape)

        def subset(self, index, of):
            rows = np.arange(self.matrix.shape[0]).reshape(self.sinogram_shape)[index::of].ravel()
            return Lines(self.matrix[rows], self.views[index::of])

    def _times(matrix, values, shape):
        product = matrix @ values.reshape(-1, matrix.shape[1]).numpy().T
        return torch.from_numpy(np.ascontiguousarray(product.T)).reshape(*values.shape[:-2], *shape)

    return Lines(matrix, range(scanner.n_views))


BACKEND = Backend(projector=projector, program="the toy", slices_per_batch=2)
'''
NOTEBOOK = {
    "protocol": "notebook",
    "slices": {"indices": [7], "rotations": 1},
    "splits": {"train": ["04"], "validation": ["05"], "test": ["06"]},
    "scanner": {"model": "small_test", "image_pixels": 64, "projector": "toy_lines"},
    "doses": {
        "standard": {"counts": 1e8, "psf_fwhm_mm": 0, "iterations": 8, "subsets": 7},
        "low": {
            "tenth": {"thinned": {"fraction": 0.1}, "psf_fwhm_mm": 0, "iterations": 8, "subsets": 7}
        },
    },
    "datasets": {"pixels": 64},
    "training": {"patch_pixels": None},
    "inference": {"pixels": 64},
    "evaluation": {"paper_window_pixels": 48},
    "methods": {"lpet": {}},
}
SCAN = """
import json, sys
import numpy as np
import quietpet

study = quietpet.read_study(sys.argv[1])
axis_mm = 4.5 * (np.arange(64) - 32)
radius_mm = np.hypot(axis_mm[:, None], axis_mm)
disc = np.repeat((radius_mm < 80)[None], 3, axis=0)
scan = quietpet.simulate(study, "standard", 20.0 * disc, 0.096 * disc)
images = quietpet.reconstruct(study, scan).activity
print(json.dumps({"lineage": scan.lineage, "means": images[:, radius_mm < 60].mean(axis=1).tolist()}))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> EditedPackage:
    return edited_package(tmp_path_factory.mktemp("edited"), {FILE: TEXT})


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "notebook.yaml"
    path.write_text(yaml.safe_dump(NOTEBOOK))
    return path


def test_the_configuration_and_the_command_know_it(package: EditedPackage, study: Path) -> None:
    assert package.touched == {FILE}
    validated = json.loads(package.run("validate", study))
    assert validated["scanner"]["projector"] == "toy_lines"
    projectors = json.loads(package.run("schema"))["$defs"]["ScannerSettings"]["properties"]["projector"]
    assert projectors["enum"] == ["embedded", "sirf", "toy_lines", "auto"]
    # Chords of ellipses are its reference: another algorithm than the embedded one, and right.
    said = package.run("check", "projector", "--scanner", "small_test", "--projector", "toy_lines")
    assert "toy_lines against closed forms" in said
    assert "passed" in said


def test_it_scans_and_reconstructs(package: EditedPackage, study: Path) -> None:
    """The disc's own activity comes back; three slices are one batch and a part of the next."""
    found = json.loads(package.python(SCAN, study))
    assert found["lineage"]["projector"] == "toy_lines"
    assert found["means"] == pytest.approx([20.0] * 3, rel=0.01)


def test_the_steps_of_other_projectors_run_nothing_again(package: EditedPackage) -> None:
    before, after = Sources(ORIGINAL), Sources(package.folder / "quietpet")
    for step, named in (
        ("simulate", code_of("embedded")),
        ("reconstruct", (*code_of("embedded"), *osem_code_of("embedded"))),
        ("simulate", code_of("sirf")),
        ("tables", ()),
    ):
        assert fingerprint_of(after, f"stages.{step}", *named) == fingerprint_of(
            before, f"stages.{step}", *named
        )


def test_the_contracts_hold(package: EditedPackage, repository: Path) -> None:
    assert package.broken_contracts(repository / "pyproject.toml") == []
