/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_out.c: frames of a connection, from signals to bytes. The flags that
 * both sides announced fix their form for as long as it lives:
 *
 *      length (4)  'p'  131 control tuple  131 payload
 *      length (4)  131 'D' 0  control tuple  payload
 *
 * the second one, with a distribution header, when either the atom cache or
 * fragments were agreed on.
 *
 * Bytes to write collect in `out`; what is lent to the writer is `lent`, which
 * does not move meanwhile.
 */
#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"

/* "Never send frames of 1 GiB": lengths are signed somewhere out there. */
enum { MAX_BODY = (1 << 30) - 4 };

const uint8_t *cnode_conn_output(cnode_conn *c, size_t *n) {
    if (cn__buf_size(&c->lent) == 0) {
        cn_buf empty = c->lent;
        c->lent = c->out;
        c->out = empty;
    }
    *n = cn__buf_size(&c->lent);
    return *n == 0 ? NULL : cn__buf_at(&c->lent);
}

void cnode_conn_wrote(cnode_conn *c, size_t n) {
    size_t of_tick = n < c->tick_left ? n : c->tick_left;

    if (c->tap != NULL)
        cnode__conn_tap_output(c, n);
    cn__buf_consume(&c->lent, n, CNODE__KEEP_BUFFER);
    c->stats.bytes_out += n;
    c->tick_left -= of_tick;
    c->spoke |= n > of_tick;
}

size_t cnode_conn_queued(const cnode_conn *c) {
    return cn__buf_size(&c->out) + cn__buf_size(&c->lent);
}

/* Messages wait for room; what keeps links and monitors true may take twice
 * as much, for losing it would be worse. */
static size_t queue_limit(const cnode_conn *c, const cnode_ctrl *ctrl) {
    size_t max = c->config.max_queue;

    if (ctrl->signal <= CNODE_SIG_ALIAS_SEND ||
        ctrl->signal == CNODE_SIG_SPAWN_REQUEST)
        return max;
    return max > SIZE_MAX / 2 ? SIZE_MAX : max * 2;
}

/* What stands in front of the control tuple. */
static etf_view frame_head(const cnode_conn *c) {
    static const uint8_t pass_through[] = {CNODE__PASS_THROUGH};
    static const uint8_t header[] = {131, CNODE__HEADER, 0};

    return cnode__conn_headers(c) ? (etf_view){header, sizeof header}
                                  : (etf_view){pass_through, 1};
}

static int append_frame(cnode_conn *c, etf_view body) {
    etf_view head = frame_head(c);
    size_t len = head.len + body.len;
    uint8_t *p = cn__buf_reserve(&c->out, len + 4);

    if (p == NULL)
        return CN_ENOMEM;
    p = cn__put32(p, (uint32_t)len);
    p = cn__put_bytes(p, head.data, head.len);
    (void)cn__put_bytes(p, body.data, body.len);
    cn__buf_commit(&c->out, len + 4);
    c->stats.frames_out++;
    return 0;
}

static int write_frame(cnode_conn *c, cnode_ctrl *ctrl) {
    etf_view body;
    int err = cnode__ctrl_put(&c->writer, ctrl, cnode_conn_common_flags(c),
                              !cnode__conn_headers(c));

    if (err == 0)
        err = etf_writer_finish(&c->writer, &body);
    if (err != 0)
        return err;
    return body.len > MAX_BODY ? CN_ELIMIT : append_frame(c, body);
}

/* One large message must not occupy memory for as long as the peer lives. */
static void clear_writer(cnode_conn *c) {
    if (c->writer.cap > CNODE__KEEP_BUFFER)
        etf_writer_free(&c->writer);
    else
        etf_writer_reset(&c->writer);
}

int cnode_conn_send(cnode_conn *c, const cnode_ctrl *ctrl) {
    cnode_ctrl out = *ctrl;
    int err;

    if (c->error.code != 0)
        return c->error.code;
    if (!c->up)
        return CN_ENOCONN;
    if (cnode_conn_queued(c) > queue_limit(c, ctrl))
        return CN_EBUSY;
    if (ctrl->term.len > MAX_BODY) /* before anything of it is copied */
        return CN_ELIMIT;
    err = write_frame(c, &out);
    clear_writer(c);
    if (err == 0)
        cnode__conn_said(c, &out);
    return err;
}
