"""Headers, groups, metadata, ends, levels and unit types: round trips and invalid values."""

import dataclasses
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.format import (
    LEVELS,
    CorruptError,
    End,
    Group,
    GroupSequence,
    Header,
    IndexEntry,
    Limits,
    NrvError,
    OverLimitError,
    UnitType,
    UnsupportedError,
    smallest_level,
)
from nvcodec.format.fields import Fields, signed_bytes, unsigned_bytes
from nvcodec.format.index import build_index, parse_index
from nvcodec.format.metadata import build_metadata, parse_metadata
from nvcodec.picture import YUV420P8

from .samples import KEY, NEXT, head, sv, uv

quick = settings(deadline=None, derandomize=True, max_examples=100)

U8 = st.integers(0, 0xFF)
U32 = st.integers(0, 0xFFFFFFFF)
SIZE = st.integers(1, 0xFFFF)
COUNT = st.integers(1, 0xFFFFFFFF)


def ratio(limit: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.just((0, 0)) | st.tuples(st.integers(1, limit), st.integers(1, limit))


@st.composite
def headers(draw: st.DrawFn) -> Header:
    rate, sar = draw(ratio(0xFFFFFFFF)), draw(ratio(0xFFFF))
    return Header(
        format_version=draw(st.integers(0, 0xFFFF)),
        level=draw(st.integers(1, 5)),
        model=draw(st.integers(1, 2)),
        width=draw(SIZE),
        height=draw(SIZE),
        frame_rate_num=rate[0],
        frame_rate_den=rate[1],
        time_base_num=draw(COUNT),
        time_base_den=draw(COUNT),
        sar_num=sar[0],
        sar_den=sar[1],
        colour_primaries=draw(U8),
        transfer=draw(U8),
        matrix=draw(U8),
        full_range=draw(st.integers(0, 2)),
        chroma_location=draw(st.integers(0, 5) | st.just(255)),
        frame_count=draw(COUNT),
    )


@st.composite
def groups(draw: st.DrawFn) -> Group:
    durations = draw(
        st.lists(COUNT, min_size=1, max_size=20)
        | st.builds(lambda d, n: [d] * n, COUNT, st.integers(1, 300))
    )
    return Group(
        first_frame=draw(U32),
        frame_count=len(durations),
        key=draw(st.booleans()),
        crc=draw(U32),
        first_pts=draw(st.integers(-(1 << 63), (1 << 63) - 1 - sum(durations))),
        durations=tuple(durations),
        tables=draw(st.binary(max_size=50)),
        content=b"",
        motion=b"",
        network=draw(st.binary(max_size=50)),
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "encoder": TEXT,
        "settings": st.dictionaries(TEXT, JSON, max_size=3),
        "tags": st.dictionaries(TEXT, TEXT, max_size=3),
        "more": JSON,
    },
)


@quick
@given(headers())
def test_header_round_trip(header: Header) -> None:
    payload = header.build()
    assert len(payload) == 48
    assert Header.parse(payload) == header


def test_header_layout() -> None:
    header = Header.parse(head()[1])
    assert header.build() == head()[1]
    assert header.luma_samples == 153
    assert header.time_base == Fraction(1, 25)
    assert header.frame_rate == Fraction(25)
    assert header.sar is None
    other = dataclasses.replace(header, frame_rate_num=0, frame_rate_den=0, sar_num=4, sar_den=3)
    assert (other.frame_rate, other.sar) == (None, Fraction(4, 3))


def test_header_gives_the_sample_format() -> None:
    header = Header.parse(head()[1])
    assert header.sample_format == YUV420P8
    assert header.sample_format.chroma_size(header.width, header.height) == (9, 5)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"width": 65536}, CorruptError),
        ({"width": -1}, CorruptError),
        ({"time_base_den": 1 << 32}, CorruptError),
        ({"format_version": 65536}, CorruptError),
        ({"transfer": 256}, CorruptError),
        ({"frame_count": 1 << 32}, CorruptError),
        ({"level": 7}, UnsupportedError),
    ],
    ids=str,
)
def test_header_that_cannot_be_built(changes: dict[str, int], kind: type[NrvError]) -> None:
    with pytest.raises(kind) as caught:
        dataclasses.replace(Header.parse(head()[1]), **changes)
    assert caught.value.rule == "2.4"
    assert next(iter(changes)) in str(caught.value)


