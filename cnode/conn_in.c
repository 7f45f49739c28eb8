/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_in.c: frames of a connection, from bytes to signals. The flags that
 * both sides announced fix their form; length 0 is a tick:
 *
 *      length (4)  'p'  131 control tuple  131 payload
 *      length (4)  131 'D' header  control tuple  payload
 *      length (4)  131 'E' sequence (8) number (8) header  control tuple  part
 *      length (4)  131 'F' sequence (8) number (8) part
 *
 * Frames that are whole in the bytes that were fed are read where they are.
 * The rest of these bytes, the beginning of a frame, goes to `in` and is made
 * whole there; what is still to come of a large one is best read to there. A
 * part that is not the first goes to where its message is put together as it
 * comes, and is best read to there. So what a signal lends is in the caller's
 * bytes, in `in`, in the message put together from fragments, or, where the
 * peer left out atoms, in `expanded`; the next call consumes it.
 */
#include <inttypes.h>
#include <string.h>

#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "ext_term/term.h"

enum {
    DEFAULT_SEQUENCES = 4096,
    PROMISE = 256 * 1024,   /* most room that is made on the word of a peer */
    PART_HEAD = 4 + 2 + 16, /* of a fragment that is not the first, its length
                               included */
    /* A frame is large from a size on that tests make smaller: it is read to
     * where it belongs, if more than WORTH_ROOM of it are still to come, and of
     * a fragment the part is put there as it comes. */
    LARGE = 16 * 1024,
    WORTH_ROOM = 4, /* a quarter of that */
    /* Behind such a frame, so many times as large, or such a message in
     * fragments, comes another, maybe: no more is read of it than its head, and
     * a bit, which is copied. */
    VERY_LARGE = 8,
    PEEP = 4 * 1024
};

/* A part of a message in fragments is put in place as it comes. */
static bool is_streaming(const cnode_conn *c) {
    return c->work != NULL && c->work->fragments.fed != NULL;
}

static bool is_very_large(const cnode_conn *c, size_t size) {
    return size / VERY_LARGE >= c->large;
}

/* Is a message very large that has so many bytes, with a part of such a size
 * now? The parts behind that are as large, but the last, which may be small. */
static bool is_long(const cnode_conn *c, size_t have, size_t size,
                    uint64_t number) {
    size_t parts = number > VERY_LARGE ? VERY_LARGE : (size_t)number;

    return is_very_large(c, have + size * (parts > 1 ? parts - 1 : 1));
}

static void init_fragments(cnode_conn *c, cnode__fragments *f) {
    const cnode_conn_config *config = &c->rules->config;

    /* Where it lies in memory is not for the peer to know. */
    cnode__fragments_init(f, config->challenge ^ (uint64_t)(uintptr_t)c,
                          &config->alloc);
    f->max_message = config->max_frame;
    f->max_bytes = config->max_partial;
    if (f->max_bytes == 0)
        f->max_bytes =
            config->max_frame > SIZE_MAX / 4 ? SIZE_MAX : config->max_frame * 4;
    f->max_open =
        config->max_sequences != 0 ? config->max_sequences : DEFAULT_SEQUENCES;
}

static void free_work(cnode_conn *c) {
    if (c->work == NULL)
        return;
    etf_writer_free(&c->work->expanded);
    cnode__fragments_free(&c->work->fragments);
    cn__free(&c->rules->config.alloc, c->work, 1, sizeof *c->work);
    c->work = NULL;
}

void cnode__conn_in_init(cnode_conn *c) {
    cn__buf_init(&c->in, &c->rules->config.alloc);
    c->large = LARGE;
}

void cnode__conn_in_free(cnode_conn *c) {
    free_work(c);
    cn__buf_free(&c->in);
    if (c->cache != NULL)
        cnode__cache_free(c->cache);
    cn__free(&c->rules->config.alloc, c->cache, 1, sizeof *c->cache);
}

