/* SPDX-License-Identifier: Apache-2.0
 *
 * node.h: what the files of a node share (internal).
 *
 *   node.c     identity, life, the pump
 *   peer.c     other nodes, and what their going up and down means
 *   reconnect.c those that are to be kept connected
 *   lookup.c   asking the program where one of them is
 *   leave.c    taking leave of all of them
 *   policy.c   which of them this one has to do with
 *   wire.c     sockets with a connection on them
 *   route.c    which way a signal takes
 *   drain.c    back-pressure
 *   shared.c   messages that are not copied
 *   process.c  processes, names, exits
 *   mailbox.c  messages that wait, and how many may
 *   trace.c    trace tokens, which go on with what a process sends
 *   carry.c    what other threads send
 *   relation.c links, monitors, aliases
 *   signal.c   what a received signal does
 *   call.c     calls to other nodes
 *   call_global.c those to global names
 *   multi.c    ... to several nodes at once
 *   gen.c      what callers of behaviours expect besides calls and casts
 *   spawn.c    functions that other nodes apply here
 *   builtin*.c those that every node has
 *   pending.c  answers that processes owe, or gather
 *   stats.c    what is counted; pings
 *   discover.c sources of nodes (discover_parts.h)
 *   io*.c      group leaders and logs, see io_parts.h
 *   pg*.c      process groups (pg_parts.h)
 *   services.c net_kernel, rex, user, ...: the processes every node has
 *   global*.c  OTP's `global`: see global_parts.h
 *   uv*.c      sockets, clock, threads
 *
 * Everything but uv*.c is pure: it asks the shell (below) for what it needs
 * from outside. No user code runs in a call that the user makes: whatever has
 * a callback as its consequence is put on a list that cnode__pump goes
 * through, which the shell calls before it waits for the next event.
 */
#ifndef CNODE_NODE_H
#define CNODE_NODE_H

#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "cnode/cnode.h"
#include "cnode/conn.h"
#include "cnode/handshake.h"
#include "cnode/list.h"
#include "cnode/timer.h"

typedef struct cnode__peer cnode__peer;
typedef struct cnode__wire cnode__wire;
typedef struct cnode__keep cnode__keep;
typedef struct cnode__hold cnode__hold;

/* The outside world. */
typedef struct cnode__shell {
    /* Connect w->peer, at cnode__wire_address if that is not NULL; later
     * cnode__wire_open or cnode__wire_fail. */
    int (*dial)(void *ctx, cnode__wire *w);
    /* There is output: write it. */
    void (*flush)(void *ctx, cnode__wire *w);
    /* Close the socket behind w->handle after writing what is queued; w is
     * freed when this returns. It may keep w->conn, and set it to NULL, until
     * that is done. */
    void (*close)(void *ctx, cnode__wire *w);
    uint64_t (*now)(void *ctx);
    void (*random)(void *ctx, void *p, size_t n);
    /* Is this the thread of the loop? */
    bool (*on_loop)(void *ctx);
    /* Carry a signal to cnode__carried in the loop's thread. */
    int (*carry)(void *ctx, const char *node, etf_view frame);
    /* Something was put on a list: cnode__pump is wanted. */
    void (*wake)(void *ctx);
    /* For cnode_leave; may be NULL: lets nobody in any more; how many sockets
     * still write what wires have left behind. */
    void (*unlisten)(void *ctx);
    size_t (*lingering)(void *ctx);
    /* Microseconds of a steady clock, for measuring; NULL: now is good
     * enough. */
    uint64_t (*clock_us)(void *ctx);
    /* That node ("": this one) takes no more signals from other threads, or
     * takes them again: carry says CN_EBUSY meanwhile. NULL: they are held
     * without a bound. */
    void (*busy)(void *ctx, const char *node, bool busy);
    /* Where the other end of an accepted socket is, "" when that is not known
     * any more. NULL: it is not known. */
    void (*where)(void *ctx, const cnode__wire *w, char *out, size_t cap);
} cnode__shell;

/* One socket with one connection on it. */
struct cnode__wire {
    cnode__list in_node;
    cnode__list in_peer;
    cnode__list in_work; /* failed or dirty: the pump is to look at it */
    cnode *node;
    cnode__peer *peer; /* NULL until the name is known; see _join */
    cnode_conn *conn;  /* NULL while dialling */
    void *handle;      /* the shell's */
    bool dialled;
    bool counted;  /* one of cnode.dials */
    bool failed;   /* waits for the pump to bury it */
    bool redial;   /* our own attempt was given up for it */
    bool asked;    /* the program is to say where the peer is */
    char *address; /* what it said */
    cn_error *why; /* it failed; see _why */
    cnode__timer timer;
};

/* What is counted of a peer. */
typedef struct cnode__counts {
    cnode_conn_stats *past; /* of connections that have ended, or NULL */
    uint64_t messages_in;
    uint64_t messages_out;
    uint64_t stalls;
    uint64_t refused;
    uint64_t unreached;
    uint64_t up_at;
    uint32_t connects;
    uint32_t failures;
    uint32_t downs;
    uint32_t pings;
    uint32_t rtt_us;
    uint32_t rtt_min_us;
    bool stalled; /* the last signal was refused or parked */
} cnode__counts;