@quick
@given(groups())
def test_group_round_trip(group: Group) -> None:
    payload = group.build()
    assert Group.parse(payload) == group
    assert Group.parse(payload, group.frame_count) == group
    with pytest.raises(CorruptError, match="frame_count"):
        Group.parse(payload, group.frame_count - 1)


def test_group_layout() -> None:
    key, following = Group.parse(KEY[1]), Group.parse(NEXT[1])
    assert key.build() == KEY[1]
    assert following.build() == NEXT[1]
    assert key.durations == (1, 1)
    assert following.pts == (2, 6, 11)
    assert (following.last_pts, following.end_pts) == (11, 17)
    assert (key.tables, key.network) == (b"t", b"net")


@pytest.mark.parametrize(
    "changes",
    [
        {"first_frame": -1},
        {"first_frame": 1 << 32},
        {"frame_count": 3},
        {"frame_count": 0, "durations": ()},
        {"frame_count": 65536, "durations": (1,) * 65536},
        {"crc": 1 << 32},
        {"first_pts": 1 << 63},
        {"first_pts": -(1 << 63) - 1},
        {"durations": (1, 1 << 32)},
        {"durations": (0, 1)},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_group_that_cannot_be_built(changes: dict[str, Any]) -> None:
    with pytest.raises(CorruptError) as caught:
        dataclasses.replace(Group.parse(KEY[1]), **changes)
    assert caught.value.rule == "2.7"


@pytest.mark.parametrize(
    ("model", "changes", "holds"),
    [
        (1, {}, True),
        (1, {"content": b"x"}, False),
        (1, {"motion": b"x"}, False),
        (2, {}, False),
        (2, {"tables": b""}, False),
        (2, {"network": b""}, False),
        (2, {"tables": b"", "network": b""}, False),
        (2, {"tables": b"", "network": b"", "key": False, "content": b"c"}, True),
        (2, {"tables": b"", "network": b"", "frame_count": 1, "durations": (1,)}, True),
    ],
    ids=str,
)
def test_rules_of_the_models(model: int, changes: dict[str, Any], holds: bool) -> None:
    group = dataclasses.replace(Group.parse(KEY[1]), **changes)
    if holds:
        group.require_model(model)
    else:
        with pytest.raises(CorruptError) as caught:
            group.require_model(model)
        assert caught.value.rule == "2.7"


def test_sequence_after_a_seek() -> None:
    following = Group.parse(NEXT[1])
    sequence = GroupSequence(5, first_frame=2)
    with pytest.raises(CorruptError, match="not a key group"):
        sequence.accept(following, following.last_pts)
    sequence.accept(dataclasses.replace(following, key=True), following.last_pts)
    assert (sequence.next_frame, sequence.group_count) == (5, 1)


def test_sequence_has_less_frames_than_unknown() -> None:
    first = dataclasses.replace(Group.parse(KEY[1]), first_frame=0xFFFFFFFF - 2)
    GroupSequence(0xFFFFFFFF, first.first_frame - 1)
    with pytest.raises(CorruptError) as caught:
        GroupSequence(0xFFFFFFFF, first.first_frame).accept(first, first.last_pts)
    assert caught.value.rule == "2.9"


@quick
@given(METADATA)
def test_metadata_round_trip(metadata: dict[str, Any]) -> None:
    assert parse_metadata(build_metadata(metadata)) == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {"encoder": b"bytes"},
        {"more": b"bytes"},
        {"more": float("nan")},
        {"more": "\ud800"},
        {1: "name"},
        {"tags": {"a": None}},
        {"field_order": "left"},
        {"more": "x" * 65536},
    ],
    ids=lambda metadata: str(metadata)[:30].encode("ascii", "replace").decode(),
)
def test_metadata_that_cannot_be_built(metadata: dict[str, Any]) -> None:
    with pytest.raises(CorruptError) as caught:
        build_metadata(metadata)
    assert caught.value.rule == "2.6"


