/* SPDX-License-Identifier: Apache-2.0
 *
 * bigtext.c: integers of any size to and from digits and bytes, for the
 * program.
 */
#include "base/alloc.h"
#include "ext_term/bignum.h"
#include "ext_term/radix.h"

enum {
    PER_DIGIT = 9, /* characters of a digit of ETF__DECIMAL_RADIX */
    PER_CHUNK = 6, /* characters of one that is converted from */
    CHUNK = 1000000,
    DECIMAL_MAX = 1262593 /* characters beyond which ETF__BIG_BYTES is full */
};

/* --- out ------------------------------------------------------------------ */

/* As snprintf does it, from the front. */
typedef struct text {
    char *out;
    size_t cap;
    size_t len;
} text;

static void put_char(text *t, char c) {
    if (t->len < t->cap)
        t->out[t->len] = c;
    t->len++;
}

static void put_hex(text *t, etf_view m) {
    static const char digit[] = "0123456789abcdef";

    if (m.len == 0)
        put_char(t, '0');
    for (size_t i = m.len; i > 0; i--) {
        uint8_t b = m.data[i - 1];
        if (i < m.len || b > 15)
            put_char(t, digit[b >> 4]);
        put_char(t, digit[b & 15]);
    }
}

/* Digits of the decimal radix, the first without zeros in front. */
static void put_digits(text *t, const uint32_t *digit, size_t n) {
    char out[PER_DIGIT];

    while (n > 1 && digit[n - 1] == 0)
        n--;
    for (size_t i = n, skip = 1; i > 0; i--) {
        uint32_t v = digit[i - 1];
        for (int k = PER_DIGIT - 1; k >= 0; k--, v /= 10)
            out[k] = (char)('0' + v % 10);
        for (size_t k = 0; k < PER_DIGIT; k++) {
            skip = skip && out[k] == '0' && (k + 1 < PER_DIGIT || i > 1);
            if (!skip)
                put_char(t, out[k]);
        }
    }
}

static int put_decimal(const cn_alloc *alloc, text *t, etf_view m) {
    size_t n = (m.len + 2) / 3, room = etf__radix_room(n);
    uint32_t *digit = cn__calloc(alloc, room, sizeof *digit);
    int err;

    if (digit == NULL)
        return CN_ENOMEM;
    for (size_t i = 0; i < m.len; i++)
        digit[i / 3] |= (uint32_t)m.data[i] << (8 * (i % 3));
    err = etf__radix_convert(alloc, digit, n, ETF__BINARY_RADIX,
                             ETF__DECIMAL_RADIX);
    if (err == 0)
        put_digits(t, digit, room);
    cn__free(alloc, digit, room, sizeof *digit);
    return err;
}

static int read_integer(etf_view term, etf__head *h) {
    cn_cursor c = cn__cursor(term.data, term.data == NULL ? 0 : term.len);
    int err = etf__head_read(&c, h);

    if (err != 0)
        return err;
    return h->type == ETF_INT ? 0 : CN_ETYPE;
}

int etf_big_text(const cn_alloc *alloc, etf_view term, unsigned base, char *out,
                 size_t cap, size_t *len) {
    text t = {.out = out, .cap = cap};
    bool negative;
    uint8_t room[8];
    etf__head h;
    etf_view m;
    int err = base == 10 || base == 16 ? read_integer(term, &h) : CN_EBADARG;

    if (err == 0) {
        m = etf__head_magnitude(&h, room, &negative);
        if (negative)
            put_char(&t, '-');
        if (base == 16)
            put_hex(&t, m);
        else
            err = put_decimal(alloc, &t, m);
    }
    if (err != 0)
        t.len = 0;
    if (cap > 0)
        out[t.len < cap ? t.len : cap - 1] = '\0';
    if (len != NULL)
        *len = t.len;
    return err;
}

int etf_big_bytes(etf_view term, bool big_endian, void *out, size_t cap,
                  size_t *len, bool *negative) {
    uint8_t room[8], *to = out;
    etf__head h;
    etf_view m;
    int err = read_integer(term, &h);

    *len = 0;
    *negative = false;
    if (err != 0)
        return err;
    m = etf__head_magnitude(&h, room, negative);
    *len = m.len;
    if (m.len > cap)
        return CN_ELIMIT;
    for (size_t i = 0; i < cap; i++) {
        size_t at = big_endian ? cap - 1 - i : i;
        to[at] = i < m.len ? m.data[i] : 0;
    }
    return 0;
}

