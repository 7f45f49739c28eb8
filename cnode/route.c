/* SPDX-License-Identifier: Apache-2.0
 *
 * route.c: which way a signal takes: to a process here, over a connection, or
 * into the queue of a peer that is being connected to. A signal that waits is
 * frozen: its control tuple as bytes that no connection has a say in.
 */
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "cnode/node.h"

static const uint64_t every_flag = ~UINT64_C(0);

int cnode__freeze(etf_writer *w, const cnode_ctrl *c, etf_view *out) {
    cnode_ctrl copy;
    int err;

    cnode__ctrl_copy(&copy, c);
    etf_writer_reset(w);
    err = cnode__ctrl_put(w, &copy, every_flag, false);
    return err != 0 ? err : etf_writer_finish(w, out);
}

/* As in a connection, what keeps links and monitors true may take twice as
 * much; and all of it must find room there, where each signal is some bytes
 * longer. */
static size_t limit_for(size_t max, cnode_signal signal) {
    max -= max / 8;
    return signal <= CNODE_SIG_ALIAS_SEND || signal == CNODE_SIG_SPAWN_REQUEST
               ? max
           : max > SIZE_MAX / 2 ? SIZE_MAX
                                : max * 2;
}

/* What a relation of two processes here comes to. There is no connection to
 * end when it is lost, and no more of it than there are relations. */
static bool must_fit(cnode_signal s) {
    return s == CNODE_SIG_UNLINK_ACK || s == CNODE_SIG_EXIT ||
           s == CNODE_SIG_DEMONITOR || s == CNODE_SIG_DOWN ||
           s == CNODE_SIG_SPAWN_REPLY;
}

/* peer NULL: from here to here. */
static bool is_full(const cnode *n, const cnode__peer *peer, const cn_buf *b,
                    cnode_signal signal) {
    size_t max = cnode__queue_max(n);
    size_t all = n->config.max_pending != 0 ? n->config.max_pending
                 : max > SIZE_MAX / 2       ? SIZE_MAX
                                            : max * 2;

    if (peer == NULL && must_fit(signal))
        return false;
    return cn__buf_size(b) > limit_for(max, signal) ||
           (peer != NULL && n->pending > limit_for(all, signal));
}

/* The opposite of cnode__freeze; what a signal does not have is zero. */
int cnode__thaw(cnode_ctrl *c, etf_reader *r, etf_view frame) {
    const char *why;

    cnode__ctrl_clear(c, CNODE_SIG_OTHER);
    return cnode__ctrl_get(c, r, frame, false, &why);
}

static int keep_frozen(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cn_buf *b = peer == NULL ? &n->local : &peer->pending;
    etf_view f;
    uint8_t *p;
    int err = cnode__freeze(&n->scratch, c, &f);

    if (err != 0)
        return err;
    if (f.len > UINT32_MAX)
        return CN_ELIMIT;
    if (is_full(n, peer, b, c->signal))
        return CN_EBUSY;
    p = cn__buf_reserve(b, f.len + 4);
    if (p == NULL)
        return CN_ENOMEM;
    (void)cn__put_bytes(cn__put32(p, (uint32_t)f.len), f.data, f.len);
    cn__buf_commit(b, f.len + 4);
    if (peer != NULL)
        cnode__peer_weigh(peer);
    cnode__wake(n);
    return 0;
}

static int route_pending(cnode__peer *p, const cnode_ctrl *c) {
    int err;

    if (p->node->closing || p->node->leaving || !p->node->named)
        return CN_ENOCONN; /* its own pids have no name to go out with */
    err = cnode__peer_want(p);
    return err != 0 ? err : keep_frozen(p->node, p, c);
}

/* Our own identifiers go without the name of the node, which may change. */
static int route_here(cnode *n, const cnode_ctrl *c) {
    cnode_ctrl local;

    cnode__ctrl_copy(&local, c);
    cnode__make_local(n, &local);
    return keep_frozen(n, NULL, &local);
}

