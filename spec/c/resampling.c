/* resampling.c: other sizes and regions (clause 6). */
#include "core.h"

typedef struct axis {          /* outputs of the region, of one plane and one axis */
    int32_t count, taps, source;
    int32_t *first;            /* source sample of the first tap */
    int16_t *coef;             /* [output][taps]; taps on the same edge sample are added (6.4) */
} axis;

struct nrv_scaler {
    nrv_memory *memory;
    nrv_info info;
    nrv_region region;
    axis rows[2], columns[2];  /* luma, chroma: along the rows, along the columns */
};

struct nrv_lane {
    const nrv_scaler *scaler;
    int16_t *mid, *line;
    int32_t *held, *sums;
};

static void axis_free(nrv_memory *m, axis *a) {
    nrv_free(m, a->first);
    nrv_free(m, a->coef);
}

/* 6.2, 6.3: coefficients of output j, added where Clip joins them; first and last source sample. */
typedef struct one { int32_t first, last, coef[400]; } one;

static void coefficients(one *o, int64_t source, int64_t output, int64_t sub, int64_t siting, int32_t count, int64_t j) {
    int64_t num = (2 * sub * j + siting + 1) * source - (siting + 1) * output, den = 2 * sub * output;
    int64_t extent = 2 * sub * (source > output ? source : output);
    int64_t t0 = nrv_floor_div(num - 3 * extent, den) + 1, n = (6 * extent + den - 1) / den, total = 0, sum = 0;
    int32_t raw[400];
    if (n > 400) n = 400;
    for (int64_t i = 0; i < n; i++) {
        int64_t away = (t0 + i) * den - num, step = (512 * (away < 0 ? -away : away) + extent) / (2 * extent);
        raw[i] = step < 768 ? NRV_KERNEL[step] : 0;
        total += raw[i];
    }
    if (total < 1) total = 1;
    for (int64_t i = 0; i < n; i++) {
        raw[i] = (int32_t)nrv_floor_div(32768 * (int64_t)raw[i] + total, 2 * total);
        sum += raw[i];
    }
    int64_t centre = nrv_floor_div(2 * num + den, 2 * den) - t0;
    raw[nrv_clip64(0, n - 1, centre)] += (int32_t)(16384 - sum);
    o->first = (int32_t)nrv_clip64(0, count - 1, t0);
    o->last = o->first;
    o->coef[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t at = (int32_t)nrv_clip64(0, count - 1, t0 + i);
        if (at > o->last) o->coef[(o->last = at) - o->first] = 0;
        o->coef[at - o->first] += raw[i];
    }
    while (o->last > o->first && o->coef[o->last - o->first] == 0) o->last--;
    int skip = 0;
    while (o->first + skip < o->last && o->coef[skip] == 0) skip++;
    if (skip) {
        memmove(o->coef, o->coef + skip, (size_t)(o->last - o->first + 1 - skip) * sizeof *o->coef);
        o->first += skip;
    }
}

static nrv_status axis_new(nrv_memory *m, axis *a, int64_t source, int64_t output, int sub, int siting, int32_t from, int32_t count) {
    nrv_status s = NRV_OK;
    one o;
    a->count = count;
    a->source = (int32_t)((source + sub - 1) / sub);
    a->taps = 1;
    for (int32_t i = 0; i < count; i++) {
        coefficients(&o, source, output, sub, siting, a->source, from + i);
        a->taps = nrv_max(a->taps, o.last - o.first + 1);
    }
    if (!(a->first = nrv_alloc(m, (uint64_t)count * sizeof *a->first, &s))) return s;
    if (!(a->coef = nrv_alloc(m, (uint64_t)count * (uint64_t)a->taps * sizeof *a->coef, &s))) return s;
    for (int32_t i = 0; i < count; i++) {
        coefficients(&o, source, output, sub, siting, a->source, from + i);
        int32_t first = nrv_min(o.first, a->source - a->taps);
        a->first[i] = first;
        for (int32_t k = o.first; k <= o.last; k++) a->coef[(ptrdiff_t)i * a->taps + k - first] = (int16_t)o.coef[k - o.first];
    }
    return NRV_OK;
}

