"""Reading a bitstream (spec 2): takes a binary file object, gives checked units in order.

UnitReader reads forward and never seeks; read_index, scan_index and read_group_at need seeking.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from nvcodec.format.chapters import MAX_CHAPTERS_BYTES, Chapter, parse_chapters
from nvcodec.format.errors import CorruptError, NrvError, OverLimitError, TruncatedError, located
from nvcodec.format.fields import Fields
from nvcodec.format.group import GROUP_START_BYTES, Group, GroupHeader, GroupSequence
from nvcodec.format.hdr import Hdr, parse_hdr
from nvcodec.format.header import UNKNOWN_FRAME_COUNT, Header
from nvcodec.format.index import FEND_UNIT_BYTES, End, IndexEntry, parse_index
from nvcodec.format.limits import Limits
from nvcodec.format.metadata import MAX_METADATA, parse_metadata
from nvcodec.format.packets import parse_packets
from nvcodec.format.tracks import MAX_TRACK_BYTES, MAX_TRACKS, Packet, Track, parse_track
from nvcodec.format.units import (
    APKT,
    ATRK,
    BESIDE_VIDEO,
    CHAP,
    FEND,
    GRUP,
    HDRM,
    HEAD,
    INDX,
    KNOWN_TYPES,
    MAX_BYTES_BEFORE_HEAD,
    META,
    SIGNATURE,
    UNIT_HEADER_BYTES,
    UNIT_OVERHEAD_BYTES,
    ByteSource,
    Readable,
    SeekableFile,
    UnitHeader,
    UnitOrder,
    UnitType,
    read_payload,
    read_signature,
    read_unit_header,
    skip_payload,
)

_DEFAULT_LIMITS: Final = Limits()

# Bounds on payloads beside those of the level (spec 2.13, 2.14).
_MOST_BYTES: Final = {CHAP: (MAX_CHAPTERS_BYTES, "2.13"), ATRK: (MAX_TRACK_BYTES, "2.14")}


@dataclass(frozen=True, slots=True)
class Description:
    """The payload of the unit that describes the model (spec 4.1, 7.1), not yet parsed."""

    payload: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """The JSON object of one mETa unit (spec 2.6); empty, with the error, where it is damaged."""

    members: dict[str, Any]
    error: NrvError | None = None


@dataclass(frozen=True, slots=True)
class Chapters:
    """The chapters of a cHAP unit (spec 2.13)."""

    chapters: tuple[Chapter, ...]


@dataclass(frozen=True, slots=True)
class Packets:
    """The packets of an aPKt unit (spec 2.15), all of one track."""

    packets: tuple[Packet, ...]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A unit beside the video that is damaged, and what is wrong with it."""

    type: UnitType
    error: NrvError


@dataclass(frozen=True, slots=True)
class GroupUnit:
    """A group, its number from 0, and the offset of its unit from the start of the file."""

    group: Group
    ordinal: int
    offset: int


Event = Description | Metadata | Hdr | Chapters | Track | Packets | Damaged | GroupUnit | End


class _Beside:
    """The units of one file that stand beside its video, and the tracks that they announce."""

    def __init__(self) -> None:
        self.tracks: dict[int, Track] = {}
        self._metadata = 0

    def parse(self, unit: UnitType, payload: bytes) -> Metadata | Hdr | Chapters | Track | Packets:
        """Read the payload of the next unit of BESIDE_VIDEO."""
        if unit == META:
            self._metadata += 1
            if self._metadata > MAX_METADATA:
                raise OverLimitError(f"more than {MAX_METADATA} units of metadata", rule="2.6")
            return Metadata(parse_metadata(payload))
        if unit == HDRM:
            return parse_hdr(payload)
        if unit == CHAP:
            return Chapters(parse_chapters(payload))
        if unit == APKT:
            return Packets(parse_packets(payload, self.tracks))
        track = parse_track(payload)
        if len(self.tracks) == MAX_TRACKS:
            raise OverLimitError(f"more than {MAX_TRACKS} tracks", rule="2.14")
        if track.number <= max(self.tracks, default=-1):
            raise CorruptError(
                f"number {track.number} is not above that of the track before", rule="2.14"
            )
        self.tracks[track.number] = track
        return track


