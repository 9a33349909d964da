"""The synthesis network (spec 13): features of a group to planes, any patches of any frames."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from nvcodec.coding.nirvana.components import Components
from nvcodec.coding.nirvana.table import FRAME, FRAMES, PATCH, WIDE, WIDTH, network_offset
from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.nirvana.network import Network, synthesis_network
from nvcodec.model.nirvana.rows import (
    MARGIN,
    Layer,
    hidden_layer,
    pack_layer,
    row_stride,
    sample_layer,
)
from nvcodec.model.nirvana.volume import store_samples

_TAPS = 9


class Synthesis(NamedTuple):
    """A `Network` for kernels; `scale` is int32 (FEATURES,)."""

    first: Layer
    second: Layer
    output: Layer
    scale: np.ndarray


def pack_network(network: Network) -> Synthesis:
    """A network as kernels take it."""
    return Synthesis(
        first=pack_layer(*network.first),
        second=pack_layer(*network.second),
        output=pack_layer(*network.output, parts=FRAMES),
        scale=network.scale,
    )


@lru_cache(16)
def synthesis(q: int, components: Components) -> Synthesis:
    """The network of table 1 in a group of quantiser index q, with its components."""
    return pack_network(synthesis_network(network_offset(q), components))


@kernel
def _inputs(
    features: np.ndarray,
    y: Integer,
    x0: Integer,
    patches: Integer,
    scale: np.ndarray,
    halves: np.ndarray,
    scaled: Integer,
    plain: Integer,
    stride: Integer,
) -> None:
    """Words of a row of patches from x0 - 1 on: scaled features, and features themselves.

    Those outside the grid are 0.
    """
    rows, columns, count = features.shape
    for j in range(patches):
        x = x0 - 1 + j
        known = 0 <= y < rows and 0 <= x < columns
        for f in range(count):
            at = 2 * ((f // 2) * stride + j) + (f & 1)
            a, v = np.int32(0), np.int32(0)
            if known:
                v = np.int32(features[y, x, f])
                a = (v * scale[f] + np.int32(16384)) >> 15
                a = min(np.int32(4095), max(np.int32(-4095), a))
            halves[2 * scaled + at] = a
            halves[2 * plain + at] = v


@allocating
def render_rows(
    net: Synthesis,
    features: np.ndarray,
    y0: Integer,
    y1: Integer,
    x0: Integer,
    x1: Integer,
    frames: np.ndarray,
    depth: Integer,
    out: np.ndarray,
    top: Integer,
) -> None:
    """Render patches y0..y1-1 by x0..x1-1 of some frames.

    `out` (frames, rows, columns) of `depth` bits begins at the patch (top, x0); samples beyond it
    are left out.
    """
    count = features.shape[2]
    patches = x1 - x0
    stride = row_stride(patches + 2)
    pairs, half = count // 2, WIDTH // 2
    # Three rows of scaled and plain features, the units of both hidden layers, the output.
    ring = 2 * pairs * stride
    hidden1 = 3 * ring
    hidden2 = hidden1 + half * stride
    output = hidden2 + half * stride
    values = np.zeros(output + FRAME // 2 * stride, np.int32)
    halves = values.view(np.int16)
    near = WIDE // 2
    window = np.empty(_TAPS * near + pairs - near, np.int64)
    own = np.empty(half, np.int64)
    last = np.empty(pairs + half, np.int64)
    for k in range(half):
        own[k] = hidden1 + MARGIN + k * stride
        last[pairs + k] = hidden2 + MARGIN + k * stride
    for y in range(y0 - 1, y1 + 1):
        at = (y + 3) % 3 * ring + MARGIN
        _inputs(
            features, y, x0, patches + 2, net.scale, halves, at, at + pairs * stride, stride
        )  # fmt: skip
        row = y - 1
        if row < y0:
            continue
        for ky in range(3):
            base = (row + ky + 2) % 3 * ring + MARGIN
            for kx in range(3):
                for k in range(near):
                    window[(ky * 3 + kx) * near + k] = base + kx + k * stride
        scaled = (row + 3) % 3 * ring + MARGIN
        for k in range(near, pairs):
            window[_TAPS * near + k - near] = scaled + 1 + k * stride
        plain = scaled + pairs * stride
        for k in range(pairs):
            last[k] = plain + 1 + k * stride
        hidden_layer(
            net.first, 0, WIDTH, values, window, patches, hidden1 + MARGIN, stride
        )  # fmt: skip
        hidden_layer(net.second, 0, WIDTH, values, own, patches, hidden2 + MARGIN, stride)
        for n in range(len(frames)):
            sample_layer(
                net.output, frames[n] * FRAME, FRAME, values, last, patches, output + MARGIN,
                stride,
            )  # fmt: skip
            to, down = output + MARGIN, (row - top) * PATCH
            store_samples(halves, to, stride, patches, depth, out[n], down)
