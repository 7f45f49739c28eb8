/* SPDX-License-Identifier: Apache-2.0
 *
 * A node: connections, who wins when both dial, what waits for a connection,
 * names that are given, and its end.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static char r1[] = "r1", r2[] = "r2";

#define BOTH(m)                                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL))

/* --- connecting ----------------------------------------------------------- */

static void connects(mesh *m) {
    size_t at = 0;
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r2));
    SAID(m, "r1: b@h OK\nr2: b@h OK");
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    assert_string_equal(m->said, ""); /* later, also when it is up */
    SAID(m, "r1: b@h OK");
    WANT(m, cnode_connected(a, "b@h"));
    assert_string_equal(cnode_next_peer(a, &at), "b@h");
    assert_null(cnode_next_peer(a, &at));
    WANT(m, a->stats.connections == 1);
    OK(m, cnode_disconnect(a, "b@h"));
    assert_false(cnode_connected(a, "b@h"));
    WANT(m, cnode_disconnect(a, "b@h") == CN_ENOCONN);
    WANT(m, !cnode_connected(mesh_cnode(m, 1), "a@h"));
    WANT(m, m->nodes[0].ups == 1);
    WANT(m, m->nodes[0].downs == 1);
    WANT(m, m->nodes[0].down_status == 0);
    WANT(m, m->nodes[1].down_status == CN_ECLOSED);
    WANT(m, a->peers.count == 0);
    /* Closed and wanted again at once. */
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    OK(m, cnode_disconnect(a, "b@h"));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r2));
    SAID(m, "r2: b@h OK");
    WANT(m, cnode_connected(a, "b@h"));
    WANT(m, cnode_connect(a, "a@h", NULL, NULL) == CN_EBADARG);
    WANT(m, cnode_connect(a, "nobody", NULL, NULL) == CN_EBADARG);
}

/* A message sent after the connection has failed, but before that was dealt
 * with, is for the next one; a monitor is lost with the old one. */
static void sends_while_it_goes_down(mesh *m) {
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, mesh_proc(m, 1, "bob"));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    OK(m, cnode_disconnect(mesh_cnode(m, 0), "b@h"));
    OK(m, cnode_monitor(a, "b@h", "bob", NULL));
    OK(m, cnode_send_name(a, "b@h", "bob", "one"));
    OK(m, cnode_monitor(a, "b@h", "bob", NULL));
    OK(m, cnode_send_name(a, "b@h", "bob", "two"));
    SAID(m, "alice: down noconnection\nalice: down noconnection\n"
            "bob: one\nbob: two");
    WANT(m, mesh_cnode(m, 1)->watches.count == 0);
    WANT(m, m->nodes[0].ups == 2);
}

/* exit/2 is sent like a message, and keeps its place among them. */
static void exits_while_it_goes_down(mesh *m) {
    cnode_proc_config c = mesh_observer;
    cnode_proc *a, *b;
    etf_pid bob;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    c.name = "bob";
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, &b));
    bob = cnode_self(b);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    OK(m, cnode_disconnect(mesh_cnode(m, 0), "b@h"));
    OK(m, cnode_send(a, &bob, "one"));
    OK(m, cnode_send_exit(a, &bob, "two"));
    OK(m, cnode_send(a, &bob, "three"));
    SAID(m, "bob: one\nbob: exit two\nbob: three");
}

/* Whichever way a message takes, what cannot be is refused. */
static void sends_bytes_that_are_nowhere(mesh *m) {
    const etf_view nowhere = {NULL, 5}, none = {NULL, 0};
    cnode_proc *a, *b;
    etf_pid bob;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    for (int i = 0; i < 3; i++) {
        WANT(m, cnode_send(a, &bob, "~b", nowhere) == CN_EBADARG);
        OK(m, cnode_send(a, &bob, "~b", none));
        SAID(m, "bob: <<>>");
    }
}

