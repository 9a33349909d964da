"""The seam between an encode and the models: groups of pictures in, coded groups out."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from nvcodec.encode.grouping import PictureGroup
from nvcodec.format import Group, Header
from nvcodec.media.quality import QualityMeter
from nvcodec.model.description import Shape


@dataclass(frozen=True)
class CodedGroup:
    """A group, its qualities as a decoder renders it, and the seconds that it took.

    Frames count from any one on. `chain_bytes` are those of its chain canvas, 0 where it has none.
    """

    group: Group
    meter: QualityMeter
    seconds: float
    chain_bytes: int = 0


class VideoCoder(Protocol):
    """Codes the groups of one video with one model."""

    @property
    def shape(self) -> Shape:
        """The description of the model."""

    @property
    def key_frames(self) -> int:
        """The most frames of a key group."""

    @property
    def level(self) -> int:
        """The level that the file is going to keep within."""

    def code(
        self, groups: Iterator[PictureGroup], header: Header
    ) -> Generator[CodedGroup, None, None]:
        """Code groups in their order, for a file of this header.

        What stops the reading of pictures is raised after the groups before it.
        """


class CoderReport(Protocol):
    """Takes how far a coder has come."""

    def __call__(self, ordinal: int, frames: float, text: str = "") -> None:
        """So many frames, or fractions of them, of a group are coded; more in words."""
