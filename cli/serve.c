/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c: a node that runs until a signal, or the end of stdin. It listens,
 * connects to whom it was told, says READY on stdout, and serves. Signals and
 * stdin are watched from the beginning, so that it can be stopped at any time.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include <cnode/pg.h>

#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/serve.h"
#include "cli/session.h"

typedef struct serve {
    const cli_options *o;
    cli_cookie cookie;
    cli_log log;
    cli_capture capture;
    char name[CLI_NAME_MAX];
    char connect[CLI_MAX_CONNECT][CLI_NAME_MAX];
    bool up[CLI_MAX_CONNECT];
    size_t waiting; /* connections under way */
    bool listening; /* cnode_listen is at work */
    bool ready;
    bool input_ended;
    bool stopped;
    int status;
    uv_loop_t loop;
    uv_signal_t sigterm, sigint;
    uv_timer_t deadline;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tty_t tty;
    } input;
    char trash[4096]; /* what comes on stdin */
    cli_server server;
} serve;

/* cnode_listen runs the loop by itself and is told by cnode_stop. */
static void stop(serve *s, int status) {
    if (s->stopped)
        return;
    s->stopped = true;
    s->status = status;
    uv_stop(&s->loop);
    if (s->listening)
        cnode_stop(s->server.node);
}

/* --- signals, stdin, time ------------------------------------------------ */

static void on_signal(uv_signal_t *h, int number) {
    (void)number;
    stop(h->data, CLI_DONE);
}

/* Whoever has only a file for us is told of being ready first. */
static void on_input_end(serve *s) {
    s->input_ended = true;
    if (s->ready)
        stop(s, CLI_DONE);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf) {
    serve *s = h->data;

    (void)size;
    *buf = uv_buf_init(s->trash, sizeof s->trash);
}

static void on_input(uv_stream_t *h, ssize_t n, const uv_buf_t *buf) {
    (void)buf;
    if (n >= 0)
        return;
    (void)uv_read_stop(h);
    on_input_end(h->data);
}

static int open_input(serve *s) {
    int rc;

    switch (uv_guess_handle(0)) {
    case UV_TTY:
        rc = uv_tty_init(&s->loop, &s->input.tty, 0, 0);
        break;
    case UV_NAMED_PIPE:
    case UV_TCP:
        rc = uv_pipe_init(&s->loop, &s->input.pipe, 0);
        if (rc == 0)
            rc = uv_pipe_open(&s->input.pipe, 0);
        break;
    default: /* a file, or closed: nothing to wait for */
        on_input_end(s);
        return 0;
    }
    s->input.handle.data = s;
    return rc == 0 ? uv_read_start(&s->input.stream, on_alloc, on_input) : rc;
}

static void on_deadline(uv_timer_t *h) {
    serve *s = h->data;
    double seconds = s->o->timeout_s;
    size_t i = 0;

    if (s->ready || s->stopped)
        return;
    while (i < s->o->nconnect && s->up[i])
        i++;
    if (s->listening || i == s->o->nconnect)
        cli_say(s->o, "EPMD does not answer within %g s", seconds);
    else
        cli_say(s->o, "%s: not connected within %g s", s->connect[i], seconds);
    cli_say_hint(s->o, "%s", cli_hint(CN_ETIMEDOUT));
    stop(s, CLI_TIMEOUT);
}

static int watch(serve *s) {
    int rc = uv_signal_init(&s->loop, &s->sigterm);

    if (rc == 0)
        rc = uv_signal_init(&s->loop, &s->sigint);
    if (rc == 0)
        rc = uv_timer_init(&s->loop, &s->deadline);
    if (rc != 0)
        return rc;
    s->sigterm.data = s->sigint.data = s->deadline.data = s;
    rc = uv_signal_start(&s->sigterm, on_signal, SIGTERM);
    if (rc == 0)
        rc = uv_signal_start(&s->sigint, on_signal, SIGINT);
    if (rc == 0)
        rc = uv_timer_start(&s->deadline, on_deadline, cli_deadline_left_ms(),
                            0);
    if (rc == 0 && s->o->stdin_eof)
        rc = open_input(s);
    return rc;
}

