"""The network description (spec 4.1, 4.2, 5.1, 5.8)."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.format import CorruptError
from nvcodec.model.sine.shape import NetworkShape

GOOD = NetworkShape(8, 2, 3, 2, 12, 3, 2, 5)


@st.composite
def shapes(draw: st.DrawFn) -> NetworkShape:
    patch = 2 * draw(st.integers(2, 32))
    head = draw(st.integers(0, 64))
    return NetworkShape(
        patch=patch,
        overlap=2 * draw(st.integers(0, patch // 4)),
        group_frames=draw(st.integers(1, 32)),
        depth=draw(st.integers(1, 8)),
        width=draw(st.integers(1, 1024)),
        stem_channels=draw(st.integers(1, 64)) if head else 0,
        head_channels=head,
        features=draw(st.one_of(st.just(0), st.integers(0, 255))),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("patch", v) for v in (0, 2, 3, 5, 7, 65, 66, 255)),
        *(("overlap", v) for v in (1, 3, 5, 6, 255)),
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
        [fields["patch"], fields["overlap"], fields["group_frames"], fields["depth"]]
        + [fields["width"] & 255, fields["width"] >> 8]
        + [fields["stem_channels"], fields["head_channels"], fields["features"], *bytes(7)]
    )
    with pytest.raises(CorruptError) as error:
        NetworkShape.from_payload(payload)
    assert error.value.rule == "4.1"
    with pytest.raises(CorruptError):
        replace(GOOD, **{field: value})


def test_payload_size_and_reserved() -> None:
    payload = GOOD.to_payload()
    assert payload == bytes([8, 2, 3, 2, 12, 0, 3, 2, 5]) + bytes(7)
    for size in (0, 1, 15, 17, 100):
        with pytest.raises(CorruptError) as error:
            NetworkShape.from_payload((payload + bytes(100))[:size])
        assert error.value.rule == "4.1"
    for place in range(9, 16):
        changed = bytearray(payload)
        changed[place] = 1
        with pytest.raises(CorruptError):
            NetworkShape.from_payload(bytes(changed))


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
    rows_out = c * g * g if h else t * 6 * g * g
    sizes = [(w, 2), *[(w, w)] * (shape.depth - 1), (rows_out, w)]
    if h:
        sizes += [(t * 4 * h, c * 9), (t * 3, h * 9)]
    weights = sum(rows * columns + rows for rows, columns in sizes)
    grid = shape.grid(width, height)
    assert grid == (shape.patches(height), shape.patches(width))
    f = shape.features
    if f:
        sizes.append((rows_out, f))
        weights += rows_out * f + f * grid[0] * grid[1]
    assert [(layer.rows, layer.columns) for layer in shape.layers] == sizes
    assert [layer.featured for layer in shape.layers] == [False] * (len(sizes) - (f > 0)) + [
        True
    ] * (f > 0)
    assert shape.weights(grid) == weights
    # Each output of the expanding layer and before is one product per column; the block has,
    # for each frame, 4 H values of C * 9 products at each of G * G places, 3 of H * 9 at P * P.
    products = sum(rows * columns for rows, columns in sizes[: shape.depth + 1])
    products += rows_out * f
    if h:
        products += t * (g * g * 4 * h * c * 9 + p * p * 3 * h * 9)
    assert shape.multiplications == -(-products // (t * (p - shape.overlap) ** 2))


def test_kinds_and_bounds() -> None:
    shape = replace(GOOD, depth=3)
    assert [(x.kind, x.max_weight, x.max_input, x.bound) for x in shape.layers] == [
        (0, 2047, 32768, 2**36),
        (1, 127, 127, 2**24),
        (1, 127, 127, 2**24),
        (2, 127, 127, 2**24),
        (3, 2047, 2047, 2**24),
        (3, 2047, 2047, 2**24),
        (2, 127, 127, 2**24),
    ]
    assert len(replace(shape, stem_channels=0, head_channels=0).layers) == 5
    assert len(replace(shape, features=0).layers) == 6


@given(shapes(), st.integers(1, 700), st.data())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_patches(shape: NetworkShape, size: int, data: st.DataObject) -> None:
    count = shape.patches(size)
    assert (count - 1) * shape.stride + shape.patch >= size
    if count > 1:
        assert (count - 2) * shape.stride + shape.patch < size
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    reached = [
        n for n in range(count) if n * shape.stride < end and n * shape.stride + shape.patch > start
    ]
    assert shape.patches_covering(start, end, size) == (reached[0], reached[-1] + 1)
