from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from quietpet.data.pairs import Batch
from quietpet.methods.unet.model import build
from quietpet.methods.unet.settings import Settings

FEATURES = (4, 4, 4, 4, 4, 4)


def loss_of_the_low_dose_image(low: torch.Tensor, standard: torch.Tensor, *, weight: float) -> float:
    """The loss at the start of training, where the U-Net gives back its input."""
    method = build(Settings(features=FEATURES, own_maximum_weight=weight))
    method.eval()
    batch = Batch(
        low=low,
        standard=standard,
        t1=low,
        has_t1=torch.ones(len(low), dtype=torch.bool),
        scale=torch.ones(len(low)),
        keys=("a", "b"),
        pixel_mm=2.0,
    )
    with torch.no_grad():
        return float(method.loss(batch, "network", torch.Generator()))


def test_a_pure_rescaling_costs_only_in_the_common_scale():
    standard = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)) + 0.5
    common = 0.2**2 * float((standard**2).mean())
    for weight in (0.0, 3.0):
        loss = loss_of_the_low_dose_image(0.8 * standard, standard, weight=weight)
        assert loss == pytest.approx(common, rel=1e-5)


def test_a_lowered_peak_costs_in_every_pixel_of_the_own_maximum_scaling():
    standard = torch.ones(2, 1, 32, 32)
    standard[:, :, 10, 10] = 2.0
    low = standard.clamp(max=1.5)
    n = 32 * 32
    in_common_scale = 0.5**2 / n
    by_own_maximum = (1 / 1.5 - 1 / 2) ** 2 * (n - 1) / n
    assert loss_of_the_low_dose_image(low, standard, weight=0.0) == pytest.approx(in_common_scale)
    assert loss_of_the_low_dose_image(low, standard, weight=2.0) == pytest.approx(
        in_common_scale + 2.0 * by_own_maximum, rel=1e-5
    )


def test_patches_without_tissue_are_not_blown_up():
    noise = 1e-6 * torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert loss_of_the_low_dose_image(noise, torch.zeros_like(noise), weight=1.0) < 1e-9


def test_no_method_is_trained_in_the_scaling_of_a_metric_unless_its_rows_say_so():
    root = Path(__file__).parents[2]
    for path in [root / "config.yaml", *(root / "workflow" / "configs").glob("*.yaml")]:
        methods = yaml.safe_load(path.read_text()).get("methods", {})
        assert not any("own_maximum_weight" in (settings or {}) for settings in methods.values()), path
    assert Settings().own_maximum_weight == 0
    assert "scaling" not in Settings().describe()
    assert "in the scaling of `paper`, weight 0.5" in Settings(own_maximum_weight=0.5).describe()
