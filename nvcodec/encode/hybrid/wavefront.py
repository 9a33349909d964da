"""The root blocks of a canvas as tasks: in a wavefront, or in parts that do not depend on others.

A block of a wavefront is done after its left neighbour and after the row above, up to the block
above to the right if it looks at that. These are all that the search of a block looks at, as prices
are fixed within a canvas. So results are the same for any number of threads and any pieces.

Blocks of a row are done in pieces, as a task costs something. Where blocks look to the right,
pieces end one block before those of the row above: so one waits for one piece of it, not for two.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import pairwise

from nvcodec.model.hybrid.canvas.plane import ROOT
from nvcodec.tasks import Tasks, done

_LONGEST = 8
"""Most root blocks of a piece."""

Piece = Callable[[int, int, int], object]
"""Does root blocks `first` to `end - 1` of a row: called with row, first and end."""


def root_blocks(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of root blocks of a canvas of this width and height."""
    width, height = size
    return -(-height // ROOT), -(-width // ROOT)


async def wavefront(
    tasks: Tasks,
    blocks: tuple[int, int],
    work: Piece,
    *,
    least: int,
    reach: int = 1,
    ordered: bool = False,
) -> None:
    """Do all `blocks`, rows and columns of a canvas; `ordered` is for one after the other.

    Pieces have at least `least` blocks. A block looks `reach` blocks to the right in the row above,
    0 or 1.
    """
    rows, columns = blocks
    if ordered or tasks.threads == 1 or rows == 1:
        for row in range(rows):
            work(row, 0, columns)
        return
    length = piece_length(blocks, tasks.threads, least)
    above: dict[int, Future[object]] = {}
    for row in range(rows):
        ends = [*range(length - row * reach % length, columns, length), columns]
        own: dict[int, Future[object]] = {}
        before: list[Future[object]] = []
        for first, end in pairwise([0, *ends]):
            needed = min(end + reach, columns)
            corner = [above[needed]] if above else []
            before = [tasks.submit(partial(work, row, first, end), [*before, *corner])]
            own[end] = before[0]
        above = own
    await done(before)


def piece_length(blocks: tuple[int, int], threads: int, least: int) -> int:
    """Blocks of a piece: as many as let all threads work at a time, but `least` or more.

    A row begins when the row above is a piece and one block ahead.
    """
    rows, columns = blocks
    return max(least, min(_LONGEST, columns // min(rows, threads) - 1))


def parts(tasks: Tasks, rows: int, samples: int, least: int = 1 << 19) -> list[tuple[int, int]]:
    """Rows cut into parts that are worth a task: the first row and the end of each.

    `samples` are those of all rows, `least` those that are worth a task; if they take little time,
    as deblocking does, that is many.
    """
    count = max(1, min(rows, tasks.threads, samples // least))
    edges = [rows * k // count for k in range(count + 1)]
    return list(pairwise(edges))
