/* SPDX-License-Identifier: Apache-2.0
 *
 * list.h: a doubly linked ring whose links stand inside the members, so that
 * a member leaves without a search (internal).
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stddef.h>

typedef struct cn__list {
    struct cn__list *next;
    struct cn__list *prev;
} cn__list;

static inline void cn__list_init(cn__list *l) {
    l->next = l->prev = l;
}
static inline int cn__list_empty(const cn__list *l) {
    return l->next == l;
}
static inline void cn__list_add(cn__list *l, cn__list *member) {
    member->prev = l->prev;
    member->next = l;
    l->prev->next = member;
    l->prev = member;
}
/* A member that is in no list (made by _init, or left before) may leave. */
static inline void cn__list_leave(cn__list *member) {
    member->prev->next = member->next;
    member->next->prev = member->prev;
    cn__list_init(member);
}

/* All members of one list go to another, which was empty. */
static inline void cn__list_move(cn__list *from, cn__list *to) {
    cn__list_init(to);
    if (cn__list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    cn__list_init(from);
}

#define cn__list_of(type, field, p)                                            \
    ((type *)(void *)((char *)(p)-offsetof(type, field)))
#define cn__list_first(type, field, l)                                         \
    (cn__list_empty(l) ? NULL : cn__list_of(type, field, (l)->next))

#endif
