"""The fusion network of the groups of one bitstream: substreams to weights (spec 9.6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from nvcodec.coding.hybrid.fusion import decode_network
from nvcodec.coding.hybrid.network_mode import NetworkMode
from nvcodec.format import CorruptError, Group
from nvcodec.model.hybrid.fusion.packed import PackedNetwork, pack_network
from nvcodec.model.hybrid.fusion.weights import FusionWeights, default_weights


@dataclass(frozen=True, eq=False)
class GroupNetwork:
    """The network of a group: whether it is used, and its weights; the next group starts from them.

    For use by one thread.
    """

    weights: FusionWeights
    used: bool
    _packed: dict[int, PackedNetwork] = field(default_factory=dict)

    @classmethod
    def of(cls, group: Group, previous: GroupNetwork | None) -> GroupNetwork:
        """Decode the network of a group; raises CorruptError.

        `previous` is the network of the group before, None for a key group.
        """
        weights = default_weights() if previous is None else previous.weights
        units = weights.shape.hidden[-1].units
        mode, *changes = decode_network(group.network, len(weights.networks), units)
        if mode is NetworkMode.NEW:
            weights = weights.changed(*changes)
        return cls(weights, mode is not NetworkMode.OFF)

    def packed(self, canvas_set: int) -> PackedNetwork:
        """The network of canvases of a Set, as kernels take it."""
        number = self.weights.shape.networks[canvas_set]
        if number not in self._packed:
            self._packed[number] = pack_network(self.weights.shape, self.weights.networks[number])
        return self._packed[number]


def require_no_network(group: Group) -> None:
    """Raise CorruptError if a group has a network substream though the bitstream has no network."""
    if group.network:
        raise CorruptError("network is not empty in a bitstream without network", rule="7.3")
