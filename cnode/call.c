/* SPDX-License-Identifier: Apache-2.0
 *
 * call.c: calls to other nodes. Each is a waiter with a reference:
 *
 *   gen_server:call  MONITOR with Ref, REG_SEND '$gen_call' with the tag
 *                    [alias|Ref]; ends with a message {Tag, Reply} to the
 *                    alias or to the pid, or with DOWN
 *   erpc:call        SPAWN_REQUEST of erpc:execute_call/4 with Ref; ends with
 *                    DOWN, whose reason {Ref, return, Value} is the answer
 *   spawn            SPAWN_REQUEST; ends with SPAWN_REPLY
 *
 * A timeout or a lost connection ends it too. Whatever comes first drops the
 * waiter, so the callback runs once.
 */
#include <string.h>

#include "cnode/control.h"
#include "cnode/node.h"
#include "cnode/sized.h"

static const etf_view nothing = {NULL, 0};

static void clear(cnode_ctrl *c, cnode_signal signal, const cnode_proc *p) {
    cnode__ctrl_clear(c, signal);
    c->from = cnode__pid_of(p->node, p->number);
}

static etf_view text_view(const char *text) {
    return (etf_view){(const uint8_t *)text, strlen(text)};
}

/* --- ends ---------------------------------------------------------------- */

static void end_call(cnode__waiter *w, int status, etf_view result) {
    cnode_proc *p = w->proc;
    cnode_call_cb cb = w->cb;
    void *data = w->data;

    cnode__waiter_drop(w);
    if (cb != NULL && !p->ended)
        cb(p, status, result, data);
}

enum { DETAIL = 120, DETAIL_OF = 64 * 1024 };

/* The beginning of a term as text, behind ": ", for a person; "" for none. */
static const char *detail(etf_view term, char out[DETAIL]) {
    size_t at = DETAIL - 4;

    out[0] = '\0';
    if (term.len == 0 || term.len > DETAIL_OF)
        return out;
    memcpy(out, ": ", 2);
    if (etf_print(term, out + 2, DETAIL - 2) < DETAIL - 2)
        return out;
    while (((uint8_t)out[at] & 0xc0) == 0x80) /* not within a character */
        at--;
    memcpy(out + at, "...", 4);
    return out;
}

static const char *node_of(const cnode__waiter *w) {
    return w->peer == NULL ? w->proc->node->name : w->peer->name;
}

/* Whom a call was made to, other than a function: its name there, or pid. */
static etf_view server_of(const cnode__waiter *w) {
    etf_view item = {w->item, w->item_len}, name;

    if (w->item_len == 0 || (w->kind != WAIT_CALL && w->kind != WAIT_REX))
        return nothing;
    return etf_match(item, "{~t, _}", &name) == 0 ? name : item;
}

static void tell(const cnode__waiter *w, int status, etf_view server,
                 etf_view result) {
    cnode *n = w->proc->node;
    char whom[DETAIL], what[DETAIL];

    cnode__set_error(n, status, "%.100s%s: %s%s", node_of(w),
                     detail(server, whom), cn_strerror(status),
                     status == CN_ENOPROC ? "" : detail(result, what));
}

static void call_done(cnode__waiter *w, int status, etf_view result) {
    if (status != 0)
        tell(w, status, server_of(w), result);
    end_call(w, status, result);
}

void cnode__call_lost(cnode__waiter *w, const cn_error *why) {
    cnode *n = w->proc->node;

    cnode__name_error(node_of(w), why, &n->error);
    if (why->code == 0) /* it was closed on purpose */
        n->error.code = CN_ENOCONN;
    end_call(w, n->error.code, nothing);
}

/* It watches no more, if it does. */
static void stop_watching(cnode__waiter *w) {
    if (w->item_len > 0 && w->kind != WAIT_SPAWN)
        cnode__send_demonitor(w);
}

void cnode__call_cancel(cnode__waiter *w) {
    stop_watching(w);
    cnode__waiter_drop(w);
}

