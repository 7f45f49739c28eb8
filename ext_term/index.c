/* SPDX-License-Identifier: Apache-2.0
 *
 * index.c: makes an index in one pass over the bytes. The form of it is in
 * index.h, its hash tables in keys.c.
 *
 * When a head with children comes, their nodes are reserved in a row, and
 * filled as the terms come. A node that is not complete keeps in `end` which
 * node is its parent and in `n` how many terms come behind it in its row, so
 * the pass needs no stack and no memory but that of the nodes, at any depth.
 * Every term that was announced takes a byte, and no more of them are believed
 * than there are bytes, so there are never more nodes than bytes.
 *
 * The usual heads are read by `build_usual`, which has a short way for what
 * deep terms consist of: tuples that begin with a tuple, and rows that end soon
 * after a container. Everything that is rare or wrong goes through
 * etf__head_read, which judges it.
 */
#include "ext_term/index.h"
#include "base/alloc.h"
#include "ext_term/reader.h"

enum {
    PAIRS_MAX = 1 << 30,
    HEAD_MAX = 9,        /* bytes of a usual head without its text */
    TUPLE_MAX = 2 + 255, /* of a small tuple, with one for each element */
    FULL = 1             /* as an error: the memory is too small */
};
#define NONE UINT32_MAX

/* What moves; it is kept in registers, so nothing but what is inlined gets a
 * pointer to the one that is used. What finds bytes and nodes is as wide as an
 * address, though 32 bits would do, so that it need not be widened for it. */
typedef struct place {
    size_t pos;      /* of the byte that comes */
    etf_node *node;  /* of the term that comes */
    size_t parent;   /* one more than the number of its parent; 0: none */
    size_t used;     /* nodes, from the start */
    uint32_t left;   /* terms that come in its row, with this one */
    uint32_t levels; /* that may still be opened */
    uint64_t atoms;
} place;

typedef struct build {
    etf_index *x;
    etf_limits limits;
    const uint8_t *data;
    etf_node *nodes;
    size_t len;
    size_t safe; /* up to here the usual may be looked for */
    uint32_t cap;
    uint32_t top;    /* where the nodes of joined lists begin */
    uint32_t slots;  /* nodes that are slots of tables */
    size_t used_max; /* nodes, while there are no more slots */
    uint64_t budget; /* steps that the keys may take */
    bool tables;
    bool joined; /* it was for lists that are joined */
    place at;    /* while something rare is done, and at the end */
} build;

#define INLINE __attribute__((always_inline)) static inline

/* --- leaves --------------------------------------------------------------- */

/* Of a head of `head` bytes and n more: all of it, or 0. */
static inline size_t text(size_t left, size_t head, uint32_t n, uint32_t *out) {
    *out = n;
    return left - head >= n ? head + n : 0;
}

static inline size_t leaf_float(const uint8_t *p, uint32_t *n) {
    *n = 8;
    return (cn__be16(p + 1) & 0x7ff0) == 0x7ff0 ? 0 : 9;
}

static inline size_t leaf_big(const uint8_t *p, size_t left, uint32_t *n) {
    size_t size = text(left, 3, p[1], n);

    return size > 3 && p[size - 1] != 0 ? size : 0;
}

/* The size of a leaf of a usual tag that is always of the same; else 0. All but
 * one byte of it are its data. */
static const uint8_t fixed[256] = {
    [ETF__SMALL_INTEGER] = 2, [ETF__INTEGER] = 5, [ETF__NIL] = 1};

/* The size of a leaf of another usual tag, and *n for its node; 0 for what is
 * something else. */
INLINE size_t leaf(const uint8_t *p, size_t left, uint32_t *n) {
    switch (*p) {
    case ETF__ATOM:
        return p[1] == 0 ? text(left, 3, p[2], n) : 0;
    case ETF__BINARY:
        return text(left, 5, cn__be32(p + 1), n);
    case ETF__STRING:
        return text(left, 3, cn__be16(p + 1), n);
    case ETF__NEW_FLOAT:
        return leaf_float(p, n);
    case ETF__SMALL_BIG:
        return leaf_big(p, left, n);
    default:
        return 0;
    }
}

/* The node that comes, of a term without children. True. */
INLINE bool put_leaf(place *at, size_t size, uint32_t n) {
    size_t end = at->pos + size;

    *at->node++ = (etf_node){(uint32_t)at->pos, (uint32_t)end, 0, n};
    at->pos = end;
    at->left--;
    return true;
}

