/* hybrid_motion.c: merge and affine lists, predicted vectors and inter prediction (8.2, 8.3). */
#include "core.h"

/* ---- 8.2 ---- */

typedef struct view {
    nrv_hybrid *h;
    nrv_cell *cells;
    uint32_t leaf;
} view;

/* The cell of luma sample (x, y) if it is available */
static const nrv_cell *available(const view *v, int x, int y) {
    if (x < 0 || y < 0 || x >= v->h->coded_width || y >= v->h->coded_height) return NULL;
    const nrv_cell *c = v->cells + (ptrdiff_t)(y >> 3) * v->h->cells_x + (x >> 3);
    return c->leaf < v->leaf && c->direction ? c : NULL;
}

static int32_t median(int32_t a, int32_t b, int32_t c) {
    return nrv_max(nrv_min(a, b), nrv_min(nrv_max(a, b), c));
}

/* (2 * v * k + d) // (2 * d), |v| <= 8192, k < d <= 32; shift is log2(2 * d), or -1 */
NRV_INLINE int16_t share(int32_t v, int32_t k, int32_t d, int shift) {
    int32_t a = 2 * v * k + d;
    if (shift >= 0) return (int16_t)(a >> shift);
    return (int16_t)(a / (2 * d) - (a % (2 * d) < 0));
}

/* What a cell of the source projects. */
NRV_INLINE nrv_projected projected(const nrv_cell *c, int list, int own, int other, int shift) {
    nrv_vector v = c->v[list];
    int d = own + other;
    nrv_projected p = {.there = 1};
    p.v[list] = (nrv_vector){share(v.y, own, d, shift), share(v.x, own, d, shift)};
    p.v[1 - list] = (nrv_vector){share(-v.y, other, d, shift), share(-v.x, other, d, shift)};
    return p;
}

/* Projected motion of an interior canvas with references a and b, `before` frames after a and `after` before b. */
void nrv_project(nrv_decoder *d, const nrv_canvas *a, const nrv_canvas *b, int before, int after) {
    nrv_hybrid *h = d->hybrid;
    int list = b->reference[0] == a ? 0 : 1, own = list ? after : before, other = list ? before : after, d2 = 2 * (before + after);
    int shift = d2 & (d2 - 1) ? -1 : nrv_bit_length((uint32_t)d2) - 1;
    const nrv_cell *source = list ? a->cells : b->cells, *s = source;
    nrv_projected *to = h->projected, p = {.there = 0};
    bool any = false;
    /* the same vectors as in the cell before, as they are in most, project the same */
#define PROJECT(c) do { \
        if (!any || (c)->v[list].y != last.y || (c)->v[list].x != last.x) { \
            p = projected(c, list, own, other, shift); \
            last = (c)->v[list]; \
            any = true; \
        } } while (0)
    nrv_vector last = {0, 0};
    for (int i = 0; i < h->cells_x * h->cells_y; i++, s++) {
        if (!(s->direction >> list & 1)) { to[i].there = 0; continue; }
        PROJECT(s);
        to[i] = p;
    }
    s = source;
    for (int row = 0; row < h->cells_y; row++)
        for (int column = 0; column < h->cells_x; column++, s++) {
            if (!(s->direction >> list & 1)) continue;
            PROJECT(s);
            nrv_vector t = p.v[1 - list];
            int y = (8 * row + 4 + (-t.y >> 2)) >> 3, x = (8 * column + 4 + (-t.x >> 2)) >> 3;
            if (y >= 0 && x >= 0 && y < h->cells_y && x < h->cells_x) to[(ptrdiff_t)y * h->cells_x + x] = p;
        }
#undef PROJECT
}

