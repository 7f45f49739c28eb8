/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to other nodes: gen_server, erpc, rex, spawn; every way they end.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1", r2[] = "r2";

#define BOTH(m)                                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL))

static const cnode_call_opts bob_at_b = {.node = "b@h", .server = "bob"};
static const cnode_call_opts bob_here = {.server = "bob"};
static const cnode_call_opts bob_at_r = {.node = "r@h", .server = "bob"};

/* Calls and answers, those of the services too. */
static void pings(mesh *m) {
    cnode_call_opts to = {.node = "b@h", .server = "net_kernel"};
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    ASK(m, cnode_call(a, &to, mesh_result, r1, "{is_auth, ~a}", "a@h"));
    SAID(m, "r1: OK yes");
    WANT(m, m->nodes[1].node.watches.count == 0);
}

static void calls_by_name_and_pid(mesh *m) {
    cnode_call_opts to = {0};
    cnode_proc *a, *b, *c;
    etf_pid bob;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    NEED(m, c = mesh_proc(m, 0, "bob"));
    bob = cnode_self(b);
    to.pid = &bob;
    ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "{x, ~i}", 1));
    SAID(m, "bob: asked {x,1}\nr1: OK {ok,{x,1}}");
    ASK(m, cnode_call(a, &to, mesh_result, r1, "y"));
    SAID(m, "bob: asked y\nr1: OK {ok,y}");
    ASK(m, cnode_call(a, &bob_here, mesh_result, r1, "z"));
    SAID(m, "bob: asked z\nr1: OK {ok,z}");
    bob = cnode_self(c);
    ASK(m, cnode_call(a, &to, mesh_result, r1, "w"));
    SAID(m, "bob: asked w\nr1: OK {ok,w}");
    OK(m, cnode_cast(a, &bob_at_b, "{cast, 1}"));
    OK(m, cnode_cast(a, &bob_here, "{cast, 2}"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: cast {cast,1}") != NULL &&
                strstr(m->said, "bob: cast {cast,2}") != NULL);
    for (int i = 0; i < 2; i++)
        WANT(m, mesh_cnode(m, i)->waiters.count == 0 &&
                    mesh_cnode(m, i)->watches.count == 0);
    to.server = "both";
    WANT(m, cnode_call(a, &to, NULL, NULL, "x") == CN_EBADARG);
    WANT(m, cnode_call(a, &bob_at_b, NULL, NULL, "{") != 0);
}

/* The call is refused at once, and says so, not what was said before. */
#define REFUSED(m, call, part)                                                 \
    do {                                                                       \
        int err_;                                                              \
        cnode__set_error(mesh_cnode(m, 0), CN_EBUG, "stale");                  \
        err_ = (call);                                                         \
        OK(m, err_ == CN_EBADARG ? 0 : err_);                                  \
        WANT(m, err_ == CN_EBADARG);                                           \
        WANT(m, cnode_error(mesh_cnode(m, 0))->code == CN_EBADARG);            \
        WANT(m, strstr(cnode_error(mesh_cnode(m, 0))->text, (part)) != NULL);  \
    } while (0)

static char *long_name(void) {
    static char name[300];

    memset(name, 'x', sizeof name - 1);
    return name;
}

