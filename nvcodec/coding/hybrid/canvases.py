"""The canvases of a group from its motion and content substreams, one by one (spec 7.3)."""

from __future__ import annotations

from typing import NamedTuple

from nvcodec.coding.hybrid.content import decode_content, default_content_contexts
from nvcodec.coding.hybrid.filters import Filters, decode_filters
from nvcodec.coding.hybrid.leaves import LEAF_COLUMNS, LEVEL_COLUMNS, UNIT_COLUMNS, Table
from nvcodec.coding.hybrid.motion import decode_motion, default_motion_contexts
from nvcodec.coding.hybrid.palettes import MOST_COLOURS
from nvcodec.coding.rangecoder import Contexts, RangeDecoder
from nvcodec.picture import YUV420P8, SampleFormat


def default_contexts() -> tuple[Contexts, Contexts]:
    """Fresh copies of the default contexts of motion and of content (spec 7.7)."""
    return default_motion_contexts(), default_content_contexts()


class ReadCanvas(NamedTuple):
    """A canvas as it is coded: what `leaves` and `filters` describe.

    `filters` are None for an interior canvas, which has none.
    """

    quantiser: int
    leaves: Table
    units: Table
    levels: Table
    filters: Filters | None

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables."""
        return self.leaves.nbytes + self.units.nbytes + self.levels.nbytes


def most_table_bytes(width: int, height: int, sample_format: SampleFormat) -> int:
    """The most bytes of the tables of a canvas of that coded size, whatever its bits are."""
    colours = 5 * MOST_COLOURS * LEVEL_COLUMNS
    cell = 4 * (LEAF_COLUMNS + 8 * UNIT_COLUMNS + colours)
    samples = sum(rows * columns for rows, columns in sample_format.plane_shapes(width, height))
    return width * height // 64 * cell + 4 * LEVEL_COLUMNS * samples


class CanvasReader:
    """Parses the canvases of a group in coding order; `size` is (CodedWidth, CodedHeight).

    `sample_format` is that of the canvases; `contexts` are those of motion and of content; None
    stands for the default tables. Raises CorruptError for an invalid substream.
    """

    def __init__(
        self,
        motion: bytes,
        content: bytes,
        size: tuple[int, int],
        contexts: tuple[Contexts, Contexts] | None = None,
        sample_format: SampleFormat = YUV420P8,
    ) -> None:
        self._format = sample_format
        self._size = size
        of_motion, of_content = contexts or default_contexts()
        self._motion = RangeDecoder(motion, of_motion)
        self._content = RangeDecoder(content, of_content)

    def read(self, canvas_set: int, two: bool = False) -> ReadCanvas:
        """The next canvas, whose Set is `canvas_set`.

        `two` says whether a chain canvas has two references.
        """
        leaves = decode_motion(self._motion, *self._size, canvas_set, self._format, two)
        filters = None
        if canvas_set < 2:
            filters = decode_filters(self._content, self._format.planes, *self._size)
        quantiser, units, levels = decode_content(
            self._content, leaves, canvas_set, *self._size, self._format
        )
        return ReadCanvas(quantiser, leaves, units, levels, filters)

    def close(self) -> None:
        """Check that both substreams end here; raises CorruptError."""
        self._motion.close()
        self._content.close()