static void merged(const view *v, const nrv_leaf *l, int set, nrv_cell *out) {
    int x = l->x, y = l->y, w = 1 << l->log2w, h = 1 << l->log2h, count = 0;
    const int at[5][2] = {{x - 1, y + h - 1}, {x + w - 1, y - 1}, {x + w, y - 1}, {x - 1, y + h}, {x - 1, y - 1}};
    const nrv_cell *list[5];
    for (int i = 0; i < 5; i++) {
        const nrv_cell *c = available(v, at[i][0], at[i][1]);
        bool add = c != NULL;
        for (int k = 0; add && k < count; k++) add = nrv_differ(c, list[k]);
        if (add) list[count++] = c;
    }
    nrv_cell own[2];
    for (int i = 0; set == 2 && i < 2 && count < 5; i++) {
        int px = x + (i ? w / 2 : w), py = y + (i ? h / 2 : h);
        if (px >= v->h->coded_width || py >= v->h->coded_height) continue;
        const nrv_projected *p = v->h->projected + (ptrdiff_t)(py >> 3) * v->h->cells_x + (px >> 3);
        if (!p->there) continue;
        own[i] = (nrv_cell){.direction = 3, .v = {p->v[0], p->v[1]}};
        bool add = true;
        for (int k = 0; add && k < count; k++) add = nrv_differ(&own[i], list[k]);
        if (add) list[count++] = &own[i];
    }
    if (l->index < count) {
        out->direction = list[l->index]->direction;
        out->v[0] = list[l->index]->v[0];
        out->v[1] = list[l->index]->v[1];
    } else {
        out->direction = set == 1 ? 1 : 3;
        memset(out->v, 0, sizeof out->v);
    }
}

/* known: the two predicted vectors, if they are not the medians */
static void predicted(const view *v, const nrv_leaf *l, int set, const nrv_vector *known, nrv_cell *out) {
    int x = l->x, y = l->y, w = 1 << l->log2w;
    const nrv_cell *near[3] = {available(v, x - 1, y), available(v, x, y - 1), available(v, x + w, y - 1)};
    if (!near[2]) near[2] = available(v, x - 1, y - 1);
    int count = (near[0] != NULL) + (near[1] != NULL) + (near[2] != NULL);
    out->direction = l->direction;
    for (int r = 0; r < 2; r++) {
        if (!(l->direction >> r & 1)) continue;
        int32_t py = 0, px = 0;
        if (known) {
            py = known[r].y;
            px = known[r].x;
        } else if (count == 1) {
            const nrv_cell *c = near[0] ? near[0] : near[1] ? near[1] : near[2];
            py = c->v[r].y;
            px = c->v[r].x;
        } else if (count) {
            int32_t a[3][2];
            for (int i = 0; i < 3; i++) {
                a[i][0] = near[i] ? near[i]->v[r].y : 0;
                a[i][1] = near[i] ? near[i]->v[r].x : 0;
            }
            py = median(a[0][0], a[1][0], a[2][0]);
            px = median(a[0][1], a[1][1], a[2][1]);
        }
        out->v[r].y = (int16_t)nrv_clip(-8192, 8191, py + l->d[r][0]);
        out->v[r].x = (int16_t)nrv_clip(-8192, 8191, px + l->d[r][1]);
    }
    if (l->direction != 3) {
        int r = l->direction - 1;
        nrv_vector t = out->v[r];
        if (set == 2) {
            t.y = (int16_t)nrv_min(8191, -t.y);
            t.x = (int16_t)nrv_min(8191, -t.x);
        }
        out->v[1 - r] = t;
    }
}

/* Entry of an affine list; there are no bytes between its members. */
typedef struct entry {
    nrv_vector v[2];
    int16_t g[4], direction;
} entry;

/* V0 and V1 at (dy, dx) from where they are `from`: Change of 8.2. |dy|, |dx| <= 36, so sums stay below 2^18. */
static void changed(const nrv_vector *from, const int16_t *g, int set, int dy, int dx, nrv_vector *to) {
    int32_t y = (g[0] * dy + g[1] * dx + 32) >> 6, x = (g[2] * dy + g[3] * dx + 32) >> 6;
    for (int r = 0; r < 2; r++) {
        to[r].y = (int16_t)nrv_clip(-8192, 8191, from[r].y + y);
        to[r].x = (int16_t)nrv_clip(-8192, 8191, from[r].x + x);
        if (set == 2) { y = -y; x = -x; }
    }
}

