/* hybrid_render.c: frames of model 2: canvases, or what the fusion network makes of them
 * (8.1, 9.1, 9.3 to 9.5). Rows of sites are made one after the other; each hidden layer keeps the
 * three rows that the next one needs. */
#include "dot.h"

#define UNITS NRV_FUSION_UNITS
#define LAYERS NRV_FUSION_LAYERS
#define HALO NRV_FUSION_HALO
#define RING 4              /* rows kept of each layer: at least 3 */

typedef struct work {
    int32_t sites_x, sites_y;
    int16_t *a;             /* ring of HALO + RING rows of sites: [site + 1][6], a border of one site */
    int16_t *diff;          /* the same: [site + 1][12] */
    int16_t *hidden[LAYERS];/* ring of RING rows: [site + 1][UNITS] */
    uint32_t *sums;         /* one row: [site][UNITS] */
    uint16_t *warp[2][3];   /* one row of cells: 8 luma rows, and chroma */
    int32_t *box;           /* sums of columns */
    int16_t *line;          /* three rows of luma */
    int32_t (*steps)[2], (*reciprocals)[2];  /* of luma and chroma of a row of cells (9.1) */
    int32_t cell_row;       /* that row; -1 if none */
} work;

#define RING_IN (2 * HALO + RING)

nrv_status nrv_hybrid_workspace(nrv_decoder *d, nrv_workspace *w) {
    nrv_hybrid *h = d->hybrid;
    uint64_t sites = (uint64_t)h->coded_width / 2, row = sites + 2, at = (sizeof(work) + 15) / 16 * 16;
    uint64_t size = at + 2 * (row * 6 * RING_IN + row * 12 * RING_IN + row * UNITS * RING * LAYERS) + 4 * (sites + 4) * UNITS;
    for (int p = 0; p < d->info.planes; p++) size += 2 * 2 * (uint64_t)h->plane_width[p] * (uint64_t)(8 / (p ? d->info.sub_y : 1));
    size += 4 * ((uint64_t)h->coded_width + 8) + 6 * (uint64_t)h->coded_width + 16 * (uint64_t)h->cells_x;
    if (!h->network) size = at;
    nrv_status s = NRV_OK;
    uint8_t *b = nrv_alloc(w->memory, size, &s);
    if (!b) return s;
    work *k = (work *)(void *)b;
    w->block = b;
    k->sites_x = (int32_t)sites;
    k->sites_y = h->coded_height / 2;
    if (!h->network) return NRV_OK;
    b += at;
#define PART(to, type, count) do { to = (type *)(void *)b; b += (count) * sizeof(type); } while (0)
    PART(k->sums, uint32_t, (sites + 4) * UNITS);
    PART(k->box, int32_t, (uint64_t)h->coded_width + 8);
    k->steps = (int32_t (*)[2])(void *)b;
    b += 8 * (uint64_t)h->cells_x;
    k->reciprocals = (int32_t (*)[2])(void *)b;
    b += 8 * (uint64_t)h->cells_x;
    PART(k->line, int16_t, 3 * (uint64_t)h->coded_width);
    PART(k->a, int16_t, row * 6 * RING_IN);
    PART(k->diff, int16_t, row * 12 * RING_IN);
    for (int i = 0; i < LAYERS; i++) PART(k->hidden[i], int16_t, row * UNITS * RING);
    for (int p = 0; p < d->info.planes; p++)
        for (int r = 0; r < 2; r++) PART(k->warp[r][p], uint16_t, (uint64_t)h->plane_width[p] * (uint64_t)(8 / (p ? d->info.sub_y : 1)));
#undef PART
    return NRV_OK;
}

/* Rows of a plane as the picture has them. */
static void store(const nrv_picture *dst, int p, int y, const uint16_t *restrict s, int w, bool narrow) {
    uint8_t *restrict row = (uint8_t *)dst->plane[p] + (size_t)y * dst->stride[p];
    if (narrow) {
        int x = 0;
        for (; x + 32 <= w; x += 32)
            for (int i = 0; i < 32; i++) row[x + i] = (uint8_t)s[x + i];
        for (; x < w; x++) row[x] = (uint8_t)s[x];
    } else memcpy(row, s, (size_t)w * 2);
}

