"""Ordered-subsets expectation maximisation (Hudson & Larkin, IEEE TMI 13:601, 1994)."""

from __future__ import annotations

import torch

from quietpet.acquisition.model import AcquisitionModel, subset_views


def osem(
    prompts: torch.Tensor,
    model: AcquisitionModel,
    *,
    iterations: int,
    subsets: int,
    start: torch.Tensor | None = None,
) -> torch.Tensor:
    """Reconstruct prompts (slice, view, bin) into activity images (slice, y, x), all slices together.

    Subset j holds the views j, j + subsets, ...; subsets are visited in that order. They may differ in
    size by one view, since each has its own sensitivity. ``start`` defaults to ones; pixels that no
    subset sees stay 0. One subset gives MLEM.
    """
    parts = [_subset(prompts, model, index, subsets) for index in range(subsets)]
    image = _ones_like_images(prompts, model) if start is None else start
    for _ in range(iterations):
        for measured, part, sensitivity in parts:
            ratio = _ratio(measured, part.expected(image))
            image = _ratio(image * part.adjoint(ratio), sensitivity)
    return image


def _subset(
    prompts: torch.Tensor, model: AcquisitionModel, index: int, of: int
) -> tuple[torch.Tensor, AcquisitionModel, torch.Tensor]:
    """Prompts, model and sensitivity image of one subset, in memory order for batched products."""
    part = model.subset(index, of)
    sensitivity = part.adjoint(torch.ones_like(part.multiplicative))
    return subset_views(prompts, index, of), part, sensitivity


def _ones_like_images(prompts: torch.Tensor, model: AcquisitionModel) -> torch.Tensor:
    shape = (*prompts.shape[:-2], *model.projector.image_shape)
    return torch.ones(shape, dtype=torch.float32, device=prompts.device)


def _ratio(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """numerator / denominator, and 0 where the denominator is 0 (no line of response, no pixel)."""
    positive = denominator > 0
    # The inner choice keeps gradients finite where the outer one discards the value.
    return torch.where(positive, numerator / torch.where(positive, denominator, 1.0), 0.0)
