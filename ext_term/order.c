/* SPDX-License-Identifier: Apache-2.0
 *
 * order.c: Erlang's order of two terms, as far as their heads tell it.
 * https://www.erlang.org/doc/system/expressions.html#term-comparisons
 *
 * number < atom < reference < fun < port < pid < tuple < record < map < [] <
 * list < bitstring
 *
 * What the manual leaves open is as the BEAM does it, the same in OTP 25 to 29
 * unless noted: a pid compares serial, id, node, creation; a port and a
 * reference node and creation first; a reference then its words, the last one
 * first, where words that are missing count as 0. A closure comes before an
 * external fun and compares module, index, old_uniq (29 no longer), the number
 * of its free variables and these. A record (29) compares module, name,
 * whether it is exported, the number of fields, their names, and the values.
 *
 * By =:= an integer is less than a float and -0.0 less than 0.0, which are
 * different since 27; so are closures of other versions of a module, whose
 * order among each other the BEAM leaves to chance, and which here compare
 * arity and uniq.
 */
#include <math.h>

#include "ext_term/index.h"

static int order_of(uint64_t a, uint64_t b) {
    return (a > b) - (a < b);
}

static int order_signed(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

/* --- numbers -------------------------------------------------------------- */

enum { DOUBLE_BYTES = 128 }; /* of the integer part of the greatest double */

static int order_magnitude(etf_view a, etf_view b) {
    if (a.len != b.len)
        return order_of(a.len, b.len);
    for (size_t i = a.len; i > 0; i--)
        if (a.data[i - 1] != b.data[i - 1])
            return order_of(a.data[i - 1], b.data[i - 1]);
    return 0;
}

static int order_ints(const etf__head *a, const etf__head *b) {
    uint8_t aroom[8], broom[8];
    bool anegative, bnegative;
    etf_view am, bm;
    int64_t x, y;

    if (etf__head_i64(a, &x) == 0 && etf__head_i64(b, &y) == 0)
        return order_signed(x, y);
    am = etf__head_magnitude(a, aroom, &anegative);
    bm = etf__head_magnitude(b, broom, &bnegative);
    if (anegative != bnegative)
        return anegative ? -1 : 1;
    return anegative ? order_magnitude(bm, am) : order_magnitude(am, bm);
}

static int order_floats(const etf__head *a, const etf__head *b, bool exact) {
    double x = etf__head_float(a), y = etf__head_float(b);

    if (x < y || x > y)
        return x < y ? -1 : 1;
    return exact ? (signbit(x) == 0) - (signbit(y) == 0) : 0;
}

/* The magnitude of a float of at least 2^53, which has no fraction. */
static etf_view float_magnitude(double v, uint8_t room[DOUBLE_BYTES + 8]) {
    int exponent;
    uint64_t m = (uint64_t)ldexp(frexp(fabs(v), &exponent), 53);
    size_t shift = (size_t)exponent - 53, n = shift / 8;

    memset(room, 0, DOUBLE_BYTES + 8);
    for (m <<= shift % 8; m > 0; m >>= 8)
        room[n++] = (uint8_t)m;
    return (etf_view){room, n};
}

/* An integer that does not fit 64 bits. */
static int order_big_float(const etf__head *a, double v) {
    uint8_t none[8], room[DOUBLE_BYTES + 8];
    bool negative;
    etf_view m = etf__head_magnitude(a, none, &negative);
    int greater = negative ? -1 : 1;

    if (fabs(v) < 0x1p63 || negative != (v < 0) || m.len > DOUBLE_BYTES)
        return greater;
    return greater * order_magnitude(m, float_magnitude(v, room));
}

static int order_int_float(const etf__head *a, const etf__head *b) {
    double v = etf__head_float(b), whole = trunc(v);
    int64_t i;

    if (etf__head_i64(a, &i) != 0)
        return order_big_float(a, v);
    if (fabs(v) > 0x1p63 || v == 0x1p63)
        return v < 0 ? 1 : -1;
    if (i != (int64_t)whole)
        return order_signed(i, (int64_t)whole);
    return (v < whole) - (v > whole);
}

static int order_numbers(const etf__head *a, const etf__head *b, bool exact) {
    if (a->type == ETF_INT && b->type == ETF_INT)
        return order_ints(a, b);
    if (a->type == ETF_FLOAT && b->type == ETF_FLOAT)
        return order_floats(a, b, exact);
    if (exact)
        return a->type == ETF_INT ? -1 : 1;
    return a->type == ETF_INT ? order_int_float(a, b) : -order_int_float(b, a);
}

/* --- atoms and bytes ------------------------------------------------------ */

static int order_text(etf_view a, etf_view b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.data, b.data, n) : 0;

    return order != 0 ? order : order_of(a.len, b.len);
}

/* The bytes of UTF-8 are in the order of the characters. */
static int order_atoms(const etf__head *a, const etf__head *b) {
    uint8_t aroom[ETF__LATIN1_ROOM], broom[ETF__LATIN1_ROOM];

    return order_text(etf__head_text(a, aroom), etf__head_text(b, broom));
}

/* An atom in each head; both move behind it. */
static int order_inner(cn_cursor *a, cn_cursor *b) {
    etf__head x, y;

    (void)etf__head_read(a, &x);
    (void)etf__head_read(b, &y);
    return order_atoms(&x, &y);
}

static cn_cursor inside(const etf__head *h, const uint8_t *p) {
    return cn__cursor(p, (size_t)(h->end - p));
}

