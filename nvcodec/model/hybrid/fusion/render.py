"""Frames through the fusion network (spec 9): a canvas, its references and weights to samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.leaves import AFFINE, Table
from nvcodec.model.hybrid.canvas.inter import packed_motion
from nvcodec.model.hybrid.canvas.plane import ROOT, Canvas
from nvcodec.model.hybrid.fusion.inputs import PAIRS, cell_quantisers, single_predictions
from nvcodec.model.hybrid.fusion.layers import BandSource, Sites, band_inputs, fuse_band
from nvcodec.model.hybrid.fusion.packed import PackedNetwork
from nvcodec.model.hybrid.fusion.weights import HIGH_PASS, LINEAR
from nvcodec.model.samples import plane_code
from nvcodec.picture import MONOCHROME, Plane, Planes, Region, SampleFormat, region_size

_BAND = 32
"""Rows of sites in a band: many, compared with the neighbours' rows that a band also evaluates."""

_ROOT_SITES = ROOT // 2
"""Sites across a root block."""

_YUV420 = 1
"""HEAD's chroma_format in which a site has one sample of each chroma plane."""

_NOTHING_TAKEN = np.empty((0, 0, 0), np.int32)


@dataclass(frozen=True, eq=False)
class NetworkSource:
    """What the network knows of a frame.

    `leaves` is the canvas's table of leaves, up to the column AFFINE. `motion` int64
    (`packed_motion`) and `quantisers` u8 are (cell rows, cell columns). `references` are the planes
    of the canvases that it was predicted from: two for an interior canvas, one or two for a chain
    canvas, none for a key canvas. `planes` are those of the canvas as the network sees them:
    `with_sites`.
    """

    canvas: Canvas
    planes: Planes
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
            with_sites(canvas.planes, canvas.format),
            leaves[:, : AFFINE + 1].copy(),
            packed_motion(canvas.direction, canvas.vectors),
            cell_quantisers(leaves, *canvas.direction.shape),
            references,
            chroma_offset,
        )

    @property
    def format(self) -> SampleFormat:
        """The format of the frame."""
        return self.canvas.format

    @property
    def sites(self) -> tuple[int, int]:
        """Rows and columns of sites."""
        rows, columns = self.canvas.planes[0].shape
        return rows // 2, columns // 2


def _of_sites(sample_format: SampleFormat) -> SampleFormat:
    """The format of pictures with one sample of each chroma plane for each site."""
    return SampleFormat(sample_format.bit_depth, _YUV420)


