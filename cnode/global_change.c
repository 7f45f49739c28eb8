/* SPDX-License-Identifier: Apache-2.0
 *
 * global_change.c: the calls of global.h. No node is a full one yet.
 */
#include "cnode/global.h"
#include "cnode/node.h"

static int not_full(cnode *n) {
    return cnode__err(n, CN_ENOTSUP, "%s is no full node", n->name);
}

int cnode_global_register(cnode_proc *p, const char *name,
                          const cnode_global_opts *o, cnode_global_cb cb,
                          void *data) {
    (void)name, (void)o, (void)cb, (void)data;
    return not_full(p->node);
}

int cnode_global_register_term(cnode_proc *p, etf_view name,
                               const cnode_global_opts *o, cnode_global_cb cb,
                               void *data) {
    (void)name, (void)o, (void)cb, (void)data;
    return not_full(p->node);
}

int cnode_global_unregister(cnode *n, const char *name, cnode_global_cb cb,
                            void *data) {
    (void)name, (void)cb, (void)data;
    return not_full(n);
}

int cnode_global_unregister_term(cnode *n, etf_view name, cnode_global_cb cb,
                                 void *data) {
    (void)name, (void)cb, (void)data;
    return not_full(n);
}

int cnode_global_whereis(cnode *n, const char *name, etf_pid *out) {
    (void)name, (void)out;
    return not_full(n);
}

int cnode_global_whereis_term(cnode *n, etf_view name, etf_pid *out) {
    (void)name, (void)out;
    return not_full(n);
}

bool cnode_global_next(const cnode *n, size_t *at, etf_view *name,
                       etf_pid *pid) {
    (void)n, (void)at, (void)name, (void)pid;
    return false;
}

int cnode_global_send_args(cnode_proc *p, const char *name, const etf_in *in,
                           size_t count) {
    (void)name, (void)in, (void)count;
    return not_full(p->node);
}

int cnode_global_sync(cnode *n, uint32_t timeout_ms, cnode_global_cb cb,
                      void *data) {
    (void)timeout_ms, (void)cb, (void)data;
    return not_full(n);
}

const char *cnode_global_next_node(const cnode *n, size_t *at) {
    (void)n, (void)at;
    return NULL;
}
