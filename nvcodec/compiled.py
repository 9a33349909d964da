"""Compilation with Numba: takes plain functions of numbers and arrays, gives kernels.

All compilation goes through `kernel`, `inlined` and `allocating`, which keep the machine code in
the files of `kernel_cache`. A kernel's cache key has

* its sources,
* Numba's own key: argument types, processor, the function's bytecode and its closure,
* whether Python can call it,
* the versions of Numba, llvmlite and Python,
* the environment settings that change the generated code.

Numba copies the code of each callee into each of its callers, where LLVM optimises and translates
it again. Here only callees of a few instructions are copied. A caller knows the others by name
(`_Compiler`), and their files are loaded before its own (`_Results`).

A kernel is compiled without the wrapper that unpacks Python's objects until Python calls it.

This uses undocumented names of Numba: of dispatchers, `_cache`, where they look for a `_Cache`,
`_compiler` with `_customize_flags`, `_compile_for_args`, `_compilation_chain_init_hook` and
`add_overload`; `FunctionCache`, its own implementation, with `_impl_class`, `_impl`, `_cache_file`,
`_index_key`, `_load_overload`; `CompileResultCacheImpl` with `_locator_classes` and
`filename_base`; `_CacheLocator`; `CompileResult`; `Compiler._compile_bytecode`; of code libraries
`_final_module`, `_shared_module`, and the `_engine` of their `codegen`; `serialize.dumps`;
`_nrt_python`; of environments `_rebuild_env` and `_memo`; `mangling_args` of records;
`BaseFunction.get_call_type`; and the option `_nrt`.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import io
import itertools
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar, cast

import llvmlite
import llvmlite.binding
import numba
import numba.core.config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import Environment, _rebuild_env
from numba.core.registry import CPUDispatcher
from numba.core.runtime import _nrt_python as runtime  # type: ignore[attr-defined]
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature
from numba.core.typed_passes import NopythonRewrites
from numba.core.types.functions import BaseFunction
from numba.core.untyped_passes import InlineClosureLikes

from nvcodec.baselines import BASELINES
from nvcodec.kernel_cache import Store, carry, stamp, tell_unkept

Integer = Any
"""int or any integer of NumPy: compiled functions take all of them."""

Real = Any
"""float or any float of NumPy: compiled functions take all of them."""

# Only callers outside Numba would need the C wrapper; there are none.
_OPTIONS: dict[str, Any] = {
    "nopython": True,
    "boundscheck": None,
    "nogil": True,
    "no_cfunc_wrapper": True,
}
_UNCOUNTED: dict[str, Any] = {"_nrt": False}
_SKIPPED = NopythonRewrites, InlineClosureLikes
_MOST_COPIED = 150
"""Instructions of a callee that is copied: LLVM would hardly inline greater ones."""

_NUMBERS = numba.types.Number, numba.types.Boolean

_config: Any = numba.core.config
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _choose_target() -> None:
    """Compile for the best baseline that the processor has and the package has kernels for.

    Only so are the kernels that it carries and those that are compiled for one processor. Numba's
    own settings are obeyed; without either, it compiles for the processor at hand.
    """
    if _config.CPU_NAME is None and _config.CPU_FEATURES is None:
        host = llvmlite.binding.get_host_cpu_features()
        for baseline in BASELINES:
            if baseline.fits(host) and carry(baseline.path):
                _config.CPU_NAME = baseline.processor
                _config.CPU_FEATURES = baseline.feature_list
                break


_choose_target()


def _record_name(record: Any) -> tuple[str, tuple[str]]:
    """What machine code is named by for an argument that is a record.

    Numba takes a number that depends on what else a process has compiled. But kernels that several
    processes compile at the same time meet in a Store, and call each other by name.
    """
    return "Record", (hashlib.sha256(record.name.encode()).hexdigest()[:16],)


numba.types.Record.mangling_args = property(_record_name)  # type: ignore[assignment,method-assign]


_plain_call_type: Any = BaseFunction.get_call_type
_call_types: dict[tuple[Any, ...], Any] = {}


def _call_type(function: Any, context: Any, args: Any, kws: Any) -> Any:
    """The signature of a call of Numba's own functions, of which operators are most.

    Numba tries all implementations at each call, those for arrays of an addition of integers too.
    For numbers the answer is always the same.
    """
    if kws or not all(isinstance(each, _NUMBERS) for each in args):
        return _plain_call_type(function, context, args, kws)
    key = function, context, args
    if key not in _call_types:
        _call_types[key] = _plain_call_type(function, context, args, kws)
    return _call_types[key]


BaseFunction.get_call_type = _call_type  # type: ignore[assignment,method-assign]


def allocating(function: _Function) -> _Function:
    """Compile a function that allocates arrays, or that calls one which returns arrays."""
    return _compile(function)


def kernel(function: _Function) -> _Function:
    """Compile any other function, without reference counting of arrays.

    Reference counting takes two locked instructions for each array of each call. Many of these
    calls do their work in less time than that.
    """
    return _compile(function, **_UNCOUNTED)


def inlined(function: _Function) -> _Function:
    """Compile a `kernel` that becomes part of each kernel that calls it."""
    return _compile(function, forceinline=True, **_UNCOUNTED)


def _compile(function: _Function, **options: Any) -> _Function:
    if _config.DISABLE_JIT:
        return function
    return cast(_Function, _Kernel(function, _OPTIONS | options))


def _settings() -> tuple[Any, ...]:
    """Everything else that the generated code depends on: versions and settings."""
    versions = numba.__version__, llvmlite.__version__, sys.implementation.cache_tag
    return *versions, _config.OPT, _config.BOUNDSCHECK, _config.DEBUGINFO_DEFAULT


class _Kernel(CPUDispatcher):
    """Numba's dispatcher; makes the wrapper for Python only where Python calls."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        super().__init__(function, {}, options, pipeline_class=_Compiler)
        self._compiler._customize_flags = self._flags  # type: ignore[attr-defined]
        of_sources = stamp(function.__module__, function.__code__.co_filename)
        if of_sources is not None:
            self._cache = _KernelCache(self, of_sources)
            _caches[function] = self._cache

    @property
    def called_by_python(self) -> bool:
        """Whether what this thread compiles now is for a call from Python."""
        return getattr(_calls, "kernel", None) is self

    def _compilation_chain_init_hook(self) -> None:
        """Extensions of Numba are found where something is compiled; kernels need none."""

    def _flags(self, flags: Any) -> Any:
        flags.no_cpython_wrapper = not self.called_by_python
        return flags

    def _compile_for_args(self, *arguments: Any, **named: Any) -> Any:
        """Called by Python's call of a kernel, for types without a compiled wrapper."""
        around = getattr(_calls, "kernel", None)
        _calls.kernel = self
        try:
            return super()._compile_for_args(*arguments, **named)  # type: ignore[misc]
        finally:
            _calls.kernel = around

    def compile(self, sig: Any) -> Any:
        """Compile or load the kernel for a signature."""
        with global_compiler_lock, _uncollected():
            known = tuple(normalize_signature(sig)[0])  # type: ignore[no-untyped-call]
            if self.called_by_python and not _has_wrapper(self.overloads.get(known)):
                self.overloads.pop(known, None)
            return super().compile(sig)

    def _callback_add_timer(self, duration: Any, cres: Any, lock_name: str) -> None:
        """Numba times its locks, for nobody here, and fails where two threads hold one in turn."""

    def add_overload(self, result: Any) -> None:
        """Register a compiled or loaded kernel."""
        if isinstance(self._cache, _KernelCache) and not self.targetoptions.get("forceinline"):
            self._cache.link(result)
        if _has_wrapper(result):
            super().add_overload(result)
        else:
            # A call from Python must not find it: it would jump to address 0.
            self.overloads[tuple(result.signature.args)] = result


