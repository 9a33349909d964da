"""One group of pictures to substreams: paths, residuals, gradient steps, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import NO_COMPONENTS, encode_components
from nvcodec.coding.nirvana.entropy import entropy_network
from nvcodec.coding.nirvana.features import encode_content
from nvcodec.coding.nirvana.motion import Paths, encode_motion
from nvcodec.coding.nirvana.table import BLOCK, FEATURES, FRAMES, PATCH, SITE, VOLUME
from nvcodec.encode.nirvana.adapt import Fit, adapted
from nvcodec.encode.nirvana.choice import (
    BITS_PER_SQUARE,
    bit_price,
    choose_residuals,
    price_table,
)
from nvcodec.encode.nirvana.effort import Effort
from nvcodec.encode.nirvana.gradient import FloatNetwork, Floats, float_network, render, slope
from nvcodec.encode.nirvana.paths import pyramid, search_paths
from nvcodec.model.nirvana.moved import Features, Trace, step_of
from nvcodec.model.nirvana.parameters import (
    Grid,
    Movement,
    Parameters,
    seen_features,
    with_residuals,
)
from nvcodec.picture import Planes


@dataclass(frozen=True, eq=False)
class CodedSubstreams:
    """The substreams of a group, and its parameters as a decoder rebuilds them."""

    content: bytes
    motion: bytes
    network: bytes
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
        self.effort = effort

    def code(
        self, pictures: Sequence[Planes], before: Parameters | None, quantiser: int
    ) -> CodedSubstreams:
        """Code a group; `before` is None for a key group."""
        grid, frames = self.grid, len(pictures)
        samples = fold(pictures, grid)
        components = NO_COMPONENTS if before is None else before.components
        net, step = float_network(quantiser, components), step_of(quantiser) / 64
        analysis = samples @ net.basis
        if before is None:
            moved = np.zeros((grid.rows, grid.columns, FEATURES), np.int16)
            motion = b""
        else:
            moved, motion = self._move(pictures, before, analysis, step)
        base: Floats = (moved.reshape(grid.patches, FEATURES) / np.float32(8)).astype(np.float32)
        residual, fit = self._choose(net, samples, analysis, base, before, moved, quantiser)
        old = components
        if fit is not None:
            components = adapted(fit, old, bit_price(quantiser), self.effort.saving)
        seen = seen_features(grid, before, moved, quantiser)
        seen.residual[:] = residual
        content = encode_content(quantiser, seen)
        network = encode_components(components, old)
        parameters = with_residuals(grid, moved, residual, quantiser, frames, components)
        return CodedSubstreams(content, motion, network, parameters)

    def _move(
        self, pictures: Sequence[Planes], before: Parameters, analysis: Floats, step: float
    ) -> tuple[Features, bytes]:
        """Moved features, and the motion substream."""
        grid = self.grid
        shape = grid.block_rows, grid.block_columns
        paths = np.zeros((*shape, len(pictures), 2), np.int32)
        movement = Movement(grid, before, paths, np.zeros(shape, np.uint8))
        movement.make_trace((0, grid.rows))
        self._search(pictures, movement.trace, step, paths)
        movement.move((0, grid.rows))
        moved = movement.moved
        intra = self._intra(analysis, moved, step)
        alone = intra.repeat(BLOCK, 0).repeat(BLOCK, 1)[: grid.rows, : grid.columns]
        moved[alone != 0] = 0
        paths[intra != 0] = 0
        return moved, encode_motion(paths, intra)

    def _search(self, pictures: Sequence[Planes], trace: Trace, step: float, paths: Paths) -> None:
        """Fill `paths`."""
        grid = self.grid
        size = grid.block_rows * BLOCK * PATCH, grid.block_columns * BLOCK * PATCH
        reference = np.clip((trace[0] + np.int16(2056)) >> 4, 0, 255).astype(np.uint8)
        levels = pyramid(_padded(reference, *size)[None])
        targets = pyramid(np.stack([_padded(planes[0], *size) for planes in pictures]))
        price = round(self.effort.path_price * step) + 1
        search_paths(tuple(level[0] for level in levels), targets, len(pictures), price, paths)

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
    ) -> tuple[npt.NDArray[np.int32], Fit | None]:
        """Residuals: those of the analysis, then of gradient steps; the best of them.

        With the moments of their rendering if the effort has a use for these.
        """
        grid, step = self.grid, np.float32(step_of(quantiser) / 64)
        effort = self.effort
        wanted = (analysis - base) / step
        best, units, missed, least = None, None, None, np.inf
        for k in range(effort.steps + 1):
            seen = seen_features(grid, before, moved, quantiser)
            bits = choose_residuals(entropy_network(), seen, wanted, price_table(), BITS_PER_SQUARE)
            residual = seen.residual
            if effort.steps == 0 and effort.saving == 0:
                return residual, None
            features = (base + residual * step).reshape(grid.rows, grid.columns, FEATURES)
            rendered = render(net, features)
            error = rendered.output - samples
            cost = float(np.square(error, dtype=np.float32).sum()) + bit_price(quantiser) * bits
            if cost < least:
                best, units, missed, least = residual, rendered.second, -error, cost
            if k < effort.steps:
                change = slope(net, rendered, error).reshape(grid.patches, FEATURES)
                wanted = residual - np.float32(effort.rate) * change / step
        assert best is not None
        assert units is not None
        assert missed is not None
        return best, Fit.of(units, missed) if effort.saving else None
