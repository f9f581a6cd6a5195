"""Which networks see more than their convolutions reach, and so must not learn from patches alone."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter
from small_networks import MFDIFF, UNET

from quietpet.config.method_kinds import AnyMethodSettings
from quietpet.data.pairs import Batch
from quietpet.methods.registry import build
from quietpet.seeds import torch_generator

SIDE = 256
"""The convolutions of a U-Net of five resolutions reach about 94 pixels."""

DIFFUSION = {
    **MFDIFF,
    "denoiser": {
        "channels": (4, 4, 4, 4, 8), "attention": [False] * 5, "res_blocks": 1, "norm_groups": 4,
        "head_channels": 8,
    },
    "sampler": "ddim",
    "sampling_steps": 1,
}  # fmt: skip

NAFNET = {
    "kind": "nafnet", "width": 4, "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)
}  # fmt: skip
FUSED = {"branches": ["global", "detail"], "channels": 4, "heads": 1, "encoder_blocks": 1}


def restored(settings, low):
    torch.manual_seed(0)
    method = build(settings).eval()
    for parameter in method.parameters():  # also those that start at zero
        torch.nn.init.normal_(parameter, std=0.2)
    t1 = torch.rand(low.shape, generator=torch.Generator().manual_seed(2))
    batch = Batch(
        low=low,
        standard=low,
        t1=t1,
        has_t1=torch.ones(1, dtype=torch.bool),
        scale=torch.ones(1),
        keys=("a",),
        pixel_mm=2.0,
    )
    with torch.inference_mode():
        return method.restore(batch, [torch_generator(1)])


@pytest.mark.parametrize(
    ("model", "far", "whole_heads"),
    [
        (UNET, False, False),
        ({**UNET, "normalisation": "group"}, True, True),
        ({**UNET, "normalisation": "none", "fusion": FUSED}, True, True),
        ({**UNET, "fusion": FUSED}, True, False),  # batch norm suffers from batches of one head
        (DIFFUSION, True, True),
        (NAFNET, True, True),
        ({"kind": "munet", "channels": (4, 4, 4)}, False, False),
    ],
    ids=["unet", "group norm", "fusion", "fusion and batch norm", "mfdiff", "nafnet", "munet"],
)
def test_those_whose_pixels_see_a_far_corner_learn_from_whole_heads(model, far, whole_heads):
    settings = TypeAdapter(AnyMethodSettings).validate_python(model)
    low = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    changed = low.clone()
    changed[..., :24, :24] += 100.0
    centre = (slice(None), slice(None), SIDE // 2, SIDE // 2)
    same = torch.equal(restored(settings, low)[centre], restored(settings, changed)[centre])
    assert same != far
    assert settings.learns_from_whole_heads == whole_heads