static void functions_that_cannot_be(mesh *m) {
    static const char *const nodes[] = {"b@h", "a@h"};
    cnode_rpc_opts o = {.node = "b@h", .module = "m"};
    cnode_proc *a;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    for (int i = 0; i < 2; i++) {
        o.by_rex = i == 1;
        o.function = NULL;
        REFUSED(m, cnode_rpc(a, &o, mesh_result, r1, "[]"), ".function");
        o.function = long_name();
        REFUSED(m, cnode_rpc(a, &o, mesh_result, r1, "[]"), "no atom");
        o.function = "f";
        REFUSED(m, cnode_rpc(a, &o, mesh_result, r1, "ok"), "no list");
        REFUSED(m, cnode_rpc(a, &o, mesh_result, r1, "[1 | 2]"), "no list");
    }
    REFUSED(m, cnode_rpc_cast(a, &o, "ok"), "no list");
    REFUSED(m, cnode_rpc_many(a, nodes, 2, &o, NULL, NULL, "ok"), "no list");
    o.module = NULL;
    REFUSED(m, cnode_rpc_cast(a, &o, "[]"), ".module");
    REFUSED(m, cnode_rpc_many(a, nodes, 2, &o, NULL, NULL, "[]"), ".module");
    WANT(m, mesh_cnode(m, 0)->waiters.count == 0);
    SAID(m, "");
}

static int no_function(cnode_proc *p, etf_view args, etf_writer *out,
                       void *data) {
    (void)p, (void)args, (void)out, (void)data;
    return 0;
}

static void exports_that_cannot_be(mesh *m) {
    cnode *n;

    OK(m, mesh_start(m, 0, NULL));
    n = mesh_cnode(m, 0);
    REFUSED(m, cnode_export(n, NULL, "f", 0, no_function, NULL), "no module");
    REFUSED(m, cnode_export(n, "m", NULL, 0, no_function, NULL), "no name of");
    REFUSED(m, cnode_export(n, "m", "f", 0, NULL, NULL), "no function");
    REFUSED(m, cnode_export(n, "m", long_name(), 0, no_function, NULL),
            "no atom");
}

static void others_that_cannot_be(mesh *m) {
    cnode_call_opts to = {.node = "b@h"};
    cnode_spawn_opts s = {.node = "b@h", .function = "f"};
    cnode_proc *a;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    REFUSED(m, cnode_spawn_remote(a, &s, NULL, NULL, NULL, "[]"), ".module");
    s.module = "m";
    REFUSED(m, cnode_spawn_remote(a, &s, NULL, NULL, NULL, "[1|2]"), "no list");
    REFUSED(m, cnode_call(a, &to, mesh_result, r1, "x"), "by pid or by name");
    to.server = long_name();
    REFUSED(m, cnode_call(a, &to, mesh_result, r1, "x"), "no atom");
    REFUSED(m, cnode_cast(a, &to, "x"), "no atom");
    REFUSED(m, cnode_spawn(mesh_cnode(m, 0), NULL, NULL), "no configuration");
    REFUSED(m, cnode_send_name(a, "b@h", NULL, "x"), "no name");
    REFUSED(m, cnode_send_name(a, long_name(), "bob", "x"), "too long");
    WANT(m, mesh_cnode(m, 0)->waiters.count == 0);
    SAID(m, "");
}

/* Whoever takes a pattern tells where it is wrong. */
static void patterns_that_are_wrong(mesh *m) {
    const etf_pid there = {.id = 1, .node_len = 3, .node = "b@h"};
    const cnode_call_opts to = {.node = "b@h", .server = "s"};
    const cnode_rpc_opts f = {.node = "b@h", .module = "m", .function = "f"};
    const cnode_from from = {.pid = there};
    cnode_proc *a;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    REFUSED(m, cnode_send(a, &there, "{a, ~i}", "1"),
            "send: ~i needs an integer, at byte 4 of {a, ~i}");
    REFUSED(m, cnode_send_name(a, NULL, "bob", "~a", 1),
            "send: ~a, ~b and ~s need ");
    REFUSED(m, cnode_call(a, &to, mesh_result, r1, "{~b}"),
            ", at byte 1 of {~b}");
    REFUSED(m, cnode_rpc(a, &f, mesh_result, r1, "[~b, ~b]", "x"),
            ", at byte 5 of ");
    REFUSED(m, cnode_reply(a, &from, "~p", 1), "reply: ~p needs ");
    REFUSED(m, cnode_exit(a, "~p", 1), "exit: ~p needs ");
    SAID(m, "");
}

