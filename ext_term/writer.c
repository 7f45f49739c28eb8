/* SPDX-License-Identifier: Apache-2.0
 *
 * writer.c: terms into bytes. Every etf_put_* asks for room once and fills it:
 * etf__roomy when all is as usual, else etf__put, which is the only place that
 * grows, latches and counts the elements of the lists that are open.
 * https://www.erlang.org/doc/apps/erts/erl_ext_dist.html
 */
#include <math.h>

#include "base/alloc.h"
#include "ext_term/put.h"

enum { FIRST_CAP = 128, MAX_OPEN = 32 };

/* A binary by reference. */
struct etf__piece {
    size_t at; /* where the bytes belong in data */
    etf_view bytes;
};

/* One compare on the way of every small term: below `limit` there is room for
 * ETF__SLACK bytes, no error is latched and no open list has to count. */
static void set_limit(etf_writer *w) {
    bool plain = w->err == 0 && w->depth == 0 && w->cap > ETF__SLACK;

    w->limit = plain ? w->cap - ETF__SLACK : 0;
}

void etf_writer_init(etf_writer *w, const cn_alloc *alloc) {
    *w = (etf_writer){.alloc = cn__alloc(alloc)};
}

void etf_writer_init_fixed(etf_writer *w, void *data, size_t cap) {
    *w = (etf_writer){.data = data, .cap = data == NULL ? 0 : cap};
    set_limit(w);
}

void etf_writer_reset(etf_writer *w) {
    w->len = 0;
    w->err = 0;
    w->depth = 0;
    w->n_refs = 0;
    w->ref_bytes = 0;
    w->settled = 0;
    set_limit(w);
}

void etf_writer_mode(etf_writer *w, uint32_t flags) {
    if ((flags & ~(ETF_LATIN1_ATOMS | ETF_DETERMINISTIC)) != 0)
        etf_writer_fail(w, CN_EBADARG);
    else
        w->mode = flags;
}

void etf_writer_free(etf_writer *w) {
    if (w->alloc != NULL) {
        cn__free(w->alloc, w->data, w->cap, 1);
        cn__free(w->alloc, w->refs, w->cap_refs, sizeof *w->refs);
    }
    *w = (etf_writer){.alloc = w->alloc, .mode = w->mode};
}

