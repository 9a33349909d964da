"""A test of every kernel on a device against NumPy, with the extremes that spec 4.5 allows.

Compilers and tensor cores differ, so exactness is tested on the device itself. `require_equal` runs
once for each network shape, before its first rendering, on kernels compiled for that shape. The
unit tests run the same `CHECKS` with random shapes in Triton's interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.format import UnsupportedError
from nvcodec.model.cuda import launch
from nvcodec.model.cuda.launch import Dense, Patches, padded
from nvcodec.model.cuda.renderer import hidden_layer, output_layer, tables, time_codes
from nvcodec.model.sine.layers import GELU, SINE
from nvcodec.model.sine.shape import BOUND, MAX_BIAS, NetworkShape
from nvcodec.model.sine.weights import MAX_STEP, T6

Sums = npt.NDArray[np.int64]
Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]
Check = Callable[[NetworkShape, torch.device, np.random.Generator, bool], Pair]

_SINE_BITS = 30
"""With a scale of 2^30 the sine depends on the last ten bits of a sum."""

_LINEAR_BITS = 32
"""With a scale of 2^32 the result is the sum itself, unless it is clipped."""


@lru_cache
def require_equal(shape: NetworkShape, device: torch.device) -> None:
    """Raise UnsupportedError unless all kernels of a network are exact on this device."""
    for name in used_by(shape):
        for exact in (True, False):
            got, expected = CHECKS[name](shape, device, np.random.default_rng(0), exact)
            if not np.array_equal(got, expected):
                raise UnsupportedError(
                    f"device cuda: the kernel {name} does not compute exactly here; use cpu"
                )


def used_by(shape: NetworkShape) -> list[str]:
    """The names of the checks whose kernels a network needs."""
    return [name for name in CHECKS if name != "sine_layer" or shape.depth > 1]


def _scale(rng: np.random.Generator, bits: int, exact: bool) -> int:
    """A scale of spec 4.3: 2^bits if `exact`, else a random one, often the largest."""
    step = 6 * (bits - 14) if exact else min(MAX_STEP, int(rng.integers(2 * MAX_STEP)))
    return T6[step % 6] << (step // 6)


def _scaled(acc: npt.NDArray[np.int64], scale: int, low: int, high: int) -> npt.NDArray[np.int64]:
    result: npt.NDArray[np.int64] = np.clip((acc * scale + (1 << 31)) >> 32, low, high)
    return result


def _sines(acc: npt.NDArray[np.int64], scale: int) -> npt.NDArray[np.int32]:
    # Python's integers: the products of layer 0 need more than 64 bits.
    phase = (acc.astype(object) * scale + (1 << 23)) >> 24
    return SINE[(((phase + 32) >> 6) % 1024).astype(np.int64)]


def _matrix(
    rng: np.random.Generator, rows: int, columns: int, most: int, most_input: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Weights and shifted biases whose sums come as near to the bound of spec 4.5 as possible.

    Rows hold few weights of the greatest magnitude, many small ones, or both.
    """
    room = (BOUND - 1) // most_input
    share = rng.choice([0, 1, 2, 8], (rows, 1)) / 2
    matrix = np.minimum(rng.integers(0, most + 1, (rows, columns)) * share, most).astype(np.int64)
    matrix[rng.random(matrix.shape) < 0.1] = most
    order = rng.permuted(np.broadcast_to(np.arange(columns), matrix.shape), axis=1)
    ordered = np.take_along_axis(matrix, order, 1)
    # A row takes its weights in random order while they fit, then weights of 1.
    before = np.cumsum(ordered, axis=1) - ordered
    rest = np.arange(columns, 0, -1) - 1
    np.put_along_axis(matrix, order, np.clip(room - rest - before, 0, ordered), 1)
    left = room - matrix.sum(axis=1)
    zero = np.equal(matrix, 0)
    matrix += zero & (np.cumsum(zero, axis=1) <= left[:, None])
    matrix = matrix * rng.choice([-1, 1], matrix.shape)
    most_bias = np.minimum(BOUND - 1 - np.abs(matrix).sum(axis=1) * most_input, MAX_BIAS << 9)
    biases = most_bias * rng.choice([-1, 1], rows)
    return matrix.astype(np.int32), biases


