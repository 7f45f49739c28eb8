/* SPDX-License-Identifier: Apache-2.0
 *
 * next.c: one call per term. The usual tags are read where they stand, in one
 * step from the tag; the others through their heads.
 */
#include "ext_term/reader.h"

const uint8_t etf__ways[256] = {
    [ETF__SMALL_INTEGER] = ETF__WAY_SMALL_INTEGER,
    [ETF__INTEGER] = ETF__WAY_INTEGER,
    [ETF__NEW_FLOAT] = ETF__WAY_FLOAT,
    [ETF__SMALL_ATOM_UTF8] = ETF__WAY_ATOM,
    [ETF__BINARY] = ETF__WAY_BINARY,
    [ETF__STRING] = ETF__WAY_STRING,
    [ETF__NIL] = ETF__WAY_NIL,
    [ETF__SMALL_TUPLE] = ETF__WAY_TUPLE,
    [ETF__LIST] = ETF__WAY_LIST,
    [ETF__MAP] = ETF__WAY_MAP,
    [ETF__SMALL_BIG] = ETF__WAY_BIG,
};

/* What a head says, as an item. */
static void integer(etf_item *it, const etf__head *h) {
    it->wide = etf__head_i64(h, &it->i) != 0;
    it->negative = h->negative;
    it->bytes = (etf_view){h->body, h->n};
}

static void fill(etf_reader *r, etf_item *it, const etf__head *h) {
    it->n = h->n;
    it->bytes = (etf_view){h->body, h->n};
    if (h->type == ETF_INT)
        integer(it, h);
    else if (h->type == ETF_FLOAT)
        it->f = etf__head_float(h);
    else if (h->type == ETF_ATOM)
        it->bytes = etf__head_text(h, r->scratch);
    else if (h->type == ETF_BITSTRING)
        it->n = h->body[-1];
    else if (h->type >= ETF_PID && h->type <= ETF_RECORD)
        it->bytes = (etf_view){h->at, (size_t)(h->end - h->at)};
    else if (h->tag == ETF__STRING && h->type == ETF_LIST)
        it->type = ETF_STRING;
}

static etf_type rare(etf_reader *r, etf_item *it) {
    etf__head h;

    it->type = ETF_NONE;
    it->children = 0;
    if ((r->at == r->end && !r->in_str) || !etf__look(r, &h))
        return ETF_NONE;
    it->type = h.type;
    it->children = h.children;
    fill(r, it, &h);
    etf__move(r, &h);
    return it->type;
}

static etf_type took(etf_reader *r, etf_item *it, etf_type type, size_t n) {
    r->at += n;
    it->type = type;
    it->children = 0;
    return type;
}

static etf_type took_int(etf_reader *r, etf_item *it, int64_t v, size_t n) {
    r->at += n;
    it->type = ETF_INT;
    it->wide = false;
    it->children = 0;
    it->i = v;
    return ETF_INT;
}

static etf_type took_view(etf_reader *r, etf_item *it, etf_type type,
                          etf_view v) {
    it->bytes = v;
    return took(r, it, type, (size_t)(v.data + v.len - r->at));
}

static etf_type took_head(etf_reader *r, etf_item *it, etf_type type,
                          uint32_t n, uint64_t children, size_t size) {
    r->at += size;
    it->type = type;
    it->n = n;
    it->children = children;
    return type;
}

/* | tag | n 1 | sign 1 | magnitude n, least significant byte first | */
static etf_type big(etf_reader *r, etf_item *it, const uint8_t *p,
                    size_t left) {
    size_t size = left < 3 ? SIZE_MAX : (size_t)p[1] + 3, n;
    bool negative;
    uint64_t m = 0;

    if (size > left)
        return rare(r, it);
    n = size - 3;
    while (n > 0 && p[n + 2] == 0)
        n--;
    negative = p[2] != 0;
    for (size_t i = n <= 8 ? n : 0; i > 0; i--)
        m = m << 8 | p[i + 2];
    if (n <= 8 && m <= (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return took_int(r, it, (int64_t)(negative ? 0 - m : m), size);
    it->wide = true;
    it->negative = negative;
    it->bytes = (etf_view){p + 3, n};
    return took(r, it, ETF_INT, size);
}

/* ETF_PID, ETF_PORT or ETF_REF of `size` bytes; 0: not usual. */
static etf_type id(etf_reader *r, etf_item *it, etf_type type, size_t size) {
    if (size == 0)
        return rare(r, it);
    return took_view(r, it, type, (etf_view){r->at, size});
}

/* NOLINTNEXTLINE(readability-function-size): one flat switch */
etf_type etf__next(etf_reader *r, etf_item *it) {
    size_t left = etf__quick(r), n;
    const uint8_t *p = r->at;

    if (left == 0)
        return rare(r, it);
    switch (*p) {
    case ETF__SMALL_INTEGER:
        if (left < 2)
            break;
        return took_int(r, it, p[1], 2);
    case ETF__INTEGER:
        if (left < 5)
            break;
        return took_int(r, it, (int32_t)cn__be32(p + 1), 5);
    case ETF__SMALL_BIG:
        return big(r, it, p, left);
    case ETF__NEW_FLOAT:
        if (left < 9 || !etf__finite(p + 1))
            break;
        it->f = etf__double(p + 1);
        return took(r, it, ETF_FLOAT, 9);
    case ETF__SMALL_ATOM_UTF8:
        n = etf__usual_atom(p, left);
        if (n == 0)
            break;
        return took_view(r, it, ETF_ATOM, (etf_view){p + 2, n - 2});
    case ETF__ATOM:
        n = etf__usual_atom(p, left);
        if (n == 0)
            break;
        return took_view(r, it, ETF_ATOM, (etf_view){p + 3, n - 3});
    case ETF__BINARY:
        if (left < 5 || cn__be32(p + 1) > left - 5)
            break;
        return took_view(r, it, ETF_BINARY, (etf_view){p + 5, cn__be32(p + 1)});
    case ETF__STRING:
        if (left < 3 || cn__be16(p + 1) > left - 3 || cn__be16(p + 1) == 0)
            break;
        return took_view(r, it, ETF_STRING, (etf_view){p + 3, cn__be16(p + 1)});
    case ETF__NIL:
        return took(r, it, ETF_NIL, 1);
    case ETF__SMALL_TUPLE:
        if (left < 2 || p[1] > left - 2)
            break;
        return took_head(r, it, ETF_TUPLE, p[1], p[1], 2);
    case ETF__LIST:
        n = left < 5 ? 0 : cn__be32(p + 1);
        if (n == 0 || n >= left - 5)
            break;
        return took_head(r, it, ETF_LIST, (uint32_t)n, (uint64_t)n + 1, 5);
    case ETF__MAP:
        n = left < 5 ? SIZE_MAX : cn__be32(p + 1);
        if (n > INT32_MAX || n * 2 > left - 5)
            break;
        return took_head(r, it, ETF_MAP, (uint32_t)n, (uint64_t)n * 2, 5);
    case ETF__NEW_PID:
        return id(r, it, ETF_PID, etf__usual_id(p, left, 1, 12));
    case ETF__V4_PORT:
        return id(r, it, ETF_PORT, etf__usual_id(p, left, 1, 12));
    case ETF__NEWER_REFERENCE:
        return id(r, it, ETF_REF, etf__usual_ref(p, left));
    default:
        break;
    }
    return rare(r, it);
}
