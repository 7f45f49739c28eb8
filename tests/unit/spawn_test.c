/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions that other nodes apply here, by erpc, rex and spawn; and the
 * services that every node has.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1";

#define BOTH(m)                                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL))

/* --- functions ------------------------------------------------------------ */

static cnode_proc *later;

static int sum(cnode_proc *self, etf_view args, etf_writer *w, void *data) {
    int a, b;

    (void)self;
    (void)data;
    if (etf_match(args, "[~i, ~i]", &a, &b) != 0)
        return CN_EBADARG;
    return etf_pack(w, "~i", a + b);
}

/* What it does is in its argument. */
static int act(cnode_proc *self, etf_view args, etf_writer *w, void *data) {
    (void)data;
    if (etf_match(args, "[nothing]") == 0)
        return 0; /* and writes nothing: a mistake */
    if (etf_match(args, "[code]") == 0)
        return CN_ENOENT;
    if (etf_match(args, "[error]") == 0)
        return cnode_raise(self, CNODE_ERROR, "{bad, thing}");
    if (etf_match(args, "[exit]") == 0)
        return cnode_raise(self, CNODE_EXIT, "why");
    if (etf_match(args, "[throw]") == 0)
        return cnode_raise(self, CNODE_THROW, "ball");
    if (etf_match(args, "[return]") == 0)
        return cnode_return(self, "now");
    if (etf_match(args, "[later]") == 0) {
        later = self;
        return CNODE_LATER;
    }
    if (etf_match(args, "[live]") == 0) {
        cnode_proc_config c = mesh_observer;
        static char who[] = "live";
        c.name = who;
        c.data = who;
        c.on_exit = NULL;
        if (cnode_become(self, &c) == 0)
            return CNODE_LATER;
        mesh_of(cnode_of(self))->noticed = true;
        return CN_ENOMEM;
    }
    return etf_pack(w, "unknown");
}

static int export_all(mesh *m, int i) {
    int err = cnode_export(mesh_cnode(m, i), "calc", "sum", 2, sum, NULL);

    if (err == 0)
        err = cnode_export(mesh_cnode(m, i), "calc", "act", 1, act, NULL);
    if (err == 0) /* again replaces */
        err = cnode_export(mesh_cnode(m, i), "calc", "act", 1, act, NULL);
    later = NULL;
    return err;
}

static cnode_rpc_opts at(const char *function, bool rex) {
    return (cnode_rpc_opts){
        .node = "b@h", .module = "calc", .function = function, .by_rex = rex};
}

static void erpc(mesh *m) {
    static const struct {
        const char *function;
        const char *args;
        const char *said;
    } table[] = {
        {"sum", "[2, 3]", "r1: OK 5"},
        {"sum", "\"\\002\\003\"", "r1: OK 5"}, /* a string is a list */
        {"sum", "[a, b]", "r1: EREMOTE {error,badarg,[{calc,sum,2,[]}]}"},
        {"sum", "[1]", "r1: EREMOTE {error,undef,[{calc,sum,[1],[]}]}"},
        {"none", "[]", "r1: EREMOTE {error,undef,[{calc,none,[],[]}]}"},
        {"act", "[code]",
         "r1: EREMOTE {error,'not found: there is no such name or key',"
         "[{calc,act,1,[]}]}"},
        {"act", "[error]", "r1: EREMOTE {error,{bad,thing},[{calc,act,1,[]}]}"},
        {"act", "[exit]", "r1: EREMOTE {exit,why,[]}"},
        {"act", "[throw]", "r1: EREMOTE {throw,ball,[]}"},
        {"act", "[return]", "r1: OK now"},
    };
    cnode_rpc_opts o;
    cnode_proc *a;

    BOTH(m);
    OK(m, export_all(m, 1));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        o = at(table[i].function, false);
        ASK(m, cnode_rpc(a, &o, mesh_result, r1, table[i].args));
        SAID(m, table[i].said);
    }
    o = at("apply", false);
    o.module = "erlang"; /* for what no caller from C can ask directly */
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[calc, sum, x]"));
    SAID(m, "r1: EREMOTE {error,badarg,[{calc,sum,x,[]}]}");
    o = at("act", false);
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[nothing]"));
    WANT(m, strncmp(m->said, "r1: EREMOTE {error,", 19) == 0);
    WANT(m, mesh_cnode(m, 1)->watches.count == 0);
}

