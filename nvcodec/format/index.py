"""The iNDX and FEND units (spec 2.8, 2.9): takes payloads, gives entries and the end."""

import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

import construct as c

from nvcodec.format.errors import CorruptError
from nvcodec.format.units import UNIT_OVERHEAD_BYTES

_COUNT_BYTES: Final = 4
_ENTRY: Final = struct.Struct("<QIqB")

_FEND: Final = c.Struct(
    "frame_count" / c.Int32ul,
    "md5" / c.Bytes(16),
    "index_offset" / c.Int64ul,
)

FEND_BYTES: Final[int] = _FEND.sizeof()
FEND_UNIT_BYTES: Final = FEND_BYTES + UNIT_OVERHEAD_BYTES
"""Bytes of the whole FEND unit, the last unit of a complete file."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """Where a group is (spec 2.8).

    Attributes:
        offset: of the type field of its GRUP unit, in bytes from the start of the file.
        first_frame: index of its first frame.
        first_pts: presentation time of its first frame in ticks of the time base.
        key: True for a key group.

    """

    offset: int
    first_frame: int
    first_pts: int
    key: bool

    def build(self) -> bytes:
        """The 21 bytes of the entry in the payload of iNDX."""
        return _ENTRY.pack(self.offset, self.first_frame, self.first_pts, int(self.key))


def index_bytes(count: int) -> int:
    """Bytes of the payload of an iNDX unit of `count` entries."""
    return _COUNT_BYTES + _ENTRY.size * count


def build_index(entries: Iterable[bytes]) -> bytes:
    """The payload of an iNDX unit from its entries, 21 bytes each."""
    joined = b"".join(entries)
    return (len(joined) // _ENTRY.size).to_bytes(_COUNT_BYTES, "little") + joined


def parse_index(payload: bytes) -> list[IndexEntry]:
    """Read the payload of an iNDX unit.

    Raises:
        CorruptError: its length is not that of `count` entries, an undefined flag is set, the
            first group is not a key group, or offsets, frames and times do not increase.

    """
    count = int.from_bytes(payload[:_COUNT_BYTES], "little")
    if len(payload) != index_bytes(count):
        raise CorruptError(
            f"the payload is {len(payload)} bytes, {count} entries need {index_bytes(count)}",
            rule="2.8",
        )
    entries: list[IndexEntry] = []
    for offset, first_frame, first_pts, flags in _ENTRY.iter_unpack(payload[_COUNT_BYTES:]):
        if flags > 1:
            raise CorruptError(f"flags {flags:#04x} has undefined bits set", rule="2.8")
        entry = IndexEntry(offset, first_frame, first_pts, bool(flags))
        if not entries:
            ordered = entry.key and first_frame == 0
        else:
            last = entries[-1]
            ordered = (
                offset > last.offset
                and first_frame > last.first_frame
                and first_pts > last.first_pts
            )
        if not ordered:
            raise CorruptError(f"entry {len(entries)} is not that of a later group", rule="2.8")
        entries.append(entry)
    return entries


@dataclass(frozen=True, slots=True)
class End:
    """The fields of FEND (spec 2.9).

    Attributes:
        frame_count: frames of the file.
        md5: 16 bytes, MD5 of the little-endian `crc` fields of all groups.
        index_offset: offset of the iNDX unit from the start of the file, or 0 without one.

    """

    frame_count: int
    md5: bytes
    index_offset: int

    @classmethod
    def parse(cls, payload: bytes) -> "End":
        """Read the payload of a FEND unit, 28 bytes.

        Raises:
            CorruptError: it has another length.

        """
        if len(payload) != FEND_BYTES:
            raise CorruptError(f"the payload is {len(payload)} bytes, not {FEND_BYTES}", rule="2.9")
        fields = _FEND.parse(payload)
        return cls(fields.frame_count, fields.md5, fields.index_offset)

    def build(self) -> bytes:
        """The payload of a FEND unit, 28 bytes."""
        payload: bytes = _FEND.build(asdict(self))
        return payload
