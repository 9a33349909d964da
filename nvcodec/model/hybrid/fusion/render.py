"""Frames through the fusion network (spec 9): a canvas, its references and weights to samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import INTRA, Table
from nvcodec.model.hybrid.canvas.inter import packed_motion
from nvcodec.model.hybrid.canvas.plane import ROOT, Canvas
from nvcodec.model.hybrid.fusion.inputs import PAIRS, cell_quantisers, single_predictions
from nvcodec.model.hybrid.fusion.layers import BandSource, Sites, band_inputs, fuse_band
from nvcodec.model.hybrid.fusion.packed import PackedNetwork
from nvcodec.model.hybrid.fusion.weights import HIGH_PASS, LINEAR
from nvcodec.model.samples import CHROMA_X, FORMAT, SAMPLE
from nvcodec.picture import Plane, Planes, Region, region_size

_BAND = 32
"""Rows of sites in a band: many, compared with the neighbours' rows that a band also evaluates."""

_ROOT_SITES = ROOT >> CHROMA_X
"""Sites across a root block."""

_NOTHING_TAKEN = np.empty((0, 0, 0), np.int32)


@dataclass(frozen=True, eq=False)
class NetworkSource:
    """What the network knows of a frame.

    `leaves` is the canvas's table of leaves. `motion` int64 (`packed_motion`) and `quantisers` u8
    are (cell rows, cell columns). `references` are the planes of the canvases that it was predicted
    from: two for an interior canvas, one for a chain canvas, none for a key canvas.
    """

    canvas: Canvas
    leaves: Table
    motion: npt.NDArray[np.int64]
    quantisers: npt.NDArray[np.uint8]
    references: Sequence[Planes]
    chroma_offset: int

    @classmethod
    def of(
        cls, canvas: Canvas, leaves: Table, references: Sequence[Planes], chroma_offset: int
    ) -> NetworkSource:
        """The source of a canvas with this table of leaves."""
        return cls(
            canvas,
            leaves[:, : INTRA + 1].copy(),
            packed_motion(canvas.direction, canvas.vectors),
            cell_quantisers(leaves, *canvas.direction.shape),
            references,
            chroma_offset,
        )


def predicted_planes(
    source: NetworkSource, y0: int, y1: int, x0: int, x1: int
) -> tuple[Plane, ...]:
    """Y, Cb, Cr of a rectangle of sites predicted by reference 0, then those by reference 1."""
    planes: list[list[Plane]] = [[], []]
    two = len(source.references) == 2
    # A site is a chroma sample with its luma samples.
    sites = x0, y0, x1, y1
    for number, plane in enumerate(source.canvas.planes):
        left, top, right, bottom = sites if number else FORMAT.luma_region(sites)
        made = [np.empty((bottom - top, right - left), SAMPLE) for _ in source.references]
        single_predictions(
            number > 0,
            source.leaves,
            source.motion,
            plane,
            source.references[0][number],
            source.references[-1][number],
            top,
            left,
            two,
            made[0],
            made[-1],
        )
        planes[0].append(made[0])
        planes[1].append(made[-1])
    return tuple(planes[0] + planes[1])


def _band_source(
    source: NetworkSource,
    predictions: tuple[Plane, ...],
    top: int,
    left: int,
) -> BandSource:
    """The source of a band; `predictions` are `predicted_planes` from the site (left, top) on."""
    return BandSource(
        planes=source.canvas.planes,
        predictions=predictions,
        top=top,
        left=left,
        moving=bool(source.references),
        quantisers=source.quantisers,
        chroma_offset=source.chroma_offset,
    )


def render_band(
    source: NetworkSource,
    network: PackedNetwork,
    region: Region,
    y0: int,
    y1: int,
    out: Planes,
    taken: npt.NDArray[np.int32] = _NOTHING_TAKEN,
) -> None:
    """Render rows y0..y1-1 of sites of a region, whose planes are `out`.

    Several threads may render parts of a region at the same time. `taken` is that of `fuse_band`.
    """
    halo = network.halo
    rows, columns = source.canvas.planes[1].shape
    x0, region_y, x1, _ = FORMAT.chroma_region(region)
    moving = bool(source.references)
    top, left = max(0, y0 - halo), max(0, x0 - halo) // _ROOT_SITES * _ROOT_SITES
    predictions: tuple[Plane, ...] = source.canvas.planes * 2
    if moving:
        right = min(columns, -(-(x1 + halo) // _ROOT_SITES) * _ROOT_SITES)
        predictions = predicted_planes(source, top, min(rows, y1 + halo), left, right)
    fuse_band(
        _band_source(source, predictions, top, left),
        network,
        Sites(y0=y0, y1=y1, x0=x0, x1=x1),
        out,
        region_y,
        taken,
    )


def region_bands(region: Region) -> list[tuple[int, int]]:
    """The rows of sites of a region, cut into bands (first row, end) to render as a whole."""
    _, y0, _, y1 = FORMAT.chroma_region(region)
    return [(y, min(y1, y + _BAND)) for y in range(y0, y1, _BAND)]


def render(source: NetworkSource, network: PackedNetwork, region: Region) -> Planes:
    """A region of a frame."""
    out = FORMAT.empty(*region_size(region))
    for y0, y1 in region_bands(region):
        render_band(source, network, region, y0, y1, out)
    return out


def output_inputs(
    source: NetworkSource, network: PackedNetwork, rows: Sequence[int], columns: int
) -> npt.NDArray[np.int16]:
    """Inputs of the output layer at the first `columns` sites of some rows.

    Returns int16 (channels, len(rows), columns) in the order of the layer's weights (spec 9.2),
    without the constant input of the bias.
    """
    pairs = network.output_terms
    taken = np.empty((len(rows), pairs, columns), np.int32)
    for k, y in enumerate(rows):
        region = FORMAT.luma_region((0, y, columns, y + 1))
        out = FORMAT.empty(*region_size(region))
        render_band(source, network, region, y, y + 1, out, taken[k : k + 1])
    words = taken.view(np.int16).reshape(len(rows), pairs, columns, 2)
    channels = words.transpose(1, 3, 0, 2).reshape(2 * pairs, len(rows), columns)
    # In words, hidden units come first, then the taps of all planes, then differences.
    units = 2 * pairs + 1 - LINEAR
    windows = channels[units : units + HIGH_PASS].reshape(9, -1, len(rows), columns)
    in_order: npt.NDArray[np.int16] = np.concatenate(
        [
            windows.swapaxes(0, 1).reshape(HIGH_PASS, len(rows), columns),
            channels[units + HIGH_PASS :],
            channels[:units],
        ]
    )
    return in_order


def site_inputs(source: NetworkSource) -> npt.NDArray[np.int16]:
    """The input channels (spec 9.3) of all sites of a canvas: int16 (INPUTS, rows, columns)."""
    rows, columns = source.canvas.planes[1].shape
    words = np.zeros((rows, PAIRS, columns), np.int32)
    moving = bool(source.references)
    predictions = (
        predicted_planes(source, 0, rows, 0, columns) if moving else source.canvas.planes * 2
    )
    band_inputs(_band_source(source, predictions, 0, 0), 0, words)
    pairs = words.view(np.int16).reshape(rows, PAIRS, columns, 2)
    channels: npt.NDArray[np.int16] = pairs.transpose(1, 3, 0, 2).reshape(-1, rows, columns)
    return channels
