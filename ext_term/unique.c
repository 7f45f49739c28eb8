/* SPDX-License-Identifier: Apache-2.0
 *
 * unique.c: that the keys of maps, and the field names of records, differ.
 */
#include "base/alloc.h"
#include "ext_term/index.h"

/* --- fields --------------------------------------------------------------- */

typedef struct fields {
    const uint8_t **name;
    const uint8_t *end;
} fields;

static int order_names(const fields *f, size_t a, size_t b) {
    etf__head x, y;

    etf__head_atom(f->name[a], f->end, &x);
    etf__head_atom(f->name[b], f->end, &y);
    return etf__head_order(&x, &y, true);
}

static void swap_names(const fields *f, size_t a, size_t b) {
    const uint8_t *name = f->name[a];

    f->name[a] = f->name[b];
    f->name[b] = name;
}

/* Heap sort, which needs no more memory. */
static void sink(const fields *f, size_t i, size_t n) {
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && order_names(f, child, child + 1) < 0)
            child++;
        if (order_names(f, i, child) >= 0)
            break;
        swap_names(f, i, child);
    }
}

static void sort_names(const fields *f, size_t n) {
    for (size_t i = n / 2; i > 0; i--)
        sink(f, i - 1, n);
    for (size_t i = n; i > 1; i--) {
        swap_names(f, 0, i - 1);
        sink(f, 0, i - 1);
    }
}

static void read_names(const fields *f, const etf__head *record) {
    cn_cursor c =
        cn__cursor(record->body, (size_t)(record->end - record->body));
    etf__head h;

    (void)etf__head_read(&c, &h);
    (void)etf__head_read(&c, &h);
    for (uint32_t i = 0; i < record->n; i++) {
        f->name[i] = c.p;
        (void)etf__head_read(&c, &h);
    }
}

static const uint8_t *second_of(const fields *f, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (order_names(f, i - 1, i) == 0)
            return f->name[i - 1] > f->name[i] ? f->name[i - 1] : f->name[i];
    return NULL;
}

int etf__unique_fields(const cn_alloc *alloc, const etf__head *record,
                       const uint8_t *from, size_t *at) {
    const uint8_t *inside[ETF__MAP_FEW], *second;
    fields f = {inside, record->end};
    void *more = NULL;

    if (record->n > ETF__MAP_FEW) {
        more = cn__resize(alloc, NULL, 0, record->n, sizeof *f.name);
        if (more == NULL)
            return CN_ENOMEM;
        f.name = more;
    }
    read_names(&f, record);
    sort_names(&f, record->n);
    second = second_of(&f, record->n);
    cn__free(alloc, more, record->n, sizeof *f.name);
    if (second == NULL)
        return 0;
    *at = (size_t)(second - from);
    return CN_EBADTERM;
}

/* --- keys ----------------------------------------------------------------- */

int etf__unique_keys(const cn_alloc *alloc, const etf_limits *l, etf_view term,
                     size_t *at) {
    _Alignas(8) uint8_t inside[ETF__INDEX_INSIDE];
    etf_index x;
    int err = etf__index_grow(&x, alloc, l, term, ETF__INDEX_TABLES, inside,
                              sizeof inside);

    etf_index_free(&x);
    if (err != 0)
        *at = x.err_at;
    return err;
}
