/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes: names, messages near and far, mailboxes, ends, timers.
 */
#include <stdlib.h>
#include <string.h>

#include "cnode/pg.h"
#include "tests/unit/mesh.h"

#define BOTH(m)                                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL))

static void sends_by_name(mesh *m) {
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, mesh_proc(m, 1, "bob"));
    OK(m, cnode_send_name(a, "b@h", "bob", "{hello, ~i}", 1));
    OK(m, cnode_send_name(a, "b@h", "bob", "{hello, ~i}", 2));
    SAID(m, "bob: {hello,1}\nbob: {hello,2}");
    OK(m, cnode_send_name(a, "b@h", "nobody", "lost"));
    OK(m, cnode_send_name(a, "b@h", "bob", "\"text\""));
    SAID(m, "bob: \"text\"");
    assert_int_equal(m->nodes[1].node.stats.messages_in, 3);
    assert_int_equal(m->nodes[1].node.stats.dropped, 1);
    assert_int_equal(m->nodes[0].node.stats.messages_out, 4);
}

static etf_pid seen_from;
static bool seen_sender;
static char seen_peer[64];

static void see_sender(cnode_proc *p, const cnode_msg *msg, void *data) {
    (void)data;
    seen_sender = msg->from != NULL;
    if (seen_sender)
        seen_from = *msg->from;
    (void)snprintf(seen_peer, sizeof seen_peer, "%s", msg->peer);
    mesh_say_term(mesh_of(cnode_of(p)), "s", "", msg->term);
}

static void tells_the_sender(mesh *m) {
    static const cnode_proc_config c = {.name = "s", .on_message = see_sender};
    cnode_proc *a, *s;
    etf_pid to, self;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, &s));
    to = cnode_self(s);
    self = cnode_self(a);
    OK(m, cnode_send(a, &to, "one"));
    SAID(m, "s: one");
    assert_true(seen_sender && etf_pid_eq(&seen_from, &self));
    assert_string_equal(seen_peer, "a@h");
    OK(m, cnode_send_name(a, "b@h", "s", "two"));
    SAID(m, "s: two");
    assert_true(seen_sender && etf_pid_eq(&seen_from, &self));
    OK(m, cnode_send(s, &to, "three"));
    SAID(m, "s: three");
    assert_true(seen_sender && etf_pid_eq(&seen_from, &to));
    assert_string_equal(seen_peer, "b@h");
}

static void sends_by_pid(mesh *m) {
    cnode_proc *a, *b;
    etf_pid to;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    to = cnode_self(b);
    OK(m, cnode_send(a, &to, "{~p, ~b}", &to, "x"));
    WANT(m, strstr(m->said, "<<\"x\">>") != NULL);
    m->said[0] = '\0';
    to.creation++; /* of another life of that node */
    OK(m, cnode_send(a, &to, "old"));
    to.creation--;
    OK(m, cnode_exit(b, "done"));
    SAID(m, "bob: ended done");
    OK(m, cnode_send(a, &to, "dead"));
    SAID(m, "");
    WANT(m, m->nodes[1].node.stats.dropped == 2);
}

static void sends_here(mesh *m) {
    cnode_proc *a, *b;
    etf_pid to;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    to = cnode_self(b);
    OK(m, cnode_send(a, &to, "one"));
    OK(m, cnode_send_name(a, NULL, "bob", "two"));
    OK(m, cnode_send_name(a, "a@h", "bob", "three"));
    assert_string_equal(m->said, ""); /* never inside the call */
    SAID(m, "bob: one\nbob: two\nbob: three");
    OK(m, cnode_send_name(a, NULL, "carol", "four"));
    to.id += 100;
    OK(m, cnode_send(a, &to, "five"));
    WANT(m, m->nodes[0].node.stats.dropped == 2);
    SAID(m, "");
}

