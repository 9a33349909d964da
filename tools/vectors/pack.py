"""Units of a bitstream from their fields (spec 2), right ones and wrong ones alike."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SIGNATURE = bytes.fromhex("894E52560D0A1A0A")
SINE, HYBRID, NIRVANA = 1, 2, 3
DESCRIPTIONS = {SINE: b"SIRN", HYBRID: b"HYBR", NIRVANA: b"NIRV"}

HEAD_FIELDS: dict[str, tuple[str, Any]] = {
    "format_version": ("H", 0),
    "min_reader_version": ("H", 0),
    "level": ("B", 1),
    "model": ("B", HYBRID),
    "chroma_format": ("B", 1),
    "bit_depth": ("B", 8),
    "tools": ("I", 0),
    "width": ("H", 16),
    "height": ("H", 16),
    "frame_rate_num": ("I", 25),
    "frame_rate_den": ("I", 1),
    "time_base_num": ("I", 1),
    "time_base_den": ("I", 25),
    "sar_num": ("H", 0),
    "sar_den": ("H", 0),
    "colour_primaries": ("B", 2),
    "transfer": ("B", 2),
    "matrix": ("B", 2),
    "full_range": ("B", 2),
    "chroma_location": ("B", 255),
    "reserved": ("3s", bytes(3)),
    "frame_count": ("I", 0xFFFFFFFF),
}


def head(**fields: Any) -> bytes:
    """The payload of HEAD."""
    values = {name: value for name, (_, value) in HEAD_FIELDS.items()} | fields
    layout = "<" + "".join(code for code, _ in HEAD_FIELDS.values())
    return struct.pack(layout, *(values[name] for name in HEAD_FIELDS))


def sirn(
    patch: int,
    group_frames: int,
    depth: int,
    width: int,
    stem_channels: int,
    head_channels: int,
) -> bytes:
    """The payload of SIRN."""
    return struct.pack("<BBBHBB", patch, group_frames, depth, width, stem_channels, head_channels)


def hybr(group_frames: int = 8, chroma_offset: int = 0, network: int = 0) -> bytes:
    """The payload of HYBR."""
    return struct.pack("<BbB", group_frames, chroma_offset, network)


def nirv(table: int = 1, patch: int = 8, group_frames: int = 4, features: int = 192) -> bytes:
    """The payload of NIRV."""
    return bytes([table, patch, group_frames, features])


def uv(value: int) -> bytes:
    """A uv of spec 1.3."""
    coded = b""
    while value > 127:
        coded += bytes((value % 128 + 128,))
        value //= 128
    return coded + bytes((value,))


def sv(value: int) -> bytes:
    """An sv of spec 1.3."""
    return uv(2 * value if value >= 0 else -2 * value - 1)


def read_uv(data: bytes, at: int) -> tuple[int, int]:
    """A uv of spec 1.3 at a place, and the place after it."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def signed(value: int) -> int:
    """The integer that is coded as a uv in an sv."""
    return -((value + 1) >> 1) if value & 1 else value >> 1


def runs_of(durations: Sequence[int]) -> bytes:
    """The runs of a GRUP unit."""
    coded, start = b"", 0
    for k in range(1, len(durations) + 1):
        if k == len(durations) or durations[k] != durations[start]:
            coded += uv(durations[start]) + uv(k - start)
            start = k
    return coded


@dataclass(frozen=True)
class Group:
    """The fields of a GRUP unit; `runs` and `lengths` replace what follows from the others."""

    first_frame: int
    durations: Sequence[int]
    first_pts: int
    key: bool
    crc: int = 0
    second: int = 0
    tables: bytes = b""
    content: bytes = b""
    motion: bytes = b""
    network: bytes = b""
    flags: int | None = None
    frame_count: int | None = None
    runs: bytes | None = None
    lengths: tuple[int, int, int] | None = None

    @property
    def count(self) -> int:
        """`frame_count`."""
        return len(self.durations) if self.frame_count is None else self.frame_count

    def payload(self) -> bytes:
        """The payload."""
        flags = self.key + 2 * self.second if self.flags is None else self.flags
        lengths = self.lengths or (len(self.tables), len(self.content), len(self.motion))
        fields = bytes((flags,)) + uv(self.count) + uv(self.first_frame)
        fields += struct.pack("<I", self.crc) + sv(self.first_pts)
        fields += runs_of(self.durations) if self.runs is None else self.runs
        fields += b"".join(map(uv, lengths))
        return fields + self.tables + self.content + self.motion + self.network


class Unit(NamedTuple):
    """A unit; `group` is that of a GRUP unit, `bytes` are its own where they are not the rule's."""

    kind: bytes
    payload: bytes
    group: Group | None = None
    coded: bytes | None = None

    def build(self) -> bytes:
        """Its bytes."""
        if self.coded is not None:
            return self.coded
        crc = zlib.crc32(self.kind + self.payload)
        length = struct.pack("<I", len(self.payload))
        return self.kind + length + self.payload + struct.pack("<I", crc)


def grup(group: Group) -> Unit:
    """The GRUP unit of a group."""
    return Unit(b"GRUP", group.payload(), group)


@dataclass(frozen=True)
class End:
    """Fields of FEND that are not those of the file."""

    frame_count: int | None = None
    md5: bytes | None = None
    index_offset: int | None = None
    extra: bytes = field(default=b"")


def split(data: bytes) -> list[Unit]:
    """The units of a right file; of a GRUP unit, the group has what an index and FEND need."""
    units, at = [], len(SIGNATURE)
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        payload = data[at + 8 : at + 8 + length]
        group = None
        if kind == b"GRUP":
            count, place = read_uv(payload, 1)
            first_frame, place = read_uv(payload, place)
            crc = int.from_bytes(payload[place : place + 4], "little")
            first_pts, _ = read_uv(payload, place + 4)
            key = bool(payload[0] & 1)
            group = Group(first_frame, (1,) * count, signed(first_pts), key, crc)
        units.append(Unit(kind, payload, group))
        at += length + 12
    return units


