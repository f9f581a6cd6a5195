"""A lower dose made of a part of the standard dose's events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from quietpet.acquisition.background import modelled_background
from quietpet.acquisition.thinning import kept_of_randoms, thin, thin_measurement
from quietpet.errors import InputError
from quietpet.files.sinograms import ScannedDose
from quietpet.jobs.acquisition import ThinJob
from quietpet.seeds import numpy_rng


def thinned(job: ThinJob, standard: ScannedDose) -> ScannedDose:
    """The scan of the lower dose, whose images show the activity of the ``standard`` one.

    The calibration is reduced with the trues. Of a shorter scan, the time is taken evenly from the whole
    scan.

    Raises:
        InputError: it is the scan of another dose.
    """
    if standard.dose != "standard":
        raise InputError(
            f"{standard.origin}: holds dose {standard.dose!r}, but the standard dose is thinned."
        )
    arrays = thin_measurement(
        {name: each for name, each in vars(standard).items() if isinstance(each, np.ndarray)},
        job.thinned.fraction,
        of_randoms=kept_of_randoms(job.thinned.fraction, fraction_of=job.thinned.fraction_of),
        thinned=lambda what, events, fraction: _thinned(job, standard.key, what, events, fraction),
    )
    background = modelled_background(arrays, standard.normalisation, window=job.randoms_window)
    changed: dict[str, Any] = {"background": None, "nominal_counts": None, **arrays, **background}
    return replace(
        standard,
        dose=job.dose,
        achieved_counts=arrays["prompts"].sum(axis=(1, 2), dtype=np.int64),
        **changed,
    )


def _thinned(
    job: ThinJob, keys: Sequence[str], what: str, events: np.ndarray, fraction: float
) -> np.ndarray:
    """A part of ``events`` (slice, view, bin), chosen by the names of the slice and of ``what``."""
    names = (job.study_seed, "thinning", job.thinned.realisation, what)
    return np.stack(
        [
            thin(counts, fraction, generator_at=partial(numpy_rng, *names, key))
            for key, counts in zip(keys, events, strict=True)
        ]
    )
