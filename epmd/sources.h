/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.h: how many clients there are of each address, and which of them is
 * to go when there are too many (internal).
 */
#ifndef EPMD_SOURCES_H
#define EPMD_SOURCES_H

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"

enum { EPMD__ADDRESS = 16 };

struct epmd__source;

/* To stand in what it is of. */
typedef struct epmd__client {
    cn__list link;
    uint64_t number;             /* later ones have higher ones */
    struct epmd__source *source; /* NULL: it is none */
} epmd__client;

typedef struct epmd__sources {
    cn_map map;                 /* by address */
    struct epmd__source **heap; /* the most greedy one is the first */
    size_t count;
    size_t room;
    size_t clients;
    uint64_t last;
    const cn_alloc *alloc;
} epmd__sources;

void epmd__sources_init(epmd__sources *s, uint64_t seed, const cn_alloc *alloc);
/* The clients have left. */
void epmd__sources_free(epmd__sources *s);
/* c, which is none or all zero, is the newest one of that address. CN_ENOMEM.
 */
int epmd__sources_enter(epmd__sources *s, epmd__client *c,
                        const uint8_t address[EPMD__ADDRESS]);
/* It may be none. */
void epmd__sources_leave(epmd__sources *s, epmd__client *c);
/* The oldest client of the address that has the most, and of several such
 * addresses the oldest of all; NULL: there is none. */
epmd__client *epmd__sources_greediest(const epmd__sources *s);

#endif
