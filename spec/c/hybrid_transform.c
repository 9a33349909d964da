/* hybrid_transform.c: the inverse transforms (8.5). */
#include "dot.h"

/* d[y * 32 + x] holds coefficients with x < width and y < height. Residuals are clipped to
 * -peak..peak, which changes no sample. */
NRV_INLINE void transform(const int32_t *restrict d, int n, const int16_t *restrict m, int width, int height, int extra,
                          int32_t peak, int16_t *restrict out, ptrdiff_t stride) {
    int32_t g[32 * 32];
    int32_t hi = (1 << (15 + extra)) - 1, lo = -hi - 1;
    for (int x = 0; x < width; x++) {
        int32_t sum[32];
        for (int i = 0; i < n; i++) sum[i] = 64;
        for (int y = 0; y < height; y++) {
            int32_t c = d[y * 32 + x];
            /* no test for c = 0 here: GCC 12 makes a wrong loop of it with AVX-512 */
            for (int i = 0; i < n; i++) sum[i] += m[y * n + i] * c;
        }
        for (int i = 0; i < n; i++) g[x * n + i] = nrv_clip(lo, hi, sum[i] >> 7);
    }
    for (int i = 0; i < n; i++, out += stride) {
        int32_t sum[32];
        for (int j = 0; j < n; j++) sum[j] = 2048;
        for (int x = 0; x < width; x++) {
            int32_t c = g[x * n + i];
            for (int j = 0; j < n; j++) sum[j] += m[x * n + j] * c;
        }
        for (int j = 0; j < n; j++) out[j] = (int16_t)nrv_clip(-peak, peak, sum[j] >> 12);
    }
}

#ifdef LANES
/* The same with 8 bits, where coefficients and g fit in 16 bits: rows of the matrix in pairs, sums as in dot.h. */
NRV_INLINE void transform_pairs(const int32_t *restrict d, int n, const int16_t *restrict pairs, int width, int height,
                                int16_t *restrict out, ptrdiff_t stride) {
    int16_t g[32 * 32];       /* [column / 2][i][2] */
    int columns = (width + 1) / 2, rows = (height + 1) / 2;
    for (int x = 0; x < 2 * columns; x++) {
        int32_t sum[32];
        int16_t c[32];
        for (int y = 0; y < 2 * rows; y++) c[y] = (int16_t)d[32 * y + x];
        for (int i = 0; i < n; i += LANES) {
            nrv_lanes s = (nrv_lanes){0} + 64;
            for (int y = 0; y < rows; y++) s = ADD_PAIRS(s, nrv_load(pairs + 2 * (y * n + i)), nrv_spread(c + 2 * y));
            memcpy(sum + i, &s, sizeof s);
        }
        int16_t *to = g + (x >> 1) * 2 * n + (x & 1);
        for (int i = 0; i < n; i++) to[2 * i] = (int16_t)nrv_clip(-32768, 32767, sum[i] >> 7);
    }
    for (int i = 0; i < n; i++, out += stride) {
        int32_t sum[32];
        for (int j = 0; j < n; j += LANES) {
            nrv_lanes s = (nrv_lanes){0} + 2048;
            for (int x = 0; x < columns; x++) s = ADD_PAIRS(s, nrv_load(pairs + 2 * (x * n + j)), nrv_spread(g + 2 * (x * n + i)));
            memcpy(sum + j, &s, sizeof s);
        }
        for (int j = 0; j < n; j++) out[j] = (int16_t)nrv_clip(-255, 255, sum[j] >> 12);
    }
}
#define TRANSFORM(n, m) do { \
        if (n >= LANES && extra == 0) transform_pairs(d, n, m##_PAIRS, width, height, out, stride); \
        else transform(d, n, m, width, height, extra, peak, out, stride); \
    } while (0)
#else
#define TRANSFORM(n, m) transform(d, n, m, width, height, extra, peak, out, stride)
#endif

void nrv_transform(const int32_t *restrict d, int log2n, bool sine, int width, int height, int extra, int32_t peak,
                   int16_t *restrict out, ptrdiff_t stride) {
    if (width == 1 && height == 1 && !sine) {
        /* the constant alone: row 0 of the cosine matrix is 64 */
        int32_t hi = (1 << (15 + extra)) - 1, g = nrv_clip(-hi - 1, hi, (64 * d[0] + 64) >> 7);
        int16_t v = (int16_t)nrv_clip(-peak, peak, (64 * g + 2048) >> 12);
        for (int i = 0; i < 1 << log2n; i++, out += stride)
            for (int j = 0; j < 1 << log2n; j += 4)
                for (int k = 0; k < 4; k++) out[j + k] = v;
        return;
    }
    switch (log2n) {
    case 2: if (sine) TRANSFORM(4, NRV_SIN4); else TRANSFORM(4, NRV_COS4); break;
    case 3: if (sine) TRANSFORM(8, NRV_SIN8); else TRANSFORM(8, NRV_COS8); break;
    case 4: if (sine) TRANSFORM(16, NRV_SIN16); else TRANSFORM(16, NRV_COS16); break;
    default: TRANSFORM(32, NRV_COS32); break;
    }
}