/* `e` has the vectors at (-dy, -dx) from the centre of the leaf. */
static int append(entry *list, int count, int set, const entry *e, int dy, int dx) {
    if (count == 4 || !(e->g[0] | e->g[1] | e->g[2] | e->g[3])) return count;
    list[count] = *e;
    changed(e->v, e->g, set, dy, dx, list[count].v);
    for (int i = 0; i < count; i++)
        if (memcmp(&list[i], &list[count], sizeof *list) == 0) return count;
    return count + 1;
}

static int16_t gradient(int32_t a, int32_t b, int32_t size) { return (int16_t)nrv_clip64(-1023, 1023, nrv_floor_div(64 * (b - a), size)); }

/* From the vectors V0 of a, of b, w to the right of it, and of c, h below */
static entry slope(int direction, const nrv_vector *a, const nrv_vector *b, const nrv_vector *c, int w, int h) {
    return (entry){{a[0], a[1]}, {gradient(a->y, c->y, h), gradient(a->y, b->y, w), gradient(a->x, c->x, h), gradient(a->x, b->x, w)},
                   (int16_t)direction};
}

/* The affine list; gives the number of inherited entries. */
static int affine_list(const view *v, const nrv_leaf *l, int set, entry *list) {
    int x = l->x, y = l->y, w = 1 << l->log2w, h = 1 << l->log2h, count = 0;
    const int at[4][2] = {{x - 1, y + h - 1}, {x + w - 1, y - 1}, {x - 1, y}, {x, y - 1}};
    for (int i = 0; i < 4; i++) {
        const nrv_cell *c = available(v, at[i][0], at[i][1]);
        if (!c) continue;
        entry e = {{c->v[0], c->v[1]}, {0}, c->direction};
        memcpy(e.g, v->h->leaves[c->leaf - 1].g, sizeof e.g);
        /* x & ~7: the centre of the cell is 4 from there */
        count = append(list, count, set, &e, y + h / 2 - 4 - (at[i][1] & ~7), x + w / 2 - 4 - (at[i][0] & ~7));
    }
    int inherited = count;
    const nrv_cell *a = available(v, x - 1, y - 1), *b = available(v, x + w - 1, y - 1), *c = available(v, x - 1, y + h - 1);
    if (a && b && c && a->direction == b->direction && a->direction == c->direction) {
        entry e = slope(a->direction, a->v, b->v, c->v, w, h);
        count = append(list, count, set, &e, h / 2 + 4, w / 2 + 4);
    }
    if (set == 2) {
        const nrv_projected *p = v->h->projected + (ptrdiff_t)(y >> 3) * v->h->cells_x + (x >> 3);
        const nrv_projected *q = p + (w >> 3) - 1, *r = p + (ptrdiff_t)((h >> 3) - 1) * v->h->cells_x;
        if (p->there && q->there && r->there) {
            entry e = slope(3, p->v, q->v, r->v, w - 8, h - 8);
            count = append(list, count, set, &e, h / 2 - 4, w / 2 - 4);
        }
    }
    for (; count < 4; count++) list[count] = (entry){.direction = set == 1 ? 1 : 3};
    return inherited;
}

/* Direction and vectors of an affine leaf to out, gradients to the leaf. */
static void affine(const view *v, nrv_leaf *l, int set, nrv_cell *out) {
    entry list[4];
    bool inherited = affine_list(v, l, set, list) > 0;
    if (l->merge) {
        const entry *e = &list[l->index];
        out->direction = (uint8_t)e->direction;
        memcpy(out->v, e->v, sizeof out->v);
        memcpy(l->g, e->g, sizeof l->g);
    } else {
        predicted(v, l, set, inherited ? list->v : NULL, out);
        for (int k = 0; k < 4; k++)
            l->g[k] = (int16_t)nrv_clip(-1023, 1023, (inherited ? list->g[k] : 0) + (64 >> (k & 1 ? l->log2w : l->log2h)) * l->g[k]);
    }
    l->affine = (l->g[0] | l->g[1] | l->g[2] | l->g[3]) != 0;
}

