"""The range coder around one bit (spec 3.1, 3.2), for compiled syntaxes.

The state of the coder passes through each function as numbers, which stay in registers because the
functions become part of their callers. An encoder's state is low, range, cache, pending, position,
a decoder's is code, range, position.
"""

from __future__ import annotations

import numpy as np

from nvcodec.coding.adaptation import FAST_SHIFT, NEXT_COUNT, SLOW_SHIFT
from nvcodec.coding.carry import shift_low
from nvcodec.compiled import Integer, inlined


@inlined
def adapt(
    contexts: np.ndarray, context: Integer, bit: Integer, fast: Integer, slow: Integer
) -> None:  # pragma: no cover - compiled
    """Adapt a context (fast, slow, count), int32, to a bit."""
    count = np.int64(contexts[context, 2])
    contexts[context, 2] = NEXT_COUNT[count]
    if bit != 0:
        contexts[context, 0] = fast + ((65536 - fast) >> FAST_SHIFT[count])
        contexts[context, 1] = slow + ((65536 - slow) >> SLOW_SHIFT[count])
    else:
        contexts[context, 0] = fast - (fast >> FAST_SHIFT[count])
        contexts[context, 1] = slow - (slow >> SLOW_SHIFT[count])


@inlined
def normalise_encoder(
    buffer: np.ndarray,
    low: Integer,
    span: Integer,
    cache: Integer,
    pending: Integer,
    position: Integer,
) -> tuple[Integer, Integer, Integer, Integer, Integer]:  # pragma: no cover - compiled
    """Write bytes until the range is 2^24 or more; returns the new state."""
    while span < 16777216:
        span <<= 8
        low, cache, pending, position = shift_low(buffer, low, cache, pending, position)
    return low, span, cache, pending, position


@inlined
def normalise_decoder(
    buffer: np.ndarray, code: Integer, span: Integer, position: Integer
) -> tuple[Integer, Integer, Integer]:  # pragma: no cover - compiled
    """Read bytes until the range is 2^24 or more; returns the new state.

    Behind the buffer's end there are zeros.
    """
    while span < 16777216:
        span <<= 8
        code <<= 8
        if position < buffer.size:
            code |= np.int64(buffer[position])
        position += 1
    return code, span, position


@inlined
def encode_bit(
    buffer: np.ndarray,
    contexts: np.ndarray,
    context: Integer,
    bit: Integer,
    low: Integer,
    span: Integer,
    cache: Integer,
    pending: Integer,
    position: Integer,
) -> tuple[Integer, Integer, Integer, Integer, Integer]:  # pragma: no cover - compiled
    """Encode a bit with a context; returns the new state."""
    fast = np.int64(contexts[context, 0])
    slow = np.int64(contexts[context, 1])
    bound = (span >> 16) * ((fast + slow) >> 1)
    if bit != 0:
        span = bound
    else:
        low += bound
        span -= bound
    adapt(contexts, np.int64(context), 1 if bit != 0 else 0, fast, slow)
    return normalise_encoder(buffer, low, span, cache, pending, position)


@inlined
def encode_bypass(
    buffer: np.ndarray,
    bit: Integer,
    low: Integer,
    span: Integer,
    cache: Integer,
    pending: Integer,
    position: Integer,
) -> tuple[Integer, Integer, Integer, Integer, Integer]:  # pragma: no cover - compiled
    """Encode a bypass bit; returns the new state."""
    bound = span >> 1
    if bit != 0:
        low += bound
        span -= bound
    else:
        span = bound
    return normalise_encoder(buffer, low, span, cache, pending, position)


@inlined
def decode_bit(
    buffer: np.ndarray,
    contexts: np.ndarray,
    context: Integer,
    code: Integer,
    span: Integer,
    position: Integer,
) -> tuple[Integer, Integer, Integer, Integer]:  # pragma: no cover - compiled
    """Decode a bit with a context; returns it and the new state."""
    fast = np.int64(contexts[context, 0])
    slow = np.int64(contexts[context, 1])
    bound = (span >> 16) * ((fast + slow) >> 1)
    if code < bound:
        bit = 1
        span = bound
    else:
        bit = 0
        code -= bound
        span -= bound
    adapt(contexts, np.int64(context), bit, fast, slow)
    code, span, position = normalise_decoder(buffer, code, span, position)
    return bit, code, span, position


@inlined
def decode_bypass(
    buffer: np.ndarray, code: Integer, span: Integer, position: Integer
) -> tuple[Integer, Integer, Integer, Integer]:  # pragma: no cover - compiled
    """Decode a bypass bit; returns it and the new state."""
    bound = span >> 1
    if code >= bound:
        bit = 1
        code -= bound
        span -= bound
    else:
        bit = 0
        span = bound
    code, span, position = normalise_decoder(buffer, code, span, position)
    return bit, code, span, position
