"""The order of samples in kernels, and their way to planes."""

from __future__ import annotations

import numpy as np

from nvcodec.model.nirvana.volume import FRAME, LUMA, ORDER

from .reference import D, G, P, T, number


def test_order() -> None:
    """Of a frame: luma row by row, then Cb, then Cr."""
    expected = []
    for t in range(T):
        for y in range(P):
            for x in range(P):
                expected.append(number(t, 2 * (y % 2) + x % 2, y // 2, x // 2))
        for phase in (4, 5):
            expected += [number(t, phase, gy, gx) for gy in range(G) for gx in range(G)]
    assert ORDER.tolist() == expected
    assert sorted(expected) == list(range(D))
    assert (FRAME, LUMA) == (D // T, P * P)
    assert np.array_equal(ORDER[FRAME:] % FRAME, ORDER[:-FRAME] % FRAME)
