/* core.h: what the modules of the decoder share. Names are those of nrv.md. */
#ifndef NRV_CORE_H
#define NRV_CORE_H
#include "nrv.h"
#include "tables.h"

/* Compilers emit calls of these; memory.c has them for freestanding builds. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#if defined(__GNUC__)
/* -ffreestanding takes these names from the compiler; so short copies become moves again. */
#define memcpy(d, s, n) __builtin_memcpy(d, s, n)
#define memmove(d, s, n) __builtin_memmove(d, s, n)
#define memset(d, v, n) __builtin_memset(d, v, n)
#define memcmp(a, b, n) __builtin_memcmp(a, b, n)
#define NRV_INLINE static inline __attribute__((always_inline))
#define NRV_NOINLINE __attribute__((noinline))
#define NRV_LIKELY(x) __builtin_expect(!!(x), 1)
#define NRV_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define NRV_INLINE static inline
#define NRV_NOINLINE
#define NRV_LIKELY(x) (x)
#define NRV_UNLIKELY(x) (x)
#endif

/* ---- 1.2 Numbers. Right shifts of negative numbers are arithmetic in every compiler that this
 * code is for; left shifts are written as products. ---- */
NRV_INLINE int32_t nrv_clip(int32_t lo, int32_t hi, int32_t a) { return a < lo ? lo : a > hi ? hi : a; }
NRV_INLINE int64_t nrv_clip64(int64_t lo, int64_t hi, int64_t a) { return a < lo ? lo : a > hi ? hi : a; }
NRV_INLINE int32_t nrv_min(int32_t a, int32_t b) { return a < b ? a : b; }
NRV_INLINE int32_t nrv_max(int32_t a, int32_t b) { return a > b ? a : b; }
NRV_INLINE int32_t nrv_abs(int32_t a) { return a < 0 ? -a : a; }
NRV_INLINE int32_t nrv_rshift(int32_t a, int n) { return n ? (a + (int32_t)(1u << (n - 1))) >> n : a; }
NRV_INLINE int64_t nrv_rshift64(int64_t a, int n) { return n ? (a + ((int64_t)1 << (n - 1))) >> n : a; }
NRV_INLINE int nrv_bit_length(uint32_t a) {
    int n = 0;
    while (a) { n++; a >>= 1; }
    return n;
}
NRV_INLINE uint32_t nrv_ceil_div(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }
/* a // b of 1.2 for b > 0 */
NRV_INLINE int64_t nrv_floor_div(int64_t a, int64_t b) { int64_t q = a / b; return q - (a % b < 0); }

extern const int16_t NRV_S6[6];
NRV_INLINE int32_t nrv_step(int q) { return (int32_t)NRV_S6[q % 6] << (q / 6); }                   /* 9.1 */
NRV_INLINE int32_t nrv_reciprocal(int q) { int32_t s = nrv_step(q); return ((1 << 22) + s / 2) / s; } /* 9.1 */

/* ---- memory.c ---- */
typedef struct nrv_memory {
    nrv_allocator allocator;
    uint64_t used, limit;
} nrv_memory;
void *nrv_alloc(nrv_memory *m, uint64_t size, nrv_status *why);  /* zeroed */
void *nrv_alloc_as_is(nrv_memory *m, uint64_t size, nrv_status *why);  /* for what is written before it is read */
void nrv_free(nrv_memory *m, void *block);

/* ---- Clause 3: range_coder.c ---- */
typedef struct nrv_context {
    uint16_t fast, slow;
    uint8_t count;
} nrv_context;

/* `code` of 3.2 is window >> more: bytes are read ahead, `more` bits of them, 0 to 32. */
typedef struct nrv_range {
    uint64_t window;
    uint32_t range;
    int32_t more;
    const uint8_t *bytes;
    size_t length, taken;     /* BytesRead is taken - more / 8 */
} nrv_range;

bool nrv_range_start(nrv_range *r, const uint8_t *bytes, size_t length);
bool nrv_range_end(const nrv_range *r);
void nrv_contexts_start(nrv_context *c, const uint16_t *defaults, int count);

extern const uint8_t NRV_FAST_SHIFT[129], NRV_SLOW_SHIFT[129];

