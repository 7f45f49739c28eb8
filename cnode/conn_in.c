/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_in.c: frames of a connection, from bytes to signals:
 *
 *      length (4)  'p'  131 control tuple  131 payload
 *
 * Length 0 is a tick. This side announces neither the atom cache nor
 * fragments, so every frame has this "pass-through" form.
 *
 * Bytes that are fed wait in `in`; a signal lends views into it, so what it
 * used is consumed by the next call.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"

void cnode__conn_consume_used(cnode_conn *c) {
    if (c->used > 0)
        cn__buf_consume(&c->in, c->used, CNODE__KEEP_BUFFER);
    c->used = 0;
}

static int bad_frame(cnode_conn *c, int err, const char *why) {
    if (err == CN_ENOTSUP)
        return cn__fail(&c->error, CN_EPROTO, 0,
                        "unknown control message, number %" PRIu64, c->ctrl.id);
    return cn__fail(&c->error, CN_EPROTO, 0, "%s (%s at byte %zu)", why,
                    cn_strerror(c->reader.err), c->reader.err_at + 1);
}

static int take_frame(cnode_conn *c, const uint8_t *p, size_t n) {
    const char *why = "";
    int err;

    if (p[0] != CNODE__PASS_THROUGH)
        return cn__fail(&c->error, CN_EPROTO, 0,
                        "a frame starts with %u, want %d", p[0],
                        (int)CNODE__PASS_THROUGH);
    err = cnode__ctrl_get(&c->ctrl, &c->reader, (etf_view){p + 1, n - 1}, true,
                          &why);
    if (err != 0)
        return bad_frame(c, err, why);
    cnode__conn_trace(c, true, &c->ctrl);
    return 0;
}

/* 1: a frame was taken, 0: a tick, or not enough bytes (nothing used). */
static int step_frame(cnode_conn *c) {
    const uint8_t *p = cn__buf_at(&c->in);
    size_t have = cn__buf_size(&c->in);
    size_t n;
    int err;

    if (have < 4)
        return 0;
    n = cn__be32(p);
    if (n > c->config.max_frame)
        return cn__fail(&c->error, CN_ELIMIT, 0,
                        "a message of %zu bytes is over the limit of %zu", n,
                        c->config.max_frame);
    if (have - 4 < n)
        return 0;
    c->used = n + 4;
    c->stats.ticks_in += n == 0;
    c->stats.frames_in += n > 0;
    if (n == 0)
        return 0;
    err = take_frame(c, p + 4, n);
    return err != 0 ? err : 1;
}

int cnode__conn_next_signal(cnode_conn *c) {
    int step;

    do {
        cnode__conn_consume_used(c);
        step = step_frame(c);
    } while (step == 0 && c->used > 0);
    return step;
}
