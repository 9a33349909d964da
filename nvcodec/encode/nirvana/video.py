"""The groups of a video to coded groups, one after the other.

A group is coded from the features of the one before. Meanwhile tasks write, decode and render that
one, for its CRC and its qualities. The bytes are the same for any number of threads.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import ThreadpoolController

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.nirvana.choice import bit_price
from nvcodec.encode.nirvana.effort import Effort, quantiser_index
from nvcodec.encode.nirvana.group import CodedSubstreams, GroupCoder
from nvcodec.format import LEVELS, Group, Header, counted_samples, smallest_level
from nvcodec.media.quality import QualityMeter
from nvcodec.model.description import PatchShape
from nvcodec.model.nirvana.layers import GroupParameters, Layers, rebuild_parameters
from nvcodec.model.nirvana.parameters import Parameters
from nvcodec.model.nirvana.render import render_in_tasks
from nvcodec.picture import Planes, SampleFormat, samples_crc
from nvcodec.tasks import TaskPool

_BLAS = ThreadpoolController()

_CONTAINER_BYTES = 55
"""Bytes of a group without its substreams."""

_BYTES_PER_SAMPLE = 0.5
"""Bytes that a sample of a group may take, for the level."""

_MOVING = 0.05
"""Groups in which a smaller share of blocks moves are not split, but for key groups."""

_GAIN = 0.93
"""Groups are split if less than this share of their cost is left. Split groups move features once
for each frame. Each move loses detail, which later groups pay for."""


@dataclass(frozen=True, eq=False)
class _Part:
    """A coded group of pictures, and its frames as they are rendered."""

    group: PictureGroup
    coded: CodedSubstreams
    rendered: Future[list[Planes]]


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A group that is being finished; `last` of those that are made of a group of pictures."""

    coded: Future[CodedGroup]
    last: bool


