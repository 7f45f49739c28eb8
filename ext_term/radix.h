/* SPDX-License-Identifier: Apache-2.0
 *
 * radix.h: integers of any size from one radix into another, in less than the
 * square of their length (internal).
 */
#ifndef EXT_TERM_RADIX_H
#define EXT_TERM_RADIX_H

#include "ext_term/term.h"

/* Both the radixes that are converted into. */
#define ETF__BINARY_RADIX (1U << 24)
#define ETF__DECIMAL_RADIX 1000000000U

/* A power of two that is not less than n. */
size_t etf__radix_room(size_t n);
/* The digit[0..n) of radix `from`, the least significant first, become digits
 * of radix `to`, one of those above and larger than `from`. digit has
 * etf__radix_room(n) elements, and all of them are set. 0 or CN_ENOMEM. */
int etf__radix_convert(const cn_alloc *alloc, uint32_t *digit, size_t n,
                       uint32_t from, uint32_t to);

#endif
