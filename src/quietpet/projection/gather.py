"""Products of a sparse matrix with many vectors at once, on the CPU."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import torch
from scipy import sparse

from quietpet.projection.vector_code import sheared_sum, weighted_sum

MOST_LANES = 96
"""Lanes of one pass: twelve of the sixteen 256-bit registers of x86-64."""


@dataclass(frozen=True, kw_only=True)
class SparseRows:
    """A sparse matrix (row, column) in compressed rows, with column numbers as small as they can be."""

    row_starts: np.ndarray
    columns: np.ndarray
    weights: np.ndarray

    @property
    def n_rows(self) -> int:
        return self.row_starts.size - 1


@dataclass(frozen=True, kw_only=True)
class Shear:
    """Where one block of lanes of a sheared product comes from and goes to.

    Lane i of the block, ``target_lane + i`` of the target, is gathered from lane
    ``source_lane + i + slope * drift`` of the source; ``drift`` belongs to the entry of the matrix.
    """

    slope: float
    source_lane: int
    target_lane: int
    n_lanes: int


def sparse_rows(matrix: sparse.csr_array) -> SparseRows:
    """The float32 rows of a scipy matrix."""
    column_type = np.uint16 if matrix.shape[1] <= 2**16 else np.uint32
    return SparseRows(
        row_starts=matrix.indptr.astype(np.int64),
        columns=matrix.indices.astype(column_type),
        weights=np.ascontiguousarray(matrix.data, dtype=np.float32),
    )


def gather(rows: SparseRows, source: torch.Tensor) -> torch.Tensor:
    """The product (row, lane) of the matrix with ``source`` (column, lane), float32 in C order.

    Uses as many threads as torch does.
    """
    target = torch.empty((rows.n_rows, source.shape[1]), dtype=torch.float32)
    for first_lane, n_lanes in _passes(source.shape[1]):
        _in_threads(
            _gather_kernel(n_lanes),
            rows.row_starts,
            rows.columns, rows.weights, source.numpy(), target.numpy(), first_lane,
        )  # fmt: skip
    return target


def gather_sheared(
    rows: SparseRows,
    drifts: np.ndarray,
    source: torch.Tensor,
    shears: Sequence[Shear],
    *,
    n_target_lanes: int,
) -> torch.Tensor:
    """The product (row, lane) in which every entry shifts ``source`` (column, lane) along the lanes.

    ``drifts`` (entry,) float32 belong to the entries of the matrix. Blocks of ``shears`` that share
    target lanes are added. No shifted lane may lie outside the source: pad it.
    """
    target = torch.zeros((rows.n_rows, n_target_lanes), dtype=torch.float32)
    for shear in shears:
        for first_lane, n_lanes in _passes(shear.n_lanes):
            _in_threads(
                _sheared_kernel(n_lanes),
                rows.row_starts,
                rows.columns, rows.weights, drifts, source.numpy(), target.numpy(),
                np.float32(shear.slope), shear.source_lane + first_lane, shear.target_lane + first_lane,
            )  # fmt: skip
    return target


def _passes(n_lanes: int) -> list[tuple[int, int]]:
    """First lane and number of lanes of the fewest equal passes that registers can hold."""
    count = -(-n_lanes // MOST_LANES)
    edges = [n_lanes * index // count for index in range(count + 1)]
    return [(first, last - first) for first, last in itertools.pairwise(edges)]


def _in_threads(kernel: Callable[..., None], row_starts: np.ndarray, *arguments: object) -> None:
    """Run ``kernel(row_starts, *arguments, first_row, last_row)`` on parts of equally many weights."""
    n_rows, n_threads = row_starts.size - 1, torch.get_num_threads()
    if n_threads == 1:
        kernel(row_starts, *arguments, 0, n_rows)
        return
    equal = [row_starts[-1] * part // n_threads for part in range(1, n_threads)]
    edges = [0, *np.searchsorted(row_starts, equal).tolist(), n_rows]
    parts = [
        _pool(n_threads).submit(kernel, row_starts, *arguments, first, last)
        for first, last in itertools.pairwise(edges)
    ]
    for part in parts:
        part.result()


@functools.cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads)


@functools.cache
def _gather_kernel(lanes: int) -> Callable[..., None]:
    """Machine code for this number of lanes; made in a fraction of a second, so never stored."""
    sum_entries = weighted_sum(lanes)

    @numba.njit(nogil=True)
    def kernel(row_starts, columns, weights, source, target, first_lane, first_row, last_row):
        for row in range(first_row, last_row):
            sum_entries(
                source, columns, weights, row_starts[row], row_starts[row + 1], target, row, first_lane
            )

    return kernel


@functools.cache
def _sheared_kernel(lanes: int) -> Callable[..., None]:
    """As :func:`_gather_kernel`, for sheared sources."""
    sum_entries = sheared_sum(lanes)

    @numba.njit(nogil=True)
    def kernel(
        row_starts, columns, weights, drifts, source, target,
        slope, source_lane, target_lane, first_row, last_row,
    ):  # fmt: skip
        for row in range(first_row, last_row):
            sum_entries(
                source, columns, weights, drifts, row_starts[row], row_starts[row + 1],
                slope, source_lane, target, row, target_lane,
            )  # fmt: skip

    return kernel
