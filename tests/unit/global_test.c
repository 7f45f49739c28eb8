/* SPDX-License-Identifier: Apache-2.0
 *
 * global_test.c: full nodes with one another, and with a peer that is played.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/global_parts.h"
#include "tests/unit/mesh.h"

static const cnode_config full = {.full = true};
static char r1[] = "r1";

static int start(mesh *m, int i) {
    int err = mesh_start(m, i, &full);

    mesh_cnode(m, i)->listens = true;
    return err;
}

#define START(m, n)                                                            \
    for (int i_ = 0; i_ < (n); i_++)                                           \
    OK(m, start(m, i_))

static void on_global(cnode *n, int status, const cn_error *err, void *data) {
    mesh *m = mesh_of(n);

    m->answered++;
    if (status != 0) {
        m->noticed = true;
        assert_true(err->text[0] != '\0');
    }
    mesh_say(m, "%s: %s", (const char *)data, cn_errname(status) + 3);
}

/* "b@h c@h", in the order of names. */
static const char *known(mesh *m, int i) {
    static char text[64];
    const char *name;

    text[0] = '\0';
    for (int k = 0; k < MESH_NODES; k++)
        for (size_t at = 0;
             (name = cnode_global_next_node(mesh_cnode(m, i), &at)) != NULL;) {
            size_t len = strlen(text);

            if (name[0] == 'a' + k)
                (void)snprintf(text + len, sizeof text - len, "%s%s",
                               len == 0 ? "" : " ", name);
        }
    return text;
}

#define KNOWN(m, i, want) WANT(m, strcmp(known(m, i), want) == 0)

static bool has(mesh *m, int i, const char *name, const cnode_proc *p) {
    etf_pid pid, want;
    int err = cnode_global_whereis(mesh_cnode(m, i), name, &pid);

    if (p == NULL)
        return err == CN_ENOENT;
    want = cnode_self(p);
    return err == 0 && etf_pid_eq(&pid, &want);
}

#define JOIN(m, from, to)                                                      \
    do {                                                                       \
        ASK(m, cnode_connect(mesh_cnode(m, from), to, mesh_connected, r1));    \
        mesh_advance(m, 8000);                                                 \
        WANT(m, strstr((m)->said, " OK") != NULL);                             \
        (m)->said[0] = '\0';                                                   \
    } while (0)

/* --- joining -------------------------------------------------------------- */

static void two_join(mesh *m) {
    START(m, 2);
    JOIN(m, 0, "b@h");
    KNOWN(m, 0, "b@h");
    KNOWN(m, 1, "a@h");
    ASK(m, cnode_global_sync(mesh_cnode(m, 0), 1000, on_global, r1));
    mesh_advance(m, 1);
    SAID(m, "r1: OK");
    mesh_break(m, 0);
    mesh_settle(m);
    KNOWN(m, 0, "");
    KNOWN(m, 1, "");
}

/* Nothing of a huge name stays, and who asks for it may be anybody. */
static void a_huge_name(mesh *m) {
    static uint8_t huge[1 << 20] = {109, 0, 15, 0xff, 0xfb};
    const cnode__global *g;
    etf_pid pid;

    START(m, 1);
    g = mesh_cnode(m, 0)->global;
    WANT(m, cnode_global_whereis_term(mesh_cnode(m, 0),
                                      etf_view_of(huge, sizeof huge),
                                      &pid) == CN_ENOENT);
    WANT(m, g->key.cap >= sizeof huge);
    WANT(m, cnode_global_whereis(mesh_cnode(m, 0), "x", &pid) == CN_ENOENT);
    WANT(m, g->key.cap <= CNODE__KEEP_TERM);
}

static void both_connect(mesh *m) {
    START(m, 2);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    JOIN(m, 1, "a@h");
    KNOWN(m, 0, "b@h");
    KNOWN(m, 1, "a@h");
}

/* Who meets one of them meets both. */
static void three_join(mesh *m) {
    START(m, 3);
    JOIN(m, 0, "b@h");
    JOIN(m, 2, "b@h");
    KNOWN(m, 0, "b@h c@h");
    KNOWN(m, 1, "a@h c@h");
    KNOWN(m, 2, "a@h b@h");
    WANT(m, cnode_connected(mesh_cnode(m, 2), "a@h"));
    for (int i = 0; i < 3; i++) {
        ASK(m, cnode_global_sync(mesh_cnode(m, i), 1000, on_global, r1));
        mesh_advance(m, 1);
        SAID(m, "r1: OK");
    }
}

/* All at once: they get the locks one after the other. */
static void three_at_once(mesh *m) {
    START(m, 3);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    ASK(m, cnode_connect(mesh_cnode(m, 1), "c@h", mesh_connected, r1));
    JOIN(m, 2, "a@h");
    mesh_advance(m, 20000);
    KNOWN(m, 0, "b@h c@h");
    KNOWN(m, 1, "a@h c@h");
    KNOWN(m, 2, "a@h b@h");
}

/* A visible node that is not full stays outside, a hidden one is not asked. */
static void with_others(mesh *m) {
    static const cnode_config visible = {.visible = true};

    OK(m, start(m, 0));
    OK(m, mesh_start(m, 1, &visible));
    OK(m, mesh_start(m, 2, NULL));
    JOIN(m, 0, "b@h");
    JOIN(m, 0, "c@h");
    KNOWN(m, 0, "");
    ASK(m, cnode_global_sync(mesh_cnode(m, 0), 1000, on_global, r1));
    mesh_advance(m, 1);
    SAID(m, "r1: OK");
    WANT(m,
         cnode_global_sync(mesh_cnode(m, 1), 1, on_global, r1) == CN_ENOTSUP);
    WANT(m, strstr(cnode_error(mesh_cnode(m, 1))->text, "b@h") != NULL);
}

/* --- names ---------------------------------------------------------------- */

#define REGISTER(m, p, name, opts)                                             \
    do {                                                                       \
        ASK(m, cnode_global_register(p, name, opts, on_global, r1));           \
        mesh_advance(m, 9000);                                                 \
    } while (0)

static void names(mesh *m) {
    static const cnode_global_opts replace = {.replace = true};
    cnode_proc *p, *q;

    START(m, 2);
    JOIN(m, 0, "b@h");
    NEED(m, p = mesh_proc(m, 0, "p"));
    NEED(m, q = mesh_proc(m, 1, "q"));
    REGISTER(m, p, "x", NULL);
    SAID(m, "r1: OK");
    WANT(m, has(m, 0, "x", p) && has(m, 1, "x", p));
    REGISTER(m, q, "x", NULL);
    SAID(m, "r1: EEXIST");
    WANT(m, cnode_global_register(p, "y", NULL, on_global, r1) == CN_EEXIST);
    OK(m, cnode_global_send(q, "x", "{hello, ~i}", 1));
    SAID(m, "p: {hello,1}");
    WANT(m, cnode_global_send(q, "y", "hello") == CN_ENOENT);
    REGISTER(m, q, "x", &replace);
    SAID(m, "r1: OK");
    WANT(m, has(m, 0, "x", q) && has(m, 1, "x", q));
    ASK(m, cnode_global_unregister(mesh_cnode(m, 0), "x", on_global, r1));
    mesh_advance(m, 9000);
    SAID(m, "r1: OK");
    WANT(m, has(m, 0, "x", NULL) && has(m, 1, "x", NULL));
}

/* The name goes with its process, and with its node. */
static void names_go(mesh *m) {
    cnode_proc *p, *q;

    START(m, 2);
    JOIN(m, 0, "b@h");
    NEED(m, p = mesh_proc(m, 0, "p"));
    NEED(m, q = mesh_proc(m, 1, "q"));
    ASK(m, cnode_global_register(p, "x", NULL, on_global, r1));
    REGISTER(m, q, "y", NULL);
    SAID(m, "r1: OK\nr1: OK");
    WANT(m, has(m, 1, "x", p) && has(m, 0, "y", q));
    OK(m, cnode_exit(p, "normal"));
    SAID(m, "p: ended normal");
    WANT(m, has(m, 0, "x", NULL) && has(m, 1, "x", NULL));
    mesh_break(m, 1);
    mesh_settle(m);
    WANT(m, has(m, 0, "y", NULL) && has(m, 1, "y", q));
    /* One that ends before its turn. */
    NEED(m, p = mesh_proc(m, 0, "r"));
    ASK(m, cnode_global_register(p, "z", NULL, on_global, r1));
    OK(m, cnode_exit(p, "normal"));
    mesh_advance(m, 9000);
    SAID(m, "r1: ENOPROC\nr: ended normal");
}

