"""A patch network in 8-bit and 16-bit integer matrix products (spec 5.1 to 5.4).

Sine and expanding layers have 8-bit weights and inputs. The upsampling block has 12-bit ones, which
are stored as 16-bit integers. `nvcodec.model.sine.dot_product.usable` says whether this
processor has such products.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import allocating
from nvcodec.model.sine.dot_product import BLOCK_ROWS, OFFSET, empty, pack, padded, products
from nvcodec.model.sine.layers import (
    GELU,
    SINE,
    Values,
    first_layer,
    sine_layer,
    time_code,
)
from nvcodec.model.sine.weights import GroupWeights

Words = npt.NDArray[np.int32]
"""Words of `dot_product`: 2 integers of 16 bits each, or 4 bytes where that is said."""


@allocating
def _clip(value: int) -> np.int32:
    return min(np.int32(2047), max(np.int32(-2047), np.int32(value)))


@allocating
def _word(even: int | np.int32, odd: int | np.int32) -> np.int32:
    """Two 16-bit integers in a word. All types are 32-bit, or LLVM would not vectorise it."""
    return np.int32(np.int32(even & 0xFFFF) | np.int32(odd << 16))


@allocating
def _maps(acc: np.ndarray, bias: np.ndarray, scale: int, out: np.ndarray) -> None:
    """Write the maps of spec 5.3 to words `out` (rows / 2, n).

    The sums `acc` are (at least rows, n); `bias` is int64 (rows,).
    """
    for r in range(out.shape[0]):
        even, odd = acc[2 * r], acc[2 * r + 1]
        # The part that does not depend on the patch.
        even_bias = bias[2 * r] * scale + (1 << 31)
        odd_bias = bias[2 * r + 1] * scale + (1 << 31)
        for n in range(out.shape[1]):
            a = (np.int64(even[n]) * scale + even_bias) >> 32
            b = (np.int64(odd[n]) * scale + odd_bias) >> 32
            out[r, n] = _word(min(2047, max(-2047, a)), min(2047, max(-2047, b)))


@allocating
def _inputs(maps: np.ndarray, code: np.ndarray, out: np.ndarray) -> None:
    """Inputs of the upsampling block (spec 5.4) to the inside of out, (G + 2, G + 2, C / 2, n).

    maps (G, G, C / 2, n) and out are words, code is int32 (C / 2, 2).
    """
    half, _, pairs, count = maps.shape
    for y in range(half):
        for x in range(half):
            for c in range(pairs):
                words, inside = maps[y, x, c], out[1 + y, 1 + x, c]
                even, odd = code[c, 0], code[c, 1]
                for n in range(count):
                    low = np.int32(np.int32(words[n] << 16) >> 16)
                    inside[n] = _word(_clip(low + even), _clip((words[n] >> 16) + odd))


@allocating
def _hidden(
    acc: np.ndarray, bias: np.ndarray, scale: int, gelu: np.ndarray, out: np.ndarray
) -> None:
    """Two rows of hidden values (spec 5.4) from the sums of one row of inputs.

    acc (G, at least 4 * H, n) has the rows (dy, dx, h); bias is (2, 2, H / 2, 2). out is words
    (2, P + 2, H / 2, n); its first and last column are not changed.
    """
    half, _, count = acc.shape
    pairs = bias.shape[2]
    # Not in the loop below: LLVM does not vectorise loops with table lookups.
    index = np.empty((2, count), np.int32)
    even, odd = index[0], index[1]
    for gx in range(half):
        for dy in range(2):
            for dx in range(2):
                for h in range(pairs):
                    for k in range(2):
                        sums = acc[gx, ((dy * 2 + dx) * pairs + h) * 2 + k]
                        shift, line = bias[dy, dx, h, k], index[k]
                        for n in range(count):
                            value = ((np.int64(sums[n]) + shift) * scale + (1 << 31)) >> 32
                            line[n] = min(2047, max(-2048, value)) + 2048
                    words = out[dy, 1 + 2 * gx + dx, h]
                    for n in range(count):
                        words[n] = _word(gelu[np.uint32(even[n])], gelu[np.uint32(odd[n])])


@allocating
def _samples(
    acc: np.ndarray,
    bias: np.ndarray,
    scale: int,
    gy: int,
    lines: np.ndarray,
    luma: np.ndarray,
    chroma: np.ndarray,
) -> None:
    """Values (spec 5.4) of rows 2 * gy and 2 * gy + 1 from their sums acc (2, P, 3, n).

    lines is a scratch array, int16 (P, n). luma is (at most n, P, P) and chroma (2, at most n, G,
    G).
    """
    _, patch, _, columns = acc.shape
    count = luma.shape[0]
    for dy in range(2):
        for x in range(patch):
            sums, line = acc[dy, x, 0], lines[x]
            for n in range(columns):
                value = ((np.int64(sums[n]) + bias[0]) * scale + (1 << 31)) >> 32
                line[n] = min(32767, max(-32768, value))
        for n in range(count):
            row = luma[n, 2 * gy + dy]
            for x in range(patch):
                row[x] = lines[x, n]
    for plane in range(2):
        for gx in range(patch // 2):
            line = lines[gx]
            shift = bias[1 + plane]
            for n in range(columns):
                total = np.int64(2)
                for dy in range(2):
                    for dx in range(2):
                        value = np.int64(acc[dy, 2 * gx + dx, 1 + plane, n]) + shift
                        value = (value * scale + (1 << 31)) >> 32
                        total += min(32767, max(-32768, value))
                line[n] = total >> 2
        for n in range(count):
            row = chroma[plane, n, gy]
            for gx in range(patch // 2):
                row[gx] = lines[gx, n]


@allocating
def _upsample(
    maps: np.ndarray,
    code: np.ndarray,
    source: np.ndarray,
    first: tuple[np.ndarray, np.ndarray, int],
    gelu: np.ndarray,
    hidden: np.ndarray,
    second: tuple[np.ndarray, np.ndarray, int],
    luma: np.ndarray,
    chroma: np.ndarray,
) -> None:
    """Values luma (n, P, P) and chroma (2, n, G, G) of one frame from maps.

    source and hidden have a border of zeros. first and second are (packed weights, bias, scale).
    """
    half, _, _, count = maps.shape
    _inputs(maps, code, source)
    acc = np.empty((half, first[0].shape[0] * first[0].shape[2], count), np.int32)
    for gy in range(half):
        products(first[0], source[gy : gy + 3], acc)
        _hidden(acc, first[1], first[2], gelu, hidden[1 + 2 * gy : 3 + 2 * gy])
    sums = np.empty((2, 2 * half, 3, count), np.int32)
    lines = np.empty((2 * half, count), np.int16)
    for gy in range(half):
        products(second[0], hidden[2 * gy : 2 * gy + 3], sums[0])
        products(second[0], hidden[2 * gy + 1 : 2 * gy + 4], sums[1])
        _samples(sums, second[1], second[2], gy, lines, luma, chroma)


class _Upsampling:
    """The upsampling block of one frame (spec 5.4), with channels padded to pairs."""

    def __init__(self, weights: GroupWeights, frame: int) -> None:
        shape, depth = weights.shape, weights.shape.depth
        t, c, h = shape.group_frames, shape.stem_channels, shape.head_channels
        channels, heads = _even(c), _even(h)
        scales = [record.scale for record in weights.parameters[depth + 1 :]]
        self._code = np.zeros((channels // 2, 2), np.int32)
        self._code.reshape(-1)[:c] = [time_code(frame, i) for i in range(c)]
        # (h, dy, dx, c, ky, kx) to rows (dy, dx, h) and columns (ky, kx, c).
        first = np.zeros((2, 2, heads, 3, 3, channels), np.int16)
        given = weights.tensors[2 * depth + 2].reshape(t, h, 2, 2, c, 3, 3)[frame]
        first[:, :, :h, :, :, :c] = given.transpose(1, 2, 0, 4, 5, 3)
        first_bias = np.zeros((2, 2, heads), np.int64)
        given = weights.shifted_bias(depth + 1).reshape(t, h, 2, 2)[frame]
        first_bias[:, :, :h] = given.transpose(1, 2, 0)
        self._first = (
            pack(first.reshape(4 * heads, 9 * channels), np.int16),
            first_bias.reshape(2, 2, heads // 2, 2),
            scales[0],
        )
        second = np.zeros((3, 3, 3, heads), np.int16)
        given = weights.tensors[2 * depth + 4].reshape(t, 3, h, 3, 3)[frame]
        second[:, :, :, :h] = given.transpose(0, 2, 3, 1)
        self._second = (
            pack(second.reshape(3, 9 * heads), np.int16),
            weights.shifted_bias(depth + 2).reshape(t, 3)[frame],
            scales[1],
        )

    def evaluate(
        self,
        maps: Words,
        source: Words,
        hidden: Words,
        luma: Values,
        chroma: Values,
    ) -> None:
        """Values luma (n, P, P) and chroma (2, n, G, G) from maps (G, G, C / 2, n)."""
        _upsample(
            maps,
            self._code,
            source,
            self._first,
            GELU,
            hidden,
            self._second,
            luma,
            chroma,
        )


def _even(channels: int) -> int:
    return channels + channels % 2


class _Product:
    """A layer of 8-bit weights. Its inputs have OFFSET added; the bias compensates for that."""

    def __init__(
        self, weights: GroupWeights, number: int, rows: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Layer `number` with its rows in the order `rows`; one past the last row means zeros."""
        matrix = weights.tensors[2 * number].astype(np.int8)
        bias = weights.shifted_bias(number)
        if rows is not None:
            matrix = np.vstack([matrix, np.zeros_like(matrix[:1])])[rows]
            bias = np.append(bias, 0)[rows]
        self.bias = bias - OFFSET * matrix.sum(axis=1, dtype=np.int32)
        self.scale = weights.parameters[number].scale
        self._weights = pack(matrix, np.int8)
        self.words = self._weights.shape[1]

    def __call__(self, inputs: Words) -> npt.NDArray[np.int32]:
        """Sums (at least rows, n), without bias, from words of inputs (at least columns / 4, n)."""
        out = empty((1, len(self._weights) * BLOCK_ROWS, inputs.shape[1]), np.int32)
        products(self._weights, inputs[np.newaxis, np.newaxis], out)
        sums: npt.NDArray[np.int32] = out[0]
        return sums


