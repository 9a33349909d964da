"""Trials (RDO): the cost of a candidate once its residual is coded."""

from __future__ import annotations

from nvcodec.coding.hybrid.secondary import NO_MODE
from nvcodec.compiled import Integer, Real, kernel
from nvcodec.encode.hybrid.search.block import Block, chroma_of, log2
from nvcodec.encode.hybrid.search.inter_units import chroma_cost, chroma_units
from nvcodec.encode.hybrid.search.prediction import (
    MERGED,
    InterSearch,
    load_prediction,
    predict_chroma,
)
from nvcodec.encode.hybrid.search.transform_tree import LARGEST, best_tree


@kernel
def trial_cost(s: InterSearch, b: Block, place: Integer, most: Real) -> Real:
    """Squared error plus lambda times bits of the candidate at a place, with its units.

    Stops once the cost reaches `most`, so a cost that is not below it may be partial. Leaves the
    cost of its chroma in candidates.chroma.
    """
    c, w, colours = s.given.content, s.workspace, s.workspace.colours
    choice = s.candidates.choice[place]
    rate = b.lam * s.candidates.bits[place]
    wide, tall = min(b.wide, LARGEST), min(b.tall, LARGEST)
    across = b.wide // wide
    # Assumes one coded neighbour: which neighbours are coded is not decided yet.
    coded = b.lam * c.coded[b.level, choice[MERGED], 1, 1]
    nothing = b.lam * c.coded[b.level, choice[MERGED], 1, 0]
    of_chroma, predicted = 0.0, False
    for node in range(across * (b.tall // tall)):
        y, x = b.y + LARGEST * (node // across), b.x + LARGEST * (node % across)
        load_prediction(s, b, choice, y, x, wide, tall)
        luma, count, energy = best_tree(s.given, w, b, wide, tall, NO_MODE)
        nothing += energy
        coded += min(luma, energy) if count > 0 else energy
        if rate + min(coded, nothing) >= most:
            break
        if s.given.parts == 0:
            continue
        if not predicted:
            predict_chroma(s, b, choice)
            predicted = True
        top, left, chroma_wide, chroma_tall = chroma_of(s.given, y, x, wide, tall)
        first_y, first_x, _, _ = chroma_of(s.given, b.y, b.x, wide, tall)
        size = ((log2(wide) + log2(tall)) >> 1) - 3
        flags = chroma_units(
            s.given, colours.predicted[0], colours.predicted[1], top - first_y, left - first_x, w,
            b, top, left, chroma_wide, chroma_tall, size,
        )  # fmt: skip
        cost, empty = chroma_cost(s.given, w.transform, b, flags, size)
        coded += cost
        nothing += empty
        of_chroma += min(cost, empty)
        if rate + min(coded, nothing) >= most:
            break
    s.candidates.chroma[0] = of_chroma
    return rate + min(coded, nothing)