void nrv_motion_vectors(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    view v = {h, c->cells, 0};
    for (uint32_t i = 0; i < h->leaf_count; i++) {
        nrv_leaf *l = &h->leaves[i];
        if (l->intra) continue;
        v.leaf = i + 1;
        nrv_cell *at = c->cells + (ptrdiff_t)(l->y >> 3) * h->cells_x + (l->x >> 3), own = *at;
        if (l->affine) affine(&v, l, c->set, &own);
        else if (l->merge) merged(&v, l, c->set, &own);
        else predicted(&v, l, c->set, NULL, &own);
        int across = 1 << (l->log2w - 3), down = 1 << (l->log2h - 3);
        for (int k = 0; k < down; k++, at += h->cells_x)
            for (int j = 0; j < across; j++) {
                at[j] = own;
                if (l->affine) changed(own.v, l->g, c->set, 8 * k + 4 - 4 * down, 8 * j + 4 - 4 * across, at[j].v);
            }
    }
}

/* ---- 8.3 ---- */

static const int16_t LUMA_TAPS[4][8] = {{0, 0, 0, 64, 0, 0, 0, 0}, {-1, 4, -10, 58, 17, -5, 1, 0},
                                        {-1, 4, -11, 40, 40, -11, 4, -1}, {0, 1, -5, 17, 58, -10, 4, -1}};
static const int16_t CHROMA_TAPS[8][4] = {{0, 64, 0, 0}, {-2, 58, 10, -2}, {-4, 54, 16, -2}, {-6, 46, 28, -4},
                                          {-4, 36, 36, -4}, {-4, 28, 46, -6}, {-2, 16, 54, -4}, {-2, 10, 58, -2}};

#define WIDE 72   /* samples of a row of the fetched area: 64 + 7, rounded up */
#define BIAS 8192 /* with 8 bits, -16830 <= S <= 33150: S - BIAS fits in 16 bits */

/* Where the samples of a block lie in a reference, and the taps of its vector; NULL without a fraction. */
typedef struct place {
    const uint16_t *src;      /* the sample of the whole part of the vector */
    ptrdiff_t stride;
    const int16_t *tx, *ty;
} place;

/* Sum over the taps, `step` apart; count, 4 or 8, is a constant where this stands. */
#define SUM(s, step) (count == 8 ? \
    taps[0] * (s)[0] + taps[1] * (s)[step] + taps[2] * (s)[2 * (step)] + taps[3] * (s)[3 * (step)] + \
    taps[4] * (s)[4 * (step)] + taps[5] * (s)[5 * (step)] + taps[6] * (s)[6 * (step)] + taps[7] * (s)[7 * (step)] : \
    taps[0] * (s)[0] + taps[1] * (s)[step] + taps[2] * (s)[2 * (step)] + taps[3] * (s)[3 * (step)])

/* Samples side by side: vectors where the compiler has them, else one. With 8 bits all sums fit in 16 bits. */
#if defined(__GNUC__) && !defined(NRV_PLAIN)
typedef int16_t row8 __attribute__((vector_size(16)));
typedef int16_t row16 __attribute__((vector_size(32)));
#else
typedef int16_t row8, row16;
#endif

