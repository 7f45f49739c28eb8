/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c: the names of an EPMD server, their creations, and the texts that
 * list them.
 *
 * One map has the names of both kinds, so that a node that leaves only changes
 * lists: nothing can fail there, and no creation is forgotten for want of
 * memory.
 */
#include "epmd/table.h"

#include <stdio.h>
#include <string.h>

enum {
    CREATION_FIRST = 4, /* below it they are of nodes before OTP 23 */
    HIGHEST_LARGE = 6,  /* from this version on creations have 32 bits */
    LINE_REST = 64      /* of a line, around the name */
};

void epmd__table_init(epmd__table *t, size_t max_old, uint64_t seed,
                      const cn_alloc *alloc) {
    *t = (epmd__table){.max_old = max_old, .alloc = alloc};
    cn__map_init(&t->names, seed, alloc);
    cn__list_init(&t->active);
    cn__list_init(&t->old);
}

static size_t entry_size(const epmd_node *n) {
    return sizeof(epmd__entry) + n->name.len + n->extra.len;
}

static void free_entry(epmd__table *t, epmd__entry *e) {
    cn__free(t->alloc, e, 1, entry_size(&e->node));
}

static void free_list(epmd__table *t, cn__list *l) {
    epmd__entry *e;

    while ((e = cn__list_first(epmd__entry, link, l)) != NULL) {
        cn__list_leave(&e->link);
        free_entry(t, e);
    }
}

void epmd__table_free(epmd__table *t) {
    free_list(t, &t->active);
    free_list(t, &t->old);
    cn__map_free(&t->names);
}

/* --- who comes and goes --------------------------------------------------- */

static epmd__entry *find_any(const epmd__table *t, epmd_view name) {
    /* An empty name has no bytes to point at. */
    return cn__map_get(
        &t->names, name.len > 0 ? name.data : (const uint8_t *)"", name.len);
}

epmd__entry *epmd__table_find(const epmd__table *t, epmd_view name) {
    epmd__entry *e = find_any(t, name);

    return e != NULL && e->owner != NULL ? e : NULL;
}

static void copy_node(epmd__entry *e, const epmd_node *n) {
    uint8_t *extra = e->bytes + n->name.len;

    e->node = *n;
    if (n->name.len > 0)
        memcpy(e->bytes, n->name.data, n->name.len);
    if (n->extra.len > 0)
        memcpy(extra, n->extra.data, n->extra.len);
    e->node.name.data = e->bytes;
    e->node.extra.data = extra;
}

static uint32_t next_counter(uint32_t counter) {
    counter++;
    return counter < CREATION_FIRST ? (uint32_t)CREATION_FIRST : counter;
}

/* Whose counter the new one gets: that of the same name, or the oldest when
 * there are too many; NULL: nobody's. */
static epmd__entry *forerunner(const epmd__table *t, epmd__entry *same) {
    if (same != NULL)
        return same;
    return t->n_old > t->max_old ? cn__list_first(epmd__entry, link, &t->old)
                                 : NULL;
}

/* That of another name was not this one's yet: it need not be another. */
static uint32_t first_counter(const epmd__entry *before,
                              const epmd__entry *same, uint32_t unix_s) {
    if (before != same)
        return before->counter;
    return next_counter(same != NULL ? same->counter : unix_s);
}

/* Forgets an old one. The map has it still, unless a new entry of the same
 * name has taken its place. */
static void forget(epmd__table *t, epmd__entry *e) {
    if (find_any(t, e->node.name) == e)
        (void)cn__map_remove(&t->names, e->node.name.data, e->node.name.len);
    cn__list_leave(&e->link);
    t->n_old--;
    free_entry(t, e);
}

int epmd__table_add(epmd__table *t, const epmd_node *node, uint32_t unix_s,
                    epmd__entry **out) {
    epmd__entry *same = find_any(t, node->name), *before, *e;

    if (same != NULL && same->owner != NULL)
        return CN_EEXIST;
    e = cn__calloc(t->alloc, 1, entry_size(node));
    if (e == NULL)
        return CN_ENOMEM;
    copy_node(e, node);
    if (cn__map_put(&t->names, e->bytes, node->name.len, e) != 0) {
        free_entry(t, e);
        return CN_ENOMEM;
    }
    before = forerunner(t, same);
    e->counter = first_counter(before, same, unix_s);
    if (before != NULL)
        forget(t, before);
    cn__list_add(t->active.next, &e->link); /* in front */
    t->n_active++;
    *out = e;
    return 0;
}

void epmd__table_leave(epmd__table *t, epmd__entry *e) {
    cn__list_leave(&e->link);
    cn__list_add(&t->old, &e->link);
    e->owner = NULL;
    t->n_active--;
    t->n_old++;
}

uint32_t epmd__entry_creation(const epmd__entry *e) {
    return e->node.highest >= HIGHEST_LARGE ? e->counter : e->counter % 3 + 1;
}

/* --- texts ---------------------------------------------------------------- */

static size_t list_room(const cn__list *l) {
    size_t n = 0;

    for (const cn__list *at = l->next; at != l; at = at->next)
        n +=
            cn__list_of(const epmd__entry, link, at)->node.name.len + LINE_REST;
    return n;
}

size_t epmd__table_names_room(const epmd__table *t) {
    return list_room(&t->active);
}

size_t epmd__table_dump_room(const epmd__table *t) {
    return list_room(&t->active) + list_room(&t->old);
}

typedef struct text {
    uint8_t *at;
    size_t left;
} text;

static void add(text *t, const void *p, size_t n) {
    n = n < t->left ? n : t->left;
    if (n > 0)
        memcpy(t->at, p, n);
    t->at += n;
    t->left -= n;
}

/* A name may hold any byte but NUL. */
static void add_line(text *t, const char *before, const epmd__entry *e,
                     const char *after, size_t n) {
    add(t, before, strlen(before));
    add(t, e->node.name.data, e->node.name.len);
    add(t, after, n);
}

static void add_name(text *t, const epmd__entry *e) {
    char after[LINE_REST];
    int n =
        snprintf(after, sizeof after, " at port %u\n", (unsigned)e->node.port);

    add_line(t, "name ", e, after, (size_t)n);
}

/* With the NUL, as OTP's lines have it. */
static void add_dump(text *t, const epmd__entry *e) {
    char after[LINE_REST];
    bool active = e->owner != NULL;
    int n = snprintf(after, sizeof after,
                     active ? "> at port %u, fd = %d\n"
                            : ">, port = %u, fd = %d \n",
                     (unsigned)e->node.port, e->fd);

    add_line(t, active ? "active name     <" : "old/unused name <", e, after,
             (size_t)n + 1);
}

static void add_all(text *t, const cn__list *l,
                    void (*line)(text *t, const epmd__entry *e)) {
    for (const cn__list *at = l->next; at != l; at = at->next)
        line(t, cn__list_of(const epmd__entry, link, at));
}

size_t epmd__table_names(const epmd__table *t, uint8_t *out, size_t room) {
    text x = {out, room};

    add_all(&x, &t->active, add_name);
    return room - x.left;
}

size_t epmd__table_dump(const epmd__table *t, uint8_t *out, size_t room) {
    text x = {out, room};

    add_all(&x, &t->active, add_dump);
    add_all(&x, &t->old, add_dump);
    return room - x.left;
}
