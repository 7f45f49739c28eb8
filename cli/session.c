/* SPDX-License-Identifier: Apache-2.0
 *
 * session.c: make a node, connect it, run a command on it, all before a
 * deadline.
 *
 * Without --name the peer gives this node a name for the time of the
 * connection. One that cannot (OTP 22 and older) breaks the handshake off;
 * then it is tried once more with a name of our own.
 */
#include "cli/session.h"

#include <string.h>

#include "cli/lines.h"

/* --- log ----------------------------------------------------------------- */

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    const cli_log *log = ctx;
    char line[1024];

    if (log->o->verbose < 0 || (log->muted && log->o->verbose == 0))
        return;
    (void)snprintf(line, sizeof line, "%s", text);
    cli_tame(line);
    cli_line("%s: %s: %s: %s", log->o->program, names[level], where, line);
}

/* A payload may be of any size: its beginning is enough to see what it is. */
static void on_frame(cnode *n, const char *peer, bool in, const char *text,
                     etf_view payload, void *data) {
    const cli_log *log = data;
    char term[2048] = "";

    (void)n;
    if (payload.len > 0 && etf_print(payload, term, sizeof term) >= sizeof term)
        memcpy(term + sizeof term - 4, "...", 4);
    cli_line("%s: %s %s %s%s%s", log->o->program, in ? "from" : "to", peer,
             text, *term != '\0' ? " " : "", term);
}

static cn_level level_of(const cli_options *o) {
    return o->verbose > 1   ? CN_LOG_DEBUG
           : o->verbose > 0 ? CN_LOG_INFO
                            : CN_LOG_WARN;
}

cn_log cli_log_hook(cli_log *log) {
    return (cn_log){on_log, log, level_of(log->o)};
}

/* --- the node ------------------------------------------------------------ */

void cli_node_config(cli_log *log, const cli_cookie *c, cnode_config *out) {
    const cli_options *o = log->o;

    memset(out, 0, sizeof *out);
    out->cookie = c->own ? c->text : NULL;
    out->visible = o->visible;
    out->epmd_port = o->epmd_port;
    out->max_frame = o->max_frame;
    out->data = log;
    out->log = cli_log_hook(log);
    if (o->verbose > 1)
        out->on_frame = on_frame;
}

int cli_say_no_node(const cli_options *o, const cli_cookie *c, int status,
                    const cn_error *err) {
    cli_say(o, "%s", err->text[0] != '\0' ? err->text : cn_strerror(status));
    if (status == CN_EIO && !c->own)
        cli_say_hint(o, "--cookie-file FILE or $CNODE_COOKIE gives the cookie "
                        "of the nodes there");
    return cli_status(status);
}

static const char *text_of(int status, const cn_error *err) {
    return err != NULL && err->code == status && err->text[0] != '\0'
               ? err->text
               : cn_strerror(status);
}

/* What answered is a node, only not this one. */
static const char *hint_of(int status, const char *text) {
    if (status == CN_EPROTO && strstr(text, "says that its name is") != NULL)
        return "a node answers to no other name than that; is the port "
               "(--address, --epmd-port) of the node that was meant?";
    return cli_hint(status == CN_ELIMIT ? CN_EPROTO : status);
}

int cli_bad_address(const cli_options *o) {
    return cli_usage(o, "--address needs HOST:PORT, [v6]:PORT or unix:PATH");
}

/* Some texts have the name in front already. */
static void say_of(const cli_options *o, const char *peer, const char *text) {
    if (strncmp(text, peer, strlen(peer)) == 0)
        cli_say(o, "%s", text);
    else
        cli_say(o, "%s: %s", peer, text);
}

int cli_say_unreached(const cli_options *o, const char *peer,
                      const cli_cookie *c, int status, const cn_error *err) {
    const char *text = text_of(status, err);
    const char *hint = hint_of(status, text);

    if (status == CN_EBADARG && o->address != NULL)
        return cli_bad_address(o);
    if (status == CN_ECOOKIE && c->own)
        cli_say(o, "cookie rejected by %s: this node used %s", peer, c->source);
    else if (status == CN_ECOOKIE)
        cli_say(o, "%s", text);
    else
        say_of(o, peer, text);
    if (hint != NULL)
        cli_say_hint(o, "%s", hint);
    /* More than a peer that is a node would send. */
    return status == CN_ELIMIT ? CLI_UNREACHED : cli_status(status);
}

/* --- the session --------------------------------------------------------- */

void cli_session_end(cli_session *s, int status) {
    if (s->ended)
        return;
    s->ended = true;
    s->status = status;
    cnode_stop(s->node);
}

/* More than is taken, from a peer that is a node. */
static int say_too_large(const cli_options *o, const char *peer,
                         const cn_error *err) {
    say_of(o, peer, text_of(CN_ELIMIT, err));
    cli_say_hint(o, "--max-frame BYTES takes larger messages");
    return CLI_UNREACHED;
}

/* With the verdict, if the command has one, as part of its name. */
static int say_failed(const cli_session *s, int status, const cn_error *err) {
    cli_options o = *s->o;
    char name[40];

    if (s->verdict != NULL && status != CN_EBADARG) {
        (void)snprintf(name, sizeof name, "%s: %s", o.command_name, s->verdict);
        o.command_name = name;
    }
    if (s->up && status == CN_ELIMIT)
        return say_too_large(&o, s->peer, err);
    return cli_say_unreached(&o, s->peer, &s->cookie, status, err);
}

