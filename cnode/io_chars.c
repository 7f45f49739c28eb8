/* SPDX-License-Identifier: Apache-2.0
 *
 * io_chars.c: chardata as text. The characters of a nested list stand in the
 * bytes of the term in the order in which they are to be written, so the walk
 * needs no stack: it enters lists and passes over their ends.
 */
#include "cnode/io_parts.h"
#include "ext_term/term.h"

typedef struct walk {
    cnode_io_encoding encoding;
    cnode_io_sink put; /* NULL: only looks */
    void *ctx;
} walk;

static void put_bytes(const walk *w, const void *bytes, size_t len) {
    if (w->put != NULL && len > 0)
        w->put(w->ctx, bytes, len);
}

static bool put_char(const walk *w, uint64_t c) {
    uint8_t out[4] = {(uint8_t)c};
    size_t len = 1;

    if (w->encoding == CNODE_IO_BYTES ? c > 0xff : c > 0x10ffff)
        return false;
    if (w->encoding != CNODE_IO_BYTES)
        len = etf__utf8_put(out, (uint32_t)c);
    put_bytes(w, out, len);
    return len > 0;
}

/* Bytes that are characters. */
static void put_latin1(const walk *w, etf_view v) {
    uint8_t out[256];
    size_t n = 0;

    for (size_t i = 0; i < v.len; i++) {
        if (n > sizeof out - 2) {
            put_bytes(w, out, n);
            n = 0;
        }
        n += etf__utf8_put(out + n, v.data[i]);
    }
    put_bytes(w, out, n);
}

static bool put_binary(const walk *w, etf_view v) {
    if (w->encoding == CNODE_IO_LATIN1) {
        put_latin1(w, v);
        return true;
    }
    if (w->put == NULL && w->encoding == CNODE_IO_UNICODE &&
        etf__utf8_count(v.data, v.len) == SIZE_MAX)
        return false;
    put_bytes(w, v.data, v.len);
    return true;
}

static bool put_item(const walk *w, const etf_item *it) {
    switch (it->type) {
    case ETF_NIL:
    case ETF_LIST:
        return true;
    case ETF_INT:
        return !it->wide && it->i >= 0 && put_char(w, (uint64_t)it->i);
    case ETF_BINARY:
        return put_binary(w, it->bytes);
    case ETF_STRING:
        if (w->encoding == CNODE_IO_BYTES)
            put_bytes(w, it->bytes.data, it->bytes.len);
        else
            put_latin1(w, it->bytes);
        return true;
    default:
        return false;
    }
}

static int go(const walk *w, etf_view chars) {
    etf_item it = {0};
    etf_reader r;

    etf_reader_init(&r, chars);
    for (uint64_t left = 1; left > 0; left += it.children - 1)
        if (etf_next(&r, &it) == ETF_NONE || !put_item(w, &it))
            return CN_ETYPE;
    return 0;
}

int cnode_io_chars(etf_view chars, cnode_io_encoding e, cnode_io_sink put,
                   void *ctx) {
    const walk look = {.encoding = e};
    const walk write = {e, put, ctx};
    etf_type type = etf_type_of(chars);

    /* A character alone is none. */
    if ((type != ETF_LIST && type != ETF_NIL && type != ETF_BINARY) ||
        go(&look, chars) != 0)
        return CN_ETYPE;
    return put == NULL ? 0 : go(&write, chars);
}

int cnode__io_text(etf_view term, cnode_io_encoding e, cnode_io_sink put,
                   void *ctx) {
    etf_view atom;

    if (etf_match(term, "~a", &atom) != 0)
        return cnode_io_chars(term, e, put, ctx);
    put(ctx, atom.data, atom.len);
    return 0;
}

/* --- a text that grows --------------------------------------------------- */

void cnode__text_init(cnode__text *t, const cn_alloc *alloc) {
    cn__buf_init(&t->buf, alloc);
    t->failed = false;
}

void cnode__text_free(cnode__text *t) {
    cn__buf_free(&t->buf);
}

void cnode__text_put(void *ctx, const void *text, size_t len) {
    cnode__text *t = ctx;

    if (!t->failed && cn__buf_append(&t->buf, text, len) != 0)
        t->failed = true;
}
