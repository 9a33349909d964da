"""What presets mean for the hybrid model: how much is tried before something is decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Limits of the searches.

    Attributes:
        refinements: turns in which both vectors of a bi-predicted block are moved.
        tree_depth: how often a transform tree may split.
        intra_tries: intra modes of a block that are coded on trial.
        trial: whether predictions are compared by what they leave over when it is coded, and intra
            ones are among them; by SATD otherwise.
        trial_depth: how often the transform tree of such a trial may split.
        key_passes: times a key canvas is decided, each with the prices that the last one led to.
        network_sites: sites of a frame (spec 9.1) that its group's network is trained on, about.

    """

    refinements: int
    tree_depth: int
    intra_tries: int
    trial: bool
    trial_depth: int
    key_passes: int
    network_sites: int


EFFORTS = {
    "fast": Effort(1, 1, 2, False, 0, 1, 3000),
    "medium": Effort(2, 2, 3, True, 1, 2, 6000),
    "slow": Effort(4, 3, 8, True, 3, 3, 12000),
}
"""By preset."""