class NirvanaCoder:
    """Codes the groups of one video with the nirvana model: a VideoCoder."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        samples: SampleFormat,
        steering: Steering,
        effort: Effort,
        group_size: int | None,
        metrics: Sequence[str],
        threads: int,
        report: Callable[[int, int], None],
    ) -> None:
        self.shape = PatchShape()
        self.key_frames = group_size or self.shape.group_frames
        self._size = width, height
        self._scale = 0.5 ** (samples.bit_depth - 8)
        self._metrics = tuple(metrics)
        self._report = report
        self._tasks = TaskPool(threads)
        self._layers = Layers(width, height, samples)
        self._coder = GroupCoder(self._layers, effort, self._tasks)
        self._steering = steering
        self._waiting: deque[_Waiting] = deque()
        self._parts_bytes = 0
        # Whether a group is on its way to the caller, where an interrupt would lose it.
        self._handing = False

    @property
    def level(self) -> int:
        """The expected level (spec 2.11); the file writer checks every unit against it."""
        luma = counted_samples(*self._size, self._layers.format.chroma_format)
        samples = sum(grid.width * grid.height for grid in self._layers.grids)
        unit_bytes = round(samples * self.shape.group_frames * _BYTES_PER_SAMPLE)
        return smallest_level(luma, 0, min(unit_bytes, LEVELS[max(LEVELS)].unit_bytes), 0)

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Code groups, as VideoCoder. After an error it still yields finished groups."""
        # The tasks use all cores; BLAS threads inside a task would only compete with them.
        with _BLAS.limit(limits=1, user_api="blas"):
            try:
                yield from self._code(groups)
            finally:
                self._tasks.close()

    def _code(self, groups: Iterator[PictureGroup]) -> Generator[CodedGroup, None, None]:
        waiting = self._waiting
        before: GroupParameters | None = None
        failure: BaseException | None = None
        ordinal = 0
        started = time.perf_counter()
        try:
            for group in groups:
                last = None if group.key else before
                parts = self._choose(group, last, self._steering.crf(group))
                seconds = (time.perf_counter() - started) / len(parts)
                for part in parts:
                    self._report(ordinal, len(part.group.pictures))
                    after = part.coded.content, part.rendered
                    work = partial(self._finish, part, last, seconds)
                    finished = self._tasks.submit(work, after)
                    waiting.append(_Waiting(finished, part is parts[-1]))
                    last = before = part.coded.parameters
                    ordinal += 1
                started = time.perf_counter()
                while len(waiting) > len(parts) or (waiting and waiting[0].coded.done()):
                    yield self._oldest()
                    self._handing = False
        except (Exception, KeyboardInterrupt) as error:
            if self._handing:
                raise
            failure = error
        while waiting:
            yield self._oldest()
        if failure is not None:
            raise failure

    def _oldest(self) -> CodedGroup:
        """Wait for the oldest group, then take it: an interrupt meanwhile loses no group."""
        coded = self._waiting[0].coded.result()
        self._parts_bytes += coded.group.substream_bytes
        self._handing = True
        if self._waiting.popleft().last:
            self._steering.coded(self._parts_bytes)
            self._parts_bytes = 0
        return coded

    def _choose(
        self, group: PictureGroup, before: GroupParameters | None, crf: float
    ) -> list[_Part]:
        """A group coded as it is, or as groups of one picture if that costs less."""
        whole = [self._code_group(group, before, crf)]
        still = before is not None and whole[0].coded.moving < _MOVING
        if len(group.pictures) == 1 or not self._coder.effort.split or still:
            return whole
        parts: list[_Part] = []
        for picture in group.pictures:
            key = group.key and not parts
            parts.append(self._code_group(PictureGroup((picture,), key), before, crf))
            before = parts[-1].coded.parameters
        return parts if self._cost(parts, crf) < _GAIN * self._cost(whole, crf) else whole

    def _code_group(self, group: PictureGroup, before: GroupParameters | None, crf: float) -> _Part:
        planes = [picture.planes for picture in group.pictures]
        quantiser = quantiser_index(crf, len(planes), group.key)
        coded = self._coder.code(planes, before, quantiser)
        frames, shown = range(len(planes)), (0, 0, *self._size)
        parameters = self._tasks.submit(lambda: coded.parameters)
        rendered = render_in_tasks(parameters, self._layers, frames, shown, self._tasks)
        return _Part(group, coded, rendered)

    def _cost(self, parts: list[_Part], crf: float) -> float:
        """Squared error, and the price of bytes; samples have the scale of 8 bits."""
        price = bit_price(quantiser_index(crf, self.shape.group_frames, key=False))
        cost = 0.0
        for part in parts:
            cost += price * 8 * (part.coded.size() + _CONTAINER_BYTES)
            for picture, planes in zip(part.group.pictures, part.rendered.result(), strict=True):
                for wanted, found in zip(picture.planes, planes, strict=True):
                    difference = wanted.astype(np.float32) - found
                    cost += float(np.square(difference).sum(dtype=np.float64)) * self._scale**2
        return cost

    def _finish(self, part: _Part, before: GroupParameters | None, seconds: float) -> CodedGroup:
        """Decode a group, and measure what a decoder renders.

        Raises RuntimeError if it does not decode to the parameters that were rendered.
        """
        group, coded, rendered = part.group, part.coded, part.rendered.result()
        frames, expected, content = len(group.pictures), coded.parameters, coded.content.result()
        decoded = rebuild_parameters(
            self._layers, before, frames, content, coded.motion, coded.network
        )
        if not all(map(_same, decoded, expected)):
            raise RuntimeError("a group does not decode to what was encoded")
        meter = QualityMeter(self._metrics, self._layers.format.peak)
        for picture, planes in zip(group.pictures, rendered, strict=True):
            meter.add(picture.planes, planes)
        unit = Group(
            first_frame=0,
            frame_count=frames,
            key=group.key,
            crc=samples_crc(rendered),
            first_pts=group.pictures[0].pts,
            durations=tuple(picture.duration for picture in group.pictures),
            tables=b"",
            content=content,
            motion=coded.motion,
            network=coded.network,
        )
        return CodedGroup(unit, meter, seconds)


def _same(a: Parameters, b: Parameters) -> bool:
    return a.components == b.components and np.array_equal(a.features, b.features)
