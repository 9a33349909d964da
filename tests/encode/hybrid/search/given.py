"""Inputs of decisions: a picture with its quantisers and the prices that a group starts with."""

import numpy as np

from nvcodec.coding.hybrid.secondary import NO_MODE, SETS
from nvcodec.encode.hybrid.group import default_prices
from nvcodec.encode.hybrid.search.block import CanvasInput
from nvcodec.encode.hybrid.search.units import Choice
from tests.coding.hybrid.reference import set_of
from tests.encode.hybrid.pictures import planes_of


def as_compiled(b):
    """A block that Python got, with the types it has in kernels: they need no others for it."""
    return b._replace(q=np.uint8(b.q), step=np.float32(b.step))


def canvas_input(luma, q, canvas_set=1, depth=3, chroma_offset=0):
    """`q` is one index, or those of all blocks of 32 x 32 luma samples."""
    prices = default_prices(canvas_set)
    blocks = tuple(-(-n // 32) for n in luma.shape)
    return CanvasInput(
        *planes_of(luma),
        codes=(0, 1, 2),
        parts=1,
        quantisers=np.broadcast_to(np.asarray(q, np.uint8), blocks).copy(),
        intended=np.broadcast_to(np.asarray(q, np.uint8), blocks).copy(),
        chroma_offset=chroma_offset,
        content=prices.content,
        intra=prices.intra,
        depth=depth,
        thorough=False,
        transforms=3,
    )


def choice_of(given, mode):
    """The transforms of a luma unit with this intra mode, NO_MODE if it is not intra."""
    intra = mode != NO_MODE
    number = set_of(mode)
    return Choice(
        sine=given.content.sine[int(intra)],
        secondary=given.content.secondary[SETS if number is None else number],
        mode=mode,
        most=given.transforms if intra else 2 if given.thorough else 1,
        thorough=given.thorough,
    )
