/* SPDX-License-Identifier: Apache-2.0
 *
 * global.c: the global names that a node knows: lists them, asks for one,
 * registers a process of that node under one, and takes one away. The node is
 * asked to do it, by erpc, so this command is in no way part of global itself.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/session.h"

typedef struct global {
    cli_session *s;
    void (*act)(struct global *g); /* what was asked for */
    etf_writer name_writer;
    etf_view name;
    etf_writer proc_writer;
    etf_view proc;  /* to register: a pid, or the atom it is registered under */
    etf_view names; /* all of them, a copy */
    etf_view *sorted; /* views into names */
    uint32_t count, next;
    uint32_t listed;
} global;

/* --- the node that is asked ---------------------------------------------- */

static void say(const global *g, const char *context, etf_view term) {
    char text[2 * CLI_NAME_MAX];

    (void)snprintf(text, sizeof text, "%s on %s: ", context, g->s->peer);
    cli_say_term(g->s->o, text, term);
}

/* True: it has answered, and what it says is a value. */
static bool answered(const global *g, int status, etf_view result) {
    etf_view reason;

    switch (status) {
    case 0:
        return true;
    case CN_EREMOTE:
        if (etf_match(result, "{_, ~t, _}", &reason) == 0)
            result = reason;
        /* fall through */
    case CN_EEXITED:
    case CN_ENOTSUP:
        say(g, "failed", result);
        if (etf_match(result, "undef") == 0)
            cli_say_hint(g->s->o, "is it a node of Erlang or Elixir, or a full "
                                  "one of C?");
        cli_session_end(g->s, CLI_NO);
        return false;
    default:
        cli_session_fail(g->s, status);
        return false;
    }
}

static void ask_args(global *g, const char *module, const char *function,
                     cnode_call_cb cb, const etf_in *in, size_t n) {
    const cnode_rpc_opts to = {.node = g->s->peer,
                               .module = module,
                               .function = function,
                               .timeout_ms = UINT32_MAX};
    int rc = cnode_rpc_args(g->s->proc, &to, cb, g, in, n);

    if (rc != 0)
        cli_session_fail(g->s, rc);
}
#define ask(g, module, function, cb, ...)                                      \
    ask_args((g), (module), (function), (cb), ETF_INS(__VA_ARGS__))

/* --- output -------------------------------------------------------------- */

static int print_json(etf_view name, etf_view pid_term, const etf_pid *pid) {
    etf_writer w;
    etf_view term;
    int rc;

    etf_writer_init(&w, NULL);
    etf_put_map(&w, 3);
    etf_put_binary_str(&w, "name");
    etf_put_term(&w, name);
    etf_put_binary_str(&w, "node");
    etf_put_binary_str(&w, pid->node);
    etf_put_binary_str(&w, "pid");
    etf_put_term(&w, pid_term);
    rc = etf_writer_finish(&w, &term);
    if (rc == 0)
        rc = cli_json_print(term, stdout);
    (void)fputc('\n', stdout);
    etf_writer_free(&w);
    return rc;
}

/* NAME PID, both as `cnode call` takes them. False: it could not be. */
static bool print_name(global *g, etf_view name, etf_view pid_term) {
    etf_pid pid;
    int rc = 0;

    cli_write_begin();
    if (g->s->o->json && etf_match(pid_term, "~p", &pid) == 0) {
        rc = print_json(name, pid_term, &pid);
    } else {
        (void)etf_print_file(name, stdout);
        (void)fputc(' ', stdout);
        (void)etf_print_file(pid_term, stdout);
        (void)fputc('\n', stdout);
    }
    cli_deadline_unguard();
    if (rc != 0 && rc != CN_EIO)
        cli_session_fail(g->s, rc);
    return rc == 0 || rc == CN_EIO;
}

/* --- list ---------------------------------------------------------------- */

static void next_name(global *g);

static void on_listed(cnode_proc *p, int status, etf_view result, void *data) {
    global *g = data;

    (void)p;
    if (!answered(g, status, result))
        return;
    /* It may have gone meanwhile. */
    if (etf_type_of(result) == ETF_PID) {
        if (!print_name(g, g->name, result))
            return;
        g->listed++;
    }
    next_name(g);
}

static void next_name(global *g) {
    if (g->next == g->count) {
        if (g->listed == 0)
            cli_say(g->s->o, "%s knows no global names", g->s->peer);
        cli_session_end(g->s, g->listed == 0 ? CLI_NO : cli_wrote(g->s->o));
        return;
    }
    g->name = g->sorted[g->next++];
    ask(g, "global", "whereis_name", on_listed, "[~t]", g->name);
}

static int by_order(const void *x, const void *y) {
    int order = 0;

    (void)etf_compare_exact(NULL, *(const etf_view *)x, *(const etf_view *)y,
                            &order);
    return order;
}

/* A node has them in no order. */
static int sort_names(global *g) {
    etf_reader r;

    etf_reader_init(&r, g->names);
    g->count = etf_get_list(&r);
    g->sorted = calloc((size_t)g->count + 1, sizeof *g->sorted);
    if (g->sorted == NULL)
        return CN_ENOMEM;
    for (uint32_t i = 0; i < g->count; i++)
        g->sorted[i] = etf_get_term(&r);
    if (r.err == 0)
        qsort(g->sorted, g->count, sizeof *g->sorted, by_order);
    return r.err;
}

static void on_names(cnode_proc *p, int status, etf_view result, void *data) {
    global *g = data;

    (void)p;
    if (!answered(g, status, result))
        return;
    status = etf_copy(NULL, result, &g->names);
    if (status == 0)
        status = sort_names(g);
    if (status != 0) {
        cli_session_fail(g->s, status);
        return;
    }
    next_name(g);
}