static void many_failed(cnode_proc *p, const cnode_many_result *results,
                        size_t n, void *data) {
    mesh *m = mesh_of(cnode_of(p));

    (void)data;
    WANT(m, n == 1);
    mesh_say(m, "many: %s", cn_errname(results[0].status) + 3);
}

/* None is as one that is all zero: what is missing is said. */
static void without_options(mesh *m) {
    static const char *const nodes[] = {"a@h"};
    static const cnode_rpc_opts here = {.module = "erlang", .function = "node"};
    cnode_proc *a;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    REFUSED(m, cnode_call(a, NULL, mesh_result, r1, "x"), "by pid or by name");
    REFUSED(m, cnode_cast(a, NULL, "x"), "by pid or by name");
    REFUSED(m, cnode_rpc(a, NULL, mesh_result, r1, "[]"), ".module");
    REFUSED(m, cnode_rpc_cast(a, NULL, "[]"), ".module");
    REFUSED(m, cnode_rpc_many(a, nodes, 1, NULL, NULL, NULL, "[]"), ".module");
    REFUSED(m, cnode_spawn_remote(a, NULL, NULL, NULL, NULL, "[]"), ".module");
    REFUSED(m, cnode_monitor_with(a, NULL, NULL), "by pid or by name");
    REFUSED(m, cnode_become(a, NULL), "no configuration");
    OK(m, cnode_call_many(a, nodes, 1, NULL, many_failed, NULL, "x"));
    mesh_settle(m);
    SAID(m, "many: EBADARG");
    ASK(m, cnode_rpc(a, &here, mesh_result, r1, "[]"));
    SAID(m, "r1: OK a@h");
    OK(m, cnode_keep(mesh_cnode(m, 0), "b@h", NULL));
    WANT(m, mesh_cnode(m, 0)->waiters.count == 0);
}

#define TEXT(m, want)                                                          \
    WANT(m, strcmp(cnode_error(mesh_cnode(m, 0))->text, (want)) == 0)

/* With whom it was, what, and what they said about it. */
static void failures_in_words(mesh *m) {
    const cnode_call_opts nobody = {.node = "b@h", .server = "nobody"};
    const cnode_rpc_opts f = {.node = "b@h", .module = "m", .function = "f"};
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, mesh_proc(m, 1, "bob"));
    ASK(m, cnode_call(a, &nobody, mesh_result, r1, "x"));
    TEXT(m, "b@h: nobody: no such process");
    ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "wait"));
    mesh_advance(m, 5000);
    TEXT(m, "b@h: bob: timed out");
    ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "{stop, {why, 1}}"));
    mesh_settle(m);
    TEXT(m, "b@h: bob: the remote process exited: {why,1}");
    ASK(m, cnode_rpc(a, &f, mesh_result, r1, "[x]"));
    TEXT(m, "b@h: the remote function raised an exception: "
            "{error,undef,[{m,f,[x],[]}]}");
    ASK(m, cnode_rpc(a, &f, mesh_result, r1, "[]"));
    mesh_break(m, 0);
    mesh_settle(m);
    m->said[0] = '\0';
}

/* A long reason ends in dots, and not within a character. */
static void a_long_reason_in_words(mesh *m) {
    char reason[203];
    const char *text;
    etf_writer w;
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    for (size_t odd = 0; odd < 2; odd++) {
        m->said[0] = '\0';
        reason[0] = 'x';
        for (size_t i = odd; i < 200; i += 2)
            memcpy(reason + i, "\303\244", 3);
        NEED(m, mesh_proc(m, 1, "bob"));
        ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "{stop, ~b}", reason));
        mesh_settle(m);
        text = cnode_error(mesh_cnode(m, 0))->text;
        WANT(m,
             strlen(text) > 100 && strcmp(text + strlen(text) - 3, "...") == 0);
        etf_writer_init(&w, NULL);
        WANT(m, etf_pack(&w, "~a", text) == 0); /* it is UTF-8 */
        etf_writer_free(&w);
    }
    m->said[0] = '\0';
}

