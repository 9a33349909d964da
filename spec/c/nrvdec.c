/* nrvdec.c: a command on the API of nrv.h.
 *
 *   nrvdec [options] IN [OUT]
 *     --raw            planes without Y4M headers       --md5            MD5 of each frame's planes
 *     --size WxH       output frame (clause 6)          --region X,Y,W,H region of it
 *     --frames A:B     frames A..B-1                    --no-network     canvases of model 2
 *     --info           what the file says               --no-check       do not compare the crc
 *     --total-md5      MD5 of all samples together      --time           decoding time to stderr
 *     --bands N        render in bands of N rows        --resync         go on after damage
 *     --threads N      render in N threads
 *     --memory BYTES   limit of memory                  --packets        list packets of tracks
 * Exit status: 0, 1 usage or input, or the class of the error: 2 truncated, 3 mismatch,
 * 4 corrupt, 5 unsupported, 6 over limit, 7 refused, 8 no memory. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "nrv.h"

static void *take(void *user, size_t size) { (void)user; return malloc(size); }
static void give(void *user, void *block) { (void)user; free(block); }

static int32_t read_file(void *user, uint8_t *dst, uint32_t size) {
    FILE *f = user;
    if (size > 1u << 30) size = 1u << 30;
    size_t n = fread(dst, 1, size, f);
    return n == 0 && ferror(f) ? -1 : (int32_t)n;
}
static int seek_file(void *user, uint64_t offset) { return offset > INT64_MAX / 2 ? -1 : fseeko(user, (off_t)offset, SEEK_SET); }

static void print_digest(nrv_md5 *m) {
    uint8_t g[16];
    nrv_md5_end(m, g);
    for (int i = 0; i < 16; i++) printf("%02x", g[i]);
    printf("\n");
}

static int report(const nrv_error *e, nrv_status s) {
    static const char *const names[] = {"ok", "end", "truncated", "mismatch", "corrupt", "unsupported", "over limit", "refused", "no memory", "input"};
    fprintf(stderr, "nrvdec: %s: %s%s%s%s (unit at %" PRIu64 ")\n", names[s], e->sentence, *e->clause ? " [" : "", e->clause, *e->clause ? "]" : "", e->offset);
    return s == NRV_INPUT ? 1 : (int)s;
}

static void show(const nrv_decoder *d, const nrv_info *i) {
    static const char *const chroma[] = {"monochrome", "4:2:0", "4:2:2", "4:4:4"};
    printf("model %d level %d\n%dx%d %s %d bits\n", i->model, i->level, i->width, i->height, chroma[i->chroma_format], i->bit_depth);
    printf("frames %" PRId64 " rate %u/%u time base %u/%u aspect %u/%u\n", i->frame_count == 0xFFFFFFFFu ? -1 : (int64_t)i->frame_count,
           i->frame_rate_num, i->frame_rate_den, i->time_base_num, i->time_base_den, i->sar_num, i->sar_den);
    printf("colour %d %d %d range %d location %d\n", i->colour_primaries, i->transfer, i->matrix, i->full_range, i->chroma_location);
    printf("group_frames %d network %d tracks %d chapters %d hdr %d metadata %d\n", i->group_frames, i->network, i->tracks, i->chapters, i->has_hdr, i->has_metadata);
    for (uint32_t k = 0; k < i->tracks; k++) {
        nrv_track t;
        if (nrv_get_track(d, k, &t) == NRV_OK)
            printf("track %d kind %d codec %.*s rate %u\n", t.number, t.kind, (int)t.codec.length, (const char *)t.codec.bytes, t.rate);
    }
    for (uint32_t k = 0; k < i->chapters; k++) {
        nrv_chapter c;
        if (nrv_get_chapter(d, k, &c) == NRV_OK)
            printf("chapter %" PRId64 "..%" PRId64 " %.*s\n", c.start, c.end, (int)c.title.length, (const char *)c.title.bytes);
    }
}

static void packet(void *user, const nrv_packet *p) {
    (void)user;
    printf("packet track %d key %d pts %" PRId64 " dts %" PRId64 " duration %" PRIu64 " skip %u discard %u length %u\n", p->track, p->key, p->pts,
           p->dts, p->duration, p->skip, p->discard, p->length);
}

static bool picture(const nrv_info *i, uint32_t w, uint32_t h, nrv_picture *p) {
    for (int k = 0; k < i->planes; k++) {
        uint32_t pw, ph;
        nrv_plane_size(i, k, w, h, &pw, &ph);
        p->stride[k] = (size_t)pw * (i->bit_depth > 8 ? 2 : 1);
        if (!(p->plane[k] = malloc(p->stride[k] * ph))) return false;
    }
    return true;
}

static void y4m_head(FILE *out, const nrv_info *i, uint32_t w, uint32_t h) {
    static const char *const tags[4][3] = {{"mono", "mono10", "mono12"}, {"420jpeg", "420p10", "420p12"}, {"422", "422p10", "422p12"}, {"444", "444p10", "444p12"}};
    fprintf(out, "YUV4MPEG2 W%u H%u F%u:%u Ip A%u:%u C%s\n", w, h, i->frame_rate_num ? i->frame_rate_num : 25, i->frame_rate_den ? i->frame_rate_den : 1,
            i->sar_num, i->sar_den, tags[i->chroma_format][(i->bit_depth - 8) / 2]);
}

/* Samples of a picture to a file or a digest; above 8 bits this assumes a little-endian machine. */
static void emit(const nrv_info *i, uint32_t w, uint32_t h, const nrv_picture *p, FILE *out, nrv_md5 *a, nrv_md5 *b) {
    for (int k = 0; k < i->planes; k++) {
        uint32_t pw, ph;
        nrv_plane_size(i, k, w, h, &pw, &ph);
        size_t n = p->stride[k] * ph;
        if (out) fwrite(p->plane[k], 1, n, out);
        if (a) nrv_md5_add(a, p->plane[k], n);
        if (b) nrv_md5_add(b, p->plane[k], n);
    }
}

