"""The reference decoder `spec/reference/nrvdec.py` as a module, and its tables, read once."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

SPEC = Path(__file__).resolve().parents[2] / "spec"


@functools.cache
def reference() -> ModuleType:
    """The reference decoder's module."""
    name = "nrv_reference"
    found = importlib.util.spec_from_file_location(name, SPEC / "reference" / "nrvdec.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses look their module up
    found.loader.exec_module(module)
    return module


@functools.cache
def tables() -> Any:
    """The data files of `spec/tables` as the reference decoder holds them."""
    return reference().Tables(SPEC / "tables")
