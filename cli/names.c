/* SPDX-License-Identifier: Apache-2.0
 *
 * names.c: the nodes that a port mapper knows.
 */
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include <epmd/epmd.h>

#include "cli/commands.h"
#include "cli/deadline.h"
#include "cli/report.h"
#include "cli/text.h"

typedef struct names {
    const cli_options *o;
    const char *host; /* for a person to read */
    int status;
} names;

static int by_name(const void *x, const void *y) {
    const epmd_name *a = x, *b = y;
    int order = memcmp(a->name, b->name, a->len < b->len ? a->len : b->len);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* The names come from whoever registered them: nothing in them may reach a
 * terminal that is more than text. */
static void print_line(const epmd_name *n) {
    char name[1024];

    (void)snprintf(name, sizeof name, "%.*s", (int)n->len, n->name);
    cli_tame(name);
    printf("%s %u\n", name, n->port);
}

static size_t count(const char *text, size_t len) {
    epmd_name name;
    size_t n = 0;

    while (epmd_names_next(&text, &len, &name))
        n++;
    return n;
}

static const char *hint_of(int status) {
    switch (status) {
    case CN_EEPMD:
        return "does a node run there, and may we reach its port mapper "
               "(firewall, --epmd-port)?";
    case CN_EPROTO:
    case CN_ELIMIT:
        return "is this the port of EPMD? --epmd-port gives another";
    default:
        return cli_hint(status);
    }
}

/* Text without a name in it is not EPMD's. */
static int say_none(const names *n, size_t len) {
    if (len == 0) {
        cli_say(n->o, "no node is registered on %s", n->host);
        return CLI_NO;
    }
    cli_say(n->o, "%s: what answers for EPMD does not list nodes", n->host);
    cli_say_hint(n->o, "%s", hint_of(CN_EPROTO));
    return CLI_UNREACHED;
}

/* EPMD has them in no order. */
static int print_sorted(const names *n, const char *text, size_t len) {
    size_t all = count(text, len), whole = len;
    epmd_name *list = calloc(all + 1, sizeof *list);

    if (list == NULL)
        return cli_fail(n->o, CN_ENOMEM);
    for (size_t i = 0; i < all; i++)
        (void)epmd_names_next(&text, &len, &list[i]);
    qsort(list, all, sizeof *list, by_name);
    cli_write_begin();
    for (size_t i = 0; i < all; i++)
        print_line(&list[i]);
    cli_deadline_unguard();
    free(list);
    return all > 0 ? CLI_DONE : say_none(n, whole);
}

static void on_names(void *data, int status, const cn_error *err,
                     const char *text, size_t len) {
    names *n = data;

    if (status != 0) {
        cli_say(n->o, "%s", err->text);
        if (hint_of(status) != NULL)
            cli_say_hint(n->o, "%s", hint_of(status));
        n->status = status == CN_ELIMIT ? CLI_UNREACHED : cli_status(status);
        return;
    }
    n->status = print_sorted(n, text, len);
}

int cli_names(const cli_options *o) {
    const char *host = o->nargs > 0 ? o->args[0] : NULL;
    names n = {o, host != NULL ? host : "this machine", CLI_LOCAL};
    epmd_config config = {.host = host,
                          .port = o->epmd_port,
                          .timeout_ms = cli_deadline_left_ms()};
    epmd_request *request;
    uv_loop_t loop;
    int rc;

    if (uv_loop_init(&loop) != 0)
        return cli_fail(o, CN_ENOMEM);
    rc = epmd_names(&request, &loop, &config, on_names, &n);
    if (rc == 0)
        (void)uv_run(&loop, UV_RUN_DEFAULT);
    else
        n.status = cli_fail(o, rc);
    (void)uv_loop_close(&loop);
    return cli_flush(o, n.status);
}
