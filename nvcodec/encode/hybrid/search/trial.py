"""Trials (RDO): the cost of a candidate once its residual is coded, luma only."""

from __future__ import annotations

from nvcodec.coding.hybrid.secondary import NO_MODE
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.block import Block
from nvcodec.encode.hybrid.search.prediction import (
    MERGED,
    InterSearch,
    load_prediction,
)
from nvcodec.encode.hybrid.search.transform_tree import LARGEST, best_tree


@kernel
def trial_cost(s: InterSearch, b: Block, place: Integer, most: Real) -> Real:
    """Squared error plus lambda times bits of the candidate at a place, with its luma units.

    Stops once the cost reaches `most`, so a cost that is not below it may be partial.
    """
    c = s.given.content
    choice = s.candidates.choice[place]
    rate = b.lam * s.candidates.bits[place]
    wide, tall = min(b.wide, LARGEST), min(b.tall, LARGEST)
    across = b.wide // wide
    # Assumes one coded neighbour: which neighbours are coded is not decided yet.
    coded = b.lam * c.coded[b.level, choice[MERGED], 1, 1]
    nothing = b.lam * c.coded[b.level, choice[MERGED], 1, 0]
    for node in range(across * (b.tall // tall)):
        y, x = b.y + LARGEST * (node // across), b.x + LARGEST * (node % across)
        load_prediction(s, choice, y, x, wide, tall)
        luma, count, energy = best_tree(s.given, s.workspace, b, wide, tall, NO_MODE)
        nothing += energy
        coded += min(luma, energy) if count > 0 else energy
        if rate + min(coded, nothing) >= most:
            break
    return rate + min(coded, nothing)
