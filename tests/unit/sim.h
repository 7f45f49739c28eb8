/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.h: a cluster in one process, played by a number. Whole nodes (all but
 * uv*.c) talk over pipes that split, delay, stall and break; a clock that only
 * the simulation moves; a program on each node that does at random what
 * programs do. All chance comes from the seed, so a schedule that fails can be
 * played again, with a line for all that happens.
 *
 *   sim.c        chance, the schedule, the end of it
 *   sim_net.c    the network, the nodes' shell
 *   sim_play.c   the program: what it does, what it is told
 *   sim_model.c  what it may be told: knows only what the program has done
 *
 * What must hold:
 *   - signals of one process to another come in order, none twice, none when
 *     the receiver has ended, none to another incarnation
 *   - a message is lost only when the connection is, which the sender's log
 *     says; what comes, comes over the connection that is up now
 *   - a monitor tells once, a link once, with a reason that is true; nothing
 *     of the process comes after it, nothing before it is missing
 *   - a call, a spawn and a connect are answered once, with a true status
 *   - no callback runs inside a call
 *   - where an allocation fails, all of this holds but for the reasons, which
 *     may be system_limit; who asked for something may get CN_ENOMEM
 *   - while nothing fails, no connection is lost and no attempt given up
 *   - when the network has been healed, all agree who is connected and linked,
 *     no queue holds anything, nobody waits for what has happened; when all
 *     has ended, nothing is allocated
 */
#ifndef TESTS_UNIT_SIM_H
#define TESTS_UNIT_SIM_H

#include "cnode/node.h"
#include "tests/unit/support.h"

enum {
    SIM_NODES = 5,
    SIM_PROCS = 40,
    SIM_NAMES = 2, /* on each node */
    SIM_LINKS = 96,
    SIM_SENT = 400,
    SIM_MONITORS = 160,
    SIM_CALLS = 96,
    SIM_ALIASES = 48,
    SIM_SPAWNS = 32,
    SIM_NEVER = 0x7fffffff
};

typedef struct sim sim;
typedef struct sim_link sim_link;

/* --- the network --- */

/* One side of a connection; `in` is on the way to it. */
typedef struct sim_end {
    sim_link *link;
    int node;
    cnode__wire *wire;
    cnode_conn *kept; /* the wire is gone, this still has something to say */
    bool closed;      /* nothing is written any more */
    bool told;        /* that the other has closed */
    uint64_t told_at; /* when a cut is noticed here */
    uint64_t stalled_until;
    uint64_t linger_until;
    uint8_t *in;
    size_t in_len;
    size_t in_cap;
} sim_end;

struct sim_link {
    sim *sim;
    uint32_t id; /* 0: unused */
    bool dialling;
    bool hangs; /* the dial is never answered */
    bool cut;
    int target;
    uint64_t open_at;
    sim_end end[2];
};

typedef struct sim_node {
    cnode node;
    sim *sim;
    int i;
    bool live;
    bool woken;
    uint32_t life; /* counts incarnations */
    uint64_t paused_until;
} sim_node;

/* --- what the program has done --- */

typedef enum sim_reason_kind {
    SIM_ALIVE,
    SIM_NORMAL,
    SIM_BYE,    /* {bye, uid} */
    SIM_HIT,    /* {x, number}: exit/2 */
    SIM_NOCONN, /* of a link */
    SIM_NOPROC,
    SIM_KILLED,
    SIM_SHUTDOWN, /* its node was stopped */
    SIM_LIMIT,    /* there was no memory */
    SIM_OTHER
} sim_reason_kind;

typedef struct sim_reason {
    sim_reason_kind kind;
    long n;
} sim_reason;

typedef struct sim_proc {
    sim *sim;
    int uid;
    int node;
    uint32_t life;
    cnode_proc *proc; /* NULL when it has ended */
    etf_pid pid;
    bool trap;
    int name;          /* -1: none */
    sim_reason reason; /* SIM_ALIVE: it has not ended */
    uint32_t end_epoch[SIM_NODES];
    int last_from[SIM_PROCS];   /* number behind the last signal */
    bool known_dead[SIM_PROCS]; /* has seen that one's end */
} sim_proc;

