/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: the `cnode` command: the table of commands, and help for each.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/deadline.h"
#include "cli/lines.h"
#include "cli/report.h"

typedef struct command {
    const char *name;
    unsigned bit;
    const char *args;
    size_t min, max; /* words after the command */
    int (*run)(const cli_options *o);
    const char *help;
} command;

static const command table[] = {
    {"ping", CLI_PING, "NODE", 1, 1, cli_ping,
     "is the node there, and does it let us in?"},
    {"names", CLI_NAMES, "[HOST]", 0, 1, cli_names,
     "list the nodes that EPMD knows on a host"},
    {"call", CLI_CALL, "NODE MOD:FUN [ARGS]", 2, 3, cli_call,
     "apply a function there and print what it returns"},
    {"cast", CLI_CAST, "NODE MOD:FUN [ARGS]", 2, 3, cli_cast,
     "apply a function there and wait for nothing"},
    {"send", CLI_SEND, "NODE NAME TERM", 3, 3, cli_send,
     "send a message to a registered process"},
    {"global", CLI_GLOBAL, "NODE [ACTION NAME]", 1, 4, cli_global,
     "list, find, register, unregister global names"},
    {"term", CLI_TERM, "[FILE]", 0, 1, cli_term,
     "convert a term between encodings"},
    {"dump", CLI_DUMP, "FILE", 1, 1, cli_dump,
     "explain, message by message, a recorded file"},
    {"serve", CLI_SERVE, "", 0, 0, cli_serve,
     "run a node until a signal comes"},
    {"epmd", CLI_EPMD, "", 0, 0, cli_epmd,
     "run the port mapper until a signal"},
    {"pg", CLI_PG, "NODE", 1, 1, cli_pg,
     "list process groups, join one, watch them"},
};

/* For the help of this command alone, or "". */
static const char *more_about(unsigned bit) {
    switch (bit) {
    case CLI_GLOBAL:
        return "  NODE [list]                  the names that the node knows\n"
               "  NODE whereis NAME            the process that has a name\n"
               "  NODE register NAME PROCESS   a process of that node: its "
               "name, or pid\n"
               "  NODE unregister NAME         take the name away\n\n";
    case CLI_SERVE:
        return "What discovery takes as WHERE:\n"
               "  list:NODE,NODE               these nodes\n"
               "  epmd[:HOST,HOST]             those in EPMD there, or on this "
               "machine\n"
               "  hosts[:FILE]                 the same, hosts as in "
               ".hosts.erlang\n"
               "  dns:[BASE@]NAME              BASE@ADDRESS for each A and "
               "AAAA record\n"
               "  srv:[BASE@]NAME              BASE@TARGET for each SRV "
               "record\n"
               "  gossip[:PORT]                by multicast, as libcluster's "
               "Gossip\n\n";
    default:
        return "";
    }
}

#define NCOMMANDS (sizeof table / sizeof *table)

