/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip_fuzz.c: a datagram, as it comes without a secret and with one; and
 * encrypted, so that what is inside of a secret one is read, too. A name that
 * is read goes out and comes back.
 */
#include <stdlib.h>
#include <string.h>

#include "cnode/discover_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t iv[CNODE__GOSSIP_IV];

static void read_one(const cnode__gossip *g, const uint8_t *p, size_t n) {
    uint8_t out[CNODE__GOSSIP_MAX];
    char node[CNODE__NAME_MAX + 1], again[CNODE__NAME_MAX + 1];
    int size;

    if (cnode__gossip_get(g, p, n, node) != 0 || !cnode__name_ok(node))
        return;
    size = cnode__gossip_put(g, node, iv, out);
    if (size <= 0 || cnode__gossip_get(g, out, (size_t)size, again) != 0 ||
        strcmp(node, again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t sealed[CNODE__GOSSIP_MAX];
    cnode__gossip g = {.secret = false};
    int n;

    read_one(&g, data, size);
    g.secret = true;
    read_one(&g, data, size);
    if (size > sizeof sealed - CNODE__GOSSIP_IV - CNODE__CIPHER_BLOCK)
        return 0;
    n = cnode__encrypt(g.key, iv, data, size, sealed + CNODE__GOSSIP_IV);
    if (n < 0)
        abort();
    read_one(&g, sealed, CNODE__GOSSIP_IV + (size_t)n);
    return 0;
}
