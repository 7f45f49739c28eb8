/* SPDX-License-Identifier: Apache-2.0
 *
 * sort.c: maps in the order of their keys. A map can be compared only when the
 * maps in its keys are sorted already. Children have higher numbers than their
 * parents, so going through the nodes from the last to the first meets inner
 * maps before outer ones, and nothing is recursive.
 *
 * Pairs are sorted where they are: a node moves with all below it, for nothing
 * but its parent knows its number. Merge sort, because comparing costs more
 * than moving, and because it never takes more than n log n steps; comparing
 * two keys takes at most as many as the smaller of them has bytes.
 */
#include "base/alloc.h"
#include "ext_term/frames.h"
#include "ext_term/index.h"

/* --- comparing nodes ------------------------------------------------------ */

typedef struct side {
    uint32_t next; /* node, or in a STRING_EXT byte of the input */
    uint32_t left; /* elements of a list; else children */
    bool string;
} side;

typedef struct frame {
    side a, b;
    etf_type type;
    uint32_t pairs; /* of a map */
    bool exact;     /* as it was around a map */
} frame;

typedef struct walk {
    const etf_index *x, *y;
    etf__frames frames;
    bool exact;
    int order;
} walk;

static side side_of(const etf_index *x, const etf_node *node,
                    const etf__head *h) {
    if (h->type != ETF_LIST)
        return (side){node->first, (uint32_t)h->children, false};
    if (h->tag == ETF__STRING)
        return (side){(uint32_t)(h->body - x->data), h->n, true};
    return (side){node->first, node->n, false};
}

/* Compares two nodes but not their children, for which a frame is left. */
static int walk_nodes(walk *w, const etf_node *a, const etf_node *b) {
    etf__head g, h;
    frame *f;

    etf__node_head(w->x, a, &g);
    etf__node_head(w->y, b, &h);
    w->order = etf__head_order(&g, &h, w->exact);
    if (w->order != 0 || (g.children == 0 && g.type != ETF_LIST))
        return 0;
    f = etf__frames_push(&w->frames);
    if (f == NULL)
        return CN_ENOMEM;
    *f = (frame){side_of(w->x, a, &g), side_of(w->y, b, &h), g.type, g.n,
                 w->exact};
    return 0;
}

/* The next element of a list, or behind the last one its tail. */
static const etf_node *side_next(const etf_index *x, side *s, etf_node *room,
                                 bool *tail) {
    *tail = s->left == 0;
    *room = (etf_node){.at = ETF__NODE_BYTE, .n = ETF__BYTE_NIL};
    if (s->string && *tail)
        return room;
    if (!*tail)
        s->left--;
    if (!s->string)
        return &x->nodes[s->next++];
    room->n = x->data[s->next++];
    return room;
}

static int walk_list(walk *w, frame *f) {
    etf_node aroom, broom;
    bool atail, btail;
    const etf_node *a = side_next(w->x, &f->a, &aroom, &atail);
    const etf_node *b = side_next(w->y, &f->b, &broom, &btail);
    etf__head h;

    if (atail == btail) {
        if (atail)
            etf__frames_pop(&w->frames);
        return walk_nodes(w, a, b);
    }
    etf__node_head(atail ? w->x : w->y, atail ? a : b, &h);
    w->order = atail ? -etf__tail_order(&h) : etf__tail_order(&h);
    return 0;
}

/* First all keys, then all values. */
static int walk_map(walk *w, frame *f) {
    bool key = f->a.left > f->pairs;
    uint32_t done = (key ? 2 * f->pairs : f->pairs) - f->a.left;
    uint32_t i = 2 * done + (key ? 0 : 1);

    w->exact = w->exact || key;
    f->a.left--;
    return walk_nodes(w, &w->x->nodes[f->a.next + i],
                      &w->y->nodes[f->b.next + i]);
}

static int walk_next(walk *w) {
    frame *f = etf__frames_top(&w->frames);

    if (f->type == ETF_LIST)
        return walk_list(w, f);
    w->exact = f->exact;
    if (f->a.left == 0) {
        etf__frames_pop(&w->frames);
        return 0;
    }
    if (f->type == ETF_MAP)
        return walk_map(w, f);
    f->a.left--;
    return walk_nodes(w, &w->x->nodes[f->a.next++], &w->y->nodes[f->b.next++]);
}

static int walk_compare(walk *w, const etf_node *a, const etf_node *b) {
    int err;

    w->frames.n = 0;
    err = walk_nodes(w, a, b);
    while (err == 0 && w->order == 0 && w->frames.n > 0)
        err = walk_next(w);
    return err;
}

