/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c: status codes as exit statuses and advice.
 */
#include "cli/report.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli/deadline.h"
#include "cli/lines.h"
#include "cli/text.h"

int cli_status(int code) {
    switch (code) {
    case CN_OK:
        return CLI_DONE;
    case CN_EREMOTE:
    case CN_EEXITED:
    case CN_ENOPROC:
    case CN_ENOTSUP:
        return CLI_NO;
    case CN_EBADARG:
    case CN_ESYNTAX:
        return CLI_USAGE;
    case CN_EHOST:
    case CN_EEPMD:
    case CN_ENOENT:
    case CN_EREFUSED:
    case CN_ECLOSED:
    case CN_EPROTO:
    case CN_ENOCONN:
        return CLI_UNREACHED;
    case CN_ECOOKIE:
    case CN_ENOTALLOWED:
    case CN_EFLAGS:
    case CN_EVERSION:
    case CN_EEXIST:
    case CN_ETLS:
        return CLI_REFUSED;
    case CN_ETIMEDOUT:
        return CLI_TIMEOUT;
    default:
        return CLI_LOCAL;
    }
}

const char *cli_hint(int code) {
    switch (code) {
    case CN_EHOST:
        return "is the host's name spelt right and known here (DNS, "
               "/etc/hosts)?";
    case CN_EEPMD:
        return "does a node run there, and may we reach its port mapper "
               "(firewall, --epmd-port)? --address HOST:PORT goes without it";
    case CN_ENOENT:
        return "no node of that name runs there; `cnode names HOST` lists "
               "those that do";
    case CN_EREFUSED:
        return "the node is gone, or a firewall is between";
    case CN_ECLOSED:
        return "does the node use TLS distribution, or another cookie? its "
               "log tells more";
    case CN_EPROTO:
        return "are name and port right (--epmd-port, --address), and is it "
               "an Erlang node without TLS?";
    case CN_ECOOKIE:
        return "the nodes of a cluster share one cookie; --cookie-file or "
               "$CNODE_COOKIE gives it";
    case CN_ENOCONN:
        return "the node has ended, or has dropped the connection; its log "
               "may tell why";
    case CN_ENOTALLOWED:
        return "the node has a list of nodes it allows "
               "(net_kernel:allow/1); choose a name in it with --name";
    case CN_EFLAGS:
    case CN_EVERSION:
        return "OTP 25 or newer is needed there";
    case CN_EEXIST:
        return "another node uses this name; choose one with --name";
    case CN_ETIMEDOUT:
        return "--timeout SECONDS gives more time";
    default:
        return NULL;
    }
}

static void line(const char *before, const char *fmt, va_list ap) {
    char text[CLI_LINE_MAX];

    (void)vsnprintf(text, sizeof text, fmt, ap);
    cli_tame(text);
    cli_line("%s%s", before, text);
}

const char *cli_line_start(const cli_options *o, char out[CLI_LINE_START]) {
    if (o->command_name != NULL)
        (void)snprintf(out, CLI_LINE_START, "%.50s: %.50s: ", o->program,
                       o->command_name);
    else
        (void)snprintf(out, CLI_LINE_START, "%.50s: ", o->program);
    return out;
}

static void line_of(const cli_options *o, const char *fmt, va_list ap) {
    char before[CLI_LINE_START];

    line(cli_line_start(o, before), fmt, ap);
}

void cli_say(const cli_options *o, const char *fmt, ...) {
    va_list ap;

    if (o->verbose < 0)
        return;
    va_start(ap, fmt);
    line_of(o, fmt, ap);
    va_end(ap);
}

void cli_say_hint(const cli_options *o, const char *fmt, ...) {
    va_list ap;

    if (o->verbose < 0)
        return;
    va_start(ap, fmt);
    line("hint: ", fmt, ap);
    va_end(ap);
}

void cli_say_term(const cli_options *o, const char *context, etf_view term) {
    char text[4096];

    if (etf_print(term, text, sizeof text) >= sizeof text)
        memcpy(text + sizeof text - 4, "...", 4);
    cli_say(o, "%s%s", context, text);
}

