/* glue.c: the decoder of spec/c as a WebAssembly module with one decoder.
 *
 * Integers of structures are handed over as arrays of int64_t, in the order that decoder.js names
 * them in. The host gives three functions: read and seek of the input, and packet, which takes each
 * packet of a track while a frame is read. */
#include "nrv.h"

#define HOST(name) __attribute__((import_module("host"), import_name(name)))
#define OUT(name) __attribute__((export_name(name)))

HOST("read") int32_t host_read(uint8_t *dst, uint32_t size);
HOST("seek") int host_seek(uint64_t offset);
HOST("packet") void host_packet(const int64_t *fields, const uint8_t *data, uint32_t length);

/* ---- memory functions that the compiler calls ---- */

typedef unsigned char vector __attribute__((vector_size(16), aligned(1)));

void *memcpy(void *restrict dst, const void *restrict src, size_t n) {
    unsigned char *d = dst;
    const unsigned char *s = src;
    if (n > 256) return __builtin_memcpy(dst, src, n);
    for (; n >= 16; n -= 16, d += 16, s += 16) *(vector *)d = *(const vector *)s;
#pragma clang loop vectorize(disable) unroll(disable)
    for (; n; n--) *(volatile unsigned char *)d++ = *s++;
    return dst;
}

void *memmove(void *dst, const void *src, size_t n) { return __builtin_memmove(dst, src, n); }
void *memset(void *dst, int value, size_t n) { return __builtin_memset(dst, value, n); }

int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y) return *x < *y ? -1 : 1;
    return 0;
}

/* ---- memory: blocks in the order of their addresses, the first that fits, neighbours joined ---- */

#define PAGE 65536u
#define MOST (1u << 30)     /* bytes of a decoder and its pictures */

typedef struct block {
    struct block *next;     /* the next free block */
    size_t size;            /* bytes of the block, with its head */
    size_t unused[2];       /* data begins at a multiple of 16 */
} block;

extern unsigned char __heap_base;
static block *first_free;
static size_t heap_end;

static void put_back(block *b) {
    block **at = &first_free;
    while (*at && *at < b) at = &(*at)->next;
    b->next = *at;
    *at = b;
    if (b->next && (char *)b + b->size == (char *)b->next) {
        b->size += b->next->size;
        b->next = b->next->next;
    }
    if (at == &first_free) return;
    block *before = (block *)(void *)((char *)at - offsetof(block, next));
    if ((char *)before + before->size == (char *)b) {
        before->size += b->size;
        before->next = b->next;
    }
}

static bool grow(size_t size) {
    if (!heap_end) heap_end = ((size_t)&__heap_base + 15) & ~(size_t)15;
    size_t end = (size_t)__builtin_wasm_memory_size(0) * PAGE;
    size_t pages = size <= end - heap_end ? 0 : (size - (end - heap_end) + PAGE - 1) / PAGE;
    if (pages && __builtin_wasm_memory_grow(0, pages) == (size_t)-1) return false;
    block *b = (block *)heap_end;
    b->size = (end - heap_end) + pages * PAGE;
    heap_end += b->size;
    put_back(b);
    return true;
}

OUT("alloc") void *take(size_t size) {
    if (size > MOST) return NULL;
    size = (size + sizeof(block) + 15) & ~(size_t)15;
    for (int turn = 0; turn < 2; turn++) {
        for (block **at = &first_free; *at; at = &(*at)->next) {
            block *b = *at;
            if (b->size < size) continue;
            if (b->size - size >= 64) {
                block *rest = (block *)(void *)((char *)b + size);
                rest->size = b->size - size;
                rest->next = b->next;
                *at = rest;
                b->size = size;
            } else *at = b->next;
            return b + 1;
        }
        if (turn || !grow(size)) return NULL;
    }
    return NULL;
}

OUT("free") void give(void *data) {
    if (data) put_back((block *)data - 1);
}

static void *allocate(void *user, size_t size) { (void)user; return take(size); }
static void release(void *user, void *data) { (void)user; give(data); }
static int32_t read(void *user, uint8_t *dst, uint32_t size) { (void)user; return host_read(dst, size); }
static int seek(void *user, uint64_t offset) { (void)user; return host_seek(offset); }

/* ---- the decoder ---- */

static nrv_decoder *decoder;
static nrv_workspace *workspace;
static nrv_scaler *scaler;
static nrv_lane *lane;
static nrv_region region;
static nrv_picture whole, scaled;
static uint16_t *fusion;    /* planes of both warps and of the result, then the quantisers */
static nrv_error failure;
static int64_t out[64];

static int64_t address(const void *p) { return (int64_t)(size_t)p; }

static void drop_scaler(void) {
    nrv_lane_free(lane);
    nrv_scaler_free(scaler);
    give(scaled.plane[0]);
    lane = NULL;
    scaler = NULL;
    scaled.plane[0] = NULL;
}

