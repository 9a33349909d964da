"""Units on a device (spec 8.5, 8.6): tables of a canvas to residuals and palette blocks."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.coding.hybrid.leaves import (
    LEVEL_POSITION,
    LEVEL_VALUE,
    PAINTED,
    SINE,
    UNIT_COUNT,
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_START,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    UNIT_X,
    UNIT_Y,
    UNITS,
    Q,
    Table,
    last_index,
)
from nvcodec.coding.hybrid.secondary import MIRROR, SECONDARIES, SET_OF_MODE, luma_modes
from nvcodec.model.cuda import transform_kernels
from nvcodec.model.cuda.launch import run, tiles
from nvcodec.model.cuda.packed import Layout, upload
from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.canvas.secondary import LARGE, NUMBER, SECONDARY, VALUES
from nvcodec.tables import load_table

_ELEMENTS = 256
"""Coefficients or levels in a tile; a multiple of `transform_kernels.ZONE`."""

_COSINE = 1024
"""Integers of the matrix of the cosine transform, before those of the sine transform."""

_SINE_AT = {4: 0, 8: 16, 16: 80, 32: 0}
"""Where the matrix of a size begins among those of the sine transform; 32 has none."""

_SECONDARY_AT = 1360
"""Where those of secondary transforms begin."""


@lru_cache
def _matrices(device: torch.device) -> torch.Tensor:
    """The tables of spec 8.5, one after the other: int32."""
    primary = load_table("transform.txt"), load_table("sine_transform.txt")
    joined = np.concatenate([*primary, SECONDARY])
    return torch.from_numpy(joined.astype(np.int32)).to(device)


def _matrix(
    lengths: npt.NDArray[np.int32], sine: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Where in `_matrices` those of units begin, and how far apart their rows are."""
    starts = np.array([_SINE_AT.get(length, 0) for length in range(33)], np.int32)[lengths]
    return np.where(sine, _COSINE + starts, 0), np.where(sine, lengths, _COSINE // lengths)


class UnitTables(NamedTuple):
    """The units of a canvas as kernels take them, int32; units of a shape lie side by side.

    Attributes:
        units: (units, UNIT_COLUMNS), the columns of `transform_kernels`.
        values: (levels,).
        places: (levels,), where the coefficients of all units have them. Those of secondary
            transforms lie behind all others.
        owners: (levels,), their units.
        groups: the units of each GROUP of coefficients.
        unfolded: (units, UNFOLD_COLUMNS), those with a secondary transform, likewise.
        painted: (samples,), places of the samples of palette blocks in a packed canvas, int64.
        colours: (samples,), these samples, int16.

    """

    units: npt.NDArray[np.int32]
    values: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]
    owners: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int32]
    unfolded: npt.NDArray[np.int32]
    painted: npt.NDArray[np.int64]
    colours: npt.NDArray[np.int16]


