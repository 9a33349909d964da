"""The descriptions of the models (spec 4.1, 7.1): a payload to what a decoder needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from construct import Bytes, ConstructError, Int8sl, Int8ul, Struct, Terminated

from nvcodec.format.errors import CorruptError
from nvcodec.format.header import HYBRID
from nvcodec.model.sine.shape import NetworkShape

MAX_CHROMA_OFFSET = 12

_RESERVED = bytes(13)
_PAYLOAD = Struct(
    "group_frames" / Int8ul,
    "chroma_offset" / Int8sl,
    "network" / Int8ul,
    "reserved" / Bytes(13),
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
                f"payload of {len(payload)} bytes, not 16", unit="HYBR", rule="7.1"
            ) from error
        if fields.reserved != _RESERVED:
            raise CorruptError("reserved bytes are not 0", unit="HYBR", rule="7.1")
        return cls(fields.group_frames, fields.chroma_offset, fields.network)

    def to_payload(self) -> bytes:
        """Build the `HYBR` payload."""
        payload: bytes = _PAYLOAD.build({**vars(self), "reserved": _RESERVED})
        return payload


Shape = NetworkShape | CanvasShape
"""The description of a model."""


def parse_description(model: int, payload: bytes) -> Shape:
    """The description of `model` (spec 2.4); raises CorruptError."""
    return (CanvasShape if model == HYBRID else NetworkShape).from_payload(payload)
