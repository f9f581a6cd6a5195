"""Stage uncertainty: restored slices of methods that sample -> a table, a section and a figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from quietpet.errors import InputError
from quietpet.evaluation.drawing import save
from quietpet.evaluation.scoring import require_reference
from quietpet.evaluation.uncertainty import (
    UNCERTAINTY_COLUMNS,
    UncertaintyRow,
    summarised,
    uncertainty_of,
)
from quietpet.evaluation.uncertainty_figure import draw_uncertainty
from quietpet.evaluation.uncertainty_section import uncertainty_section
from quietpet.files.named import Files
from quietpet.files.packed import PackedName, ReferenceSlices
from quietpet.files.records import read_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.uncertainty import UncertaintyJob
from quietpet.provenance import Stopwatch, provenance


def run(job: UncertaintyJob, inputs: Files, outputs: Files) -> None:
    """Read ``restored`` of all methods that sample, and ``test`` of all their data sets.

    Write ``table`` (CSV), ``section``, the figure as ``png`` and ``svg`` and, if asked for,
    ``provenance``. One test set is in memory at a time.
    """
    watch = Stopwatch()
    rows: list[UncertaintyRow] = []
    for restored, reference in _with_test_set(inputs):
        _require_known(restored, job)
        rows += uncertainty_of(restored, reference, levels=job.uncertainty.levels)
    whole = list(summarised(rows, confidence=job.confidence))
    per_part = [row for row in rows if row.scope != "data_set"]
    write_csv(outputs.one("table"), UNCERTAINTY_COLUMNS, (row.cells() for row in (*whole, *per_part)))
    write_section(outputs.one("section"), uncertainty_section(whole, levels=job.uncertainty.levels))
    save(draw_uncertainty(whole), png=outputs.one("png"), svg=outputs.one("svg"))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance(
                "uncertainty",
                settings=job.model_dump(mode="json"),
                inputs=inputs.all(),
                watch=watch,
            ),
        )


def _with_test_set(inputs: Files) -> Iterator[tuple[RestoredSlices, ReferenceSlices]]:
    """Every restored file in its order, and what it restored, which neighbours share."""
    abouts = [read_record(path, PackedName) for path in inputs.many("test")]
    known = {(about.dataset, about.setting): Path(about.origin) for about in abouts}
    reference: ReferenceSlices | None = None
    for path in inputs.many("restored"):
        restored = read_record(path, RestoredSlices)
        test = known.get((restored.dataset, restored.setting))
        if test is None:
            raise InputError(
                f"{path}: is of {restored.dataset}/{restored.setting}, whose test set is not among the "
                "inputs. Add it to test."
            )
        if reference is None or reference.origin != test:
            reference = read_record(test, ReferenceSlices)
            require_reference(reference)
        yield restored, reference


def _require_known(restored: RestoredSlices, job: UncertaintyJob) -> None:
    if restored.method not in job.methods:
        raise InputError(
            f"{restored.origin}: is of the unknown method {restored.method!r}; known: "
            f"{', '.join(job.methods)}. Leave this file out."
        )
