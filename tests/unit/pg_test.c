/* SPDX-License-Identifier: Apache-2.0
 *
 * pg_test.c: scopes of process groups on nodes that see each other, and with
 * peers that are played, who say what no scope says.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/pg.h"
#include "cnode/pg_parts.h"
#include "tests/unit/mesh.h"

static const cnode_config visible = {.visible = true};

/* "a joined {room,7}: 2" */
static void see(cnode_pg *s, const cnode_pg_event *e, void *data) {
    char group[200];

    (void)etf_print(e->group, group, sizeof group);
    mesh_say(mesh_of(s->node), "%s %s %s: %zu", (const char *)data,
             e->joined ? "joined" : "left", group, e->n);
}

static cnode_pg *pg_on(mesh *m, int i, const cnode_pg_opts *o) {
    cnode_pg *s = NULL;

    if (cnode_pg_start(mesh_cnode(m, i), o, &s) != 0)
        m->noticed = true;
    return s;
}

#define PG(m, s, i)                                                            \
    (s) = pg_on((m), (i), NULL);                                               \
    NEED(m, s)
/* Asked twice, for the first time there may be no memory. */
#define ASKED(s, whose, ...)                                                   \
    ((void)cnode_pg_members((s), (whose), NULL, 0, __VA_ARGS__),               \
     cnode_pg_members((s), (whose), NULL, 0, __VA_ARGS__))
#define COUNT(s, ...) ASKED(s, CNODE_PG_ALL, __VA_ARGS__)
#define LOCAL(s, ...) ASKED(s, CNODE_PG_LOCAL, __VA_ARGS__)
/* What could not be sent at once has been, too. */
#define LATER(m, condition)                                                    \
    mesh_advance(m, 500);                                                      \
    WANT(m, condition)

static char na[] = "a", nb[] = "b";

#define TWO(m)                                                                 \
    cnode_pg *a, *b;                                                           \
    cnode_proc *p, *q;                                                         \
    etf_pid pp, qq;                                                            \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL));                                             \
    PG(m, a, 0);                                                               \
    PG(m, b, 1);                                                               \
    p = mesh_proc(m, 0, "p");                                                  \
    NEED(m, p);                                                                \
    q = mesh_proc(m, 1, "q");                                                  \
    NEED(m, q);                                                                \
    pp = cnode_self(p);                                                        \
    qq = cnode_self(q);                                                        \
    (void)qq

/* What joins on one is known on the other, whoever was first. */
static void joins(mesh *m) {
    etf_pid got[4];
    TWO(m);

    OK(m, cnode_pg_join(a, &pp, 1, "{room, ~i}", 7));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, NULL));
    LATER(m, COUNT(b, "{room, 7}") == 1 && LOCAL(b, "{room, 7}") == 0);
    WANT(m, cnode_pg_peers(a) == 1 && cnode_pg_peers(b) == 1);
    OK(m, cnode_pg_join(b, &qq, 1, "{room, 7}"));
    OK(m, cnode_pg_join(b, &qq, 1, "{room, 7}"));
    LATER(m, COUNT(a, "{room, 7}") == 3 && LOCAL(a, "{room, 7}") == 1);
    assert_int_equal(LOCAL(b, "{room, 7}"), 2);
    assert_int_equal(cnode_pg_members(a, CNODE_PG_ALL, got, 4, "{room, 7}"), 3);
    assert_true(etf_pid_eq(&got[0], &pp) && etf_pid_eq(&got[1], &qq) &&
                etf_pid_eq(&got[2], &qq));
    assert_int_equal(cnode_pg_members(a, CNODE_PG_LOCAL, got, 4, "{room, 7}"),
                     1);
    /* 7 is not 7.0, and the keys of maps have no order. */
    assert_int_equal(COUNT(a, "{room, 7.0}"), 0);
    OK(m, cnode_pg_join(b, &qq, 1, "#{x => 1, y => 2}"));
    LATER(m, COUNT(a, "#{y => 2, x => 1}") == 1);
    OK(m, cnode_pg_leave(b, &qq, 1, "{room, 7}"));
    LATER(m, COUNT(a, "{room, 7}") == 2);
    OK(m, cnode_pg_leave(b, &qq, 1, "{room, 7}"));
    OK(m, cnode_pg_leave(b, &qq, 1, "#{y => 2, x => 1}"));
    LATER(m, COUNT(a, "{room, 7}") == 1 && COUNT(a, "#{y => 2, x => 1}") == 0);
    if (m->fault == NULL)
        assert_int_equal(cnode_pg_leave(b, &qq, 1, "{room, 7}"), CN_ENOENT);
}

