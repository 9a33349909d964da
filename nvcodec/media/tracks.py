"""Tracks beside the video: takes a container's streams and packets, gives those to carry."""

from __future__ import annotations

import struct
from collections import Counter, deque
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.stream import Disposition, Stream

from nvcodec.format import Chapter, Packet, Track
from nvcodec.format.chapters import MAX_CHAPTERS_BYTES
from nvcodec.format.tracks import AUDIO, DISPOSITIONS, KINDS, MAX_TRACK_BYTES, MAX_TRACKS, is_word
from nvcodec.media.notes import Notes
from nvcodec.options import TrackChoice
from nvcodec.words import counted

# What a container says about its own kind of file, not about what it holds.
_CONTAINER_TAGS: Final = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})

# AV_PKT_DATA_SKIP_SAMPLES: samples at the start, samples at the end, and two reasons.
_SKIP_SAMPLES: Final = struct.Struct("<IIBB")

# Side data of packets that is kept, or says nothing beside what the track says.
_KNOWN_SIDE_DATA: Final = frozenset({"skip_samples", "mpegts_stream_id"})

_MOST_TITLE: Final = 16000
# More than the fields of a chapter take beside its title (spec 2.13).
_CHAPTER_BYTES: Final = 32
_MOST_TAG_BYTES: Final = 32768


class CarriedTracks:
    """The tracks of one container that are carried, and their packets until they are taken.

    Args:
        container: the source.
        video: indices of the stream that is coded, and of those that belong to it.
        choice: which tracks to carry.
        notes: told what is left out.

    Attributes:
        tracks: those carried, in the order of the source.
        taken: packets so far.

    """

    def __init__(
        self, container: InputContainer, video: set[int], choice: TrackChoice, notes: Notes
    ) -> None:
        self.tracks: list[Track] = []
        self.taken = 0
        self._notes = notes
        self._numbers: dict[int, int] = {}
        self._waiting: list[deque[tuple[int, Packet]]] = []
        self._ends: dict[int, int] = {}
        self._start: Fraction | None = None
        self._cut: set[int] = set()
        dropped: dict[str, list[str]] = {}
        for stream in container.streams:
            if stream.index in video or _is_chapter_list(container, stream):
                continue
            track = _track(stream, len(self.tracks))
            wanted = choice.wants(stream.type, stream.index)
            if wanted and track is not None and len(self.tracks) < MAX_TRACKS:
                self._numbers[stream.index] = track.number
                self.tracks.append(track)
                self._waiting.append(deque())
            else:
                dropped.setdefault(stream.type, []).append(describe(stream))
        for kind, texts in dropped.items():
            listed = ", ".join(
                f"{count} x {text}" if count > 1 else text for text, count in Counter(texts).items()
            )
            noun = kind if kind == "attachment" else f"{kind} track"
            notes.add(f"dropped {counted(len(texts), noun)}: {listed}")

    def take(self, packet: AvPacket[Any]) -> None:
        """Keep a packet until it is taken, if it is of one of the tracks."""
        if packet.stream.index not in self._numbers:
            return
        if packet.size == 0 and packet.pts is None and packet.dts is None:
            # PyAV's sign that the stream has ended.
            return
        number = self._numbers[packet.stream.index]
        track = self.tracks[number]
        duration = max(packet.duration or 0, 0)
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            pts = self._ends.get(number, 0)
            self._notes.add(f"filled in missing times of {_name(track)}")
        self._ends[number] = pts + duration
        skip, discard = _not_heard(packet) if track.kind == AUDIO else (0, 0)
        for side in packet.iter_sidedata():
            if side.data_type not in _KNOWN_SIDE_DATA:
                self._notes.add(f"dropped {side.data_type} of packets of {_name(track)}")
        found = Packet(
            number,
            pts,
            duration,
            bytes(packet),
            None if packet.dts in (None, pts) else packet.dts,
            packet.is_keyframe,
            skip,
            discard,
        )
        if not self._before_start(found):
            self._waiting[number].append((self.taken, found))
            self.taken += 1

    def start_at(self, start: Fraction) -> None:
        """Leave out packets that end before this time in seconds, those waiting too."""
        self._start = start
        for number, packets in enumerate(self._waiting):
            self._waiting[number] = deque(p for p in packets if not self._before_start(p[1]))

    def with_priming(self) -> tuple[Track, ...]:
        """The tracks, with the priming that the first packets waiting say where the track does not.

        Of a track that does not begin with the source's first packet, nothing is left to prime.
        """
        found = []
        for track, packets in zip(self.tracks, self._waiting, strict=True):
            skip = packets[0][1].skip if packets else 0
            cut = track.number in self._cut
            found.append(replace(track, priming=0 if cut else skip or track.priming))
        return tuple(found)

    def before(self, end: Fraction | None, most: int | None) -> list[Packet]:
        """Take the packets that begin before this time in seconds, or all of them.

        They are of the first `most` packets, if that is given. Those of a track keep their order:
        where its times go back, they wait for the later ones.
        """
        found = []
        for packets in self._waiting:
            while packets:
                number, packet = packets[0]
                if end is not None and self._seconds(packet) >= end:
                    break
                if most is not None and number >= most:
                    break
                found.append(packet)
                packets.popleft()
        return found

    def cut(self, *, unread: bool) -> None:
        """Drop the packets that are left, as the coded part has ended.

        With `unread`, the source may have more of them.
        """
        for number, packets in enumerate(self._waiting):
            if packets or unread:
                self._cut.add(number)
            packets.clear()

    def reached(self, end: Fraction) -> bool:
        """Whether there is audio, and every track of it has come to this time in seconds."""
        audio = [self._waiting[track.number] for track in self.tracks if track.kind == AUDIO]
        return bool(audio) and all(
            packets and self._seconds(packets[-1][1]) >= end for packets in audio
        )

    def note_cut(self) -> None:
        """Say which tracks have lost packets outside the coded part."""
        if self._cut:
            names = ", ".join(_name(self.tracks[number]) for number in sorted(self._cut))
            self._notes.add(f"cut to the coded part: {names}")

    def _before_start(self, packet: Packet) -> bool:
        if self._start is None:
            return False
        base = self.tracks[packet.track].time_base
        before = (packet.pts + packet.duration) * base <= self._start
        before &= packet.pts * base < self._start
        if before:
            self._cut.add(packet.track)
        return before

    def _seconds(self, packet: Packet) -> Fraction:
        return packet.pts * self.tracks[packet.track].time_base


