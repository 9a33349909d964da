"""The curve of presets, from results of the rate tool."""

import json

from tests.tools.support import run
from tools.bench import presets


def test_presets(tmp_path):
    def points(codec, seconds, bits):
        taken = {"encode_seconds": seconds, "encode_cpu_seconds": 2 * seconds}
        size = {"frames": 10, "width": 64, "height": 32}
        row = {"clip": "a", "codec": codec} | taken | size
        return [row | {"psnr": 30.0 + k, "bpp": bits * 2 ** (k / 6)} for k in (0, 3, 6)]

    measured = tmp_path / "rd.json"
    runs = points("fast", 2.0, 0.93), points("svtav1", 0.5, 1.0), points("svtav1:4", 1.0, 0.9)
    run_of = {
        "points": [point for run in runs for point in run],
        "means": [{"codec": "fast", "against": "svtav1"}],
    }
    measured.write_text(json.dumps(run_of))
    plot = tmp_path / "presets.png"
    text, (rows,) = run(presets.main, measured, "--plot", plot)
    assert "BD-rate against svtav1." in text
    columns = "codec", "frames a second", "CPU ms a frame", "mean BD-rate"
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("fast", "5.0", "400.0", "-7.0 %"),
        ("svtav1", "20.0", "100.0", "+0.0 %"),
        ("svtav1:4", "10.0", "200.0", "-10.0 %"),
    ]
    assert plot.read_bytes().startswith(b"\x89PNG")
