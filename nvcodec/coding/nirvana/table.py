"""The table of the nirvana network (spec 11.2): its data files to named tensors.

The sizes of table 1 are constants. Kernels are compiled for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nvcodec.tables import load_binary

PATCH = 8
"""P: samples of a patch across and down."""
FRAMES = 4
"""T: frames of a patch."""
FRAME = PATCH * PATCH
"""Samples of a patch in a frame."""
VOLUME = FRAMES * FRAME
"""D: samples of a patch, ordered (frame, row, column)."""
FEATURES = 192
"""F: features of a patch."""
SLICES = (4, 12, 24, 40, 48, 64)
STARTS = (0, 4, 16, 40, 80, 128, 192)
"""SliceStart: the first feature of each slice, then F."""
ALWAYS = 3
"""Slices that every patch has (spec 11.6)."""
WHOLE = 5
"""Slices that see earlier slices of all nine patches; the last one sees those of its own."""
WIDE = 64
"""N: features of other patches that the synthesis network sees."""
WIDTH = 256
"""W: units of a hidden layer of the synthesis network."""
UNITS = 48
"""E: units of the entropy network's first hidden layer in a slice."""
SECOND_UNITS = 64
"""E2: units of its second hidden layer."""
NEAR = 80
"""Features that features of neighbours predict linearly, those of slices 0..3."""
NEAR_INPUTS = 40
"""Features that predict them, those of slices 0..2."""
GATED = 16
"""Features whose linear prediction has a gate, those of slices 0 and 1."""
CLASSES = 26
PARTS = 3

BLOCK = 2
"""Patches of a motion block across and down."""

Tensor = npt.NDArray[np.signedinteger]


def outputs(number: int) -> int:
    """K: outputs of the entropy network for a feature of slice `number`."""
    return 4 if number < 2 else 3


@dataclass(frozen=True, eq=False)
class Table:
    """The tensors of table 1, as spec 11.2 names them.

    Weights are int16, the others int32. `earlier`, `context`, `own`, `hidden` and `output` are A,
    C, M, H and O of each slice.
    """

    basis: Tensor
    first: Tensor
    first_own: Tensor
    second: Tensor
    third: Tensor
    earlier: tuple[Tensor, ...]
    context: tuple[Tensor, ...]
    own: tuple[Tensor, ...]
    hidden: tuple[Tensor, ...]
    output: tuple[Tensor, ...]
    neighbour: Tensor
    scale: Tensor
    shifts: Tensor
    first_bias: Tensor
    second_bias: Tensor
    third_bias: Tensor
    context_bias: tuple[Tensor, ...]
    hidden_bias: tuple[Tensor, ...]
    output_bias: tuple[Tensor, ...]
    log: Tensor
    zero_cost: Tensor


def network_offset(q: int) -> int:
    """CQ of spec 12.1: what the networks see of quantiser index q."""
    return min(10, max(-16, q - 36))


class _Reader:
    """Takes tensors from a flat array, one after the other."""

    def __init__(self, entries: Tensor) -> None:
        self._entries = entries
        self._at = 0

    def take(self, *shape: int) -> Tensor:
        count = math.prod(shape)
        part = self._entries[self._at : self._at + count].reshape(shape)
        self._at += count
        return part

    def close(self) -> None:
        if self._at != len(self._entries):
            raise ValueError(f"the table has {len(self._entries)} entries, not {self._at}")


@lru_cache
def load() -> Table:
    """Table 1, from `nirvana_weights.bin` and `nirvana_biases.bin`."""
    numbers = range(len(SLICES))
    weights = _Reader(load_binary("nirvana_weights.bin", 16))
    biases = _Reader(load_binary("nirvana_biases.bin", 32))
    basis = weights.take(VOLUME, FEATURES)
    first = weights.take(WIDTH, WIDE, 3, 3)
    first_own = weights.take(WIDTH, FEATURES - WIDE)
    second, third = weights.take(WIDTH, WIDTH), weights.take(VOLUME, WIDTH)
    earlier, context = [], []
    for s in numbers:
        taps = (9,) if s < WHOLE else ()
        earlier.append(weights.take(UNITS, 2, STARTS[s], *taps))
        context.append(weights.take(UNITS, 2, SLICES[s], 4))
    table = Table(
        basis=basis,
        first=first,
        first_own=first_own,
        second=second,
        third=third,
        earlier=tuple(earlier),
        context=tuple(context),
        own=tuple(weights.take(UNITS, 4, SLICES[s]) for s in numbers),
        hidden=tuple(weights.take(SECOND_UNITS, UNITS) for _ in numbers),
        output=tuple(weights.take(outputs(s), SLICES[s], SECOND_UNITS) for s in numbers),
        neighbour=weights.take(NEAR, NEAR_INPUTS, 3, 3),
        scale=biases.take(FEATURES),
        shifts=biases.take(5),
        first_bias=biases.take(2, WIDTH),
        second_bias=biases.take(WIDTH),
        third_bias=biases.take(VOLUME),
        context_bias=tuple(biases.take(3, UNITS) for _ in numbers),
        hidden_bias=tuple(biases.take(SECOND_UNITS) for _ in numbers),
        output_bias=tuple(biases.take(2, outputs(s), SLICES[s]) for s in numbers),
        log=biases.take(4096),
        zero_cost=biases.take(CLASSES, PARTS),
    )
    weights.close()
    biases.close()
    return table
