"""What `nvcodec.encode` has no option for, changed from outside: for ablations only.

The one place of the tools that knows the encoder's insides. A name that has gone from there raises
AttributeError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from nvcodec.encode.nirvana import train
from nvcodec.encode.nirvana import video as nirvana
from nvcodec.encode.nirvana.settings import PRESETS, Preset
from nvcodec.model.nirvana.shape import NetworkShape


@dataclass(frozen=True)
class Change:
    """How an encode differs from one that is asked for in the same way.

    shape: fields of the network's shape.
    rate_factor: on lambda everywhere, in the choice of the lattice too.
    entropy_factor: on the bits in the loss of training only.
    effort: on the number of iterations of all groups.
    float_shares: of the iterations, those in floats: of a fresh network, and of one that goes on.
    options: of `nvcodec.encode`.
    """

    shape: Mapping[str, int] = field(default_factory=dict)
    rate_factor: float = 1.0
    entropy_factor: float = 1.0
    effort: float = 1.0
    float_shares: tuple[float, float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def changed(change: Change) -> Iterator[None]:
    """Encodes of this process (with one job) are changed while the block runs."""

    def shape(make: Callable[..., NetworkShape]) -> Callable[..., NetworkShape]:
        return lambda *given, **named: replace(make(*given, **named), **change.shape)

    def scaled(make: Callable[..., Any], factor: float) -> Callable[..., Any]:
        return lambda *given, **named: factor * make(*given, **named)

    with ExitStack() as stack:

        def put(module: Any, name: str, value: Any) -> None:
            stack.enter_context(patch.object(module, name, value))

        if change.shape:
            put(nirvana, "network_shape", shape(nirvana.network_shape))
        if change.rate_factor != 1:
            put(nirvana, "rate_weight", scaled(nirvana.rate_weight, change.rate_factor))
        if change.entropy_factor != 1:
            put(train, "difference_bits", scaled(train.difference_bits, change.entropy_factor))
        if change.float_shares is not None:
            put(train, "_FRESH_FLOAT_SHARE", change.float_shares[0])
            put(train, "_FLOAT_SHARE", change.float_shares[1])
        if change.effort != 1:
            efforts = {
                name: _with_effort(preset, change.effort) for name, preset in PRESETS.items()
            }
            stack.enter_context(patch.dict(PRESETS, efforts))
        yield


def _with_effort(preset: Preset, factor: float) -> Preset:
    return replace(
        preset,
        key_iterations=max(1, round(factor * preset.key_iterations)),
        iterations=max(1, round(factor * preset.iterations)),
    )
