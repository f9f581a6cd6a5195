"""Settings that every diffusion method has in common."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from quietpet.config.methods import MethodSettings
from quietpet.config.section import OneOf, Positive
from quietpet.diffusion.samplers import FOLDER, SAMPLERS
from quietpet.diffusion.schedule import SCHEDULES, ScheduleName
from quietpet.diffusion.walk import Spacing

SamplerName = Annotated[str, OneOf(tuple(SAMPLERS))]
Prediction = Literal["epsilon", "x0", "v"]
VALIDATION_STEPS = 10
"""Strides of DPM-Solver++ for samples while a network is trained."""

_SAMPLERS = ". ".join(f"{name}: {sampler.summary}" for name, sampler in SAMPLERS.items())


class DiffusionSettings(MethodSettings):
    """What is diffused, what the network predicts, how samples are drawn; defaults: Ho et al. (2020)."""

    diffused: Literal["standard", "residual"] = Field(
        "standard",
        description="x_0, the image that is diffused: the standard-dose image, or its difference to the "
        "low-dose image, which is zero at the start of training and so needs a shorter one",
    )
    prediction: Prediction = Field(
        "epsilon",
        description="what the network predicts: the noise, which needs tens of thousands of iterations; "
        "x0; or v = signal * noise - spread * x0, well-posed at every noise level",
    )
    target_rms: Positive = Field(
        1.0,
        description="activity-weighted root mean square of the diffused image, which is scaled to it on "
        "the validation slices; 1 makes its standard deviation over the head about 0.5, as in Ho et al.",
    )
    schedule: ScheduleName = Field(
        "linear",
        description="noise over the diffusion times; linear: beta from 1e-4 to 0.02 (Ho et al.), made "
        "for 1000 timesteps; cosine: less noise early (Nichol & Dhariwal), for any number of timesteps, "
        "better with prediction x0 or v: its end would magnify errors of a predicted noise",
    )
    timesteps: int = Field(1000, ge=2, description="T, diffusion times a network is trained on")
    sampler: SamplerName = Field(
        "ddpm",
        description=f"how samples are drawn. {_SAMPLERS}",
    )
    sampling_steps: int = Field(1000, ge=1, description="strides from noise to image")
    spacing: Spacing = Field(
        "uniform",
        description="diffusion times visited: uniform; quadratic, denser near the image; log_snr, equal "
        "gains of log signal-to-noise. With few strides uniform leaves too much noise to the last one, "
        "and the second order of dpmpp_2m and heun is lost: log_snr suits dpmpp_2m, quadratic heun. As "
        "many strides as timesteps make all three the same",
    )
    samples_per_slice: int = Field(
        1, ge=1, description="restorations drawn per slice; the first and their mean are both scored"
    )

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        most = SCHEDULES[self.schedule](self.timesteps).start
        if self.sampling_steps > most:
            raise ValueError(
                f"sampling_steps = {self.sampling_steps} exceeds the {most} diffusion times that can be "
                f"visited with schedule = {self.schedule}, timesteps = {self.timesteps}"
            )
        return self

    def for_training(self) -> Self:
        most = SCHEDULES[self.schedule](self.timesteps).start
        return self.model_copy(
            update={
                "sampler": "dpmpp_2m",
                "spacing": "log_snr",
                "sampling_steps": min(VALIDATION_STEPS, most),
                "samples_per_slice": 1,
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
        """How often the network runs for one sample: its cost, whatever the sampler."""
        return SAMPLERS[self.sampler].network_evaluations(self.sampling_steps)

    def describe(self) -> str:
        residual = "residual " if self.diffused == "residual" else ""
        noise = "" if self.schedule == "linear" else f" with {self.schedule} noise"
        words = f"{residual}{self.prediction}-prediction{noise}, {SAMPLERS[self.sampler].words}"
        evaluations = self.network_evaluations
        cost = "" if evaluations == self.sampling_steps else f" ({evaluations} network evaluations)"
        return f"{words} {self.sampling_steps} steps{cost}"
