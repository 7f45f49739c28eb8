/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_shell.h: what the files of the shell on libuv share (internal).
 *
 *   uv.c        turns of the loop, birth and death
 *   uv_timer.c  when there is something to do
 *   uv_post.c   what other threads want
 *   uv_wire.c   sockets: reading, writing, the end
 *   uv_dial.c   dialling and accepting
 *   uv_listen.c the listener and the registration with EPMD
 *   uv_epmd.c   EPMD, when this node serves it itself
 */
#ifndef CNODE_UV_SHELL_H
#define CNODE_UV_SHELL_H

#include <uv.h>

#include "cnode/node.h"
#include "epmd/epmd.h"

/* What is read from a socket at once, and the most in one turn of the loop, so
 * that a flood from one peer delays neither the others nor a timer. */
enum { CNODE__READ_CHUNK = 256 * 1024 };
enum {
    CNODE__WRITE_SLICES = 32,       /* in one writev(2) */
    CNODE__WRITE_MAX = 1024 * 1024, /* bytes in it */
    CNODE__WRITE_TURN = 1024 * 1024 /* ... that a peer gets in one turn */
};

typedef struct cnode__uv cnode__uv;

/* What libuv does for a socket; one after the other. */
typedef struct cnode__errand {
    union {
        uv_getaddrinfo_t resolve;
        uv_connect_t connect;
        uv_write_t write;
        uv_shutdown_t shutdown;
    } u;
    size_t lent;   /* bytes that are being written */
    uint16_t port; /* of what is resolved, or connected to */
} cnode__errand;

/* The socket of a wire. There are many, most of them idle. */
typedef struct cnode__socket {
    cnode__uv *shell;
    cnode__wire *wire; /* NULL: it has let go */
    cnode_conn *conn;  /* taken over from it */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    cnode__errand *errand; /* NULL: none under way */
    uv_timer_t *linger;    /* NULL: there is no hurry */
    epmd_request *lookup;
    int holds; /* callbacks of libuv that still come, and one until closing */
    bool opened : 1;    /* the handle was initialised */
    bool connected : 1; /* it reads and writes */
    bool resolving : 1;
    bool writing : 1;
    bool ended : 1; /* the peer has closed, or it is broken */
    bool closing : 1;
    uint32_t read;    /* bytes, in the turn ... */
    uint64_t read_in; /* ... of that number, as far as its share goes */
} cnode__socket;

/* Where others come in. */
typedef struct cnode__door {
    cnode__uv *shell;
    bool open;
    bool refusing;
    bool unaccepted; /* one more came meanwhile */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u, refused; /* itself; a connection there is no memory for */
} cnode__door;

#ifdef __linux__
typedef uv_poll_t cnode__uv_timer;
#else
typedef uv_timer_t cnode__uv_timer;
#endif

struct cnode__uv {
    cnode node; /* first: a cnode is one of these */
    uv_loop_t *loop;
    uv_loop_t own_loop;
    bool owns_loop;
    _Atomic uv_thread_t thread; /* whose loop it is; others only read it */
    uv_prepare_t prepare;
    uv_idle_t idle;
    cnode__uv_timer timer;
    int timer_fd;      /* what `timer` looks at, if it does */
    uint64_t timer_at; /* what the timer is set to; UINT64_MAX: to nothing */
    bool idles;        /* the idle handle is started: the loop does not wait */
    uv_async_t async;
    cnode__door tcp;
    cnode__door local; /* a Unix socket ... */
    char *path;        /* ... there */
    uint64_t quiet;    /* when there may be another line about a refusal */
    size_t lingering;  /* sockets that still write for wires that are gone */
    int handles;       /* open ones, of links too */
    uint64_t turn;     /* of the loop, from 1 */
    bool turning;      /* a call of ours runs the loop */
    uv_mutex_t mutex;
    cn_buf letters;    /* from other threads; with the mutex, as what follows */
    cn_buf busy;       /* names of nodes that take no more */
    cn_buf refused;    /* to whom threads could not send since, see uv_post.c */
    bool closed;       /* no more letters */
    _Atomic bool stop; /* the mutex only keeps the async handle from closing */
    cn_buf spare;      /* for letters, the loop's */
    epmd_registration *registration;
    bool registered;
    int registration_status; /* 1: no answer yet */
    cn_error registration_error;
    uint8_t *chunk;       /* what is read from a socket */
    cnode__list deferred; /* answers to give; with the mutex */
    /* EPMD, if the node shall serve it. */
    epmd_service *epmd;    /* ours, or NULL */
    uv_timer_t epmd_timer; /* when to look again whether there is one */
};