static void refuses_bad_sends(mesh *m) {
    cnode_proc *a;
    etf_pid to = {.id = 1, .node = "nohost", .node_len = 6};
    char name[300];

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    assert_int_not_equal(cnode_send(a, &to, "x"), 0);
    memcpy(to.node, "b@h\0x", 6); /* as a peer may make one up */
    to.node_len = 5;
    assert_int_not_equal(cnode_send(a, &to, "x"), 0);
    memset(name, 'x', sizeof name);
    name[299] = '\0';
    assert_int_equal(cnode_send_name(a, name, "bob", "x"), CN_EBADARG);
    assert_int_not_equal(cnode_send_name(a, "b@h", name, "x"), 0);
    assert_int_not_equal(cnode_send_name(a, "b@h", "bob", "{x"), 0);
    assert_int_not_equal(cnode_send_name(a, "bob", "bob", "x"), 0);
    WANT(m, cnode_error(mesh_cnode(m, 0))->text[0] != '\0');
    SAID(m, "");
}

static void names(mesh *m) {
    cnode_proc *a, *b;
    cnode_proc_config c = {.name = "alice"};
    char name[2 * 255 + 1] = "";
    cnode *n;

    OK(m, mesh_start(m, 0, NULL));
    n = mesh_cnode(m, 0);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    assert_ptr_equal(cnode_whereis(n, "alice"), a);
    WANT(m, cnode_spawn(n, &c, &b) != 0);
    assert_null(b);
    OK(m, cnode_spawn(n, &mesh_observer, &b));
    WANT(m, cnode_register(b, "alice") == CN_EEXIST);
    WANT(m, cnode_register(b, "") == CN_EBADARG);
    WANT(m, cnode_register(b, "undefined") == CN_EBADARG);
    WANT(m, cnode_register(b, "\xff") == CN_EBADARG);
    WANT(m, cnode_register(a, "other") == CN_EBADARG);
    WANT(m, strstr(cnode_error(n)->text, "has a name already") != NULL);
    OK(m, cnode_register(b, "bob"));
    for (size_t i = 0; i + 1 < sizeof name; i++)
        name[i] = "\xc3\xa4"[i % 2];
    c.name = name;
    OK(m, cnode_spawn(n, &c, &b));
    assert_ptr_equal(cnode_whereis(n, name), b);
    OK(m, cnode_exit(a, "normal"));
    assert_null(cnode_whereis(n, "alice"));
    NEED(m, mesh_proc(m, 0, "alice"));
    SAID(m, "alice: ended normal");
}

/* --- mailboxes ----------------------------------------------------------- */

static void keeps_mail(mesh *m) {
    static const cnode_proc_config c = {.name = "box"};
    cnode_proc *a, *box;
    etf_pid self;
    cnode_msg msg;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, &box));
    assert_false(cnode__take(box, &msg));
    OK(m, cnode_send_name(a, "b@h", "box", "one"));
    OK(m, cnode_send_name(a, "b@h", "box", "{'$gen_call', x, y}"));
    OK(m, cnode_send_name(box, NULL, "box", "three"));
    mesh_settle(m);
    WANT(m, cnode__take(box, &msg) && etf_match(msg.term, "three") == 0);
    assert_string_equal(msg.peer, "b@h");
    WANT(m, cnode__take(box, &msg) && etf_match(msg.term, "one") == 0);
    self = cnode_self(a);
    assert_string_equal(msg.peer, "a@h");
    assert_true(msg.from != NULL && etf_pid_eq(msg.from, &self));
    WANT(m, cnode__take(box, &msg) && etf_match(msg.term, "{_, x, y}") == 0);
    assert_false(cnode__take(box, &msg));
    OK(m, cnode_send_name(a, "b@h", "box", "left"));
}

static size_t mail_of(const cnode_proc *p) {
    cnode_proc_stats s;

    cnode_get_proc_stats(p, &s);
    return (size_t)s.mailbox_messages;
}

/* What comes out of a mailbox, separated by blanks. */
static const char *read_all(cnode_proc *p) {
    static char all[256];
    size_t len = 0;
    cnode_msg msg;

    all[0] = '\0';
    while (cnode__take(p, &msg)) {
        (void)etf_print(msg.term, all + len, sizeof all - len - 1);
        len = strlen(all);
        memcpy(all + len++, " ", 2);
    }
    return all;
}

