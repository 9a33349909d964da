"""Root blocks of a canvas as tasks."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from nvcodec.encode.hybrid.wavefront import parts, piece_length, wavefront
from nvcodec.tasks import TaskPool, Tasks, performed


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("least", [1, 2, 3])
@pytest.mark.parametrize("reach", [0, 1])
@pytest.mark.parametrize("blocks", [(1, 1), (5, 1), (1, 7), (2, 2), (6, 10), (9, 5)])
def test_a_block_comes_after_those_that_it_looks_at(
    blocks: tuple[int, int], reach: int, least: int, threads: int
) -> None:
    rows, columns = blocks
    made: set[tuple[int, int]] = set()
    lock = threading.Lock()

    def work(row: int, first: int, end: int) -> None:
        for column in range(first, end):
            with lock:
                seen = set(made)
            assert (row, column) not in seen
            if column:
                assert (row, column - 1) in seen
            if row:
                assert (row - 1, min(column + reach, columns - 1)) in seen
            with lock:
                made.add((row, column))

    with closing(TaskPool(threads)) as pool:
        pool.perform(lambda job: wavefront(job, blocks, work, least=least, reach=reach)).result()
    assert len(made) == rows * columns


def test_one_after_the_other() -> None:
    made: list[tuple[int, int, int]] = []

    def work(row: int, first: int, end: int) -> None:
        made.append((row, first, end))

    with closing(TaskPool(3)) as pool:
        pool.perform(lambda job: wavefront(job, (3, 4), work, least=1, ordered=True)).result()
    assert made == [(row, 0, 4) for row in range(3)]


def test_an_error_of_a_piece() -> None:
    def work(row: int, first: int, _: int) -> None:
        if (row, first) == (1, 0):
            raise MemoryError

    with closing(TaskPool(2)) as pool, pytest.raises(MemoryError):
        pool.perform(lambda job: wavefront(job, (4, 4), work, least=1)).result()


def test_pieces_are_as_long_as_keeps_all_threads_busy() -> None:
    # A row begins a piece and a block after the row above.
    assert piece_length((17, 30), 2, 1) == 8
    assert piece_length((17, 30), 5, 1) == 5
    assert piece_length((6, 10), 3, 1) == 2
    assert piece_length((6, 10), 16, 1) == 1
    assert piece_length((6, 10), 16, 2) == 2


def test_parts() -> None:
    async def cut(tasks: Tasks, rows: int, samples: int) -> list[tuple[int, int]]:
        return parts(tasks, rows, samples, 100)

    with closing(TaskPool(4)) as pool:
        made = [pool.perform(lambda job, n=n: cut(job, 9, n)).result() for n in (50, 250, 9999)]
    assert made == [[(0, 9)], [(0, 4), (4, 9)], [(0, 2), (2, 4), (4, 6), (6, 9)]]
    assert performed(cut, 9, 9999) == [(0, 9)]
