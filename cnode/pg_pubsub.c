/* SPDX-License-Identifier: Apache-2.0
 *
 * pg_pubsub.c: a node as one of those that have a Phoenix.PubSub.
 *
 * Its adapter for Erlang's distribution joins, on each node, one process to
 * each of pool_size groups of the scope 'Elixir.Phoenix.PubSub', named
 * 'Elixir.NAME.Adapter', ..._2, ..._3, and registers it under that name. A
 * broadcast goes to one member of one of the groups on every other node, as
 *
 *   {forward_to_local, Topic, Message, Dispatcher}
 *
 * and one that is for a single node to the name there. Whoever gets it hands
 * it out to those who have subscribed on its node.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/pg_parts.h"
#include "cnode/sized.h"

enum { MOST_WORKERS = 1024 };

#define SCOPE "Elixir.Phoenix.PubSub"

typedef struct audience {
    cnode__list subscriptions;
    size_t len;
    char bytes[];
} audience;

typedef struct subscription {
    cnode__list in_topic;
    cnode__list in_dead;
    uint64_t number;
    audience *topic; /* NULL: all */
    cnode_pubsub_cb cb;
    void *data;
    bool dead;
} subscription;

typedef struct worker {
    cnode_pubsub *ps;
    cnode_proc *proc; /* NULL: it has ended */
} worker;

struct cnode_pubsub {
    struct cnode_pubsub *next; /* of the node */
    cnode *node;
    cnode_pg *pg;
    char *adapter; /* the first group */
    char *dispatcher;
    worker *workers;
    uint32_t pool;
    uint32_t spread;
    uint32_t live; /* workers */
    bool stopped;
    int telling;
    uint64_t last;
    cn_map topics;
    cn_map subscriptions;
    cnode__list all;
    cnode__list dead;
    etf_writer term;
    etf_writer message;
};

/* --- subscriptions ------------------------------------------------------- */

static void drop_topic(cnode_pubsub *ps, audience *t) {
    if (!cnode__list_empty(&t->subscriptions))
        return;
    (void)cn__map_remove(&ps->topics, t->bytes, t->len);
    cn__free(&ps->node->alloc, t, 1, sizeof *t + t->len);
}

static audience *find_topic(cnode_pubsub *ps, const char *bytes) {
    const cn_alloc *a = &ps->node->alloc;
    size_t len = strlen(bytes);
    audience *t = cn__map_get(&ps->topics, bytes, len);

    if (t != NULL)
        return t;
    t = cn__calloc(a, 1, sizeof *t + len);
    if (t == NULL)
        return NULL;
    cnode__list_init(&t->subscriptions);
    t->len = len;
    memcpy(t->bytes, bytes, len);
    if (cn__map_put(&ps->topics, t->bytes, len, t) == 0)
        return t;
    cn__free(a, t, 1, sizeof *t + len);
    return NULL;
}

static void drop_subscription(cnode_pubsub *ps, subscription *b) {
    (void)cn__map_remove(&ps->subscriptions, &b->number, sizeof b->number);
    cnode__list_leave(&b->in_topic);
    cnode__list_leave(&b->in_dead);
    if (b->topic != NULL)
        drop_topic(ps, b->topic);
    cn__free(&ps->node->alloc, b, 1, sizeof *b);
}

int cnode_pubsub_subscribe(cnode_pubsub *ps, const char *bytes,
                           cnode_pubsub_cb cb, void *data, uint64_t *ref) {
    const cn_alloc *a = &ps->node->alloc;
    subscription *b = cn__calloc(a, 1, sizeof *b);
    audience *t = bytes == NULL || b == NULL ? NULL : find_topic(ps, bytes);

    if (b != NULL && (bytes == NULL || t != NULL)) {
        *b = (subscription){
            .number = ++ps->last, .topic = t, .cb = cb, .data = data};
        cnode__list_init(&b->in_dead);
        if (cn__map_put(&ps->subscriptions, &b->number, sizeof b->number, b) ==
            0) {
            cnode__list_add(t == NULL ? &ps->all : &t->subscriptions,
                            &b->in_topic);
            if (ref != NULL)
                *ref = b->number;
            return 0;
        }
    }
    if (t != NULL)
        drop_topic(ps, t);
    cn__free(a, b, 1, sizeof *b);
    return cnode__err(ps->node, CN_ENOMEM, "pubsub: out of memory");
}

