/* SPDX-License-Identifier: Apache-2.0
 *
 * bignum.c: big integers and their digits, by schoolbook arithmetic in words
 * on the stack.
 */
#include "ext_term/bignum.h"

enum { WORDS = ETF__DECIMAL_BYTES / 4, CHUNK_DIGITS = 9 };
#define CHUNK 1000000000U

typedef struct number {
    uint32_t word[WORDS]; /* the least significant first */
    size_t n;
} number;

/* m = m * factor + add; false when it grows too large. */
static bool multiply_add(number *m, uint32_t factor, uint32_t add) {
    uint64_t carry = add;

    for (size_t i = 0; i < m->n; i++) {
        carry += (uint64_t)m->word[i] * factor;
        m->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry == 0)
        return true;
    if (m->n == WORDS)
        return false;
    m->word[m->n++] = (uint32_t)carry;
    return true;
}

/* m = m / CHUNK; returns the remainder. */
static uint32_t divide(number *m) {
    uint64_t rest = 0;

    for (size_t i = m->n; i > 0; i--) {
        rest = rest << 32 | m->word[i - 1];
        m->word[i - 1] = (uint32_t)(rest / CHUNK);
        rest %= CHUNK;
    }
    while (m->n > 0 && m->word[m->n - 1] == 0)
        m->n--;
    return (uint32_t)rest;
}

static unsigned digit_of(char c) {
    if (c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)((c | 0x20) - 'a') + 10;
}

static int put_any_base(etf_writer *w, const etf__lex *x) {
    uint8_t bytes[ETF__DECIMAL_BYTES];
    number m;

    m.n = 0;
    for (size_t i = 0; i < x->len; i++)
        if (x->text[i] != '_' &&
            !multiply_add(&m, x->base, digit_of(x->text[i])))
            return CN_ELIMIT;
    for (size_t i = 0; i < m.n * 4; i++)
        bytes[i] = (uint8_t)(m.word[i / 4] >> (8 * (i % 4)));
    etf_put_big(w, bytes, m.n * 4, x->negative);
    return 0;
}

/* The digits from the right, two to a byte, straight into the term. */
static void hex_bytes(const etf__lex *x, uint8_t *out, size_t n) {
    size_t at = 0;

    memset(out, 0, n);
    for (size_t i = x->len; i > 0 && at / 2 < n; i--) {
        if (x->text[i - 1] == '_')
            continue;
        out[at / 2] |= (uint8_t)(digit_of(x->text[i - 1]) << (at % 2 * 4));
        at++;
    }
}

/* Digits without the zeros in front and without underscores. */
static size_t hex_digits(const etf__lex *x) {
    size_t n = 0;

    for (size_t i = 0; i < x->len; i++)
        if (x->text[i] != '_' && (n > 0 || x->text[i] != '0'))
            n++;
    return n;
}

static int put_long_hex(etf_writer *w, const etf__lex *x, size_t n) {
    uint8_t *p;

    if (n > ETF__BIG_BYTES)
        return CN_ELIMIT;
    p = etf__put(w, 6 + n, 0);
    if (p == NULL)
        return 0;
    p = cn__put32(cn__put8(p, ETF__LARGE_BIG), (uint32_t)n);
    hex_bytes(x, cn__put8(p, x->negative ? 1 : 0), n);
    return 0;
}

int etf__put_digits(etf_writer *w, const etf__lex *x) {
    uint8_t magnitude[8] = {0};
    uint64_t v;
    size_t n;

    if (etf__lex_u64(x, &v)) {
        for (n = 0; v > 0; v >>= 8)
            magnitude[n++] = (uint8_t)v;
        etf_put_big(w, magnitude, n, x->negative);
        return 0;
    }
    n = x->base == 16 ? (hex_digits(x) + 1) / 2 : 0;
    return n > UINT8_MAX ? put_long_hex(w, x, n) : put_any_base(w, x);
}

static size_t put_chunk(char *out, uint32_t v, bool first) {
    char text[CHUNK_DIGITS];
    size_t n = CHUNK_DIGITS, skip = 0;

    for (size_t i = n; i > 0; i--) {
        text[i - 1] = (char)('0' + v % 10);
        v /= 10;
    }
    while (first && skip < n - 1 && text[skip] == '0')
        skip++;
    memcpy(out, text + skip, n - skip);
    return n - skip;
}

size_t etf__decimal(etf_view magnitude, char out[ETF__DECIMAL_DIGITS]) {
    uint32_t chunk[ETF__DECIMAL_DIGITS / CHUNK_DIGITS + 1];
    size_t chunks = 0, at = 0;
    number m;

    m.n = (magnitude.len + 3) / 4;
    memset(m.word, 0, m.n * 4);
    for (size_t i = 0; i < magnitude.len; i++)
        m.word[i / 4] |= (uint32_t)magnitude.data[i] << (8 * (i % 4));
    do
        chunk[chunks++] = divide(&m);
    while (m.n > 0);
    for (size_t i = chunks; i > 0; i--)
        at += put_chunk(out + at, chunk[i - 1], i == chunks);
    return at;
}
