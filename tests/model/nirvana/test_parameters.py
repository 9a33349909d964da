"""Substreams to features (spec 11.3, 11.4, 12)."""

from __future__ import annotations

import io

import numpy as np
import pytest

from nvcodec.coding.nirvana.motion import decode_motion
from nvcodec.format import CorruptError, GroupUnit, UnitReader
from nvcodec.model.nirvana.layers import GroupParameters, Layers, rebuild_parameters
from nvcodec.model.nirvana.parameters import Grid
from nvcodec.picture import YUV420P8
from tests.coding.nirvana.reference import Entropy, content, contexts, quantiser
from tests.coding.reference import Decoder
from tests.nirvana import NirvanaPlan, synthesize_nirvana

from . import reference

LAYERS = Layers(33, 20, YUV420P8)
PLAN = NirvanaPlan(width=33, height=20, frames=(4, 2, 4, 1), keys=(0, 3), seed=3)


def groups() -> list:
    data, _ = synthesize_nirvana(PLAN)
    return [e.group for e in UnitReader(io.BytesIO(data)) if isinstance(e, GroupUnit)]


@pytest.mark.parametrize(
    ("size", "patches", "blocks"),
    [((1, 1), (1, 1), (1, 1)), ((8, 9), (2, 1), (1, 1)), ((17, 40), (5, 3), (3, 2))],
)
def test_grid(size: tuple[int, int], patches: tuple, blocks: tuple) -> None:
    grid = Grid(*size)
    assert (grid.rows, grid.columns) == patches
    assert grid.patches == patches[0] * patches[1]
    assert (grid.block_rows, grid.block_columns) == blocks


def test_as_the_text() -> None:
    """A group from that before it, all the way through clauses 11 and 12."""
    before: GroupParameters | None = None
    shape = LAYERS.grids[0].block_rows, LAYERS.grids[0].block_columns
    for group in groups():
        count = group.frame_count
        last = None if group.key else before
        if last is not None:
            paths, intra = decode_motion(group.motion, *shape, count)
        decoder = Decoder(group.content)
        q, read = quantiser(decoder), contexts()[1]
        before = rebuild_parameters(LAYERS, last, count, group.content, group.motion, group.network)
        for k, grid in enumerate(LAYERS.grids):
            moved = old = np.zeros((grid.rows, grid.columns, 192), np.int64)
            if last is not None:
                old, shifts = last[k].features, (min(k, 1), min(k, 1))
                trace = reference.trace(old, last[k].frames)
                moved = reference.moved_features(trace, paths, intra, *shifts)
            steps = reference.in_steps(moved, q)
            change = reference.in_steps(old, q) - steps
            entropy = Entropy(q, group.key, steps, change, min(k, 1))
            content(decoder, read, entropy)
            assert (before[k].quantiser, before[k].frames) == (q, count)
            expected = reference.add_residuals(moved, entropy.residual, q)
            np.testing.assert_array_equal(before[k].features, expected)
        assert decoder.finished()


def test_motion_of_a_key_group() -> None:
    key, following, *_ = groups()
    with pytest.raises(CorruptError, match="motion") as error:
        rebuild_parameters(LAYERS, None, 4, key.content, following.motion, b"")
    assert error.value.rule == "11.4"
