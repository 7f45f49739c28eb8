/* SPDX-License-Identifier: Apache-2.0
 *
 * builtin.c: functions of Erlang that nodes, shells and tools apply on other
 * nodes by rpc, as far as they make sense on a node without Erlang in it. They
 * do what the manuals of `erlang` and `net_adm` say; a program that exports
 * one of the same name has its own. Those of `global` and `pg` are in
 * builtin_global.c and builtin_pg.c. What is not here is `undef`, as is what
 * erlang:system_info/1 knows nothing of here.
 */
#include <string.h>

#include "cnode/node.h"

/* --- the node ------------------------------------------------------------ */

static int node_0(cnode_proc *self, etf_view args, etf_writer *out,
                  void *data) {
    (void)args;
    (void)data;
    return etf_pack(out, "~a", self->node->name);
}

enum { VISIBLE = 1, HIDDEN = 2, THIS = 4, KNOWN = 8 };

static void put_nodes(const cnode *n, unsigned which, etf_writer *out) {
    const cnode__peer *p;

    etf_begin_list(out);
    if (which & (THIS | KNOWN))
        etf_put_atom(out, n->name);
    for (size_t at = 0; (p = cn__map_next(&n->peers, &at)) != NULL;) {
        unsigned kind = cnode__peer_is_visible(p) ? VISIBLE : HIDDEN;

        if (which & KNOWN || (p->up != NULL && which & kind))
            etf_put_atom(out, p->name);
    }
    etf_end_list(out);
}

static int nodes_0(cnode_proc *self, etf_view args, etf_writer *out,
                   void *data) {
    (void)args;
    (void)data;
    put_nodes(self->node, VISIBLE, out);
    return 0;
}

/* 0: no such kind of nodes. */
static unsigned kind_of_nodes(etf_view kind) {
    static const struct {
        const char *name;
        unsigned which;
    } kinds[] = {{"visible", VISIBLE},
                 {"hidden", HIDDEN},
                 {"connected", VISIBLE | HIDDEN},
                 {"this", THIS},
                 {"known", KNOWN}};
    etf_view name;

    if (etf_match(kind, "~a", &name) != 0)
        return 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (etf_view_is(name, kinds[i].name))
            return kinds[i].which;
    return 0;
}

/* Of a list of them, all; 0: one is no such kind. */
static unsigned kinds_of_nodes(etf_view list) {
    unsigned which = 0, one = 1;
    etf_reader r;

    etf_reader_init(&r, list);
    for (uint32_t n = etf_get_list(&r); n > 0 && one != 0; n--)
        which |= one = kind_of_nodes(etf_get_term(&r));
    etf_get_tail(&r);
    return one == 0 || r.err != 0 ? 0 : which;
}

static int nodes_1(cnode_proc *self, etf_view args, etf_writer *out,
                   void *data) {
    unsigned which;
    etf_view kinds;

    (void)data;
    if (etf_match(args, "[~t]", &kinds) != 0)
        return CN_EBADARG;
    which = etf_type_of(kinds) == ETF_ATOM ? kind_of_nodes(kinds)
                                           : kinds_of_nodes(kinds);
    if (which == 0 && etf_match(kinds, "[]") != 0)
        return CN_EBADARG;
    put_nodes(self->node, which, out);
    return 0;
}

/* An operator asks a node what it is made of; there is no Erlang in this one,
 * so most of it does not exist. */
static int system_info_1(cnode_proc *self, etf_view args, etf_writer *out,
                         void *data) {
    const cnode *n = self->node;
    etf_view item;

    (void)data;
    if (etf_match(args, "[~a]", &item) != 0)
        return CN_EBADARG;
    if (etf_view_is(item, "process_count"))
        etf_put_uint(out, n->procs.count);
    else if (etf_view_is(item, "creation"))
        etf_put_uint(out, n->creation);
    else
        return cnode_raise(self, CNODE_ERROR, "undef");
    return 0;
}

/* --- what is answered later ---------------------------------------------- */

cnode__promise *cnode__promise_new(const cnode_proc *self, const char *yes,
                                   const char *no) {
    cnode__promise *x = cn__calloc(&self->node->alloc, 1, sizeof *x);

    if (x != NULL)
        *x = (cnode__promise){cnode_self(self), yes, no};
    return x;
}

void cnode__promise_keep(cnode *n, cnode__promise *x, const char *answer) {
    cnode_proc *p = cnode__proc_of(n, &x->asker);
    uint8_t buf[32];
    int done = CNODE_LATER;

    if (p != NULL && answer == NULL)
        done = cnode_raise(p, CNODE_ERROR, "system_limit");
    else if (p != NULL)
        done = cnode_return(p, "~a", answer);
    if (done != CNODE_LATER)
        cnode__end(p, cnode__atom("system_limit", buf, sizeof buf));
    cn__free(&n->alloc, x, 1, sizeof *x);
}

