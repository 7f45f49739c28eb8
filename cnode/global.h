/* SPDX-License-Identifier: Apache-2.0
 *
 * global.h: names that a whole cluster knows, for a node that is a full member
 * of it (cnode_config.full).
 * https://www.erlang.org/doc/apps/kernel/global.html
 *
 * A full node is visible, and takes part in `global` as an Erlang node does:
 * it merges its names with those of the nodes that it meets, is told of their
 * other nodes and connects to all of them, and they connect to it. So it must
 * be found by them: it has to listen, and to be registered with EPMD, before
 * it connects. What it needs for all this runs in its loop; see
 * cnode_config.max_stall_ms for what happens when that stands still. A member
 * that this node alone has lost is connected to again; if that cannot be for
 * twice the ticktime_s, the one of both with the larger name closes all its
 * connections. So parting from the cluster is cnode_leave, not
 * cnode_disconnect.
 *
 * A name is a term, most often an atom: `const char *` is that atom, and the
 * _term calls take any term. All calls are for the thread of the loop, and on
 * a node that is not full they are CN_ENOTSUP, or find nothing; locks are for
 * visible nodes, too.
 */
#ifndef CNODE_GLOBAL_H
#define CNODE_GLOBAL_H

#include <cnode/cnode.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of two processes that turn out to have the same name, because
 * they were registered in parts of a cluster that were not connected. The
 * method of the process that the deciding node knows of is the one applied. */
typedef enum cnode_global_method {
    /* random_exit_name: the one on the node with the smaller name has it, the
     * other one is killed. */
    CNODE_GLOBAL_KILL,
    /* random_notify_name: the other one gets {global_name_conflict, Name}. */
    CNODE_GLOBAL_NOTIFY,
    /* notify_all_name: neither has it any more, and both get
     * {global_name_conflict, Name, OtherPid}. */
    CNODE_GLOBAL_NOTIFY_ALL
} cnode_global_method;

typedef struct cnode_global_opts {
    cnode_global_method method;
    bool replace; /* global:re_register_name: whoever has the name loses it,
                     and is not told */
} cnode_global_opts;

/* The end of a register, unregister or sync. status 0: done; for a register
 * CN_EEXIST: another process has the name; CN_ENOPROC: the process has ended
 * meanwhile; CN_ECANCELED: the cluster changed under it, do it again;
 * CN_ELIMIT: a node of this library has no room for the name, nobody has it;
 * CN_ETIMEDOUT: cnode_global_sync; CN_ECLOSED: cnode_free; CN_ENOMEM. It runs
 * exactly once. */
typedef void (*cnode_global_cb)(cnode *n, int status, const cn_error *err,
                                void *data);

/* global:register_name/3, or re_register_name/3: gives the process a name on
 * all nodes of the cluster. It takes the lock of all these nodes first, as
 * Erlang does, so that of many that want the same name exactly one gets it;
 * the changes of one node are made one after the other. o may be NULL. The
 * name is gone when the process or its node ends. What the call itself may
 * return: CN_ENOTSUP, CN_ENOPROC, CN_ENOMEM; CN_EEXIST: the process has
 * another global name already; CN_ELIMIT: too many wait (64 MiB, with some 400
 * bytes for each besides its name); of
 * _term: CN_ELIMIT (a name of 64 KiB), or what is wrong with the term. */
CN_API int cnode_global_register(cnode_proc *p, const char *name,
                                 const cnode_global_opts *o, cnode_global_cb cb,
                                 void *data);
CN_API int cnode_global_register_term(cnode_proc *p, etf_view name,
                                      const cnode_global_opts *o,
                                      cnode_global_cb cb, void *data);
/* global:unregister_name/1: takes the name back on all nodes, whosever it is.
 * That nobody has it is 0 too. */
CN_API int cnode_global_unregister(cnode *n, const char *name,
                                   cnode_global_cb cb, void *data);
CN_API int cnode_global_unregister_term(cnode *n, etf_view name,
                                        cnode_global_cb cb, void *data);
/* global:whereis_name/1, in this node's own table: nothing is sent. CN_ENOENT:
 * nobody has that name; CN_ENOTSUP. */
CN_API int cnode_global_whereis(cnode *n, const char *name, etf_pid *out);
CN_API int cnode_global_whereis_term(cnode *n, etf_view name, etf_pid *out);
/* global:registered_names/0, one at a time: *at starts at 0, false is the end.
 * *name is lent; the table must not change meanwhile, so no callback may run
 * in between. pid may be NULL. */
CN_API bool cnode_global_next(const cnode *n, size_t *at, etf_view *name,
                              etf_pid *pid);
/* global:send/2: a message to whoever has the name. CN_ENOENT, CN_ENOTSUP, and
 * the errors of cnode_send. */