int cnode_pubsub_unsubscribe(cnode_pubsub *ps, uint64_t ref) {
    subscription *b = cn__map_get(&ps->subscriptions, &ref, sizeof ref);

    if (b == NULL || b->dead)
        return cnode__err(ps->node, CN_ENOENT,
                          "pubsub: there is no such subscription");
    b->dead = true;
    if (ps->telling > 0)
        cnode__list_add(&ps->dead, &b->in_dead);
    else
        drop_subscription(ps, b);
    return 0;
}

/* Those that are made meanwhile are not meant. */
static void tell(cnode_pubsub *ps, cnode__list *list, uint64_t last,
                 const cnode_pubsub_msg *m) {
    for (cnode__list *l = list->next; l != list && !ps->stopped; l = l->next) {
        const subscription *b = cnode__list_of(subscription, in_topic, l);

        if (!b->dead && b->number <= last)
            b->cb(ps, m, b->data);
    }
}

static void tell_all(cnode_pubsub *ps, const cnode_pubsub_msg *m) {
    audience *t = cn__map_get(&ps->topics, m->topic.data, m->topic.len);
    uint64_t last = ps->last;
    subscription *b;

    ps->telling++;
    if (t != NULL)
        tell(ps, &t->subscriptions, last, m);
    tell(ps, &ps->all, last, m);
    if (--ps->telling > 0)
        return;
    while ((b = cnode__list_first(subscription, in_dead, &ps->dead)) != NULL)
        drop_subscription(ps, b);
}

/* --- workers ------------------------------------------------------------- */

/* Phoenix ignores what it does not know, too. */
static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    const worker *w = data;
    cnode_pubsub_msg p = {.node = m->peer};

    (void)self;
    if (!w->ps->stopped && etf_match(m->term, "{forward_to_local, ~b, ~t, ~a}",
                                     &p.topic, &p.term, &p.dispatcher) == 0)
        tell_all(w->ps, &p);
}

static void on_call(cnode_proc *self, const cnode_from *from, etf_view request,
                    void *data) {
    (void)request;
    (void)data;
    cnode__answer(self, from, "{error, badarg}");
}

static void free_pubsub(cnode_pubsub *ps) {
    cnode *n = ps->node;
    cnode_pubsub **at = &n->pubsubs;
    subscription *b;
    size_t i = 0;

    while (*at != NULL && *at != ps)
        at = &(*at)->next;
    if (*at == ps)
        *at = ps->next;
    while ((b = cn__map_first(&ps->subscriptions, &i)) != NULL)
        drop_subscription(ps, b);
    cn__map_free(&ps->topics);
    cn__map_free(&ps->subscriptions);
    etf_writer_free(&ps->term);
    etf_writer_free(&ps->message);
    cn__free(&n->alloc, ps->workers, ps->pool, sizeof *ps->workers);
    cn__strfree(&n->alloc, ps->adapter);
    cn__strfree(&n->alloc, ps->dispatcher);
    cn__free(&n->alloc, ps, 1, sizeof *ps);
}

static void on_end(cnode_proc *self, etf_view reason, void *data) {
    worker *w = data;
    cnode_pubsub *ps = w->ps;

    (void)reason;
    w->proc = NULL;
    ps->live--;
    if (!ps->stopped && !ps->node->closing)
        cn__log(&ps->node->config.log, CN_LOG_ERROR, "pubsub",
                "%s was ended by this program, not with cnode_pubsub_stop",
                self->name);
    else if (ps->stopped && ps->live == 0)
        free_pubsub(ps);
}

/* 'Elixir.NAME.Adapter', and from the second on with its number. */
static void group_name(const cnode_pubsub *ps, uint32_t i, char *out,
                       size_t cap) {
    if (i == 0)
        (void)snprintf(out, cap, "%s", ps->adapter);
    else
        (void)snprintf(out, cap, "%s_%u", ps->adapter, (unsigned)i + 1);
}