static void cannot_connect(mesh *m) {
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    ASK(m, cnode_connect(a, "x@h", mesh_connected, r1));
    SAID(m, "r1: x@h ENOENT");
    OK(m, cnode_set_cookie(a, "b@h", "other"));
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h ECOOKIE");
    WANT(m, a->peers.count == 1);
    OK(m, cnode_set_cookie(a, "b@h", NULL));
    WANT(m, a->peers.count == 0);
    m->nodes[0].slow = true;
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    mesh_advance(m, 7000);
    SAID(m, "r1: b@h ETIMEDOUT");
    m->nodes[0].slow = false;
    ASK(m, cnode_connect(a, "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
}

static void refused(mesh *m) {
    mesh_raw *r;

    OK(m, mesh_start(m, 0, NULL));
    r = mesh_play(m, 0, "r@h");
    r->answer = CNODE_ANSWER_NOT_ALLOWED;
    ASK(m, cnode_connect(mesh_cnode(m, 0), "r@h", mesh_connected, r1));
    SAID(m, "r1: r@h ENOTALLOWED");
    r->mute = true;
    ASK(m, cnode_connect(mesh_cnode(m, 0), "r@h", mesh_connected, r1));
    mesh_advance(m, 7000);
    SAID(m, "r1: r@h ETIMEDOUT");
}

/* --- too many at once ------------------------------------------------------
 */

/* What is sent to unknown nodes makes so many attempts and no more; the log
 * has one line about the rest, and they leave nothing behind. */
static void too_many_dials(mesh *m) {
    static const cnode_config few = {.max_dials = 2};
    static char busy[] = "many@h";
    cnode *a;
    cnode_proc *p;

    OK(m, mesh_start(m, 0, &few));
    OK(m, mesh_start(m, 1, NULL));
    a = mesh_cnode(m, 0);
    NEED(m, p = mesh_proc(m, 0, "alice"));
    m->nodes[0].slow = true;
    OK(m, cnode_send_name(p, "x@h", "nobody", "x"));
    OK(m, cnode_monitor(p, "y@h", "nobody", NULL));
    OK(m, cnode_send_name(p, "x@h", "nobody", "x")); /* is on the way */
    for (busy[0] = 'a'; busy[0] < 'w'; busy[0]++) {
        int err = cnode_send_name(p, busy, "nobody", "x");
        OK(m, err == CN_EBUSY ? 0 : err);
        WANT(m, err == CN_EBUSY && a->error.code == CN_EBUSY);
        err = cnode_monitor(p, busy, "nobody", NULL);
        OK(m, err == CN_EBUSY ? 0 : err);
        WANT(m, err == CN_EBUSY);
    }
    WANT(m, m->nodes[0].troubles == 1);
    WANT(m, a->peers.count == 2 && a->waiters.count == 1);
    /* Asked for by name, it is not bound. */
    ASK(m, cnode_connect(a, "z@h", mesh_connected, r1));
    WANT(m, a->peers.count == 3 && a->dials == 2);
    mesh_advance(m, 1000);
    WANT(m, cnode_send_name(p, busy, "nobody", "x") == CN_EBUSY);
    WANT(m, m->nodes[0].troubles == 2);
    m->nodes[0].slow = false;
    mesh_settle(m);
    WANT(m, strstr(m->said, "alice: down noconnection") != NULL &&
                strstr(m->said, "r1: z@h ENOENT") != NULL);
    WANT(m, a->peers.count == 0 && a->dials == 0);
    OK(m, cnode_send_name(p, "b@h", "nobody", "x"));
    WANT(m, cnode_connected(a, "b@h") && a->dials == 0);
    WANT(m, mesh_cnode(m, 1)->stats.dropped == 1);
}

/* Whoever comes in is known from its name on, and forgotten with its socket.
 */
static void goes_at_the_door(mesh *m) {
    mesh_raw *r;

    OK(m, mesh_start(m, 0, NULL));
    r = mesh_play(m, 0, "r@h");
    mesh_raw_dial(r, 0);
    r->mute = true;
    mesh_settle(m);
    WANT(m, mesh_cnode(m, 0)->peers.count == 1 && !r->up);
    mesh_raw_close(r);
    WANT(m, mesh_cnode(m, 0)->peers.count == 0);
    r = mesh_play(m, 0, "a@h");
    mesh_raw_dial(r, 0);
    WANT(m, mesh_cnode(m, 0)->peers.count == 0 && !r->up);
}

/* --- both dial ------------------------------------------------------------ */

static void both_dial(mesh *m) {
    cnode_proc *a, *b;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r2));
    OK(m, cnode_send_name(a, "b@h", "bob", "from_a"));
    OK(m, cnode_send_name(b, "a@h", "alice", "from_b"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: b@h OK") != NULL);
    WANT(m, strstr(m->said, "r2: a@h OK") != NULL);
    WANT(m, strstr(m->said, "bob: from_a") != NULL);
    WANT(m, strstr(m->said, "alice: from_b") != NULL);
    WANT(m, m->nodes[0].ups == 1);
    WANT(m, m->nodes[1].ups == 1);
    WANT(m, m->nodes[0].downs + m->nodes[1].downs == 0);
}

/* An attempt that has not got as far as a handshake gives way. */
static void an_early_attempt_gives_way(mesh *m) {
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 1, "bob"));
    m->nodes[1].slow = true;
    OK(m, cnode_send_name(a, "a@h", "nobody", "x"));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    m->nodes[1].slow = false;
    mesh_advance(m, 10000);
    WANT(m, m->nodes[1].ups == 1 && m->nodes[1].downs == 0);
    WANT(m, m->nodes[0].node.stats.dropped == 1);
}

