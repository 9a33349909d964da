"""Tracks, packets, chapters and HDR metadata (spec 2.12 to 2.15): round trips, rules, damage."""

import contextlib
import io
import struct
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.format import (
    Chapter,
    Chapters,
    CorruptError,
    Damaged,
    End,
    Group,
    GroupUnit,
    Hdr,
    Header,
    Limits,
    Metadata,
    NrvError,
    NrvWriter,
    OverLimitError,
    Packet,
    Packets,
    Track,
    TruncatedError,
    UnitReader,
    read_group_at,
    read_index,
    scan_index,
    scan_packets,
)
from nvcodec.format.tracks import DISPOSITIONS

from .samples import KEY, NEXT, SIRN, complete, head, join, meta, read_all, sv, unit, uv

AUDIO = Track(0, "audio", "aac", Fraction(1, 48000), b"\x12\x10", rate=48000, channels=2)
TEXT = Track(3, "subtitle", "subrip", Fraction(1, 1000), language="deu", title="Gehörlose")

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
counts = st.integers(0, 2**32 - 1)
times = st.integers(-(2**63), 2**63 - 1)
bases = st.builds(Fraction, st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
titles = st.text(max_size=20)


@st.composite
def tracks(draw: st.DrawFn) -> list[Track]:
    found = []
    for number in sorted(draw(st.sets(st.integers(0, 255), max_size=5))):
        kind = draw(st.sampled_from(["audio", "subtitle", "data"]))
        disposition = draw(st.sets(st.sampled_from(DISPOSITIONS)))
        found.append(
            Track(
                number,
                kind,
                draw(words.filter(bool)),
                draw(bases),
                draw(st.binary(max_size=30)),
                draw(words),
                draw(titles),
                tuple(name for name in DISPOSITIONS if name in disposition),
                *(draw(counts), draw(st.integers(0, 65535)), draw(counts))
                if kind == "audio"
                else (),
                layout=draw(words) if kind == "audio" else "",
            )
        )
    return found


def packets_of(track: Track) -> st.SearchStrategy[Packet]:
    samples = counts if track.kind == "audio" else st.just(0)
    return st.builds(
        Packet,
        st.just(track.number),
        st.integers(-(2**62), 2**62),
        st.integers(0, 2**62),
        st.binary(max_size=30),
        st.none() | times,
        st.booleans(),
        samples,
        samples,
    )


chapters = st.lists(
    st.builds(
        lambda a, b, base, title: Chapter(min(a, b), max(a, b), base, title),
        times,
        times,
        bases,
        titles,
    ),
    max_size=4,
)
short = st.integers(0, 65535)
points = st.tuples(short, short)
hdrs = st.builds(
    Hdr,
    st.none() | st.tuples(points, points, points, points),
    st.none() | st.tuples(counts, counts),
    st.none() | points,
).filter(lambda hdr: hdr != Hdr())

HEADER = Header(level=1, width=17, height=9, time_base_num=1, time_base_den=25)


def group(first_frame: int = 0) -> Group:
    return Group(
        first_frame=first_frame,
        frame_count=2,
        key=True,
        crc=7,
        first_pts=first_frame,
        durations=(1, 1),
        tables=b"",
        content=b"",
        motion=b"",
        network=b"net",
    )


def written(hdr=None, chapters=(), tracks=(), before=(), after=()) -> bytes:
    file = io.BytesIO()
    writer = NrvWriter(file)
    writer.begin(HEADER, b"network", {"a": 1}, hdr=hdr, chapters=chapters, tracks=tracks)
    writer.add_packets(before)
    writer.add_group(group())
    writer.add_packets(after)
    writer.finish()
    assert writer.offset == len(file.getvalue())
    return file.getvalue()


def events_of(data: bytes, **options):
    return list(UnitReader(io.BytesIO(data), **options))


def by_track(packets):
    found: dict[int, list[Packet]] = {}
    for packet in packets:
        found.setdefault(packet.track, []).append(packet)
    return found


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.data(), st.none() | hdrs, chapters, tracks())
def test_what_is_written_is_read(data, hdr, chapters, tracks) -> None:
    strategy = st.one_of([packets_of(track) for track in tracks]) if tracks else st.nothing()
    packets = data.draw(st.lists(strategy, max_size=12)) if tracks else []
    half = len(packets) // 2
    file = written(hdr, chapters, tracks, packets[:half], packets[half:])
    events = events_of(file)
    assert [event for event in events if isinstance(event, Hdr)] == ([hdr] if hdr else [])
    assert [e.chapters for e in events if isinstance(e, Chapters)] == (
        [tuple(chapters)] if chapters else []
    )
    assert [event for event in events if isinstance(event, Track)] == tracks
    units = [event.packets for event in events if isinstance(event, Packets)]
    assert by_track(packet for packed in units for packet in packed) == by_track(packets)
    bases = {track.number: track.time_base for track in tracks}
    for packed in units:
        (number,) = {packet.track for packet in packed}
        starts = [packet.pts for packet in packed]
        assert (max(starts) - min(starts)) * bases[number] < 1
    assert isinstance(events[-1], End)
    assert list(scan_packets(io.BytesIO(file))) == [p for packed in units for p in packed]


