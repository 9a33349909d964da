/* nirvana.h: what the modules of clauses 11 to 13 share. */
#ifndef NRV_NIRVANA_H
#define NRV_NIRVANA_H
#include "dot.h"

enum { P = 8, T = 4, F = 192, N = 64, W = 256, E = 48, E2 = 64, D = 256, SLICES = 6 };

typedef struct nrv_layer {      /* of a plane (11.3) */
    int32_t patches_x, patches_y, sx, sy, stride;  /* patches of a padded row */
    int16_t *feature;           /* [patch][F], of this group once it is whole, else of the one before */
    int16_t *moved;             /* [patch][F] (12.2) */
    int16_t *trace;             /* plane of the last frame of the group before */
    int16_t *residual;          /* [padded patch][F] */
    int16_t *logs;              /* [padded patch][F][Value, Log] of residuals */
    int16_t *input;             /* [padded patch][F]: a(f) of clause 13 */
    int16_t *second;            /* [patch][W]: h2 of clause 13, as far as it is made */
    uint8_t *ready;             /* rows of patches whose h2 is made */
    uint8_t *number;            /* [padded patch] (11.6) */
} nrv_layer;

typedef struct nrv_component { bool used; int32_t shift; int16_t in[W + 1], out[D]; } nrv_component;

typedef struct nrv_path { int16_t v[T][2]; uint8_t intra, joined; } nrv_path;

typedef struct nrv_nirvana {
    nrv_layer layer[3];
    int32_t blocks_x, blocks_y;
    nrv_path *paths;
    bool whole;                 /* features are those of a group */
    bool key;
    int32_t frames, last_frames;
    int32_t q, cq, step, reciprocal;
    nrv_component slot[4];
    bool changed;               /* a slot is used: weights of layer 0 are in own_* */
    int16_t own_weights[D * W]; /* packed as NRV_N_W3 */
    int32_t own_bias[D];
    /* scratch of a row of patches */
    uint32_t *sums;             /* [px][256] */
    int16_t *terms;             /* [px][4 * 64], and [px][D] of moved samples */
    int32_t *gaps;              /* [px][64]: d of 12.3 */
    uint32_t *nears;            /* [px][40] */
    nrv_range range;
    nrv_context contexts[NRV_NIRVANA_CONTENT_CONTEXTS_COUNT];
} nrv_nirvana;

NRV_INLINE int32_t nrv_hidden(int32_t a, int shift) {   /* 12.3 */
    int32_t v = nrv_rshift(a, shift);
    return nrv_clip(-4095, 4095, nrv_max(v, v >> 3));
}
NRV_INLINE int32_t nrv_feature_limit(int f) { return f < 16 ? 32767 : 8191; }

nrv_status nrv_nirvana_motion(nrv_decoder *d, const uint8_t *bytes, size_t length);   /* 11.5 */
nrv_status nrv_nirvana_network(nrv_decoder *d, const uint8_t *bytes, size_t length);  /* 11.8 */
nrv_status nrv_nirvana_content(nrv_decoder *d, const uint8_t *bytes, size_t length);  /* 11.6, 12.3 */
void nrv_nirvana_move(nrv_nirvana *n, nrv_layer *l);                                  /* 12.2 */
void nrv_nirvana_features(nrv_nirvana *n, nrv_layer *l);                              /* 12.1 */
#endif
