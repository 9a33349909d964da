"""The tools that an encode uses: all of them, unless it measures what one is worth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tools:
    """Switches of the hybrid encoder; nothing else is tuned to what is off.

    The syntax stays: a flag that is always the same costs what adapting to it takes. Without
    `deblocking`, or without `trained_contexts`, the result is no file that a decoder can read: it
    serves to measure.

    Attributes:
        merge: merged leaves.
        bi: leaves with two vectors of their own.
        largest_inter: luma samples across the largest inter leaf, 64 or 32.
        smallest_inter: the same of the smallest, 8 or 16.
        intra: intra leaves in inter canvases.
        inter_transform_32: transforms of 32 in inter canvases; without them intra leaves there
            are 16 at most.
        key_transform_32: transforms of 32 in key canvases.
        transform_4: luma transforms of 4, and intra prediction by quarters.
        deblocking: the deblocking filter (spec 8.7).
        trained_contexts: the default contexts of both substreams (spec 7.7), all even without.
        trials: choices are compared by coding them, where the preset does.

    """

    merge: bool = True
    bi: bool = True
    largest_inter: int = 64
    smallest_inter: int = 8
    intra: bool = True
    inter_transform_32: bool = True
    key_transform_32: bool = True
    transform_4: bool = True
    deblocking: bool = True
    trained_contexts: bool = True
    trials: bool = True

    @property
    def largest_intra(self) -> int:
        """Luma samples across the largest intra leaf of an inter canvas, 0 for none."""
        return 0 if not self.intra else 32 if self.inter_transform_32 else 16


ALL = Tools()
"""The encoder as it is."""
