"""Sparse matrix times many vectors on the CPU, at the speed of the caches.

One row of the product is the weighted sum of the rows of ``source`` that the matrix row names. All
vectors ("lanes": slices, or planes) of a row stay in vector registers while its weights stream by, so
that each weight costs one load per eight lanes and nothing is stored before the row is complete. General
libraries keep the partial sums in memory; they reach a third of this (``benchmarks/projectors.py``).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from scipy import sparse

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


def sparse_rows(matrix: sparse.csr_array) -> SparseRows:
    """The float32 rows of a scipy matrix."""
    column_type = np.uint16 if matrix.shape[1] <= 2**16 else np.uint32
    return SparseRows(
        row_starts=matrix.indptr.astype(np.int64),
        columns=matrix.indices.astype(column_type),
        weights=np.ascontiguousarray(matrix.data, dtype=np.float32),
    )


def gather(rows: SparseRows, source: torch.Tensor) -> torch.Tensor:
    """The product (row, lane) of the matrix with ``source`` (column, lane), float32 in memory order.

    Uses as many threads as torch does.
    """
    target = torch.empty((rows.n_rows, source.shape[1]), dtype=torch.float32)
    n_lanes = source.shape[1]
    passes = -(-n_lanes // MOST_LANES)
    edges = [n_lanes * index // passes for index in range(passes + 1)]
    for first, last in itertools.pairwise(edges):
        _in_threads(
            _gather_kernel(last - first),
            rows.row_starts,
            rows.columns, rows.weights, source.numpy(), target.numpy(), first,
        )  # fmt: skip
    return target


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
    weighted_sum = _weighted_sum(lanes)

    @numba.njit(nogil=True)
    def kernel(row_starts, columns, weights, source, target, first_lane, first_row, last_row):
        for row in range(first_row, last_row):
            weighted_sum(
                source, columns, weights, row_starts[row], row_starts[row + 1], target, row, first_lane
            )

    return kernel


def _weighted_sum(lanes: int) -> Callable[..., None]:
    """A numba function: target[row, lane:] = sum of weights[entry] * source[columns[entry], lane:]."""
    registers = _registers(lanes)

    @intrinsic
    def weighted_sum(_, source, columns, weights, first, last, target, row, lane):
        signature = types.void(source, columns, weights, first, last, target, row, lane)

        def generate(context, builder, signature, arguments):
            arrays = {
                name: context.make_array(signature.args[position])(context, builder, arguments[position])
                for name, position in {"source": 0, "columns": 1, "weights": 2, "target": 5}.items()
            }
            _, _, _, first, last, _, row, lane = arguments
            index = first.type

            def place(array, at):
                """Pointer to lane ``lane`` of row ``at``."""
                n_lanes = cgutils.unpack_tuple(builder, arrays[array].shape)[1]
                return builder.gep(arrays[array].data, [builder.add(builder.mul(at, n_lanes), lane)])

            sums = [cgutils.alloca_once_value(builder, register.zero) for register in registers]
            with cgutils.for_range_slice(builder, first, last, index(1)) as (entry, _):
                column = builder.load(builder.gep(arrays["columns"].data, [entry]))
                values = place("source", builder.zext(column, index))
                weight = builder.load(builder.gep(arrays["weights"].data, [entry]))
                for total, register in zip(sums, registers, strict=True):
                    product = register.multiply_add(
                        builder, weight, register.load(builder, values), builder.load(total)
                    )
                    builder.store(product, total)
            result = place("target", row)
            for total, register in zip(sums, registers, strict=True):
                register.store(builder, builder.load(total), result)
            return context.get_dummy_value()

        return signature, generate

    return weighted_sum


@dataclass(frozen=True, kw_only=True)
class _Register:
    """``width`` consecutive float32 lanes from ``offset``, held in one vector register."""

    offset: int
    width: int

    @property
    def vector(self) -> ir.VectorType:
        return ir.VectorType(ir.FloatType(), self.width)

    @property
    def zero(self) -> ir.Constant:
        return ir.Constant(self.vector, None)

    def load(self, builder: ir.IRBuilder, values: ir.Value) -> ir.Value:
        return builder.load(self._pointer(builder, values), align=4)

    def store(self, builder: ir.IRBuilder, lanes: ir.Value, values: ir.Value) -> None:
        builder.store(lanes, self._pointer(builder, values), align=4)

    def multiply_add(
        self, builder: ir.IRBuilder, weight: ir.Value, lanes: ir.Value, total: ir.Value
    ) -> ir.Value:
        """weight * lanes + total, rounded once."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        one_lane = builder.insert_element(undefined, weight, ir.IntType(32)(0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.width), None)
        weights = builder.shuffle_vector(one_lane, undefined, everywhere)
        fused = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(self.vector, [self.vector] * 3),
            f"llvm.fma.v{self.width}f32",
        )
        return builder.call(fused, [weights, lanes, total])

    def _pointer(self, builder: ir.IRBuilder, values: ir.Value) -> ir.Value:
        first = builder.gep(values, [ir.IntType(64)(self.offset)])
        return builder.bitcast(first, self.vector.as_pointer())


def _registers(lanes: int) -> tuple[_Register, ...]:
    """Registers of eight lanes, then of four, two and one, until all lanes are held."""
    registers, offset = [], 0
    for width in (8, 4, 2, 1):
        while lanes - offset >= width:
            registers.append(_Register(offset=offset, width=width))
            offset += width
    return tuple(registers)
