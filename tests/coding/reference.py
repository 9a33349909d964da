"""A slow decoder of spec 3 and 4.4, written from the text with unbounded integers.

It shares only the file of default tables with the package. `encode` is the inverse of the range
decoder, for the bits that it read.
"""

from __future__ import annotations

from pathlib import Path

CONTEXTS_FILE = Path(__file__).parents[2] / "spec" / "tables" / "contexts.txt"


def default_lines() -> list[tuple[int, int]]:
    lines = CONTEXTS_FILE.read_text(encoding="ascii").splitlines()
    return [(int(a), int(b)) for a, b in (x.split() for x in lines if not x.startswith("#"))]


class Context:
    def __init__(self, probability: int, count: int) -> None:
        self.fast = self.slow = probability
        self.count = count

    def adapt(self, bit: int) -> None:
        shift = 1 + (self.count >> 1).bit_length()
        if bit:
            self.fast += (65536 - self.fast) >> min(4, shift)
            self.slow += (65536 - self.slow) >> min(8, shift)
        else:
            self.fast -= self.fast >> min(4, shift)
            self.slow -= self.slow >> min(8, shift)
        self.count = min(128, self.count + 1)
        assert 1 <= self.fast <= 65535
        assert 1 <= self.slow <= 65535


Bin = tuple[int | None, int]
"""Probability of a 1 in 1/65536, None of a bypass bit, and the bit."""


class Decoder:
    """Spec 3.2; `bytes_read` is BytesRead, `bins` are all bits that were read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes_read = 0
        self.bins: list[Bin] = []
        self.range = 0xFFFFFFFF
        self.code = 0
        for _ in range(4):
            self.code = (self.code << 8) + self.next_byte()
        assert self.code < self.range

    def next_byte(self) -> int:
        self.bytes_read += 1
        return self.data[self.bytes_read - 1] if self.bytes_read <= len(self.data) else 0

    @property
    def bits(self) -> int:
        """Bits with a context so far."""
        return sum(probability is not None for probability, _ in self.bins)

    def normalise(self) -> None:
        assert 0 <= self.code < self.range < 1 << 32
        while self.range < 1 << 24:
            self.range <<= 8
            self.code = (self.code << 8) + self.next_byte()

    def bit(self, context: Context) -> int:
        probability = (context.fast + context.slow) >> 1
        bound = (self.range >> 16) * probability
        bit = int(self.code < bound)
        self.bins.append((probability, bit))
        if bit:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        context.adapt(bit)
        self.normalise()
        return bit

    def bypass(self) -> int:
        half = self.range >> 1
        bit = int(self.code >= half)
        self.bins.append((None, bit))
        if bit:
            self.code -= half
            self.range -= half
        else:
            self.range = half
        self.normalise()
        return bit

    def finished(self) -> bool:
        return self.bytes_read >= len(self.data) and not self.data.endswith(b"\0")


def encode(bins: list[Bin]) -> bytes:
    """The substream of these bins: the number of most trailing zero bytes in the last range."""
    low, width, size = 0, 0xFFFFFFFF, 4
    for probability, bit in bins:
        bound = width >> 1 if probability is None else (width >> 16) * probability
        # A 1 with a context is the lower part of the range, a bypass 1 the upper one.
        if bit == (probability is not None):
            width = bound
        else:
            low += bound
            width -= bound
        while width < 1 << 24:
            low, width, size = low << 8, width << 8, size + 1
    for zeros in (32, 24, 16, 8, 0):
        value = -(-low >> zeros) << zeros
        if value < low + width:
            break
    return value.to_bytes(size, "big").rstrip(b"\0")


def zero_number(kind: int, cls: int) -> int:
    return 52 * kind + 7 * cls


def prefix_number(kind: int, i: int) -> int:
    return 52 * kind + 42 + i


def difference(decoder: Decoder, contexts: list[Context], kind: int, cls: int) -> int:
    return coded_difference(decoder, contexts, zero_number(kind, cls), prefix_number(kind, 0))


def coded_difference(decoder: Decoder, contexts: list[Context], zero: int, prefix: int) -> int:
    """Spec 3.3, with the numbers of the contexts ZERO and PREFIX of a kind and class."""
    if not decoder.bit(contexts[zero]):
        return 0
    m = 1
    while m < 7:
        if not decoder.bit(contexts[zero + 1 + m - 1]):
            break
        m += 1
    if m == 7:
        g = 0
        while g < 15:
            if not decoder.bit(contexts[prefix + min(g, 9)]):
                break
            g += 1
        r = 1
        for _ in range(g):
            r = 2 * r + decoder.bypass()
        m = 6 + r
    return -m if decoder.bypass() else m


def class_of(d1: int, d2: int, u: int, v: int) -> int:
    e = 2 * min(abs(d1), 15) + min(abs(d2), 15) + 2 * min(abs(u), 15) + min(abs(v), 15)
    return sum(e >= least for least in (1, 3, 6, 12, 24))


def start_contexts(tables: bytes) -> tuple[list[Context], Decoder | None]:
    contexts = [Context(*line) for line in default_lines()]
    if not tables:
        return contexts, None
    decoder = Decoder(tables)
    flag = Context(32768, 0)
    for number in range(len(contexts)):
        if decoder.bit(flag):
            k = 0
            for _ in range(8):
                k = 2 * k + decoder.bypass()
            contexts[number] = Context(256 * k + 128, 4)
    return contexts, decoder


def decode(
    tables: bytes, network: bytes, shapes: list[tuple[int, tuple[int, int]]]
) -> tuple[list[list[list[int]]], Decoder | None, Decoder]:
    """Matrices, the decoder of the tables (None for an empty substream), that of the network."""
    contexts, table_decoder = start_contexts(tables)
    decoder = Decoder(network)
    matrices = []
    for kind, (rows, columns) in shapes:
        matrix: list[list[int]] = []
        previous = 1
        for r in range(rows):
            d = [0] * columns
            u = matrix[r - 1] if r >= 1 else [0] * columns
            v = matrix[r - 2] if r >= 2 else [0] * columns
            coded = decoder.bit(contexts[208 + 2 * kind + previous])
            previous = coded
            if coded:
                for i in range(columns):
                    d1 = d[i - 1] if i >= 1 else 0
                    d2 = d[i - 2] if i >= 2 else 0
                    d[i] = difference(decoder, contexts, kind, class_of(d1, d2, u[i], v[i]))
            matrix.append(d)
        matrices.append(matrix)
    return matrices, table_decoder, decoder
