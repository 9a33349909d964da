/* fuzz.c: damaged streams through the whole decoder. fuzz SEED COUNT FILE...
 * Half of the damage keeps the crc of its unit right, so that it reaches the clauses behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nrv.h"

typedef struct source { const uint8_t *bytes; size_t size, at; } source;
static int32_t read_source(void *user, uint8_t *dst, uint32_t n) {
    source *s = user;
    if (n > s->size - s->at) n = (uint32_t)(s->size - s->at);
    if (n) memcpy(dst, s->bytes + s->at, n);
    s->at += n;
    return (int32_t)n;
}
static int seek_source(void *user, uint64_t at) {
    source *s = user;
    if (at > s->size) return -1;
    s->at = (size_t)at;
    return 0;
}
static long fail_in;   /* allocations until one fails; never if negative */
static void *take(void *user, size_t n) {
    if (fail_in >= 0 && fail_in-- == 0) return NULL;
    ++*(long *)user;
    return malloc(n);
}
static void give(void *user, void *p) { --*(long *)user; free(p); }

static uint64_t state;
static uint32_t rnd(uint32_t n) {
    state ^= state << 13; state ^= state >> 7; state ^= state << 17;
    return (uint32_t)(state >> 11) % n;
}

static long counts[16], frames;

static void decode(const uint8_t *bytes, size_t size, bool seek) {
    long live = 0;
    source s = {bytes, size, 0};
    nrv_input input = {&s, read_source, seek ? seek_source : NULL, seek ? size : 0};
    nrv_allocator allocator = {&live, take, give};
    nrv_limits limits = {1 << 18, 1u << 28, 0};
    fail_in = rnd(4) ? -1 : (long)rnd(60);
    nrv_decoder *d;
    nrv_error e;
    nrv_status status = nrv_open(&d, &allocator, &input, &limits, &e);
    counts[status]++;
    if (status == NRV_OK) {
        const nrv_info *i = nrv_get_info(d);
        nrv_workspace *w = NULL;
        nrv_scaler *scaler = NULL;
        nrv_lane *lane = NULL;
        nrv_picture p = {{0}, {0}}, q = {{0}, {0}};
        uint32_t ow = 1 + rnd(100), oh = 1 + rnd(100);
        for (int k = 0; k < i->planes; k++) {
            uint32_t pw, ph;
            nrv_plane_size(i, k, i->width, i->height, &pw, &ph);
            p.stride[k] = (size_t)pw * (i->bit_depth > 8 ? 2 : 1);
            p.plane[k] = malloc(p.stride[k] * ph);
            nrv_plane_size(i, k, ow, oh, &pw, &ph);
            q.stride[k] = (size_t)pw * (i->bit_depth > 8 ? 2 : 1);
            q.plane[k] = malloc(q.stride[k] * ph);
        }
        if (nrv_workspace_new(d, &w) == NRV_OK) {
            nrv_frame f;
            if (nrv_scaler_new(d, ow, oh, NULL, &scaler) == NRV_OK && nrv_lane_new(scaler, &lane) != NRV_OK) lane = NULL;
            if (seek) nrv_seek_frame(d, rnd(30));
            for (int tries = 0; tries < 60; tries++) {
                status = nrv_next_frame(d, &f);
                if (status == NRV_END) break;
                if (status) {
                    counts[status]++;
                    if (nrv_resync(d)) break;
                    continue;
                }
                frames++;
                uint32_t cut = rnd(i->height + 1u) / i->sub_y * i->sub_y;
                nrv_render_rows(d, w, &p, 0, cut, 0);
                nrv_render_rows(d, w, &p, cut, i->height, 0);
                nrv_check_frame(d, &p);
                if (lane) nrv_scaler_rows(scaler, lane, &p, &q, 0, oh);
            }
        }
        nrv_lane_free(lane);
        nrv_scaler_free(scaler);
        nrv_workspace_free(w);
        nrv_close(d);
        for (int k = 0; k < 3; k++) { free(p.plane[k]); free(q.plane[k]); }
    }
    if (live) { fprintf(stderr, "leak\n"); abort(); }
}

int main(int argc, char **argv) {
    if (argc < 4) return 1;
    state = strtoull(argv[1], NULL, 10) * 0x9E3779B97F4A7C15u + 1;
    long count = atol(argv[2]);
    for (long n = 0; n < count; n++) {
        FILE *f = fopen(argv[3 + rnd((uint32_t)argc - 3)], "rb");
        if (!f) return 1;
        static uint8_t original[1 << 20];
        size_t size = fread(original, 1, sizeof original, f);
        fclose(f);
        if (rnd(8) == 0) size = rnd((uint32_t)size + 1);
        uint8_t *bytes = malloc(size ? size : 1);
        memcpy(bytes, original, size);
        bool repair = rnd(8) != 0;
        for (uint32_t k = 1 + rnd(4); size > 30 && k; k--) {
            size_t at = 8 + rnd((uint32_t)size - 8);
            if (repair && rnd(3) == 0) at = 8 + rnd((uint32_t)(size - 8 < 200 ? size - 8 : 200));
            bytes[at] = rnd(2) ? (uint8_t)rnd(256) : (uint8_t)(bytes[at] ^ 1 << rnd(8));
        }
        if (repair)
            for (size_t at = 8; at + 12 <= size; ) {
                size_t o = at + 4;
                uint32_t length = (uint32_t)bytes[o] | (uint32_t)bytes[o + 1] << 8 | (uint32_t)bytes[o + 2] << 16 | (uint32_t)bytes[o + 3] << 24;
                if (length > size - at - 12) break;
                uint32_t crc = nrv_crc32(nrv_crc32(0, bytes + at, 4), bytes + at + 8, length);
                for (int k = 0; k < 4; k++) bytes[at + 8 + length + (size_t)k] = (uint8_t)(crc >> 8 * k);
                at += 12 + length;
            }
        decode(bytes, size, rnd(2));
        free(bytes);
    }
    static const char *const names[] = {"ok", "end", "truncated", "mismatch", "corrupt", "unsupported", "over limit", "refused", "no memory", "input"};
    for (int k = 0; k < 10; k++) printf("%s %ld, ", names[k], counts[k]);
    printf("frames %ld\n", frames);
    return 0;
}
