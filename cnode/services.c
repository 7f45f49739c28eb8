/* SPDX-License-Identifier: Apache-2.0
 *
 * services.c: the processes that other nodes expect on every node.
 *
 *   net_kernel          says yes to net_adm:ping
 *   rex                 features_request; block_call, call, cast and sbcast
 *                       of old
 *   user                group leader where a call names none, in io.c
 *   logger_proxy        log events of processes whose group leader is here, in
 *                       io_event.c
 *   global_name_server  visible nodes only, in global*.c
 */
#include <string.h>

#include "cnode/io_parts.h"
#include "cnode/node.h"

/* --- net_kernel ---------------------------------------------------------- */

/* OTP's net_kernel ignores what it does not know, and so does this one. */
static void on_net_kernel_call(cnode_proc *self, const cnode_from *from,
                               etf_view request, void *data) {
    (void)data;
    if (etf_match(request, "{is_auth, _}") == 0)
        cnode__answer(self, from, "yes");
}

/* --- rex ----------------------------------------------------------------- */

/* A call that rex has passed on to the function. */
typedef struct rex_call {
    cnode__list in_rex;
    cnode_from from; /* the tag is a copy; empty: answer {rex, Result} */
} rex_call;

typedef struct rex {
    cnode__list calls;
} rex;

static void free_rex_call(cnode *n, rex_call *r) {
    cnode__list_leave(&r->in_rex);
    etf_copy_free(&n->alloc, r->from.tag);
    cn__free(&n->alloc, r, 1, sizeof *r);
}

static void on_rex_end(cnode_proc *self, etf_view reason, void *data) {
    cnode *n = self->node;
    rex *x = data;
    rex_call *r;

    (void)reason;
    while ((r = cnode__list_first(rex_call, in_rex, &x->calls)) != NULL)
        free_rex_call(n, r);
    cn__free(&n->alloc, x, 1, sizeof *x);
}

static void answer_rex(cnode_proc *self, const cnode_from *from,
                       etf_view value) {
    cnode__answered(self->node, from->pid.node,
                    from->tag.len > 0
                        ? cnode_reply(self, from, "~t", value)
                        : cnode_send(self, &from->pid, "{rex, ~t}", value));
}

static void refuse_rex(cnode_proc *self, const cnode_from *from,
                       const char *reason) {
    uint8_t buf[64];
    etf_writer w;
    etf_view value = {NULL, 0};

    etf_writer_init_fixed(&w, buf, sizeof buf);
    (void)etf_pack(&w, "{badrpc, {'EXIT', ~a}}", reason);
    (void)etf_writer_finish(&w, &value);
    answer_rex(self, from, value);
}

/* rpc:call returns what was thrown, and badrpc for other exceptions. Nothing:
 * there was no memory for it. */
static void put_rex_exception(etf_writer *w, etf_view result) {
    etf_view reason, stack;

    if (etf_match(result, "{throw, ~t, _}", &reason) == 0)
        etf_put_term(w, reason);
    else if (etf_match(result, "{exit, ~t, _}", &reason) == 0)
        (void)etf_pack(w, "{badrpc, {'EXIT', ~t}}", reason);
    else if (etf_match(result, "{error, ~t, ~t}", &reason, &stack) == 0)
        (void)etf_pack(w, "{badrpc, {'EXIT', {~t, ~t}}}", reason, stack);
    else if (result.len > 0)
        (void)etf_pack(w, "{badrpc, {'EXIT', ~t}}", result);
}

static void on_rex_result(cnode_proc *self, int status, etf_view result,
                          void *data) {
    cnode *n = self->node;
    rex_call *r = data;
    etf_writer w;
    etf_view value = result;

    etf_writer_init(&w, &n->alloc);
    if (status != 0) {
        put_rex_exception(&w, result);
        if (etf_writer_finish(&w, &value) != 0)
            value.len = 0;
    }
    if (value.len > 0)
        answer_rex(self, &r->from, value);
    else
        refuse_rex(self, &r->from, "system_limit");
    etf_writer_free(&w);
    free_rex_call(n, r);
}

static int apply_here(cnode_proc *self, etf_view module, etf_view function,
                      etf_view args, rex_call *r) {
    char m[CNODE__ATOM_TEXT], f[CNODE__ATOM_TEXT];
    cnode_rpc_opts o = {.node = self->node->name,
                        .module = m,
                        .function = f,
                        .timeout_ms = UINT32_MAX};

    if (!cnode__string_of(module, m, sizeof m) ||
        !cnode__string_of(function, f, sizeof f))
        return cnode__err(self->node, CN_ENOENT, "no function has such a name");
    return r == NULL ? cnode_rpc_cast(self, &o, "~t", args)
                     : cnode_rpc(self, &o, on_rex_result, r, "~t", args);
}

/* Nobody can have exported it. */
static void refuse_undef(cnode_proc *self, const cnode_from *from,
                         etf_view module, etf_view function, etf_view args) {
    etf_writer w;
    etf_view value;

    etf_writer_init(&w, &self->node->alloc);
    (void)etf_pack(&w, "{badrpc, {'EXIT', {undef, [{~a, ~a, ~t, []}]}}}",
                   module, function, args);
    if (etf_writer_finish(&w, &value) == 0)
        answer_rex(self, from, value);
    else
        refuse_rex(self, from, "system_limit");
    etf_writer_free(&w);
}

