"""Groups of pictures to coded groups by tasks: several groups are under way at a time.

A canvas waits for its references and for its prices: those of the chain canvas from the chain
canvas before it, those of interior canvases from a group some way back. So chain canvases run
ahead, and the interior canvases of several groups are coded side by side. Nothing depends on the
order in which tasks run: bytes are the same for any number of threads.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.hybrid.canvas_coder import (
    CanvasSettings,
    CodedCanvas,
    Reference,
    code_inter,
)
from nvcodec.encode.hybrid.contexts import Prices
from nvcodec.encode.hybrid.effort import Effort
from nvcodec.encode.hybrid.group import (
    Substreams,
    code_key_canvas,
    code_substreams,
    compile_kernels,
    decode_group,
    default_prices,
)
from nvcodec.encode.hybrid.lookahead import GroupAnalysis, analyse
from nvcodec.encode.hybrid.network_choice import CodedNetwork, GroupFrames, choose_network
from nvcodec.encode.hybrid.pictures import Source
from nvcodec.encode.hybrid.quantisers import AHEAD_FRAMES, QuantiserMap, quantiser_maps
from nvcodec.format import LEVELS, Group, Header, smallest_level
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import SourceError
from nvcodec.model.canvas.plane import Step, coded_size, schedule
from nvcodec.model.description import CanvasShape
from nvcodec.model.fusion.weights import default_weights
from nvcodec.model.render import samples_crc
from nvcodec.tasks import TaskPool

T = TypeVar("T")

_MOST_UNDER_WAY = 4
"""Groups whose canvases are being coded: more would wait for these."""
_UNDER_WAY_BYTES = 1 << 29
"""What those take about, unless they are two."""

_PRICES_BACK = 3
"""Prices of interior canvases are from as many groups before as there are, up to this one: so the
interior canvases of groups need not wait for one another, for no measurable share of the bits."""

_NOISE_SHARE = 2
"""A level is chosen for the bits of noise over this, which pictures hardly reach."""

CanvasReport = Callable[[int, int], None]
"""Told the ordinal of a group and how many of its canvases are coded."""


@dataclass(frozen=True, eq=False)
class _Read:
    """A group that has been read; its pictures are being prepared and analysed."""

    group: PictureGroup
    sources: list[Future[Source]]
    analysis: Future[GroupAnalysis]


@dataclass(frozen=True, eq=False)
class _Tail:
    """What a group leaves to the one after it: its key or chain canvas, and prices."""

    canvas: Future[CodedCanvas]
    reference: Future[Reference]
    chain: Future[Prices]
    interior: tuple[Future[Prices], ...]
    """Of interior canvases, by the groups that they follow from; the first is the one to use."""
    network: Future[CodedNetwork]
    """Its weights are what the next group starts from."""


@dataclass(frozen=True, eq=False)
class _Running:
    """A group under way: its canvases in coding order, and what they become."""

    canvases: list[Future[CodedCanvas]]
    coded: Future[CodedGroup]


class HybridCoder:
    """Codes the groups of one video with the hybrid model."""

    key_frames = 1

    def __init__(
        self,
        width: int,
        height: int,
        *,
        crf: float,
        effort: Effort,
        group_frames: int,
        network: str,
        metrics: Sequence[str],
        threads: int,
        report: CanvasReport,
    ) -> None:
        self.shape = CanvasShape(group_frames, network=int(network != "off"))
        self._network = network
        self._width, self._height = width, height
        self._settings = CanvasSettings(
            *coded_size(width, height), self.shape.chroma_offset, effort
        )
        self._crf = crf
        self._ahead = -(-AHEAD_FRAMES // group_frames)
        self._metrics = tuple(metrics)
        self._report = report
        self._pool = TaskPool(threads)
        # Phases of references are 16 planes each, of those that a group needs at a time.
        group_bytes = width * height * (4 * 16 + 4 * group_frames)
        most = min(threads + 1, _MOST_UNDER_WAY, _UNDER_WAY_BYTES // group_bytes)
        self._most_under_way = max(2, most)
        self._defaults: tuple[Future[Prices], ...] = ()
        self._read: deque[_Read] = deque()
        self._running: deque[_Running] = deque()
        self._last: Future[Source] | None = None
        self._tail: _Tail | None = None
        self._ordinal = 0

    @property
    def level(self) -> int:
        """The level of the file, whose writer checks every unit."""
        luma = self._width * self._height
        # Noise of 8 bits has a bit less for each doubling of the step, every 6 of its index.
        bits = max(1.0, 8 - (self._crf - 4) / 6) / _NOISE_SHARE
        unit_bytes = round(luma * 1.5 * self.shape.group_frames * bits / 8)
        return smallest_level(luma, 0, min(unit_bytes, LEVELS[max(LEVELS)].unit_bytes), 0)

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Code groups, as VideoCoder; after KeyboardInterrupt those that are done still come."""
        compile_kernels(self._settings)
        running, most = self._running, self._most_under_way
        self._defaults = tuple(
            self._task(partial(default_prices, canvas_set)) for canvas_set in (1, 2)
        )
        started = time.perf_counter()

        def oldest() -> CodedGroup:
            nonlocal started
            coded = self._oldest()
            before, started = started, time.perf_counter()
            return replace(coded, seconds=started - before)

        failure: SourceError | None = None
        try:
            try:
                for group in groups:
                    self._take(group)
                    if len(self._read) > self._ahead:
                        self._begin()
                    while len(running) == most or (running and running[0].coded.done()):
                        yield oldest()
            except SourceError as error:
                failure = error
            while self._read or running:
                while self._read and len(running) < most:
                    self._begin()
                yield oldest()
        except KeyboardInterrupt:
            while running and running[0].coded.done() and running[0].coded.exception() is None:
                yield oldest()
            raise
        finally:
            self._pool.close()
        if failure is not None:
            raise failure

    def _task(self, work: Callable[..., T], *after: Future[Any]) -> Future[T]:
        """The result of `work` on the results of others."""
        return self._pool.submit(lambda: work(*(other.result() for other in after)), after)

    def _take(self, group: PictureGroup) -> None:
        """Begin to prepare and analyse the pictures of the next group."""
        size = self._settings.width, self._settings.height
        sources = [self._task(partial(Source.of, p.planes, *size)) for p in group.pictures]
        if group.key or self._last is None:
            analysis = self._task(lambda *own: analyse(own, None), *sources)
        else:
            analysis = self._task(lambda last, *own: analyse(own, last), self._last, *sources)
        self._read.append(_Read(group, sources, analysis))
        self._last = sources[-1]

    def _begin(self) -> None:
        """Begin to code the oldest group that has been read."""
        window = [other.analysis for other in list(self._read)[: self._ahead + 1]]
        read = self._read.popleft()
        maps = self._task(lambda *analyses: quantiser_maps(self._crf, analyses), *window)
        if read.group.key:
            running, self._tail = self._begin_key(read, maps)
        else:
            assert self._tail is not None
            running, self._tail = self._begin_others(read, maps, self._tail)
        self._running.append(running)

    def _begin_key(self, read: _Read, maps: Future[list[QuantiserMap]]) -> tuple[_Running, _Tail]:
        (source,) = read.sources
        canvas = self._task(self._code_key, source, maps)
        substreams = self._task(self._code_substreams, canvas)
        frames = self._task(partial(self._decoded, read.group, None), substreams, canvas)
        network = self._task(self._choose, frames)
        coded = self._task(partial(self._coded, read.group, None), substreams, frames, network)
        reference = self._task(_reference, canvas)
        return _Running([canvas], coded), _Tail(
            canvas, reference, self._defaults[0], self._defaults[1:], network
        )

    def _begin_others(
        self, read: _Read, maps: Future[list[QuantiserMap]], before: _Tail
    ) -> tuple[_Running, _Tail]:
        sources = read.sources
        steps = schedule(len(sources), key=False)
        predicted_from = {frame for step in steps for frame in step.references}
        references = {-1: before.reference}
        canvases = []
        for number, step in enumerate(steps):
            canvas = self._task(
                partial(self._code_canvas, number, step),
                sources[step.frame],
                read.analysis,
                maps,
                before.chain if step.b is None else before.interior[0],
                *(references[frame] for frame in step.references),
            )
            canvases.append(canvas)
            if step.frame in predicted_from or step.b is None:
                references[step.frame] = self._task(_reference, canvas)
        chain = self._task(self._code_substreams, canvases[0])
        substreams = self._task(self._code_substreams, *canvases)
        frames = self._task(
            partial(self._decoded, read.group), before.canvas, substreams, *canvases
        )
        network = self._task(self._choose, frames, before.network)
        coded = self._task(partial(self._coded, read.group), chain, substreams, frames, network)
        interior = before.interior
        if len(steps) > 1:
            # What the first group of a segment took is not worth keeping.
            kept = () if interior == self._defaults[1:] else interior
            newest = self._task(lambda whole: whole.prices(2), substreams)
            interior = (*kept, newest)[-_PRICES_BACK:]
        tail = _Tail(
            canvases[0],
            references[steps[0].frame],
            self._task(lambda chain: chain.prices(1), chain),
            interior,
            network,
        )
        return _Running(canvases, coded), tail

    def _code_key(self, source: Source, maps: list[QuantiserMap]) -> CodedCanvas:
        return code_key_canvas(self._settings, source, maps[0])

    def _code_canvas(
        self,
        number: int,
        step: Step,
        source: Source,
        analysis: GroupAnalysis,
        maps: list[QuantiserMap],
        prices: Prices,
        *references: Reference,
    ) -> CodedCanvas:
        coarse = analysis.coarse[number]
        return code_inter(self._settings, source, step, references, coarse, maps[number], prices)

    def _code_substreams(self, *canvases: CodedCanvas) -> Substreams:
        return code_substreams(canvases, (self._settings.width, self._settings.height))

    def _decoded(
        self,
        group: PictureGroup,
        before: CodedCanvas | None,
        substreams: Substreams,
        *canvases: CodedCanvas,
    ) -> GroupFrames:
        """The frames of the group as every decoder has them, without network."""
        sources = decode_group(
            self._settings,
            substreams,
            [coded.canvas for coded in canvases],
            None if before is None else before.canvas,
        )
        return GroupFrames(sources, [picture.planes for picture in group.pictures])

    def _choose(self, frames: GroupFrames, before: CodedNetwork | None = None) -> CodedNetwork:
        """What a group does with the network; `before` is that of the group before."""
        weights = default_weights() if before is None else before.weights
        if self._network == "off":
            return CodedNetwork(b"", weights, frames.canvases())
        return choose_network(frames, weights, self._crf, self._network == "trained")

    def _coded(
        self,
        group: PictureGroup,
        chain: Substreams | None,
        substreams: Substreams,
        frames: GroupFrames,
        network: CodedNetwork,
    ) -> CodedGroup:
        """The group with the CRC and the qualities of what it decodes to."""
        meter = QualityMeter(self._metrics)
        for picture, planes in zip(frames.pictures, network.frames, strict=True):
            meter.add(picture, planes)
        unit = Group(
            first_frame=0,
            frame_count=len(network.frames),
            key=group.key,
            crc=samples_crc(network.frames),
            first_pts=group.pictures[0].pts,
            durations=tuple(picture.duration for picture in group.pictures),
            tables=b"",
            content=substreams.content,
            motion=substreams.motion,
            network=network.substream,
        )
        return CodedGroup(unit, meter, 0.0, 0 if chain is None else chain.bytes)

    def _oldest(self) -> CodedGroup:
        """The oldest group under way, when it is done."""
        running = self._running[0]
        for done, canvas in enumerate(running.canvases, 1):
            canvas.result()
            self._report(self._ordinal, done)
        coded = running.coded.result()
        self._running.popleft()
        self._ordinal += 1
        return coded


def _reference(coded: CodedCanvas) -> Reference:
    return Reference.of(coded.canvas)
