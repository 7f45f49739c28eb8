/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc.c: the default allocator hook and arrays whose size is checked.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static void *default_realloc(void *ctx, void *p, size_t old_size,
                             size_t new_size) {
    (void)ctx;
    (void)old_size;
    if (new_size == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_size);
}

const cn_alloc *cn_alloc_default(void) {
    static const cn_alloc standard = {default_realloc, NULL};
    return &standard;
}

void *cn__calloc(const cn_alloc *a, size_t count, size_t size) {
    void *p = cn__resize(a, NULL, 0, count, size);

    if (p != NULL)
        memset(p, 0, count * size);
    return p;
}

void *cn__resize(const cn_alloc *a, void *p, size_t old_count, size_t new_count,
                 size_t size) {
    size_t bytes;

    a = cn__alloc(a);
    if (new_count == 0 || __builtin_mul_overflow(new_count, size, &bytes))
        return NULL;
    return a->realloc(a->ctx, p, old_count * size, bytes);
}

void cn__free(const cn_alloc *a, void *p, size_t count, size_t size) {
    a = cn__alloc(a);
    if (p != NULL)
        (void)a->realloc(a->ctx, p, count * size, 0);
}

char *cn__strdup(const cn_alloc *a, const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = cn__resize(a, NULL, 0, n, 1);

    if (copy != NULL)
        memcpy(copy, s, n);
    return copy;
}

void cn__strfree(const cn_alloc *a, char *s) {
    if (s != NULL)
        cn__free(a, s, strlen(s) + 1, 1);
}
