/* units.c: what stands beside the video: mETa, hDRm, cHAP, aTRK, aPKt (2.6, 2.12 to 2.15). */
#include "core.h"

#define MAX_SIDE (1u << 18)

bool nrv_utf8(nrv_string s) {
    const uint8_t *p = s.bytes, *end = p + s.length;
    while (p < end) {
        uint32_t c = *p++;
        if (c < 0x80) continue;
        int n = c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : 0;
        if (!n || end - p < n) return false;
        uint32_t lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        for (; n; n--, p++, lo = 0x80, hi = 0xBF)
            if (*p < lo || *p > hi) return false;
    }
    return true;
}

static bool printable(nrv_string s) {
    for (uint32_t i = 0; i < s.length; i++)
        if (s.bytes[i] < 33 || s.bytes[i] > 126) return false;
    return true;
}

static nrv_status keep(nrv_decoder *d, nrv_blob *to) {
    to->bytes = nrv_new(d, d->payload_length);
    if (!to->bytes) return d->error.status;
    if (d->payload_length) memcpy(to->bytes, d->payload, d->payload_length);
    to->length = d->payload_length;
    return NRV_OK;
}

static bool read_hdr(nrv_blob blob, nrv_hdr *h) {
    if (blob.length != 29) return false;
    nrv_bytes b = {blob.bytes, blob.bytes + blob.length, false};
    h->flags = (uint8_t)nrv_u8(&b);
    uint32_t any = 0;
    for (int i = 0; i < 6; i++) any |= h->primaries[i] = (uint16_t)nrv_u16(&b);
    for (int i = 0; i < 2; i++) any |= h->white_point[i] = (uint16_t)nrv_u16(&b);
    h->max_luminance = nrv_u32(&b);
    h->min_luminance = nrv_u32(&b);
    h->max_cll = (uint16_t)nrv_u16(&b);
    h->max_fall = (uint16_t)nrv_u16(&b);
    return h->flags >= 1 && h->flags <= 7 && (h->flags & 1 || !any) &&
           (h->flags & 2 || !(h->max_luminance | h->min_luminance)) && (h->flags & 4 || !(h->max_cll | h->max_fall));
}

static void read_chapter(nrv_bytes *b, nrv_chapter *c) {
    c->time_base_num = nrv_u32(b);
    c->time_base_den = nrv_u32(b);
    c->start = (int64_t)nrv_u64(b);
    c->end = (int64_t)nrv_u64(b);
    c->title = nrv_take(b, nrv_u16(b));
}

static void read_track(nrv_bytes *b, nrv_track *t) {
    t->number = (uint8_t)nrv_u8(b);
    t->kind = (uint8_t)nrv_u8(b);
    t->disposition = nrv_u32(b);
    t->time_base_num = nrv_u32(b);
    t->time_base_den = nrv_u32(b);
    t->rate = nrv_u32(b);
    t->channels = (uint16_t)nrv_u16(b);
    t->priming = nrv_u32(b);
    t->codec = nrv_take(b, nrv_u8(b));
    t->layout = nrv_take(b, nrv_u8(b));
    t->language = nrv_take(b, nrv_u8(b));
    t->title = nrv_take(b, nrv_u16(b));
    t->extradata = nrv_take(b, nrv_u32(b));
}

static nrv_status chapters(nrv_decoder *d) {
    if (d->payload_length > MAX_SIDE) return nrv_fail(d, NRV_OVER_LIMIT, "2.13", "cHAP is too long");
    nrv_bytes b = {d->payload, d->payload + d->payload_length, false};
    uint32_t count = nrv_u16(&b);
    bool ok = count > 0;
    for (uint32_t i = 0; ok && i < count; i++) {
        nrv_chapter c;
        read_chapter(&b, &c);
        ok = !b.bad && c.time_base_num && c.time_base_den && c.end >= c.start && nrv_utf8(c.title);
    }
    if (!ok || b.at != b.end) return nrv_fail(d, NRV_CORRUPT, "2.13", "cHAP breaks a rule");
    d->info.chapters = (uint16_t)count;
    return keep(d, &d->chapters);
}

static nrv_status track(nrv_decoder *d) {
    if (d->track_count == 64 || d->payload_length > MAX_SIDE)
        return nrv_fail(d, NRV_OVER_LIMIT, "2.14", "there are too many tracks, or aTRK is too long");
    nrv_bytes b = {d->payload, d->payload + d->payload_length, false};
    nrv_track t, last;
    read_track(&b, &t);
    bool ok = !b.bad && b.at == b.end && t.kind <= 2 && t.disposition < 1u << 15 && t.time_base_num && t.time_base_den &&
              t.codec.length && printable(t.codec) && printable(t.layout) && printable(t.language) && nrv_utf8(t.title);
    if (ok && t.kind != 0) ok = !t.rate && !t.channels && !t.priming && !t.layout.length;
    if (ok && d->track_count) ok = nrv_get_track(d, d->track_count - 1, &last) == NRV_OK && t.number > last.number;
    if (!ok) return nrv_fail(d, NRV_CORRUPT, "2.14", "aTRK breaks a rule");
    nrv_status s = keep(d, &d->tracks[d->track_count]);
    if (s == NRV_OK) d->info.tracks = (uint8_t)++d->track_count;
    return s;
}

