"""How functions are compiled: takes plain functions of numbers and arrays, gives kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Integer = Any
"""int or any integer of NumPy: compiled functions take all of them."""

Real = Any
"""float or any float of NumPy, as Integer."""

_UNCOUNTED: dict[str, Any] = {"_nrt": False}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def allocating(function: _Function) -> _Function:
    """Compile a function that makes arrays, or calls what returns some."""
    return cast(_Function, numba.njit(nogil=True, cache=True)(function))


def kernel(function: _Function) -> _Function:
    """Compile any other function, without counting references to arrays.

    Counting takes two locked instructions for each array of each call, more time than many of these
    calls need for their work.
    """
    return cast(_Function, numba.njit(nogil=True, cache=True, **_UNCOUNTED)(function))
