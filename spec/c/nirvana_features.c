/* nirvana_features.c: features, the trace and moved features (12.1, 12.2). */
#include "nirvana.h"

void nrv_nirvana_features(nrv_nirvana *n, nrv_layer *l) {
    for (int y = 0; y < l->patches_y; y++)
        for (int x = 0; x < l->patches_x; x++) {
            ptrdiff_t patch = (ptrdiff_t)y * l->patches_x + x, padded = (ptrdiff_t)(y + 1) * l->stride + x + 1;
            int16_t *restrict to = l->feature + patch * F, *restrict in = l->input + padded * F;
            const int16_t *restrict r = l->residual + padded * F, *restrict m = l->moved + patch * F;
            for (int f = 0; f < F; f++) {
                int32_t limit = nrv_feature_limit(f);
                int32_t v = (n->key ? 0 : m[f]) + ((r[f] * n->step + 4) >> 3);
                v = nrv_clip(-limit, limit, v);
                to[f] = (int16_t)v;
                in[f] = (int16_t)nrv_clip(-4095, 4095, (int32_t)((uint32_t)(v * NRV_N_SCALE[f]) + (1u << 14)) >> 15);
            }
        }
    memset(l->ready, 0, (size_t)l->patches_y);
}

static const int32_t zeros[F];

static void make_trace(nrv_nirvana *n, nrv_layer *l) {
    int t = n->last_frames - 1, w = P * l->patches_x;
    const int16_t *basis = NRV_N_BASIS + (ptrdiff_t)t * P * P * F;
    for (int y = 0; y < l->patches_y; y++) {
        nrv_segment seg = {l->feature + (ptrdiff_t)y * l->patches_x * F, F, F / 2};
        nrv_dot(n->sums, 64, 64, basis, &seg, 1, l->patches_x, zeros);
        for (int x = 0; x < l->patches_x; x++) {
            const uint32_t *s = n->sums + 64 * x;
            int16_t *to = l->trace + (ptrdiff_t)P * y * w + P * x;
            for (int i = 0; i < 64; i++)
                to[(i >> 3) * (ptrdiff_t)w + (i & 7)] = (int16_t)nrv_clip(-2560, 2560, ((int32_t)s[i] + 2048) >> 12);
        }
    }
}

static const int8_t MOVE[8][4] = {{0, 64, 0, 0}, {-3, 61, 6, 0}, {-4, 56, 14, -2}, {-5, 47, 25, -3},
                                  {-4, 36, 36, -4}, {-3, 25, 47, -5}, {-2, 14, 56, -4}, {0, 6, 61, -3}};

/* 8 x 8 samples of the trace at (x, y) moved by a vector in eighths */
static void move_block(const nrv_layer *l, int y, int x, int vy, int vx, int16_t *restrict out) {
    int w = P * l->patches_x, h = P * l->patches_y, fy = vy & 7, fx = vx & 7;
    int y0 = y + (vy >> 3) - 1, x0 = x + (vx >> 3) - 1;
    int16_t area[11][12], across[11][8];
    if (y0 >= 0 && x0 >= 0 && y0 + 11 <= h && x0 + 12 <= w) {
        for (int i = 0; i < 11; i++) memcpy(area[i], l->trace + (ptrdiff_t)(y0 + i) * w + x0, 24);
    } else
        for (int i = 0; i < 11; i++)
            for (int k = 0; k < 11; k++)
                area[i][k] = l->trace[(ptrdiff_t)nrv_clip(0, h - 1, y0 + i) * w + nrv_clip(0, w - 1, x0 + k)];
    for (int i = 0; i < 11; i++)
        for (int k = 0; k < 8; k++) {
            int32_t s = 32;
            for (int c = 0; c < 4; c++) s += MOVE[fx][c] * area[i][k + c];
            across[i][k] = (int16_t)(s >> 6);
        }
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 8; k++) {
            int32_t s = 32;
            for (int j = 0; j < 4; j++) s += MOVE[fy][j] * across[i + j][k];
            out[8 * i + k] = (int16_t)(s >> 6);
        }
}

void nrv_nirvana_move(nrv_nirvana *n, nrv_layer *l) {
    make_trace(n, l);
    for (int y = 0; y < l->patches_y; y++) {
        for (int x = 0; x < l->patches_x; x++) {
            const nrv_path *p = n->paths + (ptrdiff_t)((y << l->sy) >> 1) * n->blocks_x + ((x << l->sx) >> 1);
            int16_t *to = n->terms + (ptrdiff_t)x * D;
            if (p->intra) { memset(to, 0, D * 2); continue; }
            for (int t = 0; t < T; t++) {
                const int16_t *v = p->v[nrv_min(t, n->frames - 1)];
                if (t >= n->frames) memcpy(to + 64 * t, to + 64 * (t - 1), 128);
                else move_block(l, P * y, P * x, (2 * v[0]) >> l->sy, (2 * v[1]) >> l->sx, to + 64 * t);
            }
        }
        nrv_segment seg = {n->terms, D, D / 2};
        nrv_dot(n->sums, F, F, NRV_N_BASIS_T, &seg, 1, l->patches_x, zeros);
        int16_t *restrict to = l->moved + (ptrdiff_t)y * l->patches_x * F;
        for (int x = 0; x < l->patches_x; x++)   /* those of intra blocks are 0 by their samples */
            for (int f = 0; f < F; f++) {
                int32_t limit = nrv_feature_limit(f);
                to[x * F + f] = (int16_t)nrv_clip(-limit, limit, ((int32_t)n->sums[x * F + f] + (1 << 13)) >> 14);
            }
    }
}