static void answers_later(mesh *m) {
    cnode_rpc_opts o = at("act", false);
    cnode_proc *a, *b;
    int r;

    BOTH(m);
    OK(m, export_all(m, 1));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    WANT(m, cnode_return(b, "x") == CN_EBUG);
    WANT(m, cnode_raise(b, CNODE_EXIT, "x") == CN_EBUG);
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[later]"));
    WANT(m, later != NULL);
    r = cnode_return(later, "{");
    m->noticed |= r == CNODE_LATER; /* no memory to see what is wrong with it */
    WANT(m, r != CNODE_LATER);
    OK(m, cnode_return(later, "{late, ~i}", 1) == CNODE_LATER ? 0 : CN_ENOMEM);
    SAID(m, "r1: OK {late,1}");
    later = NULL;
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[later]"));
    WANT(m, later != NULL);
    OK(m,
       cnode_raise(later, CNODE_THROW, "ball") == CNODE_LATER ? 0 : CN_ENOMEM);
    SAID(m, "r1: EREMOTE {throw,ball,[]}");
    later = NULL;
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[later]"));
    WANT(m, later != NULL);
    OK(m, cnode_exit(later, "killed"));
    SAID(m, "r1: EEXITED killed");
    /* Its caller dies meanwhile: the function goes on, for nobody. */
    later = NULL;
    OK(m, cnode_rpc(a, &o, NULL, r1, "[later]"));
    WANT(m, later != NULL);
    OK(m, cnode_exit(a, "normal"));
    SAID(m, "alice: ended normal");
    WANT(m, mesh_cnode(m, 1)->watches.count == 0);
    OK(m, cnode_return(later, "x") == CNODE_LATER ? 0 : CN_ENOMEM);
    SAID(m, "");
}

static void casts(mesh *m) {
    cnode_rpc_opts o = at("act", false);
    cnode_proc *a;

    BOTH(m);
    OK(m, export_all(m, 1));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_rpc_cast(a, &o, "[live]"));
    SAID(m, "");
    OK(m, cnode_send_name(a, "b@h", "live", "hello"));
    SAID(m, "live: hello");
}

/* Here too, and by the server rex. */
static void by_rex(mesh *m) {
    static const struct {
        const char *args;
        const char *said;
    } table[] = {
        {"[return]", "r1: OK now"},
        {"[throw]", "r1: OK ball"},
        {"[exit]", "r1: EREMOTE {badrpc,{'EXIT',why}}"},
        {"[error]",
         "r1: EREMOTE {badrpc,{'EXIT',{{bad,thing},[{calc,act,1,[]}]}}}"},
    };
    cnode_rpc_opts o = at("act", true);
    cnode_call_opts rex = {.node = "b@h", .server = "rex"};
    cnode_proc *a;

    BOTH(m);
    OK(m, export_all(m, 1));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ASK(m, cnode_rpc(a, &o, mesh_result, r1, table[i].args));
        SAID(m, table[i].said);
    }
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[later]"));
    WANT(m, later != NULL);
    OK(m, cnode_exit(later, "x"));
    SAID(m, "r1: EREMOTE {badrpc,{'EXIT',x}}");
    ASK(m, cnode_call(a, &rex, mesh_result, r1, "what"));
    SAID(m, "r1: OK {badrpc,{'EXIT',badarg}}");
    /* A NUL does not end a name. */
    ASK(m, cnode_call(a, &rex, mesh_result, r1,
                      "{call, m, ~a, [later], group_leader}",
                      etf_view_of("act\0x", 5)));
    SAID(m, "r1: OK {badrpc,{'EXIT',{undef,[{m,'act\\000x',[later],[]}]}}}");
}

