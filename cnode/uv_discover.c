/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_discover.c: what the sources on libuv have in common.
 */
#include <string.h>

#include "cnode/uv_discover.h"

int cnode__uv_own_name(cnode *n, char alive[CNODE__NAME_MAX + 1],
                       const char **host) {
    const char *at = strchr(n->name, '@');
    size_t len;

    if (!n->named || at == NULL)
        return cnode__err(n, CN_EBADARG, "this node has no name yet");
    len = (size_t)(at - n->name);
    memcpy(alive, n->name, len);
    alive[len] = '\0';
    *host = at + 1;
    return 0;
}

void cnode__uv_next_round(cnode *n, cnode__timer *t, uint32_t interval_ms) {
    uint32_t whole = interval_ms == 0 ? (uint32_t)CNODE__POLL_MS : interval_ms;
    uint32_t chance;

    n->shell->random(n->shell_ctx, &chance, sizeof chance);
    cnode__timer_arm(&n->timers, t,
                     cnode__now(n) + whole - chance % (whole / 8 + 1));
}

int cnode__uv_found(cnode_source *s, const char *alive, size_t len,
                    const char *host) {
    char name[CNODE__NAME_MAX + 1];
    size_t host_len = strlen(host);

    if (len + 1 + host_len > CNODE__NAME_MAX)
        return CN_EBADARG;
    memcpy(name, alive, len);
    name[len] = '@';
    memcpy(name + len + 1, host, host_len + 1);
    return cnode_source_found(s, name);
}
