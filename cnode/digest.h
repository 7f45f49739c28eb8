/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.h: the answer to a challenge (internal).
 */
#ifndef CNODE_DIGEST_H
#define CNODE_DIGEST_H

#include "base/base.h"

enum { CNODE__DIGEST = 16 };

/* MD5 of the cookie and the challenge as decimal text. */
void cnode__digest(const char *cookie, uint32_t challenge,
                   uint8_t out[CNODE__DIGEST]);
/* In constant time. */
bool cnode__digest_eq(const uint8_t *a, const uint8_t *b);
/* Overwrites a secret in a way that is not optimised away. */
void cnode__wipe(void *p, size_t n);

#endif
