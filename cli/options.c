/* SPDX-License-Identifier: Apache-2.0
 *
 * options.c: one table of options: what each is called, who takes it, what it
 * sets and what --help says about it.
 */
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

/* --- values -------------------------------------------------------------- */

static int number(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    uint64_t n = 0;

    if (*text == '\0')
        return -1;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (n > (UINT64_MAX - 9) / 10)
            return -1;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    if (*text != '\0' || n < min || n > max)
        return -1;
    *out = n;
    return 0;
}

static int port(const char *text, uint64_t min, uint16_t *out) {
    uint64_t n;

    if (number(text, min, UINT16_MAX, &n) != 0)
        return -1;
    *out = (uint16_t)n;
    return 0;
}

static int count(const char *text, uint32_t *out) {
    uint64_t n;

    if (number(text, 1, UINT32_MAX, &n) != 0)
        return -1;
    *out = (uint32_t)n;
    return 0;
}

static int bytes(const char *text, size_t *out) {
    uint64_t n;

    if (number(text, 1, SIZE_MAX, &n) != 0)
        return -1;
    *out = (size_t)n;
    return 0;
}

static int descriptor(const char *text, int *out) {
    uint64_t n;

    if (number(text, 0, 1 << 20, &n) != 0)
        return -1;
    *out = (int)n;
    return 0;
}

/* Seconds, with decimals. */
static int seconds(const char *text, double *out) {
    double s;

    if (strspn(text, "0123456789.") != strlen(text) ||
        strchr(text, '.') != strrchr(text, '.') ||
        strpbrk(text, "0123456789") == NULL)
        return -1;
    s = strtod(text, NULL);
    if (s <= 0 || s > UINT32_MAX / 1000)
        return -1;
    *out = s;
    return 0;
}

static int format(const char *text, unsigned allowed, cli_format *out) {
    static const char *const names[] = {[CLI_ERLANG] = "erlang",
                                        [CLI_JSON] = "json",
                                        [CLI_RAW] = "raw",
                                        [CLI_ETF] = "etf",
                                        [CLI_HEX] = "hex"};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if ((allowed & 1U << i) != 0 && strcmp(text, names[i]) == 0) {
            *out = (cli_format)i;
            return 0;
        }
    return -1;
}

#define RESULT_FORMATS (1U << CLI_ERLANG | 1U << CLI_JSON | 1U << CLI_RAW)
#define TERM_FORMATS                                                           \
    (1U << CLI_ERLANG | 1U << CLI_JSON | 1U << CLI_ETF | 1U << CLI_HEX)

/* --- the table ----------------------------------------------------------- */

typedef enum kind {
    FLAG,
    TEXT,
    PORT, /* to listen on: 0 is any */
    PEER_PORT,
    COUNT,
    BYTES,
    SECONDS,
    DESCRIPTOR,
    FORMAT,
    ENCODING,
    NODE,
    QUIET,
    VERBOSE,
    SOURCE,
    SCOPE
} kind;

/* What a value of this kind must be; flags have none. */
static const char *const wanted[] = {
    [TEXT] = "it must not be empty",
    [PORT] = "a port is 0 to 65535",
    [PEER_PORT] = "a port is 1 to 65535",
    [COUNT] = "it takes a whole number, 1 or more",
    [BYTES] = "it takes a number of bytes, 1 or more",
    [SECONDS] = "it takes seconds, more than 0, such as 2.5",
    [DESCRIPTOR] = "it takes the number of an open file",
    [FORMAT] = "it is erlang, json or raw",
    [ENCODING] = "it is erlang, json, etf or hex",
    [NODE] = "too many nodes",
    [SOURCE] = "too many sources",
    [SCOPE] = "it is an atom, without quotes; at most 64 of them"};

typedef struct option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    kind kind;
    size_t field;
    const char *value; /* what the value is called; NULL: takes none */
    unsigned commands;
    const char *help;
} option;