OUT("close") void shut(void) {
    drop_scaler();
    nrv_workspace_free(workspace);
    nrv_close(decoder);
    give(whole.plane[0]);
    give(fusion);
    fusion = NULL;
    workspace = NULL;
    decoder = NULL;
    whole.plane[0] = NULL;
}

static void packet(void *user, const nrv_packet *p) {
    (void)user;
    const int64_t fields[] = {p->track, p->key, p->pts, (int64_t)p->duration, p->skip, p->discard};
    host_packet(fields, p->data, p->length);
}

/* Planes one after the other, without gaps. */
static bool make_picture(nrv_picture *p, uint32_t width, uint32_t height) {
    const nrv_info *i = nrv_get_info(decoder);
    uint32_t w, h;
    size_t size = 0, sample = i->bit_depth > 8 ? 2 : 1, at[3] = {0, 0, 0};
    for (int k = 0; k < i->planes; k++) {
        nrv_plane_size(i, k, width, height, &w, &h);
        p->stride[k] = w * sample;
        at[k] = size;
        size += p->stride[k] * h;
    }
    char *bytes = take(size);
    if (!bytes) return false;
    for (int k = 0; k < i->planes; k++) p->plane[k] = bytes + at[k];
    return true;
}

OUT("open") int32_t start(uint64_t size) {
    const nrv_allocator allocator = {NULL, allocate, release};
    const nrv_input input = {NULL, read, seek, size};
    const nrv_limits limits = {0, MOST, 0};
    shut();
    nrv_status s = nrv_open(&decoder, &allocator, &input, &limits, &failure);
    if (s) return s;
    nrv_on_packet(decoder, packet, NULL);
    return NRV_OK;
}

/* Memory for pictures: made when the first one is wanted. */
static nrv_status ready(void) {
    const nrv_info *i = nrv_get_info(decoder);
    if (!workspace) {
        nrv_status s = nrv_workspace_new(decoder, &workspace);
        if (s) return s;
    }
    return whole.plane[0] || make_picture(&whole, i->width, i->height) ? NRV_OK : NRV_NO_MEMORY;
}

OUT("error") const int64_t *error(void) {
    const nrv_error *e = decoder ? nrv_get_error(decoder) : &failure;
    out[0] = e->status;
    out[1] = address(e->clause);
    out[2] = address(e->sentence);
    out[3] = (int64_t)e->offset;
    return out;
}

OUT("info") const int64_t *info(void) {
    const nrv_info *i = nrv_get_info(decoder);
    const int64_t fields[] = {
        i->format_version, i->min_reader_version, i->level, i->model, i->chroma_format, i->bit_depth, i->width, i->height,
        i->sub_x, i->sub_y, i->planes, i->frame_rate_num, i->frame_rate_den, i->time_base_num, i->time_base_den,
        i->sar_num, i->sar_den, i->colour_primaries, i->transfer, i->matrix, i->full_range, i->chroma_location,
        i->frame_count, i->group_frames, i->network, i->tracks, i->chapters};
    for (unsigned k = 0; k < sizeof fields / sizeof *fields; k++) out[k] = fields[k];
    return out;
}

OUT("hdr") const int64_t *hdr(void) {
    nrv_hdr h;
    if (nrv_get_hdr(decoder, &h)) return NULL;
    out[0] = h.flags;
    out[1] = h.max_luminance;
    out[2] = h.min_luminance;
    out[3] = h.max_cll;
    out[4] = h.max_fall;
    return out;
}

OUT("track") const int64_t *track(uint32_t number) {
    nrv_track t;
    if (nrv_get_track(decoder, number, &t)) return NULL;
    const nrv_string *texts[] = {&t.codec, &t.layout, &t.language, &t.title, &t.extradata};
    const int64_t fields[] = {t.number, t.kind, t.disposition, t.time_base_num, t.time_base_den, t.rate, t.channels, t.priming};
    for (int k = 0; k < 8; k++) out[k] = fields[k];
    for (int k = 0; k < 5; k++) {
        out[8 + 2 * k] = address(texts[k]->bytes);
        out[9 + 2 * k] = texts[k]->length;
    }
    return out;
}

OUT("chapter") const int64_t *chapter(uint32_t number) {
    nrv_chapter c;
    if (nrv_get_chapter(decoder, number, &c)) return NULL;
    const int64_t fields[] = {c.time_base_num, c.time_base_den, c.start, c.end, address(c.title.bytes), c.title.length};
    for (int k = 0; k < 6; k++) out[k] = fields[k];
    return out;
}

/* Groups of the index: count, or -1; then one at a time. */
OUT("groups") int32_t groups(void) {
    const nrv_group *g;
    uint32_t count;
    return nrv_get_groups(decoder, &g, &count) ? -1 : (int32_t)count;
}