static const command *find(const char *name) {
    for (size_t i = 0; i < NCOMMANDS; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

#define ABOUT 100

/* A line about it. Returns out. */
static const char *about(const command *c, char out[ABOUT]) {
    char left[40];

    (void)snprintf(left, sizeof left, "%s %s", c->name, c->args);
    (void)snprintf(out, ABOUT, "  %-26s %s", left, c->help);
    return out;
}

static int help(const cli_options *o, const command *c) {
    char text[ABOUT];

    cli_write_begin();
    if (c != NULL) {
        printf("usage: %s %s%s%s [OPTIONS]\n\n%s\n\n%s", o->program, c->name,
               *c->args != '\0' ? " " : "", c->args, c->help,
               more_about(c->bit));
        cli_options_help(c->bit);
    } else {
        printf("usage: %s [OPTIONS] COMMAND [ARGS]\n\n", o->program);
        for (size_t i = 0; i < NCOMMANDS; i++)
            printf("%s\n", about(&table[i], text));
        printf("\n");
        cli_options_help(0);
    }
    cli_deadline_unguard();
    return cli_flush(o, CLI_DONE);
}

static int version(const cli_options *o) {
    printf("cnode %s\n", cn_version());
    return cli_flush(o, CLI_DONE);
}

static int no_command(const cli_options *o) {
    char text[ABOUT];

    cli_line("usage: %s [OPTIONS] COMMAND [ARGS]", o->program);
    for (size_t i = 0; i < NCOMMANDS; i++)
        cli_line("%s", about(&table[i], text));
    return CLI_USAGE;
}

static int usage_of(const cli_options *o, const command *c, const char *why) {
    (void)cli_usage(o, "%s", why);
    cli_say_hint(o, "usage: %s %s%s%s [OPTIONS]", o->program, c->name,
                 *c->args != '\0' ? " " : "", c->args);
    return CLI_USAGE;
}

static int unknown(cli_options *o) {
    const char *name = o->command_name;

    o->command_name = NULL;
    (void)cli_usage(o, "unknown command: %s", name);
    cli_say_hint(o, "`%s --help` lists the commands", o->program);
    return CLI_USAGE;
}

/* A loop and a few connections; libuv ends the program without a word when it
 * gets none for itself. */
static int enough_descriptors(void) {
    int fd[16], n = 0, error;

    while (n < 16 && (fd[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    error = n < 16 ? errno : 0;
    while (n > 0)
        (void)close(fd[--n]);
    errno = error;
    return error == EMFILE || error == ENFILE ? -1 : 0;
}

static int run(const cli_options *o, const command *c) {
    char why[160];

    if (cli_options_check(o, c->bit, why, sizeof why) != 0)
        return usage_of(o, c, why);
    if (o->nargs < c->min)
        return usage_of(o, c, "too few arguments");
    if (o->nargs > c->max)
        return usage_of(o, c, "too many arguments");
    if (cli_options_bad_epmd_port(o, c->bit) != NULL)
        return cli_usage(o, "$ERL_EPMD_PORT is no port, 1 to 65535: %s",
                         cli_options_bad_epmd_port(o, c->bit));
    if (o->tls != NULL)
        return cli_usage(o, "this build has no TLS: --tls cannot be used");
    if ((c->bit & CLI_FILES) == 0 && enough_descriptors() != 0) {
        cli_say(o, "%s: 16 more than are open must be allowed",
                strerror(errno));
        cli_say_hint(o, "`ulimit -n 64` allows it");
        return CLI_LOCAL;
    }
    return c->run(o);
}

/* A standard descriptor that was closed would be given to a socket. What
 * takes its place fails when it is used. */
static int open_standard(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return -1;
    return 0;
}

/* What is converted may be typed, or come from a program that takes its
 * time. */
static void limit_time(cli_options *o, const command *c) {
    if (o->timeout_ms == 0 &&
        (c == NULL || (c->bit & CLI_FILES) == 0 || o->help)) {
        o->timeout_s = 5;
        o->timeout_ms = 5000;
    }
    cli_deadline_start(o);
}

/* `help` and `help COMMAND` are what --help does. */
static void help_of_word(cli_options *o) {
    if (o->command_name == NULL || strcmp(o->command_name, "help") != 0 ||
        o->nargs > 1)
        return;
    o->command_name = o->nargs == 1 ? o->args[0] : NULL;
    o->help = true;
}

int main(int argc, char **argv) {
    cli_options o = {0};
    const command *c;
    char why[160];

    /* A peer that goes away is an error to report, and so is a file that may
     * not grow. */
    cli_pipe_begin();
    (void)signal(SIGXFSZ, SIG_IGN);
    if (open_standard() != 0)
        return CLI_LOCAL;
    if (cli_options_parse(&o, argc, argv, why, sizeof why) != 0) {
        (void)cli_usage(&o, "%s", why);
        cli_say_hint(&o, "`%s COMMAND --help` lists the options", o.program);
        return CLI_USAGE;
    }
    help_of_word(&o);
    c = o.command_name != NULL ? find(o.command_name) : NULL;
    limit_time(&o, c);
    if (o.command_name != NULL && c == NULL)
        return unknown(&o);
    return cli_pipe_end(o.help      ? help(&o, c)
                        : o.version ? version(&o)
                        : c != NULL ? run(&o, c)
                                    : no_command(&o));
}