def _painted(
    units: Table, levels: Table, layout: Layout
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """Places and samples of palette blocks, the last levels of their units."""
    strides = np.array([columns for _, columns in layout.shapes], np.int64)[units[:, UNIT_PLANE]]
    corners = np.array(layout.firsts, np.int64)[units[:, UNIT_PLANE]]
    corners += units[:, UNIT_Y] * strides + units[:, UNIT_X]
    widths = units[:, UNIT_WIDTH].astype(np.int64)
    areas = widths * units[:, UNIT_HEIGHT]
    ends = np.cumsum(areas)
    each = np.repeat(np.arange(len(units)), areas)
    k = np.arange(len(each)) - (ends - areas)[each]
    places = corners[each] + k // widths[each] * strides[each] + k % widths[each]
    rows = (units[:, UNIT_START].astype(np.int64) + units[:, UNIT_COUNT] - areas)[each] + k
    return places, levels[rows, LEVEL_VALUE].astype(np.int16)


def _places(
    units: Table,
    positions: npt.NDArray[np.int32],
    owners: npt.NDArray[np.int32],
    begins: npt.NDArray[np.int64],
) -> npt.NDArray[np.int32]:
    """Places of coefficients by their positions and units; units have theirs from `begins` on."""
    places = begins[owners] + positions
    folded = units[:, UNIT_TRANSFORM] > PAINTED
    widths = units[:, UNIT_WIDTH]
    # Behind all units, those of secondary transforms in the order of DIAG(4, 4).
    end = int((widths * units[:, UNIT_HEIGHT]).sum())
    own = folded[owners]
    row, column = np.divmod(positions[own], widths[owners[own]])
    number = np.cumsum(folded)[owners[own]] - 1
    places[own] = end + number * VALUES + NUMBER[4 * row + column]
    return places.astype(np.int32)


def _unfolded(leaves: Table, units: Table, begins: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The table of units with a secondary transform; `leaves` has a row for each, its leaf."""
    modes = luma_modes(leaves, units)
    numbers = SET_OF_MODE[modes] * SECONDARIES + units[:, UNIT_TRANSFORM] - PAINTED - 1
    widths = units[:, UNIT_WIDTH]
    small = np.minimum(widths, units[:, UNIT_HEIGHT]) == 4
    transposed = modes > MIRROR
    columns = (
        _SECONDARY_AT + np.where(small, numbers * VALUES * 16, LARGE + numbers * VALUES * 64),
        np.where(small, 2, 3),
        begins,
        np.where(transposed, 1, widths),
        np.where(transposed, widths, 1),
    )
    return np.stack(columns, 1).astype(np.int32)


def unit_tables(
    leaves: Table, units: Table, levels: Table, layout: Layout, chroma_offset: int
) -> UnitTables:
    """The units of a canvas from its tables (`nvcodec.coding.hybrid.leaves`)."""
    of_leaf = np.repeat(np.arange(len(leaves)), leaves[:, UNITS])
    counts = units[:, UNIT_COUNT]
    is_painted = units[:, UNIT_TRANSFORM] == PAINTED
    painted, colours = _painted(units[is_painted], levels, layout)
    levels = levels[np.repeat(~is_painted, counts)]
    units, of_leaf = units[~is_painted], of_leaf[~is_painted]
    counts = units[:, UNIT_COUNT]
    numbers = np.repeat(np.arange(len(units), dtype=np.int32), counts)
    widths, heights = units[:, UNIT_WIDTH], units[:, UNIT_HEIGHT]
    order = np.lexsort((heights, widths))
    areas = (widths * heights)[order]
    begins = np.cumsum(areas) - areas
    # Of each unit in coding order, its row in the new order.
    rank = np.empty(len(units), np.int32)
    rank[order] = np.arange(len(units))

    planes = units[:, UNIT_PLANE]
    quantisers = leaves[of_leaf, Q]
    most = last_index(layout.format.bit_depth)
    of_chroma = np.clip(quantisers + chroma_offset, 0, most)
    strides = np.array([columns for _, columns in layout.shapes], np.int32)[planes]
    places = np.array(layout.firsts, np.int32)[planes]
    wide, tall = (np.log2(lengths).astype(np.int32) for lengths in (widths, heights))
    # 181 / 256 stands for the root of 1/2.
    odd = (wide + tall) & 1
    columns = (
        STEP[np.where(planes > 0, of_chroma, quantisers)] * np.where(odd, 181, 1),
        ((wide + tall) >> 1) - 1 + 8 * odd,
        places + units[:, UNIT_Y] * strides + units[:, UNIT_X],
        strides,
        *_matrix(heights, units[:, UNIT_TRANSFORM] == SINE),
        *_matrix(widths, units[:, UNIT_TRANSFORM] == SINE),
        begins[rank],
        wide,
        tall,
    )
    owners = rank[numbers]
    folded = units[:, UNIT_TRANSFORM] > PAINTED
    return UnitTables(
        np.stack(columns, 1)[order].astype(np.int32),
        levels[:, LEVEL_VALUE],
        _places(units, levels[:, LEVEL_POSITION], numbers, begins[rank]),
        owners,
        np.repeat(np.arange(len(units), dtype=np.int32), areas // transform_kernels.GROUP),
        _unfolded(leaves[of_leaf[folded]], units[folded], begins[rank[folded]]),
        painted,
        colours,
    )


def residuals(tables: UnitTables, layout: Layout, device: torch.device) -> torch.Tensor:
    """The residuals of all units of a canvas: int16, packed; 0 where there is no unit.

    Palette blocks have their samples there, as their prediction is 0.
    """
    out = torch.zeros(layout.samples, dtype=torch.int16, device=device)
    if len(tables.painted):
        out[torch.from_numpy(tables.painted).to(device)] = torch.from_numpy(tables.colours).to(
            device
        )
    if not len(tables.units):
        return out
    units, *levels, groups, unfolded = upload(tables[:6], device)
    count = len(tables.groups) * transform_kernels.GROUP
    folded = count + len(unfolded) * VALUES
    coefficients = torch.zeros(folded, dtype=torch.int32, device=device)
    run(
        transform_kernels.dequantise,
        (tiles(len(tables.values), _ELEMENTS),),
        *levels,
        units,
        coefficients,
        len(tables.values),
        EXTRA=layout.extra,
        BLOCK=_ELEMENTS,
    )
    matrices = _matrices(device)
    if len(unfolded):
        run(
            transform_kernels.unfold,
            (tiles(len(unfolded) * transform_kernels.ZONE, _ELEMENTS),),
            unfolded,
            matrices,
            coefficients,
            count,
            len(unfolded),
            EXTRA=layout.extra,
            BLOCK=_ELEMENTS,
        )
    sums = torch.empty(count, dtype=torch.int32, device=device)
    grid = (tiles(count, _ELEMENTS),)
    run(
        transform_kernels.transform_columns,
        grid,
        coefficients,
        groups,
        units,
        matrices,
        sums,
        count,
        EXTRA=layout.extra,
        BLOCK=_ELEMENTS,
    )
    run(
        transform_kernels.transform_rows,
        grid,
        sums,
        groups,
        units,
        matrices,
        out,
        count,
        BLOCK=_ELEMENTS,
    )
    return out
