from __future__ import annotations

import math
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from packed import write_packed

from quietpet.config.fusion import FusionSettings
from quietpet.config.networks import EmaSettings, OptimiserSettings, TrainingSettings
from quietpet.data.batches import StepBatches, central_batches, central_window
from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.files.tensors import read_tensors
from quietpet.methods.base import Restorer
from quietpet.methods.cncl.settings import Settings as CNCLSettings
from quietpet.methods.eagan.settings import Settings as EaGANSettings
from quietpet.methods.mfdiff.settings import DenoiserSettings
from quietpet.methods.mfdiff.settings import Settings as DiffusionSettings
from quietpet.methods.registry import build
from quietpet.methods.unet.settings import Settings as UNetSettings
from quietpet.training.checkpoint import Checkpoint
from quietpet.training.ema import share_of_newest
from quietpet.training.loop import train
from quietpet.training.optimiser import adam, learning_rate
from quietpet.training.processes import start
from quietpet.training.validation import HeldOut

UNET = UNetSettings(inputs=("low", "t1"), features=(4, 4, 8, 8, 8, 4), normalisation="batch")
MFDIFF = DiffusionSettings(
    fusion=FusionSettings(channels=4, heads=2, encoder_blocks=1),
    denoiser=DenoiserSettings(
        channels=(4, 8), attention=(False, False), res_blocks=1, norm_groups=4, head_channels=8
    ),
    diffused="residual",
    prediction="x0",
).for_training()
SMALL = {"widths": (4, 8), "discriminator_widths": (4, 8)}
EAGAN, CNCL = EaGANSettings(**SMALL, sobel_ramp_iterations=6), CNCLSettings(**SMALL)
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


def run(
    files,
    weights: Path,
    *,
    model=UNET,
    settings=SETTINGS,
    slices=0,
    batches=None,
    workers=0,
    digest="abc",
):
    """``slices`` validation slices are restored."""
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
        restored=list(central_batches(held_out, pixels=32, batch_size=2, rows=range(slices))),
        settings=settings,
        study_seed=1,
        names=NAMES,
        checkpoint=checkpoint,
        fabric=start(settings, torch.device("cpu")),
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
    return [(row.step, row.loss, row.validation, row.nmse, row.learning_rate) for row in rows]


class OneLayer(Restorer):
    """A convolution, and whether each of its training steps was compiled."""

    def __init__(self, compiled):
        super().__init__()
        self.network = torch.nn.Conv2d(1, 1, 3, padding="same")
        self._compiled = compiled

    def groups(self):
        return {"network": list(self.network.parameters())}

    def loss(self, batch, group, generator):
        if self.training:
            self._compiled.append(self.network._compiled_call_impl is not None)
        return (self.network(batch.low) - batch.standard).square().mean()

    def restore(self, batch, generators):
        return self.network(batch.low)


def with_settings(**changed):
    return TrainingSettings(**{**SETTINGS.model_dump(), **changed})


POWER = {"profile": "power", "relative_width": 0.1}
MEASURES = {
    "plain": SETTINGS,
    "power-average": with_settings(ema=POWER, warmup_iterations=4),
    "exponential-average": with_settings(ema={"profile": "exponential"}, channels_last=True),
    "float16": with_settings(precision="16-mixed"),
    "bfloat16": with_settings(precision="bf16-mixed", ema=POWER),
}


def resumed():
    """Of one network, and of two that learn from each other."""
    everything = [("plain", (1,)), ("plain", (4,)), *((measure, (5, 9)) for measure in MEASURES)]
    two = [(measure, (5,)) for measure in ("plain", "power-average", "float16")]
    chosen = [(UNET, everything), (MFDIFF, everything), (EAGAN, two), (CNCL, two)]
    return [
        pytest.param(model, *case, id=f"{model.kind}-{case[0]}-{case[1][0]}")
        for model, cases in chosen
        for case in cases
    ]


@pytest.mark.parametrize(("model", "measure", "interruptions"), resumed())
def test_resuming_gives_bit_identical_weights(files, tmp_path, model, measure, interruptions):
    chosen = {"model": model, "settings": MEASURES[measure], "slices": 2}
    whole, whole_rows = run(files, tmp_path / "whole.safetensors", **chosen)
    for step in interruptions:
        with pytest.raises(Interrupted):
            run(files, tmp_path / "cut.safetensors", **chosen, batches=interrupt_at(step))
    resumed, resumed_rows = run(files, tmp_path / "cut.safetensors", **chosen)
    assert_same_weights(whole, resumed)
    assert without_speed(resumed_rows) == without_speed(whole_rows)


