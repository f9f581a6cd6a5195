"""Methods that reconstruct, in ``fit`` and ``restore``: each slice gets its sinogram, or an error."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
from packed import LINEAGE, write_packed
from pydantic import ValidationError
from sinograms import PROTOCOL, SCANNER, write_sinograms

from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, read_strings
from quietpet.files.named import Files
from quietpet.jobs.acquisition import AcquisitionJob
from quietpet.jobs.methods import FitJob, RestoreJob
from quietpet.stages import fit, restore

pytestmark = pytest.mark.usefixtures("on_the_cpu")

NAMES = {"dataset": "phantom", "setting": "low", "method": "bowsher", "replicate": "r0"}
MODEL = {"kind": "bowsher", "iterations": 4, "radius_pixels": 2, "neighbours": 8}
ACQUISITION = AcquisitionJob(scanner=SCANNER, protocol=PROTOCOL)
TRAINING = TrainingSettings(batch_size=3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    made = {}
    for seed, split in enumerate(("train", "validation", "test")):
        made[split] = write_packed(folder / f"{split}.h5", split=split, slices=4, seed=seed)
        made[f"{split} sinograms"] = write_sinograms(folder / f"{split}_sinograms.h5", made[split])
    return made


def fitted(files, folder, *, acquisition=ACQUISITION, sinograms=None):
    job = FitJob(study_seed=1, **NAMES, model=MODEL, training=TRAINING, acquisition=acquisition)
    inputs = Files(
        {
            "train": [files["train"]],
            "validation": [files["validation"]],
            "sinograms": sinograms or [files["validation sinograms"]],
        }
    )
    weights = folder / "weights.safetensors"
    fit.run(job, inputs, Files({"weights": [weights], "log": [folder / "log.csv"]}))
    return weights


def restored(files, folder, weights, *, sinograms=None, pixels=64, batch_size=3):
    inference = InferenceSettings(pixels=pixels, batch_size=batch_size)
    job = RestoreJob(
        study_seed=1, **NAMES, learning="external", model=MODEL, inference=inference,
        acquisition=ACQUISITION,
    )  # fmt: skip
    inputs = {
        "weights": [weights], "test": [files["test"]],
        "sinograms": sinograms or [files["test sinograms"]],
    }  # fmt: skip
    target = folder / f"restored{pixels}.h5"
    restore.run(job, Files(inputs), Files({"restored": [target]}))
    with open_hdf5(target, kind="restored") as file:
        assert read_strings(file, "key") == keys(files["test"])
        return read_array(file, "single")


def keys(path):
    with h5py.File(path) as file:
        return [key.decode() for key in file["key"]]


def array(path, name):
    with h5py.File(path) as file:
        return file[name][()]


def changed_copy(source, target, *, arrays=None, attributes=None):
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        for name, values in (arrays or {}).items():
            del file[name]
            file[name] = values
        for name, value in (attributes or {}).items():
            file.attrs[name] = json.dumps(value)
    return target


def test_it_comes_closer_to_the_truth_in_the_units_of_the_data(files, tmp_path):
    images = restored(files, tmp_path, fitted(files, tmp_path))
    truth, low = array(files["test"], "truth"), array(files["test"], "low")
    head = array(files["test"], "head").astype(bool)
    error, before = (np.mean((each - truth)[head] ** 2) for each in (images, low))
    assert error < 0.5 * before
    assert images[head].mean() == pytest.approx(truth[head].mean(), rel=0.05)


def test_slices_are_matched_by_key_whatever_the_order_and_the_files(files, tmp_path):
    """Two files, one reversed, with a slice that the data set does not have."""
    weights = fitted(files, tmp_path)
    whole = files["test sinograms"]
    names = ("key", "prompts", "attenuation", "counts_per_activity")
    first, last = (
        changed_copy(whole, tmp_path / f"{number}.h5", arrays={n: array(whole, n)[rows] for n in names})
        for number, rows in enumerate((slice(0, 2), slice(3, 1, -1)))
    )
    found = restored(files, tmp_path, weights, sinograms=[last, first, files["train sinograms"]])
    expected = restored(files, tmp_path, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_the_restored_square_and_the_batch_change_nothing_inside(files, tmp_path):
    """Squares smaller than the scanner's grid, which the head fills only in part."""
    weights = fitted(files, tmp_path)
    whole = restored(files, tmp_path, weights)
    smaller = restored(files, tmp_path, weights, pixels=48, batch_size=1)
    np.testing.assert_allclose(smaller[:, 10:-10, 10:-10], whole[:, 10:-10, 10:-10], rtol=2e-3, atol=0.1)
    assert not smaller[:, :8].any()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"dose": "standard"}, r"holds dose 'standard', but .*packed at 'low'"),
        ({"lineage": {**LINEAGE, "data_source": "brainweb"}}, "cannot enter one data set"),
        ({"lineage": {**LINEAGE, "projector": "other"}}, "cannot enter one data set"),
    ],
)
def test_sinograms_of_another_origin_are_refused(files, tmp_path, attributes, message):
    other = changed_copy(files["validation sinograms"], tmp_path / "other.h5", attributes=attributes)
    with pytest.raises(InputError, match=message):
        fitted(files, tmp_path, sinograms=[other])


