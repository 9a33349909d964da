"""A slow renderer of spec 4.3 and 5, written from the text with Python integers.

It shares only the table files with the package, and takes weights as lists of layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TABLES = Path(__file__).parents[3] / "spec" / "tables"

T6 = [16384, 18390, 20643, 23170, 26008, 29193]


def table(name: str) -> list[int]:
    lines = (TABLES / name).read_text(encoding="ascii").splitlines()
    return [int(x) for line in lines if not line.startswith("#") for x in line.split()]


SINE = table("sine.txt")
GELU = table("gelu.txt")


def rshift(a: int, n: int) -> int:
    return (a + 2 ** (n - 1)) // 2**n if n else a


def clip(low: int, high: int, a: int) -> int:
    return min(high, max(low, a))


def ceil_div(a: int, b: int) -> int:
    return (a + b - 1) // b


def default(i: int, n: int, bound: int) -> int:
    x = (i * 0x9E3779B9 + n * 0x85EBCA6B + 1) % 2**32
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D % 2**32
    x = x ^ (x >> 15)
    x = x * 0x846CA68B % 2**32
    x = x ^ (x >> 16)
    return ((x >> 16) * (2 * bound + 1) >> 16) - bound


@dataclass
class LayerWeights:
    matrix: list[list[int]]
    bias: list[int]
    step: int
    bias_shift: int

    @property
    def scale(self) -> int:
        return T6[self.step % 6] << (self.step // 6)

    def acc(self, row: int, inputs: list[int]) -> int:
        products = sum(w * x for w, x in zip(self.matrix[row], inputs, strict=True))
        return products + (self.bias[row] << self.bias_shift)


@dataclass
class Network:
    patch: int
    group_frames: int
    depth: int
    width: int
    stem_channels: int
    head_channels: int
    layers: list[LayerWeights]

    def sines(self, px: int, py: int, patches_x: int, patches_y: int) -> list[int]:
        out = [
            ((2 * px + 1) * 32768) // patches_x - 32768,
            ((2 * py + 1) * 32768) // patches_y - 32768,
        ]
        for layer in self.layers[: self.depth]:
            accs = [layer.acc(r, out) for r in range(self.width)]
            phases = [rshift(a * layer.scale, 24) % 2**16 for a in accs]
            out = [SINE[((p + 32) >> 6) % 1024] for p in phases]
        return out

    def expand(self, row: int, inputs: list[int]) -> int:
        layer = self.layers[self.depth]
        return clip(-2047, 2047, rshift(layer.acc(row, inputs) * layer.scale, 32))

    def patch_values(self, inputs: list[int], t: int) -> list[dict[tuple[int, int], int]]:
        """Values of Y, Cb, Cr by (y, x) within the patch."""
        g, p = self.patch // 2, self.patch
        planes: list[dict[tuple[int, int], int]] = [{}, {}, {}]
        source: dict[tuple[int, int, int], int] = {}
        for c in range(self.stem_channels):
            code = SINE[(t * (256 >> min(8, c // 2)) + 256 * (c % 2)) % 1024]
            for gy in range(g):
                for gx in range(g):
                    row = (c * g + gy) * g + gx
                    source[c, gy, gx] = clip(-2047, 2047, self.expand(row, inputs) + code)
        taps = [(ky, kx) for ky in range(3) for kx in range(3)]
        hidden: dict[tuple[int, int, int], int] = {}
        first = self.layers[self.depth + 1]
        for gy in range(g):
            for gx in range(g):
                around = [
                    source.get((c, gy + ky - 1, gx + kx - 1), 0)
                    for c in range(self.stem_channels)
                    for ky, kx in taps
                ]
                for h in range(self.head_channels):
                    for dy in range(2):
                        for dx in range(2):
                            row = ((t * self.head_channels + h) * 2 + dy) * 2 + dx
                            value = rshift(first.acc(row, around) * first.scale, 32)
                            value = GELU[clip(-2048, 2047, value) + 2048]
                            hidden[h, 2 * gy + dy, 2 * gx + dx] = value
        second = self.layers[self.depth + 2]
        full: list[dict[tuple[int, int], int]] = [{}, {}, {}]
        for y in range(p):
            for x in range(p):
                around = [
                    hidden.get((h, y + ky - 1, x + kx - 1), 0)
                    for h in range(self.head_channels)
                    for ky, kx in taps
                ]
                for plane in range(3):
                    acc = second.acc(t * 3 + plane, around)
                    full[plane][y, x] = clip(-32768, 32767, rshift(acc * second.scale, 32))
        planes[0] = full[0]
        for plane in (1, 2):
            for gy in range(g):
                for gx in range(g):
                    four = [full[plane][2 * gy + a, 2 * gx + b] for a in range(2) for b in range(2)]
                    planes[plane][gy, gx] = rshift(sum(four), 2)
        return planes

    def render(self, width: int, height: int, t: int) -> list[list[list[int]]]:
        """Planes Y, Cb, Cr of frame t as rows of samples."""
        across, down = ceil_div(width, self.patch), ceil_div(height, self.patch)
        samples: list[dict[tuple[int, int], int]] = [{}, {}, {}]
        for py in range(down):
            for px in range(across):
                planes = self.patch_values(self.sines(px, py, across, down), t)
                for plane, sub in enumerate((1, 2, 2)):
                    p = self.patch // sub
                    for (y, x), value in planes[plane].items():
                        sample = clip(0, 255, rshift(value + 2048, 4))
                        samples[plane][py * p + y, px * p + x] = sample
        return [
            [
                [plane[y, x] for x in range(ceil_div(width, sub))]
                for y in range(ceil_div(height, sub))
            ]
            for plane, sub in zip(samples, (1, 2, 2), strict=True)
        ]
