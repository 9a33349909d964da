import numpy as np
import pytest

from tests.cli.support import assert_same_pictures, moving
from tests.media.clips import noise
from tools.lib.clips import Clip, from_frame, palindrome, scaled, to_frame


@pytest.mark.parametrize(("width", "height"), [(48, 32), (37, 21), (1, 1)])
def test_frames_of_pyav_and_back(width, height):
    (planes,) = noise(1, width, height)
    assert_same_pictures([from_frame(to_frame(planes))], [planes])


def test_palindrome(clip, tmp_path):
    made = palindrome(Clip(clip, 4), 11, tmp_path)
    pictures = moving(6)
    order = [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]
    assert_same_pictures(made.pictures(), [pictures[k] for k in order])


def at_centres(plane, shape):
    """A smooth plane at the centres of the samples of another size, in straight lines."""
    rows, columns = (
        np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        for new, old in zip(shape, plane.shape, strict=True)
    )
    wide = np.array([np.interp(columns, np.arange(plane.shape[1]), row) for row in plane])
    return np.array([np.interp(rows, np.arange(plane.shape[0]), column) for column in wide.T]).T


@pytest.mark.parametrize("size", [(24, 16), (97, 65)])
def test_scaled(clip, tmp_path, size):
    pictures = scaled(Clip(clip, 2), size, tmp_path).pictures()
    assert len(pictures) == 2
    for got, source in zip(pictures, moving(2), strict=True):
        assert got[0].shape == size[::-1]
        for plane, original in zip(got, source, strict=True):
            expected = at_centres(original.astype(float), plane.shape)
            assert np.abs(plane - expected).mean() < 8


def test_scaled_frames_are_those_after_the_skipped(clip, tmp_path):
    (late,) = scaled(Clip(clip, 1, skip=1), (24, 16), tmp_path).pictures()
    _, second = scaled(Clip(clip, 2), (24, 16), tmp_path).pictures()
    for got, expected in zip(late, second, strict=True):
        assert np.array_equal(got, expected)
