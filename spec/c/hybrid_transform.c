/* hybrid_transform.c: the inverse transforms (8.5). Both passes have code for each side of a unit, whatever the
 * other side is. Residuals are clipped to -peak - 1..peak, which changes no sample. */
#include "dot.h"

#define SIDE 32             /* of d: d[y * SIDE + x] */

#ifdef LANES

typedef int32_t four __attribute__((vector_size(16)));
typedef int16_t eight __attribute__((vector_size(16)));

/* The sums >> by, clipped to 16 bits, >> then */
NRV_INLINE void put4(int16_t *to, four v, int by, int then) {
    eight r = (eight)PACK(v >> by, v >> by) >> then;
    memcpy(to, &r, 8);
}
NRV_INLINE void put(int16_t *to, nrv_lanes v, int by, int then) {
#if LANES == 8
    four a, b;
    memcpy(&a, &v, 16);
    memcpy(&b, (const char *)&v + 16, 16);
    eight r = (eight)PACK(a >> by, b >> by) >> then;
    memcpy(to, &r, 16);
#else
    put4(to, (four)v, by, then);
#endif
}

/* Columns x < width from coefficients with y < height, to g[x * SIDE + i]; m is M(h) */
#define COLUMNS(name, lanes) \
NRV_INLINE void name(const int32_t *restrict d, int h, const int32_t *restrict m, int width, int height, int extra, int32_t *restrict g) { \
    int32_t hi = (1 << (15 + extra)) - 1, lo = -hi - 1; \
    int each = (int)sizeof(lanes) / 4; \
    for (int x = 0; x < width; x++, g += SIDE) { \
        lanes s[SIDE / 4], a; \
        for (int j = 0; j < h / each; j++) s[j] = (lanes){0} + 64; \
        for (int y = 0; y < height; y++) \
            for (int j = 0; j < h / each; j++) { \
                memcpy(&a, m + y * h + each * j, sizeof a); \
                s[j] += a * (uint32_t)d[y * SIDE + x]; \
            } \
        for (int j = 0; j < h / each; j++) memcpy(g + each * j, &s[j], sizeof a); \
        for (int i = 0; i < h; i++) g[i] = nrv_clip(lo, hi, g[i] >> 7); \
    } \
}
/* Rows; m is M(w) */
#define ROWS(name, lanes, store) \
NRV_INLINE void name(const int32_t *restrict g, int w, int h, const int32_t *restrict m, int width, int extra, int16_t *restrict out, ptrdiff_t stride) { \
    int each = (int)sizeof(lanes) / 4; \
    for (int i = 0; i < h; i++, out += stride) { \
        lanes s[SIDE / 4], a; \
        for (int j = 0; j < w / each; j++) s[j] = (lanes){0} + 2048; \
        for (int x = 0; x < width; x++) \
            for (int j = 0; j < w / each; j++) { \
                memcpy(&a, m + x * w + each * j, sizeof a); \
                s[j] += a * (uint32_t)g[x * SIDE + i]; \
            } \
        for (int j = 0; j < w / each; j++) store; \
    } \
}
COLUMNS(columns, nrv_lanes)
ROWS(rows, nrv_lanes, put(out + each * j, s[j], 5 + extra, 7 - extra))
#if LANES == 8
typedef uint32_t ufour __attribute__((vector_size(16)));
COLUMNS(columns4, ufour)
ROWS(rows4, ufour, put4(out + each * j, (four)s[j], 5 + extra, 7 - extra))
#else
#define columns4 columns
#define rows4 rows
#endif

/* The same with 8 bits, where coefficients and g fit in 16 bits: rows of the matrix in pairs, sums as in dot.h.
 * g[i * SIDE + x] is made for LANES columns at a time, 0 for those from x = width on. */
NRV_INLINE void column_pairs(const int32_t *restrict d, int h, const int16_t *restrict pairs, int width, int height, int16_t *restrict g) {
    int halves = (height + 1) / 2;
    for (int x = 0; x < width; x += LANES) {
        nrv_lanes c[SIDE / 2];
        for (int y = 0; y < halves; y++)
            c[y] = (nrv_load(d + 2 * y * SIDE + x) & 0xFFFF) | nrv_load(d + (2 * y + 1) * SIDE + x) << 16;
        for (int i = 0; i < h; i++) {
            nrv_lanes s = (nrv_lanes){0} + 64;
            for (int y = 0; y < halves; y++) s = ADD_PAIRS(s, c[y], nrv_spread(pairs + 2 * (y * h + i)));
            put(g + i * SIDE + x, s, 7, 0);
        }
    }
}

