"""Samples of a source, and the crf for a quality."""

import numpy as np
import pytest

from nvcodec.encode.control.samples import joined, sample
from nvcodec.encode.control.search import decibels, find_crf
from nvcodec.options import Target, read_target
from nvcodec.picture import Picture

PLANES = tuple(np.zeros((2, 2), np.uint8) for _ in range(3))


def pictures(count):
    return (Picture(PLANES, k, duration=2) for k in range(count))


def numbers(samples):
    return [[picture.pts for picture in run] for run in samples.runs]


@pytest.mark.parametrize("count", [1, 9, 10, 35, 80])
def test_short_sources_are_taken_whole(count):
    samples = sample(pictures(count), 10)
    assert samples.whole
    assert (samples.frames, samples.ticks) == (count, 2 * count)
    assert numbers(joined(samples)) == [list(range(count))]


@pytest.mark.parametrize("count", [81, 500, 1234, 9999])
def test_long_sources_are_sampled_at_even_distances(count):
    samples = sample(pictures(count), 10)
    runs = numbers(samples)
    assert 4 <= len(runs) <= 8
    starts = [run[0] for run in runs]
    assert starts[0] == 0
    assert len(set(np.diff(starts))) == 1
    assert count - starts[-1] <= 2 * (starts[1] - starts[0])
    assert all(run == list(range(run[0], run[0] + len(run))) for run in runs)
    assert samples.frames == count
    few = samples.at_most(0.1)
    assert len(few.runs) == 2 or sum(map(len, few.runs)) <= 0.1 * count


def test_memory_bounds_the_runs():
    big = np.broadcast_to(np.uint8(0), (1 << 14, 1 << 14))
    runs = sample((Picture((big,) * 3, k, duration=1) for k in range(100)), 10).runs
    assert len(runs) == 2


@pytest.mark.parametrize("wanted", [30.0, 38.2, 47.0])
def test_a_crf_is_found_by_few_trials(wanted):
    asked = []

    def measure(crf):
        asked.append(crf)
        return 60 - 0.8 * crf + 0.005 * crf**2 + 0.01 * np.sin(9 * crf)

    crf = find_crf(wanted, measure)
    assert measure(crf) == pytest.approx(wanted, abs=0.05)
    assert len(asked) <= 6
    assert crf == round(crf, 2)


def test_the_nearest_crf_where_none_will_do():
    assert find_crf(90, lambda crf: 60 - 0.5 * crf) == 0
    assert find_crf(10, lambda crf: 60 - 0.5 * crf) == 60


def test_similarity_in_decibels():
    assert decibels(Target("ssim", 0.99)) == pytest.approx(20)
    assert decibels(Target("psnr", 38.0)) == 38


@pytest.mark.parametrize("text", ["psnr=38", "ssim=0.98", "psnr=38.25"])
def test_targets(text):
    metric, value = read_target(text)
    assert f"{metric}={value:g}" == text


@pytest.mark.parametrize("text", ["38", "vmaf=90", "psnr=", "psnr=nan", "psnr=5", "ssim=1.2"])
def test_other_targets_are_refused(text):
    with pytest.raises(ValueError, match="target"):
        read_target(text)
