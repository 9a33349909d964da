"""Bitstreams for the tests, packed from the tables of spec 2 without the package."""

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import zstandard

from nvcodec.format import Event, Limits, NrvError, UnitReader
from tools.vectors import pack
from tools.vectors.pack import SIGNATURE, sv, uv

Unit = tuple[bytes, bytes]

SINE_HEAD = {"model": 1, "width": 17, "height": 9}


def head(**changes: Any) -> Unit:
    return b"HEAD", pack.head(**(SINE_HEAD | changes))


@dataclass(frozen=True)
class Grup:
    """The fields of a GRUP unit before its runs, for the units that name it."""

    flags: int
    frame_count: int
    first_frame: int
    crc: int
    first_pts: int


FIELDS: dict[bytes, Grup] = {}
"""The fields of the payloads that `grup` has made."""


def grup(
    first_frame: int = 0,
    frame_count: int = 2,
    flags: int = 1,
    crc: int = 0x01020304,
    first_pts: int = 0,
    runs: tuple[tuple[int, int], ...] | None = None,
    lengths: tuple[int, int, int] | None = None,
    substreams: tuple[bytes, bytes, bytes, bytes] = (b"t", b"", b"", b"net"),
) -> Unit:
    if lengths is None:
        a, b, c, _ = substreams
        lengths = (len(a), len(b), len(c))
    payload = bytes((flags,)) + uv(frame_count) + uv(first_frame)
    payload += struct.pack("<I", crc) + sv(first_pts)
    runs = ((1, frame_count),) if runs is None else runs
    payload += b"".join(uv(duration) + uv(run) for duration, run in runs)
    payload += b"".join(uv(length) for length in lengths) + b"".join(substreams)
    FIELDS[payload] = Grup(flags, frame_count, first_frame, crc, first_pts)
    return b"GRUP", payload


def meta(text: bytes = b'{"encoder":"x"}') -> Unit:
    return b"mETa", zstandard.ZstdCompressor().compress(text)


SIRN: Unit = (b"SIRN", b"network")
HYBR: Unit = (b"HYBR", b"canvases")
NIRV: Unit = (b"NIRV", b"patches")
KEY = grup()
NEXT = grup(
    first_frame=2, frame_count=3, flags=0, crc=5, first_pts=2, runs=((4, 1), (5, 1), (6, 1))
)


def unit(kind: bytes, payload: bytes) -> bytes:
    crc = zlib.crc32(kind + payload)
    return kind + struct.pack("<I", len(payload)) + payload + struct.pack("<I", crc)


def join(*units: Unit, signature: bytes = SIGNATURE) -> bytes:
    return signature + b"".join(unit(*u) for u in units)


def index_of(*units: Unit) -> Unit:
    """The iNDX unit of the GRUP units of a file that begins with ``units``."""
    entries, offset = [], len(SIGNATURE)
    before, place = Grup(0, 0, 0, 0, 0), 0
    for kind, payload in units:
        if kind == b"GRUP":
            group = FIELDS[payload]
            frames = 2 * (group.first_frame - before.first_frame) + (group.flags & 1)
            ticks = uv(group.first_pts - before.first_pts) if entries else sv(group.first_pts)
            entries.append(uv(offset - place) + uv(frames) + ticks)
            before, place = group, offset
        offset += len(payload) + 12
    return b"iNDX", uv(len(entries)) + b"".join(entries)


def fend_of(
    *units: Unit,
    frame_count: int | None = None,
    md5: bytes | None = None,
    index_offset: int | None = None,
) -> Unit:
    groups = [FIELDS[payload] for kind, payload in units if kind == b"GRUP"]
    offset, found = len(SIGNATURE), 0
    for kind, payload in units:
        found = offset if kind == b"iNDX" else found
        offset += len(payload) + 12
    if frame_count is None:
        frame_count = sum(group.frame_count for group in groups)
    if md5 is None:
        md5 = hashlib.md5(b"".join(struct.pack("<I", group.crc) for group in groups)).digest()
    at = found if index_offset is None else index_offset
    return b"FEND", struct.pack("<I16sQ", frame_count, md5, at)


def complete(*units: Unit) -> bytes:
    """A file of the units, then a right iNDX and a right FEND."""
    with_index = (*units, index_of(*units))
    return join(*with_index, fend_of(*with_index))


SMALL = complete(head(), SIRN, meta(), KEY, NEXT)
"""A small valid file with every kind of unit."""


def read_all(
    data: bytes, limits: Limits | None = None, group_length: int | None = None
) -> tuple[list[Event], NrvError | None]:
    """The events of a bitstream and the error that ended it; another exception escapes."""
    return read_from(io.BytesIO(data), limits, group_length)


def read_from(
    file: Any, limits: Limits | None = None, group_length: int | None = None
) -> tuple[list[Event], NrvError | None]:
    reader = UnitReader(file, limits or Limits())
    reader.group_length = group_length
    events: list[Event] = []
    try:
        for event in reader:
            events.append(event)
    except NrvError as error:
        return events, error
    return events, None
