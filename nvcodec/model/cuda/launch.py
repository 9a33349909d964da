"""Launches of the kernels on tensors of one device: what each takes and gives, and its tiles.

Tensors are contiguous unless said otherwise. The `count` patches of a batch are rows 0..count-1 of
a matrix of activations, whose rows are padded to whole tiles. One launch handles all frames of a
group and all patches of a batch. Nothing here waits for the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.model.cuda import kernels
from nvcodec.model.resample import shifts
from nvcodec.model.samples import FORMAT
from nvcodec.model.sine.shape import PHASES, PLANES
from nvcodec.picture import SampleFormat

SAMPLES: torch.dtype = getattr(torch, FORMAT.dtype.name)
"""The type of samples in tensors."""

ROWS, COLUMNS, DEPTH = 128, 64, 64
"""Tile of a dense layer: patches, rows of weights, and columns of one step."""

CELLS = 128
"""Tile of a windowed layer: cells."""

OUTPUTS = 16
"""Rows of the output layer's weights for a frame: 2 x 2 for each of 3 planes, padded to 4."""


def padded(number: int, multiple: int) -> int:
    """`number` rounded up to a multiple."""
    return -(-number // multiple) * multiple


@dataclass(frozen=True)
class Patches:
    """A rectangle of patches, numbered row by row, of a frame of `down` x `across` patches."""

    top: int
    left: int
    rows: int
    columns: int
    down: int
    across: int

    @property
    def count(self) -> int:
        """Number of patches."""
        return self.rows * self.columns


@dataclass(frozen=True, eq=False)
class Dense:
    """A layer of 8-bit products: int8 weights (rows, pitch) and int32 biases (rows,), both padded.

    `rows` and `columns` are without padding. `scale` is int64 (1,), as in all functions here.
    """

    weights: torch.Tensor
    biases: torch.Tensor
    scale: torch.Tensor
    rows: int
    columns: int

    @classmethod
    def of(
        cls,
        matrix: npt.NDArray[np.int32],
        biases: npt.NDArray[np.int64],
        scale: int,
        device: torch.device,
    ) -> Dense:
        """The layer of a matrix (rows, columns) and its shifted biases."""
        rows, columns = matrix.shape
        # A launch may begin at any row, so its last tile can reach up to a tile further.
        room = padded(rows, COLUMNS) + COLUMNS
        weights = np.zeros((room, padded(columns, DEPTH)), np.int8)
        weights[:rows, :columns] = matrix
        shifts = np.zeros(room, np.int32)
        shifts[:rows] = biases
        return cls(
            torch.from_numpy(weights).to(device),
            torch.from_numpy(shifts).to(device),
            torch.tensor([scale], device=device),
            rows,
            columns,
        )

    def inputs(self, count: int) -> torch.Tensor:
        """An uninitialised tensor for the inputs of `count` patches: int8 (padded patches, pitch).

        Padding columns may hold any values, as their weights are 0.
        """
        pitch = self.weights.shape[1]
        return self.weights.new_empty((padded(count, ROWS), pitch))


@dataclass(frozen=True, eq=False)
class Windowed:
    """A layer over windows of samples: float16 weights and int32 biases for all frames.

    `weights` is (frames, rows, window, pitch). The first window * channels elements of a pitch are
    (column, channel) of a row of the window. `biases` is (frames, rows). Rows and pitch are padded
    with zeros.
    """

    weights: torch.Tensor
    biases: torch.Tensor
    scale: torch.Tensor
    channels: int

    @classmethod
    def of(
        cls,
        windows: npt.NDArray[np.int32],
        biases: npt.NDArray[np.int64],
        scale: int,
        device: torch.device,
    ) -> Windowed:
        """The layer of weights (frames, rows, window, window, channels), biases (frames, rows)."""
        frames, rows, window, _, channels = windows.shape
        room = padded(rows, max(OUTPUTS, min(64, _power(rows))))
        weights = np.zeros((frames, room, window, padded(window * channels, 16)), np.float16)
        weights[:, :rows, :, : window * channels] = windows.reshape(frames, rows, window, -1)
        shifts = np.zeros((frames, room), np.int32)
        shifts[:, :rows] = biases
        return cls(
            torch.from_numpy(weights).to(device),
            torch.from_numpy(shifts).to(device),
            torch.tensor([scale], device=device),
            channels,
        )

    @property
    def tile(self) -> int:
        """Rows of a tile: the largest power of two in 16..64 that divides all rows."""
        return math.gcd(self.weights.shape[1], 64)

    @property
    def step(self) -> int:
        """Columns of a window row that one step takes."""
        return math.gcd(self.weights.shape[3], 64)


def run(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: int) -> None:
    """Launch a kernel."""
    # Integer code has nothing to fuse, but some versions of Triton warn without this argument.
    kernel[grid](*arguments, **constants, enable_fp_fusion=False)


def _power(number: int) -> int:
    return 1 << (number - 1).bit_length()


def tiles(number: int, tile: int) -> int:
    """Tiles that cover `number` elements."""
    return -(-number // tile)


def first_layer(
    weights: torch.Tensor,
    biases: torch.Tensor,
    scale: torch.Tensor,
    sine: torch.Tensor,
    patches: Patches,
    first: int,
    count: int,
    out: torch.Tensor,
) -> None:
    """Sine layer 0 (spec 5.2) of `count` patches of a rectangle from number `first` on.

    Takes int32 weights (width, 2), int64 biases (width,) and SINE as int8. Gives columns
    0..width-1 of int8 `out` (patches, pitch).
    """
    width = weights.shape[0]
    run(
        kernels.first_layer,
        (tiles(count, 16), tiles(width, 128)),
        weights,
        biases,
        scale,
        sine,
        out,
        first,
        count,
        patches.left,
        patches.top,
        patches.columns,
        patches.across,
        patches.down,
        WIDTH=width,
        PITCH=out.shape[1],
        BLOCK_M=16,
        BLOCK_N=128,
    )


def sine_layer(
    layer: Dense, sine: torch.Tensor, inputs: torch.Tensor, count: int, out: torch.Tensor
) -> None:
    """A sine layer (spec 5.2): int8 `inputs` to columns 0..rows-1 of int8 `out`."""
    run(
        kernels.sine_layer,
        (tiles(count, ROWS), tiles(layer.rows, COLUMNS)),
        inputs,
        layer.weights,
        layer.biases,
        layer.scale,
        sine,
        out,
        count,
        WIDTH=layer.rows,
        PITCH=inputs.shape[1],
        OUT_PITCH=out.shape[1],
        BLOCK_M=ROWS,
        BLOCK_N=COLUMNS,
        BLOCK_K=DEPTH,
        num_stages=3,
    )


def expand_sources(
    layer: Dense,
    codes: torch.Tensor,
    inputs: torch.Tensor,
    count: int,
    first_frame: int,
    sources: torch.Tensor,
) -> None:
    """The expanding layer and time codes (spec 5.3, 5.4) for frames first_frame.. of the group.

    Rows of the layer are (gy, gx, c), `codes` is int32 (T, C). Gives `input` of spec 5.4 as float16
    `sources` (patches, frames, G, G, C) of patches 0..count-1.
    """
    run(
        kernels.expand_sources,
        (tiles(count, ROWS), tiles(layer.rows, COLUMNS)),
        inputs,
        layer.weights,
        layer.biases,
        layer.scale,
        codes,
        sources,
        count,
        first_frame,
        sources.shape[1],
        ROWS=layer.rows,
        CHANNELS=codes.shape[1],
        PITCH=inputs.shape[1],
        BLOCK_M=ROWS,
        BLOCK_N=COLUMNS,
        BLOCK_K=DEPTH,
        num_stages=3,
    )


def hidden_layer(
    layer: Windowed,
    gelu: torch.Tensor,
    sources: torch.Tensor,
    count: int,
    first_frame: int,
    hidden: torch.Tensor,
) -> None:
    """The hidden values of spec 5.4, for frames first_frame.. of the group.

    Rows of the layer are (dy, dx, h), windows 3 x 3, `gelu` is GELU as float16. Takes `sources` of
    `expand_sources`, gives float16 `hidden` (patches, frames, P, P, H).
    """
    frames, half = sources.shape[1:3]
    rows = layer.weights.shape[1]
    run(
        kernels.hidden_layer,
        (tiles(count * half**2, CELLS), rows // layer.tile, frames),
        sources,
        layer.weights,
        layer.biases,
        layer.scale,
        gelu,
        hidden,
        count,
        first_frame,
        frames,
        HALF=half,
        CHANNELS=layer.channels,
        HEADS=hidden.shape[4],
        ROWS=rows,
        PITCH=layer.weights.shape[3],
        BLOCK_M=CELLS,
        BLOCK_N=layer.tile,
        BLOCK_K=layer.step,
    )


def output_layer(
    layer: Windowed,
    hidden: torch.Tensor,
    count: int,
    first_frame: int,
    first: int,
    values: torch.Tensor,
) -> None:
    """The values of spec 5.4, for frames first_frame.. of the group.

    Rows of the layer are (plane, dy, dx), OUTPUTS of them, windows 4 x 4. Takes `hidden` of
    `hidden_layer`, gives patches first..first+count-1 of int16 `values` (patches, frames,
    6 * G * G): luma (P, P), then Cb and Cr (G, G).
    """
    frames, half = hidden.shape[1], hidden.shape[2] // 2
    run(
        kernels.output_layer,
        (tiles(count * half**2, CELLS), frames),
        hidden,
        layer.weights,
        layer.biases,
        layer.scale,
        values,
        first,
        count,
        first_frame,
        frames,
        HALF=half,
        HEADS=layer.channels,
        PITCH=layer.weights.shape[3],
        BLOCK_M=CELLS,
        BLOCK_K=layer.step,
    )


def place_samples(
    values: torch.Tensor,
    patches: Patches,
    corner: tuple[int, int],
    row: int,
    rows: int,
    planes: torch.Tensor,
) -> None:
    """Samples (spec 5.5) in rows row..row+rows-1 of planes.

    `planes` are samples (frames, 1, height, width) of luma or (frames, 2, height, width) of chroma.
    `corner` is the position (row, column) of the first sample in the whole frame's plane. `values`
    (patches, frames, 6 * G * G) are those of `patches`, in order.
    """
    frames, count, height, width = planes.shape
    size = values.shape[2]
    half = math.isqrt(size // PLANES)
    across, _ = FORMAT.plane_shift(count - 1)
    run(
        kernels.place_samples,
        (tiles(width, 128), tiles(rows, 8), frames * count),
        values,
        planes,
        frames,
        corner[0],
        corner[1],
        row,
        rows,
        height,
        width,
        patches.top,
        patches.left,
        patches.columns,
        SIDE=2 * half >> across,
        PLANES=count,
        SKIP=0 if count == 1 else PHASES * half**2,
        SIZE=size,
        BLOCK_Y=8,
        BLOCK_X=128,
    )


def filter_axis(
    source: torch.Tensor,
    start: torch.Tensor,
    coefficients: torch.Tensor,
    vertical: bool,
    samples: SampleFormat = FORMAT,
) -> torch.Tensor:
    """One pass of spec 6.4 over a plane (rows, columns), whose rows need not be adjacent.

    `start` is int32 (count,), `coefficients` int16 (count, taps): output sample i is a sum over the
    source samples from start[i] on. The horizontal pass takes samples and gives int16
    (rows, count). The `vertical` pass takes int16 and gives samples (count, columns).
    """
    count, taps = coefficients.shape
    rows, columns = (count, source.shape[1]) if vertical else (source.shape[0], count)
    made: torch.dtype = getattr(torch, samples.dtype.name) if vertical else torch.int16
    out = source.new_empty((rows, columns), dtype=made)
    run(
        kernels.filter_axis,
        (tiles(columns, 128), tiles(rows, 8)),
        source,
        start,
        coefficients,
        out,
        rows,
        columns,
        taps,
        source.stride(0),
        SHIFT=shifts(samples.bit_depth)[vertical],
        PEAK=samples.peak,
        VERTICAL=vertical,
        BLOCK_Y=8,
        BLOCK_X=128,
    )
    return out
