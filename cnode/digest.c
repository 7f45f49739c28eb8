/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.c: the cookie digest of the handshake, section "Distribution
 * Handshake", "gen_digest()". The only use of OpenSSL in the protocol.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "cnode/digest.h"

int cnode__digest(const char *cookie, uint32_t challenge,
                  uint8_t out[CNODE__DIGEST]) {
    char decimal[16];
    int n = snprintf(decimal, sizeof decimal, "%" PRIu32, challenge);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok;

    if (ctx == NULL)
        return CN_ENOMEM;
    ok = EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
         EVP_DigestUpdate(ctx, cookie, strlen(cookie)) == 1 &&
         EVP_DigestUpdate(ctx, decimal, (size_t)n) == 1 &&
         EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : CN_ENOTSUP;
}

bool cnode__digest_eq(const uint8_t *a, const uint8_t *b) {
    return CRYPTO_memcmp(a, b, CNODE__DIGEST) == 0;
}

void cnode__wipe(void *p, size_t n) {
    if (p != NULL)
        OPENSSL_cleanse(p, n);
}