#define AT(field) offsetof(cli_options, field)

static const option table[] = {
    {"rpc", 0, FLAG, AT(rpc), NULL, CLI_CALL, "call through the server rex"},
    {"no-output", 0, FLAG, AT(no_output), NULL, CLI_CALL,
     "drop what the called process writes"},
    {"from", 0, ENCODING, AT(from), "FORMAT", CLI_TERM,
     "etf, hex, erlang (default) or json"},
    {"to", 0, ENCODING, AT(to), "FORMAT", CLI_TERM,
     "etf, hex (default), erlang or json"},
    {"connect", 0, NODE, AT(connect), "NODE", CLI_SERVE,
     "connect to this node first; may be repeated"},
    {"discover", 0, SOURCE, AT(discover), "WHERE", CLI_SERVE,
     "list:, epmd:, hosts:, dns:, srv:, gossip"},
    {"gossip-secret-file", 0, TEXT, AT(gossip_secret_file), "FILE", CLI_SERVE,
     "the secret (or $CNODE_GOSSIP_SECRET)"},
    {"gossip-interface", 0, TEXT, AT(gossip_interface), "IP", CLI_SERVE,
     "send and hear multicasts there"},
    {"gossip-group", 0, TEXT, AT(gossip_group), "IP", CLI_SERVE,
     "multicast group (default 233.252.1.32)"},
    {"no-epmd", 0, FLAG, AT(no_epmd), NULL, CLI_SERVE,
     "do not register with EPMD"},
    {"port", 0, PORT, AT(port), "PORT", CLI_SERVE,
     "listen here (default: any)"},
    {"stdin-eof", 0, FLAG, AT(stdin_eof), NULL, CLI_SERVE,
     "stop when standard input ends"},
    {"ticktime", 0, COUNT, AT(ticktime_s), "SECONDS", CLI_SERVE,
     "net_ticktime (default 60)"},
    {"setup-time", 0, COUNT, AT(setup_ms), "MS", CLI_SERVE,
     "time for a handshake (default 7000)"},
    {"full", 0, FLAG, AT(full), NULL, CLI_SERVE,
     "be a member of global; visible is implied"},
    {"pg-scope", 0, SCOPE, AT(pg_scopes), "SCOPE", CLI_SERVE,
     "have this scope of pg; may be repeated"},
    {"sync", 0, FLAG, AT(sync), NULL, CLI_GLOBAL,
     "first wait until global has met all nodes"},
    {"name", 'n', TEXT, AT(name), "NAME[@HOST]", CLI_NODE, "name of this node"},
    {"visible", 0, FLAG, AT(visible), NULL, CLI_NODE,
     "be in nodes() of the others"},
    {"cookie-file", 0, TEXT, AT(cookie_file), "FILE", CLI_NODE,
     "read the cookie there"},
    {"cookie-fd", 0, DESCRIPTOR, AT(cookie_fd), "N", CLI_NODE,
     "read the cookie from descriptor N"},
    {"cookie", 0, TEXT, AT(cookie), "COOKIE", CLI_NODE,
     "the cookie; other users can see it"},
    {"tls", 0, TEXT, AT(tls), "OPTFILE", CLI_NODE,
     "TLS distribution (not in this build)"},
    {"address", 0, TEXT, AT(address), "HOST:PORT", CLI_NODE,
     "dial here, not by EPMD; [v6]:PORT, unix:PATH"},
    {"epmd-port", 0, PEER_PORT, AT(epmd_port), "PORT", CLI_NODE | CLI_NAMES,
     "port of EPMD (default $ERL_EPMD_PORT or 4369)"},
    {"max-frame", 0, BYTES, AT(max_frame), "BYTES", CLI_NODE,
     "largest message taken (default 128 MiB)"},
    {"capture", 0, TEXT, AT(capture), "FILE", CLI_NODE,
     "record what crosses the connections; see dump"},
    {"capture-max", 0, BYTES, AT(capture_max), "BYTES", CLI_NODE,
     "largest size of that file (default 64 MiB)"},
    {"epmd-server", 0, FLAG, AT(epmd_server), NULL, CLI_SERVE,
     "serve EPMD, too, when nobody else does"},
    {"port", 0, PORT, AT(port), "PORT", CLI_EPMD,
     "of EPMD (default $ERL_EPMD_PORT or 4369; 0: any)"},
    {"address", 0, TEXT, AT(address), "LIST", CLI_EPMD,
     "listen there and at loopback ($ERL_EPMD_ADDRESS)"},
    {"relaxed-command-check", 0, FLAG, AT(relaxed), NULL, CLI_EPMD,
     "allow --stop, and --kill with nodes registered"},
    {"names", 0, FLAG, AT(list_names), NULL, CLI_EPMD,
     "do not serve: list the nodes of the one that does"},
    {"kill", 0, FLAG, AT(kill), NULL, CLI_EPMD, "... end it"},
    {"stop", 0, TEXT, AT(stop), "NAME", CLI_EPMD,
     "... make it forget that node"},
    {"debug", 'd', FLAG, AT(debug), NULL, CLI_EPMD,
     "say what happens, and remember 5 names only"},
    {"json", 0, FLAG, AT(json), NULL, CLI_DUMP | CLI_GLOBAL | CLI_PG,
     "one JSON object a line"},
    {"scope", 0, TEXT, AT(scope), "SCOPE", CLI_PG,
     "the scope of the groups (default pg)"},
    {"join", 0, TEXT, AT(join), "GROUP", CLI_PG,
     "join a process, and print what it is sent"},
    {"watch", 0, FLAG, AT(watch), NULL, CLI_PG,
     "print what joins and leaves, until a signal"},
    {"timeout", 0, SECONDS, AT(timeout_s), "SECONDS", CLI_ALL,
     "for the whole command (default 5; of files: none)"},
    {"format", 0, FORMAT, AT(format), "FORMAT", CLI_CALL,
     "of the result: erlang (default), json or raw"},
    {"quiet", 'q', QUIET, AT(verbose), NULL, CLI_ALL, "nothing on stderr"},
    {"verbose", 'v', VERBOSE, AT(verbose), NULL, CLI_ALL,
     "say what happens; -vv: each control message"},
    {"help", 'h', FLAG, AT(help), NULL, CLI_ALL, "print this"},
    {"version", 0, FLAG, AT(version), NULL, CLI_ALL, "print the version"},
};