nrv_status nrv_scaler_new(nrv_decoder *d, uint32_t out_w, uint32_t out_h, const nrv_region *region, nrv_scaler **out) {
    static const uint8_t siting[6][2] = {{0, 1}, {1, 1}, {0, 0}, {1, 0}, {0, 2}, {1, 2}};
    const nrv_info *i = &d->info;
    uint32_t w = i->width, h = i->height;
    nrv_region r = region ? *region : (nrv_region){0, 0, out_w, out_h};
    *out = NULL;
    if ((out_w != w && (out_w < 1 || out_w > 16384 || w > 64 * out_w || out_w > 64 * w)) ||
        (out_h != h && (out_h < 1 || out_h > 16384 || h > 64 * out_h || out_h > 64 * h))) return NRV_REFUSED;
    if (r.x % i->sub_x || r.y % i->sub_y || !r.width || !r.height || r.x >= out_w || r.y >= out_h ||
        r.width > out_w - r.x || r.height > out_h - r.y) return NRV_REFUSED;
    nrv_status s = NRV_OK;
    nrv_scaler *k = nrv_alloc(&d->memory, sizeof *k, &s);
    if (!k) return s;
    k->memory = &d->memory;
    k->info = *i;
    k->region = r;
    int loc = i->chroma_location == 255 ? 0 : i->chroma_location;
    for (int c = 0; s == NRV_OK && c < (i->planes > 1 ? 2 : 1); c++) {
        int sx = c ? i->sub_x : 1, sy = c ? i->sub_y : 1;
        s = axis_new(k->memory, &k->rows[c], w, out_w, sx, sx == 2 ? siting[loc][0] : 0, (int32_t)r.x / sx, ((int32_t)r.width + sx - 1) / sx);
        if (s == NRV_OK)
            s = axis_new(k->memory, &k->columns[c], h, out_h, sy, sy == 2 ? siting[loc][1] : 0, (int32_t)r.y / sy, ((int32_t)r.height + sy - 1) / sy);
    }
    if (s) { nrv_scaler_free(k); return s; }
    *out = k;
    return NRV_OK;
}

void nrv_scaler_free(nrv_scaler *s) {
    if (!s) return;
    for (int c = 0; c < 2; c++) { axis_free(s->memory, &s->rows[c]); axis_free(s->memory, &s->columns[c]); }
    nrv_free(s->memory, s);
}

nrv_status nrv_lane_new(nrv_scaler *s, nrv_lane **out) {
    nrv_status why = NRV_OK;
    uint64_t mid = 0, taps = 0;
    for (int c = 0; c < 2; c++) {
        uint64_t n = (uint64_t)s->columns[c].taps * (uint64_t)s->rows[c].count;
        if (n > mid) mid = n;
        if ((uint64_t)s->columns[c].taps > taps) taps = (uint64_t)s->columns[c].taps;
    }
    *out = NULL;
    nrv_lane *l = nrv_alloc(s->memory, sizeof *l, &why);
    if (!l) return why;
    l->scaler = s;
    if (!(l->mid = nrv_alloc(s->memory, mid * 2, &why)) || !(l->held = nrv_alloc(s->memory, taps * 4, &why)) ||
        !(l->line = nrv_alloc(s->memory, (uint64_t)s->info.width * 2, &why)) ||
        !(l->sums = nrv_alloc(s->memory, (uint64_t)s->region.width * 4, &why))) {
        nrv_lane_free(l);
        return why;
    }
    *out = l;
    return NRV_OK;
}

void nrv_lane_free(nrv_lane *l) {
    if (!l) return;
    nrv_memory *m = l->scaler->memory;
    nrv_free(m, l->mid);
    nrv_free(m, l->held);
    nrv_free(m, l->line);
    nrv_free(m, l->sums);
    nrv_free(m, l);
}