/* It begins to connect, so that our attempt gives way, and falls silent. */
static void gives_way_to_nobody(mesh *m) {
    mesh_raw *r;

    OK(m, mesh_start(m, 0, NULL));
    r = mesh_play(m, 0, "r@h");
    m->nodes[0].slow = true;
    ASK(m, cnode_connect(mesh_cnode(m, 0), "r@h", mesh_connected, r1));
    mesh_settle(m);
    r->mute = true;
    mesh_raw_dial(r, 0);
    mesh_advance(m, 3000);
    SAID(m, "");
    mesh_advance(m, 20000);
    SAID(m, "r1: r@h ETIMEDOUT");
    WANT(m, m->nodes[0].node.peers.count == 0);
    /* It goes away instead: then ours is tried again. */
    r->mute = false;
    ASK(m, cnode_connect(mesh_cnode(m, 0), "r@h", mesh_connected, r1));
    mesh_settle(m);
    r->mute = true;
    mesh_raw_dial(r, 0);
    mesh_advance(m, 100);
    mesh_raw_close(r);
    m->nodes[0].slow = r->mute = false;
    SAID(m, "r1: r@h OK");
}

static void count_losses(void *ctx, cn_level level, const char *where,
                         const char *text) {
    (void)level;
    (void)where;
    *(int *)ctx += strncmp(text, "r@h: it was connecting", 22) == 0;
}

/* `nok`, and then nothing comes: what waited is lost, as the log says. */
static void waits_for_the_other_attempt(mesh *m) {
    mesh_raw *r;
    static int losses; /* the hook stays until the node is freed */

    losses = 0;
    OK(m, mesh_start(m, 0, NULL));
    mesh_cnode(m, 0)->config.log = (cn_log){count_losses, &losses, CN_LOG_INFO};
    r = mesh_play(m, 0, "r@h");
    r->answer = CNODE_ANSWER_NOK;
    ASK(m, cnode_connect(mesh_cnode(m, 0), "r@h", mesh_connected, r1));
    SAID(m, "");
    mesh_advance(m, 7000);
    SAID(m, "r1: r@h ETIMEDOUT");
    WANT(m, losses == 1);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "r@h", mesh_connected, r1));
    SAID(m, "");
    mesh_raw_dial(r, 0);
    SAID(m, "r1: r@h OK");
}

/* Its attempt has got as far as its name, so there is no second one, which it
 * would take while this side takes the first. */
static void leaves_it_to_the_peer(mesh *m) {
    mesh_raw *r;
    cnode *n;

    OK(m, mesh_start(m, 0, NULL));
    n = mesh_cnode(m, 0);
    r = mesh_play(m, 0, "r@h");
    r->mute = true;
    mesh_raw_dial(r, 0);
    mesh_settle(m);
    ASK(m, cnode_connect(n, "r@h", mesh_connected, r1));
    SAID(m, "");
    WANT(m, n->wires.next != &n->wires && n->wires.next->next == &n->wires);
    r->mute = false;
    SAID(m, "r1: r@h OK");
    WANT(m, m->nodes[0].ups == 1 && m->nodes[0].downs == 0);
}

