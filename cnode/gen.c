/* SPDX-License-Identifier: Apache-2.0
 *
 * gen.c: what callers of OTP's behaviours expect of a server besides calls
 * and casts. Section "sys" of the stdlib manual:
 *
 *   {system, {Pid, Tag}, Request}
 *       get_state, get_status, suspend, resume, {terminate, Reason}
 *
 * and what gen_event sends to its manager:
 *
 *   {notify, Event}
 *   {Pid, {Pid, Tag}, Request}
 *       {sync_notify, Event}, {call, Handler, Query}, which_handlers, ...
 *
 * Whoever waits is answered in any case: a call that nobody here knows ends
 * at the caller, as if the server had ended of it, but the server does not.
 */
#include "cnode/control.h"
#include "cnode/node.h"

/* --- refusing ------------------------------------------------------------ */

/* The reference in a tag that a monitor of the caller's may have. */
static bool monitor_of_tag(etf_view tag, etf_ref *ref) {
    etf_view head, tail;

    if (etf_match(tag, "~r", ref) == 0 ||
        etf_match(tag, "[alias | ~r]", ref) == 0)
        return true;
    return etf_match(tag, "[~t | ~t]", &head, &tail) == 0 &&
           etf_match(tail, "~r", ref) == 0;
}

cnode__watch *cnode__watch_of(cnode *n, const cnode_from *from) {
    cnode_ctrl c;

    cnode__ctrl_clear(&c, CNODE_SIG_MONITOR);
    if (!monitor_of_tag(from->tag, &c.ref))
        return NULL;
    cnode__make_local(n, &c); /* as it is kept, if it is from here */
    return cnode__watch_find(n, &c.ref, &from->pid);
}

int cnode_refuse_args(cnode_proc *p, const cnode_from *from, const etf_in *in,
                      size_t count) {
    cnode *n = p->node;
    cnode__watch *w;
    etf_writer out;
    etf_view reason;
    int err;

    if (p->ended)
        return cnode__gone(p);
    etf_writer_init(&out, &n->alloc);
    err = cnode__pack(n, &out, "refuse", in, count, &reason);
    w = err == 0 ? cnode__watch_of(n, from) : NULL;
    if (w != NULL && w->proc == p)
        cnode__watch_fire(w, reason);
    else if (err == 0)
        err = cnode_reply(p, from, "{error, ~t}", reason);
    etf_writer_free(&out);
    return err;
}

/* gen_event names itself in front of From; sys has the atom. */
static bool is_request(etf_view term, cnode_from *from, etf_view *request) {
    etf_pid pid;

    return etf_match(term, "{'$gen_call', {~p, ~t}, ~t}", &from->pid,
                     &from->tag, request) == 0 ||
           etf_match(term, "{system, {~p, ~t}, ~t}", &from->pid, &from->tag,
                     request) == 0 ||
           etf_match(term, "{~p, {~p, ~t}, ~t}", &pid, &from->pid, &from->tag,
                     request) == 0;
}

bool cnode_refuse_msg(cnode_proc *p, const cnode_msg *m) {
    cnode_from from;
    etf_view request;

    if (p->ended || !is_request(m->term, &from, &request))
        return false;
    cnode__answered(p->node, from.pid.node,
                    cnode_refuse(p, &from, "{bad_call, ~t}", request));
    return true;
}

/* --- sys ----------------------------------------------------------------- */

static bool is_suspended(const cnode_proc *p) {
    return p->extra != NULL && p->extra->suspended;
}

/* The state as the program tells it, in the form that is asked for. Servers of
 * OTP 25 answer get_state with the state alone, later ones with {ok, State}.
 * Nothing tells which release asks: sys:get_state/1 of OTP 25 returns what it
 * gets, later ones fail if it is not in their form. */
static void answer_state(cnode_proc *p, const cnode_from *from, bool status) {
    static const char *const names[] = {"running", "suspended"};
    const cnode_proc_config *c = &p->kind->config;
    etf_pid self = cnode_self(p);
    etf_view state;
    etf_writer w;

    etf_writer_init(&w, &p->node->alloc);
    if (c->put_state != NULL)
        c->put_state(p, &w, p->data);
    else
        etf_put_atom(&w, "undefined");
    if (p->ended)
        ;
    else if (etf_writer_finish(&w, &state) != 0 || state.len == 0)
        cnode__answer(p, from, "{error, system_limit}");
    else if (!status)
        cnode__answer(p, from, "{ok, ~t}", state);
    else
        cnode__answer(p, from,
                      "{status, ~p, {module, cnode}, [[], ~a, ~p, [], ~t]}",
                      &self, names[is_suspended(p)], &self, state);
    etf_writer_free(&w);
}

