/* SPDX-License-Identifier: Apache-2.0
 *
 * call.c: apply a function on another node, with what it writes on our
 * stdout, before what it returns.
 */
#include <string.h>

#include <cnode/io.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/session.h"

typedef struct call {
    cli_session *s;
    char module[CLI_ATOM_MAX];
    char function[CLI_ATOM_MAX];
    etf_view args;
    uint32_t arity;
    cnode_io *output; /* group leader of what is called */
    bool answered;    /* status and result are there, output may still come */
    int status;
    etf_view result;
} call;

/* --- the result ---------------------------------------------------------- */

static void put_stdout(void *ctx, const void *text, size_t len) {
    (void)ctx;
    (void)fwrite(text, 1, len, stdout);
}

/* A string or binary as its bytes, nested ones too; characters beyond a byte
 * make it UTF-8. Anything else is printed as Erlang's text. */
static int print_raw(etf_view term) {
    if (cnode_io_chars(term, CNODE_IO_BYTES, put_stdout, NULL) == 0 ||
        cnode_io_chars(term, CNODE_IO_UNICODE, put_stdout, NULL) == 0)
        return 0;
    (void)etf_print_file(term, stdout);
    (void)fputc('\n', stdout);
    return 0;
}

static int print_result(cli_format format, etf_view term) {
    int rc;

    if (format == CLI_RAW)
        return print_raw(term);
    rc = format == CLI_JSON ? cli_json_print(term, stdout)
                            : etf_print_file(term, stdout);
    (void)fputc('\n', stdout);
    return rc;
}

/* --- the answer no ------------------------------------------------------- */

static void say_undef(const call *c, etf_view reason) {
    if (etf_match(reason, "undef") == 0)
        cli_say_hint(c->s->o,
                     "is the module %s loaded there, and does it export %s/%u?",
                     c->module, c->function, c->arity);
}

/* "MOD:FUN/ARITY on NODE what" */
static void say(const call *c, const char *what, etf_view term) {
    char text[2 * CLI_ATOM_MAX + CLI_NAME_MAX + 64];

    (void)snprintf(text, sizeof text, "%s:%s/%u on %s %s", c->module,
                   c->function, c->arity, c->s->peer, what);
    cli_say_term(c->s->o, text, term);
}

static void say_raised(const call *c, etf_view result) {
    etf_view class, reason;
    char what[40];

    if (etf_match(result, "{~a, ~t, _}", &class, &reason) != 0) {
        say(c, "failed: ", result);
        return;
    }
    /* As Erlang writes it: error:badarg */
    (void)snprintf(what, sizeof what,
                   "raised %.*s:", class.len > 20 ? 20 : (int)class.len,
                   (const char *)class.data);
    say(c, what, reason);
    say_undef(c, reason);
}

/* {badrpc, {'EXIT', {undef, Stack}}} and the like */
static void say_badrpc(const call *c, etf_view reason) {
    etf_view inner;

    say(c, "failed: badrpc: ", reason);
    if (etf_match(reason, "{'EXIT', {~t, _}}", &inner) == 0)
        say_undef(c, inner);
}

static int end_with(const call *c) {
    etf_view reason;
    int rc;

    if (c->s->o->rpc && etf_match(c->result, "{badrpc, ~t}", &reason) == 0) {
        say_badrpc(c, reason);
        return CLI_NO;
    }
    switch (c->status) {
    case CN_EREMOTE:
        say_raised(c, c->result);
        return CLI_NO;
    case CN_EEXITED:
        say(c, "exited: ", c->result);
        return CLI_NO;
    case CN_ENOTSUP:
        say(c, "was refused: ", c->result);
        return CLI_NO;
    default:
        break;
    }
    cli_write_begin();
    rc = print_result(c->s->o->format, c->result);
    cli_deadline_unguard();
    return rc == 0 || rc == CN_EIO ? cli_wrote(c->s->o) : cli_fail(c->s->o, rc);
}

/* --- the call ------------------------------------------------------------ */

/* Nobody reads on: there is nothing to wait for. */
static int on_output(cnode_io *io, const cnode_io_output *o, void *data) {
    call *c = data;
    bool broken;

    (void)io;
    cli_write_begin();
    (void)fwrite(o->text, 1, o->len, stdout);
    broken = fflush(stdout) != 0 || ferror(stdout);
    cli_deadline_unguard();
    if (broken && !c->s->ended)
        cli_session_end(c->s, cli_wrote(c->s->o));
    return broken ? CN_EIO : 0;
}

/* What was asked to be written before the answer came is. */
static void on_idle(cnode_io *io, void *data) {
    call *c = data;

    if (!c->answered || cnode_io_waiting(io) > 0)
        return;
    c->answered = false;
    cli_session_end(c->s, end_with(c));
}