/* Large memory goes to where it is kept for the next large message. */
static void consume_in(cnode_conn *c, size_t keep) {
    size_t cap;
    uint8_t *data;

    cn__buf_consume(&c->in, c->used, SIZE_MAX);
    if (cn__buf_size(&c->in) > 0 || c->in.cap <= keep)
        return;
    data = cn__buf_take(&c->in, &cap);
    if (c->work != NULL)
        cnode__fragments_save(&c->work->fragments, data, cap);
    else
        cn__free(c->in.alloc, data, cap, 1);
}

static void consume_used(cnode_conn *c) {
    size_t keep = c->given.len > 0 ? CNODE__KEEP_BUSY : CNODE__KEEP_BUFFER;

    if (c->used_given) {
        c->given.data += c->used;
        c->given.len -= c->used;
    } else if (c->used > 0) {
        consume_in(c, keep);
    }
    c->used = 0;
    c->used_given = false;
    if (c->work == NULL)
        return;
    if (c->work->expanded.cap > keep)
        etf_writer_free(&c->work->expanded);
    cnode__fragments_done(&c->work->fragments);
}

void cnode__conn_in_rest(cnode_conn *c) {
    consume_used(c);
    if (!c->worked) {
        if (c->work != NULL && c->work->fragments.open.count == 0)
            free_work(c);
        if (c->work != NULL)
            cnode__fragments_rest(&c->work->fragments);
        if (cn__buf_size(&c->in) == 0)
            cn__buf_free(&c->in);
    }
    c->worked = false;
}

bool cnode__conn_in_part(const cnode_conn *c) {
    return cn__buf_size(&c->in) + c->given.len > c->used || is_streaming(c);
}

/* --- bytes ---------------------------------------------------------------- */

/* The memory of an earlier large message, if it is enough for this one. */
static void take_spare(cnode_conn *c, size_t size) {
    cnode__fragments *f = c->work == NULL ? NULL : &c->work->fragments;
    uint8_t *spare;

    if (f == NULL || size <= c->in.cap || f->spare_cap < size)
        return;
    spare = f->spare;
    f->spare = NULL;
    cn__buf_move(&c->in, spare, f->spare_cap);
    f->spare_cap = 0;
}

/* Moves bytes that were given to `in` until it has size of them, or nothing is
 * left. */
static int top_up(cnode_conn *c, size_t size) {
    size_t have = cn__buf_size(&c->in);
    size_t n = have < size ? size - have : 0;
    bool room = true;

    if (n == 0 || c->given.len == 0)
        return 0;
    if (n > c->given.len) {
        take_spare(c, size);
        room = size > PROMISE || cn__buf_reserve(&c->in, n) != NULL;
        n = c->given.len;
    }
    if (!room || cn__buf_append(&c->in, c->given.data, n) != 0)
        return cnode__conn_fail(c, CN_ENOMEM,
                                "out of memory for %zu received bytes",
                                have + c->given.len);
    c->given.data += n;
    c->given.len -= n;
    return 0;
}

static void note_bytes(cnode_conn *c, const uint8_t *in, size_t n,
                       uint64_t now) {
    c->heard |= n > 0;
    c->stats.bytes_in += n;
    if (c->tap != NULL)
        cnode__tap_bytes(c->tap, false, in, n);
    c->fed_at = now;
}

int cnode_conn_feed(cnode_conn *c, const uint8_t *in, size_t n, uint64_t now) {
    int err;

    if (cnode__conn_dead(c))
        return c->error->code;
    consume_used(c);
    err = top_up(c, SIZE_MAX); /* what the last feed gave */
    if (err != 0)
        return err;
    c->given = (etf_view){in, n};
    c->ours = NULL;
    note_bytes(c, in, n, now);
    return c->up ? 0 : top_up(c, SIZE_MAX);
}

int cnode__conn_feed(cnode_conn *c, uint8_t *in, size_t n, uint64_t now) {
    int err = cnode_conn_feed(c, in, n, now);

    c->ours = in;
    return err;
}

/* The size of the frame at the front, with its length; what is not known yet
 * are at least the four bytes of the length. */
