/* SPDX-License-Identifier: Apache-2.0
 *
 * signal.c: what a signal does when it arrives, from another node or from a
 * process here (peer NULL). Whatever is addressed to a process that is not
 * there is answered (link, monitor) or dropped, as the BEAM does; a signal
 * that pretends to come from a third node ends its connection.
 */
#include <string.h>

#include "cnode/control.h"
#include "cnode/node.h"

static bool from_peer(const cnode__peer *peer, const etf_pid *from) {
    return strlen(peer->name) == from->node_len &&
           memcmp(peer->name, from->node, from->node_len) == 0;
}

static void answer(cnode_ctrl *a, cnode_signal signal, const etf_pid *from,
                   const etf_pid *to) {
    cnode__ctrl_clear(a, signal);
    a->from = *from;
    a->to = *to;
}

/* --- messages ------------------------------------------------------------ */

/* A SEND does not tell who sent it. */
static const etf_pid *sender(const cnode_ctrl *c) {
    return c->from.node_len > 0 ? &c->from : NULL;
}

static void deliver(cnode *n, cnode__peer *peer, cnode_proc *p,
                    const cnode_ctrl *c, bool priority) {
    const cnode__message m = {.from = sender(c),
                              .term = c->term,
                              .token = c->token,
                              .priority = priority};

    if (p == NULL) {
        cnode__stats_dropped(n, CNODE_DROP_NOBODY);
        return;
    }
    if (peer != NULL)
        n->stats.messages_in++, peer->counts.messages_in++;
    cnode__deliver(p, &m);
}

static void got_alias_send(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cnode__waiter *w = cnode__waiter_find(n, &c->ref);
    bool priority = w != NULL && c->priority && w->alias_priority;
    cnode_proc *p;

    if (w != NULL && (w->kind == WAIT_CALL || w->kind == WAIT_REX)) {
        cnode__call_alias(w, c);
        return;
    }
    w = cnode__alias_find(n, &c->ref);
    p = w == NULL ? NULL : w->proc;
    if (w != NULL)
        cnode__alias_used(w);
    deliver(n, peer, p, c, priority);
}

/* Why what was asked for does not come to be: the process does not exist, or
 * there is no memory, which the log has too. */
static const char *why_not(const cnode *n, const cnode_proc *p,
                           const char *what) {
    if (p == NULL)
        return "noproc";
    cn__log(&n->config.log, CN_LOG_ERROR, "node",
            "%s: out of memory, refused %s", n->peer_now, what);
    return "system_limit";
}

/* --- links --------------------------------------------------------------- */

static void got_link(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cnode_proc *p = cnode__proc_of(n, &c->to);
    uint8_t buf[16];
    cnode_ctrl a;

    if (p != NULL && cnode__link_find(p, &c->from) != NULL)
        return; /* active already, or being unlinked from here */
    if (p != NULL && cnode__link_add(p, &c->from, peer) == 0) {
        if (peer == NULL)
            cnode__check_heard(n, c);
        return;
    }
    answer(&a, CNODE_SIG_EXIT, &c->to, &c->from);
    a.term = cnode__atom(why_not(n, p, "a link"), buf, sizeof buf);
    (void)cnode__tell(n, peer, &a);
}

/* Acknowledged in every case, before anything else goes to that process. */
static void got_unlink(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cnode_proc *p = cnode__proc_of(n, &c->to);
    cnode__link *l = p == NULL ? NULL : cnode__link_find(p, &c->from);
    cnode_ctrl a;

    if (l != NULL && l->unlink_id == 0)
        cnode__link_drop(l);
    answer(&a, CNODE_SIG_UNLINK_ACK, &c->to, &c->from);
    a.id = c->id;
    (void)cnode__tell(n, peer, &a);
}

static void got_unlink_ack(cnode *n, const cnode_ctrl *c) {
    cnode_proc *p = cnode__proc_of(n, &c->to);
    cnode__link *l = p == NULL ? NULL : cnode__link_find(p, &c->from);

    if (l != NULL && l->unlink_id == c->id)
        cnode__link_drop(l);
}

/* The other side may have had no memory for a link (why_not), and some for the
 * next one, which was asked for before the refusal of the first came here: what
 * is no link any more on this side must not stay one on that. */
