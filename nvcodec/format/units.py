"""Signature, unit framing and unit order (spec 2.1 to 2.3): bytes to checked units, and back."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from nvcodec.format.errors import CorruptError, TruncatedError, UnsupportedError

SIGNATURE: Final = bytes.fromhex("894E52560D0A1A0A")

UNIT_HEADER_BYTES: Final = 8
UNIT_OVERHEAD_BYTES: Final = 12
"""Bytes of a unit that are not payload: type, length and crc."""

MAX_BYTES_BEFORE_HEAD: Final = 4096

_CHUNK_BYTES: Final = 1 << 16


class Readable(Protocol):
    """A binary file object that gives up to `size` bytes, fewer when fewer are there."""

    def read(self, size: int, /) -> bytes | None:
        """1..size bytes, or none at the end of the input."""


class SeekableFile(Readable, Protocol):
    """A binary file object that also moves to an absolute position and returns it."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to `offset` from the start (`whence` 0) or the end (2)."""


class Writable(Protocol):
    """A binary file object that takes bytes and returns how many it took."""

    def write(self, data: bytes, /) -> int | None:
        """Take the first bytes of `data` and return how many."""

    def flush(self) -> None:
        """Send on what has been taken."""


@dataclass(frozen=True, slots=True)
class UnitType:
    """The type of a unit: four ASCII letters whose case gives properties (spec 2.2).

    Raises:
        CorruptError: the code is not four ASCII letters.

    """

    code: bytes

    def __post_init__(self) -> None:
        if len(self.code) != 4 or not self.code.isalpha():
            raise CorruptError(
                f"unit type {self.code.hex(' ')} is not four ASCII letters", rule="2.2"
            )

    def __str__(self) -> str:
        return self.code.decode("ascii")

    @property
    def ancillary(self) -> bool:
        """True when a reader that does not know the unit skips it."""
        return bool(self.code[0] & 32)

    @property
    def private(self) -> bool:
        """True when the unit is not defined by the specification."""
        return bool(self.code[1] & 32)

    @property
    def reserved(self) -> bool:
        """True when the reserved bit is set; no unit of this version sets it."""
        return bool(self.code[2] & 32)

    @property
    def safe_to_copy(self) -> bool:
        """True when an editor that does not know the unit may copy it."""
        return bool(self.code[3] & 32)


HEAD: Final = UnitType(b"HEAD")
SIRN: Final = UnitType(b"SIRN")
HYBR: Final = UnitType(b"HYBR")
NIRV: Final = UnitType(b"NIRV")
META: Final = UnitType(b"mETa")
HDRM: Final = UnitType(b"hDRm")
CHAP: Final = UnitType(b"cHAP")
ATRK: Final = UnitType(b"aTRK")
APKT: Final = UnitType(b"aPKt")
GRUP: Final = UnitType(b"GRUP")
INDX: Final = UnitType(b"iNDX")
FEND: Final = UnitType(b"FEND")

KNOWN_TYPES: Final = frozenset(
    {HEAD, SIRN, HYBR, NIRV, META, HDRM, CHAP, ATRK, APKT, GRUP, INDX, FEND}
)

BESIDE_VIDEO: Final = frozenset({META, HDRM, CHAP, ATRK, APKT})
"""Units that decoding the video does not need (spec 2.3)."""

_REPEATED: Final = frozenset({META, ATRK, APKT, GRUP})


class UnitOrder:
    """The order of the units after HEAD (spec 2.3).

    Args:
        description: type of the description of the model.

    """

    def __init__(self, description: UnitType) -> None:
        order = (HEAD, description, META, HDRM, CHAP, ATRK, GRUP, INDX, FEND)
        self._ranks = {unit: n for n, unit in enumerate(order)}
        self._ranks[APKT] = self._ranks[GRUP]
        self._groups = False
        self._description = description
        self._last = HEAD

    def admit(self, unit: UnitType) -> bool:
        """Take the type of the next unit; True when it is known, False when it is skipped.

        Raises:
            UnsupportedError: the reserved bit is set, or the unit is critical and unknown
                (spec 2.2).
            CorruptError: the unit may not stand here (spec 2.3).

        """
        if unit.reserved:
            raise UnsupportedError(f"unit type {unit} has the reserved bit set", rule="2.2")
        rank = self._ranks.get(unit)
        if rank is None:
            if unit in KNOWN_TYPES:
                raise CorruptError(f"{unit} describes another model", rule="2.3")
            if not unit.ancillary:
                raise UnsupportedError(
                    f"critical unit {unit} is not known to this version", rule="2.2"
                )
            return False
        last = self._ranks[self._last]
        if unit == HEAD or (rank == last and unit not in _REPEATED):
            raise CorruptError(f"a second {unit}", rule="2.3")
        if rank < last:
            raise CorruptError(f"{unit} after {self._last}", rule="2.3")
        if self._last == HEAD and unit != self._description:
            raise CorruptError(f"{unit} before {self._description}", rule="2.3")
        self._groups |= unit == GRUP
        if rank > self._ranks[GRUP] and not self._groups:
            raise CorruptError(f"{unit} before any GRUP", rule="2.3")
        self._last = unit
        return True