def test_another_projector_is_refused(files, tmp_path):
    """Both files agree with each other, but not with the engine that is to reconstruct."""
    lineage = {"lineage": {**LINEAGE, "projector": "other"}}
    changed = {
        name: changed_copy(files[name], tmp_path / f"{name}.h5", attributes=lineage)
        for name in ("train", "validation", "validation sinograms")
    }
    with pytest.raises(InputError, match=r"simulated with the projector 'other', but .* = 'embedded'"):
        fitted(changed, tmp_path)


def test_a_missing_slice_is_named(files, tmp_path):
    with pytest.raises(InputError, match=r"0 of the 1 sinogram files hold its slice '01_s0_r0'"):
        fitted(files, tmp_path, sinograms=[files["test sinograms"]])


def test_a_slice_given_twice_is_named(files, tmp_path):
    with pytest.raises(InputError, match=r"2 of the 2 sinogram files hold its slice '01_s0_r0'"):
        fitted(files, tmp_path, sinograms=[files["validation sinograms"]] * 2)


def test_sinograms_that_are_not_finite_are_refused(files, tmp_path):
    attenuation = array(files["validation sinograms"], "attenuation")
    attenuation[2, 100, 50] = np.nan
    arrays = {"attenuation": attenuation}
    bad = changed_copy(files["validation sinograms"], tmp_path / "bad.h5", arrays=arrays)
    with pytest.raises(InputError, match=r"bad\.h5:attenuation: 1 of .* the first at \(2, 100, 50\)"):
        fitted(files, tmp_path, sinograms=[bad])


def test_sinograms_of_another_scanner_are_refused(files, tmp_path):
    arrays = {
        name: array(files["validation sinograms"], name)[..., :200]
        for name in ("prompts", "attenuation", "normalisation")
    }
    bad = changed_copy(files["validation sinograms"], tmp_path / "bad.h5", arrays=arrays)
    with pytest.raises(InputError, match=r"its sinograms are \(252, 200\) .*'siemens_mmr' \(252, 344\)"):
        fitted(files, tmp_path, sinograms=[bad])


def test_pixels_of_another_size_are_refused(files, tmp_path):
    affine = np.diag([2.0, 4.0, 4.0, 1.0])[[2, 1, 0, 3]].tolist()
    attributes = {"affine_ras_mm": affine}
    other = changed_copy(files["validation"], tmp_path / "other.h5", attributes=attributes)
    with pytest.raises(InputError, match=r"its pixels are 4 mm, those of the scanner .* 2\.08626 mm"):
        fitted({**files, "validation": other}, tmp_path)


def test_a_job_states_the_acquisition_if_and_only_if_its_method_reconstructs():
    for model, acquisition in ((MODEL, None), ({"kind": "lpet"}, ACQUISITION)):
        with pytest.raises(ValidationError, match="for methods that reconstruct, and for no other"):
            FitJob(study_seed=1, **NAMES, model=model, training=TRAINING, acquisition=acquisition)


def test_sinograms_for_a_method_that_takes_none_are_refused(files, tmp_path):
    job = FitJob(study_seed=1, **{**NAMES, "method": "lpet"}, model={"kind": "lpet"}, training=TRAINING)
    inputs = {
        "train": [files["train"]],
        "validation": [files["validation"]],
        "sinograms": [files["validation sinograms"]],
    }
    outputs = Files({"weights": [tmp_path / "weights.safetensors"], "log": [tmp_path / "log.csv"]})
    with pytest.raises(InputError, match="does not reconstruct: it takes no files called 'sinograms'"):
        fit.run(job, Files(inputs), outputs)
    assert list(tmp_path.iterdir()) == []


def test_a_method_that_reconstructs_needs_sinograms(files, tmp_path):
    job = FitJob(study_seed=1, **NAMES, model=MODEL, training=TRAINING, acquisition=ACQUISITION)
    inputs = Files({"train": [files["train"]], "validation": [files["validation"]]})
    outputs = Files({"weights": [tmp_path / "weights.safetensors"], "log": [tmp_path / "log.csv"]})
    with pytest.raises(InputError, match="no file called 'sinograms' was given"):
        fit.run(job, inputs, outputs)
