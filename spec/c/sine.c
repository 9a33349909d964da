/* sine.c: the sine network, model 1: description, weights and rendering (3.4, 3.5, clauses 4 and 5). */
#include "core.h"

enum { MAX_LAYERS = 11 };

typedef struct layer {
    int32_t rows, columns, kind, max_weight, max_input;
    int16_t *weight, *bias;
    int64_t scale;
    int32_t bias_shift, weight_bound, bias_bound;
} layer;

typedef struct nrv_sine {
    int32_t patch, group_frames, depth, width, stem, head, layers, g;
    layer layer[MAX_LAYERS];
    int16_t *all;
    int32_t *lines;             /* three rows of differences */
    int32_t longest;
    bool whole;
} nrv_sine;

static nrv_status bad(nrv_decoder *d, const char *clause, const char *sentence) { return nrv_fail(d, NRV_CORRUPT, clause, sentence); }

nrv_status nrv_sine_open(nrv_decoder *d, const uint8_t *b) {
    nrv_sine *n = nrv_new(d, sizeof *n);
    if (!n) return d->error.status;
    d->sine = n;
    n->patch = b[0];
    n->group_frames = b[1];
    n->depth = b[2];
    n->width = b[3] | b[4] << 8;
    n->stem = b[5];
    n->head = b[6];
    if (n->patch % 2 || n->patch < 4 || n->patch > 64) return bad(d, "4.1", "patch is out of range");
    if (n->group_frames < 1 || n->group_frames > 32) return bad(d, "4.1", "group_frames is out of range");
    if (n->depth < 1 || n->depth > 8) return bad(d, "4.1", "depth is out of range");
    if (n->width < 1 || n->width > 1024) return bad(d, "4.1", "width is out of range");
    if (n->stem < 1 || n->stem > 64) return bad(d, "4.1", "stem_channels is out of range");
    if (n->head < 1 || n->head > 64) return bad(d, "4.1", "head_channels is out of range");
    d->info.group_frames = (uint8_t)n->group_frames;
    n->g = n->patch / 2;
    n->layers = n->depth + 3;
    uint64_t total = 0, g2 = (uint64_t)n->g * (uint64_t)n->g, w = (uint64_t)n->width, c = (uint64_t)n->stem, h = (uint64_t)n->head, t = (uint64_t)n->group_frames;
    for (int i = 0; i < n->layers; i++) {
        layer *l = &n->layer[i];
        if (i == 0) *l = (layer){.rows = n->width, .columns = 2, .kind = 0, .max_weight = 2047, .max_input = 32768};
        else if (i < n->depth) *l = (layer){.rows = n->width, .columns = n->width, .kind = 1, .max_weight = 127, .max_input = 127};
        else if (i == n->depth) *l = (layer){.rows = (int32_t)(c * g2), .columns = n->width, .kind = 2, .max_weight = 127, .max_input = 127};
        else if (i == n->depth + 1) *l = (layer){.rows = (int32_t)(t * 4 * h), .columns = n->stem * 9, .kind = 3, .max_weight = 2047, .max_input = 2047};
        else *l = (layer){.rows = (int32_t)(t * 3), .columns = n->head * 9, .kind = 3, .max_weight = 2047, .max_input = 2047};
        total += (uint64_t)l->rows * ((uint64_t)l->columns + 1);
        n->longest = nrv_max(n->longest, nrv_max(l->rows, l->columns));
    }
    if (d->info.chroma_format != 1 || d->info.bit_depth != 8)
        return nrv_fail(d, NRV_UNSUPPORTED, "4.1", "model 1 has 4:2:0 with 8 bits only");
    static const uint8_t weights_log2[6] = {0, 20, 22, 23, 24, 26}, work_log2[6] = {0, 12, 13, 14, 15, 17};
    if (total > (uint64_t)1 << weights_log2[d->info.level]) return nrv_fail(d, NRV_OVER_LIMIT, "2.11", "the network has more weights than the level allows");
    uint64_t p2 = 4 * g2, work = t * (2 * w + (uint64_t)(n->depth - 1) * w * w + w * c * g2 + g2 * 36 * h * c + p2 * 27 * h);
    if ((work + t * p2 - 1) / (t * p2) > (uint64_t)1 << work_log2[d->info.level])
        return nrv_fail(d, NRV_OVER_LIMIT, "2.11", "the network multiplies more than the level allows");
    return NRV_OK;
}