/* While it takes the lock it is lost by all, and finds its way back: nobody
 * gets a name from it that the others do not get too. */
static void lost_while_it_registers(mesh *m) {
    cnode_proc *p;

    START(m, 3);
    JOIN(m, 0, "c@h");
    JOIN(m, 1, "c@h");
    NEED(m, p = mesh_proc(m, 0, "p"));
    mesh_stall(m, 2, true); /* whom all ask first */
    ASK(m, cnode_global_register(p, "x", NULL, on_global, r1));
    mesh_settle(m);
    mesh_break(m, 0);
    mesh_settle(m);
    mesh_stall(m, 2, false);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, r1));
    mesh_advance(m, 60000);
    KNOWN(m, 0, "b@h c@h");
    KNOWN(m, 2, "a@h b@h");
    WANT(m, has(m, 0, "x", p) && has(m, 1, "x", p) && has(m, 2, "x", p));
    m->said[0] = '\0';
}

/* However many and long they are. */
static void names_are_bounded(mesh *m) {
    const size_t others = (size_t)512 * 1024 * 1024;
    cnode__global *gl;
    cnode_proc *p;

    START(m, 1);
    NEED(m, p = mesh_proc(m, 0, "p"));
    gl = mesh_cnode(m, 0)->global;
    gl->name_bytes += others; /* as if there were more */
    REGISTER(m, p, "x", NULL);
    SAID(m, "r1: ELIMIT");
    WANT(m, strstr(m->nodes[0].log, "too many names") != NULL);
    gl->name_bytes -= others;
    REGISTER(m, p, "x", NULL);
    SAID(m, "r1: OK");
    WANT(m, gl->name_bytes > 0);
    ASK(m, cnode_global_unregister(mesh_cnode(m, 0), "x", on_global, r1));
    mesh_advance(m, 9000);
    SAID(m, "r1: OK");
    WANT(m, gl->name_bytes == 0);
}

/* Nor do those that wait to be changed. */
static void changes_are_bounded(mesh *m) {
    const size_t others = (size_t)64 * 1024 * 1024;
    cnode__global *gl;
    cnode_proc *p;

    START(m, 1);
    NEED(m, p = mesh_proc(m, 0, "p"));
    gl = mesh_cnode(m, 0)->global;
    gl->change_bytes += others; /* as if there were more */
    WANT(m, cnode_global_register(p, "x", NULL, on_global, r1) == CN_ELIMIT);
    gl->change_bytes -= 100; /* what one takes is more than its name */
    WANT(m, cnode_global_register(p, "x", NULL, on_global, r1) == CN_ELIMIT);
    gl->change_bytes -= others - 100;
    REGISTER(m, p, "x", NULL);
    SAID(m, "r1: OK");
    WANT(m, gl->change_bytes == 0);
}

/* One of the nodes has no room for it: nobody has it then. */
static void no_room_elsewhere(mesh *m) {
    const size_t others = (size_t)512 * 1024 * 1024;
    static const cnode_global_opts replace = {.replace = true};
    cnode__global *gl;
    cnode_proc *p, *q;

    START(m, 2);
    JOIN(m, 0, "b@h");
    NEED(m, p = mesh_proc(m, 0, "p"));
    NEED(m, q = mesh_proc(m, 0, "q"));
    gl = mesh_cnode(m, 1)->global;
    gl->name_bytes += others; /* as if there were more */
    REGISTER(m, p, "x", NULL);
    SAID(m, "r1: ELIMIT");
    WANT(m, has(m, 0, "x", NULL) && has(m, 1, "x", NULL));
    gl->name_bytes -= others;
    REGISTER(m, p, "x", NULL);
    SAID(m, "r1: OK");
    WANT(m, has(m, 0, "x", p) && has(m, 1, "x", p));
    gl->name_bytes += others;
    REGISTER(m, q, "x", &replace);
    SAID(m, "r1: ELIMIT");
    WANT(m, has(m, 0, "x", NULL) && has(m, 1, "x", NULL));
    gl->name_bytes -= others;
}

/* --- conflicts ------------------------------------------------------------ */

#define BOTH_HAVE(m, p, q, opts)                                               \
    do {                                                                       \
        START(m, 2);                                                           \
        NEED(m, (p) = mesh_proc(m, 0, "p"));                                   \
        NEED(m, (q) = mesh_proc(m, 1, "q"));                                   \
        ASK(m, cnode_global_register(p, "x", opts, on_global, r1));            \
        ASK(m, cnode_global_register(q, "x", opts, on_global, r1));            \
        mesh_advance(m, 9000);                                                 \
        SAID(m, "r1: OK\nr1: OK");                                             \
        ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r1));    \
        mesh_advance(m, 8000);                                                 \
    } while (0)

static void one_is_killed(mesh *m) {
    cnode_proc *p, *q;

    BOTH_HAVE(m, p, q, NULL);
    SAID(m, "r1: a@h OK\nq: ended killed");
    WANT(m, has(m, 0, "x", p) && has(m, 1, "x", p));
    KNOWN(m, 0, "b@h");
}

static void one_is_told(mesh *m) {
    static const cnode_global_opts notify = {.method = CNODE_GLOBAL_NOTIFY};
    cnode_proc *p, *q;

    BOTH_HAVE(m, p, q, &notify);
    SAID(m, "r1: a@h OK\nq: {global_name_conflict,x}");
    WANT(m, has(m, 0, "x", p) && has(m, 1, "x", p));
}

static void both_are_told(mesh *m) {
    static const cnode_global_opts all = {.method = CNODE_GLOBAL_NOTIFY_ALL};
    cnode_proc *p, *q;

    BOTH_HAVE(m, p, q, &all);
    WANT(m, strstr(m->said, "p: {global_name_conflict,x,#Pid<b@h") != NULL);
    WANT(m, strstr(m->said, "q: {global_name_conflict,x,#Pid<a@h") != NULL);
    m->said[0] = '\0';
    WANT(m, has(m, 0, "x", NULL) && has(m, 1, "x", NULL));
    KNOWN(m, 0, "b@h");
}

/* --- a played server ------------------------------------------------------ */

static const cnode_call_opts at_a = {.node = "a@h",
                                     .server = "global_name_server"};

/* A node is visible, and what comes to its server is written down. */
static int play_at(mesh *m, int i, cnode_proc **out) {
    static const cnode_config visible = {.visible = true};
    static char who[] = "gns";
    cnode_proc_config c = mesh_observer;
    int err = mesh_start(m, i, &visible);

    if (err != 0)
        return err;
    (void)cnode_exit(cnode_whereis(mesh_cnode(m, i), "global_name_server"),
                     "normal");
    mesh_settle(m);
    c.name = "global_name_server";
    c.data = who;
    return cnode_spawn(mesh_cnode(m, i), &c, out);
}

static int play(mesh *m, cnode_proc **out) {
    return play_at(m, 1, out);
}

/* Connected, with a's tag number `tag`. */
#define MEET(m, tag)                                                           \
    do {                                                                       \
        ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r1));    \
        WANT(m, strstr((m)->said, "gns: cast {init_connect,{8," tag            \
                                  "},a@h,{locker,") != NULL);                  \
        (m)->said[0] = '\0';                                                   \
    } while (0)

#define GREET(m, g, his)                                                       \
    do {                                                                       \
        etf_pid locker_ = cnode_self(g);                                       \
        OK(m, cnode_cast(g, &at_a,                                             \
                         "{init_connect, {8, ~i}, 'b@h', {locker, x, #{}, "    \
                         "~p}}",                                               \
                         his, &locker_));                                      \
    } while (0)