/* What rex has under way goes with it. */
static void rex_ends(mesh *m) {
    cnode_rpc_opts o = at("act", true);
    cnode_proc *a;

    BOTH(m);
    OK(m, export_all(m, 1));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[later]"));
    WANT(m, later != NULL);
    OK(m, cnode_exit(cnode_whereis(mesh_cnode(m, 1), "rex"), "killed"));
    SAID(m, "r1: EEXITED killed");
    later = NULL;
    o.node = "a@h";
    OK(m, export_all(m, 0));
    OK(m, cnode_rpc(a, &o, NULL, r1, "[later]"));
    WANT(m, later != NULL); /* and is there when the node closes */
}

/* --- messages of old C nodes and of sbcast -------------------------------- */

static void messages_to_rex(mesh *m) {
    cnode_proc *a;
    etf_pid self;

    BOTH(m);
    OK(m, export_all(m, 1));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, mesh_proc(m, 1, "bob"));
    self = cnode_self(a);
    OK(m, cnode_send_name(a, "b@h", "rex", "{~p, features_request}", &self));
    SAID(m, "alice: {features_reply,b@h,[erpc]}");
    OK(m, cnode_send_name(a, "b@h", "rex", "{~p, {call, calc, sum, [1, 2], u}}",
                          &self));
    SAID(m, "alice: {rex,3}");
    OK(m, cnode_send_name(a, "b@h", "rex", "{~p, {sbcast, bob, hi}}", &self));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: hi") != NULL &&
                strstr(m->said, "alice: {rex,b@h,b@h}") != NULL);
    m->said[0] = '\0';
    OK(m, cnode_send_name(a, "b@h", "rex", "{~p, {sbcast, nix, hi}}", &self));
    SAID(m, "alice: {rex,b@h,{nonexisting_name,nix}}");
    OK(m, cnode_send_name(a, "b@h", "rex", "{~p, {send, bob, hi}}", &self));
    mesh_settle(m);
    WANT(m, strncmp(m->said, "bob: {#Pid<a@h", 14) == 0 &&
                strstr(m->said, ",hi}") != NULL);
    m->said[0] = '\0';
    OK(m, cnode_send_name(a, "b@h", "rex", "{~p, {send, nix, hi}}", &self));
    SAID(m, "alice: {rex,b@h,{nonexisting_name,nix}}");
    OK(m, cnode_send_name(a, "b@h", "rex",
                          "{'$gen_cast', {cast, calc, act, [live], u}}"));
    WANT(m, cnode_whereis(mesh_cnode(m, 1), "live") != NULL);
}

/* A message to rex for rex with a message for rex ...: no stack is used up. */
static void nested_messages(mesh *m) {
    etf_writer w;
    etf_view term;
    cnode_proc *a;
    etf_pid self;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 1, "alice"));
    self = cnode_self(a);
    etf_writer_init(&w, NULL);
    for (int i = 0; i < 300; i++) {
        etf_put_tuple(&w, 2);
        etf_put_pid(&w, &self);
        etf_put_tuple(&w, 3);
        etf_put_atom(&w, "sbcast");
        etf_put_atom(&w, "rex");
    }
    etf_put_atom(&w, "end");
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    OK(m, cnode_send_name(a, "a@h", "rex", "~t", term));
    mesh_settle(m);
    etf_writer_free(&w);
    WANT(m, strlen(m->said) > 300 * sizeof "alice: ");
}

static void deep_messages(void **state) {
    (void)state;
    mesh_run_twice(nested_messages);
}

/* --- requests as they come ------------------------------------------------ */

