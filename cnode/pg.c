/* SPDX-License-Identifier: Apache-2.0
 *
 * pg.c: scopes of process groups, and what the program asks of them. A scope
 * is a process with its name: see pg_wire.c for what it hears and says.
 *
 * A call changes the groups at once, says so to the other nodes, and leaves an
 * event for the monitors. What it needs is allocated first, so it is done
 * whole or not at all.
 */
#include <string.h>

#include "cnode/pg_parts.h"
#include "cnode/sized.h"

enum { DISCOVER_MS = 5000, MOST_BYTES = 64 * 1024 * 1024 };

/* --- processes of this node ---------------------------------------------- */

static etf_pid pid_of(const cnode_pg *s, const cnode__pg_owner *o) {
    return cnode__pid_of(s->node, o->number);
}

static void forget_local(cnode_pg *s, cnode__pg_owner *o) {
    (void)cn__map_remove(&s->locals, &o->number, sizeof o->number);
    cn__free(&s->node->alloc, o, 1, sizeof *o);
}

/* It is in no group any more. */
static void release_local(cnode_pg *s, cnode__pg_owner *o) {
    if (!cnode__list_empty(&o->members))
        return;
    cnode__demonitor_words(s->proc, o->monitor);
    forget_local(s, o);
}

static cnode__pg_owner *new_local(cnode_pg *s, const etf_pid *pid) {
    cnode__pg_owner *o = cn__calloc(&s->node->alloc, 1, sizeof *o);

    if (o == NULL)
        return NULL;
    cnode__list_init(&o->members);
    o->local = true;
    o->number = cnode__number_of(pid);
    if (cnode__monitor_words(s->proc, pid, o->monitor) == 0) {
        if (cn__map_put(&s->locals, &o->number, sizeof o->number, o) == 0)
            return o;
        cnode__demonitor_words(s->proc, o->monitor);
    }
    cn__free(&s->node->alloc, o, 1, sizeof *o);
    return NULL;
}

static cnode__pg_owner *find_local(const cnode_pg *s, const etf_pid *pid) {
    uint64_t number = cnode__number_of(pid);

    return cnode__own_pid(s->node, pid)
               ? cn__map_get(&s->locals, &number, sizeof number)
               : NULL;
}

/* --- saying it ----------------------------------------------------------- */

static void put_pids(const cnode_pg *s, etf_writer *w,
                     const cnode__pg_event *e) {
    if (e->n != 1)
        etf_put_list(w, e->n);
    for (size_t i = 0; i < e->n; i++) {
        etf_pid pid = cnode__pid_of(s->node, e->pids[i]);
        etf_put_pid(w, &pid);
    }
    if (e->n != 1)
        etf_put_nil(w);
}

/* {join, Scope, Group, Pids} or {leave, Scope, Pids, [Group]} */
static void say(cnode_pg *s, const cnode__pg_event *e) {
    const etf_view group = {e->group->key, e->group->key_len};
    etf_pid self = cnode_self(s->proc);
    etf_writer *w = &s->message;
    etf_view out = {NULL, 0};

    if (e->n == 0)
        return;
    cnode__next_term(w);
    etf_put_tuple(w, 4);
    etf_put_atom(w, e->joined ? "join" : "leave");
    etf_put_pid(w, &self);
    if (e->joined)
        etf_put_term(w, group);
    put_pids(s, w, e);
    if (!e->joined) {
        etf_put_list(w, 1);
        etf_put_term(w, group);
        etf_put_nil(w);
    }
    if (etf_writer_finish(w, &out) != 0)
        out.len = 0;
    cnode__pg_broadcast(s, out);
}

/* --- one that has ended -------------------------------------------------- */

/* {leave, Scope, Pid, [Group, ...]}, each group as often as it was in it */
static void say_ended(cnode_pg *s, const cnode__pg_owner *o) {
    etf_pid self = cnode_self(s->proc), pid = pid_of(s, o);
    etf_writer *w = &s->message;
    etf_view out = {NULL, 0};

    cnode__next_term(w);
    etf_put_tuple(w, 4);
    etf_put_atom(w, "leave");
    etf_put_pid(w, &self);
    etf_put_pid(w, &pid);
    etf_begin_list(w);
    for (const cnode__list *l = o->members.next; l != &o->members;
         l = l->next) {
        const cnode__pg_member *m =
            cnode__list_of(const cnode__pg_member, in_owner, l);
        for (size_t i = 0; i < m->times; i++)
            etf_put_term(w, (etf_view){m->group->key, m->group->key_len});
    }
    etf_end_list(w);
    if (etf_writer_finish(w, &out) != 0)
        out.len = 0;
    cnode__pg_broadcast(s, out);
}

