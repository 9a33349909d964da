"""Efforts of the nirvana model: what each preset does, and which quantiser index a crf means."""

from __future__ import annotations

from dataclasses import dataclass

from nvcodec.coding.nirvana.features import LEAST_QUANTISER, MOST_QUANTISER


@dataclass(frozen=True)
class Effort:
    """How much work a group takes.

    Attributes:
        steps: gradient steps on the features.
        rate: length of a step.
        path_price: absolute differences that a bit of a path costs, in quantiser steps.

    """

    steps: int
    rate: float = 0.8
    path_price: float = 0.5


EFFORTS = {"fast": Effort(0), "medium": Effort(2), "slow": Effort(6)}
"""By preset."""

_OFFSET = 3
"""Quantiser index at crf 0; PSNR is then about that of the hybrid model at the same crf."""

_KEY_GAIN = 2
"""Key groups have finer steps by so many indices: groups after them are predicted from them."""


def quantiser_index(crf: float, key: bool) -> int:
    """The quantiser index (spec 11.6) of a group."""
    q = round(crf) + _OFFSET - (_KEY_GAIN if key else 0)
    return min(MOST_QUANTISER, max(LEAST_QUANTISER, q))