/* More than a second between two times of this time base: range * num >= den. */
static bool a_second(uint64_t range, uint32_t num, uint32_t den) { return range >= ((uint64_t)den + num - 1) / num; }

static nrv_status packets(nrv_decoder *d, bool deliver) {
    nrv_bytes b = {d->payload, d->payload + d->payload_length, false};
    uint32_t number = nrv_u8(&b), reserved = nrv_u8(&b), count = nrv_u16(&b);
    nrv_track t;
    bool found = false;
    for (uint32_t i = 0; i < d->track_count && !found; i++)
        found = nrv_get_track(d, i, &t) == NRV_OK && t.number == number;
    bool ok = found && !reserved && count && !b.bad;
    int64_t pts = 0, least = INT64_MAX, most = INT64_MIN;
    uint64_t duration = 0;
    for (uint32_t i = 0; ok && i < count; i++) {
        nrv_packet p;
        uint32_t flags = nrv_u8(&b);
        ok = flags < 32 && (i || (flags & 10) == 10) && (!(flags & 16) || t.kind == 0);
        if (!ok) break;
        if (flags & 2) pts = nrv_sv(&b);
        else pts = (int64_t)((uint64_t)pts + duration);  /* judged at the packet before */
        p.pts = pts;
        p.dts = flags & 4 ? nrv_sv(&b) : pts;
        if (flags & 8) duration = nrv_uv(&b);
        p.duration = duration;
        uint64_t skip = flags & 16 ? nrv_uv(&b) : 0, discard = flags & 16 ? nrv_uv(&b) : 0;
        nrv_string data = nrv_take(&b, nrv_uv(&b));
        ok = !b.bad && skip <= 0xFFFFFFFFu && discard <= 0xFFFFFFFFu &&
             duration <= (uint64_t)INT64_MAX - (uint64_t)pts;  /* modulo 2^64: the distance to the greatest */
        p.track = (uint8_t)number;
        p.key = flags & 1;
        p.skip = (uint32_t)skip;
        p.discard = (uint32_t)discard;
        p.data = data.bytes;
        p.length = data.length;
        if (pts < least) least = pts;
        if (pts > most) most = pts;
        if (ok && deliver) d->on_packet(d->packet_user, &p);
    }
    if (ok) ok = b.at == b.end && !a_second((uint64_t)most - (uint64_t)least, t.time_base_num, t.time_base_den);
    return ok ? NRV_OK : nrv_fail(d, NRV_CORRUPT, "2.15", "aPKt breaks a rule");
}

nrv_status nrv_side_unit(nrv_decoder *d) {
    const uint8_t *t = d->type;
    nrv_status s;
    if (nrv_is(t, "mETa")) {   /* its form is left to the caller (2.6) */
        if (d->metadata_count == 16) return nrv_fail(d, NRV_OVER_LIMIT, "2.6", "there are more than 16 mETa");
        if ((s = keep(d, &d->metadata[d->metadata_count])) == NRV_OK) d->metadata_count++;
        d->info.has_metadata = true;
        return s;
    }
    if (nrv_is(t, "hDRm")) {
        nrv_hdr h;
        nrv_blob blob = {d->payload, d->payload_length};
        if (!read_hdr(blob, &h)) return nrv_fail(d, NRV_CORRUPT, "2.12", "hDRm breaks a rule");
        d->info.has_hdr = true;
        return keep(d, &d->hdr);
    }
    if (nrv_is(t, "cHAP")) return chapters(d);
    if (nrv_is(t, "aTRK")) return track(d);
    if ((s = packets(d, false)) == NRV_OK && d->on_packet) s = packets(d, true);
    return s;
}

nrv_status nrv_get_hdr(const nrv_decoder *d, nrv_hdr *out) {
    return d->hdr.bytes && read_hdr(d->hdr, out) ? NRV_OK : NRV_REFUSED;
}

nrv_status nrv_get_chapter(const nrv_decoder *d, uint32_t i, nrv_chapter *out) {
    if (i >= d->info.chapters || !d->chapters.bytes) return NRV_REFUSED;
    nrv_bytes b = {d->chapters.bytes + 2, d->chapters.bytes + d->chapters.length, false};
    for (uint32_t k = 0; k <= i; k++) read_chapter(&b, out);
    return b.bad ? NRV_REFUSED : NRV_OK;
}

nrv_status nrv_get_track(const nrv_decoder *d, uint32_t i, nrv_track *out) {
    if (i >= d->track_count) return NRV_REFUSED;
    nrv_bytes b = {d->tracks[i].bytes, d->tracks[i].bytes + d->tracks[i].length, false};
    read_track(&b, out);
    return b.bad ? NRV_REFUSED : NRV_OK;
}

nrv_status nrv_get_metadata(const nrv_decoder *d, uint32_t i, nrv_string *out) {
    if (i >= d->metadata_count) return NRV_REFUSED;
    out->bytes = d->metadata[i].bytes;
    out->length = d->metadata[i].length;
    return NRV_OK;
}

void nrv_on_packet(nrv_decoder *d, nrv_packet_callback callback, void *user) {
    d->on_packet = callback;
    d->packet_user = user;
}
