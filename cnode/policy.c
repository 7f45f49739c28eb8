/* SPDX-License-Identifier: Apache-2.0
 *
 * policy.c: which other nodes this one has to do with. Asked where one is
 * dialled (peer.c) and where one comes in (wire.c).
 */
#include "cnode/node.h"

cnode_policy cnode__policy_of(const cnode *n, const cnode__peer *p) {
    cnode_policy policy = p == NULL ? CNODE_POLICY_DEFAULT : p->policy;

    if (policy == CNODE_POLICY_DEFAULT)
        policy = n->config.policy;
    return policy == CNODE_POLICY_DEFAULT ? CNODE_POLICY_ALLOW : policy;
}

/* Also those that are not up yet: whoever is in a handshake would be. */
static void end_wires(cnode__peer *p) {
    for (cnode__list *l = p->wires.next; l != &p->wires; l = l->next)
        cnode__wire_fail(cnode__list_of(cnode__wire, in_peer, l),
                         CN_ENOTALLOWED, 0, CNODE__DENIED);
}

int cnode_set_policy(cnode *n, const char *peer, cnode_policy policy) {
    cnode__peer *p;
    int err;

    if ((unsigned)policy > CNODE_POLICY_DENY)
        return cnode__err(n, CN_EBADARG, "there is no such policy");
    err = cnode__find_peer(n, peer, &p);
    if (err != 0)
        return err;
    if (p == NULL)
        return cnode__err(n, CN_EBADARG, "not for this node itself");
    p->policy = policy;
    if (cnode__policy_of(n, p) == CNODE_POLICY_DENY) {
        (void)cnode__keep_end(p);
        end_wires(p);
    }
    cnode__peer_release(p);
    return 0;
}
