"""OSEM by STIR itself: its reconstructor where its subsets allow, its objective function elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.projection.sirf import SirfProjector, engine, filled, in_blocks


def sirf_osem(
    prompts: torch.Tensor, model: AcquisitionModel, *, iterations: int, subsets: int
) -> torch.Tensor:
    """Reconstruct prompts (slice, view, bin) into activity images (slice, y, x) with SIRF.

    With a 3-D projector, prompts (plane, view, bin) become a volume (z, y, x).

    The same algorithm, subsets and start image as :func:`quietpet.recon.osem.osem`; ``model`` holds a
    :class:`~quietpet.projection.sirf.SirfProjector` of all views. The point spread is STIR's.

    Raises:
        InputError: STIR refused or failed.
    """
    projector = model.projector
    if not isinstance(projector, SirfProjector):
        raise TypeError(f"sirf_osem reconstructs with a SirfProjector, not {type(projector).__name__}")
    batch_shape = prompts.shape[: prompts.ndim - len(projector.sinogram_shape)]
    data = [
        None if each is None else each.expand(prompts.shape).reshape(-1, *projector.sinogram_shape)
        for each in (prompts, model.multiplicative, model.background)
    ]
    images = []
    for start in range(0, len(data[0]), projector.per_call):
        measured, factors, background = (
            None if each is None else each[start : start + projector.per_call] for each in data
        )
        likelihood = _likelihood(
            projector,
            prompts=measured,
            multiplicative=factors,
            background=background,
            fwhm_mm=model.psf.fwhm_mm,
        )
        update = _by_reconstructor if stir_accepts(subsets, len(projector.views)) else _by_hand
        with engine().doing(f"reconstructing with {subsets} subsets"):
            image = update(likelihood, projector.image, iterations=iterations, subsets=subsets)
        images.append(image.reshape(-1, *projector.image_shape)[: len(measured)])
    joined = torch.from_numpy(np.concatenate(images)).to(prompts.device)
    return joined.reshape(*batch_shape, *projector.image_shape)


def stir_accepts(subsets: int, n_views: int) -> bool:
    """Whether STIR's OSMAPOSL takes this many subsets: they must hold equally many views.

    This is so with the view symmetries of the matrix off, as they are here; with them on, STIR takes
    fewer still. It refuses only after computing the sensitivities, hence the question beforehand.
    """
    return n_views % subsets == 0


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


def _by_reconstructor(likelihood: Any, image: Any, *, iterations: int, subsets: int) -> np.ndarray:
    """OSMAPOSL without a prior: OSEM, in which pixels that one subset does not see become 0."""
    estimate = image.get_uniform_copy(1.0)
    reconstructor = engine().stir.OSMAPOSLReconstructor()
    reconstructor.set_objective_function(likelihood)
    reconstructor.set_num_subsets(subsets)
    reconstructor.set_num_subiterations(subsets * iterations)
    reconstructor.set_up(estimate)
    reconstructor.set_current_estimate(estimate)
    reconstructor.process()
    seen = sum(likelihood.get_subset_sensitivity(index).as_array() for index in range(subsets)) > 0
    return np.where(seen, reconstructor.get_output().as_array(), np.float32(0))


def _by_hand(likelihood: Any, image: Any, *, iterations: int, subsets: int) -> np.ndarray:
    """x <- x A_j^T(y_j / A_j x) / A_j^T 1 for subsets of unequal size, with STIR's operators."""
    estimate = image.get_uniform_copy(1.0)
    likelihood.set_num_subsets(subsets)
    likelihood.set_up(estimate)
    sensitivities = [likelihood.get_subset_sensitivity(index).as_array() for index in range(subsets)]
    seen = sum(sensitivities) > 0
    values = estimate.as_array()
    for _ in range(iterations):
        for index, sensitivity in enumerate(sensitivities):
            ratio = likelihood.get_backprojection_of_acquisition_ratio(estimate, index).as_array()
            kept = np.where(seen, values, np.float32(0))
            values = np.divide(values * ratio, sensitivity, out=kept, where=sensitivity > 0)
            estimate.fill(values)
    return values
