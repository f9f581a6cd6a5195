"""The Bowsher prior: smooth the activity among neighbours that look alike in an anatomical image.

Bowsher et al. (IEEE NSS-MIC 2004, 2488): of the pixels around each one only those few count whose
anatomical signal is closest to its own, all with weight 1.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch.nn.functional import pad

from quietpet.projection.sparse_map import SparseMap
from quietpet.recon.map_em import QuadraticPrior


def bowsher_prior(
    anatomy: torch.Tensor, *, neighbours: int, radius_pixels: int, tolerance: float, symmetric: bool
) -> QuadraticPrior:
    """The prior of anatomical images (slice, y, x), any unit, on their device.

    ``neighbours``, ``radius_pixels`` and ``tolerance`` are those of :func:`most_similar`. ``symmetric``
    makes w_jk the mean of what j and k choose, which has an objective; otherwise w_jk is the choice of j
    alone (Vunckx & Nuyts, IEEE NSS-MIC 2010, 3262).
    """
    chosen, inside = most_similar(
        anatomy, neighbours=neighbours, radius_pixels=radius_pixels, tolerance=tolerance
    )
    n_slices, rows, columns = anatomy.shape
    # From (slice, y, x) to the order in memory, (y, x, slice).
    position = np.moveaxis(np.arange(anatomy.numel()).reshape(rows, columns, n_slices), -1, 0).ravel()
    chosen, inside = (np.moveaxis(each, 0, 2) for each in (chosen, inside))
    starts = np.concatenate([[0], np.cumsum(inside.reshape(-1, neighbours).sum(axis=1))])
    weights = sparse.csr_array(
        (np.ones(starts[-1], np.float32), position[chosen[inside]], starts), shape=(anatomy.numel(),) * 2
    )
    if symmetric:
        weights = sparse.csr_array((weights + weights.T) * np.float32(0.5))
    side_by_side = (rows, columns * n_slices)
    total = torch.from_numpy(weights.sum(axis=1, dtype=np.float32)).reshape(rows, columns, n_slices)
    return QuadraticPrior(
        neighbour_sum=SparseMap(
            weights, source_shape=side_by_side, target_shape=side_by_side, device=anatomy.device
        ),
        total=total.to(anatomy.device).movedim(-1, 0),
    )


def most_similar(
    anatomy: torch.Tensor, *, neighbours: int, radius_pixels: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of ``anatomy`` (slice, y, x) the ``neighbours`` most similar ones around it.

    Candidates are the (2 radius_pixels + 1)^2 - 1 pixels of the square around it. Differences of the
    signal are rounded to multiples of ``tolerance`` (in the unit of ``anatomy``), and of equal ones the
    nearer comes first: without it, rounding errors would choose among the pixels of one tissue.

    Returns flat indices into ``anatomy`` and whether they lie in the image (near a corner there may be
    too few), both (slice, y, x, neighbours).
    """
    offsets = _offsets_by_distance(radius_pixels)
    if neighbours > len(offsets):
        raise ValueError(f"{neighbours} neighbours do not fit in a radius of {radius_pixels} pixels")
    rows, columns = anatomy.shape[1:]
    framed = pad(anatomy, (radius_pixels,) * 4, value=torch.inf)
    differences = torch.stack(
        [
            (framed[:, radius_pixels + dy :, radius_pixels + dx :][:, :rows, :columns] - anatomy).abs()
            for dy, dx in offsets
        ],
        dim=-1,
    )
    # One whole number orders by rounded difference first and by distance second.
    steps = (differences.double() / tolerance).round()
    order = steps * len(offsets) + torch.arange(len(offsets), device=anatomy.device)
    best = order.topk(neighbours, dim=-1, largest=False)
    jumps = torch.tensor([dy * columns + dx for dy, dx in offsets], device=anatomy.device)
    own = torch.arange(anatomy.numel(), device=anatomy.device).reshape(anatomy.shape)
    chosen = own[..., None] + jumps[best.indices]
    return chosen.cpu().numpy(), torch.isfinite(best.values).cpu().numpy()


def _offsets_by_distance(radius_pixels: int) -> list[tuple[int, int]]:
    steps = range(-radius_pixels, radius_pixels + 1)
    offsets = [(dy, dx) for dy in steps for dx in steps if (dy, dx) != (0, 0)]
    return sorted(offsets, key=lambda offset: offset[0] ** 2 + offset[1] ** 2)
