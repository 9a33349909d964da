import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.model.hybrid.canvas.transform import add_unit, transform_scratch
from tests.model.hybrid.canvas import reference


def check(n, q, entries, plane, y, x):
    """entries: level by position."""
    log_size = n.bit_length() - 1
    d = [[0] * n for _ in range(n)]
    for position, level in entries.items():
        d[position // n][position % n] = reference.coefficient(level, q, log_size)
    expected = plane.copy()
    block = expected[y : y + n, x : x + n]
    block[:] = np.clip(block + reference.residual(d, n), 0, 255)
    levels = np.array([[0, 9], *entries.items(), [1, 9]], np.int32)
    room = transform_scratch()
    add_unit(levels, 1, 1 + len(entries), log_size, q, *room, plane, y, x)
    assert np.array_equal(plane, expected)
    assert not room[0].any()


@pytest.mark.parametrize("n", [4, 8, 16, 32])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_unit(n, data):
    magnitude = data.draw(st.sampled_from([1, 3, 30, 1000, 1 << 17]))
    entries = data.draw(
        st.dictionaries(
            st.integers(0, n * n - 1),
            st.integers(-magnitude, magnitude).filter(bool),
            min_size=1,
            max_size=40,
        )
    )
    q = data.draw(st.integers(0, 63))
    plane = np.random.default_rng(0).integers(0, 256, (48, 40), dtype=np.uint8)
    check(n, q, entries, plane, data.draw(st.integers(0, 16)), data.draw(st.integers(0, 8)))


@pytest.mark.parametrize("n", [4, 8, 16, 32])
@pytest.mark.parametrize("kind", ["positive", "negative", "signs", "random"])
def test_extremes(n, kind):
    """The greatest coefficients, at which the reference asserts the width of all sums."""
    rng = np.random.default_rng(1)
    sign = np.sign(np.array(reference.M)[:: 32 // n, :n][:, 0])
    level = {
        "positive": np.ones((n, n)),
        "negative": -np.ones((n, n)),
        "signs": np.outer(sign, sign),
        "random": rng.choice([-1, 1], (n, n)),
    }[kind]
    values = np.where(level > 0, (1 << 17) - 1, 1 - (1 << 17)).ravel().tolist()
    plane = rng.integers(0, 256, (n, n), dtype=np.uint8)
    check(n, 63, dict(enumerate(values)), plane, 0, 0)


def test_no_levels():
    plane = np.full((8, 8), 7, np.uint8)
    add_unit(np.zeros((0, 2), np.int32), 0, 0, 3, 20, *transform_scratch(), plane, 0, 0)
    assert (plane == 7).all()


@numba.njit
def add_units(levels, count, log_size, index, room, plane):
    """A unit of `count` levels in each block of a plane."""
    coefficients, sums = room
    height, width = plane.shape
    first = 0
    for y in range(0, height, 1 << log_size):
        for x in range(0, width, 1 << log_size):
            add_unit(levels, first, first + count, log_size, index, coefficients, sums, plane, y, x)
            first += count


@pytest.mark.parametrize("n", [4, 8, 16, 32])
@pytest.mark.parametrize("dense", [False, True])
def test_plane_of_units(dense, n, kernel_bench):
    """Units of three low frequencies, and of all frequencies."""
    rng = np.random.default_rng(n)
    before = rng.integers(0, 256, (64, 64), np.uint8)
    positions = np.arange(n * n) if dense else np.array([0, 1, n])
    blocks = (64 // n) ** 2
    levels = np.empty((blocks, len(positions), 2), np.int32)
    levels[..., 0] = positions
    levels[..., 1] = rng.integers(-9, 10, levels.shape[:2])
    plane, room, log_size = before.copy(), transform_scratch(), n.bit_length() - 1
    table = levels.reshape(-1, 2)

    def call():
        plane[:] = before
        add_units(table, len(positions), log_size, 24, room, plane)
        return plane

    def slow():
        out = before.astype(np.int64)
        for number in range(blocks):
            y, x = (n * place for place in divmod(number, 64 // n))
            d = [[0] * n for _ in range(n)]
            for position, level in levels[number].tolist():
                d[position // n][position % n] = reference.coefficient(level, 24, log_size)
            block = out[y : y + n, x : x + n]
            block[:] = np.clip(block + reference.residual(d, n), 0, 255)
        return out

    name = f"add_unit {n}, {'all' if dense else 'three'} coefficients"
    kernel_bench(name, before.size, call, slow)
