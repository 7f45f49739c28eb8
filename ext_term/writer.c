/* SPDX-License-Identifier: Apache-2.0
 *
 * writer.c: terms into bytes. Every etf_put_* asks etf__put for room once and
 * fills it; etf__put is the only place that grows, latches and counts the
 * elements of the lists that are open.
 * https://www.erlang.org/doc/apps/erts/erl_ext_dist.html
 */
#include <math.h>

#include "base/alloc.h"
#include "ext_term/term.h"

enum { FIRST_CAP = 128, MAX_OPEN = 32 };

void etf_writer_init(etf_writer *w, const cn_alloc *alloc) {
    *w = (etf_writer){.alloc = cn__alloc(alloc)};
}

void etf_writer_init_fixed(etf_writer *w, void *data, size_t cap) {
    *w = (etf_writer){.data = data, .cap = data == NULL ? 0 : cap};
}

void etf_writer_reset(etf_writer *w) {
    w->len = 0;
    w->err = 0;
    w->depth = 0;
}

void etf_writer_free(etf_writer *w) {
    if (w->alloc != NULL)
        cn__free(w->alloc, w->data, w->cap, 1);
    *w = (etf_writer){.alloc = w->alloc};
}

void etf_writer_fail(etf_writer *w, int code) {
    if (w->err == 0)
        w->err = code;
}

int etf_writer_finish(etf_writer *w, etf_view *out) {
    if (w->depth != 0)
        etf_writer_fail(w, CN_EBUG);
    if (out != NULL)
        *out = (etf_view){w->data, w->len};
    return w->err;
}

/* --- room ----------------------------------------------------------------- */

/* A fixed array that is full goes on counting; every other error ends it. */
static bool measuring(const etf_writer *w) {
    return w->alloc == NULL && w->len > w->cap;
}

bool etf__put_stored(const etf_writer *w) {
    return w->err == 0;
}

bool etf__put_counts(const etf_writer *w) {
    return w->err == 0 || measuring(w);
}

static bool grow(etf_writer *w, size_t need) {
    size_t cap = w->cap > FIRST_CAP ? w->cap : FIRST_CAP;
    uint8_t *p;

    while (cap < need) {
        if (cap > SIZE_MAX / 2)
            return false;
        cap *= 2;
    }
    p = cn__resize(w->alloc, w->data, w->cap, cap, 1);
    if (p == NULL)
        return false;
    w->data = p;
    w->cap = cap;
    return true;
}

uint8_t *etf__put_more(etf_writer *w, size_t n) {
    size_t at = w->len, need;

    if (!etf__put_counts(w))
        return NULL;
    if (__builtin_add_overflow(at, n, &need)) {
        etf_writer_fail(w, CN_ELIMIT);
        return NULL;
    }
    if (w->alloc == NULL) {
        w->len = need;
        if (need > w->cap)
            etf_writer_fail(w, CN_ELIMIT);
        return need > w->cap ? NULL : w->data + at;
    }
    if ((need > w->cap || w->data == NULL) && !grow(w, need)) {
        etf_writer_fail(w, CN_ENOMEM);
        return NULL;
    }
    w->len = need;
    return w->data + at;
}

uint8_t *etf__put_gap(etf_writer *w, size_t at, size_t n) {
    size_t behind = w->len - at;

    if (etf__put_more(w, n) == NULL)
        return NULL;
    memmove(w->data + at + n, w->data + at, behind);
    return w->data + at;
}

/* A list gets its header with its first element, for an empty one has none. */
static void first_element(etf_writer *w, uint32_t level) {
    uint8_t *p;

    w->open_at[level] = w->len;
    p = etf__put_more(w, 5);
    if (p != NULL)
        (void)cn__put32(cn__put8(p, ETF__LIST), 0);
}