/* Tags that do not fit: both begin anew. */
static void out_of_step(mesh *m) {
    cnode_proc *g;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    MEET(m, "1");
    GREET(m, g, 5);
    SAID(m, "gns: {init_connect_ack,a@h,5,1}");
    /* It has forgotten its first. */
    GREET(m, g, 6);
    mesh_settle(m);
    WANT(m, strstr(m->said, "gns: {cancel_connect,a@h,6}\n"
                            "gns: {cancel_connect,a@h,5}\n"
                            "gns: cast {init_connect,{8,2},a@h,") != NULL);
    m->said[0] = '\0';
    GREET(m, g, 7);
    SAID(m, "gns: {init_connect_ack,a@h,7,2}");
    /* The acknowledgement of something else. */
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{init_connect_ack, 'b@h', 1, 7}"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "{cancel_connect,a@h,7}") != NULL);
    WANT(m, strstr(m->said, "cast {init_connect,{8,3},a@h,") != NULL);
    m->said[0] = '\0';
    /* It cancels one that is over, and then the one that is not. */
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{cancel_connect, 'b@h', 2}"));
    SAID(m, "");
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{cancel_connect, 'b@h', 3}"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "cast {init_connect,{8,4},a@h,") != NULL);
    m->said[0] = '\0';
    /* It stays outside. */
    GREET(m, g, 8);
    SAID(m, "gns: {init_connect_ack,a@h,8,4}");
    OK(m, cnode_cast(g, &at_a, "{in_sync, 'b@h', false}"));
    mesh_advance(m, 5000);
    SAID(m, "");
    KNOWN(m, 0, "");
}

/* The other side has the locks, and then does not go on, or loses interest. */
static void gives_locks_back(mesh *m) {
    cnode_proc *g, *p;
    etf_pid self;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    NEED(m, p = mesh_proc(m, 0, "p"));
    self = cnode_self(g);
    MEET(m, "1");
    GREET(m, g, 5);
    OK(m, cnode_cast(g, &at_a, "{lock_set, ~p, true, [], 1}", &self));
    mesh_settle(m);
    WANT(m, strstr(m->said, "gns: cast {lock_set,#Pid<a@h") != NULL);
    WANT(m, strstr(m->said, "gns: cast {exchange,a@h,[],[],5}") != NULL);
    m->said[0] = '\0';
    ASK(m, cnode_global_register(p, "x", NULL, on_global, r1));
    mesh_advance(m, 3000);
    SAID(m, ""); /* it waits for the lock */
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{cancel_connect, 'b@h', 1}"));
    mesh_advance(m, 10000);
    WANT(m, strstr(m->said, "r1: OK") != NULL);
    WANT(m, has(m, 0, "x", p));
    m->said[0] = '\0';
}

static void say_true(cnode_proc *self, const cnode_from *from, etf_view request,
                     void *data) {
    (void)request, (void)data;
    if (cnode_reply(self, from, "true") != 0)
        mesh_of(cnode_of(self))->noticed = true;
}

/* Its locker has forgotten this node: it says so past the server. */
static void is_not_there(mesh *m) {
    cnode_proc_config c = mesh_observer;
    cnode_proc *g, *p;
    etf_pid self, locker;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    c.on_call = say_true;
    c.data = cnode_proc_data(g);
    OK(m, cnode_become(g, &c));
    NEED(m, p = mesh_proc(m, 0, "p"));
    self = cnode_self(g);
    MEET(m, "1");
    GREET(m, g, 5);
    mesh_advance(m, 1000);
    WANT(m, strstr(m->said, "gns: cast {lock_set,#Pid<a@h") != NULL);
    m->said[0] = '\0';
    locker = cnode_self(mesh_cnode(m, 0)->global->locker);
    WANT(m, mesh_cnode(m, 0)->global->state == LOCKER_WAITING);
    OK(m, cnode_send(g, &locker, "{lock_set, ~p, false, []}", &self));
    WANT(m, mesh_cnode(m, 0)->global->state == LOCKER_FREE);
    OK(m, cnode_disconnect(mesh_cnode(m, 1), "a@h"));
    ASK(m, cnode_global_register(p, "x", NULL, on_global, r1));
    mesh_advance(m, 1000);
    SAID(m, "r1: OK");
}

static const char *const refused[] = {
    "{init_connect, x, 'b@h', y}",
    "{init_connect, {8}, 'b@h', y}",
    "{init_connect, {8, x}, 'b@h', {locker, x, y, z}}",
    "{init_connect, {8, 1}, 'b@h', {locker, x, y, z}}",
    "{new_nodes, a, b, c, d, e}",
    "{new_nodes, 'b@h', [], [], [1], []}",
    "{new_nodes, 'b@h', [], [], ['c@h' | x], []}",
};
static const char *const ignored[] = {
    "hello",
    "{lock_set, x, true, [], 1}",
    "{exchange, 'b@h', [], [], 99}",
    "{exchange, 'b@h', [], [], x}",
    "{resolved, 'b@h', x, x, x, x, 99}",
    "{in_sync, x, y}",
    "{new_nodes, 'b@h', x, y, [], z}",
    "{new_nodes, 'b@h', [x, {insert, y}, {delete}], [x, {y}], [], []}",
    "{new_nodes, 'b@h', [], [], ['', 'a@h', nonode], [{lock, x}]}",
};

/* What no node sends ends the connection, and nothing else. */
static void nonsense(mesh *m) {
    cnode_proc *g;
    etf_pid self;

    OK(m, start(m, 0));
    OK(m, start(m, 2));
    OK(m, play(m, &g));
    JOIN(m, 2, "a@h");
    self = cnode_self(g);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        OK(m, cnode_connect(mesh_cnode(m, 1), "a@h", NULL, NULL));
        OK(m, cnode_cast(g, &at_a, refused[i]));
        WANT(m, !cnode_connected(mesh_cnode(m, 1), "a@h"));
        assert_int_equal(m->nodes[0].down_status, CN_EPROTO);
    }
    OK(m, cnode_connect(mesh_cnode(m, 1), "a@h", NULL, NULL));
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        OK(m, cnode_cast(g, &at_a, ignored[i]));
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{lost_connection, x, y, z, 'c@h'}"));
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{remove_connection, 'c@h'}"));
    WANT(m, cnode_connected(mesh_cnode(m, 1), "a@h"));
    m->said[0] = '\0';
    OK(m, cnode_disconnect(mesh_cnode(m, 1), "a@h"));
    mesh_settle(m);
    /* His names are no list. */
    OK(m, cnode_connect(mesh_cnode(m, 1), "a@h", NULL, NULL));
    mesh_settle(m);
    GREET(m, g, 5);
    OK(m, cnode_cast(g, &at_a, "{lock_set, ~p, true, [], ~i}", &self,
                     (int)mesh_cnode(m, 0)->next_conn));
    OK(m, cnode_cast(g, &at_a, "{exchange, 'b@h', [x], [], ~i}",
                     (int)mesh_cnode(m, 0)->next_conn));
    WANT(m, !cnode_connected(mesh_cnode(m, 1), "a@h"));
    m->said[0] = '\0';
    KNOWN(m, 0, "c@h");
    KNOWN(m, 2, "a@h");
}

/* There is no memory to begin with one: the other's turn comes all the same. */
static void one_cannot_be_joined(mesh *m) {
    static uint8_t small[4];
    cnode__global *gl;
    cnode_proc *b, *c;

    OK(m, start(m, 0));
    OK(m, play_at(m, 1, &b));
    OK(m, play_at(m, 2, &c));
    gl = mesh_cnode(m, 0)->global;
    MEET(m, "1");
    ASK(m, cnode_connect(mesh_cnode(m, 2), "a@h", mesh_connected, r1));
    mesh_settle(m);
    GREET(m, b, 5);
    GREET(m, c, 6);
    WANT(m, gl->candidate_count == 2);
    etf_writer_init_fixed(&gl->ops, small, sizeof small);
    for (int i = 0; i < 1000 && gl->candidate_count == 2; i++)
        mesh_advance(m, 1);
    etf_writer_init(&gl->ops, &mesh_cnode(m, 0)->alloc);
    WANT(m, gl->candidate_count == 1 && gl->state == LOCKER_FREE);
    mesh_advance(m, 1000);
    WANT(m, strstr(m->said, "gns: asked {set_lock,{global,") != NULL);
    m->said[0] = '\0';
}

/* What it has said already is kept, and not replaced. */
static void resolves_twice(mesh *m) {
    cnode_proc *g;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    MEET(m, "1");
    GREET(m, g, 5);
    mesh_settle(m);
    for (int i = 0; i < 2; i++) {
        WANT(m, cnode_connected(mesh_cnode(m, 1), "a@h"));
        OK(m, cnode_cast(g, &at_a, "{resolved, 'b@h', [], [], unused, [], 1}"));
        mesh_settle(m);
    }
    WANT(m, !cnode_connected(mesh_cnode(m, 1), "a@h"));
    WANT(m, m->nodes[0].down_status == CN_EPROTO);
    m->said[0] = '\0';
}

#define ASK_SYNC(m, g, self)                                                   \
    OK(m,                                                                      \
       cnode_send_name(g, "a@h", "global_name_server",                         \
                       "{'$gen_call', {~p, tag}, {sync, ['b@h']}}", &(self)))

