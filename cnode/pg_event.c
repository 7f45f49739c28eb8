/* SPDX-License-Identifier: Apache-2.0
 *
 * pg_event.c: monitors of groups and scopes, and how they are told.
 */
#include "cnode/pg_parts.h"

/* --- monitors ------------------------------------------------------------ */

static bool is_watched(const cnode_pg *s, const cnode__pg_group *g) {
    return !cnode__list_empty(&s->all) || !cnode__list_empty(&g->watches);
}

static void free_watch(cnode_pg *s, cnode__pg_watch *w) {
    (void)cn__map_remove(&s->watches, &w->number, sizeof w->number);
    cnode__list_leave(&w->in_list);
    cnode__list_leave(&w->in_dead);
    if (w->group != NULL)
        cnode__pg_let_go(s, w->group);
    cn__free(&s->node->alloc, w, 1, sizeof *w);
}

void cnode__pg_watches_free(cnode_pg *s) {
    cnode__pg_watch *w;
    size_t at = 0;

    while ((w = cn__map_first(&s->watches, &at)) != NULL)
        free_watch(s, w);
}

/* Those that were taken back while somebody was being told. */
static void sweep(cnode_pg *s) {
    cnode__pg_watch *w;

    while ((w = cnode__list_first(cnode__pg_watch, in_dead, &s->dead)) != NULL)
        free_watch(s, w);
}

/* g NULL: of the scope; else its hold becomes that of the watch. */
static int add_watch(cnode_pg *s, cnode__pg_group *g, cnode_pg_cb cb,
                     void *data, uint64_t *ref) {
    const cn_alloc *a = &s->node->alloc;
    cnode__pg_watch *w = cn__calloc(a, 1, sizeof *w);

    if (w == NULL)
        return CN_ENOMEM;
    *w = (cnode__pg_watch){.number = ++s->last_watch,
                           .since = s->last_event,
                           .group = g,
                           .cb = cb,
                           .data = data};
    cnode__list_init(&w->in_dead);
    if (cn__map_put(&s->watches, &w->number, sizeof w->number, w) != 0) {
        cn__free(a, w, 1, sizeof *w);
        return CN_ENOMEM;
    }
    cnode__list_add(g == NULL ? &s->all : &g->watches, &w->in_list);
    if (ref != NULL)
        *ref = w->number;
    return 0;
}

static int no_watch(cnode_pg *s, int err) {
    return cnode__err(s->node, err, "pg: no monitor: %s", cn_strerror(err));
}

int cnode_pg_monitor_args(cnode_pg *s, cnode_pg_cb cb, void *data,
                          uint64_t *ref, const etf_in *group, size_t count) {
    cnode__pg_group *g;
    int err = s->proc == NULL
                  ? cnode__err(s->node, CN_ENOPROC, "pg: the scope has ended")
                  : cnode__pg_find_args(s, group, count, true, &g);

    if (err != 0)
        return err;
    err = add_watch(s, g, cb, data, ref);
    if (err == 0)
        return 0;
    cnode__pg_let_go(s, g);
    return no_watch(s, err);
}

int cnode_pg_monitor_scope(cnode_pg *s, cnode_pg_cb cb, void *data,
                           uint64_t *ref) {
    int err;

    if (s->proc == NULL)
        return cnode__err(s->node, CN_ENOPROC, "pg: the scope has ended");
    err = add_watch(s, NULL, cb, data, ref);
    return err == 0 ? 0 : no_watch(s, err);
}

int cnode_pg_demonitor(cnode_pg *s, uint64_t ref) {
    cnode__pg_watch *w = cn__map_get(&s->watches, &ref, sizeof ref);

    if (w == NULL || w->cb == NULL)
        return cnode__err(s->node, CN_ENOENT, "pg: there is no such monitor");
    w->cb = NULL;
    if (s->telling > 0)
        cnode__list_add(&s->dead, &w->in_dead);
    else
        free_watch(s, w);
    return 0;
}

/* --- telling ------------------------------------------------------------- */

static void tell_list(cnode_pg *s, cnode__list *list, uint64_t number,
                      const cnode_pg_event *e) {
    for (cnode__list *l = list->next; l != list && !s->stopped; l = l->next) {
        const cnode__pg_watch *w = cnode__list_of(cnode__pg_watch, in_list, l);

        if (w->cb != NULL && w->since < number)
            w->cb(s, e, w->data);
    }
}

