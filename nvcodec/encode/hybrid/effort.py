"""What presets mean for the hybrid model: how much is tried before a decision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Limits of the searches.

    Attributes:
        refinements: iterations that refine both vectors of a bi-predicted block.
        tree_depth: levels of splits that a transform tree may have.
        intra_tries: intra modes of a block that are coded on trial.
        trial: True to compare predictions by coding their residuals (RDO), intra among them; False
            to compare inter predictions by SATD.
        trial_depth: levels of splits that the transform tree of such a trial may have.
        key_passes: how often a key canvas is decided. Each pass uses the prices of the one before.
        network_sites: approximate number of sites of each frame (spec 9.1) that the fusion network
            is trained on.

    """

    refinements: int
    tree_depth: int
    intra_tries: int
    trial: bool
    trial_depth: int
    key_passes: int
    network_sites: int


EFFORTS = {
    "fast": Effort(
        refinements=1,
        tree_depth=1,
        intra_tries=2,
        trial=False,
        trial_depth=0,
        key_passes=1,
        network_sites=3000,
    ),
    "medium": Effort(
        refinements=2,
        tree_depth=2,
        intra_tries=3,
        trial=True,
        trial_depth=1,
        key_passes=2,
        network_sites=6000,
    ),
    "slow": Effort(
        refinements=4,
        tree_depth=3,
        intra_tries=8,
        trial=True,
        trial_depth=3,
        key_passes=3,
        network_sites=12000,
    ),
}
"""By preset."""