void cnode__call_timer(cnode__timer *t) {
    cnode__waiter *w = cnode__list_of(cnode__waiter, timer, t);
    cnode *n = w->proc->node;

    stop_watching(w);
    n->peer_now = n->name;
    call_done(w, CN_ETIMEDOUT, nothing);
}

static void start_timer(cnode__waiter *w, uint32_t timeout_ms) {
    cnode *n = w->proc->node;

    if (timeout_ms == UINT32_MAX)
        return;
    if (timeout_ms == 0)
        timeout_ms = CNODE__CALL_MS;
    cnode__timer_arm(&n->timers, &w->timer, cnode__now(n) + timeout_ms);
    n->shell->wake(n->shell_ctx);
}

/* Ends a call with the term of a pattern. */
static void done_with(cnode__waiter *w, int status, const etf_in *in,
                      size_t count) {
    etf_writer out;
    etf_view term = nothing;

    etf_writer_init(&out, &w->proc->node->alloc);
    (void)etf_pack_args(&out, in, count);
    if (etf_writer_finish(&out, &term) != 0)
        status = CN_ENOMEM, term = nothing;
    call_done(w, status, term);
    etf_writer_free(&out);
}
#define DONE_WITH(w, status, ...) done_with((w), (status), ETF_INS(__VA_ARGS__))

/* --- gen_server ---------------------------------------------------------- */

static int pack_args(cnode *n, const etf_in *in, size_t count, etf_view *out) {
    etf_writer_reset(&n->packer);
    return cnode__pack(n, &n->packer, "arguments", in, count, out);
}

/* Is there a function to ask another node for? what: the call. */
static int check_function(cnode *n, const char *what, const char *module,
                          const char *function) {
    if (module == NULL || function == NULL)
        return cnode__err(n, CN_EBADARG, "%s: no .%s is given", what,
                          module == NULL ? "module" : "function");
    if (cnode__is_atom(module) && cnode__is_atom(function))
        return 0;
    return cnode__err(n, CN_EBADARG, "%s: '%.100s' is no atom", what,
                      cnode__is_atom(module) ? function : module);
}

static int check_args(cnode *n, const char *what, etf_view args) {
    if (cnode__list_length(args) >= 0)
        return 0;
    return cnode__err(n, CN_EBADARG,
                      "%s: the arguments are no list; one argument is "
                      "\"[~i]\", none is \"[]\"",
                      what);
}

int cnode__check_rpc(cnode *n, const cnode_rpc_opts *o, etf_view args) {
    int err = check_function(n, "rpc", o->module, o->function);

    return err != 0 ? err : check_args(n, "rpc", args);
}

/* What a monitor of the server is about: its pid, or {Name, Node}. */
static int put_server(const cnode_call_opts *o, const char *node, uint8_t *buf,
                      size_t cap, etf_view *item) {
    etf_writer w;

    etf_writer_init_fixed(&w, buf, cap);
    if (o->pid != NULL)
        etf_put_pid(&w, o->pid);
    else
        (void)etf_pack(&w, "{~a, ~a}", o->server, node);
    return etf_writer_finish(&w, item);
}

static void aim(cnode_ctrl *c, const cnode_call_opts *o) {
    if (o->pid != NULL)
        c->to = *o->pid;
    else
        c->name = text_view(o->server);
}

static int send_request(cnode_proc *p, cnode__peer *peer,
                        const cnode_call_opts *o, etf_view message) {
    cnode_ctrl c;

    clear(&c, o->pid != NULL ? CNODE_SIG_SEND : CNODE_SIG_REG_SEND, p);
    aim(&c, o);
    c.term = message;
    cnode__trace_put(p, &c);
    return cnode__route(p->node, peer, &c);
}

