"""OSEM images of the slices of one scan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from quietpet.acquisition.psf import GaussianPSF
from quietpet.config.doses import ReconstructionSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.errors import InputError
from quietpet.files.hdf5 import require_finite
from quietpet.files.sinograms import Sinograms
from quietpet.progress import track
from quietpet.projection.protocol import Projector
from quietpet.recon.measuring import measurement_of
from quietpet.recon.surroundings import HOTTEST_OUTSIDE, hottest_outside, outside_object
from quietpet.recon.system import image_grid, reconstruction, slices_per_batch


def osem_images(
    sinograms: Sinograms,
    protocol: ReconstructionSettings,
    settings: ScannerSettings,
    device: torch.device,
    *,
    label: str,
) -> np.ndarray:
    """Filtered OSEM images (slice, y, x) in the sinograms' units; ``label`` names them in the progress.

    Raises:
        InputError: an image is brightest outside the head, or not finite.
        ValueError: the subsets or the sinograms are none that can be reconstructed.
    """
    osem = reconstruction(settings)
    measurement = measurement_of([sinograms], scanner=settings, protocol=protocol, device=device)
    post_filter = GaussianPSF(
        fwhm_mm=protocol.post_fwhm_mm,
        pixel_mm=image_grid(settings).pixel_mm,
        image_shape=measurement.model.projector.image_shape,
        device=device,
    )
    images = []
    size = slices_per_batch(settings)
    starts = range(0, len(sinograms.keys), size)
    tick = _ticks(f"OSEM {label} {sinograms.dose}", len(starts) * protocol.iterations)
    for start in starts:
        rows = range(start, min(start + size, len(sinograms.keys)))
        batch = measurement.rows(rows).to(device)
        image = osem(
            batch.prompts,
            batch.model,
            iterations=protocol.iterations,
            subsets=protocol.subsets,
            after_iteration=tick,
        )
        _require_cold_outside(image, sinograms, rows, batch.model.projector)
        images.append(post_filter(image).cpu().numpy())
    reconstructed = np.concatenate(images)
    require_finite(reconstructed, f"OSEM of {sinograms.origin}")
    return reconstructed


def _ticks(label: str, iterations: int) -> Callable[[], object]:
    """What to call after each iteration of each batch, to show progress."""
    steps = track(range(iterations), label=label, total=iterations, unit="iteration")
    next(steps, None)
    return lambda: next(steps, None)


def _require_cold_outside(
    images: torch.Tensor, sinograms: Sinograms, rows: range, system: Projector
) -> None:
    """Refuse images (slice, y, x) that are far brighter outside the head than anywhere inside."""
    through_air = torch.from_numpy(sinograms.through_air[rows.start : rows.stop]).to(images.device)
    ratios = hottest_outside(images, outside_object(through_air, system)).cpu().numpy()
    worst = int(ratios.argmax())
    if ratios[worst] > HOTTEST_OUTSIDE:
        raise InputError(
            f"OSEM of {sinograms.origin}: slice {sinograms.keys[rows[worst]]!r} is {ratios[worst]:.3g} "
            "times as bright outside the head as anywhere inside. Its prompts do not fit its "
            f"attenuation and background, or the iterations of dose {sinograms.dose!r} are too many for "
            "its counts: simulate it again, lower them, or see if 'quietpet check projector' passes."
        )
