/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_fuzz.c: two connections shake hands; then one is fed what follows the
 * first byte, which says in what pieces, and whether they come as a stream or
 * each as a frame with its length put in front, and what they have agreed on:
 *
 *      0x80  frames, not a stream
 *      0x01  pass-through; else headers, atom cache and fragments, and frames
 *            are given with one byte in front that says how long they are
 *      the others: the size of the pieces
 *
 * Whatever is longer than a few bytes counts as large.
 * What it takes stands for itself, and can be said; and the other, having taken
 * that, says the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct pair {
    cnode_conn *a, *b;
} pair;

static void require(bool ok) {
    if (!ok)
        abort();
}

/* The first piece of what is to be written; what is here is in one. */
static const uint8_t *output(cnode_conn *c, size_t *n) {
    cn_slice v = {NULL, 0};

    (void)cnode_conn_output(c, &v, 1);
    *n = v.len;
    return v.data;
}

static void carry(cnode_conn *from, cnode_conn *to) {
    size_t n;
    const uint8_t *out = output(from, &n);

    if (out != NULL)
        require(cnode_conn_feed(to, out, n, 0) == 0);
    cnode_conn_wrote(from, n);
}

static void on_frame(void *ctx, bool in, const char *text, etf_view payload) {
    (void)ctx, (void)in, (void)payload;
    require(text[0] != '\0');
}

static cnode_conn *make(bool initiator, bool headers) {
    const uint64_t flags =
        CNODE_FLAG_DIST_HDR_ATOM_CACHE | CNODE_FLAG_FRAGMENTS;
    cnode_conn_config config = {.initiator = initiator,
                                .name = initiator ? "a@h" : "b@h",
                                .peer = "b@h",
                                .cookie = "abc",
                                .flags = headers ? cnode_conn_flags() | flags
                                                 : cnode_conn_flags() & ~flags,
                                .max_frame = 1 << 20,
                                .max_partial = 1 << 14,
                                .max_sequences = 8,
                                .on_frame = on_frame};
    cnode_conn *c;

    require(cnode_conn_new(&c, &config, 0) == 0);
    return c;
}

static void connect_them(pair *p, bool headers) {
    cnode_event ev;

    *p = (pair){make(true, headers), make(false, headers)};
    carry(p->a, p->b);
    require(cnode_conn_next(p->b, &ev) == 1);
    require(cnode_conn_answer(p->b, CNODE_ANSWER_OK, "abc", NULL, 0) == 0);
    carry(p->b, p->a);
    require(cnode_conn_next(p->a, &ev) == 0);
    carry(p->a, p->b);
    require(cnode_conn_next(p->b, &ev) == 1 && ev.type == CNODE_EV_UP);
    carry(p->b, p->a);
    require(cnode_conn_next(p->a, &ev) == 1 && ev.type == CNODE_EV_UP);
}

/* b says what it took; a takes that and says it again. */
static void echo(pair *p, const cnode_ctrl *taken) {
    int err = cnode_conn_send(p->b, taken);
    const uint8_t *one, *two;
    cnode_event ev;
    size_t n, m;

    require(err == 0 || err == CN_ENOTSUP);
    if (err != 0)
        return;
    one = output(p->b, &n);
    require(cnode_conn_feed(p->a, one, n, 0) == 0);
    require(cnode_conn_next(p->a, &ev) == 1);
    require(ev.ctrl->signal == taken->signal);
    require(cnode_conn_send(p->a, ev.ctrl) == 0);
    two = output(p->a, &m);
    require(n == m && memcmp(one, two, n) == 0);
    cnode_conn_wrote(p->a, m);
    cnode_conn_wrote(p->b, n);
}

/* No index into a table that nobody has any more. */
static void require_whole(etf_view term) {
    etf_reader r;

    if (term.len == 0)
        return;
    etf_reader_init(&r, term);
    etf_skip(&r);
    require(etf_reader_finish(&r) == 0 && etf_reader_left(&r) == 0);
}

static bool pull(pair *p) {
    cnode_event ev;
    int r;

    while ((r = cnode_conn_next(p->b, &ev)) == 1) {
        require_whole(ev.ctrl->term);
        require_whole(ev.ctrl->token);
        require_whole(ev.ctrl->opts);
        echo(p, ev.ctrl);
    }
    require(cnode_conn_error(p->b)->code == r);
    return r == 0;
}

/* To where the connection has room, if it has, else from a block of its own,
 * which it may change. */
static bool feed(pair *p, const uint8_t *in, size_t n) {
    size_t room, more;
    uint8_t *to = cnode__conn_room(p->b, &room, &more), *own;
    bool alive;

    if (to != NULL && n <= room) {
        memcpy(to, in, n);
        cnode__conn_filled(p->b, to, n, 0);
        return pull(p);
    }
    own = malloc(n);
    require(own != NULL);
    memcpy(own, in, n);
    alive = cnode__conn_feed(p->b, own, n, 0) == 0 && pull(p);
    free(own);
    return alive;
}

/* One frame, with a pass-through byte or without. */
static bool feed_frame(pair *p, const uint8_t *in, size_t n, bool headers) {
    uint8_t head[5];
    size_t len = headers ? 4 : 5;

    (void)cn__put8(cn__put32(head, (uint32_t)(n + len - 4)), 112);
    return feed(p, head, len) && (n == 0 || feed(p, in, n));
}

static void feed_all(pair *p, const uint8_t *data, size_t size) {
    bool framed = data[0] & 0x80, headers = !(data[0] & 1), alive = true;
    size_t step = framed ? data[0] * 4u : (data[0] & 0x7f) + 1u;

    for (size_t at = 1; at < size && alive; at += step) {
        if (framed && headers)
            step = data[at++];
        step = step < size - at ? step : size - at;
        alive = framed ? feed_frame(p, data + at, step, headers)
                       : feed(p, data + at, step);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pair p;

    if (size == 0)
        return 0;
    connect_them(&p, !(data[0] & 1));
    p.b->large = 30; /* what is read to its place, and put there in parts */
    feed_all(&p, data, size);
    require(cnode_conn_eof(p.b, 0) != 0);
    cnode_conn_free(p.a);
    cnode_conn_free(p.b);
    return 0;
}
