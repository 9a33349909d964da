#!/usr/bin/env python3
"""A small reference decoder of the `.nrv` bitstream, version 0, written from `nrv.md` alone.

The clause numbers in the docstrings and in the error messages are those of that document. The
decoder is meant to be read beside it: it prefers plain formulas to speed, holds one group at a
time and reads its input from start to end. It skips metadata, tracks and packets unread, as 2.3
allows.
"""

from __future__ import annotations

import argparse
import hashlib
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Plane = NDArray[np.unsignedinteger[Any]]  # u8, or u16 little-endian above 8 bits, 2.7
Frame = tuple[Plane, ...]  # the planes Y, Cb, Cr, or Y alone, 2.4
Vector = tuple[int, int]  # y, x in quarter luma samples, 8.2 and 11.5; in whole ones, 7.4

SIGNATURE = bytes.fromhex("894E52560D0A1A0A")
READER_VERSION = 0
UNKNOWN = 0xFFFFFFFF
T6 = (16384, 18390, 20643, 23170, 26008, 29193)
CONTEXTS = 216
FIRST = (0, 52, 104, 156)  # 3.5, of each kind: its ZERO(kind, 0)
PREFIX = (42, 94, 146, 198)  # 3.5, of each kind: its PREFIX(kind, 0)
SHIFT = [1 + (count >> 1).bit_length() for count in range(129)]  # 3.1
CLASS = [0, 1, 1, 2, 2, 2] + [3] * 6 + [4] * 12 + [5] * 67  # 4.4, for e = 0..90
PLACE = (0, 1, 1, 2, 2, 2, 3)  # 7.6, up to x + y = 6
SIGCLASS = (0, 1, 2, 3, 4, 4, 5)  # 7.6, up to t = 6
GTCLASS = (0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7)  # 7.6, up to t = 15
SET = 2 * [0] + 6 * [1] + 5 * [2] + 11 * [3] + 5 * [2] + 6 * [1]  # 7.6, of modes 0..34
S6 = (40, 45, 51, 57, 64, 72)  # 8.6
SAME, TAP, ON = 1748, 1749, 1763  # 7.7, of the content substream: the last two of P and i = 0
REUSE, COLOUR, HIT, NEXT = 1769, 1791, 1807, 1907  # 7.7, as before; NEXT is NEXT(0, 1, 0)
UNTRIED, PARALLEL = 1937, 1953
TREE = 1957  # 7.7, as before: that of v != z, 8 x 16 and Set 1
SECONDARY = 1963  # 7.7, as before: SECONDARY(0, 4, 0)
SCREEN, PALETTES = 213, 214  # 7.7, of the motion substream; PALETTES is PALETTE(0, 0)
CUT, HALVED, BESIDE = (27, 283, 284), 220, 274  # 7.7, likewise
AFFINE, ENTRY, GZERO, GMORE = 285, 333, 339, 347  # 7.7, likewise: those of Set 1
FILTER_TAPS = (  # 8.8, v and u of each tap of luma, of chroma
    ((0, 1), (0, 2), (0, 3), (1, -2), (1, -1), (1, 0), (1, 1), (1, 2), (2, -1), (2, 0), (2, 1),
     (3, 0)),
    ((0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (2, 0)),
)  # fmt: skip
ACTIVITY = np.array([0, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4])  # 8.8
STEP = np.array([S6[q % 6] << (q // 6) for q in range(64)])  # 9.1
KEEP, OFF, CHANGED, SHARED, ROW, CHANGES = 0, 1, 2, 3, 4, 6  # 9.6; CHANGES is ZERO(0, 0)
ANGLE = (32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26,
         -32, -26, -21, -17, -13, -9, -5, -2, 0, 2, 5, 9, 13, 17, 21, 26, 32)  # fmt: skip
INVERSE = {2: -4096, 5: -1638, 9: -910, 13: -630, 17: -482, 21: -390, 26: -315, 32: -256}
COPIED, PALETTE = 38, 39  # the modes of 7.4
LUMA_TAPS = np.array([
    (0, 0, 0, 64, 0, 0, 0, 0), (-1, 4, -10, 58, 17, -5, 1, 0),
    (-1, 4, -11, 40, 40, -11, 4, -1), (0, 1, -5, 17, 58, -10, 4, -1),
])  # fmt: skip
CHROMA_TAPS = np.array([
    (0, 64, 0, 0), (-2, 58, 10, -2), (-4, 54, 16, -2), (-6, 46, 28, -4), (-4, 36, 36, -4),
    (-4, 28, 46, -6), (-2, 16, 54, -4), (-2, 10, 58, -2),
])  # fmt: skip
PATCH, SPAN, FEATURES = 8, 4, 192  # P, T and F of table 1 of model 3, 11.2
SEEN = 64  # N of 11.2: the features of other patches that the synthesis network sees
SLICES = [slice(0, 4), slice(4, 16), slice(16, 40), slice(40, 80), slice(80, 128),
          slice(128, 192)]  # fmt: skip  # 11.2
LAST_SLICE = 5  # it sees the slices before it in its own patch only, 12.3
ALWAYS = 3  # the slices that every patch has, 11.6
UNITS, SLICE_UNITS, SECOND_UNITS = 256, 48, 64  # W, E and E2 of 11.2
DETAIL = SPAN * PATCH * PATCH  # D of 11.2
LIMIT = np.where(np.arange(FEATURES) < 16, 32767, 8191)[:, None, None]  # 12.1
MOVE = np.array([
    (0, 64, 0, 0), (-3, 61, 6, 0), (-4, 56, 14, -2), (-5, 47, 25, -3), (-4, 36, 36, -4),
    (-3, 25, 47, -5), (-2, 14, 56, -4), (0, 6, 61, -3),
])  # fmt: skip
TAKE, PATHS = 3, 12  # 11.7, of the motion substream: TAKE(0, 0), ZERO(0, 0)
FIRST_FOUND, NONZERO, SIGN, MORE, PREFIXES = 180, 216, 294, 346, 502  # 11.7, of the content
LAST, NUMBER = 512, 515  # 11.7, of the content: LAST(0), NUMBER(0, 0, 0, 0)
SITING = {0: (0, 1), 1: (1, 1), 2: (0, 0), 3: (1, 0), 4: (0, 2), 5: (1, 2), 255: (0, 1)}  # 6.2


class NrvError(Exception):
    """An error of one of the classes of 2.10; `Decoder` adds the unit and its offset."""

    def __init__(self, kind: str, clause: str, what: str) -> None:
        super().__init__(what)
        self.kind, self.clause, self.what = kind, clause, what


def require(condition: bool, clause: str, what: str, kind: str = "corrupt") -> None:
    """Hold the input to a requirement of `clause`."""
    if not condition:
        raise NrvError(kind, clause, what)


def rshift(a: Ints, n: int) -> Ints:
    """RShift of 1.2."""
    return (a + ((1 << n) >> 1)) >> n


def signed32(a: Ints) -> Ints:
    """The values a; an error of this decoder or of the text if not all fit in signed 32 bits."""
    if not bool(((a >= -(2**31)) & (a < 2**31)).all()):
        raise AssertionError("a value exceeds the width that the text states")
    return a


def ceil_div(a: int, b: int) -> int:
    """CeilDiv of 1.2."""
    return (a + b - 1) // b


def log2(n: int) -> int:
    """The logarithm of a power of 2."""
    return n.bit_length() - 1


class Fields:
    """Reads the fields of a payload from its start on."""

    def __init__(self, payload: bytes, clause: str) -> None:
        self.payload, self.clause = payload, clause
        self.position = 0

    @property
    def left(self) -> int:
        """The number of bytes not yet read."""
        return len(self.payload) - self.position

    def take(self, size: int) -> bytes:
        """The next `size` bytes; a payload shorter than its fields is corrupt, 2.2."""
        require(size <= self.left, self.clause, "the payload is shorter than its fields")
        self.position += size
        return self.payload[self.position - size : self.position]

    def unsigned(self, size: int) -> int:
        """A field of `size` bytes, u8 or u32, 1.2."""
        return int.from_bytes(self.take(size), "little")

    def uv(self) -> int:
        """An unsigned integer of variable length, 1.3."""
        value, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            require(shift < 70, "1.3", "an integer is longer than 10 bytes")
            byte = self.unsigned(1)
            value |= (byte & 0x7F) << shift
            shift += 7
        require(byte != 0 or shift == 7, "1.3", "the last of several bytes is 0")
        require(value < 2**64, "1.3", "an integer is not below 2^64")
        return value

    def sv(self) -> int:
        """A signed integer of variable length, 1.3."""
        value = self.uv()
        return -((value + 1) >> 1) if value & 1 else value >> 1


class Level(NamedTuple):
    """The bounds of a level, 2.11."""

    samples: int
    weights: int
    unit_bytes: int
    multiplications: int


LEVELS = {
    1: Level(2**18, 2**20, 2**22, 2**12),
    2: Level(2**20, 2**22, 2**23, 2**13),
    3: Level(2**22, 2**23, 2**24, 2**14),
    4: Level(2**24, 2**24, 2**25, 2**15),
    5: Level(2**27, 2**26, 2**27, 2**17),
}


class Tables:
    """The data files of `spec/tables`: whitespace-separated integers, `#` begins a comment."""

    def __init__(self, folder: Path) -> None:
        def load(name: str, count: int | None = None) -> Ints:
            lines = (folder / f"{name}.txt").read_text("ascii").splitlines()
            values = [int(word) for line in lines for word in line.split("#")[0].split()]
            if count is not None and len(values) != count:
                raise ValueError(f"{folder / name}.txt: {len(values)} values, not {count}")
            return np.array(values, np.int64)

        self.sine = load("sine", 1024)
        self.gelu = load("gelu", 4096)
        self.kernel = load("resampling_kernel", 768)
        self.contexts = load("contexts", 2 * CONTEXTS).reshape(CONTEXTS, 2).tolist()
        self.motion_contexts = load("motion_contexts", 2 * 363).reshape(363, 2).tolist()
        self.content_contexts = load("content_contexts", 2 * 2011).reshape(2011, 2).tolist()
        self.transform = load("transform", 1024).reshape(32, 32)
        sines = np.split(load("sine_transform", 16 + 64 + 256), (16, 16 + 64))
        self.sine_transform = {n: m.reshape(n, n) for n, m in zip((4, 8, 16), sines, strict=True)}
        small, large = np.split(load("secondary_transforms", 12 * 16 * (16 + 64)), (12 * 16 * 16,))
        self.secondary = {4: small.reshape(12, 16, 16), 8: large.reshape(12, 16, 64)}  # of n, 8.5
        self.cubic = load("cubic", 128).reshape(32, 4)
        self.deblocking = load("deblocking", 128).reshape(64, 2)
        self.fusion = load("fusion")  # its size depends on its values, 9.2
        self.fusion_contexts = load("fusion_contexts", 2 * 316).reshape(316, 2).tolist()
        nirvana_contexts = load("nirvana_contexts", 2 * 785).reshape(785, 2).tolist()  # 11.7
        self.path_contexts, self.residual_contexts = nirvana_contexts[:88], nirvana_contexts[88:723]
        self.component_contexts = nirvana_contexts[723:]
        # the binary files of 11.2
        self.nirvana_weights = np.fromfile(folder / "nirvana_weights.bin", "<i2").astype(np.int64)
        self.nirvana_biases = np.fromfile(folder / "nirvana_biases.bin", "<i4").astype(np.int64)


@dataclass
class Head:
    """The fields of `HEAD` that decoding needs, 2.4."""

    level: Level
    model: int
    chroma_format: int
    bit_depth: int
    width: int
    height: int
    chroma_location: int
    frame_count: int

    @classmethod
    def parse(cls, payload: bytes) -> Head:
        """Judge the fields in their order, 2.4, then the frame size, 2.11."""
        require(len(payload) == 48, "2.4", "HEAD is not 48 bytes")
        (version, min_reader, level, model, chroma_format, bit_depth, tools, width, height,
         rate_num, rate_den, base_num, base_den, sar_num, sar_den, _primaries, _transfer, _matrix,
         full_range, location, reserved, frames) = struct.unpack(
            "<HHBBBBIHHIIIIHHBBBBB3sI", payload)  # fmt: skip
        rules = (
            (min_reader <= version, "min_reader_version", "corrupt"),
            (min_reader <= READER_VERSION, "min_reader_version", "unsupported"),
            (level in LEVELS, "level", "unsupported"),
            (model in (1, 2, 3), "model", "unsupported"),
            (chroma_format <= 3, "chroma_format", "corrupt"),
            (bit_depth in (8, 10, 12), "bit_depth", "corrupt"),
            (tools == 0, "tools", "unsupported"),
            (width >= 1, "width", "corrupt"),
            (height >= 1, "height", "corrupt"),
            ((rate_num == 0) == (rate_den == 0), "frame_rate", "corrupt"),
            (base_num >= 1 and base_den >= 1, "time_base", "corrupt"),
            ((sar_num == 0) == (sar_den == 0), "sar", "corrupt"),
            (full_range <= 2, "full_range", "corrupt"),
            (location in SITING, "chroma_location", "corrupt"),
            (reserved == bytes(3), "reserved", "corrupt"),
            (frames >= 1, "frame_count", "corrupt"),
        )
        for condition, name, kind in rules:
            require(condition, "2.4", f"{name} is outside its rule", kind)
        bounds = LEVELS[level]
        parts = (3, 3, 4, 6)[chroma_format]
        counted = ceil_div(parts * width * height, 3)
        require(counted <= bounds.samples, "2.11", "frame above the level", "over limit")
        return cls(bounds, model, chroma_format, bit_depth, width, height, location, frames)

    @property
    def sub(self) -> tuple[int, int]:
        """SubX and SubY, 2.4."""
        return ((1, 1), (2, 2), (2, 1), (1, 1))[self.chroma_format]

    def require_420(self, clause: str) -> None:
        """Judge the sample format of a model that renders 8-bit 4:2:0 only."""
        rendered = self.chroma_format == 1 and self.bit_depth == 8
        require(rendered, clause, "sample format", "unsupported")


class Format(NamedTuple):
    """The sample format of the canvases of model 2, 2.4, with what 7.1, 7.5 and 8.6 make of it."""

    chroma_format: int
    bit_depth: int
    sub: tuple[int, int]  # SubX and SubY

    @property
    def planes(self) -> int:
        """The number of planes: Y, Cb and Cr, or Y alone, 2.4."""
        return 3 if self.chroma_format else 1

    @property
    def peak(self) -> int:
        """Peak, 2.4."""
        return (1 << self.bit_depth) - 1

    @property
    def extra(self) -> int:
        """Extra, 7.1."""
        return self.bit_depth - 8

    @property
    def last_q(self) -> int:
        """LastQ, 7.5."""
        return 63 + 6 * self.extra

    @property
    def parts(self) -> int:
        """Parts, 7.5."""
        return (0, 1, 2, 1)[self.chroma_format]

    def base(self, q: Ints) -> Ints:
        """Base of 8.6."""
        return np.clip(q - 6 * self.extra, 0, 63)

    def cell(self, index: int) -> tuple[int, int]:
        """The rows and columns of the samples of a cell in a plane, 7.2."""
        return (8 // self.sub[1], 8 // self.sub[0]) if index else (8, 8)


class RangeDecoder:
    """The range decoder of 3.2 with the integers of 3.3."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes_read = 4
        self.range = 0xFFFFFFFF
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        require(self.code < self.range, "3.2", "the first 4 bytes are all FF")

    def normalise(self) -> None:
        """Read bytes until the range has 24 bits or more."""
        while self.range < 1 << 24:
            byte = self.data[self.bytes_read] if self.bytes_read < len(self.data) else 0
            self.bytes_read += 1
            self.range <<= 8
            self.code = (self.code << 8) + byte

    def bit(self, context: list[int]) -> int:
        """A bit with a context, [fast, slow, count], which adapts as of 3.1."""
        fast, slow, count = context
        shift = SHIFT[count]
        bound = (self.range >> 16) * ((fast + slow) >> 1)
        bit = 1 if self.code < bound else 0
        if bit:
            self.range = bound
            context[0] = fast + ((65536 - fast) >> min(4, shift))
            context[1] = slow + ((65536 - slow) >> min(8, shift))
        else:
            self.code -= bound
            self.range -= bound
            context[0] = fast - (fast >> min(4, shift))
            context[1] = slow - (slow >> min(8, shift))
        context[2] = min(128, count + 1)
        if self.range < 1 << 24:
            self.normalise()
        return bit

    def bypass(self, bits: int = 1) -> int:
        """Bypass bits, most significant first."""
        value = 0
        for _ in range(bits):
            bound = self.range >> 1
            bit = 1 if self.code >= bound else 0
            self.code -= bit * bound
            self.range = self.range - bound if bit else bound
            value = 2 * value + bit
            self.normalise()
        return value

    def difference(self, contexts: list[list[int]], zero: int, prefix: int) -> int:
        """The integer `difference(kind, class)` of 3.3.

        `zero` and `prefix` are the numbers of its ZERO(kind, class) and PREFIX(kind, 0), 3.5, 9.6
        or 11.7; those of MORE(kind, class, i) follow ZERO(kind, class).
        """
        if not self.bit(contexts[zero]):
            return 0
        m = self.magnitude(contexts, zero + 1, prefix)
        return -m if self.bypass() else m

    def magnitude(self, contexts: list[list[int]], more: int, prefix: int) -> int:
        """The m of 3.3 and 11.6; `more` and `prefix` are the numbers of the first MORE, PREFIX."""
        m = 1
        while m < 7 and self.bit(contexts[more + m - 1]):
            m += 1
        if m == 7:
            g = 0
            while g < 15 and self.bit(contexts[prefix + min(g, 9)]):
                g += 1
            m = 6 + (1 << g) + self.bypass(g)
        return m

    def finish(self) -> None:
        """The two requirements on the end of a range-coded substream, 3.2."""
        require(self.bytes_read >= len(self.data), "3.2", "bytes left over in a substream")
        require(self.data[-1:] != b"\0", "3.2", "a substream ends with a zero byte")


def read_tables(data: bytes, defaults: list[list[int]]) -> list[list[int]]:
    """The contexts that a group starts from: the defaults, changed by its tables, 3.4."""
    contexts = [[p, p, count] for p, count in defaults]
    if data:
        decoder, changed = RangeDecoder(data), [32768, 32768, 0]
        for context in contexts:
            if decoder.bit(changed):
                p = 256 * decoder.bypass(8) + 128
                context[:] = p, p, 4
        decoder.finish()
    return contexts


@dataclass
class Layer:
    """A layer of 4.2 with its parameters (4.3) and the weights of the current group."""

    rows: int
    columns: int
    kind: int
    max_weight: int
    max_input: int
    scale: int = 0
    bias_shift: int = 0
    weight: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    bias: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def acc(self, inputs: Ints, rows: slice) -> Ints:
        """Acc of 5.2: inputs (..., columns) to sums (..., rows); float64 is exact by 4.5."""
        sums = inputs.astype(np.float64) @ self.weight[rows].T.astype(np.float64)
        return sums.astype(np.int64) + (self.bias[rows] << self.bias_shift)


def defaults(n: int, count: int, bound: int) -> Ints:
    """The default entries of tensor n, 4.3; 64 bits hold every product."""
    mask = np.uint64(0xFFFFFFFF)

    def mix(x: NDArray[np.uint64], shift: int, factor: int) -> NDArray[np.uint64]:
        return ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & mask

    x = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B9)
    x = (x + np.uint64(n * 0x85EBCA6B + 1)) & mask
    x = mix(mix(mix(x, 16, 0x7FEB352D), 15, 0x846CA68B), 16, 1)
    return (((x >> np.uint64(16)) * np.uint64(2 * bound + 1)) >> np.uint64(16)).astype(
        np.int64
    ) - bound


class Sine:
    """The sine network: its description, its weights and their rendering, clauses 4 and 5."""

    substreams = ("tables", "network")
    frames: int

    def __init__(self, payload: bytes, head: Head, tables: Tables) -> None:
        """Parse `SIRN`, 4.1, and hold the network to the level, 2.11."""
        require(len(payload) == 7, "4.1", "SIRN is not 7 bytes")
        (patch, frames, depth, width, stem_channels,
         head_channels) = struct.unpack("<BBBHBB", payload)  # fmt: skip
        rules = (
            (patch % 2 == 0 and 4 <= patch <= 64, "patch"),
            (1 <= frames <= 32, "group_frames"),
            (1 <= depth <= 8, "depth"),
            (1 <= width <= 1024, "width"),
            (1 <= stem_channels <= 64, "stem_channels"),
            (1 <= head_channels <= 64, "head_channels"),
        )
        for condition, name in rules:
            require(condition, "4.1", f"{name} is outside its rule")
        self.tables, self.size = tables, (head.width, head.height)
        self.patch, self.frames, self.depth = patch, frames, depth
        self.grid, self.channels, self.head_channels = patch // 2, stem_channels, head_channels
        self.patches_x, self.patches_y = ceil_div(head.width, patch), ceil_div(head.height, patch)

        area = self.grid * self.grid
        expanded = stem_channels * area
        self.layers = [Layer(width, 2, 0, 2047, 32768)]
        self.layers += [Layer(width, width, 1, 127, 127) for _ in range(depth - 1)]
        self.layers.append(Layer(expanded, width, 2, 127, 127))
        self.layers.append(Layer(frames * 4 * head_channels, stem_channels * 9, 3, 2047, 2047))
        self.layers.append(Layer(frames * 3, head_channels * 9, 3, 2047, 2047))
        weights = sum(layer.rows * (layer.columns + 1) for layer in self.layers)
        require(weights <= head.level.weights, "2.11", "weights above the level", "over limit")
        stem = 2 * width + (depth - 1) * width**2 + width * expanded  # 5.8
        upsampling = frames * (area * 36 * stem_channels + patch**2 * 27) * head_channels
        cost = ceil_div(frames * stem + upsampling, frames * patch**2)
        require(cost <= head.level.multiplications, "2.11",
                "multiplications above the level", "over limit")  # fmt: skip

    def max_frames(self, key: bool) -> int:
        """The bound of `frame_count` of a group, 2.7."""
        return self.frames

    def decode_group(
        self, key: bool, second: int, count: int, data: dict[str, bytes]
    ) -> Iterator[Frame]:
        """Update the weights and yield the frames of a group."""
        self.read_group(data["network"], key, read_tables(data["tables"], self.tables.contexts))
        yield from map(self.render, range(count))

    def read_group(self, data: bytes, key: bool, contexts: list[list[int]]) -> None:
        """Update the weights by the network substream of a group, 4.3 to 4.5."""
        if key:
            size = 6 * len(self.layers)
            require(len(data) >= size, "4.3", "the layer records are cut short")
            for index, layer in enumerate(self.layers):
                self._reset(index, layer, *struct.unpack_from("<BBHH", data, 6 * index))
            data = data[size:]
        decoder = RangeDecoder(data)
        for layer in self.layers:
            above = [0] * layer.columns, [0] * layer.columns  # u and v of 4.4, Min(| |, 15)
            previous = 1
            for row in layer.weight:
                previous, above = self._read_row(
                    decoder, contexts, layer.kind, previous, above, row, layer.max_weight
                )
            empty = [0] * layer.rows, [0] * layer.rows
            self._read_row(decoder, contexts, 0, 1, empty, layer.bias, 32767)
        decoder.finish()
        for index, layer in enumerate(self.layers):
            bias = np.abs(layer.bias) << layer.bias_shift
            if index:
                sums = np.abs(layer.weight).sum(axis=1) * layer.max_input + bias
                require(bool((sums < 1 << 24).all()), "4.5", f"bound of layer {index} broken")
            else:
                require(bool((bias < 1 << 36).all()), "4.5", "bound of layer 0 broken")

    @staticmethod
    def _reset(index: int, layer: Layer, step: int, shift: int, weight: int, bias: int) -> None:
        """Take a record of 4.3 and set a layer to its defaults."""
        require(step <= 143, "4.3", f"step of layer {index}")
        require(shift <= 20, "4.3", f"bias_shift of layer {index}")
        require(weight <= layer.max_weight, "4.3", f"weight_bound of layer {index}")
        require(bias <= 32767, "4.3", f"bias_bound of layer {index}")
        layer.scale, layer.bias_shift = T6[step % 6] << (step // 6), shift
        layer.weight = defaults(2 * index, layer.rows * layer.columns, weight)
        layer.weight = layer.weight.reshape(layer.rows, layer.columns)
        layer.bias = defaults(2 * index + 1, layer.rows, bias)

    @staticmethod
    def _read_row(
        decoder: RangeDecoder, contexts: list[list[int]], kind: int, previous: int,
        above: tuple[list[int], list[int]], row: Ints, bound: int,
    ) -> tuple[int, tuple[list[int], list[int]]]:  # fmt: skip
        """Add one row of differences, 4.4; returns `coded` and the next row's u and v."""
        u, v = above
        if not decoder.bit(contexts[208 + 2 * kind + previous]):
            return 0, ([0] * len(row), u)
        d, last, before = [0] * len(row), 0, 0
        for i in range(len(row)):
            e = 2 * last + before + 2 * u[i] + v[i]
            d[i] = decoder.difference(contexts, FIRST[kind] + 7 * CLASS[e], PREFIX[kind])
            last, before = min(abs(d[i]), 15), last
        row += np.array(d, np.int64)
        require(int(np.abs(row).max()) <= bound, "4.4", "a weight exceeds its maximum")
        return 1, ([min(abs(x), 15) for x in d], u)

    def render(self, t: int) -> Frame:
        """Frame t of the group: its patches, 5.1, as samples, 5.5."""
        width, height = self.size
        planes = []
        for sub in (1, 2, 2):
            planes.append(np.zeros((ceil_div(height, sub), ceil_div(width, sub)), np.uint8))
        for py in range(self.patches_y):
            for first in range(0, self.patches_x, 16):  # a few patches at a time bound the memory
                columns = range(first, min(first + 16, self.patches_x))
                values = self._render_patches(t, columns, py)
                for sub, plane, value in zip((1, 2, 2), planes, values, strict=True):
                    size = self.patch // sub
                    for px, patch in zip(columns, value, strict=True):
                        y, x = py * size, px * size
                        target = plane[y : y + size, x : x + size]
                        sample = np.clip(rshift(patch + 2048, 4), 0, 255)
                        target[:] = sample[: target.shape[0], : target.shape[1]]
        return tuple(planes)

    def _render_patches(self, t: int, columns: range, py: int) -> tuple[Ints, Ints, Ints]:
        """The values of Y, Cb and Cr (n, rows, columns) of n patches in frame t, 5.2 to 5.4."""
        n, g, p, c, h = len(columns), self.grid, self.patch, self.channels, self.head_channels
        x = np.array([(coord(px, self.patches_x), coord(py, self.patches_y)) for px in columns])
        for layer in self.layers[: self.depth]:  # 5.2; int64 wraps modulo 2^64, which is enough
            phase = rshift(layer.acc(x, slice(None)) * layer.scale, 24) & 0xFFFF
            x = self.tables.sine[((phase + 32) >> 6) & 1023]
        layer = self.layers[self.depth]  # 5.3
        maps = np.clip(rshift(layer.acc(x, slice(None)) * layer.scale, 32), -2047, 2047)
        code = [(t * (256 >> min(8, k // 2)) + 256 * (k % 2)) % 1024 for k in range(c)]  # 5.4
        time_code = self.tables.sine[code][:, None, None]
        x = np.clip(maps.reshape(n, c, g, g) + time_code, -2047, 2047)
        acc = convolve(self.layers[self.depth + 1], x, slice(t * 4 * h, (t + 1) * 4 * h))
        hidden = self.tables.gelu[np.clip(acc, -2048, 2047) + 2048]
        hidden = hidden.reshape(n, h, 2, 2, g, g).transpose(0, 1, 4, 2, 5, 3).reshape(n, h, p, p)
        acc = convolve(self.layers[self.depth + 2], hidden, slice(t * 3, (t + 1) * 3))
        value = np.clip(acc, -32768, 32767)
        chroma = rshift(value[:, 1:].reshape(n, 2, g, 2, g, 2).sum(axis=(3, 5)), 2)
        return value[:, 0], chroma[:, 0], chroma[:, 1]


def coord(i: int, n: int) -> int:
    """Coord of 5.2."""
    return ((2 * i + 1) * 32768) // n - 32768


def convolve(layer: Layer, x: Ints, rows: slice) -> Ints:
    """RShift(acc * Scale, 32) of 5.4 for x (n, channels, y, x), with 0 outside the square."""
    n, channels, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    inputs = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, height, width, channels * 9)
    return rshift(layer.acc(inputs, rows) * layer.scale, 32).transpose(0, 3, 1, 2)


class Rect(NamedTuple):
    """A rectangle of samples of a plane: an area, a leaf, a node or a block."""

    x: int
    y: int
    w: int
    h: int

    @property
    def log2_class(self) -> int:
        """The logarithm of N, its class, 7.4."""
        return (log2(self.w) + log2(self.h)) >> 1

    @property
    def samples(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.y, self.y + self.h), slice(self.x, self.x + self.w)

    def grid(self, n: int) -> tuple[slice, slice]:
        """The rows and columns of the squares of n x n samples that it touches."""
        x, y, w, h = self
        return slice(y // n, ceil_div(y + h, n)), slice(x // n, ceil_div(x + w, n))

    @property
    def cells(self) -> tuple[slice, slice]:
        """The rows and columns of the cells that it touches, of one in luma."""
        return self.grid(8)

    def tiles(self, w: int, h: int) -> list[Rect]:
        """The blocks of w x h samples that it consists of, in rows from the top left one.

        Those of a square in quarters are so in the order of block(), 7.4.
        """
        ys, xs = range(self.y, self.y + self.h, h), range(self.x, self.x + self.w, w)
        return [Rect(x, y, w, h) for y in ys for x in xs]

    def chroma(self, form: Format) -> list[Rect]:
        """Its parts in each chroma plane, 7.5 and 8.4, of one in luma."""
        sub_x, sub_y = form.sub
        w, h = self.w // sub_x, self.h // sub_x
        x, y = self.x // sub_x, self.y // sub_y
        return [Rect(x, y + part * h, w, h) for part in range(form.parts)]


def diagonal(a: int, b: int) -> list[tuple[int, int]]:
    """DIAG(a, b) of 7.6."""
    return sorted(((x, y) for y in range(b) for x in range(a)), key=lambda at: (sum(at), at[0]))


def clip_vector(y: int, x: int) -> Vector:
    """A vector with its components clipped to their range, 7.4 and 8.2."""
    return max(-8192, min(8191, y)), max(-8192, min(8191, x))


class Motion(NamedTuple):
    """What 8.2 gives each cell: a direction, two vectors of y and x, and the gradients of V0."""

    direction: int
    vectors: tuple[Vector, Vector]
    gradients: tuple[int, ...] = (0, 0, 0, 0)  # G, zero unless of an affine leaf

    def at(self, dy: int, dx: int, s: int) -> Motion:
        """The motion that its gradients give (dy, dx) luma samples from its place, 8.2."""
        g = self.gradients
        y, x = (g[0] * dy + g[1] * dx + 32) >> 6, (g[2] * dy + g[3] * dx + 32) >> 6  # Change
        (y0, x0), (y1, x1) = self.vectors
        v0, v1 = clip_vector(y0 + y, x0 + x), clip_vector(y1 + s * y, x1 + s * x)
        return self._replace(vectors=(v0, v1))

    def used(self) -> tuple[int, list[Vector]]:
        """What two entries of the merge list differ in, 8.2."""
        return self.direction, [v for r, v in enumerate(self.vectors) if self.direction >> r & 1]


STILL = Motion(0, ((0, 0), (0, 0)))  # of an intra cell


def clip_gradient(g: int) -> int:
    """A gradient clipped to its range, 8.2."""
    return max(-1023, min(1023, g))


class Unit(NamedTuple):
    """A transform block, 7.6."""

    levels: Ints  # rows are y
    mode: int  # of its luma block in an intra leaf, -1 of any other unit
    secondary: int
    sine: bool


class Palette(NamedTuple):
    """A block of a palette leaf, 7.9."""

    colour: Ints
    indices: Ints  # of each sample, rows are i


class Filters(NamedTuple):
    """The adaptive filters of a plane, 7.8."""

    number: Ints  # of each class
    taps: Ints  # of each filter
    on: Ints  # of each root block: rows, columns


@dataclass
class Leaf:
    """An area that is not halved: its syntax, 7.4 and 7.5."""

    number: int  # in coding order
    area: Rect
    intra: bool = False
    cut: int = 0
    modes: list[int] = field(default_factory=list)  # of its luma blocks
    chroma_mode: int = 0
    copied: bool = False
    copy: Vector = (0, 0)  # CopyY and CopyX
    palette: bool = False
    merge: bool = False
    affine: bool = False
    index: int = 0
    coded_motion: Motion = STILL  # of a leaf with merge = 0: direction, differences and d[k]
    coded: bool = False
    q: int = 0
    units: dict[tuple[int, Rect], Unit] = field(default_factory=dict)  # of plane, block there
    palettes: dict[tuple[int, Rect], Palette] = field(default_factory=dict)  # likewise

    @property
    def luma_blocks(self) -> list[Rect]:
        """The luma blocks of an intra leaf, 7.4."""
        w = 4 if self.cut in (1, 3) else self.area.w
        h = 4 if self.cut in (1, 2) else self.area.h
        return self.area.tiles(w, h)


class Canvas:
    """A canvas of 7.2: its leaves, what its cells hold, and its planes when reconstructed."""

    def __init__(
        self, kind: int, frame: int, references: list[Canvas], form: Format, cells: tuple[int, int]
    ) -> None:
        self.kind, self.frame, self.references = kind, frame, references  # kind is Set
        self.form = form
        rows, columns = cells
        self.rows, self.columns = rows, columns
        self.width, self.height = 8 * columns, 8 * rows
        self.leaves: list[Leaf] = []
        self.grid: list[list[Leaf | None]] = [[None] * columns for _ in range(rows)]
        self.modes = np.ones((2 * rows, 2 * columns), np.int64)  # of 4 x 4 luma blocks, 7.4
        self.screen = False
        self.copy: Vector = (0, 0)  # CopyY and CopyX so far, 7.4
        self.colours: list[list[int]] = [[], [], []]  # the list of each plane so far, 7.9
        self.motion = [[STILL] * columns for _ in range(rows)]  # of cells, 8.2
        self.projected: dict[tuple[int, int], Motion] = {}  # of cells: row, column, 8.2
        self.areas = np.zeros((rows, columns, 2), np.int64)  # w, h of the transform areas, 8.7
        self.luma = np.zeros((rows, columns), np.bool_)  # the cell has a sample of a luma unit
        self.filters: list[Filters | None] = []  # of each plane, None where not used
        self.planes: list[Ints] = []

    @property
    def sign(self) -> int:
        """The s of 8.2."""
        return 1 if self.kind == 1 else -1

    @property
    def rest(self) -> Motion:
        """What fills the lists of 8.2: zero vectors and gradients."""
        return STILL._replace(direction=1 if self.kind == 1 else 3)

    def leaf(self, x: int, y: int) -> Leaf | None:
        """The leaf that the cell of luma sample (x, y) belongs to, None outside."""
        inside = 0 <= x < self.width and 0 <= y < self.height
        return self.grid[y // 8][x // 8] if inside else None

    def neighbours(self, area: Rect) -> list[Leaf]:
        """The leaves of the left and of the upper cell, those inside the canvas."""
        x, y = area.x, area.y
        return [leaf for leaf in (self.leaf(x - 1, y), self.leaf(x, y - 1)) if leaf]

    def smaller(self, area: Rect) -> tuple[int, int]:
        """The l and u of 7.4: whether the leaf to the left is less high, that above less wide."""
        left, up = self.leaf(area.x - 1, area.y), self.leaf(area.x, area.y - 1)
        lower = int(left is not None and left.area.h < area.h)
        return lower, int(up is not None and up.area.w < area.w)

    def mode(self, x: int, y: int) -> int:
        """The intra mode at the luma sample (x, y), for the list of 7.4."""
        return int(self.modes[y // 4, x // 4]) if x >= 0 and y >= 0 else 1

    def cells(self, value: Callable[[Leaf], object]) -> Ints:
        """An array of `value` of the leaf of each cell."""
        return np.array([[value(leaf) for leaf in row if leaf] for row in self.grid], np.int64)

    @property
    def directions(self) -> Ints:
        """The direction of each cell: rows, columns."""
        return np.array([[motion.direction for motion in row] for row in self.motion], np.int64)

    @property
    def vectors(self) -> Ints:
        """The vectors of each cell: rows, columns, r, axis."""
        return np.array([[motion.vectors for motion in row] for row in self.motion], np.int64)


class Substream:
    """A range-coded substream of clause 7, 9 or 11 with its contexts."""

    def __init__(self, data: bytes, defaults: list[list[int]]) -> None:
        self.decoder = RangeDecoder(data)
        self.contexts = [[p, p, count] for p, count in defaults]
        self.bypass, self.finish = self.decoder.bypass, self.decoder.finish

    def bit(self, context: int) -> int:
        """A bit with a context, by its number of 7.7, 9.6 or 11.7."""
        return self.decoder.bit(self.contexts[context])


class MotionStream(Substream):
    """The motion substream, 7.4."""

    def read(self, canvas: Canvas) -> None:
        """Read the leaves of a canvas."""
        canvas.screen = bool(self.bit(SCREEN))
        for y in range(0, canvas.height, 64):
            for x in range(0, canvas.width, 64):
                self.block(canvas, Rect(x, y, 64, 64))

    def block(self, canvas: Canvas, block: Rect) -> None:
        """Read a block of size n, split into areas."""
        x, y, n, _ = block
        if x >= canvas.width or y >= canvas.height:
            return
        if n > 8:
            outside = x + n > canvas.width or y + n > canvas.height
            split = outside or (canvas.kind == 0 and n == 64)
            if not split:
                c = sum(canvas.smaller(block))
                split = bool(self.bit(9 * canvas.kind + 3 * (log2(n) - 4) + c))
            if split:
                for quarter in block.tiles(n // 2, n // 2):
                    self.block(canvas, quarter)
                return
        self.area(canvas, block)

    def area(self, canvas: Canvas, area: Rect) -> None:
        """Read an area, cut into leaves."""
        _, _, w, h = area
        if min(w, h) > 8 and max(w, h) <= 2 * min(w, h):
            lower, narrower = canvas.smaller(area)
            context = HALVED + 18 * canvas.kind + 9 * (w != h) + 3 * (log2(max(w, h)) - 4)
            context += lower + narrower
            if self.bit(context):
                side = BESIDE + 3 * canvas.kind + 1 + narrower - lower
                beside = self.bit(side) if w == h else w < h
                for half in area.tiles(w // 2, h) if beside else area.tiles(w, h // 2):
                    self.area(canvas, half)
                return
        leaf = Leaf(len(canvas.leaves), area)
        self.leaf(canvas, leaf)
        canvas.leaves.append(leaf)
        rows, columns = area.cells
        for row in canvas.grid[rows]:
            row[columns] = [leaf] * (w // 8)

    def leaf(self, canvas: Canvas, leaf: Leaf) -> None:
        """Read what is coded of a leaf."""
        kind, inter, size = canvas.kind, canvas.kind - 1, leaf.area.log2_class - 3
        around = canvas.neighbours(leaf.area)
        if kind == 0:
            leaf.intra = True
        elif max(leaf.area.w, leaf.area.h) < 64:
            c = sum(other.intra for other in around)
            leaf.intra = bool(self.bit(28 + 3 * inter + c))
        if leaf.intra:
            self.intra(canvas, leaf)
            return
        d = sum(other.merge for other in around)
        leaf.merge = bool(self.bit(34 + 12 * inter + 3 * size + d))
        if min(leaf.area.w, leaf.area.h) > 8:
            g = sum(other.affine for other in around)
            context = AFFINE + 24 * inter + 12 * leaf.merge + 3 * size + g
            leaf.affine = bool(self.bit(context))
        if leaf.merge:
            entry, last = (ENTRY + 3 * inter, 3) if leaf.affine else (58 + 4 * inter, 4)
            while leaf.index < last and self.bit(entry + leaf.index):
                leaf.index += 1
            return
        direction = 1
        if len(canvas.references) == 2:
            both = self.bit(66 + 5 * inter + size)
            direction = 3 if both else 1 + self.bit(70 + 5 * inter)
        differences = [(0, 0), (0, 0)]
        for r in (0, 1):
            if direction >> r & 1:
                vy = self.component(kind, 0)
                differences[r] = vy, self.component(kind, 1)
        leaf.coded_motion = Motion(direction, (differences[0], differences[1]))
        if leaf.affine:
            gradients = tuple(self.gradient(inter, k) for k in range(4))
            leaf.coded_motion = leaf.coded_motion._replace(gradients=gradients)

    def component(self, kind: int, axis: int) -> int:
        """Read a component of a vector; kind is Set, 3 for a copy vector."""
        zero, more = (185, 187) if kind == 3 else (74 + 2 * kind, 54 + 26 * kind)
        return self.signed(zero + axis, more + 13 * axis, 13)

    def gradient(self, inter: int, k: int) -> int:
        """Read the difference of a gradient."""
        return self.signed(GZERO + 4 * inter + k, GMORE + 8 * inter, 8)

    def signed(self, zero: int, more: int, most: int) -> int:
        """Read a number: whether it is not 0, its size, the bits after the first, its sign."""
        if not self.bit(zero):
            return 0
        g = 0
        while g < most and self.bit(more + g):
            g += 1
        r = (1 << g) + self.bypass(g)
        return -r if self.bypass() else r

    def intra(self, canvas: Canvas, leaf: Leaf) -> None:
        """The modes of an intra leaf, its luma blocks and its copy vector."""
        area = leaf.area
        if canvas.screen and area.w == area.h:
            around, inter = canvas.neighbours(area), 3 if canvas.kind else 0
            e = sum(other.copied for other in around)
            f = sum(other.palette for other in around)
            leaf.copied = bool(self.bit(179 + inter + e))
            leaf.palette = not leaf.copied and bool(self.bit(PALETTES + inter + f))
        if leaf.copied:
            y, x = canvas.copy
            y += self.component(3, 0)
            leaf.copy = canvas.copy = clip_vector(y, x + self.component(3, 1))
            leaf.modes = [COPIED]  # it counts as 1 in the lists of other blocks
        elif leaf.palette:
            leaf.modes = [PALETTE]  # likewise
        else:
            if canvas.kind == 0 and area.w == area.h == 8:
                leaf.cut = self.luma_cut()
            for block in leaf.luma_blocks:
                mode = self.luma_mode(canvas, block.x, block.y)
                leaf.modes.append(mode)
                canvas.modes[block.grid(4)] = mode
        if canvas.form.chroma_format:
            leaf.chroma_mode = self.chroma_mode(canvas.kind, area, leaf.modes[0])

    def luma_cut(self) -> int:
        """Read how an intra leaf of 8 x 8 is cut into luma blocks."""
        if not self.bit(CUT[0]):
            return 0
        return 2 + self.bit(CUT[2]) if self.bit(CUT[1]) else 1

    def luma_mode(self, canvas: Canvas, x: int, y: int) -> int:
        """Read the mode of the luma block at (x, y)."""
        left, up = canvas.mode(x - 1, y), canvas.mode(x, y - 1)
        if left != up:
            modes = [left, up, next(m for m in (0, 1, 26) if m not in (left, up))]
        elif left < 2:
            modes = [0, 1, 26]
        else:
            modes = [left, 2 + (left + 29) % 32, 2 + (left - 1) % 32]
        if self.bit(132 if canvas.kind == 0 else 133):
            return modes[1 + self.bit(135)] if self.bit(134) else modes[0]
        k = 1
        for _ in range(5):
            k = 2 * k + self.bit(135 + k)
        return [m for m in range(35) if m not in modes][k - 32]

    def chroma_mode(self, kind: int, area: Rect, luma_mode: int) -> int:
        """Read the mode of the chroma blocks of a leaf with that (first) luma mode."""
        if self.bit(171 + (3 if kind else 0) + area.log2_class - 3):
            return 36 + self.bit(178) if self.bit(177) else 35
        if not self.bit(167):
            return luma_mode
        b1 = self.bit(168)
        entry = (0, 26, 10, 1)[2 * b1 + self.bit(169 + b1)]
        return 34 if entry == luma_mode else entry


class ContentStream(Substream):
    """The content substream, 7.5, 7.6, 7.8 and 7.9."""

    def read(self, canvas: Canvas) -> None:
        """Read the filters of a canvas, then the units and quantiser indices of its leaves."""
        if canvas.kind < 2:
            for index in range(canvas.form.planes):
                used = self.bypass()
                canvas.filters.append(self.filters(canvas, min(index, 1)) if used else None)
        last_q = canvas.form.last_q
        quantiser = self.bypass(7 if canvas.form.extra else 6)
        require(quantiser <= last_q, "7.5", "quantiser is above LastQ")
        varying, offset = self.bypass(), 0
        done: set[tuple[int, int]] = set()  # the quantiser blocks that had their delta()
        for leaf in canvas.leaves:
            area = leaf.area
            if not leaf.intra:
                c = sum(other.intra or other.coded for other in canvas.neighbours(area))
                context = 7 + 24 * (canvas.kind - 1) + 6 * (area.log2_class - 3)
                context += 3 * leaf.merge + c
                leaf.coded = bool(self.bit(context))
            canvas.areas[area.cells] = area.w, area.h
            if leaf.intra or leaf.coded:
                block = area.x // 32, area.y // 32
                if varying and block not in done:
                    offset = max(-quantiser, min(last_q - quantiser, offset + self.delta()))
                    done.add(block)
                for node in area.tiles(min(32, area.w), min(32, area.h)):
                    self.node(canvas, leaf, node)
            leaf.q = quantiser + offset

    def filters(self, canvas: Canvas, p: int) -> Filters:
        """The filters of a plane that uses them, 7.8; p is P."""
        count = 1 if p else 1 + self.bypass(3)
        number = np.zeros(25, np.int64)
        for k in range(25 if count > 1 else 0):
            same = k > 0 and self.bit(SAME)
            number[k] = number[k - 1] if same else self.bypass((count - 1).bit_length())
            require(number[k] < count, "7.8", "number is not below count")
        taps = [[self.tap(p) for _ in FILTER_TAPS[p]] for _ in range(count)]
        on = np.zeros((ceil_div(canvas.rows, 8), ceil_div(canvas.columns, 8)), np.int64)
        for y, x in np.ndindex(on.shape):
            c = (on[y, x - 1] if x else 0) + (on[y - 1, x] if y else 0)
            on[y, x] = self.bit(ON + 3 * p + c)
        return Filters(number, np.array(taps), on)

    def tap(self, p: int) -> int:
        """Read a tap, 7.8."""
        if not self.bit(TAP + 7 * p):
            return 0
        g = 0
        while g < 6 and self.bit(TAP + 7 * p + 1 + g):
            g += 1
        r = (1 << g) + self.bypass(g)
        return -r if self.bypass() else r

    def delta(self) -> int:
        """Read a change of Offset."""
        if not self.bit(0):
            return 0
        m = 1
        while m < 32 and self.bit(min(m, 5)):
            m += 1
        return -m if self.bit(6) else m

    def node(self, canvas: Canvas, leaf: Leaf, node: Rect) -> None:
        """A node of a leaf."""
        kind, size = canvas.kind, node.log2_class - 3
        parts = node.chroma(canvas.form)
        cb = cr = [1 for _ in parts]
        if leaf.chroma_mode != PALETTE:
            cb = [self.bit(55 + 3 * kind + size) for _ in parts]
            cr = [self.bit(64 + 6 * kind + 2 * size + any(cb)) for _ in parts]
        chroma = any(cb + cr)
        context = 82 + 6 * kind + 2 * size + chroma
        if leaf.palette:
            leaf.palettes[0, node] = self.palette(canvas, 0, node.w, None)
        elif leaf.intra:
            for block, mode in zip(leaf.luma_blocks, leaf.modes, strict=True):
                if self.bit(context):
                    self.luma_unit(canvas, leaf, block, mode)
        elif (max(leaf.area.w, leaf.area.h) < 64 and not chroma) or self.bit(context):
            self.tree(canvas, leaf, node)
        sub_x, sub_y = canvas.form.sub
        for plane, coded in ((1, cb), (2, cr)):
            for part, block in enumerate(parts):
                if leaf.chroma_mode == PALETTE:
                    n = block.w
                    reference = leaf.palettes[0, node].indices[::sub_y, ::sub_x]
                    reference = reference[part * n : (part + 1) * n]
                    if plane == 2:
                        reference = leaf.palettes[1, block].indices
                    leaf.palettes[plane, block] = self.palette(canvas, plane, n, reference)
                elif coded[part]:
                    leaf.units[plane, block] = self.unit(kind, -1, 1, block)

    def tree(self, canvas: Canvas, leaf: Leaf, block: Rect) -> None:
        """Read the units of luma of a block."""
        _, _, v, z = block
        inter = canvas.kind - 1
        if v == z:
            s, context = v // 2, 100 + 3 * inter + log2(v) - 3
        else:
            s, context = min(v, z), TREE + 3 * inter + log2(v * z) - 7
        if max(v, z) > 4 and self.bit(context):
            for part in block.tiles(s, s):
                if self.bit(106 + 3 * inter + log2(s) - 2):
                    self.tree(canvas, leaf, part)
        else:
            self.luma_unit(canvas, leaf, block, -1)

    def luma_unit(self, canvas: Canvas, leaf: Leaf, block: Rect, mode: int) -> None:
        """Read a unit of luma and note what deblocking has to know of it."""
        leaf.units[0, block] = self.unit(canvas.kind, mode, 0, block)
        canvas.areas[block.cells] = max(block.w, 8), max(block.h, 8)
        canvas.luma[block.cells] = True

    def last(self, context: int, s: int) -> int:
        """Read lastx or lasty, 7.6; `context` is LAST(Set, P, axis, 4, 0)."""
        context += 9 * (log2(s) - 2)
        p = 0
        while p < 2 * log2(s) - 1 and self.bit(context + p):
            p += 1
        if p < 4:
            return p
        bits = (p >> 1) - 1
        return ((2 + (p & 1)) << bits) + self.bypass(bits)

    def unit(self, kind: int, mode: int, p: int, block: Rect) -> Unit:
        """The unit of a block, 7.6; p is P, `mode` that of an intra luma block, else -1."""
        _, _, w, h = block
        context = 113 + 144 * kind + 72 * p
        lastx = self.last(context, w)
        lasty = self.last(context + 36, h)
        secondary, sine = 0, False
        if 0 <= mode < 35 and max(lastx, lasty) < 4 and lastx + lasty > 0:
            context = SECONDARY + 12 * SET[mode] + 3 * (block.log2_class - 2)
            while secondary < 3 and self.bit(context + secondary):
                secondary += 1
        if p == 0 and secondary == 0 and max(w, h) < 32 and lastx + lasty > 0:
            context = 1733 + (3 * (2 * kind - 1 + (mode >= 0)) if kind else 0)
            sine = bool(self.bit(context + block.log2_class - 2))
        size = ((log2(w) + log2(h) + 1) >> 1) - 2  # Size4 of R
        levels = np.zeros((h, w), np.int64)
        a = [[0] * (w + 2) for _ in range(h + 2)]  # A(x, y) is a[y][x]
        full: set[tuple[int, int]] = set()
        blocks, positions = diagonal(w // 4, h // 4), diagonal(4, 4)
        for bx, by in blocks[blocks.index((lastx // 4, lasty // 4)) :: -1]:
            begin, coded = 15, False
            if (bx, by) == (lastx // 4, lasty // 4):
                begin = positions.index((lastx % 4, lasty % 4))
            elif (bx, by) != (0, 0):
                coded = True
                beside = (bx + 1, by) in full or (bx, by + 1) in full
                if not self.bit(545 + 12 * kind + 6 * p + 2 * (size - 1) + beside):
                    continue
            full.add((bx, by))
            found: list[int] = []  # the numbers in DIAG(4, 4) of the levels that are not 0, as read
            for i in range(begin, -1, -1):
                x, y = 4 * bx + positions[i][0], 4 * by + positions[i][1]
                t = a[y][x + 1] + a[y][x + 2] + a[y + 1][x] + a[y + 2][x] + a[y + 1][x + 1]
                place = PLACE[min(x + y, 6)]
                inferred = coded and i == 0 and not found
                if (x, y) != (lastx, lasty) and not inferred:
                    context = 581 + 192 * kind + 96 * p + 24 * size + 6 * place
                    if not self.bit(context + SIGCLASS[min(t, 6)]):
                        continue
                context = 1157 + 192 * kind + 96 * p + 24 * place + 3 * GTCLASS[min(t, 15)]
                a[y][x] = self.magnitude(context)
                found.append(i)
            places = [(4 * bx + positions[i][0], 4 * by + positions[i][1]) for i in found]
            parity = sum(a[y][x] for x, y in places) % 2
            for i, (x, y) in zip(found, places, strict=True):
                hidden = i == found[-1] and found[0] - found[-1] >= 4
                negative = parity if hidden else self.bypass()
                levels[y, x] = -a[y][x] if negative else a[y][x]
        return Unit(levels, mode, secondary, sine)

    def magnitude(self, context: int) -> int:
        """The magnitude of a level that is not 0, 7.6, from the context of i = 0."""
        a = 1
        while a < 15 and self.bit(context + min(a - 1, 2)):
            a += 1
        if a < 15:
            return a
        g = 0
        while g < 15 and self.bypass():
            g += 1
        return 14 + (1 << g) + self.bypass(g)

    def palette(self, canvas: Canvas, plane: int, n: int, reference: Ints | None) -> Palette:
        """A block of n x n samples of a palette leaf, 7.9; chroma has the references of each."""
        p, peak = min(plane, 1), canvas.form.peak
        colours: list[int] = []
        others: list[int] = []  # the entries of the list that are not reused
        for e, entry in enumerate(canvas.colours[plane]):
            context = REUSE + 11 * p + (e if e < 8 else 7 + (e >> 3))
            reused = len(colours) < 16 and self.bit(context)
            (colours if reused else others).append(entry)
        new, last = 0, -1
        while len(colours) < 16:
            if colours and not self.bit(COLOUR + 8 * p + min(new, 7)):
                break
            w = canvas.form.bit_depth if last == -1 else (peak - last).bit_length()
            last = min(peak, last + 1 + self.bypass(w))
            colours.append(last)
            new += 1
        canvas.colours[plane] = (colours + others)[:32]
        rows = [[0] * n for _ in range(n)]
        references = None if reference is None else reference.tolist()
        recent, near = list(range(16)), [-1] * 16
        for i in range(n):
            for j in range(n):
                parallel, same = -1, False
                if references:
                    parallel = near[references[i][j]]
                    same = j == 0 or references[i][j - 1] == references[i][j]
                index = 0
                if len(colours) > 1:
                    index = self.index(rows, i, j, len(colours), recent, p, parallel, same)
                rows[i][j] = index
                recent.remove(index)
                recent.insert(0, index)
                if references:
                    near[references[i][j]] = index
        return Palette(np.array(colours), np.array(rows))

    def index(
        self, rows: list[list[int]], i: int, j: int, count: int, recent: list[int], p: int,
        parallel: int, same: bool,
    ) -> int:  # fmt: skip
        """The index of the sample (j, i), 7.9; `parallel` is near[reference], -1 in luma."""
        form, around = index_neighbours(rows, i, j)
        tried: list[int] = []
        c = 3 if p else (count > 2) + (count > 5)
        if parallel >= 0:
            c = 4
            first = around[:1] == [parallel]
            if self.bit(PARALLEL + 2 * same + first):
                return parallel
            tried.append(parallel)
        for k, index in enumerate(around):
            if index not in tried:
                context = NEXT + 15 * p + 5 * (k - 1) + (form >> 2) if k else HIT + 20 * c + form
                if len(tried) == count - 1 or self.bit(context):
                    return index
                tried.append(index)
        for index in recent:
            if index < count and index not in tried:
                context = UNTRIED + 8 * p + min(7, count - 2 - len(tried))
                if len(tried) == count - 1 or self.bit(context):
                    return index
                tried.append(index)
        raise AssertionError("the last index that is left is taken without a bit")


def index_neighbours(rows: list[list[int]], i: int, j: int) -> tuple[int, list[int]]:
    """`form` and A0..A3 of the sample in row i, column j, 7.9; none at the first sample."""
    if i == j == 0:
        return 0, []
    if i == 0:
        w = n = m = e = rows[0][j - 1]
    else:
        n = rows[i - 1][j]
        w, m = (rows[i][j - 1], rows[i - 1][j - 1]) if j else (n, n)
        e = rows[i - 1][j + 1] if j + 1 < len(rows) else n
    f = n if j == 0 else rows[i][j - 2] if j > 1 else w
    if w == n:
        kind = 0 if m == n else 1
    elif w == m:
        kind = 2
    else:
        kind = 3 if n == m else 4
    a0, a1 = (n, w) if kind == 2 else (w, n)
    return 4 * kind + 2 * (n == e) + (w == f), [a0, a1, e, m]


def projected_motion(canvas: Canvas) -> dict[tuple[int, int], Motion]:
    """The projected motion of the cells (row, column) of an interior canvas, 8.2."""
    a, b = canvas.references
    d = b.frame - a.frame
    source, r, sign = (b, 0, 1) if b.references[0] is a else (a, 1, -1)

    def share(v: Vector, k: int) -> Vector:
        return (2 * v[0] * k + d) // (2 * d), (2 * v[1] * k + d) // (2 * d)

    own: dict[tuple[int, int], Motion] = {}  # what cells are given at their own place
    moved: dict[tuple[int, int], Motion] = {}  # and later at the moved one
    for row, cells in enumerate(source.motion):
        for column, cell in enumerate(cells):
            if not cell.direction >> r & 1:
                continue
            vy, vx = cell.vectors[r]
            v0 = share((sign * vy, sign * vx), canvas.frame - a.frame)
            v1 = share((-sign * vy, -sign * vx), b.frame - canvas.frame)
            own[row, column] = motion = Motion(3, (v0, v1))
            ty, tx = motion.vectors[1 - r]
            at = (8 * row + 4 + (-ty >> 2)) >> 3, (8 * column + 4 + (-tx >> 2)) >> 3
            if 0 <= at[0] < canvas.rows and 0 <= at[1] < canvas.columns:
                moved[at] = motion
    return own | moved


def available(canvas: Canvas, leaf: Leaf, x: int, y: int) -> Motion | None:
    """The motion of the cell of luma sample (x, y), None if it is not available to a leaf, 8.2."""
    other = canvas.leaf(x, y)
    usable = other and other.number < leaf.number and not other.intra
    return canvas.motion[y // 8][x // 8] if usable else None


def merge_list(canvas: Canvas, leaf: Leaf) -> list[Motion]:
    """The merge list of a leaf, 8.2."""
    x, y, w, h = leaf.area
    corners = (x - 1, y + h - 1), (x + w - 1, y - 1), (x + w, y - 1), (x - 1, y + h), (x - 1, y - 1)
    candidates = [available(canvas, leaf, *corner) for corner in corners]
    candidates.append(canvas.projected.get(((y + h) // 8, (x + w) // 8)))
    candidates.append(canvas.projected.get(((y + h // 2) // 8, (x + w // 2) // 8)))
    entries: list[Motion] = []
    for entry in candidates:
        if entry and all(entry.used() != before.used() for before in entries):
            entries.append(entry._replace(gradients=STILL.gradients))  # they are not merged
    return (entries + 5 * [canvas.rest])[:5]


def fitted(a: Motion, b: Motion, c: Motion, across: int, down: int) -> Motion:
    """The motion of cell A with the gradients that B, to the right, and C, below, give it, 8.2."""
    (ay, ax), (by, bx), (cy, cx) = (motion.vectors[0] for motion in (a, b, c))
    quotients = (
        (64 * (cy - ay)) // down, (64 * (by - ay)) // across,
        (64 * (cx - ax)) // down, (64 * (bx - ax)) // across,
    )  # fmt: skip
    return a._replace(gradients=tuple(clip_gradient(g) for g in quotients))


def affine_list(canvas: Canvas, leaf: Leaf) -> tuple[list[Motion], bool]:
    """The affine list of a leaf and whether entry 0 is inherited, 8.2."""
    (x, y, w, h), s = leaf.area, canvas.sign
    entries: list[Motion] = []

    def append(entry: Motion) -> None:
        if any(entry.gradients) and entry not in entries and len(entries) < 4:
            entries.append(entry)

    for i, j in ((x - 1, y + h - 1), (x + w - 1, y - 1), (x - 1, y), (x, y - 1)):
        if cell := available(canvas, leaf, i, j):
            dy, dx = y + h // 2 - (8 * (j // 8) + 4), x + w // 2 - (8 * (i // 8) + 4)
            append(cell.at(dy, dx, s))
    inherited = bool(entries)
    corners = (x - 1, y - 1), (x + w - 1, y - 1), (x - 1, y + h - 1)
    a, b, c = (available(canvas, leaf, *corner) for corner in corners)
    if a and b and c and a.direction == b.direction == c.direction:
        append(fitted(a, b, c, w, h).at(h // 2 + 4, w // 2 + 4, s))
    corners = (x, y), (x + w - 1, y), (x, y + h - 1)
    a, b, c = (canvas.projected.get((j // 8, i // 8)) for i, j in corners)
    if a and b and c:  # never in a chain canvas
        append(fitted(a, b, c, w - 8, h - 8).at(h // 2 - 4, w // 2 - 4, s))
    return (entries + 4 * [canvas.rest])[:4], inherited


def motion_of(canvas: Canvas, leaf: Leaf) -> Motion:
    """The motion of a leaf that is not intra, of an affine one that at its centre, 8.2."""
    x, y, w, h = leaf.area
    entries, inherited = affine_list(canvas, leaf) if leaf.affine else ([], False)
    if leaf.merge:
        return (entries if leaf.affine else merge_list(canvas, leaf))[leaf.index]
    c = available(canvas, leaf, x + w, y - 1) or available(canvas, leaf, x - 1, y - 1)
    near = available(canvas, leaf, x - 1, y), available(canvas, leaf, x, y - 1), c
    found = [entries[0]] if inherited else [motion for motion in near if motion]
    direction, differences, d = leaf.coded_motion
    vectors = [(0, 0), (0, 0)]
    for r in (0, 1):
        if not direction >> r & 1:
            continue
        if len(found) == 1:
            py, px = found[0].vectors[r]
        else:
            # with none this is zero, as it should be
            three = [motion.vectors[r] if motion else (0, 0) for motion in near]
            py, px = (sorted(v[axis] for v in three)[1] for axis in (0, 1))
        vectors[r] = clip_vector(py + differences[r][0], px + differences[r][1])
    if direction < 3:
        vy, vx = vectors[direction - 1]
        vectors[2 - direction] = (vy, vx) if canvas.kind == 1 else clip_vector(-vy, -vx)
    p = entries[0].gradients if inherited else STILL.gradients
    sums = (p[k] + (64 // (w if k & 1 else h)) * d[k] for k in range(4))
    return Motion(direction, (vectors[0], vectors[1]), tuple(clip_gradient(g) for g in sums))


def move_cells(canvas: Canvas, leaf: Leaf) -> None:
    """Give the cells of a leaf that is not intra their motion, 8.2."""
    x, y, w, h = leaf.area
    motion = motion_of(canvas, leaf)
    for j in range(y, y + h, 8):
        for i in range(x, x + w, 8):
            dy, dx = j + 4 - (y + h // 2), i + 4 - (x + w // 2)
            canvas.motion[j // 8][i // 8] = motion.at(dy, dx, canvas.sign)


def displaced(plane: Ints, vectors: Ints, size: tuple[int, int], luma: bool) -> Ints:
    """S(r) of 8.3 of a whole plane; `vectors` has y, x of each cell of `size` samples."""
    taps, before = (LUMA_TAPS, 3) if luma else (CHROMA_TAPS, 1)
    rows, columns = vectors.shape[:2]
    at, tap = [], []  # of y, then of x: the samples that each cell needs and its taps
    for axis, count in enumerate(size):
        bits = 2 if luma or count == 8 else 3  # an axis with Sub 2 has 4 samples
        whole = vectors[..., axis] >> bits
        fraction = vectors[..., axis] & ((1 << bits) - 1)
        tap.append(taps[fraction if luma else fraction << (3 - bits)])
        cell = np.indices((rows, columns))[axis]
        window = np.arange(count + taps.shape[1] - 1) - before
        at.append(np.clip((count * cell + whole)[..., None] + window, 0, plane.shape[axis] - 1))
    samples = plane[at[0][..., :, None], at[1][..., None, :]]
    height, width = size
    # as TAPS[0] is 64 at c = 0, the lines for fractions hold without them
    first = np.zeros((*samples.shape[:3], width), np.int64)
    s = np.zeros((rows, columns, height, width), np.int64)
    for c in range(taps.shape[1]):
        first += tap[1][:, :, c, None, None] * samples[..., c : c + width]
    for c in range(taps.shape[1]):
        s += tap[0][:, :, c, None, None] * first[..., c : c + height, :]
    return (s >> 6).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def enlarge(cells: Ints, size: tuple[int, int]) -> Ints:
    """Each value of an array of cells, for the rows and columns of samples of its cell."""
    return cells.repeat(size[0], 0).repeat(size[1], 1)


def displacements(canvas: Canvas, index: int) -> tuple[Ints, list[Ints]]:
    """The direction of each sample of a plane and S(r) of each reference, 8.3."""
    size = canvas.form.cell(index)
    planes = [reference.planes[index] for reference in canvas.references]
    vectors = canvas.vectors
    s = [displaced(plane, vectors[:, :, r], size, index == 0) for r, plane in enumerate(planes)]
    return enlarge(canvas.directions, size), s


def inter_prediction(canvas: Canvas, index: int) -> Ints:
    """The predicted samples of a plane, 8.3; those of intra cells mean nothing."""
    direction, s = displacements(canvas, index)
    pred = np.where(direction == 3, s[0] + s[-1], 2 * np.where(direction == 1, s[0], s[-1]))
    predicted: Ints = np.clip((pred + 64) >> 7, 0, canvas.form.peak)
    return predicted


def intra_border(plane: Ints, known: NDArray[np.bool_], block: Rect, bit_depth: int) -> Ints:
    """The sequence left[w+h], ..., left[1], left[0], top[1], ..., top[w+h] of 8.4."""
    x, y, w, h = block
    k = np.arange(w + h)
    xs = np.concatenate([np.full(w + h + 1, x - 1), x + k])
    ys = np.concatenate([y + k[::-1], np.full(w + h + 1, y - 1)])
    inside = (xs >= 0) & (ys >= 0) & (xs < plane.shape[1]) & (ys < plane.shape[0])
    available = np.zeros(len(xs), np.bool_)
    available[inside] = known[ys[inside], xs[inside]]
    if not available.any():
        return np.full(len(xs), 1 << (bit_depth - 1))
    source = np.where(available, np.arange(len(xs)), available.argmax())
    source = np.maximum.accumulate(source)
    sequence: Ints = plane[ys[source], xs[source]]
    return sequence


def intra_prediction(
    sequence: Ints, block: Rect, mode: int, luma: bool, peak: int, cubic: Ints
) -> Ints:
    """The samples of a block predicted from its border, 8.4."""
    _, _, w, h = block
    n = 1 << block.log2_class  # N
    smoothed = False
    if luma and n >= 8:
        smoothed = mode == 0 or (
            mode >= 2 and min(abs(mode - 10), abs(mode - 26)) > {8: 7, 16: 1, 32: 0}[n]
        )
        if smoothed:
            middle = (sequence[:-2] + 2 * sequence[1:-1] + sequence[2:] + 2) >> 2
            sequence = np.concatenate([sequence[:1], middle, sequence[-1:]])
    left, top = sequence[w + h :: -1], sequence[w + h :]
    v: Ints

    def weight(k: Ints) -> Ints:
        result: Ints = 32 >> ((2 * k) >> ((log2(n) - 1) >> 1))
        return result

    if mode < 2:
        i, j = np.arange(h)[:, None], np.arange(w)
        if mode == 0:
            v = h * ((w - 1 - j) * left[1 + i] + (j + 1) * top[w + 1])
            v += w * ((h - 1 - i) * top[1 + j] + (i + 1) * left[h + 1])
            v = (v + w * h) >> (log2(w) + log2(h) + 1)
        else:
            total = left[1 : h + 1].sum() + top[1 : w + 1].sum()
            v = np.full((h, w), (total + (w + h) // 2) // (w + h))
        return v + ((weight(j) * (left[1 + i] - v) + weight(i) * (top[1 + j] - v) + 32) >> 6)
    angle = ANGLE[mode - 2]
    # below mode 18 rows and columns, i and j, are exchanged
    main, side, b, a = (top, left, w, h) if mode >= 18 else (left, top, h, w)
    i, j = np.arange(a)[:, None], np.arange(b)
    p, f = ((i + 1) * angle) >> 5, ((i + 1) * angle) & 31
    # ref(k) for k = -a..w+h+2; the last is only used with f = 0
    below = np.zeros(a, np.int64)
    if angle < 0:
        k = np.arange(-a, 0)
        below = side[np.minimum((k * INVERSE[-angle] + 128) >> 8, a)]
    ref = np.concatenate([below, main, main[-1:], main[-1:]])
    at = a + j + p  # of ref(j + p)
    if angle == 0:
        v = np.clip(main[1 + j] + ((weight(j) * (side[1 + i] - side[0]) + 32) >> 6), 0, peak)
    elif luma and not smoothed:
        v = np.zeros((a, b), np.int64)
        for c in range(4):
            v += cubic[f, c] * ref[at + c]  # as CUBIC[0] is 64 at c = 1, f = 0 holds too
        v = np.clip((v + 32) >> 6, 0, peak)
    else:
        v = ((32 - f) * ref[at + 1] + f * ref[at + 2] + 16) >> 5
    return v if mode >= 18 else v.T


def copied_prediction(plane: Ints, known: NDArray[np.bool_], source: Rect, bit_depth: int) -> Ints:
    """The samples of a block copied from `source` of its plane, 8.4."""
    height, width = plane.shape
    xs = source.x + np.arange(source.w)
    ys = source.y + np.arange(source.h)[:, None]
    inside = (xs >= 0) & (ys >= 0) & (xs < width) & (ys < height)
    at = np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1)
    predicted: Ints = np.where(inside & known[at], plane[at], 1 << (bit_depth - 1))
    return predicted


def luma_at(luma: Ints, sub: tuple[int, int], a: Ints, b: Ints) -> Ints:
    """D of 8.4: the luma at the chroma samples (a, b)."""
    sub_x, sub_y = sub
    if sub_x == 1:
        return luma[b, a]
    total = np.full(np.broadcast(a, b).shape, 2 * sub_y)
    for r in range(sub_y):
        row = sub_y * b + r
        total += luma[row, np.maximum(0, 2 * a - 1)] + 2 * luma[row, 2 * a] + luma[row, 2 * a + 1]
    return total >> (1 + sub_y)


def linear_prediction(luma: Ints, plane: Ints, form: Format, block: Rect, mode: int) -> Ints:
    """The samples of a chroma block predicted from luma, 8.4."""
    x, y, w, h = block
    left, above = x > 0 and mode != 37, y > 0 and mode != 36
    if not left and not above:
        return np.full((h, w), 1 << (form.bit_depth - 1))
    # i of the points on each side
    beside, over = np.arange(h if left else 0), np.arange(w if above else 0)
    if left and above:
        beside, over = beside[:: max(1, h // w)], over[:: max(1, w // h)]
    a = np.concatenate([np.full(len(beside), x - 1), x + over])
    b = np.concatenate([y + beside, np.full(len(over), y - 1)])
    number = len(a)  # K
    at, c = luma_at(luma, form.sub, a, b), plane[b, a]
    sum_l, sum_c = int(at.sum()), int(c.sum())
    s = number * int((at * at).sum()) - sum_l * sum_l
    s += (2 * number * number) << (2 * form.extra)
    slope = ((number * int((at * c).sum()) - sum_l * sum_c) * 256) // s
    slope = max(-2048, min(2047, slope))
    d = luma_at(luma, form.sub, x + np.arange(w), y + np.arange(h)[:, None])
    v = slope * (number * d - sum_l) + 256 * sum_c + 128 * number
    predicted: Ints = np.clip(signed32(v) >> (8 + log2(number)), 0, form.peak)
    return predicted


def residual(unit: Unit, q: int, tables: Tables, extra: int) -> Ints:
    """The residual of a unit with quantiser index q, 8.6 and 8.5."""
    h, w = unit.levels.shape
    bound = 2 ** (15 + extra)
    e = log2(w) + log2(h)
    scale, shift = S6[q % 6] << (q // 6), (e >> 1) - 1
    if e % 2:
        scale, shift = 181 * scale, shift + 8
    d = (np.clip(unit.levels, -32768, 32767) * scale + (1 << (shift - 1))) >> shift
    d = np.clip(d, -bound, bound - 1)  # c of 8.6, which is d without a secondary transform
    if unit.secondary:
        n = 4 if min(w, h) == 4 else 8
        c = np.array([d[y, x] for x, y in diagonal(4, 4)])
        sums = signed32(c @ tables.secondary[n][3 * SET[unit.mode] + unit.secondary - 1])
        square = np.clip((sums + 64) >> 7, -bound, bound - 1).reshape(n, n)
        d = np.zeros((h, w), np.int64)
        d[:n, :n] = square.T if unit.mode > 18 else square

    def matrix(n: int) -> Ints:
        """M(n)."""
        m: Ints = tables.sine_transform[n] if unit.sine else tables.transform[:: 32 // n, :n]
        return m

    # of i, x
    g = np.clip((signed32(matrix(h).T @ d) + 64) >> 7, -bound, bound - 1)
    result: Ints = (signed32(g @ matrix(w)) + 2048) >> 12
    return result


class Edges(NamedTuple):
    """The vertical edges between the cells of a canvas, or of its transpose: rows, columns - 1."""

    strength: Ints
    q: Ints  # Qm


def find_edges(canvas: Canvas, transposed: bool) -> Edges:
    """The strengths of the edges, 8.7, 0 where one is not filtered."""

    def sides(cells: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        cells = cells.swapaxes(0, 1) if transposed else cells
        return cells[:, :-1], cells[:, 1:]

    direction_p, direction_q = sides(canvas.directions)
    vector_p, vector_q = sides(canvas.vectors)
    differs = direction_p != direction_q
    for r in (0, 1):
        far = (abs(vector_p[:, :, r] - vector_q[:, :, r]) >= 4).any(axis=2)
        differs |= (direction_p >> r & 1 == 1) & far
    luma_p, luma_q = sides(canvas.luma)
    strength = np.where(luma_p | luma_q | differs, 1, 0)
    strength = np.where((direction_p == 0) | (direction_q == 0), 2, strength)
    palette_p, palette_q = sides(canvas.cells(lambda leaf: leaf.palette))
    strength = np.where(palette_p | palette_q, 0, strength)
    coordinate = 8 * np.arange(1, strength.shape[1] + 1)
    on_border = coordinate % np.minimum(*sides(canvas.areas[..., 1 if transposed else 0])) == 0
    q_p, q_q = sides(canvas.cells(lambda leaf: leaf.q))
    return Edges(np.where(on_border, strength, 0), (q_p + q_q + 1) >> 1)


def deblock_luma(plane: Ints, edges: Edges, table: Ints, form: Format) -> None:
    """Filter the vertical edges of a luma plane in place, 8.7."""
    rows, columns = edges.strength.shape
    strength, q = edges.strength.repeat(2, 0), form.base(edges.q).repeat(2, 0)
    beta = table[q, 0] << form.extra
    tc = table[np.clip(q + 2 * (strength - 1), 0, 63), 1] << form.extra
    # groups of four lines, line, edge, sample: p3..p0, q0..q3; those of two edges are disjoint
    samples = plane[:, 4:-4].reshape(2 * rows, 4, columns, 8)
    p3, p2, p1, p0, q0, q1, q2, q3 = np.moveaxis(samples, 3, 0)
    dp, dq = abs(p2 - 2 * p1 + p0), abs(q2 - 2 * q1 + q0)
    d = dp + dq
    on = (strength > 0) & (d[:, 0] + d[:, 3] < beta)
    strong = np.ones_like(on)
    for k in (0, 3):
        strong &= 2 * d[:, k] < beta >> 2
        strong &= abs(p3 - p0)[:, k] + abs(q0 - q3)[:, k] < beta >> 3
        strong &= abs(p0 - q0)[:, k] < (5 * tc + 1) >> 1
    side = (beta + (beta >> 1)) >> 3
    side_p, side_q = ((x[:, 0] + x[:, 3] < side)[:, None] for x in (dp, dq))
    on, strong, tc = on[:, None], strong[:, None], tc[:, None]

    def strongly(a3: Ints, a2: Ints, a1: Ints, a0: Ints, b0: Ints, b1: Ints) -> list[Ints]:
        """The strong filter of the side a: its samples 0, 1, 2."""
        new = (
            (a0, (a2 + 2 * a1 + 2 * a0 + 2 * b0 + b1 + 4) >> 3),
            (a1, (a2 + a1 + a0 + b0 + 2) >> 2),
            (a2, (2 * a3 + 3 * a2 + a1 + a0 + b0 + 4) >> 3),
        )
        return [np.clip(value, a - 2 * tc, a + 2 * tc) for a, value in new]

    def weakly(a2: Ints, a1: Ints, a0: Ints, e: Ints, flat: Ints) -> list[Ints]:
        """The other filter of the side a."""
        change = np.clip((((a2 + a0 + 1) >> 1) - a1 + e) >> 1, -(tc >> 1), tc >> 1)
        first, second = np.clip(a0 + e, 0, form.peak), np.clip(a1 + change, 0, form.peak)
        return [np.where(small, first, a0), np.where(small & flat, second, a1), a2]

    e = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4
    small = abs(e) < 10 * tc
    e = np.clip(e, -tc, tc)
    new_p = zip(strongly(p3, p2, p1, p0, q0, q1), weakly(p2, p1, p0, e, side_p), strict=True)
    new_q = zip(strongly(q3, q2, q1, q0, p0, p1), weakly(q2, q1, q0, -e, side_q), strict=True)
    result = samples.copy()
    for k, (new, weak) in enumerate(new_p):
        result[..., 3 - k] = np.where(on, np.where(strong, new, weak), samples[..., 3 - k])
    for k, (new, weak) in enumerate(new_q):
        result[..., 4 + k] = np.where(on, np.where(strong, new, weak), samples[..., 4 + k])
    plane[:, 4:-4] = result.reshape(8 * rows, 8 * columns)


def deblock_chroma(
    plane: Ints, edges: Edges, table: Ints, form: Format, chroma_offset: int, transposed: bool
) -> None:
    """Filter the vertical edges of a chroma plane, or of its transpose, in place, 8.7."""
    across, along = form.sub[::-1] if transposed else form.sub
    # luma coordinates 8 * across, 16 * across, ...
    strength, qm = (x[:, across - 1 :: across].repeat(8 // along, 0) for x in edges)
    at = 8 * np.arange(1, strength.shape[1] + 1)
    q = form.base(qm + chroma_offset)
    tc = table[np.clip(q + 2 * (strength - 1), 0, 63), 1] << form.extra
    p1, p0, q0, q1 = (plane[:, at + k] for k in (-2, -1, 0, 1))
    e = np.clip((4 * (q0 - p0) + p1 - q1 + 4) >> 3, -tc, tc) * (strength > 0)
    plane[:, at - 1], plane[:, at] = (np.clip(x, 0, form.peak) for x in (p0 + e, q0 - e))


def filter_classes(plane: Ints, extra: int) -> Ints:
    """The class of each 4 x 4 block of luma, 8.8."""
    s = np.pad(plane, 3, mode="edge")
    centre = s[1:-1, 1:-1]
    even = np.indices(centre.shape).sum(axis=0) % 2 == 0  # it begins at (-2, -2)

    def sums(before: Ints, after: Ints) -> Ints:
        values = abs(2 * centre - before - after) * even
        windows = np.lib.stride_tricks.sliding_window_view(values, (8, 8))[::4, ::4]
        total: Ints = windows.sum(axis=(2, 3))
        return total

    vertical, horizontal = sums(s[:-2, 1:-1], s[2:, 1:-1]), sums(s[1:-1, :-2], s[1:-1, 2:])
    falling, rising = sums(s[:-2, :-2], s[2:, 2:]), sums(s[:-2, 2:], s[2:, :-2])
    a, b = np.maximum(vertical, horizontal), np.minimum(vertical, horizontal)
    c, d = np.maximum(falling, rising), np.minimum(falling, rising)
    straight = np.where(a > 2 * b, np.where(vertical > horizontal, 1, 2), 0)
    oblique = np.where(c > 2 * d, np.where(falling > rising, 3, 4), 0)
    kind = np.where(a * d >= c * b, straight, oblique)
    return 5 * kind + ACTIVITY[np.minimum(15, (vertical + horizontal) >> (5 + extra))]


def adaptive_filter(plane: Ints, filters: Filters, form: Format, index: int) -> Ints:
    """A plane after its adaptive filters, 8.8."""
    height, width = plane.shape
    f = np.zeros(plane.shape, np.int64)
    if index == 0:
        f = enlarge(filters.number[filter_classes(plane, form.extra)], (4, 4))
    s = np.pad(plane, 3, mode="edge")
    total = np.full(plane.shape, 64)
    for tap, (v, u) in enumerate(FILTER_TAPS[min(index, 1)]):
        after = s[3 + v : 3 + v + height, 3 + u : 3 + u + width]
        before = s[3 - v : 3 - v + height, 3 - u : 3 - u + width]
        total += filters.taps[f, tap] * (after + before - 2 * plane)
    rows, columns = form.cell(index)
    on = enlarge(filters.on, (8 * rows, 8 * columns))[:height, :width]
    filtered: Ints = np.where(on, np.clip(plane + (total >> 7), 0, form.peak), plane)
    return filtered


def warps(canvas: Canvas, index: int) -> tuple[Ints, Ints]:
    """Warp(0) and Warp(1) of the samples of a plane of a reconstructed canvas, 9.3."""
    rec = canvas.planes[index]
    if canvas.kind == 0:
        return rec, rec
    direction, s = displacements(canvas, index)
    by = [np.clip((2 * x + 64) >> 7, 0, canvas.form.peak) for x in s]
    # a cell that does not use reference r takes the warp by the other one
    warp0, warp1 = np.where(direction & 1, by[0], by[-1]), np.where(direction & 2, by[-1], by[0])
    return np.where(direction == 0, rec, warp0), np.where(direction == 0, rec, warp1)


def box(plane: Ints) -> Ints:
    """Box of the samples of a plane, 9.3."""
    padded = np.pad(plane, 2, mode="edge")
    sums: Ints = np.lib.stride_tricks.sliding_window_view(padded, (5, 5)).sum(axis=(2, 3))
    return sums


def sited(planes: Sequence[Ints], form: Format) -> list[Ints]:
    """Luma as it is, then Cb and Cr of the sites, 9.1, of the planes of a canvas or of Warp."""
    rows, columns = planes[0].shape[0] // 2, planes[0].shape[1] // 2
    if form.chroma_format == 0:
        return [planes[0]] + 2 * [np.full((rows, columns), 1 << (form.bit_depth - 1))]
    sub_x, sub_y = form.sub
    n = 4 // (sub_x * sub_y)  # samples of the plane at a site: 1, 2 or 4
    blocks = (plane.reshape(rows, 2 // sub_y, columns, 2 // sub_x) for plane in planes[1:])
    return [planes[0], *(rshift(block.sum(axis=(1, 3)), n // 2) for block in blocks)]


def split(y: Ints, cb: Ints, cr: Ints) -> Ints:
    """The planes of 9.1, (6, rows, columns of sites), of those that `sited` gives."""
    return np.stack([y[::2, ::2], y[::2, 1::2], y[1::2, ::2], y[1::2, 1::2], cb, cr])


def weigh(weight: Ints, x: Ints) -> Ints:
    """The sums of 9.4 over i, ky, kx: weight (rows, i, ky, kx), x (i, y, x), 0 outside the grid."""
    size, (_, height, width) = weight.shape[2], x.shape
    padded = np.pad(x, ((0, 0), (size // 2, size // 2), (size // 2, size // 2)))
    sums = np.zeros((len(weight), height, width), np.int64)
    for ky in range(size):
        for kx in range(size):
            shifted = padded[:, ky : ky + height, kx : kx + width]
            sums += np.tensordot(weight[:, :, ky, kx], shifted, 1)
    return sums


def bounded(weight: Ints, bias: Ints, shift: int) -> bool:
    """Whether the rows of a layer keep to the bound of 9.2."""
    sums = abs(weight.reshape(len(weight), -1)).sum(axis=1) * 4095
    return bool((sums + abs(bias) + ((1 << shift) >> 1) < 2**31).all())


class HiddenLayer(NamedTuple):
    """A hidden layer of 9.2."""

    weight: Ints  # [unit][input][ky][kx]
    bias: Ints
    shift: int


class Fusion:
    """The fusion network: its weights, their changes by groups and its frames, clause 9."""

    def __init__(self, tables: Tables, chroma_offset: int) -> None:
        """Cut the table into its parts, 9.2."""
        position = 0

        def take(*shape: int) -> Ints:
            nonlocal position
            start, position = position, position + int(np.prod(shape))
            if position > len(tables.fusion):
                raise ValueError("fusion.txt is cut short")
            return tables.fusion[start:position].reshape(shape)

        networks, *self.of_set, self.change_shift, depth = take(6).tolist()
        shapes = take(depth, 3).tolist()
        self.output_shift = int(take(1)[0])
        self.hidden: list[list[HiddenLayer]] = []  # of each network
        defaults = []
        for _ in range(networks):
            layers, inputs = [], 18
            for size, units, shift in shapes:
                layers.append(HiddenLayer(take(units, inputs, size, size), take(units), shift))
                inputs = units
            self.hidden.append(layers)
            defaults.append(take(6, 67 + inputs))
        if position != len(tables.fusion):
            raise ValueError(f"fusion.txt: {len(tables.fusion)} values, not {position}")
        self.contexts, self.chroma_offset = tables.fusion_contexts, chroma_offset
        self.defaults = np.stack(defaults)  # of the output layers, [network][plane][number]
        self.output = self.defaults.copy()  # as the last group left them
        self.off = False  # the mode of the group
        for layer in (layer for layers in self.hidden for layer in layers):
            if not bounded(layer.weight, layer.bias, layer.shift):
                raise ValueError("fusion.txt breaks the bound of 9.2")

    def read_group(self, data: bytes, key: bool) -> None:
        """Update the weights by the network substream of a group, 9.6, and judge them, 9.2."""
        if key:
            self.output = self.defaults.copy()
        stream = Substream(data, self.contexts)
        keep = stream.bit(KEEP)
        self.off = not keep and stream.bit(OFF) == 1
        if not keep and not self.off:
            for weight in self.output:
                if stream.bit(CHANGED):
                    weight += self.read_changes(stream) << self.change_shift
        stream.finish()
        fits = bool((np.abs(self.output) < 2**15).all())
        require(fits, "9.2", "a weight of the output layer exceeds 16 bits")
        for weight in self.output:
            fits = bounded(weight[:, 1:], 64 * weight[:, 0], self.output_shift)
            require(fits, "9.2", "bound of the output layer broken")

    def read_changes(self, stream: Substream) -> Ints:
        """The sums d + S of the output layer of a network, 9.2 and 9.6."""
        s = np.zeros(25, np.int64)
        for j in range(25) if stream.bit(SHARED) else ():
            e = capped(s[j - 1]) if j % 5 else 0
            e += capped(s[j - 5]) if j >= 5 else 0
            s[j] = read_change(stream, 7, e)
        d = np.zeros_like(self.output[0])
        previous = 1
        for p in range(6):
            previous = stream.bit(ROW + previous)
            for i in range(d.shape[1]) if previous else ():
                e = capped(d[p, i - 1]) if i else 0
                e += capped(d[p - 1, i]) if p else 0
                d[p, i] = read_change(stream, change_kind(p, i), e)
        d[:4, 1:37] += spread(s)
        return d

    def render(self, canvas: Canvas) -> list[Ints]:
        """The planes of the frame of a canvas at coded size, 9.3 to 9.5."""
        if self.off:
            return canvas.planes
        form = canvas.form
        q = enlarge(canvas.cells(lambda leaf: leaf.q), (4, 4))  # of the sites
        luma_q, chroma_q = form.base(q), form.base(q + self.chroma_offset)
        step = STEP[np.stack(4 * [luma_q] + 2 * [chroma_q])]
        reciprocal = (2**22 + step // 2) // step
        planes = sited(canvas.planes, form)
        rec = split(*planes)
        a = rshift(25 * rec - split(*map(box, planes)), form.extra)
        a = np.clip(rshift(signed32(a * reciprocal), 15), -4095, 4095)
        by = zip(*(warps(canvas, index) for index in range(form.planes)), strict=True)
        d = np.concatenate([split(*sited(warp, form)) - rec for warp in by])
        d = signed32(d * np.concatenate([reciprocal, reciprocal]))
        d = np.clip(rshift(d, 10 + form.extra), -4095, 4095)
        network = self.of_set[canvas.kind]
        x = np.concatenate([a, d])
        for layer in self.hidden[network]:  # 9.4
            v = signed32(weigh(layer.weight, x) + layer.bias[:, None, None])
            v = rshift(v, layer.shift)
            x = np.clip(np.maximum(v, v >> 3), -4095, 4095)
        weight = self.output[network]
        v = weigh(weight[:, 1:55].reshape(6, 6, 3, 3), a) + 64 * weight[:, 0, None, None]
        v += weigh(weight[:, 55:67, None, None], d)
        v += weigh(weight[:, 67:, None, None], x)
        v = np.clip(rshift(signed32(v), self.output_shift), -16383, 16383)
        sample = rec + rshift(signed32(v * step), 16 - form.extra)  # 9.5
        sample = np.clip(sample, 0, form.peak)
        luma = canvas.planes[0].copy()
        for p in range(4):
            luma[p // 2 :: 2, p % 2 :: 2] = sample[p]
        return [luma, *(sample[4:] if form.sub == (2, 2) else canvas.planes[1:])]


def capped(difference: int) -> int:
    """What a difference coded before contributes to e of 9.6."""
    return min(15, abs(int(difference)))


def read_change(stream: Substream, kind: int, e: int) -> int:
    """`difference(kind, Class(e))` of 9.6."""
    zero = CHANGES + 31 * kind
    return stream.decoder.difference(stream.contexts, zero + 7 * min(2, (e + 1) // 2), zero + 21)


def spread(s: Ints) -> Ints:
    """S(p, i) of 9.2 for the planes p of luma and their weights i = 1..36, (4, 36)."""
    p, k, ky, kx = np.indices((4, 4, 3, 3))
    dy = 2 * (ky - 1) + k // 2 - p // 2
    dx = 2 * (kx - 1) + k % 2 - p % 2
    padded = np.pad(s.reshape(5, 5), 1)  # dy and dx are in -3..3
    return padded[dy + 3, dx + 3].reshape(4, 36)


def change_kind(p: int, i: int) -> int:
    """Kind(p, i) of 9.6."""
    if i == 0:
        return 0
    if i >= 67:
        return 8 if p < 4 else 9
    kind, plane = (1, (i - 1) // 9) if i < 55 else (4, (i - 55) % 6)
    if plane == p:
        return kind
    return kind + (1 if (plane < 4) == (p < 4) else 2)


class Hybrid:
    """The hybrid model: its description, its canvases and their frames, clauses 7 to 9."""

    substreams: tuple[str, ...] = ("content", "motion")
    frames: int

    def __init__(self, payload: bytes, head: Head, tables: Tables) -> None:
        """Parse `HYBR`, 7.1."""
        require(len(payload) == 3, "7.1", "HYBR is not 3 bytes")
        frames, chroma_offset, network = struct.unpack("<BbB", payload)
        rules = (
            (1 <= frames <= 32, "group_frames"),
            (-12 <= chroma_offset <= 12, "chroma_offset"),
            (network <= 1, "network"),
        )
        for condition, name in rules:
            require(condition, "7.1", f"{name} is outside its rule")
        self.frames, self.chroma_offset, self.tables = frames, chroma_offset, tables
        self.form = Format(head.chroma_format, head.bit_depth, head.sub)
        sub_x, sub_y = head.sub
        chroma = ceil_div(head.height, sub_y), ceil_div(head.width, sub_x)
        self.sizes = ((head.height, head.width), chroma, chroma)[: self.form.planes]
        self.cells = ceil_div(head.height, 8), ceil_div(head.width, 8)
        self.chain: Canvas | None = None  # the key or chain canvas of the group before
        self.earlier: Canvas | None = None  # that of the group before it, None after a key group
        self.key: Canvas | None = None  # the key canvas of the last key group
        self.fusion = Fusion(tables, chroma_offset) if network else None
        if network:
            self.substreams = (*self.substreams, "network")

    def max_frames(self, key: bool) -> int:
        """The bound of `frame_count` of a group, 2.7."""
        return 1 if key else self.frames

    def decode_group(
        self, key: bool, second: int, count: int, data: dict[str, bytes]
    ) -> Iterator[Frame]:
        """Parse and reconstruct the canvases of a group, 7.2 and 8.1, and yield its frames."""
        canvases = self.plan(key, second, count)
        motion = MotionStream(data["motion"], self.tables.motion_contexts)
        content = ContentStream(data["content"], self.tables.content_contexts)
        for canvas in canvases:
            motion.read(canvas)
        motion.finish()
        for canvas in canvases:
            content.read(canvas)
        content.finish()
        if self.fusion:
            self.fusion.read_group(data["network"], key)
        for canvas in canvases:
            self.reconstruct(canvas)
        self.earlier, self.chain = None if key else self.chain, canvases[0]
        self.key = self.chain if key else self.key
        dtype = np.dtype("u1" if self.form.bit_depth == 8 else "<u2")  # 2.7
        for canvas in sorted(canvases, key=lambda canvas: canvas.frame):
            planes = self.fusion.render(canvas) if self.fusion else canvas.planes
            canvas.references = []
            yield tuple(
                plane[:h, :w].astype(dtype)
                for plane, (h, w) in zip(planes, self.sizes, strict=True)
            )

    def plan(self, key: bool, second: int, count: int) -> list[Canvas]:
        """The canvases of a group in the order of 7.2."""
        if key or self.chain is None:
            return [Canvas(0, 0, [], self.form, self.cells)]
        references = [self.chain]
        if second:
            other = self.earlier if second == 1 else self.key
            require(other is not None, "7.2", "second is 1 after a key group")
            references += [other] if other else []
        self.chain.frame = -1
        chain = Canvas(1, count - 1, references, self.form, self.cells)
        canvases, intervals = [chain], [(self.chain, chain)]
        for a, b in intervals:  # grows as it is walked, depth by depth
            if b.frame - a.frame > 1:
                m = (a.frame + b.frame) >> 1
                canvases.append(Canvas(2, m, [a, b], self.form, self.cells))
                intervals += [(a, canvases[-1]), (canvases[-1], b)]
        return canvases

    def reconstruct(self, canvas: Canvas) -> None:
        """Reconstruct a canvas, 8.1."""
        if canvas.kind == 2:
            canvas.projected = projected_motion(canvas)
        for leaf in canvas.leaves:
            if not leaf.intra:
                move_cells(canvas, leaf)
        intra = canvas.cells(lambda leaf: leaf.intra)
        for index in range(self.form.planes):
            size = self.form.cell(index)
            if canvas.kind:
                canvas.planes.append(inter_prediction(canvas, index))
            else:
                canvas.planes.append(0 * enlarge(intra, size))
            known = enlarge(intra, size) == 0
            for leaf in canvas.leaves:
                if not leaf.intra:
                    for (plane, block), unit in leaf.units.items():
                        if plane == index:
                            self.add(canvas, leaf, index, block, unit)
            for leaf in canvas.leaves:
                if leaf.intra:
                    self.intra(canvas, leaf, index, known)
        self.deblock(canvas)
        for index, filters in enumerate(canvas.filters):
            if filters:
                plane = canvas.planes[index]
                canvas.planes[index] = adaptive_filter(plane, filters, self.form, index)

    def add(self, canvas: Canvas, leaf: Leaf, plane: int, block: Rect, unit: Unit) -> None:
        """Add the residual of a unit to its predicted samples, 8.6."""
        q = max(0, min(self.form.last_q, leaf.q + self.chroma_offset)) if plane else leaf.q
        samples = canvas.planes[plane][block.samples]
        added = residual(unit, q, self.tables, self.form.extra)
        samples[:] = np.clip(samples + added, 0, self.form.peak)

    def intra(self, canvas: Canvas, leaf: Leaf, index: int, known: NDArray[np.bool_]) -> None:
        """Predict and complete the blocks of an intra leaf in a plane, 8.4."""
        blocks, modes, (copy_y, copy_x) = leaf.luma_blocks, leaf.modes, leaf.copy
        if index:
            sub_x, sub_y = self.form.sub
            blocks = leaf.area.chroma(self.form)
            modes = [leaf.chroma_mode for _ in blocks]
            copy_y, copy_x = copy_y // sub_y, copy_x // sub_x
        # luma is complete before the first block of chroma, and not yet deblocked
        luma, plane, form = canvas.planes[0], canvas.planes[index], self.form
        for block, mode in zip(blocks, modes, strict=True):
            if mode < 35:
                border = intra_border(plane, known, block, form.bit_depth)
                arguments = block, mode, index == 0, form.peak, self.tables.cubic
                predicted = intra_prediction(border, *arguments)
            elif mode == COPIED:
                source = block._replace(x=block.x + copy_x, y=block.y + copy_y)
                predicted = copied_prediction(plane, known, source, form.bit_depth)
            elif mode == PALETTE:
                palette = leaf.palettes[index, block]
                predicted = palette.colour[palette.indices]
            else:
                predicted = linear_prediction(luma, plane, form, block, mode)
            plane[block.samples] = predicted
            if (index, block) in leaf.units:
                self.add(canvas, leaf, index, block, leaf.units[index, block])
            known[block.samples] = True

    def deblock(self, canvas: Canvas) -> None:
        """Filter the edges of a canvas, vertical ones first, 8.7."""
        table, form = self.tables.deblocking, self.form
        for transposed in (False, True):
            edges = find_edges(canvas, transposed)
            for index, plane in enumerate(canvas.planes):
                view = plane.T if transposed else plane
                if index:
                    deblock_chroma(view, edges, table, form, self.chroma_offset, transposed)
                else:
                    deblock_luma(view, edges, table, form)


class NirvanaTable:
    """Table 1 of the nirvana network, 11.2."""

    def __init__(self, tables: Tables) -> None:
        """Cut the two data files into their tensors."""
        data, name = tables.nirvana_weights, "nirvana_weights.bin"
        position = 0

        def take(*shape: int) -> Ints:
            nonlocal position
            start, position = position, position + int(np.prod(shape))
            if position > len(data):
                raise ValueError(f"{name} is cut short")
            tensor: Ints = data[start:position].reshape(shape)
            return tensor

        def close() -> None:
            if position != len(data):
                raise ValueError(f"{name}: {len(data)} values, not {position}")

        sizes = [s.stop - s.start for s in SLICES]
        kinds = (4, 4, 3, 3, 3, 3)  # K of 11.2, of each slice
        self.basis = take(DETAIL, FEATURES)
        self.w1 = take(UNITS, SEEN, 3, 3)
        self.w1c = take(UNITS, FEATURES - SEEN)
        self.w2 = take(UNITS, UNITS)
        self.w3 = take(DETAIL, UNITS)
        self.a: list[Ints] = []
        self.c: list[Ints] = []
        for s, part in enumerate(SLICES):
            earlier = (part.start,) if s == LAST_SLICE else (part.start, 3, 3)
            self.a.append(take(SLICE_UNITS, 2, *earlier))
            self.c.append(take(SLICE_UNITS, 2, sizes[s], 4))
        self.m = [take(SLICE_UNITS, 4, n) for n in sizes]
        self.h = [take(SECOND_UNITS, SLICE_UNITS) for _ in SLICES]
        self.o = [take(k, n, SECOND_UNITS) for k, n in zip(kinds, sizes, strict=True)]
        self.neighbour = take(80, 40, 3, 3)
        close()
        data, name, position = tables.nirvana_biases, "nirvana_biases.bin", 0
        self.scale = take(FEATURES)
        self.shifts = take(5).tolist()
        self.b1 = take(2, UNITS)
        self.b2 = take(UNITS)
        self.b3 = take(DETAIL)
        self.bc = [take(3, SLICE_UNITS) for _ in SLICES]
        self.bh = [take(SECOND_UNITS) for _ in SLICES]
        self.bo = [take(2, k, n) for k, n in zip(kinds, sizes, strict=True)]
        self.log = take(4096)
        self.zero_cost = take(26, 3).tolist()
        close()


@dataclass
class Block:
    """A motion block, 11.3, with what 11.5 gives it."""

    intra: bool = False
    joined: bool = False
    path: list[Vector] = field(default_factory=list)


class PathStream(Substream):
    """The motion substream of model 3, 11.5."""

    def read(self, rows: int, columns: int, count: int) -> list[list[Block]]:
        """Read the blocks of a group of `count` frames."""
        blocks: list[list[Block]] = []
        for y in range(rows):
            blocks.append([])
            for x in range(columns):
                left = blocks[y][x - 1] if x else None
                above = blocks[y - 1][x] if y else None
                blocks[y].append(self.block(left, above, count))
        return blocks

    def block(self, left: Block | None, above: Block | None, count: int) -> Block:
        """Read a block of which a and b of 11.5 are `left` and `above`."""
        still = [(0, 0)] * count
        around = [block for block in (left, above) if block]
        if self.bit(sum(block.intra for block in around)):
            return Block(intra=True, path=still)
        paths = [block.path for block in around if not block.intra]
        near = paths[0] if paths else still
        candidates = [near]
        for path in ([above.path] if above and not above.intra else []) + [still]:
            if path not in candidates:
                candidates.append(path)
        n = sum(block.joined for block in around)
        for i, path in enumerate(candidates):
            if self.bit(TAKE + 3 * i + n):
                return Block(joined=True, path=path)
        return Block(path=self.path(near))

    def path(self, near: list[Vector]) -> list[Vector]:
        """Read the vectors of a block that joins no candidate."""
        path: list[Vector] = []
        d, ahead = [0, 0], [0, 0]  # d[t-1] and V[t-1] - Near[t-1]
        for t, vector in enumerate(near):
            v = [0, 0]
            for c in (0, 1):
                kind = 1 + min(2, abs(d[c]).bit_length()) if t else 0
                zero, prefix = PATHS + 38 * c + 7 * kind, PATHS + 38 * c + 28
                d[c] = self.decoder.difference(self.contexts, zero, prefix)
                v[c] = max(-2047, min(2047, vector[c] + ahead[c] + d[c]))
                ahead[c] = v[c] - vector[c]
            path.append((v[0], v[1]))
        return path


class Estimate(NamedTuple):
    """What 12.3 says of each feature of a slice in a patch."""

    mean: list[int]
    fraction: list[int]
    part: list[int]
    kind: list[int]  # Class


class ResidualStream(Substream):
    """The content substream of model 3, 11.6."""

    def number(self, kind: int, around: list[int], busy: int) -> int:
        """Read the number of slices of a patch; `around` has those of the patches of `longer`."""
        number = ALWAYS
        while number < len(SLICES):
            longer = sum(other > number for other in around)
            n = number - ALWAYS
            if not self.bit(NUMBER + 60 * kind + 20 * n + 5 * longer + busy):
                break
            number += 1
        return number

    def slice(
        self, s: int, number: int, estimate: Estimate, zero_cost: list[list[int]]
    ) -> list[int]:
        """Read the residuals of slice s in a patch that has `number` slices, s among them."""
        residuals = list(estimate.mean)
        costs = [zero_cost[k][p] for k, p in zip(estimate.kind, estimate.part, strict=True)]
        left = sum(costs)
        last = s >= ALWAYS and s == number - 1
        if not self.bit(LAST + s - ALWAYS if last else 36 * s + bucket(left)):
            return residuals
        found = False
        for f, cost in enumerate(costs):
            kind, part = estimate.kind[f], estimate.part[f]
            if found:
                nonzero = self.bit(NONZERO + 3 * kind + part)
            elif f == len(costs) - 1:
                nonzero = 1
            else:
                nonzero = self.bit(FIRST_FOUND + bucket(16 * left // cost))
                left -= cost
            if nonzero:
                found = True
                m = self.decoder.magnitude(self.contexts, MORE + 6 * kind, PREFIXES)
                if part == 0:
                    negative = self.bypass() == 1
                else:
                    opposite = self.bit(SIGN + 2 * kind + part - 1) == 1
                    negative = opposite != (estimate.fraction[f] < 0)
                residuals[f] += -m if negative else m
        return residuals


class Component(NamedTuple):
    """A component of the output layer, 11.8."""

    shift: int
    inputs: Ints  # I
    outputs: Ints  # J


class ComponentStream(Substream):
    """The network substream of model 3, 11.8."""

    def read(self, slots: list[Component | None]) -> None:
        """Change the slots that are new."""
        for slot in range(len(slots)):
            if self.bypass():
                slots[slot] = self.component() if self.bypass() else None

    def component(self) -> Component:
        """Read the component of a slot that is used."""
        shift = self.bypass(4)
        inputs = self.values(0, UNITS + 1)
        return Component(shift, inputs, self.values(1, DETAIL))

    def values(self, kind: int, count: int) -> Ints:
        """Read I or J."""
        values, a = [], 0  # CClass of 0 is that of the first one
        for _ in range(count):
            zero, prefix = 31 * kind + 7 * min(2, abs(a).bit_length()), 31 * kind + 21
            a = self.decoder.difference(self.contexts, zero, prefix)
            require(abs(a) <= 127, "11.8", "a value of a component is outside its range")
            values.append(a)
        return np.array(values)


def bucket(n: int) -> int:
    """Bucket(n) of 11.6."""
    if n < 2:
        return 0
    bits = n.bit_length()
    return min(35, 2 * (bits - 1) + (n >> (bits - 2)) % 2)


def hidden(a: Ints, shift: int) -> Ints:
    """Hidden(a, shift) of 12.3, of sums that fit in 32 bits, 11.2."""
    v = rshift(signed32(a), shift)
    units: Ints = np.clip(np.maximum(v, v >> 3), -4095, 4095)
    return units


def gate(a: Ints) -> Ints:
    """Gate(a) of 12.3."""
    gates: Ints = np.clip(32 + (a >> 2), 0, 64)
    return gates


def join(samples: Ints) -> Ints:
    """The plane of the samples (i, py, px) of one frame of a layer in the order of 11.2."""
    _, rows, columns = samples.shape
    squares = samples.reshape(PATCH, PATCH, rows, columns).transpose(2, 0, 3, 1)
    return squares.reshape(PATCH * rows, PATCH * columns)


def moved_samples(plane: Ints, y: int, x: int, vy: int, vx: int) -> Ints:
    """`moved` of 12.2 of the samples of a patch that begins at (y, x) of the trace `plane`."""
    window = np.arange(PATCH + 3) - 1
    rows = np.clip(y + (vy >> 3) + window, 0, plane.shape[0] - 1)
    columns = np.clip(x + (vx >> 3) + window, 0, plane.shape[1] - 1)
    trace = plane[rows[:, None], columns]
    across = rshift(sum_of(MOVE[vx & 7][c] * trace[:, c : c + PATCH] for c in range(4)), 6)
    return rshift(sum_of(MOVE[vy & 7][j] * across[j : j + PATCH] for j in range(4)), 6)


def sum_of(terms: Iterator[Ints]) -> Ints:
    """The sum of arrays."""
    return np.sum(list(terms), axis=0)  # type: ignore[no-any-return]


class NirvanaLayer:
    """A layer of model 3: the features of the patches of a plane and its samples, 11 to 13."""

    def __init__(
        self, table: NirvanaTable, kind: int, size: tuple[int, int], shift: tuple[int, int]
    ) -> None:
        """Of a plane of `size` (height, width); `kind` is that of 11.6, `shift` sy, sx of 11.3."""
        self.table, self.kind, self.size, self.shift = table, kind, size, shift
        self.grid = ceil_div(size[0], PATCH), ceil_div(size[1], PATCH)  # PatchesY, PatchesX
        self.feature = np.zeros((FEATURES, *self.grid), np.int64)  # of the last group
        self.trace = np.zeros((PATCH * self.grid[0], PATCH * self.grid[1]), np.int64)  # of it, too

    def read(
        self, content: ResidualStream, q: int, count: int, blocks: list[list[Block]] | None
    ) -> None:
        """Read the features of a group, 11.6 and 12.1; `blocks` is None in a key group."""
        moved = np.zeros_like(self.feature) if blocks is None else self.move(blocks, count)
        residual = self.residuals(content, blocks is None, q, moved)
        self.feature = np.clip(moved + rshift(residual * STEP[q], 3), -LIMIT, LIMIT)  # 12.1
        self.trace = self.linear(count - 1)

    def linear(self, t: int) -> Ints:
        """The trace of the features, if t is the last frame of the group, 12.2."""
        basis = self.table.basis.reshape(SPAN, -1, FEATURES)[t]
        sums = signed32(np.tensordot(basis, self.feature, 1))
        return join(np.clip(rshift(sums, 12), -2560, 2560))

    def move(self, blocks: list[list[Block]], count: int) -> Ints:
        """Moved(f) of every patch, 12.2."""
        moved, (sy, sx) = np.zeros_like(self.feature), self.shift
        for py, px in np.ndindex(self.grid):
            block = blocks[(py << sy) >> 1][(px << sx) >> 1]  # 11.3
            if block.intra:
                continue
            samples = []
            for t in range(SPAN):
                dy, dx = block.path[min(t, count - 1)]
                vy, vx = (2 * dy) >> sy, (2 * dx) >> sx
                samples.append(moved_samples(self.trace, PATCH * py, PATCH * px, vy, vx))
            moved[:, py, px] = signed32(np.stack(samples).reshape(DETAIL) @ self.table.basis)
        return np.clip(rshift(moved, 14), -LIMIT, LIMIT)

    def residuals(self, content: ResidualStream, key: bool, q: int, moved: Ints) -> Ints:
        """Read the residuals of a group, 11.6, with what the entropy network says of them."""

        def in_steps(a: Ints) -> Ints:  # 12.1 and, for RECIPROCAL, 9.1
            reciprocal = (2**22 + STEP[q] // 2) // STEP[q]
            steps: Ints = np.clip(rshift(signed32(a * reciprocal), 15), -32767, 32767)
            return steps

        m = in_steps(moved)
        d = in_steps(self.feature) - m
        # with a border of 0 for the patches outside the grid; 0, too, is what was not read yet
        rows, columns = self.grid
        residual = np.zeros((FEATURES, rows + 2, columns + 2), np.int64)
        number = np.full((rows + 2, columns + 2), ALWAYS)  # bordered, too; 3 is never counted
        for s, part in enumerate(SLICES):
            if s == ALWAYS:
                self.read_numbers(content, residual[SLICES[s - 1], 1:-1, 1:-1], number)
            for py, px in np.ndindex(self.grid):
                slices = int(number[py + 1, px + 1])
                if s >= slices:
                    continue  # its residuals stay 0
                known = residual[: part.stop, py : py + 3, px : px + 3]  # up to this slice
                before = None if key else (m[part, py, px], d[part, py, px])
                estimate = self.estimate(s, known, before, q)
                values = content.slice(s, slices, estimate, self.table.zero_cost)
                fits = max(map(abs, values)) <= 16383
                require(fits, "11.6", "a residual is outside its range")
                residual[part, py + 1, px + 1] = values
        return residual[:, 1:-1, 1:-1]

    def read_numbers(self, content: ResidualStream, residual: Ints, number: Ints) -> None:
        """Read the `number` of each patch, 11.6; `residual` is that of slice 2."""
        counts = np.count_nonzero(residual, axis=0).tolist()
        for py, px in np.ndindex(self.grid):
            around = number[(py + 1, py, py), (px, px + 1, px + 2)]  # left, above, above right
            busy = min(4, counts[py][px].bit_length())
            number[py + 1, px + 1] = content.number(self.kind, around.tolist(), busy)

    def estimate(self, s: int, known: Ints, before: tuple[Ints, Ints] | None, q: int) -> Estimate:
        """The entropy network of slice s for a patch, 12.3.

        `known` has the residuals (f, ky, kx) around the patch, 0 for those that are no input.
        `before` is m and d of the patch, None in a key group.
        """
        table, part = self.table, SLICES[s]
        cq = max(-16, min(10, q - 36))  # 12.1
        earlier = known[: part.start, 1, 1] if s == LAST_SLICE else known[: part.start]
        four = known[part][:, (0, 0, 0, 1), (0, 1, 2, 0)]  # up-left, up, up-right, left

        def inputs(*values: Ints) -> Ints:
            each = []
            for a in values:
                each += [np.clip(a, -240, 240), table.log[np.minimum(4095, np.abs(a))]]
            return np.stack(each).reshape(-1)

        sums = table.bc[s][0] + cq * table.bc[s][1]
        sums = sums + table.a[s].reshape(SLICE_UNITS, -1) @ inputs(16 * earlier)
        sums = sums + table.c[s].reshape(SLICE_UNITS, -1) @ inputs(16 * four)
        if before is None:
            sums = sums + table.bc[s][2]
        else:
            sums = sums + table.m[s].reshape(SLICE_UNITS, -1) @ inputs(*before)
        h = hidden(sums, table.shifts[2])
        g = hidden(table.bh[s] + table.h[s] @ h, table.shifts[3])
        sums = signed32(table.bo[s][0] + cq * table.bo[s][1] + table.o[s] @ g)
        o = rshift(sums, table.shifts[4])
        mean = o[0]
        if s < 4:
            sources = known[:40]  # with this slice for s < 3, of which `four` alone is not 0
            near = np.tensordot(table.neighbour[part, : len(sources)], sources, 3)
            near = signed32(near) >> 2
            mean = mean + (signed32(gate(o[3]) * near) >> 6 if s < 2 else near)
        if before is not None:
            mean = mean + ((gate(o[2]) * before[1]) >> 4)
        mean = signed32(mean)
        whole = (mean + 32) >> 6
        fraction = mean - 64 * whole
        parts = np.digitize(np.abs(fraction), (5, 16))
        kinds = np.clip((o[1] + 243) // 18, 0, 25)
        return Estimate(whole.tolist(), fraction.tolist(), parts.tolist(), kinds.tolist())

    def output_layer(self, components: list[Component]) -> tuple[Ints, Ints]:
        """Weight and bias of the output layer of the group, 13."""
        change = np.zeros((DETAIL, UNITS + 1), np.int64)
        for used in components:
            change += rshift(16 * np.outer(used.outputs, used.inputs), used.shift)
        weight = np.clip(self.table.w3 + change[:, :UNITS], -32639, 32639)
        return weight, self.table.b3 + 2048 * change[:, UNITS]

    def render(
        self, q: int, count: int, bit_depth: int, components: list[Component]
    ) -> Iterator[Plane]:
        """The plane in the frames of the group, 13; `components` are those of its used slots."""
        table, (height, width) = self.table, self.size
        cq = max(-16, min(10, q - 36))  # 12.1
        a = rshift(signed32(self.feature * table.scale[:, None, None]), 15)
        a = np.clip(a, -4095, 4095)
        sums = weigh(table.w1, a[:SEEN]) + np.tensordot(table.w1c, a[SEEN:], 1)
        h1 = hidden(sums + (table.b1[0] + cq * table.b1[1])[:, None, None], table.shifts[0])
        sums = np.tensordot(table.w2, h1, 1) + table.b2[:, None, None]
        h2 = hidden(sums, table.shifts[1])
        weight, bias = self.output_layer(components)
        for rows in np.arange(DETAIL).reshape(SPAN, -1)[:count]:
            sums = np.tensordot(table.basis[rows], self.feature, 1)
            sums = sums + np.tensordot(weight[rows], h2, 1) + bias[rows, None, None]
            sums = sums + 2048  # what RShift adds for rounding
            if components:
                sums = (sums + 2**31) % 2**32 - 2**31  # as signed 32 bits that wrap, 11.2
            v = np.clip(signed32(sums) >> 12, -8191, 8191)
            samples = np.clip(rshift(v + 2048, 12 - bit_depth), 0, 2**bit_depth - 1)
            shown = join(samples)[:height, :width]  # 11.3
            yield shown.astype("<u2" if bit_depth > 8 else "u1")  # 2.7


class Nirvana:
    """The nirvana network: its description and the layers of a group, 11."""

    substreams = ("content", "motion", "network")  # 11.4

    def __init__(self, payload: bytes, head: Head, tables: Tables) -> None:
        """Parse `NIRV`, 11.1."""
        require(len(payload) == 4, "11.1", "NIRV is not 4 bytes")
        table, patch, frames, features = payload
        require(table == 1, "11.1", "no such table in version 0", "unsupported")
        require(patch == PATCH, "11.1", "patch is not that of the table")
        require(frames == SPAN, "11.1", "group_frames is not that of the table")
        require(features == FEATURES, "11.1", "features is not that of the table")
        self.tables, self.bit_depth = tables, head.bit_depth
        weights, (sub_x, sub_y) = NirvanaTable(tables), head.sub
        self.layers = [NirvanaLayer(weights, 0, (head.height, head.width), (0, 0))]
        for _ in range(2 if head.chroma_format else 0):
            size = ceil_div(head.height, sub_y), ceil_div(head.width, sub_x)  # 2.4
            self.layers.append(NirvanaLayer(weights, 1, size, (sub_y - 1, sub_x - 1)))
        self.slots: list[Component | None] = []  # of the last group, 11.8

    def max_frames(self, key: bool) -> int:
        """The bound of `frame_count` of a group, 2.7."""
        return SPAN

    def decode_group(
        self, key: bool, second: int, count: int, data: dict[str, bytes]
    ) -> Iterator[Frame]:
        """Find the features of a group and yield its frames."""
        blocks = None
        if key:
            require(not data["motion"], "11.4", "motion in a key group")
            self.slots = [None] * 4
        else:
            motion = PathStream(data["motion"], self.tables.path_contexts)
            rows, columns = self.layers[0].grid
            blocks = motion.read(ceil_div(rows, 2), ceil_div(columns, 2), count)  # 11.3
            motion.finish()
        content = ResidualStream(data["content"], self.tables.residual_contexts)
        q = content.bypass(6)
        require(q >= 4, "11.6", "q is below 4")
        for layer in self.layers:
            layer.read(content, q, count, blocks)
        content.finish()
        if data["network"]:
            network = ComponentStream(data["network"], self.tables.component_contexts)
            network.read(self.slots)
            network.finish()
        used = [component for component in self.slots if component]
        planes = []
        for index, layer in enumerate(self.layers):
            components = [] if index else used  # 11.4
            planes.append(layer.render(q, count, self.bit_depth, components))
        yield from zip(*planes, strict=True)


class Output:
    """The output frame or a region of it, clause 6."""

    def __init__(
        self, head: Head, size: tuple[int, ...] | None, crop: tuple[int, ...] | None, kernel: Ints
    ) -> None:
        """Judge the request, 6.1, and prepare the coefficients of every axis."""
        source = head.width, head.height
        output = size or source
        for have, want in zip(source, output, strict=True):
            allowed = 1 <= want <= 16384 and have <= 64 * want and want <= 64 * have
            require(want == have or allowed, "6.1", "output size not allowed", "unsupported")
        w, h, x, y = crop or (*output, 0, 0)
        inside = w >= 1 and h >= 1 and x >= 0 and y >= 0
        inside = inside and x % head.sub[0] == 0 and y % head.sub[1] == 0
        inside = inside and x + w <= output[0] and y + h <= output[1]
        require(inside, "6.1", "region not allowed", "unsupported")
        self.native = output == source and crop is None
        self.bit_depth = head.bit_depth
        self.axes: list[list[tuple[Ints, Ints]]] = []  # of Y, then of Cb and Cr: x, then y
        for subs in () if self.native else ((1, 1), head.sub):
            for axis, (first, count, sub) in enumerate(((x, w, subs[0]), (y, h, subs[1]))):
                siting = SITING[head.chroma_location][axis] if sub == 2 else 0
                wanted = range(first // sub, first // sub + ceil_div(count, sub))
                arguments = source[axis], output[axis], sub, siting, kernel
                self.axes.append([coefficients(j, *arguments) for j in wanted])

    def __call__(self, frame: Frame) -> Frame:
        """Filter the planes of a frame, 6.4, computing only the region, 6.5."""
        if self.native:
            return frame
        result = []
        for index, plane in enumerate(frame):
            axis_x, axis_y = self.axes[2:] if index else self.axes[:2]
            samples = plane.astype(np.int64)
            mid = np.stack([samples[:, t] @ coef for t, coef in axis_x], axis=1)
            mid = rshift(mid, self.bit_depth)
            out = rshift(np.stack([coef @ mid[t] for t, coef in axis_y]), 28 - self.bit_depth)
            result.append(np.clip(out, 0, 2**self.bit_depth - 1).astype(plane.dtype))
        return tuple(result)


def coefficients(
    j: int, source: int, output: int, sub: int, siting: int, kernel: Ints
) -> tuple[Ints, Ints]:
    """The source positions of output sample j, clipped to the plane, with Coef of 6.3."""
    num = (2 * sub * j + siting + 1) * source - (siting + 1) * output
    den = 2 * sub * output
    extent = 2 * sub * max(source, output)
    begin = (num - 3 * extent) // den + 1
    t = np.arange(begin, begin + ceil_div(6 * extent, den))
    step = (512 * np.abs(t * den - num) + extent) // (2 * extent)
    raw = np.where(step < 768, kernel[np.minimum(step, 767)], 0)
    total = int(raw.sum())
    coef = (2**15 * raw + total) // (2 * total)
    coef[(2 * num + den) // (2 * den) - begin] += 2**14 - int(coef.sum())
    used = coef != 0
    return np.clip(t[used], 0, ceil_div(source, sub) - 1), coef[used]


class Decoder:
    """Reads the units of a bitstream in order, clause 2, and yields the frames of its groups."""

    def __init__(self, stream: BinaryIO, tables: Tables) -> None:
        self.stream, self.tables = stream, tables
        self.position = 0
        self.unit, self.offset = "signature", 0  # what is being read, for messages
        self.frames = 0
        self.last_pts: int | None = None
        self.groups: list[tuple[int, int, int, int]] = []  # offset, first_frame, pts, key
        self.crcs = b""
        self.index_offset = 0

    def read(self, size: int, clause: str) -> bytes:
        """Read `size` bytes or report *truncated*."""
        data = self.stream.read(size)
        self.position += len(data)
        require(len(data) == size, clause, "the input ends here", "truncated")
        return data

    def read_signature(self) -> None:
        """2.1."""
        data = self.stream.read(8)
        self.position = len(data)
        require(SIGNATURE.startswith(data), "2.1", "not the signature")
        require(len(data) == 8, "2.1", "the input ends here", "truncated")

    def read_unit(self, level: Level | None) -> tuple[str, bytes]:
        """Read a unit and judge what 2.2 asks, in its order, up to the critical types."""
        self.unit, self.offset = "unit", self.position
        name, length = struct.unpack("<4sI", self.read(8, "2.2"))
        require(name.isalpha(), "2.2", "the type is not of letters")  # of bytes: ASCII only
        self.unit = name.decode("ascii")
        require(level is not None or self.unit == "HEAD", "2.3", "the first unit is not HEAD")
        bound = level.unit_bytes if level else 4096
        require(length <= bound, "2.2", f"length {length} exceeds {bound}", "over limit")
        payload = self.read(length, "2.2")
        crc = int.from_bytes(self.read(4, "2.2"), "little")
        require(crc == zlib.crc32(name + payload), "2.2", "CRC of the unit")
        require(name[2:3].isupper(), "2.2", "the third letter is reserved", "unsupported")
        known = self.unit in ("HEAD", "SIRN", "HYBR", "NIRV", "GRUP", "FEND")
        require(known or name[:1].islower(), "2.2", "unknown critical unit", "unsupported")
        return self.unit, payload

    def decode(self, size: tuple[int, ...] | None, crop: tuple[int, ...] | None) -> Iterator[Frame]:
        """Yield the frames in display order, those of a group when its `crc` was right."""
        self.read_signature()
        head = Head.parse(self.read_unit(None)[1])
        output = Output(head, size, crop, self.tables.kernel)
        model: Sine | Hybrid | Nirvana | None = None
        description = {1: "SIRN", 2: "HYBR", 3: "NIRV"}[head.model]
        name = "HEAD"
        front = ("mETa", "hDRm", "cHAP", "aTRK", "aPKt", "GRUP")
        body = ("aPKt", "GRUP", "iNDX", "FEND")
        allowed = {  # 2.3: what may follow each unit, unknown ancillary units aside
            "HEAD": (description,), "SIRN": front, "HYBR": front, "NIRV": front, "mETa": front,
            "hDRm": front[2:], "cHAP": front[3:], "aTRK": front[3:],
            "aPKt": body, "GRUP": body, "iNDX": ("FEND",),
        }  # fmt: skip
        while name != "FEND":
            after, (name, payload) = name, self.read_unit(head.level)
            if name not in (*allowed, "FEND"):
                name = after  # an unknown ancillary unit is skipped
                continue
            require(name in allowed[after], "2.3", f"{name} after {after}")
            require(name not in body[2:] or bool(self.groups), "2.3", f"{name} before any GRUP")
            if name == "SIRN":
                model = Sine(payload, head, self.tables)
                head.require_420("4.1")
            elif name == "HYBR":
                model = Hybrid(payload, head, self.tables)
            elif name == "NIRV":
                model = Nirvana(payload, head, self.tables)
            elif name == "GRUP" and model:
                yield from map(output, self.read_group(payload, head, model))
            elif name == "iNDX":
                self.check_index(payload)
            elif name == "FEND":
                self.check_end(payload, head)
        self.unit, self.offset = "end of file", self.position
        require(not self.stream.read(1), "2.3", "bytes after FEND")

    def read_group(self, payload: bytes, head: Head, model: Sine | Hybrid | Nirvana) -> list[Frame]:
        """A `GRUP` unit, 2.7: judge its fields, decode its substreams, render its frames."""
        fields = Fields(payload, "2.7")
        flags, count, first_frame = fields.unsigned(1), fields.uv(), fields.uv()
        crc, first_pts = fields.unsigned(4), fields.sv()
        key, second = bool(flags & 1), flags >> 1  # with the bits that are 0
        most = 2 if isinstance(model, Hybrid) and not key else 0
        require(second <= most, "2.7", "flags")
        require(1 <= count <= model.max_frames(key), "2.7", "frame_count")
        require(first_frame == self.frames, "2.7", "first_frame")
        require(key or bool(self.groups), "2.7", "the first group is not a key group")
        durations = self.read_durations(fields, count)
        later = self.last_pts is None or first_pts > self.last_pts
        require(later, "2.7", "first_pts is not after the group before")
        require(first_pts + sum(durations) <= 2**63 - 1, "2.7", "presentation time")
        self.last_pts = first_pts + sum(durations[:-1])
        self.frames += count
        limit = UNKNOWN - 1 if head.frame_count == UNKNOWN else head.frame_count
        require(self.frames <= limit, "2.7", "more frames than HEAD has or any file may have")
        lengths = {name: fields.uv() for name in ("tables", "content", "motion")}
        require(sum(lengths.values()) <= fields.left, "2.7", "substream lengths")
        lengths["network"] = fields.left - sum(lengths.values())
        for name, length in lengths.items():
            require(name in model.substreams or length == 0, "2.7", f"length of {name}")
        substreams = {name: fields.take(length) for name, length in lengths.items()}
        frames, rendered = [], 0
        for frame in model.decode_group(key, second, count, substreams):
            frames.append(frame)
            for plane in frame:
                rendered = zlib.crc32(plane.tobytes(), rendered)
        require(rendered == crc, "2.10", "CRC of the rendered samples", "mismatch")
        self.groups.append((self.offset, first_frame, first_pts, int(key)))
        self.crcs += crc.to_bytes(4, "little")
        return frames

    def read_durations(self, fields: Fields, count: int) -> list[int]:
        """The durations of the frames of a group from its runs, 2.7."""
        durations: list[int] = []
        while len(durations) < count:
            duration, run = fields.uv(), fields.uv()
            require(1 <= duration < 2**32, "2.7", "duration")
            require(durations[-1:] != [duration], "2.7", "duration is that of the run before")
            require(1 <= run <= count - len(durations), "2.7", "run")
            durations += [duration] * run
        return durations

    def check_index(self, payload: bytes) -> None:
        """An `iNDX` unit, 2.8: its entries are those of the groups."""
        fields = Fields(payload, "2.8")
        require(fields.uv() == len(self.groups), "2.8", "count is not that of the groups")
        before = 0, 0, 0
        for index, (offset, first_frame, first_pts, key) in enumerate(self.groups):
            distance, frames = fields.uv(), fields.uv()
            ticks = fields.uv() if index else fields.sv()
            require(distance == offset - before[0], "2.8", "distance is not that of the group")
            expected = 2 * (first_frame - before[1]) + key
            require(frames == expected, "2.8", "frames is not that of the group")
            require(ticks == first_pts - before[2], "2.8", "ticks is not that of the group")
            before = offset, first_frame, first_pts
        require(fields.left == 0, "2.8", "the payload is longer than its entries")
        self.index_offset = self.offset

    def check_end(self, payload: bytes, head: Head) -> None:
        """The `FEND` unit, 2.9."""
        require(len(payload) == 28, "2.9", "FEND is not 28 bytes")
        count, digest, index_offset = struct.unpack("<I16sQ", payload)
        require(count == self.frames, "2.9", "frame_count is not the sum over the groups")
        require(head.frame_count in (count, UNKNOWN), "2.9", "frame_count is not that of HEAD")
        require(digest == hashlib.md5(self.crcs).digest(), "2.9", "md5 of the groups' CRCs")
        require(index_offset == self.index_offset, "2.9", "index_offset")


def integers(separator: str, count: int) -> type:
    """An argparse type: `count` integers, such as WxH."""

    def parse(text: str) -> tuple[int, ...]:
        values = tuple(int(word) for word in text.split(separator))
        if len(values) != count:
            raise ValueError(text)
        return values

    return parse  # type: ignore[return-value]


def main() -> int:
    """Decode a file; 0, or 3 for corrupt, truncated or mismatch, 4 for the other classes."""
    parser = argparse.ArgumentParser(description="reference decoder of .nrv bitstreams")
    parser.add_argument("input", type=Path)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--md5", action="store_true", help="print the MD5 of all samples (default)")
    target.add_argument("--output", type=Path, help="write raw planar frames")
    parser.add_argument("--size", type=integers("x", 2), metavar="WxH")
    parser.add_argument("--crop", type=integers(":", 4), metavar="W:H:X:Y")
    parser.add_argument("--tables", type=Path, help="folder of the data files")
    options = parser.parse_args()
    beside = Path(__file__).resolve().parent.parent / "tables"
    folder = options.tables or (beside if beside.is_dir() else Path("spec/tables"))
    digest = hashlib.md5()
    try:
        tables = Tables(folder)
        with options.input.open("rb") as stream:
            decoder = Decoder(stream, tables)
            sink = options.output.open("wb") if options.output else None
            try:
                for frame in decoder.decode(options.size, options.crop):
                    for plane in frame:
                        if sink:
                            sink.write(plane.tobytes())
                        else:
                            digest.update(plane.tobytes())
            finally:
                if sink:
                    sink.close()
    except NrvError as error:
        where = f"{decoder.unit} at byte {decoder.offset}"
        print(f"nrvdec: {error.kind}: {where}: {error.what} (clause {error.clause})",
              file=sys.stderr)  # fmt: skip
        return 3 if error.kind in ("corrupt", "truncated", "mismatch") else 4
    except MemoryError:
        where = f"{decoder.unit} at byte {decoder.offset}"
        print(f"nrvdec: over limit: {where}: out of memory (clause 2.10)", file=sys.stderr)
        return 4
    except (OSError, ValueError) as error:
        print(f"nrvdec: {error}", file=sys.stderr)
        return 1
    if not options.output:
        print(digest.hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
