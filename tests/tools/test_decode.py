"""Decoding speed of streams: what is decoded, and the stages of each model."""

import re

import pytest

from nvcodec.encode.encoder import encode
from tests.tools.support import run
from tools.bench import decode


@pytest.mark.parametrize(
    ("model", "names", "stages"),
    [
        ("nirvana", ["as it is"], {"motion parse", "moved features", "content parse", "samples"}),
        ("hybrid", ["without network", "with network"], {"motion parse", "inter", "network"}),
    ],
)
def test_a_stream(clip, tmp_path, monkeypatch, model, names, stages):
    # A process of its own takes long.
    monkeypatch.setattr(decode, "start_up", lambda path, rounds: (1.0, 0.5))
    path = tmp_path / "a.nrv"
    encode(clip, path, model=model, preset="fast")
    arguments = "--stream", path, "--output", "16x8", "--rounds", 1, "--threads", 1
    text, _ = run(decode.main, *arguments)
    rows = [row for name in names for row in (name, f"{name} to 16x8")]
    rows += ["x264", "svtav1"]
    assert re.findall(r"^  ([a-z0-9 ]+), 1 threads: ", text, re.M) == rows
    (line,) = re.findall(r"^  CPU ms: (.*)$", text, re.M)
    assert stages <= {part.rsplit(" ", 1)[0] for part in line.split(", ")}
    assert text.endswith("first frame after 1.00 s, 0.50 s of CPU time\n")
