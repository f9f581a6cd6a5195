"""Which samplers of a trained diffusion method are worth comparing, and at what cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from quietpet.config.diffusion import DiffusionSettings, SamplerName
from quietpet.config.section import Positive, Section
from quietpet.diffusion.samplers import SAMPLERS
from quietpet.diffusion.schedule import SCHEDULES
from quietpet.diffusion.walk import Spacing

Evaluations = Annotated[int, Field(ge=1)]
REFERENCE: SamplerName = "ddpm"
"""Sampler that the others are compared with, at every diffusion time."""


class PlannerSettings(Section):
    """Quality against sampling steps: `snakemake results/sampling.csv`."""

    report: bool = Field(
        False,
        description="also show it in results/report.html; each method then costs some thousand network "
        "evaluations more per slice, most of them for the reference",
    )
    slices: int = Field(
        8, ge=1, description="validation slices, evenly spread over all; at most as many as there are"
    )
    samples_per_slice: int = Field(
        2, ge=2, description="samples drawn of each; their mean quality and their spread are measured"
    )
    evaluations: tuple[Evaluations, ...] = Field(
        (1, 3, 5, 10, 15, 20, 50),
        min_length=1,
        description="network evaluations per sample; the reference, DDPM at every diffusion time, is "
        "always measured",
    )
    spacings: dict[SamplerName, tuple[Spacing, ...]] = Field(
        {
            name: SAMPLERS[name].spacings
            for name in sorted(SAMPLERS, key=lambda name: (name != REFERENCE, name))
        },
        description="samplers to compare, and the spacings of each",
    )
    tolerance_db: Positive = Field(
        0.1, description="largest difference to the PSNR of the reference [dB]"
    )

    def candidates(self, method: DiffusionSettings) -> tuple[DiffusionSettings, ...]:
        """``method`` with each sampler, spacing and number of steps; first the reference."""
        most = SCHEDULES[method.schedule](method.timesteps).start
        found = [_sampled(method, REFERENCE, "uniform", most)]
        for sampler, spacings in self.spacings.items():
            affordable = {min(SAMPLERS[sampler].steps_within(each), most) for each in self.evaluations}
            found += [
                _sampled(method, sampler, spacing, steps)
                for spacing in spacings
                for steps in sorted(affordable)
            ]
        return tuple(dict.fromkeys(found))


def _sampled(
    method: DiffusionSettings, sampler: SamplerName, spacing: Spacing, steps: int
) -> DiffusionSettings:
    changes = {
        "sampler": sampler,
        "spacing": spacing,
        "sampling_steps": steps,
        "samples_per_slice": 1,
    }
    return method.model_copy(update=changes)