int cli_usage(const cli_options *o, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    line_of(o, fmt, ap);
    va_end(ap);
    return CLI_USAGE;
}

int cli_bad_name(const cli_options *o, const char *name) {
    (void)cli_usage(o, "bad node name: %s", name);
    cli_say_hint(o, "NAME@HOST is one, or NAME alone for this machine; without "
                    "blanks");
    return CLI_USAGE;
}

int cli_bad_text(const cli_options *o, int code, const char *what,
                 const char *text, const etf_error *e) {
    const char *why = code == CN_ESYNTAX  ? "syntax error"
                      : code == CN_ERANGE ? "number too large"
                      : code == CN_ELIMIT ? "too long, or nested too deep,"
                      : code == CN_EEXIST ? "only one term is taken: another"
                                          : NULL;
    size_t row, column;

    if (code == CN_ENOENT)
        return cli_usage(o, "%s: no term", what);
    if (why == NULL)
        return cli_fail(o, code);
    cli_position(text, e->at, &row, &column);
    return cli_usage(o, "%s: %s at line %zu, column %zu%s%s", what, why, row,
                     column, code == CN_ESYNTAX ? ": " : "",
                     code == CN_ESYNTAX ? e->what : "");
}

int cli_parse_argument(const cli_options *o, etf_writer *w, const char *what,
                       const char *text, etf_view *out) {
    etf_error e;
    int rc = cli_parse_text(w, text, strlen(text), &e), status;

    if (rc == 0)
        rc = etf_writer_finish(w, out);
    if (rc == 0)
        return cli_check_term(o, what, *out);
    status = cli_bad_text(o, rc, what, text, &e);
    if (rc == CN_ESYNTAX || rc == CN_ENOENT)
        cli_say_hint(o, "a term is written as in Erlang, such as "
                        "[1,{tea,\"kg\"},'Name'], and quoted for the shell");
    return status;
}

int cli_check_term(const cli_options *o, const char *what, etf_view term) {
    etf_error e;

    if (etf_check(NULL, NULL, term, &e) == 0)
        return 0;
    return e.code == CN_ENOMEM
               ? cli_fail(o, e.code)
               : cli_usage(o, "%s: not a term: %s", what, e.what);
}

int cli_fail(const cli_options *o, int code) {
    cli_say(o, "%s", cn_strerror(code));
    if (cli_hint(code) != NULL)
        cli_say_hint(o, "%s", cli_hint(code));
    return cli_status(code);
}

bool cli_nobody_reads(void) {
    struct pollfd out = {.fd = STDOUT_FILENO};

    return poll(&out, 1, 0) > 0 && (out.revents & POLLERR) != 0;
}

static bool ends_by_signal; /* SIGPIPE, if that comes to it */
static bool reader_is_gone;

void cli_pipe_begin(void) {
    ends_by_signal = signal(SIGPIPE, SIG_IGN) != SIG_IGN;
}

int cli_pipe_end(int status) {
    if (reader_is_gone) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)raise(SIGPIPE);
    }
    return status;
}

/* errno may be of what came after the write. */
static int say_unwritten(const cli_options *o) {
    if (ends_by_signal && (errno == EPIPE || cli_nobody_reads())) {
        reader_is_gone = true;
        return CLI_LOCAL;
    }
    cli_say(o, "cannot write the result: %s",
            errno != 0 ? strerror(errno) : "standard output failed");
    return CLI_LOCAL;
}

void cli_write_begin(void) {
    cli_deadline_guard(CLI_TIMEOUT, "the result could not be written");
}

static bool flushed(void) {
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}

int cli_wrote(const cli_options *o) {
    bool well;

    cli_write_begin();
    well = flushed();
    cli_deadline_unguard();
    return well ? CLI_DONE : say_unwritten(o);
}

int cli_flush(const cli_options *o, int status) {
    bool well;

    if (status == CLI_LOCAL)
        return status;
    errno = 0;
    /* What failed has been told already. */
    if (status == CLI_DONE)
        cli_write_begin();
    else
        cli_deadline_guard(status, NULL);
    well = flushed();
    cli_deadline_unguard();
    return well ? status : say_unwritten(o);
}
