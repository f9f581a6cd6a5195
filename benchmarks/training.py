"""How fast does the training loop run, against plain loops of the same work?

    python benchmarks/training.py --output benchmarks/results
    python benchmarks/training.py --network published --pixels 192 --patch-pixels 192 --half --compiled

The second wants a GPU. Two plain loops, as one writes them around MONAI: its DDPMScheduler, a shuffled
DataLoader over images in memory, AdamW. One trains MONAI's DiffusionModelUNet on x_t, low dose and T1,
the other the modules of `mfdiff`, fusion and a denoiser of the same size; ours trains the latter. All
train on the same images, one after the other in this process and in several rounds; the best round
counts, because whatever else the machine does only slows. Ours also draws patches around heads, clips
gradients, seeds every step, checks the loss and writes checkpoints. What a sample costs:
`benchmarks/sampling.py`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from monai.networks.schedulers import DDPMScheduler
from problem import conditions
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, TensorDataset

from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import ResidentBatches, StepBatches, central_batches
from quietpet.data.dataset import PairDataset
from quietpet.data.scaling import activity_weighted_mean
from quietpet.files.hdf5 import write_hdf5
from quietpet.geometry.grid import mmr_grid
from quietpet.methods.mfdiff.settings import DenoiserSettings, Settings
from quietpet.methods.registry import build
from quietpet.phantom.ellipses import HEAD_ACTIVITY, rasterise
from quietpet.training.checkpoint import Checkpoint
from quietpet.training.loop import train
from quietpet.training.processes import start
from quietpet.training.throughput import peak_memory_mib

SLICES, BATCH = 64, 4

NETWORKS: Mapping[str, dict[str, Any]] = {
    "small": {
        "fusion": {"channels": 8, "heads": 2, "encoder_blocks": 1},
        "denoiser": {
            "channels": (16, 16, 32, 64),
            "attention": (False,) * 4,
            "res_blocks": 1,
            "norm_groups": 8,
            "head_channels": 32,
        },
    },
    "published": {},
}
"""That of config.yaml, and the defaults of `mfdiff`."""

PLAIN = "our network, plain loop"

MEASURES: Mapping[str, dict[str, Any]] = {
    "ours": {},
    "ours, images read at each step": {},
    "ours, power-function average": {"ema": {"profile": "power"}},
    "ours, channels last": {"channels_last": True},
    "ours, bf16": {"precision": "bf16-mixed"},
    "ours, bf16, channels last": {"precision": "bf16-mixed", "channels_last": True},
    "ours, compiled": {"compile": True},
    "ours, compiled, bf16, channels last": {
        "precision": "bf16-mixed",
        "channels_last": True,
        "compile": True,
    },
}


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Steps per second once running, the seconds before that, and the most memory of a GPU."""

    iterations_per_s: float
    start_s: float
    peak_mib: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="small")
    parser.add_argument("--pixels", type=int, default=128, help="side of the images")
    parser.add_argument("--patch-pixels", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=40, help="steps timed in each round")
    parser.add_argument(
        "--half", action="store_true", help="bf16 and channels last too: slow on CPUs without them"
    )
    parser.add_argument("--compiled", action="store_true", help="torch.compile too: minutes of start")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="folder for training-<device>-<network>.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    model = Settings(**NETWORKS[options.network])

    with tempfile.TemporaryDirectory() as folder:
        pairs = PairDataset(write_pairs(Path(folder) / "train.h5", pixels=options.pixels))
        cases: dict[str, Callable[[], Speed]] = {}
        for bf16 in (False, True) if options.half else (False,):
            half = ", bf16" if bf16 else ""
            cases[f"MONAI's network, plain loop{half}"] = plain_case(
                pairs, model, options, device, bf16=bf16, fused=False
            )
            cases[f"{PLAIN}{half}"] = plain_case(pairs, model, options, device, bf16=bf16, fused=True)
        for name, changes in MEASURES.items():
            needs_half = not changes.keys().isdisjoint({"precision", "channels_last"})
            if needs_half <= options.half and ("compile" in changes) <= options.compiled:
                cases[name] = our_case(pairs, model, options, device, name=name, changes=changes)
        rounds = [{name: case() for name, case in cases.items()} for _ in range(options.rounds)]

    best = {name: max((one[name] for one in rounds), key=lambda s: s.iterations_per_s) for name in cases}
    plain = best[PLAIN].iterations_per_s
    parameters = sum(parameter.numel() for parameter in build(model).parameters()) / 1e6
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{options.threads} thread(s)"
    lines = [
        f"{options.network} network of {parameters:.2f} million parameters, batch {BATCH}, "
        f"{options.patch_pixels} x {options.patch_pixels} pixels, on {on}; best of {options.rounds} "
        f"rounds of {options.iterations} steps; {conditions('quietpet', 'torch', 'monai')}.",
        "",
        f'| loop | iterations/s | slices/s | times "{PLAIN}" | peak MiB | longest start [s] |',
        "|" + " --- |" * 6,
    ]
    for name, speed in best.items():
        start_s = max(one[name].start_s for one in rounds)
        rate = speed.iterations_per_s
        lines.append(
            f"| {name} | {rate:.2f} | {BATCH * rate:.1f} | {rate / plain:.2f} | {speed.peak_mib} | "
            f"{start_s:.1f} |"
        )
    print("\n".join(lines))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        target = options.output / f"training-{device.type}-{options.network}.md"
        target.write_text("\n".join(lines) + "\n")


