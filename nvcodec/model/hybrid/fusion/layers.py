"""The fusion network over bands of rows (spec 9.4, 9.5): samples and weights to frames.

A band goes through all layers row by row. Only those rows of inputs and hidden layers are kept that
later rows need, so that they stay in the processor's caches. Bands do not depend on each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.fusion.inputs import (
    LANES,
    PAIRS,
    RECIPROCAL,
    chroma_difference_row,
    chroma_high_pass_row,
    factors_row,
    luma_difference_row,
    luma_high_pass_row,
)
from nvcodec.model.hybrid.fusion.packed import (
    BIASES,
    INPUT_PAIRS,
    KERNEL,
    LINEAR_PAIRS,
    SHIFT,
    UNITS,
    WEIGHTS,
    PackedNetwork,
)
from nvcodec.model.hybrid.fusion.rows import correct_chroma, correct_luma
from nvcodec.model.hybrid.fusion.weights import MAX_INPUT, PLANES
from nvcodec.products import COLUMNS, block_units, layer_block

MAX_CORRECTION = 16383
"""Largest magnitude of the output layer's results, in 1/1024 quantiser step."""

_HALF_PLANES = PLANES // 2

_MARGIN = 8
"""Words of zeros before the first site of a row, and after the last one."""


class BandSource(NamedTuple):
    """The data that the inputs of a band are computed from.

    `planes` are Y, Cb and Cr of the canvas at the coded size. `predictions` are Y, Cb and Cr
    predicted by reference 0, then by reference 1 (`single_predictions`), from the site (left, top)
    on; they are used if `moving`. Chroma planes have a sample for each site. `quantisers` is u8
    (cell rows, cell columns), `extra` the number of bits of a sample beyond 8.
    """

    planes: tuple[np.ndarray, ...]
    predictions: tuple[np.ndarray, ...]
    top: int
    left: int
    moving: bool
    quantisers: np.ndarray
    chroma_offset: int
    extra: int


class Sites(NamedTuple):
    """The sites of rows y0..y1-1 and columns x0..x1-1."""

    y0: int
    y1: int
    x0: int
    x1: int


class _Rows(NamedTuple):
    """The last `depth` rows of the inputs, of each hidden layer and of the output.

    Layer k reads the rows from values[bases[k]] on. In a row, a pair of channels takes `stride`
    words. `offsets` has the places of the words that a layer reads.
    """

    values: np.ndarray
    bases: np.ndarray
    depth: int
    stride: int
    offsets: np.ndarray


@kernel
def _row_at(
    base: Integer, row: Integer, depth: Integer, pairs: Integer, stride: Integer
) -> Integer:
    """Place of a row in the ring buffer of `depth` rows that begins at `base`."""
    return base + (row % depth) * pairs * stride + _MARGIN


@kernel
def _window(
    offsets: np.ndarray,
    count: Integer,
    base: Integer,
    row: Integer,
    depth: Integer,
    pairs: Integer,
    used: Integer,
    stride: Integer,
) -> Integer:
    """Append the places of the 3 x 3 window of the first `used` pairs; returns the count."""
    for ky in range(3):
        at = _row_at(base, row + ky - 1, depth, pairs, stride)
        for kx in range(3):
            for pair in range(used):
                offsets[count] = at + pair * stride + kx - 1
                count += 1
    return count


@kernel
def _apply(
    hidden: bool,
    units: Integer,
    values: np.ndarray,
    offsets: np.ndarray,
    sites: Integer,
    weights: np.ndarray,
    weights_at: Integer,
    biases: np.ndarray,
    biases_at: Integer,
    shift: Integer,
    out_at: Integer,
    stride: Integer,
) -> None:
    """Evaluate all units of a layer for a row of sites; writes up to COLUMNS - 1 words past it."""
    shift = np.int32(shift)
    terms = len(offsets)
    done: Integer = np.int64(0)
    while done < units:
        block = block_units(units - done)
        w, b = weights_at + done * terms, biases_at + done
        to = out_at + (done >> 1) * stride
        for x in range(0, sites, COLUMNS):
            if not hidden:
                layer_block(
                    6,
                    0,
                    values,
                    offsets,
                    x,
                    weights,
                    w,
                    biases,
                    b,
                    shift,
                    MAX_CORRECTION,
                    to,
                    stride,
                )
            elif block == 24:
                layer_block(
                    24, 1, values, offsets, x, weights, w, biases, b, shift, MAX_INPUT, to, stride
                )
            elif block == 16:
                layer_block(
                    16, 1, values, offsets, x, weights, w, biases, b, shift, MAX_INPUT, to, stride
                )
            elif block == 6:
                layer_block(
                    6, 1, values, offsets, x, weights, w, biases, b, shift, MAX_INPUT, to, stride
                )
            elif block == 4:
                layer_block(
                    4, 1, values, offsets, x, weights, w, biases, b, shift, MAX_INPUT, to, stride
                )
            else:
                layer_block(
                    2, 1, values, offsets, x, weights, w, biases, b, shift, MAX_INPUT, to, stride
                )
        done += block


