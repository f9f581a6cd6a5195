"""How much memory does a reconstruction take?

    python benchmarks/memory.py --output benchmarks/results

Each case runs in a process of its own, whose peak resident memory is reported; what Python, the packages
and the system matrix take is measured by the same process before it makes data and reconstructs.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import torch
from peers import embedded_engine
from problem import STANDARD, conditions, reconstruction

RAYS = 10
BATCHES = (1, 10, 50, 200)


def direct_planes(batch: int) -> Callable[[], object]:
    """OSEM of ``batch`` slices together."""
    engine = embedded_engine(rays=RAYS, batch=batch)

    def reconstruct() -> None:
        reconstruction(engine.projector, engine.bins, STANDARD, batch)()

    return reconstruct


CASES: Mapping[str, Callable[[], Callable[[], object]]] = {
    f"2-D, batch {batch}": functools.partial(direct_planes, batch) for batch in BATCHES
}
"""What builds the projector of each case, and returns a call that makes data and reconstructs them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES, help="measure this case in this process")
    parser.add_argument("--output", type=Path, help="folder for memory.md")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(CASES[options.case])))
        return
    report = [
        f"{STANDARD}, rays={RAYS}; {conditions('quietpet', 'torch', 'numba')}.",
        "",
        "| reconstruction | packages [MiB] | and projector built [MiB] | peak [MiB] |",
        "|" + " --- |" * 4,
    ]
    for case in CASES:
        command = [sys.executable, __file__, "--case", case]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        report.append(f"| {case} | " + " | ".join(f"{mib:.0f}" for mib in found) + " |")
    print("\n".join(report))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "memory.md").write_text("\n".join(report) + "\n")


def measure(build: Callable[[], Callable[[], object]]) -> list[float]:
    """Peak resident MiB after importing, after building the projector, and at the end."""
    torch.set_num_threads(1)
    packages = peak_mib()
    reconstruct = build()
    built = peak_mib()
    reconstruct()
    return [packages, built, peak_mib()]


def peak_mib() -> float:
    """Peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
