"""The decoder in C (spec/c) on all conformance vectors, built by a compiler that is at hand."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = Path(__file__).parents[1] / "spec"
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or shutil.which("cc") is None, reason="no C compiler"
)


@pytest.mark.parametrize(
    ("options", "link"),
    [("-O2", ""), pytest.param(f"-O1 -g {SANITIZE}", SANITIZE, marks=pytest.mark.deep)],
)
def test_all_vectors(options, link, tmp_path):
    build = ["make", "-s", "-C", SPEC / "c", f"B={tmp_path}", f"OPT={options}", f"LINK={link}"]
    subprocess.run([*build, f"PYTHON={sys.executable}", f"{tmp_path}/nrvdec"], check=True)
    command = [sys.executable, SPEC / "c" / "vectors.py", "-d", tmp_path / "nrvdec"]
    result = subprocess.run([*command, SPEC / "vectors"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count(" passed") == 2
