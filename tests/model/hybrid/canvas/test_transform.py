import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.model.hybrid.canvas.transform import add_unit, transform_scratch
from nvcodec.model.samples import plane_code
from nvcodec.picture import YUV420P8, SampleFormat
from tests.model.hybrid.canvas import reference


def check(n, q, entries, plane, y, x, fmt=YUV420P8, sine=0):
    """entries: level by position."""
    log_size = n.bit_length() - 1
    d = [[0] * n for _ in range(n)]
    for position, level in entries.items():
        d[position // n][position % n] = reference.coefficient(level, q, log_size, fmt)
    expected = plane.copy()
    block = expected[y : y + n, x : x + n]
    block[:] = np.clip(block.astype(int) + reference.residual(d, n, fmt, sine), 0, fmt.peak)
    levels = np.array([[0, 9], *entries.items(), [1, 9]], np.int32)
    room = transform_scratch()
    code = plane_code(fmt, 0)
    add_unit(code, levels, 1, 1 + len(entries), log_size, sine, q, *room, plane, y, x)
    assert np.array_equal(plane, expected)
    assert not room[0].any()


@pytest.mark.parametrize("depth", [8, 10, 12])
@pytest.mark.parametrize("n", [4, 8, 16, 32])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_unit(n, depth, data):
    magnitude = data.draw(st.sampled_from([1, 3, 30, 1000, 1 << 17]))
    entries = data.draw(
        st.dictionaries(
            st.integers(0, n * n - 1),
            st.integers(-magnitude, magnitude).filter(bool),
            min_size=1,
            max_size=40,
        )
    )
    fmt = SampleFormat(depth, 1)
    q = data.draw(st.integers(0, reference.last_q(fmt)))
    plane = np.random.default_rng(0).integers(0, fmt.peak + 1, (48, 40), dtype=fmt.dtype)
    y, x = data.draw(st.integers(0, 16)), data.draw(st.integers(0, 8))
    check(n, q, entries, plane, y, x, fmt, data.draw(st.integers(0, int(n < 32))))


@pytest.mark.parametrize("n", [4, 8, 16, 32])
@pytest.mark.parametrize("depth", [8, 12])
@pytest.mark.parametrize("kind", ["positive", "negative", "signs", "random"])
def test_extremes(n, kind, depth):
    """The greatest coefficients, at which the reference asserts the width of all sums."""
    rng = np.random.default_rng(1)
    for sine in range(1 + int(n < 32)):
        sign = np.sign(np.array(reference.matrix_of(n, sine))[:, 0])
        extreme(rng, n, kind, depth, sine, np.outer(sign, sign))


def extreme(rng, n, kind, depth, sine, signs):
    level = {
        "positive": np.ones((n, n)),
        "negative": -np.ones((n, n)),
        "signs": signs,
        "random": rng.choice([-1, 1], (n, n)),
    }[kind]
    values = np.where(level > 0, (1 << 17) - 1, 1 - (1 << 17)).ravel().tolist()
    fmt = SampleFormat(depth, 1)
    plane = rng.integers(0, fmt.peak + 1, (n, n), dtype=fmt.dtype)
    check(n, reference.last_q(fmt), dict(enumerate(values)), plane, 0, 0, fmt, sine)


def test_no_levels():
    plane = np.full((8, 8), 7, np.uint8)
    add_unit(0, np.zeros((0, 2), np.int32), 0, 0, 3, 0, 20, *transform_scratch(), plane, 0, 0)
    assert (plane == 7).all()


@numba.njit
def add_units(levels, count, log_size, index, room, plane):
    """A unit of `count` levels in each block of a plane."""
    coefficients, sums = room
    height, width = plane.shape
    first = 0
    for y in range(0, height, 1 << log_size):
        for x in range(0, width, 1 << log_size):
            add_unit(
                0, levels, first, first + count, log_size, 0, index, coefficients, sums, plane, y, x
            )
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