/* Nothing of a huge group stays when nobody is in it. */
static void a_huge_group(mesh *m) {
    static char huge[1 << 20];
    cnode_pg *a;

    OK(m, mesh_start(m, 0, NULL));
    PG(m, a, 0);
    (void)cnode_pg_members(a, CNODE_PG_ALL, NULL, 0, "~b",
                           etf_view_of(huge, sizeof huge));
    (void)cnode_pg_members(a, CNODE_PG_ALL, NULL, 0, "x");
    if (m->fault != NULL)
        return; /* those without memory change nothing */
    WANT(m, a->term.cap <= CNODE__KEEP_TERM);
    WANT(m, a->key.cap <= CNODE__KEEP_TERM);
}

/* A visible node that is hidden to a single peer looks for the scope there by
 * itself, as one that is hidden to all. */
static void joins_where_it_hides(mesh *m) {
    cnode_pg *a, *b;

    OK(m, mesh_start(m, 0, &visible));
    OK(m, mesh_start(m, 1, &visible));
    OK(m, cnode_set_policy(mesh_cnode(m, 0), "b@h", CNODE_POLICY_HIDDEN));
    PG(m, a, 0);
    PG(m, b, 1);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, NULL));
    LATER(m, cnode_pg_peers(a) == 1 && cnode_pg_peers(b) == 1);
}

/* A member that ends leaves all its groups, a node that is lost takes its
 * members along, a scope that is stopped too; the monitors hear of it. */
static void leaves(mesh *m) {
    uint64_t ref;
    cnode_proc *r;
    etf_pid more[2];
    TWO(m);

    OK(m, cnode_pg_monitor(a, see, na, &ref, "x"));
    OK(m, cnode_pg_monitor_scope(b, see, nb, NULL));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, NULL));
    r = mesh_proc(m, 1, "r");
    NEED(m, r);
    more[0] = qq;
    more[1] = cnode_self(r);
    mesh_settle(m);
    m->said[0] = '\0';
    OK(m, cnode_pg_join(b, more, 2, "x"));
    mesh_advance(m, 1);
    SAID(m, "b joined x: 2\na joined x: 2");
    OK(m, cnode_pg_join(b, more, 1, "y"));
    mesh_advance(m, 1);
    SAID(m, "b joined y: 1");
    OK(m, cnode_pg_join(a, &pp, 1, "x"));
    mesh_advance(m, 1);
    LATER(m, COUNT(b, "x") == 3);
    m->said[0] = '\0';
    OK(m, cnode_exit(q, "bye"));
    mesh_advance(m, 1);
    LATER(m, COUNT(a, "x") == 2 && COUNT(a, "y") == 0);
    WANT(m, COUNT(b, "y") == 0);
    assert_non_null(strstr(m->said, "a left x: 1"));
    assert_non_null(strstr(m->said, "b left x: 1"));
    assert_non_null(strstr(m->said, "b left y: 1"));
    m->said[0] = '\0';
    mesh_break(m, 0);
    LATER(m, COUNT(a, "x") == 1 && COUNT(b, "x") == 1);
    assert_int_equal(cnode_pg_peers(a), 0);
    m->said[0] = '\0';
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, NULL));
    LATER(m, COUNT(a, "x") == 2 && COUNT(b, "x") == 2);
    m->said[0] = '\0';
    OK(m, cnode_pg_demonitor(a, ref));
    assert_int_equal(cnode_pg_demonitor(a, ref), CN_ENOENT);
    cnode_pg_stop(b);
    LATER(m, COUNT(a, "x") == 1 && cnode_pg_peers(a) == 0);
    SAID(m, "");
}

/* All or nothing. */
static void joins_wholly(mesh *m) {
    etf_pid both[2];
    TWO(m);

    both[0] = pp;
    both[1] = qq;
    assert_true(cnode_pg_join(a, both, 2, "x") != 0);
    assert_int_equal(COUNT(a, "x"), 0);
    OK(m, cnode_exit(p, "bye"));
    assert_true(cnode_pg_join(a, &pp, 1, "x") != 0);
    mesh_settle(m);
    assert_int_equal(COUNT(a, "x"), 0);
    (void)b;
    (void)q;
}

