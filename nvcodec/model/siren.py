"""Integer inference of the siren network (spec 5.1 to 5.4): weights to patch values, on the CPU.

Matrix products run in float32, where they are exact in any order because spec 4.5 bounds every
partial sum below 2^24. Everything else is integer code. Arrays hold the patches of a batch along
their last axis, so that every inner loop is a vector operation whatever the patch size.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from nvcodec.model.shape import NetworkShape
from nvcodec.model.weights import GroupWeights
from nvcodec.tables import load_table

SINE = load_table("sine.txt")
GELU = load_table("gelu.txt")
GELU_FLOAT = GELU.astype(np.float32)

Values = npt.NDArray[np.int16]

_BLAS = ThreadpoolController()


def time_code(frame: int, channel: int) -> int:
    """TimeCode of spec 5.4."""
    return int(SINE[(frame * (256 >> min(8, channel // 2)) + 256 * (channel % 2)) % 1024])


@numba.njit(nogil=True, cache=True)
def _sine(acc: int, scale: int, sine: np.ndarray) -> int:
    """SINE of an accumulator (spec 5.2); acc * scale may wrap, as its low 40 bits decide."""
    phase = (acc * scale + (1 << 23)) >> 24
    entry: int = sine[((phase + 32) >> 6) & 1023]
    return entry


@numba.njit(nogil=True, cache=True)
def _first_layer(
    cx: np.ndarray,
    cy: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    scale: int,
    sine: np.ndarray,
    out: np.ndarray,
) -> None:
    for r in range(out.shape[0]):
        wx, wy, b = np.int64(weights[r, 0]), np.int64(weights[r, 1]), bias[r]
        for n in range(out.shape[1]):
            out[r, n] = _sine(wx * cx[n] + wy * cy[n] + b, scale, sine)


@numba.njit(nogil=True, cache=True)
def _sine_layer(
    acc: np.ndarray, bias: np.ndarray, scale: int, sine: np.ndarray, out: np.ndarray
) -> None:
    for r in range(out.shape[0]):
        for n in range(out.shape[1]):
            out[r, n] = _sine(np.int64(acc[r, n]) + bias[r], scale, sine)


@numba.njit(nogil=True, cache=True)
def _linear(acc: np.ndarray, bias: np.ndarray, scale: int, limit: int, out: np.ndarray) -> None:
    """out[r, n] = Clip(-limit, limit, RShift((acc + bias) * Scale, 32)) (spec 5.3, H > 0)."""
    for r in range(out.shape[0]):
        for n in range(out.shape[1]):
            value = ((np.int64(acc[r, n]) + bias[r]) * scale + (1 << 31)) >> 32
            out[r, n] = min(limit, max(-limit, value))


@numba.njit(nogil=True, cache=True)
def _direct(
    acc: np.ndarray,
    bias: np.ndarray,
    scale: int,
    half: int,
    luma: np.ndarray,
    chroma: np.ndarray,
    first: int,
) -> None:
    """Rows (t, phase, gy, gx) to values of patches first.. (spec 5.3, H = 0)."""
    rows, count = acc.shape
    area = half * half
    for r in range(rows):
        t, phase = r // (6 * area), r // area % 6
        gy, gx = r // half % half, r % half
        for n in range(count):
            value = ((np.int64(acc[r, n]) + bias[r]) * scale + (1 << 31)) >> 32
            value = min(32767, max(-32768, value))
            if phase < 4:
                luma[t, first + n, 2 * gy + phase // 2, 2 * gx + phase % 2] = value
            else:
                chroma[t, phase - 4, first + n, gy, gx] = value


@numba.njit(nogil=True, cache=True)
def _spread_features(feature: np.ndarray, code: np.ndarray, out: np.ndarray) -> None:
    """Inputs of the upsampling block (spec 5.4), laid out so that 3 columns are 3 x 3 windows.

    out[gy, 1 + x, ky, c] is input[c] of column x in row gy + ky - 1, which has the time code
    added; out keeps its zeros elsewhere. feature (C, G, G, n) int32, out (G, G + 2, 3, C, n).
    """
    channels, half, _, count = feature.shape
    for y in range(half):
        for x in range(half):
            for c in range(channels):
                values = feature[c, y, x]
                centre = out[y, x + 1, 1, c]
                for n in range(count):
                    centre[n] = min(2047, max(-2047, values[n] + code[c]))
                if y > 0:
                    out[y - 1, x + 1, 2, c] = centre
                if y < half - 1:
                    out[y + 1, x + 1, 0, c] = centre


@numba.njit(nogil=True, cache=True)
def _spread_hidden(
    acc: np.ndarray, bias: np.ndarray, scale: int, gelu: np.ndarray, out: np.ndarray
) -> None:
    """The hidden values of spec 5.4, laid out so that 4 columns surround 2 x 2 samples.

    out[gy, 1 + x, r, h] is hidden[h] of column x in row 2 * gy - 1 + r; out keeps its zeros
    elsewhere. acc (G, G, 2, 2, H, n) and bias (2, 2, H) by (dy, dx, h); out (G, P + 2, 4, H, n).
    """
    half, _, _, _, heads, count = acc.shape
    # Two loops: LLVM makes vectors of the first one only when it looks nothing up.
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


@numba.njit(nogil=True, cache=True)
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
    """Windows of `width` columns every `step`, from (G, columns, rows, channels, n) without a copy.

    Returns (G, G, width * rows * channels, n): matrices that BLAS takes as they are.
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
        feature: npt.NDArray[np.int32],
        source: npt.NDArray[np.float32],
        hidden: npt.NDArray[np.float32],
        luma: Values,
        chroma: Values,
    ) -> None:
        """Values luma (n, P, P) and chroma (2, n, G, G) from feature (C, G, G, n).

        `source` and `hidden` are room from `_room`, for any number of frames one after another.
        """
        half, count = feature.shape[1], feature.shape[3]
        _spread_features(feature, self._code, source)
        acc = (self._first @ _windows(source, 1, 3)).reshape(half, half, 2, 2, -1, count)
        _spread_hidden(acc, self._first_bias, self._scales[0], GELU_FLOAT, hidden)
        acc = (self._second @ _windows(hidden, 2, 4)).reshape(half, half, 3, 4, count)
        _samples(acc, self._second_bias, self._scales[1], luma, chroma)


