/* SPDX-License-Identifier: Apache-2.0
 *
 * frames.c: a stack for walks that would else be recursive.
 */
#include "ext_term/frames.h"
#include "base/alloc.h"

void etf__frames_init(etf__frames *f, const cn_alloc *alloc, size_t size) {
    f->alloc = alloc;
    f->at = f->inside;
    f->n = 0;
    f->cap = sizeof f->inside / size;
    f->size = size;
}

void etf__frames_free(etf__frames *f) {
    if (f->at != f->inside)
        cn__free(f->alloc, f->at, f->cap, f->size);
}

static bool grow(etf__frames *f) {
    uint8_t *old = f->at == f->inside ? NULL : f->at;
    uint8_t *p = cn__resize(f->alloc, old, old == NULL ? 0 : f->cap, 2 * f->cap,
                            f->size);

    if (p == NULL)
        return false;
    if (old == NULL)
        memcpy(p, f->inside, f->n * f->size);
    f->at = p;
    f->cap *= 2;
    return true;
}

void *etf__frames_push(etf__frames *f) {
    if (f->n == f->cap && !grow(f))
        return NULL;
    f->n++;
    return etf__frames_top(f);
}

void *etf__frames_top(etf__frames *f) {
    return f->at + (f->n - 1) * f->size;
}

void etf__frames_pop(etf__frames *f) {
    f->n--;
}
