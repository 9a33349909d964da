"""Compilation with Numba: takes kernels and arguments, gives machine code.

Numba copies the code of each callee into each of its callers, where LLVM optimises and translates
it again. Here only callees of a few instructions are copied. A caller knows the others by name
(`_Compiler`), and what a kernel is kept as lists them.

A kernel is compiled without the wrapper that unpacks Python's objects until Python calls it.

What is compiled here is not called here: `machine_code` loads it, as if it had been kept. Numba has
its own copy of kernels that others call, for what it has to know of them.

This uses undocumented names of Numba: of dispatchers, `_cache`, where they look for a `_Cache`,
`_compiler` with `_customize_flags`, `_compilation_chain_init_hook` and `add_overload`;
`CompileResult` with `_reduce` and `_rebuild`; `Compiler._compile_bytecode`; of code libraries
`_final_module`, `_shared_module`, `_get_compiled_object`, and the `_engine` of their `codegen`;
`serialize.dumps`; `normalize_signature`; `mangling_args` of records;
`BaseFunction.get_call_type`; `_Intrinsic`; and the option `_nrt`.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import itertools
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import llvmlite.binding
import numba.core.config
from numba.core.caching import _Cache
from numba.core.compiler import Compiler, CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import lookup_environment
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature
from numba.core.typed_passes import NopythonRewrites
from numba.core.types.functions import BaseFunction
from numba.core.untyped_passes import InlineClosureLikes
from numba.extending import intrinsic as numba_intrinsic

from nvcodec.compiled import Intrinsic, Kernel, contents
from nvcodec.kernel_cache import compiling, tell_unkept
from nvcodec.machine_code import Code, Reference, name_helpers, provide
from nvcodec.target import of_numba, target

# Only callers outside Numba would need the C wrapper; there are none.
_OPTIONS: dict[str, Any] = {
    "nopython": True,
    "boundscheck": None,
    "nogil": True,
    "no_cfunc_wrapper": True,
}
_SKIPPED = NopythonRewrites, InlineClosureLikes
_MOST_COPIED = 150
"""Instructions of a callee that is copied: LLVM would hardly inline greater ones."""

_ENVIRONMENT = "_ZN08NumbaEnv"
"""How names of variables that point to environments begin."""

_NUMBERS = numba.types.Number, numba.types.Boolean

_config: Any = numba.core.config
_config.CPU_NAME, _config.CPU_FEATURES = target()
_FOR_TARGET = of_numba() == target()
"""False where something else in this process has compiled for another processor."""


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


def compile_for(kernel: Kernel, key: str, arguments: tuple[Any, ...]) -> Code:
    """Compile a kernel for a call from Python, and keep it by `key`."""
    return dispatcher(kernel).compile_for(key, arguments)


_dispatchers: dict[Kernel, _Dispatcher] = {}


def dispatcher(kernel: Kernel) -> _Dispatcher:
    """What Numba compiles a kernel by."""
    found = _dispatchers.get(kernel)
    return _dispatchers.setdefault(kernel, _Dispatcher(kernel)) if found is None else found


def intrinsic_type(of: Intrinsic) -> Any:
    """Numba's type of an intrinsic."""
    made = numba_intrinsic(prefer_literal=of.literal)(of.typed)
    cpu_target.typing_context.refresh()
    return cpu_target.typing_context.resolve_value_type(made)


class _Dispatcher(CPUDispatcher):
    """Numba's dispatcher; makes the wrapper for Python only where Python calls."""

    def __init__(self, kernel: Kernel) -> None:
        counting = {} if kernel.options.counted else {"_nrt": False}
        inlining = {"forceinline": True} if kernel.options.inlined else {}
        options = _OPTIONS | counting | inlining
        super().__init__(kernel.py_func, {}, options, pipeline_class=_Compiler)
        self.kernel = kernel
        self._compiler._customize_flags = self._flags  # type: ignore[attr-defined]
        self._cache = _KernelCache(self)
        _of_functions[kernel.py_func] = kernel

    @property
    def called_by(self) -> str | None:
        """The key of the call from Python for which this thread compiles the kernel."""
        made, key = getattr(_calls, "of", (None, None))
        return key if made is self else None

    def compile_for(self, key: str, arguments: tuple[Any, ...]) -> Code:
        """Compile the kernel with its wrapper."""
        around = getattr(_calls, "of", (None, None))
        with global_compiler_lock, _uncollected():
            types = tuple(self.typeof_pyval(argument) for argument in arguments)
            self.overloads.pop(types, None)
            _calls.of = self, key
            try:
                self.compile(types)
            finally:
                _calls.of = around
            return _code_of(self.overloads[types])

    def compile(self, sig: Any) -> Any:
        """Numba's; two processes do not compile the same at a time."""
        if self.called_by is not None:
            # It is claimed by who compiles it for a call from Python.
            return super().compile(sig)
        types, _ = normalize_signature(sig)  # type: ignore[no-untyped-call]
        if types in self.overloads:
            return super().compile(sig)
        with self.kernel.claimed(self.kernel.key(types)):
            return super().compile(sig)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Numba's; what becomes part of its callers need not be compiled for each constant."""
        if self.kernel.options.inlined:
            args = tuple(map(numba.types.unliteral, args))
        return super().get_call_template(args, kws)

    def _compilation_chain_init_hook(self) -> None:
        """Extensions of Numba are found where something is compiled; kernels need none."""

    def _flags(self, flags: Any) -> Any:
        flags.no_cpython_wrapper = self.called_by is None
        return flags

    def _callback_add_timer(self, duration: Any, cres: Any, lock_name: str) -> None:
        """Numba times its locks, for nobody here, and fails where two threads hold one in turn."""

    def add_overload(self, result: Any) -> None:
        """Register a compiled or loaded kernel. Numba's own table is for calls from Python."""
        if not self.kernel.options.inlined:
            self._cache.link(result)
        self.overloads[tuple(result.signature.args)] = result