def _room(
    shape: NetworkShape, count: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Zeros for `_spread_features` and `_spread_hidden` of `count` patches."""
    half, channels, heads = shape.half, shape.stem_channels, shape.head_channels
    return (
        np.zeros((half, half + 2, 3, channels, count), np.float32),
        np.zeros((half, 2 * half + 2, 4, heads, count), np.float32),
    )


class SirenRenderer:
    """Evaluates one group's network for any patches and frames.

    `weights` shall keep spec 4.3 to 4.5 (`check_weights`): products are exact because they do.
    `threads` and `batch` (patches evaluated at once) change speed and memory only.
    """

    def __init__(self, weights: GroupWeights, threads: int = 1, batch: int = 64) -> None:
        shape = weights.shape
        self.shape = shape
        self._threads = threads
        self._batch = batch
        self._scales = [record.scale for record in weights.parameters]
        self._biases = [weights.shifted_bias(number) for number in range(shape.depth + 1)]
        matrices = weights.tensors[::2]
        self._first = matrices[0]
        self._matrices = [np.ascontiguousarray(m, np.float32) for m in matrices[: shape.depth + 1]]
        self._upsampling = (
            [_Upsampling(weights, frame) for frame in range(shape.group_frames)]
            if shape.head_channels
            else []
        )

    def values(
        self,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        frames: Sequence[int],
    ) -> tuple[Values, Values]:
        """Values (1/16 sample) of patches whose centre inputs (spec 5.2) are xs[n], ys[n].

        Returns luma (frames, n, P, P) and chroma (frames, 2, n, G, G), int16.
        """
        shape, count = self.shape, len(xs)
        luma = np.empty((len(frames), count, shape.patch, shape.patch), np.int16)
        chroma = np.empty((len(frames), 2, count, shape.half, shape.half), np.int16)
        starts = range(0, count, self._batch)

        def evaluate(start: int) -> None:
            stop = min(count, start + self._batch)
            self._evaluate(xs[start:stop], ys[start:stop], frames, luma, chroma, start)

        with _BLAS.limit(limits=1, user_api="blas"):
            if self._threads == 1 or len(starts) == 1:
                for start in starts:
                    evaluate(start)
            else:
                with ThreadPoolExecutor(self._threads) as pool:
                    list(pool.map(evaluate, starts))
        return luma, chroma

    def _evaluate(
        self,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        frames: Sequence[int],
        luma: Values,
        chroma: Values,
        first: int,
    ) -> None:
        shape, depth, count = self.shape, self.shape.depth, len(xs)
        outputs = np.empty((shape.width, count), np.float32)
        _first_layer(xs, ys, self._first, self._biases[0], self._scales[0], SINE, outputs)
        for number in range(1, depth):
            acc = self._matrices[number] @ outputs
            _sine_layer(acc, self._biases[number], self._scales[number], SINE, outputs)
        scale, bias = self._scales[depth], self._biases[depth]
        if not shape.head_channels:
            rows = 6 * shape.half**2
            for k, t in enumerate(frames):
                part = slice(t * rows, (t + 1) * rows)
                acc = self._matrices[depth][part] @ outputs
                _direct(
                    acc,
                    bias[part],
                    scale,
                    shape.half,
                    luma[k : k + 1],
                    chroma[k : k + 1],
                    first,
                )
            return
        acc = self._matrices[depth] @ outputs
        feature = np.empty((shape.stem_channels, shape.half, shape.half, count), np.int32)
        _linear(acc, bias, scale, 2047, feature.reshape(acc.shape))
        source, hidden = _room(shape, count)
        part = slice(first, first + count)
        for k, t in enumerate(frames):
            self._upsampling[t].evaluate(feature, source, hidden, luma[k, part], chroma[k, :, part])