static int send_monitor(cnode_proc *p, cnode__peer *peer,
                        const cnode_call_opts *o, const etf_ref *ref) {
    cnode_ctrl c;
    int err;

    clear(&c, CNODE_SIG_MONITOR, p);
    aim(&c, o);
    c.by_name = o->pid == NULL;
    c.ref = *ref;
    err = cnode__route(p->node, peer, &c);
    return err == CN_ENOTSUP ? 0 : err; /* then only the timeout helps */
}

static bool takes_alias(const cnode__peer *peer) {
    return peer == NULL || peer->up == NULL ||
           (peer->flags & CNODE_FLAG_ALIAS) != 0;
}

static int send_call(cnode_proc *p, cnode__peer *peer, const cnode_call_opts *o,
                     const etf_ref *ref, etf_view request) {
    etf_pid self = cnode_self(p);
    etf_writer w;
    etf_view message;
    int err;

    etf_writer_init(&w, &p->node->alloc);
    etf_put_tuple(&w, 3);
    if (o->form == CNODE_CALL_EVENT)
        etf_put_pid(&w, &self);
    else
        etf_put_atom(&w, o->form == CNODE_CALL_SYS ? "system" : "$gen_call");
    if (takes_alias(peer))
        (void)etf_pack(&w, "{~p, [alias | ~r]}", &self, ref);
    else
        (void)etf_pack(&w, "{~p, ~r}", &self, ref);
    etf_put_term(&w, request);
    err = etf_writer_finish(&w, &message);
    if (err == 0)
        err = send_monitor(p, peer, o, ref);
    if (err == 0)
        err = send_request(p, peer, o, message);
    etf_writer_free(&w);
    return err;
}

static int find_server(cnode *n, const cnode_call_opts *o, const char **node,
                       cnode__peer **peer) {
    *node = n->name;
    if ((o->pid == NULL) == (o->server == NULL))
        return cnode__err(n, CN_EBADARG, "give a server by pid or by name");
    if (o->server != NULL && !cnode__is_atom(o->server))
        return cnode__err(n, CN_EBADARG, "'%.100s' is no atom", o->server);
    *node = o->pid != NULL ? o->pid->node : o->node != NULL ? o->node : n->name;
    return cnode__find_peer(n, *node, peer);
}

/* The monitor may be there although the request could not be sent. */
static void take_back(cnode__waiter *w) {
    cnode *n = w->proc->node;
    cn_error why = n->error;

    cnode__call_cancel(w);
    n->error = why;
}

static int call(cnode_proc *p, const cnode_call_opts *o, cnode__wait kind,
                cnode_call_cb cb, void *data, etf_view request) {
    cnode *n = p->node;
    uint8_t buf[1100];
    cnode__peer *peer;
    cnode__waiter *w;
    const char *node;
    etf_view item;
    etf_ref ref;
    int err = find_server(n, o, &node, &peer);

    if (err == 0)
        err = put_server(o, node, buf, sizeof buf, &item);
    if (err == 0)
        err = cnode__waiter_add(p, peer, kind, item, &w);
    if (err != 0)
        return err;
    w->cb = cb;
    w->data = data;
    ref = cnode__ref_of(n, w->number);
    err = send_call(p, peer, o, &ref, request);
    if (err != 0)
        take_back(w);
    else
        start_timer(w, o->timeout_ms);
    return err;
}

int cnode_call_args_sized(cnode_proc *p, const cnode_call_opts *given,
                          size_t size, cnode_call_cb cb, void *data,
                          const etf_in *in, size_t count) {
    cnode_call_opts known;
    const cnode_call_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    etf_view request;
    int err = pack_args(p->node, in, count, &request);

    if (err != 0)
        return err;
    return o->global != NULL ? cnode__call_global(p, o, cb, data, request)
                             : call(p, o, WAIT_CALL, cb, data, request);
}

