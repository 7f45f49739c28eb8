/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc_driver.c: the C side of rpc_SUITE, gen_SUITE and the Elixir script: a
 * node with functions and servers, that also asks others.
 *
 *   rpc_driver NAME [MAX_FUNCTIONS [hidden|visible|full]]
 *
 * with $CNODE_COOKIE. When it is said what the node is, the scope pg runs on
 * it, in which echo is of the group `echoes`, and on a full one echo has the
 * global name `echo` too.
 *
 * It writes "ready"; anything on stdin, or its end, ends it. What it has:
 *
 *   c:add/2, c:raise(Class, Reason), c:badarg/0
 *   c:sleep(Ms)        answers ok then, in its own thread
 *   c:thread(Term)     ... {thread, Term}, from another one
 *   c:hang/0           never answers, but ends when its caller gives up
 *   c:abandoned/0      how many of those there were
 *
 *   gen      a server and event manager. Calls: {echo, T}, {thread, T}, refuse,
 *            {stop, Reason}. Its state is the list of casts and events
 *   plain    answers {From, Req} as rpc:server_call wants it: {plain, node(),
 *            {ok, Req}}; refuses what else wants an answer
 *   echo     {ok, Request} to calls, {self(), M} for {From, M}
 *   driver   obeys, see `commands`; an answer of a call is {Code, Result}
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cnode/cnode.h>
#include <cnode/global.h>
#include <cnode/pg.h>

enum { NAMES = 16, NAME_SIZE = 256 };

typedef struct driver {
    cnode *node;
    int64_t abandoned;
    etf_writer state; /* elements of a list */
} driver;

static _Noreturn void die(const char *why) {
    (void)fprintf(stderr, "rpc_driver: %s\n", why);
    exit(1);
}

static void *take(size_t n) {
    void *p = calloc(1, n);

    if (p == NULL)
        die("no memory");
    return p;
}

/* --- work for other threads ----------------------------------------------- */

typedef struct job {
    cnode_deferred *deferred;
    size_t len;
    uint8_t term[];
} job;

static void *work(void *arg) {
    job *j = arg;
    const etf_view term = {j->term, j->len};

    (void)cnode_complete(j->deferred, "{thread, ~t}", term);
    free(j);
    return NULL;
}

/* The answer to a call, or (from NULL) of a function, comes from a thread. */
static int answer_by_thread(cnode_proc *p, const cnode_from *from,
                            etf_view term) {
    job *j = take(sizeof *j + term.len);
    pthread_t thread;
    int err = cnode_defer(p, from, &j->deferred);

    if (err != 0) {
        free(j);
        return err;
    }
    j->len = term.len;
    memcpy(j->term, term.data, term.len);
    if (pthread_create(&thread, NULL, work, j) != 0)
        die("no thread");
    (void)pthread_detach(thread);
    return 0;
}

/* --- functions ------------------------------------------------------------ */

static int add(cnode_proc *self, etf_view args, etf_writer *out, void *data) {
    int64_t a, b;

    (void)self;
    (void)data;
    if (etf_match(args, "[~i, ~i]", &a, &b) != 0)
        return CN_EBADARG;
    return etf_pack(out, "~i", a + b);
}

static int raise_it(cnode_proc *self, etf_view args, etf_writer *out,
                    void *data) {
    etf_view class, reason;

    (void)out;
    (void)data;
    if (etf_match(args, "[~a, ~t]", &class, &reason) != 0)
        return CN_EBADARG;
    return cnode_raise(self,
                       etf_view_is(class, "throw")  ? CNODE_THROW
                       : etf_view_is(class, "exit") ? CNODE_EXIT
                                                    : CNODE_ERROR,
                       "~t", reason);
}

static int badarg(cnode_proc *self, etf_view args, etf_writer *out,
                  void *data) {
    (void)self;
    (void)args;
    (void)out;
    (void)data;
    return CN_EBADARG;
}

static void wake_up(cnode_proc *p, void *arg) {
    (void)arg;
    (void)cnode_return(p, "ok");
}

