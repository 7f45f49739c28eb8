/* SPDX-License-Identifier: Apache-2.0
 *
 * Links, monitors and aliases: near and far, made, taken back, fired, lost.
 */
#include <string.h>

#include "tests/unit/mesh.h"

#define BOTH(m)                                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL))

/* A process that takes exit signals as a callback. */
static cnode_proc *trapper(mesh *m, int i, const char *name) {
    union {
        const char *c;
        void *p;
    } u = {name};
    cnode_proc_config c = mesh_observer;
    cnode_proc *p = NULL;

    c.name = name;
    c.data = u.p;
    (void)cnode_spawn(mesh_cnode(m, i), &c, &p);
    return p;
}

/* --- links --------------------------------------------------------------- */

static void links_both_ways(mesh *m) {
    cnode_proc *a, *b, *c;
    etf_pid bob, alice;

    BOTH(m);
    NEED(m, a = trapper(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    alice = cnode_self(a);
    OK(m, cnode_link(a, &bob));
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    OK(m, cnode_link(b, &alice));
    SAID(m, "");
    OK(m, cnode_exit(b, "{its, reason}"));
    WANT(m, strstr(m->said, "alice: exit {its,reason}") != NULL);
    WANT(m, m->nodes[0].node.links.count == 0);
    m->said[0] = '\0';
    NEED(m, c = mesh_proc(m, 1, "carol"));
    bob = cnode_self(c);
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    OK(m, cnode_exit(a, "normal"));
    SAID(m, "alice: ended normal"); /* carol does not die of it */
    WANT(m, m->nodes[1].node.links.count == 0);
}

static void a_link_kills(mesh *m) {
    cnode_proc *a, *b;
    etf_pid bob;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    OK(m, cnode_exit(a, "oops"));
    SAID(m, "alice: ended oops\nbob: ended oops");
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_link(a, &bob)); /* to the dead */
    SAID(m, "alice: ended noproc");
}

static void links_here(mesh *m) {
    cnode_proc *a, *b;
    etf_pid alice, bob;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = trapper(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    alice = cnode_self(a);
    bob = cnode_self(b);
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    OK(m, cnode_unlink(a, &bob));
    SAID(m, "");
    WANT(m, m->nodes[0].node.links.count == 0);
    OK(m, cnode_link(b, &alice));
    SAID(m, "");
    OK(m, cnode_exit(b, "oops"));
    WANT(m, strstr(m->said, "alice: exit oops") != NULL);
    m->said[0] = '\0';
    OK(m, cnode_link(a, &alice)); /* to itself: nothing */
    SAID(m, "");
    OK(m, cnode_link(a, &bob));
    SAID(m, "alice: exit noproc");
    bob = alice;
    bob.creation++; /* of an earlier life */
    OK(m, cnode_link(a, &bob));
    SAID(m, "alice: exit noproc");
    OK(m, cnode_exit(a, "bye"));
    SAID(m, "alice: ended bye");
    WANT(m, m->nodes[0].node.links.count == 0);
}

/* The end of a process is told here however much is queued: there is no
 * connection whose end would tell it instead. */
static void ends_with_a_full_queue(mesh *m) {
    static const cnode_config small = {.max_queue = 1000};
    cnode_proc *a, *b;
    etf_pid alice, bob;
    char text[600];
    etf_view big = {(const uint8_t *)text, sizeof text};
    int err;

    OK(m, mesh_start(m, 0, &small));
    NEED(m, a = trapper(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    alice = cnode_self(a);
    bob = cnode_self(b);
    OK(m, cnode_link(a, &bob));
    OK(m, cnode_monitor_pid(a, &bob, NULL));
    SAID(m, "");
    memset(text, 'x', sizeof text);
    do
        err = cnode_send_exit(b, &alice, "~b", big);
    while (err == 0);
    OK(m, err == CN_EBUSY ? 0 : err);
    OK(m, cnode_exit(b, "oops"));
    WANT(m, strstr(m->said, "alice: exit oops") != NULL);
    WANT(m, strstr(m->said, "alice: down oops") != NULL);
}

static void unlinks(mesh *m) {
    cnode_proc *a, *b;
    etf_pid alice, bob;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    alice = cnode_self(a);
    bob = cnode_self(b);
    OK(m, cnode_unlink(a, &bob)); /* nothing to undo */
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    OK(m, cnode_unlink(a, &bob));
    OK(m, cnode_unlink(a, &bob));
    SAID(m, "");
    WANT(m, m->nodes[0].node.links.count == 0);
    WANT(m, m->nodes[1].node.links.count == 0);
    /* Both at once. */
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    OK(m, cnode_unlink(a, &bob));
    OK(m, cnode_unlink(b, &alice));
    SAID(m, "");
    WANT(m, m->nodes[0].node.links.count == 0);
    WANT(m, m->nodes[1].node.links.count == 0);
    /* Unlinked, and linked again before the acknowledgement. */
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    OK(m, cnode_unlink(a, &bob));
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    WANT(m, m->nodes[0].node.links.count == 1);
    WANT(m, m->nodes[1].node.links.count == 1);
    /* Unlinked while the other dies: nothing is heard of it. */
    OK(m, cnode_unlink(a, &bob));
    OK(m, cnode_exit(b, "oops"));
    SAID(m, "bob: ended oops");
    WANT(m, m->nodes[0].node.links.count == 0);
}

/* A link is lost with its connection, once, on both sides. */
static void links_are_lost(mesh *m) {
    cnode_proc *a, *b;
    etf_pid bob;

    BOTH(m);
    NEED(m, a = trapper(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    OK(m, cnode_link(a, &bob));
    SAID(m, "");
    mesh_break(m, 0);
    SAID(m, "alice: exit noconnection\nbob: ended noconnection");
    WANT(m, m->nodes[0].node.links.count == 0);
    OK(m, cnode_exit(a, "bye"));
    SAID(m, "alice: ended bye");
    WANT(m, m->nodes[0].node.stats.connections == 0);
}

static void a_link_cannot_be_made(mesh *m) {
    cnode_proc *a;
    etf_pid far = {.id = 7, .creation = 9, .node = "x@h", .node_len = 3};

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = trapper(m, 0, "alice"));
    OK(m, cnode_link(a, &far));
    SAID(m, "alice: exit noconnection");
    WANT(m, m->nodes[0].node.peers.count == 0);
}

/* --- links with a peer that breaks the rules ------------------------------ */

#define PLAYED(m, r)                                                           \
    OK(m, mesh_start(m, 0, NULL));                                             \
    (r) = mesh_play(m, 0, "r@h");                                              \
    mesh_raw_dial((r), 0);                                                     \
    WANT(m, (r)->up)

static cnode_ctrl signal_to(const mesh_raw *r, cnode_signal s, cnode_proc *to) {
    cnode_ctrl c = {.signal = s, .from = mesh_raw_pid(r, 5), .id = 1};

    c.to = cnode_self(to);
    c.ref = mesh_raw_ref(r, 1);
    c.term = (etf_view){(const uint8_t *)"w\004gone", 6};
    return c;
}

static void answers_as_it_must(mesh *m) {
    mesh_raw *r;
    cnode_proc *a;
    cnode_ctrl c;

    PLAYED(m, r);
    NEED(m, a = trapper(m, 0, "alice"));
    c = signal_to(r, CNODE_SIG_UNLINK, a);
    c.id = 4711;
    mesh_raw_send(r, &c); /* no such link: acknowledged all the same */
    WANT(m, r->last == CNODE_SIG_UNLINK_ACK && r->id == 4711);
    c.to.id += 100;
    c.id = 4712;
    mesh_raw_send(r, &c); /* no such process either */
    WANT(m, r->last == CNODE_SIG_UNLINK_ACK && r->id == 4712);
    c.signal = CNODE_SIG_LINK;
    mesh_raw_send(r, &c);
    WANT(m, r->last == CNODE_SIG_EXIT && strcmp(r->term, "noproc") == 0);
    assert_true(etf_pid_eq(&r->from, &c.to));
    c.signal = CNODE_SIG_MONITOR;
    mesh_raw_send(r, &c);
    WANT(m, r->last == CNODE_SIG_DOWN && strcmp(r->term, "noproc") == 0);
    assert_true(etf_ref_eq(&r->ref, &c.ref));
    /* An EXIT without a link, and acknowledgements of nothing. */
    c = signal_to(r, CNODE_SIG_EXIT, a);
    mesh_raw_send(r, &c);
    c.signal = CNODE_SIG_UNLINK_ACK;
    mesh_raw_send(r, &c);
    c.signal = CNODE_SIG_DOWN;
    mesh_raw_send(r, &c);
    c.signal = CNODE_SIG_DEMONITOR;
    mesh_raw_send(r, &c);
    SAID(m, "");
    WANT(m, r->up);
}

/* What comes between an unlink and its acknowledgement was sent before the
 * other side knew of it. */
static void between_unlink_and_ack(mesh *m) {
    mesh_raw *r;
    cnode_proc *a;
    cnode_ctrl c;

    PLAYED(m, r);
    NEED(m, a = trapper(m, 0, "alice"));
    c = signal_to(r, CNODE_SIG_LINK, a);
    mesh_raw_send(r, &c);
    SAID(m, "");
    OK(m, cnode_unlink(a, &c.from));
    WANT(m, r->last == CNODE_SIG_UNLINK && r->id != 0);
    mesh_raw_send(r, &c); /* a link */
    c.signal = CNODE_SIG_UNLINK_ACK;
    c.id = r->id + 1;
    mesh_raw_send(r, &c); /* of something else */
    c.signal = CNODE_SIG_EXIT;
    mesh_raw_send(r, &c);
    SAID(m, "");
    WANT(m, m->nodes[0].node.links.count == 0);
    c.signal = CNODE_SIG_UNLINK_ACK;
    c.id = r->id;
    mesh_raw_send(r, &c);
    SAID(m, "");
}

static void a_third_node_is_not_believed(mesh *m) {
    static const cnode_signal kinds[] = {
        CNODE_SIG_LINK,     CNODE_SIG_UNLINK, CNODE_SIG_UNLINK_ACK,
        CNODE_SIG_EXIT,     CNODE_SIG_EXIT2,  CNODE_SIG_MONITOR,
        CNODE_SIG_DEMONITOR};
    mesh_raw *r;
    cnode_proc *a;
    cnode_ctrl c;

    PLAYED(m, r);
    NEED(m, a = trapper(m, 0, "alice"));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        c = signal_to(r, kinds[i], a);
        c.from.node[0] = 'z';
        mesh_raw_send(r, &c);
        WANT(m, !r->up && m->nodes[0].down_status == CN_EPROTO);
        mesh_raw_dial(r, 0);
        WANT(m, r->up);
    }
    c = signal_to(r, CNODE_SIG_UNLINK, a);
    c.id = 0;
    mesh_raw_send(r, &c);
    WANT(m, !r->up);
    SAID(m, "");
}

/* Two watchers with the same reference: neither shuts the other out. */
static void references_do_not_collide(mesh *m) {
    mesh_raw *r;
    cnode_proc *a;
    cnode_ctrl c;

    PLAYED(m, r);
    NEED(m, a = trapper(m, 0, "alice"));
    c = signal_to(r, CNODE_SIG_MONITOR, a);
    mesh_raw_send(r, &c);
    mesh_raw_send(r, &c); /* the same again is one */
    c.from.id++;
    mesh_raw_send(r, &c);
    WANT(m, m->nodes[0].node.watches.count == 2);
    c.signal = CNODE_SIG_DEMONITOR;
    mesh_raw_send(r, &c);
    WANT(m, m->nodes[0].node.watches.count == 1);
    OK(m, cnode_exit(a, "x"));
    WANT(m, r->last == CNODE_SIG_DOWN && strcmp(r->term, "x") == 0);
    assert_int_equal(r->to.id, 5);
}

/* --- monitors ------------------------------------------------------------ */

static void monitors_by_pid(mesh *m) {
    cnode_proc *a, *b;
    etf_pid bob;
    etf_ref ref, other;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    OK(m, cnode_monitor_pid(a, &bob, &ref));
    OK(m, cnode_monitor_pid(a, &bob, &other));
    SAID(m, "");
    OK(m, cnode_demonitor(a, &ref));
    WANT(m, cnode_demonitor(a, &ref) == CN_ENOENT);
    SAID(m, "");
    WANT(m, m->nodes[1].node.watches.count == 1);
    OK(m, cnode_exit(b, "{why, ~i}", 1));
    SAID(m, "bob: ended {why,1}\nalice: down {why,1}");
    WANT(m, cnode_demonitor(a, &other) == CN_ENOENT);
    OK(m, cnode_monitor_pid(a, &bob, NULL));
    SAID(m, "alice: down noproc");
    WANT(m, m->nodes[0].node.waiters.count == 0);
}

static void monitors_by_name(mesh *m) {
    cnode_proc *a, *b;
    etf_ref ref;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, cnode_monitor(a, "b@h", "bob", &ref));
    OK(m, cnode_monitor(a, "b@h", "nobody", NULL));
    SAID(m, "alice: down noproc");
    OK(m, cnode_exit(b, "normal"));
    SAID(m, "bob: ended normal\nalice: down normal");
    NEED(m, b = mesh_proc(m, 0, "bob"));
    OK(m, cnode_monitor(a, NULL, "bob", &ref));
    OK(m, cnode_monitor(a, NULL, "nobody", NULL));
    SAID(m, "alice: down noproc");
    OK(m, cnode_exit(b, "oops"));
    SAID(m, "alice: down oops\nbob: ended oops");
    WANT(m, cnode_monitor(a, "no node", "bob", NULL) != 0);
}

static void down_without_callback(mesh *m) {
    static const cnode_proc_config box = {0};
    cnode_proc *p;
    cnode_msg msg;
    etf_ref ref, got;
    etf_view item;

    BOTH(m);
    OK(m, cnode_spawn(mesh_cnode(m, 0), &box, &p));
    OK(m, cnode_monitor(p, "b@h", "nobody", &ref));
    mesh_settle(m);
    WANT(m, cnode__take(p, &msg));
    WANT(m, etf_match(msg.term, "{'DOWN', ~r, process, ~t, noproc}", &got,
                      &item) == 0);
    assert_true(etf_ref_eq(&got, &ref));
    assert_int_equal(etf_match(item, "{nobody, 'b@h'}"), 0);
}

static void monitors_are_lost(mesh *m) {
    cnode_proc *a, *b;
    etf_pid bob;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    OK(m, cnode_monitor_pid(a, &bob, NULL));
    OK(m, cnode_monitor(a, "b@h", "bob", NULL));
    SAID(m, "");
    mesh_break(m, 1);
    SAID(m, "alice: down noconnection\nalice: down noconnection");
    OK(m, cnode_exit(b, "oops"));
    SAID(m, "bob: ended oops");                  /* nobody watches any more */
    OK(m, cnode_monitor(a, "x@h", "bob", NULL)); /* cannot be reached */
    SAID(m, "alice: down noconnection");
    WANT(m, m->nodes[1].node.watches.count == 0);
}

/* A monitor made in the callback of a lost one is for the next connection. */
static void again_after_a_loss(cnode_proc *p, const cnode_down *d, void *data) {
    mesh *m = mesh_of(cnode_of(p));

    mesh_say_term(m, data, "down", d->term);
    if (strlen(m->said) < 200 && etf_match(d->term, "noconnection") == 0 &&
        cnode_monitor(p, "b@h", "bob", NULL) != 0)
        m->noticed = true;
}

static void watches_again(mesh *m) {
    static char who[] = "alice";
    static const cnode_proc_config c = {.on_down = again_after_a_loss,
                                        .data = who};
    cnode_proc *a, *b;

    BOTH(m);
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &a));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, cnode_monitor(a, "b@h", "bob", NULL));
    SAID(m, "");
    mesh_break(m, 0);
    SAID(m, "alice: down noconnection");
    WANT(m, m->nodes[1].node.watches.count == 1);
    OK(m, cnode_exit(b, "oops"));
    SAID(m, "bob: ended oops\nalice: down oops");
}

