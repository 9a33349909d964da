/* hybrid_deblocking.c: the deblocking filter (8.7). */
#include "core.h"

typedef struct filter {
    int32_t tc, beta, peak;
} filter;

static bool far_apart(nrv_vector a, nrv_vector b) { return nrv_abs(a.y - b.y) >= 4 || nrv_abs(a.x - b.x) >= 4; }

/* areas: width or height of both areas; one less than a power of 2, so that & gives the smaller one */
static int strength(const nrv_cell *p, const nrv_cell *q, int at, int areas) {
    if (at & areas) return 0;
    if (p->mode == 39 || q->mode == 39) return 0;
    if (!p->direction || !q->direction) return 2;
    if (p->luma || q->luma || p->direction != q->direction) return 1;
    return ((p->direction & 1) && far_apart(p->v[0], q->v[0])) || ((p->direction & 2) && far_apart(p->v[1], q->v[1]));
}

/* Samples p3..p0, q0..q3 of the eight lines of a segment of luma, [sample][line]. 16 bits hold all that
 * is computed from 12-bit samples. */
typedef struct segment { int16_t s[8][8]; } segment;
enum { P3, P2, P1, P0, Q0, Q1, Q2, Q3 };

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define NRV_SHUFFLE
#endif
#endif

/* Exchanges rows and columns. */
NRV_INLINE void transpose(segment *t) {
#ifdef NRV_SHUFFLE
    typedef int16_t row __attribute__((vector_size(16)));
    row a[8], b[8];
    memcpy(a, t->s, sizeof a);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            b[2 * i] = __builtin_shufflevector(a[i], a[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
            b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
        }
        memcpy(a, b, sizeof a);
    }
    memcpy(t->s, a, sizeof a);
#else
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < i; k++) {
            int16_t a = t->s[i][k];
            t->s[i][k] = t->s[k][i];
            t->s[k][i] = a;
        }
#endif
}

NRV_INLINE int16_t clip16(int16_t lo, int16_t hi, int16_t v) {
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}
NRV_INLINE int16_t abs16(int16_t v) { return (int16_t)(v < 0 ? -v : v); }

