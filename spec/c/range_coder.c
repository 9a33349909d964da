/* range_coder.c: entropy coding (clause 3). The bit decoders stand in core.h. */
#include "core.h"

/* 3.1: Min(4, shift) and Min(8, shift) with shift = 1 + BitLength(count >> 1) */
#define F16 4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4
const uint8_t NRV_FAST_SHIFT[129] = {1,1,2,2,3,3,3,3, 4,4,4,4,4,4,4,4, F16,F16,F16,F16,F16,F16,F16, 4};
#define S16(a) a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a
const uint8_t NRV_SLOW_SHIFT[129] = {1,1,2,2,3,3,3,3, 4,4,4,4,4,4,4,4, S16(5), S16(6),S16(6),
                                     S16(7),S16(7),S16(7),S16(7), 8};

void nrv_contexts_start(nrv_context *c, const uint16_t *defaults, int count) {
    for (int i = 0; i < count; i++) {
        c[i].fast = c[i].slow = defaults[2 * i];
        c[i].count = (uint8_t)defaults[2 * i + 1];
    }
}

void nrv_range_tail(nrv_range *r) {
    for (int i = 0; i < 4; i++, r->taken++) r->window = r->window << 8 | (r->taken < r->length ? r->bytes[r->taken] : 0u);
    r->more += 32;
}

/* 3.2; false if the first 4 bytes are all FF */
bool nrv_range_start(nrv_range *r, const uint8_t *bytes, size_t length) {
    r->bytes = bytes;
    r->length = length;
    r->range = 0xFFFFFFFFu;
    r->window = 0;
    r->more = -32;
    r->taken = 0;
    nrv_range_tail(r);
    return r->window != 0xFFFFFFFFu;
}

bool nrv_range_end(const nrv_range *r) {
    return r->taken - (size_t)r->more / 8 >= r->length && (r->length == 0 || r->bytes[r->length - 1] != 0);
}

/* 3.3 */
int32_t nrv_difference(nrv_range *r, nrv_context *zero, nrv_context *more, nrv_context *prefix) {
    if (!nrv_bit(r, zero)) return 0;
    int32_t m = 1;
    while (m < 7 && nrv_bit(r, more + m - 1)) m++;
    if (m == 7) {
        int g = 0;
        while (g < 15 && nrv_bit(r, prefix + nrv_min(g, 9))) g++;
        int32_t v = 1;
        while (g-- > 0) v = 2 * v + nrv_bypass(r);
        m = 6 + v;
    }
    return nrv_bypass(r) ? -m : m;
}
