"""Luma at quarter samples against the sums of spec 8.3."""

import numpy as np
import pytest

from nvcodec.encode.hybrid.search.phases import MARGIN, PhasesMemory
from nvcodec.picture import YUV420P8, SampleFormat
from tests.encode.hybrid.search.inter import filled_phases
from tests.model.hybrid.canvas.reference import pred


@pytest.mark.parametrize("kind", ["noise", "extremes"])
def test_phases(kind, kernel_bench):
    rng = np.random.default_rng(0)
    shape = 40, 72
    luma = rng.integers(0, 256, shape) if kind == "noise" else rng.choice([0, 255], shape)
    luma = luma.astype(np.uint8)
    rows, columns = (size + 2 * MARGIN for size in shape)

    def slow():
        vectors = [[(fy, fx)] * 2 for fy in range(4) for fx in range(4)]
        sums = [pred([luma] * 2, -MARGIN, -MARGIN, rows, columns, 1, v, False) for v in vectors]
        return np.clip((np.stack(sums) + 64) >> 7, 0, 255)

    kernel_bench(f"phases of {kind}", 16 * rows * columns, lambda: filled_phases(luma), slow)


def test_memory_is_used_again():
    memory = PhasesMemory()
    luma, other = (np.full((16, 24), value, np.uint8) for value in (1, 2))
    first, second = (filled_phases(plane, YUV420P8, memory) for plane in (luma, other))
    place = first.ctypes.data
    assert second.ctypes.data != place
    del first
    third = filled_phases(luma, YUV420P8, memory)
    assert third.ctypes.data == place
    assert (third == 1).all()
    assert (second == 2).all()
    deep = filled_phases(luma.astype(np.uint16), SampleFormat(10, 1), memory)
    assert (deep == 1).all()
