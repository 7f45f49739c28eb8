/* SPDX-License-Identifier: Apache-2.0
 *
 * expand.c: a term with indexes into a table of atoms becomes one that stands
 * for itself. Two walks: the first checks and measures, so that the second
 * writes into room that is there.
 *
 * A closure says how long it is, its free variables included, so its size can
 * only be written when they are; these closures wait on a stack.
 */
#include "ext_term/frames.h"
#include "ext_term/reader.h"

typedef struct expansion {
    cn_cursor c;
    const etf_atoms *atoms;
    uint8_t *out;   /* NULL: only measuring */
    size_t len;     /* so far */
    uint64_t terms; /* still to come */
    bool large;     /* more than can be counted */
    etf__frames funs;
} expansion;

/* A closure that is not all written. */
typedef struct open_fun {
    size_t at;      /* its size */
    uint64_t until; /* that few terms are left */
} open_fun;

static void put(expansion *x, const void *data, size_t n) {
    if (x->out != NULL)
        (void)cn__put_bytes(x->out + x->len, data, n);
    x->large |= __builtin_add_overflow(x->len, n, &x->len);
}

static const uint8_t *put_to(expansion *x, const uint8_t *from,
                             const uint8_t *to) {
    put(x, from, (size_t)(to - from));
    return to;
}

static void put_text(expansion *x, etf_view text) {
    uint8_t small[2] = {ETF__SMALL_ATOM_UTF8, (uint8_t)text.len};
    uint8_t large[3] = {ETF__ATOM_UTF8};

    (void)cn__put16(large + 1, (uint16_t)text.len);
    if (text.len <= UINT8_MAX)
        put(x, small, sizeof small);
    else
        put(x, large, sizeof large);
    put(x, text.data, text.len);
}

/* The atom at p in a head; returns what is behind it. */
static const uint8_t *put_atom(expansion *x, const etf__head *h,
                               const uint8_t *p) {
    etf__head atom;

    etf__head_inner(h, p, &atom);
    if (atom.tag != ETF__ATOM_CACHE_REF)
        return put_to(x, p, atom.end);
    put_text(x, (etf_view){atom.body, atom.n});
    return atom.end;
}

/* | module | old index | old uniq | pid |, where the size is known later. */
static const uint8_t *put_fun(expansion *x, const etf__head *h) {
    const uint8_t *p = put_atom(x, h, h->body);
    cn_cursor c = cn__cursor(p, (size_t)(h->end - p));
    etf__head inner;

    for (int i = 0; i < 2; i++)
        (void)etf__head_read(&c, &inner);
    (void)etf__head_read_with(&c, &inner, h->atoms);
    return put_atom(x, h, put_to(x, p, inner.body));
}

static void put_head(expansion *x, const etf__head *h) {
    const uint8_t *p = h->at;

    if (h->type == ETF_ATOM)
        p = put_atom(x, h, p);
    else if (h->type >= ETF_PID && h->type <= ETF_RECORD)
        p = put_to(x, p, h->body);
    if (h->type == ETF_FUN)
        p = put_fun(x, h);
    else if (h->type >= ETF_PID && h->type <= ETF_RECORD)
        p = put_atom(x, h, p);
    if (h->type == ETF_EXPORT)
        p = put_atom(x, h, p);
    for (uint64_t i = 0; h->type == ETF_RECORD && i <= h->n; i++)
        p = put_atom(x, h, p);
    (void)put_to(x, p, h->end);
}

static int open_one(expansion *x, size_t at) {
    open_fun *f = etf__frames_push(&x->funs);

    if (f == NULL)
        return CN_ENOMEM;
    *f = (open_fun){at, x->terms - 1};
    return 0;
}

/* The closures that end here. */
static void close_all(expansion *x) {
    while (x->funs.n > 0) {
        open_fun *f = etf__frames_top(&x->funs);
        if (f->until != x->terms)
            return;
        x->large |= x->len - f->at > UINT32_MAX;
        if (x->out != NULL)
            (void)cn__put32(x->out + f->at, (uint32_t)(x->len - f->at));
        etf__frames_pop(&x->funs);
    }
}

/* Usual heads, indexes and pids; false: nothing is done, it is for put_rare. */
static bool put_usual(expansion *x, uint64_t *children) {
    const uint8_t *p = x->c.p;
    size_t size = x->c.left == 0 ? 0 : etf__usual(p, x->c.left, children);

    if (size > 0) {
        put(x, p, size);
    } else {
        size = x->c.left == 0 ? 0 : etf__usual_index(p, x->c.left, x->atoms);
        if (size == 0)
            return false;
        if (size > 2)
            put(x, p++, 1);
        put_text(x, x->atoms->at[p[1]]);
        (void)put_to(x, p + 2, x->c.p + size);
    }
    x->c.p += size;
    x->c.left -= size;
    return true;
}

static int put_rare(expansion *x, uint64_t *children) {
    etf__head h;
    int err = etf__head_read_with(&x->c, &h, x->atoms);

    if (err == 0 && h.type == ETF_FUN)
        err = open_one(x, x->len + 1);
    if (err != 0)
        return err;
    put_head(x, &h);
    *children = h.children;
    return 0;
}

static int walk(expansion *x) {
    uint64_t children;
    int err = 0;

    while (x->terms > 0 && err == 0) {
        children = 0;
        if (!put_usual(x, &children))
            err = put_rare(x, &children);
        if (err != 0)
            break;
        x->terms += children - 1;
        close_all(x);
        if (x->terms > x->c.left)
            err = CN_ETRUNC;
    }
    return err;
}

/* One walk; *len is the length of what it wrote or would write. */
static int expand(const cn_alloc *alloc, const etf_atoms *atoms, etf_view in,
                  uint8_t *out, size_t *len) {
    expansion x = {.c = cn__cursor(in.data, in.len),
                   .atoms = atoms,
                   .out = out,
                   .terms = 1};
    int err;

    etf__frames_init(&x.funs, alloc, sizeof(open_fun));
    err = walk(&x);
    etf__frames_free(&x.funs);
    if (err == 0 && x.c.left > 0)
        err = CN_EBADTERM;
    if (err == 0 && x.large)
        err = CN_ELIMIT;
    *len = x.len;
    return err;
}

int etf_expand(etf_writer *w, const etf_view *atoms, size_t n, etf_view in) {
    etf_atoms table = {atoms, n};
    uint8_t *p;
    size_t len;
    int err = w->err;

    if (err == 0)
        err = expand(w->alloc, &table, in, NULL, &len);
    if (err != 0) {
        etf_writer_fail(w, err);
        return err;
    }
    p = etf__put(w, len, 0);
    if (p != NULL)
        err = expand(w->alloc, &table, in, p, &len);
    if (err != 0)
        etf_writer_fail(w, err);
    return w->err;
}
