"""Turns the data files of the specification into tables.c and tables.h: tables.py TABLES OUT.

Weights of the networks are stored packed for the dot product of dot.h: units in blocks,
inputs in pairs, [block][pair][unit][2].
"""

import os
import struct
import sys

SRC, OUT = sys.argv[1:3]


def ints(name):
    out = []
    with open(os.path.join(SRC, name), encoding="ascii") as f:
        for line in f:
            if not line.startswith("#"):
                out += [int(t) for t in line.split()]
    return out


def block(units):
    """Units of a block: the same rule as nrv_block() of dot.h."""
    for b in (24, 16):
        if units % b == 0:
            return b
    return 8


def pad8(units):
    return (units + 7) // 8 * 8


def pack(rows):
    """Rows (one for each unit) of equal even length, packed."""
    n = len(rows[0]) if rows else 0
    assert n % 2 == 0
    rows = rows + [[0] * n] * (pad8(len(rows)) - len(rows))
    b = block(len(rows))
    out = []
    for first in range(0, len(rows), b):
        for k in range(0, n, 2):
            for u in range(first, first + b):
                out += rows[u][k : k + 2]
    return out


C, H = [], []


def array(ctype, name, values, dims=None):
    dims = dims or f"[{len(values)}]"
    H.append(f"extern const {ctype} {name}{dims};")
    C.append(f"const {ctype} {name}{dims} = {{")
    for i in range(0, len(values), 24):
        C.append(",".join(map(str, values[i : i + 24])) + ",")
    C.append("};")


def const(name, value):
    H.append(f"#define {name} {value}")