void cli_session_fail(cli_session *s, int code) {
    cn_error e = *cnode_error(s->node);

    /* Closed where it was up: that is no handshake that broke. */
    if (s->up && code == CN_ECLOSED && e.code == code)
        e.code = code = CN_ENOCONN;
    cli_session_end(s, say_failed(s, code, &e));
}

bool cli_is_answer(int status) {
    return status == 0 || status == CN_EREMOTE || status == CN_EEXITED ||
           status == CN_ENOTSUP;
}

int cli_session_ping(cli_session *s, cnode_call_cb cb) {
    cnode_call_opts to = {
        .node = s->peer, .server = "net_kernel", .timeout_ms = UINT32_MAX};

    return cnode_call(s->proc, &to, cb, s, "{is_auth, ~a}",
                      cnode_name(s->node));
}

static void on_taken(cnode_proc *p, int status, etf_view result, void *data) {
    (void)p;
    (void)result;
    if (status == 0)
        cli_session_end(data, CLI_DONE);
    else
        cli_session_fail(data, status);
}

void cli_session_end_when_taken(cli_session *s) {
    int rc = cli_session_ping(s, on_taken);

    if (rc != 0)
        cli_session_fail(s, rc);
}

static void on_deadline(cnode_proc *p, void *arg) {
    cli_session *s = arg;
    cn_error e = {.code = CN_ETIMEDOUT};

    (void)p;
    if (s->ended || cli_deadline_left_ms() == UINT32_MAX)
        return;
    (void)snprintf(e.text, sizeof e.text, "no answer within %g s",
                   s->o->timeout_s);
    cli_session_end(s, say_failed(s, CN_ETIMEDOUT, &e));
}

static bool gives_no_names(int status) {
    return status == CN_ECLOSED || status == CN_ENOTALLOWED ||
           status == CN_EFLAGS || status == CN_ENOTSUP;
}

enum { AGAIN = -1 }; /* the exit status that is none */

static void on_connected(cnode *n, const char *peer, int status,
                         const cn_error *err, void *data) {
    cli_session *s = data;

    (void)n;
    (void)peer;
    if (s->ended)
        return;
    if (status == 0) {
        s->up = true;
        s->start(s);
        return;
    }
    if (s->may_rename && gives_no_names(status)) {
        cli_session_end(s, AGAIN);
        return;
    }
    cli_session_end(s, say_failed(s, status, err));
}

static int prepare(cli_session *s) {
    int rc = cnode_spawn(s->node, &(cnode_proc_config){.data = s}, &s->proc);

    if (rc == 0)
        rc = cnode_after(s->proc, cli_deadline_left_ms(), on_deadline, s);
    if (rc == 0 && s->o->address != NULL)
        rc = cnode_set_address(s->node, s->peer, s->o->address);
    if (rc == 0)
        rc = cnode_connect(s->node, s->peer, on_connected, s);
    if (rc == CN_EBADARG && s->o->address != NULL)
        return cli_bad_address(s->o);
    return rc == 0 ? 0 : cli_fail(s->o, rc);
}

static int make_node(cli_session *s, const char *name) {
    cnode_config config;
    cn_error error = {0};
    int rc;

    s->log = (cli_log){s->o, true};
    cli_node_config(&s->log, &s->cookie, &config);
    config.name = name;
    config.no_takeover = true;
    config.capture = s->capture.capture;
    config.error = &error;
    rc = cnode_new(&s->node, &config);
    return rc == 0 ? 0 : cli_say_no_node(s->o, &s->cookie, rc, &error);
}

/* Taking leave of a peer that does not read, or of a name that the operating
 * system is looking up, takes longer than the command may. */
static void free_in_time(cli_session *s, int status) {
    if (status != AGAIN)
        cli_deadline_guard(status, NULL);
    cnode_free(s->node);
    if (status != AGAIN)
        cli_deadline_unguard();
}

static int run_as(cli_session *s, const char *name) {
    int rc = make_node(s, name);

    if (rc != 0)
        return rc;
    s->ended = false;
    rc = prepare(s);
    if (rc == 0) {
        rc = cnode_run(s->node);
        rc = s->ended ? s->status : cli_fail(s->o, rc);
    }
    if (rc != AGAIN)
        rc = cli_flush(s->o, rc);
    free_in_time(s, rc);
    return rc;
}

/* name NULL: the peer gives one. */
static int run_twice(cli_session *s, const char *name) {
    char own[CLI_NAME_MAX];
    int status;

    s->may_rename = name == NULL;
    status = run_as(s, name);
    if (status != AGAIN)
        return status;
    s->may_rename = false;
    cli_own_name(s->peer, own);
    return run_as(s, own);
}

int cli_session_run(cli_session *s, const char *peer) {
    const char *given = s->o->name;
    char own[CLI_NAME_MAX];
    int rc;

    if (cli_node_name(peer, s->peer) != 0)
        return cli_bad_name(s->o, peer);
    if (given != NULL && cli_node_name(given, own) != 0)
        return cli_bad_name(s->o, given);
    if (given != NULL && strcmp(own, s->peer) == 0)
        return cli_usage(s->o,
                         "%s is the name of this node itself: --name gives it "
                         "another one",
                         own);
    rc = cli_cookie_read(s->o, &s->cookie);
    if (rc == 0)
        rc = cli_capture_open(s->o, &s->capture);
    if (rc == 0)
        rc = run_twice(s, given != NULL ? own : NULL);
    cli_capture_close(&s->capture);
    cli_cookie_wipe(&s->cookie);
    return rc;
}
