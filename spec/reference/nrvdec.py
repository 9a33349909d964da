#!/usr/bin/env python3
"""A small reference decoder of the `.nrv` bitstream, version 0, written from `nrv.md` alone.

The clause numbers in the docstrings and in the error messages are those of that document. The
decoder is meant to be read beside it: it prefers plain formulas to speed, holds one frame at a
time and reads its input from start to end. It skips `mETa` units unread, as 2.6 allows.
"""

from __future__ import annotations

import argparse
import hashlib
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Frame = tuple[NDArray[np.uint8], ...]  # the planes Y, Cb, Cr

SIGNATURE = bytes.fromhex("894E52560D0A1A0A")
READER_VERSION = 0
UNKNOWN = 0xFFFFFFFF
T6 = (16384, 18390, 20643, 23170, 26008, 29193)
CONTEXTS = 320
F = 4  # the kind F of 3.3
FIRST = (0, 54, 108, 162, 224)  # 3.5, of each kind: its ZERO(kind, 0)
PREFIX = (42, 96, 150, 204, 308)  # 3.5, of each kind: its PREFIX(kind, 0)
SHIFT = [1 + (count >> 1).bit_length() for count in range(129)]  # 3.1
CLASS = [0, 1, 1, 2, 2, 2] + [3] * 6 + [4] * 12 + [5] * 67  # 4.4, for e = 0..90
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
    """RShift of 1.2, n > 0."""
    return (a + (1 << (n - 1))) >> n


def ceil_div(a: int, b: int) -> int:
    """CeilDiv of 1.2."""
    return (a + b - 1) // b


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
        def load(name: str, count: int) -> Ints:
            lines = (folder / f"{name}.txt").read_text("ascii").splitlines()
            values = [int(word) for line in lines for word in line.split("#")[0].split()]
            if len(values) != count:
                raise ValueError(f"{folder / name}.txt: {len(values)} values, not {count}")
            return np.array(values, np.int64)

        self.sine = load("sine", 1024)
        self.gelu = load("gelu", 4096)
        self.kernel = load("resampling_kernel", 768)
        self.contexts = load("contexts", 2 * CONTEXTS).reshape(CONTEXTS, 2).tolist()


@dataclass
class Head:
    """The fields of `HEAD` that decoding needs, 2.4."""

    level: Level
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
            (min_reader <= READER_VERSION, "min_reader_version", "unsupported"),
            (min_reader <= version, "min_reader_version", "corrupt"),
            (level in LEVELS, "level", "unsupported"),
            (model == 1, "model", "unsupported"),
            (chroma_format <= 3, "chroma_format", "corrupt"),
            (chroma_format == 1, "chroma_format", "unsupported"),
            (bit_depth in (8, 10, 12), "bit_depth", "corrupt"),
            (bit_depth == 8, "bit_depth", "unsupported"),
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
        require(width * height <= bounds.samples, "2.11", "frame above the level", "over limit")
        return cls(bounds, width, height, location, frames)


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

    def difference(self, contexts: list[list[int]], kind: int, klass: int) -> int:
        """The integer `difference(kind, class)` of 3.3, with the context numbers of 3.5."""
        zero = FIRST[kind] + 7 * klass
        if not self.bit(contexts[zero]):
            return 0
        m = 1
        while m < 7 and self.bit(contexts[zero + m]):
            m += 1
        if m == 7:
            g = 0
            while g < 15 and self.bit(contexts[PREFIX[kind] + min(g, 9)]):
                g += 1
            m = 6 + (1 << g) + self.bypass(g)
        return -m if self.bypass() else m

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
    biased: bool = True  # not so the feature layer
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


