/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_test.c: what becomes of nodes that sources name, on a virtual
 * clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cnode/discover_parts.h"
#include "tests/unit/mesh.h"

/* --- events as lines ----------------------------------------------------- */

static void on_event(cnode *n, const cnode_discover_event *e, void *data) {
    static const char *const kinds[] = {"found", "up", "down", "gone", "error"};
    mesh *m = mesh_of(n);

    (void)data;
    m->noticed = m->noticed || e->status == CN_ENOMEM;
    mesh_say(m, "%s%s%s%s%s%s%s", kinds[e->kind], e->node == NULL ? "" : " ",
             e->node == NULL ? "" : e->node, *e->source == '\0' ? "" : " by ",
             e->source, e->status == 0 ? "" : ": ",
             e->status == 0 ? "" : cn_errname(e->status) + 3);
    assert_true(e->status == 0 || e->text[0] != '\0');
}

static const cnode_discover_opts tells = {.on_event = on_event};
static const cnode_discover_opts reports = {.on_event = on_event,
                                            .report_only = true};

/* --- a source that a test plays ------------------------------------------ */

typedef struct played {
    cnode_source *s; /* between start and stop */
    int started;
    int stopped;
} played;

static played one, two;

static void on_start(cnode_source *s, void *data) {
    played *p = data;

    assert_int_equal(p->started, 0);
    assert_int_equal(p->stopped, 0);
    p->started++;
    p->s = s;
}

static void on_stop(cnode_source *s, void *data) {
    played *p = data;

    assert_int_equal(p->stopped, 0);
    assert_true(!p->started || p->s == s);
    p->stopped++;
    p->s = NULL;
}

static cnode_source_config config_of(played *p, const char *name) {
    *p = (played){0};
    return (cnode_source_config){
        .name = name, .start = on_start, .stop = on_stop, .data = p};
}

#define PLAY(m, p, of)                                                         \
    do {                                                                       \
        cnode_source_config c_ = of;                                           \
        OK(m, cnode_source_add(mesh_cnode(m, 0), &c_, NULL));                  \
        WANT(m, (p)->started == 1);                                            \
    } while (0)

/* Two nodes, of which the first discovers, with one source. */
#define BEGIN(m, options)                                                      \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL));                                             \
    OK(m, cnode_discover(mesh_cnode(m, 0), (options)));                        \
    PLAY(m, &one, config_of(&one, "one"))

/* --- scenarios ----------------------------------------------------------- */

static void finds_and_connects(mesh *m) {
    cnode *a = mesh_cnode(m, 0);

    BEGIN(m, &tells);
    OK(m, cnode_source_found(one.s, "b@h"));
    OK(m, cnode_source_found(one.s, "b@h"));
    OK(m, cnode_source_found(one.s, "a@h")); /* itself */
    SAID(m, "found b@h by one");
    mesh_advance(m, 500);
    SAID(m, "up b@h by one");
    WANT(m, cnode_connected(a, "b@h"));
    mesh_advance(m, 20000);
    mesh_break(m, 1);
    SAID(m, "down b@h by one: ECLOSED");
    mesh_advance(m, 1000); /* cnode_keep */
    SAID(m, "up b@h by one");
    cnode_source_gone(one.s, "b@h");
    cnode_source_gone(one.s, "b@h");
    cnode_source_gone(one.s, "c@h");
    SAID(m, "gone b@h");
    mesh_advance(m, 20000);
    WANT(m, cnode_connected(a, "b@h"));
    mesh_break(m, 1);
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, !cnode_connected(a, "b@h") && a->peers.count == 0);
}

static void is_found_while_connected(mesh *m) {
    static char r1[] = "r1";
    cnode *a = mesh_cnode(m, 0);

    BEGIN(m, &tells);
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r1));
    SAID(m, "r1: a@h OK");
    OK(m, cnode_source_found(one.s, "b@h"));
    SAID(m, "found b@h by one\nup b@h by one");
    mesh_advance(m, 20000);
    mesh_break(m, 1);
    SAID(m, "down b@h by one: ECLOSED");
    mesh_advance(m, 1000);
    SAID(m, "up b@h by one");
    WANT(m, a->stats.connections == 1);
}

/* Or it connects while its own turn has not come. */
static void connects_by_itself(mesh *m) {
    static const cnode_discover_opts slow = {.on_event = on_event,
                                             .jitter_ms = 60000};
    static char r1[] = "r1";

    BEGIN(m, &slow);
    OK(m, cnode_source_found(one.s, "b@h"));
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r1));
    SAID(m, "found b@h by one\nup b@h by one\nr1: a@h OK");
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, m->nodes[0].ups == 1);
}

