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

static int class_of(const uint16_t *s, ptrdiff_t stride, int extra) {
    static const uint8_t activity[16] = {0, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4};
    /* Only x + y even counts; blocks begin at multiples of 4. A column of the window adds four
     * values of at most 4 * 4095, which fits in 16 bits. */
    static const uint16_t even[2][8] = {{0xFFFF, 0, 0xFFFF, 0, 0xFFFF, 0, 0xFFFF, 0}, {0, 0xFFFF, 0, 0xFFFF, 0, 0xFFFF, 0, 0xFFFF}};
    uint16_t v[8] = {0}, h[8] = {0}, f[8] = {0}, r[8] = {0};
    const int16_t *t = (const int16_t *)s - 2 * stride - 2;
    for (int y = 0; y < 8; y++, t += stride) {
        const uint16_t *m = even[y & 1];
        for (int i = 0; i < 8; i++) {
            int16_t c2 = (int16_t)(2 * t[i]);
            int16_t dv = (int16_t)(c2 - t[i - stride] - t[i + stride]), dh = (int16_t)(c2 - t[i - 1] - t[i + 1]);
            int16_t df = (int16_t)(c2 - t[i - stride - 1] - t[i + stride + 1]), dr = (int16_t)(c2 - t[i - stride + 1] - t[i + stride - 1]);
            v[i] = (uint16_t)(v[i] + ((dv < 0 ? -dv : dv) & m[i]));
            h[i] = (uint16_t)(h[i] + ((dh < 0 ? -dh : dh) & m[i]));
            f[i] = (uint16_t)(f[i] + ((df < 0 ? -df : df) & m[i]));
            r[i] = (uint16_t)(r[i] + ((dr < 0 ? -dr : dr) & m[i]));
        }
    }
    int32_t vertical = 0, horizontal = 0, falling = 0, rising = 0;
    for (int i = 0; i < 8; i++) { vertical += v[i]; horizontal += h[i]; falling += f[i]; rising += r[i]; }
    int64_t a = nrv_max(vertical, horizontal), b = nrv_min(vertical, horizontal);
    int64_t c = nrv_max(falling, rising), e = nrv_min(falling, rising);
    int kind = 0;
    if (a * e >= c * b) {
        if (a > 2 * b) kind = vertical > horizontal ? 1 : 2;
    } else if (c > 2 * e) kind = falling > rising ? 3 : 4;
    return 5 * kind + activity[nrv_min(15, (vertical + horizontal) >> (5 + extra))];
}

/* w x h samples, w a multiple of 4 */
NRV_INLINE void run(const uint16_t *restrict s, ptrdiff_t stride, uint16_t *restrict out, ptrdiff_t out_stride, int w, int h,
                    const int8_t *tap, const int8_t (*at)[2], int taps, int chunk, int peak) {
    ptrdiff_t off[12];
    for (int k = 0; k < taps; k++) off[k] = at[k][0] * stride + at[k][1];
    for (int y = 0; y < h; y++, s += stride, out += out_stride)
        for (int x = 0; x < w; x += chunk) {
#define TAP(k) tap[k] * (s[x + i + off[k]] + s[x + i - off[k]] - 2 * s[x + i])
            int32_t sum[8];
            for (int i = 0; i < chunk; i++) sum[i] = 64 + TAP(0) + TAP(1) + TAP(2) + TAP(3) + TAP(4) + TAP(5);
            if (taps == 12)
                for (int i = 0; i < chunk; i++) sum[i] += TAP(6) + TAP(7) + TAP(8) + TAP(9) + TAP(10) + TAP(11);
#undef TAP
            for (int i = 0; i < chunk; i++) out[x + i] = (uint16_t)nrv_clip(0, peak, s[x + i] + (sum[i] >> 7));
        }
}

void nrv_adapt(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    int peak = (1 << d->info.bit_depth) - 1, extra = d->info.bit_depth - 8;
    for (int p = 0; p < d->info.planes; p++) {
        const nrv_filters *f = &h->filters[p];
        if (!f->used) continue;
        int w = h->plane_width[p], ph = h->plane_height[p], rw = p ? 64 / d->info.sub_x : 64, rh = p ? 64 / d->info.sub_y : 64;
        ptrdiff_t stride = w + 2 * PAD;
        const uint16_t *s = padded(c->plane[p], w, ph, h->copy);
        for (int ry = 0; ry < h->roots_y; ry++)
            for (int rx = 0; rx < h->roots_x; rx++) {
                if (!f->on[ry * h->roots_x + rx]) continue;
                int x0 = rx * rw, y0 = ry * rh, x1 = nrv_min(w, x0 + rw), y1 = nrv_min(ph, y0 + rh);
                if (p) {
                    run(s + y0 * stride + x0, stride, c->plane[p] + (ptrdiff_t)y0 * w + x0, w, x1 - x0, y1 - y0, f->tap[0], CHROMA_AT, 6, 4, peak);
                    continue;
                }
                if (f->count == 1) {
                    run(s + y0 * stride + x0, stride, c->plane[p] + (ptrdiff_t)y0 * w + x0, w, x1 - x0, y1 - y0, f->tap[0], LUMA_AT, 12, 8, peak);
                    continue;
                }
                for (int y = y0; y < y1; y += 4)
                    for (int x = x0; x < x1; x += 4) {
                        const uint16_t *at = s + y * stride + x;
                        run(at, stride, c->plane[p] + (ptrdiff_t)y * w + x, w, 4, 4, f->tap[f->number[class_of(at, stride, extra)]],
                            LUMA_AT, 12, 4, peak);
                    }
            }
    }
}
