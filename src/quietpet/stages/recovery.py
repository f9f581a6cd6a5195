"""Stage ``recovery``: restored noise realisations -> contrast recovery, bias and variance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from quietpet.errors import InputError
from quietpet.evaluation.recovery import (
    LESION_COLUMNS,
    NAMED,
    NOISE_COLUMNS,
    lesion_rows,
    noise_maps,
    noise_rows,
    require_realisations,
)
from quietpet.evaluation.scoring import NAMED_BY, estimates_of, names_of, reported
from quietpet.files.lineage import common_lineage
from quietpet.files.named import Files
from quietpet.files.realisations import NoiseMaps, Realisations
from quietpet.files.records import read_record, write_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.realisations import RecoveryJob
from quietpet.provenance import Stopwatch, provenance

Measure = Callable[[np.ndarray, Realisations], Iterable[Mapping[str, Any]]]


def run(job: RecoveryJob, inputs: Files, outputs: Files) -> None:
    """Read ``restored`` and ``test``; write ``lesions``, ``noise``, ``maps`` and ``provenance``."""
    watch = Stopwatch()
    data = read_record(inputs.one("test"), Realisations)
    require_realisations(data)
    restored = read_record(inputs.one("restored"), RestoredSlices)
    for name in NAMED_BY:
        found, expected = getattr(restored, name), getattr(job, name)
        if found != expected:
            raise InputError(
                f"{restored.origin}: holds {name} {found!r}, this job measures {expected!r}."
            )
    common_lineage((each.origin, reported(each.lineage)) for each in (data, restored))
    estimates = estimates_of(restored, data)

    def rows(measure: Measure) -> Iterator[dict[str, Any]]:
        for estimate, images in estimates.items():
            for row in measure(images, data):
                yield {**names_of(restored), "estimate": estimate, **row}

    write_csv(outputs.one("lesions"), (*NAMED, *LESION_COLUMNS), rows(lesion_rows))
    write_csv(outputs.one("noise"), (*NAMED, *NOISE_COLUMNS), rows(noise_rows))
    origin = provenance("recovery", settings=job.model_dump(), inputs=inputs.all(), watch=watch)
    write_record(outputs.one("maps"), _maps(restored, data), provenance=origin)
    if sidecar := outputs.get("provenance"):
        write_json(sidecar, origin)


def _maps(restored: RestoredSlices, data: Realisations) -> NoiseMaps:
    """Of the first sample, which every method has."""
    bias, deviation = noise_maps(restored.single, data)
    twins = list(data.twins)
    return NoiseMaps(
        dataset=restored.dataset,
        setting=restored.setting,
        method=restored.method,
        learning=restored.learning,
        lineage=restored.lineage,
        subject=[twin.subject for twin in twins],
        slice_index=np.array([twin.slice_index for twin in twins]),
        lesion_set=[twin.lesion_set for twin in twins],
        bias=bias,
        deviation=deviation,
    )
