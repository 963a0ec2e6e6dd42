"""Candles as bits, 64 to a word: the lowest bit of the first word is the first candle."""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from strategy.kernel import borrowing, kernel, part

# Its options are set when Numba is imported, where a type checker does not see them.
_config: Any = numba.config
# The rows of what the rules of one combination say, a candle a bit: entry signals, those of them
# that are long, what closes a position of either side (its exit rule and the other side's entry);
# then the entry signals of all combinations that share a table, and how many of them stand before
# each word. No signal stands on both sides.
ENTRY, LONG, EXIT_LONG, EXIT_SHORT, UNION, BEFORE = range(6)
# What a condition's program does: with a comparison's words, or with the two topmost results.
LOAD, AND, OR, JOIN_AND, JOIN_OR = range(5)
COLUMNS = 8  # that are compared in one pass
_BLOCK = 32  # words: 16 KiB of a column

if _config.DISABLE_JIT:

    def trailing_zeros(word: Any) -> int:
        """Count the zeros below a word's lowest one."""
        value = int(word)
        return (value & -value).bit_length() - 1

    def ones(word: Any) -> int:
        """Count a word's ones."""
        return int(word).bit_count()

    def prefetch(table: Any, row: int, column: int) -> None:
        """Do nothing: there is no time to win."""

else:

    @intrinsic  # type: ignore[untyped-decorator,unused-ignore]
    def trailing_zeros(context: Any, word: Any) -> Any:
        """Count the zeros below a word's lowest one."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            never_zero = context.get_constant(types.boolean, True)
            return builder.cttz(arguments[0], never_zero)

        return types.int64(types.uint64), code

    @intrinsic  # type: ignore[untyped-decorator,unused-ignore]
    def ones(context: Any, word: Any) -> Any:
        """Count a word's ones."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.ctpop(arguments[0])

        return types.int64(types.uint64), code

    @intrinsic  # type: ignore[untyped-decorator,unused-ignore]
    def prefetch(context: Any, table: Any, row: Any, column: Any) -> Any:
        """Ask the memory for a record of a table, without waiting for it."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = cgutils.get_item_pointer(
                context, builder, signature.args[0], array, list(arguments[1:])
            )
            kind = ir.FunctionType(
                ir.VoidType(), [ir.IntType(8).as_pointer()] + [ir.IntType(32)] * 3
            )
            call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            numbers = [ir.Constant(ir.IntType(32), number) for number in (0, 3, 1)]
            builder.call(call, [builder.bitcast(place, ir.IntType(8).as_pointer()), *numbers])
            return context.get_dummy_value()

        return types.void(table, types.intp, types.intp), code


@part
def next_one(bits, row, i, end):
    """Return the first candle from i on whose bit in a row is set, or the end."""
    if i >= end:
        return end
    k = i >> 6
    word = bits[row, k] >> np.uint64(i & 63)
    if word != np.uint64(0):
        return min(i + trailing_zeros(word), end)
    last = (end + 63) >> 6
    k += 1
    while k < last:
        word = bits[row, k]
        if word != np.uint64(0):
            return min(k * 64 + trailing_zeros(word), end)
        k += 1
    return end


@part
def is_one(bits, row, i):
    """Say whether a candle's bit in a row is set."""
    return (bits[row, i >> 6] >> np.uint64(i & 63)) & np.uint64(1) != np.uint64(0)


@kernel
def count_before(bits):
    """Fill in the row BEFORE and return how many candles are in the row UNION."""
    count = np.int64(0)
    for k in range(bits.shape[1]):
        bits[BEFORE, k] = np.uint64(count)
        count += ones(bits[UNION, k])
    return count


@part
def place_of(bits, i):
    """Return how many candles of the row UNION stand before candle i."""
    k, below = i >> 6, (np.uint64(1) << np.uint64(i & 63)) - np.uint64(1)
    return np.int64(bits[BEFORE, k]) + ones(bits[UNION, k] & below)


@kernel
def candles_of(words, count):
    """Return the candles whose bits are set, in order."""
    out = np.empty(count, np.int64)
    at = 0
    for k in range(len(words)):
        word = words[k]
        while word != np.uint64(0):
            out[at] = k * 64 + trailing_zeros(word)
            at += 1
            word &= word - np.uint64(1)
    return out


@borrowing
def compare(columns, which, numbers, n, room, words):
    """Evaluate comparisons: a candle's bit says that the left side is smaller, or equal if that is
    asked for. Block by block, so that columns that several of them read are still at hand.

    Parameters
    ----------
    columns : COLUMNS of float64 (n,), or empty
    which : int64 (m, 4)
        Row of the words, whether equal is enough, and the columns left and right, -1 for a number.
    numbers : float64 (m, 2)
        Left and right, where they are no columns.
    n : int
    room : float64 (2, 64)
        Scratch.
    words : uint64 (comparisons, w)
    """
    end = words.shape[1]
    for first in range(0, end, _BLOCK):
        last = min(first + _BLOCK, end)
        for c in range(len(which)):
            a, b = which[c, 2], which[c, 3]
            for j in range(64):
                room[0, j], room[1, j] = numbers[c, 0], numbers[c, 1]
            x = columns[a] if a >= 0 else room[0]
            y = columns[b] if b >= 0 else room[1]
            out, or_equal = words[which[c, 0]], which[c, 1] != 0
            _compare(x, min(a + 1, 1), y, min(b + 1, 1), or_equal, first, last, n, out)


@borrowing
def _compare(left, a, right, b, or_equal, first, last, n, out):
    # A step of 0 takes the same 64 values for every word.
    for k in range(first, last):
        start, count = k * 64, min(n - k * 64, 64)
        x, y = left[a * start : a * start + count], right[b * start : b * start + count]
        word = np.uint64(0)
        if count < 64:
            for j in range(count):
                holds = x[j] <= y[j] if or_equal else x[j] < y[j]
                word |= np.uint64(holds) << np.uint64(j)
        elif or_equal:  # a loop of fixed length becomes vector instructions
            for j in range(64):
                word |= np.uint64(x[j] <= y[j]) << np.uint64(j)
        else:
            for j in range(64):
                word |= np.uint64(x[j] < y[j]) << np.uint64(j)
        out[k] = word


@borrowing
def combine(program, chosen, words, stack):
    """Evaluate a condition; its bits are left in ``stack[0]``.

    Parameters
    ----------
    program : int64 (k, 2)
        Operation and comparison; empty for a condition that never holds.
    chosen : int64 (comparisons,)
        The row of `words` for each comparison.
    words : uint64 (rows, w)
    stack : uint64 (depth, w)
    """
    top = -1
    for at in range(len(program)):
        operation = program[at, 0]
        if operation in (JOIN_AND, JOIN_OR):
            left, right = stack[top - 1], stack[top]
            top -= 1
        elif operation == LOAD:
            top += 1
            left, right = stack[top], words[chosen[program[at, 1]]]
            for k in range(len(left)):
                left[k] = right[k]
            continue
        else:
            left, right = stack[top], words[chosen[program[at, 1]]]
        if operation in (AND, JOIN_AND):
            for k in range(len(left)):
                left[k] &= right[k]
        else:
            for k in range(len(left)):
                left[k] |= right[k]
    if top < 0:
        for k in range(stack.shape[1]):
            stack[0, k] = np.uint64(0)
