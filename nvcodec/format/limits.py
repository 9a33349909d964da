"""Levels and reader limits (spec 2.11): raises OverLimitError for a quantity that is too large."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from nvcodec.format.errors import OverLimitError

Bound = Literal["luma_samples", "weights", "unit_bytes", "multiplications"]

_WORDS: Final[dict[Bound, str]] = {
    "luma_samples": "luma samples per frame",
    "weights": "network weights",
    "unit_bytes": "bytes of one unit",
    "multiplications": "multiplications per rendered luma sample",
}


@dataclass(frozen=True, slots=True)
class Level:
    """The bounds of one level.

    Attributes:
        number: 1..5, as in HEAD.
        luma_samples: luma samples per frame, as `Header.counted_samples` counts them.
        weights: weights of the network (sine model).
        unit_bytes: bytes of the payload of one unit.
        multiplications: multiplications per rendered luma sample (sine model, spec 5.8).

    """

    number: int
    luma_samples: int
    weights: int
    unit_bytes: int
    multiplications: int

    def bound(self, bound: Bound) -> int:
        """The greatest value of the quantity that the level allows."""
        value: int = getattr(self, bound)
        return value

    def check(self, bound: Bound, value: int) -> None:
        """Raise OverLimitError when `value` is above the level's bound (spec 2.11)."""
        if value > self.bound(bound):
            raise OverLimitError(
                f"{value} {_WORDS[bound]}, above the {self.bound(bound)} of level {self.number}",
                rule="2.11",
            )


LEVELS: Final[Mapping[int, Level]] = MappingProxyType(
    {
        number: Level(number, 1 << luma, 1 << weights, 1 << unit, 1 << multiplications)
        for number, luma, weights, unit, multiplications in (
            (1, 18, 20, 22, 12),
            (2, 20, 22, 23, 13),
            (3, 22, 23, 24, 14),
            (4, 24, 24, 25, 15),
            (5, 27, 26, 27, 17),
        )
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a reader, in addition to the level of a file; the defaults are level 4's.

    Attributes:
        max_luma_samples: luma samples per frame, as `Header.counted_samples` counts them.
        max_weights: weights of the network.
        max_unit_bytes: bytes of the payload of one unit.
        max_multiplications: multiplications per rendered luma sample (spec 5.8).
        max_memory: bytes of working memory that the file may need (spec 10), None for no limit.
        max_seconds: seconds from the opening of a decoder on, None for no limit.

    """

    max_luma_samples: int = LEVELS[4].luma_samples
    max_weights: int = LEVELS[4].weights
    max_unit_bytes: int = LEVELS[4].unit_bytes
    max_multiplications: int = LEVELS[4].multiplications
    max_memory: int | None = None
    max_seconds: float | None = None

    def check(self, bound: Bound, value: int, level: int) -> None:
        """Check a value before memory is allocated for it.

        Args:
            bound: which quantity.
            value: its value in the bitstream.
            level: the level that HEAD states, 1..5.

        Raises:
            OverLimitError: above the level's bound or above this reader's limit (spec 2.11).

        """
        LEVELS[level].check(bound, value)
        limit: int = getattr(self, f"max_{bound}")
        if value > limit:
            raise OverLimitError(
                f"{value} {_WORDS[bound]}, above this reader's limit of {limit};"
                f" raise it with --max-{bound.replace('_', '-')} or Limits(max_{bound}=...)",
                rule="2.11",
            )

    def check_memory(self, needed: int) -> None:
        """Raise OverLimitError when the working memory of a file is above the limit (spec 10)."""
        if self.max_memory is not None and needed > self.max_memory:
            raise OverLimitError(
                f"decoding may need {needed} bytes of memory, above this reader's limit of"
                f" {self.max_memory}; raise it with --max-memory or Limits(max_memory=...)",
                rule="10",
            )

    def check_seconds(self, passed: float) -> None:
        """Raise OverLimitError when more seconds have passed than the limit allows (spec 10)."""
        if self.max_seconds is not None and passed > self.max_seconds:
            raise OverLimitError(
                f"decoding takes longer than this reader's limit of {self.max_seconds:g} s;"
                " raise it with --max-seconds or Limits(max_seconds=...)",
                rule="10",
            )


def counted_samples(width: int, height: int, chroma_format: int) -> int:
    """What levels and limits count for the luma samples of a frame, by HEAD's chroma_format.

    More of them with more chroma, so that the samples of all planes keep their bound (spec 2.11).
    """
    thirds = {2: 4, 3: 6}.get(chroma_format, 3)
    return -(-thirds * width * height // 3)


def smallest_level(luma_samples: int, weights: int, unit_bytes: int, multiplications: int) -> int:
    """The lowest level, 1..5, whose bounds hold for all four values.

    `luma_samples` are those that `counted_samples` gives.
    For the hybrid model, `weights` and `multiplications` are 0.

    Raises:
        OverLimitError: a value is above the bound of the highest level (spec 2.11).

    """
    values: dict[Bound, int] = {
        "luma_samples": luma_samples,
        "weights": weights,
        "unit_bytes": unit_bytes,
        "multiplications": multiplications,
    }
    for bound, value in values.items():
        LEVELS[max(LEVELS)].check(bound, value)
    return min(
        number
        for number, level in LEVELS.items()
        if all(value <= level.bound(bound) for bound, value in values.items())
    )