/* One more term with `children` to follow, seen by the innermost open list. */
static void count(etf_writer *w, uint64_t children) {
    uint32_t level = w->depth - 1;

    if (w->depth == 0)
        return;
    if (w->open_left[level] > 0) {
        w->open_left[level] += children - 1;
        return;
    }
    if (w->open_n[level] == 0)
        first_element(w, level);
    if (w->open_n[level] == UINT32_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else
        w->open_n[level]++;
    w->open_left[level] = children;
}

void etf__put_one(etf_writer *w) {
    count(w, 0);
}

uint8_t *etf__put(etf_writer *w, size_t n, uint64_t children) {
    count(w, children);
    return etf__put_more(w, n);
}

void etf_begin_list(etf_writer *w) {
    if (w->depth == MAX_OPEN) {
        etf_writer_fail(w, CN_ELIMIT);
        return;
    }
    count(w, 0);
    w->open_n[w->depth] = 0;
    w->open_left[w->depth] = 0;
    w->depth++;
}

void etf_end_list(etf_writer *w) {
    uint8_t *p;
    size_t at;

    if (w->depth == 0 || w->open_left[w->depth - 1] > 0) {
        etf_writer_fail(w, CN_EBUG);
        return;
    }
    w->depth--;
    at = w->open_at[w->depth];
    p = etf__put_more(w, 1);
    if (p == NULL)
        return;
    *p = ETF__NIL;
    if (w->open_n[w->depth] > 0)
        (void)cn__put32(w->data + at + 1, w->open_n[w->depth]);
}

/* --- numbers ---------------------------------------------------------------
 */

void etf_put_version(etf_writer *w) {
    uint8_t *p = etf__put_more(w, 1);

    if (p != NULL)
        *p = ETF__VERSION;
}

static void put_small(etf_writer *w, uint8_t v) {
    uint8_t *p = etf__put(w, 2, 0);

    if (p != NULL)
        (void)cn__put8(cn__put8(p, ETF__SMALL_INTEGER), v);
}

static void put_int32(etf_writer *w, int32_t v) {
    uint8_t *p = etf__put(w, 5, 0);

    if (p != NULL)
        (void)cn__put32(cn__put8(p, ETF__INTEGER), (uint32_t)v);
}

static void put_magnitude(etf_writer *w, const uint8_t *m, size_t n,
                          bool negative) {
    bool small = n <= UINT8_MAX;
    uint8_t *p = etf__put(w, (small ? 3 : 6) + n, 0);

    if (p == NULL)
        return;
    p = cn__put8(p, small ? ETF__SMALL_BIG : ETF__LARGE_BIG);
    p = small ? cn__put8(p, (uint8_t)n) : cn__put32(p, (uint32_t)n);
    p = cn__put8(p, negative ? 1 : 0);
    (void)cn__put_bytes(p, m, n);
}

static void put_u64(etf_writer *w, uint64_t v, bool negative) {
    uint8_t m[8];
    size_t n = 0;

    if (!negative && v <= UINT8_MAX) {
        put_small(w, (uint8_t)v);
    } else if (v <= INT32_MAX) {
        put_int32(w, negative ? -(int32_t)v : (int32_t)v);
    } else if (negative && v == (uint64_t)INT32_MAX + 1) {
        put_int32(w, INT32_MIN);
    } else {
        for (; v > 0; v >>= 8)
            m[n++] = (uint8_t)v;
        put_magnitude(w, m, n, negative);
    }
}

void etf_put_int(etf_writer *w, int64_t v) {
    put_u64(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void etf_put_uint(etf_writer *w, uint64_t v) {
    put_u64(w, v, false);
}

void etf_put_big(etf_writer *w, const uint8_t *magnitude, size_t n,
                 bool negative) {
    uint64_t v = 0;

    while (n > 0 && magnitude[n - 1] == 0)
        n--;
    if (n > ETF__BIG_BYTES) {
        etf_writer_fail(w, CN_ELIMIT);
        return;
    }
    if (n > 8) {
        put_magnitude(w, magnitude, n, negative);
        return;
    }
    for (size_t i = n; i > 0; i--)
        v = v << 8 | magnitude[i - 1];
    put_u64(w, v, negative && v != 0);
}

void etf_put_float(etf_writer *w, double v) {
    uint64_t bits;
    uint8_t *p;

    if (!isfinite(v)) {
        etf_writer_fail(w, CN_ERANGE);
        return;
    }
    memcpy(&bits, &v, sizeof bits);
    p = etf__put(w, 9, 0);
    if (p != NULL)
        (void)cn__put64(cn__put8(p, ETF__NEW_FLOAT), bits);
}

/* --- atoms, binaries, strings ----------------------------------------------
 */

static uint8_t *put_atom(uint8_t *p, const char *text, size_t n) {
    if (n <= UINT8_MAX)
        p = cn__put8(cn__put8(p, ETF__SMALL_ATOM_UTF8), (uint8_t)n);
    else
        p = cn__put16(cn__put8(p, ETF__ATOM_UTF8), (uint16_t)n);
    return cn__put_bytes(p, text, n);
}

static size_t atom_size(size_t n) {
    return (n <= UINT8_MAX ? 2U : 3U) + n;
}

/* Latches what makes it no atom. */
static bool good_atom(etf_writer *w, const char *text, size_t n) {
    size_t chars;

    if (text == NULL && n > 0) {
        etf_writer_fail(w, CN_EBADARG);
        return false;
    }
    if (n > ETF__ATOM_BYTES) {
        etf_writer_fail(w, CN_ELIMIT);
        return false;
    }
    chars = etf__utf8_count((const uint8_t *)text, n);
    if (chars > ETF__ATOM_CHARS)
        etf_writer_fail(w, chars == SIZE_MAX ? CN_EBADARG : CN_ELIMIT);
    return chars <= ETF__ATOM_CHARS;
}

void etf_put_atom_n(etf_writer *w, const char *text, size_t n) {
    uint8_t *p;

    if (!good_atom(w, text, n))
        return;
    p = etf__put(w, atom_size(n), 0);
    if (p != NULL)
        (void)put_atom(p, text, n);
}

void etf_put_atom(etf_writer *w, const char *text) {
    if (text == NULL)
        etf_writer_fail(w, CN_EBADARG);
    else
        etf_put_atom_n(w, text, strlen(text));
}

void etf_put_bool(etf_writer *w, bool v) {
    etf_put_atom(w, v ? "true" : "false");
}

void etf__put_export(etf_writer *w, etf_view module, etf_view function,
                     uint8_t arity) {
    const char *m = (const char *)module.data;
    const char *f = (const char *)function.data;
    uint8_t *p;

    if (!good_atom(w, m, module.len) || !good_atom(w, f, function.len))
        return;
    p = etf__put(w, 1 + atom_size(module.len) + atom_size(function.len) + 2, 0);
    if (p == NULL)
        return;
    p = put_atom(cn__put8(p, ETF__EXPORT), m, module.len);
    p = put_atom(p, f, function.len);
    (void)cn__put8(cn__put8(p, ETF__SMALL_INTEGER), arity);
}

static etf_view view_of(const char *text) {
    return (etf_view){(const uint8_t *)text, strlen(text)};
}

void etf_put_export(etf_writer *w, const char *module, const char *function,
                    uint8_t arity) {
    if (module == NULL || function == NULL)
        etf_writer_fail(w, CN_EBADARG);
    else
        etf__put_export(w, view_of(module), view_of(function), arity);
}

/* data NULL with bytes to take is the caller's slip; lengths are u32. */
static bool good_bytes(etf_writer *w, const void *data, size_t n) {
    if (n > UINT32_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else if (data == NULL && n > 0)
        etf_writer_fail(w, CN_EBADARG);
    else
        return true;
    return false;
}

void etf_put_binary(etf_writer *w, const void *data, size_t n) {
    uint8_t *p;

    if (!good_bytes(w, data, n))
        return;
    p = etf__put(w, 5 + n, 0);
    if (p == NULL)
        return;
    p = cn__put32(cn__put8(p, ETF__BINARY), (uint32_t)n);
    (void)cn__put_bytes(p, data, n);
}

void etf_put_binary_str(etf_writer *w, const char *text) {
    if (text == NULL)
        etf_writer_fail(w, CN_EBADARG);
    else
        etf_put_binary(w, text, strlen(text));
}

void etf_put_bits(etf_writer *w, const void *data, size_t bits) {
    size_t n = bits / 8 + (bits % 8 != 0 ? 1 : 0);
    uint8_t *p, used = (uint8_t)(bits % 8);

    if (used == 0) {
        etf_put_binary(w, data, n);
        return;
    }
    if (!good_bytes(w, data, n))
        return;
    p = etf__put(w, 6 + n, 0);
    if (p == NULL)
        return;
    p = cn__put32(cn__put8(p, ETF__BIT_BINARY), (uint32_t)n);
    p = cn__put_bytes(cn__put8(p, used), data, n);
    p[-1] &= (uint8_t)(0xff00U >> used); /* as the BEAM: unused bits are 0 */
}

static void put_long_string(etf_writer *w, const char *bytes, size_t n) {
    uint8_t *p = etf__put(w, 5 + 2 * n + 1, 0);

    if (p == NULL)
        return;
    p = cn__put32(cn__put8(p, ETF__LIST), (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        p = cn__put8(cn__put8(p, ETF__SMALL_INTEGER), (uint8_t)bytes[i]);
    *p = ETF__NIL;
}

void etf_put_string(etf_writer *w, const char *bytes, size_t n) {
    uint8_t *p;

    if (!good_bytes(w, bytes, n))
        return;
    if (n == 0) {
        etf_put_nil(w);
    } else if (n > ETF__STRING_MAX) {
        put_long_string(w, bytes, n);
    } else {
        p = etf__put(w, 3 + n, 0);
        if (p == NULL)
            return;
        p = cn__put16(cn__put8(p, ETF__STRING), (uint16_t)n);
        (void)cn__put_bytes(p, bytes, n);
    }
}

/* --- headers ----------------------------------------------------------------
 */

static void put_header(etf_writer *w, uint8_t tag, size_t n,
                       uint64_t children) {
    uint8_t *p = etf__put(w, 5, children);

    if (p != NULL)
        (void)cn__put32(cn__put8(p, tag), (uint32_t)n);
}

void etf_put_tuple(etf_writer *w, size_t n) {
    uint8_t *p;

    if (n > ETF__ARITY_MAX) {
        etf_writer_fail(w, CN_ELIMIT);
    } else if (n > UINT8_MAX) {
        put_header(w, ETF__LARGE_TUPLE, n, n);
    } else {
        p = etf__put(w, 2, n);
        if (p != NULL)
            (void)cn__put8(cn__put8(p, ETF__SMALL_TUPLE), (uint8_t)n);
    }
}

void etf_put_map(etf_writer *w, size_t n) {
    if (n > INT32_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else
        put_header(w, ETF__MAP, n, 2 * (uint64_t)n);
}

void etf_put_list(etf_writer *w, size_t n) {
    if (n > UINT32_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else if (n == 0)
        etf_put_nil(w);
    else
        put_header(w, ETF__LIST, n, (uint64_t)n + 1);
}

void etf_put_nil(etf_writer *w) {
    uint8_t *p = etf__put(w, 1, 0);

    if (p != NULL)
        *p = ETF__NIL;
}

void etf_put_term(etf_writer *w, etf_view term) {
    uint8_t *p;

    if (term.data == NULL || term.len == 0) {
        etf_writer_fail(w, CN_EBADARG);
        return;
    }
    p = etf__put(w, term.len, 0);
    if (p != NULL)
        (void)cn__put_bytes(p, term.data, term.len);
}
