/* hybrid_motion_syntax.c: the motion substream of a canvas (7.4). Fills the list of leaves and
 * size, merge, mode, direction and number of the leaf in the cells. */
#include "core.h"

typedef struct parser {
    nrv_hybrid *h;
    nrv_range *r;
    nrv_context *c;
    nrv_cell *cells;
    int32_t set, inter, cw, ch, chroma, modes_x;
    bool both, screen;
    int32_t copy[2];          /* CopyY, CopyX */
} parser;

enum { SPLIT = 0, CUT = 27, INTRA = 28, MERGE = 34, INDEX = 58, BOTH = 66, SECOND = 70, VZERO = 76, VMORE = 80,
       LISTED = 132, LATER = 134, REST = 135, OTHER = 167, LINEAR = 171, SIDE = 177,
       COPIED = 179, COPY_ZERO = 185, COPY_MORE = 187, SCREEN = 213, PALETTE = 214,
       HALVED = 220, BESIDE = 274, CUT_MORE = 282, AFFINE = 285, ENTRY = 333, GZERO = 339, GMORE = 347 };  /* CUT(i) is CUT_MORE + i for i > 0 */

/* component() with most = 13, gradient() with 8 */
static int32_t component(parser *p, int zero, int first_more, int most) {
    if (!nrv_bit(p->r, &p->c[zero])) return 0;
    int g = 0;
    nrv_context *more = &p->c[first_more];
    while (g < most && nrv_bit(p->r, more + g)) g++;
    int32_t v = 1;
    while (g-- > 0) v = 2 * v + nrv_bypass(p->r);
    return nrv_bypass(p->r) ? -v : v;
}

/* The mode of the luma block at (x, y) */
static int luma_mode(parser *p, int x, int y) {
    const uint8_t *at = p->h->modes + (ptrdiff_t)(y >> 2) * p->modes_x + (x >> 2);
    int left = x ? at[-1] : 1, up = y ? at[-p->modes_x] : 1, list[3];
    if (left == up) {
        if (left < 2) { list[0] = 0; list[1] = 1; list[2] = 26; }
        else { list[0] = left; list[1] = 2 + ((left + 29) % 32); list[2] = 2 + ((left - 1) % 32); }
    } else {
        list[0] = left;
        list[1] = up;
        list[2] = left != 0 && up != 0 ? 0 : left != 1 && up != 1 ? 1 : 26;
    }
    if (nrv_bit(p->r, &p->c[LISTED + (p->set != 0)])) {
        if (!nrv_bit(p->r, &p->c[LATER])) return list[0];
        return nrv_bit(p->r, &p->c[LATER + 1]) ? list[2] : list[1];
    }
    int r = 0, k = 1;
    for (int i = 0; i < 5; i++) {
        int b = nrv_bit(p->r, &p->c[REST + k]);
        k = 2 * k + b;
        r = 2 * r + b;
    }
    for (int mode = 0; mode < 35; mode++)
        if (mode != list[0] && mode != list[1] && mode != list[2] && r-- == 0) return mode;
    return 34;
}

static int chroma_mode(parser *p, int size, int first) {
    if (nrv_bit(p->r, &p->c[LINEAR + (p->set ? 3 : 0) + size])) {
        if (!nrv_bit(p->r, &p->c[SIDE])) return 35;
        return nrv_bit(p->r, &p->c[SIDE + 1]) ? 37 : 36;
    }
    if (!nrv_bit(p->r, &p->c[OTHER])) return first;
    static const uint8_t entry[4] = {0, 26, 10, 1};
    int b1 = nrv_bit(p->r, &p->c[OTHER + 1]), b0 = nrv_bit(p->r, &p->c[OTHER + 2 + b1]);
    int mode = entry[2 * b1 + b0];
    return mode == first ? 34 : mode;
}

static void set_modes(parser *p, int x, int y, int log2w, int log2h, int mode) {
    uint8_t *at = p->h->modes + (ptrdiff_t)(y >> 2) * p->modes_x + (x >> 2);
    for (int i = 0; i < 1 << (log2h - 2); i++, at += p->modes_x) memset(at, mode, (size_t)1 << (log2w - 2));
}

