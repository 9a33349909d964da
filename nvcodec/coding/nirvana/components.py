"""The network substream of a group (spec 11.8): changes of the output layer to bytes and back.

Takes and gives the components of all slots, those of the group before given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.difference import difference, magnitude_class
from nvcodec.coding.nirvana.contexts import default_contexts
from nvcodec.coding.nirvana.table import VOLUME, WIDTH
from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import STATE_SIZE, Direction, bypass, compile_syntax
from nvcodec.format.errors import CorruptError

SLOTS = 4
INPUTS = WIDTH + 1
"""Inputs of a component: the units of the second hidden layer, and a constant."""
MOST_VALUE = 127
MOST_SHIFT = 15

_PER_KIND = 31
_PREFIX = 21
_MOST_BYTES = SLOTS * 4 * (INPUTS + VOLUME)


@dataclass(frozen=True)
class Component:
    """A change of rank 1: `inputs` are INPUTS, `outputs` VOLUME bytes of int8."""

    shift: int
    inputs: bytes
    outputs: bytes

    def values(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Inputs and outputs as integers."""
        inputs, outputs = (np.frombuffer(part, np.int8) for part in (self.inputs, self.outputs))
        return inputs.astype(np.int64), outputs.astype(np.int64)


Components = tuple[Component | None, ...]
"""The components in the slots."""

NO_COMPONENTS: Components = (None,) * SLOTS


def slots(
    coder: np.ndarray,
    contexts: np.ndarray,
    buffer: np.ndarray,
    state: np.ndarray,
    values: np.ndarray,
) -> None:
    """Syntax of spec 11.8.

    `state` is int32 (SLOTS, 3): new, used, shift. `values` is int32 (SLOTS, INPUTS + VOLUME).
    """
    for slot in range(state.shape[0]):
        new = bypass(state[slot, 0])
        state[slot, 0] = new
        if new != 0:
            used = bypass(state[slot, 1])
            state[slot, 1] = used
            if used != 0:
                shift = 0
                for j in range(4):
                    b = bypass((state[slot, 2] >> (3 - j)) & 1)
                    shift = 2 * shift + b
                state[slot, 2] = shift
                for k in range(values.shape[1]):
                    kind = 0 if k < INPUTS else 1
                    number = 0
                    if k != 0 and k != INPUTS:
                        number = magnitude_class(values[slot, k - 1])
                    base = _PER_KIND * kind
                    d = difference(values[slot, k], base + 7 * number, base + _PREFIX)
                    values[slot, k] = d


def _arrays(components: Components) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    state = np.zeros((SLOTS, 3), np.int32)
    values = np.zeros((SLOTS, INPUTS + VOLUME), np.int32)
    for slot, component in enumerate(components):
        if component is not None:
            state[slot, 1:] = 1, component.shift
            values[slot] = np.concatenate(component.values())
    return state, values


def _changed(components: Components, before: Components) -> tuple[np.ndarray, np.ndarray]:
    state, values = _arrays(components)
    state[:, 0] = [a != b for a, b in zip(components, before, strict=True)]
    return state, values


def encode_components(components: Components, before: Components) -> bytes:
    """The network substream of a group; empty if nothing changes."""
    if components == before:
        return b""
    encoder = RangeEncoder(default_contexts().network, _MOST_BYTES)
    encoder.run(compile_syntax(slots, Direction.ENCODE), *_changed(components, before))
    return encoder.finish()


def trace_components(components: Components, before: Components) -> npt.NDArray[np.int32]:
    """The context-coded bits of a network substream, in order: 2 * context + bit."""
    state = np.zeros(STATE_SIZE, np.int64)
    record = np.empty(8 * _MOST_BYTES, np.int32)
    compile_syntax(slots, Direction.TRACE)(
        state, default_contexts().network, record, *_changed(components, before)
    )
    return record[: int(state[4])]


def decode_components(network: bytes, before: Components) -> Components:
    """The components of a group, those of the group before given. Raises CorruptError."""
    if not network:
        return before
    decoder = RangeDecoder(network, default_contexts().network)
    state, values = _arrays(NO_COMPONENTS)
    decoder.run(compile_syntax(slots, Direction.DECODE), state, values)
    decoder.close()
    if np.abs(values).max() > MOST_VALUE:
        raise CorruptError(f"a component has a value above {MOST_VALUE}", rule="11.8")
    found: list[Component | None] = []
    for (new, used, shift), line, old in zip(state.tolist(), values, before, strict=True):
        if not new:
            found.append(old)
        elif not used:
            found.append(None)
        else:
            inputs, outputs = np.split(line.astype(np.int8), [INPUTS])
            found.append(Component(shift, inputs.tobytes(), outputs.tobytes()))
    return tuple(found)
