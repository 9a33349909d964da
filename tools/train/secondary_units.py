"""Luma units of key canvases, what prediction left over in them, and their transforms in floats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.canvases import CanvasReader
from nvcodec.coding.hybrid.leaves import (
    PAINTED,
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
    Q,
    Table,
)
from nvcodec.coding.hybrid.levels import diagonals
from nvcodec.coding.hybrid.secondary import (
    MIRROR,
    SECONDARIES,
    SET_OF_MODE,
    SETS,
    luma_modes,
)
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import group_pictures
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.search.transform import FIRST, FORWARD
from nvcodec.encode.hybrid.tools import Tools
from nvcodec.encode.hybrid.video import HybridCoder
from nvcodec.encode.writing import source_header
from nvcodec.model.hybrid.canvas.plane import coded_size, schedule
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.model.hybrid.canvas.secondary import LARGE, SECONDARY, VALUES
from nvcodec.options import MODELS
from tools.lib.clips import Clip
from tools.lib.measure import ONE_KEY

Floats = npt.NDArray[np.float32]
Shape = tuple[int, int]
"""Rows and columns of a unit."""
Matrices = dict[int, npt.NDArray[np.float64]]
"""By the side of the zone (4 or 8): (SETS, SECONDARIES, VALUES, side * side), orthonormal rows."""

ROWS, COLUMNS = np.array([(y, x) for x, y in diagonals(4, 4)]).T
"""Where the coefficients of a secondary transform are."""


@dataclass(frozen=True, eq=False)
class Units:
    """Units of one shape; each array has a row for each of them.

    residuals: float16 (n, rows, columns), source minus prediction.
    modes: u8, intra modes that have a set.
    quantisers: u8, quantiser indices.
    """

    residuals: npt.NDArray[np.float16]
    modes: npt.NDArray[np.uint8]
    quantisers: npt.NDArray[np.uint8]

    @classmethod
    def joined(cls, parts: Sequence[Units]) -> Units:
        """The units of all parts, in their order."""
        return cls(
            np.concatenate([part.residuals for part in parts]),
            np.concatenate([part.modes for part in parts]),
            np.concatenate([part.quantisers for part in parts]),
        )

    def coefficients(self, sine: bool) -> Floats:
        """Float32 (n, rows, columns), in quantiser steps."""
        rows, columns = self.residuals.shape[1:]
        steps = REAL_STEP[self.quantisers][:, None, None]
        residuals = self.residuals.astype(np.float32)
        product: Floats = primary(sine, rows) @ residuals @ primary(sine, columns).T / steps
        return product


def primary(sine: bool, size: int) -> Floats:
    """The orthonormal matrix of a cosine or sine transform of a side."""
    first = FIRST[int(sine), int(np.log2(size))]
    return FORWARD[first : first + size * size].reshape(size, size)


def zone_side(shape: Shape) -> int:
    """Rows and columns of the coefficients that a secondary transform of a unit takes."""
    return 4 if min(shape) == 4 else 8


def orthonormal(matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The matrix with orthonormal rows that is nearest to one: its polar factor."""
    left, _, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    return np.asarray(left @ right)


def present_matrices() -> Matrices:
    """Those of the specification's table."""
    parts = {4: SECONDARY[:LARGE], 8: SECONDARY[LARGE:]}
    return {
        side: orthonormal(part.reshape(SETS, SECONDARIES, VALUES, side * side))
        for side, part in parts.items()
    }


def encoded_units(
    clip: Clip, crf: float, preset: str, secondary: bool
) -> tuple[dict[Shape, Units], int]:
    """Encode the first frame of a clip; give its units by shape, and the bits of its substreams.

    `secondary` says whether the encoder has secondary transforms.
    """
    with clip.open() as source:
        coder = HybridCoder(
            source.width,
            source.height,
            steering=Steering(crf, source.time_base, whole=False),
            effort=EFFORTS[preset],
            group_size=1,
            network="off",
            metrics=("psnr",),
            threads=1,
            report=lambda ordinal, frames: None,
            tools=Tools(secondary=secondary),
        )
        groups = group_pictures(
            source, coder.shape.group_frames, coder.key_frames, Fraction(ONE_KEY), source.time_base
        )
        header = source_header(source, MODELS["hybrid"].number, coder.level)
        (coded,) = coder.code(groups, header)
        group = coded.group
        size = coded_size(source.width, source.height)
    (picture,) = clip.pictures()
    (step,) = schedule(group.frame_count, group.key, group.second)
    _, leaves, units, levels, _ = CanvasReader(group.motion, group.content, size).read(step.set)
    offset = coder.shape.chroma_offset
    # Prediction takes samples that are not filtered.
    canvas = reconstruct(leaves, units, levels, step, [], size, offset, deblocking=False)
    source_luma = Pyramid.of(picture, *size).planes[0]
    errors = source_luma.astype(np.float32) - canvas.planes[0]
    bits = 8 * (len(group.motion) + len(group.content))
    return units_of_tables(leaves, units, levels, errors), bits


