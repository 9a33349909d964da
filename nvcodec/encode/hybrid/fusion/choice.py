"""What a group does with the fusion network: keep, off or new (spec 9.6).

Takes decoded canvases and source pictures; gives the network substream. The choice is by real cost:
the squared error of the frames as a decoder renders them, plus lambda times the bits of the
substream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nvcodec.coding.hybrid.fusion import encode_network, no_differences
from nvcodec.coding.hybrid.network_mode import NetworkMode
from nvcodec.encode.hybrid.fusion.fit import Differences, Moments, moments, train
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
    group: GroupFrames, weights: FusionWeights, crf: float, sites: int
) -> CodedNetwork:
    """Choose between keeping `weights`, no network, and new weights.

    New weights are trained on about `sites` sites of each frame; 0 for no training.
    """
    shape = weights.shape
    multiplier = network_multiplier(crf, group.sources[0].format.bit_depth)
    price = 8 * multiplier
    kept, plain = group.rendered(weights), group.canvases()
    none = no_differences(shape.count, shape.hidden[-1].units)
    off = encode_network(NetworkMode.OFF, *none)
    best = CodedNetwork(encode_network(NetworkMode.KEEP, *none), weights, kept)
    cost = group.squared_error(kept) + price * len(best.substream)
    without = group.squared_error(plain) + price * len(off)
    if without < cost:
        best, cost = CodedNetwork(off, weights, plain), without
    if not sites:
        return best
    shared, differences = trained_differences(group, weights, kept, multiplier, sites)
    if not (shared.any() or differences.any()):
        return best
    try:
        changed = weights.changed(shared, differences)
    except CorruptError:
        # The new weights exceed the bounds of the format (spec 9.2).
        return best
    new = CodedNetwork(
        encode_network(NetworkMode.NEW, shared, differences), changed, group.rendered(changed)
    )
    return new if group.squared_error(new.frames) + price * len(new.substream) < cost else best


def trained_differences(
    group: GroupFrames, weights: FusionWeights, kept: Sequence[Planes], bit: float, sites: int
) -> tuple[Differences, Differences]:
    """Train differences of weights on a group; gives them as `encode_network` takes them.

    `kept` are the frames rendered with `weights`; `bit` is the squared error that a bit is worth.
    """
    shape = weights.shape
    shared, differences = no_differences(shape.count, shape.hidden[-1].units)
    packed = _packed(weights)
    total: dict[int, Moments] = {}
    for k, source in enumerate(group.sources):
        number = shape.networks[source.canvas.step.set]
        part = moments(source, group.pictures[k], kept[k], shape, packed[number], k, sites)
        total[number] = total[number] + part if number in total else part
    for number, of_network in total.items():
        shared[number], differences[number] = train(of_network, bit)
    return shared, differences
