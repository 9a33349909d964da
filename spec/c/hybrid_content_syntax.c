/* hybrid_content_syntax.c: the content substream of a canvas (7.5, 7.6, 7.8; 7.9 is hybrid_palette.c), the coefficients of
 * its units (8.6), and the leaves that are not intra: predicted, and their residuals added as they are read. Those
 * of intra leaves are kept in h->residual. */
#include "core.h"

enum { DELTA = 0, CODED = 7, CB = 55, CR = 64, LUMA = 82, TREE = 100, PART = 106, LAST = 113, FULL = 545, SIG = 581,
       MORE = 1157, SINE = 1733, SAME = 1748, TAP = 1749, ON = 1763, OBLONG = 1957 /* TREE of v != z */, SECONDARY = 1963 };

/* DIAG(4, 4): x and y of each position, 0xXY */
static const uint8_t DIAG4[16] = {0x00, 0x01, 0x10, 0x02, 0x11, 0x20, 0x03, 0x12, 0x21, 0x30, 0x13, 0x22, 0x31, 0x23, 0x32, 0x33};

typedef struct parser {
    nrv_decoder *d;
    nrv_hybrid *h;
    nrv_canvas *canvas;
    nrv_range *r;
    nrv_context *c;
    int32_t set, inter, quantiser, offset, last_q, extra, peak;
    int32_t delta_block, varying;
    int32_t level_step[3];      /* by plane, of the leaf */
    bool intra;
    int32_t mode;               /* of the luma block, while a luma unit of an intra leaf is read */
    int32_t coefficients[32 * 32];
    nrv_palettes palettes;
} parser;

NRV_INLINE int last(nrv_range *r, nrv_context *c, int log2n) {
    int k = 0;
    while (k < 2 * log2n - 1 && nrv_bit(r, c + k)) k++;
    if (k < 4) return k;
    int v = 2 + (k & 1);
    for (int s = (k >> 1) - 1; s > 0; s--) v = 2 * v + nrv_bypass(r);
    return v;
}

/* Adds w x h residuals, w a multiple of chunk. */
NRV_INLINE void add(uint16_t *restrict to, ptrdiff_t stride, const int16_t *restrict from, int w, int h, int chunk, int peak) {
    for (int y = 0; y < h; y++, to += stride, from += w)
        for (int x = 0; x < w; x += chunk)
            for (int i = 0; i < chunk; i++) {
                int16_t v = (int16_t)(to[x + i] + from[x + i]);
                v = v < 0 ? 0 : v;
                to[x + i] = (uint16_t)(v > peak ? peak : v);
            }
}