static void servers_that_fail(mesh *m) {
    cnode_call_opts nobody = {.node = "b@h", .server = "nobody"};
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, mesh_proc(m, 1, "bob"));
    ASK(m, cnode_call(a, &nobody, mesh_result, r1, "x"));
    SAID(m, "r1: ENOPROC noproc");
    ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "{stop, why}"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: EEXITED why") != NULL);
    m->said[0] = '\0';
    NEED(m, mesh_proc(m, 1, "bob"));
    ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "wait"));
    SAID(m, "bob: asked wait");
    mesh_advance(m, 4999);
    SAID(m, "");
    mesh_advance(m, 1);
    SAID(m, "r1: ETIMEDOUT nothing");
    WANT(m, mesh_cnode(m, 1)->watches.count == 0);
    ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "wait"));
    SAID(m, "bob: asked wait");
    mesh_break(m, 1);
    SAID(m, "r1: ECLOSED nothing");
    m->cut = true;
    ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "wait"));
    SAID(m, "r1: ENOENT nothing");
}

static cnode_from kept;
static uint8_t kept_tag[64];
static cnode_proc *keeper;

static void keep_from(cnode_proc *p, const cnode_from *from, etf_view request,
                      void *data) {
    (void)request;
    (void)data;
    kept = *from;
    assert_in_range(from->tag.len, 1, sizeof kept_tag);
    memcpy(kept_tag, from->tag.data, from->tag.len);
    kept.tag.data = kept_tag;
    keeper = p;
}

static void a_late_reply_is_dropped(mesh *m) {
    static const cnode_proc_config c = {.name = "bob", .on_call = keep_from};
    cnode_call_opts to = bob_at_b;
    cnode_proc *a;

    BOTH(m);
    to.timeout_ms = 100;
    NEED(m, a = mesh_proc(m, 0, "alice"));
    keeper = NULL;
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, NULL));
    ASK(m, cnode_call(a, &to, mesh_result, r1, "x"));
    WANT(m, keeper != NULL);
    OK(m, cnode_reply(keeper, &kept, "early"));
    SAID(m, "r1: OK early");
    OK(m, cnode_reply(keeper, &kept, "twice"));
    SAID(m, "");
    keeper = NULL;
    ASK(m, cnode_call(a, &to, mesh_result, r1, "x"));
    WANT(m, keeper != NULL);
    mesh_advance(m, 100);
    SAID(m, "r1: ETIMEDOUT nothing");
    OK(m, cnode_reply(keeper, &kept, "late"));
    SAID(m, "");
    WANT(m, mesh_cnode(m, 0)->stats.dropped == 2);
}

/* ... also over the next connection, where it must not come to the pid. */
static void a_reply_that_connects_is_dropped(mesh *m) {
    static const cnode_proc_config c = {.name = "bob", .on_call = keep_from};
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    keeper = NULL;
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, NULL));
    ASK(m, cnode_call(a, &bob_at_b, mesh_result, r1, "x"));
    WANT(m, keeper != NULL);
    OK(m, cnode_disconnect(mesh_cnode(m, 1), "a@h"));
    SAID(m, "r1: ECLOSED nothing");
    OK(m, cnode_reply(keeper, &kept, "late"));
    SAID(m, "");
    WANT(m, mesh_cnode(m, 0)->stats.dropped == 1);
}

static void not_heard(cnode_proc *p, int status, etf_view result, void *data) {
    (void)result;
    (void)data;
    mesh_of(cnode_of(p))->noticed = true;
    mesh_say(mesh_of(cnode_of(p)), "heard: %s", cn_errname(status));
}