/* Calls that wait, as long as they like, do not fill the memory. */
static void many_wait(mesh *m) {
    const size_t others = (size_t)1024 * 1024;
    static uint8_t bytes[5000];
    const etf_view tag = {bytes, sizeof bytes};
    cnode__global *gl;
    cnode_proc *g;
    etf_pid self;
    size_t one;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    MEET(m, "1");
    gl = mesh_cnode(m, 0)->global;
    self = cnode_self(g);
    OK(m, cnode_call(g, &at_a, NULL, NULL, "{set_lock, {global, me}}"));
    WANT(m, gl->locks.count == 1);
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{whereis, x, {~p, ~b}}", &self, tag));
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{whereis, x, {~p, tag}}", &self));
    WANT(m, gl->question_count == 1);
    ASK_SYNC(m, g, self);
    WANT(m, (one = gl->sync_bytes) > 0);
    ASK_SYNC(m, g, self);
    WANT(m, gl->sync_bytes == 2 * one);
    gl->sync_bytes += others - 3 * one + 1; /* as if there were more */
    ASK_SYNC(m, g, self);
    WANT(m, m->nodes[0].down_status == CN_ELIMIT);
    gl->sync_bytes -= others - 3 * one + 1;
    mesh_advance(m, 10000);
    WANT(m, gl->sync_bytes == 0 && gl->question_count == 0);
    m->said[0] = '\0';
}

/* Nobody locks, or unlocks, in the name of another node's process. */
static void locks_for_others(mesh *m) {
    cnode__global *gl;
    cnode_proc *g, *p;
    etf_pid other;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    NEED(m, p = mesh_proc(m, 0, "p"));
    other = cnode_self(p);
    MEET(m, "1");
    gl = mesh_cnode(m, 0)->global;
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{'$gen_call', {~p, tag}, {set_lock, {r, me}}}",
                          &other));
    SAID(m, "p: {tag,false}");
    WANT(m, strstr(m->nodes[0].log, "process of another node") != NULL);
    WANT(m, gl->locks.count == 0 && gl->owners.count == 0);
    OK(m, cnode_call(p, &at_a, NULL, NULL, "{set_lock, {r, me}}"));
    WANT(m, gl->locks.count == 1);
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{'$gen_call', {~p, tag}, {del_lock, {r, me}}}",
                          &other));
    SAID(m, "p: {tag,true}");
    WANT(m, gl->locks.count == 1);
    OK(m, cnode_call(p, &at_a, NULL, NULL, "{del_lock, {r, me}}"));
    WANT(m, gl->locks.count == 0);
}

static size_t wanted(const cnode *n, const char *node) {
    const cnode__peer *p = cn__map_get(&n->peers, node, strlen(node));
    size_t count = 0;

    if (p != NULL)
        for (const cnode__list *l = p->wants.next; l != &p->wants; l = l->next)
            count++;
    return count;
}

#define LOCKED(m, self)                                                        \
    do {                                                                       \
        OK(m, cnode_cast(g, &at_a, "{lock_set, ~p, true, [], 1}", &(self)));   \
        mesh_settle(m);                                                        \
    } while (0)

static size_t unwatched(const cnode__global *gl) {
    size_t count = 0;

    for (const cnode__list *l = gl->unwatched.next; l != &gl->unwatched;
         l = l->next)
        count++;
    return count;
}

/* Its names are of nodes that are not all connected to at once: none is lost
 * for that. */
static void names_of_many(mesh *m) {
    static const cnode_config few = {.full = true, .max_dials = 2};
    uint8_t buf[2000];
    cnode__global *gl;
    cnode_proc *g, *p;
    etf_pid self, pid;
    etf_view names;
    etf_writer w;

    OK(m, mesh_start(m, 0, &few));
    mesh_cnode(m, 0)->listens = true;
    OK(m, mesh_start(m, 2, NULL));
    OK(m, play(m, &g));
    NEED(m, p = mesh_proc(m, 2, "p"));
    self = cnode_self(g);
    gl = mesh_cnode(m, 0)->global;
    etf_writer_init_fixed(&w, buf, sizeof buf);
    etf_begin_list(&w);
    for (int i = 0; i < 6; i++) {
        pid = cnode_self(p);
        if (i != 4)
            pid.node_len =
                (uint16_t)snprintf(pid.node, sizeof pid.node, "y%d@h", i);
        (void)etf_pack(&w, "{{n, ~i}, ~p, fun global:random_exit_name/3}", i,
                       &pid);
    }
    etf_end_list(&w);
    assert_int_equal(etf_writer_finish(&w, &names), 0);
    MEET(m, "1");
    GREET(m, g, 5);
    m->nodes[0].slow = true;
    LOCKED(m, self);
    OK(m, cnode_cast(g, &at_a, "{exchange, 'b@h', ~t, [], 1}", names));
    OK(m, cnode_cast(g, &at_a, "{resolved, 'b@h', [], [], unused, [], 1}"));
    WANT(m, gl->names.count == 6 && unwatched(gl) == 4);
    /* One that is taken back meanwhile. */
    OK(m, cnode_cast(g, &at_a,
                     "{new_nodes, 'b@h', [{delete, {n, 5}}], [], [], []}"));
    WANT(m, gl->names.count == 5 && unwatched(gl) == 3);
    mesh_advance(m, 1000);
    WANT(m, gl->names.count == 5 && unwatched(gl) == 3);
    m->nodes[0].slow = false;
    mesh_advance(m, 3000);
    WANT(m, gl->names.count == 1 && unwatched(gl) == 0);
    WANT(m, cnode_connected(mesh_cnode(m, 0), "c@h"));
    OK(m, cnode_exit(p, "normal"));
    mesh_settle(m);
    WANT(m, gl->names.count == 0);
    m->said[0] = '\0';
}

/* It has the lock, or is to take it, and does nothing more: it cannot hold up
 * the cluster for ever. */
static void holds_up(mesh *m) {
    cnode__global *gl;
    cnode_proc *g, *p;
    etf_pid self;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    NEED(m, p = mesh_proc(m, 0, "p"));
    self = cnode_self(g);
    gl = mesh_cnode(m, 0)->global;
    MEET(m, "1");
    GREET(m, g, 5);
    LOCKED(m, self);
    WANT(m, gl->state == LOCKER_HOLDING);
    m->said[0] = '\0';
    ASK(m, cnode_global_register(p, "x", NULL, on_global, r1));
    mesh_advance(m, 50000);
    WANT(m, gl->state == LOCKER_HOLDING);
    SAID(m, "");
    mesh_advance(m, 30000);
    SAID(m, "r1: OK");
    WANT(m, gl->state == LOCKER_FREE && gl->locks.count == 0);
    WANT(m, m->nodes[0].down_status == CN_ETIMEDOUT);
}

static void waits_in_vain(mesh *m) {
    cnode_proc_config c = mesh_observer;
    cnode__global *gl;
    cnode_proc *g;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    c.on_call = say_true;
    c.data = cnode_proc_data(g);
    OK(m, cnode_become(g, &c));
    gl = mesh_cnode(m, 0)->global;
    MEET(m, "1");
    GREET(m, g, 5);
    mesh_advance(m, 1000);
    WANT(m, gl->state == LOCKER_WAITING);
    mesh_advance(m, 50000);
    WANT(m, gl->state == LOCKER_WAITING);
    mesh_advance(m, 30000);
    WANT(m, gl->state == LOCKER_FREE && gl->locks.count == 0);
    WANT(m, m->nodes[0].down_status == CN_ETIMEDOUT);
    m->said[0] = '\0';
}

/* Whoever asks who has a name makes no more lines in the log than others. */
static void clashes(mesh *m) {
    static const cnode_rpc_opts resolve = {
        .node = "a@h", .module = "global", .function = "resolve_it"};
    cnode_proc *p, *q;
    etf_pid self, other;

    OK(m, start(m, 0));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, p = mesh_proc(m, 0, "p"));
    NEED(m, q = mesh_proc(m, 1, "q"));
    self = cnode_self(p);
    other = cnode_self(q);
    for (int i = 0; i < 10; i++) {
        ASK(m, cnode_rpc(q, &resolve, mesh_result, r1, "[what, x, ~p, ~p]",
                         &other, &self));
        SAID(m, "r1: OK none");
    }
    WANT(m, m->nodes[0].troubles == 1);
}

