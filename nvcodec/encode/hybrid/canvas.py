"""One canvas: takes source planes, references and prices; gives tables and the reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

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
from nvcodec.encode.hybrid.search.inter_canvas import search_inter_blocks
from nvcodec.encode.hybrid.search.inter_units import Predicted, decide_inter_units
from nvcodec.encode.hybrid.search.intra import Intra, Rebuilt, decide_intra_leaves
from nvcodec.encode.hybrid.search.key_canvas import KeySearch, search_key_blocks
from nvcodec.encode.hybrid.search.partition import Walk
from nvcodec.encode.hybrid.search.phases import Phases, PhasesMemory, phases_of
from nvcodec.encode.hybrid.search.prediction import (
    Candidates,
    Cells,
    Colours,
    InterSearch,
    first_leaves,
    found_leaves,
    make_candidates,
    no_cells,
)
from nvcodec.encode.hybrid.search.units import Pool, make_pools
from nvcodec.encode.hybrid.search.workspace import Workspace, make_workspace
from nvcodec.encode.hybrid.tools import ALL, Tools
from nvcodec.encode.hybrid.wavefront import parts, root_blocks, wavefront
from nvcodec.model.hybrid.canvas.inter import packed_motion, predict_rows
from nvcodec.model.hybrid.canvas.plane import CELL, ROOT, Canvas, Step
from nvcodec.model.hybrid.canvas.projection import projected_motion
from nvcodec.model.hybrid.canvas.reconstruct import Edges, add_residuals
from nvcodec.model.samples import plane_code
from nvcodec.picture import YUV420P8, Plane, Planes, SampleFormat
from nvcodec.tasks import Tasks, together

T = TypeVar("T")

Motion = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]
"""Direction and vectors, as of a Canvas."""


_KEY, _INTER, _UNITS = 1, 2, 3
"""Least root blocks of a piece of the search of a key canvas, of an inter canvas, and of the
decision on units: a task and the call of a kernel take about 50 microseconds."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A canvas that others are predicted from, and its quarter-sample planes for the search."""

    canvas: Canvas
    phases: Phases

    @classmethod
    async def of(
        cls, tasks: Tasks, canvas: Canvas, memory: PhasesMemory | None = None
    ) -> Reference:
        """Prepare a canvas for motion search."""
        phases, calls = phases_of(canvas.planes[0], canvas.format, memory)
        await together(tasks, calls)
        return cls(canvas, phases)


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
    thorough: bool,
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
        thorough=thorough,
        transforms=settings.effort.transforms,
    )


def _rebuilt(planes: Planes, direction: npt.NDArray[np.uint8]) -> Rebuilt:
    """Planes to which intra leaves are added: what is predicted in a `direction` is there."""
    known = np.repeat(np.repeat((direction > 0).astype(np.uint8), 2, 0), 2, 1)
    return Rebuilt(
        *_three(planes),
        known=known,
        modes=np.ones(known.shape, np.uint8),
        size=np.zeros(direction.shape, np.uint8),
    )


def _screen(settings: CanvasSettings, source: Pyramid) -> bool:
    """Whether intra leaves may be copied or have palettes, whose prices depend on those before."""
    tools = settings.tools
    return bool((tools.copies and source.earlier.size) or (tools.palettes and source.drawn))


def _intra(
    settings: CanvasSettings,
    source: Pyramid,
    given: CanvasInput,
    rebuilt: Rebuilt,
    workspace: Workspace,
    pool: Pool,
) -> Intra:
    return Intra(
        given=given,
        rebuilt=rebuilt,
        workspace=workspace,
        pool=pool,
        tries=settings.effort.intra_tries,
        earlier=source.earlier if settings.tools.copies else NONE,
        palettes=source.drawn and settings.tools.palettes,
    )


