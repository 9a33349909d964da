"""Frames and regions of frames from a group's network (spec 5.1, 5.5): patch values to samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import allocating
from nvcodec.model.samples import FORMAT, MIDDLE, PEAK
from nvcodec.model.sine.layers import Values
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.picture import Planes, Region, region_size

_VALUE_BYTES = 1 << 27
"""Memory budget for patch values, in bytes; two rows of patches are always allowed."""


VALUE_BITS = 4
"""Values are int16: 1/16 sample, relative to the middle sample. They reach 2047 samples from it."""

_WEIGHT_BITS = 12
"""Log2 of the sum of a sample's blending weights."""

SUM_BITS = VALUE_BITS + _WEIGHT_BITS
"""Log2 of the scale of the 32-bit sums; with 8-bit samples they stay below 2^28 (spec 5.5)."""

START = (MIDDLE << SUM_BITS) + (1 << (SUM_BITS - 1))
"""Initial value of a sum: the middle sample, plus half a sample to round."""


class PatchRenderer(Protocol):
    """Evaluates a group's network for any patches and frames, on some device."""

    @property
    def shape(self) -> NetworkShape:
        """The network description."""

    def values(
        self,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
        frames: Sequence[int],
    ) -> tuple[Values, Values]:
        """Values (1/16 sample) of patches whose centre inputs (spec 5.2) are xs[n], ys[n].

        `numbers` are the patches' numbers in the frame, row by row. Returns luma (frames, n, P, P)
        and chroma (frames, 2, n, G, G), int16.
        """


def coordinates(count: int) -> npt.NDArray[np.int64]:
    """Coord(i, count) of spec 5.2 for all patches of an axis."""
    i = np.arange(count, dtype=np.int64)
    return ((2 * i + 1) * 32768) // count - 32768


def axis_weights(patch: int, overlap: int) -> npt.NDArray[np.int32]:
    """Blending weights of spec 5.5: int32 (2, 2, patch).

    The first two indices say whether there is a neighbour before and one after the patch.
    """
    table = np.full((2, 2, patch), 64, np.int32)
    for k in range(overlap):
        ramp = ((2 * k + 1) * 64 + overlap) // (2 * overlap)
        table[1, :, k] = ramp
        table[:, 1, patch - overlap + k] = 64 - ramp
    return table


@allocating
def _blend(
    values: np.ndarray,
    weights: np.ndarray,
    stride: int,
    first: tuple[int, int],
    patches: tuple[int, int],
    origin: tuple[int, int],
    out: np.ndarray,
) -> None:
    """Blend patches into samples: out[y, x] lies at origin + (y, x).

    `values` is (rows, columns, p, p), from patch `first` on. Pairs are (vertical, horizontal);
    `patches` is the number in the whole frame.
    """
    rows, columns, p, _ = values.shape
    height, width = out.shape
    acc = np.empty(width, np.int32)
    for y in range(height):
        frame_y = origin[0] + y
        acc[:] = START
        for j in range(rows):
            py = first[0] + j
            k = frame_y - py * stride
            if k < 0 or k >= p:
                continue
            wy = weights[1 if py > 0 else 0, 1 if py < patches[0] - 1 else 0, k]
            for i in range(columns):
                px = first[1] + i
                wx = weights[1 if px > 0 else 0, 1 if px < patches[1] - 1 else 0]
                row = values[j, i, k]
                left = px * stride - origin[1]
                for x in range(max(0, -left), min(p, width - left)):
                    acc[left + x] += np.int32(row[x]) * np.int32(wy * wx[x])
        for x in range(width):
            out[y, x] = min(PEAK, max(0, acc[x] >> SUM_BITS))


def render_region(
    renderer: PatchRenderer,
    width: int,
    height: int,
    frames: Sequence[int],
    region: Region | None = None,
) -> list[Planes]:
    """Render frames (numbers within the group) of a video of width x height luma samples.

    `region` is None for the whole frame. Only the patches that reach it are evaluated. Returns the
    planes of the region for each frame.

    Raises ValueError when a frame number is not in 0..T-1.
    """
    shape = renderer.shape
    if not all(0 <= frame < shape.group_frames for frame in frames):
        raise ValueError(f"frames {list(frames)} are not all in 0..{shape.group_frames - 1}")
    region = region or (0, 0, width, height)
    x0, y0, x1, y1 = region
    pictures = [FORMAT.empty(*region_size(region)) for _ in frames]
    # In bands, as the values of all patches take many times the memory of the pictures.
    first_x, last_x = shape.patches_covering(x0, x1, width)
    row_bytes = (last_x - first_x) * 2 * shape.values * max(1, len(frames))
    for start, stop in bands(shape, y0, y1, _VALUE_BYTES // row_bytes):
        _render_band(renderer, width, height, frames, (x0, start, x1, stop), y0, pictures)
    return pictures


def bands(shape: NetworkShape, y0: int, y1: int, rows: int) -> Iterator[tuple[int, int]]:
    """Luma rows y0..y1-1 in bands (start, stop) of about `rows` rows of patches, at least two.

    Bands end between patches, so that without overlap none is evaluated twice.
    """
    start = y0
    while start < y1:
        stop = min(y1, (start // shape.stride + max(2, rows)) * shape.stride)
        yield start, stop
        start = stop


def _render_band(
    renderer: PatchRenderer,
    width: int,
    height: int,
    frames: Sequence[int],
    band: Region,
    top: int,
    pictures: list[Planes],
) -> None:
    """Render rows band[1]..band[3]-1 into pictures whose first luma row is `top`."""
    shape = renderer.shape
    x0, y0, x1, y1 = band
    total = shape.grid(width, height)
    # A chroma sample at the odd edge belongs to the patch of the luma sample beside it.
    first_y, last_y = shape.patches_covering(y0, y1, height)
    first_x, last_x = shape.patches_covering(x0, x1, width)
    rows, columns = last_y - first_y, last_x - first_x
    ys, xs = np.meshgrid(
        coordinates(total[0])[first_y:last_y],
        coordinates(total[1])[first_x:last_x],
        indexing="ij",
    )
    numbers = np.arange(total[0] * total[1]).reshape(total)[first_y:last_y, first_x:last_x]
    luma, chroma = renderer.values(xs.ravel(), ys.ravel(), numbers.ravel(), frames)
    for k, picture in enumerate(pictures):
        for number, plane in enumerate(picture):
            across, down = FORMAT.plane_shift(number)
            values = luma[k] if number == 0 else chroma[k, number - 1]
            # Patches of a plane are square: chroma is subsampled on both axes or on none.
            size = shape.patch >> across
            _blend(
                values.reshape(rows, columns, size, size),
                axis_weights(size, shape.overlap >> across),
                shape.stride >> across,
                (first_y, first_x),
                total,
                (y0 >> down, x0 >> across),
                plane[(y0 - top) >> down : -(-(y1 - top) >> down)],
            )
