/* nirvana_render.c: rendering the nirvana network (clause 13). */
#include "nirvana.h"

enum { SOME = 16 };   /* patches at a time */

typedef struct work {
    uint32_t sums[SOME * W];
    int16_t first[SOME * W], second[SOME * W];
} work;

nrv_status nrv_nirvana_workspace(nrv_decoder *d, nrv_workspace *w) {
    nrv_status s = NRV_OK;
    (void)d;
    w->block = nrv_alloc(w->memory, sizeof(work), &s);
    return s;
}

/* h2 of patches x .. x + count - 1 of a row */
static void hidden(const nrv_nirvana *n, const nrv_layer *l, work *k, int y, int x, int count, int16_t *restrict out) {
    ptrdiff_t padded = (ptrdiff_t)(y + 1) * l->stride + x + 1;
    nrv_segment seg[10];
    int32_t bias[W];
    for (int u = 0; u < W; u++) bias[u] = NRV_N_B1[u] + n->cq * NRV_N_B1[W + u];
    for (int j = 0; j < 9; j++)
        seg[j] = (nrv_segment){l->input + (padded + (j / 3 - 1) * (ptrdiff_t)l->stride + j % 3 - 1) * F, F, N / 2};
    seg[9] = (nrv_segment){l->input + padded * F + N, F, (F - N) / 2};
    nrv_dot(k->sums, W, W, NRV_N_W1, seg, 10, count, bias);
    int shift = NRV_N_SHIFTS[0];
    for (int i = 0; i < count * W; i++) k->first[i] = (int16_t)nrv_hidden((int32_t)k->sums[i], shift);
    seg[0] = (nrv_segment){k->first, W, W / 2};
    nrv_dot(k->sums, W, W, NRV_N_W2, seg, 1, count, NRV_N_B2);
    shift = NRV_N_SHIFTS[1];
    for (int i = 0; i < count * W; i++) out[i] = (int16_t)nrv_hidden((int32_t)k->sums[i], shift);
}

static const int32_t none[64];

static void patch_row(const nrv_decoder *d, work *k, int p, int y, const nrv_picture *dst, int row0, int row1, bool whole, bool linear) {
    const nrv_nirvana *n = d->nirvana;
    const nrv_layer *l = &n->layer[p];
    uint32_t width, height;
    nrv_plane_size(&d->info, p, d->info.width, d->info.height, &width, &height);
    int t = (int)d->current, depth = d->info.bit_depth, shift = 12 - depth, px = l->patches_x;
    int32_t peak = (1 << depth) - 1, round = shift ? 1 << (shift - 1) : 0;
    const int16_t *weights = (p == 0 && n->changed ? n->own_weights : NRV_N_W3) + (ptrdiff_t)t * 64 * W;
    const int32_t *bias = (p == 0 && n->changed ? n->own_bias : NRV_N_B3) + 64 * t;
    int first = nrv_max(row0, P * y), end = nrv_min(row1, P * y + P);
    for (int x = 0; x < px; x += SOME) {
        int count = nrv_min(SOME, px - x);
        int16_t *second = whole ? l->second + ((ptrdiff_t)y * px + x) * W : k->second;
        if (!linear && (!whole || !l->ready[y])) hidden(n, l, k, y, x, count, second);
        nrv_segment seg = {l->feature + ((ptrdiff_t)y * px + x) * F, F, F / 2};
        nrv_dot(k->sums, 64, 64, NRV_N_BASIS + (ptrdiff_t)t * 64 * F, &seg, 1, count, linear ? none : bias);
        seg = (nrv_segment){second, W, W / 2};
        if (!linear) nrv_dot(k->sums, 64, 64, weights, &seg, 1, count, NULL);
        for (int i = 0; i < count; i++) {
            int left = P * (x + i), w = nrv_min(P, (int)width - left);
            for (int row = first; row < end; row++) {
                const uint32_t *s = k->sums + 64 * i + 8 * (row - P * y);
                uint8_t *to = (uint8_t *)dst->plane[p] + (size_t)row * dst->stride[p];
                uint16_t line[P];
                for (int j = 0; j < P; j++) {
                    int32_t v = nrv_clip(-8191, 8191, (int32_t)(s[j] + 2048u) >> 12);
                    line[j] = (uint16_t)nrv_clip(0, peak, (v + 2048 + round) >> shift);
                }
                if (depth == 8) for (int j = 0; j < w; j++) to[left + j] = (uint8_t)line[j];
                else memcpy(to + 2 * left, line, (size_t)w * 2);
            }
        }
    }
    /* Another thread has no part of this row, so the mark is its own. */
    if (whole && !linear) l->ready[y] = 1;
}

void nrv_nirvana_render(const nrv_decoder *d, nrv_workspace *w, const nrv_picture *dst, int row0, int row1, unsigned flags) {
    for (int p = 0; p < d->info.planes; p++) {
        uint32_t width, height;
        nrv_plane_size(&d->info, p, d->info.width, d->info.height, &width, &height);
        int sub = p ? d->info.sub_y : 1, a = row0 / sub, b = nrv_min((int)height, (row1 + sub - 1) / sub);
        for (int y = a / P; y * P < b; y++) {
            bool whole = a <= y * P && b >= nrv_min((int)height, y * P + P);
            patch_row(d, w->block, p, y, dst, a, b, whole, flags & NRV_NO_NETWORK);
        }
    }
}
