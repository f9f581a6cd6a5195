"""Settings of the conditional score-based residual diffusion (CSRD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from quietpet.config.diffusion import VALIDATION_STEPS, SamplerName
from quietpet.config.inputs import PetAndT1Settings
from quietpet.config.networks import EmaSettings, OptimiserSettings
from quietpet.config.published import PublishedTraining
from quietpet.config.section import Positive
from quietpet.diffusion.samplers import FOLDER, SAMPLERS

NORM_GROUPS = 32
CHANNELS_PER_GROUP = 4
"""Group normalisation: at most that many groups, of at least that many channels."""

_LEVELS = ("sigma_min", "sigma_max", "rho")
"""Settings of the noise levels that sampling visits."""


class Settings(PetAndT1Settings):
    """CSRD (Yoon et al. 2024): a score model of the residual, conditioned on low-dose image and T1.

    The defaults are the sizes of the published 3-D network, in 2-D, and the noise levels of EDM (Karras
    et al. 2022), which are for data of standard deviation 0.5 and scale with that of the residual.
    """

    kind: Literal["csrd"] = "csrd"
    channels: int = Field(
        64,
        ge=4,
        multiple_of=4,
        description="of the network (DDPM++, Song et al. 2021) at full resolution",
    )
    multipliers: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 2, 2, 2),
        min_length=1,
        description="of the channels, per resolution, halved from one to the next",
    )
    blocks: int = Field(4, ge=1, description="residual blocks per resolution")
    dropout: float = Field(0.13, ge=0, lt=1, description="share of features left out while training")
    log_sigma_mean: float = Field(
        -1.2, description="mean of ln sigma, the noise levels the network is trained on (P_mean of EDM)"
    )
    log_sigma_std: Positive = Field(1.2, description="its standard deviation (P_std of EDM)")
    sigma_min: Positive = Field(0.002, description="last noise level that sampling visits before 0")
    sigma_max: Positive = Field(80.0, description="noise level that sampling starts at")
    rho: Positive = Field(
        7.0, description="sampling visits levels whose rho-th roots are equally far apart (EDM, Eq. 5)"
    )
    sampler: SamplerName = Field(
        "heun", description="how samples are drawn; Heun's method is that of EDM, and deterministic"
    )
    sampling_steps: int = Field(
        18,
        ge=1,
        description="strides from noise to image; Heun's cost two network evaluations each, and in "
        "fewer than ten its corrections magnify errors of the network; ddim and dpmpp_2m bear any",
    )
    samples_per_slice: int = Field(
        1, ge=1, description="restorations drawn per slice; the first and their mean are both scored"
    )

    @model_validator(mode="after")
    def _levels_fall(self) -> Self:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(
                f"sigma_min = {self.sigma_min:g} must be below sigma_max = {self.sigma_max:g}"
            )
        return self

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        widest = 2 * self.channels * max(self.multipliers)  # where a decoder takes a skip connection
        if widest > NORM_GROUPS * CHANNELS_PER_GROUP and self.channels % NORM_GROUPS:
            raise ValueError(
                f"channels = {self.channels} must be a multiple of {NORM_GROUPS}: group normalisation "
                f"divides up to {widest} features into {NORM_GROUPS} groups"
            )
        return self

    def for_training(self) -> Self:
        return self.model_copy(
            update={
                "sampler": "dpmpp_2m",
                "sampling_steps": VALIDATION_STEPS,
                "samples_per_slice": 1,
                **{name: type(self).model_fields[name].default for name in _LEVELS},
            }
        )

    @property
    def samples(self) -> int:
        return self.samples_per_slice

    @property
    def modules(self) -> tuple[str, ...]:
        return (f"{FOLDER}.{self.sampler}",)

    @property
    def network_evaluations(self) -> int:
        """How often the network runs for one sample."""
        return SAMPLERS[self.sampler].network_evaluations(self.sampling_steps)

    @property
    def learns_from_whole_heads(self) -> bool:
        return True  # group norm and, at the lowest resolution, self-attention

    @property
    def divisor(self) -> int:
        return 2 ** (len(self.multipliers) - 1)

    @property
    def published_parameters(self) -> Mapping[str, int]:
        return {"network": 41_253_505}  # in 3-D; the card counts the same network in 2-D

    @property
    def published_training(self) -> PublishedTraining:
        # Its average has a half-life of 5 % of the images so far (at most of 0.5 million): weights of
        # t**(ln 2 / 0.05 - 1), whose standard deviation is 0.063 of the training.
        return PublishedTraining(
            source="siyeopyoon/Residual-Diffusion-PET-MR-Denoising, train_multigpu.py",
            learning_rate=2e-4,
            optimiser=OptimiserSettings(kind="adam", weight_decay=0.0),
            batch_size=16,
            ema=EmaSettings(profile="power", relative_width=0.063),
        )

    def describe(self) -> str:
        return (
            f"residual score model, EDM preconditioning, {SAMPLERS[self.sampler].words} "
            f"{self.sampling_steps} steps ({self.network_evaluations} network evaluations)"
            f"{self.inputs_in_words}"
        )
