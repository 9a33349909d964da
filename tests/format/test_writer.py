"""The writer: golden bytes, round trips through the reader, and the order of calls."""

import dataclasses
import io
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.format import (
    HYBRID,
    CorruptError,
    Description,
    End,
    Group,
    GroupUnit,
    Header,
    Limits,
    Metadata,
    NrvError,
    NrvWriter,
    OverLimitError,
    TruncatedError,
    UnitReader,
    UnsupportedError,
    read_group_at,
    read_index,
    scan_index,
)

from .samples import HYBR, KEY, NEXT, SIRN, complete, fend_of, grup, head, join, meta, read_all

HEADER = Header.parse(head()[1])
KEY_GROUP = Group.parse(KEY[1])
NEXT_GROUP = Group.parse(NEXT[1])

# Signature, HEAD, SIRN, one GRUP of two frames, iNDX, FEND: a line for each row of spec 2.
GOLDEN = """
89 4e 52 56 0d 0a 1a 0a

48 45 41 44  30 00 00 00
00 00  00 00  01  01  01  08  00 00 00 00  11 00  09 00
19 00 00 00  01 00 00 00  01 00 00 00  19 00 00 00  00 00  00 00
02  02  02  02  ff  00 00 00  ff ff ff ff
eb 70 dd 42

53 49 52 4e  07 00 00 00
6e 65 74 77 6f 72 6b
4e c7 2f 75

47 52 55 50  11 00 00 00
01  02  00  04 03 02 01  00
01  02
01  00  00
74  6e 65 74
7b aa 16 a4

69 4e 44 58  04 00 00 00
01
57  01  00
bc c8 4c ea

46 45 4e 44  1c 00 00 00
02 00 00 00
c7 3c ab eb 65 58 ab a0 30 bb a9 ca 49 dc dd 75
74 00 00 00 00 00 00 00
54 24 fa b6
"""


def write(
    groups: list[Group], header: Header = HEADER, metadata: dict[str, Any] | None = None
) -> bytes:
    file = io.BytesIO()
    writer = NrvWriter(file)
    writer.begin(header, SIRN[1], metadata)
    for group in groups:
        writer.add_group(group)
    writer.finish()
    assert writer.offset == len(file.getvalue())
    return file.getvalue()


@st.composite
def sequences(draw: st.DrawFn) -> list[Group]:
    groups: list[Group] = []
    frame, pts = 0, draw(st.integers(-1000, 1000))
    for number in range(draw(st.integers(1, 6))):
        durations = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
        group = Group(
            first_frame=frame,
            frame_count=len(durations),
            key=number == 0 or draw(st.booleans()),
            crc=draw(st.integers(0, 0xFFFFFFFF)),
            first_pts=pts,
            durations=tuple(durations),
            tables=draw(st.binary(max_size=9)),
            content=b"",
            motion=b"",
            network=draw(st.binary(max_size=9)),
        )
        frame += group.frame_count
        pts = group.last_pts + draw(st.integers(1, 5))
        groups.append(group)
    return groups


def test_golden_bytes() -> None:
    assert write([KEY_GROUP]).hex() == "".join(GOLDEN.split())


def test_equal_to_the_file_packed_by_hand() -> None:
    assert write([KEY_GROUP, NEXT_GROUP]) == complete(head(), SIRN, KEY, NEXT)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(sequences(), st.none() | st.just({"encoder": "x", "tags": {"title": "y"}}), st.booleans())
def test_round_trip(groups: list[Group], metadata: dict[str, Any] | None, known: bool) -> None:
    frame_count = sum(group.frame_count for group in groups)
    header = dataclasses.replace(HEADER, frame_count=frame_count) if known else HEADER
    data = write(groups, header, metadata)
    events, error = read_all(data, group_length=4)
    assert error is None
    network, *middle, end = events
    assert isinstance(network, Description)
    assert network.payload == SIRN[1]
    assert [e.members for e in middle if isinstance(e, Metadata)] == ([metadata] * bool(metadata))
    units = [event for event in middle if isinstance(event, GroupUnit)]
    assert [unit.group for unit in units] == groups
    assert [unit.ordinal for unit in units] == list(range(len(groups)))
    assert isinstance(end, End)
    assert end.frame_count == frame_count

    file = io.BytesIO(data)
    entries = read_index(file)
    assert entries is not None
    assert entries == list(scan_index(file))
    assert [entry.offset for entry in entries] == [unit.offset for unit in units]
    header = UnitReader(io.BytesIO(data)).header
    for entry, group in reversed(list(zip(entries, groups, strict=True))):
        assert read_group_at(file, entry, header, Limits(), 4) == group


