"""How the pictures of a group depend on each other, before any of them is coded.

Takes luma at half size and the references between canvases. Gives how well each block is predicted
from inside its picture and from its references, and from where in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.encode.distances import ANY, sad, satd, satd_mean
from nvcodec.encode.hybrid.analysis.coarse import coarse_motion
from nvcodec.encode.hybrid.analysis.pyramid import (
    COARSE_RANGE,
    DRAWN_RANGE,
    LOOKAHEAD_MARGIN,
    Pyramid,
)
from nvcodec.model.hybrid.canvas.plane import Step, schedule
from nvcodec.tasks import Tasks, performed, together

_MARGIN = LOOKAHEAD_MARGIN
_BLOCK = 8
COARSE_COST = 8
"""The `cost` of `coarse_motion`. It keeps the vectors of noisy areas smooth."""
_REACH = 2
"""Search range around the coarse vector and around zero, in half-size samples."""

Costs = npt.NDArray[np.float32]
"""(rows, columns) of 16 x 16 luma blocks: SATD at half size."""


class Dependence(NamedTuple):
    """How the 16 x 16 blocks of a canvas depend on its references.

    Attributes:
        intra: SATD of the best intra prediction.
        inter: SATD of the best inter prediction, or of intra prediction without references.
        vectors: (reference, rows, columns, y and x), in half-size samples.
        used: u8 (rows, columns), the references of the best inter prediction: bit 0 for reference 0
            and bit 1 for reference 1; 0 without references.

    """

    intra: Costs
    inter: Costs
    vectors: npt.NDArray[np.int16]
    used: npt.NDArray[np.uint8]

    @property
    def best(self) -> Costs:
        """SATD of the best prediction, inter or intra."""
        return np.minimum(self.inter, self.intra)


@allocating
def _intra_costs(
    plane: np.ndarray, stride: Integer, rows: Integer, columns: Integer, out: np.ndarray
) -> None:
    """Intra SATD of each block: the best of DC, vertical and horizontal prediction."""
    block = np.empty(64, np.uint8)
    for r in range(rows):
        for c in range(columns):
            at = (_MARGIN + 8 * r) * stride + _MARGIN + 8 * c
            best = ANY
            for mode in range(3):
                if (mode == 1 and r == 0) or (mode == 2 and c == 0):
                    continue
                mean = 0
                if mode == 0:
                    for k in range(8):
                        mean += plane[at - stride + k] + plane[at + k * stride - 1]
                    mean = (mean + 8) >> 4
                for i in range(8):
                    for j in range(8):
                        value = mean
                        if mode == 1:
                            value = plane[at - stride + j]
                        elif mode == 2:
                            value = plane[at + i * stride - 1]
                        block[8 * i + j] = value
                best = min(best, satd(plane, at, stride, block, 0, 8, 8, 8, ANY))
            out[r, c] = best


@kernel
def _best_vector(
    plane: np.ndarray,
    reference: np.ndarray,
    stride: Integer,
    y: Integer,
    x: Integer,
    coarse_y: Integer,
    coarse_x: Integer,
) -> tuple[Integer, Integer]:
    """The vector (y, x) of least SAD near the coarse vector or near zero, in half-size samples."""
    height = plane.size // stride
    at = y * stride + x
    # Keeps the search range inside the plane.
    most_y = height - _BLOCK - _REACH - y
    most_x = stride - _BLOCK - _REACH - x
    best = ANY
    by = 0
    bx = 0
    for candidate in range(2):
        vy = coarse_y if candidate == 0 else 0
        vx = coarse_x if candidate == 0 else 0
        vy = min(max(vy, _REACH - y), most_y)
        vx = min(max(vx, _REACH - x), most_x)
        for dy in range(-_REACH, _REACH + 1):
            for dx in range(-_REACH, _REACH + 1):
                place = at + (vy + dy) * stride + vx + dx
                cost = sad(plane, at, stride, reference, place, stride, _BLOCK, _BLOCK, ANY)
                if cost < best:
                    best = cost
                    by = vy + dy
                    bx = vx + dx
    return by, bx


@allocating
def _inter_costs(
    plane: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    both: bool,
    stride: Integer,
    rows: Integer,
    columns: Integer,
    coarse: np.ndarray,
    inter: np.ndarray,
    vectors: np.ndarray,
    used: np.ndarray,
) -> None:
    """Fill the fields of Dependence but `intra`; `both` says whether there are two references."""
    references = 2 if both else 1
    places = np.zeros(2, np.int64)
    for r in range(rows):
        for c in range(columns):
            y = _MARGIN + 8 * r
            x = _MARGIN + 8 * c
            at = y * stride + x
            least = float(ANY)
            for k in range(references):
                reference = first if k == 0 else second
                by, bx = _best_vector(
                    plane, reference, stride, y, x, coarse[k, r, c, 0] >> 3, coarse[k, r, c, 1] >> 3
                )
                places[k] = at + by * stride + bx
                vectors[k, r, c, 0] = by
                vectors[k, r, c, 1] = bx
                cost = float(satd(plane, at, stride, reference, places[k], stride, 8, 8, ANY))
                if cost < least:
                    least = cost
                    used[r, c] = k + 1
            if both:
                cost = float(
                    satd_mean(
                        plane, at, stride, first, places[0], second, places[1], stride, 8, 8, ANY
                    )
                )
                if cost < least:
                    least = cost
                    used[r, c] = 3
            inter[r, c] = least


def dependence(
    half: npt.NDArray[np.uint8],
    references: list[npt.NDArray[np.uint8]],
    coarse: npt.NDArray[np.int16],
) -> Dependence:
    """How a picture depends on up to two others; all are planes made by `half_luma`.

    `coarse` are the coarse vectors to the others, int16 (references, rows, columns, 2) in quarter
    luma samples.
    """
    rows = (half.shape[0] - 2 * _MARGIN) // _BLOCK
    columns = (half.shape[1] - 2 * _MARGIN) // _BLOCK
    stride = half.shape[1]
    found = Dependence(
        np.zeros((rows, columns), np.float32),
        np.zeros((rows, columns), np.float32),
        np.zeros((2, rows, columns, 2), np.int16),
        np.zeros((rows, columns), np.uint8),
    )
    plane = half.reshape(-1)
    _intra_costs(plane, stride, rows, columns, found.intra)
    if not references:
        found.inter[:] = found.intra
        return found
    flat = [reference.reshape(-1) for reference in references]
    _inter_costs(
        plane, flat[0], flat[-1], len(flat) == 2, stride, rows, columns, coarse, *found[1:]
    )
    return found


@dataclass(frozen=True, eq=False)
class GroupAnalysis:
    """How the pictures of a group depend on each other; all lists are in coding order.

    `coarse` has the coarse vectors of each canvas to its references, as InterSearch takes them.
    """

    steps: list[Step]
    dependences: list[Dependence]
    coarse: list[npt.NDArray[np.int16]]

    @property
    def key(self) -> bool:
        """Whether it is a key group."""
        return self.steps[0].set == 0


class Stretch:
    """Consecutive pictures that become one group or several, and the picture before them.

    `before` is None for a key group. Each dependency between pictures is analysed only once, even
    if several ways of grouping need it.
    """

    def __init__(self, sources: Sequence[Pyramid], before: Pyramid | None) -> None:
        self._pictures = dict(enumerate(sources))
        self._key = before is None
        if before is not None:
            self._pictures[-1] = before
        self._found: dict[tuple[int, ...], tuple[Dependence, npt.NDArray[np.int16]]] = {}

    async def group(self, tasks: Tasks, first: int, frames: int) -> GroupAnalysis:
        """The analysis of `frames` pictures from picture `first` on, taken as one group."""
        steps = schedule(frames, self._key)
        asked = [tuple(first + frame for frame in (step.frame, *step.references)) for step in steps]
        new = [each for each in asked if each not in self._found]
        await together(tasks, [partial(self._depend, *each) for each in new])
        found = [self._found[each] for each in asked]
        return GroupAnalysis(steps, [f[0] for f in found], [f[1] for f in found])

    def _depend(self, *asked: int) -> None:
        """Find how a picture depends on others, its references, and the coarse vectors to them."""
        source, *others = (self._pictures[k] for k in asked)
        reach = DRAWN_RANGE if source.drawn else COARSE_RANGE
        coarse = [coarse_motion(source.small, r.small, COARSE_COST, reach) for r in others]
        field = np.stack(coarse) if coarse else np.zeros((0, 0, 0, 2), np.int16)
        self._found[asked] = dependence(source.half, [r.half for r in others], field), field


def analyse(sources: Sequence[Pyramid], before: Pyramid | None) -> GroupAnalysis:
    """Analyse the pictures of a group; `before` is the last one of the group before, or None for
    a key group.
    """
    return performed(Stretch(sources, before).group, 0, len(sources))
