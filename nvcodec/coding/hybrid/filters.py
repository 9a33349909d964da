"""The adaptive filters of a canvas in the content substream (spec 7.8): to bits and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.difference import exponential
from nvcodec.coding.hybrid.levels import END
from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import Direction, bit, bypass, compile_syntax
from nvcodec.format.errors import CorruptError

# Numbers of the first context of each kind (spec 7.7).
SAME = END
TAP = SAME + 1
ON = TAP + 14
FILTERS_END = ON + 6
"""One more than the last context."""

CLASSES = 25
"""Classes of the blocks of luma."""
MOST_FILTERS = 8
LUMA_TAPS = 12
CHROMA_TAPS = 6
MAX_TAP = 127
"""Greatest magnitude of a tap."""

_ROOT = 64


@dataclass(frozen=True, eq=False)
class Filters:
    """The adaptive filters of a canvas, one entry for each plane.

    Attributes:
        used: int64 (planes,), 1 where a plane is filtered.
        counts: int64 (planes,), the number of its filters; 1 for chroma.
        classes: int64 (CLASSES,), the filter of each class of luma blocks.
        taps: int64 (planes, MOST_FILTERS, LUMA_TAPS); chroma has CHROMA_TAPS of one filter.
        on: int64 (planes, root rows, root columns), 1 where a root block is filtered.

    """

    used: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    taps: npt.NDArray[np.int64]
    on: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, planes: int, coded_width: int, coded_height: int) -> Filters:
        """No filters, for a canvas of so many planes and luma samples."""
        shape = planes, -(-coded_height // _ROOT), -(-coded_width // _ROOT)
        return cls(
            np.zeros(planes, np.int64),
            np.ones(planes, np.int64),
            np.zeros(CLASSES, np.int64),
            np.zeros((planes, MOST_FILTERS, LUMA_TAPS), np.int64),
            np.zeros(shape, np.int64),
        )

    def __bool__(self) -> bool:
        """Whether any plane is filtered."""
        return bool(self.used.any())


def canvas_filters(
    coder: np.ndarray,
    contexts: np.ndarray,
    buffer: np.ndarray,
    used: np.ndarray,
    counts: np.ndarray,
    classes: np.ndarray,
    taps: np.ndarray,
    on: np.ndarray,
) -> None:
    """Syntax of spec 7.8; the arrays are the fields of Filters, as `empty` in the decoder.

    The number that the decoder reads for a class may be that of no filter: `decode_filters`
    refuses it.
    """
    rows = on.shape[1]
    columns = on.shape[2]
    for plane in range(used.size):
        chroma = 1 if plane > 0 else 0
        given = bypass(used[plane])
        used[plane] = given
        if given != 0:
            count = 1
            size = CHROMA_TAPS
            if plane == 0:
                size = LUMA_TAPS
                coded = 0
                for j in range(3):
                    b = bypass(((counts[0] - 1) >> (2 - j)) & 1)
                    coded = 2 * coded + b
                count = coded + 1
                length = 0
                while count - 1 >> length > 0:
                    length += 1
                for k in range(CLASSES if count > 1 else 0):
                    same = 0
                    if k > 0:
                        same = bit(SAME, 1 if classes[k] == classes[k - 1] else 0)
                    number = classes[k - 1] if k > 0 else 0
                    if same == 0:
                        number = 0
                        for j in range(length):
                            b = bypass((classes[k] >> (length - 1 - j)) & 1)
                            number = 2 * number + b
                    classes[k] = number
            counts[plane] = count
            for f in range(count):
                for i in range(size):
                    first = TAP + 7 * chroma
                    value = exponential(taps[plane, f, i], first, first + 1, 6)
                    taps[plane, f, i] = value
            for r in range(rows):
                for c in range(columns):
                    near = on[plane, r, c - 1] if c > 0 else 0
                    near += on[plane, r - 1, c] if r > 0 else 0
                    shown = bit(ON + 3 * chroma + near, on[plane, r, c])
                    on[plane, r, c] = shown


# The encoder's direction is compiled on first use, so that it does not delay every decoder.
_decode = compile_syntax(canvas_filters, Direction.DECODE)


def filters_capacity(filters: Filters) -> int:
    """Upper bound of the bytes of filters: part of the capacity that RangeEncoder needs."""
    planes, roots = len(filters.used), filters.on.size
    return 2 * (planes * (4 + 15 * MOST_FILTERS * LUMA_TAPS) + 4 * CLASSES + roots) + 16


def encode_filters(encoder: RangeEncoder, filters: Filters) -> None:
    """Code the filters of a canvas (spec 7.8); they are only read.

    Raises ValueError for a value that cannot be coded.
    """
    counts, taps = filters.counts, filters.taps
    if not (counts.min() >= 1 and counts.max() <= MOST_FILTERS and (counts[1:] == 1).all()):
        raise ValueError(f"{counts} are no numbers of filters")
    if np.abs(taps).max() > MAX_TAP or (filters.classes >= counts[0]).any():
        raise ValueError(f"a tap exceeds {MAX_TAP}, or a class has no filter")
    encode = compile_syntax(canvas_filters, Direction.ENCODE)
    arrays = filters.used, counts, filters.classes, taps, filters.on
    encoder.run(encode, *(array.copy() for array in arrays))


def decode_filters(
    decoder: RangeDecoder, planes: int, coded_width: int, coded_height: int
) -> Filters:
    """Decode the filters of a canvas (spec 7.8).

    Raises CorruptError where a class has a filter that is not there.
    """
    filters = Filters.empty(planes, coded_width, coded_height)
    decoder.run(_decode, filters.used, filters.counts, filters.classes, filters.taps, filters.on)
    if (filters.classes >= filters.counts[0]).any():
        raise CorruptError("a class has a filter that is not there", rule="7.8")
    return filters
