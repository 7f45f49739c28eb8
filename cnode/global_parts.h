/* SPDX-License-Identifier: Apache-2.0
 *
 * global_parts.h: what the files of `global` share (internal).
 *
 *   global.c         the process global_name_server: who asks what; its life
 *   global_lock.c    locks that processes of any node hold here
 *   global_names.c   the table of names
 *   global_member.c  the other nodes, and those that they tell of
 *   global_redial.c  those that only this node has lost
 *   global_join.c    how two nodes become members of one cluster
 *   global_merge.c   one table of names out of two; conflicts
 *   global_grip.c    holding one lock on many nodes
 *   global_hold.c    locks that processes of this node take
 *   global_change.c  names that this node registers and takes back
 *   global_sync.c    who waits for all to be in step; the loop that stood
 *
 * Three processes: the server, which has the name; the locker, which holds the
 * lock while two nodes join; and the registrar, which holds it while a name is
 * changed. A visible node that is not full has only the server, and it only
 * keeps locks.
 */
#ifndef CNODE_GLOBAL_PARTS_H
#define CNODE_GLOBAL_PARTS_H

#include "cnode/global.h"
#include "cnode/node.h"

enum {
    CNODE__GLOBAL_VERSION = 8,
    CNODE__LOCK_MOST = 16 * 1024,  /* bytes that name a lock */
    CNODE__ATOM_ROOM = 4 * 255 + 8 /* an atom of 255 characters */
};
#define CNODE__GNS "global_name_server"

typedef struct cnode__global cnode__global;
typedef struct cnode__grip cnode__grip;

/* One node of a grip. */
typedef struct cnode__finger {
    cnode__grip *grip;
    int stage; /* those of one stage are asked at once; 0: the boss */
    bool holds;
    char node[CNODE__NAME_MAX + 1];
} cnode__finger;

/* A lock that is held on many nodes, by a process of this one. */
struct cnode__grip {
    cnode *node;
    cnode_proc *proc;
    etf_view id; /* {Resource, Requester}, a copy */
    cnode__finger *fingers;
    size_t n;
    size_t cap;
    int stage;      /* that is being taken */
    size_t waiting; /* for so many answers */
    bool refused;
    bool denied; /* one has answered `no` to what they were asked */
    void (*taken)(cnode__grip *grip, bool got);
    void (*step)(cnode__grip *grip); /* all have answered */
    void (*released)(cnode__grip *grip);
};

/* What two nodes have said to each other since they were connected. */
typedef struct cnode__join {
    int64_t my_tag;
    int64_t his_tag;
    bool greeted;    /* his init_connect is here: his_tag and locker are set */
    bool wants_lock; /* his lock_set is here, and not answered */
    bool locked;     /* both sides are */
    bool exchanged;  /* his names are here ... */
    bool merged;     /* ... and what they mean is in ops */
    etf_view names;  /* copies; empty: none */
    etf_view ops;    /* for this node */
    etf_view early;  /* {HisOps, Known, Ext} that came before ops */
    etf_pid locker;
} cnode__join;

/* Another node: a visible one that is connected, or one told of by others. */
typedef struct cnode__member {
    cnode__list candidate; /* to be joined with */
    cnode__list asker;     /* its lock_set waits */
    cnode__list unreached; /* to be connected to, when others are */
    bool reaching;         /* an attempt is made for it */
    bool up;
    bool known;
    bool synced;
    bool missed; /* while new_nodes is read: its names are not in it */
    uint32_t version;
    cnode__join *join; /* NULL: not on the way to become known */
    size_t len;
    char name[];
} cnode__member;

typedef enum cnode__locker_state {
    LOCKER_FREE,
    LOCKER_LOCKING,
    LOCKER_WAITING, /* for his lock_set */
    LOCKER_HOLDING, /* while names are exchanged */
    LOCKER_RELEASING
} cnode__locker_state;

