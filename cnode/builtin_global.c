/* SPDX-License-Identifier: Apache-2.0
 *
 * builtin_global.c: functions of the module `global` that other nodes, shells
 * and tools apply on a full node by rpc; on any other node they are undef. They
 * do what the manual of `global` says. A name is registered for a process of
 * any node, as there.
 *
 * Locks are not among them: one that is taken by rpc goes with the process that
 * has taken it, which is at once, on Erlang nodes too.
 */
#include "cnode/global_parts.h"

#define UNDEF(self) cnode_raise((self), CNODE_ERROR, "undef")

static cnode__global *global_of(const cnode_proc *self) {
    cnode__global *g = self->node->global;

    return g != NULL && g->full ? g : NULL;
}

/* --- what is known here -------------------------------------------------- */

static int registered_names_0(cnode_proc *self, etf_view args, etf_writer *out,
                              void *data) {
    size_t at = 0;
    etf_view name;

    (void)args, (void)data;
    if (global_of(self) == NULL)
        return UNDEF(self);
    etf_begin_list(out);
    while (cnode_global_next(self->node, &at, &name, NULL))
        etf_put_term(out, name);
    etf_end_list(out);
    return 0;
}

static int whereis_name_1(cnode_proc *self, etf_view args, etf_writer *out,
                          void *data) {
    etf_view name;
    etf_pid pid;

    (void)data;
    if (global_of(self) == NULL)
        return UNDEF(self);
    if (etf_match(args, "[~t]", &name) != 0)
        return CN_EBADARG;
    if (cnode_global_whereis_term(self->node, name, &pid) == 0)
        etf_put_pid(out, &pid);
    else
        etf_put_atom(out, "undefined");
    return 0;
}

static int send_2(cnode_proc *self, etf_view args, etf_writer *out,
                  void *data) {
    etf_view name, message;
    etf_pid pid;

    (void)data;
    if (global_of(self) == NULL)
        return UNDEF(self);
    if (etf_match(args, "[~t, ~t]", &name, &message) != 0)
        return CN_EBADARG;
    if (cnode_global_whereis_term(self->node, name, &pid) != 0)
        return cnode_raise(self, CNODE_EXIT, "{badarg, {~t, ~t}}", name,
                           message);
    (void)cnode_send(self, &pid, "~t", message);
    etf_put_pid(out, &pid);
    return 0;
}

/* --- what takes a while -------------------------------------------------- */

/* Not for what `no` says. */
static bool has_failed(int status) {
    return status != 0 && status != CN_EEXIST && status != CN_ENOPROC &&
           status != CN_ECANCELED;
}

static void on_done(cnode *n, int status, const cn_error *err, void *data) {
    cnode__promise *x = data;

    (void)err;
    cnode__promise_keep(n, x,
                        has_failed(status) ? NULL
                        : status == 0      ? x->yes
                                           : x->no);
}

/* What the call that began with it has returned. */
static int later(cnode_proc *self, cnode__promise *x, etf_writer *out,
                 int err) {
    if (err == 0)
        return CNODE_LATER;
    if (err == CN_EEXIST) {
        etf_put_atom(out, x->no);
        err = 0;
    } else if (err == CN_ELIMIT) {
        err = cnode_raise(self, CNODE_ERROR, "system_limit");
    }
    cn__free(&self->node->alloc, x, 1, sizeof *x);
    return err;
}

static int change_name(cnode_proc *self, etf_view args, etf_writer *out,
                       bool replace) {
    cnode_global_opts o = {.method = CNODE_GLOBAL_KILL, .replace = replace};
    etf_view name, method = {NULL, 0};
    etf_pid pid;
    cnode__promise *x;

    if (global_of(self) == NULL)
        return UNDEF(self);
    if (etf_match(args, "[~t, ~p]", &name, &pid) != 0 &&
        etf_match(args, "[~t, ~p, ~t]", &name, &pid, &method) != 0)
        return CN_EBADARG;
    if (method.len > 0 && !cnode__merge_method(method, &o.method))
        return CN_EBADARG;
    x = cnode__promise_new(self, "yes", "no");
    if (x == NULL)
        return CN_ENOMEM;
    return later(
        self, x, out,
        cnode__change_register(self->node, name, &pid, &o, on_done, x));
}

static int register_name(cnode_proc *self, etf_view args, etf_writer *out,
                         void *data) {
    (void)data;
    return change_name(self, args, out, false);
}

static int re_register_name(cnode_proc *self, etf_view args, etf_writer *out,
                            void *data) {
    (void)data;
    return change_name(self, args, out, true);
}

static int unregister_name_1(cnode_proc *self, etf_view args, etf_writer *out,
                             void *data) {
    etf_view name;
    cnode__promise *x;

    (void)data;
    if (global_of(self) == NULL)
        return UNDEF(self);
    if (etf_match(args, "[~t]", &name) != 0)
        return CN_EBADARG;
    x = cnode__promise_new(self, "ok", "ok");
    if (x == NULL)
        return CN_ENOMEM;
    return later(self, x, out,
                 cnode_global_unregister_term(self->node, name, on_done, x));
}

static int sync_0(cnode_proc *self, etf_view args, etf_writer *out,
                  void *data) {
    cnode__promise *x;

    (void)args, (void)data;
    if (global_of(self) == NULL)
        return UNDEF(self);
    x = cnode__promise_new(self, "ok", "ok");
    if (x == NULL)
        return CN_ENOMEM;
    return later(self, x, out, cnode__sync_all(self->node, on_done, x));
}

/* --- all ----------------------------------------------------------------- */

const cnode__builtin_fn cnode__builtins_global[] = {
    {"global", "registered_names", 0, {.fn = registered_names_0}},
    {"global", "whereis_name", 1, {.fn = whereis_name_1}},
    {"global", "send", 2, {.fn = send_2}},
    {"global", "register_name", 2, {.fn = register_name}},
    {"global", "register_name", 3, {.fn = register_name}},
    {"global", "re_register_name", 2, {.fn = re_register_name}},
    {"global", "re_register_name", 3, {.fn = re_register_name}},
    {"global", "unregister_name", 1, {.fn = unregister_name_1}},
    {"global", "sync", 0, {.fn = sync_0}},
    {NULL, NULL, 0, {NULL, NULL}},
};