static void never(cnode_proc *p, void *arg) {
    (void)p;
    mesh_say(arg, "rang");
}

/* Everything that is between two nodes ends with one of the processes. */
static void ends_with_all_it_has(mesh *m) {
    cnode_proc *a, *b;
    etf_pid alice, bob;
    etf_ref ref;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    alice = cnode_self(a);
    bob = cnode_self(b);
    OK(m, cnode_link(a, &bob));
    OK(m, cnode_monitor_pid(a, &bob, NULL));
    OK(m, cnode_monitor(a, "b@h", "bob", NULL));
    OK(m, cnode_monitor_pid(b, &alice, NULL));
    OK(m, cnode_alias(a, false, &ref));
    OK(m, cnode_after(a, 1000, never, m));
    SAID(m, "");
    OK(m, cnode_exit(a, "normal"));
    SAID(m, "alice: ended normal\nbob: down normal");
    for (int i = 0; i < 2; i++) {
        const cnode *n = mesh_cnode(m, i);
        WANT(m, n->links.count == 0 && n->waiters.count == 0 &&
                    n->watches.count == 0);
    }
}

/* --- aliases ------------------------------------------------------------- */

static void aliases(mesh *m) {
    cnode_proc *a, *b;
    etf_ref alias, once, foreign;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, cnode_alias(a, false, &alias));
    OK(m, cnode_alias(a, true, &once));
    OK(m, cnode_send_alias(b, &alias, "one"));
    OK(m, cnode_send_alias(b, &once, "two"));
    OK(m, cnode_send_alias(b, &alias, "three"));
    OK(m, cnode_send_alias(b, &once, "four"));
    SAID(m, "alice: one\nalice: two\nalice: three");
    OK(m, cnode_send_alias(a, &alias, "near"));
    SAID(m, "alice: near");
    OK(m, cnode_unalias(a, &alias));
    WANT(m, cnode_unalias(a, &alias) == CN_ENOENT);
    WANT(m, cnode_unalias(a, &once) == CN_ENOENT);
    OK(m, cnode_send_alias(b, &alias, "five"));
    SAID(m, "");
    foreign = cnode_make_ref(mesh_cnode(m, 1));
    WANT(m, cnode_unalias(a, &foreign) == CN_ENOENT);
    WANT(m, m->nodes[0].node.stats.dropped == 2);
}

