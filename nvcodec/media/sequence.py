"""Image sequences: names such as img_%04d.png, with the number of each picture."""

from __future__ import annotations

import os
import re
from typing import NamedTuple


class Images(NamedTuple):
    """The images on disk whose names fit a pattern.

    Attributes:
        first: the smallest number.
        length: images from there without a gap.
        beyond: images behind the gap.

    """

    first: int
    length: int
    beyond: int


def is_pattern(path: str) -> bool:
    """Whether a path that is no file names an image sequence."""
    return _parts(path) is not None and not os.path.exists(path)


def sequence(path: str) -> Images | None:
    """The images of a pattern; None if there is none.

    Raises OSError if the folder cannot be read.
    """
    parts = _parts(path)
    if parts is None:
        return None
    folder, before, digits, after = parts
    name = re.compile(re.escape(before) + r"([0-9]+)" + re.escape(after))
    numbers = sorted(
        int(found[1])
        for entry in os.listdir(folder or ".")
        # A number has leading zeros up to the width, and no more.
        if (found := name.fullmatch(entry)) and found[1] == f"{int(found[1]):0{digits}}"
    )
    if not numbers:
        return None
    count = next((k for k, n in enumerate(numbers) if n != numbers[0] + k), len(numbers))
    return Images(numbers[0], count, len(numbers) - count)


def _parts(path: str) -> tuple[str, str, int, str] | None:
    """(folder, text before the number, its least digits, text after) of a pattern."""
    folder, name = os.path.split(path)
    found = re.fullmatch(r"([^%]*)%(?:0([1-9]))?d([^%]*)", name)
    if found is None or "%" in folder:
        return None
    return folder, found[1], int(found[2] or 0), found[3]
