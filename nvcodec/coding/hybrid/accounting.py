"""The bits that a group of the hybrid model spends on each kind of syntax (spec 7.4 to 7.8).

Takes the substreams of a group; gives bits by kind for each canvas. Nothing is reconstructed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nvcodec.coding.bits import adapt
from nvcodec.coding.hybrid.canvases import default_contexts
from nvcodec.coding.hybrid.content import decode_content, trace_content
from nvcodec.coding.hybrid.filters import decode_filters
from nvcodec.coding.hybrid.leaves import Q
from nvcodec.coding.hybrid.levels import FULL, LAST, SECONDARY, SINE_FLAG
from nvcodec.coding.hybrid.motion import (
    AFFINE_FLAG,
    BOTH,
    COPIED,
    CUT_FLAG,
    CUT_IN_TWO,
    GRADIENT_ZERO,
    HALVED,
    INTRA_FLAG,
    LISTED,
    MERGE_FLAG,
    MOTION_CONTEXTS,
    SCREEN,
    SPLIT,
    VZERO,
    decode_motion,
    trace_motion,
)
from nvcodec.coding.hybrid.palettes import REUSE
from nvcodec.coding.hybrid.units import CODED_FLAG, DELTA, UNEVEN_TREE
from nvcodec.coding.rangecoder import RangeDecoder
from nvcodec.compiled import kernel
from nvcodec.picture import SampleFormat

KINDS = (
    "partition",
    "intra modes",
    "copied leaves",
    "merging",
    "vectors",
    "quantisers",
    "coded flags",
    "transforms",
    "last positions",
    "levels",
    "signs and escapes",
    "palettes",
    "filters",
)
"""Kinds of syntax elements. Flags and entries of affine leaves are in `merging`, their gradients in
`vectors`, as the bits without a context of copy vectors; those of last positions, of new colours
and of a canvas's first quantiser are in `signs and escapes`."""

_MOTION = (
    (SPLIT, "partition"),
    (CUT_FLAG, "intra modes"),
    (INTRA_FLAG, "intra modes"),
    (MERGE_FLAG, "merging"),
    (BOTH, "vectors"),
    (VZERO, "vectors"),
    (LISTED, "intra modes"),
    (COPIED, "copied leaves"),
    (SCREEN, "palettes"),
    (HALVED, "partition"),
    (CUT_IN_TWO, "intra modes"),
    (AFFINE_FLAG, "merging"),
    (GRADIENT_ZERO, "vectors"),
)
_CONTENT = (
    (DELTA, "quantisers"),
    (CODED_FLAG, "coded flags"),
    (LAST, "last positions"),
    (FULL, "levels"),
    (SINE_FLAG, "transforms"),
    (REUSE, "palettes"),
    (UNEVEN_TREE, "coded flags"),
    (SECONDARY, "transforms"),
)
"""The first context of each run of contexts of one kind."""


@kernel
def _spend(trace: np.ndarray, contexts: np.ndarray, spent: np.ndarray) -> None:
    """Add to spent[context] the bits that a trace takes; adapts the contexts."""
    for entry in trace:
        context, value = entry >> 1, entry & 1
        fast, slow = np.int64(contexts[context, 0]), np.int64(contexts[context, 1])
        one = ((fast + slow) >> 1) / 65536.0
        spent[context] -= np.log2(one if value else 1.0 - one)
        adapt(contexts, context, value, fast, slow)


def _by_kind(spent: np.ndarray, runs: Sequence[tuple[int, str]]) -> dict[str, float]:
    found = dict.fromkeys(KINDS, 0.0)
    ends = [first for first, _ in runs[1:]] + [len(spent)]
    for (first, kind), end in zip(runs, ends, strict=True):
        found[kind] += float(spent[first:end].sum())
    return found


def spent_bits(
    motion: bytes,
    content: bytes,
    canvases: Sequence[tuple[int, bool]],
    size: tuple[int, int],
    sample_format: SampleFormat,
) -> list[dict[str, float]]:
    """Bits of each kind (KINDS) of each canvas of a group, in coding order.

    `motion` and `content` are its substreams, `canvases` the Set of each canvas and whether it has
    two references, `size` is (CodedWidth, CodedHeight). The bits are those of the range coder's
    interval; their sum differs from the bytes by what is rounded up at the end of each substream.
    Raises CorruptError for an invalid substream.
    """
    decoders = [
        RangeDecoder(data, contexts)
        for data, contexts in zip((motion, content), default_contexts(), strict=True)
    ]
    adapted = default_contexts()
    result = []
    for canvas_set, two in canvases:
        start = decoders[0].bits_read
        leaves = decode_motion(decoders[0], *size, canvas_set, sample_format, two)
        spent = np.zeros(MOTION_CONTEXTS)
        trace = trace_motion(leaves, *size, canvas_set, sample_format, two)
        _spend(trace, adapted[0], spent)
        bits = _by_kind(spent, _MOTION)
        bits["vectors"] += decoders[0].bits_read - start - float(spent.sum())
        start = decoders[1].bits_read
        if canvas_set < 2:
            decode_filters(decoders[1], sample_format.planes, *size)
        bits["filters"] = decoders[1].bits_read - start
        start = decoders[1].bits_read
        quantiser, units, levels = decode_content(
            decoders[1], leaves, canvas_set, *size, sample_format
        )
        spent = np.zeros(len(adapted[1]))
        varying = bool((leaves[:, Q] != quantiser).any())
        trace = trace_content(leaves, units, levels, quantiser, varying, canvas_set, sample_format)
        _spend(trace, adapted[1], spent)
        for kind, number in _by_kind(spent, _CONTENT).items():
            bits[kind] += number
        bits["signs and escapes"] += decoders[1].bits_read - start - float(spent.sum())
        result.append(bits)
    for decoder in decoders:
        decoder.close()
    return result
