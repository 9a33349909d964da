"""Interpolated reference luma for motion search: one plane for each of 16 phases.

A phase is a quarter-sample position, horizontal and vertical. The samples are those of inter
prediction (spec 8.3) from one reference, rounded to samples.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from nvcodec.compiled import Integer, allocating
from nvcodec.model.hybrid.canvas.inter import LUMA_TAPS
from nvcodec.model.samples import peak_of, plane_code
from nvcodec.picture import Plane, SampleFormat
from nvcodec.products import LANES, add_pairs, joined
from nvcodec.simd import NUMBER, PLACE, Operands, Vectors, constant, operation

MARGIN = 48
"""Luma samples of padding around the coded plane."""

Phases = npt.NDArray[Any]
"""(16, height + 2 MARGIN, width + 2 MARGIN): phase 4 * fy + fx."""


_TAPS = LUMA_TAPS.tolist()

_BAND = 16
"""Rows of a picture that are filtered down at once, while all of them are in the cache."""

_PARTS = 4
"""Parts of a picture that are filled apart."""

_WIDE = 2 * LANES
"""Samples in a vector operation; a row has more."""


def _used(taps: Sequence[int]) -> list[tuple[int, int]]:
    """The taps that are not 0, with their numbers."""
    return [(k, tap) for k, tap in enumerate(taps) if tap]


def _across(code: Operands) -> None:
    builder, element = code.builder, code.element("out")
    row = [code.load("source", element.width, code["at"], offset=k) for k in range(8)]
    for fx, taps in enumerate(_TAPS):
        products = [builder.mul(row[k], code.same(tap, element)) for k, tap in _used(taps)]
        place = builder.add(code["to"], builder.mul(code["step"], constant(fx)))
        code.write(reduce(builder.add, products), code.pointer("out", place, code.lanes))


def _down(code: Operands) -> None:
    builder, element, sample = code.builder, code.element("sums"), code.element("out")
    rows, place = [], code["at"]
    for _ in range(8):
        rows.append(code.load("sums", element.width, place))
        place = builder.add(place, code["step"])
    straight = builder.add(rows[3], code.same(32, element))
    filtered = [builder.ashr(straight, code.same(6, element))]
    filtered += _of_pairs(code, rows) if element.width == 16 else _of_rows(code, rows)
    most = code.same(255, element) if sample.width == 8 else code.splat(code["peak"])
    place = code["to"]
    for value in filtered:
        clipped = code.between(value, code.same(0, element), most)
        value = builder.trunc(clipped, code.vector(sample))
        code.write(value, code.pointer("out", place, code.lanes))
        place = builder.add(place, code["out_step"])


def _of_rows(code: Operands, rows: Sequence[Any]) -> list[Any]:
    """Rounded sums for fy = 1, 2 and 3 of rows of 32-bit sums."""
    builder, found = code.builder, []
    for taps in _TAPS[1:]:
        products = [builder.mul(rows[k], code.same(tap)) for k, tap in _used(taps)]
        found.append(code.rounded(reduce(builder.add, products), 12))
    return found


def _of_pairs(code: Operands, rows: Sequence[Any]) -> list[Any]:
    """The same of rows of 16-bit sums, two rows at once."""
    builder, words = code.builder, Vectors(code.builder, LANES)
    # Within 128 bits, as processors interleave and `joined` puts together again.
    orders = [
        [at + k + row for at in range(first, _WIDE, 8) for k in range(4) for row in (0, _WIDE)]
        for first in (0, 4)
    ]
    halves = [
        [
            builder.bitcast(
                builder.shuffle_vector(*rows[k : k + 2], ir.Constant(code.vector(), order)),
                words.vector(),
            )
            for k in range(0, 8, 2)
        ]
        for order in orders
    ]
    found = []
    for taps in _TAPS[1:]:
        parts = []
        for pairs in halves:
            total = words.same(1 << 11)
            for k, pair in enumerate(pairs):
                factors = words.same((taps[2 * k] & 0xFFFF) | taps[2 * k + 1] << 16)
                total = add_pairs(words, total, pair, factors)
            parts.append(builder.ashr(total, words.same(12)))
        found.append(joined(words, *parts))
    return found


_across_row: Any = operation(_across, source=None, at=PLACE, out=None, to=PLACE, step=PLACE)
"""Sums of source[at..] for the four horizontal phases, not rounded, in the bits of `out`.