#define PLAYED(m, r)                                                           \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, export_all(m, 0));                                                   \
    (r) = mesh_play(m, 0, "r@h");                                              \
    mesh_raw_dial((r), 0);                                                     \
    WANT(m, (r)->up)

static etf_view packed(etf_writer *w, uint8_t *buf, size_t cap,
                       const char *text) {
    etf_view v = {NULL, 0};

    etf_writer_init_fixed(w, buf, cap);
    (void)etf_pack(w, text);
    assert_int_equal(etf_writer_finish(w, &v), 0);
    return v;
}

static void request(mesh_raw *r, const char *function, const char *args,
                    const char *opts) {
    uint8_t buf[200], obuf[200];
    etf_writer w;
    cnode_ctrl c = {.signal = CNODE_SIG_SPAWN_REQUEST,
                    .from = mesh_raw_pid(r, 5),
                    .group_leader = mesh_raw_pid(r, 6),
                    .ref = mesh_raw_ref(r, 8),
                    .module = {(const uint8_t *)"calc", 4},
                    .arity = 1};

    c.function = (etf_view){(const uint8_t *)function, strlen(function)};
    c.term = packed(&w, buf, sizeof buf, args);
    c.opts = packed(&w, obuf, sizeof obuf, opts);
    mesh_raw_send(r, &c);
    mesh_settle(r->mesh);
}

/* Options of OTP 25 to 29: what those take is taken, and no more. */
static void request_options(mesh *m) {
    static const char *const good[] = {
        "[{priority, max}, {priority, low}]",
        "[{min_heap_size, 0}, {min_bin_vheap_size, 100000000000000000000}]",
        "[{fullsweep_after, 65535}, {scheduler, 99}]",
        "[{max_heap_size, 0}, {max_heap_size, #{size => 9, kill => true}}]",
        "[{message_queue_data, off_heap}, {message_queue_data, on_heap}]",
        "[{async_dist, true}, {async_dist, false}]",
        "[{monitor, []}, {link, []}]",
        "[{monitor, [{alias, explicit_unalias}, {tag, x}, priority]}]",
        "[{monitor, [{alias, demonitor}, {alias, reply_demonitor}]}]",
        "[{link, [priority]}, monitor]",
    };
    static const char *const bad[] = {
        "[x]",
        "[priority]",
        "[{priority, highest}]",
        "[{min_heap_size, -1}]",
        "[{min_heap_size, small}]",
        "[{max_heap_size, [{size, 1}]}]",
        "[{message_queue_data, mixed}]",
        "[{async_dist, 1}]",
        "[{scheduler, 1.0}]",
        "[{monitor, x}]",
        "[{monitor, [x]}]",
        "[{monitor, [{alias, x}]}]",
        "[{monitor, [{tag, 1} | y]}]",
        "[{monitor, [{tag, 1, 2}]}]",
        "[{link, [x]}]",
        "[{link, true}]",
        "[{reply, yes}]",
        "[{reply_tag, x}]",
        "[{priority, low, 1}]",
        "[{link, []} | monitor]",
    };
    mesh_raw *r;

    PLAYED(m, r);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        request(r, "act", "[return]", good[i]);
        WANT(m, strstr(r->text, "SPAWN_REPLY") != NULL ||
                    strcmp(r->term, "normal") == 0);
        WANT(m, strstr(r->text, "badopt") == NULL);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        request(r, "act", "[return]", bad[i]);
        WANT(m, strstr(r->text, " 0 badopt") != NULL);
    }
}

