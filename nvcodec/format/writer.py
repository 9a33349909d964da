"""Writing a bitstream (spec 2): takes a header and groups, gives bytes to a file object."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from nvcodec.format.chapters import Chapter, build_chapters
from nvcodec.format.errors import CorruptError, NrvError, OverLimitError, located
from nvcodec.format.group import Group, GroupSequence
from nvcodec.format.hdr import Hdr, build_hdr
from nvcodec.format.header import UNKNOWN_FRAME_COUNT, Header
from nvcodec.format.index import End, IndexEntry, build_index
from nvcodec.format.limits import LEVELS, Level
from nvcodec.format.metadata import build_metadata
from nvcodec.format.packets import PACKET_OVERHEAD_BYTES, build_packets, cut_to_units
from nvcodec.format.tracks import MAX_TRACKS, Packet, Track, build_track
from nvcodec.format.units import (
    APKT,
    ATRK,
    CHAP,
    FEND,
    GRUP,
    HDRM,
    HEAD,
    INDX,
    META,
    SIGNATURE,
    UnitType,
    Writable,
    build_unit,
)

_MOST_MARKS: Final = 9
"""Places that are kept; so up to eight groups can be dropped to make room for the end of a file."""

_MOST_COUNT_BYTES: Final = 5
"""The most bytes of `count` in iNDX: there are fewer than 2^32 groups."""


class _State(Enum):
    NEW = auto()
    OPEN = auto()
    FINISHED = auto()
    BROKEN = auto()


@dataclass(frozen=True)
class _Mark:
    """What a file holds up to a place between two units: behind its start, or behind a group."""

    offset: int
    sequence: GroupSequence
    crcs: Any
    entries: int = 0
    entry: IndexEntry | None = None
    entry_bytes: int = 0

    def after(self, group: Group) -> GroupSequence:
        """The sequence with the next group; CorruptError if it cannot follow (spec 2.7, 2.9)."""
        sequence = copy(self.sequence)
        sequence.accept(group, group.last_pts)
        return sequence


_WRONG_CALL: Final = {
    _State.NEW: "begin has not been called",
    _State.OPEN: "begin has been called before",
    _State.FINISHED: "the bitstream is finished",
    _State.BROKEN: "an earlier write failed",
}


class NrvWriter:
    """Writes a bitstream to any binary file object, pipes included, never going back.

    The file object is flushed after each call, so that a reader at the other end of a pipe gets
    each group when it is added. A call that raises NrvError has written nothing and may be
    repeated with other arguments. An interrupt at any place leaves a writer that can `finish`, or
    `finish_cut` where it came within a write.

    Args:
        file: has `write(bytes)`, which returns how many bytes it took, and `flush()`; it must be
            at its start.

    """

    def __init__(self, file: Writable) -> None:
        self._file = file
        self._state = _State.NEW
        self._header: Header
        self._level: Level
        self._tracks: dict[int, Track] = {}
        self._entries: list[bytes] = []
        self._offset = 0
        # The last one is where the file stands. All changes with one call of `append`.
        self._marks: deque[_Mark] = deque(maxlen=_MOST_MARKS)

    @property
    def offset(self) -> int:
        """Bytes written so far."""
        return self._offset

    @property
    def finished(self) -> bool:
        """Whether the end has been written that makes the file valid."""
        return self._state is _State.FINISHED

    @property
    def packet_bytes(self) -> int:
        """The most bytes of a packet that the level of the file allows."""
        return self._level.unit_bytes - PACKET_OVERHEAD_BYTES

    def begin(
        self,
        header: Header,
        description: bytes,
        metadata: dict[str, Any] | None = None,
        *,
        hdr: Hdr | None = None,
        chapters: Sequence[Chapter] = (),
        tracks: Sequence[Track] = (),
    ) -> None:
        """Write the signature, HEAD, the description of the model, and what is given of the rest.

        Args:
            header: of the file; its level bounds everything that follows.
            description: payload of the unit that describes the model (spec 4.1, 7.1).
            metadata: the JSON object of mETa (spec 2.6).
            hdr: of hDRm (spec 2.12).
            chapters: of cHAP (spec 2.13).
            tracks: one aTRK each (spec 2.14), their numbers ascending.

        Raises:
            CorruptError: the metadata breaks spec 2.6, or another argument its clause.
            OverLimitError: a value is above its level's bound (spec 2.11) or that of its clause.
            OSError: from the file object.

        """
        self._require(_State.NEW)
        level = LEVELS[header.level]
        with located(str(HEAD), len(SIGNATURE)):
            level.check("luma_samples", header.counted_samples)
        units = [(HEAD, header.build()), (header.description_type, description)]
        if metadata is not None:
            units.append((META, build_metadata(metadata)))
        if hdr is not None:
            units.append((HDRM, build_hdr(hdr)))
        if chapters:
            units.append((CHAP, build_chapters(chapters)))
        _require_numbers(tracks)
        units += ((ATRK, build_track(track)) for track in tracks)
        data = SIGNATURE
        for unit, payload in units:
            data += _build_checked(unit, payload, level, len(data))
        self._header = header
        self._level = level
        self._tracks = {track.number: track for track in tracks}
        self._write(data)
        crcs = hashlib.md5(usedforsecurity=False)
        self._marks.append(_Mark(self._offset, GroupSequence(header.frame_count), crcs))
        self._state = _State.OPEN

    def add_packets(self, packets: Iterable[Packet]) -> None:
        """Write packets of the tracks, before the next group or after the last (spec 2.15).

        Packets of a track keep their order; units come in order of time.

        Raises:
            CorruptError: a packet is of no track of the file, or breaks spec 2.15.
            OverLimitError: a packet is longer than the level allows (spec 2.11).
            OSError: from the file object.

        """
        self._require(_State.OPEN)
        data = b""
        for unit in cut_to_units(packets, self._tracks, self._level.unit_bytes):
            payload = build_packets(unit, self._tracks[unit[0].track])
            data += _build_checked(APKT, payload, self._level, self._offset + len(data))
        if data:
            self._write(data)
            self._state = _State.OPEN

    def add_group(self, group: Group) -> None:
        """Write the next group.

        Raises:
            CorruptError: the group is not one of the model or cannot follow those before it
                (spec 2.7), or the file then has more frames than its header states (spec 2.9).
            OverLimitError: the unit is longer than the level allows (spec 2.11).
            OSError: from the file object.

        """
        self._require(_State.OPEN)
        before = self._marks[-1]
        del self._entries[before.entries :]
        with located(f"{GRUP} {before.sequence.group_count}", self._offset):
            group.require_model(self._header.model)
            data = _build_checked(GRUP, group.build(), self._level, self._offset)
            sequence = before.after(group)
        crcs = before.crcs.copy()
        crcs.update(group.crc.to_bytes(4, "little"))
        entry, entry_bytes = before.entry, before.entry_bytes
        # A file with more groups than iNDX can list gets no index: it is optional.
        if before.entries == before.sequence.group_count:
            entry = IndexEntry(self._offset, group.first_frame, group.first_pts, group.key)
            coded = entry.build(before.entry)
            entry_bytes += len(coded)
            if entry_bytes + _MOST_COUNT_BYTES <= self._level.unit_bytes:
                self._entries.append(coded)
        self._write(data)
        entries = len(self._entries)
        self._marks.append(_Mark(self._offset, sequence, crcs, entries, entry, entry_bytes))
        self._state = _State.OPEN

    def finish(self) -> None:
        """Write iNDX and FEND; the file object is left open.

        Raises:
            CorruptError: there is no group (spec 2.3), or fewer frames than the header states
                (spec 2.9).
            OSError: from the file object.

        """
        self._require(_State.OPEN)
        mark = self._marks[-1]
        frame_count, group_count = mark.sequence.next_frame, mark.sequence.group_count
        with located(str(FEND), self._offset):
            if not group_count:
                raise CorruptError("there is no group to finish a file with", rule="2.3")
            if self._header.frame_count not in (frame_count, UNKNOWN_FRAME_COUNT):
                raise CorruptError(
                    f"the groups have {frame_count} frames,"
                    f" but HEAD states {self._header.frame_count}",
                    rule="2.9",
                )
        indexed = mark.entries == group_count
        index = build_unit(INDX, build_index(self._entries[:group_count])) if indexed else b""
        end = End(frame_count, mark.crcs.digest(), self._offset if indexed else 0)
        self._write(index + build_unit(FEND, end.build()))
        self._state = _State.FINISHED

    def finish_cut(self, cut: Callable[[int], None]) -> int:
        """Finish a file whose last write failed, behind the last group that leaves room for it.

        Args:
            cut: cuts the file object to a number of bytes, and moves it to its end.

        Returns:
            The groups of the file.

        Raises:
            NrvError: no write has failed, or there is no group to finish a file with.
            OSError: from the file object, also without the last eight groups.

        """
        self._require(_State.BROKEN)
        failure: NrvError | OSError = NrvError("no group has been written", rule="2.3")
        while self._marks and self._marks[-1].sequence.group_count:
            mark = self._marks[-1]
            try:
                cut(mark.offset)
                self._offset = mark.offset
                self._state = _State.OPEN
                self.finish()
            except OSError as error:
                failure = error
                self._marks.pop()
            else:
                return mark.sequence.group_count
        self._state = _State.BROKEN
        raise failure

    def _require(self, state: _State) -> None:
        if self._state is not state:
            raise NrvError(_WRONG_CALL[self._state], rule="2.3")

    def _write(self, data: bytes) -> None:
        # After an error here, until the caller has noted what was written, the state of the file is
        # not known.
        self._state = _State.BROKEN
        while data:
            written = self._file.write(data)
            if written is None:
                raise BlockingIOError("the output is in non-blocking mode and takes no bytes yet")
            self._offset += written
            data = data[written:]
        self._file.flush()


def _require_numbers(tracks: Sequence[Track]) -> None:
    if len(tracks) > MAX_TRACKS:
        raise OverLimitError(f"{len(tracks)} tracks, at most {MAX_TRACKS}", rule="2.14")
    numbers = [track.number for track in tracks]
    if numbers != sorted(set(numbers)):
        raise CorruptError(f"track numbers {numbers} do not ascend", rule="2.14")


def _build_checked(unit: UnitType, payload: bytes, level: Level, offset: int) -> bytes:
    with located(str(unit), offset):
        level.check("unit_bytes", len(payload))
    return build_unit(unit, payload)