void nrv_sine_close(nrv_decoder *d) {
    nrv_free(&d->memory, d->sine->all);
    nrv_free(&d->memory, d->sine->lines);
    nrv_free(&d->memory, d->sine);
    d->sine = NULL;
}

static nrv_status scratch(nrv_decoder *d) {
    nrv_sine *n = d->sine;
    if (n->lines) return NRV_OK;
    uint64_t total = 0;
    for (int i = 0; i < n->layers; i++) total += (uint64_t)n->layer[i].rows * ((uint64_t)n->layer[i].columns + 1);
    if (!n->all && !(n->all = nrv_new(d, total * 2))) return d->error.status;
    int16_t *at = n->all;
    for (int i = 0; i < n->layers; i++) {
        layer *l = &n->layer[i];
        l->weight = at;
        at += (ptrdiff_t)l->rows * l->columns;
        l->bias = at;
        at += l->rows;
    }
    n->lines = nrv_new(d, ((uint64_t)n->longest + 2) * 3 * 4);
    return n->lines ? NRV_OK : d->error.status;
}

/* ---- 4.3 ---- */

static void start_values(int16_t *to, int64_t count, int tensor, int bound) {
    for (int64_t i = 0; i < count; i++) {
        uint32_t x = (uint32_t)i * 0x9E3779B9u + (uint32_t)tensor * 0x85EBCA6Bu + 1u;
        x = x ^ (x >> 16);
        x *= 0x7FEB352Du;
        x = x ^ (x >> 15);
        x *= 0x846CA68Bu;
        x = x ^ (x >> 16);
        to[i] = (int16_t)((int32_t)(((x >> 16) * (2u * (uint32_t)bound + 1u)) >> 16) - bound);
    }
}

static nrv_status records(nrv_decoder *d, const uint8_t *b) {
    static const uint16_t T6[6] = {16384, 18390, 20643, 23170, 26008, 29193};
    nrv_sine *n = d->sine;
    for (int i = 0; i < n->layers; i++, b += 6) {
        layer *l = &n->layer[i];
        l->bias_shift = b[1];
        l->weight_bound = b[2] | b[3] << 8;
        l->bias_bound = b[4] | b[5] << 8;
        if (b[0] > 143 || l->bias_shift > 20 || l->weight_bound > l->max_weight || l->bias_bound > 32767)
            return bad(d, "4.3", "a record of a layer is out of range");
        l->scale = (int64_t)T6[b[0] % 6] << (b[0] / 6);
        start_values(l->weight, (int64_t)l->rows * l->columns, 2 * i, l->weight_bound);
        start_values(l->bias, l->rows, 2 * i + 1, l->bias_bound);
    }
    return NRV_OK;
}

/* ---- 3.4, 4.4, 4.5 ---- */

enum { CONTEXTS = NRV_SINE_CONTEXTS_COUNT };

static nrv_status tables(nrv_decoder *d, nrv_context *c, const uint8_t *bytes, size_t length) {
    nrv_range r;
    nrv_context own = {32768, 32768, 0};
    if (!length) return NRV_OK;
    if (!nrv_range_start(&r, bytes, length)) return bad(d, "3.2", "a range-coded run begins with FF FF FF FF");
    for (int i = 0; i < CONTEXTS; i++)
        if (nrv_bit(&r, &own)) {
            c[i].fast = c[i].slow = (uint16_t)(256 * nrv_bypass_bits(&r, 8) + 128);
            c[i].count = 4;
        }
    return nrv_range_end(&r) ? NRV_OK : bad(d, "3.2", "a range-coded run does not end where its bytes do");
}

NRV_INLINE int32_t small(int32_t v) { return nrv_min(15, nrv_abs(v)); }

