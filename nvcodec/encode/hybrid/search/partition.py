"""How a block is divided into quarters: the one walker of all searches.

Leaves of key canvases and of inter canvases (spec 7.4) and luma transform trees (spec 7.5) are
decided alike: a block as a whole against its four quarters, each decided in the same way. What a
whole costs and what is to be done with the decision differ. These are two hooks:

    evaluate(s, k, y, x) -> bool
        A block of `smallest << k` samples begins. Sets s.walk.whole[k], what it costs as a whole
        (NEVER where that is not possible), and s.walk.parts[k], what saying that it is divided
        costs. Keeps what choosing the whole takes. Returns whether quarters are tried.
    settle(s, k, y, x, divided) -> cost
        The block is decided: it is divided, into quarters that have settled, or it is whole.
        Commits that, and returns what the block adds to the one around it.

`partition` gives the walker with the hooks in place, as one compiled function.
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
"""Sizes of blocks: 8 to 64 of leaves, 4 to 32 of transforms."""


class Walk(Record):
    """Where a walker is, by level: level k has blocks of `smallest << k` samples.

    `child` is the next quarter to be tried, -1 where none are. `whole` is the cost of the block as
    a whole, `parts` that of its quarters so far. `start` is the searches' own.
    """

    y = array(np.int64, _LEVELS)
    x = array(np.int64, _LEVELS)
    child = array(np.int64, _LEVELS)
    whole = array(np.float64, _LEVELS)
    parts = array(np.float64, _LEVELS)
    start = array(np.int64, _LEVELS)


def partition(evaluate: Callable[..., Any], settle: Callable[..., Any], smallest: int) -> Any:
    """The walker with these hooks, kernels of one module, for blocks down to `smallest` samples.

    It takes (s, top, y, x, height, width): a record with a `walk`, the level and place of the block
    to divide, and the size of the area, beyond which there are no quarters. It returns the cost.
    """
    module = sys.modules[evaluate.__module__]
    name = f"walk_with_{evaluate.__name__.strip('_')}"
    # A copy with names of its own: numba compiles and caches it as a function of that module.
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


# The hooks and `smallest` are names of the copy that `partition` makes.
# ruff: noqa: F821
# mypy: disable-error-code="name-defined"
def _walk(s: Any, top: Integer, y: Integer, x: Integer, height: Integer, width: Integer) -> Real:
    """Decide a block. A loop over levels: numba does not cache functions that call themselves."""
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