static int sleep_ms(cnode_proc *self, etf_view args, etf_writer *out,
                    void *data) {
    uint32_t ms;
    int err;

    (void)out;
    (void)data;
    if (etf_match(args, "[~i]", &ms) != 0)
        return CN_EBADARG;
    err = cnode_after(self, ms, wake_up, NULL);
    return err == 0 ? CNODE_LATER : err;
}

static int thread(cnode_proc *self, etf_view args, etf_writer *out,
                  void *data) {
    etf_view term;
    int err;

    (void)out;
    (void)data;
    if (etf_match(args, "[~t]", &term) != 0)
        return CN_EBADARG;
    err = answer_by_thread(self, NULL, term);
    return err == 0 ? CNODE_LATER : err;
}

static void on_abandon(cnode_proc *self, void *arg) {
    driver *d = arg;

    d->abandoned++;
    (void)cnode_exit(self, "abandoned");
}

static int hang(cnode_proc *self, etf_view args, etf_writer *out, void *data) {
    int err = cnode_on_abandon(self, on_abandon, data);

    (void)args;
    (void)out;
    return err == 0 ? CNODE_LATER : err;
}

static int abandoned(cnode_proc *self, etf_view args, etf_writer *out,
                     void *data) {
    const driver *d = data;

    (void)self;
    (void)args;
    return etf_pack(out, "~i", d->abandoned);
}

/* --- servers -------------------------------------------------------------- */

static void on_gen_call(cnode_proc *p, const cnode_from *from, etf_view request,
                        void *data) {
    etf_view term;

    (void)data;
    if (etf_match(request, "{echo, ~t}", &term) == 0)
        (void)cnode_reply(p, from, "~t", term);
    else if (etf_match(request, "{thread, ~t}", &term) == 0)
        (void)answer_by_thread(p, from, term);
    else if (etf_match(request, "{stop, ~t}", &term) == 0)
        (void)cnode_exit(p, "~t", term);
    else
        (void)cnode_refuse(p, from, "{unknown, ~t}", request);
}

static void note(cnode_proc *p, etf_view term, void *data) {
    driver *d = data;

    (void)p;
    etf_put_term(&d->state, term);
}

static void put_state(cnode_proc *p, etf_writer *out, void *data) {
    driver *d = data;
    etf_view all, one;

    (void)p;
    etf_begin_list(out);
    if (etf_writer_finish(&d->state, &all) == 0) {
        etf_reader r;
        etf_reader_init(&r, all);
        while (etf_reader_left(&r) > 0 && r.err == 0) {
            one = etf_get_term(&r);
            etf_put_term(out, one);
        }
    }
    etf_end_list(out);
}

static void start_gen(driver *d);

static void on_gen_end(cnode_proc *p, etf_view reason, void *data) {
    (void)p;
    (void)reason;
    start_gen(data);
}

static void start_gen(driver *d) {
    const cnode_proc_config c = {.name = "gen",
                                 .on_call = on_gen_call,
                                 .on_cast = note,
                                 .on_event = note,
                                 .put_state = put_state,
                                 .on_end = on_gen_end,
                                 .data = d};

    etf_writer_reset(&d->state);
    (void)cnode_spawn(d->node, &c, NULL); /* fails when the node closes */
}

static void on_plain(cnode_proc *p, const cnode_msg *m, void *data) {
    etf_view request;
    etf_pid from;

    (void)data;
    if (cnode_refuse_msg(p, m))
        return;
    if (etf_match(m->term, "{~p, ~t}", &from, &request) == 0)
        (void)cnode_send(p, &from, "{plain, ~a, {ok, ~t}}",
                         cnode_name(cnode_of(p)), request);
}

static void on_echo_call(cnode_proc *p, const cnode_from *from,
                         etf_view request, void *data) {
    (void)data;
    (void)cnode_reply(p, from, "{ok, ~t}", request);
}

static void on_echo(cnode_proc *p, const cnode_msg *m, void *data) {
    etf_pid from, self = cnode_self(p);
    etf_view body;

    (void)data;
    if (!cnode_refuse_msg(p, m) &&
        etf_match(m->term, "{~p, ~t}", &from, &body) == 0)
        (void)cnode_send(p, &from, "{~p, ~t}", &self, body);
}

