"""What presets mean for the hybrid model: how much is tried before something is decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Limits of the searches.

    Attributes:
        refinements: turns in which both vectors of a bi-predicted block are moved.
        smallest: a block of this many luma samples is not split by motion.
        tree_depth: how often a transform tree may split.
        intra_tries: intra modes of a block that are coded on trial.
        trial: whether predictions are compared by what they leave over when it is coded, and intra
            ones are among them; by SATD otherwise.
        key_passes: times a key canvas is decided, each with the prices that the last one led to.

    """

    refinements: int
    smallest: int
    tree_depth: int
    intra_tries: int
    trial: bool
    key_passes: int


EFFORTS = {
    "fast": Effort(1, 8, 1, 2, False, 1),
    "medium": Effort(2, 8, 2, 3, True, 2),
    "slow": Effort(4, 8, 3, 6, True, 2),
}
