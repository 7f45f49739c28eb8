/* SPDX-License-Identifier: Apache-2.0
 *
 * report.h: exit statuses, and how a failure is told: one line of what
 * happened with whom on stderr, and one line `hint:` where something can be
 * done about it.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdio.h>

#include <ext_term/ext_term.h>

#include "cli/options.h"

enum {
    CLI_DONE = 0,
    CLI_NO = 1,    /* the other side answered, and the answer is no */
    CLI_USAGE = 2, /* nothing was sent */
    CLI_UNREACHED = 3,
    CLI_REFUSED = 4,
    CLI_TIMEOUT = 5,
    CLI_LOCAL = 6
};

/* The exit status that a CN_E* code ends a command with. */
int cli_status(int code);
/* What can be done about it, or NULL. */
const char *cli_hint(int code);

/* What a line begins with: "cnode: COMMAND: ". Returns out. */
#define CLI_LINE_START 120
const char *cli_line_start(const cli_options *o, char out[CLI_LINE_START]);
/* A line to stderr that begins so, unless --quiet. */
void cli_say(const cli_options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void cli_say_hint(const cli_options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same with a term behind the context, of a large one its beginning. */
void cli_say_term(const cli_options *o, const char *context, etf_view term);

/* Bad usage: says so even when quiet, because it is a mistake in the program
 * that runs this. Returns CLI_USAGE. */
int cli_usage(const cli_options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same of a word that is not the name of a node. */
int cli_bad_name(const cli_options *o, const char *name);
/* A local failure with a code: out of memory and the like. Returns its
 * status. */
int cli_fail(const cli_options *o, int code);

/* A term from the argument that the usage calls `what`: parses it, or says
 * where it is wrong and returns an exit status. */
int cli_parse_argument(const cli_options *o, etf_writer *w, const char *what,
                       const char *text, etf_view *out);
/* Can the term of a text be one? Not every text of a map is: its keys may be
 * equal. 0, or an exit status after telling why. */
int cli_check_term(const cli_options *o, const char *what, etf_view term);
/* Tells where a text is no term and why; returns an exit status. */
int cli_bad_text(const cli_options *o, int code, const char *what,
                 const char *text, const etf_error *e);

/* Before a result is written: --timeout is for that as well. Ends with
 * cli_deadline_unguard. */
void cli_write_begin(void);
/* Right after the result was written: CLI_DONE, or CLI_LOCAL with the reason
 * told when stdout did not take it; see cli_pipe_end. */
int cli_wrote(const cli_options *o);
/* The same at the end of a command, for all that it wrote, unless it failed
 * with CLI_LOCAL anyway; else status. */
int cli_flush(const cli_options *o, int status);

/* --- nobody reads standard output any more, as behind `| head` --- */
bool cli_nobody_reads(void);
/* Before anything else: then a write fails like any other. */
void cli_pipe_begin(void);
/* At the end. When that was why a result could not be written, the program ends
 * as others do, by SIGPIPE and without a word. Was that signal ignored when it
 * was started, the reason was told instead, and this returns status. */
int cli_pipe_end(int status);

#endif