class ByteSource:
    """Forward reading of a file object, with the offset of the next byte.

    Args:
        file: the file object; a read may give fewer bytes than requested.
        offset: position of the file object from the start of the file.

    """

    def __init__(self, file: Readable, offset: int = 0) -> None:
        self._file = file
        self.offset = offset

    def read_some(self, size: int) -> bytes:
        """Read 1..size bytes, or none at the end of the input.

        Raises:
            OSError: from the file object; BlockingIOError when it is in non-blocking mode.

        """
        data = self._file.read(size)
        if data is None:
            raise BlockingIOError("the input is in non-blocking mode and has no bytes yet")
        self.offset += len(data)
        return data

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end of the input; `size` is small."""
        data = self.read_some(size)
        while len(data) < size and (more := self.read_some(size - len(data))):
            data += more
        return data


@dataclass(frozen=True, slots=True)
class UnitHeader:
    """The type of a unit and the length of its payload in bytes."""

    type: UnitType
    length: int


def build_unit(unit: UnitType, payload: bytes) -> bytes:
    """The bytes of one unit: type, length, payload, CRC-32 (spec 2.2)."""
    crc = zlib.crc32(payload, zlib.crc32(unit.code))
    return b"".join(
        (unit.code, len(payload).to_bytes(4, "little"), payload, crc.to_bytes(4, "little"))
    )


def read_signature(source: ByteSource) -> None:
    """Read the eight bytes that begin a bitstream (spec 2.1).

    Raises:
        CorruptError: other bytes are there.
        TruncatedError: the input ends within the signature.

    """
    data = source.read(len(SIGNATURE))
    if data == SIGNATURE:
        return
    if SIGNATURE.startswith(data):
        raise TruncatedError(f"the input ends after {len(data)} bytes of the signature", rule="2.1")
    if data[1:4] == SIGNATURE[1:4]:
        raise CorruptError("the signature is damaged, as by a transfer in text mode", rule="2.1")
    raise CorruptError("this is not an .nrv bitstream: the signature is missing", rule="2.1")


def read_unit_header(source: ByteSource) -> UnitHeader:
    """Read type and length of the next unit (spec 2.2).

    Raises:
        CorruptError: the type is not four letters.
        TruncatedError: the input ends before the length does.

    """
    data = source.read(UNIT_HEADER_BYTES)
    if not data:
        raise TruncatedError("the input ends where a unit should begin, before FEND", rule="2.3")
    if len(data) < UNIT_HEADER_BYTES:
        raise TruncatedError("the input ends inside the type and length of a unit", rule="2.2")
    return UnitHeader(UnitType(data[:4]), int.from_bytes(data[4:], "little"))


def read_payload(source: ByteSource, unit: UnitHeader) -> bytes:
    """Read payload and CRC of a unit whose length has been checked (spec 2.2).

    Memory grows with the bytes that arrive, not with the stated length.

    Raises:
        CorruptError: the CRC does not match.
        TruncatedError: the input ends first.

    """
    payload = bytearray()
    for chunk in _payload_chunks(source, unit):
        payload += chunk
    return bytes(payload)


def skip_payload(source: ByteSource, unit: UnitHeader) -> None:
    """Read payload and CRC of a unit, check the CRC and keep nothing.

    Raises:
        CorruptError: the CRC does not match.
        TruncatedError: the input ends first.

    """
    for _ in _payload_chunks(source, unit):
        pass


def _payload_chunks(source: ByteSource, unit: UnitHeader) -> Iterator[bytes]:
    crc = zlib.crc32(unit.type.code)
    remaining = unit.length
    while remaining:
        chunk = source.read_some(min(remaining, _CHUNK_BYTES))
        if not chunk:
            raise TruncatedError(
                f"the input ends after {unit.length - remaining} of {unit.length} payload bytes",
                rule="2.2",
            )
        crc = zlib.crc32(chunk, crc)
        remaining -= len(chunk)
        yield chunk
    stored = source.read(4)
    if len(stored) < 4:
        raise TruncatedError("the input ends inside the crc of the unit", rule="2.2")
    if int.from_bytes(stored, "little") != crc:
        raise CorruptError("the CRC of the unit does not match its bytes", rule="2.2")
