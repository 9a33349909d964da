"""Which earlier canvas a chain canvas has as its second reference (spec 7.2).

Takes a picture and the canvases that it may be predicted from; gives the choice and coarse vectors.
The canvas before the last one suits moving content: two errors average out, and what one hides the
other may show. The key canvas suits what stands still: it is the finest.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from nvcodec.encode.hybrid.analysis.coarse import coarse_motion
from nvcodec.encode.hybrid.analysis.lookahead import COARSE_COST, dependence
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.tools import Tools
from nvcodec.model.hybrid.canvas.plane import EARLIER, KEY, SECOND, Canvas
from nvcodec.tasks import Tasks, together


async def choose_second(
    tasks: Tasks,
    source: Pyramid,
    coarse: npt.NDArray[np.int16],
    canvases: Mapping[int, Canvas],
    tools: Tools,
) -> tuple[int, npt.NDArray[np.int16]]:
    """`second` of a group, and the coarse vectors of its chain canvas to each reference.

    `coarse` are those to the last canvas, int16 (1, rows, columns, 2); `canvases` are those of
    earlier groups by the numbers of Step.
    """
    if not tools.second_reference:
        return 0, coarse
    last, key = canvases[-1], canvases[KEY]
    if last is key:
        # Two displaced copies of one canvas are a reference of their own.
        return SECOND.index(KEY), np.concatenate([coarse, coarse])
    height, width = last.planes[0].shape
    near = Pyramid.of(last.planes, width, height, last.format)

    def tried(frame: int) -> tuple[float, npt.NDArray[np.int16]]:
        far = Pyramid.of(canvases[frame].planes, width, height, last.format)
        field = np.stack([coarse[0], coarse_motion(source.small, far.small, COARSE_COST)])
        found = dependence(source.half, [near.half, far.half], field)
        return float(found.best.sum(dtype=np.float64)), field

    both = await together(tasks, [partial(tried, frame) for frame in (EARLIER, KEY)])
    chosen = int(np.argmin([cost for cost, _ in both]))
    return SECOND.index((EARLIER, KEY)[chosen]), both[chosen][1]