/* ... and when that comes to nothing there is one from here. */
static void the_peer_leaves_it(mesh *m) {
    mesh_raw *r;

    OK(m, mesh_start(m, 0, NULL));
    r = mesh_play(m, 0, "r@h");
    r->mute = true;
    mesh_raw_dial(r, 0);
    mesh_settle(m);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "r@h", mesh_connected, r1));
    mesh_advance(m, 7000);
    SAID(m, "");
    r->mute = false;
    SAID(m, "r1: r@h OK");
}

/* The peer has lost its side of the connection; its new one takes over. */
static void takes_over(mesh *m) {
    mesh_raw *r;
    cnode_proc *a;
    etf_pid far;

    OK(m, mesh_start(m, 0, NULL));
    r = mesh_play(m, 0, "r@h");
    NEED(m, a = mesh_proc(m, 0, "alice"));
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    far = mesh_raw_pid(r, 5);
    OK(m, cnode_monitor_pid(a, &far, NULL));
    SAID(m, "");
    mesh_raw_dial(r, 0);
    SAID(m, "alice: down noconnection");
    WANT(m, r->up && cnode_connected(mesh_cnode(m, 0), "r@h"));
    WANT(m, m->nodes[0].ups == 2);
    WANT(m, m->nodes[0].downs == 1);
    WANT(m, mesh_cnode(m, 0)->stats.connections == 1);
}

static void restarts(mesh *m) {
    cnode_proc *a, *b;
    etf_pid old;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    old = cnode_self(b);
    OK(m, cnode_monitor_pid(a, &old, NULL));
    SAID(m, "");
    mesh_stop(m, 1);
    SAID(m, "bob: ended shutdown\nalice: down noconnection");
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, mesh_proc(m, 1, "bob"));
    assert_int_not_equal(cnode_creation(mesh_cnode(m, 1)), old.creation);
    OK(m, cnode_send(a, &old, "dead"));
    OK(m, cnode_monitor_pid(a, &old, NULL));
    SAID(m, "alice: down noproc");
}

/* --- what waits for a connection ------------------------------------------ */

static void pending_in_order(mesh *m) {
    cnode_proc *a, *b;
    etf_pid bob;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    OK(m, cnode_link(a, &bob));
    OK(m, cnode_send(a, &bob, "one"));
    OK(m, cnode_send_name(a, "b@h", "bob", "two"));
    OK(m, cnode_send_exit(a, &bob, "three"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: one\nbob: two\nbob: ended three") != NULL);
    WANT(m, strstr(m->said, "alice: ended three") != NULL);
}

/* Whatever was taken gets through; what is too much is refused. */
static void pending_limit(mesh *m) {
    static const cnode_config small = {.max_queue = 4000};
    cnode_proc *a;
    int sent = 0, err = 0;

    OK(m, mesh_start(m, 0, &small));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    for (; sent < 1000 && err == 0; sent++)
        err = cnode_send_name(a, "b@h", "nobody", "x");
    OK(m, err == CN_EBUSY ? 0 : err);
    WANT(m, err == CN_EBUSY);
    mesh_settle(m);
    WANT(m, mesh_cnode(m, 1)->stats.dropped == (uint64_t)sent - 1);
    WANT(m, cnode_connected(mesh_cnode(m, 0), "b@h"));
    WANT(m, m->nodes[0].downs == 0);
}

/* What waits for all of them together is bounded too. */
static void pending_in_all(mesh *m) {
    static const cnode_config small = {.max_queue = 4000, .max_pending = 8000};
    static char name[] = "x@h";
    cnode_proc *p;
    cnode *a;
    int err = 0, sent = 0;

    OK(m, mesh_start(m, 0, &small));
    OK(m, mesh_start(m, 1, NULL));
    a = mesh_cnode(m, 0);
    NEED(m, p = mesh_proc(m, 0, "alice"));
    m->nodes[0].slow = true;
    OK(m, cnode_send_name(p, "b@h", "nobody", "x"));
    for (name[0] = 'd'; name[0] <= 'z' && err == 0; name[0]++)
        for (int i = 0; i < 20 && err == 0; i++, sent++)
            err = cnode_send_name(p, name, "nobody", "~b",
                                  "some bytes, of which each of the peers may "
                                  "keep as many as there are in all");
    OK(m, err == CN_EBUSY ? 0 : err);
    WANT(m, err == CN_EBUSY && sent > 60 && sent < 200);
    err = cnode_send_name(p, "b@h", "nobody", "x");
    OK(m, err == CN_EBUSY ? 0 : err);
    WANT(m, err == CN_EBUSY && a->pending > 7000);
    OK(m, cnode_monitor(p, "b@h", "nobody", NULL)); /* half is for these */
    m->nodes[0].slow = false;
    SAID(m, "alice: down noproc");
    WANT(m, a->pending == 0 && a->peers.count == 1);
    WANT(m, mesh_cnode(m, 1)->stats.dropped == 1);
}

static void pending_is_lost(mesh *m) {
    cnode_proc *a;
    cnode_rpc_opts rpc = {.node = "x@h", .module = "m", .function = "f"};

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_send_name(a, "x@h", "bob", "one"));
    OK(m, cnode_monitor(a, "x@h", "bob", NULL));
    ASK(m, cnode_rpc(a, &rpc, mesh_result, r1, "[]"));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "x@h", mesh_connected, r2));
    SAID(m, "alice: down noconnection\nr1: ENOENT nothing\nr2: x@h ENOENT");
    WANT(m, mesh_cnode(m, 0)->peers.count == 0);
}