/* Part of a frame for one thread: bands of 16 rows, so that no two threads share a patch. */
typedef struct part {
    const nrv_decoder *d;
    nrv_workspace *w;
    const nrv_picture *to;
    unsigned first, end, flags;
} part;

static void *render_part(void *user) {
    part *p = user;
    nrv_render_rows(p->d, p->w, p->to, p->first, p->end, p->flags);
    return NULL;
}

/* Time of this process, or of the clock where it has several threads */
static clockid_t time_of = CLOCK_PROCESS_CPUTIME_ID;
static double now(void) {
    struct timespec t;
    clock_gettime(time_of, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    const char *in = NULL, *to = NULL;
    bool raw = false, md5 = false, total = false, info = false, check = true, timed = false, resync = false, use_region = false, use_size = false, range = false, packets = false;
    unsigned flags = 0, a = 0, b = 0xFFFFFFFFu, w = 0, h = 0, bands = 0, threads = 1;
    nrv_region r = {0, 0, 0, 0};
    nrv_limits limits = {0, 0, 0};
    bool bad = false;
    for (int k = 1; k < argc; k++) {
        const char *s = argv[k], *v = k + 1 < argc ? argv[k + 1] : "";
        if (!strcmp(s, "--raw")) raw = true;
        else if (!strcmp(s, "--md5")) md5 = true;
        else if (!strcmp(s, "--total-md5")) total = true;
        else if (!strcmp(s, "--info")) info = true;
        else if (!strcmp(s, "--no-check")) check = false;
        else if (!strcmp(s, "--time")) timed = true;
        else if (!strcmp(s, "--resync")) resync = true;
        else if (!strcmp(s, "--packets")) packets = true;
        else if (!strcmp(s, "--no-network")) flags |= NRV_NO_NETWORK;
        else if (!strcmp(s, "--size")) { use_size = true; bad |= sscanf(v, "%ux%u", &w, &h) != 2; k++; }
        else if (!strcmp(s, "--region")) { use_region = true; bad |= sscanf(v, "%u,%u,%u,%u", &r.x, &r.y, &r.width, &r.height) != 4; k++; }
        else if (!strcmp(s, "--frames")) { range = true; bad |= sscanf(v, "%u:%u", &a, &b) < 1; k++; }
        else if (!strcmp(s, "--bands")) { bad |= sscanf(v, "%u", &bands) != 1; k++; }
        else if (!strcmp(s, "--threads")) { bad |= sscanf(v, "%u", &threads) != 1 || threads < 1 || threads > 64; k++; }
        else if (!strcmp(s, "--memory")) { bad |= sscanf(v, "%" SCNu64, &limits.memory) != 1; k++; }
        else if (*s == '-' && s[1]) bad = true;
        else if (!in) in = s;
        else if (!to) to = s;
        else bad = true;
    }
    if (threads > 1) time_of = CLOCK_MONOTONIC;
    if (bad || !in) {
        fprintf(stderr, "usage: nrvdec [--raw] [--md5] [--total-md5] [--size WxH] [--region X,Y,W,H] [--frames A:B] [--no-network] [--info] IN [OUT]\n");
        return 1;
    }
    FILE *f = strcmp(in, "-") ? fopen(in, "rb") : stdin;
    if (!f) { perror(in); return 1; }
    nrv_input input = {f, read_file, NULL, 0};
    if (f != stdin && fseeko(f, 0, SEEK_END) == 0) {
        input.size = (uint64_t)ftello(f);
        input.seek = seek_file;
        fseeko(f, 0, SEEK_SET);
    }
    nrv_allocator allocator = {NULL, take, give};
    nrv_decoder *d;
    nrv_error e;
    nrv_status s = nrv_open(&d, &allocator, &input, &limits, &e);
    if (s) { if (f != stdin) fclose(f); return report(&e, s); }
    const nrv_info *i = nrv_get_info(d);
    if (info) show(d, i);
    if (packets) nrv_on_packet(d, packet, NULL);
    FILE *out = to ? (strcmp(to, "-") ? fopen(to, "wb") : stdout) : NULL;
    if (to && !out) { perror(to); return 1; }
    if (!use_size) { w = i->width; h = i->height; }
    if (!use_region) { r.width = w; r.height = h; }
    bool scaled = use_region || use_size;
    nrv_workspace *ws[64] = {NULL};
    nrv_scaler *scaler = NULL;
    nrv_lane *lane = NULL;
    nrv_picture native = {{0}, {0}}, held[32] = {{{0}, {0}}};  /* held: frames of a group until its crc is compared */
    unsigned hold = 0;
    nrv_md5 all;
    nrv_md5_start(&all);
    double decode = 0, render = 0, scale = 0;
    unsigned long count = 0;
    if (!(info && !out && !md5 && !total && !timed && !packets)) {
        for (unsigned k = 0; s == NRV_OK && k < threads; k++) s = nrv_workspace_new(d, &ws[k]);
        if (s == NRV_OK && scaled) s = nrv_scaler_new(d, w, h, &r, &scaler);
        if (s == NRV_OK && scaled) s = nrv_lane_new(scaler, &lane);
        if (s == NRV_OK && scaled && !picture(i, i->width, i->height, &native)) s = NRV_NO_MEMORY;
        if (s) { e = (nrv_error){s, "6.1", "the request cannot be met", 0}; goto done; }
        if (range && a) s = nrv_seek_frame(d, a);
        if (out && !raw) y4m_head(out, i, r.width, r.height);
        while (s == NRV_OK) {
            nrv_frame t;
            double t0 = now();
            s = nrv_next_frame(d, &t);
            double t1 = now();
            decode += t1 - t0;
            if (s) {
                if (s != NRV_END && resync) { report(nrv_get_error(d), s); if (nrv_resync(d) == NRV_OK) s = NRV_OK; }
                continue;
            }
            if (t.index >= b) break;
            bool judged = check && !flags && !(range && t.index - t.in_group < a);
            nrv_picture *own = &held[hold], *full = scaled ? &native : own;
            if (!own->plane[0] && !picture(i, r.width, r.height, own)) {
                e = (nrv_error){s = NRV_NO_MEMORY, "", "memory for a frame", 0};
                goto done;
            }
            unsigned first = 0, end = i->height;
            if (scaled && !check) nrv_scaler_needs(scaler, 0, r.height, &first, &end);
            if (threads > 1) {
                pthread_t id[64];
                part parts[64];
                unsigned each = (i->height / threads + 15) / 16 * 16 + 16, n = 0;
                for (unsigned y = 0; y < i->height; y += each, n++) {
                    parts[n] = (part){d, ws[n], full, y, y + each < i->height ? y + each : i->height, flags};
                    if (pthread_create(&id[n], NULL, render_part, &parts[n])) return 1;
                }
                while (n) pthread_join(id[--n], NULL);
            } else
                for (unsigned y = first; y < end; y += bands ? bands : end)
                    if (nrv_render_rows(d, ws[0], full, y, bands && y + bands < end ? y + bands : end, flags)) return 1;
            double t2 = now();
            render += t2 - t1;
            if (judged) s = nrv_check_frame(d, full);
            double t3 = now();
            if (scaled) nrv_scaler_rows(scaler, lane, &native, own, 0, r.height);
            scale += now() - t3;
            hold++;
            if (s == NRV_OK && judged && t.in_group + 1 < t.group_frames && t.index + 1 < b) continue;
            for (unsigned k = 0; s == NRV_OK && k < hold; k++, count++) {
                nrv_md5 one;
                nrv_md5_start(&one);
                if (out && !raw) fputs("FRAME\n", out);
                emit(i, r.width, r.height, &held[k], out, md5 ? &one : NULL, total ? &all : NULL);
                if (md5) print_digest(&one);
            }
            hold = 0;
            if (s && resync) { report(nrv_get_error(d), s); if (nrv_resync(d) == NRV_OK) s = NRV_OK; }
        }
        e = *nrv_get_error(d);
    }
    if (total) print_digest(&all);
    if (timed)
        fprintf(stderr, "%lu frames, decoding %.3f s (%.1f a second), rendering %.3f s (%.1f a second), scaling %.3f s\n", count, decode, (double)count / (decode + 1e-9), render, (double)count / (render + 1e-9), scale);
done:
    nrv_lane_free(lane);
    nrv_scaler_free(scaler);
    for (int k = 0; k < 64; k++) nrv_workspace_free(ws[k]);
    nrv_close(d);
    for (int k = 0; k < 3; k++) {
        free(native.plane[k]);
        for (int j = 0; j < 32; j++) free(held[j].plane[k]);
    }
    if (out && out != stdout) fclose(out);
    if (f != stdin) fclose(f);
    return s == NRV_OK || s == NRV_END ? 0 : report(&e, s);
}
