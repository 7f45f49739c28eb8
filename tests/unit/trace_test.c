/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace tokens and group leaders: what a process is given by the signals that
 * come to it, and hands on with those that it sends.
 */
#include <string.h>

#include "tests/unit/mesh.h"

/* {0, label, Serial, <peer@h.7.0>, 0} */
static etf_view token_of(const mesh_raw *r, int serial) {
    static etf_writer w;
    static uint8_t buf[256];
    etf_pid from = mesh_raw_pid(r, 7);
    etf_view out = {NULL, 0};

    etf_writer_init_fixed(&w, buf, sizeof buf);
    (void)etf_pack(&w, "{1, {my, label}, ~i, ~p, 2}", serial, &from);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    return out;
}

/* What the process 1 of node a says with this serial after that one. */
static bool token_is(const mesh_raw *r, uint64_t number, int serial, int last) {
    char want[128];

    (void)snprintf(want, sizeof want, "{1,{my,label},%d,#Pid<a@h.%d.0.%u>,%d}",
                   serial, (int)number, mesh_cnode(r->mesh, 0)->creation, last);
    return strcmp(r->token, want) == 0;
}

static void send_traced(mesh_raw *r, cnode_signal signal, const etf_pid *to,
                        const char *text, int serial) {
    uint8_t buf[64];
    cnode_ctrl c = {.signal = signal};

    c.from = mesh_raw_pid(r, 7);
    c.to = *to;
    c.term = cnode__atom(text, buf, sizeof buf);
    if (serial > 0)
        c.token = token_of(r, serial);
    if (r->conn != NULL)
        mesh_raw_send(r, &c);
}

/* Answers everything twice. */
static void on_message(cnode_proc *p, const cnode_msg *m, void *data) {
    etf_pid to = *m->from;

    (void)data;
    if (cnode_send(p, &to, "{answer, ~t}", m->term) != 0)
        mesh_of(cnode_of(p))->noticed = true;
}

static void goes_on_with_what_is_sent(mesh *m) {
    static const cnode_proc_config c = {.name = "echo",
                                        .on_message = on_message};
    cnode_proc *p;
    mesh_raw *r;
    etf_pid self, far;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &p));
    r = mesh_play(m, 0, "r@h");
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    self = cnode_self(p);
    far = mesh_raw_pid(r, 9);
    send_traced(r, CNODE_SIG_SEND, &self, "one", 41);
    WANT(m, strcmp(r->term, "{answer,one}") == 0);
    WANT(m, token_is(r, p->number, 42, 41));
    /* until something else is received */
    OK(m, cnode_send(p, &far, "more"));
    WANT(m, strcmp(r->term, "more") == 0 && token_is(r, p->number, 43, 41));
    OK(m, cnode_send_name(p, "r@h", "x", "even"));
    WANT(m, strcmp(r->term, "even") == 0 && token_is(r, p->number, 44, 41));
    OK(m, cnode_send_exit(p, &far, "exit")); /* as in Erlang, without */
    WANT(m, strcmp(r->term, "exit") == 0 && r->token[0] == '\0');
    send_traced(r, CNODE_SIG_SEND, &self, "two", 0);
    WANT(m, strcmp(r->term, "{answer,two}") == 0 && r->token[0] == '\0');
    /* an older serial does not set the clock back */
    send_traced(r, CNODE_SIG_SEND, &self, "three", 5);
    WANT(m, strcmp(r->term, "{answer,three}") == 0);
    WANT(m, token_is(r, p->number, 45, 5));
}

static void goes_through_a_mailbox(mesh *m) {
    static const cnode_proc_config c = {.name = "box"};
    cnode_proc *p;
    mesh_raw *r;
    etf_pid self, far;
    cnode_msg msg;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &p));
    r = mesh_play(m, 0, "r@h");
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    self = cnode_self(p);
    far = mesh_raw_pid(r, 9);
    send_traced(r, CNODE_SIG_SEND, &self, "one", 41);
    send_traced(r, CNODE_SIG_SEND, &self, "two", 0);
    mesh_settle(m);
    OK(m, cnode_send(p, &far, "before")); /* it is received when it is taken */
    WANT(m, strcmp(r->term, "before") == 0 && r->token[0] == '\0');
    WANT(m, cnode__take(p, &msg) && etf_match(msg.term, "one") == 0);
    assert_true(msg.from != NULL && strcmp(msg.peer, "r@h") == 0);
    OK(m, cnode_send(p, &far, "one"));
    WANT(m, strcmp(r->term, "one") == 0 && token_is(r, p->number, 42, 41));
    WANT(m, cnode__take(p, &msg) && etf_match(msg.term, "two") == 0);
    OK(m, cnode_send(p, &far, "two"));
    WANT(m, strcmp(r->term, "two") == 0 && r->token[0] == '\0');
}

/* From here to here, and on to the peer; a timer ends it. */
static void relay(cnode_proc *p, const cnode_msg *m, void *data) {
    (void)m;
    if (cnode_send(p, data, "through") != 0)
        mesh_of(cnode_of(p))->noticed = true;
}

static void late(cnode_proc *p, void *arg) {
    if (cnode_send(p, arg, "late") != 0)
        mesh_of(cnode_of(p))->noticed = true;
}

