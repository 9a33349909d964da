"""What the float and the integer network share: tables, and the layers after their products.

The last axis of arrays is the patches of a batch, so that every inner loop is a vector operation
whatever the patch size. Where several inputs of a product are packed into a word, the axes are
(words, patches, inputs in a word).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import allocating
from nvcodec.tables import load_table

SINE = load_table("sine.txt")
GELU = load_table("gelu.txt")

Values = npt.NDArray[np.int16]


def time_code(frame: int, channel: int) -> int:
    """TimeCode of spec 5.4."""
    return int(SINE[(frame * (256 >> min(8, channel // 2)) + 256 * (channel % 2)) % 1024])


@allocating
def _sine(acc: int, scale: int, sine: np.ndarray) -> int:
    """SINE of an accumulator (spec 5.2); acc * scale may wrap: only its low 40 bits matter."""
    phase = (acc * scale + (1 << 23)) >> 24
    entry: int = sine[((phase + 32) >> 6) & 1023]
    return entry


@allocating
def first_layer(
    cx: np.ndarray,
    cy: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    scale: int,
    sine: np.ndarray,
    offset: int,
    out: np.ndarray,
) -> None:
    """Write outputs + offset of layer 0 (spec 5.2) to out (words, at least n, inputs in a word)."""
    depth = out.shape[2]
    for r in range(weights.shape[0]):
        wx, wy, b = np.int64(weights[r, 0]), np.int64(weights[r, 1]), bias[r]
        for n in range(cx.shape[0]):
            out[r // depth, n, r % depth] = offset + _sine(wx * cx[n] + wy * cy[n] + b, scale, sine)


@allocating
def sine_layer(
    acc: np.ndarray, bias: np.ndarray, scale: int, sine: np.ndarray, offset: int, out: np.ndarray
) -> None:
    """Write outputs + offset (spec 5.2) to `out`, as `first_layer`; `acc` is (at least rows, n)."""
    depth = out.shape[2]
    for r in range(bias.shape[0]):
        for n in range(acc.shape[1]):
            out[r // depth, n, r % depth] = offset + _sine(
                np.int64(acc[r, n]) + bias[r], scale, sine
            )
