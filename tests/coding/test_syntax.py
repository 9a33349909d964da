"""Parts of syntaxes: their statements are expanded in place of a call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nvcodec.coding.rangecoder import RangeDecoder, RangeEncoder
from nvcodec.coding.syntax import (
    ENCODING,
    STATE_SIZE,
    Direction,
    bit,
    bypass,
    compile_syntax,
    part,
)


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
def lengths(first: int, second: int) -> tuple[int, int]:
    """Two numbers; the name `i` of `capped` is another one here."""
    i = 10
    low = capped(first, 2)
    i += 1
    high = capped(second, 3)
    return high + i - 11, low


@part
def pair(values: np.ndarray, at: int) -> None:
    """Changes an array of its caller."""
    values[at], values[at + 1] = lengths(values[at + 1], values[at])


def pairs(coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, values: np.ndarray) -> None:
    at = 0
    while at < values.size:
        if at % 4 == 0:
            pair(values, at)
        else:
            first = values[at]
            second = values[at + 1]
            # Both results are of the names that they are then set to.
            first, second = lengths(second, first)
            values[at] = first
            values[at + 1] = second
        at += 2


def guarded(
    coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, values: np.ndarray
) -> None:
    """Only the encoder reads `values`."""
    for i in range(values.size):
        wanted = 0
        if (ENCODING and values[i] > 0 and values[i] % 2 == 1) or (ENCODING and values[i] == 4):
            wanted = 1
        odd = bit(0, wanted)
        values[i] = odd


@part
def swapped(first: int, second: int) -> tuple[int, int]:
    """No bits at all."""
    return second, first


def swaps(coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, values: np.ndarray) -> None:
    a = values[0]
    b = values[1]
    a, b = swapped(a, b)
    values[0] = a
    values[1] = b


@part
def returns_early(value: int) -> int:
    """What no part may do."""
    if value > 0:
        return 1
    return 0


def uses_early(
    coder: np.ndarray, contexts: np.ndarray, buffer: np.ndarray, values: np.ndarray
) -> None:
    values[0] = returns_early(values[0])


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


def through(
    syntax: Callable[..., None], values: list[int], start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the encoder leaves of values, and what the decoder makes of `start`."""
    left, found = np.array(values, np.int64), start.copy()
    encoder = RangeEncoder(contexts_of_three(), 200)
    encoder.run(compile_syntax(syntax, Direction.ENCODE), left)
    decoder = RangeDecoder(encoder.finish(), contexts_of_three())
    decoder.run(compile_syntax(syntax, Direction.DECODE), found)
    decoder.close()
    return left, found


def test_parts_with_two_results_within_parts_and_loops() -> None:
    values = [1, -2, 3, 0, -3, 2, 1, -1]
    left, found = through(pairs, values, np.zeros(8, np.int64))
    np.testing.assert_array_equal(left, values)
    np.testing.assert_array_equal(found, values)


def test_results_may_have_the_names_of_arguments() -> None:
    left, found = through(swaps, [5, 7], np.array([5, 7]))
    np.testing.assert_array_equal(left, [7, 5])
    np.testing.assert_array_equal(found, [7, 5])


def test_a_test_of_the_encoder_with_others() -> None:
    _, found = through(guarded, [0, 3, 2, -1, 4, 1], np.full(6, 9))
    np.testing.assert_array_equal(found, [0, 1, 0, 0, 1, 1])


def test_a_trace_is_the_contexts_and_bits() -> None:
    record = np.zeros(20, np.int32)
    state = np.zeros(STATE_SIZE, np.int64)
    no_contexts = np.zeros((0, 3), np.int32)
    values = np.array([2, -1])
    compile_syntax(numbers, Direction.TRACE)(state, no_contexts, record, values)
    assert record[: state[4]].tolist() == [1, 3, 1, 2]


def test_a_part_that_returns_early() -> None:
    with pytest.raises(SyntaxError, match="last statement"):
        compile_syntax(uses_early, Direction.DECODE)


def test_a_part_without_a_return() -> None:
    with pytest.raises(SyntaxError, match="return last"):
        compile_syntax(uses_it, Direction.DECODE)
