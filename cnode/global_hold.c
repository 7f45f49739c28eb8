/* SPDX-License-Identifier: Apache-2.0
 *
 * global_hold.c: locks that processes of this node take on several, as
 * global:set_lock/3 does: this node is asked first, if it is one of them, then
 * all others at once. When one refuses, those that were had are given back, so
 * that two who want the same ones cannot wait for each other for ever; it is
 * tried again after a random time, which becomes longer.
 *
 * What a process asks for one lock is done one at a time, an unlock never after
 * what was asked later: else its answers, or those of an attempt that is given
 * up, would take away what the later one has got.
 *
 * What is under way belongs to the process, for the answers come to it: with
 * the process it ends, and each node drops what that one held there.
 */
#include <string.h>

#include "cnode/global_parts.h"
#include "cnode/sized.h"

typedef struct hold {
    cnode__pending pending;
    cnode__list in_list; /* unless `global` has ended */
    cnode_proc *proc;
    cnode__grip grip;
    cnode__timer timer;
    bool locks; /* else it unlocks */
    bool begun; /* it waits for answers, not for its time */
    bool waits; /* for another one of its process */
    bool given_up;
    uint32_t tries; /* of a lock; 0: any number */
    uint32_t times;
    cnode_global_cb cb; /* NULL: it has been told */
    void *data;
} hold;

/* --- the end of one ------------------------------------------------------ */

static void free_hold(hold *h) {
    cnode *n = h->proc->node;

    cnode__list_leave(&h->in_list);
    cnode__timer_drop(&n->timers, &h->timer);
    cnode__grip_free(&h->grip);
    cn__free(&n->alloc, h, 1, sizeof *h);
}

static void proc_ended(cnode__pending *x) {
    free_hold(cnode__list_of(hold, pending, x));
}

/* The callback, which may end the process and with it h. */
static void tell(cnode *n, cnode_global_cb cb, void *data, int status) {
    cnode__global_done(n, cb, data, status,
                       status == CN_EBUSY ? "somebody else has that lock"
                       : status == CN_ECANCELED
                           ? "the lock is not wanted any more"
                           : NULL);
}

static void in_a_while(hold *h, uint32_t ms) {
    cnode *n = h->proc->node;

    cnode__timer_arm(&n->timers, &h->timer, cnode__now(n) + ms);
    cnode__wake(n);
}

/* Of the same process and for the same lock, the first behind another one, or
 * of all; NULL: there is none. */
static hold *next_like(const hold *h, const hold *last) {
    const cnode__list *all = &h->proc->extra->pendings;
    const cnode__list *l = last == NULL ? all : &last->pending.in_proc;

    while ((l = l->next) != all) {
        cnode__pending *x =
            cnode__list_of(cnode__pending, in_proc, (cnode__list *)l);
        hold *other = cnode__list_of(hold, pending, x);

        if (x->ended == proc_ended && etf_view_eq(other->grip.id, h->grip.id))
            return other;
    }
    return NULL;
}

/* Those that wait look again. */
static void let_others(const hold *h) {
    hold *other = NULL;

    while ((other = next_like(h, other)) != NULL)
        if (other->waits)
            in_a_while(other, 0);
}

static void end(hold *h, int status) {
    cnode *n = h->proc->node;
    cnode_global_cb cb = h->cb;
    void *data = h->data;

    let_others(h);
    cnode__pending_leave(&h->pending);
    free_hold(h);
    tell(n, cb, data, status);
}

/* --- one ----------------------------------------------------------------- */

static void on_taken(cnode__grip *grip, bool got) {
    hold *h = cnode__list_of(hold, grip, grip);

    if (got && !h->given_up)
        end(h, 0);
    else
        cnode__grip_release(grip);
}

static void on_released(cnode__grip *grip) {
    hold *h = cnode__list_of(hold, grip, grip);
    cnode__global *g = h->proc->node->global;

    h->begun = false;
    if (!h->locks) {
        end(h, 0);
    } else if (h->given_up || g == NULL) {
        end(h, CN_ECANCELED);
    } else if (h->times == h->tries) {
        end(h, CN_EBUSY);
    } else {
        in_a_while(h, cnode__global_pause(g, h->times));
        let_others(h);
    }
}

