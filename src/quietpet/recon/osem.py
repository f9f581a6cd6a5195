"""Ordered-subsets expectation maximisation (Hudson & Larkin, IEEE TMI 13:601, 1994)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch

from quietpet.acquisition.model import AcquisitionModel, subset_views
from quietpet.projection.linear_map import leading_axes_fastest

LEAST_PROJECTION = 1e-20
"""Stands for projections of zero in ratios: lines that miss the image, whose ratio nobody reads."""


def osem(
    prompts: torch.Tensor,
    model: AcquisitionModel,
    *,
    iterations: int,
    subsets: int,
    start: torch.Tensor | None = None,
) -> torch.Tensor:
    """Reconstruct prompts (slice, view, bin) into activity images (slice, y, x), all slices together.

    With a 3-D projector, prompts (plane, view, bin) become a volume (z, y, x).

    Subset j holds the views j, j + subsets, ...; subsets are visited in that order. They may differ in
    size by one view, since each has its own sensitivity. ``start`` defaults to ones; pixels that no
    subset sees become 0, those that one subset does not see keep their value in its update. One subset
    gives MLEM, whose likelihood never falls.
    """
    steps = em_steps(prompts, model, subsets=subsets)
    image = uniform_images(prompts, model) if start is None else start
    for _ in range(iterations):
        for step in steps:
            image = step.update(image)
    return image


def em_steps(prompts: torch.Tensor, model: AcquisitionModel, *, subsets: int) -> list[EMStep]:
    """The EM updates of all subsets, in the order in which :func:`osem` makes them.

    Raises:
        ValueError: there are no subsets, or more than views; the model is neither that of each slice of
            ``prompts`` nor one that several share.
    """
    if not 1 <= subsets <= len(model.projector.views):
        raise ValueError(f"{subsets} subsets of {len(model.projector.views)} views")
    modelled = model.multiplicative.shape
    shared = (own in (1, size) for own, size in zip(modelled[::-1], prompts.shape[::-1], strict=False))
    if len(modelled) > prompts.ndim or not all(shared):
        raise ValueError(f"prompts {tuple(prompts.shape)}, but a model of {tuple(modelled)}")
    prompts, model = prompts[..., model.projector.seen_bins], model.trimmed()
    steps = [_em_step(prompts, model.subset(index, subsets), index, subsets) for index in range(subsets)]
    seen = functools.reduce(torch.maximum, (step.inverse_sensitivity for step in steps)) > 0
    return [replace(step, kept=_where_any(seen & (step.inverse_sensitivity == 0))) for step in steps]


def uniform_images(prompts: torch.Tensor, model: AcquisitionModel) -> torch.Tensor:
    """Images (slice, y, x) of ones, one for each slice of ``prompts``."""
    projector = model.projector
    batch = prompts.shape[: prompts.ndim - len(projector.sinogram_shape)]
    return torch.ones((*batch, *projector.image_shape), dtype=torch.float32, device=prompts.device)


@dataclass(frozen=True, kw_only=True)
class EMStep:
    """One subset of the data in the form y = m (P G x + a), in memory order for batched products.

    Then m cancels from the back-projected ratio m y / (m (P G x + a)). ``kept`` marks the pixels that
    other subsets see and this one does not, if there are any: many subsets and gaps leave some.
    """

    model: AcquisitionModel
    measured: torch.Tensor
    additive: torch.Tensor | None
    inverse_sensitivity: torch.Tensor
    kept: torch.Tensor | None = None

    def update(self, image: torch.Tensor) -> torch.Tensor:
        """x <- x / (G P^T m) * G P^T [y / (P G x + a)]."""
        projector, psf = self.model.projector, self.model.psf
        projection = projector.forward(psf(image))
        if self.additive is not None:
            projection = projection.add_(self.additive)
        ratio = self.measured / projection.clamp_min_(LEAST_PROJECTION)
        # In place where possible: memory traffic is the limit.
        factor = psf(projector.adjoint(ratio)).mul_(self.inverse_sensitivity)
        if self.kept is not None:
            factor = torch.where(self.kept, 1.0, factor)
        return factor.mul_(image)


def _em_step(prompts: torch.Tensor, part: AcquisitionModel, index: int, of: int) -> EMStep:
    sensitivity = part.adjoint(torch.ones_like(part.multiplicative))
    inverse_sensitivity = _quotient(torch.ones_like(sensitivity), sensitivity)
    seen = part.multiplicative > 0
    measured = torch.where(seen, subset_views(prompts, index, of), 0.0)
    additive = None if part.background is None else _quotient(part.background, part.multiplicative)
    return EMStep(
        model=part,
        measured=leading_axes_fastest(measured, 2),
        additive=None if additive is None else leading_axes_fastest(additive, 2),
        inverse_sensitivity=leading_axes_fastest(inverse_sensitivity, 2),
    )


def _where_any(mask: torch.Tensor) -> torch.Tensor | None:
    return mask if mask.any() else None


def _quotient(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """numerator / denominator, and 0 where the denominator is 0 (no line of response, no pixel)."""
    positive = denominator > 0
    return torch.where(positive, numerator / torch.where(positive, denominator, 1.0), 0.0)
