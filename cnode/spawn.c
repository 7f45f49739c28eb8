/* SPDX-License-Identifier: Apache-2.0
 *
 * spawn.c: functions that other nodes apply here. Every request makes a
 * process; the function runs in it. What it comes to is the exit reason of
 * that process, in the form erpc expects when erpc has asked, else as from
 * any Erlang process: an unknown function is a process that ends with undef.
 */
#include <string.h>

#include "cnode/control.h"
#include "cnode/node.h"

/* --- exports ------------------------------------------------------------- */

enum { KEY_MAX = 2 * 1024 + 3, DEFAULT_FUNCTIONS = 262144 };

static size_t export_key(etf_view module, etf_view function, uint8_t arity,
                         char key[KEY_MAX]) {
    size_t n = module.len + function.len + 3;

    if (module.len > 1024 || function.len > 1024)
        return 0;
    memcpy(key, module.data, module.len);
    key[module.len] = '\0';
    memcpy(key + module.len + 1, function.data, function.len);
    key[n - 2] = '\0';
    key[n - 1] = (char)arity;
    return n;
}

static etf_view text_view(const char *text) {
    return (etf_view){(const uint8_t *)text, strlen(text)};
}

int cnode_export(cnode *n, const char *module, const char *function,
                 uint8_t arity, cnode_function fn, void *data) {
    char key[KEY_MAX];
    size_t len;
    cnode__export *e;

    if (module == NULL || function == NULL || fn == NULL)
        return cnode__err(n, CN_EBADARG, "export: no %s is given",
                          module == NULL     ? "module"
                          : function == NULL ? "name of a function"
                                             : "function");
    if (!cnode__is_atom(module) || !cnode__is_atom(function))
        return cnode__err(n, CN_EBADARG, "export: '%.100s' is no atom",
                          cnode__is_atom(module) ? function : module);
    len = export_key(text_view(module), text_view(function), arity, key);
    e = cn__map_get(&n->exports, key, len);
    if (e == NULL) {
        e = cn__calloc(&n->alloc, 1, sizeof *e + len);
        if (e == NULL)
            return cnode__err(n, CN_ENOMEM, "out of memory");
        e->key_len = len;
        memcpy(e->key, key, len);
        if (cn__map_put(&n->exports, e->key, len, e) != 0) {
            cn__free(&n->alloc, e, 1, sizeof *e + len);
            return cnode__err(n, CN_ENOMEM, "out of memory");
        }
    }
    e->code = (cnode__code){fn, data};
    return 0;
}

void cnode__exports_free(cnode *n) {
    cnode__export *e;
    size_t at = 0;

    while ((e = cn__map_next(&n->exports, &at)) != NULL)
        cn__free(&n->alloc, e, 1, sizeof *e + e->key_len);
}

/* The program's own go before those that every node has. */
static const cnode__code *find_code(cnode *n, etf_view module,
                                    etf_view function, int64_t arity) {
    const cnode__export *e = NULL;
    char key[KEY_MAX];
    size_t len;

    if (arity < 0 || arity > 255)
        return NULL;
    len = export_key(module, function, (uint8_t)arity, key);
    if (len > 0)
        e = cn__map_get(&n->exports, key, len);
    return e != NULL ? &e->code : cnode__builtin(module, function, arity);
}

/* --- options ------------------------------------------------------------- */

static bool is_one_of(etf_view value, const char *const *names) {
    etf_view atom;

    if (etf_match(value, "~a", &atom) != 0)
        return false;
    for (; *names != NULL; names++)
        if (etf_view_is(atom, *names))
            return true;
    return false;
}

static bool is_count(etf_view value) {
    etf_reader r;
    bool negative;

    etf_reader_init(&r, value);
    (void)etf_get_big(&r, &negative);
    return etf_reader_finish(&r) == 0 && !negative;
}

/* Every element of a proper list is fit. */
static bool all_fit(etf_view list, bool (*fits)(etf_view)) {
    etf_reader r;
    bool ok = true;

    etf_reader_init(&r, list);
    for (uint32_t n = etf_get_list(&r); n > 0; n--)
        ok = fits(etf_get_term(&r)) && ok;
    etf_get_tail(&r);
    return ok && etf_reader_finish(&r) == 0;
}

