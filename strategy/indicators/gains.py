"""Average gain and loss after Wilder, and the RSI they give."""

import numpy as np

from strategy.indicators.past import finite_from
from strategy.kernel import kernel

_BLOCK = 128  # values whose changes and ratios are computed together, in the nearest cache


@kernel
def rsi_kernel(x, length, state):
    n, i = len(x), 0
    out = np.empty(n)
    seen, last, gain, loss = state[0], state[1], state[2], state[3]
    b = 1.0 / length
    a = (length - 1.0) * b
    while i < n:
        while i < n and seen <= length:  # `length` changes need one value more
            out[i] = np.nan
            if x[i] - x[i] != 0.0:
                seen, gain, loss = 0.0, 0.0, 0.0
            else:
                if seen > 0.0:
                    gain += max(x[i] - last, 0.0)
                    loss += max(last - x[i], 0.0)
                last = x[i]
                seen += 1.0
                if seen > length:
                    gain /= length
                    loss /= length
                    out[i] = _share(gain, loss)
            i += 1
        fresh = True
        while i < n:
            change = x[i] - last
            if change - change != 0.0:
                out[i] = np.nan
                seen, gain, loss = 0.0, 0.0, 0.0
                i += 1
                break
            last = x[i]
            gain = gain * a + max(change, 0.0) * b
            loss = loss * a + max(-change, 0.0) * b
            out[i] = _share(gain, loss)
            i += 1
            if fresh:
                done, gain, loss = _pieces(x[i - 1 :], a, b, gain, loss, out[i:])
                i += done
                last, fresh = x[i - 1], False
    state[0], state[1], state[2], state[3] = seen, last, gain, loss
    return out


@kernel
def _share(gain, loss):
    total = gain + loss
    return 100.0 * gain / total if total > 0.0 else 50.0


@kernel
def _pieces(x, a, b, gain, loss, out):
    # The plain loop in four pieces side by side, as averages.smooth does with one average and for
    # the same reason; out[i] belongs to x[i + 1]. What no value waits for is done a block at a
    # time. Returns how many values are done, none if a guess was not met.
    n = (finite_from(x, 0, len(x)) - 1) // (4 * _BLOCK) * _BLOCK
    early = (int(64.0 / b) // _BLOCK + 1) * _BLOCK
    if n <= 2 * early:
        return 0, gain, loss
    up, down = np.empty((4, _BLOCK)), np.empty((4, _BLOCK))
    u0, u1, u2, u3 = up[0], up[1], up[2], up[3]
    d0, d1, d2, d3 = down[0], down[1], down[2], down[3]
    g0, g1, g2, g3 = gain, gain, gain, gain
    l0, l1, l2, l3 = loss, loss, loss, loss
    for start in range(n - early, n, _BLOCK):
        for piece in range(3):
            _changes(x, piece * n + start, b, up[piece], down[piece])
        for j in range(_BLOCK):
            g1, g2, g3 = g1 * a + u0[j], g2 * a + u1[j], g3 * a + u2[j]
            l1, l2, l3 = l1 * a + d0[j], l2 * a + d1[j], l3 * a + d2[j]
    guesses = (g1, g2, g3, l1, l2, l3)
    for start in range(0, n, _BLOCK):
        for piece in range(4):
            _changes(x, piece * n + start, b, up[piece], down[piece])
        for j in range(_BLOCK):
            g0, g1, g2, g3 = g0 * a + u0[j], g1 * a + u1[j], g2 * a + u2[j], g3 * a + u3[j]
            l0, l1, l2, l3 = l0 * a + d0[j], l1 * a + d1[j], l2 * a + d2[j], l3 * a + d3[j]
            u0[j], u1[j], u2[j], u3[j] = g0, g1, g2, g3
            d0[j], d1[j], d2[j], d3[j] = l0, l1, l2, l3
        for piece in range(4):
            begin = piece * n + start
            _shares(up[piece], down[piece], out[begin : begin + _BLOCK])
    if guesses != (g0, g1, g2, l0, l1, l2) or g3 + l3 - (g3 + l3) != 0.0:
        return 0, gain, loss
    return 4 * n, g3, l3


@kernel
def _changes(x, begin, b, up, down):
    before, now = x[begin : begin + _BLOCK], x[begin + 1 : begin + 1 + _BLOCK]
    for j in range(_BLOCK):
        change = now[j] - before[j]
        up[j] = max(0.0, change) * b
        down[j] = max(0.0, -change) * b


@kernel
def _shares(gains, losses, out):
    for j in range(len(out)):
        out[j] = _share(gains[j], losses[j])
