"""The nirvana network (spec 12, 13) in floating point, as it is trained.

Samples are around 0, features as coefficients in samples. What the entropy network sees is in
quantiser steps: residuals, moved features, features of the group before. Nothing is rounded and no
feature is clipped. Tensors are (batch, numbers of a patch, patch rows, patch columns); `q` are the
groups' quantiser indices, float (batch,).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from nvcodec.coding.nirvana.table import (
    BLOCK,
    FEATURES,
    FRAME,
    GATED,
    NEAR,
    NEAR_INPUTS,
    PATCH,
    SECOND_UNITS,
    SLICES,
    STARTS,
    UNITS,
    VOLUME,
    WHOLE,
    WIDE,
    WIDTH,
    outputs,
)
from nvcodec.encode.nirvana.choice import BITS_PER_SQUARE
from nvcodec.model.nirvana.moved import MOVE

OFFSET_UNIT = 9
"""Weights for a unit of q are trained for so many units, which gives them gradients of the size of
others."""

OUTPUT_SCALE = 64
"""Samples that 1 of the output layer is."""

BROAD, BROAD_SCALE = 0.002, 1.2
"""Share and scale of the distribution around 0 that is mixed in: no residual is impossible."""

_SLOPE = 1 / 8
_MOST_UNIT = 16.0
_MOST_INPUT = 8.0
_MOST_VALUE = 15.0
_MOST_TRACE = 160.0
_DEAD_ZONE = 0.33
_LEAST = 1e-9


def step_of(q: Tensor) -> Tensor:
    """The quantiser step in samples (spec 12.1), for each feature map."""
    return torch.exp2((q - 4) / 6).view(-1, 1, 1, 1)


def lambda_of(q: Tensor) -> Tensor:
    """What a bit costs in squared error: (batch,)."""
    return torch.exp2((q - 4) / 3) / BITS_PER_SQUARE


def _offset(q: Tensor) -> Tensor:
    """CQ of spec 12.1 in OFFSET_UNITs."""
    return ((q - 36).clamp(-16, 10) / OFFSET_UNIT).view(-1, 1, 1, 1)


def fold(planes: Tensor) -> Tensor:
    """Whole patches of planes (batch, FRAMES, rows, columns) to (batch, VOLUME, ...)."""
    return functional.pixel_unshuffle(planes, PATCH)


def unfold(samples: Tensor) -> Tensor:
    """The planes of samples of any number of frames: the inverse of `fold`."""
    return functional.pixel_shuffle(samples, PATCH)


def move_plane(plane: Tensor, vectors: Tensor, side: int = PATCH) -> Tensor:
    """A plane moved by vectors (spec 12.2): (batch, frames, rows, columns).

    `plane` is (batch, rows, columns). `vectors` are int64 (batch, rows, columns, frames, 2) of
    squares of `side` samples, in eighths of a sample.
    """
    batch, height, width = plane.shape
    rows, columns = vectors.shape[1:3]
    whole, fraction = vectors >> 3, vectors & 7
    around = torch.arange(side + 3) - 1
    top = (side * torch.arange(rows)).view(-1, 1, 1, 1)
    left = (side * torch.arange(columns)).view(-1, 1, 1)
    y = (top + whole[..., 0, None] + around).clamp(0, height - 1)
    x = (left + whole[..., 1, None] + around).clamp(0, width - 1)
    places = (y * width)[..., None] + x[..., None, :]
    window = plane.flatten(1).gather(1, places.flatten(1)).view(places.shape)
    taps = (torch.from_numpy(MOVE).float() / 64)[fraction][..., None, None]
    across = torch.zeros(())
    for c in range(4):
        across = across + taps[..., 1, c, :, :] * window[..., c : c + side]
    moved = torch.zeros(())
    for c in range(4):
        moved = moved + taps[..., 0, c, :, :] * across[..., c : c + side, :]
    return moved.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, height, width)


def _hidden(sums: Tensor) -> Tensor:
    """Hidden of spec 12.3."""
    return functional.leaky_relu(sums, _SLOPE).clamp(-_MOST_UNIT, _MOST_UNIT)


def _gate(a: Tensor) -> Tensor:
    """Gate of spec 12.3."""
    return (0.5 + 0.25 * a).clamp(0, 1)


def _inputs(a: Tensor) -> Tensor:
    """Value and Log of spec 12.3: (batch, 2, features, ...)."""
    return torch.stack([a.clamp(-_MOST_VALUE, _MOST_VALUE) / 4, torch.log1p(a.abs())], 1)


class Synthesis(nn.Module):
    """The synthesis network (spec 13): features to samples."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.zeros(VOLUME, FEATURES))
        self.register_buffer("scale", torch.full((FEATURES,), 1 / 64))
        self.first = nn.Conv2d(WIDE, WIDTH, 3, padding=1)
        self.first_own = nn.Conv2d(FEATURES - WIDE, WIDTH, 1, bias=False)
        self.first_of_q = nn.Parameter(torch.zeros(WIDTH, 1, 1))
        self.second = nn.Conv2d(WIDTH, WIDTH, 1)
        self.third = nn.Conv2d(WIDTH, VOLUME, 1)
        for zeros in (self.first_own.weight, self.third.weight, self.third.bias):
            assert zeros is not None
            nn.init.zeros_(zeros)
        self.low_precision = False

    def linear(self, features: Tensor) -> Tensor:
        """The linear part of samples."""
        return functional.conv2d(features, self.basis[:, :, None, None])

    def forward(self, features: Tensor, q: Tensor) -> Tensor:
        """Samples of features in samples."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.low_precision):
            a = (features * self.scale.view(-1, 1, 1)).clamp(-_MOST_INPUT, _MOST_INPUT)
            near = self.first(a[:, :WIDE]) + self.first_own(a[:, WIDE:])
            h = _hidden(near + _offset(q) * self.first_of_q)
            out = self.third(_hidden(self.second(h)))
        samples: Tensor = self.linear(features) + out.float() * OUTPUT_SCALE
        return samples


class SliceNetwork(nn.Module):
    """The hidden layer and the outputs of the entropy network for one slice (spec 12.3)."""

    causal: Tensor

    def __init__(self, number: int) -> None:
        super().__init__()
        start, size, kinds = STARTS[number], SLICES[number], outputs(number)
        self.start, self.size, self.kinds = start, size, kinds
        kernel = 3 if number < WHOLE else 1
        self.earlier = (
            nn.Conv2d(2 * start, UNITS, kernel, padding=kernel // 2, bias=False) if start else None
        )
        # The row above and the patch to the left.
        self.context = nn.Conv2d(2 * size, UNITS, (2, 3))
        self.register_buffer("causal", torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
        self.own = nn.Conv2d(4 * size, UNITS, 1, bias=False)
        self.of_q = nn.Parameter(torch.zeros(UNITS, 1, 1))
        self.of_key = nn.Parameter(torch.zeros(UNITS, 1, 1))
        self.second = nn.Conv2d(UNITS, SECOND_UNITS, 1)
        self.output = nn.Conv2d(SECOND_UNITS, kinds * size, 1)
        bias = self.output.bias
        assert bias is not None
        with torch.no_grad():
            self.output.weight.mul_(0.2)
            bias.zero_()
            # Gates: hardly anything of the change, most of what neighbours say.
            bias[2 * size : 3 * size] = -1
            bias[3 * size :] = 1

    def causal_weights(self) -> Tensor:
        """Weights of the slice's own residuals, 0 for what is not coded yet."""
        return self.context.weight * self.causal

    def hidden(self, residual: Tensor, own: Tensor | None, offset: Tensor) -> Tensor:
        """Hidden units; `own` are inputs of the patch itself, None in a key group."""
        end = self.start + self.size
        mine = functional.pad(residual[:, :, self.start : end].flatten(1, 2), (1, 1, 1, 0))
        sums = functional.conv2d(mine, self.causal_weights(), self.context.bias)
        sums = sums + offset * self.of_q
        if self.earlier is not None:
            sums = sums + self.earlier(residual[:, :, : self.start].flatten(1, 2))
        if own is None:
            key: Tensor = sums + self.of_key
            return key
        other: Tensor = sums + self.own(own[:, :, self.start : end].flatten(1, 2))
        return other

    def forward(
        self, residual: Tensor, own: Tensor | None, offset: Tensor, low_precision: bool
    ) -> Tensor:
        """Outputs (batch, kinds, features of the slice, ...)."""
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            sums = self.hidden(residual, own, offset)
            sums = self.second(_hidden(sums.float()))
        out: Tensor = self.output(_hidden(sums.float()))
        return out.reshape(len(out), self.kinds, self.size, *out.shape[2:])


