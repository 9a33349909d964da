"""One group of pictures to substreams: paths, residuals, gradient steps, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.entropy import entropy_network
from nvcodec.coding.nirvana.features import encode_content
from nvcodec.coding.nirvana.motion import Paths, encode_motion
from nvcodec.coding.nirvana.table import BLOCK, FEATURES, FRAMES, PATCH, SITE, VOLUME
from nvcodec.encode.nirvana.choice import BITS_PER_SQUARE, choose_residuals, price_table
from nvcodec.encode.nirvana.effort import Effort
from nvcodec.encode.nirvana.gradient import FloatNetwork, Floats, float_network, render, slope
from nvcodec.encode.nirvana.paths import pyramid, search_paths
from nvcodec.model.nirvana.moved import linear, make_trace, step_of, trace_planes
from nvcodec.model.nirvana.parameters import (
    Grid,
    Parameters,
    moved_features,
    seen_features,
    with_residuals,
)
from nvcodec.picture import Planes


@dataclass(frozen=True, eq=False)
class CodedSubstreams:
    """The substreams of a group, and its parameters as a decoder rebuilds them."""

    content: bytes
    motion: bytes
    parameters: Parameters


def fold(pictures: Sequence[Planes], grid: Grid) -> Floats:
    """Samples of whole patches around 0: (rows * columns, VOLUME) in the table's order.

    Edges, and the last picture of a group that is not full, are repeated.
    """
    rows, columns = grid.rows, grid.columns
    out = np.empty((rows, columns, FRAMES, 6, SITE, SITE), np.float32)
    for t in range(FRAMES):
        y, *chroma = pictures[min(t, len(pictures) - 1)]
        luma = _padded(y, rows * PATCH, columns * PATCH)
        sites = [luma[p // 2 :: 2, p % 2 :: 2] for p in range(4)]
        sites += [_padded(plane, rows * SITE, columns * SITE) for plane in chroma]
        for phase, plane in enumerate(sites):
            blocks = plane.reshape(rows, SITE, columns, SITE).transpose(0, 2, 1, 3)
            out[:, :, t, phase] = blocks
    out -= 128
    return out.reshape(rows * columns, VOLUME)


def _padded(plane: npt.NDArray[np.uint8], rows: int, columns: int) -> npt.NDArray[np.uint8]:
    height, width = plane.shape
    padded: npt.NDArray[np.uint8] = np.pad(
        plane, ((0, rows - height), (0, columns - width)), mode="edge"
    )
    return padded


class GroupCoder:
    """Codes the groups of one video in their order."""

    def __init__(self, width: int, height: int, effort: Effort) -> None:
        self.grid = Grid(width, height)
        self._effort = effort

    def code(
        self, pictures: Sequence[Planes], before: Parameters | None, quantiser: int
    ) -> CodedSubstreams:
        """Code a group; `before` is None for a key group."""
        grid, frames = self.grid, len(pictures)
        samples = fold(pictures, grid)
        net, step = float_network(quantiser), step_of(quantiser) / 64
        shape = grid.block_rows, grid.block_columns
        paths = np.zeros((*shape, frames, 2), np.int32)
        intra = np.zeros(shape, np.uint8)
        analysis = samples @ net.basis
        if before is not None:
            paths = self._paths(pictures, before, step)
            moved = moved_features(grid, before, paths, intra)
            intra = self._intra(analysis, moved, step)
            alone = intra.repeat(BLOCK, 0).repeat(BLOCK, 1)[: grid.rows, : grid.columns]
            moved[alone != 0] = 0
            paths[intra != 0] = 0
        else:
            moved = moved_features(grid, None, paths, intra)
        base: Floats = (moved.reshape(grid.patches, FEATURES) / np.float32(8)).astype(np.float32)
        residual = self._choose(net, samples, analysis, base, before, moved, quantiser)
        seen = seen_features(grid, before, moved, quantiser)
        seen.residual[:] = residual
        content = encode_content(quantiser, seen)
        motion = b"" if before is None else encode_motion(paths, intra)
        parameters = with_residuals(grid, moved, residual, quantiser, frames)
        return CodedSubstreams(content, motion, parameters)

    def _paths(self, pictures: Sequence[Planes], before: Parameters, step: float) -> Paths:
        grid = self.grid
        trace = trace_planes(grid.rows, grid.columns)
        make_trace(linear(), before.features, before.frames - 1, trace)
        size = grid.block_rows * BLOCK * PATCH, grid.block_columns * BLOCK * PATCH
        reference = np.clip((trace[0] + np.int16(2056)) >> 4, 0, 255).astype(np.uint8)
        levels = pyramid(_padded(reference, *size)[None])
        targets = pyramid(np.stack([_padded(planes[0], *size) for planes in pictures]))
        paths = np.zeros((grid.block_rows, grid.block_columns, len(pictures), 2), np.int32)
        price = round(self._effort.path_price * step) + 1
        search_paths(tuple(level[0] for level in levels), targets, len(pictures), price, paths)
        return paths

    def _intra(
        self, analysis: Floats, moved: npt.NDArray[np.int16], step: float
    ) -> npt.NDArray[np.uint8]:
        """Blocks whose samples are nearer to nothing than to what moves there."""
        grid = self.grid
        wanted = analysis.reshape(moved.shape) / np.float32(step)
        left = wanted - moved / np.float32(8 * step)
        gain = np.log2(1 + np.abs(left)).sum(2) - np.log2(1 + np.abs(wanted)).sum(2)
        padded = np.zeros((grid.block_rows * BLOCK, grid.block_columns * BLOCK), np.float32)
        padded[: grid.rows, : grid.columns] = gain
        blocks = padded.reshape(grid.block_rows, BLOCK, grid.block_columns, BLOCK).sum((1, 3))
        intra: npt.NDArray[np.uint8] = (blocks > 0).astype(np.uint8)
        return intra

    def _choose(
        self,
        net: FloatNetwork,
        samples: Floats,
        analysis: Floats,
        base: Floats,
        before: Parameters | None,
        moved: npt.NDArray[np.int16],
        quantiser: int,
    ) -> npt.NDArray[np.int32]:
        """Residuals: those of the analysis, then of gradient steps; the best of them."""
        grid, step = self.grid, np.float32(step_of(quantiser) / 64)
        wanted = (analysis - base) / step
        best, least = None, np.inf
        for k in range(self._effort.steps + 1):
            seen = seen_features(grid, before, moved, quantiser)
            bits = choose_residuals(entropy_network(), seen, wanted, price_table(), BITS_PER_SQUARE)
            residual = seen.residual
            if self._effort.steps == 0:
                return residual
            features = (base + residual * step).reshape(grid.rows, grid.columns, FEATURES)
            rendered = render(net, features)
            error = rendered.output - samples
            cost = (
                float(np.square(error, dtype=np.float32).sum()) + step**2 * bits / BITS_PER_SQUARE
            )
            if cost < least:
                best, least = residual, cost
            if k < self._effort.steps:
                change = slope(net, rendered, error).reshape(grid.patches, FEATURES)
                wanted = residual - np.float32(self._effort.rate) * change / step
        assert best is not None
        return best