static bool is_link_option(etf_view option) {
    return etf_match(option, "priority") == 0;
}

/* What they ask for is done by who watches. */
static bool is_monitor_option(etf_view option) {
    static const char *const modes[] = {"explicit_unalias", "demonitor",
                                        "reply_demonitor", NULL};
    etf_view value;

    return etf_match(option, "priority") == 0 ||
           etf_match(option, "{tag, _}") == 0 ||
           (etf_match(option, "{alias, ~t}", &value) == 0 &&
            is_one_of(value, modes));
}

/* Options about the memory and the scheduling of a process in Erlang: they
 * must make sense, and then mean nothing here. */
static bool is_idle_option(etf_view key, etf_view value) {
    static const char *const counts[] = {"min_heap_size", "min_bin_vheap_size",
                                         "fullsweep_after", "scheduler", NULL};
    static const char *const priorities[] = {"low", "normal", "high", "max",
                                             NULL};
    static const char *const places[] = {"on_heap", "off_heap", NULL};
    static const char *const booleans[] = {"true", "false", NULL};

    for (const char *const *c = counts; *c != NULL; c++)
        if (etf_view_is(key, *c))
            return is_count(value);
    if (etf_view_is(key, "max_heap_size"))
        return is_count(value) || etf_type_of(value) == ETF_MAP;
    if (etf_view_is(key, "priority"))
        return is_one_of(value, priorities);
    if (etf_view_is(key, "message_queue_data"))
        return is_one_of(value, places);
    return etf_view_is(key, "async_dist") && is_one_of(value, booleans);
}

/* One option; flags are CNODE_SPAWN_*. False: no release takes it. */
static bool parse_option(etf_view option, uint64_t *flags) {
    etf_view key, value = {NULL, 0};
    bool plain = etf_match(option, "~a", &key) == 0;

    if (!plain && etf_match(option, "{~a, ~t}", &key, &value) != 0)
        return false;
    if (etf_view_is(key, "link")) {
        *flags |= CNODE_SPAWN_LINK;
        return plain || all_fit(value, is_link_option);
    }
    if (etf_view_is(key, "monitor")) {
        *flags |= CNODE_SPAWN_MONITOR;
        return plain || all_fit(value, is_monitor_option);
    }
    return !plain && is_idle_option(key, value);
}

static bool parse_options(etf_view opts, uint64_t *flags) {
    etf_reader r;
    bool ok = true;

    *flags = 0;
    etf_reader_init(&r, opts);
    for (uint32_t n = etf_get_list(&r); n > 0; n--)
        ok = parse_option(etf_get_term(&r), flags) && ok;
    etf_get_tail(&r);
    return ok && etf_reader_finish(&r) == 0;
}

/* --- results ------------------------------------------------------------- */

static cnode__task *task_of(const cnode_proc *p) {
    return p->extra == NULL ? NULL : p->extra->task;
}

static etf_view task_ref(const cnode__task *t) {
    return (etf_view){t->bytes, t->ref_len};
}

static etf_view task_stack(const cnode__task *t) {
    return (etf_view){t->bytes + t->ref_len, t->stack_len};
}

static void put_value(etf_writer *w, const cnode__task *t, etf_view value) {
    if (t->ref_len > 0)
        (void)etf_pack(w, "{~t, return, ~t}", task_ref(t), value);
    else
        (void)etf_pack(w, "normal");
}

/* Section "erpc:call/4" for calls, "Errors and Error Handling" else. */
static void put_exception(etf_writer *w, const cnode__task *t, cnode_class c,
                          etf_view reason, etf_view stack) {
    bool erpc = t->ref_len > 0;

    if (erpc && c == CNODE_ERROR)
        (void)etf_pack(w, "{~t, error, ~t, ~t}", task_ref(t), reason, stack);
    else if (erpc)
        (void)etf_pack(w, "{~t, ~a, ~t}", task_ref(t),
                       c == CNODE_EXIT ? "exit" : "throw", reason);
    else if (c == CNODE_ERROR)
        (void)etf_pack(w, "{~t, ~t}", reason, stack);
    else if (c == CNODE_THROW)
        (void)etf_pack(w, "{{nocatch, ~t}, ~t}", reason, stack);
    else
        etf_put_term(w, reason);
}

