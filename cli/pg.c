/* SPDX-License-Identifier: Apache-2.0
 *
 * pg.c: process groups: lists those that a node knows, or takes part in their
 * scope and says what joins, leaves, and is sent to a member of our own.
 *
 * A list is asked for by erpc, so it is what the node knows of its cluster. To
 * watch is to be one of the nodes of the scope, and no node passes on what it
 * knows of others: so all nodes that this one is connected to are connected to
 * as well, also those that come later.
 */
#include <signal.h>
#include <string.h>

#include <cnode/pg.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/session.h"

enum { SIGNAL_MS = 100, NODES_MS = 2000 };

typedef struct pg {
    cli_session *s;
    const char *scope;
    etf_view group;  /* of --join */
    etf_view groups; /* a copy */
    etf_reader list; /* those that are asked for one by one */
    uint32_t left;
    etf_view asked;   /* one of them */
    cnode_proc *self; /* the member */
    cnode_pg *pg;
    uint64_t nodes_at; /* when to ask for nodes again */
} pg;

static volatile sig_atomic_t stopped;

/* --- lines --------------------------------------------------------------- */

static int print_term(const pg *p, etf_view term) {
    return p->s->o->json ? cli_json_print(term, stdout)
                         : etf_print_file(term, stdout);
}

static int print_pid(const pg *p, const etf_pid *pid) {
    uint8_t buf[ETF_NODE_MAX + 32];
    etf_view term = {NULL, 0};
    etf_writer w;

    etf_writer_init_fixed(&w, buf, sizeof buf);
    etf_put_pid(&w, pid);
    (void)etf_writer_finish(&w, &term);
    return print_term(p, term);
}

/* GROUP, tab, PID, behind what happened; or an object. event NULL: in a
 * list. */
static int print_member(const pg *p, const char *event, etf_view group,
                        const etf_pid *pid) {
    bool json = p->s->o->json;
    int rc;

    if (event != NULL)
        printf(json ? "{\"event\":\"%s\",\"group\":" : "%s\t", event);
    else if (json)
        printf("{\"group\":");
    rc = print_term(p, group);
    printf(json ? ",\"pid\":" : "\t");
    if (rc == 0)
        rc = print_pid(p, pid);
    printf(json ? "}\n" : "\n");
    return rc;
}

static int print_message(const pg *p, etf_view term) {
    bool json = p->s->o->json;
    int rc;

    printf(json ? "{\"event\":\"message\",\"term\":" : "message\t");
    rc = print_term(p, term);
    printf(json ? "}\n" : "\n");
    return rc;
}

/* A line of a stream is read at once. */
static void line_done(pg *p, int rc) {
    if (p->s->ended)
        return;
    if (rc != 0 && rc != CN_EIO)
        cli_session_end(p->s, cli_fail(p->s->o, rc));
    else if (fflush(stdout) != 0 || ferror(stdout))
        cli_session_end(p->s, cli_wrote(p->s->o));
}

/* --- what a node knows --------------------------------------------------- */

/* How a scope comes to be there: Erlang starts none by itself. */
static void say_no_scope(const pg *p) {
    const cli_options *o = p->s->o;

    cli_say(o, "%s has no scope %s", p->s->peer, p->scope);
    if (strcmp(p->scope, "pg") == 0)
        cli_say_hint(o,
                     "start it there: pg:start(pg), or erl -kernel start_pg "
                     "true; of `%s serve`: --pg-scope pg",
                     o->program);
    else
        cli_say_hint(o,
                     "start it there: pg:start/1, or --pg-scope of `%s "
                     "serve`; that of Phoenix.PubSub is "
                     "Elixir.Phoenix.PubSub",
                     o->program);
}

static int end_unknown(const pg *p, int status, etf_view result) {
    const cli_options *o = p->s->o;
    char text[CLI_NAME_MAX + 80];

    if (status == CN_EREMOTE && etf_match(result, "{error, badarg, _}") == 0) {
        say_no_scope(p);
    } else {
        (void)snprintf(text, sizeof text,
                       "%s does not list its groups: ", p->s->peer);
        cli_say_term(o, text, result);
        if (etf_match(result, "{error, undef, _}") == 0)
            cli_say_hint(o, "is it a node that has process groups?");
    }
    return CLI_NO;
}

/* True: the call has given a value. */
static bool answered(pg *p, int status, etf_view result) {
    if (p->s->ended)
        return false;
    if (!cli_is_answer(status))
        cli_session_fail(p->s, status);
    else if (status != 0)
        cli_session_end(p->s, end_unknown(p, status, result));
    return status == 0;
}