static int luma_cut(parser *p) {
    if (!nrv_bit(p->r, &p->c[CUT])) return 0;
    if (!nrv_bit(p->r, &p->c[CUT_MORE + 1])) return 1;
    return 2 + nrv_bit(p->r, &p->c[CUT_MORE + 2]);
}

static int is_affine(const parser *p, const nrv_cell *c) { return c && p->h->leaves[c->leaf - 1].affine; }

static void leaf(parser *p, int x, int y, int log2w, int log2h, const nrv_cell *left, const nrv_cell *up) {
    nrv_hybrid *h = p->h;
    nrv_leaf *l = &h->leaves[h->leaf_count++];
    int size = ((log2w + log2h) >> 1) - 3;  /* Size of its class (7.7) */
    uint8_t kind = 0;         /* 38 copied, 39 palette */
    memset(l, 0, sizeof *l);
    l->x = (uint16_t)x;
    l->y = (uint16_t)y;
    l->log2w = (uint8_t)log2w;
    l->log2h = (uint8_t)log2h;
    if (p->set == 0) l->intra = 1;
    else if (log2w < 6 && log2h < 6) {
        int c = (left && left->direction == 0) + (up && up->direction == 0);
        l->intra = (uint8_t)nrv_bit(p->r, &p->c[INTRA + 3 * p->inter + c]);
    }
    if (l->intra) {
        if (p->screen && log2w == log2h) {
            int e = (left && left->mode == 38) + (up && up->mode == 38), f = (left && left->mode == 39) + (up && up->mode == 39);
            if (nrv_bit(p->r, &p->c[COPIED + (p->set ? 3 : 0) + e])) kind = 38;
            else if (nrv_bit(p->r, &p->c[PALETTE + (p->set ? 3 : 0) + f])) kind = 39;
        }
        if (kind) {
            l->mode[0] = kind;
            set_modes(p, x, y, log2w, log2h, 1);  /* as it counts in lists of modes */
        } else if (p->set == 0 && log2w + log2h == 6) l->cut = (uint8_t)luma_cut(p);
        if (kind == 38)
            for (int axis = 0; axis < 2; axis++) {
                p->copy[axis] = nrv_clip(-8192, 8191, p->copy[axis] + component(p, COPY_ZERO + axis, COPY_MORE + 13 * axis, 13));
                l->d[0][axis] = (int16_t)p->copy[axis];
            }
        else if (!kind)
            for (int i = 0; i < nrv_luma_blocks(l); i++) {
                nrv_rectangle b = nrv_luma_block(l, i);
                l->mode[i] = (uint8_t)luma_mode(p, b.x, b.y);
                set_modes(p, b.x, b.y, b.log2w, b.log2h, l->mode[i]);
            }
        if (p->chroma) l->chroma_mode = (uint8_t)chroma_mode(p, size, l->mode[0]);
    } else {
        int d = (left && left->merge) + (up && up->merge);
        set_modes(p, x, y, log2w, log2h, 1);
        l->direction = 1;
        l->merge = (uint8_t)nrv_bit(p->r, &p->c[MERGE + 12 * p->inter + 3 * size + d]);
        if (log2w > 3 && log2h > 3) {
            int g = is_affine(p, left) + is_affine(p, up);
            l->affine = (uint8_t)nrv_bit(p->r, &p->c[AFFINE + 24 * p->inter + 12 * l->merge + 3 * size + g]);
        }
        if (l->merge && l->affine) {
            while (l->index < 3 && nrv_bit(p->r, &p->c[ENTRY + 3 * p->inter + l->index])) l->index++;
        } else if (l->merge) {
            while (l->index < 4 && nrv_bit(p->r, &p->c[INDEX + 4 * p->inter + l->index])) l->index++;
        } else {
            if (p->both) {
                if (nrv_bit(p->r, &p->c[BOTH + 5 * p->inter + size])) l->direction = 3;
                else if (nrv_bit(p->r, &p->c[SECOND + 5 * p->inter])) l->direction = 2;
            }
            for (int r = 0; r < 2; r++)
                if (l->direction >> r & 1)
                    for (int axis = 0; axis < 2; axis++) l->d[r][axis] = (int16_t)component(p, VZERO + 2 * p->inter + axis, VMORE + 26 * p->inter + 13 * axis, 13);
            for (int k = 0; l->affine && k < 4; k++) l->g[k] = (int16_t)component(p, GZERO + 4 * p->inter + k, GMORE + 8 * p->inter, 8);
        }
    }
    nrv_cell fill = {0};
    fill.direction = l->intra ? 0 : l->direction;
    fill.width = (uint8_t)((1 << log2w) - 1);
    fill.height = (uint8_t)((1 << log2h) - 1);
    fill.merge = l->merge;
    fill.mode = kind;
    fill.leaf = h->leaf_count;
    nrv_cell *c = p->cells + (ptrdiff_t)(y >> 3) * h->cells_x + (x >> 3);
    for (int i = 0; i < 1 << (log2h - 3); i++, c += h->cells_x)
        for (int k = 0; k < 1 << (log2w - 3); k++) c[k] = fill;
}