static int order_first(const etf__head *a, const etf__head *b) {
    cn_cursor x = inside(a, a->body), y = inside(b, b->body);

    return order_inner(&x, &y);
}

static uint64_t bits_of(const etf__head *h) {
    uint64_t unused = h->type == ETF_BITSTRING ? 8U - h->body[-1] : 0;

    return (uint64_t)h->n * 8 - unused;
}

static int order_bits(const etf__head *a, const etf__head *b) {
    uint64_t an = bits_of(a), bn = bits_of(b), n = an < bn ? an : bn;
    size_t whole = (size_t)(n / 8);
    unsigned rest = (unsigned)(n % 8);
    int order = whole > 0 ? memcmp(a->body, b->body, whole) : 0;

    if (order == 0 && rest > 0)
        order = order_of((unsigned)a->body[whole] >> (8 - rest),
                         (unsigned)b->body[whole] >> (8 - rest));
    return order != 0 ? order : order_of(an, bn);
}

/* --- identifiers and funs ------------------------------------------------- */

static int order_refs(const etf__head *a, const etf__head *b) {
    etf__numbers x, y;
    int order = order_first(a, b);

    etf__head_numbers(a, &x);
    etf__head_numbers(b, &y);
    if (order == 0)
        order = order_of(x.creation, y.creation);
    for (int i = ETF_REF_WORDS - 1; i >= 0 && order == 0; i--)
        order = order_of(x.words[i], y.words[i]);
    return order;
}

static int order_ports(const etf__head *a, const etf__head *b) {
    etf__numbers x, y;
    int order = order_first(a, b);

    etf__head_numbers(a, &x);
    etf__head_numbers(b, &y);
    if (order == 0)
        order = order_of(x.creation, y.creation);
    return order != 0 ? order : order_of(x.id, y.id);
}

static int order_pids(const etf__head *a, const etf__head *b) {
    etf__numbers x, y;
    int order;

    etf__head_numbers(a, &x);
    etf__head_numbers(b, &y);
    order = order_of(x.serial, y.serial);
    if (order == 0)
        order = order_of(x.id, y.id);
    if (order == 0)
        order = order_first(a, b);
    return order != 0 ? order : order_of(x.creation, y.creation);
}

static int order_closures(const etf__head *a, const etf__head *b, bool exact) {
    etf__fun x, y;
    int order = order_first(a, b);

    etf__head_fun(a, &x);
    etf__head_fun(b, &y);
    if (order == 0)
        order = order_of(x.index, y.index);
    if (order == 0)
        order = order_signed(x.old_uniq, y.old_uniq);
    if (order == 0 && exact)
        order = order_of(x.arity, y.arity);
    if (order == 0 && exact)
        order = memcmp(x.uniq, y.uniq, 16);
    return order != 0 ? order : order_of(a->n, b->n);
}

static int order_exports(const etf__head *a, const etf__head *b) {
    cn_cursor x = inside(a, a->body), y = inside(b, b->body);
    int order = order_inner(&x, &y);

    if (order == 0)
        order = order_inner(&x, &y);
    return order != 0 ? order : order_of(a->n, b->n);
}

static int order_records(const etf__head *a, const etf__head *b) {
    cn_cursor x = inside(a, a->body), y = inside(b, b->body);
    int order = order_inner(&x, &y);

    if (order == 0)
        order = order_inner(&x, &y);
    if (order == 0)
        order = order_of(a->body[-1], b->body[-1]);
    if (order == 0)
        order = order_of(a->n, b->n);
    for (uint32_t i = 0; i < a->n && order == 0; i++)
        order = order_inner(&x, &y);
    return order;
}

/* --- all ------------------------------------------------------------------ */

static const uint8_t ranks[] = {
    [ETF_INT] = 1,   [ETF_FLOAT] = 1,   [ETF_ATOM] = 2,       [ETF_REF] = 3,
    [ETF_FUN] = 4,   [ETF_EXPORT] = 5,  [ETF_PORT] = 6,       [ETF_PID] = 7,
    [ETF_TUPLE] = 8, [ETF_RECORD] = 9,  [ETF_MAP] = 10,       [ETF_NIL] = 11,
    [ETF_LIST] = 12, [ETF_BINARY] = 13, [ETF_BITSTRING] = 13,
};

static int order_same_rank(const etf__head *a, const etf__head *b, bool exact) {
    switch (a->type) {
    case ETF_INT:
    case ETF_FLOAT:
        return order_numbers(a, b, exact);
    case ETF_ATOM:
        return order_atoms(a, b);
    case ETF_BINARY:
    case ETF_BITSTRING:
        return order_bits(a, b);
    case ETF_TUPLE:
    case ETF_MAP:
        return order_of(a->n, b->n);
    case ETF_REF:
        return order_refs(a, b);
    case ETF_FUN:
        return order_closures(a, b, exact);
    case ETF_EXPORT:
        return order_exports(a, b);
    case ETF_PORT:
        return order_ports(a, b);
    case ETF_PID:
        return order_pids(a, b);
    case ETF_RECORD:
        return order_records(a, b);
    default:
        return 0;
    }
}

int etf__head_order(const etf__head *a, const etf__head *b, bool exact) {
    if (ranks[a->type] != ranks[b->type])
        return ranks[a->type] < ranks[b->type] ? -1 : 1;
    return order_same_rank(a, b, exact);
}

int etf__tail_order(const etf__head *tail) {
    return ranks[ETF_LIST] < ranks[tail->type] ? -1 : 1;
}
