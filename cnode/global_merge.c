/* SPDX-License-Identifier: Apache-2.0
 *
 * global_merge.c: one table of names out of two, while both sides are locked.
 *
 * Each side goes through the names of the other: one that it does not know it
 * takes over. Where two processes have the same name, the node whose own name
 * is smaller decides, and the other does nothing: it has the method of its
 * process applied on that one's node, by erpc, as every node of OTP offers it,
 * and this one too. What has to be changed here and there is two lists of
 * operations; the other side gets its own as part of `resolved`.
 */
#include <string.h>

#include "cnode/global_parts.h"

static const etf_view nothing = {NULL, 0};

static const char *const methods[] = {
    [CNODE_GLOBAL_KILL] = "random_exit_name",
    [CNODE_GLOBAL_NOTIFY] = "random_notify_name",
    [CNODE_GLOBAL_NOTIFY_ALL] = "notify_all_name",
};
enum { METHODS = sizeof methods / sizeof methods[0] };

void cnode__merge_put_method(etf_writer *w, cnode_global_method method) {
    etf_put_export(w, "global", methods[method], 3);
}

/* --- applying methods ---------------------------------------------------- */

/* The default comes from Erlang as a closure of the module `global`, and no
 * other method does. -1: the method is not known here. */
static int method_of(etf_view term) {
    etf_view module, function;
    etf_reader r;
    etf_fun fun;
    uint8_t arity;

    etf_reader_init(&r, term);
    if (etf_peek(&r) == ETF_FUN) {
        etf_get_fun(&r, &fun);
        return r.err == 0 && etf_view_is(fun.module, "global")
                   ? (int)CNODE_GLOBAL_KILL
                   : -1;
    }
    etf_get_export(&r, &module, &function, &arity);
    if (r.err != 0 || !etf_view_is(module, "global"))
        return -1;
    for (int i = 0; i < METHODS; i++)
        if (etf_view_is(function, methods[i]))
            return i;
    return -1;
}

bool cnode__merge_method(etf_view term, cnode_global_method *out) {
    etf_view function;
    int method = -1;

    if (etf_match(term, "{global, ~a}", &function) != 0) {
        method = method_of(term);
    } else {
        for (int i = 0; i < METHODS; i++)
            if (etf_view_is(function, methods[i]))
                method = i;
    }
    if (method >= 0)
        *out = (cnode_global_method)method;
    return method >= 0;
}

static void told(cnode_proc *self, int err) {
    cnode *n = cnode_of(self);

    if (err != 0 && cnode__seldom(n, &n->global->quiet_names))
        cn__log(&n->config.log, CN_LOG_WARN, "global",
                "who has lost a name is not told: %s", n->error.text);
}

static void put_winner(cnode_proc *self, int method, etf_view name,
                       const etf_pid pids[2], etf_writer *result) {
    bool first = strcmp(pids[0].node, pids[1].node) < 0;
    const etf_pid *min = first ? &pids[0] : &pids[1];
    const etf_pid *max = first ? &pids[1] : &pids[0];

    if (method == CNODE_GLOBAL_NOTIFY_ALL) {
        told(self, cnode_send(self, min, "{global_name_conflict, ~t, ~p}", name,
                              max));
        told(self, cnode_send(self, max, "{global_name_conflict, ~t, ~p}", name,
                              min));
        etf_put_atom(result, "none");
        return;
    }
    if (method == CNODE_GLOBAL_NOTIFY)
        told(self, cnode_send(self, max, "{global_name_conflict, ~t}", name));
    else
        told(self, cnode_send_exit(self, max, "kill"));
    etf_put_pid(result, min);
}

/* Whoever asks can make these lines. */
static void log_clash(cnode__global *g, etf_view name, const etf_pid pids[2]) {
    cnode *n = g->node;
    char text[120];

    (void)etf_print(name, text, sizeof text);
    cn__log(&n->config.log, CN_LOG_INFO, "global",
            "the name %s is that of two processes, on %s and %s", text,
            pids[0].node, pids[1].node);
}

static void log_method(cnode__global *g, etf_view method) {
    char text[120];

    (void)etf_print(method, text, sizeof text);
    cn__log(&g->node->config.log, CN_LOG_WARN, "global",
            "what should decide about it is not known here: %s", text);
}

