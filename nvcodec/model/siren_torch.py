"""Integer inference of the siren network (spec 5.1 to 5.4) with PyTorch, for CUDA devices.

Matrix products run in float32 on integers, exact in any order by spec 4.5. Reduced-precision modes
of the device, which round operands, are switched off while they run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from nvcodec.model.siren import GELU, SINE, Values, time_code
from nvcodec.model.weights import GroupWeights


def _rounded_shift(value: torch.Tensor, bits: int) -> torch.Tensor:
    return (value + (1 << (bits - 1))) >> bits


class TorchSirenRenderer:
    """Evaluates one group's network on a torch device; same values as SirenRenderer.

    `batch` (patches evaluated at once) changes speed and memory only.
    """

    def __init__(self, weights: GroupWeights, device: str, batch: int) -> None:
        self.shape = weights.shape
        self._device = torch.device(device)
        self._batch = batch
        self._sine = torch.tensor(SINE, dtype=torch.int64, device=self._device)
        self._gelu = torch.tensor(GELU, dtype=torch.int64, device=self._device)
        self._scales = [record.scale for record in weights.parameters]
        self._matrices = [
            torch.from_numpy(matrix.astype(np.float32)).to(self._device)
            for matrix in weights.tensors[::2]
        ]
        self._first = torch.from_numpy(weights.tensors[0].astype(np.int64)).to(self._device)
        self._biases = [
            torch.from_numpy(weights.shifted_bias(number)).to(self._device)
            for number in range(len(weights.parameters))
        ]

    def values(
        self,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        frames: Sequence[int],
    ) -> tuple[Values, Values]:
        """As PatchRenderer.values: int16 luma (frames, n, P, P), chroma (frames, 2, n, G, G)."""
        parts = []
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            for start in range(0, len(xs), self._batch):
                inputs = np.stack([xs, ys])[:, start : start + self._batch]
                parts.append(self._evaluate(torch.from_numpy(inputs).to(self._device), frames))
        finally:
            torch.set_float32_matmul_precision(precision)
        luma, chroma = zip(*parts, strict=True)
        return np.concatenate(luma, axis=1), np.concatenate(chroma, axis=2)

    def _sum(self, number: int, inputs: torch.Tensor, part: slice = slice(None)) -> torch.Tensor:
        acc = self._matrices[number][part] @ inputs
        return acc.to(torch.int64) + self._biases[number][part, None]

    def _linear(self, number: int, acc: torch.Tensor, low: int, high: int) -> torch.Tensor:
        return _rounded_shift(acc * self._scales[number], 32).clamp(low, high)

    def _evaluate(self, inputs: torch.Tensor, frames: Sequence[int]) -> tuple[Values, Values]:
        shape, half, count = self.shape, self.shape.half, inputs.shape[1]
        # Two products a row: no matrix product, whose 64-bit kind CUDA does not have.
        acc = (self._first[:, :, None] * inputs).sum(dim=1) + self._biases[0][:, None]
        for number in range(shape.depth):
            phase = _rounded_shift(acc * self._scales[number], 24)
            outputs = self._sine[((phase + 32) >> 6) & 1023].float()
            if number + 1 < shape.depth:
                acc = self._sum(number + 1, outputs)
        if not shape.head_channels:
            rows = 6 * half * half
            values = torch.stack(
                [
                    self._linear(
                        shape.depth,
                        self._sum(shape.depth, outputs, slice(t * rows, (t + 1) * rows)),
                        -32768,
                        32767,
                    )
                    for t in frames
                ]
            ).reshape(len(frames), 6, half, half, count)
            luma = values[:, :4].reshape(len(frames), 2, 2, half, half, count)
            luma = luma.permute(0, 5, 3, 1, 4, 2).reshape(len(frames), count, 2 * half, 2 * half)
            chroma = values[:, 4:].permute(0, 1, 4, 2, 3)
        else:
            acc = self._sum(shape.depth, outputs)
            feature = self._linear(shape.depth, acc, -2047, 2047)
            feature = feature.reshape(shape.stem_channels, half, half, count)
            pictures = [self._upsample(feature, t) for t in frames]
            luma = torch.stack([y for y, _ in pictures])
            chroma = torch.stack([c for _, c in pictures])
        return _values(luma), _values(chroma)

    def _upsample(self, feature: torch.Tensor, t: int) -> tuple[torch.Tensor, torch.Tensor]:
        shape, half, patch = self.shape, self.shape.half, self.shape.patch
        c, h, count = shape.stem_channels, shape.head_channels, feature.shape[-1]
        codes = torch.tensor([time_code(t, k) for k in range(c)], device=self._device)
        source = (feature + codes[:, None, None, None]).clamp(-2047, 2047)
        number = shape.depth + 1
        acc = self._sum(number, _columns(source), slice(t * 4 * h, (t + 1) * 4 * h))
        hidden = self._gelu[self._linear(number, acc, -2048, 2047) + 2048]
        hidden = hidden.reshape(h, 2, 2, half, half, count).permute(0, 3, 1, 4, 2, 5)
        hidden = hidden.reshape(h, patch, patch, count)
        number = shape.depth + 2
        acc = self._sum(number, _columns(hidden), slice(t * 3, (t + 1) * 3))
        values = self._linear(number, acc, -32768, 32767).reshape(3, patch, patch, count)
        fours = values[1:].reshape(2, half, 2, half, 2, count).sum(dim=(2, 4))
        return values[0].permute(2, 0, 1), _rounded_shift(fours, 2).permute(0, 3, 1, 2)


def _columns(source: torch.Tensor) -> torch.Tensor:
    """(channels, size, size, n) integers to (channels * 9, size * size * n) floats of 3x3 taps."""
    size = source.shape[1]
    padded = functional.pad(source, (0, 0, 1, 1, 1, 1)).float()
    taps = [padded[:, y : y + size, x : x + size] for y in range(3) for x in range(3)]
    return torch.stack(taps, dim=1).reshape(source.shape[0] * 9, -1)


def _values(values: torch.Tensor) -> Values:
    result: Values = values.to(torch.int16).cpu().numpy()
    return result
