"""One canvas: takes source planes, references and prices; gives tables and the reconstruction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.filters import Filters
from nvcodec.coding.hybrid.leaves import INTRA, LEAF_COLUMNS, Q, Table, X, Y
from nvcodec.encode.hybrid.adaptive_filter import choose_filters
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.quantisers import QuantiserMap
from nvcodec.encode.hybrid.analysis.repeats import NONE
from nvcodec.encode.hybrid.assemble import assemble
from nvcodec.encode.hybrid.effort import Effort
from nvcodec.encode.hybrid.rate.prices import Prices
from nvcodec.encode.hybrid.rate.tradeoff import WEIGHT
from nvcodec.encode.hybrid.search.block import CanvasInput
from nvcodec.encode.hybrid.search.inter_canvas import search_inter_canvas
from nvcodec.encode.hybrid.search.inter_units import Predicted, decide_inter_units
from nvcodec.encode.hybrid.search.intra import Intra, Rebuilt, decide_intra_leaves
from nvcodec.encode.hybrid.search.key_canvas import KeySearch, search_key_canvas
from nvcodec.encode.hybrid.search.phases import Phases, PhasesMemory, make_phases
from nvcodec.encode.hybrid.search.prediction import (
    Cells,
    InterSearch,
    make_candidates,
    no_cells,
)
from nvcodec.encode.hybrid.search.units import Pool, make_pool
from nvcodec.encode.hybrid.search.workspace import Workspace, make_workspace
from nvcodec.encode.hybrid.tools import ALL, Tools
from nvcodec.model.hybrid.canvas.inter import packed_motion, predict_rows
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT, Canvas, Step
from nvcodec.model.hybrid.canvas.projection import projected_motion
from nvcodec.model.hybrid.canvas.reconstruct import add_residuals, reconstruct
from nvcodec.model.samples import plane_code
from nvcodec.picture import YUV420P8, Plane, Planes, SampleFormat


@dataclass(frozen=True, eq=False)
class Reference:
    """A canvas that others are predicted from, and its quarter-sample planes for the search."""

    canvas: Canvas
    phases: Phases

    @classmethod
    def of(cls, canvas: Canvas, memory: PhasesMemory | None = None) -> Reference:
        """Prepare a canvas for motion search."""
        return cls(canvas, make_phases(canvas.planes[0], canvas.format, memory))


@dataclass(frozen=True, eq=False)
class CodedCanvas:
    """A canvas with the tables that code it (coding.hybrid.leaves).

    `quantiser` is the index that the canvas starts from; `varying` says whether any block has
    another one (spec 7.5). `filters` are None for an interior canvas.
    """

    leaves: Table
    units: Table
    levels: Table
    quantiser: int
    varying: bool
    canvas: Canvas
    filters: Filters | None


@dataclass(frozen=True)
class CanvasSettings:
    """What all canvases of an encode have in common; width and height are the coded ones."""

    width: int
    height: int
    chroma_offset: int
    effort: Effort
    tools: Tools = ALL
    format: SampleFormat = YUV420P8

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height


_PARTS = (0, 1, 2, 1)
"""Units of a node in a chroma plane, by HEAD's chroma_format (spec 7.5)."""


def _three(planes: Planes) -> tuple[Plane, Plane, Plane]:
    """Y, Cb and Cr for kernels; in monochrome Cb and Cr are empty."""
    if len(planes) == 1:
        empty = np.empty((0, 0), planes[0].dtype)
        return planes[0], empty, empty
    y, cb, cr = planes
    return y, cb, cr


def _given(
    settings: CanvasSettings,
    source: Pyramid,
    prices: Prices,
    q: QuantiserMap,
    intended: QuantiserMap,
) -> CanvasInput:
    codes = tuple(plane_code(settings.format, number) for number in range(3))
    return CanvasInput(
        *_three(source.planes),
        codes=(codes[0], codes[1], codes[2]),
        parts=_PARTS[settings.format.chroma_format],
        quantisers=q,
        intended=intended,
        chroma_offset=settings.chroma_offset,
        content=prices.content,
        intra=prices.intra,
        depth=settings.effort.tree_depth,
        thorough=settings.effort.thorough,
    )


