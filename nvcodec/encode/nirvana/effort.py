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
        split: whether groups whose blocks move are split into groups of one frame where these cost
            less.

    """

    steps: int = 0
    rate: float = 0.8
    path_price: float = 0.5
    saving: float = 0
    split: bool = False

    @property
    def renders(self) -> bool:
        """Whether it compares pictures with what a group renders."""
        return self.steps > 0 or self.saving > 0


EFFORTS = {
    "fast": Effort(),
    "medium": Effort(split=True),
    "slow": Effort(steps=2, saving=0.5, split=True),
}
"""By preset."""

_OFFSET = 3
"""Quantiser index at crf 0; PSNR is then about that of the hybrid model at the same crf."""


_KEY_GAIN = 2
"""Key groups have finer steps by so many indices: groups after them are predicted from them."""

_SHORT = 2
"""Groups of half as many frames have coarser steps by so many indices."""


def quantiser_index(crf: float, frames: int, key: bool) -> int:
    """The quantiser index (spec 11.6) of a group of so many frames.

    A group that is not full is coded as if its last frame went on. So its frames share larger
    coefficients, and have the error of full groups with a larger step. A key group keeps its step.
    """
    index = round(crf) + _OFFSET
    index += -_KEY_GAIN if key else round(_SHORT * math.log2(FRAMES / frames))
    return min(MOST_QUANTISER, max(LEAST_QUANTISER, index))
