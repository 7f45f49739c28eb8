/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c: is this one term, as the BEAM judges, and within limits?
 *
 * One walk for everything but the keys of maps. The stack, which only counts
 * nesting, is left out where the bytes cannot nest deeper than the limit: a
 * term takes two bytes at least to have another in it.
 */
#include "ext_term/frames.h"
#include "ext_term/reader.h"

typedef struct check {
    etf_limits most;
    const uint8_t *from;
    cn_cursor c;
    uint64_t left;  /* terms still to come */
    uint64_t terms; /* that were met */
    uint64_t atoms;
    bool deep;        /* count the nesting */
    bool keys;        /* there are some that must differ */
    etf__frames open; /* for each container, the terms it still waits for */
    etf_error *e;
} check;

/* A term that the walk has met. */
typedef struct met {
    const uint8_t *at;
    etf_type type;
    uint64_t children;
    uint64_t atoms;
    uint32_t big_bytes;
} met;

etf_limits etf__limits(const etf_limits *l) {
    etf_limits most = {0};

    if (l != NULL)
        most = *l;
    if (most.depth == 0)
        most.depth = 1000000;
    if (most.terms == 0)
        most.terms = UINT32_MAX;
    if (most.atoms == 0)
        most.atoms = most.terms;
    if (most.inflated == 0)
        most.inflated = 64 << 20;
    if (most.big_bytes == 0)
        most.big_bytes = ETF__BIG_BYTES;
    return most;
}

int etf__error(etf_error *e, int code, size_t at, const char *what) {
    if (e != NULL)
        *e = (etf_error){code, at, what, false};
    return code;
}

const char *etf__head_what(const etf__head *h, int code) {
    if (code == CN_ETRUNC)
        return "the bytes end inside a term";
    return h->what != NULL ? h->what : cn_strerror(code);
}

static int fail(check *k, int code, const uint8_t *at, const char *what) {
    return etf__error(k->e, code, (size_t)(at - k->from), what);
}

static int next_rare(check *k, met *m) {
    etf__head h;
    int err = etf__head_read(&k->c, &h);

    if (err != 0)
        return fail(k, err, h.at, etf__head_what(&h, err));
    *m = (met){h.at, h.type, h.children, etf__head_atoms(&h), 0};
    if (h.tag == ETF__SMALL_BIG || h.tag == ETF__LARGE_BIG)
        m->big_bytes = h.n;
    return 0;
}

static int next(check *k, met *m) {
    const uint8_t *p = k->c.p;
    uint64_t children;
    size_t size = 0;

    if (k->c.left > 0 && *p != ETF__SMALL_BIG)
        size = etf__usual(p, k->c.left, &children);
    if (size == 0)
        return next_rare(k, m);
    k->c.p += size;
    k->c.left -= size;
    *m = (met){p, etf__usual_type(*p), children, 0, 0};
    if (m->type == ETF_ATOM || (m->type >= ETF_PID && m->type <= ETF_REF))
        m->atoms = 1;
    return 0;
}

/* Keeps count of the containers that are open; n is of the innermost. */
static int nest(check *k, const met *m) {
    uint64_t *n;

    if (m->children > 0) {
        if (k->open.n == k->most.depth)
            return fail(k, CN_ELIMIT, m->at, "nested too deep");
        n = etf__frames_push(&k->open);
        if (n == NULL)
            return fail(k, CN_ENOMEM, m->at, cn_strerror(CN_ENOMEM));
        *n = m->children;
        return 0;
    }
    while (k->open.n > 0) {
        n = etf__frames_top(&k->open);
        if (--*n > 0)
            break;
        etf__frames_pop(&k->open);
    }
    return 0;
}

static int count(check *k, const met *m) {
    k->left += m->children - 1;
    k->terms++;
    k->atoms += m->atoms;
    if (k->left > k->c.left)
        return fail(k, CN_ETRUNC, m->at,
                    "fewer bytes are left than terms announced");
    if (k->left > k->most.terms || k->terms + k->left > k->most.terms)
        return fail(k, CN_ELIMIT, m->at, "too many terms");
    if (k->atoms > k->most.atoms)
        return fail(k, CN_ELIMIT, m->at, "too many atoms");
    if (m->big_bytes > k->most.big_bytes)
        return fail(k, CN_ELIMIT, m->at, "too large an integer");
    if ((m->type == ETF_MAP && m->children > 2) ||
        (m->type == ETF_RECORD && m->children > 1))
        k->keys = true;
    return k->deep ? nest(k, m) : 0;
}

static int walk(check *k) {
    int err = 0;
    met m = {0};

    while (k->left > 0 && err == 0) {
        err = next(k, &m);
        if (err == 0)
            err = count(k, &m);
    }
    return err;
}

static int check_keys(const cn_alloc *alloc, const etf_limits *most,
                      etf_view in, etf_error *e) {
    size_t at = 0;
    int err = etf__unique_keys(alloc, most, in, &at);

    if (err == 0)
        return 0;
    return etf__error(e, err, at,
                      err == CN_EBADTERM ? "key or field that is there twice"
                                         : cn_strerror(err));
}

int etf__check_first(const cn_alloc *alloc, const etf_limits *limits,
                     etf_view in, etf_error *e, size_t *used) {
    check k = {.most = etf__limits(limits),
               .from = in.data,
               .c = cn__cursor(in.data, in.len),
               .left = 1,
               .e = e};
    int err;

    (void)etf__error(e, 0, 0, "");
    k.deep = in.len / 2 >= k.most.depth;
    etf__frames_init(&k.open, alloc, sizeof(uint64_t));
    err = walk(&k);
    etf__frames_free(&k.open);
    *used = in.len - k.c.left;
    if (err == 0 && k.keys)
        err = check_keys(alloc, &k.most, (etf_view){in.data, *used}, e);
    return err;
}

int etf_check(const cn_alloc *alloc, const etf_limits *limits, etf_view in,
              etf_error *e) {
    size_t used;
    int err;

    if (in.len == 0)
        return etf__error(e, CN_ETRUNC, 0, ETF__NO_BYTES);
    err = etf__check_first(alloc, limits, in, e, &used);
    if (err == 0 && used < in.len)
        err = etf__error(e, CN_EBADTERM, used, "bytes behind the term");
    return err;
}
