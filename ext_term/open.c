/* SPDX-License-Identifier: Apache-2.0
 *
 * open.c: the envelope of a term: its version byte, and compression.
 *
 *     | 131 | term |      or      | 131 | 80 | size 4 | zlib stream |
 *
 * The size is that of the inflated term, and exact. It comes from elsewhere, so
 * it is held against the limit, and against what a stream of that length can
 * hold at most, before memory is taken for it.
 */
#include <zlib.h>

#include "base/alloc.h"
#include "ext_term/term.h"

enum {
    STREAM_AT = 6,       /* version, tag, size */
    STREAM_GROWTH = 1032 /* times, at most: 258 bytes for 2 bits */
};

/* --- zlib's memory ----------------------------------------------------------
 * The hook wants to know sizes that zlib does not tell it again. */

typedef union block {
    size_t size;
    max_align_t align;
} block;

void *etf__zlib_take(void *alloc, unsigned items, unsigned size) {
    block *b;
    size_t n;

    if (__builtin_mul_overflow((size_t)items, size, &n) ||
        n > SIZE_MAX - sizeof *b)
        return Z_NULL;
    n += sizeof *b;
    b = cn__resize(alloc, NULL, 0, n, 1);
    if (b == NULL)
        return Z_NULL;
    b->size = n;
    return b + 1;
}

void etf__zlib_give(void *alloc, void *p) {
    block *b = (block *)p - 1;

    cn__free(alloc, b, b->size, 1);
}

/* --- inflation ------------------------------------------------------------ */

/* Inflates to the end of the stream, or until there is no room, or no more to
 * read; zlib counts in less than size_t. */
static int inflate_all(z_stream *z, const uint8_t *p, size_t n) {
    int rc = Z_OK;

    while (rc == Z_OK && n > 0) {
        uInt part = n > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)n;
        union {
            const uint8_t *c;
            Bytef *p;
        } in = {p};
        z->next_in = in.p;
        z->avail_in = part;
        rc = inflate(z, Z_NO_FLUSH);
        p += part - z->avail_in;
        n -= part - z->avail_in;
        if (rc == Z_OK && z->avail_in > 0)
            break; /* no room */
    }
    return rc;
}

static int stream_error(int rc, bool all_read, etf_error *e) {
    if (rc == Z_MEM_ERROR)
        return etf__error(e, CN_ENOMEM, STREAM_AT, cn_strerror(CN_ENOMEM));
    if (rc == Z_STREAM_END)
        return etf__error(e, CN_EBADTERM, STREAM_AT,
                          "the term inflates to less than its size");
    if (rc != Z_OK && rc != Z_BUF_ERROR)
        return etf__error(e, CN_EBADTERM, STREAM_AT, "not a zlib stream");
    if (all_read)
        return etf__error(e, CN_ETRUNC, STREAM_AT,
                          "the bytes end inside a zlib stream");
    return etf__error(e, CN_EBADTERM, STREAM_AT,
                      "the term inflates to more than its size");
}

/* The stream behind the size, into o->owned. */
static int fill(etf_opened *o, etf_view in, etf_error *e) {
    union {
        const cn_alloc *c;
        voidpf p;
    } hook = {o->alloc};
    z_stream z = {
        .zalloc = etf__zlib_take, .zfree = etf__zlib_give, .opaque = hook.p};
    int rc = inflateInit(&z);
    int err = 0;

    if (rc == Z_OK) {
        z.next_out = o->owned;
        z.avail_out = (uInt)o->owned_size;
        rc = inflate_all(&z, in.data + STREAM_AT, in.len - STREAM_AT);
        (void)inflateEnd(&z);
    }
    if (rc != Z_STREAM_END || z.avail_out > 0)
        err = stream_error(rc, STREAM_AT + z.total_in == in.len, e);
    o->used = STREAM_AT + z.total_in;
    return err;
}

static int open_compressed(etf_opened *o, const etf_limits *most, etf_view in,
                           etf_error *e) {
    uint32_t size;
    size_t used;
    int err;

    if (in.len < STREAM_AT)
        return etf__error(e, CN_ETRUNC, in.len,
                          "the bytes end inside a compressed term");
    size = cn__be32(in.data + 2);
    if (size == 0)
        return etf__error(e, CN_EBADTERM, 2, "compressed term of no bytes");
    if (size > most->inflated)
        return etf__error(e, CN_ELIMIT, 2, "too large when inflated");
    if (size / STREAM_GROWTH > in.len - STREAM_AT)
        return etf__error(e, CN_ETRUNC, 2,
                          "so few bytes cannot inflate to that size");
    o->owned = cn__resize(o->alloc, NULL, 0, size, 1);
    if (o->owned == NULL)
        return etf__error(e, CN_ENOMEM, 2, cn_strerror(CN_ENOMEM));
    o->owned_size = size;
    err = fill(o, in, e);
    if (err != 0)
        return err;
    err =
        etf__check_first(o->alloc, most, (etf_view){o->owned, size}, e, &used);
    if (err != 0 && e != NULL)
        e->inflated = true;
    o->term = (etf_view){o->owned, used};
    return err;
}

static int open_plain(etf_opened *o, const etf_limits *most, etf_view in,
                      etf_error *e) {
    size_t used = 0;
    etf_view term = {in.data + 1, in.len - 1};
    int err = etf__check_first(o->alloc, most, term, e, &used);

    if (err != 0 && e != NULL)
        e->at++;
    o->term = (etf_view){term.data, used};
    o->used = used + 1;
    return err;
}

int etf_open(etf_opened *o, const cn_alloc *alloc, const etf_limits *limits,
             etf_view in, etf_error *e) {
    etf_limits most = etf__limits(limits);
    int err;

    *o = (etf_opened){.alloc = cn__alloc(alloc)};
    (void)etf__error(e, 0, 0, "");
    if (in.len == 0)
        return etf__error(e, CN_ETRUNC, 0, ETF__NO_BYTES);
    if (in.data[0] != ETF__VERSION)
        return etf__error(e, CN_EBADTERM, 0, "no version byte (131)");
    if (in.len > 1 && in.data[1] == ETF__COMPRESSED)
        err = open_compressed(o, &most, in, e);
    else
        err = open_plain(o, &most, in, e);
    if (err != 0)
        etf_close(o);
    return err;
}

void etf_close(etf_opened *o) {
    cn__free(o->alloc, o->owned, o->owned_size, 1);
    *o = (etf_opened){.alloc = o->alloc};
}