void cnode__pg_drop_local(cnode_pg *s, cnode__pg_owner *o) {
    say_ended(s, o);
    /* Callbacks that run meanwhile find it no more. */
    (void)cn__map_remove(&s->locals, &o->number, sizeof o->number);
    cnode__pg_leave_all(s, o);
    cn__free(&s->node->alloc, o, 1, sizeof *o);
}

/* --- joining and leaving ------------------------------------------------- */

static int fail(cnode_pg *s, int err) {
    return cnode__err(s->node, err, "pg: %s",
                      err == CN_EBADARG   ? "not a process of this node"
                      : err == CN_ENOPROC ? "the process has ended"
                                          : cn_strerror(err));
}

/* The held group, and an event for it. */
static int begin(cnode_pg *s, const etf_in *group, size_t count, bool joins,
                 size_t n, cnode__pg_group **g, cnode__pg_event **e) {
    int err = s->proc == NULL
                  ? cnode__err(s->node, CN_ENOPROC, "pg: the scope has ended")
                  : cnode__pg_find_args(s, group, count, true, g);

    if (err != 0)
        return err;
    *e = cnode__pg_event_new(s, *g, joins, n);
    if (*e != NULL)
        return 0;
    cnode__pg_let_go(s, *g);
    return fail(s, CN_ENOMEM);
}

static int join_one(cnode_pg *s, cnode__pg_group *g, const etf_pid *pid) {
    const cnode_proc *p = cnode__proc_of(s->node, pid);
    cnode__pg_owner *o;
    cnode__pg_member *m;

    if (!cnode__own_pid(s->node, pid))
        return CN_EBADARG;
    if (p == NULL || p->ended)
        return CN_ENOPROC;
    o = find_local(s, pid);
    if (o == NULL)
        o = new_local(s, pid);
    if (o == NULL)
        return CN_ENOMEM;
    m = cnode__pg_member_of(s, g, o, pid);
    if (m == NULL)
        m = cnode__pg_member_new(s, g, o, pid);
    if (m != NULL)
        cnode__pg_set(s, m, m->times + 1);
    else
        release_local(s, o);
    return m != NULL ? 0 : CN_ENOMEM;
}

/* False: it is no member. */
static bool leave_one(cnode_pg *s, cnode__pg_group *g, const etf_pid *pid) {
    cnode__pg_owner *o = find_local(s, pid);
    cnode__pg_member *m = o == NULL ? NULL : cnode__pg_member_of(s, g, o, pid);

    if (m == NULL)
        return false;
    cnode__pg_set(s, m, m->times - 1);
    release_local(s, o);
    return true;
}

static void finish(cnode_pg *s, cnode__pg_group *g, cnode__pg_event *e) {
    say(s, e);
    cnode__pg_event_queue(s, e);
    cnode__pg_let_go(s, g);
}

int cnode_pg_join_args(cnode_pg *s, const etf_pid *pids, size_t n,
                       const etf_in *group, size_t count) {
    cnode__pg_group *g = NULL;
    cnode__pg_event *e = NULL;
    int err = begin(s, group, count, true, n, &g, &e);

    if (err != 0)
        return err;
    for (size_t i = 0; i < n && err == 0; i++) {
        err = join_one(s, g, &pids[i]);
        if (err == 0)
            e->pids[e->n++] = cnode__number_of(&pids[i]);
    }
    if (err != 0) {
        while (e->n > 0)
            (void)leave_one(s, g, &pids[--e->n]);
        (void)fail(s, err);
    }
    finish(s, g, e);
    return err;
}

int cnode_pg_leave_args(cnode_pg *s, const etf_pid *pids, size_t n,
                        const etf_in *group, size_t count) {
    cnode__pg_group *g = NULL;
    cnode__pg_event *e = NULL;
    int err = begin(s, group, count, false, n, &g, &e);

    if (err != 0)
        return err;
    for (size_t i = 0; i < n; i++)
        if (leave_one(s, g, &pids[i]))
            e->pids[e->n++] = cnode__number_of(&pids[i]);
    if (e->n == 0)
        err = cnode__err(s->node, CN_ENOENT, "pg: no member of that group");
    finish(s, g, e);
    return err;
}

