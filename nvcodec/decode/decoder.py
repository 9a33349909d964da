"""The streaming decoder: a file or pipe to frames, forward or at random, whole or in part."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Rational
from typing import Any, BinaryIO

from nvcodec.decode.access import FrameAccess, group_of, runs
from nvcodec.decode.devices import make_device
from nvcodec.decode.frame import Frame
from nvcodec.decode.models import GroupModel, check_limits, make_model
from nvcodec.format import (
    UNKNOWN_FRAME_COUNT,
    Chapter,
    Chapters,
    CorruptError,
    Damaged,
    Description,
    End,
    Event,
    Group,
    GroupSequence,
    GroupUnit,
    Hdr,
    Header,
    IndexEntry,
    Limits,
    Metadata,
    NrvError,
    Packet,
    Packets,
    Track,
    UnitReader,
    UnsupportedError,
    VerificationError,
    located,
    read_group_at,
    read_index,
    scan_index,
    scan_packets,
)
from nvcodec.media.colour import Colour
from nvcodec.media.remote import open_file
from nvcodec.model.description import Shape, parse_description
from nvcodec.model.formats import require_rendered
from nvcodec.model.resample import View, source_region
from nvcodec.picture import samples_crc


class _NoLengthError(UnsupportedError, TypeError):
    """The length is unknown; a TypeError too, so that `list(decoder)` works without it."""


@dataclass(frozen=True)
class _Rebuilt:
    """A group with its number, its place in the file, and its parameters once these are begun.

    `sequence` has accepted all groups up to this one.
    """

    group: Group
    ordinal: int
    offset: int
    sequence: GroupSequence | None = None
    parameters: Any = None

    @property
    def name(self) -> str:
        return f"GRUP {self.ordinal}"


class Decoder(FrameAccess):
    """Decodes one bitstream.

        with Decoder("clip.nrv") as decoder:
            for frame in decoder:
                use(frame.planes)
            still = decoder.render(100, size=(1280, 720), crop=(200, 100, 0, 0))
            some = decoder[[7, 3, 200]] + decoder[10:50:2] + [decoder.at(2.5)]
            clip = decoder.tensor(range(0, 32, 2), size=(224, 224))

    Iteration renders forward from the position that `seek` sets (0 at first), and works on pipes.
    `len`, random access (indexing, `render`, `pick`, `at`, `tensor`) and seeking back need a
    seekable file. Iterators and random access may be mixed. An object must be used by one thread
    only.

    Args:
        source: path, or binary file object. An object holds nothing but the bitstream, is at its
            start, and is not closed.
        device: "cpu" or "cuda"; the samples are the same.
        threads: worker threads, None for one per core; the samples are the same.
        batch: patches evaluated at once, None for the device's default; the samples are the same.
        tensors: with device "cuda", leave frames on the device: `Frame.planes` are then
            `torch.Tensor`s, computed on the stream that is current now. Resizing is done there too.
            CRCs are checked only with `verify`, which copies the samples to the host.
        limits: the reader's limits (spec 2.11), None for the defaults.

    Attributes:
        header: the HEAD unit.
        shape: the description of the model.
        metadata: members of the mETa units read so far.
        metadata_error: the error of the first damaged unit that no frame depends on (mETa, tracks,
            packets, chapters, HDR metadata), or None; decoding goes on.
        on_packets: called with the packets of tracks as iteration reads them from the start of the
            file, each time those of one track, before the frames of the groups that follow; None
            leaves them out. For inputs that are not seekable; otherwise see `packets`.

    Raises:
        NrvError: of the class that spec 2.10 gives, here and while decoding. Frames of groups
            before the damage are delivered first.
        UnsupportedError: also when the device or Triton is missing, or the device fails its test.
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
        self._device = make_device(device, threads, batch, tensors)
        self._tensors = tensors
        self._limits = limits or Limits()
        self._begun = time.monotonic()
        self._owned = isinstance(source, str | os.PathLike)
        self._file = open_file(source) if isinstance(source, str | os.PathLike) else source
        self.metadata: dict[str, object] = {}
        self.metadata_error: NrvError | None = None
        self.on_packets: Callable[[tuple[Packet, ...]], None] | None = None
        self._tracks: list[Track] = []
        self._chapters: tuple[Chapter, ...] = ()
        self._hdr: Hdr | None = None
        self._front: Event | None = None
        self._position = 0
        self._index: list[IndexEntry] | None = None
        self._index_error: NrvError | None = None
        self._kept: _Rebuilt | None = None
        try:
            self._reader = UnitReader(self._file, self._limits, lenient=True)
            self.header: Header = self._reader.open()
            self.shape: Shape = self._read_description()
            self._model: GroupModel[Any] = make_model(
                self.shape, self.header, self._device, self._check_seconds
            )
            self._limits.check_memory(self._model.most_bytes)
        except BaseException:
            self._close_file()
            raise
        self._colour = Colour.of(self.header)
        self._fresh = True

    def _check_seconds(self) -> None:
        self._limits.check_seconds(time.monotonic() - self._begun)

    def _read_description(self) -> Shape:
        for event in self._reader:
            if isinstance(event, Description):
                with located(str(self.header.description_type), event.offset):
                    shape = parse_description(self.header.model, event.payload)
                    check_limits(shape, self.header, self._limits)
                    require_rendered(self.header)
                self._reader.group_length = shape.group_frames
                return shape
        raise CorruptError("no description of the model", rule="2.3")

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks beside the video; reads on to the first packets or group, if need be."""
        self._read_front()
        return tuple(self._tracks)

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        """The chapters of the video; reads on as `tracks` does."""
        self._read_front()
        return self._chapters

    @property
    def hdr(self) -> Hdr | None:
        """Mastering display and light level, None without; reads on as `tracks` does."""
        self._read_front()
        return self._hdr

    def packets(self) -> Iterator[Packet]:
        """All packets of the tracks in the order of the file; no group is read.

        Raises:
            UnsupportedError: the input is not seekable: set `on_packets` and read frames.
            NrvError: the file is damaged or ends early, after the packets before that place.

        """
        if not self._file.seekable():
            raise UnsupportedError("this input gives packets with its frames: it is not seekable")
        yield from scan_packets(self._file, self._limits)

    def _read_front(self) -> None:
        """Read what stands before the first packets and groups, once."""
        if not self._fresh or self._front is not None:
            return
        if self._file.seekable():
            self._file.seek(self._reader.offset)
        # The reader raises its error again when frames are asked for.
        with contextlib.suppress(NrvError):
            while self._front is None:
                event = next(self._reader)
                if not self._keep(event):
                    self._front = event

    def _keep(self, event: Event) -> bool:
        """Keep what an event says about the whole file; False for an event of another kind."""
        if isinstance(event, Metadata):
            self.metadata |= event.members
            self.metadata_error = self.metadata_error or event.error
        elif isinstance(event, Damaged):
            self.metadata_error = self.metadata_error or event.error
        elif isinstance(event, Hdr):
            self._hdr = event
        elif isinstance(event, Chapters):
            self._chapters = event.chapters
        elif isinstance(event, Track):
            if event not in self._tracks:
                self._tracks.append(event)
        else:
            return False
        return True

    def close(self) -> None:
        """Stop the work in progress, and close the file if this decoder opened it."""
        self._model.close()
        self._close_file()

    def _close_file(self) -> None:
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

    def seek(self, frame: int) -> None:
        """Let iteration continue at `frame`, from 0; ValueError if it is negative."""
        if frame < 0:
            raise ValueError(f"frame {frame} is negative")
        self._position = frame

    def view(
        self, size: tuple[int, int] | None = None, crop: tuple[int, int, int, int] | None = None
    ) -> View:
        """The view with an output size (width, height) and a region (width, height, x, y) of it.

        Raises ViewError when spec 6.1 does not allow it.
        """
        header = self.header
        return View.of(header.width, header.height, size, crop, header.sample_format)

    def frame_at(self, seconds: float | Fraction) -> int:
        """Number of the frame that is shown at a time: from its `Frame.time` on, for its duration.

        Times of frames are rounded to floats if `seconds` is one: `frame_at(float(frame.time))` is
        `frame.index`. Raises IndexError before the first frame and from the end of the last one on.
        """
        base, exact = self.header.time_base, isinstance(seconds, Rational)

        def shown(pts: int) -> float | Fraction:
            return pts * base if exact else float(pts * base)

        index = self._load_index()
        ordinal = bisect_right(index, seconds, key=lambda entry: shown(entry.first_pts)) - 1
        group = self._read_group(max(0, ordinal))
        end = shown(group.last_pts + group.durations[-1])
        last = ordinal == len(index) - 1
        if ordinal < 0 or (last and not seconds < end):
            if last and self._index_error is not None:
                raise self._index_error
            begin = float(index[0].first_pts * base)
            raise IndexError(f"no frame is shown at {float(seconds)} s: the first is at {begin} s")
        return group.first_frame + bisect_right(group.pts, seconds, key=shown) - 1

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

        A group whose frames are all rendered at full size is checked against its CRC before any of
        its frames is delivered (VerificationError), unless frames stay on the device (`tensors`).
        With `verify`, all groups are rendered in full and checked. Reading from frame 0 to the end
        checks FEND too.

        When the first frame is requested, raises ValueError for a negative `start` or `count`, and
        ViewError when spec 6.1 does not allow the view. Raises NrvError as the class says.
        """
        if start < 0 or (count is not None and count < 0):
            raise ValueError(f"start {start} or count {count} is negative")
        view = self.view(size, crop)
        stop = None if count is None else start + count

        def wanted(group: Group) -> range:
            last = group.frame_count if stop is None else stop - group.first_frame
            return range(max(0, start - group.first_frame), min(group.frame_count, last))

        def begun(group: Group) -> range:
            return range(group.frame_count) if verify else wanted(group)

        for rebuilt in self._groups(start, None if verify else stop, begun):
            group = rebuilt.group
            if wanted(group) or verify:
                with located(rebuilt.name, rebuilt.offset):
                    yield from self._render(rebuilt, view, wanted(group), verify)
            if stop is not None and stop <= group.first_frame + group.frame_count and not verify:
                return

    def _render(
        self,
        rebuilt: _Rebuilt,
        view: View,
        frames: Sequence[int],
        verify: bool = False,
    ) -> Iterator[Frame]:
        width, height = self.header.width, self.header.height
        device, group = self._device, rebuilt.group
        render = functools.partial(self._model.render, rebuilt.parameters)
        location = self.header.chroma_location
        region = source_region(view, width, height, location)
        everything = region == (0, 0, width, height) and len(frames) == group.frame_count
        if verify or (everything and not self._tensors):
            pictures = render(range(group.frame_count))
            crc = samples_crc(device.on_host(pictures))
            if crc != group.crc:
                raise VerificationError(
                    f"rendered samples have CRC {crc:08x}, not {group.crc:08x}", rule="2.7"
                )
            cut = self.header.sample_format.crop
            pictures = [cut(pictures[k], region) for k in frames]
        else:
            pictures = render(frames, region)
        pts = group.pts
        for k, planes in zip(frames, pictures, strict=True):
            self._check_seconds()
            yield Frame(
                group.first_frame + k,
                pts[k],
                group.durations[k],
                self.header.time_base,
                device.resample(planes, region[:2], width, height, view, location),
                self._colour,
                device.place,
            )

    def _pick(self, numbers: list[int], view: View) -> Iterator[Frame]:
        """Frames by increasing number, each once."""
        index = self._load_index()
        wanted = sorted({group_of(index, number) for number in numbers})

        def within(group: Group) -> list[int]:
            end = group.first_frame + group.frame_count
            part = numbers[bisect_left(numbers, group.first_frame) : bisect_left(numbers, end)]
            return [number - group.first_frame for number in part]

        for run in runs(index, wanted):
            for rebuilt in self._rebuilt_run(run, within):
                group, following = rebuilt.group, rebuilt.ordinal + 1
                beyond = bisect_left(numbers, group.first_frame + group.frame_count)
                if following < len(index):
                    if beyond != bisect_left(numbers, index[following].first_frame):
                        raise CorruptError(
                            f"the index gives {rebuilt.name} other frames than it has", rule="2.8"
                        )
                elif beyond < len(numbers):
                    if self._index_error is not None:
                        raise self._index_error
                    raise IndexError(f"frame {numbers[beyond]} is not in the video")
                with located(rebuilt.name, rebuilt.offset):
                    yield from self._render(rebuilt, view, within(group))

    def _rebuilt_run(
        self, run: Sequence[int], begun: Callable[[Group], Sequence[int]]
    ) -> Iterator[_Rebuilt]:
        """The groups of a run (increasing ordinals), rebuilt one from the other."""
        if self._kept is not None and self._kept.ordinal == run[0]:
            yield self._kept
            run = run[1:]
        if not run:
            return
        units, previous = self._units(run[0], run[-1] + 1)
        for rebuilt in self._rebuild(units, previous, None, begun):
            self._kept = rebuilt
            if rebuilt.ordinal in run:
                yield rebuilt

    def groups(self, start: int = 0) -> Iterator[tuple[Group, Any, str, int]]:
        """Groups with their rebuilt parameters; nothing is rendered.

        Begins at the group that holds frame `start`, or at an earlier one if the file is not
        seekable. Gives the group, its parameters (GroupWeights in the sine model), its name in
        errors and the byte offset of its unit. Raises NrvError as iteration does.
        """
        for rebuilt in self._groups(start, None, lambda _: range(0)):
            yield rebuilt.group, rebuilt.parameters, rebuilt.name, rebuilt.offset

    def _groups(
        self, start: int, stop: int | None, begun: Callable[[Group], range]
    ) -> Iterator[_Rebuilt]:
        """The groups from that of frame `start` on, or from an earlier one.

        Groups from frame `stop` on may be left out. `begun` gives the frames of a group that will
        be rendered.
        """
        if not (start > 0 and self._file.seekable()):
            yield from self._rebuild(self._forward(), None, stop, begun)
            return
        index = self._load_index()
        ordinal = max(0, group_of(index, start))
        yield self._rebuilt_at(ordinal)
        units, previous = self._units(ordinal + 1, len(index))
        for rebuilt in self._rebuild(units, previous, stop, begun):
            self._kept = rebuilt
            if rebuilt.ordinal > ordinal:
                yield rebuilt
        if self._index_error is not None:
            raise self._index_error

    def _forward(self) -> Iterator[_Rebuilt]:
        if not self._fresh:
            if not self._file.seekable():
                raise UnsupportedError("this input cannot be read twice: it is not seekable")
            self._file.seek(0)
            self._reader = UnitReader(self._file, self._limits, lenient=True)
            self._read_description()
        self._fresh = False
        # Other methods may move the file before each unit of this pass.
        seekable, reader = self._file.seekable(), self._reader
        while True:
            if seekable:
                self._file.seek(reader.offset)
            self._check_seconds()
            event = self._front or next(reader, None)
            self._front = None
            if isinstance(event, GroupUnit):
                yield _Rebuilt(event.group, event.ordinal, event.offset)
            elif isinstance(event, Packets):
                if self.on_packets is not None:
                    self.on_packets(event.packets)
            elif isinstance(event, End) or event is None:
                return
            else:
                self._keep(event)

    def _rebuild(
        self,
        units: Iterable[_Rebuilt],
        previous: Any,
        stop: int | None,
        begun: Callable[[Group], Sequence[int]],
    ) -> Iterator[_Rebuilt]:
        """Groups with their parameters, begun as many groups ahead as the model asks for.

        Errors in a group ahead are raised when its turn comes. A pipe is not read ahead, as the
        next group may arrive late.
        """
        model = self._model
        ahead = model.ahead if self._file.seekable() else 0
        waiting: deque[_Rebuilt] = deque()
        units, ended = iter(units), False
        failure: NrvError | OSError | None = None
        while True:
            while not ended and len(waiting) <= ahead:
                try:
                    unit = next(units, None)
                    if unit is None:
                        ended = True
                        break
                    group = unit.group
                    with located(unit.name, unit.offset):
                        previous = model.rebuild(group, previous, begun(group))
                except (NrvError, OSError) as error:
                    failure, ended = error, True
                    break
                waiting.append(replace(unit, parameters=previous))
                ended = stop is not None and group.first_frame + group.frame_count >= stop
            if not waiting:
                if failure is not None:
                    raise failure
                return
            rebuilt = waiting.popleft()
            with located(rebuilt.name, rebuilt.offset):
                model.settle(rebuilt.parameters)
            yield rebuilt

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

    def _units(self, ordinal: int, end: int) -> tuple[Iterator[_Rebuilt], Any]:
        """The groups from `ordinal` to `end`, and before them those still to be rebuilt for it.

        Also returns the parameters of the group before the first of these.
        """
        index = self._load_index()
        first = min(ordinal, len(index) - 1)
        while first > 0 and not index[first].key:
            first -= 1
        previous: Any = None
        sequence = GroupSequence(self.header.frame_count, index[first].first_frame)
        if self._kept is not None and first <= self._kept.ordinal < ordinal:
            first, previous = self._kept.ordinal + 1, self._kept.parameters
            assert self._kept.sequence is not None
            sequence = self._kept.sequence

        def units() -> Iterator[_Rebuilt]:
            last = sequence
            for number in range(first, end):
                group = self._read_group(number)
                last = copy.copy(last)
                with located(f"GRUP {number}", index[number].offset):
                    last.accept(group, group.last_pts)
                yield _Rebuilt(group, number, index[number].offset, last)

        return units(), previous

    def _rebuilt_at(self, ordinal: int) -> _Rebuilt:
        """A group, rebuilt from the last key group before it, or from the group kept in memory."""
        if self._kept is None or self._kept.ordinal != ordinal:
            units, previous = self._units(ordinal, ordinal + 1)
            for rebuilt in self._rebuild(units, previous, None, lambda _: range(0)):
                self._kept = rebuilt
        assert self._kept is not None
        return self._kept