INLINE bool build_leaf(const build *b, place *at) {
    const uint8_t *p = b->data + at->pos;
    uint32_t n = 0;
    size_t size = leaf(p, b->len - at->pos, &n);

    if (size == 0 || (*p == ETF__SMALL_BIG && n > b->limits.big_bytes))
        return false;
    at->atoms += *p == ETF__ATOM;
    return put_leaf(at, size, n);
}

INLINE bool build_atom(const build *b, place *at) {
    const uint8_t *name = b->data + at->pos + 2;
    size_t n = name[-1], left = b->len - at->pos - 2;

    if (n > left || !etf__ascii(name, n, left))
        return false;
    at->atoms++;
    return put_leaf(at, 2 + n, (uint32_t)n);
}

/* --- containers ----------------------------------------------------------- */

INLINE size_t number_of(const build *b, const etf_node *node) {
    return (size_t)(node - b->nodes);
}

/* Half of what is known of a node with children; put_row writes the rest. All
 * at once would be put together by compilers, in one store, and that takes
 * longer than four: what is often done has its checks between the two. */
INLINE void put_head(const place *at) {
    at->node->at = (uint32_t)at->pos;
    at->node->end = (uint32_t)at->parent;
}

/* Goes on with children of the node that comes, whose number is `self`. */
INLINE void put_row(const build *b, place *at, size_t self, size_t size,
                    size_t children) {
    at->node->first = (uint32_t)at->used;
    at->node->n = at->left - 1;
    at->node = b->nodes + at->used;
    at->parent = self + 1;
    at->left = (uint32_t)children;
    at->used += children;
    at->pos += size;
}

/* The head of a usual container; false if it is none, or if there may be more
 * in it than there can or shall be. */
INLINE bool build_branch(const build *b, place *at, size_t size,
                         size_t children) {
    put_head(at);
    if (children == 0 || children > b->len - at->pos - size ||
        children > b->used_max - at->used || at->levels == 0)
        return false;
    put_row(b, at, number_of(b, at->node), size, children);
    at->levels--;
    return true;
}

/* Tuples that each begin with the next, while neither the bytes nor the levels
 * can be too few. */
INLINE void build_chain(const build *b, place *at) {
    size_t self = number_of(b, at->node), first, levels, from = at->pos, stop;
    uint32_t arity;

    if (b->len - from < TUPLE_MAX)
        return;
    levels = (b->len - from - TUPLE_MAX) / 2 + 1;
    levels = levels < at->levels ? levels : at->levels;
    stop = from + 2 * levels;
    while (at->pos < stop && b->data[at->pos] == ETF__SMALL_TUPLE) {
        arity = b->data[at->pos + 1];
        first = at->used;
        put_head(at);
        if (arity == 0 || first + arity > b->used_max)
            break;
        put_row(b, at, self, 2, arity);
        self = first;
    }
    at->levels -= (uint32_t)((at->pos - from) / 2);
}

/* There is a byte behind its head: it has an element. */
INLINE bool build_tuple(const build *b, place *at) {
    if (!build_branch(b, at, 2, b->data[at->pos + 1]))
        return false;
    if (b->data[at->pos] == ETF__SMALL_TUPLE)
        build_chain(b, at);
    return true;
}

/* What comes; false if it is not usual. */
INLINE bool build_usual(const build *b, place *at) {
    const uint8_t *p = b->data + at->pos;

    if (at->pos >= b->safe)
        return false;
    /* A branch is foreseen, so that the next byte need not wait for this one,
     * as it would for a size that is looked up. */
    if (*p == ETF__INTEGER)
        return put_leaf(at, 5, 4);
    if (*p == ETF__SMALL_INTEGER)
        return put_leaf(at, 2, 1);
    switch (*p) {
    case ETF__SMALL_TUPLE:
        return build_tuple(b, at);
    case ETF__NIL:
        return put_leaf(at, 1, 0);
    case ETF__SMALL_ATOM_UTF8:
        return build_atom(b, at);
    case ETF__LIST:
        return cn__be32(p + 1) > 0 &&
               build_branch(b, at, 5, (size_t)cn__be32(p + 1) + 1);
    case ETF__MAP:
        return cn__be32(p + 1) <= ETF__MAP_FEW &&
               build_branch(b, at, 5, (size_t)cn__be32(p + 1) * 2);
    default:
        return build_leaf(b, at);
    }
}

