/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions whose caller gives up, and how many may run.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1", r2[] = "r2";

static cnode_proc *works;

static void on_abandon(cnode_proc *self, void *arg) {
    mesh_say(mesh_of(cnode_of(self)), "%s: abandoned", (char *)arg);
    if (strcmp(arg, "stops") == 0)
        (void)cnode_return(self, "x");
}

static char goes_on[] = "goes on", stops[] = "stops";

/* work(Twice): goes on after it is abandoned, or stops then. */
static int work(cnode_proc *self, etf_view args, etf_writer *out, void *data) {
    bool stop = etf_match(args, "[stop]") == 0;
    int err = cnode_on_abandon(self, on_abandon, stop ? stops : goes_on);

    (void)out;
    (void)data;
    if (err == 0 && !stop)
        err = cnode_on_abandon(self, on_abandon, goes_on);
    works = err == CN_ENOMEM ? NULL : self;
    if (err == CN_ENOMEM)
        mesh_of(cnode_of(self))->noticed = true;
    return err == 0 ? CNODE_LATER : err;
}

static const cnode_rpc_opts at_b = {
    .node = "b@h", .module = "m", .function = "work", .timeout_ms = 100};

#define BOTH(m, config)                                                        \
    cnode_proc *a;                                                             \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, config));                                           \
    NEED(m, a = mesh_proc(m, 0, "alice"));                                     \
    OK(m, cnode_export(mesh_cnode(m, 1), "m", "work", 1, work, NULL));         \
    works = NULL

static void times_out(mesh *m) {
    BOTH(m, NULL);
    ASK(m, cnode_rpc(a, &at_b, mesh_result, r1, "[on]"));
    WANT(m, works != NULL && cnode_wanted(works));
    mesh_advance(m, 100);
    SAID(m, "r1: ETIMEDOUT nothing\ngoes on: abandoned\ngoes on: abandoned");
    WANT(m, !cnode_wanted(works));
    WANT(m, cnode_on_abandon(works, on_abandon, r1) == CN_ENOENT);
    OK(m, cnode_return(works, "x") == CNODE_LATER ? 0 : CN_ENOMEM);
    SAID(m, "");
    ASK(m, cnode_rpc(a, &at_b, mesh_result, r1, "[stop]"));
    SAID(m, "");
    mesh_advance(m, 100);
    SAID(m, "r1: ETIMEDOUT nothing\nstops: abandoned");
    WANT(m, mesh_cnode(m, 1)->tasks == 0);
}

/* The caller answers in time, ends, or is lost. */
static void other_ends(mesh *m) {
    BOTH(m, NULL);
    ASK(m, cnode_rpc(a, &at_b, mesh_result, r1, "[on]"));
    WANT(m, works != NULL);
    OK(m, cnode_return(works, "done") == CNODE_LATER ? 0 : CN_ENOMEM);
    SAID(m, "r1: OK done");
    ASK(m, cnode_rpc(a, &at_b, mesh_result, r1, "[stop]"));
    SAID(m, "");
    mesh_break(m, 1);
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: ECLOSED nothing") != NULL &&
                strstr(m->said, "stops: abandoned") != NULL);
    m->said[0] = '\0';
    OK(m, cnode_rpc(a, &at_b, NULL, NULL, "[stop]"));
    SAID(m, "");
    OK(m, cnode_exit(a, "normal"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "stops: abandoned") != NULL);
    m->said[0] = '\0';
    WANT(m, mesh_cnode(m, 1)->tasks == 0);
}

static void nobody_waits(mesh *m) {
    cnode_rpc_opts o = at_b;
    BOTH(m, NULL);
    OK(m, cnode_rpc_cast(a, &o, "[on]"));
    WANT(m, works != NULL && mesh_cnode(m, 1)->tasks == 0);
    works = NULL;
    WANT(m, cnode_on_abandon(a, on_abandon, r1) == CN_ENOENT);
    WANT(m, !cnode_wanted(a));
}

/* It is there when the node closes. */
static void closes(mesh *m) {
    BOTH(m, NULL);
    OK(m, cnode_rpc(a, &at_b, NULL, r1, "[on]"));
    WANT(m, works != NULL);
}

/* work(): two who want to know, the first of which ends the process. */
static int end_first(cnode_proc *self, etf_view args, etf_writer *out,
                     void *data) {
    int err = cnode_on_abandon(self, on_abandon, stops);

    (void)args, (void)out, (void)data;
    if (err == 0)
        err = cnode_on_abandon(self, on_abandon, goes_on);
    works = err == 0 ? self : NULL;
    if (err == CN_ENOMEM)
        mesh_of(cnode_of(self))->noticed = true;
    return err == 0 ? CNODE_LATER : err;
}

static void the_first_ends_it(mesh *m) {
    BOTH(m, NULL);
    OK(m, cnode_export(mesh_cnode(m, 1), "m", "work", 0, end_first, NULL));
    ASK(m, cnode_rpc(a, &at_b, mesh_result, r1, "[]"));
    WANT(m, works != NULL);
    mesh_advance(m, 100);
    SAID(m, "r1: ETIMEDOUT nothing\nstops: abandoned");
    WANT(m, mesh_cnode(m, 1)->tasks == 0);
}

static void too_many(mesh *m) {
    static const cnode_config c = {.max_functions = 1};
    BOTH(m, &c);
    ASK(m, cnode_rpc(a, &at_b, mesh_result, r1, "[on]"));
    WANT(m, works != NULL);
    ASK(m, cnode_rpc(a, &at_b, mesh_result, r2, "[on]"));
    SAID(m, "r2: ENOTSUP system_limit");
    OK(m, cnode_return(works, "done") == CNODE_LATER ? 0 : CN_ENOMEM);
    SAID(m, "r1: OK done");
    works = NULL;
    ASK(m, cnode_rpc(a, &at_b, mesh_result, r2, "[on]"));
    WANT(m, works != NULL);
    OK(m, cnode_return(works, "done") == CNODE_LATER ? 0 : CN_ENOMEM);
    SAID(m, "r2: OK done");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(times_out),         MESH_CASE(other_ends),
        MESH_CASE(nobody_waits),      MESH_CASE(closes),
        MESH_CASE(the_first_ends_it), MESH_CASE(too_many)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
