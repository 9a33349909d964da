"""The network description (spec 4.1, 4.2, 5.1, 5.8): `SIRN` to layers, patches and costs."""

from __future__ import annotations

from dataclasses import dataclass

from construct import Bytes, ConstructError, Int8ul, Int16ul, Struct, Terminated

from nvcodec.format.errors import CorruptError

MAX_BIAS = 32767
MAX_FEATURE = 127
PHASES = 4
"""Phases of luma at chroma resolution: one for each of the 2 x 2 luma samples that belong to a
chroma sample of 4:2:0."""

PLANES = PHASES + 2
"""All planes at chroma resolution: the phases of luma, Cb, Cr."""

BOUND = 1 << 24
BOUND_FIRST = 1 << 36

_PAYLOAD = Struct(
    "patch" / Int8ul,
    "overlap" / Int8ul,
    "group_frames" / Int8ul,
    "depth" / Int8ul,
    "width" / Int16ul,
    "stem_channels" / Int8ul,
    "head_channels" / Int8ul,
    "features" / Int8ul,
    "reserved" / Bytes(7),
    Terminated,
)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


@dataclass(frozen=True)
class Layer:
    """One layer of spec 4.2: a (rows, columns) weight matrix, and a bias of `rows` entries.

    The feature layer has no bias; its second tensor is its inputs, the features of all patches.
    """

    rows: int
    columns: int
    kind: int
    max_weight: int
    max_input: int
    bound: int
    featured: bool = False


@dataclass(frozen=True)
class NetworkShape:
    """The fields of `SIRN`. Their rules are checked on construction (CorruptError, spec 4.1)."""

    patch: int
    overlap: int
    group_frames: int
    depth: int
    width: int
    stem_channels: int
    head_channels: int
    features: int = 0

    def __post_init__(self) -> None:
        half = self.patch // 2
        rules = {
            "patch": (self.patch, 4 <= self.patch <= 64 and self.patch % 2 == 0),
            "overlap": (self.overlap, 0 <= self.overlap <= half and self.overlap % 2 == 0),
            "group_frames": (self.group_frames, 1 <= self.group_frames <= 32),
            "depth": (self.depth, 1 <= self.depth <= 8),
            "width": (self.width, 1 <= self.width <= 1024),
            "stem_channels": (
                self.stem_channels,
                0 <= self.stem_channels <= 64
                and (self.stem_channels == 0) == (self.head_channels == 0),
            ),
            "head_channels": (self.head_channels, 0 <= self.head_channels <= 64),
            "features": (self.features, 0 <= self.features <= 255),
        }
        for name, (value, holds) in rules.items():
            if not holds:
                raise CorruptError(f"{name} {value} breaks its rule", unit="SIRN", rule="4.1")

    @classmethod
    def from_payload(cls, payload: bytes) -> NetworkShape:
        """Parse a `SIRN` payload; raises CorruptError."""
        try:
            fields = _PAYLOAD.parse(payload)
        except ConstructError as error:
            raise CorruptError(
                f"payload of {len(payload)} bytes, not 16", unit="SIRN", rule="4.1"
            ) from error
        if any(fields.reserved):
            raise CorruptError("reserved bytes are not 0", unit="SIRN", rule="4.1")
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__})

    def to_payload(self) -> bytes:
        """Build the `SIRN` payload."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        payload: bytes = _PAYLOAD.build({**fields, "reserved": bytes(7)})
        return payload

    @property
    def half(self) -> int:
        """G: chroma samples of a patch per axis."""
        return self.patch // 2

    @property
    def values(self) -> int:
        """Values of a patch in one frame: those of all planes, G x G each."""
        return PLANES * self.half**2

    @property
    def stride(self) -> int:
        """Luma samples from one patch to the next."""
        return self.patch - self.overlap

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers in order (spec 4.2)."""
        area, t, c, h = self.half**2, self.group_frames, self.stem_channels, self.head_channels
        layers = [Layer(self.width, 2, 0, 2047, 32768, BOUND_FIRST)]
        layers += [Layer(self.width, self.width, 1, 127, 127, BOUND)] * (self.depth - 1)
        rows = c * area if h else t * self.values
        layers.append(Layer(rows, self.width, 2, 127, 127, BOUND))
        if h:
            layers.append(Layer(t * 4 * h, c * 9, 3, 2047, 2047, BOUND))
            layers.append(Layer(t * 3, h * 9, 3, 2047, 2047, BOUND))
        if self.features:
            layers.append(Layer(rows, self.features, 2, 127, MAX_FEATURE, BOUND, featured=True))
        return tuple(layers)

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """(PatchesY, PatchesX) of pictures of width x height luma samples (spec 5.1)."""
        return self.patches(height), self.patches(width)

    def weights(self, grid: tuple[int, int]) -> int:
        """Weights, biases and features for a grid of (PatchesY, PatchesX)."""
        weights = sum(layer.rows * (layer.columns + (not layer.featured)) for layer in self.layers)
        return weights + self.features * grid[0] * grid[1]

    @property
    def multiplications(self) -> int:
        """Multiplications per rendered luma sample (spec 5.8)."""
        t, g, p = self.group_frames, self.half, self.patch
        c, h = self.stem_channels, self.head_channels
        stem = sum(layer.rows * layer.columns for layer in self.layers[: self.depth + 1])
        stem += self.layers[self.depth].rows * self.features
        head = t * (g * g * 36 * h * c + p * p * 27 * h)
        return _ceil_div(stem + head, t * self.stride**2)

    def patches(self, size: int) -> int:
        """Patches along an axis of `size` luma samples (spec 5.1)."""
        return max(1, _ceil_div(size - self.overlap, self.stride))

    def patches_covering(self, start: int, end: int, size: int) -> tuple[int, int]:
        """First patch and one past the last that cover any of luma samples start..end-1."""
        first = max(0, (start - self.patch) // self.stride + 1)
        return first, min(self.patches(size), (end - 1) // self.stride + 1)