static bool is_up(const cnode__peer *p) {
    return p->up != NULL && !p->up->failed;
}

static int sent_up(cnode__peer *p, cnode_signal signal, int err) {
    if (err == 0)
        cnode__wire_dirty(p->up);
    if (err == 0 && signal <= CNODE_SIG_ALIAS_SEND)
        p->node->stats.messages_out++, p->counts.messages_out++;
    return err;
}

static int route_up(cnode__peer *p, const cnode_ctrl *c) {
    return sent_up(p, c->signal, cnode_conn_send(p->up->conn, c));
}

static const char *why_not(const cnode *n, const cnode__peer *p, int err) {
    if (err == CN_ENOTALLOWED)
        return CNODE__DENIED;
    if (err == CN_ENOCONN && !n->named)
        return "this node has no name yet: it gets one from the first node "
               "that cnode_connect reaches";
    if (err == CN_ENOCONN && n->leaving)
        return "this node leaves";
    return err == CN_EBUSY && p != NULL && !cnode__peer_on_the_way(p)
               ? "too many nodes are being connected to already"
               : cn_strerror(err);
}

/* err is what became of it. */
static int routed(cnode *n, cnode__peer *peer, cnode_signal signal, int err) {
    n->creation_used = true;
    if (peer != NULL) {
        cnode__stats_routed(peer, err);
        cnode__drain_note(peer, signal, err);
    }
    if (err == 0)
        return 0;
    cnode__set_error(n, err, "%s: %s", peer == NULL ? n->name : peer->name,
                     why_not(n, peer, err));
    return err;
}

int cnode__route(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    int err;

    if (peer == NULL)
        err = route_here(n, c);
    else if (is_up(peer))
        err = route_up(peer, c);
    else
        err = route_pending(peer, c);
    return routed(n, peer, c->signal, err);
}

int cnode__route_shared(cnode__peer *peer, const cnode_ctrl *c,
                        const cn_slice *v, size_t nv,
                        void (*release)(void *arg), void *arg) {
    int err = cnode_conn_send_shared(peer->up->conn, c, v, nv, release, arg);

    return routed(peer->node, peer, c->signal, sent_up(peer, c->signal, err));
}

int cnode__route_brief(cnode__peer *peer, const cnode__brief *m) {
    int err = cnode__conn_brief(peer->up->conn, m);

    if (err == 1)
        return 1;
    return routed(peer->node, peer, CNODE_SIG_SEND,
                  sent_up(peer, CNODE_SIG_SEND, err));
}

bool cnode__tell(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    int err;

    if (peer != NULL && !cnode__peer_on_the_way(peer))
        return true; /* it was lost, and with it whom this was for */
    if (peer != NULL && (n->closing || (n->leaving && !is_up(peer))))
        return true; /* the end of the connection tells it all */
    err = cnode__route(n, peer, c);
    if (err == 0 || err == CN_ENOTSUP)
        return true; /* such a peer keeps no links or monitors to tell about */
    cn__log(&n->config.log, CN_LOG_ERROR, "node", "a signal was lost: %s",
            n->error.text);
    if (peer == NULL)
        cnode__unheard(n, c);
    else if (peer->up != NULL)
        cnode__wire_fail(peer->up, err, 0, CNODE__LOST_SIGNAL);
    else
        peer->incomplete = true;
    return false;
}

void cnode__answered(cnode *n, const char *node, int err) {
    const cnode__peer *p = cn__map_get(&n->peers, node, strlen(node));

    bool cut = p != NULL && p->up != NULL && !p->up->failed;

    if (err == 0)
        return;
    if (cut || cnode__seldom(n, &n->quiet_lost))
        cn__log(&n->config.log, CN_LOG_ERROR, "node", "an answer was lost: %s",
                n->error.text);
    if (cut)
        cnode__wire_fail(p->up, err, 0, CNODE__LOST_SIGNAL);
}
