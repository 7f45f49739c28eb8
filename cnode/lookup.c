/* SPDX-License-Identifier: Apache-2.0
 *
 * lookup.c: where a peer is, when the program is to say so. The question is a
 * callback, so it waits for the pump; the answer may come at any time before
 * the attempt is over. It is known by the name of the peer, so that an answer
 * that comes late meets the next attempt, or nobody.
 */
#include <string.h>

#include "cnode/node.h"

static void dial(cnode__wire *w) {
    cnode *n = w->node;
    int err = n->shell->dial(n->shell_ctx, w);

    if (err != 0)
        cnode__wire_fail(w, err, 0, cn_strerror(err));
}

void cnode__lookup(cnode__wire *w) {
    cnode *n = w->node;

    if (n->config.on_lookup == NULL || w->peer->address != NULL) {
        dial(w);
        return;
    }
    cnode__list_add(&n->lookups, &w->in_work);
    cnode__wake(n);
}

void cnode__run_lookups(cnode *n) {
    cnode__list now;
    cnode__wire *w;

    cnode__list_move(&n->lookups, &now);
    while ((w = cnode__list_first(cnode__wire, in_work, &now)) != NULL) {
        char name[CNODE__NAME_MAX + 1];
        cnode__list_leave(&w->in_work);
        if (n->closing || w->peer == NULL)
            continue;
        w->asked = true;
        /* may go in the callback */
        memcpy(name, w->peer->name, w->peer->name_len + 1);
        n->config.on_lookup(n, name, n->config.data);
    }
}

int cnode_found(cnode *n, const char *peer, const char *address) {
    const cnode__peer *p = cn__map_get(&n->peers, peer, strlen(peer));
    cnode__wire *w = p == NULL ? NULL : p->dial;

    if (w == NULL || !w->asked || w->failed)
        return cnode__err(n, CN_ENOENT, "nobody asks where %.100s is", peer);
    w->asked = false;
    if (address == NULL) {
        cnode__wire_fail(w, CN_ENOENT, 0, "on_lookup knows no address of it");
        return 0;
    }
    w->address = cn__strdup(&n->alloc, address);
    if (w->address == NULL)
        cnode__wire_fail(w, CN_ENOMEM, 0, "out of memory");
    else
        dial(w);
    return 0;
}