/* Whom it names is connected to, but not all at once, and each once. */
static void names_many(mesh *m) {
    cnode__global *gl;
    cnode_proc *g;
    etf_pid self;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    self = cnode_self(g);
    MEET(m, "1");
    GREET(m, g, 5);
    gl = mesh_cnode(m, 0)->global;
    m->nodes[0].slow = true;
    OK(m, cnode_cast(g, &at_a, "{lock_set, ~p, true, [], 1}", &self));
    OK(m, cnode_cast(g, &at_a, "{exchange, 'b@h', [], [], 1}"));
    OK(m, cnode_cast(g, &at_a,
                     "{resolved, 'b@h', [], [{'x@h', 8}, {'x@h', 8}], unused, "
                     "[], 1}"));
    WANT(m, gl->known == 2);
    WANT(m, wanted(mesh_cnode(m, 0), "x@h") == 1);
    for (int i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "y%d@h", i);
        OK(m,
           cnode_cast(g, &at_a, "{new_nodes, 'b@h', [], [], [~a], []}", name));
    }
    WANT(m, gl->known == 102);
    WANT(m, gl->reaching == 64);
    WANT(m, wanted(mesh_cnode(m, 0), "y62@h") == 1);
    WANT(m, wanted(mesh_cnode(m, 0), "y63@h") == 0);
    m->nodes[0].slow = false;
    mesh_advance(m, 10000);
    WANT(m, gl->known == 1 && gl->reaching == 0 && gl->members.count == 1);
    m->said[0] = '\0';
}

/* Two others have lost each other: nobody stays with both. Told again, it is
 * no news. */
static void others_part(mesh *m) {
    cnode_proc *g;

    OK(m, start(m, 0));
    OK(m, start(m, 2));
    OK(m, play(m, &g));
    JOIN(m, 2, "a@h");
    MEET(m, "2");
    GREET(m, g, 5);
    mesh_settle(m);
    m->said[0] = '\0';
    for (int i = 0; i < 2; i++) {
        OK(m, cnode_send_name(g, "a@h", "global_name_server",
                              "{lost_connection, 'b@h', 7, 9, 'c@h'}"));
        WANT(m, !cnode_connected(mesh_cnode(m, 0), "c@h") || i == 1);
        JOIN(m, 2, "a@h");
        KNOWN(m, 0, "c@h");
    }
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{lost_connection, 'b@h', 7, 10, 'c@h'}"));
    WANT(m, !cnode_connected(mesh_cnode(m, 0), "c@h"));
    KNOWN(m, 0, "");
    /* What it hears of itself is about the other. */
    m->said[0] = '\0';
    OK(m, cnode_send_name(g, "a@h", "global_name_server",
                          "{lost_connection, 'b@h', 7, 11, 'a@h'}"));
    mesh_settle(m);
    WANT(m, strstr(m->said, "gns: {remove_connection,a@h}") != NULL);
    m->said[0] = '\0';
}

/* --- lost by one only ----------------------------------------------------- */

/* The connection between two of them breaks. */
static void cut(mesh *m, int i, const char *node) {
    cnode *n = mesh_cnode(m, i);
    const cnode__peer *p = cn__map_get(&n->peers, node, strlen(node));

    if (p != NULL && p->up != NULL)
        cnode__wire_fail(p->up, CN_EIO, 0, "it is cut");
    mesh_settle(m);
}

#define THREE(m)                                                               \
    do {                                                                       \
        START(m, 3);                                                           \
        JOIN(m, 0, "b@h");                                                     \
        JOIN(m, 2, "b@h");                                                     \
        KNOWN(m, 0, "b@h c@h");                                                \
        KNOWN(m, 2, "a@h b@h");                                                \
    } while (0)

static size_t missing(mesh *m, int i) {
    const cnode__global *g = mesh_cnode(m, i)->global;

    return g == NULL ? 0 : g->missing.count;
}

/* Two lose each other, and a third one has both: they meet again. */
static void lost_by_two(mesh *m) {
    cnode_proc *p, *q;

    THREE(m);
    NEED(m, p = mesh_proc(m, 0, "p"));
    NEED(m, q = mesh_proc(m, 2, "q"));
    REGISTER(m, p, "x", NULL);
    REGISTER(m, q, "y", NULL);
    SAID(m, "r1: OK\nr1: OK");
    WANT(m, has(m, 2, "x", p) && has(m, 0, "y", q));
    cut(m, 0, "c@h");
    KNOWN(m, 0, "b@h");
    KNOWN(m, 2, "b@h");
    WANT(m, missing(m, 0) == 1 && missing(m, 2) == 1 && missing(m, 1) == 0);
    WANT(m, has(m, 2, "x", NULL) && has(m, 0, "y", NULL));
    mesh_advance(m, 20000);
    KNOWN(m, 0, "b@h c@h");
    KNOWN(m, 1, "a@h c@h");
    KNOWN(m, 2, "a@h b@h");
    WANT(m, has(m, 2, "x", p) && has(m, 0, "y", q));
    WANT(m, has(m, 1, "x", p) && has(m, 1, "y", q));
    WANT(m, missing(m, 0) == 0 && missing(m, 2) == 0);
}

static const char *const of_four[] = {"w", "x", "y", "z"};

/* Four, each with a name. */
static void four(mesh *m, cnode_proc **p) {
    START(m, 4);
    for (int i = 1; i < 4; i++)
        JOIN(m, i, "a@h");
    for (int i = 0; i < 4; i++) {
        NEED(m, p[i] = mesh_proc(m, i, of_four[i]));
        REGISTER(m, p[i], of_four[i], NULL);
        SAID(m, "r1: OK");
    }
}

static void all_have_all(mesh *m, cnode_proc *const *p) {
    static const char *const others[] = {"b@h c@h d@h", "a@h c@h d@h",
                                         "a@h b@h d@h", "a@h b@h c@h"};

    for (int i = 0; i < 4; i++) {
        KNOWN(m, i, others[i]);
        for (int k = 0; k < 4; k++)
            WANT(m, has(m, i, of_four[k], p[k]));
        WANT(m, missing(m, i) == 0);
        ASK(m, cnode_global_sync(mesh_cnode(m, i), 1000, on_global, r1));
        mesh_advance(m, 1);
        SAID(m, "r1: OK");
    }
}

/* Two pairs of four lose each other, and one pair joins again before the other
 * does: it tells the others of each other, whose names it does not bring. */
static void two_pairs(mesh *m, bool slow) {
    cnode_proc *p[4];

    four(m, p);
    all_have_all(m, p);
    m->nodes[0].slow = m->nodes[2].slow = slow;
    cut(m, 0, "c@h");
    cut(m, 1, "d@h");
    WANT(m, has(m, 0, "y", NULL) && has(m, 2, "w", NULL));
    OK(m, cnode_connect(mesh_cnode(m, 1), "d@h", NULL, NULL));
    mesh_advance(m, 4000);
    WANT(m, has(m, 1, "z", p[3]) && has(m, 3, "x", p[1]));
    WANT(m, !slow || missing(m, 0) == 1);
    m->nodes[0].slow = m->nodes[2].slow = false;
    mesh_advance(m, 20000);
    all_have_all(m, p);
}

static void lost_by_two_pairs(mesh *m) {
    two_pairs(m, false);
}

static void lost_by_slow_pairs(mesh *m) {
    two_pairs(m, true);
}

/* Two are joining when one of them hears of the other, with its names, and the
 * other hears of the first what does not bring its: nobody waits, with the
 * cluster locked, for a join that the other does not make. */
static void lost_by_one_of_pair(mesh *m) {
    const cnode__member *b = NULL;
    cnode_proc *p[4];

    four(m, p);
    cut(m, 0, "b@h");
    cut(m, 0, "d@h");
    cut(m, 1, "c@h");
    OK(m, cnode_connect(mesh_cnode(m, 0), "d@h", NULL, NULL));
    mesh_advance(m, 900);
    OK(m, cnode_connect(mesh_cnode(m, 1), "c@h", NULL, NULL));
    for (int i = 0; i < 100 && (b == NULL || !b->known); i++) {
        mesh_advance(m, 50);
        b = cnode__member_find(mesh_cnode(m, 2)->global, etf_view_of("b@h", 3));
    }
    WANT(m, b->known && b->join == NULL);
    KNOWN(m, 1, "a@h d@h");
    mesh_advance(m, 20000);
    all_have_all(m, p);
}

/* A member names many that it had, and that are not here: so many are looked
 * for as there is room for, and the others are members at once. */
