"""Stage ``counts``: what every simulated slice recorded, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quietpet.acquisition.counts import noise_equivalent_counts
from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute, read_strings
from quietpet.files.named import Files
from quietpet.files.text import write_csv
from quietpet.jobs.acquisition import CountsJob

COLUMNS = ("subject", "dose", "key", "prompts", "trues", "scattered", "randoms", "nec_1r", "nec_2r")


def run(job: CountsJob, inputs: Files, outputs: Files) -> None:
    """Read ``sinograms`` of all subjects and doses; write ``counts``, one row per slice.

    ``prompts`` were recorded in the whole slice. The others are expected on the lines of response that
    see activity; ``nec_1r`` and ``nec_2r`` are noise-equivalent counts with k = 1 and 2.
    """
    rows = (row for path in inputs.many("sinograms") for row in _rows(path))
    write_csv(outputs.one("counts"), COLUMNS, rows)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with open_hdf5(path, kind="sinograms") as file:
        subject, dose = (read_attribute(file, name) for name in ("subject", "dose"))
        keys = read_strings(file, "key")
        prompts = read_array(file, "achieved_counts")
        expected = [read_array(file, f"expected_{name}") for name in ("trues", "scattered", "randoms")]
    equivalent = [noise_equivalent_counts(*expected, k=k) for k in (1, 2)]
    for row, key in enumerate(keys):
        numbers = [f"{values[row]:.6g}" for values in (*expected, *equivalent)]
        yield dict(zip(COLUMNS, (subject, dose, key, prompts[row], *numbers), strict=True))