enum { GROUP_NAME = 1024 + 32 };

static int start_worker(cnode_pubsub *ps, uint32_t i) {
    char name[GROUP_NAME];
    worker *w = &ps->workers[i];
    const cnode_proc_config c = {.name = name,
                                 .on_message = on_message,
                                 .on_call = on_call,
                                 .on_end = on_end,
                                 .data = w};
    etf_pid pid;
    int err;

    group_name(ps, i, name, sizeof name);
    w->ps = ps;
    err = cnode__spawn_lasting(ps->node, &c, &w->proc);
    if (err != 0)
        return err;
    ps->live++;
    pid = cnode_self(w->proc);
    return cnode_pg_join(ps->pg, &pid, 1, "~a", name);
}

/* --- broadcasts ---------------------------------------------------------- */

/* FNV-1a: of one topic all go through the same processes. */
static uint32_t group_of(const cnode_pubsub *ps, const char *topic) {
    uint32_t hash = 2166136261U;

    for (; *topic != '\0'; topic++)
        hash = (hash ^ (uint8_t)*topic) * 16777619U;
    return hash % ps->spread;
}

static int make(cnode_pubsub *ps, const char *topic, const etf_in *in, size_t n,
                etf_view *out) {
    etf_view term;
    int err;

    cnode__next_term(&ps->term);
    err = cnode__pack(ps->node, &ps->term, "pubsub", in, n, &term);
    if (err != 0)
        return err;
    cnode__next_term(&ps->message);
    (void)etf_pack(&ps->message, "{forward_to_local, ~b, ~t, ~a}", topic, term,
                   ps->dispatcher);
    err = etf_writer_finish(&ps->message, out);
    return err == 0 ? 0
                    : cnode__err(ps->node, err, "pubsub: %s", cn_strerror(err));
}

/* Each gets it, whatever became of the others. */
static int send_to_members(cnode_pubsub *ps, cnode_proc *from, etf_view group,
                           etf_view message) {
    cnode_pg_place place = {0};
    int first = 0;
    etf_pid pid;

    while (cnode_pg_next_member(ps->pg, group, &place, &pid)) {
        int err = 0;

        if (cnode__own_pid(ps->node, &pid) ||
            cnode_connected(ps->node, pid.node))
            err = cnode_send(from, &pid, "~t", message);
        if (first == 0)
            first = err;
    }
    return first;
}

int cnode_pubsub_broadcast_args(cnode_pubsub *ps, const char *topic,
                                const etf_in *in, size_t n) {
    uint32_t i = group_of(ps, topic);
    cnode_proc *from = ps->workers[i].proc;
    uint8_t buf[GROUP_NAME + 8];
    char name[GROUP_NAME];
    etf_view message;
    int err;

    if (from == NULL)
        return cnode__err(ps->node, CN_ENOPROC, "pubsub: it has ended");
    err = make(ps, topic, in, n, &message);
    if (err != 0)
        return err;
    group_name(ps, i, name, sizeof name);
    return send_to_members(ps, from, cnode__atom(name, buf, sizeof buf),
                           message);
}

int cnode_pubsub_direct_broadcast_args(cnode_pubsub *ps, const char *node,
                                       const char *topic, const etf_in *in,
                                       size_t n) {
    uint32_t i = group_of(ps, topic);
    cnode_proc *from = ps->workers[i].proc;
    char name[GROUP_NAME];
    etf_view message;
    int err;

    if (from == NULL)
        return cnode__err(ps->node, CN_ENOPROC, "pubsub: it has ended");
    err = make(ps, topic, in, n, &message);
    group_name(ps, i, name, sizeof name);
    return err != 0 ? err : cnode_send_name(from, node, name, "~t", message);
}

/* --- beginning and end --------------------------------------------------- */