def test_units_are_in_order_of_time_and_hold_less_than_a_second() -> None:
    audio = [Packet(0, n * 1024, 1024, b"a") for n in range(100)]
    text = [Packet(3, 500, 400, b"one"), Packet(3, 1900, 400, b"two")]
    events = events_of(written(tracks=[AUDIO, TEXT], before=audio + text))
    units = [event.packets for event in events if isinstance(event, Packets)]
    assert [(unit[0].track, len(unit)) for unit in units] == [
        (0, 47),
        (3, 1),
        (0, 47),
        (3, 1),
        (0, 6),
    ]


def test_a_reader_of_the_video_finds_the_same_groups() -> None:
    packets = [Packet(0, n * 1024, 1024, bytes(50)) for n in range(100)]
    bare = written()
    data = written(Hdr(light=(1000, 400)), [Chapter(0, 1, Fraction(1))], [AUDIO], packets, packets)
    for file in (bare, data):
        (unit,) = (event for event in events_of(file) if isinstance(event, GroupUnit))
        assert unit.group == group()
        entries = read_index(io.BytesIO(file))
        assert entries == list(scan_index(io.BytesIO(file)))
        assert read_group_at(io.BytesIO(file), entries[0], HEADER) == group()


def test_every_truncation_keeps_what_came_before() -> None:
    packets = [Packet(0, n * 1024, 1024, b"abc", skip=n == 0 and 1024) for n in range(3)]
    data = written(Hdr(light=(1, 1)), [Chapter(0, 1, Fraction(1))], [AUDIO], packets, packets)
    whole = events_of(data)
    for size in range(len(data)):
        events, error = read_all(data[:size])
        assert type(error) is TruncatedError, size
        assert events == whole[: len(events)]
        found = []
        with contextlib.suppress(TruncatedError):
            for packet in scan_packets(io.BytesIO(data[:size])):
                found.append(packet)
        assert found == [p for event in events if isinstance(event, Packets) for p in event.packets]


def test_every_bit_flip_is_found_and_costs_no_group() -> None:
    data = written(
        Hdr(light=(1, 1)), [Chapter(0, 1, Fraction(1))], [AUDIO], [Packet(0, 0, 9, b"a")]
    )
    start, end = data.index(b"hDRm"), data.index(b"GRUP")
    whole = events_of(data)
    for bit in range(8 * start, 8 * end):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        events, error = read_all(bytes(damaged))
        assert isinstance(error, NrvError), bit
        assert events == whole[: len(events)]
        place = bit // 8
        first = max(
            p for n in (b"hDRm", b"cHAP", b"aTRK", b"aPKt") if (p := data.index(n)) <= place
        )
        if place >= first + 8:
            events = events_of(bytes(damaged), lenient=True)
            assert any(isinstance(event, Damaged) for event in events)
            assert [e for e in events if isinstance(e, GroupUnit | End)] == whole[-2:]