static void tries_again(mesh *m) {
    static const cnode_discover_opts quick = {
        .on_event = on_event,
        .jitter_ms = 1,
        .keep = {.first_ms = 100, .max_ms = 400, .attempts = 1}};
    cnode *a = mesh_cnode(m, 0);

    BEGIN(m, &quick);
    m->cut = true;
    OK(m, cnode_source_found(one.s, "b@h"));
    SAID(m, "found b@h by one");
    mesh_advance(m, 1);
    SAID(m, "error b@h by one: ENOENT");
    mesh_advance(m, 100);
    SAID(m, "error b@h by one: ENOENT");
    mesh_advance(m, 200);
    SAID(m, "error b@h by one: ENOENT");
    m->cut = false;
    mesh_advance(m, 400);
    SAID(m, "up b@h by one");
    m->cut = true; /* cnode_keep does not give up either */
    mesh_break(m, 1);
    mesh_advance(m, 2000);
    m->cut = false;
    mesh_advance(m, 400);
    SAID(m, "down b@h by one: ECLOSED\nup b@h by one");
    cnode_source_gone(one.s, "b@h");
    m->cut = true;
    mesh_break(m, 1);
    SAID(m, "gone b@h");
    OK(m, cnode_source_found(one.s, "b@h"));
    mesh_advance(m, 1);
    SAID(m, "found b@h by one\nerror b@h by one: ENOENT");
    cnode_source_gone(one.s, "b@h"); /* while it waits for the next attempt */
    SAID(m, "gone b@h");
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, a->peers.count == 0);
}

static void only_reports(mesh *m) {
    static const cnode_discover_opts idle = {
        .on_event = on_event, .report_only = true, .drop_gone = true};
    static char r1[] = "r1";

    BEGIN(m, &idle);
    OK(m, cnode_source_found(one.s, "b@h"));
    mesh_advance(m, 100000);
    SAID(m, "found b@h by one");
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    SAID(m, "up b@h by one\nr1: b@h OK");
    cnode_source_gone(one.s, "b@h");
    SAID(m, "gone b@h");
    WANT(m, cnode_connected(mesh_cnode(m, 0), "b@h"));
}

static void drops_what_is_gone(mesh *m) {
    static const cnode_discover_opts drops = {
        .on_event = on_event, .jitter_ms = 1, .drop_gone = true};
    cnode *a = mesh_cnode(m, 0);

    BEGIN(m, &drops);
    PLAY(m, &two, config_of(&two, "two"));
    OK(m, cnode_source_found(one.s, "b@h"));
    OK(m, cnode_source_found(two.s, "b@h"));
    mesh_advance(m, 1);
    SAID(m, "found b@h by one\nup b@h by one");
    cnode_source_gone(one.s, "b@h");
    SAID(m, ""); /* the other one names it still */
    WANT(m, cnode_connected(a, "b@h"));
    cnode_source_gone(two.s, "b@h");
    SAID(m, "gone b@h");
    WANT(m, !cnode_connected(a, "b@h") && a->peers.count == 0);
    /* What the program keeps stays. */
    OK(m, cnode_keep(a, "b@h", NULL));
    WANT(m, cnode_connected(a, "b@h"));
    OK(m, cnode_source_found(one.s, "b@h"));
    SAID(m, "found b@h by one\nup b@h by one");
    cnode_source_gone(one.s, "b@h");
    SAID(m, "gone b@h");
    mesh_break(m, 1);
    mesh_advance(m, 1000);
    WANT(m, cnode_connected(a, "b@h"));
}

/* The program's word counts until the node is found anew. */
static void is_left_alone(mesh *m) {
    cnode *a = mesh_cnode(m, 0);

    BEGIN(m, &tells);
    OK(m, cnode_source_found(one.s, "b@h"));
    mesh_advance(m, 500);
    SAID(m, "found b@h by one\nup b@h by one");
    OK(m, cnode_disconnect(a, "b@h"));
    mesh_settle(m);
    m->said[0] = '\0'; /* down, which has no reason */
    mesh_advance(m, 200000);
    OK(m, cnode_source_found(one.s, "b@h"));
    mesh_advance(m, 200000);
    SAID(m, "");
    WANT(m, !cnode_connected(a, "b@h"));
    cnode_source_gone(one.s, "b@h");
    OK(m, cnode_source_found(one.s, "b@h"));
    mesh_advance(m, 500);
    WANT(m, cnode_connected(a, "b@h"));
    SAID(m, "up b@h by one");
    cnode_source_gone(one.s, "b@h");
    OK(m, cnode_disconnect(a, "b@h"));
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_DENY));
    SAID(m, "gone b@h");
    OK(m, cnode_source_found(one.s, "b@h"));
    mesh_advance(m, 200000);
    SAID(m, "found b@h by one");
    OK(m, cnode_set_policy(a, "b@h", CNODE_POLICY_ALLOW));
    mesh_advance(m, 60000);
    SAID(m, "up b@h by one");
}

