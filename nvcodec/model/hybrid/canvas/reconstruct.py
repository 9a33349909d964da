"""A canvas from its coded values (spec 8.1): runs this package's stages in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.filters import Filters
from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    COPY,
    CUT,
    FIRST,
    HEIGHT,
    INTRA,
    LINEAR,
    MODE,
    PALETTE,
    SINE,
    UNIT_COUNT,
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_START,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    UNIT_X,
    UNIT_Y,
    UNITS,
    VX0,
    VY0,
    WIDTH,
    Q,
    X,
    Y,
)
from nvcodec.coding.hybrid.secondary import NO_MODE
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.adaptive_filter import adaptively_filtered
from nvcodec.model.hybrid.canvas.copying import copy_block
from nvcodec.model.hybrid.canvas.deblocking import (
    edge_strengths,
    filter_chroma,
    filter_luma,
    transform_areas,
)
from nvcodec.model.hybrid.canvas.inter import packed_motion, predict_rows
from nvcodec.model.hybrid.canvas.intra import intra_block, intra_scratch
from nvcodec.model.hybrid.canvas.linear import linear_predict
from nvcodec.model.hybrid.canvas.motion import motion_of_leaves
from nvcodec.model.hybrid.canvas.palette import paint
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT, Canvas, Step
from nvcodec.model.hybrid.canvas.projection import projected_motion
from nvcodec.model.hybrid.canvas.quantiser import plane_index
from nvcodec.model.hybrid.canvas.secondary import secondary_of
from nvcodec.model.hybrid.canvas.transform import add_unit, transform_scratch
from nvcodec.model.samples import plane_code, plane_number, plane_shift
from nvcodec.picture import YUV420P8, Plane, SampleFormat

Table = npt.NDArray[np.int32]

_BANDS = 8
"""Most parts that a plane is cut into for a pool of threads."""


@kernel
def _log2(n: Integer) -> Integer:
    return 2 if n == 4 else 3 if n == 8 else 4 if n == 16 else 5


@kernel
def add_numbered(
    code: Integer,
    units: np.ndarray,
    number: Integer,
    levels: np.ndarray,
    mode: Integer,
    index: Integer,
    coefficients: np.ndarray,
    sums: np.ndarray,
    plane: np.ndarray,
) -> None:
    """Add the residual of unit `number` of a table.

    `code` is that of its plane (`plane_code`), `mode` its intra mode or NO_MODE, `index`
    its plane's quantiser index.
    """
    start = np.int64(units[number, UNIT_START])
    transform = np.int64(units[number, UNIT_TRANSFORM])
    add_unit(
        code,
        levels,
        start,
        start + np.int64(units[number, UNIT_COUNT]),
        _log2(units[number, UNIT_WIDTH]),
        _log2(units[number, UNIT_HEIGHT]),
        1 if transform == SINE else 0,
        secondary_of(mode, transform),
        index,
        coefficients,
        sums,
        plane,
        np.int64(units[number, UNIT_Y]),
        np.int64(units[number, UNIT_X]),
    )


@allocating
def add_residuals(
    leaves: np.ndarray,
    units: np.ndarray,
    levels: np.ndarray,
    row0: Integer,
    row1: Integer,
    code: Integer,
    chroma_offset: Integer,
    plane: np.ndarray,
) -> None:
    """Add to a plane the residuals of inter leaves in rows row0..row1-1 of root blocks.

    `code` is the plane's (`plane_code`).
    """
    number = plane_number(code)
    coefficients, sums = transform_scratch()
    for n in range(len(leaves)):
        y = leaves[n, Y]
        if leaves[n, INTRA] or y < row0 * ROOT or y >= row1 * ROOT:
            continue
        index = plane_index(np.int64(leaves[n, Q]), code, chroma_offset)
        for k in range(leaves[n, FIRST], leaves[n, FIRST] + leaves[n, UNITS]):
            if units[k, UNIT_PLANE] == number:
                add_numbered(code, units, k, levels, NO_MODE, index, coefficients, sums, plane)


@allocating
def reconstruct_intra(
    leaves: np.ndarray,
    units: np.ndarray,
    levels: np.ndarray,
    code: Integer,
    chroma_offset: Integer,
    available: np.ndarray,
    plane: np.ndarray,
    luma: np.ndarray,
) -> None:
    """Reconstruct the intra leaves of a plane, after all inter leaves.

    `code` is the plane's (`plane_code`). `available` (see `intra_references`) is set for inter
    leaves before; this sets it for the intra leaves. `luma` is the plane of luma, which has to be
    reconstructed before chroma is; luma itself does not look at it.
    """
    coefficients, sums = transform_scratch()
    edge, smoothed, line, out = intra_scratch(plane)
    across, down = plane_shift(code)
    number = plane_number(code)
    for n in range(len(leaves)):
        if not leaves[n, INTRA]:
            continue
        index = plane_index(np.int64(leaves[n, Q]), code, chroma_offset)
        # In 4:2:2 there are two blocks of chroma, one above the other.
        wide: Integer = np.int64(leaves[n, WIDTH]) >> across
        tall: Integer = np.int64(leaves[n, HEIGHT]) >> across
        left, top = np.int64(leaves[n, X]) >> across, np.int64(leaves[n, Y]) >> down
        blocks, columns = 1 << (across - down), 1
        if leaves[n, CUT] and number == 0:
            blocks, columns, wide, tall = 4, 2, 4, 4
            if leaves[n, CUT] == 2:
                blocks, columns, wide = 2, 1, 8
            elif leaves[n, CUT] == 3:
                blocks, tall = 2, 8
        unit, end = np.int64(leaves[n, FIRST]), np.int64(leaves[n, FIRST] + leaves[n, UNITS])
        for k in range(blocks):
            y, x = top + tall * (k // columns), left + wide * (k % columns)
            mode = np.int64(leaves[n, CHROMA] if number else leaves[n, MODE + k])
            while unit < end and units[unit, UNIT_PLANE] < number:
                unit += 1
            if mode == COPY:
                vy, vx = np.int64(leaves[n, VY0]), np.int64(leaves[n, VX0])
                copy_block(plane, available, code, y, x, wide, vy, vx, out)
            elif mode == PALETTE:
                paint(units, levels, unit, out)
            elif mode >= LINEAR:
                linear_predict(mode, luma, plane, code, y, x, wide, tall, out)
            else:
                intra_block(
                    mode, plane, available, code, y, x, wide, tall, edge, smoothed, line, out
                )
            for i in range(tall):
                for j in range(wide):
                    plane[y + i, x + j] = out[i, j]
            if (
                unit < end
                and units[unit, UNIT_PLANE] == number
                and units[unit, UNIT_X] == x
                and units[unit, UNIT_Y] == y
            ):
                if mode != PALETTE:
                    add_numbered(code, units, unit, levels, mode, index, coefficients, sums, plane)
                unit += 1
            shift_y, shift_x = 2 - down, 2 - across
            for i in range(y >> shift_y, (y + tall) >> shift_y):
                for j in range(x >> shift_x, (x + wide) >> shift_x):
                    available[i, j] = 1


def _run(pool: Executor | None, calls: Sequence[Callable[[], Any]]) -> None:
    if pool is None:
        for call in calls:
            call()
        return
    for done in [pool.submit(call) for call in calls]:
        done.result()


def _bands(count: int, pool: Executor | None) -> list[tuple[int, int]]:
    parts = min(count, _BANDS) if pool else 1
    edges = [count * k // parts for k in range(parts + 1)]
    return list(pairwise(edges))


def canvas_motion(
    leaves: Table, step: Step, references: Sequence[Canvas], cells: tuple[int, int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """Direction and vectors of a Canvas; `cells` are its rows and columns of cells."""
    direction = np.zeros(cells, np.uint8)
    vectors = np.zeros((2, *cells, 2), np.int16)
    if step.set > 0:
        projected = projected_motion(step, references)
        motion_of_leaves(leaves, 1 if step.set == 1 else 3, projected, direction, vectors)
    return direction, vectors


def reconstruct(
    leaves: Table,
    units: Table,
    levels: Table,
    step: Step,
    references: Sequence[Canvas],
    size: tuple[int, int],
    chroma_offset: int,
    pool: Executor | None = None,
    deblocking: bool = True,
    sample_format: SampleFormat = YUV420P8,
    filters: Filters | None = None,
) -> Canvas:
    """The canvas of a step of a group from its tables (`nvcodec.coding.hybrid.leaves`).

    `references` are the canvases of the step's references, in order; `size` is (CodedWidth,
    CodedHeight), `sample_format` that of the canvases. With a pool of threads, parts of the canvas
    are done in parallel; the result is the same. `filters` are its adaptive filters, if it has any.
    `deblocking` False leaves out spec 8.7, to measure what it is worth; a decoder never does that.
    """
    width, height = size
    rows, columns = height // CELL, width // CELL
    planes = sample_format.empty(width, height)
    numbers = range(sample_format.planes)
    codes = [plane_code(sample_format, number) for number in numbers]
    direction, vectors = canvas_motion(leaves, step, references, (rows, columns))
    bands = _bands(-(-height // ROOT), pool)
    if step.set > 0:
        packed = packed_motion(direction, vectors)
        sources = references[0].planes, references[-1].planes

        def band(number: int, row0: int, row1: int) -> None:
            first, second, plane = sources[0][number], sources[1][number], planes[number]
            predict_rows(codes[number], leaves, row0, row1, packed, first, second, plane)
            add_residuals(leaves, units, levels, row0, row1, codes[number], chroma_offset, plane)

        _run(pool, [partial(band, number, *rows) for number in numbers for rows in bands])
    if step.set == 0 or leaves[:, INTRA].any():

        def intra(number: int) -> None:
            available = np.repeat(np.repeat((direction > 0).astype(np.uint8), 2, 0), 2, 1)
            plane, code = planes[number], codes[number]
            reconstruct_intra(
                leaves, units, levels, code, chroma_offset, available, plane, planes[0]
            )

        # Chroma may be predicted from luma.
        intra(0)
        _run(pool, [partial(intra, number) for number in numbers[1:]])
    if deblocking:
        edges = Edges.of(leaves, units, direction, vectors, sample_format, chroma_offset)
        for horizontal in (False, True):
            _run(
                pool,
                [
                    partial(edges.filter, number, planes[number], horizontal, *part)
                    for number in numbers
                    for part in _bands(rows, pool)
                ],
            )
    if filters:
        planes = adaptively_filtered(planes, filters, sample_format)
    return Canvas(planes, direction, vectors, step, sample_format)


@dataclass(frozen=True, eq=False)
class Edges:
    """The edges that are deblocked in a canvas (spec 8.7).

    `strengths` are those of vertical, then of horizontal edges; `indices` are the quantiser indices
    of cells.
    """

    strengths: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.uint8]
    format: SampleFormat
    chroma_offset: int

    @classmethod
    def of(
        cls,
        leaves: Table,
        units: Table,
        direction: npt.NDArray[np.uint8],
        vectors: npt.NDArray[np.int16],
        sample_format: SampleFormat,
        chroma_offset: int,
    ) -> Edges:
        """The edges of a canvas with these tables and this motion."""
        rows, columns = direction.shape
        areas, strengths = np.empty((2, 2, rows, columns), np.uint8)
        holds, indices = np.empty((2, rows, columns), np.uint8)
        transform_areas(leaves, units, areas, holds, indices)
        edge_strengths(areas, holds, direction, vectors, strengths)
        return cls(strengths, indices, sample_format, chroma_offset)

    def filter(self, number: int, plane: Plane, horizontal: bool, row0: int, row1: int) -> None:
        """Filter rows row0..row1-1 of cells of plane `number`, all vertical edges first."""
        edges = self.strengths[int(horizontal)]
        code = plane_code(self.format, number)
        if number == 0:
            filter_luma(code, plane, edges, self.indices, horizontal, row0, row1)
        else:
            filter_chroma(
                code, plane, edges, self.indices, self.chroma_offset, horizontal, row0, row1
            )
