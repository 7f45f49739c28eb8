/* SPDX-License-Identifier: Apache-2.0
 *
 * reader.h: what reader.c, next.c and skip.c share (internal): the quick way
 * through the usual heads. It only ever accepts: what it does not know, or
 * finds wrong, is left to etf__head_read, which knows all and says where the
 * error is.
 */
#ifndef EXT_TERM_READER_H
#define EXT_TERM_READER_H

#include "ext_term/term.h"

/* Reads the next head without moving; the second goes behind it. */
bool etf__look(etf_reader *r, etf__head *h);
void etf__move(etf_reader *r, const etf__head *h);
static inline const etf_atoms *etf__atoms(const etf_reader *r) {
    return r->atoms.n > 0 ? &r->atoms : NULL;
}
/* The next n elements are the bytes of a STRING_EXT, as behind its head. */
void etf__into_string(etf_reader *r, uint32_t n);
/* Latches an error at this byte. */
void etf__fail_at(etf_reader *r, int code, size_t at);

/* The bytes from the next term on; 0 where the quick way is closed: at the
 * end, after an error and inside a string. */
static inline size_t etf__quick(const etf_reader *r) {
    return r->at < r->stop ? (size_t)(r->stop - r->at) : 0;
}

static inline uint64_t etf__word(const uint8_t *p) {
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

#define ETF__HIGH 0x8080808080808080ULL

/* Are the first n bytes, 1 to 8, of eight below 128? */
static inline bool etf__ascii8(const uint8_t *p, size_t n) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (etf__word(p) & ETF__HIGH >> (64 - 8 * n)) == 0;
#else
    return (etf__word(p) & ETF__HIGH << (64 - 8 * n)) == 0;
#endif
}

/* Are the n bytes below 128? `left` may be read, at least n. Eight at a time;
 * the last eight overlap those before. */
static inline bool etf__ascii(const uint8_t *p, size_t n, size_t left) {
    uint64_t all = 0;

    if (n - 1 < 8 && left >= 8)
        return etf__ascii8(p, n);
    if (n >= 8) {
        all = etf__word(p) | etf__word(p + n - 8);
        for (size_t i = 8; i + 8 < n; i += 8)
            all |= etf__word(p + i);
        return (all & ETF__HIGH) == 0;
    }
    for (size_t i = 0; i < n; i++)
        all |= p[i];
    return (all & 0x80) == 0;
}

static inline bool etf__finite(const uint8_t *p) {
    return (cn__be16(p) & 0x7ff0) != 0x7ff0;
}

static inline double etf__double(const uint8_t *p) {
    uint64_t bits = cn__be64(p);
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The size of an ASCII atom of a usual tag, else 0. */
static inline size_t etf__usual_atom(const uint8_t *p, size_t left) {
    size_t n;

    if (left < 3)
        return 0;
    if (*p == ETF__SMALL_ATOM_UTF8) {
        n = p[1];
        return n <= left - 2 && etf__ascii(p + 2, n, left - 2) ? n + 2 : 0;
    }
    if (*p != ETF__ATOM && *p != ETF__ATOM_UTF8)
        return 0;
    n = cn__be16(p + 1);
    if (n > ETF__ATOM_CHARS || n > left - 3)
        return 0;
    return etf__ascii(p + 3, n, left - 3) ? n + 3 : 0;
}

/* Tag, ASCII node as a small atom, and `rest` bytes more. */
static inline size_t etf__usual_id(const uint8_t *p, size_t left, size_t before,
                                   size_t rest) {
    size_t n;

    if (left < before + 2 || p[before] != ETF__SMALL_ATOM_UTF8)
        return 0;
    n = p[before + 1];
    if (before + 2 + n + rest > left ||
        !etf__ascii(p + before + 2, n, n + rest))
        return 0;
    return before + 2 + n + rest;
}

static inline size_t etf__usual_ref(const uint8_t *p, size_t left) {
    if (left < 3 || cn__be16(p + 1) > ETF_REF_WORDS)
        return 0;
    return etf__usual_id(p, left, 3, 4 + 4 * (size_t)p[2]);
}

/* The size of a head, all of whose bytes are there and right, and how many
 * terms follow; that these have a byte each is not checked. 0 for what is not
 * usual. left > 0. */
static inline size_t etf__usual(const uint8_t *p, size_t left,
                                uint64_t *children) {
    size_t size;

    *children = 0;
    switch (*p) {
    case ETF__SMALL_INTEGER:
        return left < 2 ? 0 : 2;
    case ETF__INTEGER:
        return left < 5 ? 0 : 5;
    case ETF__NIL:
        return 1;
    case ETF__NEW_FLOAT:
        return left >= 9 && etf__finite(p + 1) ? 9 : 0;
    case ETF__SMALL_ATOM_UTF8:
    case ETF__ATOM:
    case ETF__ATOM_UTF8:
        return etf__usual_atom(p, left);
    case ETF__SMALL_TUPLE:
        if (left < 2)
            return 0;
        *children = p[1];
        return 2;
    case ETF__LIST:
        if (left < 5)
            return 0;
        *children = (uint64_t)cn__be32(p + 1) + 1;
        return *children == 1 ? 0 : 5;
    case ETF__MAP:
        if (left < 5)
            return 0;
        *children = (uint64_t)cn__be32(p + 1) * 2;
        return *children > (uint64_t)INT32_MAX * 2 ? 0 : 5;
    case ETF__STRING:
        size = left < 3 ? 0 : (size_t)cn__be16(p + 1) + 3;
        return size > left || size == 3 ? 0 : size;
    case ETF__BINARY:
        size = left < 5 ? 0 : (size_t)cn__be32(p + 1) + 5;
        return size > left ? 0 : size;
    case ETF__SMALL_BIG:
        size = left < 3 ? 0 : (size_t)p[1] + 3;
        return size > left ? 0 : size;
    case ETF__NEW_PID:
    case ETF__V4_PORT:
        return etf__usual_id(p, left, 1, 12);
    case ETF__NEWER_REFERENCE:
        return etf__usual_ref(p, left);
    default:
        return 0;
    }
}

/* The size of an index into the table, or of a pid whose node is one; else 0.
 * left > 0. */
static inline size_t etf__usual_index(const uint8_t *p, size_t left,
                                      const etf_atoms *atoms) {
    if (*p == ETF__ATOM_CACHE_REF)
        return left >= 2 && p[1] < atoms->n ? 2 : 0;
    return left >= 15 && *p == ETF__NEW_PID && p[1] == ETF__ATOM_CACHE_REF &&
                   p[2] < atoms->n
               ? 15
               : 0;
}

/* The type that a usual head has. */
static inline etf_type etf__usual_type(uint8_t tag) {
#define ETF__TAG_TYPE(name, value, type, shape) [(value)] = (type),
    static const uint8_t types[256] = {ETF__TAG_MAP(ETF__TAG_TYPE)};
#undef ETF__TAG_TYPE

    return (etf_type)types[tag];
}

#endif