/* The caller ends first: no callback. */
static void the_caller_ends(mesh *m) {
    cnode_rpc_opts rpc = {.node = "b@h", .module = "m", .function = "f"};
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, mesh_proc(m, 1, "bob"));
    OK(m, cnode_call(a, &bob_at_b, not_heard, r1, "wait"));
    SAID(m, "bob: asked wait");
    OK(m, cnode_rpc(a, &rpc, not_heard, r2, "[]"));
    OK(m, cnode_exit(a, "normal"));
    SAID(m, "alice: ended normal");
    WANT(m, mesh_cnode(m, 1)->watches.count == 0);
}

/* --- a played server ------------------------------------------------------ */

#define PLAYED(m, r, a)                                                        \
    OK(m, mesh_start(m, 0, NULL));                                             \
    (r) = mesh_play(m, 0, "r@h");                                              \
    NEED(m, (a) = mesh_proc(m, 0, "alice"));                                   \
    mesh_raw_dial((r), 0);                                                     \
    WANT(m, (r)->up)

static void answer(mesh_raw *r, cnode_signal s, const char *pattern) {
    uint8_t buf[200];
    etf_pid caller = r->from, mine = mesh_raw_pid(r, 9);
    cnode_ctrl c = {.signal = s, .from = mine, .to = caller, .ref = r->ref};
    etf_writer w;

    etf_writer_init_fixed(&w, buf, sizeof buf);
    if (strchr(pattern, '~') != NULL)
        (void)etf_pack(&w, pattern, &r->ref);
    else
        (void)etf_pack(&w, pattern);
    assert_int_equal(etf_writer_finish(&w, &c.term), 0);
    mesh_raw_send(r, &c);
}

/* Replies to the pid, as from before aliases; what does not fit is a message
 * like any other. */
static void replies_to_the_pid(mesh *m) {
    mesh_raw *r;
    cnode_proc *a;
    etf_ref ref;

    PLAYED(m, r, a);
    ASK(m, cnode_call(a, &bob_at_r, mesh_result, r1, "x"));
    WANT(m, r->signals == 2 && r->last == CNODE_SIG_REG_SEND);
    ref = cnode__ref_of(mesh_cnode(m, 0), mesh_cnode(m, 0)->next_ref - 1);
    r->ref = ref;
    r->from = cnode_self(a);
    answer(r, CNODE_SIG_ALIAS_SEND, "not_a_pair");
    SAID(m, "");
    answer(r, CNODE_SIG_SEND, "{[alias | ~r], fine}");
    SAID(m, "r1: OK fine");
    WANT(m, r->last == CNODE_SIG_DEMONITOR);
    r->ref = ref;
    answer(r, CNODE_SIG_SEND, "{not_ours, fine}");
    SAID(m, "alice: {not_ours,fine}");
}

static void ask_erpc(mesh *m, mesh_raw *r, cnode_proc *a) {
    cnode_rpc_opts o = {.node = "r@h", .module = "m", .function = "f"};
    cnode_ctrl c = {.signal = CNODE_SIG_SPAWN_REPLY, .id = CNODE_SPAWN_MONITOR};

    OK(m, cnode_rpc(a, &o, mesh_result, r1, "[1]"));
    m->asked++;
    WANT(m, r->last == CNODE_SIG_SPAWN_REQUEST);
    if (r->conn == NULL || !r->up)
        return;
    c.ref = r->ref;
    c.to = r->from;
    c.from = mesh_raw_pid(r, 9);
    mesh_raw_send(r, &c);
    mesh_settle(m);
}

