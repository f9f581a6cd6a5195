"""What every method must do; new method folders are found by themselves."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from toy import random_projector, toy_model

from quietpet.acquisition.measurement import Measurement
from quietpet.config.method_kinds import AnyMethodSettings, method_kinds
from quietpet.data.measured import MeasuredSlices
from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.registry import build
from quietpet.training.weights import load_weights, save_weights

SMALL_NETWORK = {"features": (4, 4, 8, 8, 8, 4)}
SMALL_FUSION = {"channels": 8, "heads": 2, "encoder_blocks": 1}
SMALL_DENOISER = {
    "channels": (4, 8), "attention": (False, True), "res_blocks": 1, "norm_groups": 4, "head_channels": 4
}  # fmt: skip
SMALL_MFDIFF = {
    "fusion": SMALL_FUSION, "denoiser": SMALL_DENOISER, "timesteps": 20, "sampling_steps": 3
}  # fmt: skip
SMALL_UNROLLED = {"updates": 3, "subsets": 2, "layers": 3, "kernels": 4}
SMALL_DISCRIMINATOR = {"discriminator_widths": (4, 8, 8)}
SMALL_CSRD = {"channels": 8, "multipliers": (1, 2), "blocks": 1}
SMALL_NAFNET = {"width": 4, "encoder_blocks": (1, 1), "middle_blocks": 1, "decoder_blocks": (1, 1)}
PET_ALONE = {"inputs": ("low",)}
SMALL_M2DIFF = {
    "channels": 8, "multipliers": (1, 2), "attention": (False, True), "blocks": 1, "heads": 2,
    "norm_groups": 4, "timesteps": 20, "sampling_steps": 3,
}  # fmt: skip
VARIANTS = {
    "fbsem": [
        {**SMALL_UNROLLED, "start": "low"},
        {**SMALL_UNROLLED, "start": "ones"},
        {**SMALL_UNROLLED, "start": "ones", **PET_ALONE},
    ],
    "csrd": [
        {**SMALL_CSRD, "sampling_steps": 6},
        {**SMALL_CSRD, "sampling_steps": 2, "sampler": "dpmpp_2m", "dropout": 0.0},
        {**SMALL_CSRD, "sampling_steps": 6, **PET_ALONE},
    ],
    "hinet": [{"channels": 4, "discriminator_channels": 4}],
    "unet": [
        SMALL_NETWORK,
        {
            **SMALL_NETWORK,
            "inputs": ("low", "t1"),
            "residual": False,
            "loss": "l1",
            "normalisation": "none",
        },
        {**SMALL_NETWORK, "normalisation": "group"},
        {**SMALL_NETWORK, "fusion": {**SMALL_FUSION, "branches": ("global", "global")}},
        {**SMALL_NETWORK, "fusion": {**SMALL_FUSION, "branches": ("detail", "detail")}},
        {**SMALL_NETWORK, "fusion": {**SMALL_FUSION, "aggregation": "concat"}},
        {**SMALL_NETWORK, "fusion": {**SMALL_FUSION, "global_attention": "spatial"}},
    ],
    "munet": [
        {"channels": (4, 8)},
        {"channels": (4, 4, 8), "convolutions": 1},
        {"channels": (4, 8), **PET_ALONE},
    ],
    "nafnet": [
        SMALL_NAFNET,
        {**SMALL_NAFNET, **PET_ALONE},
        {"width": 4, "encoder_blocks": (2,), "middle_blocks": 1, "decoder_blocks": (1,), "loss": "l1"},
    ],
    "nlm": [
        {"search_pixels": 3},
        {"search_pixels": 3, "stabilised": False},
        {"search_pixels": 3, "guide": "t1"},
        {"search_pixels": 3, "guide": "both"},
    ],
    "mfdiff": [
        {**SMALL_MFDIFF, "prediction": "epsilon", "sampler": "ddpm"},
        {**SMALL_MFDIFF, "diffused": "residual", "prediction": "x0", "sampler": "ddim"},
        {
            **SMALL_MFDIFF,
            "prediction": "v",
            "schedule": "cosine",
            "sampler": "dpmpp_2m",
            "spacing": "log_snr",
        },
        {**SMALL_MFDIFF, "prediction": "x0", "sampler": "heun", "spacing": "quadratic"},
    ],
    "m2diff": [
        {**SMALL_M2DIFF, "sampler": "ddpm", "skip_replacement": 0.0},
        {**SMALL_M2DIFF, "diffused": "residual", "sampler": "ddim", "t1": "none"},
        {**SMALL_M2DIFF, "schedule": "cosine", "sampler": "dpmpp_2m", "spacing": "log_snr"},
    ],
    "eagan": [
        {**SMALL_DISCRIMINATOR, "widths": (4, 8, 8), "sobel_ramp_iterations": 0},
        {**SMALL_DISCRIMINATOR, "widths": (4, 8, 8, 8, 8), "sobel_weight": 10},
        {**SMALL_DISCRIMINATOR, "widths": (4, 8, 8), "sobel_ramp_iterations": 0, **PET_ALONE},
    ],
    "cncl": [
        {**SMALL_DISCRIMINATOR, "widths": (4, 8, 8)},
        {**SMALL_DISCRIMINATOR, "widths": (4, 8, 8), **PET_ALONE},
    ],
}
"""Small settings by kind; a kind that is not here is tested with its defaults."""


def settings_of(kind: str, **changes):
    return TypeAdapter(AnyMethodSettings).validate_python({"kind": kind, **changes})


CASES = [
    pytest.param(settings_of(kind, **changes), id=f"{kind}{number}")
    for kind in method_kinds()
    for number, changes in enumerate(VARIANTS.get(kind, [{}]))
]
every_method = pytest.mark.parametrize("settings", CASES)


PIXELS = 32
SLICES = 4


@functools.cache
def small_system():
    return random_projector(views=18, bins=40, side=PIXELS, seed=0)


def small_batch(settings, rows: slice = slice(None)) -> Batch:
    """Rows of four slices; with the measurement of their standard dose for methods that reconstruct."""
    torch.manual_seed(0)
    standard = torch.nn.functional.avg_pool2d(2 * torch.rand(SLICES, 1, PIXELS, PIXELS), 5, 1, 2)
    low = (standard + 0.3 * torch.randn_like(standard)).clamp(min=0)
    batch = Batch(
        low=low[rows],
        standard=standard[rows],
        t1=1 - standard[rows],
        has_t1=torch.ones(SLICES, dtype=torch.bool)[rows],
        scale=torch.ones(SLICES)[rows],
        keys=tuple(f"s{number}" for number in range(SLICES))[rows],
        pixel_mm=2.0,
    )
    if not settings.reconstructs:
        return batch
    model = toy_model(small_system(), slices=SLICES)
    prompts = torch.poisson(model.expected(standard[:, 0]))
    measured = MeasuredSlices(
        [f"s{n}" for n in range(SLICES)], Measurement(prompts=prompts, model=model)
    )
    return measured.attach(batch)


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(100 + number) for number in range(count)]


def made(settings, *, steps: int = 0):
    """The method, tuned, after ``steps`` optimiser steps, which wake zero-initialised layers."""
    torch.manual_seed(1)
    method = build(settings)
    method.tune([small_batch(settings)])
    for group, parameters in method.groups().items():
        optimiser = torch.optim.AdamW(parameters, lr=1e-2)
        for step in range(steps):
            optimiser.zero_grad()
            method.loss(small_batch(settings), group, torch.Generator().manual_seed(step)).backward()
            optimiser.step()
    return method.eval()


@every_method
def test_restored_images_are_finite_and_repeatable(settings):
    method, batch = made(settings, steps=2), small_batch(settings)
    with torch.inference_mode():
        restored, again = (method.restore(batch, generators(4)) for _ in range(2))
    assert restored.shape == batch.low.shape
    assert restored.dtype == torch.float32
    assert torch.isfinite(restored).all()
    assert torch.equal(restored, again)


@every_method
def test_a_batch_of_four_is_four_batches_of_one(settings):
    method, batch = made(settings, steps=2), small_batch(settings)
    with torch.inference_mode():
        together = method.restore(batch, generators(4))
        alone = [
            method.restore(small_batch(settings, slice(row, row + 1)), [generators(4)[row]])
            for row in range(4)
        ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)


@every_method
def test_the_standard_dose_does_not_reach_the_restored_image(settings):
    method, batch = made(settings, steps=2), small_batch(settings)
    without = replace(batch, standard=torch.full_like(batch.standard, torch.nan))
    with torch.inference_mode():
        expected, found = (method.restore(each, generators(4)) for each in (batch, without))
    assert torch.equal(found, expected)


def without_t1(batch: Batch, rows: list[int]) -> Batch:
    t1, has_t1 = batch.t1.clone(), batch.has_t1.clone()
    t1[rows], has_t1[rows] = torch.nan, False
    return replace(batch, t1=t1, has_t1=has_t1)


def refuses(method, batch: Batch, *, rows: list[int]) -> bool:
    """Whether it says that T1 is missing, or every slice of ``rows`` shows it."""
    try:
        restored = method.restore(batch, generators(4))
    except ValueError as error:
        return "have no T1" in str(error)
    return bool(torch.isnan(restored[rows]).flatten(1).any(dim=1).all())


@every_method
def test_a_missing_t1_is_no_matter_or_restored_without_or_never_passes_unseen(settings):
    method, batch = made(settings, steps=2), small_batch(settings)
    lacking = without_t1(batch, [1, 3])
    with torch.inference_mode():
        if settings.t1_use == "needed":
            assert refuses(method, lacking, rows=[1, 3])
            return
        expected, found = (method.restore(each, generators(4)) for each in (batch, lacking))
    torch.testing.assert_close(found[[0, 2]], expected[[0, 2]], rtol=1e-5, atol=1e-5)
    assert torch.isfinite(found).all()


@every_method
def test_no_t1_at_all_trains_whatever_does_not_need_it(settings):
    if settings.t1_use == "needed":
        pytest.skip("needs T1")
    lacking = without_t1(small_batch(settings), [0, 1, 2, 3])
    method = build(settings)
    method.tune([lacking])
    for group in method.groups():
        loss = method.loss(lacking, group, torch.Generator().manual_seed(0))
        assert torch.isfinite(loss)


@every_method
def test_a_t1_that_is_never_looked_at_changes_nothing(settings):
    if settings.t1_use != "none":
        pytest.skip("looks at T1")
    method, batch = made(settings, steps=2), small_batch(settings)
    with torch.inference_mode():
        restored = [
            method.restore(replace(batch, t1=t1), generators(4))
            for t1 in (batch.t1, torch.rand_like(batch.t1), torch.full_like(batch.t1, torch.nan))
        ]
    assert torch.equal(restored[0], restored[1])
    assert torch.equal(restored[0], restored[2])


@every_method
def test_a_finite_gradient_reaches_every_parameter(settings):
    method = made(settings, steps=4).train()
    for group, parameters in method.groups().items():
        method.zero_grad()
        method.loss(small_batch(settings), group, torch.Generator().manual_seed(0)).backward()
        names = {id(parameter): name for name, parameter in method.named_parameters()}
        for parameter in parameters:
            assert parameter.grad is not None, names[id(parameter)]
            assert torch.isfinite(parameter.grad).all(), names[id(parameter)]
            assert parameter.grad.abs().max() > 0, names[id(parameter)]


@every_method
def test_every_parameter_belongs_to_one_group(settings):
    method = build(settings)
    grouped = [id(parameter) for parameters in method.groups().values() for parameter in parameters]
    assert sorted(grouped) == sorted(id(parameter) for parameter in method.parameters())


@every_method
def test_the_loss_is_repeatable_and_falls_on_one_batch(settings):
    method = made(settings).train()
    for group, parameters in method.groups().items():
        optimiser = torch.optim.AdamW(parameters, lr=3e-3)
        losses = []
        for _ in range(25):
            optimiser.zero_grad()
            loss = method.loss(small_batch(settings), group, torch.Generator().manual_seed(0))
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.9 * losses[0]


@every_method
def test_saved_weights_restore_the_same_images(settings, tmp_path):
    method, batch, path = (
        made(settings, steps=2),
        small_batch(settings),
        tmp_path / "weights.safetensors",
    )
    save_weights(path, method, settings=settings, lineage={"data_source": "template"}, provenance={})
    loaded, lineage = load_weights(path, settings)
    with torch.inference_mode():
        expected, found = (each.restore(batch, generators(4)) for each in (method, loaded))
    assert torch.equal(found, expected)
    assert lineage == {"data_source": "template"}


@every_method
def test_a_method_without_tensors_needs_no_fit(settings):
    """Only of such a method nothing but its settings decides what it does."""
    assert settings.fitted == bool(build(settings).state_dict())


@every_method
def test_weights_of_another_kind_are_refused(settings, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, build(settings), settings=settings, lineage={}, provenance={})
    other = settings_of("gaussian" if settings.kind != "gaussian" else "lpet")
    with pytest.raises(InputError, match=f"was trained with kind = '{settings.kind}'"):
        load_weights(path, other)


@every_method
def test_settings_describe_themselves(settings):
    assert settings.describe()
    assert settings.samples >= 1
    assert settings.without_t1
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("kind", method_kinds())
def test_default_settings_are_valid(kind):
    assert settings_of(kind).kind == kind


@pytest.mark.parametrize("kind", method_kinds())
def test_published_counts_are_of_the_groups_and_explained_where_they_differ(kind, repository):
    settings = settings_of(kind)
    with torch.device("meta"):
        groups = build(settings).groups()
    assert set(settings.published_parameters) <= set(groups)
    for group, published in settings.published_parameters.items():
        card = (repository / "docs" / "methods" / f"{kind}.md").read_text()
        ours = sum(parameter.numel() for parameter in groups[group])
        assert f"{published:,}" in card, group
        assert f"{ours:,}" in card, group


def test_reading_settings_does_not_import_torch():
    code = "import sys, quietpet.methods.registry; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_folder_with_settings_is_found_under_its_name(repository):
    found = {path.parent.name for path in repository.glob("src/quietpet/methods/*/settings.py")}
    assert found == set(method_kinds())


@every_method
def test_the_variant_on_pet_alone_differs_in_nothing_but_its_inputs(settings):
    variant = settings.on_pet_alone()
    if variant is None:
        assert settings.t1_use == "needed"
        assert settings.without_t1.startswith("refused: ")
        return
    assert not settings.without_t1.startswith("refused")
    assert variant.t1_use == "none"
    assert variant.on_pet_alone() == variant
    differing = {name for name, value in settings if getattr(variant, name) != value}
    assert differing <= {"inputs", "guide", "t1"}
    assert bool(differing) == (settings.t1_use != "none")
    validated = type(settings).model_validate(variant.model_dump())
    assert validated == variant


@pytest.mark.parametrize("kind", ["munet", "nafnet", "eagan", "cncl", "fbsem", "csrd"])
def test_the_low_dose_is_always_seen(kind):
    for inputs in (["t1"], [], ["t1", "low"], ["low", "low"]):
        with pytest.raises(ValidationError, match=r"inputs = .* must be \[low, t1\] or \[low\]"):
            settings_of(kind, inputs=inputs)
