/* SPDX-License-Identifier: Apache-2.0
 *
 * global_sync.c: who waits until this node is in step with others; and the
 * watch over the own loop. A member that stays connected and does not answer
 * holds up every change of a name in the whole cluster, and when the others
 * give it up they do so one by one, which tears the cluster apart. So a node
 * that finds that its loop has stood still leaves, at once and altogether,
 * before it reads what has come meanwhile.
 */
#include <inttypes.h>
#include <string.h>

#include "cnode/global_parts.h"

enum { DEFAULT_SYNC_MS = 5000, DEFAULT_TICKTIME_S = 60, LOOKS = 4 };

/* What other nodes that wait, by a call or by rpc, can make this one keep, in
 * bytes. OTP asks no other node but its own. */
enum { MOST_WAITING = 1024 * 1024 };

/* --- sync ---------------------------------------------------------------- */

typedef struct waiter {
    cnode__list in_list;
    cnode__global *g;
    cnode__timer timer;
    uint64_t until;
    cnode_global_cb cb; /* the program ... */
    void *data;
    bool remote;   /* ... or a call */
    size_t weight; /* in sync_bytes; 0: the program's own */
    cnode_from from;
    etf_view nodes; /* these; empty: all that are connected */
} waiter;

static size_t weight(etf_view tag, etf_view nodes) {
    return sizeof(waiter) + tag.len + nodes.len;
}

static void free_waiter(waiter *w) {
    cnode *n = w->g->node;

    cnode__list_leave(&w->in_list);
    w->g->sync_bytes -= w->weight;
    cnode__timer_drop(&n->timers, &w->timer);
    etf_copy_free(&n->alloc, w->from.tag);
    etf_copy_free(&n->alloc, w->nodes);
    cn__free(&n->alloc, w, 1, sizeof *w);
}

static bool in_step(const cnode__member *m) {
    return m == NULL || !m->up || m->synced;
}

static bool all_in_step(const cnode__global *g) {
    const cnode__member *m;

    for (size_t at = 0; (m = cn__map_next(&g->members, &at)) != NULL;)
        if (!in_step(m))
            return false;
    return true;
}

static bool these_in_step(const cnode__global *g, etf_view nodes) {
    etf_list list;
    etf_view e, name;

    if (etf_match(nodes, "~l", &list) != 0)
        return true;
    while (etf_list_next(&list, &e))
        if (etf_match(e, "~a", &name) == 0 &&
            !in_step(cnode__member_find(g, name)))
            return false;
    return true;
}

static void end_waiter(waiter *w, int status) {
    cnode *n = w->g->node;
    cnode_global_cb cb = w->cb;
    void *data = w->data;

    if (w->remote && status == 0)
        cnode__answer(w->g->self, &w->from, "ok");
    free_waiter(w);
    cnode__global_done(n, cb, data, status,
                       status == CN_ETIMEDOUT
                           ? "not all nodes have exchanged their names in time"
                           : NULL);
}

static void on_waiter(cnode__timer *t) {
    waiter *w = cnode__list_of(waiter, timer, t);
    cnode *n = w->g->node;

    if (w->remote ? these_in_step(w->g, w->nodes) : all_in_step(w->g))
        end_waiter(w, 0);
    else if (cnode__now(n) >= w->until)
        end_waiter(w, CN_ETIMEDOUT);
    else if (w->until != UINT64_MAX)
        cnode__timer_arm(&n->timers, &w->timer, w->until);
}

void cnode__sync_look(cnode__global *g) {
    cnode *n = g->node;

    for (cnode__list *l = g->syncs.next; l != &g->syncs; l = l->next)
        cnode__timer_arm(&n->timers, &cnode__list_of(waiter, in_list, l)->timer,
                         cnode__now(n));
    if (!cnode__list_empty(&g->syncs))
        cnode__wake(n);
}

static waiter *new_waiter(cnode__global *g) {
    cnode *n = g->node;
    waiter *w = cn__calloc(&n->alloc, 1, sizeof *w);

    if (w == NULL)
        return NULL;
    if (cnode__timer_make(&n->timers, &w->timer, on_waiter) != 0) {
        cn__free(&n->alloc, w, 1, sizeof *w);
        return NULL;
    }
    w->g = g;
    w->until = UINT64_MAX;
    cnode__list_add(&g->syncs, &w->in_list);
    cnode__timer_arm(&n->timers, &w->timer, cnode__now(n));
    cnode__wake(n);
    return w;
}

