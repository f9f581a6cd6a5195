"""The events of a slice: what is expected of each kind, and what a scan counts of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quietpet.acquisition.background import expected_scatter, odds, scaled_to
from quietpet.acquisition.counts import poisson_prompts

DRAWS_OF_RANDOMS = {"random_prompts": "randoms", "delayed": "delayed"}
"""What is drawn of the randoms, by its name in files, and the name of its generator."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpectedEvents:
    """Expected prompts (view, bin) of one slice, by kind; None for a kind that the scan has not.

    Totals are those of the lines of response that see activity.
    """

    trues: np.ndarray
    scatter: np.ndarray | None
    randoms: np.ndarray | None
    total_trues: float
    total_scattered: float
    total_randoms: float


def expected_events(
    arriving: np.ndarray,
    normalisation: np.ndarray,
    *,
    counts_per_activity: float,
    scatter_kernel: np.ndarray,
    scatter_fraction: float,
    randoms_per_coincidence: float,
) -> ExpectedEvents:
    """What one slice is expected to record of the pairs that arrive, (view, bin).

    Trues are these times ``normalisation`` (view, bin) and ``counts_per_activity``. Randoms are spread
    evenly before detection.
    """
    trues = counts_per_activity * normalisation * arriving
    seen, total_trues = trues > 0, trues.sum()
    total_scattered = odds(scatter_fraction) * total_trues
    total_randoms = randoms_per_coincidence * (total_trues + total_scattered)
    scatter = randoms = None
    if scatter_fraction:
        scatter = expected_scatter(
            total_trues,
            arriving,
            normalisation,
            scatter_kernel,
            scatter_fraction=scatter_fraction,
            within=seen,
        )
    if randoms_per_coincidence:
        randoms = scaled_to(total_randoms, normalisation, within=seen)
    return ExpectedEvents(
        trues=trues,
        scatter=scatter,
        randoms=randoms,
        total_trues=total_trues,
        total_scattered=total_scattered,
        total_randoms=total_randoms,
    )


def draw_events(
    expected: ExpectedEvents, generator_of: Callable[[str], np.random.Generator]
) -> dict[str, np.ndarray]:
    """Poisson counts (view, bin) of one slice: ``prompts`` and, with randoms, two draws of these.

    ``random_prompts`` are those among the prompts, ``delayed`` those of the delayed window, which the
    scan counts beside. ``generator_of`` gives the generator of "prompts", "randoms" and "delayed".
    """
    coincidences = expected.trues if expected.scatter is None else expected.trues + expected.scatter
    events = {"prompts": poisson_prompts(coincidences, generator_of("prompts"))}
    if expected.randoms is not None:
        for name, kind in DRAWS_OF_RANDOMS.items():
            events[name] = poisson_prompts(expected.randoms, generator_of(kind))
        events["prompts"] += events["random_prompts"]
    return events
