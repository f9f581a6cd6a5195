"""Ordered-subsets expectation maximisation (Hudson & Larkin, IEEE TMI 13:601, 1994)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
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
    after_iteration: Callable[[], object] | None = None,
) -> torch.Tensor:
    """Reconstruct prompts (slice, view, bin) into activity images (slice, y, x), all slices together.

    With a 3-D projector, prompts (plane, view, bin) become a volume (z, y, x).

    Subset j holds the views j, j + subsets, ...; subsets are visited in that order. They may differ in
    size by one view, since each has its own sensitivity. ``start`` defaults to ones. One subset gives
    MLEM, whose likelihood never falls. ``after_iteration`` is called after each, to show progress.

    A pixel is updated by the subsets of which a line crosses it, and is 0 where no line does: (P^T m)_j
    = 0, P without point spread. Through the tail of the point spread alone such pixels have a tiny
    sensitivity and hardly any effect on the expected prompts; where there is background, noise then
    multiplies them by the same large ratio in each update, without end.

    Raises ValueError for subsets or shapes that do not fit, and for prompts that are not finite.
    """
    updates = em_updates(prompts, model, subsets=subsets)
    image = updates.start(start)
    for _ in range(iterations):
        for step in updates.steps:
            image = step.update(image)
        if after_iteration:
            after_iteration()
    return image


@dataclass(frozen=True, kw_only=True)
class EMUpdates:
    """The EM updates of all subsets, in the order in which :func:`osem` makes them.

    ``seen`` (slice, y, x) marks the pixels that a line of response crosses.
    """

    steps: tuple[EMStep, ...]
    seen: torch.Tensor

    def start(self, image: torch.Tensor | None) -> torch.Tensor:
        """``image`` (slice, y, x), or ones, in the seen pixels; 0 elsewhere, which EM never changes."""
        if image is None:
            return self.seen.to(torch.float32)
        return torch.where(self.seen, image, 0.0)


def em_updates(prompts: torch.Tensor, model: AcquisitionModel, *, subsets: int) -> EMUpdates:
    """The updates for prompts (slice, view, bin).

    Raises:
        ValueError: as :func:`require_reconstructible`.
    """
    require_reconstructible(prompts, model, subsets=subsets)
    batch = prompts.shape[: prompts.ndim - len(model.projector.sinogram_shape)]
    prompts, model = prompts[..., model.projector.seen_bins], model.trimmed()
    steps = [_em_step(prompts, model.subset(index, subsets), index, subsets) for index in range(subsets)]
    seen = functools.reduce(torch.maximum, (step.inverse_sensitivity for step in steps)) > 0
    return EMUpdates(
        steps=tuple(
            replace(step, kept=_where_any(seen & (step.inverse_sensitivity == 0))) for step in steps
        ),
        seen=seen.expand(*batch, *model.projector.image_shape),
    )


def require_reconstructible(prompts: torch.Tensor, model: AcquisitionModel, *, subsets: int) -> None:
    """Refuse what no EM can reconstruct, whatever the engine.

    Raises:
        ValueError: there are no subsets, or more than views; there are no prompts; the model is neither
            that of each slice of ``prompts`` nor one that several share; a sinogram has values that are
            negative or not finite.
    """
    n_views = len(model.projector.views)
    if not 1 <= subsets <= n_views:
        raise ValueError(f"{subsets} subsets of {n_views} views")
    if not prompts.numel():
        raise ValueError(f"prompts {tuple(prompts.shape)} hold nothing to reconstruct")
    sinograms = {
        "prompts": prompts,
        "multiplicative factors": model.multiplicative,
        "background": model.background,
    }
    for name, values in sinograms.items():
        if values is None:
            continue
        sizes = zip(values.shape[::-1], prompts.shape[::-1], strict=False)
        shared = (own in (1, size) for own, size in sizes)
        if values.ndim > prompts.ndim or not all(shared):
            raise ValueError(f"prompts {tuple(prompts.shape)}, but a model of {tuple(values.shape)}")
        least, largest = (float(each) for each in torch.aminmax(values.detach()))
        # Written so that NaN, which aminmax hands on, fails.
        if not (least >= 0 and math.isfinite(largest)):
            raise ValueError(
                f"{name} range from {least:g} to {largest:g}, not from 0 to a finite number"
            )


@dataclass(frozen=True, kw_only=True)
class EMStep:
    """One subset of the data in the form y = m (P G x + a), in memory order for batched products.

    Then m cancels from the back-projected ratio m y / (m (P G x + a)). ``inverse_sensitivity`` is 0
    where no line of the subset crosses a pixel. ``kept`` marks the pixels that lines of other subsets
    cross and none of this one, if there are any: many subsets and gaps leave some.
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
    crossing = part.projector.adjoint(part.multiplicative)
    inverse_sensitivity = _quotient((crossing > 0).to(crossing.dtype), part.psf(crossing))
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