static int print_list(const pg *p, etf_view members) {
    etf_reader groups, lists;
    uint32_t n;
    int rc = 0;

    etf_reader_init(&groups, p->groups);
    etf_reader_init(&lists, members);
    n = etf_get_list(&groups);
    for (uint32_t left = etf_get_list(&lists); left > 0 && n > 0; left--, n--) {
        etf_view group = etf_get_term(&groups);

        for (uint32_t i = etf_get_list(&lists); i > 0 && rc == 0; i--) {
            etf_pid pid;
            etf_get_pid(&lists, &pid);
            rc =
                lists.err != 0 ? lists.err : print_member(p, NULL, group, &pid);
        }
        etf_get_tail(&lists);
    }
    return rc != 0 ? rc : lists.err;
}

static void next_group(pg *p);

static int print_group(const pg *p, etf_view members) {
    etf_reader r;
    int rc = 0;

    etf_reader_init(&r, members);
    for (uint32_t n = etf_get_list(&r); n > 0 && rc == 0; n--) {
        etf_pid pid;
        etf_get_pid(&r, &pid);
        rc = r.err != 0 ? r.err : print_member(p, NULL, p->asked, &pid);
    }
    return rc;
}

static void on_group(cnode_proc *self, int status, etf_view result,
                     void *data) {
    pg *p = data;
    int rc;

    (void)self;
    if (!answered(p, status, result))
        return;
    cli_write_begin();
    rc = print_group(p, result);
    cli_deadline_unguard();
    if (rc == 0 || rc == CN_EIO)
        next_group(p);
    else
        cli_session_end(p->s, cli_fail(p->s->o, rc));
}

/* A node without Erlang has no lists:zipwith/3. */
static void next_group(pg *p) {
    const cnode_rpc_opts to = {.node = p->s->peer,
                               .module = "pg",
                               .function = "get_members",
                               .timeout_ms = UINT32_MAX};
    int rc;

    if (p->left == 0) {
        cli_session_end(p->s, cli_wrote(p->s->o));
        return;
    }
    p->left--;
    p->asked = etf_get_term(&p->list);
    rc =
        cnode_rpc(p->s->proc, &to, on_group, p, "[~a, ~t]", p->scope, p->asked);
    if (rc != 0)
        cli_session_fail(p->s, rc);
}

static void ask_one_by_one(pg *p) {
    etf_reader_init(&p->list, p->groups);
    p->left = etf_get_list(&p->list);
    next_group(p);
}

static void on_members(cnode_proc *self, int status, etf_view result,
                       void *data) {
    pg *p = data;
    int rc;

    (void)self;
    if (status == CN_EREMOTE && !p->s->ended &&
        etf_match(result, "{error, undef, _}") == 0) {
        ask_one_by_one(p);
        return;
    }
    if (!answered(p, status, result))
        return;
    cli_write_begin();
    rc = print_list(p, result);
    cli_deadline_unguard();
    cli_session_end(p->s, rc == 0 || rc == CN_EIO ? cli_wrote(p->s->o)
                                                  : cli_fail(p->s->o, rc));
}

/* lists:zipwith(fun pg:get_members/2, [Scope, ...], Groups): all at once. */
static int ask_members(pg *p, uint32_t n) {
    const cnode_rpc_opts to = {.node = p->s->peer,
                               .module = "lists",
                               .function = "zipwith",
                               .timeout_ms = UINT32_MAX};
    etf_view args;
    etf_writer w;
    int rc;

    etf_writer_init(&w, NULL);
    etf_put_list(&w, 3);
    etf_put_export(&w, "pg", "get_members", 2);
    etf_put_list(&w, n);
    for (uint32_t i = 0; i < n; i++)
        etf_put_atom(&w, p->scope);
    etf_put_nil(&w);
    etf_put_term(&w, p->groups);
    etf_put_nil(&w);
    rc = etf_writer_finish(&w, &args);
    if (rc == 0)
        rc = cnode_rpc(p->s->proc, &to, on_members, p, "~t", args);
    etf_writer_free(&w);
    return rc;
}

/* --- taking part --------------------------------------------------------- */

static void on_event(cnode_pg *s, const cnode_pg_event *e, void *data) {
    pg *p = data;
    int rc = 0;

    (void)s;
    for (size_t i = 0; i < e->n && rc == 0 && !p->s->ended; i++)
        rc = print_member(p, e->joined ? "joined" : "left", e->group,
                          &e->pids[i]);
    line_done(p, rc);
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    pg *p = data;

    (void)self;
    if (!p->s->ended)
        line_done(p, print_message(p, m->term));
}

/* The node is what this is about; without it there is nothing to watch. */
static void on_down(cnode_proc *self, const cnode_down *d, void *data) {
    pg *p = data;

    (void)self;
    (void)d;
    if (p->s->ended)
        return;
    cli_say(p->s->o, "%s: the connection was lost", p->s->peer);
    cli_session_end(p->s, CLI_UNREACHED);
}

