"""Kernels: takes plain functions of numbers and arrays, gives compiled ones.

All compilation goes through `kernel`, `inlined` and `allocating`. Nothing is compiled before Python
calls a kernel. Then its machine code is looked for in the files of `kernel_cache` and loaded
(`machine_code`). Only if it is missing is Numba imported (`compilation`), which compiles the kernel
and those that it calls, and keeps them. The key of a kernel has

* its sources,
* the function's bytecode and its closure,
* the kinds of its arguments (`_kinds`),
* processor, settings and versions (`target.settings`).
"""

from __future__ import annotations

import contextlib
import enum
import functools
import hashlib
import importlib
import inspect
import operator
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from nvcodec.kernel_cache import Store, missing, stamp
from nvcodec.machine_code import Code, Reference, python_function
from nvcodec.target import kernels_folder, option, settings, target

Integer = Any
"""int or any integer of NumPy: compiled functions take all of them."""

Real = Any
"""float or any float of NumPy: compiled functions take all of them."""

_Function = TypeVar("_Function", bound=Callable[..., Any])

_Array = np.ndarray
_kind_of_array = operator.attrgetter("dtype", "ndim", "flags.num")
_NUMBERS: dict[type, type] = {int: np.int64, bool: np.bool_, float: np.float64}
"""Python's numbers are of one type with some of NumPy's."""
target()
"""Kernels that the package carries can be found from here on."""

_C_ORDER, _F_ORDER, _ALIGNED, _WRITEABLE = 1, 2, 0x100, 0x400
"""Bits of NumPy's flags."""


def allocating(function: _Function) -> _Function:
    """Compile a function that allocates arrays, or that calls one which returns arrays."""
    return _compile(function, Options(counted=True))


def kernel(function: _Function) -> _Function:
    """Compile any other function, without reference counting of arrays.

    Reference counting takes two locked instructions for each array of each call. Many of these
    calls do their work in less time than that.
    """
    return _compile(function, Options())


def inlined(function: _Function) -> _Function:
    """Compile a `kernel` that becomes part of each kernel that calls it."""
    return _compile(function, Options(inlined=True))


class Options(NamedTuple):
    """How a kernel is compiled."""

    counted: bool = False
    """Whether references to arrays are counted."""
    inlined: bool = False
    """Whether it becomes part of its callers."""


def _compile(function: _Function, options: Options) -> _Function:
    if option("DISABLE_JIT"):
        return function
    return cast(_Function, Kernel(function, options))