static void count_groups(cnode_pg *s, size_t *groups, size_t *members) {
    cnode_pg_group g;
    size_t at = 0;

    *groups = *members = 0;
    while (cnode_pg_next_group(s, &at, &g)) {
        cnode_pg_place place = {0};
        etf_pid pid;
        size_t n = 0;
        while (cnode_pg_next_member(s, g.term, &place, &pid))
            n++;
        assert_int_equal(n, g.members);
        ++*groups;
        *members += n;
    }
}

static void walks(mesh *m) {
    etf_pid three[3];
    size_t groups, members;
    TWO(m);

    three[0] = three[1] = three[2] = pp;
    OK(m, cnode_pg_join(a, three, 3, "x"));
    OK(m, cnode_pg_join(a, three, 1, "\"y\""));
    OK(m, cnode_pg_monitor(a, see, na, NULL, "nobody"));
    count_groups(a, &groups, &members);
    assert_int_equal(groups, 2);
    assert_int_equal(members, 4);
    assert_ptr_equal(cnode_pg_find(mesh_cnode(m, 0), NULL), a);
    assert_null(cnode_pg_find(mesh_cnode(m, 0), "other"));
    assert_string_equal(cnode_pg_scope(a), "pg");
    (void)b;
    (void)q;
}

/* Callbacks may do anything. */
static uint64_t own_ref;

static void meddle(cnode_pg *s, const cnode_pg_event *e, void *data) {
    etf_pid *pid = data;

    see(s, e, na);
    if (e->joined) {
        if (cnode_pg_demonitor(s, own_ref) != 0 ||
            cnode_pg_leave(s, pid, 1, "x") != 0 ||
            cnode_pg_monitor_scope(s, see, nb, NULL) != 0)
            mesh_of(s->node)->noticed = true;
    }
}

static etf_pid leaver;

/* Has it leave what it leaves anyway. */
static void leave_too(cnode_pg *s, const cnode_pg_event *e, void *data) {
    see(s, e, data);
    if (e->joined)
        return;
    (void)cnode_pg_leave(s, &leaver, 1, "x");
    (void)cnode_pg_leave(s, &leaver, 1, "y");
    (void)cnode_pg_leave(s, &leaver, 1, "z");
}

/* One that has ended leaves its groups one after the other. */
static void meddles_with_the_end(mesh *m) {
    cnode_proc *r;
    TWO(m);

    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, NULL));
    NEED(m, r = mesh_proc(m, 0, "r"));
    leaver = cnode_self(r);
    OK(m, cnode_pg_join(a, &leaver, 1, "x"));
    OK(m, cnode_pg_join(a, &leaver, 1, "y"));
    OK(m, cnode_pg_join(a, &leaver, 1, "z"));
    OK(m, cnode_pg_join(a, &pp, 1, "z"));
    LATER(m, COUNT(b, "z") == 2);
    OK(m, cnode_pg_monitor_scope(a, leave_too, na, NULL));
    m->said[0] = '\0';
    OK(m, cnode_exit(r, "bye"));
    LATER(m, COUNT(b, "z") == 1 && COUNT(a, "z") == 1);
    WANT(m, COUNT(a, "x") == 0 && COUNT(a, "y") == 0);
    WANT(m, strstr(m->said, "a left x: 1\na left y: 1\na left z: 1\n") != NULL);
    m->said[0] = '\0';
    OK(m, cnode_pg_join(a, &pp, 1, "x"));
    mesh_advance(m, 1);
    SAID(m, "a joined x: 1");
}

/* Looks at another group from now on. */
static void look_at_y(cnode_pg *s, const cnode_pg_event *e, void *data) {
    see(s, e, data);
    if (e->joined)
        return;
    mesh_say(mesh_of(s->node), "y has %zu", COUNT(s, "y"));
    if (cnode_pg_monitor(s, see, nb, NULL, "y") != 0)
        mesh_of(s->node)->noticed = true;
}

/* A monitor that is made while several groups are left is told of what comes
 * after it, and of nothing that it has counted. */
static void looks_meanwhile(mesh *m) {
    etf_pid pid;
    cnode_proc *r;
    TWO(m);

    (void)pp;
    NEED(m, r = mesh_proc(m, 1, "r"));
    pid = cnode_self(r);
    OK(m, cnode_pg_join(b, &pid, 1, "x"));
    OK(m, cnode_pg_join(b, &pid, 1, "y"));
    OK(m, cnode_pg_monitor(a, look_at_y, na, NULL, "x"));
    OK(m, cnode_pg_monitor(b, look_at_y, na, NULL, "x"));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, NULL));
    LATER(m, COUNT(a, "x") == 1 && COUNT(a, "y") == 1);
    m->said[0] = '\0';
    OK(m, cnode_exit(r, "bye"));
    SAID(m, "a left x: 1\ny has 1\nb left y: 1\nr: ended bye\n"
            "a left x: 1\ny has 1\nb left y: 1");
}