static void give_up(hold *h) {
    if (h->begun)
        h->given_up = true;
    else
        end(h, CN_ECANCELED);
}

/* A lock that was asked for before this unlock, and is wanted still. */
static hold *wanted_before(const hold *h) {
    hold *other = NULL;

    while ((other = next_like(h, other)) != h)
        if (other->locks && !other->given_up)
            return other;
    return NULL;
}

static bool must_wait(const hold *h) {
    const hold *other = NULL;
    bool before = true;

    while ((other = next_like(h, other)) != NULL) {
        if (other == h)
            before = false;
        else if (other->begun || (before && !other->locks))
            return true;
    }
    return false;
}

/* The process may end in a callback; then h is about to be freed with it. */
static void on_time(cnode__timer *t) {
    hold *h = cnode__list_of(hold, timer, t), *other;

    while (!h->locks && !h->proc->ended && (other = wanted_before(h)) != NULL)
        give_up(other);
    if (h->proc->ended)
        return;
    h->waits = must_wait(h);
    if (h->waits)
        return;
    h->begun = true;
    if (h->locks) {
        h->times++;
        cnode__grip_take(&h->grip);
    } else {
        cnode__grip_release(&h->grip);
    }
}

/* --- the program's ------------------------------------------------------- */

static int add_all(cnode__grip *grip) {
    const cnode *n = grip->node;
    const cnode__peer *p;
    int err = cnode__grip_add(grip, n->name, 0);

    for (size_t at = 0; err == 0 && (p = cn__map_next(&n->peers, &at)) != NULL;)
        if (p->up != NULL && cnode__peer_is_visible(p))
            err = cnode__grip_add(grip, p->name, 2);
    return err == 0 ? 0 : cnode__err(grip->node, err, "out of memory");
}

static bool is_own(const cnode *n, const char *name) {
    return strcmp(name, n->name) == 0;
}

static int add_these(cnode__grip *grip, const cnode_global_lock_opts *o) {
    cnode *n = grip->node;
    int err = 0;

    for (size_t i = 0; i < o->count; i++)
        if (!cnode__name_ok(o->nodes[i]))
            return cnode__err(n, CN_EBADARG, "'%.100s' is no name of a node",
                              o->nodes[i]);
    for (size_t i = 0; err == 0 && i < o->count; i++)
        if (is_own(n, o->nodes[i]))
            err = cnode__grip_add(grip, n->name, 0);
    for (size_t i = 0; err == 0 && i < o->count; i++)
        if (!is_own(n, o->nodes[i]))
            err = cnode__grip_add(grip, o->nodes[i], 2);
    return err == 0 ? 0 : cnode__err(n, err, "out of memory");
}

/* {Resource, Requester}. */
static int put_id(hold *h, etf_view resource, etf_view requester) {
    cnode *n = h->proc->node;
    etf_pid self = cnode_self(h->proc);
    etf_writer w;
    etf_view id;
    int err;

    etf_writer_init(&w, &n->alloc);
    if (requester.len > 0)
        err = etf_pack(&w, "{~t, ~t}", resource, requester);
    else
        err = etf_pack(&w, "{~t, ~p}", resource, &self);
    if (err == 0)
        err = etf_writer_finish(&w, &id);
    if (err == 0 && id.len > CNODE__LOCK_MOST)
        err = CN_ELIMIT;
    if (err == 0)
        err = cnode__grip_begin(&h->grip, id);
    etf_writer_free(&w);
    return err == 0
               ? 0
               : cnode__err(n, err, "the name of a lock: %s", cn_strerror(err));
}

