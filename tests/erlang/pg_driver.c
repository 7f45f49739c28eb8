/* SPDX-License-Identifier: Apache-2.0
 *
 * pg_driver.c: the C side of pg_SUITE: a node whose process `ctl` takes
 * commands, {From, Ref, Command}, and answers {Ref, Answer}: ok, the name of
 * an error, or what is asked for.
 *
 *   pg_driver NAME hidden|visible   with $CNODE_COOKIE; writes a line when it
 *                                   is ready
 *
 *   {start, Scope, MaxBytes, DiscoverMs}, {stop, Scope}
 *   spawn                       a process: its pid
 *   {exit, Pid, Reason}
 *   {join, Scope, Group, Pids}, {leave, Scope, Group, Pids}
 *   {members, Scope, Group}     {All, Local}
 *   {groups, Scope}             [{Group, Members, Local}]
 *   {monitor, Scope, Group}, {monitor, Scope}
 *                               a number; from then on From gets {pg, Number,
 *                               joined | left, Group, Pids}
 *   {demonitor, Scope, Number}
 *   {peers, Scope}              how many
 *   {connect, Node}, {disconnect, Node}
 *   {pubsub, Name, Pool}, {unpubsub, Name}
 *   {subscribe, Name, Topic}    a number; from then on From gets {pubsub,
 *                               Number, Topic, Message, Node}; Topic <<>>: all
 *   {unsubscribe, Name, Number}
 *   {broadcast, Name, Topic, Message}
 *   {broadcast, Name, Node, Topic, Message}
 *   stop
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnode/pg.h>

enum { TEXT = 300, MOST = 20000 };

typedef struct driver {
    cnode *node;
    cnode_proc *ctl;
    etf_writer out;
    etf_pid *pids; /* room for MOST */
    struct pubsub {
        char name[TEXT];
        cnode_pubsub *ps;
    } pubsubs[4];
} driver;

/* Who is told of something. */
typedef struct listener {
    driver *d;
    uint64_t number;
    etf_pid to;
} listener;

static void text_of(etf_view v, char out[TEXT]) {
    (void)snprintf(out, TEXT, "%.*s", (int)v.len, (const char *)v.data);
}

static void put_code(driver *d, int code) {
    etf_put_atom(&d->out, code == 0 ? "ok" : cn_errname(code));
}

static listener *new_listener(driver *d, const etf_pid *to) {
    listener *l = calloc(1, sizeof *l);

    if (l == NULL)
        exit(1);
    *l = (listener){d, 0, *to};
    return l;
}

static void put_number(driver *d, int code, const listener *l) {
    if (code == 0)
        etf_put_uint(&d->out, l->number);
    else
        put_code(d, code);
}

/* --- groups -------------------------------------------------------------- */

static cnode_pg *scope_of(driver *d, etf_view name) {
    char text[TEXT];

    text_of(name, text);
    return cnode_pg_find(d->node, text);
}

static void start(driver *d, etf_view name, uint64_t bytes, uint64_t ms) {
    char text[TEXT];
    const cnode_pg_opts o = {
        .scope = text, .discover_ms = (uint32_t)ms, .max_bytes = (size_t)bytes};
    cnode_pg *s;

    text_of(name, text);
    put_code(d, cnode_pg_start(d->node, &o, &s));
}

static size_t take_pids(driver *d, etf_view list) {
    etf_reader r;
    uint32_t n;

    etf_reader_init(&r, list);
    n = etf_get_list(&r);
    for (uint32_t i = 0; i < n && i < MOST; i++)
        etf_get_pid(&r, &d->pids[i]);
    return n < MOST ? n : MOST;
}

static void put_pids(etf_writer *w, const etf_pid *pids, size_t n) {
    etf_begin_list(w);
    for (size_t i = 0; i < n; i++)
        etf_put_pid(w, &pids[i]);
    etf_end_list(w);
}

static void put_members(driver *d, cnode_pg *s, etf_view group) {
    etf_put_tuple(&d->out, 2);
    for (int whose = CNODE_PG_ALL; whose <= CNODE_PG_LOCAL; whose++) {
        size_t n = cnode_pg_members(s, (cnode_pg_whose)whose, d->pids, MOST,
                                    "~t", group);
        put_pids(&d->out, d->pids, n < MOST ? n : MOST);
    }
}

static void put_groups(driver *d, const cnode_pg *s) {
    cnode_pg_group g;
    size_t at = 0;

    etf_begin_list(&d->out);
    while (cnode_pg_next_group(s, &at, &g))
        (void)etf_pack(&d->out, "{~t, ~i, ~i}", g.term, g.members, g.local);
    etf_end_list(&d->out);
}