/* --- in ------------------------------------------------------------------- */

static unsigned digit_of(char c) {
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
}

/* Radix 10^6 to the bytes of radix 2^24. */
static int from_decimal(const cn_alloc *alloc, const char *s, size_t n,
                        uint32_t *digit) {
    size_t chunks = 0;

    for (size_t end = n; end > 0; end -= end < PER_CHUNK ? end : PER_CHUNK) {
        uint32_t v = 0;
        for (size_t i = end < PER_CHUNK ? 0 : end - PER_CHUNK; i < end; i++)
            v = v * 10 + digit_of(s[i]);
        digit[chunks++] = v;
    }
    return etf__radix_convert(alloc, digit, chunks, CHUNK, ETF__BINARY_RADIX);
}

static void from_hex(const char *s, size_t n, uint32_t *digit) {
    for (size_t i = 0; i < n; i++)
        digit[i / PER_CHUNK] |= digit_of(s[n - 1 - i]) << (4 * (i % PER_CHUNK));
}

/* Three bytes of each digit, in place. */
static size_t to_bytes(uint32_t *digit, size_t n) {
    uint8_t *out = (uint8_t *)digit;
    uint32_t v;

    for (size_t i = 0; i < n; i++) {
        v = digit[i];
        for (unsigned k = 0; k < 3; k++)
            out[3 * i + k] = (uint8_t)(v >> (8 * k));
    }
    return 3 * n;
}

static int put_text(etf_writer *w, const char *s, size_t n, unsigned base,
                    bool negative) {
    size_t room = etf__radix_room((n + PER_CHUNK - 1) / PER_CHUNK);
    uint32_t *digit = cn__calloc(w->alloc, room, sizeof *digit);
    int err = 0;

    if (digit == NULL)
        return CN_ENOMEM;
    if (base == 16)
        from_hex(s, n, digit);
    else
        err = from_decimal(w->alloc, s, n, digit);
    if (err == 0) {
        size_t bytes = to_bytes(digit, room);
        etf_put_big(w, (const uint8_t *)digit, bytes, negative);
    }
    cn__free(w->alloc, digit, room, sizeof *digit);
    return err;
}

static bool all_digits(const char *s, size_t n, unsigned base) {
    for (size_t i = 0; i < n; i++)
        if (digit_of(s[i]) >= base)
            return false;
    return n > 0;
}

void etf_put_big_text(etf_writer *w, const char *s, size_t n, unsigned base) {
    bool negative = n > 0 && s[0] == '-';
    int err;

    if (n > 0 && (s[0] == '-' || s[0] == '+')) {
        s++;
        n--;
    }
    if (base != 10 && base != 16) {
        etf_writer_fail(w, CN_EBADARG);
        return;
    }
    if (!all_digits(s, n, base)) {
        etf_writer_fail(w, CN_ESYNTAX);
        return;
    }
    for (; n > 1 && *s == '0'; n--)
        s++;
    if (n > (base == 16 ? 2 * ETF__BIG_BYTES : DECIMAL_MAX))
        err = CN_ELIMIT;
    else
        err = put_text(w, s, n, base, negative);
    if (err != 0)
        etf_writer_fail(w, err);
}

void etf_put_big_bytes(etf_writer *w, const void *bytes, size_t n,
                       bool big_endian, bool negative) {
    const uint8_t *from = bytes;
    uint8_t *at;

    if (!big_endian) {
        etf_put_big(w, from, n, negative);
        return;
    }
    while (n > 0 && *from == 0) {
        from++;
        n--;
    }
    if (n > ETF__BIG_BYTES) {
        etf_writer_fail(w, CN_ELIMIT);
        return;
    }
    at = cn__resize(w->alloc, NULL, 0, n + 1, 1);
    if (at == NULL) {
        etf_writer_fail(w, CN_ENOMEM);
        return;
    }
    for (size_t i = 0; i < n; i++)
        at[i] = from[n - 1 - i];
    etf_put_big(w, at, n, negative);
    cn__free(w->alloc, at, n + 1, 1);
}
