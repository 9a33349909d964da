"""Clause 8 once more, slow and as it is written: what the kernels are compared with."""

import numpy as np

from nvcodec.model.canvas.columns import INTRA, LEAF_COLUMNS, SIZE, X, Y
from nvcodec.tables import load_table


def clip(lo, hi, a):
    return max(lo, min(hi, a))


M = load_table("transform.txt").reshape(32, 32).tolist()
S6 = [40, 45, 51, 57, 64, 72]


def coefficient(level, q, log_size):
    scaled = clip(-32768, 32767, level) * (S6[q % 6] << (q // 6))
    return clip(-32768, 32767, (scaled + (1 << (log_size - 2))) >> (log_size - 1))


def residual(d, n):
    """d[y][x] of 8.6 to residual [i][j] of 8.5."""
    step = 32 // n

    def stage1(x, i):
        total = sum(M[y * step][i] * d[y][x] for y in range(n))
        assert abs(total) < 1 << 28
        return clip(-32768, 32767, (total + 64) >> 7)

    g = [[stage1(x, i) for i in range(n)] for x in range(n)]
    out = np.zeros((n, n), np.int64)
    for i in range(n):
        for j in range(n):
            total = sum(M[x * step][j] * g[x][i] for x in range(n))
            assert abs(total) < 1 << 28
            out[i, j] = (total + 2048) >> 12
    return out


ANGLE = [32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26, -32]
ANGLE += [-26, -21, -17, -13, -9, -5, -2, 0, 2, 5, 9, 13, 17, 21, 26, 32]


def intra(mode, plane, known, x, y, n, luma):
    """Prediction [i][j]; known is a plane of whether samples are reconstructed."""
    height, width = plane.shape
    places = [(x - 1, y + i) for i in reversed(range(2 * n))]
    places += [(x - 1, y - 1)] + [(x + i, y - 1) for i in range(2 * n)]
    sequence = [
        int(plane[b, a]) if 0 <= a < width and 0 <= b < height and known[b, a] else None
        for a, b in places
    ]
    given = [s for s in sequence if s is not None]
    before = given[0] if given else 128
    for k in range(len(sequence)):
        if sequence[k] is None:
            sequence[k] = before
        before = sequence[k]
    limit = {8: 7, 16: 1, 32: 0}.get(n)
    if luma and n >= 8 and mode != 1:
        if mode == 0 or min(abs(mode - 10), abs(mode - 26)) > limit:
            s = sequence
            middle = [(s[k - 1] + 2 * s[k] + s[k + 1] + 2) >> 2 for k in range(1, 4 * n)]
            sequence = [s[0], *middle, s[-1]]
    left, top = sequence[2 * n :: -1], sequence[2 * n :]
    log_size = n.bit_length() - 1
    out = np.zeros((n, n), np.int64)
    if mode == 0:
        for i in range(n):
            for j in range(n):
                a = (n - 1 - j) * left[1 + i] + (j + 1) * top[n + 1]
                b = (n - 1 - i) * top[1 + j] + (i + 1) * left[n + 1]
                out[i, j] = (a + b + n) >> (log_size + 1)
    elif mode == 1:
        d = (sum(left[1 : n + 1]) + sum(top[1 : n + 1]) + n) >> (log_size + 1)
        out[:] = d
        if luma and n < 32:
            for k in range(1, n):
                out[0, k] = (top[1 + k] + 3 * d + 2) >> 2
                out[k, 0] = (left[1 + k] + 3 * d + 2) >> 2
            out[0, 0] = (left[1] + 2 * d + top[1] + 2) >> 2
    else:
        angle = ANGLE[mode - 2]
        main, side = (top, left) if mode >= 18 else (left, top)
        inverse = -round(8192 / abs(angle)) if angle else 0

        def ref(k):
            return main[k] if k >= 0 else side[(k * inverse + 128) >> 8]

        for i in range(n):
            for j in range(n):
                p, f = ((i + 1) * angle) >> 5, ((i + 1) * angle) & 31
                value = ref(j + p + 1)
                if f:
                    value = ((32 - f) * value + f * ref(j + p + 2) + 16) >> 5
                if mode >= 18:
                    out[i, j] = value
                else:
                    out[j, i] = value
        if luma and n < 32 and mode == 26:
            for i in range(n):
                out[i, 0] = clip(0, 255, top[1] + ((left[1 + i] - left[0]) >> 1))
        if luma and n < 32 and mode == 10:
            for j in range(n):
                out[0, j] = clip(0, 255, left[1] + ((top[1 + j] - left[0]) >> 1))
    return out


LUMA_TAPS = [
    [0, 0, 0, 64, 0, 0, 0, 0],
    [-1, 4, -10, 58, 17, -5, 1, 0],
    [-1, 4, -11, 40, 40, -11, 4, -1],
    [0, 1, -5, 17, 58, -10, 4, -1],
]
CHROMA_TAPS = [
    [0, 64, 0, 0],
    [-2, 58, 10, -2],
    [-4, 54, 16, -2],
    [-6, 46, 28, -4],
    [-4, 36, 36, -4],
]
CHROMA_TAPS += [CHROMA_TAPS[k][::-1] for k in (3, 2, 1)]


def sums(reference, y, x, rows, width, vy, vx, chroma):
    """S of 8.3 for samples (y.., x..)."""
    bits, before, taps = (3, 1, CHROMA_TAPS) if chroma else (2, 3, LUMA_TAPS)
    fy, fx = vy & ((1 << bits) - 1), vx & ((1 << bits) - 1)
    count = len(taps[0])
    ys = y + (vy >> bits) + np.arange(-before, rows + count - 1 - before)
    xs = x + (vx >> bits) + np.arange(-before, width + count - 1 - before)
    height, across = reference.shape
    a = reference[np.clip(ys, 0, height - 1)][:, np.clip(xs, 0, across - 1)].astype(np.int64)
    first = sum(taps[fx][c] * a[:, c : c + width] for c in range(count))
    assert first.min() >= -32768 and first.max() <= 32767
    if fy == 0:
        return first[before : before + rows]
    return sum(taps[fy][c] * first[c : c + rows] for c in range(count)) >> 6


def pred(references, y, x, rows, width, direction, vectors, chroma):
    s = [sums(references[r], y, x, rows, width, *map(int, vectors[r]), chroma) for r in range(2)]
    return {1: 2 * s[0], 2: 2 * s[1], 3: s[0] + s[1]}[direction]


def inter(references, direction, vectors, chroma):
    """A whole plane by 8.3, cell by cell; 0 in intra cells."""
    cell, weights = (4, [6, 2, 0, 0]) if chroma else (8, [7, 5, 3, 1, 0, 0, 0, 0])
    rows, columns = direction.shape
    out = np.zeros((rows * cell, columns * cell), np.uint8)
    for r in range(rows):
        for c in range(columns):
            if not direction[r, c]:
                continue

            def own(a, b, y=r * cell, x=c * cell):
                d = direction[a, b]
                return pred(references, y, x, cell, cell, d, vectors[:, a, b], chroma)

            p = own(r, c)
            total = 32 * p
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                a, b = r + dy, c + dx
                if 0 <= a < rows and 0 <= b < columns and direction[a, b]:
                    w = np.array(weights if dy + dx < 0 else weights[::-1])
                    w = w[:, None] if dy else w[None]
                    total = total + w * (own(a, b) - p)
            value = np.clip((total + 2048) >> 12, 0, 255)
            out[r * cell : (r + 1) * cell, c * cell : (c + 1) * cell] = value
    return out


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
