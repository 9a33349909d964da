"""One canvas: takes source planes, references and prices; gives tables and the canvas they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import INTRA, LEAF_COLUMNS, Q, Table, X, Y
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.assemble import assemble
from nvcodec.encode.hybrid.effort import Effort
from nvcodec.encode.hybrid.rate.prices import Prices
from nvcodec.encode.hybrid.search.intra_search import (
    IntraCanvas,
    decide_intra_leaves,
    make_intra_scratch,
    search_intra,
)
from nvcodec.encode.hybrid.search.motion_search import Search, no_leaves, search_motion
from nvcodec.encode.hybrid.search.phases import Phases, make_phases
from nvcodec.encode.hybrid.search.residual import (
    Residuals,
    decide_inter_leaves,
    make_pool,
    make_scratch,
)
from nvcodec.model.hybrid.canvas.inter import packed_motion, predict_rows
from nvcodec.model.hybrid.canvas.plane import Canvas, Step, empty_planes
from nvcodec.model.hybrid.canvas.reconstruct import add_residuals, reconstruct

STEPS = np.array([2.0 ** ((q - 4) / 6) for q in range(64)], np.float32)
"""Quantiser steps by index (spec 8.6)."""

WEIGHT = 0.12
"""Lambda, in squared quantiser steps for a bit."""

_SATD_WEIGHT = 0.35
"""The same where distances are SATD or SAD, in quantiser steps for a bit."""

_LEAST = 0.55
"""Smaller coefficients, in quantiser steps, end no unit: their bits always outweigh them."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A canvas that others are predicted from, and its phases."""

    canvas: Canvas
    phases: Phases

    @classmethod
    def of(cls, canvas: Canvas) -> Reference:
        """Prepare a canvas for motion search."""
        return cls(canvas, make_phases(canvas.planes[0]))


@dataclass(frozen=True, eq=False)
class CodedCanvas:
    """A canvas with the tables that code it (coding.leaves)."""

    leaves: Table
    units: Table
    levels: Table
    quantiser: int
    varying: bool
    canvas: Canvas


@dataclass(frozen=True)
class CanvasSettings:
    """What the canvases of an encode have in common."""

    width: int
    height: int
    chroma_offset: int
    effort: Effort


def _residuals(settings: CanvasSettings, prices: Prices, q: npt.NDArray[np.uint8]) -> Residuals:
    """What deciding on the units of a canvas takes."""
    return Residuals(
        prices.content, STEPS, WEIGHT, settings.chroma_offset, q, settings.effort.tree_depth, _LEAST
    )


def code_key(
    settings: CanvasSettings, source: Pyramid, step: Step, q: npt.NDArray[np.uint8], prices: Prices
) -> CodedCanvas:
    """Code a key canvas; `q` are quantiser indices u8 of 32 x 32 blocks."""
    width, height = settings.width, settings.height
    blocks = height // 4, width // 4
    canvas = IntraCanvas(
        *source.planes,
        *empty_planes(width, height),
        np.zeros(blocks, np.uint8),
        np.ones(blocks, np.uint8),
        np.zeros((height // 8, width // 8), np.uint8),
    )
    # Each size of block that is tried leaves its units in the pool.
    pool = make_pool(4 * width, 2 * height)
    leaves = np.zeros((width * height // 64, LEAF_COLUMNS), np.int32)
    count = np.zeros(1, np.int64)
    search_intra(
        canvas,
        _residuals(settings, prices, q),
        prices.intra,
        _SATD_WEIGHT,
        settings.effort.intra_tries,
        make_scratch(),
        make_intra_scratch(),
        pool,
        leaves,
        count,
    )
    quantiser = int(q[0, 0])
    tables = assemble(leaves[: count[0]], pool, q, quantiser)
    size = settings.width, settings.height
    made = reconstruct(*tables, step, [], size, settings.chroma_offset)
    return CodedCanvas(*tables, quantiser, bool((q != quantiser).any()), made)


def code_inter(
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    references: Sequence[Reference],
    coarse: npt.NDArray[np.int16],
    q: npt.NDArray[np.uint8],
    prices: Prices,
) -> CodedCanvas:
    """Code a chain or interior canvas; `coarse` as in Search, `q` as of `code_key`."""
    width, height = settings.width, settings.height
    assert prices.motion is not None
    canvases = [reference.canvas for reference in references]
    residuals = _residuals(settings, prices, q)
    scratch, intra_scratch = make_scratch(), make_intra_scratch()
    blocks = height // 4, width // 4
    search = Search(
        source.planes[0].reshape(-1),
        width,
        height,
        references[0].phases.reshape(-1),
        references[-1].phases.reshape(-1),
        coarse,
        step.b is not None,
        prices.motion,
        residuals._replace(depth=settings.effort.trial_depth),
        scratch,
        intra_scratch.edges,
        intra_scratch.line,
        intra_scratch.block,
        np.ones(blocks, np.uint8),
        _SATD_WEIGHT,
        settings.effort.refinements,
        settings.effort.trial,
        settings.effort.trial,
    )
    found = no_leaves(width, height)
    search_motion(search, found)
    leaves = found.leaves[: found.count[0]]
    packed = packed_motion(found.direction, found.vectors)
    predicted = empty_planes(width, height)
    rows = -(-height // 64)
    for number, plane in enumerate(predicted):
        first, last = canvases[0].planes[number], canvases[-1].planes[number]
        predict_rows(number > 0, leaves, 0, rows, packed, first, last, plane)
    pool = make_pool(width, height)
    decide_inter_leaves(residuals, leaves, *source.planes, *predicted, scratch, pool)
    if leaves[:, INTRA].any():
        leaves[:, Q] = q[leaves[:, Y] >> 5, leaves[:, X] >> 5]
        for number, plane in enumerate(predicted):
            add_residuals(
                leaves, pool.units, pool.levels, 0, rows, number, settings.chroma_offset, plane
            )
        known = np.repeat(np.repeat((found.direction > 0).astype(np.uint8), 2, 0), 2, 1)
        decide_intra_leaves(
            IntraCanvas(*source.planes, *predicted, known, np.ones(blocks, np.uint8), found.size),
            residuals,
            prices.intra,
            _SATD_WEIGHT,
            settings.effort.intra_tries,
            scratch,
            intra_scratch,
            pool,
            leaves,
        )
    quantiser = int(q[0, 0])
    tables = assemble(leaves, pool, q, quantiser)
    made = reconstruct(*tables, step, canvases, (width, height), settings.chroma_offset)
    return CodedCanvas(*tables, quantiser, bool((q != quantiser).any()), made)
