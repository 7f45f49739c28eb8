/* SPDX-License-Identifier: Apache-2.0
 *
 * global.c: OTP's `global` on this node: the process global_name_server, and
 * the life of all that belongs to it.
 *
 * A visible node that is not full stays outside. Every Erlang node that sees it
 * sends init_connect; the answer in_sync lets global:sync/0 go on without it.
 * Because the name global_name_server then exists here, it also has to keep
 * locks: global:set_lock/1 asks all visible nodes.
 *
 * A full node is a member: what it does when is in global_join.c.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/global_parts.h"

/* --- what the parts use -------------------------------------------------- */

void cnode__global_part(cnode__global *g, const char *node, int code,
                        const char *why) {
    const cnode__peer *p = cn__map_get(&g->node->peers, node, strlen(node));

    if (p != NULL && p->up != NULL)
        cnode__wire_fail(p->up, code, 0, why);
}

void cnode__global_bad(cnode__global *g, const cnode__member *m,
                       const char *what) {
    char why[80];

    (void)snprintf(why, sizeof why, "%s that `global` does not send", what);
    cnode__global_part(g, m->name, CN_EPROTO, why);
}

cnode__global *cnode__global_full(cnode *n) {
    if (n->global != NULL && n->global->full)
        return n->global;
    cnode__set_error(n, CN_ENOTSUP, "%s is no full node", n->name);
    return NULL;
}

int cnode__global_key(cnode__global *g, etf_view term, etf_view *out) {
    int err;

    cnode__next_term(&g->key);
    (void)etf_put_normal(&g->key, &g->node->alloc, NULL, term);
    err = etf_writer_finish(&g->key, out);
    return err == 0 ? 0
                    : cnode__err(g->node, err, "a global name: %s",
                                 cn_strerror(err));
}

int cnode__global_atom(cnode *n, const char *text,
                       uint8_t buf[CNODE__ATOM_ROOM], etf_view *out) {
    *out = cnode__atom(text, buf, CNODE__ATOM_ROOM);
    return out->len > 0
               ? 0
               : cnode__err(n, CN_EBADARG, "'%.100s' is no atom", text);
}

void cnode__global_done(cnode *n, cnode_global_cb cb, void *data, int status,
                        const char *why) {
    cn_error e = {0};

    if (status != 0)
        (void)cn__fail(&e, status, 0, "%s",
                       why != NULL ? why : cn_strerror(status));
    if (cb != NULL)
        cb(n, status, &e, data);
}

uint32_t cnode__global_random(cnode__global *g, uint32_t max) {
    uint32_t x;

    if (max == 0)
        return 0;
    g->node->shell->random(g->node->shell_ctx, &x, sizeof x);
    return x % max + 1;
}

uint32_t cnode__global_pause(cnode__global *g, uint32_t times) {
    return cnode__global_random(g, times > 5 ? 8000 : (1U << times) * 125);
}

/* --- calls --------------------------------------------------------------- */

static bool on_lock_call(cnode__global *g, const cnode_from *from,
                         etf_view request) {
    etf_view resource, requester;
    bool got = true;

    if (etf_match(request, "{set_lock, {~t, ~t}}", &resource, &requester) == 0)
        got = cnode__lock_set(g, &from->pid, resource, requester);
    else if (etf_match(request, "{del_lock, {~t, ~t}}", &resource,
                       &requester) == 0)
        cnode__lock_del(g, &from->pid, resource, requester);
    else
        return false;
    cnode__answer(g->self, from, "~a", got ? "true" : "false");
    return true;
}

/* A name is only changed by who has the lock. `no`, which OTP never says and
 * its nodes do not look at: there is no room for it here. */
static void register_name(cnode__global *g, const cnode_from *from,
                          etf_view name, const etf_pid *pid, etf_view method,
                          etf_view ext) {
    bool kept = true;

    if (cnode__lock_lets_pid(g, &from->pid))
        kept = cnode__names_insert(g, name, pid, method, ext) == 0;
    else
        cnode__names_delete(g, name);
    cnode__answer(g->self, from, "~a", kept ? "yes" : "no");
}

