"""Options of tools that hold a list, its parts between commas: callbacks of click options."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import click

T = TypeVar("T")
Number = TypeVar("Number", int, float)


def values_of(kind: Callable[[str], T]) -> Callable[[Any, Any, str], list[T]]:
    """Values that `kind` makes of the parts; one that comes again counts once."""

    def values(_context: Any, _option: Any, value: str) -> list[T]:
        try:
            return list(dict.fromkeys(kind(part.strip()) for part in value.split(",")))
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: {error}") from error

    return values


def above_0(kind: Callable[[str], Number]) -> Callable[[Any, Any, str], list[Number]]:
    """Numbers above 0."""

    def numbers(_context: Any, _option: Any, value: str) -> list[Number]:
        try:
            found = [kind(part) for part in value.split(",")]
        except ValueError:
            found = []
        if not found or not all(0 < number < math.inf for number in found):
            raise click.BadParameter(f"{value!r} is not a list of numbers above 0")
        return found

    return numbers


def names_of(choices: Collection[str]) -> Callable[[Any, Any, str], tuple[str, ...]]:
    """Names, each of them one of `choices`."""

    def names(_context: Any, _option: Any, value: str) -> tuple[str, ...]:
        found = tuple(value.split(","))
        for name in found:
            if name not in choices:
                raise click.BadParameter(f"{name!r} is not one of {', '.join(choices)}")
        return found

    return names


def sizes_of(_context: Any, _option: Any, value: str) -> list[tuple[int, int]]:
    """Sizes of pictures, WIDTHxHEIGHT."""
    sizes = []
    for part in value.split(","):
        match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", part)
        if not match:
            raise click.BadParameter(f"{part!r} is not WIDTHxHEIGHT")
        sizes.append((int(match[1]), int(match[2])))
    return sizes
