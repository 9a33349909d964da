"""The prices that decisions see: bits of both substreams for each Set, from contexts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nvcodec.coding.hybrid.units import CB, CODED_FLAG, CR, LUMA, PART, TREE
from nvcodec.coding.rangecoder import Contexts
from nvcodec.encode.hybrid.rate.costs import Bits, bit_costs, unit_costs
from nvcodec.encode.hybrid.search.intra_search import IntraCosts, intra_costs
from nvcodec.encode.hybrid.search.motion_search import MotionCosts, motion_costs
from nvcodec.encode.hybrid.search.residual import ContentCosts


@dataclass(frozen=True)
class Prices:
    """Bits of the syntax of a canvas; `motion` is None in a key canvas."""

    motion: MotionCosts | None
    intra: IntraCosts
    content: ContentCosts


def make_prices(motion: Contexts, content: Contexts, canvas_set: int) -> Prices:
    """What syntax costs with contexts as they are (spec 7.7)."""
    m, c = bit_costs(motion), bit_costs(content)
    inter = max(0, canvas_set - 1)

    def part(first: int, number: int, shape: tuple[int, ...]) -> Bits:
        """The bits of the contexts of one kind: number `number` of its arrays of this shape."""
        size = math.prod(shape)
        start = first + size * number
        return c[start : start + size].reshape(*shape, 2).copy()

    costs = ContentCosts(
        coded=part(CODED_FLAG, inter, (4, 2, 3)),
        cb=part(CB, canvas_set, (3,)),
        cr=part(CR, canvas_set, (3, 2)),
        luma=part(LUMA, canvas_set, (3, 2)),
        tree=part(TREE, inter, (3,)),
        part=part(PART, inter, (3,)),
        units=unit_costs(c, canvas_set, 0),
        chroma_units=unit_costs(c, canvas_set, 1),
    )
    return Prices(
        motion_costs(m, canvas_set) if canvas_set else None, intra_costs(m, canvas_set), costs
    )
