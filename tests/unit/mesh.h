/* SPDX-License-Identifier: Apache-2.0
 *
 * mesh.h: nodes in one process without sockets, clock or chance. Bytes move
 * between them whole or one at a time, time is a number that a test sets, and
 * on one of the nodes any allocation can be made to fail.
 *
 * A scenario is a function on a mesh. What its processes see is written down
 * as lines ("b: {hello,1}"), and SAID compares them. mesh_run plays it whole,
 * byte by byte, and with every allocation failing, where it may end early, but
 * only after something told about the trouble: a call that failed, a status, a
 * line in the log, a connection that ended, a message counted as dropped.
 */
#ifndef TESTS_UNIT_MESH_H
#define TESTS_UNIT_MESH_H

#include "cnode/control.h"
#include "cnode/node.h"
#include "tests/unit/support.h"

enum { MESH_NODES = 4, MESH_RAWS = 2, MESH_TEXT = 1 << 14 };

typedef struct mesh mesh;
typedef struct mesh_end mesh_end;

typedef struct mesh_node {
    cnode node;
    mesh *mesh;
    bool live;
    bool deaf;      /* nobody can connect to it */
    bool slow;      /* its dials wait until this is false */
    bool elsewhere; /* calls come from another thread */
    int troubles;   /* warnings and errors in its log */
    int ups;
    int downs;
    int down_status; /* of the last one */
    char log[512];   /* its last line of trouble */
} mesh_node;

/* A peer that a test plays itself, signal by signal. */
typedef struct mesh_raw {
    mesh *mesh;
    mesh_end *end;
    cnode_conn *conn;
    cnode_answer answer; /* to who connects */
    bool mute;           /* reads nothing */
    bool up;
    uint64_t lacks; /* flags it does not announce */
    int signals;
    cnode_signal last; /* of the last signal that came */
    uint64_t id;
    etf_pid from;
    etf_pid to;
    etf_ref ref;
    uint32_t creation;
    char name[64];
    char text[512]; /* ... as a line, and its payload */
    char term[512];
    char token[512]; /* the trace token, or "" */
} mesh_raw;

struct mesh {
    mesh_node nodes[MESH_NODES];
    mesh_raw raws[MESH_RAWS];
    mesh_end *ends;
    struct mesh_letter *letters;
    size_t chunk; /* bytes in a read; 0: all there are */
    uint64_t now;
    uint64_t chance;
    int victim; /* node with the faulty allocator, -1: none */
    fault_alloc *fault;
    bool noticed; /* a call or a status told about trouble */
    bool cut;     /* dials fail */
    int asked;    /* calls that were accepted, and their answers */
    int answered;
    char said[MESH_TEXT];
};

typedef void (*mesh_scenario)(mesh *m);
void mesh_run(mesh_scenario scenario);
/* The same without failing allocations, for what is long. */
void mesh_run_twice(mesh_scenario scenario);

/* An entry of cmocka's table. */
typedef struct mesh_case {
    mesh_scenario scenario;
} mesh_case;
void mesh_run_case(void **state);
#define MESH_CASE(f)                                                           \
    {                                                                          \
#f, mesh_run_case, NULL, NULL, &(mesh_case) {                          \
            f                                                                  \
        }                                                                      \
    }

/* Node number i, "a@h" to "d@h". config may be NULL; its name, cookie,
 * log, alloc and on_peer are filled in where they are not set. */
int mesh_start(mesh *m, int i, const cnode_config *config);
void mesh_stop(mesh *m, int i);
/* For a test with a mesh of its own: stops all, and frees what is left. */
void mesh_free(mesh *m);
cnode *mesh_cnode(mesh *m, int i);

/* Until nothing moves any more. */
void mesh_settle(mesh *m);
void mesh_advance(mesh *m, uint64_t ms);
/* Breaks all connections of a node; later dials fail while m->cut. */
void mesh_break(mesh *m, int i);
/* What node i writes is held back, or goes on. */
void mesh_stall(mesh *m, int i, bool stalled);

/* A process that writes down what it sees under its name. */
cnode_proc *mesh_proc(mesh *m, int i, const char *name);
extern const cnode_proc_config mesh_observer;
void mesh_say(mesh *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void mesh_say_term(mesh *m, const char *who, const char *what, etf_view term);
/* A callback for calls; data is the name it answers under. */
void mesh_result(cnode_proc *p, int status, etf_view result, void *data);
void mesh_connected(cnode *n, const char *peer, int status, const cn_error *err,
                    void *data);
mesh *mesh_of(cnode *n);

/* A played peer that nodes can connect to. */
mesh_raw *mesh_play(mesh *m, int i, const char *name);
/* It connects to a node. */
void mesh_raw_dial(mesh_raw *r, int node);
void mesh_raw_close(mesh_raw *r);
void mesh_raw_send(mesh_raw *r, cnode_ctrl *c);
etf_pid mesh_raw_pid(const mesh_raw *r, uint32_t id);
etf_ref mesh_raw_ref(const mesh_raw *r, uint32_t id);

bool mesh_excused(mesh *m);
bool mesh_said(mesh *m, const char *want);

/* In a scenario. Each leaves it when trouble is excused. */
#define OK(m, call)                                                            \
    do {                                                                       \
        int r_ = (call);                                                       \
        if (r_ != 0) {                                                         \
            (m)->noticed = true;                                               \
            if (mesh_excused(m))                                               \
                return;                                                        \
            fail_msg("%s: %s", #call, cn_errname(r_));                         \
        }                                                                      \
    } while (0)
/* A call whose callback comes exactly once. */
#define ASK(m, call)                                                           \
    do {                                                                       \
        OK(m, call);                                                           \
        (m)->asked++;                                                          \
    } while (0)
#define WANT(m, condition)                                                     \
    do {                                                                       \
        mesh_settle(m);                                                        \
        if (!(condition)) {                                                    \
            if (mesh_excused(m))                                               \
                return;                                                        \
            fail_msg("%s; said: %s", #condition, (m)->said);                   \
        }                                                                      \
    } while (0)
/* The lines since the last SAID are these. */
#define SAID(m, text)                                                          \
    do {                                                                       \
        if (!mesh_said((m), (text))) {                                         \
            if (mesh_excused(m))                                               \
                return;                                                        \
            fail_msg("want:\n%s\n got:\n%s", (text), (m)->said);               \
        }                                                                      \
        (m)->said[0] = '\0';                                                   \
    } while (0)
#define NEED(m, pointer)                                                       \
    do {                                                                       \
        if ((pointer) == NULL) {                                               \
            (m)->noticed = true;                                               \
            if (mesh_excused(m))                                               \
                return;                                                        \
            fail_msg("%s", #pointer);                                          \
        }                                                                      \
    } while (0)

#endif
