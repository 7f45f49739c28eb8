/* SPDX-License-Identifier: Apache-2.0
 *
 * frames.h: a stack of frames that begins on the caller's stack and goes on
 * in the allocator's memory, so that a walk over terms of any depth is a loop
 * (internal).
 */
#ifndef EXT_TERM_FRAMES_H
#define EXT_TERM_FRAMES_H

#include "ext_term/term.h"

enum { ETF__FRAMES_INLINE = 512 }; /* bytes */

typedef struct etf__frames {
    const cn_alloc *alloc;
    uint8_t *at; /* the frames; `inside` or allocated */
    size_t n;
    size_t cap;
    size_t size; /* bytes of one */
    _Alignas(8) uint8_t inside[ETF__FRAMES_INLINE];
} etf__frames;

void etf__frames_init(etf__frames *f, const cn_alloc *alloc, size_t size);
void etf__frames_free(etf__frames *f);
/* A new frame on top, unset; NULL when there is no memory. */
void *etf__frames_push(etf__frames *f);
/* The frame on top; there must be one. */
void *etf__frames_top(etf__frames *f);
void etf__frames_pop(etf__frames *f);

#endif