/* global:resolve_it(Method, Name, Pid1, Pid2). */
static int resolve_it(cnode_proc *self, etf_view args, etf_writer *result,
                      void *data) {
    cnode__global *g = self->node->global;
    etf_view method_term, name;
    etf_pid pids[2];
    int method;
    bool tells;

    (void)data;
    if (g == NULL)
        return cnode_raise(self, CNODE_ERROR, "undef");
    if (etf_match(args, "[~t, ~t, ~p, ~p]", &method_term, &name, &pids[0],
                  &pids[1]) != 0)
        return CN_EBADARG;
    tells = cnode__seldom(g->node, &g->quiet_clashes);
    method = method_of(method_term);
    if (tells)
        log_clash(g, name, pids);
    if (method >= 0)
        put_winner(self, method, name, pids, result);
    else
        etf_put_atom(result, "none");
    if (tells && method < 0)
        log_method(g, method_term);
    return 0;
}

/* --- merging ------------------------------------------------------------- */

static void go_on(cnode__global *g, cnode__member *m);

static void both_delete(cnode__global *g, etf_view name) {
    (void)etf_pack(&g->ops, "{delete, ~t}", name);
    (void)etf_pack(&g->his_ops, "{delete, ~t}", name);
}

/* About the entry g->clash; result empty: nobody could be asked. */
static void decide(cnode__global *g, etf_view result) {
    const cnode__gname *mine;
    etf_view name, method;
    etf_pid his, winner;
    bool has_winner;

    if (etf_match(g->clash, "{~t, ~p, ~t}", &name, &his, &method) != 0)
        return;
    mine = cnode__names_find(g, name);
    has_winner = etf_match(result, "~p", &winner) == 0;
    if (result.len == 0 || mine == NULL ||
        (has_winner && etf_pid_eq(&winner, &his)))
        (void)etf_pack(&g->ops, "{insert, ~t}", g->clash);
    else if (has_winner && cnode__gname_is(mine, &winner))
        (void)etf_pack(&g->his_ops, "{insert, {~t, ~t, ~t}}", mine->name,
                       mine->pid, mine->method);
    else
        both_delete(g, name);
}

static void on_decided(cnode_proc *p, int status, etf_view result, void *data) {
    cnode__global *g = p->node->global;

    if (g == NULL || g->him == NULL || g->merge != (uintptr_t)data)
        return; /* it was given up */
    if (status != 0)
        cn__log(&p->node->config.log, CN_LOG_WARN, "global",
                "who has a name could not be decided: %s", p->node->error.text);
    decide(g, status == 0 ? result : nothing);
    go_on(g, g->him);
}

/* Asks the node of the process that is known here. If that cannot be, the
 * connection ends, and the join with it. */
static void ask(cnode__global *g, cnode__member *m, const cnode__gname *mine,
                etf_view name, const etf_pid *his) {
    etf_pid own;
    cnode_rpc_opts o = {
        .module = "global", .function = "resolve_it", .timeout_ms = UINT32_MAX};
    /* A number, in the place of a pointer. */
    union {
        uintptr_t number;
        void *data;
    } u = {++g->merge};

    cnode__gname_pid(mine, &own);
    o.node = own.node;
    cnode__answered(g->node, m->name,
                    cnode_rpc(g->self, &o, on_decided, u.data,
                              "[~t, ~t, ~p, ~p]", mine->method, name, his,
                              &own));
}

/* True: it does not go on from here, but with an answer, or not at all. */
static bool take_entry(cnode__global *g, cnode__member *m, etf_view entry) {
    const cnode__gname *mine;
    etf_view name;
    etf_pid his;

    if (etf_match(entry, "{~t, ~p, _}", &name, &his) != 0) {
        cnode__global_bad(g, m, "exchange");
        return true;
    }
    mine = cnode__names_find(g, name);
    if (mine == NULL) {
        (void)etf_pack(&g->ops, "{insert, ~t}", entry);
        return false;
    }
    if (cnode__gname_is(mine, &his) || strcmp(g->node->name, m->name) > 0)
        return false;
    g->clash = entry;
    ask(g, m, mine, name, &his);
    return true;
}

