from fractions import Fraction

import numpy as np
import pytest

from nvcodec.encode.grouping import SceneCuts, group_pictures
from nvcodec.media.source import SourceError
from nvcodec.picture import Picture
from tests.cli.support import moving


def pictures(scenes, durations=(1,), width=48, height=32):
    """Pictures of one pattern per entry of `scenes`, which counts its pictures."""
    planes = [p for seed, count in enumerate(scenes) for p in moving(count, width, height, seed)]
    result, pts = [], 0
    for number, frame in enumerate(planes):
        duration = durations[number % len(durations)]
        result.append(Picture(frame, pts, duration))
        pts += duration
    return result


def grouped(source, size=3, interval=1000, time_base=Fraction(1, 25), key_size=None):
    groups = list(group_pictures(source, size, key_size or size, Fraction(interval), time_base))
    assert [p.pts for g in groups for p in g.pictures] == [p.pts for p in source]
    return [(len(g.pictures), g.key) for g in groups]


def test_groups_fill_up_and_the_last_may_be_short():
    assert grouped(pictures([7])) == [
        (3, True),
        (3, False),
        (1, False),
    ]


def test_pictures_before_damage_are_a_group():
    def damaged():
        yield from pictures([5])
        raise SourceError("damaged")

    groups = group_pictures(damaged(), 3, 3, Fraction(1000), Fraction(1, 25))
    assert [len(next(groups).pictures) for _ in range(2)] == [3, 2]
    with pytest.raises(SourceError, match="damaged"):
        next(groups)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_videos_are_one_group(count):
    assert grouped(pictures([count])) == [(count, True)]


def test_a_scene_cut_begins_a_key_group():
    assert grouped(pictures([4, 5])) == [
        (3, True),
        (1, False),
        (3, True),
        (2, False),
    ]


def test_key_interval_counts_from_the_last_key_group():
    # Groups begin at 0, 3, 6, ... of 25 frames per second.
    keys = [key for _, key in grouped(pictures([18]), interval=Fraction(6, 25))]
    assert keys == [True, False, True, False, True, False]
    cut_between = [key for _, key in grouped(pictures([4, 14]), interval=Fraction(6, 25))]
    assert cut_between == [True, False, True, False, True, False, True]


def test_key_groups_of_one_picture():
    assert grouped(pictures([5, 3, 1]), key_size=1) == [
        (1, True),
        (3, False),
        (1, False),
        (1, True),
        (2, False),
        (1, True),
    ]
    # Groups begin at 0, 1, 4, 7 and, after another key group, at 8.
    keyed = grouped(pictures([12]), interval=Fraction(6, 25), key_size=1)
    assert keyed == [(1, True), (3, False), (3, False), (1, True), (3, False), (1, False)]


def test_key_interval_is_in_seconds_whatever_the_frame_rate():
    source = pictures([9], durations=(1, 1, 98))
    keys = [key for _, key in grouped(source, 3, interval=1, time_base=Fraction(1, 100))]
    assert keys == [True, True, True]


def test_groups_are_given_on_as_soon_as_they_are_full():
    taken = []

    def source():
        for picture in pictures([5]):
            taken.append(picture)
            yield picture

    groups = group_pictures(source(), 2, 2, Fraction(10), Fraction(1, 25))
    next(groups)
    assert len(taken) == 2


def cuts(planes):
    detector = SceneCuts()
    return [detector.starts_scene(plane) for plane in planes]


def test_cuts_ignore_motion_noise_and_fades():
    rng = np.random.default_rng(0)
    noise = [rng.integers(100, 156, (40, 56), np.uint8) for _ in range(6)]
    assert cuts(noise) == [True] + [False] * 5
    fade = [np.full((40, 56), 16 + 10 * t, np.uint8) for t in range(12)]
    assert cuts(fade) == [True] + [False] * 11
    assert cuts([p[0] for p in moving(8)]) == [True] + [False] * 7


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (8, 8), (9, 17)])
def test_cuts_of_small_frames(shape):
    dark, light = np.zeros(shape, np.uint8), np.full(shape, 200, np.uint8)
    assert cuts([dark, dark, light, light, dark]) == [True, False, True, False, True]


def page(seed, height=400, width=240):
    """Lines of dark squares on white, as of text."""
    rng = np.random.default_rng(seed)
    luma = np.full((height, width), 255, np.uint8)
    for y in range(4, height - 12, 14):
        for x in range(rng.integers(4, 30), width - 8, 8):
            luma[y : y + 9, x : x + 6] = 255 - 255 * rng.integers(0, 2, (9, 6))
    return luma


@pytest.mark.parametrize(("down", "across"), [(8, 0), (37, 0), (-60, 0), (0, 21)])
def test_a_page_that_scrolls_is_no_cut(down, across):
    # Lines are across the direction of the page.
    luma = page(0) if down else page(0).T.copy()
    moved = np.roll(luma, (-down, -across), (0, 1))
    # A part of the screen stays.
    stays = np.s_[:, :40] if down else np.s_[:40]
    moved[stays] = luma[stays]
    cuts = SceneCuts()
    assert cuts.starts_scene(luma)
    assert not cuts.starts_scene(moved)
    assert cuts.starts_scene(255 - luma[::-1])
    deep = SceneCuts(10)
    assert deep.starts_scene(luma.astype(np.uint16) * 4)
    assert not deep.starts_scene(moved.astype(np.uint16) * 4)
    assert deep.starts_scene((255 - luma[::-1]).astype(np.uint16) * 4)