/* A name. */
typedef struct cnode__gname {
    etf_view name; /* copies, the first as the key */
    etf_view method;
    etf_view pid;
    uint32_t monitor[3];   /* the words of its reference */
    char *ext;             /* the node that registered it for another one */
    cnode__list unwatched; /* it has no monitor yet */
} cnode__gname;

struct cnode__global {
    cnode *node;
    cnode_proc *self;
    cnode_proc *locker;
    cnode_proc *registrar;
    int processes; /* of these, that live */
    bool full;
    etf_writer key;
    /* global_lock.c */
    cn_map locks;    /* resource */
    cn_map holders;  /* holder.key */
    cn_map monitors; /* holder.monitor */
    cn_map owners;   /* name of the node */
    etf_writer pair;
    uint64_t next_lock;
    uint64_t quiet; /* when there may be another line about a refused lock */
    bool lock_down; /* the last `global` lock went with its holder */
    /* global_names.c */
    cn_map names;
    size_t name_bytes; /* that they take */
    cn_map watched;    /* cnode__gname.monitor */
    cn_map pids;       /* cnode__gname.pid */
    uint64_t quiet_names;
    cnode__list unwatched; /* names of nodes that it was too much to connect to
                              as well */
    cnode__timer watch_timer;
    /* global_member.c */
    cn_map members;
    size_t known;
    uint64_t known_moves; /* how often somebody became known, or was lost */
    cnode__list unreached;
    size_t reaching; /* attempts that are not over */
    cn_map losses;   /* connections that others have lost */
    cnode__list loss_order;
    /* global_join.c */
    cnode__list candidates;
    cnode__list askers;
    size_t candidate_count;
    int64_t next_tag;
    cnode__locker_state state;
    cnode__member *him;
    int64_t him_tag;
    bool initiator;
    bool just_synced;
    cnode__grip grip;
    cnode__timer locker_timer;
    /* global_merge.c */
    uintptr_t merge; /* number of the one that is made */
    etf_list left;   /* of his names */
    etf_view clash;  /* the entry that a method decides about */
    etf_writer ops;
    etf_writer his_ops;
    uint64_t quiet_clashes;
    /* global_change.c */
    cnode__list changes;
    size_t change_bytes; /* that they take */
    cnode__grip change_grip;
    uint64_t change_moves;
    bool changing;
    cnode__timer pause;
    /* global_grip.c */
    cnode__list doubts; /* locks that may be set without an answer */
    size_t doubt_count;
    /* global_sync.c */
    cnode__list syncs;
    size_t sync_bytes; /* that those of other nodes take */
    cnode__timer watch;
    uint64_t awake_at;     /* the loop turned then; ms */
    cnode__list questions; /* whereis that waits for the lock */
    size_t question_count;
    /* global_hold.c */
    cnode__list holds;
    /* global_redial.c */
    cn_map missing;     /* name of the node */
    cnode__list missed; /* all of it, and what waits for an answer only */
    uint64_t quiet_missing;
};

/* --- global.c --- */
/* Closes all connections together. */
void cnode__global_leave(cnode *n, int code, const char *why);
/* A message or cast to the server of another node, if that is connected; what
 * becomes of it is seen to. */
#define cnode__global_tell(g, to, ...)                                         \
    (cnode_connected((g)->node, (to))                                          \
         ? cnode__answered(                                                    \
               (g)->node, (to),                                                \
               cnode_send_name((g)->self, (to), CNODE__GNS, __VA_ARGS__))      \
         : (void)0)
/* Ends the connection to it, if there is one. */
void cnode__global_part(cnode__global *g, const char *node, int code,
                        const char *why);
/* A peer has sent what no node sends: its connection ends. */
void cnode__global_bad(cnode__global *g, const cnode__member *m,
                       const char *what);
/* Of a full node, or NULL with the error CN_ENOTSUP. */
cnode__global *cnode__global_full(cnode *n);
/* A term as a key: the same bytes for what is =:=. Lent until the next call. */
int cnode__global_key(cnode__global *g, etf_view term, etf_view *out);
/* An atom as a term in buf. CN_EBADARG: it is none. */
int cnode__global_atom(cnode *n, const char *text,
                       uint8_t buf[CNODE__ATOM_ROOM], etf_view *out);