def index_entries(units: Sequence[Unit]) -> list[bytes]:
    """The entries of iNDX for a file that begins with `units`."""
    entries: list[bytes] = []
    offset, place, frame, pts = len(SIGNATURE), 0, 0, 0
    for unit in units:
        if unit.group is not None:
            group = unit.group
            ticks = uv(max(0, group.first_pts - pts)) if entries else sv(group.first_pts)
            frames = uv(2 * max(0, group.first_frame - frame) + group.key)
            entries.append(uv(offset - place) + frames + ticks)
            place, frame, pts = offset, group.first_frame, group.first_pts
        offset += len(unit.build())
    return entries


def index(units: Sequence[Unit]) -> Unit:
    """The iNDX unit for a file that begins with `units`."""
    entries = index_entries(units)
    return Unit(b"iNDX", uv(len(entries)) + b"".join(entries))


def fend(units: Sequence[Unit], end: End | None = None) -> Unit:
    """The FEND unit for a file that begins with `units`."""
    end = end or End()
    groups = [unit.group for unit in units if unit.group is not None]
    offset, found = len(SIGNATURE), 0
    for unit in units:
        found = offset if unit.kind == b"iNDX" else found
        offset += len(unit.build())
    frames = sum(group.count for group in groups) if end.frame_count is None else end.frame_count
    crcs = b"".join(struct.pack("<I", group.crc) for group in groups)
    md5 = hashlib.md5(crcs).digest() if end.md5 is None else end.md5
    at = found if end.index_offset is None else end.index_offset
    return Unit(b"FEND", struct.pack("<I16sQ", frames, md5, at) + end.extra)


def join(units: Sequence[Unit], signature: bytes = SIGNATURE) -> bytes:
    """A signature and units."""
    return signature + b"".join(unit.build() for unit in units)


def complete(units: Sequence[Unit], indexed: bool = True, end: End | None = None) -> bytes:
    """A file of units, with the index and the end that belong to them."""
    whole = [*units, index(units)] if indexed else [*units]
    return join([*whole, fend(whole, end)])


def text(value: str, size: str = "B") -> bytes:
    """A text with its length before it."""
    coded = value.encode()
    return struct.pack("<" + size, len(coded)) + coded


def hdrm(flags: int = 7, **fields: Any) -> Unit:
    """An hDRm unit whose fields are what `flags` calls known, unless they are given."""
    primaries = (35400, 14600, 8500, 39850, 6550, 2300) if flags & 1 else (0,) * 6
    values = {
        "primaries": primaries,
        "white_point": (15635, 16450) if flags & 1 else (0, 0),
        "luminance": (10_000_000, 50) if flags & 2 else (0, 0),
        "light": (1000, 400) if flags & 4 else (0, 0),
    } | fields
    numbers = [number for value in values.values() for number in value]
    return Unit(b"hDRm", struct.pack("<B8H2I2H", flags, *numbers))


def chap(
    chapters: Sequence[tuple[int, int, str]], base: tuple[int, int] = (1, 1000), more: bytes = b""
) -> Unit:
    """A cHAP unit of (start, end, title)."""
    payload = struct.pack("<H", len(chapters))
    for start, end, title in chapters:
        payload += struct.pack("<IIqq", *base, start, end) + text(title, "H")
    return Unit(b"cHAP", payload + more)


def atrk(
    number: int,
    kind: int = 0,
    codec: str = "opus",
    *,
    disposition: int = 0,
    base: tuple[int, int] = (1, 48000),
    rate: int = 0,
    channels: int = 0,
    priming: int = 0,
    layout: str = "",
    language: str = "",
    title: str = "",
    extradata: bytes = b"",
    more: bytes = b"",
) -> Unit:
    """An aTRK unit."""
    payload = struct.pack("<BBIIIIHI", number, kind, disposition, *base, rate, channels, priming)
    payload += text(codec) + text(layout) + text(language) + text(title, "H")
    payload += struct.pack("<I", len(extradata)) + extradata + more
    return Unit(b"aTRK", payload)


def packet(
    data: bytes,
    *,
    key: bool = True,
    pts: int | None = None,
    dts: int | None = None,
    duration: int | None = None,
    trim: tuple[int, int] | None = None,
) -> bytes:
    """A packet of an aPKt unit."""
    there = (key, pts is not None, dts is not None, duration is not None, trim is not None)
    coded = bytes((sum(bit << place for place, bit in enumerate(there)),))
    coded += b"" if pts is None else sv(pts)
    coded += b"" if dts is None else sv(dts)
    coded += b"" if duration is None else uv(duration)
    coded += b"".join(map(uv, trim or ()))
    return coded + uv(len(data)) + data


def apkt(number: int, *packets: bytes, reserved: int = 0, count: int | None = None) -> Unit:
    """An aPKt unit of coded packets."""
    many = len(packets) if count is None else count
    return Unit(b"aPKt", struct.pack("<BBH", number, reserved, many) + b"".join(packets))


def meta(members: str = '{"encoder":"vectors"}') -> Unit:
    """An mETa unit: a Zstandard frame of one raw block, which any version of a library reads."""
    content = members.encode()
    size = len(content)
    declared = b"\x20" + bytes((size,)) if size < 256 else b"\x60" + struct.pack("<H", size - 256)
    block = (size << 3 | 1).to_bytes(3, "little")
    return Unit(b"mETa", bytes.fromhex("28B52FFD") + declared + block + content)
