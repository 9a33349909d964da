"""The prices that decisions see: bits of both substreams for each Set, from contexts."""

from __future__ import annotations

from dataclasses import dataclass

from nvcodec.coding.rangecoder import Contexts
from nvcodec.encode.hybrid.costs import bit_costs, unit_costs
from nvcodec.encode.hybrid.intra_search import IntraCosts, intra_costs
from nvcodec.encode.hybrid.motion_search import MotionCosts, motion_costs
from nvcodec.encode.hybrid.residual import ContentCosts


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
    costs = ContentCosts(
        coded=c[7 + 24 * inter : 31 + 24 * inter].reshape(4, 2, 3, 2).copy(),
        cb=c[55 + 3 * canvas_set : 58 + 3 * canvas_set].copy(),
        cr=c[64 + 6 * canvas_set : 70 + 6 * canvas_set].reshape(3, 2, 2).copy(),
        luma=c[82 + 6 * canvas_set : 88 + 6 * canvas_set].reshape(3, 2, 2).copy(),
        tree=c[100 + 3 * inter : 103 + 3 * inter].copy(),
        part=c[106 + 3 * inter : 109 + 3 * inter].copy(),
        units=unit_costs(c, canvas_set, 0),
        chroma_units=unit_costs(c, canvas_set, 1),
    )
    return Prices(
        motion_costs(m, canvas_set) if canvas_set else None, intra_costs(m, canvas_set), costs
    )
