/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.c: the clients of each address in a list, the oldest first, and the
 * addresses in a heap, so that neither who comes or goes nor who must go costs
 * a walk over all of them.
 */
#include "epmd/sources.h"

#include <string.h>

typedef struct epmd__source {
    uint8_t address[EPMD__ADDRESS];
    cn__list clients;
    size_t count;
    size_t place; /* in the heap */
} source;

void epmd__sources_init(epmd__sources *s, uint64_t seed,
                        const cn_alloc *alloc) {
    *s = (epmd__sources){.alloc = alloc};
    cn__map_init(&s->map, seed, alloc);
}

void epmd__sources_free(epmd__sources *s) {
    cn__map_free(&s->map);
    cn__free(s->alloc, s->heap, s->room, sizeof(source *));
}

/* --- the heap ------------------------------------------------------------- */

static const epmd__client *oldest(const source *x) {
    return cn__list_of(const epmd__client, link, x->clients.next);
}

/* Both have clients. */
static bool before(const source *a, const source *b) {
    if (a->count != b->count)
        return a->count > b->count;
    return oldest(a)->number < oldest(b)->number;
}

static void put(epmd__sources *s, source *x, size_t place) {
    s->heap[place] = x;
    x->place = place;
}

static void rise(epmd__sources *s, source *x) {
    size_t at = x->place;

    while (at > 0 && before(x, s->heap[(at - 1) / 2])) {
        put(s, s->heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    put(s, x, at);
}

static void sink(epmd__sources *s, source *x) {
    size_t at = x->place, next;

    while ((next = 2 * at + 1) < s->count) {
        if (next + 1 < s->count && before(s->heap[next + 1], s->heap[next]))
            next++;
        if (before(x, s->heap[next]))
            break;
        put(s, s->heap[next], at);
        at = next;
    }
    put(s, x, at);
}

static void settle(epmd__sources *s, source *x) {
    rise(s, x);
    sink(s, x);
}

static void take_out(epmd__sources *s, source *x) {
    source *last = s->heap[--s->count];

    if (last == x)
        return;
    put(s, last, x->place);
    settle(s, last);
}

static int make_room(epmd__sources *s) {
    size_t room = s->room == 0 ? 16 : s->room * 2;
    source **heap;

    if (s->count < s->room)
        return 0;
    heap = cn__resize(s->alloc, s->heap, s->room, room, sizeof(source *));
    if (heap == NULL)
        return CN_ENOMEM;
    s->heap = heap;
    s->room = room;
    return 0;
}

/* --- who comes and goes --------------------------------------------------- */

static source *new_source(epmd__sources *s, const uint8_t *address) {
    source *x;

    if (make_room(s) != 0 || (x = cn__calloc(s->alloc, 1, sizeof *x)) == NULL)
        return NULL;
    memcpy(x->address, address, sizeof x->address);
    cn__list_init(&x->clients);
    x->place = s->count;
    if (cn__map_put(&s->map, x->address, sizeof x->address, x) == 0)
        return x;
    cn__free(s->alloc, x, 1, sizeof *x);
    return NULL;
}

int epmd__sources_enter(epmd__sources *s, epmd__client *c,
                        const uint8_t address[EPMD__ADDRESS]) {
    source *x = cn__map_get(&s->map, address, EPMD__ADDRESS);

    if (x == NULL && (x = new_source(s, address)) == NULL)
        return CN_ENOMEM;
    c->source = x;
    c->number = ++s->last;
    cn__list_add(&x->clients, &c->link);
    s->clients++;
    if (++x->count == 1)
        s->count++;
    rise(s, x);
    return 0;
}

void epmd__sources_leave(epmd__sources *s, epmd__client *c) {
    source *x = c->source;

    if (x == NULL)
        return;
    c->source = NULL;
    s->clients--;
    if (x->count > 1) {
        cn__list_leave(&c->link);
        x->count--;
        settle(s, x);
        return;
    }
    take_out(s, x);
    cn__list_leave(&c->link);
    (void)cn__map_remove(&s->map, x->address, sizeof x->address);
    cn__free(s->alloc, x, 1, sizeof *x);
}

epmd__client *epmd__sources_greediest(const epmd__sources *s) {
    if (s->count == 0)
        return NULL;
    return cn__list_of(epmd__client, link, s->heap[0]->clients.next);
}
