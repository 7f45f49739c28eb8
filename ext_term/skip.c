/* SPDX-License-Identifier: Apache-2.0
 *
 * skip.c: over a term, looking into it no more than its soundness needs.
 *
 * There are two walks. The quick one only ever accepts: it counts the terms
 * that are still to come, and as each takes a byte at least, it cannot believe
 * a count that is too large for longer than there are bytes. When it meets the
 * end, or what is wrong, the careful walk begins anew at the first byte. That
 * one holds each count against the bytes that are left, as all readers do, and
 * so tells which head is wrong and why.
 */
#include "ext_term/reader.h"

#define INLINE __attribute__((always_inline)) static inline

/* Where so many bytes are left, any usual head may be read unasked, and the
 * first 16 bytes of a name in it: | 90 | n 2 | 119 | n 1 | 16 bytes |. */
enum { ROOM = 21 };

typedef struct walk {
    const uint8_t *p;
    uint64_t terms; /* still to come */
} walk;

/* How a usual head is passed. */
enum way {
    RARE, /* or not usual */
    INT,
    ONE, /* byte */
    ATOM,
    BINARY, /* a count of 4 bytes */
    STRING, /* of 2 */
    BIG,    /* of 1, and a sign */
    FLOAT,
    TUPLE,
    LIST,
    MAP,
    ID, /* pid or port */
    REF
};

static const uint8_t way_of[256] = {
    [ETF__SMALL_INTEGER] = INT, [ETF__INTEGER] = INT,
    [ETF__NIL] = ONE,           [ETF__SMALL_ATOM_UTF8] = ATOM,
    [ETF__BINARY] = BINARY,     [ETF__STRING] = STRING,
    [ETF__SMALL_BIG] = BIG,     [ETF__NEW_FLOAT] = FLOAT,
    [ETF__SMALL_TUPLE] = TUPLE, [ETF__LIST] = LIST,
    [ETF__MAP] = MAP,           [ETF__NEW_PID] = ID,
    [ETF__V4_PORT] = ID,        [ETF__NEWER_REFERENCE] = REF,
};

/* The two tags of small numbers are told apart by arithmetic: where they come
 * mixed, no branch could be foreseen. */
INLINE size_t int_size(uint8_t tag) {
    return 2 + 3 * (size_t)(tag - ETF__SMALL_INTEGER);
}

/* | n 1 | n bytes |, which are 1 to 16 and ASCII? The second eight of them
 * overlap the first. */
INLINE bool short_text(const uint8_t *p) {
    size_t n = p[0];

    if (n < 8)
        return n > 0 && etf__ascii8(p + 1, n);
    return n <= 16 &&
           ((etf__word(p + 1) | etf__word(p + n - 7)) & ETF__HIGH) == 0;
}

INLINE bool short_atom(const uint8_t *p) {
    return p[0] == ETF__SMALL_ATOM_UTF8 && short_text(p + 1);
}

INLINE bool short_ref(const uint8_t *p) {
    return cn__be16(p + 1) <= ETF_REF_WORDS && short_atom(p + 3);
}

/* A count of 4 bytes. Most are below 256, and then the one byte is known two
 * cycles sooner than the four are turned round. */
INLINE size_t count32(const uint8_t *p) {
    return (p[0] | p[1] | p[2]) == 0 ? p[3] : cn__be32(p);
}

/* p + n where n was just loaded and the next head waits for it. What else is
 * added to p is added before, and not to n: one or two cycles. */
INLINE const uint8_t *late(const uint8_t *p, size_t n) {
    __asm__("" : "+r"(p));
    return p + n;
}

/* Behind this head, and on by the way of the next. This stands behind each way,
 * and is no loop around a switch, for the jumps are what a small term costs:
 * here it takes one or two, there three. */
#define NEXT(size, children)                                                   \
    do {                                                                       \
        terms += (uint64_t)(children)-1;                                       \
        p += (size);                                                           \
        if (terms == 0 || p >= safe)                                           \
            goto out;                                                          \
        goto *ways[way_of[*p]];                                                \
    } while (0)

/* The same behind a head with `bytes` more, which must be there. */
#define NEXT_BYTES(size, bytes)                                                \
    do {                                                                       \
        n = (bytes);                                                           \
        if ((uint64_t)(size) + n > (uint64_t)(end - p))                        \
            goto out;                                                          \
        p = late(p + (size), n);                                               \
        NEXT(0, 0);                                                            \
    } while (0)

/* Addresses of labels are no standard C, but gcc and clang know them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

/* Passes usual heads until there is another one, the end of the term, or less
 * than ROOM from `safe` on. */