typedef enum sim_way { SIM_PID, SIM_NAME, SIM_ALIAS, SIM_EXIT2 } sim_way;

typedef struct sim_sent {
    int from;
    int to; /* -1: whoever has the name */
    int node;
    sim_way way;
    int alias;
    uint32_t epoch;
    bool got;
} sim_sent;

typedef enum sim_state { SIM_WAITING, SIM_DONE, SIM_GONE } sim_state;

typedef struct sim_monitor {
    sim_state state;
    int watcher;
    int target; /* -1: by name */
    int node;
    int name;
    etf_ref ref;
    uint32_t epoch; /* when it was made */
    uint32_t downs;
    uint32_t tick;
    int number; /* of the next signal then */
} sim_monitor;

typedef struct sim_call {
    sim *sim;
    sim_state state;
    int caller;
    int target;
    int node;
    int name;
    uint32_t epoch;
    uint32_t tick;
    uint64_t due;
    int server; /* who has got it; -1: nobody yet */
    bool never; /* it does not answer */
    size_t tag_len;
    etf_pid from; /* for an answer that comes later */
    uint8_t tag[1200];
} sim_call;

typedef struct sim_alias {
    int owner;
    bool once;
    bool active;
    etf_ref ref;
} sim_alias;

/* A process that was asked for on another node. */
typedef struct sim_spawn {
    sim *sim;
    sim_state state;
    int asker;
    int node;
    int child; /* -1: not made yet */
    bool link;
    bool monitor;
    etf_ref ref;
    uint32_t epoch;
} sim_spawn;

/* What a process may hear by its link to another. */
typedef struct sim_tie {
    int credits;   /* exits that it may still be told of */
    bool linked;   /* it has linked, and no unlink or exit came since */
    bool unlinked; /* one of the two has ever unlinked */
    bool begun;
    uint32_t first; /* epoch of the first link */
    uint32_t epoch; /* of its own last link */
    uint32_t downs;
    uint32_t over;     /* connection of it, 0: not sure */
    int number;        /* of the next signal, at the last link */
    int told;          /* exits that came */
    bool in;           /* the other has linked */
    uint32_t in_epoch; /* the other's epoch then */
    int in_told;       /* `told` then */
} sim_tie;

struct sim {
    uint64_t seed;
    uint64_t chance;
    bool trace;
    bool failed;
    char why[512];
    uint64_t now;
    uint32_t tick;  /* counts what happens */
    bool faultless; /* nothing ever fails */
    bool calm;      /* nothing fails any more */
    bool over;      /* the program does nothing any more */
    bool ending;    /* all connections are gone for good */
    int in_call;
    int count;        /* nodes */
    uint32_t reading; /* id of the link whose bytes are being read */
    uint32_t next_link;
    uint32_t open;
    size_t pipe_size;
    size_t max_queue;
    uint32_t ticktime_s;
    uint32_t setup_ms;
    int fault_rate;
    bool hungry;  /* allocations fail */
    bool refused; /* ... and a link was, the two may not agree then */
    fault_alloc memory;
    sim_node nodes[SIM_NODES];
    sim_link links[SIM_LINKS];
    bool up[SIM_NODES][SIM_NODES];
    bool falling[SIM_NODES][SIM_NODES]; /* the log knows that it is down */
    uint32_t uplink[SIM_NODES][SIM_NODES];
    uint32_t epoch[SIM_NODES][SIM_NODES]; /* losses that the log has told of */
    uint32_t downs[SIM_NODES][SIM_NODES];
    int owner[SIM_NODES][SIM_NAMES];        /* uid, -1 */
    uint32_t unowned[SIM_NODES][SIM_NAMES]; /* last tick without one */
    int asked;
    int answered;
    int procs;
    int sents;
    int monitors;
    int calls;
    int aliases;
    int spawns;
    sim_proc proc[SIM_PROCS];
    sim_sent sent[SIM_SENT];
    sim_monitor monitor[SIM_MONITORS];
    sim_call call[SIM_CALLS];
    sim_alias alias[SIM_ALIASES];
    sim_spawn spawn[SIM_SPAWNS];
    sim_tie tie[SIM_PROCS][SIM_PROCS];
};

