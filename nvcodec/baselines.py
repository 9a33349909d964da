"""Processors that a wheel carries compiled kernels for, best first.

A baseline is a name of LLVM with a list of features. Code for it runs wherever the processor has
these features. Integer arithmetic gives the same results with any of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_V3 = (
    *("cx16", "sahf", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2", "avx", "avx2", "bmi", "bmi2"),
    *("f16c", "fma", "lzcnt", "movbe", "xsave"),
)
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

_FOLDER = os.path.join(os.path.dirname(__file__), "compiled_kernels")


@dataclass(frozen=True)
class Baseline:
    """A kind of processor: its own name, LLVM's name, and the features that code may use."""

    name: str
    processor: str
    features: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where an installation has its kernels."""
        return os.path.join(_FOLDER, f"{self.name}.pack")

    @property
    def feature_list(self) -> str:
        """The features as LLVM takes them."""
        return ",".join(f"+{feature}" for feature in self.features)

    def fits(self, host: Mapping[str, bool]) -> bool:
        """Whether a processor has all features."""
        return all(host.get(feature, False) for feature in self.features)


BASELINES = (
    Baseline("x86-64-v4-vnni", "x86-64-v4", (*_V4, "avx512vnni")),
    Baseline("x86-64-v4", "x86-64-v4", _V4),
    Baseline("x86-64-v3", "x86-64-v3", _V3),
)
