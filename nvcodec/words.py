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


def format_name(chroma_format: int, bit_depth: int) -> str:
    """The name of a sample format of HEAD (spec 2.4): FFmpeg's, as "yuv420p10" or "gray"."""
    depth = "" if bit_depth == 8 else str(bit_depth)
    return ("gray", "yuv420p", "yuv422p", "yuv444p")[chroma_format] + depth


def format_in_words(chroma_format: int, bit_depth: int) -> str:
    """A sample format of HEAD (spec 2.4) in words, as "10-bit 4:2:0"."""
    return f"{bit_depth}-bit {('monochrome', '4:2:0', '4:2:2', '4:4:4')[chroma_format]}"