/* A unit of w x h at (x0, y0) of a plane (7.6). */
static void unit(parser *p, int plane, int x0, int y0, int log2w, int log2h) {
    static const uint8_t place_of[7] = {0, 1, 1, 2, 2, 2, 3};
    static const uint8_t sig_class[16] = {0, 1, 2, 3, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
    static const uint8_t gt_class[16] = {0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7};
    static const uint8_t set_of[19] = {0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3};   /* s by mode */
    nrv_range own = *p->r, *r = &own;   /* a copy, so that it stays in registers */
    int chroma = plane != 0, e = log2w + log2h, size4 = ((e + 1) >> 1) - 2;   /* Size4 of R */
    nrv_context *last_of = &p->c[LAST + 144 * p->set + 72 * chroma - 18];
    int lastx = last(r, last_of + 9 * log2w, log2w), lasty = last(r, last_of + 36 + 9 * log2h, log2h);
    int secondary = 0, matrix = 0, sine = 0;
    if (!plane && p->intra && p->mode <= 34 && lastx < 4 && lasty < 4 && lastx + lasty > 0) {
        int s = set_of[p->mode > 18 ? 36 - p->mode : p->mode];
        nrv_context *c = &p->c[SECONDARY + 12 * s + 3 * ((e >> 1) - 2)];
        while (secondary < 3 && nrv_bit(r, c + secondary)) secondary++;
        matrix = 3 * s + secondary - 1;
    }
    if (!plane && !secondary && log2w < 5 && log2h < 5 && lastx + lasty > 0)
        sine = nrv_bit(r, &p->c[SINE + (p->set ? 3 * (2 * p->set - 1 + p->intra) : 0) + (e >> 1) - 2]);
    int width = 0, height = 0, first = 0;
    const uint8_t *diag = NRV_DIAG + 64 * (4 * (log2w - 2) + log2h - 2);
    uint8_t last_block = (uint8_t)((lastx >> 2) << 4 | (lasty >> 2));
    while (diag[first] != last_block) first++;
    /* what the sub-blocks up to the first one read can touch */
    int reach = nrv_min(1 << log2h, 4 * ((lastx >> 2) + (lasty >> 2) + 1));
    uint8_t a_of[34 * 36];      /* Min(15, A), a border of 2 to the right and below */
    for (int y = 0; y < reach + 2; y++) memset(a_of + 36 * y, 0, 36);
    uint8_t full_of[9 * 9];
    memset(full_of, 0, sizeof full_of);
    nrv_context *sig = &p->c[SIG + 192 * p->set + 96 * chroma + 24 * size4];
    nrv_context *more = &p->c[MORE + 192 * p->set + 96 * chroma];
    nrv_context *full = size4 > 0 ? &p->c[FULL + 12 * p->set + 6 * chroma + 2 * (size4 - 1)] : p->c;
    /* 8.6 */
    int shift = (e >> 1) - 1 + (e & 1 ? 8 : 0);
    int64_t step = (int64_t)p->level_step[plane] * (e & 1 ? 181 : 1), half = (int64_t)1 << (shift - 1);
    int64_t hi = ((int64_t)1 << (15 + p->extra)) - 1, lo = -hi - 1;
    for (int b = first; b >= 0; b--) {
        int bx = diag[b] >> 4, by = diag[b] & 15, start = 15;
        bool coded = b != first && b != 0;
        if (coded && !nrv_bit(r, full + (full_of[9 * by + bx + 1] | full_of[9 * by + 9 + bx]))) continue;
        full_of[9 * by + bx] = 1;
        if (b == first) {
            uint8_t at = (uint8_t)((lastx & 3) << 4 | (lasty & 3));
            for (start = 0; DIAG4[start] != at; ) start++;
        }
        int32_t value[16], sum = 0;
        uint8_t number[16];
        int found = 0;
        uint8_t *block_of = a_of + 36 * 4 * by + 4 * bx;
        for (int k = start; k >= 0; k--) {
            int x = DIAG4[k] >> 4, y = DIAG4[k] & 15, d = 4 * (bx + by) + x + y;
            uint8_t *at = block_of + 36 * y + x;
            int t = at[1] + at[2] + at[36] + at[72] + at[37];
            t = t > 15 ? 15 : t;
            int place = place_of[d > 6 ? 6 : d];
            int32_t a;
            if (b == first && k == start) a = 1;
            else if (k == 0 && coded && !found) a = 1;
            else a = nrv_bit(r, sig + 6 * place + sig_class[t]);
            if (!a) continue;
            nrv_context *c = more + 24 * place + 3 * gt_class[t];
            while (a < 15 && nrv_bit(r, c + (a > 2 ? 2 : a - 1))) a++;
            *at = (uint8_t)a;
            if (NRV_UNLIKELY(a == 15)) {
                int g = 0;
                while (g < 15 && nrv_bypass(r)) g++;
                int32_t v = 1;
                while (g-- > 0) v = 2 * v + nrv_bypass(r);
                a = 14 + v;
            }
            sum += a;
            value[found] = a;
            number[found++] = (uint8_t)k;
        }
        if (!found) continue;
        int32_t *to = p->coefficients + 32 * 4 * by + 4 * bx;
        bool hides = number[0] - number[found - 1] >= 4;
        for (int k = 0; k < found; k++) {
            int negative = hides && k == found - 1 ? sum & 1 : nrv_bypass(r);
            int64_t level = nrv_min(value[k], 32767 + negative);
            level = negative ? -level : level;
            int x = DIAG4[number[k]] >> 4, y = DIAG4[number[k]] & 15;
            width = nrv_max(width, 4 * bx + x + 1);
            height = nrv_max(height, 4 * by + y + 1);
            to[32 * y + x] = (int32_t)nrv_clip64(lo, hi, (level * step + half) >> shift);
        }
    }
    *p->r = own;
    if (secondary) {
        width = height = log2w == 2 || log2h == 2 ? 4 : 8;
        nrv_secondary(p->coefficients, matrix, width, p->mode > 18, p->extra);
    }
    ptrdiff_t stride = p->h->plane_width[plane], at = y0 * stride + x0;
    if (p->intra) {
        nrv_transform(p->coefficients, log2w, log2h, sine, width, height, p->extra, p->h->residual[plane] + at, stride);
    } else {
        int16_t residual[32 * 32];
        int w = 1 << log2w, h = 1 << log2h;
        nrv_transform(p->coefficients, log2w, log2h, sine, width, height, p->extra, residual, w);
        uint16_t *to = p->canvas->plane[plane] + at;
        if (e == 4) add(to, stride, residual, 4, 4, 4, p->peak);
        else if (w == 4) add(to, stride, residual, 4, h, 4, p->peak);
        else add(to, stride, residual, w, h, 8, p->peak);
    }
    for (int y = 0; y < height; y++) memset(p->coefficients + 32 * y, 0, (size_t)width * sizeof *p->coefficients);
}

/* A unit of luma, noted in its cells (8.7). */
static void luma_unit(parser *p, int x, int y, int log2w, int log2h) {
    nrv_hybrid *h = p->h;
    unit(p, 0, x, y, log2w, log2h);
    nrv_cell *c = p->canvas->cells + (ptrdiff_t)(y >> 3) * h->cells_x + (x >> 3);
    int columns = 1 << nrv_max(0, log2w - 3), rows = 1 << nrv_max(0, log2h - 3);
    for (int i = 0; i < rows; i++, c += h->cells_x)
        for (int k = 0; k < columns; k++) {
            c[k].luma = 1;
            c[k].width = (uint8_t)(8 * columns - 1);
            c[k].height = (uint8_t)(8 * rows - 1);
        }
}

/* A square block of a node */
static void tree(parser *p, int x, int y, int s) {
    if (s > 2 && nrv_bit(p->r, &p->c[TREE + 3 * p->inter + s - 3])) {
        int half = 1 << (s - 1);
        for (int i = 0; i < 4; i++)
            if (nrv_bit(p->r, &p->c[PART + 3 * p->inter + s - 1 - 2])) tree(p, x + (i & 1) * half, y + (i >> 1) * half, s - 1);
        return;
    }
    luma_unit(p, x, y, s, s);
}

/* A node that is no square: its parts are the squares of its shorter side. */
static void oblong(parser *p, int x, int y, int log2w, int log2h) {
    if (!nrv_bit(p->r, &p->c[OBLONG + 3 * p->inter + log2w + log2h - 7])) {
        luma_unit(p, x, y, log2w, log2h);
        return;
    }
    int s = nrv_min(log2w, log2h);
    for (int i = 0; i < 1 << nrv_abs(log2w - log2h); i++)
        if (nrv_bit(p->r, &p->c[PART + 3 * p->inter + s - 2])) tree(p, x + (log2w > s ? i << s : 0), y + (log2h > s ? i << s : 0), s);
}

/* A block with a palette; `row` is its first one in the leaf's part of the plane. */
static void palette(parser *p, int plane, int x, int y, int row, int log2n) {
    ptrdiff_t stride = p->h->plane_width[plane];
    nrv_palette(&p->palettes, p->r, p->c, &p->d->info, plane, row, 1 << log2n, p->h->residual[plane] + y * stride + x, stride);
}

static void delta(parser *p) {
    if (!nrv_bit(p->r, &p->c[DELTA])) return;
    int m = 1;
    while (m < 32 && nrv_bit(p->r, &p->c[DELTA + nrv_min(m, 5)])) m++;
    if (nrv_bit(p->r, &p->c[DELTA + 6])) m = -m;
    p->offset = nrv_clip(-p->quantiser, p->last_q - p->quantiser, p->offset + m);
}

static void node(parser *p, nrv_leaf *l, int x, int y, int log2w, int log2h) {
    int parts = p->h->unit_parts, size = ((log2w + log2h) >> 1) - 3, cb = 0, cr = 0, luma;   /* size: of M */
    bool colours = l->chroma_mode == 39;   /* then that of luma is too */
    if (!colours) {
        for (int i = 0; i < parts; i++) cb |= nrv_bit(p->r, &p->c[CB + 3 * p->set + size]) << i;
        for (int i = 0; i < parts; i++) cr |= nrv_bit(p->r, &p->c[CR + 6 * p->set + 2 * size + (cb != 0)]) << i;
    }
    nrv_context *c = &p->c[LUMA + 6 * p->set + 2 * size + (cb || cr)];
    if (l->intra) {
        if (l->mode[0] == 39) palette(p, 0, x, y, 0, log2w);
        else for (int i = 0; i < nrv_luma_blocks(l); i++)
            if (nrv_bit(p->r, c)) {
                nrv_rectangle b = nrv_luma_block(l, i);
                l->luma_units |= (uint8_t)(1 << i);
                p->mode = l->mode[i];
                luma_unit(p, b.x, b.y, b.log2w, b.log2h);
            }
        l->cb_units = (uint8_t)cb;
        l->cr_units = (uint8_t)cr;
    } else {
        if (l->log2w < 6 && l->log2h < 6 && !cb && !cr) luma = 1;
        else luma = nrv_bit(p->r, c);
        if (luma && log2w == log2h) tree(p, x, y, log2w);
        else if (luma) oblong(p, x, y, log2w, log2h);
    }
    if (!parts) return;
    int sub_x = p->d->info.sub_x, sub_y = p->d->info.sub_y;
    log2w -= sub_x - 1;       /* of a part */
    log2h -= sub_x - 1;
    if (colours)
        for (int plane = 1; plane < 3; plane++)
            for (int i = 0; i < parts; i++) palette(p, plane, x / sub_x, y / sub_y + (i << log2h), i << log2h, log2h);
    for (int i = 0; i < parts; i++)
        if (cb >> i & 1) unit(p, 1, x / sub_x, y / sub_y + (i << log2h), log2w, log2h);
    for (int i = 0; i < parts; i++)
        if (cr >> i & 1) unit(p, 2, x / sub_x, y / sub_y + (i << log2h), log2w, log2h);
}

static void leaf(parser *p, nrv_leaf *l) {
    nrv_hybrid *h = p->h;
    int x = l->x, y = l->y, log2w = l->log2w, log2h = l->log2h, coded = 1;
    nrv_cell *at = p->canvas->cells + (ptrdiff_t)(y >> 3) * h->cells_x + (x >> 3);
    if (!l->intra) {
        int c = (x && at[-1].coded) + (y && at[-h->cells_x].coded);
        coded = nrv_bit(p->r, &p->c[CODED + 24 * p->inter + 6 * (((log2w + log2h) >> 1) - 3) + 3 * l->merge + c]);
    }
    if (coded) {
        int block = (y >> 5) * 4096 + (x >> 5);   /* leaves of a quantiser block follow one another */
        if (p->varying && p->delta_block != block) {
            p->delta_block = block;
            delta(p);
        }
        int q = p->quantiser + p->offset, qc = nrv_clip(0, p->last_q, q + h->chroma_offset);
        p->level_step[0] = nrv_step(q);
        p->level_step[1] = p->level_step[2] = nrv_step(qc);
        p->intra = l->intra;
        for (int j = 0; j < 1 << log2h; j += 32)
            for (int i = 0; i < 1 << log2w; i += 32) node(p, l, x + i, y + j, nrv_min(5, log2w), nrv_min(5, log2h));
    }
    uint8_t q = (uint8_t)(p->quantiser + p->offset);
    for (int i = 0; i < 1 << (log2h - 3); i++, at += h->cells_x)
        for (int k = 0; k < 1 << (log2w - 3); k++) {
            at[k].q = q;
            at[k].coded = (uint8_t)coded;
        }
}

/* ---- 7.8 ---- */

static int tap(parser *p, int chroma) {
    nrv_context *c = &p->c[TAP + 7 * chroma];
    if (!nrv_bit(p->r, c)) return 0;
    int g = 0, v = 1;
    while (g < 6 && nrv_bit(p->r, c + 1 + g)) g++;
    while (g-- > 0) v = 2 * v + nrv_bypass(p->r);
    return nrv_bypass(p->r) ? -v : v;
}

static nrv_status filters(parser *p) {
    nrv_hybrid *h = p->h;
    for (int plane = 0; plane < p->d->info.planes; plane++) {
        nrv_filters *f = &h->filters[plane];
        int chroma = plane != 0, taps = chroma ? 6 : 12;
        f->used = (uint8_t)nrv_bypass(p->r);
        if (!f->used) continue;
        f->count = (uint8_t)(chroma ? 1 : 1 + nrv_bypass_bits(p->r, 3));
        memset(f->number, 0, sizeof f->number);
        if (f->count > 1)
            for (int k = 0; k < 25; k++) {
                if (k && nrv_bit(p->r, &p->c[SAME])) { f->number[k] = f->number[k - 1]; continue; }
                f->number[k] = (uint8_t)nrv_bypass_bits(p->r, nrv_bit_length(f->count - 1u));
                if (f->number[k] >= f->count) return nrv_fail(p->d, NRV_CORRUPT, "7.8", "a class names no filter");
            }
        for (int k = 0; k < f->count; k++)
            for (int i = 0; i < taps; i++) f->tap[k][i] = (int8_t)tap(p, chroma);
        for (int y = 0; y < h->roots_y; y++)
            for (int x = 0; x < h->roots_x; x++) {
                uint8_t *on = f->on + y * h->roots_x + x;
                int c = (x && on[-1]) + (y && on[-h->roots_x]);
                *on = (uint8_t)nrv_bit(p->r, &p->c[ON + 3 * chroma + c]);
            }
    }
    return NRV_OK;
}

nrv_status nrv_content_syntax(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    parser p;
    memset(&p, 0, sizeof p);
    p.d = d;
    p.h = h;
    p.canvas = c;
    p.r = &h->content;
    p.c = h->content_contexts;
    p.set = c->set;
    p.inter = c->set - 1;
    p.extra = d->info.bit_depth - 8;
    p.last_q = 63 + 6 * p.extra;
    p.peak = (1 << d->info.bit_depth) - 1;
    p.delta_block = -1;
    if (c->set < 2) {
        nrv_status s = filters(&p);
        if (s) return s;
    }
    p.quantiser = (int32_t)nrv_bypass_bits(p.r, d->info.bit_depth == 8 ? 6 : 7);
    if (p.quantiser > p.last_q) return nrv_fail(d, NRV_CORRUPT, "7.5", "a quantiser is out of range");
    p.varying = nrv_bypass(p.r);
    for (uint32_t i = 0; i < h->leaf_count; i++) {
        /* predicted here, so that its units find it in the cache */
        if (!h->leaves[i].intra) nrv_inter_leaf(d, c, &h->leaves[i]);
        leaf(&p, &h->leaves[i]);
    }
    return NRV_OK;
}
