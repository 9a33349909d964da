"""Fields of a payload one after the other, and integers of variable length (spec 1.3)."""

from __future__ import annotations

import struct

from nvcodec.format.errors import CorruptError

_MOST_BYTES = 10
"""Bytes of the longest integer of variable length."""


class Fields:
    """Takes fields from a payload in their order.

    Args:
        payload: of a unit, or its beginning.
        rule: clause of the fields, for errors.

    All methods raise CorruptError when the payload ends inside a field.

    """

    def __init__(self, payload: bytes, rule: str) -> None:
        self._payload = payload
        self._rule = rule
        self._offset = 0

    @property
    def ended(self) -> bool:
        """Whether all of the payload has been taken."""
        return self._offset == len(self._payload)

    def data(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._offset + size
        if end > len(self._payload):
            raise CorruptError(
                f"the payload of {len(self._payload)} bytes ends inside its fields",
                rule=self._rule,
            )
        data = self._payload[self._offset : end]
        self._offset = end
        return data

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.data(len(self._payload) - self._offset)

    def byte(self) -> int:
        """A u8."""
        return self.data(1)[0]

    def take(self, layout: struct.Struct) -> tuple[int, ...]:
        """Fields of fixed length."""
        return layout.unpack(self.data(layout.size))

    def unsigned(self) -> int:
        """A uv of spec 1.3; raises CorruptError for a coding that is not the shortest, too."""
        value = 0
        for k in range(_MOST_BYTES):
            byte = self.byte()
            value |= (byte & 127) << 7 * k
            if byte < 128:
                if value >> 64 or (byte == 0 and k > 0):
                    break
                return value
        raise CorruptError("an integer of variable length has no valid coding", rule="1.3")

    def signed(self) -> int:
        """An sv of spec 1.3; raises as `unsigned` does."""
        value = self.unsigned()
        return -(value >> 1) - 1 if value & 1 else value >> 1


def unsigned_bytes(value: int) -> bytes:
    """The coding of 0 <= value < 2^64 as a uv (spec 1.3)."""
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    coded.append(value)
    return bytes(coded)


def signed_bytes(value: int) -> bytes:
    """The coding of -2^63 <= value < 2^63 as an sv (spec 1.3)."""
    return unsigned_bytes(2 * value if value >= 0 else -2 * value - 1)
