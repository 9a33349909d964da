"""What a segment (closed GOP) is, and what a model gives to have its segments coded.

Every segment starts afresh, so its bytes depend only on its pictures and settings. Segments can be
encoded anywhere and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from nvcodec.encode.coder import CodedGroup, CoderReport, VideoCoder
from nvcodec.encode.control.steering import Steering
from nvcodec.encode.grouping import PictureGroup
from nvcodec.format import Header
from nvcodec.media.source import SourceError
from nvcodec.picture import Picture, Planes, samples_crc


@dataclass(frozen=True)
class Segment:
    """Where a segment lies, and which pictures it has.

    Attributes:
        first_group: number of its first group of pictures in the file.
        first_frame: number of its first frame in the file.
        group_frames: frames of each of its groups of pictures.
        times: pts of each picture, and the end of the last, in ticks of the source's time base.
        crcs: CRC-32 of the samples of each picture.

    """

    first_group: int
    first_frame: int
    group_frames: tuple[int, ...]
    times: tuple[int, ...]
    crcs: tuple[int, ...]

    @property
    def frames(self) -> int:
        """Its frames."""
        return len(self.crcs)


class OtherPicturesError(Exception):
    """The pictures found are not those of the segment."""


def segments(groups: Iterable[PictureGroup]) -> Iterator[Segment | None]:
    """Divide groups into segments: yields each when it is complete, and None after every group.

    Keeps no pictures. A SourceError of `groups` is raised after the segment of the groups before
    it.
    """
    first_group = first_frame = 0
    frames: list[int] = []
    times: list[int] = []
    crcs: list[int] = []
    end = 0
    failure: SourceError | None = None

    def complete() -> Segment:
        return Segment(first_group, first_frame, tuple(frames), (*times, end), tuple(crcs))

    try:
        for group in groups:
            if group.key and frames:
                yield complete()
                first_group, first_frame = first_group + len(frames), first_frame + len(crcs)
                frames, times, crcs = [], [], []
            frames.append(len(group.pictures))
            for picture in group.pictures:
                times.append(picture.pts)
                crcs.append(samples_crc([picture.planes]))
                end = picture.pts + picture.duration
            yield None
    except SourceError as error:
        failure = error
    if frames:
        yield complete()
    if failure is not None:
        raise failure


def groups_of(segment: Segment, planes: Iterator[Planes]) -> Iterator[PictureGroup]:
    """The groups of a segment from the planes of its pictures, with the times of the segment.

    Raises OtherPicturesError where they are not its pictures, or too few.
    """
    number = 0
    for ordinal, frames in enumerate(segment.group_frames):
        pictures = []
        for _ in range(frames):
            found = next(planes, None)
            if found is None or samples_crc([found]) != segment.crcs[number]:
                raise OtherPicturesError
            start, end = segment.times[number : number + 2]
            pictures.append(Picture(found, start, end - start))
            number += 1
        yield PictureGroup(tuple(pictures), key=not ordinal)


@dataclass(frozen=True)
class SegmentProgress:
    """How far a segment has come: frames done, which may be fractions, and more in words."""

    first_frame: int
    frames: float
    text: str = ""


Report = Callable[[SegmentProgress], None]


class MakeCoder(Protocol):
    """Makes the coder of one video, or of one segment."""

    def __call__(self, *, steering: Steering, report: CoderReport, threads: int) -> VideoCoder:
        """A coder of groups whose crf `steering` gives."""


@dataclass(frozen=True)
class SegmentCoding:
    """How the segments of an encode are coded; can be pickled, if `make` can.

    Attributes:
        make: makes the coder of a segment.
        crf: of all groups.
        time_base: of the source.
        whole_crf: whether the model takes whole numbers only.
        threads: of each segment; the bytes do not depend on them.
        fixed_threads: whether that number was asked for, so that it holds everywhere.

    """

    make: MakeCoder
    crf: float
    time_base: Fraction
    whole_crf: bool
    threads: int
    fixed_threads: bool

    def code(
        self,
        segment: Segment,
        groups: Iterator[PictureGroup],
        header: Header,
        report: Report,
        threads: int | None,
    ) -> Iterator[CodedGroup]:
        """Code the groups of a segment; frames of the coded groups count from any one on.

        `threads` stand in place of those that were not asked for.
        """
        done: dict[int, float] = {}

        def tell(ordinal: int, frames: float, text: str = "") -> None:
            done[ordinal] = frames
            report(SegmentProgress(segment.first_frame, sum(done.values()), text))

        steering = Steering(self.crf, self.time_base, whole=self.whole_crf)
        steering.go_on_after(segment.first_group)
        own = self.threads if self.fixed_threads else threads or self.threads
        yield from self.make(steering=steering, report=tell, threads=own).code(groups, header)
