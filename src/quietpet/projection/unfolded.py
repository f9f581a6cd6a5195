"""Sheared products as ordinary sparse products, for GPUs.

Each column of the source becomes one column per whole shift, so that an entry with shift t turns into
two, at floor(t) and floor(t) + 1. That costs memory for the shifted copies of the source (one block of
lanes at a time), which a GPU has bandwidth for, and leaves the work to the vendor's sparse library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from quietpet.projection.gather import Shear
from quietpet.projection.sparse_map import csr_tensor


@dataclass(frozen=True, kw_only=True)
class UnfoldedShear:
    """A sheared block: ``matrix`` (row, shift * column), its shifts counted from ``least_shift``."""

    shear: Shear
    matrix: torch.Tensor
    least_shift: int
    n_shifts: int

    def add_to(self, target: torch.Tensor, source: torch.Tensor) -> None:
        """Add the block of the product with ``source`` (column, lane) to ``target`` (row, lane).

        Raises ValueError when the shifts lead beyond the lanes of ``source``.
        """
        shear = self.shear
        first = shear.source_lane + self.least_shift
        last = first + self.n_shifts + shear.n_lanes - 1  # beside the last lane
        if first < 0 or last > source.shape[1]:
            raise ValueError(f"{shear} reads lanes {first} to {last} of {source.shape[1]}")
        windows = source.unfold(1, shear.n_lanes, 1)[:, first : first + self.n_shifts]
        shifted_copies = windows.movedim(1, 0).reshape(-1, shear.n_lanes)
        block = slice(shear.target_lane, shear.target_lane + shear.n_lanes)
        target[:, block] += self.matrix @ shifted_copies


def unfold_shears(
    matrix: sparse.csr_array, drifts: np.ndarray, shears: Sequence[Shear], device: torch.device
) -> tuple[UnfoldedShear, ...]:
    """The blocks of the product of ``matrix`` (row, column), whose entries have ``drifts`` (entry,)."""
    return tuple(_unfold(matrix, drifts, shear, device) for shear in shears)


def sum_unfolded(
    blocks: Sequence[UnfoldedShear], source: torch.Tensor, *, n_target_lanes: int
) -> torch.Tensor:
    """The whole product (row, lane) with ``source`` (column, lane)."""
    n_rows = blocks[0].matrix.shape[0]
    target = torch.zeros((n_rows, n_target_lanes), dtype=torch.float32, device=source.device)
    for block in blocks:
        block.add_to(target, source)
    return target


def _unfold(
    matrix: sparse.csr_array, drifts: np.ndarray, shear: Shear, device: torch.device
) -> UnfoldedShear:
    shift = np.float32(shear.slope) * drifts
    whole = np.floor(shift)
    fraction = shift - whole
    least = int(whole.min(initial=0))
    n_shifts = int(whole.max(initial=0)) + 2 - least
    n_rows, n_columns = matrix.shape
    row = np.repeat(np.arange(n_rows), np.diff(matrix.indptr))
    column = (whole.astype(np.int64) - least) * n_columns + matrix.indices
    unfolded = sparse.csr_array(
        (
            np.concatenate([matrix.data * (1 - fraction), matrix.data * fraction]),
            (np.tile(row, 2), np.concatenate([column, column + n_columns])),
        ),
        shape=(n_rows, n_shifts * n_columns),
    )
    unfolded.eliminate_zeros()
    return UnfoldedShear(
        shear=shear, matrix=csr_tensor(unfolded, device), least_shift=least, n_shifts=n_shifts
    )
