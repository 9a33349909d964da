"""The baseline networks. All give Y, Cb and Cr at luma resolution; chroma is averaged 2x2.

A network is made from the `size` (width, height) and number of the frames and from its `units`,
which determine the number of weights. `frame` gives a whole frame, (3, rows, columns) with even
sides. Calling the module gives the input of the training loss: a random part of the clip, predicted
and true, as two vectors.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from nvcodec.picture import Planes
from tools.bench.baselines.samples import Samples, halved, picture


class Network(nn.Module):
    """Base of all. `layers` are linear layers or convolutions, in coding order."""

    title: ClassVar[str]
    peak_rate: ClassVar[float]
    """The best peak learning rate of those tried."""
    bits: ClassVar[float]
    """The best bits per weight of those tried, at given bytes."""

    layers: nn.ModuleList

    def __init__(self, size: tuple[int, int], frames: int, units: int) -> None:
        super().__init__()
        self.size, self.frames, self.units = size, frames, units
        self._even = size[0] + size[0] % 2, size[1] + size[1] % 2

    @property
    def weights(self) -> int:
        """Weights and biases of all layers."""
        return sum(tensor.numel() for tensor in self.parameters())

    def forward(
        self, samples: Samples, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A random part of the clip, here a frame: predicted and true samples."""
        number = int(torch.randint(self.frames, (), generator=generator))
        output = self.frame(number)
        return (
            torch.cat([output[0].flatten(), halved(output[1:]).flatten()]),
            torch.cat([samples.luma[number].flatten(), samples.chroma[number].flatten()]),
        )

    @abstractmethod
    def frame(self, number: int) -> torch.Tensor:
        """The frame of this number."""

    @torch.no_grad()
    def pictures(self) -> Iterator[Planes]:
        """All frames as a decoder would write them."""
        for number in range(self.frames):
            yield picture(self.frame(number), self.size)


def encoding(shares: torch.Tensor, levels: int, base: float) -> torch.Tensor:
    """The positional encoding of shares in 0..1: (..., n) to (..., 2 n levels)."""
    turns = math.pi * shares[..., None] * base ** torch.arange(levels)
    return torch.cat([torch.sin(turns), torch.cos(turns)], -1).flatten(-2)