class Siren:
    """The siren network: its description, its weights and their rendering, clauses 4 and 5."""

    def __init__(self, payload: bytes, head: Head, tables: Tables) -> None:
        """Parse `SIRN`, 4.1, and hold the network to the level, 2.11."""
        require(len(payload) == 16, "4.1", "SIRN is not 16 bytes")
        (patch, overlap, frames, depth, width, stem_channels, head_channels, features,
         reserved) = struct.unpack("<BBBBHBBB7s", payload)  # fmt: skip
        rules = (
            (patch % 2 == 0 and 4 <= patch <= 64, "patch"),
            (overlap % 2 == 0 and overlap <= patch // 2, "overlap"),
            (1 <= frames <= 32, "group_frames"),
            (1 <= depth <= 8, "depth"),
            (1 <= width <= 1024, "width"),
            (stem_channels <= 64 and (stem_channels == 0) == (head_channels == 0),
             "stem_channels"),
            (head_channels <= 64, "head_channels"),
            (reserved == bytes(7), "reserved"),
        )  # fmt: skip
        for condition, name in rules:
            require(condition, "4.1", f"{name} is outside its rule")
        self.tables, self.size = tables, (head.width, head.height)
        self.patch, self.overlap, self.frames, self.depth = patch, overlap, frames, depth
        self.grid, self.channels, self.head_channels = patch // 2, stem_channels, head_channels
        self.stride = patch - overlap
        self.patches_x = max(1, ceil_div(head.width - overlap, self.stride))
        self.patches_y = max(1, ceil_div(head.height - overlap, self.stride))
        area = self.grid * self.grid
        expanded = (stem_channels if head_channels else frames * 6) * area
        self.layers = [Layer(width, 2, 0, 2047, 32768)]
        self.layers += [Layer(width, width, 1, 127, 127) for _ in range(depth - 1)]
        self.layers.append(Layer(expanded, width, 2, 127, 127))
        if head_channels:
            self.layers.append(Layer(frames * 4 * head_channels, stem_channels * 9, 3, 2047, 2047))
            self.layers.append(Layer(frames * 3, head_channels * 9, 3, 2047, 2047))
        if features:
            self.layers.append(Layer(expanded, features, 2, 127, 127, biased=False))
        shape = self.patches_y, self.patches_x, features
        weights = sum(layer.rows * (layer.columns + layer.biased) for layer in self.layers)
        weights += shape[0] * shape[1] * shape[2]
        require(weights <= head.level.weights, "2.11", "weights above the level", "over limit")
        stem = 2 * width + (depth - 1) * width**2 + (width + features) * expanded  # 5.8
        upsampling = frames * (area * 36 * stem_channels + patch**2 * 27) * head_channels
        cost = ceil_div(stem + upsampling, frames * self.stride**2)
        require(cost <= head.level.multiplications, "2.11",
                "multiplications above the level", "over limit")  # fmt: skip
        self.features = np.zeros(shape, np.int64)

    def read_group(self, data: bytes, key: bool, contexts: list[list[int]]) -> None:
        """Update the weights by the network substream of a group, 4.3 to 4.6."""
        if key:
            size = 6 * len(self.layers)
            require(len(data) >= size, "4.3", "the layer records are cut short")
            for index, layer in enumerate(self.layers):
                self._reset(index, layer, *struct.unpack_from("<BBHH", data, 6 * index))
            data = data[size:]
            self.features[:] = 0
        decoder = RangeDecoder(data)
        for layer in self.layers:
            above = [0] * layer.columns, [0] * layer.columns  # u and v of 4.4, Min(| |, 15)
            previous = 1
            for row in layer.weight:
                previous, above = self._read_row(
                    decoder, contexts, layer.kind, previous, above, row, layer.max_weight
                )
            if layer.biased:
                empty = [0] * layer.rows, [0] * layer.rows
                self._read_row(decoder, contexts, 0, 1, empty, layer.bias, 32767)
        if self.features.size:
            self._read_features(decoder, contexts, 3 if key else 2)
        decoder.finish()
        for index, layer in enumerate(self.layers):
            bias = np.abs(layer.bias) << layer.bias_shift
            if index:
                sums = np.abs(layer.weight).sum(axis=1) * layer.max_input + bias
                require(bool((sums < 1 << 24).all()), "4.5", f"bound of layer {index} broken")
            else:
                require(bool((bias < 1 << 36).all()), "4.5", "bound of layer 0 broken")

    def _read_features(self, decoder: RangeDecoder, contexts: list[list[int]], share: int) -> None:
        """Add the differences of the features of every patch, 4.6."""
        zeros = [0] * self.features.shape[2]
        above = [(zeros, 0)] * self.patches_x  # D and Activity of the patches of the row above
        for row in self.features:
            left, last = zeros, 0
            for px, feature in enumerate(row):
                up, activity = above[px]
                activity = (last + activity + 1) >> 1
                d, last = zeros, 0
                if decoder.bit(contexts[318 + (activity > 0)]):
                    d = zeros[:]
                    for f in range(len(d)):
                        t = (activity >> 5) + 2
                        b = t.bit_length() - 2
                        r = decoder.difference(contexts, F, 2 * b + ((t >> b) & 1))
                        d[f] = ((share * (left[f] + up[f]) + 4) >> 3) + r
                        activity += (256 * min(abs(r), 15) - activity) >> 4
                    last = activity
                feature += np.array(d, np.int64)
                require(int(np.abs(feature).max()) <= 127, "4.4", "a feature exceeds its maximum")
                left, above[px] = d, (d, last)

    @staticmethod
    def _reset(index: int, layer: Layer, step: int, shift: int, weight: int, bias: int) -> None:
        """Take a record of 4.3 and set a layer to its defaults."""
        require(step <= 143, "4.3", f"step of layer {index}")
        require(shift <= (20 if layer.biased else 0), "4.3", f"bias_shift of layer {index}")
        require(weight <= layer.max_weight, "4.3", f"weight_bound of layer {index}")
        require(bias <= (32767 if layer.biased else 0), "4.3", f"bias_bound of layer {index}")
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
        if not decoder.bit(contexts[216 + 2 * kind + previous]):
            return 0, ([0] * len(row), u)
        d, last, before = [0] * len(row), 0, 0
        for i in range(len(row)):
            e = 2 * last + before + 2 * u[i] + v[i]
            d[i] = decoder.difference(contexts, kind, CLASS[e])
            last, before = min(abs(d[i]), 15), last
        row += np.array(d, np.int64)
        require(int(np.abs(row).max()) <= bound, "4.4", "a weight exceeds its maximum")
        return 1, ([min(abs(x), 15) for x in d], u)

    def render(self, t: int) -> Frame:
        """Frame t of the group: its patches, 5.1, blended, 5.5."""
        width, height = self.size
        planes = []
        for sub in (1, 2, 2):
            shape = ceil_div(height, sub), ceil_div(width, sub)
            planes.append(np.full(shape, (2048 << 12) + (1 << 15), np.int64))
        for py in range(self.patches_y):
            for first in range(0, self.patches_x, 16):  # a few patches at a time bound the memory
                columns = range(first, min(first + 16, self.patches_x))
                values = self._render_patches(t, columns, py)
                for sub, plane, value in zip((1, 2, 2), planes, values, strict=True):
                    for px, patch in zip(columns, value, strict=True):
                        self._blend(plane, patch, px, py, sub)
        return tuple(np.clip(plane >> 16, 0, 255).astype(np.uint8) for plane in planes)

    def _blend(self, plane: Ints, value: Ints, px: int, py: int, sub: int) -> None:
        """Add the weighted values of one patch to its samples within the display size, 5.5."""
        size, overlap, stride = self.patch // sub, self.overlap // sub, self.stride // sub
        target = plane[py * stride : py * stride + size, px * stride : px * stride + size]
        weight_x = ramps(size, overlap, px > 0, px < self.patches_x - 1)
        weight_y = ramps(size, overlap, py > 0, py < self.patches_y - 1)
        value = value * weight_y[:, None] * weight_x[None, :]
        target += value[: target.shape[0], : target.shape[1]]

    def _render_patches(self, t: int, columns: range, py: int) -> tuple[Ints, Ints, Ints]:
        """The values of Y, Cb and Cr (n, rows, columns) of n patches in frame t, 5.2 to 5.4."""
        n, g, p, c, h = len(columns), self.grid, self.patch, self.channels, self.head_channels
        x = np.array([(coord(px, self.patches_x), coord(py, self.patches_y)) for px in columns])
        for layer in self.layers[: self.depth]:  # 5.2; int64 wraps modulo 2^64, which is enough
            phase = rshift(layer.acc(x, slice(None)) * layer.scale, 24) & 0xFFFF
            x = self.tables.sine[((phase + 32) >> 6) & 1023]
        features = self.features[py, columns.start : columns.stop]
        if not h:  # 5.3
            rows = slice(t * 6 * g * g, (t + 1) * 6 * g * g)
            value = np.clip(self._expand(x, features, rows), -32768, 32767)
            value = value.reshape(n, 6, g, g)
            luma = value[:, :4].reshape(n, 2, 2, g, g).transpose(0, 3, 1, 4, 2).reshape(n, p, p)
            return luma, value[:, 4], value[:, 5]
        maps = np.clip(self._expand(x, features, slice(None)), -2047, 2047)
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

    def _expand(self, x: Ints, features: Ints, rows: slice) -> Ints:
        """RShift(sum, 32) of 5.3 for some rows; 64 bits hold every sum."""
        layer, more = self.layers[self.depth], self.layers[-1]
        total = layer.acc(x, rows) * layer.scale
        if features.size:
            total += more.acc(features, rows) * more.scale
        return rshift(total, 32)


def coord(i: int, n: int) -> int:
    """Coord of 5.2."""
    return ((2 * i + 1) * 32768) // n - 32768


def ramps(size: int, o: int, before: bool, after: bool) -> Ints:
    """The weights of the positions of a patch in one direction, 5.5."""
    weights = np.full(size, 64, np.int64)
    if o:
        ramp = ((2 * np.arange(o) + 1) * 64 + o) // (2 * o)
        if before:
            weights[:o] = ramp
        if after:
            weights[size - o :] = 64 - ramp
    return weights


def convolve(layer: Layer, x: Ints, rows: slice) -> Ints:
    """RShift(acc * Scale, 32) of 5.4 for x (n, channels, y, x), with 0 outside the square."""
    n, channels, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    inputs = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, height, width, channels * 9)
    return rshift(layer.acc(inputs, rows) * layer.scale, 32).transpose(0, 3, 1, 2)


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
        inside = w >= 1 and h >= 1 and x >= 0 and y >= 0 and x % 2 == 0 and y % 2 == 0
        inside = inside and x + w <= output[0] and y + h <= output[1]
        require(inside, "6.1", "region not allowed", "unsupported")
        self.native = output == source and crop is None
        self.axes: list[list[tuple[Ints, Ints]]] = []  # of Y, then of Cb and Cr: x, then y
        for sub in () if self.native else (1, 2):
            for axis, (first, count) in enumerate(((x, w), (y, h))):
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
            mid = rshift(mid, 8)
            out = rshift(np.stack([coef @ mid[t] for t, coef in axis_y]), 20)
            result.append(np.clip(out, 0, 255).astype(np.uint8))
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
        self.groups: list[tuple[int, int, int, int]] = []  # offset, first_frame, pts, flags
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
        known = self.unit in ("HEAD", "SIRN", "mETa", "GRUP", "iNDX", "FEND")
        require(known or name[:1].islower(), "2.2", "unknown critical unit", "unsupported")
        return self.unit, payload

    def decode(self, size: tuple[int, ...] | None, crop: tuple[int, ...] | None) -> Iterator[Frame]:
        """Yield the frames in display order, those of a group when its `crc` was right."""
        self.read_signature()
        head = Head.parse(self.read_unit(None)[1])
        output = Output(head, size, crop, self.tables.kernel)
        network: Siren | None = None
        name = "HEAD"
        allowed = {  # 2.3: what may follow each unit, ancillary units aside
            "HEAD": ("SIRN",), "SIRN": ("mETa", "GRUP"), "mETa": ("mETa", "GRUP"),
            "GRUP": ("GRUP", "iNDX", "FEND"), "iNDX": ("FEND",),
        }  # fmt: skip
        while name != "FEND":
            after, (name, payload) = name, self.read_unit(head.level)
            if name not in (*allowed, "FEND"):
                name = after  # an unknown ancillary unit is skipped
                continue
            require(name in allowed[after], "2.3", f"{name} after {after}")
            if name == "SIRN":
                network = Siren(payload, head, self.tables)
            elif name == "GRUP" and network:
                yield from map(output, self.read_group(payload, head, network))
            elif name == "iNDX":
                self.check_index(payload)
            elif name == "FEND":
                self.check_end(payload, head)
        self.unit, self.offset = "end of file", self.position
        require(not self.stream.read(1), "2.3", "bytes after FEND")

    def read_group(self, payload: bytes, head: Head, network: Siren) -> list[Frame]:
        """A `GRUP` unit, 2.7: judge its fields, decode its weights, render its frames."""
        position = 0

        def take(form: str) -> tuple[int, ...]:
            nonlocal position
            start, position = position, position + struct.calcsize("<" + form)
            require(position <= len(payload), "2.7", "the fields are cut short")
            return struct.unpack_from("<" + form, payload, start)

        first_frame, count, flags, reserved, crc, first_pts = take("IHBBIq")
        key = bool(flags & 1)
        require(first_frame == self.frames, "2.7", "first_frame")
        require(1 <= count <= network.frames, "2.7", "frame_count")
        require(flags <= 3, "2.7", "flags")
        require(key or bool(self.groups), "2.7", "the first group is not a key group")
        require(reserved == 0, "2.7", "reserved")
        durations = take("I") * count if flags & 2 else take(f"{count}I")
        require(min(durations) >= 1, "2.7", "duration")
        equal = len(set(durations)) == 1
        require(equal == bool(flags & 2), "2.7", "bit 1 of flags is not that of the durations")
        later = self.last_pts is None or first_pts > self.last_pts
        require(later, "2.7", "first_pts is not after the group before")
        require(first_pts + sum(durations) <= 2**63 - 1, "2.7", "presentation time")
        self.last_pts = first_pts + sum(durations[:-1])
        self.frames += count
        limit = UNKNOWN - 1 if head.frame_count == UNKNOWN else head.frame_count
        require(self.frames <= limit, "2.7", "more frames than HEAD has or any file may have")
        tables, content, motion, length = take("4I")
        require(content == motion == 0, "2.7", "content_length or motion_length")
        require(position + tables + length == len(payload), "2.7", "lengths of the substreams")
        contexts = read_tables(payload[position : position + tables], self.tables.contexts)
        network.read_group(payload[position + tables :], key, contexts)
        frames, rendered = [], 0
        for t in range(count):
            frames.append(network.render(t))
            for plane in frames[-1]:
                rendered = zlib.crc32(plane.tobytes(), rendered)
        require(rendered == crc, "2.7", "CRC of the rendered samples")
        self.groups.append((self.offset, first_frame, first_pts, flags & 1))
        self.crcs += crc.to_bytes(4, "little")
        return frames

    def check_index(self, payload: bytes) -> None:
        """An `iNDX` unit, 2.8: its entries are those of the groups."""
        entries = b"".join(struct.pack("<QIqB", *group) for group in self.groups)
        expected = len(self.groups).to_bytes(4, "little") + entries
        require(payload == expected, "2.8", "the index is not that of the groups")
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
    """Decode a file; 0, or 3 for corrupt or truncated, 4 for unsupported or over limit."""
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
        return 3 if error.kind in ("corrupt", "truncated") else 4
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
