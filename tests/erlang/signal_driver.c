/* SPDX-License-Identifier: Apache-2.0
 *
 * signal_driver.c: the C side of signal_SUITE: processes with mailboxes. `ctl`
 * takes commands, {From, Ref, Command}, and answers {Ref, Answer}; `box` gets
 * what the suite sends meanwhile, and is read by a command; `small`, which
 * keeps the last ten messages only, too.
 *
 *   signal_driver NAME [visible]
 *                           with $CNODE_COOKIE; writes a line when it is ready
 */
#include <stdio.h>
#include <string.h>

#include <cnode/cnode.h>

typedef struct driver {
    cnode *node;
    cnode_proc *ctl;
    cnode_proc *box;
    cnode_proc *small;
    etf_writer out;
    bool done;
    etf_ref spawned; /* the last one */
} driver;

static void put_code(driver *d, int code) {
    etf_put_atom(&d->out, code == 0 ? "ok" : cn_errname(code));
}

/* All that has come to the box, in order. */
static void drain(driver *d, cnode_proc *p) {
    cnode_msg m;

    etf_begin_list(&d->out);
    while (cnode_receive(p, 0, &m) == 0)
        etf_put_term(&d->out, m.term);
    etf_end_list(&d->out);
}

/* {Received, Dropped, Messages} */
static void drain_small(driver *d) {
    cnode_proc_stats s;

    cnode_get_proc_stats(d->small, &s);
    etf_put_tuple(&d->out, 3);
    etf_put_uint(&d->out, s.received);
    etf_put_uint(&d->out, s.dropped);
    drain(d, d->small);
}

/* Receives one message and passes it on, as a part of a trace would. */
static void forward(driver *d, const etf_pid *to) {
    cnode_msg m;
    int err = cnode_receive(d->box, 5000, &m);

    if (err == 0)
        err = cnode_send(d->box, to, "{forwarded, ~t}", m.term);
    put_code(d, err);
}

static void alias(driver *d, int64_t how) {
    etf_ref ref;
    int err = cnode_alias_with(d->box, (unsigned)how, &ref);

    if (err == 0)
        etf_put_ref(&d->out, &ref);
    else
        put_code(d, err);
}

static void watch(driver *d, const etf_pid *pid, int64_t mode) {
    const cnode_monitor_opts o = {.pid = pid, .alias = (cnode_alias_mode)mode};
    etf_ref ref;
    int err = cnode_monitor_with(d->box, &o, &ref);

    if (err == 0)
        etf_put_ref(&d->out, &ref);
    else
        put_code(d, err);
}

static void leader(driver *d) {
    etf_pid pid = cnode_group_leader(d->box);
    etf_put_pid(&d->out, &pid);
}

/* The answer of a spawn comes to the box as a message. */
static void on_spawned(cnode_proc *p, int status, etf_view result, void *data) {
    etf_pid self = cnode_self(p);

    (void)data;
    (void)cnode_send(p, &self, "{spawned, ~a, ~t}",
                     status == 0 ? "ok" : cn_errname(status), result);
}

/* erlang:apply, with three arguments, on that node. */
static void spawn_with(driver *d, cnode_spawn_opts *o, etf_view node,
                       etf_view args) {
    char where[300];
    int err;

    (void)snprintf(where, sizeof where, "%.*s", (int)node.len,
                   (const char *)node.data);
    o->node = where;
    o->module = "erlang";
    o->function = "apply";
    o->monitor = true;
    err = cnode_spawn_remote(d->box, o, on_spawned, NULL, &d->spawned, "~t",
                             args);
    if (err == 0)
        etf_put_ref(&d->out, &d->spawned);
    else
        put_code(d, err);
}

static void spawn(driver *d, etf_view node, etf_view args, etf_view options) {
    char text[300];
    cnode_spawn_opts o = {.link = true, .options = text};

    (void)snprintf(text, sizeof text, "%.*s", (int)options.len,
                   (const char *)options.data);
    spawn_with(d, &o, node, args);
}