/* Another node, connected or not. */
struct cnode__peer {
    cnode *node;
    cnode__wire *up;   /* the connection */
    cnode__wire *dial; /* our attempt */
    bool waiting;      /* it said `nok`: its own attempt is on the way */
    bool drain_owed;   /* somebody is to hear when the queue is short */
    uint16_t name_len;
    bool incomplete; /* pending lacks a signal that there was no memory for */
    int held;        /* callbacks run that may not free it */
    uint32_t conn_id;
    uint32_t creation;
    cnode_policy policy;
    uint64_t flags;
    cn_buf pending; /* signals that wait for the connection */
    size_t weighed; /* of it, in cnode.pending */
    cnode__list in_born;
    cnode__list wires; /* all sockets to it, from the first name on */
    cnode__list wants; /* who waits to hear of the connection */
    cnode__list links;
    cnode__list watches; /* its processes watch ours */
    cnode__list waiters; /* ours wait for something of its */
    cnode__timer timer;
    cnode__keep *keep; /* NULL: it is not to be kept */
    char *cookie;
    char *address;
    cnode__counts counts;
    cnode__hold *hold; /* what threads have sent and it does not take yet */
    cnode__list in_drained; /* ... and will */
    char name[];
};

/* Our process is linked to another. The key holds our number and the other's
 * pid as a term. */
typedef struct cnode__link {
    cnode__list in_proc;
    cnode__list in_peer;
    cnode_proc *proc;
    uint64_t unlink_id; /* not 0: unlinked here, not acknowledged yet */
    size_t key_len;
    uint8_t key[];
} cnode__link;

/* Somebody watches our process. The key is the reference and the pid of the
 * watcher as terms: nobody can take the place of another by its reference. */
typedef struct cnode__watch {
    cnode__list in_proc;
    cnode__list in_peer;
    cnode_proc *proc;
    uint16_t ref_len;
    uint16_t pid_len;
    uint16_t name_len;    /* 0: by pid */
    cnode__list pendings; /* who owes the watcher an answer */
    uint8_t key[];        /* reference, pid, and behind the key the name */
} cnode__watch;

typedef enum cnode__wait {
    WAIT_MONITOR,
    WAIT_ALIAS,
    WAIT_ALIAS_ONCE,
    WAIT_CALL,  /* gen_server:call */
    WAIT_REX,   /* the same to rex */
    WAIT_ERPC,  /* the exit reason of a spawned process */
    WAIT_SPAWN, /* its pid */
    WAIT_SPAWN_MONITOR
} cnode__wait;

/* Our process waits for something that carries this reference. */
typedef struct cnode__waiter {
    cnode__list in_proc;
    cnode__list in_peer;
    uint64_t number; /* of the reference */
    cnode__wait kind;
    bool link;              /* a spawn asked for a link */
    bool pending_reply;     /* SPAWN_REPLY has not come yet */
    bool alias_priority;    /* what comes to the alias may go before others */
    bool priority;          /* its DOWN does */
    bool held;              /* in use: not to be freed, even when it is */
    bool gone;              /* ... dropped */
    cnode_alias_mode alias; /* of a monitor */
    cnode_proc *proc;
    cnode__peer *peer; /* NULL: local, or an alias */
    cnode_call_cb cb;
    void *data;
    cnode__timer timer;
    size_t item_len;
    size_t item_cap;
    size_t tag_len; /* of a monitor: instead of 'DOWN' */
    uint8_t item[]; /* as in cnode_down.item; behind its room the tag */
} cnode__waiter;

/* A message on its way to a process. */
typedef struct cnode__message {
    const etf_pid *from; /* NULL: not known */
    etf_view term;
    etf_view token; /* of a trace; empty: none */
    bool system;    /* made of what a link or monitor told: kept in any case */
    bool priority;  /* goes before others */
    bool apart;     /* a DOWN: no trace goes on through it, nor ends */
} cnode__message;

/* An exit signal on its way to a process. */
typedef struct cnode__exit {
    const etf_pid *from;
    etf_view reason;
    etf_view token;
    bool linked; /* a linked process has ended */
    bool priority;
} cnode__exit;

/* ... and in a mailbox. */
typedef struct cnode__mail {
    struct cnode__mail *next;
    size_t size;      /* of all of it */
    size_t len;       /* of the term */
    size_t token_len; /* of its trace token */
    uint32_t from_id;
    uint32_t from_serial;
    uint32_t from_creation;
    bool has_from; /* the sender is known, and on that peer */
    bool system;
    bool priority;
    bool apart;
    uint8_t bytes[]; /* the term, the trace token, the name of the peer */
} cnode__mail;

/* An answer that a process owes or gathers, see pending.c. */
typedef struct cnode__pending {
    cnode__list in_proc;
    cnode__list in_watch;
    cnode__watch *watch; /* of who waits for it; NULL: not known */
    /* That one does no more; for those with a watch. */
    void (*gave_up)(struct cnode__pending *x);
    void (*ended)(struct cnode__pending *x); /* the process has ended */
} cnode__pending;

/* Work that a process does for a spawn request. */
typedef struct cnode__task {
    bool running;         /* the function is on the stack */
    cnode__watch *caller; /* NULL: nobody waits */
    size_t ref_len;       /* 0: not called by erpc */
    size_t stack_len;     /* [{M,F,Args,[]}] */
    uint8_t bytes[];
} cnode__task;

