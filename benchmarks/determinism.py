"""Are the tables the same bytes on other cores, in another order, with other instructions?

    python benchmarks/determinism.py --folder /tmp/same [--configuration workflow/configs/tiny.yaml]

Runs one study after the other, each in its own new folder, and compares tables and scores with those of
the first, byte by byte; where they differ it prints by how much. Other kinds of CPU are stood in for by
telling libraries to leave out the instructions that these lack.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from small_study import TARGET, run, small_study, tables_of, written

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
THREADED = ("simulate", "learning_rate", "fit", "restore")
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
NO_VECTORS = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """How a study is run. With ``reversed_order`` targets are made one by one, the last first."""

    cores: int = 2
    options: tuple[str, ...] = ()
    changes: Mapping[str, str] = field(default_factory=dict)
    reversed_order: bool = False


VARIANTS = {
    "2 cores": Variant(),
    "2 cores again": Variant(),
    "1 core": Variant(cores=1),
    "4 cores": Variant(cores=4),
    "targets in reversed order": Variant(reversed_order=True),
    "2 threads for each job": Variant(
        options=("--set-threads", *(f"{rule}=2" for rule in THREADED), "--")
    ),
    "AVX2 instead of AVX-512": Variant(changes=AVX2),
    "SSE instead of AVX-512": Variant(changes=NO_VECTORS),
}
"""The first is what the others are compared with."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of the numbers of two tables: the largest relative one, and that of PSNR in dB."""

    relative: float = 0.0
    psnr_db: float = 0.0


def targets_reversed(configuration: Path) -> list[str]:
    """Images of the last subjects first, then scores of the last methods first, then the tables."""
    study = yaml.safe_load(configuration.read_text())
    subjects = [each for split in ("train", "validation", "test") for each in study["splits"][split]]
    images = [
        f"results/images/phantom/{subject}/{dose}.h5"
        for subject in reversed(subjects)
        for dose in (*study["doses"]["low"], "standard")
    ]
    scores = [
        f"results/scores/phantom/{dose}/{method}/r0.csv"
        for method in reversed(study["methods"])
        for dose in study["doses"]["low"]
    ]
    return [*images, *scores, TARGET]


def made(variant: Variant, configuration: Path, folder: Path) -> dict[str, bytes]:
    """The tables of the study, run as ``variant`` says."""
    targets = targets_reversed(configuration) if variant.reversed_order else [TARGET]
    for target in targets:
        run(
            configuration, folder, *variant.options, target, cores=variant.cores, changes=variant.changes
        )
    return tables_of(folder)


def difference(one: bytes, other: bytes) -> Difference:
    """Of two tables of the same rows and columns.

    Raises:
        ValueError: rows, columns or words differ.
    """
    rows, others = (list(csv.DictReader(io.StringIO(each.decode()))) for each in (one, other))
    found = [
        (row.get("metric"), a, b)
        for row, beside in zip(rows, others, strict=True)
        for name in row
        for a, b in _numbers(row[name], beside[name])
    ]
    relative = [abs(a - b) / max(abs(a), abs(b)) for _, a, b in found if a != b]
    decibels = [abs(a - b) for metric, a, b in found if metric == "psnr_db"]
    return Difference(relative=max(relative, default=0.0), psnr_db=max(decibels, default=0.0))


def _numbers(one: str, other: str) -> Iterator[tuple[float, float]]:
    """Those of two cells, which may hold words between them."""
    if NUMBER.sub("", one) != NUMBER.sub("", other):
        raise ValueError(f"{one!r} and {other!r} differ in more than numbers")
    yield from zip(map(float, NUMBER.findall(one)), map(float, NUMBER.findall(other)), strict=True)


def row_of(name: str, found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> str:
    """What a run has made beside the first one."""
    if found == expected:
        return f"| {name} | the same bytes | | |"
    if set(found) != set(expected):
        return f"| {name} | other files | | |"
    differing = [path for path in expected if found[path] != expected[path]]
    beside = difference(found["tables.csv"], expected["tables.csv"])
    return (
        f"| {name} | {len(differing)} of {len(expected)} files differ | {beside.relative:.1e} "
        f"| {beside.psnr_db:.1e} |"
    )


def rows(configuration: Path, folder: Path, names: list[str]) -> Iterator[str]:
    """A row of the table as soon as its study has run."""
    yield "| run | tables and scores | largest relative difference in tables.csv | of PSNR (dB) | s |"
    yield "|---|---|---|---|---|"
    expected: dict[str, bytes] | None = None
    for number, name in enumerate(names):
        began = time.monotonic()
        found = made(VARIANTS[name], configuration, folder / str(number))
        expected = expected or found
        yield f"{row_of(name, found, expected)} {time.monotonic() - began:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="a new one")
    parser.add_argument("--configuration", type=Path, help="default: that of benchmarks/small_study.py")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=list(VARIANTS),
        metavar="NAME",
        help="in order",
    )
    options = parser.parse_args()
    folder = options.folder.absolute()
    configuration = options.configuration or written(small_study(), folder / "study.yaml")
    for line in rows(configuration.absolute(), folder, options.variants):
        print(line, flush=True)


if __name__ == "__main__":
    main()
