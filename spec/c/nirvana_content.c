/* nirvana_content.c: the content substream of model 3 and its entropy network (11.6, 12.3).
 * What does not depend on the slice itself is summed for a row of patches at a time. */
#include "nirvana.h"

static const uint8_t SIZE[SLICES] = {4, 12, 24, 40, 48, 64}, START[SLICES + 1] = {0, 4, 16, 40, 80, 128, 192};
enum { CODED = 0, FIRST = 180, ZERO = 216, SIGN = 294, MORE = 346, PREFIX = 502, LAST = 512, NUMBER = 515 };

static int bucket(uint32_t n) {
    if (n < 2) return 0;
    int b = nrv_bit_length(n);
    return nrv_min(35, 2 * (b - 1) + (int)((n >> (b - 2)) & 1));
}

typedef struct slicer {
    nrv_decoder *d;
    nrv_nirvana *n;
    nrv_layer *l;
    nrv_range *r;
    nrv_context *c;
    int32_t s;
    int32_t base[E];            /* biases of sum(u) */
    int32_t second[E2];         /* of g(u) */
    int32_t outputs[192];       /* of o(k, f) */
    int32_t kinds;
} slicer;

static void slicer_start(slicer *k, int s) {
    const nrv_nirvana *n = k->n;
    k->s = s;
    k->kinds = s < 2 ? 4 : 3;
    for (int u = 0; u < E; u++) {
        const int32_t *b = NRV_N_BC + s * 3 * E;
        k->base[u] = b[u] + n->cq * b[E + u] + (n->key ? b[2 * E + u] : 0);
    }
    for (int u = 0; u < E2; u++) k->second[u] = NRV_N_BH[s * E2 + u];
    int size = k->kinds * SIZE[s];
    for (int i = 0; i < size; i++) k->outputs[i] = NRV_N_BO[NRV_N_BO_AT[s] + i] + n->cq * NRV_N_BO[NRV_N_BO_AT[s] + size + i];
}

NRV_INLINE int32_t in_steps(int32_t a, int32_t reciprocal) {
    return nrv_clip(-32767, 32767, (a * reciprocal + (1 << 14)) >> 15);
}
NRV_INLINE int32_t value(int32_t a) { return nrv_clip(-240, 240, a); }
NRV_INLINE int32_t log_of(int32_t a) { return NRV_N_LOG[nrv_min(4095, nrv_abs(a))]; }

/* Sums of earlier slices and of moved features, of patches x0..x1-1 of a row. */
static void batch(slicer *k, int y, int x0, int x1) {
    nrv_nirvana *n = k->n;
    nrv_layer *l = k->l;
    int s = k->s, start = START[s], size = SIZE[s], count = x1 - x0, before = nrv_min(40, start);
    ptrdiff_t padded = (ptrdiff_t)(y + 1) * l->stride + x0 + 1;
    nrv_segment seg[9];
    uint32_t *sums = n->sums + (ptrdiff_t)x0 * E;
    if (s == 5) {
        seg[0] = (nrv_segment){l->logs + padded * 2 * F, 2 * F, start};
        nrv_dot(sums, E, E, NRV_N_A + NRV_N_A_AT[s], seg, 1, count, k->base);
    } else if (s) {
        for (int j = 0; j < 9; j++)
            seg[j] = (nrv_segment){l->logs + (padded + (j / 3 - 1) * (ptrdiff_t)l->stride + j % 3 - 1) * 2 * F, 2 * F, start};
        nrv_dot(sums, E, E, NRV_N_A + NRV_N_A_AT[s], seg, 9, count, k->base);
    }
    if (s == 0)
        for (int x = 0; x < count; x++) memcpy(sums + x * E, k->base, sizeof k->base);
    if (s < 4) {
        int units = (size + 7) / 8 * 8;
        uint32_t *near = n->nears + (ptrdiff_t)x0 * units;
        memset(near, 0, (size_t)count * (size_t)units * 4);
        if (s) {
            for (int j = 0; j < 9; j++)
                seg[j] = (nrv_segment){l->residual + (padded + (j / 3 - 1) * (ptrdiff_t)l->stride + j % 3 - 1) * F, F, before / 2};
            nrv_dot(near, units, units, NRV_N_NEAR_A + NRV_N_NEAR_A_AT[s], seg, 9, count, NULL);
        }
    }
    if (n->key) return;
    int16_t *terms = n->terms + (ptrdiff_t)x0 * 256;
    int32_t *gaps = n->gaps + (ptrdiff_t)x0 * 64;
    for (int x = 0; x < count; x++) {
        ptrdiff_t at = ((ptrdiff_t)y * l->patches_x + x0 + x) * F + start;
        for (int f = 0; f < size; f++) {
            int32_t m = in_steps(l->moved[at + f], n->reciprocal), gap = in_steps(l->feature[at + f], n->reciprocal) - m;
            int16_t *t = terms + x * 256 + 4 * f;
            t[0] = (int16_t)value(m);
            t[1] = (int16_t)log_of(m);
            t[2] = (int16_t)value(gap);
            t[3] = (int16_t)log_of(gap);
            gaps[x * 64 + f] = gap;
        }
    }
    seg[0] = (nrv_segment){terms, 256, 2 * size};
    nrv_dot(sums, E, E, NRV_N_M + NRV_N_M_AT[s], seg, 1, count, NULL);
}