/* Differences of one row; u and v are those of the rows before. The lines have two zeros before them. */
static bool row(nrv_range *r, nrv_context *c, int kind, bool coded, int32_t n, int32_t *restrict line, const int32_t *u, const int32_t *v,
                int16_t *restrict to, int32_t most) {
    for (int32_t i = 0; i < n; i++) {
        line[i] = 0;
        if (!coded) continue;
        int32_t e = 2 * small(line[i - 1]) + small(line[i - 2]) + 2 * small(u[i]) + small(v[i]);
        int class = e == 0 ? 0 : e <= 2 ? 1 : e <= 5 ? 2 : e <= 11 ? 3 : e <= 23 ? 4 : 5;
        nrv_context *k = c + 52 * kind;
        line[i] = nrv_difference(r, k + 7 * class, k + 7 * class + 1, k + 42);
        int32_t w = to[i] + line[i];
        if (w < -most || w > most) return false;
        to[i] = (int16_t)w;
    }
    return true;
}

static nrv_status weights(nrv_decoder *d, nrv_context *c, const uint8_t *bytes, size_t length) {
    nrv_sine *n = d->sine;
    nrv_range r;
    if (!nrv_range_start(&r, bytes, length)) return bad(d, "3.2", "a range-coded run begins with FF FF FF FF");
    ptrdiff_t room = n->longest + 2;
    for (int i = 0; i < n->layers; i++) {
        layer *l = &n->layer[i];
        int32_t *a[3] = {n->lines + 2, n->lines + room + 2, n->lines + 2 * room + 2};
        for (int k = 0; k < 3; k++) memset(a[k], 0, (size_t)n->longest * 4);
        int coded = 1;
        for (int32_t k = 0; k < l->rows; k++) {
            coded = nrv_bit(&r, &c[208 + 2 * l->kind + coded]);
            if (!row(&r, c, l->kind, coded, l->columns, a[0], a[1], a[2], l->weight + (ptrdiff_t)k * l->columns, l->max_weight))
                return bad(d, "4.4", "a weight is out of range");
            int32_t *t = a[2];
            a[2] = a[1];
            a[1] = a[0];
            a[0] = t;
        }
        for (int k = 1; k < 3; k++) memset(a[k], 0, (size_t)n->longest * 4);
        coded = nrv_bit(&r, &c[208 + 1]);
        if (!row(&r, c, 0, coded, l->rows, a[0], a[1], a[2], l->bias, 32767)) return bad(d, "4.4", "a bias is out of range");
        for (int32_t k = 0; i && k < l->rows; k++) {
            int64_t sum = 0;
            const int16_t *w = l->weight + (ptrdiff_t)k * l->columns;
            for (int32_t j = 0; j < l->columns; j++) sum += nrv_abs(w[j]);
            if (sum * l->max_input + ((int64_t)nrv_abs(l->bias[k]) << l->bias_shift) >= 1 << 24) return bad(d, "4.5", "a row of weights exceeds its bound");
        }
    }
    return nrv_range_end(&r) ? NRV_OK : bad(d, "3.2", "a range-coded run does not end where its bytes do");
}

nrv_status nrv_sine_group(nrv_decoder *d, const nrv_parts *p) {
    nrv_sine *n = d->sine;
    nrv_context c[CONTEXTS];
    nrv_status s = scratch(d);
    const uint8_t *bytes = p->network;
    size_t length = p->network_length;
    bool key = d->flags & 1;
    if (s) return s;
    if (!key && !n->whole) return bad(d, "2.7", "a group has no group before it");
    n->whole = false;
    nrv_contexts_start(c, NRV_SINE_CONTEXTS, CONTEXTS);
    if ((s = tables(d, c, p->tables, p->tables_length)) != NRV_OK) return s;
    if (key) {
        size_t head = 6 * (size_t)n->layers;
        if (length < head) return bad(d, "4.3", "the network substream is shorter than its records");
        if ((s = records(d, bytes)) != NRV_OK) return s;
        bytes += head;
        length -= head;
    }
    if ((s = weights(d, c, bytes, length)) != NRV_OK) return s;
    n->whole = true;
    return NRV_OK;
}