static void erpc_answers(mesh *m) {
    static const struct {
        const char *reason;
        const char *said;
    } table[] = {
        {"{~r, return, [1]}", "r1: OK [1]"},
        {"{~r, throw, ball}", "r1: EREMOTE {throw,ball,[]}"},
        {"{~r, exit, why}", "r1: EREMOTE {exit,why,[]}"},
        {"{~r, error, undef, [st]}", "r1: EREMOTE {error,undef,[st]}"},
        {"{~r, error, {erpc, badarg}}", "r1: EREMOTE {error,{erpc,badarg},[]}"},
        {"{x, ~r}", NULL},
        {"{~r, other, value}", NULL},
        {"killed", "r1: EEXITED killed"},
        {"noproc", "r1: EEXITED noproc"},
    };
    mesh_raw *r;
    cnode_proc *a;

    PLAYED(m, r, a);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ask_erpc(m, r, a);
        WANT(m, r->up && r->last == CNODE_SIG_SPAWN_REQUEST);
        answer(r, CNODE_SIG_DOWN, table[i].reason);
        mesh_settle(m);
        if (table[i].said == NULL) {
            WANT(m, strncmp(m->said, "r1: EEXITED {", 13) == 0);
            m->said[0] = '\0';
            continue;
        }
        SAID(m, table[i].said);
    }
    WANT(m, mesh_cnode(m, 0)->waiters.count == 0);
}

static void erpc_refused_and_lost(mesh *m) {
    cnode_rpc_opts o = {.node = "r@h", .module = "m", .function = "f"};
    cnode_ctrl c = {.signal = CNODE_SIG_SPAWN_REPLY};
    mesh_raw *r;
    cnode_proc *a;

    PLAYED(m, r, a);
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[]"));
    WANT(m, r->last == CNODE_SIG_SPAWN_REQUEST);
    c.ref = r->ref;
    c.to = r->from;
    c.result = (etf_view){(const uint8_t *)"notsup", 6};
    mesh_raw_send(r, &c);
    SAID(m, "r1: ENOTSUP notsup");
    TEXT(m, "r@h: the other side does not support this: notsup");
    mesh_raw_send(r, &c); /* nobody waits for it */
    SAID(m, "");
    /* The time is over before the reply has come: taken back then. */
    ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[]"));
    WANT(m, r->last == CNODE_SIG_SPAWN_REQUEST);
    mesh_advance(m, 5000);
    SAID(m, "r1: ETIMEDOUT nothing");
    assert_int_equal(r->last, CNODE_SIG_SPAWN_REQUEST);
    c.ref = r->ref;
    c.result.len = 0;
    c.from = mesh_raw_pid(r, 9);
    c.id = CNODE_SPAWN_MONITOR | CNODE_SPAWN_LINK;
    mesh_raw_send(r, &c);
    WANT(m, r->last == CNODE_SIG_EXIT);
    /* Over after the reply. */
    ask_erpc(m, r, a);
    WANT(m, r->up);
    mesh_advance(m, 5000);
    SAID(m, "r1: ETIMEDOUT nothing");
    WANT(m, r->last == CNODE_SIG_DEMONITOR);
    ask_erpc(m, r, a);
    mesh_raw_close(r);
    SAID(m, "r1: ECLOSED nothing");
}

/* --- spawn ---------------------------------------------------------------- */

static const cnode_spawn_opts both = {.node = "r@h",
                                      .module = "m",
                                      .function = "f",
                                      .link = true,
                                      .monitor = true};

static void spawns(mesh *m) {
    cnode_spawn_opts plain = {.node = "r@h", .module = "m", .function = "f"};
    cnode_ctrl c = {.signal = CNODE_SIG_SPAWN_REPLY};
    mesh_raw *r;
    cnode_proc *a;
    etf_ref ref;

    PLAYED(m, r, a);
    WANT(m, cnode_spawn_remote(a, &plain, NULL, NULL, NULL, "x") != 0);
    ASK(m, cnode_spawn_remote(a, &plain, mesh_result, r1, NULL, "[1, 2]"));
    WANT(m, strstr(r->text, "m:f/2") != NULL);
    c.ref = r->ref;
    c.to = r->from;
    c.from = mesh_raw_pid(r, 9);
    mesh_raw_send(r, &c);
    WANT(m, strncmp(m->said, "r1: OK #Pid<", 12) == 0);
    m->said[0] = '\0';
    ASK(m, cnode_spawn_remote(a, &both, mesh_result, r1, &ref, "[]"));
    WANT(m, etf_ref_eq(&r->ref, &ref));
    c.ref = r->ref;
    c.id = CNODE_SPAWN_LINK | CNODE_SPAWN_MONITOR;
    mesh_raw_send(r, &c);
    WANT(m, strncmp(m->said, "r1: OK #Pid<", 12) == 0);
    m->said[0] = '\0';
    WANT(m, mesh_cnode(m, 0)->links.count == 1);
    answer(r, CNODE_SIG_DOWN, "why");
    SAID(m, "alice: down why");
    r->from = cnode_self(a);
    answer(r, CNODE_SIG_EXIT, "why");
    SAID(m, "alice: ended why");
}