static void run_rex_call(cnode_proc *self, rex *x, const cnode_from *from,
                         etf_view module, etf_view function, etf_view args) {
    cnode *n = self->node;
    rex_call *r = cn__calloc(&n->alloc, 1, sizeof *r);
    int err = r == NULL ? CN_ENOMEM : 0;

    if (err == 0) {
        cnode__list_add(&x->calls, &r->in_rex);
        r->from.pid = from->pid;
        if (from->tag.len > 0)
            err = etf_copy(&n->alloc, from->tag, &r->from.tag);
    }
    if (err == 0)
        err = apply_here(self, module, function, args, r);
    if (err == 0)
        return;
    if (err == CN_ENOENT)
        refuse_undef(self, from, module, function, args);
    else
        refuse_rex(self, from, "system_limit");
    if (r != NULL)
        free_rex_call(n, r);
}

static void on_rex_call(cnode_proc *self, const cnode_from *from,
                        etf_view request, void *data) {
    etf_view m, f, a;

    if (etf_match(request, "{block_call, ~a, ~a, ~t, _}", &m, &f, &a) == 0 ||
        etf_match(request, "{call, ~a, ~a, ~t, _}", &m, &f, &a) == 0)
        run_rex_call(self, data, from, m, f, a);
    else
        refuse_rex(self, from, "badarg");
}

/* False: what rex was to pass on is lost. */
static bool passed_on(cnode_proc *self, int err) {
    if (err != 0)
        cnode__drop_message(self, self->node->error.text);
    return err == 0;
}

static void on_rex_cast(cnode_proc *self, etf_view request, void *data) {
    etf_view m, f, a;

    (void)data;
    if (etf_match(request, "{cast, ~a, ~a, ~t, _}", &m, &f, &a) == 0)
        (void)passed_on(self, apply_here(self, m, f, a, NULL));
}

static bool find_named(cnode *n, etf_view name, etf_pid *out) {
    const cnode_proc *p = cnode__proc_named(n, name);

    if (p != NULL)
        *out = cnode__pid_of(n, p->number);
    return p != NULL;
}

static void tell_got(cnode_proc *self, const etf_pid *from) {
    const char *node = self->node->name;

    cnode__answered(self->node, from->node,
                    cnode_send(self, from, "{rex, ~a, ~a}", node, node));
}

static void tell_missing(cnode_proc *self, const etf_pid *from, etf_view name) {
    cnode__answered(self->node, from->node,
                    cnode_send(self, from, "{rex, ~a, {nonexisting_name, ~a}}",
                               self->node->name, name));
}

/* What is passed on may be for rex, and have another one inside, and so on: it
 * goes by the list of signals, so that takes no stack. */
static void on_rex_sbcast(cnode_proc *self, const etf_pid *from, etf_view name,
                          etf_view message) {
    etf_pid to;

    if (find_named(self->node, name, &to) &&
        passed_on(self, cnode_send(self, &to, "~t", message)))
        tell_got(self, from);
    else
        tell_missing(self, from, name);
}

/* It is up to the other one to answer. */
static void on_rex_send(cnode_proc *self, const etf_pid *from, etf_view name,
                        etf_view message) {
    etf_pid to;

    if (!find_named(self->node, name, &to) ||
        !passed_on(self, cnode_send(self, &to, "{~p, ~t}", from, message)))
        tell_missing(self, from, name);
}

/* Nothing waits for it in OTP 25 and later. */
static void answer_features(cnode_proc *self, const etf_pid *from) {
    (void)passed_on(self, cnode_send(self, from, "{features_reply, ~a, [erpc]}",
                                     self->node->name));
}

static void on_rex_message(cnode_proc *self, const cnode_msg *m, void *data) {
    cnode_from from = {.tag = {NULL, 0}};
    etf_view a, b, c;

    if (etf_match(m->term, "{~p, features_request}", &from.pid) == 0)
        answer_features(self, &from.pid);
    else if (etf_match(m->term, "{~p, {send, ~a, ~t}}", &from.pid, &a, &b) == 0)
        on_rex_send(self, &from.pid, a, b);
    else if (etf_match(m->term, "{~p, {sbcast, ~a, ~t}}", &from.pid, &a, &b) ==
             0)
        on_rex_sbcast(self, &from.pid, a, b);
    else if (etf_match(m->term, "{~p, {call, ~a, ~a, ~t, _}}", &from.pid, &a,
                       &b, &c) == 0)
        run_rex_call(self, data, &from, a, b, c);
}

/* --- all ----------------------------------------------------------------- */

static int start_rex(cnode *n) {
    rex *x = cn__calloc(&n->alloc, 1, sizeof *x);
    const cnode_proc_config c = {.name = "rex",
                                 .on_message = on_rex_message,
                                 .on_call = on_rex_call,
                                 .on_cast = on_rex_cast,
                                 .on_end = on_rex_end,
                                 .data = x};
    int err;

    if (x == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    cnode__list_init(&x->calls);
    err = cnode__spawn_lasting(n, &c, NULL);
    if (err != 0)
        cn__free(&n->alloc, x, 1, sizeof *x);
    return err;
}

int cnode__services(cnode *n) {
    const cnode_proc_config net_kernel = {.name = "net_kernel",
                                          .on_call = on_net_kernel_call};
    int err = cnode__spawn_lasting(n, &net_kernel, NULL);

    if (err == 0)
        err = start_rex(n);
    if (err == 0)
        err = cnode__user(n);
    if (err == 0)
        err = cnode__logger_proxy(n);
    if (err == 0 && n->config.visible)
        err = cnode__global_start(n);
    return err;
}
