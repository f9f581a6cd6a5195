"""The stages ``fit`` and ``restore`` on small files in the real schema."""

from __future__ import annotations

import csv

import h5py
import numpy as np
import pytest
import torch
from packed import LINEAGE, write_packed, write_splits
from pydantic import TypeAdapter
from small_networks import MFDIFF, UNET

from quietpet.cli import main
from quietpet.config.method_kinds import AnyMethodSettings
from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.data.batches import ResidentBatches, StepBatches, central_batches
from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute, read_strings
from quietpet.files.named import Files
from quietpet.files.tensors import read_tensors
from quietpet.jobs.methods import FitJob, RestoreJob
from quietpet.runtime import fitting
from quietpet.runtime.device import require_precision
from quietpet.seeds import torch_generator
from quietpet.stages import fit, restore
from quietpet.training.loop import train
from quietpet.training.weights import load_weights

pytestmark = pytest.mark.usefixtures("on_the_cpu")

TRAINING = TrainingSettings(
    iterations=4, batch_size=2, patch_pixels=32, validate_every=2, learning_rate=1e-3
)
SAMPLED = {
    **MFDIFF,
    "timesteps": 10, "sampling_steps": 2, "sampler": "ddim", "samples_per_slice": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("packed"), slices=5)


def fitted(files, folder, model, *, training=None):
    names = {"dataset": "phantom", "setting": "low", "method": "m", "replicate": "0"}
    job = FitJob(study_seed=1, **names, model=model, training=training or TRAINING)
    inputs = Files({split: [files[split]] for split in ("train", "validation")})
    weights, log, card = (folder / name for name in ("weights.safetensors", "log.csv", "card.md"))
    fit.run(job, inputs, Files({"weights": [weights], "log": [log], "card": [card]}))
    return weights, log


def restored(files, folder, weights, model, *, batch_size=2, pixels=48, precision="32-true"):
    names = {"dataset": "phantom", "setting": "low", "method": "m", "replicate": "0"}
    inference = InferenceSettings(pixels=pixels, batch_size=batch_size, precision=precision)
    job = RestoreJob(study_seed=1, **names, learning="external", model=model, inference=inference)
    target = folder / f"restored{batch_size}.h5"
    inputs = Files({**({"weights": [weights]} if weights else {}), "test": [files["test"]]})
    restore.run(job, inputs, Files({"restored": [target]}))
    return target


def test_a_network_that_halves_its_images_six_times_is_validated_on_such(tmp_path):
    """The heads of these files fit squares of 96 pixels, which it does not take."""
    files = write_splits(tmp_path, slices=3, pixels=128)
    model = {"kind": "eagan", "widths": [2] * 6, "discriminator_widths": [2, 2]}
    training = TRAINING.model_copy(update={"patch_pixels": 64})
    weights, _ = fitted(files, tmp_path, model, training=training)
    with open_hdf5(restored(files, tmp_path, weights, model, pixels=128), kind="restored") as file:
        assert np.isfinite(read_array(file, "single")).all()


@pytest.mark.parametrize(
    "model", [{"kind": "lpet"}, {"kind": "gaussian"}, UNET, SAMPLED], ids=lambda m: m["kind"]
)
def test_every_kind_is_fitted_and_restores_the_test_slices(files, tmp_path, model):
    weights, log = fitted(files, tmp_path, model)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["card.md", "log.csv", "weights.safetensors"]
    with log.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ([] if model["kind"] in ("lpet", "gaussian") else ["2", "4"])

    with open_hdf5(restored(files, tmp_path, weights, model), kind="restored") as file:
        arrays = {name: read_array(file, name) for name in file if name != "key"}
        assert set(arrays) == (
            {"single", "mean", "standard_deviation"} if model is SAMPLED else {"single"}
        )
        assert read_attribute(file, "samples") == (3 if model is SAMPLED else 1)
        assert read_attribute(file, "lineage") == LINEAGE
        assert read_attribute(file, "replicate") == "0"
        with h5py.File(files["test"]) as test:
            assert read_strings(file, "key") == [key.decode() for key in test["key"]]
            low = test["low"][()]
    for images in arrays.values():
        assert images.shape == low.shape
        assert images.dtype == np.float32
        assert images.min() >= 0
        outside = images.copy()
        outside[:, 8:56, 8:56] = 0
        assert not outside.any()
    # Original units: these images are of order 100, networks see order 1.
    assert 10 < arrays["single"][:, 16:48, 16:48].mean() < 100
    if model["kind"] == "lpet":
        np.testing.assert_allclose(arrays["single"][:, 8:56, 8:56], low[:, 8:56, 8:56], rtol=1e-5)