/* May the children be, and is there room for them? */
static int build_room(const build *b, const etf__head *h, uint64_t nodes) {
    uint64_t terms = b->at.used - b->slots + h->children;

    if (h->children > b->len - (size_t)(h->end - b->data) || terms > b->len)
        return CN_ETRUNC;
    if (b->at.levels == 0 || terms > b->limits.terms ||
        (h->type == ETF_MAP && h->n > PAIRS_MAX))
        return CN_ELIMIT;
    return nodes > b->top - b->at.used ? FULL : 0;
}

/* How many nodes there may be as long as there are no more tables. */
static void build_limit(build *b) {
    uint64_t max = b->len;

    if (max > b->limits.terms)
        max = b->limits.terms;
    max += b->slots;
    b->used_max = max < b->top ? (size_t)max : b->top;
}

/* Nodes for the children of the node that comes. */
static int build_open(build *b, const etf__head *h) {
    place *at = &b->at;
    uint32_t slots = 0;
    int err;

    if (h->type == ETF_MAP && b->tables && h->n <= PAIRS_MAX)
        slots = etf__table_nodes(h->n);
    err = build_room(b, h, h->children + slots);
    if (err != 0)
        return err;
    put_head(at);
    put_row(b, at, number_of(b, at->node), (size_t)(h->end - h->at),
            (size_t)h->children);
    at->levels--;
    at->used += slots;
    b->slots += slots;
    build_limit(b);
    return 0;
}

/* --- lists that are joined ------------------------------------------------ */

INLINE bool is_list(const uint8_t *data, const etf_node *node) {
    return node->at != ETF__NODE_BYTE && node->n > 0 &&
           (data[node->at] == ETF__LIST || data[node->at] == ETF__STRING);
}

/* Is the node before the next one the tail of its parent? */
static bool is_tail(const build *b, const place *at) {
    return at->parent != 0 && at->left == 0 &&
           b->data[b->nodes[at->parent - 1].at] == ETF__LIST;
}

INLINE const etf_node *next_part(const build *b, const etf_node *list) {
    const etf_node *tail = NULL;

    if (b->data[list->at] == ETF__LIST)
        tail = &b->nodes[list->first + list->n];
    return tail != NULL && is_list(b->data, tail) ? tail : NULL;
}

/* The elements of one part of a list. */
static etf_node *copy_part(const etf_index *x, const etf_node *part,
                           etf_node *to) {
    if (x->data[part->at] == ETF__LIST) {
        memcpy(to, &x->nodes[part->first], part->n * sizeof *to);
        return to + part->n;
    }
    for (uint32_t i = part->end - part->n; i < part->end; i++)
        *to++ = (etf_node){.at = ETF__NODE_BYTE, .n = x->data[i]};
    return to;
}

/* A list in whose tail there is one gets all elements in one row. */
static int build_join(build *b, etf_node *list) {
    const etf_index *x = b->x;
    const etf_node *part, *last = list;
    uint64_t n = 0;
    etf_node *to;

    for (part = list; part != NULL; part = next_part(b, part)) {
        n += part->n;
        last = part;
    }
    if (n + 1 > b->top - b->at.used) {
        b->joined = true;
        return FULL;
    }
    b->top -= (uint32_t)n + 1;
    build_limit(b);
    to = &b->x->nodes[b->top];
    for (part = list; part != NULL; part = next_part(b, part))
        to = copy_part(x, part, to);
    if (x->data[last->at] == ETF__LIST)
        *to = x->nodes[last->first + last->n];
    else
        *to = (etf_node){.at = ETF__NODE_BYTE, .n = ETF__BYTE_NIL};
    list->first = b->top;
    list->n = (uint32_t)n;
    return 0;
}

/* --- ends ----------------------------------------------------------------- */

/* The parent has all its children, and becomes the node before the next. Is
 * there more to be done with it? */
INLINE bool build_close(const build *b, place *at) {
    const etf_node *last = at->node - 1;
    etf_node *node = b->nodes + at->parent - 1;
    const uint8_t *p = b->data + node->at;
    bool more = false;
    uint32_t n;

    if (*p == ETF__SMALL_TUPLE) {
        n = p[1];
    } else if (*p == ETF__LIST) {
        n = cn__be32(p + 1);
        more = is_list(b->data, last);
    } else if (*p == ETF__MAP) {
        n = cn__be32(p + 1);
        more = n > 1 && b->tables;
    } else {
        n = (uint32_t)(last - b->nodes) + 1 - node->first;
    }
    at->parent = node->end;
    at->left = node->n;
    at->levels++;
    at->node = node + 1;
    node->end = (uint32_t)at->pos;
    node->n = n;
    return more;
}

