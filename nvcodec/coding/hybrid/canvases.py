"""The canvases of a group from its motion and content substreams, one by one (spec 7.3)."""

from __future__ import annotations

from nvcodec.coding.hybrid.content import decode_content, default_content_contexts
from nvcodec.coding.hybrid.leaves import Table
from nvcodec.coding.hybrid.motion import decode_motion, default_motion_contexts
from nvcodec.coding.rangecoder import RangeDecoder


class CanvasReader:
    """Parses the canvases of a group in coding order; `size` is the coded one, (width, height).

    Raises CorruptError for a substream that cannot be one.
    """

    def __init__(self, motion: bytes, content: bytes, size: tuple[int, int]) -> None:
        self._size = size
        self._motion = RangeDecoder(motion, default_motion_contexts())
        self._content = RangeDecoder(content, default_content_contexts())

    def read(self, canvas_set: int) -> tuple[int, Table, Table, Table]:
        """Quantiser, leaves, units and levels of the next canvas, which is of this Set."""
        leaves = decode_motion(self._motion, *self._size, canvas_set)
        quantiser, units, levels = decode_content(self._content, leaves, canvas_set, *self._size)
        return quantiser, leaves, units, levels

    def close(self) -> None:
        """Check the ends of both; raises CorruptError."""
        self._motion.close()
        self._content.close()