def test_the_low_dose_image_restores_without_weights(files, tmp_path):
    weights, _ = fitted(files, tmp_path, {"kind": "lpet"})
    arrays = []
    for number, given in enumerate((weights, None)):
        with open_hdf5(
            restored(files, tmp_path / str(number), given, {"kind": "lpet"}), kind="restored"
        ) as file:
            arrays.append(read_array(file, "single"))
            assert read_attribute(file, "lineage") == LINEAGE
    np.testing.assert_array_equal(*arrays)


@pytest.mark.parametrize("model", [{"kind": "gaussian"}, UNET], ids=lambda m: m["kind"])
def test_a_method_that_is_fitted_is_refused_without_weights(files, tmp_path, model):
    with pytest.raises(InputError, match="restore of m: --in lacks weights=PATH, which `fit` makes"):
        restored(files, tmp_path, None, model)
    assert not list(tmp_path.iterdir())


MUNET = {"kind": "munet", "channels": (4, 8), "convolutions": 1}


@pytest.mark.parametrize("lacking", ["train", "validation", "test"])
def test_a_method_that_needs_t1_is_refused_where_slices_have_none(files, tmp_path, lacking):
    given = {**files, lacking: write_packed(tmp_path / "part.h5", split=lacking, without_t1=(2, 3))}
    said = (
        r"part\.h5: 2 of 6 slices have no T1, the first is '00_s2_r0', and method m needs one\. Leave "
        r"the method out of this data set, or restore it with the variant without T1 "
        r"\(inputs: \['low'\]\), trained on PET alone\."
    )
    with pytest.raises(InputError, match=said):
        restored(given, tmp_path, fitted(given, tmp_path, MUNET)[0], MUNET)
    assert not (tmp_path / "restored2.h5").exists()
    assert (tmp_path / "weights.safetensors").exists() == (lacking == "test")


def test_a_method_that_cannot_do_without_t1_says_why(files, tmp_path):
    given = {**files, "train": write_packed(tmp_path / "part.h5", without_t1=(0,))}
    said = (
        r"method m cannot do without \(refused: it fuses the features of two encoders, one of PET and "
        r"one of T1\)\. Leave the method out of this data set\."
    )
    with pytest.raises(InputError, match=said):
        fitted(given, tmp_path, {"kind": "hinet", "channels": 4, "discriminator_channels": 4})


@pytest.mark.parametrize(
    "model", [{"kind": "lpet"}, {"kind": "gaussian"}, UNET], ids=lambda m: m["kind"]
)
def test_a_method_that_never_looks_at_t1_restores_the_same_without(files, tmp_path, model):
    images = []
    for name, rows in (("whole", ()), ("lacking", (0, 2, 3))):
        given = write_splits(tmp_path / name, slices=4, without_t1=rows)
        weights, _ = fitted(given, tmp_path / name, model)
        with open_hdf5(restored(given, tmp_path / name, weights, model), kind="restored") as file:
            images.append(read_array(file, "single"))
    np.testing.assert_array_equal(*images)


def test_data_too_large_for_the_device_train_the_same_weights(files, tmp_path, monkeypatch):
    kinds = []

    def watched(method, *, batches, **others):
        kinds.append(type(batches))
        return train(method, batches=batches, **others)

    monkeypatch.setattr("quietpet.training.loop.train", watched)
    needed = ResidentBatches.bytes(PairDataset(files["train"]))
    weights = []
    for free in (4 * needed, 4 * needed - 1):
        monkeypatch.setattr(fitting, "free_bytes", lambda _, free=free: free)
        weights.append(read_tensors(fitted(files, tmp_path / str(free), UNET)[0])[0])
    assert kinds == [ResidentBatches, StepBatches]
    for name, tensor in weights[0].items():
        assert torch.equal(weights[1][name], tensor), name


