"""Stage ``thin``: a lower dose made of a part of the standard dose's events."""

from __future__ import annotations

import numpy as np

from quietpet.acquisition.background import modelled_background
from quietpet.acquisition.thinning import thin
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_attribute, read_nonnegative, read_strings, write_hdf5
from quietpet.jobs.acquisition import ThinJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng
from quietpet.stages.files import Files
from quietpet.stages.lineage import lineage_of

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

    fraction = job.thinned.fraction
    # Randoms are pairs of unrelated photons, so their rate follows the square of the activity.
    of_randoms = fraction if job.thinned.fraction_of == "time" else fraction**2
    arrays = {
        name: factor * standard[name]
        for name, factor in (
            ("counts_per_activity", fraction),
            ("expected_trues", fraction),
            ("expected_scattered", fraction),
            ("expected_randoms", of_randoms),
        )
    }
    if "random_prompts" in standard:
        randoms = _thinned(job, keys, "randoms", standard["random_prompts"], of_randoms)
        others = standard["prompts"] - standard["random_prompts"]
        arrays |= {
            "prompts": _thinned(job, keys, "prompts", others, fraction) + randoms,
            "random_prompts": randoms,
            "delayed": _thinned(job, keys, "delayed", standard["delayed"], of_randoms),
        }
    else:
        arrays["prompts"] = _thinned(job, keys, "prompts", standard["prompts"], fraction)
    if "scatter" in standard:
        arrays["scatter"] = standard["scatter"] * np.float32(fraction)
    arrays |= modelled_background(arrays, standard["normalisation"], window=job.randoms_window)
    write_hdf5(
        outputs.one("sinograms"),
        kind="sinograms",
        arrays={
            "key": np.array(keys),
            **arrays,
            **{name: standard[name] for name in ("attenuation", "normalisation")},
            "achieved_counts": arrays["prompts"].sum(axis=(1, 2), dtype=np.int64),
        },
        attributes={
            **inherited,
            "dose": job.dose,
            "lineage": lineage,
            "provenance": provenance(
                "thin", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )


def _thinned(
    job: ThinJob, keys: list[str], what: str, events: np.ndarray, fraction: float
) -> np.ndarray:
    """A part of ``events`` (slice, view, bin), chosen by the names of the slice and of ``what``."""
    names = (job.study_seed, "thinning", job.thinned.realisation, what)
    return np.stack(
        [
            thin(
                counts,
                fraction,
                generator_at=lambda digits, key=key: numpy_rng(*names, key, digits),
            )
            for key, counts in zip(keys, events, strict=True)
        ]
    )