def with_sites(planes: Planes, sample_format: SampleFormat) -> Planes:
    """Planes with one sample of Cb and Cr for each site (spec 9.1).

    Those of a site are averaged; in monochrome they are neutral.
    """
    if sample_format.chroma_format == _YUV420:
        return planes
    rows, columns = (size // 2 for size in planes[0].shape)
    if sample_format.chroma_format == MONOCHROME:
        neutral = np.full((rows, columns), sample_format.middle, sample_format.dtype)
        return planes[0], neutral, neutral
    across, down = sample_format.chroma_shift
    height, width = 2 >> down, 2 >> across
    made = [planes[0]]
    for plane in planes[1:]:
        total = plane.reshape(rows, height, columns, width).sum((1, 3), np.uint32)
        count = height * width
        made.append(((total + count // 2) // count).astype(plane.dtype))
    return tuple(made)


def predicted_planes(
    source: NetworkSource, y0: int, y1: int, x0: int, x1: int
) -> tuple[Plane, ...]:
    """Y, Cb, Cr of a rectangle of sites predicted by reference 0, then those by reference 1."""
    planes: list[list[Plane]] = [[], []]
    two = len(source.references) == 2
    luma = 2 * x0, 2 * y0, 2 * x1, 2 * y1
    for number, plane in enumerate(source.canvas.planes):
        left, top, right, bottom = source.format.chroma_region(luma) if number else luma
        made = [np.empty((bottom - top, right - left), plane.dtype) for _ in source.references]
        single_predictions(
            plane_code(source.format, number),
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
    predictions = [with_sites(tuple(made), source.format) for made in planes]
    return predictions[0] + predictions[1]


def _band_source(
    source: NetworkSource,
    predictions: tuple[Plane, ...],
    top: int,
    left: int,
) -> BandSource:
    """The source of a band; `predictions` are `predicted_planes` from the site (left, top) on."""
    return BandSource(
        planes=source.planes,
        predictions=predictions,
        top=top,
        left=left,
        moving=bool(source.references),
        quantisers=source.quantisers,
        chroma_offset=source.chroma_offset,
        extra=source.format.bit_depth - 8,
    )


def render_band(
    source: NetworkSource,
    network: PackedNetwork,
    region: Region,
    y0: int,
    y1: int,
    out: Planes,
) -> None:
    """Render rows y0..y1-1 of sites of a region, whose planes are `out`.

    Several threads may render parts of a region at the same time.
    """
    left, region_y, x1, _ = _of_sites(source.format).chroma_region(region)
    sites = Sites(y0=y0, y1=y1, x0=left, x1=x1)
    if source.format.chroma_format == _YUV420:
        _render_sites(source, network, sites, out, region_y)
        return
    made = _of_sites(source.format).empty(2 * (x1 - left), 2 * (y1 - y0))
    _render_sites(source, network, sites, made, y0)
    # A region may begin or end within a site here. Chroma stays as the canvas has it.
    part = region[0], max(region[1], 2 * y0), region[2], min(region[3], 2 * y1)
    for number, plane in enumerate(source.canvas.planes):
        begin = source.format.chroma_region(region) if number else region
        x, y, right, bottom = source.format.chroma_region(part) if number else part
        shown = plane[y:bottom, x:right]
        if number == 0:
            x, top = x - 2 * left, y - 2 * y0
            shown = made[0][top : top + bottom - y, x : x + right - part[0]]
        out[number][y - begin[1] : bottom - begin[1]] = shown


def _render_sites(
    source: NetworkSource,
    network: PackedNetwork,
    sites: Sites,
    out: Planes,
    out_y: int,
    taken: npt.NDArray[np.int32] = _NOTHING_TAKEN,
) -> None:
    """Render sites to planes with a chroma sample for each; arguments are those of `fuse_band`."""
    halo = network.halo
    rows, columns = source.sites
    moving = bool(source.references)
    top, left = max(0, sites.y0 - halo), max(0, sites.x0 - halo) // _ROOT_SITES * _ROOT_SITES
    predictions: tuple[Plane, ...] = source.planes * 2
    if moving:
        right = min(columns, -(-(sites.x1 + halo) // _ROOT_SITES) * _ROOT_SITES)
        predictions = predicted_planes(source, top, min(rows, sites.y1 + halo), left, right)
    band = _band_source(source, predictions, top, left)
    fuse_band(band, network, sites, out, out_y, taken)


def region_bands(region: Region) -> list[tuple[int, int]]:
    """The rows of sites of a region, cut into bands (first row, end) to render as a whole."""
    y0, y1 = region[1] // 2, -(-region[3] // 2)
    return [(y, min(y1, y + _BAND)) for y in range(y0, y1, _BAND)]


def render(source: NetworkSource, network: PackedNetwork, region: Region) -> Planes:
    """A region of a frame."""
    out = source.format.empty(*region_size(region))
    for y0, y1 in region_bands(region):
        render_band(source, network, region, y0, y1, out)
    return out


def output_inputs(
    source: NetworkSource, network: PackedNetwork, rows: Sequence[int], columns: int
) -> tuple[npt.NDArray[np.int16], Planes]:
    """Inputs of the output layer at the first `columns` sites of some rows, and what it makes.

    Returns int16 (channels, len(rows), columns) in the order of the layer's weights (spec 9.2),
    without the constant input of the bias; and the samples of these sites, planes of 4:2:0 with
    2 * len(rows) rows of luma.
    """
    pairs = network.output_terms
    taken = np.empty((len(rows), pairs, columns), np.int32)
    made = _of_sites(source.format).empty(2 * columns, 2 * len(rows))
    for k, y in enumerate(rows):
        sites = Sites(y0=y, y1=y + 1, x0=0, x1=columns)
        tall = 2, 1, 1
        out = tuple(p[k * n : k * n + n] for p, n in zip(made, tall, strict=True))
        _render_sites(source, network, sites, out, y, taken[k : k + 1])
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
    return in_order, made


def site_inputs(source: NetworkSource) -> npt.NDArray[np.int16]:
    """The input channels (spec 9.3) of all sites of a canvas: int16 (INPUTS, rows, columns)."""
    rows, columns = source.sites
    words = np.zeros((rows, PAIRS, columns), np.int32)
    moving = bool(source.references)
    predictions = predicted_planes(source, 0, rows, 0, columns) if moving else source.planes * 2
    band_inputs(_band_source(source, predictions, 0, 0), 0, words)
    pairs = words.view(np.int16).reshape(rows, PAIRS, columns, 2)
    channels: npt.NDArray[np.int16] = pairs.transpose(1, 3, 0, 2).reshape(-1, rows, columns)
    return channels
