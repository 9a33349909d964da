"""A slow transcription of spec 9.3 to 9.5 in exact integers, sample by sample where it matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import HEIGHT, WIDTH, Q, X, Y
from nvcodec.model.hybrid.canvas.plane import Canvas
from nvcodec.model.hybrid.fusion.weights import FusionWeights
from nvcodec.picture import Planes, SampleFormat
from tests.model.hybrid.canvas.reference import pred

Ints = npt.NDArray[np.int64]
S6 = (40, 45, 51, 57, 64, 72)
STEP = [S6[q % 6] << (q // 6) for q in range(64)]
RECIPROCAL = [((1 << 22) + step // 2) // step for step in STEP]


def rshift(a: Ints, n: int | Ints) -> Ints:
    return (a + (1 << n >> 1)) >> n


def sites(planes: Sequence[npt.NDArray[np.integer]]) -> Ints:
    """The six planes of the grid."""
    luma, blue, red = (plane.astype(np.int64) for plane in planes)
    phases = [luma[dy::2, dx::2] for dy in range(2) for dx in range(2)]
    return np.stack([*phases, blue, red])


def high_pass(plane: npt.NDArray[np.integer]) -> Ints:
    padded = np.pad(plane.astype(np.int64), 2, "edge")
    height, width = plane.shape
    box = sum(padded[i : i + height, j : j + width] for i in range(5) for j in range(5))
    return 25 * plane.astype(np.int64) - box


def of_sites(planes: Sequence[npt.NDArray[np.integer]], fmt: SampleFormat) -> list[Ints]:
    """Planes with one sample of Cb and Cr for each site (spec 9.1)."""
    luma, *chroma = (plane.astype(np.int64) for plane in planes)
    rows, columns = luma.shape[0] // 2, luma.shape[1] // 2
    if fmt.chroma_format == 0:
        return [luma, *[np.full((rows, columns), fmt.middle)] * 2]
    if fmt.chroma_format == 2:
        chroma = [(plane[::2] + plane[1::2] + 1) >> 1 for plane in chroma]
    if fmt.chroma_format == 3:
        chroma = [
            (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2] + 2) >> 2
            for plane in chroma
        ]
    return [luma, *chroma]


def site_indices(
    leaves: npt.NDArray[np.int32], rows: int, columns: int, offset: int, extra: int = 0
) -> Ints:
    """Q of the six planes."""
    luma = np.zeros((rows, columns), np.int64)
    for leaf in leaves:
        y, x, tall, wide = leaf[[Y, X, HEIGHT, WIDTH]] // 2
        luma[y : y + tall, x : x + wide] = leaf[Q]
    luma -= 6 * extra
    return np.clip(np.stack([luma] * 4 + [luma + offset] * 2), 0, 63)


def warp(canvas: Canvas, references: Sequence[Planes], r: int) -> list[Ints]:
    """Planes of a canvas predicted by reference r, or the other one where that is not used."""
    planes = []
    for number, plane in enumerate(canvas.planes):
        across, down = canvas.format.plane_shift(number)
        tall, wide = 8 >> down, 8 >> across
        out = plane.astype(np.int64)
        for cy, cx in np.argwhere(canvas.direction):
            used = int(canvas.direction[cy, cx])
            source = r if used >> r & 1 else 1 - r
            place = [reference[number] for reference in (references[0], references[-1])]
            y, x = tall * cy, wide * cx
            v = canvas.vectors[:, cy, cx]
            s = pred(place, y, x, tall, wide, 1 << source, v, number > 0, canvas.format)
            shown = np.clip((s + 64) >> 7, 0, canvas.format.peak)
            out[y : y + tall, x : x + wide] = shown
        planes.append(out)
    return planes


def inputs(
    canvas: Canvas,
    leaves: npt.NDArray[np.int32],
    references: Sequence[Planes],
    chroma_offset: int,
) -> Ints:
    """The 18 input channels of all sites."""
    fmt = canvas.format
    extra = fmt.bit_depth - 8
    planes = of_sites(canvas.planes, fmt)
    rec = sites(planes)
    q = site_indices(leaves, *rec.shape[1:], chroma_offset, extra)
    factors = np.array(RECIPROCAL)[q]
    products = rshift(sites([high_pass(plane) for plane in planes]), extra) * factors
    assert np.abs(products).max() + (1 << 14) < 1 << 31
    a = rshift(products, 15)
    parts = [a]
    for r in range(2):
        d = np.zeros_like(rec)
        if references:
            d = sites(of_sites(warp(canvas, references, r), fmt)) - rec
        parts.append(rshift(d * factors, 10 + extra))
    return np.clip(np.concatenate(parts), -4095, 4095)


def convolve(weights: npt.NDArray[np.integer], x: Ints) -> Ints:
    """Sums of a layer (units, inputs, k, k) over planes that are 0 outside."""
    size = weights.shape[2]
    padded = np.pad(x, ((0, 0), *[(size // 2, size // 2)] * 2))
    height, width = x.shape[1:]
    total = np.zeros((len(weights), height, width), np.int64)
    for ky in range(size):
        for kx in range(size):
            shifted = padded[:, ky : ky + height, kx : kx + width]
            total += np.einsum("uc,cyx->uyx", weights[:, :, ky, kx].astype(np.int64), shifted)
    return total


def render(
    canvas: Canvas,
    leaves: npt.NDArray[np.int32],
    references: Sequence[Planes],
    chroma_offset: int,
    weights: FusionWeights,
) -> Planes:
    """The whole frame, of the coded size."""
    network = weights.of_set(canvas.step.set)
    x = inputs(canvas, leaves, references, chroma_offset)
    h = x
    for layer, (matrix, biases) in zip(weights.shape.hidden, network.hidden, strict=True):
        v = rshift(convolve(matrix, h) + biases[:, None, None].astype(np.int64), layer.shift)
        h = np.clip(np.maximum(v, v >> 3), -4095, 4095)
    output = network.output.astype(np.int64)
    o = convolve(output[:, 67:, None, None], h) + 64 * output[:, :1, None]
    o += convolve(output[:, 1:55].reshape(6, 6, 3, 3), x[:6])
    o += convolve(output[:, 55:67, None, None], x[6:])
    o = np.clip(rshift(o, weights.shape.output_shift), -16383, 16383)
    fmt = canvas.format
    extra = fmt.bit_depth - 8
    rec = sites(of_sites(canvas.planes, fmt))
    steps = np.array(STEP)[site_indices(leaves, *rec.shape[1:], chroma_offset, extra)]
    out = np.clip(rec + rshift(o * steps, 16 - extra), 0, fmt.peak).astype(fmt.dtype)
    luma = np.empty(canvas.planes[0].shape, fmt.dtype)
    for k in range(4):
        luma[k // 2 :: 2, k % 2 :: 2] = out[k]
    return (luma, out[4], out[5]) if fmt.chroma_format == 1 else (luma, *canvas.planes[1:])