def _rebuilt(
    planes: Planes,
    known: npt.NDArray[np.uint8],
    size: npt.NDArray[np.uint8],
) -> Rebuilt:
    return Rebuilt(*_three(planes), known=known, modes=np.ones(known.shape, np.uint8), size=size)


def _coded(
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    references: Sequence[Canvas],
    leaves: Table,
    pool: Pool,
    q: QuantiserMap,
    intended: QuantiserMap,
) -> CodedCanvas:
    """Assemble the tables and reconstruct the canvas from them."""
    quantiser = int(q[0, 0])
    tables = assemble(leaves, pool, q, quantiser)
    canvas = reconstruct(
        *tables,
        step,
        references,
        settings.size,
        settings.chroma_offset,
        deblocking=settings.tools.deblocking,
        sample_format=settings.format,
    )
    varying, filters = bool((q != quantiser).any()), None
    if step.set < 2:
        filters = Filters.empty(settings.format.planes, *settings.size)
        if settings.tools.adaptive_filter:
            multiplier = WEIGHT * 2 ** ((float(intended.mean()) - 4) / 3)
            filters, planes = choose_filters(
                canvas.planes, source.planes, multiplier, settings.format
            )
            canvas = replace(canvas, planes=planes)
    return CodedCanvas(*tables, quantiser, varying, canvas, filters)


