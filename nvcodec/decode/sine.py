"""Groups of the sine model: weights that a device evaluates."""

from __future__ import annotations

from collections.abc import Sequence

from nvcodec.decode.device import Device
from nvcodec.format import Group, Header
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.model.sine.weights import GroupWeights, rebuild_weights
from nvcodec.picture import Planes, Region

_WEIGHT_BYTES = 48
"""About what a weight takes while a group is rebuilt and rendered."""
_VALUE_BYTES = 1 << 28
"""Values of patches that are evaluated at a time, before and after they are in place."""


class SineModel:
    """Rebuilds and renders sine networks.

    Raises UnsupportedError for a device that miscomputes.
    """

    ahead = 0

    def __init__(self, shape: NetworkShape, header: Header, device: Device) -> None:
        self._shape = shape
        self._size = header.width, header.height
        self._picture_bytes = header.sample_format.picture_bytes(header.width, header.height)
        self._device = device
        device.prepare(shape)

    @property
    def most_bytes(self) -> int:
        """Weights of two groups in all their forms, the frames of one, values of patches."""
        frames = self._shape.group_frames * self._picture_bytes
        return _WEIGHT_BYTES * self._shape.weights + 2 * frames + _VALUE_BYTES

    def rebuild(
        self, group: Group, previous: GroupWeights | None, frames: Sequence[int]
    ) -> GroupWeights:
        """The weights of a group; raises CorruptError."""
        return rebuild_weights(self._shape, previous, group.key, group.tables, group.network)

    def settle(self, parameters: GroupWeights) -> None:
        """Do nothing: weights are rebuilt at once."""

    def render(
        self, parameters: GroupWeights, frames: Sequence[int], region: Region | None = None
    ) -> list[Planes]:
        """Render frames of a group."""
        return self._device.render(parameters, *self._size, frames, region)

    def close(self) -> None:
        """Do nothing: no work is in progress between calls."""
