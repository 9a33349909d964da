"""The quadtree search that divides a block into quarters: the one walker of all searches.

The leaves of key and inter canvases (spec 7.4) and luma transform trees (spec 7.5) are all decided
in this way: the cost of a whole block is compared with that of its four quarters, recursively. Two
hooks hold what differs; `s` is the record of the search:

    evaluate(s, k, y, x) -> bool
        Called first, for a block of `smallest << k` samples at (y, x). Sets s.walk.whole[k] to the
        cost of the whole block (NEVER if it has to be divided) and s.walk.parts[k] to the cost of
        the syntax that says that it is divided. Saves what `settle` needs to choose the whole
        block. Returns whether to try quarters.
    settle(s, k, y, x, divided) -> cost
        Called last, when the block is decided. If `divided`, all its quarters have settled. Commits
        the decision, and returns the cost that the block adds to the one around it.

`partition` makes a walker for two hooks, as one compiled function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from nvcodec.compiled import Integer, Real, kernel
from nvcodec.records import Record, array

_LEVELS = 4
"""Number of block sizes: 8 to 64 for leaves, 4 to 32 for transforms."""


class Walk(Record):
    """The state of a walker, by level: the block at level k has `smallest << k` samples.

    `y` and `x` are its position; `child` is the next quarter to try, -1 if none is tried. `whole`
    is the cost of the whole block, `parts` that of its quarters so far. `start` is not used by the
    walker: a search stores there the number of leaves before the block.
    """

    y = array(np.int64, _LEVELS)
    x = array(np.int64, _LEVELS)
    child = array(np.int64, _LEVELS)
    whole = array(np.float64, _LEVELS)
    parts = array(np.float64, _LEVELS)
    start = array(np.int64, _LEVELS)


@kernel
def cost_of_quarters(w: Walk, k: Integer) -> Real:
    """The cost of the quarters of the block at level k in times of its own, once it is decided.

    An estimate if they were given up before the last one; 0 if they were not tried.
    """
    if w.child[k] < 0:
        return 0.0
    return w.parts[k] * 4 / (max(1, w.child[k]) * w.whole[k])


def partition(evaluate: Callable[..., Any], settle: Callable[..., Any], smallest: int) -> Any:
    """Make the walker with these hooks, for blocks down to `smallest` samples.

    The hooks are kernels of one module. The walker takes (s, top, y, x, height, width): a record
    with a `walk`, the level and position of the block to divide, and the size of the area; quarters
    outside the area do not exist. It returns the cost of the block.
    """
    module = sys.modules[evaluate.__module__]
    hooks = f"{evaluate.__name__}_{settle.__name__}".strip("_")
    # Two walkers of one module need two names: what is compiled is kept by them.
    name = f"walk_{hooks}_{smallest}"
    # A copy of `_walk` with its own globals: numba compiles and caches it as a function of the
    # module of the hooks.
    code = _walk.__code__.replace(co_filename=str(module.__file__), co_name=name, co_qualname=name)
    names = {
        **_walk.__globals__,
        "__name__": module.__name__,
        "evaluate": evaluate,
        "settle": settle,
        "smallest": smallest,
    }
    walker = FunctionType(code, names, name)
    walker.__module__ = module.__name__
    return kernel(walker)


# `evaluate`, `settle` and `smallest` are globals of the copies that `partition` makes.
# ruff: noqa: F821
# mypy: disable-error-code="name-defined"
def _walk(s: Any, top: Integer, y: Integer, x: Integer, height: Integer, width: Integer) -> Real:
    """Decide a block. A loop instead of recursion: numba does not cache recursive functions."""
    w = s.walk
    k = top
    w.y[k] = y
    w.x[k] = x
    begins = True
    while True:
        if begins:
            w.child[k] = 0 if evaluate(s, k, w.y[k], w.x[k]) else -1
            begins = False
        half = (smallest << k) >> 1
        while 0 <= w.child[k] < 4 and w.parts[k] < w.whole[k]:
            child_y = w.y[k] + half * (w.child[k] >> 1)
            child_x = w.x[k] + half * (w.child[k] & 1)
            w.child[k] += 1
            if child_y < height and child_x < width:
                k -= 1
                w.y[k] = child_y
                w.x[k] = child_x
                begins = True
                break
        if begins:
            continue
        divided = w.child[k] >= 0 and w.parts[k] < w.whole[k]
        cost = settle(s, k, w.y[k], w.x[k], divided)
        if k == top:
            return cost
        k += 1
        w.parts[k] += cost
