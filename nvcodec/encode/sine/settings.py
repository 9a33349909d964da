"""Options of an encode to lambda, network shape and iterations of a sine network."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nvcodec.model.sine.shape import NetworkShape

PAPER_SHAPE = NetworkShape(
    patch=32,
    group_frames=3,
    depth=2,
    width=512,
    stem_channels=16,
    head_channels=8,
)
"""The network of arXiv 2212.14593 in the fields of spec 4.1."""

_REFERENCE_PATCHES = 400


@dataclass(frozen=True)
class Preset:
    """Training effort: optimiser iterations and patches per step (0: all patches).

    Iterations are for frames of up to 400 patches. For larger frames with subsampled patches they
    grow with the square root of the number of patches, because each patch is seen less often.
    """

    key_iterations: int
    iterations: int
    batch: int

    def scaled(self, patches: int) -> Preset:
        """The preset for frames of `patches` patches."""
        if not self.batch:
            return self
        factor = math.sqrt(max(1.0, patches / _REFERENCE_PATCHES))
        return Preset(
            round(self.key_iterations * factor), round(self.iterations * factor), self.batch
        )


PRESETS = {
    "fast": Preset(400, 200, 192),
    "medium": Preset(1200, 500, 256),
    "slow": Preset(4000, 1600, 256),
    "paper": Preset(16000, 2000, 0),
}


def rate_weight(crf: float) -> float:
    """Lambda: the squared error, in 8-bit levels summed over all planes, that a bit is worth.

    It doubles every 3 steps of `crf`, as in conventional codecs.
    """
    return 0.85 * math.pow(2.0, (crf - 12.0) / 3.0)


def network_shape(group_size: int | None) -> NetworkShape:
    """The shape of the paper; with `group_size`, for groups of so many frames."""
    return replace(PAPER_SHAPE, group_frames=group_size) if group_size else PAPER_SHAPE
