/* SPDX-License-Identifier: Apache-2.0
 *
 * call_global.c: calls and casts to {global, Name}. A full node knows the
 * names itself; any other asks the node that the options name, and what is
 * left of the time goes to the call.
 */
#include "cnode/global.h"
#include "cnode/node.h"

/* --- calls --------------------------------------------------------------- */

typedef struct lookup {
    cnode__pending pending;
    cnode_proc *proc;
    cnode_call_cb cb;
    void *data;
    cnode_call_opts opts; /* only what is no pointer */
    uint64_t at;          /* when it began */
    etf_view request;     /* a copy */
} lookup;

static void free_lookup(lookup *l) {
    const cn_alloc *alloc = &l->proc->node->alloc;

    etf_copy_free(alloc, l->request);
    cn__free(alloc, l, 1, sizeof *l);
}

static void forget(lookup *l) {
    cnode__pending_leave(&l->pending);
    free_lookup(l);
}

static void proc_ended(cnode__pending *x) {
    free_lookup(cnode__list_of(lookup, pending, x));
}

static int make(cnode_proc *p, const cnode_call_opts *o, cnode_call_cb cb,
                void *data, etf_view request, lookup **out) {
    cnode *n = p->node;
    lookup *l =
        cnode__extra_of(p) == NULL ? NULL : cn__calloc(&n->alloc, 1, sizeof *l);

    if (l == NULL || etf_copy(&n->alloc, request, &l->request) != 0) {
        cn__free(&n->alloc, l, 1, sizeof *l);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    l->pending.ended = proc_ended;
    l->proc = p;
    l->cb = cb;
    l->data = data;
    l->opts = (cnode_call_opts){.timeout_ms = o->timeout_ms, .form = o->form};
    l->at = cnode__now(n);
    cnode__pending_add(p, &l->pending);
    *out = l;
    return 0;
}

static void tell(lookup *l, int status, etf_view result) {
    cnode_proc *p = l->proc;
    cnode_call_cb cb = l->cb;
    void *data = l->data;

    forget(l);
    if (cb != NULL)
        cb(p, status, result, data);
}

static void no_such_name(cnode_proc *p, void *arg) {
    uint8_t buf[16];

    cnode__set_error(p->node, CN_ENOPROC, "%s: no process has that global name",
                     p->node->peer_now);
    tell(arg, CN_ENOPROC, cnode__atom("noproc", buf, sizeof buf));
}

/* Of its time. 0 is the default, so the least is 1. */
static uint32_t what_is_left(const lookup *l) {
    uint32_t all =
        l->opts.timeout_ms == 0 ? (uint32_t)CNODE__CALL_MS : l->opts.timeout_ms;
    uint64_t gone = cnode__now(l->proc->node) - l->at;

    return all == UINT32_MAX ? all : gone >= all ? 1 : all - (uint32_t)gone;
}

/* The call itself; l is only its request then. */
static int call_found(lookup *l, const etf_pid *pid) {
    cnode_call_opts o = l->opts;

    o.pid = pid;
    o.timeout_ms = what_is_left(l);
    return cnode_call(l->proc, &o, l->cb, l->data, "~t", l->request);
}

static void on_answer(cnode_proc *p, int status, etf_view result, void *data) {
    etf_pid pid;

    if (status == 0 && etf_match(result, "~p", &pid) != 0) {
        no_such_name(p, data);
        return;
    }
    if (status == 0) {
        status = call_found(data, &pid);
        result.len = 0;
        if (status != 0 && p->node->error.code != status)
            cnode__set_error(p->node, status, "%s", cn_strerror(status));
    }
    if (status == 0)
        forget(data);
    else
        tell(data, status, result);
}

static int ask(cnode_proc *p, const cnode_call_opts *o, lookup *l) {
    const cnode_rpc_opts whereis = {.node = o->node,
                                    .module = "global",
                                    .function = "whereis_name",
                                    .timeout_ms = o->timeout_ms};

    if (p->node->config.full) /* but it does not know the name */
        return cnode_after(p, 0, no_such_name, l);
    return cnode_rpc(p, &whereis, on_answer, l, "[~a]", o->global);
}

static int check(cnode *n, const cnode_call_opts *o) {
    if (o->pid != NULL || o->server != NULL)
        return cnode__err(n, CN_EBADARG,
                          "give a server by pid, name or global name");
    if (!n->config.full && o->node == NULL)
        return cnode__err(n, CN_EBADARG,
                          "this node is not in `global`: say which node to ask "
                          "for '%.100s'",
                          o->global);
    return 0;
}

static bool known(cnode *n, const cnode_call_opts *o, etf_pid *pid) {
    return n->config.full && cnode_global_whereis(n, o->global, pid) == 0;
}

int cnode__call_global(cnode_proc *p, const cnode_call_opts *o,
                       cnode_call_cb cb, void *data, etf_view request) {
    lookup *l;
    etf_pid pid;
    int err = p->ended ? cnode__gone(p) : check(p->node, o);

    if (err == 0)
        err = make(p, o, cb, data, request, &l);
    if (err != 0)
        return err;
    if (known(p->node, o, &pid)) {
        err = call_found(l, &pid);
        forget(l);
    } else if ((err = ask(p, o, l)) != 0) {
        forget(l);
    }
    return err;
}

/* --- casts --------------------------------------------------------------- */

int cnode__cast_global(cnode_proc *p, const cnode_call_opts *o,
                       etf_view request) {
    cnode *n = p->node;
    const cnode_rpc_opts cast = {
        .node = o->node, .module = "gen_server", .function = "cast"};
    etf_view copy;
    etf_pid pid;
    int err = p->ended ? cnode__gone(p) : check(n, o);

    if (err != 0)
        return err;
    if (known(n, o, &pid))
        return cnode_send(p, &pid, "{'$gen_cast', ~t}", request);
    if (n->config.full)
        return 0; /* to nobody, as any cast may be */
    if (etf_copy(&n->alloc, request, &copy) != 0)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    err = cnode_rpc_cast(p, &cast, "[{global, ~a}, ~t]", o->global, copy);
    etf_copy_free(&n->alloc, copy);
    return err;
}
