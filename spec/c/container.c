/* container.c: signature, units and their order, HEAD, GRUP and FEND (2.1 to 2.4, 2.7, 2.9 to 2.11). */
#include "core.h"

const int16_t NRV_S6[6] = {40, 45, 51, 57, 64, 72};

enum { START, HEAD, DESCRIPTION, METADATA, HDR, CHAPTERS, TRACKS, GROUPS, INDEX, END };

nrv_status nrv_fail(nrv_decoder *d, nrv_status status, const char *clause, const char *sentence) {
    d->error.status = status;
    d->error.clause = clause;
    d->error.sentence = sentence;
    d->error.offset = d->unit_offset;
    return status;
}

void *nrv_new_as_is(nrv_decoder *d, uint64_t size) {
    nrv_status why = NRV_OK;
    void *p = nrv_alloc_as_is(&d->memory, size, &why);
    if (!p) nrv_fail(d, why, why == NRV_OVER_LIMIT ? "2.10" : "", "memory for decoding");
    return p;
}

void *nrv_new(nrv_decoder *d, uint64_t size) {
    void *p = nrv_new_as_is(d, size);
    if (p) memset(p, 0, (size_t)size);
    return p;
}

/* ---- fields of payloads (1.2, 1.3) ---- */

uint32_t nrv_u8(nrv_bytes *b) {
    if (b->at == b->end) { b->bad = true; return 0; }
    return *b->at++;
}
uint32_t nrv_u16(nrv_bytes *b) { uint32_t v = nrv_u8(b); return v | nrv_u8(b) << 8; }
uint32_t nrv_u32(nrv_bytes *b) { uint32_t v = nrv_u16(b); return v | nrv_u16(b) << 16; }
uint64_t nrv_u64(nrv_bytes *b) { uint64_t v = nrv_u32(b); return v | (uint64_t)nrv_u32(b) << 32; }

uint64_t nrv_uv(nrv_bytes *b) {
    uint64_t v = 0;
    for (int i = 0; i < 10; i++) {
        uint32_t c = nrv_u8(b);
        if (i == 9 && c > 1) break;
        v |= (uint64_t)(c & 127) << (7 * i);
        if (c < 128) {
            if (c == 0 && i > 0) break;
            return v;
        }
    }
    b->bad = true;
    return 0;
}

int64_t nrv_sv(nrv_bytes *b) {
    uint64_t u = nrv_uv(b);
    return u & 1 ? -(int64_t)(u >> 1) - 1 : (int64_t)(u >> 1);
}

nrv_string nrv_take(nrv_bytes *b, uint64_t length) {
    nrv_string s = {b->at, 0};
    if (length > (uint64_t)(b->end - b->at)) { b->bad = true; return s; }
    s.length = (uint32_t)length;
    b->at += s.length;
    return s;
}

/* ---- units (2.2) ---- */

/* Reads exactly size bytes, else *truncated*. */
nrv_status nrv_read(nrv_decoder *d, uint8_t *dst, uint32_t size) {
    while (size) {
        int32_t n = d->input.read(d->input.user, dst, size);
        if (n < 0 || (uint32_t)n > size) return nrv_fail(d, NRV_INPUT, "", "the input cannot be read");
        if (n == 0) return nrv_fail(d, NRV_TRUNCATED, "2.10", "the input ends before FEND is complete");
        dst += n;
        size -= (uint32_t)n;
        d->position += (uint64_t)n;
    }
    return NRV_OK;
}

bool nrv_is(const uint8_t *type, const char *name) { return memcmp(type, name, 4) == 0; }

