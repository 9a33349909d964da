"""Machine code of kernels: takes object code, gives functions for Python.

LLVM's loader is enough for that. The wrapper of a kernel, which unpacks Python's objects, calls
functions of Numba's C modules. They are loaded without Numba's modules in Python, whose import
takes longer than anything else that a command does before its first frame.

A kernel refers to others by name. They are loaded before it.

This uses undocumented names of Numba: the C modules `_dynfunc`, `_helperlib` and
`core.runtime._nrt_python` with `c_helpers`, `Environment` and `make_function`; and the names that
its machine code has for them.
"""

from __future__ import annotations

import builtins
import ctypes
import functools
import importlib
import importlib.machinery
import importlib.util
import os
import pickle
import platform
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.binding as llvm

from nvcodec.target import numba_folder, target


class Reference(NamedTuple):
    """Where a kernel is kept: a module, its stamp, and names in its Store."""

    module: str
    stamp: str
    kernel: str
    key: str


class Code(NamedTuple):
    """A compiled kernel; all fields are of Python's own types."""

    name: str
    wrapper: str
    """The function that Python calls, by its name in `objects`; empty if there is none."""
    constants: dict[str, bytes]
    """By name of the variables of `objects` that point to them: pickled lists."""
    externals: tuple[str, ...]
    """Functions that the process must have."""
    callees: dict[str, Reference]
    """Other kernels by name, with their References."""
    objects: bytes


_loaded: set[str] = set()
_provided: dict[str, Code] = {}
_environments: list[Any] = []
"""Machine code has pointers to them, and it stays as long as the process."""


def provide(code: Code) -> None:
    """Say what a name stands for in kernels that are loaded later; it need not be kept anywhere."""
    _provided[code.name] = code


def python_function(
    code: Code, function: Callable[..., Any], find: Callable[[Reference], Code]
) -> Callable[..., Any]:
    """Load a kernel that has a wrapper, and what it calls; `find` finds callees that are kept.

    The result takes arguments of the types that the kernel was compiled for, and does not check
    them. Raises LookupError if something is missing.
    """
    _load(code, find)
    made: Callable[..., Any] = _c_module("_dynfunc").make_function(
        sys.modules[__name__],
        function.__name__,
        function.__doc__ or "",
        _engine().get_function_address(code.wrapper),
        _environments[-1],
        (),
    )
    return made


def _load(code: Code, find: Callable[[Reference], Code]) -> None:
    """Load a kernel after its callees; its own environment becomes the last one."""
    missing = [name for name in code.externals if not _is_known(name)]
    if missing:
        raise LookupError(", ".join(missing))
    for name, reference in code.callees.items():
        if name not in _loaded:
            provided = _provided.pop(name, None)
            _load(find(reference) if provided is None else provided, find)
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.objects))
    _loaded.add(code.name)
    _provided.pop(code.name, None)
    for name, constants in code.constants.items():
        environment = _c_module("_dynfunc").Environment({})
        environment.consts.extend(pickle.loads(constants))
        _environments.append(environment)
        place = engine.get_global_value_address(name)
        ctypes.c_void_p.from_address(place).value = id(environment)


@functools.cache
def _is_known(name: str) -> bool:
    _engine()
    return bool(llvm.address_of_symbol(name))


@functools.cache
def _engine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=target().processor, features=target().features, jit=True
    )
    name_helpers()
    own_memory = platform.machine() in ("arm64", "aarch64")
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine, use_lmm=own_memory)


@functools.cache
def name_helpers() -> None:
    """Tell the linker the functions of Numba, and the objects of Python, that wrappers need."""
    for module in ("_helperlib", "_dynfunc"):
        for name, address in _c_module(module).c_helpers.items():
            llvm.add_symbol(f"numba_{name}", address)
    for name, address in _c_module("core.runtime._nrt_python").c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
    llvm.add_symbol("_Py_NoneStruct", id(None))
    for kind in vars(builtins).values():
        if isinstance(kind, type) and issubclass(kind, BaseException):
            llvm.add_symbol(f"PyExc_{kind.__name__}", id(kind))


@functools.cache
def _c_module(name: str) -> Any:
    """A C module of Numba, without the packages that it is in.

    Python initialises such a module once and remembers it by its name and file. So an `import` of
    Numba that comes later gets the same functions and state.
    """
    name = f"numba.{name}"
    if name in sys.modules:
        return sys.modules[name]
    base = os.path.join(numba_folder(), *name.split(".")[1:])
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        if os.path.exists(base + suffix):
            loader = importlib.machinery.ExtensionFileLoader(name, base + suffix)
            spec = importlib.util.spec_from_file_location(name, base + suffix, loader=loader)
            assert spec is not None
            try:
                module = importlib.util.module_from_spec(spec)
                loader.exec_module(module)
            finally:
                # It would look as if Numba had been imported.
                sys.modules.pop(name, None)
            return module
    return importlib.import_module(name)
