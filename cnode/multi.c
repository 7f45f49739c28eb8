/* SPDX-License-Identifier: Apache-2.0
 *
 * multi.c: the same to several nodes: erpc:multicall, gen_server:multi_call,
 * abcast. The calls begin together, with one timeout; what comes of each is
 * kept in its place until the last has ended.
 */
#include <string.h>

#include "cnode/node.h"
#include "cnode/sized.h"

/* A pattern, which w keeps; what: it is. The error is kept. */
static int pack(cnode *n, etf_writer *w, const char *what, const etf_in *in,
                size_t count, etf_view *out) {
    etf_writer_init(w, &n->alloc);
    return cnode__pack(n, w, what, in, count, out);
}

/* --- calls --------------------------------------------------------------- */

typedef struct part {
    struct many *many;
    char *node;
    int status;
    etf_view result; /* a copy */
} part;

typedef struct many {
    cnode__pending pending;
    cnode_proc *proc;
    cnode_many_cb cb;
    void *data;
    size_t n;
    size_t left; /* have not ended yet */
    cnode_many_result *results;
    part parts[];
} many;

static size_t size_of(size_t n) {
    return sizeof(many) + n * sizeof(part);
}

static void free_many(many *m) {
    const cn_alloc *alloc = &m->proc->node->alloc;

    for (size_t i = 0; i < m->n; i++) {
        cn__strfree(alloc, m->parts[i].node);
        etf_copy_free(alloc, m->parts[i].result);
    }
    cn__free(alloc, m->results, m->n + 1, sizeof *m->results);
    cn__free(alloc, m, 1, size_of(m->n));
}

static void proc_ended(cnode__pending *x) {
    free_many(cnode__list_of(many, pending, x));
}

static many *make(cnode_proc *p, const char *const *nodes, size_t n,
                  cnode_many_cb cb, void *data) {
    const cn_alloc *alloc = &p->node->alloc;
    many *m;
    bool ok;

    if (cnode__extra_of(p) == NULL ||
        n > (SIZE_MAX - sizeof *m) / sizeof m->parts[0])
        return NULL;
    m = cn__calloc(alloc, 1, size_of(n));
    if (m == NULL)
        return NULL;
    m->pending.ended = proc_ended;
    m->proc = p;
    m->cb = cb;
    m->data = data;
    m->n = m->left = n;
    m->results = cn__calloc(alloc, n + 1, sizeof *m->results);
    ok = m->results != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        m->parts[i].many = m;
        m->parts[i].node =
            cn__strdup(alloc, nodes[i] != NULL ? nodes[i] : p->node->name);
        ok = m->parts[i].node != NULL;
    }
    if (ok) {
        cnode__pending_add(p, &m->pending);
        return m;
    }
    free_many(m);
    return NULL;
}

/* All have ended. */
static void tell(cnode_proc *p, void *arg) {
    many *m = arg;

    for (size_t i = 0; i < m->n; i++)
        m->results[i] = (cnode_many_result){
            m->parts[i].node, m->parts[i].status, m->parts[i].result};
    cnode__pending_leave(&m->pending);
    if (m->cb != NULL)
        m->cb(p, m->results, m->n, m->data);
    free_many(m);
}

static void on_part(cnode_proc *p, int status, etf_view result, void *data) {
    part *x = data;

    x->status = status;
    if (result.len > 0 && etf_copy(&p->node->alloc, result, &x->result) != 0)
        x->status = CN_ENOMEM;
    if (--x->many->left == 0)
        tell(p, x->many);
}

/* What one of them is asked. */
typedef struct question {
    const cnode_rpc_opts *rpc; /* or */
    const cnode_call_opts *call;
    etf_view term;
} question;

static int ask_one(part *x, const question *q) {
    cnode_proc *p = x->many->proc;
    cnode_call_opts call;
    cnode_rpc_opts rpc;

    if (q->rpc != NULL) {
        rpc = *q->rpc;
        rpc.node = x->node;
        return cnode_rpc(p, &rpc, on_part, x, "~t", q->term);
    }
    call = *q->call;
    call.node = x->node;
    return cnode_call(p, &call, on_part, x, "~t", q->term);
}

