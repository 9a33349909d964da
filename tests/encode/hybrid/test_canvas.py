"""The parts that the hybrid model's encoder codes a canvas with."""

import dataclasses

import numpy as np
import pytest
from nvcodec.encode.hybrid.search.residual import decide_inter_leaves, make_pool, make_scratch

from nvcodec.coding.hybrid.content import default_content_contexts
from nvcodec.coding.hybrid.leaves import (
    CODED,
    FIRST,
    INTRA,
    LEAF_COLUMNS,
    LEVEL_VALUE,
    SIZE,
    UNIT_COUNT,
    UNIT_PLANE,
    UNIT_SIZE,
    UNIT_START,
    UNIT_X,
    UNIT_Y,
    UNITS,
    X,
    Y,
)
from nvcodec.encode.hybrid.analysis.lookahead import analyse
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.quantisers import BASE, quantiser_maps
from nvcodec.encode.hybrid.canvas import (
    STEPS,
    WEIGHT,
    CanvasSettings,
    Reference,
    _residuals,
    code_inter,
)
from nvcodec.encode.hybrid.distances import sad, sad_mean, satd, satd_mean
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.group import code_substreams, decode_group, default_prices
from nvcodec.encode.hybrid.rate.costs import MOST_LISTED, bit_costs, escape_bits, unit_costs
from nvcodec.encode.hybrid.search.quantise import SCAN, STRIDE, quantise
from nvcodec.encode.hybrid.search.transform import backward, forward
from nvcodec.model.hybrid.canvas.plane import Canvas, schedule
from nvcodec.model.hybrid.canvas.transform import add_unit, transform_scratch
from nvcodec.tables import load_table

SIZES = {4: 2, 8: 3, 16: 4, 32: 5}
FAR = 1 << 40


def hadamard_sum(difference):
    """SATD as tiles has it: rounded for each tile of 8 rows and 8 or 16 columns."""
    n = len(difference)
    h = np.array([[1]])
    for _ in range(3):
        h = np.block([[h, h], [h, -h]])
    width = min(n, 16)
    total = 0
    for y in range(0, n, 8):
        for x in range(0, n, width):
            tile = difference[y : y + 8, x : x + width]
            blocks = [tile[:, k : k + 8] for k in range(0, width, 8)]
            total += (sum(int(abs(h @ block @ h).sum()) for block in blocks) + 4) >> 3
    return total


@pytest.mark.parametrize("n", [8, 16, 32, 64])
@pytest.mark.parametrize("extreme", [False, True])
def test_distances(n, extreme):
    rng = np.random.default_rng(n)
    current, a, b = (rng.integers(0, 256, (70, w), np.uint8) for w in (90, 100, 100))
    if extreme:
        current[:], a[:], b[:] = 255, 0, 0
    (y, x), (ay, ax), (by, bx) = (1, 3), (5, 0), (2, 17)
    block = current[y : y + n, x : x + n].astype(np.int64)
    first, second = (
        p[r : r + n, c : c + n].astype(np.int64) for p, r, c in ((a, ay, ax), (b, by, bx))
    )
    one = current.ravel(), 90 * y + x, 90, a.ravel(), 100 * ay + ax
    two = *one, b.ravel(), 100 * by + bx
    mean = (first + second + 1) >> 1
    assert sad(*one, 100, n, FAR) == abs(block - first).sum()
    assert sad_mean(*two, 100, n, FAR) == abs(block - mean).sum()
    assert satd(*one, 100, n) == hadamard_sum(block - first)
    assert satd_mean(*two, 100, n) == hadamard_sum(block - mean)
    most = sad(*one, 100, n, FAR) // 3
    assert most < sad(*one, 100, n, most) <= sad(*one, 100, n, FAR)


