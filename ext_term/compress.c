/* SPDX-License-Identifier: Apache-2.0
 *
 * compress.c: what term_to_binary(Term, [{compressed, Level}]) makes:
 *
 *   | 131 | 80 | size of the term 4 | zlib stream |     or   | 131 | term |
 *
 * whichever is shorter. zlib gives the same stream for the same bytes, whether
 * it gets them at once or in pieces as in the BEAM.
 */
#include <zlib.h>

#include "base/alloc.h"
#include "ext_term/term.h"

/* --- the stream ------------------------------------------------------------
 */

/* Compresses into at most cap bytes; *n of them, or 0 when it takes more. */
static int deflate_term(cn_alloc *alloc, etf_view term, int level, uint8_t *out,
                        size_t cap, size_t *n) {
    z_stream z = {
        .zalloc = etf__zlib_take, .zfree = etf__zlib_give, .opaque = alloc};
    union {
        const uint8_t *c;
        uint8_t *p;
    } in = {term.data};

    *n = 0;
    if (deflateInit(&z, level) != Z_OK)
        return CN_ENOMEM;
    z.next_in = in.p;
    z.avail_in = (uInt)term.len;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    if (deflate(&z, Z_FINISH) == Z_STREAM_END)
        *n = cap - z.avail_out;
    (void)deflateEnd(&z);
    return 0;
}

static void put_plain(etf_writer *w, etf_view term) {
    uint8_t *p = etf__put(w, 1 + term.len, 0);

    if (p != NULL)
        (void)cn__put_bytes(cn__put8(p, ETF__VERSION), term.data, term.len);
}

static void put_stream(etf_writer *w, size_t size, const uint8_t *out,
                       size_t n) {
    uint8_t *p = etf__put(w, 2 + 4 + n, 0);

    if (p == NULL)
        return;
    p = cn__put8(cn__put8(p, ETF__VERSION), ETF__COMPRESSED);
    (void)cn__put_bytes(cn__put32(p, (uint32_t)size), out, n);
}

/* The form with zlib's stream has 5 bytes more, and is taken when it is not
 * longer for that, as the BEAM does. */
static void put_shorter(etf_writer *w, etf_view term, int level) {
    cn_alloc alloc = *cn__alloc(w->alloc);
    size_t cap = term.len - 5, n;
    uint8_t *out = cn__resize(&alloc, NULL, 0, cap, 1);
    int err = CN_ENOMEM;

    if (out != NULL)
        err = deflate_term(&alloc, term, level, out, cap, &n);
    if (err != 0)
        etf_writer_fail(w, err);
    else if (n == 0)
        put_plain(w, term);
    else
        put_stream(w, term.len, out, n);
    cn__free(&alloc, out, cap, 1);
}

static void put_compressed(etf_writer *w, etf_view term, int level) {
    if (w->depth != 0)
        etf_writer_fail(w, CN_EBUG);
    else if (term.data == NULL || term.len == 0 || level < 0 || level > 9)
        etf_writer_fail(w, CN_EBADARG);
    else if (term.len > UINT32_MAX)
        etf_writer_fail(w, CN_ELIMIT);
    else if (!etf__put_counts(w))
        return;
    else if (level == 0 || term.len <= 5)
        put_plain(w, term);
    else
        put_shorter(w, term, level);
}

/* What is compressed cannot be sorted later, so what was put before is now. */
void etf_put_compressed(etf_writer *w, etf_view term, int level) {
    bool sorted = (w->mode & ETF_DETERMINISTIC) != 0;

    if (sorted && w->depth == 0)
        (void)etf__put_verdict(w);
    put_compressed(w, term, level);
    if (sorted)
        w->settled = w->len;
}
