"""Bits of leaves and units, added up from the price tables by a plain walk over the syntax."""

from types import SimpleNamespace

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
    MERGE,
    MODE,
    PALETTE,
    UNITS,
    VY0,
    WIDTH,
    X,
    Y,
)
from nvcodec.coding.hybrid.motion import (
    default_motion_contexts,
    encode_motion,
    motion_capacity,
)
from nvcodec.coding.rangecoder import RangeEncoder
from nvcodec.encode.hybrid.rate.bits import context_bits
from nvcodec.encode.hybrid.rate.content import MOST_LISTED, escape_bits
from tests.coding.hybrid.reference import (
    Motion,
    class_of,
    contexts,
    diagonal,
    halves,
    log2,
    luma_blocks,
    nodes,
    quarters,
    set_of,
    tree_parts,
)
from tests.coding.reference import Decoder


def random_contexts(rng, count):
    """Contexts that all have different prices."""
    contexts = rng.integers(2000, 63536, (count, 3), np.int32)
    contexts[:, 2] = 0
    return contexts


def traced_bits(trace, contexts):
    """Bits of a sequence of 2 * context + bit, under contexts that do not adapt."""
    return float(context_bits(contexts).astype(float).reshape(-1)[trace].sum())


def bypass_bits(leaves, width, height, canvas_set, two):
    """How many bits without a context a slow decoder reads."""
    encoder = RangeEncoder(default_motion_contexts(), motion_capacity(leaves))
    encode_motion(encoder, leaves, width, height, canvas_set, two=two)
    decoder = Decoder(encoder.finish())
    Motion(decoder, contexts("motion"), width, height, canvas_set, two=two)
    return sum(probability is None for probability, _ in decoder.bins)


def doubles(prices):
    """The same tables, so that sums are not rounded."""
    names = prices.dtype.names
    parts = {name: prices[name] for name in names}
    return SimpleNamespace(
        **{
            name: doubles(part) if part.dtype.names else part.astype(float)
            for name, part in parts.items()
        }
    )


def leaf_map(leaves):
    """The leaf of each cell that has one."""
    return {
        (column, row): leaf
        for leaf in leaves.tolist()
        for row in range(leaf[Y] >> 3, (leaf[Y] + leaf[HEIGHT]) >> 3)
        for column in range(leaf[X] >> 3, (leaf[X] + leaf[WIDTH]) >> 3)
    }


def neighbours(cells, x, y):
    at = [((x >> 3) - 1, y >> 3), (x >> 3, (y >> 3) - 1)]
    return [cells[place] for place in at if place in cells]


def place_of(leaf):
    """x, y, width and height of a leaf."""
    return [leaf[column] for column in (X, Y, WIDTH, HEIGHT)]


def split_bits(prices, leaves, width, height, canvas_set):
    """Of the partition, by IntraBits or MotionBits."""
    cells = leaf_map(leaves)

    def smaller(x, y, w, h):
        left, upper = cells.get(((x >> 3) - 1, y >> 3)), cells.get((x >> 3, (y >> 3) - 1))
        return int(left is not None and left[HEIGHT] < h), int(
            upper is not None and upper[WIDTH] < w
        )

    def block(x, y, n):
        if x >= width or y >= height:
            return 0.0
        divided, total = max(cells[x >> 3, y >> 3][WIDTH : HEIGHT + 1]) < n, 0.0
        if n > 8 and x + n <= width and y + n <= height and not (canvas_set == 0 and n == 64):
            total += prices.split[log2(n) - 4, sum(smaller(x, y, n, n)), int(divided)]
        if divided:
            return total + sum(block(*quarter[:3]) for quarter in quarters(x, y, n, n))
        return total + area(x, y, n, n)

    def area(x, y, w, h):
        if min(w, h) == 8 or max(w, h) > 2 * min(w, h):
            return 0.0
        leaf, (left, upper) = cells[x >> 3, y >> 3], smaller(x, y, w, h)
        halved = place_of(leaf) != [x, y, w, h]
        total = prices.halved[int(w != h), log2(max(w, h)) - 4, left + upper, int(halved)]
        if not halved:
            return total
        beside = int(leaf[WIDTH] < w)
        if w == h:
            total += prices.beside[1 + upper - left, beside]
        return total + sum(area(*half) for half in halves(x, y, w, h, beside))

    return sum(block(x, y, 64) for y in range(0, height, 64) for x in range(0, width, 64))