_calls = threading.local()
"""Its `kernel`, if there is one, is the kernel that Python calls and that is being compiled."""


def _has_wrapper(result: Any) -> bool:
    return result is not None and bool(
        result.library.get_pointer_to_function(result.fndesc.llvm_cpython_wrapper_name)
    )


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Compilation makes millions of objects, which the collector would walk again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Compiler(Compiler):
    """Numba's pipeline; names machine code by what is compiled, not by the order of compilation."""

    def define_pipelines(self) -> Any:
        pipelines = super().define_pipelines()  # type: ignore[no-untyped-call]
        if not self.state.flags.nrt:
            # These look for expressions of whole arrays and for closures.
            for pipeline in pipelines:
                kept = [each for each in pipeline.passes if each[0] not in _SKIPPED]
                pipeline.passes = kept
                pipeline.finalize()
        return pipelines

    def _compile_bytecode(self) -> Any:
        function = self.state.func_id
        cache = _caches.get(function.func)
        if cache is not None:
            function.unique_id = cache.identity
            function.unique_name = f"{function.func_qualname}${cache.identity}"
        return super()._compile_bytecode()  # type: ignore[no-untyped-call]


class _Reference(NamedTuple):
    """Where the machine code of a kernel is kept: a module, its stamp, and names in its Store."""

    module: str
    stamp: str
    kernel: str
    key: str


_linked: dict[str, tuple[Any, _Reference]] = {}
"""By name of their machine code, kernels in memory that callers do not copy. They stay."""


def _link(result: Any, reference: _Reference) -> None:
    """Leave nothing of a kernel to copy for its callers."""
    result.library._shared_module = llvmlite.binding.parse_assembly("")
    _linked[result.fndesc.llvm_func_name] = result, reference


def _is_short(result: Any) -> bool:
    function = result.library._final_module.get_function(result.fndesc.llvm_func_name)
    instructions = (None for block in function.blocks for _ in block.instructions)
    return sum(1 for _ in itertools.islice(instructions, _MOST_COPIED + 1)) <= _MOST_COPIED