_calls = threading.local()
"""Its `of`, if there is one, is a dispatcher that compiles for Python, and the key of the call."""

_of_functions: dict[Any, Kernel] = {}
"""Kernels by function; functions that one definition makes share a code object."""


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
        kernel = _of_functions[function.func]
        if kernel.stamp is not None:
            function.unique_id = kernel.identity
            function.unique_name = f"{function.func_qualname}${kernel.identity}"
        with compiling():
            return super()._compile_bytecode()  # type: ignore[no-untyped-call]


_linked: dict[str, tuple[Any, Reference]] = {}
"""By name of their machine code, kernels that callers do not copy. They stay."""


def _is_short(result: Any) -> bool:
    function = result.library._final_module.get_function(result.fndesc.llvm_func_name)
    instructions = (None for block in function.blocks for _ in block.instructions)
    return sum(1 for _ in itertools.islice(instructions, _MOST_COPIED + 1)) <= _MOST_COPIED


def _code_of(result: Any) -> Code:
    """The machine code of a kernel that was compiled in this process."""
    library, described = result.library, result.fndesc
    wrapper = described.llvm_cpython_wrapper_name
    wrapper = wrapper if library.get_pointer_to_function(wrapper) else ""
    declared = [f.name for f in library._final_module.functions if f.is_declaration]
    names = [v.name for v in library._final_module.global_variables]
    environments = {
        name: lookup_environment(name)  # type: ignore[no-untyped-call]
        for name in names
        if name.startswith(_ENVIRONMENT)
    }
    # The own environment is the last one.
    environments[described.env_name] = environments.pop(described.env_name, result.environment)
    return Code(
        described.llvm_func_name,
        wrapper,
        {name: pickle.dumps(e.consts) for name, e in environments.items() if e is not None},
        tuple(n for n in declared if n not in _linked and not n.startswith("llvm.")),
        {n: _linked[n][1] for n in declared if n in _linked},
        library._get_compiled_object(),
    )


class _KernelCache(_Cache):
    """What Numba takes for its cache of one kernel: the files of a Store.

    A file has the kernel's machine code and, for compilation of its callers, what Numba knows.
    """

    def __init__(self, owner: _Dispatcher) -> None:
        self._dispatcher = owner
        self._kernel = owner.kernel

    @property
    def cache_path(self) -> Any:
        """Not asked for: kernels have their own statistics."""
        return None

    def enable(self) -> None:
        """Numba's interface; it is always on."""

    def disable(self) -> None:
        """Numba's interface; it is always on."""

    def flush(self) -> None:
        """Remove the kernel's files."""
        if self._kernel.store is not None:
            self._kernel.store.remove(self._kernel.name)

    def _key(self, types: Any) -> str:
        return self._dispatcher.called_by or self._kernel.key(types)

    def _reference(self, types: Any) -> Reference:
        kernel = self._kernel
        module = kernel.py_func.__module__
        return Reference(module, kernel.stamp or "", kernel.name, self._key(types))

    def link(self, result: Any) -> None:
        """Let callers of a compiled kernel know it by name, unless it is short."""
        if result.metadata is not None and not _is_short(result):
            # Nothing of it is left to copy.
            result.library._shared_module = llvmlite.binding.parse_assembly("")
            reference = self._reference(tuple(result.signature.args))
            _linked[result.fndesc.llvm_func_name] = result, reference
            provide(_code_of(result))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What Numba knows of a kernel that is kept, or None."""
        if self._kernel.store is None or self._dispatcher.called_by is not None:
            return None
        name_helpers()
        try:
            # Two types can have the same name, so the whole key is compared.
            return _load(target_context, self._reference(sig), sig)
        except Exception:
            # An intact file that cannot be used counts as missing: the kernel is compiled again.
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel."""
        store = self._kernel.store
        if store is None or not _FOR_TARGET or data.library.has_dynamic_globals:
            return
        try:
            store.save(self._kernel.name, self._key(sig), _content(data))
        except Exception as error:
            tell_unkept(f"{type(error).__name__}: {error}")


def _content(result: Any) -> bytes:
    """What a compiled kernel is kept as."""
    code = _code_of(result)
    # Numba would spell out the types of all lines, which nobody reads.
    library, *others = result._replace(type_annotation="")._reduce()
    name, kind, (_, shared) = library
    own = (tuple(result.signature.args), (name, kind, shared), others, code.name in _linked)
    return pickle.dumps((tuple(code), dumps(own)))


def _load(target_context: Any, reference: Reference, types: Any = None) -> Any:
    """Load what Numba knows of a kernel and of its callees; raises LookupError if it is missing."""
    for content in contents(reference):
        whole = pickle.loads(content)
        code = Code(*whole[0])
        if code.name in _linked:
            return _linked[code.name][0]
        kept, (name, kind, shared), others, is_linked = pickle.loads(whole[1])
        if types is not None and kept != types:
            continue
        for callee, of_callee in code.callees.items():
            if callee not in _linked:
                _load(target_context, of_callee)
        # Numba asks its engine only for symbols that it has seen.
        target_context.codegen()._engine._defined_symbols.update((code.name, code.wrapper))
        library = name, kind, (code.objects, shared)
        result = CompileResult._rebuild(target_context, library, *others)  # type: ignore[no-untyped-call]
        if is_linked:
            _linked[code.name] = result, reference
        return result
    raise LookupError(reference.kernel)
