/* SPDX-License-Identifier: Apache-2.0
 *
 * What callers of behaviours get besides answers to calls: system messages,
 * events, and calls that are refused.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1", r2[] = "r2";

static void on_call(cnode_proc *p, const cnode_from *from, etf_view request,
                    void *data) {
    int err = etf_match(request, "refuse") == 0
                  ? cnode_refuse(p, from, "{no, thanks}")
                  : cnode_reply(p, from, "{ok, ~t}", request);
    (void)data;
    if (err != 0)
        mesh_of(cnode_of(p))->noticed = true;
}

static void on_cast(cnode_proc *p, etf_view request, void *data) {
    mesh_say_term(mesh_of(cnode_of(p)), "bob", "cast", request);
    (void)data;
}

static void on_event(cnode_proc *p, etf_view event, void *data) {
    mesh_say_term(mesh_of(cnode_of(p)), "bob", "event", event);
    (void)data;
}

static void put_state(cnode_proc *p, etf_writer *out, void *data) {
    (void)p;
    (void)data;
    (void)etf_pack(out, "{state, 1}");
}

static void on_message(cnode_proc *p, const cnode_msg *m, void *data) {
    mesh *me = mesh_of(cnode_of(p));

    (void)data;
    if (!cnode_refuse_msg(p, m))
        mesh_say_term(me, "bob", "", m->term);
}

static void on_end(cnode_proc *p, etf_view reason, void *data) {
    mesh_say_term(mesh_of(cnode_of(p)), "bob", "ended", reason);
    (void)data;
}

static const cnode_call_opts bob = {.node = "b@h", .server = "bob"};

static cnode_call_opts form(cnode_call_form f) {
    cnode_call_opts o = bob;
    o.form = f;
    return o;
}

#define BOTH(m, ...)                                                           \
    cnode_proc *a, *b;                                                         \
    cnode_call_opts sys = form(CNODE_CALL_SYS);                                \
    cnode_call_opts ev = form(CNODE_CALL_EVENT);                               \
    static const cnode_proc_config c = {                                       \
        .name = "bob", .on_end = on_end, __VA_ARGS__};                         \
    (void)sys, (void)ev;                                                       \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL));                                             \
    NEED(m, a = mesh_proc(m, 0, "alice"));                                     \
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, &b));                              \
    (void)b

#define CALL(m, o, want, ...)                                                  \
    ASK(m, cnode_call(a, (o), mesh_result, r1, __VA_ARGS__));                  \
    SAID(m, "r1: " want)

static void states(mesh *m) {
    BOTH(m, .on_call = on_call, .put_state = put_state);
    CALL(m, &sys, "OK {ok,{state,1}}", "get_state");
    ASK(m, cnode_call(a, &sys, mesh_result, r1, "get_status"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "{module,cnode},[[],running,#Pid<b@h") != NULL &&
                strstr(m->said, ",[],{state,1}]}") != NULL);
    m->said[0] = '\0';
    CALL(m, &sys, "OK {error,{unknown_system_msg,{debug,no_debug}}}",
         "{debug, no_debug}");
    ASK(m, cnode_call(a, &sys, mesh_result, r1, "{terminate, why}"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: OK ok") != NULL &&
                strstr(m->said, "bob: ended why") != NULL);
}

static void no_state(mesh *m) {
    BOTH(m, .on_cast = on_cast);
    CALL(m, &sys, "OK {ok,undefined}", "get_state");
    CALL(m, &sys, "OK ok", "resume");
}

static void suspended(mesh *m) {
    BOTH(m, .on_call = on_call, .on_cast = on_cast);
    CALL(m, &sys, "OK ok", "suspend");
    CALL(m, &sys, "OK ok", "suspend");
    OK(m, cnode_cast(a, &bob, "one"));
    ASK(m, cnode_call(a, &bob, mesh_result, r2, "two"));
    SAID(m, "");
    ASK(m, cnode_call(a, &sys, mesh_result, r1, "get_status"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "suspended") != NULL);
    m->said[0] = '\0';
    ASK(m, cnode_call(a, &sys, mesh_result, r1, "resume"));
    mesh_settle(m);
    if (strstr(m->said, "system_limit") != NULL)
        m->noticed = true;
    mesh_advance(m, 1);
    WANT(m, strstr(m->said, "bob: cast one") != NULL &&
                strstr(m->said, "r2: OK {ok,two}") != NULL &&
                strstr(m->said, "r1: OK ok") != NULL);
    m->said[0] = '\0';
    CALL(m, &bob, "OK {ok,three}", "three");
    CALL(m, &sys, "OK ok", "suspend"); /* when it ends */
    OK(m, cnode_cast(a, &bob, "four"));
    SAID(m, "");
}

