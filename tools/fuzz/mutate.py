"""Mutations of `.nrv` files that know the structure: seeds and a random generator to one file.

Each mutation keeps what it can: CRCs of units are repaired, lengths follow their contents, and
often groups are renumbered and iNDX and FEND made anew. So damage gets past the first check.
"""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from nvcodec.format.fields import signed_bytes, unsigned_bytes
from nvcodec.format.units import SIGNATURE

BOUNDARIES = (0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 127, 128, 129, 255, 256, 257)
WIDE = (*BOUNDARIES, *(2**k + d for k in (15, 16, 24, 31, 32, 63, 64) for d in (-1, 0, 1)))

_TYPES = (b"HEAD", b"HYBR", b"NIRV", b"SIRN", b"mETa", b"hDRm", b"cHAP", b"aTRK", b"aPKt", b"GRUP")
_HEAD_FIELDS = (
    *((at, 2) for at in (0, 2, 12, 14, 32, 34)),
    *((at, 1) for at in (4, 5, 6, 7, 36, 37, 38, 39, 40, 41, 42, 43)),
    *((at, 4) for at in (8, 16, 20, 24, 28, 44)),
)


@dataclass(frozen=True)
class Unit:
    """A unit as it will be written; `length` and `crc` of None are the right ones."""

    kind: bytes
    payload: bytes
    length: int | None = None
    crc: int | None = None

    def build(self) -> bytes:
        length = len(self.payload) if self.length is None else self.length
        crc = zlib.crc32(self.payload, zlib.crc32(self.kind)) if self.crc is None else self.crc
        return self.kind + struct.pack("<I", length) + self.payload + struct.pack("<I", crc)


@dataclass(frozen=True)
class LooseGroup:
    """The fields of a GRUP payload, with values that need keep no rule."""

    flags: int
    frame_count: int
    first_frame: int
    crc: int
    first_pts: int
    runs: tuple[tuple[int, int], ...]
    substreams: tuple[bytes, bytes, bytes, bytes]
    lengths: tuple[int, int, int] | None = field(default=None)

    @classmethod
    def parse(cls, payload: bytes) -> LooseGroup:
        """Read a payload that keeps all rules; raises IndexError or struct.error for others."""
        flags, place = payload[0], 1

        def unsigned() -> int:
            nonlocal place
            value = shift = 0
            while True:
                byte = payload[place]
                place += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        frame_count, first_frame = unsigned(), unsigned()
        (crc,) = struct.unpack_from("<I", payload, place)
        place += 4
        coded = unsigned()
        runs, frames = [], 0
        while frames < frame_count:
            runs.append((unsigned(), unsigned()))
            frames += runs[-1][1]
        lengths = unsigned(), unsigned(), unsigned()
        parts = []
        for length in lengths:
            parts.append(payload[place : place + length])
            place += length
        tables, content, motion = parts
        substreams = (tables, content, motion, payload[place:])
        pts = coded >> 1 if not coded & 1 else -(coded >> 1) - 1
        return cls(flags, frame_count, first_frame, crc, pts, tuple(runs), substreams)

    def build(self) -> bytes:
        lengths = self.lengths or tuple(len(part) for part in self.substreams[:3])
        return b"".join(
            (
                bytes((self.flags & 255,)),
                unsigned_bytes(self.frame_count),
                unsigned_bytes(self.first_frame),
                struct.pack("<I", self.crc & 0xFFFFFFFF),
                signed_bytes(self.first_pts),
                *(unsigned_bytes(d) + unsigned_bytes(n) for d, n in self.runs),
                *(unsigned_bytes(length) for length in lengths),
                *self.substreams,
            )
        )


