"""Training on sinograms in the real loop: each slice learns from its own, whatever set it is of."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import torch
from packed import LINEAGE, PIXELS, write_packed
from pydantic import ValidationError
from sinograms import PROTOCOL, SCANNER, write_sinograms

from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.data.batches import ResidentBatches, StepBatches, recentred
from quietpet.data.dataset import PairDataset
from quietpet.data.joint import JointPairs
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array
from quietpet.files.named import Files
from quietpet.files.tensors import read_tensors
from quietpet.jobs.acquisition import AcquisitionJob
from quietpet.jobs.methods import FitJob, RestoreJob
from quietpet.recon.measuring import measured_batches, measured_slices
from quietpet.runtime import fitting
from quietpet.stages import fit, restore

pytestmark = pytest.mark.usefixtures("on_the_cpu")

MODEL = {"kind": "fbsem", "updates": 2, "subsets": 6, "start": "low", "kernels": 4, "gamma": 60.0}
SHARP = AcquisitionJob(scanner=SCANNER, protocol=PROTOCOL.model_copy(update={"psf_fwhm_mm": 2.0}))
BLURRED = AcquisitionJob(scanner=SCANNER, protocol=PROTOCOL)
WHOLE = {
    "patch_pixels": None,
    "flip": False,
    "batch_size": 2,
    "validate_every": 2,
    "learning_rate": 3e-3,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Packed slices and sinograms; ``other`` has the keys of ``train`` and other images."""
    folder = tmp_path_factory.mktemp("measured")
    made = {}
    for name, options in {
        "train": {"seed": 0},
        "other": {"seed": 0, "dataset": "other", "contrast": 0.3},
        "validation": {"seed": 1, "split": "validation"},
        "test": {"seed": 2, "split": "test"},
    }.items():
        made[name] = write_packed(folder / f"{name}.h5", slices=4, **options)
        made[f"{name} sinograms"] = write_sinograms(folder / f"{name}_sinograms.h5", made[name])
    return made


def job_of(*, parts=("train",), model=MODEL, training=None, **changes):
    names = {"train": "phantom", "other": "other"}
    fields = {
        "study_seed": 1, "dataset": "phantom", "setting": "low", "method": "fbsem", "replicate": "r0",
        "model": model, "acquisition": BLURRED,
        "training": TrainingSettings(**{**WHOLE, "iterations": 4, **(training or {})}),
        "trained_on": tuple((names[part], "low") for part in parts),
        "train_acquisitions": tuple({"train": BLURRED, "other": SHARP}[part] for part in parts),
    }  # fmt: skip
    return FitJob(**{**fields, **changes})


def fitted(files, target, *, parts=("train",), sinograms=None, **changes):
    given = [files[f"{part} sinograms"] for part in parts] if sinograms is None else sinograms
    inputs = {
        "train": [files[part] for part in parts],
        "validation": [files["validation"]],
        "sinograms": [files["validation sinograms"]],
        **({"train_sinograms": given} if given else {}),
    }
    outputs = {"weights": [target], "log": [target.with_suffix(".csv")]}
    fit.run(job_of(parts=parts, **changes), Files(inputs), Files(outputs))
    return target


def changed_copy(source, target, **attributes):
    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        for name, value in attributes.items():
            file.attrs[name] = json.dumps(value)
    return target


def test_a_short_training_beats_the_low_dose(files, tmp_path):
    longer = {"iterations": 60, "validate_every": 10}
    weights = fitted(files, tmp_path / "weights.safetensors", training=longer)
    job = RestoreJob(
        study_seed=1, dataset="phantom", setting="low", method="fbsem", replicate="r0", model=MODEL,
        learning="external", acquisition=BLURRED,
        inference=InferenceSettings(pixels=PIXELS, batch_size=3),
    )  # fmt: skip
    inputs = {"weights": [weights], "test": [files["test"]], "sinograms": [files["test sinograms"]]}
    restore.run(job, Files(inputs), Files({"restored": [tmp_path / "restored.h5"]}))
    with open_hdf5(tmp_path / "restored.h5", kind="restored") as file:
        images = read_array(file, "single")
    with h5py.File(files["test"]) as file:
        standard, low = file["standard"][()], file["low"][()]
    assert np.mean((images - standard) ** 2) < 0.75 * np.mean((low - standard) ** 2)


def test_an_interrupted_training_ends_with_the_same_weights(files, tmp_path, monkeypatch):
    whole, cut = fitted(files, tmp_path / "whole.safetensors"), tmp_path / "cut.safetensors"

    class Failing(ResidentBatches):
        def __getitem__(self, step):
            if step == 3:
                raise KeyboardInterrupt
            return super().__getitem__(step)

    monkeypatch.setattr(fitting, "ResidentBatches", Failing)
    with pytest.raises(KeyboardInterrupt):
        fitted(files, cut)
    monkeypatch.setattr(fitting, "ResidentBatches", ResidentBatches)
    fitted(files, cut)
    for name, tensor in read_tensors(whole)[0].items():
        assert torch.equal(read_tensors(cut)[0][name], tensor), name


