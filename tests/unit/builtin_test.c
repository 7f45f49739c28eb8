/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions that every node has for rpc.
 */
#include <string.h>

#include "cnode/global_parts.h"
#include "cnode/pg.h"
#include "tests/unit/mesh.h"

static char r1[] = "r1";

static cnode_rpc_opts at_b(const char *module, const char *function) {
    return (cnode_rpc_opts){
        .node = "b@h", .module = module, .function = function};
}

#define BOTH(m)                                                                \
    cnode_proc *a, *b;                                                         \
    cnode_rpc_opts o = at_b("erlang", "");                                     \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL));                                             \
    NEED(m, a = mesh_proc(m, 0, "alice"));                                     \
    NEED(m, b = mesh_proc(m, 1, "bob"));                                       \
    (void)b

#define CALL(m, name, want, ...)                                               \
    o.function = (name);                                                       \
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, __VA_ARGS__));                    \
    SAID(m, "r1: " want)

static void nodes(mesh *m) {
    BOTH(m);
    CALL(m, "node", "OK b@h", "[]");
    CALL(m, "nodes", "OK []", "[]");
    CALL(m, "nodes", "OK []", "[visible]");
    CALL(m, "nodes", "OK [a@h]", "[hidden]");
    CALL(m, "nodes", "OK [a@h]", "[connected]");
    CALL(m, "nodes", "OK [b@h]", "[this]");
    CALL(m, "nodes", "OK [b@h,a@h]", "[[this, hidden]]");
    CALL(m, "nodes", "OK [b@h,a@h]", "[known]");
    CALL(m, "nodes", "OK []", "[[]]");
    CALL(m, "nodes", "EREMOTE {error,badarg,[{erlang,nodes,1,[]}]}", "[what]");
    CALL(m, "nodes", "EREMOTE {error,badarg,[{erlang,nodes,1,[]}]}",
         "[[this, 1]]");
    CALL(m, "nodes", "EREMOTE {error,badarg,[{erlang,nodes,1,[]}]}",
         "[[this | this]]");
    CALL(m, "system_info", "EREMOTE {error,undef,[{erlang,system_info,1,[]}]}",
         "[otp_release]");
    CALL(m, "system_info", "EREMOTE {error,badarg,[{erlang,system_info,1,[]}]}",
         "[1]");
    CALL(m, "spawn", "EREMOTE {error,undef,[{erlang,spawn,[x],[]}]}", "[x]");
}

static void names_and_messages(mesh *m) {
    etf_pid bob, alice;
    BOTH(m);
    bob = cnode_self(b);
    alice = cnode_self(a);
    o.function = "whereis";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[bob]"));
    mesh_settle(m);
    WANT(m, strncmp(m->said, "r1: OK #Pid<b@h", 15) == 0);
    m->said[0] = '\0';
    CALL(m, "whereis", "OK undefined", "[nobody]");
    CALL(m, "is_process_alive", "OK true", "[~p]", &bob);
    CALL(m, "is_process_alive",
         "EREMOTE {error,badarg,[{erlang,is_process_alive,1,[]}]}", "[~p]",
         &alice);
    o.function = "send";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[bob, hi]"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: hi") != NULL &&
                strstr(m->said, "r1: OK hi") != NULL);
    m->said[0] = '\0';
    CALL(m, "send", "EREMOTE {error,badarg,[{erlang,send,2,[]}]}",
         "[nobody, hi]");
    CALL(m, "send", "OK hi", "[{nobody, 'b@h'}, hi]");
    o.function = "exit";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[~p, kill]", &bob));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: ended killed") != NULL &&
                strstr(m->said, "r1: OK true") != NULL);
    m->said[0] = '\0';
    CALL(m, "is_process_alive", "OK false", "[~p]", &bob);
    CALL(m, "process_info", "OK undefined", "[~p]", &bob);
    CALL(m, "process_info", "OK undefined", "[~p, links]", &bob);
}

/* Each `links` may be much longer than its name. */
static void too_many_infos(mesh *m) {
    uint8_t buf[1000];
    etf_view list;
    etf_writer w;
    etf_pid bob;
    BOTH(m);
    bob = cnode_self(b);
    etf_writer_init_fixed(&w, buf, sizeof buf);
    etf_begin_list(&w);
    for (int i = 0; i < 101; i++)
        etf_put_atom(&w, "links");
    etf_end_list(&w);
    assert_int_equal(etf_writer_finish(&w, &list), 0);
    o.function = "process_info";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[~p, ~t]", &bob, list));
    SAID(m, "r1: EREMOTE "
            "{error,system_limit,[{erlang,process_info,2,[]}]}");
}