static int measure(cnode_conn *c, etf_view bytes, size_t *size) {
    size_t n = bytes.data == NULL || bytes.len < 4 ? 0 : cn__be32(bytes.data);

    *size = n + 4;
    if (n > c->rules->config.max_frame)
        return cnode__conn_fail(
            c, CN_ELIMIT, "a message of %zu bytes is over the limit of %zu", n,
            c->rules->config.max_frame);
    return 0;
}

static etf_view in_view(const cnode_conn *c) {
    if (c->in.data == NULL)
        return (etf_view){NULL, 0};
    return (etf_view){cn__buf_at(&c->in), cn__buf_size(&c->in)};
}

/* What find_frame and step_frame tell beside what cnode__conn_next_signal does.
 */
enum {
    MORE = 2, /* a frame was taken, but there is no signal yet */
    PART      /* the head of a fragment that is not all there */
};

/* Is that the head of a fragment, not the first, that is worth it? */
static bool is_part(const cnode_conn *c, etf_view bytes, size_t size) {
    return size >= c->large && bytes.len >= PART_HEAD &&
           cnode__conn_headers(c) &&
           (cnode_conn_common_flags(c) & CNODE_FLAG_FRAGMENTS) != 0 &&
           bytes.data[4] == CNODE__VERSION && bytes.data[5] == CNODE__FRAGMENT;
}

/* Makes the frame in `in` whole, as far as that goes and is of use. */
static int complete(cnode_conn *c, size_t *size) {
    int err = top_up(c, 4);

    if (err == 0)
        err = measure(c, in_view(c), size);
    if (err == 0 && *size >= c->large)
        err = top_up(c, PART_HEAD);
    return err != 0 || is_part(c, in_view(c), *size) ? err : top_up(c, *size);
}

/* 1: the next frame, without its length; PART: the head of it; 0: not all of it
 * is there. */
static int find_frame(cnode_conn *c, etf_view *frame) {
    bool in_place = cn__buf_size(&c->in) == 0, part;
    size_t size;
    etf_view all;
    int err = in_place ? measure(c, c->given, &size) : complete(c, &size);

    if (err != 0)
        return err;
    all = in_place ? c->given : in_view(c);
    part = all.len < size && is_part(c, all, size);
    if (all.len < size && !part)
        return in_place ? top_up(c, size) : 0;
    c->used = part ? PART_HEAD : size;
    c->used_given = in_place;
    c->stats.ticks_in += size == 4;
    c->stats.frames_in += size > 4;
    *frame = (etf_view){all.data + 4, size - 4};
    return part ? PART : 1;
}

/* --- messages ------------------------------------------------------------- */

static int bad_message(cnode_conn *c, int err, const char *why) {
    const cnode__work *w = c->work;

    if (err == CN_ENOTSUP)
        return cnode__conn_fail(c, CN_EPROTO,
                                "unknown control message, number %" PRIu64,
                                w->ctrl.id);
    if (err == CN_ENOMEM)
        return cnode__conn_fail(c, err, "out of memory for a message");
    if (err == CN_ELIMIT)
        return cnode__conn_fail(c, err,
                                "a message is over the limit of %zu bytes: %s",
                                c->rules->config.max_frame, why);
    return cnode__conn_fail(c, CN_EPROTO, "%s (%s at byte %zu)", why,
                            cn_strerror(w->reader.err), w->reader.err_at + 1);
}

static int taken(cnode_conn *c, int err, const char *why) {
    if (err != 0)
        return bad_message(c, err, why);
    cnode__conn_trace(c, true, &c->work->ctrl);
    return 1;
}

/* What follows would be the same again if the next frame began with the same
 * bytes up to its payload: see take_same. A trace token is another each time;
 * and so may be the atoms of a header that puts one in the place of another,
 * which it may refer to, too. */
static void remember(const cnode_conn *c, etf_view head) {
    cnode__work *w = c->work;
    cnode_ctrl *ctrl = &w->ctrl;
    const uint8_t *name = ctrl->name.data;

    if (head.len > sizeof w->same || ctrl->signal > CNODE_SIG_ALIAS_SEND ||
        ctrl->token.len > 0 || name == w->reader.scratch ||
        c->cache->replaced != NULL)
        return;
    w->same_len = head.len;
    (void)cn__put_bytes(w->same, head.data, head.len);
    if (ctrl->name.len > 0 && name >= head.data && name < head.data + head.len)
        ctrl->name.data = w->same + (name - head.data);
}