class _Scratch(Generic[T]):
    """Scratch memory for the tasks of a canvas: as many as run at a time."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._free: list[T] = []

    @contextmanager
    def taken(self) -> Iterator[T]:
        """One that no other task has meanwhile."""
        try:
            one = self._free.pop()
        except IndexError:
            one = self._make()
        yield one
        self._free.append(one)


async def _coded(
    tasks: Tasks,
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    leaves: Table,
    pool: Pool,
    planes: Planes,
    motion: Motion,
    q: QuantiserMap,
    intended: QuantiserMap,
) -> CodedCanvas:
    """Assemble the tables, and finish the canvas, whose planes are still to be filtered."""
    quantiser = int(q[0, 0])
    tables = assemble(leaves, pool, q, quantiser)
    if settings.tools.deblocking:
        await _deblocked(tasks, settings, tables[0], tables[1], motion, planes)
    filters = None
    if step.set < 2:
        filters = Filters.empty(settings.format.planes, *settings.size)
        if settings.tools.adaptive_filter:
            multiplier = WEIGHT * 2 ** ((float(intended.mean()) - 4) / 3)
            filters, planes = await choose_filters(
                tasks, planes, source.planes, multiplier, settings.format
            )
    canvas = Canvas(planes, *motion, step, settings.format)
    return CodedCanvas(*tables, quantiser, bool((q != quantiser).any()), canvas, filters)


async def _deblocked(
    tasks: Tasks,
    settings: CanvasSettings,
    leaves: Table,
    units: Table,
    motion: Motion,
    planes: Planes,
) -> None:
    """Deblock planes in place."""
    edges = Edges.of(leaves, units, *motion, settings.format, settings.chroma_offset)

    def deblock(horizontal: bool, row: int, end: int) -> None:
        for number, plane in enumerate(planes):
            edges.filter(number, plane, horizontal, row, end)

    height, width = planes[0].shape
    for horizontal in (False, True):
        cut = parts(tasks, height // CELL, height * width)
        await together(tasks, [partial(deblock, horizontal, *part) for part in cut])


async def code_key(
    tasks: Tasks,
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    q: QuantiserMap,
    intended: QuantiserMap,
    prices: Prices,
) -> CodedCanvas:
    """Code a key canvas with the quantiser indices `q`; lambda is that of those `intended`."""
    width, height = settings.size
    screen = _screen(settings, source)
    blocks = root_blocks(settings.size)
    limit = settings.effort.key_halves_bits
    # The pools keep the units of all leaves that are tried. What is known of a screen's leaf
    # follows from the leaves before it: they have one table, not one for each row.
    tables = 1 if screen else blocks[0]
    pools = make_pools(6 * width, 2 * (ROOT * blocks[0] // tables), tables)
    leaves = np.zeros((width * height // CELL**2, LEAF_COLUMNS), np.int32)
    used = first_leaves(width, height)[:tables]
    thorough = settings.effort.key_thorough
    given = _given(settings, source, prices, q, intended, thorough)
    planes = settings.format.empty(width, height)
    cells = height // CELL, width // CELL
    motion = np.zeros(cells, np.uint8), np.zeros((2, *cells, 2), np.int16)
    rebuilt = _rebuilt(planes, motion[0])
    scratch = _Scratch(lambda: (Walk.make(), make_workspace(settings.format)))

    def search(row: int, first: int, end: int) -> None:
        table = min(row, tables - 1)
        with scratch.taken() as (walk, workspace):
            intra = _intra(settings, source, given, rebuilt, workspace, pools[table])
            search = KeySearch(walk, intra, limit, leaves, used[table : table + 1])
            search_key_blocks(search, row, first, end)

    await wavefront(tasks, blocks, search, least=_KEY, ordered=screen)
    found = found_leaves(leaves, used, width, height)
    return await _coded(tasks, settings, source, step, found, pools[0], planes, motion, q, intended)


@dataclass(frozen=True, eq=False)
class InterLeaves:
    """The leaves of an inter canvas and their motion, decided; units and intra modes are not.

    `planes` are predicted by them; samples of intra leaves are undefined.
    """

    leaves: Table
    cells: Cells
    planes: Planes


async def search_inter(
    tasks: Tasks,
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
    scratch = _Scratch(lambda: (Walk.make(), make_workspace(settings.format), make_candidates()))
    with scratch.taken() as given:
        whole = _inter_search(settings, source, step, references, coarse, q, prices, *given)
    cells = whole.cells

    def search(row: int, first: int, end: int) -> None:
        with scratch.taken() as (walk, workspace, candidates):
            part = whole._replace(
                walk=walk,
                workspace=workspace,
                candidates=candidates,
                cells=cells._replace(used=cells.used[row : row + 1]),
            )
            search_inter_blocks(part, row, first, end)

    await wavefront(tasks, root_blocks(settings.size), search, least=_INTER)
    leaves = found_leaves(cells.leaves, cells.used, *settings.size)
    planes = settings.format.empty(*settings.size)
    packed = packed_motion(cells.direction, cells.vectors)

    def predict(row: int, end: int) -> None:
        for number, plane in enumerate(planes):
            first, last = (references[k].canvas.planes[number] for k in (0, -1))
            code = plane_code(settings.format, number)
            predict_rows(code, leaves, row, end, packed, first, last, plane)

    await _root_rows(tasks, settings, predict)
    return InterLeaves(leaves, cells, planes)


async def code_leaves(
    tasks: Tasks,
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    found: InterLeaves,
    q: QuantiserMap,
    intended: QuantiserMap,
    prices: Prices,
) -> tuple[CodedCanvas, npt.NDArray[np.float64]]:
    """Code a chain or interior canvas whose leaves are decided; lambda is that of `intended`.

    Also gives the cost of the leaves in each block of `q`, in squared error.
    """
    given = _given(settings, source, prices, q, intended, settings.effort.thorough)
    leaves, cells = found.leaves.copy(), found.cells
    motion = cells.direction, cells.vectors
    planes = tuple(plane.copy() for plane in found.planes)
    predicted = Predicted(*_three(planes))
    blocks = root_blocks(settings.size)
    begins = _first_of_blocks(leaves, blocks)
    pools = make_pools(settings.width, ROOT, blocks[0])
    units, levels, _ = pools[0]
    costs = np.zeros(len(leaves))
    coded = np.zeros(cells.direction.shape, np.uint8)
    scratch = _Scratch(lambda: make_workspace(settings.format))

    def decide(row: int, first: int, end: int) -> None:
        k, stop = begins[row, first], begins[row, end]
        with scratch.taken() as workspace:
            decide_inter_units(
                given, predicted, workspace, pools[row], leaves, k, stop, coded, costs
            )

    await wavefront(tasks, blocks, decide, least=_UNITS, reach=0)
    leaves[:, Q] = q[leaves[:, Y] >> 5, leaves[:, X] >> 5]

    def add(row: int, end: int) -> None:
        for number, plane in enumerate(planes):
            code = plane_code(settings.format, number)
            add_residuals(leaves, units, levels, row, end, code, settings.chroma_offset, plane)

    await _root_rows(tasks, settings, add)
    if leaves[:, INTRA].any():
        rebuilt = _rebuilt(planes, cells.direction)

        def decide_intra(row: int, first: int, end: int) -> None:
            k, stop = begins[row, first], begins[row, end]
            with scratch.taken() as workspace:
                intra = _intra(settings, source, given, rebuilt, workspace, pools[row])
                decide_intra_leaves(intra, leaves, k, stop, costs)

        await wavefront(
            tasks, blocks, decide_intra, least=_UNITS, ordered=_screen(settings, source)
        )
    of_blocks = np.zeros(q.shape)
    np.add.at(of_blocks, (leaves[:, Y] >> 5, leaves[:, X] >> 5), costs)
    canvas = await _coded(
        tasks, settings, source, step, leaves, pools[0], planes, motion, q, intended
    )
    return canvas, of_blocks


async def code_inter(
    tasks: Tasks,
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    references: Sequence[Reference],
    coarse: npt.NDArray[np.int16],
    q: QuantiserMap,
    prices: Prices,
) -> CodedCanvas:
    """Code a chain or interior canvas in one pass; arguments are those of `search_inter`."""
    found = await search_inter(tasks, settings, source, step, references, coarse, q, prices)
    return (await code_leaves(tasks, settings, source, step, found, q, q, prices))[0]


async def _root_rows(
    tasks: Tasks, settings: CanvasSettings, work: Callable[[int, int], None]
) -> None:
    """Do rows of root blocks in parts: calls with the first row and the end."""
    cut = parts(tasks, root_blocks(settings.size)[0], settings.width * settings.height)
    await together(tasks, [partial(work, *part) for part in cut])


def _first_of_blocks(leaves: Table, blocks: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The first leaf of each root block, (rows, columns + 1): a row ends where the next begins."""
    rows, columns = blocks
    numbers = leaves[:, Y] // ROOT * columns + leaves[:, X] // ROOT
    wanted = np.arange(rows)[:, None] * columns + np.arange(columns + 1)
    return np.searchsorted(numbers, wanted)


