/* SPDX-License-Identifier: Apache-2.0
 *
 * global.c: a visible node that stays outside `global`. Every Erlang node
 * that sees it sends init_connect; the answer in_sync lets global:sync/0 go
 * on without it. Because the name global_name_server then exists here, it
 * also has to keep locks: global:set_lock/1 asks all visible nodes.
 *
 * A lock is a resource and a requester, held by a set of pids: free or of the
 * same requester, it is given; it goes with the last of its holders. How many
 * holders one node can bring is bounded, and found is each by its key: nothing
 * here takes longer because there are many.
 */
#include <string.h>

#include "base/bytes.h"
#include "cnode/global_parts.h"
#include "cnode/node.h"

/* What one node can make this one keep. */
enum { MOST_HOLDERS = 10000, MOST_BYTES = 16 * 1024 };

/* The node whose requests made some holders. */
typedef struct owner {
    uint32_t holders;
    size_t name_len;
    uint8_t name[];
} owner;

typedef struct lock {
    cnode__list holders;
    uint64_t number;
    etf_view resource; /* copies */
    etf_view requester;
} lock;

enum { PID_KEY = 8 + 12 }; /* and the name of its node */

typedef struct holder {
    cnode__list in_lock;
    lock *lock;
    owner *owner;
    uint32_t monitor[3]; /* the words of its reference */
    size_t key_len;
    uint8_t key[]; /* number of the lock, pid */
} holder;

typedef struct global {
    cn_map locks;    /* resource */
    cn_map holders;  /* holder.key */
    cn_map monitors; /* holder.monitor */
    cn_map owners;   /* name of the node */
    uint64_t next_lock;
    uint64_t quiet; /* when there may be another line about a refused lock */
} global;

/* --- owners -------------------------------------------------------------- */

static void drop_owner(cnode *n, global *g, owner *o) {
    if (o->holders > 0)
        return;
    (void)cn__map_remove(&g->owners, o->name, o->name_len);
    cn__free(&n->alloc, o, 1, sizeof *o + o->name_len);
}

/* Of the request that is being handled. */
static owner *find_owner(cnode *n, global *g) {
    size_t len = strlen(n->peer_now);
    owner *o = cn__map_get(&g->owners, n->peer_now, len);

    if (o != NULL)
        return o;
    o = cn__calloc(&n->alloc, 1, sizeof *o + len);
    if (o == NULL)
        return NULL;
    o->name_len = len;
    memcpy(o->name, n->peer_now, len);
    if (cn__map_put(&g->owners, o->name, len, o) == 0)
        return o;
    cn__free(&n->alloc, o, 1, sizeof *o + len);
    return NULL;
}

/* --- locks --------------------------------------------------------------- */

static void free_lock(cnode *n, lock *l) {
    etf_copy_free(&n->alloc, l->resource);
    etf_copy_free(&n->alloc, l->requester);
    cn__free(&n->alloc, l, 1, sizeof *l);
}

/* Unless somebody holds it. */
static void drop_lock(cnode *n, global *g, lock *l) {
    if (!cnode__list_empty(&l->holders))
        return;
    (void)cn__map_remove(&g->locks, l->resource.data, l->resource.len);
    free_lock(n, l);
}

static lock *find_lock(const global *g, etf_view resource) {
    return cn__map_get(&g->locks, resource.data, resource.len);
}

static lock *new_lock(cnode *n, global *g, etf_view resource,
                      etf_view requester) {
    lock *l = cn__calloc(&n->alloc, 1, sizeof *l);

    if (l == NULL)
        return NULL;
    cnode__list_init(&l->holders);
    l->number = g->next_lock++;
    if (etf_copy(&n->alloc, resource, &l->resource) == 0 &&
        etf_copy(&n->alloc, requester, &l->requester) == 0 &&
        cn__map_put(&g->locks, l->resource.data, l->resource.len, l) == 0)
        return l;
    free_lock(n, l);
    return NULL;
}

/* --- holders ------------------------------------------------------------- */