class Killed(Exception):
    """In place of a kill."""


def killed_at(step, monkeypatch):
    class Failing(ResidentBatches):
        def __getitem__(self, wanted):
            if wanted == step:
                raise Killed
            return super().__getitem__(wanted)

    monkeypatch.setattr(fitting, "ResidentBatches", Failing)


def test_outputs_appear_when_a_training_has_ended(files, tmp_path, monkeypatch, caplog):
    """Until then its log tells how it goes: an interrupted job leaves a checkpoint and no output."""
    caplog.set_level("INFO")
    with monkeypatch.context() as patch:
        killed_at(4, patch)
        with pytest.raises(Killed):
            fitted(files, tmp_path, UNET)
    (left,) = (path.name for path in tmp_path.iterdir())
    assert left.startswith(".weights.safetensors.checkpoint-")
    _, log = fitted(files, tmp_path, UNET)
    with log.open(newline="") as stream:
        row, last = csv.DictReader(stream)
    assert [row["step"], last["step"]] == ["2", "4"]
    assert caplog.text.count("step 2, ") == 1
    assert (
        f"step 2, loss {float(row['loss']):.6g}, validation {float(row['validation']):.6g}"
        in caplog.text
    )


def test_a_training_is_followed_in_tensorboard(files, tmp_path, monkeypatch):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("QUIETPET_TENSORBOARD", str(tmp_path / "events"))
    with monkeypatch.context() as patch:
        killed_at(4, patch)
        with pytest.raises(Killed):
            fitted(files, tmp_path, UNET)
    _, log = fitted(files, tmp_path, UNET)
    found = events.EventAccumulator(str(tmp_path / "events" / "phantom" / "low" / "m" / "0")).Reload()
    with log.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for name in ("loss", "validation", "learning_rate", "slices_per_s"):
        scalars = found.Scalars(name)
        assert [each.step for each in scalars] == [2, 4]
        assert [each.value for each in scalars] == pytest.approx([float(row[name]) for row in rows])


def test_tensorboard_that_is_not_installed(files, tmp_path, monkeypatch):
    module = "lightning_fabric.loggers.tensorboard"
    for name in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(f"{module}.{name}", False)
    monkeypatch.setenv("QUIETPET_TENSORBOARD", str(tmp_path / "events"))
    with pytest.raises(InputError, match="TensorBoard is not installed: pip install"):
        fitted(files, tmp_path, UNET)


def test_the_sampler_does_not_matter_to_a_training(files, tmp_path):
    """Of 1000 steps as of 2: validation draws samples in a few of its own."""
    weights = []
    for sampler, steps in (("ddpm", 1000), ("ddim", 2)):
        model = {**MFDIFF, "timesteps": 1000, "sampler": sampler, "sampling_steps": steps}
        weights.append(read_tensors(fitted(files, tmp_path / sampler, model)[0])[0])
    for name, tensor in weights[0].items():
        assert torch.equal(weights[1][name], tensor), name


def test_the_card_says_what_the_weights_are(files, tmp_path):
    weights, _ = fitted(files, tmp_path, UNET)
    card = (tmp_path / "card.md").read_text()
    assert f"; {read_tensors(weights)[1]['parameters']:,} parameters." in card
    assert card.startswith("# m, trained for phantom/low, replicate 0\n\nunet: regression from low")
    with (tmp_path / "log.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    best = min(rows, key=lambda row: float(row["nmse"]))
    assert (
        f"Weights of step {best['step']} of 4, that of the least NMSE of restored validation slices"
        in card
    )
    assert f"{float(best['nmse']):.6g}" in card
    for text in (
        "training: phantom/low, 5 slices of 1 subject(s) (00), 64 x 64 pixels of 2.086 mm; "
        "data_source template, projector embedded",
        "validation: phantom/low, 5 slices of 1 subject(s) (01)",
        "no medical device",
        "`learning_rate`: 0.001",
        "`inputs`: ['low']",
        "torch 2.",
    ):
        assert text in card, text


def test_the_card_of_a_filter_tells_of_no_training(files, tmp_path):
    fitted(files, tmp_path, {"kind": "gaussian"})
    card = (tmp_path / "card.md").read_text()
    assert "Nothing is learned by gradient" in card
    assert "learning_rate" not in card


def with_instructions(monkeypatch, *names, architecture="x86_64"):
    there = {"architecture": architecture, "cpu_name": "a CPU", **dict.fromkeys(names, True)}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: there)