NRV_INLINE int32_t gate(int32_t a) { return nrv_clip(0, 64, 32 + (a >> 2)); }

/* mean and o(1, f) of a patch; batch() has been there. */
static void network(slicer *k, int y, int x, int32_t *restrict mean, int32_t *restrict scale) {
    nrv_nirvana *n = k->n;
    nrv_layer *l = k->l;
    int s = k->s, start = START[s], size = SIZE[s];
    ptrdiff_t padded = (ptrdiff_t)(y + 1) * l->stride + x + 1;
    const ptrdiff_t at[4] = {padded - l->stride - 1, padded - l->stride, padded - l->stride + 1, padded - 1};
    nrv_segment seg[4];
    uint32_t *sum = n->sums + (ptrdiff_t)x * E, second[E2], out[192];
    int16_t h[E], g[E2];
    for (int j = 0; j < 4; j++) seg[j] = (nrv_segment){l->logs + (at[j] * F + start) * 2, 0, size};
    nrv_dot(sum, E, E, NRV_N_C + NRV_N_C_AT[s], seg, 4, 1, NULL);
    for (int u = 0; u < E; u++) h[u] = (int16_t)nrv_hidden((int32_t)sum[u], NRV_N_SHIFTS[2]);
    seg[0] = (nrv_segment){h, 0, E / 2};
    nrv_dot(second, E2, E2, NRV_N_H + NRV_N_H_AT[s], seg, 1, 1, k->second);
    for (int u = 0; u < E2; u++) g[u] = (int16_t)nrv_hidden((int32_t)second[u], NRV_N_SHIFTS[3]);
    int units = k->kinds * size;
    seg[0] = (nrv_segment){g, 0, E2 / 2};
    nrv_dot(out, units, units, NRV_N_O + NRV_N_O_AT[s], seg, 1, 1, k->outputs);
    int32_t o[192];
    for (int i = 0; i < units; i++) o[i] = nrv_rshift((int32_t)out[i], NRV_N_SHIFTS[4]);
    int32_t linear[64] = {0};
    if (s < 4) {
        int near_units = (size + 7) / 8 * 8;
        uint32_t *near = n->nears + (ptrdiff_t)x * near_units;
        if (s < 3) {
            for (int j = 0; j < 4; j++) seg[j] = (nrv_segment){l->residual + at[j] * F + start, 0, size / 2};
            nrv_dot(near, near_units, near_units, NRV_N_NEAR_C + NRV_N_NEAR_C_AT[s], seg, 4, 1, NULL);
        }
        for (int f = 0; f < size; f++) {
            int32_t v = (int32_t)near[f] >> 2;
            linear[f] = s < 2 ? (gate(o[3 * size + f]) * v) >> 6 : v;
        }
    }
    const int32_t *gaps = n->gaps + (ptrdiff_t)x * 64;
    for (int f = 0; f < size; f++) {
        mean[f] = o[f] + linear[f];
        if (!n->key) mean[f] += (gate(o[2 * size + f]) * gaps[f]) >> 4;
        scale[f] = o[size + f];
    }
}

static nrv_status slice(slicer *k, int y, int x, int number) {
    nrv_range *r = k->r;
    nrv_context *c = k->c;
    nrv_layer *l = k->l;
    int s = k->s, size = SIZE[s];
    int32_t mean[64], scale[64], round[64], cost[64];
    uint8_t class[64], part[64];
    ptrdiff_t padded = (ptrdiff_t)(y + 1) * l->stride + x + 1;
    int16_t *residual = l->residual + padded * F + START[s], *logs = l->logs + (padded * F + START[s]) * 2;
    network(k, y, x, mean, scale);
    uint32_t left = 0;
    for (int f = 0; f < size; f++) {
        round[f] = (mean[f] + 32) >> 6;
        int32_t away = nrv_abs(mean[f] - 64 * round[f]), v = nrv_clip(0, 468, scale[f] + 243);   /* 26 * 18 = 468 */
        part[f] = away < 5 ? 0 : away < 16 ? 1 : 2;
        class[f] = (uint8_t)nrv_min(25, v / 18);
        cost[f] = NRV_N_ZERO_COST[3 * class[f] + part[f]];
        left += (uint32_t)cost[f];
    }
    int coded = nrv_bit(r, s >= 3 && s == number - 1 ? &c[LAST + s - 3] : &c[CODED + 36 * s + bucket(left)]);
    bool found = !coded, over = false;
    for (int f = 0; f < size; f++) {
        int nonzero = 0;
        int32_t v = 0;
        if (coded) {
            if (found) nonzero = nrv_bit(r, &c[ZERO + 3 * class[f] + part[f]]);
            else if (f == size - 1) nonzero = 1;
            else {
                nonzero = nrv_bit(r, &c[FIRST + bucket(16 * left / (uint32_t)cost[f])]);
                left -= (uint32_t)cost[f];
            }
        }
        if (nonzero) {
            found = true;
            int32_t m = 1;
            nrv_context *more = &c[MORE + 6 * class[f]];
            while (m < 7 && nrv_bit(r, more + m - 1)) m++;
            if (m == 7) {
                int g = 0;
                while (g < 15 && nrv_bit(r, &c[PREFIX + nrv_min(g, 9)])) g++;
                int32_t t = 1;
                while (g-- > 0) t = 2 * t + nrv_bypass(r);
                m = 6 + t;
            }
            int negative;
            if (part[f] == 0) negative = nrv_bypass(r);
            else negative = nrv_bit(r, &c[SIGN + 2 * class[f] + part[f] - 1]) ^ (mean[f] - 64 * round[f] < 0);
            v = negative ? -m : m;
        }
        v += round[f];
        over |= v < -16383 || v > 16383;
        v = nrv_clip(-16383, 16383, v);
        residual[f] = (int16_t)v;
        logs[2 * f] = (int16_t)value(16 * v);
        logs[2 * f + 1] = (int16_t)log_of(16 * v);
    }
    return over ? nrv_fail(k->d, NRV_CORRUPT, "11.6", "a residual is out of range") : NRV_OK;
}

