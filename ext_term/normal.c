/* SPDX-License-Identifier: Apache-2.0
 *
 * normal.c: writes a term again as the BEAM would. The bytes are checked and
 * indexed first, so that lists are joined, keys are known to differ and, when
 * it is asked for, maps are in the order of their keys; then it is a walk over
 * nodes, with a frame for each that is open.
 */
#include "ext_term/frames.h"
#include "ext_term/index.h"

/* The children of one node that are still to come. */
typedef struct frame {
    uint32_t next;
    uint32_t stop;
    size_t size_at; /* where the Size of a closure is, or SIZE_MAX */
} frame;

typedef struct walk {
    const etf_index *x;
    etf_writer *w;
    etf__frames frames;
} walk;

static int open_node(walk *k, const etf_node *node, uint64_t children,
                     size_t size_at) {
    frame *f = etf__frames_push(&k->frames);

    if (f == NULL)
        return CN_ENOMEM;
    *f = (frame){node->first, node->first + (uint32_t)children, size_at};
    return 0;
}

/* --- terms without children ------------------------------------------------
 */

static etf_view text_of(const uint8_t *p, const uint8_t *end,
                        uint8_t room[ETF__LATIN1_ROOM], const uint8_t **next) {
    etf__head atom;

    etf__head_atom(p, end, &atom);
    if (next != NULL)
        *next = atom.end;
    return etf__head_text(&atom, room);
}

static void put_atom(etf_writer *w, const etf__head *h) {
    uint8_t room[ETF__LATIN1_ROOM];
    etf_view text = etf__head_text(h, room);

    etf_put_atom_n(w, (const char *)text.data, text.len);
}

static void put_int(etf_writer *w, const etf__head *h) {
    uint8_t room[8];
    bool negative;
    etf_view m;
    int64_t v;

    if (etf__head_i64(h, &v) == 0) {
        etf_put_int(w, v);
        return;
    }
    m = etf__head_magnitude(h, room, &negative);
    etf_put_big(w, m.data, m.len, negative);
}

static void put_numbers(etf_writer *w, uint64_t id, const uint32_t *rest,
                        size_t n, bool wide) {
    uint8_t *p = etf__put_more(w, (wide ? 8 : 4) + 4 * n);

    if (p == NULL)
        return;
    p = wide ? cn__put64(p, id) : cn__put32(p, (uint32_t)id);
    for (size_t i = 0; i < n; i++)
        p = cn__put32(p, rest[i]);
}

/* Not by etf_put_pid and the others, which have no room for all nodes. */
static void put_id(etf_writer *w, const etf__head *h) {
    uint8_t room[ETF__LATIN1_ROOM], tag = ETF__NEW_PID, *p;
    etf_view node = text_of(h->body, h->rest, room, NULL);
    etf__numbers n;
    bool wide;

    etf__head_numbers(h, &n);
    wide = h->type == ETF_PORT && etf__wide_port(w, n.id);
    if (h->type == ETF_PORT)
        tag = wide ? ETF__V4_PORT : ETF__NEW_PORT;
    else if (h->type == ETF_REF)
        tag = ETF__NEWER_REFERENCE;
    p = etf__put(w, h->type == ETF_REF ? 3 : 1, 0);
    if (p != NULL) {
        p = cn__put8(p, tag);
        if (h->type == ETF_REF)
            (void)cn__put16(p, (uint16_t)h->n);
    }
    etf__put_name(w, node);
    if (h->type == ETF_PID)
        put_numbers(w, n.id, (uint32_t[]){n.serial, n.creation}, 2, false);
    else if (h->type == ETF_PORT)
        put_numbers(w, n.id, &n.creation, 1, wide);
    else
        put_numbers(w, n.creation, n.words, h->n, false);
}

static void put_export(etf_writer *w, const etf__head *h) {
    uint8_t m[ETF__LATIN1_ROOM], f[ETF__LATIN1_ROOM];
    etf_view module = text_of(h->body, h->end, m, NULL);
    etf_view function = text_of(h->rest, h->end, f, NULL);

    etf__put_export(w, module, function, h->n);
}

/* --- terms with children ---------------------------------------------------
 */

/* A byte as the element of a list, or -1. */
static int byte_of(const etf_index *x, const etf_node *node) {
    etf__head h;
    uint64_t v;

    if (node->at == ETF__NODE_BYTE)
        return node->n == ETF__BYTE_NIL ? -1 : (int)node->n;
    etf__node_head(x, node, &h);
    if (h.type != ETF_INT || etf__head_u64(&h, &v) != 0 || v > UINT8_MAX)
        return -1;
    return (int)v;
}