static void requests(mesh *m) {
    mesh_raw *r;
    cnode_ctrl c;

    PLAYED(m, r);
    request(r, "act", "[return]", "[]");
    WANT(m, r->last == CNODE_SIG_SPAWN_REPLY && r->signals == 1);
    request(r, "act", "[later]", "[link, monitor, {priority, low}]");
    WANT(m, r->last == CNODE_SIG_SPAWN_REPLY &&
                r->id == (CNODE_SPAWN_LINK | CNODE_SPAWN_MONITOR));
    WANT(m, later != NULL);
    c = (cnode_ctrl){.signal = CNODE_SIG_EXIT2,
                     .from = mesh_raw_pid(r, 5),
                     .to = cnode_self(later),
                     .term = {(const uint8_t *)"w\004kill", 6}};
    mesh_raw_send(r, &c);
    WANT(m, r->signals == 4 && strcmp(r->term, "killed") == 0);
    request(r, "act", "[later]", "[link]");
    WANT(m, r->last == CNODE_SIG_SPAWN_REPLY && r->id == CNODE_SPAWN_LINK);
    request(r, "act", "[error]", "[monitor]");
    WANT(m, strcmp(r->term, "{{bad,thing},[{calc,act,1,[]}]}") == 0);
    request(r, "act", "[throw]", "[monitor]");
    WANT(m, strcmp(r->term, "{{nocatch,ball},[{calc,act,1,[]}]}") == 0);
    request(r, "act", "[exit]", "[{monitor, []}]");
    WANT(m, strcmp(r->term, "why") == 0);
    request(r, "none", "[x]", "[monitor]");
    WANT(m, strcmp(r->term, "{undef,[{calc,none,[x],[]}]}") == 0);
    request(r, "act", "[return]", "[{unknown, x}]");
    WANT(m, strstr(r->text, "badopt") != NULL);
    request(r, "act", "[return]", "[monitor | x]");
    WANT(m, strstr(r->text, "badopt") != NULL);
    request(r, "act", "[return]", "7");
    WANT(m, strstr(r->text, "badopt") != NULL);
    request(r, "act", "[return]", "[monitor]");
    WANT(m, strcmp(r->term, "normal") == 0);
    assert_true(r->up);
    mesh_raw_close(r); /* the linked one dies of it */
    WANT(m, mesh_cnode(m, 0)->links.count == 0);
}

/* --- user and global ------------------------------------------------------ */

static void the_user_answers(mesh *m) {
    cnode_proc *a;
    etf_pid self, user;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    self = cnode_self(a);
    OK(m, cnode_send_name(a, "b@h", "user",
                          "{io_request, ~p, r, {put_chars, unicode, ~s}}",
                          &self, "x"));
    SAID(m, "alice: {io_reply,r,ok}");
    OK(m,
       cnode_send_name(a, "b@h", "user",
                       "{io_request, ~p, r, {get_line, unicode, ''}}", &self));
    SAID(m, "alice: {io_reply,r,{error,enotsup}}");
    /* It can be killed; its pid is given out all the same. */
    user = cnode_self(cnode_whereis(mesh_cnode(m, 0), "user"));
    OK(m, cnode_send_exit(a, &user, "kill"));
    mesh_settle(m);
    if (cnode_whereis(mesh_cnode(m, 0), "user") == NULL) {
        cnode_rpc_opts o = at("none", false);
        ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[]"));
        SAID(m, "r1: EREMOTE {error,undef,[{calc,none,[],[]}]}");
    }
}

