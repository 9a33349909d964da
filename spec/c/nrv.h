/* nrv.h: a decoder of .nrv bitstreams (nrv.md, version 0).
 *
 * The core allocates through the caller's functions alone, has no global state and starts no
 * threads. A decoder object is used by one thread at a time, except that nrv_render_rows() may
 * run in several threads at once, each with a workspace of its own, between two calls of
 * nrv_next_frame(), nrv_seek_*() or nrv_resync().
 */
#ifndef NRV_H
#define NRV_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Classes of errors (2.10), and those of a reader's own. */
typedef enum nrv_status {
    NRV_OK = 0,
    NRV_END = 1,         /* no further frame; not an error */
    NRV_TRUNCATED = 2,
    NRV_MISMATCH = 3,
    NRV_CORRUPT = 4,
    NRV_UNSUPPORTED = 5,
    NRV_OVER_LIMIT = 6,
    NRV_REFUSED = 7,     /* a request that cannot be met, such as a size outside 6.1 */
    NRV_NO_MEMORY = 8,   /* the caller's allocator gave nothing */
    NRV_INPUT = 9        /* the caller's read or seek failed */
} nrv_status;

typedef struct nrv_error {
    nrv_status status;
    const char *clause;   /* of nrv.md, "" if none */
    const char *sentence; /* short, English */
    uint64_t offset;      /* of the unit that was read */
} nrv_error;

/* alloc gives at least `size` bytes, aligned to 16 on 64-bit and to 8 on 32-bit machines, or NULL. */
typedef struct nrv_allocator {
    void *user;
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *block);
} nrv_allocator;

/* read puts up to `size` bytes to `dst`: how many, 0 at the end, negative on failure.
 * seek may be NULL; it moves to `offset` from the start and returns 0. size is that of the
 * input, 0 if unknown; it is only used to find the index. */
typedef struct nrv_input {
    void *user;
    int32_t (*read)(void *user, uint8_t *dst, uint32_t size);
    int (*seek)(void *user, uint64_t offset);
    uint64_t size;
} nrv_input;

/* Limits of the reader; 0 means none but the level's (2.11). */
typedef struct nrv_limits {
    uint64_t luma_samples; /* of a frame, counted as in 2.11 */
    uint64_t memory;       /* bytes allocated at a time, all objects of a decoder together */
    uint32_t unit_length;
} nrv_limits;

typedef struct nrv_info {
    uint16_t format_version, min_reader_version;
    uint8_t level, model, chroma_format, bit_depth;
    uint16_t width, height, chroma_width, chroma_height;
    uint8_t sub_x, sub_y, planes;
    uint32_t frame_rate_num, frame_rate_den, time_base_num, time_base_den;
    uint16_t sar_num, sar_den;
    uint8_t colour_primaries, transfer, matrix, full_range, chroma_location;
    uint32_t frame_count;  /* 0xFFFFFFFF if unknown */
    uint8_t group_frames;  /* the largest number of frames of a group */
    uint8_t network;       /* model 2: 1 if frames are rendered through clause 9 */
    uint8_t tracks;
    uint16_t chapters;
    bool has_hdr, has_metadata;
} nrv_info;

typedef struct nrv_hdr {   /* 2.12 */
    uint8_t flags;
    uint16_t primaries[6], white_point[2];
    uint32_t max_luminance, min_luminance;
    uint16_t max_cll, max_fall;
} nrv_hdr;

/* Strings are not terminated. They live as long as the decoder. */
typedef struct nrv_string {
    const uint8_t *bytes;
    uint32_t length;
} nrv_string;

typedef struct nrv_chapter { /* 2.13 */
    uint32_t time_base_num, time_base_den;
    int64_t start, end;
    nrv_string title;
} nrv_chapter;

typedef struct nrv_track {   /* 2.14 */
    uint8_t number, kind;
    uint32_t disposition, time_base_num, time_base_den, rate, priming;
    uint16_t channels;
    nrv_string codec, layout, language, title, extradata;
} nrv_track;

