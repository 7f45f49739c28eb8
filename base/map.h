/* SPDX-License-Identifier: Apache-2.0
 *
 * map.h: a hash map from byte strings to pointers (internal): pids,
 * references and names to what they stand for. Keys belong to the caller
 * and must stay in place as long as the entry is in the map, so an object
 * can hold its own key. Open addressing; the hash is keyed, because keys
 * come from peers.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/alloc.h"

typedef struct cn_map_slot {
    const void *key; /* NULL: free */
    size_t key_len;
    uint64_t hash;
    void *value;
} cn_map_slot;

typedef struct cn_map {
    cn_map_slot *slots;
    size_t cap; /* 0 or a power of two */
    size_t count;
    uint64_t seed;
    const cn_alloc *alloc;
} cn_map;

/* seed: any unpredictable number; a fixed one makes tests repeatable. */
void cn__map_init(cn_map *m, uint64_t seed, const cn_alloc *alloc);
void cn__map_free(cn_map *m);

void *cn__map_get(const cn_map *m, const void *key, size_t n);
/* Adds or replaces; 0 or CN_ENOMEM. */
int cn__map_put(cn_map *m, const void *key, size_t n, void *value);
/* Takes the entry out and returns its value, or NULL. */
void *cn__map_remove(cn_map *m, const void *key, size_t n);

/* Walk: for (size_t i = 0; (v = cn__map_next(&m, &i)) != NULL;). The map must
 * not change during a walk. */
void *cn__map_next(const cn_map *m, size_t *at);

/* To empty a map entry by entry, in linear time: *at starts at 0; what this
 * returns is taken out with cn__map_remove before the next call. */
void *cn__map_first(const cn_map *m, size_t *at);

#endif