static void mailbox_drops_the_new(mesh *m) {
    static const cnode_proc_config c = {.name = "box", .max_messages = 3};
    cnode_proc *a, *box;
    cnode_proc_stats s;
    cnode_msg msg;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, &box));
    for (int i = 0; i < 8; i++)
        OK(m, cnode_send_name(a, "b@h", "box", "~i", i));
    WANT(m, mail_of(box) == 3);
    cnode_get_proc_stats(box, &s);
    WANT(m, s.dropped == 5);
    WANT(m, m->nodes[1].node.stats.drops[CNODE_DROP_MAILBOX] == 5);
    WANT(m, cnode__take(box, &msg) && etf_match(msg.term, "0") == 0);
    OK(m, cnode_send_name(a, "b@h", "box", "8"));
    WANT(m, mail_of(box) == 3);
    WANT(m, strcmp(read_all(box), "1 2 8 ") == 0);
}

/* What a monitor tells is not lost, whatever else is. */
static void mailbox_drops_the_oldest(mesh *m) {
    static const cnode_proc_config c = {
        .name = "box", .max_messages = 3, .when_full = CNODE_FULL_DROP_OLDEST};
    cnode_proc *a, *box;
    cnode_proc_stats s;
    cnode_msg msg;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, &box));
    OK(m, cnode_send_name(a, "b@h", "box", "first"));
    mesh_settle(m);
    OK(m, cnode_monitor(box, "a@h", "nobody", NULL));
    mesh_settle(m);
    for (int i = 0; i < 8; i++)
        OK(m, cnode_send_name(a, "b@h", "box", "~i", i));
    WANT(m, mail_of(box) == 4);
    cnode_get_proc_stats(box, &s);
    WANT(m, s.dropped == 6);
    WANT(m, cnode__take(box, &msg) &&
                etf_match(msg.term, "{'DOWN', _, process, _, noproc}") == 0);
    WANT(m, strcmp(read_all(box), "5 6 7 ") == 0);
}

/* ... wherever it stands. */
static void mailbox_spares_what_was_told(mesh *m) {
    static const cnode_proc_config c = {
        .name = "box", .max_messages = 2, .when_full = CNODE_FULL_DROP_OLDEST};
    cnode_proc *box;
    cnode_msg msg;
    etf_ref alias;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &box));
    OK(m, cnode_alias_with(box, CNODE_ALIAS_PRIORITY, &alias));
    for (int i = 0; i < 3; i++)
        OK(m, cnode_monitor(box, NULL, "nobody", NULL));
    mesh_settle(m);
    for (int i = 0; i < 5; i++)
        OK(m, cnode_send_name(box, NULL, "box", "~i", i));
    WANT(m, mail_of(box) == 5);
    WANT(m, cnode__take(box, &msg) &&
                etf_match(msg.term, "{'DOWN', _, process, _, _}") == 0);
    OK(m, cnode_send_name(box, NULL, "box", "5"));
    WANT(m, mail_of(box) == 4);
    OK(m, cnode_monitor(box, NULL, "nobody", NULL));
    mesh_settle(m);
    OK(m, cnode_send_name(box, NULL, "box", "6"));
    OK(m, cnode_send_priority(box, &alias, "first"));
    WANT(m, mail_of(box) == 5);
    OK(m, cnode_send_name(box, NULL, "box", "7"));
    WANT(m, mail_of(box) == 5);
    for (int i = 0; i < 3; i++)
        WANT(m, cnode__take(box, &msg) &&
                    etf_match(msg.term, "{'DOWN', _, process, _, _}") == 0);
    WANT(m, strcmp(read_all(box), "6 7 ") == 0);
}

/* Passing over them for each message again would take minutes. */
static void much_was_told(mesh *m) {
    enum { MANY = 20000 };
    static const cnode_proc_config c = {
        .name = "box", .max_messages = 2, .when_full = CNODE_FULL_DROP_OLDEST};
    cnode_proc *box;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &box));
    for (int i = 0; i < MANY; i++)
        OK(m, cnode_monitor(box, NULL, "nobody", NULL));
    mesh_settle(m);
    for (int i = 0; i < MANY; i++)
        OK(m, cnode_send_name(box, NULL, "box", "~i", i));
    WANT(m, mail_of(box) == MANY + 2);
}

static void mailbox_spares_much(void **state) {
    (void)state;
    mesh_run_twice(much_was_told);
}

static void on_box_end(cnode_proc *p, etf_view reason, void *data) {
    (void)data;
    mesh_say_term(mesh_of(cnode_of(p)), "box", "ended", reason);
}

