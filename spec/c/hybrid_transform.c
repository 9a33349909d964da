/* hybrid_transform.c: the inverse transforms (8.5). */
#include "core.h"

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

void nrv_transform(int32_t *restrict d, int log2n, bool sine, int width, int height, int extra, int32_t peak,
                   int16_t *restrict out, ptrdiff_t stride) {
    switch (log2n) {
    case 2: transform(d, 4, sine ? NRV_SIN4 : NRV_COS4, width, height, extra, peak, out, stride); break;
    case 3: transform(d, 8, sine ? NRV_SIN8 : NRV_COS8, width, height, extra, peak, out, stride); break;
    case 4: transform(d, 16, sine ? NRV_SIN16 : NRV_COS16, width, height, extra, peak, out, stride); break;
    default: transform(d, 32, NRV_COS32, width, height, extra, peak, out, stride); break;
    }
}
