/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc.h: allocation through the hook, with sizes that cannot overflow
 * (internal).
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include "base/base.h"

/* NULL stands for the default allocator. */
static inline const cn_alloc *cn__alloc(const cn_alloc *a) {
    return a != NULL && a->realloc != NULL ? a : cn_alloc_default();
}

/* Zeroed memory, or NULL. */
void *cn__calloc(const cn_alloc *a, size_t count, size_t size);
/* Resize an array of elements of size bytes; NULL on overflow or no memory. */
void *cn__resize(const cn_alloc *a, void *p, size_t old_count, size_t new_count,
                 size_t size);
/* Free what had count elements of size bytes; p may be NULL. */
void cn__free(const cn_alloc *a, void *p, size_t count, size_t size);
/* A NUL-terminated copy, freed by cn__strfree. */
char *cn__strdup(const cn_alloc *a, const char *s);
void cn__strfree(const cn_alloc *a, char *s);

#endif