/* ---- clause 5 ---- */

typedef struct work {
    int16_t *units[2];          /* outputs of sine layers */
    int16_t *map;               /* [c][G + 2][G + 2]: input of the upsampling block */
    int16_t *hidden;            /* [h][P + 2][P + 2] */
    int32_t *sums;              /* [P][P] */
    int32_t *value[3];
} work;

nrv_status nrv_sine_workspace(nrv_decoder *d, nrv_workspace *w) {
    const nrv_sine *n = d->sine;
    nrv_status s = NRV_OK;
    uint64_t g2 = (uint64_t)(n->g + 2) * (uint64_t)(n->g + 2), p2 = (uint64_t)(n->patch + 2) * (uint64_t)(n->patch + 2), at = (sizeof(work) + 15) / 16 * 16;
    uint8_t *b = nrv_alloc(w->memory, at + 4 * 4 * p2 + 2 * (2 * 1024 + g2 * (uint64_t)n->stem + p2 * (uint64_t)n->head), &s);
    if (!b) return s;
    work *k = (work *)(void *)b;
    w->block = b;
    int32_t *a = (int32_t *)(void *)(b + at);
    k->sums = a;
    for (int i = 0; i < 3; i++) k->value[i] = a + (uint64_t)(i + 1) * p2;
    int16_t *c = (int16_t *)(void *)(a + 4 * p2);
    k->units[0] = c;
    k->units[1] = c + 1024;
    k->map = c + 2048;
    k->hidden = k->map + g2 * (uint64_t)n->stem;
    return NRV_OK;
}

static int16_t sine_of(uint64_t product) {   /* acc * Scale modulo 2^64 */
    uint32_t phase = (uint32_t)((product + (1u << 23)) >> 24) & 0xFFFF;
    return NRV_SINE[((phase + 32) >> 6) & 1023];
}

static int32_t dot(const int16_t *restrict w, const int16_t *restrict x, int n) {
    int32_t s = 0;
    for (int i = 0; i < n; i++) s += w[i] * x[i];
    return s;
}

/* sums += weight * input of a 3 x 3 window over an n x n square with a border of 1 */
static void window(int32_t *restrict sums, const int16_t *restrict in, const int16_t *w, int n) {
    int stride = n + 2;
    for (int y = 0; y < n; y++)
        for (int k = 0; k < 9; k++) {
            int32_t t = w[k];
            const int16_t *restrict s = in + (y + k / 3) * stride + k % 3;
            int32_t *restrict to = sums + y * n;
            for (int x = 0; x < n; x++) to[x] += t * s[x];
        }
}

