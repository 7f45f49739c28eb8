/* SPDX-License-Identifier: Apache-2.0
 *
 * pending.c: answers that a process owes, or gathers. Each stands in a list of
 * its process, so that the end of the process finds it, and knows the monitor
 * by which its caller waits, so that it hears when the caller does so no more.
 */
#include "cnode/node.h"

void cnode__pending_add(cnode_proc *p, cnode__pending *x) {
    cnode__list_add(&p->extra->pendings, &x->in_proc);
    cnode__list_init(&x->in_watch);
    if (x->watch != NULL && x->watch->proc != p)
        x->watch = NULL; /* it tells nothing of this one */
    if (x->watch != NULL)
        cnode__list_add(&x->watch->pendings, &x->in_watch);
}

void cnode__pending_leave(cnode__pending *x) {
    cnode__list_leave(&x->in_proc);
    cnode__list_leave(&x->in_watch);
}

/* w is only compared. Whoever is told may end p, which is freed later, from the
 * pump; then the others are told that instead. */
void cnode__pending_unwatched(cnode_proc *p, const cnode__watch *w,
                              cnode__list *waited) {
    cnode__pending *x;

    if (!p->ended && p->extra != NULL && p->extra->task != NULL &&
        p->extra->task->caller == w)
        p->extra->task->caller = NULL;
    while ((x = cnode__list_first(cnode__pending, in_watch, waited)) != NULL) {
        cnode__list_leave(&x->in_watch);
        x->watch = NULL;
        if (!p->ended)
            x->gave_up(x);
    }
}

void cnode__pending_end(cnode_proc *p) {
    cnode__pending *x;

    while ((x = cnode__list_first(cnode__pending, in_proc,
                                  &p->extra->pendings)) != NULL) {
        cnode__pending_leave(x);
        x->ended(x);
    }
}

/* --- callers that give up ------------------------------------------------ */

typedef struct abandon {
    cnode__pending pending;
    cnode_proc *proc;
    void (*fn)(cnode_proc *self, void *arg);
    void *arg;
} abandon;

static void free_abandon(cnode__pending *x) {
    abandon *a = cnode__list_of(abandon, pending, x);

    cn__free(&a->proc->node->alloc, a, 1, sizeof *a);
}

static void abandoned(cnode__pending *x) {
    abandon *a = cnode__list_of(abandon, pending, x);
    cnode_proc *p = a->proc;
    void (*fn)(cnode_proc *, void *) = a->fn;
    void *arg = a->arg;

    cnode__pending_leave(x);
    free_abandon(x);
    fn(p, arg);
}

bool cnode_wanted(const cnode_proc *self) {
    return !self->ended && self->extra != NULL && self->extra->task != NULL &&
           self->extra->task->caller != NULL;
}

int cnode_on_abandon(cnode_proc *self, void (*fn)(cnode_proc *self, void *arg),
                     void *arg) {
    cnode *n = self->node;
    abandon *a;

    if (self->ended)
        return cnode__gone(self);
    if (!cnode_wanted(self))
        return cnode__err(n, CN_ENOENT, "nobody waits for this process");
    a = cn__calloc(&n->alloc, 1, sizeof *a);
    if (a == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    a->pending.watch = self->extra->task->caller;
    a->pending.gave_up = abandoned;
    a->pending.ended = free_abandon;
    a->proc = self;
    a->fn = fn;
    a->arg = arg;
    cnode__pending_add(self, &a->pending);
    return 0;
}
