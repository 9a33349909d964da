"""The groups of a video to coded groups, one after the other.

A group is coded from the features of the one before. Meanwhile a second task decodes and renders
that one, for its CRC and its qualities. The bytes are the same for any number of threads.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.nirvana.choice import bit_price
from nvcodec.encode.nirvana.effort import Effort, quantiser_index
from nvcodec.encode.nirvana.group import CodedSubstreams, GroupCoder
from nvcodec.format import LEVELS, Group, Header, smallest_level
from nvcodec.media.quality import QualityMeter
from nvcodec.media.source import SourceError
from nvcodec.model.description import PatchShape
from nvcodec.model.nirvana.parameters import Grid, Parameters, rebuild_parameters
from nvcodec.model.nirvana.render import render_frames
from nvcodec.picture import samples_crc

_BLAS = ThreadpoolController()

_CONTAINER_BYTES = 55
"""Bytes of a group without its substreams."""

_BYTES_PER_SAMPLE = 0.75
"""Bytes that a luma sample of a group may take, for the level."""


class NirvanaCoder:
    """Codes the groups of one video with the nirvana model: a VideoCoder."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        crf: float,
        effort: Effort,
        group_size: int | None,
        metrics: Sequence[str],
        report: Callable[[int, int], None],
    ) -> None:
        self.shape = PatchShape()
        self.key_frames = group_size or self.shape.group_frames
        self._size = width, height
        self._crf = crf
        self._metrics = tuple(metrics)
        self._report = report
        self._coder = GroupCoder(width, height, effort)

    @property
    def level(self) -> int:
        """The expected level (spec 2.11); the file writer checks every unit against it."""
        luma = math.prod(self._size)
        unit_bytes = round(luma * self.shape.group_frames * _BYTES_PER_SAMPLE)
        return smallest_level(luma, 0, min(unit_bytes, LEVELS[max(LEVELS)].unit_bytes), 0)

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Code groups, as VideoCoder. After KeyboardInterrupt it still yields finished groups."""
        with _BLAS.limit(limits=1, user_api="blas"), ThreadPoolExecutor(1) as second:
            yield from self._code(groups, second)

    def _code(
        self, groups: Iterator[PictureGroup], second: ThreadPoolExecutor
    ) -> Generator[CodedGroup, None, None]:
        waiting: deque[Future[CodedGroup]] = deque()
        before: Parameters | None = None
        failure: BaseException | None = None
        ordinal = 0
        started = time.perf_counter()
        try:
            for group in groups:
                last = None if group.key else before
                parts = self._choose(group, last)
                seconds = (time.perf_counter() - started) / len(parts)
                for part, coded in parts:
                    self._report(ordinal, len(part.pictures))
                    waiting.append(second.submit(self._finish, part, coded, last, seconds))
                    last = before = coded.parameters
                    ordinal += 1
                started = time.perf_counter()
                while len(waiting) > 1 or (waiting and waiting[0].done()):
                    yield _oldest(waiting)
        except (SourceError, KeyboardInterrupt) as error:
            failure = error
        while waiting:
            yield _oldest(waiting)
        if failure is not None:
            raise failure

    def _choose(
        self, group: PictureGroup, before: Parameters | None
    ) -> list[tuple[PictureGroup, CodedSubstreams]]:
        """A group coded as it is, or as groups of one picture if that costs less."""
        whole = [(group, self._code_group(group, before))]
        if before is None or len(group.pictures) == 1 or not self._coder.effort.split:
            return whole
        parts = []
        for picture in group.pictures:
            part = PictureGroup((picture,), key=False)
            coded = self._code_group(part, before)
            parts.append((part, coded))
            before = coded.parameters
        return parts if self._cost(parts) < self._cost(whole) else whole

    def _code_group(self, group: PictureGroup, before: Parameters | None) -> CodedSubstreams:
        planes = [picture.planes for picture in group.pictures]
        quantiser = quantiser_index(self._crf, len(planes), group.key)
        return self._coder.code(planes, before, quantiser)

    def _cost(self, groups: list[tuple[PictureGroup, CodedSubstreams]]) -> float:
        """Squared error, and the price of bytes."""
        price = bit_price(quantiser_index(self._crf, self.shape.group_frames, key=False))
        cost = 0.0
        for group, coded in groups:
            size = len(coded.content) + len(coded.motion) + len(coded.network) + _CONTAINER_BYTES
            cost += price * 8 * size
            frames = range(len(group.pictures))
            rendered = render_frames(coded.parameters, self._coder.grid, frames)
            for picture, planes in zip(group.pictures, rendered, strict=True):
                for wanted, found in zip(picture.planes, planes, strict=True):
                    difference = wanted.astype(np.float32) - found
                    cost += float(np.square(difference).sum(dtype=np.float64))
        return cost

    def _finish(
        self,
        group: PictureGroup,
        coded: CodedSubstreams,
        before: Parameters | None,
        seconds: float,
    ) -> CodedGroup:
        """Decode a group, and measure what a decoder renders.

        Raises RuntimeError if it does not decode to what was encoded.
        """
        grid: Grid = self._coder.grid
        frames = len(group.pictures)
        decoded = rebuild_parameters(
            grid, before, frames, coded.content, coded.motion, coded.network
        )
        expected = coded.parameters
        if decoded.components != expected.components or not np.array_equal(
            decoded.features, expected.features
        ):
            raise RuntimeError("a group does not decode to what was encoded")
        rendered = render_frames(decoded, grid, range(frames))
        meter = QualityMeter(self._metrics)
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
            content=coded.content,
            motion=coded.motion,
            network=coded.network,
        )
        return CodedGroup(unit, meter, seconds)


def _oldest(waiting: deque[Future[CodedGroup]]) -> CodedGroup:
    """Wait for the oldest group, then take it: an interrupt meanwhile loses no group."""
    coded = waiting[0].result()
    waiting.popleft()
    return coded
