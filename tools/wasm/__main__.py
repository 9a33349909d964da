"""`python -m tools.wasm [OUT]`: see the package."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.wasm import CLANG, MODULE, build, clang_version

version = clang_version()
if version is None:
    sys.exit("clang and lld are needed: apt-get install clang lld")
if version != CLANG:
    print(f"clang {version} gives other bytes than clang {CLANG}, which the tree's module is of")
out = Path(sys.argv[1]) if len(sys.argv) > 1 else MODULE
build(out)
print(f"{out}: {out.stat().st_size} bytes")