static void mailbox_ends_its_process(mesh *m) {
    static const cnode_proc_config c = {.name = "box",
                                        .max_mailbox = 1000,
                                        .when_full = CNODE_FULL_END,
                                        .on_end = on_box_end};
    cnode_proc *a, *box;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, &box));
    OK(m, cnode_monitor(a, "b@h", "box", NULL));
    for (int i = 0; i < 50; i++)
        OK(m, cnode_send_name(a, "b@h", "box", "~i", i));
    WANT(m, strstr(m->said, "box: ended {system_limit,mailbox}") != NULL);
    WANT(m, strstr(m->said, "alice: down") != NULL);
    WANT(m, cnode_whereis(mesh_cnode(m, 1), "box") == NULL);
}

/* Whoever may link may tell of ends without end. */
static void far_too_much_was_told(mesh *m) {
    static const uint8_t zeros[16 << 20];
    static const cnode_proc_config c = {.name = "box",
                                        .max_mailbox = 1000,
                                        .trap_exit = true,
                                        .on_end = on_box_end};
    const etf_view big = {zeros, sizeof zeros};
    cnode_proc *box, *other;
    etf_pid to;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &box));
    to = cnode_self(box);
    for (int i = 0; i < 4; i++) {
        WANT(m, strstr(m->said, "box: ended") == NULL);
        OK(m, cnode_spawn(mesh_cnode(m, 0), &mesh_observer, &other));
        OK(m, cnode_link(other, &to));
        mesh_settle(m);
        OK(m, cnode_exit(other, "~b", big));
        mesh_settle(m);
    }
    WANT(m, strstr(m->said, "box: ended {system_limit,mailbox}") != NULL);
}

static void mailbox_ends_of_what_is_told(void **state) {
    (void)state;
    mesh_run_twice(far_too_much_was_told);
}

static void mailbox_overflows(mesh *m) {
    static const cnode_config small = {.max_mailbox = 400};
    static const cnode_proc_config c = {.name = "box"};
    cnode_proc *box;
    cnode *n;
    cnode_msg msg;
    etf_view view;
    char big[500];

    OK(m, mesh_start(m, 0, &small));
    n = mesh_cnode(m, 0);
    OK(m, cnode_spawn(n, &c, &box));
    for (int i = 0; i < 50; i++)
        OK(m, cnode_send_name(box, NULL, "box", "~i", i));
    WANT(m, n->stats.dropped > 40);
    WANT(m, m->nodes[0].troubles == 1); /* one line, not fifty */
    for (int i = 0; cnode__take(box, &msg); i++)
        WANT(m, etf_match(msg.term, "~i", &i) == 0);
    memset(big, 'x', sizeof big);
    OK(m, cnode_send_name(box, NULL, "box", "j"));
    WANT(m, cnode__take(box, &msg));
    view = (etf_view){(const uint8_t *)big, sizeof big};
    OK(m, cnode_send_name(box, NULL, "box", "~b", view));
    WANT(m, m->nodes[0].troubles == 1); /* one a second */
    mesh_advance(m, 1000);
    OK(m, cnode_send_name(box, NULL, "box", "~b", view));
    WANT(m, m->nodes[0].troubles == 2);
    assert_non_null(strstr(m->nodes[0].log, "box"));
    assert_false(cnode__take(box, &msg));
}

/* A program that was compiled when structs were shorter. */
static void older_program(mesh *m) {
    static const cnode_proc_config c = {
        .name = "box", .trap_exit = true, .max_messages = 1};
    static const size_t size = offsetof(cnode_proc_config, max_mailbox);
    cnode_proc *box;
    cnode_msg msg;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn_sized(mesh_cnode(m, 0), &c, size, &box));
    OK(m, cnode_send_name(box, NULL, "box", "one"));
    OK(m, cnode_send_name(box, NULL, "box", "two"));
    WANT(m, cnode__take(box, &msg) && cnode__take(box, &msg));
    OK(m, cnode_become_sized(box, &(cnode_proc_config){0}, size));
}