static void goes_from_process_to_process(mesh *m) {
    static etf_pid far, second;
    cnode_proc_config c = {.on_message = relay};
    cnode_proc *p, *q;
    mesh_raw *r;
    etf_pid self;

    OK(m, mesh_start(m, 0, NULL));
    c.data = &far;
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &q));
    second = cnode_self(q);
    c.data = &second;
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &p));
    self = cnode_self(p);
    r = mesh_play(m, 0, "r@h");
    far = mesh_raw_pid(r, 9);
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    send_traced(r, CNODE_SIG_SEND, &self, "one", 41);
    WANT(m, strcmp(r->term, "through") == 0 && token_is(r, q->number, 43, 42));
    OK(m, cnode_after(q, 10, late, &far));
    mesh_advance(m, 20);
    WANT(m, strcmp(r->term, "late") == 0 && r->token[0] == '\0');
}

static void goes_on_to_links(mesh *m) {
    static const cnode_proc_config c = {.name = "mortal"};
    cnode_proc *p;
    mesh_raw *r;
    etf_pid self, far;
    uint64_t number;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &p));
    number = p->number;
    r = mesh_play(m, 0, "r@h");
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    self = cnode_self(p);
    far = mesh_raw_pid(r, 9);
    OK(m, cnode_link(p, &far));
    send_traced(r, CNODE_SIG_LINK, &self, "", 0);
    mesh_settle(m);
    send_traced(r, CNODE_SIG_EXIT, &self, "bye", 6);
    WANT(m, r->last == CNODE_SIG_EXIT && strcmp(r->term, "bye") == 0);
    WANT(m, token_is(r, number, 7, 6));
}

/* A trace goes to what is spawned and back; its group leader goes along. */
static cnode_proc *spawned;

static int function(cnode_proc *self, etf_view args, etf_writer *w,
                    void *data) {
    (void)args;
    (void)w;
    (void)data;
    spawned = self;
    return CNODE_LATER;
}

static void goes_on_to_what_is_spawned(mesh *m) {
    static const uint8_t nil[] = {106};
    static const cnode_spawn_opts o = {
        .node = "r@h", .module = "m", .function = "f"};
    cnode_ctrl c = {.signal = CNODE_SIG_SPAWN_REQUEST};
    mesh_raw *r;
    etf_pid leader, want, self;

    spawned = NULL;
    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_export(mesh_cnode(m, 0), "m", "f", 0, function, NULL));
    r = mesh_play(m, 0, "r@h");
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    c.from = mesh_raw_pid(r, 7);
    c.group_leader = want = mesh_raw_pid(r, 8);
    c.ref = mesh_raw_ref(r, 1);
    c.module = (etf_view){(const uint8_t *)"m", 1};
    c.function = (etf_view){(const uint8_t *)"f", 1};
    c.opts = c.term = (etf_view){nil, 1};
    c.token = token_of(r, 4);
    mesh_raw_send(r, &c);
    WANT(m, r->last == CNODE_SIG_SPAWN_REPLY && spawned != NULL);
    WANT(m, token_is(r, spawned->number, 5, 4));
    leader = cnode_group_leader(spawned);
    assert_true(etf_pid_eq(&leader, &want));
    /* what it asks for has the same leader, and counts as two messages */
    OK(m, cnode_spawn_remote(spawned, &o, NULL, NULL, NULL, "[]"));
    WANT(m, r->last == CNODE_SIG_SPAWN_REQUEST);
    WANT(m, token_is(r, spawned->number, 7, 4));
    /* another one */
    self = cnode_self(spawned);
    want.id++;
    c = (cnode_ctrl){.signal = CNODE_SIG_GROUP_LEADER};
    c.from = want;
    c.to = self;
    mesh_raw_send(r, &c);
    mesh_settle(m);
    leader = cnode_group_leader(spawned);
    WANT(m, etf_pid_eq(&leader, &want));
    want.id++;
    OK(m, cnode_set_group_leader(mesh_cnode(m, 0), &self, &want));
    mesh_settle(m);
    leader = cnode_group_leader(spawned);
    WANT(m, etf_pid_eq(&leader, &want));
    OK(m, cnode_set_group_leader(mesh_cnode(m, 0), &want, &self));
    WANT(m, r->last == CNODE_SIG_GROUP_LEADER && etf_pid_eq(&r->to, &want) &&
                etf_pid_eq(&r->from, &self));
    OK(m, cnode_exit(spawned, "normal"));
}

/* No token at all, whatever its sender thinks. */
static void what_is_no_token(mesh *m) {
    static const cnode_proc_config c = {.name = "echo",
                                        .on_message = on_message};
    static const char *const bad[] = {"6a", "6101", "6804610061006100 6100",
                                      "6805 7700 7700 7700 7700 7700",
                                      "6805 61ff 6101 62ffffffff 6100 6100"};
    cnode_proc *p;
    mesh_raw *r;
    cnode_ctrl s = {.signal = CNODE_SIG_SEND};
    uint8_t bytes[64] = {0}, buf[16];

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &c, &p));
    r = mesh_play(m, 0, "r@h");
    mesh_raw_dial(r, 0);
    WANT(m, r->up);
    s.from = mesh_raw_pid(r, 7);
    s.to = cnode_self(p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r->term[0] = '\0';
        s.token = (etf_view){bytes, unhex(bad[i], bytes, sizeof bytes)};
        s.term = cnode__atom("x", buf, sizeof buf);
        mesh_raw_send(r, &s);
        WANT(m, strcmp(r->term, "{answer,x}") == 0 && r->token[0] == '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(goes_on_with_what_is_sent),
        MESH_CASE(goes_through_a_mailbox),
        MESH_CASE(goes_from_process_to_process),
        MESH_CASE(goes_on_to_links),
        MESH_CASE(goes_on_to_what_is_spawned),
        MESH_CASE(what_is_no_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
