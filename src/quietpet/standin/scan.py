"""A dynamic scan: events of every frame, drawn and reconstructed frame by frame.

Tissues have one time-activity curve each, so that the expected sinograms of all frames are sums of one
set per class of tissue. Every stored slice is a direct plane to which all lines of response of its
height count, as after rebinning. The reconstruction does not know the point spread (OP-OSEM): what the
resolution of the scanner and the filter do to the images is there to be seen. In the middle of the axis
a slice has more lines of response than at its ends, by the acceptance of three-dimensional PET.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from quietpet.acquisition.background import (
    expected_scatter,
    randoms_per_coincidence,
    scaled_to,
    scatter_kernel,
)
from quietpet.acquisition.counts import poisson_prompts
from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.acquisition.sensitivity import (
    arriving_pairs,
    attenuation_factors,
    bin_efficiencies,
    calibrated_sensitivity,
    normalisation_of,
)
from quietpet.config.scanner import ScannerSettings
from quietpet.config.standin import StandinScanSettings
from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import SCANNERS, ScannerGeometry
from quietpet.projection.embedded import embedded_projector
from quietpet.projection.protocol import Projector
from quietpet.recon.osem import osem

LANES_PER_BATCH = 180
"""Slices of several frames that are reconstructed together."""

RANDOMS_AT_MBQ = 100.0
"""Activity in the body at which ``randoms_fraction`` holds."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What was there during one frame.

    ``decays`` (class,) is the integral of the activity of each tissue [kBq/ml min], ``weight_minutes``
    the undecayed minutes by which images are divided, ``body_mbq`` the activity in the body half-way.
    """

    decays: np.ndarray
    weight_minutes: float
    body_mbq: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Scanner:
    """A head in the scanner. Sinograms (slice, view, bin) hold the bins that see the image.

    ``rows`` are the slices of ``grid`` that hold the head. ``trues`` and ``scatter`` (class, slice,
    view, bin) are expected prompts of 1 kBq/ml min in each class of tissue; ``sensitivity`` those of a
    line integral of 1; ``randoms_shape`` sums to 1 in the lines of each slice that see activity.
    """

    grid: ImageGrid
    rows: np.ndarray
    projector: Projector
    sensitivity: np.ndarray
    trues: np.ndarray
    scatter: np.ndarray
    randoms_shape: np.ndarray

    def expected(self, frame: Frame, *, randoms_fraction: float) -> tuple[np.ndarray, np.ndarray]:
        """Expected prompts of a frame, and the part of them that are scatter and randoms."""
        trues, scatter = (_of_tissues(each, frame.decays) for each in (self.trues, self.scatter))
        coincidences = np.where(self.randoms_shape > 0, trues + scatter, 0).sum(axis=(1, 2))
        randoms = coincidences * randoms_per_coincidence(
            randoms_fraction, activity=frame.body_mbq, stated_at=RANDOMS_AT_MBQ
        )
        background = scatter + randoms.astype(np.float32)[:, None, None] * self.randoms_shape
        return trues + background, background


def standin_grid(scanner: ScannerSettings, *, axial_step: int) -> ImageGrid:
    """The stored grid: the scanner's own, or one slice for each ring."""
    geometry = SCANNERS[scanner.model]()
    return ImageGrid(
        n_slices=geometry.n_image_slices if axial_step == 1 else geometry.n_rings,
        n_pixels=scanner.image_pixels,
        slice_mm=axial_step * geometry.ring_spacing_mm / 2,
        pixel_mm=geometry.image_pixel_mm,
    )


def head_in_scanner(
    fractions: np.ndarray,
    mu_per_cm: np.ndarray,
    *,
    grid: ImageGrid,
    scanner: ScannerSettings,
    scan: StandinScanSettings,
    rng: np.random.Generator,
) -> Scanner:
    """Project the tissues of a head; ``rng`` draws bin efficiencies.

    ``fractions`` (class, z, y, x) and ``mu_per_cm`` (z, y, x) lie on the grid that data are made of:
    ``grid``, the model's, or with ``scanner.data: finer`` one of smaller pixels.
    """
    geometry, step = SCANNERS[scanner.model](), scanner.data_refinement
    whole = embedded_projector(geometry, grid, rays=scanner.rays)
    projector, bins = whole.trimmed(), whole.seen_bins
    rows = np.flatnonzero(mu_per_cm.any(axis=(1, 2)))
    efficiencies = bin_efficiencies(geometry, spread=scanner.efficiency_spread, rng=rng)
    recorded = normalisation_of(geometry, efficiencies, gaps=scanner.gaps)
    per_slice = calibrated_sensitivity(
        geometry,
        whole,
        recorded,
        grid,
        slice_mm=grid.slice_positions_mm[rows],
        sensitivity_cps_per_kbq=scan.sensitivity_cps_per_kbq,
        minutes=1.0,
    )
    detected = per_slice.astype(np.float32)[:, None, None] * recorded[:, bins]
    # Every pixel of the model has its centre in one of the finer pixels.
    modelled_mu = np.ascontiguousarray(mu_per_cm[rows][:, ::step, ::step])
    attenuation = attenuation_factors(torch.from_numpy(modelled_mu), projector, pixel_mm=grid.pixel_mm)
    lines: tuple[torch.Tensor, Projector] = (attenuation, projector)
    if step > 1:
        lines = _finer_lines(mu_per_cm[rows], geometry, grid.refined(step), bins, rays=scanner.data_rays)
    arriving = _arriving(
        fractions, rows, *lines, grid=grid.refined(step), refinement=step, fwhm_mm=scan.psf_fwhm_mm
    )
    trues = np.ascontiguousarray(detected * arriving)
    normalisation, seen = recorded[:, bins], np.any(trues, axis=0)
    kernel = scatter_kernel(geometry, fwhm_mm=scan.scatter_fwhm_mm)[bins, bins]
    return Scanner(
        grid=grid,
        rows=rows,
        projector=projector,
        sensitivity=detected * attenuation.numpy(),
        trues=trues,
        scatter=_scatter(
            trues, seen, arriving, normalisation, kernel, scatter_fraction=scan.scatter_fraction
        ),
        randoms_shape=np.stack([scaled_to(1.0, normalisation, within=each) * each for each in seen]),
    )


