"""The network description (spec 4.1, 4.2, 5.1, 5.8): `SIRN` to layers, patches and costs."""

from __future__ import annotations

from dataclasses import dataclass

from construct import ConstructError, Int8ul, Int16ul, Struct, Terminated

from nvcodec.format.errors import CorruptError

MAX_BIAS = 32767
PHASES = 4
"""Phases of luma at chroma resolution: one for each of the 2 x 2 luma samples that belong to a
chroma sample of 4:2:0."""

PLANES = PHASES + 2
"""All planes at chroma resolution: the phases of luma, Cb, Cr."""

BOUND = 1 << 24
BOUND_FIRST = 1 << 36

_PAYLOAD = Struct(
    "patch" / Int8ul,
    "group_frames" / Int8ul,
    "depth" / Int8ul,
    "width" / Int16ul,
    "stem_channels" / Int8ul,
    "head_channels" / Int8ul,
    Terminated,
)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


@dataclass(frozen=True)
class Layer:
    """One layer of spec 4.2: a (rows, columns) weight matrix, and a bias of `rows` entries."""

    rows: int
    columns: int
    kind: int
    max_weight: int
    max_input: int
    bound: int


@dataclass(frozen=True)
class NetworkShape:
    """The fields of `SIRN`. Their rules are checked on construction (CorruptError, spec 4.1)."""

    patch: int
    group_frames: int
    depth: int
    width: int
    stem_channels: int
    head_channels: int

    def __post_init__(self) -> None:
        rules = {
            "patch": (self.patch, 4 <= self.patch <= 64 and self.patch % 2 == 0),
            "group_frames": (self.group_frames, 1 <= self.group_frames <= 32),
            "depth": (self.depth, 1 <= self.depth <= 8),
            "width": (self.width, 1 <= self.width <= 1024),
            "stem_channels": (self.stem_channels, 1 <= self.stem_channels <= 64),
            "head_channels": (self.head_channels, 1 <= self.head_channels <= 64),
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
                f"payload of {len(payload)} bytes, not 7", unit="SIRN", rule="4.1"
            ) from error
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__})

    def to_payload(self) -> bytes:
        """Build the `SIRN` payload."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        payload: bytes = _PAYLOAD.build(fields)
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
    def layers(self) -> tuple[Layer, ...]:
        """All layers in order (spec 4.2)."""
        area, t, c, h = self.half**2, self.group_frames, self.stem_channels, self.head_channels
        layers = [Layer(self.width, 2, 0, 2047, 32768, BOUND_FIRST)]
        layers += [Layer(self.width, self.width, 1, 127, 127, BOUND)] * (self.depth - 1)
        layers.append(Layer(c * area, self.width, 2, 127, 127, BOUND))
        layers.append(Layer(t * 4 * h, c * 9, 3, 2047, 2047, BOUND))
        layers.append(Layer(t * 3, h * 9, 3, 2047, 2047, BOUND))
        return tuple(layers)

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """(PatchesY, PatchesX) of pictures of width x height luma samples (spec 5.1)."""
        return self.patches(height), self.patches(width)

    @property
    def weights(self) -> int:
        """All weights and biases."""
        return sum(layer.rows * (layer.columns + 1) for layer in self.layers)

    @property
    def multiplications(self) -> int:
        """Multiplications per luma sample of a frame that is rendered alone (spec 5.8)."""
        t, g, p = self.group_frames, self.half, self.patch
        c, h = self.stem_channels, self.head_channels
        stem = sum(layer.rows * layer.columns for layer in self.layers[: self.depth + 1])
        head = t * (g * g * 36 * h * c + p * p * 27 * h)
        return _ceil_div(t * stem + head, t * p**2)

    def patches(self, size: int) -> int:
        """Patches along an axis of `size` luma samples (spec 5.1)."""
        return _ceil_div(size, self.patch)

    def patches_covering(self, start: int, end: int) -> tuple[int, int]:
        """First patch and one past the last that cover any of luma samples start..end-1."""
        return start // self.patch, _ceil_div(end, self.patch)