/* The end of what the program has asked for: calls back (cb may be NULL) with
 * the reason, why or else what the status stands for. */
void cnode__global_done(cnode *n, cnode_global_cb cb, void *data, int status,
                        const char *why);
/* 1 to max. */
uint32_t cnode__global_random(cnode__global *g, uint32_t max);
/* Before the next try, that many have failed: as global does. */
uint32_t cnode__global_pause(cnode__global *g, uint32_t times);

/* --- global_lock.c --- */
void cnode__locks_init(cnode__global *g, uint64_t seed);
void cnode__locks_free(cnode__global *g);
/* By the process of the request that is being handled. */
bool cnode__lock_set(cnode__global *g, const etf_pid *pid, etf_view resource,
                     etf_view requester);
void cnode__lock_del(cnode__global *g, const etf_pid *pid, etf_view resource,
                     etf_view requester);
/* True: the monitor was that of a holder. */
bool cnode__lock_on_down(cnode__global *g, const etf_ref *ref);
/* Is `global` locked? */
bool cnode__lock_is_set(const cnode__global *g);
/* May a name be inserted by this process, or under this lock: does it hold
 * `global`, or was nobody thrown out of it? */
bool cnode__lock_lets_pid(const cnode__global *g, const etf_pid *pid);
bool cnode__lock_lets(cnode__global *g, etf_view requester);

/* --- global_names.c --- */
void cnode__names_init(cnode__global *g, uint64_t seed);
int cnode__names_start(cnode__global *g);
void cnode__names_free(cnode__global *g);
cnode__gname *cnode__names_find(cnode__global *g, etf_view name);
/* Takes over a name; ext may be empty. The name that was there goes. */
int cnode__names_insert(cnode__global *g, etf_view name, const etf_pid *pid,
                        etf_view method, etf_view ext);
void cnode__names_set_ext(cnode__global *g, cnode__gname *name, etf_view node);
void cnode__names_delete(cnode__global *g, etf_view name);
bool cnode__names_on_down(cnode__global *g, const etf_ref *ref);
/* [{Name, Pid, Method}] and [{Name, Pid, Node}], whole lists. */
void cnode__names_put(const cnode__global *g, etf_writer *w);
void cnode__names_put_ext(const cnode__global *g, etf_writer *w);
bool cnode__gname_is(const cnode__gname *name, const etf_pid *pid);
void cnode__gname_pid(const cnode__gname *name, etf_pid *pid);

/* --- global_member.c --- */
void cnode__members_init(cnode__global *g, uint64_t seed);
void cnode__members_free(cnode__global *g);
cnode__member *cnode__member_find(const cnode__global *g, etf_view name);
/* NULL: no memory, or no name of a node, or that of this one. */
cnode__member *cnode__member_get(cnode__global *g, etf_view name);
void cnode__member_release(cnode__global *g, cnode__member *m);
/* It is one of the cluster, or about to become one. */
bool cnode__member_is_potential(const cnode__member *m);
/* It is one of the cluster. */
void cnode__member_known(cnode__global *g, cnode__member *m, uint32_t version);
/* It is not any more. */
void cnode__member_lost(cnode__global *g, cnode__member *m);
/* For each element of [Node] or [{Node, Version}] that is another node. */
typedef void (*cnode__member_fn)(cnode__global *g, cnode__member *m,
                                 uint32_t version);
bool cnode__members_each(cnode__global *g, etf_view nodes, cnode__member_fn fn);
/* Connects to it, when not too many others are being connected to, and tells it
 * that it is known. */
void cnode__member_reach(cnode__global *g, cnode__member *m);
/* The name that is last in the order of Erlang, of this node and all known
 * ones. */
const char *cnode__members_boss(const cnode__global *g);
void cnode__members_put_known(const cnode__global *g, etf_writer *w,
                              bool versions);
/* {lost_connection, A, Creation, Id, B}. */
void cnode__member_lost_by(cnode__global *g, etf_view term);
void cnode__member_remove(cnode__global *g, cnode__member *m);

