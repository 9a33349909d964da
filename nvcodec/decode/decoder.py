"""The streaming decoder: a file or pipe to frames, forward or at random, whole or in part."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from nvcodec.decode.executor import make_executor
from nvcodec.decode.frame import Frame
from nvcodec.format import (
    UNKNOWN_FRAME_COUNT,
    CorruptError,
    End,
    Group,
    GroupSequence,
    GroupUnit,
    Header,
    IndexEntry,
    Limits,
    Metadata,
    NetworkDescription,
    NrvError,
    UnitReader,
    UnsupportedError,
    VerificationError,
    located,
    read_group_at,
    read_index,
    scan_index,
)
from nvcodec.model.render import samples_crc
from nvcodec.model.resample import View, source_region
from nvcodec.model.shape import NetworkShape
from nvcodec.model.weights import GroupWeights, rebuild_weights
from nvcodec.picture import Planes


class _NoLengthError(UnsupportedError, TypeError):
    """The length of an input that is not seekable; `list(decoder)` shall do without."""


class Decoder:
    """Decodes one bitstream.

        with Decoder("clip.nrv") as decoder:
            for frame in decoder:
                use(frame.planes)
            still = decoder.render(100, size=(1280, 720), crop=(200, 100, 0, 0))

    Iterating renders forward from the position that `seek` sets (0 at first) and works on pipes;
    `len`, indexing, `render` and seeking back need a seekable file. Iterators and random access may
    be mixed, but one object is for one thread.

    Args:
        source: path, or binary file object that holds the bitstream and nothing else and stands at
            its start; an object is not closed.
        device: "cpu" or "cuda"; the samples are the same.
        threads: worker threads, None for one for each core; the samples are the same.
        batch: patches evaluated at once, None for the device's default; the samples are the same.
        tensors: with device "cuda", leave frames on the device: `Frame.planes` are then u8
            `torch.Tensor`s there, computed on the current stream, and CRCs are checked only with
            `verify`, which copies the samples to the host. Resizing is done on the device too.
        limits: what to accept (spec 2.11).

    Attributes:
        header: the HEAD unit.
        shape: the network description.
        metadata: members of the mETa units read so far.

    Raises:
        NrvError: of the class that spec 2.10 gives, here and while decoding. Frames of groups
            before the damage are delivered first.
        UnsupportedError: also when the device, or Triton for it, is not here or fails its test.
        OSError: the file cannot be opened or read.

    """

    def __init__(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        device: str = "cpu",
        threads: int | None = None,
        batch: int | None = None,
        tensors: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self._executor = make_executor(device, threads, batch, tensors)
        self._tensors = tensors
        self._limits = limits or Limits()
        self._owned = isinstance(source, str | os.PathLike)
        self._file: BinaryIO = open(source, "rb") if self._owned else source  # type: ignore[assignment, arg-type]  # noqa: SIM115
        self.metadata: dict[str, object] = {}
        self._position = 0
        self._index: list[IndexEntry] | None = None
        self._index_error: NrvError | None = None
        self._kept: tuple[int, Group, GroupWeights, GroupSequence] | None = None
        try:
            self._reader = UnitReader(self._file, self._limits)
            self.header: Header = self._reader.open()
            self.shape: NetworkShape = self._read_description()
            self._executor.prepare(self.shape)
        except BaseException:
            self.close()
            raise
        self._fresh = True

    def _read_description(self) -> NetworkShape:
        for event in self._reader:
            if isinstance(event, NetworkDescription):
                with located("SIRN", event.offset):
                    shape = NetworkShape.from_payload(event.payload)
                    level = self.header.level
                    grid = shape.grid(self.header.width, self.header.height)
                    self._limits.check("weights", shape.weights(grid), level)
                    self._limits.check("multiplications", shape.multiplications, level)
                self._reader.group_length = shape.group_frames
                return shape
        raise CorruptError("no network description", rule="2.3")

    def close(self) -> None:
        """Close the file if this decoder opened it."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Frames in the file: from HEAD, or from the last group.

        Raises UnsupportedError (also a TypeError) when HEAD does not say and the file is not
        seekable, NrvError when the last group cannot be found.
        """
        if self.header.frame_count != UNKNOWN_FRAME_COUNT:
            return self.header.frame_count
        if not self._file.seekable():
            raise _NoLengthError("this input has no known length: it is not seekable")
        index = self._load_index()
        if self._index_error is not None:
            raise self._index_error
        return index[-1].first_frame + self._read_group(len(index) - 1).frame_count

    def __iter__(self) -> Iterator[Frame]:
        """Frames from the current position to the end."""
        for frame in self.frames(start=self._position):
            self._position = frame.index + 1
            yield frame

    def __getitem__(self, index: int) -> Frame:
        """Frame `index`; negative counts from the end. Raises IndexError."""
        return self.render(index)

    def seek(self, frame: int) -> None:
        """Make iteration go on at `frame` (0 is the first; ValueError below)."""
        if frame < 0:
            raise ValueError(f"frame {frame} is negative")
        self._position = frame

    def view(
        self, size: tuple[int, int] | None = None, crop: tuple[int, int, int, int] | None = None
    ) -> View:
        """The view of a size (width, height) and region (width, height, x, y) of the result.

        Raises ViewError when spec 6.1 does not allow it.
        """
        return View.of(self.header.width, self.header.height, size, crop)

    def render(
        self,
        frame: int,
        *,
        size: tuple[int, int] | None = None,
        crop: tuple[int, int, int, int] | None = None,
    ) -> Frame:
        """Render one frame alone, at an output size and region (spec 6), from a seekable file.

        Only the weights from the key group before it are rebuilt, and only the patches that the
        region needs are evaluated. Raises IndexError when there is no such frame.
        """
        view = self.view(size, crop)
        number = frame + len(self) if frame < 0 else frame
        index = self._load_index()
        ordinal = bisect_right(index, number, key=lambda entry: entry.first_frame) - 1
        if number < 0 or ordinal < 0:
            raise IndexError(f"frame {frame} is not in the video")
        group, weights = self._weights(ordinal)
        if number >= group.first_frame + group.frame_count:
            if self._index_error is not None:
                raise self._index_error
            raise IndexError(f"frame {frame} is not in the video")
        return next(self._render(group, weights, view, [number - group.first_frame]))

    def frames(
        self,
        *,
        start: int = 0,
        count: int | None = None,
        size: tuple[int, int] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        verify: bool = False,
    ) -> Iterator[Frame]:
        """Frames start..start+count-1 (None: to the end) at an output size and region.

        Whole groups that are rendered whole are checked against their CRC before any of their
        frames is delivered (VerificationError), unless they stay on the device (`tensors`); with
        `verify` that holds for all groups, which costs their full rendering. Reading from frame 0
        to the end checks FEND too.

        Raises, when the first frame is asked for, ValueError for a negative `start` or `count` and
        ViewError when spec 6.1 does not allow the view; NrvError as the class says.
        """
        if start < 0 or (count is not None and count < 0):
            raise ValueError(f"start {start} or count {count} is negative")
        view = self.view(size, crop)
        stop = None if count is None else start + count
        for group, weights, name, offset in self.groups(start):
            first = max(0, start - group.first_frame)
            last = group.frame_count
            if stop is not None:
                last = min(last, stop - group.first_frame)
            if first < last or verify:
                with located(name, offset):
                    yield from self._render(group, weights, view, range(first, last), verify)
            if stop is not None and stop <= group.first_frame + group.frame_count and not verify:
                return

    def _render(
        self,
        group: Group,
        weights: GroupWeights,
        view: View,
        frames: Sequence[int],
        verify: bool = False,
    ) -> Iterator[Frame]:
        width, height = self.header.width, self.header.height
        executor = self._executor
        location = self.header.chroma_location
        region = source_region(view, width, height, location)
        everything = region == (0, 0, width, height) and len(frames) == group.frame_count
        if verify or (everything and not self._tensors):
            pictures = executor.render(weights, width, height, range(group.frame_count))
            crc = samples_crc(executor.on_host(pictures))
            if crc != group.crc:
                raise VerificationError(
                    f"rendered samples have CRC {crc:08x}, not {group.crc:08x}", rule="2.7"
                )
            pictures = [_cut(pictures[k], region) for k in frames]
        else:
            pictures = executor.render(weights, width, height, frames, region)
        pts = group.pts
        for k, planes in zip(frames, pictures, strict=True):
            yield Frame(
                group.first_frame + k,
                pts[k],
                group.durations[k],
                self.header.time_base,
                executor.resample(planes, region[:2], width, height, view, location),
            )

    def groups(self, start: int = 0) -> Iterator[tuple[Group, GroupWeights, str, int]]:
        """Groups with their rebuilt weights, nothing rendered.

        Begins at the group that holds frame `start`, or at an earlier one where the file is not
        seekable. Gives the GRUP unit, its weights, its name in errors and its byte offset.
        Raises NrvError as iteration does.
        """
        if start > 0 and self._file.seekable():
            index = self._load_index()
            ordinal = bisect_right(index, start, key=lambda entry: entry.first_frame) - 1
            for number in range(max(0, ordinal), len(index)):
                group, weights = self._weights(number)
                yield group, weights, f"GRUP {number}", index[number].offset
            if self._index_error is not None:
                raise self._index_error
            return
        previous: GroupWeights | None = None
        for unit in self._forward():
            name = f"GRUP {unit.ordinal}"
            with located(name, unit.offset):
                previous = self._rebuild(unit.group, previous)
            yield unit.group, previous, name, unit.offset

    def _forward(self) -> Iterator[GroupUnit]:
        if not self._fresh:
            if not self._file.seekable():
                raise UnsupportedError("this input cannot be read twice: it is not seekable")
            self._file.seek(0)
            self._reader = UnitReader(self._file, self._limits)
            self._read_description()
        self._fresh = False
        # Other methods may move the file between two units of this pass, and before the first.
        seekable, reader = self._file.seekable(), self._reader
        while True:
            if seekable:
                self._file.seek(reader.offset)
            event = next(reader, None)
            if isinstance(event, Metadata):
                self.metadata |= event.members
            elif isinstance(event, GroupUnit):
                yield event
            elif isinstance(event, End) or event is None:
                return

    def _rebuild(self, group: Group, previous: GroupWeights | None) -> GroupWeights:
        grid = self.shape.grid(self.header.width, self.header.height)
        return rebuild_weights(self.shape, grid, previous, group.key, group.tables, group.network)

    def _load_index(self) -> list[IndexEntry]:
        if self._index is None:
            if not self._file.seekable():
                raise UnsupportedError("this input has no random access: it is not seekable")
            index = read_index(self._file, self._limits)
            if index is None:
                index = []
                try:
                    index.extend(scan_index(self._file, self._limits))
                except NrvError as error:
                    self._index_error = error
            if not index:
                raise self._index_error or CorruptError("the file has no group", rule="2.7")
            self._index = index
        return self._index

    def _read_group(self, ordinal: int) -> Group:
        entry = self._load_index()[ordinal]
        with located(f"GRUP {ordinal}", entry.offset):
            return read_group_at(
                self._file, entry, self.header, self._limits, self.shape.group_frames
            )

    def _weights(self, ordinal: int) -> tuple[Group, GroupWeights]:
        """A group and its weights, rebuilt from the key group before it or the ones kept."""
        if self._kept is not None and self._kept[0] == ordinal:
            return self._kept[1], self._kept[2]
        index = self._load_index()
        first = ordinal
        while first > 0 and not index[first].key:
            first -= 1
        weights: GroupWeights | None = None
        if self._kept is not None and first <= self._kept[0] < ordinal:
            first, weights, sequence = self._kept[0] + 1, self._kept[2], self._kept[3]
        else:
            sequence = GroupSequence(self.header.frame_count, index[first].first_frame)
        for number in range(first, ordinal + 1):
            group = self._read_group(number)
            with located(f"GRUP {number}", index[number].offset):
                sequence.accept(group, group.last_pts)
                weights = self._rebuild(group, weights)
        assert weights is not None
        self._kept = (ordinal, group, weights, sequence)
        return group, weights


def _cut(planes: Planes, region: tuple[int, int, int, int]) -> Planes:
    x0, y0, x1, y1 = region
    luma, blue, red = planes
    half = (slice(y0 // 2, -(-y1 // 2)), slice(x0 // 2, -(-x1 // 2)))
    return luma[y0:y1, x0:x1], blue[half], red[half]
