"""Groups of the hybrid model: canvases and frames, parsed, reconstructed and rendered by tasks.

Parsing depends on the substreams alone, so it runs ahead of reconstruction. Reconstruction follows
the references between canvases. Later groups need the chain or key canvas, and the next one the
weights of the fusion network. Frames are canvases, or are rendered from them through the network
band by band.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from nvcodec.coding.hybrid.canvases import CanvasReader, ReadCanvas, most_table_bytes
from nvcodec.decode.device import Device
from nvcodec.decode.fusion import GroupNetwork, require_no_network
from nvcodec.format import CorruptError, Group, Header
from nvcodec.model.description import CanvasShape
from nvcodec.model.hybrid.canvas.plane import (
    EARLIER,
    SECOND,
    Canvas,
    Step,
    coded_size,
    handed_on,
    schedule,
)
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.model.hybrid.fusion.render import (
    NetworkSource,
    region_bands,
    render_band,
)
from nvcodec.picture import Planes, Region, region_size
from nvcodec.tasks import TaskPool

_MOST_AHEAD = 2
_AHEAD_BYTES = 1 << 29
"""Budget of samples for groups that are begun ahead, without the group being rendered."""
_LEAST_PARSED = 2
_PARSED_BYTES = 1 << 28
"""Budget of the tables of canvases that are parsed and not yet reconstructed."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """A region of a frame, complete once all its tasks are done."""

    region: Region
    planes: Planes
    tasks: list[Future[None]]


@dataclass
class CanvasGroup:
    """The canvases of a group, as far as they have been requested; for use by one thread.

    `frames` are those that will be rendered. `before` are the canvases of earlier groups that this
    group may be predicted from, by the numbers of Step; none for a key group. `network` is None in
    a bitstream without a network.
    """

    group: Group
    frames: Sequence[int]
    network: GroupNetwork | None
    before: dict[int, Future[Canvas]]
    steps: list[Step]
    substreams: CanvasReader
    parsing: list[Future[None]] = field(default_factory=list)
    """A task for each canvas to parse, then one that checks the end of the substreams."""
    parsed: dict[int, ReadCanvas] = field(default_factory=dict)
    """Canvases that are not yet reconstructed, by frame; those that nobody wants may be missing."""
    wanted: set[int] = field(default_factory=set)
    """Frames whose canvases are to be reconstructed."""
    canvases: dict[int, Future[Canvas]] = field(default_factory=dict)
    """Tasks that reconstruct canvases, by frame."""
    sources: dict[int, Any] = field(default_factory=dict)
    """If the network is used, its source for each frame whose canvas is reconstructed: a
    NetworkSource on the CPU, else what the device takes."""
    shown: dict[int, _Shown] = field(default_factory=dict)
    """Frames that are being rendered through the network, by number."""
    following: CanvasGroup | None = None
    """The next group, if it has been begun."""

    @property
    def last(self) -> Future[Canvas]:
        """The chain or key canvas."""
        return self.canvases[self.steps[0].frame]

    def parse(self, step: Step) -> None:
        """Parse the next canvas, and keep its tables if it is wanted or there is room."""
        tables = self.substreams.read(step.set, step.b is not None)
        kept = sum(canvas.table_bytes for canvas in tuple(self.parsed.values()))
        if step.frame in self.wanted or kept + tables.table_bytes <= _PARSED_BYTES:
            self.parsed[step.frame] = tables

    def needed(self, frames: Iterable[int]) -> list[Step]:
        """The canvases, in coding order, that `frames` and the next group depend on."""
        wanted = {self.steps[0].frame, *frames}
        for step in reversed(self.steps):
            if step.frame in wanted:
                wanted.update(step.references)
        return [step for step in self.steps if step.frame in wanted]


class HybridModel:
    """Rebuilds canvases and renders frames of one bitstream, on the CPU or on another device.

    Substreams are parsed on the CPU, ahead of the rest.

    Raises UnsupportedError for a device that miscomputes.
    """

    def __init__(
        self,
        shape: CanvasShape,
        header: Header,
        device: Device,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._shape = shape
        self._width, self._height = header.width, header.height
        self._coded = coded_size(header.width, header.height)
        self._device = device.canvas_device(shape, self._coded, header.sample_format)
        self._tasks = TaskPool(device.threads, check)
        self._format = header.sample_format
        group_bytes = self._format.picture_bytes(*self._coded) * shape.group_frames
        # Frames from the network take as much memory again as their canvases.
        group_bytes *= 1 + shape.network
        self.ahead = min(_MOST_AHEAD, _AHEAD_BYTES // group_bytes)
        self._table_bytes = most_table_bytes(*self._coded, self._format)
        self._parsed_ahead = max(_LEAST_PARSED, _PARSED_BYTES // self._table_bytes)

    @property
    def most_bytes(self) -> int:
        """Canvases, frames and tables of the groups that are begun, and canvases before them."""
        picture, frames = self._format.picture_bytes(*self._coded), self._shape.group_frames
        ahead = self._parsed_ahead * self._table_bytes + _PARSED_BYTES
        tables = min(frames * self._table_bytes, ahead)
        group = 2 * frames * picture + tables
        # What is parsed is copied from the largest tables that there can be.
        return (1 + self.ahead) * group + 6 * picture + 2 * self._table_bytes

    def rebuild(
        self, group: Group, previous: CanvasGroup | None, frames: Sequence[int]
    ) -> CanvasGroup:
        """Begin to rebuild the chain or key canvas of a group and the canvases of `frames`."""
        last = previous
        if group.key:
            previous = None
        elif previous is None:
            raise CorruptError("a group that is not a key group has no group before it", rule="2.7")
        if SECOND[group.second] == EARLIER and previous is not None and previous.group.key:
            raise CorruptError("second is 1 in the group after a key group", rule="7.2")
        canvases = CanvasGroup(
            group=group,
            frames=frames,
            network=self._network(group, previous),
            before={} if previous is None else handed_on(previous.before, previous.last),
            steps=schedule(group.frame_count, group.key, group.second),
            substreams=self._substreams(group),
        )
        self._begin(canvases, frames)
        if last is not None:
            last.following = canvases
        return canvases

    def _substreams(self, group: Group) -> CanvasReader:
        return CanvasReader(group.motion, group.content, self._coded, sample_format=self._format)

    def _network(self, group: Group, previous: CanvasGroup | None) -> GroupNetwork | None:
        if not self._shape.network:
            require_no_network(group)
            return None
        return GroupNetwork.of(group, None if previous is None else previous.network)

    def settle(self, parameters: CanvasGroup) -> None:
        """Wait for the chain or key canvas of a group."""
        parameters.last.result()

    def render(
        self, parameters: CanvasGroup, frames: Sequence[int], region: Region | None = None
    ) -> list[Planes]:
        """Render frames of a group, or a region of them; raises CorruptError."""
        self._begin(parameters, frames)
        # Raise the first error in coding order, whatever the order of the tasks was.
        for task in parameters.parsing:
            task.result()
        shown = region or (0, 0, self._width, self._height)
        network = parameters.network
        if network is not None and network.used:
            if self._device is None:
                return self._through_network(parameters, frames, shown)
            for frame in frames:
                parameters.canvases[frame].result()
            sources = [parameters.sources[frame] for frame in frames]
            return self._device.fuse(sources, network.weights, shown)
        canvases = [parameters.canvases[frame].result() for frame in frames]
        if self._device is not None:
            return self._device.show(canvases, shown)
        # Copies, as the caller may write to them and canvases serve as references.
        return [
            tuple(part.copy() for part in self._format.crop(canvas.planes, shown))
            for canvas in canvases
        ]

    def _through_network(
        self, group: CanvasGroup, frames: Sequence[int], region: Region
    ) -> list[Planes]:
        """Render frames through the network by tasks, and begin those of the next group."""
        self._show(group, frames, region)
        if group.following is not None:
            self._show(group.following, group.following.frames, region)
        pictures = []
        for frame in frames:
            shown = group.shown.pop(frame)
            for task in shown.tasks:
                task.result()
            pictures.append(shown.planes)
        return pictures

    def _show(self, group: CanvasGroup, frames: Iterable[int], region: Region) -> None:
        """Begin to render frames through the network, if the group uses it."""
        network = group.network
        if network is None or not network.used:
            return
        packed = {step.frame: network.packed(step.set) for step in group.steps}

        def render(frame: int, rows: tuple[int, int], out: Planes) -> None:
            render_band(group.sources[frame], packed[frame], region, *rows, out)

        for frame in frames:
            if frame in group.shown and group.shown[frame].region == region:
                continue
            out = self._format.empty(*region_size(region))
            tasks = [
                self._tasks.submit(
                    functools.partial(render, frame, rows, out), [group.canvases[frame]]
                )
                for rows in region_bands(region)
            ]
            group.shown[frame] = _Shown(region, out, tasks)

    def close(self) -> None:
        """Stop the work in progress."""
        self._tasks.close()

    def _begin(self, canvases: CanvasGroup, frames: Iterable[int]) -> None:
        """Begin to parse and reconstruct what `frames` and the next group need."""
        needed = canvases.needed(frames)
        new = [step for step in needed if step.frame not in canvases.canvases]
        canvases.wanted.update(step.frame for step in new)
        parsing, steps = canvases.parsing, canvases.steps
        parsed = steps[: len(parsing)]
        if any(self._is_missing(canvases, step) for step in new if step in parsed):
            # Nobody wanted it when it was parsed: begin again.
            wait(parsing)
            canvases.substreams = self._substreams(canvases.group)
            parsing.clear()
        for number, step in enumerate(steps[: steps.index(needed[-1]) + 1]):
            if number == len(parsing):
                parse = functools.partial(canvases.parse, step)
                parsing.append(self._tasks.submit(parse, self._before_parsing(canvases, number)))
            if step.frame not in canvases.canvases and step in needed:
                references = [self._canvas(canvases, frame) for frame in step.references]
                work = functools.partial(self._reconstruct, canvases, step, references)
                canvases.canvases[step.frame] = self._tasks.submit(
                    work, [parsing[number], *references]
                )
        if len(parsing) == len(steps):
            parsing.append(self._tasks.submit(canvases.substreams.close, parsing[-1:]))

    def _is_missing(self, canvases: CanvasGroup, step: Step) -> bool:
        """Whether a canvas has been parsed and not kept; waits for its parsing."""
        task = canvases.parsing[canvases.steps.index(step)]
        return task.exception() is None and step.frame not in canvases.parsed

    def _before_parsing(self, canvases: CanvasGroup, number: int) -> list[Future[Any]]:
        """What a canvas is parsed after: the one before, and an early one's reconstruction.

        So the tables of few canvases are kept at a time.
        """
        before: list[Future[Any]] = list(canvases.parsing[-1:])
        if number >= self._parsed_ahead:
            early = canvases.steps[number - self._parsed_ahead].frame
            before += [canvases.canvases[early]] if early in canvases.canvases else []
        return before

    def _canvas(self, canvases: CanvasGroup, frame: int) -> Future[Canvas]:
        return canvases.canvases[frame] if frame >= 0 else canvases.before[frame]

    def _reconstruct(
        self, canvases: CanvasGroup, step: Step, references: list[Future[Canvas]]
    ) -> Canvas:
        canvases.wanted.discard(step.frame)
        tables = canvases.parsed.pop(step.frame)
        used = [reference.result() for reference in references]
        if self._device is not None:
            made, source = self._device.reconstruct(tables, step, used)
            if canvases.network is not None and canvases.network.used:
                canvases.sources[step.frame] = source
            return made
        _, leaves, units, levels, filters = tables
        offset = self._shape.chroma_offset
        canvas = reconstruct(
            leaves,
            units,
            levels,
            step,
            used,
            self._coded,
            offset,
            sample_format=self._format,
            filters=filters,
        )
        if canvases.network is not None and canvases.network.used:
            canvases.sources[step.frame] = NetworkSource.of(
                canvas, leaves, [reference.planes for reference in used], offset
            )
        return canvas