/* The reference of a monitor is no alias. */
static void a_monitor_is_no_alias(mesh *m) {
    cnode_proc *a, *b;
    etf_ref ref;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, cnode_monitor(a, "b@h", "bob", &ref));
    OK(m, cnode_send_alias(b, &ref, "x"));
    SAID(m, "");
    WANT(m, m->nodes[0].node.stats.dropped == 1);
    WANT(m, cnode_unalias(a, &ref) == CN_ENOENT);
}

/* A process that is there is not said to be missing when there is no memory
 * for its monitor or link. */
static int refused;

static void asks_for_relations(mesh *m) {
    cnode_proc *a, *b;
    etf_pid bob;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    bob = cnode_self(b);
    OK(m, cnode_monitor(a, "b@h", "bob", NULL));
    OK(m, cnode_link(a, &bob));
    mesh_settle(m);
    assert_null(strstr(m->said, "noproc"));
    refused += strstr(m->said, "down system_limit") != NULL;
    refused += strstr(m->said, "ended system_limit") != NULL;
}

static void refuses_relations(void **state) {
    (void)state;
    refused = 0;
    mesh_run(asks_for_relations);
    assert_true(refused >= 2);
}

/* Where there is no memory for the word of an end it is told without its
 * reason: nobody here waits for ever. */
