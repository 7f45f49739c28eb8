/* SPDX-License-Identifier: Apache-2.0
 *
 * global.c: a visible node that stays outside `global`. Every Erlang node
 * that sees it sends init_connect; the answer in_sync lets global:sync/0 go
 * on without it. Because the name global_name_server then exists here, it
 * also has to keep locks: global:set_lock/1 asks all visible nodes.
 *
 * A lock is a resource and a requester, held by a set of pids: free or of the
 * same requester, it is given; it goes with the last of its holders.
 */
#include <string.h>

#include "cnode/global.h"
#include "cnode/node.h"

typedef struct holder {
    struct holder *next;
    etf_pid pid;
    etf_ref ref; /* of our monitor */
} holder;

typedef struct lock {
    struct lock *next;
    etf_view resource; /* copies */
    etf_view requester;
    holder *holders;
} lock;

typedef struct global {
    lock *locks;
} global;

static void drop_lock(cnode *n, lock **at) {
    lock *l = *at;

    *at = l->next;
    etf_copy_free(&n->alloc, l->resource);
    etf_copy_free(&n->alloc, l->requester);
    cn__free(&n->alloc, l, 1, sizeof *l);
}

static void drop_holder(cnode *n, holder **at) {
    holder *h = *at;

    *at = h->next;
    cn__free(&n->alloc, h, 1, sizeof *h);
}

static lock **find_lock(global *g, etf_view resource) {
    lock **at = &g->locks;

    while (*at != NULL && !etf_view_eq((*at)->resource, resource))
        at = &(*at)->next;
    return at;
}

static int add_holder(cnode_proc *self, lock *l, const etf_pid *pid) {
    holder *h = cn__calloc(&self->node->alloc, 1, sizeof *h);

    if (h == NULL)
        return CN_ENOMEM;
    h->pid = *pid;
    if (cnode_monitor_pid(self, pid, &h->ref) != 0) {
        cn__free(&self->node->alloc, h, 1, sizeof *h);
        return CN_ENOMEM;
    }
    h->next = l->holders;
    l->holders = h;
    return 0;
}

static lock *new_lock(cnode *n, global *g, etf_view resource,
                      etf_view requester) {
    lock *l = cn__calloc(&n->alloc, 1, sizeof *l);

    if (l == NULL)
        return NULL;
    if (etf_copy(&n->alloc, resource, &l->resource) != 0 ||
        etf_copy(&n->alloc, requester, &l->requester) != 0) {
        etf_copy_free(&n->alloc, l->resource);
        cn__free(&n->alloc, l, 1, sizeof *l);
        return NULL;
    }
    l->next = g->locks;
    g->locks = l;
    return l;
}

static bool no_memory(const cnode *n) {
    cn__log(&n->config.log, CN_LOG_ERROR, "global",
            "a lock is refused: out of memory");
    return false;
}

static bool set_lock(cnode_proc *self, global *g, const etf_pid *pid,
                     etf_view resource, etf_view requester) {
    cnode *n = self->node;
    lock *l = *find_lock(g, resource);

    if (l != NULL && !etf_view_eq(l->requester, requester))
        return false;
    if (l == NULL)
        l = new_lock(n, g, resource, requester);
    if (l == NULL)
        return no_memory(n);
    for (holder *h = l->holders; h != NULL; h = h->next)
        if (etf_pid_eq(&h->pid, pid))
            return true;
    if (add_holder(self, l, pid) == 0)
        return true;
    if (l->holders == NULL)
        drop_lock(n, &g->locks); /* the new one, which is the first */
    return no_memory(n);
}

static void del_lock(cnode_proc *self, global *g, const etf_pid *pid,
                     etf_view resource, etf_view requester) {
    lock **at = find_lock(g, resource);
    holder **h;

    if (*at == NULL || !etf_view_eq((*at)->requester, requester))
        return;
    h = &(*at)->holders;
    while (*h != NULL && !etf_pid_eq(&(*h)->pid, pid))
        h = &(*h)->next;
    if (*h != NULL) {
        (void)cnode_demonitor(self, &(*h)->ref);
        drop_holder(self->node, h);
    }
    if ((*at)->holders == NULL)
        drop_lock(self->node, at);
}

static void on_call(cnode_proc *self, const cnode_from *from, etf_view request,
                    void *data) {
    etf_view resource, requester;

    if (etf_match(request, "{set_lock, {~t, ~t}}", &resource, &requester) ==
        0) {
        bool got = set_lock(self, data, &from->pid, resource, requester);
        cnode__answered(self->node, from->pid.node,
                        cnode_reply(self, from, "~a", got ? "true" : "false"));
    } else if (etf_match(request, "{del_lock, {~t, ~t}}", &resource,
                         &requester) == 0) {
        del_lock(self, data, &from->pid, resource, requester);
        cnode__answered(self->node, from->pid.node,
                        cnode_reply(self, from, "true"));
    } else {
        cn__log(&self->node->config.log, CN_LOG_DEBUG, "global",
                "a request of %s is not answered: this node is not a member",
                from->pid.node);
    }
}

static void on_cast(cnode_proc *self, etf_view request, void *data) {
    cnode *n = self->node;
    etf_view node;

    (void)data;
    if (etf_match(request, "{init_connect, _, ~a, _}", &node) != 0 ||
        !etf_view_is(node, n->peer_now))
        return;
    cnode__answered(n, n->peer_now,
                    cnode_send_name(self, n->peer_now, "global_name_server",
                                    "{'$gen_cast', {in_sync, ~a, false}}",
                                    n->name));
}

static bool forget_monitor(cnode *n, lock *l, const etf_ref *ref) {
    for (holder **h = &l->holders; *h != NULL; h = &(*h)->next)
        if (etf_ref_eq(&(*h)->ref, ref)) {
            drop_holder(n, h);
            return true;
        }
    return false;
}

static void on_down(cnode_proc *self, const cnode_down *d, void *data) {
    global *g = data;

    for (lock **at = &g->locks; *at != NULL; at = &(*at)->next)
        if (forget_monitor(self->node, *at, &d->ref)) {
            if ((*at)->holders == NULL)
                drop_lock(self->node, at);
            return;
        }
}

static void on_end(cnode_proc *self, etf_view reason, void *data) {
    global *g = data;
    cnode *n = self->node;

    (void)reason;
    while (g->locks != NULL) {
        while (g->locks->holders != NULL)
            drop_holder(n, &g->locks->holders);
        drop_lock(n, &g->locks);
    }
    cn__free(&n->alloc, g, 1, sizeof *g);
}

/* Plain messages (whereis, lost_connection, ...) are for members. */
static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    (void)self;
    (void)m;
    (void)data;
}

int cnode__global(cnode *n) {
    global *g = cn__calloc(&n->alloc, 1, sizeof *g);
    const cnode_proc_config c = {.name = "global_name_server",
                                 .on_message = on_message,
                                 .on_call = on_call,
                                 .on_cast = on_cast,
                                 .on_down = on_down,
                                 .on_end = on_end,
                                 .data = g};
    int err = g == NULL ? CN_ENOMEM : cnode_spawn(n, &c, NULL);

    if (err != 0)
        cn__free(&n->alloc, g, 1, sizeof *g);
    return err;
}
