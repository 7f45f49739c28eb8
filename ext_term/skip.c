/* SPDX-License-Identifier: Apache-2.0
 *
 * skip.c: over a term, looking into it no more than its soundness needs.
 *
 * Each of the terms that are still to come takes a byte at least. What is left
 * beyond that is the slack: a head of s bytes with c children is only good if
 * s - 1 + c are in it, and this one comparison holds the bytes of the head and
 * the count of its children against the end at once.
 */
#include "ext_term/reader.h"

typedef struct walk {
    const uint8_t *p;
    uint64_t terms; /* still to come */
    uint64_t slack; /* bytes beyond one for each */
} walk;

static inline bool pass(walk *w, uint64_t size, uint64_t children) {
    uint64_t need = size - 1 + children;

    if (need > w->slack)
        return false;
    w->p += size;
    w->slack -= need;
    w->terms += children - 1;
    return true;
}

/* How a usual head is passed. */
enum way {
    RARE, /* or not usual */
    TWO,  /* bytes, whatever they are */
    FIVE,
    ONE,
    ATOM,   /* a small one */
    BINARY, /* a count of 4 bytes */
    STRING, /* of 2 */
    BIG,    /* of 1, and a sign */
    FLOAT,
    TUPLE,
    LIST,
    MAP
};

static const uint8_t way_of[256] = {
    [ETF__SMALL_INTEGER] = TWO, [ETF__INTEGER] = FIVE,
    [ETF__NIL] = ONE,           [ETF__SMALL_ATOM_UTF8] = ATOM,
    [ETF__BINARY] = BINARY,     [ETF__STRING] = STRING,
    [ETF__SMALL_BIG] = BIG,     [ETF__NEW_FLOAT] = FLOAT,
    [ETF__SMALL_TUPLE] = TUPLE, [ETF__LIST] = LIST,
    [ETF__MAP] = MAP,
};

/* Up to 16 bytes, the second eight of which overlap the first. */
static inline bool skip_atom(walk *w, const uint8_t *p) {
    size_t n;

    if (w->slack < 9)
        return false;
    n = p[1];
    if (n - 1 < 8)
        return etf__ascii8(p + 2, n) && pass(w, n + 2, 0);
    if (n > 16 || n == 0 || n >= w->slack ||
        ((etf__word(p + 2) | etf__word(p + n - 6)) & ETF__HIGH) != 0)
        return false;
    return pass(w, n + 2, 0);
}

/* Passes a usual head; what is false is for skip_rare to judge. */
static inline bool skip_usual(walk *w) {
    const uint8_t *p = w->p;

    switch ((enum way)way_of[*p]) {
    case TWO:
        return pass(w, 2, 0);
    case FIVE:
        return pass(w, 5, 0);
    case ONE:
        return pass(w, 1, 0);
    case ATOM:
        return skip_atom(w, p);
    case BINARY:
        return w->slack >= 4 && pass(w, (uint64_t)cn__be32(p + 1) + 5, 0);
    case STRING:
        return w->slack >= 2 && pass(w, (uint64_t)cn__be16(p + 1) + 3, 0);
    case BIG:
        return w->slack >= 1 && pass(w, (uint64_t)p[1] + 3, 0);
    case FLOAT:
        return w->slack >= 8 && etf__finite(p + 1) && pass(w, 9, 0);
    case TUPLE:
        return w->slack >= 1 && pass(w, 2, p[1]);
    case LIST:
        return w->slack >= 4 && pass(w, 5, (uint64_t)cn__be32(p + 1) + 1);
    case MAP:
        return w->slack >= 4 && cn__be32(p + 1) <= INT32_MAX &&
               pass(w, 5, (uint64_t)cn__be32(p + 1) * 2);
    case RARE:
        return false;
    }
    __builtin_unreachable();
}

static int skip_rare(walk *w, const etf_atoms *atoms, const uint8_t **at) {
    cn_cursor c = cn__cursor(w->p, (size_t)(w->slack + w->terms));
    uint64_t children = 0;
    size_t size;
    etf__head h;
    int err = 0;

    *at = w->p;
    size = etf__usual(c.p, c.left, &children);
    if (size == 0 && atoms != NULL)
        size = etf__usual_index(c.p, c.left, atoms);
    if (size == 0) {
        err = etf__head_read_with(&c, &h, atoms);
        *at = h.at;
        children = h.children;
        size = (size_t)(c.p - w->p);
    }
    if (err != 0)
        return err;
    return pass(w, size, children) ? 0 : CN_ETRUNC;
}

int etf__skip(cn_cursor *c, const etf_atoms *atoms, const uint8_t **at) {
    walk w = {c->p, 1, (uint64_t)c->left - 1};
    int err = 0;

    *at = c->p;
    if (c->left == 0)
        return CN_ETRUNC;
    while (w.terms > 0 && err == 0)
        if (!skip_usual(&w))
            err = skip_rare(&w, atoms, at);
    *c = cn__cursor(w.p, (size_t)(w.slack + w.terms));
    return err;
}