static void infos(mesh *m) {
    etf_pid bob;
    BOTH(m);
    bob = cnode_self(b);
    CALL(m, "process_info", "OK {registered_name,bob}", "[~p, registered_name]",
         &bob);
    CALL(m, "process_info", "OK [{links,[]},{message_queue_len,0}]",
         "[~p, [links, message_queue_len]]", &bob);
    CALL(m, "process_info",
         "EREMOTE {error,badarg,[{erlang,process_info,2,[]}]}", "[~p, weight]",
         &bob);
    CALL(m, "process_info",
         "EREMOTE {error,badarg,[{erlang,process_info,2,[]}]}",
         "[~p, [links, weight]]", &bob);
    CALL(m, "process_info",
         "EREMOTE {error,badarg,[{erlang,process_info,1,[]}]}", "[x]");
    o.function = "process_info";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[~p]", &bob));
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: OK [{registered_name,bob},"
                            "{current_function,") != NULL);
    m->said[0] = '\0';
    o.function = "registered";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[]"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob") != NULL && strstr(m->said, "rex") != NULL);
    m->said[0] = '\0';
    o.function = "processes";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[]"));
    mesh_settle(m);
    WANT(m, strncmp(m->said, "r1: OK [#Pid<b@h", 16) == 0);
}

static void pings(mesh *m) {
    BOTH(m);
    o.module = "net_adm";
    OK(m, mesh_start(m, 2, NULL));
    CALL(m, "ping", "OK pong", "['b@h']");
    o.function = "ping";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "['c@h']"));
    mesh_settle(m);
    if (strstr(m->said, "pang") != NULL)
        m->noticed = true; /* that is how it tells of no memory */
    SAID(m, "r1: OK pong");
    WANT(m, cnode_connected(mesh_cnode(m, 1), "c@h"));
    CALL(m, "ping", "OK pang", "['no@h']");
    CALL(m, "ping", "OK pang", "[nonsense]");
    o.module = "net_kernel";
    CALL(m, "connect_node", "OK true", "['b@h']");
    CALL(m, "connect_node", "OK false", "['no@h']");
}

/* Attempts that others ask for are those that max_dials bounds. */
static void too_many_pings(mesh *m) {
    static const cnode_config few = {.max_dials = 1};
    cnode_rpc_opts o = at_b("net_adm", "ping");
    cnode_proc *a;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &few));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    m->nodes[1].slow = true;
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "['x@h']"));
    mesh_settle(m);
    if (strstr(m->said, "pang") != NULL)
        m->noticed = true; /* that is how it tells of no memory */
    SAID(m, "");
    CALL(m, "ping", "OK pang", "['y@h']");
    WANT(m, mesh_cnode(m, 1)->dials == 1);
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "['x@h']")); /* on the way */
    SAID(m, "");
    m->nodes[1].slow = false;
    mesh_settle(m);
    SAID(m, "r1: OK pang\nr1: OK pang");
    WANT(m, mesh_cnode(m, 1)->dials == 0);
    WANT(m, mesh_cnode(m, 1)->peers.count == 1);
}

static int mine(cnode_proc *self, etf_view args, etf_writer *out, void *data) {
    (void)self;
    (void)args;
    (void)data;
    return etf_pack(out, "mine");
}

/* erlang:apply, and a program's function instead of a built-in one. */
static void applies(mesh *m) {
    etf_writer w;
    etf_view fun;
    uint8_t buf[64];
    BOTH(m);
    CALL(m, "apply", "OK b@h", "[erlang, node, []]");
    CALL(m, "apply", "OK b@h", "[erlang, apply, [erlang, node, []]]");
    CALL(m, "apply", "EREMOTE {error,undef,[{nix,nix,[1],[]}]}",
         "[nix, nix, [1]]");
    etf_writer_init_fixed(&w, buf, sizeof buf);
    etf_put_export(&w, "erlang", "node", 0);
    OK(m, etf_writer_finish(&w, &fun));
    CALL(m, "apply", "OK b@h", "[~t, []]", fun);
    o.function = "apply"; /* a wrong number of arguments */
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[~t, [1]]", fun));
    mesh_settle(m);
    WANT(m, strncmp(m->said, "r1: EREMOTE {error,undef,", 25) == 0);
    m->said[0] = '\0';
    OK(m, cnode_export(mesh_cnode(m, 1), "erlang", "node", 0, mine, NULL));
    CALL(m, "node", "OK mine", "[]");
}