/* What keeps a link true must not be missing: rather no connection. */
static void pending_is_incomplete(mesh *m) {
    static const cnode_config small = {.max_queue = 1000};
    cnode_proc *a, *b;
    etf_pid bob;
    int err = 0;

    OK(m, mesh_start(m, 0, &small));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_link(a, &bob));
    m->nodes[0].slow = true;
    while (err == 0) { /* monitors may take more than messages */
        if (cnode_send(a, &bob, "x") != CN_EBUSY)
            continue;
        err = cnode_monitor_pid(a, &bob, NULL);
    }
    OK(m, err == CN_EBUSY ? 0 : err);
    OK(m, cnode_exit(a, "oops"));
    m->nodes[0].slow = false;
    mesh_settle(m);
    WANT(m, strstr(m->said, "bob: ended noconnection") != NULL);
    WANT(m, m->nodes[0].troubles > 0 && m->nodes[0].downs == 1);
}

/* --- callbacks that change what they are about -----------------------------
 */

static void forget_peer(cnode_proc *p, const cnode_down *d, void *data) {
    cnode *n = cnode_of(p);

    (void)data;
    mesh_say_term(mesh_of(n), "f", "down", d->term);
    (void)cnode_set_address(n, "b@h", "x:1");
    (void)cnode_set_address(n, "b@h", NULL);
    (void)cnode_set_cookie(n, "b@h", NULL);
}

static void forget_connected(cnode *n, const char *peer, int status,
                             const cn_error *err, void *data) {
    mesh_connected(n, peer, status, err, data);
    (void)cnode_set_address(n, "b@h", NULL);
    (void)cnode_disconnect(n, "b@h");
}

static void forget_result(cnode_proc *p, int status, etf_view result,
                          void *data) {
    mesh_result(p, status, result, data);
    (void)cnode_set_address(cnode_of(p), "b@h", NULL);
    (void)cnode_exit(p, "normal");
}

static void callbacks_let_go(mesh *m) {
    static const cnode_proc_config c = {.on_down = forget_peer};
    cnode_call_opts to = {.node = "b@h", .server = "bob"};
    cnode_proc *f;
    cnode *a;

    BOTH(m);
    a = mesh_cnode(m, 0);
    OK(m, cnode_spawn(a, &c, &f));
    NEED(m, mesh_proc(m, 1, "bob"));
    OK(m, cnode_monitor(f, "b@h", "bob", NULL));
    OK(m, cnode_monitor(f, "b@h", "bob", NULL));
    SAID(m, "");
    ASK(m, cnode_call(f, &to, forget_result, r1, "wait"));
    SAID(m, "bob: asked wait");
    mesh_break(m, 0);
    SAID(m, "f: down noconnection\nf: down noconnection\nr1: ECLOSED nothing");
    ASK(m, cnode_connect(a, "x@h", forget_connected, r1));
    ASK(m, cnode_connect(a, "b@h", forget_connected, r2));
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: x@h ENOENT") != NULL &&
                strstr(m->said, "r2: b@h OK") != NULL);
    WANT(m, a->peers.count == 0 && a->stats.connections == 0);
}

