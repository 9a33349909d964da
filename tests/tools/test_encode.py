"""Encoding speed at several sizes beside SVT-AV1."""

import pytest

from tests.tools.support import run
from tools.bench import encode
from tools.bench.encode import ratios


def test_encodes_and_ratios(clip, monkeypatch):
    # New processes take long.
    monkeypatch.setattr(encode, "apart", lambda work, *given, **named: work(*given, **named))
    arguments = "--sizes", "64x64,96x80", "--frames", 2, "--model", "hybrid:ultrafast", "--crf", 40
    _, (rows, against) = run(encode.main, clip, *arguments, "--against", "svtav1:10")
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    assert [size.partition(",")[0] for size in sizes] == ["64x64", "96x80"]
    assert [row["codec"] for row in rows[:2]] == ["hybrid:ultrafast", "svtav1:10"]
    assert all(float(row["CPU ms/frame"]) > 0 for row in rows)
    assert [(row["size"], row["against"]) for row in against] == [(s, "svtav1:10") for s in sizes]


def test_ratios_are_taken_at_equal_quality():
    points = [
        {"psnr": 30.0, "cpu_ms": 10.0, "bpp": 0.1},
        {"psnr": 40.0, "cpu_ms": 40.0, "bpp": 0.4},
    ]
    ours = {"psnr": 35.0, "cpu_ms": 60.0, "bpp": 0.1}
    assert ratios(ours, points) == pytest.approx({"times": 3.0, "bits": 0.5})
    assert ratios(ours | {"psnr": 41.0}, points) == {"times": None, "bits": None}