@pytest.mark.parametrize(("n", "log2n"), SIZES.items())
def test_transforms(n, log2n):
    rng = np.random.default_rng(n)
    block = rng.integers(-255, 256, (n, n)).astype(np.float32)
    matrix = load_table("transform.txt").reshape(32, 32)[:: 32 // n, :n] / (64 * np.sqrt(n))
    scratch, there, back = (np.zeros(1024, np.float32) for _ in range(3))
    forward(block.ravel(), n, log2n, np.float32(0.5), scratch, there)
    expected = 0.5 * matrix @ block @ matrix.T
    np.testing.assert_allclose(there[: n * n].reshape(n, n), expected, atol=1e-2)
    backward(there, n, log2n, np.float32(2), scratch, back)
    expected = 2 * matrix.T @ there[: n * n].reshape(n, n) @ matrix
    np.testing.assert_allclose(back[: n * n].reshape(n, n), expected, atol=1e-2)
    # The decoder's integers are orthonormal but for a percent.
    assert np.linalg.norm(expected - block) < 0.015 * np.linalg.norm(block)
    assert not there[n * n :].any()
    assert not back[n * n :].any()


@pytest.mark.parametrize(("n", "log2n"), SIZES.items())
@pytest.mark.parametrize("q", [10, 33])
def test_the_decoder_has_the_same_transform(n, log2n, q):
    levels = np.array([(0, 9), (1, -4), (n, 3), (2 * n + 1, -2), (n * n - 1, 1)], np.int32)
    plane = np.full((n, n), 128, np.uint8)
    add_unit(levels, 0, len(levels), log2n, q, *transform_scratch(), plane, 0, 0)
    coefficients, scratch, out = (np.zeros(1024, np.float32) for _ in range(3))
    coefficients[levels[:, 0]] = levels[:, 1]
    backward(coefficients, n, log2n, STEPS[q], scratch, out)
    expected = np.clip(128 + out[: n * n], 0, 255).reshape(n, n)
    assert abs(plane - expected).max() < 1.5


def unit_cost(coefficients, levels, n, weight, costs):
    """Squared error and bits of a unit (spec 7.6), from the costs of its syntax."""
    size, scan = SIZES[n] - 2, SCAN[SIZES[n] - 2][: n * n]
    total = float(((abs(coefficients) - abs(levels)) ** 2).sum())
    magnitudes = np.zeros((n + 2, n + 2), int)
    magnitudes[:n, :n] = abs(levels).reshape(n, n)
    last = max(k for k in range(n * n) if levels[scan[k]])
    y, x = divmod(int(scan[last]), n)
    bits = costs.last[0, size, x] + costs.last[1, size, y]
    full = {}
    for b in range(last >> 4, -1, -1):
        places = scan[16 * b : 16 * b + 16]
        by, bx = places[0] // n >> 2, places[0] % n >> 2
        some = bool(levels[places].any())
        if 0 < b < last >> 4:
            near = full.get((by, bx + 1), False) or full.get((by + 1, bx), False)
            bits += costs.full[size, int(near), int(some)]
            full[by, bx] = some
            if not some:
                continue
        full[by, bx] = True
        for k in range(min(16 * b + 15, last), 16 * b - 1, -1):
            y, x = divmod(int(scan[k]), n)
            m = magnitudes
            t = m[y, x + 1] + m[y, x + 2] + m[y + 1, x] + m[y + 2, x] + m[y + 1, x + 1]
            place = 0 if x + y == 0 else 1 if x + y < 3 else 2 if x + y < 6 else 3
            if k < last:
                bits += costs.sig[size, place, (0, 1, 2, 3, 4, 4, 5)[min(t, 6)], int(m[y, x] > 0)]
            if m[y, x]:
                group = (0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7)[min(t, 15)]
                bits += costs.level[place, group, min(m[y, x], MOST_LISTED)]
                if m[y, x] >= MOST_LISTED:
                    bits += escape_bits(m[y, x])
    return total + weight * bits


@pytest.mark.parametrize(("n", "log2n"), SIZES.items())
def test_levels_are_worth_their_bits(n, log2n):
    rng = np.random.default_rng(n)
    costs = unit_costs(bit_costs(default_content_contexts()), 1, 0)
    magnitudes = np.zeros(STRIDE * STRIDE, np.int32)
    scratch = np.zeros((3, 1024), np.float32)
    y, x = np.indices((n, n))
    exact = coded = 0
    for scale in (0.3, 1, 3, 30, 300):
        for _ in range(8):
            coefficients = rng.laplace(size=(n, n)) * scale * np.exp(-(x + y) / 3)
            coefficients = coefficients.astype(np.float32).ravel()
            levels = np.full(n * n, 7, np.int32)
            cost, count = quantise(
                coefficients,
                n,
                log2n,
                np.float32(WEIGHT),
                costs,
                np.float32(0.55),
                magnitudes,
                scratch,
                levels,
            )
            assert not magnitudes.any()
            energy = float((coefficients.astype(np.float64) ** 2).sum())
            assert cost <= energy * 1.0001
            assert count == np.count_nonzero(levels)
            if not count:
                assert cost == pytest.approx(energy, rel=1e-4)
                continue
            assert (np.sign(levels) * np.sign(coefficients) >= 0).all()
            assert (
                abs(abs(coefficients) - abs(levels)) <= np.maximum(abs(coefficients), 1.5)
            ).all()
            recount = unit_cost(coefficients, levels, n, WEIGHT, costs)
            # Levels behind the last one that is kept were in the templates of those before it.
            assert cost == pytest.approx(recount, rel=0.1)
            coded += 1
            exact += cost == pytest.approx(recount, rel=1e-3)
    assert coded > 10
    assert exact > coded / 2


def planes_of(luma):
    return luma, luma[::2, ::2].copy(), luma[1::2, 1::2].copy()


def smooth_noise(shape, seed):
    """Texture that interpolation does not change much, of the whole range."""
    noise = np.random.default_rng(seed).normal(size=shape)
    frequencies = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij"))
    soft = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-((8 * frequencies) ** 2))).real
    return np.clip(128 + 40 * soft / soft.std(), 0, 255).astype(np.uint8)


