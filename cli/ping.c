/* SPDX-License-Identifier: Apache-2.0
 *
 * ping.c: what net_adm:ping/1 does: connect, and ask net_kernel whether we
 * are in.
 */
#include "cli/commands.h"
#include "cli/session.h"

static void on_answer(cnode_proc *p, int status, etf_view result, void *data) {
    cli_session *s = data;
    uint64_t *sent = s->data;
    double ms = (double)(cli_now_ns() - *sent) / 1e6;

    (void)p;
    if (status != 0) {
        cli_session_fail(s, status);
        return;
    }
    if (etf_match(result, "yes") != 0) {
        cli_say_term(s->o, "the node does not let us in: ", result);
        cli_session_end(s, CLI_REFUSED);
        return;
    }
    printf("pong %.2f ms\n", ms);
    cli_session_end(s, CLI_DONE);
}

static void start(cli_session *s) {
    uint64_t *sent = s->data;
    int rc;

    *sent = cli_now_ns();
    rc = cli_session_ping(s, on_answer);
    if (rc != 0)
        cli_session_fail(s, rc);
}

int cli_ping(const cli_options *o) {
    uint64_t sent = 0;
    cli_session s = {.o = o, .start = start, .data = &sent, .verdict = "pang"};

    return cli_session_run(&s, o->args[0]);
}