static void on_result(cnode_proc *p, int status, etf_view result, void *data) {
    call *c = data;

    (void)p;
    if (cli_is_answer(status))
        status = etf_copy(NULL, result, &c->result) == 0 ? status : CN_ENOMEM;
    if (!cli_is_answer(status)) {
        cli_session_fail(c->s, status);
        return;
    }
    c->status = status;
    c->answered = true;
    on_idle(c->output, c);
}

static void start_call(cli_session *s) {
    call *c = s->data;
    etf_pid leader;
    cnode_rpc_opts to = {.node = s->peer,
                         .module = c->module,
                         .function = c->function,
                         .group_leader = &leader,
                         .timeout_ms = UINT32_MAX,
                         .by_rex = s->o->rpc};
    const cnode_io_config output = {.on_output =
                                        s->o->no_output ? NULL : on_output,
                                    .on_idle = on_idle,
                                    .data = c,
                                    .format_ms = UINT32_MAX};
    int rc = cnode_io_start(&c->output, s->node, &output);

    if (rc == 0) {
        leader = cnode_io_pid(c->output);
        rc = cnode_rpc(s->proc, &to, on_result, c, "~t", c->args);
    }
    if (rc != 0)
        cli_session_fail(s, rc);
}

/* leader NULL: none is there. */
static void cast(call *c, const etf_pid *leader) {
    cnode_rpc_opts to = {.node = c->s->peer,
                         .module = c->module,
                         .function = c->function,
                         .group_leader = leader};
    int rc = cnode_rpc_cast(c->s->proc, &to, "~t", c->args);

    if (rc != 0)
        cli_session_fail(c->s, rc);
    else
        cli_session_end_when_taken(c->s);
}

static void on_user(cnode_proc *p, int status, etf_view result, void *data) {
    call *c = data;
    etf_pid user;

    (void)p;
    if (status == 0 && etf_match(result, "~p", &user) == 0)
        cast(c, &user);
    else if (cli_is_answer(status))
        cast(c, NULL);
    else
        cli_session_fail(c->s, status);
}

/* What it writes goes to the process `user` there: with a group leader here it
 * would fail as soon as we are gone. */
static void start_cast(cli_session *s) {
    etf_pid self = cnode_self(s->proc);
    cnode_rpc_opts to = {.node = s->peer,
                         .module = "erlang",
                         .function = "whereis",
                         .group_leader = &self,
                         .timeout_ms = UINT32_MAX};
    int rc = cnode_rpc(s->proc, &to, on_user, s->data, "[user]");

    if (rc != 0)
        cli_session_fail(s, rc);
}

/* --- the command --------------------------------------------------------- */

static bool proper_list(etf_view term, uint32_t *n) {
    etf_reader r;

    etf_reader_init(&r, term);
    *n = etf_get_list(&r);
    for (uint32_t i = 0; i < *n; i++)
        etf_skip(&r);
    etf_get_tail(&r);
    return etf_reader_finish(&r) == 0;
}

/* Written as in Erlang: lists:seq(1,10). */
static int not_mod_fun(const cli_options *o) {
    const char *text = o->args[1], *open = strchr(text, '(');
    const char *close = strrchr(text, ')');

    (void)cli_usage(o, "not MOD:FUN, such as lists:seq: %s", text);
    if (open != NULL && close != NULL && close > open && close[1] == '\0' &&
        strchr(open, '\'') == NULL)
        cli_say_hint(o,
                     "the arguments are a list of their own: `%s %s NODE %.*s "
                     "'[%.*s]'`",
                     o->program, o->command_name, (int)(open - text), text,
                     (int)(close - open - 1), open + 1);
    else
        cli_say_hint(o,
                     "`%s %s NODE lists:seq '[1,10]'` is how it is written; a "
                     "name with blanks or brackets is quoted as in Erlang",
                     o->program, o->command_name);
    return CLI_USAGE;
}

static int read_args(const cli_options *o, etf_writer *w, call *c) {
    int rc;

    if (cli_mod_fun(o->args[1], c->module, c->function) != 0)
        return not_mod_fun(o);
    rc = cli_parse_argument(o, w, "ARGS", o->nargs > 2 ? o->args[2] : "[]",
                            &c->args);
    if (rc == 0 && !proper_list(c->args, &c->arity))
        rc = cli_usage(o, "ARGS must be a list, such as '[1,10]'");
    return rc;
}

static int run(const cli_options *o, void (*start)(cli_session *s)) {
    call c = {0};
    cli_session s = {.o = o, .start = start, .data = &c};
    etf_writer w;
    int rc;

    c.s = &s;
    etf_writer_init(&w, NULL);
    rc = read_args(o, &w, &c);
    if (rc == 0)
        rc = cli_session_run(&s, o->args[0]);
    etf_copy_free(NULL, c.result);
    etf_writer_free(&w);
    return rc;
}

int cli_call(const cli_options *o) {
    return run(o, start_call);
}

int cli_cast(const cli_options *o) {
    return run(o, start_cast);
}
