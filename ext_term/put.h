/* SPDX-License-Identifier: Apache-2.0
 *
 * put.h: the usual way of a small term into a writer (internal).
 *
 * It asks one thing, etf__roomy, stores its bytes at data + len and adds to
 * len. It may store up to ETF__SLACK bytes more than it adds: there is room for
 * them. When the answer is no, whatever the reason, etf__put knows what to do;
 * that is kept out of line, so that the usual way needs no stack.
 */
#ifndef EXT_TERM_PUT_H
#define EXT_TERM_PUT_H

#include "ext_term/term.h"

enum { ETF__SLACK = 16 };
#define ETF__SLOW __attribute__((noinline, cold))

/* Room for n bytes, no error and no list that counts? n is at most UINT32_MAX,
 * so in 64 bits the sum does not wrap, except for a len that counts what is not
 * there, and then limit is 0. */
static inline bool etf__roomy(const etf_writer *w, size_t n) {
#if SIZE_MAX > UINT32_MAX
    return w->len + n < w->limit;
#else
    return w->len < w->limit && n < w->limit - w->len;
#endif
}

static inline uint64_t etf__copy8(uint8_t *to, const void *from) {
    uint64_t v;

    memcpy(&v, from, sizeof v);
    memcpy(to, &v, sizeof v);
    return v;
}

static inline uint32_t etf__copy4(uint8_t *to, const void *from) {
    uint32_t v;

    memcpy(&v, from, sizeof v);
    memcpy(to, &v, sizeof v);
    return v;
}

/* Copies n bytes; false when one has its high bit set. By words, of which the
 * last ends with the text and may overlap the one before. */
static inline bool etf__copy_ascii(uint8_t *to, const void *from, size_t n) {
    const uint8_t *p = from;
    uint64_t seen = 0;

    if (n >= 8) {
        for (size_t i = 0; i < n - 8; i += 8)
            seen |= etf__copy8(to + i, p + i);
        seen |= etf__copy8(to + n - 8, p + n - 8);
    } else if (n >= 4) {
        seen = etf__copy4(to, p) | etf__copy4(to + n - 4, p + n - 4);
    } else {
        for (size_t i = 0; i < n; i++)
            seen |= to[i] = p[i];
    }
    return (seen & 0x8080808080808080U) == 0;
}

#endif
