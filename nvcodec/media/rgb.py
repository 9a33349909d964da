"""Pictures to RGB arrays of full range, in single precision and rounded to the nearest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.media.colour import Colour
from nvcodec.picture import Plane, Planes


def rgb_type(colour: Colour) -> type[np.uint8] | type[np.uint16]:
    """The type that keeps the depth of pictures: u8 for 8 bits, u16 above.

    Raises UnsupportedError for a matrix that has no conversion to RGB here.
    """
    assert colour.equations
    return np.uint8 if colour.sample_format.bit_depth == 8 else np.uint16


def rgb_array(
    planes: Planes, colour: Colour, dtype: type[np.uint8] | type[np.uint16] = np.uint8
) -> npt.NDArray[Any]:
    """RGB of a picture, (rows, columns, 3), where the greatest value of `dtype` is white.

    Of monochrome the result is (rows, columns).

    Raises UnsupportedError for a matrix that has no conversion to RGB here.
    """
    weights, offsets = colour.equations
    peak = np.iinfo(dtype).max
    weights = (weights * peak).astype(np.float32)
    rows, columns = planes[0].shape
    samples = [_whole(plane, colour, k, (rows, columns)) for k, plane in enumerate(planes)]
    for plane, offset in zip(samples, offsets, strict=True):
        plane -= np.float32(offset)
    out = np.empty((rows, columns, len(weights)), dtype)
    for channel, row in enumerate(weights):
        level = samples[0] * row[0]
        for plane, weight in zip(samples[1:], row[1:], strict=True):
            if weight:
                level += plane * weight
        np.clip(np.rint(level, out=level), 0, peak, out=level)
        out[..., channel] = level
    return out[..., 0] if len(weights) == 1 else out


def _whole(
    plane: Plane, colour: Colour, number: int, shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """A plane with a sample for each of luma."""
    samples = plane.astype(np.float32)
    if not number:
        return samples
    (across, down), (x, y) = colour.sample_format.chroma_shift, colour.chroma_offset
    if down:
        samples = _doubled(samples.T, shape[0], y).T
    return _doubled(samples, shape[1], x) if across else samples


def _doubled(
    samples: npt.NDArray[np.float32], count: int, offset: float
) -> npt.NDArray[np.float32]:
    """Linear interpolation along rows at 0 .. count-1; sample k lies at 2k + `offset`."""
    out = np.empty((*samples.shape[:-1], 2 * samples.shape[-1]), np.float32)
    even, odd = out[..., ::2], out[..., 1::2]
    even[...] = odd[...] = samples
    step = np.diff(samples, axis=-1)
    even[..., 1:] -= step * np.float32(offset / 2)
    odd[..., :-1] += step * np.float32((1 - offset) / 2)
    return out[..., :count]
