"""Every contradiction in the metadata and headers of a BIDS tree with PET, with its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from quietpet.invivo.audit_decay import decay_findings
from quietpet.invivo.audit_images import image_findings, several_t1_findings
from quietpet.invivo.audit_runs import run_findings
from quietpet.invivo.audit_times import (
    derived_time_findings,
    frame_findings,
    injection_findings,
    scan_start_findings,
    start_time_findings,
)
from quietpet.invivo.audit_tree import (
    name_findings,
    sidecar_findings,
    table_findings,
    tree_findings,
)
from quietpet.invivo.audit_values import (
    administration_findings,
    copied_constant_findings,
    dose_findings,
    list_length_findings,
    missing_key_findings,
    outlier_findings,
    range_findings,
    repair_findings,
    type_findings,
    unit_findings,
)
from quietpet.invivo.exchange import exchange_findings, with_notes_in_place
from quietpet.invivo.findings import Finding, merged
from quietpet.invivo.scans import Dataset


def audit(dataset: Dataset) -> list[Finding]:
    """All findings of a data set, errors first; alike ones of several runs as one."""
    return merged(inspect(dataset))


def inspect(dataset: Dataset) -> Iterator[Finding]:
    """All findings, file by file."""
    in_place = with_notes_in_place(dataset)
    for check in _CHECKS:
        read = in_place if check in _OF_SCANS else dataset
        for part in read.by_scan if check in _BETWEEN_PARTICIPANTS else (read,):
            yield from check(part)


# A side-car was exchanged with that of the same session, tracer and reconstruction, if it was.
_BETWEEN_PARTICIPANTS = (exchange_findings, dose_findings, frame_findings, start_time_findings)

# What is noted of a scan against its image and its scanner's clocks; others look at each file.
_OF_SCANS = (
    *(image_findings, start_time_findings, administration_findings, scan_start_findings),
    *(derived_time_findings, injection_findings, run_findings, decay_findings, list_length_findings),
    missing_key_findings,
)
_CHECKS: tuple[Callable[[Dataset], Iterable[Finding]], ...] = (
    tree_findings,
    table_findings,
    name_findings,
    sidecar_findings,
    image_findings,
    several_t1_findings,
    exchange_findings,
    dose_findings,
    start_time_findings,
    administration_findings,
    frame_findings,
    scan_start_findings,
    derived_time_findings,
    injection_findings,
    run_findings,
    decay_findings,
    unit_findings,
    range_findings,
    list_length_findings,
    type_findings,
    missing_key_findings,
    copied_constant_findings,
    outlier_findings,
    repair_findings,
)
