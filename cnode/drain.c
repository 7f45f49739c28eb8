/* SPDX-License-Identifier: Apache-2.0
 *
 * drain.c: back-pressure: what may wait for a peer, and when to go on.
 *
 *      0 ........ low_queue ........ max_queue ........ + max_parked
 *                 on_drain           CN_EBUSY, or       CN_EBUSY
 *                                    parked
 *
 * Whoever was told CN_EBUSY, or whose message was parked, is owed one call of
 * on_drain, when what waits has come down to low_queue. That is seen after
 * something was written, and when the connection and with it all that waited
 * is gone; what is held for it, from other threads, goes first. Parked messages
 * wait in the same queue as all others, so the order is kept; only the bound is
 * another.
 */
#include "cnode/node.h"

enum { DEFAULT_QUEUE = 256 << 20 };

static size_t high_mark(const cnode *n) {
    return n->config.max_queue == 0 ? DEFAULT_QUEUE : n->config.max_queue;
}

static size_t low_mark(const cnode *n) {
    size_t high = high_mark(n);
    size_t low = n->config.low_queue == 0 ? high / 2 : n->config.low_queue;

    return low < high ? low : high;
}

size_t cnode__queue_max(const cnode *n) {
    size_t high = high_mark(n), parked = n->config.max_parked;

    return high > SIZE_MAX - parked ? SIZE_MAX : high + parked;
}

static size_t level(const cnode__peer *p) {
    const cnode__wire *w = p->up;

    return cn__buf_size(&p->pending) +
           (w == NULL || w->conn == NULL ? 0 : cnode_conn_queued(w->conn));
}

bool cnode__is_parked(const cnode__peer *p) {
    return p->node->config.max_parked > 0 && level(p) > high_mark(p->node);
}

void cnode__drain_note(cnode__peer *p, cnode_signal signal, int err) {
    const cnode *n = p->node;

    if (p->drain_owed || n->config.on_drain == NULL ||
        signal > CNODE_SIG_ALIAS_SEND)
        return;
    if (err == CN_EBUSY)
        p->drain_owed = level(p) > low_mark(n);
    else if (err == 0)
        p->drain_owed = cnode__is_parked(p);
}

void cnode__drain_check(cnode__peer *p) {
    cnode *n = p->node;

    if (!p->drain_owed || p->hold != NULL || level(p) > low_mark(n))
        return;
    p->drain_owed = false;
    if (!cnode__list_empty(&p->in_drained))
        return; /* the call for the last time is still to come: one is enough */
    cnode__peer_hold(p);
    cnode__list_add(&n->drained, &p->in_drained);
    cnode__wake(n);
}

void cnode__drain_refused(cnode__peer *p, uint64_t times) {
    p->counts.refused += times;
    p->drain_owed = p->drain_owed || p->node->config.on_drain != NULL;
    cnode__drain_check(p);
}

void cnode__drain_run(cnode *n) {
    cnode__list now;
    cnode__peer *p;

    cnode__list_move(&n->drained, &now);
    while ((p = cnode__list_first(cnode__peer, in_drained, &now)) != NULL) {
        cnode__list_leave(&p->in_drained);
        if (!n->closing)
            n->config.on_drain(n, p->name, n->config.data);
        cnode__peer_let_go(p);
    }
}
