/* SPDX-License-Identifier: Apache-2.0
 *
 * serve_processes.c: the processes of `cnode serve`: echo, sink, mortal, and
 * what cnode:loop/0 becomes.
 */
#include <string.h>

#include "cli/report.h"
#include "cli/serve.h"
#include "cli/text.h"

/* Of a flood that nobody reads the answers to, the first one is said. */
static void sent(cli_server *s, int rc) {
    if (rc != 0 && s->unsent++ == 0)
        cli_say(s->o, "warning: an answer is lost: %s",
                cnode_error(s->node)->text);
}

/* --- echo ---------------------------------------------------------------- */

static void on_echo(cnode_proc *self, const cnode_msg *m, void *data) {
    cli_server *s = data;
    etf_pid from, me = cnode_self(self);
    etf_view body;

    if (etf_match(m->term, "{~p, ~t}", &from, &body) == 0)
        sent(s, cnode_send(self, &from, "{~p, ~t}", &me, body));
    else
        s->dropped++;
}

static void on_echo_call(cnode_proc *self, const cnode_from *from,
                         etf_view request, void *data) {
    sent(data, cnode_reply(self, from, "{ok, ~t}", request));
}

/* As echo, and it can be told to end. */
static void on_loop(cnode_proc *self, const cnode_msg *m, void *data) {
    etf_view reason;

    if (etf_match(m->term, "{exit, ~t}", &reason) == 0)
        (void)cnode_exit(self, "~t", reason);
    else
        on_echo(self, m, data);
}

static int loop(cnode_proc *self, etf_view args, etf_writer *result,
                void *data) {
    cnode_proc_config c = {
        .on_message = on_loop, .on_call = on_echo_call, .data = data};
    int rc = cnode_become(self, &c);

    (void)args;
    (void)result;
    return rc == 0 ? CNODE_LATER : rc;
}

/* --- sink ---------------------------------------------------------------- */

static void on_sink(cnode_proc *self, const cnode_msg *m, void *data) {
    cli_server *s = data;
    cnode_from from;
    etf_view request = {0};
    bool call = cnode_msg_is_call(m, &from, &request);

    if (call && etf_match(request, "count") == 0) {
        sent(s, cnode_reply(self, &from, "{count, ~i, ~i}", s->sink_count,
                            s->sink_bytes));
        return;
    }
    if (cnode_msg_is_cast(m, &request) && etf_match(request, "reset") == 0) {
        s->sink_count = s->sink_bytes = 0;
        return;
    }
    s->sink_count++;
    s->sink_bytes += m->term.len + 1; /* with its version byte */
    if (call)
        sent(s, cnode_reply(self, &from, "{error, unknown}"));
}

/* --- mortal -------------------------------------------------------------- */

static bool text_of(etf_view atom, char out[CLI_ATOM_MAX]) {
    if (atom.len >= CLI_ATOM_MAX || memchr(atom.data, 0, atom.len) != NULL)
        return false;
    memcpy(out, atom.data, atom.len);
    out[atom.len] = '\0';
    return true;
}

/* {'DOWN', ...} and {'EXIT', ...} for the process that asked last. */
static void tell(cnode_proc *self, cli_server *s, etf_view term) {
    if (s->asker.node_len > 0)
        sent(s, cnode_send(self, &s->asker, "~t", term));
}

static void on_spawned(cnode_proc *self, int status, etf_view result,
                       void *data) {
    cli_server *s = data;
    etf_pid me = cnode_self(self);

    if (status == 0 || s->asker.node_len == 0)
        return;
    if (result.len > 0)
        sent(s, cnode_send(self, &s->asker, "{'EXIT', ~p, ~t}", &me, result));
    else
        sent(s, cnode_send(self, &s->asker, "{'EXIT', ~p, noconnection}", &me));
}

static void spawn_link(cnode_proc *self, cli_server *s, const etf_view v[4]) {
    char node[CLI_ATOM_MAX], mod[CLI_ATOM_MAX], fun[CLI_ATOM_MAX];
    cnode_spawn_opts to = {
        .node = node, .module = mod, .function = fun, .link = true};

    if (text_of(v[0], node) && text_of(v[1], mod) && text_of(v[2], fun))
        (void)cnode_spawn_remote(self, &to, on_spawned, s, NULL, "~t", v[3]);
}

