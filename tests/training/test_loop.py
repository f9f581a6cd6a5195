from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from packed import write_packed

from quietpet.config import TrainingSettings
from quietpet.data.batches import StepBatches, central_batches
from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.methods.blocks.fusion_settings import FusionSettings
from quietpet.methods.mfdiff.settings import DenoiserSettings
from quietpet.methods.mfdiff.settings import Settings as DiffusionSettings
from quietpet.methods.registry import build
from quietpet.methods.unet.settings import Settings as UNetSettings
from quietpet.training.checkpoint import Checkpoint
from quietpet.training.loop import learning_rate, train

UNET = UNetSettings(inputs=("low", "t1"), features=(4, 4, 8, 8, 8, 4), normalisation="batch")
MFDIFF = DiffusionSettings(
    fusion=FusionSettings(channels=4, heads=2, encoder_blocks=1),
    denoiser=DenoiserSettings(
        channels=(4, 8), attention=(False, False), res_blocks=1, norm_groups=4, head_channels=8
    ),
    prediction="residual",
)
NAMES = ("phantom", "low", "method", "0")
SETTINGS = TrainingSettings(
    iterations=9, batch_size=2, learning_rate=1e-3, schedule="cosine", patch_pixels=16, flip=True,
    gradient_clip=1.0, validate_every=3,
)  # fmt: skip