/* A mailbox that becomes something else gives its mail to that. */
static void mail_waits_for_a_behaviour(mesh *m) {
    static const cnode_proc_config c = {.name = "box"};
    cnode_proc_config later = mesh_observer;
    cnode_proc *box;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &box));
    OK(m, cnode_send_name(box, NULL, "box", "one"));
    OK(m, cnode_send_name(box, NULL, "box", "{'$gen_cast', two}"));
    mesh_settle(m);
    OK(m, cnode_send_name(box, NULL, "box", "three"));
    OK(m, cnode_become(box, &later));
    OK(m, cnode_send_name(box, NULL, "box", "four"));
    assert_string_equal(m->said, "");
    SAID(m, "box: one\nbox: cast two\nbox: three\nbox: four");
    later.name = "box";
    WANT(m, cnode_become(box, &later) == CN_EBADARG);
}

/* --- behaviours ---------------------------------------------------------- */

static void close_self(cnode_proc *p, const cnode_msg *msg, void *data) {
    mesh *m = mesh_of(cnode_of(p));

    mesh_say_term(m, data, "", msg->term);
    if (cnode_exit(p, "{bye, ~t}", msg->term) != 0)
        m->noticed = true;
}

static void say_end(cnode_proc *p, etf_view reason, void *data) {
    mesh_say_term(mesh_of(cnode_of(p)), data, "ended", reason);
}

static void ends_in_its_callback(mesh *m) {
    static char who[] = "c";
    static const cnode_proc_config c = {
        .name = "c", .on_message = close_self, .on_end = say_end, .data = who};
    cnode_proc *a;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, NULL));
    OK(m, cnode_send_name(a, "b@h", "c", "one"));
    OK(m, cnode_send_name(a, "b@h", "c", "two"));
    SAID(m, "c: one\nc: ended {bye,one}");
    assert_null(cnode_whereis(mesh_cnode(m, 1), "c"));
}

/* Whatever a process asks for after its end is refused, not forgotten. */
static void ask_too_late(cnode_proc *p, etf_view reason, void *data) {
    mesh *m = mesh_of(cnode_of(p));
    cnode *n = cnode_of(p);
    etf_pid other = cnode__pid_of(n, n->user);
    cnode_call_opts to = {.server = "user"};
    cnode_rpc_opts rpc = {.node = "b@h", .module = "m", .function = "f"};
    cnode_spawn_opts spawn = {.node = "b@h", .module = "m", .function = "f"};
    etf_ref ref;

    (void)data;
    mesh_say_term(m, "late", "ended", reason);
    assert_int_not_equal(cnode_register(p, "late"), 0);
    assert_int_not_equal(cnode_link(p, &other), 0);
    assert_int_not_equal(cnode_monitor_pid(p, &other, &ref), 0);
    assert_int_not_equal(cnode_alias(p, false, &ref), 0);
    assert_int_not_equal(cnode_after(p, 5, NULL, NULL), 0);
    assert_int_not_equal(cnode_call(p, &to, mesh_result, NULL, "x"), 0);
    assert_int_not_equal(cnode_rpc(p, &rpc, mesh_result, NULL, "[]"), 0);
    assert_int_not_equal(
        cnode_spawn_remote(p, &spawn, mesh_result, NULL, &ref, "[]"), 0);
    assert_int_equal(cnode_send(p, &other, "after its end"), CN_ENOPROC);
    assert_int_equal(cnode_send_exit(p, &other, "after its end"), CN_ENOPROC);
    assert_int_equal(cnode_cast(p, &to, "x"), CN_ENOPROC);
    assert_int_equal(cnode_rpc_cast(p, &rpc, "[]"), CN_ENOPROC);
    (void)cnode_unlink(p, &other);
}

static void asks_nothing_after_its_end(mesh *m) {
    static const cnode_proc_config c = {.on_end = ask_too_late};
    cnode_proc *p;

    BOTH(m);
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &p));
    OK(m, cnode_exit(p, "first"));
    SAID(m, "late: ended first");
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &p));
    mesh_stop(m, 0);
    WANT(m, strcmp(m->said, "late: ended shutdown\n") == 0);
}

static void spawn_another(cnode_proc *p, etf_view reason, void *data) {
    cnode_proc *q;

    (void)reason;
    (void)data;
    if (cnode_spawn(cnode_of(p), &mesh_observer, &q) == 0)
        mesh_of(cnode_of(p))->said[0] = 'x';
    (void)cnode_connect(cnode_of(p), "b@h", mesh_connected, NULL);
}

static void nothing_begins_while_it_closes(mesh *m) {
    static const cnode_proc_config c = {.on_end = spawn_another};

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, NULL));
    mesh_stop(m, 0);
    assert_string_equal(m->said, "");
}

