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
import time
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import torch
from peers import embedded_engine
from problem import GRID, SCANNER, STANDARD, Protocol, conditions, reconstruction

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.phantom.ellipses import HEAD_ACTIVITY, rasterise
from quietpet.projection.embedded import embedded_projector_3d
from quietpet.recon.osem import osem

RAYS = 10
BATCHES = (1, 10, 50, 200)
VOLUME = Protocol(iterations=1, subsets=21, psf_fwhm_mm=4.0)


def direct_planes(batch: int) -> Callable[[], object]:
    """OSEM of ``batch`` slices together."""
    engine = embedded_engine(rays=RAYS, batch=batch)

    def reconstruct() -> None:
        reconstruction(engine.projector, engine.bins, STANDARD, batch)()

    return reconstruct


def volume() -> Callable[[], object]:
    """OSEM of one volume from all sinograms of the scanner: a head 80 slices high, noiseless."""
    projector = embedded_projector_3d(SCANNER, GRID, rays=RAYS).trimmed()

    def reconstruct() -> None:
        activity = torch.zeros(GRID.shape)
        activity[24:104] = torch.from_numpy(rasterise(HEAD_ACTIVITY, GRID))
        psf = GaussianPSF(
            fwhm_mm=VOLUME.psf_fwhm_mm,
            pixel_mm=GRID.pixel_mm,
            slice_mm=GRID.slice_mm,
            image_shape=GRID.shape,
        )
        factors = torch.full(projector.sinogram_shape, 0.3)
        model = AcquisitionModel(projector=projector, psf=psf, multiplicative=factors)
        prompts = model.expected(activity)
        osem(prompts, model, iterations=VOLUME.iterations, subsets=VOLUME.subsets)

    return reconstruct


CASES: Mapping[str, Callable[[], Callable[[], object]]] = {
    **{f"2-D, batch {batch}, {STANDARD}": functools.partial(direct_planes, batch) for batch in BATCHES},
    f"3-D, {SCANNER.n_rings} rings in span {SCANNER.span}, {VOLUME}": volume,
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
        f"{GRID.n_pixels} x {GRID.n_pixels} pixels, rays={RAYS}; "
        f"{conditions('quietpet', 'torch', 'llvmlite')}.",
        "Making the data and the subsets counts into the last column.",
        "",
        "| reconstruction | packages [MiB] | and projector built [MiB] | peak [MiB] | core seconds |",
        "|" + " --- |" * 5,
    ]
    for case in CASES:
        command = [sys.executable, __file__, "--case", case]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        report.append(f"| {case} | " + " | ".join(f"{value}" for value in found) + " |")
    print("\n".join(report))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "memory.md").write_text("\n".join(report) + "\n")


def measure(build: Callable[[], Callable[[], object]]) -> list[float]:
    """Peak resident MiB after importing, after building the projector and at the end; core seconds."""
    torch.set_num_threads(1)
    packages = peak_mib()
    reconstruct = build()
    built, began = peak_mib(), time.process_time()
    reconstruct()
    return [round(packages), round(built), round(peak_mib()), round(time.process_time() - began, 1)]


def peak_mib() -> float:
    """Peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
