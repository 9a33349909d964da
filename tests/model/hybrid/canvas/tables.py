"""Random valid tables of leaves, units, levels and motion of a canvas (spec 7)."""

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
from nvcodec.picture import YUV420P8
from tests.coding.hybrid.reference import (
    halves,
    luma_blocks,
    nodes,
    quarters,
    set_of,
    tree_parts,
)
from tests.coding.hybrid.tables import modes_of

SHAPES = [(w, h) for w in (4, 8, 16, 32) for h in (4, 8, 16, 32) if max(w, h) <= 4 * min(w, h)]
"""Widths and heights of blocks and units."""


def random_leaves(rng, height, width, split, intra=0.0, halved=0.4):
    """A leaf table of a canvas.

    split[n] is the share of blocks of n that are split, `halved` that of the others and of halves.
    """
    out = []

    def block(x, y, n):
        if x >= width or y >= height:
            return
        if n > 8 and (x + n > width or y + n > height or rng.random() < split[n]):
            for a, b, half, _ in quarters(x, y, n, n):
                block(a, b, half)
            return
        area(x, y, n, n)

    def area(x, y, w, h):
        if min(w, h) > 8 and max(w, h) <= 2 * min(w, h) and rng.random() < halved:
            for half in halves(x, y, w, h, rng.integers(2) if w == h else w < h):
                area(*half)
            return
        leaf = np.zeros(LEAF_COLUMNS, np.int32)
        leaf[X], leaf[Y], leaf[WIDTH], leaf[HEIGHT] = x, y, w, h
        leaf[INTRA] = max(w, h) < 64 and rng.random() < intra
        out.append(leaf)

    for y in range(0, height, 64):
        for x in range(0, width, 64):
            block(x, y, 64)
    return np.array(out)


def random_motion(rng, leaves, height, width, most, same=0.3, chain=False):
    """Direction and vectors of the cells of a leaf table."""
    direction = np.zeros((height // 8, width // 8), np.uint8)
    vectors = np.zeros((2, height // 8, width // 8, 2), np.int16)
    for leaf in leaves:
        if leaf[INTRA]:
            continue
        y, x, h, w = leaf[[Y, X, HEIGHT, WIDTH]] // 8
        direction[y : y + h, x : x + w] = 1 if chain else rng.integers(1, 4)
        v = rng.integers(-most, most + 1, (2, 1, 1, 2))
        vectors[:, y : y + h, x : x + w] = 3 if rng.random() < same else np.clip(v, -8192, 8191)
    return direction, vectors


def random_tables(
    rng, height, width, set_, split, most=40, q=None, levels=4, fmt=YUV420P8, two=False
):
    """Leaves, units and levels of a canvas with everything that the syntax allows."""
    split = split | ({64: 1} if set_ == 0 else {})
    leaves = random_leaves(rng, height, width, split, 0.15)
    units, entries = [], []
    for leaf in leaves:
        x, y, w, h = leaf[[X, Y, WIDTH, HEIGHT]].tolist()
        leaf[Q] = rng.integers(0, last_index(fmt.bit_depth) + 1) if q is None else q
        if set_ == 0:
            leaf[INTRA] = 1
            leaf[CUT] = rng.integers(4) if w == h == 8 else 0
        if leaf[INTRA]:
            leaf[MODE : MODE + 4] = modes_of(rng.integers(0, 35, 4).tolist(), leaf[CUT])
            whole = w == h and not leaf[CUT]
            if whole and rng.random() < 0.3:
                leaf[MODE : MODE + 4] = COPY
                leaf[VY0 : VY0 + 2] = rng.integers(-most, most + 1, 2)
            if whole and rng.random() < 0.2:
                leaf[MODE : MODE + 4] = PALETTE
                leaf[VY0 : VY0 + 2] = 0
            own = max(int(leaf[MODE]), 0)
            chroma = [*range(COPY), own, own, own, own]
            leaf[CHROMA] = rng.choice(chroma) if fmt.planes > 1 else 0
            leaf[CODED] = 1
        else:
            leaf[MERGE] = rng.random() < 0.5
            leaf[CODED] = rng.random() < 0.5
            leaf[AFFINE] = min(w, h) > 8 and rng.random() < 0.4
            if leaf[MERGE]:
                leaf[INDEX] = rng.integers(0, 4 if leaf[AFFINE] else 5)
            else:
                leaf[DIRECTION] = rng.integers(1, 4) if two or set_ == 2 else 1
                leaf[VY0 : VY0 + 4] = rng.integers(-most, most + 1, 4)
                if leaf[AFFINE]:
                    steep = rng.choice([3, 511])
                    leaf[GRADIENTS : GRADIENTS + 4] = rng.integers(-steep, steep + 1, 4)
        leaf[FIRST] = len(units)

        def unit(plane, x, y, w, h, mode=-1, leaf=leaf):
            if leaf[INTRA] and leaf[CHROMA if plane else MODE] == PALETTE:
                colours = rng.integers(0, fmt.peak + 1, int(rng.integers(1, 17)))
                indices = rng.integers(0, len(colours), w * h)
                rows = len(colours) + w * h
                units.append((plane, x, y, w, h, len(entries), rows, PAINTED))
                entries.extend((32, int(colour)) for colour in colours)
                entries.extend((int(k), int(colours[k])) for k in indices)
            elif rng.random() < 0.6:
                count = int(rng.integers(1, 6))
                transforms = [0, 1] if plane == 0 and max(w, h) < 32 else [0]
                transforms += [3, 4, 5] if plane == 0 and set_of(mode) is not None else []
                transform = int(rng.choice(transforms))
                units.append((plane, x, y, w, h, len(entries), count, transform))
                places = [i * w + j for i in range(4) for j in range(4)]
                if transform <= PAINTED:
                    places = range(w * h)
                for position in rng.choice(places, count, replace=False).tolist():
                    entries.append((position, int(rng.integers(1, levels)) * rng.choice([-1, 1])))

        def tree(x, y, v, z):
            if max(v, z) > 4 and rng.random() < 0.4:
                for part in tree_parts(x, y, v, z):
                    tree(*part)
            else:
                unit(0, x, y, v, z)

        across, down = fmt.chroma_shift
        for a, b, m, k in nodes(x, y, w, h) if leaf[CODED] else []:
            if leaf[INTRA]:
                blocks = luma_blocks(x, y, w, h, leaf[CUT])
                for block, mode in zip(blocks, leaf[MODE:].tolist(), strict=False):
                    unit(0, *block, mode)
            else:
                tree(a, b, m, k)
            for plane in range(1, fmt.planes):
                for part in range(1 << (across - down)):
                    tall = k >> across
                    unit(plane, a >> across, (b >> down) + part * tall, m >> across, tall)
        leaf[UNITS] = len(units) - leaf[FIRST]
    tables = (
        np.array(units, np.int32).reshape(-1, UNIT_COLUMNS),
        np.array(entries, np.int32).reshape(-1, 2),
    )
    return leaves, *tables
