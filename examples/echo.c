/* SPDX-License-Identifier: Apache-2.0
 *
 * echo.c: the shortest useful node. From Erlang, with the same cookie:
 *     {echo, 'echo@127.0.0.1'} ! {self(), hello}, receive {_, hello} -> ok end.
 */
#include <cnode/cnode.h>
#include <stdio.h>

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    etf_pid from, me = cnode_self(self);
    etf_view body;
    (void)data;
    if (etf_match(m->term, "{~p, ~t}", &from, &body) == 0)
        cnode_send(self, &from, "{~p, ~t}", &me, body);
}

int main(void) {
    cn_error why;
    cnode *n;
    cnode_proc *p;
    cnode_config node = {.name = "echo@127.0.0.1", .error = &why};
    cnode_proc_config echo = {.name = "echo", .on_message = on_message};
    if (cnode_new(&n, &node) != 0)
        return fprintf(stderr, "echo: %s\n", why.text), 1;
    int status = cnode_spawn(n, &echo, &p);
    if (status == 0 && (status = cnode_listen(n)) == 0)
        status = cnode_run(n);
    if (status != 0)
        fprintf(stderr, "echo: %s\n", cnode_error(n)->text);
    cnode_free(n);
    return status != 0;
}