/* One more --connect. */
static int add_node(cli_options *o, const char *value) {
    if (o->nconnect == CLI_MAX_CONNECT)
        return -1;
    o->connect[o->nconnect++] = value;
    return 0;
}

static int add_source(cli_options *o, const char *value) {
    if (o->ndiscover == CLI_MAX_CONNECT)
        return -1;
    o->discover[o->ndiscover++] = value;
    return 0;
}

static int add_scope(cli_options *o, const char *value) {
    char atom[CLI_ATOM_MAX];

    if (o->npg_scopes == CLI_MAX_CONNECT || value[0] == '\'' ||
        cli_atom(value, strlen(value), atom) != 0)
        return -1;
    o->pg_scopes[o->npg_scopes++] = value;
    return 0;
}

/* In milliseconds it is at least one. */
static int timeout(cli_options *o, const char *value) {
    if (seconds(value, &o->timeout_s) != 0)
        return -1;
    o->timeout_ms = o->timeout_s < 0.001 ? 1 : (uint32_t)(o->timeout_s * 1000);
    return 0;
}

/* 0, or -1 when the value is no good. */
static int store(cli_options *o, const option *opt, const char *value) {
    void *field = (char *)o + opt->field;

    if (value == NULL)
        value = "";
    switch (opt->kind) {
    case FLAG:
        *(bool *)field = true;
        return 0;
    case TEXT:
        *(const char **)field = value;
        return *value == '\0' ? -1 : 0;
    case PORT:
        return port(value, 0, field);
    case PEER_PORT:
        return port(value, 1, field);
    case COUNT:
        return count(value, field);
    case BYTES:
        return bytes(value, field);
    case SECONDS:
        return timeout(o, value);
    case DESCRIPTOR:
        return descriptor(value, field);
    case FORMAT:
        return format(value, RESULT_FORMATS, field);
    case ENCODING:
        return format(value, TERM_FORMATS, field);
    case NODE:
        return add_node(o, value);
    case QUIET:
        o->verbose = -1;
        return 0;
    case VERBOSE:
        o->verbose = o->verbose >= 1 ? 2 : 1;
        return 0;
    case SOURCE:
        return add_source(o, value);
    case SCOPE:
        return add_scope(o, value);
    }
    return -1;
}

