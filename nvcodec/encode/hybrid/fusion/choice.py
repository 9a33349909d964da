"""What a group does with the fusion network: keep, off or new (spec 9.6).

Takes decoded canvases and source pictures; gives the network substream. The choice is by cost: the
squared error of the frames as a decoder renders them, plus lambda times the bits of the substream.
A faster choice takes what training expects of new weights for what they are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nvcodec.coding.hybrid.fusion import encode_network, no_differences
from nvcodec.coding.hybrid.network_mode import NetworkMode
from nvcodec.encode.hybrid.fusion.fit import (
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
from nvcodec.squared_error import squared_error


@dataclass(frozen=True, eq=False)
class _Packed:
    """Weights, and their networks as kernels take them."""

    weights: FusionWeights
    networks: list[PackedNetwork]

    @classmethod
    def of(cls, weights: FusionWeights) -> _Packed:
        networks = [pack_network(weights.shape, network) for network in weights.networks]
        return cls(weights, networks)

    def number(self, source: NetworkSource) -> int:
        """The number of the network that a source uses."""
        return self.weights.shape.networks[source.canvas.step.set]

    def of_source(self, source: NetworkSource) -> PackedNetwork:
        return self.networks[self.number(source)]


@dataclass(frozen=True, eq=False)
class GroupFrames:
    """A group in display order.

    `sources` are what a decoder renders the frames from, `pictures` are the source pictures.
    """

    sources: Sequence[NetworkSource]
    pictures: Sequence[Planes]

    def rendered(self, weights: FusionWeights) -> list[Planes]:
        """The frames, rendered by the network with these weights."""
        return [self.frame(k, _Packed.of(weights)) for k in range(len(self.sources))]

    def frame(self, number: int, network: _Packed | None) -> Planes:
        """A frame, rendered by the network, or without it."""
        height, width = self.pictures[0][0].shape
        source = self.sources[number]
        if network is None:
            return source.canvas.crop(width, height)
        return render(source, network.of_source(source), (0, 0, width, height))

    def canvases(self) -> list[Planes]:
        """The frames without the network."""
        return [self.frame(number, None) for number in range(len(self.sources))]

    def squared_error(self, frames: Sequence[Planes]) -> int:
        """Squared error of `frames` to the pictures, the sum over all samples."""
        return sum(map(_squared_error, self.pictures, frames))


@dataclass(frozen=True, eq=False)
class CodedNetwork:
    """The network substream of a group, and the frames that the group then renders to.

    `weights` are those that the next group starts from.
    """

    substream: bytes
    weights: FusionWeights
    frames: list[Planes]


@dataclass(frozen=True, eq=False)
class Candidate:
    """What a group may do: a substream, the weights after it, and the network if it is used."""

    substream: bytes
    weights: FusionWeights
    network: _Packed | None


@dataclass(frozen=True, eq=False)
class Made:
    """A frame as a candidate makes it, and its squared error to the picture."""

    planes: Planes
    error: int


@dataclass(frozen=True, eq=False)
class NetworkChoice:
    """The choice between keeping weights, no network, and new weights, for a group.

    It has steps, so that frames can be done side by side: `moments` of each frame, then
    `candidates`, then `made` of each frame, then `best`. New weights are trained on about `sites`
    sites of each frame; 0 for no training. With `by_estimate`, what training expects of them
    decides between them and those before, and the frames are rendered once.
    """

    group: GroupFrames
    before: _Packed
    multiplier: float
    sites: int
    by_estimate: bool

    @classmethod
    def of(
        cls,
        group: GroupFrames,
        weights: FusionWeights,
        crf: float,
        sites: int,
        *,
        by_estimate: bool = False,
    ) -> NetworkChoice:
        """The choice for a group at `crf`; `weights` are those that it starts from."""
        multiplier = network_multiplier(crf, group.sources[0].format.bit_depth)
        return cls(group, _Packed.of(weights), multiplier, sites, by_estimate)

    @property
    def _price(self) -> float:
        return 8 * self.multiplier

    def moments(self, *, number: int) -> Moments | None:
        """The moments of a frame; None without training."""
        if not self.sites:
            return None
        source, shape = self.group.sources[number], self.before.weights.shape
        network, picture = self.before.of_source(source), self.group.pictures[number]
        return moments(source, picture, shape, network, number, self.sites)

    def candidates(self, *of_frames: Moments | None) -> list[Candidate]:
        """What to render, from the moments of all frames."""
        weights = self.before.weights
        none = no_differences(weights.shape.count, weights.shape.hidden[-1].units)
        keep = encode_network(NetworkMode.KEEP, *none)
        new = self._trained([each for each in of_frames if each is not None])
        found = []
        price = self._price
        if (
            new is None
            or not self.by_estimate
            or new.change + price * len(new.substream) >= price * len(keep)
        ):
            found.append(Candidate(keep, weights, self.before))
        if new is not None and not (found and self.by_estimate):
            found.append(Candidate(new.substream, new.weights, _Packed.of(new.weights)))
        return [*found, Candidate(encode_network(NetworkMode.OFF, *none), weights, None)]

    def made(self, candidates: Sequence[Candidate], *, number: int) -> list[Made]:
        """A frame as each candidate makes it."""
        frames = [self.group.frame(number, candidate.network) for candidate in candidates]
        picture = self.group.pictures[number]
        return [Made(frame, _squared_error(picture, frame)) for frame in frames]

    def best(self, candidates: Sequence[Candidate], *frames: Sequence[Made]) -> CodedNetwork:
        """The candidate that costs least, the first of these; `frames` are made by each."""
        costs = [
            sum(made[k].error for made in frames) + self._price * len(candidate.substream)
            for k, candidate in enumerate(candidates)
        ]
        k = costs.index(min(costs))
        chosen = candidates[k]
        return CodedNetwork(chosen.substream, chosen.weights, [made[k].planes for made in frames])

    def _trained(self, of_frames: Sequence[Moments]) -> _New | None:
        """New weights; None if none are better, or if they exceed the bounds of the format."""
        if not of_frames:
            return None
        shape = self.before.weights.shape
        shared, differences = no_differences(shape.count, shape.hidden[-1].units)
        total: dict[int, Moments] = {}
        for source, part in zip(self.group.sources, of_frames, strict=True):
            number = self.before.number(source)
            total[number] = total[number] + part if number in total else part
        change = 0.0
        for number, of_network in total.items():
            shared[number], differences[number] = train(of_network, self.multiplier)
            change += expected_change(of_network, shared[number], differences[number])
        if not (shared.any() or differences.any()):
            return None
        try:
            changed = self.before.weights.changed(shared, differences)
        except CorruptError:
            return None
        return _New(encode_network(NetworkMode.NEW, shared, differences), changed, change)


def choose_network(
    group: GroupFrames,
    weights: FusionWeights,
    crf: float,
    sites: int,
    *,
    by_estimate: bool = False,
) -> CodedNetwork:
    """All steps of a `NetworkChoice`, one after the other."""
    choice = NetworkChoice.of(group, weights, crf, sites, by_estimate=by_estimate)
    numbers = range(len(group.sources))
    candidates = choice.candidates(*(choice.moments(number=k) for k in numbers))
    return choice.best(candidates, *(choice.made(candidates, number=k) for k in numbers))


def _squared_error(picture: Planes, frame: Planes) -> int:
    """The sum over all samples."""
    return sum(squared_error(*planes) for planes in zip(picture, frame, strict=True))


@dataclass(frozen=True, eq=False)
class _New:
    """Trained weights, their substream, and the change of the squared error that is expected."""

    substream: bytes
    weights: FusionWeights
    change: float
