/* hybrid_motion.c: merge lists, predicted vectors and inter prediction (8.2, 8.3). */
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

static bool same(nrv_vector a, nrv_vector b) { return a.y == b.y && a.x == b.x; }

static bool differ(const nrv_cell *a, const nrv_cell *b) {
    return a->direction != b->direction || ((a->direction & 1) && !same(a->v[0], b->v[0])) ||
           ((a->direction & 2) && !same(a->v[1], b->v[1]));
}

static int32_t median(int32_t a, int32_t b, int32_t c) {
    return nrv_max(nrv_min(a, b), nrv_min(nrv_max(a, b), c));
}

/* (2 * v * k + d) // (2 * d), |v| <= 8192, k < d <= 32 */
NRV_INLINE int16_t share(int32_t v, int32_t k, int32_t d) { return (int16_t)nrv_floor_div(2 * v * k + d, 2 * d); }

static nrv_projected projected(const nrv_cell *c, int list, int before, int after) {
    nrv_vector v = c->v[list];
    int d = before + after, own = list ? after : before, other = list ? before : after;
    nrv_projected p = {.there = 1};
    p.v[list] = (nrv_vector){share(v.y, own, d), share(v.x, own, d)};
    p.v[1 - list] = (nrv_vector){share(-v.y, other, d), share(-v.x, other, d)};
    return p;
}

/* Projected motion of an interior canvas with references a and b, `before` frames after a and `after` before b. */
void nrv_project(nrv_decoder *d, const nrv_canvas *a, const nrv_canvas *b, int before, int after) {
    nrv_hybrid *h = d->hybrid;
    int list = b->reference[0] == a ? 0 : 1;
    const nrv_cell *source = list ? a->cells : b->cells, *s = source;
    nrv_projected *to = h->projected;
    for (int i = 0; i < h->cells_x * h->cells_y; i++, s++) {
        if (s->direction >> list & 1) to[i] = projected(s, list, before, after);
        else to[i].there = 0;
    }
    s = source;
    for (int row = 0; row < h->cells_y; row++)
        for (int column = 0; column < h->cells_x; column++, s++) {
            if (!(s->direction >> list & 1)) continue;
            nrv_projected p = projected(s, list, before, after);
            nrv_vector t = p.v[1 - list];
            int y = (8 * row + 4 + (-t.y >> 2)) >> 3, x = (8 * column + 4 + (-t.x >> 2)) >> 3;
            if (y >= 0 && x >= 0 && y < h->cells_y && x < h->cells_x) to[(ptrdiff_t)y * h->cells_x + x] = p;
        }
}

