"""A canvas in passes: each has the prices and the motion of the one before; the cheapest is kept.

Contexts adapt to a canvas while it is coded, so the prices that it ends with are nearer to what its
syntax costs than those of the canvases before it. Which share of lambda is best for a step depends
on the canvas too: some are coded cheaper by a finer step whose levels are dearer. So the units of
the last pass are decided several times, with other steps and prices, for the same leaves. The cost
of a canvas is its squared error, by the lambda of each block, plus the bits that it takes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import last_index
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.quantisers import QuantiserMap
from nvcodec.encode.hybrid.canvas import (
    CanvasSettings,
    CodedCanvas,
    Reference,
    code_inter,
    code_key,
    code_leaves,
    search_inter,
)
from nvcodec.encode.hybrid.group import code_substreams, default_prices
from nvcodec.encode.hybrid.rate.prices import Prices
from nvcodec.encode.hybrid.rate.tradeoff import WEIGHT
from nvcodec.model.hybrid.canvas.plane import Step, schedule
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.squared_error import block_errors
from nvcodec.tasks import Tasks

_BLOCK = 32
"""Luma samples across a block of the quantiser map."""

_CHANGES = (1, 2)
"""Changes of the indices of a key canvas that are tried while they help; lambda stays."""

_FINER = 1
"""How much lower the indices of a key canvas are than those that lambda follows from, if its levels
are revised: with such levels a finer step costs less."""

_DELTA_BITS = 2.0
"""Estimate of the bits that it takes to change the index of one block."""


async def code_key_canvas(
    tasks: Tasks, settings: CanvasSettings, source: Pyramid, quantisers: QuantiserMap
) -> CodedCanvas:
    """Code a key canvas in `effort.key_passes` passes; each uses the prices of the one before.

    Lambda is that of `quantisers`; with `effort.key_thorough` indices are lower by _FINER.
    """
    (step,) = schedule(1, key=True)

    async def code(
        q: QuantiserMap, prices: Prices, settings: CanvasSettings = settings
    ) -> CodedCanvas:
        return await code_key(tasks, settings, source, step, q, quantisers, prices)

    finer = _changed(settings, quantisers, -_FINER if settings.effort.key_thorough else 0)
    prices = default_prices(step.set, settings.tools)
    draft = _draft(settings)
    for _ in range(settings.effort.key_passes - 1):
        canvas = await code(finer, prices, draft)
        prices = code_substreams([canvas], settings).prices(step.set)
    canvas = await code(finer, prices)
    if not settings.effort.step_trials:
        return canvas
    best = _Cheapest(settings, source, quantisers)
    best.offer(canvas)
    for side in (-1, 1):
        helps = False
        for change in _CHANGES:
            q = _changed(settings, finer, side * change)
            if not best.offer(await code(q, best.prices(step.set))):
                break
            helps = True
        if helps:
            break
    return best.canvas


async def code_inter_canvas(
    tasks: Tasks,
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    references: Sequence[Reference],
    coarse: npt.NDArray[np.int16],
    quantisers: QuantiserMap,
    prices: Prices,
) -> CodedCanvas:
    """Code a chain or interior canvas in the passes of `effort`; arguments as of `search_inter`."""
    effort = settings.effort
    if effort.first_pass is None:
        return await code_inter(
            tasks, settings, source, step, references, coarse, quantisers, prices
        )
    first = replace(settings, effort=effort.first_pass)
    canvas = await code_inter(tasks, first, source, step, references, coarse, quantisers, prices)
    best = _Cheapest(settings, source, quantisers)
    best.offer(canvas)
    prices = best.prices(step.set)
    coarse = _motion(canvas, coarse)
    found = await search_inter(
        tasks, settings, source, step, references, coarse, quantisers, prices
    )

    async def offer(q: QuantiserMap) -> npt.NDArray[np.float64]:
        canvas, costs = await code_leaves(
            tasks, settings, source, step, found, q, quantisers, best.prices(step.set)
        )
        best.offer(canvas)
        return costs

    await offer(quantisers)
    if effort.step_trials:
        maps = [_changed(settings, quantisers, change) for change in (0, -1, 1)]
        costs = np.stack([await offer(q) for q in maps])
        # Another index than that of the block before takes bits.
        costs[1:] += _DELTA_BITS * best.lambdas
        await offer(np.choose(costs.argmin(0), np.stack(maps)))
    return best.canvas


def _draft(settings: CanvasSettings) -> CanvasSettings:
    """The settings of a key canvas of which only the prices are used."""
    tools = replace(settings.tools, deblocking=False, adaptive_filter=False)
    return replace(settings, tools=tools)


class _Cheapest:
    """Keeps the cheapest of the canvases that it is offered; `quantisers` are those intended.

    `lambdas` are what a bit is worth in each block.
    """

    def __init__(self, settings: CanvasSettings, source: Pyramid, quantisers: QuantiserMap) -> None:
        self._settings = settings
        self._source = source
        self.lambdas = WEIGHT * np.square(REAL_STEP[quantisers].astype(np.float64))
        self._cost = np.inf
        self.canvas: CodedCanvas

    def offer(self, canvas: CodedCanvas) -> bool:
        """Keep this canvas if it costs less than those before; returns whether it does."""
        substreams = code_substreams([canvas], self._settings)
        cost = self._error(canvas) + 8 * substreams.bytes
        if cost >= self._cost:
            return False
        self._cost, self.canvas, self._substreams = cost, canvas, substreams
        return True

    def prices(self, canvas_set: int) -> Prices:
        """The prices that the cheapest canvas ends with."""
        return self._substreams.prices(canvas_set)

    def _error(self, canvas: CodedCanvas) -> float:
        """Squared error in bits, by what they are worth in each block."""
        total = 0.0
        for number, plane in enumerate(canvas.canvas.planes):
            across, down = self._settings.format.plane_shift(number)
            tall, wide = _BLOCK >> down, _BLOCK >> across
            errors = block_errors(self._source.planes[number], plane, tall, wide)
            total += float((errors / self.lambdas).sum())
        return total


def _changed(settings: CanvasSettings, quantisers: QuantiserMap, change: int) -> QuantiserMap:
    """Indices changed by `change`, in their range."""
    last = last_index(settings.format.bit_depth)
    return np.clip(quantisers.astype(np.int64) + change, 0, last).astype(np.uint8)


def _motion(canvas: CodedCanvas, coarse: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Coarse vectors as `coarse`, replaced by the motion of the canvas where it has some."""
    found = coarse.copy()
    rows, columns = coarse.shape[1:3]
    direction = canvas.canvas.direction
    y = np.minimum(2 * np.arange(rows) + 1, direction.shape[0] - 1)[:, None]
    x = np.minimum(2 * np.arange(columns) + 1, direction.shape[1] - 1)[None]
    for r in range(len(coarse)):
        used = (direction[y, x] >> r & 1).astype(bool)
        found[r][used] = canvas.canvas.vectors[r, y, x][used]
    return found