/* The terms at the end of a frame, or (NULL) of one put together. */
static int take_terms(cnode_conn *c, const uint8_t *frame, etf_view terms,
                      const etf_view *atoms, size_t n) {
    bool versions = !cnode__conn_headers(c), payload;
    cnode__work *w = c->work;
    etf_reader *r = &w->reader;
    const char *why = "";
    int err;

    etf_reader_init(r, terms);
    etf_reader_atoms(r, atoms, n);
    if (versions)
        etf_get_version(r);
    err = cnode__ctrl_get_tuple(&w->ctrl, r, &payload, &why);
    if (err == 0 && payload && versions)
        etf_get_version(r);
    if (err == 0 && payload && frame != NULL)
        remember(c, (etf_view){frame, (size_t)(r->at - frame)});
    if (err == 0)
        err = cnode__ctrl_get_rest(&w->ctrl, r, payload, &w->expanded,
                                   c->rules->config.max_frame, &why);
    return taken(c, err, why);
}

static int take_pass_through(cnode_conn *c, etf_view frame) {
    etf_view terms = {frame.data + 1, frame.len - 1};

    if (frame.data[0] != CNODE__PASS_THROUGH)
        return cnode__conn_fail(c, CN_EPROTO, "a frame starts with %u, want %d",
                                frame.data[0], (int)CNODE__PASS_THROUGH);
    return take_terms(c, frame.data, terms, NULL, 0);
}

static int take_headed(cnode_conn *c, const uint8_t *frame, cn_cursor *in) {
    int err = cnode__header_read(c->cache, in, c->error);

    if (err != 0)
        return err;
    return take_terms(c, frame, (etf_view){in->p, in->left}, c->cache->table,
                      c->cache->n);
}

/* --- fragments ------------------------------------------------------------ */

/* The control tuple must be whole in the first fragment. */
static int check_first(cnode_conn *c, etf_view first) {
    etf_reader *r = &c->work->reader;

    etf_reader_init(r, first);
    etf_reader_atoms(r, c->cache->table, c->cache->n);
    etf_skip(r);
    if (etf_reader_finish(r) == 0)
        return 0;
    return bad_message(c, CN_EPROTO,
                       "the first fragment has no whole control message");
}

/* Is that the whole of this part? What it has is in *part. */
static bool part_at(etf_view bytes, uint64_t id, uint64_t number,
                    etf_view *part) {
    size_t size = bytes.len < PART_HEAD ? 0 : (size_t)cn__be32(bytes.data) + 4;

    *part = (etf_view){bytes.data + PART_HEAD, size - PART_HEAD};
    return size >= PART_HEAD && size <= bytes.len &&
           bytes.data[4] == CNODE__VERSION &&
           bytes.data[5] == CNODE__FRAGMENT && cn__be64(bytes.data + 6) == id &&
           cn__be64(bytes.data + 14) == number;
}

/* Are all parts of the message behind its first in what was fed? *end is behind
 * them, *len what they have. */
static bool all_parts(const cnode_conn *c, uint64_t id, uint64_t number,
                      const uint8_t **end, size_t *len) {
    etf_view rest = {c->given.data + c->used, c->given.len - c->used}, part;

    for (*len = 0; number > 1; number--) {
        if (!part_at(rest, id, number - 1, &part))
            return false;
        rest.len -= part.len + PART_HEAD;
        rest.data = part.data + part.len;
        *len += part.len;
    }
    *end = rest.data;
    return true;
}

/* Where that is so, and the bytes may be changed, they are moved together,
 * which is little to do where the first is by far the longest. False: nothing
 * is done. */
