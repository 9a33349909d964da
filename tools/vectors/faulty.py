"""The faulty vectors: each breaks one requirement of Appendix A of the spec, after valid groups."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tools.vectors.compose import Dice, Frame, Video
from tools.vectors.pack import (
    HYBRID,
    NIRVANA,
    SIGNATURE,
    SINE,
    End,
    Group,
    Unit,
    apkt,
    atrk,
    chap,
    complete,
    fend,
    grup,
    hdrm,
    head,
    hybr,
    index,
    index_entries,
    join,
    meta,
    nirv,
    packet,
    sirn,
    sv,
    uv,
)
from tools.vectors.valid import group_list, records

CALM: dict[str, Any] = {"wild": 0.0, "curious": 0.0, "most": 8}
SHAPE = (8, 3, 2, 12, 3, 2)


@dataclass(frozen=True)
class Fault:
    """A faulty vector: the number of its rule, its name, and what comes before the damage.

    A reader may take one that is `optional`; then it gives the frames of `whole`.
    """

    rule: str
    name: str
    data: bytes
    before: Sequence[Frame] = ()
    optional: bool = False
    whole: Sequence[Frame] = ()


@functools.cache
def base(model: int = HYBRID, groups: str = "K 1 K", network: int = 0) -> Video:
    """A small valid video, which nothing changes."""
    shape = {SINE: sirn(*SHAPE), HYBRID: hybr(4, 0, network), NIRVANA: nirv()}
    video = Video({"model": model, "width": 8, "height": 8}, shape[model])
    dice = Dice(7, **CALM)
    rng = np.random.default_rng(7)
    for key, count, second in group_list(groups):
        begin = records(video.model, rng, (6, 13, 13, 11, 12)) if key and model == SINE else b""
        video.add(key, (1,) * count, dice, second=second, begin=begin)
    return video


FAULTS: list[Fault] = []


def fault(rule: str, name: str, data: bytes, before: Sequence[Frame] = (), **more: Any) -> None:
    """Add a faulty vector."""
    FAULTS.append(Fault(rule, name, data, before, **more))


def groups_of(video: Video) -> list[int]:
    """The places of GRUP units among the units."""
    return [place for place, unit in enumerate(video.units) if unit.group]


def before(video: Video, number: int) -> list[Frame]:
    """The frames of the groups before a group."""
    groups = [unit.group for unit in video.units if unit.group]
    return video.frames[: groups[number].first_frame] if number < len(groups) else video.frames


def with_group(video: Video, number: int, **changes: Any) -> bytes:
    """The file with fields of a group changed, and a right end."""
    units = list(video.units)
    place = groups_of(video)[number]
    old = units[place].group
    assert old is not None
    units[place] = grup(replace(old, **changes))
    return complete(units)


def with_head(model: int = HYBRID, **fields: Any) -> bytes:
    """The file with fields of HEAD changed."""
    video = base(model)
    fields = {"model": model, "width": 8, "height": 8} | fields
    return complete([Unit(b"HEAD", head(**fields)), *video.units[1:]])


def with_description(model: int, payload: bytes, **fields: Any) -> bytes:
    """The file with another description of its model."""
    video = base(model)
    start = video.units[0]
    if fields:
        start = Unit(b"HEAD", head(**({"model": model, "width": 8, "height": 8} | fields)))
    return complete([start, video.units[1]._replace(payload=payload), *video.units[2:]])


def with_units(*places: tuple[int, Unit]) -> bytes:
    """The file with more units, at places of the list of units of the valid file."""
    units = list(base().units)
    for place, unit in sorted(places, key=lambda pair: pair[0])[::-1]:
        units.insert(place, unit)
    return complete(units)


def basics() -> None:
    """Clauses 1.3 to 2.3."""
    video = base()
    whole = complete(video.units)
    first, second = groups_of(video)[:2]
    payload = video.units[second].payload

    def raw_group(start: bytes, rest: bytes) -> bytes:
        units = list(video.units)
        units[second] = Unit(b"GRUP", start + rest, units[second].group)
        return complete(units)

    after = before(video, 1)
    fault(
        "1.3-1",
        "not-below-2-64",
        raw_group(payload[:1] + b"\xff" * 9 + b"\x02", payload[2:]),
        after,
    )
    fault(
        "1.3-1", "eleven-bytes", raw_group(payload[:1] + b"\x80" * 10 + b"\x01", payload[2:]), after
    )
    fault("1.3-2", "padded", raw_group(payload[:1] + b"\x81\x00", payload[2:]), after)
    fault("2.1-1", "other-file", b"\x89PNG" + whole[4:])
    fault("2.1-1", "text-mode", whole.replace(b"\r\n", b"\n"))
    fault("2.1-2", "cut", whole[:5])
    fault("2.1-2", "empty", b"")

    def damaged(place: int, change: Callable[[bytearray], None]) -> bytes:
        units = list(video.units)
        coded = bytearray(units[place].build())
        change(coded)
        units[place] = units[place]._replace(coded=bytes(coded))
        return complete(units)

    def set_byte(offset: int, value: int) -> Callable[[bytearray], None]:
        def change(coded: bytearray) -> None:
            coded[offset] = value

        return change

    def flip(offset: int) -> Callable[[bytearray], None]:
        def change(coded: bytearray) -> None:
            coded[offset] ^= 1

        return change

    fault("2.2-1", "type-not-letters", damaged(second, set_byte(0, ord("1"))), after)
    fault("2.2-1", "type-not-ascii", damaged(first, set_byte(1, 0xC4)))
    lying = struct.pack("<4sI", b"GRUP", (1 << 22) + 1)
    fault("2.2-2", "length-above-level", join(video.units[:second]) + lying + bytes(64), after)
    fault("2.2-2", "length-of-head", SIGNATURE + struct.pack("<4sI", b"HEAD", 4097) + bytes(4097))
    unknown = struct.pack("<4sI", b"zzZz", (1 << 22) + 1)
    fault("2.2-2", "length-of-unknown", join(video.units[:2]) + unknown + bytes(64))
    fault("2.2-3", "crc", damaged(second, flip(-1)), after)
    fault("2.2-3", "payload-bit", damaged(second, flip(12)), after)
    fault("2.2-3", "head-bit", damaged(0, flip(20)))
    fault("2.2-3", "critical-type-bit", damaged(second, flip(3)), after)
    fault("2.2-4", "reserved-letter", with_units((second, Unit(b"zzzz", b"?"))), after)
    fault("2.2-5", "unknown-critical", with_units((second, Unit(b"ZZZZ", b"?"))), after)
    group = video.units[second]
    fault("2.7-19", "group-cut", raw_group(payload[:6], b""), after)
    size = len(join(video.units[:second]))
    for name, at in (("type", 2), ("length", 7), ("payload", 12), ("crc", len(group.build()) - 2)):
        fault("2.2-6", f"cut-in-{name}", whole[: size + at], after)
    fault("2.2-6", "cut-in-head", whole[:30])

    fault("2.3-1", "description-first", complete(video.units[1:]))
    fault("2.3-1", "ancillary-first", join([Unit(b"zzZz", b""), *video.units]))
    fault("2.3-2", "no-description", complete([video.units[0], *video.units[2:]]))
    other = [video.units[0], Unit(b"NIRV", nirv()), *video.units[2:]]
    fault("2.3-2", "description-of-another-model", complete(other))
    fault("2.3-2", "metadata-before-description", with_units((1, meta())))
    fault("2.3-3", "two-heads", with_units((1, video.units[0])))
    fault("2.3-3", "two-descriptions", with_units((2, video.units[1])))
    fault("2.3-3", "late-description", with_units((second, video.units[1])), after)
    fault("2.3-3", "late-head", with_units((second, video.units[0])), after)
    fault("2.3-4", "metadata-after-group", with_units((second, meta())), after)
    fault("2.3-4", "metadata-after-hdr", with_units((2, hdrm()), (2, meta())))
    fault("2.3-4", "hdr-after-chapters", with_units((2, chap([(0, 1, "")])), (2, hdrm())))
    fault("2.3-4", "chapters-after-track", with_units((2, atrk(0)), (2, chap([(0, 1, "")]))))
    late = with_units((2, atrk(0)), (second, atrk(1)))
    fault("2.3-4", "track-after-group", late, after)
    sound = apkt(0, packet(b"", pts=0, duration=1))
    fault("2.3-4", "track-after-packets", with_units((2, atrk(0)), (2, sound), (2, atrk(1))))
    fault("2.3-5", "two-hdr", with_units((2, hdrm()), (2, hdrm())))
    fault("2.3-5", "two-chapters", with_units((2, chap([(0, 1, "")])), (2, chap([(0, 1, "")]))))
    fault("2.3-6", "no-group", join([*video.units[:2], fend(video.units[:2])]))
    nothing = [*video.units[:2], index(video.units[:2])]
    fault("2.3-6", "index-without-group", join([*nothing, fend(nothing)]))
    listed = [*video.units[:second], index(video.units[:second])]
    again = [*listed, *video.units[second:]]
    fault("2.3-7", "group-after-index", join([*again, fend(again)]), after)
    twice = [*video.units, index(video.units), index(video.units)]
    fault("2.3-7", "two-indices", join([*twice, fend(twice)]), video.frames)
    fault("2.3-8", "no-end", join([*video.units, index(video.units)]), video.frames)
    fault("2.3-9", "byte-after-end", whole + b"\0", video.frames)
    fault("2.3-9", "two-files", whole + whole, video.frames)
    fault("2.3-9", "unit-after-end", whole + Unit(b"zzZz", b"").build(), video.frames)


def heads() -> None:
    """Clause 2.4 and 2.11."""
    fields: list[tuple[int, str, dict[str, Any]]] = [
        (1, "min-reader-above-version", {"min_reader_version": 1}),
        (2, "min-reader-above-reader", {"format_version": 9, "min_reader_version": 9}),
        (3, "level-0", {"level": 0}),
        (3, "level-6", {"level": 6}),
        (5, "chroma-format", {"chroma_format": 4}),
        (6, "bit-depth-9", {"bit_depth": 9}),
        (6, "bit-depth-16", {"bit_depth": 16}),
        (7, "tools", {"tools": 1 << 31}),
        (7, "tools-lowest", {"tools": 1}),
        (8, "width", {"width": 0}),
        (9, "height", {"height": 0}),
        (10, "rate-without-den", {"frame_rate_den": 0}),
        (10, "rate-without-num", {"frame_rate_num": 0}),
        (11, "time-base-num", {"time_base_num": 0}),
        (11, "time-base-den", {"time_base_den": 0}),
        (12, "sar-without-den", {"sar_num": 1}),
        (12, "sar-without-num", {"sar_den": 1}),
        (13, "full-range", {"full_range": 3}),
        (14, "chroma-location", {"chroma_location": 6}),
        (14, "chroma-location-254", {"chroma_location": 254}),
        (15, "reserved", {"reserved": b"\0\0\1"}),
        (16, "frame-count", {"frame_count": 0}),
    ]
    for number, name, changes in fields:
        fault(f"2.4-{number}", name, with_head(**changes))
    video = base()
    for model in (0, 4, 255):
        start = Unit(b"HEAD", head(model=model, width=8, height=8))
        fault("2.4-4", f"model-{model}", complete([start, *video.units[1:]]))
    for name, payload in (
        ("short", video.units[0].payload[:-1]),
        ("long", video.units[0].payload + b"\0"),
    ):
        units = [Unit(b"HEAD", payload), *video.units[1:]]
        fault("2.4-17", f"head-{name}", complete(units))
    fault("2.4-3", "first-of-two-broken-rules", with_head(level=9, width=0))
    fault("2.11-1", "samples", with_head(width=513, height=512))
    fault("2.11-1", "samples-422", with_head(width=444, height=443, chroma_format=2))
    fault("2.11-1", "samples-444", with_head(width=363, height=362, chroma_format=3))
    fault("2.11-2", "weights", with_description(SINE, sirn(4, 32, 3, 1024, 1, 1)))
    fault("2.11-3", "multiplications", with_description(SINE, sirn(4, 1, 1, 16, 64, 64)))
    lone = with_description(SINE, sirn(4, 32, 2, 512, 16, 1))
    fault("2.11-3", "multiplications-of-a-lone-frame", lone)


def groups() -> None:
    """Clause 2.7."""
    video = base()
    one, all_frames = before(video, 1), video.frames
    two = before(video, 2)
    fault("2.7-1", "flags", with_group(video, 1, flags=8), one)
    fault("2.7-1", "flags-highest", with_group(video, 1, flags=128), one)
    fault("2.7-1", "second-3", with_group(video, 1, flags=6), one)
    fault("2.7-2", "second-of-key", with_group(video, 2, flags=5), two)
    for model, key in ((SINE, "K1 1 K1"), (NIRVANA, "K1 1 K1")):
        other = base(model, key)
        name = "sine" if model == SINE else "nirvana"
        fault("2.7-2", f"second-of-{name}", with_group(other, 1, flags=2), before(other, 1))
    fault("2.7-3", "frame-count-0", with_group(video, 1, frame_count=0, runs=b""), one)
    above = with_group(video, 1, durations=(1,) * 5)
    fault("2.7-3", "frame-count-above", above, one)
    fault("2.7-4", "two-frames-in-key", with_group(video, 2, durations=(1, 1)), two)
    fault("2.7-5", "first-frame-behind", with_group(video, 1, first_frame=0), one)
    fault("2.7-5", "first-frame-ahead", with_group(video, 1, first_frame=2), one)
    fault("2.7-5", "first-frame-of-first", with_group(video, 0, first_frame=1))
    fault("2.7-6", "duration-0", with_group(video, 1, runs=uv(0) + uv(1)), one)
    fault("2.7-6", "duration-above", with_group(video, 1, runs=uv(1 << 32) + uv(1)), one)
    three = base(HYBRID, "K 3 K")
    first = before(three, 1)
    same = (uv(1) + uv(1)) * 2 + uv(2) + uv(1)
    fault("2.7-7", "run-of-the-same", with_group(three, 1, runs=same), first)
    fault("2.7-8", "run-0", with_group(three, 1, runs=uv(1) + uv(0) + uv(2) + uv(3)), first)
    fault("2.7-8", "run-beyond", with_group(three, 1, runs=uv(1) + uv(4)), first)
    for model, name in ((HYBRID, "hybrid"), (NIRVANA, "nirvana")):
        other = base(model, "K1 1 K1")
        data = with_group(other, 1, tables=b"\1")
        fault("2.7-9", f"tables-of-{name}", data, before(other, 1))
    sine = base(SINE, "K1 1 K1")
    fault("2.7-10", "content-of-sine", with_group(sine, 1, content=b"\1"), before(sine, 1))
    fault("2.7-11", "motion-of-sine", with_group(sine, 1, motion=b"\1"), before(sine, 1))
    other = base(NIRVANA, "K1 1 K1")
    key = with_group(other, 2, motion=b"\1")
    fault("2.7-11", "motion-of-nirvana-key", key, before(other, 2))
    fault("2.7-12", "network-without-one", with_group(video, 1, network=b"\1"), one)
    fault("2.7-13", "lengths-beyond", with_group(video, 1, lengths=(0, 1 << 20, 0)), one)
    wide = (0, (1 << 64) - 1, 2)
    fault("2.7-13", "lengths-that-wrap", with_group(video, 1, lengths=wide), one)
    fault("2.7-14", "first-not-key", with_group(video, 0, flags=0))
    fault("2.7-15", "time-of-the-last-frame", with_group(video, 1, first_pts=0), one)
    fault("2.7-15", "time-before", with_group(video, 1, first_pts=-9), one)
    fault("2.7-16", "end-above", with_group(video, 2, first_pts=(1 << 63) - 1), two)
    fields = {"width": 8, "height": 8}
    for count in (1, 2):
        units = [Unit(b"HEAD", head(frame_count=count, **fields)), *video.units[1:]]
        fault("2.7-18", f"more-than-{count}", complete(units), before(video, count))
    mismatch = with_group(video, 1, crc=1)
    fault("2.10-1", "crc-of-samples", mismatch, one, optional=True, whole=all_frames)


def ends() -> None:
    """Clauses 2.8 and 2.9."""
    video = base()
    entries = index_entries(video.units)

    def with_index(payload: bytes) -> bytes:
        units = [*video.units, Unit(b"iNDX", payload)]
        return join([*units, fend(units)])

    def entry(number: int, place: int, value: bytes) -> bytes:
        changed = list(entries)
        fields = [changed[number][:1], changed[number][1:2], changed[number][2:]]
        fields[place] = value
        changed[number] = b"".join(fields)
        return with_index(uv(len(changed)) + b"".join(changed))

    faults = {
        ("2.8-1", "count-less"): with_index(uv(2) + b"".join(entries[:2])),
        ("2.8-1", "count-more"): with_index(uv(4) + b"".join(entries) + entries[-1]),
        ("2.8-1", "count-0"): with_index(uv(0)),
        ("2.8-2", "distance"): entry(1, 0, uv(1)),
        ("2.8-2", "distance-0"): entry(0, 0, uv(0)),
        ("2.8-3", "frames"): entry(1, 1, uv(4)),
        ("2.8-3", "not-key"): entry(2, 1, uv(2)),
        ("2.8-4", "ticks"): entry(1, 2, uv(9)),
        ("2.8-4", "ticks-of-first"): entry(0, 2, sv(-1)),
        ("2.8-5", "short"): with_index(uv(3) + b"".join(entries)[:-1]),
        ("2.8-5", "long"): with_index(uv(3) + b"".join(entries) + b"\0"),
        ("2.8-5", "empty"): with_index(b""),
        ("2.9-1", "frame-count"): complete(video.units, end=End(frame_count=4)),
        ("2.9-3", "md5"): complete(video.units, end=End(md5=bytes(16))),
        ("2.9-4", "index-offset"): complete(video.units, end=End(index_offset=8)),
        ("2.9-4", "index-offset-0"): complete(video.units, end=End(index_offset=0)),
        ("2.9-4", "no-index"): complete(video.units, indexed=False, end=End(index_offset=8)),
        ("2.9-5", "end-long"): complete(video.units, end=End(extra=b"\0")),
    }
    for (rule, name), data in faults.items():
        fault(rule, name, data, video.frames)
    units = [Unit(b"HEAD", head(frame_count=4, width=8, height=8)), *video.units[1:]]
    fault("2.9-2", "fewer-than-head", complete(units), video.frames)


def beside() -> None:
    """Clauses 2.6 and 2.12 to 2.15: what a reader may skip unread."""
    video = base()

    def skippable(rule: str, name: str, *places: tuple[int, Unit]) -> None:
        fault(rule, name, with_units(*places), optional=True, whole=video.frames)

    zstd = meta().payload
    long = '{"a":"' + "x" * 65529 + '"}'
    for rule, name, payload in (
        ("2.6-1", "not-zstandard", b"nothing"),
        ("2.6-1", "two-frames", zstd * 2),
        ("2.6-2", "cut", zstd[:-1]),
        ("2.6-3", "long", meta(long).payload),
        ("2.6-4", "not-json", meta("{").payload),
        ("2.6-4", "not-an-object", meta("[]").payload),
        ("2.6-4", "nan", meta('{"a":NaN}').payload),
        ("2.6-4", "surrogate", meta('{"a":"\\ud800"}').payload),
        ("2.6-5", "type-of-member", meta('{"encoder":1}').payload),
    ):
        skippable(rule, name, (2, Unit(b"mETa", payload)))
    skippable("2.6-6", "metadata-17", *[(2, meta())] * 17)
    skippable("2.12-1", "no-flags", (2, hdrm(0)))
    skippable("2.12-1", "flags", (2, hdrm(15)))
    skippable("2.12-2", "unknown-not-0", (2, hdrm(6, white_point=(1, 0))))
    skippable("2.12-3", "hdr-long", (2, Unit(b"hDRm", hdrm().payload + b"\0")))
    skippable("2.13-1", "no-chapters", (2, chap([])))
    skippable("2.13-2", "chapter-base", (2, chap([(0, 1, "")], base=(0, 1))))
    skippable("2.13-3", "chapter-end", (2, chap([(1, 0, "")])))
    skippable(
        "2.13-4", "chapter-text", (2, Unit(b"cHAP", chap([(0, 1, "x")]).payload[:-1] + b"\xff"))
    )
    skippable("2.13-5", "chapters-long", (2, chap([(0, 1, "")], more=b"\0")))
    titles = [(0, 1, "x" * 65000)] * 5
    skippable("2.13-6", "chapters-above", (2, chap(titles)))
    skippable("2.14-1", "number-again", (2, atrk(1)), (2, atrk(1)))
    skippable("2.14-2", "kind", (2, atrk(0, 3)))
    skippable("2.14-3", "disposition", (2, atrk(0, disposition=1 << 15)))
    skippable("2.14-4", "track-base", (2, atrk(0, base=(1, 0))))
    skippable("2.14-5", "rate-of-subtitle", (2, atrk(0, 1, "subrip", rate=1)))
    skippable("2.14-5", "layout-of-data", (2, atrk(0, 2, "bin_data", layout="mono")))
    skippable("2.14-6", "no-codec", (2, atrk(0, codec="")))
    skippable("2.14-6", "codec-with-space", (2, atrk(0, codec="a b")))
    skippable("2.14-7", "track-long", (2, atrk(0, more=b"\0")))
    skippable("2.14-8", "many-tracks", *((2, atrk(k, 2)) for k in range(65)))
    skippable("2.14-8", "track-above", (2, atrk(0, extradata=bytes(1 << 18))))
    good = packet(b"x", pts=0, duration=1)
    sounds = {
        ("2.15-1", "packet-without-track"): apkt(1, good),
        ("2.15-2", "packet-reserved"): apkt(0, good, reserved=1),
        ("2.15-3", "no-packets"): apkt(0),
        ("2.15-4", "packet-flags"): apkt(0, b"\x2b" + good[1:]),
        ("2.15-5", "first-without-time"): apkt(0, packet(b"x", duration=1)),
        ("2.15-5", "first-without-duration"): apkt(0, packet(b"x", pts=1)),
        ("2.15-6", "skip-above"): apkt(0, packet(b"", pts=0, duration=1, trim=(1 << 32, 0))),
        ("2.15-7", "time-above"): apkt(0, packet(b"", pts=(1 << 63) - 1, duration=1)),
        ("2.15-8", "over-a-second"): apkt(0, good, packet(b"", pts=48000)),
        ("2.15-9", "count-of-packets"): apkt(0, good, count=2),
        ("2.15-9", "packets-long"): apkt(0, good, good, count=1),
    }
    for (rule, name), unit in sounds.items():
        skippable(rule, name, (2, atrk(0)), (2, unit))
    text = apkt(0, packet(b"", pts=0, duration=1, trim=(1, 0)))
    skippable("2.15-6", "skip-of-subtitle", (2, atrk(0, 1, "subrip")), (2, text))


def coder() -> None:
    """Clause 3.2."""
    video = base()
    one = before(video, 1)
    group = video.units[groups_of(video)[1]].group
    assert group is not None
    fault("3.2-1", "first-bytes-ff", with_group(video, 1, content=b"\xff" * 4 + b"\1"), one)
    fault("3.2-1", "motion-first-bytes-ff", with_group(video, 1, motion=b"\xff" * 4), one)
    behind = {name: getattr(group, name) + bytes(40) + b"\1" for name in ("content", "motion")}
    for name, longer in behind.items():
        fault("3.2-2", f"bytes-behind-{name}", with_group(video, 1, **{name: longer}), one)
    empty = video_of(HYBRID, hybr(4), {})
    empty.add(True, (1,), Dice(1, **CALM))
    first = list(empty.frames)
    empty.add(False, (1,), Dice(1, **CALM), empty=("content", "motion"))
    for name in ("content", "motion"):
        fault("3.2-3", f"zero-at-end-of-{name}", with_group(empty, 1, **{name: b"\0"}), first)
    network = base(HYBRID, "K 1 K", 1)
    unread = with_group(network, 1, network=bytes(9) + b"\1")
    fault("3.2-2", "bytes-behind-network", unread, before(network, 1))


def video_of(model: int, description: bytes, fields: dict[str, Any]) -> Video:
    """A video of 8 by 8 samples without groups."""
    return Video({"model": model, "width": 8, "height": 8, **fields}, description)


def descriptions() -> None:
    """Clauses 4.1, 7.1 and 11.1."""
    shapes = [
        ("4.1-1", "patch-odd", (9, 3, 2, 12, 3, 2)),
        ("4.1-1", "patch-2", (2, 3, 2, 12, 3, 2)),
        ("4.1-1", "patch-66", (66, 3, 2, 12, 3, 2)),
        ("4.1-2", "sine-frames-0", (8, 0, 2, 12, 3, 2)),
        ("4.1-2", "sine-frames-33", (8, 33, 2, 12, 3, 2)),
        ("4.1-3", "depth-0", (8, 3, 0, 12, 3, 2)),
        ("4.1-3", "depth-9", (8, 3, 9, 12, 3, 2)),
        ("4.1-4", "width-0", (8, 3, 2, 0, 3, 2)),
        ("4.1-4", "width-1025", (8, 3, 1, 1025, 3, 2)),
        ("4.1-5", "stem-0", (8, 3, 2, 12, 0, 2)),
        ("4.1-5", "stem-65", (8, 3, 2, 12, 65, 2)),
        ("4.1-6", "head-0", (8, 3, 2, 12, 3, 0)),
        ("4.1-6", "head-65", (8, 3, 2, 12, 3, 65)),
    ]
    for rule, name, shape in shapes:
        fault(rule, name, with_description(SINE, sirn(*shape)))
    fault("4.1-7", "sine-short", with_description(SINE, sirn(*SHAPE)[:-1]))
    fault("4.1-8", "sine-monochrome", with_description(SINE, sirn(*SHAPE), chroma_format=0))
    fault("4.1-8", "sine-10", with_description(SINE, sirn(*SHAPE), bit_depth=10))
    for rule, name, payload in (
        ("7.1-1", "hybrid-frames-0", hybr(0)),
        ("7.1-1", "hybrid-frames-33", hybr(33)),
        ("7.1-2", "offset-13", hybr(4, 13)),
        ("7.1-2", "offset-minus-13", hybr(4, -13)),
        ("7.1-3", "network-2", hybr(4, 0, 2)),
        ("7.1-4", "hybrid-long", hybr(4) + b"\0"),
    ):
        fault(rule, name, with_description(HYBRID, payload))
    for rule, name, payload in (
        ("11.1-1", "table-0", nirv(0)),
        ("11.1-1", "table-2", nirv(2)),
        ("11.1-2", "nirvana-patch", nirv(patch=16)),
        ("11.1-3", "nirvana-frames", nirv(group_frames=8)),
        ("11.1-4", "features", nirv(features=96)),
        ("11.1-5", "nirvana-short", nirv()[:-1]),
    ):
        fault(rule, name, with_description(NIRVANA, payload))


def broken_group(
    rule: str,
    name: str,
    video: Video,
    key: bool,
    dice: dict[str, Any],
    what: str = "",
    **options: Any,
) -> None:
    """Add a vector whose last group breaks a rule in its substreams."""
    clause = rule.partition("-")[0]
    first = list(video.frames)
    substreams, _ = video.compose(key, 1, Dice(5, **dice), broken=(clause, what), **options)
    group = Group(len(first), (1,), video.pts, key, 1, **substreams)
    fault(rule, name, complete([*video.units, grup(group)]), first)


def started(model: int, description: bytes, **fields: Any) -> Video:
    """A video with a key group."""
    video = video_of(model, description, fields)
    begin = b""
    if model == SINE:
        begin = records(video.model, np.random.default_rng(1), (6, 13, 13, 11, 12))
    video.add(True, (1,), Dice(2, **CALM), begin=begin)
    return video


def substreams() -> None:
    """Clauses 4 to 11: what the substreams of a group hold."""
    records_of = {
        ("4.3-1", "step"): b"\x90\0\0\0\0\0",
        ("4.3-2", "bias-shift"): b"\0\x15\0\0\0\0",
        ("4.3-3", "weight-bound"): b"\0\0\0\x08\0\0",
        ("4.3-4", "bias-bound"): b"\0\0\0\0\0\x80",
    }
    video = started(SINE, sirn(*SHAPE))
    layers = len(video.model.layers)
    for (rule, name), record in records_of.items():
        group = Group(1, (1,), video.pts, True, 1, network=record * layers)
        fault(rule, name, complete([*video.units, grup(group)]), video.frames)
    group = Group(1, (1,), video.pts, True, 1, network=bytes(6 * layers - 1))
    fault("4.3-5", "records-cut", complete([*video.units, grup(group)]), video.frames)
    broken_group("4.4-1", "weight-above", video, False, {"wild": 0.2, "ones": 0.7, "most": 4000})
    steep = b"\x24\x14\x00\x00\xff\x7f" * layers
    broken_group("4.5-1", "row-above", video, True, CALM, begin=steep)
    after_key = base(HYBRID, "K 1/2")
    fault("7.2-1", "second-after-key", with_group(after_key, 1, flags=2), before(after_key, 1))
    for depth, last in ((10, 76), (12, 88)):
        video = started(HYBRID, hybr(4), bit_depth=depth)
        dice = {**CALM, "quantisers": (last,)}
        broken_group("7.5-1", f"quantiser-{depth}", video, False, dice)
    video = started(HYBRID, hybr(4))
    broken_group("7.8-1", "filter-number", video, False, {"ones": 0.8, "honest": False})
    video = started(HYBRID, hybr(4, 0, 1))

    def new_mode(stream: str, context: int) -> int | None:
        return 0 if stream == "Substream" and context < 2 else None

    wild = {"wild": 0.9, "ones": 0.9, "force": new_mode}
    broken_group("9.2-1", "weight-of-16-bits", video, False, wild, "16 bits")
    many = {**wild, "most": 400}
    broken_group("9.2-2", "row-of-the-network", video, False, many, "bound")
    video = started(NIRVANA, nirv())
    broken_group("11.6-1", "q-3", video, False, {**CALM, "quantisers": (3,)})
    broken_group("11.6-1", "q-0-of-key", video, True, {**CALM, "quantisers": (0,)})
    large = {"wild": 0.5, "ones": 0.9, "most": 40000}
    broken_group("11.6-2", "residual", video, True, large)

    def only_components(stream: str, context: int) -> int | None:
        return 0 if stream == "ResidualStream" else None

    wide = {"wild": 0.5, "ones": 0.9, "most": 160, "force": only_components}
    broken_group("11.8-1", "component", video, True, wide)


def all_faults() -> list[Fault]:
    """All faulty vectors."""
    FAULTS.clear()
    for part in (basics, heads, groups, ends, beside, coder, descriptions, substreams):
        part()
    return FAULTS