static size_t holder_key(const lock *l, const etf_pid *pid, uint8_t *key) {
    uint8_t *p = cn__put64(key, l->number);

    p = cn__put32(p, pid->id);
    p = cn__put32(p, pid->serial);
    p = cn__put32(p, pid->creation);
    (void)cn__put_bytes(p, pid->node, pid->node_len);
    return PID_KEY + (size_t)pid->node_len;
}

static holder *find_holder(const global *g, const lock *l, const etf_pid *pid) {
    uint8_t key[PID_KEY + ETF_NODE_MAX];
    return cn__map_get(&g->holders, key, holder_key(l, pid, key));
}

static void free_holder(cnode *n, holder *h) {
    cn__free(&n->alloc, h, 1, sizeof *h + h->key_len);
}

/* And its lock, if it was the last one, and its owner. */
static void drop_holder(cnode *n, global *g, holder *h) {
    lock *l = h->lock;
    owner *o = h->owner;

    (void)cn__map_remove(&g->holders, h->key, h->key_len);
    (void)cn__map_remove(&g->monitors, h->monitor, sizeof h->monitor);
    cnode__list_leave(&h->in_lock);
    free_holder(n, h);
    drop_lock(n, g, l);
    o->holders--;
    drop_owner(n, g, o);
}

static int watch_holder(cnode_proc *self, global *g, holder *h,
                        const etf_pid *pid) {
    cnode *n = self->node;
    etf_ref ref;
    int err = cnode_monitor_pid(self, pid, &ref);

    if (err != 0)
        return err;
    memcpy(h->monitor, ref.ids, sizeof h->monitor);
    if (cn__map_put(&g->monitors, h->monitor, sizeof h->monitor, h) == 0)
        return 0;
    (void)cnode_demonitor(self, &ref);
    return cnode__err(n, CN_ENOMEM, "out of memory");
}