class UnitReader:
    """Reads a bitstream forward from any binary file object, pipes included.

    Iteration gives one Description, any number of Metadata, Hdr, Chapters, Tracks, the GroupUnits
    in display order with Packets before, between and after them, then End, each as soon as its unit
    is read. Everything given so far conforms to spec 2; once End is given, the whole file does. The
    first error is final: further calls raise it again.

    Args:
        file: has `read(size)`; it may return fewer bytes than asked for.
        limits: what to accept; a file also keeps within its level.
        lenient: whether units that the video does not need may be damaged: such a mETa gives a
            Metadata with the error, another unit a Damaged.

    Attributes:
        group_length: the group length of the description, which bounds the frames of a
            group; set it after Description has been given. None until then: no bound.

    """

    def __init__(
        self, file: Readable, limits: Limits = _DEFAULT_LIMITS, *, lenient: bool = False
    ) -> None:
        self.group_length: int | None = None
        self._lenient = lenient
        self._source = ByteSource(file)
        self._limits = limits
        self._header: Header | None = None
        self._order: UnitOrder
        self._sequence: GroupSequence
        self._beside = _Beside()
        self._crcs = hashlib.md5(usedforsecurity=False)
        # A digest of the index entries, as the entries would grow with the length of a stream.
        self._entries = hashlib.blake2b()
        self._entry: IndexEntry | None = None
        self._index_offset = 0
        self._failure: NrvError | OSError | None = None
        self._ended = False

    @property
    def offset(self) -> int:
        """Bytes taken from the file so far."""
        return self._source.offset

    def open(self) -> Header:
        """Read the signature and HEAD, unless that is done.

        Raises:
            NrvError: of the class that spec 2.10 gives.
            OSError: from the file object.

        """
        if self._failure is not None:
            raise self._failure
        if self._header is None:
            try:
                self._header = _read_head(self._source, self._limits)
            except (NrvError, OSError) as error:
                self._failure = error
                raise
            self._order = UnitOrder(self._header.description_type)
            self._sequence = GroupSequence(self._header.frame_count)
        return self._header

    @property
    def header(self) -> Header:
        """The header of the bitstream, read by `open` if it has not been."""
        return self.open()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        header = self.open()
        if self._ended:
            raise StopIteration
        try:
            event = None
            while event is None:
                event = self._read_unit(header)
        except (NrvError, OSError) as error:
            self._failure = error
            raise
        return event

    def _read_unit(self, header: Header) -> Event | None:
        offset = self._source.offset
        with located(None, offset):
            unit = read_unit_header(self._source)
        ordinal = self._sequence.group_count
        with located(_unit_name(unit, ordinal), offset):
            self._limits.check("unit_bytes", unit.length, header.level)
            if unit.type in BESIDE_VIDEO:
                return self._read_beside(unit, offset)
            # The CRC covers the type, so it is checked before the type is interpreted.
            if unit.type not in KNOWN_TYPES:
                skip_payload(self._source, unit)
                self._order.admit(unit.type)
                return None
            payload = read_payload(self._source, unit)
            self._order.admit(unit.type)
            if unit.type == GRUP:
                return GroupUnit(self._take_group(payload, header, offset), ordinal, offset)
            if unit.type == INDX:
                self._check_index(payload)
                self._index_offset = offset
                return None
            if unit.type == FEND:
                return self._take_end(payload, header)
            return Description(payload, offset)

    def _read_beside(self, unit: UnitHeader, offset: int) -> Event:
        payload = b""
        damage: NrvError | None = None
        try:
            with located(str(unit.type), offset):
                payload = self._read_bounded(unit)
        except (CorruptError, OverLimitError) as error:
            if not self._lenient:
                raise
            damage = error
        self._order.admit(unit.type)
        if damage is None:
            try:
                with located(str(unit.type), offset):
                    return self._beside.parse(unit.type, payload)
            except (CorruptError, OverLimitError) as error:
                if not self._lenient:
                    raise
                damage = error
        return Metadata({}, damage) if unit.type == META else Damaged(unit.type, damage)

    def _read_bounded(self, unit: UnitHeader) -> bytes:
        most, rule = _MOST_BYTES.get(unit.type, (unit.length, None))
        if unit.length <= most:
            return read_payload(self._source, unit)
        skip_payload(self._source, unit)
        raise OverLimitError(f"{unit.length} payload bytes, at most {most}", rule=rule)

    def _take_group(self, payload: bytes, header: Header, offset: int) -> Group:
        group = Group.parse(payload, self.group_length)
        group.require_model(header.model)
        self._sequence.accept(group, group.last_pts)
        self._crcs.update(group.crc.to_bytes(4, "little"))
        entry = IndexEntry(offset, group.first_frame, group.first_pts, group.key)
        self._entries.update(entry.build(self._entry))
        self._entry = entry
        return group

    def _check_index(self, payload: bytes) -> None:
        groups = self._sequence.group_count
        fields = Fields(payload, "2.8")
        count = fields.unsigned()
        entries = hashlib.blake2b(fields.rest())
        if count != groups or entries.digest() != self._entries.digest():
            raise CorruptError(f"the entries are not those of the {groups} groups", rule="2.8")

    def _take_end(self, payload: bytes, header: Header) -> End:
        end = End.parse(payload)
        if end.frame_count != self._sequence.next_frame:
            raise CorruptError(
                f"frame_count {end.frame_count}, but the groups have {self._sequence.next_frame}",
                rule="2.9",
            )
        if header.frame_count not in (end.frame_count, UNKNOWN_FRAME_COUNT):
            raise CorruptError(
                f"frame_count {end.frame_count}, but HEAD states {header.frame_count}", rule="2.9"
            )
        if end.md5 != self._crcs.digest():
            raise CorruptError("the MD5 of the group CRCs does not match", rule="2.9")
        if end.index_offset != self._index_offset:
            raise CorruptError(
                f"index_offset {end.index_offset} is not {self._index_offset}", rule="2.9"
            )
        if self._source.read(1):
            raise CorruptError("bytes follow FEND", rule="2.3")
        self._ended = True
        return end