#define NOPTIONS (sizeof table / sizeof *table)

_Static_assert(NOPTIONS <= 64, "cli_options.given has a bit for each");

/* --- parsing ------------------------------------------------------------- */

typedef struct parser {
    cli_options *o;
    int argc;
    char **argv;
    int at;
    char *why;
    size_t cap;
} parser;

static int complain(const parser *p, const option *opt, const char *what) {
    (void)snprintf(p->why, p->cap, "--%s %s", opt->name, what);
    return -1;
}

/* Not the value itself: it may be a secret. */
static int bad_value(const parser *p, const option *opt) {
    char what[100];

    (void)snprintf(what, sizeof what, "was given a bad value: %s",
                   wanted[opt->kind]);
    return complain(p, opt, what);
}

/* Only the name: what follows '=' may be a secret. */
static int unknown(const parser *p, const char *dashes, const char *name,
                   size_t n) {
    (void)snprintf(p->why, p->cap, "unknown option %s%.*s", dashes,
                   n > 80 ? 80 : (int)n, name);
    return -1;
}

static const option *by_name(const char *name, size_t n) {
    for (size_t i = 0; i < NOPTIONS; i++)
        if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0)
            return &table[i];
    return NULL;
}

static const option *by_letter(char letter) {
    for (size_t i = 0; i < NOPTIONS; i++)
        if (table[i].letter == letter)
            return &table[i];
    return NULL;
}

/* value NULL: it is the next word. */
static int apply(parser *p, const option *opt, const char *value) {
    size_t i = (size_t)(opt - table);

    if (opt->value != NULL && value == NULL) {
        if (p->at == p->argc)
            return complain(p, opt, "needs a value");
        value = p->argv[p->at++];
    }
    p->o->given[i / 32] |= UINT32_C(1) << i % 32;
    if (store(p->o, opt, value) != 0)
        return bad_value(p, opt);
    return 0;
}

static int long_option(parser *p, const char *word) {
    size_t n = strcspn(word, "=");
    const char *value = word[n] == '=' ? word + n + 1 : NULL;
    const option *opt = by_name(word, n);

    if (opt == NULL)
        return unknown(p, "--", word, n);
    if (opt->value == NULL && value != NULL)
        return complain(p, opt, "takes no value");
    return apply(p, opt, value);
}

/* -q, -vv, -nNAME, -n NAME */
static int short_options(parser *p, const char *word) {
    for (; *word != '\0'; word++) {
        const option *opt = by_letter(*word);

        if (opt == NULL)
            return unknown(p, "-", word, 1);
        if (opt->value != NULL)
            return apply(p, opt, word[1] == '\0' ? NULL : word + 1);
        if (apply(p, opt, NULL) != 0)
            return -1;
    }
    return 0;
}

/* "-" is standard input and "-1" a term. */
static bool is_option(const char *word) {
    return word[0] == '-' && word[1] != '\0' &&
           (word[1] < '0' || word[1] > '9');
}