static bool is_nil(const etf_index *x, const etf_node *node) {
    etf__head h;

    etf__node_head(x, node, &h);
    return h.type == ETF_NIL;
}

static bool is_string(const etf_index *x, const etf_node *list) {
    if (list->n > ETF__STRING_MAX ||
        !is_nil(x, &x->nodes[list->first + list->n]))
        return false;
    for (uint32_t i = 0; i < list->n; i++)
        if (byte_of(x, &x->nodes[list->first + i]) < 0)
            return false;
    return true;
}

static void put_bytes(etf_writer *w, const etf_index *x, const etf_node *list) {
    uint8_t *p = etf__put(w, 3 + (size_t)list->n, 0);

    if (p == NULL)
        return;
    p = cn__put16(cn__put8(p, ETF__STRING), (uint16_t)list->n);
    for (uint32_t i = 0; i < list->n; i++)
        p = cn__put8(p, (uint8_t)byte_of(x, &x->nodes[list->first + i]));
}

static int put_list(walk *k, const etf_node *node, const etf__head *h) {
    if (h->tag == ETF__STRING) {
        etf_put_string(k->w, (const char *)h->body, h->n);
        return 0;
    }
    if (is_string(k->x, node)) {
        put_bytes(k->w, k->x, node);
        return 0;
    }
    etf_put_list(k->w, node->n);
    return open_node(k, node, (uint64_t)node->n + 1, SIZE_MAX);
}

/* | module | name | n fields | */
static int put_record(walk *k, const etf_node *node, const etf__head *h) {
    uint8_t room[ETF__LATIN1_ROOM];
    const uint8_t *p = h->body;

    etf__put_record(k->w, h->at[5] != 0, h->n);
    for (uint64_t i = 0; i < (uint64_t)h->n + 2; i++) {
        etf_view text = text_of(p, h->end, room, &p);
        etf__put_name(k->w, text);
    }
    return open_node(k, node, h->n, SIZE_MAX);
}

/* | 112 | size 4 | arity 1 | uniq 16 | index 4 | n 4 | module | old index |
 * | old uniq | pid | free variables |
 * The BEAM keeps 32 bits of the old numbers, with a sign. */
static int put_fun(walk *k, const etf_node *node, const etf__head *h) {
    uint8_t room[ETF__LATIN1_ROOM];
    size_t at = k->w->len + 1;
    uint8_t *p = etf__put(k->w, 1 + 4 + 25, 0);
    etf__head pid;
    etf__fun fun;

    if (p != NULL)
        (void)cn__put_bytes(p, h->at, 1 + 4 + 25);
    etf__put_name(k->w, text_of(h->body, h->end, room, NULL));
    etf__head_fun(h, &fun);
    etf_put_int(k->w, fun.old_index);
    etf_put_int(k->w, fun.old_uniq);
    etf__head_inner(h, fun.pid, &pid);
    put_id(k->w, &pid);
    return open_node(k, node, h->n, at);
}

static int put_node(walk *k, const etf_node *node) {
    etf_writer *w = k->w;
    etf__head h;

    etf__node_head(k->x, node, &h);
    switch (h.type) {
    case ETF_INT:
        put_int(w, &h);
        return 0;
    case ETF_FLOAT:
        etf_put_float(w, etf__head_float(&h));
        return 0;
    case ETF_ATOM:
        put_atom(w, &h);
        return 0;
    case ETF_BINARY:
        etf_put_binary(w, h.body, h.n);
        return 0;
    case ETF_BITSTRING:
        etf_put_bits(w, h.body, (size_t)h.n * 8 - 8 + h.body[-1]);
        return 0;
    case ETF_NIL:
        etf_put_nil(w);
        return 0;
    case ETF_PID:
    case ETF_PORT:
    case ETF_REF:
        put_id(w, &h);
        return 0;
    case ETF_EXPORT:
        put_export(w, &h);
        return 0;
    case ETF_TUPLE:
        etf_put_tuple(w, h.n);
        return open_node(k, node, h.n, SIZE_MAX);
    case ETF_MAP:
        etf_put_map(w, h.n);
        return open_node(k, node, h.children, SIZE_MAX);
    case ETF_LIST:
        return put_list(k, node, &h);
    case ETF_FUN:
        return put_fun(k, node, &h);
    case ETF_RECORD:
        return put_record(k, node, &h);
    default:
        return CN_EBADTERM;
    }
}

