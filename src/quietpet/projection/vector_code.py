"""Machine code for sums over the entries of a sparse row, all lanes kept in vector registers.

"Lanes" are what one row of a sparse product is computed for at once: slices of a batch, or planes of a
volume. Each entry of the row costs one load and one fused multiply-add per eight lanes, and nothing is
stored before the row is complete. The functions are generated with LLVM's builder because neither numba
nor a C compiler keeps an array of sums in registers by itself; general libraries, which keep the sums in
memory, reach a third of the speed (``benchmarks/projectors.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

INDEX = ir.IntType(64)
FLOAT = ir.FloatType()
Term = tuple[ir.Value, ir.Value]
"""Pointer to the first lane of a vector, and the weight it is added with."""


def weighted_sum(lanes: int) -> Callable[..., None]:
    """A function for numba that sums rows of ``source`` into one row of ``target``.

    target[row, lane:] = sum over entries first <= e < last of weights[e] * source[columns[e], lane:],
    for ``lanes`` lanes, all arrays in C order.
    """
    registers = _registers(lanes)

    @intrinsic
    def sum_entries(_, source, columns, weights, first, last, target, row, lane):
        signature = types.void(source, columns, weights, first, last, target, row, lane)

        def generate(context, builder, signature, arguments):
            source, columns, weights, target = _arrays(
                context, builder, signature, arguments, positions=(0, 1, 2, 5)
            )
            _, _, _, first, last, _, row, lane = arguments

            def terms(entry: ir.Value) -> list[Term]:
                column = builder.zext(columns.load(entry), INDEX)
                return [(source.pointer(column, lane), weights.load(entry))]

            sums = [cgutils.alloca_once_value(builder, register.zero) for register in registers]
            _add_terms(builder, registers, sums, first, last, terms)
            _store(builder, registers, sums, target.pointer(row, lane))
            return context.get_dummy_value()

        return signature, generate

    return sum_entries


def sheared_sum(lanes: int) -> Callable[..., None]:
    """Like :func:`weighted_sum`, with a shift along the lanes that differs from entry to entry.

    target[row, target_lane:] += sum over entries of weights[e] * source[columns[e], source_lane + t:],
    where t = slope * drifts[e] and ``source`` is interpolated linearly between its lanes.
    """
    registers = _registers(lanes)

    @intrinsic
    def sum_entries(
        _, source, columns, weights, drifts, first, last, slope, source_lane, target, row, target_lane
    ):
        signature = types.void(
            source, columns, weights, drifts, first, last, slope, source_lane, target, row, target_lane
        )

        def generate(context, builder, signature, arguments):
            source, columns, weights, drifts, target = _arrays(
                context, builder, signature, arguments, positions=(0, 1, 2, 3, 8)
            )
            _, _, _, _, first, last, slope, source_lane, _, row, target_lane = arguments
            floor = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(FLOAT, [FLOAT]), "llvm.floor.f32"
            )

            def terms(entry: ir.Value) -> list[Term]:
                shift = builder.fmul(slope, drifts.load(entry))
                whole = builder.call(floor, [shift])
                fraction = builder.fsub(shift, whole)
                lane = builder.add(source_lane, builder.fptosi(whole, INDEX))
                column = builder.zext(columns.load(entry), INDEX)
                here = source.pointer(column, lane)
                weight = weights.load(entry)
                upper = builder.fmul(weight, fraction)
                return [
                    (here, builder.fsub(weight, upper)),
                    (builder.gep(here, [INDEX(1)]), upper),
                ]

            place = target.pointer(row, target_lane)
            sums = [
                cgutils.alloca_once_value(builder, register.load(builder, place))
                for register in registers
            ]
            _add_terms(builder, registers, sums, first, last, terms)
            _store(builder, registers, sums, place)
            return context.get_dummy_value()

        return signature, generate

    return sum_entries


@dataclass(frozen=True, kw_only=True)
class _Register:
    """``width`` consecutive float32 lanes from ``offset``, held in one vector register."""

    offset: int
    width: int

    @property
    def vector(self) -> ir.VectorType:
        return ir.VectorType(FLOAT, self.width)

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
        first = builder.gep(values, [INDEX(self.offset)])
        return builder.bitcast(first, self.vector.as_pointer())


def _registers(lanes: int) -> tuple[_Register, ...]:
    """Registers of eight lanes, then of four, two and one, until all lanes are held."""
    registers, offset = [], 0
    for width in (8, 4, 2, 1):
        while lanes - offset >= width:
            registers.append(_Register(offset=offset, width=width))
            offset += width
    return tuple(registers)


@dataclass(frozen=True, kw_only=True)
class _Array:
    """A C-ordered numpy array inside generated code."""

    builder: ir.IRBuilder
    data: ir.Value
    row_length: ir.Value

    def load(self, index: ir.Value) -> ir.Value:
        return self.builder.load(self.builder.gep(self.data, [index]))

    def pointer(self, row: ir.Value, lane: ir.Value) -> ir.Value:
        start = self.builder.mul(row, self.row_length)
        return self.builder.gep(self.data, [self.builder.add(start, lane)])


def _arrays(context, builder, signature, arguments, *, positions: Sequence[int]) -> list[_Array]:
    """The arguments at ``positions`` as arrays."""
    arrays = []
    for position in positions:
        struct = context.make_array(signature.args[position])(context, builder, arguments[position])
        row_length = cgutils.unpack_tuple(builder, struct.shape)[-1]
        arrays.append(_Array(builder=builder, data=struct.data, row_length=row_length))
    return arrays


def _add_terms(
    builder: ir.IRBuilder,
    registers: Sequence[_Register],
    sums: Sequence[ir.Value],
    first: ir.Value,
    last: ir.Value,
    terms: Callable[[ir.Value], list[Term]],
) -> None:
    """The loop: add the terms of every entry to the sums."""
    with cgutils.for_range_slice(builder, first, last, INDEX(1)) as (entry, _):
        for values, weight in terms(entry):
            for register, total in zip(registers, sums, strict=True):
                lanes = register.load(builder, values)
                added = register.multiply_add(builder, weight, lanes, builder.load(total))
                builder.store(added, total)


def _store(
    builder: ir.IRBuilder, registers: Sequence[_Register], sums: Sequence[ir.Value], place: ir.Value
) -> None:
    for register, total in zip(registers, sums, strict=True):
        register.store(builder, builder.load(total), place)