/* Those that cannot even be asked have ended; if that is so with all, the
 * callback comes later all the same. */
static int ask_all(many *m, const question *q) {
    int err = 0;

    for (size_t i = 0; i < m->n; i++) {
        m->parts[i].status = ask_one(&m->parts[i], q);
        if (m->parts[i].status != 0)
            m->left--;
    }
    if (m->left == 0)
        err = cnode_after(m->proc, 0, tell, m);
    if (err == 0)
        return 0;
    cnode__pending_leave(&m->pending);
    free_many(m);
    return err;
}

static int ask(cnode_proc *p, const char *const *nodes, size_t n, question *q,
               cnode_many_cb cb, void *data, const etf_in *in, size_t count) {
    cnode *node = p->node;
    etf_writer w;
    many *m = NULL;
    int err;

    if (p->ended)
        return cnode__gone(p);
    err = pack(node, &w, "arguments", in, count, &q->term);
    if (err == 0 && q->rpc != NULL)
        err = cnode__check_rpc(node, q->rpc, q->term);
    if (err == 0 && (m = make(p, nodes, n, cb, data)) == NULL)
        err = cnode__err(node, CN_ENOMEM, "out of memory");
    if (err == 0)
        err = ask_all(m, q);
    etf_writer_free(&w);
    return err;
}

int cnode_rpc_many_args_sized(cnode_proc *p, const char *const *nodes, size_t n,
                              const cnode_rpc_opts *given, size_t size,
                              cnode_many_cb cb, void *data, const etf_in *in,
                              size_t count) {
    cnode_rpc_opts known;
    question q = {.rpc = cnode__take_sized(&known, sizeof known, given, size)};

    return ask(p, nodes, n, &q, cb, data, in, count);
}

int cnode_call_many_args_sized(cnode_proc *p, const char *const *nodes,
                               size_t n, const cnode_call_opts *given,
                               size_t size, cnode_many_cb cb, void *data,
                               const etf_in *in, size_t count) {
    cnode_call_opts known;
    question q = {.call = cnode__take_sized(&known, sizeof known, given, size)};

    return ask(p, nodes, n, &q, cb, data, in, count);
}

int cnode_sbcast_args(cnode_proc *p, const char *const *nodes, size_t n,
                      const char *name, uint32_t timeout_ms, cnode_many_cb cb,
                      void *data, const etf_in *in, size_t count) {
    const cnode_rpc_opts o = {
        .module = "erlang", .function = "send", .timeout_ms = timeout_ms};
    etf_writer w;
    etf_view message;
    int err = pack(p->node, &w, "message", in, count, &message);

    if (err == 0)
        err = cnode_rpc_many(p, nodes, n, &o, cb, data, "[~a, ~t]", name,
                             message);
    etf_writer_free(&w);
    return err;
}

/* --- messages ------------------------------------------------------------ */

/* cnode_cast, or cnode_send_name, to each; the first error, but all of them. */
static int send_each(cnode_proc *p, const char *const *nodes, size_t n,
                     const char *name, bool cast, const etf_in *in,
                     size_t count) {
    etf_writer w;
    etf_view term;
    int err = pack(p->node, &w, "message", in, count, &term), one;
    bool packed = err == 0;

    for (size_t i = 0; i < n && packed; i++) {
        if (cast)
            one = cnode_send_name(p, nodes[i], name, "{'$gen_cast', ~t}", term);
        else
            one = cnode_send_name(p, nodes[i], name, "~t", term);
        err = err == 0 ? one : err;
    }
    etf_writer_free(&w);
    return err;
}

int cnode_send_many_args(cnode_proc *p, const char *const *nodes, size_t n,
                         const char *name, const etf_in *in, size_t count) {
    return send_each(p, nodes, n, name, false, in, count);
}

int cnode_cast_many_args(cnode_proc *p, const char *const *nodes, size_t n,
                         const char *name, const etf_in *in, size_t count) {
    return send_each(p, nodes, n, name, true, in, count);
}
