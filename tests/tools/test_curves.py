"""The plot of the README, from results of the rate tool."""

import json

import pytest

from tests.tools.support import run
from tools.bench import curves


@pytest.fixture
def measured(tmp_path):
    """A run of two codecs on four clips, one of them without a BD-rate."""
    rates = {"even": 0.0, "worst": 30.0, "best": -40.0, "apart": None}
    points = [
        {"clip": clip, "codec": codec, "bpp": bpp, "psnr": 30 + 40 * bpp}
        for clip in rates
        for codec in ("x264", "ours")
        for bpp in (0.3, 0.1)
    ]
    comparisons = [
        {"clip": clip, "codec": "ours", "against": "x264", "bd_rate": rate}
        for clip, rate in rates.items()
    ]
    path = tmp_path / "rd.json"
    path.write_text(json.dumps({"points": points, "comparisons": comparisons}))
    return path


def test_best_middle_and_worst_clip(measured, tmp_path):
    plot = tmp_path / "rd.png"
    text, (rows,) = run(curves.main, measured, "--plot", plot)
    assert "ours against x264" in text
    assert [(row["clip"], row["BD-rate"]) for row in rows] == [
        ("best", "-40.0 %"),
        ("even", "+0.0 %"),
        ("worst", "+30.0 %"),
    ]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_codec_that_was_not_measured(measured):
    text, _ = run(curves.main, measured, "--against", "x265", code=2)
    assert "no BD-rate of ours against x265" in text


@pytest.mark.parametrize(("rates", "kept"), [([], []), ([1.0], [1.0]), ([2.0, 1.0], [1.0, 2.0])])
def test_few_clips(rates, kept):
    assert [r["bd_rate"] for r in curves.spread([{"bd_rate": r} for r in rates])] == kept
