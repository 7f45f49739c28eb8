/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.c: reads what is in an index.
 */
#include <math.h>

#include "ext_term/index.h"

#define ROW1(n) ETF__SMALL_INTEGER, (n)
#define ROW4(n) ROW1(n), ROW1((n) + 1), ROW1((n) + 2), ROW1((n) + 3)
#define ROW16(n) ROW4(n), ROW4((n) + 4), ROW4((n) + 8), ROW4((n) + 12)
#define ROW64(n) ROW16(n), ROW16((n) + 16), ROW16((n) + 32), ROW16((n) + 48)

/* The terms 0 to 255, and []. */
static const uint8_t byte_terms[] = {ROW64(0), ROW64(64), ROW64(128),
                                     ROW64(192), ETF__NIL};

#define NODE1(v)                                                               \
    { .at = ETF__NODE_BYTE, .n = (v) }
#define NODE4(n) NODE1(n), NODE1((n) + 1), NODE1((n) + 2), NODE1((n) + 3)
#define NODE16(n) NODE4(n), NODE4((n) + 4), NODE4((n) + 8), NODE4((n) + 12)
#define NODE64(n)                                                              \
    NODE16(n), NODE16((n) + 16), NODE16((n) + 32), NODE16((n) + 48)

static const etf_node byte_nodes[] = {NODE64(0), NODE64(64), NODE64(128),
                                      NODE64(192), NODE1(ETF__BYTE_NIL)};

static etf_view view_of(const etf_index *x, const etf_node *node) {
    if (node->at != ETF__NODE_BYTE)
        return (etf_view){x->data + node->at, node->end - node->at};
    return (etf_view){byte_terms + (size_t)2 * node->n,
                      node->n == ETF__BYTE_NIL ? 1 : 2};
}

void etf__node_head(const etf_index *x, const etf_node *node, etf__head *h) {
    etf_view v = view_of(x, node);
    cn_cursor c = cn__cursor(v.data, v.len);

    (void)etf__head_read(&c, h);
    if (h->type == ETF_LIST) /* joined: more than the head says */
        h->n = node->n;
}

/* The head of a term that may be none. */
static bool head_of(const etf_index *x, const etf_node *node, etf__head *h) {
    *h = (etf__head){.type = ETF_NONE};
    if (node != NULL)
        etf__node_head(x, node, h);
    return node != NULL;
}

/* --- the shape ------------------------------------------------------------ */

const etf_node *etf_index_root(const etf_index *x) {
    return x->n > 0 ? x->nodes : NULL;
}

static const uint8_t types[256] = {
#define TYPE_OF(name, value, type, shape) [value] = (type),
    ETF__TAG_MAP(TYPE_OF)
#undef TYPE_OF
};

etf_type etf_index_type(const etf_index *x, const etf_node *node) {
    const uint8_t *p;

    if (node == NULL)
        return ETF_NONE;
    p = view_of(x, node).data;
    if (*p == ETF__STRING && node->n == 0)
        return ETF_NIL;
    if (*p == ETF__BIT_BINARY && p[5] == 8)
        return ETF_BINARY;
    return (etf_type)types[*p];
}

uint32_t etf_index_size(const etf_index *x, const etf_node *node) {
    switch (etf_index_type(x, node)) {
    case ETF_TUPLE:
    case ETF_LIST:
    case ETF_MAP:
    case ETF_RECORD:
    case ETF_FUN:
    case ETF_BINARY:
    case ETF_BITSTRING:
    case ETF_ATOM:
        return node->n;
    default:
        return 0;
    }
}

etf_view etf_index_view(const etf_index *x, const etf_node *node) {
    return node != NULL ? view_of(x, node) : (etf_view){0};
}

static bool is_string(const etf_index *x, const etf_node *node) {
    return x->data[node->at] == ETF__STRING;
}

const etf_node *etf_index_nth(const etf_index *x, const etf_node *node,
                              uint32_t i) {
    switch (etf_index_type(x, node)) {
    case ETF_LIST:
        if (i < node->n && is_string(x, node))
            return &byte_nodes[x->data[node->end - node->n + i]];
        break;
    case ETF_TUPLE:
    case ETF_RECORD:
    case ETF_FUN:
        break;
    default:
        return NULL;
    }
    return i < node->n ? &x->nodes[node->first + i] : NULL;
}

const etf_node *etf_index_tail(const etf_index *x, const etf_node *list) {
    if (etf_index_type(x, list) != ETF_LIST)
        return NULL;
    if (is_string(x, list))
        return &byte_nodes[ETF__BYTE_NIL];
    return &x->nodes[list->first + list->n];
}

const etf_node *etf_index_key(const etf_index *x, const etf_node *map,
                              uint32_t i) {
    if (etf_index_type(x, map) != ETF_MAP || i >= map->n)
        return NULL;
    return &x->nodes[map->first + 2 * i];
}

const etf_node *etf_index_value(const etf_index *x, const etf_node *map,
                                uint32_t i) {
    const etf_node *key = etf_index_key(x, map, i);

    return key != NULL ? key + 1 : NULL;
}

/* --- values --------------------------------------------------------------- */

static int expect(const etf_index *x, const etf_node *node, etf_type type,
                  etf__head *h) {
    if (!head_of(x, node, h))
        return CN_ENOENT;
    return h->type == type ? 0 : CN_ETYPE;
}

int etf_index_i64(const etf_index *x, const etf_node *node, int64_t *v) {
    etf__head h;
    int err = expect(x, node, ETF_INT, &h);

    return err != 0 ? err : etf__head_i64(&h, v);
}

int etf_index_u64(const etf_index *x, const etf_node *node, uint64_t *v) {
    etf__head h;
    int err = expect(x, node, ETF_INT, &h);

    return err != 0 ? err : etf__head_u64(&h, v);
}

int etf_index_f64(const etf_index *x, const etf_node *node, double *v) {
    etf__head h;
    int64_t i;
    int err = expect(x, node, ETF_FLOAT, &h);

    if (err == 0)
        *v = etf__head_float(&h);
    if (err != CN_ETYPE || h.type != ETF_INT)
        return err;
    err = etf__head_i64(&h, &i);
    if (err != 0 || i > (1LL << 53) || i < -(1LL << 53))
        return CN_ERANGE;
    *v = (double)i;
    return 0;
}

static int atom_bytes(const etf__head *h, etf_view *out) {
    uint8_t room[ETF__LATIN1_ROOM];
    etf_view text = etf__head_text(h, room);

    if (text.data == room)
        return CN_ENOTSUP;
    *out = text;
    return 0;
}

int etf_index_bytes(const etf_index *x, const etf_node *node, etf_view *out) {
    etf__head h;

    *out = (etf_view){0};
    if (!head_of(x, node, &h))
        return CN_ENOENT;
    switch (h.type) {
    case ETF_ATOM:
        return atom_bytes(&h, out);
    case ETF_NIL:
        return 0;
    case ETF_LIST:
        if (h.tag != ETF__STRING)
            return CN_ETYPE;
        break;
    case ETF_BINARY:
        break;
    default:
        return CN_ETYPE;
    }
    *out = (etf_view){h.body, h.n};
    return 0;
}