def test_a_pipe_gives_each_group_when_it_is_added() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as source, open(writing, "wb") as sink:
        os.set_blocking(reading, False)
        writer = NrvWriter(sink)
        reader = UnitReader(source)
        writer.begin(HEADER, SIRN[1])
        assert reader.header == HEADER
        assert isinstance(next(reader), Description)
        for group in (KEY_GROUP, NEXT_GROUP):
            writer.add_group(group)
            event = next(reader)
            assert isinstance(event, GroupUnit)
            assert event.group == group
        writer.finish()
        sink.close()
        assert isinstance(next(reader), End)


def test_short_writes() -> None:
    class Short(io.BytesIO):
        def write(self, data: Any, /) -> int:
            return super().write(data[:7])

    file = Short()
    writer = NrvWriter(file)
    writer.begin(HEADER, SIRN[1])
    writer.add_group(KEY_GROUP)
    writer.finish()
    assert file.getvalue() == write([KEY_GROUP])


def test_a_failed_write_is_final() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "no space left")

    writer = NrvWriter(Full())
    with pytest.raises(OSError, match="no space left"):
        writer.begin(HEADER, SIRN[1])
    with pytest.raises(NrvError, match="an earlier write failed"):
        writer.add_group(KEY_GROUP)


def test_an_output_in_non_blocking_mode() -> None:
    class Busy:
        def write(self, data: bytes, /) -> None:
            return None

        def flush(self) -> None:
            raise AssertionError("there is nothing to flush")

    with pytest.raises(BlockingIOError):
        NrvWriter(Busy()).begin(HEADER, SIRN[1])


def test_a_refused_group_writes_nothing() -> None:
    file = io.BytesIO()
    writer = NrvWriter(file)
    writer.begin(HEADER, SIRN[1])
    before = file.getvalue()
    with pytest.raises(CorruptError, match="first_frame 2 is not 0") as caught:
        writer.add_group(dataclasses.replace(NEXT_GROUP, key=True))
    assert caught.value.unit == "GRUP 0"
    with pytest.raises(CorruptError, match="no group"):
        writer.finish()
    with pytest.raises(OverLimitError):
        writer.add_group(dataclasses.replace(KEY_GROUP, network=bytes(1 << 22)))
    assert file.getvalue() == before
    writer.add_group(KEY_GROUP)
    writer.finish()
    assert file.getvalue() == write([KEY_GROUP])


def test_a_file_of_model_2() -> None:
    key = grup(frame_count=1, substreams=(b"", b"c", b"m", b""))
    following = grup(first_frame=1, first_pts=1, flags=0, substreams=(b"", b"c", b"", b""))
    file = io.BytesIO()
    writer = NrvWriter(file)
    writer.begin(dataclasses.replace(HEADER, model=HYBRID), HYBR[1])
    with pytest.raises(CorruptError, match="model 2") as caught:
        writer.add_group(KEY_GROUP)
    assert (caught.value.unit, caught.value.rule) == ("GRUP 0", "2.7")
    for _, payload in (key, following):
        writer.add_group(Group.parse(payload))
    writer.finish()
    data = complete(head(model=2), HYBR, key, following)
    assert file.getvalue() == data
    header = UnitReader(io.BytesIO(data)).header
    assert (header.model, header.description_type.code) == (HYBRID, b"HYBR")
    entries = list(scan_index(io.BytesIO(data)))
    assert entries == read_index(io.BytesIO(data))
    assert read_group_at(io.BytesIO(data), entries[1], header) == Group.parse(following[1])


def test_a_model_holds_at_random() -> None:
    data = complete(head(model=2), HYBR, KEY)
    header = UnitReader(io.BytesIO(data)).header
    (entry,) = scan_index(io.BytesIO(data))
    with pytest.raises(CorruptError, match="model 2"):
        read_group_at(io.BytesIO(data), entry, header)


def test_order_of_calls() -> None:
    writer = NrvWriter(io.BytesIO())
    with pytest.raises(NrvError, match="begin has not been called"):
        writer.add_group(KEY_GROUP)
    with pytest.raises(NrvError, match="begin has not been called"):
        writer.finish()
    writer.begin(HEADER, SIRN[1])
    with pytest.raises(NrvError, match="begin has been called before"):
        writer.begin(HEADER, SIRN[1])
    writer.add_group(KEY_GROUP)
    writer.finish()
    for call in (writer.finish, lambda: writer.add_group(NEXT_GROUP)):
        with pytest.raises(NrvError, match="the bitstream is finished"):
            call()