@kernel
def _correct_luma_row(
    plane: np.ndarray,
    at: Integer,
    words: np.ndarray,
    words_at: Integer,
    steps: np.ndarray,
    width: Integer,
    out: np.ndarray,
    to: Integer,
    extra: Integer,
) -> None:
    """Samples of a frame row: those of the canvas plus int16 corrections, from places on."""
    j: Integer = np.int64(0)
    while j < width:
        if j + LANES <= width:
            correct_luma(LANES, plane, at + j, words, words_at + j, steps, j, out, to + j, extra)
            j += LANES
        else:
            correct_luma(1, plane, at + j, words, words_at + j, steps, j, out, to + j, extra)
            j += 1


@kernel
def _correct_chroma_row(
    blue: np.ndarray,
    red: np.ndarray,
    at: Integer,
    words: np.ndarray,
    words_at: Integer,
    steps: np.ndarray,
    width: Integer,
    out_blue: np.ndarray,
    out_red: np.ndarray,
    to: Integer,
    extra: Integer,
) -> None:
    """Do the same for Cb and Cr, whose corrections share words."""
    j: Integer = np.int64(0)
    while j < width:
        if j + LANES <= width:
            correct_chroma(
                LANES, blue, at + j, red, at + j, words, words_at + j, steps, j, out_blue, to + j,
                out_red, to + j, extra,
            )  # fmt: skip
            j += LANES
        else:
            correct_chroma(
                1, blue, at + j, red, at + j, words, words_at + j, steps, j, out_blue, to + j,
                out_red, to + j, extra,
            )  # fmt: skip
            j += 1


@kernel
def _inputs_row(
    source: BandSource,
    y: Integer,
    column: Integer,
    sites: Integer,
    of_luma: np.ndarray,
    of_chroma: np.ndarray,
    sums: np.ndarray,
    values: np.ndarray,
    halves: np.ndarray,
    at: Integer,
    stride: Integer,
) -> None:
    """Compute all inputs of a row of sites, as words values[at + pair * stride..]."""
    luma, blue, red = source.planes
    double, extra = 2 * column, source.extra
    for dy in range(2):
        to = 2 * (at + dy * stride)
        luma_high_pass_row(luma, 2 * y + dy, double, of_luma, 2 * sites, sums[0], halves, to, extra)
    chroma_high_pass_row(
        blue, red, y, column, of_chroma, sites, sums[0], sums[1], values, at + 2 * stride, extra
    )
    if not source.moving:
        return
    start, down = column - source.left, y - source.top
    for r in range(2):
        first = at + (3 + 3 * r) * stride
        predicted = source.predictions[3 * r]
        width = predicted.shape[1]
        for dy in range(2):
            luma_difference_row(
                luma, (2 * y + dy) * luma.shape[1] + double, predicted,
                (2 * down + dy) * width + 2 * start, of_luma, 2 * sites, halves,
                2 * (first + dy * stride), extra,
            )  # fmt: skip
        chroma_difference_row(
            blue, red, y * blue.shape[1] + column, source.predictions[3 * r + 1],
            source.predictions[3 * r + 2], down * (width >> 1) + start, of_chroma, sites, values,
            first + 2 * stride, extra,
        )  # fmt: skip


