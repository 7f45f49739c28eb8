/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_test.c: which other nodes a node has to do with.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1";

#define BOTH(m)                                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL))

/* Not dialled, not let in, and what there is ends. */
static void denied(mesh *m) {
    cnode_proc *alice;
    cnode *a;
    int err;

    BOTH(m);
    a = mesh_cnode(m, 0);
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    OK(m, cnode_monitor(alice, "b@h", "nobody", NULL));
    SAID(m, "alice: down noproc");
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_DENY));
    assert_false(cnode_connected(a, "b@h"));
    /* Not for the next connection: there will be none. */
    err = cnode_send_name(alice, "b@h", "bob", "x");
    OK(m, err == CN_ENOTALLOWED ? 0 : err);
    assert_int_equal(err, CN_ENOTALLOWED);
    WANT(m, cnode_connect(a, "b@h", mesh_connected, r1) == CN_ENOTALLOWED);
    WANT(m, strcmp(a->error.text, "b@h: " CNODE__DENIED) == 0);
    WANT(m, cnode_send_name(alice, "b@h", "bob", "x") == CN_ENOTALLOWED);
    WANT(m, cnode_monitor(alice, "b@h", "bob", NULL) == CN_ENOTALLOWED);
    WANT(m, m->nodes[0].downs == 1);
    WANT(m, m->nodes[0].down_status == CN_ENOTALLOWED);
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, NULL));
    SAID(m, "b@h: a@h ENOTALLOWED");
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_DEFAULT));
    WANT(m, a->peers.count == 0 && a->waiters.count == 0);
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, NULL));
    SAID(m, "b@h: a@h OK");
}

/* An attempt that is under way, and what waits for it. */
static void denied_meanwhile(mesh *m) {
    cnode_proc *alice;
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    m->nodes[0].slow = true;
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    OK(m, cnode_monitor(alice, "b@h", "bob", NULL));
    OK(m, cnode_send_name(alice, "b@h", "bob", "x"));
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_DENY));
    m->nodes[0].slow = false;
    SAID(m, "alice: down noconnection\nr1: b@h ENOTALLOWED");
    WANT(m, m->nodes[1].ups == 0 && a->pending == 0);
    /* Who is in a handshake with us does not come up either. */
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_ALLOW));
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, NULL));
    (void)cnode__pump(mesh_cnode(m, 1));
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_DENY));
    SAID(m, "b@h: a@h ENOTALLOWED");
    WANT(m, m->nodes[0].ups == 0);
}

/* Everybody is denied but those who are not. */
static void only_some(mesh *m) {
    static const cnode_config shy = {.policy = CNODE_POLICY_DENY};
    static const cnode_config nameless = {.name = ""};
    cnode *a;

    OK(m, mesh_start(m, 0, &shy));
    OK(m, mesh_start(m, 1, NULL));
    OK(m, mesh_start(m, 2, &nameless));
    a = mesh_cnode(m, 0);
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, NULL));
    SAID(m, "b@h: a@h ENOTALLOWED");
    WANT(m, cnode_connect(a, "b@h", NULL, NULL) == CN_ENOTALLOWED);
    WANT(m, a->peers.count == 0);
    ASK(m, cnode_connect(mesh_cnode(m, 2), "a@h", mesh_connected, r1));
    SAID(m, "r1: a@h ENOTALLOWED");
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_ALLOW));
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, NULL));
    SAID(m, "b@h: a@h OK");
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_DEFAULT));
    WANT(m, !cnode_connected(a, "b@h"));
    WANT(m, a->peers.count == 0);
}

static bool hidden(mesh *m, int i, const char *peer) {
    const cnode__peer *p =
        cn__map_get(&mesh_cnode(m, i)->peers, peer, strlen(peer));

    return p == NULL || (p->flags & CNODE_FLAG_PUBLISHED) == 0;
}

/* Visible to one, hidden to the other, whoever connects. */
static void hidden_to_one(mesh *m) {
    static const cnode_config visible = {.visible = true};
    cnode *a;

    for (int i = 0; i < MESH_NODES; i++)
        OK(m, mesh_start(m, i, &visible));
    a = mesh_cnode(m, 0);
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_HIDDEN));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    ASK(m, cnode_connect(mesh_cnode(m, 2), "a@h", mesh_connected, r1));
    SAID(m, "r1: a@h OK");
    WANT(m, hidden(m, 0, "b@h") && hidden(m, 1, "a@h"));
    WANT(m, !hidden(m, 0, "c@h") && !hidden(m, 2, "a@h"));
    OK(m, cnode_disconnect(a, "b@h"));
    WANT(m, !cnode_connected(mesh_cnode(m, 1), "a@h"));
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r1));
    SAID(m, "r1: a@h OK");
    WANT(m, hidden(m, 0, "b@h") && hidden(m, 1, "a@h"));
    /* It stays as it is until the next one. */
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_DEFAULT));
    WANT(m, cnode_connected(a, "b@h"));
    OK(m, cnode_disconnect(a, "b@h"));
    WANT(m, !cnode_connected(mesh_cnode(m, 1), "a@h"));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    WANT(m, !hidden(m, 0, "b@h") && !hidden(m, 1, "a@h"));
}

static void bad_values(mesh *m) {
    static const cnode_config bad[] = {
        {.tick_intensity = 3},
        {.tick_intensity = 1001},
        {.port = 0, .port_max = 5000},
        {.port = 5001, .port_max = 5000},
        {.policy = (cnode_policy)(CNODE_POLICY_DENY + 1)}};
    cnode *a;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WANT(m, mesh_start(m, 0, &bad[i]) == CN_EBADARG);
        mesh_stop(m, 0);
    }
    OK(m, mesh_start(m, 0, NULL));
    a = mesh_cnode(m, 0);
    WANT(m, cnode_set_policy(a, "b", CNODE_POLICY_DENY) == CN_EBADARG);
    WANT(m, cnode_set_policy(a, "a@h", CNODE_POLICY_DENY) == CN_EBADARG);
    WANT(m, cnode_set_policy(a, "b@h", (cnode_policy)9) == CN_EBADARG);
    WANT(m, a->peers.count == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(denied),     MESH_CASE(denied_meanwhile),
        MESH_CASE(only_some),  MESH_CASE(hidden_to_one),
        MESH_CASE(bad_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
