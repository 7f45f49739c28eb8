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
 * whole there. So what a signal lends is in the caller's bytes, in `in`, in
 * the message put together from fragments, or, where the peer left out atoms,
 * in `expanded`; the next call consumes it.
 */
#include <inttypes.h>
#include <string.h>

#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "ext_term/term.h"

enum {
    VERSION = 131,
    DEFAULT_SEQUENCES = 4096,
    PROMISE = 256 * 1024 /* most room that is made on the word of a peer */
};

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

void cnode__conn_in_free(cnode_conn *c) {
    free_work(c);
    cn__buf_free(&c->in);
    if (c->cache != NULL)
        cnode__cache_free(c->cache);
    cn__free(&c->rules->config.alloc, c->cache, 1, sizeof *c->cache);
}

static void consume_used(cnode_conn *c) {
    size_t keep = c->given.len > 0 ? CNODE__KEEP_BUSY : CNODE__KEEP_BUFFER;

    if (c->used_given) {
        c->given.data += c->used;
        c->given.len -= c->used;
    } else if (c->used > 0) {
        cn__buf_consume(&c->in, c->used, keep);
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
    return cn__buf_size(&c->in) + c->given.len > c->used;
}

/* --- bytes ---------------------------------------------------------------- */

/* Moves bytes that were given to `in` until it has size of them, or nothing is
 * left. */
static int top_up(cnode_conn *c, size_t size) {
    size_t have = cn__buf_size(&c->in);
    size_t n = have < size ? size - have : 0;
    bool room = true;

    if (n == 0 || c->given.len == 0)
        return 0;
    if (n > c->given.len) {
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

int cnode_conn_feed(cnode_conn *c, const uint8_t *in, size_t n, uint64_t now) {
    int err;

    if (cnode__conn_dead(c))
        return c->error->code;
    consume_used(c);
    err = top_up(c, SIZE_MAX); /* what the last feed gave */
    if (err != 0)
        return err;
    c->given = (etf_view){in, n};
    c->heard |= n > 0;
    c->stats.bytes_in += n;
    if (c->tap != NULL)
        cnode__tap_bytes(c->tap, false, in, n);
    c->fed_at = now;
    return c->up ? 0 : top_up(c, SIZE_MAX);
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
    return (etf_view){cn__buf_at(&c->in), cn__buf_size(&c->in)};
}

/* Makes the frame in `in` whole, as far as that goes. */
static int complete(cnode_conn *c, size_t *size) {
    int err = top_up(c, 4);

    if (err == 0)
        err = measure(c, in_view(c), size);
    return err != 0 ? err : top_up(c, *size);
}

/* 1: the next frame, without its length; 0: not all of it is there. */
static int find_frame(cnode_conn *c, etf_view *frame) {
    bool in_place = cn__buf_size(&c->in) == 0;
    size_t size;
    etf_view all;
    int err = in_place ? measure(c, c->given, &size) : complete(c, &size);

    if (err != 0)
        return err;
    all = in_place ? c->given : in_view(c);
    if (all.len < size)
        return in_place ? top_up(c, size) : 0;
    c->used = size;
    c->used_given = in_place;
    c->stats.ticks_in += size == 4;
    c->stats.frames_in += size > 4;
    *frame = (etf_view){all.data + 4, size - 4};
    return 1;
}

/* --- messages ------------------------------------------------------------- */

enum { MORE = 2 }; /* a frame was taken, but there is no signal yet */

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
 * bytes up to its payload: see take_same. A trace token is another each time.
 */
static void remember(cnode__work *w, etf_view head) {
    cnode_ctrl *ctrl = &w->ctrl;
    const uint8_t *name = ctrl->name.data;

    if (head.len > sizeof w->same || ctrl->signal > CNODE_SIG_ALIAS_SEND ||
        ctrl->token.len > 0 || name == w->reader.scratch)
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
        remember(w, (etf_view){frame, (size_t)(r->at - frame)});
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

static int take_first(cnode_conn *c, cn_cursor *in, uint64_t id,
                      uint64_t number) {
    int err = cnode__header_read(c->cache, in, c->error);
    etf_view first = {in->p, in->left};

    if (err == 0)
        err = check_first(c, first);
    if (err == 0)
        err = cnode__fragments_begin(&c->work->fragments, id, number, first,
                                     c->cache->table, c->cache->n, c->error);
    return err != 0 ? err : MORE;
}

static int take_next(cnode_conn *c, const cn_cursor *in, uint64_t id,
                     uint64_t number) {
    etf_view part = {in->p, in->left};
    int r =
        cnode__fragments_add(&c->work->fragments, id, number, part, c->error);
    const cnode__sequence *s = c->work->fragments.whole;

    if (r != 1)
        return r < 0 ? r : MORE;
    return take_terms(c, NULL, (etf_view){s->data, s->len}, s->atoms, s->n);
}

static int take_fragment(cnode_conn *c, cn_cursor *in, bool first) {
    uint64_t id = cn__take64(in);
    uint64_t number = cn__take64(in);

    if (in->bad || id == 0 || number == 0)
        return cnode__conn_fail(c, CN_EPROTO,
                                "a fragment without sequence or number");
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
    if (version == VERSION && kind == CNODE__HEADER)
        return take_headed(c, frame.data, &in);
    if (version == VERSION && fragments &&
        (kind == CNODE__FRAGMENT_FIRST || kind == CNODE__FRAGMENT))
        return take_fragment(c, &in, kind == CNODE__FRAGMENT_FIRST);
    return cnode__conn_fail(
        c, CN_EPROTO, "a frame starts with %u, %u, want %d and %s", version,
        kind, (int)VERSION, fragments ? "68, 69 or 70" : "68");
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
    int r = find_frame(c, &frame);

    if (r != 1)
        return r;
    if (frame.len == 0)
        return MORE;
    r = make_work(c);
    if (r != 0)
        return r;
    c->worked = true;
    c->work->same_len = 0;
    return take_frame(c, frame);
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
    etf_view all = c->given;
    size_t n, head;

    if (w == NULL || w->same_len == 0 || cn__buf_size(&c->in) > 0 ||
        all.len < 4)
        return false;
    head = w->same_len;
    n = cn__be32(all.data);
    if (n <= head || n > all.len - 4 || n > c->rules->config.max_frame ||
        memcmp(all.data + 4, w->same, head) != 0 ||
        !take_payload(c, (etf_view){all.data + 4 + head, n - head}))
        return false;
    c->used = n + 4;
    c->used_given = true;
    c->worked = true;
    c->stats.frames_in++;
    cnode__conn_trace(c, true, &w->ctrl);
    return true;
}

int cnode__conn_next_signal(cnode_conn *c) {
    int step;

    consume_used(c);
    if (take_same(c))
        return 1;
    while ((step = step_frame(c)) == MORE)
        consume_used(c);
    return step;
}
