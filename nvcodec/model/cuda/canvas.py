"""Canvases on a CUDA device (spec 8): tables and canvases there to a canvas there.

The host finds motion, edge strengths and waves of intra blocks; all samples are made on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from nvcodec.coding.hybrid.canvases import ReadCanvas
from nvcodec.coding.hybrid.filters import Filters
from nvcodec.coding.hybrid.leaves import COPY, INTRA
from nvcodec.model.cuda import filter_kernels, intra_kernels
from nvcodec.model.cuda.launch import run, tiles
from nvcodec.model.cuda.motion import add_predictions
from nvcodec.model.cuda.packed import Layout, PackedCanvas, upload
from nvcodec.model.cuda.units import UnitTables, residuals, unit_tables
from nvcodec.model.cuda.waves import Waves, intra_waves
from nvcodec.model.hybrid.canvas.adaptive_filter import ACTIVITY, tap_places
from nvcodec.model.hybrid.canvas.deblocking import edge_strengths, transform_areas
from nvcodec.model.hybrid.canvas.inter import packed_motion
from nvcodec.model.hybrid.canvas.intra import ANGLES, INVERSE
from nvcodec.model.hybrid.canvas.plane import CELL, Canvas, Step
from nvcodec.model.hybrid.canvas.reconstruct import canvas_motion
from nvcodec.picture import Planes, SampleFormat
from nvcodec.tables import load_table

_SAMPLES = 256
"""Samples, edges or blocks in a tile."""

_INTRA = 64
"""Samples of an intra block in a tile."""


@lru_cache
def _tables(device: torch.device) -> dict[str, torch.Tensor]:
    """The tables of spec 8.4, 8.7 and 8.8: int32."""
    modes = COPY + 1
    directions = np.zeros((modes, 2), np.int32)
    directions[: len(ANGLES), 0] = ANGLES
    directions[: len(ANGLES), 1] = INVERSE[np.abs(ANGLES)]
    named = {
        "directions": directions,
        "cubic": load_table("cubic.txt").astype(np.int32),
        "deblocking": load_table("deblocking.txt").astype(np.int32),
        "activities": ACTIVITY.astype(np.int32),
        "luma_places": np.stack(tap_places(0), 1).astype(np.int32),
        "chroma_places": np.stack(tap_places(1), 1).astype(np.int32),
    }
    return dict(zip(named, upload(list(named.values()), device), strict=True))


class Prepared(NamedTuple):
    """What the host knows of a canvas before its samples are made.

    `waves` are those of its intra blocks, None if it has none. `strengths` are u8 (cell rows, cell
    columns) of left and of upper edges.
    """

    step: Step
    direction: npt.NDArray[np.uint8]
    vectors: npt.NDArray[np.int16]
    motion: npt.NDArray[np.int64]
    quantisers: npt.NDArray[np.uint8]
    units: UnitTables
    waves: Waves | None
    strengths: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
    filters: Filters | None


class CanvasMaker:
    """Makes the canvases of one bitstream on a device; the same samples as `reconstruct`.

    `size` is (CodedWidth, CodedHeight).
    """

    def __init__(
        self,
        size: tuple[int, int],
        chroma_offset: int,
        sample_format: SampleFormat,
        device: torch.device,
    ) -> None:
        self.layout = Layout(sample_format, *size)
        self.offset = chroma_offset
        self.device = device
        self._tables = _tables(device)

    def prepare(self, tables: ReadCanvas, step: Step, references: Sequence[Canvas]) -> Prepared:
        """What the host does for the canvas of a step, from the motion of its references."""
        _, leaves, units, levels, filters = tables
        cells = self.layout.cells
        direction, vectors = canvas_motion(leaves, step, references, cells)
        waves = None
        if step.set == 0 or leaves[:, INTRA].any():
            waves = intra_waves(leaves, direction, self.layout, _INTRA)
        areas, strengths = np.empty((2, 2, *cells), np.uint8)
        holds, quantisers = np.empty((2, *cells), np.uint8)
        transform_areas(leaves, units, areas, holds, quantisers)
        edge_strengths(areas, holds, direction, vectors, strengths)
        return Prepared(
            step,
            direction,
            vectors,
            packed_motion(direction, vectors),
            quantisers,
            unit_tables(leaves, units, levels, self.layout, self.offset),
            waves,
            (strengths[0], strengths[1]),
            filters,
        )

    def make(self, prepared: Prepared, references: Sequence[PackedCanvas]) -> PackedCanvas:
        """The canvas, from the canvases of the step's references. Does not wait for the device."""
        layout, device = self.layout, self.device
        motion, quantisers, *edges = (
            torch.from_numpy(array).to(device)
            for array in (prepared.motion, prepared.quantisers, *prepared.strengths)
        )
        samples = torch.empty(layout.samples, dtype=layout.dtype, device=device)
        changes = residuals(prepared.units, layout, device)
        if references:
            packed = [reference.packed for reference in references]
            add_predictions(layout, motion, packed, changes, samples)
        if prepared.waves is not None:
            self._intra(prepared.waves, changes, samples)
        for horizontal, strengths in enumerate(edges):
            self._deblock(bool(horizontal), strengths, quantisers, samples)
        if prepared.filters:
            samples = self._filter(prepared.filters, samples)
        return PackedCanvas(
            cast(Planes, layout.planes(samples)),
            prepared.direction,
            prepared.vectors,
            prepared.step,
            layout.format,
            packed=samples,
            motion=motion,
            quantisers=quantisers,
        )

    def _intra(self, waves: Waves, changes: torch.Tensor, out: torch.Tensor) -> None:
        """Intra prediction with residuals, wave by wave."""
        layout = self.layout
        blocks, programs, orders, edges = upload(waves[:4], self.device)
        begin = 0
        for end in waves.ends:
            run(
                intra_kernels.intra_wave,
                (end - begin,),
                out,
                changes,
                blocks,
                programs,
                orders,
                edges,
                self._tables["directions"],
                self._tables["cubic"],
                begin,
                layout.width,
                layout.height,
                **layout.constants(1),
                TILE=_INTRA,
                num_warps=2,
            )
            begin = end

    def _deblock(
        self,
        horizontal: bool,
        strengths: torch.Tensor,
        quantisers: torch.Tensor,
        samples: torch.Tensor,
    ) -> None:
        """Deblock all planes in place, along one direction."""
        layout = self.layout
        rows, columns = layout.cells
        table = self._tables["deblocking"]
        run(
            filter_kernels.deblock_luma,
            (tiles(2 * rows * columns, _SAMPLES),),
            samples,
            strengths,
            quantisers,
            table,
            rows,
            columns,
            HORIZONTAL=horizontal,
            EXTRA=layout.extra,
            BLOCK=_SAMPLES,
        )
        if layout.format.planes == 1:
            return
        across, down = layout.format.chroma_shift
        lines = CELL >> (across if horizontal else down)
        run(
            filter_kernels.deblock_chroma,
            (tiles(lines * rows * columns, _SAMPLES), 2),
            samples,
            strengths,
            quantisers,
            table,
            layout.firsts[1],
            rows,
            columns,
            self.offset,
            **layout.constants(1),
            HORIZONTAL=horizontal,
            BLOCK=_SAMPLES,
        )

    def _filter(self, filters: Filters, samples: torch.Tensor) -> torch.Tensor:
        """The samples after the adaptive filters."""
        layout = self.layout
        out = samples.clone()
        integers = (filters.classes, filters.taps, *filters.on)
        numbers, taps, *on = upload([a.astype(np.int32) for a in integers], self.device)
        for plane, (rows, columns) in enumerate(layout.shapes):
            if not filters.used[plane]:
                continue
            classes = torch.empty(0, dtype=torch.uint8, device=self.device)
            if plane == 0:
                classes = torch.empty(
                    (rows // 4, columns // 4), dtype=torch.uint8, device=self.device
                )
                run(
                    filter_kernels.classify,
                    (tiles(classes.numel(), _SAMPLES),),
                    samples,
                    self._tables["activities"],
                    classes,
                    rows,
                    columns,
                    EXTRA=layout.extra,
                    BLOCK=_SAMPLES,
                )
            run(
                filter_kernels.filter_plane,
                (tiles(rows * columns, _SAMPLES),),
                samples,
                classes,
                numbers,
                taps[plane],
                self._tables["chroma_places" if plane else "luma_places"],
                on[plane],
                out,
                layout.firsts[plane],
                rows,
                columns,
                filters.on.shape[2],
                **layout.constants(plane),
                TAPS=6 if plane else 12,
                BLOCK=_SAMPLES,
            )
        return out
