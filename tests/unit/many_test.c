/* SPDX-License-Identifier: Apache-2.0
 *
 * Many relations at once, and what becomes of all of them: a connection that
 * dies, a process that ends, another connection of the same peer. Each is told
 * exactly once. If the time for it grew faster than their number, none of
 * these would come to an end.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mesh.h"

enum { MANY = 100000, WATCHERS = 100 };

typedef struct tally {
    int downs;
    int exits;
    int ends;
    const char *reason; /* every one of them has this */
    int wrong;
} tally;

static void on_down(cnode_proc *p, const cnode_down *d, void *data) {
    tally *t = data;

    (void)p;
    t->downs++;
    t->wrong += etf_match(d->term, t->reason) != 0;
}

static void on_exit_signal(cnode_proc *p, const cnode_exit_signal *e,
                           void *data) {
    tally *t = data;

    (void)p;
    t->exits++;
    t->wrong += etf_match(e->term, t->reason) != 0;
}

static void on_end(cnode_proc *p, etf_view reason, void *data) {
    tally *t = data;

    (void)p;
    (void)reason;
    t->ends++;
}

typedef struct world {
    mesh m;
    tally t;
    cnode_proc *watchers[WATCHERS]; /* on node 0 */
    cnode_proc *one;                /* on node 1 */
} world;

/* Node 0 has `many` links and monitors to `many` processes of node 1; there,
 * each has a watch and a link. */
static world *make_world(int many) {
    static world w;
    const cnode_proc_config watcher = {
        .on_down = on_down, .on_exit = on_exit_signal, .data = &w.t};
    const cnode_proc_config target = {.on_end = on_end, .data = &w.t};
    cnode_proc *p;

    memset(&w, 0, sizeof w);
    w.m.victim = -1;
    assert_int_equal(mesh_start(&w.m, 0, NULL), 0);
    assert_int_equal(mesh_start(&w.m, 1, NULL), 0);
    for (int i = 0; i < WATCHERS; i++)
        assert_int_equal(
            cnode_spawn(mesh_cnode(&w.m, 0), &watcher, &w.watchers[i]), 0);
    for (int i = 0; i < many; i++) {
        etf_pid pid;
        assert_int_equal(cnode_spawn(mesh_cnode(&w.m, 1), &target, &p), 0);
        pid = cnode_self(p);
        assert_int_equal(cnode_link(w.watchers[i % WATCHERS], &pid), 0);
        assert_int_equal(
            cnode_monitor_pid(w.watchers[i % WATCHERS], &pid, NULL), 0);
        if (i % 1000 == 0)
            mesh_settle(&w.m);
    }
    mesh_settle(&w.m);
    assert_int_equal(mesh_cnode(&w.m, 0)->links.count, many);
    assert_int_equal(mesh_cnode(&w.m, 1)->links.count, many);
    assert_int_equal(mesh_cnode(&w.m, 1)->watches.count, many);
    return &w;
}

static void end_world(world *w) {
    assert_int_equal(w->t.wrong, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mesh_cnode(&w->m, i)->links.count, 0);
        assert_int_equal(mesh_cnode(&w->m, i)->watches.count, 0);
        assert_int_equal(mesh_cnode(&w->m, i)->waiters.count, 0);
    }
    mesh_free(&w->m);
}

static void a_connection_dies(void **state) {
    world *w = make_world(MANY);

    (void)state;
    w->t.reason = "noconnection";
    mesh_break(&w->m, 0);
    assert_int_equal(w->t.downs, MANY);
    assert_int_equal(w->t.exits, MANY);
    assert_int_equal(w->t.ends, MANY); /* by their links */
    end_world(w);
}

/* All that one process has, to everybody. */
static void processes_end(void **state) {
    world *w = make_world(MANY);

    (void)state;
    w->t.reason = "bye";
    for (int i = 0; i < WATCHERS; i++)
        assert_int_equal(cnode_exit(w->watchers[i], "normal"), 0);
    mesh_settle(&w->m);
    assert_int_equal(w->t.downs + w->t.exits + w->t.ends, 0);
    end_world(w);
}

/* --- before anything from the next connection ---------------------------- */

static void tell(mesh_raw *r, const etf_pid *to, const char *text) {
    uint8_t buf[32];
    cnode_ctrl c = {.signal = CNODE_SIG_SEND};

    c.from = mesh_raw_pid(r, 5);
    c.to = *to;
    c.term = cnode__atom(text, buf, sizeof buf);
    if (r->conn != NULL)
        mesh_raw_send(r, &c);
}

/* The peer has noticed the loss and is back before we have noticed anything:
 * its new connection takes the place of the old one. */
static void comes_back_at_once(mesh *m) {
    static const cnode_spawn_opts o = {
        .node = "r@h", .module = "m", .function = "f"};
    static char who[] = "spawn";
    mesh_raw *old, *new;
    cnode_proc *a;
    etf_pid self, far;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    self = cnode_self(a);
    old = mesh_play(m, 0, "r@h");
    mesh_raw_dial(old, 0);
    WANT(m, old->up);
    far = mesh_raw_pid(old, 7);
    OK(m, cnode_monitor_pid(a, &far, NULL));
    ASK(m, cnode_spawn_remote(a, &o, mesh_result, who, NULL, "[]"));
    mesh_settle(m);
    tell(old, &self, "one");
    new = mesh_play(m, 1, "r@h");
    mesh_raw_dial(new, 0);
    WANT(m, new->up);
    tell(old, &self, "lost");
    tell(new, &self, "two");
    SAID(m, "alice: one\nalice: down noconnection\nspawn: ECLOSED nothing\n"
            "alice: two");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_dies),
        cmocka_unit_test(processes_end),
        MESH_CASE(comes_back_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