static void stays_outside_global(mesh *m) {
    static const cnode_config visible = {.visible = true};
    static const cnode_call_opts global = {.node = "b@h",
                                           .server = "global_name_server"};
    cnode_proc_config gns = mesh_observer;
    static char who[] = "gns";
    cnode_proc *g, *a;

    gns.name = "global_name_server";
    gns.data = who;
    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &visible));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &gns, &g));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_cast(g, &global, "{init_connect, {8, x}, 'z@h', y}"));
    SAID(m, ""); /* of somebody else */
    OK(m, cnode_cast(g, &global, "{init_connect, {8, x}, 'a@h', y}"));
    SAID(m, "gns: cast {in_sync,b@h,false}");
    ASK(m, cnode_call(a, &global, mesh_result, r1, "{set_lock, {res, me}}"));
    SAID(m, "r1: OK true");
    ASK(m, cnode_call(g, &global, mesh_result, r1, "{set_lock, {res, you}}"));
    SAID(m, "r1: OK false");
    ASK(m, cnode_call(g, &global, mesh_result, r1, "{del_lock, {res, you}}"));
    SAID(m, "r1: OK true");
    ASK(m, cnode_call(a, &global, mesh_result, r1, "{set_lock, {res, me}}"));
    SAID(m, "r1: OK true");
    OK(m, cnode_exit(a, "normal"));
    SAID(m, "alice: ended normal"); /* and its lock is free */
    ASK(m, cnode_call(g, &global, mesh_result, r1, "{set_lock, {res, you}}"));
    SAID(m, "r1: OK true");
    ASK(m, cnode_call(g, &global, mesh_result, r1, "{del_lock, {res, you}}"));
    SAID(m, "r1: OK true");
    WANT(m, mesh_cnode(m, 0)->watches.count == 0);
    ASK(m, cnode_call(g, &global, mesh_result, r1, "{set_lock, {res, you}}"));
    SAID(m, "r1: OK true"); /* held when the node closes */
}

/* Holders of one lock, each known by its pid. */
static void locks_are_shared(mesh *m) {
    static const cnode_config visible = {.visible = true};
    static const cnode_call_opts global = {.node = "b@h",
                                           .server = "global_name_server"};
    cnode_proc *a, *b, *c;

    OK(m, mesh_start(m, 0, &visible));
    OK(m, mesh_start(m, 1, &visible));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bert"));
    NEED(m, c = mesh_proc(m, 1, "carol"));
    ASK(m, cnode_call(a, &global, mesh_result, r1, "{set_lock, {r, we}}"));
    ASK(m, cnode_call(b, &global, mesh_result, r1, "{set_lock, {r, we}}"));
    ASK(m, cnode_call(c, &global, mesh_result, r1, "{set_lock, {r, we}}"));
    mesh_settle(m);
    WANT(m, mesh_cnode(m, 1)->waiters.count == 3);
    ASK(m, cnode_call(a, &global, mesh_result, r1, "{set_lock, {r, we}}"));
    ASK(m, cnode_call(a, &global, mesh_result, r1, "{set_lock, {q, we}}"));
    mesh_settle(m);
    WANT(m, mesh_cnode(m, 1)->waiters.count == 4);
    m->said[0] = '\0';
    ASK(m, cnode_call(b, &global, mesh_result, r1, "{del_lock, {r, we}}"));
    ASK(m, cnode_call(b, &global, mesh_result, r1, "{del_lock, {r, we}}"));
    ASK(m, cnode_call(b, &global, mesh_result, r1, "{set_lock, {r, you}}"));
    SAID(m, "r1: OK true\nr1: OK true\nr1: OK false");
    OK(m, cnode_exit(a, "normal"));
    SAID(m, "alice: ended normal");
    ASK(m, cnode_call(b, &global, mesh_result, r1, "{set_lock, {q, you}}"));
    ASK(m, cnode_call(b, &global, mesh_result, r1, "{set_lock, {r, you}}"));
    SAID(m, "r1: OK true\nr1: OK false"); /* carol has that */
    OK(m, cnode_exit(c, "normal"));
    SAID(m, "carol: ended normal");
    ASK(m, cnode_call(b, &global, mesh_result, r1, "{set_lock, {r, you}}"));
    SAID(m, "r1: OK true");
    mesh_break(m, 0);
    WANT(m, mesh_cnode(m, 1)->waiters.count == 0);
}

typedef struct votes {
    int yes;
    int no;
} votes;

static void count_vote(cnode_proc *p, int status, etf_view result, void *data) {
    votes *v = data;

    mesh_of(p->node)->answered++;
    assert_int_equal(status, 0);
    if (etf_match(result, "true") == 0)
        v->yes++;
    else
        v->no++;
}