static void finish(cnode__global *g, cnode__member *m) {
    cnode *n = g->node;
    etf_view ops, his_ops, known, ext;
    etf_writer w;
    size_t at;
    int err;

    etf_end_list(&g->ops);
    etf_end_list(&g->his_ops);
    etf_writer_init(&w, &n->alloc);
    cnode__members_put_known(g, &w, true);
    at = etf_writer_size(&w);
    cnode__names_put_ext(g, &w);
    err = etf_writer_finish(&w, &known);
    if (err == 0)
        err = etf_writer_finish(&g->ops, &ops);
    if (err == 0)
        err = etf_writer_finish(&g->his_ops, &his_ops);
    if (err == 0)
        err = etf_copy(&n->alloc, ops, &m->join->ops);
    if (err == 0) {
        ext = etf_view_of(known.data + at, known.len - at);
        known.len = at;
        m->join->merged = true;
        cnode__global_tell(
            g, m->name, "{'$gen_cast', {resolved, ~a, ~t, ~t, unused, ~t, ~i}}",
            n->name, his_ops, known, ext, m->join->his_tag);
    } else {
        cnode__answered(n, m->name, cnode__err(n, err, "out of memory"));
    }
    etf_writer_free(&w);
    if (err == 0)
        cnode__join_merged(g, m);
}

static void go_on(cnode__global *g, cnode__member *m) {
    etf_view entry;

    while (etf_list_next(&g->left, &entry))
        if (take_entry(g, m, entry))
            return;
    finish(g, m);
}

void cnode__merge_start(cnode__global *g, cnode__member *m) {
    g->merge++;
    if (etf_match(m->join->names, "~l", &g->left) != 0) {
        cnode__global_bad(g, m, "exchange");
        return;
    }
    cnode__next_term(&g->ops);
    cnode__next_term(&g->his_ops);
    etf_begin_list(&g->ops);
    etf_begin_list(&g->his_ops);
    go_on(g, m);
}

/* --- doing it ------------------------------------------------------------ */

static void insert(cnode__global *g, etf_view op, etf_view lock) {
    etf_view name, method;
    etf_pid pid;

    if (etf_match(op, "{insert, {~t, ~p, ~t}}", &name, &pid, &method) != 0)
        return;
    if (lock.len == 0 || cnode__lock_lets(g, lock))
        (void)cnode__names_insert(g, name, &pid, method, nothing);
    else /* as OTP does: who has lost the lock changes nothing */
        cnode__names_delete(g, name);
}

/* Which of them another node has registered for a third one. */
static void mark_external(cnode__global *g, etf_view ext) {
    etf_list list;
    etf_view e, name, node;
    etf_pid pid;

    if (etf_match(ext, "~l", &list) != 0)
        return;
    while (etf_list_next(&list, &e)) {
        cnode__gname *known;

        if (etf_match(e, "{~t, ~p, ~a}", &name, &pid, &node) != 0)
            continue;
        known = cnode__names_find(g, name);
        if (known != NULL && cnode__gname_is(known, &pid))
            cnode__names_set_ext(g, known, node);
    }
}

void cnode__merge_apply(cnode__global *g, etf_view ops, etf_view ext,
                        etf_view lock) {
    etf_list list, again;
    etf_view op, name;

    if (etf_match(ops, "~l", &list) != 0)
        return;
    again = list;
    while (etf_list_next(&list, &op))
        insert(g, op, lock);
    mark_external(g, ext);
    while (etf_list_next(&again, &op))
        if (etf_match(op, "{delete, ~t}", &name) == 0)
            cnode__names_delete(g, name);
}

/* --- life ---------------------------------------------------------------- */

int cnode__merge_init(cnode__global *g) {
    etf_writer_init(&g->ops, &g->node->alloc);
    etf_writer_init(&g->his_ops, &g->node->alloc);
    return cnode_export(g->node, "global", "resolve_it", 4, resolve_it, NULL);
}

void cnode__merge_free(cnode__global *g) {
    etf_writer_free(&g->ops);
    etf_writer_free(&g->his_ops);
}
