"""Groups of the nirvana model: features rebuilt ahead by tasks, and rendered band by band.

A group needs the features of the group before it and nothing rendered. So the next groups are
rebuilt while one is rendered, and the next one is rendered as soon as it is rebuilt. Features are
moved band by band too; only the content substream is read by one task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from nvcodec.decode.device import Device
from nvcodec.format import CorruptError, Group, Header
from nvcodec.model.description import PatchShape
from nvcodec.model.nirvana.layers import (
    GroupParameters,
    Layers,
    key_parameters,
    read_movements,
    read_parameters,
)
from nvcodec.model.nirvana.parameters import Band, Movement, bands
from nvcodec.model.nirvana.render import render_in_tasks
from nvcodec.picture import Planes, Region
from nvcodec.tasks import TaskPool

_MOST_AHEAD = 2
_AHEAD_BYTES = 1 << 29
"""Budget of groups that are begun ahead, without the group being rendered."""
_PATCH_BYTES = 5120
"""About what a patch of a group takes while it is rebuilt."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """Frames of a group that tasks render."""

    frames: tuple[int, ...]
    region: Region
    pictures: Future[list[Planes]]


@dataclass(eq=False)
class PatchGroup:
    """A group whose parameters a task rebuilds, and which of its frames are wanted.

    `following` is the next group, once that is begun. For use by one thread.
    """

    parameters: Future[GroupParameters]
    frames: Sequence[int]
    following: PatchGroup | None = None
    shown: _Shown | None = None


def _make_trace(movements: Future[list[Movement]], layer: int, band: Band) -> None:
    movements.result()[layer].make_trace(band)


def _move(movements: Future[list[Movement]], layer: int, band: Band) -> None:
    movements.result()[layer].move(band)


class NirvanaModel:
    """Rebuilds the features of one bitstream on the CPU; renders them there or on another device.

    Raises UnsupportedError for a device that miscomputes.
    """

    def __init__(
        self,
        shape: PatchShape,
        header: Header,
        device: Device,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._device = device.synthesis_device()
        self._layers = Layers(header.width, header.height, header.sample_format)
        self._tasks = TaskPool(device.threads, check)
        self._group_bytes = _PATCH_BYTES * self._layers.patches
        self.ahead = min(_MOST_AHEAD, _AHEAD_BYTES // self._group_bytes)
        self._picture_bytes = header.sample_format.picture_bytes(header.width, header.height)
        self._frames = shape.group_frames

    @property
    def most_bytes(self) -> int:
        """Features of the groups that are begun and of the one before, frames of two groups."""
        return (2 + self.ahead) * self._group_bytes + 2 * self._frames * self._picture_bytes

    def rebuild(
        self, group: Group, previous: PatchGroup | None, frames: Sequence[int]
    ) -> PatchGroup:
        """Begin to rebuild the features of a group."""
        layers, submit = self._layers, self._tasks.submit
        count, content, motion, network = (
            group.frame_count, group.content, group.motion, group.network,
        )  # fmt: skip
        if group.key:
            work = partial(key_parameters, layers, count, content, motion, network)
            return self._after(previous, submit(work), frames)
        if previous is None:
            raise CorruptError("a group that is not a key group has no group before it", rule="2.7")
        before = previous.parameters
        movements = submit(lambda: read_movements(layers, before.result(), count, motion), [before])
        moved: list[Future[None]] = []
        for k, grid in enumerate(layers.grids):
            parts = bands(0, grid.rows)
            traced = [
                submit(partial(_make_trace, movements, k, band), [movements]) for band in parts
            ]
            moved += [submit(partial(_move, movements, k, band), traced) for band in parts]

        def read() -> GroupParameters:
            features = [movement.moved for movement in movements.result()]
            return read_parameters(layers, before.result(), features, count, content, network)

        return self._after(previous, submit(read, moved), frames)

    def _after(
        self,
        previous: PatchGroup | None,
        parameters: Future[GroupParameters],
        frames: Sequence[int],
    ) -> PatchGroup:
        """A group that follows another one, if there is one before it."""
        group = PatchGroup(parameters, frames)
        if previous is not None:
            previous.following = group
        return group

    def settle(self, parameters: PatchGroup) -> None:
        """Wait for the features of a group."""
        parameters.parameters.result()

    def render(
        self, parameters: PatchGroup, frames: Sequence[int], region: Region | None = None
    ) -> list[Planes]:
        """Render frames of a group, or a region of them; raises CorruptError."""
        layers = self._layers
        shown = region or (0, 0, layers.width, layers.height)
        if self._device is not None:
            rebuilt = parameters.parameters.result()
            return self._device.synthesize(rebuilt, layers, frames, shown)
        begun = self._show(parameters, frames, shown)
        # What is delivered is kept no longer.
        parameters.shown = None
        following = parameters.following
        if following is not None and following.frames:
            following.shown = self._show(following, following.frames, shown)
        return begun.pictures.result()

    def _show(self, group: PatchGroup, frames: Sequence[int], region: Region) -> _Shown:
        """Begin to render frames of a group, unless that is begun already."""
        shown, wanted = group.shown, tuple(frames)
        if shown is not None and (shown.frames, shown.region) == (wanted, region):
            return shown
        pictures = render_in_tasks(group.parameters, self._layers, wanted, region, self._tasks)
        return _Shown(wanted, region, pictures)

    def close(self) -> None:
        """Stop the work in progress."""
        self._tasks.close()
