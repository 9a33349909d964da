"""Errors of the format: takes what was wrong and where, gives one line that a user can read.

    NrvError
    +-- CorruptError             a broken requirement, CRC or order
    |   +-- VerificationError    rendered samples that do not match their CRC
    +-- TruncatedError           the input ends before FEND is complete
    +-- UnsupportedError         valid, but needs something that this reader does not have
    +-- OverLimitError           exceeds the level or a limit of the reader

For any input, this package raises no other errors except the OSError of a file object.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class NrvError(Exception):
    """Root of the errors of the format (spec 2.10).

    Attributes:
        message: what was wrong.
        unit: the unit it was found in, such as `"GRUP 3"` (groups count from 0), or None.
        offset: byte offset of that unit from the start of the file, or None.
        rule: the clause of the spec that is broken, such as `"2.7"`, or None.

    """

    def __init__(
        self,
        message: str,
        *,
        unit: str | None = None,
        offset: int | None = None,
        rule: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.unit = unit
        self.offset = offset
        self.rule = rule

    def __str__(self) -> str:
        place = self.unit or ""
        if self.offset is not None:
            place = f"{place} at byte {self.offset}" if place else f"byte {self.offset}"
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} (clause {self.rule})" if self.rule else text


class CorruptError(NrvError):
    """A requirement on the bitstream, a CRC or the order of units is broken."""


class VerificationError(CorruptError):
    """The rendered samples of a group do not match the CRC that its GRUP unit states."""


class TruncatedError(NrvError):
    """The input ends before FEND is complete."""


class UnsupportedError(NrvError):
    """The bitstream is valid but needs something that this reader or version does not have."""


class OverLimitError(NrvError):
    """A value exceeds its level or a limit of the reader; nothing was allocated for it."""


def require(holds: bool, broken: str, *, rule: str) -> None:
    """Raise CorruptError, saying what is `broken`, unless a rule of the spec holds."""
    if not holds:
        raise CorruptError(broken, rule=rule)


@contextmanager
def located(unit: str | None, offset: int) -> Iterator[None]:
    """Set unit and offset of an NrvError that leaves the block, unless it has them."""
    try:
        yield
    except NrvError as error:
        if error.offset is None:
            error.unit, error.offset = unit, offset
        raise
