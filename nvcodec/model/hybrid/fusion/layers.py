"""The fusion network over bands of rows (spec 9.4, 9.5): samples and weights to frames.

A band goes through all layers row by row, with the few rows of inputs and of hidden layers that
later rows still need, so that they stay in the processor's caches. Bands do not depend on each
other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.compiled import Integer, allocating, kernel
from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.fusion.inputs import (
    PAIRS,
    RECIPROCAL,
    WIDTH,
    chroma_difference_row,
    chroma_high_pass_row,
    factors_row,
    luma_difference_row,
    luma_high_pass_row,
)
from nvcodec.model.hybrid.fusion.products import COLUMNS, layer_block
from nvcodec.model.hybrid.fusion.rows import correct_chroma, correct_luma
from nvcodec.model.hybrid.fusion.weights import (
    CONSTANT,
    HIGH_PASS,
    LINEAR,
    MAX_INPUT,
    PLANES,
    FusionShape,
    Network,
)

MAX_CORRECTION = 16383
"""The greatest magnitude of the output layer's results, in 1/1024 of the quantiser's step."""

_HALF_PLANES = PLANES // 2
_LINEAR_PAIRS = (LINEAR - 1) // 2

_MARGIN = 8
"""Words before the first site of a row, and as many after the last one: zeros."""

# Columns of a description of layers.
_KERNEL, _INPUT_PAIRS, _UNITS, _SHIFT, _WEIGHTS, _BIASES = range(6)


@dataclass(frozen=True, eq=False)
class PackedNetwork:
    """A network as `fuse_band` takes it.

    `layers` is an int64 row of six for each layer, the output layer last; `weights` and `biases`
    are int32, of all layers.
    """

    layers: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int32]
    biases: npt.NDArray[np.int32]
    halo: int

    @property
    def output_terms(self) -> int:
        """Words that the output layer takes at a site."""
        return int(self.layers[-1, _INPUT_PAIRS]) + _LINEAR_PAIRS


def _block_units(left: int) -> int:
    """Units of the next block, of `left` ones that remain: 6, 4 or 2."""
    return 6 if left >= 6 and left != 8 else 4 if left >= 4 else 2


def _words(matrix: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Words of a matrix (units, channels), block by block: (terms, units of the block)."""
    pairs = np.ascontiguousarray(matrix.astype(np.int16)).view(np.int32)
    blocks, first = [], 0
    while first < len(pairs):
        units = _block_units(len(pairs) - first)
        blocks.append(pairs[first : first + units].T.ravel())
        first += units
    return np.concatenate(blocks)