def terminate_at(*steps):
    """SIGTERM while the batch of each of ``steps`` is loaded, as often as a scheduler likes."""

    class Terminating(StepBatches):
        def __getitem__(self, wanted):
            if wanted in steps:
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGTERM)
            return super().__getitem__(wanted)

    return Terminating


def state_of(weights):
    """What the checkpoint beside ``weights`` records: validations, and steps since the last one."""
    _, record = read_tensors(Checkpoint(weights, digest="abc").path)
    return [row["step"] for row in record["rows"]], record["since"]["span"]["steps"]


@pytest.mark.parametrize(
    ("model", "measure"),
    [
        (UNET, "plain"),
        (UNET, "exponential-average"),
        (MFDIFF, "power-average"),
        (EAGAN, "float16"),
        (CNCL, "power-average"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.kind,
)
def test_sigterm_ends_a_training_after_the_step_under_way(files, tmp_path, model, measure):
    """It goes on from there: the means of the log are of all steps, too."""
    chosen = {"model": model, "settings": MEASURES[measure], "slices": 2}
    whole, whole_rows = run(files, tmp_path / "whole.safetensors", **chosen)
    cut, handler = tmp_path / "cut.safetensors", signal.getsignal(signal.SIGTERM)
    for step, state in ((2, ([], 2)), (4, ([3], 1)), (6, ([3], 3)), (9, ([3, 6], 3))):
        with pytest.raises(SystemExit) as ended:
            run(files, cut, **chosen, batches=terminate_at(step))
        assert ended.value.code == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is handler
        assert state_of(cut) == state
    resumed, resumed_rows = run(files, cut, **chosen)
    assert_same_weights(whole, resumed)
    assert without_speed(resumed_rows) == without_speed(whole_rows)
    for row in resumed_rows:
        assert row.slices_per_s == pytest.approx(row.iterations_per_s * SETTINGS.batch_size)


@pytest.mark.parametrize("ema", [{}, POWER], ids=["plain", "averaged"])
def test_sigterm_breaks_off_a_validation(files, tmp_path, monkeypatch, ema):
    """Samples of a diffusion model may take longer than a scheduler waits."""
    settings = with_settings(ema=ema)
    whole, whole_rows = run(files, tmp_path / "whole.safetensors", settings=settings)
    cut = tmp_path / "cut.safetensors"
    with monkeypatch.context() as patched:

        def interrupted(*_):
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("the validation went on")

        patched.setattr(HeldOut, "measure", interrupted)
        for _ in range(2):
            with pytest.raises(SystemExit):
                run(files, cut, settings=settings)
            assert state_of(cut) == ([], 3)
    resumed, resumed_rows = run(files, cut, settings=settings)
    assert_same_weights(whole, resumed)
    assert without_speed(resumed_rows) == without_speed(whole_rows)


def test_sigterm_while_the_last_validation_is_saved_is_not_forgotten(files, tmp_path, monkeypatch):
    whole, _ = run(files, tmp_path / "whole.safetensors")
    save = Checkpoint.save

    def terminated(self, learner, progress):
        save(self, learner, progress)
        if progress.step == SETTINGS.iterations:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", terminated)
        with pytest.raises(SystemExit):
            run(files, tmp_path / "cut.safetensors")
    assert state_of(tmp_path / "cut.safetensors") == ([3, 6, 9], 0)
    resumed, _ = run(files, tmp_path / "cut.safetensors")
    assert_same_weights(whole, resumed)


def test_sigterm_to_all_processes_leaves_those_that_prepare_batches(files, tmp_path):
    class ToAll(StepBatches):
        def __getitem__(self, wanted):
            if wanted == 5:
                for process in (os.getpid(), os.getppid()):
                    os.kill(process, signal.SIGTERM)
            return super().__getitem__(wanted)

    with pytest.raises(SystemExit):
        run(files, tmp_path / "cut.safetensors", batches=ToAll, workers=2)
    rows, since = state_of(tmp_path / "cut.safetensors")
    assert max(rows, default=0) + since < 9
    whole, _ = run(files, tmp_path / "whole.safetensors")
    resumed, _ = run(files, tmp_path / "cut.safetensors", workers=2)
    assert_same_weights(whole, resumed)


def test_a_network_that_is_about_to_diverge_is_not_gone_on_from(files, tmp_path, monkeypatch):
    """The loss of a step is finite, the weights after it are not."""

    class Steep(Biased):
        def loss(self, batch, group, generator):
            return 1 + (0 * self.factor).sqrt()

    monkeypatch.setattr(sys.modules[__name__], "build", lambda _: Steep())
    with pytest.raises(SystemExit):
        run(files, tmp_path / "a", batches=terminate_at(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", [UNET, MFDIFF], ids=["unet", "mfdiff"])
def test_the_memory_order_of_weights_changes_nothing_but_rounding(files, tmp_path, model):
    (_, plain), (_, ordered) = (
        run(
            files,
            tmp_path / f"{channels_last}.safetensors",
            model=model,
            settings=with_settings(channels_last=channels_last),
        )
        for channels_last in (False, True)
    )
    losses = [[(row.loss, row.validation) for row in rows] for rows in (plain, ordered)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


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


@pytest.mark.parametrize("model", [EAGAN, CNCL], ids=["eagan", "cncl"])
def test_of_networks_with_a_discriminator_the_log_shows_the_error_of_images(files, tmp_path, model):
    """A discriminator's opinion rises and falls with the discriminator."""
    settings = with_settings(iterations=60, validate_every=10, schedule="constant", ema=POWER)
    method, rows = run(files, tmp_path / "a.safetensors", model=model, settings=settings, slices=5)
    kept = min(rows, key=lambda row: row.nmse)
    assert kept.nmse < rows[0].nmse
    (held_out,) = central_batches(PairDataset(files[1]), pixels=32, batch_size=5)
    with torch.inference_mode():
        errors = method.eval().restore(held_out, ()) - held_out.standard
    assert float(errors.square().mean()) == pytest.approx(kept.validation, rel=1e-4)


class Biased(Restorer):
    """Restores the low-dose image times a number; its loss falls while its images get worse."""

    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(1.0))

    def groups(self):
        return {"network": [self.factor]}

    def loss(self, batch, group, generator):
        return 10 - self.factor

    def restore(self, batch, generators):
        assert len(generators) == len(batch.keys)
        return self.factor * batch.low


def test_the_weights_that_restore_best_are_kept(files, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "build", lambda _: Biased())
    settings = with_settings(schedule="constant", learning_rate=0.1, validate_every=1)
    factors = [1.0]
    for _ in range(9):  # AdamW of a constant gradient: weight decay, then a step of the whole rate
        factors.append(factors[-1] * (1 - 0.1 * 0.01) + 0.1)
    last, rows = run(files, tmp_path / "last", settings=settings)
    assert all(row.nmse is None for row in rows)
    assert last.factor.item() == pytest.approx(factors[-1], rel=1e-5)

    by_nmse, rows = run(files, tmp_path / "nmse", settings=settings, slices=3)
    pairs = PairDataset(files[1])
    head = central_window(pairs.pixels, 32)

    def nmse(factor):
        restored = [(factor * pairs[row].low[head], pairs[row].standard[head]) for row in range(3)]
        return sum(((x - y) ** 2).sum() / (y**2).sum() for x, y in restored) / 3

    assert [row.nmse for row in rows] == pytest.approx([nmse(each) for each in factors[1:]], rel=1e-4)
    least = min(factors[1:], key=nmse)
    assert by_nmse.factor.item() == pytest.approx(least, rel=1e-5)
    assert least < factors[-1]


def test_a_validation_loss_that_rises_does_not_decide_which_weights_are_kept(
    files, tmp_path, monkeypatch
):
    class Rising(Biased):
        def validation_loss(self, batch, group, generator):
            return 10 + self.factor

    monkeypatch.setattr(sys.modules[__name__], "build", lambda _: Rising())
    settings = with_settings(schedule="constant", learning_rate=0.1, validate_every=1)
    method, rows = run(files, tmp_path / "last", settings=settings)
    losses = [row.validation for row in rows]
    assert losses == sorted(losses)
    assert method.factor.item() == pytest.approx(losses[-1] - 10, rel=1e-5)


def test_a_sample_that_is_not_finite_is_only_not_kept(files, tmp_path, monkeypatch):
    """An untrained diffusion model may draw such samples with all its losses finite."""

    class Late(Biased):
        def restore(self, batch, generators):
            early = self.factor.item() < 1.35
            return super().restore(batch, generators) + (torch.nan if early else 0.0)

    monkeypatch.setattr(sys.modules[__name__], "build", lambda _: Late())
    settings = with_settings(schedule="constant", learning_rate=0.1, validate_every=1)
    with pytest.raises(Interrupted):
        run(files, tmp_path / "a", settings=settings, slices=2, batches=interrupt_at(3))
    method, rows = run(files, tmp_path / "a", settings=settings, slices=2)
    assert [math.isfinite(row.nmse) for row in rows] == [False] * 3 + [True] * 6
    assert method.factor.item() == pytest.approx(1.4, abs=0.01)


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


def test_what_a_killed_training_left_of_a_checkpoint_is_cleared(files, tmp_path):
    """kill -9 gives no time to clean up, and a checkpoint is five times as large as its network."""
    weights = tmp_path / "a.safetensors"
    left = tmp_path / f".{Checkpoint(weights, digest='abc').path.name}.x1y2z3"
    with pytest.raises(Interrupted):
        run(files, weights, batches=interrupt_at(5))
    left.touch()
    with pytest.raises(Interrupted):
        run(files, weights, batches=interrupt_at(8))
    assert not left.exists()
    left.touch()
    Checkpoint(weights, digest="abc").remove()
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("scaled_loss", [False, True], ids=["fused", "with a scaled loss"])
def test_adam_has_its_own_betas_and_its_decay_in_the_gradient(scaled_loss):
    """Algorithm 1 of Kingma & Ba (2015), with L2 regularisation as in eq. 1 of Loshchilov & Hutter."""
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(5, 7)), rng.normal(size=(6, 5, 7))
    parameter = torch.nn.Parameter(torch.from_numpy(start).float())
    settings = with_settings(
        optimiser=OptimiserSettings(kind="adam", betas=(0.5, 0.9), weight_decay=0.1)
    )
    optimiser = adam([parameter], settings, scaled_loss=scaled_loss)
    expected, mean, square = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step, gradient in enumerate(gradients, start=1):
        parameter.grad = torch.from_numpy(gradient).float()
        optimiser.step()
        decaying = gradient + 0.1 * expected
        mean = 0.5 * mean + 0.5 * decaying
        square = 0.9 * square + 0.1 * decaying**2
        corrected = (mean / (1 - 0.5**step)) / (np.sqrt(square / (1 - 0.9**step)) + 1e-8)
        expected -= settings.learning_rate * corrected
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scaled_loss", [False, True], ids=["fused", "with a scaled loss"])
def test_the_optimiser_is_adamw(scaled_loss):
    """Algorithm 2 of Loshchilov & Hutter (2019), with torch's betas, epsilon and weight decay."""
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(5, 7)), rng.normal(size=(6, 5, 7))
    parameter = torch.nn.Parameter(torch.from_numpy(start).float())
    optimiser = adam([parameter], SETTINGS, scaled_loss=scaled_loss)
    expected, mean, square = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step, gradient in enumerate(gradients, start=1):
        parameter.grad = torch.from_numpy(gradient).float()
        optimiser.step()
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        corrected = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        expected -= SETTINGS.learning_rate * (corrected + 0.01 * expected)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_cosine_schedule_falls_from_the_peak_to_almost_zero():
    settings = SETTINGS.model_copy(update={"iterations": 100})
    rates = [learning_rate(step, settings) / settings.learning_rate for step in range(1, 101)]
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.5 * (1 + math.cos(0.99 * math.pi)))
    assert rates == sorted(rates, reverse=True)
    constant = settings.model_copy(update={"schedule": "constant"})
    assert learning_rate(77, constant) == settings.learning_rate


def test_the_linear_schedule_is_constant_before_it_falls_to_zero():
    """LambdaLR of pix2pix: 1 - (epochs after the constant ones) / (epochs of decay)."""
    settings = with_settings(iterations=150, schedule="linear", constant_share=2 / 3, learning_rate=2.0)
    rates = [learning_rate(step, settings) for step in range(1, 151)]
    assert rates[:101] == pytest.approx([2.0] * 101)
    assert rates[100:] == pytest.approx([2 * (1 - passed / 50) for passed in range(50)])


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_the_rate_rises_linearly_before_the_schedule(schedule):
    settings = with_settings(iterations=100, warmup_iterations=20, schedule=schedule)
    after = with_settings(iterations=80, schedule=schedule)
    rates = [learning_rate(step, settings) for step in range(1, 101)]
    assert rates[:20] == pytest.approx([1e-3 * step / 20 for step in range(1, 21)])
    assert rates[20:] == pytest.approx([learning_rate(step, after) for step in range(1, 81)])


def test_a_rise_longer_than_the_training_is_refused():
    with pytest.raises(ValueError, match="warmup_iterations = 9 must be fewer than iterations = 9"):
        with_settings(warmup_iterations=9)


def test_averaged_weights_are_validated_and_kept(files, tmp_path):
    """The result is the running average of the weights that a training without it passes through."""
    constant = {"schedule": "constant", "validate_every": 1}
    path = []
    for iterations in range(1, 5):
        method, rows = run(
            files,
            tmp_path / f"{iterations}.safetensors",
            model=MFDIFF,
            settings=with_settings(**constant, iterations=iterations),
        )
        assert rows[-1].validation == min(row.validation for row in rows)  # so this is the last step
        path.append(dict(method.named_parameters()))
    expected = path[0]
    for step, weights in enumerate(path[1:], start=2):
        kept = 1 - share_of_newest(step, EmaSettings(**POWER))
        expected = {name: kept * expected[name] + (1 - kept) * weights[name] for name in weights}
    averaged, rows = run(
        files,
        tmp_path / "averaged.safetensors",
        model=MFDIFF,
        settings=with_settings(**constant, ema=POWER, iterations=4),
    )
    assert rows[-1].validation == min(row.validation for row in rows)
    for name, parameter in averaged.named_parameters():
        torch.testing.assert_close(parameter, expected[name])
        assert parameter.requires_grad


def test_a_loss_scale_that_overflows_is_lowered_without_a_step(files, tmp_path, monkeypatch):
    """float16 ends at 65504: with a scale of 2**40 the first gradients are infinite."""
    original = torch.amp.GradScaler.__init__
    monkeypatch.setattr(
        torch.amp.GradScaler,
        "__init__",
        lambda self, device: original(self, device, init_scale=2.0**40),
    )
    settings = with_settings(precision="16-mixed", iterations=1)
    trained, _ = run(files, tmp_path / "a.safetensors", settings=settings)
    torch.manual_seed(5)
    for parameter, initial in zip(trained.parameters(), build(UNET).parameters(), strict=True):
        assert torch.equal(parameter, initial)


def test_gradients_that_are_never_finite_end_a_training(files, tmp_path, monkeypatch):
    """Its loss is finite, and with a scaled loss no step is taken: it would go on to the end."""

    class Steep(Biased):
        def loss(self, batch, group, generator):
            return 1 + (0 * self.factor).sqrt()

    monkeypatch.setattr(sys.modules[__name__], "build", lambda _: Steep())
    settings = with_settings(precision="16-mixed", iterations=40, validate_every=40)
    with pytest.raises(InputError, match="at step 40 the gradients overflow float16 whatever"):
        run(files, tmp_path / "a", settings=settings)


def test_the_log_says_how_fast_and_how_large(files, tmp_path):
    _, rows = run(files, tmp_path / "a.safetensors")
    for row in rows:
        assert row.slices_per_s == pytest.approx(row.iterations_per_s * SETTINGS.batch_size)
        assert 0 < row.waiting < 1
        assert 100 < row.memory_mib < 1e5
        assert row.gpu_percent is None


@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own workings
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_compiled_networks_train_alike(files, tmp_path, monkeypatch):
    """One network of one layer, because compiling takes seconds per layer."""
    frames = []
    monkeypatch.setattr(sys.modules[__name__], "build", lambda _: OneLayer(frames))
    compiled, expected = (
        run(files, tmp_path / f"{compile}", settings=with_settings(compile=compile, ema=POWER), slices=2)
        for compile in (True, False)
    )
    assert list(compiled[0].state_dict()) == ["network.weight", "network.bias"]
    for found, wanted in zip(without_speed(compiled[1]), without_speed(expected[1]), strict=True):
        assert found == pytest.approx(wanted, rel=1e-4)
    assert frames == [True] * 9 + [False] * 9


@pytest.mark.parametrize("model", [UNET, MFDIFF], ids=["unet", "mfdiff"])
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_trains_float32_weights(files, tmp_path, model, precision):
    mixed = SETTINGS.model_copy(update={"precision": precision, "iterations": 3})
    full = SETTINGS.model_copy(update={"iterations": 3})
    method, rows = run(files, tmp_path / "mixed.safetensors", model=model, settings=mixed)
    _, expected = run(files, tmp_path / "full.safetensors", model=model, settings=full)
    assert all(parameter.dtype == torch.float32 for parameter in method.parameters())
    assert rows[0].loss != expected[0].loss
    assert rows[0].loss == pytest.approx(expected[0].loss, rel=0.02)