typedef struct nrv_packet {  /* 2.15; data lives during the call */
    uint8_t track;
    bool key;
    int64_t pts, dts;
    uint64_t duration;
    uint32_t skip, discard;
    const uint8_t *data;
    uint32_t length;
} nrv_packet;
typedef void (*nrv_packet_callback)(void *user, const nrv_packet *packet);

typedef struct nrv_frame {
    uint32_t index;          /* in the video */
    int64_t pts;             /* ticks of the time base */
    uint32_t duration;
    uint32_t group, group_first, group_frames, in_group;
    bool key_group;
} nrv_frame;

typedef struct nrv_group {   /* of the index (2.8), or of the groups seen so far */
    uint64_t offset;
    int64_t first_pts;
    uint32_t first_frame;
    bool key;
} nrv_group;

/* Planes Y, Cb, Cr: bytes with bit_depth 8, else uint16_t of the machine. Strides in bytes. */
typedef struct nrv_picture {
    void *plane[3];
    size_t stride[3];
} nrv_picture;

typedef struct nrv_decoder nrv_decoder;
typedef struct nrv_workspace nrv_workspace;
typedef struct nrv_scaler nrv_scaler;
typedef struct nrv_lane nrv_lane;

/* Reads the signature, HEAD, the description and what stands before the first group. On failure
 * *out is NULL and *error is filled. limits may be NULL. */
nrv_status nrv_open(nrv_decoder **out, const nrv_allocator *allocator, const nrv_input *input,
                    const nrv_limits *limits, nrv_error *error);
void nrv_close(nrv_decoder *d);
const nrv_info *nrv_get_info(const nrv_decoder *d);
const nrv_error *nrv_get_error(const nrv_decoder *d);

/* Side data. The metadata is the payload of mETa number i: a Zstandard frame of JSON (2.6). */
nrv_status nrv_get_hdr(const nrv_decoder *d, nrv_hdr *out);
nrv_status nrv_get_chapter(const nrv_decoder *d, uint32_t i, nrv_chapter *out);
nrv_status nrv_get_track(const nrv_decoder *d, uint32_t i, nrv_track *out);
nrv_status nrv_get_metadata(const nrv_decoder *d, uint32_t i, nrv_string *out);
void nrv_on_packet(nrv_decoder *d, nrv_packet_callback callback, void *user);

/* Frames. next decodes a group where one begins. After an error it returns the same error until
 * nrv_resync(), which goes on with the next key group, or a seek. */
nrv_status nrv_next_frame(nrv_decoder *d, nrv_frame *out);
nrv_status nrv_resync(nrv_decoder *d);
/* The next frame will be `frame`; or the first one of the last key group at or before it. */
nrv_status nrv_seek_frame(nrv_decoder *d, uint32_t frame);
nrv_status nrv_seek_key(nrv_decoder *d, uint32_t frame);
/* Groups of the index; reads it if need be. */
nrv_status nrv_get_groups(nrv_decoder *d, const nrv_group **out, uint32_t *count);

/* Size in samples of a plane of the frame, or of a picture of width x height luma samples. */
void nrv_plane_size(const nrv_info *info, int plane, uint32_t width, uint32_t height,
                    uint32_t *plane_width, uint32_t *plane_height);

/* Rendering of the frame that nrv_next_frame() gave last: luma rows row0..row1-1, row0 a
 * multiple of SubY, row1 too or the height, with their chroma. dst holds the whole frame. */
enum { NRV_NO_NETWORK = 1 };  /* model 2: the canvas; model 3: BASIS alone, a preview that the text does not have */
nrv_status nrv_workspace_new(nrv_decoder *d, nrv_workspace **out);
void nrv_workspace_free(nrv_workspace *w);
nrv_status nrv_render_rows(const nrv_decoder *d, nrv_workspace *w, const nrv_picture *dst,
                           uint32_t row0, uint32_t row1, unsigned flags);