def _inputs(
    rng: np.random.Generator, matrix: npt.NDArray[np.int32], count: int, most: int
) -> npt.NDArray[np.int64]:
    """Inputs (count, columns): random ones, and ones that make a row's sum as large as possible."""
    rows, columns = matrix.shape
    inputs = rng.integers(-most, most + 1, (count, columns))
    for k in range(count):
        if k % 4:
            inputs[k] = np.where(matrix[rng.integers(rows)] < 0, -most, most) * (-1) ** (k // 4)
        if k % 4 > 1:
            moved = rng.random(inputs.shape[1:]) < 0.1
            inputs[k, moved] = rng.choice([-1, 0, 1], int(moved.sum()))
    return inputs


def _cancel(
    rng: np.random.Generator, sums: npt.NDArray[np.int64], biases: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Biases; half of them bring a large sum (cells, rows) of their row back to a small one.

    Otherwise sums near the bound would be clipped, which hides errors in their last bits.
    """
    cells = rng.integers(len(sums), size=(8, len(biases)))
    candidates = np.take_along_axis(sums, cells, 0)
    great = np.take_along_axis(candidates, np.abs(candidates).argmax(axis=0)[None], 0)[0]
    back = rng.integers(-300, 1500, len(biases)) - great
    return np.where(rng.random(len(biases)) < 0.5, back, biases)


def dense(
    rng: np.random.Generator,
    size: tuple[int, int],
    count: int,
    device: torch.device,
    scale: int,
) -> tuple[Dense, torch.Tensor, npt.NDArray[np.int64]]:
    """A random layer of (rows, columns), inputs on the device, and the sums (count, rows)."""
    rows, columns = size
    matrix, biases = _matrix(rng, rows, columns, 127, 127)
    inputs = _inputs(rng, matrix, count, 127)
    acc = (inputs.astype(np.float64) @ matrix.T.astype(np.float64)).astype(np.int64)
    biases = _cancel(rng, acc, biases)
    layer = Dense.of(matrix, biases, scale, device)
    uploaded = layer.inputs(count)
    # Values in the padding must have no effect.
    uploaded.fill_(-128)
    uploaded[:count, :columns] = torch.from_numpy(inputs.astype(np.int8)).to(device)
    return layer, uploaded, acc + biases


def _first_layer(
    shape: NetworkShape, device: torch.device, rng: np.random.Generator, exact: bool
) -> Pair:
    width = shape.width
    matrix = rng.choice([-2047, 2047, 1], (width, 2)) * rng.integers(0, 2, (width, 2))
    matrix[rng.random(matrix.shape) < 0.5] = rng.integers(-2047, 2048)
    biases = rng.integers(-MAX_BIAS, MAX_BIAS + 1, width) << rng.choice([0, 7, 20], width)
    scale = _scale(rng, _SINE_BITS, exact)
    down, across = (int(size) for size in rng.choice([1, 2, 7, 60, 4093, 32767], 2))
    rows, columns = min(3, down), min(5, across)
    patches = Patches(down - rows, across - columns, rows, columns, down, across)
    first = int(rng.integers(patches.count))
    count = patches.count - first
    out = _unused(shape, 1, count, device)
    launch.first_layer(
        torch.from_numpy(matrix.astype(np.int32)).to(device),
        torch.from_numpy(biases).to(device),
        torch.tensor([scale], device=device),
        tables(device)[0],
        patches,
        first,
        count,
        out,
    )
    number = np.arange(first, first + count)
    x = (2 * (patches.left + number % columns) + 1) * 32768 // across - 32768
    y = (2 * (patches.top + number // columns) + 1) * 32768 // down - 32768
    expected = _sines(np.stack([x, y], 1) @ matrix.T + biases, scale)
    return _with_rest(out, expected, count)


def _sine_layer(
    shape: NetworkShape, device: torch.device, rng: np.random.Generator, exact: bool
) -> Pair:
    count = 5
    scale = _scale(rng, _SINE_BITS, exact)
    layer, inputs, acc = dense(rng, (shape.width, shape.width), count, device, scale)
    out = _unused(shape, shape.depth, count, device)
    launch.sine_layer(layer, tables(device)[0], inputs, count, out)
    return _with_rest(out, _sines(acc, scale), count)


def _unused(shape: NetworkShape, number: int, count: int, device: torch.device) -> torch.Tensor:
    """An uninitialised array for the inputs of layer `number`."""
    pitch = padded(shape.layers[number].columns, launch.DEPTH)
    return torch.full((count, pitch), 99, dtype=torch.int8, device=device)


def _with_rest(out: torch.Tensor, expected: npt.NDArray[np.int32], count: int) -> Pair:
    """The computed tensor, and the expected one with all other elements unchanged."""
    whole = np.full(out.shape, 99)
    whole[:count, : expected.shape[1]] = expected
    return out.cpu().numpy(), whole


def _expand_sources(
    shape: NetworkShape, device: torch.device, rng: np.random.Generator, exact: bool
) -> Pair:
    count, half, channels = 3, shape.half, shape.stem_channels
    rows = half**2 * channels
    scale = _scale(rng, _LINEAR_BITS, exact)
    layer, inputs, acc = dense(rng, (rows, shape.width), count, device, scale)
    first = int(rng.integers(shape.group_frames))
    frames = min(2, shape.group_frames - first)
    codes = time_codes(shape, device)
    sources = torch.zeros((count, frames, half, half, channels), dtype=torch.float16, device=device)
    launch.expand_sources(layer, codes, inputs, count, first, sources)
    maps = _scaled(acc, scale, -2047, 2047).reshape(count, 1, half, half, channels)
    code = codes.cpu().numpy()[None, first : first + frames, None, None]
    return sources.cpu().numpy(), np.clip(maps + code, -2047, 2047)


def _correlate(
    samples: npt.NDArray[np.int64], matrix: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Sums of 3 x 3 windows: samples (n, frames, y, x, c), matrix (frames, rows, c * 9)."""
    n, frames, height, width, channels = samples.shape
    weights = matrix.reshape(frames, -1, channels, 3, 3).astype(np.float64)
    edged = np.pad(samples, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))).astype(np.float64)
    acc = np.zeros((n, frames, height, width, weights.shape[1]))
    for ky in range(3):
        for kx in range(3):
            part = edged[:, :, ky : ky + height, kx : kx + width]
            taps = weights[:, :, :, ky, kx].transpose(0, 2, 1)
            acc += (part.reshape(n, frames, -1, channels) @ taps).reshape(acc.shape)
    return acc.astype(np.int64)


