"""Stage ``counts``: what every simulated slice recorded, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quietpet.acquisition.counts import noise_equivalent_counts
from quietpet.files.named import Files
from quietpet.files.records import read_record
from quietpet.files.sinograms import CountedSlices
from quietpet.files.text import write_csv
from quietpet.jobs.acquisition import CountsJob

COLUMNS = ("subject", "dose", "key", "prompts", "trues", "scattered", "randoms", "nec_1r", "nec_2r")


def run(job: CountsJob, inputs: Files, outputs: Files) -> None:
    """Read ``sinograms`` of all subjects and doses; write ``counts``, one row per slice.

    ``prompts`` were recorded in the whole slice. The others are expected on the lines of response that
    see activity; ``nec_1r`` and ``nec_2r`` are noise-equivalent counts with k = 1 and 2.
    """
    files = (read_record(path, CountedSlices) for path in inputs.many("sinograms"))
    write_csv(outputs.one("counts"), COLUMNS, (row for each in files for row in _rows(each)))


def _rows(scan: CountedSlices) -> Iterator[dict[str, Any]]:
    expected = (scan.expected_trues, scan.expected_scattered, scan.expected_randoms)
    equivalent = [noise_equivalent_counts(*expected, k=k) for k in (1, 2)]
    for row, key in enumerate(scan.key):
        numbers = [f"{values[row]:.6g}" for values in (*expected, *equivalent)]
        cells = (scan.subject, scan.dose, key, scan.achieved_counts[row], *numbers)
        yield dict(zip(COLUMNS, cells, strict=True))