void cnode__sync_ask(cnode__global *g, const cnode_from *from, etf_view nodes) {
    cnode *n = g->node;
    size_t bytes = weight(from->tag, nodes);
    waiter *w;

    if (bytes > MOST_WAITING - g->sync_bytes) {
        cnode__answered(
            n, n->peer_now,
            cnode__err(n, CN_ELIMIT, "too many calls wait for a sync already"));
        return;
    }
    w = new_waiter(g);
    if (w != NULL) {
        w->remote = true;
        w->weight = bytes;
        g->sync_bytes += bytes;
        w->from.pid = from->pid;
        if (etf_copy(&n->alloc, from->tag, &w->from.tag) == 0 &&
            etf_copy(&n->alloc, nodes, &w->nodes) == 0)
            return;
        free_waiter(w);
    }
    cnode__answered(n, from->pid.node,
                    cnode__err(n, CN_ENOMEM, "out of memory"));
}

static int wait_for_all(cnode__global *g, cnode_global_cb cb, void *data,
                        waiter **out) {
    *out = new_waiter(g);
    if (*out == NULL)
        return cnode__err(g->node, CN_ENOMEM, "out of memory");
    (*out)->cb = cb;
    (*out)->data = data;
    return 0;
}

int cnode__sync_all(cnode *n, cnode_global_cb cb, void *data) {
    cnode__global *g = cnode__global_full(n);
    waiter *w;
    int err;

    if (g == NULL)
        return CN_ENOTSUP;
    if (sizeof *w > MOST_WAITING - g->sync_bytes)
        return cnode__err(n, CN_ELIMIT,
                          "too many calls wait for a sync already");
    err = wait_for_all(g, cb, data, &w);
    if (err != 0)
        return err;
    w->weight = sizeof *w;
    g->sync_bytes += w->weight;
    return 0;
}

int cnode_global_sync(cnode *n, uint32_t timeout_ms, cnode_global_cb cb,
                      void *data) {
    cnode__global *g = cnode__global_full(n);
    waiter *w;
    int err;

    if (g == NULL)
        return CN_ENOTSUP;
    err = wait_for_all(g, cb, data, &w);
    if (err != 0)
        return err;
    if (timeout_ms != UINT32_MAX)
        w->until = cnode__now(n) +
                   (timeout_ms == 0 ? (uint32_t)DEFAULT_SYNC_MS : timeout_ms);
    return 0;
}

/* --- the watch ----------------------------------------------------------- */

static uint64_t clock_ms(cnode *n) {
    return cnode__clock_us(n) / 1000;
}

uint32_t cnode__global_ticktime(const cnode *n) {
    return n->config.ticktime_s == 0 ? (uint32_t)DEFAULT_TICKTIME_S
                                     : n->config.ticktime_s;
}

static uint32_t most_stall(const cnode *n) {
    return n->config.max_stall_ms != 0 ? n->config.max_stall_ms
                                       : cnode__global_ticktime(n) * 500;
}

void cnode__global_awake(cnode *n) {
    cnode__global *g = n->global;
    uint32_t most;
    uint64_t now;

    if (g == NULL || !g->full)
        return;
    most = most_stall(n);
    now = clock_ms(n);
    if (now - g->awake_at <= most + most / LOOKS)
        return;
    cn__log(&n->config.log, CN_LOG_ERROR, "global",
            "the loop of this node has stood still for %" PRIu64
            " ms: it leaves the cluster before it holds up others",
            now - g->awake_at);
    cnode__global_leave(n, CN_ETIMEDOUT, "this node stood still too long");
    g->awake_at = now;
}

static void on_watch(cnode__timer *t) {
    cnode__global *g = cnode__list_of(cnode__global, watch, t);
    cnode *n = g->node;

    cnode__global_awake(n);
    g->awake_at = clock_ms(n);
    cnode__timer_arm(&n->timers, t, cnode__now(n) + most_stall(n) / LOOKS);
}

/* --- life ---------------------------------------------------------------- */

int cnode__syncs_init(cnode__global *g) {
    cnode *n = g->node;
    int err;

    cnode__list_init(&g->syncs);
    err = cnode__timer_make(&n->timers, &g->watch, on_watch);
    if (err != 0 || !g->full)
        return err;
    g->awake_at = clock_ms(n);
    cnode__timer_arm(&n->timers, &g->watch,
                     cnode__now(n) + most_stall(n) / LOOKS);
    return 0;
}

void cnode__syncs_free(cnode__global *g) {
    waiter *w;

    cnode__timer_drop(&g->node->timers, &g->watch);
    while ((w = cnode__list_first(waiter, in_list, &g->syncs)) != NULL)
        end_waiter(w, CN_ECLOSED);
}
