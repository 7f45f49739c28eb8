/* SPDX-License-Identifier: Apache-2.0
 *
 * pg.h: process groups, as the module pg of Erlang's kernel has them, and on
 * top of them the topics of Phoenix.PubSub.
 * https://www.erlang.org/doc/apps/kernel/pg.html
 *
 * A scope is a set of groups that is shared by all nodes which have it, under
 * the same name. Each node joins its own processes; every node knows all
 * members. There is no leader and no lock: what one node says of its members
 * is soon known on the others. When a member ends, or its node is lost, it
 * leaves by itself.
 *
 * A group is any term; equal means exactly equal (=:=; as in OTP 27 and later
 * 0.0 is not -0.0). It is given as a pattern:
 *
 *     etf_pid self = cnode_self(p);
 *     cnode_pg_join(pg, &self, 1, "{room, ~i}", 7);
 *
 * Hidden nodes: Erlang tells pg of visible nodes only. A node of this library
 * that is hidden, to all or by its policy to one, looks for the scope on its
 * peers by itself, so it takes part all the same: its members are known on the
 * nodes that it is connected to, and it knows theirs. No node passes on what it
 * knows of another: a group is complete where there is a connection to every
 * node of the cluster.
 *
 * Releases: what is said is version 0 of the protocol, which OTP 23 to 29
 * take, and nothing that could end the scope of one of them.
 *
 * Threads: all calls are for the thread of the loop. Callbacks run as those of
 * cnode.h do; any call of this header is allowed in them.
 */
#ifndef CNODE_PG_H
#define CNODE_PG_H

#include <cnode/cnode.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cnode_pg cnode_pg; /* a scope on a node */

/* All may be zero. Strings are copied. */
typedef struct cnode_pg_opts {
    const char *scope; /* NULL: "pg", the default scope of Erlang. A process is
                          registered under it, here and on every node that has
                          the scope; what else runs under that name elsewhere
                          gets a message that it does not know. */
    /* How often a peer is asked for the scope that Erlang would not tell, since
     * one of both is hidden, as long as it has not answered: the scope may be
     * started later. 0: 5,000 ms; UINT32_MAX: only when it connects */
    uint32_t discover_ms;
    /* Most memory that the members of one other node may take, counting each
     * with the name of its group, and 32 bytes for each time that it has
     * joined. All members of a node above it leave (the
     * log says so), and it counts as having none until it says all of them
     * anew and they fit, at the latest when it connects again. 0: 64 MiB,
     * which is some 200,000 memberships */
    size_t max_bytes;
    /* The same for those of all other nodes together: what is above it is that
     * of the node that had more to say. 0: 16 times max_bytes */
    size_t max_total;
} cnode_pg_opts;

/* pg:start/1. When the scope runs here already, this is that one, with the
 * options that it has, and it must be stopped as often as it was started. o
 * may be NULL. CN_EEXIST: the name is registered for another process;
 * CN_EBADARG: no atom; CN_ENOMEM. */
CN_API int cnode_pg_start_sized(cnode *n, const cnode_pg_opts *o, size_t size,
                                cnode_pg **out);
static inline int cnode_pg_start(cnode *n, const cnode_pg_opts *o,
                                 cnode_pg **out) {
    return cnode_pg_start_sized(n, o, sizeof *o, out);
}
/* Ends it: its members leave for the others, monitors hear no more. s must not
 * be used any more, unless it was started more than once. cnode_free stops all
 * that are left. NULL is allowed. */
CN_API void cnode_pg_stop(cnode_pg *s);
/* A scope that runs, NULL: "pg"; or NULL. */
CN_API cnode_pg *cnode_pg_find(const cnode *n, const char *scope);
CN_API const char *cnode_pg_scope(const cnode_pg *s);
/* Nodes whose scope is known, for which this one is a member. */
CN_API size_t cnode_pg_peers(const cnode_pg *s);

/* pg:join/3: all or none of these processes of this node. The same one may
 * join several times, also in one call, and then is a member as often.
 * CN_EBADARG: not a process of this node, or the pattern; CN_ENOPROC: it has
 * ended, or the program has ended that of the scope with cnode_exit; exit
 * signals do not. CN_ENOMEM. */
#define cnode_pg_join(s, pids, n, ...)                                         \
    cnode_pg_join_args((s), (pids), (n), ETF_INS(__VA_ARGS__))
