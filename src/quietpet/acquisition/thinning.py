"""Binomial thinning: from the events of one scan to those of a shorter or weaker one.

Keeping each event with probability f turns Poisson counts of mean m into Poisson counts of mean f m,
independent of the events removed. Here every event owns a number u, uniform in [0, 1), and is kept if
u < f: whatever levels there are, the events of a lower one are among those of a higher one, and adding
a level changes no other. The numbers are drawn one binary digit at a time, and only for the events of a
bin that share the leading digits of f; once they are few, the rest of each number is drawn at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from quietpet.acquisition.events import DRAWS_OF_RANDOMS

FEW_EVENTS_PER_BIN = 16


def kept_of_randoms(fraction: float, *, fraction_of: Literal["time", "activity"]) -> float:
    """Part of the randoms that is left of a ``fraction`` of the time, or of the activity.

    Randoms are pairs of unrelated photons, so their rate follows the square of the activity.
    """
    return fraction if fraction_of == "time" else fraction**2


def thin_measurement(
    standard: Mapping[str, np.ndarray],
    fraction: float,
    *,
    of_randoms: float,
    thinned: Callable[[str, np.ndarray, float], np.ndarray],
) -> dict[str, np.ndarray]:
    """The arrays of a measurement of which ``fraction`` of trues and scatter is kept.

    Expectations and the calibration are scaled, so that images keep their activity; events are chosen:
    ``thinned`` gives the part of events (slice, view, bin) of the kind "prompts", "randoms" or
    "delayed". Random prompts are thinned by ``of_randoms`` and apart from the others.
    """
    arrays = {
        name: factor * standard[name]
        for name, factor in (
            ("counts_per_activity", fraction),
            ("expected_trues", fraction),
            ("expected_scattered", fraction),
            ("expected_randoms", of_randoms),
        )
    }
    coincidences = standard["prompts"]
    if "random_prompts" in standard:
        coincidences = coincidences - standard["random_prompts"]
    arrays["prompts"] = thinned("prompts", coincidences, fraction)
    if "random_prompts" in standard:
        for name, kind in DRAWS_OF_RANDOMS.items():
            arrays[name] = thinned(kind, standard[name], of_randoms)
        arrays["prompts"] = arrays["prompts"] + arrays["random_prompts"]
    if "scatter" in standard:
        arrays["scatter"] = standard["scatter"] * np.float32(fraction)
    return arrays


def thin(
    counts: np.ndarray, fraction: float, *, generator_at: Callable[[str], np.random.Generator]
) -> np.ndarray:
    """The events of ``counts`` (any shape, integer) whose number is below ``fraction``, per bin.

    ``generator_at`` gives the generator of what follows the leading digits "0110...", always the same
    one for the same digits: that is what makes levels nested.
    Raises ValueError unless 0 <= fraction <= 1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"a fraction lies in [0, 1], got {fraction}")
    if fraction == 1:
        return counts.copy()
    kept = np.zeros(counts.size, dtype=counts.dtype)
    bins = np.flatnonzero(counts)
    undecided = counts.ravel()[bins].astype(np.int64)  # events that share the digits of f so far
    digits = ""
    while fraction and undecided.sum() > FEW_EVENTS_PER_BIN * bins.size:
        with_one = _binomial_half(undecided, generator_at(digits))
        fraction *= 2
        if fraction >= 1:  # the next digit of f is 1: events with digit 0 lie below f
            kept[bins] += (undecided - with_one).astype(kept.dtype)
            undecided, fraction, digits = with_one, fraction - 1, f"{digits}1"
        else:
            undecided, digits = undecided - with_one, f"{digits}0"
        left = undecided > 0
        bins, undecided = bins[left], undecided[left]
    if fraction and bins.size:
        below = generator_at(digits).random(undecided.sum()) < fraction
        first = np.cumsum(undecided) - undecided
        kept[bins] += np.add.reduceat(below, first, dtype=kept.dtype)
    return kept.reshape(counts.shape)


def _binomial_half(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Binomial(counts, 1/2) of positive counts (bin,): the ones among as many random bits."""
    words = (counts + 63) >> 6  # of 64 bits; the spare bits of a bin's last word are shifted out
    last = np.cumsum(words) - 1
    bits = rng.integers(2**64, size=int(last[-1]) + 1, dtype=np.uint64)
    bits[last] >>= ((words << 6) - counts).view(np.uint64)
    return np.add.reduceat(np.bitwise_count(bits), last - words + 1, dtype=np.int64)
