"""Modules that importing the package loads."""

import subprocess
import sys

import nvcodec.format


def test_all_names_exist() -> None:
    assert all(hasattr(nvcodec.format, name) for name in nvcodec.format.__all__)


def test_the_import_is_light() -> None:
    code = "import sys, nvcodec.format; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "numba", "torch"} & set(result.stdout.split())
