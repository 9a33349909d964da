"""The prices (rate tables) of a canvas: bits of both substreams, from contexts and tools."""

from __future__ import annotations

from dataclasses import dataclass

from nvcodec.coding.rangecoder import Contexts
from nvcodec.encode.hybrid.rate.bits import context_bits
from nvcodec.encode.hybrid.rate.content import UNAFFORDABLE, ContentBits, content_bits
from nvcodec.encode.hybrid.rate.intra import IntraBits, intra_bits
from nvcodec.encode.hybrid.rate.motion import MotionBits, motion_bits
from nvcodec.encode.hybrid.tools import Tools


@dataclass(frozen=True)
class Prices:
    """Bits of the syntax of a canvas; `motion` is None for a key canvas."""

    motion: MotionBits | None
    intra: IntraBits
    content: ContentBits


def make_prices(motion: Contexts, content: Contexts, canvas_set: int, tools: Tools) -> Prices:
    """The prices under these contexts (spec 7.7); a tool that is off becomes unaffordable."""
    of_motion = context_bits(motion)
    prices = Prices(
        motion=motion_bits(of_motion, canvas_set) if canvas_set else None,
        intra=intra_bits(of_motion, canvas_set),
        content=content_bits(context_bits(content), canvas_set),
    )
    _take_out(prices, tools)
    return prices


def _take_out(prices: Prices, tools: Tools) -> None:
    """Make the tools that are switched off unaffordable."""
    if not tools.transform_4:
        prices.content.tree[0, 1:] = UNAFFORDABLE
        prices.intra.cut[1:] = UNAFFORDABLE
    if not tools.linear_chroma:
        prices.intra.chroma[:, 5:] = UNAFFORDABLE
    if not tools.halves:
        prices.intra.halved[..., 1] = UNAFFORDABLE
        prices.intra.cut[2:] = UNAFFORDABLE
    if not tools.sine:
        prices.content.sine[..., 1] = UNAFFORDABLE
    if not tools.secondary:
        prices.content.secondary[..., 1:] = UNAFFORDABLE
    if prices.motion is None:
        if not tools.key_transform_32:
            prices.intra.split[1, :, 0] = UNAFFORDABLE
        return
    if not tools.inter_transform_32:
        prices.content.tree[2, :1] = UNAFFORDABLE
        # A node of 8 x 32 or 16 x 32 is split too.
        prices.content.uneven_tree[1:, :1] = UNAFFORDABLE
    if not tools.halves:
        prices.motion.halved[..., 1] = UNAFFORDABLE
    if not tools.merge:
        prices.motion.merge[..., 1] = UNAFFORDABLE
    if not tools.bi:
        prices.motion.both[:, 1] = UNAFFORDABLE
    if not tools.affine:
        prices.motion.affine[..., 1] = UNAFFORDABLE
    if tools.largest_inter < 64:
        prices.motion.split[2, :, 0] = UNAFFORDABLE
    if tools.smallest_inter > 8:
        prices.motion.split[0, :, 1] = UNAFFORDABLE
        # Neither is a block of 16 halved, nor a half of 16 x 32.
        prices.motion.halved[0, 0, :, 1] = UNAFFORDABLE
        prices.motion.halved[1, 1, :, 1] = UNAFFORDABLE
