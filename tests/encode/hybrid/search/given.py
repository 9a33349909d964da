"""Inputs of decisions: a picture with its quantisers and the prices that a group starts with."""

import numpy as np

from nvcodec.encode.hybrid.group import default_prices
from nvcodec.encode.hybrid.search.block import CanvasInput
from tests.encode.hybrid.pictures import planes_of


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
    )