static void stop_it(cnode_pg *s, const cnode_pg_event *e, void *data) {
    see(s, e, data);
    cnode_pg_stop(s);
}

static void meddles(mesh *m) {
    TWO(m);

    OK(m, cnode_pg_monitor_scope(a, meddle, &pp, &own_ref));
    OK(m, cnode_pg_join(a, &pp, 1, "x"));
    assert_string_equal(m->said, ""); /* not within the call */
    mesh_advance(m, 1);
    WANT(m, COUNT(a, "x") == 0);
    SAID(m, "a joined x: 1"); /* it left before the new monitor */
    OK(m, cnode_pg_monitor_scope(b, stop_it, nb, NULL));
    OK(m, cnode_pg_monitor_scope(b, see, nb, NULL));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, NULL));
    mesh_settle(m);
    m->said[0] = '\0';
    OK(m, cnode_pg_join(a, &pp, 1, "z"));
    mesh_advance(m, 1);
    WANT(m, cnode_pg_peers(a) == 0);
}

/* A scope that is started when they are connected already, is found; and the
 * second start is the same. */
static void starts_late(mesh *m) {
    cnode_pg *a, *b, *c;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, NULL));
    PG(m, a, 0);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, NULL));
    mesh_settle(m);
    PG(m, b, 1);
    LATER(m, cnode_pg_peers(a) == 1 && cnode_pg_peers(b) == 1);
    c = pg_on(m, 1, NULL);
    assert_ptr_equal(b, c);
    cnode_pg_stop(c);
    LATER(m, cnode_pg_peers(a) == 1);
    cnode_pg_stop(b);
    WANT(m, cnode_pg_peers(a) == 0);
    /* Gone without a word, it is looked for again. */
    PG(m, b, 1);
    LATER(m, cnode_pg_peers(a) == 1);
}

/* --- a scope that is played ---------------------------------------------- */

/* m says it to the scope on node 0. */
static void say_to(mesh_raw *r, const char *name, etf_writer *w) {
    cnode_ctrl c = {.signal = CNODE_SIG_REG_SEND,
                    .from = mesh_raw_pid(r, 1),
                    .name = etf_view_of(name, strlen(name))};

    assert_int_equal(etf_writer_finish(w, &c.term), 0);
    mesh_raw_send(r, &c);
    mesh_settle(r->mesh);
    etf_writer_reset(w);
}

#define SAY(r, w, ...)                                                         \
    do {                                                                       \
        (void)etf_pack(&(w), __VA_ARGS__);                                     \
        say_to((r), "pg", &(w));                                               \
    } while (0)

/* Nothing of this changes anything. */
static void says_nonsense(mesh_raw *r, etf_writer *w, const etf_pid *r1,
                          const etf_pid *r2, const etf_pid *forged) {
    SAY(r, *w, "{join, ~p, x, ~p}", r1, forged);
    SAY(r, *w, "{join, ~p, x, [~p, ~p]}", r1, r2, forged);
    SAY(r, *w, "{join, ~p, x, [~p | foo]}", r1, r2);
    SAY(r, *w, "{join, ~p, x, foo}", r1);
    SAY(r, *w, "{join, ~p, x, \"abc\"}", r1);
    SAY(r, *w, "{join, ~p, x, []}", r1);
    SAY(r, *w, "{leave, ~p, ~p, x}", r1, r2);
    SAY(r, *w, "{leave, ~p, ~p, [foo, bar | x]}", r1, r2);
    SAY(r, *w, "{leave, ~p, ~p, [nothing]}", r1, r2);
    SAY(r, *w, "{leave, ~p, foo, [x]}", r1);
    SAY(r, *w, "{leave, ~p, ~p, [x]}", forged, r2);
    SAY(r, *w, "{'$gen_cast', {sync, ~p, foo}}", r1);
    SAY(r, *w, "{'$gen_cast', {sync, ~p, [foo]}}", r1);
    SAY(r, *w, "{'$gen_cast', {sync, ~p, [{x, [~p]}]}}", r1, forged);
    SAY(r, *w, "{'$gen_cast', {sync, ~p, []}}", forged);
    SAY(r, *w, "{'$gen_cast', foo}");
    SAY(r, *w, "{update, ~p, []}", r1);
    SAY(r, *w, "foo");
    SAY(r, *w, "[]");
}

