"""SIMD operations on a few neighbouring samples: classes and sums of adaptive filters (spec 8.8).

Each takes a literal `width`, and C-contiguous arrays that are each followed by a place, the number
of an element. It works on `width` elements from there on. Places are not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from nvcodec.simd import NUMBER, PLACE, Operands, operation

WIDE = 32
"""Columns whose curvatures are computed at once."""

LINE = 16
"""Samples that are filtered at once."""

NARROW = 4
"""Samples at the end of a row, in both."""

_SHIFT = 7
_HALF = ir.IntType(16)


def _on_arrays(generate: Callable[[Operands], None], *arrays: str, **numbers: Any) -> Any:
    kinds: dict[str, Any] = {}
    for array in arrays:
        kinds |= {array: None, f"{array}_at": PLACE}
    return operation(generate, **kinds, **numbers)


def _add_curvatures(code: Operands) -> None:
    builder = code.builder
    twice = builder.shl(code.load("own", 16), code.same(1, _HALF))
    mask = code.load("mask", 16)
    pairs = {
        "vertical": (("above", 0), ("below", 0)),
        "horizontal": (("own", -1), ("own", 1)),
        "falling": (("above", -1), ("below", 1)),
        "rising": (("above", 1), ("below", -1)),
    }
    for sums, pair in pairs.items():
        value = twice
        for line, offset in pair:
            value = builder.sub(value, code.load(line, 16, offset=offset))
        negative = builder.icmp_signed("<", value, code.same(0, _HALF))
        value = builder.select(negative, builder.neg(value), value)
        code.store(builder.add(code.load(sums, 16), builder.and_(value, mask)), sums)


def _begin_sums(code: Operands) -> None:
    product = code.builder.mul(code.load("samples"), code.load("weights"))
    code.store(code.builder.sub(code.same(1 << (_SHIFT - 1)), product), "sums")


def _add_tap(code: Operands) -> None:
    pair = code.builder.add(code.load("one"), code.load("other"))
    product = code.builder.mul(pair, code.load("weights"))
    code.store(code.builder.add(code.load("sums"), product), "sums")


def _end_sums(code: Operands) -> None:
    change = code.builder.ashr(code.load("sums"), code.same(_SHIFT))
    value = code.builder.add(code.load("samples"), change)
    code.store(code.between(value, code.same(0), code.number(code["peak"])), "out")


add_curvatures: Any = _on_arrays(
    _add_curvatures, "above", "own", "below", "mask", "vertical", "horizontal", "falling", "rising"
)  # fmt: skip
"""Add to int16 sums the four curvatures at the columns of a row that the int16 `mask` has.

With 12 bits each is at most 8190.
"""

begin_sums: Any = _on_arrays(_begin_sums, "samples", "weights", "sums")
"""int32 sums of filters before the taps: rounding, less samples times int32 weights."""

add_tap: Any = _on_arrays(_add_tap, "one", "other", "weights", "sums")
"""Add a tap: the weights times both samples that lie opposite each other."""

end_sums: Any = _on_arrays(_end_sums, "samples", "sums", "out", peak=NUMBER)
"""Filtered samples, 0..peak, from samples and sums."""