def test_frame_count_of_the_header_holds() -> None:
    writer = NrvWriter(io.BytesIO())
    writer.begin(dataclasses.replace(HEADER, frame_count=3), SIRN[1])
    writer.add_group(KEY_GROUP)
    with pytest.raises(CorruptError, match="HEAD states 3"):
        writer.finish()
    with pytest.raises(CorruptError, match="at most 3"):
        writer.add_group(NEXT_GROUP)


def test_bounds_of_the_level() -> None:
    with pytest.raises(OverLimitError, match="luma samples"):
        NrvWriter(io.BytesIO()).begin(dataclasses.replace(HEADER, width=65535), SIRN[1])
    with pytest.raises(OverLimitError, match="bytes of one unit"):
        NrvWriter(io.BytesIO()).begin(HEADER, bytes((1 << 22) + 1))


def test_more_groups_than_an_index_holds() -> None:
    group = dataclasses.replace(KEY_GROUP, frame_count=1, durations=(1,), tables=b"", network=b"")
    file = io.BytesIO()
    writer = NrvWriter(file)
    writer.begin(HEADER, SIRN[1])
    # The level's bound is lowered, or this would take a million groups.
    writer._level = dataclasses.replace(writer._level, unit_bytes=5 + 3 * 3)
    for number in range(4):
        writer.add_group(dataclasses.replace(group, first_frame=number, first_pts=number))
    writer.finish()
    assert b"iNDX" not in file.getvalue()
    events, error = read_all(file.getvalue())
    assert error is None
    assert isinstance(events[-1], End)
    assert events[-1].index_offset == 0
    assert read_index(file) is None
    assert len(list(scan_index(file))) == 4


def test_index_that_is_damaged_or_absent() -> None:
    units = (head(), SIRN, meta(), KEY, NEXT)
    expected = list(scan_index(io.BytesIO(complete(*units))))
    data = bytearray(complete(*units))
    data[data.index(b"iNDX") + 12] ^= 1
    assert read_index(io.BytesIO(bytes(data))) is None
    assert list(scan_index(io.BytesIO(bytes(data)))) == expected
    assert read_index(io.BytesIO(join(*units, fend_of(*units)))) is None
    for offset in (0, 3, 8, 1 << 20, (1 << 64) - 1):
        wrong = join(*units, fend_of(*units, index_offset=offset))
        assert read_index(io.BytesIO(wrong)) is None
    with pytest.raises(CorruptError):
        read_index(io.BytesIO(b"another file"))


def test_scan_of_a_file_that_is_cut() -> None:
    data = join(head(), SIRN, KEY, NEXT)
    scan = scan_index(io.BytesIO(data[:-1]))
    assert next(scan).key
    with pytest.raises(TruncatedError) as caught:
        next(scan)
    assert caught.value.unit == "GRUP 1"


@pytest.mark.parametrize(
    ("data", "kind", "rule"),
    [
        (write([KEY_GROUP]) + b"\0", CorruptError, "2.3"),
        (join(head(), SIRN, KEY, meta()), CorruptError, "2.3"),
        (join(head(), SIRN, KEY, (b"ZZZZ", b"")), UnsupportedError, "2.2"),
        (join(head(), SIRN, KEY, (b"zzZz", bytes((1 << 22) + 1))), OverLimitError, "2.11"),
    ],
    ids=["bytes after FEND", "order", "unknown critical", "above level"],
)
def test_scan_of_a_damaged_file(data: bytes, kind: type[NrvError], rule: str) -> None:
    scan = scan_index(io.BytesIO(data))
    assert next(scan).key
    with pytest.raises(kind) as caught:
        next(scan)
    assert caught.value.rule == rule


def test_group_above_the_limit_of_the_reader() -> None:
    file = io.BytesIO(write([KEY_GROUP]))
    (entry,) = scan_index(file)
    with pytest.raises(OverLimitError, match="reader's limit of 16"):
        read_group_at(file, entry, HEADER, Limits(max_unit_bytes=16))


def test_entry_of_another_file() -> None:
    data = write([KEY_GROUP, NEXT_GROUP])
    file = io.BytesIO(data)
    first, second = scan_index(file)
    for wrong in (
        dataclasses.replace(second, offset=first.offset),
        dataclasses.replace(second, key=True),
        dataclasses.replace(second, first_pts=3),
        dataclasses.replace(second, offset=0),
        dataclasses.replace(second, offset=(1 << 64) - 1),
    ):
        with pytest.raises(CorruptError) as caught:
            read_group_at(file, wrong, HEADER)
        assert caught.value.rule == "2.8"
    with pytest.raises(CorruptError, match="the unit there is HEAD"):
        read_group_at(file, dataclasses.replace(second, offset=8), HEADER)
    with pytest.raises(CorruptError, match="frame_count 3"):
        read_group_at(file, second, HEADER, group_length=2)