static void store_plane(const nrv_decoder *d, const uint16_t *plane, const nrv_picture *dst, int p, int row0, int row1) {
    uint32_t w, h;
    int sub = p ? d->info.sub_y : 1;
    nrv_plane_size(&d->info, p, d->info.width, d->info.height, &w, &h);
    for (int y = row0 / sub; y < nrv_min((int)h, (row1 + sub - 1) / sub); y++)
        store(dst, p, y, plane + (ptrdiff_t)y * d->hybrid->plane_width[p], (int)w, d->info.bit_depth == 8);
}

/* Both warps of a row of cells (9.3) */
static void warps(const nrv_decoder *d, work *k, const nrv_canvas *c, int row) {
    const nrv_hybrid *h = d->hybrid;
    const nrv_cell *cells = c->cells + (ptrdiff_t)row * h->cells_x;
    for (int x = 0; x < h->cells_x; ) {
        const nrv_cell *t = cells + x;
        int n = 1, most = 8;
        while (n < most && x + n < h->cells_x && !nrv_differ(t, &cells[x + n])) n++;
        for (int p = 0; p < d->info.planes; p++) {
            int sx = p ? d->info.sub_x : 1, sy = p ? d->info.sub_y : 1, pw = h->plane_width[p];
            int px = 8 / sx * x, py = 8 / sy * row, w = 8 / sx * n, rows = 8 / sy;
            for (int r = 0; r < 2; r++) {
                uint16_t *to = k->warp[r][p] + px;
                if (!t->direction) {
                    for (int y = 0; y < rows; y++) memcpy(to + y * (ptrdiff_t)pw, c->plane[p] + (ptrdiff_t)(py + y) * pw + px, (size_t)w * 2);
                    continue;
                }
                int from = t->direction == 3 ? r : t->direction - 1;
                if (r == 1 && t->direction != 3) {
                    for (int y = 0; y < rows; y++) memcpy(to + y * (ptrdiff_t)pw, k->warp[0][p] + px + y * (ptrdiff_t)pw, (size_t)w * 2);
                    continue;
                }
                const nrv_canvas *ref = c->reference[from];
                nrv_predict(d, &ref, &t->v[from], 1, p, px, py, w, rows, to, pw);
            }
        }
        x += n;
    }
}

/* Cb or Cr of a site (9.1); s is the first sample of the row of sites */
NRV_INLINE int32_t chroma_of(const uint16_t *s, ptrdiff_t w, int x, int format) {
    if (format == 1) return s[x];
    if (format == 2) return (s[x] + s[w + x] + 1) >> 1;
    return (s[2 * x] + s[2 * x + 1] + s[w + 2 * x] + s[w + 2 * x + 1] + 2) >> 2;
}

/* STEP and RECIPROCAL of a row of cells */
static void quantisers(const nrv_decoder *d, work *k, const nrv_canvas *c, int row) {
    const nrv_hybrid *h = d->hybrid;
    const nrv_cell *cells = c->cells + (ptrdiff_t)row * h->cells_x;
    int extra = d->info.bit_depth - 8, last = -1;
    for (int x = 0; x < h->cells_x; x++) {
        if (cells[x].q == last) {
            memcpy(k->steps[x], k->steps[x - 1], sizeof *k->steps);
            memcpy(k->reciprocals[x], k->reciprocals[x - 1], sizeof *k->reciprocals);
            continue;
        }
        last = cells[x].q;
        for (int i = 0; i < 2; i++) {
            int q = nrv_clip(0, 63, last + (i ? h->chroma_offset : 0) - 6 * extra);
            k->steps[x][i] = nrv_step(q);
            k->reciprocals[x][i] = nrv_reciprocal(q);
        }
    }
    k->cell_row = row;
}

