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
"""Memory budget for patch values, in bytes; one row of patches is always allowed."""


VALUE_BITS = 4
"""Values are int16: 1/16 sample, relative to the middle sample. They reach 2047 samples from it."""

ROUND = (MIDDLE << VALUE_BITS) + (1 << (VALUE_BITS - 1))
"""Added to a value before its bits below the sample are dropped (spec 5.5)."""


class PatchRenderer(Protocol):
    """Evaluates a group's network for any patches and frames, on some device."""

    @property
    def shape(self) -> NetworkShape:
        """The network description."""

    def values(
        self,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        frames: Sequence[int],
    ) -> tuple[Values, Values]:
        """Values (1/16 sample) of patches whose centre inputs (spec 5.2) are xs[n], ys[n].

        Returns luma (frames, n, P, P) and chroma (frames, 2, n, G, G), int16.
        """


def coordinates(count: int) -> npt.NDArray[np.int64]:
    """Coord(i, count) of spec 5.2 for all patches of an axis."""
    i = np.arange(count, dtype=np.int64)
    return ((2 * i + 1) * 32768) // count - 32768


@allocating
def _place(
    values: np.ndarray, first: tuple[int, int], origin: tuple[int, int], out: np.ndarray
) -> None:
    """Samples of patches (spec 5.5) in their places: out[y, x] lies at origin + (y, x).

    `values` is (rows, columns, p, p), from patch `first` on. Pairs are (vertical, horizontal).
    """
    _, columns, p, _ = values.shape
    height, width = out.shape
    for y in range(height):
        j, k = (origin[0] + y) // p - first[0], (origin[0] + y) % p
        for i in range(columns):
            row = values[j, i, k]
            left = (first[1] + i) * p - origin[1]
            for x in range(max(0, -left), min(p, width - left)):
                value = (np.int32(row[x]) + ROUND) >> VALUE_BITS
                out[y, left + x] = min(PEAK, max(0, value))


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
    first_x, last_x = shape.patches_covering(x0, x1)
    row_bytes = (last_x - first_x) * 2 * shape.values * max(1, len(frames))
    for start, stop in bands(shape, y0, y1, _VALUE_BYTES // row_bytes):
        _render_band(renderer, width, height, frames, (x0, start, x1, stop), y0, pictures)
    return pictures


def bands(shape: NetworkShape, y0: int, y1: int, rows: int) -> Iterator[tuple[int, int]]:
    """Luma rows y0..y1-1 in bands (start, stop) of about `rows` rows of patches, at least one.

    Bands end between patches, so that none is evaluated twice.
    """
    start = y0
    while start < y1:
        stop = min(y1, (start // shape.patch + max(1, rows)) * shape.patch)
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
    first_y, last_y = shape.patches_covering(y0, y1)
    first_x, last_x = shape.patches_covering(x0, x1)
    rows, columns = last_y - first_y, last_x - first_x
    ys, xs = np.meshgrid(
        coordinates(total[0])[first_y:last_y],
        coordinates(total[1])[first_x:last_x],
        indexing="ij",
    )
    luma, chroma = renderer.values(xs.ravel(), ys.ravel(), frames)
    for k, picture in enumerate(pictures):
        for number, plane in enumerate(picture):
            across, down = FORMAT.plane_shift(number)
            values = luma[k] if number == 0 else chroma[k, number - 1]
            # Patches of a plane are square: chroma is subsampled on both axes or on none.
            size = shape.patch >> across
            _place(
                values.reshape(rows, columns, size, size),
                (first_y, first_x),
                (y0 >> down, x0 >> across),
                plane[(y0 - top) >> down : -(-(y1 - top) >> down)],
            )
