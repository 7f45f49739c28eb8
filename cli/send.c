/* SPDX-License-Identifier: Apache-2.0
 *
 * send.c: a message to a registered process.
 */
#include <string.h>

#include "cli/commands.h"
#include "cli/session.h"

typedef struct message {
    char name[CLI_ATOM_MAX];
    etf_view term;
} message;

static void start(cli_session *s) {
    const message *m = s->data;
    int rc = cnode_send_name(s->proc, s->peer, m->name, "~t", m->term);

    if (rc != 0)
        cli_session_fail(s, rc);
    else
        cli_session_end_when_taken(s);
}

static int send_term(const cli_options *o, message *m) {
    cli_session s = {.o = o, .start = start, .data = m};

    return cli_session_run(&s, o->args[0]);
}

int cli_send(const cli_options *o) {
    etf_writer w;
    message m;
    int rc;

    if (cli_atom(o->args[1], strlen(o->args[1]), m.name) != 0)
        return cli_usage(o, "bad name of a process: %s", o->args[1]);
    etf_writer_init(&w, NULL);
    rc = cli_parse_argument(o, &w, "TERM", o->args[2], &m.term);
    if (rc == 0)
        rc = send_term(o, &m);
    etf_writer_free(&w);
    return rc;
}
