"""The descriptions of the hybrid and the nirvana model (spec 7.1, 11.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nvcodec.format import HYBRID, NIRVANA, SINE, CorruptError, NrvError, UnsupportedError
from nvcodec.model.description import CanvasShape, PatchShape, parse_description
from nvcodec.model.sine.shape import NetworkShape

GOOD = CanvasShape(8, -2)


@pytest.mark.parametrize("shape", [GOOD, CanvasShape(1, -12), CanvasShape(32, 12, 1)])
def test_round_trip(shape: CanvasShape) -> None:
    payload = shape.to_payload()
    assert payload == bytes([shape.group_frames, shape.chroma_offset & 255, shape.network])
    assert CanvasShape.from_payload(payload) == parse_description(HYBRID, payload) == shape


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("group_frames", v) for v in (0, 33, 255)),
        *(("chroma_offset", v) for v in (-128, -13, 13, 127)),
        *(("network", v) for v in (2, 255)),
    ],
)
def test_each_rule(field: str, value: int) -> None:
    fields = {"group_frames": 8, "chroma_offset": 0, "network": 0} | {field: value}
    payload = bytes(number & 255 for number in fields.values())
    with pytest.raises(CorruptError, match=field) as error:
        CanvasShape.from_payload(payload)
    assert (error.value.unit, error.value.rule) == ("HYBR", "7.1")
    with pytest.raises(CorruptError):
        replace(GOOD, **{field: value})


def test_payload_size() -> None:
    payload = GOOD.to_payload()
    for size in (0, 1, 2, 4, 16):
        with pytest.raises(CorruptError) as error:
            CanvasShape.from_payload((payload + bytes(100))[:size])
        assert error.value.rule == "7.1"


def test_the_model_decides() -> None:
    network = NetworkShape(8, 3, 2, 12, 3, 2)
    assert parse_description(SINE, network.to_payload()) == network
    with pytest.raises(CorruptError):
        parse_description(HYBRID, network.to_payload())
    with pytest.raises(NrvError):
        parse_description(NIRVANA, GOOD.to_payload())


def test_patches() -> None:
    payload = PatchShape().to_payload()
    assert payload == bytes([1, 8, 4, 192])
    assert PatchShape.from_payload(payload) == parse_description(NIRVANA, payload) == PatchShape()


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("change", [1, 128, 255])
def test_each_field_of_patches(place: int, change: int) -> None:
    """Another table is unsupported, anything else corrupt."""
    payload = bytearray(PatchShape().to_payload())
    payload[place] ^= change
    with pytest.raises(NrvError) as error:
        PatchShape.from_payload(bytes(payload))
    assert type(error.value) is (CorruptError if place else UnsupportedError)
    assert (error.value.unit, error.value.rule) == ("NIRV", "11.1")


def test_the_first_broken_field_of_patches_decides() -> None:
    with pytest.raises(UnsupportedError):
        PatchShape.from_payload(bytes([2, 9, 4, 192]))
    with pytest.raises(CorruptError, match="patch 9"):
        PatchShape.from_payload(bytes([1, 9, 5, 192]))


@pytest.mark.parametrize("size", [0, 1, 3, 5, 16])
def test_size_of_patches(size: int) -> None:
    with pytest.raises(CorruptError, match=f"payload of {size} bytes") as error:
        PatchShape.from_payload((PatchShape().to_payload() + bytes(100))[:size])
    assert error.value.rule == "11.1"