static int new_pubsub(cnode *n, const cnode_pubsub_opts *o, const char *adapter,
                      cnode_pubsub **out) {
    cnode_pubsub *ps = cn__calloc(&n->alloc, 1, sizeof *ps);
    uint64_t seed;

    *out = ps;
    if (ps == NULL)
        return CN_ENOMEM;
    n->shell->random(n->shell_ctx, &seed, sizeof seed);
    ps->node = n;
    ps->pool = o->pool_size == 0 ? 1 : o->pool_size;
    ps->spread = o->broadcast_pool_size == 0 ? 1 : o->broadcast_pool_size;
    cn__map_init(&ps->topics, seed, &n->alloc);
    cn__map_init(&ps->subscriptions, seed, &n->alloc);
    cnode__list_init(&ps->all);
    cnode__list_init(&ps->dead);
    etf_writer_init(&ps->term, &n->alloc);
    etf_writer_init(&ps->message, &n->alloc);
    ps->adapter = cn__strdup(&n->alloc, adapter);
    ps->dispatcher =
        cn__strdup(&n->alloc, o->dispatcher == NULL ? SCOPE : o->dispatcher);
    ps->workers = cn__calloc(&n->alloc, ps->pool, sizeof *ps->workers);
    return ps->adapter == NULL || ps->dispatcher == NULL || ps->workers == NULL
               ? CN_ENOMEM
               : 0;
}

static int start(cnode_pubsub *ps) {
    const cnode_pg_opts o = {.scope = SCOPE};
    int err = cnode_pg_start(ps->node, &o, &ps->pg);

    for (uint32_t i = 0; i < ps->pool && err == 0; i++)
        err = start_worker(ps, i);
    return err;
}

void cnode_pubsub_stop(cnode_pubsub *ps) {
    uint8_t reason[16];

    if (ps == NULL || ps->stopped)
        return;
    ps->stopped = true;
    cnode_pg_stop(ps->pg);
    if (ps->live == 0) {
        free_pubsub(ps);
        return;
    }
    for (uint32_t i = 0; i < ps->pool; i++)
        if (ps->workers[i].proc != NULL)
            cnode__end(ps->workers[i].proc,
                       cnode__atom("shutdown", reason, sizeof reason));
}

void cnode__pubsubs_free(cnode *n) {
    while (n->pubsubs != NULL)
        free_pubsub(n->pubsubs);
}

cnode_pg *cnode_pubsub_pg(const cnode_pubsub *ps) {
    return ps->pg;
}

/* Module.concat(Name, "Adapter") */
static int adapter_of(cnode *n, const cnode_pubsub_opts *o, char *out,
                      size_t cap) {
    const char *name = o->name == NULL ? "" : o->name;
    int len;

    if (strncmp(name, "Elixir.", 7) == 0)
        name += 7;
    len = snprintf(out, cap, "Elixir.%s.Adapter", name);
    if (*name == '\0' || len < 0 || (size_t)len >= cap)
        return cnode__err(n, CN_EBADARG, "pubsub: that is no name");
    if (o->pool_size > MOST_WORKERS ||
        o->broadcast_pool_size > (o->pool_size == 0 ? 1 : o->pool_size))
        return cnode__err(n, CN_EBADARG,
                          "pubsub: pool_size is at most %d, and "
                          "broadcast_pool_size at most pool_size",
                          MOST_WORKERS);
    return 0;
}

int cnode_pubsub_start_sized(cnode *n, const cnode_pubsub_opts *opts,
                             size_t size, cnode_pubsub **out) {
    cnode_pubsub_opts o = {0};
    char adapter[1024];
    cnode_pubsub *ps;
    int err;

    (void)cnode__take_sized(&o, sizeof o, opts, size);
    err = adapter_of(n, &o, adapter, sizeof adapter);
    if (err != 0)
        return err;
    err = new_pubsub(n, &o, adapter, &ps);
    if (err != 0)
        (void)cnode__err(n, err, "pubsub: out of memory");
    if (err == 0) {
        ps->next = n->pubsubs;
        n->pubsubs = ps;
        err = start(ps);
    }
    if (err == 0)
        *out = ps;
    else
        cnode_pubsub_stop(ps);
    return err;
}