def code_key(
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    q: QuantiserMap,
    intended: QuantiserMap,
    prices: Prices,
) -> CodedCanvas:
    """Code a key canvas with the quantiser indices `q`; lambda is that of those `intended`."""
    width, height = settings.size
    workspace = make_workspace(settings.format)
    # The pool keeps the units of every block size that is tried.
    pool = make_pool(4 * width, 2 * height)
    search = KeySearch(
        walk=workspace.walk,
        intra=Intra(
            given=_given(settings, source, prices, q, intended),
            rebuilt=_rebuilt(
                settings.format.empty(width, height),
                np.zeros((height // 4, width // 4), np.uint8),
                np.zeros((height // CELL, width // CELL), np.uint8),
            ),
            workspace=workspace,
            pool=pool,
            tries=settings.effort.intra_tries,
            earlier=source.earlier if settings.tools.copies else NONE,
            palettes=source.drawn and settings.tools.palettes,
        ),
        leaves=np.zeros((width * height // CELL**2, LEAF_COLUMNS), np.int32),
        used=np.zeros(1, np.int64),
    )
    search_key_canvas(search)
    leaves = search.leaves[: search.used[0]]
    return _coded(settings, source, step, [], leaves, pool, q, intended)


@dataclass(frozen=True, eq=False)
class InterLeaves:
    """The leaves of an inter canvas and their motion, decided; units and intra modes are not.

    `planes` are predicted by them; samples of intra leaves are undefined.
    """

    cells: Cells
    planes: Planes

    @property
    def table(self) -> Table:
        """A copy of the table of leaves."""
        return self.cells.leaves[: self.cells.used[0]].copy()


def search_inter(
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    references: Sequence[Reference],
    coarse: npt.NDArray[np.int16],
    q: QuantiserMap,
    prices: Prices,
) -> InterLeaves:
    """Decide the leaves of a chain or interior canvas with the quantiser indices `q`.

    `references` are one or two; `coarse` are their coarse vectors, as in InterSearch. `prices` must
    be those of Set 1 or 2.
    """
    workspace = make_workspace(settings.format)
    given = _given(settings, source, prices, q, q)
    palettes = source.drawn and settings.tools.palettes
    cells = _search(settings, given, step, references, coarse, prices, workspace, palettes)
    leaves = cells.leaves[: cells.used[0]]
    planes = settings.format.empty(*settings.size)
    packed = packed_motion(cells.direction, cells.vectors)
    rows = -(-settings.height // ROOT)
    for number, plane in enumerate(planes):
        first, last = (references[k].canvas.planes[number] for k in (0, -1))
        code = plane_code(settings.format, number)
        predict_rows(code, leaves, 0, rows, packed, first, last, plane)
    return InterLeaves(cells, planes)


def code_leaves(
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    references: Sequence[Reference],
    found: InterLeaves,
    q: QuantiserMap,
    intended: QuantiserMap,
    prices: Prices,
) -> tuple[CodedCanvas, npt.NDArray[np.float64]]:
    """Code a chain or interior canvas whose leaves are decided; lambda is that of `intended`.

    Also gives the cost of the leaves in each block of `q`, in squared error.
    """
    workspace = make_workspace(settings.format)
    given = _given(settings, source, prices, q, intended)
    leaves, cells = found.table, found.cells
    planes = tuple(plane.copy() for plane in found.planes)
    rows = -(-settings.height // ROOT)
    pool = make_pool(*settings.size)
    costs = np.zeros(len(leaves))
    decide_inter_units(given, Predicted(*_three(planes)), workspace, pool, leaves, costs)
    if leaves[:, INTRA].any():
        leaves[:, Q] = q[leaves[:, Y] >> 5, leaves[:, X] >> 5]
        for number, plane in enumerate(planes):
            code = plane_code(settings.format, number)
            add_residuals(
                leaves, pool.units, pool.levels, 0, rows, code, settings.chroma_offset, plane
            )
        known = np.repeat(np.repeat((cells.direction > 0).astype(np.uint8), 2, 0), 2, 1)
        rebuilt = _rebuilt(planes, known, cells.size)
        intra = Intra(
            given=given,
            rebuilt=rebuilt,
            workspace=workspace,
            pool=pool,
            tries=settings.effort.intra_tries,
            earlier=source.earlier if settings.tools.copies else NONE,
            palettes=source.drawn and settings.tools.palettes,
        )
        decide_intra_leaves(intra, leaves, costs)
    of_blocks = np.zeros(q.shape)
    np.add.at(of_blocks, (leaves[:, Y] >> 5, leaves[:, X] >> 5), costs)
    canvases = [reference.canvas for reference in references]
    return _coded(settings, source, step, canvases, leaves, pool, q, intended), of_blocks


def code_inter(
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    references: Sequence[Reference],
    coarse: npt.NDArray[np.int16],
    q: QuantiserMap,
    prices: Prices,
) -> CodedCanvas:
    """Code a chain or interior canvas in one pass; arguments are those of `search_inter`."""
    found = search_inter(settings, source, step, references, coarse, q, prices)
    return code_leaves(settings, source, step, references, found, q, q, prices)[0]


def _search(
    settings: CanvasSettings,
    given: CanvasInput,
    step: Step,
    references: Sequence[Reference],
    coarse: npt.NDArray[np.int16],
    prices: Prices,
    workspace: Workspace,
    palettes: bool,
) -> Cells:
    """Decide the leaves of an inter canvas; intra leaves get no mode yet."""
    width, height = settings.size
    effort, tools = settings.effort, settings.tools
    assert prices.motion is not None
    search = InterSearch(
        walk=workspace.walk,
        given=given._replace(depth=effort.trial_depth),
        workspace=workspace,
        cells=no_cells(width, height),
        candidates=make_candidates(),
        current=given.source0.reshape(-1),
        width=width,
        height=height,
        phases0=references[0].phases.reshape(-1),
        phases1=references[-1].phases.reshape(-1),
        coarse=coarse,
        projected=projected_motion(step, [reference.canvas for reference in references]),
        known=np.ones((height // 4, width // 4), np.uint8),
        two=len(references) == 2,
        interior=step.set == 2,
        bits=prices.motion,
        limits=effort.motion,
        trial=effort.trial and tools.trials,
        palettes=palettes,
        largest_intra=tools.largest_intra,
    )
    search_inter_canvas(search)
    return search.cells