/* One node can have so many, and no more; the others still get theirs. */
static void too_many_locks(mesh *m) {
    enum { MOST = 10000 };
    static const cnode_config visible = {.visible = true};
    static const cnode_call_opts global = {.node = "b@h",
                                           .server = "global_name_server"};
    static char name[20000];
    cnode_proc *a, *c;
    votes v = {0, 0};

    memset(name, 'x', sizeof name - 1);
    m->chunk = 0; /* byte by byte is too long */
    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &visible));
    OK(m, mesh_start(m, 2, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, c = mesh_proc(m, 2, "carol"));
    ASK(m,
        cnode_call(a, &global, count_vote, &v, "{set_lock, {~b, me}}", name));
    mesh_settle(m);
    assert_true(v.no == 1 && m->nodes[1].troubles == 1);
    for (int i = 0; i < MOST + 10; i++)
        ASK(m,
            cnode_call(a, &global, count_vote, &v, "{set_lock, {~i, me}}", i));
    mesh_settle(m);
    assert_true(v.yes == MOST && v.no == 11);
    assert_int_equal(mesh_cnode(m, 1)->waiters.count, MOST);
    assert_int_equal(m->nodes[1].troubles, 1); /* once a second */
    mesh_advance(m, 1000);
    ASK(m, cnode_call(a, &global, count_vote, &v, "{set_lock, {x, me}}"));
    ASK(m, cnode_call(c, &global, count_vote, &v, "{set_lock, {x, me}}"));
    mesh_settle(m);
    assert_true(v.yes == MOST + 1 && v.no == 12);
    assert_string_equal(m->nodes[1].log, "a lock is refused to a@h: it holds "
                                         "as many as it may");
    ASK(m, cnode_call(a, &global, count_vote, &v, "{del_lock, {0, me}}"));
    ASK(m, cnode_call(a, &global, count_vote, &v, "{set_lock, {x, me}}"));
    mesh_settle(m);
    assert_true(v.yes == MOST + 3 && v.no == 12);
    OK(m, cnode_exit(a, "normal"));
    mesh_settle(m);
    assert_int_equal(mesh_cnode(m, 1)->waiters.count, 1);
    m->said[0] = '\0';
}

static void many_locks(void **state) {
    (void)state;
    mesh_run_twice(too_many_locks);
}

/* --- as the one that asks ------------------------------------------------ */

static void asks_with_options(mesh *m) {
    static const uint8_t tag[] = {119, 4, 'G', 'O', 'N', 'E'};
    static const cnode_proc_config box = {.name = "box"};
    cnode_spawn_opts o = {.node = "b@h",
                          .module = "calc",
                          .function = "act",
                          .monitor = true,
                          .alias = CNODE_ALIAS_EXPLICIT,
                          .options = "[{priority, high}]"};
    cnode_proc *a, *b;
    cnode_msg msg;
    etf_ref ref, told;
    etf_view why;

    BOTH(m);
    OK(m, export_all(m, 1));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &box, &a));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    o.tag = (etf_view){tag, sizeof tag};
    ASK(m, cnode_spawn_remote(a, &o, mesh_result, r1, &ref, "[later]"));
    WANT(m, strstr(m->said, "r1: OK #Pid<b@h") != NULL && later != NULL);
    OK(m, cnode_send_alias(b, &ref, "one"));
    mesh_settle(m);
    WANT(m, cnode__take(a, &msg) && etf_match(msg.term, "one") == 0);
    OK(m, cnode_exit(later, "bye"));
    mesh_settle(m);
    WANT(m, cnode__take(a, &msg) &&
                etf_match(msg.term, "{'GONE', ~r, process, _, ~t}", &told,
                          &why) == 0);
    m->noticed |= etf_match(why, "system_limit") == 0;
    WANT(m, etf_match(why, "bye") == 0);
    assert_true(etf_ref_eq(&ref, &told));
    OK(m, cnode_send_alias(b, &ref, "two"));
    mesh_settle(m);
    WANT(m, cnode__take(a, &msg) && etf_match(msg.term, "two") == 0);
    OK(m, cnode_unalias(a, &ref));
    m->said[0] = '\0';
    o.options = "[{priority, highest}]";
    ASK(m, cnode_spawn_remote(a, &o, mesh_result, r1, NULL, "[later]"));
    SAID(m, "r1: ENOTSUP badopt");
    o.options = "priority";
    WANT(m, cnode_spawn_remote(a, &o, NULL, NULL, NULL, "[]") == CN_EBADARG);
    o.options = "[{priority, ";
    WANT(m, cnode_spawn_remote(a, &o, NULL, NULL, NULL, "[]") != 0);
    o.options = NULL;
    o.monitor = false;
    WANT(m, cnode_spawn_remote(a, &o, NULL, NULL, NULL, "[]") == CN_EBADARG);
    assert_int_equal(mesh_cnode(m, 0)->waiters.count, 0);
}