def write_pairs(path: Path, *, pixels: int, seed: int = 0) -> Path:
    """Noisy heads in the schema of packed data, each with a few spots that T1 does not show."""
    rng = np.random.default_rng(seed)
    head = rasterise(HEAD_ACTIVITY, mmr_grid(pixels))
    head /= head.max()
    spots = gaussian_filter((rng.random((SLICES, pixels, pixels)) < 2e-3) * 100.0, (0, 2, 2))
    standard = (head * (rng.uniform(50, 100, (SLICES, 1, 1)) + 10 * spots)).astype(np.float32)
    low = np.maximum(standard + rng.normal(0, 10, standard.shape) * (head > 0), 0).astype(np.float32)
    t1 = np.broadcast_to(100 * head, standard.shape).astype(np.float32)
    none = np.zeros(standard.shape, np.uint8)
    arrays = {
        "low": low, "standard": standard, "t1": t1, "head": np.uint8(standard > 0),
        "pet_lesions": none, "t1_lesions": none,
        "key": np.array([f"s{row}" for row in range(SLICES)]), "subject": np.full(SLICES, "a"),
        "slice_mm": np.zeros(SLICES), "angle_deg": np.zeros(SLICES),
        "scale": np.array([activity_weighted_mean(image) for image in low]),
        "t1_scale": np.array([activity_weighted_mean(image) for image in t1]),
        "has_t1": np.ones(len(t1), bool),
    }  # fmt: skip
    attributes = {
        "dataset": "phantom", "setting": "low", "split": "train", "lineage": {},
        "affine_ras_mm": mmr_grid(pixels).affine_ras_mm.tolist(),
    }  # fmt: skip
    write_hdf5(path, kind="dataset", arrays=arrays, attributes=attributes)
    return path


