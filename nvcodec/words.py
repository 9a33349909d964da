"""Text for messages: counted nouns, and texts that fit on one line."""

from __future__ import annotations

import re

# Control characters, and the Unicode separators that also end a line.
_BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def counted(number: int, what: str) -> str:
    """A number and its noun, in the plural unless the number is one."""
    return f"{number} {what}{'s' * (number != 1)}"


def in_one_line(text: str) -> str:
    """The text with line ends and control characters escaped; file names may have them."""
    return _BREAKING.sub(lambda found: repr(found[0])[1:-1], text)