def _known() -> Tensor:
    """1 where a neighbour's feature is known when a feature is coded: as `neighbour`."""
    known = torch.zeros(NEAR, NEAR_INPUTS, 3, 3)
    for s, size in enumerate(SLICES):
        own = slice(STARTS[s], STARTS[s] + size)
        known[own, : STARTS[s]] = 1
        known[own, own, 0] = 1
        known[own, own, 1, 0] = 1
    return known


class EntropyNetwork(nn.Module):
    """The entropy network (spec 12.3): the distribution of each residual."""

    known: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.slices = nn.ModuleList([SliceNetwork(s) for s in range(len(SLICES))])
        self.neighbour = nn.Parameter(torch.zeros(NEAR, NEAR_INPUTS, 3, 3))
        with torch.no_grad():
            for f in range(GATED):
                # Up-left, up, up-right, left.
                for y, x, weight in ((0, 0, -0.2), (0, 1, 0.45), (0, 2, 0.1), (1, 0, 0.6)):
                    self.neighbour[f, f, y, x] = weight
        self.register_buffer("known", _known())
        self.log_scale = nn.Parameter(torch.zeros(FEATURES, 1, 1))
        # Nearly as much smaller as the step is larger.
        slope = -1.3 * math.log(2) / 6 * OFFSET_UNIT
        self.log_scale_of_q = nn.Parameter(torch.full((FEATURES, 1, 1), slope))
        self.low_precision = False

    def neighbour_weights(self) -> Tensor:
        """Weights of linear prediction, 0 for what is not coded yet."""
        return self.neighbour * self.known

    def _near(self, residual: Tensor) -> Tensor:
        inputs = residual[:, :NEAR_INPUTS]
        return functional.conv2d(inputs, self.neighbour_weights(), padding=1)

    def forward(
        self, residual: Tensor, q: Tensor, moved: Tensor | None, before: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the scale of residuals.

        `moved` are moved features, `before` features of the group before; None in a key group.
        """
        offset, seen, near = _offset(q), _inputs(residual), self._near(residual)
        own = change = None
        if moved is not None and before is not None:
            change = before - moved
            own = torch.cat([_inputs(moved), _inputs(change)], 1)
        means, scales = [], []
        for network in self.slices:
            assert isinstance(network, SliceNetwork)
            part = slice(network.start, network.start + network.size)
            out = network(seen, own, offset, self.low_precision)
            mean = out[:, 0]
            if network.start < GATED:
                mean = mean + _gate(out[:, 3]) * near[:, part]
            elif network.start < NEAR:
                mean = mean + near[:, part]
            if change is not None:
                mean = mean + _gate(out[:, 2]) * change[:, part]
            means.append(mean)
            scales.append(out[:, 1] + self.log_scale[part] + self.log_scale_of_q[part] * offset)
        return torch.cat(means, 1), torch.cat(scales, 1).clamp(-4, 4)


def _laplace(x: Tensor, log_scale: Tensor) -> Tensor:
    """-ln of the probability of the unit interval around x, of a Laplace distribution."""
    inverse, d = torch.exp(-log_scale), x.abs()
    tail = (d - 0.5).clamp_min(0) * inverse
    tail = tail + math.log(2) - torch.log(-torch.expm1(-inverse) + _LEAST)
    near = d.clamp_max(0.5)
    outside = torch.exp(-(0.5 - near) * inverse) + torch.exp(-(0.5 + near) * inverse)
    return torch.where(d > 0.5, tail, -torch.log(1 - 0.5 * outside + _LEAST))


def bits_of(residual: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Bits of residuals under the mixture of Laplace distributions that the coder has."""
    narrow = _laplace(residual - mean, log_scale) - math.log(1 - BROAD)
    scale = torch.full_like(mean, math.log(BROAD_SCALE))
    broad = _laplace(residual, scale) - math.log(BROAD)
    return -torch.logaddexp(-narrow, -broad) / math.log(2)


def _cheapest(wanted: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """For real residuals the integers of least squared error plus bits."""
    near, expected = wanted.round(), mean.round()
    best, least = near, torch.full_like(wanted, math.inf)
    for r in (near, near - torch.sign(near - expected), expected, torch.zeros_like(near)):
        bits = _laplace(r - mean, log_scale) / math.log(2)
        cost = (wanted - r).square() + bits / BITS_PER_SQUARE
        less = cost < least
        best, least = torch.where(less, r, best), torch.where(less, cost, least)
    return best


class NirvanaNetwork(nn.Module):
    """Both networks. Features are in steps here, as residuals are."""

    def __init__(self) -> None:
        super().__init__()
        self.synthesis = Synthesis()
        self.entropy = EntropyNetwork()

    def use_low_precision(self, on: bool) -> None:
        """Whether hidden layers are evaluated in bfloat16."""
        self.synthesis.low_precision = self.entropy.low_precision = on

    def samples(self, features: Tensor, q: Tensor) -> Tensor:
        """The rendered samples of groups."""
        rendered: Tensor = self.synthesis(features * step_of(q), q)
        return rendered

    def error(self, features: Tensor, q: Tensor, samples: Tensor) -> Tensor:
        """Squared error of rendered samples: (batch,)."""
        return (self.samples(features, q) - samples).square().sum((1, 2, 3))

    def rate(
        self, residual: Tensor, q: Tensor, moved: Tensor | None, before: Tensor | None
    ) -> Tensor:
        """Bits of residuals: (batch,)."""
        return bits_of(residual, *self.entropy(residual, q, moved, before)).sum((1, 2, 3))

    def analyse(self, samples: Tensor, q: Tensor) -> Tensor:
        """The coefficients of samples in the basis, in steps."""
        basis = self.synthesis.basis.T[:, :, None, None]
        return functional.conv2d(samples, basis) / step_of(q)

    @torch.no_grad()
    def moved(self, features: Tensor, q: Tensor, vectors: Tensor) -> Tensor:
        """Moved features (spec 12.2), those of the group before given.

        `vectors` of patches are int64 (batch, patch rows, patch columns, FRAMES, 2) in eighths of a
        sample.
        """
        last = self.synthesis.basis[-FRAME:, :, None, None]
        trace = functional.conv2d(features * step_of(q), last)
        plane = unfold(trace.clamp(-_MOST_TRACE, _MOST_TRACE))[:, 0]
        return self.analyse(fold(move_plane(plane, vectors)), q)

    @torch.no_grad()
    def without_intra(self, samples: Tensor, q: Tensor, moved: Tensor) -> Tensor:
        """Moved features, 0 in blocks whose samples are nearer to nothing: the intra blocks."""
        wanted = self.analyse(samples, q)

        def cost(a: Tensor) -> Tensor:
            bits = torch.log2(1 + a.abs()).sum(1, keepdim=True)
            return functional.avg_pool2d(bits, BLOCK, ceil_mode=True)

        keep = (cost(wanted - moved) < cost(wanted)).float()
        keep = keep.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)
        return moved * keep[:, :, : moved.shape[2], : moved.shape[3]]

    @torch.no_grad()
    def choose(
        self, samples: Tensor, q: Tensor, moved: Tensor | None, before: Tensor | None
    ) -> Tensor:
        """Residuals of samples by rate and distortion, as integers."""
        wanted = self.analyse(samples, q)
        if moved is not None:
            wanted = wanted - moved
        rough = wanted.sign() * (wanted.abs() + _DEAD_ZONE).floor()
        return _cheapest(wanted, *self.entropy(rough, q, moved, before))
