"""How fast is the embedded projector, against other projectors and against what the processor can do?

    python benchmarks/projectors.py --output benchmarks/results

Every engine reconstructs the same head inside the same OSEM (15 iterations of 10 subsets, point spread
in the model) on one core. Engines take turns, and the least CPU time of several rounds counts. Views,
bins and pixels are those of a Siemens mMR's direct planes, without the bins that do not see the image.
Peers that are not installed are named with the command that installs them.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import torch
from peers import Absent, Engine, astra_engines, embedded_engine, scipy_engine, skimage_engine
from problem import (
    GRID,
    LOW,
    SCANNER,
    STANDARD,
    conditions,
    least_cpu_s,
    read_bandwidth_gb_s,
    reconstruction,
    relative_error,
)

from quietpet.projection.system_matrix import system_matrix

PACKAGES = ("quietpet", "torch", "numpy", "scipy", "llvmlite", "astra-toolbox", "scikit-image")
CACHES = {"L2": 1 << 18, "L3": 1 << 22, "memory": 1 << 28}
"""Bytes read in turn to measure what each level of the memory delivers."""

FASTER_THAN_ASTRA, WITHIN_LIMIT, PAIR_CORE_MS = 40, 2, 40
"""The goals: times faster than ASTRA, times the cache-read limit, core-ms per pair with ten rays."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=50, help="slices that engines with batches get")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, help="folder for projectors.csv and projectors.md")
    options = parser.parse_args()
    torch.set_num_threads(1)

    ours = [embedded_engine(rays=rays, batch=options.batch) for rays in (1, 10)]
    peers = [*astra_engines(ours[0].bins), skimage_engine()]
    engines = [
        *ours,
        embedded_engine(rays=10, batch=1),
        scipy_engine(ours[1]),
        *(peer for peer in peers if isinstance(peer, Engine)),
    ]
    bandwidth = {name: read_bandwidth_gb_s(n_bytes) for name, n_bytes in CACHES.items()}
    standard_ms, low_ms = core_ms_per_slice(engines, ours, repeats=options.repeats)
    rows = table(engines, standard_ms, reference=[engine.label for engine in ours])
    report = [
        f"{STANDARD}, {SCANNER.n_views} views x {ours[0].bins.offsets_mm.size} bins,"
        f" {GRID.n_pixels} x {GRID.n_pixels} pixels; {conditions(*PACKAGES)}.",
        "Error: of line integrals averaged over the bins, against those of ellipses, relative L2.",
        "",
        *markdown(rows),
        "",
        f"One core reads {', '.join(f'{rate:.0f} GB/s ({name})' for name, rate in bandwidth.items())}.",
    ]
    for engine in ours:
        label = engine.label
        report += [
            f"{label}:",
            f"- {against_astra(standard_ms, label)} (goal: {FASTER_THAN_ASTRA})",
            f"- {against_limit(engine, standard_ms[label], bandwidth['L2'])} (goal: {WITHIN_LIMIT})",
            f"- standard and low dose together ({STANDARD}; {LOW}): "
            f"{standard_ms[label] + low_ms[label]:.1f} core-ms per slice (goal: {PAIR_CORE_MS})",
        ]
    report += [
        f"{peer.name} is not installed: {peer.remedy}" for peer in peers if isinstance(peer, Absent)
    ]
    print("\n".join(report))
    if options.output:
        write(options.output, rows, report)


def core_ms_per_slice(
    engines: Sequence[Engine], ours: Sequence[Engine], *, repeats: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Of all ``engines`` with the protocol of the standard dose, and of ``ours`` with the low dose's."""
    jobs = [(engine, STANDARD) for engine in engines] + [(engine, LOW) for engine in ours]
    calls = {
        (engine.label, protocol): reconstruction(engine.projector, engine.bins, protocol, engine.batch)
        for engine, protocol in jobs
    }
    seconds = least_cpu_s(calls, repeats=repeats)
    standard, low = (
        {
            engine.label: 1e3 * seconds[engine.label, each] / engine.batch
            for engine, each in jobs
            if each == protocol
        }
        for protocol in (STANDARD, LOW)
    )
    return standard, low


def table(
    engines: Sequence[Engine], core_ms: Mapping[str, float], *, reference: Sequence[str]
) -> list[dict[str, Any]]:
    """A row per engine; ratios to the ``reference`` engines."""
    return [
        {
            "engine": engine.name,
            "rays": engine.rays or "",
            "batch": engine.batch,
            "core_ms_per_slice": f"{core_ms[engine.label]:.1f}",
            **{
                f"times ({label})": f"{core_ms[engine.label] / core_ms[label]:.2f}"
                for label in reference
            },
            "error_percent": f"{100 * relative_error(engine.projector, engine.bins):.2f}",
            "differences": engine.differences,
        }
        for engine in engines
    ]


def against_limit(engine: Engine, core_ms: float, bandwidth_gb_s: float) -> str:
    """Every weight of the matrix multiplies one float32 of each slice, in both products of an update.

    These reads cannot be avoided, and come from L2 at best: the image of a batch is larger than L1.
    """
    weights = system_matrix(SCANNER, GRID, rays=engine.rays).nnz
    gigabytes = 2 * STANDARD.iterations * weights * 4 / 1e9
    limit_ms = 1e3 * gigabytes / bandwidth_gb_s
    return (
        f"{gigabytes:.2f} GB of operands per slice ({weights / 1e6:.1f} million weights) take "
        f"{limit_ms:.1f} ms at the rate of L2; point spread and ratios included, the measured time is "
        f"{core_ms / limit_ms:.1f} times that"
    )


def against_astra(core_ms: Mapping[str, float], label: str) -> str:
    """How many times as long ASTRA takes."""
    ratios = {name: each / core_ms[label] for name, each in core_ms.items() if name.startswith("ASTRA")}
    found = ", ".join(f"{name} {ratio:.0f}" for name, ratio in ratios.items())
    return f"times as long: {found or 'ASTRA was not measured'}"


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as a Markdown table."""
    return [
        "| " + " | ".join(name.replace("_", " ") for name in rows[0]) + " |",
        "|" + " --- |" * len(rows[0]),
        *("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows),
    ]


def write(folder: Path, rows: list[dict[str, Any]], report: list[str]) -> None:
    """The table as CSV, and everything as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "projectors.md").write_text("\n".join(report) + "\n")
    with (folder / "projectors.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
