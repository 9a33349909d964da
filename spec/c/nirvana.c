/* nirvana.c: the description and groups of model 3 (11.1 to 11.5, 11.8). */
#include "nirvana.h"

nrv_status nrv_nirvana_open(nrv_decoder *d, const uint8_t *b) {
    if (b[0] != 1) return nrv_fail(d, NRV_UNSUPPORTED, "11.1", "the table of the network is unknown");
    if (b[1] != P || b[2] != T || b[3] != F) return nrv_fail(d, NRV_CORRUPT, "11.1", "the shape is not that of the table");
    d->info.group_frames = T;
    if (!(d->nirvana = nrv_new(d, sizeof *d->nirvana))) return d->error.status;
    for (int p = 0; p < d->info.planes; p++) {
        nrv_layer *l = &d->nirvana->layer[p];
        l->patches_x = ((p ? d->info.chroma_width : d->info.width) + P - 1) / P;
        l->patches_y = ((p ? d->info.chroma_height : d->info.height) + P - 1) / P;
        l->sx = p ? d->info.sub_x - 1 : 0;
        l->sy = p ? d->info.sub_y - 1 : 0;
        l->stride = l->patches_x + 2;
    }
    d->nirvana->blocks_x = (d->nirvana->layer[0].patches_x + 1) / 2;
    d->nirvana->blocks_y = (d->nirvana->layer[0].patches_y + 1) / 2;
    return NRV_OK;
}

static bool make(nrv_decoder *d, int16_t **to, uint64_t size) {
    if (!*to) *to = nrv_new(d, size);
    return *to != NULL;
}

static nrv_status scratch(nrv_decoder *d) {
    nrv_nirvana *n = d->nirvana;
    uint64_t row = 0;
    if (n->paths) return NRV_OK;
    for (int p = 0; p < d->info.planes; p++) {
        nrv_layer *l = &n->layer[p];
        uint64_t patches = (uint64_t)l->patches_x * (uint64_t)l->patches_y, padded = (uint64_t)l->stride * ((uint64_t)l->patches_y + 2);
        if ((uint64_t)l->patches_x > row) row = (uint64_t)l->patches_x;
        if (!make(d, &l->feature, patches * F * 2) || !make(d, &l->moved, patches * F * 2) || !make(d, &l->trace, patches * P * P * 2) ||
            !make(d, &l->residual, padded * F * 2) || !make(d, &l->logs, padded * F * 4) || !make(d, &l->input, padded * F * 2) ||
            !make(d, &l->second, patches * W * 2)) return d->error.status;
        if (!l->ready && !(l->ready = nrv_new(d, (uint64_t)l->patches_y))) return d->error.status;
        if (!l->number && !(l->number = nrv_new(d, padded))) return d->error.status;
    }
    if (!n->sums && !(n->sums = nrv_new(d, row * 256 * 4))) return d->error.status;
    if (!make(d, &n->terms, row * 256 * 2)) return d->error.status;
    if (!n->gaps && !(n->gaps = nrv_new(d, row * 64 * 4))) return d->error.status;
    if (!n->nears && !(n->nears = nrv_new(d, row * 40 * 4))) return d->error.status;
    n->paths = nrv_new(d, (uint64_t)n->blocks_x * (uint64_t)n->blocks_y * sizeof *n->paths);
    return n->paths ? NRV_OK : d->error.status;
}

void nrv_nirvana_close(nrv_decoder *d) {
    nrv_nirvana *n = d->nirvana;
    for (int p = 0; p < 3; p++) {
        nrv_layer *l = &n->layer[p];
        void *all[] = {l->feature, l->moved, l->trace, l->residual, l->logs, l->input, l->second, l->ready, l->number};
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++) nrv_free(&d->memory, all[i]);
    }
    nrv_free(&d->memory, n->sums);
    nrv_free(&d->memory, n->terms);
    nrv_free(&d->memory, n->gaps);
    nrv_free(&d->memory, n->nears);
    nrv_free(&d->memory, n->paths);
    nrv_free(&d->memory, n);
    d->nirvana = NULL;
}

static nrv_status bad_run(nrv_decoder *d) { return nrv_fail(d, NRV_CORRUPT, "3.2", "a range-coded run does not begin or end as it shall"); }

/* ---- 11.5 ---- */

enum { INTRA = 0, TAKE = 3, ZERO = 12, MORE = 13, PREFIX = 40 };

