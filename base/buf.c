/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.c: the growing byte queue. Grows by doubling, so that appending is
 * amortised; slides the waiting bytes to the front before it grows.
 */
#include <string.h>

#include "base/buf.h"

enum { FIRST_CAP = 256 };

void cn__buf_init(cn_buf *b, const cn_alloc *alloc) {
    *b = (cn_buf){.alloc = cn__alloc(alloc)};
}

void cn__buf_free(cn_buf *b) {
    cn__free(b->alloc, b->data, b->cap, 1);
    *b = (cn_buf){.alloc = b->alloc};
}

static bool grow(cn_buf *b, size_t need) {
    size_t cap = b->cap > FIRST_CAP ? b->cap : FIRST_CAP;
    uint8_t *p;

    while (cap < need) {
        if (cap > SIZE_MAX / 2)
            return false;
        cap *= 2;
    }
    p = cn__resize(b->alloc, b->data, b->cap, cap, 1);
    if (p == NULL)
        return false;
    b->data = p;
    b->cap = cap;
    return true;
}

uint8_t *cn__buf_reserve(cn_buf *b, size_t n) {
    size_t need;

    if (b->cap - b->len < n && b->head > 0) {
        memmove(b->data, b->data + b->head, b->len - b->head);
        b->len -= b->head;
        b->head = 0;
    }
    if (__builtin_add_overflow(b->len, n, &need))
        return NULL;
    if ((need > b->cap || b->data == NULL) && !grow(b, need))
        return NULL;
    return b->data + b->len;
}

void cn__buf_commit(cn_buf *b, size_t n) {
    b->len += n;
}

int cn__buf_append(cn_buf *b, const void *p, size_t n) {
    uint8_t *room = cn__buf_reserve(b, n);

    if (room == NULL)
        return CN_ENOMEM;
    if (n > 0)
        memcpy(room, p, n);
    b->len += n;
    return 0;
}

void cn__buf_consume(cn_buf *b, size_t n, size_t keep) {
    b->head += n;
    if (b->head < b->len)
        return;
    b->head = b->len = 0;
    if (b->cap > keep)
        cn__buf_free(b);
}

uint8_t *cn__buf_take(cn_buf *b, size_t *cap) {
    uint8_t *data = b->data;

    *cap = b->cap;
    *b = (cn_buf){.alloc = b->alloc};
    return data;
}

void cn__buf_move(cn_buf *b, uint8_t *data, size_t cap) {
    size_t n = cn__buf_size(b);

    if (n > 0)
        memcpy(data, b->data + b->head, n);
    cn__free(b->alloc, b->data, b->cap, 1);
    *b = (cn_buf){data, 0, n, cap, b->alloc};
}