static void had_many(mesh *m) {
    enum { MANY = 300, ROOM = 256 };
    cnode__global *gl;
    etf_view nodes, extra;
    etf_writer w[2];
    char name[16];
    cnode_proc *g;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    MEET(m, "1");
    gl = mesh_cnode(m, 0)->global;
    for (int k = 0; k < 2; k++) {
        etf_writer_init(&w[k], NULL);
        etf_begin_list(&w[k]);
        for (int i = 0; i < MANY; i++) {
            (void)snprintf(name, sizeof name, "n%d@h", i);
            (void)etf_pack(&w[k], k == 0 ? "{~a, 8}" : "{had, ~a}", name);
        }
        etf_end_list(&w[k]);
    }
    m->nodes[0].slow = true;
    if (etf_writer_finish(&w[0], &nodes) == 0 &&
        etf_writer_finish(&w[1], &extra) == 0)
        OK(m, cnode_cast(g, &at_a, "{new_nodes, 'b@h', [], [], ~t, ~t}", nodes,
                         extra));
    etf_writer_free(&w[0]);
    etf_writer_free(&w[1]);
    WANT(m, missing(m, 0) == ROOM && gl->known == MANY - ROOM);
    WANT(m, gl->members.count == MANY - ROOM + 1);
    m->nodes[0].slow = false;
    mesh_advance(m, 60000);
    WANT(m, missing(m, 0) == 0 && gl->known == 0 && gl->members.count == 1);
    WANT(m, cnode_connected(mesh_cnode(m, 0), "b@h"));
    m->said[0] = '\0';
}

/* They cannot: the larger one goes. */
static void lost_for_good(mesh *m) {
    THREE(m);
    m->nodes[0].deaf = m->nodes[2].deaf = true;
    cut(m, 0, "c@h");
    mesh_advance(m, 100000);
    KNOWN(m, 0, "b@h");
    KNOWN(m, 2, "b@h");
    mesh_advance(m, 60000);
    KNOWN(m, 0, "b@h");
    KNOWN(m, 1, "a@h");
    KNOWN(m, 2, "");
    WANT(m, m->nodes[2].down_status == CN_ETIMEDOUT);
    mesh_advance(m, 60000);
    for (int i = 0; i < 3; i++)
        WANT(m, missing(m, i) == 0);
    WANT(m, cnode_connected(mesh_cnode(m, 0), "b@h"));
}

/* One is told of another and cannot reach it, and then that one comes itself,
 * and has it as a member, as it was told the same. */
static void comes_itself(mesh *m) {
    cnode_proc *q;

    START(m, 3);
    JOIN(m, 0, "b@h");
    NEED(m, q = mesh_proc(m, 2, "q"));
    REGISTER(m, q, "y", NULL);
    SAID(m, "r1: OK");
    m->nodes[2].deaf = true;
    ASK(m, cnode_connect(mesh_cnode(m, 2), "b@h", mesh_connected, r1));
    mesh_advance(m, 2000);
    SAID(m, "r1: b@h OK");
    WANT(m, cnode_connected(mesh_cnode(m, 0), "c@h"));
    KNOWN(m, 2, "a@h b@h");
    m->nodes[2].deaf = false;
    mesh_advance(m, 40000);
    KNOWN(m, 0, "b@h c@h");
    KNOWN(m, 1, "a@h c@h");
    KNOWN(m, 2, "a@h b@h");
    WANT(m, has(m, 0, "y", q));
    WANT(m, missing(m, 0) == 0 && missing(m, 2) == 0);
}

/* One has forgotten another, which has not noticed and tells it that all is
 * well. */
static void has_one_not_had(mesh *m) {
    cnode__global *g;
    cnode__member *c;
    cnode_proc *q;

    THREE(m);
    NEED(m, q = mesh_proc(m, 2, "q"));
    g = mesh_cnode(m, 0)->global;
    NEED(m, c = cnode__member_find(g, etf_view_of("c@h", 3)));
    cnode__member_lost(g, c);
    KNOWN(m, 0, "b@h");
    OK(m, cnode_cast(q, &at_a, "{in_sync, 'c@h', true}"));
    mesh_settle(m);
    WANT(m, missing(m, 0) == 1);
    mesh_advance(m, 40000);
    KNOWN(m, 0, "b@h c@h");
    KNOWN(m, 1, "a@h c@h");
    KNOWN(m, 2, "a@h b@h");
    WANT(m, missing(m, 0) == 0 && missing(m, 2) == 0);
}

/* It is gone for all: nobody looks for it for long. */
static void lost_by_all(mesh *m) {
    THREE(m);
    mesh_stop(m, 2);
    mesh_settle(m);
    WANT(m, missing(m, 0) == 1 && missing(m, 1) == 1);
    mesh_advance(m, 20000);
    WANT(m, missing(m, 0) == 0 && missing(m, 1) == 0);
    KNOWN(m, 0, "b@h");
    KNOWN(m, 1, "a@h");
    /* And of two, none is left to be asked. */
    mesh_break(m, 1);
    mesh_settle(m);
    WANT(m, missing(m, 0) == 1);
    mesh_advance(m, 5000);
    WANT(m, missing(m, 0) == 0 && missing(m, 1) == 0);
    KNOWN(m, 0, "");
}

/* Who is asked may be gone, or the server that asks. */
static void lost_while_asking(mesh *m) {
    cnode_proc *s;

    THREE(m);
    cut(m, 0, "c@h");
    mesh_stall(m, 1, true);
    mesh_advance(m, 3000); /* a and c have asked b */
    OK(m, cnode_connect(mesh_cnode(m, 0), "c@h", NULL, NULL));
    mesh_settle(m);
    NEED(m, s = cnode_whereis(mesh_cnode(m, 0), "global_name_server"));
    OK(m, cnode_exit(s, "oops"));
    mesh_settle(m);
    WANT(m, mesh_cnode(m, 0)->global == NULL);
    mesh_stall(m, 1, false);
    mesh_advance(m, 30000);
    WANT(m, missing(m, 1) == 0 && missing(m, 2) == 0);
    KNOWN(m, 1, "c@h");
}

static void not_answered(cnode_proc *self, const cnode_from *from,
                         etf_view request, void *data) {
    (void)from, (void)data;
    mesh_say_term(mesh_of(cnode_of(self)), "gns", "asked", request);
}

/* Somebody sets a lock for a request that he reads after the connection it came
 * by, and connects again: it is given back, as this node does not have it. */
static void takes_late(mesh *m) {
    cnode_proc_config c = mesh_observer;
    cnode_proc *g;

    OK(m, start(m, 0));
    OK(m, play(m, &g));
    c.on_call = not_answered;
    c.data = cnode_proc_data(g);
    OK(m, cnode_become(g, &c));
    MEET(m, "1");
    GREET(m, g, 5);
    mesh_advance(m, 1000);
    WANT(m, strstr(m->said, "gns: asked {set_lock,{global,[") != NULL);
    WANT(m, strstr(m->said, "del_lock") == NULL);
    cut(m, 0, "b@h");
    WANT(m, mesh_cnode(m, 0)->global->doubt_count == 1);
    m->said[0] = '\0';
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r1));
    mesh_settle(m);
    WANT(m, strstr(m->said, "gns: asked {del_lock,{global,[") != NULL);
    WANT(m, strstr(m->said, "set_lock") == NULL);
    WANT(m, mesh_cnode(m, 0)->global->doubt_count == 0);
    m->said[0] = '\0';
    /* Once. */
    cut(m, 0, "b@h");
    ASK(m, cnode_connect(mesh_cnode(m, 1), "a@h", mesh_connected, r1));
    mesh_settle(m);
    WANT(m, strstr(m->said, "_lock") == NULL);
    m->said[0] = '\0';
}

/* --- locks ---------------------------------------------------------------- */

static size_t locks_at(mesh *m, int i) {
    return mesh_cnode(m, i)->global->locks.count;
}

#define LOCK(m, p, name, opts)                                                 \
    do {                                                                       \
        ASK(m, cnode_global_lock(p, name, opts, on_global, r1));               \
        mesh_settle(m);                                                        \
    } while (0)
#define UNLOCK(m, p, name, opts)                                               \
    do {                                                                       \
        ASK(m, cnode_global_unlock(p, name, opts, on_global, r1));             \
        mesh_settle(m);                                                        \
    } while (0)

/* Two nodes, of which one is only visible. */
#define TWO(m, p, q)                                                           \
    do {                                                                       \
        static const cnode_config visible_ = {.visible = true};                \
        OK(m, start(m, 0));                                                    \
        OK(m, mesh_start(m, 1, &visible_));                                    \
        JOIN(m, 0, "b@h");                                                     \
        NEED(m, (p) = mesh_proc(m, 0, "p"));                                   \
        NEED(m, (q) = mesh_proc(m, 1, "q"));                                   \
    } while (0)

static const cnode_global_lock_opts once = {.tries = 1};