#define cnode_global_send(p, name, ...)                                        \
    cnode_global_send_args((p), (name), ETF_INS(__VA_ARGS__))
CN_API int cnode_global_send_args(cnode_proc *p, const char *name,
                                  const etf_in *in, size_t n);
/* global:sync/0: waits until this node has the names of all visible nodes that
 * it is connected to. timeout_ms 0: 5,000; UINT32_MAX: never. CN_ENOTSUP,
 * CN_ENOMEM. */
CN_API int cnode_global_sync(cnode *n, uint32_t timeout_ms, cnode_global_cb cb,
                             void *data);
/* The nodes that are members of this node's part of the cluster, without
 * itself: *at starts at 0; NULL at the end. The table must not change
 * meanwhile. */
CN_API const char *cnode_global_next_node(const cnode *n, size_t *at);

/* --- locks --------------------------------------------------------------- */

/* All may be zero. */
typedef struct cnode_global_lock_opts {
    const char *const *nodes; /* those that are to keep the lock; they are
                                 connected to. NULL: this node and all visible
                                 ones that are connected now */
    size_t count;             /* of them */
    etf_view requester; /* LockRequesterId: processes that give the same one
                           may have the lock together. Empty: the pid of the
                           process */
    uint32_t tries;     /* gives up after so many: 1 is Retries = 0 of Erlang.
                           0: never */
} cnode_global_lock_opts;

/* global:set_lock/3: the process gets the lock {resource, requester} on all
 * these nodes; while it has it, nobody else can get it there. A node
 * that cannot be reached, or has no locks (a hidden one of this library), is
 * left out, as in Erlang. Who has it may take it again, and gives it back once,
 * however often it was taken. It goes with the process and with its node.
 * When somebody else has it on one of them, those taken are given back, and it
 * is tried again after a random time, at most 250 ms first, and twice as long
 * each time up to 8 s: so two who want it on the same nodes are not stuck.
 * It takes a visible node, which need not be full. cb (may be NULL) runs once,
 * unless the process ends first. Its status: 0; CN_EBUSY: somebody else has
 * it, o->tries; CN_ECANCELED: cnode_global_unlock came first; CN_ECLOSED:
 * `global` of this node has ended. What the call itself may return: CN_ENOTSUP:
 * no visible node; CN_ENOPROC, CN_ENOMEM; CN_EBADARG: no atom, no name of a
 * node; CN_ELIMIT: more than 16 KiB of resource and requester; of _term: what
 * is wrong with the term. o may be NULL. */
CN_API int cnode_global_lock_sized(cnode_proc *p, const char *resource,
                                   const cnode_global_lock_opts *o, size_t size,
                                   cnode_global_cb cb, void *data);
CN_API int cnode_global_lock_term_sized(cnode_proc *p, etf_view resource,
                                        const cnode_global_lock_opts *o,
                                        size_t size, cnode_global_cb cb,
                                        void *data);
static inline int cnode_global_lock(cnode_proc *p, const char *resource,
                                    const cnode_global_lock_opts *o,
                                    cnode_global_cb cb, void *data) {
    return cnode_global_lock_sized(p, resource, o, sizeof *o, cb, data);
}
static inline int cnode_global_lock_term(cnode_proc *p, etf_view resource,
                                         const cnode_global_lock_opts *o,
                                         cnode_global_cb cb, void *data) {
    return cnode_global_lock_term_sized(p, resource, o, sizeof *o, cb, data);
}
/* global:del_lock/2: gives it back on these nodes, with the requester that it
 * was taken for; o->tries is not used. A cnode_global_lock of the same process
 * that waits for it still ends with CN_ECANCELED. cb (may be NULL) runs when
 * all have answered, with status 0, also when the process does not have it. */
CN_API int cnode_global_unlock_sized(cnode_proc *p, const char *resource,
                                     const cnode_global_lock_opts *o,
                                     size_t size, cnode_global_cb cb,
                                     void *data);
CN_API int cnode_global_unlock_term_sized(cnode_proc *p, etf_view resource,
                                          const cnode_global_lock_opts *o,
                                          size_t size, cnode_global_cb cb,
                                          void *data);
static inline int cnode_global_unlock(cnode_proc *p, const char *resource,
                                      const cnode_global_lock_opts *o,
                                      cnode_global_cb cb, void *data) {
    return cnode_global_unlock_sized(p, resource, o, sizeof *o, cb, data);
}
static inline int cnode_global_unlock_term(cnode_proc *p, etf_view resource,
                                           const cnode_global_lock_opts *o,
                                           cnode_global_cb cb, void *data) {
    return cnode_global_unlock_term_sized(p, resource, o, sizeof *o, cb, data);
}

#ifdef __cplusplus
}
#endif
#endif
