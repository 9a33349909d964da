"""The decoder of spec/c as WebAssembly, for nvcodec/play/page: `python -m tools.wasm [OUT]`.

It needs clang and lld with the wasm32 target. The bytes are the same for every machine with the
same version of clang; the one in the tree is made with the version that `CLANG` names.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "spec" / "c"
MODULE = ROOT / "nvcodec" / "play" / "page" / "nrv.wasm"
CLANG = 14
"""Debian 12 has this version."""

_FLAGS = (
    "--target=wasm32",
    "-std=c11",
    "-O3",
    "-msimd128",
    "-mbulk-memory",
    "-nostdlib",
    "-nostdlibinc",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wl,--no-entry",
    "-Wl,--strip-all",
    "-Wl,--max-memory=2147483648",
    "-Wl,-z,stack-size=1048576",
)


def clang_version() -> int | None:
    """The major version of clang with a linker for WebAssembly; None where there is none."""
    if shutil.which("clang") is None or shutil.which("wasm-ld") is None:
        return None
    told = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)", told.stdout)
    return int(found[1]) if found else None


def _core() -> list[str]:
    """Names of the files of the decoder without its command: what its Makefile calls CORE."""
    found = re.search(
        r"^CORE *= *((?:.*\\\n)*.*)$", (SOURCE / "Makefile").read_text(), re.MULTILINE
    )
    if found is None:
        raise ValueError(f"{SOURCE / 'Makefile'} names no CORE")
    return found[1].replace("\\", " ").split()


def build(out: Path) -> None:
    """Compile the decoder and `glue.c` to a module; CalledProcessError if that fails."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in sorted([*SOURCE.glob("*.[ch]"), *SOURCE.glob("*.py")]):
            shutil.copy(name, tree)
        shutil.copy(Path(__file__).with_name("glue.c"), tree)
        tables = [sys.executable, "tables.py", str(ROOT / "spec" / "tables"), "."]
        subprocess.run(tables, cwd=tree, check=True)
        command = ["clang", *_FLAGS, "-o", "nrv.wasm", "glue.c", "tables.c", *_core()]
        subprocess.run(command, cwd=tree, check=True)
        shutil.copyfile(tree / "nrv.wasm", out)
