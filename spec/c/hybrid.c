/* hybrid.c: the description, canvases and groups of model 2 (7.1 to 7.3, 8.1). */
#include "core.h"

nrv_status nrv_hybrid_open(nrv_decoder *d, const uint8_t *b) {
    int8_t offset = (int8_t)b[1];
    if (b[0] < 1 || b[0] > 32) return nrv_fail(d, NRV_CORRUPT, "7.1", "group_frames is out of range");
    if (offset < -12 || offset > 12) return nrv_fail(d, NRV_CORRUPT, "7.1", "chroma_offset is out of range");
    if (b[2] > 1) return nrv_fail(d, NRV_CORRUPT, "7.1", "network is out of range");
    nrv_hybrid *h = nrv_new(d, sizeof *h);
    if (!h) return d->error.status;
    d->hybrid = h;
    d->info.group_frames = b[0];
    d->info.network = b[2];
    h->group_frames = b[0];
    h->chroma_offset = offset;
    h->network = b[2];
    h->cells_x = (d->info.width + 7) / 8;
    h->cells_y = (d->info.height + 7) / 8;
    h->coded_width = 8 * h->cells_x;
    h->coded_height = 8 * h->cells_y;
    h->roots_x = (h->coded_width + 63) / 64;
    h->roots_y = (h->coded_height + 63) / 64;
    h->unit_parts = d->info.chroma_format == 0 ? 0 : d->info.chroma_format == 2 ? 2 : 1;
    for (int p = 0; p < d->info.planes; p++) {
        h->plane_width[p] = p ? h->coded_width / d->info.sub_x : h->coded_width;
        h->plane_height[p] = p ? h->coded_height / d->info.sub_y : h->coded_height;
    }
    return NRV_OK;
}

/* What decoding needs, once a group is there. */
static nrv_status scratch(nrv_decoder *d) {
    nrv_hybrid *h = d->hybrid;
    uint64_t cells = (uint64_t)h->cells_x * (uint64_t)h->cells_y, roots = (uint64_t)h->roots_x * (uint64_t)h->roots_y;
    if (!h->leaves && !(h->leaves = nrv_new(d, cells * sizeof *h->leaves))) return d->error.status;
    if (h->group_frames > 1 && !h->projected && !(h->projected = nrv_new(d, cells * sizeof *h->projected))) return d->error.status;
    if (!h->modes && !(h->modes = nrv_new(d, cells * 4))) return d->error.status;
    if (!h->copy && !(h->copy = nrv_new(d, ((uint64_t)h->coded_width + 8) * ((uint64_t)h->coded_height + 8) * 2))) return d->error.status;
    for (int p = 0; p < d->info.planes; p++) {
        uint64_t samples = (uint64_t)h->plane_width[p] * (uint64_t)h->plane_height[p];
        if (!h->residual[p] && !(h->residual[p] = nrv_new(d, samples * 2))) return d->error.status;
        if (!h->done[p] && !(h->done[p] = nrv_new(d, samples / 16))) return d->error.status;
        if (!h->filters[p].on && !(h->filters[p].on = nrv_new(d, roots))) return d->error.status;
    }
    return NRV_OK;
}

/* ---- canvases ---- */

static nrv_canvas *canvas_new(nrv_decoder *d, int set) {
    nrv_hybrid *h = d->hybrid;
    nrv_canvas *c = h->pool;
    if (c) h->pool = c->next;
    else {
        uint64_t cells = (uint64_t)h->cells_x * (uint64_t)h->cells_y, samples = 0;
        for (int p = 0; p < d->info.planes; p++) samples += (uint64_t)h->plane_width[p] * (uint64_t)h->plane_height[p];
        /* leaves cover a canvas, so all cells and samples are written before they are read */
        uint8_t *block = nrv_new_as_is(d, sizeof *c + cells * sizeof(nrv_cell) + 64 + samples * 2);
        if (!block) return NULL;
        c = (nrv_canvas *)(void *)block;
        memset(c, 0, sizeof *c);
        c->cells = (nrv_cell *)(void *)(block + sizeof *c);
        c->plane[0] = (uint16_t *)(void *)(((uintptr_t)block + sizeof *c + cells * sizeof(nrv_cell) + 63) & ~(uintptr_t)63);
        for (int p = 1; p < d->info.planes; p++)
            c->plane[p] = c->plane[p - 1] + (ptrdiff_t)h->plane_width[p - 1] * h->plane_height[p - 1];
    }
    c->next = NULL;
    c->users = 1;
    c->set = set;
    c->reference[0] = c->reference[1] = NULL;
    return c;
}

static void release(nrv_hybrid *h, nrv_canvas **c) {
    if (*c && --(*c)->users == 0) {
        (*c)->next = h->pool;
        h->pool = *c;
    }
    *c = NULL;
}

static void keep(nrv_hybrid *h, nrv_canvas **to, nrv_canvas *c) {
    if (c) c->users++;
    release(h, to);
    *to = c;
}

static void drop_group(nrv_hybrid *h) {
    for (int i = 0; i < 32; i++) release(h, &h->canvas[i]);
    for (int i = 0; i < 3; i++) release(h, &h->old[i]);
    h->frames = 0;
}

void nrv_hybrid_reset(nrv_decoder *d) {
    nrv_hybrid *h = d->hybrid;
    drop_group(h);
    release(h, &h->previous);
    release(h, &h->before);
    release(h, &h->key);
}

