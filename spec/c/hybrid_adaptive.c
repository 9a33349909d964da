/* hybrid_adaptive.c: the adaptive filters (8.8). */
#include "core.h"

#define PAD 4   /* samples around the copy of a plane */

static const int8_t LUMA_AT[12][2] = {{0, 1}, {0, 2}, {0, 3}, {1, -2}, {1, -1}, {1, 0}, {1, 1}, {1, 2}, {2, -1}, {2, 0}, {2, 1}, {3, 0}};
static const int8_t CHROMA_AT[6][2] = {{0, 1}, {0, 2}, {1, -1}, {1, 0}, {1, 1}, {2, 0}};

/* The plane with its border repeated, so that no coordinate has to be clipped. */
static const uint16_t *padded(const uint16_t *s, int w, int h, uint16_t *copy) {
    ptrdiff_t stride = w + 2 * PAD;
    for (int y = -PAD; y < h + PAD; y++) {
        const uint16_t *from = s + (ptrdiff_t)nrv_clip(0, h - 1, y) * w;
        uint16_t *to = copy + (y + PAD) * stride;
        for (int x = 0; x < PAD; x++) to[x] = from[0];
        memcpy(to + PAD, from, (size_t)w * sizeof *to);
        for (int x = 0; x < PAD; x++) to[PAD + w + x] = from[w - 1];
    }
    return copy + PAD * stride + PAD;
}

/* Sums of |..| of 8.8 over cells of 4 x 4 samples: vertical, horizontal, falling, rising. The window
 * of a block is four cells, which begin two samples above and left of it. */
typedef struct strip { int32_t sum[4][18]; } strip;

/* A row of `cells` cells from s on. */
static void cell_sums(const uint16_t *s, ptrdiff_t stride, int cells, strip *out) {
    /* Only x + y even counts, in two rows of each column, so a column adds at most 2 * 4 * 4095. */
    static const int16_t even[2][8] = {{-1, 0, -1, 0, -1, 0, -1, 0}, {0, -1, 0, -1, 0, -1, 0, -1}};
    int16_t sum[4][72];
    for (int x = 0; x < 4 * cells; x += 8) {
        int16_t v[8] = {0}, h[8] = {0}, f[8] = {0}, r[8] = {0};
        const int16_t *t = (const int16_t *)s + x;
        for (int y = 0; y < 4; y++, t += stride) {
            const int16_t *m = even[y & 1];
            for (int i = 0; i < 8; i++) {
                int16_t c2 = (int16_t)(2 * t[i]);
                int16_t dv = (int16_t)(c2 - t[i - stride] - t[i + stride]), dh = (int16_t)(c2 - t[i - 1] - t[i + 1]);
                int16_t df = (int16_t)(c2 - t[i - stride - 1] - t[i + stride + 1]), dr = (int16_t)(c2 - t[i - stride + 1] - t[i + stride - 1]);
                v[i] = (int16_t)(v[i] + ((dv < 0 ? -dv : dv) & m[i]));
                h[i] = (int16_t)(h[i] + ((dh < 0 ? -dh : dh) & m[i]));
                f[i] = (int16_t)(f[i] + ((df < 0 ? -df : df) & m[i]));
                r[i] = (int16_t)(r[i] + ((dr < 0 ? -dr : dr) & m[i]));
            }
        }
        memcpy(sum[0] + x, v, sizeof v);
        memcpy(sum[1] + x, h, sizeof h);
        memcpy(sum[2] + x, f, sizeof f);
        memcpy(sum[3] + x, r, sizeof r);
    }
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < cells; i++)
            out->sum[k][i] = sum[k][4 * i] + sum[k][4 * i + 1] + sum[k][4 * i + 2] + sum[k][4 * i + 3];
}

/* The class of block i of a row of blocks, from the cells above and below */
static int class_of(const strip *above, const strip *below, int i, int extra) {
    static const uint8_t activity[16] = {0, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4};
#define WINDOW(k) above->sum[k][i] + above->sum[k][i + 1] + below->sum[k][i] + below->sum[k][i + 1]
    int32_t vertical = WINDOW(0), horizontal = WINDOW(1), falling = WINDOW(2), rising = WINDOW(3);
#undef WINDOW
    int64_t a = nrv_max(vertical, horizontal), b = nrv_min(vertical, horizontal);
    int64_t c = nrv_max(falling, rising), e = nrv_min(falling, rising);
    int kind = 0;
    if (a * e >= c * b) {
        if (a > 2 * b) kind = vertical > horizontal ? 1 : 2;
    } else if (c > 2 * e) kind = falling > rising ? 3 : 4;
    return 5 * kind + activity[nrv_min(15, (vertical + horizontal) >> (5 + extra))];
}

typedef struct columns { int16_t tap[12][64]; } columns;  /* the taps of each column of a root block */

/* w x h samples, w a multiple of chunk. If the sums over each half of the taps fit in 16 bits (small), so
 * does their mean, and (sum + 64) >> 7 is (mean + 32) >> 6. */