/* What processes of one kind have in common, kept once. */
typedef struct cnode__kind {
    uint64_t users;
    cnode_proc_config config; /* its key; without name and data */
    bool plain;               /* on_message takes whatever comes */
} cnode__kind;

/* What most processes never have, made when it is needed. */
typedef struct cnode__extra {
    cnode__task *task;
    cnode__mail *lent;
    cnode__mail *last_priority; /* of those in front of the mailbox */
    etf_pid *lent_from;
    struct cnode__trace *trace; /* of the last message that was received */
    uint64_t trace_clock;
    etf_view leader; /* group leader, a pid; empty: `user` of this node */
    cnode__list pendings;
    bool suspended;      /* sys:suspend: only system messages are taken */
    size_t system_bytes; /* of p->system_mails */
    cnode__mail *spared; /* all up to here, from the first one on, are kept in
                            any case; NULL: not known of any */
} cnode__extra;

/* Many may be idle: 300 bytes for each, with the entry in cnode.procs. */
struct cnode_proc {
    cnode__list in_node;
    cnode *node;
    uint64_t number;
    cnode__kind *kind;
    cnode__extra *extra;
    void *data;
    char *name;
    union {
        struct {
            cnode__list links;
            cnode__list watches;
            cnode__list waiters;
            cnode__list timers; /* cnode_after */
        };
        struct { /* when ended: the lists are empty then */
            etf_view reason;
            uint8_t short_reason[48];
        };
    };
    cnode__mail *first;
    cnode__mail *last;
    size_t mail_bytes;
    uint64_t received;
    uint32_t calls;        /* waiters that a message may answer */
    uint32_t mails;        /* messages in the mailbox */
    uint32_t system_mails; /* of these, those kept in any case */
    uint32_t dropped;
    bool ended;
    bool receiving;  /* cnode_receive is on the stack */
    bool overflowed; /* the log has a line about the full mailbox */
    bool reason_is_copy;
    bool lasting; /* see cnode__spawn_lasting */
};

/* A process has ended before the node that it asked to spawn another, linked
 * one has answered. What became of it goes to that one then. */
typedef struct cnode__orphan {
    cnode__list in_node;
    const cnode__peer *peer; /* only to compare */
    uint64_t number;         /* of the reference */
    size_t len;
    uint8_t reason[];
} cnode__orphan;

/* What runs when another node applies a function. */
typedef struct cnode__code {
    cnode_function fn;
    void *data;
} cnode__code;

typedef struct cnode__export {
    cnode__code code;
    size_t key_len;
    char key[]; /* module NUL function NUL arity */
} cnode__export;

/* Somebody wants to know when a peer is up. */
typedef struct cnode__want {
    cnode__list in_list; /* of the peer; then, when it is decided, the node */
    cnode__peer *peer;   /* held */
    cnode_connect_cb cb;
    void *data;
    cn_error error;
} cnode__want;

struct cnode {
    cnode_config config; /* strings are owned */
    cn_alloc alloc;
    char name[CNODE__NAME_MAX + 1];
    char cookie[CNODE__COOKIE_MAX + 1];
    char cookie_from[256]; /* where it was read, for messages */
    bool named;
    bool dynamic;       /* its name is given by the peers */
    bool creation_used; /* something that carries it went out */
    bool closing;
    uint32_t creation;
    uint16_t port;
    const cnode__shell *shell;
    void *shell_ctx;
    cn_error error;
    cnode_stats stats;     /* without what connections count */
    cnode_conn_stats past; /* of those that have ended */
    cnode__timers timers;
    cn_map procs;   /* number */
    cn_map names;   /* registered name */
    cn_map peers;   /* node name */
    cn_map links;   /* cnode__link.key */
    cn_map watches; /* cnode__watch.key */
    cn_map waiters; /* cnode__waiter.number */
    cn_map exports;
    cn_map kinds;   /* cnode__kind.config */
    cn_map orphans; /* cnode__orphan.number */
    cnode__list wires;
    cnode__list failed;   /* wires to bury */
    cnode__list dirty;    /* wires with output */
    cnode__list ended;    /* processes to bury */
    cnode__list wants;    /* answers to give */
    cnode__list parents;  /* cnode__orphan */
    cnode__list lookups;  /* wires whose address is to be asked for */
    cnode__list loans;    /* of bytes that are not needed any more */
    cnode__list drained;  /* peers that somebody may go on sending to */
    cnode__list born;     /* peers that may have been made for nothing */
    cnode__list holds;    /* signals from threads that must wait */
    cnode__hold *hold;    /* ... those to this node itself */
    size_t pending;       /* bytes that wait with all peers */
    uint32_t dials;       /* attempts made for what is sent */
    uint64_t quiet_dials; /* when there may be another line about them */
    uint64_t quiet_lost;  /* ... about answers that are lost */
    uint64_t quiet_full;  /* ... about mailboxes that are full */
    cn_buf local;         /* signals from our processes to our processes */
    cn_buf spare;         /* empty: the memory of those that were */
    etf_writer packer;    /* terms of calls in progress */
    etf_writer message;   /* what is being sent */
    etf_writer scratch;
    etf_writer token; /* of a trace, of what is being sent */
    uint64_t next_pid;
    uint64_t next_ref;
    uint64_t next_unlink;
    uint32_t next_conn;
    uint64_t user;        /* group leader where none is given */
    const char *peer_now; /* node whose signal is being handled */
    bool leaving;         /* cnode_leave was called ... */
    bool late;            /* ... takes too long ... */
    bool left;            /* ... and is over */
    uint64_t leave_at;    /* at the latest */
    cnode__timer leave_timer;
    cnode_leave_cb leave_cb;
    void *leave_data;
    size_t unsent;          /* bytes that were given up */
    cnode__peer *last_peer; /* that was looked up, or NULL */
    size_t last_peer_len;   /* of its name */
    uint64_t lacks;         /* flags that it does not announce, for tests */
    bool message_used;      /* since the pump looked */
    /* What its connections have in common; NULL: there was none yet. */
    struct cnode__rules *rules;
    uint32_t tasks;       /* functions that run for other nodes */
    uint64_t quiet_tasks; /* when there may be another line about them */
    /* discover.c's; NULL: it has no sources */
    struct cnode__discovery *discovery;
    struct cnode__global *global; /* global_parts.h; NULL: not visible */
    bool listens;                 /* others can connect to it */
    uint64_t printer;     /* the process that prints for others; 0: none */
    struct cnode_pg *pgs; /* scopes of process groups */
    struct cnode_pubsub *pubsubs;
    cnode_proc *last_proc; /* that was looked up by its pid, or NULL */
    /* relation.c: what a signal from here to here was to end, that was lost */
    cnode__list unheard_links;
    cnode__list unheard_watches;
    cnode__list unheard_waiters;
    bool unheard; /* such a signal may be behind one that is still to come */
};