static bool on_name_call(cnode__global *g, const cnode_from *from,
                         etf_view request) {
    static const etf_view none = {NULL, 0};
    etf_view name, method, ext;
    etf_pid pid;

    if (etf_match(request, "{register, ~t, ~p, ~t}", &name, &pid, &method) ==
        0) {
        register_name(g, from, name, &pid, method, none);
    } else if (etf_match(request, "{register_ext, ~t, ~p, ~t, ~a}", &name, &pid,
                         &method, &ext) == 0) {
        register_name(g, from, name, &pid, method, ext);
    } else if (etf_match(request, "{unregister, ~t}", &name) == 0) {
        cnode__names_delete(g, name);
        cnode__answer(g->self, from, "ok");
    } else {
        return false;
    }
    return true;
}

static void put_synced(const cnode__global *g, etf_writer *w) {
    const cnode__member *m;

    etf_begin_list(w);
    for (size_t at = 0; (m = cn__map_next(&g->members, &at)) != NULL;)
        if (m->synced)
            etf_put_atom_n(w, m->name, m->len);
    etf_end_list(w);
}

static bool on_question(cnode__global *g, const cnode_from *from,
                        etf_view request) {
    cnode *n = g->node;
    etf_writer w;
    etf_view answer;
    int err;

    etf_writer_init(&w, &n->alloc);
    if (etf_match(request, "get_known") == 0)
        cnode__members_put_known(g, &w, false);
    else if (etf_match(request, "get_synced") == 0)
        put_synced(g, &w);
    else if (etf_match(request, "get_names_ext") == 0)
        cnode__names_put_ext(g, &w);
    else if (etf_match(request, "get_protocol_version") == 0)
        etf_put_int(&w, CNODE__GLOBAL_VERSION);
    else
        return false;
    err = etf_writer_finish(&w, &answer);
    err = err == 0 ? cnode_reply(g->self, from, "~t", answer)
                   : cnode__err(n, err, "%s", cn_strerror(err));
    cnode__answered(n, from->pid.node, err);
    etf_writer_free(&w);
    return true;
}

static void on_call(cnode_proc *self, const cnode_from *from, etf_view request,
                    void *data) {
    cnode__global *g = data;
    etf_view nodes;

    if (on_lock_call(g, from, request))
        return;
    if (g->full &&
        (on_name_call(g, from, request) || on_question(g, from, request)))
        return;
    if (g->full && etf_match(request, "{sync, ~t}", &nodes) == 0)
        cnode__sync_ask(g, from, nodes);
    else /* as OTP, which logs it */
        cn__log(&self->node->config.log, CN_LOG_DEBUG, "global",
                "a request of %s is not answered", from->pid.node);
}

/* --- casts --------------------------------------------------------------- */

static void stay_outside(cnode *n, cnode__global *g, etf_view request) {
    etf_view node;

    if (etf_match(request, "{init_connect, _, ~a, _}", &node) == 0 &&
        etf_view_is(node, n->peer_now))
        cnode__global_tell(g, n->peer_now,
                           "{'$gen_cast', {in_sync, ~a, false}}", n->name);
}

/* Whoever sends is the node that a message is about. */
static cnode__member *sender(const cnode__global *g) {
    const char *name = g->node->peer_now;
    cnode__member *m = cnode__member_find(g, etf_view_of(name, strlen(name)));

    return m != NULL && m->up ? m : NULL;
}

static void on_cast(cnode_proc *self, etf_view request, void *data) {
    cnode__global *g = data;
    cnode__member *m;

    if (!g->full) {
        stay_outside(self->node, g, request);
        return;
    }
    m = sender(g);
    if (m != NULL)
        cnode__join_on_cast(g, m, request);
}

/* --- plain messages ------------------------------------------------------ */

/* {whereis, Name, From} while the lock is set: names may be changing. Those
 * that are too many or too long are answered at once. */
typedef struct question {
    cnode__list in_list;
    cnode_from from;
    etf_view name; /* this and the tag are copies */
} question;

enum { MOST_QUESTIONS = 1000, MOST_QUESTION = 4096 };

