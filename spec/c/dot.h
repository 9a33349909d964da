/* dot.h: the inner product of all networks (clauses 9, 12, 13). 16-bit inputs and weights,
 * 32-bit sums. Weights are packed as tables.py says: blocks of units, in each pairs of inputs,
 * [block][pair][unit][2]. Sums are unsigned, so that the wrap of 11.2 is defined. */
#ifndef NRV_DOT_H
#define NRV_DOT_H
#include "core.h"

typedef struct nrv_segment {
    const int16_t *x;   /* inputs of the first site */
    ptrdiff_t step;     /* to those of the next site */
    int32_t pairs;
} nrv_segment;

NRV_INLINE int nrv_block(int units) { return units % 24 == 0 ? 24 : units % 16 == 0 ? 16 : 8; }

/* acc[site * stride + unit] = start[unit] + products, for `sites` sites and all units (a multiple
 * of 8); if start is NULL, products are added to what acc holds. */
void nrv_dot(uint32_t *restrict acc, ptrdiff_t stride, int units, const int16_t *restrict w,
             const nrv_segment *seg, int segs, int sites, const int32_t *start);
#endif
