/* SPDX-License-Identifier: Apache-2.0
 *
 * header.c: see header.h.
 *
 *      N (1)   flags (N / 2 + 1, none when N is 0)   N atoms
 *
 * The flags are half bytes, the low one first: one for each atom, with a bit
 * for "new" and three for the upper bits of its slot; and one behind them,
 * which says whether the lengths of new atoms have one byte or two.
 *
 *      slot, its lower bits (1)   if new: length (1 or 2)   text in UTF-8
 */
#include <string.h>

#include "base/error.h"
#include "cnode/header.h"
#include "ext_term/term.h"

enum {
    SLOTS = 2048,
    ROW = 64, /* slots of a row: a table of all of them is mostly empty */
    ROWS = SLOTS / ROW,
    FIRST_TABLE = 8,
    NEW = 8,
    SEGMENT = 7,
    LONG_ATOMS = 1
};

void cnode__cache_init(cnode__cache *c, const cn_alloc *alloc) {
    *c = (cnode__cache){.alloc = cn__alloc(alloc)};
}

static void free_atom(const cn_alloc *alloc, cnode__cached *a) {
    if (a != NULL)
        cn__free(alloc, a, 1, sizeof *a + a->len);
}

/* The header that may refer to them is forgotten. */
static void forget_replaced(cnode__cache *c) {
    while (c->replaced != NULL) {
        cnode__cached *a = c->replaced;
        c->replaced = a->next;
        free_atom(c->alloc, a);
    }
    c->n = 0;
}

void cnode__cache_free(cnode__cache *c) {
    forget_replaced(c);
    for (size_t row = 0; c->rows != NULL && row < ROWS; row++) {
        for (size_t i = 0; c->rows[row] != NULL && i < ROW; i++)
            free_atom(c->alloc, c->rows[row][i]);
        cn__free(c->alloc, c->rows[row], ROW, sizeof **c->rows);
    }
    cn__free(c->alloc, c->rows, ROWS, sizeof *c->rows);
    cn__free(c->alloc, c->table, c->cap, sizeof *c->table);
    cnode__cache_init(c, c->alloc);
}

/* Where the atom of a slot is; with make NULL only for want of memory. */
static cnode__cached **slot_at(cnode__cache *c, size_t slot, bool make) {
    cnode__cached ***row;

    if (c->rows == NULL && make)
        c->rows = cn__calloc(c->alloc, ROWS, sizeof *c->rows);
    if (c->rows == NULL)
        return NULL;
    row = &c->rows[slot / ROW];
    if (*row == NULL && make)
        *row = cn__calloc(c->alloc, ROW, sizeof **row);
    return *row == NULL ? NULL : *row + slot % ROW;
}

static bool atom_ok(etf_view text) {
    uint8_t high = 0;

    for (size_t i = 0; i < text.len; i++)
        high |= text.data[i];
    return high < 128
               ? text.len <= ETF__ATOM_CHARS
               : text.len <= ETF__ATOM_BYTES &&
                     etf__utf8_count(text.data, text.len) <= ETF__ATOM_CHARS;
}

/* NULL: no memory. */
static cnode__cached *store(cnode__cache *c, size_t slot, etf_view text) {
    cnode__cached **at = slot_at(c, slot, true);
    cnode__cached *a;

    if (at == NULL)
        return NULL;
    a = *at;
    if (a != NULL && a->len == text.len &&
        memcmp(a->text, text.data, text.len) == 0)
        return a;
    a = cn__resize(c->alloc, NULL, 0, sizeof *a + text.len, 1);
    if (a == NULL)
        return NULL;
    a->len = (uint16_t)text.len;
    (void)cn__put_bytes(a->text, text.data, text.len);
    if (*at != NULL) {
        (*at)->next = c->replaced;
        c->replaced = *at;
    }
    *at = a;
    return a;
}

static int no_memory(cn_error *e) {
    return cn__fail(e, CN_ENOMEM, 0, "out of memory for the peer's atoms");
}

static int cut_short(cn_error *e) {
    return cn__fail(e, CN_EPROTO, 0,
                    "the distribution header is longer than its frame");
}

static int new_atom(cnode__cache *c, cn_cursor *in, size_t slot, bool wide,
                    cn_error *e) {
    size_t len = wide ? cn__take16(in) : cn__take8(in);
    etf_view text = {cn__take(in, len), len};
    cnode__cached *a;

    if (in->bad)
        return cut_short(e);
    if (!atom_ok(text))
        return cn__fail(e, CN_EPROTO, 0,
                        "atom %zu of the distribution header is not UTF-8 or "
                        "has more than 255 characters",
                        c->n + 1);
    a = store(c, slot, text);
    if (a == NULL)
        return no_memory(e);
    c->table[c->n++] = (etf_view){a->text, a->len};
    return 0;
}

static int old_atom(cnode__cache *c, cn_cursor *in, size_t slot, cn_error *e) {
    cnode__cached **at = slot_at(c, slot, false);

    if (in->bad)
        return cut_short(e);
    if (at == NULL || *at == NULL)
        return cn__fail(e, CN_EPROTO, 0,
                        "atom %zu of the distribution header is in slot %zu of "
                        "the atom cache, which is empty",
                        c->n + 1, slot);
    c->table[c->n++] = (etf_view){(*at)->text, (*at)->len};
    return 0;
}

static unsigned half_byte(const uint8_t *flags, size_t i) {
    return (unsigned)flags[i / 2] >> (i % 2 * 4) & 15U;
}

static int read_atoms(cnode__cache *c, cn_cursor *in, size_t n, cn_error *e) {
    const uint8_t *flags = cn__take(in, n / 2 + 1);
    int err = 0;
    bool wide;

    if (flags == NULL)
        return cut_short(e);
    wide = (half_byte(flags, n) & LONG_ATOMS) != 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        unsigned half = half_byte(flags, i);
        size_t slot = (half & SEGMENT) << 8 | cn__take8(in);
        err = half & NEW ? new_atom(c, in, slot, wide, e)
                         : old_atom(c, in, slot, e);
    }
    return err;
}

static bool table_for(cnode__cache *c, size_t n) {
    size_t cap = c->cap == 0 ? FIRST_TABLE : c->cap;
    etf_view *table;

    while (cap < n)
        cap *= 2;
    if (cap == c->cap)
        return true;
    table = cn__resize(c->alloc, c->table, c->cap, cap, sizeof *table);
    if (table == NULL)
        return false;
    c->table = table;
    c->cap = cap;
    return true;
}

int cnode__header_read(cnode__cache *c, cn_cursor *in, cn_error *e) {
    size_t n = cn__take8(in);

    forget_replaced(c);
    if (in->bad)
        return cut_short(e);
    if (n == 0)
        return 0;
    return table_for(c, n) ? read_atoms(c, in, n, e) : no_memory(e);
}
