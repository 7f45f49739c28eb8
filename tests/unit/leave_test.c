/* SPDX-License-Identifier: Apache-2.0
 *
 * leave_test.c: taking leave of the other nodes.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1", r2[] = "r2";

#define BOTH(m)                                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL))

static void on_left(cnode *n, int status, const cn_error *err, void *data) {
    mesh *m = mesh_of(n);

    (void)data;
    m->answered++;
    m->noticed = m->noticed || status != 0;
    assert_int_equal(status, err->code);
    assert_int_equal(err->text[0] != '\0', status != 0);
    mesh_say(m, "left: %s", cn_errname(status) + 3);
}

/* What was sent before arrives, exits included, and nothing goes out after. */
static void leaves(mesh *m) {
    cnode_proc *alice, *carol, *bob;
    cnode *a;
    etf_pid pid;
    int err;

    BOTH(m);
    a = mesh_cnode(m, 0);
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    NEED(m, carol = mesh_proc(m, 0, "carol"));
    NEED(m, bob = mesh_proc(m, 1, "bob"));
    pid = cnode_self(alice);
    OK(m, cnode_monitor_pid(bob, &pid, NULL));
    pid = cnode_self(carol);
    OK(m, cnode_monitor_pid(bob, &pid, NULL));
    SAID(m, "");
    OK(m, cnode_send_name(carol, "b@h", "bob", "one"));
    OK(m, cnode_exit(alice, "done"));
    ASK(m, cnode_leave(a, 0, on_left, NULL));
    err = cnode_send_name(carol, "b@h", "bob", "two");
    OK(m, err == CN_ENOCONN ? 0 : err);
    WANT(m, cnode_connect(a, "b@h", NULL, NULL) == CN_ECLOSED);
    WANT(m, cnode_keep(a, "b@h", NULL) == CN_ECLOSED);
    WANT(m, cnode_leave(a, 0, NULL, NULL) == CN_ECLOSED);
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: one\nbob: down done\n"
                            "bob: down noconnection") != NULL);
    WANT(m, strstr(m->said, "left: OK") != NULL);
    WANT(m, strstr(m->said, "two") == NULL);
    WANT(m, m->nodes[0].downs == 1 && m->nodes[0].down_status == 0);
    m->said[0] = '\0';
    /* Here it lives on. */
    OK(m, cnode_send_name(carol, NULL, "carol", "here"));
    SAID(m, "carol: here");
    WANT(m, a->peers.count == 0);
    mesh_advance(m, 100000);
    SAID(m, "");
}

/* What waits for a connection is worth making it. */
static void leaves_while_it_dials(mesh *m) {
    cnode_proc *alice;
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    NEED(m, mesh_proc(m, 1, "bob"));
    m->nodes[0].slow = true;
    OK(m, cnode_send_name(alice, "b@h", "bob", "one"));
    ASK(m, cnode_connect(a, "c@h", mesh_connected, r1));
    OK(m, cnode_keep(a, "x@h", NULL));
    ASK(m, cnode_leave(a, 0, on_left, NULL));
    SAID(m, "r1: c@h ECLOSED");
    WANT(m, a->peers.count == 1);
    m->nodes[0].slow = false;
    SAID(m, "left: OK\nbob: one");
    WANT(m, m->nodes[0].ups == 1 && m->nodes[0].downs == 1);
}

static void cannot_send_all(mesh *m) {
    cnode_proc *alice;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    OK(m, cnode_send_name(alice, "x@h", "bob", "one"));
    ASK(m, cnode_leave(mesh_cnode(m, 0), 0, on_left, NULL));
    SAID(m, "left: ENOCONN");
}

/* A peer that does not read is given up in time; so is one that does not come
 * up. */
static void leaves_too_late(mesh *m) {
    cnode_proc *alice;
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    m->nodes[0].slow = true;
    OK(m, cnode_send_name(alice, "c@h", "bob", "one"));
    ASK(m, cnode_leave(a, 2000, on_left, NULL));
    mesh_advance(m, 1999);
    SAID(m, "");
    mesh_advance(m, 1);
    SAID(m, "left: ETIMEDOUT");
    mesh_advance(m, 100000);
    SAID(m, "");
}

/* Nobody comes in any more, not even who had its foot in the door. */
static void lets_nobody_in(mesh *m) {
    mesh_raw *r, *q;
    cnode *a;

    OK(m, mesh_start(m, 0, NULL));
    a = mesh_cnode(m, 0);
    r = mesh_play(m, 0, "r@h");
    r->mute = true;
    mesh_raw_dial(r, 0);
    mesh_settle(m);
    q = mesh_play(m, 1, "q@h");
    q->mute = true;
    mesh_raw_dial(q, 0);
    m->nodes[0].slow = true;
    ASK(m, cnode_leave(a, 3000, on_left, NULL));
    r->mute = q->mute = false;
    SAID(m, "left: OK");
    WANT(m, !r->up && !q->up && m->nodes[0].ups == 0);
    mesh_raw_dial(r, 0);
    mesh_settle(m);
    WANT(m, !r->up && m->nodes[0].ups == 0 && a->peers.count == 0);
}

/* The peer's attempt gets through where ours had something to say. */
static void both_dial(mesh *m) {
    cnode_proc *alice;
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    NEED(m, mesh_proc(m, 1, "bob"));
    m->nodes[1].slow = true;
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r2));
    OK(m, cnode_send_name(alice, "b@h", "bob", "one"));
    m->nodes[1].slow = false;
    ASK(m, cnode_leave(a, 0, on_left, NULL));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: one") != NULL);
    WANT(m, strstr(m->said, "left: OK") != NULL);
}

static void is_freed_meanwhile(mesh *m) {
    cnode_proc *alice;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, alice = mesh_proc(m, 0, NULL));
    m->nodes[0].slow = true;
    OK(m, cnode_send_name(alice, "x@h", "bob", "one"));
    ASK(m, cnode_leave(mesh_cnode(m, 0), 0, on_left, NULL));
    mesh_settle(m);
    m->said[0] = '\0';
    mesh_stop(m, 0);
    WANT(m, strstr(m->said, "left: ECLOSED") != NULL);
    OK(m, mesh_start(m, 0, NULL));
    m->said[0] = '\0';
    ASK(m, cnode_leave(mesh_cnode(m, 0), 0, on_left, NULL));
    assert_string_equal(m->said, ""); /* not in the call */
    SAID(m, "left: OK");
    mesh_stop(m, 0);
    SAID(m, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(leaves),
        MESH_CASE(leaves_while_it_dials),
        MESH_CASE(cannot_send_all),
        MESH_CASE(leaves_too_late),
        MESH_CASE(lets_nobody_in),
        MESH_CASE(both_dial),
        MESH_CASE(is_freed_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