/* Ends the process with what was written, or with what went wrong. */
static int end_with(cnode_proc *p, etf_writer *w) {
    uint8_t buf[32];
    etf_view reason;
    int err = etf_writer_finish(w, &reason);

    cnode__end(p, err == 0 ? reason
                           : cnode__atom("system_limit", buf, sizeof buf));
    etf_writer_free(w);
    return err;
}

static void finish_value(cnode_proc *p, etf_view value) {
    etf_writer w;

    etf_writer_init(&w, &p->node->alloc);
    put_value(&w, task_of(p), value);
    (void)end_with(p, &w);
}

static void finish_exception(cnode_proc *p, cnode_class c, etf_view reason,
                             etf_view stack) {
    etf_writer w;

    etf_writer_init(&w, &p->node->alloc);
    put_exception(&w, task_of(p), c, reason, stack);
    (void)end_with(p, &w);
}

static void finish_code(cnode_proc *p, int code) {
    uint8_t buf[128];
    const char *name = code == CN_EBADARG  ? "badarg"
                       : code == CN_ENOMEM ? "system_limit"
                                           : cn_strerror(code);
    finish_exception(p, CNODE_ERROR, cnode__atom(name, buf, sizeof buf),
                     task_stack(task_of(p)));
}

static int no_task(cnode_proc *p) {
    return cnode__err(p->node, CN_EBUG,
                      "this process was not made by a function call");
}

int cnode_return_args(cnode_proc *self, const etf_in *in, size_t count) {
    cnode *n = self->node;
    etf_writer w;
    etf_view value;
    int err;

    if (task_of(self) == NULL)
        return no_task(self);
    etf_writer_init(&w, &n->alloc);
    err = cnode__pack(n, &w, "return", in, count, &value);
    if (err == 0)
        finish_value(self, value);
    else if (err == CN_ENOMEM) /* the caller must not wait for ever */
        finish_code(self, err);
    etf_writer_free(&w);
    return err == 0 || err == CN_ENOMEM ? CNODE_LATER : err;
}

int cnode_raise_args(cnode_proc *self, cnode_class c, const etf_in *in,
                     size_t count) {
    cnode *n = self->node;
    etf_writer w;
    etf_view reason;
    int err;

    if (task_of(self) == NULL)
        return no_task(self);
    etf_writer_init(&w, &n->alloc);
    err = cnode__pack(n, &w, "raise", in, count, &reason);
    if (err == 0)
        finish_exception(self, c, reason, task_stack(task_of(self)));
    else if (err == CN_ENOMEM) /* the caller must not wait for ever */
        finish_code(self, err);
    etf_writer_free(&w);
    return err == 0 || err == CN_ENOMEM ? CNODE_LATER : err;
}

/* --- applying ------------------------------------------------------------ */

typedef struct application {
    etf_view ref; /* empty: erpc does not wait for the value */
    etf_view module;
    etf_view function;
    etf_view args;
} application;

int64_t cnode__list_length(etf_view list) {
    etf_reader r;
    uint32_t n;

    etf_reader_init(&r, list);
    n = etf_get_list(&r);
    for (uint32_t i = 0; i < n; i++)
        etf_skip(&r);
    etf_get_tail(&r);
    return etf_reader_finish(&r) == 0 ? (int64_t)n : -1;
}

static bool lies_in(etf_view outer, etf_view part) {
    return part.data >= outer.data && part.data < outer.data + outer.len;
}

/* Its names are lent as the term is; false also for names that would have to
 * be converted. */
static bool open_export(etf_view fun, application *a, uint8_t *arity) {
    etf_reader r;

    etf_reader_init(&r, fun);
    etf_get_export(&r, &a->module, &a->function, arity);
    return etf_reader_finish(&r) == 0 && lies_in(fun, a->module) &&
           lies_in(fun, a->function);
}

