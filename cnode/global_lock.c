/* SPDX-License-Identifier: Apache-2.0
 *
 * global_lock.c: the locks of `global` that processes of any node hold here.
 *
 * A lock is a resource and a requester, held by a set of pids: free or of the
 * same requester, it is given; it goes with the last of its holders. How many
 * holders one node can bring is bounded, and found is each by its key: nothing
 * here takes longer because there are many.
 */
#include <string.h>

#include "base/bytes.h"
#include "cnode/global_parts.h"

/* What one node can make this one keep. */
enum { MOST_HOLDERS = 10000 };

/* The lock that names are changed under. */
static const uint8_t global_atom[] = {119, 6, 'g', 'l', 'o', 'b', 'a', 'l'};
static const etf_view global_resource = {global_atom, sizeof global_atom};

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

/* --- owners -------------------------------------------------------------- */

static void drop_owner(cnode *n, cnode__global *g, owner *o) {
    if (o->holders > 0)
        return;
    (void)cn__map_remove(&g->owners, o->name, o->name_len);
    cn__free(&n->alloc, o, 1, sizeof *o + o->name_len);
}

/* Of the request that is being handled. */
static owner *find_owner(cnode *n, cnode__global *g) {
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
static void drop_lock(cnode *n, cnode__global *g, lock *l) {
    if (!cnode__list_empty(&l->holders))
        return;
    (void)cn__map_remove(&g->locks, l->resource.data, l->resource.len);
    free_lock(n, l);
}

static lock *find_lock(const cnode__global *g, etf_view resource) {
    return cn__map_get(&g->locks, resource.data, resource.len);
}

static lock *new_lock(cnode *n, cnode__global *g, etf_view resource,
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

static holder *find_holder(const cnode__global *g, const lock *l,
                           const etf_pid *pid) {
    uint8_t key[PID_KEY + ETF_NODE_MAX];
    return cn__map_get(&g->holders, key, holder_key(l, pid, key));
}

static void free_holder(cnode *n, holder *h) {
    cn__free(&n->alloc, h, 1, sizeof *h + h->key_len);
}

/* And its lock, if it was the last one, and its owner. down: it has ended. */
static void drop_holder(cnode *n, cnode__global *g, holder *h, bool down) {
    lock *l = h->lock;
    owner *o = h->owner;

    (void)cn__map_remove(&g->holders, h->key, h->key_len);
    (void)cn__map_remove(&g->monitors, h->monitor, sizeof h->monitor);
    cnode__list_leave(&h->in_lock);
    free_holder(n, h);
    if (cnode__list_empty(&l->holders) &&
        etf_view_eq(l->resource, global_resource))
        g->lock_down = down;
    drop_lock(n, g, l);
    o->holders--;
    drop_owner(n, g, o);
}

static int watch_holder(cnode_proc *self, cnode__global *g, holder *h,
                        const etf_pid *pid) {
    int err = cnode__monitor_words(self, pid, h->monitor);

    if (err != 0)
        return err;
    if (cn__map_put(&g->monitors, h->monitor, sizeof h->monitor, h) == 0)
        return 0;
    cnode__demonitor_words(self, h->monitor);
    return cnode__err(self->node, CN_ENOMEM, "out of memory");
}

static int add_holder(cnode_proc *self, cnode__global *g, lock *l, owner *o,
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

static bool refuse(cnode__global *g, const char *why) {
    cnode *n = g->node;

    if (cnode__seldom(n, &g->quiet))
        cn__log(&n->config.log, CN_LOG_ERROR, "global",
                "a lock is refused to %s: %s", n->peer_now, why);
    return false;
}

/* l NULL: the lock is free. */
static bool give_lock(cnode__global *g, lock *l, const etf_pid *pid,
                      etf_view resource, etf_view requester) {
    cnode *n = g->node;
    owner *o = find_owner(n, g);
    int err;

    if (l == NULL && o != NULL)
        l = new_lock(n, g, resource, requester);
    err = o == NULL || l == NULL ? cnode__err(n, CN_ENOMEM, "out of memory")
          : o->holders >= MOST_HOLDERS
              ? cnode__err(n, CN_ELIMIT, "it holds as many as it may")
              : add_holder(g->self, g, l, o, pid);
    if (err == 0)
        return true;
    if (l != NULL)
        drop_lock(n, g, l);
    if (o != NULL)
        drop_owner(n, g, o);
    return refuse(g, n->error.text);
}

/* Both as keys, in g->pair. */
static bool normal_pair(cnode__global *g, etf_view *resource,
                        etf_view *requester) {
    const cn_alloc *alloc = &g->node->alloc;
    etf_view both;

    cnode__next_term(&g->pair);
    (void)etf_put_normal(&g->pair, alloc, NULL, *resource);
    resource->len = etf_writer_size(&g->pair);
    (void)etf_put_normal(&g->pair, alloc, NULL, *requester);
    if (etf_writer_finish(&g->pair, &both) != 0)
        return refuse(g, cn_strerror(g->pair.err));
    resource->data = both.data;
    requester->data = both.data + resource->len;
    requester->len = both.len - resource->len;
    return true;
}

/* A node locks for its own processes, as set_lock and del_lock of OTP do: so a
 * lock goes with the connection of who has brought it. */
static bool is_of_sender(const cnode__global *g, const etf_pid *pid) {
    return cnode__pid_is_of(pid, g->node->peer_now);
}

bool cnode__lock_set(cnode__global *g, const etf_pid *pid, etf_view resource,
                     etf_view requester) {
    lock *l;

    if (!is_of_sender(g, pid))
        return refuse(g, "it asks for a process of another node");
    if (resource.len + requester.len > CNODE__LOCK_MOST)
        return refuse(g, "the name of the lock is too long");
    if (!normal_pair(g, &resource, &requester))
        return false;
    l = find_lock(g, resource);
    if (l != NULL && !etf_view_eq(l->requester, requester))
        return false;
    if (l != NULL && find_holder(g, l, pid) != NULL)
        return true;
    return give_lock(g, l, pid, resource, requester);
}

void cnode__lock_del(cnode__global *g, const etf_pid *pid, etf_view resource,
                     etf_view requester) {
    lock *l;
    holder *h;

    if (!is_of_sender(g, pid) || !normal_pair(g, &resource, &requester))
        return;
    l = find_lock(g, resource);
    if (l == NULL || !etf_view_eq(l->requester, requester))
        return;
    h = find_holder(g, l, pid);
    if (h == NULL)
        return;
    cnode__demonitor_words(g->self, h->monitor);
    drop_holder(g->node, g, h, false);
}

bool cnode__lock_on_down(cnode__global *g, const etf_ref *ref) {
    holder *h = cn__map_get(&g->monitors, ref->ids, sizeof h->monitor);

    if (h != NULL)
        drop_holder(g->node, g, h, true);
    return h != NULL;
}

/* --- the lock of names --------------------------------------------------- */

bool cnode__lock_is_set(const cnode__global *g) {
    return find_lock(g, global_resource) != NULL;
}

bool cnode__lock_lets_pid(const cnode__global *g, const etf_pid *pid) {
    const lock *l = find_lock(g, global_resource);

    return l == NULL ? !g->lock_down : find_holder(g, l, pid) != NULL;
}

bool cnode__lock_lets(cnode__global *g, etf_view requester) {
    const lock *l = find_lock(g, global_resource);
    etf_view resource = global_resource;

    if (l == NULL)
        return !g->lock_down;
    return requester.len > 0 && normal_pair(g, &resource, &requester) &&
           etf_view_eq(l->requester, requester);
}

/* --- life ---------------------------------------------------------------- */

void cnode__locks_init(cnode__global *g, uint64_t seed) {
    const cn_alloc *alloc = &g->node->alloc;

    cn__map_init(&g->locks, seed, alloc);
    cn__map_init(&g->holders, seed, alloc);
    cn__map_init(&g->monitors, seed, alloc);
    cn__map_init(&g->owners, seed, alloc);
    etf_writer_init(&g->pair, alloc);
    etf_writer_mode(&g->pair, ETF_DETERMINISTIC);
}

void cnode__locks_free(cnode__global *g) {
    holder *h;
    size_t at = 0;

    while ((h = cn__map_first(&g->holders, &at)) != NULL)
        drop_holder(g->node, g, h, false);
    cn__map_free(&g->locks);
    cn__map_free(&g->holders);
    cn__map_free(&g->monitors);
    cn__map_free(&g->owners);
    etf_writer_free(&g->pair);
}
