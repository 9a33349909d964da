/* hybrid_network.c: weights of the fusion network and the network substream (9.2, 9.6). */
#include "dot.h"

#define ROW_LENGTH (67 + NRV_FUSION_LAST)
enum { KEEP = 0, OFF = 1, CHANGED = 2, SHARED = 3, ROW = 4, FIRST = 6 };

static int class_of(int e) { return e == 0 ? 0 : e <= 2 ? 1 : 2; }
static int small(int v) { return nrv_min(15, nrv_abs(v)); }

static int kind_of(int p, int i) {
    if (i == 0) return 0;
    if (i >= 67) return p < 4 ? 8 : 9;
    int high = i <= 54, plane = high ? (i - 1) / 9 : (i - 55) % 6;
    int t = plane == p ? 0 : (plane < 4) == (p < 4) ? 1 : 2;
    return (high ? 1 : 4) + t;
}

static int32_t difference(nrv_range *r, nrv_context *c, int kind, int class) {
    nrv_context *k = c + FIRST + 31 * kind;
    return nrv_difference(r, k + 7 * class, k + 7 * class + 1, k + 21);
}

/* S(p, i) of 9.2 */
static int32_t shared_at(const int32_t *s, int p, int i) {
    if (p >= 4 || i < 1 || i > 36) return 0;
    int k = (i - 1) / 9, ky = (i - 1) % 9 / 3, kx = (i - 1) % 3;
    int dy = 2 * (ky - 1) + k / 2 - p / 2, dx = 2 * (kx - 1) + k % 2 - p % 2;
    return dy < -2 || dy > 2 || dx < -2 || dx > 2 ? 0 : s[5 * (dy + 2) + dx + 2];
}

/* The order of dot.h: for each ky the window of a [kx][plane], then differences, then units. */
static void pack(nrv_fusion *f, int net) {
    int16_t *to = f->packed[net];
    int at = 0;
    memset(to, 0, sizeof f->packed[net]);
    for (int p = 0; p < 6; p++) f->bias[net][p] = 64 * f->rows[net][p][0];
#define PUT(i) do { for (int p = 0; p < 6; p++) to[(at >> 1) * 16 + 2 * p + (at & 1)] = f->rows[net][p][i]; at++; } while (0)
    for (int ky = 0; ky < 3; ky++)
        for (int kx = 0; kx < 3; kx++)
            for (int i = 0; i < 6; i++) PUT(1 + 9 * i + 3 * ky + kx);
    for (int i = 55; i < ROW_LENGTH; i++) PUT(i);
#undef PUT
}

nrv_status nrv_fusion_group(nrv_decoder *d, const uint8_t *bytes, size_t length, bool key) {
    nrv_fusion *f = &d->hybrid->fusion;
    nrv_context c[NRV_FUSION_CONTEXTS_COUNT];
    nrv_range r;
    if (!nrv_range_start(&r, bytes, length)) return nrv_fail(d, NRV_CORRUPT, "3.2", "a range-coded run begins with FF FF FF FF");
    nrv_contexts_start(c, NRV_FUSION_CONTEXTS, NRV_FUSION_CONTEXTS_COUNT);
    if (key) {
        memcpy(f->rows, NRV_FUSION_OUTPUTS, sizeof f->rows);
        for (int net = 0; net < NRV_FUSION_NETS; net++) pack(f, net);
    }
    f->mode = 0;
    if (!nrv_bit(&r, &c[KEEP])) f->mode = nrv_bit(&r, &c[OFF]) ? 1 : 2;
    if (f->mode == 2)
        for (int net = 0; net < NRV_FUSION_NETS; net++) {
            if (!nrv_bit(&r, &c[CHANGED])) continue;
            int32_t s[25] = {0}, change[6][ROW_LENGTH];
            memset(change, 0, sizeof change);
            if (nrv_bit(&r, &c[SHARED]))
                for (int j = 0; j < 25; j++)
                    s[j] = difference(&r, c, 7, class_of((j % 5 ? small(s[j - 1]) : 0) + (j >= 5 ? small(s[j - 5]) : 0)));
            int previous = 1;
            for (int p = 0; p < 6; p++) {
                previous = nrv_bit(&r, &c[ROW + previous]);
                if (!previous) continue;
                for (int i = 0; i < ROW_LENGTH; i++)
                    change[p][i] = difference(&r, c, kind_of(p, i), class_of((i ? small(change[p][i - 1]) : 0) + (p ? small(change[p - 1][i]) : 0)));
            }
            for (int p = 0; p < 6; p++) {
                int64_t sum = 0;
                for (int i = 0; i < ROW_LENGTH; i++) {
                    int64_t w = f->rows[net][p][i] + (int64_t)(change[p][i] + shared_at(s, p, i)) * (1 << NRV_FUSION_CHANGE_SHIFT);
                    if (w < -32767 || w > 32767) return nrv_fail(d, NRV_CORRUPT, "9.2", "a weight is out of range");
                    f->rows[net][p][i] = (int16_t)w;
                    sum += (w < 0 ? -w : w) * (i ? 4095 : 64);
                }
                if (NRV_FUSION_OUT_SHIFT > 0) sum += (int64_t)1 << NRV_FUSION_OUT_SHIFT >> 1;
                if (sum >= (int64_t)1 << 31) return nrv_fail(d, NRV_CORRUPT, "9.2", "a row of weights exceeds its bound");
            }
            pack(f, net);
        }
    if (!nrv_range_end(&r)) return nrv_fail(d, NRV_CORRUPT, "3.2", "a range-coded run does not end where its bytes do");
    return NRV_OK;
}
