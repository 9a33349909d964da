/* dot.c: see dot.h; the plain loop gives the same sums. */
#include "dot.h"

#ifdef LANES
/* `vectors` (1 to 3) times LANES units at 1 or 4 sites; both are constants at each call, and the
 * sums are named so that they stay in registers. */
NRV_INLINE void part(uint32_t *restrict acc, ptrdiff_t stride, const int16_t *restrict w, int block,
                     const nrv_segment *seg, int segs, int vectors, int sites, const int32_t *start) {
#define AT(s, v) (acc + (s) * stride + (v) * LANES)
#define EACH(op) op(0, 0) op(0, 1) op(0, 2) op(1, 0) op(1, 1) op(1, 2) op(2, 0) op(2, 1) op(2, 2) op(3, 0) op(3, 1) op(3, 2)
#define NAMED(s, v) nrv_lanes a##s##v = {0}; if (s < sites && v < vectors) a##s##v = start ? nrv_load(start + (v) * LANES) : nrv_load(AT(s, v));
    EACH(NAMED)
    for (int g = 0; g < segs; g++) {
        const int16_t *x = seg[g].x;
        ptrdiff_t step = seg[g].step;
        for (int32_t k = seg[g].pairs; k > 0; k--, x += 2, w += 2 * block) {
            nrv_lanes w0 = nrv_load(w), w1 = vectors > 1 ? nrv_load(w + 2 * LANES) : w0, w2 = vectors > 2 ? nrv_load(w + 4 * LANES) : w0;
            nrv_lanes x0 = nrv_spread(x), x1 = sites > 1 ? nrv_spread(x + step) : x0, x2 = sites > 2 ? nrv_spread(x + 2 * step) : x0,
                      x3 = sites > 3 ? nrv_spread(x + 3 * step) : x0;
#define ADD(s, v) if (s < sites && v < vectors) a##s##v = ADD_PAIRS(a##s##v, w##v, x##s);
            EACH(ADD)
        }
    }
#define STORE(s, v) if (s < sites && v < vectors) memcpy(AT(s, v), &a##s##v, sizeof a##s##v);
    EACH(STORE)
#undef AT
#undef EACH
#undef NAMED
#undef ADD
#undef STORE
}

NRV_INLINE void blocks(uint32_t *restrict acc, ptrdiff_t stride, int units, const int16_t *restrict w,
                       const nrv_segment *seg, int segs, int block, int sites, const int32_t *start) {
    size_t size = 0;
    for (int g = 0; g < segs; g++) size += (size_t)seg[g].pairs;
    size *= 2u * (size_t)block;
    for (int u = 0; u < units; u += block, w += size) {
#if LANES == 8
        part(acc + u, stride, w, block, seg, segs, block / LANES, sites, start ? start + u : NULL);
#else
        /* 16 registers: at most three vectors of units at a time */
        int some = block == 8 ? 2 : block == 16 ? 2 : 3;
        for (int v = 0; v < block / LANES; v += some)
            part(acc + u + v * LANES, stride, w + 2 * LANES * v, block, seg, segs, some, sites, start ? start + u + v * LANES : NULL);
#endif
    }
}
#else
NRV_INLINE void blocks(uint32_t *restrict acc, ptrdiff_t stride, int units, const int16_t *restrict w,
                       const nrv_segment *seg, int segs, int block, int sites, const int32_t *start) {
    for (int u = 0; u < units; u += block) {
        const int16_t *restrict from = w;
        for (int s = 0; s < sites; s++) {
            uint32_t sum[24];
            memcpy(sum, start ? (const uint32_t *)start + u : acc + s * stride + u, (size_t)block * 4);
            w = from;
            for (int g = 0; g < segs; g++) {
                const int16_t *restrict x = seg[g].x + s * seg[g].step;
                for (int32_t k = seg[g].pairs; k > 0; k--, w += 2 * block, x += 2) {
                    int32_t x0 = x[0], x1 = x[1];
                    for (int i = 0; i < block; i++) sum[i] += (uint32_t)(w[2 * i] * x0) + (uint32_t)(w[2 * i + 1] * x1);
                }
            }
            memcpy(acc + s * stride + u, sum, (size_t)block * 4);
        }
    }
}
#endif

void nrv_dot(uint32_t *restrict acc, ptrdiff_t stride, int units, const int16_t *restrict w,
             const nrv_segment *seg, int segs, int sites, const int32_t *start) {
    nrv_segment own[16];
    for (int g = 0; g < segs; g++) own[g] = seg[g];
    int block = nrv_block(units);
    for (; sites > 0; ) {
        int n = sites >= 4 ? 4 : 1;
        if (n == 4) {
            if (block == 24) blocks(acc, stride, units, w, own, segs, 24, 4, start);
            else if (block == 16) blocks(acc, stride, units, w, own, segs, 16, 4, start);
            else blocks(acc, stride, units, w, own, segs, 8, 4, start);
        } else {
            if (block == 24) blocks(acc, stride, units, w, own, segs, 24, 1, start);
            else if (block == 16) blocks(acc, stride, units, w, own, segs, 16, 1, start);
            else blocks(acc, stride, units, w, own, segs, 8, 1, start);
        }
        sites -= n;
        acc += n * stride;
        for (int g = 0; g < segs; g++) own[g].x += n * own[g].step;
    }
}