def _inter_search(
    settings: CanvasSettings,
    source: Pyramid,
    step: Step,
    references: Sequence[Reference],
    coarse: npt.NDArray[np.int16],
    q: QuantiserMap,
    prices: Prices,
    walk: Walk,
    workspace: Workspace,
    candidates: Candidates,
) -> InterSearch:
    """The search of an inter canvas, with cells for all of it."""
    width, height = settings.size
    effort, tools = settings.effort, settings.tools
    assert prices.motion is not None
    given = _given(settings, source, prices, q, q, effort.thorough)
    return InterSearch(
        walk=walk,
        given=given._replace(depth=effort.trial_depth),
        workspace=workspace,
        cells=no_cells(width, height),
        candidates=candidates,
        current=given.source0.reshape(-1),
        width=width,
        height=height,
        phases0=references[0].phases.reshape(-1),
        phases1=references[-1].phases.reshape(-1),
        colours=Colours(
            *_three(references[0].canvas.planes)[1:], *_three(references[-1].canvas.planes)[1:]
        ),
        coarse=coarse,
        projected=projected_motion(step, [reference.canvas for reference in references]),
        known=np.ones((height // 4, width // 4), np.uint8),
        two=len(references) == 2,
        interior=step.set == 2,
        bits=prices.motion,
        limits=effort.motion,
        trial=effort.trial and tools.trials,
        palettes=source.drawn and settings.tools.palettes,
        largest_intra=tools.largest_intra,
    )