class IntegerNetwork:
    """One group's network (spec 5.2 to 5.4) in integer products.

    Several threads may use one at the same time.
    """

    def __init__(self, weights: GroupWeights) -> None:
        shape, depth = weights.shape, weights.shape.depth
        self._shape = shape
        self._first = weights.tensors[0]
        self._first_bias = weights.shifted_bias(0)
        self._first_scale = weights.parameters[0].scale
        self._sine = [_Product(weights, number) for number in range(1, depth)]
        # Rows (c, gy, gx) to (gy, gx, c), with channels padded to pairs.
        c, area = shape.stem_channels, shape.half**2
        order = np.full((area, _even(c)), c * area)
        order[:, :c] = np.arange(c * area).reshape(c, area).T
        self._expanding = _Product(weights, depth, order.ravel())
        self._upsampling = [_Upsampling(weights, t) for t in range(shape.group_frames)]

    def evaluate(
        self,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        frames: Sequence[int],
        luma: Values,
        chroma: Values,
    ) -> None:
        """Set luma (frames, n, P, P) and chroma (frames, 2, n, G, G) to values at xs[n], ys[n]."""
        shape, columns = self._shape, padded(len(xs))
        words = empty((self._expanding.words, columns), np.int32)
        outputs = words.view(np.uint8).reshape(-1, columns, 4)
        first_layer(xs, ys, self._first, self._first_bias, self._first_scale, SINE, OFFSET, outputs)
        for layer in self._sine:
            sine_layer(layer(words), layer.bias, layer.scale, SINE, OFFSET, outputs)
        expanding = self._expanding
        half, pairs, heads = shape.half, _even(shape.stem_channels) // 2, _even(shape.head_channels)
        maps = empty((half, half, pairs, columns), np.int32)
        _maps(expanding(words), expanding.bias, expanding.scale, maps.reshape(-1, columns))
        source = empty((half + 2, half + 2, pairs, columns), np.int32)
        hidden = empty((2 * half + 2, 2 * half + 2, heads // 2, columns), np.int32)
        source[:] = hidden[:] = 0
        for k, t in enumerate(frames):
            self._upsampling[t].evaluate(maps, source, hidden, luma[k], chroma[k])
