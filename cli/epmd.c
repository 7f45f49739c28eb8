/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd.c: the port mapper: serves until a signal or a KILL, or, with --names,
 * --kill and --stop, asks the one that serves.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <uv.h>

#include <epmd/epmd.h>

#include "cli/commands.h"
#include "cli/deadline.h"
#include "cli/report.h"
#include "cli/session.h"

enum { DEBUG_OLD = 5 /* names that OTP's epmd remembers with -d */ };

/* --- asking --------------------------------------------------------------- */

typedef struct question {
    const cli_options *o;
    int status;
} question;

static bool is(const char *text, size_t len, const char *what) {
    return len == strlen(what) && memcmp(text, what, len) == 0;
}

static int refused(const question *q) {
    if (q->o->stop != NULL) {
        cli_say(q->o, "EPMD does not allow it");
        cli_say_hint(q->o, "it does when started with --relaxed-command-check");
    } else {
        cli_say(q->o, "EPMD does not end: nodes are registered");
        cli_say_hint(q->o, "stop them, or start it with "
                           "--relaxed-command-check next time");
    }
    return CLI_NO;
}

static int read_answer(const question *q, const char *text, size_t len) {
    if (is(text, len, "OK") || is(text, len, "STOPPED"))
        return CLI_DONE;
    if (len == 0 || is(text, len, "NO"))
        return refused(q);
    if (is(text, len, "NOEXISTSTOPPED") || is(text, len, "NOEXIST")) {
        cli_say(q->o, "no node %s is registered", q->o->stop);
        return CLI_NO;
    }
    cli_say(q->o, "what answers is not an EPMD");
    return CLI_UNREACHED;
}

static void on_answer(void *data, int status, const cn_error *err,
                      const char *text, size_t len) {
    question *q = data;

    if (status == 0) {
        q->status = read_answer(q, text, len);
        return;
    }
    cli_say(q->o, "%s", err->text);
    if (status == CN_EEPMD)
        cli_say_hint(q->o, "does it run? --port and $ERL_EPMD_PORT tell where");
    else if (cli_hint(status) != NULL)
        cli_say_hint(q->o, "%s", cli_hint(status));
    q->status = status == CN_ELIMIT ? CLI_UNREACHED : cli_status(status);
}

static int ask(const cli_options *o) {
    question q = {o, CLI_LOCAL};
    epmd_config config = {.port = o->port,
                          .timeout_ms = cli_deadline_left_ms()};
    epmd_op op = o->kill ? EPMD_KILL_REQ : EPMD_STOP_REQ;
    epmd_request *request;
    uv_loop_t loop;
    int rc;

    if (uv_loop_init(&loop) != 0)
        return cli_fail(o, CN_ENOMEM);
    rc = epmd_ask(&request, &loop, &config, op, o->stop, on_answer, &q);
    if (rc == 0)
        (void)uv_run(&loop, UV_RUN_DEFAULT);
    else if (rc == CN_EBADARG || rc == CN_ELIMIT)
        q.status = cli_usage(o, "%s is no name of a node", o->stop);
    else
        q.status = cli_fail(o, rc);
    (void)uv_loop_close(&loop);
    return q.status;
}

static int names(const cli_options *o) {
    cli_options same = *o;

    same.epmd_port = o->port;
    return cli_names(&same);
}

/* --- serving -------------------------------------------------------------- */

typedef struct daemon_state {
    const cli_options *o;
    cli_log log;
    uv_loop_t loop;
    uv_signal_t sigterm, sigint;
    epmd_service *service;
    bool ending;
} daemon_state;

static void end(daemon_state *d) {
    if (d->ending)
        return;
    d->ending = true;
    if (d->service != NULL)
        epmd_service_close(d->service, NULL, NULL);
    uv_close((uv_handle_t *)&d->sigterm, NULL);
    uv_close((uv_handle_t *)&d->sigint, NULL);
}

static void on_signal(uv_signal_t *h, int number) {
    (void)number;
    end(h->data);
}

static void on_killed(void *data) {
    end(data);
}

/* Each node that is registered needs one. */
static void allow_descriptors(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve_failed(const daemon_state *d, int rc, const cn_error *err) {
    cli_say(d->o, "%s", err->text);
    if (rc == CN_EEXIST)
        cli_say_hint(d->o, "EPMD runs there already; --port gives another");
    return rc == CN_EBADARG || rc == CN_ELIMIT ? CLI_USAGE : CLI_LOCAL;
}

static int start(daemon_state *d) {
    const cli_options *o = d->o;
    epmd_service_config config = {
        .addresses =
            o->address != NULL ? o->address : getenv("ERL_EPMD_ADDRESS"),
        .port = o->port,
        .any_port = cli_options_given(o, "port"),
        .server = {.relaxed = o->relaxed ||
                              getenv("ERL_EPMD_RELAXED_COMMAND_CHECK") != NULL,
                   .max_old = o->debug ? (uint32_t)DEBUG_OLD : 0,
                   .log = cli_log_hook(&d->log)}};
    cn_error err;
    int rc;

    if (o->debug)
        config.server.log.level = CN_LOG_DEBUG;
    rc = epmd_serve(&d->service, &d->loop, &config, on_killed, d, &err);
    return rc == 0 ? 0 : serve_failed(d, rc, &err);
}

static int watch(daemon_state *d) {
    if (uv_signal_init(&d->loop, &d->sigterm) != 0 ||
        uv_signal_init(&d->loop, &d->sigint) != 0 ||
        uv_signal_start(&d->sigterm, on_signal, SIGTERM) != 0 ||
        uv_signal_start(&d->sigint, on_signal, SIGINT) != 0)
        return cli_fail(d->o, CN_EIO);
    d->sigterm.data = d->sigint.data = d;
    return 0;
}

static int say_ready(const daemon_state *d) {
    printf("CNODE READY epmd %u\n", (unsigned)epmd_service_port(d->service));
    return cli_wrote(d->o);
}

/* Also when it does not serve: what was begun has to be closed. */
static int run(daemon_state *d) {
    int status = start(d);

    if (status == 0)
        status = say_ready(d);
    if (status != 0)
        end(d);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    return status;
}

static int serve(const cli_options *o) {
    daemon_state d = {.o = o, .log = {.o = o}};
    int status;

    allow_descriptors();
    if (uv_loop_init(&d.loop) != 0)
        return cli_fail(o, CN_ENOMEM);
    status = watch(&d);
    if (status == 0)
        status = run(&d);
    (void)uv_loop_close(&d.loop);
    return status;
}

int cli_epmd(const cli_options *o) {
    if (o->list_names + o->kill + (o->stop != NULL) > 1)
        return cli_usage(o, "only one of --names, --kill and --stop");
    if (o->list_names)
        return names(o);
    return o->kill || o->stop != NULL ? ask(o) : serve(o);
}