def contexts(name, v, lo=None, hi=None):
    v = v[2 * lo : 2 * hi] if lo is not None else v
    const(name + "_COUNT", len(v) // 2)
    array("uint16_t", name, v)


# CRC-32 (2.2), eight bytes at a time.
crc = [[0] * 256 for _ in range(8)]
for i in range(256):
    c = i
    for _ in range(8):
        c = (c >> 1) ^ (0xEDB88320 if c & 1 else 0)
    crc[0][i] = c
for i in range(256):
    for k in range(1, 8):
        crc[k][i] = (crc[k - 1][i] >> 8) ^ crc[0][crc[k - 1][i] & 255]
array("uint32_t", "NRV_CRC", [x for t in crc for x in t])

# DIAG(1 << i, 1 << k) of 7.6 from 64 * (4 * i + k) on: x and y of each position, 0xXY.
diag = []
for i in range(16):
    a, b = 1 << (i >> 2), 1 << (i & 3)
    at = sorted(((x, y) for x in range(a) for y in range(b)), key=lambda p: (p[0] + p[1], p[0]))
    diag += [x << 4 | y for x, y in at] + [0] * (64 - a * b)
array("uint8_t", "NRV_DIAG", diag)

contexts("NRV_SINE_CONTEXTS", ints("contexts.txt"))
contexts("NRV_MOTION_CONTEXTS", ints("motion_contexts.txt"))
contexts("NRV_CONTENT_CONTEXTS", ints("content_contexts.txt"))
contexts("NRV_FUSION_CONTEXTS", ints("fusion_contexts.txt"))
nc = ints("nirvana_contexts.txt")
assert len(nc) == 2 * (88 + 635 + 62)
contexts("NRV_NIRVANA_MOTION_CONTEXTS", nc, 0, 88)
contexts("NRV_NIRVANA_CONTENT_CONTEXTS", nc, 88, 723)
contexts("NRV_NIRVANA_NETWORK_CONTEXTS", nc, 723, 785)

array("int8_t", "NRV_SINE", ints("sine.txt"))
array("int16_t", "NRV_GELU", ints("gelu.txt"))
array("int32_t", "NRV_KERNEL", ints("resampling_kernel.txt"))
array("int8_t", "NRV_CUBIC", ints("cubic.txt"), "[128]")
db = ints("deblocking.txt")
array("uint8_t", "NRV_BETA", db[0::2])
array("uint8_t", "NRV_TC", db[1::2])
M = ints("transform.txt")
assert len(M) == 1024


def transform(name, n, m):
    """A matrix of 8.5, and with its rows in pairs: [row / 2][column][2]."""
    array("int32_t", name, m)
    pairs = [m[(k + j) * n + i] for k in range(0, n, 2) for i in range(n) for j in range(2)]
    array("int16_t", name + "_PAIRS", pairs)


for n in (4, 8, 16, 32):
    transform(f"NRV_COS{n}", n, [M[k * 32 // n * 32 + i] for k in range(n) for i in range(n)])
S = ints("sine_transform.txt")
at = 0
for n in (4, 8, 16):
    transform(f"NRV_SIN{n}", n, S[at : at + n * n])
    at += n * n
assert at == len(S)

# The secondary transforms (8.5): 12 matrices of 16 x 16, then 12 of 16 x 64. Sums fit in 32 bits
# with 12 bits too.
S = ints("secondary_transforms.txt")
assert len(S) == 12 * 16 * (16 + 64) and max(map(abs, S)) <= 127
array("int8_t", "NRV_SECONDARY4", S[: 12 * 16 * 16])
array("int8_t", "NRV_SECONDARY8", S[12 * 16 * 16 :])

# The fusion network (9.2).
F = ints("fusion.txt")
at = 0


def take(n=1):
    global at
    at += n
    return F[at - n : at]


nets = take()[0]
use = take(3)
change_shift, layers = take(2)
shape = [take(3) for _ in range(layers)]
out_shift = take()[0]
const("NRV_FUSION_NETS", nets)
const("NRV_FUSION_CHANGE_SHIFT", change_shift)
const("NRV_FUSION_LAYERS", layers)
const("NRV_FUSION_OUT_SHIFT", out_shift)
const("NRV_FUSION_LAST", shape[-1][1])
const("NRV_FUSION_UNITS", max(pad8(u) for _, u, _ in shape))
const("NRV_FUSION_HALO", max(1, sum(k == 3 for k, _, _ in shape)))
array("uint8_t", "NRV_FUSION_USE", use)
array("uint8_t", "NRV_FUSION_KERNEL", [k for k, _, _ in shape])
array("uint8_t", "NRV_FUSION_WIDTH", [u for _, u, _ in shape])
array("uint8_t", "NRV_FUSION_SHIFT", [s for _, _, s in shape])
weights, biases, outputs, w_at, b_at = [], [], [], [], []
for _ in range(nets):
    n_in = 18
    for layer, (k, units, shift) in enumerate(shape):
        w = [take(n_in * k * k) for _ in range(units)]
        b = take(units)
        for u in range(units):
            last = (1 << (shift - 1)) if shift else 0
            assert sum(map(abs, w[u])) * 4095 + abs(b[u]) + last < 2**31
        groups = [range(6), range(6, 18)] if layer == 0 else [range(n_in)]
        rows = [
            [
                w[u][i * k * k + ky * k + kx]
                for ky in range(k)
                for g in groups
                for kx in range(k)
                for i in g
            ]
            for u in range(units)
        ]
        w_at.append(len(weights))
        b_at.append(len(biases))
        weights += pack(rows)
        biases += b + [0] * (pad8(units) - units)
        n_in = units
    outputs += take(6 * (67 + n_in))
assert at == len(F)
array("int16_t", "NRV_FUSION_WEIGHTS", weights)
array("int32_t", "NRV_FUSION_BIASES", biases)
array("int32_t", "NRV_FUSION_WEIGHTS_AT", w_at)
array("int32_t", "NRV_FUSION_BIASES_AT", b_at)
array("int16_t", "NRV_FUSION_OUTPUTS", outputs)

# The nirvana network (11.2).
with open(os.path.join(SRC, "nirvana_weights.bin"), "rb") as f:
    raw = f.read()
W = list(struct.unpack(f"<{len(raw) // 2}h", raw))
with open(os.path.join(SRC, "nirvana_biases.bin"), "rb") as f:
    raw = f.read()
B = list(struct.unpack(f"<{len(raw) // 4}i", raw))
wat = bat = 0


def tw(n):
    global wat
    wat += n
    assert wat <= len(W)
    return W[wat - n : wat]


def tb(n):
    global bat
    bat += n
    assert bat <= len(B)
    return B[bat - n : bat]


NF, NN, NW, ND, E, E2 = 192, 64, 256, 256, 48, 64
SIZE = [4, 12, 24, 40, 48, 64]
START = [0, 4, 16, 40, 80, 128, 192]


def rows_of(v, units):
    n = len(v) // units
    return [v[u * n : (u + 1) * n] for u in range(units)]


basis = rows_of(tw(ND * NF), ND)
array("int16_t", "NRV_N_BASIS", pack(basis))
array("int16_t", "NRV_N_BASIS_T", pack([[basis[i][f] for i in range(ND)] for f in range(NF)]))
w1 = rows_of(tw(NW * NN * 9), NW)
w1c = rows_of(tw(NW * (NF - NN)), NW)
array(
    "int16_t",
    "NRV_N_W1",
    pack([[w1[u][f * 9 + j] for j in range(9) for f in range(NN)] + w1c[u] for u in range(NW)]),
)
array("int16_t", "NRV_N_W2", pack(rows_of(tw(NW * NW), NW)))
array("int16_t", "NRV_N_W3", pack(rows_of(tw(ND * NW), ND)))
A, CC = [], []
for s in range(6):
    js = 9 if s < 5 else 1
    a = rows_of(tw(E * 2 * START[s] * js), E)
    A.append(
        [
            [
                a[u][(k * START[s] + f) * js + j]
                for j in range(js)
                for f in range(START[s])
                for k in range(2)
            ]
            for u in range(E)
        ]
    )
    c = rows_of(tw(E * 2 * SIZE[s] * 4), E)
    CC.append(
        [
            [
                c[u][(k * SIZE[s] + f) * 4 + j]
                for j in range(4)
                for f in range(SIZE[s])
                for k in range(2)
            ]
            for u in range(E)
        ]
    )


def stacked(name, parts):
    """Packed tensors of all slices one after the other, and where each begins."""
    all_, where = [], []
    for rows in parts:
        where.append(len(all_))
        all_ += pack(rows) if rows and rows[0] else []
    array("int16_t", name, all_)
    array("int32_t", name + "_AT", where)


stacked("NRV_N_A", A)
stacked("NRV_N_C", CC)
MM = []
for s in range(6):
    m = rows_of(tw(E * 4 * SIZE[s]), E)
    MM.append([[m[u][k * SIZE[s] + f] for f in range(SIZE[s]) for k in range(4)] for u in range(E)])
stacked("NRV_N_M", MM)
stacked("NRV_N_H", [rows_of(tw(E2 * E), E2) for _ in range(6)])
KO = [4, 4, 3, 3, 3, 3]
stacked("NRV_N_O", [rows_of(tw(KO[s] * SIZE[s] * E2), KO[s] * SIZE[s]) for s in range(6)])
nb = tw(80 * 40 * 9)
assert wat == len(W)
NB, NC = [], []
for s in range(4):
    rows, own = [], []
    for f in range(START[s], START[s + 1]):

        def near(e, j, f=f):
            return nb[(f * 40 + e) * 9 + j]

        rows.append([near(e, j) for j in range(9) for e in range(min(40, START[s]))])
        own.append(
            [near(e, j) for j in range(4) for e in range(START[s], START[s + 1])] if s < 3 else []
        )
    NB.append(rows)
    NC.append(own)
stacked("NRV_N_NEAR_A", NB)
stacked("NRV_N_NEAR_C", NC)
array("int32_t", "NRV_N_SCALE", tb(NF))
array("int32_t", "NRV_N_SHIFTS", tb(5))
array("int32_t", "NRV_N_B1", tb(2 * NW))
array("int32_t", "NRV_N_B2", tb(NW))
array("int32_t", "NRV_N_B3", tb(ND))
array("int32_t", "NRV_N_BC", tb(6 * 3 * E))
array("int32_t", "NRV_N_BH", tb(6 * E2))
bo, bo_at = [], []
for s in range(6):
    bo_at.append(len(bo))
    bo += tb(2 * KO[s] * SIZE[s])
array("int32_t", "NRV_N_BO", bo)
array("int32_t", "NRV_N_BO_AT", bo_at)
log = tb(4096)
assert max(log) < 32768 and min(log) >= 0
array("int16_t", "NRV_N_LOG", log)
array("int32_t", "NRV_N_ZERO_COST", tb(26 * 3))
assert bat == len(B)

with open(os.path.join(OUT, "tables.h"), "w", encoding="ascii") as f:
    f.write(
        "/* Made by tables.py from the data files of the specification. */\n"
        "#ifndef NRV_TABLES_H\n#define NRV_TABLES_H\n#include <stdint.h>\n"
    )
    f.write("\n".join(H) + "\n#endif\n")
with open(os.path.join(OUT, "tables.c"), "w", encoding="ascii") as f:
    f.write(
        '/* Made by tables.py from the data files of the specification. */\n#include "tables.h"\n'
    )
    f.write("\n".join(C) + "\n")
