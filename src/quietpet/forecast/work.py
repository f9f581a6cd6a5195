"""What each step of a job has to do, in units whose cost was measured.

A step whose work is that of another one is priced as that: trials of learning rates as trainings, a
wrong T1 as restorations and scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from quietpet.config.methods import MethodSettings
from quietpet.config.networks import TrainingSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.forecast.contents import Contents
from quietpet.forecast.jobs import Part
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs.acquisition import ReconstructJob, SimulateJob
from quietpet.jobs.datasets import PackScansJob
from quietpet.jobs.methods import (
    FitJob,
    InferenceJob,
    LearningJob,
    LearningRateJob,
    PlanJob,
    RestoreJob,
)
from quietpet.jobs.phantoms import FetchJob
from quietpet.jobs.realisations import RealiseJob
from quietpet.jobs.robustness import RobustnessJob
from quietpet.jobs.standin import StandinJob

ANY = "any"
"""What a step is of, where all of its jobs cost alike."""

GFLOP, SLICE, PASS = "GFLOP", "slice", "slice iteration"
"""Units: arithmetic of networks; a slice; one slice projected and projected back, over all views."""

_REFERENCE = ScannerSettings()
"""Scanner, pixels and rays to which sizes are relative."""

_HEAD_PIXELS, _HEAD_STEP = 128, 32
"""Side of the square in which networks are validated: that which holds a head of BrainWeb, of 97 to 128
pixels of 2.086 mm. Data decide it when a training starts."""

_PASSES_OF_A_GRADIENT = 2
"""An unrolled update projects as often again for its gradient."""

_BYTES = 4
"""Of a weight or a pixel, float32."""

_NETWORK_IMAGES = 3
"""Low dose, standard dose and T1."""

_MOST_RESIDENT_BYTES = 4 * 2**30
"""Training images stay in memory where they fit a quarter of what is free: here that of 16 GiB."""

_COPIES_OF_WEIGHTS = 5
"""Weights, their gradients, two means of Adam, and the best so far."""

_FILTERED_PIXELS = 128
_SEARCHED_PIXELS = 15
"""Slices and search windows of non-local means to which work is relative."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """So many units of a ``step``, ``of`` a kind of method or phantom.

    ``size`` is the cost of a unit relative to the one that was measured, by the geometry of the scanner.
    ``flop`` are those of networks among it, which a GPU may do. ``mib`` is the memory that networks and
    their training images need beside what the step needs, ``bytes`` the size of weights that it writes.
    """

    step: str
    of: str = ANY
    unit: str = SLICE
    count: float = 0.0
    size: float = 1.0
    flop: float = 0.0
    mib: float = 0.0
    bytes: float = 0.0


def works(part: Part, contents: Contents) -> tuple[Work, ...]:
    """The work of one step of a job."""
    found = _WORK.get(part.step, _through_slices)
    return tuple(found(part, contents))


def projection_size(scanner: ScannerSettings, *, data: bool = False) -> float:
    """Work of projecting a slice, relative to 252 x 344 bins of one ray through 128 x 128 pixels.

    A ray of Siddon's matrix crosses pixels in proportion to the side of the image. With ``data``, that
    of the finer pixels and rays of which data may be made.
    """
    return _crossed(scanner, data=data) / _crossed(_REFERENCE, data=False)


def _crossed(scanner: ScannerSettings, *, data: bool) -> float:
    views, bins = SCANNERS[scanner.model]().sinogram_shape
    rays = scanner.data_rays if data else scanner.rays
    finer = scanner.data_refinement if data else 1
    return float(views * bins * rays * finer * scanner.image_pixels)


def _through_slices(part: Part, contents: Contents) -> Iterator[Work]:
    yield Work(step=part.step, count=contents.of_part(part).slices)


def _fetch(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, FetchJob)
    yield Work(step=part.step, unit="head", count=len(part.job.subjects))


def _phantom(part: Part, contents: Contents) -> Iterator[Work]:
    source = "brainweb" if part.inputs.any("labels") else contents.heads
    yield Work(step=part.step, of=source, unit="head", count=1)


def _simulate(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, SimulateJob)
    size = projection_size(part.job.scanner, data=True)
    yield Work(step=part.step, count=contents.of_part(part).slices, size=size)


def _reconstruct(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, ReconstructJob)
    passes = contents.of_part(part).slices * part.job.protocol.iterations
    yield Work(step=part.step, unit=PASS, count=passes, size=projection_size(part.job.scanner))


def _realise(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, RealiseJob)
    job = part.job
    iterations = job.standard_protocol.iterations + job.low_protocol.iterations
    passes = contents.of_part(part).slices * iterations
    yield Work(step=part.step, unit=PASS, count=passes, size=projection_size(job.scanner))


def _standin(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, StandinJob)
    size = projection_size(part.job.scanner, data=True)
    yield Work(step=part.step, unit="frame", count=part.job.scan.n_frames, size=size)


def _scan(part: Part, contents: Contents) -> Iterator[Work]:
    yield Work(step=part.step, unit="scan", count=1)


def _pack_scans(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, PackScansJob)
    yield Work(step=part.step, unit="scan", count=len(part.job.participants))


def _fit(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, FitJob)
    yield _training(part, part.job, part.job.training, contents)


def _learning_rate(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, LearningRateJob)
    for factor in part.job.trials.factors:
        yield _training(part, part.job, part.job.training.trial(factor), contents)


def _training(part: Part, job: FitJob, settings: TrainingSettings, contents: Contents) -> Work:
    """One training, or the tuning of a filter, which is on the validation slices alone."""
    held_out, learned = contents.named(part, "validation").slices, contents.named(part, "train")
    if not job.model.trained:
        return _applied("fit", job, job.model, held_out, pixels=_HEAD_PIXELS)
    validations = -(-settings.iterations // settings.validate_every)
    restored = 0 if settings.select_by == "last" else min(held_out, settings.validation_slices)
    if job.model.reconstructs:
        in_steps = _PASSES_OF_A_GRADIENT * settings.iterations * settings.batch_size
        slices = in_steps + validations * (held_out + restored)
        return _applied("fit", job, job.model, slices, pixels=_HEAD_PIXELS)
    from quietpet.forecast import networks  # noqa: PLC0415 (imports torch)

    model = job.model.for_training()
    side = settings.patch_pixels or learned.pixels
    step = networks.training_step(model, slices=settings.batch_size, pixels=side)
    step_pixels = math.lcm(_HEAD_STEP, model.divisor)
    square = -(-_HEAD_PIXELS // step_pixels) * step_pixels
    of_validation = held_out * networks.validation_flop(model, pixels=square)
    of_restored = restored * networks.restoration_flop(model, pixels=square) if restored else 0.0
    flop = settings.iterations * step.flop + validations * (of_validation + of_restored)
    weights = _BYTES * networks.parameter_count(model)
    images = _NETWORK_IMAGES * _BYTES * learned.slices * learned.pixels**2
    resident = step.activation_bytes + _COPIES_OF_WEIGHTS * weights + min(images, _MOST_RESIDENT_BYTES)
    return Work(
        step="fit",
        of=job.model.kind,
        unit=GFLOP,
        count=flop / 1e9,
        flop=flop,
        mib=resident / 2**20,
        bytes=weights,
    )


def _restore(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, RestoreJob)
    yield _restoration(part.job, part.job.model, contents.of_part(part).slices)


def _robustness(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, RobustnessJob)
    slices = len(part.job.conditions) * contents.of_part(part).slices
    yield _restoration(part.job, part.job.model, slices)
    yield Work(step="score", count=slices)


def _plan(part: Part, contents: Contents) -> Iterator[Work]:
    assert isinstance(part.job, PlanJob)
    planner = part.job.planner
    slices = min(planner.slices, contents.of_part(part).slices) * planner.samples_per_slice
    for candidate in planner.candidates(part.job.diffusion):
        yield _restoration(part.job, candidate, slices)


def _restoration(job: InferenceJob, model: MethodSettings, slices: int) -> Work:
    if model.reconstructs or not model.trained:
        return _applied("restore", job, model, slices, pixels=job.inference.pixels)
    from quietpet.forecast import networks  # noqa: PLC0415 (imports torch)

    flop = slices * networks.restoration_flop(model, pixels=job.inference.pixels)
    return Work(step="restore", of=model.kind, unit=GFLOP, count=flop / 1e9, flop=flop)


def _applied(step: str, job: LearningJob, model: MethodSettings, slices: int, *, pixels: int) -> Work:
    """Filters, and whatever projects, applied to ``slices``; how often a filter that is tuned is tried
    differs little.
    """
    if job.acquisition is not None:
        size = projection_size(job.acquisition.scanner)
        return Work(step=step, of=model.kind, unit=PASS, count=slices * _passes(model), size=size)
    window = getattr(model, "search_pixels", None)
    searched = ((2 * window + 1) / _SEARCHED_PIXELS) ** 2 if window else 1.0
    of = "-".join(filter(None, (model.kind, getattr(model, "guide", None))))  # a strength for each guide
    return Work(step=step, of=of, count=slices * (pixels / _FILTERED_PIXELS) ** 2 * searched)


def _passes(model: MethodSettings) -> float:
    """Passes over all views: iterations, or updates of a subset each."""
    settings = model.model_dump()
    return float(
        settings["iterations"] if "iterations" in settings else settings["updates"] / settings["subsets"]
    )


_WORK: Mapping[str, Callable[[Part, Contents], Iterator[Work]]] = {
    "fetch": _fetch,
    "phantom": _phantom,
    "simulate": _simulate,
    "reconstruct": _reconstruct,
    "realise": _realise,
    "standin": _standin,
    "import_scan": _scan,
    "import_pair": _scan,
    "register": _scan,
    "pack_scans": _pack_scans,
    "learning_rate": _learning_rate,
    "fit": _fit,
    "restore": _restore,
    "robustness": _robustness,
    "plan": _plan,
}