/* Filters a segment; 0 if nothing changes, 1 if p1..q1 do, 2 if p2..q2 do. */
NRV_INLINE int luma_segment(segment *restrict t, filter f) {
    int16_t dp[8], dq[8], flat[8], gap[8], on[8], strong[8], near_p[8], near_q[8];  /* the last four: 0 or -1 for each line */
    int16_t (*s)[8] = t->s;
    int16_t tc = (int16_t)f.tc, peak = (int16_t)f.peak;
    for (int i = 0; i < 8; i++) {
        dp[i] = abs16((int16_t)(s[P2][i] - 2 * s[P1][i] + s[P0][i]));
        dq[i] = abs16((int16_t)(s[Q2][i] - 2 * s[Q1][i] + s[Q0][i]));
        flat[i] = (int16_t)(abs16((int16_t)(s[P3][i] - s[P0][i])) + abs16((int16_t)(s[Q0][i] - s[Q3][i])));
        gap[i] = abs16((int16_t)(s[P0][i] - s[Q0][i]));
    }
    int32_t side = (f.beta + (f.beta >> 1)) >> 3;
    int any = 0, any_strong = 0, all_strong = 1;
    for (int g = 0; g < 8; g += 4) {
        int32_t d0 = dp[g] + dq[g], d3 = dp[g + 3] + dq[g + 3];
        bool yes = d0 + d3 < f.beta;
        bool much = yes && 2 * d0 < f.beta >> 2 && 2 * d3 < f.beta >> 2 && flat[g] < f.beta >> 3 && flat[g + 3] < f.beta >> 3 &&
                    gap[g] < (5 * tc + 1) >> 1 && gap[g + 3] < (5 * tc + 1) >> 1;
        any |= yes;
        any_strong |= much;
        all_strong &= much || !yes;
        for (int i = g; i < g + 4; i++) {
            on[i] = (int16_t)-yes;
            strong[i] = (int16_t)-much;
            near_p[i] = (int16_t)-(dp[g] + dp[g + 3] < side);
            near_q[i] = (int16_t)-(dq[g] + dq[g + 3] < side);
        }
    }
    if (!any) return 0;
    segment new = *t;
    if (!all_strong)
        for (int i = 0; i < 8; i++) {
            int16_t p2 = s[P2][i], p1 = s[P1][i], p0 = s[P0][i], q0 = s[Q0][i], q1 = s[Q1][i], q2 = s[Q2][i];
            /* (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4, in 16 bits */
            int16_t step = (int16_t)(q0 - p0), e = (int16_t)((step + ((int16_t)(step - 3 * (q1 - p1) + 8) >> 3)) >> 1);
            int16_t change = abs16(e) < 10 * tc ? on[i] : 0, half = (int16_t)(tc >> 1);
            e = clip16((int16_t)-tc, tc, e);
            int16_t ep = clip16((int16_t)-half, half, (int16_t)((((int16_t)(p2 + p0 + 1) >> 1) - p1 + e) >> 1));
            int16_t eq = clip16((int16_t)-half, half, (int16_t)((((int16_t)(q2 + q0 + 1) >> 1) - q1 - e) >> 1));
            e = (int16_t)(e & change);
            new.s[P1][i] = clip16(0, peak, (int16_t)(p1 + (ep & change & near_p[i])));
            new.s[P0][i] = clip16(0, peak, (int16_t)(p0 + e));
            new.s[Q0][i] = clip16(0, peak, (int16_t)(q0 - e));
            new.s[Q1][i] = clip16(0, peak, (int16_t)(q1 + (eq & change & near_q[i])));
        }
    if (any_strong)
        for (int i = 0; i < 8; i++) {
            int16_t p3 = s[P3][i], p2 = s[P2][i], p1 = s[P1][i], p0 = s[P0][i], q0 = s[Q0][i], q1 = s[Q1][i], q2 = s[Q2][i], q3 = s[Q3][i];
            int16_t m = strong[i], most = (int16_t)(2 * tc);
#define NEAR(v, to) clip16((int16_t)((v) - most), (int16_t)((v) + most), (int16_t)(to))
#define SET(k, v, to) new.s[k][i] = (int16_t)((NEAR(v, to) & m) | (new.s[k][i] & ~m))
            SET(P0, p0, (int16_t)(p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3);
            SET(P1, p1, (int16_t)(p2 + p1 + p0 + q0 + 2) >> 2);
            SET(P2, p2, (int16_t)(2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3);
            SET(Q0, q0, (int16_t)(q2 + 2 * q1 + 2 * q0 + 2 * p0 + p1 + 4) >> 3);
            SET(Q1, q1, (int16_t)(q2 + q1 + q0 + p0 + 2) >> 2);
            SET(Q2, q2, (int16_t)(2 * q3 + 3 * q2 + q1 + q0 + p0 + 4) >> 3);
#undef SET
#undef NEAR
        }
    *t = new;
    return 1 + any_strong;
}

/* s is the first sample of the right or lower cell. */
static void luma_vertical(uint16_t *s, ptrdiff_t w, filter f) {
    segment t;
    for (int k = 0; k < 8; k++) memcpy(t.s[k], s + k * w - 4, 16);
    transpose(&t);
    if (!luma_segment(&t, f)) return;
    transpose(&t);
    for (int k = 0; k < 8; k++) memcpy(s + k * w - 4, t.s[k], 16);
}

static void luma_horizontal(uint16_t *s, ptrdiff_t w, filter f) {
    segment t;
    for (int k = 0; k < 8; k++) memcpy(t.s[k], s + (k - 4) * w, 16);
    int how = luma_segment(&t, f);
    if (!how) return;
    for (int k = 3 - how; k < 5 + how; k++) memcpy(s + (k - 4) * w, t.s[k], 16);
}

/* `lines`, 4 or 8, is a constant at each call. */
NRV_INLINE void chroma_lines(uint16_t *s, ptrdiff_t across, ptrdiff_t along, int lines, filter f) {
    int16_t p[8], q[8], tc = (int16_t)f.tc, peak = (int16_t)f.peak;
    for (int k = 0; k < lines; k++) {
        const uint16_t *at = s + k * along;
        int16_t p1 = (int16_t)at[-2 * across], p0 = (int16_t)at[-across], q0 = (int16_t)at[0], q1 = (int16_t)at[across];
        int16_t e = clip16((int16_t)-tc, tc, (int16_t)((int16_t)(4 * (q0 - p0) + p1 - q1 + 4) >> 3));
        p[k] = clip16(0, peak, (int16_t)(p0 + e));
        q[k] = clip16(0, peak, (int16_t)(q0 - e));
    }
    for (int k = 0; k < lines; k++) {
        s[k * along - across] = (uint16_t)p[k];
        s[k * along] = (uint16_t)q[k];
    }
}

/* The edge above or left of cell (x, y) */
NRV_INLINE void edge(nrv_decoder *d, nrv_canvas *c, int x, int y, bool horizontal) {
    const nrv_hybrid *h = d->hybrid;
    const nrv_cell *q = c->cells + (ptrdiff_t)y * h->cells_x + x, *p = q - (horizontal ? h->cells_x : 1);
    int at = 8 * (horizontal ? y : x), strong = strength(p, q, at, horizontal ? p->height & q->height : p->width & q->width);
    if (!strong) return;
    int extra = d->info.bit_depth - 8, sub_x = d->info.sub_x, sub_y = d->info.sub_y;
    int qm = (p->q + q->q + 1) >> 1, qe = nrv_clip(0, 63, qm - 6 * extra);
    filter f = {NRV_TC[nrv_min(63, qe + 2 * (strong - 1))] << extra, NRV_BETA[qe] << extra, (1 << d->info.bit_depth) - 1};
    ptrdiff_t w = h->plane_width[0];
    uint16_t *s = c->plane[0] + 8 * y * w + 8 * x;
    if (f.beta) {
        if (horizontal) luma_horizontal(s, w, f);
        else luma_vertical(s, w, f);
    }
    if (d->info.planes == 1 || at % (8 * (horizontal ? sub_y : sub_x))) return;
    int qc = nrv_clip(0, 63, qm + h->chroma_offset - 6 * extra), lines = horizontal ? 8 / sub_x : 8 / sub_y;
    f.tc = NRV_TC[nrv_min(63, qc + 2 * (strong - 1))] << extra;
    if (!f.tc) return;
    w = h->plane_width[1];
    for (int k = 1; k < 3; k++) {
        s = c->plane[k] + 8 / sub_y * y * w + 8 / sub_x * x;
        if (horizontal && lines == 4) chroma_lines(s, w, 1, 4, f);
        else if (horizontal) chroma_lines(s, w, 1, 8, f);
        else chroma_lines(s, 1, w, lines, f);
    }
}

/* The horizontal edge above a row of cells needs the vertical ones of this row and of the one above alone. */
void nrv_deblock(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    for (int y = 0; y < h->cells_y; y++) {
        for (int x = 1; x < h->cells_x; x++) edge(d, c, x, y, false);
        if (y > 0)
            for (int x = 0; x < h->cells_x; x++) edge(d, c, x, y, true);
    }
}
