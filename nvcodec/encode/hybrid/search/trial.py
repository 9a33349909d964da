"""Trials (RDO): the cost of a candidate once its residual is coded, luma only."""

from __future__ import annotations

from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.distances import satd
from nvcodec.encode.hybrid.search.block import NEVER, Block
from nvcodec.encode.hybrid.search.prediction import (
    FAR,
    MERGED,
    InterSearch,
    load_prediction,
)
from nvcodec.encode.hybrid.search.transform_tree import LARGEST, best_tree
from nvcodec.encode.hybrid.search.units import load_residual
from nvcodec.encode.hybrid.search.workspace import IntraSpace
from nvcodec.model.hybrid.canvas.intra import (
    MOST,
    intra_predict,
    intra_references,
    intra_smooth,
    is_smoothed,
)

_INTRA_MODES = (0, 1, 10, 26, 2, 6, 14, 18, 22, 30, 34)
"""Modes that are tried: planar, DC, horizontal, vertical and some angles between."""
_INTRA_LOSS = 1.05
"""Factor on the cost: the final prediction is from reconstructed samples, which are worse."""
_INTRA_MODE_BITS = 10.0
"""Approximate bits of the luma and chroma modes."""


@kernel
def trial_cost(s: InterSearch, b: Block, place: Integer) -> Real:
    """Squared error plus lambda times bits of the candidate at a place, with its luma units."""
    c = s.given.content
    choice = s.candidates.choice[place]
    n = min(b.n, LARGEST)
    # Assumes one coded neighbour: which neighbours are coded is not decided yet.
    coded = b.price * c.coded[b.level, choice[MERGED], 1, 1]
    nothing = b.price * c.coded[b.level, choice[MERGED], 1, 0]
    for node in range((b.n // n) * (b.n // n)):
        load_prediction(s, choice, b.y + LARGEST * (node >> 1), b.x + LARGEST * (node & 1), n)
        luma, count, energy = best_tree(s.given, s.workspace, b, n)
        nothing += energy
        coded += min(luma, energy) if count > 0 else energy
    return b.price * s.candidates.bits[place] + min(coded, nothing)


@kernel
def _predict(space: IntraSpace, mode: Integer, n: Integer) -> None:
    """Predict a luma block from edges[0], or from the smoothed edges[1] if the mode takes them."""
    edge = space.edges[1 if is_smoothed(mode, n) else 0]
    intra_predict(mode, n, False, edge, space.line, space.prediction)


@kernel
def intra_trial_cost(s: InterSearch, b: Block, best_satd: Real) -> Real:
    """Squared error plus lambda times bits of the best intra prediction from source samples.

    NEVER if its SATD is not below `best_satd`.
    """
    space = s.workspace.intra
    plane = s.given.source0
    intra_references(plane, s.known, False, b.y, b.x, b.n, space.edges[0])
    intra_smooth(space.edges[0], b.n, space.edges[1])
    prediction = space.prediction.reshape(-1)
    at = b.y * s.width + b.x
    least = FAR
    mode = 0
    for candidate in _INTRA_MODES:
        _predict(space, candidate, b.n)
        cost = satd(s.current, at, s.width, prediction, 0, MOST, b.n)
        if cost < least:
            least = cost
            mode = candidate
    if least >= best_satd:
        return NEVER
    _predict(space, mode, b.n)
    load_residual(plane, b.y, b.x, space.prediction, b.n, s.workspace.transform.residual)
    luma, count, energy = best_tree(s.given, s.workspace, b, b.n)
    cost = min(luma, energy) if count > 0 else energy
    return _INTRA_LOSS * cost + b.price * (s.costs.intra[0, 1] + _INTRA_MODE_BITS)