class _Entries:
    """The kernels of one function in a Store, with the interface of Numba's `_cache_file`."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    def load(self, key: Any) -> Any:
        for content in self._store.load(self._name, text_of(key)):
            kept, data = _unpickled(content)
            # Two types can have the same name, so the whole key is compared.
            if kept == key:
                return data
        return None

    def save(self, key: Any, data: Any) -> None:
        self._store.save(self._name, text_of(key), dumps((key, data)))

    def flush(self) -> None:
        self._store.remove(self._name)


class _Unpickler(pickle.Unpickler):
    """Rebuilds kernels without importing the modules of Numba's that their code came from."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (_rebuild_env.__module__, _rebuild_env.__name__):
            return _environment
        return super().find_class(module, name)


def _environment(module: str, constants: Any, name: str) -> Any:
    """Numba's `_rebuild_env`; machine code does not look at the module's names."""
    if module in sys.modules or name in Environment._memo:
        return _rebuild_env(module, constants, name)  # type: ignore[no-untyped-call]
    made: Any = Environment({"__name__": module})
    made.consts[:] = constants
    made.env_name = name
    Environment._memo[name] = made
    return made


def _unpickled(content: bytes) -> Any:
    return _Unpickler(io.BytesIO(content)).load()


def text_of(key: Any) -> str:
    """The key of a kernel in a Store."""
    return hashlib.sha256(repr((key, _settings())).encode()).hexdigest()


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
    """Compiled kernels as data: Numba's own, and what is linked."""

    _locator_classes = [_Locator]  # noqa: RUF012

    def reduce(self, result: Any) -> Any:
        name, wrapper = result.fndesc.llvm_func_name, result.fndesc.llvm_cpython_wrapper_name
        functions = result.library._final_module.functions
        callees = [f.name for f in functions if f.is_declaration and f.name in _linked]
        return (
            (name, wrapper) if _has_wrapper(result) else (name,),
            tuple(_linked[name][1]) if name in _linked else None,
            {callee: tuple(_linked[callee][1]) for callee in callees},
            # Numba would spell out the types of all lines, which nobody reads.
            super().reduce(result._replace(type_annotation="")),  # type: ignore[no-untyped-call]
        )

    def rebuild(self, target_context: Any, data: Any) -> Any:
        symbols, reference, callees, own = data
        if symbols[0] in _linked:
            return _linked[symbols[0]][0]
        for name, of_callee in callees.items():
            if name not in _linked:
                self._load(target_context, _Reference(*of_callee))
        # Numba asks its engine only for symbols that it has seen.
        target_context.codegen()._engine._defined_symbols.update(symbols)
        result = super().rebuild(target_context, own)  # type: ignore[no-untyped-call]
        if reference is not None:
            _linked[symbols[0]] = result, _Reference(*reference)
        return result

    def _load(self, target_context: Any, reference: _Reference) -> None:
        """Load a callee; raises LookupError if it is missing."""
        store = _store(str(sys.modules[reference.module].__file__), reference.stamp)
        for content in store.load(reference.kernel, reference.key):
            self.rebuild(target_context, _unpickled(content)[1])
            return
        raise LookupError(reference.kernel)


@functools.cache
def _store(path: str, of_sources: str) -> Store:
    return Store(path, of_sources, _config.CACHE_DIR)


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


class _KernelCache(FunctionCache):
    """Numba's cache of one kernel, kept in the files of a Store."""

    _impl_class = _Results

    def __init__(self, kernel: _Kernel, of_sources: str) -> None:
        function = kernel.py_func
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._kernel = kernel
        self._stamp = of_sources
        store = _store(function.__code__.co_filename, of_sources)
        self._cache_path = store.folders[0]
        self._cache_file: Any = _Entries(store, self._impl.filename_base)

    @functools.cached_property
    def identity(self) -> str:
        """A text that two different kernels do not share, the same in all processes."""
        target: Any = self._kernel.targetctx
        key = super()._index_key((), target.codegen())  # type: ignore[no-untyped-call]
        return text_of((self._stamp, self._impl.filename_base, key))[:16]

    def link(self, result: Any) -> None:
        """Let callers of a compiled kernel know it by name, unless it is short or linked."""
        if result.metadata is not None and not _is_short(result):
            key = self._index_key(tuple(result.signature.args), result.codegen)
            own = self._kernel.py_func.__module__, self._stamp, self._impl.filename_base
            _link(result, _Reference(*own, text_of(key)))

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        own = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call]
        return *own, self._kernel.called_by_python

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Load a kernel, without what Numba imports to compile one."""
        _add_runtime_symbols()
        try:
            return self._load_overload(signature, target)  # type: ignore[no-untyped-call]
        except Exception:
            # An intact entry that cannot be used counts as missing: the kernel is compiled again.
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        try:
            super().save_overload(signature, result)  # type: ignore[no-untyped-call]
        except Exception as error:
            tell_unkept(f"{type(error).__name__}: {error}")


@functools.cache
def _add_runtime_symbols() -> None:
    """Name Numba's runtime, which wrappers for Python call, for the linker."""
    for name, address in runtime.c_helpers.items():
        name = name if name.startswith("_") else f"NRT_{name}"
        llvmlite.binding.add_symbol(name, address)


_caches: dict[Any, _KernelCache] = {}
"""By the kernel's function; functions that one definition makes share a code object."""
