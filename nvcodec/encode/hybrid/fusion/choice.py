"""What a group does with the fusion network: keep, off or new (spec 9.6).

Takes decoded canvases and source pictures; gives the network substream. The choice is by cost: the
squared error of the frames as a decoder renders them, plus lambda times the bits of the substream.
A faster choice takes what training expects of new weights for what they are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nvcodec.coding.hybrid.fusion import encode_network, no_differences
from nvcodec.coding.hybrid.network_mode import NetworkMode
from nvcodec.encode.hybrid.fusion.fit import (
    Differences,
    Moments,
    expected_change,
    moments,
    train,
)
from nvcodec.encode.hybrid.rate.tradeoff import network_multiplier
from nvcodec.format import CorruptError
from nvcodec.model.hybrid.fusion.packed import PackedNetwork, pack_network
from nvcodec.model.hybrid.fusion.render import NetworkSource, render
from nvcodec.model.hybrid.fusion.weights import FusionWeights
from nvcodec.picture import Planes


def _packed(weights: FusionWeights) -> list[PackedNetwork]:
    return [pack_network(weights.shape, network) for network in weights.networks]


@dataclass(frozen=True, eq=False)
class GroupFrames:
    """A group in display order.

    `sources` are what a decoder renders the frames from, `pictures` are the source pictures.
    """

    sources: Sequence[NetworkSource]
    pictures: Sequence[Planes]

    def rendered(self, weights: FusionWeights) -> list[Planes]:
        """The frames, rendered by the network with these weights."""
        packed = _packed(weights)
        height, width = self.pictures[0][0].shape
        return [
            render(
                source,
                packed[weights.shape.networks[source.canvas.step.set]],
                (0, 0, width, height),
            )
            for source in self.sources
        ]

    def canvases(self) -> list[Planes]:
        """The frames without the network."""
        height, width = self.pictures[0][0].shape
        return [source.canvas.crop(width, height) for source in self.sources]

    def squared_error(self, frames: Sequence[Planes]) -> int:
        """Squared error of `frames` to the pictures, the sum over all samples."""
        return sum(
            int(np.square(picture.astype(np.int32) - plane, dtype=np.int64).sum())
            for planes, frame in zip(self.pictures, frames, strict=True)
            for picture, plane in zip(planes, frame, strict=True)
        )


@dataclass(frozen=True, eq=False)
class CodedNetwork:
    """The network substream of a group, and the frames that the group then renders to.

    `weights` are those that the next group starts from.
    """

    substream: bytes
    weights: FusionWeights
    frames: list[Planes]


def choose_network(
    group: GroupFrames,
    weights: FusionWeights,
    crf: float,
    sites: int,
    *,
    by_estimate: bool = False,
) -> CodedNetwork:
    """Choose between keeping `weights`, no network, and new weights.

    New weights are trained on about `sites` sites of each frame; 0 for no training. With
    `by_estimate`, what training expects of them decides between them and `weights`, and the frames
    are rendered once.
    """
    multiplier = network_multiplier(crf, group.sources[0].format.bit_depth)
    price = 8 * multiplier
    count, units = weights.shape.count, weights.shape.hidden[-1].units
    none = no_differences(count, units)
    keep = encode_network(NetworkMode.KEEP, *none)
    new = _trained(group, weights, multiplier, sites) if sites else None
    best = None
    if (
        new is None
        or not by_estimate
        or new.change + price * len(new.substream) >= price * len(keep)
    ):
        best = CodedNetwork(keep, weights, group.rendered(weights))
    if new is not None and (best is None or not by_estimate):
        coded = CodedNetwork(new.substream, new.weights, group.rendered(new.weights))
        if best is None or _cost(group, coded, price) < _cost(group, best, price):
            best = coded
    assert best is not None
    off = CodedNetwork(encode_network(NetworkMode.OFF, *none), weights, group.canvases())
    return off if _cost(group, off, price) < _cost(group, best, price) else best


def _cost(group: GroupFrames, coded: CodedNetwork, price: float) -> float:
    return group.squared_error(coded.frames) + price * len(coded.substream)


@dataclass(frozen=True, eq=False)
class _New:
    """Trained weights, their substream, and the change of the squared error that is expected."""

    substream: bytes
    weights: FusionWeights
    change: float


def _trained(
    group: GroupFrames, weights: FusionWeights, multiplier: float, sites: int
) -> _New | None:
    """New weights; None if none are better, or if they exceed the bounds of the format (9.2)."""
    shared, differences, change = trained_differences(group, weights, multiplier, sites)
    if not (shared.any() or differences.any()):
        return None
    try:
        changed = weights.changed(shared, differences)
    except CorruptError:
        return None
    return _New(encode_network(NetworkMode.NEW, shared, differences), changed, change)


def trained_differences(
    group: GroupFrames, weights: FusionWeights, bit: float, sites: int
) -> tuple[Differences, Differences, float]:
    """Train differences of weights on a group; gives them as `encode_network` takes them.

    And what they are expected to change the squared error by. `bit` is the squared error that a bit
    is worth.
    """
    shape = weights.shape
    shared, differences = no_differences(shape.count, shape.hidden[-1].units)
    packed = _packed(weights)
    total: dict[int, Moments] = {}
    for k, source in enumerate(group.sources):
        number = shape.networks[source.canvas.step.set]
        part = moments(source, group.pictures[k], shape, packed[number], k, sites)
        total[number] = total[number] + part if number in total else part
    change = 0.0
    for number, of_network in total.items():
        shared[number], differences[number] = train(of_network, bit)
        change += expected_change(of_network, shared[number], differences[number])
    return shared, differences, change
