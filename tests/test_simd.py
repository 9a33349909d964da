"""Operations on vectors, against plain integers."""

import numba
import numpy as np
import pytest

from nvcodec.simd import NUMBER, PLACE, constant, operation


def _scale(code):
    value = code.builder.mul(code.load("values"), code.number(code["factor"]))
    code.store(code.clip(code.rounded(value, code["shift"]), -100, 120), "out")


def _sums(code):
    total = code.builder.sext(code.sum(code.load("values", offset=1)), constant(0).type)
    code.builder.store(total, code.pointer("out"))


scale = operation(_scale, values=None, at=PLACE, factor=PLACE, shift=NUMBER, out=None, to=PLACE)
sums = operation(_sums, values=None, at=PLACE, out=None, to=PLACE)


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("source", [np.int8, np.uint8, np.int16, np.int32])
def test_operations_by_names(lanes, source):
    @numba.njit
    def run(values, factor, shift, scaled, summed):
        scale(lanes, values, 3, factor, shift, scaled, 2)
        sums(lanes, values, 3, summed, 0)

    rng = np.random.default_rng(lanes)
    limits = np.iinfo(source)
    least, most = max(limits.min, -(2**15)), min(limits.max, 2**15)
    values = rng.integers(least, most, 3 + lanes + 1, endpoint=True).astype(source)
    scaled, summed = np.full(2 + lanes + 1, 77, np.int16), np.zeros(1, np.int64)
    run(values, -5, 4, scaled, summed)
    wide = values.astype(np.int64)
    expected = np.clip((-5 * wide[3 : 3 + lanes] + 8) >> 4, -100, 120)
    np.testing.assert_array_equal(scaled, [77, 77, *expected, 77])
    assert summed[0] == wide[4 : 4 + lanes].sum()


@pytest.mark.parametrize(("at", "to"), [(1, 0), (-1, 0), (0, 1)])
def test_places_are_checked_on_demand(at, to, monkeypatch):
    monkeypatch.setattr(numba.core.config, "BOUNDSCHECK", 1)

    @numba.njit
    def run(values, at, out, to):
        scale(8, values, at, 1, 1, out, to)

    values, out = np.zeros(8, np.int16), np.zeros(8, np.int16)
    run(values, 0, out, 0)
    with pytest.raises(IndexError):
        run(values, at, out, to)