@allocating
def _rows_kept(network: PackedNetwork, sites: Integer) -> _Rows:
    """Memory for the rows of a band that is `sites` wide."""
    layers, depth = network.layers, network.halo + 2
    stride = -(-sites // COLUMNS) * COLUMNS + 2 * _MARGIN
    count = len(layers)
    bases = np.empty(count + 1, np.int64)
    bases[0] = 0
    room = depth * PAIRS * stride
    most = LINEAR_PAIRS + layers[count - 1, INPUT_PAIRS]
    for k in range(count):
        bases[k + 1] = room
        room += depth * (layers[k, UNITS] >> 1) * stride
        most = max(most, 9 * layers[k, INPUT_PAIRS])
    return _Rows(np.zeros(room, np.int32), bases, depth, stride, np.empty(most, np.int64))


@kernel
def _layer_row(
    network: PackedNetwork, k: Integer, kept: _Rows, terms: Integer, sites: Integer, to: Integer
) -> None:
    """Evaluate layer k for a row of sites; its inputs are at the first `terms` offsets."""
    layer = network.layers[k]
    _apply(
        k < len(network.layers) - 1, layer[UNITS], kept.values, kept.offsets[:terms], sites,
        network.weights, layer[WEIGHTS], network.biases, layer[BIASES], layer[SHIFT], to,
        kept.stride,
    )  # fmt: skip


@kernel
def _own(
    kept: _Rows, count: Integer, layer: Integer, y: Integer, first: Integer, pairs: Integer
) -> Integer:
    """Append the places of the pairs from `first` on of row y of a layer's inputs.

    Returns the count.
    """
    at = _row_at(kept.bases[layer], y, kept.depth, pairs, kept.stride)
    for pair in range(first, pairs):
        kept.offsets[count] = at + pair * kept.stride
        count += 1
    return count


@kernel
def _clear(kept: _Rows, at: Integer, pairs: Integer) -> None:
    """Set a row to 0, as rows outside the grid are."""
    kept.values[at - _MARGIN : at - _MARGIN + pairs * kept.stride] = 0


@kernel
def _hidden_row(
    network: PackedNetwork, k: Integer, kept: _Rows, y: Integer, rows: Integer, sites: Integer
) -> None:
    """Compute row y of hidden layer k in a grid of `rows` rows."""
    layer = network.layers[k]
    pairs, made, stride = layer[INPUT_PAIRS], layer[UNITS] >> 1, kept.stride
    to = _row_at(kept.bases[k + 1], y, kept.depth, made, stride)
    if y < 0 or y >= rows:
        _clear(kept, to, made)
        return
    terms: Integer = np.int64(0)
    if layer[KERNEL] == 3:
        terms = _window(kept.offsets, terms, kept.bases[k], y, kept.depth, pairs, pairs, stride)
    else:
        terms = _own(kept, terms, k, y, 0, pairs)
    _layer_row(network, k, kept, terms, sites, to)
    for pair in range(made):
        end = to + pair * stride
        kept.values[end + sites : end + stride - 2 * _MARGIN] = 0


@kernel
def _output_row(network: PackedNetwork, kept: _Rows, y: Integer, sites: Integer) -> Integer:
    """Compute row y of the output layer; returns the number of words that it reads at a site."""
    last = len(network.layers) - 1
    terms = _own(kept, np.int64(0), last, y, 0, network.layers[last, INPUT_PAIRS])
    terms = _window(
        kept.offsets, terms, kept.bases[0], y, kept.depth, PAIRS, _HALF_PLANES, kept.stride
    )
    terms = _own(kept, terms, 0, y, _HALF_PLANES, PAIRS)
    _layer_row(network, last, kept, terms, sites, kept.bases[last + 1] + _MARGIN)
    return terms


@kernel
def _corrected_row(
    source: BandSource,
    area: Sites,
    y: Integer,
    values: np.ndarray,
    halves: np.ndarray,
    at: Integer,
    stride: Integer,
    steps: np.ndarray,
    chroma_steps: np.ndarray,
    out: tuple[np.ndarray, ...],
    row: Integer,
) -> None:
    """Write row `row` of sites of the frame: the canvas corrected by the words from `at` on."""
    luma, blue, red = source.planes
    out_luma, out_blue, out_red = out
    width, sites = out_luma.shape[1], area.x1 - area.x0
    for dy in range(2):
        if 2 * row + dy < out_luma.shape[0]:
            _correct_luma_row(
                luma, (2 * y + dy) * luma.shape[1] + 2 * area.x0, halves, 2 * (at + dy * stride),
                steps, width, out_luma, (2 * row + dy) * width, source.extra,
            )  # fmt: skip
    _correct_chroma_row(
        blue, red, y * blue.shape[1] + area.x0, values, at + 2 * stride, chroma_steps, sites,
        out_blue, out_red, row * sites, source.extra,
    )  # fmt: skip


@allocating
def fuse_band(
    source: BandSource,
    network: PackedNetwork,
    area: Sites,
    out: tuple[np.ndarray, ...],
    out_y: Integer,
    taken: np.ndarray,
) -> None:
    """Render the sites of an area.

    The planes `out` begin at the site (area.x0, out_y); rows and columns beyond them are left out.
    If `taken`, int32 (rows, terms, columns), has rows, the words that the output layer reads are
    stored there, in the order of its weights.
    """
    rows, columns = source.planes[1].shape
    halo, x0, x1 = network.halo, area.x0, area.x1
    first, last = max(0, x0 - halo), min(columns, x1 + halo)
    sites = last - first
    kept = _rows_kept(network, sites)
    values, halves = kept.values, kept.values.view(np.int16)
    count = len(network.layers)
    sums = np.empty((2, 2 * sites + 4), np.int16)
    reciprocals, of_chroma = np.empty(2 * sites, np.int32), np.empty(sites, np.int32)
    steps, chroma_steps = np.empty(2 * (x1 - x0), np.int32), np.empty(x1 - x0, np.int32)
    known_reciprocals: Integer = np.int64(-1)
    known_steps: Integer = np.int64(-1)
    for t in range(area.y0 - halo, area.y1 + halo):
        at = _row_at(kept.bases[0], t, kept.depth, PAIRS, kept.stride)
        if t < 0 or t >= rows:
            _clear(kept, at, PAIRS)
        else:
            if t >> 2 != known_reciprocals:
                known_reciprocals = t >> 2
                factors_row(
                    source.quantisers, t, first, source.chroma_offset, source.extra, RECIPROCAL,
                    reciprocals, of_chroma,
                )  # fmt: skip
            _inputs_row(
                source, t, first, sites, reciprocals, of_chroma, sums, values, halves, at,
                kept.stride,
            )  # fmt: skip
        lag: Integer = np.int64(0)
        for k in range(count - 1):
            if network.layers[k, KERNEL] == 3:
                lag += 1
            if t >= area.y0 - halo + 2 * lag:
                _hidden_row(network, k, kept, t - lag, rows, sites)
        y = t - halo
        if y < area.y0:
            continue
        terms = _output_row(network, kept, y, sites)
        if len(taken):
            for term in range(terms):
                begin = kept.offsets[term] + x0 - first
                taken[y - area.y0, term] = values[begin : begin + x1 - x0]
        if y >> 2 != known_steps:
            known_steps = y >> 2
            factors_row(
                source.quantisers, y, x0, source.chroma_offset, source.extra, STEP, steps,
                chroma_steps,
            )  # fmt: skip
        at = kept.bases[count] + _MARGIN + x0 - first
        _corrected_row(
            source, area, y, values, halves, at, kept.stride, steps, chroma_steps, out, y - out_y
        )


@allocating
def band_inputs(source: BandSource, y0: Integer, out: np.ndarray) -> None:
    """Write the inputs of the rows of sites from y0 on to `out`: words (rows, PAIRS, columns)."""
    rows, _, sites = out.shape
    reciprocals, of_chroma = np.empty(2 * sites, np.int32), np.empty(sites, np.int32)
    sums = np.empty((2, 2 * sites + 4), np.int16)
    values = out.reshape(-1)
    halves = values.view(np.int16)
    for i in range(rows):
        factors_row(
            source.quantisers, y0 + i, 0, source.chroma_offset, source.extra, RECIPROCAL,
            reciprocals, of_chroma,
        )  # fmt: skip
        _inputs_row(
            source, y0 + i, 0, sites, reciprocals, of_chroma, sums, values, halves,
            i * PAIRS * sites, sites,
        )  # fmt: skip
