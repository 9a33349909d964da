/* dot.h: the inner product of all networks (clauses 9, 12, 13). 16-bit inputs and weights,
 * 32-bit sums. Weights are packed as tables.py says: blocks of units, in each pairs of inputs,
 * [block][pair][unit][2]. Sums are unsigned, so that the wrap of 11.2 is defined. */
#ifndef NRV_DOT_H
#define NRV_DOT_H
#include "core.h"

/* With AVX2, SSE2 or 128-bit WebAssembly vectors one instruction multiplies pairs and adds them, with
 * VNNI also to the sum. */
#if defined(NRV_PLAIN)
#elif defined(__AVX512VNNI__) && defined(__AVX512VL__) && defined(__GNUC__)
#define LANES 8
typedef uint32_t nrv_lanes __attribute__((vector_size(32)));
typedef int nrv_sums __attribute__((vector_size(32)));
#ifdef __clang__
#define DOT __builtin_ia32_vpdpwssd256
#else
#define DOT __builtin_ia32_vpdpwssd_v8si
#endif
#define ADD_PAIRS(sum, a, b) ((nrv_lanes)DOT((nrv_sums)(sum), (nrv_sums)(a), (nrv_sums)(b)))
#elif defined(__AVX2__) && defined(__GNUC__)
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
#define PACK(a, b) __builtin_wasm_narrow_s_i16x8_i32x4(a, b)
#endif

/* Two vectors of four 32-bit integers, clipped to 16 bits */
#if defined(LANES) && !defined(PACK)
#define PACK(a, b) __builtin_ia32_packssdw128(a, b)
#endif

#ifdef MADD
#define ADD_PAIRS(sum, a, b) ((sum) + MADD(a, b))
#endif

/* LANES sums at a time: those of one unit each, or of one output of a transform. */
#ifdef LANES
NRV_INLINE nrv_lanes nrv_load(const void *p) { nrv_lanes v; memcpy(&v, p, sizeof v); return v; }
NRV_INLINE nrv_lanes nrv_spread(const int16_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return (nrv_lanes){0} + v;
}

#endif

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