/* --- commands ------------------------------------------------------------- */

/* A command under way; what it was told is kept until it is over. */
typedef struct order {
    cnode_deferred *answer;
    char text[4][NAME_SIZE]; /* atoms, in the order of the command */
    char nodes[NAMES][NAME_SIZE];
    const char *list[NAMES];
    size_t n;
} order;

static void text_of(etf_view atom, char out[NAME_SIZE]) {
    size_t n = atom.len < NAME_SIZE ? atom.len : 0;

    if (n > 0)
        memcpy(out, atom.data, n);
    out[n] = '\0';
}

static bool nodes_of(order *o, etf_list list) {
    etf_view node, name;

    while (etf_list_next(&list, &node)) {
        if (o->n == NAMES || etf_match(node, "~a", &name) != 0)
            return false;
        text_of(name, o->nodes[o->n]);
        o->list[o->n] = o->nodes[o->n];
        o->n++;
    }
    return true;
}

static void on_result(cnode_proc *p, int status, etf_view result, void *data) {
    order *o = data;

    (void)p;
    if (result.len > 0)
        (void)cnode_complete(o->answer, "{~a, ~t}", cn_errname(status), result);
    else
        (void)cnode_complete(o->answer, "{~a, []}", cn_errname(status));
    free(o);
}

static void on_many(cnode_proc *p, const cnode_many_result *r, size_t n,
                    void *data) {
    order *o = data;
    etf_writer w;
    etf_view all;

    (void)p;
    etf_writer_init(&w, NULL);
    etf_begin_list(&w);
    for (size_t i = 0; i < n; i++) {
        if (r[i].result.len > 0)
            (void)etf_pack(&w, "{~a, ~a, ~t}", r[i].node,
                           cn_errname(r[i].status), r[i].result);
        else
            (void)etf_pack(&w, "{~a, ~a, []}", r[i].node,
                           cn_errname(r[i].status));
    }
    etf_end_list(&w);
    if (etf_writer_finish(&w, &all) != 0)
        die("out of memory");
    (void)cnode_complete(o->answer, "~t", all);
    etf_writer_free(&w);
    free(o);
}

static int do_rpc(cnode_proc *p, order *o, etf_view command) {
    cnode_rpc_opts to = {
        .node = o->text[1], .module = o->text[2], .function = o->text[3]};
    etf_view v[5];

    if (etf_match(command, "{rpc, ~a, ~a, ~a, ~a, ~t, ~i}", &v[0], &v[1], &v[2],
                  &v[3], &v[4], &to.timeout_ms) != 0)
        return CN_EBADARG;
    for (int i = 0; i < 4; i++)
        text_of(v[i], o->text[i]);
    to.by_rex = etf_view_is(v[0], "rex");
    to.block = etf_view_is(v[0], "block");
    return cnode_rpc(p, &to, on_result, o, "~t", v[4]);
}

static int do_rpc_many(cnode_proc *p, order *o, etf_view command) {
    cnode_rpc_opts to = {.module = o->text[0], .function = o->text[1]};
    etf_view v[3];
    etf_list nodes;

    if (etf_match(command, "{rpc_many, ~l, ~a, ~a, ~t, ~i}", &nodes, &v[0],
                  &v[1], &v[2], &to.timeout_ms) != 0 ||
        !nodes_of(o, nodes))
        return CN_EBADARG;
    text_of(v[0], o->text[0]);
    text_of(v[1], o->text[1]);
    return cnode_rpc_many(p, o->list, o->n, &to, on_many, o, "~t", v[2]);
}

static int do_call_many(cnode_proc *p, order *o, etf_view command) {
    cnode_call_opts to = {.server = o->text[0]};
    etf_view v[2];
    etf_list nodes;

    if (etf_match(command, "{call_many, ~l, ~a, ~t, ~i}", &nodes, &v[0], &v[1],
                  &to.timeout_ms) != 0 ||
        !nodes_of(o, nodes))
        return CN_EBADARG;
    text_of(v[0], o->text[0]);
    return cnode_call_many(p, o->list, o->n, &to, on_many, o, "~t", v[1]);
}

