"""Products of a sparse matrix with many vectors at once, on the CPU."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
    n_columns: int

    @property
    def n_rows(self) -> int:
        return self.row_starts.size - 1

    @property
    def column_bits(self) -> int:
        return 8 * self.columns.itemsize


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
    # 32-bit numbers that are never negative are the same with a sign and without: no copy.
    same = matrix.indices.dtype == np.int32 and column_type is np.uint32
    return SparseRows(
        row_starts=matrix.indptr.astype(np.int64),
        columns=matrix.indices.view(column_type) if same else matrix.indices.astype(column_type),
        weights=np.ascontiguousarray(matrix.data, dtype=np.float32),
        n_columns=matrix.shape[1],
    )


def gather(rows: SparseRows, source: torch.Tensor) -> torch.Tensor:
    """The product (row, lane) of the matrix with ``source`` (column, lane), float32 in C order.

    Uses as many threads as torch does.
    Raises ValueError for a source of another layout, type or number of columns.
    """
    _require_source(rows, source)
    target = torch.empty((rows.n_rows, source.shape[1]), dtype=torch.float32)
    arrays = _addresses(rows.row_starts, rows.columns, rows.weights, source, target)
    for first_lane, n_lanes in _passes(source.shape[1]):
        kernel = weighted_sum(n_lanes, column_bits=rows.column_bits)
        _in_threads(kernel, rows.row_starts, *arrays, source.shape[1], target.shape[1], first_lane)
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
    target lanes are added.
    Raises ValueError for a source of another layout, type or number of columns, and where a shifted lane
    would lie outside the source: pad it.
    """
    _require_source(rows, source)
    if drifts.shape != rows.weights.shape:
        raise ValueError(f"{drifts.shape} drifts for {rows.weights.shape} entries")
    _require_lanes(drifts, shears, n_source_lanes=source.shape[1], n_target_lanes=n_target_lanes)
    target = torch.zeros((rows.n_rows, n_target_lanes), dtype=torch.float32)
    arrays = _addresses(rows.row_starts, rows.columns, rows.weights, drifts, source, target)
    for shear in shears:
        for first_lane, n_lanes in _passes(shear.n_lanes):
            _in_threads(
                sheared_sum(n_lanes, column_bits=rows.column_bits),
                rows.row_starts,
                *arrays, shear.slope, source.shape[1], target.shape[1],
                shear.source_lane + first_lane, shear.target_lane + first_lane,
            )  # fmt: skip
    return target


def _passes(n_lanes: int) -> list[tuple[int, int]]:
    """First lane and number of lanes of the fewest equal passes that registers can hold."""
    count = -(-n_lanes // MOST_LANES)
    if not count:
        return []
    edges = [n_lanes * index // count for index in range(count + 1)]
    return [(first, last - first) for first, last in itertools.pairwise(edges)]


def _in_threads(kernel: Callable[..., None], row_starts: np.ndarray, *arguments: object) -> None:
    """Run ``kernel(*arguments, first_row, last_row)`` on parts of equally many weights."""
    n_rows, n_threads = row_starts.size - 1, torch.get_num_threads()
    if n_threads == 1:
        kernel(*arguments, 0, n_rows)
        return
    equal = [row_starts[-1] * part // n_threads for part in range(1, n_threads)]
    edges = [0, *np.searchsorted(row_starts, equal).tolist(), n_rows]
    parts = [
        _pool(n_threads).submit(kernel, *arguments, first, last)
        for first, last in itertools.pairwise(edges)
    ]
    for part in parts:
        part.result()


@functools.cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads)


# A forked child has none of its parent's threads, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _require_source(rows: SparseRows, source: torch.Tensor) -> None:
    # The generated code checks nothing: it would read beyond the array.
    fits = source.dtype == torch.float32 and source.shape[:1] == (rows.n_columns,)
    if not fits or not source.is_contiguous():
        found = f"{source.dtype}, {tuple(source.shape)}, strides {source.stride()}"
        raise ValueError(f"expected C-ordered float32 of {rows.n_columns} columns; got {found}")


def _require_lanes(
    drifts: np.ndarray, shears: Sequence[Shear], *, n_source_lanes: int, n_target_lanes: int
) -> None:
    extremes = np.array([drifts.min(initial=0), drifts.max(initial=0)])
    for shear in shears:
        shifts = np.floor(np.float32(shear.slope) * extremes)
        first = shear.source_lane + int(shifts.min())
        last = shear.source_lane + int(shifts.max()) + shear.n_lanes  # beside the last lane
        filled = (shear.target_lane, shear.target_lane + shear.n_lanes)
        if first < 0 or last >= n_source_lanes or filled[0] < 0 or filled[1] > n_target_lanes:
            raise ValueError(
                f"{shear} reads lanes {first} to {last} of {n_source_lanes} and fills {n_target_lanes}; "
                "pad it"
            )


def _addresses(*arrays: np.ndarray | torch.Tensor) -> list[int]:
    """Where the elements of C-ordered arrays are; floats of anything but 32 bits are refused."""
    addresses = []
    for each in arrays:
        array = each.numpy() if isinstance(each, torch.Tensor) else each
        if not array.flags.c_contiguous or (array.dtype.kind == "f" and array.dtype != np.float32):
            found = f"{array.dtype}, strides {array.strides}"
            raise ValueError(f"expected a C-ordered array, floats of 32 bits; got {found}")
        addresses.append(array.ctypes.data)
    return addresses