static void render_patch(const nrv_decoder *d, work *k, int px, int py, int t) {
    const nrv_sine *n = d->sine;
    int g = n->g, p = n->patch, nx = (d->info.width + p - 1) / p, ny = (d->info.height + p - 1) / p;
    const layer *l = n->layer;
    int64_t in[2] = {((int64_t)(2 * px + 1) * 32768) / nx - 32768, ((int64_t)(2 * py + 1) * 32768) / ny - 32768};
    for (int r = 0; r < n->width; r++) {
        int64_t acc = l->weight[2 * r] * in[0] + l->weight[2 * r + 1] * in[1] + l->bias[r] * ((int64_t)1 << l->bias_shift);
        k->units[0][r] = sine_of((uint64_t)acc * (uint64_t)l->scale);
    }
    int at = 0;
    for (int i = 1; i < n->depth; i++, at ^= 1) {
        l = &n->layer[i];
        for (int r = 0; r < n->width; r++) {
            int64_t acc = dot(l->weight + (ptrdiff_t)r * n->width, k->units[at], n->width) + l->bias[r] * ((int64_t)1 << l->bias_shift);
            k->units[!at][r] = sine_of((uint64_t)acc * (uint64_t)l->scale);
        }
    }
    l = &n->layer[n->depth];
    for (int c = 0, r = 0; c < n->stem; c++) {
        int32_t code = NRV_SINE[(t * (256 >> nrv_min(8, c / 2)) + 256 * (c % 2)) % 1024];
        for (int y = 0; y < g; y++)
            for (int x = 0; x < g; x++, r++) {
                int64_t acc = dot(l->weight + (ptrdiff_t)r * n->width, k->units[at], n->width) + l->bias[r] * ((int64_t)1 << l->bias_shift);
                int32_t v = (int32_t)nrv_clip64(-2047, 2047, nrv_rshift64(acc * l->scale, 32));
                k->map[((ptrdiff_t)c * (g + 2) + y + 1) * (g + 2) + x + 1] = (int16_t)nrv_clip(-2047, 2047, v + code);
            }
    }
    l = &n->layer[n->depth + 1];
    for (int h = 0; h < n->head; h++)
        for (int q = 0; q < 4; q++) {
            int r = (t * n->head + h) * 4 + q;
            for (int i = 0; i < g * g; i++) k->sums[i] = l->bias[r] * (1 << l->bias_shift);
            for (int c = 0; c < n->stem; c++) window(k->sums, k->map + (ptrdiff_t)c * (g + 2) * (g + 2), l->weight + (ptrdiff_t)r * l->columns + 9 * c, g);
            for (int y = 0; y < g; y++)
                for (int x = 0; x < g; x++) {
                    int64_t v = nrv_clip64(-2048, 2047, nrv_rshift64(k->sums[y * g + x] * l->scale, 32));
                    k->hidden[((ptrdiff_t)h * (p + 2) + 2 * y + (q >> 1) + 1) * (p + 2) + 2 * x + (q & 1) + 1] = NRV_GELU[v + 2048];
                }
        }
    l = &n->layer[n->depth + 2];
    for (int plane = 0; plane < 3; plane++) {
        int r = t * 3 + plane;
        int32_t *v = k->value[plane];
        for (int i = 0; i < p * p; i++) v[i] = l->bias[r] * (1 << l->bias_shift);
        for (int h = 0; h < n->head; h++) window(v, k->hidden + (ptrdiff_t)h * (p + 2) * (p + 2), l->weight + (ptrdiff_t)r * l->columns + 9 * h, p);
        for (int i = 0; i < p * p; i++) v[i] = (int32_t)nrv_clip64(-32768, 32767, nrv_rshift64(v[i] * l->scale, 32));
    }
}

void nrv_sine_render(const nrv_decoder *d, nrv_workspace *w, const nrv_picture *dst, int row0, int row1) {
    const nrv_sine *n = d->sine;
    work *k = w->block;
    int p = n->patch, g = n->g, width = d->info.width, cw = d->info.chroma_width, ch = d->info.chroma_height;
    for (int py = row0 / p; py * p < row1; py++)
        for (int px = 0; px * p < width; px++) {
            render_patch(d, k, px, py, (int)d->current);
            for (int y = nrv_max(row0, py * p); y < nrv_min(row1, py * p + p); y++) {
                uint8_t *to = (uint8_t *)dst->plane[0] + (size_t)y * dst->stride[0];
                for (int x = 0; x < p && px * p + x < width; x++)
                    to[px * p + x] = (uint8_t)nrv_clip(0, 255, (k->value[0][(y - py * p) * p + x] + 2048 + 8) >> 4);
            }
            for (int plane = 1; plane < 3; plane++)
                for (int y = nrv_max(row0 / 2, py * g); y < nrv_min(nrv_min(ch, (row1 + 1) / 2), py * g + g); y++) {
                    uint8_t *to = (uint8_t *)dst->plane[plane] + (size_t)y * dst->stride[plane];
                    for (int x = 0; x < g && px * g + x < cw; x++) {
                        const int32_t *v = k->value[plane] + 2 * (y - py * g) * p + 2 * x;
                        to[px * g + x] = (uint8_t)nrv_clip(0, 255, (((v[0] + v[1] + v[p] + v[p + 1] + 2) >> 2) + 2048 + 8) >> 4);
                    }
                }
        }
}