static void lock_is_had(mesh *m) {
    cnode_proc *p, *q;

    TWO(m, p, q);
    LOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    WANT(m, locks_at(m, 0) == 1 && locks_at(m, 1) == 1);
    LOCK(m, q, "x", &once);
    SAID(m, "r1: EBUSY");
    LOCK(m, q, "y", &once);
    SAID(m, "r1: OK");
    LOCK(m, q, "x", NULL);
    mesh_advance(m, 3000);
    SAID(m, ""); /* it waits */
    UNLOCK(m, p, "x", NULL);
    WANT(m, strstr(m->said, "r1: OK") != NULL);
    mesh_advance(m, 9000);
    SAID(m, "r1: OK\nr1: OK");
    LOCK(m, p, "x", &once);
    SAID(m, "r1: EBUSY");
    /* With the process it goes. */
    OK(m, cnode_exit(q, "normal"));
    SAID(m, "q: ended normal");
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 0);
}

/* Taken twice it is given back once; the same requester has it together. */
static void lock_is_shared(mesh *m) {
    static const uint8_t me[] = {119, 2, 'm', 'e'};
    static const cnode_global_lock_opts as_me = {.requester = {me, sizeof me},
                                                 .tries = 1};
    cnode_proc *p, *q;

    TWO(m, p, q);
    LOCK(m, p, "x", &once);
    LOCK(m, p, "x", &once);
    UNLOCK(m, p, "x", NULL);
    SAID(m, "r1: OK\nr1: OK\nr1: OK");
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 0);
    LOCK(m, p, "x", &as_me);
    LOCK(m, q, "x", &as_me);
    SAID(m, "r1: OK\nr1: OK");
    UNLOCK(m, p, "x", &as_me);
    LOCK(m, p, "x", &once);
    SAID(m, "r1: OK\nr1: EBUSY");
    UNLOCK(m, q, "x", &as_me);
    LOCK(m, p, "x", &once);
    SAID(m, "r1: OK\nr1: OK");
    /* With the node it goes. */
    mesh_break(m, 0);
    mesh_settle(m);
    WANT(m, locks_at(m, 0) == 1 && locks_at(m, 1) == 0);
}

/* On some nodes only; those that cannot be reached are left out. */
static void lock_on_nodes(mesh *m) {
    static const char *const there[] = {"b@h"}, *const both[] = {"b@h", "a@h"},
                             *const far[] = {"b@h", "nobody@h", "b@h"},
                             *const bad[] = {"b@h", "x"};
    const cnode_global_lock_opts at_b = {there, 1, .tries = 1},
                                 at_both = {both, 2, .tries = 1},
                                 at_far = {far, 3, .tries = 1},
                                 at_bad = {bad, 2, .tries = 1};
    cnode_proc *p, *q, *r;

    TWO(m, p, q);
    LOCK(m, p, "x", &at_b);
    SAID(m, "r1: OK");
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 1);
    LOCK(m, q, "x", &at_both);
    SAID(m, "r1: EBUSY");
    /* What it had got is given back. */
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 1);
    UNLOCK(m, p, "x", &at_b);
    LOCK(m, q, "x", &at_far);
    mesh_advance(m, 10000);
    SAID(m, "r1: OK\nr1: OK");
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 1);
    WANT(m, cnode_global_lock(p, "x", &at_bad, on_global, r1) == CN_EBADARG);
    OK(m, mesh_start(m, 2, NULL));
    NEED(m, r = mesh_proc(m, 2, "r"));
    WANT(m, cnode_global_lock(r, "x", NULL, on_global, r1) == CN_ENOTSUP);
    WANT(m, cnode_global_unlock(r, "x", NULL, on_global, r1) == CN_ENOTSUP);
}

static void heard(cnode *n, int status, const cn_error *err, void *data) {
    (void)err, (void)data;
    mesh_say(mesh_of(n), "heard: %s", cn_errname(status) + 3);
}

/* Who waits can stop to. */
static void lock_is_given_up(mesh *m) {
    cnode_proc *p, *q;

    TWO(m, p, q);
    LOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    LOCK(m, q, "x", NULL);
    UNLOCK(m, q, "x", NULL);
    SAID(m, "r1: ECANCELED\nr1: OK");
    mesh_advance(m, 20000);
    WANT(m, locks_at(m, 0) == 1 && locks_at(m, 1) == 1);
    /* ... also while others are being asked. */
    UNLOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    mesh_stall(m, 0, true);
    LOCK(m, q, "x", NULL);
    UNLOCK(m, q, "x", NULL);
    SAID(m, "");
    mesh_stall(m, 0, false);
    mesh_settle(m);
    WANT(m, strstr(m->said, "r1: ECANCELED") != NULL);
    m->said[0] = '\0';
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 0);
    /* And one that ends hears nothing. */
    LOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    OK(m, cnode_global_lock(q, "x", NULL, heard, NULL));
    mesh_settle(m);
    OK(m, cnode_exit(q, "normal"));
    mesh_advance(m, 9000);
    SAID(m, "q: ended normal");
    UNLOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 0);
}

/* What a process asks for one and the same lock is done in the order in which
 * it was asked. */
static void lock_is_taken_again(mesh *m) {
    cnode_proc *p, *q;

    TWO(m, p, q);
    LOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    ASK(m, cnode_global_unlock(p, "x", NULL, on_global, r1));
    ASK(m, cnode_global_lock(p, "x", NULL, on_global, r1));
    mesh_advance(m, 9000);
    SAID(m, "r1: OK\nr1: OK");
    WANT(m, locks_at(m, 0) == 1 && locks_at(m, 1) == 1);
    LOCK(m, q, "x", &once);
    SAID(m, "r1: EBUSY");
    UNLOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 0);
    /* Only what was asked before it is given up. */
    mesh_stall(m, 0, true);
    LOCK(m, p, "x", NULL);
    UNLOCK(m, p, "x", NULL);
    LOCK(m, p, "x", NULL);
    LOCK(m, p, "x", NULL);
    SAID(m, "");
    mesh_stall(m, 0, false);
    mesh_advance(m, 9000);
    SAID(m, "r1: ECANCELED\nr1: OK\nr1: OK\nr1: OK");
    WANT(m, locks_at(m, 0) == 1 && locks_at(m, 1) == 1);
    /* All that wait for their turn go with the process. */
    mesh_stall(m, 0, true);
    OK(m, cnode_global_unlock(p, "x", NULL, heard, NULL));
    OK(m, cnode_global_lock(p, "x", NULL, heard, NULL));
    OK(m, cnode_global_unlock(p, "x", NULL, heard, NULL));
    mesh_settle(m);
    OK(m, cnode_exit(p, "normal"));
    mesh_stall(m, 0, false);
    mesh_settle(m);
    SAID(m, "heard: ECANCELED\np: ended normal");
    WANT(m, locks_at(m, 0) == 0 && locks_at(m, 1) == 0);
}

static void ends_it(cnode *n, int status, const cn_error *err, void *data) {
    heard(n, status, err, data);
    if (cnode_exit(data, "normal") != 0)
        mesh_of(n)->noticed = true;
}

/* Who ends when it hears that its lock was given up gives back nothing more,
 * and that is no reason to disconnect anybody. */
static void lock_ends_its_process(mesh *m) {
    cnode_proc *p, *q;

    TWO(m, p, q);
    LOCK(m, q, "x", NULL);
    SAID(m, "r1: OK");
    OK(m, cnode_global_lock(p, "x", NULL, ends_it, p));
    SAID(m, "");
    OK(m, cnode_global_unlock(p, "x", NULL, heard, NULL));
    mesh_settle(m);
    SAID(m, "heard: ECANCELED\np: ended normal");
    WANT(m, cnode_connected(mesh_cnode(m, 0), "b@h"));
    WANT(m, locks_at(m, 0) == 1 && locks_at(m, 1) == 1);
}

/* All who want it on the same nodes get it, one after the other. */
static void lock_is_fought_for(mesh *m) {
    cnode_proc *p[3];
    int had = 0;

    START(m, 3);
    JOIN(m, 0, "b@h");
    JOIN(m, 2, "b@h");
    for (int i = 0; i < 3; i++)
        NEED(m, p[i] = mesh_proc(m, i, "p"));
    for (int i = 0; i < 3; i++)
        ASK(m, cnode_global_lock(p[i], "x", NULL, on_global, r1));
    for (int round = 0; round < 3; round++) {
        mesh_advance(m, 30000);
        SAID(m, "r1: OK");
        for (int i = 0; i < 3; i++) { /* who has it gives it back */
            if (p[i] == NULL)
                continue;
            LOCK(m, p[i], "x", &once);
            if (strcmp(m->said, "r1: OK\n") != 0) {
                SAID(m, "r1: EBUSY");
                continue;
            }
            UNLOCK(m, p[i], "x", NULL);
            SAID(m, "r1: OK\nr1: OK");
            p[i] = NULL;
            had++;
            break;
        }
    }
    assert_int_equal(had, 3);
    for (int i = 0; i < 3; i++)
        WANT(m, locks_at(m, i) == 0);
}

