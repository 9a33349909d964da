"""One group of pictures to substreams: paths, residuals, gradient steps, bytes.

Tasks do all the work. Their bands are the same for any number of threads, and so are the bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.components import NO_COMPONENTS, encode_components
from nvcodec.coding.nirvana.features import ContentEncoder
from nvcodec.coding.nirvana.motion import Paths, encode_motion
from nvcodec.coding.nirvana.table import BLOCK, FEATURES, FRAMES, PATCH, VOLUME
from nvcodec.encode.nirvana.adapt import Fit, adapted
from nvcodec.encode.nirvana.choice import BITS_PER_SQUARE, bit_price, choose_all
from nvcodec.encode.nirvana.effort import Effort
from nvcodec.encode.nirvana.gradient import FloatNetwork, Floats, float_network, render, slope
from nvcodec.encode.nirvana.paths import find_paths
from nvcodec.model.nirvana.layers import GroupParameters, Layers
from nvcodec.model.nirvana.moved import Features, step_of
from nvcodec.model.nirvana.parameters import (
    Band,
    Grid,
    Movement,
    Parameters,
    bands,
    no_features,
    seen_features,
    with_residuals,
)
from nvcodec.picture import Plane, Planes
from nvcodec.tasks import TaskPool

T = TypeVar("T")

_Residuals = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
"""Residuals (patches, FEATURES) of a layer, and numbers of slices (patches,)."""


@dataclass(frozen=True, eq=False)
class CodedSubstreams:
    """The substreams of a group, and its parameters as a decoder rebuilds them.

    `content` is still being written. `moving` is the share of blocks that move.
    """

    content: Future[bytes]
    motion: bytes
    network: bytes
    parameters: GroupParameters
    moving: float

    def size(self) -> int:
        """Bytes of the substreams, once they are written."""
        return len(self.content.result()) + len(self.motion) + len(self.network)


@dataclass(frozen=True, eq=False)
class _Motion:
    """The motion of a group: paths and intra blocks of layer 0."""

    paths: Paths
    intra: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Trial:
    """Squared error of features, moments for components, and the slope if it was asked for."""

    squares: float
    fit: Fit
    change: Floats | None


def fold(planes: Sequence[Plane], grid: Grid, band: Band, depth: int = 8) -> Floats:
    """Samples of a band of whole patches around 0: (patches, VOLUME) in the table's order.

    They have the scale of 8 bits. Edges, and the last frame of a group that is not full, are
    repeated.
    """
    first, end = band
    rows, columns = end - first, grid.columns
    out = np.empty((rows, columns, FRAMES, PATCH, PATCH), np.float32)
    for t in range(FRAMES):
        plane = planes[min(t, len(planes) - 1)][first * PATCH : end * PATCH]
        whole = _padded(plane, rows * PATCH, columns * PATCH)
        out[:, :, t] = whole.reshape(rows, PATCH, columns, PATCH).transpose(0, 2, 1, 3)
    if depth > 8:
        out *= np.float32(0.5 ** (depth - 8))
    out -= 128
    return out.reshape(rows * columns, VOLUME)


def _padded(plane: Plane, rows: int, columns: int) -> Plane:
    height, width = plane.shape
    padded: Plane = np.pad(plane, ((0, rows - height), (0, columns - width)), mode="edge")
    return padded


class GroupCoder:
    """Codes the groups of one video in their order."""

    def __init__(self, layers: Layers, effort: Effort, tasks: TaskPool) -> None:
        self.layers = layers
        self.effort = effort
        self._tasks = tasks

    def code(
        self, pictures: Sequence[Planes], before: GroupParameters | None, quantiser: int
    ) -> CodedSubstreams:
        """Code a group; `before` is None for a key group."""
        layers, tasks = self.layers, self._tasks
        motion: _Motion | None = None
        coded: list[_CodedLayer] = []
        for k, grid in enumerate(layers.grids):
            planes = [picture[k] for picture in pictures]
            last = None if before is None else before[k]
            layer = LayerCoder(grid, layers.format.bit_depth, k, self.effort, tasks)
            coded.append(layer.code(planes, last, quantiser, motion))
            motion = coded[0].motion
        parameters = tuple(layer.parameters for layer in coded)
        old = NO_COMPONENTS if before is None else before[0].components

        def content() -> bytes:
            encoder = ContentEncoder(quantiser, layers.patches)
            for k, (grid, layer) in enumerate(zip(layers.grids, coded, strict=True)):
                last = None if before is None else before[k]
                seen = seen_features(grid, last, layer.moved, quantiser)
                encoder.write(seen._replace(residual=layer.residual, number=layer.number))
            return encoder.finish()

        return CodedSubstreams(
            content=tasks.submit(content),
            motion=b"" if motion is None else encode_motion(motion.paths, motion.intra),
            network=encode_components(parameters[0].components, old),
            parameters=parameters,
            moving=0.0 if motion is None else float(motion.paths.any((2, 3)).mean()),
        )


@dataclass(frozen=True, eq=False)
class _CodedLayer:
    """A coded layer: its parameters, what they are made of, and its motion but in key groups."""

    parameters: Parameters
    moved: Features
    residual: npt.NDArray[np.int32]
    number: npt.NDArray[np.int32]
    motion: _Motion | None


class LayerCoder:
    """Codes a layer of a group, whose samples have `depth` bits."""

    def __init__(
        self, grid: Grid, depth: int, number: int, effort: Effort, tasks: TaskPool
    ) -> None:
        self.grid = grid
        self.effort = effort
        self._depth = depth
        self._number = number
        self._tasks = tasks

    def code(
        self,
        planes: Sequence[Plane],
        before: Parameters | None,
        quantiser: int,
        motion: _Motion | None,
    ) -> _CodedLayer:
        """Code the layer's planes, one for each frame; `before` is None in a key group.

        `motion` is that of layer 0, None in layer 0 itself.
        """
        grid, frames = self.grid, len(planes)
        components = NO_COMPONENTS if before is None else before.components
        net, step = float_network(quantiser, components), step_of(quantiser) / 64
        samples, wanted = self._analyse(net, planes)
        if before is None:
            moved = no_features(grid)
        else:
            moved, motion = self._move(planes, before, wanted, step, motion)
        self._do(partial(self._subtract, wanted, moved, step))
        (residual, number), fit = self._choose(net, samples, wanted, before, moved, quantiser)
        if fit is not None and self.effort.saving and self._number == 0:
            work = partial(adapted, fit, components, bit_price(quantiser), self.effort.saving)
            components = self._tasks.submit(work).result()
        parameters = with_residuals(grid, moved, residual, quantiser, frames, components)
        return _CodedLayer(parameters, moved, residual, number, motion)

    def _on_bands(self, work: Callable[[Band], T]) -> Iterator[tuple[Band, T]]:
        """Do the work on all bands of patch rows; gives its results in their order."""
        parts = bands(0, self.grid.rows)
        done = deque(self._tasks.submit(partial(work, band)) for band in parts)
        for band in parts:
            yield band, done.popleft().result()

    def _do(self, work: Callable[[Band], object]) -> None:
        """Do the work on all bands of patch rows."""
        for _ in self._on_bands(work):
            pass

    def _patches(self, band: Band) -> slice:
        return slice(band[0] * self.grid.columns, band[1] * self.grid.columns)

    def _analyse(self, net: FloatNetwork, planes: Sequence[Plane]) -> tuple[Floats, Floats]:
        """Samples of patches, empty if the effort has no use for them, and their features."""
        grid = self.grid
        samples = np.empty((grid.patches if self.effort.renders else 0, VOLUME), np.float32)
        features = np.empty((grid.patches, FEATURES), np.float32)

        def analyse(band: Band) -> None:
            folded, part = fold(planes, grid, band, self._depth), self._patches(band)
            features[part] = folded @ net.basis
            if self.effort.renders:
                samples[part] = folded

        self._do(analyse)
        return samples, features

    def _move(
        self,
        planes: Sequence[Plane],
        before: Parameters,
        analysis: Floats,
        step: float,
        motion: _Motion | None,
    ) -> tuple[Features, _Motion]:
        """Moved features, along given motion or along the best that is found."""
        grid = self.grid
        shape = grid.block_rows, grid.block_columns
        if motion is None:
            paths = np.zeros((*shape, len(planes), 2), np.int32)
            intra = np.zeros(shape, np.uint8)
        else:
            paths, intra = motion.paths, motion.intra
        movement = Movement(grid, before, paths, intra)
        self._do(movement.make_trace)
        if motion is not None:
            self._do(movement.move)
            return movement.moved, motion
        size = grid.block_rows * BLOCK * PATCH, grid.block_columns * BLOCK * PATCH
        last = np.clip((movement.trace + np.int16(2056)) >> 4, 0, 255).astype(np.uint8)
        lumas = [(plane >> self._depth - 8).astype(np.uint8) for plane in planes]
        targets = np.stack([_padded(luma, *size) for luma in lumas])
        price = round(self.effort.path_price * step) + 1
        paths[:] = find_paths(_padded(last, *size), targets, price, self._tasks)
        wanted = analysis.reshape(movement.moved.shape)

        def move(band: Band) -> None:
            movement.move(band)
            rows, blocks = slice(*band), slice(band[0] // BLOCK, -(-band[1] // BLOCK))
            moved = movement.moved[rows]
            alone = self._intra(wanted[rows], moved, step)
            intra[blocks] = alone
            moved[alone.repeat(BLOCK, 0).repeat(BLOCK, 1)[: len(moved), : grid.columns] != 0] = 0

        self._do(move)
        paths[intra != 0] = 0
        return movement.moved, _Motion(paths, intra)

    def _intra(
        self, analysis: Floats, moved: npt.NDArray[np.int16], step: float
    ) -> npt.NDArray[np.uint8]:
        """Blocks of a band whose samples are nearer to nothing than to what moves there."""
        rows, columns = moved.shape[:2]
        wanted = analysis / np.float32(step)
        left = wanted - moved / np.float32(8 * step)
        gain = np.log2(1 + np.abs(left)).sum(2) - np.log2(1 + np.abs(wanted)).sum(2)
        block_rows, block_columns = -(-rows // BLOCK), self.grid.block_columns
        padded = np.zeros((block_rows * BLOCK, block_columns * BLOCK), np.float32)
        padded[:rows, :columns] = gain
        blocks = padded.reshape(block_rows, BLOCK, block_columns, BLOCK).sum((1, 3))
        intra: npt.NDArray[np.uint8] = (blocks > 0).astype(np.uint8)
        return intra

    def _subtract(
        self, analysis: Floats, moved: npt.NDArray[np.int16], step: float, band: Band
    ) -> None:
        """Turn features of a band into real residuals, in steps."""
        part = self._patches(band)
        base = moved.reshape(analysis.shape)[part] / np.float32(8)
        analysis[part] -= base
        analysis[part] /= np.float32(step)

    def _choose(
        self,
        net: FloatNetwork,
        samples: Floats,
        wanted: Floats,
        before: Parameters | None,
        moved: npt.NDArray[np.int16],
        quantiser: int,
    ) -> tuple[_Residuals, Fit | None]:
        """Residuals: those of the analysis, then of gradient steps; the best of them.

        With the moments of their rendering if the effort has a use for these.
        """
        grid, step, effort = self.grid, np.float32(step_of(quantiser) / 64), self.effort
        best: _Residuals | None = None
        fit, least = None, np.inf
        for k in range(effort.steps + 1):
            seen = seen_features(grid, before, moved, quantiser)
            bits = choose_all(seen, wanted, BITS_PER_SQUARE, self._tasks)
            residual, number = seen.residual, seen.number
            if not effort.renders:
                return (residual, number), None
            del seen
            features: Floats = np.divide(moved, 8, dtype=np.float32)
            features += residual.astype(np.float32).reshape(moved.shape) * step
            tried = self._try(net, samples, features, slopes=k < effort.steps)
            cost = tried.squares + bit_price(quantiser) * bits
            if cost < least:
                best, least, fit = (residual, number), cost, tried.fit
            if tried.change is not None:
                change = tried.change.reshape(grid.patches, FEATURES)
                wanted = residual - np.float32(effort.rate) * change / step
        assert best is not None
        return best, fit

    def _try(self, net: FloatNetwork, samples: Floats, features: Floats, slopes: bool) -> _Trial:
        """What features render to, band by band."""

        def part(band: Band) -> _Trial:
            rendered = render(net, features, band)
            error = rendered.output - samples[self._patches(band)]
            squares = float(np.square(error).sum(dtype=np.float64))
            change = slope(net, rendered, error) if slopes else None
            return _Trial(squares, Fit.of(rendered.second, -error), change)

        squares, fit = 0.0, None
        change = np.zeros((self.grid.rows + 2, *features.shape[1:]), np.float32) if slopes else None
        for band, trial in self._on_bands(part):
            squares += trial.squares
            fit = trial.fit if fit is None else fit + trial.fit
            if change is not None:
                change[band[0] : band[1] + 2] += trial.change
        assert fit is not None
        return _Trial(squares, fit, None if change is None else change[1:-1])