static void watch(cnode_proc *self, etf_view what) {
    char name[CLI_ATOM_MAX], node[CLI_ATOM_MAX];
    etf_view n, h;
    etf_pid pid;

    if (etf_match(what, "~p", &pid) == 0)
        (void)cnode_monitor_pid(self, &pid, NULL);
    else if (etf_match(what, "{~a, ~a}", &n, &h) == 0 && text_of(n, name) &&
             text_of(h, node))
        (void)cnode_monitor(self, node, name, NULL);
}

/* True when it was a request to do something. */
static bool obey(cnode_proc *self, cli_server *s, etf_view term) {
    etf_view v[4];
    etf_pid pid;

    if (etf_match(term, "{link, ~p}", &pid) == 0)
        (void)cnode_link(self, &pid);
    else if (etf_match(term, "{unlink, ~p}", &pid) == 0)
        (void)cnode_unlink(self, &pid);
    else if (etf_match(term, "{monitor, process, ~t}", &v[0]) == 0)
        watch(self, v[0]);
    else if (etf_match(term, "{spawn_link, ~a, ~a, ~a, ~t}", &v[0], &v[1],
                       &v[2], &v[3]) == 0)
        spawn_link(self, s, v);
    else
        return false;
    return true;
}

/* Who is told of what comes of it. */
static void note_asker(cli_server *s, const cnode_msg *m) {
    if (m->from != NULL)
        s->asker = *m->from;
}

static void on_mortal(cnode_proc *self, const cnode_msg *m, void *data) {
    cli_server *s = data;
    etf_view reason, request;
    cnode_from from;

    if (etf_match(m->term, "{exit, ~t}", &reason) == 0) {
        (void)cnode_exit(self, "~t", reason);
    } else if (etf_match(m->term, "{'DOWN', _, _, _, _}") == 0 ||
               etf_match(m->term, "{'EXIT', _, _}") == 0) {
        tell(self, s, m->term);
    } else if (obey(self, s, m->term)) {
        note_asker(s, m);
    } else if (cnode_msg_is_call(m, &from, &request)) {
        sent(s, cnode_reply(self, &from, "{error, unknown}"));
    }
}

static int start_mortal(cli_server *s);

static void on_mortal_end(cnode_proc *self, etf_view reason, void *data) {
    cli_server *s = data;

    (void)self;
    (void)reason;
    if (!s->stopping)
        (void)start_mortal(s);
}

static int start_mortal(cli_server *s) {
    cnode_proc *p;

    return cnode_spawn(s->node,
                       &(cnode_proc_config){.name = "mortal",
                                            .on_message = on_mortal,
                                            .trap_exit = true,
                                            .on_end = on_mortal_end,
                                            .data = s},
                       &p);
}

static int start_echo(cli_server *s);
static int start_sink(cli_server *s);

/* Anybody may end them, as with gen_server:stop/1. */
static void on_echo_end(cnode_proc *self, etf_view reason, void *data) {
    cli_server *s = data;

    (void)self;
    (void)reason;
    if (!s->stopping)
        (void)start_echo(s);
}

static void on_sink_end(cnode_proc *self, etf_view reason, void *data) {
    cli_server *s = data;

    (void)self;
    (void)reason;
    if (!s->stopping)
        (void)start_sink(s);
}

static int start_echo(cli_server *s) {
    cnode_proc *p;

    return cnode_spawn(s->node,
                       &(cnode_proc_config){.name = "echo",
                                            .on_message = on_echo,
                                            .on_call = on_echo_call,
                                            .on_end = on_echo_end,
                                            .data = s},
                       &p);
}

static int start_sink(cli_server *s) {
    cnode_proc *p;

    return cnode_spawn(s->node,
                       &(cnode_proc_config){.name = "sink",
                                            .on_message = on_sink,
                                            .on_end = on_sink_end,
                                            .data = s},
                       &p);
}

int cli_serve_processes(cli_server *s) {
    int rc = start_echo(s);

    if (rc == 0)
        rc = start_sink(s);
    if (rc == 0)
        rc = start_mortal(s);
    if (rc == 0)
        rc = cnode_export(s->node, "cnode", "loop", 0, loop, s);
    return rc;
}