/* --- connections --------------------------------------------------------- */

static void on_dialled(cnode *n, const char *peer, int status,
                       const cn_error *err, void *data) {
    cnode__promise *x = data;

    (void)peer;
    (void)err;
    cnode__promise_keep(n, x, status == 0 ? x->yes : x->no);
}

/* Another node has chosen whom: so it is one of max_dials, as if something was
 * sent there. */
static int dial(cnode *n, const char *name, cnode__promise *x) {
    cnode__peer *p;
    int err = cnode__may_connect(n);

    if (err == 0)
        err = cnode__find_peer(n, name, &p);
    if (err == 0)
        err = cnode__peer_want(p);
    return err == 0 ? cnode_connect(n, name, on_dialled, x) : err;
}

static int connect_to(cnode_proc *self, etf_view args, etf_writer *out,
                      const char *yes, const char *no) {
    cnode *n = self->node;
    char name[CNODE__NAME_MAX + 1];
    cnode__promise *x;
    etf_view node;

    if (etf_match(args, "[~a]", &node) != 0)
        return CN_EBADARG;
    if (!cnode__string_of(node, name, sizeof name))
        return etf_pack(out, "~a", no);
    if (cnode__is_self(n, name, node.len))
        return etf_pack(out, "~a", yes);
    x = cnode__promise_new(self, yes, no);
    if (x == NULL)
        return CN_ENOMEM;
    if (dial(n, name, x) == 0)
        return CNODE_LATER;
    cn__free(&n->alloc, x, 1, sizeof *x);
    return etf_pack(out, "~a", no);
}

static int ping_1(cnode_proc *self, etf_view args, etf_writer *out,
                  void *data) {
    (void)data;
    return connect_to(self, args, out, "pong", "pang");
}

static int connect_node_1(cnode_proc *self, etf_view args, etf_writer *out,
                          void *data) {
    (void)data;
    return connect_to(self, args, out, "true", "false");
}

/* --- names --------------------------------------------------------------- */

static void put_pid_of(etf_writer *out, const cnode_proc *p) {
    etf_pid pid = cnode_self(p);

    etf_put_pid(out, &pid);
}

static int whereis_1(cnode_proc *self, etf_view args, etf_writer *out,
                     void *data) {
    const cnode_proc *p;
    etf_view name;

    (void)data;
    if (etf_match(args, "[~a]", &name) != 0)
        return CN_EBADARG;
    p = cnode__proc_named(self->node, name);
    if (p == NULL)
        etf_put_atom(out, "undefined");
    else
        put_pid_of(out, p);
    return 0;
}

static int registered_0(cnode_proc *self, etf_view args, etf_writer *out,
                        void *data) {
    const cnode_proc *p;

    (void)args;
    (void)data;
    etf_begin_list(out);
    for (size_t at = 0; (p = cn__map_next(&self->node->names, &at)) != NULL;)
        etf_put_atom(out, p->name);
    etf_end_list(out);
    return 0;
}

/* --- messages and signals ------------------------------------------------ */

/* A name of this node must be registered; else the message is on its way, as
 * far as the one who sends it can know. */
static int send_to(cnode_proc *self, etf_view to, etf_view message) {
    char name[CNODE__ATOM_TEXT], node[CNODE__ATOM_TEXT];
    etf_view a, b;
    etf_pid pid;

    if (etf_match(to, "~p", &pid) == 0) {
        (void)cnode_send(self, &pid, "~t", message);
        return 0;
    }
    if (etf_match(to, "{~a, ~a}", &a, &b) == 0) {
        if (cnode__string_of(a, name, sizeof name) &&
            cnode__string_of(b, node, sizeof node))
            (void)cnode_send_name(self, node, name, "~t", message);
        return 0;
    }
    if (etf_match(to, "~a", &a) != 0 ||
        cnode__proc_named(self->node, a) == NULL ||
        !cnode__string_of(a, name, sizeof name))
        return CN_EBADARG;
    return cnode_send_name(self, NULL, name, "~t", message);
}

static int send_2(cnode_proc *self, etf_view args, etf_writer *out,
                  void *data) {
    etf_view to, message;
    int err;

    (void)data;
    if (etf_match(args, "[~t, ~t]", &to, &message) != 0)
        return CN_EBADARG;
    err = send_to(self, to, message);
    if (err == 0)
        etf_put_term(out, message);
    return err;
}

static int exit_2(cnode_proc *self, etf_view args, etf_writer *out,
                  void *data) {
    etf_view reason;
    etf_pid pid;

    (void)data;
    if (etf_match(args, "[~p, ~t]", &pid, &reason) != 0)
        return CN_EBADARG;
    (void)cnode_send_exit(self, &pid, "~t", reason);
    etf_put_atom(out, "true");
    return 0;
}

