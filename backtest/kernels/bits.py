"""Candles as bits, 64 to a word: the lowest bit of the first word is the first candle."""

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from strategy.kernel import kernel

# Its options are set when Numba is imported, where a type checker does not see them.
_config: Any = numba.config
# What a condition's program does: with a comparison's words, or with the two topmost results.
LOAD, AND, OR, JOIN_AND, JOIN_OR = range(5)

if _config.DISABLE_JIT:

    def trailing_zeros(word: Any) -> int:
        """Count the zeros below a word's lowest one."""
        value = int(word)
        return (value & -value).bit_length() - 1

    def ones(word: Any) -> int:
        """Count a word's ones."""
        return int(word).bit_count()

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


@kernel
def next_one(words, i, end):
    """Return the first candle from i on whose bit is set, or the end."""
    if i >= end:
        return end
    k = i >> 6
    word = words[k] >> np.uint64(i & 63)
    if word != np.uint64(0):
        return min(i + trailing_zeros(word), end)
    last = (end + 63) >> 6
    k += 1
    while k < last:
        word = words[k]
        if word != np.uint64(0):
            return min(k * 64 + trailing_zeros(word), end)
        k += 1
    return end


@kernel
def is_one(words, i):
    """Say whether a candle's bit is set."""
    return (words[i >> 6] >> np.uint64(i & 63)) & np.uint64(1) != np.uint64(0)


@kernel
def ones_before(words):
    """Return how many ones stand before each word."""
    out = np.empty(len(words), np.int64)
    count = np.int64(0)
    for k in range(len(words)):
        out[k] = count
        count += ones(words[k])
    return out


@kernel
def place_of(words, before, i):
    """Return how many ones stand before candle i."""
    below = (np.uint64(1) << np.uint64(i & 63)) - np.uint64(1)
    return before[i >> 6] + ones(words[i >> 6] & below)


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


@kernel
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
            left[:] = right
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
        stack[0][:] = np.uint64(0)