static int do_sbcast(cnode_proc *p, order *o, etf_view command) {
    etf_view v[2];
    etf_list nodes;
    uint32_t ms;

    if (etf_match(command, "{sbcast, ~l, ~a, ~t, ~i}", &nodes, &v[0], &v[1],
                  &ms) != 0 ||
        !nodes_of(o, nodes))
        return CN_EBADARG;
    text_of(v[0], o->text[0]);
    return cnode_sbcast(p, o->list, o->n, o->text[0], ms, on_many, o, "~t",
                        v[1]);
}

/* What waits for nothing is answered at once. */
static int at_once(order *o, int err) {
    if (err != 0)
        return err;
    (void)cnode_complete(o->answer, "ok");
    free(o);
    return 0;
}

static int do_send_many(cnode_proc *p, order *o, etf_view command) {
    etf_view how, name, message;
    etf_list nodes;

    if (etf_match(command, "{~a, ~l, ~a, ~t}", &how, &nodes, &name, &message) !=
            0 ||
        !nodes_of(o, nodes))
        return CN_EBADARG;
    text_of(name, o->text[0]);
    return at_once(
        o, etf_view_is(how, "cast_many")
               ? cnode_cast_many(p, o->list, o->n, o->text[0], "~t", message)
               : cnode_send_many(p, o->list, o->n, o->text[0], "~t", message));
}

static cnode_call_form form_of(etf_view form) {
    return etf_view_is(form, "sys")     ? CNODE_CALL_SYS
           : etf_view_is(form, "event") ? CNODE_CALL_EVENT
                                        : CNODE_CALL_SERVER;
}

/* To is a pid, {Name, Node}, or {global, Name, Node}. */
static bool aim(order *o, etf_view to, cnode_call_opts *c, etf_pid *pid) {
    etf_view a, b;

    if (etf_match(to, "~p", pid) == 0) {
        c->pid = pid;
        return true;
    }
    c->node = o->text[1];
    if (etf_match(to, "{global, ~a, ~a}", &a, &b) == 0)
        c->global = o->text[0];
    else if (etf_match(to, "{~a, ~a}", &a, &b) == 0)
        c->server = o->text[0];
    else
        return false;
    text_of(a, o->text[0]);
    text_of(b, o->text[1]);
    return true;
}

static int do_call(cnode_proc *p, order *o, etf_view command) {
    cnode_call_opts c = {0};
    etf_view to, form, request;
    etf_pid pid;

    if (etf_match(command, "{call, ~t, ~a, ~t, ~i}", &to, &form, &request,
                  &c.timeout_ms) != 0 ||
        !aim(o, to, &c, &pid))
        return CN_EBADARG;
    c.form = form_of(form);
    return cnode_call(p, &c, on_result, o, "~t", request);
}

static int do_cast(cnode_proc *p, order *o, etf_view command) {
    cnode_call_opts c = {0};
    etf_view to, request;
    etf_pid pid;

    if (etf_match(command, "{cast, ~t, ~t}", &to, &request) != 0 ||
        !aim(o, to, &c, &pid))
        return CN_EBADARG;
    return at_once(o, cnode_cast(p, &c, "~t", request));
}

static const struct {
    const char *name;
    int (*run)(cnode_proc *p, order *o, etf_view command);
} commands[] = {
    {"rpc", do_rpc},             /* erpc | rex | block, Node, M, F, Args, Ms */
    {"rpc_many", do_rpc_many},   /* Nodes, M, F, Args, Ms */
    {"call_many", do_call_many}, /* Nodes, Name, Request, Ms */
    {"sbcast", do_sbcast},       /* Nodes, Name, Message, Ms */
    {"send_many", do_send_many}, /* Nodes, Name, Message */
    {"cast_many", do_send_many},
    {"call", do_call}, /* To, server | sys | event, Request, Ms */
    {"cast", do_cast}, /* To, Request */
};