/* --- processes ----------------------------------------------------------- */

static int processes_0(cnode_proc *self, etf_view args, etf_writer *out,
                       void *data) {
    const cnode_proc *p;

    (void)args;
    (void)data;
    etf_begin_list(out);
    for (size_t at = 0; (p = cn__map_next(&self->node->procs, &at)) != NULL;)
        put_pid_of(out, p);
    etf_end_list(out);
    return 0;
}

/* In Erlang, too, it must be of this node. */
static bool own_process(const cnode_proc *self, const etf_pid *pid) {
    return cnode__is_self(self->node, pid->node, pid->node_len);
}

static int is_process_alive_1(cnode_proc *self, etf_view args, etf_writer *out,
                              void *data) {
    etf_pid pid;

    (void)data;
    if (etf_match(args, "[~p]", &pid) != 0 || !own_process(self, &pid))
        return CN_EBADARG;
    etf_put_bool(out, cnode__proc_of(self->node, &pid) != NULL);
    return 0;
}

static void put_links(const cnode_proc *p, etf_writer *out) {
    etf_begin_list(out);
    for (const cnode__list *l = p->links.next; l != &p->links; l = l->next) {
        const cnode__link *link = cnode__list_of(cnode__link, in_proc, l);
        etf_pid other;

        cnode__link_other(link, &other);
        if (other.node_len == 0)
            other = cnode__pid_of(p->node, cnode__number_of(&other));
        if (link->unlink_id == 0)
            etf_put_pid(out, &other);
    }
    etf_end_list(out);
}

static void put_leader(const cnode_proc *p, etf_writer *out) {
    etf_pid pid = cnode_group_leader(p);

    etf_put_pid(out, &pid);
}

static void put_name(const cnode_proc *p, etf_writer *out) {
    if (p->name != NULL)
        etf_put_atom(out, p->name);
    else /* process_info(Pid, registered_name) has this form of its own */
        etf_put_nil(out);
}

static void put_function(const cnode_proc *p, etf_writer *out) {
    (void)p;
    (void)etf_pack(out, "{cnode, process, 0}");
}

static void put_queue_len(const cnode_proc *p, etf_writer *out) {
    etf_put_uint(out, p->mails);
}

static void put_trap_exit(const cnode_proc *p, etf_writer *out) {
    etf_put_bool(out, p->lasting || p->kind->config.trap_exit ||
                          p->kind->config.on_exit != NULL);
}

static void put_status(const cnode_proc *p, etf_writer *out) {
    etf_put_atom(out, p->extra != NULL && p->extra->task != NULL &&
                              p->extra->task->running
                          ? "running"
                          : "waiting");
}

static void put_priority(const cnode_proc *p, etf_writer *out) {
    (void)p;
    etf_put_atom(out, "normal");
}

static void put_nothing(const cnode_proc *p, etf_writer *out) {
    (void)p;
    etf_put_nil(out);
}

static size_t size_of(const cnode_proc *p) {
    return sizeof *p + (p->extra == NULL ? 0 : sizeof *p->extra) +
           p->mail_bytes;
}

static void put_memory(const cnode_proc *p, etf_writer *out) {
    etf_put_uint(out, size_of(p));
}

static void put_words(const cnode_proc *p, etf_writer *out) {
    etf_put_uint(out, size_of(p) / sizeof(void *));
}

static void put_zero(const cnode_proc *p, etf_writer *out) {
    (void)p;
    etf_put_uint(out, 0);
}

static void put_received(const cnode_proc *p, etf_writer *out) {
    etf_put_uint(out, p->received);
}

/* Those that process_info/1 tells, in its order, and then the others. */
static const struct item {
    const char *name;
    void (*put)(const cnode_proc *p, etf_writer *out);
    bool asked; /* only by process_info/2 */
} items[] = {
    {"registered_name", put_name, false},
    {"current_function", put_function, false},
    {"initial_call", put_function, false},
    {"status", put_status, false},
    {"message_queue_len", put_queue_len, false},
    {"links", put_links, false},
    {"dictionary", put_nothing, false},
    {"trap_exit", put_trap_exit, false},
    {"priority", put_priority, false},
    {"group_leader", put_leader, false},
    {"total_heap_size", put_words, false},
    {"heap_size", put_words, false},
    {"stack_size", put_zero, false},
    {"reductions", put_received, false},
    {"memory", put_memory, true},
    {"current_stacktrace", put_nothing, true},
};
enum { ITEMS = sizeof items / sizeof items[0] };

