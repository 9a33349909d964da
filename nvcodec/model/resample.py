"""Rendered frames at other sizes and regions: the integer resampler of spec 6."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import allocating
from nvcodec.picture import YUV420P8, Plane, Planes, Region, SampleFormat
from nvcodec.products import COLUMNS, sum_products
from nvcodec.tables import load_table

MAX_OUTPUT_SIZE = 16384
MAX_RATIO = 64

_KERNEL_STEPS = 256
_KERNEL_RADIUS = 3
_COEFFICIENT_BITS = 14
_COEFFICIENT_SUM = 1 << _COEFFICIENT_BITS

# Position of a chroma sample from the even luma sample before it, in half luma samples
# (horizontal, vertical), for each H.273 chroma sample location type; 0 along an axis on which
# chroma is not subsampled.
_SITING = {0: (0, 1), 1: (1, 1), 2: (0, 0), 3: (1, 0), 4: (0, 2), 5: (1, 2), 255: (0, 1)}


def shifts(bit_depth: int) -> tuple[int, int]:
    """Right shifts of the sums of the first and of the second pass (spec 6.4).

    What the first pass gives fits in 16 bits, and the sums of the second pass in 32.
    """
    return bit_depth, 2 * _COEFFICIENT_BITS - bit_depth


class ViewError(ValueError):
    """A size or region that spec 6.1 does not allow."""


@dataclass(frozen=True)
class View:
    """What to show of a video: a region of its frames at an output size (spec 6.1).

    All values are in luma samples of the output frame, which has the sample format of the video,
    `samples`. Make one with `of`, which checks them.
    """

    width: int
    height: int
    x: int
    y: int
    crop_width: int
    crop_height: int
    samples: SampleFormat = YUV420P8

    @classmethod
    def of(
        cls,
        source_width: int,
        source_height: int,
        size: tuple[int, int] | None,
        crop: tuple[int, int, int, int] | None,
        samples: SampleFormat = YUV420P8,
    ) -> View:
        """Return the view of a frame of `source_width` x `source_height` luma samples.

        `size` is (width, height) of the output frame, None for the size of the source. `crop` is
        (width, height, x, y) within the output frame, None for all of it.

        Raises ViewError when spec 6.1 does not allow the size or the region.
        """
        width, height = (source_width, source_height) if size is None else size
        _check_size("width", source_width, width)
        _check_size("height", source_height, height)
        crop_width, crop_height, x, y = (width, height, 0, 0) if crop is None else crop
        if crop_width < 1 or crop_height < 1:
            raise ViewError(f"crop of {crop_width}x{crop_height} is empty")
        if x < 0 or y < 0 or x + crop_width > width or y + crop_height > height:
            raise ViewError(
                f"crop of {crop_width}x{crop_height} at ({x}, {y}) "
                f"leaves the output frame of {width}x{height}"
            )
        _check_grid("crop position", x, y, samples)
        return cls(width, height, x, y, crop_width, crop_height, samples)

    def is_native(self, source_width: int, source_height: int) -> bool:
        """Return whether the output has the size of the source: the view is then a slice of it."""
        return (self.width, self.height) == (source_width, source_height)


def source_region(
    view: View, source_width: int, source_height: int, chroma_location: int
) -> Region:
    """Return the rectangle (x0, y0, x1, y1) of the source that `view` depends on (spec 6.5).

    In luma samples of the source, x1 and y1 exclusive; x0 and y0 lie on the chroma grid. The
    chroma rectangle is `SampleFormat.chroma_region` of it.

    Raises ValueError when `chroma_location` is none of 0..5 and 255.
    """
    luma_x, luma_y, chroma_x, chroma_y = axis_plans(
        view, source_width, source_height, chroma_location
    )
    across, down = view.samples.chroma_shift
    x0, x1 = _span(luma_x, chroma_x, 1 << across)
    y0, y1 = _span(luma_y, chroma_y, 1 << down)
    return x0, y0, x1, y1


def resample(
    planes: Planes,
    origin: tuple[int, int],
    source_width: int,
    source_height: int,
    view: View,
    chroma_location: int,
) -> Planes:
    """Return the planes of `view`, bit-exactly as in spec 6.

    `planes` are those of the rectangle `source_region` of a frame, and `origin` its (x0, y0). A
    larger rectangle whose origin is on the chroma grid works too, up to the whole frame at (0, 0).
    The result is a picture of crop_width x crop_height luma samples.

    Raises ValueError when `planes` do not hold the region, when `origin` is not on the chroma grid
    or when `chroma_location` is none of 0..5 and 255.
    """
    luma_x, luma_y, chroma_x, chroma_y = axis_plans(
        view, source_width, source_height, chroma_location
    )
    x, y = origin
    samples = view.samples
    _check_grid("origin", x, y, samples)
    across, down = samples.chroma_shift
    luma, *chroma = planes
    return (
        _resample_plane(luma, x, y, luma_x, luma_y, samples),
        *(
            _resample_plane(plane, x >> across, y >> down, chroma_x, chroma_y, samples)
            for plane in chroma
        ),
    )


@dataclass(frozen=True, eq=False)
class AxisPlan:
    """The filter for a range of output samples of one axis; reads source samples low..high-1 only.

    Output sample i of the range is the sum over k of
    coefficients[i, k] * source[low + start[i] + k].
    """

    low: int
    high: int
    start: npt.NDArray[np.int32]
    coefficients: npt.NDArray[np.int16]

    @cached_property
    def pairs(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """The coefficients as words of two, for pairs of source samples that begin at even ones.

        Output sample i reads the pairs from the first[i]-th after `low` on, words int32 (samples,
        pairs). Pairs beyond the end have coefficients of 0.
        """
        count, taps = self.coefficients.shape
        values = np.zeros((count, taps // 2 + 1, 2), np.int16)
        places = np.arange(taps) + (self.start & 1)[:, None]
        np.put_along_axis(values.reshape(count, -1), places, self.coefficients, 1)
        return (self.start >> 1).astype(np.int64), values.view(np.int32)[..., 0].copy()

    @property
    def is_identity(self) -> bool:
        """Whether the output samples are the source samples."""
        count, taps = self.coefficients.shape
        return taps == 1 and np.array_equal(self.start, np.arange(count))


@lru_cache(maxsize=64)
def _axis_plan(
    source: int, output: int, subsampling: int, siting: int, first: int, count: int
) -> AxisPlan:
    """Return the plan of output samples first..first+count-1 of a plane (spec 6.2 to 6.4).

    `source` and `output` are luma sizes, `siting` is in half luma samples.
    """
    numerator = 2 * subsampling * np.arange(first, first + count, dtype=np.int64) + siting + 1
    numerator = numerator * source - (siting + 1) * output
    denominator = 2 * subsampling * output
    extent = 2 * subsampling * max(source, output)

    taps = -(-2 * _KERNEL_RADIUS * extent // denominator)
    lowest = (numerator - _KERNEL_RADIUS * extent) // denominator + 1
    position = lowest[:, None] + np.arange(taps)
    distance = np.abs(position * denominator - numerator[:, None])
    step = (2 * _KERNEL_STEPS * distance + extent) // (2 * extent)
    kernel = np.append(load_table("resampling_kernel.txt"), 0).astype(np.int64)
    raw = kernel[np.minimum(step, kernel.size - 1)]

    total = raw.sum(axis=1, keepdims=True)
    coefficients = (2 * _COEFFICIENT_SUM * raw + total) // (2 * total)
    rows = np.arange(count)
    centre = (2 * numerator + denominator) // (2 * denominator)
    coefficients[rows, centre - lowest] += _COEFFICIENT_SUM - coefficients.sum(axis=1)

    # Taps beyond an edge read the edge sample. Their coefficients are added to its own, so that the
    # kernels need no border. Zero coefficients are trimmed to make the region as small as possible.
    position = np.clip(position, 0, -(-source // subsampling) - 1)
    base = position[:, :1]
    folded = np.zeros_like(coefficients)
    np.add.at(folded, (rows[:, None], position - base), coefficients)
    used = folded != 0
    begin = base[:, 0] + used.argmax(axis=1)
    end = base[:, 0] + taps - used[:, ::-1].argmax(axis=1)
    low, high = int(begin.min()), int(end.max())
    width = int((end - begin).max())
    start = np.minimum(begin, high - width)
    column = start[:, None] + np.arange(width) - base
    inside = (column >= 0) & (column < taps)
    trimmed = np.where(inside, folded[rows[:, None], np.clip(column, 0, taps - 1)], 0)
    return AxisPlan(low, high, (start - low).astype(np.int32), trimmed.astype(np.int16))


def axis_plans(
    view: View, source_width: int, source_height: int, chroma_location: int
) -> tuple[AxisPlan, AxisPlan, AxisPlan, AxisPlan]:
    """Return the plans of luma x, luma y, chroma x and chroma y; those of luma in monochrome.

    Raises ValueError when `chroma_location` is none of 0..5 and 255.
    """
    if chroma_location not in _SITING:
        raise ValueError(f"chroma location {chroma_location} is not defined")
    siting_x, siting_y = _SITING[chroma_location]
    across, down = view.samples.chroma_shift
    columns, rows = view.samples.chroma_size(view.crop_width, view.crop_height)
    left, top = view.x >> across, view.y >> down
    siting_x, siting_y = siting_x * across, siting_y * down
    return (
        _axis_plan(source_width, view.width, 1, 0, view.x, view.crop_width),
        _axis_plan(source_height, view.height, 1, 0, view.y, view.crop_height),
        _axis_plan(source_width, view.width, 1 << across, siting_x, left, columns),
        _axis_plan(source_height, view.height, 1 << down, siting_y, top, rows),
    )


def _check_grid(name: str, x: int, y: int, samples: SampleFormat) -> None:
    """Raise ViewError unless a chroma sample begins at the luma sample (x, y)."""
    for axis, value, shift in zip("xy", (x, y), samples.chroma_shift, strict=True):
        if value % (1 << shift):
            raise ViewError(f"{name} ({x}, {y}): {axis} is not even, as {samples} needs")


def _span(luma: AxisPlan, chroma: AxisPlan, step: int) -> tuple[int, int]:
    """Return the luma range that holds what both plans read and begins a chroma sample.

    `step` is the number of luma samples per chroma sample.
    """
    low = min(luma.low, step * chroma.low)
    return low - low % step, max(luma.high, step * (chroma.high - 1) + 1)


def _resample_plane(
    plane: Plane, x: int, y: int, across: AxisPlan, down: AxisPlan, samples: SampleFormat
) -> Plane:
    """Return a resampled plane; sample (0, 0) of `plane` is (x, y) of the source plane."""
    height, width = plane.shape
    if across.low < x or across.high > x + width or down.low < y or down.high > y + height:
        raise ValueError(
            f"plane of {width}x{height} at ({x}, {y}) lacks samples of "
            f"columns {across.low}..{across.high - 1}, rows {down.low}..{down.high - 1}"
        )
    needed = plane[down.low - y : down.high - y, across.low - x : across.high - x]
    if across.is_identity and down.is_identity:
        return np.ascontiguousarray(needed)
    columns = -(-across.start.size // COLUMNS) * COLUMNS
    # No pair is read beyond this; what is read there counts nothing.
    filtered = np.empty((needed.shape[0] // 2 + 2, columns), np.int32)
    horizontal, vertical = _kernels(samples.bit_depth)
    horizontal(np.ascontiguousarray(needed), *across.pairs, filtered)
    result = np.empty((down.start.size, across.start.size), samples.dtype)
    vertical(filtered, *down.pairs, result)
    return result


def _check_size(name: str, source: int, output: int) -> None:
    """Raise ViewError unless an axis of `source` luma samples can be shown with `output`."""
    if output == source:
        return
    if not 1 <= output <= MAX_OUTPUT_SIZE:
        raise ViewError(f"output {name} {output} is not in 1..{MAX_OUTPUT_SIZE}")
    if output > MAX_RATIO * source or source > MAX_RATIO * output:
        raise ViewError(
            f"output {name} {output} is more than {MAX_RATIO} times off the source's {source}"
        )


@cache
def _kernels(bit_depth: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The passes along the rows and along the columns for samples of a depth.

    What the first one gives has a word for the samples of two rows. Shifts and clips are constants
    of the code: the truncation to 8 bits is faster with them.
    """
    mid_shift, out_shift = shifts(bit_depth)
    peak = (1 << bit_depth) - 1

    @allocating
    def horizontal(
        plane: Plane,
        first: npt.NDArray[np.int64],
        words: npt.NDArray[np.int32],
        out: npt.NDArray[np.int32],
    ) -> None:
        # Rows are taken 32 at a time and transposed, with the samples of two columns in a word.
        block = 2 * COLUMNS
        rows, columns = plane.shape
        count, terms = words.shape
        flat = words.reshape(-1)
        turned = np.zeros((columns // 2 + 2) * block, np.int32)
        sums = np.empty(block, np.int32)
        for top in range(0, rows, block):
            height = min(block, rows - top)
            for r in range(height):
                for pair in range(columns >> 1):
                    low, high = plane[top + r, 2 * pair], plane[top + r, 2 * pair + 1]
                    turned[pair * block + r] = np.int32(low) | (np.int32(high) << 16)
                if columns & 1:
                    turned[(columns >> 1) * block + r] = plane[top + r, columns - 1]
            for i in range(count):
                for r in range(block):
                    sums[r] = 1 << (mid_shift - 1)
                sum_products(2, sums, 0, turned, first[i] * block, block, flat, i * terms, terms)
                for r in range((height + 1) >> 1):
                    even, odd = sums[2 * r] >> mid_shift, sums[2 * r + 1] >> mid_shift
                    out[(top >> 1) + r, i] = (even & 0xFFFF) | (odd << 16)

    @allocating
    def vertical(
        pairs: npt.NDArray[np.int32],
        first: npt.NDArray[np.int64],
        words: npt.NDArray[np.int32],
        out: Plane,
    ) -> None:
        stride, columns = pairs.shape[1], out.shape[1]
        count, terms = words.shape
        source, flat = pairs.reshape(-1), words.reshape(-1)
        sums = np.empty(stride, np.int32)
        for j in range(count):
            for c in range(stride):
                sums[c] = 1 << (out_shift - 1)
            at, c = first[j] * stride, 0
            while c < stride:
                if c + 4 * COLUMNS <= stride:
                    sum_products(4, sums, c, source, at + c, stride, flat, j * terms, terms)
                    c += 4 * COLUMNS
                else:
                    sum_products(1, sums, c, source, at + c, stride, flat, j * terms, terms)
                    c += COLUMNS
            for c in range(columns):
                out[j, c] = min(max(sums[c] >> out_shift, 0), peak)

    return horizontal, vertical
