/* SPDX-License-Identifier: Apache-2.0
 *
 * same.h: are these short texts, names of nodes for the most part, the same? It
 * is asked for every message that goes out, and a call of memcmp takes longer
 * than the answer (internal).
 */
#ifndef BASE_SAME_H
#define BASE_SAME_H

#include <string.h>

#include "base/base.h"

static inline uint64_t cn__differ(const uint8_t *a, const uint8_t *b) {
    uint64_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x ^ y;
}
/* memcmp(a, b, n) == 0. */
static inline bool cn__same(const void *a, const void *b, size_t n) {
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    uint64_t other;

    if (n < 8)
        return memcmp(a, b, n) == 0;
    other = cn__differ(p + n - 8, q + n - 8);
    for (size_t i = 0; i + 8 < n; i += 8)
        other |= cn__differ(p + i, q + i);
    return other == 0;
}

#endif
