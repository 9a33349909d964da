"""The tools that an encode uses: all of them, except in an ablation that measures one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tools:
    """Switches of the hybrid encoder. Switching a tool off retunes nothing else.

    The syntax does not change: a flag that always has the same value costs bits until its context
    has adapted. A decoder cannot read what is coded without `deblocking` or without
    `trained_contexts`; these two only serve to measure.

    Attributes:
        merge: merged leaves.
        bi: leaves with two vectors of their own.
        affine: affine leaves.
        largest_inter: longest side of an inter leaf in luma samples, 64 or 32.
        smallest_inter: shortest side of an inter leaf, 8 or 16.
        halves: leaves, and luma blocks of intra leaves of 8, that are no squares.
        intra: intra leaves in inter canvases.
        inter_transform_32: transforms with a side of 32 in inter canvases. Without them intra
            leaves there are at most 16 x 16.
        key_transform_32: transforms with a side of 32 in key canvases.
        transform_4: 4 x 4 luma transforms, and intra leaves with several luma blocks.
        linear_chroma: chroma predicted from luma.
        copies: intra leaves that are copied from the same canvas.
        palettes: intra leaves with palettes.
        sine: sine transforms.
        secondary: secondary transforms.
        deblocking: the deblocking filter (spec 8.7).
        trained_contexts: the default contexts of both substreams (spec 7.7). Without them every
            context starts at probability 1/2.
        trials: compare candidates by coding their residuals, if the preset does so.
        adaptive_filter: adaptive filters of key and chain canvases.
        second_reference: second references of chain canvases.
        temporal_filter: average pictures along motion before they are coded.

    """

    merge: bool = True
    bi: bool = True
    affine: bool = True
    largest_inter: int = 64
    smallest_inter: int = 8
    halves: bool = True
    intra: bool = True
    inter_transform_32: bool = True
    key_transform_32: bool = True
    transform_4: bool = True
    linear_chroma: bool = True
    copies: bool = True
    palettes: bool = True
    sine: bool = True
    secondary: bool = True
    deblocking: bool = True
    trained_contexts: bool = True
    trials: bool = True
    adaptive_filter: bool = True
    second_reference: bool = True
    temporal_filter: bool = True

    @property
    def largest_intra(self) -> int:
        """Luma samples across the largest intra leaf of an inter canvas; 0 for no intra leaves."""
        return 0 if not self.intra else 32 if self.inter_transform_32 else 16


ALL = Tools()
"""The encoder with every tool."""