NRV_INLINE int16_t difference_of(int32_t warp, int32_t rec, int32_t reciprocal, int shift) {
    return (int16_t)nrv_clip(-4095, 4095, ((warp - rec) * reciprocal + (1 << (shift - 1))) >> shift);
}

NRV_INLINE int16_t high_pass(int32_t rec, int32_t box, int32_t reciprocal, int extra) {
    int32_t v = nrv_rshift(25 * rec - box, extra);
    return (int16_t)nrv_clip(-4095, 4095, (v * reciprocal + (1 << 14)) >> 15);
}

/* Inputs of a row of sites (9.3). Warps of its row of cells are there. */
static void inputs(const nrv_decoder *d, work *k, const nrv_canvas *c, int y, int16_t *restrict a, int16_t *restrict diff) {
    const nrv_hybrid *h = d->hybrid;
    int extra = d->info.bit_depth - 8, format = d->info.chroma_format, w = h->coded_width, ch = h->coded_height;
    int32_t *restrict box = k->box + 4;
    if (k->cell_row != y >> 2) quantisers(d, k, c, y >> 2);
    for (int r = 0; r < 2; r++) {
        const uint16_t *row[5], *s;
        for (int i = 0; i < 5; i++) row[i] = c->plane[0] + (ptrdiff_t)nrv_clip(0, ch - 1, 2 * y + r + i - 2) * w;
        for (int x = 0; x < w; x++) box[x] = row[0][x] + row[1][x] + row[2][x] + row[3][x] + row[4][x];
        box[-1] = box[-2] = box[0];
        box[w] = box[w + 1] = box[w - 1];
        s = row[2];
        const uint16_t *w0 = k->warp[0][0] + (ptrdiff_t)(2 * (y & 3) + r) * w, *w1 = k->warp[1][0] + (ptrdiff_t)(2 * (y & 3) + r) * w;
        int16_t *restrict la = k->line, *restrict l0 = la + w, *restrict l1 = l0 + w;
        for (int cell = 0; cell < h->cells_x; cell++) {
            int32_t m = k->reciprocals[cell][0];
            for (int x = 8 * cell; x < 8 * cell + 8; x++) {
                int32_t sum = box[x - 2] + box[x - 1] + box[x] + box[x + 1] + box[x + 2];
                la[x] = high_pass(s[x], sum, m, extra);
                l0[x] = difference_of(w0[x], s[x], m, 10 + extra);
                l1[x] = difference_of(w1[x], s[x], m, 10 + extra);
            }
        }
        for (int x = 0; x < k->sites_x; x++) {
            memcpy(a + 6 * x + 2 * r, la + 2 * x, 4);
            memcpy(diff + 12 * x + 2 * r, l0 + 2 * x, 4);
            memcpy(diff + 12 * x + 6 + 2 * r, l1 + 2 * x, 4);
        }
    }
    int sites = k->sites_x;
    if (format == 0) {
        for (int x = 0; x < sites; x++)
            for (int i = 4; i < 6; i++) a[6 * x + i] = diff[12 * x + i] = diff[12 * x + 6 + i] = 0;
        return;
    }
    int rows = format == 1 ? 1 : 2;
    for (int p = 1; p < 3; p++) {
        ptrdiff_t pw = h->plane_width[p];
        const uint16_t *s = c->plane[p], *w0 = k->warp[0][p] + rows * (y & 3) * pw, *w1 = k->warp[1][p] + rows * (y & 3) * pw;
        for (int x = 0; x < sites; x++) box[x] = 0;
        for (int i = -2; i <= 2; i++) {
            const uint16_t *row = s + rows * nrv_clip(0, k->sites_y - 1, y + i) * pw;
            for (int x = 0; x < sites; x++) box[x] += chroma_of(row, pw, x, format);
        }
        box[-1] = box[-2] = box[0];
        box[sites] = box[sites + 1] = box[sites - 1];
        s += rows * y * pw;
        for (int cell = 0; cell < h->cells_x; cell++) {
            int32_t m = k->reciprocals[cell][1];
            for (int x = 4 * cell; x < 4 * cell + 4; x++) {
                int32_t sum = box[x - 2] + box[x - 1] + box[x] + box[x + 1] + box[x + 2], rec = chroma_of(s, pw, x, format);
                a[6 * x + 3 + p] = high_pass(rec, sum, m, extra);
                diff[12 * x + 3 + p] = difference_of(chroma_of(w0, pw, x, format), rec, m, 10 + extra);
                diff[12 * x + 9 + p] = difference_of(chroma_of(w1, pw, x, format), rec, m, 10 + extra);
            }
        }
    }
}