def _samples(
    rng: np.random.Generator, matrix: npt.NDArray[np.int32], count: int, side: int
) -> npt.NDArray[np.int64]:
    """Samples (count, frames, side, side, channels), some windows with the largest sums."""
    frames, _, columns = matrix.shape
    channels = columns // 9
    samples = rng.integers(-2047, 2048, (count, frames, side, side, channels))
    samples[rng.random(samples.shape) < 0.2] = rng.choice([-2047, 2047, 1])
    for frame in range(frames):
        for y in range(0, side - 2, 3):
            for x in range(0, side - 2, 3):
                window = _inputs(rng, matrix[frame], count, 2047)
                window = window[rng.permutation(count)].reshape(count, channels, 3, 3)
                samples[:, frame, y : y + 3, x : x + 3] = window.transpose(0, 2, 3, 1)
    return samples


def _short(shape: NetworkShape) -> NetworkShape:
    """The shape with at most two frames and the same upsampling block."""
    frames = min(2, shape.group_frames)
    return NetworkShape(shape.patch, frames, 1, 1, shape.stem_channels, shape.head_channels)


def _windowed(
    shape: NetworkShape, number: int, count: int, side: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64], Sums]:
    """A layer of 3 x 3 windows: matrix, biases, samples (count, frames, y, x, c) and their sums."""
    layer, frames = shape.layers[number], shape.group_frames
    matrix, biases = _matrix(rng, layer.rows, layer.columns, layer.max_weight, layer.max_input)
    by_frame = matrix.reshape(frames, -1, layer.columns)
    samples = _samples(rng, by_frame, count, side)
    acc = _correlate(samples, by_frame)
    each = biases.reshape(frames, -1)
    for frame in range(frames):
        each[frame] = _cancel(rng, acc[:, frame].reshape(-1, each.shape[1]), each[frame])
    return matrix, each.ravel(), samples, acc + each.reshape(frames, 1, 1, -1)


def _hidden_layer(
    shape: NetworkShape, device: torch.device, rng: np.random.Generator, exact: bool
) -> Pair:
    shape = _short(shape)
    count, half, patch, heads = 3, shape.half, shape.patch, shape.head_channels
    scale = _scale(rng, _LINEAR_BITS, exact)
    matrix, biases, samples, acc = _windowed(shape, 2, count, half, rng)
    frames, first = shape.group_frames, shape.group_frames - 1
    layer = hidden_layer(shape, matrix, biases, scale, device)
    hidden = torch.zeros((count, 1, patch, patch, heads), dtype=torch.float16, device=device)
    sources = torch.from_numpy(samples[:, first:].astype(np.float16)).to(device)
    launch.hidden_layer(layer, tables(device)[1], sources, count, first, hidden)
    acc = acc.reshape(count, frames, half, half, heads, 2, 2).transpose(0, 1, 2, 5, 3, 6, 4)
    expected = GELU[_scaled(acc, scale, -2048, 2047) + 2048]
    expected = expected.reshape(count, frames, patch, patch, heads)
    return hidden.cpu().numpy(), expected[:, first:]