/* More than it may: all of its members leave, until a sync that fits. */
static void says_too_much(cnode_pg *a, mesh_raw *r, etf_writer *w,
                          const etf_pid *r2) {
    etf_pid r3 = *r2;

    SAY(r, *w, "{join, ~p, x, ~p}", r2, r2);
    assert_int_equal(COUNT(a, "x"), 1);
    for (uint32_t i = 10; i < 40; i++) {
        r3 = mesh_raw_pid(r, i);
        SAY(r, *w, "{join, ~p, x, ~p}", r2, &r3);
    }
    assert_int_equal(COUNT(a, "x"), 0);
    assert_non_null(strstr(r->mesh->nodes[0].log, "more than 4000 bytes"));
    SAY(r, *w, "{'$gen_cast', {sync, ~p, [{x, [~p]}]}}", r2, &r3);
    assert_int_equal(COUNT(a, "x"), 1);
}

/* It does not end the name of a node. */
static void says_nul(cnode_pg *a, mesh_raw *r, etf_writer *w) {
    etf_pid forged = mesh_raw_pid(r, 1);

    memcpy(forged.node, "r@h\0x", 6);
    forged.node_len = 5;
    SAY(r, *w, "{discover, ~p}", &forged);
    assert_int_equal(cnode_pg_peers(a), 0);
}

/* Every message of a scope, and all that is none. */
static void hostile(mesh *m) {
    const cnode_pg_opts small = {.max_bytes = 4000};
    mesh_raw *r = mesh_play(m, 0, "r@h");
    etf_pid r1 = mesh_raw_pid(r, 1), r2 = mesh_raw_pid(r, 2);
    etf_pid r3 = mesh_raw_pid(r, 3), forged = r1;
    cnode_pg *a;
    cnode_proc *p;
    etf_writer w;

    etf_writer_init(&w, NULL);
    OK(m, mesh_start(m, 0, &visible));
    a = pg_on(m, 0, &small);
    NEED(m, a);
    p = mesh_proc(m, 0, "p");
    NEED(m, p);
    memcpy(forged.node, "z@h", 4);
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    /* Who is not known yet is not believed. */
    SAY(r, w, "{join, ~p, x, ~p}", &r1, &r2);
    SAY(r, w, "{leave, ~p, ~p, [x]}", &r1, &r2);
    assert_int_equal(COUNT(a, "x"), 0);
    SAY(r, w, "{discover, ~p}", &forged);
    assert_int_equal(cnode_pg_peers(a), 0);
    says_nul(a, r, &w);
    SAY(r, w, "{discover, ~p, 1}", &r1);
    assert_int_equal(cnode_pg_peers(a), 1);
    assert_non_null(strstr(r->term, "{discover,#Pid<"));
    SAY(r, w, "{'$gen_cast', {sync, ~p, [{x, [~p, ~p, ~p]}, {y, [~p]}]}}", &r1,
        &r2, &r2, &r3, &r3);
    assert_int_equal(COUNT(a, "x"), 3);
    assert_int_equal(COUNT(a, "y"), 1);
    SAY(r, w, "{'$gen_cast', {sync, ~p, [{x, [~p]}, {z, [~p]}]}}", &r1, &r2,
        &r3);
    assert_int_equal(COUNT(a, "x"), 1);
    assert_int_equal(COUNT(a, "y"), 0);
    assert_int_equal(COUNT(a, "z"), 1);
    says_nonsense(r, &w, &r1, &r2, &forged);
    assert_int_equal(COUNT(a, "x"), 1);
    assert_int_equal(COUNT(a, "z"), 1);
    assert_int_equal(cnode_pg_peers(a), 1);
    SAY(r, w, "{'$gen_call', {~p, tag}, monitor}", &r1);
    assert_string_equal(r->term, "{tag,{error,badarg}}");
    SAY(r, w, "{leave, ~p, [~p, ~p], [x, z]}", &r1, &r2, &r3);
    assert_int_equal(COUNT(a, "x") + COUNT(a, "z"), 0);
    /* Another scope of that node takes the place of the first. */
    SAY(r, w, "{join, ~p, x, ~p}", &r1, &r2);
    SAY(r, w, "{discover, ~p}", &r2);
    assert_int_equal(COUNT(a, "x"), 0);
    assert_int_equal(cnode_pg_peers(a), 1);
    says_too_much(a, r, &w, &r2);
    mesh_raw_close(r);
    mesh_settle(m);
    assert_int_equal(COUNT(a, "x"), 0);
    etf_writer_free(&w);
}