/* The same sum for a row of samples from s on */
#define ROW_SUM(row, sum, s, step) \
    row sum; \
    do { \
        row a0, a1, a2, a3, a4 = {0}, a5 = {0}, a6 = {0}, a7 = {0}; \
        memcpy(&a0, (s), sizeof a0); memcpy(&a1, (s) + (step), sizeof a0); \
        memcpy(&a2, (s) + 2 * (step), sizeof a0); memcpy(&a3, (s) + 3 * (step), sizeof a0); \
        if (count == 8) { \
            memcpy(&a4, (s) + 4 * (step), sizeof a0); memcpy(&a5, (s) + 5 * (step), sizeof a0); \
            memcpy(&a6, (s) + 6 * (step), sizeof a0); memcpy(&a7, (s) + 7 * (step), sizeof a0); \
            sum = (row)((a0 * taps[0] + a1 * taps[1]) + (a2 * taps[2] + a3 * taps[3]) + \
                        ((a4 * taps[4] + a5 * taps[5]) + (a6 * taps[6] + a7 * taps[7]))); \
        } else sum = (row)((a0 * taps[0] + a1 * taps[1]) + (a2 * taps[2] + a3 * taps[3])); \
    } while (0)

/* pass: one pass over w columns. both: both passes in 16-bit arithmetic: first = 64 * high + low, so the
 * sum of the second pass >> 6 is that of the high parts, which may wrap, and that of the low parts, below
 * 2^13, >> 6; it takes all rows as one, in pieces of row16 (w * h is a multiple of 16). */
#define PASSES(row, pass, both) \
NRV_INLINE void pass(const uint16_t *restrict src, ptrdiff_t stride, ptrdiff_t step, const int16_t *restrict taps, \
                     int count, int w, int h, int16_t *restrict out) { \
    src -= (count / 2 - 1) * step; \
    for (int y = 0; y < h; y++, src += stride, out += w) \
        for (int x = 0; x < w; x += (int)(sizeof(row) / 2)) { \
            ROW_SUM(row, v, src + x, step); \
            v = (row)(v - BIAS); \
            memcpy(out + x, &v, sizeof v); \
        } \
} \
NRV_INLINE void both(const uint16_t *restrict src, ptrdiff_t stride, const int16_t *restrict tx, const int16_t *restrict ty, \
                     int count, int w, int h, int16_t *restrict out) { \
    int16_t high[64 * 71], low[64 * 71]; \
    const int16_t *taps = tx; \
    int c0 = count / 2 - 1; \
    src -= c0 * stride + c0; \
    for (int y = 0; y < h + count - 1; y++, src += stride) \
        for (int x = 0; x < w; x += (int)(sizeof(row) / 2)) { \
            ROW_SUM(row, v, src + x, 1); \
            row hi = (row)(v >> 6), lo = (row)(v & 63); \
            memcpy(high + w * y + x, &hi, sizeof hi); \
            memcpy(low + w * y + x, &lo, sizeof lo); \
        } \
    taps = ty; \
    for (int at = 0; at < w * h; at += (int)(sizeof(row16) / 2)) { \
        ROW_SUM(row16, hi, high + at, w); \
        ROW_SUM(row16, lo, low + at, w); \
        row16 v = (row16)(hi + (lo >> 6) - BIAS); \
        memcpy(out + at, &v, sizeof v); \
    } \
}
PASSES(row8, pass_narrow8, both_narrow8)
PASSES(row16, pass_narrow16, both_narrow16)

NRV_INLINE void blocks_narrow(const place *p, int count, int w, int h, int chunk, int16_t *restrict out) {
    if (p->tx && p->ty) {
        if (chunk == 16) both_narrow16(p->src, p->stride, p->tx, p->ty, count, w, h, out);
        else both_narrow8(p->src, p->stride, p->tx, p->ty, count, w, h, out);
    } else if (p->tx || p->ty) {
        const int16_t *taps = p->tx ? p->tx : p->ty;
        ptrdiff_t step = p->tx ? 1 : p->stride;
        if (chunk == 16) pass_narrow16(p->src, p->stride, step, taps, count, w, h, out);
        else pass_narrow8(p->src, p->stride, step, taps, count, w, h, out);
    } else {
        const uint16_t *restrict src = p->src;
        for (int y = 0; y < h; y++, src += p->stride, out += w)
            for (int x = 0; x < w; x += chunk)
                for (int i = 0; i < chunk; i++) out[x + i] = (int16_t)(64 * src[x + i] - BIAS);
    }
}

