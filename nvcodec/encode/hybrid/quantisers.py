"""Quality to quantiser indices: how coarse each kind of canvas is."""

from __future__ import annotations

from nvcodec.model.canvas.plane import Step

KEY = -2
CHAIN = 0
INTERIOR = (3, 4, 5, 6)
"""What is added to crf for an interior canvas by depth, from 1 on; the last one is for the rest."""

LAST = 63


def quantiser(crf: float, step: Step) -> int:
    """The quantiser index (spec 8.6) of the canvas of a step."""
    offset = (KEY, CHAIN, INTERIOR[min(max(step.depth, 1), len(INTERIOR)) - 1])[step.set]
    # Half is rounded up, not to even: equal steps of crf are equal steps of the index.
    return min(LAST, max(0, int(crf + offset + 0.5)))