class Kernel:
    """A function that is compiled, or loaded, for the arguments that it is called with.

    Numba's functions can call it too.
    """

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        functools.update_wrapper(self, function)
        self.py_func = function
        self.options = options
        self.stamp = stamp(function.__module__, function.__code__.co_filename)
        self.loaded = 0
        """How many of its signatures were kept."""
        self._parameters = function.__code__.co_argcount
        self._by_key: dict[str, Callable[..., Any]] = {}
        self._functions: dict[tuple[Any, ...], Callable[..., Any]] = {}
        """By kinds of arguments; several can have one key."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the compiled function, which takes its arguments as the function in Python does."""
        if named or len(arguments) != self._parameters:
            bound = inspect.signature(self.py_func).bind(*arguments, **named)
            bound.apply_defaults()
            arguments = bound.args
        kinds = _kinds(arguments)
        function = self._functions.get(kinds)
        if function is None:
            function = self._find(kinds, arguments)
        return function(*arguments)

    @property
    def signatures(self) -> list[str]:
        """The keys of what it was called with."""
        return list(self._by_key)

    @functools.cached_property
    def name(self) -> str:
        """What its files are called by: the functions of a file have different ones."""
        code = self.py_func.__code__
        file = os.path.splitext(os.path.basename(code.co_filename))[0]
        qualified = self.py_func.__qualname__.replace("<", "").replace(">", "")
        return f"{file}.{qualified}-{code.co_firstlineno}"

    @functools.cached_property
    def identity(self) -> str:
        """A text that two different kernels do not share, the same in all processes."""
        cells = [cell.cell_contents for cell in self.py_func.__closure__ or ()]
        held = [c.identity if isinstance(c, Kernel) else pickle.dumps(c) for c in cells]
        of_code = hashlib.sha256(self.py_func.__code__.co_code).hexdigest()
        return _digest((self.stamp, self.name, of_code, held, self.options, settings()))[:16]

    @property
    def store(self) -> Store | None:
        """Where it is kept, if its sources can be read."""
        if self.stamp is None:
            return None
        return _store(self.py_func.__code__.co_filename, self.stamp)

    def key(self, types: Any) -> str:
        """What it is kept by for types of Numba, or for a text of the kinds of arguments."""
        return _digest((self.identity, settings(), types))

    @property
    def _numba_type_(self) -> Any:
        """Numba's type of a function that can be called; asked for by other kernels."""
        from nvcodec.compilation import dispatcher

        return dispatcher(self)._numba_type_

    def _find(self, kinds: tuple[Any, ...], arguments: tuple[Any, ...]) -> Callable[..., Any]:
        key = self.key(_text(kinds))
        with _lock:
            if key not in self._by_key:
                self._by_key[key] = self._load(key) or self._compiled(key, arguments)
            self._functions[kinds] = self._by_key[key]
            return self._by_key[key]

    def _load(self, key: str) -> Callable[..., Any] | None:
        """The kernel as it is kept, or None. Only compilation imports Numba."""
        if self.store is None:
            return None
        try:
            for content in self.store.load(self.name, key):
                found = python_function(_code(content), self.py_func, kept)
                self.loaded += 1
                return found
        except Exception:
            # An intact file that cannot be used counts as missing: the kernel is compiled again.
            pass
        return None

    def claimed(self, key: str, *, wait: bool = True) -> contextlib.AbstractContextManager[bool]:
        """Claim the compilation of this kernel, as `claimed` of its store does."""
        if self.store is None:
            return contextlib.nullcontext(True)
        return self.store.claimed(self.name, key, wait=wait)

    def compile_ahead(self, arguments: tuple[Any, ...]) -> None:
        """Keep the kernel for a later call, unless it is kept or another process compiles it."""
        key = key_of(self, arguments)
        if self._is_kept(key):
            return
        with self.claimed(key, wait=False) as is_ours:
            if is_ours and not self._is_kept(key):
                from nvcodec.compilation import compile_for

                compile_for(self, key, arguments)

    def _is_kept(self, key: str) -> bool:
        return self.store is not None and any(True for _ in self.store.load(self.name, key))

    def _compiled(self, key: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        missing(self, key)
        with self.claimed(key):
            # Another process may have compiled it while this one waited.
            return self._load(key) or self._make(key, arguments)

    def _make(self, key: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        from nvcodec.compilation import compile_for

        return python_function(compile_for(self, key, arguments), self.py_func, kept)


def key_of(kernel: Kernel, arguments: tuple[Any, ...]) -> str:
    """What a kernel is kept by for a call from Python."""
    return kernel.key(_text(_kinds(arguments)))


_lock = threading.RLock()
"""Held while a kernel is loaded or compiled."""


def _kinds(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """All of some arguments that decides about machine code; it can be compared and hashed.

    It is computed at each call. It has more than is needed of arrays: `_text` has no more.
    """
    return tuple([_kind_of_array(v) if type(v) is _Array else _kind(v) for v in values])


def _kind(value: Any) -> Any:
    cls = type(value)
    if cls in _NUMBERS:
        return _NUMBERS[cls]
    if isinstance(value, tuple):
        return cls, *_kinds(value)
    if isinstance(value, np.void):
        return np.void, value.dtype
    if isinstance(value, _Array):
        return _kind_of_array(value)
    if value is None or isinstance(value, np.generic | enum.Enum):
        return cls
    raise TypeError(f"kernels take numbers, arrays, records and tuples of these, no {cls.__name__}")


def _text(kind: Any) -> str:
    """A kind as a text that is the same in all processes; arguments of one have one Numba type."""
    if isinstance(kind, np.dtype):
        return f"{kind!r}:{kind.itemsize}"
    if isinstance(kind, type):
        return f"{kind.__module__}.{kind.__qualname__}{getattr(kind, '_fields', '')}"
    if kind and isinstance(kind[0], np.dtype):
        dtype, dimensions, flags = kind
        order = "C" if flags & _C_ORDER else "F" if flags & _F_ORDER else "A"
        return f"{_text(dtype)} {dimensions} {order} {flags & (_ALIGNED | _WRITEABLE)}"
    return f"({', '.join(map(_text, kind))})"


def _digest(of: Any) -> str:
    return hashlib.sha256(repr(of).encode()).hexdigest()


@functools.cache
def _store(path: str, of_sources: str) -> Store:
    return Store(path, of_sources, kernels_folder())


def _code(content: bytes) -> Code:
    """The machine code of a kernel's file, in which Numba's own data follows."""
    return Code(*pickle.loads(content)[0])


def kept(reference: Reference) -> Code:
    """The machine code of a kernel that others call; raises LookupError if it is missing."""
    for content in contents(reference):
        return _code(content)
    raise LookupError(reference.kernel)


def contents(reference: Reference) -> Iterator[bytes]:
    """The contents of a kernel's files."""
    store = _store(str(sys.modules[reference.module].__file__), reference.stamp)
    return store.load(reference.kernel, reference.key)


def stored(function: Callable[..., Any], key: str, make: Callable[[], bytes]) -> bytes:
    """What `make` gives for a function of a module, kept with the module's kernels.

    It follows from the sources of the module and what it imports, Python's version, and `key`; not
    from where the module is, as a wheel may carry it.
    """
    path = function.__code__.co_filename
    of_sources = stamp(function.__module__, path)
    if of_sources is None:
        return make()
    store = _store(path, of_sources)
    file = os.path.splitext(os.path.basename(path))[0]
    name, key = f"{file}.{function.__name__}", f"{key} {sys.implementation.cache_tag}"
    for content in store.load(name, key):
        return content
    content = make()
    store.save(name, key, content)
    return content


class Intrinsic:
    """A function of kernels whose code `typed` emits, as for Numba's `intrinsic`.

    Numba is asked when a kernel that calls it is compiled.
    """

    def __init__(self, typed: Callable[..., Any], *, literal: bool) -> None:
        self.typed = typed
        self.literal = literal

    @functools.cached_property
    def _numba_type_(self) -> Any:
        from nvcodec.compilation import intrinsic_type

        return intrinsic_type(self)


class _Types:
    """Numba's types by name."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("numba.core.types"), name)


types: Any = _Types()
"""Numba's module of types, for the functions of intrinsics; imported when one is used."""


def intrinsic(typed: Callable[..., Any]) -> Any:
    """A function that kernels can call; `typed` gives its signature and what emits its code."""
    return Intrinsic(typed, literal=False)


def intrinsic_of_literals(typed: Callable[..., Any]) -> Any:
    """An `intrinsic` whose integers are known at compile time where they are literals."""
    return Intrinsic(typed, literal=True)