/* S - BIAS, w a multiple of 8 */
static void displaced_narrow(const place *p, bool luma, int w, int h, int16_t *restrict out) {
    if (luma) {
        if (w == 8) blocks_narrow(p, 8, 8, h, 8, out);
        else if (w == 16) blocks_narrow(p, 8, 16, h, 16, out);
        else if (w % 16 == 0) blocks_narrow(p, 8, w, h, 16, out);
        else blocks_narrow(p, 8, w, h, 8, out);
    } else {
        if (w == 8) blocks_narrow(p, 4, 8, h, 8, out);
        else if (w % 16 == 0) blocks_narrow(p, 4, w, h, 16, out);
        else blocks_narrow(p, 4, w, h, 8, out);
    }
}

NRV_INLINE void pass_wide(const uint16_t *restrict src, ptrdiff_t stride, ptrdiff_t step, const int16_t *restrict taps,
                          int count, int w, int h, int32_t *restrict out) {
    for (int y = 0; y < h; y++, src += stride, out += 64)
        for (int x = 0; x < w; x += 4) {
            const int16_t *s = (const int16_t *)src + x;
            for (int i = 0; i < 4; i++) out[x + i] = SUM(s + i, step);
        }
}

NRV_INLINE void blocks_wide(const place *p, int count, int w, int h, int32_t *restrict out) {
    int c0 = count / 2 - 1;
    if (p->tx && p->ty) {
        int32_t first[64 * 71];
        const int16_t *taps = p->ty;
        pass_wide(p->src - c0 * p->stride - c0, p->stride, 1, p->tx, count, w, h + count - 1, first);
        for (int y = 0; y < h; y++, out += 64)
            for (int x = 0; x < w; x += 4) {
                const int32_t *s = first + 64 * y + x;
                for (int i = 0; i < 4; i++) out[x + i] = (SUM(s + i, 64)) >> 6;
            }
    } else if (p->tx) pass_wide(p->src - c0, p->stride, 1, p->tx, count, w, h, out);
    else if (p->ty) pass_wide(p->src - c0 * p->stride, p->stride, p->stride, p->ty, count, w, h, out);
    else
        for (int y = 0; y < h; y++, out += 64)
            for (int x = 0; x < w; x++) out[x] = 64 * p->src[y * p->stride + x];
}

/* S for more than 8 bits */
static void displaced_wide(const place *p, bool luma, int w, int h, int32_t *restrict out) {
    if (luma) blocks_wide(p, 8, w, h, out);
    else blocks_wide(p, 4, w, h, out);
}

/* Finds a block in a reference, with four columns more where w is no multiple of 8; `area`, of WIDE * 71 samples, takes a copy where it reaches over the border. */
static void locate(const nrv_decoder *d, const nrv_canvas *ref, nrv_vector v, int plane, int x, int y, int w, int h,
                   uint16_t *restrict area, place *out) {
    int pw = d->hybrid->plane_width[plane], ph = d->hybrid->plane_height[plane];
    bool halfx = plane && d->info.sub_x == 2, halfy = plane && d->info.sub_y == 2;
    int fx = halfx ? v.x & 7 : v.x & 3, fy = halfy ? v.y & 7 : v.y & 3;
    x += halfx ? v.x >> 3 : v.x >> 2;
    y += halfy ? v.y >> 3 : v.y >> 2;
    int before = plane ? 1 : 3, after = plane ? 2 : 4;
    if (!plane) {
        out->tx = fx ? LUMA_TAPS[fx] : NULL;
        out->ty = fy ? LUMA_TAPS[fy] : NULL;
    } else {
        out->tx = fx ? CHROMA_TAPS[halfx ? fx : 2 * fx] : NULL;
        out->ty = fy ? CHROMA_TAPS[halfy ? fy : 2 * fy] : NULL;
    }
    w = (w + 7) & ~7;
    int x0 = x - (fx ? before : 0), x1 = x + w + (fx ? after : 0), y0 = y - (fy ? before : 0), y1 = y + h + (fy ? after : 0);
    const uint16_t *from = ref->plane[plane];
    if (x0 >= 0 && y0 >= 0 && x1 <= pw && y1 <= ph) {
        out->src = from + (ptrdiff_t)y * pw + x;
        out->stride = pw;
        return;
    }
    out->src = area + (y - y0) * WIDE + x - x0;
    out->stride = WIDE;
    /* columns left of the plane, in it, and right of it */
    int left = nrv_clip(0, x1 - x0, -x0), right = nrv_clip(0, x1 - x0 - left, x1 - pw), middle = x1 - x0 - left - right;
    for (int i = y0; i < y1; i++, area += WIDE) {
        const uint16_t *row = from + (ptrdiff_t)nrv_clip(0, ph - 1, i) * pw;
        for (int k = 0; k < left; k++) area[k] = row[0];
        memcpy(area + left, row + x0 + left, (size_t)middle * sizeof *row);
        for (int k = left + middle; k < x1 - x0; k++) area[k] = row[pw - 1];
    }
}