def read_index(file: SeekableFile, limits: Limits = _DEFAULT_LIMITS) -> list[IndexEntry] | None:
    """The entries of iNDX, found through the last 40 bytes of the file (spec 2.8, 2.9).

    Returns:
        One entry for each group, or None when the file is incomplete or its index missing or
        damaged: then scan_index finds the groups. An entry is a hint that read_group_at checks.

    Raises:
        NrvError: the signature or HEAD cannot be read.
        OSError: from the file object.

    """
    file.seek(0)
    header = _read_head(ByteSource(file), limits)
    size = file.seek(0, os.SEEK_END)
    try:
        end_payload = _read_unit_at(file, size - FEND_UNIT_BYTES, FEND, header, limits)
        end = End.parse(end_payload)
        payload = _read_unit_at(file, end.index_offset, INDX, header, limits)
        return parse_index(payload, end.index_offset)
    except NrvError:
        return None


def scan_index(file: SeekableFile, limits: Limits = _DEFAULT_LIMITS) -> Iterator[IndexEntry]:
    """Find the groups by walking from unit to unit, without reading payloads or checking CRCs.

    Yields:
        One entry for each complete GRUP unit, up to FEND or the damage that ends the walk. The
        position of the file is not kept between entries: others may move it.

    Raises:
        NrvError: when the walk cannot go on, after the entries before that place.
        OSError: from the file object.

    """
    sequence: GroupSequence | None = None
    for at in _walk(file, limits):
        if at.unit.type == GRUP:
            sequence = sequence or GroupSequence(at.header.frame_count)
            with located(at.name, at.offset):
                payload = at.source.read(min(at.unit.length, GROUP_START_BYTES))
                group = GroupHeader.parse_start(payload)
                # Durations are not read; each is at least 1.
                sequence.accept(group, group.first_pts + group.frame_count - 1)
            yield IndexEntry(at.offset, group.first_frame, group.first_pts, group.key)


def scan_packets(file: SeekableFile, limits: Limits = _DEFAULT_LIMITS) -> Iterator[Packet]:
    """The packets of all tracks in the order of the file (spec 2.15); groups are not read.

    The position of the file is not kept between packets: others may move it.

    Raises:
        NrvError: when a unit of a track is damaged or the walk cannot go on, after the packets
            before that place.
        OSError: from the file object.

    """
    beside = _Beside()
    for at in _walk(file, limits):
        if at.unit.type in (ATRK, APKT):
            with located(at.name, at.offset):
                found = beside.parse(at.unit.type, read_payload(at.source, at.unit))
            if isinstance(found, Packets):
                yield from found.packets


