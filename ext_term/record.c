/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c: writes native records and closures, the terms that have names
 * beside their elements.
 */
#include "ext_term/term.h"

static etf_view view_of(const char *text) {
    return (etf_view){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

static bool good_names(const char *module, const char *name,
                       const char *const *fields, size_t n) {
    if (module == NULL || name == NULL || (fields == NULL && n > 0))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (fields[i] == NULL)
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(fields[i], fields[k]) == 0)
                return false;
    }
    return true;
}

void etf__put_record(etf_writer *w, bool exported, uint32_t n) {
    uint8_t *p = etf__put(w, 6, n);

    if (p == NULL)
        return;
    p = cn__put32(cn__put8(p, ETF__RECORD), n);
    (void)cn__put8(p, exported ? 1 : 0);
}

void etf__put_name(etf_writer *w, etf_view text) {
    uint8_t room[ETF__ATOM_ROOM], *p;
    size_t n = etf__atom_bytes(w, (const char *)text.data, text.len, room);

    if (n == 0)
        return;
    p = etf__put_more(w, n);
    if (p != NULL)
        (void)cn__put_bytes(p, room, n);
}

/* | 67 | n 4 | exported 1 | module | name | n fields | n values | */
void etf_put_record(etf_writer *w, bool exported, const char *module,
                    const char *name, const char *const *fields, size_t n) {
    if (n > INT32_MAX) {
        etf_writer_fail(w, CN_ELIMIT);
        return;
    }
    if (!good_names(module, name, fields, n)) {
        etf_writer_fail(w, CN_EBADARG);
        return;
    }
    etf__put_record(w, exported, (uint32_t)n);
    etf__put_name(w, view_of(module));
    etf__put_name(w, view_of(name));
    for (size_t i = 0; i < n; i++)
        etf__put_name(w, view_of(fields[i]));
}

static void put_fields(etf_writer *w, const etf_record *record) {
    etf_reader r;

    etf_reader_init(&r, record->fields);
    for (uint32_t i = 0; i < record->n && r.err == 0; i++) {
        etf_view name = etf_get_atom(&r);

        if (r.err == 0)
            etf__put_name(w, name);
    }
    if (r.err != 0 || etf_reader_left(&r) > 0)
        etf_writer_fail(w, CN_EBADARG);
}

void etf_put_record_n(etf_writer *w, const etf_record *record) {
    if (record->n > INT32_MAX) {
        etf_writer_fail(w, CN_ELIMIT);
        return;
    }
    etf__put_record(w, record->exported, record->n);
    etf__put_name(w, record->module);
    etf__put_name(w, record->name);
    put_fields(w, record);
}

/* | arity 1 | uniq 16 | index 4 | n 4 | module | old index | old uniq | pid |
 */
static void fun_head(etf_writer *w, const etf_fun *f) {
    uint8_t *p = etf__put_more(w, 1 + 16 + 4 + 4);

    if (p == NULL)
        return;
    p = cn__put_bytes(cn__put8(p, f->arity), f->uniq, 16);
    p = cn__put32(p, f->index);
    (void)cn__put32(p, f->n);
    etf_put_atom_n(w, (const char *)f->module.data, f->module.len);
    etf_put_int(w, f->old_index);
    etf_put_int(w, f->old_uniq);
    etf_put_pid(w, &f->creator);
}

/* Bytes of them, or SIZE_MAX when one is no term. */
static size_t size_of(const etf_view *free, size_t n) {
    size_t size = 0;

    if (free == NULL && n > 0)
        return SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if (free[i].data == NULL || free[i].len == 0 ||
            __builtin_add_overflow(size, free[i].len, &size))
            return SIZE_MAX;
    }
    return size;
}

static void put_fun(etf_writer *w, etf_view head, const etf_view *free,
                    size_t n, size_t size) {
    uint8_t *p = etf__put(w, 1 + size, 0);

    if (p == NULL)
        return;
    p = cn__put32(cn__put8(p, ETF__NEW_FUN), (uint32_t)size);
    p = cn__put_bytes(p, head.data, head.len);
    for (size_t i = 0; i < n; i++)
        p = cn__put_bytes(p, free[i].data, free[i].len);
}

void etf_put_fun(etf_writer *w, const etf_fun *fun, const etf_view *free) {
    uint8_t room[ETF__FUN_ROOM];
    size_t size = fun->n > ETF__FREE_VARS ? 0 : size_of(free, fun->n);
    etf_writer h;
    etf_view head;

    etf_writer_init_fixed(&h, room, sizeof room);
    etf_writer_mode(&h, w->mode);
    if (fun->n > ETF__FREE_VARS)
        etf_writer_fail(&h, CN_ELIMIT);
    else if (fun->uniq == NULL || size == SIZE_MAX)
        etf_writer_fail(&h, CN_EBADARG);
    else
        fun_head(&h, fun);
    if (etf_writer_finish(&h, &head) != 0)
        etf_writer_fail(w, h.err);
    else if (size >= UINT32_MAX - 4 - head.len) /* and one byte before it */
        etf_writer_fail(w, CN_ELIMIT);
    else
        put_fun(w, head, free, fun->n, 4 + head.len + size);
}