NRV_INLINE void copy_rows(const uint16_t *restrict from, ptrdiff_t from_stride, int w, int h, int chunk, uint16_t *restrict out, ptrdiff_t stride) {
    for (int y = 0; y < h; y++, from += from_stride, out += stride)
        for (int x = 0; x < w; x += chunk) memcpy(out + x, from + x, (size_t)chunk * sizeof *out);
}

NRV_INLINE void mean_rows(const place *a, const place *b, int w, int h, int chunk, uint16_t *restrict out, ptrdiff_t stride) {
    for (int y = 0; y < h; y++, out += stride) {
        const uint16_t *s = a->src + y * a->stride, *t = b->src + y * b->stride;
        for (int x = 0; x < w; x += chunk)
            for (int i = 0; i < chunk; i++) out[x + i] = (uint16_t)((s[x + i] + t[x + i] + 1) >> 1);
    }
}

/* w x h samples from S - BIAS, w a multiple of chunk: (S + 32) >> 6; of two S, PRED + 64 is twice their
 * mean, rounded down, + 32, or one more. */
NRV_INLINE void finish_narrow(const int16_t *restrict a, const int16_t *restrict b, int w, int h, int chunk, uint16_t *restrict out, ptrdiff_t stride) {
    for (int y = 0; y < h; y++, a += w, out += stride) {
        for (int x = 0; x < w; x += chunk)
            for (int i = 0; i < chunk; i++) {
                int16_t s = a[x + i];
                if (b) s = (int16_t)((s & b[x + i]) + ((s ^ b[x + i]) >> 1));
                s = s < -BIAS - 32 ? -BIAS - 32 : s;
                s = s > 16383 - BIAS - 32 ? 16383 - BIAS - 32 : s;
                out[x + i] = (uint16_t)((int16_t)(s + BIAS + 32) >> 6);
            }
        if (b) b += w;
    }
}

NRV_INLINE void finish(const int16_t *restrict a, const int16_t *restrict b, int w, int h, uint16_t *restrict out, ptrdiff_t stride) {
    if (w % 16 == 0) finish_narrow(a, b, w, h, 16, out, stride);
    else {                    /* the rows as one, then apart */
        uint16_t samples[64 * 64];
        int side = (w + 7) & ~7;
        finish_narrow(a, b, 16, side * h / 16, 16, samples, 16);
        if (w == 8) copy_rows(samples, 8, 8, h, 8, out, stride);
        else copy_rows(samples, side, w, h, 4, out, stride);
    }
}

static void narrow(const place *p, int count, bool luma, int w, int h, uint16_t *restrict out, ptrdiff_t stride) {
    int16_t s[2][64 * 64];
    for (int r = 0; r < count; r++) displaced_narrow(&p[r], luma, (w + 7) & ~7, h, s[r]);
    if (count == 2) finish(s[0], s[1], w, h, out, stride);
    else finish(s[0], NULL, w, h, out, stride);
}

