/* SPDX-License-Identifier: Apache-2.0
 *
 * dns_fuzz.c: the answer of a DNS server to each type of question, and the text
 * of a file of hosts.
 */
#include <stdlib.h>
#include <string.h>

#include "cnode/discover_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_answer(cnode__dns_type type, const uint8_t *p, size_t n) {
    char host[CNODE__DNS_NAME + 1];
    cnode__dns_answer a;

    if (cnode__dns_open(&a, type, p, n) != 0)
        return;
    while (cnode__dns_next(&a, host) == 1)
        if (host[0] == '\0' || strchr(host, '@') != NULL)
            abort();
}

static void read_hosts(const uint8_t *p, size_t n) {
    char *text = malloc(n + 1);
    const char *at = text;
    char host[40];

    if (text == NULL)
        abort();
    memcpy(text, p, n);
    text[n] = '\0';
    while (cnode__hosts_next(&at, host, sizeof host) == 1)
        if (host[0] == '\0' || at > text + n)
            abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_answer(CNODE__DNS_A, data, size);
    read_answer(CNODE__DNS_AAAA, data, size);
    read_answer(CNODE__DNS_SRV, data, size);
    read_hosts(data, size);
    return 0;
}
