"""Parts of syntaxes, which have their statements in place of a call."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import ENCODING, Direction, bit, bypass, compile_syntax, part


@part
def capped(value: int, most: int) -> int:
    """A unary number of at most `most`, and a sign."""
    size = 0
    if ENCODING:
        size = abs(value)
    i = 0
    while i < most:
        more = bit(i, 1 if size > i else 0)
        if more == 0:
            break
        i += 1
    negative = bypass(1 if value < 0 else 0)
    return -i if negative != 0 else i


def numbers(
    coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, values: np.ndarray
) -> None:
    """Names that the part has too are others here."""
    most = 2
    size = values.size
    for i in range(size):
        more = capped(values[i], most + i % 2)
        values[i] = more


@part
def without_return(value: int) -> None:  # type: ignore[misc]
    """Nothing to set a name to."""
    low = bypass(value)
    del low


def uses_it(
    coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, values: np.ndarray
) -> None:
    values[0] = 1
    low = without_return(values[0])  # type: ignore[func-returns-value]
    del low


def contexts_of_three() -> np.ndarray:
    return np.array([[32768, 32768, 0]] * 3, np.int32)


def test_parts_are_expanded_with_names_of_their_own() -> None:
    values = np.array([0, 3, -2, -3, 1, 1, 2, 0, -1], np.int64)
    encoder = RangeEncoder(contexts_of_three(), 100)
    encoder.run(compile_syntax(numbers, Direction.ENCODE), values.copy())
    data = encoder.finish()
    found = np.zeros_like(values)
    decoder = RangeDecoder(data, contexts_of_three())
    decoder.run(compile_syntax(numbers, Direction.DECODE), found)
    decoder.close()
    np.testing.assert_array_equal(found, values)


def test_a_part_without_a_return() -> None:
    with pytest.raises(SyntaxError, match="return last"):
        compile_syntax(uses_it, Direction.DECODE)