#define UNDEF(m, name, arity, ...)                                             \
    CALL(m, name, "EREMOTE {error,undef,[{global," name "," arity ",[]}]}",    \
         __VA_ARGS__)
#define BADARG(m, module, name, arity, ...)                                    \
    CALL(m, name,                                                              \
         "EREMOTE {error,badarg,[{" module "," name "," arity ",[]}]}",        \
         __VA_ARGS__)

/* Only a full node has them. */
static void no_global_names(mesh *m) {
    etf_pid bob;
    BOTH(m);
    bob = cnode_self(b);
    o.module = "global";
    UNDEF(m, "registered_names", "0", "[]");
    UNDEF(m, "whereis_name", "1", "[x]");
    UNDEF(m, "send", "2", "[x, y]");
    UNDEF(m, "register_name", "2", "[x, ~p]", &bob);
    UNDEF(m, "re_register_name", "2", "[x, ~p]", &bob);
    UNDEF(m, "unregister_name", "1", "[x]");
    UNDEF(m, "sync", "0", "[]");
    CALL(m, "nonsense", "EREMOTE {error,undef,[{global,nonsense,[1],[]}]}",
         "[1]");
}

static void say_pid(mesh *m, const char *what, const cnode_proc *p) {
    etf_pid pid = cnode_self(p);
    uint8_t buf[CNODE__PID_TERM];
    etf_view term = {NULL, 0};
    etf_writer w;

    etf_writer_init_fixed(&w, buf, sizeof buf);
    etf_put_pid(&w, &pid);
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    mesh_say_term(m, "r1", what, term);
}

/* There are two lines, and they are equal. */
static bool same_line(const char *said) {
    size_t len = strcspn(said, "\n") + 1;

    return strlen(said) == 2 * len && strncmp(said, said + len, len) == 0;
}

/* What is answered is this pid. */
#define IS_PID(m, p, name, ...)                                                \
    do {                                                                       \
        say_pid(m, "OK", p);                                                   \
        o.function = (name);                                                   \
        ASK(m, cnode_rpc(a, &o, mesh_result, r1, __VA_ARGS__));                \
        WANT(m, same_line(m->said));                                           \
        m->said[0] = '\0';                                                     \
    } while (0)

/* It takes a lock, and time. */
#define LATER(m, name, want, ...)                                              \
    o.function = (name);                                                       \
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, __VA_ARGS__));                    \
    mesh_advance(m, 100);                                                      \
    SAID(m, "r1: " want)

static void global_names(mesh *m) {
    static const cnode_config full = {.full = true};
    cnode_proc *a, *b, *c;
    cnode_rpc_opts o = at_b("global", "");
    etf_pid alice, bob, carol;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &full));
    mesh_cnode(m, 1)->listens = true;
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    NEED(m, c = mesh_proc(m, 1, "carol"));
    alice = cnode_self(a);
    bob = cnode_self(b);
    carol = cnode_self(c);
    CALL(m, "registered_names", "OK []", "[]");
    LATER(m, "sync", "OK ok", "[]");
    LATER(m, "register_name", "OK yes", "[{x, 1}, ~p]", &bob);
    LATER(m, "register_name", "OK no", "[{x, 1}, ~p]", &carol);
    LATER(m, "register_name", "OK no", "[second, ~p]", &bob);
    CALL(m, "registered_names", "OK [{x,1}]", "[]");
    IS_PID(m, b, "whereis_name", "[{x, 1}]");
    CALL(m, "whereis_name", "OK undefined", "[{x, 1.0}]");
    LATER(m, "re_register_name", "OK yes", "[{x, 1}, ~p]", &carol);
    IS_PID(m, c, "whereis_name", "[{x, 1}]");
    LATER(m, "re_register_name", "OK yes",
          "[{x, 1}, ~p, {global, random_notify_name}]", &bob);
    CALL(m, "send", "EREMOTE {exit,{badarg,{nobody,hi}},[]}", "[nobody, hi]");
    o.function = "send";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[{x, 1}, hi]"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: hi") != NULL);
    m->said[0] = '\0';
    LATER(m, "unregister_name", "OK ok", "[{x, 1}]");
    LATER(m, "unregister_name", "OK ok", "[{x, 1}]");
    CALL(m, "registered_names", "OK []", "[]");
    /* For a process of another node, and one of this that has ended. */
    LATER(m, "register_name", "OK yes", "[far, ~p]", &alice);
    IS_PID(m, a, "whereis_name", "[far]");
    OK(m, cnode_exit(c, "normal"));
    SAID(m, "carol: ended normal");
    LATER(m, "register_name", "OK no", "[gone, ~p]", &carol);
    BADARG(m, "global", "register_name", "2", "[x, y]");
    BADARG(m, "global", "register_name", "3", "[x, ~p, {my, method}]", &bob);
}

