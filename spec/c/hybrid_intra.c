/* hybrid_intra.c: intra prediction and reconstruction of intra leaves (8.4, 8.1). */
#include "core.h"

static const int8_t ANGLE[35] = {0, 0, 32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26, -32,
                                 -26, -21, -17, -13, -9, -5, -2, 0, 2, 5, 9, 13, 17, 21, 26, 32};

static int32_t inverse(int angle) {
    static const int16_t value[33] = {[2] = -4096, [5] = -1638, [9] = -910, [13] = -630, [17] = -482,
                                      [21] = -390, [26] = -315, [32] = -256};
    return value[angle < 0 ? -angle : angle];
}

typedef struct planes {
    nrv_hybrid *h;
    nrv_canvas *c;
    int32_t bit_depth, peak, sub_x, sub_y;
} planes;

/* The sequence left[m] .. left[0] = top[0] .. top[m] in e[0..2m], m = w + h. */
static void edges(const planes *t, int plane, int x, int y, int m, int32_t *e) {
    int w = t->h->plane_width[plane], h = t->h->plane_height[plane], dw = w >> 2;
    const uint16_t *s = t->c->plane[plane] + (ptrdiff_t)y * w + x;
    const uint8_t *done = t->h->done[plane];
    int known = -1;   /* entries before it are filled */
    int32_t value = 1 << (t->bit_depth - 1);
    for (int k = m; k > 0; k -= 4) {              /* left[k] .. left[k-3] */
        int row = y + k - 4;
        bool ok = x > 0 && row < h && done[(row >> 2) * (ptrdiff_t)dw + ((x - 1) >> 2)];
        for (int i = 0; i < 4; i++) {
            int at = m - k + i;
            if (ok) {
                value = s[(ptrdiff_t)(k - 1 - i) * w - 1];
                if (known < 0) {
                    known = at;
                    for (int j = 0; j < at; j++) e[j] = value;
                }
            }
            e[at] = value;
        }
    }
    if (x > 0 && y > 0 && done[((y - 1) >> 2) * (ptrdiff_t)dw + ((x - 1) >> 2)]) {
        value = s[-(ptrdiff_t)w - 1];
        if (known < 0) {
            known = m;
            for (int j = 0; j < m; j++) e[j] = value;
        }
    }
    e[m] = value;
    for (int k = 0; k < m; k += 4) {              /* top[k+1] .. top[k+4] */
        bool ok = y > 0 && x + k < w && done[((y - 1) >> 2) * (ptrdiff_t)dw + ((x + k) >> 2)];
        for (int i = 0; i < 4; i++) {
            int at = m + 1 + k + i;
            if (ok) {
                value = s[k + i - (ptrdiff_t)w];
                if (known < 0) {
                    known = at;
                    for (int j = 0; j < at; j++) e[j] = value;
                }
            }
            e[at] = value;
        }
    }
}

/* No shift exceeds 31: k is below 8 where it is doubled, below 32 elsewhere. */
NRV_INLINE int32_t weight(int k, int class) { return 32 >> ((2 * k) >> ((class - 1) >> 1)); }