static void merged(const view *v, const nrv_leaf *l, int set, nrv_cell *out) {
    int x = l->x, y = l->y, n = 1 << l->size, count = 0;
    const int at[5][2] = {{x - 1, y + n - 1}, {x + n - 1, y - 1}, {x + n, y - 1}, {x - 1, y + n}, {x - 1, y - 1}};
    const nrv_cell *list[5];
    for (int i = 0; i < 5; i++) {
        const nrv_cell *c = available(v, at[i][0], at[i][1]);
        bool add = c != NULL;
        for (int k = 0; add && k < count; k++) add = differ(c, list[k]);
        if (add) list[count++] = c;
    }
    nrv_cell own[2];
    for (int i = 0; set == 2 && i < 2 && count < 5; i++) {
        int px = x + (i ? n / 2 : n), py = y + (i ? n / 2 : n);
        if (px >= v->h->coded_width || py >= v->h->coded_height) continue;
        const nrv_projected *p = v->h->projected + (ptrdiff_t)(py >> 3) * v->h->cells_x + (px >> 3);
        if (!p->there) continue;
        own[i] = (nrv_cell){.direction = 3, .v = {p->v[0], p->v[1]}};
        bool add = true;
        for (int k = 0; add && k < count; k++) add = differ(&own[i], list[k]);
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

static void predicted(const view *v, const nrv_leaf *l, int set, nrv_cell *out) {
    int x = l->x, y = l->y, n = 1 << l->size;
    const nrv_cell *near[3] = {available(v, x - 1, y), available(v, x, y - 1), available(v, x + n, y - 1)};
    if (!near[2]) near[2] = available(v, x - 1, y - 1);
    int count = (near[0] != NULL) + (near[1] != NULL) + (near[2] != NULL);
    out->direction = l->direction;
    for (int r = 0; r < 2; r++) {
        if (!(l->direction >> r & 1)) continue;
        int32_t py = 0, px = 0;
        if (count == 1) {
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

void nrv_motion_vectors(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    view v = {h, c->cells, 0};
    for (uint32_t i = 0; i < h->leaf_count; i++) {
        const nrv_leaf *l = &h->leaves[i];
        if (l->intra) continue;
        v.leaf = i + 1;
        nrv_cell *at = c->cells + (ptrdiff_t)(l->y >> 3) * h->cells_x + (l->x >> 3), own = *at;
        if (l->merge) merged(&v, l, c->set, &own);
        else predicted(&v, l, c->set, &own);
        for (int k = 0; k < 1 << (l->size - 3); k++, at += h->cells_x)
            for (int j = 0; j < 1 << (l->size - 3); j++) at[j] = own;
    }
}

/* ---- 8.3 ---- */

static const int16_t LUMA_TAPS[4][8] = {{0, 0, 0, 64, 0, 0, 0, 0}, {-1, 4, -10, 58, 17, -5, 1, 0},
                                        {-1, 4, -11, 40, 40, -11, 4, -1}, {0, 1, -5, 17, 58, -10, 4, -1}};
static const int16_t CHROMA_TAPS[8][4] = {{0, 64, 0, 0}, {-2, 58, 10, -2}, {-4, 54, 16, -2}, {-6, 46, 28, -4},
                                          {-4, 36, 36, -4}, {-4, 28, 46, -6}, {-2, 16, 54, -4}, {-2, 10, 58, -2}};

#define WIDE 72   /* samples of a row of the fetched area: 64 + 7, rounded up */

/* Sum over the taps, `step` apart; count, 4 or 8, is a constant where this stands. */
#define SUM(type, s, step) (count == 8 ? \
    (type)(taps[0] * (s)[0] + taps[1] * (s)[step] + taps[2] * (s)[2 * (step)] + taps[3] * (s)[3 * (step)] + \
           taps[4] * (s)[4 * (step)] + taps[5] * (s)[5 * (step)] + taps[6] * (s)[6 * (step)] + taps[7] * (s)[7 * (step)]) : \
    (type)(taps[0] * (s)[0] + taps[1] * (s)[step] + taps[2] * (s)[2 * (step)] + taps[3] * (s)[3 * (step)]))

/* One pass over w columns, a multiple of chunk. With 8 bits its sums fit in 16 bits. */
NRV_INLINE void pass_narrow(const uint16_t *restrict src, ptrdiff_t stride, ptrdiff_t step, const int16_t *restrict taps,
                            int count, int w, int h, int chunk, int16_t *restrict out) {
    for (int y = 0; y < h; y++, src += stride, out += WIDE)
        for (int x = 0; x < w; x += chunk) {
            const int16_t *s = (const int16_t *)src + x;
            for (int i = 0; i < chunk; i++) out[x + i] = SUM(int16_t, s + i, step);
        }
}

NRV_INLINE void pass_wide(const uint16_t *restrict src, ptrdiff_t stride, ptrdiff_t step, const int16_t *restrict taps,
                          int count, int w, int h, int chunk, int32_t *restrict out) {
    for (int y = 0; y < h; y++, src += stride, out += WIDE)
        for (int x = 0; x < w; x += chunk) {
            const int16_t *s = (const int16_t *)src + x;
            for (int i = 0; i < chunk; i++) out[x + i] = SUM(int32_t, s + i, step);
        }
}

NRV_INLINE void second_narrow(const int16_t *restrict first, const int16_t *restrict taps, int count, int w, int h, int chunk,
                              int32_t *restrict out) {
    for (int y = 0; y < h; y++, first += WIDE, out += w)
        for (int x = 0; x < w; x += chunk)
            for (int i = 0; i < chunk; i++) out[x + i] = SUM(int32_t, first + x + i, WIDE) >> 6;
}

NRV_INLINE void second_wide(const int32_t *restrict first, const int16_t *restrict taps, int count, int w, int h, int chunk,
                            int32_t *restrict out) {
    for (int y = 0; y < h; y++, first += WIDE, out += w)
        for (int x = 0; x < w; x += chunk)
            for (int i = 0; i < chunk; i++) out[x + i] = SUM(int32_t, first + x + i, WIDE) >> 6;
}

/* src is at (-c0, -c0) of the area, c0 the taps before the sample */
NRV_INLINE void displaced(const uint16_t *restrict src, ptrdiff_t stride, int w, int h, const int16_t *tx, const int16_t *ty,
                          int count, int chunk, bool narrow, int32_t *restrict out) {
    int c0 = count / 2 - 1;
    if (!tx && !ty) {
        src += c0 * stride + c0;
        for (int y = 0; y < h; y++, src += stride, out += w)
            for (int x = 0; x < w; x += chunk)
                for (int i = 0; i < chunk; i++) out[x + i] = 64 * src[x + i];
        return;
    }
    if (narrow) {
        int16_t first[WIDE * 71];
        if (tx && ty) {
            pass_narrow(src, stride, 1, tx, count, w, h + count - 1, chunk, first);
            second_narrow(first, ty, count, w, h, chunk, out);
            return;
        }
        if (tx) pass_narrow(src + c0 * stride, stride, 1, tx, count, w, h, chunk, first);
        else pass_narrow(src + c0, stride, stride, ty, count, w, h, chunk, first);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x += chunk)
                for (int i = 0; i < chunk; i++) out[y * w + x + i] = first[y * WIDE + x + i];
    } else {
        int32_t first[WIDE * 71];
        if (tx && ty) {
            pass_wide(src, stride, 1, tx, count, w, h + count - 1, chunk, first);
            second_wide(first, ty, count, w, h, chunk, out);
            return;
        }
        if (tx) pass_wide(src + c0 * stride, stride, 1, tx, count, w, h, chunk, first);
        else pass_wide(src + c0, stride, stride, ty, count, w, h, chunk, first);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x += chunk)
                for (int i = 0; i < chunk; i++) out[y * w + x + i] = first[y * WIDE + x + i];
    }
}

#define CASE(count, narrow, chunk) displaced(src, stride, w, h, tx, ty, count, chunk, narrow, out)
#define CHUNKS(count, narrow) do { \
    if (w % 16 == 0) CASE(count, narrow, 16); \
    else if (w % 8 == 0) CASE(count, narrow, 8); \
    else CASE(count, narrow, 4); } while (0)

/* w x h samples of a plane at (x, y), coordinates clipped: where they are, or a copy. */
static const uint16_t *fetch(const uint16_t *ref, int plane_w, int plane_h, int x, int y, int w, int h, uint16_t *area, ptrdiff_t *stride) {
    if (x >= 0 && y >= 0 && x + w <= plane_w && y + h <= plane_h) {
        *stride = plane_w;
        return ref + (ptrdiff_t)y * plane_w + x;
    }
    for (int i = 0; i < h; i++) {
        const uint16_t *row = ref + (ptrdiff_t)nrv_clip(0, plane_h - 1, y + i) * plane_w;
        for (int k = 0; k < w; k++) area[i * WIDE + k] = row[nrv_clip(0, plane_w - 1, x + k)];
    }
    *stride = WIDE;
    return area;
}

const uint16_t *nrv_whole(const uint16_t *ref, int plane_w, int plane_h, int x, int y, int w, int h,
                          int vy, int vx, bool luma, int sub_x, int sub_y, uint16_t *area, ptrdiff_t *stride) {
    int bx = luma || sub_x == 1 ? 2 : 3, by = luma || sub_y == 1 ? 2 : 3;
    if ((vx & ((1 << bx) - 1)) || (vy & ((1 << by) - 1))) return NULL;
    return fetch(ref, plane_w, plane_h, x + (vx >> bx), y + (vy >> by), w, h, area, stride);
}

void nrv_displaced(const uint16_t *restrict ref, int plane_w, int plane_h, int x, int y, int w, int h,
                   int vy, int vx, bool luma, int sub_x, int sub_y, bool narrow, int32_t *restrict out) {
    uint16_t area[WIDE * 71];
    int fx, fy, ix, iy, count = luma ? 8 : 4, c0 = luma ? 3 : 1;
    if (luma || sub_x == 1) { fx = vx & 3; ix = vx >> 2; if (!luma) fx *= 2; }
    else { fx = vx & 7; ix = vx >> 3; }
    if (luma || sub_y == 1) { fy = vy & 3; iy = vy >> 2; if (!luma) fy *= 2; }
    else { fy = vy & 7; iy = vy >> 3; }
    const int16_t *tx = fx ? (luma ? LUMA_TAPS[fx] : CHROMA_TAPS[fx]) : NULL;
    const int16_t *ty = fy ? (luma ? LUMA_TAPS[fy] : CHROMA_TAPS[fy]) : NULL;
    ptrdiff_t stride;
    const uint16_t *src = fetch(ref, plane_w, plane_h, x + ix - c0, y + iy - c0, w + count - 1, h + count - 1, area, &stride);
    if (luma) {
        if (narrow) CHUNKS(8, true);
        else CHUNKS(8, false);
    } else {
        if (narrow) CHUNKS(4, true);
        else CHUNKS(4, false);
    }
}

void nrv_inter_leaves(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    int32_t s[2][64 * 64];
    uint16_t area[2][WIDE * 71];
    int32_t peak = (1 << d->info.bit_depth) - 1;
    bool narrow = d->info.bit_depth == 8;
    for (uint32_t k = 0; k < h->leaf_count; k++) {
        const nrv_leaf *l = &h->leaves[k];
        if (l->intra) continue;
        const nrv_cell *cell = c->cells + (ptrdiff_t)(l->y >> 3) * h->cells_x + (l->x >> 3);
        for (int p = 0; p < d->info.planes; p++) {
            int sx = p ? d->info.sub_x : 1, sy = p ? d->info.sub_y : 1;
            int x = l->x / sx, y = l->y / sy, w = (1 << l->size) / sx, n = (1 << l->size) / sy;
            uint16_t *out = c->plane[p] + (ptrdiff_t)y * h->plane_width[p] + x;
            const uint16_t *whole[2] = {NULL, NULL};
            ptrdiff_t stride[2];
            for (int r = 0; r < 2; r++)
                if (cell->direction >> r & 1)
                    whole[r] = nrv_whole(c->reference[r]->plane[p], h->plane_width[p], h->plane_height[p], x, y, w, n,
                                         cell->v[r].y, cell->v[r].x, p == 0, sx, sy, area[r], &stride[r]);
            if (cell->direction == 3 && whole[0] && whole[1]) {
                const uint16_t *a = whole[0], *b = whole[1];
                for (int i = 0; i < n; i++, out += h->plane_width[p], a += stride[0], b += stride[1])
                    for (int j = 0; j < w; j++) out[j] = (uint16_t)((a[j] + b[j] + 1) >> 1);
                continue;
            }
            if (cell->direction != 3 && (whole[0] || whole[1])) {
                int r = cell->direction - 1;
                const uint16_t *a = whole[r];
                for (int i = 0; i < n; i++, out += h->plane_width[p], a += stride[r]) memcpy(out, a, (size_t)w * 2);
                continue;
            }
            for (int r = 0; r < 2; r++)
                if (cell->direction >> r & 1)
                    nrv_displaced(c->reference[r]->plane[p], h->plane_width[p], h->plane_height[p], x, y, w, n,
                                  cell->v[r].y, cell->v[r].x, p == 0, sx, sy, narrow, s[r]);
            const int32_t *a = cell->direction & 1 ? s[0] : s[1], *b = cell->direction & 2 ? s[1] : s[0];
            for (int i = 0; i < n; i++, out += h->plane_width[p], a += w, b += w)
                for (int j = 0; j < w; j++) out[j] = (uint16_t)nrv_clip(0, peak, (a[j] + b[j] + 64) >> 7);
        }
    }
}