class Interrupted(Exception):
    """Raised in place of a power cut."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return [
        write_packed(folder / f"{split}.h5", split=split, slices=5, pixels=32, seed=seed)
        for seed, split in enumerate(("train", "validation"))
    ]


def run(files, weights: Path, *, model=UNET, settings=SETTINGS, batches=None, workers=0, digest="abc"):
    pairs, held_out = map(PairDataset, files)
    batches = batches or StepBatches
    torch.manual_seed(5)
    method = build(model)
    checkpoint = Checkpoint(weights, digest=digest)
    rows = train(
        method,
        batches=batches(
            pairs,
            study_seed=1,
            names=NAMES,
            batch_size=settings.batch_size,
            patch_pixels=settings.patch_pixels,
            flip=settings.flip,
        ),
        validation=list(central_batches(held_out, pixels=32, batch_size=2)),
        settings=settings,
        study_seed=1,
        names=NAMES,
        checkpoint=checkpoint,
        device=torch.device("cpu"),
        workers=workers,
    )
    return method, rows


def interrupt_at(step):
    class Failing(StepBatches):
        def __getitem__(self, wanted):
            if wanted == step:
                raise Interrupted
            return super().__getitem__(wanted)

    return Failing


def assert_same_weights(one, other):
    for (name, expected), found in zip(
        one.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(found, expected), name


def without_speed(rows):
    return [(row.step, row.loss, row.validation, row.learning_rate) for row in rows]


@pytest.mark.parametrize("model", [UNET, MFDIFF], ids=["unet", "mfdiff"])
@pytest.mark.parametrize("interruptions", [(1,), (4,), (5, 9)])
def test_resuming_gives_bit_identical_weights(files, tmp_path, model, interruptions):
    whole, whole_rows = run(files, tmp_path / "whole.safetensors", model=model)
    for step in interruptions:
        with pytest.raises(Interrupted):
            run(files, tmp_path / "cut.safetensors", model=model, batches=interrupt_at(step))
    resumed, resumed_rows = run(files, tmp_path / "cut.safetensors", model=model)
    assert_same_weights(whole, resumed)
    assert without_speed(resumed_rows) == without_speed(whole_rows)


def test_worker_processes_change_nothing(files, tmp_path):
    alone, _ = run(files, tmp_path / "alone.safetensors")
    helped, _ = run(files, tmp_path / "helped.safetensors", workers=2)
    assert_same_weights(alone, helped)


def test_training_lowers_the_validation_loss_and_keeps_the_best(files, tmp_path):
    settings = SETTINGS.model_copy(update={"iterations": 60, "validate_every": 10})
    method, rows = run(files, tmp_path / "a.safetensors", settings=settings)
    assert [row.step for row in rows] == [10, 20, 30, 40, 50, 60]
    assert rows[-1].validation < rows[0].validation
    held_out = list(central_batches(PairDataset(files[1]), pixels=32, batch_size=5))
    with torch.inference_mode():
        loss = float(method.eval().loss(held_out[0], "network", torch.Generator()))
    assert loss == pytest.approx(min(row.validation for row in rows), rel=1e-4)


def test_a_diverging_loss_is_explained(files, tmp_path):
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30, "gradient_clip": None})
    with pytest.raises(
        InputError, match=r"the loss is (nan|inf) at step \d+\. Lower training.learning_rate"
    ):
        run(files, tmp_path / "a.safetensors", settings=settings)


def test_a_checkpoint_of_another_network_names_its_first_wrong_tensor(files, tmp_path):
    weights = tmp_path / "a.safetensors"
    with pytest.raises(Interrupted):
        run(files, weights, batches=interrupt_at(5))
    wider = UNET.model_copy(update={"features": (4, 4, 8, 8, 8, 8)})
    message = r"checkpoint-abc\.safetensors: 'network\.\S+' is \[.*\], this network needs \[.*Delete it"
    with pytest.raises(InputError, match=message):
        run(files, weights, model=wider)


def test_a_checkpoint_of_another_job_is_not_found_and_is_cleared(files, tmp_path):
    weights = tmp_path / "a.safetensors"
    with pytest.raises(Interrupted):
        run(files, weights, batches=interrupt_at(5), digest="old")
    fresh, _ = run(files, weights, digest="new")
    whole, _ = run(files, tmp_path / "b.safetensors")
    assert_same_weights(fresh, whole)
    Checkpoint(weights, digest="new").remove()
    assert [path.name for path in tmp_path.iterdir() if "a.safe" in path.name] == []
    assert any("b.safe" in path.name for path in tmp_path.iterdir())


def test_a_checkpoint_renamed_to_another_job_is_refused(files, tmp_path):
    weights = tmp_path / "a.safetensors"
    with pytest.raises(Interrupted):
        run(files, weights, batches=interrupt_at(5), digest="old")
    old, new = (Checkpoint(weights, digest=digest).path for digest in ("old", "new"))
    old.rename(new)
    with pytest.raises(InputError, match="made with other settings, code or data"):
        run(files, weights, digest="new")


def test_a_method_without_parameters_is_tuned_only(files, tmp_path):
    from quietpet.methods.gaussian.settings import Settings

    method, rows = run(files, tmp_path / "a.safetensors", model=Settings())
    assert rows == ()
    assert float(method.fwhm_mm) > 0
    assert list(tmp_path.iterdir()) == []


def test_the_cosine_schedule_falls_from_the_peak_to_almost_zero():
    settings = SETTINGS.model_copy(update={"iterations": 100})
    rates = [learning_rate(step, settings) / settings.learning_rate for step in range(1, 101)]
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.5 * (1 + math.cos(0.99 * math.pi)))
    assert rates == sorted(rates, reverse=True)
    constant = settings.model_copy(update={"schedule": "constant"})
    assert learning_rate(77, constant) == settings.learning_rate


@pytest.mark.parametrize("model", [UNET, MFDIFF], ids=["unet", "mfdiff"])
def test_mixed_precision_trains_float32_weights(files, tmp_path, model):
    mixed = SETTINGS.model_copy(update={"precision": "bf16-mixed", "iterations": 3})
    full = SETTINGS.model_copy(update={"iterations": 3})
    method, rows = run(files, tmp_path / "mixed.safetensors", model=model, settings=mixed)
    _, expected = run(files, tmp_path / "full.safetensors", model=model, settings=full)
    assert all(parameter.dtype == torch.float32 for parameter in method.parameters())
    assert rows[0].loss != expected[0].loss
    assert rows[0].loss == pytest.approx(expected[0].loss, rel=0.02)
