/* SPDX-License-Identifier: Apache-2.0
 *
 * shared.c: messages with large binaries that are not copied: from the
 * program's memory they go to writev(2).
 *
 * A loan is what is remembered of such a message: the function that ends it,
 * and a copy of the bytes between the large ones. When the last of them is
 * written, or thrown away with its connection, it goes on a list, and the pump
 * tells the program. A message that goes nowhere at once (to this node, or to
 * one that is being connected to) is copied like any other, and its loan ends
 * in the next turn.
 */
#include <string.h>

#include "base/bytes.h"
#include "cnode/node.h"

typedef struct loan {
    cnode__list in_node;
    cnode *node;
    void (*release)(void *arg);
    void *arg;
    size_t size;
    size_t n;
    cn_slice v[];
    /* The copied bytes stand behind the slices. */
} loan;

static void end(cnode *n, loan *l) {
    void (*release)(void *) = l->release;
    void *arg = l->arg;

    cnode__list_leave(&l->in_node);
    cn__free(&n->alloc, l, 1, l->size);
    release(arg);
}

/* From a connection. While the node closes there is no other turn. */
static void on_released(void *arg) {
    loan *l = arg;
    cnode *n = l->node;

    if (n->closing) {
        end(n, l);
        return;
    }
    cnode__list_add(&n->loans, &l->in_node);
    cnode__wake(n);
}

void cnode__loans_run(cnode *n) {
    cnode__list now;
    loan *l;

    cnode__list_move(&n->loans, &now);
    while ((l = cnode__list_first(loan, in_node, &now)) != NULL)
        end(n, l);
}

static bool is_own(const etf_writer *w, const etf_view *v) {
    return v->data >= w->data && v->data < w->data + w->len;
}

static loan *new_loan(cnode *n, const etf_writer *w, size_t slices) {
    size_t size = sizeof(loan) + slices * sizeof(cn_slice) + w->len;
    loan *l = cn__calloc(&n->alloc, 1, size);

    if (l == NULL)
        return NULL;
    cnode__list_init(&l->in_node);
    l->node = n;
    l->size = size;
    return l;
}

/* The writer's own bytes are copied, for it can be used again at once. */
static void fill_loan(loan *l, const etf_writer *w, const etf_view *v,
                      size_t n) {
    uint8_t *room = (uint8_t *)(l->v + n);

    for (size_t i = 0; i < n; i++) {
        l->v[i] = (cn_slice){v[i].data, v[i].len};
        if (!is_own(w, &v[i]))
            continue;
        l->v[i].data = room;
        room = cn__put_bytes(room, v[i].data, v[i].len);
    }
    l->n = n;
}

static int make_loan(cnode *n, etf_writer *w, loan **out) {
    etf_view *v;
    size_t count;
    int err;

    *out = NULL;
    err = etf_writer_slices(w, NULL, 0, &count);
    if (err != 0 && err != CN_ELIMIT)
        return err;
    if (count == 0)
        return CN_EBADARG;
    v = cn__calloc(&n->alloc, count, sizeof *v);
    *out = v == NULL ? NULL : new_loan(n, w, count);
    if (*out == NULL)
        err = CN_ENOMEM;
    else
        err = etf_writer_slices(w, v, count, &count);
    if (err == 0)
        fill_loan(*out, w, v, count);
    cn__free(&n->alloc, v, count, sizeof *v);
    return err;
}

static int send_up(cnode__peer *peer, const cnode_ctrl *c, loan *l) {
    return cnode__route_shared(peer, c, l->v, l->n, on_released, l);
}

static int send_copy(cnode *n, cnode__peer *peer, cnode_ctrl *c, etf_writer *w,
                     loan *l) {
    int err = etf_writer_finish(w, &c->term);

    if (err == 0)
        err = cnode__route(n, peer, c);
    if (err == 0)
        on_released(l);
    return err;
}

static int send_shared(cnode_proc *p, const char *node, size_t node_len,
                       cnode_ctrl *c, etf_writer *w, void (*release)(void *arg),
                       void *arg) {
    cnode *n = p->node;
    cnode__peer *peer;
    loan *l;
    int err;

    if (!n->shell->on_loop(n->shell_ctx))
        return CN_EBUG;
    if (p->ended)
        return cnode__gone(p);
    err = cnode__find_peer_n(n, node, node_len, &peer);
    if (err != 0)
        return err;
    c->from = cnode__pid_of(n, p->number);
    err = make_loan(n, w, &l);
    if (err != 0)
        cnode__set_error(n, err, "send: %s", cn_strerror(err));
    if (err == 0) {
        l->release = release;
        l->arg = arg;
        err = peer != NULL && peer->up != NULL && !peer->up->failed
                  ? send_up(peer, c, l)
                  : send_copy(n, peer, c, w, l);
    }
    if (err != 0 && l != NULL)
        cn__free(&n->alloc, l, 1, l->size);
    return err;
}

/* --- public -------------------------------------------------------------- */

int cnode_send_shared(cnode_proc *p, const etf_pid *to, etf_writer *w,
                      void (*release)(void *arg), void *arg) {
    cnode_ctrl c = {.signal = CNODE_SIG_SEND, .to = *to};

    return send_shared(p, to->node, to->node_len, &c, w, release, arg);
}

int cnode_send_name_shared(cnode_proc *p, const char *node, const char *name,
                           etf_writer *w, void (*release)(void *arg),
                           void *arg) {
    cnode_ctrl c = {.signal = CNODE_SIG_REG_SEND};

    if (name == NULL && p->node->shell->on_loop(p->node->shell_ctx))
        return cnode__err(p->node, CN_EBADARG, "send: no name is given");
    if (name == NULL)
        return CN_EBUG;
    c.name = (etf_view){(const uint8_t *)name, strlen(name)};
    return send_shared(p, node, node == NULL ? 0 : strlen(node), &c, w, release,
                       arg);
}