static int obey(cnode_proc *p, order *o, etf_view command) {
    etf_view first, name;

    if (etf_element(command, 0, &first) != 0 ||
        etf_match(first, "~a", &name) != 0)
        return CN_EBADARG;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (etf_view_is(name, commands[i].name))
            return commands[i].run(p, o, command);
    return CN_EBADARG;
}

static void on_command(cnode_proc *p, const cnode_from *from, etf_view command,
                       void *data) {
    order *o = take(sizeof *o);
    int err = cnode_defer(p, from, &o->answer);

    (void)data;
    if (err != 0)
        die("out of memory");
    err = obey(p, o, command);
    if (err == 0)
        return;
    (void)cnode_complete(o->answer, "{error, ~a}", cn_errname(err));
    free(o);
}

/* --- all ------------------------------------------------------------------ */

static void *wait_for_end(void *arg) {
    char trash[64];

    (void)!read(STDIN_FILENO, trash, sizeof trash);
    cnode_stop(arg);
    return NULL;
}

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    (void)ctx;
    (void)fprintf(stderr, "%d %s: %s\n", (int)level, where, text);
}

static int export_all(driver *d) {
    static const struct {
        const char *name;
        uint8_t arity;
        cnode_function fn;
    } all[] = {
        {"add", 2, add},
        {"raise", 2, raise_it},
        {"badarg", 0, badarg},
        {"sleep", 1, sleep_ms},
        {"thread", 1, thread},
        {"hang", 0, hang},
        {"abandoned", 0, abandoned},
    };
    int err = 0;

    for (size_t i = 0; i < sizeof all / sizeof all[0] && err == 0; i++)
        err =
            cnode_export(d->node, "c", all[i].name, all[i].arity, all[i].fn, d);
    return err;
}

/* Where others look for it. */
static int show(driver *d, cnode_proc *echo, const char *kind) {
    etf_pid pid = cnode_self(echo);
    cnode_pg *pg;
    int err = cnode_pg_start(d->node, NULL, &pg);

    if (err == 0)
        err = cnode_pg_join(pg, &pid, 1, "echoes");
    if (err == 0 && strcmp(kind, "full") == 0)
        err = cnode_global_register(echo, "echo", NULL, NULL, NULL);
    return err;
}

static int start(driver *d, const char *kind) {
    const cnode_proc_config plain = {.name = "plain", .on_message = on_plain};
    const cnode_proc_config echo = {
        .name = "echo", .on_message = on_echo, .on_call = on_echo_call};
    const cnode_proc_config self = {.name = "driver", .on_call = on_command};
    cnode_proc *shown = NULL;
    int err = export_all(d);

    start_gen(d);
    if (err == 0)
        err = cnode_spawn(d->node, &plain, NULL);
    if (err == 0)
        err = cnode_spawn(d->node, &echo, &shown);
    if (err == 0)
        err = cnode_spawn(d->node, &self, NULL);
    if (err == 0 && kind != NULL)
        err = show(d, shown, kind);
    return err == 0 ? cnode_listen(d->node) : err;
}

int main(int argc, char **argv) {
    static driver d;
    cnode_config c = {.log = {.fn = on_log, .level = CN_LOG_WARN}};
    const char *kind;
    pthread_t end;
    int err;

    if (argc < 2)
        return 2;
    c.name = argv[1];
    c.max_functions = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    kind = argc > 3 ? argv[3] : NULL;
    c.visible = kind != NULL && strcmp(kind, "visible") == 0;
    c.full = kind != NULL && strcmp(kind, "full") == 0;
    etf_writer_init(&d.state, NULL);
    if (cnode_new(&d.node, &c) != 0 || start(&d, kind) != 0)
        die("cannot start");
    puts("ready");
    (void)fflush(stdout);
    if (pthread_create(&end, NULL, wait_for_end, d.node) != 0)
        die("no thread");
    err = cnode_run(d.node);
    (void)pthread_join(end, NULL);
    cnode_free(d.node);
    etf_writer_free(&d.state);
    return err != 0;
}
