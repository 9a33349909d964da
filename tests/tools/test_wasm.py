"""The WebAssembly module in the tree is what its source gives."""

import pytest

from tools import wasm


def test_module_is_that_of_the_source(tmp_path):
    version = wasm.clang_version()
    if version is None:
        pytest.skip("there is no clang with wasm-ld here: apt-get install clang lld")
    if version != wasm.CLANG:
        pytest.skip(f"clang {version} gives other bytes than clang {wasm.CLANG}")
    out = tmp_path / "nrv.wasm"
    wasm.build(out)
    same = out.read_bytes() == wasm.MODULE.read_bytes()
    assert same, "nrv.wasm is not that of the source: run python -m tools.wasm"
