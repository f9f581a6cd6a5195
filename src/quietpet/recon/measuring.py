"""The measurements that sinograms and a system model make."""

from __future__ import annotations

from collections.abc import Sequence
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
from quietpet.files.lineage import NOT_PROJECTED, common_lineage
from quietpet.files.sinograms import Sinograms, read_sinograms
from quietpet.recon.system import as_simulated, engine_versions, image_grid, projector


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
    paths: Sequence[Path],
    pairs: PairDataset,
    *,
    scanner: ScannerSettings,
    protocol: ReconstructionSettings,
    device: torch.device,
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
    settings = as_simulated(scanner, lineage, origin=pairs.path)
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
    measurement = measurement_of(files, scanner=settings, protocol=protocol, device=device)
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
