"""``quietpet check projector``: is the engine that is installed here the one it should be?"""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from quietpet.config.scanner import ProjectorChoice, ScannerModel, ScannerSettings, StirProjector
from quietpet.geometry.scanner import SCANNERS
from quietpet.projection.engines import require_installed
from quietpet.projection.sirf_installation import REMEDY, sirf_is_installed
from quietpet.recon.agreement import (
    Engine,
    Finding,
    HeadCase,
    against_closed_forms,
    between_engines,
    head_case,
)
from quietpet.recon.system import projector, reconstruction


def check_projector(
    model: ScannerModel,
    *,
    rays: int,
    name: ProjectorChoice | None = None,
    stir_projector: StirProjector = "ray_tracing",
) -> bool:
    """Print how the projectors of a scanner differ, and return whether all is within tolerance.

    With SIRF its ray-tracing matrix is compared with the embedded projector, which has the same rays.
    Parallelproj interpolates instead, and is compared with the chords of ellipses. Without SIRF the
    embedded one is. So is any other engine that is asked for by its ``name``.

    Raises:
        InputError: the engine that is asked for is not there, or SIRF is installed and broken.
    """
    if name is not None:
        require_installed(name)
    case = head_case(SCANNERS[model]())
    pixels = f"{case.grid.n_pixels} x {case.grid.n_pixels} pixels of {case.grid.pixel_mm:g} mm"
    print(f"{model}: direct plane of {case.scanner.sinogram_shape} (view, bin), {pixels}, {rays} ray(s)")
    if name not in (None, "sirf"):
        return _against_closed_forms(name, case, rays=rays)
    if stir_projector == "parallelproj":
        return _against_closed_forms("sirf", case, rays=rays, stir_projector=stir_projector)
    if not sirf_is_installed():
        print(f"SIRF is not installed here: to compare with it, {REMEDY.split(', or ')[0]}.")
        return _against_closed_forms("embedded", case, rays=rays)
    embedded, seconds = _engine("embedded", case, rays=rays)
    sirf, sirf_seconds = _engine("sirf", case, rays=rays)
    print(f"set-up: embedded {seconds:.1f} s, sirf {sirf_seconds:.1f} s")
    print("sirf against embedded, relative L2 difference:")
    return _printed(between_engines(case, embedded, sirf), engines=("embedded", "sirf"))


def _against_closed_forms(
    name: ProjectorChoice, case: HeadCase, *, rays: int, stir_projector: StirProjector = "ray_tracing"
) -> bool:
    engine, seconds = _engine(name, case, rays=rays, stir_projector=stir_projector)
    called = f"{name} with {stir_projector}" if name == "sirf" else name
    print(f"set-up: {called} {seconds:.1f} s")
    print(f"{called} against closed forms (chords of ellipses), relative difference:")
    return _printed(against_closed_forms(case, engine), engines=(name,))


def _engine(
    name: ProjectorChoice, case: HeadCase, *, rays: int, stir_projector: StirProjector = "ray_tracing"
) -> tuple[Engine, float]:
    settings = ScannerSettings(
        model=case.scanner.name,
        projector=name,
        stir_projector=stir_projector,
        rays=rays,
        image_pixels=case.grid.n_pixels,
    )
    began = time.monotonic()
    engine = Engine(projector=projector(settings, torch.device("cpu")), osem=reconstruction(settings))
    return engine, time.monotonic() - began


def _printed(findings: Iterable[Finding], *, engines: tuple[str, ...]) -> bool:
    columns = "".join(f"{f'{name} [s]':>14}" for name in engines)
    print(f"  {'':<18}{'difference':>12}{'tolerance':>12}{columns}")
    all_passed = True
    for finding in findings:
        seconds = "".join(f"{each:14.2f}" for each in finding.seconds)
        verdict = "ok" if finding.passed else "TOO FAR"
        print(
            f"  {finding.quantity:<18}{finding.difference:12.1e}{finding.tolerance:12.1e}{seconds}"
            f"  {verdict}",
            flush=True,
        )
        all_passed &= finding.passed
    print("passed" if all_passed else "FAILED: do not use this engine before you know why.")
    return all_passed