def pack_network(shape: FusionShape, network: Network) -> PackedNetwork:
    """Bring the weights of a network in the order of its kernels."""
    matrices, biases, rows = [], [], []
    for number, (layer, (weights, bias)) in enumerate(
        zip(shape.hidden, network.hidden, strict=True)
    ):
        # By taps, then by channels, as the pairs of channels of a site are in words.
        matrices.append(weights.transpose(0, 2, 3, 1).reshape(layer.units, -1))
        biases.append(bias.astype(np.int64))
        rows.append((layer.kernel, shape.inputs(number) // 2, layer.units, layer.shift))
    constant, high_pass, changes, last = np.split(network.output, [1, 1 + HIGH_PASS, LINEAR], 1)
    windows = high_pass.reshape(PLANES, PLANES, 3, 3).transpose(0, 2, 3, 1)
    matrices.append(np.concatenate([last, windows.reshape(PLANES, -1), changes], 1))
    biases.append(CONSTANT * constant[:, 0].astype(np.int64))
    rows.append((1, shape.hidden[-1].units // 2, PLANES, shape.output_shift))
    words = [_words(matrix) for matrix in matrices]
    layers = np.zeros((len(rows), 6), np.int64)
    layers[:, :4] = rows
    layers[:, _WEIGHTS] = np.cumsum([0, *(len(part) for part in words[:-1])])
    layers[:, _BIASES] = np.cumsum([0, *(len(part) for part in biases[:-1])])
    rounded = [part + (1 << row[3] >> 1) for part, row in zip(biases, rows, strict=True)]
    return PackedNetwork(
        layers, np.concatenate(words), np.concatenate(rounded).astype(np.int32), shape.halo
    )


@kernel
def _row_at(
    base: Integer, row: Integer, depth: Integer, pairs: Integer, stride: Integer
) -> Integer:
    """Where a row of a layer is among the `depth` rows that are kept of it."""
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
    """Append where the first `used` pairs of a row and its neighbours are, 3 x 3; the count."""
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
    """All units of a layer for a row of sites; writes up to COLUMNS - 1 words more."""
    shift = np.int32(shift)
    terms = len(offsets)
    done: Integer = np.int64(0)
    while done < units:
        left = units - done
        block = 6 if left >= 6 and left != 8 else 4 if left >= 4 else 2
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
) -> None:
    """Samples of a frame, from those of a canvas and int16 corrections from places on."""
    j: Integer = np.int64(0)
    while j < width:
        if j + WIDTH <= width:
            correct_luma(WIDTH, plane, at + j, words, words_at + j, steps, j, out, to + j)
            j += WIDTH
        else:
            correct_luma(1, plane, at + j, words, words_at + j, steps, j, out, to + j)
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
) -> None:
    """The same for Cb and Cr, whose corrections share words."""
    j: Integer = np.int64(0)
    while j < width:
        if j + WIDTH <= width:
            correct_chroma(
                WIDTH, blue, at + j, red, at + j, words, words_at + j, steps, j, out_blue, to + j,
                out_red, to + j,
            )  # fmt: skip
            j += WIDTH
        else:
            correct_chroma(
                1, blue, at + j, red, at + j, words, words_at + j, steps, j, out_blue, to + j,
                out_red, to + j,
            )  # fmt: skip
            j += 1


@kernel
def _inputs_row(
    y: Integer,
    column: Integer,
    sites: Integer,
    moving: bool,
    luma: np.ndarray,
    blue: np.ndarray,
    red: np.ndarray,
    warped: tuple[np.ndarray, ...],
    warp_y: Integer,
    warp_column: Integer,
    of_luma: np.ndarray,
    of_chroma: np.ndarray,
    sums: np.ndarray,
    values: np.ndarray,
    halves: np.ndarray,
    at: Integer,
    stride: Integer,
) -> None:
    """Words of all inputs of a row of sites, values[at + pair * stride..]."""
    double = 2 * column
    for dy in range(2):
        to = 2 * (at + dy * stride)
        luma_high_pass_row(luma, 2 * y + dy, double, of_luma, 2 * sites, sums[0], halves, to)
    chroma_high_pass_row(
        blue, red, y, column, of_chroma, sites, sums[0], sums[1], values, at + 2 * stride
    )
    if not moving:
        return
    start = column - warp_column
    for r in range(2):
        first = at + (3 + 3 * r) * stride
        warp, width = warped[3 * r], warped[3 * r].shape[1]
        for dy in range(2):
            luma_difference_row(
                luma, (2 * y + dy) * luma.shape[1] + double, warp,
                (2 * (y - warp_y) + dy) * width + 2 * start, of_luma, 2 * sites, halves,
                2 * (first + dy * stride),
            )  # fmt: skip
        chroma_difference_row(
            blue, red, y * blue.shape[1] + column, warped[3 * r + 1], warped[3 * r + 2],
            (y - warp_y) * (width >> 1) + start, of_chroma, sites, values, first + 2 * stride,
        )  # fmt: skip


@allocating
def fuse_band(
    luma: np.ndarray,
    blue: np.ndarray,
    red: np.ndarray,
    moving: bool,
    warped: tuple[np.ndarray, ...],
    warp_y: Integer,
    warp_column: Integer,
    quantisers: np.ndarray,
    chroma_offset: Integer,
    layers: np.ndarray,
    weights: np.ndarray,
    biases: np.ndarray,
    halo: Integer,
    y0: Integer,
    y1: Integer,
    x0: Integer,
    x1: Integer,
    out_luma: np.ndarray,
    out_blue: np.ndarray,
    out_red: np.ndarray,
    out_y: Integer,
    taken: np.ndarray,
) -> None:
    """Render the sites of rows y0..y1-1 and columns x0..x1-1.

    Canvas planes have the coded size. `warped` are the planes Y, Cb, Cr predicted by reference 0,
    then those by reference 1 (`inputs.warps`), from the site (warp_column, warp_y) on, which are
    used if `moving`. `quantisers` u8 are those of cells, `layers`, `weights`, `biases` and `halo` a
    PackedNetwork. The samples of sites from (x0, out_y) on are in the planes `out`; rows and
    columns that these do not have are left out. Into `taken`, int32 (rows, terms, columns) unless
    it has no rows, go the words that the output layer takes, in the order of its weights.
    """
    rows, columns = blue.shape
    first, last = max(0, x0 - halo), min(columns, x1 + halo)
    sites = last - first
    stride = -(-sites // COLUMNS) * COLUMNS + 2 * _MARGIN
    depth = halo + 2
    count = len(layers)
    # Where the rows of the inputs, of each hidden layer and of the output are.
    bases = np.empty(count + 1, np.int64)
    bases[0] = 0
    room = depth * PAIRS * stride
    most = _LINEAR_PAIRS + layers[count - 1, _INPUT_PAIRS]
    for k in range(count):
        bases[k + 1] = room
        room += depth * (layers[k, _UNITS] >> 1) * stride
        most = max(most, 9 * layers[k, _INPUT_PAIRS])
    values = np.zeros(room, np.int32)
    halves = values.view(np.int16)
    offsets = np.empty(most, np.int64)
    sums = np.empty((2, 2 * sites + 4), np.int16)
    reciprocals, of_chroma = np.empty(2 * sites, np.int32), np.empty(sites, np.int32)
    steps, chroma_steps = np.empty(2 * (x1 - x0), np.int32), np.empty(x1 - x0, np.int32)
    known_reciprocals: Integer = np.int64(-1)
    known_steps: Integer = np.int64(-1)
    for t in range(y0 - halo, y1 + halo):
        at = _row_at(bases[0], t, depth, PAIRS, stride)
        if t < 0 or t >= rows:
            values[at - _MARGIN : at - _MARGIN + PAIRS * stride] = 0
        else:
            if t >> 2 != known_reciprocals:
                known_reciprocals = t >> 2
                factors_row(quantisers, t, first, chroma_offset, RECIPROCAL, reciprocals, of_chroma)
            _inputs_row(
                t, first, sites, moving, luma, blue, red, warped, warp_y, warp_column,
                reciprocals, of_chroma, sums, values, halves, at, stride,
            )  # fmt: skip
        lag: Integer = np.int64(0)
        pairs: Integer = np.int64(PAIRS)
        for k in range(count - 1):
            wide = layers[k, _KERNEL] == 3
            if wide:
                lag += 1
            units = layers[k, _UNITS]
            if t >= y0 - halo + 2 * lag:
                y = t - lag
                to = _row_at(bases[k + 1], y, depth, units >> 1, stride)
                if y < 0 or y >= rows:
                    values[to - _MARGIN : to - _MARGIN + (units >> 1) * stride] = 0
                else:
                    terms: Integer = np.int64(0)
                    if wide:
                        terms = _window(offsets, terms, bases[k], y, depth, pairs, pairs, stride)
                    else:
                        own = _row_at(bases[k], y, depth, pairs, stride)
                        for pair in range(pairs):
                            offsets[terms] = own + pair * stride
                            terms += 1
                    _apply(
                        True, units, values, offsets[:terms], sites, weights,
                        layers[k, _WEIGHTS], biases, layers[k, _BIASES], layers[k, _SHIFT],
                        to, stride,
                    )  # fmt: skip
                    for pair in range(units >> 1):
                        end = to + pair * stride
                        values[end + sites : end + stride - 2 * _MARGIN] = 0
            pairs = units >> 1
        y = t - halo
        if y < y0:
            continue
        terms = np.int64(0)
        own = _row_at(bases[count - 1], y, depth, pairs, stride)
        for pair in range(pairs):
            offsets[terms] = own + pair * stride
            terms += 1
        terms = _window(offsets, terms, bases[0], y, depth, PAIRS, _HALF_PLANES, stride)
        own = _row_at(bases[0], y, depth, PAIRS, stride)
        for pair in range(_HALF_PLANES, PAIRS):
            offsets[terms] = own + pair * stride
            terms += 1
        if len(taken):
            for term in range(terms):
                begin = offsets[term] + x0 - first
                taken[y - y0, term] = values[begin : begin + x1 - x0]
        to = bases[count] + _MARGIN
        k = count - 1
        _apply(
            False, PLANES, values, offsets[:terms], sites, weights, layers[k, _WEIGHTS], biases,
            layers[k, _BIASES], layers[k, _SHIFT], to, stride,
        )  # fmt: skip
        if y >> 2 != known_steps:
            known_steps = y >> 2
            factors_row(quantisers, y, x0, chroma_offset, STEP, steps, chroma_steps)
        to += x0 - first
        width = out_luma.shape[1]
        for dy in range(2):
            target = 2 * (y - out_y) + dy
            if target < out_luma.shape[0]:
                _correct_luma_row(
                    luma, (2 * y + dy) * luma.shape[1] + 2 * x0, halves, 2 * (to + dy * stride),
                    steps, width, out_luma, target * width,
                )  # fmt: skip
        _correct_chroma_row(
            blue, red, y * columns + x0, values, to + 2 * stride, chroma_steps, x1 - x0,
            out_blue, out_red, (y - out_y) * (x1 - x0),
        )  # fmt: skip


@allocating
def band_inputs(
    luma: np.ndarray,
    blue: np.ndarray,
    red: np.ndarray,
    moving: bool,
    warped: tuple[np.ndarray, ...],
    quantisers: np.ndarray,
    chroma_offset: Integer,
    y0: Integer,
    out: np.ndarray,
) -> None:
    """The words of all inputs of the rows of sites from y0 on: int32 out (rows, PAIRS, columns).

    Arguments are those of `fuse_band`; `warped` begins at column 0 and row y0.
    """
    rows, _, sites = out.shape
    reciprocals, of_chroma = np.empty(2 * sites, np.int32), np.empty(sites, np.int32)
    sums = np.empty((2, 2 * sites + 4), np.int16)
    values = out.reshape(-1)
    halves = values.view(np.int16)
    for i in range(rows):
        factors_row(quantisers, y0 + i, 0, chroma_offset, RECIPROCAL, reciprocals, of_chroma)
        _inputs_row(
            y0 + i, 0, sites, moving, luma, blue, red, warped, y0, 0, reciprocals, of_chroma,
            sums, values, halves, i * PAIRS * sites, sites,
        )  # fmt: skip
