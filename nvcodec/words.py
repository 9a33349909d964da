"""Words of messages: numbers with their nouns, and texts in one line."""

from __future__ import annotations

import re

# Control characters and the separators that end a line too.
_BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def counted(number: int, what: str) -> str:
    """A number with its noun, in the plural unless it is one."""
    return f"{number} {what}{'s' * (number != 1)}"


def in_one_line(text: str) -> str:
    """The text with escapes for what would end a line or move the cursor, as names may hold it."""
    return _BREAKING.sub(lambda found: repr(found[0])[1:-1], text)