static void spawn_tagged(driver *d, etf_view node, int64_t mode, etf_view tag,
                         etf_view args) {
    cnode_spawn_opts o = {.alias = (cnode_alias_mode)mode, .tag = tag};

    spawn_with(d, &o, node, args);
}

static void obey(driver *d, etf_view command) {
    etf_view a, b, c;
    etf_pid pid;
    etf_ref ref;
    int64_t i;

    if (etf_match(command, "drain") == 0)
        drain(d, d->box);
    else if (etf_match(command, "drain_small") == 0)
        drain_small(d);
    else if (etf_match(command, "leader") == 0)
        leader(d);
    else if (etf_match(command, "stop") == 0)
        d->done = true, put_code(d, 0);
    else if (etf_match(command, "{forward, ~p}", &pid) == 0)
        forward(d, &pid);
    else if (etf_match(command, "{alias, ~i}", &i) == 0)
        alias(d, i);
    else if (etf_match(command, "{unalias, ~r}", &ref) == 0)
        put_code(d, cnode_unalias(d->box, &ref));
    else if (etf_match(command, "{monitor, ~p, ~i}", &pid, &i) == 0)
        watch(d, &pid, i);
    else if (etf_match(command, "{lead, ~p}", &pid) == 0) {
        etf_pid self = cnode_self(d->box);
        put_code(d, cnode_set_group_leader(d->node, &pid, &self));
    } else if (etf_match(command, "{send, ~r, ~t}", &ref, &a) == 0)
        put_code(d, cnode_send_alias(d->box, &ref, "~t", a));
    else if (etf_match(command, "{priority, ~r, ~t}", &ref, &a) == 0)
        put_code(d, cnode_send_priority(d->box, &ref, "~t", a));
    else if (etf_match(command, "{exit, ~r, ~t}", &ref, &a) == 0)
        put_code(d, cnode_exit_alias(d->box, &ref, true, "~t", a));
    else if (etf_match(command, "{spawn, ~a, ~t, ~b}", &a, &b, &c) == 0)
        spawn(d, a, b, c);
    else if (etf_match(command, "{spawn_tagged, ~a, ~i, ~t, ~t}", &a, &i, &b,
                       &c) == 0)
        spawn_tagged(d, a, i, b, c);
    else if (etf_match(command, "spawned") == 0)
        etf_put_ref(&d->out, &d->spawned);
    else
        etf_put_atom(&d->out, "what");
}

static void serve(driver *d) {
    etf_view command, answer;
    cnode_msg m;
    etf_pid from;
    etf_ref ref;

    while (!d->done && cnode_receive(d->ctl, UINT32_MAX, &m) == 0) {
        if (etf_match(m.term, "{~p, ~r, ~t}", &from, &ref, &command) != 0)
            continue;
        etf_writer_reset(&d->out);
        obey(d, command);
        if (etf_writer_finish(&d->out, &answer) == 0)
            (void)cnode_send(d->ctl, &from, "{~r, ~t}", &ref, answer);
    }
}

int main(int argc, char **argv) {
    const cnode_config config = {.name = argc > 1 ? argv[1] : NULL,
                                 .visible = argc > 2 &&
                                            strcmp(argv[2], "visible") == 0};
    const cnode_proc_config ctl = {.name = "ctl"};
    const cnode_proc_config box = {.name = "box", .trap_exit = true};
    const cnode_proc_config small = {.name = "small",
                                     .max_messages = 10,
                                     .when_full = CNODE_FULL_DROP_OLDEST};
    driver d = {0};
    int err = cnode_new(&d.node, &config);

    if (err == 0)
        err = cnode_spawn(d.node, &ctl, &d.ctl);
    if (err == 0)
        err = cnode_spawn(d.node, &box, &d.box);
    if (err == 0)
        err = cnode_spawn(d.node, &small, &d.small);
    if (err == 0)
        err = cnode_listen(d.node);
    if (err != 0) {
        (void)fprintf(stderr, "signal_driver: %s\n", cn_strerror(err));
        return 1;
    }
    etf_writer_init(&d.out, NULL);
    (void)puts("ready");
    (void)fflush(stdout);
    serve(&d);
    etf_writer_free(&d.out);
    cnode_free(d.node);
    return 0;
}
