/* SPDX-License-Identifier: Apache-2.0
 *
 * The same to several nodes.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/mesh.h"

static char all[] = "all";

static void on_many(cnode_proc *p, const cnode_many_result *r, size_t n,
                    void *data) {
    mesh *m = mesh_of(cnode_of(p));

    m->answered++;
    for (size_t i = 0; i < n; i++) {
        char text[64];
        if (r[i].status != 0)
            m->noticed = true;
        (void)snprintf(text, sizeof text, "%s: %s", r[i].node,
                       cn_errname(r[i].status) + 3);
        mesh_say_term(m, data, text, r[i].result);
    }
}

static int twice(cnode_proc *self, etf_view args, etf_writer *out, void *data) {
    int i;

    (void)data;
    if (etf_match(args, "[~i]", &i) != 0)
        return CN_EBADARG;
    if (i == 0)
        return CNODE_LATER;
    if (i == 9)
        return cnode_raise(self, CNODE_THROW, "ball");
    return etf_pack(out, "~i", i + i);
}

static const char *const nodes[] = {"b@h", "no@h", "c@h", NULL};
static const cnode_rpc_opts rpc = {
    .module = "m", .function = "twice", .timeout_ms = 100};
static const cnode_call_opts call = {.server = "bob"};

#define START(m)                                                               \
    cnode_proc *a;                                                             \
    for (int i_ = 0; i_ < 3; i_++)                                             \
        OK(m, mesh_start(m, i_, NULL));                                        \
    NEED(m, a = mesh_proc(m, 0, "alice"));                                     \
    NEED(m, mesh_proc(m, 1, "bob"));                                           \
    OK(m, cnode_export(mesh_cnode(m, 1), "m", "twice", 1, twice, NULL));       \
    OK(m, cnode_export(mesh_cnode(m, 2), "m", "twice", 1, twice, NULL))

static void functions(mesh *m) {
    START(m);
    ASK(m, cnode_rpc_many(a, nodes, 4, &rpc, on_many, all, "[~i]", 3));
    SAID(m, "all: b@h: OK 6\nall: no@h: ENOENT nothing\nall: c@h: OK 6\n"
            "all: a@h: EREMOTE {error,undef,[{m,twice,[3],[]}]}");
    ASK(m, cnode_rpc_many(a, nodes, 1, &rpc, on_many, all, "[~i]", 9));
    SAID(m, "all: b@h: EREMOTE {throw,ball,[]}");
    ASK(m, cnode_rpc_many(a, nodes, 3, &rpc, on_many, all, "[~i]", 0));
    SAID(m, "");
    mesh_advance(m, 100);
    SAID(m, "all: b@h: ETIMEDOUT nothing\nall: no@h: ENOENT nothing\n"
            "all: c@h: ETIMEDOUT nothing");
    WANT(m, cnode_rpc_many(a, nodes, 3, &rpc, on_many, all, "{") != 0);
}

static void none_of_them(mesh *m) {
    static const char *const bad[] = {"nonsense", "no node"};
    START(m);
    ASK(m, cnode_rpc_many(a, nodes, 0, &rpc, on_many, all, "[]"));
    mesh_advance(m, 1);
    SAID(m, "");
    ASK(m, cnode_rpc_many(a, bad, 2, &rpc, on_many, all, "[]"));
    mesh_advance(m, 1);
    SAID(m, "all: nonsense: EBADARG nothing\nall: no node: EBADARG nothing");
}

/* Nobody is called back any more, and nothing is left. */
static void caller_ends(mesh *m) {
    static const char *const bad[] = {"nonsense"};
    START(m);
    OK(m, cnode_rpc_many(a, nodes, 3, &rpc, NULL, NULL, "[~i]", 0));
    OK(m, cnode_rpc_many(a, bad, 1, &rpc, NULL, NULL, "[~i]", 0));
    OK(m, cnode_exit(a, "normal"));
    assert_int_equal(cnode_rpc_many(a, nodes, 3, &rpc, NULL, NULL, "[]"),
                     CN_ENOPROC);
    SAID(m, "alice: ended normal");
}

static void servers(mesh *m) {
    START(m);
    ASK(m, cnode_call_many(a, nodes, 3, &call, on_many, all, "x"));
    SAID(m, "bob: asked x\nall: b@h: OK {ok,x}\nall: no@h: ENOENT nothing\n"
            "all: c@h: ENOPROC noproc");
}

static void messages(mesh *m) {
    static const char *const both[] = {"b@h", "c@h"};
    START(m);
    OK(m, cnode_send_many(a, both, 2, "bob", "{hi, ~i}", 1));
    SAID(m, "bob: {hi,1}");
    OK(m, cnode_cast_many(a, both, 2, "bob", "{hi, ~i}", 2));
    SAID(m, "bob: cast {hi,2}");
    ASK(m, cnode_sbcast(a, both, 2, "bob", 100, on_many, all, "{hi, ~i}", 3));
    SAID(m, "bob: {hi,3}\nall: b@h: OK {hi,3}\n"
            "all: c@h: EREMOTE {error,badarg,[{erlang,send,2,[]}]}");
    WANT(m, cnode_send_many(a, both, 2, "bob", "{") != 0);
    WANT(m, cnode_send_many(a, both, 2, "bob", "{hi") != 0);
    WANT(m, cnode_sbcast(a, both, 2, "bob", 1, on_many, all, "{") != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(functions), MESH_CASE(none_of_them), MESH_CASE(caller_ends),
        MESH_CASE(servers), MESH_CASE(messages)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
