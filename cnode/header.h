/* SPDX-License-Identifier: Apache-2.0
 *
 * header.h: the distribution header in front of what a peer sends, and the
 * peer's atom cache (internal). Section "Distribution Header".
 *
 * A header names the atoms of its message. Each is either new, and then takes
 * one of 2048 slots of the cache, or it is what its slot holds. The terms
 * behind the header refer to the header's list with ATOM_CACHE_REF, not to
 * slots.
 */
#ifndef CNODE_HEADER_H
#define CNODE_HEADER_H

#include "base/alloc.h"
#include "base/bytes.h"
#include "ext_term/ext_term.h"

/* The text of an atom in a slot. */
typedef struct cnode__cached {
    struct cnode__cached *next; /* among those that are replaced */
    uint16_t len;
    uint8_t text[];
} cnode__cached;

/* What is not used takes no memory. Full of atoms of 255 characters of four
 * bytes it takes 2.2 MB, which is the most a peer can make of it. */
typedef struct cnode__cache {
    const cn_alloc *alloc;
    cnode__cached ***rows;   /* of slots; NULL: none of a row is used */
    cnode__cached *replaced; /* the last header may still refer to them */
    etf_view *table;         /* the atoms of the last header */
    size_t n;
    size_t cap;
} cnode__cache;

void cnode__cache_init(cnode__cache *c, const cn_alloc *alloc);
void cnode__cache_free(cnode__cache *c);

/* Reads a header from its count on, in the order of arrival of the frames,
 * also of those whose message is of no use. in moves behind it; c->table
 * has its atoms until the next call. CN_EPROTO, CN_ENOMEM, with e filled: no
 * header can be read any more. */
int cnode__header_read(cnode__cache *c, cn_cursor *in, cn_error *e);

#endif
