"""A patch network in single-precision matrix products (spec 5.1 to 5.4), for any processor.

The products are exact in any order, because spec 4.5 bounds every partial sum below 2^24.
Everything else is integer code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import allocating
from nvcodec.model.sine.layers import (
    GELU,
    SINE,
    Values,
    first_layer,
    sine_layer,
    time_code,
)
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights

GELU_FLOAT = GELU.astype(np.float32)


@allocating
def _maps(acc: np.ndarray, bias: np.ndarray, scale: int, out: np.ndarray) -> None:
    """Write the maps of spec 5.3 to `out` from sums `acc` (rows, n); `bias` is int64 (rows,)."""
    for r in range(out.shape[0]):
        for n in range(out.shape[1]):
            value = (np.int64(acc[r, n]) + bias[r]) * scale
            out[r, n] = min(2047, max(-2047, (value + (1 << 31)) >> 32))


@allocating
def _spread_maps(maps: np.ndarray, code: np.ndarray, out: np.ndarray) -> None:
    """Inputs of the upsampling block (spec 5.4), laid out so that 3 columns are 3 x 3 windows.

    out[gy, 1 + x, ky, c] is input[c], time code included, of column x in row gy + ky - 1; other
    elements of `out` stay 0. `maps` is int32 (C, G, G, n), `out` (G, G + 2, 3, C, n).
    """
    channels, half, _, count = maps.shape
    for y in range(half):
        for x in range(half):
            for c in range(channels):
                values = maps[c, y, x]
                centre = out[y, x + 1, 1, c]
                for n in range(count):
                    centre[n] = min(2047, max(-2047, values[n] + code[c]))
                if y > 0:
                    out[y - 1, x + 1, 2, c] = centre
                if y < half - 1:
                    out[y + 1, x + 1, 0, c] = centre


@allocating
def _spread_hidden(
    acc: np.ndarray, bias: np.ndarray, scale: int, gelu: np.ndarray, out: np.ndarray
) -> None:
    """The hidden values of spec 5.4, laid out so that 4 columns surround 2 x 2 samples.

    out[gy, 1 + x, r, h] is hidden[h] of column x in row 2 * gy - 1 + r; other elements of `out`
    stay 0. `acc` is (G, G, 2, 2, H, n), `bias` (2, 2, H), both by (dy, dx, h); `out` is
    (G, P + 2, 4, H, n).
    """
    half, _, _, _, heads, count = acc.shape
    # Two loops: LLVM vectorises the first one only because it has no table lookups.
    index = np.empty(count, np.int32)
    for gy in range(half):
        for gx in range(half):
            for dx in range(2):
                for dy in range(2):
                    for h in range(heads):
                        sums = acc[gy, gx, dy, dx, h]
                        shift = bias[dy, dx, h]
                        values = out[gy, 1 + 2 * gx + dx, 1 + dy, h]
                        for n in range(count):
                            value = ((np.int64(sums[n]) + shift) * scale + (1 << 31)) >> 32
                            index[n] = min(2047, max(-2048, value)) + 2048
                        for n in range(count):
                            values[n] = gelu[index[n]]
                        if dy == 0 and gy > 0:
                            out[gy - 1, 1 + 2 * gx + dx, 3, h] = values
                        if dy == 1 and gy < half - 1:
                            out[gy + 1, 1 + 2 * gx + dx, 0, h] = values


@allocating
def _samples(
    acc: np.ndarray, bias: np.ndarray, scale: int, luma: np.ndarray, chroma: np.ndarray
) -> None:
    """Values of spec 5.4 from acc (G, G, 3, 4, n): luma (n, P, P) and chroma (2, n, G, G)."""
    half, count = acc.shape[0], acc.shape[4]
    values = np.empty((4, count), np.int32)
    for gy in range(half):
        for gx in range(half):
            for plane in range(3):
                for k in range(4):
                    sums = acc[gy, gx, plane, k]
                    row = values[k]
                    for n in range(count):
                        value = ((np.int64(sums[n]) + bias[plane]) * scale + (1 << 31)) >> 32
                        row[n] = min(32767, max(-32768, value))
                if plane == 0:
                    for n in range(count):
                        luma[n, 2 * gy, 2 * gx] = values[0, n]
                        luma[n, 2 * gy, 2 * gx + 1] = values[1, n]
                        luma[n, 2 * gy + 1, 2 * gx] = values[2, n]
                        luma[n, 2 * gy + 1, 2 * gx + 1] = values[3, n]
                else:
                    for n in range(count):
                        total = values[0, n] + values[1, n] + values[2, n] + values[3, n]
                        chroma[plane - 1, n, gy, gx] = (total + 2) >> 2


def _windows(spread: npt.NDArray[np.float32], step: int, width: int) -> npt.NDArray[np.float32]:
    """Windows of `width` columns every `step`, as a view of (G, columns, rows, channels, n).

    Returns (G, G, width * rows * channels, n): matrices that BLAS takes without a copy.
    """
    half, _, rows, channels, count = spread.shape
    by_row, by_column, _, by_channel, by_patch = spread.strides
    return np.lib.stride_tricks.as_strided(
        spread,
        (half, half, width * rows * channels, count),
        (by_row, step * by_column, by_channel, by_patch),
        writeable=False,
    )


class _Upsampling:
    """The upsampling block of one frame (spec 5.4) as matrix products over 3 x 3 windows."""

    def __init__(self, weights: GroupWeights, frame: int) -> None:
        shape, depth = weights.shape, weights.shape.depth
        t, c, h = shape.group_frames, shape.stem_channels, shape.head_channels
        self._scales = [record.scale for record in weights.parameters[depth + 1 :]]
        self._code = np.array([time_code(frame, i) for i in range(c)], np.int32)
        # (h, dy, dx, c, ky, kx) to rows (dy, dx, h) and columns (kx, ky, c).
        first = weights.tensors[2 * depth + 2].reshape(t, h, 2, 2, c, 3, 3)[frame]
        first = first.transpose(1, 2, 0, 5, 4, 3).reshape(4 * h, 9 * c)
        self._first = np.ascontiguousarray(first, np.float32)
        first_bias = weights.shifted_bias(depth + 1).reshape(t, h, 2, 2)[frame].transpose(1, 2, 0)
        self._first_bias = np.ascontiguousarray(first_bias)
        # Rows (plane, dy, dx) and columns (column, row, h) of the 4 x 4 around 2 x 2 samples.
        second = weights.tensors[2 * depth + 4].reshape(t, 3, h, 3, 3)[frame]
        spread = np.zeros((3, 2, 2, 4, 4, h), np.float32)
        for dy in range(2):
            for dx in range(2):
                spread[:, dy, dx, dx : dx + 3, dy : dy + 3] = second.transpose(0, 3, 2, 1)
        self._second = spread.reshape(12, 16 * h)
        self._second_bias = weights.shifted_bias(depth + 2).reshape(t, 3)[frame]

    def evaluate(
        self,
        maps: npt.NDArray[np.int32],
        source: npt.NDArray[np.float32],
        hidden: npt.NDArray[np.float32],
        luma: Values,
        chroma: Values,
    ) -> None:
        """Values luma (n, P, P) and chroma (2, n, G, G) from maps (C, G, G, n).

        `source` and `hidden` are the scratch arrays of `_room`; frames may reuse them.
        """
        half, count = maps.shape[1], maps.shape[3]
        _spread_maps(maps, self._code, source)
        acc = (self._first @ _windows(source, 1, 3)).reshape(half, half, 2, 2, -1, count)
        _spread_hidden(acc, self._first_bias, self._scales[0], GELU_FLOAT, hidden)
        acc = (self._second @ _windows(hidden, 2, 4)).reshape(half, half, 3, 4, count)
        _samples(acc, self._second_bias, self._scales[1], luma, chroma)


def _room(
    shape: NetworkShape, count: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Scratch arrays, all 0, for `_spread_maps` and `_spread_hidden` of `count` patches."""
    half, channels, heads = shape.half, shape.stem_channels, shape.head_channels
    return (
        np.zeros((half, half + 2, 3, channels, count), np.float32),
        np.zeros((half, 2 * half + 2, 4, heads, count), np.float32),
    )


