/* SPDX-License-Identifier: Apache-2.0
 *
 * reconnect_test.c: peers that are to be kept connected.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1";

static uint32_t waits[32];
static int told;

static void on_retry(cnode *n, const cnode_retry *r, void *data) {
    mesh *m = mesh_of(n);

    (void)data;
    assert_true(r->text[0] != '\0');
    m->noticed = m->noticed || r->status == CN_ENOMEM;
    if (told < 32)
        waits[told++] = r->wait_ms;
    mesh_say(m, "%s: %s, %u%s", r->name, cn_errname(r->status) + 3,
             (unsigned)r->failures, r->given_up ? ", given up" : "");
}

static const cnode_config tells = {.on_retry = on_retry};

#define BOTH(m)                                                                \
    told = 0;                                                                  \
    OK(m, mesh_start(m, 0, &tells));                                           \
    OK(m, mesh_start(m, 1, NULL))

/* Between the half and the whole of it. */
static bool about(uint32_t wait, uint32_t whole) {
    return wait >= whole / 2 && wait <= whole;
}

/* It comes back as often as it goes, if it was there for some time. */
static void is_kept(mesh *m) {
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    OK(m, cnode_keep(a, "b@h", NULL));
    WANT(m, cnode_connected(a, "b@h"));
    for (int i = 1; i < 4; i++) {
        mesh_advance(m, 10000);
        mesh_break(m, 0);
        SAID(m, "b@h: ECLOSED, 0");
        assert_false(cnode_connected(a, "b@h"));
        assert_true(about(waits[0], 1000));
        told = 0;
        mesh_advance(m, 1000);
        WANT(m, cnode_connected(a, "b@h"));
        WANT(m, m->nodes[0].ups == i + 1 && m->nodes[0].downs == i);
    }
    mesh_advance(m, 100000);
    SAID(m, "");
    /* The other side closes it. */
    OK(m, cnode_disconnect(mesh_cnode(m, 1), "a@h"));
    SAID(m, "b@h: ECLOSED, 0");
    mesh_advance(m, 1000);
    WANT(m, cnode_connected(a, "b@h"));
}

/* The waits double up to a limit; then it is given up. */
static void waits_longer(mesh *m) {
    static const cnode_keep_opts six = {
        .first_ms = 200, .max_ms = 1000, .attempts = 6};
    static const uint32_t whole[] = {200, 400, 800, 1000, 1000};
    cnode *a;

    told = 0;
    OK(m, mesh_start(m, 0, &tells));
    a = mesh_cnode(m, 0);
    OK(m, cnode_keep(a, "x@h", &six));
    mesh_advance(m, 5000);
    SAID(m, "x@h: ENOENT, 1\nx@h: ENOENT, 2\nx@h: ENOENT, 3\n"
            "x@h: ENOENT, 4\nx@h: ENOENT, 5\nx@h: ENOENT, 6, given up");
    for (int i = 0; i < 5; i++)
        assert_true(about(waits[i], whole[i]));
    assert_int_equal(waits[5], 0);
    WANT(m, a->peers.count == 0);
    mesh_advance(m, 100000);
    SAID(m, "");
}

/* A connection that does not last is a failure, one that does makes all good
 * again. */
static void begins_anew(mesh *m) {
    static const cnode_keep_opts brief = {.first_ms = 100, .steady_ms = 500};
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    OK(m, cnode_keep(a, "b@h", &brief));
    WANT(m, cnode_connected(a, "b@h"));
    mesh_break(m, 0);
    SAID(m, "b@h: ECLOSED, 1");
    mesh_advance(m, waits[0]);
    WANT(m, cnode_connected(a, "b@h"));
    mesh_advance(m, 400);
    mesh_break(m, 0);
    SAID(m, "b@h: ECLOSED, 2");
    mesh_advance(m, waits[1]);
    WANT(m, cnode_connected(a, "b@h"));
    mesh_advance(m, 500);
    mesh_break(m, 0);
    SAID(m, "b@h: ECLOSED, 0");
    assert_true(about(waits[0], 100) && about(waits[1], 200) &&
                about(waits[2], 100));
}