void nrv_scaler_needs(const nrv_scaler *s, uint32_t row0, uint32_t row1, uint32_t *first, uint32_t *end) {
    int32_t lo = INT32_MAX, hi = 0;
    for (int c = 0; c < (s->info.planes > 1 ? 2 : 1); c++) {
        const axis *a = &s->columns[c];
        int sub = c ? s->info.sub_y : 1;
        for (int32_t j = (int32_t)row0 / sub; j < a->count && j * sub < (int32_t)row1; j++) {
            lo = nrv_min(lo, a->first[j] * sub);
            hi = nrv_max(hi, (a->first[j] + a->taps) * sub);
        }
    }
    hi = nrv_min(hi, s->info.height);
    *first = lo > hi ? (uint32_t)hi : (uint32_t)lo;
    *end = (uint32_t)hi;
}

/* A row of Mid (6.4) */
static void across(const axis *a, const int16_t *restrict s, int depth, int16_t *restrict mid) {
    int32_t round = 1 << (depth - 1);
    int taps = a->taps;
    const int16_t *restrict c = a->coef;
    const int32_t *restrict first = a->first;
    if (taps == 6) {
        for (int32_t i = 0; i < a->count; i++, c += 6) {
            const int16_t *p = s + first[i];
            mid[i] = (int16_t)((round + c[0] * p[0] + c[1] * p[1] + c[2] * p[2] + c[3] * p[3] + c[4] * p[4] + c[5] * p[5]) >> depth);
        }
        return;
    }
    for (int32_t i = 0; i < a->count; i++, c += taps) {
        const int16_t *p = s + first[i];
        int32_t sum = round;
        for (int k = 0; k < taps; k++) sum += c[k] * p[k];
        mid[i] = (int16_t)(sum >> depth);
    }
}

static void plane_rows(const nrv_scaler *s, nrv_lane *l, const nrv_picture *src, const nrv_picture *dst, int p, int32_t j0, int32_t j1) {
    const axis *x = &s->rows[p != 0], *y = &s->columns[p != 0];
    int depth = s->info.bit_depth, shift = 28 - depth, taps = y->taps, w = x->count;
    int32_t peak = (1 << depth) - 1;
    for (int i = 0; i < taps; i++) l->held[i] = -1;
    for (int32_t j = j0; j < j1; j++) {
        int32_t *restrict sums = l->sums;
        for (int i = 0; i < w; i++) sums[i] = 1 << (shift - 1);
        for (int k = 0; k < taps; k++) {
            int32_t c = y->coef[(ptrdiff_t)j * taps + k], t = y->first[j] + k;
            if (!c) continue;
            int16_t *restrict mid = l->mid + (ptrdiff_t)(t % taps) * w;
            if (l->held[t % taps] != t) {
                const uint8_t *row = (const uint8_t *)src->plane[p] + (size_t)t * src->stride[p];
                if (depth == 8) for (int i = 0; i < x->source; i++) l->line[i] = row[i];
                else memcpy(l->line, row, (size_t)x->source * 2);
                across(x, l->line, depth, mid);
                l->held[t % taps] = t;
            }
            for (int i = 0; i < w; i++) sums[i] += c * mid[i];
        }
        uint8_t *row = (uint8_t *)dst->plane[p] + (size_t)j * dst->stride[p];
        if (depth == 8) for (int i = 0; i < w; i++) row[i] = (uint8_t)nrv_clip(0, peak, sums[i] >> shift);
        else {
            uint16_t *to = (uint16_t *)(void *)row;
            for (int i = 0; i < w; i++) to[i] = (uint16_t)nrv_clip(0, peak, sums[i] >> shift);
        }
    }
}

nrv_status nrv_scaler_rows(const nrv_scaler *s, nrv_lane *l, const nrv_picture *src, const nrv_picture *dst, uint32_t row0, uint32_t row1) {
    int sub = s->info.sub_y;
    if (row0 > row1 || row1 > s->region.height || row0 % (uint32_t)sub || (row1 % (uint32_t)sub && row1 != s->region.height)) return NRV_REFUSED;
    for (int p = 0; p < s->info.planes; p++) {
        int v = p ? sub : 1;
        plane_rows(s, l, src, dst, p, (int32_t)row0 / v, ((int32_t)row1 + v - 1) / v);
    }
    return NRV_OK;
}
