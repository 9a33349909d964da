"""Callbacks for command line options that need more than click's types."""

from __future__ import annotations

import contextlib
import math
import re
from fractions import Fraction

import click

from nvcodec.options import METRICS, TrackChoice, read_target, require_address


def finite(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """Refuse the "nan" and "inf" that float() takes."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number")
    return value


def finite_or_none(
    context: click.Context, option: click.Parameter, value: float | None
) -> float | None:
    """The same, where the option may be left out."""
    return None if value is None else finite(context, option, value)


def picture_size(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """WIDTHxHEIGHT as two integers."""
    if value is None:
        return None
    if match := re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", value):
        return int(match[1]), int(match[2])
    raise click.BadParameter(f"{value!r} is not WIDTHxHEIGHT")


def rate(_context: click.Context, _option: click.Parameter, value: str | None) -> Fraction | None:
    """A number or fraction above 0, such as 25, 23.976 or 24000/1001."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,7}(?:\.[0-9]{1,6}|/[0-9]{1,7})?", value):
        with contextlib.suppress(ZeroDivisionError):
            if rate := Fraction(value):
                return rate
    raise click.BadParameter(f"{value!r} is neither a number nor a fraction such as 30000/1001")


_AMOUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def amount(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """A number such as 500k or 8M; k, M and G are powers of 1000, Ki, Mi and Gi of 1024."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([kmg]i?)?", value, re.IGNORECASE)
    if not match:
        raise click.BadParameter(f"{value!r} is no number such as 500k or 8M")
    return float(match[1]) * _AMOUNTS[(match[2] or "").lower()]


def whole_amount(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """The same, rounded down."""
    found = amount(context, option, value)
    return None if found is None else int(found)


def target(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """METRIC=VALUE that `read_target` takes."""
    if value is not None:
        try:
            read_target(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


def size(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[int, int] | float | None:
    """WIDTHxHEIGHT as two integers, or a percentage as a factor above 0."""
    if value is None:
        return None
    if match := re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", value):
        return int(match[1]), int(match[2])
    if match := re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)%", value):
        factor = float(match[1]) / 100
        if factor:
            return factor
    raise click.BadParameter(f"{value!r} is neither WIDTHxHEIGHT nor a percentage such as 50%")


def crop(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[int, int, int, int] | None:
    """WIDTH:HEIGHT:X:Y as four integers."""
    if value is None:
        return None
    match = re.fullmatch(":".join([r"([0-9]{1,6})"] * 4), value)
    if not match:
        raise click.BadParameter(f"{value!r} is not WIDTH:HEIGHT:X:Y")
    return int(match[1]), int(match[2]), int(match[3]), int(match[4])


def metrics(_context: click.Context, _option: click.Parameter, value: str) -> tuple[str, ...]:
    """Names of metrics with commas between them."""
    names = tuple(dict.fromkeys(value.split(",")))
    for name in names:
        if name not in METRICS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(METRICS)}")
    return names


def frame_rate(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> Fraction | None:
    """Frames a second as 25, 29.97 or 30000/1001."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6}|/[0-9]{1,6})?", value):
        with contextlib.suppress(ZeroDivisionError):
            rate = Fraction(value)
            if rate:
                return rate
    raise click.BadParameter(f"{value!r} is not a rate above 0, such as 25 or 30000/1001")


def codec_options(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> dict[str, str] | None:
    """NAME=VALUE with commas between them."""
    if value is None:
        return None
    options = {}
    for part in value.split(","):
        name, equals, content = part.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{part!r} is not NAME=VALUE")
        options[name] = content
    return options


def address(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """The address of a scheduler."""
    try:
        if value is not None:
            require_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


def tracks(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """A choice of tracks, as `encode` takes it."""
    try:
        TrackChoice.of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


def two_paths(paths: tuple[str, ...]) -> tuple[str, str]:
    """IN and OUT."""
    if len(paths) < 2:
        raise click.UsageError(f"Missing argument {'OUT' if paths else 'IN'!r}.")
    if len(paths) > 2:
        raise click.UsageError(
            f"{paths[2]!r} is an argument too many: IN and OUT are two; --output-dir takes many IN"
        )
    return paths[0], paths[1]