def sources(pictures):
    return [Pyramid.of(planes_of(luma), *luma.shape[::-1]) for luma in pictures]


def test_what_is_inherited_is_finer():
    still = sources([smooth_noise((96, 128), 0)] * 9)
    noise = sources([smooth_noise((96, 128), seed) for seed in range(9)])
    found = []
    for pictures in (still, noise):
        key = analyse(pictures[:1], None)
        group = analyse(pictures[1:], pictures[0])
        (alone,) = quantiser_maps(30, [key])
        assert (alone == int(30 + BASE + 0.5)).all()
        (map_,) = quantiser_maps(30, [key, group])
        assert map_.shape == (3, 4)
        found.append(map_)
        maps = quantiser_maps(30, [group])
        steps = schedule(8, key=False)
        assert len(maps) == len(steps)
        # No other canvas is predicted from those of the greatest depth.
        deepest = max(step.depth for step in steps)
        for step, map_ in zip(steps, maps, strict=True):
            if step.depth == deepest:
                assert (map_ == int(30 + BASE + 0.5)).all()
    assert (found[0] < found[1]).all()
    assert found[0].max() < 33
    assert found[1].min() > 35


def test_groups_after_the_next_key_do_not_count():
    pictures = sources([smooth_noise((64, 64), 0)] * 5)
    key, group = analyse(pictures[:1], None), analyse(pictures[1:], pictures[0])
    alone, cut, longer = (
        quantiser_maps(30, window)[0] for window in ([key], [key, key, group], [key, group, group])
    )
    np.testing.assert_array_equal(alone, cut)
    assert (longer < quantiser_maps(30, [key, group])[0]).all()


def test_quantisers_are_clipped():
    key = analyse(sources([smooth_noise((64, 64), 0)]), None)
    assert [int(quantiser_maps(crf, [key])[0][0, 0]) for crf in (-20, 0, 20.4, 60)] == [
        0,
        10,
        30,
        63,
    ]