/* --- node.c --- */
int cnode__init(cnode *n, const cnode_config *c, const cnode__shell *shell,
                void *ctx);
void cnode__destroy(cnode *n);
uint32_t cnode__random_creation(cnode *n);
/* EPMD's creation, if ours has not been used. */
void cnode__adopt_creation(cnode *n, uint32_t creation);
void cnode__set_error(cnode *n, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What a pattern makes, behind what w has; what: it is for. The error is kept,
 * and where in the pattern it is; w is then of no use before it is reset. */
int cnode__pack(cnode *n, etf_writer *w, const char *what, const etf_in *in,
                size_t count, etf_view *out);
/* The value is seen to be code, which is no zero. */
#define cnode__err(n, code, ...)                                               \
    (cnode__set_error((n), (code), __VA_ARGS__), (code))
uint64_t cnode__now(cnode *n);
/* For a line in the log that others can cause: true once a second. */
bool cnode__seldom(cnode *n, uint64_t *next);
/* cnode__pump is wanted. */
void cnode__wake(cnode *n);
/* Runs what waits on the lists and flushes. True: something was done, or is
 * still to do, so the loop must not wait before it looks again. */
bool cnode__pump(cnode *n);
/* When cnode__run_timers is due. */
uint64_t cnode__deadline(const cnode *n);
void cnode__run_timers(cnode *n, uint64_t now);
/* Closes every wire at once. */
void cnode__close_wires(cnode *n);

/* --- peer.c --- */
/* NULL: this node, also for an empty name. CN_EBADARG, CN_ENOMEM. */
int cnode__find_peer(cnode *n, const char *name, cnode__peer **out);
int cnode__find_peer_n(cnode *n, const char *name, size_t len,
                       cnode__peer **out);
bool cnode__is_self(const cnode *n, const char *name, size_t len);
enum { CNODE__HOST_MAX = 255 };
/* Of "host:port" and "[v6]:port"; false: it is neither. */
bool cnode__split_address(const char *text, char host[CNODE__HOST_MAX + 1],
                          uint16_t *port);
#define CNODE__NO_ADDRESS                                                      \
    "'%.100s' is no address; it looks like host:port, [v6]:port or unix:path"
void cnode__peer_free(cnode__peer *p);
/* Frees it when nothing is known or wanted of it any more. */
void cnode__peer_release(cnode__peer *p);
/* Around callbacks, which may take back what p is kept for. */
void cnode__peer_hold(cnode__peer *p);
void cnode__peer_let_go(cnode__peer *p);
/* It is connected, or about to be. */
bool cnode__peer_on_the_way(const cnode__peer *p);
/* Neither side is hidden to the other. */
static inline bool cnode__peer_is_visible(const cnode__peer *p) {
    return (p->flags & CNODE_FLAG_PUBLISHED) != 0;
}
/* Something is to be sent: connects, unless it is connected or about to be.
 * CN_EBUSY: config.max_dials; CN_ENOTALLOWED: its policy. */
int cnode__peer_want(cnode__peer *p);
/* The same error with the name of the node in its text. */
void cnode__name_error(const char *name, const cn_error *e, cn_error *out);
/* Whoever waits to hear of the connection will hear this. */
void cnode__peer_answer(cnode__peer *p, const cn_error *e);
/* After a change of p->pending. */
void cnode__peer_weigh(cnode__peer *p);
/* Waits for the peer's own attempt, for the setup time. */
void cnode__peer_await(cnode__peer *p);
void cnode__peer_up(cnode__wire *w, const cnode_event *ev);
void cnode__peer_down(cnode__peer *p, const cn_error *why);
/* Takes its peer from a wire and fails it. */
void cnode__wire_replace(cnode__wire *w, const char *why);
/* Frees a failed wire, with all that means for its peer. */
void cnode__wire_bury(cnode__wire *w);

/* Begins an attempt. CN_ENOTALLOWED, CN_ENOMEM. */
int cnode__peer_dial(cnode__peer *p, bool counted);
/* cnode_connect over what is connected already; *out has handle then. */
int cnode__connect_over(cnode *n, const char *peer, void *handle,
                        cnode_connect_cb cb, void *data, cnode__wire **out);
/* CN_ECLOSED when there is nothing to connect any more, else 0. */
int cnode__may_connect(cnode *n);

/* --- reconnect.c --- */
/* These do nothing for a peer that is not to be kept. It is connected; it is
 * so no more; it has no connection and none on the way, and an attempt or the
 * connection has just ended. */
void cnode__keep_up(cnode__peer *p);
void cnode__keep_down(cnode__peer *p);
void cnode__keep_retry(cnode__peer *p, const cn_error *why, bool was_up);
/* It is not to be kept; true: it was. */
bool cnode__keep_end(cnode__peer *p);
/* How long to wait after so many failures in a row, in ms. */
uint32_t cnode__keep_wait(cnode *n, const cnode_keep_opts *o,
                          uint32_t failures);

/* --- leave.c --- */
/* Ends w, unless something waits for it. */
void cnode__leave_wire(cnode__wire *w);
/* Tells of it when all have gone. */
void cnode__left(cnode *n);

/* --- lookup.c --- */
/* The way of a wire: asks the program, or has the shell dial. */
void cnode__lookup(cnode__wire *w);
void cnode__run_lookups(cnode *n);

/* --- policy.c --- */
/* Of a peer, or (NULL) of those who have none of their own. Not _DEFAULT. */
cnode_policy cnode__policy_of(const cnode *n, const cnode__peer *p);
#define CNODE__DENIED "denied by this node's policy (cnode_set_policy)"

/* --- wire.c --- */
/* Events from the shell. */
cnode__wire *cnode__wire_new(cnode *n, cnode__peer *peer);
/* Sets w->peer, which lives as long as w then. */
void cnode__wire_join(cnode__wire *w, cnode__peer *p);
/* Where to dial, NULL: EPMD knows. */
const char *cnode__wire_address(const cnode__wire *w);
/* It is no attempt any more. */
void cnode__wire_uncount(cnode__wire *w);
int cnode__wire_open(cnode__wire *w);
void cnode__wire_fail(cnode__wire *w, int code, int os_error, const char *text);
/* Why it has failed; out of memory, when there was none for the reason. */
const cn_error *cnode__wire_why(const cnode__wire *w);
/* The bytes may be changed. */
void cnode__wire_read(cnode__wire *w, uint8_t *p, size_t len);
/* Where to read to, and how much; what was read there: cnode__conn_room. */
uint8_t *cnode__wire_room(cnode__wire *w, size_t *n, size_t *more);
void cnode__wire_filled(cnode__wire *w, const uint8_t *room, size_t n);
void cnode__wire_eof(cnode__wire *w);
void cnode__wire_free(cnode__wire *w);
/* Of its peer, as far as known: for messages. */
const char *cnode__wire_name(const cnode__wire *w);
/* It has output. */
void cnode__wire_dirty(cnode__wire *w);
/* Some of its output was written. */
void cnode__wire_wrote(cnode__wire *w);
/* ... and all of it. */
void cnode__wire_clean(cnode__wire *w);

/* --- route.c --- */
/* Sends a signal to a peer (NULL: here), connecting if need be. Keeps the
 * error. */
int cnode__route(cnode *n, cnode__peer *peer, const cnode_ctrl *c);
/* The same for a message to a peer that is up, in pieces: see
 * cnode_conn_send_shared. */
int cnode__route_shared(cnode__peer *peer, const cnode_ctrl *c,
                        const cn_slice *v, size_t nv,
                        void (*release)(void *arg), void *arg);
/* The same for a message to a peer that is up; or 1: nothing was done, it must
 * go by cnode__route. */
struct cnode__brief;
int cnode__route_brief(cnode__peer *peer, const struct cnode__brief *m);
/* The same for what must not be lost. False: it is lost, and so is the
 * connection; what is tied here is untied from the pump. */
bool cnode__tell(cnode *n, cnode__peer *peer, const cnode_ctrl *c);
/* What became of an answer that somebody on that node may wait for without a
 * timeout: when it is lost, the connection ends. */
void cnode__answered(cnode *n, const char *node, int err);
/* cnode_reply, and what becomes of it. */
#define cnode__answer(p, from, ...)                                            \
    cnode__answered((p)->node, (from)->pid.node,                               \
                    cnode_reply((p), (from), __VA_ARGS__))
#define CNODE__LOST_SIGNAL "a signal for it could not be kept"
/* A signal as bytes that do not depend on a connection. */
int cnode__freeze(etf_writer *w, const cnode_ctrl *c, etf_view *out);
/* The opposite; what a signal does not have is zero. */
int cnode__thaw(cnode_ctrl *c, etf_reader *r, etf_view frame);

/* --- brief.c --- */
/* cnode_send_args by the short way, with what became of it in *err. False: it
 * is not for this one, and nothing was done. */
bool cnode__send_brief(cnode_proc *p, const etf_pid *to, const etf_in *in,
                       size_t count, int *err);

/* --- carry.c --- */
/* What another thread asked for: node "" is this one, and the sender needs
 * only its number, for the node's name belongs to the thread of the loop. */
void cnode__carried(cnode *n, const char *node, etf_view frame);
/* Other threads were told CN_EBUSY so many times about that node. */
void cnode__carry_refused(cnode *n, const char *node, uint64_t times);
/* Tries again what had to be held; true: something of it went out. */
bool cnode__carry_on(cnode *n);
/* Gives up what is held. */
void cnode__carry_end(cnode *n);

/* --- drain.c --- */
/* Most bytes of messages that may wait for a peer. */
size_t cnode__queue_max(const cnode *n);
/* More waits for p than without parking would. */
bool cnode__is_parked(const cnode__peer *p);
/* What became of a signal for p. */
void cnode__drain_note(cnode__peer *p, cnode_signal signal, int err);
/* The same for CN_EBUSY that other threads were told. */
void cnode__drain_refused(cnode__peer *p, uint64_t times);
/* Less may be waiting for p, or nothing is held for it any more. */
void cnode__drain_check(cnode__peer *p);
/* Calls on_drain; from the pump. */
void cnode__drain_run(cnode *n);

/* --- shared.c --- */
/* Gives shared bytes back; from the pump. */
void cnode__loans_run(cnode *n);

/* --- names in terms: any bytes may be in them, also NUL --- */
enum { CNODE__ATOM_TEXT = 4 * 255 + 1 }; /* an atom as a string */
/* As a string; false: it is none, or too long. */
static inline bool cnode__string_of(etf_view atom, char *out, size_t cap) {
    if (atom.len >= cap || memchr(atom.data, 0, atom.len) != NULL)
        return false;
    (void)cn__put_bytes((uint8_t *)out, atom.data, atom.len);
    out[atom.len] = '\0';
    return true;
}
static inline bool cnode__pid_is_of(const etf_pid *pid, const char *node) {
    return strlen(node) == pid->node_len &&
           memcmp(pid->node, node, pid->node_len) == 0;
}

/* --- process.c --- */
int cnode__proc_new(cnode *n, const cnode_proc_config *c, cnode_proc **out);
/* A process that belongs to the library, as those of Erlang that a supervisor
 * starts again: no exit signal ends it, nor do system messages end or suspend
 * it. */
int cnode__spawn_lasting(cnode *n, const cnode_proc_config *c,
                         cnode_proc **out);
cnode_proc *cnode__proc_of(cnode *n, const etf_pid *pid);
cnode_proc *cnode__proc_named(cnode *n, etf_view name);
etf_pid cnode__pid_of(const cnode *n, uint64_t number);
uint64_t cnode__number_of(const etf_pid *pid);
/* 28 bits of id, the rest in the serial: never used twice. */
static inline void cnode__split_number(uint64_t number, uint32_t *id,
                                       uint32_t *serial) {
    *id = (uint32_t)(number & 0x0fffffff);
    *serial = (uint32_t)(number >> 28);
}
/* Also without a node name, as pids are kept inside. */
bool cnode__own_pid(const cnode *n, const etf_pid *pid);
void cnode__set_node(etf_pid *pid, const char *node);
/* NULL: out of memory. */
cnode__extra *cnode__extra_of(cnode_proc *p);
void cnode__deliver(cnode_proc *p, const cnode__message *m);
/* For a call on a process that has ended: CN_ENOPROC. */
#define cnode__gone(p)                                                         \
    cnode__err((p)->node, CN_ENOPROC, "the process has ended")
/* Ends p; the reason is copied. */
void cnode__end(cnode_proc *p, etf_view reason);
void cnode__bury(cnode *n);
void cnode__exit_signal(cnode_proc *p, const cnode__exit *e);
etf_view cnode__atom(const char *text, uint8_t *buf, size_t cap);
/* Can it be one? Not NULL. */
bool cnode__is_atom(const char *text);

/* Of p, which has none of its own: CN_ENOMEM. */
int cnode__lead(cnode_proc *p, const etf_pid *leader);

/* --- trace.c --- */
/* p has received something with this token, or without: an empty one. */
void cnode__trace_got(cnode_proc *p, etf_view token);
/* Gives a signal that p sends the token of the trace, lent until the next
 * call. */
void cnode__trace_put(cnode_proc *p, cnode_ctrl *c);
void cnode__trace_free(cnode_proc *p);

/* --- mailbox.c --- */
/* Counts a message that p will not get, and logs the first of them. */
void cnode__drop_message(cnode_proc *p, const char *why);
/* Puts it into the mailbox, if there is room. */
void cnode__mail_keep(cnode_proc *p, const cnode__message *in);
/* Out of the mailbox; what is in it, lent as the mail is, *from too. */
cnode__mail *cnode__mail_take(cnode_proc *p);
void cnode__mail_open(const cnode__mail *m, cnode_msg *out, etf_pid *from);
/* What is in the mailbox goes to the callbacks again. CN_ENOMEM. */
int cnode__mail_resume(cnode_proc *p);
/* p gets it now. */
void cnode__mail_received(cnode_proc *p, const cnode__mail *m);
void cnode__mail_free(cnode *n, cnode__mail *m);
void cnode__mail_free_all(cnode_proc *p);
/* The next message of a mailbox, lent until the next call. */
bool cnode__take(cnode_proc *p, cnode_msg *out);

/* --- relation.c --- */
cnode__link *cnode__link_find(cnode_proc *p, const etf_pid *other);
int cnode__link_add(cnode_proc *p, const etf_pid *other, cnode__peer *peer);
void cnode__link_drop(cnode__link *l);
/* With whom; a process of this node has no node in it. */
void cnode__link_other(const cnode__link *l, etf_pid *out);
int cnode__watch_add(cnode_proc *p, cnode__peer *peer, const etf_ref *ref,
                     const etf_pid *watcher, etf_view name);
cnode__watch *cnode__watch_find(cnode *n, const etf_ref *ref,
                                const etf_pid *watcher);
void cnode__watch_drop(cnode__watch *w);
/* Tells the watcher that the process has ended, and drops it. */
void cnode__watch_fire(cnode__watch *w, etf_view reason);
etf_ref cnode__ref_of(const cnode *n, uint64_t number);
cnode__waiter *cnode__waiter_find(cnode *n, const etf_ref *ref);
/* Takes the name of this node out of its own pids and references, so that what
 * is between its processes outlives a change of the name. */
void cnode__make_local(const cnode *n, cnode_ctrl *c);
int cnode__waiter_add(cnode_proc *p, cnode__peer *peer, cnode__wait kind,
                      etf_view item, cnode__waiter **out);
/* The same with a tag, and then room in front of it for the item. */
int cnode__waiter_make(cnode_proc *p, cnode__peer *peer, cnode__wait kind,
                       etf_view item, etf_view tag, cnode__waiter **out);
void cnode__waiter_drop(cnode__waiter *w);
/* The waiter of an alias of this node that is active, or NULL. */
cnode__waiter *cnode__alias_find(cnode *n, const etf_ref *alias);
/* A message has come to it: it may be over, and its monitor. */
void cnode__alias_used(cnode__waiter *w);
/* The relations of a process that ends, or of a peer that is gone. */
void cnode__relations_end(cnode_proc *p, etf_view reason);
void cnode__relations_lost(cnode *n, cnode__peer *peer, const cn_error *why);
/* The request that this reference stands for was left alone, or NULL. */
cnode__orphan *cnode__orphan_find(cnode *n, const etf_ref *ref);
void cnode__orphan_drop(cnode *n, cnode__orphan *o);
/* A monitor is done: tells its process and drops it. */
void cnode__fire_down(cnode__waiter *w, etf_view reason);

/* A signal from here to here is lost: whom it was for hears of it in another
 * way, from the pump. */
void cnode__unheard(cnode *n, const cnode_ctrl *c);
/* A link or monitor from here to here has come to be. */
void cnode__check_heard(cnode *n, const cnode_ctrl *c);
/* Goes through what was lost, except what is lost meanwhile, behind run(n). */
void cnode__run_unheard(cnode *n, void (*run)(cnode *n));

/* Sends DEMONITOR for a waiter with an item. */
void cnode__send_demonitor(cnode__waiter *w);
/* Stores a pid as the item of a waiter with room for it. */
enum { CNODE__PID_TERM = 300 };
void cnode__waiter_target(cnode__waiter *w, const etf_pid *pid);

/* --- signal.c --- */
/* From a peer, or from here (NULL). CN_EPROTO: its connection must end. */
int cnode__signal(cnode *n, cnode__peer *peer, const cnode_ctrl *c,
                  const char **why);

/* --- call.c --- */
enum { CNODE__CALL_MS = 5000 }; /* when no timeout is given */
/* A message that answers a call of p; true: it did. */
bool cnode__call_reply(cnode_proc *p, const cnode__message *m);
/* An answer by the reference: DOWN, SPAWN_REPLY. */
void cnode__call_down(cnode__waiter *w, etf_view reason);
void cnode__call_spawned(cnode__waiter *w, const cnode_ctrl *c);
void cnode__call_alias(cnode__waiter *w, const cnode_ctrl *c);
/* Ends a call with its connection, and drops it. */
void cnode__call_lost(cnode__waiter *w, const cn_error *why);
void cnode__call_timer(cnode__timer *t);
/* Takes back what a call asked for; it gets no answer. */
void cnode__call_cancel(cnode__waiter *w);
/* CN_EBADARG, for a person to read: what another node is to apply is no
 * function of a module, or what it is to be given no list. what: the call. */
int cnode__check_rpc(cnode *n, const cnode_rpc_opts *o, etf_view args);

/* --- call_global.c --- */
/* cnode_call and cnode_cast with o->global; request may be in n->packer. */
int cnode__call_global(cnode_proc *p, const cnode_call_opts *o,
                       cnode_call_cb cb, void *data, etf_view request);
int cnode__cast_global(cnode_proc *p, const cnode_call_opts *o,
                       etf_view request);

/* --- gen.c --- */
/* The monitor by which this caller waits for its answer, or NULL. */
cnode__watch *cnode__watch_of(cnode *n, const cnode_from *from);
/* Is that a system message that p answers? Then it has. */
bool cnode__gen_system(cnode_proc *p, etf_view term);
/* ... something for a manager of events? */
bool cnode__gen_event(cnode_proc *p, const cnode_msg *m);

/* --- pending.c --- */
/* p has its cnode__extra. */
void cnode__pending_add(cnode_proc *p, cnode__pending *x);
void cnode__pending_leave(cnode__pending *x);
/* The monitor w on p is gone, all but its memory: what waited by it. */
void cnode__pending_unwatched(cnode_proc *p, const cnode__watch *w,
                              cnode__list *waited);
/* p has ended, and is about to be freed. */
void cnode__pending_end(cnode_proc *p);

/* --- builtin.c --- */
typedef struct cnode__builtin_fn {
    const char *module; /* NULL: the end of a table */
    const char *function;
    int64_t arity;
    cnode__code code;
} cnode__builtin_fn;
extern const cnode__builtin_fn cnode__builtins_global[];
extern const cnode__builtin_fn cnode__builtins_pg[];
/* An answer that comes when something has ended; the process that owes it may
 * be gone by then. */
typedef struct cnode__promise {
    etf_pid asker;
    const char *yes; /* atoms */
    const char *no;
} cnode__promise;
/* NULL: out of memory. Freed by _keep, or by the caller with cn__free. */
cnode__promise *cnode__promise_new(const cnode_proc *self, const char *yes,
                                   const char *no);
/* Gives the answer, an atom; NULL: raises system_limit. */
void cnode__promise_keep(cnode *n, cnode__promise *x, const char *answer);
/* NULL: there is none. */
const cnode__code *cnode__builtin(etf_view module, etf_view function,
                                  int64_t arity);

/* --- spawn.c --- */
void cnode__spawn_request(cnode *n, cnode__peer *peer, const cnode_ctrl *c);
void cnode__exports_free(cnode *n);
void cnode__task_free(cnode_proc *p);
/* Length of a proper list, or -1. */
int64_t cnode__list_length(etf_view list);

/* --- stats.c --- */
/* Takes over what a connection has counted; before it or its peer goes. */
void cnode__stats_keep(cnode__wire *w);
void cnode__stats_dropped(cnode *n, cnode_drop why);
/* What became of a signal for p: CN_EBUSY is counted, and what is parked. */
void cnode__stats_routed(cnode__peer *p, int err);
/* What waits for p is about to be thrown away. */
void cnode__stats_unreached(cnode__peer *p);
uint64_t cnode__clock_us(cnode *n);

/* --- services.c --- */
int cnode__services(cnode *n);

/* --- discover.c --- */
/* Starts and stops sources, and tells what is new; from the pump. */
void cnode__discover_run(cnode *n);
bool cnode__discover_has_work(const cnode *n);
/* A peer is up, or down. */
void cnode__discover_peer(cnode *n, const cnode_peer *ev);
/* Ends all sources; what they have named is left as it is. */
void cnode__discover_end(cnode *n);
void cnode__discover_free(cnode *n);
/* --- global.c and its parts --- */
int cnode__global_start(cnode *n);
/* A connection is there, or is no more; why: 0 when this node asked for it. */
void cnode__global_up(cnode *n, const cnode__peer *p);
void cnode__global_down(cnode *n, const cnode__peer *p, int why);
/* Before anything that a peer sent is looked at: a full node whose loop stood
 * still too long leaves. */
void cnode__global_awake(cnode *n);
/* CN_EBADARG: a full node that nobody can connect to must not connect. */
int cnode__global_may_connect(cnode *n);

/* --- pg.c --- */
/* A connection is there. */
void cnode__pg_up(cnode *n, const cnode__peer *p);
void cnode__pg_free(cnode *n);
void cnode__pubsubs_free(cnode *n);

/* --- cookie.c --- */
/* 0, or CN_EIO with the reason in *e. from tells where it was found. */
int cnode__read_cookie(const char *file, char *cookie, size_t cap, char *from,
                       size_t from_cap, cn_error *e);

/* --- monitors of which only the words of the reference are kept --- */
static inline int cnode__monitor_words(cnode_proc *p, const etf_pid *pid,
                                       uint32_t words[3]) {
    etf_ref ref;
    int err = cnode_monitor_pid(p, pid, &ref);

    if (err == 0)
        memcpy(words, ref.ids, 3 * sizeof *words);
    return err;
}
static inline void cnode__demonitor_words(cnode_proc *p,
                                          const uint32_t words[3]) {
    etf_ref ref = cnode__ref_of(p->node, 0);

    memcpy(ref.ids, words, 3 * sizeof *words);
    (void)cnode_demonitor(p, &ref);
}

/* --- writers that outlive their terms --- */
enum { CNODE__KEEP_TERM = 64 * 1024 };
/* For the next term: a huge one, which others choose, must not occupy memory
 * for good. */
static inline void cnode__next_term(etf_writer *w) {
    if (w->cap > CNODE__KEEP_TERM)
        etf_writer_free(w);
    etf_writer_reset(w);
}

#endif