static bool join(cnode_conn *c, uint64_t id, uint64_t number, etf_view *terms) {
    const uint8_t *from, *end;
    uint8_t *to;
    size_t len;

    if (c->ours == NULL || !c->used_given ||
        cnode__fragments_open(&c->work->fragments, id) ||
        !all_parts(c, id, number, &end, &len) ||
        len > c->rules->config.max_frame - terms->len)
        return false;
    to = c->ours + (terms->data + terms->len - c->ours);
    for (from = c->given.data + c->used; from < end; to += len, from += len) {
        len = cn__be32(from) + 4 - PART_HEAD;
        from += PART_HEAD;
        memmove(to, from, len);
    }
    c->stats.frames_in += number - 1;
    c->used = (size_t)(end - c->given.data);
    terms->len = (size_t)(to - terms->data);
    return true;
}

static int take_first(cnode_conn *c, cn_cursor *in, uint64_t id,
                      uint64_t number) {
    bool last = !c->used_given && c->used == cn__buf_size(&c->in) &&
                c->used >= c->large;
    int err = cnode__header_read(c->cache, in, c->error);
    etf_view first = {in->p, in->left};

    if (err == 0)
        err = check_first(c, first);
    if (err == 0 && join(c, id, number, &first))
        return take_terms(c, NULL, first, c->cache->table, c->cache->n);
    if (err == 0)
        err = cnode__fragments_begin(&c->work->fragments, id, number, first,
                                     last ? &c->in : NULL, c->cache->table,
                                     c->cache->n, c->error);
    if (last && c->in.data == NULL)
        c->used = 0; /* it has changed hands */
    c->work->more_large = is_long(c, 0, first.len, number);
    return err != 0 ? err : MORE;
}

/* All of a part has come. */
static int end_part(cnode_conn *c) {
    const cnode__sequence *s = c->work->fragments.fed;

    if (cnode__fragments_end(&c->work->fragments) == 0)
        return MORE;
    return take_terms(c, NULL, cnode__sequence_view(s), s->atoms, s->n);
}

/* Takes what has come of a part, first from `in`. */
static int feed_part(cnode_conn *c) {
    cnode__fragments *f = &c->work->fragments;
    etf_view some = in_view(c);
    int err = 0;

    if (some.len > 0) {
        some.len = some.len < f->missing ? some.len : f->missing;
        err = cnode__fragments_put(f, some, c->error);
        cn__buf_consume(&c->in, some.len, CNODE__KEEP_BUSY);
    }
    some = c->given;
    if (err == 0 && f->missing > 0 && some.len > 0) {
        some.len = some.len < f->missing ? some.len : f->missing;
        err = cnode__fragments_put(f, some, c->error);
        c->given.data += some.len;
        c->given.len -= some.len;
    }
    if (err != 0 || f->missing > 0)
        return err;
    return end_part(c);
}

static int begin_part(cnode_conn *c, uint64_t id, uint64_t number,
                      size_t size) {
    cnode__fragments *f = &c->work->fragments;
    int err = cnode__fragments_part(f, id, number, size, c->error);

    if (err == 0)
        c->work->more_large = is_long(c, f->fed->len, size, number);
    return err;
}

static int take_next(cnode_conn *c, const cn_cursor *in, uint64_t id,
                     uint64_t number) {
    etf_view part = {in->p, in->left};
    int err = begin_part(c, id, number, part.len);

    if (err == 0)
        err = cnode__fragments_put(&c->work->fragments, part, c->error);
    return err != 0 ? err : end_part(c);
}

/* 0 is none of either. */
static int check_numbers(cnode_conn *c, const cn_cursor *in, uint64_t id,
                         uint64_t number) {
    if (!in->bad && id != 0 && number != 0)
        return 0;
    return cnode__conn_fail(c, CN_EPROTO,
                            "a fragment without sequence or number");
}

/* The head is there, and more of it than can be waited for. */
static int take_part(cnode_conn *c, etf_view frame) {
    cn_cursor in = cn__cursor(frame.data + 2, 16);
    uint64_t id = cn__take64(&in);
    uint64_t number = cn__take64(&in);
    int err = check_numbers(c, &in, id, number);

    if (err == 0)
        err = begin_part(c, id, number, frame.len + 4 - PART_HEAD);
    if (err != 0)
        return err;
    consume_used(c);
    return feed_part(c);
}

