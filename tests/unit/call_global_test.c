/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls and casts to global names, which another node knows, or this one.
 */
#include "cnode/global.h"
#include "tests/unit/mesh.h"

static char r1[] = "r1";

/* What node b answers for global: it knows bob. */
static int whereis_name(cnode_proc *self, etf_view args, etf_writer *out,
                        void *data) {
    const cnode_proc *bob = cnode_whereis(cnode_of(self), "bob");
    etf_pid pid;

    (void)data;
    if (etf_match(args, "[later]") == 0)
        return CNODE_LATER;
    if (etf_match(args, "[bob]") != 0 || bob == NULL)
        return etf_pack(out, "undefined");
    pid = cnode_self(bob);
    return etf_pack(out, "~p", &pid);
}

static int gen_cast(cnode_proc *self, etf_view args, etf_writer *out,
                    void *data) {
    (void)data;
    mesh_say_term(mesh_of(cnode_of(self)), "gen_server", "cast", args);
    return etf_pack(out, "ok");
}

#define START(m)                                                               \
    cnode_call_opts o = {.node = "b@h", .global = "bob", .timeout_ms = 100};   \
    cnode_proc *a;                                                             \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL));                                             \
    NEED(m, a = mesh_proc(m, 0, "alice"));                                     \
    NEED(m, mesh_proc(m, 1, "bob"));                                           \
    OK(m, cnode_export(mesh_cnode(m, 1), "global", "whereis_name", 1,          \
                       whereis_name, NULL));                                   \
    OK(m, cnode_export(mesh_cnode(m, 1), "gen_server", "cast", 2, gen_cast,    \
                       NULL))

static void by_another_node(mesh *m) {
    START(m);
    ASK(m, cnode_call(a, &o, mesh_result, r1, "{x, ~i}", 1));
    SAID(m, "bob: asked {x,1}\nr1: OK {ok,{x,1}}");
    o.global = "nobody";
    ASK(m, cnode_call(a, &o, mesh_result, r1, "x"));
    SAID(m, "r1: ENOPROC noproc");
    o.global = "later";
    ASK(m, cnode_call(a, &o, mesh_result, r1, "x"));
    SAID(m, "");
    mesh_advance(m, 100);
    SAID(m, "r1: ETIMEDOUT nothing");
    o.global = "bob";
    OK(m, cnode_cast(a, &o, "hi"));
    SAID(m, "gen_server: cast [{global,bob},hi]");
    o.node = NULL;
    WANT(m, cnode_call(a, &o, mesh_result, r1, "x") == CN_EBADARG);
    WANT(m, cnode_cast(a, &o, "x") == CN_EBADARG);
    o.server = "bob";
    o.node = "b@h";
    WANT(m, cnode_call(a, &o, mesh_result, r1, "x") == CN_EBADARG);
}

/* The server does not answer in what is left of the time. */
static void time_is_shared(mesh *m) {
    START(m);
    ASK(m, cnode_call(a, &o, mesh_result, r1, "wait"));
    SAID(m, "bob: asked wait");
    mesh_advance(m, 100);
    SAID(m, "r1: ETIMEDOUT nothing");
}

static void registered(cnode *n, int status, const cn_error *err, void *data) {
    (void)err;
    (void)data;
    if (status != 0)
        mesh_of(n)->noticed = true;
}

/* A full node asks nobody. */
static void by_itself(mesh *m) {
    static const cnode_config full = {.full = true};
    cnode_call_opts o = {.global = "bob"};
    cnode_proc *a, *b;
    etf_pid pid;

    OK(m, mesh_start(m, 0, &full));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    OK(m, cnode_global_register(b, "bob", NULL, registered, NULL));
    WANT(m, cnode_global_whereis(mesh_cnode(m, 0), "bob", &pid) == 0);
    ASK(m, cnode_call(a, &o, mesh_result, r1, "x"));
    SAID(m, "bob: asked x\nr1: OK {ok,x}");
    OK(m, cnode_cast(a, &o, "y"));
    SAID(m, "bob: cast y");
    o.global = "nobody";
    ASK(m, cnode_call(a, &o, mesh_result, r1, "x"));
    mesh_advance(m, 1);
    SAID(m, "r1: ENOPROC noproc");
    OK(m, cnode_cast(a, &o, "y"));
    SAID(m, "");
}

static void caller_ends(mesh *m) {
    START(m);
    o.global = "later";
    OK(m, cnode_call(a, &o, NULL, NULL, "x"));
    OK(m, cnode_exit(a, "normal"));
    assert_int_not_equal(cnode_call(a, &o, NULL, NULL, "x"), 0);
    assert_int_not_equal(cnode_cast(a, &o, "x"), 0);
    SAID(m, "alice: ended normal");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(by_another_node), MESH_CASE(time_is_shared),
        MESH_CASE(by_itself), MESH_CASE(caller_ends)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
