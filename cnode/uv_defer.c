/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_defer.c: answers that come later, from any thread. The one who has to
 * answer holds a cnode_deferred; the process that owes the answer has it in
 * its list. Whoever is first leaves it to the other: a process that ends cuts
 * it off, and then the answer goes nowhere; an answer puts it on a list of the
 * loop, which gives it. Nothing is allocated for that, so an answer always
 * reaches the caller, if only as an error when there was no memory for it.
 */
#include "cnode/uv_shell.h"

struct cnode_deferred {
    cnode__pending pending; /* the loop's */
    cnode__list in_shell;   /* with the mutex of the shell */
    cn_alloc alloc;
    cnode_proc *proc;  /* the loop's */
    cnode_from from;   /* the tag is a copy; empty: of a function */
    cnode_class class; /* of a failure */
    bool failed;
    etf_writer out;
    uv_mutex_t mutex; /* of what follows */
    cnode__uv *shell; /* NULL: the process has ended ... */
    int gone;         /* ... and that is what an answer gets */
    bool wanted;
    bool completed;
};

static void free_deferred(cnode_deferred *d) {
    const cn_alloc alloc = d->alloc;

    uv_mutex_destroy(&d->mutex);
    etf_writer_free(&d->out);
    etf_copy_free(&alloc, d->from.tag);
    cn__free(&alloc, d, 1, sizeof *d);
}

/* --- the process that owes it -------------------------------------------- */

static void gave_up(cnode__pending *x) {
    cnode_deferred *d = cnode__list_of(cnode_deferred, pending, x);

    uv_mutex_lock(&d->mutex);
    d->wanted = false;
    uv_mutex_unlock(&d->mutex);
}

static void ended(cnode__pending *x) {
    cnode_deferred *d = cnode__list_of(cnode_deferred, pending, x);
    cnode__uv *s = cnode__uv_of(d->proc->node);
    bool completed;

    uv_mutex_lock(&d->mutex);
    d->shell = NULL;
    d->gone = s->node.closing ? CN_ECLOSED : CN_ENOPROC;
    d->wanted = false;
    completed = d->completed;
    uv_mutex_unlock(&d->mutex);
    if (!completed)
        return; /* it is freed with the answer */
    uv_mutex_lock(&s->mutex);
    cnode__list_leave(&d->in_shell);
    uv_mutex_unlock(&s->mutex);
    free_deferred(d);
}

/* Who waits: by the monitor of the spawn request, or of the call. */
static int find_caller(cnode_deferred *d, const cnode_from *from) {
    cnode_proc *p = d->proc;
    cnode *n = p->node;

    if (from == NULL) {
        if (p->extra->task == NULL)
            return cnode__err(n, CN_EBUG,
                              "this process was not made by a function call");
        d->pending.watch = p->extra->task->caller;
        d->wanted = d->pending.watch != NULL;
        return 0;
    }
    d->from.pid = from->pid;
    d->pending.watch = cnode__watch_of(n, from);
    d->wanted = true;
    return etf_copy(&n->alloc, from->tag, &d->from.tag) == 0
               ? 0
               : cnode__err(n, CN_ENOMEM, "out of memory");
}

int cnode_defer(cnode_proc *p, const cnode_from *from, cnode_deferred **out) {
    cnode *n = p->node;
    cnode_deferred *d;
    int err;

    *out = NULL;
    if (p->ended)
        return cnode__gone(p);
    d = cnode__extra_of(p) == NULL ? NULL : cn__calloc(&n->alloc, 1, sizeof *d);
    if (d == NULL || uv_mutex_init(&d->mutex) != 0) {
        cn__free(&n->alloc, d, 1, sizeof *d);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    cnode__list_init(&d->in_shell);
    d->pending.gave_up = gave_up;
    d->pending.ended = ended;
    d->alloc = n->alloc;
    d->proc = p;
    d->shell = cnode__uv_of(n);
    etf_writer_init(&d->out, &d->alloc); /* it may outlive the node */
    err = find_caller(d, from);
    if (err != 0) {
        free_deferred(d);
        return err;
    }
    cnode__pending_add(p, &d->pending);
    *out = d;
    return 0;
}

/* --- who answers --------------------------------------------------------- */

bool cnode_deferred_wanted(cnode_deferred *d) {
    bool wanted;

    uv_mutex_lock(&d->mutex);
    wanted = d->wanted;
    uv_mutex_unlock(&d->mutex);
    return wanted;
}

/* Hands it to the loop; d is not the caller's any more. */
static int hand_over(cnode_deferred *d) {
    int gone = 0;

    uv_mutex_lock(&d->mutex);
    d->completed = true;
    if (d->shell == NULL) {
        gone = d->gone;
    } else {
        uv_mutex_lock(&d->shell->mutex);
        cnode__list_add(&d->shell->deferred, &d->in_shell);
        (void)uv_async_send(&d->shell->async);
        uv_mutex_unlock(&d->shell->mutex);
    }
    uv_mutex_unlock(&d->mutex);
    if (gone != 0)
        free_deferred(d);
    return gone;
}

int cnode_complete_args(cnode_deferred *d, const etf_in *in, size_t count) {
    int err = etf_pack_args(&d->out, in, count);
    int gone = hand_over(d);

    return gone != 0 ? gone : err;
}

int cnode_fail_args(cnode_deferred *d, cnode_class c, const etf_in *in,
                    size_t count) {
    d->failed = true;
    d->class = c;
    return cnode_complete_args(d, in, count);
}

/* --- the loop gives it --------------------------------------------------- */

static void give_result(cnode_deferred *d, bool ok, etf_view term) {
    cnode_proc *p = d->proc;
    uint8_t buf[32];
    int done;

    if (!ok)
        done = cnode_raise(p, CNODE_ERROR, "system_limit");
    else if (d->failed)
        done = cnode_raise(p, d->class, "~t", term);
    else
        done = cnode_return(p, "~t", term);
    if (done != CNODE_LATER && !p->ended)
        cnode__end(p, cnode__atom("system_limit", buf, sizeof buf));
}

static void give_reply(cnode_deferred *d, bool ok, etf_view term) {
    cnode_proc *p = d->proc;
    int err;

    if (!ok)
        err = cnode_refuse(p, &d->from, "system_limit");
    else if (d->failed)
        err = cnode_refuse(p, &d->from, "~t", term);
    else
        err = cnode_reply(p, &d->from, "~t", term);
    cnode__answered(p->node, d->from.pid.node, err);
}

/* The lock tells that the one who has answered is out of it. */
static void give(cnode_deferred *d) {
    etf_view term;
    bool ok = etf_writer_finish(&d->out, &term) == 0 && term.len > 0;

    uv_mutex_lock(&d->mutex);
    uv_mutex_unlock(&d->mutex);
    cnode__pending_leave(&d->pending);
    if (d->proc->ended)
        ;
    else if (d->from.tag.len == 0)
        give_result(d, ok, term);
    else
        give_reply(d, ok, term);
    free_deferred(d);
}

static cnode_deferred *take(cnode__uv *s) {
    cnode_deferred *d;

    uv_mutex_lock(&s->mutex);
    d = cnode__list_first(cnode_deferred, in_shell, &s->deferred);
    if (d != NULL)
        cnode__list_leave(&d->in_shell);
    uv_mutex_unlock(&s->mutex);
    return d;
}

void cnode__uv_give_answers(cnode__uv *s) {
    cnode_deferred *d;

    while ((d = take(s)) != NULL)
        give(d);
}
