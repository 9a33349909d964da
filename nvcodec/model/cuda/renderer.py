"""Frames and regions of frames from a group's network on one device: weights to planes (spec 5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.model.cuda import launch
from nvcodec.model.cuda.launch import Dense, Patches, Windowed
from nvcodec.model.cuda.planes import RegionPlanes, TensorPlanes
from nvcodec.model.sine.layers import GELU, SINE, time_code
from nvcodec.model.sine.render import bands
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights
from nvcodec.picture import Region

_VALUE_BYTES = 1 << 29
"""Memory budget for patch values, in bytes; one row of patches is always allowed."""

_SCRATCH_BYTES = 1 << 28
"""Memory budget for activations, in bytes; one patch is always allowed."""


class CudaRenderer:
    """Renders one group's network; the same samples as `render_region`.

    `weights` must conform to spec 4.3 to 4.5. `batch` is the number of patches evaluated at once,
    None for as many as fit; it changes speed and memory only.
    """

    def __init__(
        self, weights: GroupWeights, device: torch.device, batch: int | None = None
    ) -> None:
        shape, depth = weights.shape, weights.shape.depth
        self.shape = shape
        self._device = device
        self._batch = batch
        self._sine, self._gelu = tables(device)
        scales = [record.scale for record in weights.parameters]
        biases = [weights.shifted_bias(number) for number in range(len(scales))]
        matrices = weights.tensors[::2]
        self._first = (
            torch.from_numpy(matrices[0].astype(np.int32)).to(device),
            torch.from_numpy(biases[0]).to(device),
            torch.tensor([scales[0]], device=device),
        )
        self._layers = [
            Dense.of(matrices[number], biases[number], scales[number], device)
            for number in range(1, depth)
        ]
        order = _row_order(shape)
        self._expand = Dense.of(matrices[depth][order], biases[depth][order], scales[depth], device)
        self._codes = time_codes(shape, device)
        self._hidden = hidden_layer(
            shape, matrices[depth + 1], biases[depth + 1], scales[depth + 1], device
        )
        self._output = output_layer(
            shape, matrices[depth + 2], biases[depth + 2], scales[depth + 2], device
        )

    def pictures(
        self,
        width: int,
        height: int,
        frames: Sequence[int],
        region: Region | None = None,
    ) -> list[TensorPlanes]:
        """Render frames (numbers within the group) of a video of width x height luma samples.

        `region` is None for the whole frame. Returns planes as `render_region` does. All frames
        between the first and the last of `frames` are computed. Does not wait for the device.

        Raises ValueError when a frame number is not in 0..T-1.
        """
        shape = self.shape
        if not all(0 <= frame < shape.group_frames for frame in frames):
            raise ValueError(f"frames {list(frames)} are not all in 0..{shape.group_frames - 1}")
        if not frames:
            return []
        region = region or (0, 0, width, height)
        x0, y0, x1, y1 = region
        out = RegionPlanes(region, frames, self._device)
        left, right = shape.patches_covering(x0, x1)
        row_bytes = (right - left) * out.count * 2 * shape.values
        for start, stop in bands(shape, y0, y1, _VALUE_BYTES // row_bytes):
            top, bottom = shape.patches_covering(start, stop)
            patches = Patches(
                top, left, bottom - top, right - left, shape.patches(height), shape.patches(width)
            )
            out.place(self._values(patches, out.first, out.count), patches, start, stop)
        return out.pictures(frames)

    def _empty(self, dtype: torch.dtype, *size: int) -> torch.Tensor:
        return torch.empty(size, dtype=dtype, device=self._device)

    def _values(self, patches: Patches, first_frame: int, frames: int) -> torch.Tensor:
        """Values of patches in 1/16 sample: int16 (patches, frames, 6 * G * G)."""
        shape, half = self.shape, self.shape.half
        area, channels, heads = half**2, shape.stem_channels, shape.head_channels
        layers = [*self._layers, self._expand]
        pitches = [layer.weights.shape[1] for layer in layers]
        each = sum(pitches) + 2 * frames * area * (channels + 4 * heads)
        batch = min(patches.count, max(1, _SCRATCH_BYTES // each), self._batch or patches.count)

        values = self._empty(torch.int16, patches.count, frames, shape.values)
        activations = [layer.inputs(batch) for layer in layers]
        sources = self._empty(torch.float16, batch, frames, half, half, channels)
        hidden = self._empty(torch.float16, batch, frames, 2 * half, 2 * half, heads)
        for first in range(0, patches.count, batch):
            count = min(batch, patches.count - first)
            launch.first_layer(*self._first, self._sine, patches, first, count, activations[0])
            for layer, inputs, outputs in zip(
                self._layers, activations[:-1], activations[1:], strict=True
            ):
                launch.sine_layer(layer, self._sine, inputs, count, outputs)
            launch.expand_sources(
                self._expand, self._codes, activations[-1], count, first_frame, sources
            )
            launch.hidden_layer(self._hidden, self._gelu, sources, count, first_frame, hidden)
            launch.output_layer(self._output, hidden, count, first_frame, first, values)
        return values


@lru_cache
def tables(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """SINE as int8 and GELU as float16, both exact."""
    return (
        torch.from_numpy(SINE.astype(np.int8)).to(device),
        torch.from_numpy(GELU.astype(np.float16)).to(device),
    )


@lru_cache
def time_codes(shape: NetworkShape, device: torch.device) -> torch.Tensor:
    """TimeCode of spec 5.4: int32 (T, C)."""
    frames, channels = range(shape.group_frames), range(shape.stem_channels)
    codes = [[time_code(t, c) for c in channels] for t in frames]
    return torch.tensor(codes, dtype=torch.int32, device=device)


@lru_cache
def _row_order(shape: NetworkShape) -> npt.NDArray[np.int64]:
    """Order (gy, gx, c) of the rows of the expanding layer."""
    half = shape.half
    rows = np.arange(shape.layers[shape.depth].rows)
    return rows.reshape(-1, half, half).transpose(1, 2, 0).ravel()


def hidden_layer(
    shape: NetworkShape,
    matrix: npt.NDArray[np.int32],
    biases: npt.NDArray[np.int64],
    scale: int,
    device: torch.device,
) -> Windowed:
    """Layer depth+1 of spec 4.2 with rows (dy, dx, h) and windows (ky, kx, c) of each frame."""
    t, c, h = shape.group_frames, shape.stem_channels, shape.head_channels
    windows = matrix.reshape(t, h, 2, 2, c, 3, 3).transpose(0, 2, 3, 1, 5, 6, 4)
    shifts = biases.reshape(t, h, 4).transpose(0, 2, 1)
    return Windowed.of(windows.reshape(t, 4 * h, 3, 3, c), shifts.reshape(t, 4 * h), scale, device)


def output_layer(
    shape: NetworkShape,
    matrix: npt.NDArray[np.int32],
    biases: npt.NDArray[np.int64],
    scale: int,
    device: torch.device,
) -> Windowed:
    """Layer depth+2 of spec 4.2 with rows (plane, dy, dx), whose 3 x 3 taps lie in 4 x 4 windows.

    The fourth plane has weights of 0.
    """
    t, h = shape.group_frames, shape.head_channels
    taps = matrix.reshape(t, 3, h, 3, 3).transpose(0, 1, 3, 4, 2)
    windows = np.zeros((t, 4, 2, 2, 4, 4, h), np.int32)
    for dy in range(2):
        for dx in range(2):
            windows[:, :3, dy, dx, dy : dy + 3, dx : dx + 3] = taps
    shifts = np.zeros((t, 4, 4), np.int64)
    shifts[:, :3] = biases.reshape(t, 3, 1)
    return Windowed.of(windows.reshape(t, 16, 4, 4, h), shifts.reshape(t, 16), scale, device)
