/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_fuzz.c: two connections shake hands; then one is fed what follows the
 * first byte, which says in what pieces, and whether they come as a stream or
 * each as a frame with its length put in front. What it takes it can say, and
 * the other, having taken that, says the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct pair {
    cnode_conn *a, *b;
} pair;

static void require(bool ok) {
    if (!ok)
        abort();
}

static void carry(cnode_conn *from, cnode_conn *to) {
    size_t n;
    const uint8_t *out = cnode_conn_output(from, &n);

    if (out != NULL)
        require(cnode_conn_feed(to, out, n, 0) == 0);
    cnode_conn_wrote(from, n);
}

static void on_frame(void *ctx, bool in, const char *text, etf_view payload) {
    (void)ctx, (void)in, (void)payload;
    require(text[0] != '\0');
}

static cnode_conn *make(bool initiator) {
    cnode_conn_config config = {.initiator = initiator,
                                .name = initiator ? "a@h" : "b@h",
                                .peer = "b@h",
                                .cookie = "abc",
                                .flags = cnode_conn_flags(),
                                .max_frame = 1 << 20,
                                .on_frame = on_frame};
    cnode_conn *c;

    require(cnode_conn_new(&c, &config, 0) == 0);
    return c;
}

static void connect_them(pair *p) {
    cnode_event ev;

    *p = (pair){make(true), make(false)};
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
    one = cnode_conn_output(p->b, &n);
    require(cnode_conn_feed(p->a, one, n, 0) == 0);
    require(cnode_conn_next(p->a, &ev) == 1);
    require(ev.ctrl->signal == taken->signal);
    require(cnode_conn_send(p->a, ev.ctrl) == 0);
    two = cnode_conn_output(p->a, &m);
    require(n == m && memcmp(one, two, n) == 0);
    cnode_conn_wrote(p->a, m);
    cnode_conn_wrote(p->b, n);
}

static bool pull(pair *p) {
    cnode_event ev;
    int r;

    while ((r = cnode_conn_next(p->b, &ev)) == 1)
        echo(p, ev.ctrl);
    require(cnode_conn_error(p->b)->code == r);
    return r == 0;
}

static bool feed(pair *p, const uint8_t *in, size_t n, bool framed) {
    uint8_t head[5];

    (void)cn__put8(cn__put32(head, (uint32_t)n + 1), 112);
    return (!framed || cnode_conn_feed(p->b, head, sizeof head, 0) == 0) &&
           cnode_conn_feed(p->b, in, n, 0) == 0 && pull(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pair p;
    bool framed;

    if (size == 0)
        return 0;
    connect_them(&p);
    framed = data[0] & 0x80;
    for (size_t at = 1, step; at < size; at += step) {
        step = framed ? data[0] * 4u : (data[0] & 0x7f) + 1u;
        step = step < size - at ? step : size - at;
        if (!feed(&p, data + at, step, framed))
            break;
    }
    require(cnode_conn_eof(p.b) != 0);
    cnode_conn_free(p.a);
    cnode_conn_free(p.b);
    return 0;
}