static void predict(const planes *t, int plane, int x, int y, int log2w, int log2h, int mode, uint16_t *restrict out) {
    int w = 1 << log2w, h = 1 << log2h, m = w + h, class = (log2w + log2h) >> 1, peak = t->peak;
    int32_t raw[129 + 1], soft[129 + 1], *e = raw;
    int32_t near[32];          /* weight() */
    edges(t, plane, x, y, m, e);
    bool smooth = false;
    if (plane == 0 && class >= 3 && mode != 1) {
        int away = nrv_min(nrv_abs(mode - 10), nrv_abs(mode - 26));
        smooth = mode == 0 || away > (class == 3 ? 7 : class == 4 ? 1 : 0);
    }
    if (smooth) {
        soft[0] = e[0];
        soft[2 * m] = e[2 * m];
        for (int i = 1; i < 2 * m; i++) soft[i] = (e[i - 1] + 2 * e[i] + e[i + 1] + 2) >> 2;
        e = soft;
    }
    const int32_t *top = e + m, *left = e + m;   /* top[k], left[-k] */
    int longer = nrv_max(log2w, log2h);
    for (int k = 0; k < 1 << longer; k++) near[k] = weight(k, class);
    if (mode <= 1) {
        int32_t dc = m >> 1;
        for (int k = 1; k <= h; k++) dc += left[-k];
        for (int k = 1; k <= w; k++) dc += top[k];
        dc = w == h ? dc >> (log2w + 1) : dc / m;
        /* planar: numerator and denominator are both divided by the shorter side */
        int by_h = longer - log2w, by_w = longer - log2h;
        int32_t right = top[w + 1] * (1 << by_h);
        for (int i = 0; i < h; i++) {
            int32_t at_left = left[-1 - i], a = at_left * (1 << by_h), c = (h - 1 - i) << by_w;
            int32_t d = ((i + 1) * left[-h - 1]) * (1 << by_w) + (1 << longer);
            for (int j = 0; j < w; j++) {
                int32_t v = dc;
                if (mode == 0) v = ((w - 1 - j) * a + (j + 1) * right + c * top[1 + j] + d) >> (longer + 1);
                out[i * w + j] = (uint16_t)(v + ((near[j] * (at_left - v) + near[i] * (top[1 + j] - v) + 32) >> 6));
            }
        }
        return;
    }
    bool across = mode < 18;   /* main = left: i and j exchanged */
    int angle = ANGLE[mode], side_length = across ? w : h, length = across ? h : w;
    int32_t line[32 + 65 + 2], *ref = line + 32;
    for (int k = 0; k <= m; k++) ref[k] = across ? left[-k] : top[k];
    ref[m + 1] = ref[m];
    if (angle < 0) {
        int32_t inv = inverse(angle);
        for (int k = -side_length; k < 0; k++) {
            int at = nrv_min(side_length, (k * inv + 128) >> 8);
            ref[k] = across ? top[at] : left[-at];
        }
    }
    uint16_t turned[32 * 32], *to = across ? turned : out;
    if (angle == 0) {
        int32_t corner = e[m];
        for (int i = 0; i < side_length; i++, to += length) {
            int32_t side = across ? top[1 + i] : left[-1 - i];
            for (int j = 0; j < length; j++)
                to[j] = (uint16_t)nrv_clip(0, peak, ref[1 + j] + ((near[j] * (side - corner) + 32) >> 6));
        }
    } else {
        for (int i = 0; i < side_length; i++, to += length) {
            int p = ((i + 1) * angle) >> 5, f = ((i + 1) * angle) & 31;
            const int32_t *s = ref + p;
            if (f == 0)
                for (int j = 0; j < length; j++) to[j] = (uint16_t)s[j + 1];
            else if (plane == 0 && !smooth) {
                const int8_t *c = NRV_CUBIC + 4 * f;
                for (int j = 0; j < length; j++)
                    to[j] = (uint16_t)nrv_clip(0, peak, (c[0] * s[j] + c[1] * s[j + 1] + c[2] * s[j + 2] + c[3] * s[j + 3] + 32) >> 6);
            } else
                for (int j = 0; j < length; j++) to[j] = (uint16_t)(((32 - f) * s[j + 1] + f * s[j + 2] + 16) >> 5);
        }
    }
    if (across)
        for (int i = 0; i < h; i++)
            for (int j = 0; j < w; j++) out[i * w + j] = turned[j * h + i];
}

/* D(a, b) of chroma from luma */
NRV_INLINE int32_t luma_at(const planes *t, int a, int b) {
    const uint16_t *l = t->c->plane[0];
    ptrdiff_t w = t->h->plane_width[0];
    if (t->sub_x == 1) return l[b * w + a];
    int32_t sum = 2 * t->sub_y;
    for (int r = 0; r < t->sub_y; r++) {
        const uint16_t *row = l + (t->sub_y * b + r) * w;
        sum += row[nrv_max(0, 2 * a - 1)] + 2 * row[2 * a] + row[2 * a + 1];
    }
    return sum >> (1 + t->sub_y);
}

static void from_luma(const planes *t, int plane, int x, int y, int log2w, int log2h, int mode, uint16_t *restrict out) {
    int w = 1 << log2w, h = 1 << log2h, extra = t->bit_depth - 8;
    ptrdiff_t stride = t->h->plane_width[plane];
    const uint16_t *s = t->c->plane[plane] + y * stride + x;
    int64_t sl = 0, sc = 0, sll = 0, slc = 0;
    bool with_left = x > 0 && mode != 37, with_top = y > 0 && mode != 36;
    if (!with_left && !with_top) {
        for (int i = 0; i < w * h; i++) out[i] = (uint16_t)(1 << (t->bit_depth - 1));
        return;
    }
    /* of both sides as many points as the shorter one has, of one all */
    bool both = with_left && with_top;
    int log2_points = both ? nrv_min(log2w, log2h) + 1 : with_left ? log2h : log2w;
    if (with_left)
        for (int i = 0, step = both && h > w ? h >> log2w : 1; i < h; i += step) {
            int64_t l = luma_at(t, x - 1, y + i), c = s[i * stride - 1];
            sl += l; sc += c; sll += l * l; slc += l * c;
        }
    if (with_top)
        for (int i = 0, step = both && w > h ? w >> log2h : 1; i < w; i += step) {
            int64_t l = luma_at(t, x + i, y - 1), c = s[i - stride];
            sl += l; sc += c; sll += l * l; slc += l * c;
        }
    int64_t points = 1 << log2_points;
    int64_t size = points * sll - sl * sl + ((2 * points * points) << (2 * extra));
    int32_t slope = (int32_t)nrv_clip64(-2048, 2047, nrv_floor_div((points * slc - sl * sc) * 256, size));
    int32_t add = (int32_t)(256 * sc + 128 * points);
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++)
            out[i * w + j] = (uint16_t)nrv_clip(0, t->peak, (slope * ((int32_t)points * luma_at(t, x + j, y + i) - (int32_t)sl) + add) >> (8 + log2_points));
}