static void free_question(cnode__global *g, question *q) {
    cnode__list_leave(&q->in_list);
    g->question_count--;
    etf_copy_free(&g->node->alloc, q->from.tag);
    etf_copy_free(&g->node->alloc, q->name);
    cn__free(&g->node->alloc, q, 1, sizeof *q);
}

static void tell_where(cnode__global *g, const cnode_from *from,
                       etf_view name) {
    etf_pid pid;

    if (cnode_global_whereis_term(g->node, name, &pid) == 0)
        cnode__answer(g->self, from, "~p", &pid);
    else
        cnode__answer(g->self, from, "undefined");
}

static void ask_again(cnode_proc *self, void *arg) {
    cnode__global *g = self->node->global;
    question *q = arg;

    if (g == NULL)
        return;
    if (cnode__lock_is_set(g) &&
        cnode_after(self, cnode__global_pause(g, 5), ask_again, q) == 0)
        return;
    tell_where(g, &q->from, q->name);
    free_question(g, q);
}

static question *new_question(cnode__global *g, const cnode_from *from,
                              etf_view name) {
    const cn_alloc *alloc = &g->node->alloc;
    question *q;

    if (g->question_count >= MOST_QUESTIONS ||
        name.len + from->tag.len > MOST_QUESTION)
        return NULL;
    q = cn__calloc(alloc, 1, sizeof *q);
    if (q == NULL)
        return NULL;
    cnode__list_add(&g->questions, &q->in_list);
    g->question_count++;
    q->from.pid = from->pid;
    if (etf_copy(alloc, from->tag, &q->from.tag) == 0 &&
        etf_copy(alloc, name, &q->name) == 0)
        return q;
    free_question(g, q);
    return NULL;
}

static void on_whereis(cnode__global *g, etf_view name, const etf_pid *pid,
                       etf_view tag) {
    const cnode_from from = {*pid, tag};
    question *q = cnode__lock_is_set(g) ? new_question(g, &from, name) : NULL;

    if (q == NULL ||
        cnode_after(g->self, cnode__global_pause(g, 5), ask_again, q) != 0) {
        tell_where(g, &from, name);
        if (q != NULL)
            free_question(g, q);
    }
}

static void on_message(cnode_proc *self, const cnode_msg *msg, void *data) {
    cnode__global *g = data;
    cnode__member *m;
    etf_view name, tag;
    etf_pid pid;

    (void)self;
    if (!g->full)
        return;
    m = sender(g);
    if (etf_match(msg->term, "{whereis, ~t, {~p, ~t}}", &name, &pid, &tag) == 0)
        on_whereis(g, name, &pid, tag);
    else if (m != NULL &&
             etf_match(msg->term, "{lost_connection, _, _, _, _}") == 0)
        cnode__member_lost_by(g, msg->term);
    else if (m != NULL && etf_match(msg->term, "{remove_connection, _}") == 0)
        cnode__member_remove(g, m);
    else if (m != NULL)
        cnode__join_on_message(g, m, msg->term);
}

static void on_down(cnode_proc *self, const cnode_down *d, void *data) {
    (void)self;
    if (!cnode__lock_on_down(data, &d->ref))
        (void)cnode__names_on_down(data, &d->ref);
}

/* A locker that knows nothing of a join says so to the other locker itself. */
static void on_helper_message(cnode_proc *self, const cnode_msg *msg,
                              void *data) {
    cnode__global *g = data;
    const cnode__member *m = sender(g);

    if (m != NULL && self == g->locker &&
        etf_match(msg->term, "{lock_set, _, false, _}") == 0)
        cnode__join_refused(g, m);
}

/* --- life ---------------------------------------------------------------- */

int cnode__global_may_connect(cnode *n) {
    if (!n->config.full || n->listens)
        return 0;
    return cnode__err(n, CN_EBADARG,
                      "a full node must listen before it connects "
                      "(cnode_listen): the others have to reach it");
}

static void free_parts(cnode__global *g) {
    question *q;

    cnode__holds_end(g);
    cnode__changes_free(g);
    cnode__syncs_free(g);
    cnode__joins_free(g);
    cnode__grips_free(g);
    cnode__merge_free(g);
    cnode__redials_free(g);
    cnode__members_free(g);
    cnode__names_free(g);
    cnode__locks_free(g);
    while ((q = cnode__list_first(question, in_list, &g->questions)) != NULL)
        free_question(g, q);
    etf_writer_free(&g->key);
}

