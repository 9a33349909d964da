"""Each rule of spec 2 is broken by itself: the error has the right class and clause."""

import io
import json
import struct
from typing import Any

import pytest
import zstandard

from nvcodec.format import (
    CorruptError,
    End,
    GroupUnit,
    Limits,
    Metadata,
    NrvError,
    OverLimitError,
    TruncatedError,
    UnitReader,
    UnsupportedError,
)

from .samples import (
    HYBR,
    KEY,
    NEXT,
    NIRV,
    SIGNATURE,
    SIRN,
    SMALL,
    Unit,
    complete,
    fend_of,
    grup,
    head,
    index_of,
    join,
    meta,
    read_all,
)

ALL = (head(), SIRN, KEY, NEXT)
INDEX = index_of(*ALL)


HYBRID = head(model=2)
KEY_2 = grup(frame_count=1, substreams=(b"", b"c", b"m", b""))
NEXT_2 = grup(first_frame=1, first_pts=1, flags=0, substreams=(b"", b"c", b"", b""))


NIRVANA = head(model=3)
KEY_3 = grup(substreams=(b"", b"c", b"", b""))
NEXT_3 = grup(first_frame=2, first_pts=2, flags=0, substreams=(b"", b"c", b"m", b""))


def group_2(**changes: Any) -> Unit:
    """A second group of one frame in the hybrid model."""
    given: dict[str, Any] = {"first_frame": 1, "first_pts": 1, "frame_count": 1}
    return grup(**given | changes, substreams=(b"", b"c", b"", b""))


def with_group(*units: Unit) -> bytes:
    return complete(head(), SIRN, *units)


def with_raw_group(payload: bytes) -> bytes:
    return join(head(), SIRN, (b"GRUP", payload))


def with_hybrid_group(*units: Unit) -> bytes:
    return complete(HYBRID, HYBR, *units)


def with_nirvana_group(*units: Unit) -> bytes:
    return complete(NIRVANA, NIRV, *units)


def with_meta(payload: bytes) -> bytes:
    return complete(head(), SIRN, (b"mETa", payload), KEY)


def with_index(payload: bytes) -> bytes:
    units = (*ALL, (b"iNDX", payload))
    return join(*units, fend_of(*units))


def with_fend(**changes: Any) -> bytes:
    units = (*ALL, INDEX)
    return join(*units, fend_of(*units, **changes))


def lying(kind: bytes, length: int, *before: Unit) -> bytes:
    return join(*before) + kind + struct.pack("<I", length)


