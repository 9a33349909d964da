"""What presets mean for the hybrid model: how much is tried before a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class MotionLimits(NamedTuple):
    """Limits of the search of inter leaves.

    Attributes:
        least_level: level of the smallest leaves that are tried: 0 for 8 x 8, 1 for 16 x 16.
        merge_bits: bits per cell: coded vectors are not tried if a merge costs less than this.
        split_bits: bits per cell: a block that costs less is not split. Costs by SATD do not vanish
            where nothing is coded, so with these it is higher.
        first_step: first step of the refinement of a vector, in quarter samples; start vectors are
            usually this close.
        fine_step: steps up to this length are compared by SATD, longer ones by SAD.
        directions: of steps of less than a sample, 4 or 8.
        both_starts: how many of the two starts of bi-prediction with coded vectors are refined: 2,
            or 1 for the better one.
        refinements: iterations that refine both vectors of a bi-predicted block.

    """

    least_level: int
    merge_bits: float
    split_bits: float
    first_step: int
    fine_step: int
    directions: int
    both_starts: int
    refinements: int


@dataclass(frozen=True)
class Effort:
    """Limits of the searches.

    Attributes:
        motion: those of inter leaves.
        tree_depth: levels of splits that a transform tree may have.
        intra_tries: intra modes of a block that are coded on trial.
        trial: True to compare predictions by coding their residuals (RDO), intra among them; False
            to compare inter predictions by SATD.
        trial_depth: levels of splits that the transform tree of such a trial may have.
        key_passes: how often a key canvas is decided. Each pass uses the prices of the one before.
        temporal_filter: whether pictures are averaged along motion before they are coded.
        network_sites: approximate number of sites of each frame (spec 9.1) that the fusion network
            is trained on; 0 for the default weights alone.
        network_estimate: whether training's own estimate decides on new weights of the network.

    """

    motion: MotionLimits
    tree_depth: int
    intra_tries: int
    trial: bool
    trial_depth: int
    key_passes: int
    temporal_filter: bool
    network_sites: int
    network_estimate: bool


EFFORTS = {
    "ultrafast": Effort(
        motion=MotionLimits(
            least_level=0,
            merge_bits=2.0,
            split_bits=6.0,
            first_step=4,
            fine_step=1,
            directions=4,
            both_starts=1,
            refinements=0,
        ),
        tree_depth=1,
        intra_tries=1,
        trial=False,
        trial_depth=0,
        key_passes=1,
        temporal_filter=False,
        network_sites=0,
        network_estimate=True,
    ),
    "fast": Effort(
        motion=MotionLimits(
            least_level=0,
            merge_bits=2.0,
            split_bits=4.0,
            first_step=4,
            fine_step=1,
            directions=8,
            both_starts=1,
            refinements=1,
        ),
        tree_depth=2,
        intra_tries=2,
        trial=False,
        trial_depth=0,
        key_passes=1,
        temporal_filter=True,
        network_sites=3000,
        network_estimate=True,
    ),
    "medium": Effort(
        motion=MotionLimits(
            least_level=0,
            merge_bits=0.25,
            split_bits=0.15,
            first_step=8,
            fine_step=2,
            directions=8,
            both_starts=2,
            refinements=2,
        ),
        tree_depth=2,
        intra_tries=3,
        trial=True,
        trial_depth=1,
        key_passes=2,
        temporal_filter=True,
        network_sites=6000,
        network_estimate=False,
    ),
    "slow": Effort(
        motion=MotionLimits(
            least_level=0,
            merge_bits=0.25,
            split_bits=0.15,
            first_step=8,
            fine_step=2,
            directions=8,
            both_starts=2,
            refinements=4,
        ),
        tree_depth=3,
        intra_tries=8,
        trial=True,
        trial_depth=3,
        key_passes=3,
        temporal_filter=True,
        network_sites=12000,
        network_estimate=False,
    ),
}
"""By preset."""
