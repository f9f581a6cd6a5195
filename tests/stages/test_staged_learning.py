"""Learning in stages on two small data sets of other contrast."""

from __future__ import annotations

import pytest
import torch
from packed import write_splits
from small_networks import RESIDUAL_MFDIFF, UNET

from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.data.batches import ResidentBatches
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_attribute
from quietpet.files.named import Files
from quietpet.files.tensors import read_tensors
from quietpet.jobs.methods import FitJob, RestoreJob
from quietpet.runtime import fitting
from quietpet.stages import fit, restore

pytestmark = pytest.mark.usefixtures("on_the_cpu")

SOURCES = {"phantom": ("brainweb", 1.0), "invivo": ("ds002898", 0.5)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return {
        (dataset, split): path
        for dataset, (source, contrast) in SOURCES.items()
        for split, path in write_splits(
            folder / dataset, dataset=dataset, data_source=source, contrast=contrast
        ).items()
    }


def fitted(files, target, *, dataset="invivo", data=None, start=None, model=UNET, iterations=2, **job):
    data = data or [dataset]
    names = {"dataset": dataset, "setting": "low", "method": "m", "replicate": "r0"}
    training = {"batch_size": 2, "patch_pixels": 32, "validate_every": 1, "learning_rate": 1e-3}
    job = FitJob(
        study_seed=1,
        **{**names, "trained_on": tuple((each, "low") for each in data)},
        continues=start is not None,
        model=model,
        training=TrainingSettings(**training, iterations=iterations),
        **job,
    )
    inputs = {"train": [files[each, "train"] for each in data]}
    inputs |= {"validation": [files[dataset, "validation"]]} | ({"start": [start]} if start else {})
    card, log = target.with_suffix(".md"), target.with_suffix(".csv")
    fit.run(job, Files(inputs), Files({"weights": [target], "card": [card], "log": [log]}))
    return target


@pytest.fixture(scope="module")
def external(files, tmp_path_factory, on_the_cpu):
    target = tmp_path_factory.mktemp("external") / "weights.safetensors"
    return fitted(files, target, dataset="phantom", iterations=30)


def first_validation(path):
    return float(path.with_suffix(".csv").read_text().splitlines()[1].split(",")[2])


def test_a_later_stage_goes_on_from_the_weights_of_the_earlier(files, external, tmp_path):
    fresh = fitted(files, tmp_path / "fresh.safetensors")
    further = fitted(
        files, tmp_path / "further.safetensors", start=external, stages=("external", "internal")
    )
    assert first_validation(further) < first_validation(fresh)
    assert "started from: weights of" in further.with_suffix(".md").read_text()


def test_what_was_tuned_for_the_starting_weights_is_kept(files, tmp_path):
    """The scale of what a diffusion model predicts belongs to its weights."""
    first = fitted(files, tmp_path / "a.safetensors", dataset="phantom", model=RESIDUAL_MFDIFF)
    second = fitted(
        files,
        tmp_path / "b.safetensors",
        start=first,
        model=RESIDUAL_MFDIFF,
        stages=("external", "internal"),
    )
    fresh = fitted(files, tmp_path / "c.safetensors", model=RESIDUAL_MFDIFF)
    gains = [read_tensors(path)[0]["target_gain"] for path in (first, second, fresh)]
    assert torch.equal(gains[0], gains[1])
    assert not torch.equal(gains[1], gains[2])


def test_an_interrupted_later_stage_ends_with_the_same_weights(files, external, tmp_path, monkeypatch):
    chosen = {"start": external, "stages": ("external", "internal"), "iterations": 4}
    whole = fitted(files, tmp_path / "whole.safetensors", **chosen)
    cut = tmp_path / "cut.safetensors"

    class Failing(ResidentBatches):
        def __getitem__(self, step):
            if step == 3:
                raise KeyboardInterrupt
            return super().__getitem__(step)

    monkeypatch.setattr(fitting, "ResidentBatches", Failing)
    with pytest.raises(KeyboardInterrupt):
        fitted(files, cut, **chosen)
    monkeypatch.setattr(fitting, "ResidentBatches", ResidentBatches)
    fitted(files, cut, **chosen)
    for name, tensor in read_tensors(whole)[0].items():
        assert torch.equal(read_tensors(cut)[0][name], tensor), name


def test_one_stage_may_mix_data_sets_of_other_origin(files, tmp_path):
    target = fitted(files, tmp_path / "mixed.safetensors", data=["phantom", "invivo"], stages=("mixed",))
    assert "phantom/low, 6 slices" in target.with_suffix(".md").read_text()
    assert read_tensors(target)[1]["lineage"]["data_source"] == "ds002898"


def restored(files, target, weights, *, weights_of=None):
    names = {"dataset": "invivo", "setting": "low", "method": "m", "replicate": "r0"}
    job = RestoreJob(
        study_seed=1,
        **names,
        learning="external",
        weights_of=weights_of,
        model=UNET,
        inference=InferenceSettings(pixels=48),
    )
    inputs = {"weights": [weights], "test": [files["invivo", "test"]]}
    restore.run(job, Files(inputs), Files({"restored": [target]}))


def test_weights_of_another_data_set_restore_under_the_origin_of_the_slices(files, external, tmp_path):
    target = tmp_path / "restored.h5"
    restored(files, target, external, weights_of="phantom")
    with open_hdf5(target, kind="restored") as file:
        assert read_attribute(file, "lineage")["data_source"] == "ds002898"
        assert read_attribute(file, "learning") == "external"
    with pytest.raises(InputError, match="cannot enter one data set"):
        restored(files, target, external)


def test_files_of_other_data_sets_than_the_job_names_are_refused(files, external, tmp_path):
    swapped = {key: files["invivo" if key[0] == "phantom" else "phantom", key[1]] for key in files}
    with pytest.raises(InputError, match="the data given are phantom/low, this job learns invivo/low"):
        fitted(swapped, tmp_path / "a.safetensors")


def test_a_later_stage_without_weights_is_refused(files, tmp_path):
    inputs = {"train": [files["invivo", "train"]], "validation": [files["invivo", "validation"]]}
    job = FitJob(
        study_seed=1, dataset="invivo", setting="low", method="m", replicate="r0", continues=True,
        stages=("external", "internal"), model=UNET, training=TrainingSettings(iterations=1),
    )  # fmt: skip
    with pytest.raises(InputError, match="starts from the weights of another; give `start`"):
        fit.run(job, Files(inputs), Files({"weights": [tmp_path / "a"], "log": [tmp_path / "b"]}))
