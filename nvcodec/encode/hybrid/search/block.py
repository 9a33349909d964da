"""A block of luma samples that is being decided: its place, quantiser, lambdas and neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from nvcodec.coding.hybrid.leaves import HEIGHT, WIDTH, X, Y
from nvcodec.compiled import Integer, intrinsic, kernel, types
from nvcodec.encode.hybrid.rate.content import ContentBits
from nvcodec.encode.hybrid.rate.intra import IntraBits
from nvcodec.encode.hybrid.rate.tradeoff import SATD_WEIGHT, WEIGHT
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.model.samples import plane_shift
from nvcodec.picture import Plane

NEVER = 1e18
"""Above all costs: marks what is not possible."""


class CanvasInput(NamedTuple):
    """The inputs of all decisions of a canvas: its picture, quantisers and rate tables.

    `source0` to `source2` are the planes of the coded size, those of chroma empty in monochrome.
    `codes` are those of the planes (`plane_code`); a node has `parts` units in each chroma plane.
    `quantisers` are the u8 quantiser indices of blocks of 32 x 32 luma samples, `intended` those
    that lambda follows from. A transform tree has up to `depth` levels of splits. With `thorough`
    the levels of a unit are revised once, for all of its transforms. Of a luma unit of an intra
    leaf, `transforms` transforms are quantised to choose one.
    """

    source0: Plane
    source1: Plane
    source2: Plane
    codes: tuple[int, int, int]
    parts: int
    quantisers: npt.NDArray[np.uint8]
    intended: npt.NDArray[np.uint8]
    chroma_offset: int
    content: ContentBits
    intra: IntraBits
    depth: int
    thorough: bool
    transforms: int


class Block(NamedTuple):
    """A block of wide x tall luma samples at (y, x).

    `level` is log2 of its class (spec 7.4) minus 3. `slot` is where its choice is kept in a search,
    `parent` where that of the block around it is. `q` is the quantiser index and `step` the
    quantiser step. `lam` is lambda for squared errors, `weight` the same in squared steps,
    `lam_satd` is lambda for SATD and SAD.
    """

    y: Integer
    x: Integer
    wide: Integer
    tall: Integer
    level: int
    slot: int
    parent: int
    q: int
    step: float
    lam: float
    weight: float
    lam_satd: float


@kernel
def block_at(given: CanvasInput, y: Integer, x: Integer, n: Integer) -> Block:
    """The block of n x n luma samples at (y, x)."""
    slot = log2(n) - 3
    return area_at(given, y, x, n, n, slot, slot + 1)


@kernel
def area_of(given: CanvasInput, leaf: np.ndarray) -> Block:
    """The block of a leaf; it has no slot."""
    return area_at(given, leaf[Y], leaf[X], leaf[WIDTH], leaf[HEIGHT], -1, -1)


@kernel
def half_of(given: CanvasInput, b: Block, beside: Integer, second: Integer, slot: Integer) -> Block:
    """The first or second half of a block; with `beside` left or right, else upper or lower."""
    wide, tall = b.wide >> beside, b.tall >> (1 - beside)
    y, x = b.y + second * (1 - beside) * tall, b.x + second * beside * wide
    return area_at(given, y, x, wide, tall, slot, b.slot)


@kernel
def area_at(
    given: CanvasInput, y: Integer, x: Integer, wide: Integer, tall: Integer, slot: Integer,
    parent: Integer,
) -> Block:  # fmt: skip
    """The block of wide x tall luma samples at (y, x)."""
    q = int(given.quantisers[y >> 5, x >> 5])
    intended = int(given.intended[y >> 5, x >> 5])
    step = REAL_STEP[q]
    usual = REAL_STEP[intended]
    lam = WEIGHT * usual * usual
    # Those of a leaf have 32 bits: all that takes a block would be compiled for these too.
    return Block(
        y=np.int64(y),
        x=np.int64(x),
        wide=np.int64(wide),
        tall=np.int64(tall),
        level=((log2(wide) + log2(tall)) >> 1) - 3,
        slot=int(slot),
        parent=int(parent),
        q=q,
        step=step,
        lam=lam,
        weight=WEIGHT if q == intended else lam / (step * step),
        lam_satd=SATD_WEIGHT * usual,
    )


@kernel
def chroma_of(
    given: CanvasInput, y: Integer, x: Integer, wide: Integer, tall: Integer
) -> tuple[Integer, Integer, Integer, Integer]:
    """Where the chroma of luma samples is: (y, x, wide, tall), all in chroma samples.

    It is `given.parts` blocks of that size, one above the other.
    """
    across, down = plane_shift(given.codes[1])
    return y >> down, x >> across, wide >> across, tall >> across


@kernel
def log2(n: Integer) -> Integer:
    """Log2 of the size of a block, 4 or more."""
    log2n = 2
    while (1 << log2n) < n:
        log2n += 1
    return log2n


@intrinsic
def _leading_zeros(context: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """Zeros before the highest bit of an int64; 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@kernel
def packed_size(wide: Integer, tall: Integer) -> Integer:
    """The size of a leaf as one number: log2 of its width, and 16 times that of its height."""
    return log2(wide) + 16 * log2(tall)


@kernel
def bit_length(d: Integer) -> Integer:
    """Bits of the magnitude of a component of a vector."""
    return 64 - _leading_zeros(abs(np.int64(d)))


@kernel
def _smaller(sizes: np.ndarray, b: Block) -> tuple[Integer, Integer]:
    """The l and u of spec 7.4: whether the leaf to the left is less tall, the upper one narrower.

    `sizes` has `packed_size` of the leaf of each cell.
    """
    lower = b.x > 0 and (sizes[b.y >> 3, (b.x >> 3) - 1] >> 4) < log2(b.tall)
    narrower = b.y > 0 and (sizes[(b.y >> 3) - 1, b.x >> 3] & 15) < log2(b.wide)
    return 1 if lower else 0, 1 if narrower else 0


@kernel
def smaller_beside(sizes: np.ndarray, b: Block) -> Integer:
    """How many of the leaves left of and above a block are smaller: c of `split` (spec 7.4)."""
    lower, narrower = _smaller(sizes, b)
    return lower + narrower


@kernel
def narrower_beside(sizes: np.ndarray, b: Block) -> Integer:
    """The t of `beside` (spec 7.4): more if the upper leaf is narrower, less if the left is low."""
    lower, narrower = _smaller(sizes, b)
    return 1 + narrower - lower
