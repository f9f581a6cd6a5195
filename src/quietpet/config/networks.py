"""How networks are trained and applied."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from quietpet.config.section import NonNegative, Positive, Section

ScheduleName = Literal["constant", "cosine", "linear"]
Beta = Annotated[float, Field(ge=0, lt=1)]


class EmaSettings(Section):
    """Running average of the weights over the steps: what is validated and kept, if there is one."""

    profile: Literal["none", "exponential", "power"] = Field(
        "none",
        description="exponential: constant decay after a start-up; power: weight of step t proportional "
        "to t**gamma, a fixed fraction of the training whatever its length (Karras et al. 2024, EDM2)",
    )
    decay: float = Field(
        0.999, gt=0, lt=1, description="exponential: factor on the average at each step"
    )
    relative_width: float = Field(
        0.1,
        gt=0,
        le=0.25,
        description="power: standard deviation of the profile / length of the training (sigma_rel)",
    )


class OptimiserSettings(Section):
    """Adam (Kingma & Ba, 2015) or AdamW (Loshchilov & Hutter, 2019)."""

    kind: Literal["adamw", "adam"] = Field(
        "adamw",
        description="adamw: weights decay beside the gradient; adam: decay is a part of the gradient",
    )
    betas: tuple[Beta, Beta] = Field(
        (0.9, 0.999), description="decay of the running means of the gradient and of its square"
    )
    weight_decay: NonNegative = Field(0.01, description="adamw: times the learning rate, at each step")

    def describe(self) -> str:
        """In the words of a methods section; PyTorch's defaults go without saying."""
        name, usual = {"adamw": ("AdamW", 0.01), "adam": ("Adam", 0.0)}[self.kind]
        first, second = self.betas
        words = [f"betas {first:g} and {second:g}"] if self.betas != (0.9, 0.999) else []
        words += [f"weight decay {self.weight_decay:g}"] if self.weight_decay != usual else []
        return " and ".join([f"{name} with {words[0]}", *words[1:]] if words else [name])


class RateTrialsSettings(Section):
    """Short trainings that choose the learning rate of each method, all with the same factors."""

    factors: tuple[Positive, ...] = Field(
        min_length=2, description="times training.learning_rate: the learning rates that are tried"
    )
    iterations: int = Field(ge=1, description="optimiser steps of each trial, a whole schedule")

    @field_validator("factors")
    @classmethod
    def _distinct(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(factors)) != len(factors):
            raise ValueError(f"each factor may be given once, got {list(factors)}")
        return factors


