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

#include "base/buf.h"
#include "base/map.h"
#include "ext_term/ext_term.h"

/* A message of which more is awaited. */
typedef struct cnode__sequence {
    uint64_t id; /* the key */
    uint64_t awaited;
    uint8_t *data;
    size_t start;    /* bytes of data that are in front of the message */
    size_t len;      /* so far */
    size_t cap;      /* of data */
    etf_view *atoms; /* n, and their texts behind them */
    size_t n;
    size_t atoms_size; /* of both, bytes */
} cnode__sequence;

typedef struct cnode__fragments {
    cn_map open;
    cnode__sequence *whole; /* lent until the next call */
    cnode__sequence *fed;   /* a part of it is coming ... */
    size_t missing;         /* ... of which so many bytes have not come */
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

/* What is there of a whole one. */
static inline etf_view cnode__sequence_view(const cnode__sequence *s) {
    return (etf_view){s->data + s->start, s->len};
}

/* The first of `count` fragments, 2 or more. The atoms are copied. So are the
 * bytes, unless they are the end of what `in` has: then its memory is taken,
 * and it is empty; `in` may be NULL. CN_EPROTO, CN_ELIMIT, CN_ENOMEM with e
 * filled.
 */
int cnode__fragments_begin(cnode__fragments *f, uint64_t id, uint64_t count,
                           etf_view first, cn_buf *in, const etf_view *atoms,
                           size_t n, cn_error *e);

/* One more, of `size` bytes: these come next. Errors as of _begin. */
int cnode__fragments_part(cnode__fragments *f, uint64_t id, uint64_t number,
                          size_t size, cn_error *e);
/* Some of them, no more than f->missing. Errors as of _begin. */
int cnode__fragments_put(cnode__fragments *f, etf_view bytes, cn_error *e);
/* Where some of them may be put without a copy, up to *n; NULL: _put knows why
 * not. */
uint8_t *cnode__fragments_room(cnode__fragments *f, size_t *n);
/* So many were put there. */
void cnode__fragments_got(cnode__fragments *f, size_t n);
/* All have come: 1: f->whole is the message; 0: more fragments are awaited. */
int cnode__fragments_end(cnode__fragments *f);

/* f->whole is not needed any more. */
void cnode__fragments_done(cnode__fragments *f);
/* Keeps a block for the next message, or frees it: of what it has, the largest
 * that is not too large. */
void cnode__fragments_save(cnode__fragments *f, uint8_t *data, size_t cap);
/* Gives back memory that is kept for the next message. */
void cnode__fragments_rest(cnode__fragments *f);

#endif