/* A monitor that is taken back before the process exists: the link stays, and
 * whoever asked for the process hears of it. */
static void demonitors_what_is_not_there_yet(mesh *m) {
    cnode_ctrl c = {.signal = CNODE_SIG_SPAWN_REPLY,
                    .id = CNODE_SPAWN_LINK | CNODE_SPAWN_MONITOR};
    mesh_raw *r;
    cnode_proc *a;
    etf_ref ref;

    PLAYED(m, r, a);
    ASK(m, cnode_spawn_remote(a, &both, mesh_result, r1, &ref, "[]"));
    WANT(m, r->last == CNODE_SIG_SPAWN_REQUEST);
    OK(m, cnode_demonitor(a, &ref));
    c.ref = r->ref;
    c.to = r->from;
    c.from = mesh_raw_pid(r, 9);
    mesh_raw_send(r, &c);
    WANT(m, strncmp(m->said, "r1: OK #Pid<", 12) == 0);
    WANT(m, r->last == CNODE_SIG_DEMONITOR && r->up);
    WANT(m, mesh_cnode(m, 0)->links.count == 1);
    WANT(m, mesh_cnode(m, 0)->waiters.count == 0);
}

static void a_forged_spawn_reply(mesh *m) {
    cnode_ctrl c = {.signal = CNODE_SIG_SPAWN_REPLY, .id = CNODE_SPAWN_LINK};
    mesh_raw *r;
    cnode_proc *a;

    PLAYED(m, r, a);
    ASK(m, cnode_spawn_remote(a, &both, mesh_result, r1, NULL, "[]"));
    WANT(m, r->last == CNODE_SIG_SPAWN_REQUEST);
    c.ref = r->ref;
    c.to = r->from;
    c.from = mesh_raw_pid(r, 9);
    c.from.node[0] = 'z';
    mesh_raw_send(r, &c);
    SAID(m, "r1: EPROTO nothing");
    WANT(m, !r->up);
}

/* --- rex ------------------------------------------------------------------ */

static void by_rex(mesh *m) {
    cnode_rpc_opts o = {
        .node = "r@h", .module = "m", .function = "f", .by_rex = true};
    mesh_raw *r;
    cnode_proc *a;

    PLAYED(m, r, a);
    for (int i = 0; i < 2; i++) {
        ASK(m, cnode_rpc(a, &o, mesh_result, r1, "[x]"));
        WANT(m, r->last == CNODE_SIG_REG_SEND);
        WANT(m, strstr(r->term, "{call,m,f,[x],") != NULL);
        r->ref =
            cnode__ref_of(mesh_cnode(m, 0), mesh_cnode(m, 0)->next_ref - 1);
        answer(r, CNODE_SIG_ALIAS_SEND,
               i == 0 ? "{[alias | ~r], value}"
                      : "{[alias | ~r], {badrpc, nodedown}}");
        SAID(m, i == 0 ? "r1: OK value" : "r1: EREMOTE {badrpc,nodedown}");
    }
    OK(m, cnode_rpc_cast(a, &o, "[]"));
    WANT(m, strstr(r->text, "erpc:execute_cast/3") != NULL);
}

