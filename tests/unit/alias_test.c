/* SPDX-License-Identifier: Apache-2.0
 *
 * Aliases of monitors in every mode, what goes through them with priority, and
 * exit signals to them.
 */
#include <string.h>

#include "tests/unit/mesh.h"

#define BOTH(m)                                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL))

static int watch(cnode_proc *p, cnode_alias_mode mode, etf_ref *ref) {
    const cnode_monitor_opts o = {.node = "b@h", .name = "bob", .alias = mode};
    return cnode_monitor_with(p, &o, ref);
}

static size_t watches_of(mesh *m, int i) {
    mesh_settle(m);
    return mesh_cnode(m, i)->watches.count;
}

/* As long as the monitor: then neither of them is left. */
static void ends_with_the_monitor(mesh *m) {
    cnode_proc *a, *b;
    etf_ref ref, other;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, watch(a, CNODE_ALIAS_DEMONITOR, &ref));
    OK(m, watch(a, CNODE_ALIAS_DEMONITOR, &other));
    OK(m, cnode_send_alias(b, &ref, "one"));
    OK(m, cnode_send_alias(b, &ref, "two"));
    SAID(m, "alice: one\nalice: two");
    WANT(m, watches_of(m, 1) == 2);
    OK(m, cnode_demonitor(a, &ref));
    OK(m, cnode_send_alias(b, &ref, "three"));
    SAID(m, "");
    WANT(m, cnode_unalias(a, &ref) == CN_ENOENT);
    OK(m, cnode_exit(b, "bye"));
    SAID(m, "bob: ended bye\nalice: down bye");
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, cnode_send_alias(b, &other, "four"));
    SAID(m, "");
    assert_int_equal(mesh_cnode(m, 0)->waiters.count, 0);
}

/* Until it is taken back, before and after the monitor's end. */
static void outlives_the_monitor(mesh *m) {
    cnode_proc *a, *b;
    etf_ref ref, other;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, watch(a, CNODE_ALIAS_EXPLICIT, &ref));
    OK(m, watch(a, CNODE_ALIAS_EXPLICIT, &other));
    OK(m, cnode_demonitor(a, &ref));
    WANT(m, cnode_demonitor(a, &ref) == CN_ENOENT);
    WANT(m, watches_of(m, 1) == 1);
    OK(m, cnode_send_alias(b, &ref, "one"));
    SAID(m, "alice: one");
    OK(m, cnode_exit(b, "bye"));
    SAID(m, "bob: ended bye\nalice: down bye");
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, cnode_send_alias(b, &other, "two"));
    SAID(m, "alice: two");
    OK(m, cnode_unalias(a, &ref));
    OK(m, cnode_unalias(a, &other));
    OK(m, cnode_send_alias(b, &ref, "three"));
    OK(m, cnode_send_alias(b, &other, "four"));
    SAID(m, "");
    assert_int_equal(mesh_cnode(m, 0)->waiters.count, 0);
}

/* The first message is the answer: no DOWN after it. */
static void ends_with_the_answer(mesh *m) {
    cnode_proc *a, *b;
    etf_ref ref;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, watch(a, CNODE_ALIAS_REPLY_DEMONITOR, &ref));
    mesh_settle(m);
    OK(m, cnode_send_alias(b, &ref, "one"));
    OK(m, cnode_send_alias(b, &ref, "two"));
    SAID(m, "alice: one");
    WANT(m, watches_of(m, 1) == 0);
    OK(m, cnode_exit(b, "bye"));
    SAID(m, "bob: ended bye");
    assert_int_equal(mesh_cnode(m, 0)->waiters.count, 0);
}

static void only_the_alias_is_taken_back(mesh *m) {
    cnode_proc *a, *b;
    etf_ref ref;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, watch(a, CNODE_ALIAS_EXPLICIT, &ref));
    OK(m, cnode_unalias(a, &ref));
    WANT(m, cnode_unalias(a, &ref) == CN_ENOENT);
    OK(m, cnode_send_alias(b, &ref, "one"));
    mesh_settle(m);
    OK(m, cnode_exit(b, "bye"));
    SAID(m, "bob: ended bye\nalice: down bye");
}

static etf_ref kept_alias;

static void on_down_unalias(cnode_proc *p, const cnode_down *d, void *data) {
    (void)data;
    if (cnode_unalias(p, &kept_alias) != 0)
        mesh_of(cnode_of(p))->noticed = true;
    /* What it was lent is still there. */
    mesh_say_term(mesh_of(cnode_of(p)), "item", "", d->item);
}