static int16_t *ring(int16_t *base, int rows, int channels, int sites, int y) {
    return base + ((ptrdiff_t)((y + 8 * rows) % rows) * (sites + 2) + 1) * channels;
}

/* A row of a hidden layer (9.4); rows of its inputs outside the grid are zeros in the rings. */
static void hidden(work *k, int net, int layer, int y) {
    int sites = k->sites_x, kernel = NRV_FUSION_KERNEL[layer], units = (NRV_FUSION_WIDTH[layer] + 7) / 8 * 8, segs = 0;
    int shift = NRV_FUSION_SHIFT[layer], half = kernel / 2;
    int before = layer ? (NRV_FUSION_WIDTH[layer - 1] + 7) / 8 * 8 : 0, in = layer ? NRV_FUSION_WIDTH[layer - 1] : 0;
    nrv_segment seg[9];
    for (int ky = -half; ky <= half; ky++) {
        if (layer == 0) {
            seg[segs++] = (nrv_segment){ring(k->a, RING_IN, 6, sites, y + ky) - 6 * half, 6, 3 * kernel};
            seg[segs++] = (nrv_segment){ring(k->diff, RING_IN, 12, sites, y + ky) - 12 * half, 12, 6 * kernel};
        } else if (in == before) {
            seg[segs++] = (nrv_segment){ring(k->hidden[layer - 1], RING, in, sites, y + ky) - in * half, in, in * kernel / 2};
        } else {
            for (int kx = -half; kx <= half; kx++)
                seg[segs++] = (nrv_segment){ring(k->hidden[layer - 1], RING, before, sites, y + ky) + before * kx, before, in / 2};
        }
    }
    const int32_t *bias = NRV_FUSION_BIASES + NRV_FUSION_BIASES_AT[net * LAYERS + layer];
    uint32_t *sums = k->sums;
    nrv_dot(sums, units, units, NRV_FUSION_WEIGHTS + NRV_FUSION_WEIGHTS_AT[net * LAYERS + layer], seg, segs, sites, bias);
    int16_t *restrict out = ring(k->hidden[layer], RING, units, sites, y);
    int32_t round = shift ? 1 << (shift - 1) : 0;
    for (int i = 0; i < sites * units; i++) {
        int32_t v = ((int32_t)sums[i] + round) >> shift;
        out[i] = (int16_t)nrv_clip(-4095, 4095, nrv_max(v, v >> 3));
    }
}