NRV_INLINE void row_pairs(const int16_t *restrict g, int w, int h, const int16_t *restrict pairs, int width,
                          int16_t *restrict out, ptrdiff_t stride) {
    int halves = (width + 1) / 2;
    for (int i = 0; i < h; i++, g += SIDE, out += stride) {
        nrv_lanes s[SIDE / LANES];
        for (int j = 0; j < w / LANES; j++) s[j] = (nrv_lanes){0} + 2048;
        for (int x = 0; x < halves; x++)
            for (int j = 0; j < w / LANES; j++) s[j] = ADD_PAIRS(s[j], nrv_load(pairs + 2 * (x * w + LANES * j)), nrv_spread(g + 2 * x));
        for (int j = 0; j < w / LANES; j++) put(out + LANES * j, s[j], 5, 7);
    }
}

#if LANES == 8
/* Rows of 4 samples: two at a time, the matrix for both. */
NRV_INLINE void row_pairs4(const int16_t *restrict g, int h, const int16_t *restrict pairs, int width,
                           int16_t *restrict out, ptrdiff_t stride) {
    nrv_lanes m[2];
    for (int x = 0; x < 2; x++) {
        memcpy(&m[x], pairs + 8 * x, 16);
        memcpy((char *)&m[x] + 16, pairs + 8 * x, 16);
    }
    for (int i = 0; i < h; i += 2, g += 2 * SIDE, out += 2 * stride) {
        nrv_lanes s = (nrv_lanes){0} + 2048;
        int16_t both[8];
        for (int x = 0; x < (width + 1) / 2; x++) {
            uint32_t a, b;
            memcpy(&a, g + 2 * x, 4);
            memcpy(&b, g + SIDE + 2 * x, 4);
            s = ADD_PAIRS(s, m[x], ((nrv_lanes){a, a, a, a, b, b, b, b}));
        }
        put(both, s, 5, 7);
        memcpy(out, both, 8);
        memcpy(out + stride, both + 4, 8);
    }
}
#else
#define row_pairs4(g, h, pairs, width, out, stride) row_pairs(g, 4, h, pairs, width, out, stride)
#endif

static NRV_NOINLINE void first_pairs(const int32_t *restrict d, int log2h, bool sine, int width, int height, int16_t *restrict g) {
    switch (log2h) {
    case 2: column_pairs(d, 4, sine ? NRV_SIN4_PAIRS : NRV_COS4_PAIRS, width, height, g); break;
    case 3: column_pairs(d, 8, sine ? NRV_SIN8_PAIRS : NRV_COS8_PAIRS, width, height, g); break;
    case 4: column_pairs(d, 16, sine ? NRV_SIN16_PAIRS : NRV_COS16_PAIRS, width, height, g); break;
    default: column_pairs(d, 32, NRV_COS32_PAIRS, width, height, g); break;
    }
}

static NRV_NOINLINE void second_pairs(const int16_t *restrict g, int log2w, int h, bool sine, int width, int16_t *restrict out, ptrdiff_t stride) {
    switch (log2w) {
    case 2: row_pairs4(g, h, sine ? NRV_SIN4_PAIRS : NRV_COS4_PAIRS, width, out, stride); break;
    case 3: row_pairs(g, 8, h, sine ? NRV_SIN8_PAIRS : NRV_COS8_PAIRS, width, out, stride); break;
    case 4: row_pairs(g, 16, h, sine ? NRV_SIN16_PAIRS : NRV_COS16_PAIRS, width, out, stride); break;
    default: row_pairs(g, 32, h, NRV_COS32_PAIRS, width, out, stride); break;
    }
}

#else

NRV_INLINE void columns(const int32_t *restrict d, int h, const int32_t *restrict m, int width, int height, int extra, int32_t *restrict g) {
    int32_t hi = (1 << (15 + extra)) - 1, lo = -hi - 1;
    for (int x = 0; x < width; x++, g += SIDE) {
        int32_t sum[SIDE];
        for (int i = 0; i < h; i++) sum[i] = 64;
        for (int y = 0; y < height; y++) {
            int32_t c = d[y * SIDE + x];
            /* no test for c = 0 here: GCC 12 makes a wrong loop of it with AVX-512 */
            for (int i = 0; i < h; i++) sum[i] += m[y * h + i] * c;
        }
        for (int i = 0; i < h; i++) g[i] = nrv_clip(lo, hi, sum[i] >> 7);
    }
}