nrv_status nrv_nirvana_motion(nrv_decoder *d, const uint8_t *bytes, size_t length) {
    nrv_nirvana *n = d->nirvana;
    nrv_context ctx[NRV_NIRVANA_MOTION_CONTEXTS_COUNT];
    nrv_range r;
    if (!nrv_range_start(&r, bytes, length)) return bad_run(d);
    nrv_contexts_start(ctx, NRV_NIRVANA_MOTION_CONTEXTS, NRV_NIRVANA_MOTION_CONTEXTS_COUNT);
    nrv_path zeros;
    memset(&zeros, 0, sizeof zeros);
    for (int y = 0; y < n->blocks_y; y++)
        for (int x = 0; x < n->blocks_x; x++) {
            nrv_path *p = n->paths + (ptrdiff_t)y * n->blocks_x + x;
            const nrv_path *a = x ? p - 1 : NULL, *b = y ? p - n->blocks_x : NULL;
            memset(p, 0, sizeof *p);
            p->intra = (uint8_t)nrv_bit(&r, &ctx[INTRA + (a && a->intra) + (b && b->intra)]);
            if (p->intra) continue;
            const nrv_path *near = a && !a->intra ? a : b && !b->intra ? b : &zeros;
            const nrv_path *candidates[3] = {near, b && !b->intra ? b : NULL, &zeros};
            int joined = (a && a->joined) + (b && b->joined), count = 0;
            const nrv_path *kept[3];
            for (int i = 0; i < 3 && !p->joined; i++) {
                bool add = candidates[i] != NULL;
                for (int k = 0; add && k < count; k++)
                    add = memcmp(candidates[i]->v, kept[k]->v, sizeof p->v) != 0;   /* unused frames are zero */
                if (!add) continue;
                if (nrv_bit(&r, &ctx[TAKE + 3 * count + joined])) {
                    memcpy(p->v, candidates[i]->v, sizeof p->v);
                    p->joined = 1;
                }
                kept[count++] = candidates[i];
            }
            if (p->joined) continue;
            int32_t last[2] = {0, 0};
            for (int t = 0; t < n->frames; t++)
                for (int c = 0; c < 2; c++) {
                    int class = t ? 1 + nrv_min(2, nrv_bit_length((uint32_t)nrv_abs(last[c]))) : 0;
                    nrv_context *k = ctx + 38 * c;
                    last[c] = nrv_difference(&r, k + ZERO + 7 * class, k + MORE + 7 * class, k + PREFIX);
                    int32_t predicted = near->v[t][c] + (t ? p->v[t - 1][c] - near->v[t - 1][c] : 0);
                    p->v[t][c] = (int16_t)nrv_clip(-2047, 2047, predicted + last[c]);
                }
        }
    return nrv_range_end(&r) ? NRV_OK : bad_run(d);
}

/* ---- 11.8, and the output layer of clause 13 ---- */

static void output_layer(nrv_nirvana *n) {
    n->changed = n->slot[0].used || n->slot[1].used || n->slot[2].used || n->slot[3].used;
    if (!n->changed) return;
    int at = 0;
    for (int i0 = 0; i0 < D; i0 += 16)
        for (int u0 = 0; u0 < W; u0 += 2)
            for (int i = i0; i < i0 + 16; i++)
                for (int u = u0; u < u0 + 2; u++, at++) {
                    int32_t sum = NRV_N_W3[at];
                    for (int k = 0; k < 4; k++)
                        if (n->slot[k].used) sum += nrv_rshift(16 * n->slot[k].out[i] * n->slot[k].in[u], n->slot[k].shift);
                    n->own_weights[at] = (int16_t)nrv_clip(-32639, 32639, sum);
                }
    for (int i = 0; i < D; i++) {
        int32_t sum = 0;
        for (int k = 0; k < 4; k++)
            if (n->slot[k].used) sum += nrv_rshift(16 * n->slot[k].out[i] * n->slot[k].in[W], n->slot[k].shift);
        n->own_bias[i] = (int32_t)((uint32_t)NRV_N_B3[i] + 2048u * (uint32_t)sum);
    }
}

nrv_status nrv_nirvana_network(nrv_decoder *d, const uint8_t *bytes, size_t length) {
    nrv_nirvana *n = d->nirvana;
    if (n->key) memset(n->slot, 0, sizeof n->slot);
    if (length == 0) {
        if (n->key) n->changed = false;
        return NRV_OK;
    }
    nrv_context ctx[NRV_NIRVANA_NETWORK_CONTEXTS_COUNT];
    nrv_range r;
    if (!nrv_range_start(&r, bytes, length)) return bad_run(d);
    nrv_contexts_start(ctx, NRV_NIRVANA_NETWORK_CONTEXTS, NRV_NIRVANA_NETWORK_CONTEXTS_COUNT);
    for (int k = 0; k < 4; k++) {
        nrv_component *s = &n->slot[k];
        if (!nrv_bypass(&r)) continue;
        s->used = nrv_bypass(&r);
        if (!s->used) continue;
        s->shift = (int32_t)nrv_bypass_bits(&r, 4);
        for (int kind = 0; kind < 2; kind++) {
            int16_t *to = kind ? s->out : s->in;
            nrv_context *c = ctx + 31 * kind;
            for (int i = 0; i < (kind ? D : W + 1); i++) {
                int class = i ? nrv_min(2, nrv_bit_length((uint32_t)nrv_abs(to[i - 1]))) : 0;
                int32_t v = nrv_difference(&r, c + 7 * class, c + 7 * class + 1, c + 21);
                if (nrv_abs(v) > 127) return nrv_fail(d, NRV_CORRUPT, "11.8", "a component is out of range");
                to[i] = (int16_t)v;
            }
        }
    }
    if (!nrv_range_end(&r)) return bad_run(d);
    output_layer(n);
    return NRV_OK;
}

/* ---- a group ---- */

nrv_status nrv_nirvana_group(nrv_decoder *d, const nrv_parts *p) {
    nrv_nirvana *n = d->nirvana;
    nrv_status s = scratch(d);
    if (s) return s;
    n->key = d->flags & 1;
    n->frames = (int32_t)d->frames;
    if (!n->key && !n->whole) return nrv_fail(d, NRV_CORRUPT, "2.7", "a group has no group before it");
    n->whole = false;
    if (!n->key && (s = nrv_nirvana_motion(d, p->motion, p->motion_length)) != NRV_OK) return s;
    for (int k = 0; k < d->info.planes; k++)
        if (!n->key) nrv_nirvana_move(n, &n->layer[k]);
    if ((s = nrv_nirvana_content(d, p->content, p->content_length)) != NRV_OK) return s;
    if ((s = nrv_nirvana_network(d, p->network, p->network_length)) != NRV_OK) return s;
    for (int k = 0; k < d->info.planes; k++) nrv_nirvana_features(n, &n->layer[k]);
    n->last_frames = n->frames;
    n->whole = true;
    return NRV_OK;
}