/* --- exit signals -------------------------------------------------------- */

static void exit_signals(mesh *m) {
    cnode_proc_config traps = mesh_observer;
    cnode_proc *a, *b, *c;
    etf_pid to, trap;
    static char who[] = "trap";

    BOTH(m);
    traps.data = who;
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &traps, &c));
    to = cnode_self(b);
    trap = cnode_self(c);
    OK(m, cnode_send_exit(a, &to, "normal"));
    OK(m, cnode_send_exit(a, &trap, "normal"));
    SAID(m, "trap: exit normal");
    OK(m, cnode_send_exit(a, &trap, "{why, ~i}", 1));
    SAID(m, "trap: exit {why,1}");
    OK(m, cnode_send_exit(a, &to, "{why, ~i}", 1));
    SAID(m, "bob: ended {why,1}");
    OK(m, cnode_send_exit(a, &trap, "kill"));
    SAID(m, "trap: ended killed");
    OK(m, cnode_send_exit(a, &to, "kill"));
    SAID(m, "");
    to = cnode_self(a);
    OK(m, cnode_send_exit(a, &to, "normal")); /* exit(self(), normal) */
    SAID(m, "alice: ended normal");
}

static void traps_as_messages(mesh *m) {
    static const cnode_proc_config c = {.name = "box", .trap_exit = true};
    cnode_proc *a, *box;
    cnode_msg msg;
    etf_pid to, from, self;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &c, &box));
    to = cnode_self(box);
    OK(m, cnode_send_exit(a, &to, "why"));
    WANT(m, cnode__take(box, &msg));
    self = cnode_self(a);
    assert_int_equal(etf_match(msg.term, "{'EXIT', ~p, why}", &from), 0);
    assert_true(etf_pid_eq(&from, &self));
}

/* --- time ---------------------------------------------------------------- */

static void ring(cnode_proc *p, void *arg) {
    mesh_say(mesh_of(cnode_of(p)), "%s at %d", (const char *)arg,
             (int)cnode_now(cnode_of(p)));
}

static void timers(mesh *m) {
    static char one[] = "one", two[] = "two", never[] = "never";
    cnode_proc *a, *b;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    OK(m, cnode_after(a, 200, ring, two));
    OK(m, cnode_after(a, 100, ring, one));
    OK(m, cnode_after(b, 150, ring, never));
    OK(m, cnode_after(a, 900, ring, never));
    OK(m, cnode_after(a, 50, ring, never));
    OK(m, cnode_after(a, 60, ring, two));
    SAID(m, "");
    assert_false(cnode_cancel_after(a, ring, NULL));
    assert_false(cnode_cancel_after(b, ring, one));
    assert_true(cnode_cancel_after(a, ring, never));
    assert_true(cnode_cancel_after(a, ring, never));
    assert_false(cnode_cancel_after(a, ring, never));
    assert_true(cnode_cancel_after(a, ring, two));
    OK(m, cnode_after(a, 900, ring, never));
    OK(m, cnode_exit(b, "normal"));
    mesh_advance(m, 500);
    SAID(m, "bob: ended normal\ntwo at 1060\none at 1100");
}

/* --- other threads ------------------------------------------------------- */

static void sends_from_elsewhere(mesh *m) {
    cnode_proc *a, *b;
    etf_pid near, far;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    near = cnode_self(a);
    far = cnode_self(b);
    m->nodes[0].elsewhere = true;
    OK(m, cnode_send(a, &far, "one"));
    OK(m, cnode_send_name(a, "b@h", "bob", "two"));
    OK(m, cnode_send(a, &near, "three"));
    OK(m, cnode_send_name(a, NULL, "alice", "four"));
    assert_int_not_equal(cnode_send(a, &far, "{bad"), 0);
    m->nodes[0].elsewhere = false;
    SAID(m, "alice: three\nalice: four\nbob: one\nbob: two");
    m->nodes[0].elsewhere = true;
    OK(m, cnode_send_name(a, "no name", "bob", "five"));
    m->nodes[0].elsewhere = false;
    WANT(m, m->nodes[0].troubles == 1 && m->nodes[0].node.stats.dropped == 1);
}

/* In a time that grows with their number and not with its square, which would
 * be minutes. */
