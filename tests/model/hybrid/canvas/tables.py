"""Random valid tables of leaves, units, levels and motion of a canvas (spec 7)."""

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    CODED,
    COPY,
    DIRECTION,
    FIRST,
    FOUR,
    INDEX,
    INTRA,
    LEAF_COLUMNS,
    MERGE,
    MODE,
    PAINTED,
    PALETTE,
    SIZE,
    UNITS,
    VY0,
    Q,
    X,
    Y,
    last_index,
)
from nvcodec.picture import YUV420P8


def random_leaves(rng, height, width, split, intra=0.0):
    """A leaf table of a canvas: split[n] is the share of blocks of n that are split."""
    out = []

    def block(x, y, n):
        if x >= width or y >= height:
            return
        if n > 8 and (x + n > width or y + n > height or rng.random() < split[n]):
            h = n // 2
            for a, b in ((0, 0), (h, 0), (0, h), (h, h)):
                block(x + a, y + b, h)
            return
        leaf = np.zeros(LEAF_COLUMNS, np.int32)
        leaf[X], leaf[Y], leaf[SIZE] = x, y, n
        leaf[INTRA] = n < 64 and rng.random() < intra
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
        y, x, n = leaf[Y] // 8, leaf[X] // 8, leaf[SIZE] // 8
        direction[y : y + n, x : x + n] = 1 if chain else rng.integers(1, 4)
        v = rng.integers(-most, most + 1, (2, 1, 1, 2))
        vectors[:, y : y + n, x : x + n] = 3 if rng.random() < same else np.clip(v, -8192, 8191)
    return direction, vectors


def random_tables(
    rng, height, width, set_, split, most=40, q=None, levels=4, fmt=YUV420P8, two=False
):
    """Leaves, units and levels of a canvas with everything that the syntax allows."""
    split = split | ({64: 1} if set_ == 0 else {})
    leaves = random_leaves(rng, height, width, split, 0.15)
    units, entries = [], []
    for leaf in leaves:
        n = int(leaf[SIZE])
        leaf[Q] = rng.integers(0, last_index(fmt.bit_depth) + 1) if q is None else q
        if set_ == 0:
            leaf[INTRA] = 1
            leaf[FOUR] = n == 8 and rng.random() < 0.5
        if leaf[INTRA]:
            leaf[MODE : MODE + 4] = rng.integers(0, 35, 4)
            if not leaf[FOUR]:
                leaf[MODE : MODE + 4] = leaf[MODE]
            if not leaf[FOUR] and rng.random() < 0.3:
                leaf[MODE : MODE + 4] = COPY
                leaf[VY0 : VY0 + 2] = rng.integers(-most, most + 1, 2)
            if not leaf[FOUR] and rng.random() < 0.2:
                leaf[MODE : MODE + 4] = PALETTE
                leaf[VY0 : VY0 + 2] = 0
            own = max(int(leaf[MODE]), 0)
            chroma = [*range(COPY), own, own, own, own]
            leaf[CHROMA] = rng.choice(chroma) if fmt.planes > 1 else 0
            leaf[CODED] = 1
        else:
            leaf[MERGE] = rng.random() < 0.5
            leaf[CODED] = rng.random() < 0.5
            if leaf[MERGE]:
                leaf[INDEX] = rng.integers(0, 5)
            else:
                leaf[DIRECTION] = rng.integers(1, 4) if two or set_ == 2 else 1
                leaf[VY0 : VY0 + 4] = rng.integers(-most, most + 1, 4)
        leaf[FIRST] = len(units)

        def unit(plane, x, y, size, leaf=leaf):
            if leaf[INTRA] and leaf[CHROMA if plane else MODE] == PALETTE:
                colours = rng.integers(0, fmt.peak + 1, int(rng.integers(1, 17)))
                indices = rng.integers(0, len(colours), size * size)
                rows = len(colours) + size * size
                units.append((plane, x, y, size, len(entries), rows, PAINTED))
                entries.extend((32, int(colour)) for colour in colours)
                entries.extend((int(k), int(colours[k])) for k in indices)
            elif rng.random() < 0.6:
                count = int(rng.integers(1, 6))
                sine = int(plane == 0 and size < 32 and rng.random() < 0.5)
                units.append((plane, x, y, size, len(entries), count, sine))
                for position in rng.choice(size * size, count, replace=False).tolist():
                    entries.append((position, int(rng.integers(1, levels)) * rng.choice([-1, 1])))

        def tree(x, y, size):
            if size > 4 and rng.random() < 0.4:
                h = size // 2
                for a, b in ((0, 0), (h, 0), (0, h), (h, h)):
                    tree(x + a, y + b, h)
            else:
                unit(0, x, y, size)

        x, y = int(leaf[X]), int(leaf[Y])
        m = min(n, 32)
        for b in range(0, n if leaf[CODED] else 0, m):
            for a in range(0, n, m):
                if leaf[INTRA] and leaf[FOUR]:
                    for c, d in ((0, 0), (4, 0), (0, 4), (4, 4)):
                        unit(0, x + c, y + d, 4)
                elif leaf[INTRA]:
                    unit(0, x, y, n)
                else:
                    tree(x + a, y + b, m)
                across, down = fmt.chroma_shift
                for plane in range(1, fmt.planes):
                    for part in range(1 << (across - down)):
                        size = m >> across
                        unit(plane, (x + a) >> across, ((y + b) >> down) + part * size, size)
        leaf[UNITS] = len(units) - leaf[FIRST]
    shape = np.array(units, np.int32).reshape(-1, 7), np.array(entries, np.int32).reshape(-1, 2)
    return leaves, *shape
