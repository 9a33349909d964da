"""Efforts of the nirvana model: what each preset does, and which quantiser index a crf means."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nvcodec.coding.nirvana.features import LEAST_QUANTISER, MOST_QUANTISER
from nvcodec.coding.nirvana.table import FRAMES


@dataclass(frozen=True)
class Effort:
    """How much work a group takes.

    Attributes:
        steps: gradient steps on the features.
        rate: length of a step.
        path_price: absolute differences that a bit of a path costs, in quantiser steps.
        saving: how much of what a new component of the output layer saves counts against its cost;
            0 makes none.
        split: whether groups that cost less as groups of one frame are split into these.

    """

    steps: int
    rate: float = 0.8
    path_price: float = 0.5
    saving: float = 0.5
    split: bool = False


EFFORTS = {"fast": Effort(0, saving=0), "medium": Effort(1), "slow": Effort(4, split=True)}
"""By preset."""

_OFFSET = 3
"""Quantiser index at crf 0; PSNR is then about that of the hybrid model at the same crf."""


_KEY_GAIN = 2
"""Key groups have finer steps by so many indices: groups after them are predicted from them."""


def quantiser_index(crf: float, frames: int, key: bool) -> int:
    """The quantiser index (spec 11.6) of a group of so many frames.

    A group that is not full is coded as if its last frame went on. So its frames share larger
    coefficients, and have the error of full groups with a larger step.
    """
    index = round(crf) + _OFFSET + round(3 * math.log2(FRAMES / frames))
    index -= _KEY_GAIN if key else 0
    return min(MOST_QUANTISER, max(LEAST_QUANTISER, index))
