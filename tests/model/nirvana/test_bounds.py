"""Every sum of spec 12 and 13 stays in signed 32 bits, with all inputs at their bounds."""

from __future__ import annotations

import numpy as np

from tests.coding.nirvana.reference import SIZES, F, table

from .reference import LIMIT, MOVE, reciprocal

MOST = 2**31
CQ = 16
VALUE, HIDDEN, RESIDUAL = 240, 4095, 16383


def half(shift: int) -> int:
    return 1 << (shift - 1)


def total(*parts: np.ndarray | int) -> int:
    """The largest magnitude of a row's sum, of magnitudes of its parts."""
    return int(np.max(sum(np.asarray(part, np.int64) for part in parts)))


def test_trace_and_moved_features() -> None:
    basis = np.abs(table().BASIS)
    assert total(basis @ LIMIT, half(12)) < MOST
    # A moved sample is what both filters make of a trace of the largest magnitude.
    gain = max(sum(map(abs, taps)) for taps in MOVE)
    across = (2560 * gain + 32) >> 6
    moved = (across * gain + 32) >> 6
    assert moved < 4096
    assert total(basis.T.sum(1) * moved, half(14)) < MOST


def test_inputs() -> None:
    assert total(LIMIT * np.abs(table().SCALE), half(15)) < MOST
    assert 32767 * reciprocal(4) + half(15) < MOST


def test_synthesis() -> None:
    data = table()
    first = np.abs(data.W1).sum((1, 2, 3)) + np.abs(data.W1C).sum(1)
    first = first * HIDDEN
    assert total(np.abs(data.B1[0]), CQ * np.abs(data.B1[1]), first, half(data.SHIFTS[0])) < MOST
    second = np.abs(data.W2).sum(1) * HIDDEN
    assert total(np.abs(data.B2), second, half(data.SHIFTS[1])) < MOST
    linear, third = np.abs(data.BASIS) @ LIMIT, np.abs(data.W3).sum(1) * HIDDEN
    assert total(np.abs(data.B3), linear, third, half(12)) < MOST


def test_entropy_network() -> None:
    data = table()
    log = int(np.abs(data.LOG).max())
    assert log < 2**15
    for s in range(len(SIZES)):
        bias = np.abs(data.BC[s])
        earlier = np.abs(data.A[s]).reshape(len(bias[0]), 2, -1).sum(2)
        context = (earlier + np.abs(data.C[s]).sum((2, 3))) @ [VALUE, log]
        own = np.abs(data.M[s]).sum(2) @ [VALUE, log, VALUE, log]
        parts = bias[0], CQ * bias[1], bias[2], context, own, half(data.SHIFTS[2])
        assert total(*parts) < MOST
        second = np.abs(data.H[s]).sum(1) * HIDDEN
        assert total(np.abs(data.BH[s]), second, half(data.SHIFTS[3])) < MOST
        bias = np.abs(data.BO[s])
        units = np.abs(data.O[s]).sum(2) * HIDDEN
        assert total(bias[0], CQ * bias[1], units, half(data.SHIFTS[4])) < MOST


def test_means() -> None:
    """A mean, and the residual above it that reaches the other end of the range."""
    data = table()
    near = np.abs(data.NEIGHBOUR).sum((1, 2, 3)) * RESIDUAL
    assert total(near) < MOST
    assert 64 * total(near >> 2) < MOST
    change = 2 * 32767
    for s, size in enumerate(SIZES):
        bias = np.abs(data.BO[s][:, 0])
        sums = bias[0] + CQ * bias[1] + np.abs(data.O[s][0]).sum(1) * HIDDEN
        mean = sums >> data.SHIFTS[4]
        if s < 4:
            first = sum(SIZES[:s])
            mean = mean + (near[first : first + size] >> 2)
        mean = mean + (64 * change >> 4)
        assert total(mean) < MOST


def test_features_are_of_16_bits() -> None:
    assert len(LIMIT) == F
    assert (LIMIT < 2**15).all()
