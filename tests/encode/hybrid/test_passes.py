"""Canvases in passes: they decode, and cost no more than those of a single pass."""

from dataclasses import replace

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import Q as Q_COLUMN
from nvcodec.encode.hybrid.analysis.lookahead import analyse
from nvcodec.encode.hybrid.canvas import CanvasSettings, Reference, code_inter, code_key
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.group import code_substreams, decode_group, default_prices
from nvcodec.encode.hybrid.passes import code_inter_canvas, code_key_canvas
from nvcodec.encode.hybrid.rate.tradeoff import WEIGHT
from nvcodec.model.hybrid.canvas.plane import schedule
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.tasks import performed
from tests.encode.hybrid.pictures import smooth_noise, sources

SIZE = 128
Q = 28


def settings_of(effort):
    return CanvasSettings(SIZE, SIZE, 0, effort)


def scene():
    """A picture, and one after it that moved and has noise of its own."""
    before = smooth_noise((SIZE, SIZE), 3)
    noise = np.random.default_rng(1).normal(0, 6, before.shape)
    after = np.clip(np.roll(before, (2, -5), (0, 1)) + noise, 0, 255).astype(np.uint8)
    return sources([before, after])


def quantisers():
    return np.full((SIZE // 32, SIZE // 32), Q, np.uint8)


def cost_of(settings, source, coded):
    """Bits, and squared error by what it is worth in bits."""
    planes = zip(source.planes, coded.canvas.planes, strict=True)
    error = sum(float(((a.astype(int) - b) ** 2).sum()) for a, b in planes)
    bits = 8 * code_substreams([coded], settings).bytes
    return bits + error / (WEIGHT * float(REAL_STEP[Q]) ** 2)


def test_a_key_canvas_costs_no_more_than_without_trials_of_steps():
    slow = EFFORTS["slow"]
    source, _ = scene()
    settings = settings_of(slow)
    tried = performed(code_key_canvas, settings, source, quantisers())
    performed(decode_group, settings, code_substreams([tried], settings), [tried.canvas], {})
    untried = settings_of(replace(slow, step_trials=False))
    plain = performed(code_key_canvas, untried, source, quantisers())
    assert cost_of(settings, source, tried) <= cost_of(settings, source, plain)


@pytest.mark.parametrize("step_trials", [False, True])
def test_passes_of_a_chain_canvas_cost_less_than_one(step_trials):
    effort = replace(EFFORTS["slow"], step_trials=step_trials)
    settings = settings_of(effort)
    first, second = scene()
    (key,) = schedule(1, key=True)
    given = settings, first, key, quantisers(), quantisers(), default_prices(0)
    before = performed(Reference.of, performed(code_key, *given).canvas)
    (step,) = schedule(1, key=False)
    coarse = analyse([second], first).coarse[0]
    given = second, step, [before], coarse, quantisers(), default_prices(1)
    coded = performed(code_inter_canvas, settings, *given)
    substreams = code_substreams([coded], settings)
    performed(decode_group, settings, substreams, [coded.canvas], {-1: before.canvas})
    single = performed(code_inter, settings, *given)
    assert cost_of(settings, second, coded) < cost_of(settings, second, single)
    least, most = (int(f(coded.leaves[:, Q_COLUMN])) for f in (min, max))
    assert Q - step_trials <= least <= most <= Q + step_trials
