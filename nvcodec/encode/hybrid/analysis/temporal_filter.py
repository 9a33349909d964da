"""Pictures averaged along motion before they are coded (temporal filter).

What later canvases inherit from a canvas is best its share of all of them, not the picture at its
own time alone: noise that they do not share costs bits, and they would inherit it. So the source of
such a canvas is mixed with the pictures before and after it, moved along their motion.

Takes pictures and the quantiser map of the canvas; gives the picture to code. Distortion is still
measured against the source. A picture beside counts

* more, the more of a block's errors is inherited, which the map tells (quantisers);
* less, the more it differs, as a whole block and in a sample, against quantiser steps: what
  differs by more will be coded anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import HEIGHT, LAST_Q, LEAF_COLUMNS, WIDTH, Table, X, Y
from nvcodec.compiled import Integer, Real, allocating, kernel
from nvcodec.encode.distances import ANY, sad
from nvcodec.encode.hybrid.analysis.pyramid import LOOKAHEAD_MARGIN, Pyramid
from nvcodec.encode.hybrid.analysis.quantisers import QuantiserMap
from nvcodec.encode.hybrid.rate.tradeoff import CANVAS_STRENGTH, quantiser_index
from nvcodec.model.hybrid.canvas.inter import packed_motion, predict_rows
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.model.samples import plane_code
from nvcodec.picture import SampleFormat

REACH = 4
"""Pictures before and after a picture that it may be mixed with."""

_FALLS = (0.85, 0.57, 0.41, 0.33)
"""Weight of a picture by its distance, from 1 to REACH."""

_LEAST_TRUST = 0.4
"""Mean trust of a canvas (`trust_in_others`) below which nothing is filtered."""

_BLOCK_SCALE = 0.12
_SAMPLE_SCALE = 0.25
"""Mean squared difference of a block, and squared difference of a sample, in squared steps of
`tolerances`, that divide a weight by about e."""

_BLOCK = 16
"""Luma samples across a block that has one vector."""
_HALF = _BLOCK // 2
_MAP = 32
"""Luma samples across a block of the quantiser map."""

_FIRST_STEP = 4
"""First step of the search, in samples of luma at half size."""
_ROUNDS = 4
"""Most moves with one step length."""
_STEP_Y = (0, -1, 0, 1)
_STEP_X = (-1, 0, 1, 0)

Vectors = npt.NDArray[np.int16]
"""(rows, columns, y and x) of blocks of 16 x 16, in quarter luma samples."""


@kernel
def _around(
    plane: np.ndarray,
    at: Integer,
    reference: np.ndarray,
    stride: Integer,
    y: Integer,
    x: Integer,
    vy: Integer,
    vx: Integer,
) -> Integer:
    """SAD of a block at half size with a vector; ANY if that leaves the margin."""
    if y + vy < 0 or x + vx < 0 or y + vy + _HALF > plane.size // stride or x + vx + _HALF > stride:
        return ANY
    place = at + vy * stride + vx
    return sad(plane, at, stride, reference, place, stride, _HALF, _HALF, ANY)


@kernel
def _fraction(
    luma: np.ndarray, reference: np.ndarray, y: Integer, x: Integer, vy: Integer, vx: Integer
) -> tuple[Integer, Integer]:
    """The vector (y, x) in quarter samples of a block, from one in whole samples.

    One step of least squares on the gradients of the picture.
    """
    # Integers, so that the compiler may sum in any order; those of a row fit in 32 bits.
    sums = (np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0))
    for i in range(_BLOCK):
        above = luma[y + i - 1, x : x + _BLOCK]
        below = luma[y + i + 1, x : x + _BLOCK]
        line = luma[y + i, x - 1 : x + _BLOCK + 1]
        moved = reference[y + vy + i, x + vx : x + vx + _BLOCK]
        a = np.int32(0)
        b = np.int32(0)
        c = np.int32(0)
        d = np.int32(0)
        f = np.int32(0)
        for j in range(_BLOCK):
            down = np.int32(below[j]) - np.int32(above[j])
            across = np.int32(line[j + 2]) - np.int32(line[j])
            e = np.int32(line[j + 1]) - np.int32(moved[j])
            a = np.int32(a + down * down)
            b = np.int32(b + across * across)
            c = np.int32(c + down * across)
            d = np.int32(d + down * e)
            f = np.int32(f + across * e)
        sums = (sums[0] + a, sums[1] + b, sums[2] + c, sums[3] + d, sums[4] + f)
    yy, xx, yx, ye, xe = sums
    area = float(yy) * xx - float(yx) * yx
    fy = 0.0
    fx = 0.0
    if area > 1e-3 * yy * xx:
        # Gradients are over two samples.
        fy = min(max(2 * (float(xx) * ye - float(yx) * xe) / area, -0.75), 0.75)
        fx = min(max(2 * (float(yy) * xe - float(yx) * ye) / area, -0.75), 0.75)
    return 4 * vy + int(np.floor(4 * fy + 0.5)), 4 * vx + int(np.floor(4 * fx + 0.5))


@kernel
def _track(
    half: np.ndarray,
    other_half: np.ndarray,
    luma: np.ndarray,
    other: np.ndarray,
    growth: Real,
    vectors: np.ndarray,
) -> None:
    """Find `vectors` from a picture to another; they hold those to a nearer one, which grow."""
    stride = half.shape[1]
    plane = half.reshape(-1)
    reference = other_half.reshape(-1)
    height, width = luma.shape
    rows, columns, _ = vectors.shape
    for r in range(rows):
        for c in range(columns):
            y = LOOKAHEAD_MARGIN + _HALF * r
            x = LOOKAHEAD_MARGIN + _HALF * c
            at = y * stride + x
            best = _around(plane, at, reference, stride, y, x, 0, 0)
            by = 0
            bx = 0
            for k in range(3):
                vy = int(vectors[r, c, 0] * growth) >> 3
                vx = int(vectors[r, c, 1] * growth) >> 3
                if k == 1 and c > 0:
                    vy = vectors[r, c - 1, 0] >> 3
                    vx = vectors[r, c - 1, 1] >> 3
                elif k == 2 and r > 0:
                    vy = vectors[r - 1, c, 0] >> 3
                    vx = vectors[r - 1, c, 1] >> 3
                cost = _around(plane, at, reference, stride, y, x, vy, vx)
                if cost < best:
                    best = cost
                    by = vy
                    bx = vx
            step = _FIRST_STEP
            while step > 0:
                moved = True
                rounds = 0
                while moved and rounds < _ROUNDS:
                    moved = False
                    rounds += 1
                    cy = by
                    cx = bx
                    for k in range(4):
                        vy = cy + step * _STEP_Y[k]
                        vx = cx + step * _STEP_X[k]
                        cost = _around(plane, at, reference, stride, y, x, vy, vx)
                        if cost < best:
                            best = cost
                            by = vy
                            bx = vx
                            moved = True
                step >>= 1
            by *= 2
            bx *= 2
            y = _BLOCK * r
            x = _BLOCK * c
            vectors[r, c, 0] = 4 * by
            vectors[r, c, 1] = 4 * bx
            inside = min(y, x, y + by, x + bx) >= 1
            inside = inside and max(y, y + by) + _BLOCK < height
            if inside and max(x, x + bx) + _BLOCK < width:
                best = ANY
                cy = by
                cx = bx
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        place = (y + cy + dy) * width + x + cx + dx
                        cost = sad(
                            luma.reshape(-1),
                            y * width + x,
                            width,
                            other.reshape(-1),
                            place,
                            width,
                            _BLOCK,
                            _BLOCK,
                            best,
                        )
                        if cost < best:
                            best = cost
                            by = cy + dy
                            bx = cx + dx
                fy, fx = _fraction(luma, other, y, x, by, bx)
                vectors[r, c, 0] = fy
                vectors[r, c, 1] = fx


@allocating
def _mix(
    plane: np.ndarray,
    moved: np.ndarray,
    falls: np.ndarray,
    trust: np.ndarray,
    steps: np.ndarray,
    down: Integer,
    across: Integer,
    out: np.ndarray,
) -> None:
    """Mix a plane with others that are moved to it, (pictures, rows, columns).

    `trust` and `steps` are of blocks of 32 x 32 luma samples; `down` and `across` are log2 of luma
    samples per sample of the plane.
    """
    rows, columns = plane.shape
    tall = _BLOCK >> down
    wide = _BLOCK >> across
    total = np.empty((tall, wide), np.float32)
    count = np.empty((tall, wide), np.float32)
    one = np.float32(1)
    for y in range(0, rows, tall):
        for x in range(0, columns, wide):
            height = min(tall, rows - y)
            width = min(wide, columns - x)
            row = (y << down) // _MAP
            column = (x << across) // _MAP
            step = steps[row, column]
            by_sample = np.float32(0.25 / (_SAMPLE_SCALE * step * step))
            for i in range(height):
                for j in range(width):
                    total[i, j] = plane[y + i, x + j]
                    count[i, j] = one
            for k in range(len(moved)):
                error = np.int64(0)
                for i in range(height):
                    line = plane[y + i, x : x + width]
                    other = moved[k, y + i, x : x + width]
                    row_error = np.int32(0)
                    for j in range(width):
                        difference = np.int32(other[j]) - np.int32(line[j])
                        row_error = np.int32(row_error + difference * difference)
                    error += row_error
                near = error / (height * width) / (_BLOCK_SCALE * step * step)
                part = max(0.0, 1 - 0.25 * near) ** 4
                weight = np.float32(trust[row, column] * falls[k] * part)
                if weight < np.float32(0.01):
                    continue
                for i in range(height):
                    line = plane[y + i, x : x + width]
                    other = moved[k, y + i, x : x + width]
                    row_total = total[i]
                    row_count = count[i]
                    for j in range(width):
                        value = np.float32(other[j])
                        d = value - np.float32(line[j])
                        alike = max(np.float32(0), one - d * d * by_sample)
                        alike *= alike
                        w = weight * alike * alike
                        row_total[j] += w * value
                        row_count[j] += w
            for i in range(height):
                for j in range(width):
                    out[y + i, x + j] = np.int32(total[i, j] / count[i, j] + np.float32(0.5))


@lru_cache(maxsize=4)
def _leaves(width: int, height: int) -> Table:
    """Leaves of a coded size, of 16 where they fit, else of 8; predict_rows takes them."""
    whole = [(x, y, _BLOCK) for y in range(0, height, _BLOCK) for x in range(0, width, _BLOCK)]
    found = []
    for x, y, size in whole:
        if x + size <= width and y + size <= height:
            found.append((x, y, size))
            continue
        found += [
            (x + dx, y + dy, CELL)
            for dy in (0, CELL)
            for dx in (0, CELL)
            if x + dx < width and y + dy < height
        ]
    table = np.zeros((len(found), LEAF_COLUMNS), np.int32)
    table[:, [X, Y, WIDTH]] = found
    table[:, HEIGHT] = table[:, WIDTH]
    return table


def trust_in_others(q: QuantiserMap, crf: float) -> npt.NDArray[np.float32]:
    """How much pictures beside may count in each block, 0 to 1.

    It is the square of the share of the weight of errors that is other canvases'. `q` is a map for
    samples of 8 bits (`quantiser_maps`).
    """
    share = 1 - np.exp2(-_finer(q, crf) / CANVAS_STRENGTH)
    trust: npt.NDArray[np.float32] = np.square(share, dtype=np.float32)
    return trust


def tolerances(q: QuantiserMap, crf: float) -> QuantiserMap:
    """The quantiser indices of the steps that differences of pictures are measured against.

    They are halfway between those of the canvas and that of an unreferenced block: what is coded
    here is coded for canvases with coarser steps too. `q` is a map for samples of 8 bits.
    """
    halfway = q + 0.5 * _finer(q, crf)
    found: QuantiserMap = np.clip(np.floor(halfway + 0.5), 0, LAST_Q).astype(np.uint8)
    return found


def _finer(q: QuantiserMap, crf: float) -> npt.NDArray[np.float32]:
    """How many indices blocks are finer than an unreferenced one, at least 0."""
    finer: npt.NDArray[np.float32] = np.maximum(quantiser_index(crf) - q.astype(np.float32), 0)
    return finer


def filtered(
    source: Pyramid,
    before: Sequence[Pyramid],
    after: Sequence[Pyramid],
    q: QuantiserMap,
    trust: npt.NDArray[np.float32],
    sample_format: SampleFormat,
) -> Pyramid:
    """The picture to code in place of `source`, with the same smaller luma.

    `before` and `after` are up to REACH pictures each, the nearest first. `q` are the `tolerances`
    of the canvas in indices of the sample format, `trust` is its `trust_in_others`.
    """
    others = [(k, other) for side in (before, after) for k, other in enumerate(side[:REACH])]
    if not others or trust.mean() < _LEAST_TRUST:
        return source
    height, width = source.planes[0].shape
    leaves = _leaves(width, height)
    rows = -(-height // ROOT)
    blocks = -(-height // _BLOCK), -(-width // _BLOCK)
    moved = [np.empty((len(others), *plane.shape), plane.dtype) for plane in source.planes]
    vectors: Vectors = np.zeros((*blocks, 2), np.int16)
    direction = np.ones((height // CELL, width // CELL), np.uint8)
    for number, (k, other) in enumerate(others):
        if k == 0:
            vectors[:] = 0
        growth = (k + 1) / max(k, 1)
        _track(source.half, other.half, source.planes[0], other.planes[0], growth, vectors)
        cells = vectors.repeat(2, 0).repeat(2, 1)[: height // CELL, : width // CELL]
        packed = packed_motion(direction, np.stack([cells, -cells]))
        for p, plane in enumerate(other.planes):
            code = plane_code(sample_format, p)
            predict_rows(code, leaves, 0, rows, packed, plane, plane, moved[p][number])
    falls = np.array([_FALLS[k] for k, _ in others])
    steps = REAL_STEP[q]
    planes = []
    for p, plane in enumerate(source.planes):
        across, down = sample_format.plane_shift(p)
        out = np.empty_like(plane)
        _mix(plane, moved[p], falls, trust, steps, down, across, out)
        planes.append(out)
    return replace(source, planes=tuple(planes))
