"""Weights of errors that later canvases inherit."""

import numpy as np

from nvcodec.encode.hybrid.analysis.lookahead import Dependence, analyse
from nvcodec.encode.hybrid.analysis.weights import (
    activity,
    error_weights,
    hand_on,
    inherited_shares,
)
from tests.encode.hybrid.pictures import smooth_noise, sources


def slow_hand_on(shares, vectors, used, own, first, second):
    rows, columns = shares.shape
    for r, c in np.argwhere(used).tolist():
        total = (1 + float(own[r, c])) * shares[r, c]
        targets = [k for k in range(2) if used[r, c] >> k & 1]
        for k in targets:
            y, x = (8 * n + int(v) for n, v in zip((r, c), vectors[k, r, c], strict=True))
            for i in range(2):
                for j in range(2):
                    share = (y % 8 if i else 8 - y % 8) * (x % 8 if j else 8 - x % 8) / 64
                    yy = min(max((y >> 3) + i, 0), rows - 1)
                    xx = min(max((x >> 3) + j, 0), columns - 1)
                    (first, second)[k][yy, xx] += total * share / len(targets)


def test_hand_on(kernel_bench):
    rng = np.random.default_rng(0)
    shape = 34, 60
    shares = rng.uniform(0, 1, shape).astype(np.float32)
    vectors = rng.integers(-40, 41, (2, *shape, 2), np.int16)
    used, own = rng.integers(0, 4, shape, np.uint8), rng.uniform(0, 30, shape)
    arguments = shares, vectors, used, own.astype(np.float32)

    def run(kernel):
        out = np.zeros((2, *shape), np.float32)
        kernel(*arguments, *out)
        return out

    kernel_bench(
        "hand_on",
        shares.size,
        lambda: run(hand_on),
        lambda: run(slow_hand_on),
        unit="block",
        tolerance=1e-4,
    )


def found_of(intra, inter):
    vectors, used = np.zeros((2, 2, 2, 2), np.int16), np.ones((2, 2), np.uint8)
    return Dependence(
        np.full((2, 2), intra, np.float32), np.full((2, 2), inter, np.float32), vectors, used
    )


def test_what_the_step_is_too_coarse_for_is_inherited():
    still = inherited_shares(found_of(900, 0), 8.0)
    np.testing.assert_allclose(still, 1)
    shares = [inherited_shares(found_of(900, 300), step)[0, 0] for step in (1, 4, 16, 256)]
    assert 0 < shares[0] < 0.05
    assert shares[-1] > 0.9
    assert shares == sorted(shares)
    # Intra prediction suits as well.
    assert (inherited_shares(found_of(300, 300), 64.0) < 1e-4).all()
    assert (inherited_shares(found_of(300, 400), 64.0) < 1e-4).all()


def test_active_blocks_take_more_bits():
    bits = [activity(found_of(900, inter), 8.0)[0, 0] for inter in (0, 300, 600, 900, 1200)]
    assert 0 < bits[0] < 0.01
    assert bits[:4] == sorted(bits[:4])
    assert bits[3] == bits[4]


def test_still_pictures_inherit_whole_errors():
    pictures = sources([smooth_noise((64, 96), 0)] * 5)
    window = [analyse(pictures[:1], None), analyse(pictures[1:], pictures[0])]
    (weights,) = error_weights(window, 8.0)
    # The weight is that of all five pictures.
    np.testing.assert_allclose(weights, 5, rtol=1e-5)
