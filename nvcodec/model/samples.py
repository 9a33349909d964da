"""The format of the samples that compiled functions work on, as constants.

Numba compiles globals as constants, so a kernel that names one of these is as fast as one with a
literal. Another sample format needs kernels compiled for it, or kernels that take these as
arguments.
"""

from __future__ import annotations

from nvcodec.compiled import Integer, kernel
from nvcodec.picture import YUV420P8

FORMAT = YUV420P8
"""The sample format that both models render and that kernels are compiled for."""

SAMPLE = FORMAT.dtype.type
"""The type of samples in arrays that kernels make."""

PEAK = FORMAT.peak
"""The largest sample value."""

MIDDLE = FORMAT.middle
"""The sample value of neutral chroma and of mid-grey luma."""

CHROMA_X, CHROMA_Y = FORMAT.chroma_shift
"""Log2 of luma samples per chroma sample: along x, along y."""


@kernel
def plane_shift(plane: Integer) -> tuple[Integer, Integer]:
    """Log2 of luma samples per sample of a plane: along x, along y.

    `plane` is the plane's number, or whether it is a chroma plane.
    """
    if plane:
        return CHROMA_X, CHROMA_Y
    return 0, 0
