/* SPDX-License-Identifier: Apache-2.0
 *
 * table.h: the names that an EPMD server knows: those of nodes that are there,
 * and those that were, which are remembered so that a node that comes back
 * gets another creation (internal, pure).
 *
 * Creations are as those of OTP's epmd: each name has a counter of 32 bits,
 * which starts behind the time and goes up by one whenever the name comes
 * back; 0 to 3 are passed over. When more than max_old names are remembered
 * the next new name gets the counter of the oldest, as it is, and that one is
 * forgotten.
 */
#ifndef EPMD_TABLE_H
#define EPMD_TABLE_H

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"
#include "epmd/epmd.h"

typedef struct epmd__entry {
    cn__list link; /* in active, the newest first, or in old, the oldest
                      first */
    struct epmd_session *owner; /* NULL: it is old */
    int fd;                     /* for DUMP */
    uint32_t counter;
    epmd_node node; /* its views point into bytes */
    uint8_t bytes[];
} epmd__entry;

typedef struct epmd__table {
    cn_map names;
    cn__list active, old;
    size_t n_active, n_old, max_old;
    const cn_alloc *alloc;
} epmd__table;

void epmd__table_init(epmd__table *t, size_t max_old, uint64_t seed,
                      const cn_alloc *alloc);
void epmd__table_free(epmd__table *t);

/* NULL: no node of that name is there. */
epmd__entry *epmd__table_find(const epmd__table *t, epmd_view name);
/* The name is free, else CN_EEXIST; or CN_ENOMEM. unix_s is where the counter
 * of a new name starts. The owner is for the caller to set. */
int epmd__table_add(epmd__table *t, const epmd_node *node, uint32_t unix_s,
                    epmd__entry **out);
/* An active one becomes old. Needs no memory. */
void epmd__table_leave(epmd__table *t, epmd__entry *e);
/* What the node is told: 32 bits, or 1 to 3 when it is older than that. */
uint32_t epmd__entry_creation(const epmd__entry *e);

/* The answers to NAMES and to DUMP, behind the port: the bytes they take, at
 * most, and the bytes, of which there are as many as is returned. */
size_t epmd__table_names_room(const epmd__table *t);
size_t epmd__table_names(const epmd__table *t, uint8_t *out, size_t room);
size_t epmd__table_dump_room(const epmd__table *t);
size_t epmd__table_dump(const epmd__table *t, uint8_t *out, size_t room);

#endif