/* It ends with cnode_disconnect, at any time. */
static void is_kept_no_more(mesh *m) {
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    OK(m, cnode_keep(a, "b@h", NULL));
    WANT(m, cnode_connected(a, "b@h"));
    OK(m, cnode_disconnect(a, "b@h")); /* while it is up */
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, !cnode_connected(a, "b@h") && a->peers.count == 0);
    m->cut = true;
    OK(m, cnode_keep(a, "b@h", NULL));
    SAID(m, "b@h: ENOENT, 1");
    OK(m, cnode_disconnect(a, "b@h")); /* while it waits */
    WANT(m, a->peers.count == 0);
    m->cut = false;
    mesh_advance(m, 100000);
    SAID(m, "");
    m->nodes[0].slow = true;
    OK(m, cnode_keep(a, "b@h", NULL));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    OK(m, cnode_disconnect(a, "b@h")); /* while it is tried */
    SAID(m, "r1: b@h ECLOSED");
    m->nodes[0].slow = false;
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, a->peers.count == 0 && m->nodes[1].ups == 1);
    WANT(m, cnode_disconnect(a, "b@h") == CN_ENOCONN);
    OK(m, cnode_keep(a, "b@h", NULL));
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_DENY));
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, cnode_keep(a, "b@h", NULL) == CN_ENOTALLOWED);
    WANT(m, cnode_keep(a, "a@h", NULL) == CN_EBADARG);
    WANT(m, cnode_keep(a, "b", NULL) == CN_EBADARG);
}

/* While it waits, others may connect: in vain, or not. */
static void others_connect(mesh *m) {
    static const cnode_keep_opts slowly = {.first_ms = 40000};
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    m->cut = true;
    OK(m, cnode_keep(a, "b@h", &slowly));
    SAID(m, "b@h: ENOENT, 1");
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h ENOENT"); /* and no second timer */
    m->cut = false;
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, m->nodes[0].ups == 1);
    mesh_break(m, 0);
    SAID(m, "b@h: ECLOSED, 0");
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r1));
    SAID(m, "r1: a@h OK");
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, m->nodes[0].ups == 2 && m->nodes[0].downs == 1);
}

/* `nok` and then nothing is a failure too, and so is a cookie. */
static void fails_in_all_ways(mesh *m) {
    static const cnode_keep_opts quickly = {.first_ms = 100};
    mesh_raw *r;
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    r = mesh_play(m, 0, "r@h");
    r->answer = CNODE_ANSWER_NOK;
    OK(m, cnode_keep(a, "r@h", &quickly));
    SAID(m, "");
    mesh_advance(m, 7000);
    SAID(m, "r@h: ETIMEDOUT, 1");
    r->answer = CNODE_ANSWER_OK;
    mesh_advance(m, 100);
    WANT(m, cnode_connected(a, "r@h"));
    OK(m, cnode_disconnect(a, "r@h"));
    OK(m, cnode_set_cookie(a, "b@h", "other"));
    OK(m, cnode_keep(a, "b@h", &quickly));
    SAID(m, "b@h: ECOOKIE, 1");
    OK(m, cnode_set_cookie(a, "b@h", NULL));
    mesh_advance(m, 100);
    WANT(m, cnode_connected(a, "b@h"));
}

/* The callback may end what it is about, and begin it again. */
static void on_retry_twice(cnode *n, const cnode_retry *r, void *data) {
    static const cnode_keep_opts once = {.attempts = 1};

    on_retry(n, r, data);
    (void)cnode_disconnect(n, "x@h");
    if (!r->given_up && cnode_keep(n, "x@h", &once) != 0)
        mesh_of(n)->noticed = true;
}

static void callback_changes_it(mesh *m) {
    static const cnode_config c = {.on_retry = on_retry_twice};

    told = 0;
    OK(m, mesh_start(m, 0, &c));
    OK(m, cnode_keep(mesh_cnode(m, 0), "x@h", NULL));
    SAID(m, "x@h: ENOENT, 1\nx@h: ENOENT, 1, given up");
    WANT(m, mesh_cnode(m, 0)->peers.count == 0);
}

/* Options can be changed; the node may end meanwhile. */
static void ends_meanwhile(mesh *m) {
    static const cnode_keep_opts once = {.attempts = 2};
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    m->cut = true;
    OK(m, cnode_keep(a, "b@h", NULL));
    SAID(m, "b@h: ENOENT, 1");
    OK(m, cnode_keep(a, "b@h", &once));
    mesh_advance(m, 1000);
    SAID(m, "b@h: ENOENT, 2, given up");
    OK(m, cnode_keep(a, "b@h", NULL));
    SAID(m, "b@h: ENOENT, 1");
    mesh_stop(m, 0);
    SAID(m, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(is_kept),
        MESH_CASE(waits_longer),
        MESH_CASE(begins_anew),
        MESH_CASE(is_kept_no_more),
        MESH_CASE(others_connect),
        MESH_CASE(fails_in_all_ways),
        MESH_CASE(callback_changes_it),
        MESH_CASE(ends_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