static inline cnode__uv *cnode__uv_of(const cnode *n) {
    union {
        const cnode *c;
        cnode__uv *s;
    } u = {n};
    return u.s;
}

/* --- uv.c --- */
/* CN_EBUG: a callback, in which nothing may wait for the loop. */
int cnode__uv_may_wait(cnode__uv *s, const char *call);
/* One turn of the loop, for a call that waits. */
void cnode__uv_turn(cnode__uv *s);
/* cnode_stop was called. */
bool cnode__uv_stopped(cnode__uv *s);

/* --- uv_timer.c --- */

/* Opens s->timer. An error of libuv: it is not there. */
int cnode__uv_open_timer(cnode__uv *s);
/* Sets it to when the node has something to do, or before. */
void cnode__uv_set_timer(cnode__uv *s);
/* What is left when the handle is closed. */
void cnode__uv_shut_timer(cnode__uv *s);

/* --- uv_post.c --- */
/* cnode__shell's. */
int cnode__uv_carry(void *ctx, const char *node, etf_view frame);
void cnode__uv_busy(void *ctx, const char *node, bool busy);
/* As cnode_post; lost (may be NULL) runs instead when the node is closing. */
int cnode__uv_post(cnode__uv *s, void (*fn)(cnode *n, void *arg),
                   void (*lost)(void *arg), void *arg);
void cnode__uv_open_letters(cnode__uv *s, bool deliver);
/* From here on there are none. */
void cnode__uv_close_letters(cnode__uv *s);

/* --- uv_defer.c --- */
/* Those that have come since. */
void cnode__uv_give_answers(cnode__uv *s);

/* --- uv_wire.c --- */
/* cnode__shell's. */
void cnode__uv_flush(void *ctx, cnode__wire *w);
void cnode__uv_close(void *ctx, cnode__wire *w);
/* A socket without a handle yet; NULL: no memory. */
cnode__socket *cnode__uv_link(cnode__uv *s, cnode__wire *w);
/* Made when it is needed; NULL: no memory. */
cnode__errand *cnode__uv_errand(cnode__socket *l);
void cnode__uv_end_errand(cnode__socket *l);
/* Closes a socket without a wire. */
void cnode__uv_drop(cnode__socket *l);
/* A callback that was waited for has come. */
void cnode__uv_let_go(cnode__socket *l);
/* It is connected: begins to shake hands. */
void cnode__uv_start(cnode__socket *l);
/* Ends its wire for a reason of libuv's. */
void cnode__uv_fail(cnode__socket *l, int code, int uv_err, const char *what);

/* --- uv_dial.c --- */
/* cnode__shell's. */
int cnode__uv_dial(void *ctx, cnode__wire *w);
/* Takes the connection that waits at a door; false: no memory, it still
 * waits. */
bool cnode__uv_accept(cnode__door *d);
/* A TCP or Unix handle, as the door is. Of libuv. */
int cnode__uv_same(const cnode__door *d, uv_loop_t *loop, uv_tcp_t *tcp,
                   uv_pipe_t *pipe);

/* --- uv_listen.c --- */
/* Stops to listen, and gives the name back. */
void cnode__uv_unlisten(void *ctx);
/* cnode__shell's. */
void cnode__uv_where(void *ctx, const cnode__wire *w, char *out, size_t cap);

/* --- uv_epmd.c --- */
/* From here on the node sees to it that there is an EPMD, if it shall: serves
 * it at once when nobody does. */
void cnode__uv_open_epmd(cnode__uv *s);
/* The one that was there does not answer: serves it, unless somebody else was
 * quicker. */
void cnode__uv_serve_epmd(cnode__uv *s);
void cnode__uv_close_epmd(cnode__uv *s);

#endif