def mode_list(left, above):
    """The list of three luma modes (spec 7.4)."""
    if left != above:
        return [left, above, next(mode for mode in (0, 1, 26) if mode not in (left, above))]
    if left < 2:
        return [0, 1, 26]
    return [left, 2 + (left + 29) % 32, 2 + (left - 1) % 32]


def luma_mode_bits(prices, listed, mode):
    if mode in listed:
        return prices.listed[listed.index(mode)]
    return prices.rest[[other for other in range(35) if other not in listed].index(mode)]


def mode_bits(prices, leaves, canvas_set):
    """Of the modes of all intra leaves, by IntraBits."""
    total, modes, last = 0.0, {}, [0, 0]
    screen = (leaves[:, MODE] >= COPY).any()
    for leaf in leaves[leaves[:, INTRA] == 1].tolist():
        x, y, w, h = place_of(leaf)
        own, size = leaf[MODE], class_of(w, h) - 3
        near = [modes.get(place) for place in ((x - 4, y), (x, y - 4))]
        if screen and w == h:
            total += prices.copied[near.count(COPY), int(own == COPY)]
            if own != COPY:
                total += prices.palette[near.count(PALETTE), int(own == PALETTE)]
        if own == COPY:
            change = [abs(leaf[VY0 + k] - last[k]) for k in range(2)]
            total += sum(prices.component[k, change[k].bit_length()] for k in range(2))
            last = leaf[VY0 : VY0 + 2]
        if own >= COPY:
            modes.update({(x + i, y + j): own for i in range(0, w, 4) for j in range(0, h, 4)})
            others = [0, 26, 10, 1, 35, 36, 37]
            total += prices.chroma[size, [own, *others].index(leaf[CHROMA])]
            continue
        if canvas_set == 0 and w == h == 8:
            total += prices.cut[leaf[CUT]]
        blocks = luma_blocks(x, y, w, h, leaf[CUT])
        for mode, (bx, by, bw, bh) in zip(leaf[MODE : MODE + 4], blocks, strict=False):
            beside = [modes.get(place, 1) for place in ((bx - 4, by), (bx, by - 4))]
            beside = [1 if other >= COPY else other for other in beside]
            total += luma_mode_bits(prices, mode_list(*beside), mode)
            modes.update({(bx + i, by + j): mode for i in range(0, bw, 4) for j in range(0, bh, 4)})
        others = [34 if mode == leaf[MODE] else mode for mode in (0, 26, 10, 1)]
        modes_of_chroma = [leaf[MODE], *others, 35, 36, 37]
        total += prices.chroma[size, modes_of_chroma.index(leaf[CHROMA])]
    return total


def inter_bits(prices, leaves, two):
    """Of all that is not the partition or a mode, by MotionBits, with `two` references or one."""
    total, cells = 0.0, leaf_map(leaves)
    for leaf in leaves.tolist():
        x, y, w, h = place_of(leaf)
        near, level = neighbours(cells, x, y), class_of(w, h) - 3
        if max(w, h) < 64:
            total += prices.intra[sum(other[INTRA] for other in near), leaf[INTRA]]
        if leaf[INTRA]:
            continue
        total += prices.merge[level, sum(other[MERGE] for other in near), leaf[MERGE]]
        if min(w, h) > 8:
            beside = sum(other[AFFINE] for other in near)
            total += prices.affine[leaf[MERGE], level, beside, leaf[AFFINE]]
        if leaf[MERGE]:
            entries = prices.affine_entry if leaf[AFFINE] else prices.entry
            total += entries[leaf[INDEX]]
            continue
        if leaf[AFFINE]:
            given = leaf[GRADIENTS : GRADIENTS + 4]
            total += sum(prices.gradient[k, abs(d).bit_length()] for k, d in enumerate(given))
        direction = leaf[DIRECTION]
        if two:
            total += prices.both[level, int(direction == 3)]
            if direction != 3:
                total += prices.second[direction - 1]
        for k in range(4):
            if direction >> (k >> 1) & 1:
                total += prices.component[k & 1, abs(leaf[VY0 + k]).bit_length()]
    return total


