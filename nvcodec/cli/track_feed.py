"""Packets of tracks as a decoder reads them, handed on as far as the frames are."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from nvcodec.format import CorruptError, NrvError, Packet, Track, TruncatedError, UnsupportedError

if TYPE_CHECKING:
    from nvcodec.decode.decoder import Decoder

# Packets of a track come before the group that ends after them, those of a second at a time.
_AHEAD = Fraction(1)


class TrackFeed:
    """The packets of the tracks of a file whose frames are being decoded.

    Args:
        decoder: decodes the frames. Of an input that cannot seek, it gives the packets with them.
        moved: whether the frames begin inside the video, and their times at 0.

    Attributes:
        tracks: the tracks. Where frames begin inside the video, sound has no priming.
        origin: the time in seconds of the first frame, once it is known; it is taken from times.
        error: what ended the reading of packets, or None.

    """

    def __init__(self, decoder: Decoder, *, moved: bool) -> None:
        found = decoder.tracks
        self.origin = None if moved else Fraction(0)
        self.error: NrvError | None = None
        self._moved = moved
        self._bases = {track.number: track.time_base for track in found}
        self._waiting: dict[int, deque[Packet]] = {track.number: deque() for track in found}
        self._source: Iterator[Packet] = iter(decoder.packets() if found else ())
        self._ended = False
        try:
            self._read_one()
            self.tracks = primed(found, decoder.packets() if found else ())
        except UnsupportedError:
            # The decoder cannot seek.
            self.tracks = found
            self._ended = True
            decoder.on_packets = self._take
        if moved:
            self.tracks = tuple(replace(track, priming=0) for track in found)

    def _take(self, packets: tuple[Packet, ...]) -> None:
        for packet in packets:
            self._waiting[packet.track].append(packet)

    def _read_one(self) -> Packet | None:
        if self._ended:
            return None
        try:
            packet = next(self._source, None)
        except UnsupportedError:
            raise
        except NrvError as error:
            self.error = error
            packet = None
        if packet is None:
            self._ended = True
        else:
            self._take((packet,))
        return packet

    def until(self, time: Fraction) -> Iterator[Packet]:
        """Packets that begin before `time` in seconds, once each, with times from `origin` on."""
        assert self.origin is not None
        stop = time + self.origin
        while not self._ended:
            packet = self._read_one()
            if packet is None or packet.pts * self._bases[packet.track] >= stop + _AHEAD:
                break
        for number, waiting in self._waiting.items():
            base = self._bases[number]
            while waiting and waiting[0].pts * base < stop:
                yield from self._shifted(waiting.popleft(), base)

    def rest(self) -> Iterator[Packet]:
        """All packets that are left."""
        while True:
            for number, waiting in self._waiting.items():
                while waiting:
                    yield from self._shifted(waiting.popleft(), self._bases[number])
            if self._read_one() is None:
                return

    def _shifted(self, packet: Packet, base: Fraction) -> Iterator[Packet]:
        if not self._moved:
            yield packet
            return
        assert self.origin is not None
        ticks = round(self.origin / base)
        if packet.pts >= ticks:
            dts = None if packet.dts is None else packet.dts - ticks
            yield replace(packet, pts=packet.pts - ticks, dts=dts)


def primed(tracks: tuple[Track, ...], packets: Iterable[Packet]) -> tuple[Track, ...]:
    """The tracks; what sound has before 0 is its priming, also where the file does not say so.

    Of the packets, those are read that come before all audio tracks have begun, or a second.
    """
    first: dict[int, Fraction] = {}
    bases = {track.number: track.time_base for track in tracks}
    sound = {track.number for track in tracks if track.kind == "audio"}
    with contextlib.suppress(CorruptError, TruncatedError):
        # Damage is found again where the packet is needed.
        for packet in packets:
            first.setdefault(packet.track, packet.pts * bases[packet.track])
            if sound <= first.keys() or packet.pts * bases[packet.track] > _AHEAD:
                break
    return tuple(
        replace(track, priming=max(track.priming, round(-first.get(track.number, 0) * track.rate)))
        for track in tracks
    )
