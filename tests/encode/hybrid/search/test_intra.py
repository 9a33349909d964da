"""Intra leaves: rough and final costs of modes, against the rules of the spec."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import CHROMA, CODED, CUT, FIRST, LEAF_COLUMNS, MODE, UNITS
from nvcodec.encode.hybrid.analysis.repeats import NONE
from nvcodec.encode.hybrid.search.block import NEVER, area_at, packed_size
from nvcodec.encode.hybrid.search.intra import (
    _INTRA_MODES,
    Intra,
    Rebuilt,
    _list_modes,
    _mode_bits,
    _rank_modes,
    _satd4,
    decide_intra_leaf,
    intra_cost,
)
from nvcodec.encode.hybrid.search.transform_tree import best_tree
from nvcodec.encode.hybrid.search.units import make_pools
from nvcodec.encode.hybrid.search.workspace import IntraSpace, Workspace
from nvcodec.model.hybrid.canvas.intra import intra_references, intra_smooth
from tests.coding.hybrid.reference import luma_blocks
from tests.encode.hybrid.pictures import planes_of, smooth_noise
from tests.encode.hybrid.rate import recount
from tests.encode.hybrid.reference import hadamard_sum
from tests.model.hybrid.canvas import reference

from .given import as_compiled, canvas_input
from .inter import block_of, noise_scene

SIZE = 64


def make_intra(q=30, seed=0, tries=3):
    """A canvas of which the upper and left parts are known, nearly the source."""
    rng = np.random.default_rng(seed)
    luma = smooth_noise((SIZE, SIZE), seed)
    luma = np.clip(luma + rng.normal(0, 6, luma.shape), 0, 255).astype(np.uint8)
    planes = [plane.copy() for plane in planes_of(luma)]
    for plane in planes:
        plane += rng.integers(0, 3, plane.shape, np.uint8)
    known = np.ones((SIZE // 4, SIZE // 4), np.uint8)
    known[8:, 8:] = 0
    modes = rng.choice([0, 1, 10, 26, 31], known.shape).astype(np.uint8)
    modes[8:, 8:] = 1
    size = np.full((SIZE // 8, SIZE // 8), packed_size(8, 8), np.uint8)
    return Intra(
        given=canvas_input(luma, q, 0),
        rebuilt=Rebuilt(*planes, known=known, modes=modes, size=size),
        workspace=Workspace.make(),
        pool=make_pools(SIZE, SIZE, 1)[0],
        tries=tries,
        earlier=NONE,
        palettes=False,
    )


def test_the_list_of_modes():
    rng = np.random.default_rng(1)
    out = np.zeros(3, np.int64)
    for left, above in [(a, b) for a in range(35) for b in range(35)]:
        modes = rng.integers(0, 35, (4, 4)).astype(np.uint8)
        modes[2, 1], modes[1, 2] = left, above
        _list_modes(modes, 8, 8, out)
        assert out.tolist() == recount.mode_list(left, above)
        # Beyond the canvas there is DC.
        for y, x, beside in ((0, 8, (modes[0, 1], 1)), (8, 0, (1, modes[1, 0])), (0, 0, (1, 1))):
            _list_modes(modes, y, x, out)
            assert out.tolist() == recount.mode_list(*map(int, beside))


def test_mode_bits():
    prices = make_intra().given.intra
    for listed in ([0, 1, 26], [34, 31, 3], [5, 2, 0], [1, 34, 0]):
        for mode in range(35):
            expected = recount.luma_mode_bits(prices, listed, mode)
            assert _mode_bits(prices, np.array(listed), mode) == expected


@pytest.mark.parametrize("kind", ["noise", "extremes"])
def test_satd4(kind, kernel_bench):
    rng = np.random.default_rng(3)
    values = np.arange(256) if kind == "noise" else [0, 255]
    source = rng.choice(values, (16, 24)).astype(np.uint8)
    space = IntraSpace.make()
    space.prediction[:] = rng.choice(values, space.prediction.shape)
    h = np.array([[1, 1], [1, -1]])
    h = np.block([[h, h], [h, -h]])

    def slow():
        block = source[4:8, 12:16].astype(int) - space.prediction[:4, 4:8]
        return int(abs(h @ block @ h).sum()) >> 2

    kernel_bench(f"_satd4 of {kind}", 16, lambda: _satd4(source, 4, 12, space, 0, 4), slow)


def satd4(difference):
    """Of blocks of 4 x 4."""
    h = np.array([[1, 1], [1, -1]])
    h = np.block([[h, h], [h, -h]])
    places = [
        (y, x) for y in range(0, difference.shape[0], 4) for x in range(0, difference.shape[1], 4)
    ]
    return sum(int(abs(h @ difference[y : y + 4, x : x + 4] @ h).sum()) >> 2 for y, x in places)


@pytest.mark.parametrize(
    ("w", "h"), [(4, 4), (8, 8), (16, 16), (32, 32), (8, 4), (4, 8), (16, 8), (8, 32)]
)
def test_rough_costs(w, h):
    """All modes that are tried, with SATD to the prediction of the spec plus rate.

    Of costs above the three least only that is known.
    """
    s = make_intra(seed=w)
    y, x = 32, 32
    b = as_compiled(area_at(s.given, y, x, max(w, 8), max(h, 8), -1, -1))
    space, canvas = s.workspace.intra, s.rebuilt
    space.listed[:] = 0, 1, 26
    intra_references(canvas.plane0, canvas.known, 0, y, x, w, h, space.edges[0])
    intra_smooth(space.edges[0], w + h, space.edges[2])
    _rank_modes(s, b, y, x, w, h, 0)
    known = np.kron(canvas.known, np.ones((4, 4)))
    block = s.given.source0[y : y + h, x : x + w].astype(int)
    expected = np.zeros(35)
    for mode in range(35):
        difference = block - reference.intra(mode, canvas.plane0, known, x, y, w, h, True)
        satd = satd4(difference) if min(w, h) == 4 else hadamard_sum(difference)
        rate = recount.luma_mode_bits(s.given.intra, [0, 1, 26], mode)
        expected[mode] = satd + b.lam_satd * float(rate)
    first = [0, 1, *range(2, 35, 2)]
    best = sorted(first, key=lambda mode: expected[mode])[:3]
    tried = {*first, *(m for mode in best if mode > 1 for m in (mode - 1, mode + 1) if 2 < m < 35)}
    third = sorted(expected[mode] for mode in tried)[2]
    for mode in range(35):
        cost = expected[mode] if mode in tried else NEVER
        if third < cost < NEVER:
            assert third <= space.mode_costs[mode] <= cost * (1 + 1e-6)
        else:
            assert space.mode_costs[mode] == pytest.approx(cost, rel=1e-6)


LEAVES = [(8, 8, cut) for cut in range(4)]
LEAVES += [(w, h, 0) for w, h in ((16, 16), (32, 32), (16, 8), (8, 32), (32, 16))]


@pytest.mark.parametrize(("w", "h", "cut"), LEAVES)
@pytest.mark.parametrize("q", [16, 30, 44])
def test_the_cost_of_a_leaf_is_error_plus_bits(q, w, h, cut):
    s = make_intra(q, seed=w + cut, tries=8)
    b = as_compiled(area_at(s.given, 32, 32, w, h, -1, -1))
    leaf = np.full(LEAF_COLUMNS, 77, np.int32)
    cost = decide_intra_leaf(s, b, cut, 0, leaf)
    canvas, prices = s.rebuilt, recount.doubles(s.given.intra)
    error = 0.0
    for plane, source, shift in (
        (canvas.plane0, s.given.source0, 0),
        (canvas.plane1, s.given.source1, 1),
        (canvas.plane2, s.given.source2, 1),
    ):
        part = np.s_[32 >> shift : (32 + h) >> shift, 32 >> shift : (32 + w) >> shift]
        error += ((plane[part].astype(float) - source[part]) ** 2).sum()
    assert (leaf[:4].tolist(), leaf[CUT]) == ([32, 32, w, h], cut)
    if cut != 1:
        assert (leaf[MODE : MODE + 2] == leaf[MODE + 2 : MODE + 4]).all()
    assert (leaf[FIRST], leaf[UNITS]) == (0, s.pool.counts[0])
    assert leaf[CODED] == (leaf[UNITS] > 0)
    bits = 0.0
    modes = canvas.modes.copy()
    modes[8:, 8:] = 1
    blocks = luma_blocks(32, 32, w, h, cut)
    for mode, (x, y, wide, tall) in zip(leaf[MODE : MODE + 4].tolist(), blocks, strict=False):
        beside = int(modes[y // 4, x // 4 - 1]), int(modes[y // 4 - 1, x // 4])
        bits += recount.luma_mode_bits(prices, recount.mode_list(*beside), mode)
        modes[y // 4 : (y + tall) // 4, x // 4 : (x + wide) // 4] = mode
    np.testing.assert_array_equal(canvas.modes, modes)
    assert canvas.known[8 : 8 + h // 4, 8 : 8 + w // 4].all()
    others = [34 if mode == leaf[MODE] else mode for mode in (0, 26, 10, 1)]
    others += [35, 36, 37]
    bits += prices.chroma[b.level, [leaf[MODE], *others].index(leaf[CHROMA])]
    # Luma flags are priced as if there were a chroma unit.
    content = recount.doubles(s.given.content)
    content.luma[:, 0] = content.luma[:, 1]
    units, levels = (table[:count] for table, count in zip(s.pool[:2], s.pool.counts, strict=True))
    bits += recount.content_bits(content, leaf[None], units, levels)
    # The rest is rounding to samples, and the approximations of `quantise`.
    assert cost == pytest.approx(error + b.lam * bits, rel=0.05, abs=w * h / 8)


@pytest.mark.parametrize(("w", "h"), [(8, 8), (16, 16), (32, 32), (8, 32), (32, 16)])
def test_the_cost_of_an_intra_trial(w, h):
    """The mode of least SATD, predicted from source samples; its residual is coded."""
    scene = noise_scene(q=30)
    s = scene.search
    b = block_of(scene, 64, 96, w, h)
    block, known = scene.current[64 : 64 + h, 96 : 96 + w].astype(int), np.ones(scene.current.shape)
    found = []
    for mode in _INTRA_MODES:
        residual = block - reference.intra(mode, scene.current, known, 96, 64, w, h, True)
        found.append((hadamard_sum(residual), mode, residual))
    least, mode, residual = min(found, key=lambda entry: entry[0])
    other = Workspace.make()
    other.transform.residual[:h, :w] = residual
    cost, count, energy = best_tree(s.given, other, b, w, h, mode)
    cost = min(cost, energy) if count else energy
    expected = 1.05 * cost + b.lam * (float(s.bits.intra[0, 1]) + 10)
    assert intra_cost(s, b, least + 1.0) == pytest.approx(expected, rel=1e-5)
    assert intra_cost(s, b, float(least)) == NEVER