/* Without its server a node gives no locks, and has none. */
static void lock_server_is_killed(mesh *m) {
    cnode_proc *p, *q, *s;

    TWO(m, p, q);
    LOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    LOCK(m, q, "x", NULL);
    NEED(m, s = cnode_whereis(mesh_cnode(m, 1), "global_name_server"));
    OK(m, cnode_exit(s, "oops"));
    SAID(m, "r1: ECLOSED");
    WANT(m, cnode_global_lock(q, "y", NULL, on_global, r1) == CN_ENOTSUP);
    LOCK(m, p, "y", NULL);
    SAID(m, "r1: OK"); /* that one is left out */
    UNLOCK(m, p, "x", NULL);
    SAID(m, "r1: OK");
    /* While others are asked. */
    mesh_stall(m, 1, true);
    LOCK(m, p, "x", NULL);
    NEED(m, s = cnode_whereis(mesh_cnode(m, 0), "global_name_server"));
    OK(m, cnode_exit(s, "oops"));
    SAID(m, "r1: ECLOSED");
}

/* --- limits --------------------------------------------------------------- */

/* Others of the cluster could not connect to it. */
static void names_that_do_not_mix(mesh *m) {
    static const struct {
        const char *ours, *theirs;
        int troubles;
    } rows[] = {{"a@h", "r@h.example", 1},
                {"a@h.example", "r@h", 1},
                {"a@h", "r@::1", 1},
                {"a@h.example", "r@127.0.0.1", 0},
                {"a@h", "r@h2", 0}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const cnode_config a = {.name = rows[i].ours, .full = true};
        const cnode_config b = {.name = rows[i].theirs, .visible = true};
        int before;

        OK(m, mesh_start(m, 0, &a));
        OK(m, mesh_start(m, 1, &b));
        mesh_cnode(m, 0)->listens = true;
        before = m->nodes[0].troubles;
        ASK(m, cnode_connect(mesh_cnode(m, 0), b.name, mesh_connected, r1));
        WANT(m, cnode_connected(mesh_cnode(m, 0), b.name));
        WANT(m, m->nodes[0].troubles == before + rows[i].troubles);
        WANT(m, rows[i].troubles == 0 ||
                    strstr(m->nodes[0].log, "do not mix") != NULL);
        for (int k = 0; k < 2; k++)
            mesh_stop(m, k);
        mesh_settle(m);
        m->said[0] = '\0';
    }
}

/* Nothing goes out before others can come in. */
static void must_listen(mesh *m) {
    cnode_proc *p;

    OK(m, mesh_start(m, 0, &full));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, p = mesh_proc(m, 0, "p"));
    WANT(m, cnode_connect(mesh_cnode(m, 0), "b@h", NULL, NULL) == CN_EBADARG);
    WANT(m, cnode_keep(mesh_cnode(m, 0), "b@h", NULL) == CN_EBADARG);
    WANT(m, cnode_send_name(p, "b@h", "q", "x") != 0);
    WANT(m, cnode_connect(mesh_cnode(m, 0), "b@h", NULL, NULL) == CN_EBADARG);
    WANT(m, strstr(cnode_error(mesh_cnode(m, 0))->text, "listen") != NULL);
    WANT(m, mesh_cnode(m, 0)->peers.count == 0);
}

/* Its loop stood still: it goes before it answers. */
static void stood_still(mesh *m) {
    START(m, 2);
    JOIN(m, 0, "b@h");
    KNOWN(m, 0, "b@h");
    m->now += 40000;
    mesh_settle(m);
    /* Both have the same clock, so both go. */
    WANT(m, !cnode_connected(mesh_cnode(m, 0), "b@h"));
    WANT(m, m->nodes[0].down_status == CN_ETIMEDOUT ||
                m->nodes[1].down_status == CN_ETIMEDOUT);
    WANT(m, strstr(m->nodes[0].log, "stood still") != NULL ||
                strstr(m->nodes[1].log, "stood still") != NULL);
    KNOWN(m, 0, "");
    KNOWN(m, 1, "");
    /* And can come back. */
    JOIN(m, 0, "b@h");
    KNOWN(m, 0, "b@h");
}

/* Without its server it would hold up the others. */
static void server_is_killed(mesh *m) {
    cnode_proc *s;

    START(m, 2);
    JOIN(m, 0, "b@h");
    NEED(m, s = cnode_whereis(mesh_cnode(m, 0), "global_name_server"));
    OK(m, cnode_exit(s, "oops"));
    WANT(m, !cnode_connected(mesh_cnode(m, 0), "b@h"));
    WANT(m, mesh_cnode(m, 0)->global == NULL);
    WANT(m, cnode_global_unregister(mesh_cnode(m, 0), "x", on_global, r1) ==
                CN_ENOTSUP);
    KNOWN(m, 1, "");
}

#define RUN_TWICE(scenario)                                                    \
    static void scenario##_twice(void **state) {                               \
        (void)state;                                                           \
        mesh_run_twice(scenario);                                              \
    }
RUN_TWICE(three_join)
RUN_TWICE(three_at_once)
RUN_TWICE(nonsense)
RUN_TWICE(others_part)
RUN_TWICE(one_cannot_be_joined)
RUN_TWICE(names_many)
RUN_TWICE(many_wait)
RUN_TWICE(locks_for_others)
RUN_TWICE(lock_is_fought_for)
RUN_TWICE(lost_by_two)
RUN_TWICE(lost_by_two_pairs)
RUN_TWICE(lost_by_slow_pairs)
RUN_TWICE(lost_by_one_of_pair)
RUN_TWICE(had_many)
RUN_TWICE(names_of_many)
RUN_TWICE(holds_up)
RUN_TWICE(waits_in_vain)
RUN_TWICE(lost_for_good)
RUN_TWICE(comes_itself)
RUN_TWICE(has_one_not_had)
RUN_TWICE(lost_by_all)
RUN_TWICE(lost_while_asking)
RUN_TWICE(lost_while_it_registers)

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(two_join),
        MESH_CASE(a_huge_name),
        MESH_CASE(both_connect),
        cmocka_unit_test(three_join_twice),
        cmocka_unit_test(three_at_once_twice),
        MESH_CASE(with_others),
        MESH_CASE(names),
        MESH_CASE(names_go),
        cmocka_unit_test(lost_while_it_registers_twice),
        MESH_CASE(names_are_bounded),
        MESH_CASE(changes_are_bounded),
        MESH_CASE(no_room_elsewhere),
        MESH_CASE(one_is_killed),
        MESH_CASE(one_is_told),
        MESH_CASE(both_are_told),
        MESH_CASE(out_of_step),
        MESH_CASE(gives_locks_back),
        MESH_CASE(is_not_there),
        cmocka_unit_test(one_cannot_be_joined_twice),
        MESH_CASE(resolves_twice),
        cmocka_unit_test(names_many_twice),
        cmocka_unit_test(locks_for_others_twice),
        cmocka_unit_test(many_wait_twice),
        cmocka_unit_test(nonsense_twice),
        cmocka_unit_test(others_part_twice),
        cmocka_unit_test(names_of_many_twice),
        cmocka_unit_test(holds_up_twice),
        cmocka_unit_test(waits_in_vain_twice),
        MESH_CASE(clashes),
        cmocka_unit_test(lost_by_two_twice),
        cmocka_unit_test(lost_by_two_pairs_twice),
        cmocka_unit_test(lost_by_slow_pairs_twice),
        cmocka_unit_test(lost_by_one_of_pair_twice),
        cmocka_unit_test(had_many_twice),
        cmocka_unit_test(lost_for_good_twice),
        cmocka_unit_test(comes_itself_twice),
        cmocka_unit_test(has_one_not_had_twice),
        cmocka_unit_test(lost_by_all_twice),
        cmocka_unit_test(lost_while_asking_twice),
        MESH_CASE(takes_late),
        MESH_CASE(lock_is_had),
        MESH_CASE(lock_is_shared),
        MESH_CASE(lock_on_nodes),
        MESH_CASE(lock_is_given_up),
        MESH_CASE(lock_is_taken_again),
        MESH_CASE(lock_ends_its_process),
        MESH_CASE(lock_server_is_killed),
        cmocka_unit_test(lock_is_fought_for_twice),
        MESH_CASE(names_that_do_not_mix),
        MESH_CASE(must_listen),
        MESH_CASE(stood_still),
        MESH_CASE(server_is_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