static int cast(cnode_proc *p, const cnode_call_opts *o, etf_view request) {
    cnode *n = p->node;
    cnode__peer *peer;
    const char *node;
    etf_writer w;
    etf_view message;
    int err = p->ended ? cnode__gone(p) : find_server(n, o, &node, &peer);

    if (err != 0)
        return err;
    etf_writer_init(&w, &n->alloc);
    (void)etf_pack(&w, "{'$gen_cast', ~t}", request);
    err = etf_writer_finish(&w, &message);
    if (err == 0)
        err = send_request(p, peer, o, message);
    etf_writer_free(&w);
    return err;
}

int cnode_cast_args_sized(cnode_proc *p, const cnode_call_opts *given,
                          size_t size, const etf_in *in, size_t count) {
    cnode_call_opts known;
    const cnode_call_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    etf_view request;
    int err = pack_args(p->node, in, count, &request);

    if (err != 0)
        return err;
    return o->global != NULL ? cnode__cast_global(p, o, request)
                             : cast(p, o, request);
}

static void finish_call(cnode__waiter *w, etf_view reply) {
    bool failed = w->kind == WAIT_REX && etf_match(reply, "{badrpc, _}") == 0;

    stop_watching(w);
    call_done(w, failed ? CN_EREMOTE : 0, reply);
}

void cnode__call_alias(cnode__waiter *w, const cnode_ctrl *c) {
    etf_view tag, reply;

    if (etf_match(c->term, "{~t, ~t}", &tag, &reply) == 0) {
        cnode__trace_got(w->proc, c->token);
        finish_call(w, reply);
    } else
        cnode__stats_dropped(w->proc->node, CNODE_DROP_NOBODY);
}

bool cnode__call_reply(cnode_proc *p, const cnode__message *m) {
    cnode__waiter *w;
    etf_view reply;
    etf_ref ref;

    if (etf_match(m->term, "{[alias | ~r], ~t}", &ref, &reply) != 0 &&
        etf_match(m->term, "{~r, ~t}", &ref, &reply) != 0)
        return false;
    w = cnode__waiter_find(p->node, &ref);
    if (w == NULL || w->proc != p ||
        (w->kind != WAIT_CALL && w->kind != WAIT_REX))
        return false;
    cnode__trace_got(p, m->token);
    finish_call(w, reply);
    return true;
}

/* --- erpc ---------------------------------------------------------------- */

static const uint8_t room_for_pid[CNODE__PID_TERM];

static int spawn_waiter(cnode_proc *p, cnode__peer *peer, cnode__wait kind,
                        etf_view tag, cnode__waiter **out) {
    int err = cnode__waiter_make(
        p, peer, kind, (etf_view){room_for_pid, sizeof room_for_pid}, tag, out);

    if (err != 0)
        return err;
    (*out)->item_len = 0; /* until the pid is known */
    (*out)->pending_reply = true;
    return 0;
}

static const uint8_t monitor_term[] = {108, 0,   0,   0,   1,   119, 7,  'm',
                                       'o', 'n', 'i', 't', 'o', 'r', 106};
static const etf_view only_monitor = {monitor_term, sizeof monitor_term};
static const uint8_t nil_term[] = {106};
static const etf_view no_options = {nil_term, sizeof nil_term};

typedef struct spawn_request {
    const char *module;
    const char *function;
    const etf_pid *group_leader;
    etf_view opts;
    int64_t arity;
    etf_view args;
} spawn_request;

static int request_spawn(cnode_proc *p, cnode__peer *peer, const etf_ref *ref,
                         const spawn_request *s) {
    cnode *n = p->node;
    cnode_ctrl c;

    clear(&c, CNODE_SIG_SPAWN_REQUEST, p);
    c.ref = *ref;
    c.group_leader =
        s->group_leader != NULL ? *s->group_leader : cnode_group_leader(p);
    c.module = text_view(s->module);
    c.function = text_view(s->function);
    c.arity = s->arity;
    c.term = s->args;
    c.opts = s->opts;
    cnode__trace_put(p, &c);
    return cnode__route(n, peer, &c);
}

