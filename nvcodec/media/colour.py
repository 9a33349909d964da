"""What samples mean as colours: fields of HEAD to the numbers of a conversion to RGB.

RGB is that of the file's primaries and transfer: nothing is tone-mapped and no gamut changes.
Chroma is interpolated linearly, at the positions that `chroma_location` gives its samples, and the
samples at the edges are repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from nvcodec.format import Header, UnsupportedError
from nvcodec.picture import MONOCHROME, SampleFormat

UNSPECIFIED: Final = 2
"""Code point "unspecified" of primaries, transfer, matrix (H.273) and range (HEAD, spec 2.4)."""

FULL_RANGE: Final = 1

_IDENTITY: Final = 0
_BT709: Final = 1
_BT601: Final = 6
_YCGCO: Final = 8
_HD_ROWS: Final = 720

_LOCATIONS: Final = ("left", "center", "topleft", "top", "bottomleft", "bottom")

_LUMA_WEIGHTS: Final = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    # Constant luminance is converted by the other matrix of BT.2020, which comes near.
    10: (0.2627, 0.0593),
}
"""Shares of red and blue in luma, by matrix coefficients (H.273)."""

CHROMA_OFFSETS: Final = {
    0: (0.0, 0.5),
    1: (0.5, 0.5),
    2: (0.0, 0.0),
    3: (0.5, 0.0),
    4: (0.0, 1.0),
    5: (0.5, 1.0),
}
"""Position (x, y) of the first chroma sample in luma samples, by chroma location type of H.273."""


def usual_matrix(rows: int) -> int:
    """The matrix (H.273) of a picture that names none: BT.709 from 720 rows on, else BT.601."""
    return _BT709 if rows >= _HD_ROWS else _BT601


def _rgb_of_ycbcr(matrix: int) -> npt.NDArray[np.float64]:
    """R, G and B (rows) of Y in 0..1, and Cb and Cr in -1/2..1/2 (H.273, clause 8.3)."""
    if matrix == _YCGCO:
        return np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]])
    if matrix not in _LUMA_WEIGHTS:
        raise UnsupportedError(
            f"matrix coefficients {matrix} (H.273) have no conversion to RGB here:"
            " a container, Y4M and the planes keep the samples as they are"
        )
    red, blue = _LUMA_WEIGHTS[matrix]
    green = 1 - red - blue
    return np.array(
        [
            [1.0, 0.0, 2 * (1 - red)],
            [1.0, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [1.0, 2 * (1 - blue), 0.0],
        ]
    )


@dataclass(frozen=True, slots=True)
class Colour:
    """The sample format of a video and what its samples mean, as HEAD says it (spec 2.4).

    Attributes:
        sample_format: bit depth and chroma format.
        rows: luma rows of the video; they decide on a matrix that is unspecified.
        primaries: H.273 code point, 2 is unspecified.
        transfer: H.273 code point, 2 is unspecified.
        matrix: H.273 code point, 2 is unspecified.
        full_range: 0 limited, 1 full, 2 unspecified, which counts as limited.
        chroma_location: H.273 type 0..5, 255 is unspecified, which counts as 0.

    """

    sample_format: SampleFormat
    rows: int
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    full_range: int = UNSPECIFIED
    chroma_location: int = 255

    @classmethod
    def of(cls, header: Header) -> Colour:
        """The colours of a file."""
        return cls(
            header.sample_format,
            header.height,
            header.colour_primaries,
            header.transfer,
            header.matrix,
            header.full_range,
            header.chroma_location,
        )

    @property
    def equations(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(weights, offsets): RGB of full range in 0..1 is weights @ (samples - offsets).

        Rows of the weights are R, G and B, columns planes; of monochrome there is one of each. A
        matrix that is unspecified is BT.709 from 720 rows on, else BT.601.

        Raises UnsupportedError for a matrix that has no conversion here.
        """
        depth, full = self.sample_format.bit_depth, self.full_range == FULL_RANGE
        black = 0 if full else 16 << (depth - 8)
        luma = self.sample_format.peak if full else 219 << (depth - 8)
        chroma = self.sample_format.peak if full else 224 << (depth - 8)
        if self.sample_format.chroma_format == MONOCHROME:
            return np.eye(1) / luma, np.array([black])
        matrix = usual_matrix(self.rows) if self.matrix == UNSPECIFIED else self.matrix
        if matrix == _IDENTITY:
            # The planes are G, B and R.
            return np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]) / luma, np.full(3, black)
        middle = self.sample_format.middle
        scales = np.array([luma, chroma, chroma])
        return _rgb_of_ycbcr(matrix) / scales, np.array([black, middle, middle])

    @property
    def chroma_offset(self) -> tuple[float, float]:
        """Position (x, y) of the first chroma sample in luma samples; 0 along a full-size axis."""
        across, down = self.sample_format.chroma_shift
        x, y = CHROMA_OFFSETS[0 if self.chroma_location == 255 else self.chroma_location]
        return (x if across else 0.0), (y if down else 0.0)

    @property
    def chroma_location_name(self) -> str:
        """FFmpeg's name of the chroma location; "unspecified" where chroma is not subsampled."""
        subsampled = self.sample_format.chroma_shift != (0, 0)
        if self.chroma_location == 255 or not subsampled:
            return "unspecified"
        return _LOCATIONS[self.chroma_location]
