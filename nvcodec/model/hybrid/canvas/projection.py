"""Motion that an interior canvas is expected to have, from that between its references (spec 8.2).

Takes the references; gives, for each cell, vectors to both of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.plane import CELL, Canvas, Step

Projection = npt.NDArray[np.int16]
"""(cell rows, cell columns, CANDIDATE): direction 3 and the vectors, or 0 where there are none."""

CANDIDATE = 5
"""Integers of an entry of a merge list: direction, V0 (y, x), V1 (y, x)."""


@kernel
def _share(v: Integer, part: Integer, whole: Integer) -> Integer:
    """The part of a component that falls to `part` of `whole` frames, rounded."""
    return (2 * v * part + whole) // (2 * whole)


@allocating
def _project(
    direction: np.ndarray,
    vectors: np.ndarray,
    list_: Integer,
    near: Integer,
    far: Integer,
    projected: np.ndarray,
) -> None:
    """Set `projected` from the motion of one reference to the other one, which is its `list_`.

    The canvas is `near` frames from the one that has the motion and `far` from the other one.
    """
    rows, columns = direction.shape
    for moved in range(2):
        for y in range(rows):
            for x in range(columns):
                if not direction[y, x] >> list_ & 1:
                    continue
                vy, vx = np.int64(vectors[list_, y, x, 0]), np.int64(vectors[list_, y, x, 1])
                back_y, back_x = _share(-vy, near, near + far), _share(-vx, near, near + far)
                row, column = y, x
                if moved:
                    row = (CELL * y + CELL // 2 + (-back_y >> 2)) // CELL
                    column = (CELL * x + CELL // 2 + (-back_x >> 2)) // CELL
                if 0 <= row < rows and 0 <= column < columns:
                    entry = projected[row, column]
                    entry[0] = 3
                    entry[1 + 2 * list_] = _share(vy, far, near + far)
                    entry[2 + 2 * list_] = _share(vx, far, near + far)
                    entry[3 - 2 * list_] = back_y
                    entry[4 - 2 * list_] = back_x


def projected_motion(step: Step, references: Sequence[Canvas]) -> Projection:
    """The projected motion of the canvas of a step; that of a chain canvas has no vectors."""
    projected = np.zeros((*references[0].direction.shape, CANDIDATE), np.int16)
    if step.set == 2:
        assert step.a is not None
        assert step.b is not None
        a, b = references
        to_a, to_b = step.frame - step.a, step.b - step.frame
        if b.step.a == step.a:
            _project(b.direction, b.vectors, 0, to_b, to_a, projected)
        else:
            _project(a.direction, a.vectors, 1, to_a, to_b, projected)
    return projected
