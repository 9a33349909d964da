"""Rules that payloads of several units share: how long they may be, and texts in them."""

from __future__ import annotations

from nvcodec.format.errors import CorruptError, NrvError, OverLimitError


def require_bytes(
    size: int, most: int, what: str, *, rule: str, error: type[NrvError] = OverLimitError
) -> None:
    """Raise an error, unless there are at most so many bytes of something."""
    if size > most:
        raise error(f"{size} bytes of {what}, at most {most}", rule=rule)


def read_text(name: str, data: bytes, rule: str) -> str:
    """The text of a UTF-8 field.

    Raises:
        CorruptError: it is not UTF-8.

    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptError(f"{name} is not UTF-8", rule=rule) from error