/* Feeds a frame as rendered in full to the check of the group; all frames in order. Gives
 * NRV_MISMATCH at the last one of a group if its crc differs; a caller that compares holds the
 * group back until then (14.2). */
nrv_status nrv_check_frame(nrv_decoder *d, const nrv_picture *picture);

/* The fusion network of model 2 by other means than this decoder's (clause 9): what it takes, for the
 * frame that nrv_next_frame() gave last, and what it makes. Planes are of the coded size (7.2), rows
 * without gaps, one plane after the other. */
typedef struct nrv_fusion_layer {  /* a hidden layer (9.2) */
    uint32_t kernel, inputs, units, shift;
    const int16_t *weights;  /* [unit / B][pair of inputs][unit % B][2], B the first of 24, 16, 8 that divides
                                the units; inputs are [ky][kx][input], those of the first layer for each ky
                                [kx][a], then [kx][d] */
    const int32_t *biases;
} nrv_fusion_layer;
typedef struct nrv_fusion_input {
    uint32_t coded_width, coded_height, cells_x, cells_y;
    uint32_t samples;        /* of all planes */
    uint32_t network;        /* which one the frame uses */
    uint32_t units;          /* of the last hidden layer */
    uint32_t shift;          /* OutputShift */
    const uint16_t *canvas;
    const int16_t *rows;     /* of the output layer: [6][67 + units] */
} nrv_fusion_input;
/* NRV_REFUSED where there is no such network or layer. */
nrv_status nrv_get_fusion_layer(uint32_t network, uint32_t layer, nrv_fusion_layer *out);
/* NRV_REFUSED where the frame is its canvas. If warps is not NULL, it takes the planes of Warp(0), then
 * of Warp(1) (9.3), and quantisers, for each cell, RECIPROCAL of luma and chroma and STEP of both (9.1). */
nrv_status nrv_get_fusion_input(const nrv_decoder *d, nrv_workspace *w, nrv_fusion_input *out, uint16_t *warps,
                                int32_t (*quantisers)[4]);
/* The frame from what the network made of its planes; those of chroma count in 4:2:0 only (9.5). */
void nrv_put_fusion_output(const nrv_decoder *d, const uint16_t *samples, const nrv_picture *dst);

/* Other sizes and regions (clause 6). A scaler is read-only once made; lanes are for one thread. */
typedef struct nrv_region {
    uint32_t x, y, width, height;
} nrv_region;
nrv_status nrv_scaler_new(nrv_decoder *d, uint32_t out_width, uint32_t out_height,
                          const nrv_region *region, nrv_scaler **out);
void nrv_scaler_free(nrv_scaler *s);
nrv_status nrv_lane_new(nrv_scaler *s, nrv_lane **out);
void nrv_lane_free(nrv_lane *l);
/* Luma rows of the frame that rows row0..row1-1 of the region need. */
void nrv_scaler_needs(const nrv_scaler *s, uint32_t row0, uint32_t row1, uint32_t *first, uint32_t *end);
/* src is the whole frame (the rows needed), dst the whole region; row0 a multiple of SubY. */
nrv_status nrv_scaler_rows(const nrv_scaler *s, nrv_lane *l, const nrv_picture *src,
                           const nrv_picture *dst, uint32_t row0, uint32_t row1);

/* A hash for callers, as FEND uses (2.9). */
typedef struct nrv_md5 {
    uint32_t state[4];
    uint64_t length;
    uint8_t block[64];
} nrv_md5;
void nrv_md5_start(nrv_md5 *m);
void nrv_md5_add(nrv_md5 *m, const void *data, size_t size);
void nrv_md5_end(nrv_md5 *m, uint8_t digest[16]);
uint32_t nrv_crc32(uint32_t crc, const void *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
