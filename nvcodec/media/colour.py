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
from nvcodec.media.description import UNSPECIFIED
from nvcodec.picture import SampleFormat

_BT709: Final = 1
_BT601: Final = 6
_HD_ROWS: Final = 720

LUMA_WEIGHTS: Final = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Shares of red and blue in luma, by matrix coefficients (H.273) that are linear in RGB."""

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


def rgb_of_ycbcr(red: float, blue: float) -> npt.NDArray[np.float64]:
    """R, G and B (rows) of Y in 0..1, and Cb and Cr in -1/2..1/2 (H.273, clause 8.3).

    `red` and `blue` are their shares in luma.
    """
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
    def rgb_matrix(self) -> int:
        """The matrix to convert with; if unspecified, BT.709 from 720 rows on, else BT.601.

        Raises UnsupportedError for a matrix that has no conversion here.
        """
        if self.matrix == UNSPECIFIED:
            return usual_matrix(self.rows)
        if self.matrix not in LUMA_WEIGHTS:
            raise UnsupportedError(
                f"matrix coefficients {self.matrix} (H.273) have no conversion to RGB here: "
                "use the planes"
            )
        return self.matrix

    @property
    def luma_weights(self) -> tuple[float, float]:
        """Shares of red and blue in luma; raises UnsupportedError as `rgb_matrix` does."""
        return LUMA_WEIGHTS[self.rgb_matrix]

    @property
    def full(self) -> bool:
        """Whether samples have the full range."""
        return self.full_range == 1

    @property
    def chroma_offset(self) -> tuple[float, float]:
        """Position (x, y) of the first chroma sample in luma samples; 0 along a full-size axis."""
        across, down = self.sample_format.chroma_shift
        x, y = CHROMA_OFFSETS[0 if self.chroma_location == 255 else self.chroma_location]
        return (x if across else 0.0), (y if down else 0.0)
