"""Which diffusion times a sampler visits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from quietpet.diffusion.schedule import Level, Schedule

if TYPE_CHECKING:
    import torch

Spacing = Literal["uniform", "quadratic", "log_snr"]


@dataclass(frozen=True, kw_only=True)
class Stride:
    """One stride of a walk, from diffusion time ``start`` to the earlier ``end``.

    ``here`` and ``there`` are their levels; ``rise`` is the gain in log(signal / spread), the h of
    Lu et al. (2022), infinite when ``end`` is 0.
    """

    start: int
    end: int
    here: Level
    there: Level
    rise: float

    def flow(self, noisy: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """The end of the stride when the estimate ``clean`` of x_0 holds along it."""
        return self.there.noisy(clean, self.here.noise(noisy, clean))


@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    """The diffusion times ``times`` of ``schedule``, strictly falling to 0, that a sampler visits."""

    schedule: Schedule
    times: tuple[int, ...]

    @property
    def strides(self) -> list[Stride]:
        """From each visited time to the next."""
        schedule = self.schedule
        return [
            Stride(
                start=start,
                end=end,
                here=schedule.level(start),
                there=schedule.level(end),
                rise=float(schedule.log_snr[end] - schedule.log_snr[start]),
            )
            for start, end in pairwise(self.times)
        ]


def plan_walk(schedule: Schedule, *, steps: int, spacing: Spacing) -> Walk:
    """A walk from the schedule's start to 0 in ``steps`` strides.

    Networks know integer times only, so the wanted ones are rounded; where rounding would visit a time
    twice, the walk takes the next one. With as many strides as times it visits them all.
    """
    if not 1 <= steps <= schedule.start:
        raise ValueError(f"sampling steps must be between 1 and {schedule.start}, got {steps}")
    rank = np.arange(steps + 1)
    times = np.sort(_SPACINGS[spacing](schedule, steps)).round().astype(int)
    times = np.maximum.accumulate(times - rank) + rank
    times = np.minimum(times, schedule.start - rank[::-1])
    return Walk(schedule=schedule, times=tuple(times[::-1].tolist()))


def _uniform(schedule: Schedule, steps: int) -> np.ndarray:
    return np.linspace(schedule.start, 0, steps + 1)


def _quadratic(schedule: Schedule, steps: int) -> np.ndarray:
    """Denser towards the data (Song et al. 2021, appendix D.2)."""
    return schedule.start * np.linspace(1, 0, steps + 1) ** 2


def _log_snr(schedule: Schedule, steps: int) -> np.ndarray:
    """Equal gains of log(signal / spread) down to t = 1 (Lu et al. 2022), then the stride to 0."""
    if steps == 1:
        return np.array([schedule.start, 0.0])
    known = schedule.log_snr[1 : schedule.start + 1]
    wanted = np.linspace(known[-1], known[0], steps)
    rising = np.interp(wanted, known[::-1], np.arange(schedule.start, 0, -1))
    return np.concatenate([rising, [0.0]])


_SPACINGS: Mapping[Spacing, Callable[[Schedule, int], np.ndarray]] = MappingProxyType(
    {"uniform": _uniform, "quadratic": _quadratic, "log_snr": _log_snr}
)