NRV_INLINE void rows(const int32_t *restrict g, int w, int h, const int32_t *restrict m, int width, int extra, int16_t *restrict out, ptrdiff_t stride) {
    int32_t peak = (256 << extra) - 1;
    for (int i = 0; i < h; i++, out += stride) {
        int32_t sum[SIDE];
        for (int j = 0; j < w; j++) sum[j] = 2048;
        for (int x = 0; x < width; x++) {
            int32_t c = g[x * SIDE + i];
            for (int j = 0; j < w; j++) sum[j] += m[x * w + j] * c;
        }
        for (int j = 0; j < w; j++) out[j] = (int16_t)nrv_clip(-peak - 1, peak, sum[j] >> 12);
    }
}
#define columns4 columns
#define rows4 rows
#endif

static NRV_NOINLINE void first(const int32_t *restrict d, int log2h, bool sine, int width, int height, int extra, int32_t *restrict g) {
    switch (log2h) {
    case 2: columns4(d, 4, sine ? NRV_SIN4 : NRV_COS4, width, height, extra, g); break;
    case 3: columns(d, 8, sine ? NRV_SIN8 : NRV_COS8, width, height, extra, g); break;
    case 4: columns(d, 16, sine ? NRV_SIN16 : NRV_COS16, width, height, extra, g); break;
    default: columns(d, 32, NRV_COS32, width, height, extra, g); break;
    }
}

static NRV_NOINLINE void second(const int32_t *restrict g, int log2w, int h, bool sine, int width, int extra, int16_t *restrict out, ptrdiff_t stride) {
    switch (log2w) {
    case 2: rows4(g, 4, h, sine ? NRV_SIN4 : NRV_COS4, width, extra, out, stride); break;
    case 3: rows(g, 8, h, sine ? NRV_SIN8 : NRV_COS8, width, extra, out, stride); break;
    case 4: rows(g, 16, h, sine ? NRV_SIN16 : NRV_COS16, width, extra, out, stride); break;
    default: rows(g, 32, h, NRV_COS32, width, extra, out, stride); break;
    }
}

NRV_INLINE void secondary(int32_t *d, const int8_t *restrict b, int n, bool turned, int extra) {
    const uint8_t *diag = NRV_DIAG + 64 * (4 * 2 + 2);     /* DIAG(4, 4) */
    int32_t hi = (1 << (15 + extra)) - 1, lo = -hi - 1, sum[8 * 8];
    for (int i = 0; i < n * n; i++) sum[i] = 64;
    for (int k = 0; k < 16; k++, b += n * n) {
        int32_t c = d[(diag[k] & 15) * SIDE + (diag[k] >> 4)];
        for (int i = 0; i < n * n; i++) sum[i] += b[i] * c;
    }
    int across = turned ? SIDE : 1, down = turned ? 1 : SIDE;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) d[i * down + j * across] = nrv_clip(lo, hi, sum[n * i + j] >> 7);
}

void nrv_secondary(int32_t *d, int matrix, int n, bool turned, int extra) {
    if (n == 4) secondary(d, NRV_SECONDARY4 + matrix * 16 * 16, 4, turned, extra);
    else secondary(d, NRV_SECONDARY8 + matrix * 16 * 64, 8, turned, extra);
}

void nrv_transform(const int32_t *restrict d, int log2w, int log2h, bool sine, int width, int height, int extra,
                   int16_t *restrict out, ptrdiff_t stride) {
    int w = 1 << log2w, h = 1 << log2h;
    if (width == 1 && height == 1 && !sine) {
        /* the constant alone: row 0 of the cosine matrix is 64 */
        int32_t hi = (1 << (15 + extra)) - 1, g = nrv_clip(-hi - 1, hi, (64 * d[0] + 64) >> 7), peak = (256 << extra) - 1;
        int16_t v = (int16_t)nrv_clip(-peak - 1, peak, (64 * g + 2048) >> 12);
        for (int i = 0; i < h; i++, out += stride)
            for (int j = 0; j < w; j += 4)
                for (int k = 0; k < 4; k++) out[j + k] = v;
        return;
    }
#ifdef LANES
    if (extra == 0) {
        int16_t g[SIDE * SIDE];
        first_pairs(d, log2h, sine, width, height, g);
        second_pairs(g, log2w, h, sine, width, out, stride);
        return;
    }
#endif
    int32_t g[SIDE * SIDE];
    first(d, log2h, sine, width, height, extra, g);
    second(g, log2w, h, sine, width, extra, out, stride);
}
