"""Changes of the encoder that `nvcodec.encode` has no option for; for ablations only.

The only tool module that patches the encoder's internals. A name that no longer exists there raises
AttributeError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from nvcodec.encode.sine import settings, train, video
from nvcodec.encode.sine.settings import PRESETS, Preset
from nvcodec.model.sine.shape import NetworkShape


@dataclass(frozen=True)
class Change:
    """Changes to an encode.

    shape: fields of the network's shape that change.
    rate_factor: factor of lambda everywhere, also in the choice of the lattice.
    entropy_factor: factor of the bits in the training loss only.
    effort: factor of the number of iterations of all groups.
    float_shares: share of the iterations in floats, for a fresh network and for a continued one.
    options: options of `nvcodec.encode`.
    """

    shape: Mapping[str, int] = field(default_factory=dict)
    rate_factor: float = 1.0
    entropy_factor: float = 1.0
    effort: float = 1.0
    float_shares: tuple[float, float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def changed(change: Change) -> Iterator[None]:
    """While the block runs, apply a change to encodes of this process (with one job)."""

    def shape(make: Callable[..., NetworkShape]) -> Callable[..., NetworkShape]:
        return lambda *given, **named: replace(make(*given, **named), **change.shape)

    def scaled(make: Callable[..., Any], factor: float) -> Callable[..., Any]:
        return lambda *given, **named: factor * make(*given, **named)

    with ExitStack() as stack:

        def put(module: Any, name: str, value: Any) -> None:
            stack.enter_context(patch.object(module, name, value))

        if change.shape:
            put(settings, "network_shape", shape(settings.network_shape))
        if change.rate_factor != 1:
            put(video, "rate_weight", scaled(video.rate_weight, change.rate_factor))
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