/* NOLINTNEXTLINE(readability-function-size): one flat switch */
static walk skip_usual(walk w, const uint8_t *safe, const uint8_t *end) {
    static const void *const ways[] = {
        /* cppcheck-suppress assignBoolToPointer ; labels */
        [RARE] = &&out,      [INT] = &&integer, [ONE] = &&one,
        [ATOM] = &&atom,     [BINARY] = &&bin,  [STRING] = &&string,
        [BIG] = &&big,       [FLOAT] = &&flt,   [TUPLE] = &&tuple,
        [LIST] = &&list,     [MAP] = &&map,     [ID] = &&id,
        [REF] = &&reference,
    };
    const uint8_t *p = w.p;
    uint64_t terms = w.terms;
    size_t n;
    uint8_t tag;

    NEXT(0, 1);
integer: /* and a row of them, where the next need not wait for the size */
    tag = *p;
    n = int_size(tag);
    do {
        p += n;
        if (--terms == 0 || p >= safe)
            goto out;
    } while (*p == tag);
    goto *ways[way_of[*p]];
one:
    NEXT(1, 0);
atom:
    if (!short_text(p + 1))
        goto out;
    p = late(p + 2, p[1]); /* within ROOM, so unasked */
    NEXT(0, 0);
bin:
    NEXT_BYTES(5, count32(p + 1));
string:
    NEXT_BYTES(3, cn__be16(p + 1));
big:
    NEXT_BYTES(3, p[1]);
flt:
    if (!etf__finite(p + 1))
        goto out;
    NEXT(9, 0);
tuple:
    NEXT(2, p[1]);
list:
    NEXT(5, (uint64_t)cn__be32(p + 1) + 1);
map:
    if (cn__be32(p + 1) > INT32_MAX)
        goto out;
    NEXT(5, (uint64_t)cn__be32(p + 1) * 2);
id:
    if (!short_atom(p + 1))
        goto out;
    NEXT_BYTES(3 + 12, p[2]);
reference:
    if (!short_ref(p))
        goto out;
    NEXT_BYTES(5 + 4 + (size_t)4 * p[2], p[4]);
out:
    return (walk){p, terms};
}

#pragma GCC diagnostic pop

/* The same for the last bytes, less than ROOM, with room behind them; w.p is
 * NULL if they end within a head. */
static walk skip_tail(walk w, const uint8_t *end) {
    uint8_t tail[2 * ROOM] = {0};
    size_t n = (size_t)(end - w.p);
    walk t = {tail, w.terms};

    memcpy(tail, w.p, n);
    t = skip_usual(t, tail + n, tail + n);
    if (t.p > tail + n)
        return (walk){0};
    return (walk){w.p + (t.p - tail), t.terms};
}

/* Any head; 0 or the error, with *at the byte that is wrong. */
static int skip_head(cn_cursor *c, const etf_atoms *atoms, uint64_t *children,
                     const uint8_t **at) {
    size_t size = c->left == 0 ? 0 : etf__usual(c->p, c->left, children);
    etf__head h;
    int err;

    *at = c->p;
    if (size == 0 && c->left > 0 && atoms != NULL)
        size = etf__usual_index(c->p, c->left, atoms);
    if (size > 0) {
        (void)cn__take(c, size);
        return 0;
    }
    err = etf__head_read_with(c, &h, atoms);
    *at = h.at;
    *children = h.children;
    return err;
}

/* Behind the term, or NULL. */
static const uint8_t *skip_quick(const uint8_t *p, size_t len,
                                 const etf_atoms *atoms) {
    const uint8_t *end = p + len, *safe = len < ROOM ? p : end - ROOM + 1, *at;
    walk w = {p, 1};
    uint64_t children;
    cn_cursor c;

    for (;;) {
        w = skip_usual(w, safe, end);
        if (w.terms > 0 && w.p >= safe)
            w = skip_tail(w, end);
        if (w.terms == 0)
            return w.p;
        c = cn__cursor(w.p, (size_t)(end - w.p));
        if (skip_head(&c, atoms, &children, &at) != 0)
            return NULL;
        w = (walk){c.p, w.terms + children - 1};
    }
}

/* Each of the terms that are still to come takes a byte at least. */
static int skip_careful(cn_cursor *c, const etf_atoms *atoms,
                        const uint8_t **at) {
    const uint8_t *end = c->p + c->left;
    uint64_t terms = 1, children = 0;
    int err = 0;

    while (terms > 0 && err == 0) {
        err = skip_head(c, atoms, &children, at);
        terms += children - 1;
        if (err == 0 && terms > c->left)
            err = CN_ETRUNC;
    }
    if (err != 0)
        *c = cn__cursor(*at, (size_t)(end - *at));
    return err;
}

int etf__skip(cn_cursor *c, const etf_atoms *atoms, const uint8_t **at) {
    const uint8_t *p = skip_quick(c->p, c->left, atoms);

    if (p == NULL)
        return skip_careful(c, atoms, at);
    (void)cn__take(c, (size_t)(p - c->p));
    return 0;
}

etf_view etf__first(etf_view in) {
    cn_cursor c = cn__cursor(in.data, in.len);
    const uint8_t *at;

    if (etf__skip(&c, NULL, &at) != 0)
        return in;
    return (etf_view){in.data, in.len - c.left};
}