/* --- global_redial.c --- */
void cnode__redials_init(cnode__global *g, uint64_t seed);
void cnode__redials_free(cnode__global *g);
/* The connection to a member was lost, or could not be made; m goes. False: it
 * is not looked for. */
bool cnode__redial_begin(cnode__global *g, const cnode__member *m);
/* It is a member. */
void cnode__redial_end(cnode__global *g, const cnode__member *m);

/* --- global_join.c --- */
int cnode__joins_init(cnode__global *g);
void cnode__joins_free(cnode__global *g);
void cnode__join_start(cnode__global *g, cnode__member *m);
/* It is over, whatever became of it; tell: he is to hear so. */
void cnode__join_end(cnode__global *g, cnode__member *m, bool tell);
void cnode__join_on_cast(cnode__global *g, cnode__member *m, etf_view term);
void cnode__join_on_message(cnode__global *g, cnode__member *m, etf_view term);
/* His locker knows nothing of a join with this node. */
void cnode__join_refused(cnode__global *g, const cnode__member *m);
/* The own changes are decided: perhaps his are too. */
void cnode__join_merged(cnode__global *g, cnode__member *m);

/* --- global_merge.c --- */
/* Also lets other nodes apply global:resolve_it/4. */
int cnode__merge_init(cnode__global *g);
void cnode__merge_free(cnode__global *g);
/* Both sides are locked, and his names are here. */
void cnode__merge_start(cnode__global *g, cnode__member *m);
/* Applies [{insert, {Name, Pid, Method}} | {delete, Name}] with the names that
 * were registered for other nodes; lock: the requester that it is done for. */
void cnode__merge_apply(cnode__global *g, etf_view ops, etf_view ext,
                        etf_view lock);
/* fun global:random_exit_name/3 and so on. */
void cnode__merge_put_method(etf_writer *w, cnode_global_method method);
/* The opposite, also of {global, random_exit_name}; false: it is none of
 * them. */
bool cnode__merge_method(etf_view term, cnode_global_method *out);

/* --- global_grip.c --- */
/* Before it is taken: forgets the last one, and keeps a copy of the id. */
int cnode__grip_begin(cnode__grip *grip, etf_view id);
/* A node to be locked; again is no difference. */
int cnode__grip_add(cnode__grip *grip, const char *node, int stage);
/* Stage by stage; when one node refuses, those taken are released, and then
 * it is told. */
void cnode__grip_take(cnode__grip *grip);
/* A request to all nodes of the grip; then step. */
void cnode__grip_ask(cnode__grip *grip, etf_view request);
void cnode__grip_release(cnode__grip *grip);
void cnode__grip_free(cnode__grip *grip);
/* This node is connected: locks that it may have set for calls of an earlier
 * connection are given back. */
void cnode__grips_settle(cnode__global *g, const char *node);
void cnode__grips_free(cnode__global *g);

/* --- global_hold.c --- */
/* Tells all that they wait in vain. */
void cnode__holds_end(cnode__global *g);

/* --- global_change.c --- */
int cnode__changes_init(cnode__global *g);
void cnode__changes_free(cnode__global *g);
/* cnode_global_register_term for a process of any node. */
int cnode__change_register(cnode *n, etf_view name, const etf_pid *pid,
                           const cnode_global_opts *o, cnode_global_cb cb,
                           void *data);

/* --- global_sync.c --- */
int cnode__syncs_init(cnode__global *g);
void cnode__syncs_free(cnode__global *g);
/* cnode_global_sync without a timeout for another node, which may go away while
 * it waits. CN_ELIMIT: too many wait. */
int cnode__sync_all(cnode *n, cnode_global_cb cb, void *data);
/* Somebody asks to be told when these are in step. */
void cnode__sync_ask(cnode__global *g, const cnode_from *from, etf_view nodes);
/* Something has changed. */
void cnode__sync_look(cnode__global *g);
uint32_t cnode__global_ticktime(const cnode *n);

#endif
