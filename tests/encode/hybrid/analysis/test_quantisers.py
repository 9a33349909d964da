"""Quantiser maps: finer where later canvases inherit from a block."""

import numpy as np

from nvcodec.encode.hybrid.analysis.lookahead import analyse
from nvcodec.encode.hybrid.analysis.quantisers import quantiser_maps
from nvcodec.encode.hybrid.rate.tradeoff import BASE
from nvcodec.model.hybrid.canvas.plane import schedule
from tests.encode.hybrid.pictures import smooth_noise, sources


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
        11,
        31,
        63,
    ]