def plain_case(
    pairs: PairDataset,
    model: Settings,
    options: argparse.Namespace,
    device: torch.device,
    *,
    bf16: bool,
    fused: bool,
) -> Callable[[], Speed]:
    """MONAI's scheduler and a DataLoader around the modules of `mfdiff`, or its own network."""

    def run() -> Speed:
        torch.manual_seed(0)
        forget_peak(device)
        began = time.monotonic()
        network = build(model) if fused else plain_network(model.denoiser)
        network = network.to(device).train()
        (whole,) = central_batches(pairs, pixels=options.patch_pixels, batch_size=len(pairs))
        images = TensorDataset(whole.low, whole.standard, whole.t1)
        loader = DataLoader(images, batch_size=BATCH, shuffle=True, pin_memory=device.type == "cuda")
        scheduler = DDPMScheduler(num_train_timesteps=model.timesteps, schedule="linear_beta")
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
        epochs = (batch for _ in range(options.iterations) for batch in loader)

        def step() -> None:
            low, standard, t1 = (each.to(device, non_blocking=True) for each in next(epochs))
            noise = torch.randn_like(standard)
            times = torch.randint(0, model.timesteps, (len(low),), device=device).long()
            noisy = scheduler.add_noise(original_samples=standard, noise=noise, timesteps=times)
            optimiser.zero_grad()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                if fused:
                    inputs = torch.cat([noisy, low, network.fusion(low, t1)], dim=1)
                    predicted = network.denoiser(inputs, timesteps=times)
                else:
                    predicted = network(torch.cat([noisy, low, t1], dim=1), timesteps=times)
                loss = torch.nn.functional.mse_loss(predicted, noise)
            loss.backward()
            optimiser.step()
            loss.item()  # as in a loop that shows its loss

        step()
        started = time.monotonic()
        for _ in range(options.iterations):
            step()
        rate = options.iterations / (time.monotonic() - started)
        return Speed(iterations_per_s=rate, start_s=started - began, peak_mib=peak_mib(device))

    return run


def plain_network(settings: DenoiserSettings) -> DiffusionModelUNet:
    """MONAI's network as its documentation shows it, of the size of our denoiser."""
    return DiffusionModelUNet(
        spatial_dims=2,
        in_channels=3,
        out_channels=1,
        num_res_blocks=[settings.res_blocks] * len(settings.channels),
        channels=settings.channels,
        attention_levels=settings.attention,
        norm_num_groups=settings.norm_groups,
        num_head_channels=settings.head_channels,
    )


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_mib(device: torch.device) -> str:
    """Most memory allocated on a GPU; that of a process on the CPU includes all before."""
    return f"{peak_memory_mib(device):.0f}" if device.type == "cuda" else "-"


def our_case(
    pairs: PairDataset,
    model: Settings,
    options: argparse.Namespace,
    device: torch.device,
    *,
    name: str,
    changes: Mapping[str, Any],
) -> Callable[[], Speed]:
    """`training.loop.train`, from the first step after the start to the last."""
    settings = TrainingSettings(
        iterations=2 * options.iterations,
        batch_size=BATCH,
        patch_pixels=options.patch_pixels,
        gradient_clip=1.0,
        validate_every=options.iterations,
        **changes,
    )
    names = ("benchmark",)

    def run() -> Speed:
        torch.manual_seed(0)
        forget_peak(device)
        drawn = StepBatches(
            pairs,
            study_seed=0,
            names=names,
            batch_size=BATCH,
            patch_pixels=options.patch_pixels,
            flip=True,
        )
        streamed = "read at each step" in name
        (held_out,) = central_batches(pairs, pixels=options.patch_pixels, batch_size=len(pairs))
        with tempfile.TemporaryDirectory() as folder:
            first, second = train(
                build(model),
                batches=drawn if streamed else ResidentBatches(drawn, device),
                validation=[held_out],
                settings=settings,
                study_seed=0,
                names=names,
                checkpoint=Checkpoint(Path(folder) / "weights.safetensors", digest="benchmark"),
                fabric=start(settings, device),
            )
        steps_s = (
            options.iterations / first.iterations_per_s + options.iterations / second.iterations_per_s
        )
        rate = second.iterations_per_s
        # What the first half took longer than the second, is compiling and warming caches.
        start_s = max(0.0, steps_s - 2 * options.iterations / rate)
        return Speed(iterations_per_s=rate, start_s=start_s, peak_mib=peak_mib(device))

    return run


if __name__ == "__main__":
    main()
