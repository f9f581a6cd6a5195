"""Machine code for sums over the entries of sparse rows, all lanes kept in vector registers.

"Lanes" are what one row of a sparse product is computed for at once: slices of a batch, or planes of a
volume. Each entry of the row costs one load and one fused multiply-add per eight lanes, and nothing is
stored before the row is complete. The functions are generated with LLVM's builder because neither numba
nor a C compiler keeps an array of sums in registers by itself; general libraries, which keep the sums in
memory, reach a third of the speed (``benchmarks/projectors.py``). LLVM alone compiles one in 0.02 s;
through numba the first would take 0.8 s, of every process.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import binding, ir

INDEX = ir.IntType(64)
FLOAT = ir.FloatType()
Term = tuple[ir.Value, ir.Value]
"""Pointer to the first lane of a vector, and the weight it is added with."""

_CType = type[ctypes.c_int64 | ctypes.c_float | ctypes.c_void_p]
_CTYPES: dict[ir.Type, _CType] = {INDEX: ctypes.c_int64, FLOAT: ctypes.c_float}


@functools.cache
def weighted_sum(lanes: int, *, column_bits: int) -> Callable[..., None]:
    """A function that sums rows of ``source`` into rows of ``target``; it runs without Python's lock.

    Arguments: addresses of row_starts (int64), columns (unsigned, ``column_bits`` wide), weights, source
    and target (float32); lanes in a row of source and of target; lane, first_row, last_row. For every
    row in first_row <= r < last_row,

    target[r, lane:] = sum over row_starts[r] <= e < row_starts[r + 1] of
                       weights[e] * source[columns[e], lane:],

    for ``lanes`` lanes, all arrays in C order.
    """
    function, arguments = _function(
        arrays=(INDEX, ir.IntType(column_bits), FLOAT, FLOAT, FLOAT), numbers=(INDEX,) * 5
    )
    row_starts, columns, weights, source, target, *numbers = arguments
    source_lanes, target_lanes, lane, first_row, last_row = numbers

    def terms(builder: ir.IRBuilder, entry: ir.Value) -> list[Term]:
        column = builder.zext(_load(builder, columns, entry), INDEX)
        values = _pointer(builder, source, source_lanes, column, lane)
        return [(values, _load(builder, weights, entry))]

    return _sum_rows(
        function,
        _registers(lanes),
        row_starts=row_starts,
        rows=(first_row, last_row),
        place=lambda builder, row: _pointer(builder, target, target_lanes, row, lane),
        terms=terms,
        accumulate=False,
    )


@functools.cache
def sheared_sum(lanes: int, *, column_bits: int) -> Callable[..., None]:
    """Like :func:`weighted_sum`, with a shift along the lanes that differs from entry to entry.

    Arguments: addresses of row_starts, columns, weights, drifts (float32), source and target; slope
    (float); lanes in a row of source and of target; source_lane, target_lane, first_row, last_row.

    target[r, target_lane:] += sum over the entries e of row r of
                               weights[e] * source[columns[e], source_lane + t:],

    where t = slope * drifts[e] and ``source`` is interpolated linearly between its lanes.
    """
    function, arguments = _function(
        arrays=(INDEX, ir.IntType(column_bits), FLOAT, FLOAT, FLOAT, FLOAT),
        numbers=(FLOAT, *(INDEX,) * 6),
    )
    row_starts, columns, weights, drifts, source, target, slope, *numbers = arguments
    source_lanes, target_lanes, source_lane, target_lane, first_row, last_row = numbers
    floor = ir.Function(function.module, ir.FunctionType(FLOAT, [FLOAT]), "llvm.floor.f32")

    def terms(builder: ir.IRBuilder, entry: ir.Value) -> list[Term]:
        shift = builder.fmul(slope, _load(builder, drifts, entry))
        whole = builder.call(floor, [shift])
        fraction = builder.fsub(shift, whole)
        lane = builder.add(source_lane, builder.fptosi(whole, INDEX))
        column = builder.zext(_load(builder, columns, entry), INDEX)
        here = _pointer(builder, source, source_lanes, column, lane)
        weight = _load(builder, weights, entry)
        upper = builder.fmul(weight, fraction)
        return [(here, builder.fsub(weight, upper)), (builder.gep(here, [INDEX(1)]), upper)]

    return _sum_rows(
        function,
        _registers(lanes),
        row_starts=row_starts,
        rows=(first_row, last_row),
        place=lambda builder, row: _pointer(builder, target, target_lanes, row, target_lane),
        terms=terms,
        accumulate=True,
    )


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
        """weight * lanes + total, rounded once where the processor can.

        ``llvm.fma`` would always round once, by a library call per lane where there is no instruction.
        """
        undefined = ir.Constant(self.vector, ir.Undefined)
        one_lane = builder.insert_element(undefined, weight, ir.IntType(32)(0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.width), None)
        weights = builder.shuffle_vector(one_lane, undefined, everywhere)
        name = f"llvm.fmuladd.v{self.width}f32"
        fused = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(self.vector, [self.vector] * 3), name
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


def _function(
    *, arrays: Sequence[ir.Type], numbers: Sequence[ir.Type]
) -> tuple[ir.Function, Sequence[ir.Value]]:
    """An empty function, in a module of its own, of the addresses of arrays and of numbers."""
    pointers = [element.as_pointer() for element in arrays]
    kind = ir.FunctionType(ir.VoidType(), [*pointers, *numbers])
    function = ir.Function(ir.Module(), kind, "sum_rows")
    return function, function.args


def _load(builder: ir.IRBuilder, array: ir.Value, index: ir.Value) -> ir.Value:
    return builder.load(builder.gep(array, [index]))


def _pointer(
    builder: ir.IRBuilder, array: ir.Value, row_length: ir.Value, row: ir.Value, lane: ir.Value
) -> ir.Value:
    return builder.gep(array, [builder.add(builder.mul(row, row_length), lane)])


def _sum_rows(
    function: ir.Function,
    registers: Sequence[_Register],
    *,
    row_starts: ir.Value,
    rows: tuple[ir.Value, ir.Value],
    place: Callable[[ir.IRBuilder, ir.Value], ir.Value],
    terms: Callable[[ir.IRBuilder, ir.Value], list[Term]],
    accumulate: bool,
) -> Callable[..., None]:
    """The two loops: for every row, add the terms of its entries, and store the sums at its place."""
    first_row, last_row = rows
    enter, row_begins, entries, row_ends, leave = (function.append_basic_block() for _ in range(5))
    builder = ir.IRBuilder(enter)
    builder.cbranch(builder.icmp_signed("<", first_row, last_row), row_begins, leave)

    builder.position_at_end(row_begins)
    row = builder.phi(INDEX)
    first = _load(builder, row_starts, row)
    last = _load(builder, row_starts, builder.add(row, INDEX(1)))
    at = place(builder, row)
    begun = [register.load(builder, at) if accumulate else register.zero for register in registers]
    builder.cbranch(builder.icmp_signed("<", first, last), entries, row_ends)

    builder.position_at_end(entries)
    entry = builder.phi(INDEX)
    totals = [builder.phi(register.vector) for register in registers]
    sums: list[ir.Value] = list(totals)
    for values, weight in terms(builder, entry):
        sums = [
            register.multiply_add(builder, weight, register.load(builder, values), total)
            for register, total in zip(registers, sums, strict=True)
        ]
    next_entry = builder.add(entry, INDEX(1))
    builder.cbranch(builder.icmp_signed("<", next_entry, last), entries, row_ends)
    _choose(entry, {row_begins: first, entries: next_entry})
    for total, before, after in zip(totals, begun, sums, strict=True):
        _choose(total, {row_begins: before, entries: after})

    builder.position_at_end(row_ends)
    complete = [builder.phi(register.vector) for register in registers]
    for total, before, after in zip(complete, begun, sums, strict=True):
        _choose(total, {row_begins: before, entries: after})
    for register, total in zip(registers, complete, strict=True):
        register.store(builder, total, at)
    next_row = builder.add(row, INDEX(1))
    builder.cbranch(builder.icmp_signed("<", next_row, last_row), row_begins, leave)
    _choose(row, {enter: first_row, row_ends: next_row})

    builder.position_at_end(leave)
    builder.ret_void()
    return _compiled(function)


def _choose(phi: ir.PhiInstr, values: dict[ir.Block, ir.Value]) -> None:
    """What ``phi`` is, by the block that it is reached from."""
    for block, value in values.items():
        phi.add_incoming(value, block)


def _compiled(function: ir.Function) -> Callable[..., None]:
    """``function`` as a callable of integers (addresses among them) and floats."""
    _initialise()
    target = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3
    )
    engine = binding.create_mcjit_compiler(binding.parse_assembly(str(function.module)), target)
    engine.finalize_object()
    arguments = [_CTYPES.get(argument.type, ctypes.c_void_p) for argument in function.args]
    prototype = ctypes.CFUNCTYPE(None, *arguments)
    callable_ = prototype(engine.get_function_address(function.name))
    callable_.engine = engine  # type: ignore[attr-defined]  # owns the code
    return callable_


@functools.cache
def _initialise() -> None:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
