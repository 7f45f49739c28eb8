/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_out.c: the atom cache of what a connection sends. Section
 * "Distribution Header":
 *
 *      131 'D' | n | flags, half a byte each | n atoms | control | payload
 *
 * An atom in the terms is then 82 and its index among the n. In the list it is
 * the number of a slot that the peer keeps from frame to frame, and, the first
 * time, its text. The slot follows from the text, as in the BEAM; two atoms of
 * a frame that want the same one: the second is written in full.
 *
 * Only the slots that were used take memory. When there is none to be had an
 * atom is written in full, or told again next time; nothing here fails.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/same.h"
#include "cnode/cache_out.h"
#include "ext_term/tags.h"

enum { FIRST_TABLE = 8, FIRST_REFS = 4, FIRST_EDITS = 4, TEXT_ROOM = 20 };

/* --- slots --------------------------------------------------------------- */

void cnode__out_cache_init(cnode__out_cache *c, const cn_alloc *alloc) {
    *c = (cnode__out_cache){.alloc = cn__alloc(alloc)};
}

static void free_slot(const cn_alloc *alloc, cnode__out_slot *e) {
    if (e != NULL)
        cn__free(alloc, e, 1, sizeof *e + e->room);
}

void cnode__out_cache_clear(cnode__out_cache *c) {
    for (uint32_t i = 0; i < c->cap; i++)
        free_slot(c->alloc, c->table[i]);
    cn__free(c->alloc, c->table, c->cap, sizeof(cnode__out_slot *));
    cn__free(c->alloc, c->refs, c->cap_refs, sizeof *c->refs);
    cn__free(c->alloc, c->edits, c->cap_edits, sizeof *c->edits);
    cnode__out_cache_init(c, c->alloc);
}