/* Whoever asks again and again gets all that there is only now and then. */
static void asks_too_often(mesh *m) {
    mesh_raw *r = mesh_play(m, 0, "r@h");
    etf_pid r1 = mesh_raw_pid(r, 1), r2 = mesh_raw_pid(r, 2);
    int before;
    cnode_pg *a;
    etf_writer w;

    etf_writer_init(&w, NULL);
    OK(m, mesh_start(m, 0, &visible));
    PG(m, a, 0);
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    SAY(r, w, "{discover, ~p}", &r1);
    before = r->signals;
    for (int i = 0; i < 10; i++)
        SAY(r, w, "{discover, ~p}", &r1);
    assert_int_equal(r->signals, before);
    mesh_advance(m, 999);
    assert_int_equal(r->signals, before);
    mesh_advance(m, 1);
    assert_int_equal(r->signals, before + 1);
    assert_non_null(strstr(r->term, "sync"));
    /* Nor does it help to be another scope each time. */
    for (int i = 0; i < 5; i++) {
        SAY(r, w, "{discover, ~p}", &r2);
        assert_null(strstr(r->term, "sync"));
        SAY(r, w, "{discover, ~p}", &r1);
        assert_null(strstr(r->term, "sync"));
    }
    mesh_advance(m, 1000);
    assert_non_null(strstr(r->term, "sync"));
    etf_writer_free(&w);
}

/* A process that has joined often is one member, but must be told of often. */
static void joins_too_often(mesh *m) {
    const cnode_pg_opts small = {.max_bytes = 10000};
    mesh_raw *r = mesh_play(m, 0, "r@h");
    etf_pid r1 = mesh_raw_pid(r, 1);
    cnode_pg *a;
    etf_writer w;

    etf_writer_init(&w, NULL);
    OK(m, mesh_start(m, 0, &visible));
    a = pg_on(m, 0, &small);
    NEED(m, a);
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    SAY(r, w, "{discover, ~p}", &r1);
    for (int i = 0; i < 200; i++)
        SAY(r, w, "{join, ~p, x, ~p}", &r1, &r1);
    assert_int_equal(COUNT(a, "x"), 200);
    for (int i = 0; i < 200; i++)
        SAY(r, w, "{join, ~p, x, ~p}", &r1, &r1);
    assert_int_equal(COUNT(a, "x"), 0);
    assert_non_null(strstr(m->nodes[0].log, "more than 10000 bytes"));
    /* The same with a sync, twice: what was is not counted with what is. */
    for (int i = 200; i <= 400; i += 200) {
        etf_put_tuple(&w, 2);
        etf_put_atom(&w, "$gen_cast");
        etf_put_tuple(&w, 3);
        etf_put_atom(&w, "sync");
        etf_put_pid(&w, &r1);
        etf_put_list(&w, 1);
        etf_put_tuple(&w, 2);
        etf_put_atom(&w, "x");
        etf_begin_list(&w);
        for (int j = 0; j < i; j++)
            etf_put_pid(&w, &r1);
        etf_end_list(&w);
        etf_put_nil(&w);
        say_to(r, "pg", &w);
        assert_int_equal(COUNT(a, "x"), i == 200 ? 200 : 0);
        if (i == 200)
            assert_int_equal(a->times, 200);
    }
    assert_int_equal(a->times, 0);
    etf_writer_free(&w);
}

/* Of many groups and many processes; then who is left is asked for. */
static void too_much_leaves(mesh *m) {
    enum { MANY = 300 };
    mesh_raw *r = mesh_play(m, 0, "r@h");
    etf_pid r1 = mesh_raw_pid(r, 1), x = r1;
    cnode_pg *a;
    etf_writer w;

    etf_writer_init(&w, NULL);
    OK(m, mesh_start(m, 0, &visible));
    PG(m, a, 0);
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    SAY(r, w, "{'$gen_cast', {sync, ~p, [{1, [~p]}, {2, [~p]}]}}", &r1, &r1,
        &r1);
    assert_int_equal(COUNT(a, "2"), 1);
    etf_put_tuple(&w, 4);
    etf_put_atom(&w, "leave");
    etf_put_pid(&w, &r1);
    etf_begin_list(&w);
    for (uint32_t i = 1; i <= MANY; i++) {
        x = mesh_raw_pid(r, i);
        etf_put_pid(&w, &x);
    }
    etf_end_list(&w);
    etf_begin_list(&w);
    for (int i = 0; i < MANY; i++)
        etf_put_int(&w, i);
    etf_end_list(&w);
    say_to(r, "pg", &w);
    assert_non_null(strstr(m->nodes[0].log, "too much leaves at once"));
    assert_int_equal(COUNT(a, "2"), 1);
    assert_non_null(strstr(r->term, "{discover,"));
    etf_writer_free(&w);
}

