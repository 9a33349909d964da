"""Dense layers over rows of patches: words of pairs of 16-bit integers, summed in 32 bits.

A row of patches has, for each pair of numbers of a patch, a word for each patch, `stride` words
apart, so that a vector operation works on neighbouring patches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, kernel
from nvcodec.products import COLUMNS, block_units, layer_block, pack_words

MARGIN = 8
"""Words of zeros before the first patch of a row, and after the last one."""


class Layer(NamedTuple):
    """Weights as words (`pack_words`), and biases with the rounding term."""

    weights: npt.NDArray[np.int32]
    bias: npt.NDArray[np.int32]
    shift: int


def pack_layer(
    matrix: npt.NDArray[np.integer],
    bias: npt.NDArray[np.integer] | int,
    shift: int,
    parts: int = 1,
) -> Layer:
    """A layer of int16 weights (units, inputs); units and inputs are even.

    `parts` of as many units each can be evaluated alone.
    """
    rounded = np.zeros(len(matrix), np.int64) + bias + (1 << (shift - 1))
    words = np.concatenate([pack_words(part) for part in np.split(matrix, parts)])
    return Layer(words, rounded.astype(np.uint32).view(np.int32), shift)


@kernel
def row_stride(patches: Integer) -> Integer:
    """Words from one pair to the next in a row of so many patches."""
    return -(-patches // COLUMNS) * COLUMNS + 2 * MARGIN


def _layer_kernel(hidden: int, most: int) -> Callable[..., None]:
    """A kernel that evaluates a layer; results are clipped to a magnitude of `most`."""

    def evaluate(
        layer: Any,
        first: Integer,
        units: Integer,
        values: np.ndarray,
        offsets: np.ndarray,
        patches: Integer,
        out_at: Integer,
        stride: Integer,
    ) -> None:
        # Units first.. of the layer, which are a part of it.
        shift, terms = np.int32(layer.shift), len(offsets)
        done: Integer = np.int64(0)
        while done < units:
            block = block_units(units - done)
            w, b = (first + done) * terms, first + done
            to = out_at + (done >> 1) * stride
            for x in range(0, patches, COLUMNS):
                if block == 24:
                    layer_block(
                        24, hidden, values, offsets, x, layer.weights, w, layer.bias, b, shift,
                        most, to, stride,
                    )  # fmt: skip
                elif block == 16:
                    layer_block(
                        16, hidden, values, offsets, x, layer.weights, w, layer.bias, b, shift,
                        most, to, stride,
                    )  # fmt: skip
                elif block == 6:
                    layer_block(
                        6, hidden, values, offsets, x, layer.weights, w, layer.bias, b, shift,
                        most, to, stride,
                    )  # fmt: skip
                elif block == 4:
                    layer_block(
                        4, hidden, values, offsets, x, layer.weights, w, layer.bias, b, shift,
                        most, to, stride,
                    )  # fmt: skip
                else:
                    layer_block(
                        2, hidden, values, offsets, x, layer.weights, w, layer.bias, b, shift,
                        most, to, stride,
                    )  # fmt: skip
            done += block

    return kernel(evaluate)


hidden_layer = _layer_kernel(1, 4095)
"""Units of a hidden layer (spec 13)."""
sample_layer = _layer_kernel(0, 8191)
"""Samples in 1/16, before the level 128 is added (spec 13)."""
trace_layer = _layer_kernel(0, 2560)
"""Samples of the trace (spec 12.2)."""
moved_layer = _layer_kernel(0, 32767)
"""Moved features, before the limit of the smaller ones (spec 12.2)."""
