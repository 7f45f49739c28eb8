/* SPDX-License-Identifier: Apache-2.0
 *
 * sized.h: structs that grow. The caller says how much of one it knows: an
 * older program gets the fields of its time, a newer one zero for those that
 * this library does not have. A pointer to none stands for all zero
 * (internal).
 */
#ifndef CNODE_SIZED_H
#define CNODE_SIZED_H

#include <string.h>

static inline void cnode__copy_sized(void *out, size_t out_size,
                                     const void *from, size_t from_size) {
    size_t both = out_size < from_size ? out_size : from_size;

    memset(out, 0, out_size);
    if (from != NULL)
        memcpy(out, from, both);
}

/* The same; returns out. */
static inline const void *cnode__take_sized(void *out, size_t out_size,
                                            const void *from,
                                            size_t from_size) {
    cnode__copy_sized(out, out_size, from, from_size);
    return out;
}

#endif