static hold *new_hold(cnode_proc *p) {
    cnode *n = p->node;
    hold *h =
        cnode__extra_of(p) == NULL ? NULL : cn__calloc(&n->alloc, 1, sizeof *h);

    if (h == NULL)
        return NULL;
    if (cnode__timer_make(&n->timers, &h->timer, on_time) != 0) {
        cn__free(&n->alloc, h, 1, sizeof *h);
        return NULL;
    }
    h->pending.ended = proc_ended;
    h->proc = p;
    h->grip.node = n;
    h->grip.proc = p;
    h->grip.taken = on_taken;
    h->grip.released = on_released;
    cnode__list_add(&n->global->holds, &h->in_list);
    return h;
}

/* The first half of a lock and an unlock; h is in no list of the process. */
static int make(cnode_proc *p, etf_view resource,
                const cnode_global_lock_opts *given, size_t size, hold **out) {
    cnode_global_lock_opts o;
    cnode *n = p->node;
    hold *h;
    int err;

    if (p->ended)
        return cnode__gone(p);
    if (n->global == NULL)
        return cnode__err(n, CN_ENOTSUP, "%s is no visible node", n->name);
    h = new_hold(p);
    if (h == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    cnode__copy_sized(&o, sizeof o, given, size);
    h->tries = o.tries;
    err = put_id(h, resource, o.requester);
    if (err == 0)
        err = o.nodes == NULL ? add_all(&h->grip) : add_these(&h->grip, &o);
    if (err != 0)
        free_hold(h);
    else
        *out = h;
    return err;
}

/* The second half. */
static void begin(hold *h, cnode_global_cb cb, void *data) {
    h->cb = cb;
    h->data = data;
    cnode__pending_add(h->proc, &h->pending);
    in_a_while(h, 0);
}

int cnode_global_lock_term_sized(cnode_proc *p, etf_view resource,
                                 const cnode_global_lock_opts *o, size_t size,
                                 cnode_global_cb cb, void *data) {
    hold *h;
    int err = make(p, resource, o, size, &h);

    if (err != 0)
        return err;
    h->locks = true;
    begin(h, cb, data);
    return 0;
}

/* It asks those that it is connected to: elsewhere nothing is held. */
int cnode_global_unlock_term_sized(cnode_proc *p, etf_view resource,
                                   const cnode_global_lock_opts *o, size_t size,
                                   cnode_global_cb cb, void *data) {
    cnode *n = p->node;
    hold *h;
    int err = make(p, resource, o, size, &h);

    if (err != 0)
        return err;
    for (size_t i = 0; i < h->grip.n; i++) {
        cnode__finger *f = &h->grip.fingers[i];
        f->holds = is_own(n, f->node) || cnode_connected(n, f->node);
    }
    begin(h, cb, data);
    return 0;
}

int cnode_global_lock_sized(cnode_proc *p, const char *resource,
                            const cnode_global_lock_opts *o, size_t size,
                            cnode_global_cb cb, void *data) {
    uint8_t buf[CNODE__ATOM_ROOM];
    etf_view term;
    int err = cnode__global_atom(p->node, resource, buf, &term);

    return err != 0 ? err
                    : cnode_global_lock_term_sized(p, term, o, size, cb, data);
}

int cnode_global_unlock_sized(cnode_proc *p, const char *resource,
                              const cnode_global_lock_opts *o, size_t size,
                              cnode_global_cb cb, void *data) {
    uint8_t buf[CNODE__ATOM_ROOM];
    etf_view term;
    int err = cnode__global_atom(p->node, resource, buf, &term);

    return err != 0
               ? err
               : cnode_global_unlock_term_sized(p, term, o, size, cb, data);
}

/* --- life ---------------------------------------------------------------- */

/* Those that wait for answers get them all the same, and give back what they
 * have got. */
void cnode__holds_end(cnode__global *g) {
    hold *h;

    while ((h = cnode__list_first(hold, in_list, &g->holds)) != NULL) {
        cnode_global_cb cb = h->cb;

        cnode__list_leave(&h->in_list);
        if (!h->begun) {
            end(h, CN_ECLOSED);
            continue;
        }
        h->cb = NULL;
        h->given_up = true;
        tell(h->proc->node, cb, h->data, CN_ECLOSED);
    }
}
