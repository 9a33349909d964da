"""What kernels are compiled for: a processor, settings, and versions of the compiler.

Finding it out imports Numba only where something sets an option of Numba's.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import sys
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm

from nvcodec.baselines import BASELINES
from nvcodec.kernel_cache import carry

_FOLDER_SETTING = "NUMBA_CACHE_DIR"
_SETTINGS_FILE = ".numba_config.yaml"
_DEFAULTS = {"OPT": 3, "BOUNDSCHECK": None, "DEBUGINFO_DEFAULT": 0, "DISABLE_JIT": 0}
"""Numba's options that change the generated code, with their values when nothing sets them."""


class Target(NamedTuple):
    """A processor as LLVM takes it: its name, and the features that code may use."""

    processor: str
    features: str


@functools.cache
def target() -> Target:
    """The best baseline that the processor has and the package has kernels for.

    Only so are the kernels that it carries and those that are compiled for one processor. Numba's
    own settings are obeyed, and what it has compiled for already in this process; without these and
    kernels, the processor at hand is the target.
    """
    config = _config()
    if config is not None:
        registry: Any = importlib.import_module("numba.core.registry")
        named = config.CPU_NAME is not None or config.CPU_FEATURES is not None
        if named or "_toplevel_target_context" in vars(registry.cpu_target):
            return of_numba()
    host = llvm.get_host_cpu_features()
    for baseline in BASELINES:
        if baseline.fits(host) and carry(baseline.path):
            return Target(baseline.processor, baseline.feature_list)
    if config is not None:
        return of_numba()
    return Target(llvm.get_host_cpu_name(), host.flatten())


def of_numba() -> Target:
    """What Numba compiles for in this process, from the first question on."""
    registry: Any = importlib.import_module("numba.core.registry")
    return Target(*registry.cpu_target.target_context.codegen().magic_tuple()[1:])


def option(name: str) -> Any:
    """An option of Numba's, one of `_DEFAULTS`."""
    config = _config()
    return _DEFAULTS[name] if config is None else getattr(config, name)


def kernels_folder() -> str:
    """The folder for kernels that Numba's settings name, or an empty string."""
    config = _config()
    return os.environ.get(_FOLDER_SETTING, "") if config is None else str(config.CACHE_DIR)


def settings() -> str:
    """A text of everything that generated code depends on beside its sources and types."""
    options = {name: option(name) for name in _DEFAULTS}
    changed = {name: str(value) for name, value in options.items() if value != _DEFAULTS[name]}
    return repr((_versions(), tuple(target()), changed))


def _config() -> Any:
    """Numba's settings; None where Numba is not loaded and nothing sets them."""
    if "numba.core.config" in sys.modules or _is_set():
        return importlib.import_module("numba.core.config")
    return None


@functools.cache
def _is_set() -> bool:
    named = any(name.startswith("NUMBA_") and name != _FOLDER_SETTING for name in os.environ)
    return named or os.path.exists(_SETTINGS_FILE)


@functools.cache
def _versions() -> tuple[str, str, str, str]:
    """Of llvmlite, Python and LLVM's platform; of Numba, a digest of the file that says it."""
    with open(os.path.join(numba_folder(), "_version.py"), "rb") as file:
        of_numba = hashlib.sha256(file.read()).hexdigest()[:16]
    cache_tag = str(sys.implementation.cache_tag)
    return of_numba, llvmlite.__version__, cache_tag, llvm.get_process_triple()


def numba_folder() -> str:
    """Where Numba's modules are."""
    spec = importlib.util.find_spec("numba")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'numba'", name="numba")
    return spec.submodule_search_locations[0]
