/* SPDX-License-Identifier: Apache-2.0
 *
 * pg_parts.h: what the files of pg share (internal).
 *
 *   pg.c        scopes, what the program calls
 *   pg_table.c  groups, members
 *   pg_event.c  monitors, and how they are told
 *   pg_wire.c   what is said between scopes
 *   pg_pubsub.c Phoenix.PubSub, which uses them as a program does
 *
 * A member is a pid in a group, with how often it has joined. It belongs to an
 * owner: a process of this node, or the scope of another node, and goes with
 * it. Groups live as long as somebody holds them: members, monitors, events.
 *
 * No callback runs in a call of the program: what it changes is told by an
 * event in a queue. What other nodes change is told at once, in batches, when
 * the queue is empty. Each event has a number, and a monitor is told of those
 * that are newer than itself.
 */
#ifndef CNODE_PG_PARTS_H
#define CNODE_PG_PARTS_H

#include "cnode/node.h"
#include "cnode/pg.h"

typedef struct cnode__pg_group {
    cnode__list members;
    cnode__list watches;
    size_t count; /* with repeats */
    size_t local;
    size_t holds; /* it is freed with the last one */
    size_t key_len;
    uint8_t key[]; /* the term in its normal form */
} cnode__pg_group;

/* Who brings members. */
typedef struct cnode__pg_owner {
    cnode__list members;
    uint32_t monitor[3]; /* the words of its reference */
    bool local;
    uint64_t number;    /* local: of the process */
    etf_pid *pid;       /* else: its scope */
    size_t times;       /* ... how often they have joined, all together */
    size_t bytes;       /* ... what its members take */
    bool synced;        /* ... it knows all of ours */
    bool asked;         /* ... it wants to be told all again */
    size_t over;        /* ... the limit that it was over; 0: none */
    uint64_t next_sync; /* ... when it may be */
} cnode__pg_owner;

typedef struct cnode__pg_key {
    uint64_t group; /* their addresses */
    uint64_t owner;
    uint32_t id;
    uint32_t serial;
    uint32_t creation;
    uint32_t zero;
} cnode__pg_key;

typedef struct cnode__pg_member {
    cnode__list in_group;
    cnode__list in_owner;
    cnode__pg_group *group;
    cnode__pg_owner *owner;
    size_t times;
    size_t wanted; /* while a sync is taken over */
    cnode__pg_key key;
} cnode__pg_member;

typedef struct cnode__pg_watch {
    cnode__list in_list;
    cnode__list in_dead;
    uint64_t number;
    uint64_t since; /* the last event before it */
    cnode__pg_group *group;
    cnode_pg_cb cb; /* NULL: it is dead */
    void *data;
} cnode__pg_watch;

/* What the program has changed. */
typedef struct cnode__pg_event {
    cnode__list in_scope;
    uint64_t number;
    bool joined;
    cnode__pg_group *group;
    size_t cap;
    size_t n;
    uint64_t pids[]; /* numbers of processes */
} cnode__pg_event;

/* What is to be told of others, gathered. */
typedef struct cnode__pg_batch {
    cnode_pg *scope;
    cnode__pg_group *group; /* held; NULL: nothing is in it */
    bool joined;
    size_t n;
    etf_pid pids[CNODE_PG_PART];
} cnode__pg_batch;

struct cnode_pg {
    struct cnode_pg *next; /* of the node */
    cnode *node;
    cnode_proc *proc; /* NULL: it has ended */
    char *name;
    size_t users;
    uint32_t discover_ms;
    size_t max_bytes;
    size_t max_total;
    size_t bytes; /* what the members of all other nodes take ... */
    size_t times; /* ... and how often they have joined */
    bool stopped; /* to be freed with its process */
    cn_map groups;
    cn_map members;
    cn_map locals; /* number of the process */
    cn_map peers;  /* name of the node */
    cn_map watches;
    cnode__list all; /* watches of the scope */
    cnode__list events;
    uint64_t last_event;
    uint64_t last_watch;
    int telling;      /* callbacks on the stack: watches stay ... */
    cnode__list dead; /* ... those too that were taken back */
    cnode__timer event_timer;
    cnode__timer retry_timer;
    bool lacking;   /* something could not be sent */
    uint64_t quiet; /* when there may be another line in the log */
    etf_writer term;
    etf_writer key;
    etf_writer message;
};

