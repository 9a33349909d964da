"""What a segment (closed GOP) is, and what a model gives to have its segments coded.

Every segment starts afresh, so its bytes depend only on its pictures and settings. Segments can be
encoded anywhere and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.grouping import PictureGroup
from nvcodec.media.source import SourceError
from nvcodec.model.description import Shape
from nvcodec.picture import Picture


@dataclass(frozen=True)
class Segment:
    """Where a segment lies: its first group and frame in the file, and the frames of its groups."""

    first_group: int
    first_frame: int
    group_frames: tuple[int, ...]


def segments(groups: Iterable[PictureGroup]) -> Iterator[Segment | None]:
    """Divide groups into segments: yields each when it is complete, and None after every group.

    A SourceError of `groups` is raised after the segment of the groups before it.
    """
    first_group = first_frame = 0
    frames: list[int] = []
    failure: SourceError | None = None
    try:
        for group in groups:
            if group.key and frames:
                yield Segment(first_group, first_frame, tuple(frames))
                first_group, first_frame = first_group + len(frames), first_frame + sum(frames)
                frames = []
            frames.append(len(group.pictures))
            yield None
    except SourceError as error:
        failure = error
    if frames:
        yield Segment(first_group, first_frame, tuple(frames))
    if failure is not None:
        raise failure


@dataclass(frozen=True)
class Progress:
    """State of a group's training after an iteration.

    `error` is the mean squared error per sample of its batch, `bits` the estimate for the group.
    """

    iteration: int
    iterations: int
    error: float
    bits: float


Report = Callable[[Progress], None]


class SegmentEncoder(Protocol):
    """Encodes the groups of one segment, from its key group on.

    `first_frame` of the groups counts from the first frame of the segment.
    """

    def encode(self, pictures: Sequence[Picture], report: Report) -> CodedGroup:
        """Code the pictures of the next group."""


class SegmentCoding(Protocol):
    """What all segments of an encode have in common; can be pickled."""

    @property
    def shape(self) -> Shape:
        """The description of the model."""

    def encoder(self, device: torch.device) -> SegmentEncoder:
        """The encoder of one segment."""