def track(**changes) -> tuple[bytes, bytes]:
    fields = {
        "number": 0,
        "kind": 0,
        "disposition": 0,
        "num": 1,
        "den": 1000,
        "rate": 48000,
        "channels": 2,
        "priming": 0,
    } | {name: value for name, value in changes.items() if isinstance(value, int)}
    texts = [changes.get(name, b"") for name in ("layout", "language")]
    codec = changes.get("codec", b"aac")
    title, extradata = changes.get("title", b""), changes.get("extradata", b"")
    return b"aTRK", (
        struct.pack("<BBIIIIHI", *fields.values())
        + b"".join(bytes((len(text),)) + text for text in (codec, *texts))
        + struct.pack("<H", len(title))
        + title
        + struct.pack("<I", len(extradata))
        + extradata
        + changes.get("rest", b"")
    )


def packets(*records: bytes, number: int = 0, reserved: int = 0, count: int | None = None):
    start = struct.pack("<BBH", number, reserved, len(records) if count is None else count)
    return b"aPKt", start + b"".join(records)


def record(flags: int, *fields: int, data: bytes = b"x", length: int | None = None):
    """A packet; `fields` are those that bits 1 to 4 of its flags say are there."""
    size = len(data) if length is None else length
    signs = [
        coding for bit, coding in ((2, sv), (4, sv), (8, uv), (16, uv), (16, uv)) if flags & bit
    ]
    coded = b"".join(coding(value) for coding, value in zip(signs, fields, strict=True))
    return bytes((flags,)) + coded + uv(size) + data


def chapter(start: int = 0, end: int = 1, num: int = 1, den: int = 1, title: bytes = b"t"):
    return struct.pack("<IIqqH", num, den, start, end, len(title)) + title


def chapter_unit(*chapters: bytes, count: int | None = None, rest: bytes = b""):
    number = len(chapters) if count is None else count
    return b"cHAP", struct.pack("<H", number) + b"".join(chapters) + rest


def hdr(flags: int = 4, *values: int, size: int = 29):
    fields = [*values, *(0,) * (12 - len(values))]
    return b"hDRm", struct.pack("<B8H2I2H", flags, *fields)[:size]


def with_units(*units) -> bytes:
    return complete(head(), SIRN, *units, KEY)


BIG = 1 << 18

