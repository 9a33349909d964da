"""All kernels compile for the supported devices; no device is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

from nvcodec.model.cuda.check import CHECKS


# A device of capability 90 is one that tools/gpu_check.py has been run on.
@pytest.mark.deep
@pytest.mark.parametrize("capability", ["80", "90"])
def test_every_kernel_compiles(capability: str, tmp_path: Path) -> None:
    environment = {name: v for name, v in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    result = subprocess.run(
        [sys.executable, "-m", "tests.model.cuda.compile_kernels", capability],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    fusion = {"fusion_inputs", "fusion_hidden", "fusion_output"}
    synthesis = {f"synthesis_{part}" for part in ("inputs", "first", "second", "output")}
    canvases = {"dequantise", "unfold", "transform_columns", "transform_rows", "intra_wave"}
    canvases |= {"predict", "predict_single"}
    canvases |= {"deblock_luma", "deblock_chroma", "classify", "filter_plane"}
    assert {line[0] for line in lines} == {*CHECKS, *canvases, *fusion, *synthesis}
    for name, target, cubin, ptx in lines:
        assert target == capability
        assert int(cubin) > 1000, name
        assert int(ptx) > 1000, name
