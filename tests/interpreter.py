"""Triton's interpreter, made faster for kernels of many small functions."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def quick_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls between functions of kernels leave out what the launch has done.

    The interpreter prepares Triton's language at each launch, and again at each call inside it,
    which takes longer than all of the arithmetic.
    """
    interpreter = pytest.importorskip("triton.runtime.interpreter")
    function = interpreter.InterpretedFunction
    whole, prepared = function.__call__, set[str]()

    def call(self: Any, *args: Any, **named: Any) -> Any:
        module = self.fn.__module__
        if module.startswith("nvcodec.") or module in prepared:
            return self.rewrite()(*args, **named)
        prepared.add(module)
        return whole(self, *args, **named)

    monkeypatch.setattr(function, "__call__", call)