/* Nothing is left of a call whose request found no room. */
static void too_much_is_queued(mesh *m) {
    static const cnode_config small = {.max_queue = 2000};
    mesh_raw *r;
    cnode_proc *a;
    int err = 0;

    OK(m, mesh_start(m, 0, &small));
    r = mesh_play(m, 0, "r@h");
    NEED(m, a = mesh_proc(m, 0, "alice"));
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    mesh_stall(m, 0, true);
    for (int i = 0; i < 100 && err == 0; i++)
        err = cnode_send_name(a, "r@h", "x", "~i", i);
    OK(m, err == CN_EBUSY ? 0 : err);
    WANT(m, err == CN_EBUSY);
    err = cnode_call(a, &bob_at_r, mesh_result, r1, "x");
    OK(m, err == CN_EBUSY ? 0 : err);
    WANT(m, err == CN_EBUSY);
    assert_string_equal(cnode_error(mesh_cnode(m, 0))->text,
                        "r@h: too much is queued already");
    mesh_stall(m, 0, false);
    WANT(m, r->last == CNODE_SIG_DEMONITOR && r->up);
    SAID(m, "");
}

/* A peer without what is not mandatory. */
static void an_old_peer(mesh *m) {
    cnode_rpc_opts o = {.node = "r@h", .module = "m", .function = "f"};
    mesh_raw *r;
    cnode_proc *a;
    etf_pid far;
    int err;

    OK(m, mesh_start(m, 0, NULL));
    r = mesh_play(m, 0, "r@h");
    r->lacks = CNODE_FLAG_ALIAS | CNODE_FLAG_ALTACT_SIG | CNODE_FLAG_SPAWN |
               CNODE_FLAG_DIST_MONITOR | CNODE_FLAG_DIST_MONITOR_NAME;
    NEED(m, a = mesh_proc(m, 0, "alice"));
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    err = cnode_rpc(a, &o, mesh_result, r1, "[]");
    OK(m, err == CN_ENOTSUP ? 0 : err);
    WANT(m, err == CN_ENOTSUP);
    far = mesh_raw_pid(r, 9);
    err = cnode_monitor_pid(a, &far, NULL);
    OK(m, err == CN_ENOTSUP ? 0 : err);
    WANT(m, err == CN_ENOTSUP && mesh_cnode(m, 0)->waiters.count == 0);
    ASK(m, cnode_call(a, &bob_at_r, mesh_result, r1, "x"));
    WANT(m, r->signals == 1 && strstr(r->term, "alias") == NULL);
    r->ref = cnode__ref_of(mesh_cnode(m, 0), mesh_cnode(m, 0)->next_ref - 1);
    r->from = cnode_self(a);
    answer(r, CNODE_SIG_SEND, "{~r, fine}");
    SAID(m, "r1: OK fine");
    assert_true(r->up);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(pings),
        MESH_CASE(calls_by_name_and_pid),
        MESH_CASE(functions_that_cannot_be),
        MESH_CASE(exports_that_cannot_be),
        MESH_CASE(others_that_cannot_be),
        MESH_CASE(patterns_that_are_wrong),
        MESH_CASE(without_options),
        MESH_CASE(failures_in_words),
        MESH_CASE(a_long_reason_in_words),
        MESH_CASE(servers_that_fail),
        MESH_CASE(a_late_reply_is_dropped),
        MESH_CASE(a_reply_that_connects_is_dropped),
        MESH_CASE(the_caller_ends),
        MESH_CASE(replies_to_the_pid),
        MESH_CASE(erpc_answers),
        MESH_CASE(erpc_refused_and_lost),
        MESH_CASE(spawns),
        MESH_CASE(demonitors_what_is_not_there_yet),
        MESH_CASE(a_forged_spawn_reply),
        MESH_CASE(by_rex),
        MESH_CASE(too_much_is_queued),
        MESH_CASE(an_old_peer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