/* --- pg_table.c --- */
/* The group of a term. Without make it may be NULL; with it, it is held.
 * CN_ENOMEM, and what is wrong with the term. */
int cnode__pg_find(cnode_pg *s, etf_view term, bool make,
                   cnode__pg_group **out);
/* The same for a pattern; the error is kept. */
int cnode__pg_find_args(cnode_pg *s, const etf_in *in, size_t count, bool make,
                        cnode__pg_group **out);
void cnode__pg_hold(cnode__pg_group *g);
void cnode__pg_let_go(cnode_pg *s, cnode__pg_group *g);
cnode__pg_member *cnode__pg_member_of(const cnode_pg *s,
                                      const cnode__pg_group *g,
                                      const cnode__pg_owner *o,
                                      const etf_pid *pid);
/* A new member, of no times yet. NULL: out of memory. */
cnode__pg_member *cnode__pg_member_new(cnode_pg *s, cnode__pg_group *g,
                                       cnode__pg_owner *o, const etf_pid *pid);
/* The member has joined so many times; 0 frees it. */
void cnode__pg_set(cnode_pg *s, cnode__pg_member *m, size_t times);
etf_pid cnode__pg_pid(const cnode_pg *s, const cnode__pg_member *m);
/* What a member with its group may take. */
size_t cnode__pg_cost(const cnode__pg_group *g);
/* ... and each time that it has joined: not here, but in what is told of it. */
enum { CNODE__PG_TIME = 32 };

/* --- pg_event.c --- */
/* An event with room for n, or NULL: out of memory. */
cnode__pg_event *cnode__pg_event_new(cnode_pg *s, cnode__pg_group *g,
                                     bool joined, size_t n);
void cnode__pg_event_free(cnode_pg *s, cnode__pg_event *e);
/* It is told later, if there is something in it. */
void cnode__pg_event_queue(cnode_pg *s, cnode__pg_event *e);
/* Tells what is in the queue; not from within a call of the program. */
void cnode__pg_drain(cnode_pg *s);
void cnode__pg_batch_init(cnode__pg_batch *b, cnode_pg *s);
/* What is in it is told if it is something else. Before the change that is
 * added: a monitor that is made meanwhile counts the members as they are before
 * it, and is told of it. */
void cnode__pg_batch_turn(cnode__pg_batch *b, const cnode__pg_group *g,
                          bool joined);
void cnode__pg_batch_add(cnode__pg_batch *b, cnode__pg_group *g, bool joined,
                         const etf_pid *pid, size_t times);
void cnode__pg_batch_end(cnode__pg_batch *b);
/* All members that o has brought leave, and it is told. */
void cnode__pg_leave_all(cnode_pg *s, cnode__pg_owner *o);
void cnode__pg_watches_free(cnode_pg *s);

/* --- pg_wire.c --- */
extern const cnode_proc_config cnode__pg_process;
/* Sends to all who know our members, the rest comes with their sync. An empty
 * view: it could not be made. */
void cnode__pg_broadcast(cnode_pg *s, etf_view message);
/* Looks for the scope on a node that is connected. */
void cnode__pg_discover(cnode_pg *s, const cnode__peer *p);
/* Sends what could not be sent, and looks for scopes again. */
void cnode__pg_retry(cnode__timer *t);
void cnode__pg_drop_peer(cnode_pg *s, cnode__pg_owner *o);

/* --- pg.c --- */
void cnode__pg_drop_local(cnode_pg *s, cnode__pg_owner *o);
/* Its process has ended. */
void cnode__pg_ended(cnode_pg *s);

#endif
