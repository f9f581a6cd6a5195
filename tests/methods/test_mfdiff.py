from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.blocks.fusion import FeatureFusion
from quietpet.methods.blocks.fusion_settings import FusionSettings
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
        low=low, standard=standard, t1=t1, scale=torch.ones(3), keys=("a", "b", "c"), pixel_mm=2.0
    )


def small(**changed):
    settings = {"timesteps": 10, "sampling_steps": 4, "sampler": "ddim", **changed}
    return build(Settings(fusion=FUSION, denoiser=DENOISER, **settings))


@pytest.mark.parametrize("prediction", ["x0", "residual"])
@pytest.mark.parametrize("target_rms", [0.5, 1.0])
def test_tuning_scales_the_diffused_image(prediction, target_rms):
    method = small(prediction=prediction, target_rms=target_rms)
    method.tune([batch()])
    low, standard, _ = images()
    diffused = method.target_gain * (standard - low if prediction == "residual" else standard)
    weighted = (low * diffused**2).sum() / low.sum()
    assert float(weighted.sqrt()) == pytest.approx(target_rms, rel=1e-5)


def test_fusion_is_computed_once_per_call():
    method, calls = small(), []
    method.fusion.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        method.eval().restore(batch(), [torch.Generator().manual_seed(k) for k in range(3)])
    assert len(calls) == 1


def test_an_untrained_residual_model_returns_the_low_dose_image():
    # The last layer of the denoiser starts at zero, so its estimate of the residual is zero.
    method = small(prediction="residual").eval()
    with torch.inference_mode():
        restored = method.restore(batch(), [torch.Generator().manual_seed(k) for k in range(3)])
    torch.testing.assert_close(restored, batch().low)


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "residual"])
def test_a_perfect_network_has_no_loss_and_samples_the_standard_dose(prediction, monkeypatch):
    method = small(prediction=prediction)
    method.tune([batch()])
    clean = method.target_gain * method._target(batch())

    def perfect(noisy, times, condition):
        if prediction != "epsilon":
            return clean
        signal = (
            torch.tensor([method._schedule.alpha_bar[t] for t in times]).float().reshape(-1, 1, 1, 1)
        )
        return (noisy - signal.sqrt() * clean) / (1 - signal).sqrt()

    monkeypatch.setattr(method, "_predict", perfect)
    assert float(method.loss(batch(), "network", torch.Generator().manual_seed(1))) < 1e-8
    restored = method.restore(batch(), [torch.Generator().manual_seed(k) for k in range(3)])
    torch.testing.assert_close(restored, batch().standard, atol=1e-4, rtol=0)


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
        ({"sampling_steps": 11, "timesteps": 10}, "sampling_steps = 11 exceeds timesteps = 10"),
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
    first = Settings(sampler="ddim", sampling_steps=10, samples_per_slice=8)
    assert first.for_training() == Settings().for_training()
    assert Settings(prediction="x0").for_training() != Settings().for_training()


def test_weights_of_another_prediction_are_refused(tmp_path):
    """The tensors would fit; the meaning of the output would not."""
    trained = Settings(fusion=FUSION, denoiser=DENOISER, prediction="x0", timesteps=10, sampling_steps=4)
    path = tmp_path / "weights.safetensors"
    save_weights(path, build(trained), settings=trained, lineage={}, provenance={})
    wanted = trained.model_copy(update={"prediction": "residual"})
    with pytest.raises(InputError, match="trained with prediction = 'x0', but 'residual' is to be run"):
        load_weights(path, wanted)
    load_weights(path, trained.model_copy(update={"sampler": "ddim", "sampling_steps": 2}))