/* g is held by the caller. */
static void tell(cnode_pg *s, cnode__pg_group *g, bool joined, uint64_t number,
                 const etf_pid *pids, size_t n) {
    const cnode_pg_event e = {
        .joined = joined, .group = {g->key, g->key_len}, .pids = pids, .n = n};

    s->telling++;
    tell_list(s, &s->all, number, &e);
    tell_list(s, &g->watches, number, &e);
    if (--s->telling == 0)
        sweep(s);
}

/* --- what the program has changed ---------------------------------------- */

cnode__pg_event *cnode__pg_event_new(cnode_pg *s, cnode__pg_group *g,
                                     bool joined, size_t n) {
    cnode__pg_event *e =
        n > (SIZE_MAX - sizeof *e) / sizeof *e->pids
            ? NULL
            : cn__calloc(&s->node->alloc, 1, sizeof *e + n * sizeof *e->pids);

    if (e == NULL)
        return NULL;
    cnode__list_init(&e->in_scope);
    e->joined = joined;
    e->group = g;
    e->cap = n;
    cnode__pg_hold(g);
    return e;
}

void cnode__pg_event_free(cnode_pg *s, cnode__pg_event *e) {
    cnode__list_leave(&e->in_scope);
    cnode__pg_let_go(s, e->group);
    cn__free(&s->node->alloc, e, 1, sizeof *e + e->cap * sizeof *e->pids);
}

void cnode__pg_event_queue(cnode_pg *s, cnode__pg_event *e) {
    if (e->n == 0 || !is_watched(s, e->group)) {
        cnode__pg_event_free(s, e);
        return;
    }
    e->number = ++s->last_event;
    cnode__list_add(&s->events, &e->in_scope);
    cnode__timer_arm(&s->node->timers, &s->event_timer, cnode__now(s->node));
    cnode__wake(s->node);
}

static void tell_event(cnode_pg *s, const cnode__pg_event *e) {
    etf_pid pids[CNODE_PG_PART];

    for (size_t i = 0; i < e->n && !s->stopped;) {
        size_t n = 0;
        while (n < CNODE_PG_PART && i < e->n)
            pids[n++] = cnode__pid_of(s->node, e->pids[i++]);
        tell(s, e->group, e->joined, e->number, pids, n);
    }
}

void cnode__pg_drain(cnode_pg *s) {
    cnode__pg_event *e;

    while ((e = cnode__list_first(cnode__pg_event, in_scope, &s->events)) !=
           NULL) {
        cnode__list_leave(&e->in_scope);
        tell_event(s, e);
        cnode__pg_event_free(s, e);
    }
}

/* --- what others have changed -------------------------------------------- */

void cnode__pg_batch_init(cnode__pg_batch *b, cnode_pg *s) {
    b->scope = s;
    b->group = NULL;
    b->n = 0;
}

void cnode__pg_batch_end(cnode__pg_batch *b) {
    cnode_pg *s = b->scope;
    cnode__pg_group *g = b->group;

    if (g == NULL)
        return;
    tell(s, g, b->joined, ++s->last_event, b->pids, b->n);
    b->group = NULL;
    b->n = 0;
    cnode__pg_let_go(s, g);
}

void cnode__pg_batch_turn(cnode__pg_batch *b, const cnode__pg_group *g,
                          bool joined) {
    if (b->group != NULL && (b->group != g || b->joined != joined))
        cnode__pg_batch_end(b);
}

void cnode__pg_batch_add(cnode__pg_batch *b, cnode__pg_group *g, bool joined,
                         const etf_pid *pid, size_t times) {
    if (!is_watched(b->scope, g))
        return;
    for (; times > 0; times--) {
        if (b->group == NULL) {
            b->group = g;
            b->joined = joined;
            cnode__pg_hold(g);
        }
        b->pids[b->n++] = *pid;
        if (b->n == CNODE_PG_PART)
            cnode__pg_batch_end(b);
    }
}

void cnode__pg_leave_all(cnode_pg *s, cnode__pg_owner *o) {
    cnode__pg_member *m;
    cnode__pg_batch b;

    cnode__pg_batch_init(&b, s);
    while ((m = cnode__list_first(cnode__pg_member, in_owner, &o->members)) !=
           NULL) {
        cnode__pg_group *g = m->group;
        etf_pid pid = cnode__pg_pid(s, m);
        size_t times = m->times;

        cnode__pg_batch_turn(&b, g, false);
        cnode__pg_hold(g);
        cnode__pg_set(s, m, 0);
        cnode__pg_batch_add(&b, g, false, &pid, times);
        cnode__pg_let_go(s, g);
    }
    cnode__pg_batch_end(&b);
}
