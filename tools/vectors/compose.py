"""Groups of random syntax: the reference decoder parses bits that it has not been given.

In place of its range decoder stands a coder that draws each bit, codes it and hands it back. So
whatever the decoder can parse can be made, in the proportions that a `Dice` sets, and a syntax
element that is new in the decoder is reached without a word here. Samples come from the same run.
"""

from __future__ import annotations

import copy
import functools
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tools.vectors.pack import DESCRIPTIONS, HYBRID, SINE, Group, Unit, grup, head
from tools.vectors.reference import reference, tables

Frame = tuple[np.ndarray, ...]
ATTEMPTS = 60


@dataclass
class Dice:
    """How bits are drawn.

    `wild` is the share of bits with a context that ignore its probability. Of these, and of bypass
    bits, `ones` is the share of ones. An outcome of a context that these dice never had is taken
    in `curious` of the cases. `most` bounds magnitudes of differences, `quantisers` are taken in
    turn, `force` may decide a bit by the stream's name and the number of its context, `steer` the
    value of bypass bits by the same of the last bit with a context, and their number. Dice that are
    not `honest` give classes filters that there are not.
    """

    seed: int
    wild: float = 0.1
    ones: float = 0.5
    curious: float = 0.3
    most: int | None = None
    quantisers: Sequence[int] = ()
    force: Callable[[str, int], int | None] | None = None
    steer: Callable[[str, int, int], int | None] | None = None
    honest: bool = True
    rng: np.random.Generator = field(init=False)
    taken: int = field(init=False, default=0)
    seen: Counter[tuple[str, int, int]] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def quantiser(self, least: int, last: int) -> int:
        """The next quantiser index."""
        if self.quantisers:
            self.taken += 1
            return int(self.quantisers[(self.taken - 1) % len(self.quantisers)])
        return int(self.rng.integers(least, last + 1))


class Recipe(bytes):
    """Stands for a substream that is to be composed: `begin` precedes what is range-coded."""

    dice: Dice
    made: list[Any]

    @classmethod
    def of(cls, dice: Dice, begin: bytes = b"") -> Recipe:
        """A recipe of its own."""
        recipe = cls(begin or b"?")
        recipe.dice, recipe.made = dice, []
        return recipe

    def __getitem__(self, key: Any) -> Any:
        """What is left after the records of spec 4.3 is a recipe too."""
        if not isinstance(key, slice):
            return super().__getitem__(key)
        rest = Recipe(super().__getitem__(key))
        rest.dice, rest.made = self.dice, self.made
        return rest

    def composed(self) -> bytes:
        """The bytes of the range-coded run, nothing if none was begun."""
        return self.made[0].flush() if self.made else b""