NRV_INLINE void run(const uint16_t *restrict s, ptrdiff_t stride, uint16_t *restrict out, ptrdiff_t out_stride, int w, int h,
                    const columns *restrict c, const int8_t (*at)[2], int taps, int chunk, bool small, int peak) {
    ptrdiff_t off[12];
    for (int k = 0; k < taps; k++) off[k] = at[k][0] * stride + at[k][1];
    for (int y = 0; y < h; y++, s += stride, out += out_stride)
        for (int x = 0; x < w; x += chunk) {
#define TAP(k) c->tap[k][x + i] * (int16_t)(s[x + i + off[k]] + s[x + i - off[k]] - 2 * s[x + i])
            if (small)
                for (int i = 0; i < chunk; i++) {
                    int16_t a, b;
                    if (taps == 12) {
                        a = (int16_t)(TAP(0) + TAP(1) + TAP(2) + TAP(3) + TAP(4) + TAP(8));
                        b = (int16_t)(TAP(5) + TAP(6) + TAP(7) + TAP(9) + TAP(10) + TAP(11));
                    } else {
                        a = (int16_t)(TAP(0) + TAP(1) + TAP(2));
                        b = (int16_t)(TAP(3) + TAP(4) + TAP(5));
                    }
                    int16_t mean = (int16_t)((a & b) + ((a ^ b) >> 1));
                    mean = mean > 32767 - 32 ? 32767 - 32 : mean;
                    int16_t v = (int16_t)(s[x + i] + ((int16_t)(mean + 32) >> 6));
                    v = v < 0 ? 0 : v;
                    out[x + i] = (uint16_t)(v > peak ? peak : v);
                }
            else
                for (int i = 0; i < chunk; i++) {
                    int32_t sum = 64 + TAP(0) + TAP(1) + TAP(2) + TAP(3) + TAP(4) + TAP(5);
                    if (taps == 12) sum += TAP(6) + TAP(7) + TAP(8) + TAP(9) + TAP(10) + TAP(11);
                    out[x + i] = (uint16_t)nrv_clip(0, peak, s[x + i] + (sum >> 7));
                }
#undef TAP
        }
}

static void rows(const uint16_t *s, ptrdiff_t stride, uint16_t *out, ptrdiff_t out_stride, int w, int h, const columns *tap,
                 bool luma, bool small, int peak) {
    if (!small) {
        if (luma) run(s, stride, out, out_stride, w, h, tap, LUMA_AT, 12, 4, false, peak);
        else run(s, stride, out, out_stride, w, h, tap, CHROMA_AT, 6, 4, false, peak);
    } else if (w % 16 == 0) {
        if (luma) run(s, stride, out, out_stride, w, h, tap, LUMA_AT, 12, 16, true, peak);
        else run(s, stride, out, out_stride, w, h, tap, CHROMA_AT, 6, 16, true, peak);
    } else {
        if (luma) run(s, stride, out, out_stride, w, h, tap, LUMA_AT, 12, 4, true, peak);
        else run(s, stride, out, out_stride, w, h, tap, CHROMA_AT, 6, 4, true, peak);
    }
}

/* Whether 16 bits hold the sums of both halves of the taps, in all filters. */
static bool small_taps(const nrv_filters *f, int taps, int peak) {
    for (int k = 0; k < f->count; k++) {
        int32_t sum[2] = {0, 0};
        for (int i = 0; i < taps; i++) sum[taps == 12 ? i >= 5 && i != 8 : i >= 3] += nrv_abs(f->tap[k][i]);
        if (nrv_max(sum[0], sum[1]) * 2 * peak > 32767) return false;
    }
    return true;
}

static void spread(const int8_t *tap, int taps, int x, int w, columns *to) {
    for (int k = 0; k < taps; k++)
        for (int i = x; i < x + w; i++) to->tap[k][i] = tap[k];
}

void nrv_adapt(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    int peak = (1 << d->info.bit_depth) - 1, extra = d->info.bit_depth - 8;
    columns tap;
    for (int p = 0; p < d->info.planes; p++) {
        const nrv_filters *f = &h->filters[p];
        if (!f->used) continue;
        int w = h->plane_width[p], ph = h->plane_height[p], rw = p ? 64 / d->info.sub_x : 64, rh = p ? 64 / d->info.sub_y : 64;
        int taps = p ? 6 : 12;
        bool small = small_taps(f, taps, peak);
        ptrdiff_t stride = w + 2 * PAD;
        const uint16_t *s = padded(c->plane[p], w, ph, h->copy);
        if (f->count == 1) spread(f->tap[0], taps, 0, 64, &tap);
        for (int ry = 0; ry < h->roots_y; ry++)
            for (int rx = 0; rx < h->roots_x; rx++) {
                if (!f->on[ry * h->roots_x + rx]) continue;
                int x0 = rx * rw, y0 = ry * rh, x1 = nrv_min(w, x0 + rw), y1 = nrv_min(ph, y0 + rh), n = x1 - x0;
                const uint16_t *from = s + y0 * stride + x0;
                uint16_t *to = c->plane[p] + (ptrdiff_t)y0 * w + x0;
                if (f->count == 1) {
                    rows(from, stride, to, w, n, y1 - y0, &tap, p == 0, small, peak);
                    continue;
                }
                strip cells[2];
                cell_sums(from - 2 * stride - 2, stride, n / 4 + 2, &cells[0]);
                for (int y = 0; y < y1 - y0; y += 4, from += 4 * stride, to += 4 * (ptrdiff_t)w) {
                    const strip *above = &cells[y >> 2 & 1], *below = &cells[~y >> 2 & 1];
                    cell_sums(from + 2 * stride - 2, stride, n / 4 + 2, &cells[~y >> 2 & 1]);
                    for (int i = 0; i < n / 4; i++) spread(f->tap[f->number[class_of(above, below, i, extra)]], taps, 4 * i, 4, &tap);
                    rows(from, stride, to, w, n, 4, &tap, true, small, peak);
                }
            }
    }
}
