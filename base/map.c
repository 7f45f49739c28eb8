/* SPDX-License-Identifier: Apache-2.0
 *
 * map.c: open addressing with linear probing. Removal moves the following
 * entries back, so there are no tombstones and a map that is emptied is as
 * fast as a new one. Never more than 3/4 full.
 */
#include <string.h>

#include "base/map.h"

enum { FIRST_CAP = 16 };

static uint64_t mix(uint64_t h) {
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33);
}

static uint64_t word_at(const uint8_t *p) {
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

/* The last word overlaps the one before it, so that a number is one word and
 * no key of 8 bytes or more has a rest. */
static uint64_t hash_bytes(uint64_t seed, const void *key, size_t n) {
    const uint8_t *p = key;
    uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15ULL);
    uint64_t rest = 0;

    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            rest = rest << 8 | p[i];
        return mix(h ^ rest);
    }
    for (size_t i = 0; i < n - 8; i += 8)
        h = mix(h ^ word_at(p + i)) + seed;
    return mix(h ^ word_at(p + n - 8));
}

void cn__map_init(cn_map *m, uint64_t seed, const cn_alloc *alloc) {
    *m = (cn_map){.seed = mix(seed + 1), .alloc = cn__alloc(alloc)};
}

void cn__map_free(cn_map *m) {
    cn__free(m->alloc, m->slots, m->cap, sizeof *m->slots);
    *m = (cn_map){.seed = m->seed, .alloc = m->alloc};
}

/* The slot that holds the key, or the free one where it belongs. */
static cn_map_slot *find(const cn_map *m, uint64_t hash, const void *key,
                         size_t n) {
    size_t mask = m->cap - 1;
    size_t i = (size_t)hash & mask;

    for (;; i = (i + 1) & mask) {
        cn_map_slot *s = &m->slots[i];
        if (s->key == NULL)
            return s;
        if (s->hash == hash && s->key_len == n && memcmp(s->key, key, n) == 0)
            return s;
    }
}

void *cn__map_get(const cn_map *m, const void *key, size_t n) {
    cn_map_slot *s;

    if (m->count == 0)
        return NULL;
    s = find(m, hash_bytes(m->seed, key, n), key, n);
    return s->key == NULL ? NULL : s->value;
}

static int grow(cn_map *m) {
    cn_map bigger = *m;

    bigger.cap = m->cap == 0 ? FIRST_CAP : m->cap * 2;
    bigger.slots = cn__calloc(m->alloc, bigger.cap, sizeof *m->slots);
    if (bigger.slots == NULL)
        return CN_ENOMEM;
    for (size_t i = 0; i < m->cap; i++) {
        const cn_map_slot *s = &m->slots[i];
        if (s->key != NULL)
            *find(&bigger, s->hash, s->key, s->key_len) = *s;
    }
    cn__free(m->alloc, m->slots, m->cap, sizeof *m->slots);
    *m = bigger;
    return 0;
}

int cn__map_put(cn_map *m, const void *key, size_t n, void *value) {
    uint64_t hash = hash_bytes(m->seed, key, n);
    cn_map_slot *s;

    if (m->count >= m->cap - m->cap / 4 && grow(m) != 0)
        return CN_ENOMEM;
    s = find(m, hash, key, n);
    if (s->key == NULL)
        m->count++;
    *s = (cn_map_slot){key, n, hash, value};
    return 0;
}

/* Entries after a hole belong as near to their home as can be. */
static void close_hole(cn_map *m, size_t hole) {
    size_t mask = m->cap - 1;
    size_t i = hole;

    for (;;) {
        size_t home;
        i = (i + 1) & mask;
        if (m->slots[i].key == NULL)
            break;
        home = (size_t)m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (cn_map_slot){0};
}

void *cn__map_remove(cn_map *m, const void *key, size_t n) {
    cn_map_slot *s;
    void *value;

    if (m->count == 0)
        return NULL;
    s = find(m, hash_bytes(m->seed, key, n), key, n);
    if (s->key == NULL)
        return NULL;
    value = s->value;
    m->count--;
    close_hole(m, (size_t)(s - m->slots));
    return value;
}

void *cn__map_next(const cn_map *m, size_t *at) {
    void *value = cn__map_first(m, at);

    if (value != NULL)
        (*at)++;
    return value;
}

/* A removal fills its hole from behind, and never beyond a free slot: what is
 * empty before *at stays so. */
void *cn__map_first(const cn_map *m, size_t *at) {
    for (; *at < m->cap; (*at)++)
        if (m->slots[*at].key != NULL)
            return m->slots[*at].value;
    return NULL;
}