@functools.cache
def composer_class() -> type:
    """The coder that takes the place of the reference's range decoder."""
    decoder = reference().RangeDecoder

    class Composer(decoder):  # type: ignore[misc, valid-type]
        """Draws, codes and returns bits; see spec 3.2 for the coder."""

        def __init__(self, recipe: Any) -> None:
            self.reading = not isinstance(recipe, Recipe)
            if self.reading:
                super().__init__(recipe)
                return
            self.dice: Dice = recipe.dice
            self.low, self.range, self.out = 0, 0xFFFFFFFF, bytearray()
            self.name, self.numbers = "", dict(pending)
            self.count, self.filtering, self.starting = 0, False, True
            self.last = -1
            recipe.made.append(self)

        def add(self, value: int) -> None:
            self.low += value
            if self.low >> 32:
                self.low -= 1 << 32
                place = len(self.out) - 1
                while self.out[place] == 255:
                    self.out[place] = 0
                    place -= 1
                self.out[place] += 1

        def normalise(self) -> None:
            if self.reading:
                super().normalise()
                return
            while self.range < 1 << 24:
                self.range <<= 8
                self.out.append(self.low >> 24)
                self.low = (self.low << 8) & 0xFFFFFFFF

        def bit(self, context: list[int], forced: int | None = None) -> int:
            if self.reading:
                return int(super().bit(context))
            dice, p = self.dice, context[0] + context[1] >> 1
            key = self.name, self.numbers.get(id(context), -1)
            self.last = key[1]
            if forced is None and dice.force:
                forced = dice.force(*key)
            draw = dice.rng.random(3)
            if forced is not None:
                bit = forced
            elif dice.curious > draw[0] and not (dice.seen[*key, 0] and dice.seen[*key, 1]):
                bit = int(not dice.seen[*key, 1])
            elif draw[1] < dice.wild:
                bit = int(draw[2] < dice.ones)
            else:
                bit = int(draw[2] * 65536 < p)
            dice.seen[*key, bit] += 1
            bound = (self.range >> 16) * p
            if bit:
                self.range = bound
            else:
                self.add(bound)
                self.range -= bound
            shift = reference().SHIFT[context[2]]
            for place, rate in ((0, min(4, shift)), (1, min(8, shift))):
                value = context[place]
                context[place] += (65536 - value) >> rate if bit else -(value >> rate)
            context[2] = min(128, context[2] + 1)
            self.normalise()
            return bit

        def write(self, value: int, bits: int) -> int:
            for k in range(bits - 1, -1, -1):
                bound, bit = self.range >> 1, value >> k & 1
                if bit:
                    self.add(bound)
                self.range = self.range - bound if bit else bound
                self.normalise()
            return value

        def bypass(self, bits: int = 1) -> int:
            if self.reading:
                return int(super().bypass(bits))
            dice, value = self.dice, 0
            for _ in range(bits):
                value = 2 * value + int(dice.rng.random() < dice.ones)
            steered = dice.steer and dice.steer(self.name, self.last, bits)
            if steered is not None:
                return self.write(steered, bits)
            if self.name == "ResidualStream" and self.starting and bits == 6:
                value, self.starting = dice.quantiser(4, 63), False
            elif self.name == "ContentStream" and self.filtering and dice.honest:
                if bits == 3 and not self.count:
                    self.count = 1 + value
                elif self.count and bits == (self.count - 1).bit_length() and value >= self.count:
                    value = int(dice.rng.integers(self.count))
            elif self.name == "ContentStream" and self.starting and bits in (6, 7):
                value, self.starting = dice.quantiser(0, 63), False
            return self.write(value, bits)

        def magnitude(self, contexts: Any, more: int, prefix: int) -> int:
            if self.reading or self.dice.most is None:
                return int(super().magnitude(contexts, more, prefix))
            most = self.dice.most
            m = 1
            while m < 7 and self.bit(contexts[more + m - 1], 0 if m >= most else None):
                m += 1
            if m == 7:
                g, last = 0, (most - 6).bit_length() - 1
                while g < 15 and self.bit(contexts[prefix + min(g, 9)], 0 if g >= last else None):
                    g += 1
                r = int(self.dice.rng.integers(1 << g)) if g else 0
                m = 6 + (1 << g) + self.write(min(r, most - 6 - (1 << g)), g)
            return m

        def finish(self) -> None:
            if self.reading:
                super().finish()

        def flush(self) -> bytes:
            """The value of low..low + range - 1 with the most trailing zero bytes, without them."""
            low, code = self.low, 0
            for bits in (32, 24, 16, 8, 0):
                code = -(-low >> bits) << bits
                if code < low + self.range:
                    break
            self.add(code - low)
            return (bytes(self.out) + self.low.to_bytes(4, "big")).rstrip(b"\0")

    return Composer


pending: dict[int, int] = {}
"""The numbers of the contexts of model 1, which no stream object holds."""


@contextmanager
def numbered(decoder: type) -> Iterator[Any]:
    """The reference decoder with another range decoder, whose objects know their contexts.

    `name` of such an object is that of its stream's class, "" in model 1, and `numbers` has the
    number of each context by its identity.
    """
    module = reference()
    kept = module.RangeDecoder, module.read_tables
    start = module.Substream.__init__

    def begin(self: Any, data: bytes, defaults: Any) -> None:
        start(self, data, defaults)
        self.decoder.numbers = {id(context): k for k, context in enumerate(self.contexts)}
        self.decoder.name = type(self).__name__

    def read_tables(data: bytes, defaults: Any) -> Any:
        pending.clear()  # the identities of contexts that are no more may come again
        contexts = kept[1](data, defaults)
        pending.update({id(context): k for k, context in enumerate(contexts)})
        return contexts

    module.RangeDecoder, module.read_tables = decoder, read_tables
    module.Substream.__init__ = begin
    try:
        yield module
    finally:
        module.RangeDecoder, module.read_tables = kept
        module.Substream.__init__ = start


