"""The network substream (spec 11.8) against the text, and damaged ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.nirvana.components import (
    INPUTS,
    MOST_VALUE,
    NO_COMPONENTS,
    SLOTS,
    Component,
    Components,
    decode_components,
    encode_components,
    trace_components,
)
from nvcodec.coding.nirvana.contexts import NETWORK_CONTEXTS
from nvcodec.coding.nirvana.table import VOLUME
from nvcodec.format.errors import CorruptError
from tests.coding.reference import Decoder, encode

from . import reference


def component(seed: int, most: int) -> Component:
    rng = np.random.default_rng(seed)
    inputs, outputs = (
        rng.integers(-most, most + 1, n).astype(np.int8).tobytes() for n in (INPUTS, VOLUME)
    )
    return Component(int(rng.integers(16)), inputs, outputs)


KINDS = st.one_of(
    st.none(), st.builds(component, st.integers(0, 9), st.sampled_from([0, 1, 8, MOST_VALUE]))
)
ALL = st.tuples(*[KINDS] * SLOTS)


def text(slots: list[reference.Slot], before: Components) -> Components:
    found: list[Component | None] = []
    for slot, old in zip(slots, before, strict=True):
        if not slot.new:
            found.append(old)
        elif slot.I is None:
            found.append(None)
        else:
            parts = (np.array(part, np.int8).tobytes() for part in (slot.I, slot.J))
            found.append(Component(slot.shift, *parts))
    return tuple(found)


@given(ALL, ALL)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_as_the_text(components: Components, before: Components) -> None:
    data = encode_components(components, before)
    assert (data == b"") == (components == before)
    assert decode_components(data, before) == components
    if data:
        slow = Decoder(data)
        assert text(reference.network(slow, reference.contexts()[2]), before) == components
        assert slow.finished()
        record = trace_components(components, before)
        assert len(record) == slow.bits
        assert (record >> 1 < NETWORK_CONTEXTS).all()


def test_kept_slots_cost_next_to_nothing() -> None:
    many = tuple(component(k, 9) for k in range(SLOTS))
    fewer = (*many[:-1], None)
    assert len(encode_components(fewer, many)) <= 2
    alone = encode_components((many[0], None, None, None), NO_COMPONENTS)
    assert len(encode_components(many, (None, *many[1:]))) <= len(alone) + 1


@pytest.mark.parametrize("value", [-128, 128, 5000])
def test_values_out_of_range(value: int) -> None:
    class Script(Decoder):
        """Slot 0 has one large value, all else is 0."""

        def __init__(self) -> None:
            self.bins = []
            self.asked = 0

        def bypass(self) -> int:
            bit = int(len(self.bins) < 2)
            if self.asked and self.asked <= rest.bit_length():
                place = rest.bit_length() - 1 - self.asked
                bit = rest >> place & 1 if place >= 0 else int(value < 0)
                self.asked += 1
            self.bins.append((None, bit))
            return bit

        def bit(self, context: reference.Context) -> int:
            large = not self.asked
            ones = sum(p is not None for p, _ in self.bins)
            bit = int(large and ones < 7 + rest.bit_length() - 1)
            if large and not bit:
                self.asked = 1
            self.bins.append(((context.fast + context.slow) >> 1, bit))
            context.adapt(bit)
            return bit

    rest = abs(value) - 6
    script = Script()
    slots = reference.network(script, reference.contexts()[2])
    assert slots[0].I is not None
    assert slots[0].I[0] == value
    with pytest.raises(CorruptError, match="above 127") as error:
        decode_components(encode(script.bins), NO_COMPONENTS)
    assert error.value.rule == "11.8"


def test_bytes_after_the_end() -> None:
    data = encode_components((component(1, 9), None, None, None), NO_COMPONENTS)
    with pytest.raises(CorruptError):
        decode_components(data + bytes([1] * 5), NO_COMPONENTS)
