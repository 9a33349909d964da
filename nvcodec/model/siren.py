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

from nvcodec.model.weights import GroupWeights
from nvcodec.tables import load_table

SINE = load_table("sine.txt")
GELU = load_table("gelu.txt")

Values = npt.NDArray[np.int16]

_BLAS = ThreadpoolController()


def time_code(frame: int, channel: int) -> int:
    """TimeCode of spec 5.4."""
    return int(SINE[(frame * (256 >> min(8, channel // 2)) + 256 * (channel % 2)) % 1024])


@numba.njit(nogil=True, cache=True)
def _sine(acc: int, scale: int, sine: np.ndarray) -> int:
    phase = (acc * scale + (1 << 23)) >> 24
    return sine[((phase + 32) >> 6) & 1023]


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
def _convolve(
    source: np.ndarray, weights: np.ndarray, y: int, x: int, acc: np.ndarray, bias: int
) -> None:
    """3 x 3 product at (y, x): source (channels, size, size, n), weights (channels, 3, 3)."""
    channels, size = source.shape[0], source.shape[1]
    acc[:] = bias
    for c in range(channels):
        for ky in range(max(0, 1 - y), min(3, size + 1 - y)):
            for kx in range(max(0, 1 - x), min(3, size + 1 - x)):
                w = np.int32(weights[c, ky, kx])
                if w != 0:
                    row = source[c, y + ky - 1, x + kx - 1]
                    for n in range(acc.size):
                        acc[n] = np.int32(acc[n] + np.int32(w * row[n]))


@numba.njit(nogil=True, cache=True)
def _upsample(
    feature: np.ndarray,
    code: np.ndarray,
    first_weights: np.ndarray,
    first_bias: np.ndarray,
    first_scale: int,
    second_weights: np.ndarray,
    second_bias: np.ndarray,
    second_scale: int,
    gelu: np.ndarray,
    luma: np.ndarray,
    chroma: np.ndarray,
) -> None:
    """The upsampling block of one frame (spec 5.4).

    feature (C, G, G, n) int32; first_weights (H, 2, 2, C, 3, 3); second_weights (3, H, 3, 3);
    luma (n, P, P) and chroma (2, n, G, G) receive the values.
    """
    channels, half, _, count = feature.shape
    heads = first_weights.shape[0]
    size = 2 * half
    source = np.empty((channels, half, half, count), np.int32)
    for c in range(channels):
        for y in range(half):
            for x in range(half):
                for n in range(count):
                    source[c, y, x, n] = min(2047, max(-2047, feature[c, y, x, n] + code[c]))
    hidden = np.empty((heads, size, size, count), np.int32)
    acc = np.empty(count, np.int32)
    for h in range(heads):
        for dy in range(2):
            for dx in range(2):
                for y in range(half):
                    for x in range(half):
                        kernel = first_weights[h, dy, dx]
                        _convolve(source, kernel, y, x, acc, first_bias[h, dy, dx])
                        out = hidden[h, 2 * y + dy, 2 * x + dx]
                        for n in range(count):
                            value = (np.int64(acc[n]) * first_scale + (1 << 31)) >> 32
                            out[n] = gelu[min(2047, max(-2048, value)) + 2048]
    total = np.empty(count, np.int32)
    for plane in range(3):
        for gy in range(half):
            for gx in range(half):
                total[:] = 0
                for k in range(4):
                    y, x = 2 * gy + k // 2, 2 * gx + k % 2
                    _convolve(hidden, second_weights[plane], y, x, acc, second_bias[plane])
                    for n in range(count):
                        value = (np.int64(acc[n]) * second_scale + (1 << 31)) >> 32
                        value = min(32767, max(-32768, value))
                        if plane == 0:
                            luma[n, y, x] = value
                        total[n] += value
                if plane > 0:
                    for n in range(count):
                        chroma[plane - 1, n, gy, gx] = (total[n] + 2) >> 2


class SirenRenderer:
    """Evaluates one group's network for any patches and frames.

    `threads` and `batch` (patches evaluated at once) change speed and memory only.
    """

    def __init__(self, weights: GroupWeights, threads: int = 1, batch: int = 128) -> None:
        shape = weights.shape
        self.shape = shape
        self._threads = threads
        self._batch = batch
        self._scales = [record.scale for record in weights.parameters]
        self._biases = [
            bias.astype(np.int64) << record.bias_shift
            for bias, record in zip(weights.tensors[1::2], weights.parameters, strict=True)
        ]
        matrices = weights.tensors[::2]
        self._first = matrices[0]
        self._matrices = [np.ascontiguousarray(m, np.float32) for m in matrices[: shape.depth + 1]]
        if shape.head_channels:
            t, c, h = shape.group_frames, shape.stem_channels, shape.head_channels
            self._upsampling = (
                matrices[shape.depth + 1].reshape(t, h, 2, 2, c, 3, 3),
                self._biases[shape.depth + 1].reshape(t, h, 2, 2),
                matrices[shape.depth + 2].reshape(t, 3, h, 3, 3),
                self._biases[shape.depth + 2].reshape(t, 3),
            )
            self._codes = np.array([[time_code(k, i) for i in range(c)] for k in range(t)])

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
        feature = np.empty(acc.shape, np.int32)
        _linear(acc, bias, scale, 2047, feature)
        feature = feature.reshape(shape.stem_channels, shape.half, shape.half, count)
        weights1, bias1, weights2, bias2 = self._upsampling
        for k, t in enumerate(frames):
            _upsample(
                feature,
                self._codes[t],
                weights1[t],
                bias1[t],
                self._scales[depth + 1],
                weights2[t],
                bias2[t],
                self._scales[depth + 2],
                GELU,
                luma[k, first : first + count],
                chroma[k, :, first : first + count],
            )