static void list(global *g) {
    ask(g, "global", "registered_names", on_names, "[]");
}

/* --- whereis ------------------------------------------------------------- */

static void on_whereis(cnode_proc *p, int status, etf_view result, void *data) {
    global *g = data;

    (void)p;
    if (!answered(g, status, result))
        return;
    if (etf_type_of(result) == ETF_PID) {
        if (print_name(g, g->name, result))
            cli_session_end(g->s, cli_wrote(g->s->o));
        return;
    }
    cli_say_term(g->s->o, "nobody has the global name ", g->name);
    cli_session_end(g->s, CLI_NO);
}

static void whereis(global *g) {
    ask(g, "global", "whereis_name", on_whereis, "[~t]", g->name);
}

/* --- register and unregister --------------------------------------------- */

/* `no` may be about the name or about the process: Erlang does not say. */
static void on_refused(cnode_proc *p, int status, etf_view result, void *data) {
    global *g = data;

    (void)p;
    if (!answered(g, status, result))
        return;
    if (etf_type_of(result) == ETF_PID) {
        cli_say_term(g->s->o, "somebody has the global name ", g->name);
    } else {
        say(g, "not registered", g->proc);
        cli_say_hint(g->s->o, "has this process a global name already?");
    }
    cli_session_end(g->s, CLI_NO);
}

static void on_registered(cnode_proc *p, int status, etf_view result,
                          void *data) {
    global *g = data;

    (void)p;
    if (!answered(g, status, result))
        return;
    if (etf_match(result, "yes") == 0)
        whereis(g);
    else
        ask(g, "global", "whereis_name", on_refused, "[~t]", g->name);
}

static void register_pid(global *g, etf_view pid) {
    ask(g, "global", "register_name", on_registered, "[~t, ~t]", g->name, pid);
}

static void on_process(cnode_proc *p, int status, etf_view result, void *data) {
    global *g = data;

    (void)p;
    if (!answered(g, status, result))
        return;
    if (etf_type_of(result) == ETF_PID) {
        register_pid(g, result);
        return;
    }
    say(g, "no such process", g->proc);
    cli_session_end(g->s, CLI_NO);
}

static void register_name(global *g) {
    if (etf_type_of(g->proc) == ETF_PID)
        register_pid(g, g->proc);
    else
        ask(g, "erlang", "whereis", on_process, "[~t]", g->proc);
}

static void on_unregistered(cnode_proc *p, int status, etf_view result,
                            void *data) {
    global *g = data;

    (void)p;
    if (answered(g, status, result))
        cli_session_end(g->s, CLI_DONE);
}

/* Only one that is there: a mistyped name must not look like success. */
static void on_there(cnode_proc *p, int status, etf_view result, void *data) {
    global *g = data;

    if (status != 0 || etf_type_of(result) != ETF_PID)
        on_whereis(p, status, result, data);
    else
        ask(g, "global", "unregister_name", on_unregistered, "[~t]", g->name);
}

static void unregister_name(global *g) {
    ask(g, "global", "whereis_name", on_there, "[~t]", g->name);
}

/* --- the command --------------------------------------------------------- */

static void on_synced(cnode_proc *p, int status, etf_view result, void *data) {
    global *g = data;

    (void)p;
    if (answered(g, status, result))
        g->act(g);
}

static void start(cli_session *s) {
    global *g = s->data;

    if (s->o->sync)
        ask(g, "global", "sync", on_synced, "[]");
    else
        g->act(g);
}

static int read_words(const cli_options *o, global *g) {
    static const struct {
        const char *word;
        void (*act)(global *g);
        size_t args;
        const char *usage;
    } actions[] = {{"list", list, 0, "nothing more"},
                   {"whereis", whereis, 1, "NAME"},
                   {"register", register_name, 2, "NAME PROCESS"},
                   {"unregister", unregister_name, 1, "NAME"}};
    const char *word = o->nargs > 1 ? o->args[1] : "list";
    size_t n = o->nargs > 1 ? o->nargs - 2 : 0, i = 0;
    int rc = 0;

    while (i < sizeof actions / sizeof *actions &&
           strcmp(actions[i].word, word) != 0)
        i++;
    if (i == sizeof actions / sizeof *actions)
        return cli_usage(o, "%s: not list, whereis, register or unregister",
                         word);
    if (n != actions[i].args)
        return cli_usage(o, "%s takes %s", word, actions[i].usage);
    g->act = actions[i].act;
    if (n > 0)
        rc = cli_parse_argument(o, &g->name_writer, "NAME", o->args[2],
                                &g->name);
    if (rc == 0 && n > 1)
        rc = cli_parse_argument(o, &g->proc_writer, "PROCESS", o->args[3],
                                &g->proc);
    if (rc == 0 && n > 1 && etf_type_of(g->proc) != ETF_PID &&
        etf_type_of(g->proc) != ETF_ATOM)
        rc = cli_usage(o,
                       "PROCESS is a registered name, or a pid as this command "
                       "prints it: %s",
                       o->args[3]);
    return rc;
}

int cli_global(const cli_options *o) {
    static global g;
    cli_session s = {.o = o, .start = start, .data = &g};
    int rc;

    g.s = &s;
    etf_writer_init(&g.name_writer, NULL);
    etf_writer_init(&g.proc_writer, NULL);
    rc = read_words(o, &g);
    if (rc == 0)
        rc = cli_session_run(&s, o->args[0]);
    free(g.sorted);
    etf_copy_free(NULL, g.names);
    etf_writer_free(&g.name_writer);
    etf_writer_free(&g.proc_writer);
    return rc;
}
