/* hybrid_palette.c: blocks of palette leaves (7.9). Their samples go where the residuals of other
 * intra blocks are kept until 8.4 takes them. */
#include "core.h"

enum { REUSE = 1769, COLOUR = 1791, HIT = 1807, NEXT = 1907, UNTRIED = 1937, PARALLEL = 1953 };

/* The colours of a block, and the list of the plane after it; the number of colours, 1 to 16. */
static int colours(nrv_palettes *s, nrv_range *r, nrv_context *c, int plane, int bit_depth, uint16_t colour[16]) {
    int chroma = plane != 0, count = 0, kept = 0;
    int32_t peak = (1 << bit_depth) - 1, last = -1;
    uint16_t *known = s->known[plane], others[32];
    for (int e = 0; e < s->count[plane]; e++) {
        if (count < 16 && nrv_bit(r, &c[REUSE + 11 * chroma + (e < 8 ? e : 7 + (e >> 3))])) colour[count++] = known[e];
        else others[kept++] = known[e];
    }
    for (int new = 0; count < 16; new++) {
        if (count > 0 && !nrv_bit(r, &c[COLOUR + 8 * chroma + nrv_min(new, 7)])) break;
        int w = last < 0 ? bit_depth : nrv_bit_length((uint32_t)(peak - last));
        last = nrv_min(peak, last + 1 + (int32_t)nrv_bypass_bits(r, w));
        colour[count++] = (uint16_t)last;
    }
    kept = nrv_min(kept, 32 - count);
    memcpy(known, colour, (size_t)count * sizeof *known);
    memcpy(known + count, others, (size_t)kept * sizeof *known);
    s->count[plane] = (uint8_t)(count + kept);
    return count;
}

typedef struct sample {
    int32_t count, chroma;
    int32_t near, same;         /* near[reference] or -1; 7.9 */
    int32_t a[4];               /* A0..A3; a[0] is -1 at the first sample */
    int32_t form;
} sample;

/* index() */
static int index_of(nrv_range *r, nrv_context *c, const sample *t, const uint8_t *recent) {
    uint32_t tried = 0;         /* bit i: index i */
    int done = 0, last = t->count - 1, class = t->chroma ? 3 : t->count == 2 ? 0 : t->count < 6 ? 1 : 2;
    if (t->near >= 0) {
        if (nrv_bit(r, &c[PARALLEL + 2 * t->same + (t->near == t->a[0])])) return t->near;
        tried = 1u << t->near;
        done = 1;
        class = 4;
    }
    for (int k = 0; k < 4 && t->a[0] >= 0; k++) {
        int a = t->a[k];
        if (tried >> a & 1) continue;
        if (done == last) return a;
        if (nrv_bit(r, k ? &c[NEXT + 15 * t->chroma + 5 * (k - 1) + (t->form >> 2)] : &c[HIT + 20 * class + t->form])) return a;
        tried |= 1u << a;
        done++;
    }
    for (int k = 0; k < 16; k++) {
        int a = recent[k];
        if (a >= t->count || (tried >> a & 1)) continue;
        if (done == last || nrv_bit(r, &c[UNTRIED + 8 * t->chroma + nrv_min(7, last - 1 - done)])) return a;
        tried |= 1u << a;
        done++;
    }
    return 0;                   /* not reached: the last one untried is taken above */
}

/* palette() for the n x n samples from row `row` of the leaf's part of the plane on. */
void nrv_palette(nrv_palettes *s, nrv_range *r, nrv_context *c, const nrv_info *info, int plane, int row, int n,
                 int16_t *to, ptrdiff_t stride) {
    uint16_t colour[16];
    uint8_t recent[16];
    int8_t near[16];
    sample t = {0};
    t.count = colours(s, r, c, plane, info->bit_depth, colour);
    t.chroma = plane != 0;
    for (int i = 0; i < 16; i++) {
        recent[i] = (uint8_t)i;
        near[i] = -1;
    }
    /* the reference of a sample is that at (across * j, i) of rows that lie `down` apart */
    int across = plane == 1 ? info->sub_x : 1;
    ptrdiff_t down = 32 * (ptrdiff_t)(plane == 1 ? info->sub_y : 1);
    const uint8_t *reference = plane ? s->index[plane - 1] + row * down : NULL;
    uint8_t *at = s->index[plane] + 32 * row;
    for (int i = 0; i < n; i++, at += 32, to += stride) {
        for (int j = 0; j < n; j++) {
            int index = 0;
            if (t.count > 1) {
                t.near = -1;
                if (plane) {
                    t.near = near[reference[across * j]];
                    t.same = j == 0 || reference[across * j] == reference[across * (j - 1)];
                }
                if (i || j) {
                    int W = j ? at[j - 1] : at[j - 32], N = i ? at[j - 32] : W;
                    int M = !i ? W : !j ? N : at[j - 33], E = !i ? W : j + 1 < n ? at[j - 31] : N, F = j > 1 ? at[j - 2] : W;
                    int shape = W == N ? (N == M ? 0 : 1) : W == M ? 2 : N == M ? 3 : 4;
                    t.form = 4 * shape + 2 * (N == E) + (W == F);
                    t.a[0] = shape == 2 ? N : W;
                    t.a[1] = shape == 2 ? W : N;
                    t.a[2] = E;
                    t.a[3] = M;
                } else t.a[0] = -1;
                index = index_of(r, c, &t, recent);
                int k = 0;
                while (recent[k] != index) k++;
                for (; k > 0; k--) recent[k] = recent[k - 1];
                recent[0] = (uint8_t)index;
                if (plane) near[reference[across * j]] = (int8_t)index;
            }
            at[j] = (uint8_t)index;
            to[j] = (int16_t)colour[index];
        }
        if (reference) reference += down;
    }
}
