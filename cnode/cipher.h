/* SPDX-License-Identifier: Apache-2.0
 *
 * cipher.h: how heartbeats are kept secret (internal).
 */
#ifndef CNODE_CIPHER_H
#define CNODE_CIPHER_H

#include "base/base.h"

enum { CNODE__CIPHER_KEY = 32, CNODE__CIPHER_BLOCK = 16 };

/* SHA-256 of the secret. CN_ENOMEM: OpenSSL does not do it. */
int cnode__cipher_key(const char *secret, uint8_t key[CNODE__CIPHER_KEY]);
/* AES-256-CBC with the padding of PKCS #7: the size of what is written to out,
 * which has room for a block more than n; CN_ENOMEM. */
int cnode__encrypt(const uint8_t key[CNODE__CIPHER_KEY],
                   const uint8_t iv[CNODE__CIPHER_BLOCK], const uint8_t *in,
                   size_t n, uint8_t *out);
/* The opposite, with as much room in out: the size; CN_EPROTO: the padding is
 * none, or n is not whole blocks; CN_ENOMEM. */
int cnode__decrypt(const uint8_t key[CNODE__CIPHER_KEY],
                   const uint8_t iv[CNODE__CIPHER_BLOCK], const uint8_t *in,
                   size_t n, uint8_t *out);

#endif
