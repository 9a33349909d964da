"""The network description (spec 4.1, 4.2, 5.1, 5.8)."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.format import CorruptError
from nvcodec.model.sine.shape import NetworkShape

GOOD = NetworkShape(8, 3, 2, 12, 3, 2)


@st.composite
def shapes(draw: st.DrawFn) -> NetworkShape:
    return NetworkShape(
        patch=2 * draw(st.integers(2, 32)),
        group_frames=draw(st.integers(1, 32)),
        depth=draw(st.integers(1, 8)),
        width=draw(st.integers(1, 1024)),
        stem_channels=draw(st.integers(1, 64)),
        head_channels=draw(st.integers(1, 64)),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("patch", v) for v in (0, 2, 3, 5, 7, 65, 66, 255)),
        *(("group_frames", v) for v in (0, 33, 255)),
        *(("depth", v) for v in (0, 9, 255)),
        *(("width", v) for v in (0, 1025, 65535)),
        *(("stem_channels", v) for v in (0, 65, 255)),
        *(("head_channels", v) for v in (0, 65, 255)),
    ],
)
def test_each_rule(field: str, value: int) -> None:
    fields = asdict(GOOD) | {field: value}
    payload = bytes(
        [fields["patch"], fields["group_frames"], fields["depth"]]
        + [fields["width"] & 255, fields["width"] >> 8]
        + [fields["stem_channels"], fields["head_channels"]]
    )
    with pytest.raises(CorruptError) as error:
        NetworkShape.from_payload(payload)
    assert error.value.rule == "4.1"
    with pytest.raises(CorruptError):
        replace(GOOD, **{field: value})


def test_payload_size() -> None:
    payload = GOOD.to_payload()
    assert payload == bytes([8, 3, 2, 12, 0, 3, 2])
    for size in (0, 1, 6, 8, 16):
        with pytest.raises(CorruptError) as error:
            NetworkShape.from_payload((payload + bytes(100))[:size])
        assert error.value.rule == "4.1"


@given(shapes())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_payload_round_trip(shape: NetworkShape) -> None:
    assert NetworkShape.from_payload(shape.to_payload()) == shape


@given(shapes(), st.integers(1, 500), st.integers(1, 500))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_counts(shape: NetworkShape, width: int, height: int) -> None:
    """The table of 4.2 and the formulas of 5.8, added up one by one."""
    p, t, c, h = shape.patch, shape.group_frames, shape.stem_channels, shape.head_channels
    g, w = p // 2, shape.width
    sizes = [(w, 2), *[(w, w)] * (shape.depth - 1), (c * g * g, w), (t * 4 * h, c * 9)]
    sizes.append((t * 3, h * 9))
    assert shape.grid(width, height) == (shape.patches(height), shape.patches(width))
    assert [(layer.rows, layer.columns) for layer in shape.layers] == sizes
    assert shape.weights == sum(rows * columns + rows for rows, columns in sizes)
    # Each output of the expanding layer and before is one product per column; the block has,
    # for each frame, 4 H values of C * 9 products at each of G * G places, 3 of H * 9 at P * P.
    # A lone frame takes all of the layers before the block, and its own share of the block.
    products = t * sum(rows * columns for rows, columns in sizes[: shape.depth + 1])
    products += t * (g * g * 4 * h * c * 9 + p * p * 3 * h * 9)
    assert shape.multiplications == -(-products // (t * p**2))


def test_kinds_and_bounds() -> None:
    shape = replace(GOOD, depth=3)
    assert [(x.kind, x.max_weight, x.max_input, x.bound) for x in shape.layers] == [
        (0, 2047, 32768, 2**36),
        (1, 127, 127, 2**24),
        (1, 127, 127, 2**24),
        (2, 127, 127, 2**24),
        (3, 2047, 2047, 2**24),
        (3, 2047, 2047, 2**24),
    ]


@given(shapes(), st.integers(1, 700), st.data())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_patches(shape: NetworkShape, size: int, data: st.DataObject) -> None:
    count = shape.patches(size)
    assert (count - 1) * shape.patch < size <= count * shape.patch
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    reached = [n for n in range(count) if n * shape.patch < end and (n + 1) * shape.patch > start]
    assert shape.patches_covering(start, end) == (reached[0], reached[-1] + 1)
