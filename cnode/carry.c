/* SPDX-License-Identifier: Apache-2.0
 *
 * carry.c: signals that came from other threads, in the thread of the loop.
 * They are routed as those that are sent here are; but nobody is there any
 * more who could be told CN_EBUSY. So a signal to a peer that takes no more
 * is held, with all that come behind it, until the peer takes them, and the
 * threads are told CN_EBUSY from then on: what is held is what was accepted
 * before. The local queue is as a peer.
 */
#include <string.h>

#include "base/bytes.h"
#include "cnode/node.h"

/* What waits for one peer. */
struct cnode__hold {
    cnode__list in_node;
    cnode *node;
    cnode__peer *peer; /* NULL: this node; else held */
    cn_buf frames;     /* each with its length in front */
};

static const char *name_of(const cnode__hold *h) {
    return h->peer == NULL ? "" : h->peer->name;
}

static cnode__hold **place_of(cnode *n, cnode__peer *peer) {
    return peer == NULL ? &n->hold : &peer->hold;
}

static void tell_threads(const cnode__hold *h, bool busy) {
    const cnode__shell *shell = h->node->shell;

    if (shell->busy != NULL)
        shell->busy(h->node->shell_ctx, name_of(h), busy);
}

static int route(cnode *n, cnode__peer *peer, etf_view frame) {
    cnode_ctrl c;
    etf_reader r;
    int err = cnode__thaw(&c, &r, frame);

    if (err != 0)
        return err;
    c.from = cnode__pid_of(n, cnode__number_of(&c.from));
    err = cnode__route(n, peer, &c);
    if (err == CN_EBUSY && peer != NULL)
        peer->counts.refused--; /* it is held: nobody was refused */
    return err;
}

static void lose(cnode *n) {
    cnode__stats_dropped(n, CNODE_DROP_THREAD);
    cn__log(&n->config.log, CN_LOG_ERROR, "node",
            "a message from another thread was lost: %s", n->error.text);
}

/* --- holding ------------------------------------------------------------- */

static cnode__hold *new_hold(cnode *n, cnode__peer *peer) {
    cnode__hold *h = cn__calloc(&n->alloc, 1, sizeof *h);

    if (h == NULL)
        return NULL;
    h->node = n;
    h->peer = peer;
    cn__buf_init(&h->frames, &n->alloc);
    cnode__list_add(&n->holds, &h->in_node);
    *place_of(n, peer) = h;
    if (peer != NULL)
        cnode__peer_hold(peer);
    tell_threads(h, true);
    return h;
}

static void free_hold(cnode__hold *h) {
    cnode *n = h->node;
    cnode__peer *peer = h->peer;

    tell_threads(h, false);
    *place_of(n, peer) = NULL;
    cnode__list_leave(&h->in_node);
    cn__buf_free(&h->frames);
    cn__free(&n->alloc, h, 1, sizeof *h);
    if (peer == NULL)
        return;
    cnode__drain_check(peer); /* threads may send to it again */
    cnode__peer_let_go(peer);
}

static int keep(cnode__hold *h, etf_view frame) {
    uint8_t *p;

    if (frame.len > UINT32_MAX)
        return CN_ELIMIT;
    p = cn__buf_reserve(&h->frames, frame.len + 4);
    if (p == NULL)
        return CN_ENOMEM;
    (void)cn__put_bytes(cn__put32(p, (uint32_t)frame.len), frame.data,
                        frame.len);
    cn__buf_commit(&h->frames, frame.len + 4);
    return 0;
}

static void hold(cnode *n, cnode__peer *peer, etf_view frame) {
    cnode__hold *h = *place_of(n, peer);

    if (h == NULL)
        h = new_hold(n, peer);
    if (h != NULL && keep(h, frame) == 0)
        return;
    cnode__set_error(n, CN_ENOMEM, "out of memory");
    lose(n);
}

void cnode__carried(cnode *n, const char *node, etf_view frame) {
    cnode__peer *peer;
    int err;

    if (cnode__find_peer(n, node[0] == '\0' ? NULL : node, &peer) != 0) {
        lose(n);
        return;
    }
    err = *place_of(n, peer) != NULL ? CN_EBUSY : route(n, peer, frame);
    if (err == CN_EBUSY)
        hold(n, peer, frame);
    else if (err != 0)
        lose(n);
}

void cnode__carry_refused(cnode *n, const char *node, uint64_t times) {
    cnode__peer *peer;

    if (cnode__find_peer(n, node, &peer) == 0 && peer != NULL)
        cnode__drain_refused(peer, times);
    else
        cn__log(&n->config.log, CN_LOG_ERROR, "node",
                "%s: it takes messages from other threads again, but out of "
                "memory on_drain cannot tell",
                node);
}

/* --- going on ------------------------------------------------------------ */

static bool go_on(cnode__hold *h) {
    cnode *n = h->node;
    bool moved = false;

    while (cn__buf_size(&h->frames) > 4) {
        const uint8_t *p = cn__buf_at(&h->frames);
        size_t len = cn__be32(p);
        int err = route(n, h->peer, (etf_view){p + 4, len});
        if (err == CN_EBUSY)
            return moved;
        if (err != 0)
            lose(n);
        moved = true;
        cn__buf_consume(&h->frames, len + 4, SIZE_MAX);
    }
    free_hold(h);
    return moved;
}

bool cnode__carry_on(cnode *n) {
    cnode__list now;
    cnode__hold *h;
    bool moved = false;

    if (cnode__list_empty(&n->holds))
        return false;
    cnode__list_move(&n->holds, &now);
    while ((h = cnode__list_first(cnode__hold, in_node, &now)) != NULL) {
        cnode__list_leave(&h->in_node);
        cnode__list_add(&n->holds, &h->in_node);
        moved |= go_on(h);
    }
    return moved;
}

void cnode__carry_end(cnode *n) {
    cnode__hold *h;

    while ((h = cnode__list_first(cnode__hold, in_node, &n->holds)) != NULL) {
        cn__log(&n->config.log, CN_LOG_ERROR, "node",
                "%s: messages from other threads were lost: the node is "
                "closing",
                name_of(h));
        free_hold(h);
    }
}