static void on_event(cnode_pg *s, const cnode_pg_event *e, void *data) {
    const listener *l = data;
    etf_view pids;
    etf_writer w;

    (void)s;
    etf_writer_init(&w, NULL);
    put_pids(&w, e->pids, e->n);
    if (etf_writer_finish(&w, &pids) == 0)
        (void)cnode_send(l->d->ctl, &l->to, "{pg, ~i, ~a, ~t, ~t}", l->number,
                         e->joined ? "joined" : "left", e->group, pids);
    etf_writer_free(&w);
}

/* --- pubsub -------------------------------------------------------------- */

static struct pubsub *pubsub_of(driver *d, const char *name) {
    for (size_t i = 0; i < sizeof d->pubsubs / sizeof *d->pubsubs; i++)
        if (strcmp(d->pubsubs[i].name, name) == 0)
            return &d->pubsubs[i];
    (void)fprintf(stderr, "pg_driver: no pubsub %s\n", name);
    exit(1);
}

static void start_pubsub(driver *d, const char *name, int64_t pool) {
    const cnode_pubsub_opts o = {.name = name,
                                 .pool_size = (uint32_t)pool,
                                 .broadcast_pool_size = (uint32_t)pool};
    struct pubsub *p = pubsub_of(d, "");
    int code = cnode_pubsub_start(d->node, &o, &p->ps);

    if (code == 0)
        (void)snprintf(p->name, sizeof p->name, "%s", name);
    put_code(d, code);
}

static void stop_pubsub(driver *d, const char *name) {
    struct pubsub *p = pubsub_of(d, name);

    cnode_pubsub_stop(p->ps);
    p->name[0] = '\0';
    put_code(d, 0);
}

static void on_broadcast(cnode_pubsub *ps, const cnode_pubsub_msg *m,
                         void *data) {
    const listener *l = data;
    char topic[TEXT];

    (void)ps;
    text_of(m->topic, topic);
    (void)cnode_send(l->d->ctl, &l->to, "{pubsub, ~i, ~b, ~t, ~a}", l->number,
                     topic, m->term, m->node);
}

static bool obey_pubsub(driver *d, const etf_pid *from, etf_view command) {
    char name[TEXT], topic[TEXT], node[TEXT];
    etf_view a, b, c, e;
    int64_t i;

    if (etf_match(command, "{pubsub, ~b, ~i}", &a, &i) == 0) {
        text_of(a, name);
        start_pubsub(d, name, i);
    } else if (etf_match(command, "{unpubsub, ~b}", &a) == 0) {
        text_of(a, name);
        stop_pubsub(d, name);
    } else if (etf_match(command, "{subscribe, ~b, ~b}", &a, &b) == 0) {
        listener *l = new_listener(d, from);
        text_of(a, name);
        text_of(b, topic);
        put_number(d,
                   cnode_pubsub_subscribe(pubsub_of(d, name)->ps,
                                          *topic == '\0' ? NULL : topic,
                                          on_broadcast, l, &l->number),
                   l);
    } else if (etf_match(command, "{unsubscribe, ~b, ~i}", &a, &i) == 0) {
        text_of(a, name);
        put_code(d,
                 cnode_pubsub_unsubscribe(pubsub_of(d, name)->ps, (uint64_t)i));
    } else if (etf_match(command, "{broadcast, ~b, ~b, ~t}", &a, &b, &c) == 0) {
        text_of(a, name);
        text_of(b, topic);
        put_code(
            d, cnode_pubsub_broadcast(pubsub_of(d, name)->ps, topic, "~t", c));
    } else if (etf_match(command, "{broadcast, ~b, ~a, ~b, ~t}", &a, &e, &b,
                         &c) == 0) {
        text_of(a, name);
        text_of(b, topic);
        text_of(e, node);
        put_code(d, cnode_pubsub_direct_broadcast(pubsub_of(d, name)->ps, node,
                                                  topic, "~t", c));
    } else {
        return false;
    }
    return true;
}

/* --- commands ------------------------------------------------------------ */

