/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_out.h: the atom cache of what a connection sends, and the head of a
 * frame that goes with it (internal). Section "Distribution Header".
 *
 * A frame: cnode__out_cache_begin; cnode__out_cache_scan of each term in it,
 * which finds the atoms; cnode__out_cache_head_size to make room;
 * cnode__out_cache_put_head and cnode__out_cache_put. The head changes what the
 * peer knows, so frames go out in the order in which their heads are put.
 */
#ifndef CNODE_CACHE_OUT_H
#define CNODE_CACHE_OUT_H

#include <ext_term/ext_term.h>

enum {
    CNODE__OUT_HINTS = 2,
    CNODE__OUT_SLOTS = 2039, /* as the BEAM; a header could name 2048 */
    CNODE__OUT_REFS = 255    /* in one header */
};

/* An atom that the peer has, or is about to get, in this slot. */
typedef struct cnode__out_slot {
    uint64_t frame; /* that uses it */
    uint32_t hash;
    uint16_t slot;
    uint16_t len;
    uint16_t room;
    uint8_t ref; /* its index in that frame */
    bool known;  /* the peer has it */
    uint8_t text[];
} cnode__out_slot;

/* An atom of a frame. */
typedef struct cnode__out_ref {
    cnode__out_slot *slot;
    const uint8_t *text;
    uint16_t len;
    bool is_new;
} cnode__out_ref;

/* Where an atom stands in the terms of a frame. */
typedef struct cnode__out_edit {
    const uint8_t *at;
    uint16_t len;
    uint8_t ref;
} cnode__out_edit;

typedef struct cnode__out_cache {
    const cn_alloc *alloc;
    cnode__out_slot **table; /* open addressing by slot */
    uint32_t cap;            /* 0 or a power of two */
    uint32_t count;
    uint64_t frame;
    cnode__out_slot *hints[CNODE__OUT_HINTS];
    /* Of this frame: */
    cnode__out_ref *refs;
    uint32_t n_refs;
    uint32_t cap_refs;
    cnode__out_edit *edits;
    size_t n_edits;
    size_t cap_edits;
    size_t next_edit; /* of _put */
    uint32_t n_new;
    size_t new_bytes; /* text of the new ones */
    bool long_atoms;
} cnode__out_cache;

void cnode__out_cache_init(cnode__out_cache *c, const cn_alloc *alloc);
/* Gives all memory back, and forgets what the peer has: it can be told again.
 * The cache is as after _init. */
void cnode__out_cache_clear(cnode__out_cache *c);

void cnode__out_cache_begin(cnode__out_cache *c);
/* Finds the atoms of the term at the start of v, and returns the size that v
 * will have. Where memory or the header's room ends, and behind a closure
 * (which has its size in it) the rest stays as it is: that is always right. */
size_t cnode__out_cache_scan(cnode__out_cache *c, etf_view v);

/* Takes an atom into the frame that is nearly always the same: `which` of the
 * hints remembers where it was. False: it is to be written in full. */
bool cnode__out_cache_name(cnode__out_cache *c, unsigned which, etf_view text,
                           uint8_t *ref);

enum { CNODE__OUT_PAIR = 5 };
/* The whole section of a frame that has but two names, when the peer has both
 * and the hints know where: nothing else is called for that frame then. They
 * are the atoms 0 and 1. */
bool cnode__out_cache_pair(const cnode__out_cache *c, etf_view first,
                           etf_view second, uint8_t head[CNODE__OUT_PAIR]);

/* Bytes of the section that lists the atoms: count, flags, atoms. */
size_t cnode__out_cache_head_size(const cnode__out_cache *c);
/* Writes it, and with that the peer has the atoms in it. */
uint8_t *cnode__out_cache_put_head(cnode__out_cache *c, uint8_t *p);
/* Writes a term that was scanned, in the order of the scans. */
uint8_t *cnode__out_cache_put(cnode__out_cache *c, uint8_t *p, etf_view v);

#endif