/* Two nodes have as much as one may, and both together too much. */
static void all_have_too_much(mesh *m) {
    const cnode_pg_opts small = {.max_bytes = 4000, .max_total = 5000};
    cnode_pg *a;
    mesh_raw *r;
    etf_writer w;

    etf_writer_init(&w, NULL);
    OK(m, mesh_start(m, 0, &visible));
    a = pg_on(m, 0, &small);
    NEED(m, a);
    for (int i = 0; i < 2; i++) {
        r = mesh_play(m, i, i == 0 ? "r@h" : "s@h");
        mesh_raw_dial(r, 0);
        WANT(m, r->up);
        for (uint32_t j = 1; j <= 10; j++) {
            etf_pid r1 = mesh_raw_pid(r, 1), x = mesh_raw_pid(r, j);
            if (j == 1)
                SAY(r, w, "{discover, ~p}", &r1);
            SAY(r, w, "{join, ~p, x, ~p}", &r1, &x);
        }
        assert_int_equal(COUNT(a, "x"), 10);
    }
    assert_non_null(strstr(m->nodes[0].log, "of s@h, with those of all other "
                                            "nodes, take more than 5000"));
    mesh_raw_close(r);
    etf_writer_free(&w);
}

/* What is not sent because the peer takes nothing, is not lost. */
static void is_stalled(mesh *m) {
    static const cnode_config narrow = {.max_queue = 3000};
    cnode_pg *a, *b;
    cnode_proc *p;
    etf_pid pid;

    OK(m, mesh_start(m, 0, &narrow));
    OK(m, mesh_start(m, 1, NULL));
    PG(m, a, 0);
    PG(m, b, 1);
    p = mesh_proc(m, 0, "p");
    NEED(m, p);
    pid = cnode_self(p);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, NULL));
    WANT(m, cnode_pg_peers(b) == 1 && cnode_pg_peers(a) == 1);
    mesh_stall(m, 0, true);
    for (int i = 0; i < 100; i++)
        OK(m, cnode_pg_join(a, &pid, 1, "~i", i));
    for (int i = 0; i < 50; i++)
        OK(m, cnode_pg_leave(a, &pid, 1, "~i", i));
    mesh_stall(m, 0, false);
    mesh_advance(m, 2000);
    for (int i = 0; i < 100; i++)
        WANT(m, COUNT(b, "~i", i) == (size_t)(i >= 50));
}

/* Nobody ends it from outside, and when its own program does so it does
 * nothing any more, and is no danger. */
static void is_killed(mesh *m) {
    etf_pid scope;
    TWO(m);

    OK(m, cnode_pg_join(a, &pp, 1, "x"));
    scope = cnode_self(cnode_whereis(mesh_cnode(m, 0), "pg"));
    OK(m, cnode_send_exit(q, &scope, "foo"));
    mesh_settle(m);
    OK(m, cnode_send_exit(q, &scope, "kill"));
    WANT(m, COUNT(a, "x") == 1);
    OK(m, cnode_exit(cnode_whereis(mesh_cnode(m, 0), "pg"), "kill"));
    WANT(m, cnode_whereis(mesh_cnode(m, 0), "pg") == NULL);
    assert_int_equal(cnode_pg_join(a, &pp, 1, "x"), CN_ENOPROC);
    assert_int_equal(COUNT(a, "x"), 0);
    cnode_pg_stop(a);
    (void)b;
}

/* --- topics -------------------------------------------------------------- */

static uint64_t own_subscription;

static void hear(cnode_pubsub *ps, const cnode_pubsub_msg *m, void *data) {
    char text[200];

    (void)etf_print(m->term, text, sizeof text);
    mesh_say(mesh_of(cnode_of(cnode_whereis(data, "p"))), "%s %.*s %s",
             cnode_name(data), (int)m->topic.len, (const char *)m->topic.data,
             text);
    if (strcmp(text, "enough") == 0)
        (void)cnode_pubsub_unsubscribe(ps, own_subscription);
    if (strcmp(text, "stop") == 0)
        cnode_pubsub_stop(ps);
}

/* What is broadcast here is got here and there, by topic; callbacks may stop
 * it all. */