RULES = {
    "2.12 short": (with_units(hdr(size=28)), CorruptError, "2.12"),
    "2.12 nothing known": (with_units(hdr(0)), CorruptError, "2.12"),
    "2.12 undefined flag": (with_units(hdr(8)), CorruptError, "2.12"),
    "2.12 unknown primaries": (with_units(hdr(4, 1)), CorruptError, "2.12"),
    "2.12 unknown light": (with_units(hdr(3, *(0,) * 11, 1)), CorruptError, "2.12"),
    "2.13 none": (with_units(chapter_unit()), CorruptError, "2.13"),
    "2.13 short": (with_units(chapter_unit(chapter(), count=2)), CorruptError, "2.13"),
    "2.13 long": (with_units(chapter_unit(chapter(), rest=b"x")), CorruptError, "2.13"),
    "2.13 ends before": (with_units(chapter_unit(chapter(2, 1))), CorruptError, "2.13"),
    "2.13 time base": (with_units(chapter_unit(chapter(den=0))), CorruptError, "2.13"),
    "2.13 not UTF-8": (with_units(chapter_unit(chapter(title=b"\xff"))), CorruptError, "2.13"),
    "2.13 large": (with_units((b"cHAP", bytes(BIG + 1))), OverLimitError, "2.13"),
    "2.14 kind": (with_units(track(kind=3)), CorruptError, "2.14"),
    "2.14 disposition": (with_units(track(disposition=1 << 15)), CorruptError, "2.14"),
    "2.14 time base": (with_units(track(num=0)), CorruptError, "2.14"),
    "2.14 no codec": (with_units(track(codec=b"")), CorruptError, "2.14"),
    "2.14 codec": (with_units(track(codec=b"a c")), CorruptError, "2.14"),
    "2.14 language": (with_units(track(language=b"\xfc")), CorruptError, "2.14"),
    "2.14 title": (with_units(track(title=b"\xff")), CorruptError, "2.14"),
    "2.14 rate of text": (with_units(track(kind=1)), CorruptError, "2.14"),
    "2.14 long": (with_units(track(rest=b"x")), CorruptError, "2.14"),
    "2.14 short": (with_units((b"aTRK", track()[1][:-1])), CorruptError, "2.14"),
    "2.14 large": (with_units(track(extradata=bytes(BIG))), OverLimitError, "2.14"),
    "2.14 same number": (with_units(track(), track()), CorruptError, "2.14"),
    "2.14 65 tracks": (
        with_units(*(track(number=n) for n in range(65))),
        OverLimitError,
        "2.14",
    ),
    "2.15 unknown track": (
        with_units(track(), packets(record(11, 0, 0), number=1)),
        CorruptError,
        "2.15",
    ),
    "2.15 no tracks": (with_units(packets(record(11, 0, 0))), CorruptError, "2.15"),
    "2.15 reserved": (
        with_units(track(), packets(record(11, 0, 0), reserved=1)),
        CorruptError,
        "2.15",
    ),
    "2.15 no packet": (with_units(track(), packets()), CorruptError, "2.15"),
    "2.15 flags": (with_units(track(), packets(record(43, 0, 0))), CorruptError, "2.15"),
    "2.15 no time": (with_units(track(), packets(record(9, 0))), CorruptError, "2.15"),
    "2.15 no duration": (with_units(track(), packets(record(3, 0))), CorruptError, "2.15"),
    "2.15 duration": (with_units(track(), packets(record(11, 0, 2**64 - 1))), CorruptError, "2.15"),
    "2.15 time": (with_units(track(), packets(record(11, 2**63 - 1, 1))), CorruptError, "2.15"),
    "2.15 a second": (
        with_units(track(), packets(record(11, 0, 1), record(3, 1000))),
        CorruptError,
        "2.15",
    ),
    "2.15 more said than there": (
        with_units(track(), packets(record(11, 0, 1), count=2)),
        CorruptError,
        "2.15",
    ),
    "2.15 length": (
        with_units(track(), packets(record(11, 0, 1, length=2**32 - 1))),
        CorruptError,
        "2.15",
    ),
    "2.15 skip": (
        with_units(track(), packets(record(27, 0, 0, 1 << 32, 0))),
        CorruptError,
        "2.15",
    ),
    "2.15 longer": (
        with_units(track(), packets(record(11, 0, 1), b"x", count=1)),
        CorruptError,
        "2.15",
    ),
    "2.15 samples of text": (
        with_units(
            track(kind=1, rate=0, channels=0),
            packets(record(27, 0, 0, 1, 0)),
        ),
        CorruptError,
        "2.15",
    ),
    "2.3 hDRm before mETa": (with_units(hdr(4), meta()), CorruptError, "2.3"),
    "2.3 two hDRm": (with_units(hdr(4), hdr(4)), CorruptError, "2.3"),
    "2.3 two cHAP": (
        with_units(chapter_unit(chapter()), chapter_unit(chapter())),
        CorruptError,
        "2.3",
    ),
    "2.3 aTRK before cHAP": (with_units(track(), chapter_unit(chapter())), CorruptError, "2.3"),
    "2.3 aTRK after GRUP": (with_units(KEY, track()), CorruptError, "2.3"),
    "2.3 aTRK after aPKt": (
        with_units(track(), packets(record(11, 0, 1)), track(number=1)),
        CorruptError,
        "2.3",
    ),
    "2.3 packets but no group": (
        complete(head(), SIRN, track(), packets(record(11, 0, 1))),
        CorruptError,
        "2.3",
    ),
    "2.3 aPKt after iNDX": (
        join(head(), SIRN, track(), KEY, (b"iNDX", b""), packets(record(11, 0, 1))),
        CorruptError,
        "2.8",
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_rule(name: str) -> None:
    data, kind, rule = RULES[name]
    _, error = read_all(data)
    assert (type(error), error and error.rule) == (kind, rule), error
    if rule in ("2.12", "2.13", "2.14", "2.15"):
        assert not [e for e in events_of(data, lenient=True) if isinstance(e, Metadata)]
        events = events_of(data, lenient=True)
        (damage, *_) = (event.error for event in events if isinstance(event, Damaged))
        assert (type(damage), damage.rule) == (kind, rule)
        assert isinstance(events[-1], End)


def test_packets_may_stand_everywhere_among_the_groups() -> None:
    some = packets(record(11, 0, 1), record(0))
    data = complete(head(), SIRN, track(), some, KEY, some, some, NEXT, some)
    events, error = read_all(data)
    assert error is None
    found = [event.packets for event in events if isinstance(event, Packets)]
    assert found == [(Packet(0, 0, 1, b"x"), Packet(0, 1, 1, b"x", key=False))] * 4


def test_limits_of_the_reader_hold_for_packets() -> None:
    data = with_units(track(), packets(record(11, 0, 1, data=bytes(1000))))
    with pytest.raises(OverLimitError, match="max-unit-bytes"):
        events_of(data, limits=Limits(max_unit_bytes=900), lenient=True)
    with pytest.raises(OverLimitError, match="max-unit-bytes"):
        list(scan_packets(io.BytesIO(data), Limits(max_unit_bytes=900)))


def test_a_packet_above_the_level_is_refused_before_anything_is_written() -> None:
    file = io.BytesIO()
    writer = NrvWriter(file)
    writer.begin(HEADER, b"network", tracks=[AUDIO])
    before = file.getvalue()
    with pytest.raises(OverLimitError):
        writer.add_packets([Packet(0, 0, 1, bytes(writer.packet_bytes + 1))])
    assert file.getvalue() == before
    writer.add_packets([Packet(0, 0, 1, bytes(writer.packet_bytes))] * 2)
    writer.add_group(group())
    writer.finish()
    events = events_of(file.getvalue())
    assert [len(event.packets) for event in events if isinstance(event, Packets)] == [1, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"tracks": [AUDIO, AUDIO]},
        {"tracks": [Track(0, "video", "h264", Fraction(1))]},
        {"tracks": [Track(0, "data", "bin_data", Fraction(1), rate=1)]},
        {"tracks": [Track(256, "data", "bin_data", Fraction(1))]},
        {"tracks": [Track(0, "data", "bin_data", Fraction(1), disposition=("loud",))]},
        {"tracks": [Track(0, "data", "bin_data", Fraction(1), title="\ud800")]},
        {"chapters": [Chapter(2, 1, Fraction(1))]},
        {"chapters": [Chapter(0, 1, Fraction(1), "\ud800")]},
        {"hdr": Hdr()},
        {"hdr": Hdr(light=(65536, 0))},
        {"tracks": [AUDIO], "before": [Packet(1, 0, 1, b"")]},
        {"tracks": [AUDIO], "before": [Packet(0, 2**63, 1, b"")]},
        {"tracks": [AUDIO], "before": [Packet(0, 0, -1, b"")]},
        {"tracks": [AUDIO], "before": [Packet(0, 0, 1, b"", skip=2**32)]},
    ],
)
def test_a_writer_refuses_what_a_reader_would(changes) -> None:
    with pytest.raises(CorruptError):
        written(**changes)


@settings(deadline=None, derandomize=True, max_examples=400)
@given(
    st.sampled_from([b"hDRm", b"cHAP", b"aTRK", b"aPKt"]),
    st.binary(max_size=100) | st.builds(lambda end: track()[1][:-4] + end, st.binary(max_size=40)),
)
def test_noise_with_a_right_crc(kind: bytes, noise: bytes) -> None:
    units = (track(), (kind, noise)) if kind == b"aPKt" else ((kind, noise),)
    events = events_of(with_units(*units), lenient=True)
    assert isinstance(events[-1], End)


def test_a_damaged_unit_hides_no_later_packet_of_a_sound_track() -> None:
    good = unit(*packets(record(11, 5, 1)))
    data = with_units(track(), packets(record(43, 0, 0)), packets(record(11, 5, 1)))
    assert good in data
    events = events_of(data, lenient=True)
    assert [e.packets for e in events if isinstance(e, Packets)] == [(Packet(0, 5, 1, b"x"),)]
