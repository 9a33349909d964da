import numpy as np

from nvcodec.model.hybrid.canvas.quantiser import INDICES, REAL_STEP, STEP, plane_index
from tests.model.hybrid.canvas.reference import S6


def test_steps_are_those_of_the_spec():
    assert STEP.dtype == np.int32
    assert STEP.tolist() == [S6[q % 6] << (q // 6) for q in range(64)]


def test_integer_steps_are_near_the_real_ones():
    assert len(REAL_STEP) == INDICES
    assert np.abs(STEP / 64 / REAL_STEP - 1).max() < 0.01


def test_only_chroma_is_offset_and_stays_in_range():
    for offset in (-12, -1, 0, 12):
        for q in range(INDICES):
            assert plane_index(q, 0, offset) == q
            assert plane_index(q, 1, offset) == plane_index(q, 2, offset)
            assert plane_index(q, 1, offset) == np.clip(q + offset, 0, 63)