static void is_taken_back_while_it_tells(mesh *m) {
    static const cnode_proc_config c = {.on_down = on_down_unalias};
    cnode_proc *a, *b;

    BOTH(m);
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &a));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, watch(a, CNODE_ALIAS_EXPLICIT, &kept_alias));
    mesh_settle(m);
    OK(m, cnode_exit(b, "bye"));
    SAID(m, "bob: ended bye\nitem: {bob,b@h}");
    assert_int_equal(mesh_cnode(m, 0)->waiters.count, 0);
}

/* noconnection ends both, or only the monitor. */
static void is_lost_with_the_connection(mesh *m) {
    cnode_proc *a, *b;
    etf_ref kept, gone;

    BOTH(m);
    NEED(m, a = mesh_proc(m, 0, "alice"));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    OK(m, watch(a, CNODE_ALIAS_EXPLICIT, &kept));
    OK(m, watch(a, CNODE_ALIAS_REPLY_DEMONITOR, &gone));
    mesh_settle(m);
    mesh_break(m, 0);
    SAID(m, "alice: down noconnection\nalice: down noconnection");
    OK(m, cnode_send_alias(b, &kept, "one"));
    OK(m, cnode_send_alias(b, &gone, "two"));
    SAID(m, "alice: one");
}

static void has_a_tag_of_its_own(mesh *m) {
    static const cnode_proc_config box = {.name = "box"};
    static const uint8_t tag[] = {104, 2, 119, 1, 't', 97, 7};
    cnode_monitor_opts o = {.node = "b@h", .name = "nobody"};
    cnode_proc *a;
    cnode_msg msg;
    etf_ref ref, told;
    etf_pid self;

    BOTH(m);
    OK(m, cnode_spawn(mesh_cnode(m, 0), &box, &a));
    o.tag = (etf_view){tag, sizeof tag};
    OK(m, cnode_monitor_with(a, &o, &ref));
    mesh_settle(m);
    WANT(m, cnode__take(a, &msg) &&
                etf_match(msg.term,
                          "{{t, 7}, ~r, process, {nobody, 'b@h'}, noproc}",
                          &told) == 0);
    assert_true(etf_ref_eq(&ref, &told));
    self = cnode_self(a);
    o.pid = &self;
    WANT(m, cnode_monitor_with(a, &o, &ref) == CN_EBADARG);
    o.pid = NULL;
    o.name = NULL;
    WANT(m, cnode_monitor_with(a, &o, &ref) == CN_EBADARG);
}

/* --- priority ------------------------------------------------------------ */

static const char *read_all(cnode_proc *p) {
    static char all[512];
    size_t len = 0;
    cnode_msg msg;

    all[0] = '\0';
    while (cnode__take(p, &msg)) {
        etf_view reason;
        if (etf_match(msg.term, "{'EXIT', _, ~t}", &reason) == 0 ||
            etf_match(msg.term, "{'DOWN', _, _, _, ~t}", &reason) == 0)
            msg.term = reason;
        (void)etf_print(msg.term, all + len, sizeof all - len - 1);
        len = strlen(all);
        memcpy(all + len++, " ", 2);
    }
    return all;
}

static void goes_before_others(mesh *m) {
    static const cnode_proc_config box = {.name = "box", .trap_exit = true};
    cnode_monitor_opts o = {.node = "b@h", .name = "bob", .priority = true};
    cnode_proc *a, *b;
    etf_ref plain, first;
    etf_pid to;

    BOTH(m);
    OK(m, cnode_spawn(mesh_cnode(m, 0), &box, &a));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    to = cnode_self(a);
    OK(m, cnode_alias_with(a, 0, &plain));
    OK(m, cnode_alias_with(a, CNODE_ALIAS_PRIORITY, &first));
    OK(m, cnode_monitor_with(a, &o, NULL));
    mesh_settle(m);
    OK(m, cnode_send(b, &to, "a"));
    OK(m, cnode_send_priority(b, &first, "b"));
    OK(m, cnode_send_alias(b, &first, "c"));
    OK(m, cnode_send_priority(b, &plain, "d"));
    OK(m, cnode_send_priority(b, &first, "e"));
    OK(m, cnode_exit_alias(b, &first, true, "f"));
    OK(m, cnode_exit_alias(b, &first, false, "g"));
    OK(m, cnode_exit_alias(b, &plain, true, "h"));
    OK(m, cnode_exit(b, "i"));
    mesh_settle(m);
    WANT(m, strcmp(read_all(a), "b e f i a c d g h ") == 0);
}