/* --- sim.c --- */
/* Plays one schedule; false: it failed, and s->why says how. s keeps memory
 * that the next schedule uses again. */
bool sim_run(sim *s, uint64_t seed, bool trace);
void sim_free(sim *s);
/* 0 to n - 1. */
uint32_t sim_random(sim *s, uint32_t n);
bool sim_chance(sim *s, uint32_t percent);
void sim_fail(sim *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Only want of memory is a reason. */
void sim_refused(sim *s, const char *what, int err);
void sim_say(const sim *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
#define SIM_SAY(s, ...)                                                        \
    do {                                                                       \
        if ((s)->trace)                                                        \
            sim_say((s), __VA_ARGS__);                                         \
    } while (0)

/* --- sim_net.c --- */
const char *sim_name(int node);
/* -1: none of them. */
int sim_node_of(const char *name, size_t len);
void sim_start(sim *s, int i);
/* crash: its connections are cut first. */
void sim_stop(sim *s, int i, bool crash);
/* Something that is ready to happen does; false: nothing is. */
bool sim_step(sim *s);
/* To the next time at which something happens, at most so far. */
void sim_advance(sim *s, uint64_t most);
/* Something breaks. */
void sim_fault(sim *s);
/* All stalls end, dials are answered. */
void sim_heal(sim *s);
void sim_cut_all(sim *s);
void sim_net_free(sim *s);
/* Both ends of what node i thinks is its connection to j are up. */
bool sim_same_link(sim *s, int i, int j);

/* --- sim_play.c --- */
void sim_act(sim *s);
void sim_on_peer(cnode *n, const cnode_peer *p, void *data);
int sim_export(sim *s, int i);

/* --- sim_model.c --- */
void sim_model_reset(sim *s);
/* Also one that the node has ended but not told of yet. */
sim_reason sim_fate(const sim_proc *p);
/* What the losses are counted by when node i sends to j. */
uint32_t sim_epoch(sim *s, int i, int j);
uint32_t sim_message_epoch(sim *s, int i, int j);
void sim_logged(sim *s, int i, cn_level level, const char *text);
sim_proc *sim_born(sim *s, int node, cnode_proc *proc, bool trap, int name);
void sim_ended(sim_proc *p, sim_reason reason);
/* The program has ended it, or its node was stopped. */
void sim_end_now(sim_proc *p, sim_reason reason);
void sim_node_gone(sim *s, int i);
sim_reason sim_reason_of(etf_view term);
sim_proc *sim_proc_of(sim *s, const etf_pid *pid);
bool sim_dead(const sim_proc *p);
/* A callback of p has begun. */
void sim_called_back(sim_proc *p);
void sim_got_message(sim_proc *p, const cnode_msg *m);
void sim_got_exit(sim_proc *p, const cnode_exit_signal *e);
void sim_got_down(sim_proc *p, const cnode_down *d);
void sim_got_request(sim_proc *p, sim_call *c);
void sim_got_result(sim_proc *p, sim_call *c, int status, etf_view result);
void sim_got_spawned(sim_proc *p, sim_spawn *w, int status, etf_view pid);
void sim_linked(sim_proc *p, sim_proc *q);
void sim_unlinked(sim_proc *p, sim_proc *q, bool done);
void sim_watched(sim_proc *p, sim_proc *q, int node, int name,
                 const etf_ref *ref);
void sim_made_child(sim_spawn *w, sim_proc *child);
/* At rest. */
void sim_check_rest(sim *s);

#endif
