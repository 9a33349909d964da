"""A slow transcription of spec 8, which the kernels are compared with."""

import numpy as np

from nvcodec.coding.hybrid.leaves import (
    AFFINE,
    CHROMA,
    CUT,
    DIRECTION,
    FIRST,
    GRADIENTS,
    HEIGHT,
    INDEX,
    INTRA,
    MERGE,
    MODE,
    UNITS,
    VY0,
    WIDTH,
    Q,
    X,
    Y,
)
from nvcodec.picture import YUV420P8
from nvcodec.tables import load_table
from tests.coding.hybrid.reference import diagonal, luma_blocks, set_of


def clip(lo, hi, a):
    return max(lo, min(hi, a))


M = load_table("transform.txt").reshape(32, 32).tolist()
SINE = np.split(load_table("sine_transform.txt"), [16, 80])
S6 = [40, 45, 51, 57, 64, 72]


def extra(fmt):
    return fmt.bit_depth - 8


def last_q(fmt):
    return 63 + 6 * extra(fmt)


def base(q, fmt):
    return clip(0, 63, q - 6 * extra(fmt))


def bound(fmt):
    return 1 << (15 + extra(fmt))


def log2(n):
    return n.bit_length() - 1


def class_of(w, h):
    """N of 7.4."""
    return 1 << ((log2(w) + log2(h)) >> 1)


