"""What the error of each block weighs: 1, and the shares of it that later canvases inherit.

This is the MB-tree of other encoders, or their temporal dependency model. Takes how pictures depend
on each other (`lookahead`). Gives the weight of an error in each 32 x 32 block, and how active the
block is, which says how much its weight counts in the canvas (decision 0056).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import kernel
from nvcodec.encode.hybrid.analysis.lookahead import Dependence, GroupAnalysis

Values = npt.NDArray[np.float32]
"""(rows, columns): one for each block."""

_SAMPLES = 64
"""Samples of a block at half size: SATD over this is the mean of its coefficients."""

_CODED = 5.0
"""A block inherits half of an error if its mean coefficient is a fifth of a step. Measured: the
spread of coefficients and the loss of detail at half size are in it."""

_EXPONENT = 4
"""Exponent of inter over intra SATD. With a high one, a block inherits until intra prediction is
about as good. Sources are noisy, so the ratio is rarely near 0 even where nothing moves."""

_ACTIVE = 3.0
"""Factor of the squared mean coefficient, in steps, in the estimate of a block's bits."""

_LEAST_ACTIVITY = 1e-3
"""So that a canvas has a mean where all its blocks are flat."""


def inherited_shares(found: Dependence, step: float) -> Values:
    """The share of its reference's error that each block is left with, 0 to 1.

    What is too small for the quantiser step stays in the error. What is coded replaces it. A block
    that intra prediction suits as well is taken not to use its references.
    """
    coefficient = found.inter / (_SAMPLES * step)
    worse = np.minimum(found.inter / (found.intra + 1e-3), 1) ** _EXPONENT
    shares: Values = ((1 - worse) / (1 + _CODED * coefficient)).astype(np.float32)
    return shares


@kernel
def hand_on(
    shares: np.ndarray,
    vectors: np.ndarray,
    used: np.ndarray,
    own: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
) -> None:
    """Propagate from the blocks of a canvas to those of its references (MB-tree).

    `shares` are those of `inherited_shares`. `own` is the weight that later canvases add to that of
    each block of this canvas, which is 1. `first` and `second` are the same sums for references 0
    and 1, and are added to. All are (rows, columns).
    """
    rows, columns = shares.shape
    for r in range(rows):
        for c in range(columns):
            if used[r, c] == 0:
                continue
            total = (1 + own[r, c]) * shares[r, c]
            if used[r, c] == 3:
                total *= 0.5
            for k in range(2):
                if not used[r, c] >> k & 1:
                    continue
                y = 8 * r + vectors[k, r, c, 0]
                x = 8 * c + vectors[k, r, c, 1]
                top = y >> 3
                left = x >> 3
                fy = y & 7
                fx = x & 7
                for i in range(2):
                    for j in range(2):
                        yy = min(max(top + i, 0), rows - 1)
                        xx = min(max(left + j, 0), columns - 1)
                        share = (fy if i else 8 - fy) * (fx if j else 8 - fx) / 64.0
                        if k == 0:
                            first[yy, xx] += total * share
                        else:
                            second[yy, xx] += total * share


def inherited(groups: Sequence[GroupAnalysis], step: float) -> dict[int, Values]:
    """What later canvases add to the weight of the 16 x 16 blocks of each frame of `groups[0]`.

    The other groups follow it; `step` is the quantiser step of an unreferenced block. Gives a
    dictionary from frame to Values. Frame -1 is the last one of the group before.
    """
    shape = groups[0].dependences[0].intra.shape
    own: dict[int, Values] = {-1: np.zeros(shape, np.float32)}
    for group in reversed(groups):
        frames = len(group.steps)
        later = own[-1]
        own = {frame: np.zeros(shape, np.float32) for frame in range(-1, frames)}
        own[frames - 1] += later
        for canvas, found in zip(reversed(group.steps), reversed(group.dependences), strict=True):
            if canvas.a is None:
                continue
            first = own[canvas.a]
            second = first if canvas.b is None else own[canvas.b]
            shares = inherited_shares(found, step)
            hand_on(shares, found.vectors, found.used, own[canvas.frame], first, second)
    return own


def error_weights(window: Sequence[GroupAnalysis], step: float) -> list[Values]:
    """Weights, at least 1, of errors in the 32 x 32 blocks of each canvas of `window[0]`.

    Gives float32 (rows, columns) for each canvas in coding order. The rest of the window are the
    groups that follow; those from the next key group on are ignored. `step` is the quantiser step
    of an unreferenced block.
    """
    count = 1
    while count < len(window) and not window[count].key:
        count += 1
    own = inherited(window[:count], step)
    blocks = _by_map(np.ones_like(own[0]))
    return [1 + _by_map(own[canvas.frame]) / blocks for canvas in window[0].steps]


def activity(found: Dependence, step: float) -> Values:
    """About the bits that each 32 x 32 block of a canvas takes, in any unit: float32 (rows,
    columns), above 0. `step` is the quantiser step of an unreferenced block.
    """
    coefficient = _by_map(found.best) / (4 * _SAMPLES * step)
    bits: Values = np.log2(1 + _ACTIVE * coefficient**2).astype(np.float32) + _LEAST_ACTIVITY
    return bits


def _by_map(values: Values) -> Values:
    """Sums over blocks of 32 x 32 luma samples, from values of blocks of 16 x 16."""
    rows, columns = values.shape
    padded = np.pad(values, ((0, rows % 2), (0, columns % 2)))
    return padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
