"""What does a restored slice cost with each sampler, and how good is it?

    python benchmarks/sampling.py --output benchmarks/results
    python benchmarks/sampling.py --network published --pixels 192 --iterations 5000 --half

The second wants a GPU. Trains `mfdiff` for a moment, on the packed data of a study (--data, a folder
with train.h5 and validation.h5 such as results/datasets/phantom/low) or else on synthetic heads; then
draws two samples of some validation slices with each sampler and with two peers: MONAI's DDPMScheduler
and DDIMScheduler around the same network, as one writes it with MONAI, fusion at every step. All in
this process; seconds are those of the faster sample. PSNR as `quantitative` in the tables.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from problem import conditions
from training import NETWORKS, write_pairs

from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import ResidentBatches, StepBatches, central_batches
from quietpet.data.crop import central_crop
from quietpet.data.dataset import PairDataset
from quietpet.data.pairs import Batch
from quietpet.diffusion.samplers import SAMPLERS
from quietpet.evaluation.sampling import quality
from quietpet.methods.mfdiff.model import MFdiff
from quietpet.methods.mfdiff.settings import Settings
from quietpet.methods.registry import build
from quietpet.training.checkpoint import Checkpoint
from quietpet.training.loop import train
from quietpet.training.processes import start

CHOICES = (
    ("ddpm", "uniform", 1000),
    ("ddim", "uniform", 50),
    ("dpmpp_2m", "log_snr", 15),
    ("dpmpp_2m", "log_snr", 20),
)
PEERS = {"MONAI DDPMScheduler": (DDPMScheduler, 1000), "MONAI DDIMScheduler": (DDIMScheduler, 50)}
SAMPLES = 2
PREDICTIONS = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}

Sampled = Callable[[Batch, Sequence[torch.Generator]], torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="small")
    parser.add_argument("--prediction", choices=PREDICTIONS, default="x0")
    parser.add_argument("--data", type=Path, help="folder of train.h5 and validation.h5")
    parser.add_argument("--pixels", type=int, default=64, help="side of the slices")
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=300, help="of the training")
    parser.add_argument("--half", action="store_true", help="train and sample in bf16, channels last")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="folder for sampling-<device>-<network>.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    model = Settings(**NETWORKS[options.network], diffused="residual", prediction=options.prediction)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        files = [
            options.data / f"{split}.h5"
            if options.data
            else write_pairs(made / f"{split}.h5", pixels=options.pixels, seed=seed)
            for seed, split in enumerate(("train", "validation"))
        ]
        trained, validation = PairDataset(files[0]), PairDataset(files[1])
        network = learned(model, trained, validation, options, device)
        rows = np.linspace(0, len(validation) - 1, options.slices).round().astype(int).tolist()
        (batch,) = central_batches(
            validation, pixels=options.pixels, batch_size=options.slices, rows=rows
        )
        batch = batch.to(device)
        pairs = [validation[row] for row in rows]

        cases: dict[str, tuple[int, Sampled]] = {}
        for sampler, spacing, steps in CHOICES:
            changes = {"sampler": sampler, "spacing": spacing, "sampling_steps": steps}
            method = build(model.model_copy(update=changes))
            method.load_state_dict(network.state_dict())
            if options.half:
                method.to(memory_format=torch.channels_last)
            cost = SAMPLERS[sampler].network_evaluations(steps)
            cases[f"{sampler}, {spacing}, {steps} steps"] = (cost, method.to(device).eval().restore)
        for name, (scheduler, steps) in PEERS.items():
            cases[f"{name}, {steps} steps"] = (steps, peer(network, model, scheduler, steps))

        print(f"{'sampler':<32} evaluations   s/slice  times DDPM   PSNR [dB]  difference")
        lines = []
        reference = None
        for name, (cost, restore) in cases.items():
            seconds, samples = timed(restore, batch, device, half=options.half)
            images = [central_crop(sample, validation.pixels) for sample in samples]
            psnr_db = quality(images, pairs, paper_window_pixels=options.pixels).psnr_db
            per_slice_s = seconds / options.slices
            reference = reference or (per_slice_s, psnr_db)
            line = (
                name, f"{cost}", f"{per_slice_s:.4g}", f"{per_slice_s / reference[0]:.4f}",
                f"{psnr_db:.2f}", f"{psnr_db - reference[1]:+.2f}",
            )  # fmt: skip
            print("{:<32} {:>11} {:>9} {:>11} {:>11} {:>11}".format(*line), flush=True)
            lines.append(f"| {' | '.join(line)} |")
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        on = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
        head = [
            f"{options.network} network, {options.iterations} iterations, {options.pixels} x "
            f"{options.pixels} pixels, {options.slices} slices at once, on {on}"
            f"{', bf16' if options.half else ''}; {conditions('quietpet', 'torch', 'monai')}.",
            "",
            "| sampler | evaluations | s per slice | times DDPM-1000 | PSNR [dB] | difference |",
            "|" + " --- |" * 6,
        ]
        target = options.output / f"sampling-{device.type}-{options.network}.md"
        target.write_text("\n".join([*head, *lines]) + "\n")


def learned(
    model: Settings,
    pairs: PairDataset,
    validation: PairDataset,
    options: argparse.Namespace,
    device: torch.device,
) -> MFdiff:
    """The network after a short training in our loop."""
    settings = TrainingSettings(
        iterations=options.iterations,
        learning_rate=1e-3 if options.network == "small" else 1e-4,
        schedule="cosine",
        patch_pixels=min(64, options.pixels) if options.network == "small" else options.pixels,
        gradient_clip=1.0,
        validate_every=options.iterations,
        precision="bf16-mixed" if options.half else "32-true",
        channels_last=options.half,
    )
    names = ("benchmark",)
    drawn = StepBatches(
        pairs,
        study_seed=0,
        names=names,
        batch_size=settings.batch_size,
        patch_pixels=settings.patch_pixels,
        flip=True,
    )
    torch.manual_seed(0)
    method = build(model)
    with tempfile.TemporaryDirectory() as folder:
        train(
            method,
            batches=ResidentBatches(drawn, device),
            validation=list(central_batches(validation, pixels=options.pixels, batch_size=4)),
            settings=settings,
            study_seed=0,
            names=names,
            checkpoint=Checkpoint(Path(folder) / "weights.safetensors", digest="benchmark"),
            fabric=start(settings, device),
        )
    return method.eval()


def peer(
    network: MFdiff, model: Settings, make: type[DDPMScheduler | DDIMScheduler], steps: int
) -> Sampled:
    """MONAI's scheduler around fusion and denoiser; its times count from 0, ours from 1."""

    def restore(batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        scheduler = make(
            num_train_timesteps=model.timesteps,
            schedule="linear_beta",
            prediction_type=PREDICTIONS[model.prediction],
            clip_sample=False,
        )
        scheduler.set_timesteps(steps)
        first = [torch.randn(batch.low.shape[1:], generator=each) for each in generators]
        noisy = torch.stack(first).to(batch.low.device)
        for time_left in scheduler.timesteps:
            times = torch.full((len(noisy),), int(time_left) + 1, device=noisy.device)
            inputs = torch.cat([noisy, batch.low, network.fusion(batch.low, batch.t1)], dim=1)
            noisy, _ = scheduler.step(
                network.denoiser(inputs, timesteps=times).float(), time_left, noisy
            )
        return batch.low + noisy / network.target_gain

    return restore


def timed(
    restore: Sampled, batch: Batch, device: torch.device, *, half: bool
) -> tuple[float, list[np.ndarray]]:
    """Seconds of the faster sample of all slices; the samples (slice, y, x), in the unit of the data."""
    seconds, samples = [], []
    for number in range(SAMPLES):
        generators = [torch.Generator().manual_seed(100 * number + k) for k in range(len(batch.keys))]
        began = time.monotonic()
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            restored = restore(batch, generators) * batch.scale[:, None, None, None]
        samples.append(restored.clamp(min=0)[:, 0].float().cpu().numpy())
        seconds.append(time.monotonic() - began)
    return min(seconds), samples


if __name__ == "__main__":
    main()