static void count_end(cnode_proc *p, etf_view reason, void *data) {
    (void)p;
    (void)reason;
    ++*(int *)data;
}

static void many_end(void **state) {
    enum { MANY = 100000 };
    static mesh m = {.victim = -1};
    int ended = 0;
    cnode_proc_config c = {.on_end = count_end, .data = &ended};

    (void)state;
    assert_int_equal(mesh_start(&m, 0, NULL), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(cnode_spawn(mesh_cnode(&m, 0), &c, NULL), 0);
    mesh_stop(&m, 0);
    assert_int_equal(ended, MANY);
}

/* --- size ---------------------------------------------------------------- */

enum { MALLOC_HEAD = 16 }; /* what an allocation costs besides */

static size_t cost_of(size_t count, const cnode_proc_config *kinds, size_t n) {
    mesh *m = calloc(1, sizeof *m);
    fault_alloc f;
    cnode_config config = {0};
    size_t before, cost;

    assert_non_null(m);
    m->victim = -1;
    fault_init(&f, 0);
    config.alloc = f.alloc;
    assert_int_equal(mesh_start(m, 0, &config), 0);
    before = f.live;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(cnode_spawn(mesh_cnode(m, 0), &kinds[i % n], NULL), 0);
    cost = (f.live - before) / count + MALLOC_HEAD;
    mesh_stop(m, 0);
    assert_int_equal(f.live, 0);
    free(m);
    return cost;
}

/* 12,289 is where the table of processes is emptiest. */
static void idle_ones_are_small(void **state) {
    static const cnode_proc_config kinds[] = {
        {.on_message = see_sender, .on_end = on_box_end},
        {.trap_exit = true},
        {.on_message = see_sender, .max_messages = 7},
    };

    (void)state;
    assert_in_range(cost_of(10000, kinds, 3), 1, 300);
    assert_in_range(cost_of(12289, kinds, 3), 1, 300);
}

/* --- messages without allocations ---------------------------------------- */

static void count_message(cnode_proc *p, const cnode_msg *m, void *data) {
    (void)p;
    (void)m;
    ++*(int *)data;
}

static void send_some(mesh *m, cnode_proc *from, const etf_pid *to) {
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(cnode_send(from, to, "{message, ~i}", i), 0);
        if (i % 50 == 49)
            mesh_settle(m);
    }
}

/* To a process with callbacks, from here and from another node: what a node
 * has once allocated is enough for the messages that follow. */
static void messages_take_no_memory(void **state) {
    static mesh m = {.victim = -1};
    int count = 0;
    const cnode_proc_config c = {.on_message = count_message, .data = &count};
    fault_alloc f;
    cnode_config config = {0};
    cnode_proc *near, *far, *p;
    size_t calls;
    etf_pid to;

    (void)state;
    fault_init(&f, 0);
    config.alloc = f.alloc;
    assert_int_equal(mesh_start(&m, 0, &config), 0);
    assert_int_equal(mesh_start(&m, 1, NULL), 0);
    assert_int_equal(cnode_spawn(mesh_cnode(&m, 0), &c, &p), 0);
    assert_int_equal(cnode_spawn(mesh_cnode(&m, 0), &c, &near), 0);
    assert_int_equal(cnode_spawn(mesh_cnode(&m, 1), &c, &far), 0);
    to = cnode_self(p);
    send_some(&m, near, &to);
    send_some(&m, far, &to);
    calls = f.calls;
    send_some(&m, near, &to);
    assert_int_equal(f.calls, calls);
    send_some(&m, far, &to);
    assert_int_equal(f.calls, calls);
    assert_int_equal(count, 4000);
    mesh_stop(&m, 0);
    mesh_stop(&m, 1);
}

/* The room for a large message is kept while such messages come, and given
 * back in the first turn without one. */
static void large_messages(void **state) {
    static uint8_t zeros[100000];
    static mesh m = {.victim = -1};
    cnode_proc_config c = {.name = "p"};
    cnode *n;
    cnode_proc *p;
    size_t cap;

    (void)state;
    assert_int_equal(mesh_start(&m, 0, NULL), 0);
    n = mesh_cnode(&m, 0);
    assert_int_equal(cnode_spawn(n, &c, &p), 0);
    assert_int_equal(
        cnode_send_name(p, NULL, "p", "~b", ((etf_view){zeros, sizeof zeros})),
        0);
    cap = n->message.cap;
    assert_true(cap > sizeof zeros);
    assert_true(cnode__pump(n));
    assert_int_equal(n->message.cap, cap);
    while (cnode__pump(n))
        ;
    assert_int_equal(n->message.cap, 0);
    mesh_stop(&m, 0);
}

