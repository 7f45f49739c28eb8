/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_discover.h: what the sources on libuv have in common (internal).
 */
#ifndef CNODE_UV_DISCOVER_H
#define CNODE_UV_DISCOVER_H

#include "cnode/discover_parts.h"
#include "cnode/uv_shell.h"

enum { CNODE__POLL_MS = 5000 };

/* What is in front of the @ of this node, and behind it. CN_EBADARG: it has no
 * name yet. */
int cnode__uv_own_name(cnode *n, char alive[CNODE__NAME_MAX + 1],
                       const char **host);
/* The time of the next round: about so long from now, so that many nodes do not
 * all ask at once. */
void cnode__uv_next_round(cnode *n, cnode__timer *t, uint32_t interval_ms);
/* Names alive@host. CN_EBADARG: it is too long, too. */
int cnode__uv_found(cnode_source *s, const char *alive, size_t len,
                    const char *host);

#endif
