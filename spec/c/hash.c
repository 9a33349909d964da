/* hash.c: CRC-32 (2.2) and MD5 (2.9). */
#include "core.h"

uint32_t nrv_crc32(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = data;
    crc = ~crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t a = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        crc = NRV_CRC[7 * 256 + (a & 255)] ^ NRV_CRC[6 * 256 + (a >> 8 & 255)] ^ NRV_CRC[5 * 256 + (a >> 16 & 255)] ^
              NRV_CRC[4 * 256 + (a >> 24)] ^ NRV_CRC[3 * 256 + p[4]] ^ NRV_CRC[2 * 256 + p[5]] ^
              NRV_CRC[256 + p[6]] ^ NRV_CRC[p[7]];
    }
    for (; size; size--, p++) crc = (crc >> 8) ^ NRV_CRC[(crc ^ *p) & 255];
    return ~crc;
}

static const uint32_t K[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const uint8_t R[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

static void md5_block(uint32_t *s, const uint8_t *p) {
    uint32_t x[16], a = s[0], b = s[1], c = s[2], d = s[3];
    for (int i = 0; i < 16; i++)
        x[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24;
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        if (i < 16) { f = (b & c) | (~b & d); g = i; }
        else if (i < 32) { f = (d & b) | (~d & c); g = (5 * i + 1) & 15; }
        else if (i < 48) { f = b ^ c ^ d; g = (3 * i + 5) & 15; }
        else { f = c ^ (b | ~d); g = (7 * i) & 15; }
        f += a + K[i] + x[g];
        a = d; d = c; c = b;
        int r = R[(i >> 4) * 4 + (i & 3)];
        b += f << r | f >> (32 - r);
    }
    s[0] += a; s[1] += b; s[2] += c; s[3] += d;
}

void nrv_md5_start(nrv_md5 *m) {
    m->state[0] = 0x67452301; m->state[1] = 0xefcdab89; m->state[2] = 0x98badcfe; m->state[3] = 0x10325476;
    m->length = 0;
}

void nrv_md5_add(nrv_md5 *m, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size) {
        size_t at = (size_t)(m->length & 63), n = 64 - at;
        if (n > size) n = size;
        if (n == 64) md5_block(m->state, p);
        else {
            memcpy(m->block + at, p, n);
            if (at + n == 64) md5_block(m->state, m->block);
        }
        m->length += n;
        p += n;
        size -= n;
    }
}

void nrv_md5_end(nrv_md5 *m, uint8_t digest[16]) {
    uint64_t bits = m->length * 8;
    static const uint8_t first[64] = {0x80};
    uint8_t tail[8];
    nrv_md5_add(m, first, 1 + (size_t)((119 - (m->length & 63)) & 63));
    for (int i = 0; i < 8; i++) tail[i] = (uint8_t)(bits >> 8 * i);
    nrv_md5_add(m, tail, 8);
    for (int i = 0; i < 16; i++) digest[i] = (uint8_t)(m->state[i / 4] >> 8 * (i & 3));
}
