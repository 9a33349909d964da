/* index.c: the table of groups, iNDX (2.8), and seeking. */
#include "core.h"

/* Groups as they are read in order, to be compared with iNDX. */
nrv_status nrv_note_group(nrv_decoder *d, bool key) {
    uint8_t crc[4] = {(uint8_t)d->crc, (uint8_t)(d->crc >> 8), (uint8_t)(d->crc >> 16), (uint8_t)(d->crc >> 24)};
    if (d->jumped) return NRV_OK;
    if (d->groups_read == d->group_room) {
        uint32_t room = d->group_room ? 2 * d->group_room : 256;
        nrv_group *g = nrv_new(d, (uint64_t)room * sizeof *g);
        if (!g) return d->error.status;
        if (d->groups_read) memcpy(g, d->groups, d->groups_read * sizeof *g);
        nrv_free(&d->memory, d->groups);
        d->groups = g;
        d->group_room = room;
    }
    d->groups[d->groups_read++] = (nrv_group){d->unit_offset, d->first_pts, d->first_frame, key};
    nrv_md5_add(&d->crcs, crc, 4);
    return NRV_OK;
}

typedef struct entries {
    nrv_bytes b;
    uint64_t count, done;
    nrv_group last;
} entries;

static void entries_start(entries *e, const uint8_t *bytes, uint32_t length) {
    e->b = (nrv_bytes){bytes, bytes + length, false};
    e->count = nrv_uv(&e->b);
    e->done = 0;
    e->last = (nrv_group){0, 0, 0, false};
}

static bool entries_next(entries *e) {
    uint64_t distance = nrv_uv(&e->b), frames = nrv_uv(&e->b);
    uint64_t ticks = e->done ? nrv_uv(&e->b) : (uint64_t)nrv_sv(&e->b);
    uint64_t first = e->last.first_frame + (frames >> 1);
    if (e->b.bad || distance > UINT64_MAX - e->last.offset || first > 0xFFFFFFFEu) return false;
    e->last.offset += distance;
    e->last.first_frame = (uint32_t)first;
    e->last.key = frames & 1;
    e->last.first_pts = (int64_t)((uint64_t)e->last.first_pts + ticks);
    e->done++;
    return true;
}

nrv_status nrv_judge_index(nrv_decoder *d) {
    if (d->jumped) return NRV_OK;
    entries e;
    entries_start(&e, d->payload, d->payload_length);
    bool ok = !e.b.bad && e.count == d->groups_read;
    for (uint32_t i = 0; ok && i < d->groups_read; i++) {
        const nrv_group *g = &d->groups[i];
        ok = entries_next(&e) && e.last.offset == g->offset && e.last.first_frame == g->first_frame &&
             e.last.key == g->key && e.last.first_pts == g->first_pts;
    }
    if (!ok || e.b.at != e.b.end) return nrv_fail(d, NRV_CORRUPT, "2.8", "the index is not that of the groups");
    return NRV_OK;
}

void nrv_index_close(nrv_decoder *d) {
    nrv_free(&d->memory, d->groups);
    nrv_free(&d->memory, d->table);
}

static bool fetch(nrv_decoder *d, uint64_t offset, uint8_t *dst, uint32_t size) {
    if (d->input.seek(d->input.user, offset)) return false;
    while (size) {
        int32_t n = d->input.read(d->input.user, dst, size);
        if (n <= 0 || (uint32_t)n > size) return false;
        dst += n;
        size -= (uint32_t)n;
    }
    return true;
}

static uint32_t le32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

/* By FEND and iNDX at the end of the file. */
static bool table_by_index(nrv_decoder *d) {
    uint8_t fend[40], head[8], tail[4];
    if (d->input.size < 48 || !fetch(d, d->input.size - 40, fend, 40)) return false;
    if (!nrv_is(fend, "FEND") || le32(fend + 4) != 28) return false;
    if (nrv_crc32(nrv_crc32(0, fend, 4), fend + 8, 28) != le32(fend + 36)) return false;
    uint64_t at = le32(fend + 28) | (uint64_t)le32(fend + 32) << 32;
    if (at == 0 || at > d->input.size || !fetch(d, at, head, 8) || !nrv_is(head, "iNDX")) return false;
    uint32_t length = le32(head + 4);
    if (length > d->max_unit || length > d->input.size - at) return false;
    nrv_status why = NRV_OK;
    uint8_t *p = nrv_alloc(&d->memory, length, &why);
    bool ok = p && fetch(d, at + 8, p, length) && fetch(d, at + 8 + length, tail, 4) &&
              nrv_crc32(nrv_crc32(0, head, 4), p, length) == le32(tail);
    if (ok) {
        entries e;
        entries_start(&e, p, length);
        ok = !e.b.bad && e.count >= 1 && e.count <= length / 3;
        nrv_group *t = ok ? nrv_alloc(&d->memory, e.count * sizeof *t, &why) : NULL;
        ok = t != NULL;
        for (uint32_t i = 0; ok && i < e.count; i++) {
            ok = entries_next(&e) && (i == 0 ? e.last.key && e.last.first_frame == 0
                                             : e.last.first_frame > t[i - 1].first_frame && e.last.offset > t[i - 1].offset);
            t[i] = e.last;
        }
        if (ok && e.b.at == e.b.end) {
            d->table = t;
            d->table_count = (uint32_t)e.count;
        } else {
            nrv_free(&d->memory, t);
            ok = false;
        }
    }
    nrv_free(&d->memory, p);
    return ok;
}

