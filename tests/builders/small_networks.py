"""Settings of networks small enough to train in a test."""

from __future__ import annotations

UNET = {"kind": "unet", "features": (4, 4, 8, 8, 8, 4)}
MFDIFF = {
    "kind": "mfdiff",
    "fusion": {"channels": 4, "heads": 2, "encoder_blocks": 1},
    "denoiser": {
        "channels": (4, 8), "attention": (False, False), "res_blocks": 1, "norm_groups": 4,
        "head_channels": 8,
    },
}  # fmt: skip
RESIDUAL_MFDIFF = {**MFDIFF, "diffused": "residual", "prediction": "x0"}