@dataclass(frozen=True)
class About:
    """What a source says about itself as a whole: tags and chapters."""

    tags: dict[str, str]
    chapters: tuple[Chapter, ...]


def read_about(container: InputContainer, notes: Notes) -> About:
    """The tags and chapters of a container; what does not fit a file is left out and said."""
    tags: dict[str, str] = {}
    room = _MOST_TAG_BYTES
    left_out = []
    for name, value in container.metadata.items():
        if name.lower() in _CONTAINER_TAGS:
            continue
        room -= len((name + value).encode("utf-8", "replace"))
        if room < 0:
            left_out.append(name)
            continue
        tags[name] = value
    if left_out:
        notes.add(f"dropped {counted(len(left_out), 'tag')} that are too long: {left_out[0]}")
    chapters: list[Chapter] = []
    room = MAX_CHAPTERS_BYTES
    for chapter in container.chapters():
        start, base = chapter["start"], chapter["time_base"]
        title = chapter["metadata"].get("title", "")[:_MOST_TITLE]
        room -= _CHAPTER_BYTES + len(title.encode("utf-8", "replace"))
        if base is None or room < 0:
            notes.add("dropped chapters that have no time base, or are more than fit a file")
            continue
        chapters.append(Chapter(start, max(start, chapter["end"]), base, title))
    return About(tags, tuple(chapters))


def describe(stream: Stream) -> str:
    """A stream in a few words: codec, of audio also rate and channels; of attachments the name."""
    context: Any = stream.codec_context
    if stream.type == "attachment":
        return str(stream.metadata.get("filename") or "without a name")
    name = "unknown codec" if context is None else str(context.codec.canonical_name)
    if stream.type == AUDIO and context is not None:
        channels = context.layout.nb_channels
        name += f" {context.sample_rate} Hz {counted(channels, 'channel')}"
    return name


def _is_chapter_list(container: InputContainer, stream: Stream) -> bool:
    """Whether a stream is the list of chapters of an MP4 file, which has no packets."""
    name = getattr(stream, "name", None)
    return stream.type == "data" and name == "bin_data" and bool(container.chapters())


def _track(stream: Stream, number: int) -> Track | None:
    """A stream as a track, None where it is none that a file can have."""
    context: Any = stream.codec_context
    codec = getattr(stream, "name", None) if context is None else context.codec.canonical_name
    if stream.type not in KINDS or not codec or stream.time_base is None:
        return None
    if stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails):
        return None
    extradata = bytes(getattr(context, "extradata", None) or b"")
    if len(extradata) > MAX_TRACK_BYTES // 2:
        return None
    tags = stream.metadata
    language = tags.get("language", "")
    track = Track(
        number,
        stream.type,
        codec,
        stream.time_base,
        extradata,
        language[:255] if is_word(language) and language != "und" else "",
        # Files of the MP4 family have a title of a track as its name.
        (tags.get("title") or tags.get("name") or "")[:_MOST_TITLE],
        tuple(name for name in DISPOSITIONS if stream.disposition & Disposition[name]),
    )
    if stream.type != AUDIO:
        return track
    layout = context.layout
    return replace(
        track,
        rate=context.sample_rate or 0,
        channels=layout.nb_channels,
        priming=max(context.delay, 0),
        layout=layout.name if is_word(layout.name) and len(layout.name) < 256 else "",
    )


def _not_heard(packet: AvPacket[Any]) -> tuple[int, int]:
    """Samples at the start and the end of a packet that are decoded but not heard."""
    for side in packet.iter_sidedata():
        if side.data_type == "skip_samples" and side.data_size >= _SKIP_SAMPLES.size:
            skip, discard, *_ = _SKIP_SAMPLES.unpack_from(bytes(side))
            return skip, discard
    return 0, 0


def _name(track: Track) -> str:
    text = f"{track.kind} track {track.number} ({track.codec}"
    return f"{text}, {track.language})" if track.language else f"{text})"