CN_API int cnode_pg_join_args(cnode_pg *s, const etf_pid *pids, size_t n,
                              const etf_in *group, size_t count);
/* pg:leave/3: each of them once. Those that are no members are passed over.
 * CN_ENOENT: none of them was; else as above. */
#define cnode_pg_leave(s, pids, n, ...)                                        \
    cnode_pg_leave_args((s), (pids), (n), ETF_INS(__VA_ARGS__))
CN_API int cnode_pg_leave_args(cnode_pg *s, const etf_pid *pids, size_t n,
                               const etf_in *group, size_t count);

typedef enum cnode_pg_whose {
    CNODE_PG_ALL,
    CNODE_PG_LOCAL /* those of this node */
} cnode_pg_whose;

/* pg:get_members/2, pg:get_local_members/2: how many there are; the first cap
 * of them go to out, which may be NULL when cap is 0. Their order says
 * nothing. A group that does not exist has none. 0 too when there is no memory
 * for its term: cnode_error says so then. */
#define cnode_pg_members(s, whose, out, cap, ...)                              \
    cnode_pg_members_args((s), (whose), (out), (cap), ETF_INS(__VA_ARGS__))
CN_API size_t cnode_pg_members_args(cnode_pg *s, cnode_pg_whose whose,
                                    etf_pid *out, size_t cap,
                                    const etf_in *group, size_t count);

/* One group of a walk. */
typedef struct cnode_pg_group {
    etf_view term;  /* lent until something of the scope changes */
    size_t members; /* counted as often as they have joined */
    size_t local;   /* ... of them, of this node */
} cnode_pg_group;
/* pg:which_groups/1: walks through the groups that have members. *at starts
 * at 0; false at the end. Between two calls nothing of the scope may change,
 * so the walk must end within the callback it began in, and nothing join or
 * leave meanwhile. */
CN_API bool cnode_pg_next_group(const cnode_pg *s, size_t *at,
                                cnode_pg_group *out);
/* Where a walk through members is; start it zeroed. */
typedef struct cnode_pg_place {
    const void *at;
    size_t times;
} cnode_pg_place;
/* Walks through the members of a group, each as often as it has joined, under
 * the same conditions. group: as cnode_pg_next_group gives it, or any
 * term. */
CN_API bool cnode_pg_next_member(cnode_pg *s, etf_view group,
                                 cnode_pg_place *place, etf_pid *out);

/* Something has joined or left. One change may come in parts: at most
 * CNODE_PG_PART pids are told at once. */
enum { CNODE_PG_PART = 32 };
typedef struct cnode_pg_event {
    bool joined; /* else left */
    etf_view group;
    const etf_pid *pids;
    size_t n;
} cnode_pg_event;
typedef void (*cnode_pg_cb)(cnode_pg *s, const cnode_pg_event *e, void *data);

/* pg:monitor/2: cb tells what changes in a group from now on; what is there
 * now is what cnode_pg_members says before or after this call. *ref is for
 * cnode_pg_demonitor, and may be NULL. CN_ENOMEM, CN_ENOPROC; CN_ESYNTAX,
 * CN_EBADARG: the pattern. */
#define cnode_pg_monitor(s, cb, data, ref, ...)                                \
    cnode_pg_monitor_args((s), (cb), (data), (ref), ETF_INS(__VA_ARGS__))
CN_API int cnode_pg_monitor_args(cnode_pg *s, cnode_pg_cb cb, void *data,
                                 uint64_t *ref, const etf_in *group,
                                 size_t count);
/* pg:monitor_scope/1: the same for all groups. */
CN_API int cnode_pg_monitor_scope(cnode_pg *s, cnode_pg_cb cb, void *data,
                                  uint64_t *ref);
/* cb comes no more. CN_ENOENT. */
CN_API int cnode_pg_demonitor(cnode_pg *s, uint64_t ref);

/* --- Phoenix.PubSub ------------------------------------------------------ */

/* The topics of a Phoenix.PubSub (2.0 to 2.2) with its usual adapter, PG2,
 * which runs on a scope of pg: this node is one more of those that have the
 * PubSub. It need not be visible.
 * https://hexdocs.pm/phoenix_pubsub/Phoenix.PubSub.html */
typedef struct cnode_pubsub cnode_pubsub;