static int erpc_args(etf_writer *w, const cnode_rpc_opts *o, const etf_ref *ref,
                     etf_view args, etf_view *out) {
    if (ref != NULL)
        (void)etf_pack(w, "[~r, ~a, ~a, ~t]", ref, o->module, o->function,
                       args);
    else
        (void)etf_pack(w, "[~a, ~a, ~t]", o->module, o->function, args);
    return etf_writer_finish(w, out);
}

static int call_erpc(cnode_proc *p, cnode__peer *peer, const cnode_rpc_opts *o,
                     cnode_call_cb cb, void *data, etf_view args) {
    spawn_request s = {"erpc", "execute_call", o->group_leader, only_monitor,
                       4,      nothing};
    cnode__waiter *w;
    etf_writer out;
    etf_ref ref;
    int err = spawn_waiter(p, peer, WAIT_ERPC, nothing, &w);

    if (err != 0)
        return err;
    w->cb = cb;
    w->data = data;
    ref = cnode__ref_of(p->node, w->number);
    etf_writer_init(&out, &p->node->alloc);
    err = erpc_args(&out, o, &ref, args, &s.args);
    if (err == 0)
        err = request_spawn(p, peer, &ref, &s);
    etf_writer_free(&out);
    if (err != 0)
        cnode__waiter_drop(w);
    else
        start_timer(w, o->timeout_ms);
    return err;
}

static int call_rex(cnode_proc *p, const cnode_rpc_opts *o, cnode_call_cb cb,
                    void *data, etf_view args) {
    cnode *n = p->node;
    cnode_call_opts rex = {
        .node = o->node, .server = "rex", .timeout_ms = o->timeout_ms};
    etf_pid gl =
        o->group_leader != NULL ? *o->group_leader : cnode_group_leader(p);
    etf_writer w;
    etf_view request;
    int err;

    etf_writer_init(&w, &n->alloc);
    (void)etf_pack(&w, "{~a, ~a, ~a, ~t, ~p}", o->block ? "block_call" : "call",
                   o->module, o->function, args, &gl);
    err = etf_writer_finish(&w, &request);
    if (err == 0)
        err = call(p, &rex, WAIT_REX, cb, data, request);
    etf_writer_free(&w);
    return err;
}

int cnode_rpc_args_sized(cnode_proc *p, const cnode_rpc_opts *given,
                         size_t size, cnode_call_cb cb, void *data,
                         const etf_in *in, size_t count) {
    cnode_rpc_opts known;
    const cnode_rpc_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    cnode *n = p->node;
    cnode__peer *peer;
    etf_view args;
    int err = cnode__find_peer(n, o->node, &peer);

    if (err == 0)
        err = pack_args(n, in, count, &args);
    if (err == 0)
        err = cnode__check_rpc(n, o, args);
    if (err != 0)
        return err;
    return o->by_rex || o->block ? call_rex(p, o, cb, data, args)
                                 : call_erpc(p, peer, o, cb, data, args);
}

int cnode_rpc_cast_args_sized(cnode_proc *p, const cnode_rpc_opts *given,
                              size_t size, const etf_in *in, size_t count) {
    cnode_rpc_opts known;
    const cnode_rpc_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    cnode *n = p->node;
    spawn_request s = {"erpc", "execute_cast", o->group_leader, no_options,
                       3,      nothing};
    cnode__peer *peer;
    etf_writer w;
    etf_view args;
    etf_ref ref = cnode_make_ref(n);
    int err = p->ended ? cnode__gone(p) : cnode__find_peer(n, o->node, &peer);

    if (err == 0)
        err = pack_args(n, in, count, &args);
    if (err == 0)
        err = cnode__check_rpc(n, o, args);
    if (err != 0)
        return err;
    etf_writer_init(&w, &n->alloc);
    err = erpc_args(&w, o, NULL, args, &s.args);
    if (err == 0)
        err = request_spawn(p, peer, &ref, &s);
    etf_writer_free(&w);
    return err;
}