def _arriving(
    fractions: np.ndarray,
    rows: np.ndarray,
    attenuation: torch.Tensor,
    projector: Projector,
    *,
    grid: ImageGrid,
    refinement: int,
    fwhm_mm: float,
) -> np.ndarray:
    """Photon pairs (class, slice, view, bin) of 1 kBq/ml in each tissue, blurred in three dimensions."""
    blur = _gaussian(grid, fwhm_mm=fwhm_mm)
    blurred = (blur(torch.from_numpy(each))[rows] for each in fractions)
    return np.stack(
        [arriving_pairs(each, attenuation, projector, refinement=refinement) for each in blurred]
    )


def _finer_lines(
    mu_per_cm: np.ndarray, geometry: ScannerGeometry, fine: ImageGrid, bins: slice, *, rays: int
) -> tuple[torch.Tensor, Projector]:
    """Attenuation factors and projector of pixels and rays that are the data's alone."""
    projector = embedded_projector(geometry, fine, rays=rays).of_bins(bins)
    return attenuation_factors(torch.from_numpy(mu_per_cm), projector, pixel_mm=fine.pixel_mm), projector


def _scatter(
    trues: np.ndarray,
    seen: np.ndarray,
    arriving: np.ndarray,
    normalisation: np.ndarray,
    kernel: np.ndarray,
    *,
    scatter_fraction: float,
) -> np.ndarray:
    """Expected scatter (class, slice, view, bin) of each tissue, in the lines that see any of them."""
    scatter = np.zeros_like(trues)
    for tissue, row in np.ndindex(trues.shape[:2]) if scatter_fraction else ():
        if total := trues[tissue, row].sum(dtype=np.float64):
            scatter[tissue, row] = expected_scatter(
                total,
                arriving[tissue, row],
                normalisation,
                kernel,
                scatter_fraction=scatter_fraction,
                within=seen[row],
            )
    return scatter


def measured_frames(
    scanner: Scanner,
    frames: Sequence[Frame],
    *,
    scan: StandinScanSettings,
    generator_of: Callable[[int], np.random.Generator],
) -> Iterator[tuple[np.ndarray, int]]:
    """Image (z, y, x) of each frame [kBq/ml, decay-corrected to time 0], and its prompts.

    ``generator_of`` gives the generator of a frame by its number, whatever else is computed.
    """
    post_filter = _gaussian(scanner.grid, fwhm_mm=scan.post_fwhm_mm)
    model = AcquisitionModel(
        projector=scanner.projector,
        psf=GaussianPSF(
            fwhm_mm=0.0, pixel_mm=scanner.grid.pixel_mm, image_shape=scanner.projector.image_shape
        ),
        multiplicative=torch.from_numpy(scanner.sensitivity),
    )
    per_batch = max(1, LANES_PER_BATCH // len(scanner.rows))
    for first in range(0, len(frames), per_batch):
        batch = range(first, min(first + per_batch, len(frames)))
        prompts, background = zip(
            *(_draw(scanner, frames[n], scan=scan, rng=generator_of(n)) for n in batch), strict=True
        )
        images = osem(
            torch.from_numpy(np.stack(prompts).astype(np.float32)),
            _with_background(model, np.stack(background)),
            iterations=scan.iterations,
            subsets=scan.subsets,
        )
        for n, counts, image in zip(batch, prompts, images, strict=True):
            volume = torch.zeros(scanner.grid.shape)
            volume[scanner.rows] = image / frames[n].weight_minutes
            yield post_filter(volume).numpy(), int(counts.sum(dtype=np.int64))


def _draw(
    scanner: Scanner, frame: Frame, *, scan: StandinScanSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    expected, background = scanner.expected(frame, randoms_fraction=scan.randoms_fraction)
    return poisson_prompts(expected, rng), background


def _with_background(model: AcquisitionModel, background: np.ndarray) -> AcquisitionModel:
    """The model of several frames (frame, slice, view, bin); all zeros are left out."""
    if not background.any():
        return model
    return AcquisitionModel(
        projector=model.projector,
        psf=model.psf,
        multiplicative=model.multiplicative,
        background=torch.from_numpy(background),
    )


def _of_tissues(sinograms: np.ndarray, decays: np.ndarray) -> np.ndarray:
    """Sum of (class, slice, view, bin) weighted by the activity of each class."""
    flat = decays.astype(np.float32) @ sinograms.reshape(len(sinograms), -1)
    return flat.reshape(sinograms.shape[1:])


def _gaussian(grid: ImageGrid, *, fwhm_mm: float) -> GaussianPSF:
    return GaussianPSF(
        fwhm_mm=fwhm_mm, pixel_mm=grid.pixel_mm, image_shape=grid.shape, slice_mm=grid.slice_mm
    )
