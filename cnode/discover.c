/* SPDX-License-Identifier: Apache-2.0
 *
 * discover.c: sources of nodes, the nodes they name, and what becomes of those.
 *
 * A source and a node that it names are tied by a sighting. The first sighting
 * of a node sets the timer of its first attempt; the attempt takes one of the
 * places of a source, or waits for one; when the node is up, cnode_keep cares
 * for it. With the last sighting all that ends.
 *
 * A source may report at any time, in a call of the program too. So a report
 * only changes lists and timers, and the pump starts and stops sources and
 * tells events: each node knows what was told of it, and what is different is
 * told. Ups and downs come from the loop and are told at once.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cnode/discover_parts.h"
#include "cnode/sized.h"

enum {
    JITTER_MS = 500,
    MAX_NODES = 1000,
    MAX_DIALS = 16,
    SWEEP_MS = 1000,       /* least time between two looks for what expires */
    ERROR_MS = 1000,       /* ... two errors of a source, */
    SAME_ERROR_MS = 60000, /* ... and the same error twice */
    HOLD_MS = 5000         /* an expired node that is connected is looked at
                              again then */
};

struct cnode__discovery {
    cnode *node;
    cnode_discover_opts opts;
    cn_map found;        /* by name */
    cnode__list sources; /* those not removed */
    cnode__list work;    /* sources to be started, stopped or told of */
    cnode__list changed; /* nodes something is to be told of */
    bool ended;          /* the node leaves */
};

struct cnode_source {
    cnode__list in_all;
    cnode__list in_work;
    struct cnode__discovery *d;
    cnode_source_config config; /* its name is owned */
    cnode__list sightings;
    cnode__list waiting; /* nodes that wait for a place to be dialled */
    uint32_t count;      /* of the sightings */
    uint32_t dials;
    uint32_t round; /* of _begin */
    bool started;
    bool removed;
    cnode__timer timer; /* for sightings that expire */
    cn_error error;     /* the last one */
    uint64_t error_at;
    bool error_owed;
    bool failing; /* since _end */
    bool by_hand; /* a person has named its nodes */
};

typedef struct found {
    cnode__list in_changed;
    cnode__list in_waiting;
    cnode__list sightings;
    struct cnode__discovery *d;
    cnode__timer timer;    /* the next attempt */
    cnode_source *dialler; /* whose place the attempt takes */
    bool dialling;
    bool up;
    bool told;    /* FOUND, */
    bool told_up; /* UP */
    bool kept;    /* by us */
    bool warned;  /* that it cannot be connected to */
    uint32_t failures;
    char name[CNODE__NAME_MAX + 1];
} found;

typedef struct sighting {
    cnode__list in_source;
    cnode__list in_found;
    cnode_source *source;
    found *of;
    uint32_t round;
    uint64_t until;
} sighting;

static const cn_alloc *alloc_of(const struct cnode__discovery *d) {
    return &d->node->alloc;
}

static bool is_named(const found *f) {
    return !cnode__list_empty(&f->sightings);
}

/* --- events -------------------------------------------------------------- */

static const char *a_source_of(const found *f) {
    const sighting *s =
        cnode__list_first(const sighting, in_found, &f->sightings);

    return s == NULL ? "" : s->source->config.name;
}

static void tell(struct cnode__discovery *d, const cnode_discover_event *e) {
    if (d->opts.on_event != NULL && !d->ended && !d->node->closing)
        d->opts.on_event(d->node, e, d->opts.data);
}

static void tell_node(found *f, cnode_discover_kind kind, int status,
                      const char *text) {
    const cnode_discover_event e = {.kind = kind,
                                    .node = f->name,
                                    .source = a_source_of(f),
                                    .status = status,
                                    .text = text};

    tell(f->d, &e);
}

static void changed(found *f) {
    if (cnode__list_empty(&f->in_changed))
        cnode__list_add(&f->d->changed, &f->in_changed);
    cnode__wake(f->d->node);
}

static void tell_found(found *f) {
    if (!f->told) {
        f->told = true;
        cn__log(&f->d->node->config.log, CN_LOG_INFO, "discover",
                "%s: found by %s", f->name, a_source_of(f));
        tell_node(f, CNODE_DISCOVER_FOUND, 0, "");
    }
    if (f->up == f->told_up || !is_named(f))
        return;
    f->told_up = f->up;
    if (f->up)
        tell_node(f, CNODE_DISCOVER_UP, 0, "");
    else /* while it was gone, for a moment */
        tell_node(f, CNODE_DISCOVER_DOWN, CN_ENOCONN, "not connected");
}