def units_of_tables(
    leaves: Table, units: Table, levels: Table, errors: Floats
) -> dict[Shape, Units]:
    """The luma units of a key canvas whose modes have sets; `errors` are source minus canvas."""
    owners = np.repeat(leaves, leaves[:, UNITS], axis=0)
    luma = units[:, UNIT_PLANE] == 0
    units, owners = units[luma], owners[luma]
    modes = luma_modes(owners, units)
    found = {}
    sizes = units[:, [UNIT_HEIGHT, UNIT_WIDTH]]
    for rows, columns in np.unique(sizes, axis=0).tolist():
        own = (sizes == (rows, columns)).all(1) & (SET_OF_MODE[modes] < SETS)
        if own.any():
            residuals = decoded(units[own], levels, modes[own], owners[own, Q])
            for residual, unit in zip(residuals, units[own], strict=True):
                y, x = unit[UNIT_Y], unit[UNIT_X]
                residual += errors[y : y + rows, x : x + columns]
            found[rows, columns] = Units(
                residuals.astype(np.float16),
                modes[own].astype(np.uint8),
                owners[own, Q].astype(np.uint8),
            )
    return found


def decoded(
    units: Table,
    levels: Table,
    modes: npt.NDArray[np.int32],
    quantisers: npt.NDArray[np.int32],
) -> Floats:
    """The residuals that units of one shape decode to, but for rounding."""
    rows, columns = int(units[0, UNIT_HEIGHT]), int(units[0, UNIT_WIDTH])
    flat = np.zeros((len(units), rows * columns), np.float32)
    for k, unit in enumerate(units):
        own = levels[unit[UNIT_START] : unit[UNIT_START] + unit[UNIT_COUNT]]
        flat[k, own[:, 0]] = own[:, 1]
    coefficients = flat.reshape(-1, rows, columns) * REAL_STEP[quantisers][:, None, None]
    _unfold(coefficients, modes, units[:, UNIT_TRANSFORM] - PAINTED - 1, present_matrices())
    residuals: Floats = primary(False, rows).T @ coefficients @ primary(False, columns)
    sine = units[:, UNIT_TRANSFORM] == SINE
    if sine.any():
        residuals[sine] = primary(True, rows).T @ coefficients[sine] @ primary(True, columns)
    return residuals


def _unfold(
    coefficients: Floats,
    modes: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer],
    matrices: Matrices,
) -> None:
    """Undo, in place, the secondary transforms of units (n, rows, columns).

    `numbers` are those of the matrices in the sets of `modes`; below 0 is none.
    """
    side = zone_side((coefficients.shape[1], coefficients.shape[2]))
    for k in np.flatnonzero(numbers >= 0):
        matrix = matrices[side][SET_OF_MODE[modes[k]], numbers[k]]
        zone = (coefficients[k, ROWS, COLUMNS] @ matrix).reshape(side, side)
        coefficients[k, :4, :4] = 0
        coefficients[k, :side, :side] = zone.T if modes[k] > MIRROR else zone


def zones(coefficients: Floats, modes: npt.NDArray[np.integer]) -> Floats:
    """What secondary transforms take of cosine coefficients: (n, side * side)."""
    side = zone_side((coefficients.shape[1], coefficients.shape[2]))
    corner = coefficients[:, :side, :side]
    turned = (modes > MIRROR)[:, None, None]
    return np.where(turned, corner.transpose(0, 2, 1), corner).reshape(-1, side * side)


def merged(parts: Sequence[Mapping[Shape, Units]]) -> dict[Shape, Units]:
    """The units of several encodes by shape."""
    shapes = sorted({shape for part in parts for shape in part})
    return {
        shape: Units.joined([part[shape] for part in parts if shape in part]) for shape in shapes
    }