/* --- names that are given --------------------------------------------------
 */

static const cnode_config nameless = {.name = ""};

static void a_name_is_given(mesh *m) {
    cnode_proc *a, *b, *c;
    etf_pid bob;
    char name[64];
    int err;

    OK(m, mesh_start(m, 0, &nameless));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    NEED(m, c = mesh_proc(m, 0, "carol"));
    assert_string_equal(cnode_name(mesh_cnode(m, 0)), "nonode@nohost");
    err = cnode_send_name(a, "b@h", "x", "x");
    OK(m, err == CN_ENOCONN ? 0 : err);
    WANT(m, err == CN_ENOCONN && mesh_cnode(m, 0)->peers.count == 0);
    WANT(m, strstr(cnode_error(mesh_cnode(m, 0))->text, "no name yet") != NULL);
    bob = cnode_self(b);
    OK(m, cnode_link(a, &bob));
    OK(m, cnode_monitor_pid(c, &bob, NULL));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
    (void)snprintf(name, sizeof name, "%s", cnode_name(mesh_cnode(m, 0)));
    WANT(m, strcmp(strchr(name, '@'), "@h") == 0);
    WANT(m, cnode_connected(mesh_cnode(m, 1), name));
    NEED(m, mesh_proc(m, 1, "dave"));
    OK(m, cnode_send_name(a, "b@h", "dave", "hello"));
    SAID(m, "dave: hello");
    /* What is between local processes has outlived the name. */
    OK(m, cnode_exit(b, "oops"));
    SAID(m, "carol: down oops\nbob: ended oops\nalice: ended oops");
    OK(m, cnode_disconnect(mesh_cnode(m, 0), "b@h"));
    WANT(m, strcmp(cnode_name(mesh_cnode(m, 0)), "nonode@nohost") == 0);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    SAID(m, "r1: b@h OK");
}

/* Two are asked at once: the second hears the name that the first gave. */
static void two_names_are_given(mesh *m) {
    mesh_raw *r;

    OK(m, mesh_start(m, 0, &nameless));
    OK(m, mesh_start(m, 1, NULL));
    r = mesh_play(m, 0, "r@h");
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "r@h", mesh_connected, r2));
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: b@h OK") != NULL &&
                strstr(m->said, "r2: r@h OK") != NULL);
    assert_string_equal(cnode_conn_peer(r->conn), cnode_name(mesh_cnode(m, 0)));
    OK(m, cnode_disconnect(mesh_cnode(m, 0), "b@h"));
    WANT(m, cnode_connected(mesh_cnode(m, 0), "r@h") &&
                strcmp(cnode_name(mesh_cnode(m, 0)), "nonode@nohost") != 0);
    mesh_raw_close(r);
    WANT(m, strcmp(cnode_name(mesh_cnode(m, 0)), "nonode@nohost") == 0);
}

/* --- identity and end ------------------------------------------------------
 */

static void identity(mesh *m) {
    static const cnode_config bad[] = {{.name = "nohost"},
                                       {.name = "a@"},
                                       {.name = "@h"},
                                       {.name = "a@h", .cookie = ""}};
    cnode_config long_cookie = {.name = "a@h"};
    char text[300];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WANT(m, mesh_start(m, 0, &bad[i]) != 0);
        mesh_stop(m, 0);
    }
    memset(text, 'c', sizeof text);
    text[299] = '\0';
    long_cookie.cookie = text;
    WANT(m, mesh_start(m, 0, &long_cookie) != 0);
    mesh_stop(m, 0);
    OK(m, mesh_start(m, 0, NULL));
    WANT(m, cnode_creation(mesh_cnode(m, 0)) >= 4);
    cnode__adopt_creation(mesh_cnode(m, 0), 4711);
    WANT(m, cnode_creation(mesh_cnode(m, 0)) == 4711);
    cnode__adopt_creation(mesh_cnode(m, 0), 4712); /* too late */
    WANT(m, cnode_creation(mesh_cnode(m, 0)) == 4711);
    WANT(m, cnode_set_cookie(mesh_cnode(m, 0), "b@h", "") == CN_EBADARG);
    WANT(m, cnode_set_cookie(mesh_cnode(m, 0), "b@h", text) == CN_EBADARG);
    WANT(m, cnode_set_address(mesh_cnode(m, 0), "a@h", "x:1") == CN_EBADARG);
}

