"""Sinogram files, and the measurements that they and a system model make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from quietpet.acquisition.measurement import Measurement
from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.config.doses import ReconstructionSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.data.batches import ResidentBatches, StepBatches
from quietpet.data.dataset import PairDataset
from quietpet.data.measured import MeasuredBatches, MeasuredSlices
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_attribute, read_nonnegative, read_strings
from quietpet.jobs.acquisition import AcquisitionJob
from quietpet.stages.lineage import NOT_PROJECTED, Lineage, common_lineage, lineage_of
from quietpet.stages.system import as_simulated, engine_versions, image_grid, projector

_MEASURED = ("prompts", "attenuation", "normalisation", "counts_per_activity")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sinograms:
    """The scan of some slices at one dose: arrays (slice, view, bin), float32.

    Of an image x, ``multiplicative`` * P(blur x) + ``background`` of the ``prompts`` are expected, with
    line integrals P in pixels. ``multiplicative`` is attenuation x normalisation x counts per activity;
    ``background`` is None without scatter and randoms. ``through_air`` (bool) marks the lines that
    nothing attenuates. Images are in ``activity_units``, of which ``activity_per_phantom_unit`` are one
    unit of the phantom. ``origin`` is the file, or what else messages call them.
    """

    origin: Path | str
    dose: str
    keys: list[str]
    prompts: np.ndarray
    multiplicative: np.ndarray
    background: np.ndarray | None
    through_air: np.ndarray
    activity_units: str
    activity_per_phantom_unit: float
    lineage: Lineage


def read_sinograms(path: Path) -> Sinograms:
    """A whole file; values that are not finite are refused."""
    with open_hdf5(path, kind="sinograms") as file:
        names = (*_MEASURED, *(("background",) if "background" in file else ()))
        return sinograms_of(
            {name: read_nonnegative(file, name) for name in names},
            origin=path,
            dose=read_attribute(file, "dose"),
            keys=read_strings(file, "key"),
            activity_units=read_attribute(file, "activity_units"),
            activity_per_phantom_unit=read_attribute(file, "activity_per_phantom_unit"),
            lineage=lineage_of(file),
        )


def sinograms_of(
    arrays: Mapping[str, np.ndarray],
    *,
    origin: Path | str,
    dose: str,
    keys: list[str],
    activity_units: str,
    activity_per_phantom_unit: float,
    lineage: Lineage,
) -> Sinograms:
    """The record of the ``arrays`` of a file of kind "sinograms"."""
    multiplicative = arrays["attenuation"] * arrays["normalisation"]
    multiplicative *= arrays["counts_per_activity"][:, None, None].astype(np.float32)
    return Sinograms(
        origin=origin,
        dose=dose,
        keys=keys,
        prompts=arrays["prompts"].astype(np.float32),
        multiplicative=multiplicative,
        background=arrays.get("background"),
        through_air=arrays["attenuation"] >= 1,
        activity_units=activity_units,
        activity_per_phantom_unit=activity_per_phantom_unit,
        lineage=lineage,
    )


def measurement_of(
    sinograms: Sequence[Sinograms],
    *,
    scanner: ScannerSettings,
    protocol: ReconstructionSettings,
    device: torch.device,
) -> Measurement:
    """The slices of all files in a row: sinograms on the CPU, the system model on ``device``."""
    system = projector(scanner, device)
    for each in sinograms:
        if each.prompts.shape[1:] != system.sinogram_shape:
            raise InputError(
                f"{each.origin}: its sinograms are {each.prompts.shape[1:]} (view, bin), those of the "
                f"scanner {scanner.model!r} {system.sinogram_shape}; simulate them again."
            )
    return Measurement(
        prompts=torch.from_numpy(np.concatenate([each.prompts for each in sinograms])),
        model=AcquisitionModel(
            projector=system,
            psf=GaussianPSF(
                fwhm_mm=protocol.psf_fwhm_mm,
                pixel_mm=image_grid(scanner).pixel_mm,
                image_shape=system.image_shape,
                device=device,
            ),
            multiplicative=torch.from_numpy(np.concatenate([each.multiplicative for each in sinograms])),
            background=_background(sinograms),
        ),
    )


def _background(sinograms: Sequence[Sinograms]) -> torch.Tensor | None:
    """Scatter and randoms of all files in a row, 0 for a file that has none; None if none has any."""
    if all(each.background is None for each in sinograms):
        return None
    backgrounds = [
        np.zeros_like(each.multiplicative) if each.background is None else each.background
        for each in sinograms
    ]
    return torch.from_numpy(np.concatenate(backgrounds))


def measured_slices(
    paths: Sequence[Path], pairs: PairDataset, job: AcquisitionJob, device: torch.device
) -> MeasuredSlices:
    """The low-dose measurements of the slices of ``pairs``, from the sinogram files ``paths``.

    Raises:
        InputError: a file is of another dose, or of other phantoms or another projector than ``pairs``;
            a slice has no sinogram or two; the pixels differ in size; the slices are of scans.
    """
    if pairs.lineage["projector"] == NOT_PROJECTED:
        raise InputError(
            f"{pairs.path}: its slices are of scans, whose images come without sinograms; a method that "
            "reconstructs cannot learn from them or restore them. Use another method."
        )
    files = [read_sinograms(path) for path in paths]
    for each in files:
        if each.dose != pairs.setting:
            raise InputError(
                f"{each.origin}: holds dose {each.dose!r}, but {pairs.path} was packed at "
                f"{pairs.setting!r}."
            )
    lineage = common_lineage(
        [(pairs.path, pairs.lineage), *((each.origin, each.lineage) for each in files)]
    )
    settings = as_simulated(job.scanner, lineage, origin=pairs.path)
    if abs(pairs.pixel_mm - (wanted := image_grid(settings).pixel_mm)) > 1e-6 * wanted:
        raise InputError(
            f"{pairs.path}: its pixels are {pairs.pixel_mm:g} mm, those of the scanner "
            f"{settings.model!r} {wanted:g} mm; pack it again."
        )
    keys = [key for each in files for key in each.keys]
    for key in pairs.keys:
        if (found := keys.count(key)) != 1:
            raise InputError(
                f"{pairs.path}: {found} of the {len(files)} sinogram files hold its slice {key!r}, "
                "instead of one. Give those of its subjects, each once."
            )
    measurement = measurement_of(files, scanner=settings, protocol=job.protocol, device=device)
    return MeasuredSlices(keys, measurement.trimmed())


def measured_batches(
    batches: StepBatches | ResidentBatches,
    parts: Sequence[PairDataset],
    measured: Sequence[MeasuredSlices],
) -> MeasuredBatches:
    """The ``batches`` of the data sets ``parts``, with the measurements of their slices."""
    keys = (part.keys for part in parts)
    return MeasuredBatches(batches, list(zip(keys, measured, strict=True)))


def engines_behind(pairs: PairDataset) -> dict[str, str]:
    """Versions of the programs, which are no Python packages, that project the slices of ``pairs``."""
    return engine_versions(pairs.lineage["projector"])
