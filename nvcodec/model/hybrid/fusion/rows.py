"""SIMD operations on a few neighbouring samples or sites: inputs and corrections (spec 9.3, 9.5).

Each takes a literal `width`, and C-contiguous arrays that are each followed by a place, the number
of an element. It works on `width` elements from there on, in 32 bits. Places are not checked.
`extra` is the number of bits of a sample beyond 8; it is looked at for samples of u16 alone. A word
has the value of Cb in its low 16 bits and that of Cr in its high 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from nvcodec.model.hybrid.fusion.weights import MAX_INPUT
from nvcodec.simd import NUMBER, PLACE, WORD, Operands, constant, operation

_HIGH_PASS_SHIFT = 15
_DIFFERENCE_SHIFT = 10
_CORRECTION_SHIFT = 16
_HALF = ir.IntType(16)


def _on_arrays(generate: Callable[[Operands], None], *arrays: str, deep: bool = True) -> Any:
    kinds: dict[str, Any] = {}
    for array in arrays:
        kinds |= {array: None, f"{array}_at": PLACE}
    if deep:
        kinds["extra"] = NUMBER
    return operation(generate, **kinds)


def _shift(code: Operands, samples: str, shift: int, each: int) -> Any:
    """A shift for samples of 8 bits, by `each` more for each further bit."""
    if code.element(samples).width == 8:
        return shift
    further = code.builder.mul(code["extra"], constant(each, WORD))
    return code.builder.add(further, constant(shift, WORD))


def _scaled(code: Operands, value: Any, factors: str, shift: Any) -> Any:
    """RShift(value * factor, shift)."""
    return code.rounded(code.builder.mul(value, code.load(factors)), shift)


def _input(code: Operands, value: Any, shift: Any) -> Any:
    return code.clip(_scaled(code, value, "factors", shift), -MAX_INPUT, MAX_INPUT)


def _high_pass(code: Operands, samples: str, sums: str) -> Any:
    """25 * sample - Box; `sums` of columns begin two to the left.

    It fits in 16 bits for samples of u8; for others after the shift to the scale of these.
    """
    deep = code.element(samples).width > 8
    bits, element = (32, WORD) if deep else (16, _HALF)
    value = code.builder.mul(code.load(samples, bits), code.same(25, element))
    for offset in range(5):
        value = code.builder.sub(value, code.load(sums, bits, offset=offset))
    wide = code.rounded(value, code["extra"]) if deep else code.builder.sext(value, code.vector())
    return _input(code, wide, _HIGH_PASS_SHIFT)


def _difference(code: Operands, samples: str, predicted: str) -> Any:
    change = code.builder.sub(code.load(predicted), code.load(samples))
    return _input(code, change, _shift(code, samples, _DIFFERENCE_SHIFT, 1))


def _corrected(code: Operands, samples: str, correction: Any) -> Any:
    change = _scaled(code, correction, "steps", _shift(code, samples, _CORRECTION_SHIFT, -1))
    value = code.builder.add(code.load(samples), change)
    if code.element(samples).width == 8:
        return code.clip(value, 0, 255)
    peak = code.builder.sub(code.builder.shl(constant(256, WORD), code["extra"]), constant(1, WORD))
    return code.between(value, code.same(0), code.splat(peak))


def _column_sums(code: Operands) -> None:
    total = code.load("above2", 16)
    for line in ("above1", "own", "below1", "below2"):
        total = code.builder.add(total, code.load(line, 16))
    code.store(total, "sums")


def _luma_high_pass(code: Operands) -> None:
    code.store(_high_pass(code, "samples", "sums"), "out")


def _chroma_high_pass(code: Operands) -> None:
    low = _high_pass(code, "blue", "blue_sums")
    code.store(code.word(low, _high_pass(code, "red", "red_sums")), "out")


def _luma_difference(code: Operands) -> None:
    code.store(_difference(code, "samples", "predicted"), "out")


def _chroma_difference(code: Operands) -> None:
    low = _difference(code, "blue", "blue_predicted")
    code.store(code.word(low, _difference(code, "red", "red_predicted")), "out")


def _correct_luma(code: Operands) -> None:
    code.store(_corrected(code, "samples", code.load("corrections")), "out")


def _correct_chroma(code: Operands) -> None:
    words, half = code.load("words"), code.same(16)
    low = code.builder.ashr(code.builder.shl(words, half), half)
    code.store(_corrected(code, "blue", low), "out_blue")
    code.store(_corrected(code, "red", code.builder.ashr(words, half)), "out_red")


column_sums: Any = _on_arrays(
    _column_sums, "above2", "above1", "own", "below1", "below2", "sums", deep=False
)  # fmt: skip
"""Sums of five rows at each column, as int16: with 12 bits they are at most 20475."""

luma_high_pass: Any = _on_arrays(_luma_high_pass, "samples", "sums", "factors", "out")
"""int16 high-pass inputs from samples and sums of columns, which begin two to the left."""

chroma_high_pass: Any = _on_arrays(
    _chroma_high_pass, "blue", "blue_sums", "red", "red_sums", "factors", "out"
)
"""The same of Cb and Cr, to words."""

luma_difference: Any = _on_arrays(_luma_difference, "samples", "predicted", "factors", "out")
"""int16 difference inputs from samples and predicted samples."""

chroma_difference: Any = _on_arrays(
    _chroma_difference, "blue", "red", "blue_predicted", "red_predicted", "factors", "out"
)
"""The same of Cb and Cr, to words."""

correct_luma: Any = _on_arrays(_correct_luma, "samples", "corrections", "steps", "out")
"""Samples of the frame from those of the canvas and int16 corrections."""

correct_chroma: Any = _on_arrays(
    _correct_chroma, "blue", "red", "words", "steps", "out_blue", "out_red"
)
"""The same of Cb and Cr, with words of corrections."""
