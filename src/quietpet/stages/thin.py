"""Stage ``thin``: a lower dose made of a part of the standard dose's events."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from quietpet.acquisition.background import modelled_background
from quietpet.acquisition.thinning import kept_of_randoms, thin, thin_measurement
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_attribute, read_nonnegative, read_strings, write_hdf5
from quietpet.files.lineage import lineage_of
from quietpet.files.named import Files
from quietpet.jobs.acquisition import ThinJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng

INHERITED = ("axes", "subject", "activity_units", "activity_per_phantom_unit")


def run(job: ThinJob, inputs: Files, outputs: Files) -> None:
    """Read ``standard``, the sinograms of the standard dose; write ``sinograms`` of the lower one.

    Images of the lower dose show the activity of the standard scan, as the calibration is reduced with
    the trues. Of a shorter scan, the time is taken evenly from the whole scan.
    """
    watch = Stopwatch()
    path = inputs.one("standard")
    with open_hdf5(path, kind="sinograms") as file:
        if (found := read_attribute(file, "dose")) != "standard":
            raise InputError(f"{path}: holds dose {found!r}, but the standard dose is thinned.")
        keys = read_strings(file, "key")
        standard = {
            name: read_nonnegative(file, name) for name in file if name not in ("key", "background")
        }
        inherited = {name: read_attribute(file, name) for name in INHERITED}
        lineage = lineage_of(file)

    write_hdf5(
        outputs.one("sinograms"),
        kind="sinograms",
        arrays={"key": np.array(keys), **thinned_measurement(job, keys, standard)},
        attributes={
            **inherited,
            "dose": job.dose,
            "lineage": lineage,
            "provenance": provenance(
                "thin", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )


def thinned_measurement(
    job: ThinJob, keys: list[str], standard: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """All arrays of the lower dose but its keys, from those of the ``standard`` dose."""
    arrays = thin_measurement(
        standard,
        job.thinned.fraction,
        of_randoms=kept_of_randoms(job.thinned.fraction, fraction_of=job.thinned.fraction_of),
        thinned=lambda what, events, fraction: _thinned(job, keys, what, events, fraction),
    )
    return {
        **arrays,
        **modelled_background(arrays, standard["normalisation"], window=job.randoms_window),
        **{name: standard[name] for name in ("attenuation", "normalisation")},
        "achieved_counts": arrays["prompts"].sum(axis=(1, 2), dtype=np.int64),
    }


def _thinned(
    job: ThinJob, keys: list[str], what: str, events: np.ndarray, fraction: float
) -> np.ndarray:
    """A part of ``events`` (slice, view, bin), chosen by the names of the slice and of ``what``."""
    names = (job.study_seed, "thinning", job.thinned.realisation, what)
    return np.stack(
        [
            thin(counts, fraction, generator_at=partial(numpy_rng, *names, key))
            for key, counts in zip(keys, events, strict=True)
        ]
    )