/* Section "erpc" of the kernel manual: what an exit reason means. */
static void finish_erpc(cnode__waiter *w, etf_view reason) {
    etf_ref mine = cnode__ref_of(w->proc->node, w->number);
    etf_view value, stack;
    etf_ref ref;

    if (etf_match(reason, "{~r, return, ~t}", &ref, &value) == 0 &&
        etf_ref_eq(&ref, &mine))
        call_done(w, 0, value);
    else if (etf_match(reason, "{~r, error, ~t, ~t}", &ref, &value, &stack) ==
                 0 &&
             etf_ref_eq(&ref, &mine))
        DONE_WITH(w, CN_EREMOTE, "{error, ~t, ~t}", value, stack);
    else if (etf_match(reason, "{~r, error, ~t}", &ref, &value) == 0 &&
             etf_ref_eq(&ref, &mine))
        DONE_WITH(w, CN_EREMOTE, "{error, ~t, []}", value);
    else if (etf_match(reason, "{~r, exit, ~t}", &ref, &value) == 0 &&
             etf_ref_eq(&ref, &mine))
        DONE_WITH(w, CN_EREMOTE, "{exit, ~t, []}", value);
    else if (etf_match(reason, "{~r, throw, ~t}", &ref, &value) == 0 &&
             etf_ref_eq(&ref, &mine))
        DONE_WITH(w, CN_EREMOTE, "{throw, ~t, []}", value);
    else
        call_done(w, CN_EEXITED, reason);
}

void cnode__call_down(cnode__waiter *w, etf_view reason) {
    int status = etf_match(reason, "noproc") == 0 ? CN_ENOPROC : CN_EEXITED;
    etf_view server = server_of(w);

    w->item_len = 0; /* the monitor is gone */
    if (w->kind == WAIT_ERPC) {
        finish_erpc(w, reason);
        return;
    }
    tell(w, status, server, reason);
    end_call(w, status, reason);
}

/* --- spawn --------------------------------------------------------------- */

/* The program's options behind those that say what to do at once. */
static int put_options(etf_writer *w, const cnode_spawn_opts *o,
                       etf_view *out) {
    etf_view more = no_options;
    etf_writer text;
    etf_reader r;
    int err = 0;

    etf_writer_init(&text, w->alloc);
    if (o->options != NULL) {
        (void)etf_pack(&text, o->options);
        err = etf_writer_finish(&text, &more);
    }
    if (err != 0)
        more = no_options;
    etf_reader_init(&r, more);
    etf_begin_list(w);
    if (o->link)
        etf_put_atom(w, "link");
    if (o->monitor)
        etf_put_atom(w, "monitor");
    for (uint32_t n = etf_get_list(&r); n > 0; n--)
        etf_put_term(w, etf_get_term(&r));
    etf_get_tail(&r);
    etf_end_list(w);
    if (err == 0 && etf_reader_finish(&r) != 0)
        err = CN_EBADARG;
    if (err == 0)
        err = etf_writer_finish(w, out);
    etf_writer_free(&text);
    return err;
}

static int start_spawn(cnode_proc *p, cnode__peer *peer,
                       const cnode_spawn_opts *o, const spawn_request *s,
                       cnode__waiter **out, etf_ref *id) {
    cnode__waiter *w;
    int err = spawn_waiter(
        p, peer, o->monitor ? WAIT_SPAWN_MONITOR : WAIT_SPAWN, o->tag, &w);

    if (err != 0)
        return err;
    w->link = o->link;
    w->alias = o->alias;
    w->priority = o->priority;
    *id = cnode__ref_of(p->node, w->number);
    err = request_spawn(p, peer, id, s);
    if (err != 0)
        cnode__waiter_drop(w);
    *out = err == 0 ? w : NULL;
    return err;
}

