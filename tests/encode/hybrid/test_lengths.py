import numpy as np
import pytest

from nvcodec.encode.hybrid.analysis.lengths import LEAST, group_lengths
from nvcodec.encode.hybrid.analysis.lookahead import Stretch
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.tasks import performed

SIZE = 192, 128


def picture(luma):
    chroma = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 128, np.uint8)
    return Pyramid.of((luma, chroma, chroma), *SIZE)


def texture(seed):
    """Noise with detail of about eight samples."""
    width, height = SIZE
    small = np.random.default_rng(seed).integers(20, 235, (height // 8 + 1, width // 8 + 1))
    rows = np.linspace(0, height // 8, height)
    columns = np.linspace(0, width // 8, width)
    down = np.array([np.interp(rows, range(height // 8 + 1), small[:, c]) for c in range(25)]).T
    across = [np.interp(columns, range(width // 8 + 1), row) for row in down]
    return np.array(across).astype(np.uint8)


def lengths(pictures):
    before, *others = (picture(luma) for luma in pictures)
    parts = performed(group_lengths, Stretch(others, before), len(others))
    ends = [first + count for first, count in parts]
    assert [first for first, _ in parts] == [0, *ends[:-1]]
    assert ends[-1] == len(others)
    return [count for _, count in parts]


def faded(number, every):
    """A texture that another one replaces, over `every` pictures."""
    whole, part = divmod(number, every)
    mixed = (1 - part / every) * texture(whole) + part / every * texture(whole + 1)
    return mixed.astype(np.uint8)


@pytest.mark.parametrize("count", [1, 3, 7, 16])
def test_rest_and_steady_motion_keep_a_group_whole(count):
    still = texture(0)
    assert lengths([still] * (count + 1)) == [count]
    assert lengths([np.roll(still, 2 * t, 1) for t in range(count + 1)]) == [count]


def test_what_changes_over_few_pictures_is_cut():
    assert max(lengths([faded(t, 12) for t in range(17)])) < 16


def test_noise_that_nothing_predicts_is_not_cut():
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, SIZE[::-1]).astype(np.uint8) for _ in range(17)]
    assert lengths(pictures) == [16]


def test_no_group_is_shorter_than_the_least():
    assert min(lengths([faded(t, 6) for t in range(17)])) >= LEAST