static void on_nodes(cnode_proc *self, int status, etf_view result,
                     void *data) {
    pg *p = data;
    etf_reader r;

    (void)self;
    if (status != 0 || p->s->ended)
        return; /* it has no others, or cannot say so */
    etf_reader_init(&r, result);
    for (uint32_t n = etf_get_list(&r); n > 0; n--) {
        etf_view node = etf_get_atom(&r);
        char name[CLI_NAME_MAX];

        if (r.err != 0 || node.len >= sizeof name)
            continue;
        memcpy(name, node.data, node.len);
        name[node.len] = '\0';
        (void)cnode_connect(p->s->node, name, NULL, NULL);
    }
}

static int ask_nodes(pg *p) {
    const cnode_rpc_opts to = {
        .node = p->s->peer, .module = "erlang", .function = "nodes"};

    p->nodes_at = cnode_now(p->s->node) + NODES_MS;
    return cnode_rpc(p->self, &to, on_nodes, p, "[]");
}

static void on_time(cnode_proc *self, void *arg) {
    pg *p = arg;
    int rc = 0;

    if (p->s->ended)
        return;
    if (stopped || cli_nobody_reads()) { /* it need not write again soon */
        cli_session_end(p->s, CLI_DONE);
        return;
    }
    if (cnode_now(p->s->node) >= p->nodes_at)
        rc = ask_nodes(p);
    if (rc == 0)
        rc = cnode_after(self, SIGNAL_MS, on_time, p);
    if (rc != 0)
        cli_session_fail(p->s, rc);
}

static int watch(pg *p) {
    if (p->s->o->watch)
        return cnode_pg_monitor_scope(p->pg, on_event, p, NULL);
    return cnode_pg_monitor(p->pg, on_event, p, NULL, "~t", p->group);
}

static int join(pg *p) {
    etf_pid self = cnode_self(p->self);

    return p->group.len == 0 ? 0
                             : cnode_pg_join(p->pg, &self, 1, "~t", p->group);
}

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static void take_part(pg *p) {
    const cnode_proc_config c = {
        .on_message = on_message, .on_down = on_down, .data = p};
    const cnode_pg_opts o = {.scope = p->scope, .discover_ms = 1000};
    cnode *n = p->s->node;
    int rc = cnode_spawn(n, &c, &p->self);

    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    cli_deadline_lift();
    if (rc == 0)
        rc = cnode_monitor(p->self, p->s->peer, "net_kernel", NULL);
    if (rc == 0)
        rc = cnode_pg_start(n, &o, &p->pg);
    if (rc == 0)
        rc = watch(p);
    if (rc == 0)
        rc = join(p);
    if (rc != 0)
        cli_session_fail(p->s, rc);
    else
        on_time(p->self, p);
}

/* --- the command --------------------------------------------------------- */

static bool takes_part(const pg *p) {
    return p->s->o->watch || p->group.len > 0;
}

static void on_groups(cnode_proc *self, int status, etf_view result,
                      void *data) {
    pg *p = data;
    etf_reader r;
    uint32_t n;
    int rc;

    (void)self;
    if (!answered(p, status, result))
        return;
    if (takes_part(p)) {
        take_part(p);
        return;
    }
    etf_reader_init(&r, result);
    n = etf_get_list(&r);
    if (n == 0) {
        cli_session_end(p->s, CLI_DONE);
        return;
    }
    rc = etf_copy(NULL, result, &p->groups);
    if (rc == 0)
        rc = ask_members(p, n);
    if (rc != 0)
        cli_session_fail(p->s, rc);
}

static void start(cli_session *s) {
    pg *p = s->data;
    const cnode_rpc_opts to = {.node = s->peer,
                               .module = "pg",
                               .function = "which_groups",
                               .timeout_ms = UINT32_MAX};
    int rc = cnode_rpc(s->proc, &to, on_groups, p, "[~a]", p->scope);

    if (rc != 0)
        cli_session_fail(s, rc);
}

int cli_pg(const cli_options *o) {
    pg p = {.scope = o->scope == NULL ? "pg" : o->scope};
    cli_session s = {.o = o, .start = start, .data = &p};
    etf_writer w;
    int rc = 0;

    p.s = &s;
    etf_writer_init(&w, NULL);
    if (o->join != NULL)
        rc = cli_parse_argument(o, &w, "GROUP", o->join, &p.group);
    if (rc == 0)
        rc = cli_session_run(&s, o->args[0]);
    etf_copy_free(NULL, p.groups);
    etf_writer_free(&w);
    return rc;
}