static void unlink_refused(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cnode_ctrl a;

    if (etf_match(c->term, "system_limit") != 0)
        return;
    answer(&a, CNODE_SIG_UNLINK, &c->to, &c->from);
    a.id = n->next_unlink++;
    (void)cnode__tell(n, peer, &a);
}

static void got_exit(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cnode_proc *p = cnode__proc_of(n, &c->to);
    cnode__link *l = p == NULL ? NULL : cnode__link_find(p, &c->from);
    const cnode__exit e = {
        .from = &c->from, .reason = c->term, .token = c->token, .linked = true};
    bool active;

    if (l == NULL)
        return;
    active = l->unlink_id == 0;
    cnode__link_drop(l);
    if (!active)
        return;
    unlink_refused(n, peer, c);
    cnode__exit_signal(p, &e);
}

/* An alias is not used up by an exit signal, whatever its mode. */
static void got_exit2(cnode *n, const cnode_ctrl *c) {
    const cnode__waiter *w = c->to_alias ? cnode__alias_find(n, &c->ref) : NULL;
    const cnode__exit e = {.from = &c->from,
                           .reason = c->term,
                           .token = c->token,
                           .priority =
                               w != NULL && c->priority && w->alias_priority};
    cnode_proc *p = w != NULL     ? w->proc
                    : c->to_alias ? NULL
                    : c->by_name  ? cnode__proc_named(n, c->name)
                                  : cnode__proc_of(n, &c->to);

    if (p != NULL)
        cnode__exit_signal(p, &e);
}

/* --- group leaders ------------------------------------------------------- */

/* From is the new leader. */
static void got_group_leader(cnode *n, const cnode_ctrl *c) {
    cnode_proc *p = cnode__proc_of(n, &c->to);

    if (p != NULL && cnode__lead(p, &c->from) != 0)
        cn__log(&n->config.log, CN_LOG_ERROR, "node",
                "%s: out of memory, a process keeps its group leader",
                n->peer_now);
}

/* --- monitors ------------------------------------------------------------ */

static void got_monitor(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cnode_proc *p =
        c->by_name ? cnode__proc_named(n, c->name) : cnode__proc_of(n, &c->to);
    etf_view name = c->by_name ? c->name : (etf_view){NULL, 0};
    uint8_t buf[16];
    cnode_ctrl a;

    if (p != NULL && cnode__watch_add(p, peer, &c->ref, &c->from, name) == 0) {
        if (peer == NULL)
            cnode__check_heard(n, c);
        return;
    }
    answer(&a, CNODE_SIG_DOWN, &c->from, &c->from);
    if (!c->by_name)
        a.from = c->to;
    a.by_name = c->by_name;
    a.name = name;
    a.ref = c->ref;
    a.term = cnode__atom(why_not(n, p, "a monitor"), buf, sizeof buf);
    (void)cnode__tell(n, peer, &a);
}

static void got_demonitor(cnode *n, const cnode_ctrl *c) {
    cnode__watch *w = cnode__watch_find(n, &c->ref, &c->from);

    if (w != NULL)
        cnode__watch_drop(w);
}

static void got_down(cnode *n, const cnode__peer *peer, const cnode_ctrl *c) {
    cnode__waiter *w = cnode__waiter_find(n, &c->ref);

    if (w == NULL || w->peer != peer)
        return;
    if (w->kind == WAIT_MONITOR ||
        (w->kind == WAIT_SPAWN_MONITOR && !w->pending_reply))
        cnode__fire_down(w, c->term);
    else if (w->kind != WAIT_ALIAS && w->kind != WAIT_ALIAS_ONCE)
        cnode__call_down(w, c->term);
}

/* --- spawn replies ------------------------------------------------------- */

/* Nobody waits any more: undo what the request has made. Who asked for a link
 * and has ended is what the new process hears, by that link. */