static bool known(const uint8_t *t) {
    static const char names[][5] = {"HEAD", "SIRN", "HYBR", "NIRV", "mETa", "hDRm", "cHAP", "aTRK", "aPKt", "GRUP", "iNDX", "FEND"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (nrv_is(t, names[i])) return true;
    return false;
}

/* The payload grows as its bytes arrive: a length alone allocates little. */
static nrv_status read_payload(nrv_decoder *d, uint32_t length) {
    uint32_t done = 0;
    while (done < length) {
        uint32_t want = d->payload_room > done ? d->payload_room : done < 65536 ? 65536 : 2 * done;
        if (want > length) want = length;
        if (want > d->payload_room) {
            uint8_t *p = nrv_new(d, want);
            if (!p) return d->error.status;
            if (done) memcpy(p, d->payload, done);
            nrv_free(&d->memory, d->payload);
            d->payload = p;
            d->payload_room = want;
        }
        nrv_status s = nrv_read(d, d->payload + done, want - done);
        if (s) return s;
        done = want;
    }
    d->payload_length = length;
    return NRV_OK;
}

/* Reads a unit and judges it up to its crc, letters and name. */
nrv_status nrv_unit(nrv_decoder *d) {
    uint8_t head[8], tail[4];
    nrv_status s;
    d->unit_offset = d->position;
    d->framed = false;
    if ((s = nrv_read(d, head, 8)) != NRV_OK) return s;
    for (int i = 0; i < 4; i++)
        if ((uint8_t)((head[i] | 32) - 'a') > 25) return nrv_fail(d, NRV_CORRUPT, "2.2", "a unit type is not four letters");
    memcpy(d->type, head, 4);
    if (d->stage == START && !nrv_is(head, "HEAD")) return nrv_fail(d, NRV_CORRUPT, "2.3", "the first unit is not HEAD");
    uint32_t length = (uint32_t)head[4] | (uint32_t)head[5] << 8 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 24;
    if (length > d->max_unit) return nrv_fail(d, NRV_OVER_LIMIT, "2.2", "a unit is longer than the level or the reader allows");
    if ((s = read_payload(d, length)) != NRV_OK) return s;
    if ((s = nrv_read(d, tail, 4)) != NRV_OK) return s;
    d->framed = true;
    uint32_t crc = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 | (uint32_t)tail[3] << 24;
    if (nrv_crc32(nrv_crc32(0, head, 4), d->payload, length) != crc)
        return nrv_fail(d, NRV_CORRUPT, "2.2", "the crc of a unit does not match");
    if (head[2] & 32) return nrv_fail(d, NRV_UNSUPPORTED, "2.2", "a unit type has its reserved bit set");
    if (!known(head) && !(head[0] & 32)) return nrv_fail(d, NRV_UNSUPPORTED, "2.2", "a critical unit is unknown");
    return NRV_OK;
}

static nrv_status misplaced(nrv_decoder *d) { return nrv_fail(d, NRV_CORRUPT, "2.3", "units stand in a wrong order"); }

/* ---- HEAD (2.4, 2.11) ---- */

static nrv_status head(nrv_decoder *d) {
#define RULE(ok, status, sentence) do { if (!(ok)) return nrv_fail(d, status, "2.4", sentence); } while (0)
    nrv_info *i = &d->info;
    RULE(d->payload_length == 48, NRV_CORRUPT, "HEAD is not 48 bytes long");
    nrv_bytes b = {d->payload, d->payload + 48, false};
    i->format_version = (uint16_t)nrv_u16(&b);
    i->min_reader_version = (uint16_t)nrv_u16(&b);
    RULE(i->min_reader_version <= i->format_version, NRV_CORRUPT, "min_reader_version is above format_version");
    RULE(i->min_reader_version == 0, NRV_UNSUPPORTED, "the file needs a later version");
    i->level = (uint8_t)nrv_u8(&b);
    RULE(i->level >= 1 && i->level <= 5, NRV_UNSUPPORTED, "the level is unknown");
    i->model = (uint8_t)nrv_u8(&b);
    RULE(i->model >= 1 && i->model <= 3, NRV_UNSUPPORTED, "the model is unknown");
    i->chroma_format = (uint8_t)nrv_u8(&b);
    RULE(i->chroma_format <= 3, NRV_CORRUPT, "chroma_format is out of range");
    i->bit_depth = (uint8_t)nrv_u8(&b);
    RULE(i->bit_depth == 8 || i->bit_depth == 10 || i->bit_depth == 12, NRV_CORRUPT, "bit_depth is not 8, 10 or 12");
    RULE(nrv_u32(&b) == 0, NRV_UNSUPPORTED, "the file needs an unknown tool");
    i->width = (uint16_t)nrv_u16(&b);
    RULE(i->width, NRV_CORRUPT, "the width is 0");
    i->height = (uint16_t)nrv_u16(&b);
    RULE(i->height, NRV_CORRUPT, "the height is 0");
    i->frame_rate_num = nrv_u32(&b);
    i->frame_rate_den = nrv_u32(&b);
    RULE(!i->frame_rate_num == !i->frame_rate_den, NRV_CORRUPT, "the frame rate is half 0");
    i->time_base_num = nrv_u32(&b);
    i->time_base_den = nrv_u32(&b);
    RULE(i->time_base_num && i->time_base_den, NRV_CORRUPT, "the time base is 0");
    i->sar_num = (uint16_t)nrv_u16(&b);
    i->sar_den = (uint16_t)nrv_u16(&b);
    RULE(!i->sar_num == !i->sar_den, NRV_CORRUPT, "the sample aspect ratio is half 0");
    i->colour_primaries = (uint8_t)nrv_u8(&b);
    i->transfer = (uint8_t)nrv_u8(&b);
    i->matrix = (uint8_t)nrv_u8(&b);
    i->full_range = (uint8_t)nrv_u8(&b);
    RULE(i->full_range <= 2, NRV_CORRUPT, "full_range is out of range");
    i->chroma_location = (uint8_t)nrv_u8(&b);
    RULE(i->chroma_location <= 5 || i->chroma_location == 255, NRV_CORRUPT, "chroma_location is out of range");
    for (int k = 0; k < 3; k++) RULE(nrv_u8(&b) == 0, NRV_CORRUPT, "a reserved byte of HEAD is not 0");
    i->frame_count = nrv_u32(&b);
    RULE(i->frame_count, NRV_CORRUPT, "frame_count is 0");

    i->sub_x = i->chroma_format == 1 || i->chroma_format == 2 ? 2 : 1;
    i->sub_y = i->chroma_format == 1 ? 2 : 1;
    i->planes = i->chroma_format ? 3 : 1;
    i->chroma_width = (uint16_t)nrv_ceil_div(i->width, i->sub_x);
    i->chroma_height = (uint16_t)nrv_ceil_div(i->height, i->sub_y);

    static const uint8_t luma_log2[6] = {0, 18, 20, 22, 24, 27}, unit_log2[6] = {0, 22, 23, 24, 25, 27};
    uint64_t samples = (uint64_t)i->width * i->height, most = (uint64_t)1 << luma_log2[i->level];
    if (i->chroma_format == 2) samples = (4 * samples + 2) / 3;
    if (i->chroma_format == 3) samples = 2 * samples;
    if (d->limits.luma_samples && d->limits.luma_samples < most) most = d->limits.luma_samples;
    if (samples > most) return nrv_fail(d, NRV_OVER_LIMIT, "2.11", "a frame has more samples than the level or the reader allows");
    d->max_unit = 1u << unit_log2[i->level];
    if (d->limits.unit_length && d->limits.unit_length < d->max_unit) d->max_unit = d->limits.unit_length;
    return NRV_OK;
#undef RULE
}

void nrv_plane_size(const nrv_info *info, int plane, uint32_t width, uint32_t height, uint32_t *w, uint32_t *h) {
    *w = plane ? nrv_ceil_div(width, info->sub_x) : width;
    *h = plane ? nrv_ceil_div(height, info->sub_y) : height;
}

/* ---- GRUP (2.7) ---- */

nrv_status nrv_group_unit(nrv_decoder *d) {
#define RULE(ok, sentence) do { if (!(ok)) return nrv_fail(d, NRV_CORRUPT, "2.7", sentence); } while (0)
    nrv_bytes b = {d->payload, d->payload + d->payload_length, false};
    uint32_t model = d->info.model;
    uint32_t flags = nrv_u8(&b);
    bool key = flags & 1;
    RULE(!b.bad && flags < 8 && (flags >> 1) <= 2, "flags of a group are out of range");
    RULE(flags >> 1 == 0 || (model == 2 && !key), "a group has a second reference that cannot have one");
    uint64_t frames = nrv_uv(&b);
    RULE(!b.bad && frames >= 1 && frames <= d->info.group_frames, "frame_count of a group is out of range");
    RULE(!(model == 2 && key) || frames == 1, "a key group of model 2 has more than one frame");
    uint64_t first = nrv_uv(&b);
    RULE(!b.bad && first + frames <= 0xFFFFFFFEu && first <= 0xFFFFFFFEu, "the video has too many frames");
    RULE(d->jumped || first == d->frames_read, "first_frame is not the sum of all earlier frames");
    uint32_t crc = nrv_u32(&b);
    int64_t pts = nrv_sv(&b);
    RULE(!b.bad, "a group is shorter than its fields");
    RULE(!d->have_group || pts > d->last_pts, "first_pts is not after the frame before");
    uint32_t done = 0;
    uint64_t before = 0, total = 0;
    uint32_t durations[32];
    uint64_t starts[32];
    while (done < frames) {
        uint64_t duration = nrv_uv(&b), run = nrv_uv(&b);
        RULE(!b.bad && duration >= 1 && duration <= 0xFFFFFFFFu && duration != before, "a duration is out of range");
        RULE(run >= 1 && run <= frames - done, "a run of durations is out of range");
        before = duration;
        for (; run; run--) {
            durations[done] = (uint32_t)duration;
            starts[done++] = total;
            total += duration;
        }
    }
    RULE(pts <= 0 || (uint64_t)pts + total <= (uint64_t)INT64_MAX, "presentation times exceed 2^63 - 1");
    uint64_t tables = nrv_uv(&b), content = nrv_uv(&b), motion = nrv_uv(&b);
    RULE(!b.bad, "a group is shorter than its fields");
    RULE(model == 1 || tables == 0, "tables_length is not 0");
    RULE(model != 1 || (content == 0 && motion == 0), "content_length or motion_length is not 0");
    RULE(model != 3 || !key || motion == 0, "motion_length of a key group is not 0");
    uint64_t left = (uint64_t)(b.end - b.at);
    RULE(tables <= left && content <= left - tables && motion <= left - tables - content, "substreams are longer than the group");
    RULE(first + frames <= d->info.frame_count || d->info.frame_count == 0xFFFFFFFFu, "a group exceeds frame_count of HEAD");
    RULE(key || d->group_number || d->jumped, "the first group is not a key group");

    nrv_parts p;
    p.tables = b.at;
    p.tables_length = (size_t)tables;
    p.content = p.tables + tables;
    p.content_length = (size_t)content;
    p.motion = p.content + content;
    p.motion_length = (size_t)motion;
    p.network = p.motion + motion;
    p.network_length = (size_t)(left - tables - content - motion);

    d->flags = (uint8_t)flags;
    d->frames = (uint32_t)frames;
    d->first_frame = (uint32_t)first;
    d->crc = crc;
    d->first_pts = pts;
    for (uint32_t i = 0; i < done; i++) {
        d->duration[i] = durations[i];
        d->pts[i] = pts + (int64_t)starts[i];
    }
    nrv_status s;
    d->has_current = false;
    d->next_in_group = d->frames;  /* nothing to deliver until the group is whole */
    if (model == 2) s = nrv_hybrid_group(d, &p);
    else if (model == 3) s = nrv_nirvana_group(d, &p);
    else s = nrv_sine_group(d, &p);
    if (s) return s;
    if ((s = nrv_note_group(d, key)) != NRV_OK) return s;
    d->next_in_group = 0;
    d->checked = 0;
    d->check_crc = 0;
    d->last_pts = d->pts[frames - 1];
    d->have_group = true;
    d->frames_read = d->first_frame + d->frames;
    d->group_number++;
    return NRV_OK;
#undef RULE
}

/* ---- FEND (2.9) ---- */

static nrv_status fend(nrv_decoder *d) {
    if (d->payload_length != 28) return nrv_fail(d, NRV_CORRUPT, "2.9", "FEND is not 28 bytes long");
    nrv_bytes b = {d->payload, d->payload + 28, false};
    uint32_t count = nrv_u32(&b);
    if (count != d->frames_read || (d->info.frame_count != 0xFFFFFFFFu && count != d->info.frame_count))
        return nrv_fail(d, NRV_CORRUPT, "2.9", "frame_count of FEND is not that of the groups");
    nrv_string digest = nrv_take(&b, 16);
    uint64_t index = nrv_u64(&b);
    if (!d->jumped) {
        uint8_t own[16];
        nrv_md5 m = d->crcs;
        nrv_md5_end(&m, own);
        if (memcmp(own, digest.bytes, 16) != 0) return nrv_fail(d, NRV_CORRUPT, "2.9", "md5 of FEND is not that of the groups");
    }
    if (index != d->index_at) return nrv_fail(d, NRV_CORRUPT, "2.9", "index_offset of FEND is wrong");
    uint8_t more;
    int32_t n = d->input.read(d->input.user, &more, 1);
    if (n < 0) return nrv_fail(d, NRV_INPUT, "", "the input cannot be read");
    if (n > 0) return nrv_fail(d, NRV_CORRUPT, "2.3", "something stands after FEND");
    return NRV_OK;
}

/* ---- order (2.3) ---- */

static nrv_status take(nrv_decoder *d) {
    const uint8_t *t = d->type;
    nrv_status s = NRV_OK;
    int stage = d->stage;
    if (nrv_is(t, "HEAD")) {
        if (stage != START) return misplaced(d);
        if ((s = head(d)) == NRV_OK) d->stage = HEAD;
        return s;
    }
    if (stage == END) return misplaced(d);
    if (nrv_is(t, "SIRN") || nrv_is(t, "HYBR") || nrv_is(t, "NIRV")) {
        static const char names[4][5] = {"", "SIRN", "HYBR", "NIRV"};
        if (stage != HEAD || !nrv_is(t, names[d->info.model])) return misplaced(d);
        static const uint8_t length[4] = {0, 7, 3, 4};
        static const char *const clause[4] = {"", "4.1", "7.1", "11.1"};
        if (d->payload_length != length[d->info.model])
            return nrv_fail(d, NRV_CORRUPT, clause[d->info.model], "the description has not the length of its fields");
        if (d->info.model == 1) s = nrv_sine_open(d, d->payload);
        else if (d->info.model == 2) s = nrv_hybrid_open(d, d->payload);
        else s = nrv_nirvana_open(d, d->payload);
        if (s == NRV_OK) d->stage = DESCRIPTION;
        return s;
    }
    if (!known(t)) return NRV_OK;
    if (stage < DESCRIPTION) return misplaced(d);
    static const struct { char name[5]; uint8_t last, stage; } side[] = {
        {"mETa", METADATA, METADATA}, {"hDRm", METADATA, HDR}, {"cHAP", HDR, CHAPTERS},
        {"aTRK", TRACKS, TRACKS}, {"aPKt", GROUPS, GROUPS}};
    for (unsigned i = 0; i < sizeof side / sizeof *side; i++)
        if (nrv_is(t, side[i].name)) {
            if (stage > side[i].last) return misplaced(d);
            d->stage = side[i].stage;
            return nrv_side_unit(d);
        }
    if (nrv_is(t, "GRUP")) {
        if (stage > GROUPS) return misplaced(d);
        d->stage = GROUPS;
        return nrv_group_unit(d);
    }
    if (stage < GROUPS || (d->group_number == 0 && !d->jumped)) return misplaced(d);
    if (nrv_is(t, "iNDX")) {
        if (stage > GROUPS) return misplaced(d);
        d->stage = INDEX;
        d->index_at = d->unit_offset;
        return nrv_judge_index(d);
    }
    if ((s = fend(d)) == NRV_OK) {
        d->stage = END;
        d->at_end = true;
    }
    return s;
}

static bool before_groups(const uint8_t *t) {
    return !(nrv_is(t, "GRUP") || nrv_is(t, "aPKt") || nrv_is(t, "iNDX") || nrv_is(t, "FEND"));
}

/* ---- the decoder object ---- */

nrv_status nrv_open(nrv_decoder **out, const nrv_allocator *allocator, const nrv_input *input,
                    const nrv_limits *limits, nrv_error *error) {
    static const uint8_t signature[8] = {0x89, 0x4E, 0x52, 0x56, 0x0D, 0x0A, 0x1A, 0x0A};
    nrv_memory m = {*allocator, 0, limits ? limits->memory : 0};
    nrv_status s = NRV_OK;
    *out = NULL;
    nrv_decoder *d = nrv_alloc(&m, sizeof *d, &s);
    if (!d) {
        *error = (nrv_error){s, "", "memory for the decoder", 0};
        return s;
    }
    d->memory = m;
    d->input = *input;
    if (limits) d->limits = *limits;
    d->max_unit = 4096;
    d->error.clause = d->error.sentence = "";
    nrv_md5_start(&d->crcs);
    uint8_t first[8];
    for (int i = 0; s == NRV_OK && i < 8; i++) {
        s = nrv_read(d, first + i, 1);
        if (s == NRV_OK && first[i] != signature[i]) s = nrv_fail(d, NRV_CORRUPT, "2.1", "this is no .nrv file");
    }
    while (s == NRV_OK && d->stage < DESCRIPTION)
        if ((s = nrv_unit(d)) == NRV_OK) s = take(d);
    if (s) {
        *error = d->error;
        nrv_close(d);
        return s;
    }
    /* An error from here on is reported by nrv_next_frame(). */
    while (!d->pending && nrv_unit(d) == NRV_OK) {
        if (!before_groups(d->type)) d->pending = true;
        else if (take(d) != NRV_OK) break;
    }
    *error = d->error;
    *out = d;
    return NRV_OK;
}

void nrv_close(nrv_decoder *d) {
    if (!d) return;
    if (d->hybrid) nrv_hybrid_close(d);
    if (d->nirvana) nrv_nirvana_close(d);
    if (d->sine) nrv_sine_close(d);
    nrv_index_close(d);
    nrv_free(&d->memory, d->payload);
    nrv_free(&d->memory, d->hdr.bytes);
    nrv_free(&d->memory, d->chapters.bytes);
    for (uint32_t i = 0; i < d->track_count; i++) nrv_free(&d->memory, d->tracks[i].bytes);
    for (uint32_t i = 0; i < d->metadata_count; i++) nrv_free(&d->memory, d->metadata[i].bytes);
    nrv_memory m = d->memory;
    nrv_free(&m, d);
}

const nrv_info *nrv_get_info(const nrv_decoder *d) { return &d->info; }
const nrv_error *nrv_get_error(const nrv_decoder *d) { return &d->error; }

/* After damage nothing is delivered until the next key group (2.10). */
static bool skip_group(const nrv_decoder *d) {
    return d->resync && nrv_is(d->type, "GRUP") && !(d->payload_length && (d->payload[0] & 1));
}

nrv_status nrv_advance(nrv_decoder *d) {
    while (d->next_in_group >= d->frames && !d->at_end) {
        if (d->error.status) return d->error.status;
        if (!d->pending && nrv_unit(d) != NRV_OK) return d->error.status;
        d->pending = false;
        if (skip_group(d)) continue;
        if (take(d) != NRV_OK) return d->error.status;
        if (d->frames_read && d->next_in_group == 0 && d->frames) d->resync = false;
    }
    return NRV_OK;
}

nrv_status nrv_next_frame(nrv_decoder *d, nrv_frame *out) {
    nrv_status s = nrv_advance(d);
    if (s) return s;
    if (d->next_in_group >= d->frames) return NRV_END;
    uint32_t k = d->next_in_group++;
    d->current = k;
    d->has_current = true;
    out->index = d->first_frame + k;
    out->pts = d->pts[k];
    out->duration = d->duration[k];
    out->group = d->group_number - 1;
    out->group_first = d->first_frame;
    out->group_frames = d->frames;
    out->in_group = k;
    out->key_group = d->flags & 1;
    return NRV_OK;
}

nrv_status nrv_resync(nrv_decoder *d) {
    if (d->error.status == NRV_OK) return NRV_OK;
    if (!d->framed || d->at_end || d->error.status == NRV_INPUT || d->error.status == NRV_NO_MEMORY) return d->error.status;
    d->error.status = NRV_OK;
    d->next_in_group = d->frames = 0;
    d->has_current = false;
    d->jumped = d->resync = true;
    d->have_group = false;
    return NRV_OK;
}

void nrv_jump(nrv_decoder *d, uint64_t offset, uint32_t group) {
    d->position = offset;
    d->pending = d->at_end = d->resync = d->has_current = d->have_group = false;
    d->jumped = true;
    d->stage = GROUPS;
    d->next_in_group = d->frames = 0;
    d->group_number = group;
    d->error.status = NRV_OK;
    d->index_at = 0;
}

nrv_status nrv_check_frame(nrv_decoder *d, const nrv_picture *picture) {
    if (!d->has_current || d->checked != d->current) return NRV_OK;
    for (int p = 0; p < d->info.planes; p++) {
        uint32_t w, h;
        nrv_plane_size(&d->info, p, d->info.width, d->info.height, &w, &h);
        for (uint32_t y = 0; y < h; y++) {
            const uint8_t *row = (const uint8_t *)picture->plane[p] + y * picture->stride[p];
            d->check_crc = nrv_crc32(d->check_crc, row, d->info.bit_depth == 8 ? w : 2 * (size_t)w);
        }
    }
    d->checked++;
    if (d->checked == d->frames && d->check_crc != d->crc) {
        return nrv_fail(d, NRV_MISMATCH, "2.10", "rendered samples do not match the crc of their group");
    }
    return NRV_OK;
}

nrv_status nrv_workspace_new(nrv_decoder *d, nrv_workspace **out) {
    *out = NULL;
    nrv_status s = NRV_OK;
    nrv_workspace *w = nrv_alloc(&d->memory, sizeof *w, &s);
    if (!w) return s;
    w->memory = &d->memory;
    if (d->info.model == 2) s = nrv_hybrid_workspace(d, w);
    else if (d->info.model == 3) s = nrv_nirvana_workspace(d, w);
    else s = nrv_sine_workspace(d, w);
    if (s) {
        nrv_free(&d->memory, w);
        return s;
    }
    *out = w;
    return NRV_OK;
}

void nrv_workspace_free(nrv_workspace *w) {
    if (!w) return;
    nrv_memory *m = w->memory;
    nrv_free(m, w->block);
    nrv_free(m, w);
}

nrv_status nrv_render_rows(const nrv_decoder *d, nrv_workspace *w, const nrv_picture *dst,
                           uint32_t row0, uint32_t row1, unsigned flags) {
    if (!d->has_current || row1 > d->info.height || row0 > row1 || row0 % d->info.sub_y ||
        (row1 % d->info.sub_y && row1 != d->info.height))
        return NRV_REFUSED;
    if (row0 == row1) return NRV_OK;
    if (d->info.model == 2) nrv_hybrid_render(d, w, dst, (int)row0, (int)row1, flags);
    else if (d->info.model == 3) nrv_nirvana_render(d, w, dst, (int)row0, (int)row1, flags);
    else nrv_sine_render(d, w, dst, (int)row0, (int)row1);
    return NRV_OK;
}
