/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h: a growing byte queue: append at the end, consume at the front
 * (internal).
 *
 *      data            data+head         data+len           data+cap
 *        |  consumed      |   waiting       |   room            |
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/alloc.h"

typedef struct cn_buf {
    uint8_t *data;
    size_t head;
    size_t len;
    size_t cap;
    const cn_alloc *alloc;
} cn_buf;

void cn__buf_init(cn_buf *b, const cn_alloc *alloc);
void cn__buf_free(cn_buf *b);

/* Room for n more bytes at the end, or NULL. What is written there counts
 * after cn__buf_commit. Moves the bytes: earlier pointers die. */
uint8_t *cn__buf_reserve(cn_buf *b, size_t n);
void cn__buf_commit(cn_buf *b, size_t n);
/* 0 or CN_ENOMEM. */
int cn__buf_append(cn_buf *b, const void *p, size_t n);

/* What waits at the front. */
static inline const uint8_t *cn__buf_at(const cn_buf *b) {
    return b->data == NULL ? NULL : b->data + b->head;
}
static inline size_t cn__buf_size(const cn_buf *b) {
    return b->len - b->head;
}
/* Drop n bytes at the front; a buffer that became empty starts over, and
 * gives back its memory when it had grown beyond keep. */
void cn__buf_consume(cn_buf *b, size_t n, size_t keep);
/* Its memory, of *cap bytes, becomes the caller's; the buffer is empty. */
uint8_t *cn__buf_take(cn_buf *b, size_t *cap);
/* It goes on in other memory of the same allocator, which has room for what
 * waits, and gives back its own. */
void cn__buf_move(cn_buf *b, uint8_t *data, size_t cap);

#endif