/* Who waits for a sync may go, and come again with more: what waits is bounded
 * all the same. */
static void syncs_are_bounded(mesh *m) {
    static const cnode_config full = {.full = true};
    const size_t others = (size_t)1024 * 1024 - 1000;
    cnode_rpc_opts o = at_b("global", "sync");
    cnode__global *g;
    cnode_proc *a;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &full));
    mesh_cnode(m, 1)->listens = true;
    OK(m, mesh_start(m, 2, &full));
    mesh_cnode(m, 2)->listens = true;
    NEED(m, a = mesh_proc(m, 0, "alice"));
    ASK(m, cnode_connect(mesh_cnode(m, 2), "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK"); /* and takes its time to join */
    g = mesh_cnode(m, 1)->global;
    g->sync_bytes += others; /* as if there were more */
    o.timeout_ms = UINT32_MAX;
    for (int i = 0; i < 4; i++)
        ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[]"));
    mesh_settle(m);
    WANT(m,
         strstr(m->said, "r1: EREMOTE "
                         "{error,system_limit,[{global,sync,0,[]}]}") != NULL);
    WANT(m, g->sync_bytes > others);
    WANT(m, strstr(m->said, "r1: OK") == NULL);
    mesh_advance(m, 9000);
    WANT(m, strstr(m->said, "r1: OK ok") != NULL);
    WANT(m, g->sync_bytes == others);
}

static void groups(mesh *m) {
    cnode_pg *pg, *other;
    etf_pid bob;
    BOTH(m);
    bob = cnode_self(b);
    o.module = "pg";
    BADARG(m, "pg", "which_groups", "0", "[]");
    BADARG(m, "pg", "get_members", "1", "[x]");
    OK(m, cnode_pg_start(mesh_cnode(m, 1), NULL, &pg));
    OK(m, cnode_pg_start(mesh_cnode(m, 1), &(cnode_pg_opts){.scope = "other"},
                         &other));
    CALL(m, "which_groups", "OK []", "[]");
    OK(m, cnode_pg_join(pg, &bob, 1, "{room, 1}"));
    CALL(m, "which_groups", "OK [{room,1}]", "[]");
    CALL(m, "which_groups", "OK [{room,1}]", "[pg]");
    CALL(m, "which_local_groups", "OK [{room,1}]", "[pg]");
    CALL(m, "which_groups", "OK []", "[other]");
    CALL(m, "get_members", "OK []", "[{room, 2}]");
    CALL(m, "get_members", "OK []", "[other, {room, 1}]");
    o.function = "get_members";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[{room, 1}]"));
    mesh_settle(m);
    WANT(m, strncmp(m->said, "r1: OK [#Pid<b@h", 16) == 0);
    m->said[0] = '\0';
    o.function = "get_local_members";
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[pg, {room, 1}]"));
    mesh_settle(m);
    WANT(m, strncmp(m->said, "r1: OK [#Pid<b@h", 16) == 0);
    m->said[0] = '\0';
    BADARG(m, "pg", "get_members", "2", "[none, x]");
    BADARG(m, "pg", "get_members", "2", "[1, x]");
    BADARG(m, "pg", "which_groups", "1", "[1]");
}

int main(void) {
    const struct CMUnitTest tests[] = {MESH_CASE(nodes),
                                       MESH_CASE(names_and_messages),
                                       MESH_CASE(infos),
                                       MESH_CASE(too_many_infos),
                                       MESH_CASE(pings),
                                       MESH_CASE(too_many_pings),
                                       MESH_CASE(applies),
                                       MESH_CASE(no_global_names),
                                       MESH_CASE(global_names),
                                       MESH_CASE(groups),
                                       MESH_CASE(syncs_are_bounded)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