/* --- those of the library ------------------------------------------------- */

static void ended_sys(cnode_proc *p, int status, etf_view result, void *data) {
    (void)data;
    mesh_of(cnode_of(p))->answered++;
    if (status == 0 && etf_match(result, "ok") == 0)
        fail_msg("it says that it obeys");
}

/* Each exit signal that another node can send, and what sys:terminate does. */
static void attack(mesh *m, cnode_proc *a, const char *name) {
    cnode_proc *target = cnode_whereis(mesh_cnode(m, 1), name);
    cnode_call_opts sys = {
        .node = "b@h", .server = name, .form = CNODE_CALL_SYS};
    cnode_proc *linked;
    etf_pid pid;

    NEED(m, target);
    pid = cnode_self(target);
    OK(m, cnode_send_exit(a, &pid, "oops"));
    OK(m, cnode_send_exit(a, &pid, "normal"));
    OK(m, cnode_send_exit(a, &pid, "kill"));
    NEED(m, linked = mesh_proc(m, 0, "linked"));
    OK(m, cnode_link(linked, &pid));
    mesh_settle(m);
    /* It ends when the link cannot be made. */
    NEED(m, cnode_whereis(mesh_cnode(m, 0), "linked"));
    OK(m, cnode_exit(linked, "kill"));
    ASK(m, cnode_call(a, &sys, ended_sys, NULL, "{terminate, oops}"));
    ASK(m, cnode_call(a, &sys, ended_sys, NULL, "suspend"));
    mesh_advance(m, 6000);
    WANT(m, cnode_whereis(mesh_cnode(m, 1), name) == target && !target->ended);
    WANT(m, target->extra == NULL || !target->extra->suspended);
}

static void outlast_signals(mesh *m) {
    static const char *const names[] = {
        "net_kernel",         "rex", "user", "logger_proxy",
        "global_name_server", "pg"};
    const cnode_config visible = {.visible = true};
    cnode_proc *a;
    cnode_pg *pg;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &visible));
    OK(m, cnode_pg_start(mesh_cnode(m, 1), NULL, &pg));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        attack(m, a, names[i]);
}

/* Whoever is to end ends, with or without memory for the reason. */
static void ends_without_memory(mesh *m) {
    cnode_proc *p;
    char text[2000];
    etf_view big = {(const uint8_t *)text, sizeof text};

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, p = mesh_proc(m, 0, "p"));
    memset(text, 'x', sizeof text);
    assert_int_equal(cnode_exit(p, "~b", big), 0);
    mesh_settle(m);
    assert_non_null(strstr(m->said, "p: ended "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(sends_by_name),
        MESH_CASE(tells_the_sender),
        MESH_CASE(sends_by_pid),
        MESH_CASE(sends_here),
        MESH_CASE(refuses_bad_sends),
        MESH_CASE(names),
        MESH_CASE(keeps_mail),
        MESH_CASE(mailbox_drops_the_new),
        MESH_CASE(mailbox_drops_the_oldest),
        MESH_CASE(mailbox_spares_what_was_told),
        cmocka_unit_test(mailbox_spares_much),
        MESH_CASE(mailbox_ends_its_process),
        cmocka_unit_test(mailbox_ends_of_what_is_told),
        MESH_CASE(mailbox_overflows),
        MESH_CASE(older_program),
        MESH_CASE(mail_waits_for_a_behaviour),
        MESH_CASE(ends_in_its_callback),
        MESH_CASE(asks_nothing_after_its_end),
        MESH_CASE(nothing_begins_while_it_closes),
        MESH_CASE(exit_signals),
        MESH_CASE(traps_as_messages),
        MESH_CASE(outlast_signals),
        MESH_CASE(timers),
        MESH_CASE(sends_from_elsewhere),
        cmocka_unit_test(many_end),
        cmocka_unit_test(large_messages),
        cmocka_unit_test(idle_ones_are_small),
        cmocka_unit_test(messages_take_no_memory),
        MESH_CASE(ends_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
