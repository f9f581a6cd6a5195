"""Restore low-dose slices with a trained method."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from quietpet.api.arrays import data_set_of, image_stack, region_numbers, require_name, slice_names
from quietpet.config.domains import PHANTOM
from quietpet.data.batches import central_window, cut, stack
from quietpet.data.measured import MeasuredSlices
from quietpet.data.pairs import Batch, DosePair
from quietpet.data.scaling import activity_weighted_mean
from quietpet.errors import InputError
from quietpet.files.sinograms import Sinograms
from quietpet.jobs.methods import RestoreJob
from quietpet.recon.measuring import measurement_of
from quietpet.recon.system import as_simulated, image_grid
from quietpet.runtime.device import compute_device, placed
from quietpet.runtime.restoring import restored_slices
from quietpet.runtime.t1 import needing
from quietpet.study.root import Study
from quietpet.study.select_learning import acquisition_for, restore_job
from quietpet.training.weights import load_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Restored:
    """Restored slices (slice, y, x), float32, in the unit of the low dose.

    ``single`` is the first sample. Of several there are also their ``mean`` and ``standard_deviation``;
    of one these are None.
    """

    single: np.ndarray
    mean: np.ndarray | None
    standard_deviation: np.ndarray | None
    keys: tuple[str, ...]


def restore(
    study: Study,
    weights: str | Path,
    low: ArrayLike,
    t1: ArrayLike | None,
    *,
    method: str,
    dose: str,
    pixel_mm: float,
    head: ArrayLike | None = None,
    sinograms: Sinograms | None = None,
    keys: Sequence[str] | None = None,
    dataset: str = PHANTOM,
    replicate: str = "r0",
) -> Restored:
    """Restore low-dose images (slice, y, x) with the ``weights`` that the ``method`` has learned.

    ``t1`` shows the same pixels, of ``pixel_mm``; None, where there is none, is refused by methods that
    need one. The central square of ``inference.pixels`` is restored and 0 is outside; a square that cuts
    the mask ``head``, if it is given, is refused. Methods that reconstruct need the ``sinograms`` of the
    same ``keys``. Samples are seeded as in the workflow, by study, data set, dose, method, replicate and
    key.

    Raises InputError for names that the study lacks, weights of other settings and arrays that do not
    fit.
    """
    chosen, device = data_set_of(study, dataset, dose), compute_device()
    require_name(method, study.methods, what="method", owner="this study")
    acquisition_for(study, dataset=dataset, method=method, setting=dose)  # scans are refused
    require_name(method, chosen.methods, what="method", owner=f"data set {dataset!r}")
    job = restore_job(study, dataset=dataset, setting=dose, method=method, replicate=replicate)
    low_images = image_stack("low", low)
    t1_images = None if t1 is None else image_stack("t1", t1, low_images.shape)
    if t1_images is None and job.model.t1_use == "needed":
        raise InputError(f"t1: there is none, and {needing(job)}.")
    names = slice_names(keys, len(low_images), subject="object")
    if not (pixel_mm > 0 and math.isfinite(pixel_mm)):
        raise InputError(f"pixel_mm: the side of a pixel is above 0 mm, got {pixel_mm!r}.")
    _require_square(low_images, job.inference.pixels, head)
    measured = _measured(job, sinograms, names, pixel_mm=pixel_mm)
    network = placed(load_weights(Path(weights), job.model)[0], device, half=job.half)
    batches = (
        measured.attach(batch.to(device)) if measured else batch.to(device)
        for batch in _batches(low_images, t1_images, names, job, pixel_mm=pixel_mm)
    )
    images = restored_slices(network, batches, job, pixels=low_images.shape[-1])
    return Restored(
        single=images["single"],
        mean=images.get("mean"),
        standard_deviation=images.get("standard_deviation"),
        keys=tuple(names),
    )


def _require_square(images: np.ndarray, pixels: int, head: ArrayLike | None) -> None:
    """Refuse images smaller than the square that is restored, and a ``head`` that reaches out of it."""
    side = images.shape[-1]
    if pixels > side:
        raise InputError(
            f"low: images of {side} pixels, too few for squares of {pixels}; lower inference.pixels of "
            "the study, or give larger images."
        )
    if head is not None:
        outside = region_numbers("head", head, images.shape) > 0
        outside[(slice(None), *central_window(side, pixels))] = False
        if outside.any():
            raise InputError(f"inference.pixels = {pixels} would cut the head; make it larger.")


def _batches(
    low: np.ndarray, t1: np.ndarray | None, keys: list[str], job: RestoreJob, *, pixel_mm: float
) -> Iterator[Batch]:
    """Central squares of slices whose standard dose nobody knows: it is NaN."""
    window = central_window(low.shape[-1], job.inference.pixels)
    t1_of_slices = [None] * len(keys) if t1 is None else t1
    slices = zip(keys, low, t1_of_slices, strict=True)
    squares = [cut(_pair(*each, pixel_mm=pixel_mm), window) for each in slices]
    size = job.inference.batch_size
    for first in range(0, len(squares), size):
        yield stack(squares[first : first + size], pixel_mm=pixel_mm)


def _pair(key: str, low: np.ndarray, t1: np.ndarray | None, *, pixel_mm: float) -> DosePair:
    return DosePair(
        key=key,
        subject="object",
        slice_mm=0.0,
        angle_deg=0.0,
        low=low,
        standard=np.full_like(low, np.nan),
        t1=t1,
        head=np.ones(low.shape, bool),
        pet_lesions=np.zeros(low.shape, np.uint8),
        t1_lesions=np.zeros(low.shape, np.uint8),
        truth=None,
        scale=activity_weighted_mean(low),
        t1_scale=1.0 if t1 is None else activity_weighted_mean(t1),
        affine_ras_mm=np.diag([pixel_mm, -pixel_mm, 1.0, 1.0]),
    )


def _measured(
    job: RestoreJob, sinograms: Sinograms | None, keys: list[str], *, pixel_mm: float
) -> MeasuredSlices | None:
    """The scan of the slices ``keys``, for a method that reconstructs; None for others."""
    if job.acquisition is None:
        return None
    if sinograms is None:
        raise InputError(f"{job.method} reconstructs: give the sinograms of the low dose.")
    if sinograms.dose != job.setting or set(keys) - set(sinograms.keys):
        raise InputError(
            f"sinograms: hold slices {sinograms.keys} at dose {sinograms.dose!r}, but {keys} at dose "
            f"{job.setting!r} are to be restored."
        )
    settings = as_simulated(job.acquisition.scanner, sinograms.lineage, origin=sinograms.origin)
    if not math.isclose(pixel_mm, wanted := image_grid(settings).pixel_mm, rel_tol=1e-6):
        raise InputError(f"pixel_mm: {pixel_mm:g}, but the scanner of the sinograms has {wanted:g}.")
    scan = measurement_of(
        [sinograms], scanner=settings, protocol=job.acquisition.protocol, device=compute_device()
    )
    return MeasuredSlices(sinograms.keys, scan)