/* A row of the output layer and the samples of its sites (9.4, 9.5) */
static void output(const nrv_decoder *d, work *k, const nrv_canvas *c, int net, int y, const nrv_picture *dst, int row0, int row1) {
    const nrv_hybrid *h = d->hybrid;
    const nrv_fusion *f = &h->fusion;
    int sites = k->sites_x, units = (NRV_FUSION_LAST + 7) / 8 * 8, extra = d->info.bit_depth - 8, segs = 0;
    int32_t peak = (1 << d->info.bit_depth) - 1;
    bool narrow = d->info.bit_depth == 8;
    nrv_segment seg[5];
    for (int ky = -1; ky <= 1; ky++) seg[segs++] = (nrv_segment){ring(k->a, RING_IN, 6, sites, y + ky) - 6, 6, 9};
    seg[segs++] = (nrv_segment){ring(k->diff, RING_IN, 12, sites, y), 12, 6};
    seg[segs++] = (nrv_segment){ring(k->hidden[LAYERS - 1], RING, units, sites, y), units, NRV_FUSION_LAST / 2};
    uint32_t *sums = k->sums;
    nrv_dot(sums, 8, 8, f->packed[net], seg, segs, sites, f->bias[net]);
    int32_t *restrict v = (int32_t *)sums;
    if (k->cell_row != y >> 2) quantisers(d, k, c, y >> 2);
    int shift = 16 - extra, out_round = NRV_FUSION_OUT_SHIFT ? 1 << NRV_FUSION_OUT_SHIFT >> 1 : 0, round = 1 << (shift - 1);
    for (int cell = 0; cell < h->cells_x; cell++) {
        int32_t luma = k->steps[cell][0], chroma = k->steps[cell][1];
        const int32_t step[8] = {luma, luma, luma, luma, chroma, chroma, 0, 0};
        for (int x = 4 * cell; x < 4 * cell + 4; x++)
            for (int i = 0; i < 8; i++)
                v[8 * x + i] = (nrv_clip(-16383, 16383, (v[8 * x + i] + out_round) >> NRV_FUSION_OUT_SHIFT) * step[i] + round) >> shift;
    }
    int32_t *restrict add = k->box;
    uint16_t *restrict line = (uint16_t *)k->line;
    for (int r = 0; r < 2; r++) {
        int row = 2 * y + r, w = d->info.width;
        if (row < row0 || row >= row1) continue;
        const uint16_t *restrict s = c->plane[0] + (ptrdiff_t)row * h->coded_width;
        for (int x = 0; x < sites; x++) memcpy(add + 2 * x, v + 8 * x + 2 * r, 8);
        for (int x = 0; x < w; x++) line[x] = (uint16_t)nrv_clip(0, peak, s[x] + add[x]);
        store(dst, 0, row, line, w, narrow);
    }
    if (d->info.chroma_format != 1 || 2 * y < row0 || 2 * y >= row1) return;
    for (int p = 1; p < 3; p++) {
        const uint16_t *restrict s = c->plane[p] + (ptrdiff_t)y * h->plane_width[p];
        for (int x = 0; x < d->info.chroma_width; x++) line[x] = (uint16_t)nrv_clip(0, peak, s[x] + v[8 * x + 3 + p]);
        store(dst, p, y, line, d->info.chroma_width, narrow);
    }
}

static void network(const nrv_decoder *d, work *k, const nrv_canvas *c, const nrv_picture *dst, int row0, int row1) {
    int first = row0 / 2, end = (row1 + 1) / 2, net = NRV_FUSION_USE[c->set], sites = k->sites_x;
    int cell_row = -1;
    k->cell_row = -1;
    /* how many rows later than the inputs each layer is */
    int late[LAYERS + 1], sum = 0;
    for (int i = 0; i < LAYERS; i++) late[i] = sum += NRV_FUSION_KERNEL[i] / 2;
    late[LAYERS] = HALO > sum ? HALO : sum;
    size_t clear_a = (size_t)sites * 6 * 2, clear_d = (size_t)sites * 12 * 2;
    for (int t = first - HALO; t < end + HALO; t++) {
        int16_t *a = ring(k->a, RING_IN, 6, sites, t), *diff = ring(k->diff, RING_IN, 12, sites, t);
        if (t < 0 || t >= k->sites_y) {
            memset(a, 0, clear_a);
            memset(diff, 0, clear_d);
        } else {
            if (t >> 2 != cell_row) warps(d, k, c, cell_row = t >> 2);
            inputs(d, k, c, t, a, diff);
        }
        for (int i = 0; i < LAYERS; i++) {
            int y = t - late[i];
            /* only rows that some row of the output needs */
            if (y < first - (late[LAYERS] - late[i]) || y >= end + late[LAYERS] - late[i] || y < first - HALO + late[i]) continue;
            if (y < 0 || y >= k->sites_y) {
                int units = (NRV_FUSION_WIDTH[i] + 7) / 8 * 8;
                memset(ring(k->hidden[i], RING, units, sites, y), 0, (size_t)sites * (size_t)units * 2);
            } else hidden(k, net, i, y);
        }
        int y = t - late[LAYERS];
        if (y >= first && y < end) output(d, k, c, net, y, dst, row0, row1);
    }
}