def zstd(text: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(text)


FLIPPED = bytearray(SMALL)
FLIPPED[20] ^= 1

INDEX_2 = bytearray(INDEX[1])
INDEX_2[1] ^= 1

RULES: dict[str, tuple[bytes, type[NrvError], str]] = {
    "2.1 empty": (b"", TruncatedError, "2.1"),
    "2.1 cut": (SIGNATURE[:5], TruncatedError, "2.1"),
    "2.1 other file": (b"RIFF1234WAVE", CorruptError, "2.1"),
    "2.1 text mode": (SIGNATURE.replace(b"\r\n", b"\n") + SMALL[8:], CorruptError, "2.1"),
    "2.2 not letters": (join(head(), SIRN, (b"GR1P", b"")), CorruptError, "2.2"),
    "2.2 crc": (bytes(FLIPPED), CorruptError, "2.2"),
    "2.2 unknown critical": (complete(head(), SIRN, (b"ZZZZ", b""), KEY), UnsupportedError, "2.2"),
    "2.2 private critical": (complete(head(), SIRN, (b"ZzZZ", b""), KEY), UnsupportedError, "2.2"),
    "2.2 reserved bit": (complete(head(), SIRN, (b"zzzz", b""), KEY), UnsupportedError, "2.2"),
    "2.2 before HEAD": (lying(b"HEAD", 4097), OverLimitError, "2.2"),
    "2.2 above level": (lying(b"GRUP", (1 << 22) + 1, head(), SIRN), OverLimitError, "2.11"),
    "2.2 ancillary above level": (lying(b"zzZz", 1 << 31, head(), SIRN), OverLimitError, "2.11"),
    "2.2 cut header": (join(head(), SIRN) + b"GRU", TruncatedError, "2.2"),
    "2.3 not HEAD": (join(SIRN, KEY), CorruptError, "2.3"),
    "2.3 ancillary before HEAD": (join((b"zzZz", b""), head()), CorruptError, "2.3"),
    "2.3 second HEAD": (complete(head(), head(), SIRN, KEY), CorruptError, "2.3"),
    "2.3 late HEAD": (complete(head(), SIRN, head(), KEY), CorruptError, "2.3"),
    "2.3 second SIRN": (complete(head(), SIRN, SIRN, KEY), CorruptError, "2.3"),
    "2.3 late SIRN": (complete(head(), SIRN, KEY, SIRN), CorruptError, "2.3"),
    "2.3 no SIRN": (complete(head(), KEY), CorruptError, "2.3"),
    "2.3 mETa before SIRN": (complete(head(), meta(), SIRN, KEY), CorruptError, "2.3"),
    "2.3 mETa after GRUP": (complete(head(), SIRN, KEY, meta()), CorruptError, "2.3"),
    "2.3 no GRUP": (complete(head(), SIRN), CorruptError, "2.3"),
    "2.3 no GRUP before FEND": (join(head(), SIRN, fend_of()), CorruptError, "2.3"),
    "2.3 second iNDX": (complete(*ALL, INDEX), CorruptError, "2.3"),
    "2.3 GRUP after iNDX": (join(*ALL, INDEX, grup(first_frame=5)), CorruptError, "2.3"),
    "2.3 bytes after FEND": (SMALL + b"\0", CorruptError, "2.3"),
    "2.3 two files": (SMALL + SMALL, CorruptError, "2.3"),
    "2.3 no FEND": (join(*ALL), TruncatedError, "2.3"),
    "2.3 HYBR for the sine model": (complete(head(), HYBR, KEY), CorruptError, "2.3"),
    "2.3 HYBR beside SIRN": (complete(head(), SIRN, HYBR, KEY), CorruptError, "2.3"),
    "2.3 late HYBR": (complete(head(), SIRN, KEY, HYBR), CorruptError, "2.3"),
    "2.3 SIRN for the hybrid model": (complete(HYBRID, SIRN, KEY_2), CorruptError, "2.3"),
    "2.3 second HYBR": (complete(HYBRID, HYBR, HYBR, KEY_2), CorruptError, "2.3"),
    "2.3 no HYBR": (complete(HYBRID, KEY_2), CorruptError, "2.3"),
    "2.3 NIRV for the sine model": (complete(head(), NIRV, KEY), CorruptError, "2.3"),
    "2.3 NIRV for the hybrid model": (complete(HYBRID, NIRV, KEY_2), CorruptError, "2.3"),
    "2.3 SIRN for the nirvana model": (complete(NIRVANA, SIRN, KEY_3), CorruptError, "2.3"),
    "2.3 HYBR for the nirvana model": (complete(NIRVANA, HYBR, KEY_3), CorruptError, "2.3"),
    "2.3 NIRV beside SIRN": (complete(head(), SIRN, NIRV, KEY), CorruptError, "2.3"),
    "2.3 second NIRV": (complete(NIRVANA, NIRV, NIRV, KEY_3), CorruptError, "2.3"),
    "2.3 late NIRV": (complete(NIRVANA, NIRV, KEY_3, NIRV), CorruptError, "2.3"),
    "2.3 no NIRV": (complete(NIRVANA, KEY_3), CorruptError, "2.3"),
    "2.3 mETa before NIRV": (complete(NIRVANA, meta(), NIRV, KEY_3), CorruptError, "2.3"),
    "2.4 length": (join((b"HEAD", head()[1][:-1])), CorruptError, "2.4"),
    "2.6 not zstd": (with_meta(b"nothing"), CorruptError, "2.6"),
    "2.6 empty": (with_meta(b""), CorruptError, "2.6"),
    "2.6 no size": (with_meta(zstd(b"{}", write_content_size=False)), CorruptError, "2.6"),
    "2.6 17 units": (join(head(), SIRN, *[meta()] * 17, KEY), OverLimitError, "2.6"),
    "2.6 above 65536": (with_meta(zstd(b"{}" + b" " * 65535)), CorruptError, "2.6"),
    "2.6 cut": (with_meta(zstd(b'{"encoder":"x"}')[:-1]), CorruptError, "2.6"),
    "2.6 two frames": (with_meta(zstd(b"{}") * 2), CorruptError, "2.6"),
    "2.6 skippable": (with_meta(b"\x50\x2a\x4d\x18\x02\0\0\0{}"), CorruptError, "2.6"),
    "2.6 no content": (with_meta(zstd(b"")), CorruptError, "2.6"),
    "2.6 not UTF-8": (with_meta(zstd(b'{"a":"\xff"}')), CorruptError, "2.6"),
    "2.6 not JSON": (with_meta(zstd(b"{")), CorruptError, "2.6"),
    "2.6 NaN": (with_meta(zstd(b'{"a":NaN}')), CorruptError, "2.6"),
    "2.6 infinity": (with_meta(zstd(b'{"a":1e999}')), CorruptError, "2.6"),
    "2.6 long number": (with_meta(zstd(b'{"a":' + b"1" * 5000 + b"}")), CorruptError, "2.6"),
    "2.6 surrogate": (with_meta(zstd(b'{"a":"\\ud800"}')), CorruptError, "2.6"),
    "2.6 deep": (with_meta(zstd(b"[" * 60000)), CorruptError, "2.6"),
    "2.6 deep object": (with_meta(zstd(b'{"a":' * 9000 + b"1" + b"}" * 9000)), CorruptError, "2.6"),
    "2.6 array": (with_meta(zstd(b"[]")), CorruptError, "2.6"),
    "2.6 encoder": (with_meta(zstd(b'{"encoder":1}')), CorruptError, "2.6"),
    "2.6 settings": (with_meta(zstd(b'{"settings":[]}')), CorruptError, "2.6"),
    "2.6 field order": (with_meta(zstd(b'{"field_order":1}')), CorruptError, "2.6"),
    "2.6 tags": (with_meta(zstd(b'{"tags":{"a":1}}')), CorruptError, "2.6"),
    "2.7 first_frame of first": (with_group(grup(first_frame=1)), CorruptError, "2.7"),
    "2.7 first_frame gap": (with_group(KEY, grup(first_frame=3, first_pts=9)), CorruptError, "2.7"),
    "2.7 frame_count 0": (with_group(grup(frame_count=0)), CorruptError, "2.7"),
    "2.7 frame_count above length": (
        with_group(grup(frame_count=9)),
        CorruptError,
        "2.7",
    ),
    "2.7 flags": (with_group(grup(flags=9)), CorruptError, "2.7"),
    "2.7 second": (with_hybrid_group(KEY_2, group_2(flags=6)), CorruptError, "2.7"),
    "7.2 second after a key group": (
        with_hybrid_group(KEY_2, group_2(flags=2)),
        CorruptError,
        "7.2",
    ),
    "2.7 second of a key group": (with_hybrid_group(KEY_2, group_2(flags=3)), CorruptError, "2.7"),
    "2.7 second of another model": (
        with_nirvana_group(KEY_3, grup(first_frame=2, first_pts=2, flags=2)),
        CorruptError,
        "2.7",
    ),
    "2.7 first not key": (with_group(grup(flags=0)), CorruptError, "2.7"),
    "2.7 duration 0": (with_group(grup(runs=((0, 2),))), CorruptError, "2.7"),
    "2.7 duration above u32": (with_group(grup(runs=((1 << 32, 2),))), CorruptError, "2.7"),
    "2.7 one duration 0": (with_group(grup(runs=((1, 1), (0, 1)))), CorruptError, "2.7"),
    "2.7 run of the same duration": (with_group(grup(runs=((1, 1), (1, 1)))), CorruptError, "2.7"),
    "2.7 run 0": (with_group(grup(runs=((1, 0), (2, 2)))), CorruptError, "2.7"),
    "2.7 run beyond the group": (with_group(grup(runs=((1, 1), (2, 2)))), CorruptError, "2.7"),
    "1.3 not the shortest": (with_raw_group(b"\x01\x82\x00" + KEY[1][2:]), CorruptError, "1.3"),
    "1.3 above u64": (with_raw_group(b"\x01" + b"\xff" * 9 + b"\x02"), CorruptError, "1.3"),
    "1.3 eleven bytes": (with_raw_group(b"\x01" + b"\x80" * 10 + b"\x01"), CorruptError, "1.3"),
    "2.7 end above i64": (with_group(grup(first_pts=(1 << 63) - 2)), CorruptError, "2.7"),
    "2.7 pts not after": (with_group(KEY, grup(first_frame=2, first_pts=1)), CorruptError, "2.7"),
    "2.7 content": (with_group(grup(substreams=(b"", b"c", b"", b""))), CorruptError, "2.7"),
    "2.7 motion": (with_group(grup(substreams=(b"", b"", b"m", b""))), CorruptError, "2.7"),
    "2.7 tables of the hybrid model": (
        with_hybrid_group(grup(frame_count=1, substreams=(b"t", b"", b"", b""))),
        CorruptError,
        "2.7",
    ),
    "2.7 frame_count of a key group of the hybrid model": (
        with_hybrid_group(grup(substreams=(b"", b"c", b"m", b""))),
        CorruptError,
        "2.7",
    ),
    "2.7 frame_count of a later key group of the hybrid model": (
        with_hybrid_group(KEY_2, grup(first_frame=1, first_pts=1, substreams=(b"",) * 4)),
        CorruptError,
        "2.7",
    ),
    "2.7 tables of the nirvana model": (
        with_nirvana_group(grup(substreams=(b"t", b"c", b"", b""))),
        CorruptError,
        "2.7",
    ),
    "2.7 frame_count of the nirvana model": (
        with_nirvana_group(grup(frame_count=9, substreams=(b"", b"c", b"", b""))),
        CorruptError,
        "2.7",
    ),
    "2.7 substreams beyond the payload": (
        with_group(grup(lengths=(5, 0, 0))),
        CorruptError,
        "2.7",
    ),
    "2.7 lengths wrap": (with_group(grup(lengths=((1 << 64) - 1, 0, 0))), CorruptError, "2.7"),
    "2.7 start cut": (with_raw_group(KEY[1][:6]), CorruptError, "2.7"),
    "2.7 fields cut": (with_raw_group(KEY[1][:10]), CorruptError, "2.7"),
    "2.8 count": (with_index(b"\x03" + INDEX[1][1:]), CorruptError, "2.8"),
    "2.8 length": (with_index(INDEX[1] + b"\0"), CorruptError, "2.8"),
    "2.8 empty": (with_index(b""), CorruptError, "2.8"),
    "2.8 offset": (with_index(bytes(INDEX_2)), CorruptError, "2.8"),
    "2.8 ticks": (with_index(INDEX[1][:-1] + b"\x03"), CorruptError, "2.8"),
    "2.9 length": (join(*ALL, (b"FEND", bytes(27))), CorruptError, "2.9"),
    "2.9 frame_count": (with_fend(frame_count=4), CorruptError, "2.9"),
    "2.9 frame_count of HEAD": (complete(head(frame_count=6), *ALL[1:]), CorruptError, "2.9"),
    "2.9 above HEAD": (complete(head(frame_count=4), *ALL[1:]), CorruptError, "2.9"),
    "2.9 md5": (with_fend(md5=bytes(16)), CorruptError, "2.9"),
    "2.9 index_offset": (with_fend(index_offset=1), CorruptError, "2.9"),
    "2.9 index_offset 0": (with_fend(index_offset=0), CorruptError, "2.9"),
    "2.9 no index": (join(*ALL, fend_of(*ALL, index_offset=8)), CorruptError, "2.9"),
    "2.11 luma": (complete(head(width=513, height=512), *ALL[1:]), OverLimitError, "2.11"),
}


@pytest.mark.parametrize("name", RULES)
def test_broken_rule(name: str) -> None:
    data, kind, rule = RULES[name]
    events, error = read_all(data, group_length=8)
    assert type(error) is kind
    assert error.rule == rule
    assert error.offset is not None
    assert "\n" not in str(error)
    assert str(error).endswith(f"(clause {rule})")
    assert not any(isinstance(event, End) for event in events)


HEAD_RULES: list[tuple[dict[str, Any], type[NrvError]]] = [
    ({"min_reader_version": 1}, CorruptError),
    ({"format_version": 1, "min_reader_version": 1}, UnsupportedError),
    ({"level": 0}, UnsupportedError),
    ({"level": 6}, UnsupportedError),
    ({"model": 0}, UnsupportedError),
    ({"model": 4}, UnsupportedError),
    ({"model": 255}, UnsupportedError),
    ({"chroma_format": 4}, CorruptError),
    ({"bit_depth": 9}, CorruptError),
    ({"bit_depth": 11}, CorruptError),
    ({"tools": 1 << 31}, UnsupportedError),
    ({"width": 0}, CorruptError),
    ({"height": 0}, CorruptError),
    ({"frame_rate_num": 0}, CorruptError),
    ({"frame_rate_den": 0}, CorruptError),
    ({"time_base_num": 0}, CorruptError),
    ({"time_base_den": 0}, CorruptError),
    ({"sar_num": 1}, CorruptError),
    ({"sar_den": 1}, CorruptError),
    ({"full_range": 3}, CorruptError),
    ({"chroma_location": 6}, CorruptError),
    ({"chroma_location": 254}, CorruptError),
    ({"reserved": b"\0\0\1"}, CorruptError),
    ({"frame_count": 0}, CorruptError),
]


@pytest.mark.parametrize(("changes", "kind"), HEAD_RULES, ids=str)
def test_broken_header_rule(changes: dict[str, Any], kind: type[NrvError]) -> None:
    events, error = read_all(complete(head(**changes), SIRN, KEY))
    assert events == []
    assert type(error) is kind
    assert (error.unit, error.offset, error.rule) == ("HEAD", 8, "2.4")


def test_first_broken_header_rule_decides() -> None:
    _, error = read_all(join(head(level=9, width=0)))
    assert type(error) is UnsupportedError


@pytest.mark.parametrize(
    "data",
    [
        complete(head(), (b"zzZz", b"1"), SIRN, (b"zZZz", b"2"), meta(), KEY, (b"zzZZ", b""), NEXT),
        complete(*ALL, (b"zzZz", b"before iNDX")),
        join(*ALL, fend_of(*ALL)),
        join(*ALL, INDEX, (b"zzZz", b"1"), fend_of(*ALL, INDEX)),
        complete(head(), SIRN, meta(), meta(), KEY),
        complete(head(format_version=7), *ALL[1:]),
        complete(head(chroma_format=0, bit_depth=12), *ALL[1:]),
        complete(head(chroma_format=3, bit_depth=10), *ALL[1:]),
        complete(head(frame_count=5, sar_num=1, sar_den=1, chroma_location=5), *ALL[1:]),
        complete(head(frame_rate_num=0, frame_rate_den=0), *ALL[1:]),
        with_group(grup(first_pts=-(1 << 63)), grup(first_frame=2, first_pts=(1 << 63) - 3)),
        with_group(grup(frame_count=8)),
        with_hybrid_group(KEY_2, NEXT_2),
        with_nirvana_group(KEY_3, NEXT_3),
        with_nirvana_group(meta(), KEY_3, NEXT_3),
        with_hybrid_group(grup(frame_count=1, substreams=(b"",) * 4)),
        with_hybrid_group(
            KEY_2, grup(first_frame=1, first_pts=1, frame_count=1, substreams=(b"",) * 4)
        ),
    ],
)
def test_valid(data: bytes) -> None:
    events, error = read_all(data, group_length=8)
    assert error is None
    assert isinstance(events[-1], End)


def test_groups_before_the_damage_are_given() -> None:
    events, error = read_all(with_group(KEY, grup(first_frame=2, first_pts=1)))
    assert [type(event) for event in events[1:]] == [GroupUnit]
    offset = len(join(head(), SIRN, KEY))
    assert str(error) == (
        f"GRUP 1 at byte {offset}: first_pts 1 is not after 1,"
        " the time of the last frame before it (clause 2.7)"
    )


def test_limits_of_the_reader() -> None:
    _, error = read_all(SMALL, Limits(max_unit_bytes=16))
    assert isinstance(error, OverLimitError)
    assert "raise it with --max-unit-bytes or Limits(max_unit_bytes=...)" in str(error)
    _, error = read_all(SMALL, Limits(max_luma_samples=17 * 9 - 1))
    assert isinstance(error, OverLimitError)
    assert error.unit == "HEAD"


@pytest.mark.parametrize(("chroma", "counted"), [(0, 153), (1, 153), (2, 204), (3, 306)])
def test_more_chroma_counts_as_more_luma(chroma: int, counted: int) -> None:
    data = complete(head(chroma_format=chroma), SIRN, KEY)
    assert read_all(data, Limits(max_luma_samples=counted))[1] is None
    _, error = read_all(data, Limits(max_luma_samples=counted - 1))
    assert isinstance(error, OverLimitError)
    assert f"{counted} luma samples per frame" in str(error)


def test_a_lenient_reader_goes_on_after_damaged_metadata() -> None:
    good = complete(head(), SIRN, meta(), KEY)
    start = good.index(b"mETa")
    damaged = bytearray(good)
    damaged[start + 8] ^= 1
    cases = ((with_meta(b"no frame"), "2.6"), (bytes(damaged), "2.2"))
    for data, rule in cases:
        events = list(UnitReader(io.BytesIO(data), lenient=True))
        (found,) = (event for event in events if isinstance(event, Metadata))
        assert found.members == {}
        assert found.error is not None
        assert (found.error.rule, found.error.unit, found.error.offset) == (rule, "mETa", start)
        assert isinstance(events[-1], End)
    for data in (
        complete(head(), SIRN, KEY, meta()),
        with_meta(b"no frame")[: start + 12],
    ):
        with pytest.raises(NrvError):
            list(UnitReader(io.BytesIO(data), lenient=True))


def test_metadata_is_what_json_says() -> None:
    members = {"encoder": "ü", "settings": {"crf": 3, "x": [1.5, None]}, "tags": {"a": "b"}}
    events, error = read_all(with_meta(zstd(json.dumps(members).encode())))
    assert error is None
    assert getattr(events[1], "members", None) == members


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("2.1 text mode", "damaged, as by a transfer in text mode"),
        ("2.1 other file", "this is not an .nrv bitstream"),
        ("2.6 no size", "does not declare its content size"),
        ("2.6 above 65536", "65537 bytes of metadata, at most 65536"),
    ],
)
def test_text_of_errors(name: str, text: str) -> None:
    _, error = read_all(RULES[name][0])
    assert text in str(error)
