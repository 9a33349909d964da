import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.hybrid.leaves import PAINTED
from nvcodec.model.hybrid.canvas.secondary import secondary_of
from nvcodec.model.hybrid.canvas.transform import add_unit, transform_scratch
from nvcodec.model.samples import plane_code
from nvcodec.picture import YUV420P8, SampleFormat
from tests.model.hybrid.canvas import reference
from tests.model.hybrid.canvas.tables import SHAPES


def check(w, h, q, entries, plane, y, x, fmt=YUV420P8, sine=0, mode=-1, number=0):
    """entries: level by position; `number` is that of a secondary transform of the mode."""
    d = [[0] * w for _ in range(h)]
    for position, level in entries.items():
        d[position // w][position % w] = reference.coefficient(level, q, w, h, fmt)
    if number:
        d = reference.unfolded(d, w, h, mode, number, fmt)
    expected = plane.copy()
    block = expected[y : y + h, x : x + w]
    block[:] = np.clip(block.astype(int) + reference.residual(d, w, h, fmt, sine), 0, fmt.peak)
    levels = np.array([[0, 9], *entries.items(), [1, 9]], np.int32)
    room = transform_scratch()
    code = plane_code(fmt, 0)
    logs = w.bit_length() - 1, h.bit_length() - 1
    secondary = secondary_of(mode, PAINTED + number) if number else -1
    add_unit(code, levels, 1, 1 + len(entries), *logs, sine, secondary, q, *room, plane, y, x)
    assert np.array_equal(plane, expected)
    assert not room[0].any()


@pytest.mark.parametrize("depth", [8, 10, 12])
@pytest.mark.parametrize(("w", "h"), SHAPES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_unit(w, h, depth, data):
    magnitude = data.draw(st.sampled_from([1, 3, 30, 1000, 1 << 17]))
    entries = data.draw(
        st.dictionaries(
            st.integers(0, w * h - 1),
            st.integers(-magnitude, magnitude).filter(bool),
            min_size=1,
            max_size=40,
        )
    )
    fmt = SampleFormat(depth, 1)
    q = data.draw(st.integers(0, reference.last_q(fmt)))
    plane = np.random.default_rng(0).integers(0, fmt.peak + 1, (48, 40), dtype=fmt.dtype)
    y, x = data.draw(st.integers(0, 16)), data.draw(st.integers(0, 8))
    check(w, h, q, entries, plane, y, x, fmt, data.draw(st.integers(0, int(max(w, h) < 32))))


@pytest.mark.parametrize("depth", [8, 12])
@pytest.mark.parametrize(("w", "h"), SHAPES)
def test_secondary_transforms(w, h, depth):
    rng = np.random.default_rng(w)
    fmt = SampleFormat(depth, 1)
    for mode in (0, 1, 2, 7, 8, 12, 13, 18, 19, 23, 24, 28, 29, 34):
        for number in (1, 2, 3):
            # The greatest coefficients too, at which the reference asserts the width of all sums.
            magnitude = 1 << int(rng.integers(1, 18))
            places = rng.choice(16, int(rng.integers(1, 17)), replace=False).tolist()
            values = rng.integers(1, magnitude, len(places)) * rng.choice([-1, 1], len(places))
            entries = {(k // 4) * w + k % 4: int(v) for k, v in zip(places, values, strict=True)}
            plane = rng.integers(0, fmt.peak + 1, (h, w), dtype=fmt.dtype)
            q = int(rng.integers(0, reference.last_q(fmt) + 1))
            check(w, h, q, entries, plane, 0, 0, fmt, 0, mode, number)


@pytest.mark.parametrize(("w", "h"), SHAPES)
@pytest.mark.parametrize("depth", [8, 12])
@pytest.mark.parametrize("kind", ["positive", "negative", "signs", "random"])
def test_extremes(w, h, kind, depth):
    """The greatest coefficients, at which the reference asserts the width of all sums."""
    rng = np.random.default_rng(1)
    for sine in range(1 + int(max(w, h) < 32)):
        across, down = (np.sign(reference.matrix_of(n, sine))[:, 0] for n in (w, h))
        extreme(rng, kind, depth, sine, np.outer(down, across))


def extreme(rng, kind, depth, sine, signs):
    h, w = signs.shape
    level = {
        "positive": np.ones((h, w)),
        "negative": -np.ones((h, w)),
        "signs": signs,
        "random": rng.choice([-1, 1], (h, w)),
    }[kind]
    values = np.where(level > 0, (1 << 17) - 1, 1 - (1 << 17)).ravel().tolist()
    fmt = SampleFormat(depth, 1)
    plane = rng.integers(0, fmt.peak + 1, (h, w), dtype=fmt.dtype)
    check(w, h, reference.last_q(fmt), dict(enumerate(values)), plane, 0, 0, fmt, sine)


def test_no_levels():
    plane = np.full((8, 8), 7, np.uint8)
    add_unit(
        0, np.zeros((0, 2), np.int32), 0, 0, 3, 3, 0, -1, 20, *transform_scratch(), plane, 0, 0
    )
    assert (plane == 7).all()


@numba.njit
def add_units(levels, count, wide_log, tall_log, index, room, plane):
    """A unit of `count` levels in each block of a plane."""
    coefficients, sums = room
    height, width = plane.shape
    first = 0
    for y in range(0, height, 1 << tall_log):
        for x in range(0, width, 1 << wide_log):
            last = first + count
            add_unit(
                0,
                levels,
                first,
                last,
                wide_log,
                tall_log,
                0,
                -1,
                index,
                coefficients,
                sums,
                plane,
                y,
                x,
            )
            first = last


@pytest.mark.parametrize(("w", "h"), [(4, 4), (8, 8), (16, 16), (32, 32), (8, 32), (16, 8)])
@pytest.mark.parametrize("dense", [False, True])
def test_plane_of_units(dense, w, h, kernel_bench):
    """Units of three low frequencies, and of all frequencies."""
    rng = np.random.default_rng(w)
    before = rng.integers(0, 256, (64, 64), np.uint8)
    positions = np.arange(w * h) if dense else np.array([0, 1, w])
    blocks = 64 * 64 // (w * h)
    levels = np.empty((blocks, len(positions), 2), np.int32)
    levels[..., 0] = positions
    levels[..., 1] = rng.integers(-9, 10, levels.shape[:2])
    plane, room = before.copy(), transform_scratch()
    logs = w.bit_length() - 1, h.bit_length() - 1
    table = levels.reshape(-1, 2)

    def call():
        plane[:] = before
        add_units(table, len(positions), *logs, 24, room, plane)
        return plane

    def slow():
        out = before.astype(np.int64)
        for number in range(blocks):
            row, column = divmod(number, 64 // w)
            d = [[0] * w for _ in range(h)]
            for position, level in levels[number].tolist():
                d[position // w][position % w] = reference.coefficient(level, 24, w, h)
            block = out[h * row : h * row + h, w * column : w * column + w]
            block[:] = np.clip(block + reference.residual(d, w, h), 0, 255)
        return out

    name = f"add_unit {w} x {h}, {'all' if dense else 'three'} coefficients"
    kernel_bench(name, before.size, call, slow)