static int take_fragment(cnode_conn *c, cn_cursor *in, bool first) {
    uint64_t id = cn__take64(in);
    uint64_t number = cn__take64(in);
    int err = check_numbers(c, in, id, number);

    if (err != 0)
        return err;
    if (!first)
        return take_next(c, in, id, number);
    if (number > 1 || cnode__fragments_open(&c->work->fragments, id))
        return take_first(c, in, id, number);
    return take_headed(c, NULL, in); /* first and last: all of a message */
}

/* --- frames --------------------------------------------------------------- */

static int take_frame(cnode_conn *c, etf_view frame) {
    cn_cursor in = cn__cursor(frame.data, frame.len);
    bool fragments = (cnode_conn_common_flags(c) & CNODE_FLAG_FRAGMENTS) != 0;
    unsigned version, kind;

    if (!cnode__conn_headers(c))
        return take_pass_through(c, frame);
    version = cn__take8(&in);
    kind = cn__take8(&in);
    if (version == CNODE__VERSION && kind == CNODE__HEADER)
        return take_headed(c, frame.data, &in);
    if (version == CNODE__VERSION && fragments &&
        (kind == CNODE__FRAGMENT_FIRST || kind == CNODE__FRAGMENT))
        return take_fragment(c, &in, kind == CNODE__FRAGMENT_FIRST);
    return cnode__conn_fail(
        c, CN_EPROTO, "a frame starts with %u, %u, want %d and %s", version,
        kind, (int)CNODE__VERSION, fragments ? "68, 69 or 70" : "68");
}

/* The peer's atoms stay for as long as it may refer to them. */
static bool make_cache(cnode_conn *c) {
    const cn_alloc *alloc = &c->rules->config.alloc;

    if (c->cache != NULL)
        return true;
    c->cache = cn__calloc(alloc, 1, sizeof *c->cache);
    if (c->cache == NULL)
        return false;
    cnode__cache_init(c->cache, alloc);
    return true;
}

static int make_work(cnode_conn *c) {
    const cn_alloc *alloc = &c->rules->config.alloc;

    if (c->work != NULL)
        return 0;
    if (cnode__conn_why(c)->code != 0)
        return c->error->code;
    if (make_cache(c))
        c->work = cn__calloc(alloc, 1, sizeof *c->work);
    if (c->work == NULL)
        return cnode__conn_fail(c, CN_ENOMEM, "out of memory");
    etf_writer_init(&c->work->expanded, alloc);
    init_fragments(c, &c->work->fragments);
    return 0;
}

/* 1: a signal; MORE: a tick, or a fragment; 0: there is no whole frame. */
static int step_frame(cnode_conn *c) {
    etf_view frame = {NULL, 0};
    int found, err;

    if (is_streaming(c))
        return feed_part(c);
    found = find_frame(c, &frame);
    if (found != 1 && found != PART)
        return found;
    if (frame.len == 0)
        return MORE;
    err = make_work(c);
    if (err != 0)
        return err;
    c->worked = true;
    c->work->same_len = 0;
    c->work->more_large = is_very_large(c, frame.len);
    return found == PART ? take_part(c, frame) : take_frame(c, frame);
}

/* --- where to read to ----------------------------------------------------- */

/* The frame that has begun in `in`; false: there is none. *number: of it and
 * what comes behind it of its message. */
static bool measure_in(const cnode_conn *c, size_t *size, uint64_t *number) {
    etf_view all = in_view(c);

    if (all.len < 4)
        return false;
    *size = (size_t)cn__be32(all.data) + 4;
    *number = all.len >= PART_HEAD && all.data[4] == CNODE__VERSION &&
                      all.data[5] == CNODE__FRAGMENT_FIRST
                  ? cn__be64(all.data + 14)
                  : 1;
    return *size - 4 <= c->rules->config.max_frame && *size > all.len;
}