/* --- nodes --------------------------------------------------------------- */

static void on_dial_time(cnode__timer *t);

static found *new_found(struct cnode__discovery *d, const char *name) {
    cnode *n = d->node;
    found *f = cn__calloc(alloc_of(d), 1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->d = d;
    memcpy(f->name, name, strlen(name) + 1);
    cnode__list_init(&f->in_changed);
    cnode__list_init(&f->in_waiting);
    cnode__list_init(&f->sightings);
    if (cnode__timer_make(&n->timers, &f->timer, on_dial_time) == 0) {
        if (cn__map_put(&d->found, f->name, strlen(name), f) == 0)
            return f;
        cnode__timer_drop(&n->timers, &f->timer);
    }
    cn__free(alloc_of(d), f, 1, sizeof *f);
    return NULL;
}

static void forget(found *f) {
    struct cnode__discovery *d = f->d;

    cnode__list_leave(&f->in_changed);
    cnode__list_leave(&f->in_waiting);
    (void)cn__map_remove(&d->found, f->name, strlen(f->name));
    cnode__timer_drop(&d->node->timers, &f->timer);
    cn__free(alloc_of(d), f, 1, sizeof *f);
}

static cnode__peer *peer_of(const found *f) {
    return cn__map_get(&f->d->node->peers, f->name, strlen(f->name));
}

/* It is up: from here on cnode_keep cares for it, unless the program has asked
 * for that itself. */
static void keep(found *f) {
    cnode *n = f->d->node;
    const cnode__peer *p = peer_of(f);

    if (f->d->opts.report_only || p == NULL || p->keep != NULL)
        return;
    f->kept = cnode_keep(n, f->name, &f->d->opts.keep) == 0;
    if (!f->kept)
        cn__log(&n->config.log, CN_LOG_WARN, "discover",
                "%s cannot be kept: %s", f->name, n->error.text);
}

/* Nobody names it any more. */
static void let_go(found *f) {
    struct cnode__discovery *d = f->d;
    cnode__peer *p = peer_of(f);

    if (p == NULL || d->ended || d->opts.report_only)
        return;
    if (d->opts.drop_gone && (f->kept || p->keep == NULL))
        (void)cnode_disconnect(d->node, f->name);
    else if (f->kept && cnode__keep_end(p))
        cnode__peer_release(p);
    f->kept = false;
}

static void dial_after(found *f, uint64_t ms) {
    cnode *n = f->d->node;

    cnode__timer_arm(&n->timers, &f->timer, cnode__now(n) + ms);
}

/* A node that is named from now on. */
static void begin(found *f) {
    struct cnode__discovery *d = f->d;
    uint32_t most = d->opts.jitter_ms == 0 ? JITTER_MS : d->opts.jitter_ms;
    uint32_t chance;

    changed(f);
    f->failures = 0;
    f->up = cnode_connected(d->node, f->name);
    if (f->up) {
        keep(f);
    } else if (!d->opts.report_only && !f->dialling) {
        d->node->shell->random(d->node->shell_ctx, &chance, sizeof chance);
        dial_after(f, chance % ((uint64_t)most + 1));
    }
}

static void end(found *f) {
    cnode__timer_disarm(&f->d->node->timers, &f->timer);
    cnode__list_leave(&f->in_waiting);
    let_go(f);
    changed(f);
}

/* --- attempts ------------------------------------------------------------ */

static bool wants_dial(const found *f) {
    return is_named(f) && !f->up && !f->dialling && !f->d->opts.report_only &&
           !f->d->ended && !f->d->node->closing;
}

static bool is_named_by_hand(const found *f) {
    for (const cnode__list *l = f->sightings.next; l != &f->sightings;
         l = l->next)
        if (cnode__list_of(const sighting, in_found, l)->source->by_hand)
            return true;
    return false;
}

/* What a person has named may be misspelt: the first failure is told, those
 * of the attempts that follow are not. */
static void warn_once(found *f, const char *text) {
    if (f->warned || !is_named_by_hand(f))
        return;
    f->warned = true;
    cn__log(&f->d->node->config.log, CN_LOG_WARN, "discover",
            "%s of %s cannot be connected to yet: %s", f->name, a_source_of(f),
            text);
}

/* The next attempt, later. */
static void failed(found *f, int status, const char *text) {
    struct cnode__discovery *d = f->d;

    f->failures++;
    dial_after(f, cnode__keep_wait(d->node, &d->opts.keep, f->failures));
    warn_once(f, text);
    tell_node(f, CNODE_DISCOVER_ERROR, status, text);
}

static void on_dialled(cnode *n, const char *peer, int status,
                       const cn_error *err, void *data);

static void dial(found *f, cnode_source *s) {
    cnode *n = f->d->node;
    int err = cnode_connect(n, f->name, on_dialled, NULL);

    if (err == CN_ENOTALLOWED) { /* by the program's own policy, for now */
        dial_after(f, cnode__keep_wait(n, &f->d->opts.keep, ++f->failures));
        return;
    }
    if (err != 0) {
        failed(f, err, n->error.text);
        return;
    }
    f->dialling = true;
    f->dialler = s;
    s->dials++;
}

static uint32_t max_dials(const cnode_source *s) {
    return s->config.max_dials == 0 ? (uint32_t)MAX_DIALS : s->config.max_dials;
}

/* Takes a place of any source that names it and has one. */
static void try_dial(found *f) {
    sighting *first;

    if (!wants_dial(f) || !cnode__list_empty(&f->in_waiting))
        return;
    for (cnode__list *l = f->sightings.next; l != &f->sightings; l = l->next) {
        cnode_source *s = cnode__list_of(sighting, in_found, l)->source;
        if (s->dials < max_dials(s)) {
            dial(f, s);
            return;
        }
    }
    first = cnode__list_first(sighting, in_found, &f->sightings);
    cnode__list_add(&first->source->waiting, &f->in_waiting);
}

static void on_dial_time(cnode__timer *t) {
    try_dial(cnode__list_of(found, timer, t));
}

/* Those who wait for a place of s, as far as there are any. One whose attempt
 * fails at once is not among them any more. */
static void serve_waiting(cnode_source *s) {
    found *f;

    while (s->dials < max_dials(s) &&
           (f = cnode__list_first(found, in_waiting, &s->waiting)) != NULL) {
        cnode__list_leave(&f->in_waiting);
        try_dial(f);
    }
}

static void on_dialled(cnode *n, const char *peer, int status,
                       const cn_error *err, void *data) {
    found *f = n->discovery == NULL
                   ? NULL
                   : cn__map_get(&n->discovery->found, peer, strlen(peer));
    cnode_source *s;

    (void)data;
    if (f == NULL || !f->dialling)
        return;
    s = f->dialler;
    f->dialling = false;
    f->dialler = NULL;
    if (s != NULL)
        s->dials--;
    if (!is_named(f))
        changed(f);
    else if (status != 0 && wants_dial(f))
        failed(f, status, err->text);
    if (s != NULL && !s->removed)
        serve_waiting(s);
}

/* --- sightings ----------------------------------------------------------- */

static sighting *sighting_of(const found *f, const cnode_source *s) {
    for (cnode__list *l = f->sightings.next; l != &f->sightings; l = l->next) {
        sighting *g = cnode__list_of(sighting, in_found, l);
        if (g->source == s)
            return g;
    }
    return NULL;
}

static found *find(const struct cnode__discovery *d, const char *name) {
    return cn__map_get(&d->found, name, strlen(name));
}

static int new_sighting(found *f, cnode_source *s, sighting **out) {
    sighting *g = cn__calloc(alloc_of(s->d), 1, sizeof *g);
    bool is_first = !is_named(f);

    *out = g;
    if (g == NULL) {
        changed(f); /* which forgets it, if nobody names it */
        return CN_ENOMEM;
    }
    g->source = s;
    g->of = f;
    cnode__list_add(&s->sightings, &g->in_source);
    cnode__list_add(&f->sightings, &g->in_found);
    s->count++;
    if (is_first)
        begin(f);
    return 0;
}

static void drop_sighting(sighting *g) {
    found *f = g->of;

    cnode__list_leave(&g->in_source);
    cnode__list_leave(&g->in_found);
    g->source->count--;
    cn__free(alloc_of(f->d), g, 1, sizeof *g);
    if (!is_named(f))
        end(f);
}

static int sight_anew(cnode_source *s, const char *name, sighting **out) {
    struct cnode__discovery *d = s->d;
    cnode *n = d->node;
    uint32_t most =
        s->config.max_nodes == 0 ? (uint32_t)MAX_NODES : s->config.max_nodes;
    found *f = find(d, name);

    if (strlen(name) > CNODE__NAME_MAX || !cnode__name_ok(name))
        return cnode__err(n, CN_EBADARG, "'%.100s' is no node name", name);
    if (s->count >= most)
        return cnode__err(n, CN_ELIMIT, "%s names more than %u nodes",
                          s->config.name, (unsigned)most);
    if (f == NULL)
        f = new_found(d, name);
    if (f == NULL || new_sighting(f, s, out) != 0)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    return 0;
}

static int sight(cnode_source *s, const char *name, uint64_t until) {
    struct cnode__discovery *d = s->d;
    const found *f = find(d, name);
    sighting *g = f == NULL ? NULL : sighting_of(f, s);
    int err = 0;

    /* "" would be this node, as it is to calls. */
    if (s->removed ||
        (name[0] != '\0' && cnode__is_self(d->node, name, strlen(name))))
        return 0;
    if (g == NULL)
        err = sight_anew(s, name, &g);
    if (err != 0)
        return err;
    g->round = s->round;
    g->until = until;
    if (until != UINT64_MAX && (s->timer.place == 0 || until < s->timer.at))
        cnode__timer_arm(&d->node->timers, &s->timer, until);
    return 0;
}

static void on_sweep(cnode__timer *t) {
    cnode_source *s = cnode__list_of(cnode_source, timer, t);
    cnode *n = s->d->node;
    uint64_t now = cnode__now(n), earliest = UINT64_MAX;
    cnode__list *l, *next;

    for (l = s->sightings.next; l != &s->sightings; l = next) {
        sighting *g = cnode__list_of(sighting, in_source, l);
        next = l->next;
        if (g->until <= now && g->of->up)
            g->until = now + HOLD_MS;
        if (g->until <= now)
            drop_sighting(g);
        else if (g->until < earliest)
            earliest = g->until;
    }
    if (earliest != UINT64_MAX)
        cnode__timer_arm(&n->timers, t,
                         earliest > now + SWEEP_MS ? earliest : now + SWEEP_MS);
}

/* --- what sources say ---------------------------------------------------- */

int cnode_source_found(cnode_source *s, const char *node) {
    return sight(s, node != NULL ? node : "", UINT64_MAX);
}

int cnode_source_heard(cnode_source *s, const char *node, uint32_t ms) {
    return sight(s, node != NULL ? node : "", cnode__now(s->d->node) + ms);
}

void cnode_source_gone(cnode_source *s, const char *node) {
    const found *f = node == NULL ? NULL : find(s->d, node);
    sighting *g = f == NULL ? NULL : sighting_of(f, s);

    if (g != NULL)
        drop_sighting(g);
}

bool cnode__source_names(const cnode_source *s, const char *node) {
    const found *f = find(s->d, node);
    return f != NULL && sighting_of(f, s) != NULL;
}

void cnode_source_begin(cnode_source *s) {
    s->round++;
}

void cnode__source_keep_host(cnode_source *s, const char *host) {
    for (cnode__list *l = s->sightings.next; l != &s->sightings; l = l->next) {
        sighting *g = cnode__list_of(sighting, in_source, l);
        if (strcmp(strchr(g->of->name, '@') + 1, host) == 0)
            g->round = s->round;
    }
}

void cnode__source_sweep(cnode_source *s) {
    cnode__list *l, *next;

    for (l = s->sightings.next; l != &s->sightings; l = next) {
        sighting *g = cnode__list_of(sighting, in_source, l);
        next = l->next;
        if (g->round != s->round)
            drop_sighting(g);
    }
}

void cnode_source_end(cnode_source *s) {
    cnode__source_sweep(s);
    s->failing = false;
}

void cnode__source_by_hand(cnode_source *s) {
    s->by_hand = true;
}

static void wants_work(cnode_source *s) {
    if (cnode__list_empty(&s->in_work))
        cnode__list_add(&s->d->work, &s->in_work);
    cnode__wake(s->d->node);
}

void cnode_source_failed(cnode_source *s, int status, const char *text) {
    cnode *n = s->d->node;
    uint64_t now = cnode__now(n);
    bool same = s->error.code == status &&
                strncmp(s->error.text, text, CN_ERROR_TEXT - 1) == 0;
    uint64_t least = same ? SAME_ERROR_MS : ERROR_MS;

    if (s->removed || (s->failing && now - s->error_at < least))
        return;
    s->failing = true;
    (void)cn__fail(&s->error, status, 0, "%s", text);
    s->error_at = now;
    s->error_owed = true;
    cn__log(&n->config.log, CN_LOG_WARN, "discover", "%s: %s", s->config.name,
            text);
    wants_work(s);
}

cnode *cnode_source_node(const cnode_source *s) {
    return s->d->node;
}

/* --- sources come and go ------------------------------------------------- */

static void free_source(cnode_source *s) {
    const cn_alloc *a = alloc_of(s->d);

    cnode__list_leave(&s->in_all);
    cnode__list_leave(&s->in_work);
    cnode__timer_drop(&s->d->node->timers, &s->timer);
    cn__strfree(a, (char *)(uintptr_t)s->config.name);
    cn__free(a, s, 1, sizeof *s);
}

/* NULL: no memory. */
static struct cnode__discovery *discovery_of(cnode *n) {
    struct cnode__discovery *d = n->discovery;
    uint64_t seed;

    if (d != NULL)
        return d;
    d = cn__calloc(&n->alloc, 1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->node = n;
    n->shell->random(n->shell_ctx, &seed, sizeof seed);
    cn__map_init(&d->found, seed, &n->alloc);
    cnode__list_init(&d->sources);
    cnode__list_init(&d->work);
    cnode__list_init(&d->changed);
    n->discovery = d;
    return d;
}

static int open_discovery(cnode *n, struct cnode__discovery **out) {
    int err = cnode__may_connect(n);

    if (err != 0)
        return err;
    *out = discovery_of(n);
    return *out == NULL ? cnode__err(n, CN_ENOMEM, "out of memory") : 0;
}

int cnode_discover_sized(cnode *n, const cnode_discover_opts *o, size_t size) {
    struct cnode__discovery *d;
    int err = open_discovery(n, &d);

    if (err != 0)
        return err;
    cnode__copy_sized(&d->opts, sizeof d->opts, o, size);
    d->opts.keep.attempts = 0;
    return 0;
}

static int new_source(struct cnode__discovery *d, const cnode_source_config *c,
                      cnode_source **out) {
    cnode *n = d->node;
    cnode_source *s = cn__calloc(alloc_of(d), 1, sizeof *s);

    if (s == NULL)
        return CN_ENOMEM;
    s->d = d;
    s->config = *c;
    cnode__list_init(&s->in_all);
    cnode__list_init(&s->in_work);
    cnode__list_init(&s->sightings);
    cnode__list_init(&s->waiting);
    s->config.name = cn__strdup(alloc_of(d), c->name);
    if (s->config.name != NULL &&
        cnode__timer_make(&n->timers, &s->timer, on_sweep) == 0) {
        *out = s;
        return 0;
    }
    free_source(s);
    return CN_ENOMEM;
}

int cnode_source_add_sized(cnode *n, const cnode_source_config *config,
                           size_t size, cnode_source **out) {
    cnode_source_config c;
    struct cnode__discovery *d;
    cnode_source *s;
    int err = open_discovery(n, &d);

    cnode__copy_sized(&c, sizeof c, config, size);
    if (err != 0)
        return err;
    if (c.name == NULL || c.name[0] == '\0')
        return cnode__err(n, CN_EBADARG, "a source needs a name");
    err = new_source(d, &c, &s);
    if (err != 0)
        return cnode__err(n, err, "out of memory");
    cnode__list_add(&d->sources, &s->in_all);
    wants_work(s);
    if (out != NULL)
        *out = s;
    return 0;
}

static void end_sightings(cnode_source *s) {
    sighting *g;

    while ((g = cnode__list_first(sighting, in_source, &s->sightings)) != NULL)
        drop_sighting(g);
}

/* Nodes that others name too wait with those. */
static void end_waiting(cnode_source *s) {
    cnode__list now;
    found *f;

    cnode__list_move(&s->waiting, &now);
    while ((f = cnode__list_first(found, in_waiting, &now)) != NULL) {
        cnode__list_leave(&f->in_waiting);
        dial_after(f, 0);
    }
}

void cnode_source_remove(cnode_source *s) {
    if (s->removed)
        return;
    s->removed = true;
    cnode__timer_disarm(&s->d->node->timers, &s->timer);
    end_sightings(s);
    end_waiting(s);
    wants_work(s);
}

static void free_removed(cnode_source *s) {
    struct cnode__discovery *d = s->d;
    size_t at = 0;
    found *f;

    if (s->config.stop != NULL)
        s->config.stop(s, s->config.data);
    while (s->dials > 0 && (f = cn__map_next(&d->found, &at)) != NULL)
        if (f->dialler == s)
            f->dialler = NULL;
    free_source(s);
}

/* --- from the pump ------------------------------------------------------- */

static void tell_error(cnode_source *s) {
    const cn_error why = s->error;
    const cnode_discover_event e = {.kind = CNODE_DISCOVER_ERROR,
                                    .source = s->config.name,
                                    .status = why.code,
                                    .text = why.text};

    s->error_owed = false;
    tell(s->d, &e);
}

static void run_source(cnode_source *s) {
    if (!s->started && !s->removed) {
        s->started = true;
        if (s->config.start != NULL)
            s->config.start(s, s->config.data);
    }
    if (s->error_owed && !s->removed)
        tell_error(s);
    if (s->removed)
        free_removed(s);
}

/* What was told of a node becomes what is. */
static void settle(found *f) {
    if (is_named(f))
        tell_found(f);
    else if (f->told) {
        f->told = f->told_up = false;
        cn__log(&f->d->node->config.log, CN_LOG_INFO, "discover", "%s is gone",
                f->name);
        tell_node(f, CNODE_DISCOVER_GONE, 0, "");
    }
    if (!is_named(f) && !f->dialling && cnode__list_empty(&f->in_changed))
        forget(f);
}

bool cnode__discover_has_work(const cnode *n) {
    return n->discovery != NULL && (!cnode__list_empty(&n->discovery->work) ||
                                    !cnode__list_empty(&n->discovery->changed));
}

void cnode__discover_run(cnode *n) {
    struct cnode__discovery *d = n->discovery;
    cnode__list now;
    cnode_source *s;
    found *f;

    if (d == NULL)
        return;
    cnode__list_move(&d->work, &now);
    while ((s = cnode__list_first(cnode_source, in_work, &now)) != NULL) {
        cnode__list_leave(&s->in_work);
        run_source(s);
    }
    cnode__list_move(&d->changed, &now);
    while ((f = cnode__list_first(found, in_changed, &now)) != NULL) {
        cnode__list_leave(&f->in_changed);
        settle(f);
    }
}

/* --- from the peers ------------------------------------------------------ */

static void is_up(found *f) {
    f->up = true;
    f->failures = 0;
    cnode__timer_disarm(&f->d->node->timers, &f->timer);
    cnode__list_leave(&f->in_waiting);
    keep(f);
    tell_found(f);
}

/* What the program has ended itself is left alone. */
static void is_down(found *f, const cnode_peer *ev) {
    const cnode__peer *p = peer_of(f);
    bool kept = p != NULL && p->keep != NULL;

    f->up = false;
    f->kept = f->kept && kept;
    if (!kept && ev->status != 0 && ev->status != CN_ENOTALLOWED &&
        wants_dial(f))
        dial_after(f, cnode__keep_wait(f->d->node, &f->d->opts.keep, 1));
    if (!f->told_up)
        return;
    f->told_up = false;
    tell_node(f, CNODE_DISCOVER_DOWN, ev->status, ev->text);
}

void cnode__discover_peer(cnode *n, const cnode_peer *ev) {
    found *f = n->discovery == NULL ? NULL : find(n->discovery, ev->name);

    if (f == NULL || !is_named(f))
        return;
    if (ev->up)
        is_up(f);
    else
        is_down(f, ev);
}

/* --- the end ------------------------------------------------------------- */

void cnode__discover_end(cnode *n) {
    struct cnode__discovery *d = n->discovery;
    cnode_source *s;

    if (d == NULL)
        return;
    d->ended = true;
    while ((s = cnode__list_first(cnode_source, in_all, &d->sources)) != NULL) {
        cnode__list_leave(&s->in_all);
        cnode_source_remove(s);
    }
}

void cnode__discover_free(cnode *n) {
    struct cnode__discovery *d = n->discovery;
    size_t at = 0;
    found *f;

    if (d == NULL)
        return;
    cnode__discover_end(n);
    cnode__discover_run(n);
    while ((f = cn__map_first(&d->found, &at)) != NULL)
        forget(f);
    cn__map_free(&d->found);
    n->discovery = NULL;
    cn__free(&n->alloc, d, 1, sizeof *d);
}