def coefficient(level, q, w, h, fmt=YUV420P8):
    e = log2(w) + log2(h)
    scale, shift = S6[q % 6] << (q // 6), (e >> 1) - 1
    if e % 2:
        scale, shift = 181 * scale, shift + 8
    scaled = clip(-32768, 32767, level) * scale
    return clip(-bound(fmt), bound(fmt) - 1, (scaled + (1 << (shift - 1))) >> shift)


def matrix_of(n, sine):
    """The matrix of a unit of size n, 8.5."""
    if sine:
        return SINE[n.bit_length() - 3].reshape(n, n).tolist()
    return [row[:n] for row in M[:: 32 // n]]


SECONDARY = load_table("secondary_transforms.txt")


def unfolded(c, w, h, mode, number, fmt=YUV420P8):
    """c[y][x] of 8.6 to d[y][x] of 8.5 with the secondary transform `number` = 1..3."""
    n = 4 if min(w, h) == 4 else 8
    at = 12 * 256 if n == 8 else 0
    at += (3 * set_of(mode) + number - 1) * 16 * n * n
    b = SECONDARY[at : at + 16 * n * n].reshape(16, n * n).tolist()
    values = [c[y][x] for x, y in diagonal(4, 4)]
    d = [[0] * w for _ in range(h)]
    for i in range(n * n):
        total = sum(row[i] * value for row, value in zip(b, values, strict=True))
        assert abs(total) + 64 < 1 << 31
        x, y = (i // n, i % n) if mode > 18 else (i % n, i // n)
        d[y][x] = clip(-bound(fmt), bound(fmt) - 1, (total + 64) >> 7)
    return d


def residual(d, w, h, fmt=YUV420P8, sine=0):
    """d[y][x] to residual [i][j] of 8.5."""
    across, down = matrix_of(w, sine), matrix_of(h, sine)

    def stage1(x, i):
        total = sum(down[y][i] * d[y][x] for y in range(h))
        assert abs(total) + 64 < 1 << 31
        return clip(-bound(fmt), bound(fmt) - 1, (total + 64) >> 7)

    g = [[stage1(x, i) for i in range(h)] for x in range(w)]
    out = np.zeros((h, w), np.int64)
    for i in range(h):
        for j in range(w):
            total = sum(across[x][j] * g[x][i] for x in range(w))
            assert abs(total) + 2048 < 1 << 31
            out[i, j] = (total + 2048) >> 12
    return out


ANGLE = [32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26, -32]
ANGLE += [-26, -21, -17, -13, -9, -5, -2, 0, 2, 5, 9, 13, 17, 21, 26, 32]


def weight(k, n):
    """weight(k) of 8.4 for N = n."""
    return 32 >> ((2 * k) >> ((n.bit_length() - 2) >> 1))


CUBIC = load_table("cubic.txt").reshape(32, 4).tolist()


def intra(mode, plane, known, x, y, w, h, luma, fmt=YUV420P8):
    """Prediction [i][j]; known is a plane of whether samples are reconstructed."""
    height, width = plane.shape
    places = [(x - 1, y + i) for i in reversed(range(w + h))]
    places += [(x - 1, y - 1)] + [(x + i, y - 1) for i in range(w + h)]
    sequence = [
        int(plane[b, a]) if 0 <= a < width and 0 <= b < height and known[b, a] else None
        for a, b in places
    ]
    given = [s for s in sequence if s is not None]
    before = given[0] if given else fmt.middle
    for k in range(len(sequence)):
        if sequence[k] is None:
            sequence[k] = before
        before = sequence[k]
    n = class_of(w, h)
    limit = {8: 7, 16: 1, 32: 0}.get(n)
    distance = min(abs(mode - 10), abs(mode - 26))
    cubic = luma
    if luma and n >= 8 and mode != 1 and (mode == 0 or distance > limit):
        s = sequence
        middle = [(s[k - 1] + 2 * s[k] + s[k + 1] + 2) >> 2 for k in range(1, 2 * (w + h))]
        sequence = [s[0], *middle, s[-1]]
        cubic = False
    left, top = sequence[w + h :: -1], sequence[w + h :]
    out = np.zeros((h, w), np.int64)
    if mode == 0:
        for i in range(h):
            for j in range(w):
                a = (w - 1 - j) * left[1 + i] + (j + 1) * top[w + 1]
                b = (h - 1 - i) * top[1 + j] + (i + 1) * left[h + 1]
                out[i, j] = (h * a + w * b + w * h) >> (log2(w) + log2(h) + 1)
    elif mode == 1:
        out[:] = (sum(left[1 : h + 1]) + sum(top[1 : w + 1]) + (w + h) // 2) // (w + h)
    else:
        angle = ANGLE[mode - 2]
        main, side, a, along = (top, left, h, w) if mode >= 18 else (left, top, w, h)
        inverse = -round(8192 / abs(angle)) if angle else 0

        def ref(k):
            assert k <= (w + h + 1 if angle >= 0 else along + 1)
            if k >= 0:
                return main[min(k, w + h)]
            assert k >= (a * angle) >> 5 >= -a
            return side[min(a, (k * inverse + 128) >> 8)]

        for i in range(a):
            for j in range(along):
                p, f = ((i + 1) * angle) >> 5, ((i + 1) * angle) & 31
                value = ref(j + p + 1)
                if f and cubic:
                    four = [ref(j + p + c) for c in range(4)]
                    total = sum(a * b for a, b in zip(CUBIC[f], four, strict=True))
                    value = clip(0, fmt.peak, (total + 32) >> 6)
                elif f:
                    value = ((32 - f) * value + f * ref(j + p + 2) + 16) >> 5
                if mode >= 18:
                    out[i, j] = value
                else:
                    out[j, i] = value
    for i in range(h):
        for j in range(w):
            value, across, along = int(out[i, j]), weight(j, n), weight(i, n)
            change = 0
            if mode < 2:
                change = across * (left[1 + i] - value) + along * (top[1 + j] - value)
            elif mode == 26:
                change = across * (left[1 + i] - left[0])
            elif mode == 10:
                change = along * (top[1 + j] - left[0])
            out[i, j] = clip(0, fmt.peak, value + ((change + 32) >> 6))
    return out


def copied(plane, known, x, y, w, h, vy, vx, fmt=YUV420P8):
    """8.4: a block of a plane copied from the same plane."""
    rows, columns = plane.shape
    out = np.full((h, w), 1 << (fmt.bit_depth - 1), fmt.dtype)
    for i in range(h):
        for j in range(w):
            row, column = y + vy + i, x + vx + j
            if 0 <= row < rows and 0 <= column < columns and known[row, column]:
                out[i, j] = plane[row, column]
    return out


def linear_light(luma, a, b, fmt=YUV420P8):
    """D(a, b) of 8.4."""
    across, down = fmt.chroma_shift
    if not across:
        return int(luma[b, a])
    columns = [max(0, 2 * a - 1), 2 * a, 2 * a, 2 * a + 1]
    rows = range(b << down, (b + 1) << down)
    total = sum(int(luma[row, column]) for row in rows for column in columns)
    return (total + 2 * len(rows)) >> (1 + len(rows))


def linear(mode, luma, plane, x, y, w, h, fmt=YUV420P8):
    """Prediction [i][j] of chroma from luma."""

    def light(a, b):
        return linear_light(luma, a, b, fmt)

    beside = [(x - 1, y + i) for i in range(h)] if x > 0 and mode != 37 else []
    above = [(x + i, y - 1) for i in range(w)] if y > 0 and mode != 36 else []
    if beside and above:
        least = min(w, h)
        beside, above = beside[:: h // least], above[:: w // least]
    points = beside + above
    if not points:
        return np.full((h, w), fmt.middle)
    given, count = [(light(*at), int(plane[at[::-1]])) for at in points], len(points)
    assert count == 1 << log2(count)
    lights, colours = sum(p[0] for p in given), sum(p[1] for p in given)
    s = count * sum(p[0] ** 2 for p in given) - lights**2 + (2 * count**2 << (2 * extra(fmt)))
    slope = ((count * sum(a * b for a, b in given) - lights * colours) * 256) // s
    slope = clip(-2048, 2047, slope)
    out = np.zeros((h, w), np.int64)
    for i in range(h):
        for j in range(w):
            total = slope * (count * light(x + j, y + i) - lights) + 256 * colours + 128 * count
            assert abs(total) < 1 << 31
            out[i, j] = clip(0, fmt.peak, total >> (8 + log2(count)))
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


def position(v, subsampled, chroma):
    """Whole samples and the number of the filter for a component of a vector."""
    if not chroma:
        return v >> 2, v & 3
    return (v >> 3, v & 7) if subsampled else (v >> 2, 2 * (v & 3))


def sums(reference, y, x, rows, width, vy, vx, chroma, fmt=YUV420P8):
    """S of 8.3 for samples (y.., x..)."""
    before, taps = (1, CHROMA_TAPS) if chroma else (3, LUMA_TAPS)
    across, down = fmt.chroma_shift
    (iy, fy), (ix, fx) = position(vy, down, chroma), position(vx, across, chroma)
    count = len(taps[0])
    ys = y + iy + np.arange(-before, rows + count - 1 - before)
    xs = x + ix + np.arange(-before, width + count - 1 - before)
    height, across = reference.shape
    a = reference[np.clip(ys, 0, height - 1)][:, np.clip(xs, 0, across - 1)].astype(np.int64)
    first = sum(taps[fx][c] * a[:, c : c + width] for c in range(count))
    assert first.min() >= -bound(fmt)
    assert first.max() < bound(fmt)
    if fy == 0:
        return first[before : before + rows]
    return sum(taps[fy][c] * first[c : c + rows] for c in range(count)) >> 6


def pred(references, y, x, rows, width, direction, vectors, chroma, fmt=YUV420P8):
    s = [
        sums(references[r], y, x, rows, width, *map(int, vectors[r]), chroma, fmt) for r in range(2)
    ]
    return {1: 2 * s[0], 2: 2 * s[1], 3: s[0] + s[1]}[direction]


def inter(references, direction, vectors, chroma, fmt=YUV420P8):
    """A whole plane by 8.3, cell by cell; 0 in intra cells."""
    across, down = fmt.plane_shift(int(chroma))
    tall, wide = 8 >> down, 8 >> across
    rows, columns = direction.shape
    out = np.zeros((rows * tall, columns * wide), fmt.dtype)
    for r in range(rows):
        for c in range(columns):
            if not direction[r, c]:
                continue
            y, x = r * tall, c * wide
            p = pred(references, y, x, tall, wide, direction[r, c], vectors[:, r, c], chroma, fmt)
            out[y : y + tall, x : x + wide] = np.clip((p + 64) >> 7, 0, fmt.peak)
    return out


def projected(step, a, b):
    """8.2: projected motion of an interior canvas as a dict of (y, x) to (V0, V1).

    Each reference is its step, its directions and its vectors.
    """
    whole, cells = step.b - step.a, {}
    from_b = b[0].a == step.a
    _, direction, vectors = b if from_b else a
    rows, columns = direction.shape

    def share(v, part):
        return tuple((2 * int(c) * part + whole) // (2 * whole) for c in v)

    for moved in (False, True):
        for y, x in np.ndindex(rows, columns):
            v = vectors[0 if from_b else 1, y, x].astype(int)
            to_a, to_b = step.frame - step.a, step.b - step.frame
            if from_b:
                v0, v1 = share(v, to_a), share(-v, to_b)
            else:
                v0, v1 = share(-v, to_a), share(v, to_b)
            if not direction[y, x] >> (0 if from_b else 1) & 1:
                continue
            place = y, x
            if moved:
                t = v1 if from_b else v0
                place = (8 * y + 4 + (-t[0] >> 2)) >> 3, (8 * x + 4 + (-t[1] >> 2)) >> 3
            if 0 <= place[0] < rows and 0 <= place[1] < columns:
                cells[place] = v0, v1
    return cells


def place_of(leaf):
    """x, y, width and height of a leaf."""
    return (int(leaf[column]) for column in (X, Y, WIDTH, HEIGHT))


def coded_gradients(leaf):
    return [int(d) for d in leaf[GRADIENTS : GRADIENTS + 4]]


def motion(leaves, chain, height, width, projection):
    """Direction and vectors of cells as dicts of (y, x); `projection` is as from `projected`."""
    cells, gradients = {}, {}
    sign = 1 if chain else -1

    def moved(v, change, factor=1):
        return tuple(clip(-8192, 8191, v[k] + factor * change[k]) for k in range(2))

    def change(g, dy, dx):
        return (g[0] * dy + g[1] * dx + 32) >> 6, (g[2] * dy + g[3] * dx + 32) >> 6

    def entry_of(used, v0, v1, g, dy, dx):
        """What a leaf whose centre is (dy, dx) from these vectors has in its affine list."""
        return used, moved(v0, change(g, dy, dx)), moved(v1, change(g, dy, dx), sign), g

    def slope(a, b, c, down, across):
        """Gradients from the vectors of three corners."""
        both = [(64 * (c[k] - a[k]) // down, 64 * (b[k] - a[k]) // across) for k in range(2)]
        return tuple(clip(-1023, 1023, part) for pair in both for part in pair)

    def affine_list(x, y, w, h):
        """The affine list without what fills it up, and how many entries are inherited."""
        entries = []

        def append(*new):
            if any(new[3]) and new not in entries and len(entries) < 4:
                entries.append(new)

        for a, b in ((x - 1, y + h - 1), (x + w - 1, y - 1), (x - 1, y), (x, y - 1)):
            if at(a, b):
                dy, dx = y + h // 2 - (b // 8 * 8 + 4), x + w // 2 - (a // 8 * 8 + 4)
                append(*entry_of(*at(a, b), gradients[b // 8, a // 8], dy, dx))
        inherited = len(entries)
        three = at(x - 1, y - 1), at(x + w - 1, y - 1), at(x - 1, y + h - 1)
        if all(three) and len({used for used, *_ in three}) == 1:
            g = slope(*(v0 for _, v0, _ in three), h, w)
            append(*entry_of(*three[0], g, h // 2 + 4, w // 2 + 4))
        places = (y // 8, x // 8), (y // 8, (x + w - 1) // 8), ((y + h - 1) // 8, x // 8)
        if all(place in projection for place in places):
            g = slope(*(projection[place][0] for place in places), h - 8, w - 8)
            append(*entry_of(3, *projection[places[0]], g, h // 2 - 4, w // 2 - 4))
        return entries, inherited

    def at(x, y):
        if not (0 <= x < width and 0 <= y < height):
            return None
        entry = cells.get((y // 8, x // 8))
        return entry if entry and entry[0] else None

    def differ(a, b):
        if a[0] != b[0]:
            return True
        return any(a[0] >> r & 1 and a[1 + r] != b[1 + r] for r in range(2))

    for leaf in leaves:
        x, y, w, h = place_of(leaf)
        g, before, inherited = (0, 0, 0, 0), [], 0
        if leaf[AFFINE]:
            before, inherited = affine_list(x, y, w, h)
        if leaf[INTRA]:
            entry = (0, (0, 0), (0, 0))
        elif leaf[MERGE] and leaf[AFFINE]:
            *entry, g = [*before, *[(1 if chain else 3, (0, 0), (0, 0), g)] * 4][leaf[INDEX]]
        elif leaf[MERGE]:
            order = [at(x - 1, y + h - 1), at(x + w - 1, y - 1), at(x + w, y - 1)]
            order += [at(x - 1, y + h), at(x - 1, y - 1)]
            entries = []
            for new in order:
                if new and all(differ(new, e) for e in entries):
                    entries.append(new)
            for cell in ((y + h) // 8, (x + w) // 8), ((y + h // 2) // 8, (x + w // 2) // 8):
                new = (3, *projection[cell]) if cell in projection else None
                if new and len(entries) < 5 and all(differ(new, e) for e in entries):
                    entries.append(new)
            entries += [(1 if chain else 3, (0, 0), (0, 0))] * 5
            entry = entries[leaf[INDEX]]
        else:
            three = [at(x - 1, y), at(x, y - 1), at(x + w, y - 1) or at(x - 1, y - 1)]
            used, v = int(leaf[DIRECTION]), [None, None]
            for r in range(2):
                if not used >> r & 1:
                    continue
                given = [e[1 + r] for e in three if e]
                if len(given) == 1:
                    p = given[0]
                elif given:
                    all_three = [e[1 + r] if e else (0, 0) for e in three]
                    p = tuple(sorted(t[k] for t in all_three)[1] for k in range(2))
                else:
                    p = (0, 0)
                if inherited:
                    p = before[0][1 + r]
                d = leaf[VY0 + 2 * r : VY0 + 2 * r + 2].tolist()
                v[r] = tuple(clip(-8192, 8191, p[k] + d[k]) for k in range(2))
            for r in range(2):
                if v[r] is None:
                    v[r] = tuple(clip(-8192, 8191, c if chain else -c) for c in v[1 - r])
            entry = (used, *v)
            if leaf[AFFINE]:
                steps = [
                    64 // size * d
                    for size, d in zip((h, w, h, w), coded_gradients(leaf), strict=True)
                ]
                first = before[0][3] if inherited else g
                g = tuple(clip(-1023, 1023, a + b) for a, b in zip(first, steps, strict=True))
        for i in range(y // 8, (y + h) // 8):
            for j in range(x // 8, (x + w) // 8):
                more = change(g, 8 * i + 4 - y - h // 2, 8 * j + 4 - x - w // 2)
                cells[i, j] = entry[0], moved(entry[1], more), moved(entry[2], more, sign)
                gradients[i, j] = g
    return cells


DEBLOCKING = load_table("deblocking.txt").reshape(64, 2).tolist()


def beta_of(index):
    return DEBLOCKING[index][0]


def tc_of(index):
    return DEBLOCKING[min(63, index)][1]


def strength(leaves, units, direction, vectors, p, q, axis):
    """Strength of the edge between cells p and q (y, x); axis 0 for a horizontal edge."""

    def leaf_of(cell):
        for leaf in leaves:
            x, y, w, h = place_of(leaf)
            if x <= 8 * cell[1] < x + w and y <= 8 * cell[0] < y + h:
                return leaf
        raise AssertionError

    def unit_of(cell):
        leaf = leaf_of(cell)
        for unit in units[leaf[FIRST] : leaf[FIRST] + leaf[UNITS]]:
            plane, x, y, w, h = unit[:5].tolist()
            a, b = 8 * cell[1], 8 * cell[0]
            if plane == 0 and x < a + 8 and a < x + w and y < b + 8 and b < y + h:
                return (a, b, 8, 8) if min(w, h) < 8 else (x, y, w, h)
        return None

    def area_of(cell):
        return unit_of(cell) or tuple(place_of(leaf_of(cell)))

    if any(leaf_of(cell)[INTRA] and leaf_of(cell)[MODE] == 39 for cell in (p, q)):
        return 0
    first, second, along = area_of(p), area_of(q), 1 - axis
    if 8 * q[axis] not in (first[along] + first[along + 2], second[along]):
        return 0
    if not direction[p] or not direction[q]:
        return 2
    if unit_of(p) or unit_of(q) or direction[p] != direction[q]:
        return 1
    for r in range(2):
        if direction[p] >> r & 1:
            difference = vectors[r][p].astype(int) - vectors[r][q].astype(int)
            if np.abs(difference).max() >= 4:
                return 1
    return 0


def filter_lines(lines, beta, tc, peak):
    """Luma: four lines p3, p2, p1, p0, q0, .., q3, changed in place."""
    before = [list(line) for line in lines]

    def dp(k):
        return abs(before[k][1] - 2 * before[k][2] + before[k][3])

    def dq(k):
        return abs(before[k][6] - 2 * before[k][5] + before[k][4])

    if dp(0) + dq(0) + dp(3) + dq(3) >= beta:
        return
    strong = all(
        2 * (dp(k) + dq(k)) < beta >> 2
        and abs(before[k][0] - before[k][3]) + abs(before[k][4] - before[k][7]) < beta >> 3
        and abs(before[k][3] - before[k][4]) < (5 * tc + 1) >> 1
        for k in (0, 3)
    )
    for k in range(4):
        p3, p2, p1, p0, q0, q1, q2, q3 = before[k]
        if strong:
            new = [
                p3,
                (2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3,
                (p2 + p1 + p0 + q0 + 2) >> 2,
                (p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3,
                (p1 + 2 * p0 + 2 * q0 + 2 * q1 + q2 + 4) >> 3,
                (p0 + q0 + q1 + q2 + 2) >> 2,
                (p0 + q0 + q1 + 3 * q2 + 2 * q3 + 4) >> 3,
                q3,
            ]
            pairs = zip(before[k], new, strict=True)
            lines[k][:] = [clip(s - 2 * tc, s + 2 * tc, v) for s, v in pairs]
            continue
        e = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4
        if abs(e) >= 10 * tc:
            continue
        e = clip(-tc, tc, e)
        lines[k][3], lines[k][4] = clip(0, peak, p0 + e), clip(0, peak, q0 - e)
        side, half = (beta + (beta >> 1)) >> 3, tc >> 1
        if dp(0) + dp(3) < side:
            lines[k][2] = clip(
                0, peak, p1 + clip(-half, half, (((p2 + p0 + 1) >> 1) - p1 + e) >> 1)
            )
        if dq(0) + dq(3) < side:
            lines[k][5] = clip(
                0, peak, q1 + clip(-half, half, (((q2 + q0 + 1) >> 1) - q1 - e) >> 1)
            )


def quantisers(leaves, rows, columns):
    """Q of all cells."""
    out = np.zeros((rows, columns), int)
    for leaf in leaves:
        x, y, w, h = (side // 8 for side in place_of(leaf))
        out[y : y + h, x : x + w] = leaf[Q]
    return out


def strengths(leaves, units, direction, vectors):
    """Strengths (2, rows, columns) of the left edges of all cells, then of the upper ones."""
    out = np.zeros((2, *direction.shape), int)
    for kind, axis in enumerate((1, 0)):
        for r, c in np.ndindex(direction.shape):
            p = (r - (axis == 0), c - (axis == 1))
            if min(p) >= 0:
                out[kind, r, c] = strength(leaves, units, direction, vectors, p, (r, c), axis)
    return out


def edges(strengths, q_of, horizontal):
    """Cells along and across an edge, its strength and the mean Q, in the order of filtering."""
    for r, c in np.argwhere(strengths):
        p = (r - 1, c) if horizontal else (r, c - 1)
        along, across = (c, r) if horizontal else (r, c)
        yield along, across, int(strengths[r, c]), int(q_of[p] + q_of[r, c] + 1) >> 1


def filter_luma(plane, strengths, q_of, horizontal, fmt=YUV420P8):
    """A plane with its left or, if horizontal, its upper edges of cells filtered."""
    out = plane.astype(int)
    turned = out.T if horizontal else out
    for along, across, s, qe in edges(strengths, q_of, horizontal):
        for part in (0, 4):
            a = 8 * along + part
            lines = turned[a : a + 4, 8 * across - 4 : 8 * across + 4]
            copy = lines.tolist()
            index, more = base(qe, fmt), extra(fmt)
            tc = tc_of(clip(0, 65, index + 2 * (s - 1))) << more
            filter_lines(copy, beta_of(index) << more, tc, fmt.peak)
            lines[:] = copy
    return out.astype(plane.dtype)


def filter_chroma(plane, strengths, q_of, offset, horizontal, fmt=YUV420P8):
    out = plane.astype(int)
    shift_x, shift_y = fmt.chroma_shift
    beside, size = (8 >> shift_y, 8 >> shift_x) if horizontal else (8 >> shift_x, 8 >> shift_y)
    turned = out.T if horizontal else out
    for along, across, s, qe in edges(strengths, q_of, horizontal):
        at = beside * across
        if at % 8:
            continue
        tc = tc_of(clip(0, 63, base(qe + offset, fmt) + 2 * (s - 1))) << extra(fmt)
        for k in range(size):
            line = turned[size * along + k]
            p1, p0, q0, q1 = line[at - 2 : at + 2].tolist()
            e = clip(-tc, tc, (4 * (q0 - p0) + p1 - q1 + 4) >> 3)
            line[at - 1] = clip(0, fmt.peak, p0 + e)
            line[at] = clip(0, fmt.peak, q0 - e)
    return out.astype(plane.dtype)


def deblock(leaves, units, direction, vectors, offset, planes, fmt=YUV420P8):
    """Deblocked copies of the planes."""
    q_of = quantisers(leaves, *direction.shape)
    luma, *chroma = planes
    for horizontal, s in enumerate(strengths(leaves, units, direction, vectors)):
        luma = filter_luma(luma, s, q_of, horizontal, fmt)
        chroma = [filter_chroma(plane, s, q_of, offset, horizontal, fmt) for plane in chroma]
    return [luma, *chroma]


def reconstruct(leaves, units, levels, direction, vectors, references, offset, fmt=YUV420P8):
    """8.1 from the motion on: the planes."""
    rows, columns = direction.shape
    planes = []
    for number in range(fmt.planes):
        across, down = fmt.plane_shift(number)
        pairs = [r[number] for r in references] * (2 if len(references) == 1 else 1)
        plane = np.zeros((rows * 8 >> down, columns * 8 >> across), fmt.dtype)
        if references:
            plane = inter(pairs, direction, vectors, number > 0, fmt)
        known = np.repeat(np.repeat(direction > 0, 8 >> down, 0), 8 >> across, 1)

        def add(unit, leaf, mode=-1, plane=plane, number=number):
            _, x, y, w, h, start, count, transform = unit.tolist()
            q = clip(0, last_q(fmt), int(leaf[Q]) + offset) if number else int(leaf[Q])
            d = [[0] * w for _ in range(h)]
            for position, level in levels[start : start + count].tolist():
                d[position // w][position % w] = coefficient(level, q, w, h, fmt)
            if transform > 2:
                d = unfolded(d, w, h, mode, transform - 2, fmt)
            block = plane[y : y + h, x : x + w]
            added = residual(d, w, h, fmt, int(transform == 1))
            block[:] = np.clip(block.astype(int) + added, 0, fmt.peak)

        def of(leaf, number=number):
            return [u for u in units[leaf[FIRST] : leaf[FIRST] + leaf[UNITS]] if u[0] == number]

        for leaf in leaves:
            if not leaf[INTRA]:
                for unit in of(leaf):
                    add(unit, leaf)
        for leaf in leaves:
            if not leaf[INTRA]:
                continue
            x, y, w, h = place_of(leaf)
            if number:
                x, y, w, h = x >> across, y >> down, w >> across, h >> across
                blocks = [(x, y, w, h), (x, y + h, w, h)] if across > down else [(x, y, w, h)]
            else:
                blocks = luma_blocks(x, y, w, h, leaf[CUT])
            for k, (a, b, w, h) in enumerate(blocks):
                mode = int(leaf[CHROMA] if number else leaf[MODE + k])
                if mode == 38:
                    vy, vx = int(leaf[VY0]) >> down, int(leaf[VY0 + 1]) >> across
                    block = copied(plane, known, a, b, w, h, vy, vx, fmt)
                elif mode == 39:
                    (unit,) = (u.tolist() for u in of(leaf) if u[1:3].tolist() == [a, b])
                    samples = levels[: unit[5] + unit[6], 1][-w * h :]
                    plane[b : b + h, a : a + w] = samples.reshape(h, w)
                    known[b : b + h, a : a + w] = True
                    continue
                elif mode >= 35:
                    block = linear(mode, planes[0], plane, a, b, w, h, fmt)
                else:
                    block = intra(mode, plane, known, a, b, w, h, not number, fmt)
                plane[b : b + h, a : a + w] = block
                for unit in of(leaf):
                    if tuple(unit[1:3]) == (a, b):
                        add(unit, leaf, mode)
                known[b : b + h, a : a + w] = True
        planes.append(plane)
    return deblock(leaves, units, direction, vectors, offset, planes, fmt)
