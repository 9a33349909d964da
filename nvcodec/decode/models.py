"""The interface between decoder and models: groups to parameters, parameters to planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from nvcodec.decode.device import Device
from nvcodec.format import Group, Header, Limits
from nvcodec.model.description import CanvasShape, PatchShape, Shape
from nvcodec.picture import Planes, Region

P = TypeVar("P")


class GroupModel(Protocol[P]):
    """Renders the frames of one bitstream; P is the type of a group's parameters."""

    @property
    def ahead(self) -> int:
        """How many groups to begin ahead of the group that is rendered."""

    @property
    def most_bytes(self) -> int:
        """The most bytes of working memory that decoding takes, in any order of frames."""

    def rebuild(self, group: Group, previous: P | None, frames: Sequence[int]) -> P:
        """Begin to rebuild the parameters of a group from those of the group before it.

        `previous` is ignored for a key group. `frames` (within the group) are those that will be
        rendered: a model may work on them ahead of `render`. Raises CorruptError.
        """

    def settle(self, parameters: P) -> None:
        """Wait for what the next group needs; raises CorruptError."""

    def render(
        self, parameters: P, frames: Sequence[int], region: Region | None = None
    ) -> list[Planes]:
        """Render frames of a group, or a region of them; raises CorruptError."""

    def close(self) -> None:
        """Stop the work in progress."""


def check_limits(shape: Shape, header: Header, limits: Limits) -> None:
    """Raise OverLimitError when a description exceeds its level or `limits` (spec 2.11)."""
    if isinstance(shape, CanvasShape | PatchShape):
        return
    limits.check("weights", shape.weights, header.level)
    limits.check("multiplications", shape.multiplications, header.level)


def make_model(
    shape: Shape, header: Header, device: Device, check: Callable[[], None]
) -> GroupModel[Any]:
    """The model of a bitstream; it calls `check` before each part of its work.

    Raises UnsupportedError for a device that miscomputes or cannot render the model.
    """
    # Imported here, so that only the kernels of one model are loaded.
    if isinstance(shape, CanvasShape):
        from nvcodec.decode.hybrid import HybridModel

        return HybridModel(shape, header, device, check)
    if isinstance(shape, PatchShape):
        from nvcodec.decode.nirvana import NirvanaModel

        return NirvanaModel(shape, header, device, check)
    from nvcodec.decode.sine import SineModel

    return SineModel(shape, header, device)
