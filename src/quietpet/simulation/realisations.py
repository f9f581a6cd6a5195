"""Many draws of the noise of the same slices, with and without lesions, at two doses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch

from quietpet.config.doses import ReconstructionSettings
from quietpet.config.realisations import ABSENT
from quietpet.config.scanner import ScannerSettings
from quietpet.data.packing import SubjectImages
from quietpet.files.images import ReconstructedSlices
from quietpet.files.phantoms import PhantomSlices
from quietpet.files.realisations import KnownLesion
from quietpet.files.sinograms import ScannedDose, sinograms_of
from quietpet.jobs.acquisition import SimulateJob, ThinJob
from quietpet.jobs.realisations import RealiseJob
from quietpet.phantom.discs import Disc, disc_numbers, paint_discs, place_discs
from quietpet.recon.slices import osem_images
from quietpet.recon.system import data_grid, image_grid
from quietpet.seeds import numpy_rng
from quietpet.simulation.lower_dose import thinned
from quietpet.simulation.scan import activity_unit, counted, mean_scan


@dataclass(frozen=True, kw_only=True, eq=False)
class TwinSlices:
    """The slices of one subject, each without lesions and with each lesion set, one row each.

    ``lesion_set`` names that of each row; ``absent`` is the row of the same slice without lesions.
    """

    slices: PhantomSlices
    lesion_set: tuple[str, ...]
    absent: np.ndarray
    lesions: tuple[KnownLesion, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class SubjectRealisations:
    """The realisations of one subject, and of each row (row,) which slice, lesion set and draw it is."""

    images: SubjectImages
    slice_index: np.ndarray
    lesion_set: tuple[str, ...]
    realisation: np.ndarray
    lesions: tuple[KnownLesion, ...]


def twin_slices(job: RealiseJob, slices: PhantomSlices) -> TwinSlices:
    """The ``slices`` of one subject, which have no lesions, and their twins that have.

    The places of lesions are drawn by the names of subject, slice, lesion set and number.

    Raises:
        InputError: lesions find no room in a slice.
    """
    sets = (ABSENT, *job.lesion_sets)
    rows = np.repeat(np.arange(len(slices.key)), len(sets))
    lesion_set = tuple(sets) * len(slices.key)
    twins = _of_rows(slices, rows)
    activity, numbers = twins.activity.copy(), np.zeros_like(twins.pet_lesions)
    fine = None if twins.fine_activity is None else twins.fine_activity.copy()
    lesions: list[KnownLesion] = []
    grid = image_grid(job.scanner)
    for row, name in enumerate(lesion_set):
        if name == ABSENT:
            continue
        discs = _placed(job, twins, row, name)
        activity[row] = paint_discs(activity[row], discs, white_matter=job.white_matter, grid=grid)
        numbers[row] = disc_numbers(discs, grid=grid)
        if fine is not None:
            fine[row] = paint_discs(
                fine[row], discs, white_matter=job.white_matter, grid=data_grid(job.scanner)
            )
        lesions += _known(job, twins, row, name, discs)
    return TwinSlices(
        slices=replace(
            twins,
            key=[f"{key}/{name}" for key, name in zip(twins.key, lesion_set, strict=True)],
            activity=activity,
            fine_activity=fine,
            pet_lesions=numbers,
        ),
        lesion_set=lesion_set,
        absent=len(sets) * (np.arange(len(rows)) // len(sets)),
        lesions=tuple(lesions),
    )


def _placed(job: RealiseJob, twins: PhantomSlices, row: int, lesion_set: str) -> tuple[Disc, ...]:
    index = int(twins.slice_index[row])
    names = (job.study_seed, "lesion", twins.subject, index, lesion_set)
    return place_discs(
        twins.labels[row],
        job.lesion_sets[lesion_set],
        grid=image_grid(job.scanner),
        rng_of=lambda number: numpy_rng(*names, number),
        where=f"subject {twins.subject}, slice {index}, lesions {lesion_set!r}",
    )


def _known(
    job: RealiseJob, twins: PhantomSlices, row: int, lesion_set: str, discs: Sequence[Disc]
) -> Iterator[KnownLesion]:
    pixel_mm = image_grid(job.scanner).pixel_mm
    for disc in discs:
        y, x = (job.pixels // 2 + each / pixel_mm for each in disc.centre_mm)
        yield KnownLesion(
            subject=twins.subject,
            slice_index=int(twins.slice_index[row]),
            lesion_set=lesion_set,
            number=disc.number,
            radius_mm=disc.radius_mm,
            contrast=disc.contrast,
            centre_yx=(y, x),
        )


def realised(
    job: RealiseJob, slices: PhantomSlices, settings: ScannerSettings, device: torch.device
) -> tuple[SubjectRealisations, ScannedDose]:
    """All realisations of the ``slices`` of one subject, and their low-dose scan.

    Rows are in the order of slices, of lesion sets and of draws. The engine of ``settings`` is decided.

    Raises:
        InputError: lesions find no room; or as :func:`quietpet.simulation.scan.scanned`.
    """
    twins = twin_slices(job, slices)
    rows = np.repeat(np.arange(len(twins.slices.key)), job.count)
    draw = np.tile(np.arange(job.count), len(twins.slices.key))
    keys = [f"{twins.slices.key[row]}/n{number:03d}" for row, number in zip(rows, draw, strict=True)]
    number = job.subjects.index(slices.subject)
    standard = _scan(job.standard[number], twins, settings, device, rows=rows, keys=keys)
    of_low = job.low[number]
    low = (
        thinned(of_low, standard)
        if isinstance(of_low, ThinJob)
        else _scan(of_low, twins, settings, device, rows=rows, keys=keys)
    )
    realisations = SubjectRealisations(
        images=SubjectImages.of(
            replace(_of_rows(twins.slices, rows), key=keys),
            _images(standard, job.standard_protocol, settings, device),
            _images(low, job.low_protocol, settings, device),
            low_dose=job.setting,
        ),
        slice_index=twins.slices.slice_index[rows],
        lesion_set=tuple(twins.lesion_set[row] for row in rows),
        realisation=draw,
        lesions=twins.lesions,
    )
    return realisations, low


def _scan(
    job: SimulateJob,
    twins: TwinSlices,
    settings: ScannerSettings,
    device: torch.device,
    *,
    rows: np.ndarray,
    keys: Sequence[str],
) -> ScannedDose:
    """One draw for each of ``keys``. Slices are projected once; twins are scanned for the same time."""
    unit = activity_unit(job)
    mean = mean_scan(job, twins.slices, settings, device, unit=unit)
    alike = replace(
        mean,
        scale=mean.scale[twins.absent],
        nominal=None if mean.nominal is None else mean.nominal[twins.absent],
    )
    return counted(job, alike, twins.slices, settings, rows=rows.tolist(), keys=keys, unit=unit)


def _images(
    scan: ScannedDose, protocol: ReconstructionSettings, settings: ScannerSettings, device: torch.device
) -> ReconstructedSlices:
    return ReconstructedSlices(
        origin=f"the images of {scan.subject!r} at dose {scan.dose!r}",
        dose=scan.dose,
        subject=scan.subject,
        activity_units=scan.activity_units,
        activity_per_phantom_unit=scan.activity_per_phantom_unit,
        lineage=scan.lineage,
        key=scan.key,
        image=osem_images(sinograms_of(scan), protocol, settings, device, label=scan.subject),
    )


def _of_rows(slices: PhantomSlices, rows: np.ndarray) -> PhantomSlices:
    """The slices in these ``rows``, in that order; one may be there several times."""
    arrays = {
        each.name: value[rows]
        for each in fields(slices)
        if isinstance(value := getattr(slices, each.name), np.ndarray) and each.name != "affine_ras_mm"
    }
    return replace(slices, key=[slices.key[row] for row in rows], **arrays)


def lesion_table(lesions: Sequence[KnownLesion]) -> list[dict[str, object]]:
    """The ``lesions`` as a file of realisations keeps them."""
    return [asdict(lesion) for lesion in lesions]
