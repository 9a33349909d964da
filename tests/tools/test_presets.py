"""The curve of presets, from results of the rate tool."""

import json

from tests.tools.support import run
from tools.bench import presets


def test_presets(tmp_path):
    def point(codec, seconds):
        size = {"frames": 10, "width": 64, "height": 32}
        taken = {"encode_seconds": seconds, "encode_cpu_seconds": 2 * seconds}
        return {"codec": codec} | taken | size

    measured = tmp_path / "rd.json"
    measured.write_text(
        json.dumps(
            {
                "points": [point("fast", 1.0), point("fast", 3.0), point("x264", 0.5)],
                "means": [{"codec": "fast", "against": "x264", "clips": 1, "mean": -7.04}],
            }
        )
    )
    plot = tmp_path / "presets.png"
    text, (rows,) = run(presets.main, measured, "--plot", plot)
    assert "BD-rate against x264." in text
    columns = "codec", "frames a second", "CPU ms a frame", "mean BD-rate"
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("fast", "5.0", "400.0", "-7.0 %"),
        ("x264", "20.0", "100.0", "+0.0 %"),
    ]
    assert plot.read_bytes().startswith(b"\x89PNG")
