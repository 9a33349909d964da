"""The table of combinations: its sources are what their cases say, and differences are seen."""

import math
from dataclasses import replace

import pytest

from tools.combinations.cases import CASES
from tools.combinations.check import own_format, peak_of, psnr, read, samples
from tools.combinations.make import FRAMES, make, times_of
from tools.combinations.table import LEAST


def test_there_are_forty_cases():
    assert len(set(CASES)) == 40


@pytest.mark.parametrize("turn", [None, "90", "mirrored"])
def test_sources_and_what_is_seen_of_them(tmp_path, turn):
    case = replace(CASES[1], turn=turn)
    film = read(make(case, tmp_path))
    assert [time * 25 for time in film.times] == times_of(case)[0]
    assert len(film.frames) == FRAMES
    assert len(film.packets) == len(case.tracks)
    name = own_format(film.frames[0])
    pictures = [samples(frame, name, turn) for frame in film.frames]
    peak = peak_of(film.frames[0], name)
    assert psnr(pictures, pictures, peak) == math.inf
    assert pictures[0][0].shape == ((96, 64) if turn == "90" else (64, 96))
    # Not turned, or a frame late.
    plain = [samples(frame, name) for frame in film.frames]
    assert turn is None or psnr(plain, pictures, peak) < LEAST
    assert psnr(pictures[1:], pictures[:-1], peak) < LEAST
