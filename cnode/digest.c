/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.c: the cookie digest of the handshake, section "Distribution
 * Handshake", "gen_digest()". The only use of OpenSSL in the protocol.
 *
 * The functions of old are used, for they allocate nothing and look for no
 * provider: what goes before EVP's MD5 can fail, crashes inside of OpenSSL when
 * memory is short, and takes longer than the handshake. The digest is demanded
 * by the protocol, so a policy that forbids MD5 has nothing to choose.
 */
#define OPENSSL_API_COMPAT 0x10100000L
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/md5.h>

#include "cnode/digest.h"

_Static_assert(CNODE__DIGEST == MD5_DIGEST_LENGTH, "the digest is MD5");

void cnode__digest(const char *cookie, uint32_t challenge,
                   uint8_t out[CNODE__DIGEST]) {
    char decimal[16];
    int n = snprintf(decimal, sizeof decimal, "%" PRIu32, challenge);
    MD5_CTX ctx;

    (void)MD5_Init(&ctx);
    (void)MD5_Update(&ctx, cookie, strlen(cookie));
    (void)MD5_Update(&ctx, decimal, (size_t)n);
    (void)MD5_Final(out, &ctx);
    cnode__wipe(&ctx, sizeof ctx);
}

bool cnode__digest_eq(const uint8_t *a, const uint8_t *b) {
    return CRYPTO_memcmp(a, b, CNODE__DIGEST) == 0;
}

void cnode__wipe(void *p, size_t n) {
    if (p != NULL)
        OPENSSL_cleanse(p, n);
}