/* Whether the network makes the current frame. */
static bool with_network(const nrv_decoder *d) {
    return d->hybrid && d->has_current && d->hybrid->network && d->hybrid->fusion.mode != 1;
}

void nrv_hybrid_render(const nrv_decoder *d, nrv_workspace *w, const nrv_picture *dst, int row0, int row1, unsigned flags) {
    const nrv_canvas *c = d->hybrid->canvas[d->current];
    bool with = with_network(d) && !(flags & NRV_NO_NETWORK);
    if (!with || d->info.chroma_format != 1)
        for (int p = with ? 1 : 0; p < d->info.planes; p++) store_plane(d, c->plane[p], dst, p, row0, row1);
    if (with) network(d, w->block, c, dst, row0, row1);
}

/* ---- the network by other means ---- */

nrv_status nrv_get_fusion_layer(uint32_t net, uint32_t layer, nrv_fusion_layer *out) {
    if (net >= NRV_FUSION_NETS || layer >= LAYERS) return NRV_REFUSED;
    uint32_t at = net * LAYERS + layer;
    *out = (nrv_fusion_layer){NRV_FUSION_KERNEL[layer], layer ? NRV_FUSION_WIDTH[layer - 1] : 18, NRV_FUSION_WIDTH[layer],
                              NRV_FUSION_SHIFT[layer], NRV_FUSION_WEIGHTS + NRV_FUSION_WEIGHTS_AT[at],
                              NRV_FUSION_BIASES + NRV_FUSION_BIASES_AT[at]};
    return NRV_OK;
}

nrv_status nrv_get_fusion_input(const nrv_decoder *d, nrv_workspace *w, nrv_fusion_input *out, uint16_t *to, int32_t (*quantiser)[4]) {
    if (!with_network(d)) return NRV_REFUSED;
    const nrv_hybrid *h = d->hybrid;
    const nrv_canvas *c = h->canvas[d->current];
    work *k = w->block;
    uint32_t samples = 0, net = NRV_FUSION_USE[c->set];
    for (int p = 0; p < d->info.planes; p++) samples += (uint32_t)h->plane_width[p] * (uint32_t)h->plane_height[p];
    *out = (nrv_fusion_input){(uint32_t)h->coded_width, (uint32_t)h->coded_height, (uint32_t)h->cells_x, (uint32_t)h->cells_y,
                              samples, net, NRV_FUSION_LAST, NRV_FUSION_OUT_SHIFT, c->plane[0], h->fusion.rows[net][0]};
    if (!to) return NRV_OK;
    for (int row = 0; row < h->cells_y; row++) {
        uint16_t *plane = to;
        warps(d, k, c, row);
        for (int p = 0; p < d->info.planes; p++) {
            size_t size = (size_t)h->plane_width[p] * (size_t)(8 / (p ? d->info.sub_y : 1));
            for (int r = 0; r < 2; r++) memcpy(plane + r * (size_t)samples + (size_t)row * size, k->warp[r][p], 2 * size);
            plane += (size_t)h->plane_width[p] * (size_t)h->plane_height[p];
        }
        quantisers(d, k, c, row);
        for (int x = 0; x < h->cells_x; x++, quantiser++)
            for (int i = 0; i < 2; i++) {
                (*quantiser)[i] = k->reciprocals[x][i];
                (*quantiser)[2 + i] = k->steps[x][i];
            }
    }
    return NRV_OK;
}

void nrv_put_fusion_output(const nrv_decoder *d, const uint16_t *samples, const nrv_picture *dst) {
    const nrv_hybrid *h = d->hybrid;
    const nrv_canvas *c = h->canvas[d->current];
    for (int p = 0; p < d->info.planes; p++) {
        const uint16_t *from = p && d->info.chroma_format != 1 ? c->plane[p] : samples;
        store_plane(d, from, dst, p, 0, d->info.height);
        samples += (size_t)h->plane_width[p] * (size_t)h->plane_height[p];
    }
}
