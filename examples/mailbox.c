/* SPDX-License-Identifier: Apache-2.0
 *
 * mailbox.c: a program that waits for messages where it needs them, instead
 * of being called. A process without on_message has a mailbox. From Erlang,
 * with the same cookie:
 *     Tally = {tally, 'tally@127.0.0.1'}.
 *     Tally ! {add, 40}, Tally ! {add, 2}.
 *     gen_server:call(Tally, total).                        % 42
 *     Tally ! stop.
 */
#include <cnode/cnode.h>
#include <stdio.h>

/* Takes one message; false after the last. */
static bool handle(cnode_proc *p, const cnode_msg *m, int64_t *total) {
    cnode_from from;
    etf_view request;
    int64_t n;
    if (cnode_msg_is_call(m, &from, &request)) {
        if (etf_match(request, "total") == 0)
            cnode_reply(p, &from, "~i", *total);
        else
            cnode_reply(p, &from, "{error, ~t}", request);
    } else if (etf_match(m->term, "{add, ~i}", &n) == 0) {
        if (__builtin_add_overflow(*total, n, total))
            *total = INT64_MAX;
    } else if (etf_match(m->term, "stop") == 0) {
        return false;
    }
    return true;
}

static int loop(cnode_proc *p) {
    cnode_msg m;
    int64_t total = 0;
    while (true) {
        int status = cnode_receive(p, 10000, &m);
        if (status == CN_ETIMEDOUT)
            printf("ten quiet seconds; the total is %lld\n", (long long)total);
        else if (status != 0)
            return status; /* CN_ENOPROC: an exit signal ended p */
        else if (!handle(p, &m, &total))
            return 0;
    }
}

int main(void) {
    cn_error why;
    cnode *n;
    cnode_proc *p;
    cnode_config config = {.name = "tally@127.0.0.1", .error = &why};
    cnode_proc_config tally = {.name = "tally"};
    if (cnode_new(&n, &config) != 0)
        return fprintf(stderr, "mailbox: %s\n", why.text), 1;
    int status = cnode_spawn(n, &tally, &p);
    if (status == 0 && (status = cnode_listen(n)) == 0)
        status = loop(p);
    if (status != 0)
        fprintf(stderr, "mailbox: %s\n", cn_strerror(status));
    cnode_free(n);
    return status != 0;
}