Those of phase fx are out[to + fx * step..].
"""

_down_rows: Any = operation(
    _down, sums=None, at=PLACE, step=PLACE, out=None, to=PLACE, out_step=PLACE, peak=NUMBER
)
"""Samples out[to + fy * out_step..] for the four vertical phases, from eight rows of sums.

The first of the rows begins at sums[at]; they are `step` apart. `peak` is 255 if out is u8.
"""


@allocating
def _fill(
    padded: np.ndarray,
    sums: np.ndarray,
    start: Integer,
    end: Integer,
    code: Integer,
    out: np.ndarray,
) -> None:
    """Fill rows `start` to `end - 1` of all phases from the padded plane.

    `sums` is scratch, (_BAND + 7, 4, columns).
    """
    _, rows, columns = out.shape
    peak = peak_of(out, code)
    samples, flat_sums, flat = padded.reshape(-1), sums.reshape(-1), out.reshape(-1)
    step = 4 * columns
    for first in range(start, end, _BAND):
        count = min(_BAND, end - first)
        known = 0 if first == start else 7
        for k in range(known * step):
            flat_sums[k] = flat_sums[_BAND * step + k]
        for k in range(known, count + 7):
            at = (first + k) * padded.shape[1]
            for j in range(0, columns, _WIDE):
                # The last operation of a row repeats a part of the one before.
                x = min(j, columns - _WIDE)
                _across_row(_WIDE, samples, at + x, flat_sums, k * step + x, columns)
        for k in range(count):
            for fx in range(4):
                at = k * step + fx * columns
                to = (fx * rows + first + k) * columns
                for j in range(0, columns, _WIDE):
                    x = min(j, columns - _WIDE)
                    _down_rows(
                        _WIDE, flat_sums, at + x, step, flat, to + x, step * rows, peak
                    )  # fmt: skip


class PhasesMemory:
    """Memory of phases that nobody uses any more, for those that are made next.

    New memory is expensive: the system clears it page by page.
    """

    def __init__(self) -> None:
        self._free: list[Phases] = []

    def take(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Phases:
        """An array of a shape; what is in it is undefined. It comes back when it is dropped."""
        memory = None
        while memory is None or memory.shape != shape or memory.dtype != dtype:
            try:
                # Not asked before: another thread could take the last one in between.
                memory = self._free.pop()
            except IndexError:
                memory = np.empty(shape, dtype)
        # The array that is handed out is another object, so that it can be dropped.
        taken = memory[:]
        weakref.finalize(taken, self._free.append, memory)
        return taken


def phases_of(
    luma: Plane, sample_format: SampleFormat, memory: PhasesMemory | None = None
) -> tuple[Phases, list[Callable[[], None]]]:
    """All phases of a coded luma plane (height, width), and the calls that fill them.

    The calls do not depend on each other.
    """
    code = plane_code(sample_format, 0)
    height, width = luma.shape
    shape = 16, height + 2 * MARGIN, width + 2 * MARGIN
    out = memory.take(shape, luma.dtype) if memory else np.empty(shape, luma.dtype)
    # The filter reaches 3 samples before and 4 after.
    padded = np.pad(luma, ((MARGIN + 3, MARGIN + 4), (MARGIN + 3, MARGIN + 4)), mode="edge")
    kind = np.int16 if luma.dtype == np.uint8 else np.int32

    def fill(start: int, end: int) -> None:
        sums = np.empty((_BAND + 7, 4, shape[2]), kind)
        _fill(padded, sums, start, end, code, out)

    bands = -(-shape[1] // _BAND)
    edges = [min(shape[1], bands * k // _PARTS * _BAND) for k in range(_PARTS)] + [shape[1]]
    return out, [partial(fill, *part) for part in pairwise(edges)]