static void ends_here(mesh *m) {
    cnode_proc *a, *b;
    etf_pid bob;
    char text[4000];
    etf_view big = {(const uint8_t *)text, sizeof text};

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = trapper(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    bob = cnode_self(b);
    OK(m, cnode_link(a, &bob));
    OK(m, cnode_monitor_pid(a, &bob, NULL));
    SAID(m, "");
    memset(text, 'x', sizeof text);
    OK(m, cnode_exit(b, "~b", big));
    mesh_settle(m);
    assert_non_null(strstr(m->said, "alice: exit "));
    assert_non_null(strstr(m->said, "alice: down "));
    refused += strstr(m->said, "exit system_limit") != NULL;
    refused += strstr(m->said, "down system_limit") != NULL;
}

/* ... also when it is lost before what it ends has come. */
static void ends_here_at_once(mesh *m) {
    cnode_proc *a, *b;
    etf_pid alice, bob;
    char text[4000];
    etf_view big = {(const uint8_t *)text, sizeof text};
    etf_ref ref;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = trapper(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    alice = cnode_self(a);
    bob = cnode_self(b);
    memset(text, 'x', sizeof text);
    OK(m, cnode_link(b, &alice));
    OK(m, cnode_monitor_pid(b, &alice, &ref));
    OK(m, cnode_demonitor(b, &ref));
    OK(m, cnode_exit(b, "~b", big));
    mesh_settle(m);
    if (strstr(m->said, "alice: exit ") == NULL)
        assert_non_null(strstr(m->nodes[0].log, "refused a link"));
    refused += strstr(m->said, "exit system_limit") != NULL;
    OK(m, cnode_monitor_pid(a, &bob, NULL));
    WANT(m, strstr(m->said, "alice: down noproc") != NULL);
    WANT(m, mesh_cnode(m, 0)->links.count == 0);
    WANT(m, mesh_cnode(m, 0)->watches.count == 0);
}

static void tells_of_all_ends(void **state) {
    (void)state;
    refused = 0;
    mesh_run(ends_here);
    assert_true(refused >= 2);
    refused = 0;
    mesh_run(ends_here_at_once);
    assert_true(refused >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(links_both_ways),
        MESH_CASE(a_link_kills),
        MESH_CASE(links_here),
        MESH_CASE(ends_with_a_full_queue),
        MESH_CASE(unlinks),
        MESH_CASE(links_are_lost),
        MESH_CASE(a_link_cannot_be_made),
        MESH_CASE(answers_as_it_must),
        MESH_CASE(between_unlink_and_ack),
        MESH_CASE(a_third_node_is_not_believed),
        MESH_CASE(references_do_not_collide),
        MESH_CASE(monitors_by_pid),
        MESH_CASE(monitors_by_name),
        MESH_CASE(down_without_callback),
        MESH_CASE(monitors_are_lost),
        MESH_CASE(watches_again),
        MESH_CASE(ends_with_all_it_has),
        MESH_CASE(aliases),
        MESH_CASE(a_monitor_is_no_alias),
        cmocka_unit_test(refuses_relations),
        cmocka_unit_test(tells_of_all_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
