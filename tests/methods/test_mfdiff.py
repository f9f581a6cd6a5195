from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from quietpet.config.fusion import FusionSettings
from quietpet.data.pairs import Batch
from quietpet.diffusion.schedule import cosine_schedule, linear_schedule
from quietpet.errors import InputError
from quietpet.methods.blocks.fusion import FeatureFusion
from quietpet.methods.mfdiff.model import build
from quietpet.methods.mfdiff.settings import DenoiserSettings, Settings
from quietpet.training.weights import load_weights, save_weights

FUSION = FusionSettings(channels=8, heads=2, encoder_blocks=1)
DENOISER = DenoiserSettings(
    channels=(4, 8), attention=(False, False), res_blocks=1, norm_groups=4, head_channels=8
)


def images(slices=3, pixels=16):
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(slices, 1, pixels, pixels, generator=generator) for _ in range(3)]


def batch():
    low, standard, t1 = images()
    return Batch(
        low=low,
        standard=standard,
        t1=t1,
        has_t1=torch.ones(3, dtype=torch.bool),
        scale=torch.ones(3),
        keys=("a", "b", "c"),
        pixel_mm=2.0,
    )


def small(**changed):
    settings = {"timesteps": 10, "sampling_steps": 4, "sampler": "ddim", **changed}
    return build(Settings(fusion=FUSION, denoiser=DENOISER, **settings))


@pytest.mark.parametrize("diffused", ["standard", "residual"])
@pytest.mark.parametrize("target_rms", [0.5, 1.0])
def test_tuning_scales_the_diffused_image(diffused, target_rms):
    method = small(diffused=diffused, target_rms=target_rms)
    method.tune([batch()])
    low, standard, _ = images()
    diffused = method.target_gain * (standard - low if diffused == "residual" else standard)
    weighted = (low * diffused**2).sum() / low.sum()
    assert float(weighted.sqrt()) == pytest.approx(target_rms, rel=1e-5)


def generators(sample=0):
    return [torch.Generator().manual_seed(10 * sample + k) for k in range(3)]


def test_fusion_is_computed_once_for_all_steps_and_samples():
    method, calls = small(), []
    for encoder in (method.fusion.encoder_pet, method.fusion.encoder_mr):
        encoder.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        samples = list(method.eval().samples(batch(), map(generators, range(4))))
        assert len(calls) == 2
        for number, sample in enumerate(samples):
            assert torch.equal(sample, method.restore(batch(), generators(number)))


def test_an_untrained_residual_model_returns_the_low_dose_image():
    # The last layer of the denoiser starts at zero, so its estimate of the residual is zero.
    method = small(diffused="residual", prediction="x0").eval()
    with torch.inference_mode():
        restored = method.restore(batch(), [torch.Generator().manual_seed(k) for k in range(3)])
    torch.testing.assert_close(restored, batch().low)


@pytest.mark.parametrize("diffused", ["standard", "residual"])
@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_perfect_network_has_no_loss_and_samples_the_standard_dose(
    diffused, prediction, schedule, monkeypatch
):
    method = small(diffused=diffused, prediction=prediction, schedule=schedule)
    method.tune([batch()])
    low, standard, _ = images()
    clean = method.target_gain * (standard - low if diffused == "residual" else standard)
    make = {"linear": linear_schedule, "cosine": cosine_schedule}[schedule]
    alpha_bar = torch.from_numpy(make(10).alpha_bar)

    def perfect(noisy, times, *, condition):
        signal, spread = (
            each[times].sqrt().reshape(-1, 1, 1, 1).float() for each in (alpha_bar, 1 - alpha_bar)
        )
        noise = (noisy - signal * clean) / spread
        return {"epsilon": noise, "x0": clean, "v": signal * noise - spread * clean}[prediction]

    monkeypatch.setattr(method, "_predict", perfect)
    assert float(method.loss(batch(), "network", torch.Generator().manual_seed(1))) < 1e-8
    restored = method.restore(batch(), [torch.Generator().manual_seed(k) for k in range(3)])
    torch.testing.assert_close(restored, standard, atol=1e-3, rtol=0)


def test_the_modalities_share_no_weights():
    fusion = FeatureFusion(FUSION)
    low, _, t1 = images()
    assert not torch.allclose(fusion(low, t1), fusion(t1, low))
    assert len({id(parameter) for parameter in fusion.parameters()}) == len(list(fusion.parameters()))
    assert fusion(low, t1).shape == (3, 8, 16, 16)


def test_the_default_network_has_the_size_of_the_works_it_follows():
    with torch.device("meta"):
        method = build(Settings())
    denoiser = sum(parameter.numel() for parameter in method.denoiser.parameters())
    fusion = sum(parameter.numel() for parameter in method.fusion.parameters())
    assert 100e6 < denoiser < 130e6  # Ho et al., 256 pixels: 114 M
    assert 0.5e6 < fusion < 2e6  # CDDFuse: 1.19 M


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling_steps": 11, "timesteps": 10}, "sampling_steps = 11 exceeds the 10 diffusion times"),
        ({"schedule": "cosine"}, "sampling_steps = 1000 exceeds the 996 diffusion times"),
        ({"fusion": {"channels": 6, "heads": 4}}, "heads = 4 must divide channels = 6"),
        (
            {"denoiser": {"channels": (8, 8), "attention": (True,)}},
            "attention has 1 entries, channels 2",
        ),
        (
            {"denoiser": {"channels": (8, 12), "attention": (False, False), "norm_groups": 8}},
            "norm_groups = 8 must divide channels = 12",
        ),
    ],
)
def test_sizes_that_cannot_be_built_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        Settings(**changes)


def test_sampling_choices_do_not_touch_training():
    first = Settings(sampler="heun", sampling_steps=10, spacing="quadratic", samples_per_slice=8)
    assert first.for_training() == Settings().for_training()
    for changed in ({"prediction": "x0"}, {"diffused": "residual"}, {"timesteps": 2000}):
        assert Settings(**changed).for_training() != Settings().for_training()


def test_settings_for_training_are_valid_with_any_schedule():
    trained = Settings(schedule="cosine", sampling_steps=10).for_training()
    assert Settings.model_validate_json(trained.model_dump_json()) == trained


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "epsilon-prediction, DDPM 1000 steps"),
        (
            {"diffused": "residual", "prediction": "x0", "sampler": "ddim", "sampling_steps": 10},
            "residual x0-prediction, DDIM 10 steps",
        ),
        (
            {"prediction": "v", "schedule": "cosine", "sampler": "heun", "sampling_steps": 25},
            "v-prediction with cosine noise, Heun 25 steps (49 network evaluations)",
        ),
    ],
)
def test_the_tables_say_what_was_diffused_and_at_what_cost(changes, words):
    assert Settings(**changes).describe() == words


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("prediction", "x0", "v"),
        ("diffused", "residual", "standard"),
        ("schedule", "cosine", "linear"),
    ],
)
def test_weights_of_another_diffusion_are_refused(tmp_path, key, value, wanted):
    """The tensors would fit; the meaning of the output would not."""
    trained = Settings(fusion=FUSION, denoiser=DENOISER, timesteps=10, sampling_steps=4, **{key: value})
    path = tmp_path / "weights.safetensors"
    save_weights(path, build(trained), settings=trained, lineage={}, provenance={})
    with pytest.raises(InputError, match=f"trained with {key} = '{value}', but '{wanted}' is to be run"):
        load_weights(path, trained.model_copy(update={key: wanted}))
    load_weights(path, trained.model_copy(update={"sampler": "ddim", "sampling_steps": 2}))