static nrv_status slices(slicer *k, int s) {
    nrv_layer *l = k->l;
    nrv_status status = NRV_OK;
    slicer_start(k, s);
    for (int y = 0; y < l->patches_y; y++) {
        const uint8_t *number = l->number + (ptrdiff_t)(y + 1) * l->stride + 1;
        for (int x = 0; x < l->patches_x; ) {
            if (s >= 3 && s >= number[x]) {
                ptrdiff_t padded = (ptrdiff_t)(y + 1) * l->stride + x + 1;
                memset(l->residual + padded * F + START[s], 0, (size_t)SIZE[s] * 2);
                memset(l->logs + (padded * F + START[s]) * 2, 0, (size_t)SIZE[s] * 4);
                x++;
                continue;
            }
            int end = x + 1;
            while (end < l->patches_x && (s < 3 || s < number[end])) end++;
            batch(k, y, x, end);
            for (; x < end; x++)
                if ((status = slice(k, y, x, number[x])) != NRV_OK) return status;
        }
    }
    return NRV_OK;
}

static void numbers(slicer *k, int kind) {
    nrv_layer *l = k->l;
    for (int y = 0; y < l->patches_y; y++)
        for (int x = 0; x < l->patches_x; x++) {
            ptrdiff_t padded = (ptrdiff_t)(y + 1) * l->stride + x + 1;
            const int16_t *residual = l->residual + padded * F + START[2];
            uint8_t *at = l->number + padded;
            uint32_t some = 0;
            for (int f = 0; f < SIZE[2]; f++) some += residual[f] != 0;
            int busy = nrv_min(4, nrv_bit_length(some)), number = 3;
            while (number < 6) {
                int longer = (at[-1] > number) + (at[-l->stride] > number) + (at[1 - l->stride] > number);
                if (!nrv_bit(k->r, &k->c[NUMBER + 60 * kind + 20 * (number - 3) + 5 * longer + busy])) break;
                number++;
            }
            *at = (uint8_t)number;
        }
}

nrv_status nrv_nirvana_content(nrv_decoder *d, const uint8_t *bytes, size_t length) {
    nrv_nirvana *n = d->nirvana;
    nrv_status s;
    if (!nrv_range_start(&n->range, bytes, length)) return nrv_fail(d, NRV_CORRUPT, "3.2", "a range-coded run begins with FF FF FF FF");
    nrv_contexts_start(n->contexts, NRV_NIRVANA_CONTENT_CONTEXTS, NRV_NIRVANA_CONTENT_CONTEXTS_COUNT);
    n->q = (int32_t)nrv_bypass_bits(&n->range, 6);
    if (n->q < 4) return nrv_fail(d, NRV_CORRUPT, "11.6", "q is out of range");
    n->cq = nrv_clip(-16, 10, n->q - 36);
    n->step = nrv_step(n->q);
    n->reciprocal = nrv_reciprocal(n->q);
    slicer k;
    k.d = d;
    k.n = n;
    k.r = &n->range;
    k.c = n->contexts;
    for (int p = 0; p < d->info.planes; p++) {
        k.l = &n->layer[p];
        for (int i = 0; i < 3; i++)
            if ((s = slices(&k, i)) != NRV_OK) return s;
        memset(k.l->number, 0, (size_t)k.l->stride * ((size_t)k.l->patches_y + 2));
        numbers(&k, p != 0);
        for (int i = 3; i < SLICES; i++)
            if ((s = slices(&k, i)) != NRV_OK) return s;
    }
    if (!nrv_range_end(&n->range)) return nrv_fail(d, NRV_CORRUPT, "3.2", "a range-coded run does not end where its bytes do");
    return NRV_OK;
}