class Nerv(Network):
    """NeRV (Chen et al. 2021, arXiv 2110.13903): frame number to frame.

    Positional encoding, a perceptron with one hidden layer, five blocks of convolution, pixel
    shuffle by 2 and GELU, and a 1x1 convolution to the three channels. All blocks have `units`
    channels, like those of the paper that have its minimum width.
    """

    title = "NeRV"
    peak_rate, bits = 1e-2, 3.5
    levels, base, blocks = 40, 1.25, 5

    def __init__(self, size: tuple[int, int], frames: int, units: int) -> None:
        super().__init__(size, frames, units)
        self._start = tuple(-(-side // 2**self.blocks) for side in size)
        hidden = 4 * units
        self.layers = nn.ModuleList(
            [
                nn.Linear(2 * self.levels, hidden),
                nn.Linear(hidden, units * self._start[0] * self._start[1]),
                *(nn.Conv2d(units, 4 * units, 3, padding=1) for _ in range(self.blocks)),
                nn.Conv2d(units, 3, 1),
            ]
        )

    def frame(self, number: int) -> torch.Tensor:
        """The frame of this number."""
        x = encoding(torch.tensor([number / self.frames]), self.levels, self.base)
        first, second, *blocks, head = self.layers
        x = functional.gelu(second(functional.gelu(first(x))))
        x = x.reshape(1, -1, self._start[1], self._start[0])
        for block in blocks:
            x = functional.gelu(functional.pixel_shuffle(block(x), 2))
        x = (torch.tanh(head(x)[0]) + 1) / 2
        return x[:, : self._even[1], : self._even[0]]


class PsNerv(Network):
    """PS-NeRV (Bai et al. 2022, arXiv 2208.03742): frame number and place of a patch to the patch.

    Positional encodings of all three coordinates, a perceptron with one hidden layer, blocks of
    convolution, pixel shuffle by 2, AdaIN and GELU, and a 1x1 convolution to the three channels.
    AdaIN scales and shifts normalised channels by linear functions of a style, which a layer makes
    of the encodings. All blocks have `units` channels. Patches of a frame are evaluated together.
    Encodings have fewer levels than the paper's, which are better in networks as small as these.
    """

    title = "PS-NeRV"
    peak_rate, bits = 2e-2, 3.5
    levels, base, blocks, start = 12, 1.25, 4, 2
    side = start * 2**blocks
    """Luma samples across a patch."""

    def __init__(self, size: tuple[int, int], frames: int, units: int) -> None:
        super().__init__(size, frames, units)
        self._columns, self._rows = (-(-side // self.side) for side in size)
        inputs, hidden = 3 * 2 * self.levels, 4 * units
        self.layers = nn.ModuleList(
            [
                nn.Linear(inputs, hidden),
                nn.Linear(hidden, units * self.start**2),
                nn.Linear(inputs, units),
                *(nn.Linear(units, 2 * units) for _ in range(self.blocks)),
                *(nn.Conv2d(units, 4 * units, 3, padding=1) for _ in range(self.blocks)),
                nn.Conv2d(units, 3, 1),
            ]
        )

    def frame(self, number: int) -> torch.Tensor:
        """The frame of this number."""
        place = torch.cartesian_prod(torch.arange(self._rows), torch.arange(self._columns))
        when = torch.full((len(place), 1), number)
        shares = torch.cat([when, place], 1) / torch.tensor(
            [self.frames, self._rows, self._columns]
        )
        x = encoding(shares, self.levels, self.base)
        first, second, style, *rest, head = self.layers
        styles, blocks = rest[: self.blocks], rest[self.blocks :]
        taste = functional.gelu(style(x))
        x = functional.gelu(second(functional.gelu(first(x))))
        x = x.reshape(len(place), self.units, self.start, self.start)
        for block, affine in zip(blocks, styles, strict=True):
            x = functional.instance_norm(functional.pixel_shuffle(block(x), 2))
            scale, shift = affine(taste)[:, :, None, None].chunk(2, 1)
            x = functional.gelu((1 + scale) * x + shift)
        x = (torch.tanh(head(x)) + 1) / 2
        x = x.reshape(self._rows, self._columns, 3, self.side, self.side)
        x = x.permute(2, 0, 3, 1, 4).reshape(3, self._rows * self.side, self._columns * self.side)
        return x[:, : self._even[1], : self._even[0]]


class Siren(Network):
    """SIREN (Sitzmann et al. 2020, arXiv 2006.09661): a sample's (x, y, t) to its value.

    Four sine layers of `units` and a linear one; coordinates in -1..1, omega 30 in all layers,
    the paper's initial weights.
    """

    title = "SIREN"
    peak_rate, bits = 1e-3, 6.0
    omega, sines, blocks = 30.0, 4, 1024

    def __init__(self, size: tuple[int, int], frames: int, units: int) -> None:
        super().__init__(size, frames, units)
        widths = [3] + [units] * self.sines + [3]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        with torch.no_grad():
            for number, (layer, columns) in enumerate(zip(self.layers, widths, strict=False)):
                spread = math.sqrt(6 / columns) / self.omega if number else 1 / columns
                layer.weight.uniform_(-spread, spread)

    def _values(self, x: torch.Tensor, y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Values (n, 3) at luma samples (integers)."""
        sides = zip((x, y, t), (*self._even, self.frames), strict=True)
        z = torch.stack([(2 * i + 1) / count - 1 for i, count in sides], dim=-1)
        for layer in self.layers[:-1]:
            z = torch.sin(self.omega * layer(z))
        return (self.layers[-1](z) + 1) / 2

    def forward(
        self, samples: Samples, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Random squares of 2x2 luma samples, with one chroma sample each."""
        _, _, rows, columns = samples.chroma.shape
        t, y, x = (
            torch.randint(n, (self.blocks, 1), generator=generator)
            for n in (self.frames, rows, columns)
        )
        dy, dx = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
        values = self._values(2 * x + dx, 2 * y + dy, t.expand(-1, 4))
        return (
            torch.cat([values[..., 0].flatten(), values[..., 1:].mean(dim=1).flatten()]),
            torch.cat(
                [
                    samples.luma[t, 2 * y + dy, 2 * x + dx].flatten(),
                    samples.chroma[t[:, 0], :, y[:, 0], x[:, 0]].flatten(),
                ]
            ),
        )

    def frame(self, number: int) -> torch.Tensor:
        """The frame of this number."""
        width, height = self._even
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        values = self._values(x.flatten(), y.flatten(), torch.full((width * height,), number))
        return values.T.reshape(3, height, width)


NETWORKS: tuple[type[Network], ...] = (Nerv, PsNerv, Siren)


def fitting(kind: type[Network], size: tuple[int, int], frames: int, target: int) -> Network:
    """The network with the most units whose weights take at most `target` bytes at its `bits`."""
    units = 1
    while kind(size, frames, units + 1).weights * kind.bits <= 8 * target:
        units += 1
    return kind(size, frames, units)
