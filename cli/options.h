/* SPDX-License-Identifier: Apache-2.0
 *
 * options.h: the command line as a struct. Options may stand before or after
 * the command word; each command knows which of them it takes.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_MAX_CONNECT 64

/* One bit a command; an option says with them who it is for. */
enum {
    CLI_PING = 1 << 0,
    CLI_NAMES = 1 << 1,
    CLI_CALL = 1 << 2,
    CLI_CAST = 1 << 3,
    CLI_SEND = 1 << 4,
    CLI_TERM = 1 << 5,
    CLI_SERVE = 1 << 6,
    CLI_DUMP = 1 << 7,
    CLI_GLOBAL = 1 << 8,
    CLI_PG = 1 << 9,
    CLI_EPMD = 1 << 10,
    CLI_FILES = CLI_TERM | CLI_DUMP, /* no connections, no hurry */
    CLI_PEER = CLI_PING | CLI_CALL | CLI_CAST | CLI_SEND | CLI_GLOBAL | CLI_PG,
    CLI_NODE = CLI_PEER | CLI_SERVE,
    CLI_ALL = CLI_NODE | CLI_NAMES | CLI_TERM | CLI_DUMP | CLI_EPMD
};

typedef enum cli_format {
    CLI_ERLANG,
    CLI_JSON,
    CLI_RAW,
    CLI_ETF,
    CLI_HEX
} cli_format;

typedef struct cli_options {
    const char *program;      /* the last part of argv[0] */
    const char *command_name; /* the first word, or NULL */
    char **args;              /* the words after it; points into argv */
    size_t nargs;
    uint32_t given[2]; /* options that were given, see options.c */

    const char *name;
    bool visible;
    const char *cookie_file;
    int cookie_fd; /* -1: none */
    const char *cookie;
    const char *tls;
    const char *address;
    uint16_t epmd_port;  /* 0: the default */
    double timeout_s;    /* as it was given */
    uint32_t timeout_ms; /* 0: no limit */
    cli_format format;
    int verbose;      /* -1 quiet, 0, 1, 2 */
    size_t max_frame; /* 0: the default */
    bool help;
    bool version;

    const char *capture; /* NULL: none */
    size_t capture_max;  /* 0: the default */
    bool json;           /* dump, global, pg */

    bool rpc;       /* call, cast */
    bool no_output; /* call */

    cli_format from, to; /* term */

    const char *connect[CLI_MAX_CONNECT]; /* serve */
    size_t nconnect;
    bool no_epmd;
    bool stdin_eof;
    uint16_t port;
    uint32_t ticktime_s;
    uint32_t setup_ms;

    const char *discover[CLI_MAX_CONNECT]; /* serve */
    size_t ndiscover;
    const char *gossip_secret_file;
    const char *gossip_interface;
    const char *gossip_group;

    bool epmd_server; /* serve */

    bool relaxed; /* epmd */
    bool debug;
    bool list_names;
    bool kill;
    const char *stop;  /* NULL: none */
    bool full;         /* serve: a member of global */
    bool sync;         /* global */
    const char *scope; /* pg; NULL: the default */
    const char *join;  /* NULL: nothing */
    bool watch;
    const char *pg_scopes[CLI_MAX_CONNECT]; /* serve */
    size_t npg_scopes;
} cli_options;

/* Fills o from the command line; argv is reordered. 0, or -1 when it makes no
 * sense: then why says so, in at most cap bytes. */
int cli_options_parse(cli_options *o, int argc, char **argv, char *why,
                      size_t cap);
/* After the command is known: does it take all that was given? */
int cli_options_check(const cli_options *o, unsigned command, char *why,
                      size_t cap);
/* The text of $ERL_EPMD_PORT where the command would use it and it is no port;
 * NULL: all is well. Empty counts as not set. */
const char *cli_options_bad_epmd_port(const cli_options *o, unsigned command);
/* Was it given? */
bool cli_options_given(const cli_options *o, const char *name);
/* Prints the options that the command takes; 0: those of most commands. */
void cli_options_help(unsigned command);

#endif