/* erlang:apply of a function by name, or of one that is exported; each is
 * inside the one before, so there is an end. */
static bool is_apply(const application *a, application *inner) {
    etf_view fun;
    uint8_t arity;

    *inner = *a;
    if (!etf_view_is(a->module, "erlang") || !etf_view_is(a->function, "apply"))
        return false;
    if (etf_match(a->args, "[~a, ~a, ~t]", &inner->module, &inner->function,
                  &inner->args) == 0)
        return true;
    return etf_match(a->args, "[~t, ~t]", &fun, &inner->args) == 0 &&
           etf_type_of(fun) == ETF_EXPORT && open_export(fun, inner, &arity) &&
           cnode__list_length(inner->args) == arity;
}

/* erpc asks for its own functions, which apply the one that is meant. */
static void unwrap(const cnode_ctrl *c, application *a) {
    application inner = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};

    *a = (application){{NULL, 0}, c->module, c->function, c->term};
    if (!etf_view_is(c->module, "erpc"))
        return;
    if ((etf_view_is(c->function, "execute_call") &&
         etf_match(c->term, "[~t, ~a, ~a, ~t]", &inner.ref, &inner.module,
                   &inner.function, &inner.args) == 0) ||
        (etf_view_is(c->function, "execute_cast") &&
         etf_match(c->term, "[~a, ~a, ~t]", &inner.module, &inner.function,
                   &inner.args) == 0))
        *a = inner;
    while (is_apply(a, &inner))
        *a = inner;
}

static void put_stack(etf_writer *w, const application *a, int64_t arity,
                      bool with_args) {
    if (with_args)
        (void)etf_pack(w, "[{~a, ~a, ~t, []}]", a->module, a->function,
                       a->args);
    else
        (void)etf_pack(w, "[{~a, ~a, ~i, []}]", a->module, a->function, arity);
}

static int make_task(cnode_proc *p, const application *a, int64_t arity,
                     bool with_args, cnode__watch *caller) {
    cnode *n = p->node;
    etf_writer w;
    etf_view stack;
    cnode__extra *x = cnode__extra_of(p);
    cnode__task *t = NULL;

    etf_writer_init(&w, &n->alloc);
    put_stack(&w, a, arity, with_args);
    if (etf_writer_finish(&w, &stack) == 0 && x != NULL)
        t = cn__calloc(&n->alloc, 1, sizeof *t + a->ref.len + stack.len);
    if (t != NULL) {
        t->ref_len = a->ref.len;
        t->stack_len = stack.len;
        t->caller = caller;
        if (a->ref.len > 0)
            memcpy(t->bytes, a->ref.data, a->ref.len);
        memcpy(t->bytes + t->ref_len, stack.data, stack.len);
    }
    etf_writer_free(&w);
    if (t == NULL)
        return CN_ENOMEM;
    x->task = t;
    n->tasks++;
    return 0;
}

void cnode__task_free(cnode_proc *p) {
    cnode__task *t = task_of(p);

    if (t == NULL)
        return;
    p->node->tasks--;
    cn__free(&p->node->alloc, t, 1, sizeof *t + t->ref_len + t->stack_len);
    p->extra->task = NULL;
}

static void run(cnode_proc *p, const cnode__code *c, etf_view args) {
    etf_writer w;
    etf_view value;
    int r;

    etf_writer_init(&w, &p->node->alloc);
    task_of(p)->running = true;
    r = c->fn(p, args, &w, c->data);
    task_of(p)->running = false;
    if (r == 0)
        r = etf_writer_finish(&w, &value);
    if (r == 0 && value.len == 0)
        r = CN_EBUG; /* it has forgotten to write one */
    if (p->ended || r > 0)
        ; /* it has raised or returned, or will */
    else if (r == 0)
        finish_value(p, value);
    else
        finish_code(p, r);
    etf_writer_free(&w);
}

