"""Triton kernels of inter prediction (spec 8.3).

The motion of a cell is one integer, that of `pack_motion`. A sample is predicted by itself, from
its cell's motion, so leaves of any shape need one launch. `plane` begins at `first` in packed
canvases; the second axis of the grid is that of the planes of a kind. Each program computes one
tile.
"""

import triton
import triton.language as tl


@triton.jit
def _component(packed, NUMBER: tl.constexpr):
    return ((packed << (48 - 14 * NUMBER)) >> 50).to(tl.int32)


@triton.jit
def _displaced(
    reference,
    taps,
    y,
    x,
    vy,
    vx,
    used,
    rows,
    columns,
    TAPS: tl.constexpr,
    DOWN: tl.constexpr,
    ACROSS: tl.constexpr,
):
    """S of spec 8.3 for samples that are `used`: of `reference` at a vector, in 1/64 sample.

    Where a tap is 0 nothing is loaded.
    """
    # Fractions are in quarters in luma, in eighths of a subsampled axis of chroma.
    line = y + (vy >> (2 + DOWN)) - (TAPS // 2 - 1)
    column = x + (vx >> (2 + ACROSS)) - (TAPS // 2 - 1)
    fy, fx = vy & ((4 << DOWN) - 1), vx & ((4 << ACROSS) - 1)
    if TAPS == 4:
        fy, fx = fy << (1 - DOWN), fx << (1 - ACROSS)
    total = tl.zeros_like(y)
    for r in range(TAPS):
        tap = tl.load(taps + fy * TAPS + r)
        inside = used & (tap != 0)
        row = reference + tl.minimum(tl.maximum(line + r, 0), rows - 1) * columns
        acc = tl.zeros_like(y)
        for c in range(TAPS):
            factor = tl.load(taps + fx * TAPS + c)
            at = tl.minimum(tl.maximum(column + c, 0), columns - 1)
            acc += factor * tl.load(row + at, inside & (factor != 0), 0).to(tl.int32)
        total += tap * acc
    return total >> 6


@triton.jit(do_not_specialize=["first", "rows", "columns", "cells"])
def predict(
    reference0,
    reference1,
    motion,
    taps,
    residuals,
    out,
    first,
    rows,
    columns,
    cells,
    TAPS: tl.constexpr,
    DOWN: tl.constexpr,
    ACROSS: tl.constexpr,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Samples of inter leaves: predictions and residuals. Others stay."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    plane = first + tl.program_id(1) * rows * columns
    y, x = place // columns, place % columns
    inside = y < rows
    cell = (y >> (3 - DOWN)) * cells + (x >> (3 - ACROSS))
    packed = tl.load(motion + cell, inside, 0)
    direction = (packed & 3).to(tl.int32)
    value0 = _displaced(
        reference0 + plane, taps, y, x, _component(packed, 0), _component(packed, 1),
        (direction & 1) != 0, rows, columns, TAPS, DOWN, ACROSS,
    )  # fmt: skip
    value1 = _displaced(
        reference1 + plane, taps, y, x, _component(packed, 2), _component(packed, 3),
        (direction & 2) != 0, rows, columns, TAPS, DOWN, ACROSS,
    )  # fmt: skip
    total = tl.where(direction == 2, value1, value0) + tl.where(direction == 1, value0, value1)
    peak: tl.constexpr = (256 << EXTRA) - 1
    predicted = tl.minimum(tl.maximum((total + 64) >> 7, 0), peak)
    used = inside & (direction != 0)
    sample = predicted + tl.load(residuals + plane + place, used, 0).to(tl.int32)
    sample = tl.minimum(tl.maximum(sample, 0), peak)
    tl.store(out + plane + place, sample.to(out.dtype.element_ty), used)


@triton.jit(do_not_specialize=["first", "rows", "columns", "cells", "samples"])
def predict_single(
    reference0,
    reference1,
    motion,
    taps,
    canvas,
    out,
    first,
    rows,
    columns,
    cells,
    samples,
    TAPS: tl.constexpr,
    DOWN: tl.constexpr,
    ACROSS: tl.constexpr,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Predictions by one reference alone (spec 9.3), those of reference 1 `samples` further on.

    Where a leaf uses one reference only, both are from that one; those of an intra leaf are its
    own samples. The third axis of the grid is that of the references.
    """
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    plane = first + tl.program_id(1) * rows * columns
    number = tl.program_id(2)
    y, x = place // columns, place % columns
    inside = y < rows
    cell = (y >> (3 - DOWN)) * cells + (x >> (3 - ACROSS))
    packed = tl.load(motion + cell, inside, 0)
    direction = (packed & 3).to(tl.int32)
    # 1 or 2: the reference that is taken.
    taken = tl.where(direction == 3, 1 + number, direction)
    value0 = _displaced(
        reference0 + plane, taps, y, x, _component(packed, 0), _component(packed, 1),
        taken == 1, rows, columns, TAPS, DOWN, ACROSS,
    )  # fmt: skip
    value1 = _displaced(
        reference1 + plane, taps, y, x, _component(packed, 2), _component(packed, 3),
        taken == 2, rows, columns, TAPS, DOWN, ACROSS,
    )  # fmt: skip
    predicted = (2 * tl.where(taken == 1, value0, value1) + 64) >> 7
    predicted = tl.minimum(tl.maximum(predicted, 0), (256 << EXTRA) - 1)
    own = tl.load(canvas + plane + place, inside & (direction == 0), 0).to(tl.int32)
    sample = tl.where(direction == 0, own, predicted).to(out.dtype.element_ty)
    tl.store(out + number * samples + plane + place, sample, inside)
