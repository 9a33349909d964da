"""The seam between the decoder and the models: groups to parameters, parameters to planes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from nvcodec.decode.device import Device
from nvcodec.format import Group, Header, Limits
from nvcodec.model.description import CanvasShape, Shape
from nvcodec.picture import Planes, Region

P = TypeVar("P")


class GroupModel(Protocol[P]):
    """What renders the frames of one bitstream; P are the parameters of a group."""

    @property
    def ahead(self) -> int:
        """How many groups it is worth to begin before the frames of one are asked for."""

    def rebuild(self, group: Group, previous: P | None, frames: range) -> P:
        """Begin to rebuild the parameters of a group from those of the group before it.

        `previous` is ignored for a key group. `frames` (within the group) are those that will be
        rendered: a model may work on them before it is asked to. Raises CorruptError.
        """

    def settle(self, parameters: P) -> None:
        """Wait for what the next group needs; raises CorruptError."""

    def render(
        self, parameters: P, frames: Sequence[int], region: Region | None = None
    ) -> list[Planes]:
        """Render frames of a group, or a region of them; raises CorruptError."""

    def close(self) -> None:
        """End what has begun."""


def check_limits(shape: Shape, header: Header, limits: Limits) -> None:
    """Raise OverLimitError when a description exceeds its level or `limits` (spec 2.11)."""
    if isinstance(shape, CanvasShape):
        return
    grid = shape.grid(header.width, header.height)
    limits.check("weights", shape.weights(grid), header.level)
    limits.check("multiplications", shape.multiplications, header.level)


def make_model(shape: Shape, header: Header, device: Device) -> GroupModel[Any]:
    """The model of a bitstream.

    Raises UnsupportedError for a device that errs or does not render the model.
    """
    # Each model brings its kernels along: only one of them is needed.
    if isinstance(shape, CanvasShape):
        from nvcodec.decode.hybrid import HybridModel

        return HybridModel(shape, header, device)
    from nvcodec.decode.nirvana import NirvanaModel

    return NirvanaModel(shape, header, device)