/* Here too, and when the sender's mailbox is emptied in between. */
static void goes_before_others_here(mesh *m) {
    static const cnode_proc_config box = {.name = "box"};
    cnode_proc *a, *b;
    cnode_msg msg;
    etf_ref first;
    etf_pid to;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &box, &a));
    NEED(m, b = mesh_proc(m, 0, "bob"));
    to = cnode_self(a);
    OK(m,
       cnode_alias_with(a, CNODE_ALIAS_PRIORITY | CNODE_ALIAS_REPLY, &first));
    OK(m, cnode_send(b, &to, "a"));
    OK(m, cnode_send_priority(b, &first, "b"));
    OK(m, cnode_send_priority(b, &first, "lost"));
    mesh_settle(m);
    WANT(m, cnode__take(a, &msg) && etf_match(msg.term, "b") == 0);
    OK(m, cnode_alias_with(a, CNODE_ALIAS_PRIORITY, &first));
    OK(m, cnode_send_priority(b, &first, "c"));
    OK(m, cnode_send(b, &to, "d"));
    mesh_settle(m);
    WANT(m, strcmp(read_all(a), "c a d ") == 0);
    OK(m, cnode_send(b, &to, "e"));
    mesh_settle(m);
    WANT(m, strcmp(read_all(a), "e ") == 0);
}

/* --- exits --------------------------------------------------------------- */

/* An alias that is used up by a message is not by an exit signal. */
static void takes_exit_signals(mesh *m) {
    static const cnode_proc_config box = {.name = "box", .trap_exit = true};
    cnode_proc *a, *b, *c;
    etf_ref once, mortal, old;

    BOTH(m);
    OK(m, cnode_spawn(mesh_cnode(m, 0), &box, &a));
    NEED(m, b = mesh_proc(m, 1, "bob"));
    NEED(m, c = mesh_proc(m, 0, "carol"));
    OK(m, cnode_alias(a, true, &once));
    OK(m, cnode_alias(a, true, &old));
    OK(m, cnode_unalias(a, &old));
    OK(m, cnode_alias(c, false, &mortal));
    OK(m, cnode_exit_alias(b, &once, false, "one"));
    OK(m, cnode_exit_alias(b, &old, false, "lost"));
    OK(m, cnode_send_alias(b, &once, "two"));
    OK(m, cnode_send_alias(b, &once, "lost"));
    mesh_settle(m);
    WANT(m, strcmp(read_all(a), "one two ") == 0);
    OK(m, cnode_exit_alias(b, &mortal, false, "bye"));
    SAID(m, "carol: ended bye");
}

static void not_to_old_nodes(mesh *m) {
    mesh_raw *r;
    cnode_proc *a;
    etf_ref alias;
    int err;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    r = mesh_play(m, 0, "old@h");
    r->lacks = CNODE_FLAG_ALTACT_SIG;
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    alias = mesh_raw_ref(r, 1);
    err = cnode_exit_alias(a, &alias, true, "bye");
    OK(m, err == CN_ENOTSUP ? 0 : err);
    WANT(m, err == CN_ENOTSUP);
    OK(m, cnode_send_priority(a, &alias, "one"));
    WANT(m, r->last == CNODE_SIG_ALIAS_SEND && strcmp(r->term, "one") == 0);
    WANT(m, strncmp(r->text, "ALIAS_SEND ", 11) == 0);
}

static void newer_nodes_say_it_in_one_way(mesh *m) {
    mesh_raw *r;
    cnode_proc *a;
    etf_ref alias;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    r = mesh_play(m, 0, "new@h");
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    alias = mesh_raw_ref(r, 1);
    OK(m, cnode_send_priority(a, &alias, "one"));
    WANT(m, strstr(r->text, "ALTACT_SIG_SEND priority") != NULL);
    OK(m, cnode_exit_alias(a, &alias, true, "bye"));
    WANT(m, strstr(r->text, "ALTACT_SIG_SEND exit priority") != NULL);
    WANT(m, strcmp(r->term, "bye") == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(ends_with_the_monitor),
        MESH_CASE(outlives_the_monitor),
        MESH_CASE(ends_with_the_answer),
        MESH_CASE(only_the_alias_is_taken_back),
        MESH_CASE(is_taken_back_while_it_tells),
        MESH_CASE(is_lost_with_the_connection),
        MESH_CASE(has_a_tag_of_its_own),
        MESH_CASE(goes_before_others),
        MESH_CASE(goes_before_others_here),
        MESH_CASE(takes_exit_signals),
        MESH_CASE(not_to_old_nodes),
        MESH_CASE(newer_nodes_say_it_in_one_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
