/* SPDX-License-Identifier: Apache-2.0
 *
 * leave.c: taking leave of all other nodes in good order.
 *
 * Nobody is let in any more, and nothing new is sent. Connections end as after
 * cnode_disconnect; one that is still being made, because something waits for
 * it, is made first. It is over when no socket is left, or the time is.
 */
#include "cnode/node.h"

enum { LEAVE_MS = 5000 };

#define LEAVES "this node leaves"

void cnode__leave_wire(cnode__wire *w) {
    const cnode__peer *p = w->peer;

    if (p != NULL && p->up == w)
        cnode__wire_fail(w, 0, 0, LEAVES);
    else if (p == NULL || cn__buf_size(&p->pending) == 0)
        cnode__wire_fail(w, w->dialled ? CN_ECLOSED : CN_ECANCELED, 0, LEAVES);
}

static void for_all_wires(cnode *n, void (*fn)(cnode__wire *w)) {
    for (cnode__list *l = n->wires.next; l != &n->wires; l = l->next)
        fn(cnode__list_of(cnode__wire, in_node, l));
}

static void end_keeping(cnode *n) {
    cnode__peer *p;
    size_t at = 0;

    while ((p = cn__map_next(&n->peers, &at)) != NULL)
        if (cnode__keep_end(p)) {
            cnode__list_leave(&p->in_born);
            cnode__list_add(&n->born, &p->in_born); /* which looks at it */
        }
}

static void fail_late(cnode__wire *w) {
    cnode__wire_fail(w, CN_ETIMEDOUT, 0, LEAVES);
}

static void on_late(cnode__timer *t) {
    cnode *n = cnode__list_of(cnode, leave_timer, t);

    n->late = true;
    for_all_wires(n, fail_late);
    cnode__wake(n);
}

int cnode_leave(cnode *n, uint32_t timeout_ms, cnode_leave_cb cb, void *data) {
    int err;

    if (n->leaving || n->closing)
        return cnode__err(n, CN_ECLOSED, "the node leaves already");
    err = cnode__timer_make(&n->timers, &n->leave_timer, on_late);
    if (err != 0)
        return cnode__err(n, err, "out of memory");
    n->leaving = true;
    n->late = false;
    n->unsent = 0;
    n->leave_cb = cb;
    n->leave_data = data;
    n->leave_at =
        cnode__now(n) + (timeout_ms == 0 ? (uint32_t)LEAVE_MS : timeout_ms);
    cnode__timer_arm(&n->timers, &n->leave_timer, n->leave_at);
    if (n->shell->unlisten != NULL)
        n->shell->unlisten(n->shell_ctx);
    cnode__discover_end(n);
    end_keeping(n);
    for_all_wires(n, cnode__leave_wire);
    cnode__wake(n);
    return 0;
}

static void judge(const cnode *n, cn_error *why) {
    *why = (cn_error){0};
    if (n->closing)
        (void)cn__fail(why, CN_ECLOSED, 0, "the node is closing");
    else if (n->late)
        (void)cn__fail(why, CN_ETIMEDOUT, 0,
                       "not all had taken what was sent to them in time; %zu "
                       "bytes are lost",
                       n->unsent);
    else if (n->unsent > 0)
        (void)cn__fail(why, CN_ENOCONN, 0, "%zu bytes could not be sent",
                       n->unsent);
}

void cnode__left(cnode *n) {
    cn_error why;
    bool lingers = n->shell->lingering != NULL && !n->closing &&
                   n->shell->lingering(n->shell_ctx) > 0;

    if (!n->leaving || n->left || lingers || !cnode__list_empty(&n->wires))
        return;
    n->left = true;
    cnode__timer_drop(&n->timers, &n->leave_timer);
    judge(n, &why);
    cn__log(&n->config.log, why.code == 0 ? CN_LOG_INFO : CN_LOG_WARN, "node",
            "%s has left%s%s", n->name, why.code == 0 ? "" : ": ", why.text);
    if (n->leave_cb != NULL)
        n->leave_cb(n, why.code, &why, n->leave_data);
}
