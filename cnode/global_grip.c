/* SPDX-License-Identifier: Apache-2.0
 *
 * global_grip.c: one lock held on many nodes. All who want a lock ask the same
 * node first, the boss, so that one of them has it and the others have to wait
 * there instead of taking it from each other half and half.
 *
 * A node that cannot be reached is left out, as in gen_server:multi_call. That
 * each call is answered exactly once, at the latest by the end of its
 * connection, is what moves a grip on.
 *
 * A call that ends with its connection may have set the lock all the same: the
 * request can be read after the connection has ended, and then the node
 * connects again to watch the process that holds it, and finds it alive. So
 * that no lock stays behind, it is given back when that node is connected.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/global_parts.h"

static void forget(cnode__grip *grip) {
    etf_copy_free(&grip->node->alloc, grip->id);
    grip->id = (etf_view){NULL, 0};
    grip->n = 0;
}

int cnode__grip_begin(cnode__grip *grip, etf_view id) {
    forget(grip);
    return etf_copy(&grip->node->alloc, id, &grip->id);
}

static int make_room(cnode__grip *grip) {
    size_t cap = grip->cap == 0 ? 4 : grip->cap * 2;
    cnode__finger *f;

    if (grip->n < grip->cap)
        return 0;
    f = cn__resize(&grip->node->alloc, grip->fingers, grip->cap, cap,
                   sizeof *f);
    if (f == NULL)
        return CN_ENOMEM;
    grip->fingers = f;
    grip->cap = cap;
    return 0;
}

/* Only the boss and whom it is done for come twice, and they come first. */
static bool is_first_twice(const cnode__grip *grip, const char *node) {
    for (size_t i = 0; i < grip->n && grip->fingers[i].stage < 2; i++)
        if (strcmp(grip->fingers[i].node, node) == 0)
            return true;
    return false;
}

int cnode__grip_add(cnode__grip *grip, const char *node, int stage) {
    cnode__finger *f;

    if (is_first_twice(grip, node))
        return 0;
    if (make_room(grip) != 0)
        return CN_ENOMEM;
    f = &grip->fingers[grip->n++];
    f->grip = grip;
    f->stage = stage;
    f->holds = false;
    (void)snprintf(f->node, sizeof f->node, "%s", node);
    return 0;
}

/* --- asking -------------------------------------------------------------- */

static bool is_own(const cnode__finger *f) {
    return strcmp(f->node, f->grip->node->name) == 0;
}

/* An answer of this node itself, which there was no memory for, would be
 * waited for in vain; one of another node ends with its connection. */
enum { OWN_MS = 5000 };

static cnode_call_opts server_of(const cnode__finger *f) {
    cnode_call_opts o = {
        .node = f->node, .server = CNODE__GNS, .timeout_ms = UINT32_MAX};

    if (is_own(f))
        o.timeout_ms = OWN_MS;
    return o;
}

static int asked(cnode__finger *f, int err) {
    f->grip->waiting += err == 0;
    return err;
}

/* {set_lock, Id} or {del_lock, Id}. */
static int ask_lock(cnode__finger *f, cnode_call_cb cb, const char *what) {
    const cnode_call_opts o = server_of(f);

    return asked(
        f, cnode_call(f->grip->proc, &o, cb, f, "{~a, ~t}", what, f->grip->id));
}

/* The own lock needs no messages. */
static void own_lock(cnode__finger *f, bool set) {
    cnode *n = f->grip->node;
    const char *now = n->peer_now;
    etf_pid self = cnode_self(f->grip->proc);
    etf_view resource, requester;

    f->holds = false;
    if (n->global == NULL ||
        etf_match(f->grip->id, "{~t, ~t}", &resource, &requester) != 0)
        return;
    n->peer_now = n->name;
    if (set)
        f->holds = cnode__lock_set(n->global, &self, resource, requester);
    else
        cnode__lock_del(n->global, &self, resource, requester);
    n->peer_now = now;
}

/* --- without an answer --------------------------------------------------- */

/* What is remembered of nodes that do not come back; the oldest goes first. */
enum { MOST_DOUBTS = 256, SETTLE_MS = 5000 };

typedef struct doubt {
    cnode__list in_list;
    etf_pid holder;
    etf_view id; /* a copy */
    char node[CNODE__NAME_MAX + 1];
} doubt;

static void drop_doubt(cnode__global *g, doubt *d) {
    cnode__list_leave(&d->in_list);
    g->doubt_count--;
    etf_copy_free(&g->node->alloc, d->id);
    cn__free(&g->node->alloc, d, 1, sizeof *d);
}

static doubt *first_doubt(const cnode__global *g) {
    return cnode__list_first(doubt, in_list, &g->doubts);
}

static int add_doubt(cnode__global *g, const cnode__finger *f) {
    doubt *d = cn__calloc(&g->node->alloc, 1, sizeof *d);

    if (d == NULL)
        return CN_ENOMEM;
    if (etf_copy(&g->node->alloc, f->grip->id, &d->id) != 0) {
        cn__free(&g->node->alloc, d, 1, sizeof *d);
        return CN_ENOMEM;
    }
    d->holder = cnode_self(f->grip->proc);
    memcpy(d->node, f->node, sizeof d->node);
    if (g->doubt_count == MOST_DOUBTS)
        drop_doubt(g, first_doubt(g));
    cnode__list_add(&g->doubts, &d->in_list);
    g->doubt_count++;
    return 0;
}

static void doubtful(const cnode__finger *f) {
    cnode *n = f->grip->node;

    if (n->global != NULL && !n->closing && add_doubt(n->global, f) != 0)
        cn__log(&n->config.log, CN_LOG_ERROR, "global",
                "no memory to remember that %s may hold a lock of this node",
                f->node);
}

