/* SPDX-License-Identifier: Apache-2.0
 *
 * fragments.h: messages that come in fragments, until they are whole
 * (internal). Section "Distribution Header for fragmented messages".
 *
 * Fragments are counted down to 1, those of one message are in order, those of
 * others and whole messages may come between them. The atoms of the first one
 * are those of the whole message, whatever becomes of the cache meanwhile.
 */
#ifndef CNODE_FRAGMENTS_H
#define CNODE_FRAGMENTS_H

#include "base/map.h"
#include "ext_term/ext_term.h"

/* A message of which more is awaited. */
typedef struct cnode__sequence {
    uint64_t id; /* the key */
    uint64_t awaited;
    uint8_t *data;
    size_t len;
    size_t cap;
    etf_view *atoms; /* n, and their texts behind them */
    size_t n;
    size_t atoms_size; /* of both, bytes */
} cnode__sequence;

typedef struct cnode__fragments {
    cn_map open;
    cnode__sequence *whole; /* lent until the next call */
    uint8_t *spare;         /* the bytes of one that was whole */
    size_t spare_cap;
    size_t bytes;       /* that all of them take, but for spare */
    size_t max_message; /* bytes of one */
    size_t max_bytes;
    size_t max_open;
    const cn_alloc *alloc;
} cnode__fragments;

static inline bool cnode__fragments_open(const cnode__fragments *f,
                                         uint64_t id) {
    return cn__map_get(&f->open, &id, sizeof id) != NULL;
}

/* No memory is taken before the first fragment. */
void cnode__fragments_init(cnode__fragments *f, uint64_t seed,
                           const cn_alloc *alloc);
void cnode__fragments_free(cnode__fragments *f);

/* The first of `count` fragments, 2 or more; the atoms are copied. CN_EPROTO,
 * CN_ELIMIT, CN_ENOMEM with e filled. */
int cnode__fragments_begin(cnode__fragments *f, uint64_t id, uint64_t count,
                           etf_view first, const etf_view *atoms, size_t n,
                           cn_error *e);
/* One more: 1: f->whole is the message; 0: more are awaited; errors as of
 * _begin. */
int cnode__fragments_add(cnode__fragments *f, uint64_t id, uint64_t number,
                         etf_view part, cn_error *e);
/* f->whole is not needed any more. */
void cnode__fragments_done(cnode__fragments *f);
/* Gives back memory that is kept for the next message. */
void cnode__fragments_rest(cnode__fragments *f);

#endif