static uint32_t hash_text(const uint8_t *p, size_t n) {
    uint64_t h = n, word;

    for (; n > 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, p, n);
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

/* Where the slot is in the table, or would be. */
static cnode__out_slot **find(cnode__out_slot **table, uint32_t cap,
                              unsigned slot) {
    uint32_t i = slot & (cap - 1);

    while (table[i] != NULL && table[i]->slot != slot)
        i = (i + 1) & (cap - 1);
    return &table[i];
}

static bool grow_table(cnode__out_cache *c) {
    uint32_t cap = c->cap == 0 ? FIRST_TABLE : c->cap * 2;
    cnode__out_slot **table = cn__calloc(c->alloc, cap, sizeof *table);

    if (table == NULL)
        return false;
    for (uint32_t i = 0; i < c->cap; i++)
        if (c->table[i] != NULL)
            *find(table, cap, c->table[i]->slot) = c->table[i];
    cn__free(c->alloc, c->table, c->cap, sizeof *table);
    c->table = table;
    c->cap = cap;
    return true;
}

static cnode__out_slot *new_slot(const cn_alloc *alloc, unsigned slot,
                                 size_t len) {
    size_t room = len < TEXT_ROOM ? TEXT_ROOM : len;
    cnode__out_slot *e = cn__calloc(alloc, 1, sizeof *e + room);

    if (e != NULL) {
        e->slot = (uint16_t)slot;
        e->room = (uint16_t)room;
    }
    return e;
}

/* The slot, made if need be; NULL without memory. */
static cnode__out_slot *slot_of(cnode__out_cache *c, uint32_t hash,
                                size_t len) {
    unsigned slot = hash % CNODE__OUT_SLOTS;
    cnode__out_slot **at;

    if (c->cap > 0) {
        at = find(c->table, c->cap, slot);
        if (*at != NULL)
            return *at;
    }
    if (c->count >= c->cap / 2 && !grow_table(c))
        return NULL;
    at = find(c->table, c->cap, slot);
    *at = new_slot(c->alloc, slot, len);
    c->count += *at != NULL;
    return *at;
}

/* The peer has another atom in the slot from now on, or it is told again the
 * next time when there is no memory to remember it. */
static void learn(cnode__out_cache *c, const cnode__out_ref *ref) {
    cnode__out_slot *e = ref->slot;

    e->known = false;
    if (ref->len > e->room) {
        cnode__out_slot *more = new_slot(c->alloc, e->slot, ref->len);
        if (more == NULL)
            return;
        *find(c->table, c->cap, e->slot) = more;
        for (unsigned i = 0; i < CNODE__OUT_HINTS; i++)
            if (c->hints[i] == e)
                c->hints[i] = NULL;
        free_slot(c->alloc, e);
        e = more;
    }
    memcpy(e->text, ref->text, ref->len);
    e->len = ref->len;
    e->hash = hash_text(ref->text, ref->len);
    e->known = true;
}

/* --- the atoms of a frame ------------------------------------------------ */

void cnode__out_cache_begin(cnode__out_cache *c) {
    c->frame++;
    c->n_refs = c->n_new = 0;
    c->n_edits = c->next_edit = 0;
    c->new_bytes = 0;
    c->long_atoms = false;
}

static bool room_for_refs(cnode__out_cache *c) {
    uint32_t cap = c->cap_refs == 0 ? FIRST_REFS : c->cap_refs * 2;
    cnode__out_ref *p;

    if (c->n_refs < c->cap_refs)
        return true;
    p = cn__resize(c->alloc, c->refs, c->cap_refs, cap, sizeof *p);
    if (p == NULL)
        return false;
    c->refs = p;
    c->cap_refs = cap;
    return true;
}

static bool room_for_edits(cnode__out_cache *c) {
    size_t cap = c->cap_edits == 0 ? FIRST_EDITS : c->cap_edits * 2;
    cnode__out_edit *p;

    if (c->n_edits < c->cap_edits)
        return true;
    p = cn__resize(c->alloc, c->edits, c->cap_edits, cap, sizeof *p);
    if (p == NULL)
        return false;
    c->edits = p;
    c->cap_edits = cap;
    return true;
}

static bool holds(const cnode__out_slot *e, etf_view text) {
    return e->known && e->len == text.len &&
           cn__same(e->text, text.data, text.len);
}

/* An atom that this frame did not have yet. */
static bool add_ref(cnode__out_cache *c, cnode__out_slot *e, etf_view text,
                    bool is_new) {
    if (c->n_refs == CNODE__OUT_REFS || !room_for_refs(c))
        return false;
    e->frame = c->frame;
    e->ref = (uint8_t)c->n_refs;
    c->refs[c->n_refs++] =
        (cnode__out_ref){e, text.data, (uint16_t)text.len, is_new};
    c->n_new += is_new;
    c->new_bytes += is_new ? text.len : 0;
    c->long_atoms |= text.len > UINT8_MAX;
    return true;
}

static bool is_ref(const cnode__out_cache *c, const cnode__out_slot *e,
                   etf_view text) {
    const cnode__out_ref *r = &c->refs[e->ref];

    return r->len == text.len && memcmp(r->text, text.data, text.len) == 0;
}

/* The atom at p: false: it is written in full. */
static bool refer(cnode__out_cache *c, etf_view text, uint8_t *ref) {
    uint32_t hash = hash_text(text.data, text.len);
    cnode__out_slot *e = slot_of(c, hash, text.len);

    if (e == NULL)
        return false;
    if (e->frame == c->frame
            ? !is_ref(c, e, text)
            : !add_ref(c, e, text, e->hash != hash || !holds(e, text)))
        return false;
    *ref = e->ref;
    return true;
}

bool cnode__out_cache_name(cnode__out_cache *c, unsigned which, etf_view text,
                           uint8_t *ref) {
    cnode__out_slot *e = c->hints[which];

    if (e != NULL && e->frame != c->frame && holds(e, text)) {
        *ref = (uint8_t)c->n_refs;
        return add_ref(c, e, text, false);
    }
    if (!refer(c, text, ref))
        return false;
    c->hints[which] = c->refs[*ref].slot;
    return true;
}

bool cnode__out_cache_pair(const cnode__out_cache *c, etf_view first,
                           etf_view second, uint8_t head[CNODE__OUT_PAIR]) {
    const cnode__out_slot *a = c->hints[0], *b = c->hints[1];

    if (a == NULL || b == NULL || a == b || !holds(a, first) ||
        !holds(b, second))
        return false;
    head[0] = 2;
    head[1] = (uint8_t)(a->slot >> 8 | b->slot >> 8 << 4);
    head[2] = 0; /* lengths would be a byte wide, but there are none */
    head[3] = (uint8_t)a->slot;
    head[4] = (uint8_t)b->slot;
    return true;
}

/* Takes note of the atom at p, which was read already; how long it is, and how
 * much shorter it becomes. Those in latin-1 stay as they are. */
static size_t note_atom(cnode__out_cache *c, const uint8_t *p, size_t *saved) {
    size_t head = *p == ETF__SMALL_ATOM_UTF8 || *p == ETF__SMALL_ATOM ? 2 : 3;
    size_t len = head == 2 ? p[1] : cn__be16(p + 1);
    uint8_t ref;

    if ((*p == ETF__SMALL_ATOM_UTF8 || *p == ETF__ATOM_UTF8) &&
        room_for_edits(c) && refer(c, (etf_view){p + head, len}, &ref)) {
        c->edits[c->n_edits++] =
            (cnode__out_edit){p, (uint16_t)(head + len), ref};
        *saved += head + len - 2;
    }
    return head + len;
}

/* In what etf_next gives as a whole. */
static void note_inside(cnode__out_cache *c, const uint8_t *p, size_t *saved) {
    switch (*p) {
    case ETF__NEWER_REFERENCE:
    case ETF__NEW_REFERENCE:
        (void)note_atom(c, p + 3, saved);
        break;
    case ETF__EXPORT:
        (void)note_atom(c, p + 1 + note_atom(c, p + 1, saved), saved);
        break;
    default:
        (void)note_atom(c, p + 1, saved);
    }
}

size_t cnode__out_cache_scan(cnode__out_cache *c, etf_view v) {
    etf_item it = {0};
    size_t saved = 0;
    etf_reader r;

    etf_reader_init(&r, v);
    for (uint64_t left = 1; left > 0; left += it.children - 1) {
        const uint8_t *p = r.at;
        etf_type type = etf_next(&r, &it);
        if (type == ETF_NONE || type == ETF_FUN)
            break;
        if (type == ETF_ATOM)
            (void)note_atom(c, p, &saved);
        else if (type == ETF_PID || type == ETF_PORT || type == ETF_REF ||
                 type == ETF_EXPORT)
            note_inside(c, p, &saved);
    }
    return v.len - saved;
}

/* --- writing ------------------------------------------------------------- */

size_t cnode__out_cache_head_size(const cnode__out_cache *c) {
    size_t flags = c->n_refs == 0 ? 0 : c->n_refs / 2 + 1;

    return 1 + flags + c->n_refs + c->new_bytes +
           c->n_new * (size_t)(c->long_atoms ? 2 : 1);
}

/* Half a byte each, the low half first; the one behind the last atom says how
 * wide the lengths are. */
static uint8_t *put_flags(const cnode__out_cache *c, uint8_t *p) {
    memset(p, 0, c->n_refs / 2 + 1);
    for (uint32_t i = 0; i < c->n_refs; i++) {
        const cnode__out_ref *r = &c->refs[i];
        unsigned half = (r->is_new ? 8U : 0U) | r->slot->slot >> 8;
        p[i / 2] |= (uint8_t)(half << i % 2 * 4);
    }
    p[c->n_refs / 2] |= (uint8_t)(c->long_atoms << c->n_refs % 2 * 4);
    return p + c->n_refs / 2 + 1;
}

static uint8_t *put_ref(cnode__out_cache *c, uint8_t *p,
                        const cnode__out_ref *r) {
    p = cn__put8(p, (uint8_t)r->slot->slot);
    if (!r->is_new)
        return p;
    p = c->long_atoms ? cn__put16(p, r->len) : cn__put8(p, (uint8_t)r->len);
    p = cn__put_bytes(p, r->text, r->len);
    learn(c, r);
    return p;
}

uint8_t *cnode__out_cache_put_head(cnode__out_cache *c, uint8_t *p) {
    p = cn__put8(p, (uint8_t)c->n_refs);
    if (c->n_refs > 0)
        p = put_flags(c, p);
    for (uint32_t i = 0; i < c->n_refs; i++)
        p = put_ref(c, p, &c->refs[i]);
    return p;
}

uint8_t *cnode__out_cache_put(cnode__out_cache *c, uint8_t *p, etf_view v) {
    const uint8_t *from = v.data;
    const uint8_t *end = v.data + v.len;

    while (c->next_edit < c->n_edits) {
        const cnode__out_edit *e = &c->edits[c->next_edit];
        if (e->at < from || e->at >= end)
            break; /* of the next term */
        p = cn__put_bytes(p, from, (size_t)(e->at - from));
        p = cn__put8(cn__put8(p, ETF__ATOM_CACHE_REF), e->ref);
        from = e->at + e->len;
        c->next_edit++;
    }
    return cn__put_bytes(p, from, (size_t)(end - from));
}