void nrv_range_tail(nrv_range *r);  /* as nrv_more_bytes(), near the end of the bytes */

NRV_INLINE void nrv_more_bytes(nrv_range *r) {
    if (NRV_UNLIKELY(r->length < r->taken + 4)) { nrv_range_tail(r); return; }
    const uint8_t *p = r->bytes + r->taken;
    r->window = r->window << 32 | (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    r->more += 32;
    r->taken += 4;
}

/* `range` is at least 2^8 here, so one or two bytes are missing. */
NRV_INLINE void nrv_normalise(nrv_range *r) {
    if (r->range < (1u << 24)) {
        int n = r->range < (1u << 16) ? 16 : 8;
        r->range <<= n;
        r->more -= n;
        if (r->more < 0) {
            r->more += n;
            nrv_more_bytes(r);
            r->more -= n;
        }
    }
}

NRV_INLINE int nrv_bit(nrv_range *r, nrv_context *c) {
    uint32_t fast = c->fast, slow = c->slow;
    uint32_t bound = (r->range >> 16) * ((fast + slow) >> 1);
    uint64_t scaled = (uint64_t)bound << r->more;
    int f = NRV_FAST_SHIFT[c->count], s = NRV_SLOW_SHIFT[c->count], bit;
    if (r->window < scaled) {
        bit = 1;
        r->range = bound;
        c->fast = (uint16_t)(fast + ((65536 - fast) >> f));
        c->slow = (uint16_t)(slow + ((65536 - slow) >> s));
    } else {
        bit = 0;
        r->window -= scaled;
        r->range -= bound;
        c->fast = (uint16_t)(fast - (fast >> f));
        c->slow = (uint16_t)(slow - (slow >> s));
    }
    c->count = (uint8_t)(c->count + (c->count < 128));
    nrv_normalise(r);
    return bit;
}

NRV_INLINE int nrv_bypass(nrv_range *r) {
    uint32_t bound = r->range >> 1;
    uint64_t scaled = (uint64_t)bound << r->more;
    int bit = r->window >= scaled;
    /* no branch: these bits are even */
    uint32_t mask = 0u - (uint32_t)bit;
    r->window -= scaled & (0u - (uint64_t)bit);
    r->range = bound + ((r->range & 1) & mask);
    nrv_normalise(r);
    return bit;
}

NRV_INLINE uint32_t nrv_bypass_bits(nrv_range *r, int n) {
    uint32_t v = 0;
    while (n-- > 0) v = 2 * v + (uint32_t)nrv_bypass(r);
    return v;
}
/* difference() of 3.3 with the first contexts of ZERO, MORE and PREFIX */
int32_t nrv_difference(nrv_range *r, nrv_context *zero, nrv_context *more, nrv_context *prefix);

/* ---- hash.c ---- */

/* ---- Clause 7: groups of model 2 ---- */
typedef struct nrv_vector { int16_t y, x; } nrv_vector;

typedef struct nrv_cell {     /* 8 x 8 luma samples */
    nrv_vector v[2];
    uint8_t direction;        /* 0 intra, bit 0 reference 0, bit 1 reference 1 */
    uint8_t q;                /* quantiser index of the leaf */
    uint8_t width, height;    /* less 1: of the leaf (7.4), then of the transform area (8.7) */
    uint8_t luma;             /* holds a luma sample of a unit */
    uint8_t merge, coded;     /* contexts of 7.4, 7.5 */
    uint8_t mode;             /* 38 copied, 39 palette, else 0: contexts of 7.4, and 8.7 */
    uint32_t leaf;            /* number of the leaf, from 1, in coding order */
} nrv_cell;

NRV_INLINE bool nrv_same_vector(nrv_vector a, nrv_vector b) { return a.y == b.y && a.x == b.x; }
/* Whether directions differ or a vector that they use (8.2) */
NRV_INLINE bool nrv_differ(const nrv_cell *a, const nrv_cell *b) {
    return a->direction != b->direction || ((a->direction & 1) && !nrv_same_vector(a->v[0], b->v[0])) ||
           ((a->direction & 2) && !nrv_same_vector(a->v[1], b->v[1]));
}

typedef struct nrv_projected { /* projected motion of a cell (8.2) */
    nrv_vector v[2];
    uint8_t there;
} nrv_projected;

typedef struct nrv_canvas {
    uint16_t *plane[3];
    nrv_cell *cells;
    struct nrv_canvas *reference[2];  /* valid while its group is rendered */
    int32_t users;
    int32_t set;
    struct nrv_canvas *next;          /* in the list of free ones */
} nrv_canvas;

typedef struct nrv_leaf {
    uint16_t x, y;
    uint8_t log2w, log2h;
    uint8_t intra, merge, affine, index, direction;  /* affine: after 8.2, whether a gradient is not 0 */
    uint8_t cut;              /* luma_cut() of 7.4 */
    uint8_t mode[4], chroma_mode;            /* 38: copied, 39: palette */
    uint8_t luma_units, cb_units, cr_units;  /* bit masks of the units of an intra leaf */
    int16_t d[2][2];          /* coded components [list][y, x]; d[0] of a copied leaf is its copy vector */
    int16_t g[4];             /* gradients: d of 7.4, then G of 8.2; 0 unless affine */
} nrv_leaf;

/* The luma blocks of an intra leaf (7.4) */
typedef struct nrv_rectangle { int32_t x, y, log2w, log2h; } nrv_rectangle;
NRV_INLINE int nrv_luma_blocks(const nrv_leaf *l) { return l->cut == 0 ? 1 : l->cut == 1 ? 4 : 2; }
NRV_INLINE nrv_rectangle nrv_luma_block(const nrv_leaf *l, int i) {
    switch (l->cut) {
    case 0: return (nrv_rectangle){l->x, l->y, l->log2w, l->log2h};
    case 1: return (nrv_rectangle){l->x + 4 * (i & 1), l->y + 4 * (i >> 1), 2, 2};
    case 2: return (nrv_rectangle){l->x, l->y + 4 * i, 3, 2};
    default: return (nrv_rectangle){l->x + 4 * i, l->y, 2, 3};
    }
}

typedef struct nrv_filters {  /* 7.8, of one plane */
    uint8_t used, count;
    uint8_t number[25];
    int8_t tap[8][12];
    uint8_t *on;
} nrv_filters;

typedef struct nrv_palettes { /* 7.9, of a canvas as its content is read */
    uint16_t known[3][32];    /* the lists */
    uint8_t count[3];
    uint8_t index[3][32 * 32]; /* of the samples of the leaf, in rows of 32 */
} nrv_palettes;

typedef struct nrv_fusion {   /* weights of the output layers and what rendering makes of them */
    int32_t mode;             /* 0 keep, 1 off, 2 new */
    int16_t rows[NRV_FUSION_NETS][6][67 + NRV_FUSION_LAST];
    int16_t packed[NRV_FUSION_NETS][8 * (54 + 12 + NRV_FUSION_LAST)];
    int32_t bias[NRV_FUSION_NETS][8];
} nrv_fusion;

typedef struct nrv_hybrid {
    /* description (7.1) */
    int32_t group_frames, chroma_offset, network;
    /* geometry (7.2) */
    int32_t coded_width, coded_height, cells_x, cells_y, roots_x, roots_y;
    int32_t plane_width[3], plane_height[3];
    int32_t unit_parts;
    /* state that groups leave */
    nrv_canvas *previous, *before, *key;
    int32_t since_key;        /* groups since the key group */
    nrv_fusion fusion;
    /* this group */
    int32_t frames, second;
    nrv_canvas *canvas[32];
    nrv_canvas *old[3];       /* references that the frames of this group are rendered with */
    nrv_canvas *pool;
    /* scratch of decoding */
    nrv_leaf *leaves;
    nrv_projected *projected;
    uint32_t leaf_count;
    int16_t *residual[3];     /* of units of intra leaves; samples of blocks with a palette */
    uint8_t *modes;           /* intra modes of 4 x 4 luma blocks */
    uint8_t *done[3];         /* reconstructed 4 x 4 blocks of each plane, in its samples */
    uint16_t *copy;           /* a plane before 8.8 */
    uint8_t *classes;
    nrv_filters filters[3];
    nrv_range motion, content;
    nrv_context motion_contexts[NRV_MOTION_CONTEXTS_COUNT];
    nrv_context content_contexts[NRV_CONTENT_CONTEXTS_COUNT];
} nrv_hybrid;

struct nrv_nirvana;
struct nrv_sine;

/* ---- Clause 2: the decoder object ---- */
typedef struct nrv_blob {
    uint8_t *bytes;
    uint32_t length;
} nrv_blob;

struct nrv_decoder {
    nrv_memory memory;
    nrv_input input;
    nrv_limits limits;
    nrv_info info;
    nrv_error error;
    /* reading */
    uint64_t position, unit_offset;
    uint8_t type[4];
    uint8_t *payload;
    uint32_t payload_length, payload_room;
    uint32_t max_unit;
    int32_t stage;            /* order of 2.3 */
    bool at_end, jumped, resync;
    uint64_t index_at;        /* offset of iNDX, 0 if none was read */
    /* groups */
    nrv_group *groups;        /* those read so far, while nothing was jumped over */
    uint32_t groups_read, group_room;
    nrv_group *table;         /* of the whole file: from the index or a scan */
    uint32_t table_count;
    bool pending;             /* payload holds a unit that is still to be taken */
    bool framed;              /* the unit was read to its end */
    uint32_t group_number;
    uint32_t frames_read;     /* first frame of the next group */
    bool have_group;          /* last_pts is known */
    int64_t last_pts;
    nrv_md5 crcs;
    /* current group */
    uint8_t flags;
    uint32_t frames, first_frame, crc;
    int64_t first_pts;
    uint32_t duration[32];
    int64_t pts[32];
    uint32_t next_in_group;   /* frame to deliver next */
    uint32_t current;         /* frame delivered last, in its group */
    bool has_current;
    uint32_t check_crc, checked;
    bool chain_only;
    /* side data */
    nrv_blob hdr, chapters, tracks[64], metadata[16];
    uint32_t track_count, metadata_count;
    nrv_packet_callback on_packet;
    void *packet_user;
    /* models */
    nrv_hybrid *hybrid;
    struct nrv_nirvana *nirvana;
    struct nrv_sine *sine;
};

nrv_status nrv_fail(nrv_decoder *d, nrv_status status, const char *clause, const char *sentence);
void *nrv_new(nrv_decoder *d, uint64_t size);  /* zeroed; on failure NULL, and the error is set */
void *nrv_new_as_is(nrv_decoder *d, uint64_t size);  /* not zeroed */

typedef struct nrv_bytes {    /* a reader of payload fields */
    const uint8_t *at, *end;
    bool bad;
} nrv_bytes;
uint32_t nrv_u8(nrv_bytes *b);
uint32_t nrv_u16(nrv_bytes *b);
uint32_t nrv_u32(nrv_bytes *b);
uint64_t nrv_u64(nrv_bytes *b);
uint64_t nrv_uv(nrv_bytes *b);
int64_t nrv_sv(nrv_bytes *b);
nrv_string nrv_take(nrv_bytes *b, uint64_t length);
bool nrv_utf8(nrv_string s);

/* units.c */
nrv_status nrv_side_unit(nrv_decoder *d);      /* mETa hDRm cHAP aTRK aPKt in d->payload */
bool nrv_is(const uint8_t *type, const char *name);
/* container.c for index.c */
nrv_status nrv_read(nrv_decoder *d, uint8_t *dst, uint32_t size);
nrv_status nrv_unit(nrv_decoder *d);
/* index.c */
nrv_status nrv_note_group(nrv_decoder *d, bool key);
nrv_status nrv_judge_index(nrv_decoder *d);
void nrv_index_close(nrv_decoder *d);
nrv_status nrv_group_unit(nrv_decoder *d);
nrv_status nrv_advance(nrv_decoder *d);  /* reads units up to a group or FEND */
void nrv_jump(nrv_decoder *d, uint64_t offset, uint32_t group);

/* What a model does with a group. */
typedef struct nrv_parts {
    const uint8_t *tables, *content, *motion, *network;
    size_t tables_length, content_length, motion_length, network_length;
} nrv_parts;

/* of 3, 4 and 7 bytes */
nrv_status nrv_hybrid_open(nrv_decoder *d, const uint8_t *description);
nrv_status nrv_hybrid_group(nrv_decoder *d, const nrv_parts *p);
void nrv_hybrid_reset(nrv_decoder *d);
void nrv_hybrid_close(nrv_decoder *d);
nrv_status nrv_nirvana_open(nrv_decoder *d, const uint8_t *description);
nrv_status nrv_nirvana_group(nrv_decoder *d, const nrv_parts *p);
void nrv_nirvana_close(nrv_decoder *d);
nrv_status nrv_sine_open(nrv_decoder *d, const uint8_t *description);
nrv_status nrv_sine_group(nrv_decoder *d, const nrv_parts *p);
void nrv_sine_close(nrv_decoder *d);

struct nrv_workspace {
    nrv_memory *memory;
    void *block;
};
nrv_status nrv_hybrid_workspace(nrv_decoder *d, nrv_workspace *w);
nrv_status nrv_nirvana_workspace(nrv_decoder *d, nrv_workspace *w);
nrv_status nrv_sine_workspace(nrv_decoder *d, nrv_workspace *w);
/* luma rows row0..row1-1 of the current frame */
void nrv_hybrid_render(const nrv_decoder *d, nrv_workspace *w, const nrv_picture *dst, int row0, int row1, unsigned flags);
void nrv_nirvana_render(const nrv_decoder *d, nrv_workspace *w, const nrv_picture *dst, int row0, int row1, unsigned flags);
void nrv_sine_render(const nrv_decoder *d, nrv_workspace *w, const nrv_picture *dst, int row0, int row1);

/* Clauses 7 to 9 by module */
void nrv_motion_syntax(nrv_decoder *d, nrv_canvas *c);                       /* 7.4 */
void nrv_project(nrv_decoder *d, const nrv_canvas *a, const nrv_canvas *b, int before, int after); /* 8.2 */
void nrv_motion_vectors(nrv_decoder *d, nrv_canvas *c);                      /* 8.2 */
void nrv_inter_leaf(const nrv_decoder *d, nrv_canvas *c, const nrv_leaf *l);     /* 8.3 */
nrv_status nrv_content_syntax(nrv_decoder *d, nrv_canvas *c);                /* 7.5 */
nrv_status nrv_filter_syntax(nrv_decoder *d);                                /* 7.8 */
/* 7.9: the n x n samples from row `row` of the leaf's part of the plane on */
void nrv_palette(nrv_palettes *s, nrv_range *r, nrv_context *c, const nrv_info *info, int plane, int row, int n,
                 int16_t *to, ptrdiff_t stride);
void nrv_intra_leaves(nrv_decoder *d, nrv_canvas *c);                        /* 8.4 */
void nrv_deblock(nrv_decoder *d, nrv_canvas *c);                             /* 8.7 */
void nrv_adapt(nrv_decoder *d, nrv_canvas *c);                               /* 8.8 */
/* The secondary transform of 8.5 in place: d[y * 32 + x] holds the 4 x 4 coefficients before, n x n after, n = 4 or 8.
 * `turned`: the mode is above 18. */
void nrv_secondary(int32_t *d, int matrix, int n, bool turned, int extra);
/* 8.5 on coefficients d[y * 32 + x], 0 beyond width and height: residual of a unit to out, clipped to -Peak - 1..Peak */
void nrv_transform(const int32_t *restrict d, int log2w, int log2h, bool sine, int width, int height, int extra,
                   int16_t *restrict out, ptrdiff_t stride);
/* The prediction (8.3) of a w x h area of a plane at (x, y), w a multiple of 4 and w and h at most 64, by
 * `count` references, 1 or 2, with a vector for each. */
void nrv_predict(const nrv_decoder *d, const nrv_canvas *const *ref, const nrv_vector *v, int count, int plane,
                 int x, int y, int w, int h, uint16_t *restrict out, ptrdiff_t stride);
nrv_status nrv_fusion_group(nrv_decoder *d, const uint8_t *bytes, size_t length, bool key);  /* 9.2, 9.6 */
#endif