@pytest.mark.parametrize("processes", [1, 2])
def test_slices_of_several_sets_keep_their_own_measurement(files, processes):
    """Sets that share keys, each blurred as its own dose; so do the parts of several processes."""
    parts = [PairDataset(files[name]) for name in ("train", "other")]
    measured = [
        measured_slices(
            [files[f"{name} sinograms"]],
            part,
            scanner=acquisition.scanner,
            protocol=acquisition.protocol,
            device=torch.device("cpu"),
        )
        for name, part, acquisition in zip(("train", "other"), parts, (BLURRED, SHARP), strict=True)
    ]
    drawn = StepBatches(
        JointPairs(parts), study_seed=1, names=("a",), batch_size=8, patch_pixels=None, flip=False,
        whole_pixels=48,
    )  # fmt: skip
    whole = measured_batches(drawn, parts, measured)[1]
    assert whole.low.shape == (8, 1, 48, 48)
    middle = recentred(torch.from_numpy(parts[0][2].t1 / parts[0][2].t1_scale), 48)
    first = drawn.rows(1).index(2)
    torch.testing.assert_close(whole.t1[first, 0], middle.float())
    found = [whole.part(index, processes) for index in range(processes)]
    rows = [drawn.rows(1)[index::processes] for index in range(processes)]
    for batch, own_rows in zip(found, rows, strict=True):
        for position, row in enumerate(own_rows):
            pair, slices = parts[row // 4][row % 4], measured[row // 4]
            assert batch.keys[position] == pair.key
            alone, image = slices.of([pair.key]), torch.from_numpy(pair.truth)[None]
            expected = batch.measured().model.expected(image.expand(len(own_rows), -1, -1))[position]
            torch.testing.assert_close(batch.measured().prompts[position], alone.prompts[0])
            torch.testing.assert_close(expected, alone.model.expected(image)[0])


def test_sets_learned_together_change_the_weights(files, tmp_path):
    alone = fitted(files, tmp_path / "alone.safetensors")
    both = fitted(files, tmp_path / "both.safetensors", parts=("train", "other"))
    name = "network.stages.0.weight"
    assert not torch.equal(read_tensors(alone)[0][name], read_tensors(both)[0][name])


def test_files_must_be_those_of_the_subjects(files, tmp_path):
    target, parts = tmp_path / "weights.safetensors", ("train", "other")
    one = [files["train sinograms"]]
    with pytest.raises(InputError, match=r"1 files are called 'train_sinograms', but .* 2 subjects"):
        fitted(files, target, parts=parts, sinograms=one)
    with pytest.raises(InputError, match=r"0 of the 1 sinogram files hold its slice '00_s0_r0'"):
        fitted(files, target, sinograms=[files["validation sinograms"]])
    with pytest.raises(InputError, match="no file called 'train_sinograms' was given"):
        fitted(files, target, sinograms=[])
    assert not target.exists()


def test_a_method_that_learns_from_images_takes_none(files, tmp_path):
    job = job_of(model={"kind": "lpet"}, acquisition=None, train_acquisitions=(), method="lpet")
    inputs = {"train": [files["train"]], "validation": [files["validation"]]}
    inputs |= {"train_sinograms": [files["train sinograms"]]}
    outputs = Files({"weights": [tmp_path / "w.safetensors"], "log": [tmp_path / "log.csv"]})
    with pytest.raises(InputError, match=r"lpet learns from images: it takes no .*'train_sinograms'"):
        fit.run(job, Files(inputs), outputs)


@pytest.mark.parametrize("which", ["train", "validation"])
def test_slices_of_scans_are_refused_with_the_reason(files, tmp_path, which):
    lineage = {**LINEAGE, "projector": "-", "registration": "embedded"}
    scans = changed_copy(files[which], tmp_path / "scans.h5", lineage=lineage)
    with pytest.raises(InputError, match=r"scans\.h5: .* of scans, whose images come without sinograms"):
        fitted({**files, which: scans}, tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_acquisitions": ()}, "0 train_acquisitions where fbsem needs 1"),
        ({"training": {"patch_pixels": 32}}, "patch_pixels must be none and training.flip false"),
        ({"training": {"flip": True}}, "whole, unmirrored slices"),
        ({"acquisition": None}, "slices of scans have none"),
    ],
)
def test_jobs_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        job_of(**changes)
