"""The iNDX and FEND units (spec 2.8, 2.9): takes payloads, gives entries and the end."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import construct as c

from nvcodec.format.errors import CorruptError
from nvcodec.format.fields import Fields, signed_bytes, unsigned_bytes
from nvcodec.format.group import LEAST_PAYLOAD_BYTES
from nvcodec.format.units import UNIT_OVERHEAD_BYTES

_RULE: Final = "2.8"

_MOST_FRAME: Final = (1 << 32) - 2
_MOST_PTS: Final = (1 << 63) - 1

LEAST_GROUP_BYTES: Final = LEAST_PAYLOAD_BYTES + UNIT_OVERHEAD_BYTES
"""Bytes of the shortest GRUP unit."""

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

    def build(self, before: "IndexEntry | None") -> bytes:
        """The entry in the payload of iNDX, after the entry `before`; None at the start."""
        distance, frames, ticks = self.offset, self.first_frame, signed_bytes(self.first_pts)
        if before is not None:
            distance -= before.offset
            frames -= before.first_frame
            ticks = unsigned_bytes(self.first_pts - before.first_pts)
        return unsigned_bytes(distance) + unsigned_bytes(2 * frames + self.key) + ticks


def build_index(entries: Sequence[bytes]) -> bytes:
    """The payload of an iNDX unit from its coded entries."""
    return unsigned_bytes(len(entries)) + b"".join(entries)


def parse_index(payload: bytes, index_offset: int) -> list[IndexEntry]:
    """Read the payload of an iNDX unit.

    Entries lie as far apart as the shortest groups and before the unit, which begins at
    `index_offset`. So their number is bounded by the bytes of the file.

    Raises:
        CorruptError: the payload is not `count` entries, a field is outside its rule, the first
            group is not a key group, or frames and times do not increase.

    """
    fields = Fields(payload, _RULE)
    count = fields.unsigned()
    entries: list[IndexEntry] = []
    offset = first_frame = first_pts = 0
    for number in range(count):
        distance, frames = fields.unsigned(), fields.unsigned()
        ticks = fields.unsigned() if number else fields.signed()
        offset, first_frame, first_pts = (
            offset + distance, first_frame + (frames >> 1), first_pts + ticks
        )  # fmt: skip
        entry = IndexEntry(offset, first_frame, first_pts, bool(frames & 1))
        follows = frames >> 1 and ticks if number else frames == 1
        apart = distance >= LEAST_GROUP_BYTES and offset <= index_offset - LEAST_GROUP_BYTES
        if not (follows and apart) or first_frame > _MOST_FRAME or first_pts > _MOST_PTS:
            raise CorruptError(f"entry {number} is not that of a later group", rule=_RULE)
        entries.append(entry)
    if not fields.ended:
        raise CorruptError(f"the payload is longer than its {count} entries", rule=_RULE)
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
