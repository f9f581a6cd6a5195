"""Refuses methods that need T1 where slices lack it, before they cost anything."""

from __future__ import annotations

import numpy as np

from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.jobs.methods import LearningJob


def require_t1(job: LearningJob, *data: PairDataset) -> None:
    """Raise InputError if the job's method needs T1 and a slice of ``data`` has none."""
    if job.model.t1_use != "needed":
        return
    for pairs in data:
        lacking = np.flatnonzero(~pairs.has_t1)
        if lacking.size:
            raise InputError(
                f"{pairs.path}: {lacking.size} of {len(pairs)} slices have no T1, the first is "
                f"{pairs.keys[lacking[0]]!r}, and {needing(job)}."
            )


def needing(job: LearningJob) -> str:
    """What to do where T1 is missing, as the end of a sentence."""
    variant = job.model.on_pet_alone()
    if variant is None:
        return (
            f"method {job.method} cannot do without ({job.model.without_t1}). Leave the method out of "
            "this data set"
        )
    own, other = (each.model_dump(mode="json") for each in (job.model, variant))
    changed = ", ".join(f"{name}: {other[name]}" for name in own if own[name] != other[name])
    return (
        f"method {job.method} needs one. Leave the method out of this data set, or restore it with the "
        f"variant without T1 ({changed}), {job.model.without_t1}"
    )
