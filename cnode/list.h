/* SPDX-License-Identifier: Apache-2.0
 *
 * list.h: a doubly linked ring whose links stand inside the members, so that
 * a member leaves without a search (internal).
 */
#ifndef CNODE_LIST_H
#define CNODE_LIST_H

#include <stddef.h>

typedef struct cnode__list {
    struct cnode__list *next;
    struct cnode__list *prev;
} cnode__list;

static inline void cnode__list_init(cnode__list *l) {
    l->next = l->prev = l;
}
static inline int cnode__list_empty(const cnode__list *l) {
    return l->next == l;
}
static inline void cnode__list_add(cnode__list *l, cnode__list *member) {
    member->prev = l->prev;
    member->next = l;
    l->prev->next = member;
    l->prev = member;
}
/* A member that is in no list (made by _init, or left before) may leave. */
static inline void cnode__list_leave(cnode__list *member) {
    member->prev->next = member->next;
    member->next->prev = member->prev;
    cnode__list_init(member);
}

/* All members of one list go to another, which was empty. */
static inline void cnode__list_move(cnode__list *from, cnode__list *to) {
    cnode__list_init(to);
    if (cnode__list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    cnode__list_init(from);
}

#define cnode__list_of(type, field, p)                                         \
    ((type *)(void *)((char *)(p)-offsetof(type, field)))
#define cnode__list_first(type, field, l)                                      \
    (cnode__list_empty(l) ? NULL : cnode__list_of(type, field, (l)->next))

#endif
