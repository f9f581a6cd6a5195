"""How many network evaluations does each sampler need?

    python benchmarks/samplers.py --schedule linear --std 0.5 0.1

Samples Gaussian data with their exact denoiser, so that all error is the sampler's, and prints for each
sampler, spacing and number of strides: network evaluations per sample; error of the mean and of the
standard deviation of the samples, in % of the data's standard deviation; and, of the deterministic
samplers, the root mean square distance from the exact probability flow, in the same unit. A start from
N(0, 1) instead of the data's own noisy distribution leaves a small error of the mean at any cost.
The wide data resemble images of a head, the narrow ones what a low-dose image leaves open.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from gaussian_oracle import GaussianData, outcome

from quietpet.config.diffusion import SamplerName
from quietpet.diffusion.samplers import SAMPLERS
from quietpet.diffusion.schedule import SCHEDULES, Schedule
from quietpet.diffusion.walk import Spacing, plan_walk

MEAN = 0.7
EVALUATIONS = (10, 20, 50, 100, 250)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Errors of one sampler, in units of the standard deviation of the data."""

    sampler: SamplerName
    spacing: Spacing
    steps: int
    evaluations: int
    mean_error: float
    std_error: float
    flow_error: float | None


def compare(data: GaussianData, schedule: Schedule) -> Iterator[Row]:
    """Every sampler and spacing at, or one below, each number of network evaluations."""
    for sampler in SAMPLERS:
        for spacing in get_args(Spacing):
            for evaluations in EVALUATIONS:
                steps = SAMPLERS[sampler].steps_within(evaluations)
                yield errors(data, schedule, sampler=sampler, spacing=spacing, steps=steps)
    yield errors(data, schedule, sampler="ddpm", spacing="uniform", steps=schedule.start)


def errors(
    data: GaussianData, schedule: Schedule, *, sampler: SamplerName, spacing: Spacing, steps: int
) -> Row:
    """Errors of one sampler with ``steps`` strides."""
    walk = plan_walk(schedule, steps=steps, spacing=spacing)
    samples = outcome(SAMPLERS[sampler], walk, data.denoiser(schedule))
    flow = data.flow(schedule)
    flow_error = None
    if len(samples.slopes) == 1:
        distance = math.hypot(samples.offset - flow.offset, samples.slopes[0] - flow.slopes[0])
        flow_error = distance / data.std
    return Row(
        sampler=sampler,
        spacing=spacing,
        steps=steps,
        evaluations=SAMPLERS[sampler].network_evaluations(steps),
        mean_error=(samples.mean - data.mean) / data.std,
        std_error=samples.std / data.std - 1,
        flow_error=flow_error,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schedule", choices=SCHEDULES, default="linear")
    parser.add_argument("--timesteps", type=int, default=1000)
    parser.add_argument("--std", type=float, nargs="+", default=[0.5, 0.1])
    options = parser.parse_args()
    schedule = SCHEDULES[options.schedule](options.timesteps)
    for std in options.std:
        print(f"x_0 ~ N({MEAN}, {std}^2), {options.schedule} schedule of {options.timesteps}")
        print("sampler   spacing    steps  evaluations  mean [%]   std [%]  flow [%]")
        for row in compare(GaussianData(mean=MEAN, std=std), schedule):
            flow = "-" if row.flow_error is None else f"{100 * row.flow_error:.3f}"
            print(
                f"{row.sampler:<9} {row.spacing:<9} {row.steps:6d} {row.evaluations:12d} "
                f"{100 * row.mean_error:9.3f} {100 * row.std_error:9.3f} {flow:>9}"
            )
        print()


if __name__ == "__main__":
    main()