/* A block of a copied leaf, which is a square: the samples at (x + dx, y + dy), where they are reconstructed. */
static void copied(const planes *t, int plane, int x, int y, int n, int dy, int dx, uint16_t *out) {
    int w = t->h->plane_width[plane], h = t->h->plane_height[plane];
    const uint16_t *s = t->c->plane[plane];
    const uint8_t *done = t->h->done[plane];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int row = y + dy + i, column = x + dx + j;
            bool ok = row >= 0 && column >= 0 && row < h && column < w && done[(ptrdiff_t)(row >> 2) * (w >> 2) + (column >> 2)];
            *out++ = ok ? s[(ptrdiff_t)row * w + column] : (uint16_t)(1 << (t->bit_depth - 1));
        }
}

/* Predicts a block, adds its unit if it has one, and marks it as reconstructed. */
static void block(const planes *t, const nrv_leaf *l, int plane, int x, int y, int log2w, int log2h, int mode, bool unit) {
    uint16_t predicted[32 * 32];
    int w = 1 << log2w, h = 1 << log2h;
    ptrdiff_t stride = t->h->plane_width[plane];
    if (mode == 38) {
        int sx = plane ? t->sub_x : 1, sy = plane ? t->sub_y : 1;
        copied(t, plane, x, y, w, l->d[0][0] >> (sy - 1), l->d[0][1] >> (sx - 1), predicted);
    } else if (mode >= 35 && mode < 38) from_luma(t, plane, x, y, log2w, log2h, mode, predicted);
    else if (mode < 35) predict(t, plane, x, y, log2w, log2h, mode, predicted);
    uint16_t *to = t->c->plane[plane] + y * stride + x;
    const int16_t *add = t->h->residual[plane] + y * stride + x;
    const uint16_t *from = predicted;
    for (int i = 0; i < h; i++, to += stride, add += stride, from += w) {
        if (mode == 39) for (int j = 0; j < w; j++) to[j] = (uint16_t)add[j];   /* 7.9 */
        else if (unit) for (int j = 0; j < w; j++) to[j] = (uint16_t)nrv_clip(0, t->peak, from[j] + add[j]);
        else memcpy(to, from, (size_t)w * sizeof *to);
    }
    uint8_t *done = t->h->done[plane] + (y >> 2) * (stride >> 2) + (x >> 2);
    for (int i = 0; i < h >> 2; i++, done += stride >> 2) memset(done, 1, (size_t)(w >> 2));
}

void nrv_intra_leaves(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    planes t = {h, c, d->info.bit_depth, (1 << d->info.bit_depth) - 1, d->info.sub_x, d->info.sub_y};
    bool any = false;
    for (int p = 0; p < d->info.planes; p++)
        memset(h->done[p], c->set != 0, (size_t)(h->plane_width[p] >> 2) * (size_t)(h->plane_height[p] >> 2));
    for (uint32_t k = 0; k < h->leaf_count; k++) {
        const nrv_leaf *l = &h->leaves[k];
        if (!l->intra) continue;
        any = true;
        if (c->set == 0) continue;
        for (int p = 0; p < d->info.planes; p++) {
            int sx = p ? t.sub_x : 1, sy = p ? t.sub_y : 1;
            ptrdiff_t w = h->plane_width[p] >> 2;
            uint8_t *done = h->done[p] + (l->y / sy >> 2) * w + (l->x / sx >> 2);
            for (int i = 0; i < (1 << l->log2h) / sy >> 2; i++, done += w) memset(done, 0, (size_t)((1 << l->log2w) / sx >> 2));
        }
    }
    if (!any) return;
    for (uint32_t k = 0; k < h->leaf_count; k++) {
        const nrv_leaf *l = &h->leaves[k];
        if (!l->intra) continue;
        for (int i = 0; i < nrv_luma_blocks(l); i++) {
            nrv_rectangle b = nrv_luma_block(l, i);
            block(&t, l, 0, b.x, b.y, b.log2w, b.log2h, l->mode[i], l->luma_units >> i & 1);
        }
        int log2w = l->log2w - (t.sub_x - 1), log2h = l->log2h - (t.sub_x - 1);
        for (int p = 1; p < d->info.planes; p++)
            for (int i = 0; i < h->unit_parts; i++)
                block(&t, l, p, l->x / t.sub_x, l->y / t.sub_y + (i << log2h), log2w, log2h, l->chroma_mode,
                      (p == 1 ? l->cb_units : l->cr_units) >> i & 1);
    }
}