@contextmanager
def composing() -> Iterator[Any]:
    """The reference decoder with the composer in the place of its range decoder."""
    content = reference().ContentStream
    read, filters = content.read, content.filters

    def read_canvas(self: Any, canvas: Any) -> None:
        self.decoder.starting = True
        read(self, canvas)

    def read_filters(self: Any, canvas: Any, p: int) -> Any:
        self.decoder.filtering, self.decoder.count = True, p
        found = filters(self, canvas, p)
        self.decoder.filtering = False
        return found

    content.read, content.filters = read_canvas, read_filters
    try:
        with numbered(composer_class()) as module:
            yield module
    finally:
        content.read, content.filters = read, filters


@dataclass
class Video:
    """A bitstream in the making: its units so far and the frames of its groups.

    `fields` are those of HEAD, `description` is the payload of the model's unit.
    """

    fields: dict[str, Any]
    description: bytes
    units: list[Unit] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    pts: int = 0

    def __post_init__(self) -> None:
        payload = head(**self.fields)
        module = reference()
        self.head = module.Head.parse(payload)
        number = self.fields.get("model", HYBRID)
        model = {1: module.Sine, 2: module.Hybrid, 3: module.Nirvana}[number]
        self.model = model(self.description, self.head, tables())
        self.number = number
        self.units += [Unit(b"HEAD", payload), Unit(DESCRIPTIONS[number], self.description)]

    def compose(
        self,
        key: bool,
        count: int,
        dice: Dice,
        *,
        second: int = 0,
        begin: bytes = b"",
        empty: Sequence[str] = (),
        broken: tuple[str, str] | None = None,
    ) -> tuple[dict[str, bytes], list[Frame]]:
        """The substreams and frames of a group; `broken` is the clause that it shall break,
        with a part of what is said of it.

        `begin` is what precedes the run of the network substream in model 1, `empty` names
        substreams that hold nothing, and need no bit.
        """
        module = reference()
        for attempt in range(ATTEMPTS):
            model = copy.deepcopy(self.model, known(self.model))
            names = [name for name in self.model.substreams if name not in empty]
            recipes = {
                name: Recipe.of(dice, begin if name == "network" else b"")
                for name in names
                if not (name == "motion" and key and self.number == 3)
            }
            data = {name: recipes.get(name, b"") for name in self.model.substreams}
            if self.number == SINE and key and "network" in empty:
                data["network"] = begin
            try:
                with composing():
                    frames = list(model.decode_group(key, second, count, data))
            except module.NrvError as error:
                if broken and broken[0] == error.clause and broken[1] in error.what:
                    return self.made(recipes, begin), []
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            if broken is None:
                self.model = model
                return self.made(recipes, begin), frames
        raise RuntimeError(f"no group of {ATTEMPTS} breaks {broken}")

    def made(self, recipes: dict[str, Recipe], begin: bytes) -> dict[str, bytes]:
        """The bytes of substreams."""
        found = {name: recipe.composed() for name, recipe in recipes.items()}
        if begin:
            found["network"] = begin + found.get("network", b"")
        return found

    def add(
        self,
        key: bool,
        durations: Sequence[int],
        dice: Dice,
        *,
        second: int = 0,
        gap: int = 0,
        **options: Any,
    ) -> Group:
        """Compose a group and append its unit."""
        substreams, frames = self.compose(key, len(durations), dice, second=second, **options)
        crc = 0
        for frame in frames:
            for plane in frame:
                crc = zlib.crc32(plane.tobytes(), crc)
        group = Group(
            first_frame=len(self.frames),
            durations=durations,
            first_pts=self.pts + gap,
            key=key,
            crc=crc,
            second=second,
            **substreams,
        )
        self.units.append(grup(group))
        self.frames += frames
        self.pts = group.first_pts + sum(durations)
        return group


def known(model: Any) -> dict[int, Any]:
    """What a copy of a model shares with it: tables, which nothing changes."""
    shared = [model.tables] if hasattr(model, "tables") else []
    for layer in getattr(model, "layers", []):
        shared += [layer.table] if hasattr(layer, "table") else []
    return {id(item): item for item in shared}