/* The last term of a row, if it is what mostly comes there behind a container:
 * the end of a list, or a small integer. */
INLINE void build_last(const build *b, place *at) {
    if (at->left != 1 || at->pos >= b->safe)
        return;
    if (b->data[at->pos] == ETF__SMALL_INTEGER)
        (void)put_leaf(at, 2, 1);
    else if (b->data[at->pos] == ETF__NIL)
        (void)put_leaf(at, 1, 0);
}

static int build_special(build *b, etf_node *node) {
    if (b->data[node->at] == ETF__MAP)
        return etf__keys_enter(b->x, node, &b->budget);
    return is_tail(b, &b->at) ? 0 : build_join(b, node);
}

/* --- heads ---------------------------------------------------------------- */

static bool is_big(uint8_t tag) {
    return tag == ETF__SMALL_BIG || tag == ETF__LARGE_BIG;
}

/* What is rare or wrong. */
static int build_head(build *b) {
    cn_cursor c = cn__cursor(b->data + b->at.pos, b->len - b->at.pos);
    etf__head h;
    int err = etf__head_read(&c, &h);

    b->at.pos = (size_t)(h.at - b->data); /* behind lists of no elements */
    if (err == 0 && is_big(h.tag) && h.n > b->limits.big_bytes)
        err = CN_ELIMIT;
    if (err != 0)
        return err;
    b->at.atoms += etf__head_atoms(&h);
    if (h.type == ETF_RECORD && h.n > 1)
        err = etf__unique_fields(b->x->alloc, &h, b->data, &b->x->err_at);
    if (err != 0 || h.children > 0)
        return err != 0 ? err : build_open(b, &h);
    (void)put_leaf(&b->at, (size_t)(h.end - h.at), h.n);
    return 0;
}

/* What is usual, until there is something else: a term that comes, or one that
 * was closed. */
typedef enum stop { DONE, HEAD, CLOSED } stop;

INLINE stop build_some(const build *b, place *at) {
    for (;;) {
        while (at->left == 0) {
            if (at->parent == 0)
                return DONE;
            if (build_close(b, at))
                return CLOSED;
            build_last(b, at);
        }
        do
            if (!build_usual(b, at))
                return HEAD;
        while (at->left > 0);
    }
}

/* `k` is what no store to a node can change, as a compiler sees it. */
static int build_all(build *b) {
    build k = *b;
    place at = b->at;
    int err = 0;
    stop why;

    for (;;) {
        why = build_some(&k, &at);
        b->at = at;
        if (b->at.atoms > k.limits.atoms)
            return CN_ELIMIT;
        if (why == DONE)
            return 0;
        err = why == HEAD ? build_head(b) : build_special(b, at.node - 1);
        if (err != 0)
            return err;
        at = b->at;
        k.used_max = b->used_max;
    }
}

/* --- room ----------------------------------------------------------------- */

/* The nodes of a term, without those of joined lists. */
static int count_nodes(const build *b, uint64_t *nodes) {
    cn_cursor c = cn__cursor(b->data, b->len);
    etf__head h;
    int err;

    *nodes = 0;
    for (uint64_t due = 1; due > 0; due--, (*nodes)++) {
        if (c.left > 0 && fixed[*c.p] > 0 && fixed[*c.p] <= c.left) {
            (void)cn__take(&c, fixed[*c.p]);
            continue;
        }
        err = etf__head_read(&c, &h);
        b->x->err_at = (size_t)(h.at - b->data);
        if (err != 0)
            return err;
        due += h.children;
        if (h.children > 0 && due - 1 > c.left)
            return CN_ETRUNC;
        if (h.children > 0 && h.type == ETF_MAP && b->tables)
            *nodes += etf__table_nodes(h.n);
    }
    return 0;
}

static size_t bytes_of(uint64_t nodes) {
    if (nodes >= NONE ||
        nodes > (SIZE_MAX - _Alignof(etf_node)) / sizeof(etf_node))
        return 0;
    return (size_t)nodes * sizeof(etf_node) + _Alignof(etf_node) - 1;
}

/* The memory was too small. Joined lists cannot have more elements than the
 * term has bytes. An error of the term in what was not seen yet comes first. */
static int build_need(const build *b, size_t *need) {
    uint64_t nodes;
    int err = count_nodes(b, &nodes);

    if (err != 0)
        return err;
    if (b->joined || b->top < b->cap)
        nodes += b->len;
    *need = bytes_of(nodes);
    return CN_ELIMIT;
}

/* --- building ------------------------------------------------------------- */