static bool obey_pg(driver *d, const etf_pid *from, etf_view command) {
    etf_view s, a, b;
    uint64_t i, j;

    if (etf_match(command, "{start, ~a, ~i, ~i}", &s, &i, &j) == 0) {
        start(d, s, i, j);
    } else if (etf_match(command, "{stop, ~a}", &s) == 0) {
        cnode_pg_stop(scope_of(d, s));
        put_code(d, 0);
    } else if (etf_match(command, "{join, ~a, ~t, ~t}", &s, &a, &b) == 0) {
        size_t n = take_pids(d, b);
        put_code(d, cnode_pg_join(scope_of(d, s), d->pids, n, "~t", a));
    } else if (etf_match(command, "{leave, ~a, ~t, ~t}", &s, &a, &b) == 0) {
        size_t n = take_pids(d, b);
        put_code(d, cnode_pg_leave(scope_of(d, s), d->pids, n, "~t", a));
    } else if (etf_match(command, "{members, ~a, ~t}", &s, &a) == 0) {
        put_members(d, scope_of(d, s), a);
    } else if (etf_match(command, "{groups, ~a}", &s) == 0) {
        put_groups(d, scope_of(d, s));
    } else if (etf_match(command, "{monitor, ~a, ~t}", &s, &a) == 0) {
        listener *l = new_listener(d, from);
        put_number(
            d,
            cnode_pg_monitor(scope_of(d, s), on_event, l, &l->number, "~t", a),
            l);
    } else if (etf_match(command, "{monitor, ~a}", &s) == 0) {
        listener *l = new_listener(d, from);
        put_number(
            d, cnode_pg_monitor_scope(scope_of(d, s), on_event, l, &l->number),
            l);
    } else if (etf_match(command, "{demonitor, ~a, ~i}", &s, &i) == 0) {
        put_code(d, cnode_pg_demonitor(scope_of(d, s), i));
    } else if (etf_match(command, "{peers, ~a}", &s) == 0) {
        etf_put_uint(&d->out, cnode_pg_peers(scope_of(d, s)));
    } else {
        return false;
    }
    return true;
}

static void spawn(driver *d) {
    const cnode_proc_config c = {0};
    etf_pid pid;
    cnode_proc *p;

    if (cnode_spawn(d->node, &c, &p) != 0)
        exit(1);
    pid = cnode_self(p);
    etf_put_pid(&d->out, &pid);
}

static void obey(driver *d, const etf_pid *from, etf_view command) {
    char text[TEXT];
    etf_view a;
    etf_pid pid;

    if (etf_match(command, "stop") == 0) {
        cnode_stop(d->node);
        put_code(d, 0);
    } else if (etf_match(command, "spawn") == 0) {
        spawn(d);
    } else if (etf_match(command, "{exit, ~p, ~t}", &pid, &a) == 0) {
        put_code(d, cnode_send_exit(d->ctl, &pid, "~t", a));
    } else if (etf_match(command, "{connect, ~a}", &a) == 0) {
        text_of(a, text);
        put_code(d, cnode_connect(d->node, text, NULL, NULL));
    } else if (etf_match(command, "{disconnect, ~a}", &a) == 0) {
        text_of(a, text);
        put_code(d, cnode_disconnect(d->node, text));
    } else if (!obey_pg(d, from, command) && !obey_pubsub(d, from, command)) {
        etf_put_atom(&d->out, "what");
    }
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    driver *d = data;
    etf_view command, answer;
    etf_pid from;
    etf_ref ref;

    if (etf_match(m->term, "{~p, ~r, ~t}", &from, &ref, &command) != 0)
        return;
    etf_writer_reset(&d->out);
    obey(d, &from, command);
    if (etf_writer_finish(&d->out, &answer) == 0)
        (void)cnode_send(self, &from, "{~r, ~t}", &ref, answer);
}

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    (void)ctx;
    (void)level;
    (void)fprintf(stderr, "pg_driver: %s: %s\n", where, text);
}

int main(int argc, char **argv) {
    driver d = {.pids = calloc(MOST, sizeof *d.pids)};
    const cnode_config config = {.name = argc > 1 ? argv[1] : NULL,
                                 .visible = argc > 2 &&
                                            strcmp(argv[2], "visible") == 0,
                                 .log = {on_log, NULL, CN_LOG_WARN}};
    const cnode_proc_config ctl = {
        .name = "ctl", .on_message = on_message, .data = &d};
    int err = d.pids == NULL ? CN_ENOMEM : cnode_new(&d.node, &config);

    if (err == 0)
        err = cnode_spawn(d.node, &ctl, &d.ctl);
    if (err == 0)
        err = cnode_listen(d.node);
    if (err != 0) {
        (void)fprintf(stderr, "pg_driver: %s\n", cn_strerror(err));
        return 1;
    }
    etf_writer_init(&d.out, NULL);
    (void)puts("ready");
    (void)fflush(stdout);
    (void)cnode_run(d.node);
    cnode_free(d.node);
    etf_writer_free(&d.out);
    free(d.pids);
    return 0;
}
