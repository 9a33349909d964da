"""The description of the hybrid model (spec 7.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nvcodec.format import HYBRID, SINE, CorruptError
from nvcodec.model.description import CanvasShape, parse_description
from nvcodec.model.sine.shape import NetworkShape

GOOD = CanvasShape(8, -2)


@pytest.mark.parametrize("shape", [GOOD, CanvasShape(1, -12), CanvasShape(32, 12, 1)])
def test_round_trip(shape: CanvasShape) -> None:
    payload = shape.to_payload()
    assert payload == bytes(
        [shape.group_frames, shape.chroma_offset & 255, shape.network, *bytes(13)]
    )
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
    payload = bytes([*(number & 255 for number in fields.values()), *bytes(13)])
    with pytest.raises(CorruptError, match=field) as error:
        CanvasShape.from_payload(payload)
    assert (error.value.unit, error.value.rule) == ("HYBR", "7.1")
    with pytest.raises(CorruptError):
        replace(GOOD, **{field: value})


def test_payload_size_and_reserved() -> None:
    payload = GOOD.to_payload()
    for size in (0, 1, 15, 17, 100):
        with pytest.raises(CorruptError) as error:
            CanvasShape.from_payload((payload + bytes(100))[:size])
        assert error.value.rule == "7.1"
    for place in range(3, 16):
        changed = bytearray(payload)
        changed[place] = 1
        with pytest.raises(CorruptError):
            CanvasShape.from_payload(bytes(changed))


def test_the_model_decides() -> None:
    network = NetworkShape(8, 3, 2, 12, 3, 2)
    assert parse_description(SINE, network.to_payload()) == network
    with pytest.raises(CorruptError):
        parse_description(HYBRID, network.to_payload())