static void close_handle(uv_handle_t *h, void *arg) {
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

/* --- the node ------------------------------------------------------------ */

static int make_node(serve *s) {
    cnode_config config;
    cn_error error = {0};
    int rc;

    s->log = (cli_log){s->o, true};
    cli_node_config(&s->log, &s->cookie, &config);
    config.name = s->name;
    config.no_epmd = s->o->no_epmd;
    config.epmd_server = s->o->epmd_server;
    config.port = s->o->port;
    config.ticktime_s = s->o->ticktime_s;
    config.setup_ms = s->o->setup_ms;
    config.full = s->o->full;
    config.loop = &s->loop;
    config.error = &error;
    config.capture = s->capture.capture;
    rc = cnode_new(&s->server.node, &config);
    return rc == 0 ? 0 : cli_say_no_node(s->o, &s->cookie, rc, &error);
}

/* What cannot be had from this machine is a local failure; only a name that
 * another node has is a refusal. */
static int say_not_listening(const serve *s, int code) {
    const cn_error *e = cnode_error(s->server.node);

    cli_say(s->o, "%s",
            e->code == code && e->text[0] != '\0' ? e->text
                                                  : cn_strerror(code));
    if (code == CN_EEXIST)
        cli_say_hint(s->o, "%s", cli_hint(code));
    else if (s->o->port > 0 && s->o->port < 1024 &&
             strstr(e->text, "permission denied") != NULL)
        cli_say_hint(s->o, "ports below 1024 are for root; --port takes a "
                           "larger one, and without it any is taken");
    return code == CN_EEXIST ? CLI_REFUSED : CLI_LOCAL;
}

/* It goes on all the same, and the library goes on trying. */
static void say_not_registered(const serve *s) {
    const cn_error *e = cnode_error(s->server.node);

    cli_say(s->o, "warning: not registered yet: %s",
            e->text[0] != '\0' ? e->text : cn_strerror(CN_EEPMD));
    cli_say_hint(s->o,
                 "is EPMD running on this machine? `%s epmd` runs it, "
                 "--epmd-server serves it here, --no-epmd does without",
                 s->o->program);
}

static int start_scopes(const serve *s) {
    for (size_t i = 0; i < s->o->npg_scopes; i++) {
        const cnode_pg_opts o = {.scope = s->o->pg_scopes[i]};
        cnode_pg *pg;
        int rc = cnode_pg_start(s->server.node, &o, &pg);

        if (rc == CN_EEXIST)
            return cli_usage(s->o, "--pg-scope %s: %s", o.scope,
                             cnode_error(s->server.node)->text);
        if (rc != 0)
            return cli_fail(s->o, rc);
    }
    return 0;
}

static int start_listening(serve *s) {
    int rc;

    s->server.o = s->o;
    s->server.began_ms = cnode_now(s->server.node);
    rc = cli_serve_processes(&s->server);
    if (rc == 0)
        rc = cli_serve_functions(&s->server);
    if (rc != 0)
        return cli_fail(s->o, rc);
    rc = start_scopes(s);
    if (rc != 0)
        return rc;
    s->listening = true;
    rc = cnode_listen(s->server.node);
    s->listening = false;
    if (s->stopped)
        return 0;
    if (rc != 0)
        return say_not_listening(s, rc);
    s->log.muted = false;
    if (!s->o->no_epmd && !cnode_registered(s->server.node))
        say_not_registered(s);
    return 0;
}

/* --- connections --------------------------------------------------------- */

static void on_connected(cnode *n, const char *peer, int status,
                         const cn_error *err, void *data) {
    serve *s = data;

    (void)n;
    s->waiting--;
    for (size_t i = 0; i < s->o->nconnect; i++)
        s->up[i] = s->up[i] || strcmp(s->connect[i], peer) == 0;
    if (status != 0 && !s->stopped)
        stop(s, cli_say_unreached(s->o, peer, &s->cookie, status, err));
}

static int connect_all(serve *s) {
    cnode *n = s->server.node;

    if (s->o->address != NULL) {
        int rc = cnode_set_address(n, s->connect[0], s->o->address);

        if (rc != 0)
            return rc == CN_EBADARG ? cli_bad_address(s->o)
                                    : cli_fail(s->o, rc);
    }
    for (size_t i = 0; i < s->o->nconnect; i++) {
        int rc = cnode_connect(n, s->connect[i], on_connected, s);

        if (rc != 0)
            return cli_fail(s->o, rc);
        s->waiting++;
    }
    while (s->waiting > 0 && !s->stopped)
        (void)uv_run(&s->loop, UV_RUN_ONCE);
    return 0;
}

static int say_ready(serve *s) {
    s->ready = true;
    cli_write_begin();
    printf("CNODE READY %s %u\n", cnode_name(s->server.node),
           cnode_port(s->server.node));
    cli_deadline_unguard();
    if (s->input_ended)
        stop(s, CLI_DONE);
    return cli_flush(s->o, CLI_DONE);
}

static int run_node(serve *s) {
    int rc = start_listening(s);

    if (rc == 0 && !s->stopped)
        rc = connect_all(s);
    if (rc == 0 && !s->stopped)
        rc = cli_serve_discover(s->o, s->server.node);
    if (rc == 0 && !s->stopped)
        rc = say_ready(s);
    if (rc != 0)
        return rc;
    if (!s->stopped)
        (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    if (s->o->verbose > 0 && s->server.dropped > 0)
        cli_say(s->o, "echo dropped %llu messages that it did not know",
                (unsigned long long)s->server.dropped);
    if (s->server.unsent > 0)
        cli_say(s->o, "%llu answers could not be sent",
                (unsigned long long)s->server.unsent);
    return s->status;
}

static int run_loop(serve *s) {
    int rc = watch(s);

    if (rc != 0) {
        cli_say(s->o, "%s", uv_strerror(rc));
        rc = CLI_LOCAL;
    } else {
        rc = make_node(s);
    }
    if (rc == 0) {
        rc = run_node(s);
        s->server.stopping = true;
        cnode_free(s->server.node);
    }
    cli_lines_lost();
    uv_walk(&s->loop, close_handle, NULL);
    while (uv_run(&s->loop, UV_RUN_DEFAULT) != 0)
        ;
    (void)uv_loop_close(&s->loop);
    /* A signal that comes now must not change the status of what is over. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    return rc;
}

/* --- the command --------------------------------------------------------- */

static int no_name(const cli_options *o) {
    (void)cli_usage(o, "--name NAME[@HOST] is needed");
    cli_say_hint(o, "such as `%s -n till@127.0.0.1 serve`", o->program);
    return CLI_USAGE;
}

static bool discovers(const cli_options *o, const char *kind) {
    size_t n = strlen(kind);

    for (size_t i = 0; i < o->ndiscover; i++)
        if (strncmp(o->discover[i], kind, n) == 0 &&
            (o->discover[i][n] == '\0' || o->discover[i][n] == ':'))
            return true;
    return false;
}

/* A secret that nothing uses looks like safety. */
static int check_uses(const cli_options *o) {
    static const char *const gossip[] = {"gossip-secret-file",
                                         "gossip-interface", "gossip-group"};

    for (size_t i = 0; i < sizeof gossip / sizeof *gossip; i++)
        if (cli_options_given(o, gossip[i]) && !discovers(o, "gossip"))
            return cli_usage(o, "--%s needs --discover gossip", gossip[i]);
    return 0;
}

static int check_names(serve *s) {
    const cli_options *o = s->o;

    if (o->name == NULL)
        return no_name(o);
    if (cli_node_name(o->name, s->name) != 0)
        return cli_bad_name(o, o->name);
    for (size_t i = 0; i < o->nconnect; i++)
        if (cli_node_name(o->connect[i], s->connect[i]) != 0)
            return cli_bad_name(o, o->connect[i]);
    if (o->address != NULL && o->nconnect != 1)
        return cli_usage(o, "--address needs exactly one --connect");
    if (check_uses(o) != 0)
        return CLI_USAGE;
    return cli_serve_discover(o, NULL);
}

int cli_serve(const cli_options *o) {
    serve *s = calloc(1, sizeof *s);
    int rc;

    if (s == NULL)
        return cli_fail(o, CN_ENOMEM);
    s->o = o;
    cli_lines_drop(o->program);
    rc = check_names(s);
    if (rc == 0)
        rc = cli_cookie_read(o, &s->cookie);
    if (rc == 0)
        rc = cli_capture_open(o, &s->capture);
    if (rc == 0 && uv_loop_init(&s->loop) != 0)
        rc = cli_fail(o, CN_ENOMEM);
    else if (rc == 0)
        rc = run_loop(s);
    cli_capture_close(&s->capture);
    cli_cookie_wipe(&s->cookie);
    free(s);
    return rc;
}