/* The words that are no options are moved to the front of argv. */
static int words(parser *p) {
    bool options = true;
    int n = 1;

    while (p->at < p->argc) {
        char *word = p->argv[p->at++];

        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (!options || !is_option(word)) {
            p->argv[n++] = word;
        } else if ((word[1] == '-' ? long_option(p, word + 2)
                                   : short_options(p, word + 1)) != 0) {
            return -1;
        }
    }
    return n;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

int cli_options_parse(cli_options *o, int argc, char **argv, char *why,
                      size_t cap) {
    parser p = {o, argc, argv, 1, why, cap};
    int n;

    *o = (cli_options){.program = argc > 0 ? last_part(argv[0]) : "cnode",
                       .cookie_fd = -1,
                       .from = CLI_ERLANG,
                       .to = CLI_HEX};
    n = words(&p);
    if (n < 0)
        return -1;
    if (n > 1)
        o->command_name = argv[1];
    if (n > 2) {
        o->args = argv + 2;
        o->nargs = (size_t)n - 2;
    }
    return 0;
}

/* An option may stand in the table more than once, for other commands. */
static bool takes(unsigned command, const char *name) {
    for (size_t i = 0; i < NOPTIONS; i++)
        if (strcmp(table[i].name, name) == 0 &&
            (table[i].commands & command) != 0)
            return true;
    return false;
}

const char *cli_options_bad_epmd_port(const cli_options *o, unsigned command) {
    const char *text = getenv("ERL_EPMD_PORT");
    uint16_t n;

    if (text == NULL || *text == '\0' || (command & CLI_FILES) != 0 ||
        o->epmd_port != 0 ||
        (command == CLI_EPMD && cli_options_given(o, "port")))
        return NULL;
    return port(text, 1, &n) == 0 ? NULL : text;
}

/* Which of them was meant nobody can know. */
static bool one_cookie(const cli_options *o) {
    return (o->cookie_file != NULL) + (o->cookie_fd >= 0) +
               (o->cookie != NULL) <=
           1;
}

static bool is_given(const cli_options *o, size_t i) {
    return (o->given[i / 32] >> i % 32 & 1) != 0;
}

bool cli_options_given(const cli_options *o, const char *name) {
    for (size_t i = 0; i < NOPTIONS; i++)
        if (is_given(o, i) && strcmp(table[i].name, name) == 0)
            return true;
    return false;
}

int cli_options_check(const cli_options *o, unsigned command, char *why,
                      size_t cap) {
    for (size_t i = 0; i < NOPTIONS; i++) {
        if (!is_given(o, i) || takes(command, table[i].name))
            continue;
        (void)snprintf(why, cap, "--%s is not for this command", table[i].name);
        return -1;
    }
    if (o->capture_max != 0 && o->capture == NULL) {
        (void)snprintf(why, cap, "--capture-max needs --capture");
        return -1;
    }
    if (one_cookie(o))
        return 0;
    (void)snprintf(why, cap,
                   "only one of --cookie-file, --cookie-fd and "
                   "--cookie can be given");
    return -1;
}

/* Most commands take it: it stands in the help for all. */
static bool is_common(const option *t) {
    return (t->commands & CLI_PEER) == CLI_PEER;
}

void cli_options_help(unsigned command) {
    enum { LEFT = 28 };

    for (size_t i = 0; i < NOPTIONS; i++) {
        const option *t = &table[i];
        char left[40];
        char letter[] = "    ";

        if (command == 0 ? !is_common(t) : (t->commands & command) == 0)
            continue;
        if (t->letter != 0)
            memcpy(letter, (char[]){'-', t->letter, ','}, 3);
        (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, t->name,
                       t->value != NULL ? " " : "",
                       t->value != NULL ? t->value : "");
        /* What is too long has a line of its own. */
        if (strlen(left) > LEFT)
            printf("  %s\n  %-*s %s\n", left, LEFT, "", t->help);
        else
            printf("  %-*s %s\n", LEFT, left, t->help);
    }
}
