"""Random valid tables of leaves, units and levels of a group of the hybrid model."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    AFFINE,
    CHROMA,
    CODED,
    COPY,
    CUT,
    DIRECTION,
    FIRST,
    GRADIENTS,
    HEIGHT,
    INDEX,
    INTRA,
    LEAF_COLUMNS,
    LEVEL_COLUMNS,
    MERGE,
    MODE,
    PAINTED,
    PALETTE,
    UNIT_COLUMNS,
    UNITS,
    VY0,
    WIDTH,
    Q,
    X,
    Y,
    last_index,
)
from nvcodec.coding.hybrid.levels import MAX_LEVEL
from nvcodec.coding.hybrid.motion import MAX_COMPONENT
from nvcodec.coding.hybrid.palettes import MOST_COLOURS, NEW, PaletteSpace, remember
from nvcodec.picture import YUV420P8, SampleFormat

from .reference import (
    Blocks,
    Content,
    Motion,
    diagonal,
    halves,
    luma_blocks,
    nodes,
    quarters,
    set_of,
    tree_parts,
)

Levels = list[tuple[int, int]]


def partition(
    rng: np.random.Generator, width: int, height: int, canvas_set: int, split: float
) -> Blocks:
    found: Blocks = []

    def block(x: int, y: int, n: int) -> None:
        if x >= width or y >= height:
            return
        outside = x + n > width or y + n > height or (canvas_set == 0 and n == 64)
        if n > 8 and (outside or rng.random() < split):
            for a, b, half, _ in quarters(x, y, n, n):
                block(a, b, half)
        else:
            area(x, y, n, n)

    def area(x: int, y: int, w: int, h: int) -> None:
        if min(w, h) > 8 and max(w, h) <= 2 * min(w, h) and rng.random() < 0.4:
            beside = int(rng.integers(2)) if w == h else int(w < h)
            for half in halves(x, y, w, h, beside):
                area(*half)
        else:
            found.append((x, y, w, h))

    for y in range(0, height, 64):
        for x in range(0, width, 64):
            block(x, y, 64)
    return found


def difference(rng: np.random.Generator) -> int:
    if rng.random() < 0.1:
        return int(rng.choice([MAX_COMPONENT, -MAX_COMPONENT, 8192, -1, 8191]))
    return int(rng.laplace(0, rng.choice([0.5, 20, 900])))


def random_leaves(
    rng: np.random.Generator,
    width: int,
    height: int,
    canvas_set: int,
    split: float = 0.5,
    fmt: SampleFormat = YUV420P8,
    two: bool = False,
    palettes: float = 0.25,
) -> np.ndarray:
    rows = []
    copy = np.zeros(2, np.int64)
    favourite = int(rng.integers(0, 35))
    for x, y, w, h in partition(rng, width, height, canvas_set, split):
        row = [0] * LEAF_COLUMNS
        row[X], row[Y], row[WIDTH], row[HEIGHT] = x, y, w, h
        if canvas_set == 0 or (max(w, h) < 64 and rng.random() < 0.3):
            row[INTRA] = 1
            if canvas_set == 0 and w == h == 8 and rng.random() < 0.6:
                row[CUT] = int(rng.integers(1, 4))
            modes = [favourite if rng.random() < 0.3 else int(rng.integers(35)) for _ in range(4)]
            row[MODE : MODE + 4] = modes_of(modes, row[CUT])
            if w == h and rng.random() < 0.2:
                row[CUT] = 0
                row[MODE : MODE + 4] = modes = [COPY] * 4
                copy = np.clip(copy + [difference(rng), difference(rng)], -8192, 8191)
                row[VY0 : VY0 + 2] = copy.tolist()
            elif w == h and rng.random() < palettes:
                row[CUT] = 0
                row[MODE : MODE + 4] = modes = [PALETTE] * 4
            others = [34 if mode == modes[0] else mode for mode in (0, 26, 10, 1)]
            row[CHROMA] = int(rng.choice([modes[0], *others, 35, 36, 37])) if fmt.planes > 1 else 0
        elif rng.random() < 0.5:
            row[MERGE] = 1
            row[AFFINE] = int(min(w, h) > 8 and rng.random() < 0.3)
            row[INDEX] = int(rng.integers(4 if row[AFFINE] else 5))
        else:
            row[DIRECTION] = int(rng.integers(1, 4)) if two or canvas_set == 2 else 1
            for k in range(4):
                if row[DIRECTION] >> (k // 2) & 1:
                    row[VY0 + k] = difference(rng)
            if min(w, h) > 8 and rng.random() < 0.3:
                row[AFFINE] = 1
                row[GRADIENTS : GRADIENTS + 4] = rng.choice([0, 1, -1, 5, 511, -511], 4).tolist()
        rows.append(row)
    return np.array(rows, np.int32)


def modes_of(modes: list[int], cut: int) -> list[int]:
    """Four columns MODE of the modes of the luma blocks of a leaf, of which there are enough."""
    return (modes[: (1, 4, 2, 2)[cut]] * 4)[:4]


def scan(w: int, h: int) -> list[tuple[int, int]]:
    inner = diagonal(4, 4)
    return [(4 * sx + x, 4 * sy + y) for sx, sy in diagonal(w // 4, h // 4) for x, y in inner]


SCANS = {(w, h): scan(w, h) for w in (4, 8, 16, 32) for h in (4, 8, 16, 32)}


def random_unit(rng: np.random.Generator, w: int, h: int) -> Levels:
    density = rng.choice([0.0, 0.02, 0.3, 1.0])
    scale = rng.choice([0.3, 3.0, 100.0])
    levels = []
    stop = int(rng.integers(1, w * h + 1))
    for x, y in reversed(SCANS[w, h][:stop]):
        if rng.random() < density:
            value = int(rng.laplace(0, scale)) or int(rng.choice([-1, 1]))
            if rng.random() < 0.02:
                value = int(rng.choice([MAX_LEVEL, -MAX_LEVEL, 14, 15, -16, 46, 47, 32767]))
            levels.append((y * w + x, value))
    if not levels:
        x, y = SCANS[w, h][stop - 1]
        levels.append((y * w + x, int(rng.choice([-1, 1, MAX_LEVEL, 2]))))
    return with_hidden_signs(levels, w)


def with_hidden_signs(levels: Levels, n: int) -> Levels:
    """Levels of a unit of n columns with the signs that the parities of their sub-blocks say."""
    subs: dict[tuple[int, int], list[int]] = {}
    for k, (position, _) in enumerate(levels):
        subs.setdefault((position % n // 4, position // n // 4), []).append(k)
    levels = list(levels)
    for found in subs.values():
        ends = [levels[k][0] for k in (found[0], found[-1])]
        high, low = (diagonal(4, 4).index((at % n % 4, at // n % 4)) for at in ends)
        if high - low >= 4:
            position, value = levels[found[-1]]
            odd = sum(abs(levels[k][1]) for k in found) % 2
            levels[found[-1]] = position, -abs(value) if odd else abs(value)
    return levels


def random_content(
    rng: np.random.Generator,
    leaves: np.ndarray,
    quantiser: int,
    varying: bool,
    density: float = 0.6,
    fmt: SampleFormat = YUV420P8,
) -> tuple[np.ndarray, np.ndarray]:
    """Units and levels; fills in the columns of the leaves."""
    units: list[list[int]] = []
    levels: Levels = []

    def add(plane: int, x: int, y: int, w: int, h: int, mode: int = -1) -> None:
        found = random_unit(rng, w, h)
        transforms = [0]
        # One level at the first position has no flag.
        if plane == 0 and found[0][0] > 0:
            transforms += [1] if max(w, h) < 32 else []
            last = divmod(found[0][0], w)
            transforms += [3, 4, 5] if set_of(mode) is not None and max(last) < 4 else []
        transform = int(rng.choice(transforms))
        units.append([plane, x, y, w, h, len(levels), len(found), transform])
        levels.extend(found)

    def tree(x: int, y: int, v: int, z: int) -> None:
        if max(v, z) > 4 and rng.random() < 0.5:
            for part in tree_parts(x, y, v, z):
                if rng.random() < 0.6:
                    tree(*part)
        else:
            add(0, x, y, v, z)

    known = PaletteSpace.make()

    def paint(plane: int, x: int, y: int, n: int) -> None:
        length = int(known.length[plane])
        used = rng.random(length) < rng.choice([0.1, 0.5, 1.0])
        entries = np.flatnonzero(used)[: int(rng.integers(MOST_COLOURS + 1))]
        room = MOST_COLOURS - len(entries)
        new = int(rng.integers(0 if len(entries) else 1, room + 1))
        colours = np.sort(rng.choice(fmt.peak + 1, new, replace=False)).tolist()
        rows = [(int(e), int(known.known[plane, e])) for e in entries]
        rows += [(NEW, int(colour)) for colour in colours]
        known.used[:] = 0
        known.used[entries] = 1
        known.colours[: len(rows)] = [colour for _, colour in rows]
        remember(known, plane, len(rows))
        units.append([plane, x, y, n, n, len(levels), len(rows) + n * n, PAINTED])
        index = 0
        samples = []
        change = rng.choice([0.05, 0.5, 1.0])
        for _ in range(n * n):
            if rng.random() < change:
                index = int(rng.integers(len(rows)))
            samples.append((index, rows[index][1]))
        levels.extend(rows + samples)

    q = quantiser
    pending = False
    for leaf in leaves:
        x, y, w, h = (int(v) for v in leaf[[X, Y, WIDTH, HEIGHT]])
        pending = varying if x % 32 == y % 32 == 0 else pending
        first = len(units)
        if leaf[INTRA] or rng.random() < density:
            for nx, ny, m, k in nodes(x, y, w, h):
                if leaf[INTRA] and leaf[MODE] == PALETTE:
                    paint(0, x, y, w)
                elif leaf[INTRA]:
                    blocks = luma_blocks(x, y, w, h, int(leaf[CUT]))
                    for block, mode in zip(blocks, leaf[MODE:].tolist(), strict=False):
                        if rng.random() < density:
                            add(0, *block, mode)
                elif rng.random() < density:
                    tree(nx, ny, m, k)
                across, down = fmt.chroma_shift
                for plane in range(1, fmt.planes):
                    for part in range(1 << (across - down)):
                        wide, tall = m >> across, k >> across
                        top = (ny >> down) + part * tall
                        if leaf[INTRA] and leaf[CHROMA] == PALETTE:
                            paint(plane, nx >> across, top, wide)
                        elif rng.random() < density / 2:
                            add(plane, nx >> across, top, wide, tall)
        coded = len(units) > first
        if (leaf[INTRA] or coded) and pending:
            pending = False
            q = int(
                np.clip(q + rng.choice([0, 0, 1, -3, 5, -32, 32]), 0, last_index(fmt.bit_depth))
            )
        leaf[CODED], leaf[Q], leaf[FIRST], leaf[UNITS] = coded, q, first, len(units) - first
    return (
        np.array(units, np.int32).reshape(-1, UNIT_COLUMNS),
        np.array(levels, np.int32).reshape(-1, LEVEL_COLUMNS),
    )


def leaves_of(motion: Motion) -> np.ndarray:
    """What the text makes of a canvas, as the table of the package."""
    rows = []
    first = 0
    for leaf in motion.leaves:
        rows.append(
            [
                *(leaf.x, leaf.y, leaf.w, leaf.h),
                *(leaf.intra, leaf.affine, leaf.merge, leaf.index, leaf.direction),
                *leaf.differences,
                leaf.cut,
                *(modes_of(leaf.modes, leaf.cut) if leaf.modes else [0] * 4),
                *(leaf.chroma, *leaf.gradients),
                *(leaf.coded, leaf.q, first, len(leaf.units)),
            ]
        )
        first += len(leaf.units)
    return np.array(rows, np.int32)


def content_of(motion: Motion, content: Content) -> tuple[int, np.ndarray, np.ndarray]:
    units: list[list[int]] = []
    levels: Levels = []
    for leaf in motion.leaves:
        for unit in leaf.units:
            place = unit.plane, unit.x, unit.y, unit.w, unit.h
            rows = unit.colours + [(k, unit.colours[k][1]) for k in unit.indices.values()]
            rows += [(y * unit.w + x, a) for (x, y), a in unit.levels.items()]
            units.append([*place, len(levels), len(rows), unit.transform])
            levels.extend(rows)
    return (
        content.quantiser,
        np.array(units, np.int32).reshape(-1, UNIT_COLUMNS),
        np.array(levels, np.int32).reshape(-1, LEVEL_COLUMNS),
    )