static void addresses(mesh *m) {
    static const char *const bad[] = {
        "",      "garbage", "h:",      "h:0",   "h:65536", "1.2.3.4:99999",
        ":4369", "h:+1",    "h:1x",    "h: 1",  "::1:80",  "[::1]",
        "[]:80", "unix:",   "[::1:80", "h:1:2", "h:-1"};
    static const char *const good[] = {"h:1", "1.2.3.4:65535", "[::1]:80",
                                       "host.example:4370", "unix:/tmp/x"};
    cnode *n;

    OK(m, mesh_start(m, 0, NULL));
    n = mesh_cnode(m, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WANT(m, cnode_set_address(n, "b@h", bad[i]) == CN_EBADARG);
        WANT(m, strstr(cnode_error(n)->text, "is no address") != NULL);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        OK(m, cnode_set_address(n, "b@h", good[i]));
    OK(m, cnode_set_address(n, "b@h", NULL));
}

static void ends_with_everything_open(mesh *m) {
    cnode_call_opts to = {.node = "b@h", .server = "bob"};
    cnode_rpc_opts rpc = {.node = "b@h", .module = "m", .function = "f"};
    cnode_proc *a, *b;
    etf_pid bob, alice;
    etf_ref ref;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    alice = cnode_self(a);
    OK(m, cnode_link(a, &bob));
    OK(m, cnode_monitor_pid(b, &alice, NULL));
    OK(m, cnode_call(a, &to, NULL, NULL, "wait"));
    OK(m, cnode_alias(a, true, &ref));
    SAID(m, "bob: asked wait");
    m->nodes[0].slow = true;
    ASK(m, cnode_connect(mesh_cnode(m, 0), "c@h", mesh_connected, r1));
    OK(m, cnode_rpc(a, &rpc, NULL, NULL, "[]"));
    OK(m, cnode_send_name(a, "c@h", "x", "pending"));
    OK(m, cnode_send_name(a, NULL, "alice", "local"));
    mesh_stop(m, 0);
    SAID(m, "alice: ended shutdown\nr1: c@h ECLOSED\n"
            "bob: ended noconnection");
}

/* A callback that asks again each time does not keep the others waiting. */
static void ask_again(cnode *n, const char *peer, int status,
                      const cn_error *err, void *data) {
    mesh *m = mesh_of(n);

    (void)err;
    (void)data;
    m->answered++;
    if (status != 0)
        m->noticed = true;
    if (m->answered >= 20)
        return;
    if (cnode_connect(n, peer, ask_again, NULL) == 0)
        m->asked++;
    else
        m->noticed = true;
}

static void asks_again(mesh *m) {
    BOTH(m);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", ask_again, NULL));
    WANT(m, m->answered == 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(addresses),
        MESH_CASE(connects),
        MESH_CASE(sends_while_it_goes_down),
        MESH_CASE(exits_while_it_goes_down),
        MESH_CASE(sends_bytes_that_are_nowhere),
        MESH_CASE(cannot_connect),
        MESH_CASE(refused),
        MESH_CASE(too_many_dials),
        MESH_CASE(goes_at_the_door),
        MESH_CASE(both_dial),
        MESH_CASE(an_early_attempt_gives_way),
        MESH_CASE(gives_way_to_nobody),
        MESH_CASE(waits_for_the_other_attempt),
        MESH_CASE(leaves_it_to_the_peer),
        MESH_CASE(the_peer_leaves_it),
        MESH_CASE(takes_over),
        MESH_CASE(restarts),
        MESH_CASE(pending_in_order),
        MESH_CASE(pending_limit),
        MESH_CASE(pending_in_all),
        MESH_CASE(pending_is_lost),
        MESH_CASE(pending_is_incomplete),
        MESH_CASE(callbacks_let_go),
        MESH_CASE(a_name_is_given),
        MESH_CASE(two_names_are_given),
        MESH_CASE(identity),
        MESH_CASE(ends_with_everything_open),
        MESH_CASE(asks_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
