"""The format of the samples that compiled functions work on, as constants.

Numba takes globals as constants of the code that it compiles: a kernel that names one of these is
as fast as one that has the number. Another format needs kernels that are compiled for it, or that
take these as arguments.
"""

from __future__ import annotations

from nvcodec.compiled import Integer, kernel
from nvcodec.picture import YUV420P8

FORMAT = YUV420P8
"""What both models render and kernels are compiled for."""

SAMPLE = FORMAT.dtype.type
"""The type of samples in arrays that kernels make."""

PEAK = FORMAT.peak
"""The greatest sample."""

MIDDLE = FORMAT.middle
"""The sample of no colour in chroma, of mid-grey in luma."""

CHROMA_X, CHROMA_Y = FORMAT.chroma_shift
"""Log2 of luma samples per chroma sample: along x, along y."""


@kernel
def plane_shift(plane: Integer) -> tuple[Integer, Integer]:
    """Log2 of luma samples per sample of a plane: along x, along y.

    `plane` is its number, or whether it is one of chroma.
    """
    if plane:
        return CHROMA_X, CHROMA_Y
    return 0, 0
