/* SPDX-License-Identifier: Apache-2.0
 *
 * unique.c: that the keys of maps, and the field names of records, differ.
 */
#include "ext_term/term.h"

int etf__unique_keys(const cn_alloc *alloc, const etf_limits *l, etf_view term,
                     size_t *at) {
    (void)alloc;
    (void)l;
    (void)term;
    (void)at;
    return 0;
}
