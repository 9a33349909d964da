"""Compilation with Numba: takes plain functions of numbers and arrays, gives kernels.

All compilation goes through `kernel` and `allocating`, which keep the machine code in the files of
`kernel_cache`. A kernel's cache key has

* its sources,
* Numba's own key: argument types, processor, the function's bytecode and its closure,
* the versions of Numba, llvmlite and Python,
* the environment settings that change the generated code.

This uses undocumented names of Numba: `Dispatcher._cache`, where it looks for a `_Cache`;
`FunctionCache`, its own implementation, with `_impl_class`, `_impl`, `_cache_file`, `_index_key`;
`CompileResultCacheImpl` with `_locator_classes` and `filename_base`; `_CacheLocator`;
`serialize.dumps`; and the option `_nrt`.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite
import numba
import numba.core.config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

from nvcodec.kernel_cache import Store, stamp, tell_unkept

Integer = Any
"""int or any integer of NumPy: compiled functions take all of them."""

Real = Any
"""float or any float of NumPy: compiled functions take all of them."""

# Only callers outside Numba would need the C wrapper; there are none.
_OPTIONS: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True}
_UNCOUNTED: dict[str, Any] = {"_nrt": False}
_config: Any = numba.core.config
_Function = TypeVar("_Function", bound=Callable[..., Any])


def allocating(function: _Function) -> _Function:
    """Compile a function that allocates arrays, or that calls one which returns arrays."""
    return _compile(function)


def kernel(function: _Function) -> _Function:
    """Compile any other function, without reference counting of arrays.

    Reference counting takes two locked instructions for each array of each call. Many of these
    calls do their work in less time than that.
    """
    return _compile(function, **_UNCOUNTED)


def _compile(function: _Function, **options: Any) -> _Function:
    njit: Any = numba.njit
    made: Any = njit(**_OPTIONS, **options)(function)
    of_sources = stamp(function.__module__, function.__code__.co_filename)
    # With NUMBA_DISABLE_JIT, Numba returns functions unchanged.
    if of_sources is not None and isinstance(made, Dispatcher):
        made._cache = _KernelCache(function, of_sources)  # type: ignore[attr-defined]
    return cast(_Function, made)


def _settings() -> tuple[Any, ...]:
    """Everything else that the generated code depends on: versions and settings."""
    versions = numba.__version__, llvmlite.__version__, sys.implementation.cache_tag
    return *versions, _config.OPT, _config.BOUNDSCHECK, _config.DEBUGINFO_DEFAULT


class _Entries:
    """The kernels of one function in a Store, with the interface of Numba's `_cache_file`."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    def load(self, key: Any) -> Any:
        for content in self._store.load(self._name, self._text(key)):
            kept, data = pickle.loads(content)
            # Two types can have the same name, so the whole key is compared.
            if kept == key:
                return data
        return None

    def save(self, key: Any, data: Any) -> None:
        self._store.save(self._name, self._text(key), dumps((key, data)))

    def flush(self) -> None:
        self._store.remove(self._name)

    @staticmethod
    def _text(key: Any) -> str:
        return repr((key, _settings()))


class _Locator(_CacheLocator):
    """Tells Numba that any function has a place in the cache; the Store decides which."""

    def __init__(self, function: Any, path: str) -> None:
        self._py_file = path
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Any, path: str) -> _Locator:
        return cls(function, path)

    def ensure_cache_path(self) -> None:
        pass

    def get_cache_path(self) -> str:
        return ""

    def get_source_stamp(self) -> str:
        return ""

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Results(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012


class _KernelCache(FunctionCache):
    """Numba's cache of one function, kept in the files of a Store."""

    _impl_class = _Results

    def __init__(self, function: Any, of_sources: str) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        store = Store(function.__code__.co_filename, of_sources, _config.CACHE_DIR)
        self._cache_path = store.folders[0]
        self._cache_file: Any = _Entries(store, self._impl.filename_base)

    def load_overload(self, signature: Any, target: Any) -> Any:
        try:
            return super().load_overload(signature, target)  # type: ignore[no-untyped-call]
        except Exception:
            # An intact entry that cannot be used counts as missing: the kernel is compiled again.
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        try:
            super().save_overload(signature, result)  # type: ignore[no-untyped-call]
        except Exception as error:
            tell_unkept(f"{type(error).__name__}: {error}")
