"""What presets mean for the hybrid model: how much is tried before a decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple


class MotionLimits(NamedTuple):
    """Limits of the search of inter leaves.

    Attributes:
        least_level: level of the smallest leaves that are tried: 0 for 8 x 8, 1 for 16 x 16.
        merge_bits: bits per cell: coded vectors are not tried if a merge costs less than this.
        split_bits: bits per cell: a block that costs less is not split. Costs by SATD do not vanish
            where nothing is coded, so with these it is higher.
        split_margin: bits that a split has to save to be taken. Costs by SATD flatter small blocks.
        cell_margin: the same for a split into 8 x 8.
        halves_bits: bits per cell: a block that costs less is not halved.
        halves_satd: halves are decided if their SATD is at most this times that of the block.
        first_step: first step of the refinement of a vector, in quarter samples; start vectors are
            usually this close.
        fine_step: steps up to this length are compared by SATD, longer ones by SAD.
        directions: of steps of half a sample and of bi-prediction, 4, 8 or 5 (`vectors.step_of`).
        last_directions: of steps of a quarter of a sample.
        both_starts: how many of the two starts of bi-prediction with coded vectors are refined: 2,
            or 1 for the better one.
        refinements: iterations that refine both vectors of a bi-predicted block.
        apart: whether every merge entry, the best vector to each reference and the best pair of
            vectors are kept for trials, not the best by SATD alone.
        starts_beside: whether searches also start from the coarse vectors to the right and below.
        affine_rounds: most steps of the descent to coded gradients; 0 for no affine leaves.
        affine_bits: bits per cell: gradients are not searched if a block costs less than this.

    """

    least_level: int
    merge_bits: float
    split_bits: float
    split_margin: float
    cell_margin: float
    halves_bits: float
    halves_satd: float
    first_step: int
    fine_step: int
    directions: int
    last_directions: int
    both_starts: int
    refinements: int
    apart: bool
    starts_beside: bool
    affine_rounds: int
    affine_bits: float


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
        thorough: whether the levels of a unit of an inter canvas are revised once, for all of its
            transforms.
        key_thorough: the same of key canvases, whose step is then finer too (`passes`).
        transforms: transforms of a luma unit of an intra leaf that are quantised to choose one,
            those of least rough cost. Of other units it is one, or all if `thorough`.
        key_halves_bits: as halves_bits, of key canvases; leaves of one cell that cost less do not
            have two luma blocks.
        key_passes: how often a key canvas is decided. Each pass uses the prices of the one before.
        step_trials: whether the units of a canvas are decided with other quantiser steps too, and
            the cheapest canvas is kept.
        first_pass: the effort of a first pass of inter canvases, None for a single pass.
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
    thorough: bool
    key_thorough: bool
    transforms: int
    key_halves_bits: float
    key_passes: int
    step_trials: bool
    first_pass: Effort | None
    temporal_filter: bool
    network_sites: int
    network_estimate: bool


EFFORTS = {
    "ultrafast": Effort(
        motion=MotionLimits(
            least_level=0,
            merge_bits=2.0,
            split_bits=6.0,
            split_margin=2.0,
            cell_margin=3.0,
            halves_bits=inf,
            halves_satd=0.0,
            first_step=4,
            fine_step=1,
            directions=4,
            last_directions=4,
            both_starts=1,
            refinements=0,
            apart=False,
            starts_beside=False,
            affine_rounds=0,
            affine_bits=inf,
        ),
        tree_depth=1,
        intra_tries=1,
        trial=False,
        trial_depth=0,
        thorough=False,
        key_thorough=False,
        transforms=1,
        key_halves_bits=inf,
        key_passes=1,
        step_trials=False,
        first_pass=None,
        temporal_filter=False,
        network_sites=0,
        network_estimate=True,
    ),
    "fast": Effort(
        motion=MotionLimits(
            least_level=0,
            merge_bits=2.0,
            split_bits=4.0,
            split_margin=2.0,
            cell_margin=3.0,
            halves_bits=inf,
            halves_satd=0.0,
            first_step=4,
            fine_step=1,
            directions=5,
            last_directions=8,
            both_starts=1,
            refinements=1,
            apart=False,
            starts_beside=False,
            affine_rounds=0,
            affine_bits=inf,
        ),
        tree_depth=2,
        intra_tries=2,
        trial=False,
        trial_depth=0,
        thorough=False,
        key_thorough=False,
        transforms=2,
        key_halves_bits=inf,
        key_passes=1,
        step_trials=False,
        first_pass=None,
        temporal_filter=True,
        network_sites=3000,
        network_estimate=True,
    ),
    "medium": Effort(
        motion=MotionLimits(
            least_level=0,
            merge_bits=1.0,
            split_bits=3.0,
            split_margin=0.0,
            cell_margin=0.0,
            halves_bits=4.0,
            halves_satd=1.03,
            first_step=8,
            fine_step=2,
            directions=5,
            last_directions=8,
            both_starts=1,
            refinements=2,
            apart=False,
            starts_beside=False,
            affine_rounds=4,
            affine_bits=4.0,
        ),
        tree_depth=2,
        intra_tries=5,
        trial=True,
        trial_depth=1,
        thorough=False,
        key_thorough=True,
        transforms=3,
        key_halves_bits=2.0,
        key_passes=1,
        step_trials=False,
        first_pass=None,
        temporal_filter=True,
        network_sites=6000,
        network_estimate=False,
    ),
    "slow": Effort(
        motion=MotionLimits(
            least_level=0,
            merge_bits=0.25,
            split_bits=0.15,
            split_margin=0.0,
            cell_margin=0.0,
            halves_bits=1.0,
            halves_satd=1.1,
            first_step=8,
            fine_step=2,
            directions=8,
            last_directions=8,
            both_starts=2,
            refinements=6,
            apart=True,
            starts_beside=True,
            affine_rounds=4,
            affine_bits=2.0,
        ),
        tree_depth=3,
        intra_tries=10,
        trial=True,
        trial_depth=2,
        thorough=True,
        key_thorough=True,
        transforms=3,
        key_halves_bits=2.0,
        key_passes=3,
        step_trials=True,
        first_pass=None,
        temporal_filter=True,
        network_sites=12000,
        network_estimate=False,
    ),
}

EFFORTS["slow"] = replace(EFFORTS["slow"], first_pass=EFFORTS["fast"])
"""By preset."""