@dataclass(frozen=True, slots=True)
class _Place:
    """A unit that a walk has come to: `source` is at its payload, which is whole."""

    header: Header
    unit: UnitHeader
    name: str
    offset: int
    source: ByteSource


def _walk(file: SeekableFile, limits: Limits) -> Iterator[_Place]:
    """Go from unit to unit up to FEND, with the order checked but not the CRCs."""
    file.seek(0)
    source = ByteSource(file)
    header = _read_head(source, limits)
    order = UnitOrder(header.description_type)
    size = file.seek(0, os.SEEK_END)
    offset = source.offset
    groups = 0
    while True:
        file.seek(offset)
        source = ByteSource(file, offset)
        with located(None, offset):
            unit = read_unit_header(source)
        name = _unit_name(unit, groups)
        with located(name, offset):
            limits.check("unit_bytes", unit.length, header.level)
            end = source.offset + unit.length + UNIT_OVERHEAD_BYTES - UNIT_HEADER_BYTES
            if end > size:
                raise TruncatedError(f"the unit ends at byte {end} of a file of {size}", rule="2.2")
            order.admit(unit.type)
            if unit.type == FEND:
                if end != size:
                    raise CorruptError("bytes follow FEND", rule="2.3")
                return
        yield _Place(header, unit, name, offset, source)
        groups += unit.type == GRUP
        offset = end


def read_group_at(
    file: SeekableFile,
    entry: IndexEntry,
    header: Header,
    limits: Limits = _DEFAULT_LIMITS,
    group_length: int | None = None,
) -> Group:
    """Read the group that an index entry points to (spec 2.8).

    GroupSequence(header.frame_count, entry.first_frame) checks that groups read one after
    another, from a key group on, belong together.

    Args:
        file: the file of the entry.
        entry: from read_index or scan_index.
        header: the header of the file.
        limits: what to accept.
        group_length: that of the description, or None for no bound.

    Raises:
        NrvError: there is no sound GRUP unit at the offset, or it is not the entry's.
        OSError: from the file object.

    """
    payload = _read_unit_at(file, entry.offset, GRUP, header, limits)
    with located(str(GRUP), entry.offset):
        group = Group.parse(payload, group_length)
        group.require_model(header.model)
        found = IndexEntry(entry.offset, group.first_frame, group.first_pts, group.key)
        if found != entry:
            raise CorruptError("the group is not the one of the index entry", rule="2.8")
    return group


def _read_head(source: ByteSource, limits: Limits) -> Header:
    with located(None, source.offset):
        read_signature(source)
    offset = source.offset
    with located(None, offset):
        unit = read_unit_header(source)
        if unit.type != HEAD:
            raise CorruptError(f"{unit.type} before HEAD", rule="2.3")
    with located(str(HEAD), offset):
        if unit.length > MAX_BYTES_BEFORE_HEAD:
            raise OverLimitError(
                f"{unit.length} payload bytes, at most {MAX_BYTES_BEFORE_HEAD} here", rule="2.2"
            )
        header = Header.parse(read_payload(source, unit))
        limits.check("luma_samples", header.counted_samples, header.level)
    return header


def _read_unit_at(
    file: SeekableFile, offset: int, expected: UnitType, header: Header, limits: Limits
) -> bytes:
    size = file.seek(0, os.SEEK_END)
    with located(str(expected), offset):
        if not len(SIGNATURE) <= offset <= size - UNIT_OVERHEAD_BYTES:
            raise CorruptError(f"the file of {size} bytes has no unit there", rule="2.8")
        file.seek(offset)
        source = ByteSource(file, offset)
        unit = read_unit_header(source)
        if unit.type != expected:
            raise CorruptError(f"the unit there is {unit.type}", rule="2.8")
        limits.check("unit_bytes", unit.length, header.level)
        return read_payload(source, unit)


def _unit_name(unit: UnitHeader, ordinal: int) -> str:
    return f"{unit.type} {ordinal}" if unit.type == GRUP else str(unit.type)