/* What a whole list does not name is gone. */
static void takes_lists(mesh *m) {
    BEGIN(m, &reports);
    cnode_source_begin(one.s);
    OK(m, cnode_source_found(one.s, "b@h"));
    OK(m, cnode_source_found(one.s, "c@h"));
    OK(m, cnode_source_found(one.s, "d@h2"));
    cnode_source_end(one.s);
    SAID(m, "found b@h by one\nfound c@h by one\nfound d@h2 by one");
    cnode_source_begin(one.s);
    OK(m, cnode_source_found(one.s, "c@h"));
    SAID(m, "");
    cnode_source_end(one.s);
    SAID(m, "gone b@h\ngone d@h2");
    OK(m, cnode_source_found(one.s, "d@h2"));
    SAID(m, "found d@h2 by one");
    cnode_source_begin(one.s);
    cnode__source_keep_host(one.s, "h2");
    cnode_source_end(one.s);
    SAID(m, "gone c@h");
    /* For a moment only: nothing is told. */
    cnode_source_gone(one.s, "d@h2");
    OK(m, cnode_source_found(one.s, "d@h2"));
    SAID(m, "");
}

static void is_bounded(mesh *m) {
    cnode *a = mesh_cnode(m, 0);
    cnode_source_config c = config_of(&one, "one");
    char name[300];

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_discover(a, &tells));
    c.max_nodes = 2;
    PLAY(m, &one, c);
    OK(m, cnode_source_found(one.s, "b@h"));
    OK(m, cnode_source_found(one.s, "c@h"));
    WANT(m, cnode_source_found(one.s, "d@h") == CN_ELIMIT);
    WANT(m, cnode_source_found(one.s, "b@h") == 0);
    cnode_source_gone(one.s, "b@h");
    OK(m, cnode_source_found(one.s, "d@h"));
    WANT(m, cnode_source_found(one.s, "nohost") == CN_EBADARG);
    WANT(m, cnode_source_found(one.s, "two@at@h") == CN_EBADARG);
    WANT(m, cnode_source_found(one.s, "") == CN_EBADARG);
    WANT(m, cnode_source_heard(one.s, "", 1) == CN_EBADARG);
    WANT(m, cnode_source_found(one.s, NULL) == CN_EBADARG);
    cnode_source_gone(one.s, NULL);
    WANT(m, cnode_source_found(one.s, "a@h") == 0); /* this node */
    memset(name, 'x', sizeof name);
    name[1] = '@';
    name[sizeof name - 1] = '\0';
    WANT(m, cnode_source_found(one.s, name) == CN_EBADARG);
    WANT(m, cnode_source_add(a, &(cnode_source_config){0}, NULL) == CN_EBADARG);
    WANT(m, cnode_source_add(a, NULL, NULL) == CN_EBADARG);
    WANT(m, cnode_discover(a, NULL) == 0);
}