OUT("group") const int64_t *group(uint32_t number) {
    const nrv_group *g;
    uint32_t count;
    if (nrv_get_groups(decoder, &g, &count) || number >= count) return NULL;
    out[0] = (int64_t)g[number].offset;
    out[1] = g[number].first_pts;
    out[2] = g[number].first_frame;
    out[3] = g[number].key;
    return out;
}

OUT("next") int32_t next(void) {
    nrv_frame f;
    nrv_status s = nrv_next_frame(decoder, &f);
    if (s) return s;
    const int64_t fields[] = {f.index, f.pts, f.duration, f.group, f.group_first, f.group_frames, f.in_group, f.key_group};
    for (int k = 0; k < 8; k++) out[k] = fields[k];
    return NRV_OK;
}

OUT("fields") const int64_t *fields(void) { return out; }
OUT("seekFrame") int32_t seek_frame(uint32_t frame) { return nrv_seek_frame(decoder, frame); }

/* The frame that next() gave: luma rows of the picture that picture() says. */
OUT("render") int32_t render(uint32_t no_network) {
    nrv_status s = ready();
    if (s) return s;
    return nrv_render_rows(decoder, workspace, &whole, 0, nrv_get_info(decoder)->height, no_network ? NRV_NO_NETWORK : 0);
}

OUT("check") int32_t check(void) { return nrv_check_frame(decoder, &whole); }

/* ---- the fusion network by other means: what it takes, and the frame from what it makes ---- */

OUT("fusionLayer") const int64_t *fusion_layer(uint32_t network, uint32_t layer) {
    nrv_fusion_layer l;
    if (nrv_get_fusion_layer(network, layer, &l)) return NULL;
    const int64_t fields[] = {l.kernel, l.inputs, l.units, l.shift, address(l.weights), address(l.biases)};
    for (int k = 0; k < 6; k++) out[k] = fields[k];
    return out;
}

/* Fields, and if `fill` the warps and quantisers too; NULL where the frame is its canvas, or where there
 * is no memory. */
OUT("fusionInput") const int64_t *fusion_input(uint32_t fill) {
    nrv_fusion_input f;
    if (ready() || nrv_get_fusion_input(decoder, workspace, &f, NULL, NULL)) return NULL;
    size_t planes = (3 * (size_t)f.samples * sizeof *fusion + 15) & ~(size_t)15;
    if (!fusion && !(fusion = take(planes + 16 * (size_t)f.cells_x * f.cells_y))) return NULL;
    int32_t (*quantisers)[4] = (void *)((char *)fusion + planes);
    if (fill) nrv_get_fusion_input(decoder, workspace, &f, fusion, quantisers);
    const int64_t fields[] = {
        f.coded_width, f.coded_height, f.cells_x, f.cells_y, f.samples, f.network, f.units, f.shift, address(f.canvas),
        address(f.rows), address(fusion), address(fusion + 2 * (size_t)f.samples), address(quantisers)};
    for (unsigned k = 0; k < sizeof fields / sizeof *fields; k++) out[k] = fields[k];
    return out;
}

OUT("fusionOutput") void fusion_output(void) {
    nrv_fusion_input f;
    if (!nrv_get_fusion_input(decoder, workspace, &f, NULL, NULL))
        nrv_put_fusion_output(decoder, fusion + 2 * (size_t)f.samples, &whole);
}

/* A region of a size (clause 6), in place of whole frames; width 0 ends that. */
OUT("view") int32_t view(uint32_t width, uint32_t height, uint32_t x, uint32_t y, uint32_t w, uint32_t h) {
    drop_scaler();
    if (!width) return NRV_OK;
    region = (nrv_region){x, y, w, h};
    nrv_status s = nrv_scaler_new(decoder, width, height, &region, &scaler);
    if (s == NRV_OK) s = nrv_lane_new(scaler, &lane);
    if (s == NRV_OK && !make_picture(&scaled, w, h)) s = NRV_NO_MEMORY;
    if (s) drop_scaler();
    return s;
}

OUT("scale") int32_t scale(void) { return nrv_scaler_rows(scaler, lane, &whole, &scaled, 0, region.height); }

/* Width, height, then address, bytes of a row and rows of each plane. */
OUT("picture") const int64_t *picture(void) {
    const nrv_info *i = nrv_get_info(decoder);
    const nrv_picture *p = scaler ? &scaled : &whole;
    uint32_t w, h;
    out[0] = scaler ? region.width : i->width;
    out[1] = scaler ? region.height : i->height;
    for (int k = 0; k < i->planes; k++) {
        nrv_plane_size(i, k, (uint32_t)out[0], (uint32_t)out[1], &w, &h);
        out[2 + 3 * k] = address(p->plane[k]);
        out[3 + 3 * k] = (int64_t)p->stride[k];
        out[4 + 3 * k] = h;
    }
    return out;
}