@pytest.mark.parametrize(
    ("precision", "instructions"),
    [
        ("bf16-mixed", ("avx512_bf16", "amx_bf16")),
        ("16-mixed", ("avx512_fp16", "amx_fp16")),
        ("32-true", ()),
    ],
)
def test_sixteen_bits_want_a_processor_that_has_them(monkeypatch, precision, instructions):
    def require(device="cpu"):
        require_precision(precision, torch.device(device), key="training.precision")

    for name in instructions:
        with_instructions(monkeypatch, name)
        require()
    with_instructions(monkeypatch, "avx512_vnni")
    require("cuda")
    if instructions:
        with pytest.raises(
            InputError, match=rf"training\.precision = '{precision}'.*has none of .*32-true"
        ):
            require()
    with_instructions(monkeypatch, architecture="aarch64")  # whose names torch does not tell
    require()


def test_sixteen_bits_are_refused_before_the_work(files, tmp_path, monkeypatch):
    weights, _ = fitted(files, tmp_path, UNET)
    with_instructions(monkeypatch)
    with pytest.raises(InputError, match=r"inference\.precision = 'bf16-mixed'"):
        restored(files, tmp_path, weights, UNET, precision="bf16-mixed")
    half = TRAINING.model_copy(update={"precision": "bf16-mixed"})
    monkeypatch.setitem(globals(), "TRAINING", half)
    with pytest.raises(InputError, match=r"training\.precision = 'bf16-mixed'"):
        fitted(files, tmp_path / "half", UNET)
    fitted(files, tmp_path / "half", {"kind": "gaussian"})  # has no network


def test_batch_normalisation_wants_more_than_one_slice(files, tmp_path, monkeypatch):
    normalised = {**UNET, "normalisation": "batch"}
    monkeypatch.setitem(globals(), "TRAINING", TRAINING.model_copy(update={"batch_size": 1}))
    with pytest.raises(InputError, match=r"methods\.m normalises by batches.*batch_size = 1 must be 2"):
        fitted(files, tmp_path, normalised)
    for batch_size, processes, least in ((2, 2, 4), (4, 4, 8), (6, 4, 8)):
        changed = TRAINING.model_copy(update={"batch_size": batch_size})
        monkeypatch.setitem(globals(), "TRAINING", changed)
        monkeypatch.setenv("QUIETPET_PROCESSES", str(processes))
        said = rf"batch_size = {batch_size}, shared by {processes} processes, must be {least} or more"
        with pytest.raises(InputError, match=said):
            fitted(files, tmp_path, normalised)


def test_networks_run_in_bfloat16_on_request(files, tmp_path, monkeypatch):
    """Eight bits of mantissa: each number is rounded by up to 0.4 %. A filter stays exact."""
    with_instructions(monkeypatch, "avx512_bf16")  # a few images are not slow without it
    for model, exact in ((UNET, False), (SAMPLED, False), ({"kind": "gaussian"}, True)):
        folder = tmp_path / model["kind"]
        weights, _ = fitted(files, folder, model)
        with h5py.File(restored(files, folder, weights, model)) as file:
            full = file["single"][()]
        with h5py.File(restored(files, folder, weights, model, precision="bf16-mixed")) as file:
            half = file["single"][()]
        assert half.dtype == np.float32
        assert np.array_equal(half, full) == exact
        assert np.linalg.norm(half - full) < 0.02 * np.linalg.norm(full)


def test_batch_size_changes_no_restored_image(files, tmp_path):
    weights, _ = fitted(files, tmp_path, SAMPLED)
    one, five = (restored(files, tmp_path, weights, SAMPLED, batch_size=size) for size in (1, 5))
    with h5py.File(one) as first, h5py.File(five) as second:
        for name in ("single", "mean", "standard_deviation"):
            np.testing.assert_allclose(first[name][()], second[name][()], atol=1e-3)