static void build_init(build *b, etf_index *x, const etf_limits *limits,
                       size_t len, size_t cap) {
    uint64_t nodes = cap / sizeof(etf_node);

    *b = (build){.x = x, .limits = etf__limits(limits)};
    b->data = x->data;
    b->len = len;
    b->safe = len < HEAD_MAX ? 0 : len - HEAD_MAX + 1;
    b->nodes = x->nodes;
    b->cap = b->top = nodes < NONE ? (uint32_t)nodes : NONE - 1;
    b->budget = 256 + 16 * (uint64_t)len;
    b->at = (place){.node = b->nodes, .left = 1};
    b->at.used = 1;
    b->at.levels = b->limits.depth;
    build_limit(b);
}

/* With memory for one node at least. */
static int build_run(build *b) {
    int err = b->cap > 0 ? build_all(b) : FULL;

    if (err != 0 && b->x->err_at == 0)
        b->x->err_at = b->at.pos;
    b->x->n = (uint32_t)b->at.used;
    b->x->used = b->at.pos;
    return err;
}

/* The nodes begin at the first address that suits them. */
static etf_node *align(void *mem, size_t *cap) {
    size_t skip = (size_t)(-(uintptr_t)mem % _Alignof(etf_node));

    if (mem == NULL || *cap < skip) {
        *cap = 0;
        return NULL;
    }
    *cap -= skip;
    return (etf_node *)(void *)((uint8_t *)mem + skip);
}

/* With tables, or when the keys are too slow for them sorted. */
static int build_mode(build *b, etf_index *x, const etf_limits *limits,
                      size_t len, size_t cap, etf__index_mode mode) {
    int err;

    build_init(b, x, limits, len, cap);
    b->tables = mode == ETF__INDEX_TABLES;
    err = build_run(b);
    if (err == CN_ELIMIT && b->budget == 0) {
        build_init(b, x, limits, len, cap);
        x->err_at = 0;
        err = build_run(b);
    }
    return err == 0 && !b->tables ? etf__index_sort(x) : err;
}

int etf__index_build(etf_index *x, const cn_alloc *alloc,
                     const etf_limits *limits, etf_view in,
                     etf__index_mode mode, void *mem, size_t cap,
                     size_t *need) {
    etf_node *nodes = align(mem, &cap);
    size_t len = in.len < NONE ? in.len : NONE - 1;
    build b;
    int err;

    *need = 0;
    *x = (etf_index){.data = in.data, .nodes = nodes, .alloc = alloc};
    if (in.len > len && mode == ETF__INDEX_TABLES)
        return CN_ELIMIT;
    err = build_mode(&b, x, limits, len, cap, mode);
    if (err == FULL)
        return build_need(&b, need);
    if (err != 0)
        return err;
    *need = bytes_of((uint64_t)b.at.used + (b.cap - b.top));
    x->err_at = x->used;
    return x->used < in.len && mode == ETF__INDEX_TABLES ? CN_EBADTERM : 0;
}

int etf_index_build(etf_index *x, const cn_alloc *alloc,
                    const etf_limits *limits, etf_view term, void *mem,
                    size_t cap, size_t *need) {
    size_t ignored;

    return etf__index_build(x, alloc, limits, term, ETF__INDEX_TABLES, mem, cap,
                            need != NULL ? need : &ignored);
}

int etf__index_grow(etf_index *x, const cn_alloc *alloc,
                    const etf_limits *limits, etf_view in, etf__index_mode mode,
                    void *inside, size_t cap) {
    size_t need;
    void *mem;
    int err = etf__index_build(x, alloc, limits, in, mode, inside, cap, &need);

    while (err == CN_ELIMIT && need > 0) {
        cap = need;
        etf_index_free(x);
        mem = cn__resize(alloc, NULL, 0, cap, 1);
        if (mem == NULL)
            return CN_ENOMEM;
        err = etf__index_build(x, alloc, limits, in, mode, mem, cap, &need);
        x->owned = mem;
        x->owned_size = cap;
    }
    return err;
}

int etf_index_make(etf_index *x, const cn_alloc *alloc,
                   const etf_limits *limits, etf_view term) {
    int err =
        etf__index_grow(x, alloc, limits, term, ETF__INDEX_TABLES, NULL, 0);

    if (err != 0)
        etf_index_free(x);
    return err;
}

void etf_index_free(etf_index *x) {
    cn__free(x->alloc, x->owned, x->owned_size, 1);
    x->owned = NULL;
    x->owned_size = 0;
    x->nodes = NULL;
    x->n = 0;
}
