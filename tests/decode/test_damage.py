"""Damage of every kind: correct frames before it are delivered, then an NrvError is raised."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from dataclasses import replace

import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.format import (
    LEVELS,
    CorruptError,
    Group,
    Header,
    Limits,
    NrvError,
    OverLimitError,
    TruncatedError,
    UnsupportedError,
    VerificationError,
    read_index,
)
from nvcodec.model.sine.shape import NetworkShape
from tests.format.samples import head, join

from .samples import PLANS, TINY, group_offsets, rebuild, same, sample, take


def opened(data: bytes) -> Decoder:
    return Decoder(io.BytesIO(data), threads=1)


def wrong_crc(ordinal: int) -> bytes:
    def change(number: int, group: Group) -> Group:
        return replace(group, crc=group.crc ^ 1) if number == ordinal else group

    return rebuild(sample("deep")[0], change)


@pytest.mark.parametrize("ordinal", range(5))
def test_samples_that_do_not_match(ordinal: int) -> None:
    data, pictures = wrong_crc(ordinal), sample("deep")[1]
    before = sum(PLANS["deep"].frames[:ordinal])
    frames, error = take(opened(data))
    assert type(error) is VerificationError
    assert error.unit == f"GRUP {ordinal}"
    assert error.offset == group_offsets(data)[ordinal][0]
    assert error.rule == "2.7"
    assert [f.index for f in frames] == list(range(before))
    assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=False))
    # At random, where the check would cost more than the frame.
    if PLANS["deep"].frames[ordinal] > 1:
        assert same(opened(data).render(before).planes, pictures[before])
    # A cropped run is checked when asked for.
    crop = (4, 4, 0, 0)
    frames, error = take(opened(data), crop=crop, verify=True)
    assert type(error) is VerificationError
    assert len(frames) == before
    frames, error = take(opened(data), start=before, verify=True)
    assert type(error) is VerificationError
    assert not frames


def test_a_weight_that_is_another() -> None:
    """Sound in every other respect: only the CRC of the samples tells."""
    data, pictures = sample("deep")

    found = 0
    # The last few bytes decide what the last few numbers are, and hardly where the data ends.
    for place in range(2, 10):

        def change(number: int, group: Group, place: int = place) -> Group:
            if number != 1:
                return group
            network = bytearray(group.network)
            network[-place] ^= 0x10
            return replace(group, network=bytes(network))

        frames, error = take(opened(rebuild(data, change)))
        assert isinstance(error, CorruptError)
        assert error.unit == "GRUP 1"
        assert len(frames) == 2
        assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=False))
        found += type(error) is VerificationError
    assert found


@pytest.mark.parametrize("ordinal", range(5))
def test_damaged_group(ordinal: int) -> None:
    data, pictures = sample("deep")
    start, end = group_offsets(data)[ordinal]
    damaged = bytearray(data)
    damaged[(start + end) // 2] ^= 4
    counts = PLANS["deep"].frames
    before = sum(counts[:ordinal])
    decoder = opened(bytes(damaged))
    frames, error = take(decoder)
    assert type(error) is CorruptError
    assert (error.unit, error.offset) == (f"GRUP {ordinal}", start)
    assert [f.index for f in frames] == list(range(before))
    # Random access reaches all but the groups that depend on the damaged one.
    for number in range(len(pictures)):
        group = next(k for k in range(5) if number < sum(counts[: k + 1]))
        lost = ordinal <= group and (group < 3 or ordinal >= 3)
        if lost:
            with pytest.raises(CorruptError):
                decoder[number]
        else:
            assert same(decoder[number].planes, pictures[number])


def test_damaged_index() -> None:
    data, pictures = sample("small")
    place = data.rindex(b"iNDX")
    for offset in (0, 4, 8, 20, 40):
        damaged = bytearray(data)
        damaged[place + offset] ^= 1
        assert read_index(io.BytesIO(bytes(damaged))) is None
        decoder = opened(bytes(damaged))
        for number in (9, 0, 6, 4):
            assert same(decoder[number].planes, pictures[number])
        frames, error = take(opened(bytes(damaged)))
        assert len(frames) == len(pictures)
        assert isinstance(error, NrvError)


def test_index_that_lies() -> None:
    """A sound iNDX with false entries: found out at the group."""
    data, pictures = sample("small")
    place = data.rindex(b"iNDX")
    length = struct.unpack_from("<I", data, place + 4)[0]
    payload = bytearray(data[place + 8 : place + 8 + length])
    # The time of the last entry.
    payload[-1] ^= 1
    unit = b"iNDX" + struct.pack("<I", length) + payload
    unit += struct.pack("<I", zlib.crc32(unit[:4] + unit[8:]))
    lying = data[:place] + unit + data[place + len(unit) :]
    decoder = opened(lying)
    assert same(decoder[0].planes, pictures[0])
    with pytest.raises(CorruptError):
        decoder[len(pictures) - 1]
    frames, error = take(opened(lying))
    assert len(frames) == len(pictures)
    assert isinstance(error, CorruptError)


@pytest.mark.parametrize("cut", [1, 20, 39, 40, 41, 60])
def test_missing_end(cut: int) -> None:
    data, pictures = sample("small")
    frames, error = take(opened(data[:-cut]))
    assert type(error) is TruncatedError
    assert all(same(f.planes, p) for f, p in zip(frames, pictures, strict=True))
    decoder = opened(data[:-cut])
    assert same(decoder[9].planes, pictures[9])
    with pytest.raises(TruncatedError):
        len(decoder)
    with pytest.raises(TruncatedError):
        decoder[10]
    frames, error = take(decoder, start=8)
    assert [f.index for f in frames] == [8, 9]
    assert type(error) is TruncatedError


def use(data: bytes, at_random: bool = True, name: str = "tiny") -> tuple[int, NrvError | None]:
    """Decode forward and at random; all that is delivered is right, all errors are NrvError."""
    pictures = sample(name)[1]
    try:
        decoder = Decoder(io.BytesIO(data), threads=1)
    except NrvError as error:
        return 0, error
    frames, error = take(decoder)
    assert error is None or isinstance(error, NrvError), error
    for frame in frames:
        assert same(frame.planes, pictures[frame.index])
    for number in range(len(pictures)) if at_random else ():
        try:
            frame = decoder.render(number)
        except (NrvError, IndexError):
            continue
        assert same(frame.planes, pictures[number])
    return len(frames), error if isinstance(error, NrvError) else None


@pytest.mark.parametrize("name", TINY)
def test_every_truncation(name: str) -> None:
    data, pictures = sample(name)
    ends = [end for _, end in group_offsets(data)]
    counts = (2, 1, 2)
    for size in range(len(data)):
        delivered, error = use(data[:size], at_random=size % 8 == 0, name=name)
        assert type(error) is TruncatedError
        assert delivered == sum(n for n, end in zip(counts, ends, strict=True) if end <= size)
    assert use(data, name=name) == (len(pictures), None)


def metadata_at(data: bytes) -> range:
    """Places of the payload and the CRC of the mETa unit."""
    start = data.index(b"mETa")
    return range(start + 8, start + 12 + int.from_bytes(data[start + 4 : start + 8], "little"))


def test_damaged_metadata_costs_no_frame() -> None:
    data, pictures = sample("tiny")
    for place in metadata_at(data):
        damaged = bytearray(data)
        damaged[place] ^= 16
        assert use(bytes(damaged)) == (len(pictures), None)
        decoder = opened(bytes(damaged))
        take(decoder)
        assert decoder.metadata == {}
        assert decoder.metadata_error is not None
        assert (decoder.metadata_error.unit, decoder.metadata_error.rule) == ("mETa", "2.2")


@pytest.mark.parametrize(("name", "bits"), [("tiny", 2), ("tiny nirvana", 1)])
def test_every_bit_flip(name: str, bits: int) -> None:
    """Of each byte so many bits."""
    data, _ = sample(name)
    groups = group_offsets(data)
    for place in sorted(set(range(len(data))) - set(metadata_at(data))):
        for bit in range(place % 8, place % 8 + bits):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit % 8
            at_random = bit == place % 8 and place % 4 == 0
            delivered, error = use(bytes(damaged), at_random=at_random, name=name)
            assert error is not None, (place, bit)
            before = sum(n for n, (_, end) in zip((2, 1, 2), groups, strict=True) if end <= place)
            assert delivered == before


def test_every_byte_of_a_group_changed_behind_its_crc() -> None:
    """What the CRC of the unit would hide from the parser, entropy decoder and weights."""
    data, pictures = sample("tiny")
    size = len(group_sizes(data))
    for place in range(size):
        for value in (0x00, 0xFF, 0x80, 0x01):

            def change(number: int, group: Group, place: int = place, value: int = value) -> Group:
                if number:
                    return group
                joined = bytearray(group.tables + group.network)
                joined[place] ^= value
                split = len(group.tables)
                return replace(group, tables=bytes(joined[:split]), network=bytes(joined[split:]))

            frames, error = take(opened(rebuild(data, change)))
            if error is None:
                assert len(frames) == len(pictures)
            else:
                assert isinstance(error, NrvError)
            for frame in frames:
                # CRC-32 finds any change of these few samples.
                assert same(frame.planes, pictures[frame.index])


def group_sizes(data: bytes) -> bytes:
    found: list[bytes] = []

    def note(_: int, group: Group) -> Group:
        found.append(group.tables + group.network)
        return group

    rebuild(data, note)
    return found[0]


def lying(header: dict[str, int], shape: NetworkShape) -> bytes:
    """A file that ends after its network description."""
    return join(head(**header), (b"SIRN", shape.to_payload()))


HUGE = NetworkShape(64, 32, 8, 1024, 64, 64)
# Few weights, but patches so small that each sample costs much.
DEAR = NetworkShape(4, 1, 8, 1024, 1, 1)


@pytest.mark.parametrize(
    ("header", "shape", "limits"),
    [
        ({"level": 5, "width": 65535, "height": 65535}, HUGE, Limits()),
        ({"level": 4, "width": 4097, "height": 4096}, HUGE, Limits()),
        ({"level": 1, "width": 513, "height": 512}, HUGE, Limits()),
        *(({"level": level}, HUGE, Limits()) for level in range(1, 6)),
        *(({"level": level}, DEAR, Limits()) for level in range(1, 6)),
        ({"level": 5, "width": 9000, "height": 9000}, HUGE, Limits(max_luma_samples=1 << 30)),
        ({"level": 4}, NetworkShape(8, 3, 2, 12, 3, 2), Limits(max_weights=100)),
        ({"level": 4}, NetworkShape(8, 3, 2, 12, 3, 2), Limits(max_multiplications=10)),
        ({"level": 4}, NetworkShape(8, 3, 2, 12, 3, 2), Limits(max_luma_samples=100)),
    ],
)
def test_over_limit(header: dict[str, int], shape: NetworkShape, limits: Limits) -> None:
    data = lying(header, shape)
    tracemalloc.start()
    try:
        with pytest.raises(OverLimitError) as error:
            Decoder(io.BytesIO(data), limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.value.rule == "2.11"
    assert error.value.offset is not None
    assert peak < 1 << 18


@pytest.mark.parametrize(
    "changes", [{"chroma_format": 0}, {"chroma_format": 3, "bit_depth": 8}, {"bit_depth": 12}]
)
def test_a_model_refuses_formats_that_it_does_not_render(changes: dict[str, int]) -> None:
    with pytest.raises(UnsupportedError, match="sine model in 8-bit 4:2:0 only") as error:
        Decoder(io.BytesIO(lying(changes, NetworkShape(8, 3, 2, 12, 3, 2))))
    assert (error.value.unit, error.value.rule) == ("SIRN", "4.1")


def test_limits_hold_for_groups_at_random() -> None:
    data, _ = sample("small")
    longest = max(end - start - 12 for start, end in group_offsets(data))
    limits = Limits(max_unit_bytes=longest - 1)
    _, error = take(Decoder(io.BytesIO(data), limits=limits))
    assert type(error) is OverLimitError
    refused = 0
    for number in range(10):
        try:
            Decoder(io.BytesIO(data), limits=limits).render(number)
        except OverLimitError:
            refused += 1
    assert refused


def test_limits_raised() -> None:
    data, pictures = sample("deep")

    def header(old: Header) -> Header:
        return replace(old, level=5)

    limits = Limits(max_weights=LEVELS[5].weights)
    frames, error = take(Decoder(io.BytesIO(rebuild(data, header=header)), limits=limits))
    assert error is None
    assert len(frames) == len(pictures)


@pytest.mark.parametrize("count", [8, 10, 12])
def test_stated_frame_count(count: int) -> None:
    """A count in HEAD that is not that of the groups."""
    data, pictures = sample("small")
    # NrvWriter would refuse a wrong count; the header is the first unit, of 60 bytes.
    unit = bytearray(data[8:68])
    unit[52:56] = struct.pack("<I", count)
    unit[56:] = struct.pack("<I", zlib.crc32(unit[:4] + unit[8:56]))
    changed = data[:8] + bytes(unit) + data[68:]
    frames, error = take(opened(changed))
    assert len(opened(changed)) == count
    if count == 10:
        assert error is None
        assert len(frames) == 10
    else:
        assert isinstance(error, CorruptError)
        assert len(frames) == {8: 7, 12: 10}[count]
    with pytest.raises((IndexError, CorruptError)):
        opened(changed)[count]
    assert same(opened(changed)[5].planes, pictures[5])


def test_group_of_too_many_frames() -> None:
    def change(number: int, group: Group) -> Group:
        if number != 3:
            return group
        return replace(group, frame_count=4, durations=(2, 3, 1, 2))

    changed = rebuild(sample("small")[0], change)
    frames, error = take(opened(changed))
    assert type(error) is CorruptError
    assert (error.unit, error.rule) == ("GRUP 3", "2.7")
    assert len(frames) == 7
    with pytest.raises(CorruptError):
        opened(changed)[8]
