"""The cHAP unit (spec 2.13): a payload to the chapters of a video, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Final

import construct as c

from nvcodec.format.errors import CorruptError, require
from nvcodec.format.payloads import read_text, require_bytes

MAX_CHAPTERS_BYTES: Final = 1 << 18

_RULE: Final = "2.13"

_require = partial(require, rule=_RULE)
_require_bytes = partial(require_bytes, most=MAX_CHAPTERS_BYTES, what="chapters", rule=_RULE)

_CHAPTERS: Final = c.Struct(
    "chapters"
    / c.PrefixedArray(
        c.Int16ul,
        c.Struct(
            "time_base_num" / c.Int32ul,
            "time_base_den" / c.Int32ul,
            "start" / c.Int64sl,
            "end" / c.Int64sl,
            "title" / c.Prefixed(c.Int16ul, c.GreedyBytes),
        ),
    ),
    c.Terminated,
)


@dataclass(frozen=True)
class Chapter:
    """A chapter: `start` and `end` in ticks of `time_base` seconds, and its title."""

    start: int
    end: int
    time_base: Fraction
    title: str = ""


def parse_chapters(payload: bytes) -> tuple[Chapter, ...]:
    """Read the payload of a cHAP unit (spec 2.13).

    Raises:
        CorruptError: a field is outside its rule, or the payload is not what its fields say.
        OverLimitError: it is above 2^18 bytes.

    """
    _require_bytes(len(payload))
    try:
        fields = _CHAPTERS.parse(payload)
    except c.ConstructError as error:
        raise CorruptError("the payload is not as long as its chapters", rule=_RULE) from error
    found = []
    for chapter in fields.chapters:
        _require(chapter.time_base_num >= 1 and chapter.time_base_den >= 1, "time_base has a 0")
        base = Fraction(chapter.time_base_num, chapter.time_base_den)
        title = read_text("title", chapter.title, _RULE)
        found.append(Chapter(chapter.start, chapter.end, base, title))
    _require_rules(found)
    return tuple(found)


def build_chapters(chapters: Sequence[Chapter]) -> bytes:
    """The payload of a cHAP unit (spec 2.13).

    Raises:
        CorruptError: there is none, or a value does not fit its field or breaks its rule.
        OverLimitError: the payload is above 2^18 bytes.

    """
    _require_rules(chapters)
    try:
        fields = [
            {
                "time_base_num": chapter.time_base.numerator,
                "time_base_den": chapter.time_base.denominator,
                "start": chapter.start,
                "end": chapter.end,
                "title": chapter.title.encode("utf-8"),
            }
            for chapter in chapters
        ]
        payload: bytes = _CHAPTERS.build({"chapters": fields})
    except (c.ConstructError, UnicodeError) as error:
        raise CorruptError(f"a value does not fit its field: {error}", rule=_RULE) from error
    _require_bytes(len(payload))
    return payload


def _require_rules(chapters: Sequence[Chapter]) -> None:
    _require(bool(chapters), "there is no chapter")
    for chapter in chapters:
        _require(chapter.time_base > 0, "time_base is not above 0")
        _require(
            chapter.end >= chapter.start,
            f"a chapter ends at {chapter.end}, before its start at {chapter.start}",
        )