void etf_writer_fail(etf_writer *w, int code) {
    if (w->err == 0)
        w->err = code;
    w->limit = 0;
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

/* A limit that is 0 for another reason than no memory stays so: the open
 * lists may be out of sight, see etf__put_one. */
static bool grow(etf_writer *w, size_t need) {
    size_t cap = w->cap > FIRST_CAP ? w->cap : FIRST_CAP;
    bool plain = w->limit != 0 || w->cap == 0;
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
    if (plain)
        set_limit(w);
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

/* --- open lists -------------------------------------------------------------
 *
 * A list gets its header with its first element, for an empty one has none. As
 * long as its elements are bytes it is a STRING_EXT, which is what the BEAM
 * makes of such a list; what else comes makes it wide:
 *
 *   | 107 | n 2 | a | b | c |   ->   | 108 | n 4 | 97 a | 97 b | 97 c |
 */
static bool is_wide(const etf_writer *w, uint32_t level) {
    return (w->open_wide >> level & 1) != 0;
}

static void widen(etf_writer *w, uint32_t level) {
    uint32_t n = w->open_n[level];
    uint8_t *p;

    w->open_wide |= UINT32_C(1) << level;
    if (n == 0)
        w->open_at[level] = w->len;
    if (etf__put_more(w, n == 0 ? 5 : (size_t)n + 2) == NULL)
        return;
    p = w->data + w->open_at[level];
    for (uint32_t i = n; i > 0; i--) {
        p[5 + 2 * (size_t)i - 1] = p[3 + (size_t)i - 1];
        p[5 + 2 * (size_t)i - 2] = ETF__SMALL_INTEGER;
    }
    *p = ETF__LIST;
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
    if (!is_wide(w, level))
        widen(w, level);
    if (w->open_n[level] == UINT32_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else
        w->open_n[level]++;
    w->open_left[level] = children;
}

/* Is the next term an element of a list that may become a STRING_EXT? */
static bool in_string(const etf_writer *w) {
    uint32_t level = w->depth - 1;

    return w->depth > 0 && w->open_left[level] == 0 && !is_wide(w, level) &&
           w->open_n[level] < ETF__STRING_MAX;
}

static void byte_of_string(etf_writer *w, uint8_t v) {
    uint32_t level = w->depth - 1;
    uint8_t *p;

    if (w->open_n[level] == 0) {
        w->open_at[level] = w->len;
        (void)etf__put_more(w, 3);
    }
    w->open_n[level]++;
    p = etf__put_more(w, 1);
    if (p != NULL)
        *p = v;
}

void etf__put_one(etf_writer *w) {
    count(w, 0);
}

uint32_t etf__put_alone(etf_writer *w) {
    uint32_t open = w->depth;

    count(w, 0);
    w->depth = 0;
    set_limit(w);
    return open;
}

void etf__put_among(etf_writer *w, uint32_t open) {
    w->depth = open;
    set_limit(w);
}

uint8_t *etf__put(etf_writer *w, size_t n, uint64_t children) {
    if (w->len < w->limit && n < w->limit - w->len) {
        w->len += n;
        return w->data + w->len - n;
    }
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
    w->open_wide &= ~(UINT32_C(1) << w->depth);
    w->depth++;
    set_limit(w);
}

/* A wide list that has nothing but bytes after all: one came as a whole term
 * that only its bytes tell, see etf__put_one. */
static bool narrow(etf_writer *w, uint32_t level) {
    size_t at = w->open_at[level], n = w->open_n[level];
    uint8_t *p;

    if (n > ETF__STRING_MAX || !etf__put_stored(w) || w->len - at != 5 + 2 * n)
        return false;
    p = w->data + at;
    for (size_t i = 0; i < n; i++)
        if (p[5 + 2 * i] != ETF__SMALL_INTEGER)
            return false;
    for (size_t i = 0; i < n; i++)
        p[3 + i] = p[6 + 2 * i];
    w->len = at + 3 + n;
    return true;
}

/* The header of the list that ends, and the tail of a wide one. */
static void end_header(etf_writer *w, uint32_t level) {
    uint32_t n = w->open_n[level];
    bool string = n > 0 && (!is_wide(w, level) || narrow(w, level));
    uint8_t *p;

    if (!string) {
        p = etf__put_more(w, 1);
        if (p != NULL)
            *p = ETF__NIL;
    }
    if (n == 0 || !etf__put_stored(w))
        return;
    p = w->data + w->open_at[level];
    if (string)
        (void)cn__put16(cn__put8(p, ETF__STRING), (uint16_t)n);
    else
        (void)cn__put32(cn__put8(p, ETF__LIST), n);
}

void etf_end_list(etf_writer *w) {
    if (w->depth == 0 || w->open_left[w->depth - 1] > 0) {
        etf_writer_fail(w, CN_EBUG);
        return;
    }
    w->depth--;
    end_header(w, w->depth);
    set_limit(w);
}

/* --- numbers ---------------------------------------------------------------
 */

void etf_put_version(etf_writer *w) {
    uint8_t *p = etf__put_more(w, 1);

    if (p != NULL)
        *p = ETF__VERSION;
}

/* Short texts are the usual ones, and copied without a call. */
static void copy(uint8_t *to, const void *from, size_t n) {
    if (n <= 32)
        (void)etf__copy_ascii(to, from, n);
    else
        memcpy(to, from, n);
}

static ETF__SLOW void put_any_magnitude(etf_writer *w, const uint8_t *m,
                                        size_t n, bool negative) {
    bool small = n <= UINT8_MAX;
    uint8_t *p = etf__put(w, (small ? 3 : 6) + n, 0);

    if (p == NULL)
        return;
    p = cn__put8(p, small ? ETF__SMALL_BIG : ETF__LARGE_BIG);
    p = small ? cn__put8(p, (uint8_t)n) : cn__put32(p, (uint32_t)n);
    p = cn__put8(p, negative ? 1 : 0);
    (void)cn__put_bytes(p, m, n);
}

static inline void put_magnitude(etf_writer *w, const uint8_t *m, size_t n,
                                 bool negative) {
    uint8_t *p;

    if (n > UINT8_MAX || !etf__roomy(w, n)) {
        put_any_magnitude(w, m, n, negative);
        return;
    }
    p = cn__put8(w->data + w->len, ETF__SMALL_BIG);
    p = cn__put8(cn__put8(p, (uint8_t)n), negative ? 1 : 0);
    copy(p, m, n);
    w->len += 3 + n;
}

/* | 110 | n | sign | n bytes | of a magnitude above 32 bits; it takes less
 * than ETF__SLACK bytes, of which the last ones may be too many. */
static size_t big_of_u64(uint8_t *p, uint64_t v, bool negative) {
    size_t n = 8 - (size_t)__builtin_clzll(v) / 8;

    p = cn__put8(cn__put8(p, ETF__SMALL_BIG), (uint8_t)n);
    p = cn__put8(p, negative ? 1 : 0);
    (void)cn__put64(p, __builtin_bswap64(v));
    return 3 + n;
}

static ETF__SLOW void put_any_big_u64(etf_writer *w, uint64_t v,
                                      bool negative) {
    uint8_t room[ETF__SLACK], *p;
    size_t n = big_of_u64(room, v, negative);

    p = etf__put(w, n, 0);
    if (p != NULL)
        (void)cn__put_bytes(p, room, n);
}

/* For |v| above 2^31. */
static inline void put_big_u64(etf_writer *w, uint64_t v, bool negative) {
    if (etf__roomy(w, 0))
        w->len += big_of_u64(w->data + w->len, v, negative);
    else
        put_any_big_u64(w, v, negative);
}

static ETF__SLOW void put_any_int32(etf_writer *w, int32_t v) {
    bool small = v >= 0 && v <= UINT8_MAX;
    uint8_t *p;

    if (small && in_string(w)) {
        byte_of_string(w, (uint8_t)v);
        return;
    }
    p = etf__put(w, small ? 2 : 5, 0);
    if (p == NULL)
        return;
    if (small)
        (void)cn__put8(cn__put8(p, ETF__SMALL_INTEGER), (uint8_t)v);
    else
        (void)cn__put32(cn__put8(p, ETF__INTEGER), (uint32_t)v);
}

void etf__other_int(etf_writer *w, int64_t v) {
    if (v != (int32_t)v)
        put_big_u64(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
    else
        put_any_int32(w, (int32_t)v);
}

void etf_put_uint(etf_writer *w, uint64_t v) {
    if (v <= INT64_MAX)
        etf_put_int(w, (int64_t)v);
    else
        put_big_u64(w, v, false);
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
    if (!negative)
        etf_put_uint(w, v);
    else if (v <= INT64_MAX)
        etf_put_int(w, -(int64_t)v);
    else
        put_big_u64(w, v, true);
}

void etf__other_float(etf_writer *w, double v) {
    uint64_t bits;
    uint8_t *p;

    if (!isfinite(v)) {
        etf_writer_fail(w, CN_ERANGE);
        return;
    }
    p = etf__put(w, 9, 0);
    memcpy(&bits, &v, sizeof bits);
    if (p != NULL)
        (void)cn__put64(cn__put8(p, ETF__NEW_FLOAT), bits);
}

/* --- atoms, binaries, strings ----------------------------------------------
 */

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

/* The text in latin-1, or SIZE_MAX when it has other characters. */
static size_t to_latin1(const uint8_t *text, size_t n,
                        uint8_t out[ETF__ATOM_CHARS]) {
    size_t len = 0, k;
    uint32_t c;

    for (size_t i = 0; i < n; i += k) {
        k = etf__utf8_get(text + i, n - i, &c);
        if (c > UINT8_MAX)
            return SIZE_MAX;
        out[len++] = (uint8_t)c;
    }
    return len;
}

size_t etf__atom_bytes(etf_writer *w, const char *text, size_t n,
                       uint8_t out[ETF__ATOM_ROOM]) {
    size_t len = SIZE_MAX;
    uint8_t *p = out;

    if (!good_atom(w, text, n))
        return 0;
    if ((w->mode & ETF_LATIN1_ATOMS) != 0)
        len = to_latin1((const uint8_t *)text, n, out + 3);
    if (len != SIZE_MAX) {
        (void)cn__put16(cn__put8(p, ETF__ATOM), (uint16_t)len);
        return 3 + len;
    }
    if (n <= UINT8_MAX)
        p = cn__put8(cn__put8(p, ETF__SMALL_ATOM_UTF8), (uint8_t)n);
    else
        p = cn__put16(cn__put8(p, ETF__ATOM_UTF8), (uint16_t)n);
    p = cn__put_bytes(p, text, n);
    return (size_t)(p - out);
}

static ETF__SLOW void put_any_atom(etf_writer *w, const char *text, size_t n) {
    uint8_t room[ETF__ATOM_ROOM], *p;
    size_t len = etf__atom_bytes(w, text, n, room);

    if (len == 0)
        return;
    p = etf__put(w, len, 0);
    if (p != NULL)
        (void)cn__put_bytes(p, room, len);
}

static inline void put_text_atom(etf_writer *w, const char *text, size_t n) {
    uint8_t *p;

    if (n <= ETF__ATOM_CHARS && etf__roomy(w, n) && text != NULL &&
        (w->mode & ETF_LATIN1_ATOMS) == 0) {
        p = w->data + w->len;
        if (etf__copy_ascii(p + 2, text, n)) {
            (void)cn__put8(cn__put8(p, ETF__SMALL_ATOM_UTF8), (uint8_t)n);
            w->len += 2 + n;
            return;
        }
    }
    put_any_atom(w, text, n);
}

void etf__other_atom(etf_writer *w, const char *text, size_t n) {
    put_text_atom(w, text, n);
}

void etf_put_bool(etf_writer *w, bool v) {
    put_text_atom(w, v ? "true" : "false", v ? 4 : 5);
}

void etf__put_export(etf_writer *w, etf_view module, etf_view function,
                     uint32_t arity) {
    uint8_t m[ETF__ATOM_ROOM], f[ETF__ATOM_ROOM], *p;
    bool small = arity <= UINT8_MAX;
    size_t mn = etf__atom_bytes(w, (const char *)module.data, module.len, m);
    size_t fn =
        etf__atom_bytes(w, (const char *)function.data, function.len, f);

    if (mn == 0 || fn == 0)
        return;
    p = etf__put(w, 1 + mn + fn + (small ? 2 : 5), 0);
    if (p == NULL)
        return;
    p = cn__put_bytes(cn__put8(p, ETF__EXPORT), m, mn);
    p = cn__put_bytes(p, f, fn);
    if (small)
        (void)cn__put8(cn__put8(p, ETF__SMALL_INTEGER), (uint8_t)arity);
    else
        (void)cn__put32(cn__put8(p, ETF__INTEGER), arity);
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

void etf_put_export_n(etf_writer *w, etf_view module, etf_view function,
                      uint8_t arity) {
    etf__put_export(w, module, function, arity);
}

/* Lengths are u32; and the size of a LIST_EXT, two bytes for each, is a size_t
 * everywhere. */
#define BYTES_MAX                                                              \
    (SIZE_MAX / 2 - 8 < UINT32_MAX ? SIZE_MAX / 2 - 8 : UINT32_MAX)

/* data NULL with bytes to take is the caller's slip. */
static bool good_bytes(etf_writer *w, const void *data, size_t n) {
    if (n > BYTES_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else if (data == NULL && n > 0)
        etf_writer_fail(w, CN_EBADARG);
    else
        return true;
    return false;
}

static ETF__SLOW void put_any_binary(etf_writer *w, const void *data,
                                     size_t n) {
    uint8_t *p;

    if (!good_bytes(w, data, n))
        return;
    p = etf__put(w, 5 + n, 0);
    if (p == NULL)
        return;
    p = cn__put32(cn__put8(p, ETF__BINARY), (uint32_t)n);
    (void)cn__put_bytes(p, data, n);
}

static inline void put_binary(etf_writer *w, const void *data, size_t n) {
    uint8_t *p;

    if (n > UINT32_MAX || !etf__roomy(w, n) || data == NULL) {
        put_any_binary(w, data, n);
        return;
    }
    p = cn__put8(w->data + w->len, ETF__BINARY);
    copy(cn__put32(p, (uint32_t)n), data, n);
    w->len += 5 + n;
}

void etf__other_binary(etf_writer *w, const void *data, size_t n) {
    put_binary(w, data, n);
}

void etf_put_bits(etf_writer *w, const void *data, size_t bits) {
    size_t n = bits / 8 + (bits % 8 != 0 ? 1 : 0);
    uint8_t *p, used = (uint8_t)(bits % 8);

    if (used == 0) {
        put_binary(w, data, n);
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

static ETF__SLOW void put_any_string(etf_writer *w, const char *bytes,
                                     size_t n) {
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

void etf__other_string(etf_writer *w, const char *bytes, size_t n) {
    uint8_t *p;

    if (n - 1 >= ETF__STRING_MAX || !etf__roomy(w, n) || bytes == NULL) {
        put_any_string(w, bytes, n);
        return;
    }
    p = cn__put8(w->data + w->len, ETF__STRING);
    copy(cn__put16(p, (uint16_t)n), bytes, n);
    w->len += 3 + n;
}

/* --- binaries by reference --------------------------------------------------
 *
 *   data   | ... 109 n | ... 109 n | ... |       len bytes
 *                      ^at         ^at
 *   refs         bytes       bytes               ref_bytes bytes
 */

static bool keep_ref(etf_writer *w, const void *data, size_t n) {
    size_t cap = w->cap_refs == 0 ? 4 : 2 * w->cap_refs;
    struct etf__piece *refs;

    if (__builtin_add_overflow(w->ref_bytes, n, &w->ref_bytes))
        return false;
    if (w->n_refs == w->cap_refs) {
        refs = cn__resize(w->alloc, w->refs, w->cap_refs, cap, sizeof *refs);
        if (refs == NULL)
            return false;
        w->refs = refs;
        w->cap_refs = cap;
    }
    w->refs[w->n_refs++] = (struct etf__piece){w->len, {data, n}};
    return true;
}

void etf_put_binary_ref(etf_writer *w, const void *data, size_t n) {
    uint8_t *p;

    if (n < ETF_REF_MIN || w->alloc == NULL) {
        put_binary(w, data, n);
        return;
    }
    if (!good_bytes(w, data, n))
        return;
    p = etf__put(w, 5, 0);
    if (p == NULL)
        return;
    (void)cn__put32(cn__put8(p, ETF__BINARY), (uint32_t)n);
    if (!keep_ref(w, data, n))
        etf_writer_fail(w, CN_ENOMEM);
}

/* Copies them in, from the last to the first. */
static void join_refs(etf_writer *w) {
    size_t from = w->len, to, n;

    if (etf__put_more(w, w->ref_bytes) == NULL)
        return;
    to = w->len;
    for (size_t i = w->n_refs; i > 0; i--) {
        const struct etf__piece *r = &w->refs[i - 1];
        n = from - r->at;
        to -= n;
        memmove(w->data + to, w->data + r->at, n);
        to -= r->bytes.len;
        memcpy(w->data + to, r->bytes.data, r->bytes.len);
        from = r->at;
    }
    w->n_refs = 0;
    w->ref_bytes = 0;
}

/* A list was not ended? And maps are sorted when all of them is there. */
int etf__put_verdict(etf_writer *w) {
    bool sort = (w->mode & ETF_DETERMINISTIC) != 0;

    if (w->depth != 0)
        etf_writer_fail(w, CN_EBUG);
    if (w->err == 0 && w->n_refs > 0 && sort)
        join_refs(w);
    if (w->err == 0 && w->len > w->settled && sort)
        etf__settle(w);
    return w->err;
}

int etf_writer_finish(etf_writer *w, etf_view *out) {
    if (etf__put_verdict(w) == 0 && w->n_refs > 0)
        join_refs(w);
    if (out != NULL)
        *out = (etf_view){w->data, w->len};
    return w->err;
}

size_t etf_writer_size(const etf_writer *w) {
    size_t size;

    return __builtin_add_overflow(w->len, w->ref_bytes, &size) ? SIZE_MAX
                                                               : size;
}

static void slice(etf_view *v, size_t nv, size_t *n, etf_view piece) {
    if (piece.len == 0)
        return;
    if (*n < nv)
        v[*n] = piece;
    ++*n;
}

int etf_writer_slices(etf_writer *w, etf_view *v, size_t nv, size_t *n) {
    size_t at = 0;

    *n = 0;
    if (etf__put_verdict(w) != 0)
        return w->err;
    for (size_t i = 0; i < w->n_refs; i++) {
        const struct etf__piece *r = &w->refs[i];
        slice(v, nv, n, (etf_view){w->data + at, r->at - at});
        slice(v, nv, n, r->bytes);
        at = r->at;
    }
    if (w->len > at)
        slice(v, nv, n, (etf_view){w->data + at, w->len - at});
    return *n > nv ? CN_ELIMIT : 0;
}

/* --- headers ----------------------------------------------------------------
 */

static void put_header(etf_writer *w, uint8_t tag, size_t n,
                       uint64_t children) {
    uint8_t *p = etf__put(w, 5, children);

    if (p != NULL)
        (void)cn__put32(cn__put8(p, tag), (uint32_t)n);
}

void etf__other_tuple(etf_writer *w, size_t n) {
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

void etf__other_map(etf_writer *w, size_t n) {
    if (n > INT32_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else
        put_header(w, ETF__MAP, n, 2 * (uint64_t)n);
}

static void put_any_nil(etf_writer *w) {
    uint8_t *p = etf__put(w, 1, 0);

    if (p != NULL)
        *p = ETF__NIL;
}

void etf__other_list(etf_writer *w, size_t n) {
    if (n > UINT32_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else if (n == 0)
        put_any_nil(w);
    else
        put_header(w, ETF__LIST, n, (uint64_t)n + 1);
}

/* The functions that ext_term.h has inline are here too. */
extern inline bool etf__put_two(etf_writer *w, uint8_t tag, uint8_t v);
extern inline bool etf__put_five(etf_writer *w, uint8_t tag, uint32_t v);
extern inline void etf_put_int(etf_writer *w, int64_t v);
extern inline void etf_put_float(etf_writer *w, double v);
extern inline void etf_put_tuple(etf_writer *w, size_t n);
extern inline void etf_put_map(etf_writer *w, size_t n);
extern inline void etf_put_list(etf_writer *w, size_t n);
extern inline void etf_put_nil(etf_writer *w);
extern inline uint8_t *etf__put_short(etf_writer *w, size_t head,
                                      const void *text, size_t n);
extern inline uint64_t etf__copy_short(uint8_t *to, const void *text, size_t n);
extern inline void etf_put_atom(etf_writer *w, const char *text);
extern inline void etf_put_atom_n(etf_writer *w, const char *text, size_t n);
extern inline void etf_put_binary(etf_writer *w, const void *data, size_t n);
extern inline void etf_put_binary_str(etf_writer *w, const char *text);
extern inline void etf_put_string(etf_writer *w, const char *bytes, size_t n);

void etf_put_term(etf_writer *w, etf_view term) {
    uint8_t *p;

    if (term.data == NULL || term.len == 0) {
        etf_writer_fail(w, CN_EBADARG);
        return;
    }
    if (term.len == 2 && term.data[0] == ETF__SMALL_INTEGER) {
        etf_put_uint(w, term.data[1]);
        return;
    }
    p = etf__put(w, term.len, 0);
    if (p != NULL)
        (void)cn__put_bytes(p, term.data, term.len);
}