def split(data: bytes) -> list[Unit]:
    """The units of a file, up to the first that is not whole."""
    units, place = [], len(SIGNATURE)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from("<I", data, place + 4)
        if place + 12 + length > len(data):
            break
        units.append(Unit(data[place : place + 4], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return units


def join(units: Sequence[Unit]) -> bytes:
    return SIGNATURE + b"".join(unit.build() for unit in units)


def mutated_bytes(data: bytes, rng: random.Random, other: bytes = b"") -> bytes:
    """One mutation of bytes that knows no structure; `other` is what may be spliced in."""
    out = bytearray(data)
    place = rng.randrange(len(out) + 1)
    size = min(rng.choice((1, 1, 2, 4, 8, 32, 200)), len(out) - place)
    kind = rng.randrange(9)
    if kind == 0 and place < len(out):
        out[place] ^= 1 << rng.randrange(8)
    elif kind == 1 and place < len(out):
        out[place] = rng.choice((0, 1, 127, 128, 254, 255, rng.randrange(256)))
    elif kind == 2:
        out[place : place + size] = rng.randbytes(size)
    elif kind == 3:
        out[place:place] = rng.randbytes(rng.choice((1, 2, 4, 16)))
    elif kind == 4:
        del out[place : place + size]
    elif kind == 5:
        out[place:place] = out[place : place + size]
    elif kind == 6:
        del out[place:]
    elif kind == 7 and other:
        start = rng.randrange(len(other))
        out[place:] = other[start:]
    else:
        value = rng.choice(WIDE) & 0xFFFFFFFF
        out[place : place + 4] = struct.pack("<I", value)[: len(out) - place]
    return bytes(out)


def mutated_group(payload: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """A GRUP payload with one field or substream changed; `others` are payloads of groups."""
    try:
        group = LooseGroup.parse(payload)
    except (IndexError, struct.error):
        return mutated_bytes(payload, rng)
    kind = rng.randrange(10)
    if kind == 0:
        name = rng.choice(("flags", "frame_count", "first_frame", "crc"))
        group = replace(group, **{name: rng.choice(WIDE)})
    elif kind == 1:
        sign = rng.choice((1, -1))
        group = replace(group, first_pts=sign * rng.choice(WIDE))
    elif kind == 2:
        runs = [*group.runs, (rng.choice(WIDE), rng.choice(BOUNDARIES))]
        rng.shuffle(runs)
        group = replace(group, runs=tuple(runs[: rng.randrange(1, len(runs) + 1)]))
    elif kind == 3:
        lengths = [len(part) for part in group.substreams[:3]]
        lengths[rng.randrange(3)] = rng.choice(WIDE)
        group = replace(group, lengths=(lengths[0], lengths[1], lengths[2]))
    elif kind == 4:
        count = rng.randrange(1, 34)
        group = replace(group, frame_count=count, runs=((1, count),))
    elif kind == 5:
        group = replace(group, flags=rng.randrange(8))
    else:
        parts = list(group.substreams)
        # One that is not empty, if there is one.
        at = rng.choice([k for k in range(4) if parts[k]] or [3])
        if kind == 6:
            try:
                donor = LooseGroup.parse(rng.choice(others)).substreams
            except (IndexError, struct.error):
                donor = group.substreams
            parts[at] = donor[rng.choice((at, at, rng.randrange(4)))]
        elif kind == 7:
            parts[at] = bytes((rng.choice((0, 255)),)) * rng.choice((0, 1, 2, 5, 100, 3000))
        else:
            for _ in range(rng.choice((1, 1, 2, 5))):
                parts[at] = mutated_bytes(parts[at], rng)
        group = replace(group, substreams=(parts[0], parts[1], parts[2], parts[3]))
    return group.build()


def _at_field(payload: bytes, rng: random.Random, fields: Sequence[tuple[int, int]]) -> bytes:
    at, width = rng.choice(fields)
    value = rng.choice(WIDE) & (256**width - 1)
    return payload[:at] + value.to_bytes(width, "little") + payload[at + width :]


def _mutated_unit(unit: Unit, rng: random.Random, others: Sequence[Unit]) -> Unit:
    kind = rng.randrange(12)
    if kind == 0:
        letters = bytearray(unit.kind)
        letters[rng.randrange(4)] ^= rng.choice((32, 32, 1, 128))
        return replace(unit, kind=bytes(letters))
    if kind == 1:
        return replace(unit, kind=rng.choice(_TYPES))
    if kind == 2:
        return replace(unit, length=rng.choice(WIDE) & 0xFFFFFFFF)
    if kind == 3:
        return replace(unit, crc=rng.getrandbits(32))
    if unit.kind == b"GRUP" and kind < 11:
        groups = [other.payload for other in others if other.kind == b"GRUP"] or [unit.payload]
        return replace(unit, payload=mutated_group(unit.payload, rng, groups))
    if unit.kind == b"HEAD" and kind < 11:
        return replace(unit, payload=_at_field(unit.payload, rng, _HEAD_FIELDS))
    donors = [other.payload for other in others if other.kind == unit.kind]
    donor = rng.choice(donors) if donors else b""
    return replace(unit, payload=mutated_bytes(unit.payload, rng, donor))


def _moved_units(units: list[Unit], rng: random.Random, others: Sequence[Unit]) -> list[Unit]:
    out = list(units)
    place, second = rng.randrange(len(out)), rng.randrange(len(out))
    kind = rng.randrange(7)
    if kind == 0:
        del out[place]
    elif kind == 1:
        out[place:place] = [out[place]] * rng.choice((1, 1, 2, 70))
    elif kind == 2:
        out[place], out[second] = out[second], out[place]
    elif kind == 3:
        out.insert(place, rng.choice(others))
    elif kind == 4:
        name = rng.choice((b"zzZz", b"zzZZ", b"ZZZz", b"zzzz"))
        out.insert(place, Unit(name, rng.randbytes(rng.choice((0, 1, 100)))))
    elif kind == 5:
        del out[place : place + rng.randrange(1, 4)]
    else:
        start = rng.randrange(len(others))
        out[place:] = others[start:]
    return out


def repaired(units: Sequence[Unit], rng: random.Random) -> list[Unit]:
    """Units with groups that follow each other, and with iNDX and FEND to match."""
    out: list[Unit] = []
    offset, frame, end = len(SIGNATURE), 0, None
    crcs, entries, before, index_at = b"", [], (0, 0, 0), 0
    for unit in units:
        new = unit
        if unit.kind == b"GRUP":
            try:
                group = LooseGroup.parse(unit.payload)
            except (IndexError, struct.error):
                group = None
            if group is not None:
                pts = group.first_pts if end is None else max(end, group.first_pts)
                group = replace(group, first_frame=frame, first_pts=pts)
                new = replace(unit, payload=group.build())
                ticks = signed_bytes(pts) if end is None else unsigned_bytes(pts - before[2])
                key = group.flags & 1
                entries.append(
                    unsigned_bytes(offset - before[0])
                    + unsigned_bytes(2 * (frame - before[1]) + key)
                    + ticks
                )
                before = offset, frame, pts
                frame += group.frame_count
                end = pts + sum(duration * count for duration, count in group.runs)
                crcs += struct.pack("<I", group.crc & 0xFFFFFFFF)
        elif unit.kind == b"iNDX":
            index_at = offset
            new = Unit(b"iNDX", unsigned_bytes(len(entries)) + b"".join(entries))
        elif unit.kind == b"FEND":
            digest = hashlib.md5(crcs, usedforsecurity=False).digest()
            new = Unit(b"FEND", struct.pack("<I16sQ", frame & 0xFFFFFFFF, digest, index_at))
        elif unit.kind == b"HEAD" and len(unit.payload) == 48 and rng.randrange(4):
            new = replace(unit, payload=unit.payload[:44] + b"\xff\xff\xff\xff")
        out.append(new)
        offset += len(new.build())
    return out


Mutation = Callable[[bytes, random.Random, bytes], bytes]


def _raw(data: bytes, rng: random.Random, other: bytes) -> bytes:
    return mutated_bytes(data, rng, other)


def _structured(data: bytes, rng: random.Random, other: bytes) -> bytes:
    units, others = split(data), split(other)
    if not units or not others:
        return mutated_bytes(data, rng, other)
    if rng.randrange(3):
        place = rng.randrange(len(units))
        units[place] = _mutated_unit(units[place], rng, [*units, *others])
    else:
        units = _moved_units(units, rng, others)
    return join(repaired(units, rng) if units and rng.randrange(3) else units)


def mutated(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """A file made of `data` by one to five mutations; parts of `other` may be spliced in."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        mutation = _raw if rng.randrange(4) == 0 else _structured
        data = mutation(data, rng, other)
        if len(data) < 8:
            break
    return data
