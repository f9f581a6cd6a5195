"""Settings of the multi-modality feature fusion module, which MFdiff and its ablations share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from quietpet.config.section import Positive, Section

Branch = Literal["global", "detail"]


class FusionSettings(Section):
    """The multi-modality feature fusion module (MFdiff, section 3.1).

    The paper states its parts, three coupling layers and two decoder blocks. The other defaults are
    those of CDDFuse (Zhao et al. 2023), the same design, unless their description says otherwise.
    """

    branches: tuple[Branch, ...] = Field(
        ("global", "detail"),
        min_length=1,
        description="parallel branches of each modality, each with a fusion layer; [global, detail] is "
        "stated, and for the ablations [global, global] and [detail, detail]: the branch left out is "
        "replaced by a second one of the other kind, which keeps the numbers of parameters similar",
    )
    channels: int = Field(
        64,
        ge=2,
        multiple_of=2,
        description="C, channels of every feature map; 64 in CDDFuse",
    )
    heads: int = Field(8, ge=1, description="attention heads; 8 in CDDFuse")
    encoder_blocks: int = Field(
        4, ge=1, description="Restormer blocks per modality encoder; 4 in CDDFuse"
    )
    global_attention: Literal["channel", "spatial"] = Field(
        "channel",
        description="what attends in the global branch and its fusion layer: channels, as in the cited "
        "Restormer and in CDDFuse, or pixels, as the text says (section 3.1.1), whose cost grows with "
        "the fourth power of the side of the image",
    )
    coupling_layers: int = Field(
        3,
        ge=1,
        description="affine coupling layers of a detail branch; stated. Its halves exchange roles from "
        "one to the next, which is not: Eq. 4 is the first layer",
    )
    log_scale_bound: Positive = Field(
        1.0,
        description="a coupling layer amplifies by exp(-bound) to exp(bound); without a bound, as in "
        "Eq. 4, half precision overflows and the inverse is inaccurate",
    )
    aggregation: Literal["sum", "concat"] = Field(
        "sum",
        description="how the features of both modalities enter a fusion layer, which is not stated: "
        "their sum, as in CDDFuse, or both through a 1x1 convolution",
    )
    decoder_blocks: int = Field(2, ge=1, description="Restormer blocks of the decoder; stated")
    expansion: Positive = Field(
        2.0,
        description="hidden / outer channels of feed-forward and inverted residual layers; 2 in CDDFuse",
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> FusionSettings:
        if self.channels % self.heads:
            raise ValueError(f"heads = {self.heads} must divide channels = {self.channels}")
        return self