class TrainingSettings(Section):
    """Optimisation shared by all methods, so that they are compared on the same budget."""

    iterations: int = Field(50_000, ge=1, description="optimiser steps")
    batch_size: int = Field(4, ge=1)
    optimiser: OptimiserSettings = OptimiserSettings()
    learning_rate: Positive = Field(1e-4, description="peak learning rate")
    learning_rate_trials: RateTrialsSettings | None = Field(
        None,
        description="chooses the learning rate of each method: learning_rate times the factor whose "
        "trial, on the study's own phantoms, restores validation slices with the least NMSE; a stage of "
        "learning has its rate times the same factor. none: one rate for all",
    )
    schedule: ScheduleName = Field(
        "constant",
        description="learning rate over the iterations; cosine falls to zero, and so does linear after "
        "constant_share of the iterations",
    )
    constant_share: float = Field(
        0.0, ge=0, lt=1, description="linear: share of the iterations before the fall"
    )
    warmup_iterations: int = Field(
        0, ge=0, description="steps of a linear rise to the peak learning rate, before the schedule"
    )
    patch_pixels: int | None = Field(
        None, ge=16, multiple_of=16, description="side of the random training patches; none: whole crops"
    )
    whole_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the iterations, the last ones, on whole heads instead of patches, in "
        "batches of as many pixels, or of one head for each process; of networks with group "
        "normalisation or attention, which see the field of view and restore whole slices worse after "
        "learning from patches alone. "
        "Others, and those with batch normalisation, which needs several slices, keep to patches",
    )
    flip: bool = Field(False, description="mirror half of the training slices left-right")
    gradient_clip: Positive | None = Field(None, description="largest gradient norm")
    validate_every: int = Field(1000, ge=1, description="iterations between validations and checkpoints")
    select_by: Literal["nmse", "last"] = Field(
        "nmse",
        description="which weights are kept, by one rule for all methods; nmse: the validated ones of "
        "the least normalised mean square error of restored validation slices (a method that samples "
        "draws one sample of each, in few steps whatever its sampler); last: those of the last step. A "
        "loss decides nothing: those of diffusion models and discriminators are no errors of images",
    )
    validation_slices: int = Field(
        16,
        ge=1,
        description="validation slices restored for nmse, evenly spread; all if there are fewer",
    )
    ema: EmaSettings = EmaSettings()
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true",
        description="mixed: 16-bit arithmetic, float32 weights; 16-mixed (float16) scales the loss",
    )
    channels_last: bool = Field(
        False,
        description="memory order of the weights: channels innermost; faster on tensor cores, and for "
        "U-Nets on CPUs",
    )
    compile: bool = Field(
        False, description="torch.compile of the networks: a minute of start for faster long trainings"
    )

    def lasting(self, iterations: int) -> Self:
        """These settings for a training of another length, its warm-up in proportion."""
        warm_up = self.warmup_iterations * iterations // self.iterations
        changes = {"iterations": iterations, "warmup_iterations": warm_up}
        return self.model_validate({**self.model_dump(), **changes})

    def at_factor(self, factor: float) -> Self:
        """These settings with a learning rate that was chosen: so many times the common one."""
        return self.model_copy(
            update={"learning_rate": factor * self.learning_rate, "learning_rate_trials": None}
        )

    def trial(self, factor: float) -> Self:
        """The short training that tries one of ``learning_rate_trials``; ValueError without any."""
        if self.learning_rate_trials is None:
            raise ValueError("this training tries no learning rates")
        short = self.lasting(self.learning_rate_trials.iterations).at_factor(factor)
        return short.model_copy(update={"select_by": "nmse"})

    @property
    def patch_steps(self) -> int | None:
        """Steps that see patches before all others see whole heads; none: all steps are alike."""
        if self.patch_pixels is None or not self.whole_share:
            return None
        return round(self.iterations * (1 - self.whole_share))

    @property
    def schedule_in_words(self) -> str:
        """How the learning rate falls, to follow its value in a sentence; empty where it does not."""
        linear = "falling linearly to zero"
        if self.schedule == "linear" and self.constant_share:
            linear += f" after {100 * self.constant_share:.0f} % of the iterations"
        cosine = "falling as a cosine"
        return {"constant": "", "cosine": f", {cosine}", "linear": f", {linear}"}[self.schedule]

    def describe(self) -> str:
        """What one training may spend, in the words of a methods section."""
        side = self.patch_pixels
        seen = f"patches of {side} x {side} pixels" if side else "whole slices"
        warm_up = f", after {self.warmup_iterations} of linear warm-up" if self.warmup_iterations else ""
        whole = (
            f"; networks whose pixels depend on the field of view see whole heads in the last "
            f"{100 * self.whole_share:.0f} % of them, in batches of as many pixels"
            if self.patch_steps is not None
            else ""
        )
        return (
            f"{self.iterations} iterations of {self.optimiser.describe()} "
            f"(peak learning rate {self._rate_in_words()}{warm_up}{self.schedule_in_words}) "
            f"on batches of {self.batch_size} {seen}{whole}"
        )

    def _rate_in_words(self) -> str:
        trials = self.learning_rate_trials
        if trials is None:
            return f"{self.learning_rate:g}"
        rates = " or ".join(f"{factor * self.learning_rate:g}" for factor in trials.factors)
        return (
            f"{rates}, for each network that which restored validation slices best in a trial of "
            f"{trials.iterations} iterations"
        )

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        if self.warmup_iterations >= self.iterations:
            raise ValueError(
                f"warmup_iterations = {self.warmup_iterations} must be fewer than "
                f"iterations = {self.iterations}"
            )
        return self


class InferenceSettings(Section):
    """How trained networks are applied."""

    pixels: int = Field(
        192,
        ge=32,
        multiple_of=16,
        description="side of the central square that is restored; outside is 0",
    )
    batch_size: int = Field(8, ge=1, description="slices restored together; never changes a result")
    precision: Literal["32-true", "bf16-mixed"] = Field(
        "32-true",
        description="bf16-mixed: networks run in bfloat16, channels innermost; two to three times as "
        "fast on GPUs that have it, rounding each restored pixel by up to 0.4 %",
    )