/* Without a tag there is no monitor to have it, and so on. */
static int check_options(cnode *n, const cnode_spawn_opts *o) {
    if (!o->monitor && (o->alias != CNODE_ALIAS_NONE || o->tag.len > 0))
        return cnode__err(n, CN_EBADARG,
                          "spawn: an alias or a tag needs a monitor");
    return 0;
}

int cnode_spawn_remote_args_sized(cnode_proc *p, const cnode_spawn_opts *given,
                                  size_t size, cnode_call_cb cb, void *data,
                                  etf_ref *ref, const etf_in *in,
                                  size_t count) {
    cnode_spawn_opts known;
    const cnode_spawn_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    cnode *n = p->node;
    spawn_request s = {o->module,  o->function, o->group_leader,
                       no_options, 0,           nothing};
    cnode__peer *peer;
    cnode__waiter *w;
    etf_writer opts;
    etf_ref id;
    int err = check_options(n, o);

    if (err == 0)
        err = check_function(n, "spawn", o->module, o->function);
    if (err == 0)
        err = cnode__find_peer(n, o->node, &peer);
    if (err == 0)
        err = pack_args(n, in, count, &s.args);
    if (err == 0)
        err = check_args(n, "spawn", s.args);
    if (err != 0)
        return err;
    s.arity = cnode__list_length(s.args);
    etf_writer_init(&opts, &n->alloc);
    err = put_options(&opts, o, &s.opts);
    if (err != 0)
        cnode__set_error(n, err, "spawn: options: %s", cn_strerror(err));
    else
        err = start_spawn(p, peer, o, &s, &w, &id);
    etf_writer_free(&opts);
    if (err != 0)
        return err;
    w->cb = cb;
    w->data = data;
    if (ref != NULL)
        *ref = id;
    return 0;
}

/* The other side has made the link, this one cannot: for both it is as if the
 * connection were lost. */
static void break_link(cnode_proc *p, cnode__peer *peer, const etf_pid *other) {
    cnode__exit e = {.from = other, .linked = true};
    uint8_t buf[32];
    cnode_ctrl c;

    clear(&c, CNODE_SIG_EXIT, p);
    c.to = *other;
    c.term = e.reason = cnode__atom("noconnection", buf, sizeof buf);
    (void)cnode__tell(p->node, peer, &c);
    cnode__exit_signal(p, &e);
}

static void spawned(cnode__waiter *w, const cnode_ctrl *c) {
    cnode_proc *p = w->proc;
    cnode__peer *peer = w->peer;
    cnode_call_cb cb = w->cb;
    void *data = w->data;
    bool watched = (c->id & CNODE_SPAWN_MONITOR) != 0;
    bool broken = false;
    uint8_t buf[CNODE__PID_TERM];
    etf_writer out;
    etf_view pid = nothing;

    if (w->link && (c->id & CNODE_SPAWN_LINK) &&
        cnode__link_find(p, &c->from) == NULL)
        broken = cnode__link_add(p, &c->from, peer) != 0;
    if (w->kind == WAIT_SPAWN && watched) /* demonitored meanwhile */
        cnode__send_demonitor(w);
    if (w->kind == WAIT_SPAWN_MONITOR && watched)
        w->cb = NULL; /* from now on it is a monitor */
    else
        cnode__waiter_drop(w);
    etf_writer_init_fixed(&out, buf, sizeof buf);
    etf_put_pid(&out, &c->from);
    (void)etf_writer_finish(&out, &pid);
    if (cb != NULL)
        cb(p, 0, pid, data);
    if (broken && !p->ended)
        break_link(p, peer, &c->from);
}

void cnode__call_spawned(cnode__waiter *w, const cnode_ctrl *c) {
    etf_view text = c->result;

    w->pending_reply = false;
    if (text.len > 0) {
        DONE_WITH(w, CN_ENOTSUP, "~a", text);
        return;
    }
    cnode__waiter_target(w, &c->from);
    if (w->kind != WAIT_ERPC)
        spawned(w, c);
}
