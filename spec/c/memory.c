/* memory.c: allocation through the caller's functions, counted against the limit (2.10), and the
 * four functions that compilers call by name. */
#include "core.h"

#define HEADER 16u

void *nrv_alloc_as_is(nrv_memory *m, uint64_t size, nrv_status *why) {
    if (size > (uint64_t)(SIZE_MAX / 2) - HEADER || (m->limit && (m->used > m->limit || size + HEADER > m->limit - m->used))) {
        *why = NRV_OVER_LIMIT;
        return NULL;
    }
    size_t all = (size_t)size + HEADER;
    uint8_t *p = m->allocator.alloc(m->allocator.user, all);
    if (!p) {
        *why = NRV_NO_MEMORY;
        return NULL;
    }
    memset(p, 0, HEADER);
    uint64_t total = all;
    memcpy(p, &total, sizeof total);
    m->used += total;
    return p + HEADER;
}

void *nrv_alloc(nrv_memory *m, uint64_t size, nrv_status *why) {
    void *p = nrv_alloc_as_is(m, size, why);
    if (p) memset(p, 0, (size_t)size);
    return p;
}

void nrv_free(nrv_memory *m, void *block) {
    if (!block) return;
    uint8_t *p = (uint8_t *)block - HEADER;
    uint64_t total;
    memcpy(&total, p, sizeof total);
    m->used -= total;
    m->allocator.free(m->allocator.user, p);
}

#ifdef NRV_OWN_MEMORY_FUNCTIONS
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#if defined(__GNUC__) && !defined(__clang__)
/* else gcc makes these loops calls of themselves */
#pragma GCC optimize ("no-tree-loop-distribute-patterns")
#endif
void *memcpy(void *restrict dst, const void *restrict src, size_t n) {
    uint8_t *d = dst;
    const uint8_t *s = src;
    while (n--) *d++ = *s++;
    return dst;
}
void *memmove(void *dst, const void *src, size_t n) {
    uint8_t *d = dst;
    const uint8_t *s = src;
    if ((uintptr_t)d < (uintptr_t)s) while (n--) *d++ = *s++;
    else while (n--) d[n] = s[n];
    return dst;
}
void *memset(void *dst, int value, size_t n) {
    uint8_t *d = dst;
    while (n--) *d++ = (uint8_t)value;
    return dst;
}
int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    for (; n--; x++, y++)
        if (*x != *y) return *x < *y ? -1 : 1;
    return 0;
}
#endif