static void abandon_spawned(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cnode__orphan *o = cnode__orphan_find(n, &c->ref);
    uint8_t buf[16];
    cnode_ctrl a;

    if (o != NULL && o->peer != peer)
        return;
    if (c->result.len == 0 && (c->id & CNODE_SPAWN_MONITOR)) {
        answer(&a, CNODE_SIG_DEMONITOR, &c->to, &c->from);
        a.ref = c->ref;
        (void)cnode__tell(n, peer, &a);
    }
    if (c->result.len == 0 && (c->id & CNODE_SPAWN_LINK)) {
        answer(&a, CNODE_SIG_EXIT, &c->to, &c->from);
        a.term = o != NULL ? (etf_view){o->reason, o->len}
                           : cnode__atom("noproc", buf, sizeof buf);
        (void)cnode__tell(n, peer, &a);
    }
    if (o != NULL)
        cnode__orphan_drop(n, o);
}

static void got_spawn_reply(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cnode__waiter *w = cnode__waiter_find(n, &c->ref);

    if (w == NULL)
        abandon_spawned(n, peer, c);
    else if (w->peer == peer && w->pending_reply)
        cnode__call_spawned(w, c);
}

/* --- all ----------------------------------------------------------------- */

static bool needs_peer_pid(const cnode_ctrl *c) {
    cnode_signal s = c->signal;

    return s == CNODE_SIG_LINK || s == CNODE_SIG_UNLINK ||
           s == CNODE_SIG_UNLINK_ACK || s == CNODE_SIG_EXIT ||
           (s == CNODE_SIG_EXIT2 && c->op != CNODE__OP_ALTACT_SIG_SEND) ||
           s == CNODE_SIG_MONITOR || s == CNODE_SIG_DEMONITOR ||
           s == CNODE_SIG_SPAWN_REQUEST ||
           (s == CNODE_SIG_SPAWN_REPLY && c->result.len == 0);
}

static int check(const cnode__peer *peer, const cnode_ctrl *c,
                 const char **why) {
    *why = "a signal claims to come from a third node";
    if (needs_peer_pid(c) && !from_peer(peer, &c->from))
        return CN_EPROTO;
    *why = "an unlink id of zero";
    if (c->signal == CNODE_SIG_UNLINK && c->id == 0)
        return CN_EPROTO;
    return 0;
}

/* Whoever it says it comes from: false, it is no message. */
static bool got_message(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    if (c->signal == CNODE_SIG_SEND)
        deliver(n, peer, cnode__proc_of(n, &c->to), c, false);
    else if (c->signal == CNODE_SIG_REG_SEND)
        deliver(n, peer, cnode__proc_named(n, c->name), c, false);
    else if (c->signal == CNODE_SIG_ALIAS_SEND)
        got_alias_send(n, peer, c);
    else
        return false;
    return true;
}

int cnode__signal(cnode *n, cnode__peer *peer, const cnode_ctrl *c,
                  const char **why) {
    int err;

    if (got_message(n, peer, c))
        return 0;
    err = peer == NULL ? 0 : check(peer, c, why);
    if (err != 0)
        return err;
    switch (c->signal) {
    case CNODE_SIG_LINK:
        got_link(n, peer, c);
        break;
    case CNODE_SIG_UNLINK:
        got_unlink(n, peer, c);
        break;
    case CNODE_SIG_UNLINK_ACK:
        got_unlink_ack(n, c);
        break;
    case CNODE_SIG_EXIT:
        got_exit(n, peer, c);
        break;
    case CNODE_SIG_EXIT2:
        got_exit2(n, c);
        break;
    case CNODE_SIG_MONITOR:
        got_monitor(n, peer, c);
        break;
    case CNODE_SIG_DEMONITOR:
        got_demonitor(n, c);
        break;
    case CNODE_SIG_DOWN:
        got_down(n, peer, c);
        break;
    case CNODE_SIG_SPAWN_REQUEST:
        cnode__spawn_request(n, peer, c);
        break;
    case CNODE_SIG_SPAWN_REPLY:
        got_spawn_reply(n, peer, c);
        break;
    case CNODE_SIG_GROUP_LEADER:
        got_group_leader(n, c);
        break;
    case CNODE_SIG_SEND:
    case CNODE_SIG_REG_SEND:
    case CNODE_SIG_ALIAS_SEND:
    case CNODE_SIG_OTHER:
    default:
        cn__log(&n->config.log, CN_LOG_WARN, "node",
                "%s: control message %s is not handled, dropped", n->peer_now,
                cnode__op_name(c->op));
    }
    return 0;
}
