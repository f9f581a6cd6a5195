"""Settings of FB-SEM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from quietpet.config.inputs import PetAndT1Settings
from quietpet.config.published import PublishedTraining
from quietpet.config.section import Positive


class Settings(PetAndT1Settings):
    """Forward-backward splitting EM, unrolled and learned (Mehranian & Reader, IEEE TRPMS 5:54, 2021).

    The defaults are those of the published 2-D code. The point spread is that of the dose; its number of
    OSEM iterations is not used. It learns from whole, unmirrored slices, whatever
    ``training.patch_pixels`` and ``training.flip`` say, because its sinograms are of such.
    """

    kind: Literal["fbsem"] = "fbsem"
    updates: int = Field(
        48,
        ge=1,
        description="unrolled updates, all with the same network: each is EM of the next subset, "
        "then fusion; published are 8 iterations of 6 subsets",
    )
    subsets: int = Field(6, ge=1, description="ordered subsets, at most one per view")
    start: Literal["ones", "low"] = Field(
        "ones",
        description="image before the first update; low: the low-dose image, for few updates",
    )
    layers: int = Field(5, ge=2, description="convolutions of the network, 3 x 3")
    kernels: int = Field(32, ge=1, description="channels between them")
    gamma: Positive = Field(
        10.0,
        description="initial weight of the network's image, then learned; of differences relative to "
        "the low-dose activity of the slice, as `beta` of kind `bowsher`",
    )

    @property
    def reconstructs(self) -> bool:
        return True

    @property
    def least_views(self) -> int:
        return self.subsets

    @property
    def least_batch(self) -> int:
        return 2  # batch normalisation

    @property
    def published_parameters(self) -> Mapping[str, int]:
        return {"network": 28_900}  # for PET and MR in two dimensions, with gamma

    @property
    def published_training(self) -> PublishedTraining:
        return PublishedTraining(
            source="Abolfazl-Mehranian/FBSEM, train_fbsem_net.py", learning_rate=0.01, batch_size=5
        )

    def describe(self) -> str:
        seen = ["image", *(["T1"] if self.sees_t1 else [])]
        begins = "the low-dose image" if self.start == "low" else "ones"
        return (
            f"{self.updates} unrolled EM updates of the sinogram ({self.subsets} subsets) from "
            f"{begins}, each fused with a CNN of {' and '.join(seen)}, MSE; learned from whole slices"
        )