static int times(const mesh *m, const char *text) {
    int n = 0;

    for (const char *at = m->said; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

/* It is found, and neither dialled nor tried before. */
static bool waits(mesh *m, const char *name) {
    char line[40];

    (void)snprintf(line, sizeof line, "error %s", name);
    return times(m, line) == 0 &&
           cn__map_get(&mesh_cnode(m, 0)->peers, name, strlen(name)) == NULL;
}

/* Attempts have places; who gets none waits. */
static void dials_few_at_once(mesh *m) {
    static const cnode_discover_opts quick = {
        .on_event = on_event, .jitter_ms = 1, .keep = {.first_ms = 60000}};
    cnode_source_config c = config_of(&one, "one");
    cnode *a = mesh_cnode(m, 0);
    char name[] = "x0@h";

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_discover(a, &quick));
    c.max_dials = 2;
    PLAY(m, &one, c);
    m->nodes[0].slow = true;
    for (int i = 0; i < 5; i++) {
        name[1] = (char)('0' + i);
        OK(m, cnode_source_found(one.s, name));
    }
    mesh_advance(m, 1);
    WANT(m, times(m, "found") == 5 && a->peers.count == 2);
    mesh_advance(m, 7000); /* setup time */
    WANT(m, times(m, "ETIMEDOUT") == 2 && a->peers.count == 2);
    for (int i = 0; i < 5 && times(m, "gone") == 0; i++) {
        name[1] = (char)('0' + i);
        if (waits(m, name))
            cnode_source_gone(one.s, name);
        mesh_settle(m);
    }
    WANT(m, times(m, "gone") == 1);
    m->nodes[0].slow = false;
    mesh_settle(m);
    WANT(m, times(m, "ENOENT") == 2 && a->peers.count == 0);
}

/* A node that is gone while it is dialled, a source too. */
static void goes_while_it_dials(mesh *m) {
    static const cnode_discover_opts quick = {.on_event = on_event,
                                              .jitter_ms = 1};
    cnode *a = mesh_cnode(m, 0);
    cnode_source_config c = config_of(&one, "one");

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_discover(a, &quick));
    c.max_dials = 1;
    PLAY(m, &one, c);
    PLAY(m, &two, config_of(&two, "two"));
    m->nodes[0].slow = true;
    OK(m, cnode_source_found(one.s, "x@h"));
    OK(m, cnode_source_found(one.s, "y@h"));
    mesh_advance(m, 1);
    SAID(m, "found x@h by one\nfound y@h by one");
    cnode_source_gone(one.s, "x@h");
    SAID(m, "gone x@h");
    OK(m, cnode_source_found(one.s, "x@h"));
    SAID(m, "found x@h by one");
    OK(m, cnode_source_found(two.s, "y@h"));
    OK(m, cnode_source_found(two.s, "x@h"));
    cnode_source_remove(one.s);
    WANT(m, one.stopped == 1);
    mesh_advance(m, 1); /* y has a place now */
    WANT(m, a->peers.count == 2);
    cnode_source_gone(two.s, "x@h");
    cnode_source_remove(two.s);
    SAID(m, "gone x@h\ngone y@h");
    WANT(m, two.stopped == 1);
    m->nodes[0].slow = false;
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, a->peers.count == 0);
}

/* Who is named for a time only. */
static void forgets(mesh *m) {
    cnode *a = mesh_cnode(m, 0);

    BEGIN(m, &tells);
    m->cut = true;
    OK(m, cnode_source_heard(one.s, "b@h", 5000));
    OK(m, cnode_source_heard(one.s, "c@h", 90000));
    SAID(m, "found b@h by one\nfound c@h by one");
    mesh_advance(m, 4000);
    OK(m, cnode_source_heard(one.s, "b@h", 5000));
    mesh_advance(m, 4999);
    WANT(m, strstr(m->said, "gone") == NULL);
    m->said[0] = '\0';
    mesh_advance(m, 1001);
    WANT(m, strstr(m->said, "gone b@h") != NULL);
    WANT(m, !cnode__source_names(one.s, "b@h"));
    WANT(m, cnode__source_names(one.s, "c@h"));
    m->cut = false;
    OK(m, cnode_source_heard(one.s, "b@h", 5000));
    mesh_advance(m, 500);
    WANT(m, cnode_connected(a, "b@h"));
    m->said[0] = '\0';
    mesh_advance(m, 50000); /* it is there, whether it is heard or not */
    WANT(m, strstr(m->said, "gone") == NULL);
    m->cut = true;
    mesh_break(m, 1);
    m->said[0] = '\0';
    mesh_advance(m, 6000);
    WANT(m, strstr(m->said, "gone b@h") != NULL);
}

static void tells_of_trouble(mesh *m) {
    BEGIN(m, &tells);
    cnode_source_failed(one.s, CN_EHOST, "no server");
    SAID(m, "error by one: EHOST");
    for (int i = 0; i < 59; i++) {
        mesh_advance(m, 1000);
        cnode_source_failed(one.s, CN_EHOST, "no server");
    }
    SAID(m, "");
    mesh_advance(m, 1000);
    cnode_source_failed(one.s, CN_EHOST, "no server");
    SAID(m, "error by one: EHOST");
    cnode_source_failed(one.s, CN_EPROTO, "another one"); /* too soon */
    SAID(m, "");
    mesh_advance(m, 1000);
    cnode_source_failed(one.s, CN_EPROTO, "another one");
    SAID(m, "error by one: EPROTO");
    cnode_source_begin(one.s);
    cnode_source_end(one.s);
    cnode_source_failed(one.s, CN_EPROTO, "another one");
    SAID(m, "error by one: EPROTO");
}