/* --- reading ------------------------------------------------------------- */

size_t cnode_pg_members_args(cnode_pg *s, cnode_pg_whose whose, etf_pid *out,
                             size_t cap, const etf_in *group, size_t count) {
    cnode__pg_group *g;
    size_t n = 0;

    if (cnode__pg_find_args(s, group, count, false, &g) != 0 || g == NULL)
        return 0;
    for (cnode__list *l = g->members.next; l != &g->members && n < cap;
         l = l->next) {
        const cnode__pg_member *m =
            cnode__list_of(const cnode__pg_member, in_group, l);
        if (whose == CNODE_PG_LOCAL && !m->owner->local)
            continue;
        for (size_t i = 0; i < m->times && n < cap; i++)
            out[n++] = cnode__pg_pid(s, m);
    }
    return whose == CNODE_PG_LOCAL ? g->local : g->count;
}

bool cnode_pg_next_group(const cnode_pg *s, size_t *at, cnode_pg_group *out) {
    const cnode__pg_group *g;

    while ((g = cn__map_next(&s->groups, at)) != NULL)
        if (g->count > 0) {
            *out = (cnode_pg_group){{g->key, g->key_len}, g->count, g->local};
            return true;
        }
    return false;
}

bool cnode_pg_next_member(cnode_pg *s, etf_view group, cnode_pg_place *place,
                          etf_pid *out) {
    const cnode__pg_member *m = place->at;
    const cnode__list *l;
    cnode__pg_group *g;

    if (m == NULL) {
        if (cnode__pg_find(s, group, false, &g) != 0 || g == NULL)
            return false;
        l = g->members.next;
    } else {
        g = m->group;
        l = place->times < m->times ? &m->in_group : m->in_group.next;
    }
    if (l == &g->members)
        return false;
    if (place->at == NULL || l != &m->in_group)
        place->times = 0;
    m = cnode__list_of(const cnode__pg_member, in_group, l);
    place->at = m;
    place->times++;
    *out = cnode__pg_pid(s, m);
    return true;
}

const char *cnode_pg_scope(const cnode_pg *s) {
    return s->name;
}

size_t cnode_pg_peers(const cnode_pg *s) {
    return s->peers.count;
}

/* --- the end of a scope -------------------------------------------------- */

static void empty(cnode_pg *s) {
    cnode__pg_owner *o;
    cnode__pg_event *e;
    size_t at = 0;

    while ((e = cnode__list_first(cnode__pg_event, in_scope, &s->events)) !=
           NULL)
        cnode__pg_event_free(s, e);
    cnode__pg_watches_free(s);
    while ((o = cn__map_first(&s->peers, &at)) != NULL)
        cnode__pg_drop_peer(s, o);
    at = 0;
    while ((o = cn__map_first(&s->locals, &at)) != NULL) {
        cnode__pg_member *m;
        while ((m = cnode__list_first(cnode__pg_member, in_owner,
                                      &o->members)) != NULL)
            cnode__pg_set(s, m, 0);
        forget_local(s, o);
    }
    cnode__timer_disarm(&s->node->timers, &s->event_timer);
    cnode__timer_disarm(&s->node->timers, &s->retry_timer);
}

static void free_scope(cnode_pg *s) {
    cnode *n = s->node;
    cnode_pg **at = &n->pgs;

    while (*at != NULL && *at != s)
        at = &(*at)->next;
    if (*at == s)
        *at = s->next;
    empty(s);
    cnode__timer_drop(&n->timers, &s->event_timer);
    cnode__timer_drop(&n->timers, &s->retry_timer);
    cn__map_free(&s->groups);
    cn__map_free(&s->members);
    cn__map_free(&s->locals);
    cn__map_free(&s->peers);
    cn__map_free(&s->watches);
    etf_writer_free(&s->term);
    etf_writer_free(&s->key);
    etf_writer_free(&s->message);
    cn__strfree(&n->alloc, s->name);
    cn__free(&n->alloc, s, 1, sizeof *s);
}

