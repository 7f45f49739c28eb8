/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8.c: UTF-8 as Erlang accepts it: shortest form, no surrogates, up to
 * U+10FFFF; U+0000 is a character like any other (RFC 3629).
 */
#include "ext_term/term.h"

static size_t lead(uint8_t b, uint32_t *c) {
    if (b < 0x80) {
        *c = b;
        return 1;
    }
    if (b >= 0xc2 && b <= 0xdf) {
        *c = b & 0x1fU;
        return 2;
    }
    if (b >= 0xe0 && b <= 0xef) {
        *c = b & 0x0fU;
        return 3;
    }
    if (b >= 0xf0 && b <= 0xf4) {
        *c = b & 0x07U;
        return 4;
    }
    return 0;
}

static bool is_char(uint32_t c) {
    return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

size_t etf__utf8_get(const uint8_t *p, size_t left, uint32_t *c) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = left == 0 ? 0 : lead(p[0], c);

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *c = *c << 6 | (p[i] & 0x3fU);
    }
    return *c >= least[n] && is_char(*c) ? n : 0;
}

size_t etf__utf8_put(uint8_t *out, uint32_t c) {
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t mark[] = {0, 0, 0xc0, 0xe0, 0xf0};

    if (!is_char(c))
        return 0;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (uint8_t)(mark[n] | c);
    return n;
}

static bool ascii_word(const uint8_t *p) {
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

/* How many of the first bytes are ASCII; a word at a time, for most text is
 * nothing else, and the last word may overlap the one before it. */
static size_t ascii(const uint8_t *p, size_t n) {
    size_t i = 0;

    while (n - i >= 8 && ascii_word(p + i))
        i += 8;
    if (n >= 8 && n - i < 8 && ascii_word(p + n - 8))
        return n;
    while (i < n && p[i] < 0x80)
        i++;
    return i;
}

size_t etf__utf8_count(const uint8_t *p, size_t n) {
    size_t chars = ascii(p, n);
    uint32_t c;

    p += chars;
    n -= chars;
    while (n > 0) {
        size_t k = etf__utf8_get(p, n, &c);
        if (k == 0)
            return SIZE_MAX;
        p += k;
        n -= k;
        chars++;
    }
    return chars;
}
