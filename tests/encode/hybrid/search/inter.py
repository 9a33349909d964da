"""An inter search in the middle of a canvas, with random decisions before the block."""

from typing import Any, NamedTuple

import numpy as np

from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.group import default_prices
from nvcodec.encode.hybrid.search.block import area_at, block_at, log2, packed_size
from nvcodec.encode.hybrid.search.partition import Walk
from nvcodec.encode.hybrid.search.phases import MARGIN, phases_of
from nvcodec.encode.hybrid.search.prediction import (
    HALF,
    Colours,
    InterSearch,
    clear,
    make_candidates,
    no_cells,
)
from nvcodec.encode.hybrid.search.workspace import Workspace
from nvcodec.model.hybrid.canvas.motion import merge_list
from nvcodec.model.hybrid.canvas.projection import CANDIDATE
from nvcodec.picture import YUV420P8
from tests.encode.hybrid.pictures import planes_of, smooth_noise
from tests.encode.hybrid.reference import hadamard_sum

from .given import as_compiled, canvas_input

HEIGHT, WIDTH = 128, 192


class Scene(NamedTuple):
    """A search, with its picture and references in two dimensions."""

    search: InterSearch
    current: Any
    phases: Any

    def predicted(self, direction, vectors, y, x, wide, tall):
        """Luma predicted with vectors (list, y and x); None if some samples do not exist."""
        found = []
        for r in range(2):
            if direction >> r & 1:
                vy, vx = (int(v) for v in vectors[r])
                top, left = y + MARGIN + (vy >> 2), x + MARGIN + (vx >> 2)
                plane = self.phases[r][4 * (vy & 3) + (vx & 3)]
                if min(top, left) < 0 or max(abs(vy), abs(vx)) > 8191:
                    return None
                found.append(plane[top : top + tall, left : left + wide].astype(int))
                if found[-1].shape != (tall, wide):
                    return None
        return found[0] if len(found) == 1 else (found[0] + found[1] + 1) >> 1

    def residual(self, direction, vectors, y, x, wide, tall):
        found = self.predicted(direction, vectors, y, x, wide, tall)
        if found is None:
            return None
        return self.current[y : y + tall, x : x + wide].astype(int) - found

    def satd(self, direction, vectors, y, x, wide, tall):
        found = self.residual(direction, vectors, y, x, wide, tall)
        return None if found is None else hadamard_sum(found)

    def vector_bits(self, vector, predicted):
        """Of a coded vector (y, x)."""
        d = [abs(int(v) - int(p)) for v, p in zip(vector, predicted, strict=True)]
        return sum(self.search.bits.component[k, d[k].bit_length()] for k in range(2))


def moved(picture, vector):
    """A picture whose samples are found in `picture` at whole samples (y, x) away."""
    return np.roll(picture, [-v for v in vector], (0, 1))


def filled_phases(luma, sample_format=YUV420P8, memory=None):
    phases, calls = phases_of(luma, sample_format, memory)
    for call in calls:
        call()
    return phases


def make_scene(
    current, references, q=24, interior=True, seed=0, spread=30, depth=1, two=None, **limits
):
    """Random decisions of all cells; vectors are up to `spread` quarter samples long.

    `two` says whether there are two references; None: in interior canvases only.
    """
    two = interior if two is None else two
    rng = np.random.default_rng(seed)
    phases = [filled_phases(reference) for reference in references]
    canvas_set = 2 if interior else 1
    prices = default_prices(canvas_set)
    height, width = current.shape
    cells = no_cells(width, height)
    cells.available[:] = rng.random(cells.available.shape) < 0.8
    cells.direction[:] = rng.integers(1, 4 if two else 2, cells.direction.shape)
    cells.direction[cells.available == 0] = 0
    # Few values, so that entries of merge lists repeat.
    cells.vectors[:] = rng.choice(rng.integers(-spread, spread + 1, 12), cells.vectors.shape)
    cells.vectors[:, cells.available == 0] = 0
    sizes = [packed_size(*sides) for sides in ((8, 8), (16, 16), (32, 32), (8, 32), (32, 16))]
    cells.size[:] = rng.choice(sizes, cells.size.shape)
    projected = rng.integers(-spread, spread + 1, (*cells.size.shape, CANDIDATE)).astype(np.int16)
    projected[..., 0] = 3 * (interior & (rng.random(cells.size.shape) < 0.5))
    cells.merged[:] = cells.available & (rng.random(cells.merged.shape) < 0.5)
    workspace = Workspace.make()
    search = InterSearch(
        walk=Walk.make(),
        given=canvas_input(current, q, canvas_set, depth),
        workspace=workspace,
        cells=cells,
        candidates=make_candidates(),
        current=current.reshape(-1),
        width=width,
        height=height,
        phases0=phases[0].reshape(-1),
        phases1=phases[-1].reshape(-1),
        colours=Colours(*planes_of(references[0])[1:], *planes_of(references[-1])[1:]),
        coarse=np.zeros((2, -(-height // 16), -(-width // 16), 2), np.int16),
        projected=projected,
        known=np.ones((height // 4, width // 4), np.uint8),
        two=two,
        interior=interior,
        bits=prices.motion,
        limits=EFFORTS["slow"].motion._replace(**limits),
        trial=True,
        palettes=False,
        largest_intra=32,
    )
    clear(search.candidates)
    return Scene(search, current, [phases[0], phases[-1]])


def noise_scene(**options):
    """A picture and two references that differ by a few samples of motion."""
    picture = smooth_noise((HEIGHT, WIDTH), 11)
    references = [moved(picture, (2, -3)), moved(picture, (-4, 1))]
    return make_scene(picture, references, **options)


def block_of(scene, y, x, wide, tall):
    """A block of the partition, or a half of one."""
    given = scene.search.given
    if wide == tall:
        return as_compiled(block_at(given, y, x, wide))
    return as_compiled(area_at(given, y, x, wide, tall, HALF, log2(max(wide, tall)) - 3))


def listed(scene, b):
    """The merge list of a block: entries (direction, vectors), and how many come from cells."""
    cells, entries = scene.search.cells, np.zeros((5, 5), np.int64)
    default = 3 if scene.search.interior else 1
    count = merge_list(
        cells.direction,
        cells.vectors,
        cells.available,
        scene.search.projected,
        default,
        b.y >> 3,
        b.x >> 3,
        b.wide >> 3,
        b.tall >> 3,
        entries,
    )
    return [(int(e[0]), e[1:].reshape(2, 2)) for e in entries], count


def merged_near(scene, b):
    merged = scene.search.cells.merged
    left = merged[b.y >> 3, (b.x >> 3) - 1] if b.x else 0
    return int(left) + int(merged[(b.y >> 3) - 1, b.x >> 3] if b.y else 0)