static void on_settled(cnode_proc *p, int status, etf_view result, void *data) {
    (void)p, (void)status, (void)result, (void)data;
}

/* One whose process has ended is gone with it. */
static void settle(cnode__global *g, const doubt *d) {
    const cnode_call_opts o = {
        .node = d->node, .server = CNODE__GNS, .timeout_ms = SETTLE_MS};
    cnode_proc *p = cnode__proc_of(g->node, &d->holder);

    if (p != NULL)
        cnode__answered(
            g->node, d->node,
            cnode_call(p, &o, on_settled, NULL, "{del_lock, ~t}", d->id));
}

void cnode__grips_settle(cnode__global *g, const char *node) {
    cnode__list *l = g->doubts.next;

    while (l != &g->doubts) {
        doubt *d = cnode__list_of(doubt, in_list, l);

        l = l->next;
        if (strcmp(d->node, node) != 0)
            continue;
        settle(g, d);
        drop_doubt(g, d);
    }
}

void cnode__grips_free(cnode__global *g) {
    while (g->doubt_count > 0)
        drop_doubt(g, first_doubt(g));
}

/* --- releasing ----------------------------------------------------------- */

static void release_boss(cnode__grip *grip);

static void on_all_released(cnode_proc *p, int status, etf_view result,
                            void *data) {
    cnode__grip *grip = ((cnode__finger *)data)->grip;

    (void)p, (void)status, (void)result;
    if (--grip->waiting == 0)
        grip->released(grip);
}

static void on_one_released(cnode_proc *p, int status, etf_view result,
                            void *data) {
    cnode__grip *grip = ((cnode__finger *)data)->grip;

    (void)p, (void)status, (void)result;
    if (--grip->waiting == 0)
        release_boss(grip);
}

/* A lock goes with its connection: nobody is connected to for it. */
static void let_go(cnode__finger *f, cnode_call_cb cb) {
    if (f->holds && is_own(f))
        own_lock(f, false);
    else if (f->holds && cnode_connected(f->grip->node, f->node))
        cnode__answered(f->grip->node, f->node, ask_lock(f, cb, "del_lock"));
    else if (f->holds)
        doubtful(f);
    f->holds = false;
}

static void release_boss(cnode__grip *grip) {
    if (grip->n > 0)
        let_go(&grip->fingers[0], on_all_released);
    if (grip->waiting == 0)
        grip->released(grip);
}

void cnode__grip_release(cnode__grip *grip) {
    for (size_t i = 1; i < grip->n; i++)
        let_go(&grip->fingers[i], on_one_released);
    if (grip->waiting == 0)
        release_boss(grip);
}

/* --- taking -------------------------------------------------------------- */

enum { LAST_STAGE = 2 };

static void take_stages(cnode__grip *grip);

/* Where something went wrong on the way the lock may be set all the same: it is
 * given back then, too. */
static void on_taken(cnode_proc *p, int status, etf_view result, void *data) {
    cnode__finger *f = data;
    cnode__grip *grip = f->grip;

    if (status == 0)
        f->holds = etf_match(result, "true") == 0;
    else
        f->holds = cnode_connected(p->node, f->node);
    if (status == 0 && !f->holds)
        grip->refused = true;
    else if (!f->holds)
        doubtful(f);
    if (--grip->waiting == 0)
        take_stages(grip);
}

static void take(cnode__finger *f) {
    if (f->grip->node->global != NULL) /* never behind what is asked now */
        cnode__grips_settle(f->grip->node->global, f->node);
    if (is_own(f)) {
        own_lock(f, true);
        f->grip->refused = f->grip->refused || !f->holds;
    } else if (ask_lock(f, on_taken, "set_lock") != 0) {
        cn__log(&f->grip->node->config.log, CN_LOG_WARN, "global",
                "%s is left out of a lock: %s", f->node,
                f->grip->node->error.text);
    }
}

/* From the next one on, as far as they need no answers. */
static void take_stages(cnode__grip *grip) {
    while (!grip->refused && grip->stage < LAST_STAGE && grip->waiting == 0) {
        grip->stage++;
        for (size_t i = 0; i < grip->n; i++)
            if (grip->fingers[i].stage == grip->stage)
                take(&grip->fingers[i]);
    }
    if (grip->waiting == 0)
        grip->taken(grip, !grip->refused);
}

void cnode__grip_take(cnode__grip *grip) {
    grip->stage = -1;
    grip->refused = false;
    take_stages(grip);
}

/* --- with it ------------------------------------------------------------- */

static void on_step(cnode_proc *p, int status, etf_view result, void *data) {
    cnode__grip *grip = ((cnode__finger *)data)->grip;

    (void)p;
    if (status == 0 && etf_match(result, "no") == 0)
        grip->denied = true;
    if (--grip->waiting == 0)
        grip->step(grip);
}

static void ask(cnode__finger *f, etf_view request) {
    const cnode_call_opts o = server_of(f);

    if (asked(f, cnode_call(f->grip->proc, &o, on_step, f, "~t", request)) != 0)
        cn__log(&f->grip->node->config.log, CN_LOG_WARN, "global",
                "%s is not told of a name: %s", f->node,
                f->grip->node->error.text);
}

void cnode__grip_ask(cnode__grip *grip, etf_view request) {
    grip->denied = false;
    for (size_t i = 0; i < grip->n; i++)
        if (grip->fingers[i].holds)
            ask(&grip->fingers[i], request);
    if (grip->waiting == 0)
        grip->step(grip);
}

void cnode__grip_free(cnode__grip *grip) {
    if (grip->node == NULL)
        return;
    forget(grip);
    cn__free(&grip->node->alloc, grip->fingers, grip->cap,
             sizeof *grip->fingers);
    grip->fingers = NULL;
    grip->cap = 0;
}