class FloatNetwork:
    """One group's network (spec 5.2 to 5.4) in float32 products by BLAS.

    Several threads may use one at the same time.
    """

    def __init__(self, weights: GroupWeights) -> None:
        shape, depth = weights.shape, weights.shape.depth
        self._shape = shape
        self._scales = [record.scale for record in weights.parameters]
        self._biases = [weights.shifted_bias(number) for number in range(depth + 1)]
        self._first = weights.tensors[0]
        self._matrices = [
            np.ascontiguousarray(matrix, np.float32)
            for matrix in weights.tensors[: 2 * depth + 2 : 2]
        ]
        self._upsampling = [_Upsampling(weights, frame) for frame in range(shape.group_frames)]

    def evaluate(
        self,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        frames: Sequence[int],
        luma: Values,
        chroma: Values,
    ) -> None:
        """Set luma (frames, n, P, P) and chroma (frames, 2, n, G, G) to values at xs[n], ys[n]."""
        shape, count = self._shape, len(xs)
        outputs = np.empty((shape.width, count, 1), np.float32)
        first_layer(xs, ys, self._first, self._biases[0], self._scales[0], SINE, 0, outputs)
        for number in range(1, shape.depth):
            acc = self._matrices[number] @ outputs[:, :, 0]
            sine_layer(acc, self._biases[number], self._scales[number], SINE, 0, outputs)
        maps = np.empty((shape.stem_channels, shape.half, shape.half, count), np.int32)
        acc = self._matrices[shape.depth] @ outputs[:, :, 0]
        bias, scale = self._biases[shape.depth], self._scales[shape.depth]
        _maps(acc, bias, scale, maps.reshape(-1, count))
        source, hidden = _room(shape, count)
        for k, t in enumerate(frames):
            self._upsampling[t].evaluate(maps, source, hidden, luma[k], chroma[k])
