/* SPDX-License-Identifier: Apache-2.0
 *
 * calls.c NODE: asks an Erlang node, three ways. It applies a function there
 * (erpc:call), calls a server (gen_server:call), and then monitors that server
 * until it is gone, which here means until the node is: stop it to see.
 * The node needs the same cookie and nothing else:
 *     erl -name shop@127.0.0.1
 */
#include <cnode/cnode.h>
#include <stdio.h>

/* application_controller is a gen_server that every Erlang node runs. */
static const char server[] = "application_controller";

static int failed;

static void report(cnode_proc *p, const char *what, int status,
                   etf_view result) {
    FILE *to = status == 0 ? stdout : stderr;
    fprintf(to, "%s: ", what);
    if (status != 0)
        fprintf(to, "%s ", cnode_error(cnode_of(p))->text);
    if (result.len > 0)
        etf_print_file(result, to);
    fprintf(to, "\n");
    fflush(to);
    failed |= status != 0;
}

static void on_down(cnode_proc *p, const cnode_down *d, void *node) {
    (void)node;
    report(p, "gone", 0, d->term); /* noproc, noconnection, ... */
    cnode_stop(cnode_of(p));
}

static void on_applications(cnode_proc *p, int status, etf_view list,
                            void *node) {
    report(p, "gen_server:call", status, list);
    if (status != 0 || cnode_monitor(p, node, server, NULL) != 0)
        cnode_stop(cnode_of(p));
}

static void on_sum(cnode_proc *p, int status, etf_view sum, void *node) {
    cnode_call_opts to = {.node = node, .server = server, .timeout_ms = 3000};
    report(p, "erpc:call", status, sum);
    if (status != 0 ||
        cnode_call(p, &to, on_applications, node, "which_applications") != 0)
        cnode_stop(cnode_of(p));
}

static int ask(cnode *n, char *node) {
    cnode_proc_config config = {.on_down = on_down, .data = node};
    cnode_rpc_opts sum = {.node = node, .module = "lists", .function = "sum"};
    cnode_proc *p;
    int status = cnode_spawn(n, &config, &p);
    if (status == 0)
        status =
            cnode_rpc(p, &sum, on_sum, node, "[[~i, ~i, ~f]]", 19, 22, 0.5);
    return status != 0 ? status : cnode_run(n);
}

int main(int argc, char **argv) {
    cn_error why;
    cnode *n;
    cnode_config config = {.name = "calls@127.0.0.1", .error = &why};
    if (argc != 2)
        return fprintf(stderr, "usage: calls NODE\n"), 2;
    if (cnode_new(&n, &config) != 0)
        return fprintf(stderr, "calls: %s\n", why.text), 1;
    int status = ask(n, argv[1]);
    if (status != 0)
        fprintf(stderr, "calls: %s\n", cnode_error(n)->text);
    cnode_free(n);
    return status != 0 || failed;
}