/* l and u of 7.4 for w x h samples, given as their logarithms */
NRV_INLINE int lower(const nrv_cell *left, int log2h) { return left && left->height + 1 < 1 << log2h; }
NRV_INLINE int narrower(const nrv_cell *up, int log2w) { return up && up->width + 1 < 1 << log2w; }

/* Inside the canvas. At most two levels deep: a ratio of 4 is not halved. */
static void area(parser *p, int x, int y, int log2w, int log2h) {
    const nrv_cell *at = p->cells + (ptrdiff_t)(y >> 3) * p->h->cells_x + (x >> 3);
    const nrv_cell *left = x ? at - 1 : NULL, *up = y ? at - p->h->cells_x : NULL;
    int longer = nrv_max(log2w, log2h), shorter = nrv_min(log2w, log2h);
    if (shorter > 3 && longer - shorter < 2) {
        int l = lower(left, log2h), u = narrower(up, log2w);
        if (nrv_bit(p->r, &p->c[HALVED + 18 * p->set + 9 * (longer != shorter) + 3 * (longer - 4) + l + u])) {
            int beside = longer == shorter ? nrv_bit(p->r, &p->c[BESIDE + 3 * p->set + 1 + u - l]) : log2w < log2h;
            log2w -= beside;
            log2h -= !beside;
            area(p, x, y, log2w, log2h);
            if (beside) area(p, x + (1 << log2w), y, log2w, log2h);
            else area(p, x, y + (1 << log2h), log2w, log2h);
            return;
        }
    }
    leaf(p, x, y, log2w, log2h, left, up);
}

static void block(parser *p, int x, int y, int size) {
    if (x >= p->cw || y >= p->ch) return;
    int n = 1 << size;
    if (size > 3) {
        int split = 1;
        if (!(x + n > p->cw || y + n > p->ch || (p->set == 0 && size == 6))) {
            const nrv_cell *at = p->cells + (ptrdiff_t)(y >> 3) * p->h->cells_x + (x >> 3);
            int c = (x ? lower(at - 1, size) : 0) + (y ? narrower(at - p->h->cells_x, size) : 0);
            split = nrv_bit(p->r, &p->c[SPLIT + 9 * p->set + 3 * (size - 4) + c]);
        }
        if (split) {
            for (int i = 0; i < 4; i++) block(p, x + (i & 1) * (n >> 1), y + (i >> 1) * (n >> 1), size - 1);
            return;
        }
    }
    area(p, x, y, size, size);
}

void nrv_motion_syntax(nrv_decoder *d, nrv_canvas *c) {
    nrv_hybrid *h = d->hybrid;
    parser p = {h, &h->motion, h->motion_contexts, c->cells, c->set, c->set - 1, h->coded_width, h->coded_height,
                d->info.chroma_format != 0, h->coded_width >> 2, c->set == 2 || (c->set == 1 && h->second), false, {0, 0}};
    h->leaf_count = 0;
    p.screen = nrv_bit(p.r, &p.c[SCREEN]);
    for (int y = 0; y < h->coded_height; y += 64)
        for (int x = 0; x < h->coded_width; x += 64) block(&p, x, y, 6);
}