static void topics(mesh *m) {
    static const cnode_pubsub_opts three = {
        .name = "My.PubSub", .pool_size = 3, .broadcast_pool_size = 3};
    static const cnode_pubsub_opts bad[] = {
        {.name = NULL},
        {.name = "Elixir."},
        {.name = "x", .pool_size = 2000},
        {.name = "x", .broadcast_pool_size = 2}};
    cnode_pubsub *a = NULL, *b = NULL, *c = NULL;
    cnode *x, *y;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, NULL));
    x = mesh_cnode(m, 0);
    y = mesh_cnode(m, 1);
    NEED(m, mesh_proc(m, 0, "p"));
    NEED(m, mesh_proc(m, 1, "p"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(cnode_pubsub_start(x, &bad[i], &c), CN_EBADARG);
    OK(m, cnode_pubsub_start(x, &three, &a));
    OK(m, cnode_pubsub_start(y, &three, &b));
    assert_true(cnode_pubsub_start(x, &three, &c) != 0);
    mesh_settle(m); /* what was begun of it has ended */
    ASK(m, cnode_connect(x, "b@h", mesh_connected, NULL));
    LATER(m, cnode_pg_peers(cnode_pubsub_pg(a)) == 1 &&
                 cnode_pg_peers(cnode_pubsub_pg(b)) == 1);
    for (int i = 1; i <= 3; i++) {
        char group[64] = "Elixir.My.PubSub.Adapter";
        if (i > 1)
            (void)snprintf(group + strlen(group), 8, "_%d", i);
        LATER(m, COUNT(cnode_pubsub_pg(a), "~a", group) == 2);
    }
    OK(m, cnode_pubsub_subscribe(a, "t", hear, x, NULL));
    OK(m, cnode_pubsub_subscribe(b, "t", hear, y, &own_subscription));
    OK(m, cnode_pubsub_subscribe(b, NULL, hear, y, NULL));
    mesh_settle(m);
    m->said[0] = '\0';
    OK(m, cnode_pubsub_broadcast(a, "t", "{x, ~i}", 1));
    assert_string_equal(m->said, ""); /* not within the call */
    mesh_settle(m);
    if (m->said[0] != 'a' && mesh_excused(m))
        return;
    SAID(m, "a@h t {x,1}\nb@h t {x,1}\nb@h t {x,1}");
    OK(m, cnode_pubsub_direct_broadcast(b, "a@h", "t", "two"));
    SAID(m, "a@h t two");
    OK(m, cnode_pubsub_direct_broadcast(a, "b@h", "t", "enough"));
    SAID(m, "b@h t enough\nb@h t enough");
    assert_int_equal(cnode_pubsub_unsubscribe(b, own_subscription), CN_ENOENT);
    OK(m, cnode_pubsub_direct_broadcast(a, "b@h", "t", "stop"));
    SAID(m, "b@h t stop");
    LATER(m, cnode_pg_peers(cnode_pubsub_pg(a)) == 0);
    OK(m, cnode_pubsub_broadcast(a, "u", "nobody"));
    SAID(m, "");
    cnode_pubsub_stop(a);
    WANT(m, cnode_pg_find(x, "Elixir.Phoenix.PubSub") == NULL);
}

static void hostile_twice(void **state) {
    (void)state;
    mesh_run_twice(hostile);
}

static void asks_twice(void **state) {
    (void)state;
    mesh_run_twice(asks_too_often);
}

static void joins_twice(void **state) {
    (void)state;
    mesh_run_twice(joins_too_often);
}

static void leaves_twice(void **state) {
    (void)state;
    mesh_run_twice(too_much_leaves);
}

static void too_much_twice(void **state) {
    (void)state;
    mesh_run_twice(all_have_too_much);
}

static void stalled_twice(void **state) {
    (void)state;
    mesh_run_twice(is_stalled);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(joins),
        MESH_CASE(joins_where_it_hides),
        MESH_CASE(a_huge_group),
        MESH_CASE(leaves),
        MESH_CASE(joins_wholly),
        MESH_CASE(walks),
        MESH_CASE(meddles),
        MESH_CASE(meddles_with_the_end),
        MESH_CASE(looks_meanwhile),
        MESH_CASE(starts_late),
        MESH_CASE(is_killed),
        MESH_CASE(topics),
        cmocka_unit_test(hostile_twice),
        cmocka_unit_test(stalled_twice),
        cmocka_unit_test(asks_twice),
        cmocka_unit_test(joins_twice),
        cmocka_unit_test(leaves_twice),
        cmocka_unit_test(too_much_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