@quick
@given(U32, st.binary(min_size=16, max_size=16), st.integers(0, (1 << 64) - 1))
def test_end_round_trip(frame_count: int, md5: bytes, index_offset: int) -> None:
    end = End(frame_count, md5, index_offset)
    assert len(end.build()) == 28
    assert End.parse(end.build()) == end


def test_index_entries() -> None:
    entries = [IndexEntry(70, 0, -5, True), IndexEntry(1 << 40, 8, 1, False)]
    coded = [entry.build(before) for before, entry in zip([None, *entries], entries, strict=False)]
    payload = build_index(coded)
    assert payload == uv(2) + uv(70) + uv(1) + sv(-5) + uv((1 << 40) - 70) + uv(16) + uv(6)
    after = (1 << 40) + 25
    assert parse_index(payload, after) == entries
    first, later = coded
    for damaged in (
        build_index([later]),
        build_index([first, uv(24) + uv(16) + uv(6)]),
        build_index([first, uv(25) + uv(1) + uv(6)]),
        build_index([first, uv(25) + uv(16) + uv(0)]),
        build_index([first, uv(25) + uv(1 << 34) + uv(6)]),
        build_index([first, uv((1 << 40) - 69) + uv(16) + uv(6)]),
        build_index([first, uv((1 << 64) - 70) + uv(16) + uv(6)]),
        build_index([first, uv(25) + uv(16) + uv((1 << 63) + 5)]),
        payload + b"\0",
        payload[:-1],
        b"\1" + payload[1:],
        b"",
    ):
        with pytest.raises(CorruptError) as caught:
            parse_index(damaged, after)
        assert caught.value.rule == "2.8"


@quick
@given(st.integers(0, (1 << 64) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_integers_of_variable_length(unsigned: int, signed: int) -> None:
    assert unsigned_bytes(unsigned) == uv(unsigned)
    assert signed_bytes(signed) == sv(signed)
    fields = Fields(uv(unsigned) + sv(signed), "1.3")
    assert (fields.unsigned(), fields.signed(), fields.ended) == (unsigned, signed, True)


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ((1 << 18, 1 << 20, 1 << 22, 1 << 12), 1),
        (((1 << 18) + 1, 1, 1, 1), 2),
        ((1, (1 << 22) + 1, 1, 1), 3),
        ((1, 1, 1 << 25, 1), 4),
        ((1, 1, 1, 1 << 17), 5),
    ],
)
def test_smallest_level(values: tuple[int, int, int, int], level: int) -> None:
    assert smallest_level(*values) == level


def test_above_all_levels() -> None:
    with pytest.raises(OverLimitError, match="weights") as caught:
        smallest_level(1, (1 << 26) + 1, 1, 1)
    assert caught.value.rule == "2.11"


def test_the_smaller_bound_holds() -> None:
    limits = Limits(max_weights=100)
    limits.check("weights", 100, 5)
    with pytest.raises(OverLimitError, match="reader's limit of 100"):
        limits.check("weights", 101, 5)
    with pytest.raises(OverLimitError, match="of level 1"):
        limits.check("weights", LEVELS[1].weights + 1, 1)
    with pytest.raises(OverLimitError, match="above the 4096 of level 1"):
        Limits().check("multiplications", 4097, 1)


def test_unit_type_properties() -> None:
    def bits(code: bytes) -> tuple[bool, bool, bool, bool]:
        unit = UnitType(code)
        return unit.ancillary, unit.private, unit.reserved, unit.safe_to_copy

    assert bits(b"HEAD") == (False, False, False, False)
    assert bits(b"mETa") == (True, False, False, True)
    assert bits(b"iNDX") == (True, False, False, False)
    assert bits(b"AbcD") == (False, True, True, False)
    for code in (b"", b"HEA", b"HEADS", b"HE D", b"HE\xe4D"):
        with pytest.raises(CorruptError):
            UnitType(code)
