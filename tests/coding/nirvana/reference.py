"""A slow decoder of spec 11.5, 11.6 and 12.3, written from the text with exact sums.

It shares only the data files with the package. `Script` stands for a decoder that reads any syntax
one likes; what it has read can be coded by `tests.coding.reference.encode`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tests.coding.reference import Bin, Context, Decoder, coded_difference

TABLES = Path(__file__).parents[3] / "spec" / "tables"

P, T, F, N = 8, 4, 192, 64
D = T * P * P
W, E, E2 = 256, 48, 64
SIZES = [4, 12, 24, 40, 48, 64]
START = [0, 4, 16, 40, 80, 128, 192]
MOTION_CONTEXTS, CONTENT_CONTEXTS, NETWORK_CONTEXTS = 88, 635, 62

Array = np.ndarray


def outputs(s: int) -> int:
    return 4 if s < 2 else 3


class File:
    """A binary data file of spec 11.2."""

    def __init__(self, name: str, bits: int) -> None:
        self.entries = np.fromfile(TABLES / name, f"<i{bits // 8}").astype(np.int64)

    def take(self, *shape: int) -> Array:
        count = int(np.prod(shape))
        part, self.entries = self.entries[:count].reshape(shape), self.entries[count:]
        return part


class Table:
    """The tensors of table 1, by their names in spec 11.2."""

    def __init__(self) -> None:
        file = File("nirvana_weights.bin", 16)
        self.BASIS = file.take(D, F)
        self.W1 = file.take(W, N, 3, 3)
        self.W1C = file.take(W, F - N)
        self.W2 = file.take(W, W)
        self.W3 = file.take(D, W)
        self.A, self.C = [], []
        for s in range(6):
            self.A.append(file.take(E, 2, START[s], *((3, 3) if s < 5 else ())))
            self.C.append(file.take(E, 2, SIZES[s], 4))
        self.M = [file.take(E, 4, SIZES[s]) for s in range(6)]
        self.H = [file.take(E2, E) for _ in range(6)]
        self.O = [file.take(outputs(s), SIZES[s], E2) for s in range(6)]
        self.NEIGHBOUR = file.take(80, 40, 3, 3)
        assert not file.entries.size
        file = File("nirvana_biases.bin", 32)
        self.SCALE = file.take(F)
        self.SHIFTS = [int(shift) for shift in file.take(5)]
        self.B1 = file.take(2, W)
        self.B2 = file.take(W)
        self.B3 = file.take(D)
        self.BC = [file.take(3, E) for _ in range(6)]
        self.BH = [file.take(E2) for _ in range(6)]
        self.BO = [file.take(2, outputs(s), SIZES[s]) for s in range(6)]
        self.LOG = file.take(4096)
        self.ZERO_COST = file.take(26, 3)
        assert not file.entries.size


@lru_cache
def table() -> Table:
    return Table()


def contexts() -> tuple[list[Context], list[Context], list[Context]]:
    """Those of the motion, the content and the network substream."""
    lines = (TABLES / "nirvana_contexts.txt").read_text(encoding="ascii").splitlines()
    found = [Context(int(a), int(b)) for a, b in (x.split() for x in lines if x[0] != "#")]
    assert len(found) == MOTION_CONTEXTS + CONTENT_CONTEXTS + NETWORK_CONTEXTS
    motion, rest = found[:MOTION_CONTEXTS], found[MOTION_CONTEXTS:]
    return motion, rest[:CONTENT_CONTEXTS], rest[CONTENT_CONTEXTS:]


def rshift(a: Array, n: int) -> Array:
    return (a + (1 << n >> 1)) >> n


def offset(q: int) -> int:
    """CQ of spec 12.1."""
    return min(10, max(-16, q - 36))


def hidden(a: Array, shift: int) -> Array:
    v = rshift(a, shift)
    return np.clip(np.maximum(v, v >> 3), -4095, 4095)


class Script(Decoder):
    """Random bits in place of those of a substream; a bit with a context is 1 at this share."""

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        self.rng, self.share = rng, share
        self.bins: list[Bin] = []

    def bit(self, context: Context) -> int:
        bit = int(self.rng.random() < self.share)
        self.bins.append(((context.fast + context.slow) >> 1, bit))
        context.adapt(bit)
        return bit

    def bypass(self) -> int:
        self.bins.append((None, int(self.rng.integers(2))))
        return self.bins[-1][1]


Path_ = list[list[int]]


@dataclass
class Block:
    intra: int = 0
    joined: int = 0
    path: Path_ | None = None


class Motion:
    """Spec 11.5: the blocks of a group."""

    def __init__(
        self, decoder: Decoder, contexts: list[Context], rows: int, columns: int, frames: int
    ) -> None:
        self.blocks: dict[tuple[int, int], Block] = {}
        for y in range(rows):
            for x in range(columns):
                self.blocks[y, x] = self.block(decoder, contexts, y, x, frames)
        paths = [self.blocks[y, x].path for y in range(rows) for x in range(columns)]
        self.paths = np.array(paths).reshape(rows, columns, frames, 2)
        intra = [self.blocks[y, x].intra for y in range(rows) for x in range(columns)]
        self.intra = np.array(intra).reshape(rows, columns)

    def block(
        self, decoder: Decoder, contexts: list[Context], y: int, x: int, frames: int
    ) -> Block:
        a, b = self.blocks.get((y, x - 1)), self.blocks.get((y - 1, x))
        around = [block for block in (a, b) if block is not None]
        zeros = [[0, 0] for _ in range(frames)]
        if decoder.bit(contexts[sum(block.intra for block in around)]):
            return Block(intra=1, path=zeros)
        moving = [block.path for block in around if not block.intra]
        near = moving[0] if moving else zeros
        candidates = [near]
        if b is not None and not b.intra and b.path not in candidates:
            candidates.append(b.path)
        if zeros not in candidates:
            candidates.append(zeros)
        joined = sum(block.joined for block in around)
        for i, candidate in enumerate(candidates):
            if decoder.bit(contexts[3 + 3 * i + joined]):
                return Block(joined=1, path=candidate)
        path: Path_ = []
        d = [[0, 0] for _ in range(frames)]
        for t in range(frames):
            path.append([0, 0])
            for c in range(2):
                number = 0 if t == 0 else 1 + min(2, abs(d[t - 1][c]).bit_length())
                first = 12 + 38 * c
                d[t][c] = coded_difference(decoder, contexts, first + 7 * number, first + 28)
                predicted = near[t][c]
                if t > 0:
                    predicted += path[t - 1][c] - near[t - 1][c]
                path[t][c] = min(2047, max(-2047, predicted + d[t][c]))
        return Block(path=path)


@dataclass
class Prediction:
    """Of the features of a slice in a patch."""

    Mean: Array
    Class: Array
    Part: Array
    Fraction: Array


class Entropy:
    """Spec 12.3 in one layer of a group: `residual` is what is coded so far.

    `m` and `d` are (rows, columns, F): moved features in steps, and differences to them. `number`
    is that of 11.6, `kind` is 0 for layer 0, else 1.
    """

    def __init__(self, q: int, key: bool, m: Array, d: Array, kind: int = 0) -> None:
        self.q, self.key, self.kind = q, key, kind
        self.number = np.full(m.shape[:2], 6)
        self.m, self.d = m.astype(np.int64), d.astype(np.int64)
        self.residual = np.zeros(m.shape, np.int64)

    def at(self, y: int, x: int) -> Array:
        """The residuals of a patch, 0 outside the grid."""
        rows, columns = self.residual.shape[:2]
        inside = 0 <= y < rows and 0 <= x < columns
        return self.residual[y, x] if inside else np.zeros(F, np.int64)

    def predict(self, s: int, y: int, x: int) -> Prediction:
        data, cq = table(), offset(self.q)
        own = slice(START[s], START[s + 1])

        def value(a: Array) -> Array:
            return np.clip(a, -240, 240)

        def log(a: Array) -> Array:
            return data.LOG[np.minimum(4095, np.abs(a))]

        total = data.BC[s][0] + cq * data.BC[s][1] + (data.BC[s][2] if self.key else 0)
        for j in range(9):
            r = 16 * self.at(y + j // 3 - 1, x + j % 3 - 1)
            parts = []
            if s < 5:
                parts.append((data.A[s][..., j // 3, j % 3], r[: START[s]]))
            elif j == 4:
                parts.append((data.A[s], r[: START[5]]))
            if j < 4:
                parts.append((data.C[s][..., j], r[own]))
            for weights, a in parts:
                total = total + weights[:, 0] @ value(a) + weights[:, 1] @ log(a)
        m, d = self.m[y, x, own], self.d[y, x, own]
        if not self.key:
            for kind, a in enumerate((value(m), log(m), value(d), log(d))):
                total = total + data.M[s][:, kind] @ a
        h = hidden(total, data.SHIFTS[2])
        g = hidden(data.BH[s] + data.H[s] @ h, data.SHIFTS[3])
        o = rshift(data.BO[s][0] + cq * data.BO[s][1] + data.O[s] @ g, data.SHIFTS[4])

        def gate(a: Array) -> Array:
            return np.clip(32 + (a >> 2), 0, 64)

        mean = o[0]
        if s < 4:
            total = np.zeros_like(mean)
            for j in range(9):
                known = START[s + 1] if s < 3 and j < 4 else min(40, START[s])
                weights = data.NEIGHBOUR[own, :known, j // 3, j % 3]
                total = total + weights @ self.at(y + j // 3 - 1, x + j % 3 - 1)[:known]
            near = total >> 2
            mean = mean + (((gate(o[3]) * near) >> 6) if s < 2 else near)
        if not self.key:
            mean = mean + ((gate(o[2]) * d) >> 4)
        rounded = (mean + 32) >> 6
        fraction = mean - 64 * rounded
        a = np.abs(fraction)
        return Prediction(
            rounded, np.clip((o[1] + 243) // 18, 0, 25), (a >= 5) + 1 * (a >= 16), fraction
        )


def in_steps(features: Array, reciprocal: int) -> Array:
    """Spec 12.1."""
    return np.clip(rshift(features.astype(np.int64) * reciprocal, 15), -32767, 32767)


def bucket(n: int) -> int:
    assert n >= 1
    if n == 1:
        return 0
    return min(35, 2 * (n.bit_length() - 1) + (n >> (n.bit_length() - 2)) % 2)


def quantiser(decoder: Decoder) -> int:
    q = 0
    for _ in range(6):
        q = 2 * q + decoder.bypass()
    return q


def content(decoder: Decoder, contexts: list[Context], entropy: Entropy) -> None:
    """Spec 11.6 after q: fills `entropy.residual` and `entropy.number`."""
    rows, columns = entropy.residual.shape[:2]
    for s in range(6):
        if s == 3:
            numbers(decoder, contexts, entropy)
        for y in range(rows):
            for x in range(columns):
                number = entropy.number[y, x]
                if s >= number:
                    continue
                entropy.residual[y, x, START[s] : START[s + 1]] = one_slice(
                    decoder, contexts, s, s >= 3 and s == number - 1, entropy.predict(s, y, x)
                )


def numbers(decoder: Decoder, contexts: list[Context], entropy: Entropy) -> None:
    rows, columns = entropy.number.shape
    known = np.zeros((rows + 1, columns + 2), np.int64)
    for y in range(rows):
        for x in range(columns):
            n = int(np.count_nonzero(entropy.residual[y, x, START[2] : START[3]]))
            busy = min(4, n.bit_length())
            number = 3
            while number < 6:
                # Left, above, above on the right.
                longer = np.count_nonzero(known[[y + 1, y, y], [x, x + 1, x + 2]] > number)
                place = 515 + 60 * entropy.kind + 20 * (number - 3) + 5 * longer + busy
                if not decoder.bit(contexts[place]):
                    break
                number += 1
            entropy.number[y, x] = known[y + 1, x + 1] = number


def one_slice(
    decoder: Decoder, contexts: list[Context], s: int, last: bool, prediction: Prediction
) -> list[int]:
    mean = prediction.Mean.tolist()
    classes, parts = prediction.Class.tolist(), prediction.Part.tolist()
    costs = [int(table().ZERO_COST[c, p]) for c, p in zip(classes, parts, strict=True)]
    left = sum(costs)
    if not decoder.bit(contexts[512 + s - 3 if last else 36 * s + bucket(left)]):
        return mean
    found, residual = 0, []
    for f, (c, part) in enumerate(zip(classes, parts, strict=True)):
        if found:
            nonzero = decoder.bit(contexts[216 + 3 * c + part])
        elif f == len(mean) - 1:
            nonzero = 1
        else:
            nonzero = decoder.bit(contexts[180 + bucket(16 * left // costs[f])])
            left -= costs[f]
        x = 0
        if nonzero:
            found = 1
            m = 1
            while m < 7:
                if not decoder.bit(contexts[346 + 6 * c + m - 1]):
                    break
                m += 1
            if m == 7:
                g = 0
                while g < 15:
                    if not decoder.bit(contexts[502 + min(g, 9)]):
                        break
                    g += 1
                r = 1
                for _ in range(g):
                    r = 2 * r + decoder.bypass()
                m = 6 + r
            if part == 0:
                negative = decoder.bypass()
            else:
                negative = decoder.bit(contexts[294 + 2 * c + part - 1])
                if prediction.Fraction[f] < 0:
                    negative = 1 - negative
            x = -m if negative else m
        residual.append(mean[f] + x)
    return residual


@dataclass
class Slot:
    """A slot as spec 11.8 reads it; `I` and `J` are None in one that is not used."""

    new: int
    shift: int = 0
    I: list[int] | None = None  # noqa: E741
    J: list[int] | None = None


def network(decoder: Decoder, contexts: list[Context]) -> list[Slot]:
    """Spec 11.8."""
    found = []
    for _ in range(4):
        slot = Slot(decoder.bypass())
        if slot.new and decoder.bypass():
            for _ in range(4):
                slot.shift = 2 * slot.shift + decoder.bypass()
            slot.I = values(decoder, contexts, 0, W + 1)
            slot.J = values(decoder, contexts, 31, D)
        found.append(slot)
    return found


def values(decoder: Decoder, contexts: list[Context], first: int, count: int) -> list[int]:
    found: list[int] = []
    for k in range(count):
        number = min(2, abs(found[-1]).bit_length()) if k else 0
        found.append(coded_difference(decoder, contexts, first + 7 * number, first + 21))
    return found