static void ends_with_the_node(mesh *m) {
    BEGIN(m, &tells);
    OK(m, cnode_source_found(one.s, "b@h"));
    SAID(m, "found b@h by one");
    mesh_stop(m, 0);
    assert_int_equal(one.stopped, 1);
    SAID(m, "");
}

static void left(cnode *n, int status, const cn_error *err, void *data) {
    (void)err;
    (void)data;
    mesh_say(mesh_of(n), "left: %s", cn_errname(status) + 3);
}

static void ends_when_it_leaves(mesh *m) {
    cnode *a = mesh_cnode(m, 0);

    BEGIN(m, &tells);
    OK(m, cnode_source_found(one.s, "b@h"));
    OK(m, cnode_source_found(one.s, "x@h"));
    mesh_advance(m, 500);
    mesh_settle(m);
    m->said[0] = '\0';
    OK(m, cnode_leave(a, 0, left, NULL));
    SAID(m, "left: OK");
    assert_int_equal(one.stopped, 1);
    mesh_advance(m, 100000);
    SAID(m, "");
    WANT(m, cnode_discover(a, &tells) == CN_ECLOSED);
    WANT(m, cnode_source_add(a, &(cnode_source_config){.name = "x"}, NULL) ==
                CN_ECLOSED);
}

/* Before it was started. */
static void is_removed_at_once(mesh *m) {
    cnode *a = mesh_cnode(m, 0);
    cnode_source_config c = config_of(&one, "one");
    cnode_source *s;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_source_add(a, &c, &s));
    assert_ptr_equal(cnode_source_node(s), a);
    cnode_source_remove(s);
    WANT(m, one.stopped == 1 && one.started == 0);
}

/* From the callback anything may be done. */
static void on_event_removes(cnode *n, const cnode_discover_event *e,
                             void *data) {
    on_event(n, e, data);
    if (e->kind == CNODE_DISCOVER_UP)
        cnode_source_remove(one.s);
    if (e->kind == CNODE_DISCOVER_GONE && two.s != NULL)
        mesh_of(n)->noticed |= cnode_source_found(two.s, e->node) != 0;
    if (e->kind == CNODE_DISCOVER_FOUND && strcmp(e->source, "two") == 0)
        cnode_source_remove(two.s);
}

static void is_removed_in_a_callback(mesh *m) {
    static const cnode_discover_opts o = {.on_event = on_event_removes,
                                          .jitter_ms = 1};

    BEGIN(m, &o);
    PLAY(m, &two, config_of(&two, "two"));
    OK(m, cnode_source_found(one.s, "b@h"));
    mesh_advance(m, 1);
    SAID(m, "found b@h by one\nup b@h by one\ngone b@h\nfound b@h by two\n"
            "gone b@h");
    WANT(m, one.stopped == 1 && two.stopped == 1);
}

static void lists(mesh *m) {
    static const char *const nodes[] = {"b@h", "a@h", "c@h"};
    static const char *const bad[] = {"b@h", "c"};
    cnode *a = mesh_cnode(m, 0);
    cnode_source *s;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, NULL));
    OK(m, cnode_discover(a, &tells));
    WANT(m, cnode_discover_list(a, bad, 2, NULL) == CN_EBADARG);
    OK(m, cnode_discover_list(a, nodes, 3, &s));
    SAID(m, "found b@h by list\nfound c@h by list");
    mesh_advance(m, 500);
    WANT(m, cnode_connected(a, "b@h"));
    cnode_source_remove(s);
    WANT(m, strstr(m->said, "gone b@h\ngone c@h") != NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(finds_and_connects),
        MESH_CASE(is_found_while_connected),
        MESH_CASE(connects_by_itself),
        MESH_CASE(tries_again),
        MESH_CASE(only_reports),
        MESH_CASE(drops_what_is_gone),
        MESH_CASE(is_left_alone),
        MESH_CASE(takes_lists),
        MESH_CASE(is_bounded),
        MESH_CASE(dials_few_at_once),
        MESH_CASE(goes_while_it_dials),
        MESH_CASE(forgets),
        MESH_CASE(tells_of_trouble),
        MESH_CASE(ends_with_the_node),
        MESH_CASE(ends_when_it_leaves),
        MESH_CASE(is_removed_at_once),
        MESH_CASE(is_removed_in_a_callback),
        MESH_CASE(lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
