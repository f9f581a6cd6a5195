"""The stages ``plan`` and ``sampling`` on small files in the real schema."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from packed import LINEAGE, write_packed
from pydantic import ValidationError
from small_networks import RESIDUAL_MFDIFF

from quietpet.config.networks import InferenceSettings
from quietpet.config.planner import PlannerSettings
from quietpet.data.batches import central_batches
from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.sections import read_section
from quietpet.files.text import read_json
from quietpet.jobs.methods import PlanJob, SamplingJob
from quietpet.methods.mfdiff.settings import Settings
from quietpet.methods.registry import build
from quietpet.seeds import torch_generator
from quietpet.stages import plan, sampling
from quietpet.training.weights import save_weights

pytestmark = pytest.mark.usefixtures("on_the_cpu")

NAMES = {"dataset": "phantom", "setting": "low", "method": "m", "replicate": "r0"}
MODEL = Settings.model_validate(
    {
        **RESIDUAL_MFDIFF,
        "timesteps": 10,
        "sampling_steps": 2,
        "sampler": "ddim",
    }
)
PLANNER = PlannerSettings(slices=3, samples_per_slice=2, evaluations=(1, 4))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    validation = write_packed(folder / "validation.h5", split="validation", slices=5, seed=1)
    torch.manual_seed(0)
    method = build(MODEL)
    for parameter in method.denoiser.out.parameters():  # starts at 0: all samplers would agree
        torch.nn.init.normal_(parameter, std=0.3)
    weights = folder / "weights.safetensors"
    save_weights(weights, method, settings=MODEL, lineage=LINEAGE, provenance={})
    return Files({"weights": [weights], "validation": [validation]})


def planned(inputs, folder, *, batch_size=2, planner=PLANNER, model=MODEL, **names):
    inference = InferenceSettings(pixels=48, batch_size=batch_size)
    job = PlanJob(
        **{**NAMES, **names},
        study_seed=3,
        model=model,
        inference=inference,
        planner=planner,
        paper_window_pixels=48,
    )
    target = folder / "plan.json"
    plan.run(job, inputs, Files({"plan": [target]}))
    return target


@pytest.fixture(scope="module")
def record(inputs, tmp_path_factory, on_the_cpu):
    return read_json(planned(inputs, tmp_path_factory.mktemp("planned")))


def test_the_reference_is_measured_as_by_hand(inputs, record):
    reference = record["rows"][0]
    assert (reference["sampler"], reference["steps"], reference["evaluations"]) == ("ddpm", 10, 10)

    full = MODEL.model_copy(update={"sampler": "ddpm", "sampling_steps": 10})
    method = build(full)
    method.load_state_dict(plan.load_weights(inputs.one("weights"), full)[0].state_dict())
    method.eval()
    pairs = PairDataset(inputs.one("validation"))
    (whole,) = central_batches(pairs, pixels=48, batch_size=5)
    psnr, squares = [], []
    for row in (0, 2, 4):  # the middles of three equal parts of five rows
        (batch,) = central_batches(pairs, pixels=48, batch_size=1, rows=[row])
        assert torch.equal(batch.low[0], whole.low[row])
        names = ("phantom", "low", "m", "r0", "plan", pairs.keys[row])
        images = []
        for sample in range(2):
            with torch.inference_mode():
                drawn = method.restore(batch, [torch_generator(3, *names, sample)])
            image = np.zeros((64, 64))
            image[8:56, 8:56] = np.maximum(drawn[0, 0].numpy() * pairs[row].scale, 0)
            images.append(image)
            rows, columns = np.nonzero(pairs[row].head)
            box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            error = np.mean((image[box] - pairs[row].standard[box]) ** 2)
            psnr.append(10 * np.log10(pairs[row].standard.max() ** 2 / error))
        squares.append(((images[0] - images[1]) ** 2 / 2)[pairs[row].head])
    assert record["slices"] == [pairs.keys[row] for row in (0, 2, 4)]
    assert reference["psnr_db"] == pytest.approx(np.mean(psnr), abs=1e-4)
    activity = np.mean([pairs[row].standard[pairs[row].head].mean() for row in (0, 2, 4)])
    spread = 100 * np.sqrt(np.mean(np.concatenate(squares))) / activity
    assert reference["spread_percent"] == pytest.approx(spread, rel=1e-3)


def test_every_sampler_is_measured_at_every_effort(record):
    found = [(row["sampler"], row["spacing"], row["evaluations"]) for row in record["rows"][1:]]
    curves = [("ddpm", "uniform"), ("ddpm", "quadratic"), ("ddim", "uniform"), ("ddim", "quadratic")]
    curves += [("dpmpp_2m", "log_snr"), ("heun", "quadratic")]
    # Heun's cannot use the fourth evaluation.
    assert found == [(*c, n) for c in curves for n in ((1, 3) if c[0] == "heun" else (1, 4))]
    # One deterministic stride is the same, whatever it is called and however it is spaced.
    single = [row["psnr_db"] for row in record["rows"] if row["evaluations"] == 1]
    np.testing.assert_allclose(single, single[0], rtol=1e-6)


def test_batch_size_changes_nothing(inputs, record, tmp_path):
    other = read_json(planned(inputs, tmp_path, batch_size=3))
    for row, same in zip(record["rows"], other["rows"], strict=True):
        assert row["psnr_db"] == pytest.approx(same["psnr_db"], abs=1e-3)


def test_noise_is_that_of_the_training_whatever_the_row_is_called(inputs, tmp_path):
    few = PlannerSettings(slices=1, evaluations=(2,))
    names = ({}, {"method": "other", "trained_as": "m"}, {"method": "other"})
    own, shared, apart = (
        [row["psnr_db"] for row in read_json(planned(inputs, tmp_path, planner=few, **each))["rows"]]
        for each in names
    )
    assert shared == own
    assert apart != own


def test_table_page_and_figure(inputs, tmp_path):
    path = planned(inputs, tmp_path, planner=PlannerSettings(slices=1, evaluations=(2,)))
    targets = {name: [tmp_path / name] for name in ("table", "section", "figure", "svg")}
    sampling.run(SamplingJob(), Files({"plan": [path]}), Files(targets))
    with targets["table"][0].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    wanted = read_json(path)["rows"]
    assert [float(row["psnr_db"]) for row in rows] == pytest.approx([r["psnr_db"] for r in wanted], 1e-5)
    (shown,) = read_section(targets["section"][0]).tables
    assert shown.caption.startswith("`m`: ")
    assert shown.caption.endswith("tolerance 0.1 dB")
    assert targets["figure"][0].read_bytes().startswith(b"\x89PNG")


def test_more_slices_than_there_are(inputs, tmp_path):
    with pytest.raises(InputError, match=r"planner\.slices = 9, but .* holds 5 slices"):
        planned(inputs, tmp_path, planner=PlannerSettings(slices=9))


def test_methods_without_sampling_have_no_plan(inputs, tmp_path):
    with pytest.raises(ValidationError, match="'lpet' is no diffusion method"):
        planned(inputs, tmp_path, model={"kind": "lpet"})