/* Also what is only being connected: it would be a member at once. */
void cnode__global_leave(cnode *n, int code, const char *why) {
    for (cnode__list *l = n->wires.next; l != &n->wires; l = l->next) {
        cnode__wire *w = cnode__list_of(cnode__wire, in_node, l);
        if (!w->failed)
            cnode__wire_fail(w, code, 0, why);
    }
}

/* A member without its server would hold up the others. */
static void killed(cnode *n) {
    cn__log(&n->config.log, CN_LOG_ERROR, "global",
            "a process of `global` was killed: this node leaves the cluster");
    cnode__global_leave(n, CN_ENOPROC, "a process of `global` was killed");
}

static void end_proc(cnode_proc *p) {
    if (p != NULL && !p->ended)
        (void)cnode_exit(p, "shutdown");
}

/* The first of them that ends takes the others along; with the last one all is
 * freed. */
static void on_end(cnode_proc *self, etf_view reason, void *data) {
    cnode__global *g = data;
    cnode *n = self->node;

    (void)reason;
    if (n->global == g) {
        n->global = NULL;
        if (g->full && !n->closing)
            killed(n);
        end_proc(g->self);
        end_proc(g->locker);
        end_proc(g->registrar);
    }
    if (self == g->self)
        g->self = NULL;
    if (--g->processes > 0)
        return;
    free_parts(g);
    cn__free(&n->alloc, g, 1, sizeof *g);
}

static int spawn_one(cnode__global *g, const cnode_proc_config *c,
                     cnode_proc **out) {
    int err = cnode__spawn_lasting(g->node, c, out);

    g->processes += err == 0;
    return err;
}

static int spawn_all(cnode__global *g) {
    const cnode_proc_config server = {.name = CNODE__GNS,
                                      .on_message = on_message,
                                      .on_call = on_call,
                                      .on_cast = on_cast,
                                      .on_down = on_down,
                                      .on_end = on_end,
                                      .data = g};
    const cnode_proc_config helper = {
        .on_message = on_helper_message, .on_end = on_end, .data = g};
    int err = spawn_one(g, &server, &g->self);

    if (err == 0 && g->full)
        err = spawn_one(g, &helper, &g->locker);
    if (err == 0 && g->full)
        err = spawn_one(g, &helper, &g->registrar);
    return err;
}

static int init_parts(cnode__global *g) {
    cnode *n = g->node;
    uint64_t seed;
    int err;

    n->shell->random(n->shell_ctx, &seed, sizeof seed);
    etf_writer_init(&g->key, &n->alloc);
    etf_writer_mode(&g->key, ETF_DETERMINISTIC);
    cnode__list_init(&g->questions);
    cnode__list_init(&g->syncs);
    cnode__list_init(&g->changes);
    cnode__list_init(&g->doubts);
    cnode__list_init(&g->holds);
    cnode__locks_init(g, seed);
    cnode__names_init(g, seed);
    cnode__members_init(g, seed);
    cnode__redials_init(g, seed);
    err = spawn_all(g);
    if (err == 0)
        err = cnode__names_start(g);
    if (err == 0)
        err = cnode__joins_init(g);
    if (err == 0)
        err = cnode__changes_init(g);
    if (err == 0)
        err = cnode__syncs_init(g);
    if (err == 0 && g->full)
        err = cnode__merge_init(g);
    return err;
}

/* After a failure the processes that are there free it all. */
int cnode__global_start(cnode *n) {
    cnode__global *g = cn__calloc(&n->alloc, 1, sizeof *g);
    int err;

    if (g == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    g->node = n;
    g->full = n->config.full;
    n->global = g;
    err = init_parts(g);
    if (err == 0 || g->processes > 0)
        return err == 0 ? 0 : cnode__err(n, err, "%s", cn_strerror(err));
    n->global = NULL;
    free_parts(g);
    cn__free(&n->alloc, g, 1, sizeof *g);
    return err;
}