void cnode__pg_ended(cnode_pg *s) {
    s->proc = NULL;
    if (s->stopped) {
        free_scope(s);
        return;
    }
    /* Other processes that end may still ask for it. */
    if (!s->node->closing)
        cn__log(
            &s->node->config.log, CN_LOG_ERROR, "pg",
            "the scope %s was ended by this program, not with cnode_pg_stop",
            s->name);
    empty(s);
}

void cnode__pg_free(cnode *n) {
    while (n->pgs != NULL)
        free_scope(n->pgs);
}

void cnode_pg_stop(cnode_pg *s) {
    uint8_t reason[16];

    if (s == NULL || --s->users > 0)
        return;
    s->stopped = true;
    if (s->proc != NULL)
        cnode__end(s->proc, cnode__atom("shutdown", reason, sizeof reason));
    else
        free_scope(s);
}

/* --- the beginning of a scope -------------------------------------------- */

static void event_time(cnode__timer *t) {
    cnode__pg_drain(cnode__list_of(cnode_pg, event_timer, t));
}

static cnode_pg *new_scope(cnode *n, const char *name) {
    cnode_pg *s = cn__calloc(&n->alloc, 1, sizeof *s);
    uint64_t seed;

    if (s == NULL)
        return NULL;
    n->shell->random(n->shell_ctx, &seed, sizeof seed);
    s->node = n;
    s->users = 1;
    cn__map_init(&s->groups, seed, &n->alloc);
    cn__map_init(&s->members, seed, &n->alloc);
    cn__map_init(&s->locals, seed, &n->alloc);
    cn__map_init(&s->peers, seed, &n->alloc);
    cn__map_init(&s->watches, seed, &n->alloc);
    cnode__list_init(&s->all);
    cnode__list_init(&s->dead);
    cnode__list_init(&s->events);
    etf_writer_init(&s->term, &n->alloc);
    etf_writer_init(&s->key, &n->alloc);
    etf_writer_mode(&s->key, ETF_DETERMINISTIC);
    etf_writer_init(&s->message, &n->alloc);
    s->name = cn__strdup(&n->alloc, name);
    return s;
}

static size_t times_16(size_t n) {
    return n > SIZE_MAX / 16 ? SIZE_MAX : n * 16;
}

static int start(cnode_pg *s) {
    cnode_proc_config c = cnode__pg_process;
    cnode *n = s->node;

    if (s->name == NULL ||
        cnode__timer_make(&n->timers, &s->event_timer, event_time) != 0 ||
        cnode__timer_make(&n->timers, &s->retry_timer, cnode__pg_retry) != 0)
        return cnode__err(n, CN_ENOMEM, "pg: out of memory");
    c.name = s->name;
    c.data = s;
    return cnode__spawn_lasting(n, &c, &s->proc);
}

cnode_pg *cnode_pg_find(const cnode *n, const char *scope) {
    const char *name = scope == NULL ? "pg" : scope;

    for (cnode_pg *s = n->pgs; s != NULL; s = s->next)
        if (!s->stopped && strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

void cnode__pg_up(cnode *n, const cnode__peer *p) {
    for (cnode_pg *s = n->pgs; s != NULL; s = s->next)
        if (!s->stopped)
            cnode__pg_discover(s, p);
}

int cnode_pg_start_sized(cnode *n, const cnode_pg_opts *opts, size_t size,
                         cnode_pg **out) {
    cnode_pg_opts o = {0};
    cnode__peer *p;
    cnode_pg *s;
    int err;

    (void)cnode__take_sized(&o, sizeof o, opts, size);
    s = cnode_pg_find(n, o.scope);
    if (s != NULL) {
        s->users++;
        *out = s;
        return 0;
    }
    s = new_scope(n, o.scope == NULL ? "pg" : o.scope);
    if (s == NULL)
        return cnode__err(n, CN_ENOMEM, "pg: out of memory");
    err = start(s);
    if (err != 0) {
        free_scope(s);
        return err;
    }
    s->discover_ms = o.discover_ms == 0 ? DISCOVER_MS : o.discover_ms;
    s->max_bytes = o.max_bytes == 0 ? MOST_BYTES : o.max_bytes;
    s->max_total = o.max_total != 0 ? o.max_total : times_16(s->max_bytes);
    s->next = n->pgs;
    n->pgs = s;
    for (size_t at = 0; (p = cn__map_next(&n->peers, &at)) != NULL;)
        cnode__pg_discover(s, p);
    *out = s;
    return 0;
}
