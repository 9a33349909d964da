"""The groups of a video to coded groups, by tasks: several groups are in flight at a time.

The job of a canvas waits for its references and its prices (rate tables). A chain canvas (P anchor)
takes its prices from the chain canvas before it. Interior canvases (B pictures) take theirs from an
earlier group. So chain canvases run ahead, and the interior canvases of several groups are coded in
parallel. Nothing depends on the order in which tasks run: the bytes are the same for any number of
threads.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.control.steering import DELAY, Steering
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.hybrid.analysis.lengths import group_lengths
from nvcodec.encode.hybrid.analysis.lookahead import GroupAnalysis, Stretch
from nvcodec.encode.hybrid.analysis.masking import masked
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.quantisers import (
    AHEAD_FRAMES,
    QuantiserMap,
    for_depth,
    quantiser_maps,
)
from nvcodec.encode.hybrid.analysis.second_reference import choose_second
from nvcodec.encode.hybrid.analysis.temporal_filter import (
    REACH,
    filtered,
    tolerances,
    trust_in_others,
)
from nvcodec.encode.hybrid.canvas import (
    CanvasSettings,
    CodedCanvas,
    Reference,
)
from nvcodec.encode.hybrid.effort import Effort
from nvcodec.encode.hybrid.fusion.choice import CodedNetwork, GroupFrames, NetworkChoice
from nvcodec.encode.hybrid.group import (
    Substreams,
    code_substreams,
    compile_inter_kernels,
    compile_key_kernels,
    decode_group,
    default_prices,
)
from nvcodec.encode.hybrid.passes import code_inter_canvas, code_key_canvas
from nvcodec.encode.hybrid.rate.prices import Prices
from nvcodec.encode.hybrid.rate.tradeoff import most_bits_per_sample
from nvcodec.encode.hybrid.search.phases import PhasesMemory
from nvcodec.encode.hybrid.tools import ALL, Tools
from nvcodec.format import LEVELS, Group, Header, counted_samples, smallest_level
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import SourceError
from nvcodec.model.description import CanvasShape
from nvcodec.model.hybrid.canvas.plane import (
    SECOND,
    Step,
    coded_size,
    handed_on,
    schedule,
)
from nvcodec.model.hybrid.fusion.weights import FusionWeights, default_weights
from nvcodec.options import HYBRID_GROUP
from nvcodec.picture import YUV420P8, SampleFormat, samples_crc
from nvcodec.tasks import TaskPool, Tasks

T = TypeVar("T")

_BLAS = ThreadpoolController()

_MOST_UNDER_WAY = DELAY
"""Most groups in flight; more would only wait for these, and for their bytes."""
_UNDER_WAY_BYTES = 1 << 29
"""Memory budget for groups in flight; two are always allowed."""

_AHEAD_BYTES = 100 << 20
"""Memory budget for lookahead; one stretch is always kept."""

_PRICES_BACK = 3
"""Interior canvases take their prices from this many groups back. So they need not wait for the
interior canvases of the group just before. The cost in bits is too small to measure."""

MapMaker = Callable[[float, Sequence[GroupAnalysis]], list[QuantiserMap]]
"""From crf and consecutive groups to the quantiser maps of the first; see `quantiser_maps`."""

CanvasReport = Callable[[int, int], None]
"""Called with the number of a group in the file and how many of its canvases are coded."""


@dataclass(frozen=True, eq=False)
class _Read:
    """A stretch (lookahead batch) that has been read; tasks prepare, analyse and cut it."""

    pictures: PictureGroup
    sources: list[Future[Pyramid]]
    analyses: Future[list[GroupAnalysis]]


@dataclass(frozen=True, eq=False)
class _Cut:
    """A group that was cut from a stretch and waits to be coded."""

    group: PictureGroup
    sources: list[Future[Pyramid]]
    analysis: GroupAnalysis


@dataclass(frozen=True, eq=False)
class _Tail:
    """What a group hands to the next one: canvases, prices and network weights.

    `canvases` are its own key or chain canvas and the earlier ones that the next chain canvas may
    be predicted from, by the numbers of Step; `references` are those prepared for the search.
    """

    canvases: dict[int, Future[CodedCanvas]]
    references: dict[int, Future[Reference]]
    chain: Future[Prices]
    interior: tuple[Future[Prices], ...]
    """Prices for interior canvases, from earlier groups, oldest first; the next uses the first."""
    weights: Future[FusionWeights]
    """Fusion network weights that the next group starts from."""


@dataclass(frozen=True, eq=False)
class _Running:
    """A group in flight: its canvases in coding order, and the coded group."""

    canvases: list[Future[CodedCanvas]]
    coded: Future[CodedGroup]


class HybridCoder:
    """Codes the groups of one video with the hybrid model: a VideoCoder.

    `width` and `height` are the display size. Groups have `group_size` frames; None is for
    HYBRID_GROUP, or fewer where that is expected to take fewer bits. `network` is "trained",
    "fixed" (never trained) or "off" (no fusion network). `visual` is for quantisers for the eye.
    `sample_format` is that of the pictures.
    """

    key_frames = 1

    def __init__(
        self,
        width: int,
        height: int,
        *,
        steering: Steering,
        effort: Effort,
        visual: bool = False,
        group_size: int | None,
        network: str,
        metrics: Sequence[str],
        threads: int,
        report: CanvasReport,
        tools: Tools = ALL,
        make_maps: MapMaker = quantiser_maps,
        sample_format: SampleFormat = YUV420P8,
    ) -> None:
        group_frames = group_size or HYBRID_GROUP
        self.shape = CanvasShape(group_frames, network=int(network != "off"))
        self._network = network
        self._size = width, height
        self._settings = CanvasSettings(
            *coded_size(width, height), self.shape.chroma_offset, effort, tools, sample_format
        )
        self._steering = steering
        self._format = sample_format
        self._make_maps = make_maps
        self._visual = visual
        self._by_content = group_size is None
        # Prepared pictures take about two bytes for each luma sample.
        room = _AHEAD_BYTES // (2 * width * height * group_frames)
        self._ahead = min(-(-AHEAD_FRAMES // group_frames), max(1, room))
        self._metrics = tuple(metrics)
        self._report = report
        self._pool = TaskPool(threads)
        self._phases_memory = PhasesMemory()
        # A group holds about four references at a time, each as 16 quarter-sample planes, and about
        # four bytes per luma sample of each frame. All groups share the two references before the
        # last one.
        plane_bytes = width * height * sample_format.dtype.itemsize
        group_bytes = plane_bytes * (4 * 16 + 4 * group_frames)
        room = max(0, _UNDER_WAY_BYTES - 2 * 16 * plane_bytes)
        most = min(threads + 1, _MOST_UNDER_WAY, room // group_bytes)
        self._most_under_way = max(2, most)
        self._defaults: tuple[Future[Prices], ...] = ()
        self._read: deque[_Read] = deque()
        self._cut: deque[_Cut] = deque()
        self._running: deque[_Running] = deque()
        self._last: Future[Pyramid] | None = None
        self._inter = False
        self._before: list[Future[Pyramid]] = []
        self._tail: _Tail | None = None
        self._ordinal = 0
        # Whether a group is on its way to the caller, where an interrupt would lose it.
        self._handing = False

    @property
    def level(self) -> int:
        """The expected level (spec 2.11); the file writer checks every unit against it."""
        luma = counted_samples(*self._size, self._format.chroma_format)
        samples = sum(rows * columns for rows, columns in self._format.plane_shapes(*self._size))
        bits = samples * self.shape.group_frames * most_bits_per_sample(self._steering.least)
        unit_bytes = round(bits / 8)
        return smallest_level(luma, 0, min(unit_bytes, LEVELS[max(LEVELS)].unit_bytes), 0)

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Code groups, as VideoCoder. After KeyboardInterrupt it still yields finished groups."""
        # The tasks use all cores; BLAS threads inside a task would only compete with them.
        with _BLAS.limit(limits=1, user_api="blas"):
            yield from self._code(groups)

    def _code(self, groups: Iterator[PictureGroup]) -> Generator[CodedGroup, None, None]:
        compile_key_kernels(self._settings)
        running, most = self._running, self._most_under_way
        self._defaults = tuple(
            self._task(partial(default_prices, canvas_set, self._settings.tools))
            for canvas_set in (1, 2)
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
                for pictures in groups:
                    if not (pictures.key or self._inter):
                        self._inter = True
                        compile_inter_kernels(self._settings)
                    self._take(pictures)
                    if len(self._read) > self._ahead:
                        self._cut_oldest()
                    while self._cut or (running and running[0].coded.done()):
                        if self._cut and len(running) < most:
                            self._begin()
                        else:
                            yield oldest()
                            self._handing = False
            except SourceError as error:
                failure = error
            while self._read or self._cut or running:
                if self._read and not self._cut:
                    self._cut_oldest()
                if self._cut and len(running) < most:
                    self._begin()
                else:
                    yield oldest()
                    self._handing = False
        except KeyboardInterrupt:
            if self._handing:
                raise
            while running and running[0].coded.done() and running[0].coded.exception() is None:
                yield oldest()
            raise
        finally:
            self._pool.close()
        if failure is not None:
            raise failure

    def _task(self, work: Callable[..., T], *after: Future[Any]) -> Future[T]:
        """Run `work` on the results of `after` once they are there."""
        return self._pool.submit(lambda: work(*(other.result() for other in after)), after)

    def _job(
        self,
        work: Callable[..., Coroutine[Any, Any, T]],
        *after: Future[Any],
        urgent: bool = True,
    ) -> Future[T]:
        """Perform the job `work` on the results of `after` once they are there."""
        return self._pool.perform(
            lambda job: work(job, *(other.result() for other in after)), after, urgent=urgent
        )

    def _take(self, pictures: PictureGroup) -> None:
        """Start the tasks that prepare, analyse and cut the pictures of the next stretch."""
        size = self._settings.size
        sources = [
            self._task(partial(Pyramid.of, p.planes, *size, self._format))
            for p in pictures.pictures
        ]
        before = [] if pictures.key or self._last is None else [self._last]
        analyses = self._job(partial(self._analyse, len(before)), *before, *sources)
        self._read.append(_Read(pictures, sources, analyses))
        self._last = sources[-1]

    async def _analyse(self, before: int, tasks: Tasks, *sources: Pyramid) -> list[GroupAnalysis]:
        stretch = Stretch(sources[before:], sources[0] if before else None)
        frames = len(sources) - before
        groups = [(0, frames)]
        if self._by_content:
            groups = await group_lengths(tasks, stretch, frames)
        return [await stretch.group(tasks, *part) for part in groups]

    def _cut_oldest(self) -> None:
        """Wait for the analysis of the oldest stretch, and cut it into its groups."""
        read = self._read.popleft()
        first = 0
        for analysis in read.analyses.result():
            end = first + len(analysis.steps)
            group = replace(read.pictures, pictures=read.pictures.pictures[first:end])
            self._cut.append(_Cut(group, read.sources[first:end], analysis))
            first = end

    def _begin(self) -> None:
        """Start the tasks of the oldest group that has been cut."""
        known = [cut.analysis for cut in self._cut]
        ahead = [read.analyses for read in list(self._read)[: self._ahead]]
        cut = self._cut.popleft()
        crf = self._steering.crf(cut.group)
        maps = self._task(
            lambda *later: self._make_maps(crf, [*known, *chain.from_iterable(later)]), *ahead
        )
        if cut.group.key:
            self._before = []
        sources = self._filtered(cut, maps, crf)
        self._before = [*self._before, *cut.sources][-REACH:]
        maps = self._task(partial(self._final_maps, cut.analysis.steps), maps, *cut.sources)
        if cut.group.key:
            running, self._tail = self._begin_key(cut, sources, maps, crf)
        else:
            assert self._tail is not None
            running, self._tail = self._begin_others(cut, sources, maps, crf, self._tail)
        self._running.append(running)

    def _filtered(
        self, cut: _Cut, maps: Future[list[QuantiserMap]], crf: float
    ) -> list[Future[Pyramid]]:
        """The pictures that the canvases of a group code, in coding order.

        None is mixed with a picture of another run from a key group on.
        """
        pictures = [*self._before, *cut.sources]
        for group, sources in chain(
            ((later.group, later.sources) for later in self._cut),
            ((later.pictures, later.sources) for later in self._read),
        ):
            if group.key:
                break
            pictures += sources
        found = []
        for number, step in enumerate(cut.analysis.steps):
            at = len(self._before) + step.frame
            before = pictures[max(0, at - REACH) : at][::-1]
            after = pictures[at + 1 : at + 1 + REACH]
            work = partial(self._filter, number, crf, len(before))
            found.append(self._task(work, maps, pictures[at], *before, *after))
        return found

    def _final_maps(
        self, steps: Sequence[Step], maps: list[QuantiserMap], *sources: Pyramid
    ) -> list[QuantiserMap]:
        """The maps that a group is coded with, in indices of the sample format."""
        depth = self._format.bit_depth
        if self._visual:
            maps = [
                masked(q, sources[step.frame].planes[0], depth - 8)
                for step, q in zip(steps, maps, strict=True)
            ]
        return for_depth(maps, depth)

    def _filter(
        self,
        number: int,
        crf: float,
        before: int,
        maps: list[QuantiserMap],
        source: Pyramid,
        *others: Pyramid,
    ) -> Pyramid:
        if not (self._settings.tools.temporal_filter and self._settings.effort.temporal_filter):
            return source
        # Squares of a screen that occur again are equal, and stay so.
        if source.repeats:
            return source
        (q,) = for_depth([tolerances(maps[number], crf)], self._format.bit_depth)
        trust = trust_in_others(maps[number], crf)
        return filtered(source, others[:before], others[before:], q, trust, self._format)

    def _begin_key(
        self,
        cut: _Cut,
        sources: list[Future[Pyramid]],
        maps: Future[list[QuantiserMap]],
        crf: float,
    ) -> tuple[_Running, _Tail]:
        (source,) = sources
        canvas = self._job(self._code_key, source, maps)
        substreams = self._task(self._code_substreams, canvas)
        frames = self._job(partial(self._decoded, cut.group, ()), substreams, canvas)
        network = self._chosen(crf, 1, frames)
        coded = self._task(partial(self._coded, cut.group, None), substreams, frames, network)
        reference = self._job(self._reference, canvas)
        return _Running([canvas], coded), _Tail(
            canvases=handed_on({}, canvas),
            references=handed_on({}, reference),
            chain=self._defaults[0],
            interior=self._defaults[1:],
            weights=self._task(_weights, network),
        )

    def _begin_others(
        self,
        cut: _Cut,
        sources: list[Future[Pyramid]],
        maps: Future[list[QuantiserMap]],
        crf: float,
        before: _Tail,
    ) -> tuple[_Running, _Tail]:
        steps = schedule(len(sources), key=False)
        predicted_from = {frame for step in steps for frame in step.references}
        references = {-1: before.references[-1]}
        canvases = []
        earlier = tuple(before.references)
        for number, step in enumerate(steps):
            coarse = cut.analysis.coarse[number]
            if step.set == 1:
                canvas = self._job(
                    partial(self._code_chain, step, coarse, earlier),
                    sources[number],
                    maps,
                    before.chain,
                    *before.references.values(),
                )
            else:
                canvas = self._job(
                    partial(self._code_canvas, step, coarse, number),
                    sources[number],
                    maps,
                    before.interior[0],
                    *(references[frame] for frame in step.references),
                    urgent=False,
                )
            canvases.append(canvas)
            if step.frame in predicted_from or step.set == 1:
                references[step.frame] = self._job(self._reference, canvas)
        first = self._task(self._code_substreams, canvases[0])
        substreams = self._task(self._code_substreams, *canvases)
        frames = self._job(
            partial(self._decoded, cut.group, tuple(before.canvases)),
            substreams,
            *before.canvases.values(),
            *canvases,
        )
        network = self._chosen(crf, len(steps), frames, before.weights)
        coded = self._task(partial(self._coded, cut.group), first, substreams, frames, network)
        interior = before.interior
        if len(steps) > 1:
            # The default prices that a segment starts with are dropped once others exist.
            kept = () if interior == self._defaults[1:] else interior
            newest = self._task(lambda whole: whole.prices(2), substreams)
            interior = (*kept, newest)[-_PRICES_BACK:]
        tail = _Tail(
            canvases=handed_on(before.canvases, canvases[0]),
            references=handed_on(before.references, references[steps[0].frame]),
            chain=self._task(lambda coded: coded.prices(1), first),
            interior=interior,
            weights=self._task(_weights, network),
        )
        return _Running(canvases, coded), tail

    async def _code_key(
        self, tasks: Tasks, source: Pyramid, maps: list[QuantiserMap]
    ) -> CodedCanvas:
        return await code_key_canvas(tasks, self._settings, source, maps[0])

    async def _code_canvas(
        self,
        step: Step,
        coarse: npt.NDArray[np.int16],
        number: int,
        tasks: Tasks,
        source: Pyramid,
        maps: list[QuantiserMap],
        prices: Prices,
        *references: Reference,
    ) -> CodedCanvas:
        q = maps[number]
        return await code_inter_canvas(
            tasks, self._settings, source, step, references, coarse, q, prices
        )

    async def _code_chain(
        self,
        step: Step,
        coarse: npt.NDArray[np.int16],
        earlier: tuple[int, ...],
        tasks: Tasks,
        source: Pyramid,
        maps: list[QuantiserMap],
        prices: Prices,
        *references: Reference,
    ) -> CodedCanvas:
        """Code a chain canvas; `references` are canvases of earlier groups by these numbers."""
        known = dict(zip(earlier, references, strict=True))
        canvases = {frame: reference.canvas for frame, reference in known.items()}
        tools = self._settings.tools
        second, fields = await choose_second(tasks, source, coarse, canvases, tools)
        step = replace(step, b=SECOND[second])
        used = [known[frame] for frame in step.references]
        return await code_inter_canvas(
            tasks, self._settings, source, step, used, fields, maps[0], prices
        )

    async def _reference(self, tasks: Tasks, coded: CodedCanvas) -> Reference:
        return await Reference.of(tasks, coded.canvas, self._phases_memory)

    def _code_substreams(self, *canvases: CodedCanvas) -> Substreams:
        return code_substreams(canvases, self._settings)

    async def _decoded(
        self,
        group: PictureGroup,
        earlier: tuple[int, ...],
        tasks: Tasks,
        substreams: Substreams,
        *canvases: CodedCanvas,
    ) -> GroupFrames:
        """Decode the group, without the network; canvases by the numbers `earlier` come first."""
        given = [coded.canvas for coded in canvases]
        before = dict(zip(earlier, given, strict=False))
        sources = await decode_group(
            tasks, self._settings, substreams, given[len(earlier) :], before
        )
        return GroupFrames(sources, [picture.planes for picture in group.pictures])

    def _chosen(
        self,
        crf: float,
        count: int,
        frames: Future[GroupFrames],
        *before: Future[FusionWeights],
    ) -> Future[CodedNetwork]:
        """Begin to decide what a group of `count` frames does with the network.

        It starts from the weights `before`. Later groups wait for it, so frames are done side by
        side.
        """
        if self._network == "off":
            return self._task(_without_network, frames)
        choice = self._task(partial(self._choice, crf), frames, *before)
        numbers = range(count)
        moments = [
            self._task(partial(NetworkChoice.moments, number=number), choice) for number in numbers
        ]
        candidates = self._task(NetworkChoice.candidates, choice, *moments)
        made = [
            self._task(partial(NetworkChoice.made, number=number), choice, candidates)
            for number in numbers
        ]
        return self._task(NetworkChoice.best, choice, candidates, *made)

    def _choice(
        self, crf: float, frames: GroupFrames, before: FusionWeights | None = None
    ) -> NetworkChoice:
        effort, weights = self._settings.effort, before or default_weights()
        sites = effort.network_sites if self._network == "trained" else 0
        return NetworkChoice.of(frames, weights, crf, sites, by_estimate=effort.network_estimate)

    def _coded(
        self,
        group: PictureGroup,
        first: Substreams | None,
        substreams: Substreams,
        frames: GroupFrames,
        network: CodedNetwork,
    ) -> CodedGroup:
        """The group, with the CRC and the quality of its decoded frames."""
        meter = QualityMeter(self._metrics, self._format.peak)
        for picture, planes in zip(frames.pictures, network.frames, strict=True):
            meter.add(picture, planes)
        unit = Group(
            first_frame=0,
            frame_count=len(network.frames),
            key=group.key,
            crc=samples_crc(network.frames),
            first_pts=group.pictures[0].pts,
            second=SECOND.index(frames.sources[-1].canvas.step.b),
            durations=tuple(picture.duration for picture in group.pictures),
            tables=b"",
            content=substreams.content,
            motion=substreams.motion,
            network=network.substream,
        )
        return CodedGroup(unit, meter, 0.0, 0 if first is None else first.bytes)

    def _oldest(self) -> CodedGroup:
        """Wait for the oldest group in flight, and return it."""
        running = self._running[0]
        for done, canvas in enumerate(running.canvases, 1):
            canvas.result()
            self._report(self._ordinal, done)
        coded = running.coded.result()
        self._handing = True
        self._running.popleft()
        self._steering.coded(coded.group.substream_bytes)
        self._ordinal += 1
        return coded


def _without_network(frames: GroupFrames) -> CodedNetwork:
    return CodedNetwork(b"", default_weights(), frames.canvases())


def _weights(coded: CodedNetwork) -> FusionWeights:
    return coded.weights