/* What the new process hears when its parent did not live to see it. */
static void leaves_an_orphan(mesh *m) {
    static const char *const reasons[] = {"normal", "{shutdown, [1, 2]}"};
    const cnode_spawn_opts o = {.node = "r@h",
                                .module = "m",
                                .function = "f",
                                .link = true,
                                .monitor = true};
    cnode_ctrl c = {.signal = CNODE_SIG_SPAWN_REPLY};
    cnode_proc *a;
    mesh_raw *r;

    PLAYED(m, r);
    for (size_t i = 0; i < 2; i++) {
        NEED(m, a = mesh_proc(m, 0, "alice"));
        OK(m, cnode_spawn_remote(a, &o, NULL, NULL, NULL, "[]"));
        WANT(m, r->last == CNODE_SIG_SPAWN_REQUEST);
        c.ref = r->ref;
        c.to = r->from;
        c.from = mesh_raw_pid(r, 9);
        c.id = CNODE_SPAWN_LINK | CNODE_SPAWN_MONITOR;
        OK(m, cnode_exit(a, reasons[i]));
        mesh_settle(m);
        r->signals = 0;
        mesh_raw_send(r, &c);
        WANT(m, r->signals == 2 && r->last == CNODE_SIG_EXIT);
        WANT(m, strcmp(r->term, i == 0 ? "normal" : "{shutdown,[1,2]}") == 0);
        WANT(m, mesh_cnode(m, 0)->orphans.count == 0);
    }
    /* refused, and lost */
    for (size_t i = 0; i < 2; i++) {
        NEED(m, a = mesh_proc(m, 0, "alice"));
        OK(m, cnode_spawn_remote(a, &o, NULL, NULL, NULL, "[]"));
        WANT(m, r->last == CNODE_SIG_SPAWN_REQUEST);
        c.ref = r->ref;
        OK(m, cnode_exit(a, "bye"));
        WANT(m, mesh_cnode(m, 0)->orphans.count == 1);
        c.result = (etf_view){(const uint8_t *)"badopt", 6};
        if (i == 0)
            mesh_raw_send(r, &c);
        else
            mesh_raw_close(r);
        WANT(m, mesh_cnode(m, 0)->orphans.count == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(erpc),
        MESH_CASE(answers_later),
        MESH_CASE(casts),
        MESH_CASE(by_rex),
        MESH_CASE(rex_ends),
        MESH_CASE(messages_to_rex),
        cmocka_unit_test(deep_messages),
        MESH_CASE(requests),
        MESH_CASE(request_options),
        MESH_CASE(asks_with_options),
        MESH_CASE(leaves_an_orphan),
        MESH_CASE(the_user_answers),
        MESH_CASE(stays_outside_global),
        MESH_CASE(locks_are_shared),
        cmocka_unit_test(many_locks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
