"""The packets of a video stream: takes a container, gives packets in file order, with a look ahead.

How far the packets of all streams reach in time is kept too, as it says whether a file was cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

_AHEAD_BYTES: Final = 1 << 26
"""Most bytes of packets that wait."""

_LATE: Final = 16
"""Packets that may be followed by earlier pictures, where the stream has no decoding times."""


class Packets:
    """The packets of one video stream; `others` takes those of other streams, as they are read.

    Iteration ends with the empty packet that flushes the decoder. Errors of the container pass on,
    after the packets before them.

    Attributes:
        found: packets of the stream with data, so far.
        end: position in the file behind the last of them, None when unknown.
        first_dts: decoding time of the first of them in ticks, 0 when unknown.
        cut: whether the last of them is only a part, as the file ends inside it.
        reached: time in seconds at which the last packet so far of any stream ends, None before.

    """

    found: int
    end: int | None
    first_dts: int
    cut: bool
    reached: Fraction | None

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        others: Callable[[Packet[Stream]], None],
    ) -> None:
        self._stream = stream
        self._others = others
        self._raw = container.format.name == "rawvideo"
        self._demuxed: Iterator[Packet[Stream]] = container.demux()
        self._waiting: deque[Packet[Stream]] = deque()
        self._failure: Exception | None = None
        self.found = 0
        self.end = None
        self.first_dts = 0
        self.cut = False
        self.reached = None

    def __iter__(self) -> Iterator[Packet[Stream]]:
        return self

    def __next__(self) -> Packet[Stream]:
        if not self._waiting:
            self._read()
        if not self._waiting:
            raise self._failure or StopIteration
        packet = self._waiting.popleft()
        if packet.size:
            if not self.found:
                self.first_dts = packet.dts or 0
            self.found += 1
            self.cut = packet.is_corrupt
            self.end = None if packet.pos is None else packet.pos + packet.size
        return packet

    def close(self) -> None:
        """End the reading: the demultiplexer goes before its container."""
        self._demuxed = iter(())

    def times_ahead(self, count: int) -> tuple[list[int], bool]:
        """Times of coming pictures in display order, in ticks of the stream, and if they are all.

        They are those of the next `count` packets, except for those that others may come before.
        """
        size = 0
        while self._failure is None and len(self._waiting) < count and size < _AHEAD_BYTES:
            size += self._read()
        shown = [p for p in self._waiting if p.pts is not None and not p.is_discard]
        times = sorted({p.pts for p in shown if p.pts is not None})
        if self._failure is not None:
            return times, True
        decoding = [p.dts for p in self._waiting if p.dts is not None]
        if not decoding:
            return times[:-_LATE], False
        return [time for time in times if time <= decoding[-1]], False

    def is_last(self) -> bool:
        """Whether no packet with data follows."""
        if not self._waiting:
            self._read()
        return not any(packet.size for packet in self._waiting)

    def _read(self) -> int:
        """Let a packet of the stream wait, unless there is none; returns its size."""
        while self._failure is None:
            try:
                packet = next(self._demuxed)
            except Exception as error:
                self._failure = error
                return 0
            if packet.size:
                self._reach(packet)
            # The index of an empty packet is 0, whatever its stream.
            if packet.stream is not self._stream:
                self._others(packet)
            elif not self._is_part(packet):
                self._waiting.append(packet)
                return packet.size
        return 0

    def _is_part(self, packet: Packet[Stream]) -> bool:
        """Whether it has a part of a frame at the end of raw video, which cannot be decoded."""
        return packet.is_corrupt and self._raw

    def _reach(self, packet: Packet[Stream]) -> None:
        start = packet.dts if packet.pts is None else packet.pts
        if start is None or not packet.time_base:
            return
        end = (start + (packet.duration or 0)) * packet.time_base
        if self.reached is None or end > self.reached:
            self.reached = end