static void suspend(cnode_proc *p, const cnode_from *from) {
    cnode__extra *x = cnode__extra_of(p);

    if (x == NULL) {
        cnode__answer(p, from, "{error, system_limit}");
        return;
    }
    x->suspended = true;
    cnode__answer(p, from, "ok");
}

static void resume(cnode_proc *p, const cnode_from *from) {
    if (is_suspended(p) && cnode__mail_resume(p) != 0)
        cnode__answer(p, from, "{error, system_limit}");
    else
        cnode__answer(p, from, "ok");
}

/* Nobody switches the library off from outside. */
static bool may_rule(const cnode_proc *p) {
    return !p->lasting;
}

static void obey(cnode_proc *p, const cnode_from *from, etf_view request) {
    etf_view reason;

    if (etf_match(request, "get_state") == 0)
        answer_state(p, from, false);
    else if (etf_match(request, "get_status") == 0)
        answer_state(p, from, true);
    else if (may_rule(p) && etf_match(request, "suspend") == 0)
        suspend(p, from);
    else if (may_rule(p) && etf_match(request, "resume") == 0)
        resume(p, from);
    else if (may_rule(p) &&
             etf_match(request, "{terminate, ~t}", &reason) == 0) {
        cnode__answer(p, from, "ok");
        cnode__end(p, reason);
    } else
        cnode__answer(p, from, "{error, {unknown_system_msg, ~t}}", request);
}

static bool is_server(const cnode_proc_config *c) {
    return c->on_call != NULL || c->on_cast != NULL || c->on_event != NULL;
}

bool cnode__gen_system(cnode_proc *p, etf_view term) {
    const cnode_proc_config *c = &p->kind->config;
    cnode_from from;
    etf_view request;

    /* Most messages are something else, and this is asked of each. */
    if (term.len < 10 || term.data[0] != 104 || term.data[1] != 3 ||
        (c->sys == CNODE_SYS_DEFAULT ? !is_server(c) : c->sys != CNODE_SYS_ON))
        return false;
    if (etf_match(term, "{system, {~p, ~t}, ~t}", &from.pid, &from.tag,
                  &request) != 0)
        return false;
    obey(p, &from, request);
    return true;
}

/* --- gen_event ----------------------------------------------------------- */

/* A manager has one handler, which has its name. */
static void name_handlers(cnode_proc *p, const cnode_from *from) {
    cnode__answer(p, from, "[~a]", p->name == NULL ? "cnode" : p->name);
}

static void manage(cnode_proc *p, const cnode_from *from, etf_view request) {
    const cnode_proc_config *c = &p->kind->config;
    etf_view event;

    if (etf_match(request, "{sync_notify, ~t}", &event) == 0) {
        c->on_event(p, event, p->data);
        if (!p->ended)
            cnode__answer(p, from, "ok");
    } else if (etf_match(request, "{call, _, ~t}", &event) == 0 &&
               c->on_call != NULL)
        c->on_call(p, from, event, p->data);
    else if (etf_match(request, "{call, _, _}") == 0)
        cnode__answer(p, from, "{error, bad_module}");
    else if (etf_match(request, "which_handlers") == 0)
        name_handlers(p, from);
    else if (etf_match(request, "{delete_handler, _, _}") == 0)
        cnode__answer(p, from, "{error, module_not_found}");
    else /* handlers are code */
        cnode__answer(p, from, "{error, enotsup}");
}

bool cnode__gen_event(cnode_proc *p, const cnode_msg *m) {
    const cnode_proc_config *c = &p->kind->config;
    cnode_from from;
    etf_view request;
    etf_pid pid;

    if (c->on_event == NULL)
        return false;
    if (etf_match(m->term, "{notify, ~t}", &request) == 0)
        c->on_event(p, request, p->data);
    else if (etf_match(m->term, "{~p, {~p, ~t}, ~t}", &pid, &from.pid,
                       &from.tag, &request) == 0)
        manage(p, &from, request);
    else
        return false;
    return true;
}