def test_samples_of_other_slices_and_numbers_differ(files, tmp_path):
    weights, _ = fitted(files, tmp_path, SAMPLED)
    with h5py.File(restored(files, tmp_path, weights, SAMPLED)) as file:
        assert file["standard_deviation"][:, 24:40, 24:40].min() > 0


def test_mean_and_standard_deviation_are_those_of_the_samples(files, tmp_path):
    weights, _ = fitted(files, tmp_path, SAMPLED)
    settings = TypeAdapter(AnyMethodSettings).validate_python(SAMPLED)
    method, _ = load_weights(weights, settings)
    (batch,) = central_batches(PairDataset(files["test"]), pixels=48, batch_size=5)
    with torch.inference_mode():
        samples = np.stack([
            method.restore(
                batch,
                [torch_generator(1, "phantom", "low", "m", "0", key, "sample", k) for key in batch.keys],
            )[:, 0].numpy() * batch.scale[:, None, None].numpy()
            for k in range(settings.samples)
        ])  # fmt: skip
    with h5py.File(restored(files, tmp_path, weights, SAMPLED, batch_size=5)) as file:
        single, mean, deviation = (
            file[n][:, 8:56, 8:56] for n in ("single", "mean", "standard_deviation")
        )
    np.testing.assert_allclose(single, samples[0].clip(min=0), rtol=1e-5)
    np.testing.assert_allclose(mean, samples.mean(axis=0).clip(min=0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(deviation, samples.std(axis=0, ddof=1), rtol=1e-3, atol=1e-3)
    assert (samples < 0).any()  # so that clipping before averaging would show


def test_weights_of_another_data_source_are_refused(files, tmp_path):
    weights, _ = fitted(files, tmp_path, UNET)
    with h5py.File(files["test"], "r+") as file:
        lineage = file.attrs["lineage"]
        file.attrs["lineage"] = '{"data_source": "brainweb", "projector": "embedded"}'
    try:
        with pytest.raises(InputError, match="cannot enter one data set"):
            restored(files, tmp_path, weights, UNET)
    finally:
        with h5py.File(files["test"], "r+") as file:
            file.attrs["lineage"] = lineage


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_slices_of_another_split_are_refused(files, tmp_path, split):
    """A network that is tested on what it learned from is better than it should be."""
    other = {"train": "test", "validation": "train", "test": "train"}[split]
    swapped = {**files, split: files[other]}
    with pytest.raises(InputError, match=rf"{other}\.h5: holds the split '{other}', but '{split}'"):
        restored(swapped, tmp_path, fitted(swapped, tmp_path, UNET)[0], UNET)


def test_an_unknown_device_is_refused(files, tmp_path, monkeypatch):
    monkeypatch.setenv("QUIETPET_DEVICE", "abacus")
    with pytest.raises(InputError, match="QUIETPET_DEVICE='abacus'"):
        fitted(files, tmp_path, UNET)


def test_a_square_that_cuts_a_head_is_refused(files, tmp_path):
    weights, _ = fitted(files, tmp_path, {"kind": "lpet"})
    with pytest.raises(InputError, match=r"inference\.pixels = 32 would cut the heads .* reach over"):
        restored(files, tmp_path, weights, {"kind": "lpet"}, pixels=32)


def test_a_damaged_data_set_is_one_sentence(files, tmp_path, capsys):
    """Through the command line, as a user meets it: no traceback, no output."""
    damaged = tmp_path / "test.h5"
    content = bytearray(files["test"].read_bytes())
    with h5py.File(files["test"]) as file:
        chunk = file["low"].id.get_chunk_info(3)
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    damaged.write_bytes(content)
    weights, _ = fitted(files, tmp_path, {"kind": "lpet"})
    names = {"dataset": "phantom", "setting": "low", "method": "m", "replicate": "0"}
    job = RestoreJob(
        study_seed=1,
        **names,
        learning="-",
        model={"kind": "lpet"},
        inference=InferenceSettings(pixels=48),
    )
    arguments = ["restore", "--settings", job.model_dump_json(), "--in", f"weights={weights}"]
    target = tmp_path / "restored.h5"
    assert main([*arguments, f"test={damaged}", "--out", f"restored={target}"]) == 1
    message = capsys.readouterr().err
    assert "test.h5: damaged" in message
    assert "Traceback" not in message
    assert not target.exists()