static void put_item(const cnode_proc *p, const struct item *i,
                     etf_writer *out) {
    etf_put_tuple(out, 2);
    etf_put_atom(out, i->name);
    i->put(p, out);
}

static const struct item *find_item(etf_view term) {
    etf_view name;

    if (etf_match(term, "~a", &name) != 0)
        return NULL;
    for (size_t i = 0; i < ITEMS; i++)
        if (etf_view_is(name, items[i].name))
            return &items[i];
    return NULL;
}

/* Of one of this node, or undefined. */
static int put_undefined(const cnode_proc *self, const etf_pid *pid,
                         etf_writer *out) {
    return own_process(self, pid) ? etf_pack(out, "undefined") : CN_EBADARG;
}

static int process_info_1(cnode_proc *self, etf_view args, etf_writer *out,
                          void *data) {
    const cnode_proc *p;
    etf_pid pid;

    (void)data;
    if (etf_match(args, "[~p]", &pid) != 0)
        return CN_EBADARG;
    p = cnode__proc_of(self->node, &pid);
    if (p == NULL)
        return put_undefined(self, &pid, out);
    etf_begin_list(out);
    for (size_t i = p->name == NULL; i < ITEMS && !items[i].asked; i++)
        put_item(p, &items[i], out);
    etf_end_list(out);
    return 0;
}

/* A few bytes ask for an item, and the links of a process may take many: so
 * they are not told any number of times. */
enum { MOST_ITEMS = 100 };

static int put_items(cnode_proc *self, const cnode_proc *p, etf_view list,
                     etf_writer *out) {
    const struct item *item = items;
    etf_reader r;
    uint32_t n;

    etf_reader_init(&r, list);
    n = etf_get_list(&r);
    if (n > MOST_ITEMS)
        return cnode_raise(self, CNODE_ERROR, "system_limit");
    etf_begin_list(out);
    for (; n > 0; n--) {
        item = find_item(etf_get_term(&r));
        if (item == NULL)
            return CN_EBADARG;
        put_item(p, item, out);
    }
    etf_get_tail(&r);
    etf_end_list(out);
    return etf_reader_finish(&r) == 0 ? 0 : CN_EBADARG;
}

static int process_info_2(cnode_proc *self, etf_view args, etf_writer *out,
                          void *data) {
    const struct item *item;
    const cnode_proc *p;
    etf_view what;
    etf_pid pid;

    (void)data;
    if (etf_match(args, "[~p, ~t]", &pid, &what) != 0)
        return CN_EBADARG;
    p = cnode__proc_of(self->node, &pid);
    if (p == NULL)
        return put_undefined(self, &pid, out);
    if (etf_type_of(what) != ETF_ATOM)
        return put_items(self, p, what, out);
    item = find_item(what);
    if (item == NULL)
        return CN_EBADARG;
    if (item->put == put_name && p->name == NULL)
        etf_put_nil(out);
    else
        put_item(p, item, out);
    return 0;
}

/* --- all ----------------------------------------------------------------- */

static const cnode__builtin_fn builtins[] = {
    {"erlang", "node", 0, {.fn = node_0}},
    {"erlang", "nodes", 0, {.fn = nodes_0}},
    {"erlang", "nodes", 1, {.fn = nodes_1}},
    {"erlang", "whereis", 1, {.fn = whereis_1}},
    {"erlang", "registered", 0, {.fn = registered_0}},
    {"erlang", "send", 2, {.fn = send_2}},
    {"erlang", "exit", 2, {.fn = exit_2}},
    {"erlang", "processes", 0, {.fn = processes_0}},
    {"erlang", "is_process_alive", 1, {.fn = is_process_alive_1}},
    {"erlang", "process_info", 1, {.fn = process_info_1}},
    {"erlang", "process_info", 2, {.fn = process_info_2}},
    {"erlang", "system_info", 1, {.fn = system_info_1}},
    {"net_adm", "ping", 1, {.fn = ping_1}},
    {"net_kernel", "connect_node", 1, {.fn = connect_node_1}},
    {NULL, NULL, 0, {NULL, NULL}},
};

static const cnode__code *find_in(const cnode__builtin_fn *f, etf_view module,
                                  etf_view function, int64_t arity) {
    for (; f->module != NULL; f++)
        if (f->arity == arity && etf_view_is(function, f->function) &&
            etf_view_is(module, f->module))
            return &f->code;
    return NULL;
}

const cnode__code *cnode__builtin(etf_view module, etf_view function,
                                  int64_t arity) {
    const cnode__builtin_fn *const all[] = {builtins, cnode__builtins_global,
                                            cnode__builtins_pg};
    const cnode__code *code = NULL;

    for (size_t i = 0; i < sizeof all / sizeof all[0] && code == NULL; i++)
        code = find_in(all[i], module, function, arity);
    return code;
}