def _output_layer(
    shape: NetworkShape, device: torch.device, rng: np.random.Generator, exact: bool
) -> Pair:
    shape = _short(shape)
    count, half, patch, frames = 3, shape.half, shape.patch, shape.group_frames
    scale = _scale(rng, _LINEAR_BITS, exact)
    matrix, biases, samples, acc = _windowed(shape, 3, count, patch, rng)
    layer = output_layer(shape, matrix, biases, scale, device)
    hidden = torch.from_numpy(samples.astype(np.float16)).to(device)
    values = torch.zeros((count + 1, frames, 6 * half**2), dtype=torch.int16, device=device)
    launch.output_layer(layer, hidden, count, 0, 1, values)
    expected = _scaled(acc, scale, -32768, 32767)
    fours = expected[..., 1:].reshape(count, frames, half, 2, half, 2, 2).sum(axis=(3, 5))
    chroma = ((fours + 2) >> 2).transpose(0, 1, 4, 2, 3).reshape(count, frames, -1)
    luma = expected[..., 0].reshape(count, frames, -1)
    return values[1:].cpu().numpy(), np.concatenate([luma, chroma], axis=2)


def _place_samples(
    shape: NetworkShape, device: torch.device, rng: np.random.Generator, _: bool
) -> Pair:
    frames, patch, area = 2, shape.patch, shape.half**2
    width, height = (int(rng.integers(1, 5 * patch)) for _ in range(2))
    top, left = (2 * int(rng.integers(-(-size // 2))) for size in (height, width))
    (y0, y1), (x0, x1) = shape.patches_covering(top, height), shape.patches_covering(left, width)
    patches = Patches(y0, x0, y1 - y0, x1 - x0, shape.patches(height), shape.patches(width))
    values = rng.choice([-32768, 32767, -2048, 2047, 0], (patches.count, frames, 6 * area))
    mixed = rng.random(values.shape) < 0.7
    values[mixed] = rng.integers(-2500, 2500, int(mixed.sum()))
    uploaded = torch.from_numpy(values.astype(np.int16)).to(device)
    parts: tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]] = ([], [])
    for sub in (1, 2):
        rows, columns = -(-(height - top) // sub), -(-(width - left) // sub)
        planes = torch.zeros((frames, sub, rows + 1, columns), dtype=torch.uint8, device=device)
        corner = top // sub, left // sub
        launch.place_samples(uploaded, patches, corner, 1, rows, planes)
        parts[0].append(planes[:, :, 1:].cpu().numpy())
        side = patch // sub
        part = values[:, :, : patch**2] if sub == 1 else values[:, :, patch**2 :]
        part = part.reshape(y1 - y0, x1 - x0, frames, sub, side, side)
        # All samples of the patches, then those of the region.
        whole = part.transpose(2, 3, 0, 4, 1, 5).reshape(frames, sub, (y1 - y0) * side, -1)
        y, x = corner[0] - y0 * side, corner[1] - x0 * side
        region = whole[:, :, y : y + rows, x : x + columns]
        parts[1].append(np.clip((region + 2048 + 8) >> 4, 0, 255))
    return (
        np.concatenate([part.ravel() for part in parts[0]]),
        np.concatenate([part.ravel() for part in parts[1]]),
    )


def _filter_axis(
    _: NetworkShape, device: torch.device, rng: np.random.Generator, exact: bool
) -> Pair:
    rows, columns, count, taps = 9, 150, 135, 6 if exact else 37
    samples = rng.choice([0, 255, 128], (rows, columns))
    start = rng.integers(0, columns - taps + 1, count)
    coefficients = rng.integers(-(1 << 15) // taps, (1 << 15) // taps, (count, taps))
    plane = torch.from_numpy(samples.astype(np.uint8)).to(device)
    plan = (
        torch.from_numpy(start.astype(np.int32)).to(device),
        torch.from_numpy(coefficients.astype(np.int16)).to(device),
    )
    reach = start[:, None] + np.arange(taps)
    mid = launch.filter_axis(plane[1:, :], *plan, vertical=False)
    expected_mid = ((samples[1:, reach] * coefficients).sum(axis=2) + 128) >> 8
    # Along columns, the same plan needs as many rows as it had columns.
    tall = np.resize(expected_mid, (columns, 20))
    uploaded = torch.from_numpy(tall.astype(np.int16)).to(device)
    out = launch.filter_axis(uploaded, *plan, vertical=True)
    expected = ((tall[reach] * coefficients[:, :, None]).sum(axis=1) + (1 << 19)) >> 20
    return (
        np.concatenate([mid.cpu().numpy().ravel(), out.cpu().numpy().ravel()]),
        np.concatenate([expected_mid.ravel(), np.clip(expected, 0, 255).ravel()]),
    )


CHECKS: dict[str, Check] = {
    "first_layer": _first_layer,
    "sine_layer": _sine_layer,
    "expand_sources": _expand_sources,
    "hidden_layer": _hidden_layer,
    "output_layer": _output_layer,
    "place_samples": _place_samples,
    "filter_axis": _filter_axis,
}
"""Functions that return the result of a kernel and the expected one.

They take a shape, a device, a random generator, and whether to use a scale that keeps the last bits
of sums visible instead of a random one.
"""
