/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes.h: big-endian numbers, and a cursor that cannot leave its bytes
 * (internal). The cursor latches: after the first read beyond the end every
 * read gives zero and `bad` stays set, so one check at the end is enough.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <string.h>

#include "base/base.h"

static inline uint16_t cn__be16(const uint8_t *p) {
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}
static inline uint32_t cn__be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}
static inline uint64_t cn__be64(const uint8_t *p) {
    return (uint64_t)cn__be32(p) << 32 | cn__be32(p + 4);
}
static inline uint8_t *cn__put8(uint8_t *p, uint8_t v) {
    *p = v;
    return p + 1;
}
/* Compilers make one instruction of a memcpy, but not of some bytes. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CN__BIG_ENDIAN(bits, v) __builtin_bswap##bits(v)
#else
#define CN__BIG_ENDIAN(bits, v) (v)
#endif
static inline uint8_t *cn__put16(uint8_t *p, uint16_t v) {
    v = CN__BIG_ENDIAN(16, v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}
static inline uint8_t *cn__put32(uint8_t *p, uint32_t v) {
    v = CN__BIG_ENDIAN(32, v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}
static inline uint8_t *cn__put64(uint8_t *p, uint64_t v) {
    v = CN__BIG_ENDIAN(64, v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}
static inline uint8_t *cn__put_bytes(uint8_t *p, const void *v, size_t n) {
    if (n > 0)
        memcpy(p, v, n);
    return p + n;
}

typedef struct cn_cursor {
    const uint8_t *p;
    size_t left;
    bool bad;
} cn_cursor;

static inline cn_cursor cn__cursor(const void *p, size_t n) {
    return (cn_cursor){p, n, false};
}
/* The next n bytes, or NULL. */
static inline const uint8_t *cn__take(cn_cursor *c, size_t n) {
    const uint8_t *p = c->p;

    if (c->bad || n > c->left) {
        c->bad = true;
        return NULL;
    }
    c->p += n;
    c->left -= n;
    return p;
}
static inline uint8_t cn__take8(cn_cursor *c) {
    const uint8_t *p = cn__take(c, 1);
    return p == NULL ? 0 : *p;
}
static inline uint16_t cn__take16(cn_cursor *c) {
    const uint8_t *p = cn__take(c, 2);
    return p == NULL ? (uint16_t)0 : cn__be16(p);
}
static inline uint32_t cn__take32(cn_cursor *c) {
    const uint8_t *p = cn__take(c, 4);
    return p == NULL ? 0 : cn__be32(p);
}
static inline uint64_t cn__take64(cn_cursor *c) {
    const uint8_t *p = cn__take(c, 8);
    return p == NULL ? 0 : cn__be64(p);
}

#endif