static void apply(cnode_proc *p, const cnode_ctrl *c) {
    uint8_t buf[32];
    application a;
    int64_t arity;
    const cnode__code *code;

    unwrap(c, &a);
    arity = cnode__list_length(a.args);
    code = find_code(p->node, a.module, a.function, arity);
    if (make_task(p, &a, arity, code == NULL,
                  cnode__watch_find(p->node, &c->ref, &c->from)) != 0) {
        cnode__drop_message(p, "out of memory for a function call");
        cnode__end(p, cnode__atom("system_limit", buf, sizeof buf));
    } else if (code != NULL)
        run(p, code, a.args);
    else
        finish_exception(
            p, CNODE_ERROR,
            cnode__atom(arity < 0 ? "badarg" : "undef", buf, sizeof buf),
            task_stack(task_of(p)));
}

/* --- requests ------------------------------------------------------------ */

/* All but what came of it: the pid as from, or the error as result. */
static bool reply(cnode *n, cnode__peer *peer, const cnode_ctrl *request,
                  cnode_ctrl *c) {
    c->ref = request->ref;
    c->to = request->from;
    return cnode__tell(n, peer, c);
}

static bool reply_pid(cnode *n, cnode__peer *peer, const cnode_ctrl *request,
                      cnode_proc *p, uint64_t flags) {
    cnode_ctrl c;

    cnode__ctrl_clear(&c, CNODE_SIG_SPAWN_REPLY);
    c.from = cnode__pid_of(n, p->number);
    c.id = flags;
    cnode__trace_put(p, &c);
    return reply(n, peer, request, &c);
}

static void reply_error(cnode *n, cnode__peer *peer, const cnode_ctrl *request,
                        const char *error) {
    cnode_ctrl c;

    cnode__ctrl_clear(&c, CNODE_SIG_SPAWN_REPLY);
    c.result = text_view(error);
    c.token = request->token;
    (void)reply(n, peer, request, &c);
}

static int relate(cnode_proc *p, cnode__peer *peer, const cnode_ctrl *c,
                  uint64_t flags) {
    int err = cnode__lead(p, &c->group_leader);

    if (err == 0 && (flags & CNODE_SPAWN_LINK))
        err = cnode__link_add(p, &c->from, peer);
    if (err == 0 && (flags & CNODE_SPAWN_MONITOR))
        err = cnode__watch_add(p, peer, &c->ref, &c->from, (etf_view){NULL, 0});
    return err;
}

static void discard(cnode_proc *p) {
    uint8_t buf[16];
    cnode__link *l;
    cnode__watch *w;

    while ((l = cnode__list_first(cnode__link, in_proc, &p->links)) != NULL)
        cnode__link_drop(l);
    while ((w = cnode__list_first(cnode__watch, in_proc, &p->watches)) != NULL)
        cnode__watch_drop(w);
    cnode__end(p, cnode__atom("normal", buf, sizeof buf));
}

static void no_memory(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    cn__log(&n->config.log, CN_LOG_ERROR, "node",
            "%s: out of memory, refused to apply a function", n->peer_now);
    reply_error(n, peer, c, "system_limit");
}

static bool too_many(cnode *n) {
    uint32_t most = n->config.max_functions;

    if (n->tasks < (most == 0 ? DEFAULT_FUNCTIONS : most))
        return false;
    if (cnode__seldom(n, &n->quiet_tasks))
        cn__log(&n->config.log, CN_LOG_WARN, "node",
                "%s: refused to apply a function: %u run already "
                "(max_functions)",
                n->peer_now, n->tasks);
    return true;
}

/* The reply goes out before anything else of the new process. */
void cnode__spawn_request(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    static const cnode_proc_config plain = {0};
    cnode_proc *p;
    uint64_t flags;

    if (!parse_options(c->opts, &flags)) {
        reply_error(n, peer, c, "badopt");
        return;
    }
    if (too_many(n)) {
        reply_error(n, peer, c, "system_limit");
        return;
    }
    if (cnode__proc_new(n, &plain, &p) != 0) {
        no_memory(n, peer, c);
        return;
    }
    if (relate(p, peer, c, flags) != 0) {
        discard(p);
        no_memory(n, peer, c);
        return;
    }
    cnode__trace_got(p, c->token);
    if (reply_pid(n, peer, c, p, flags) || peer != NULL)
        apply(p, c);
    else
        discard(p); /* who asked hears that it came to nothing */
}
