"""The stage ``reconstruct``: algorithm, subsets and post-filter are those of the dose's protocol."""

from __future__ import annotations

import functools
import re
import shutil

import h5py
import numpy as np
import pytest
from packed import PIXELS, write_packed
from scipy.ndimage import gaussian_filter
from sinograms import PROTOCOL, SCANNER, write_sinograms

from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, read_strings
from quietpet.files.named import Files
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.jobs.acquisition import ReconstructJob
from quietpet.progress import track
from quietpet.recon import slices as recon_slices
from quietpet.stages import reconstruct
from quietpet.units import sigma_from_fwhm

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture(scope="module")
def sinograms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sinograms")
    return write_sinograms(folder / "low.h5", write_packed(folder / "test.h5", slices=3))


def reconstructed(sinograms, folder, **protocol):
    changed = PROTOCOL.model_copy(update=protocol)
    job = ReconstructJob(subject="04", dose="low", protocol=changed, scanner=SCANNER)
    target = folder / "images.h5"
    reconstruct.run(job, Files({"sinograms": [sinograms]}), Files({"images": [target]}))
    with open_hdf5(target, kind="images") as file, open_hdf5(sinograms, kind="sinograms") as source:
        assert read_strings(file, "key") == read_strings(source, "key")
        return read_array(file, "image")


def test_the_post_filter_is_a_gaussian_of_the_stated_width(sinograms, tmp_path):
    plain, filtered = (reconstructed(sinograms, tmp_path, post_fwhm_mm=width) for width in (0.0, 6.0))
    sigma = sigma_from_fwhm(6.0) / mmr_grid(PIXELS).pixel_mm
    expected = gaussian_filter(plain, (0, sigma, sigma), mode="constant", truncate=6.0)
    np.testing.assert_allclose(filtered, expected, rtol=1e-3, atol=1e-2)
    assert filtered.std() < 0.95 * plain.std()


def test_batches_of_slices_change_nothing(sinograms, tmp_path, monkeypatch):
    whole = reconstructed(sinograms, tmp_path)
    monkeypatch.setattr(recon_slices, "slices_per_batch", lambda settings: 2)
    np.testing.assert_allclose(reconstructed(sinograms, tmp_path), whole, rtol=1e-4, atol=1e-3)


def test_an_image_that_glows_outside_the_head_is_refused(sinograms, tmp_path):
    """Counts in lines that miss the only attenuating object, a cylinder of 50 mm around the axis."""
    path = shutil.copy(sinograms, tmp_path / "glowing.h5")
    with h5py.File(path, "r+") as file:
        head = np.abs(siemens_mmr().bin_offsets_mm) < 50
        file["attenuation"][:] = np.where(head, np.float32(0.5), np.float32(1.0))
        glowing = file["prompts"][1]
        glowing[:, 200:204] += 100_000
        file["prompts"][1] = glowing
        second = file["key"][1].decode()
    with pytest.raises(
        InputError, match=rf"glowing\.h5: slice '{second}' is .* times as bright outside .*lower them"
    ):
        reconstructed(path, tmp_path)
    assert not (tmp_path / "images.h5").exists()


@pytest.mark.parametrize(
    "name", ["prompts", "attenuation", "normalisation", "counts_per_activity", "background"]
)
def test_negative_values_are_named_before_any_work(sinograms, tmp_path, name):
    path = shutil.copy(sinograms, tmp_path / "signed.h5")
    with h5py.File(path, "r+") as file:
        values = file[name][()] if name in file else np.zeros(file["prompts"].shape, np.float32)
        last = (-1,) * values.ndim
        values[last] = -1
        file.pop(name, None)
        file[name] = values
        where = tuple(n - 1 for n in values.shape)
    problem = rf"signed\.h5:{name}: 1 of {values.size} values are negative, the first, -1, at"
    with pytest.raises(InputError, match=problem + " " + re.escape(str(where))):
        reconstructed(path, tmp_path)


def test_progress_moves_within_a_batch(sinograms, tmp_path, caplog, monkeypatch):
    """Three slices are one batch of the embedded engine; a line in the log is written every 10 s."""
    monkeypatch.setattr(recon_slices, "track", functools.partial(track, log_every_s=0.0))
    with caplog.at_level("INFO"):
        reconstructed(sinograms, tmp_path)
    steps = [line for line in caplog.messages if line.startswith("OSEM 04 low: ")]
    assert [line.split()[3] for line in steps] == ["1/4", "2/4", "3/4", "4/4"]


def test_a_protocol_says_what_it_is():
    described = {
        (1, 0.0): "MLEM with 4 iterations",
        (14, 0.0): "OSEM with 4 iterations of 14 subsets",
        (14, 5.0): "OSEM with 4 iterations of 14 subsets, 5 mm Gaussian post-filter",
    }
    for (subsets, post_fwhm_mm), text in described.items():
        changed = {"subsets": subsets, "post_fwhm_mm": post_fwhm_mm}
        assert PROTOCOL.model_copy(update=changed).describe().endswith(f"point spread, {text}")
