import numpy as np
import pytest

from nvcodec.model.hybrid.canvas.quantiser import (
    INDICES,
    REAL_STEP,
    STEP,
    base_index,
    plane_index,
)
from nvcodec.model.samples import plane_code
from nvcodec.picture import SampleFormat
from tests.model.hybrid.canvas.reference import S6


def test_steps_are_those_of_the_spec():
    assert STEP.dtype == np.int32
    assert STEP.tolist() == [S6[q % 6] << (q // 6) for q in range(88)]


def test_integer_steps_are_near_the_real_ones():
    assert len(REAL_STEP) == INDICES
    assert np.abs(STEP / 64 / REAL_STEP - 1).max() < 0.01


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_only_chroma_is_offset_and_stays_in_range(depth):
    last = 63 + 6 * (depth - 8)
    luma, blue, red = (plane_code(SampleFormat(depth, 2), number) for number in range(3))
    for offset in (-12, -1, 0, 12):
        for q in range(last + 1):
            assert plane_index(q, luma, offset) == q
            assert plane_index(q, blue, offset) == plane_index(q, red, offset)
            assert plane_index(q, blue, offset) == np.clip(q + offset, 0, last)


@pytest.mark.parametrize("extra", [0, 2, 4])
def test_a_base_index_has_the_same_share_of_the_range(extra):
    for q in range(6 * extra, 64 + 6 * extra):
        assert STEP[base_index(q, extra)] << extra == STEP[q]
    assert {base_index(q, extra) for q in range(6 * extra)} <= {0}