/* Room in `in` for the rest of a message, as there is, or as much again. */
static uint8_t *room_in(cnode_conn *c, size_t *rest) {
    size_t have = cn__buf_size(&c->in), most;

    take_spare(c, have + *rest);
    most = c->in.cap - have;
    if (most < c->large)
        most = c->in.cap > PROMISE ? c->in.cap : PROMISE;
    if (*rest > most)
        *rest = most;
    return cn__buf_reserve(&c->in, *rest);
}

uint8_t *cnode__conn_room(cnode_conn *c, size_t *n, size_t *more) {
    cnode__work *w = c->work;
    bool row = w != NULL && w->more_large, parts = is_streaming(c);
    size_t size, rest = parts ? w->fragments.missing : 0;
    uint64_t number;
    uint8_t *p = NULL;

    *n = 0;
    *more = SIZE_MAX;
    if (!c->up || cnode__conn_dead(c) || c->given.len > 0 || c->used > 0)
        return NULL;
    if (!parts && measure_in(c, &size, &number)) {
        rest = size - cn__buf_size(&c->in);
        row = is_long(c, 0, size, number);
    }
    if (row)
        *more = rest + PEEP;
    if (rest < c->large / WORTH_ROOM)
        return NULL;
    *n = rest;
    p = parts ? cnode__fragments_room(&w->fragments, n) : room_in(c, n);
    if (p == NULL)
        *n = 0;
    else if (row || *n < rest)
        *more = *n < rest ? 0 : PEEP;
    return p;
}

void cnode__conn_filled(cnode_conn *c, const uint8_t *room, size_t n,
                        uint64_t now) {
    note_bytes(c, room, n, now);
    if (is_streaming(c))
        cnode__fragments_got(&c->work->fragments, n);
    else
        cn__buf_commit(&c->in, n);
}

/* --- the same again ------------------------------------------------------- */

/* A binary is seen to be one without a reader; anything else has its way. */
static bool take_payload(cnode_conn *c, etf_view rest) {
    cnode__work *w = c->work;
    const char *why;

    if (rest.len >= 5 && rest.data[0] == ETF__BINARY &&
        cn__be32(rest.data + 1) <= rest.len - 5) {
        w->ctrl.term = (etf_view){rest.data, 5 + cn__be32(rest.data + 1)};
        return true;
    }
    etf_reader_init(&w->reader, rest);
    if (cnode__conn_headers(c))
        etf_reader_atoms(&w->reader, c->cache->table, c->cache->n);
    return cnode__ctrl_get_rest(&w->ctrl, &w->reader, true, &w->expanded,
                                c->rules->config.max_frame, &why) == 0;
}

/* Messages come in rows, from one process to another: the next frame, when it
 * begins as the last one did, up to the payload. Then all else in the signal is
 * as it was, and in the atom cache, which only headers change. False: it is to
 * be taken apart, if there is one; what is wrong is found then. */
static bool take_same(cnode_conn *c) {
    cnode__work *w = c->work;
    size_t used = c->used_given ? c->used : 0, left = c->given.len - used;
    const uint8_t *at;
    size_t n, head;

    if (w == NULL || w->same_len == 0 || left < 4 || cn__buf_size(&c->in) > 0 ||
        w->expanded.cap > CNODE__KEEP_BUFFER) /* there is a rest to give back */
        return false;
    at = c->given.data + used;
    head = w->same_len;
    n = cn__be32(at);
    if (n <= head || n > left - 4 || n > c->rules->config.max_frame ||
        memcmp(at + 4, w->same, head) != 0 ||
        !take_payload(c, (etf_view){at + 4 + head, n - head}))
        return false;
    c->given = (etf_view){at, left};
    c->used = n + 4;
    c->used_given = true;
    c->worked = true;
    w->more_large = is_very_large(c, n);
    c->stats.frames_in++;
    if (c->rules->config.on_frame != NULL)
        cnode__conn_trace(c, true, &w->ctrl);
    return true;
}

int cnode__conn_next_signal(cnode_conn *c) {
    int step;

    if (take_same(c))
        return 1;
    do {
        consume_used(c);
        step = step_frame(c);
    } while (step == MORE);
    return step;
}
