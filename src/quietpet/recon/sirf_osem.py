"""OSEM with STIR's own likelihood: its projector, its point spread, its back-projected ratios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.projection.sirf import SirfProjector, engine, filled, in_blocks
from quietpet.recon.osem import osem, require_reconstructible


def sirf_osem(
    prompts: torch.Tensor,
    model: AcquisitionModel,
    *,
    iterations: int,
    subsets: int,
    after_iteration: Callable[[], object] | None = None,
) -> torch.Tensor:
    """Reconstruct prompts (slice, view, bin) into activity images (slice, y, x) with SIRF.

    With a 3-D projector, prompts (plane, view, bin) become a volume (z, y, x).

    The same algorithm, subsets, start and rule for unseen pixels as :func:`quietpet.recon.osem.osem`;
    ``model`` holds a :class:`~quietpet.projection.sirf.SirfProjector` of all views, and
    ``after_iteration`` is called for each of its calls. STIR's reconstructor
    OSMAPOSL is not used: it takes subsets of equal size only, and has other rules for pixels that a
    subset does not see.

    With Parallelproj the likelihood is ours as well. STIR's back projector of that name leaves out the
    point spread (UCL/STIR issue 1669, SyneRBI/SIRF issue 1324): its sensitivity is 13 % off.

    Raises:
        ValueError: as :func:`quietpet.recon.osem.require_reconstructible`.
        InputError: STIR refused or failed.
    """
    projector = model.projector
    if not isinstance(projector, SirfProjector):
        raise TypeError(f"sirf_osem reconstructs with a SirfProjector, not {type(projector).__name__}")
    if projector.stir_projector == "parallelproj":
        return osem(
            prompts, model, iterations=iterations, subsets=subsets, after_iteration=after_iteration
        )
    require_reconstructible(prompts, model, subsets=subsets)
    batch_shape = prompts.shape[: prompts.ndim - len(projector.sinogram_shape)]

    if not isinstance(model.psf, GaussianPSF):
        raise TypeError("SIRF's OSEM blurs all slices by one point spread")

    def stacked(sinograms: torch.Tensor) -> torch.Tensor:
        return sinograms.expand(prompts.shape).reshape(-1, *projector.sinogram_shape)

    measured, factors = stacked(prompts), stacked(model.multiplicative)
    background = None if model.background is None else stacked(model.background)
    images = []
    for start in range(0, len(measured), projector.per_call):
        call = slice(start, start + projector.per_call)
        likelihood = _likelihood(
            projector,
            prompts=torch.where(factors[call] > 0, measured[call], 0.0),
            multiplicative=factors[call],
            background=None if background is None else background[call],
            fwhm_mm=model.psf.fwhm_mm,
        )
        crossed = _crossed_pixels(projector, factors[call], subsets=subsets)
        with engine().doing(f"reconstructing with {subsets} subsets"):
            image = _em(
                likelihood,
                projector.image,
                crossed,
                iterations=iterations,
                after_iteration=after_iteration,
            )
        images.append(image.reshape(-1, *projector.image_shape)[: len(measured[call])])
    joined = torch.from_numpy(np.concatenate(images)).to(prompts.device)
    return joined.reshape(*batch_shape, *projector.image_shape)


def _crossed_pixels(
    projector: SirfProjector, factors: torch.Tensor, *, subsets: int
) -> list[np.ndarray]:
    """Which pixels (z, y, x) of one call the lines of each subset cross: P^T m > 0, no point spread."""
    crossed = []
    for index in range(subsets):
        back_projected = projector.subset(index, subsets).adjoint(factors[..., index::subsets, :])
        (block,) = in_blocks(back_projected.cpu().numpy(), projector.per_call)
        crossed.append(block.reshape(projector.image.dimensions()) > 0)
    return crossed


def _likelihood(
    projector: SirfProjector,
    *,
    prompts: torch.Tensor,
    multiplicative: torch.Tensor,
    background: torch.Tensor | None,
    fwhm_mm: float,
) -> Any:
    """SIRF's Poisson log-likelihood of one call's prompts."""
    model = projector.acquisition_model()

    def sinograms(values: torch.Tensor) -> Any:
        (block,) = in_blocks(values.cpu().numpy(), projector.per_call)
        return filled(projector.acquisition, block)

    with engine().doing("setting up the acquisition model") as stir:
        if fwhm_mm > 0:
            blur = stir.SeparableGaussianImageFilter()
            # (z, y, x). Slices of direct planes are independent: nothing leaks between them.
            blur.set_fwhms((fwhm_mm if projector.is_volume else 0.0, fwhm_mm, fwhm_mm))
            blur.set_up(projector.image)
            model.set_image_data_processor(blur)
        model.set_acquisition_sensitivity(stir.AcquisitionSensitivityModel(sinograms(multiplicative)))
        if background is not None:
            model.set_background_term(sinograms(background))
        model.set_up(projector.acquisition, projector.image)
        likelihood = stir.make_Poisson_loglikelihood(sinograms(prompts))
        # Without this STIR projects with its own default.
        likelihood.set_acquisition_model(model)
    return likelihood


def _em(
    likelihood: Any,
    image: Any,
    crossed: list[np.ndarray],
    *,
    iterations: int,
    after_iteration: Callable[[], object] | None,
) -> np.ndarray:
    """x <- x A_j^T(y_j / A_j x) / A_j^T 1 in the pixels that subset j crosses; they start from 1.

    The others of the pixels that any subset crosses keep their value; those that none crosses are 0.
    """
    subsets = len(crossed)
    values = np.any(crossed, axis=0).astype(np.float32)
    estimate = filled(image, values)
    likelihood.set_num_subsets(subsets)
    likelihood.set_up(estimate)
    sensitivities = [likelihood.get_subset_sensitivity(index).as_array() for index in range(subsets)]
    for _ in range(iterations):
        for index, sensitivity in enumerate(sensitivities):
            ratio = likelihood.get_backprojection_of_acquisition_ratio(estimate, index).as_array()
            updated = (sensitivity > 0) & crossed[index]
            values = np.divide(values * ratio, sensitivity, out=values.copy(), where=updated)
            estimate.fill(values)
        if after_iteration:
            after_iteration()
    return values
