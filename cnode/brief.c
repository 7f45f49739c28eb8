/* SPDX-License-Identifier: Apache-2.0
 *
 * brief.c: the short way of a message to a pid on a node that is connected,
 * from the thread of the loop and outside of a trace, as nearly all are. No
 * control message is filled only to be read again, and a binary is copied once,
 * right into the frame.
 *
 * Whatever is not as usual goes the way that everything can go: by process.c,
 * or from here on with the message that is packed already by cnode__route.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/same.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "cnode/node.h"
#include "ext_term/tags.h"

enum { LARGE = CNODE__FRAGMENT_SIZE / 2 };

/* The one that was sent to last, if it is that and connected. */
static cnode__peer *same_peer(const cnode *n, const etf_pid *to) {
    cnode__peer *p = n->last_peer;

    return p != NULL && n->last_peer_len == to->node_len &&
                   cn__same(p->name, to->node, to->node_len) && p->up != NULL &&
                   !p->up->failed
               ? p
               : NULL;
}

static bool is_traced(const cnode_proc *p) {
    return p->extra != NULL && p->extra->trace != NULL;
}

/* "~b" and a view: there is nothing to pack. Bytes that are nowhere are for
 * who packs to refuse. */
static bool is_binary(const etf_in *in, size_t count) {
    return count == 2 && in[0].type == ETF_ARG_STR && in[0].v.str != NULL &&
           strcmp(in[0].v.str, "~b") == 0 && in[1].type == ETF_ARG_VIEW &&
           in[1].v.view.len < LARGE &&
           (in[1].v.view.data != NULL || in[1].v.view.len == 0);
}

static void take_binary(cnode__brief *m, etf_view bytes) {
    (void)cn__put32(cn__put8(m->tag, ETF__BINARY), (uint32_t)bytes.len);
    m->tag_len = 5;
    m->term = bytes;
}

static int pack(cnode *n, const etf_in *in, size_t count, cnode__brief *m) {
    n->message_used = true;
    etf_writer_reset(&n->message);
    m->tag_len = 0;
    return cnode__pack(n, &n->message, "send", in, count, &m->term);
}

/* There is something about it, or its connection, that is not as usual. */
static int send_long(cnode_proc *p, cnode__peer *peer, const etf_pid *to,
                     cnode__brief *m, const etf_in *in, size_t count) {
    cnode *n = p->node;
    cnode_ctrl c;
    int err = m->tag_len == 0 ? 0 : pack(n, in, count, m);

    if (err != 0)
        return err;

    cnode__ctrl_clear(&c, CNODE_SIG_SEND);
    c.from = cnode__pid_of(n, p->number);
    cnode__copy_pid(&c.to, to);
    c.term = m->term;
    return cnode__route(n, peer, &c);
}

static int send_to(cnode_proc *p, cnode__peer *peer, const etf_pid *to,
                   const etf_in *in, size_t count) {
    const cnode *n = p->node;
    cnode__brief m;
    int err = 0;

    if (is_binary(in, count))
        take_binary(&m, in[1].v.view);
    else
        err = pack(p->node, in, count, &m);
    if (err != 0)
        return err;
    m.node = (etf_view){(const uint8_t *)n->name, strlen(n->name)};
    cnode__split_number(p->number, &m.id, &m.serial);
    m.creation = n->creation;
    m.to = to;
    err = cnode__route_brief(peer, &m);
    return err == 1 ? send_long(p, peer, to, &m, in, count) : err;
}

bool cnode__send_brief(cnode_proc *p, const etf_pid *to, const etf_in *in,
                       size_t count, int *err) {
    cnode *n = p->node;
    cnode__peer *peer;

    if (!n->shell->on_loop(n->shell_ctx) || p->ended || is_traced(p))
        return false;
    peer = same_peer(n, to);
    if (peer == NULL)
        return false;
    *err = send_to(p, peer, to, in, count);
    return true;
}