def unit_bits(prices, w, h, levels):
    """Of a unit with these levels, (position, value) in any order, by UnitBits (spec 7.6)."""
    size = class_of(w, h, 1) - 2
    at = {(position % w, position // w): value for position, value in levels}
    subs, inner = diagonal(w // 4, h // 4), diagonal(4, 4)
    scan = [(4 * sx + x, 4 * sy + y) for sx, sy in subs for x, y in inner]
    last = max(scan.index(place) for place in at)
    ends = [(log2(side) - 2, scan[last][axis]) for axis, side in enumerate((w, h))]
    total = float(sum(prices.last[axis, *end] for axis, end in enumerate(ends)))
    full = set()
    for number in range(last >> 4, -1, -1):
        sx, sy = subs[number]
        flagged = 0 < number < last >> 4
        places = scan[16 * number : 16 * number + 16]
        some = any(place in at for place in places)
        if flagged:
            near = (sx + 1, sy) in full or (sx, sy + 1) in full
            total += prices.full[size, int(near), int(some)]
            if not some:
                continue
        full.add((sx, sy))
        found = [k for k in range(16 * number, 16 * number + 16) if scan[k] in at]
        total -= 1.0 if found and found[-1] - found[0] >= 4 else 0.0
        alone = flagged
        for k in range(min(last, 16 * number + 15), 16 * number - 1, -1):
            x, y = scan[k]
            value = abs(at.get((x, y), 0))
            beside = [(x + 1, y), (x + 2, y), (x, y + 1), (x, y + 2), (x + 1, y + 1)]
            t = sum(abs(at.get(place, 0)) for place in beside)
            place = sum(x + y >= least for least in (1, 3, 6))
            # Nothing says that the last level is one, nor the only level of a full sub-block.
            if k < last and not (alone and k == 16 * number):
                group = sum(t >= least for least in (1, 2, 3, 4, 6))
                total += prices.sig[size, place, group, int(value > 0)]
            if value:
                alone = False
                group = sum(t >= least for least in (1, 2, 3, 5, 7, 10, 15))
                total += prices.level[place, group, min(value, MOST_LISTED)]
                total += escape_bits(value) if value >= MOST_LISTED else 0
    return total


def content_bits(prices, leaves, units, levels):
    """Of the flags, units and levels of a canvas with one quantiser, by ContentBits (spec 7.5)."""
    cells, total = leaf_map(leaves), 0.0
    for leaf in leaves.tolist():
        x, y, w, h = place_of(leaf)
        if not leaf[INTRA]:
            beside = sum(o[INTRA] or o[CODED] for o in neighbours(cells, x, y))
            total += prices.coded[class_of(w, h) - 3, leaf[MERGE], beside, leaf[CODED]]
            if not leaf[CODED]:
                continue
        rows = units[leaf[FIRST] :][: leaf[UNITS]].tolist()
        for node in nodes(x, y, w, h):
            total += _node_bits(prices, leaf, node, [row[:5] for row in rows])
        blocks = luma_blocks(x, y, w, h, leaf[CUT])
        for plane, ux, uy, uw, uh, start, count, transform in rows:
            size, last = class_of(uw, uh) - 2, levels[start, 0]
            mode = -1
            if leaf[INTRA] and plane == 0:
                mode = leaf[MODE + blocks.index((ux, uy, uw, uh))]
            if set_of(mode) is not None and last and max(divmod(last, uw)) < 4:
                total += prices.secondary[set_of(mode), size, max(0, transform - 2)]
            if plane == 0 and max(uw, uh) < 32 and last and transform < 2:
                total += prices.sine[leaf[INTRA], size, transform]
            bits = prices.chroma_units if plane else prices.units
            total += unit_bits(bits, uw, uh, levels[start:][:count].tolist())
    return total


def _node_bits(prices, leaf, node, units):
    """Of the flags of a node; `units` are (plane, x, y, width, height) of the whole leaf."""
    size = class_of(*node[2:]) - 3
    cb, cr = (int([plane, *(side // 2 for side in node)] in units) for plane in (1, 2))
    total = prices.cb[size, cb] + prices.cr[size, cb, cr]
    luma = prices.luma[size, cb | cr]
    if leaf[INTRA]:
        blocks = luma_blocks(*node, leaf[CUT])
        return total + sum(luma[int([0, *block] in units)] for block in blocks)

    def some(bx, by, v, z):
        return any(p == 0 and bx <= ux < bx + v and by <= uy < by + z for p, ux, uy, *_ in units)

    def tree(bx, by, v, z):
        split = [0, bx, by, v, z] not in units
        bits = 0.0
        if v != z:
            bits += prices.uneven_tree[log2(v * z) - 7, int(split)]
        elif v > 4:
            bits += prices.tree[log2(v) - 3, int(split)]
        for part in tree_parts(bx, by, v, z) if split else []:
            bits += prices.part[log2(part[2]) - 2, int(some(*part))]
            bits += tree(*part) if some(*part) else 0.0
        return bits

    if max(leaf[WIDTH], leaf[HEIGHT]) == 64 or cb or cr:
        total += luma[int(some(*node))]
    return total + (tree(*node) if some(*node) else 0.0)