void nrv_hybrid_close(nrv_decoder *d) {
    nrv_hybrid *h = d->hybrid;
    nrv_hybrid_reset(d);
    while (h->pool) {
        nrv_canvas *c = h->pool;
        h->pool = c->next;
        nrv_free(&d->memory, c);
    }
    nrv_free(&d->memory, h->leaves);
    nrv_free(&d->memory, h->projected);
    nrv_free(&d->memory, h->modes);
    nrv_free(&d->memory, h->copy);
    for (int p = 0; p < 3; p++) {
        nrv_free(&d->memory, h->residual[p]);
        nrv_free(&d->memory, h->done[p]);
        nrv_free(&d->memory, h->filters[p].on);
    }
    nrv_free(&d->memory, h);
    d->hybrid = NULL;
}

/* One canvas (8.1); an interior one lies `before` frames after its reference 0, `after` before reference 1. */
static nrv_status rebuild(nrv_decoder *d, int frame, int set, nrv_canvas *r0, nrv_canvas *r1, int before, int after) {
    nrv_hybrid *h = d->hybrid;
    nrv_canvas *c = canvas_new(d, set);
    if (!c) return d->error.status;
    h->canvas[frame] = c;
    c->reference[0] = r0;
    c->reference[1] = r1;
    nrv_motion_syntax(d, c);
    if (set) {
        if (set == 2) nrv_project(d, r0, r1, before, after);
        nrv_motion_vectors(d, c);
    }
    nrv_status s = nrv_content_syntax(d, c);
    if (s) return s;
    nrv_intra_leaves(d, c);
    nrv_deblock(d, c);
    if (set < 2) nrv_adapt(d, c);
    return NRV_OK;
}

static nrv_status canvases(nrv_decoder *d, bool key) {
    nrv_hybrid *h = d->hybrid;
    int n = (int)d->frames;
    nrv_status s;
    if (key) return rebuild(d, 0, 0, NULL, NULL, 0, 0);
    nrv_canvas *second = h->second == 1 ? h->before : h->second == 2 ? h->key : NULL;
    keep(h, &h->old[0], h->previous);
    keep(h, &h->old[1], second);
    if ((s = rebuild(d, n - 1, 1, h->previous, second, 0, 0)) != NRV_OK) return s;
    if (d->chain_only) return NRV_OK;
    /* intervals (a, b), depth by depth, by ascending frame (7.2) */
    int8_t now[33][2] = {{-1, (int8_t)(n - 1)}}, then[33][2];
    for (int count = 1; count; ) {
        int next = 0;
        for (int i = 0; i < count; i++) {
            int a = now[i][0], b = now[i][1];
            if (b - a <= 1) continue;
            int m = (a + b) >> 1;
            if ((s = rebuild(d, m, 2, a < 0 ? h->previous : h->canvas[a], h->canvas[b], m - a, b - m)) != NRV_OK) return s;
            then[next][0] = (int8_t)a; then[next++][1] = (int8_t)m;
            then[next][0] = (int8_t)m; then[next++][1] = (int8_t)b;
        }
        count = next;
        memcpy(now, then, sizeof now);
    }
    return NRV_OK;
}

nrv_status nrv_hybrid_group(nrv_decoder *d, const nrv_parts *p) {
    nrv_hybrid *h = d->hybrid;
    bool key = d->flags & 1;
    nrv_status s = scratch(d);
    if (s) return s;
    drop_group(h);
    h->second = d->flags >> 1;
    h->frames = (int32_t)d->frames;
    if (!key && !h->previous) return nrv_fail(d, NRV_CORRUPT, "2.7", "a group has no group before it");
    if (key) nrv_hybrid_reset(d), h->since_key = 0;
    else if (h->second == 1 && h->since_key == 0)
        return nrv_fail(d, NRV_CORRUPT, "7.2", "a second reference lies before the key group");
    h->frames = (int32_t)d->frames;
    if (!h->network) {
        if (p->network_length) return nrv_fail(d, NRV_CORRUPT, "2.7", "the network substream is not empty");
    } else if ((s = nrv_fusion_group(d, p->network, p->network_length, key)) != NRV_OK) return s;
    if (!nrv_range_start(&h->motion, p->motion, p->motion_length) || !nrv_range_start(&h->content, p->content, p->content_length))
        return nrv_fail(d, NRV_CORRUPT, "3.2", "a range-coded run begins with FF FF FF FF");
    nrv_contexts_start(h->motion_contexts, NRV_MOTION_CONTEXTS, NRV_MOTION_CONTEXTS_COUNT);
    nrv_contexts_start(h->content_contexts, NRV_CONTENT_CONTEXTS, NRV_CONTENT_CONTEXTS_COUNT);
    if ((s = canvases(d, key)) != NRV_OK) return s;
    if (!d->chain_only && (!nrv_range_end(&h->motion) || !nrv_range_end(&h->content)))
        return nrv_fail(d, NRV_CORRUPT, "3.2", "a range-coded run does not end where its bytes do");
    nrv_canvas *left = h->canvas[d->frames - 1];
    if (key) keep(h, &h->key, left);
    else {
        h->since_key++;
        keep(h, &h->before, h->previous);
    }
    keep(h, &h->previous, left);
    return NRV_OK;
}