/* By the heads of all units. Ends at whatever is no unit. */
static bool table_by_scan(nrv_decoder *d) {
    uint64_t at = 8;
    uint32_t room = 0, count = 0;
    nrv_group *t = NULL;
    nrv_status why = NRV_OK;
    uint8_t head[8], some[64];
    while (fetch(d, at, head, 8)) {
        uint32_t length = le32(head + 4);
        bool letters = true;
        for (int i = 0; i < 4; i++) letters = letters && (uint8_t)((head[i] | 32) - 'a') <= 25;
        if (!letters || length > (d->max_unit > 4096 ? d->max_unit : 4096)) break;
        if (nrv_is(head, "FEND")) break;
        if (nrv_is(head, "GRUP")) {
            uint32_t n = length < 64 ? length : 64;
            if (!fetch(d, at + 8, some, n)) break;
            nrv_bytes b = {some, some + n, false};
            uint32_t flags = nrv_u8(&b);
            nrv_uv(&b);
            uint64_t first = nrv_uv(&b);
            nrv_u32(&b);
            int64_t pts = nrv_sv(&b);
            if (!b.bad && first <= 0xFFFFFFFEu && (count == 0 ? first == 0 : first > t[count - 1].first_frame)) {
                if (count == room) {
                    uint32_t more = room ? 2 * room : 256;
                    nrv_group *g = nrv_alloc(&d->memory, (uint64_t)more * sizeof *g, &why);
                    if (!g) break;
                    if (count) memcpy(g, t, count * sizeof *g);
                    nrv_free(&d->memory, t);
                    t = g;
                    room = more;
                }
                t[count++] = (nrv_group){at, pts, (uint32_t)first, flags & 1};
            }
        }
        at += 12 + (uint64_t)length;
    }
    d->table = t;
    d->table_count = count;
    return count > 0;
}

/* Leaves the input where reading goes on. */
static nrv_status make_table(nrv_decoder *d, bool scan) {
    if (!d->input.seek) return NRV_REFUSED;
    nrv_free(&d->memory, d->table);
    d->table = NULL;
    d->table_count = 0;
    bool ok = (!scan && table_by_index(d)) || table_by_scan(d);
    if (d->input.seek(d->input.user, d->position)) return nrv_fail(d, NRV_INPUT, "", "the input cannot be moved");
    return ok ? NRV_OK : NRV_REFUSED;
}

nrv_status nrv_get_groups(nrv_decoder *d, const nrv_group **out, uint32_t *count) {
    if (!d->table) {
        nrv_status s = make_table(d, false);
        if (s) return s;
    }
    *out = d->table;
    *count = d->table_count;
    return NRV_OK;
}

static nrv_status seek(nrv_decoder *d, uint32_t frame, bool key) {
    uint32_t g = 0, k;
    while (g + 1 < d->table_count && d->table[g + 1].first_frame <= frame) g++;
    for (k = g; k && !d->table[k].key; k--) { }
    if (key) g = k;
    nrv_jump(d, d->table[k].offset, k);
    if (d->input.seek(d->input.user, d->position)) return nrv_fail(d, NRV_CORRUPT, "2.8", "the index points outside the file");
    if (d->hybrid) nrv_hybrid_reset(d);
    for (; k <= g; k++) {
        /* groups on the way need their references alone (7.3) */
        d->chain_only = k < g;
        d->next_in_group = d->frames;
        nrv_status s = nrv_advance(d);
        d->chain_only = false;
        if (s) return s;
        if (d->at_end || d->first_frame != d->table[k].first_frame || (bool)(d->flags & 1) != d->table[k].key) {
            d->next_in_group = d->frames;  /* not to be delivered: it may lack its interior canvases */
            return nrv_fail(d, NRV_CORRUPT, "2.8", "the index is not that of the groups");
        }
    }
    if (key) return NRV_OK;
    if (frame - d->first_frame >= d->frames) return NRV_REFUSED;
    d->next_in_group = frame - d->first_frame;
    return NRV_OK;
}

static nrv_status seek_any(nrv_decoder *d, uint32_t frame, bool key) {
    bool fresh = !d->table;
    if (fresh) {
        nrv_status s = make_table(d, false);
        if (s) return s;
    }
    nrv_status s = seek(d, frame, key);
    if (s == NRV_OK || s == NRV_REFUSED) return s;
    /* a damaged index: once more by a scan (2.8) */
    nrv_status again = make_table(d, true);
    return again ? s : seek(d, frame, key);
}

nrv_status nrv_seek_frame(nrv_decoder *d, uint32_t frame) { return seek_any(d, frame, false); }
nrv_status nrv_seek_key(nrv_decoder *d, uint32_t frame) { return seek_any(d, frame, true); }