typedef struct cnode_pubsub_opts {
    /* As in {Phoenix.PubSub, name: MyApp.PubSub}: "MyApp.PubSub"; for an atom
     * that is no alias, :chat, "chat". */
    const char *name;
    /* Its option of that name, the largest that a node of the cluster has: of
     * what is broadcast to more groups than we are in, a part would not come.
     * At most 1,024. 0: 1, as there */
    uint32_t pool_size;
    /* Over how many of these groups broadcasts are spread, by their topic; the
     * smallest pool_size of a node of the cluster. 0: 1 */
    uint32_t broadcast_pool_size;
    /* The module that hands out broadcasts of this node, as an atom. NULL:
     * "Elixir.Phoenix.PubSub", which sends them as they are to those who
     * have subscribed; "Elixir.Phoenix.Channel.Server" is for channels, and
     * takes Phoenix.Socket.Broadcast structs */
    const char *dispatcher;
} cnode_pubsub_opts;

/* What was broadcast to a topic. All is lent. */
typedef struct cnode_pubsub_msg {
    etf_view topic; /* its bytes */
    etf_view term;
    etf_view dispatcher; /* text of the atom */
    const char *node;    /* it comes from; own name: from here */
} cnode_pubsub_msg;
typedef void (*cnode_pubsub_cb)(cnode_pubsub *ps, const cnode_pubsub_msg *m,
                                void *data);

/* Takes part in a PubSub: starts the scope 'Elixir.Phoenix.PubSub' if it does
 * not run yet, and a process for each group of the pool, registered under its
 * name, as Phoenix does. CN_EEXIST: this PubSub, or a process of such a name,
 * is here already; CN_EBADARG: no name, or sizes that cannot be; CN_ENOMEM. */
CN_API int cnode_pubsub_start_sized(cnode *n, const cnode_pubsub_opts *o,
                                    size_t size, cnode_pubsub **out);
static inline int cnode_pubsub_start(cnode *n, const cnode_pubsub_opts *o,
                                     cnode_pubsub **out) {
    return cnode_pubsub_start_sized(n, o, sizeof *o, out);
}
/* Leaves it; no callback comes any more. cnode_free does so for all. NULL is
 * allowed. */
CN_API void cnode_pubsub_stop(cnode_pubsub *ps);
/* The scope it runs on, for those who want to see who is there. */
CN_API cnode_pg *cnode_pubsub_pg(const cnode_pubsub *ps);

/* cb for each broadcast to a topic of these bytes (NULL: to any topic). As in
 * Phoenix, subscribing twice gets it twice. *ref may be NULL. CN_ENOMEM. */
CN_API int cnode_pubsub_subscribe(cnode_pubsub *ps, const char *topic,
                                  cnode_pubsub_cb cb, void *data,
                                  uint64_t *ref);
/* cb comes no more. CN_ENOENT. */
CN_API int cnode_pubsub_unsubscribe(cnode_pubsub *ps, uint64_t ref);
/* Phoenix.PubSub.broadcast/4: to all who have subscribed to the topic, on all
 * nodes that this one is connected to and knows to have the PubSub, and here:
 * cnode_pubsub_broadcast(ps, "room:7", "{said, ~b}", "hello"). Of two to one
 * topic the first comes first. CN_EBUSY: a node did not take it, because its
 * queue is full (max_queue of cnode_config); the others have got it.
 * CN_ENOPROC: the program has ended our process for it; CN_ENOMEM;
 * CN_ESYNTAX, CN_EBADARG: the pattern. */
#define cnode_pubsub_broadcast(ps, topic, ...)                                 \
    cnode_pubsub_broadcast_args((ps), (topic), ETF_INS(__VA_ARGS__))
CN_API int cnode_pubsub_broadcast_args(cnode_pubsub *ps, const char *topic,
                                       const etf_in *in, size_t n);
/* Phoenix.PubSub.direct_broadcast/5: to those on one node, which is connected
 * to if it must be. */
#define cnode_pubsub_direct_broadcast(ps, node, topic, ...)                    \
    cnode_pubsub_direct_broadcast_args((ps), (node), (topic),                  \
                                       ETF_INS(__VA_ARGS__))
CN_API int cnode_pubsub_direct_broadcast_args(cnode_pubsub *ps,
                                              const char *node,
                                              const char *topic,
                                              const etf_in *in, size_t n);

#ifdef __cplusplus
}
#endif
#endif
