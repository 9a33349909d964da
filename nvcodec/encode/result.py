"""What an encode gives, the groups that it has written, and tells an observer meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nvcodec.media.notes import Note
from nvcodec.media.quality import QualityMeter
from nvcodec.model.description import Shape
from nvcodec.picture import YUV420P8, SampleFormat

if TYPE_CHECKING:
    from nvcodec.encode.segments.segment import SegmentProgress


@dataclass(frozen=True)
class EncodedGroup:
    """A group that has been written: the sizes of its GRUP unit and of what is in it.

    `network_bytes` are tables and network; `chain_bytes` are those of content and motion that its
    chain canvas takes, 0 where it has none. `meter` has its qualities, from the samples that a
    decoder renders.
    """

    ordinal: int
    first_frame: int
    frames: int
    key: bool
    bytes: int
    network_bytes: int
    content_bytes: int
    motion_bytes: int
    chain_bytes: int
    seconds: float
    meter: QualityMeter


@dataclass(frozen=True)
class Trial:
    """An encode that looked for the crf: a pass over the source, or an encode of samples of it.

    `crf` is the mean. `quality` is a value of the metric that is the target; of a pass it is the
    PSNR of all samples, if that is measured.
    """

    samples: bool
    number: int
    crf: float
    frames: int
    bytes: int
    quality: float | None = None


@dataclass
class RateResult:
    """What rate control was asked for, and how it came to its result.

    Attributes:
        goals: what was asked for, by the name of the option.
        passes: passes over the source that were coded.
        crfs: crf of each group of pictures.
        trials: encodes before the one that was kept.
        peak_bitrate: bits a second of the fullest window, where it was bounded.

    """

    goals: dict[str, float | int | str]
    passes: int
    crfs: list[float]
    trials: list[Trial] = field(default_factory=list)
    peak_bitrate: float | None = None


@dataclass
class EncodeResult:
    """What an encode has written so far.

    `meter` has the qualities of all groups, from the samples that a decoder renders.
    """

    width: int
    height: int
    shape: Shape
    sample_format: SampleFormat = YUV420P8
    groups: list[EncodedGroup] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    bytes: int = 0
    track_bytes: int = 0
    """Bytes of the units that hold packets of tracks."""
    seconds: float = 0.0
    complete: bool = False
    """Whether the output has it all, with the end that makes it valid."""
    kept_as: str | None = None
    """Another name of the output, where the disk became full and a file had its name before."""
    resumable: bool = False
    """Whether finished segments are kept on disk for an encode that resumes."""
    meter: QualityMeter = field(default_factory=QualityMeter)
    rate: RateResult | None = None
    """What rate control did; None for an encode at a crf."""
    video_seconds: float = 0.0
    """Seconds that the frames written are shown."""

    @property
    def frames(self) -> int:
        """Frames written."""
        return sum(group.frames for group in self.groups)

    @property
    def bitrate(self) -> float:
        """Bits of the file without other tracks, per second of the video."""
        return 8 * (self.bytes - self.track_bytes) / max(self.video_seconds, 1e-9)

    @property
    def bits_per_pixel(self) -> float:
        """Bits of the file without the packets of its tracks, per luma sample."""
        return (
            8 * (self.bytes - self.track_bytes) / (self.width * self.height * max(1, self.frames))
        )


class Observer:
    """Told about an encode while it runs; does nothing by itself."""

    def started(self, result: EncodeResult, frame_count_hint: int | None) -> None:
        """The source is open and the header is about to be written."""

    def trying(self, samples: bool, number: int, frame_count_hint: int | None) -> None:
        """An encode begins that only looks for the crf: of samples, or of the source; from 1."""

    def tried(self, trial: Trial) -> None:
        """It has ended."""

    def coding(self, ordinal: int, frames: float, text: str = "") -> None:
        """So many frames of a group are coded, and more in words; groups come in order."""

    def segment(self, progress: SegmentProgress) -> None:
        """A segment that is a job has come this far; segments come in any order."""

    def encoded(self, group: EncodedGroup) -> None:
        """A group has been written; they come in file order."""
