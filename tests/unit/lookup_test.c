/* SPDX-License-Identifier: Apache-2.0
 *
 * lookup_test.c: the program says where a peer is, at once or later.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1", r2[] = "r2";

static void say_it(cnode *n, const char *peer, void *data) {
    (void)data;
    mesh_say(mesh_of(n), "where is %s?", peer);
}

/* The mesh has addresses of its own; what is found has to arrive all the
 * same. */
static void answer_at_once(cnode *n, const char *peer, void *data) {
    int err;

    say_it(n, peer, data);
    err = cnode_found(n, peer, strcmp(peer, "b@h") == 0 ? "h:1" : NULL);
    assert_int_equal(err, 0);
    assert_int_equal(cnode_found(n, peer, "h:2"), CN_ENOENT);
}

static const cnode_config at_once = {.on_lookup = answer_at_once};
static const cnode_config later = {.on_lookup = say_it};

static void answers_at_once(mesh *m) {
    cnode_proc *p;
    cnode *a;

    OK(m, mesh_start(m, 0, &at_once));
    OK(m, mesh_start(m, 1, NULL));
    a = mesh_cnode(m, 0);
    NEED(m, p = mesh_proc(m, 0, "alice"));
    OK(m, cnode_monitor(p, "b@h", "nobody", NULL));
    assert_string_equal(m->said, ""); /* not in the call */
    SAID(m, "where is b@h?\nalice: down noproc");
    ASK(m, cnode_connect(a, "x@h", mesh_connected, r1));
    SAID(m, "where is x@h?\nr1: x@h ENOENT");
    /* An address that is known is not asked for. */
    OK(m, cnode_disconnect(a, "b@h"));
    OK(m, cnode_set_address(a, "b@h", "h:1"));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
}

static void answers_later(mesh *m) {
    cnode *a;

    OK(m, mesh_start(m, 0, &later));
    OK(m, mesh_start(m, 1, NULL));
    a = mesh_cnode(m, 0);
    WANT(m, cnode_found(a, "b@h", "h:1") == CN_ENOENT);
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "where is b@h?");
    ASK(m, cnode_connect(a, "x@h", mesh_connected, r2));
    SAID(m, "where is x@h?");
    mesh_advance(m, 3000);
    m->nodes[0].slow = true;
    OK(m, cnode_found(a, "b@h", ""));
    WANT(m, cnode_found(a, "b@h", "h:1") == CN_ENOENT);
    m->nodes[0].slow = false;
    SAID(m, "r1: b@h OK");
    OK(m, cnode_found(a, "x@h", NULL));
    SAID(m, "r2: x@h ENOENT");
    WANT(m, a->peers.count == 1);
    WANT(m, cnode_found(a, "x@h", "h:1") == CN_ENOENT);
}

/* No answer in time, and one that comes when nobody asks any more. */
static void is_not_answered(mesh *m) {
    cnode *a;

    OK(m, mesh_start(m, 0, &later));
    OK(m, mesh_start(m, 1, NULL));
    a = mesh_cnode(m, 0);
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "where is b@h?");
    mesh_advance(m, 7000);
    SAID(m, "r1: b@h ETIMEDOUT");
    WANT(m, cnode_found(a, "b@h", "h:1") == CN_ENOENT);
    /* The peer comes by itself meanwhile. */
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "where is b@h?");
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r2));
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: b@h OK") != NULL &&
                strstr(m->said, "r2: a@h OK") != NULL);
    WANT(m, cnode_found(a, "b@h", "h:1") == CN_ENOENT);
    m->said[0] = '\0';
    ASK(m, cnode_connect(a, "x@h", mesh_connected, r1));
    SAID(m, "where is x@h?");
    mesh_stop(m, 0);
    SAID(m, "r1: x@h ECLOSED");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(answers_at_once),
        MESH_CASE(answers_later),
        MESH_CASE(is_not_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
