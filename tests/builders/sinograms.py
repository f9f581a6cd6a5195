"""Sinograms of a packed data set, in the real schema of simulated ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from packed import LINEAGE, PIXELS

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.config.doses import DoseSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.files.hdf5 import write_hdf5
from quietpet.geometry.grid import mmr_grid
from quietpet.recon.system import projector

SCANNER = ScannerSettings(image_pixels=PIXELS)
PROTOCOL = DoseSettings(counts=1e8, psf_fwhm_mm=4.0, iterations=4, subsets=14)
COUNTS_PER_ACTIVITY = 0.02


def write_sinograms(path: Path, dataset: Path, **changed: Any) -> Path:
    """Poisson prompts of the true activity of ``dataset``, 64 pixels wide; ``changed`` attributes."""
    with h5py.File(dataset) as file:
        activity, keys = torch.from_numpy(file["truth"][()]), file["key"][()].astype(str)
    system = projector(SCANNER, torch.device("cpu"))
    normalisation = np.random.default_rng(0).uniform(0.5, 1, system.sinogram_shape).astype(np.float32)
    factors = torch.from_numpy(COUNTS_PER_ACTIVITY * normalisation).expand(len(keys), -1, -1)
    model = AcquisitionModel(
        projector=system,
        psf=GaussianPSF(
            fwhm_mm=PROTOCOL.psf_fwhm_mm,
            pixel_mm=mmr_grid(PIXELS).pixel_mm,
            image_shape=system.image_shape,
        ),
        multiplicative=factors,
    )
    prompts = torch.poisson(model.expected(activity), generator=torch.Generator().manual_seed(0))
    write_hdf5(
        path,
        kind="sinograms",
        arrays={
            "key": keys,
            "prompts": prompts.numpy().astype(np.int32),
            "attenuation": np.ones(prompts.shape, np.float32),
            "normalisation": normalisation,
            "counts_per_activity": np.full(len(keys), COUNTS_PER_ACTIVITY),
        },
        attributes={
            "dose": "low",
            "subject": "04",
            "activity_units": "relative activity",
            "activity_per_phantom_unit": 1.0,
            "lineage": LINEAGE,
            "provenance": {},
            **changed,
        },
    )
    return path
