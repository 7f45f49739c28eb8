/* SPDX-License-Identifier: Apache-2.0
 *
 * cipher.c: AES-256-CBC by OpenSSL, as the heartbeats of libcluster are
 * encrypted.
 */
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "cnode/cipher.h"

int cnode__cipher_key(const char *secret, uint8_t key[CNODE__CIPHER_KEY]) {
    return EVP_Digest(secret, strlen(secret), key, NULL, EVP_sha256(), NULL) ==
                   1
               ? 0
               : CN_ENOMEM;
}

/* The size of what is written, CN_EPROTO at its end, or CN_ENOMEM. */
static int transform(EVP_CIPHER_CTX *c, const uint8_t *key, const uint8_t *iv,
                     const cn_slice *in, uint8_t *out, int encrypt) {
    int size, rest;

    if (EVP_CipherInit_ex(c, EVP_aes_256_cbc(), NULL, key, iv, encrypt) != 1 ||
        EVP_CipherUpdate(c, out, &size, in->data, (int)in->len) != 1)
        return CN_ENOMEM;
    return EVP_CipherFinal_ex(c, out + size, &rest) == 1 ? size + rest
                                                         : CN_EPROTO;
}

static int whole(const uint8_t *key, const uint8_t *iv, cn_slice in,
                 uint8_t *out, int encrypt) {
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int size;

    if (c == NULL)
        return CN_ENOMEM;
    /* What others send must not be found in the error queue of the program. */
    (void)ERR_set_mark();
    size = transform(c, key, iv, &in, out, encrypt);
    (void)ERR_pop_to_mark();
    EVP_CIPHER_CTX_free(c);
    return size;
}

int cnode__encrypt(const uint8_t key[CNODE__CIPHER_KEY],
                   const uint8_t iv[CNODE__CIPHER_BLOCK], const uint8_t *in,
                   size_t n, uint8_t *out) {
    int size = whole(key, iv, (cn_slice){in, n}, out, 1);

    return size == CN_EPROTO ? CN_ENOMEM : size;
}

int cnode__decrypt(const uint8_t key[CNODE__CIPHER_KEY],
                   const uint8_t iv[CNODE__CIPHER_BLOCK], const uint8_t *in,
                   size_t n, uint8_t *out) {
    if (n == 0 || n % CNODE__CIPHER_BLOCK != 0)
        return CN_EPROTO;
    return whole(key, iv, (cn_slice){in, n}, out, 0);
}
