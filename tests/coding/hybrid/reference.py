"""A slow decoder of spec 7.4 to 7.6 and 9.6, written from the text with recursion and dictionaries.

It shares only the files of default tables with the package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nvcodec.picture import YUV420P8, SampleFormat
from tests.coding.reference import Context, Decoder, coded_difference

TABLES = Path(__file__).parents[3] / "spec" / "tables"

Block = tuple[int, int, int, int]
"""Place, width and height."""
Blocks = list[Block]
Indices = dict[tuple[int, int], int]
Numbers = list[list[int]]


def contexts(name: str) -> list[Context]:
    lines = (TABLES / f"{name}_contexts.txt").read_text(encoding="ascii").splitlines()
    return [Context(int(a), int(b)) for a, b in (x.split() for x in lines if x[0] != "#")]


def set_of(mode: int) -> int | None:
    """The set of secondary transforms of an intra mode (7.6)."""
    if not 0 <= mode < 35:
        return None
    return sum(min(mode, max(36 - mode, 2)) >= least for least in (2, 8, 13))


@dataclass
class Leaf:
    x: int
    y: int
    w: int
    h: int
    intra: int = 0
    cut: int = 0
    modes: list[int] = field(default_factory=list)
    chroma: int = 0
    merge: int = 0
    affine: int = 0
    gradients: list[int] = field(default_factory=lambda: [0] * 4)
    index: int = 0
    direction: int = 0
    differences: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    coded: int = 0
    q: int = 0
    units: list[Unit] = field(default_factory=list)


@dataclass
class Unit:
    plane: int
    x: int
    y: int
    w: int
    h: int
    transform: int = 0
    """0 cosine, 1 sine, 2 palette, 2 + k secondary transform k."""
    levels: dict[tuple[int, int], int] = field(default_factory=dict)
    """By (x, y), in coding order, without zeros."""
    colours: list[tuple[int, int]] = field(default_factory=list)
    """Of a palette: the entry of the list, or 32, and the colour."""
    indices: dict[tuple[int, int], int] = field(default_factory=dict)


def log2(n: int) -> int:
    return n.bit_length() - 1


def class_of(w: int, h: int, more: int = 0) -> int:
    """Log2 of N of spec 7.4; with `more` = 1 that of R of 7.6."""
    return (log2(w) + log2(h) + more) >> 1


def quarters(x: int, y: int, w: int, h: int) -> Blocks:
    """The quarters of a block in the order of block()."""
    w, h = w // 2, h // 2
    return [(x, y, w, h), (x + w, y, w, h), (x, y + h, w, h), (x + w, y + h, w, h)]


def halves(x: int, y: int, w: int, h: int, beside: int) -> Blocks:
    if beside:
        return [(x, y, w // 2, h), (x + w // 2, y, w // 2, h)]
    return [(x, y, w, h // 2), (x, y + h // 2, w, h // 2)]


def luma_blocks(x: int, y: int, w: int, h: int, cut: int) -> Blocks:
    """The luma blocks of an intra leaf."""
    if cut == 0:
        return [(x, y, w, h)]
    return quarters(x, y, w, h) if cut == 1 else halves(x, y, w, h, int(cut == 3))


def nodes(x: int, y: int, w: int, h: int) -> Blocks:
    """The nodes of a leaf."""
    m, k = min(32, w), min(32, h)
    return [(a, b, m, k) for b in range(y, y + h, k) for a in range(x, x + w, m)]


def tree_parts(x: int, y: int, v: int, z: int) -> Blocks:
    """The parts that tree() of spec 7.5 splits a block into."""
    if v == z:
        return quarters(x, y, v, z)
    s = min(v, z)
    return [(a, b, s, s) for b in range(y, y + z, s) for a in range(x, x + v, s)]


class Motion:
    """Spec 7.4 for one canvas; `leaves` are in coding order. A chain canvas may have `two`
    references.
    """

    def __init__(
        self,
        decoder: Decoder,
        contexts: list[Context],
        width: int,
        height: int,
        canvas_set: int,
        fmt: SampleFormat = YUV420P8,
        two: bool = False,
    ) -> None:
        self.two = two or canvas_set == 2
        self.fmt = fmt
        self.decoder = decoder
        self.contexts = contexts
        self.width = width
        self.height = height
        self.set = canvas_set
        self.leaves: list[Leaf] = []
        self.cells: dict[tuple[int, int], Leaf] = {}
        self.modes: dict[tuple[int, int], int] = {}
        self.copy = [0, 0]
        self.screen = self.bit(213)
        for y in range(0, height, 64):
            for x in range(0, width, 64):
                self.block(x, y, 64)

    def bit(self, number: int) -> int:
        return self.decoder.bit(self.contexts[number])

    def neighbours(self, x: int, y: int) -> list[Leaf]:
        """The leaves of the left and the upper cell that are inside the canvas."""
        at = [((x - 1) // 8, y // 8), (x // 8, (y - 1) // 8)]
        return [self.cells[cell] for cell in at if min(cell) >= 0]

    def block(self, x: int, y: int, n: int) -> None:
        if x >= self.width or y >= self.height:
            return
        if n > 8:
            if x + n > self.width or y + n > self.height or (self.set == 0 and n == 64):
                split = 1
            else:
                c = sum(self.smaller(x, y, n, n))
                split = self.bit(9 * self.set + 3 * (log2(n) - 3 - 1) + c)
            if split:
                for a, b, half, _ in quarters(x, y, n, n):
                    self.block(a, b, half)
                return
        self.area(x, y, n, n)

    def smaller(self, x: int, y: int, w: int, h: int) -> tuple[int, int]:
        """Whether the left leaf has fewer rows, and the upper one fewer columns."""
        left, upper = self.cells.get(((x - 1) // 8, y // 8)), self.cells.get((x // 8, (y - 1) // 8))
        return int(left is not None and left.h < h), int(upper is not None and upper.w < w)

    def area(self, x: int, y: int, w: int, h: int) -> None:
        if min(w, h) > 8 and max(w, h) <= 2 * min(w, h):
            left, upper = self.smaller(x, y, w, h)
            longer = log2(max(w, h)) - 4
            if self.bit(220 + 18 * self.set + 9 * int(w != h) + 3 * longer + left + upper):
                beside = int(w < h)
                if w == h:
                    beside = self.bit(274 + 3 * self.set + 1 + upper - left)
                for half in halves(x, y, w, h, beside):
                    self.area(*half)
                return
        leaf = self.leaf(x, y, w, h)
        self.leaves.append(leaf)
        for cy in range(y // 8, (y + h) // 8):
            for cx in range(x // 8, (x + w) // 8):
                self.cells[cx, cy] = leaf

    def luma_cut(self) -> int:
        if not self.bit(27):
            return 0
        if not self.bit(283):
            return 1
        return 3 if self.bit(284) else 2

    def leaf(self, x: int, y: int, w: int, h: int) -> Leaf:
        leaf = Leaf(x, y, w, h)
        inter = self.set - 1
        size = class_of(w, h) - 3
        near = self.neighbours(x, y)
        if self.set == 0:
            leaf.intra = 1
        elif max(w, h) < 64:
            leaf.intra = self.bit(28 + 3 * inter + sum(other.intra for other in near))
        if leaf.intra:
            later = 3 * (self.set != 0)
            copied = sum(other.modes == [38] for other in near)
            painted = sum(other.modes == [39] for other in near)
            screen = self.screen and w == h
            if screen and self.bit(179 + later + copied):
                for axis in range(2):
                    changed = self.copy[axis] + self.component(axis, 185, 187)
                    self.copy[axis] = min(8191, max(-8192, changed))
                leaf.modes.append(38)
                leaf.differences[:2] = self.copy
                if self.fmt.chroma_format != 0:
                    leaf.chroma = self.chroma_mode(38, size)
                return leaf
            if screen and self.bit(214 + later + painted):
                leaf.modes.append(39)
                if self.fmt.chroma_format != 0:
                    leaf.chroma = self.chroma_mode(39, size)
                return leaf
            if self.set == 0 and w == h == 8:
                leaf.cut = self.luma_cut()
            for bx, by, bw, bh in luma_blocks(x, y, w, h, leaf.cut):
                mode = self.luma_mode(bx, by)
                leaf.modes.append(mode)
                for y4 in range(by // 4, (by + bh) // 4):
                    for x4 in range(bx // 4, (bx + bw) // 4):
                        self.modes[x4, y4] = mode
            if self.fmt.chroma_format != 0:
                leaf.chroma = self.chroma_mode(leaf.modes[0], size)
            return leaf
        leaf.merge = self.bit(34 + 12 * inter + 3 * size + sum(other.merge for other in near))
        if min(w, h) > 8:
            first = 285 + 24 * inter + 12 * leaf.merge + 3 * size
            leaf.affine = self.bit(first + sum(other.affine for other in near))
        if leaf.merge and leaf.affine:
            while leaf.index < 3 and self.bit(333 + 3 * inter + leaf.index):
                leaf.index += 1
            return leaf
        if leaf.merge:
            while leaf.index < 4:
                if not self.bit(58 + 4 * inter + leaf.index):
                    break
                leaf.index += 1
            return leaf
        leaf.direction = 1
        if self.two:
            if self.bit(66 + 5 * inter + size):
                leaf.direction = 3
            elif self.bit(70 + 5 * inter):
                leaf.direction = 2
        for k in range(4):
            if leaf.direction >> (k >> 1) & 1:
                first = 76 + 2 * inter, 80 + 26 * inter
                leaf.differences[k] = self.component(k & 1, *first)
        if leaf.affine:
            leaf.gradients = [self.gradient(k) for k in range(4)]
        return leaf

    def gradient(self, k: int) -> int:
        if not self.bit(339 + 4 * (self.set - 1) + k):
            return 0
        g = 0
        while g < 8 and self.bit(347 + 8 * (self.set - 1) + g):
            g += 1
        r = 1
        for _ in range(g):
            r = 2 * r + self.decoder.bypass()
        return -r if self.decoder.bypass() else r

    def component(self, axis: int, zero: int, more: int) -> int:
        if not self.bit(zero + axis):
            return 0
        g = 0
        while g < 13:
            if not self.bit(more + 13 * axis + g):
                break
            g += 1
        r = 1
        for _ in range(g):
            r = 2 * r + self.decoder.bypass()
        return -r if self.decoder.bypass() else r

    def mode_at(self, x: int, y: int) -> int:
        return self.modes.get((x // 4, y // 4), 1)

    def luma_mode(self, x: int, y: int) -> int:
        left, upper = self.mode_at(x - 1, y), self.mode_at(x, y - 1)
        if left == upper:
            others = [2 + ((left + 29) % 32), 2 + ((left - 1) % 32)]
            modes = [0, 1, 26] if left < 2 else [left, *others]
        else:
            modes = [left, upper]
            modes.append(next(mode for mode in (0, 1, 26) if mode not in modes))
        if self.bit(132 + (0 if self.set == 0 else 1)):
            if not self.bit(134):
                return modes[0]
            return modes[2] if self.bit(135) else modes[1]
        r, k = 0, 1
        for _ in range(5):
            b = self.bit(135 + k)
            k = 2 * k + b
            r = 2 * r + b
        return [mode for mode in range(35) if mode not in modes][r]

    def chroma_mode(self, luma: int, size: int) -> int:
        if self.bit(171 + (0 if self.set == 0 else 3) + size):
            if not self.bit(177):
                return 35
            return 37 if self.bit(178) else 36
        if not self.bit(167):
            return luma
        b1 = self.bit(168)
        b0 = self.bit(167 + 2 + b1)
        entry = [0, 26, 10, 1][2 * b1 + b0]
        return 34 if entry == luma else entry


class Content:
    """Spec 7.5 and 7.6 for one canvas; `motion` has its leaves, which are filled in."""

    def __init__(
        self,
        decoder: Decoder,
        contexts: list[Context],
        motion: Motion,
        fmt: SampleFormat = YUV420P8,
    ) -> None:
        self.decoder = decoder
        self.fmt = fmt
        self.last_q = 63 + 6 * (fmt.bit_depth - 8)
        self.contexts = contexts
        self.set = motion.set
        self.quantiser = 0
        for _ in range(6 if fmt.bit_depth == 8 else 7):
            self.quantiser = 2 * self.quantiser + decoder.bypass()
        self.varying = decoder.bypass()
        self.offset = 0
        self.seen: set[tuple[int, int]] = set()
        self.known: list[list[int]] = [[], [], []]
        for leaf in motion.leaves:
            self.leaf(leaf, motion.neighbours(leaf.x, leaf.y))
            leaf.q = self.quantiser + self.offset

    def bit(self, number: int) -> int:
        return self.decoder.bit(self.contexts[number])

    def leaf(self, leaf: Leaf, near: list[Leaf]) -> None:
        x, y, w, h = leaf.x, leaf.y, leaf.w, leaf.h
        inter = self.set - 1
        if not leaf.intra:
            c = sum(other.intra or other.coded for other in near)
            leaf.coded = self.bit(7 + 24 * inter + 6 * (class_of(w, h) - 3) + 3 * leaf.merge + c)
            if not leaf.coded:
                return
        block = x // 32, y // 32
        if self.varying and block not in self.seen:
            self.seen.add(block)
            self.delta()
        for node in nodes(x, y, w, h):
            self.node(leaf, node)
        if leaf.intra:
            leaf.coded = int(bool(leaf.units))

    def node(self, leaf: Leaf, node: Block) -> None:
        x, y, m, k = node
        size = class_of(m, k) - 3
        parts = {0: 0, 2: 2}.get(self.fmt.chroma_format, 1)
        cbs = crs = [1] * parts
        if leaf.chroma != 39:
            cbs = [self.bit(55 + 3 * self.set + size) for _ in range(parts)]
        cb = int(any(cbs))
        if leaf.chroma != 39:
            crs = [self.bit(64 + 6 * self.set + 2 * size + cb) for _ in range(parts)]
        cr = int(any(crs))
        luma_context = 82 + 6 * self.set + 2 * size + int(cb or cr)
        before: dict[tuple[int, int], int] = {}
        if leaf.modes == [39]:
            leaf.units.append(self.palette(0, x, y, m, {}))
            before = leaf.units[0].indices
        elif leaf.intra:
            blocks = luma_blocks(x, y, m, k, leaf.cut)
            for block, mode in zip(blocks, leaf.modes, strict=True):
                if self.bit(luma_context):
                    leaf.units.append(self.unit(0, *block, mode))
        else:
            luma = 1 if max(leaf.w, leaf.h) < 64 and not cb and not cr else self.bit(luma_context)
            if luma:
                self.tree(leaf, node)
        across, down = self.fmt.chroma_shift
        for plane, flags in ((1, cbs), (2, crs)):
            for part, coded in enumerate(flags):
                if coded:
                    n, tall = m >> across, k >> across
                    top = (y >> down) + part * tall
                    if leaf.chroma != 39:
                        leaf.units.append(self.unit(plane, x >> across, top, n, tall))
                        continue
                    shift_x, shift_y = (across, down) if plane == 1 else (0, 0)
                    reference = {
                        (j, i): before[j << shift_x, (part * n + i) << shift_y]
                        for i in range(n)
                        for j in range(n)
                    }
                    leaf.units.append(self.palette(plane, x >> across, top, n, reference))
            if leaf.chroma == 39 and plane == 1:
                before = {
                    (j, part * (m >> across) + i): index
                    for part, unit in enumerate(leaf.units[1:])
                    for (j, i), index in unit.indices.items()
                }

    def palette(self, plane: int, x: int, y: int, n: int, reference: Indices) -> Unit:
        """Spec 7.9; `reference` is that of each (x, y)."""
        p = int(plane > 0)
        unit = Unit(plane, x, y, n, n, transform=2)
        kept = []
        for e, entry in enumerate(self.known[plane]):
            context = 1769 + 11 * p + (e if e < 8 else 7 + (e >> 3))
            if len(unit.colours) < 16 and self.bit(context):
                unit.colours.append((e, entry))
            else:
                kept.append(entry)
        new, last, peak = 0, -1, self.fmt.peak
        while len(unit.colours) < 16:
            if unit.colours and not self.bit(1791 + 8 * p + min(new, 7)):
                break
            bits = 0
            for _ in range(self.fmt.bit_depth if last < 0 else (peak - last).bit_length()):
                bits = 2 * bits + self.decoder.bypass()
            last = min(peak, last + 1 + bits)
            unit.colours.append((32, last))
            new += 1
        self.known[plane] = [*(colour for _, colour in unit.colours), *kept][:32]
        recent = list(range(len(unit.colours)))
        near: dict[int, int] = {}
        at = unit.indices
        for i in range(n):
            for j in range(n):
                same = j == 0 or reference.get((j, i)) == reference.get((j - 1, i))
                likely = near.get(reference[j, i]) if p else None
                at[j, i] = self.index(p, at, j, i, recent, likely, same)
                recent.remove(at[j, i])
                recent.insert(0, at[j, i])
                if p:
                    near[reference[j, i]] = at[j, i]
        return unit

    def index(
        self,
        p: int,
        at: Indices,
        j: int,
        i: int,
        recent: list[int],
        likely: int | None,
        same: bool,
    ) -> int:
        count = len(recent)
        if count == 1:
            return 0
        candidates: list[int] = []
        form = 0
        if i or j:
            west = at[j - 1, i] if j else at[j, i - 1]
            north = at[j, i - 1] if i else west
            corner = at.get((j - 1, i - 1), west if i == 0 else north)
            east = at.get((j + 1, i - 1), west if i == 0 else north)
            far = at.get((j - 2, i), west)
            shape = 4
            if west == north:
                shape = 0 if west == corner else 1
            elif west == corner:
                shape = 2
            elif north == corner:
                shape = 3
            form = 4 * shape + 2 * (north == east) + (west == far)
            candidates = [west, north, east, corner]
            if shape == 2:
                candidates[:2] = [north, west]
        tried: list[int] = []
        if likely is not None:
            first = bool(candidates) and candidates[0] == likely
            if self.bit(1953 + 2 * same + first):
                return likely
            tried.append(likely)
        cls = 3 + len(tried) if p else 0 if count == 2 else 1 if count < 6 else 2
        for k, candidate in enumerate(candidates):
            if candidate in tried:
                continue
            context = 1807 + 20 * cls + form if k == 0 else 1907 + 15 * p + 5 * (k - 1) + form // 4
            if len(tried) == count - 1 or self.bit(context):
                return candidate
            tried.append(candidate)
        for candidate in recent:
            if candidate in tried:
                continue
            context = 1937 + 8 * p + min(7, count - 2 - len(tried))
            if len(tried) == count - 1 or self.bit(context):
                return candidate
            tried.append(candidate)
        raise AssertionError

    def delta(self) -> None:
        if not self.bit(0):
            return
        m = 1
        while m < 32:
            if not self.bit(min(m, 5)):
                break
            m += 1
        offset = self.offset + (-m if self.bit(6) else m)
        self.offset = max(-self.quantiser, min(self.last_q - self.quantiser, offset))

    def tree(self, leaf: Leaf, block: Block) -> None:
        x, y, v, z = block
        inter = self.set - 1
        context = 100 + 3 * inter + log2(v) - 3 if v == z else 1957 + 3 * inter + log2(v * z) - 7
        if max(v, z) > 4 and self.bit(context):
            for part in tree_parts(x, y, v, z):
                if self.bit(106 + 3 * inter + log2(part[2]) - 2):
                    self.tree(leaf, part)
            return
        leaf.units.append(self.unit(0, x, y, v, z))

    def last(self, p: int, axis: int, s: int) -> int:
        prefix = 0
        while prefix < 2 * log2(s) - 1:
            number = 113 + 144 * self.set + 72 * p + 36 * axis + 9 * (log2(s) - 2) + prefix
            if not self.bit(number):
                break
            prefix += 1
        if prefix < 4:
            return prefix
        v = 2 + (prefix & 1)
        for _ in range((prefix >> 1) - 1):
            v = 2 * v + self.decoder.bypass()
        return v

    def unit(self, plane: int, x0: int, y0: int, w: int, h: int, mode: int = -1) -> Unit:
        p = int(plane > 0)
        size = class_of(w, h, 1) - 2
        last = self.last(p, 0, w), self.last(p, 1, h)
        unit = Unit(plane, x0, y0, w, h)
        group = set_of(mode)
        if plane == 0 and group is not None and max(last) < 4 and sum(last) > 0:
            first = 1963 + 12 * group + 3 * (class_of(w, h) - 2)
            number = 0
            while number < 3 and self.bit(first + number):
                number += 1
            unit.transform = 2 + number if number else 0
        if plane == 0 and not unit.transform and max(w, h) < 32 and sum(last) > 0:
            group = 0 if self.set == 0 else 2 * self.set - 1 + int(mode >= 0)
            unit.transform = self.bit(1733 + 3 * group + class_of(w, h) - 2)
        subs = diagonal(w // 4, h // 4)
        last_sub = last[0] // 4, last[1] // 4
        full: set[tuple[int, int]] = set()
        for sub in reversed(subs[: subs.index(last_sub) + 1]):
            flagged = sub not in (last_sub, (0, 0))
            if flagged:
                beside = (sub[0] + 1, sub[1]) in full or (sub[0], sub[1] + 1) in full
                if not self.bit(545 + 12 * self.set + 6 * p + 2 * (size - 1) + int(beside)):
                    continue
            full.add(sub)
            positions = [(4 * sub[0] + x, 4 * sub[1] + y) for x, y in diagonal(4, 4)]
            first = positions[0]
            if sub == last_sub:
                positions = positions[: positions.index(last) + 1]
            for position in reversed(positions):
                alone = (
                    flagged
                    and position == first
                    and not any((x // 4, y // 4) == sub for x, y in unit.levels)
                )
                level = self.magnitude(unit, p, position, position == last or alone)
                if level:
                    unit.levels[position] = level
            found = [at for at in unit.levels if (at[0] // 4, at[1] // 4) == sub]
            ends = [diagonal(4, 4).index((x % 4, y % 4)) for x, y in found]
            for position in found:
                hidden = position == found[-1] and ends[0] - ends[-1] >= 4
                total = sum(abs(unit.levels[at]) for at in found)
                if total % 2 if hidden else self.decoder.bypass():
                    unit.levels[position] *= -1
        return unit

    def magnitude(self, unit: Unit, p: int, position: tuple[int, int], given: bool) -> int:
        x, y = position
        size = class_of(unit.w, unit.h, 1) - 2
        around = [(x + 1, y), (x + 2, y), (x, y + 1), (x, y + 2), (x + 1, y + 1)]
        t = sum(abs(unit.levels.get(at, 0)) for at in around)
        place = sum(x + y >= least for least in (1, 3, 6))
        a = 1
        if not given:
            cls = sum(t >= least for least in (1, 2, 3, 4, 6))
            a = self.bit(581 + 192 * self.set + 96 * p + 24 * size + 6 * place + cls)
        if not a:
            return 0
        cls = sum(t >= least for least in (1, 2, 3, 5, 7, 10, 15))
        while a < 15:
            more = 1157 + 192 * self.set + 96 * p + 24 * place + 3 * cls + min(a - 1, 2)
            if not self.bit(more):
                break
            a += 1
        if a == 15:
            g = 0
            while g < 15:
                if not self.decoder.bypass():
                    break
                g += 1
            r = 1
            for _ in range(g):
                r = 2 * r + self.decoder.bypass()
            a = 14 + r
        return a


def diagonal(a: int, b: int) -> list[tuple[int, int]]:
    """DIAG(a, b)."""
    return sorted(((x, y) for x in range(a) for y in range(b)), key=lambda at: (sum(at), at[0]))


def network_kind(p: int, i: int) -> int:
    """Kind(p, i) of spec 9.6."""
    if i == 0:
        return 0
    if i >= 67:
        return 8 if p < 4 else 9
    plane, first = ((i - 1) // 9, 1) if i < 55 else ((i - 55) % 6, 4)
    if plane == p:
        return first
    return first + (1 if (plane < 4) == (p < 4) else 2)


def network(decoder: Decoder, networks: int, units: int) -> tuple[int, Numbers, list[Numbers]]:
    """Spec 9.6: number of the mode, s and d of each network."""
    table = contexts("fusion")

    def difference(kind: int, e: int) -> int:
        zero = 6 + 31 * kind + 7 * sum(e >= least for least in (1, 3))
        return coded_difference(decoder, table, zero, 27 + 31 * kind)

    def size(value: int) -> int:
        return min(15, abs(value))

    shared = [[0] * 25 for _ in range(networks)]
    found = [[[0] * (67 + units) for _ in range(6)] for _ in range(networks)]
    for mode in range(2):
        if decoder.bit(table[mode]):
            return mode, shared, found
    for s, d in zip(shared, found, strict=True):
        if not decoder.bit(table[2]):
            continue
        if decoder.bit(table[3]):
            for j in range(25):
                e = (size(s[j - 1]) if j % 5 > 0 else 0) + (size(s[j - 5]) if j >= 5 else 0)
                s[j] = difference(7, e)
        previous = 1
        for p in range(6):
            previous = decoder.bit(table[4 + previous])
            if previous:
                for i in range(67 + units):
                    e = (size(d[p][i - 1]) if i > 0 else 0) + (size(d[p - 1][i]) if p > 0 else 0)
                    d[p][i] = difference(network_kind(p, i), e)
    return 2, shared, found