static void walk_init(walk *w, const etf_index *x, const etf_index *y,
                      bool exact) {
    w->x = x;
    w->y = y;
    w->exact = exact;
    w->order = 0;
    etf__frames_init(&w->frames, x->alloc, sizeof(frame));
}

int etf__sorted_compare(const etf_index *a, const etf_index *b, bool exact,
                        int *order) {
    walk w;
    int err;

    walk_init(&w, a, b, exact);
    err = walk_compare(&w, a->nodes, b->nodes);
    etf__frames_free(&w.frames);
    *order = w.order;
    return err;
}

/* --- sorting -------------------------------------------------------------- */

enum { PAIRS_INSIDE = 32 };

typedef struct pair {
    etf_node key, value;
} pair;

typedef struct sorter {
    etf_index *x;
    walk w;
    pair *room;
    uint32_t cap;
    int err;
    pair inside[PAIRS_INSIDE];
} sorter;

/* Is a before b? Equal keys are an error; its place is the second one. */
static bool before(sorter *s, const pair *a, const pair *b) {
    int err;

    if (s->err != 0)
        return true;
    s->w.exact = true;
    err = walk_compare(&s->w, &a->key, &b->key);
    if (err == 0 && s->w.order == 0) {
        s->x->err_at = a->key.at > b->key.at ? a->key.at : b->key.at;
        err = CN_EBADTERM;
    }
    s->err = err;
    return s->w.order < 0;
}

/* Two neighbours, each sorted, into one. */
static void merge(sorter *s, const pair *from, uint32_t an, uint32_t n,
                  pair *to) {
    const pair *a = from, *b = from + an, *end = from + n;

    if (an >= n || before(s, b - 1, b)) {
        memcpy(to, from, n * sizeof *to);
        return;
    }
    while (a < from + an && b < end)
        *to++ = before(s, a, b) ? *a++ : *b++;
    memcpy(to, a, (size_t)(from + an - a) * sizeof *to);
    to += from + an - a;
    memcpy(to, b, (size_t)(end - b) * sizeof *to);
}

static void merge_sort(sorter *s, pair *pairs, uint32_t n) {
    pair *from = pairs, *to = s->room;

    for (uint32_t width = 1; width < n && s->err == 0; width *= 2) {
        pair *old = from;

        for (uint32_t i = 0; i < n; i += 2 * width) {
            uint32_t rest = n - i;
            merge(s, from + i, width, rest < 2 * width ? rest : 2 * width,
                  to + i);
        }
        from = to;
        to = old;
    }
    if (from != pairs)
        memcpy(pairs, from, n * sizeof *pairs);
}

static int sorter_room(sorter *s, uint32_t n) {
    pair *more;

    if (n <= s->cap)
        return 0;
    more = cn__resize(s->x->alloc, NULL, 0, n, sizeof *more);
    if (more == NULL)
        return CN_ENOMEM;
    if (s->room != s->inside)
        cn__free(s->x->alloc, s->room, s->cap, sizeof *s->room);
    s->room = more;
    s->cap = n;
    return 0;
}

static bool is_map(const etf_index *x, const etf_node *node) {
    return node->at != ETF__NODE_BYTE && x->data[node->at] == ETF__MAP;
}

int etf__index_sort(etf_index *x) {
    sorter s = {.x = x, .cap = PAIRS_INSIDE};

    s.room = s.inside;
    walk_init(&s.w, x, x, true);
    for (uint32_t i = x->n; i > 0 && s.err == 0; i--) {
        const etf_node *node = &x->nodes[i - 1];
        if (!is_map(x, node) || node->n < 2)
            continue;
        s.err = sorter_room(&s, node->n);
        if (s.err == 0)
            merge_sort(&s, (pair *)&x->nodes[node->first], node->n);
    }
    if (s.room != s.inside)
        cn__free(x->alloc, s.room, s.cap, sizeof *s.room);
    etf__frames_free(&s.w.frames);
    x->sorted = s.err == 0;
    return s.err;
}

int etf__sorted_open(etf__sorted *s, const cn_alloc *alloc,
                     const etf_limits *limits, etf_view term) {
    return etf__index_grow(&s->x, alloc, limits, term, ETF__INDEX_SORTED,
                           s->inside, sizeof s->inside);
}

void etf__sorted_close(etf__sorted *s) {
    etf_index_free(&s->x);
}