static int add_holder(cnode_proc *self, global *g, lock *l, owner *o,
                      const etf_pid *pid) {
    cnode *n = self->node;
    size_t len = PID_KEY + (size_t)pid->node_len;
    holder *h = cn__calloc(&n->alloc, 1, sizeof *h + len);
    int err;

    if (h == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    h->lock = l;
    h->owner = o;
    h->key_len = holder_key(l, pid, h->key);
    err = cn__map_put(&g->holders, h->key, len, h);
    if (err != 0)
        (void)cnode__err(n, err, "out of memory");
    else if ((err = watch_holder(self, g, h, pid)) != 0)
        (void)cn__map_remove(&g->holders, h->key, len);
    if (err != 0) {
        free_holder(n, h);
        return err;
    }
    cnode__list_add(&l->holders, &h->in_lock);
    o->holders++;
    return 0;
}

/* --- requests ------------------------------------------------------------ */

static bool refuse(cnode *n, global *g, const char *why) {
    if (cnode__seldom(n, &g->quiet))
        cn__log(&n->config.log, CN_LOG_ERROR, "global",
                "a lock is refused to %s: %s", n->peer_now, why);
    return false;
}

/* l NULL: the lock is free. */
static bool give_lock(cnode_proc *self, global *g, lock *l, const etf_pid *pid,
                      etf_view resource, etf_view requester) {
    cnode *n = self->node;
    owner *o = find_owner(n, g);
    int err;

    if (l == NULL && o != NULL)
        l = new_lock(n, g, resource, requester);
    err = o == NULL || l == NULL ? cnode__err(n, CN_ENOMEM, "out of memory")
          : o->holders >= MOST_HOLDERS
              ? cnode__err(n, CN_ELIMIT, "it holds as many as it may")
              : add_holder(self, g, l, o, pid);
    if (err == 0)
        return true;
    if (l != NULL)
        drop_lock(n, g, l);
    if (o != NULL)
        drop_owner(n, g, o);
    return refuse(n, g, n->error.text);
}

static bool set_lock(cnode_proc *self, global *g, const etf_pid *pid,
                     etf_view resource, etf_view requester) {
    lock *l = find_lock(g, resource);

    if (l != NULL && !etf_view_eq(l->requester, requester))
        return false;
    if (l != NULL && find_holder(g, l, pid) != NULL)
        return true;
    if (resource.len + requester.len > MOST_BYTES)
        return refuse(self->node, g, "the name of the lock is too long");
    return give_lock(self, g, l, pid, resource, requester);
}

static void stop_watching(cnode_proc *self, const holder *h) {
    etf_ref ref = cnode__ref_of(self->node, 0);

    memcpy(ref.ids, h->monitor, sizeof h->monitor);
    (void)cnode_demonitor(self, &ref);
}

static void del_lock(cnode_proc *self, global *g, const etf_pid *pid,
                     etf_view resource, etf_view requester) {
    lock *l = find_lock(g, resource);
    holder *h;

    if (l == NULL || !etf_view_eq(l->requester, requester))
        return;
    h = find_holder(g, l, pid);
    if (h == NULL)
        return;
    stop_watching(self, h);
    drop_holder(self->node, g, h);
}

static void on_call(cnode_proc *self, const cnode_from *from, etf_view request,
                    void *data) {
    etf_view resource, requester;

    if (etf_match(request, "{set_lock, {~t, ~t}}", &resource, &requester) ==
        0) {
        bool got = set_lock(self, data, &from->pid, resource, requester);
        cnode__answered(self->node, from->pid.node,
                        cnode_reply(self, from, "~a", got ? "true" : "false"));
    } else if (etf_match(request, "{del_lock, {~t, ~t}}", &resource,
                         &requester) == 0) {
        del_lock(self, data, &from->pid, resource, requester);
        cnode__answered(self->node, from->pid.node,
                        cnode_reply(self, from, "true"));
    } else {
        cn__log(&self->node->config.log, CN_LOG_DEBUG, "global",
                "a request of %s is not answered: this node is not a member",
                from->pid.node);
    }
}

static void on_cast(cnode_proc *self, etf_view request, void *data) {
    cnode *n = self->node;
    etf_view node;

    (void)data;
    if (etf_match(request, "{init_connect, _, ~a, _}", &node) != 0 ||
        !etf_view_is(node, n->peer_now))
        return;
    cnode__answered(n, n->peer_now,
                    cnode_send_name(self, n->peer_now, "global_name_server",
                                    "{'$gen_cast', {in_sync, ~a, false}}",
                                    n->name));
}

static void on_down(cnode_proc *self, const cnode_down *d, void *data) {
    global *g = data;
    holder *h = cn__map_get(&g->monitors, d->ref.ids, sizeof h->monitor);

    if (h != NULL)
        drop_holder(self->node, g, h);
}

static void free_global(cnode *n, global *g) {
    holder *h;
    size_t at = 0;

    while ((h = cn__map_first(&g->holders, &at)) != NULL)
        drop_holder(n, g, h);
    cn__map_free(&g->locks);
    cn__map_free(&g->holders);
    cn__map_free(&g->monitors);
    cn__map_free(&g->owners);
    cn__free(&n->alloc, g, 1, sizeof *g);
}

static void on_end(cnode_proc *self, etf_view reason, void *data) {
    (void)reason;
    free_global(self->node, data);
}

/* Plain messages (whereis, lost_connection, ...) are for members. */
static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    (void)self;
    (void)m;
    (void)data;
}

static global *new_global(cnode *n) {
    global *g = cn__calloc(&n->alloc, 1, sizeof *g);
    uint64_t seed;

    if (g == NULL)
        return NULL;
    n->shell->random(n->shell_ctx, &seed, sizeof seed);
    cn__map_init(&g->locks, seed, &n->alloc);
    cn__map_init(&g->holders, seed, &n->alloc);
    cn__map_init(&g->monitors, seed, &n->alloc);
    cn__map_init(&g->owners, seed, &n->alloc);
    return g;
}

int cnode__global(cnode *n) {
    global *g = new_global(n);
    const cnode_proc_config c = {.name = "global_name_server",
                                 .on_message = on_message,
                                 .on_call = on_call,
                                 .on_cast = on_cast,
                                 .on_down = on_down,
                                 .on_end = on_end,
                                 .data = g};
    int err;

    if (g == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    err = cnode_spawn(n, &c, NULL);
    if (err != 0)
        free_global(n, g);
    return err;
}
