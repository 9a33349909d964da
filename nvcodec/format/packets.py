"""The aPKt unit (spec 2.15): a payload to the packets of one track, and back."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from operator import itemgetter
from typing import Final

from nvcodec.format.errors import CorruptError, OverLimitError, require
from nvcodec.format.fields import Fields, signed_bytes, unsigned_bytes
from nvcodec.format.tracks import AUDIO, Packet, Track

_RULE: Final = "2.15"

_require = partial(require, rule=_RULE)

_START: Final = struct.Struct("<BBH")

_KEY, _PTS, _DTS, _DURATION, _TRIM = (1 << bit for bit in range(5))
_DEFINED: Final = 31

MAX_PACKETS: Final = 0xFFFF
PACKET_OVERHEAD_BYTES: Final = _START.size + 1 + 3 * 10 + 2 * 5 + 5
"""The most bytes of a unit of one packet that are not its data."""

_TIMES: Final = range(-(1 << 63), 1 << 63)


def parse_packets(payload: bytes, tracks: Mapping[int, Track]) -> tuple[Packet, ...]:
    """Read the payload of an aPKt unit (spec 2.15).

    Args:
        payload: of the unit.
        tracks: those of the aTRK units before it, by their number.

    Raises:
        CorruptError: the track is unknown, a field is outside its rule, or the payload is not what
            its fields say.

    """
    fields = Fields(payload, _RULE)
    number, reserved, count = fields.take(_START)
    _require(number in tracks, f"track {number} has no aTRK unit before")
    _require(reserved == 0, f"reserved is {reserved}, not 0")
    _require(count >= 1, "count is 0")
    packets: list[Packet] = []
    pts = duration = 0
    for _ in range(count):
        flags = fields.byte()
        _require(flags <= _DEFINED, f"flags {flags:#04x} has undefined bits set")
        needed = _PTS | _DURATION
        _require(bool(packets) or flags & needed == needed, "the first packet has no time")
        pts = fields.signed() if flags & _PTS else pts + duration
        dts = fields.signed() if flags & _DTS else None
        duration = fields.unsigned() if flags & _DURATION else duration
        skip = fields.unsigned() if flags & _TRIM else 0
        discard = fields.unsigned() if flags & _TRIM else 0
        data = fields.data(fields.unsigned())
        packets.append(Packet(number, pts, duration, data, dts, bool(flags & _KEY), skip, discard))
    _require(fields.ended, "the payload is longer than its packets")
    _require_rules(packets, tracks[number])
    return tuple(packets)


def build_packets(packets: Sequence[Packet], track: Track) -> bytes:
    """The payload of an aPKt unit (spec 2.15) of consecutive packets of a track.

    Raises:
        CorruptError: they are none or too many, or a value is outside its rule.

    """
    _require(1 <= len(packets) <= MAX_PACKETS, f"{len(packets)} packets of 1..{MAX_PACKETS}")
    _require_rules(packets, track)
    parts = [_START.pack(track.number, 0, len(packets))]
    before: Packet | None = None
    for packet in packets:
        flags = _KEY if packet.key else 0
        fields = b""
        if before is None or packet.pts != before.pts + before.duration:
            flags |= _PTS
            fields += signed_bytes(packet.pts)
        if packet.dts is not None:
            flags |= _DTS
            fields += signed_bytes(packet.dts)
        if before is None or packet.duration != before.duration:
            flags |= _DURATION
            fields += unsigned_bytes(packet.duration)
        if packet.skip or packet.discard:
            flags |= _TRIM
            fields += unsigned_bytes(packet.skip) + unsigned_bytes(packet.discard)
        parts += (bytes((flags,)), fields, unsigned_bytes(len(packet.data)), packet.data)
        before = packet
    return b"".join(parts)


def cut_to_units(
    packets: Iterable[Packet], tracks: Mapping[int, Track], unit_bytes: int
) -> Iterator[tuple[Packet, ...]]:
    """Cut packets into those of one unit each, in order of the times of their first packets.

    Packets of a track keep their order. A unit has packets of less than one second, at most 65535,
    and a payload of at most `unit_bytes`.

    Raises:
        CorruptError: a packet is of none of the tracks.
        OverLimitError: a packet does not fit a unit.

    """
    runs: dict[int, _Run] = {}
    units: list[tuple[Packet, ...]] = []
    for packet in packets:
        track = tracks.get(packet.track)
        if track is None:
            raise CorruptError(f"a packet of track {packet.track}, which is none", rule=_RULE)
        if PACKET_OVERHEAD_BYTES + len(packet.data) > unit_bytes:
            raise OverLimitError(
                f"a packet of {len(packet.data)} bytes of track {packet.track} does not fit"
                f" a unit of {unit_bytes}",
                rule=_RULE,
            )
        run = runs.setdefault(packet.track, _Run(track, unit_bytes))
        if not run.takes(packet):
            units.append(tuple(run.packets))
            run = runs[packet.track] = _Run(track, unit_bytes)
        run.add(packet)
    units += (tuple(run.packets) for run in runs.values())
    # A time that goes back in a track does not move its units before each other.
    latest: dict[int, Fraction] = {}
    ordered: list[tuple[Fraction, tuple[Packet, ...]]] = []
    for unit in units:
        number = unit[0].track
        start = unit[0].pts * tracks[number].time_base
        latest[number] = max(latest.get(number, start), start)
        ordered.append((latest[number], unit))
    for _, unit in sorted(ordered, key=itemgetter(0)):
        yield unit


class _Run:
    """The packets of a unit that is being filled."""

    def __init__(self, track: Track, unit_bytes: int) -> None:
        self.packets: list[Packet] = []
        self._track = track
        self._room = unit_bytes
        self._least = self._greatest = 0

    def takes(self, packet: Packet) -> bool:
        if not self.packets:
            return True
        least, greatest = min(self._least, packet.pts), max(self._greatest, packet.pts)
        return (
            len(self.packets) < MAX_PACKETS
            and PACKET_OVERHEAD_BYTES + len(packet.data) <= self._room
            and (greatest - least) * self._track.time_base < 1
        )

    def add(self, packet: Packet) -> None:
        if not self.packets:
            self._least = self._greatest = packet.pts
        self._least = min(self._least, packet.pts)
        self._greatest = max(self._greatest, packet.pts)
        self._room -= PACKET_OVERHEAD_BYTES + len(packet.data)
        self.packets.append(packet)


def _require_rules(packets: Sequence[Packet], track: Track) -> None:
    for packet in packets:
        _require(packet.duration >= 0, f"duration {packet.duration} is negative")
        _require(
            packet.pts in _TIMES
            and packet.pts + packet.duration in _TIMES
            and (packet.dts is None or packet.dts in _TIMES),
            f"pts {packet.pts} with duration {packet.duration}, or dts, is outside 64 bits",
        )
        _require(
            track.kind == AUDIO or not (packet.skip or packet.discard),
            f"a {track.kind} packet has samples to leave out",
        )
        _require(
            max(packet.skip, packet.discard) < 1 << 32 and min(packet.skip, packet.discard) >= 0,
            f"skip {packet.skip} or discard {packet.discard} is outside 32 bits",
        )
    times = [packet.pts for packet in packets]
    _require(
        (max(times) - min(times)) * track.time_base < 1,
        "the packets begin a second or more apart",
    )