SETTINGS = CanvasSettings(128, 96, 0, EFFORTS["medium"])


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("noise", [0, 6, 60])
def test_units_of_inter_leaves(depth, noise):
    rng = np.random.default_rng(noise)
    effort = dataclasses.replace(EFFORTS["medium"], tree_depth=depth)
    settings = dataclasses.replace(SETTINGS, effort=effort)
    q = np.full((3, 4), 24, np.uint8)
    squares = [(0, 0, 64), (64, 0, 32), (96, 0, 32), (64, 32, 32), (96, 32, 16), (112, 32, 16)]
    squares += [(96, 48, 16), *((112 + 8 * i, 48 + 8 * j, 8) for j in (0, 1) for i in (0, 1))]
    squares += [(32 * k, 64, 32) for k in range(4)]
    leaves = np.zeros((len(squares), LEAF_COLUMNS), np.int32)
    leaves[:, [X, Y, SIZE]] = squares
    predicted = planes_of(smooth_noise((96, 128), 1))
    source = [
        np.clip(p + noise * rng.laplace(size=p.shape) * (rng.random(p.shape) < 0.2), 0, 255).astype(
            np.uint8
        )
        for p in predicted
    ]
    pool, scratch = make_pool(128, 96), make_scratch()
    cost = decide_inter_leaves(
        _residuals(settings, default_prices(1), q),
        leaves,
        *source,
        *predicted,
        scratch,
        pool,
    )
    energy = sum(((a.astype(float) - b) ** 2).sum() for a, b in zip(source, predicted, strict=True))
    assert cost <= energy + 1000 * WEIGHT * STEPS[24] ** 2
    assert not scratch.zeros.any()
    assert pool.counts[0] == leaves[:, UNITS].sum()
    assert (leaves[:, UNITS].astype(bool) == leaves[:, CODED]).all()
    assert pool.counts[0] == 0 if noise == 0 else pool.counts[0] > 3
    covered = [np.zeros(p.shape, int) for p in source]
    level = 0
    for leaf in leaves:
        for unit in pool.units[leaf[FIRST] : leaf[FIRST] + leaf[UNITS]]:
            sub = 1 if unit[UNIT_PLANE] else 0
            x, y, n = unit[UNIT_X], unit[UNIT_Y], unit[UNIT_SIZE]
            assert leaf[X] >> sub <= x <= x + n <= (leaf[X] + leaf[SIZE]) >> sub
            assert leaf[Y] >> sub <= y <= y + n <= (leaf[Y] + leaf[SIZE]) >> sub
            assert n >= min(32, leaf[SIZE]) >> (sub or depth)
            covered[unit[UNIT_PLANE]][y : y + n, x : x + n] += 1
            assert unit[UNIT_START] == level
            level += unit[UNIT_COUNT]
            assert unit[UNIT_COUNT] > 0
            assert pool.levels[unit[UNIT_START] : level, LEVEL_VALUE].all()
    assert level == pool.counts[1]
    assert max(c.max() for c in covered) <= 1


def code_chain(before, picture, preset="medium", q=24):
    """A chain canvas of one group, predicted from a picture as it is."""
    height, width = before.shape
    settings = CanvasSettings(width, height, 0, EFFORTS[preset])
    cells = height // 8, width // 8
    (key,) = schedule(1, key=True)
    canvas = Canvas(
        planes_of(before), np.zeros(cells, np.uint8), np.zeros((2, *cells, 2), np.int16), key
    )
    first, second = sources([before, picture])
    (step,) = schedule(1, key=False)
    analysis = analyse([second], first)
    map_ = np.full((-(-height // 32), -(-width // 32)), q, np.uint8)
    coded = code_inter(
        settings,
        second,
        step,
        [Reference.of(canvas)],
        analysis.coarse[0],
        map_,
        default_prices(1),
    )
    substreams = code_substreams([coded], (width, height))
    (decoded,) = decode_group(settings, substreams, [coded.canvas], canvas)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(decoded.canvas.planes, coded.canvas.planes, strict=True)
    )
    return coded, substreams


@pytest.mark.parametrize("preset", ["fast", "medium"])
@pytest.mark.parametrize("shift", [(2, -5), (-17, 30)])
def test_a_translation_is_found(preset, shift):
    before = smooth_noise((128, 192), 3)
    coded, substreams = code_chain(before, np.roll(before, shift, (0, 1)), preset)
    inner = coded.canvas.vectors[0, 4:-4, 4:-4]
    assert (inner == [-4 * shift[0], -4 * shift[1]]).all(-1).mean() > 0.95
    assert (coded.canvas.direction[4:-4, 4:-4] == 1).mean() > 0.95
    # What comes in at the edges is new.
    assert substreams.bytes < code_chain(before, smooth_noise((128, 192), 4), preset)[1].bytes / 2


@pytest.mark.parametrize(("preset", "intra"), [("medium", True), ("fast", False)])
def test_what_appears_from_nowhere_is_intra(preset, intra):
    before = smooth_noise((128, 128), 5)
    picture = before.copy()
    # Stripes that go on below each block, as no vector into the other picture tells.
    picture[32:96, 32:96] = (128 + 100 * np.sin(np.arange(64) ** 1.3))[None].astype(np.uint8)
    coded, _ = code_chain(before, picture, preset)
    leaves = coded.leaves[coded.leaves[:, INTRA] == 1]
    assert len(leaves) > 3 if intra else len(leaves) == 0
    assert ((leaves[:, [X, Y]] >= 24) & (leaves[:, [X, Y]] < 104)).all()
    error = coded.canvas.planes[0][32:96, 32:96].astype(float) - picture[32:96, 32:96]
    assert (error**2).mean() < STEPS[24] ** 2