static void wide(const place *p, int count, bool luma, int w, int h, int32_t peak, uint16_t *restrict out, ptrdiff_t stride) {
    int32_t s[2][64 * 64];
    for (int r = 0; r < count; r++) displaced_wide(&p[r], luma, w, h, s[r]);
    const int32_t *a = s[0], *b = s[count - 1];
    for (int y = 0; y < h; y++, a += 64, b += 64, out += stride)
        for (int x = 0; x < w; x += 4)
            for (int i = 0; i < 4; i++) out[x + i] = (uint16_t)nrv_clip(0, peak, (a[x + i] + b[x + i] + 64) >> 7);
}

void nrv_predict(const nrv_decoder *d, const nrv_canvas *const *ref, const nrv_vector *v, int count, int plane,
                 int x, int y, int w, int h, uint16_t *restrict out, ptrdiff_t stride) {
    uint16_t area[2][WIDE * 71];
    place p[2];
    bool whole = true;
    for (int r = 0; r < count; r++) {
        locate(d, ref[r], v[r], plane, x, y, w, h, area[r], &p[r]);
        whole = whole && !p[r].tx && !p[r].ty;
    }
    if (whole && count == 1) {
        if (w % 16 == 0) copy_rows(p->src, p->stride, w, h, 16, out, stride);
        else if (w % 8 == 0) copy_rows(p->src, p->stride, w, h, 8, out, stride);
        else copy_rows(p->src, p->stride, w, h, 4, out, stride);
    } else if (whole) {
        if (w % 16 == 0) mean_rows(&p[0], &p[1], w, h, 16, out, stride);
        else if (w % 8 == 0) mean_rows(&p[0], &p[1], w, h, 8, out, stride);
        else mean_rows(&p[0], &p[1], w, h, 4, out, stride);
    } else if (d->info.bit_depth == 8) narrow(p, count, plane == 0, w, h, out, stride);
    else wide(p, count, plane == 0, w, h, (1 << d->info.bit_depth) - 1, out, stride);
}

/* w x h luma samples, and their chroma, of cells with the motion of this one */
static void inter_area(const nrv_decoder *d, nrv_canvas *c, const nrv_cell *cell, int lx, int ly, int w, int h) {
    const nrv_canvas *ref[2];
    nrv_vector v[2];
    int count = 0;
    for (int r = 0; r < 2; r++)
        if (cell->direction >> r & 1) {
            ref[count] = c->reference[r];
            v[count++] = cell->v[r];
        }
    for (int p = 0; p < d->info.planes; p++) {
        int sx = p && d->info.sub_x == 2, sy = p && d->info.sub_y == 2, x = lx >> sx, y = ly >> sy, pw = d->hybrid->plane_width[p];
        nrv_predict(d, ref, v, count, p, x, y, w >> sx, h >> sy, c->plane[p] + (ptrdiff_t)y * pw + x, pw);
    }
}

void nrv_inter_leaf(const nrv_decoder *d, nrv_canvas *c, const nrv_leaf *l) {
    const nrv_cell *cell = c->cells + (ptrdiff_t)(l->y >> 3) * d->hybrid->cells_x + (l->x >> 3);
    int w = 1 << l->log2w, h = 1 << l->log2h;
    if (!l->affine) {
        inter_area(d, c, cell, l->x, l->y, w, h);
        return;
    }
    /* by cells; those side by side with the same motion at once */
    for (int y = 0; y < h; y += 8, cell += d->hybrid->cells_x)
        for (int x = 0, n; x < w; x += n) {
            for (n = 8; x + n < w && !nrv_differ(&cell[x >> 3], &cell[(x + n) >> 3]); ) n += 8;
            inter_area(d, c, &cell[x >> 3], l->x + x, l->y + y, n, 8);
        }
}
