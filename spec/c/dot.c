/* dot.c: see dot.h. With AVX2, SSE2 or 128-bit WebAssembly vectors one instruction multiplies
 * pairs and adds them; the plain loop gives the same sums. */
#include "dot.h"

#if defined(__AVX2__) && defined(__GNUC__)
#define LANES 8
typedef uint32_t nrv_lanes __attribute__((vector_size(32)));
typedef short nrv_pairs __attribute__((vector_size(32)));
typedef int nrv_sums __attribute__((vector_size(32)));
#define MADD(a, b) ((nrv_lanes)__builtin_ia32_pmaddwd256((nrv_pairs)(a), (nrv_pairs)(b)))
#elif defined(__SSE2__) && defined(__GNUC__)
#define LANES 4
typedef uint32_t nrv_lanes __attribute__((vector_size(16)));
typedef short nrv_pairs __attribute__((vector_size(16)));
#define MADD(a, b) ((nrv_lanes)__builtin_ia32_pmaddwd128((nrv_pairs)(a), (nrv_pairs)(b)))
#elif defined(__wasm_simd128__)
#define LANES 4
typedef uint32_t nrv_lanes __attribute__((vector_size(16)));
typedef short nrv_pairs __attribute__((vector_size(16)));
#define MADD(a, b) ((nrv_lanes)__builtin_wasm_dot_s_i32x4_i16x8((nrv_pairs)(a), (nrv_pairs)(b)))
#endif

#ifdef LANES
NRV_INLINE nrv_lanes load(const void *p) { nrv_lanes v; memcpy(&v, p, sizeof v); return v; }
NRV_INLINE nrv_lanes spread(const int16_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return (nrv_lanes){0} + v;
}

NRV_INLINE void part(uint32_t *restrict acc, ptrdiff_t stride, const int16_t *restrict w, int block,
                     const nrv_segment *seg, int segs, int vectors, int sites) {
    nrv_lanes a[6][4];
    for (int v = 0; v < vectors; v++)
        for (int s = 0; s < sites; s++) a[v][s] = load(acc + s * stride + v * LANES);
    for (int g = 0; g < segs; g++) {
        const int16_t *x = seg[g].x;
        ptrdiff_t step = seg[g].step;
        for (int32_t k = seg[g].pairs; k > 0; k--, x += 2, w += 2 * block) {
            nrv_lanes in[4];
            for (int s = 0; s < sites; s++) in[s] = spread(x + s * step);
            for (int v = 0; v < vectors; v++) {
                nrv_lanes t = load(w + 2 * LANES * v);
                for (int s = 0; s < sites; s++) a[v][s] += MADD(t, in[s]);
            }
        }
    }
    for (int v = 0; v < vectors; v++)
        for (int s = 0; s < sites; s++) memcpy(acc + s * stride + v * LANES, &a[v][s], sizeof a[v][s]);
}

NRV_INLINE void blocks(uint32_t *restrict acc, ptrdiff_t stride, int units, const int16_t *restrict w,
                       const nrv_segment *seg, int segs, int block, int sites) {
    size_t size = 0;
    for (int g = 0; g < segs; g++) size += (size_t)seg[g].pairs;
    size *= 2u * (size_t)block;
    for (int u = 0; u < units; u += block, w += size) {
#if LANES == 8
        part(acc + u, stride, w, block, seg, segs, block / LANES, sites);
#else
        /* 16 registers: at most three vectors of units at a time */
        int some = block == 8 ? 2 : block == 16 ? 2 : 3;
        for (int v = 0; v < block / LANES; v += some)
            part(acc + u + v * LANES, stride, w + 2 * LANES * v, block, seg, segs, some, sites);
#endif
    }
}
#else
NRV_INLINE void blocks(uint32_t *restrict acc, ptrdiff_t stride, int units, const int16_t *restrict w,
                       const nrv_segment *seg, int segs, int block, int sites) {
    for (int u = 0; u < units; u += block)
        for (int g = 0; g < segs; g++)
            for (int32_t k = 0; k < seg[g].pairs; k++, w += 2 * block)
                for (int s = 0; s < sites; s++) {
                    int32_t x0 = seg[g].x[s * seg[g].step + 2 * k], x1 = seg[g].x[s * seg[g].step + 2 * k + 1];
                    uint32_t *restrict to = acc + s * stride + u;
                    for (int i = 0; i < block; i++)
                        to[i] += (uint32_t)(w[2 * i] * x0) + (uint32_t)(w[2 * i + 1] * x1);
                }
}
#endif

void nrv_dot(uint32_t *restrict acc, ptrdiff_t stride, int units, const int16_t *restrict w,
             const nrv_segment *seg, int segs, int sites) {
    nrv_segment own[16];
    for (int g = 0; g < segs; g++) own[g] = seg[g];
    int block = nrv_block(units);
    for (; sites > 0; ) {
        int n = sites >= 4 ? 4 : 1;
        if (n == 4) {
            if (block == 24) blocks(acc, stride, units, w, own, segs, 24, 4);
            else if (block == 16) blocks(acc, stride, units, w, own, segs, 16, 4);
            else blocks(acc, stride, units, w, own, segs, 8, 4);
        } else {
            if (block == 24) blocks(acc, stride, units, w, own, segs, 24, 1);
            else if (block == 16) blocks(acc, stride, units, w, own, segs, 16, 1);
            else blocks(acc, stride, units, w, own, segs, 8, 1);
        }
        sites -= n;
        acc += n * stride;
        for (int g = 0; g < segs; g++) own[g].x += n * own[g].step;
    }
}
