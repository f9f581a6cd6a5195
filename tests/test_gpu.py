"""The same results on a GPU as on the CPU, to float32 accuracy."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from packed import write_packed
from pydantic import TypeAdapter
from small_networks import RESIDUAL_MFDIFF

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.config.method_kinds import AnyMethodSettings
from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import ResidentBatches, StepBatches, central_batches
from quietpet.data.dataset import PairDataset
from quietpet.diffusion.samplers import SAMPLERS
from quietpet.diffusion.schedule import linear_schedule
from quietpet.diffusion.walk import plan_walk
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.methods.blocks.diffusion import draw_noise
from quietpet.methods.registry import build
from quietpet.projection.embedded import embedded_projector, embedded_projector_3d
from quietpet.recon.bowsher import bowsher_prior
from quietpet.recon.map_em import map_em
from quietpet.recon.osem import osem
from quietpet.training.checkpoint import Checkpoint
from quietpet.training.loop import train
from quietpet.training.processes import start

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]

GRID = mmr_grid(128)


@pytest.fixture(scope="module")
def disc():
    inside = torch.from_numpy(GRID.within_radius(80.0)).float()
    return torch.stack([10 * inside, 20 * inside])


def measured(activity, device):
    """Noiseless prompts and their model."""
    projector = embedded_projector(siemens_mmr(), GRID, rays=1, device=device)
    psf = GaussianPSF(fwhm_mm=4.0, pixel_mm=GRID.pixel_mm, image_shape=(128, 128), device=device)
    activity = activity.to(device)
    ones = torch.ones(2, *projector.sinogram_shape, device=device)
    model = AcquisitionModel(projector=projector, psf=psf, multiplicative=ones)
    return model.expected(activity), model


def by_osem(activity, device):
    return osem(*measured(activity, device), iterations=3, subsets=14)


def by_map_em(activity, device):
    settings = {"neighbours": 12, "radius_pixels": 3, "tolerance": 0.1, "symmetric": True}
    prior = bowsher_prior(activity.to(device), **settings)
    return map_em(*measured(activity, device), prior=prior, beta=0.1, iterations=3, subsets=14)


@pytest.mark.parametrize("reconstructed", [by_osem, by_map_em])
def test_reconstructions(disc, reconstructed):
    on_gpu = reconstructed(disc, "cuda")
    assert on_gpu.device.type == "cuda"
    torch.testing.assert_close(on_gpu.cpu(), reconstructed(disc, "cpu"), rtol=1e-3, atol=1e-2)


def test_gradient_of_the_projector(disc):
    projector = embedded_projector(siemens_mmr(), GRID, rays=1, device="cuda")
    image = disc.cuda().requires_grad_()
    projector.forward(image).sum().backward()
    ones = torch.ones(2, *projector.sinogram_shape, device="cuda")
    torch.testing.assert_close(image.grad, projector.adjoint(ones), rtol=1e-4, atol=1e-2)


def test_volumes():
    """Products of all segments, which a GPU computes by another algorithm than the CPU."""
    volume = torch.rand(127, 64, 64, generator=torch.Generator().manual_seed(0))
    on_cpu, on_gpu = (
        embedded_projector_3d(siemens_mmr(), mmr_grid(64), rays=1, device=device).subset(3, 84)
        for device in ("cpu", "cuda")
    )
    sinogram = on_cpu.forward(volume)
    torch.testing.assert_close(on_gpu.forward(volume.cuda()).cpu(), sinogram, rtol=1e-4, atol=1e-3)
    image = on_gpu.adjoint(sinogram.cuda()).cpu()
    torch.testing.assert_close(image, on_cpu.adjoint(sinogram), rtol=1e-4, atol=1e-1)


def test_batches_that_lie_on_the_device(tmp_path):
    drawn = StepBatches(
        PairDataset(write_packed(tmp_path / "train.h5")),
        study_seed=1, names=("a",), batch_size=4, patch_pixels=32, flip=True,
    )  # fmt: skip
    resident = ResidentBatches(drawn, torch.device("cuda"))
    for step in (1, 9):
        batch, expected = resident[step], drawn[step]
        assert batch.low.device.type == "cuda"
        for name in ("low", "standard", "t1", "scale"):
            assert torch.equal(getattr(batch, name).cpu(), getattr(expected, name)), name


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_sampling_noise_does_not_depend_on_the_device(sampler):
    walk = plan_walk(linear_schedule(100), steps=10, spacing="uniform")

    def sample(device):
        generators = [torch.Generator().manual_seed(k) for k in range(2)]
        draw = partial(draw_noise, (2, 1, 8, 8), generators, torch.device(device))
        return SAMPLERS[sampler](lambda noisy, _time: 0.5 * noisy, walk, draw)

    torch.testing.assert_close(sample("cuda").cpu(), sample("cpu"), rtol=1e-4, atol=1e-5)


MFDIFF = TypeAdapter(AnyMethodSettings).validate_python(RESIDUAL_MFDIFF).for_training()
TRAINING = {
    "iterations": 9,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "patch_pixels": 32,
    "gradient_clip": 1.0,
    "validate_every": 3,
}


class Interrupted(Exception):
    """In place of a kill."""


def trained(folder, device, *, interrupted_at=0, **changes):
    """The small `mfdiff` and its log."""
    pairs = PairDataset(write_packed(folder / "train.h5"))
    settings = TrainingSettings(**TRAINING | changes)
    names, device = ("a",), torch.device(device)

    class Failing(ResidentBatches):
        def __getitem__(self, step):
            if step == interrupted_at:
                raise Interrupted
            return super().__getitem__(step)

    drawn = StepBatches(pairs, study_seed=1, names=names, batch_size=2, patch_pixels=32, flip=True)
    held_out = list(central_batches(pairs, pixels=64, batch_size=2))
    torch.manual_seed(0)
    method = build(MFDIFF)
    rows = train(
        method,
        batches=Failing(drawn, device),
        validation=held_out,
        restored=held_out[:1],
        settings=settings,
        study_seed=1,
        names=names,
        checkpoint=Checkpoint(folder / "weights.safetensors", digest="abc"),
        fabric=start(settings, device),
    )
    return method, rows


@pytest.mark.parametrize("profile", ["none", "power"])
@pytest.mark.parametrize(
    ("precision", "channels_last"), [("32-true", False), ("bf16-mixed", True), ("16-mixed", True)]
)
def test_training_goes_as_on_the_cpu_and_resumes(tmp_path, precision, channels_last, profile):
    chosen = {"precision": precision, "channels_last": channels_last, "ema": {"profile": profile}}
    with pytest.raises(Interrupted):
        trained(tmp_path, "cuda", interrupted_at=8, **chosen)
    method, rows = trained(tmp_path, "cuda", **chosen)
    (tmp_path / "cpu").mkdir()
    _, expected = trained(tmp_path / "cpu", "cpu", ema={"profile": profile})
    for name in ("loss", "validation", "nmse"):
        found, wanted = ([getattr(row, name) for row in each] for each in (rows, expected))
        assert found == pytest.approx(wanted, rel=0.05)
    assert all(row.memory_mib > 0 for row in rows)
    assert all(parameter.dtype == torch.float32 for parameter in method.parameters())


def test_neither_a_step_nor_a_sample_waits_for_the_gpu(tmp_path):
    """What the CPU waits for is not yet queued when the GPU is done."""
    pairs = PairDataset(write_packed(tmp_path / "train.h5"))
    (batch,) = central_batches(pairs, pixels=32, batch_size=len(pairs))
    batch, method = batch.to("cuda"), build(MFDIFF).cuda()
    optimiser = torch.optim.AdamW(method.parameters(), fused=True)

    def step(number):
        optimiser.zero_grad()
        method.loss(batch, "network", torch.Generator().manual_seed(number)).backward()
        torch.nn.utils.clip_grad_norm_(method.parameters(), 1.0, error_if_nonfinite=False)
        optimiser.step()
        with torch.inference_mode():
            method.restore(batch, [torch.Generator().manual_seed(k) for k in range(len(pairs))])

    step(0)  # loads kernels
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_restored_images_are_those_of_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    pairs = PairDataset(write_packed(tmp_path / "train.h5"))
    (batch,) = central_batches(pairs, pixels=64, batch_size=len(pairs))
    torch.manual_seed(0)
    method = build(MFDIFF).eval()
    for parameter in method.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    on_cpu, on_gpu = (
        method.to(device).restore(
            batch.to(device), [torch.Generator().manual_seed(k) for k in range(len(pairs))]
        )
        for device in ("cpu", "cuda")
    )
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-3, atol=1e-3)
