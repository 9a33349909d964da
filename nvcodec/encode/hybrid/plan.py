"""What each block of a group's canvases is quantised with: pictures in, quantiser maps out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nvcodec.encode.hybrid.canvas_coder import Source
from nvcodec.encode.hybrid.quantisers import quantiser
from nvcodec.model.canvas.plane import Step, schedule

MAP_BLOCK = 32
"""Luma samples across a block of a map."""

QuantiserMap = npt.NDArray[np.uint8]
"""Quantiser indices of blocks of 32 x 32 luma samples, row by row."""


@dataclass(frozen=True, eq=False)
class GroupSources:
    """The pictures of a group in display order.

    `before` is the picture that its chain canvas is predicted from, None in a key group.
    """

    sources: tuple[Source, ...]
    before: Source | None

    @property
    def key(self) -> bool:
        """Whether it is a key group."""
        return self.before is None

    @property
    def steps(self) -> list[Step]:
        """Its canvases in coding order."""
        return schedule(len(self.sources), self.key)


class Plan(Protocol):
    """Chooses quantiser maps. It has no state: groups are planned in any order, side by side."""

    @property
    def ahead(self) -> int:
        """How many groups after one it looks at: all of these are kept in memory."""

    def maps(self, window: Sequence[GroupSources]) -> list[QuantiserMap]:
        """The maps of the canvases of `window[0]` in coding order.

        The `ahead` groups that follow come after it, fewer at the end of the video.
        """


@dataclass(frozen=True)
class ConstantPlan:
    """One index for a canvas, by its kind."""

    crf: float
    ahead: int = 0

    def maps(self, window: Sequence[GroupSources]) -> list[QuantiserMap]:
        """Maps of one value each."""
        height, width = window[0].sources[0].planes[0].shape
        size = -(-height // MAP_BLOCK), -(-width // MAP_BLOCK)
        return [np.full(size, quantiser(self.crf, step), np.uint8) for step in window[0].steps]
