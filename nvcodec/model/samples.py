"""The format of the samples that compiled functions work on: constants, and codes of planes.

Kernels of 8-bit 4:2:0 alone name the constants; Numba compiles globals as constants, so they are as
fast as literals. Kernels of the hybrid model take any format: the type of an array says whether
samples have 8 bits or more, and a plane's code says the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nvcodec.compiled import Integer, intrinsic, kernel, types
from nvcodec.picture import YUV420P8, SampleFormat

FORMAT = YUV420P8
"""The sample format of kernels that know one only."""

SAMPLE = FORMAT.dtype.type
"""The type of samples in arrays that kernels make."""

PEAK = FORMAT.peak
"""The largest sample value."""

MIDDLE = FORMAT.middle
"""The sample value of neutral chroma and of mid-grey luma."""

CHROMA_X, CHROMA_Y = FORMAT.chroma_shift
"""Log2 of luma samples per chroma sample: along x, along y."""


_NUMBER = 3
"""Bits of a plane's code that are its number: 0 (Y), 1 (Cb), 2 (Cr)."""

_WHOLE_X, _WHOLE_Y = 4, 8
"""Bits of a chroma plane's code: it has as many columns, or rows, as luma."""

EXTRA = 4
"""From this bit on: bits of a sample beyond 8."""


def plane_code(sample_format: SampleFormat, plane: int) -> int:
    """A plane of a sample format as kernels of the hybrid model take it: one integer.

    The codes of 8-bit 4:2:0 are the numbers of its planes. Kernels are compiled for the type of
    samples alone; all else that depends on the format is in the code (decision 0023).
    """
    code = plane | (sample_format.bit_depth - 8) << EXTRA
    if plane:
        across, down = sample_format.chroma_shift
        code |= (0 if across else _WHOLE_X) | (0 if down else _WHOLE_Y)
    return code


@kernel
def plane_number(code: Integer) -> Integer:
    """The number of a plane from its code; not 0 for chroma."""
    return code & _NUMBER


@kernel
def plane_shift(code: Integer) -> tuple[Integer, Integer]:
    """Log2 of luma samples per sample of a plane: along x, along y."""
    if code & _NUMBER:
        return 1 if code & _WHOLE_X == 0 else 0, 1 if code & _WHOLE_Y == 0 else 0
    return 0, 0


def _if_deep(context: Any, plane: Any, bits: Any) -> Any:
    """`bits`, but 0 as a constant of the compiler if the samples of a plane are u8."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if plane.dtype == types.uint8:
            return context.get_constant(types.int64, 0)
        return args[1]

    return types.int64(plane, types.int64), code


_of_deep: Any = intrinsic(_if_deep)


@kernel
def extra_bits(plane: np.ndarray, code: Integer) -> Integer:
    """Bits of a plane's samples beyond 8."""
    return _of_deep(plane, code >> EXTRA)


@kernel
def peak_of(plane: np.ndarray, code: Integer) -> Integer:
    """The largest sample value of a plane."""
    return (256 << _of_deep(plane, code >> EXTRA)) - 1


def _sum_type(context: Any, plane: Any) -> Any:
    kind = types.int16 if plane.dtype == types.uint8 else types.int32

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return types.DType(kind)(plane), code


type_of_sums: Any = intrinsic(_sum_type)
"""The type of sums of the filtered samples of a plane: int16 of u8, int32 of u16 (spec 8.3)."""
