"""The descriptions of the models (spec 4.1, 7.1, 11.1): payloads to what decoders need to know."""

from __future__ import annotations

from dataclasses import dataclass

from construct import ConstructError, Int8sl, Int8ul, Struct, Terminated

from nvcodec.format.errors import CorruptError, UnsupportedError
from nvcodec.format.header import HYBRID, NIRVANA
from nvcodec.model.sine.shape import NetworkShape

MAX_CHROMA_OFFSET = 12

_PAYLOAD = Struct(
    "group_frames" / Int8ul,
    "chroma_offset" / Int8sl,
    "network" / Int8ul,
    Terminated,
)


@dataclass(frozen=True)
class CanvasShape:
    """The fields of `HYBR`. Their rules are checked on construction (CorruptError, spec 7.1).

    `network` is 1 if frames are rendered through the fusion network (spec 9), else 0.
    """

    group_frames: int
    chroma_offset: int = 0
    network: int = 0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("group_frames", self.group_frames, 1, 32),
            ("chroma_offset", self.chroma_offset, -MAX_CHROMA_OFFSET, MAX_CHROMA_OFFSET),
            ("network", self.network, 0, 1),
        ):
            if not least <= value <= most:
                raise CorruptError(
                    f"{name} {value} is outside {least}..{most}", unit="HYBR", rule="7.1"
                )

    @classmethod
    def from_payload(cls, payload: bytes) -> CanvasShape:
        """Parse a `HYBR` payload; raises CorruptError."""
        try:
            fields = _PAYLOAD.parse(payload)
        except ConstructError as error:
            raise CorruptError(
                f"payload of {len(payload)} bytes, not 3", unit="HYBR", rule="7.1"
            ) from error
        return cls(fields.group_frames, fields.chroma_offset, fields.network)

    def to_payload(self) -> bytes:
        """Build the `HYBR` payload."""
        payload: bytes = _PAYLOAD.build(vars(self))
        return payload


_PATCHES = Struct(
    "table" / Int8ul,
    "patch" / Int8ul,
    "group_frames" / Int8ul,
    "features" / Int8ul,
    Terminated,
)


@dataclass(frozen=True)
class PatchShape:
    """The fields of `NIRV`. Their rules are checked on construction (spec 11.1).

    Raises UnsupportedError for a table that this version does not have, else CorruptError.
    """

    table: int = 1
    patch: int = 8
    group_frames: int = 4
    features: int = 192

    def __post_init__(self) -> None:
        if self.table != 1:
            raise UnsupportedError(f"table {self.table} is not defined", unit="NIRV", rule="11.1")
        for name, value, expected in (
            ("patch", self.patch, 8),
            ("group_frames", self.group_frames, 4),
            ("features", self.features, 192),
        ):
            if value != expected:
                raise CorruptError(
                    f"{name} {value} is not {expected}, that of table 1", unit="NIRV", rule="11.1"
                )

    @classmethod
    def from_payload(cls, payload: bytes) -> PatchShape:
        """Parse a `NIRV` payload; raises CorruptError or UnsupportedError."""
        try:
            fields = _PATCHES.parse(payload)
        except ConstructError as error:
            raise CorruptError(
                f"payload of {len(payload)} bytes, not 4", unit="NIRV", rule="11.1"
            ) from error
        return cls(fields.table, fields.patch, fields.group_frames, fields.features)

    def to_payload(self) -> bytes:
        """Build the `NIRV` payload."""
        payload: bytes = _PATCHES.build(vars(self))
        return payload


Shape = NetworkShape | CanvasShape | PatchShape
"""The description of a model."""


def parse_description(model: int, payload: bytes) -> Shape:
    """The description of `model` (spec 2.4); raises CorruptError or UnsupportedError."""
    if model == HYBRID:
        return CanvasShape.from_payload(payload)
    if model == NIRVANA:
        return PatchShape.from_payload(payload)
    return NetworkShape.from_payload(payload)
