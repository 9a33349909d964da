/* hybrid_deblocking.c: the deblocking filter (8.7). */
#include "core.h"

typedef struct filter {
    int32_t tc, beta, peak;
} filter;

static bool far_apart(nrv_vector a, nrv_vector b) { return nrv_abs(a.y - b.y) >= 4 || nrv_abs(a.x - b.x) >= 4; }

static int strength(const nrv_cell *p, const nrv_cell *q, int at) {
    if (at & ((1 << nrv_min(p->area, q->area)) - 1)) return 0;
    if (p->mode == 39 || q->mode == 39) return 0;
    if (!p->direction || !q->direction) return 2;
    if (p->luma || q->luma || p->direction != q->direction) return 1;
    return ((p->direction & 1) && far_apart(p->v[0], q->v[0])) || ((p->direction & 2) && far_apart(p->v[1], q->v[1]));
}

/* Four lines of luma; s is q0 of the first, `across` the step over the edge, `along` that to the next line. */
static void luma_lines(uint16_t *s, ptrdiff_t across, ptrdiff_t along, filter f) {
#define S(k, i) ((int32_t)s[(k) * along + (i) * across])
    int32_t dp0 = nrv_abs(S(0, -3) - 2 * S(0, -2) + S(0, -1)), dq0 = nrv_abs(S(0, 2) - 2 * S(0, 1) + S(0, 0));
    int32_t dp3 = nrv_abs(S(3, -3) - 2 * S(3, -2) + S(3, -1)), dq3 = nrv_abs(S(3, 2) - 2 * S(3, 1) + S(3, 0));
    int32_t d0 = dp0 + dq0, d3 = dp3 + dq3, tc = f.tc;
    if (d0 + d3 >= f.beta) return;
    bool strong = 2 * d0 < f.beta >> 2 && nrv_abs(S(0, -4) - S(0, -1)) + nrv_abs(S(0, 0) - S(0, 3)) < f.beta >> 3 &&
                  nrv_abs(S(0, -1) - S(0, 0)) < (5 * tc + 1) >> 1 &&
                  2 * d3 < f.beta >> 2 && nrv_abs(S(3, -4) - S(3, -1)) + nrv_abs(S(3, 0) - S(3, 3)) < f.beta >> 3 &&
                  nrv_abs(S(3, -1) - S(3, 0)) < (5 * tc + 1) >> 1;
#undef S
    int32_t side = (f.beta + (f.beta >> 1)) >> 3;
    for (int k = 0; k < 4; k++, s += along) {
        int32_t p3 = s[-4 * across], p2 = s[-3 * across], p1 = s[-2 * across], p0 = s[-across];
        int32_t q0 = s[0], q1 = s[across], q2 = s[2 * across], q3 = s[3 * across];
        if (strong) {
#define NEAR(v, new) (uint16_t)nrv_clip((v) - 2 * tc, (v) + 2 * tc, new)
            s[-across] = NEAR(p0, (p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3);
            s[-2 * across] = NEAR(p1, (p2 + p1 + p0 + q0 + 2) >> 2);
            s[-3 * across] = NEAR(p2, (2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3);
            s[0] = NEAR(q0, (q2 + 2 * q1 + 2 * q0 + 2 * p0 + p1 + 4) >> 3);
            s[across] = NEAR(q1, (q2 + q1 + q0 + p0 + 2) >> 2);
            s[2 * across] = NEAR(q2, (2 * q3 + 3 * q2 + q1 + q0 + p0 + 4) >> 3);
#undef NEAR
        } else {
            int32_t e = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4;
            if (nrv_abs(e) >= 10 * tc) continue;
            e = nrv_clip(-tc, tc, e);
            s[-across] = (uint16_t)nrv_clip(0, f.peak, p0 + e);
            s[0] = (uint16_t)nrv_clip(0, f.peak, q0 - e);
            if (dp0 + dp3 < side)
                s[-2 * across] = (uint16_t)nrv_clip(0, f.peak, p1 + nrv_clip(-(tc >> 1), tc >> 1, (((p2 + p0 + 1) >> 1) - p1 + e) >> 1));
            if (dq0 + dq3 < side)
                s[across] = (uint16_t)nrv_clip(0, f.peak, q1 + nrv_clip(-(tc >> 1), tc >> 1, (((q2 + q0 + 1) >> 1) - q1 - e) >> 1));
        }
    }
}

static void chroma_lines(uint16_t *s, ptrdiff_t across, ptrdiff_t along, int lines, filter f) {
    for (int k = 0; k < lines; k++, s += along) {
        int32_t p1 = s[-2 * across], p0 = s[-across], q0 = s[0], q1 = s[across];
        int32_t e = nrv_clip(-f.tc, f.tc, (4 * (q0 - p0) + p1 - q1 + 4) >> 3);
        s[-across] = (uint16_t)nrv_clip(0, f.peak, p0 + e);
        s[0] = (uint16_t)nrv_clip(0, f.peak, q0 - e);
    }
}

void nrv_deblock(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    int extra = d->info.bit_depth - 8, sub_x = d->info.sub_x, sub_y = d->info.sub_y;
    filter f;
    f.peak = (1 << d->info.bit_depth) - 1;
    for (int horizontal = 0; horizontal < 2; horizontal++) {
        ptrdiff_t before = horizontal ? h->cells_x : 1;
        int sub = horizontal ? sub_y : sub_x, lines = horizontal ? 8 / sub_x : 8 / sub_y;
        for (int y = horizontal; y < h->cells_y; y++)
            for (int x = !horizontal; x < h->cells_x; x++) {
                const nrv_cell *q = c->cells + (ptrdiff_t)y * h->cells_x + x, *p = q - before;
                int at = 8 * (horizontal ? y : x), strong = strength(p, q, at);
                if (!strong) continue;
                int qm = (p->q + q->q + 1) >> 1, qe = nrv_clip(0, 63, qm - 6 * extra);
                f.tc = NRV_TC[nrv_min(63, qe + 2 * (strong - 1))] << extra;
                f.beta = NRV_BETA[qe] << extra;
                ptrdiff_t w = h->plane_width[0];
                uint16_t *s = c->plane[0] + 8 * y * w + 8 * x;
                if (f.beta)
                    for (int k = 0; k < 2; k++) luma_lines(s + 4 * k * (horizontal ? 1 : w), horizontal ? w : 1, horizontal ? 1 : w, f);
                if (d->info.planes == 1 || at % (8 * sub)) continue;
                int qc = nrv_clip(0, 63, qm + h->chroma_offset - 6 * extra);
                f.tc = NRV_TC[nrv_min(63, qc + 2 * (strong - 1))] << extra;
                if (!f.tc) continue;
                w = h->plane_width[1];
                for (int k = 1; k < 3; k++)
                    chroma_lines(c->plane[k] + 8 / sub_y * y * w + 8 / sub_x * x, horizontal ? w : 1, horizontal ? 1 : w, lines, f);
            }
    }
}