static int close_node(walk *k, const frame *f) {
    size_t at = f->size_at;

    if (at != SIZE_MAX && etf__put_stored(k->w)) {
        if (k->w->len - at > UINT32_MAX)
            return CN_ELIMIT;
        (void)cn__put32(k->w->data + at, (uint32_t)(k->w->len - at));
    }
    etf__frames_pop(&k->frames);
    return 0;
}

/* --- the walk --------------------------------------------------------------
 */

static int put_index(etf_writer *w, const etf_index *x) {
    walk k = {.x = x, .w = w};
    int err;

    etf__frames_init(&k.frames, x->alloc, sizeof(frame));
    err = put_node(&k, x->nodes);
    while (err == 0 && k.frames.n > 0 && etf__put_counts(w)) {
        frame *f = etf__frames_top(&k.frames);
        if (f->next == f->stop)
            err = close_node(&k, f);
        else
            err = put_node(&k, &x->nodes[f->next++]);
    }
    etf__frames_free(&k.frames);
    return err;
}

/* To the lists that are open in the writer the term is one, and they see it
 * when it is a byte. */
static int put_one(etf_writer *w, const etf_index *x) {
    etf__head h;
    uint32_t open;
    int err;

    etf__node_head(x, x->nodes, &h);
    if (h.type == ETF_INT)
        return put_index(w, x);
    open = etf__put_alone(w);
    err = put_index(w, x);
    etf__put_among(w, open);
    return err;
}

static int index_of(etf__sorted *s, const cn_alloc *alloc,
                    const etf_limits *limits, etf_view term, bool sorted) {
    etf__index_mode mode = sorted ? ETF__INDEX_SORTED : ETF__INDEX_TABLES;

    return etf__index_grow(&s->x, alloc, limits, term, mode, s->inside,
                           sizeof s->inside);
}

int etf_put_normal(etf_writer *w, const cn_alloc *alloc,
                   const etf_limits *limits, etf_view term) {
    bool sorted = (w->mode & ETF_DETERMINISTIC) != 0;
    bool first = w->depth == 0 && w->settled == w->len;
    etf__sorted s;
    int err;

    if (term.data == NULL || term.len == 0) {
        etf_writer_fail(w, CN_ETRUNC);
        return w->err;
    }
    err = index_of(&s, alloc, limits, term, sorted);
    if (err == 0 && s.x.used != term.len)
        err = CN_EBADTERM;
    if (err == 0)
        err = put_one(w, &s.x);
    etf__sorted_close(&s);
    if (err != 0)
        etf_writer_fail(w, err);
    else if (sorted && first)
        w->settled = w->len;
    return w->err;
}

/* --- deterministic writers --------------------------------------------------
 */

/* Each of the terms, and the version bytes between them. */
static int put_all(etf_writer *to, const cn_alloc *alloc, etf_view in) {
    static const etf_limits any = {.depth = UINT32_MAX};
    etf__sorted s;
    size_t used;
    int err = 0;

    for (; in.len > 0 && err == 0; in.data += used, in.len -= used) {
        used = 1;
        if (*in.data == ETF__VERSION) {
            etf_put_version(to);
            continue;
        }
        err = index_of(&s, alloc, &any, etf__first(in), true);
        if (err == 0)
            err = put_index(to, &s.x);
        used = s.x.used;
        etf__sorted_close(&s);
    }
    return err != 0 ? err : to->err;
}

void etf__settle(etf_writer *w) {
    etf_view out, in = {w->data + w->settled, w->len - w->settled};
    etf_writer sorted;
    uint8_t *p;
    int err;

    etf_writer_init(&sorted, w->alloc);
    sorted.mode = w->mode & ~(uint32_t)ETF_DETERMINISTIC;
    err = put_all(&sorted, w->alloc, in);
    if (err == 0) {
        (void)etf_writer_finish(&sorted, &out);
        w->len = w->settled;
        p = etf__put_more(w, out.len);
        if (p != NULL)
            (void)cn__put_bytes(p, out.data, out.len);
        w->settled = w->len;
    } else {
        etf_writer_fail(w, err);
    }
    etf_writer_free(&sorted);
}