/* It is a message to those who want it so, and to who is no server. */
static void switched(mesh *m) {
    BOTH(m, .on_call = on_call, .on_message = on_message, .sys = CNODE_SYS_OFF);
    CALL(m, &sys, "EEXITED {bad_call,get_state}", "get_state");
    WANT(m, !b->ended);
}

static void no_server(mesh *m) {
    static const cnode_proc_config on = {.on_message = on_message,
                                         .sys = CNODE_SYS_ON};
    BOTH(m, .on_message = on_message);
    CALL(m, &sys, "EEXITED {bad_call,get_state}", "get_state");
    CALL(m, &bob, "EEXITED {bad_call,x}", "x");
    CALL(m, &ev, "EEXITED {bad_call,which_handlers}", "which_handlers");
    OK(m, cnode_send_name(a, "b@h", "bob", "{notify, x}"));
    SAID(m, "bob: {notify,x}");
    OK(m, cnode_become(b, &on));
    CALL(m, &sys, "OK {ok,undefined}", "get_state");
}

static void refused(mesh *m) {
    BOTH(m, .on_call = on_call);
    CALL(m, &bob, "EEXITED {no,thanks}", "refuse");
    WANT(m, b->dropped == 0);
    OK(m, cnode_send_name(a, "b@h", "bob", "{a, message}"));
    WANT(m, b->dropped == 1);
    /* who does not monitor gets an answer */
    OK(m, cnode_send_name(a, "b@h", "bob", "{'$gen_call', {~p, tag}, refuse}",
                          &(etf_pid){.id = 0}));
}

static void without_monitor(mesh *m) {
    etf_pid self;
    etf_ref ref;
    BOTH(m, .on_cast = on_cast);
    self = cnode_self(a);
    ref = cnode_make_ref(mesh_cnode(m, 0));
    OK(m, cnode_send_name(a, "b@h", "bob", "{'$gen_call', {~p, {tag, 1}}, x}",
                          &self));
    SAID(m, "alice: {{tag,1},{error,{bad_call,x}}}");
    OK(m, cnode_send_name(a, "b@h", "bob",
                          "{'$gen_call', {~p, [[alias | ~r] | "
                          "~r]}, x}",
                          &self, &ref, &ref));
    SAID(m, ""); /* to an alias that nobody has */
    CALL(m, &bob, "EEXITED {bad_call,x}", "x");
    CALL(m, &bob, "EEXITED {bad_call,y}", "y");
    WANT(m, mesh_cnode(m, 1)->watches.count == 0);
}

static void events(mesh *m) {
    BOTH(m, .on_event = on_event, .on_call = on_call);
    OK(m, cnode_send_name(a, "b@h", "bob", "{notify, one}"));
    SAID(m, "bob: event one");
    CALL(m, &ev, "OK [bob]", "which_handlers");
    CALL(m, &ev, "OK {ok,query}", "{call, handler, query}");
    CALL(m, &ev, "OK {error,enotsup}", "{add_handler, h, []}");
    CALL(m, &ev, "OK {error,module_not_found}", "{delete_handler, h, []}");
    ASK(m, cnode_call(a, &ev, mesh_result, r1, "{sync_notify, two}"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: event two") != NULL &&
                strstr(m->said, "r1: OK ok") != NULL);
    m->said[0] = '\0';
    CALL(m, &sys, "OK {ok,undefined}", "get_state");
    CALL(m, &bob, "OK {ok,x}", "x");
}

static void events_alone(mesh *m) {
    BOTH(m, .on_event = on_event);
    CALL(m, &ev, "OK {error,bad_module}", "{call, handler, query}");
    CALL(m, &bob, "EEXITED {bad_call,x}", "x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(states),          MESH_CASE(no_state),
        MESH_CASE(suspended),       MESH_CASE(switched),
        MESH_CASE(no_server),       MESH_CASE(refused),
        MESH_CASE(without_monitor), MESH_CASE(events),
        MESH_CASE(events_alone)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
